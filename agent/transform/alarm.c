/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/transform/transform.h"

/* A value beyond a limit makes the record an alarm, and so do those that follow until the value is
 * back by the hysteresis. */
struct alarm {
    struct transform_source source;
    bool raised;
};

static int alarm_open(void *state, const struct chain_step *step,
                      const struct chain_options *options)
{
    struct alarm *alarm = state;
    (void)options;
    return transform_source_open(&alarm->source, step->channel);
}

static int alarm_bind(void *state, const struct chain_step *step, struct intake_shape *shape,
                      char fault[INTAKE_FAULT_BYTES])
{
    struct alarm *alarm = state;
    (void)fault;
    alarm->raised = false;
    transform_source_bind(&alarm->source, step->channel, shape);
    return 0;
}

/* LIMIT, moved into what is allowed by the hysteresis, whose SIGN says in which direction that is.
 * Where no number is so far away nothing comes back. */
static struct decimal inner(const struct chain_step *step, struct decimal limit, int sign)
{
    struct decimal hysteresis = step->hysteresis.value;
    struct decimal factor = {.mantissa = sign};
    unsigned decimals = hysteresis.decimals > limit.decimals ? hysteresis.decimals : limit.decimals;
    struct decimal result = limit;
    (void)decimal_scale(hysteresis, factor, limit, decimals, &result);
    return result;
}

static bool is_beyond(const struct chain_step *step, bool raised, const struct value *value)
{
    struct decimal above = step->above.value;
    struct decimal below = step->below.value;
    if (raised) {
        above = inner(step, above, -1);
        below = inner(step, below, 1);
    }
    return (step->above.present && transform_compare(value, above) > 0) ||
           (step->below.present && transform_compare(value, below) < 0);
}

static int alarm_push(void *state, const struct chain_step *step, struct intake_item *item,
                      struct transform_notes *notes)
{
    struct alarm *alarm = state;
    struct value value = transform_source_get(&alarm->source, item->sample, notes);
    if (transform_is_number(&value))
        alarm->raised = is_beyond(step, alarm->raised, &value);
    item->alarm = item->alarm || (alarm->raised && transform_is_number(&value));
    return 1;
}

const struct transform alarm_transform = {.state_bytes = sizeof(struct alarm),
                                          .open = alarm_open,
                                          .bind = alarm_bind,
                                          .push = alarm_push};
