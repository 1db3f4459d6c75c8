/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control/schema_parts.h"

#ifdef CONFIG_TRANSFORM_SCALE
static const struct schema_key scale_keys[] = {
    {SCHEMA_KEY("channel", "The channel's name, or in documents the path of a member: \"a.b\"; "
                           "without it all that are numbers."),
     .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_transform, channel), .high = 200},
    {SCHEMA_KEY("factor", "What a value is multiplied by."), .kind = SCHEMA_DECIMAL,
     SCHEMA_AT(cfg_transform, factor)},
    {SCHEMA_KEY("offset", "What is added then."), .kind = SCHEMA_DECIMAL,
     SCHEMA_AT(cfg_transform, offset)},
    {SCHEMA_KEY("decimals", "Of the result, 0 to 18; without it as many as it takes to be exact."),
     .kind = SCHEMA_DECIMAL, SCHEMA_AT(cfg_transform, decimals)},
    {.name = NULL},
};
static const struct schema_table scale_table = {.keys = scale_keys};
#define SCALE &scale_table
#else
#define SCALE NULL
#endif

#ifdef CONFIG_TRANSFORM_RENAME
static const struct schema_key rename_keys[] = {
    {SCHEMA_KEY("from", "The name of one channel."), .kind = SCHEMA_TEXT,
     SCHEMA_AT(cfg_transform, from), .high = 31},
    {SCHEMA_KEY("to", "What it is called instead."), .kind = SCHEMA_NAME,
     SCHEMA_AT(cfg_transform, to)},
    {SCHEMA_KEY("channels", "Or many, old and new: { \"temp1\": \"inlet\" }."), .kind = SCHEMA_TAGS,
     SCHEMA_AT(cfg_transform, channels), .high = CFG_CHANNELS_MAX,
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
    {SCHEMA_KEY("channel", "The channel's name, or in documents the path of a member: \"a.b\"."),
     .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_transform, channel), .high = 200, .required = true,
     .help = "which one: \"channel\": \"temp\""},
    {SCHEMA_KEY("unit", "A unit of SenML, such as \"Cel\"."), .kind = SCHEMA_TEXT,
     SCHEMA_AT(cfg_transform, unit), .high = 15, .required = true,
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
    {SCHEMA_KEY("channel", "The channel's name, or in documents the path of a member: \"a.b\"; "
                           "without it all, one by one."),
     .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_transform, channel), .high = 200},
    {SCHEMA_KEY(
         "delta",
         "A value as near as this to the one that was sent last becomes absent. It or percent."),
     .kind = SCHEMA_DECIMAL, SCHEMA_AT(cfg_transform, delta)},
    {SCHEMA_KEY("percent", "Likewise, in percent of that."), .kind = SCHEMA_DECIMAL,
     SCHEMA_AT(cfg_transform, percent)},
    {SCHEMA_KEY("heartbeat", "After so long all are sent again; \"0s\": never."),
     .kind = SCHEMA_DURATION, SCHEMA_AT(cfg_transform, interval_ms), .standard = "0s",
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
    {SCHEMA_KEY("interval", "One record for each, on the wall clock."), .kind = SCHEMA_DURATION,
     SCHEMA_AT(cfg_transform, interval_ms), .required = true, .low = 100, .high = SCHEMA_DAY_MS,
     .help = "\"interval\": \"1m\""},
    {SCHEMA_KEY("functions", "What becomes of each channel: temp_min, temp_mean ...; cover: how "
                             "much of the interval was looked at, in percent."),
     .kind = SCHEMA_WORDS, SCHEMA_AT(cfg_transform, functions),
     .choices = "min|mean|max|last|count|cover", .standard = "min|mean|max"},
    {.name = NULL},
};
static const struct schema_table summarize_table = {.keys = summarize_keys};
#define SUMMARIZE &summarize_table
#else
#define SUMMARIZE NULL
#endif

#ifdef CONFIG_TRANSFORM_RATE
static const struct schema_key rate_keys[] = {
    {SCHEMA_KEY("interval", "At most one sample in this time."), .kind = SCHEMA_DURATION,
     SCHEMA_AT(cfg_transform, interval_ms), .required = true, .low = 10, .high = SCHEMA_DAY_MS,
     .help = "\"interval\": \"10s\""},
    {SCHEMA_KEY(
         "keep",
         "\"first\": two are an interval apart. \"last\": held in RAM until the interval ends."),
     .kind = SCHEMA_CHOICE, SCHEMA_AT(cfg_transform, keep), .choices = "last|first",
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
    {SCHEMA_KEY("channels", "Members that become channels: { \"temp\": \"reading.temp\" }; without "
                            "it one object without depth."),
     .kind = SCHEMA_TAGS, SCHEMA_AT(cfg_transform, channels), .high = CFG_CHANNELS_MAX,
     .count_offset = offsetof(struct cfg_transform, channel_count)},
    {SCHEMA_KEY("separator", "What joins that object's names."), .kind = SCHEMA_CHOICE,
     SCHEMA_AT(cfg_transform, separator), .choices = ".|_|/|-|:", .standard = "."},
    {.name = NULL},
};
static const struct schema_table flatten_table = {.keys = flatten_keys};
#define FLATTEN &flatten_table
#else
#define FLATTEN NULL
#endif

#ifdef CONFIG_TRANSFORM_REDACT
static const struct schema_key redact_keys[] = {
    {SCHEMA_KEY("channel", "The channel's name, or in documents the path of a member: \"a.b\"."),
     .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_transform, channel), .high = 200, .required = true,
     .help = "which one: \"channel\": \"temp\"; in documents the member: \"a.b\""},
    {SCHEMA_KEY("action", "\"drop\" removes it. \"mask\" makes it \"***\". \"hmac\": the "
                          "HMAC-SHA-256 of the text with the key in key_file."),
     .kind = SCHEMA_CHOICE, SCHEMA_AT(cfg_transform, action), .required = true,
     .choices = "drop|mask|hmac", .help = "\"drop\", \"mask\" or \"hmac\""},
    {SCHEMA_KEY("key_file",
                "With hmac: a text that nobody else knows; the same secret and key give the same "
                "64 digits. A sensor whose key cannot be read gives nothing."),
     .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_transform, key_file), .high = 400},
    {.name = NULL},
};
static const struct schema_table redact_table = {.keys = redact_keys};
#define REDACT &redact_table
#else
#define REDACT NULL
#endif

