/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "agent/control/config_reader.h"
#include "agent/control/expand.h"
#include "agent/control/nearest.h"
#include "platform/base/error.h"
#include "platform/json/json_scan.h"

enum { QUOTE_BYTES = 100 };

/* As it is spelt in the file: what ${file:} stands for is never shown. */
static const char *quote(const struct json_node *node, char text[QUOTE_BYTES])
{
    switch (node->kind) {
    case JSON_KIND_TEXT:
        (void)snprintf(text, QUOTE_BYTES, "\"%.90s\"", node->text);
        break;
    case JSON_KIND_OBJECT:
        (void)snprintf(text, QUOTE_BYTES, "an object");
        break;
    case JSON_KIND_ARRAY:
        (void)snprintf(text, QUOTE_BYTES, "a list");
        break;
    default:
        (void)snprintf(text, QUOTE_BYTES, "%s", node->text == NULL ? "null" : node->text);
    }
    return text;
}

void config_read_fault(struct config_reader *reader, const struct json_node *node, const char *why)
{
    char quoted[QUOTE_BYTES];
    config_fault(reader->faults, node, NULL, "%s %s", quote(node, quoted), why);
}

static void fault_kind(struct config_reader *reader, const struct json_node *node,
                       const struct schema_key *key)
{
    char why[SCHEMA_WHY_BYTES];
    schema_why(key, node->text == NULL ? "" : node->text, why);
    config_read_fault(reader, node, why);
}

const struct json_node *config_read_member(const struct json_node *object, const char *key)
{
    const struct json_node *member = json_read_member(object, key);
    return member == NULL || member->kind == JSON_KIND_NULL ? NULL : member;
}

bool config_read_is_path(const char *text)
{
    int parts = 1;
    for (; *text != '\0'; text++)
        parts += *text == '.';
    return parts <= JSON_DEPTH_MAX;
}

/* ---- scalars ---- */

static bool is_written_as(const struct json_node *node, enum schema_kind kind)
{
    switch (kind) {
    case SCHEMA_INTEGER:
    case SCHEMA_DECIMAL:
        return node->kind == JSON_KIND_NUMBER;
    case SCHEMA_BOOLEAN:
        return node->kind == JSON_KIND_BOOLEAN;
    case SCHEMA_SIZE:
        return node->kind == JSON_KIND_NUMBER || node->kind == JSON_KIND_TEXT;
    default:
        return node->kind == JSON_KIND_TEXT;
    }
}

static const char *root_of(const struct config_reader *reader)
{
    const char *root = reader->options->root;
    return root == NULL ? "" : root;
}

/* The device as a part of the thing; NULL if it is named after the thing, or cannot be told. */
static const char *device_of_thing(const struct config_reader *reader, const struct json_node *root,
                                   char device[EXPAND_BYTES])
{
    char why[EXPAND_WHY_BYTES];
    const struct json_node *node = config_read_member(root, "device");
    const struct expand sources = {.root = root_of(reader)};
    const char *text = schema_find(&schema_root, "device")->standard;
    if (node != NULL)
        text = node->kind == JSON_KIND_TEXT ? node->text : "";
    return expand_text(&sources, text, device, why) == 0 ? device : NULL;
}

static const struct json_node *thing_node(struct config_reader *reader,
                                          const struct json_node *root)
{
    const struct json_node *credentials = config_read_member(root, "credentials");
    const struct json_node *node = config_read_member(credentials, "default");
    const char *provider = config_read_word(reader, config_read_member(node, "provider"));
    const struct json_node *thing = config_read_member(node, "thing");
    bool is_iot =
        provider != NULL && (strcmp(provider, "iot") == 0 || strcmp(provider, "chain") == 0);
    return is_iot && thing != NULL && thing->kind == JSON_KIND_TEXT ? thing : NULL;
}

