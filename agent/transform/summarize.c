/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "agent/transform/sum.h"
#include "agent/transform/transform.h"
#include "platform/base/error.h"

/* One record an interval, of what all its samples said. Intervals lie on the wall clock where that
 * is known when one begins. */
struct measured {
    uint64_t count;
    struct value min, max, last;
    struct sum sum; /* of decimals */
    double float_sum;
    bool has_floats;
};

struct summarize {
    int64_t (*wall_offset_ms)(void *context);
    void *context;
    size_t channel_count;
    bool begun; /* an interval: */
    bool is_first;
    int64_t end_ms;
    int64_t first_ms; /* of its samples */
    int64_t last_ms;
    bool alarm;
    struct sample_origin origin;
    struct measured measured[SAMPLE_CHANNELS_MAX];
};

static const char *const suffixes[] = {"min", "mean", "max", "last", "count"};
enum { SUFFIXES = sizeof suffixes / sizeof suffixes[0] };

static int summarize_open(void *state, const struct chain_step *step,
                          const struct chain_options *options)
{
    struct summarize *summarize = state;
    (void)step;
    summarize->wall_offset_ms = options->wall_offset_ms;
    summarize->context = options->context;
    return 0;
}

/* ---- what comes out ---- */

static int add_channel(struct intake_shape *shape, const struct channel *from, int function,
                       char fault[INTAKE_FAULT_BYTES])
{
    char name[SAMPLE_NAME_BYTES + 8];
    int count = snprintf(name, sizeof name, "%s%s%s", from->name, from->name[0] != '\0' ? "_" : "",
                         function == CHAIN_COVER ? "cover" : suffixes[function]);
    if (count >= SAMPLE_NAME_BYTES || shape->channel_count == SAMPLE_CHANNELS_MAX) {
        (void)snprintf(fault, INTAKE_FAULT_BYTES,
                       count >= SAMPLE_NAME_BYTES
                           ? "the name \"%s\" has more than 31 bytes; rename the channel"
                           : "\"%s\" would be one channel more than 32; ask for fewer functions",
                       name);
        return E_TOO_BIG;
    }
    struct channel *channel = &shape->channels[shape->channel_count++];
    *channel = *from;
    memcpy(channel->name, name, (size_t)count + 1);
    if (function == CHAIN_COUNT || function == CHAIN_COVER) {
        channel->decimals = 0;
        (void)snprintf(channel->unit, sizeof channel->unit, "%s",
                       function == CHAIN_COUNT ? "count" : "%");
    }
    if (function == CHAIN_MEAN)
        channel->decimals += channel->decimals + 2 <= SAMPLE_DECIMALS_MAX ? 2 : 0;
    return 0;
}

static int summarize_bind(void *state, const struct chain_step *step, struct intake_shape *shape,
                          char fault[INTAKE_FAULT_BYTES])
{
    static const struct channel nameless;
    struct summarize *summarize = state;
    const struct intake_shape before = *shape;
    int rc = 0;
    summarize->channel_count = shape->channel_count;
    summarize->begun = false;
    summarize->is_first = true;
    shape->channel_count = 0;
    for (size_t i = 0; i < before.channel_count; i++)
        for (int function = 0; rc == 0 && function < SUFFIXES; function++)
            if (step->functions[function])
                rc = add_channel(shape, &before.channels[i], function, fault);
    if (rc == 0 && step->functions[CHAIN_COVER])
        rc = add_channel(shape, &nameless, CHAIN_COVER, fault);
    return rc;
}

/* ---- what goes in ---- */

static int compare(const struct value *left, const struct value *right)
{
    if (right->kind == VALUE_DECIMAL)
        return transform_compare(left, transform_decimal(right));
    double a = transform_double(left);
    double b = transform_double(right);
    return a < b ? -1 : a > b ? 1 : 0;
}

static void measure(struct measured *measured, const struct value *value)
{
    if (measured->count == 0 || compare(value, &measured->min) < 0)
        measured->min = *value;
    if (measured->count == 0 || compare(value, &measured->max) > 0)
        measured->max = *value;
    measured->last = *value;
    measured->count++;
    if (value->kind == VALUE_DECIMAL)
        sum_add(&measured->sum, transform_decimal(value));
    else
        measured->float_sum += transform_double(value);
    measured->has_floats = measured->has_floats || value->kind == VALUE_FLOAT64;
}

