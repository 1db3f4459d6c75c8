/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control/schema_parts.h"

#ifdef CONFIG_TRANSFORM_SCALE
static const struct schema_key scale_keys[] = {
    /* else all that are numbers */
    {.name = "channel", .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_transform, channel), .high = 200},
    /* value * factor + offset, exactly */
    {.name = "factor", .kind = SCHEMA_DECIMAL, SCHEMA_AT(cfg_transform, factor)},
    {.name = "offset", .kind = SCHEMA_DECIMAL, SCHEMA_AT(cfg_transform, offset)},
    /* of the result, 0 to 18; else as many as it takes to be exact */
    {.name = "decimals", .kind = SCHEMA_DECIMAL, SCHEMA_AT(cfg_transform, decimals)},
    {.name = NULL},
};
static const struct schema_table scale_table = {.keys = scale_keys};
#define SCALE &scale_table
#else
#define SCALE NULL
#endif

#ifdef CONFIG_TRANSFORM_RENAME
static const struct schema_key rename_keys[] = {
    /* one name */
    {.name = "from", .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_transform, from), .high = 31},
    {.name = "to", .kind = SCHEMA_NAME, SCHEMA_AT(cfg_transform, to)},
    /* or many: { "temp1": "inlet" } */
    {.name = "channels",
     .kind = SCHEMA_TAGS,
     SCHEMA_AT(cfg_transform, channels),
     .high = CFG_CHANNELS_MAX,
     .count_offset = offsetof(struct cfg_transform, channel_count)},
    {.name = NULL},
};
static const struct schema_table rename_table = {.keys = rename_keys};
#define RENAME &rename_table
#else
#define RENAME NULL
#endif

#ifdef CONFIG_TRANSFORM_UNIT
static const struct schema_key unit_keys[] = {
    {.name = "channel",
     .kind = SCHEMA_TEXT,
     SCHEMA_AT(cfg_transform, channel),
     .high = 200,
     .required = true,
     .help = "which one: \"channel\": \"temp\""},
    {.name = "unit",
     .kind = SCHEMA_TEXT,
     SCHEMA_AT(cfg_transform, unit),
     .high = 15,
     .required = true,
     .help = "a unit of SenML: \"unit\": \"Cel\""},
    {.name = NULL},
};
static const struct schema_table unit_table = {.keys = unit_keys};
#define UNIT &unit_table
#else
#define UNIT NULL
#endif

#ifdef CONFIG_TRANSFORM_DEADBAND
static const struct schema_key deadband_keys[] = {
    /* else all */
    {.name = "channel", .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_transform, channel), .high = 200},
    /* a value that is so near to the one sent last is not sent */
    {.name = "delta", .kind = SCHEMA_DECIMAL, SCHEMA_AT(cfg_transform, delta)},
    /* likewise, in percent of that */
    {.name = "percent", .kind = SCHEMA_DECIMAL, SCHEMA_AT(cfg_transform, percent)},
    /* after so long all are sent again; "0s": never */
    {.name = "heartbeat",
     .kind = SCHEMA_DURATION,
     SCHEMA_AT(cfg_transform, interval_ms),
     .standard = "0s",
     .high = 31 * SCHEMA_DAY_MS},
    {.name = NULL},
};
static const struct schema_table deadband_table = {.keys = deadband_keys};
#define DEADBAND &deadband_table
#else
#define DEADBAND NULL
#endif

#ifdef CONFIG_TRANSFORM_SUMMARIZE
static const struct schema_key summarize_keys[] = {
    /* one record for each, on the wall clock. Until it ends its samples exist only in RAM */
    {.name = "interval",
     .kind = SCHEMA_DURATION,
     SCHEMA_AT(cfg_transform, interval_ms),
     .required = true,
     .low = 100,
     .high = SCHEMA_DAY_MS,
     .help = "\"interval\": \"1m\""},
    /* what of each channel: temp_min ...; cover: how much of the interval was looked at, in percent
     */
    {.name = "functions",
     .kind = SCHEMA_WORDS,
     SCHEMA_AT(cfg_transform, functions),
     .choices = "min|mean|max|last|count|cover",
     .standard = "min|mean|max"},
    {.name = NULL},
};
static const struct schema_table summarize_table = {.keys = summarize_keys};
#define SUMMARIZE &summarize_table
#else
#define SUMMARIZE NULL
#endif

#ifdef CONFIG_TRANSFORM_RATE
static const struct schema_key rate_keys[] = {
    {.name = "interval",
     .kind = SCHEMA_DURATION,
     SCHEMA_AT(cfg_transform, interval_ms),
     .required = true,
     .low = 10,
     .high = SCHEMA_DAY_MS,
     .help = "\"interval\": \"10s\""},
    /* first: two are an interval apart; last: held in RAM until the interval ends */
    {.name = "keep",
     .kind = SCHEMA_CHOICE,
     SCHEMA_AT(cfg_transform, keep),
     .choices = "last|first",
     .standard = "first"},
    {.name = NULL},
};
static const struct schema_table rate_table = {.keys = rate_keys};
#define RATE &rate_table
#else
#define RATE NULL
#endif

#ifdef CONFIG_TRANSFORM_FLATTEN
static const struct schema_key flatten_keys[] = {
    /* members that become channels: { "temp": "reading.temp" }; else one object without depth */
    {.name = "channels",
     .kind = SCHEMA_TAGS,
     SCHEMA_AT(cfg_transform, channels),
     .high = CFG_CHANNELS_MAX,
     .count_offset = offsetof(struct cfg_transform, channel_count)},
    /* of that object's names */
    {.name = "separator",
     .kind = SCHEMA_CHOICE,
     SCHEMA_AT(cfg_transform, separator),
     .choices = ".|_|/|-|:",
     .standard = "."},
    {.name = NULL},
};
static const struct schema_table flatten_table = {.keys = flatten_keys};
#define FLATTEN &flatten_table
#else
#define FLATTEN NULL
#endif