/* The device may be named after the thing, or the thing after the device, but not both. */
void config_read_thing(struct config_reader *reader, const struct json_node *device,
                       const struct json_node *credentials)
{
    char name[EXPAND_BYTES];
    char thing[EXPAND_BYTES];
    char why[EXPAND_WHY_BYTES];
    char fault[EXPAND_WHY_BYTES + sizeof "credentials.default.thing: "];
    const struct json_node *node = thing_node(reader, credentials);
    const struct expand sources = {.root = root_of(reader),
                                   .device = device_of_thing(reader, device, name)};
    reader->thing_error = E_NOT_FOUND;
    reader->thing_fault =
        "there is none; write \"thing\" and \"provider\": \"iot\" into \"credentials\": "
        "{ \"default\": ... }, or use ${device}";
    if (node == NULL)
        return;
    int rc = expand_text(&sources, node->text, thing, why);
    if (rc == 0) {
        reader->thing = config_pool_text(reader->pool, thing);
        return;
    }
    (void)snprintf(fault, sizeof fault, "credentials.default.thing: %s", why);
    reader->thing_error = rc;
    reader->thing_fault = config_pool_text(reader->pool, fault);
}

/* For a text of KEY, or of whatever key that is not the device. */
static int expand_for(const struct config_reader *reader, const struct schema_key *key,
                      const char *text, char expanded[EXPAND_BYTES], char why[EXPAND_WHY_BYTES])
{
    const char *device = reader->config->device;
    bool is_device = key == schema_find(&schema_root, "device");
    bool is_thing = key == schema_find(schema_find(&schema_root, "credentials")->members, "thing");
    const struct expand sources = {.root = root_of(reader),
                                   .device = is_device        ? NULL
                                             : device == NULL ? "unknown" /* that is reported */
                                                              : device,
                                   .thing = is_thing ? NULL : reader->thing,
                                   .thing_error = reader->thing_error,
                                   .thing_fault = is_thing ? NULL : reader->thing_fault};
    return expand_text(&sources, text, expanded, why);
}

const char *config_read_word(struct config_reader *reader, const struct json_node *node)
{
    char expanded[EXPAND_BYTES];
    char why[EXPAND_WHY_BYTES];
    if (node == NULL || node->kind != JSON_KIND_TEXT ||
        expand_for(reader, NULL, node->text, expanded, why) < 0)
        return NULL;
    return config_pool_text(reader->pool, expanded);
}

/* TEXT with its ${...} replaced, or NULL and the reason in WHY. */
static const char *expand(struct config_reader *reader, const struct schema_key *key,
                          const char *text, char why[EXPAND_WHY_BYTES])
{
    char expanded[EXPAND_BYTES];
    int rc = expand_for(reader, key, text, expanded, why);
    if (rc == E_AGAIN)
        reader->faults->awaited++;
    if (rc < 0)
        return NULL;
    return config_pool_text(reader->pool, expanded);
}

const char *config_read_text(struct config_reader *reader, const struct json_node *node,
                             const struct schema_key *key)
{
    char why[EXPAND_WHY_BYTES];
    if (!is_written_as(node, key->kind)) {
        fault_kind(reader, node, key);
        return NULL;
    }
    const char *text = expand(reader, key, node->text, why);
    if (text == NULL)
        config_fault(reader->faults, node, NULL, "%s", why);
    return text;
}

const char *config_read_scalar(struct config_reader *reader, const struct json_node *node,
                               const struct schema_key *key, struct schema_value *ret_value)
{
    char why[SCHEMA_WHY_BYTES];
    const char *text = config_read_text(reader, node, key);
    if (text == NULL)
        return NULL;
    if (schema_parse(key, text, why, ret_value) < 0) {
        config_read_fault(reader, node, why);
        return NULL;
    }
    return text;
}

static void store(const struct schema_key *key, const struct schema_value *value, void *target)
{
    _Static_assert(sizeof(enum cfg_full) == sizeof(int), "choices are stored as int");
    if (key->offset == SCHEMA_NOWHERE)
        return;
    char *at = (char *)target + key->offset;
    const uint64_t size = (uint64_t)value->number;
    const unsigned number = (unsigned)value->number;
    switch (key->kind) {
    case SCHEMA_TEXT:
    case SCHEMA_NAME:
    case SCHEMA_DECIMAL:
        memcpy(at, &value->text, sizeof value->text);
        break;
    case SCHEMA_DURATION:
    case SCHEMA_SIZE:
    case SCHEMA_RATE:
    case SCHEMA_FREQUENCY:
        memcpy(at, &size, sizeof size);
        break;
    case SCHEMA_BOOLEAN:
        memcpy(at, &value->flag, sizeof value->flag);
        break;
    default:
        memcpy(at, &number, sizeof number);
    }
}