#ifdef CONFIG_TRANSFORM_TAG
static const struct schema_key tag_keys[] = {
    {SCHEMA_KEY("name", "The tag."), .kind = SCHEMA_NAME, SCHEMA_AT(cfg_transform, name),
     .required = true, .help = "\"name\": \"site\""},
    {SCHEMA_KEY("value", "What it says."), .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_transform, tag_value),
     .high = 255},
    {SCHEMA_KEY(
         "channel",
         "Or a channel, or a document's member, that says it: at most 32 values of 63 bytes."),
     .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_transform, channel), .high = 200},
    {.name = NULL},
};
static const struct schema_table tag_table = {.keys = tag_keys};
#define TAG &tag_table
#else
#define TAG NULL
#endif

#ifdef CONFIG_TRANSFORM_FILTER
static const struct schema_key filter_keys[] = {
    {SCHEMA_KEY("channel", "The channel's name, or in documents the path of a member: \"a.b\"."),
     .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_transform, channel), .high = 200, .required = true,
     .help = "which one: \"channel\": \"temp\"; in documents the member: \"a.b\""},
    {SCHEMA_KEY("op", "How it is compared."), .kind = SCHEMA_CHOICE,
     SCHEMA_AT(cfg_transform, comparison), .required = true, .choices = "<|<=|=|!=|>=|>",
     .help = "\"<\", \"<=\", \"=\", \"!=\", \">=\" or \">\""},
    {SCHEMA_KEY("value", "With a number."), .kind = SCHEMA_DECIMAL,
     SCHEMA_AT(cfg_transform, value)},
    {SCHEMA_KEY("text", "Or with a text, by = and !=."), .kind = SCHEMA_TEXT,
     SCHEMA_AT(cfg_transform, text), .high = 255},
    {SCHEMA_KEY("action",
                "What happens to samples for which it is true; the others fare the other way."),
     .kind = SCHEMA_CHOICE, SCHEMA_AT(cfg_transform, verdict), .choices = "keep|drop",
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
    {SCHEMA_KEY("channel", "The channel's name, or in documents the path of a member: \"a.b\"."),
     .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_transform, channel), .high = 200, .required = true,
     .help = "which one: \"channel\": \"temp\"; in documents the member: \"a.b\""},
    {SCHEMA_KEY("above", "The limit above which records go to the lane alarm."),
     .kind = SCHEMA_DECIMAL, SCHEMA_AT(cfg_transform, above)},
    {SCHEMA_KEY("below", "The limit below which records go to the lane alarm."),
     .kind = SCHEMA_DECIMAL, SCHEMA_AT(cfg_transform, below)},
    {SCHEMA_KEY("hysteresis", "How far the value has to come back before that ends."),
     .kind = SCHEMA_DECIMAL, SCHEMA_AT(cfg_transform, hysteresis)},
    {.name = NULL},
};
static const struct schema_table alarm_table = {.keys = alarm_keys};
#define ALARM &alarm_table
#else
#define ALARM NULL
#endif

