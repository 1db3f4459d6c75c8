/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "agent/control/config_reader.h"
#include "agent/control/nearest.h"

/* A list that is being read for a driver, or its one sensor object. */
struct settings {
    struct config_reader *reader;
    const struct driver *driver;
    struct driver_setting *items;
    size_t count;
    size_t capacity;
};

enum { SETTING_KEY_BYTES = 128 };

static const struct schema_table *sensor_table(void)
{
    return schema_find(&schema_root, "sensors")->members;
}

/* ---- the driver ---- */

enum { REMEDY_BYTES = 200 };

/* "there are proc, thermal" */
static void list_drivers(char remedy[REMEDY_BYTES])
{
    int used = snprintf(remedy, REMEDY_BYTES, "there are");
    for (size_t i = 0; driver_at(i) != NULL && used < REMEDY_BYTES; i++)
        used += snprintf(remedy + used, (size_t)(REMEDY_BYTES - used), "%s %s", i == 0 ? "" : ",",
                         driver_at(i)->name);
    if (driver_at(0) == NULL)
        (void)snprintf(remedy, REMEDY_BYTES, "this program has none: see Kconfig");
}

/* What may have been meant instead of NAME, or what there is. */
static void suggest_driver(const char *name, char remedy[REMEDY_BYTES])
{
    struct nearest nearest;
    nearest_start(&nearest, name);
    for (size_t i = 0; driver_at(i) != NULL; i++)
        nearest_offer(&nearest, driver_at(i)->name, strlen(driver_at(i)->name));
    const char *best = nearest_result(&nearest);
    if (best != NULL)
        (void)snprintf(remedy, REMEDY_BYTES, "did you mean \"%s\"?", best);
    else
        list_drivers(remedy);
}

static void fault_driver(struct config_reader *reader, const struct json_node *node,
                         const char *name)
{
    char symbol[DRIVER_SYMBOL_BYTES];
    char remedy[REMEDY_BYTES];
    const struct json_node *written = config_read_member(node, "driver");
    const char *member = written == NULL ? "CONFIG_SENSORS" : NULL;
    if (!driver_left_out(name)) {
        suggest_driver(name, remedy);
        config_fault(reader->faults, written, member, "\"%.31s\" is no driver of this version; %s",
                     name, remedy);
        return;
    }
    driver_symbol(name, symbol);
    config_fault(reader->faults, written, member, "\"%.31s\" is not in this program; enable %s",
                 name, symbol);
}

/* ---- its keys ---- */

static struct schema_key as_schema(const struct driver *driver, const struct driver_key *key)
{
    static const enum schema_kind kinds[] = {
        [DRIVER_KEY_TEXT] = SCHEMA_TEXT,         [DRIVER_KEY_INTEGER] = SCHEMA_INTEGER,
        [DRIVER_KEY_DECIMAL] = SCHEMA_DECIMAL,   [DRIVER_KEY_BOOLEAN] = SCHEMA_BOOLEAN,
        [DRIVER_KEY_DURATION] = SCHEMA_DURATION, [DRIVER_KEY_SIZE] = SCHEMA_SIZE,
        [DRIVER_KEY_UNIT] = SCHEMA_TEXT,
    };
    const struct driver_limit *limit = driver_limit_of(driver, key->name);
    struct schema_key schema = {.name = key->name, .kind = kinds[key->kind], .help = key->help};
    if (limit == NULL)
        return schema;
    if (schema.kind == SCHEMA_TEXT)
        schema.kind = SCHEMA_CHOICE;
    schema.choices = limit->choices;
    schema.low = limit->low;
    schema.high = limit->high;
    return schema;
}

/* "list" of "list[].member" and of "list[]", or the whole of a plain key. */
static size_t base_bytes(const struct driver_key *key)
{
    return strcspn(key->name, "[");
}

static bool is_list(const struct driver_key *key)
{
    return key->name[base_bytes(key)] == '[';
}

/* What stands behind "list[]": "member", or "" for a list of plain values. */
static const char *member_of(const struct driver_key *key)
{
    const char *behind = key->name + base_bytes(key) + 2;
    return *behind == '.' ? behind + 1 : behind;
}

static bool has_base(const struct driver_key *key, const char *base)
{
    return strlen(base) == base_bytes(key) && memcmp(key->name, base, base_bytes(key)) == 0;
}

static const struct driver_key *find_plain(const struct driver *driver, const char *name)
{
    for (const struct driver_key *key = driver->keys; key->name != NULL; key++)
        if (!is_list(key) && strcmp(key->name, name) == 0)
            return key;
    return NULL;
}