static void read_scalar(struct config_reader *reader, const struct json_node *node,
                        const struct schema_key *key, void *target)
{
    struct schema_value value;
    if (config_read_scalar(reader, node, key, &value) != NULL)
        store(key, &value, target);
}

/* ---- what is no scalar ---- */

static void read_words(struct config_reader *reader, const struct json_node *node,
                       const struct schema_key *key, void *target)
{
    static const char lanes[] = "alarm|normal|bulk";
    bool is_lanes = key->kind == SCHEMA_LANES;
    const char *noun = is_lanes ? "lane" : "word";
    const struct schema_key element = {.kind = SCHEMA_CHOICE,
                                       .choices = is_lanes ? lanes : key->choices};
    bool *words = (bool *)((char *)target + key->offset);
    if (node->kind != JSON_KIND_ARRAY) {
        fault_kind(reader, node, key);
        return;
    }
    if (node->first == NULL)
        config_fault(reader->faults, node, NULL, "names no %s; leave the key out for %s", noun,
                     is_lanes ? "all lanes" : "the usual ones");
    for (const struct json_node *child = node->first; child != NULL; child = child->next) {
        struct schema_value value;
        if (config_read_scalar(reader, child, &element, &value) == NULL)
            continue;
        if (words[value.number])
            config_fault(reader->faults, child, NULL, "this %s is there twice; remove one", noun);
        words[value.number] = true;
    }
}

static size_t count_children(const struct json_node *node)
{
    size_t count = 0;
    for (const struct json_node *child = node->first; child != NULL; child = child->next)
        count++;
    return count;
}

static bool is_too_long(struct config_reader *reader, const struct json_node *node,
                        const struct schema_key *key, size_t count)
{
    if (key->high == 0 || count <= (size_t)key->high)
        return false;
    config_fault(reader->faults, node, NULL, "there are %zu; %d are the most", count,
                 (int)key->high);
    return true;
}

static bool reject_duplicate(struct config_reader *reader, const struct json_node *node)
{
    if (node->duplicate)
        config_fault_key(reader->faults, node, "this key is there twice; remove one");
    return node->duplicate;
}

static bool check_name(struct config_reader *reader, const struct json_node *node)
{
    static const struct schema_key name = {.kind = SCHEMA_NAME};
    char why[SCHEMA_WHY_BYTES];
    struct schema_value value;
    if (schema_parse(&name, node->key, why, &value) == 0)
        return true;
    config_fault_key(reader->faults, node, "\"%.64s\" %s", node->key, why);
    return false;
}

static void read_tags(struct config_reader *reader, const struct json_node *node,
                      const struct schema_key *key, void *target)
{
    static const struct schema_key text = {.kind = SCHEMA_TEXT, .high = 255};
    size_t count = 0;
    if (node->kind != JSON_KIND_OBJECT) {
        fault_kind(reader, node, key);
        return;
    }
    size_t most = (size_t)key->high;
    struct cfg_tag *tags = config_pool_take(reader->pool, most * sizeof *tags);
    for (const struct json_node *child = node->first; child != NULL; child = child->next) {
        struct schema_value value;
        if (reject_duplicate(reader, child) || child->kind == JSON_KIND_NULL ||
            !check_name(reader, child) ||
            config_read_scalar(reader, child, &text, &value) == NULL || tags == NULL)
            continue;
        if (count == most) {
            config_fault_key(reader->faults, child, "one %s too many; %zu are the most",
                             most == CFG_TAGS_MAX ? "tag" : "channel", most);
            break;
        }
        config_place_node(reader, child, &tags[count]);
        tags[count++] = (struct cfg_tag){config_pool_text(reader->pool, child->key), value.text};
    }
    memcpy((char *)target + key->offset, &tags, sizeof tags);
    memcpy((char *)target + key->count_offset, &count, sizeof count);
}

