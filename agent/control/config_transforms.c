/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "agent/control/config_reader.h"
#include "agent/control/nearest.h"
#include "platform/base/decimal.h"

enum { PERCENT_DECIMALS_MAX = 6 };

/* ---- reading ---- */

static void fault_unknown(struct config_reader *reader, const struct json_node *node)
{
    struct nearest nearest;
    nearest_start(&nearest, node->key);
    for (int i = 0; i < CFG_TRANSFORMS; i++)
        nearest_offer(&nearest, schema_transform[i].name, strlen(schema_transform[i].name));
    const char *best = nearest_result(&nearest);
    if (best != NULL)
        config_fault_key(reader->faults, node, "there is no such transform; did you mean \"%s\"?",
                         best);
    else
        config_fault_key(reader->faults, node,
                         "there is no such transform; see runnel.json(5) for those that there are");
}

static const struct schema_transform *find_kind(struct config_reader *reader,
                                                const struct json_node *node)
{
    for (int i = 0; i < CFG_TRANSFORMS; i++) {
        const struct schema_transform *kind = &schema_transform[i];
        if (strcmp(kind->name, node->key) != 0)
            continue;
        if (kind->members != NULL)
            return kind;
        config_fault_key(reader->faults, node, "is not in this program; enable %s", kind->symbol);
        return NULL;
    }
    fault_unknown(reader, node);
    return NULL;
}

static bool read_one(struct config_reader *reader, const struct json_node *node,
                     struct cfg_transform *transform)
{
    const struct json_node *member = node->kind == JSON_KIND_OBJECT ? node->first : NULL;
    if (member == NULL || member->next != NULL) {
        config_fault(reader->faults, node, NULL,
                     "is not one transform; write it like { \"rate\": { \"interval\": \"10s\" } }");
        return false;
    }
    const struct schema_transform *kind = find_kind(reader, member);
    if (kind == NULL)
        return false;
    if (member->kind != JSON_KIND_OBJECT) {
        config_fault(reader->faults, member, NULL, "is not an object; write it in braces");
        return false;
    }
    transform->kind = (enum cfg_transform_kind)(kind - schema_transform);
    config_read_object(reader, member, kind->members, transform);
    return true;
}

/* One for each that is written, also where one has faults. */
void config_transforms_read(struct config_reader *reader, const struct json_node *node,
                            struct cfg_sensor *sensor)
{
    size_t count = 0;
    if (node->kind != JSON_KIND_ARRAY) {
        config_fault(reader->faults, node, NULL, "is not a list; write it in brackets");
        return;
    }
    for (const struct json_node *child = node->first; child != NULL; child = child->next)
        count++;
    struct cfg_transform *transforms =
        config_pool_take(reader->pool, (count + 1) * sizeof *transforms);
    if (transforms == NULL)
        return;
    for (const struct json_node *child = node->first; child != NULL; child = child->next)
        if (read_one(reader, child, &transforms[sensor->transform_count]))
            sensor->transform_count++;
    sensor->transforms = transforms;
}

/* ---- what goes together ---- */

struct check {
    struct config_reader *reader;
    const struct json_node *node; /* the transform's object */
};

static void fault(const struct check *check, const char *member, const char *words)
{
    const struct json_node *node = config_read_member(check->node, member);
    if (node != NULL)
        config_fault(check->reader->faults, node, NULL, "%s", words);
    else
        config_fault(check->reader->faults, check->node, member, "%s", words);
}

/* OTHER may stand for MEMBER, and may be NULL. What is written has its own fault already. */
static void fault_missing(const struct check *check, const char *member, const char *other,
                          const char *words)
{
    if (config_read_member(check->node, member) == NULL &&
        (other == NULL || config_read_member(check->node, other) == NULL))
        config_fault(check->reader->faults, check->node, member, "%s", words);
}

