/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "agent/transform/transform.h"
#include "platform/hash.h"

/* Report by exception: a value that is as near as delta to the one that was sent last becomes
 * absent, and a sample without values becomes no record. Who holds the last value is never wrong by
 * more than delta. After a heartbeat all of them are sent again. */
struct sent {
    enum value_kind kind;
    struct value value;                /* of a number */
    uint8_t digest[HASH_SHA256_BYTES]; /* of a text */
};

struct deadband {
    uint32_t channels;
    bool alarm;      /* whether the last sample was one */
    int64_t beat_ms; /* when all were sent last */
    bool has_sent;
    struct sent sent[SAMPLE_CHANNELS_MAX];
};

static int deadband_bind(void *state, const struct chain_step *step, struct intake_shape *shape,
                         char fault[INTAKE_FAULT_BYTES])
{
    struct deadband *deadband = state;
    (void)fault;
    *deadband = (struct deadband){.channels = transform_select(shape, step->channel)};
    return 0;
}

/* How far a value may be from LAST, rounded down. False: farther than numbers go. */
static bool find_tolerance(const struct chain_step *step, struct decimal last, struct decimal *ret)
{
    struct decimal percent = step->percent.value;
    struct decimal none = {0, 0};
    if (step->delta.present) {
        *ret = step->delta.value;
        return true;
    }
    if (last.mantissa == INT64_MIN)
        return false;
    last.mantissa = last.mantissa < 0 ? -last.mantissa : last.mantissa;
    unsigned exact = last.decimals + percent.decimals + 2;
    unsigned decimals = exact < DECIMAL_PLACES_MAX ? exact : DECIMAL_PLACES_MAX;
    percent.decimals += 2;
    if (decimal_scale(last, percent, none, decimals, ret) < 0)
        return false;
    ret->mantissa -= decimals < exact && ret->mantissa > 0;
    return true;
}

static bool is_near_decimal(const struct chain_step *step, struct decimal last, struct decimal now)
{
    struct decimal tolerance;
    struct decimal low;
    struct decimal high;
    if (!find_tolerance(step, last, &tolerance))
        return false;
    unsigned decimals = tolerance.decimals > last.decimals ? tolerance.decimals : last.decimals;
    struct decimal one = {1, 0};
    struct decimal minus = {-1, 0};
    return decimal_scale(tolerance, one, last, decimals, &high) == 0 &&
           decimal_scale(tolerance, minus, last, decimals, &low) == 0 &&
           decimal_compare(now, high) <= 0 && decimal_compare(now, low) >= 0;
}

static bool is_near_double(const struct chain_step *step, double last, double now)
{
    double tolerance = step->delta.present
                           ? transform_decimal_double(step->delta.value)
                           : fabs(last) * transform_decimal_double(step->percent.value) / 100;
    return fabs(now - last) <= tolerance;
}

static bool is_near(const struct chain_step *step, const struct sent *sent,
                    const struct value *value)
{
    uint8_t digest[HASH_SHA256_BYTES];
    if (value->kind == VALUE_TEXT && sent->kind == VALUE_TEXT) {
        hash_sha256(value->text, value->text_bytes, digest);
        return memcmp(digest, sent->digest, sizeof digest) == 0;
    }
    if (!transform_is_number(value) || (sent->kind != VALUE_DECIMAL && sent->kind != VALUE_FLOAT64))
        return value->kind == sent->kind;
    if (value->kind == VALUE_DECIMAL && sent->kind == VALUE_DECIMAL)
        return is_near_decimal(step, transform_decimal(&sent->value), transform_decimal(value));
    return is_near_double(step, transform_double(&sent->value), transform_double(value));
}

static void note_sent(struct sent *sent, const struct value *value)
{
    sent->kind = value->kind;
    sent->value = *value;
    if (value->kind == VALUE_TEXT)
        hash_sha256(value->text, value->text_bytes, sent->digest);
}

static bool is_time(const struct deadband *deadband, const struct chain_step *step,
                    const struct intake_item *item)
{
    int64_t boot_ms = item->sample->boot_ms;
    return !deadband->has_sent || item->alarm != deadband->alarm ||
           (step->interval_ms > 0 && boot_ms - deadband->beat_ms >= step->interval_ms);
}

static int deadband_push(void *state, const struct chain_step *step, struct intake_item *item,
                         struct transform_notes *notes)
{
    struct deadband *deadband = state;
    struct sample *sample = item->sample;
    bool any = false;
    bool all = is_time(deadband, step, item);
    if (sample->document != NULL || deadband->channels == 0) {
        notes->lack = sample->document != NULL ? TRANSFORM_LACK_DOCUMENT : TRANSFORM_LACK_CHANNEL;
        return 1;
    }
    if (all)
        deadband->beat_ms = sample->boot_ms;
    deadband->has_sent = true;
    deadband->alarm = item->alarm;
    for (size_t i = 0; i < sample->value_count; i++) {
        struct value *value = &sample->values[i];
        if ((deadband->channels >> i & 1) != 0) {
            if (all || !is_near(step, &deadband->sent[i], value))
                note_sent(&deadband->sent[i], value);
            else
                *value = (struct value){.kind = VALUE_ABSENT};
        }
        any = any || value->kind != VALUE_ABSENT;
    }
    return any || all ? 1 : 0;
}

/* Nobody holds the values that it compares with: the next sample is sent, whatever it says. */
static void deadband_lost(void *state)
{
    struct deadband *deadband = state;
    deadband->has_sent = false;
}

const struct transform deadband_transform = {.state_bytes = sizeof(struct deadband),
                                             .bind = deadband_bind,
                                             .push = deadband_push,
                                             .lost = deadband_lost};