/* They stand in the order of the children, one for each; NULL where one has faults. */
static void read_texts(struct config_reader *reader, const struct json_node *node,
                       const struct schema_key *key, void *target)
{
    static const struct schema_key text = {.kind = SCHEMA_TEXT, .high = 400};
    size_t index = 0;
    if (node->kind != JSON_KIND_ARRAY) {
        fault_kind(reader, node, key);
        return;
    }
    size_t count = count_children(node);
    if (is_too_long(reader, node, key, count))
        return;
    const char **texts = config_pool_take(reader->pool, (count + 1) * sizeof *texts);
    if (texts == NULL)
        return;
    for (const struct json_node *child = node->first; child != NULL; child = child->next) {
        struct schema_value value;
        texts[index] = config_read_scalar(reader, child, &text, &value);
        config_place_node(reader, child, &texts[index++]);
    }
    memcpy((char *)target + key->offset, &texts, sizeof texts);
    memcpy((char *)target + key->count_offset, &count, sizeof count);
}

static void read_partition_object(struct config_reader *reader, const struct json_node *node,
                                  struct cfg_route *route)
{
    static const struct schema_key text = {.kind = SCHEMA_TEXT, .high = 256};
    const struct json_node *child = node->first;
    struct schema_value value;
    bool field = child != NULL && strcmp(child->key, "field") == 0;
    bool fixed = child != NULL && strcmp(child->key, "fixed") == 0;
    if ((!field && !fixed) || child->next != NULL) {
        config_read_fault(reader, node,
                          "is no partition; write it like { \"field\": \"NAME\" } or "
                          "{ \"fixed\": \"KEY\" }");
        return;
    }
    if (config_read_scalar(reader, child, &text, &value) == NULL)
        return;
    config_place_node(reader, child, &route->partition);
    route->partition = field ? CFG_PARTITION_FIELD : CFG_PARTITION_FIXED;
    route->partition_key = value.text;
}

static void read_partition(struct config_reader *reader, const struct json_node *node,
                           const struct schema_key *key, void *target)
{
    struct cfg_route *route = target;
    struct schema_key choice = *key;
    choice.kind = SCHEMA_CHOICE;
    struct schema_value value;
    if (node->kind == JSON_KIND_OBJECT)
        read_partition_object(reader, node, route);
    else if (config_read_scalar(reader, node, &choice, &value) != NULL)
        route->partition = (enum cfg_partition)value.number;
}

static void read_element(struct config_reader *reader, const struct json_node *node,
                         const struct schema_key *key, char *element)
{
    static const struct schema_key object = {.kind = SCHEMA_OBJECT};
    if (node->kind != JSON_KIND_OBJECT) {
        fault_kind(reader, node, &object);
        return;
    }
    if (key->kind == SCHEMA_MAP && check_name(reader, node)) {
        const char *name = config_pool_text(reader->pool, node->key);
        memcpy(element, &name, sizeof name);
    }
    config_read_object(reader, node, key->members, element);
}

/* The elements stand in the order of the children, one for each, also where one has faults. */
static void read_elements(struct config_reader *reader, const struct json_node *node,
                          const struct schema_key *key, void *target)
{
    if (node->kind != (key->kind == SCHEMA_LIST ? JSON_KIND_ARRAY : JSON_KIND_OBJECT)) {
        fault_kind(reader, node, key);
        return;
    }
    size_t count = count_children(node);
    if (is_too_long(reader, node, key, count))
        return;
    char *elements = config_pool_take(reader->pool, (count + 1) * key->element_bytes);
    if (elements == NULL)
        return;
    memcpy((char *)target + key->offset, &elements, sizeof elements);
    memcpy((char *)target + key->count_offset, &count, sizeof count);
    for (const struct json_node *child = node->first; child != NULL; child = child->next) {
        bool skip = key->kind == SCHEMA_MAP &&
                    (reject_duplicate(reader, child) || child->kind == JSON_KIND_NULL);
        if (!skip)
            read_element(reader, child, key, elements);
        elements += key->element_bytes;
    }
}

/* ---- objects ---- */

