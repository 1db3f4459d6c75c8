/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/gpio/entry.h"

#include <inttypes.h>
#include <linux/gpio.h>
#include <string.h>

#include "drivers/bus/settings.h"
#include "platform/base/parse.h"

enum { DEBOUNCE_MS_MAX = 60000, RATE_DECIMALS = 3 };

const char entry_modes[] = "value|edge|count|delta|frequency";

static const char list[] = "lines";

static const char *member(const struct driver_context *context, size_t index, const char *name)
{
    return settings_member(context, list, index, name);
}

/* ---- reading ---- */

/* The place of TEXT in "a|b|c"; 0 for NULL. */
static unsigned choice_of(const char *text, const char *choices)
{
    unsigned place = 0;
    size_t bytes = text == NULL ? 0 : strlen(text);
    while (text != NULL && *choices != '\0') {
        size_t length = strcspn(choices, "|");
        if (length == bytes && memcmp(choices, text, bytes) == 0)
            return place;
        choices += length + (choices[length] == '|' ? 1 : 0);
        place++;
    }
    return 0;
}

static uint64_t edge_flags(enum entry_mode mode, const char *text)
{
    static const uint64_t flags[] = {GPIO_V2_LINE_FLAG_EDGE_RISING, GPIO_V2_LINE_FLAG_EDGE_FALLING,
                                     GPIO_V2_LINE_FLAG_EDGE_RISING |
                                         GPIO_V2_LINE_FLAG_EDGE_FALLING};
    if (mode == ENTRY_VALUE)
        return 0;
    if (text == NULL)
        return mode == ENTRY_EDGE ? flags[2] : flags[0];
    return flags[choice_of(text, "rising|falling|both")];
}

static uint64_t bias_flag(const char *text)
{
    static const uint64_t flags[] = {GPIO_V2_LINE_FLAG_BIAS_PULL_UP,
                                     GPIO_V2_LINE_FLAG_BIAS_PULL_DOWN,
                                     GPIO_V2_LINE_FLAG_BIAS_DISABLED};
    return text == NULL ? 0 : flags[choice_of(text, "pull-up|pull-down|disabled")];
}

static int64_t duration_of(const char *text)
{
    int64_t ms = 0;
    if (text != NULL)
        (void)parse_duration_ms(text, strlen(text), &ms);
    return ms;
}

static struct decimal decimal_of(const char *text)
{
    struct decimal value = {.mantissa = 1};
    if (text != NULL)
        (void)decimal_parse(text, strlen(text), &value);
    return value;
}

void entry_read(const struct driver_context *context, size_t index, struct entry *ret_entry)
{
    enum entry_mode mode = (enum entry_mode)choice_of(member(context, index, "mode"), entry_modes);
    struct entry entry = {.mode = mode,
                          .line = member(context, index, "line"),
                          .offset = (unsigned)settings_integer(member(context, index, "offset"), 0),
                          .flags = edge_flags(mode, member(context, index, "edge")) |
                                   bias_flag(member(context, index, "bias")),
                          .debounce_ms = duration_of(member(context, index, "debounce")),
                          .per_pulse = decimal_of(member(context, index, "per_pulse")),
                          .name = member(context, index, "name"),
                          .unit = member(context, index, "unit")};
    if (settings_boolean(member(context, index, "active_low"), false))
        entry.flags |= GPIO_V2_LINE_FLAG_ACTIVE_LOW;
    if (mode >= ENTRY_COUNT)
        entry.decimals = (unsigned)settings_integer(
            member(context, index, "decimals"),
            mode == ENTRY_FREQUENCY ? RATE_DECIMALS : (int64_t)entry.per_pulse.decimals);
    *ret_entry = entry;
}

/* A value is read from a line whatever edges it reports to others. */
bool entry_agrees(const struct entry *left, const struct entry *right)
{
    const uint64_t edges = GPIO_V2_LINE_FLAG_EDGE_RISING | GPIO_V2_LINE_FLAG_EDGE_FALLING;
    uint64_t differ = left->flags ^ right->flags;
    if (left->mode == ENTRY_VALUE || right->mode == ENTRY_VALUE)
        differ &= ~edges;
    return differ == 0 && left->debounce_ms == right->debounce_ms;
}