static const struct driver_key *find_in_list(const struct driver *driver, const char *list,
                                             const char *member)
{
    for (const struct driver_key *key = driver->keys; key->name != NULL; key++)
        if (is_list(key) && has_base(key, list) &&
            (member == NULL || strcmp(member_of(key), member) == 0))
            return key;
    return NULL;
}

static void add_setting(struct settings *settings, const char *name, const struct json_node *node,
                        const struct driver_key *key)
{
    struct config_reader *reader = settings->reader;
    const struct schema_key schema = as_schema(settings->driver, key);
    struct schema_value value;
    const char *text = config_read_scalar(reader, node, &schema, &value);
    if (text == NULL || settings->count == settings->capacity)
        return;
    if (key->kind == DRIVER_KEY_UNIT && driver_unit_meaning(text) == NULL) {
        config_fault(reader->faults, node, NULL,
                     "\"%.31s\" is no unit name of SenML; write it like \"Cel\", \"%%RH\" or "
                     "\"1/min\"",
                     node->text);
        return;
    }
    config_place_node(reader, node, &settings->items[settings->count]);
    settings->items[settings->count++] =
        (struct driver_setting){.key = config_pool_text(reader->pool, name), .value = text};
}

static void unknown_member(struct settings *settings, const struct json_node *list,
                           const struct json_node *node)
{
    struct nearest nearest;
    nearest_start(&nearest, node->key);
    for (const struct driver_key *key = settings->driver->keys; key->name != NULL; key++)
        if (is_list(key) && has_base(key, list->key))
            nearest_offer(&nearest, member_of(key), strlen(member_of(key)));
    config_read_unknown(settings->reader, node, nearest_result(&nearest));
}

static bool is_passed_over(struct settings *settings, const struct json_node *node)
{
    if (node->duplicate)
        config_fault_key(settings->reader->faults, node, "this key is there twice; remove one");
    return node->duplicate || node->kind == JSON_KIND_NULL;
}

static void read_element(struct settings *settings, const struct json_node *list,
                         const struct json_node *element, size_t index)
{
    char name[SETTING_KEY_BYTES];
    size_t settings_before = settings->count;
    unsigned faults_before = settings->reader->faults->faults;
    for (const struct json_node *node = element->first; node != NULL; node = node->next) {
        const struct driver_key *key = find_in_list(settings->driver, list->key, node->key);
        if (is_passed_over(settings, node))
            continue;
        (void)snprintf(name, sizeof name, "%.40s[%zu].%.40s", list->key, index, node->key);
        if (key == NULL)
            unknown_member(settings, list, node);
        else
            add_setting(settings, name, node, key);
    }
    for (const struct driver_key *key = settings->driver->keys; key->name != NULL; key++)
        if (key->required && is_list(key) && has_base(key, list->key) &&
            config_read_member(element, member_of(key)) == NULL)
            config_fault(settings->reader->faults, element, member_of(key), "is missing; %s",
                         key->help);
    if (settings->count == settings_before &&
        settings->reader->faults->faults == faults_before) /* the driver would not see it */
        config_fault(settings->reader->faults, element, NULL, "is empty; fill it or remove it");
}

static void read_list(struct settings *settings, const struct json_node *list)
{
    char name[SETTING_KEY_BYTES];
    struct config_reader *reader = settings->reader;
    const struct driver_key *plain = find_in_list(settings->driver, list->key, "");
    size_t index = 0;
    if (list->kind != JSON_KIND_ARRAY) {
        config_read_fault(reader, list, "is not a list; write it in brackets");
        return;
    }
    for (const struct json_node *node = list->first; node != NULL; node = node->next, index++) {
        (void)snprintf(name, sizeof name, "%.40s[%zu]", list->key, index);
        if (plain != NULL)
            add_setting(settings, name, node, plain);
        else if (node->kind == JSON_KIND_OBJECT)
            read_element(settings, list, node, index);
        else
            config_read_fault(reader, node, "is not an object; write it in braces");
    }
}

static bool is_of_a_driver(const char *name)
{
    for (size_t i = 0; driver_at(i) != NULL; i++)
        if (find_plain(driver_at(i), name) != NULL ||
            find_in_list(driver_at(i), name, NULL) != NULL)
            return true;
    return false;
}