/* Exactly one of two. */
static void check_either(const struct check *check, const char *first, bool has_first,
                         const char *second, bool has_second)
{
    char words[100];
    if (has_first != has_second)
        return;
    (void)snprintf(words, sizeof words,
                   has_first ? "goes without \"%s\"; remove one of the two"
                             : "is missing; say that or \"%s\"",
                   second);
    if (has_first)
        fault(check, first, words);
    else
        fault_missing(check, first, second, words);
}

/* NULL is none of them. */
static bool is_negative(const char *number)
{
    return number != NULL && number[0] == '-';
}

static struct decimal parse(const char *number)
{
    struct decimal value = {0, 0};
    (void)decimal_parse(number, strlen(number), &value);
    return value;
}

static void check_scale(const struct check *check, const struct cfg_transform *transform)
{
    if (transform->factor != NULL && parse(transform->factor).mantissa == 0)
        fault(check, "factor", "makes every value the same; write another than 0");
    if (transform->factor == NULL && transform->offset == NULL)
        fault_missing(check, "factor", "offset", "is missing; say that, \"offset\" or both");
    if (transform->decimals == NULL)
        return;
    struct decimal decimals = parse(transform->decimals);
    if (decimals.decimals > 0 || decimals.mantissa < 0 || decimals.mantissa > SAMPLE_DECIMALS_MAX)
        fault(check, "decimals", "is out of range; choose a whole number from 0 to 18");
}

/* Without one they would be nothing, or something else. */
static void check_channels(const struct check *check)
{
    const struct json_node *channels = config_read_member(check->node, "channels");
    if (channels != NULL && channels->kind == JSON_KIND_OBJECT && channels->first == NULL)
        fault(check, "channels", "names no channel; name one or leave the key out");
}

static void check_new_name(const struct check *check, const struct cfg_transform *transform,
                           size_t index)
{
    static const struct schema_key name = {.kind = SCHEMA_NAME};
    const struct cfg_tag *channel = &transform->channels[index];
    const struct json_node *node =
        config_read_member(config_read_member(check->node, "channels"), channel->name);
    char why[SCHEMA_WHY_BYTES];
    struct schema_value value;
    if (schema_parse(&name, channel->value, why, &value) < 0)
        config_fault(check->reader->faults, node, NULL, "\"%.64s\" %s", channel->value, why);
    for (size_t i = 0; i < index; i++)
        if (strcmp(transform->channels[i].value, channel->value) == 0)
            config_fault(check->reader->faults, node, NULL,
                         "\"%.64s\" is the new name of \"%.64s\" already; choose another",
                         channel->value, transform->channels[i].name);
}

static void check_rename(const struct check *check, const struct cfg_transform *transform)
{
    check_either(check, "from", transform->from != NULL, "channels", transform->channel_count > 0);
    if ((transform->from != NULL) != (transform->to != NULL))
        fault_missing(check, transform->from != NULL ? "to" : "from", NULL, "is missing; say both");
    check_channels(check);
    for (size_t i = 0; i < transform->channel_count; i++)
        check_new_name(check, transform, i);
}

static void check_flatten(const struct check *check, const struct cfg_transform *transform)
{
    check_channels(check);
    if (transform->channel_count > 0 && config_read_member(check->node, "separator") != NULL)
        fault(check, "separator", "goes without \"channels\"; remove one of the two");
}

static void check_unit(const struct check *check, const struct cfg_transform *transform)
{
    if (transform->unit != NULL && driver_unit_meaning(transform->unit) == NULL)
        fault(check, "unit",
              "is no unit name of SenML; write it like \"Cel\", \"%RH\" or \"1/min\"");
}

static void check_deadband(const struct check *check, const struct cfg_transform *transform)
{
    check_either(check, "delta", transform->delta != NULL, "percent", transform->percent != NULL);
    if (is_negative(transform->delta))
        fault(check, "delta", "is negative; write it without a sign");
    if (is_negative(transform->percent))
        fault(check, "percent", "is negative; write it without a sign");
    if (transform->percent != NULL && parse(transform->percent).decimals > PERCENT_DECIMALS_MAX)
        fault(check, "percent", "has too many decimals; 6 are the most");
}