static void read_present(struct config_reader *reader, const struct json_node *node,
                         const struct schema_key *key, void *target)
{
    switch (key->kind) {
    case SCHEMA_LANES:
    case SCHEMA_WORDS:
        read_words(reader, node, key, target);
        break;
    case SCHEMA_TAGS:
        read_tags(reader, node, key, target);
        break;
    case SCHEMA_TEXTS:
        read_texts(reader, node, key, target);
        break;
#ifdef CONFIG_TRANSFORMS
    case SCHEMA_TRANSFORMS:
        config_transforms_read(reader, node, target);
        break;
#endif
    case SCHEMA_PARTITION:
        read_partition(reader, node, key, target);
        break;
    case SCHEMA_OBJECT:
        if (node->kind == JSON_KIND_OBJECT)
            config_read_object(reader, node, key->members, (char *)target + key->offset);
        else
            fault_kind(reader, node, key);
        break;
    case SCHEMA_LIST:
    case SCHEMA_MAP:
        read_elements(reader, node, key, target);
        break;
    case SCHEMA_ABSENT:
        if (key->symbol != NULL)
            config_fault_key(reader->faults, node, "is not in this program; enable %s",
                             key->symbol);
        else
            config_fault_key(reader->faults, node, "is not available in this version; remove it");
        break;
    default:
        read_scalar(reader, node, key, target);
    }
}

/* As config_walk tells the addresses. */
static void note_place(struct config_reader *reader, const struct json_node *node,
                       const struct schema_key *key, void *target)
{
    const struct cfg_route *route = target;
    if (key->kind == SCHEMA_PARTITION)
        config_place_node(reader, node, &route->partition);
    else if (key->offset != SCHEMA_NOWHERE && key->kind != SCHEMA_ABSENT)
        config_place_node(reader, node, (char *)target + key->offset);
}

static void take_words(const struct schema_key *key, bool *words)
{
    const char *word = key->standard;
    for (size_t count = 0; *word != '\0'; word += count + (word[count] == '|')) {
        char one[32];
        count = strcspn(word, "|");
        (void)snprintf(one, sizeof one, "%.*s", (int)count, word);
        words[schema_choice(key->choices, one)] = true;
    }
}

static void read_standard(struct config_reader *reader, const struct json_node *object,
                          const struct schema_key *key, void *target)
{
    char why[SCHEMA_WHY_BYTES];
    struct schema_value value = {0};
    if (key->kind == SCHEMA_LANES) {
        memset((char *)target + key->offset, true, CFG_LANES * sizeof(bool));
        return;
    }
    if (key->kind == SCHEMA_WORDS) {
        take_words(key, (bool *)((char *)target + key->offset));
        return;
    }
    if (key->kind == SCHEMA_PARTITION) {
        struct cfg_route *route = target;
        route->partition = (enum cfg_partition)schema_choice(key->choices, key->standard);
        return;
    }
    const char *text = expand(reader, key, key->standard, why);
    if (text == NULL || schema_parse(key, text, why, &value) < 0)
        config_fault(reader->faults, object, key->name, "%s%s%s", text == NULL ? "" : key->standard,
                     text == NULL ? "" : " ", why);
    else
        store(key, &value, target);
}

void config_read_key(struct config_reader *reader, const struct json_node *object,
                     const struct schema_key *key, void *target)
{
    const struct json_node *node = config_read_member(object, key->name);
    if (node != NULL) {
        note_place(reader, node, key, target);
        read_present(reader, node, key, target);
    } else if (key->kind == SCHEMA_OBJECT)
        config_read_object(reader, NULL, key->members, (char *)target + key->offset);
    else if (key->standard != NULL)
        read_standard(reader, object, key, target);
    else if (key->required && object != NULL)
        config_fault(reader->faults, object, key->name, "is missing; %s", key->help);
}

void config_read_unknown(struct config_reader *reader, const struct json_node *node,
                         const char *best)
{
    const char *home = config_home(node->key);
    if (best != NULL)
        config_fault_key(reader->faults, node, "there is no such key; did you mean \"%s\"?", best);
    else if (home != NULL)
        config_fault_key(reader->faults, node, "there is no such key here; write it into %s", home);
    else
        config_fault_key(reader->faults, node, "there is no such key; remove it");
}