static void unknown_key(struct settings *settings, const struct json_node *node)
{
    const char *home = is_of_a_driver(node->key) ? NULL : config_home(node->key);
    struct nearest nearest;
    nearest_start(&nearest, node->key);
    for (const struct schema_key *key = sensor_table()->keys; key->name != NULL; key++)
        nearest_offer(&nearest, key->name, strlen(key->name));
    for (const struct driver_key *key = settings->driver->keys; key->name != NULL; key++)
        nearest_offer(&nearest, key->name, base_bytes(key));
    const char *best = nearest_result(&nearest);
    if (best != NULL)
        config_read_unknown(settings->reader, node, best);
    else if (home != NULL)
        config_fault_key(settings->reader->faults, node,
                         "the driver \"%s\" has no such key; write it into %s",
                         settings->driver->name, home);
    else
        config_fault_key(settings->reader->faults, node,
                         "the driver \"%s\" has no such key; remove it", settings->driver->name);
}

static void read_setting(struct settings *settings, const struct json_node *node)
{
    const struct driver_key *key = find_plain(settings->driver, node->key);
    if (node->duplicate || node->kind == JSON_KIND_NULL ||
        schema_find(sensor_table(), node->key) != NULL)
        return; /* the first are reported already */
    if (key != NULL)
        add_setting(settings, key->name, node, key);
    else if (find_in_list(settings->driver, node->key, NULL) != NULL)
        read_list(settings, node);
    else
        unknown_key(settings, node);
}

/* All values below NODE: the most settings that can come of it. The scanner bounded the depth. */
static size_t count_values(const struct json_node *node)
{
    size_t count = 1;
    for (const struct json_node *child = node->first; child != NULL; child = child->next)
        count += count_values(child);
    return count;
}

static void read_settings(struct config_reader *reader, const struct json_node *object,
                          struct cfg_sensor *sensor)
{
    struct settings settings = {.reader = reader, .driver = sensor->driver};
    settings.capacity = object == NULL ? 0 : count_values(object);
    settings.items =
        config_pool_take(reader->pool, (settings.capacity + 1) * sizeof *settings.items);
    if (settings.items == NULL)
        return;
    for (const struct json_node *node = object == NULL ? NULL : object->first; node != NULL;
         node = node->next)
        read_setting(&settings, node);
    for (const struct driver_key *key = sensor->driver->keys; key->name != NULL; key++)
        if (key->required && !is_list(key) && config_read_member(object, key->name) == NULL)
            config_fault(reader->faults, object, key->name, "is missing; %s", key->help);
    sensor->settings = settings.items;
    sensor->setting_count = settings.count;
}

/* The INDEX-th of a list's nodes, or NULL. */
static const struct json_node *find_element(const struct json_node *list, size_t index)
{
    const struct json_node *node = list == NULL ? NULL : list->first;
    while (node != NULL && index-- > 0)
        node = node->next;
    return node;
}

/* Where "key", "list[3]" or "list[3].member" stands, or NULL; RET_PLACE and RET_MEMBER are the
 * object and its member that a fault is about if it is not written at all. */
static const struct json_node *find_written(const struct json_node *object, const char *key,
                                            const struct json_node **ret_place,
                                            const char **ret_member)
{
    char list[SETTING_KEY_BYTES];
    size_t index;
    int used = 0;
    *ret_place = object;
    *ret_member = key;
    if (sscanf(key, "%127[^[][%zu]%n", list, &index, &used) != 2 || used == 0)
        return config_read_member(object, key);
    const struct json_node *element = find_element(config_read_member(object, list), index);
    if (element == NULL || key[used] != '.')
        return element;
    *ret_place = element;
    *ret_member = key + used + 1;
    return config_read_member(element, key + used + 1);
}

static struct driver_context as_context(const struct cfg_sensor *sensor,
                                        char fault[DRIVER_FAULT_BYTES])
{
    return (struct driver_context){.sensor = sensor->name,
                                   .root = "",
                                   .settings = sensor->settings,
                                   .setting_count = sensor->setting_count,
                                   .interval_ms = sensor->interval_ms,
                                   .timeout_ms = sensor->timeout_ms,
                                   .fault = fault};
}

/* KEY may be NULL: nothing is wrong. */
static void report_key(struct config_reader *reader, const struct json_node *object,
                       const char *key, const char *fault)
{
    const struct json_node *place;
    const char *member;
    if (key == NULL)
        return;
    const struct json_node *node = find_written(object, key, &place, &member);
    if (node != NULL)
        config_read_fault(reader, node, fault);
    else
        config_fault(reader->faults, place, member, "%s", fault);
}

/* What the driver itself finds in settings that are good one by one. */
static void check_settings(struct config_reader *reader, const struct json_node *object,
                           const struct cfg_sensor *sensor)
{
    char fault[DRIVER_FAULT_BYTES] = "";
    const struct driver_context context = as_context(sensor, fault);
    if (sensor->driver->check != NULL)
        report_key(reader, object, sensor->driver->check(&context), fault);
}

