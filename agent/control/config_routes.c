/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "agent/control/config_route.h"
#include "agent/control/nearest.h"
#include "platform/base/error.h"
#include "platform/net.h"

static const struct schema_table *route_table(void)
{
    return schema_find(&schema_root, "routes")->members;
}

static void resolve_files(const struct config_route *subject)
{
    struct cfg_route *route = subject->route;
    const char *bundle = config_route_variable(subject, "AWS_CA_BUNDLE");
    if (route->ca_file == NULL && bundle != NULL) {
        route->ca_file = config_route_keep(subject, bundle);
        config_place_note(subject->reader, "AWS_CA_BUNDLE", &route->ca_file);
    }
    if (route->cert_file != NULL && route->key_file == NULL &&
        config_read_member(subject->node, "key_file") == NULL)
        config_route_fault(subject, "key_file", "is missing; cert_file needs its key");
    if (route->key_file != NULL && route->cert_file == NULL &&
        config_read_member(subject->node, "cert_file") == NULL)
        config_route_fault(subject, "cert_file", "is missing; key_file needs its certificate");
}

/* Records of one lane go to several shards with these, and shards know no common order. What could
 * not be read as a partition was reported before. */
static void check_order(const struct config_route *subject)
{
    static const char remedy[] =
        "keeps no order, which \"strict\" wants; write \"device\" or \"sensor\"";
    const struct cfg_route *route = subject->route;
    const struct json_node *written = config_read_member(subject->node, "partition");
    bool has_keys =
        route->destination == CFG_DESTINATION_KINESIS ||
        (route->destination == CFG_DESTINATION_APIGATEWAY && route->api.body == CFG_BODY_RECORDS);
    const char *partition = "even";
    char what[128];
    if (written != NULL)
        partition = config_read_word(subject->reader, written);
    if (route->order == CFG_ORDER_STRICT && has_keys && partition != NULL &&
        (strcmp(partition, "even") == 0 || strcmp(partition, "random") == 0)) {
        (void)snprintf(what, sizeof what, "\"%s\" %s", partition, remedy);
        config_route_fault(subject, "partition", what);
    }
    if (route->order != CFG_ORDER_FRESH_FIRST &&
        config_read_member(subject->node, "backlog_share") != NULL)
        config_route_fault(subject, "backlog_share",
                           "goes with \"order\": \"fresh-first\" alone; remove it or write that");
}

/* ---- credentials ---- */

void config_routes_credentials(const struct config_route *subject)
{
    const struct config *config = subject->reader->config;
    const char *wanted = subject->route->credentials_name;
    struct nearest nearest;
    char what[160];
    if (wanted == NULL)
        return;
    nearest_start(&nearest, wanted);
    for (size_t i = 0; i < config->credentials_count; i++) {
        const char *name = config->credentials[i].name;
        if (name == NULL)
            continue;
        if (strcmp(name, wanted) == 0) {
            subject->route->credentials = &config->credentials[i];
            return;
        }
        nearest_offer(&nearest, name, strlen(name));
    }
    const char *best = nearest_result(&nearest);
    (void)snprintf(what, sizeof what, "\"%.31s\" is not among \"credentials\"; %s%s%s", wanted,
                   best == NULL ? "add it there" : "did you mean \"", best == NULL ? "" : best,
                   best == NULL ? "" : "\"?");
    config_route_fault(subject, "credentials", what);
}

/* The first route that uses them says where they are asked for, if nothing else does. */
void config_routes_sts(const struct config_route *subject)
{
    const struct config *config = subject->reader->config;
    for (size_t i = 0; i < config->credentials_count; i++)
        if (&config->credentials[i] == subject->route->credentials)
            config_credentials_resolve_sts(subject->reader, &config->credentials[i],
                                           subject->route->region);
}

/* ---- all together ---- */

static void check_name(const struct config_route *subject, size_t index)
{
    const struct config *config = subject->reader->config;
    const char *name = subject->route->name;
    for (size_t i = 0; name != NULL && i < index; i++)
        if (config->routes[i].name != NULL && strcmp(config->routes[i].name, name) == 0) {
            char what[120];
            (void)snprintf(what, sizeof what,
                           "\"%s\" is the name of routes[%zu] already; choose another", name, i);
            config_route_fault(subject, "name", what);
        }
}

static void resolve_destination(const struct config_route *subject)
{
    switch (subject->route->destination) {
#ifdef CONFIG_DEST_KINESIS
    case CFG_DESTINATION_KINESIS:
        config_route_kinesis(subject);
        return;
#endif
#ifdef CONFIG_DEST_FIREHOSE
    case CFG_DESTINATION_FIREHOSE:
        config_route_firehose(subject);
        return;
#endif
#ifdef CONFIG_DEST_APIGATEWAY
    case CFG_DESTINATION_APIGATEWAY:
        config_route_api(subject);
        return;
#endif
#ifdef CONFIG_DEST_S3
    case CFG_DESTINATION_S3:
        config_route_s3(subject);
        return;
#endif
#ifdef CONFIG_DEST_ARCHIVE
    case CFG_DESTINATION_ARCHIVE:
        config_route_archive(subject);
        return;
#endif
    default: /* this program lacks it: its route was not read any further */
        return;
    }
}

