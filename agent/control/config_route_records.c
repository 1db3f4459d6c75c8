/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "agent/control/config_route.h"
#include "agent/control/flat_name.h"

enum { WHAT_BYTES = 200 };

/* ---- packs ---- */

static void check_pack(const struct config_route *subject)
{
    const struct cfg_route *route = subject->route;
    bool gzip = route->compress == CFG_COMPRESS_GZIP;
    if (route->pack == CFG_PACK_KPL && route->destination != CFG_DESTINATION_KINESIS)
        config_route_fault(subject, "pack",
                           "\"kpl\" is taken apart behind Kinesis alone; write \"lines\"");
    if (route->pack != CFG_PACK_NONE && route->order == CFG_ORDER_STRICT)
        config_route_fault(subject, "pack",
                           "does not go with \"order\": \"strict\", which sends record by record; "
                           "remove one of them");
    if (route->pack == CFG_PACK_KPL && gzip)
        config_route_fault(subject, "compress",
                           "\"gzip\" hides an aggregate from whoever takes it apart; write "
                           "\"pack\": \"lines\"");
}

/* Records of several keys in turn would make packs of one record each. */
static void warn_of_keys(const struct config_route *subject)
{
    const struct cfg_route *route = subject->route;
    const struct json_node *written = config_read_member(subject->node, "partition");
    bool by_record =
        route->partition == CFG_PARTITION_SENSOR || route->partition == CFG_PARTITION_FIELD;
    if (route->pack != CFG_PACK_NONE && by_record && written != NULL)
        config_fault_warn(subject->reader->faults, written, NULL,
                          "gives each pack the records of one key that follow each other alone; "
                          "\"even\" or \"device\" makes them larger");
}

/* ---- the flat layout ---- */

static void fault_name(const struct config_route *subject, const char *sensor, const char *kind,
                       const char *name, const char *why)
{
    char what[WHAT_BYTES];
    (void)snprintf(what, sizeof what, "\"flat\" has no place for the %s \"%.40s\" of %.31s: %s",
                   kind, name, sensor, why);
    config_route_fault(subject, "layout", what);
}

static void check_name(const struct config_route *subject, const char *sensor, const char *kind,
                       const char *name)
{
    if (flat_name_is_reserved(name))
        fault_name(subject, sensor, kind, name,
                   "every record has a member of this name; rename it, or write \"nested\"");
    else if (flat_name_has_capitals(name))
        fault_name(subject, sensor, kind, name,
                   "Glue knows small letters alone; rename it, or write \"nested\"");
}

static bool is_tag(const struct cfg_sensor *sensor, const char *name)
{
    for (size_t i = 0; i < sensor->tag_count; i++)
        if (strcmp(sensor->tags[i].name, name) == 0)
            return true;
    return false;
}

/* What drivers find out only when they are opened stays nested if it does not fit. */
static void check_channels(const struct config_route *subject, const struct cfg_sensor *sensor,
                           const struct json_node *node)
{
    const struct json_node *list = config_read_member(node, "channels");
    const struct json_node *child =
        list != NULL && list->kind == JSON_KIND_ARRAY ? list->first : NULL;
    for (; child != NULL; child = child->next) {
        const char *name = config_read_word(subject->reader, config_read_member(child, "name"));
        if (name == NULL)
            continue;
        check_name(subject, sensor->name, "channel", name);
        if (is_tag(sensor, name))
            fault_name(subject, sensor->name, "channel", name,
                       "a tag has this name, too; rename one, or write \"nested\"");
    }
}

static void check_sensor(const struct config_route *subject, const struct cfg_sensor *sensor,
                         const struct json_node *node)
{
    if (!subject->route->lanes[sensor->lane] || sensor->name == NULL)
        return;
    for (size_t i = 0; i < sensor->tag_count; i++)
        check_name(subject, sensor->name, "tag", sensor->tags[i].name);
    for (size_t i = 0; i < sensor->transform_count; i++)
        if (sensor->transforms[i].name != NULL)
            check_name(subject, sensor->name, "tag", sensor->transforms[i].name);
    check_channels(subject, sensor, node);
}

static void check_layout(const struct config_route *subject)
{
    const struct cfg_route *route = subject->route;
    const struct config *config = subject->reader->config;
    const struct json_node *list = config_read_member(subject->reader->root, "sensors");
    const struct json_node *node = list == NULL ? NULL : list->first;
    if (route->layout != CFG_LAYOUT_FLAT)
        return;
    if (route->format == CFG_FORMAT_SENML)
        config_route_fault(subject, "layout",
                           "\"flat\" is a layout of \"json\"; SenML has its own, remove it");
    for (size_t i = 0; i < config->sensor_count; i++) {
        check_sensor(subject, &config->sensors[i], node);
        node = node == NULL ? NULL : node->next;
    }
#ifdef CONFIG_COAP
    for (size_t i = 0; i < config->coap.sensor_count; i++)
        check_sensor(subject, &config->coap.sensors[i].sensor, NULL);
#endif
}

void config_route_records(const struct config_route *subject)
{
    check_pack(subject);
    warn_of_keys(subject);
    check_layout(subject);
}
