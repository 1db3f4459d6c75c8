/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/control/config_reader.h"
#include "platform/base/decimal.h"
#include "platform/base/error.h"
#include "platform/base/url.h"
#include "platform/net.h"

enum { PORT = 5683, SECURE_PORT = 5684 };

static const struct json_node *coap_node(const struct config_reader *reader)
{
    return config_read_member(reader->root, "coap");
}

/* The first of what stands in the list KEY of OBJECT, or NULL. */
static const struct json_node *first_of(const struct json_node *object, const char *key)
{
    const struct json_node *list = config_read_member(object, key);
    return list != NULL && list->kind == JSON_KIND_ARRAY ? list->first : NULL;
}

/* ---- where it listens ---- */

/* RFC 7252 section 6, but for names and paths. */
static int parse_listen(const char *text, struct cfg_listen *listen, char host[URL_HOST_BYTES])
{
    static const char *const schemes[] = {"coap://", "coaps://"};
    listen->secure = strncmp(text, schemes[1], strlen(schemes[1])) == 0;
    listen->port = listen->secure ? SECURE_PORT : PORT;
    const char *scheme = schemes[listen->secure];
    if (strncmp(text, scheme, strlen(scheme)) != 0)
        return E_SYNTAX;
    const char *at = text + strlen(scheme);
    int rc = url_take_host(&at, host);
    if (rc == E_OK)
        rc = url_take_port(&at, &listen->port);
    if (rc == E_OK && strcmp(at, "") != 0 && strcmp(at, "/") != 0)
        rc = E_SYNTAX;
    if (rc == E_OK && !net_is_address(host))
        rc = E_NOT_FOUND;
    listen->exposed = !listen->secure && !net_is_loopback(host);
    return rc;
}

static bool is_there_already(const struct cfg_coap *coap, size_t index)
{
    const struct cfg_listen *listen = &coap->listens[index];
    for (size_t i = 0; i < index; i++)
        if (coap->listens[i].host != NULL && strcmp(coap->listens[i].host, listen->host) == 0 &&
            coap->listens[i].port == listen->port)
            return true;
    return false;
}

static void judge_exposed(struct config_reader *reader, const struct json_node *node)
{
    if (!reader->config->coap.is_plain)
        config_read_fault(reader, node,
                          "lets whoever reaches it read along and write; use coaps://, or allow it "
                          "with \"plain\": true");
    else
        config_fault_warn(reader->faults, node, NULL,
                          "whoever reaches it can read along and write, because \"plain\" is true");
}

static void resolve_listen(struct config_reader *reader, const struct json_node *node, size_t index)
{
    struct cfg_coap *coap = &reader->config->coap;
    struct cfg_listen *listen = &coap->listens[index];
    char host[URL_HOST_BYTES];
    if (coap->listen[index] == NULL)
        return; /* reported */
    int rc = parse_listen(coap->listen[index], listen, host);
    if (rc == E_NOT_FOUND)
        config_read_fault(reader, node,
                          "names no address; write one that this machine has, or [::] for all of "
                          "them");
    else if (rc < 0)
        config_read_fault(reader, node,
                          "is nothing to listen at; write it like \"coaps://[::]:5684\" or "
                          "\"coap://127.0.0.1:5683\"");
    if (rc < 0)
        return;
    listen->host = config_pool_text(reader->pool, host);
    if (listen->host != NULL && is_there_already(coap, index))
        config_read_fault(reader, node, "has the address and the port of another; remove one");
    if (listen->exposed)
        judge_exposed(reader, node);
}

static void resolve_listens(struct config_reader *reader)
{
    struct cfg_coap *coap = &reader->config->coap;
    const struct json_node *object = coap_node(reader);
    const struct json_node *node = first_of(object, "listen");
    bool is_secure = false;
    for (size_t i = 0; i < coap->listen_count; i++) {
        resolve_listen(reader, node, i);
        node = node == NULL ? NULL : node->next;
        is_secure = is_secure || (coap->listens[i].host != NULL && coap->listens[i].secure);
    }
    if (is_secure && coap->psk_file == NULL && config_read_member(object, "psk_file") == NULL)
        config_fault(reader->faults, object, "psk_file",
                     "is missing; coaps:// needs the keys of the peers: "
                     "\"psk_file\": \"/etc/runnel/peers.json\"");
    const struct json_node *list = config_read_member(object, "listen");
    bool is_object = object != NULL && object->kind == JSON_KIND_OBJECT;
    if (is_object && (list == NULL || (list->kind == JSON_KIND_ARRAY && list->first == NULL)))
        config_fault_warn(reader->faults, object, NULL,
                          "nothing listens; add \"listen\": [ \"coaps://[::]:5684\" ]");
}

/* ---- its sensors ---- */