/* ---- checking ---- */

static const char *say(const struct driver_context *context, size_t index, const char *name,
                       const char *what)
{
    driver_say(context->fault, "%s", what);
    return settings_written(context, list, index, name);
}

static const char *check_line(const struct driver_context *context, size_t index)
{
    const char *line = member(context, index, "line");
    const char *offset = member(context, index, "offset");
    if (line == NULL && offset == NULL)
        return say(context, index, "line",
                   "is missing; write \"line\" (a name) or \"offset\" (a number)");
    if (line != NULL && offset != NULL)
        return say(context, index, "offset", "stands beside \"line\"; leave one of the two out");
    if (offset != NULL && driver_setting(context, "chip") == NULL)
        return say(context, index, "offset", "is a number on a chip; say which in \"chip\"");
    if (line != NULL && (*line == '\0' || strlen(line) >= GPIO_MAX_NAME_SIZE))
        return say(context, index, "line", "is no name of a line; those have 1 to 31 characters");
    return NULL;
}

static const char *check_name(const struct driver_context *context, size_t index)
{
    const char *what = settings_name_fault(context, list, index);
    return what == NULL ? NULL : say(context, index, "name", what);
}

/* Keys that say nothing in this mode. */
static const char *check_idle_keys(const struct driver_context *context, size_t index,
                                   enum entry_mode mode)
{
    static const char *const of_pulses[] = {"per_pulse", "unit", "decimals"};
    for (size_t i = 0; mode < ENTRY_COUNT && i < sizeof of_pulses / sizeof of_pulses[0]; i++)
        if (member(context, index, of_pulses[i]) != NULL)
            return say(context, index, of_pulses[i],
                       "is for the modes count, delta and frequency; leave it out");
    if (mode == ENTRY_VALUE && member(context, index, "edge") != NULL)
        return say(context, index, "edge", "is for modes that look at edges; leave it out");
    return NULL;
}

static const char *check_figures(const struct driver_context *context, size_t index,
                                 const struct entry *entry)
{
    if (entry->debounce_ms > DEBOUNCE_MS_MAX)
        return say(context, index, "debounce", "is too long; use at most \"60s\"");
    if (entry->per_pulse.mantissa <= 0)
        return say(context, index, "per_pulse", "is not more than 0; write it like 0.001");
    return NULL;
}

static bool is_same_line(const struct entry *left, const struct entry *right)
{
    if (left->line == NULL || right->line == NULL)
        return left->line == right->line && left->offset == right->offset;
    return strcmp(left->line, right->line) == 0;
}

static const char *check_sharing(const struct driver_context *context, size_t index,
                                 const struct entry *entry)
{
    for (size_t i = 0; i < index; i++) {
        struct entry other;
        entry_read(context, i, &other);
        if (is_same_line(entry, &other) && !entry_agrees(entry, &other))
            return say(context, index, entry->line != NULL ? "line" : "offset",
                       "is there twice; its edge, bias, active_low and debounce must be the same");
    }
    return NULL;
}

static const char *check_entry(const struct driver_context *context, size_t index)
{
    struct entry entry;
    const char *key = check_line(context, index);
    if (key == NULL)
        key = check_name(context, index);
    entry_read(context, index, &entry);
    if (key == NULL)
        key = check_idle_keys(context, index, entry.mode);
    if (key == NULL)
        key = check_figures(context, index, &entry);
    if (key == NULL)
        key = check_sharing(context, index, &entry);
    if (key != NULL || entry.mode == ENTRY_EDGE || context->interval_ms > 0)
        return key;
    driver_say(context->fault,
               "is missing; lines that are no edges are reported at it, like \"1s\"");
    return "interval";
}

const char *entry_check(const struct driver_context *context)
{
    size_t count = settings_count(context, list);
    const char *key = NULL;
    if (count == 0 || count > SAMPLE_CHANNELS_MAX) {
        driver_say(context->fault,
                   "has %zu elements; name 1 to %d, like { \"offset\": 17, \"name\": \"door\" }",
                   count, SAMPLE_CHANNELS_MAX);
        return list;
    }
    for (size_t i = 0; key == NULL && i < count; i++)
        key = check_entry(context, i);
    return key;
}