static void begin(struct summarize *summarize, const struct chain_step *step, int64_t boot_ms)
{
    int64_t offset_ms =
        summarize->wall_offset_ms != NULL ? summarize->wall_offset_ms(summarize->context) : 0;
    int64_t into_ms = (boot_ms + offset_ms) % step->interval_ms;
    into_ms += into_ms < 0 ? step->interval_ms : 0;
    summarize->end_ms = boot_ms - into_ms + step->interval_ms;
    summarize->first_ms = summarize->is_first ? boot_ms : boot_ms - into_ms;
    summarize->begun = true;
    summarize->is_first = false;
    summarize->alarm = false;
    memset(summarize->measured, 0, sizeof summarize->measured);
}

/* A document overtakes what is held: its line may come again after a power cut, that no other is
 * lost. */
static int pass_document(const struct summarize *summarize, struct sample *sample,
                         struct transform_notes *notes)
{
    notes->lack = TRANSFORM_LACK_DOCUMENT;
    sample->origin.present = sample->origin.present && !summarize->begun;
    return 1;
}

static int summarize_push(void *state, const struct chain_step *step, struct intake_item *item,
                          struct transform_notes *notes)
{
    struct summarize *summarize = state;
    struct sample *sample = item->sample;
    if (sample->document != NULL)
        return pass_document(summarize, sample, notes);
    if (!summarize->begun)
        begin(summarize, step, sample->boot_ms);
    for (size_t i = 0; i < sample->value_count && i < summarize->channel_count; i++)
        if (transform_is_number(&sample->values[i]))
            measure(&summarize->measured[i], &sample->values[i]);
    summarize->last_ms = sample->boot_ms;
    summarize->alarm = summarize->alarm || item->alarm;
    summarize->origin = sample->origin;
    return 0;
}

/* ---- the record ---- */

static struct value limit_mean(const struct measured *measured, double mean)
{
    double low = transform_double(&measured->min);
    double high = transform_double(&measured->max);
    return transform_from_double(mean < low ? low : mean > high ? high : mean);
}

static struct value find_mean(const struct measured *measured, struct transform_notes *notes)
{
    struct decimal mean;
    if (!measured->has_floats && sum_mean(&measured->sum, measured->count, &mean) == 0)
        return transform_from_decimal(mean);
    double sum = measured->float_sum + sum_double(&measured->sum);
    if (measured->has_floats && !measured->sum.lost && isfinite(sum))
        return limit_mean(measured, sum / (double)measured->count);
    notes->unfit++;
    return (struct value){.kind = VALUE_ABSENT};
}

static struct value whole(int64_t number)
{
    return (struct value){.kind = VALUE_DECIMAL, .mantissa = number};
}

static struct value find_value(const struct measured *measured, int function,
                               struct transform_notes *notes)
{
    if (function == CHAIN_COUNT)
        return whole((int64_t)measured->count);
    if (measured->count == 0)
        return (struct value){.kind = VALUE_ABSENT};
    switch (function) {
    case CHAIN_MIN:
        return measured->min;
    case CHAIN_MAX:
        return measured->max;
    case CHAIN_LAST:
        return measured->last;
    default:
        return find_mean(measured, notes);
    }
}

/* How much of the interval was looked at, in percent. */
static int64_t find_cover(const struct summarize *summarize, const struct chain_step *step,
                          int64_t until_ms)
{
    int64_t covered_ms = until_ms - summarize->first_ms;
    int64_t percent = covered_ms < step->interval_ms ? covered_ms * 100 / step->interval_ms : 100;
    return percent < 0 ? 0 : percent;
}

static int64_t summarize_due_ms(const void *state)
{
    const struct summarize *summarize = state;
    return summarize->begun ? summarize->end_ms : INT64_MAX;
}

/* Its time is the end of the interval; where that was cut short, that of the last sample. */
static void summarize_flush(void *state, const struct chain_step *step, int64_t boot_ms,
                            struct intake_item *item, struct transform_notes *notes)
{
    struct summarize *summarize = state;
    struct sample *sample = item->sample;
    bool is_whole = boot_ms != INT64_MAX;
    *sample = (struct sample){.origin = summarize->origin};
    sample->boot_ms = is_whole ? summarize->end_ms : summarize->last_ms;
    for (size_t i = 0; i < summarize->channel_count; i++)
        for (int function = 0; function < SUFFIXES; function++)
            if (step->functions[function])
                sample->values[sample->value_count++] =
                    find_value(&summarize->measured[i], function, notes);
    if (step->functions[CHAIN_COVER])
        sample->values[sample->value_count++] = whole(find_cover(summarize, step, sample->boot_ms));
    item->alarm = summarize->alarm;
    summarize->begun = false;
}

const struct transform summarize_transform = {.state_bytes = sizeof(struct summarize),
                                              .open = summarize_open,
                                              .bind = summarize_bind,
                                              .push = summarize_push,
                                              .flush = summarize_flush,
                                              .due_ms = summarize_due_ms};