/* A route to a destination that this program lacks was not read any further. */
static void resolve(struct config_reader *reader, const struct json_node *node, size_t index)
{
    const struct config_route subject = {reader, node, &reader->config->routes[index]};
    struct cfg_route *route = subject.route;
    if (config_read_choice(reader, node, route_table()) == NULL)
        return;
    check_name(&subject, index);
    config_routes_credentials(&subject); /* their profile may know the region */
    resolve_destination(&subject);
    config_routes_sts(&subject);
    resolve_files(&subject);
    check_order(&subject);
    config_route_records(&subject);
    if (route->endpoint.host != NULL)
        config_proxy_resolve(reader, node, route->proxy_url, &route->endpoint);
#ifdef CONFIG_CREDENTIALS_ASSUME_ROLE
    config_route_role(&subject);
#endif
}

/* CONFIG_STREAM alone is enough for a route. */
static void use_standard(struct config_reader *reader)
{
    struct config *config = reader->config;
    if (CONFIG_STREAM[0] == '\0')
        return;
    config->routes = config_pool_take(reader->pool, sizeof *config->routes);
    if (config->routes == NULL)
        return;
    config->route_count = 1;
    config_read_object(reader, NULL, route_table(), config->routes);
    config->routes[0].name = "live";
}

/* A route whose lanes could not be read may be meant to carry any. */
bool config_routes_carry(const struct config *config, enum cfg_lane lane)
{
    for (size_t i = 0; i < config->route_count; i++) {
        const bool *lanes = config->routes[i].lanes;
        bool unknown = !lanes[CFG_LANE_ALARM] && !lanes[CFG_LANE_NORMAL] && !lanes[CFG_LANE_BULK];
        if (lanes[lane] || unknown)
            return true;
    }
    return false;
}

static void fault_lane(struct config_reader *reader, const struct json_node *node,
                       enum cfg_lane lane)
{
    const struct json_node *written = config_read_member(node, "lane");
    const char *member = written != NULL ? NULL : node != NULL ? "lane" : "sensors";
    const struct json_node *place = written != NULL ? written : node != NULL ? node : reader->root;
    config_fault(reader->faults, place, member,
                 "no route carries the lane \"%s\"; add it to the \"lanes\" of one",
                 config_lane_name(lane));
}

static bool makes_alarms(const struct cfg_sensor *sensor)
{
    for (size_t i = 0; i < sensor->transform_count; i++)
        if (sensor->transforms[i].kind == CFG_TRANSFORM_ALARM)
            return true;
    return false;
}

void config_routes_check_sensor(struct config_reader *reader, const struct json_node *node,
                                const struct cfg_sensor *sensor)
{
    const struct config *config = reader->config;
    if (!config_routes_carry(config, sensor->lane))
        fault_lane(reader, node, sensor->lane);
    if (makes_alarms(sensor) && !config_routes_carry(config, CFG_LANE_ALARM))
        config_fault(reader->faults, config_read_member(node, "transforms"), NULL,
                     "makes alarms, and no route carries the lane \"alarm\"; add it to the "
                     "\"lanes\" of one");
}

static void check_lanes(struct config_reader *reader)
{
    const struct config *config = reader->config;
    const struct json_node *list = config_read_member(reader->root, "sensors");
    const struct json_node *node = list == NULL ? NULL : list->first;
    for (size_t i = 0; i < config->sensor_count; i++) {
        config_routes_check_sensor(reader, node, &config->sensors[i]);
        node = node == NULL ? NULL : node->next;
    }
}

void config_routes_resolve(struct config_reader *reader)
{
    const struct json_node *list = config_read_member(reader->root, "routes");
    const struct json_node *node = list == NULL ? NULL : list->first;
    if (list == NULL)
        use_standard(reader);
    config_credentials_resolve(reader);
    for (size_t i = 0; i < reader->config->route_count; i++) {
        resolve(reader, node, i);
        node = node == NULL ? NULL : node->next;
    }
#ifdef CONFIG_CONFIG_SOURCE
    config_source_resolve(reader);
#endif
    if (reader->config->route_count > 0)
        check_lanes(reader);
    else if (list == NULL || (list->kind == JSON_KIND_ARRAY && list->first == NULL))
        config_fault(
            reader->faults, list != NULL ? list : reader->root, list != NULL ? NULL : "routes",
            "there is none, so nothing would be delivered; add one like "
            "{ \"name\": \"live\", \"destination\": \"kinesis\", \"region\": \"eu-west-1\", "
            "\"stream\": \"NAME\" }");
}