static const char *find_setting(const struct cfg_sensor *sensor, const char *key)
{
    for (size_t i = 0; i < sensor->setting_count; i++)
        if (strcmp(sensor->settings[i].key, key) == 0)
            return sensor->settings[i].value;
    return NULL;
}

static bool is_beside(const struct cfg_sensor *sensor, const struct cfg_sensor *other)
{
    const char *key = sensor->driver->bus_key;
    if (other->driver != sensor->driver || key == NULL)
        return false;
    const char *bus = find_setting(sensor, key);
    const char *bus_of_other = find_setting(other, key);
    return bus != NULL && bus_of_other != NULL && strcmp(bus, bus_of_other) == 0;
}

/* The first one of a bus says how it is. */
static void check_bus(struct config_reader *reader, const struct json_node *object,
                      const struct cfg_sensor *sensor)
{
    char fault[DRIVER_FAULT_BYTES] = "";
    char unused[DRIVER_FAULT_BYTES] = "";
    const struct driver_context context = as_context(sensor, fault);
    const struct cfg_sensor *other = reader->config->sensors;
    while (other < sensor && !is_beside(sensor, other))
        other++;
    if (other == sensor || sensor->driver->check_beside == NULL)
        return;
    const struct driver_context beside = as_context(other, unused);
    report_key(reader, object, sensor->driver->check_beside(&context, &beside), fault);
}

static void resolve_settings(struct config_reader *reader, const struct json_node *object,
                             struct cfg_sensor *sensor)
{
    unsigned before = reader->faults->faults;
    read_settings(reader, object, sensor);
    if (reader->faults->faults == before)
        check_settings(reader, object, sensor);
    if (reader->faults->faults == before)
        check_bus(reader, object, sensor);
    else
        sensor->setting_count = 0; /* nothing is to be compared with them */
}

static void resolve(struct config_reader *reader, const struct json_node *node, size_t index)
{
    struct cfg_sensor *sensor = &reader->config->sensors[index];
    if (sensor->name != NULL)
        for (size_t i = 0; i < index; i++) {
            const char *other = reader->config->sensors[i].name;
            if (other != NULL && strcmp(other, sensor->name) == 0)
                config_fault(reader->faults, config_read_member(node, "name"), NULL,
                             "\"%s\" is the name of sensors[%zu] already; choose another", other,
                             i);
        }
    if (sensor->name != NULL && strcmp(sensor->name, CFG_OWN_SENSOR) == 0)
        config_fault(reader->faults, config_read_member(node, "name"), NULL,
                     "\"%s\" is what the agent calls itself in its own records; choose another",
                     sensor->name);
#ifdef CONFIG_TRANSFORMS
    config_transforms_resolve(reader, node, sensor);
#endif
    if (sensor->driver_name == NULL)
        return;
    sensor->driver = driver_find(sensor->driver_name);
    if (sensor->driver == NULL) {
        fault_driver(reader, node, sensor->driver_name);
        return;
    }
    if (sensor->driver->at_events && config_read_member(node, "interval") == NULL)
        sensor->interval_ms = 0;
    resolve_settings(reader, node, sensor);
#ifdef CONFIG_TRANSFORMS
    const struct driver_key *channel = find_in_list(sensor->driver, "channels", "name");
    if (channel != NULL && channel->required) /* others have more than those that are named */
        config_transforms_channels(reader, node, sensor);
#endif
}

/* Without "sensors" the drivers of CONFIG_SENSORS run under their own names. */
static void use_standard(struct config_reader *reader)
{
    struct config *config = reader->config;
    size_t most = sizeof CONFIG_SENSORS / 2 + 1;
    struct cfg_sensor *sensors = config_pool_take(reader->pool, most * sizeof *sensors);
    char name[CFG_NAME_BYTES];
    const char *at = CONFIG_SENSORS;
    int used = 0;
    if (sensors == NULL)
        return;
    config->sensors = sensors;
    for (; sscanf(at, " %31s%n", name, &used) == 1; at += used) {
        struct cfg_sensor *sensor = &sensors[config->sensor_count++];
        config_read_object(reader, NULL, sensor_table(), sensor);
        sensor->name = config_pool_text(reader->pool, name);
        sensor->driver_name = sensor->name;
    }
}

void config_sensors_resolve(struct config_reader *reader)
{
    const struct json_node *list = config_read_member(reader->root, "sensors");
    const struct json_node *node = list == NULL ? NULL : list->first;
    if (list == NULL)
        use_standard(reader);
    for (size_t i = 0; i < reader->config->sensor_count; i++) {
        resolve(reader, node, i);
        node = node == NULL ? NULL : node->next;
    }
}