const struct schema_transform schema_transform[] = {
    [CFG_TRANSFORM_SCALE] =
        {SCHEMA_KEY(
             "scale",
             "value * factor + offset, exactly as far as 18 digits go, or rounded to decimals."),
         .members = SCALE, .symbol = "CONFIG_TRANSFORM_SCALE"},
    [CFG_TRANSFORM_RENAME] = {SCHEMA_KEY(
                                  "rename",
                                  "Other names of channels: from and to of one, or channels."),
                              .members = RENAME, .symbol = "CONFIG_TRANSFORM_RENAME"},
    [CFG_TRANSFORM_UNIT] = {SCHEMA_KEY("unit", "Another unit of SenML beside the same values."),
                            .members = UNIT, .symbol = "CONFIG_TRANSFORM_UNIT"},
    [CFG_TRANSFORM_DEADBAND] =
        {SCHEMA_KEY("deadband", "A value near to the one that was sent last becomes absent, and a "
                                "sample without values no record; after a heartbeat all are sent."),
         .members = DEADBAND, .symbol = "CONFIG_TRANSFORM_DEADBAND"},
    [CFG_TRANSFORM_SUMMARIZE] =
        {SCHEMA_KEY("summarize",
                    "One record an interval of the wall clock, at its end: NAME_min, NAME_mean and "
                    "so on of each channel. Until it ends its samples exist only in RAM; a stop "
                    "sends what there is, and lines of a followed file are read again."),
         .members = SUMMARIZE, .symbol = "CONFIG_TRANSFORM_SUMMARIZE"},
    [CFG_TRANSFORM_RATE] = {SCHEMA_KEY("rate",
                                       "At most one sample an interval: the first, or the last."),
                            .members = RATE, .symbol = "CONFIG_TRANSFORM_RATE"},
    [CFG_TRANSFORM_FLATTEN] = {SCHEMA_KEY(
                                   "flatten",
                                   "Channels from a document's members, or without channels one "
                                   "object without depth, whose names are joined by separator."),
                               .members = FLATTEN, .symbol = "CONFIG_TRANSFORM_FLATTEN"},
    [CFG_TRANSFORM_REDACT] = {SCHEMA_KEY("redact",
                                         "Drops, masks or hashes a channel or a member. A document "
                                         "that cannot be redacted is refused."),
                              .members = REDACT, .symbol = "CONFIG_TRANSFORM_REDACT"},
    [CFG_TRANSFORM_TAG] = {SCHEMA_KEY(
                               "tag",
                               "A tag of its records, or one that a channel or a member says."),
                           .members = TAG, .symbol = "CONFIG_TRANSFORM_TAG"},
    [CFG_TRANSFORM_FILTER] = {SCHEMA_KEY("filter",
                                         "Samples that fit become records, or become none."),
                              .members = FILTER, .symbol = "CONFIG_TRANSFORM_FILTER"},
    [CFG_TRANSFORM_ALARM] = {SCHEMA_KEY("alarm", "Beyond a limit, and until the value is back by "
                                                 "the hysteresis, records go to the lane alarm."),
                             .members = ALARM, .symbol = "CONFIG_TRANSFORM_ALARM"},
};