static void offer_keys(struct nearest *nearest, const struct schema_key *keys)
{
    for (const struct schema_key *key = keys; key->name != NULL; key++)
        nearest_offer(nearest, key->name, strlen(key->name));
}

static void check_members(struct config_reader *reader, const struct json_node *object,
                          const struct schema_table *table)
{
    for (const struct json_node *node = object->first; node != NULL; node = node->next) {
        struct nearest nearest;
        if (reject_duplicate(reader, node) || table->open || schema_find(table, node->key) != NULL)
            continue;
        nearest_start(&nearest, node->key);
        offer_keys(&nearest, table->keys);
        for (const struct schema_part *part = table->parts; part != NULL && part->only != NULL;
             part++)
            offer_keys(&nearest, part->keys);
        config_read_unknown(reader, node, nearest_result(&nearest));
    }
}

/* What is written for another choice of the selector than CHOICE. */
static void check_parts(struct config_reader *reader, const struct json_node *object,
                        const struct schema_table *table, const char *choice)
{
    for (const struct json_node *node = object->first; node != NULL; node = node->next) {
        const char *only = schema_only(table, node->key, choice);
        char words[SCHEMA_WHY_BYTES];
        if (only == NULL || node->kind == JSON_KIND_NULL)
            continue;
        (void)snprintf(words, sizeof words, "%s", only);
        for (char *bar = words; (bar = strchr(bar, '|')) != NULL;)
            *bar = '/';
        config_fault_key(reader->faults, node, "goes with \"%s\": %s alone; remove it",
                         table->selector, words);
    }
}

static void read_keys(struct config_reader *reader, const struct json_node *object,
                      const struct schema_key *keys, void *target)
{
    for (const struct schema_key *key = keys; key->name != NULL; key++)
        config_read_key(reader, object, key, target);
}

/* CHOICE NULL: the selector is missing or wrong, which was reported. */
static void read_parts(struct config_reader *reader, const struct json_node *object,
                       const struct schema_table *table, const char *choice, void *target)
{
    if (choice == NULL)
        return;
    if (object != NULL)
        check_parts(reader, object, table, choice);
    for (const struct schema_part *part = table->parts; part != NULL && part->only != NULL; part++)
        if (schema_choice(part->only, choice) >= 0)
            read_keys(reader, object, part->keys, target);
}

/* Whether OBJECT is of a kind that this program lacks: then its keys mean nothing here. */
static bool is_of_absent_kind(struct config_reader *reader, const struct json_node *object,
                              const struct schema_key *selector)
{
    const char *word = config_read_word(reader, config_read_member(object, selector->name));
    return word != NULL && (schema_choice(selector->absent, word) >= 0 ||
                            schema_choice(selector->left_out, word) >= 0);
}

bool config_read_is_choice(struct config_reader *reader, const struct json_node *node,
                           const struct schema_key *key)
{
    const char *word = config_read_word(reader, node);
    return word != NULL && schema_choice(key->choices, word) >= 0 &&
           schema_choice(key->left_out, word) < 0;
}

const char *config_read_choice(struct config_reader *reader, const struct json_node *object,
                               const struct schema_table *table)
{
    const struct schema_key *selector = schema_find(table, table->selector);
    const struct json_node *node = config_read_member(object, selector->name);
    if (object == NULL)
        return table->unwritten;
    return config_read_is_choice(reader, node, selector) ? config_read_word(reader, node) : NULL;
}

void config_read_object(struct config_reader *reader, const struct json_node *object,
                        const struct schema_table *table, void *target)
{
    if (object != NULL && table->selector != NULL) {
        const struct schema_key *selector = schema_find(table, table->selector);
        if (is_of_absent_kind(reader, object, selector)) {
            config_read_key(reader, object, selector, target);
            return;
        }
    }
    if (object != NULL)
        check_members(reader, object, table);
    read_keys(reader, object, table->keys, target);
    if (table->parts != NULL)
        read_parts(reader, object, table, config_read_choice(reader, object, table), target);
}