#ifdef CONFIG_TRANSFORM_REDACT
static const struct schema_key redact_keys[] = {
    {.name = "channel",
     .kind = SCHEMA_TEXT,
     SCHEMA_AT(cfg_transform, channel),
     .high = 200,
     .required = true,
     .help = "which one: \"channel\": \"temp\"; in documents the member: \"a.b\""},
    {.name = "action",
     .kind = SCHEMA_CHOICE,
     SCHEMA_AT(cfg_transform, action),
     .required = true,
     .choices = "drop|mask|hmac",
     .help = "\"drop\", \"mask\" or \"hmac\""},
    /* hmac: a text that nobody else knows; the same secret and key give the same 64 digits */
    {.name = "key_file", .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_transform, key_file), .high = 400},
    {.name = NULL},
};
static const struct schema_table redact_table = {.keys = redact_keys};
#define REDACT &redact_table
#else
#define REDACT NULL
#endif

#ifdef CONFIG_TRANSFORM_TAG
static const struct schema_key tag_keys[] = {
    {.name = "name",
     .kind = SCHEMA_NAME,
     SCHEMA_AT(cfg_transform, name),
     .required = true,
     .help = "\"name\": \"site\""},
    /* what it says */
    {.name = "value", .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_transform, tag_value), .high = 255},
    /* or a channel, or a document's member, that says it */
    {.name = "channel", .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_transform, channel), .high = 200},
    {.name = NULL},
};
static const struct schema_table tag_table = {.keys = tag_keys};
#define TAG &tag_table
#else
#define TAG NULL
#endif

#ifdef CONFIG_TRANSFORM_FILTER
static const struct schema_key filter_keys[] = {
    {.name = "channel",
     .kind = SCHEMA_TEXT,
     SCHEMA_AT(cfg_transform, channel),
     .high = 200,
     .required = true,
     .help = "which one: \"channel\": \"temp\"; in documents the member: \"a.b\""},
    {.name = "op",
     .kind = SCHEMA_CHOICE,
     SCHEMA_AT(cfg_transform, comparison),
     .required = true,
     .choices = "<|<=|=|!=|>=|>",
     .help = "\"<\", \"<=\", \"=\", \"!=\", \">=\" or \">\""},
    {.name = "value", .kind = SCHEMA_DECIMAL, SCHEMA_AT(cfg_transform, value)},
    /* or a text, for = and != */
    {.name = "text", .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_transform, text), .high = 255},
    /* what happens to samples for which it is true; the others fare the other way */
    {.name = "action",
     .kind = SCHEMA_CHOICE,
     SCHEMA_AT(cfg_transform, verdict),
     .choices = "keep|drop",
     .standard = "keep"},
    {.name = NULL},
};
static const struct schema_table filter_table = {.keys = filter_keys};
#define FILTER &filter_table
#else
#define FILTER NULL
#endif

#ifdef CONFIG_TRANSFORM_ALARM
static const struct schema_key alarm_keys[] = {
    {.name = "channel",
     .kind = SCHEMA_TEXT,
     SCHEMA_AT(cfg_transform, channel),
     .high = 200,
     .required = true,
     .help = "which one: \"channel\": \"temp\"; in documents the member: \"a.b\""},
    /* beyond which the record goes to the lane alarm */
    {.name = "above", .kind = SCHEMA_DECIMAL, SCHEMA_AT(cfg_transform, above)},
    {.name = "below", .kind = SCHEMA_DECIMAL, SCHEMA_AT(cfg_transform, below)},
    /* how far it has to come back before that ends */
    {.name = "hysteresis", .kind = SCHEMA_DECIMAL, SCHEMA_AT(cfg_transform, hysteresis)},
    {.name = NULL},
};
static const struct schema_table alarm_table = {.keys = alarm_keys};
#define ALARM &alarm_table
#else
#define ALARM NULL
#endif

const struct schema_transform schema_transform[] = {
    [CFG_TRANSFORM_SCALE] = {"scale", SCALE, "CONFIG_TRANSFORM_SCALE"},
    [CFG_TRANSFORM_RENAME] = {"rename", RENAME, "CONFIG_TRANSFORM_RENAME"},
    [CFG_TRANSFORM_UNIT] = {"unit", UNIT, "CONFIG_TRANSFORM_UNIT"},
    [CFG_TRANSFORM_DEADBAND] = {"deadband", DEADBAND, "CONFIG_TRANSFORM_DEADBAND"},
    [CFG_TRANSFORM_SUMMARIZE] = {"summarize", SUMMARIZE, "CONFIG_TRANSFORM_SUMMARIZE"},
    [CFG_TRANSFORM_RATE] = {"rate", RATE, "CONFIG_TRANSFORM_RATE"},
    [CFG_TRANSFORM_FLATTEN] = {"flatten", FLATTEN, "CONFIG_TRANSFORM_FLATTEN"},
    [CFG_TRANSFORM_REDACT] = {"redact", REDACT, "CONFIG_TRANSFORM_REDACT"},
    [CFG_TRANSFORM_TAG] = {"tag", TAG, "CONFIG_TRANSFORM_TAG"},
    [CFG_TRANSFORM_FILTER] = {"filter", FILTER, "CONFIG_TRANSFORM_FILTER"},
    [CFG_TRANSFORM_ALARM] = {"alarm", ALARM, "CONFIG_TRANSFORM_ALARM"},
};