static void check_redact(const struct check *check, const struct cfg_transform *transform)
{
    bool is_hmac = transform->action == CFG_ACTION_HMAC;
    if (is_hmac && transform->key_file == NULL)
        fault_missing(check, "key_file", NULL,
                      "is missing; an HMAC needs a key: openssl rand -hex 32 makes one");
    if (!is_hmac && transform->key_file != NULL)
        fault(check, "key_file", "goes with \"action\": \"hmac\" alone; remove it");
}

static void check_filter(const struct check *check, const struct cfg_transform *transform)
{
    bool orders = transform->comparison != CFG_EQ && transform->comparison != CFG_NE;
    check_either(check, "value", transform->value != NULL, "text", transform->text != NULL);
    if (transform->text != NULL && orders)
        fault(check, "op", "compares numbers; a text is = or != another");
}

/* Whether no value is back from both limits at once. */
static bool never_ends(const struct cfg_transform *transform)
{
    struct decimal above = parse(transform->above);
    struct decimal hysteresis = parse(transform->hysteresis);
    struct decimal twice = {-2, 0};
    struct decimal below = parse(transform->below);
    unsigned decimals = hysteresis.decimals > above.decimals ? hysteresis.decimals : above.decimals;
    return decimal_scale(hysteresis, twice, above, decimals, &above) == 0 &&
           decimal_compare(above, below) < 0;
}

static void check_alarm(const struct check *check, const struct cfg_transform *transform)
{
    if (transform->above == NULL && transform->below == NULL)
        fault_missing(check, "above", "below", "is missing; say that, \"below\" or both");
    if (is_negative(transform->hysteresis))
        fault(check, "hysteresis", "is negative; write it without a sign");
    if (transform->above == NULL || transform->below == NULL)
        return;
    if (decimal_compare(parse(transform->below), parse(transform->above)) > 0)
        fault(check, "below", "is larger than \"above\"; then every value is an alarm");
    else if (transform->hysteresis != NULL && never_ends(transform))
        fault(check, "hysteresis",
              "is more than half of what lies between the limits; then an alarm never ends");
}

static void check_paths(const struct check *check, const struct cfg_transform *transform)
{
    static const char words[] = "is too deep; a document has at most 16 levels";
    if (transform->channel != NULL && !config_read_is_path(transform->channel))
        fault(check, "channel", words);
    for (size_t i = 0; i < transform->channel_count; i++)
        if (transform->kind == CFG_TRANSFORM_FLATTEN &&
            !config_read_is_path(transform->channels[i].value))
            fault(check, "channels", words);
}

static void check_transform(const struct check *check, const struct cfg_transform *transform)
{
    check_paths(check, transform);
    switch (transform->kind) {
    case CFG_TRANSFORM_SCALE:
        check_scale(check, transform);
        break;
    case CFG_TRANSFORM_RENAME:
        check_rename(check, transform);
        break;
    case CFG_TRANSFORM_UNIT:
        check_unit(check, transform);
        break;
    case CFG_TRANSFORM_DEADBAND:
        check_deadband(check, transform);
        break;
    case CFG_TRANSFORM_FLATTEN:
        check_flatten(check, transform);
        break;
    case CFG_TRANSFORM_REDACT:
        check_redact(check, transform);
        break;
    case CFG_TRANSFORM_TAG:
        check_either(check, "value", transform->tag_value != NULL, "channel",
                     transform->channel != NULL);
        break;
    case CFG_TRANSFORM_FILTER:
        check_filter(check, transform);
        break;
    case CFG_TRANSFORM_ALARM:
        check_alarm(check, transform);
        break;
    default:
        break;
    }
}

/* ---- channels ---- */

