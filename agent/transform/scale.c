/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "agent/transform/transform.h"

/* value * factor + offset */
struct scale {
    uint32_t channels;
};

static unsigned most(unsigned left, unsigned right)
{
    return left > right ? left : right;
}

/* So many that the result is exact, unless that is more than there may be. */
static unsigned places(const struct chain_step *step, unsigned decimals)
{
    if (step->has_decimals)
        return step->decimals;
    unsigned exact = most(decimals + step->factor.value.decimals, step->offset.value.decimals);
    return exact < SAMPLE_DECIMALS_MAX ? exact : SAMPLE_DECIMALS_MAX;
}

static int scale_bind(void *state, const struct chain_step *step, struct intake_shape *shape,
                      char fault[INTAKE_FAULT_BYTES])
{
    struct scale *scale = state;
    (void)fault;
    scale->channels = transform_select(shape, step->channel);
    for (unsigned i = 0; i < shape->channel_count; i++)
        if ((scale->channels >> i & 1) != 0)
            shape->channels[i].decimals = places(step, shape->channels[i].decimals);
    return 0;
}

/* A factor like 0.3333333333333333 leaves no room for digits before the point: with fewer decimals
 * there is. */
static bool scale_decimal(const struct chain_step *step, struct value *value)
{
    struct decimal result;
    unsigned decimals = places(step, value->decimals);
    while (decimal_scale(transform_decimal(value), step->factor.value, step->offset.value, decimals,
                         &result) < 0) {
        if (step->has_decimals || decimals == 0)
            return false;
        decimals--;
    }
    *value = transform_from_decimal(result);
    return true;
}

static bool scale_double(const struct chain_step *step, struct value *value)
{
    double result = transform_double(value) * transform_decimal_double(step->factor.value) +
                    transform_decimal_double(step->offset.value);
    if (!isfinite(result))
        return false;
    *value = transform_from_double(result);
    return true;
}

static int scale_push(void *state, const struct chain_step *step, struct intake_item *item,
                      struct transform_notes *notes)
{
    struct scale *scale = state;
    struct sample *sample = item->sample;
    if (sample->document != NULL)
        notes->lack = TRANSFORM_LACK_DOCUMENT;
    else if (scale->channels == 0)
        notes->lack = TRANSFORM_LACK_CHANNEL;
    for (size_t i = 0; i < sample->value_count; i++) {
        struct value *value = &sample->values[i];
        if ((scale->channels >> i & 1) == 0 || !transform_is_number(value))
            continue;
        bool fits =
            value->kind == VALUE_DECIMAL ? scale_decimal(step, value) : scale_double(step, value);
        if (fits)
            continue;
        *value = (struct value){.kind = VALUE_ABSENT};
        notes->unfit++;
    }
    return 1;
}

const struct transform scale_transform = {
    .state_bytes = sizeof(struct scale), .bind = scale_bind, .push = scale_push};