static void check_bounds(struct config_reader *reader, const struct json_node *node,
                         const struct cfg_member *member)
{
    struct decimal min, max;
    const char *bound = member->min != NULL ? "min" : "max";
    bool is_number = member->type == CFG_MEMBER_NUMBER || member->type == CFG_MEMBER_INTEGER;
    if (member->min == NULL && member->max == NULL)
        return;
    if (!is_number)
        config_fault(reader->faults, config_read_member(node, bound), NULL,
                     "goes with \"type\": \"number\" or \"integer\" alone; remove it, or say that");
    if (member->min == NULL || member->max == NULL)
        return;
    if (decimal_parse(member->min, strlen(member->min), &min) == 0 &&
        decimal_parse(member->max, strlen(member->max), &max) == 0 && decimal_compare(min, max) > 0)
        config_fault(reader->faults, config_read_member(node, "min"), NULL,
                     "is larger than \"max\"; then no value is right");
}

static void check_member(struct config_reader *reader, const struct json_node *node,
                         const struct cfg_coap_sensor *sensor, size_t index)
{
    const struct cfg_member *member = &sensor->members[index];
    const struct json_node *name = config_read_member(node, "name");
    check_bounds(reader, node, member);
    if (member->name == NULL)
        return;
    if (!config_read_is_path(member->name))
        config_fault(reader->faults, name, NULL, "is too deep; a document has at most 16 levels");
    for (size_t i = 0; i < index; i++)
        if (sensor->members[i].name != NULL && strcmp(sensor->members[i].name, member->name) == 0)
            config_fault(reader->faults, name, NULL,
                         "\"%s\" is the name of members[%zu] already; say it once", member->name,
                         i);
}

static void check_members(struct config_reader *reader, const struct json_node *object,
                          const struct cfg_coap_sensor *sensor)
{
    const struct json_node *node = first_of(object, "members");
    for (size_t i = 0; i < sensor->member_count; i++) {
        check_member(reader, node, sensor, i);
        node = node == NULL ? NULL : node->next;
    }
    if (sensor->unknown == CFG_UNKNOWN_REFUSE && sensor->member_count == 0 &&
        config_read_member(object, "members") == NULL)
        config_fault(reader->faults, config_read_member(object, "unknown"), NULL,
                     "refuses all, because no member is named; add \"members\" or remove it");
}

static void fault_name(struct config_reader *reader, const struct json_node *node, const char *name,
                       const char *list, size_t index)
{
    config_fault(reader->faults, config_read_member(node, "name"), NULL,
                 "\"%s\" is the name of %s[%zu] already; choose another", name, list, index);
}

static void check_name(struct config_reader *reader, const struct json_node *node, size_t index)
{
    const struct config *config = reader->config;
    const char *name = config->coap.sensors[index].sensor.name;
    if (name == NULL)
        return;
    for (size_t i = 0; i < index; i++) {
        const char *other = config->coap.sensors[i].sensor.name;
        if (other != NULL && strcmp(other, name) == 0)
            fault_name(reader, node, name, "coap.sensors", i);
    }
    for (size_t i = 0; i < config->sensor_count; i++)
        if (config->sensors[i].name != NULL && strcmp(config->sensors[i].name, name) == 0)
            fault_name(reader, node, name, "sensors", i);
    if (strcmp(name, CFG_OWN_SENSOR) == 0)
        config_fault(reader->faults, config_read_member(node, "name"), NULL,
                     "\"%s\" is what the agent calls itself in its own records; choose another",
                     name);
}

/* What is written is meant; the lanes of all sensors are as many as routes carry. */
static void check_lanes(struct config_reader *reader, const struct json_node *node,
                        const struct cfg_coap_sensor *sensor)
{
    const struct json_node *written = config_read_member(node, "lanes");
    if (reader->config->route_count == 0)
        return;
    config_routes_check_sensor(reader, node, &sensor->sensor);
    for (int i = 0; i < CFG_LANES && written != NULL; i++)
        if (sensor->lanes[i] && !config_routes_carry(reader->config, (enum cfg_lane)i))
            config_fault(reader->faults, written, NULL,
                         "no route carries the lane \"%s\"; add it to the \"lanes\" of one",
                         config_lane_name((enum cfg_lane)i));
}

static void resolve_sensors(struct config_reader *reader)
{
    const struct cfg_coap *coap = &reader->config->coap;
    const struct json_node *node = first_of(coap_node(reader), "sensors");
    for (size_t i = 0; i < coap->sensor_count; i++) {
        const struct cfg_coap_sensor *sensor = &coap->sensors[i];
        check_name(reader, node, i);
        check_members(reader, node, sensor);
        check_lanes(reader, node, sensor);
#ifdef CONFIG_TRANSFORMS
        config_transforms_resolve(reader, node, &sensor->sensor);
#endif
        node = node == NULL ? NULL : node->next;
    }
}

void config_coap_resolve(struct config_reader *reader)
{
    reader->config->spool.wait_ms = reader->config->coap.wait_ms;
    resolve_listens(reader);
    resolve_sensors(reader);
}