static bool is_channel(const struct json_node *list, const char *name, struct nearest *nearest)
{
    for (const struct json_node *child = list->first; child != NULL; child = child->next) {
        const struct json_node *node = config_read_member(child, "name");
        if (node == NULL || node->text == NULL)
            return true; /* reported, and may be this one */
        if (strcmp(node->text, name) == 0)
            return true;
        nearest_offer(nearest, node->text, strlen(node->text));
    }
    return false;
}

static void warn_of_channel(const struct check *check, const struct json_node *list,
                            const char *name)
{
    struct nearest nearest;
    nearest_start(&nearest, name);
    if (is_channel(list, name, &nearest))
        return;
    const char *best = nearest_result(&nearest);
    config_fault_warn(check->reader->faults, check->node, "channel",
                      "no channel of this sensor is called that; %s%s%s",
                      best == NULL ? "see its \"channels\"" : "did you mean \"",
                      best == NULL ? "" : best, best == NULL ? "" : "\"?");
}

/* From these on a channel may have another name, or be another. */
static bool changes_names(const struct cfg_transform *transform)
{
    return transform->kind == CFG_TRANSFORM_RENAME || transform->kind == CFG_TRANSFORM_FLATTEN ||
           transform->kind == CFG_TRANSFORM_SUMMARIZE;
}

void config_transforms_channels(struct config_reader *reader, const struct json_node *node,
                                const struct cfg_sensor *sensor)
{
    const struct json_node *list = config_read_member(node, "channels");
    const struct json_node *transforms = config_read_member(node, "transforms");
    const struct json_node *child = transforms != NULL ? transforms->first : NULL;
    if (list == NULL || list->kind != JSON_KIND_ARRAY)
        return;
    for (size_t i = 0; i < sensor->transform_count && child != NULL; i++, child = child->next) {
        const struct check check = {reader, child->first};
        if (changes_names(&sensor->transforms[i]))
            return;
        if (sensor->transforms[i].channel != NULL)
            warn_of_channel(&check, list, sensor->transforms[i].channel);
    }
}

/* ---- all together ---- */

/* Up to its end, and until a batch has it, what an interval holds is nowhere but in RAM. */
static void warn_of_window(const struct check *check, const struct cfg_sensor *sensor,
                           const struct cfg_transform *transform)
{
    const struct cfg_lane_setup *lane = &check->reader->config->spool.lanes[sensor->lane];
    bool holds = transform->kind == CFG_TRANSFORM_SUMMARIZE ||
                 (transform->kind == CFG_TRANSFORM_RATE && transform->keep == CFG_KEEP_LAST);
    if (holds && transform->interval_ms + lane->age_ms > lane->window_ms)
        config_fault_warn(
            check->reader->faults, config_read_member(check->node, "interval"), NULL,
            "is longer than the window of the lane %s, and what it holds is only in RAM; "
            "shorten it, or accept that a power cut costs one interval",
            config_lane_name(sensor->lane));
}

/* The list and what was read of it do not run side by side where one had faults; those are what
 * counts then. */
void config_transforms_resolve(struct config_reader *reader, const struct json_node *node,
                               const struct cfg_sensor *sensor)
{
    const struct json_node *list = config_read_member(node, "transforms");
    const struct json_node *child = list == NULL ? NULL : list->first;
    size_t tags = sensor->tag_count;
    size_t count = 0;
    for (const struct json_node *one = child; one != NULL; one = one->next)
        count++;
    if (count != sensor->transform_count)
        return;
    for (size_t i = 0; i < count; i++, child = child->next) {
        const struct cfg_transform *transform = &sensor->transforms[i];
        const struct check check = {reader, child->first};
        check_transform(&check, transform);
        warn_of_window(&check, sensor, transform);
        tags += transform->kind == CFG_TRANSFORM_TAG;
    }
    if (tags > CFG_TAGS_MAX)
        config_fault(reader->faults, list, NULL,
                     "make %zu tags with those of the sensor; %d are the most", tags,
                     (int)CFG_TAGS_MAX);
}
