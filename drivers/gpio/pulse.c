/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/gpio/pulse.h"

uint32_t pulse_add(struct pulse *pulse, uint32_t number, int64_t time_ns)
{
    uint32_t step = number - pulse->number;
    if (step == 0 || step > INT32_MAX)
        step = 1; /* no kernel numbers like this; an edge it is all the same */
    pulse->number = number;
    pulse->total += step;
    pulse->lost += step - 1;
    pulse->last_ns = time_ns;
    if (pulse->first_ns == 0) {
        pulse->first_ns = time_ns;
        pulse->first_total = pulse->total;
    }
    if (pulse->mark_ns == 0) {
        pulse->mark_ns = time_ns;
        pulse->mark_total = pulse->total;
    }
    return step - 1;
}

uint64_t pulse_delta(struct pulse *pulse)
{
    uint64_t delta = pulse->total - pulse->reported;
    pulse->reported = pulse->total;
    return delta;
}

/* The wait for the first edge was longer than two periods of those behind it. */
static bool has_just_started(const struct pulse *pulse)
{
    uint64_t periods = pulse->total - pulse->first_total;
    int64_t span_ns = pulse->last_ns - pulse->first_ns;
    return periods > 0 && periods < INT64_MAX &&
           (pulse->first_ns - pulse->mark_ns) / 2 > span_ns / (int64_t)periods;
}

static bool stands_still(const struct pulse *pulse, int64_t now_ns)
{
    if (pulse->period_ns == 0)
        return pulse->first_ns == 0;
    return (now_ns - pulse->last_ns) / 2 > pulse->period_ns;
}

static bool take_span(struct pulse *pulse, uint64_t *ret_count, int64_t *ret_ns)
{
    bool skip = has_just_started(pulse);
    uint64_t count = pulse->total - (skip ? pulse->first_total : pulse->mark_total);
    int64_t span_ns = pulse->last_ns - (skip ? pulse->first_ns : pulse->mark_ns);
    if (pulse->first_ns == 0 || count == 0 || count > INT64_MAX || span_ns <= 0)
        return false;
    *ret_count = count;
    *ret_ns = span_ns;
    pulse->period_ns = span_ns / (int64_t)count;
    pulse->mark_ns = pulse->last_ns;
    pulse->mark_total = pulse->total;
    return true;
}

bool pulse_measure(struct pulse *pulse, int64_t now_ns, uint64_t *ret_count, int64_t *ret_ns)
{
    bool is_known = take_span(pulse, ret_count, ret_ns);
    if (!is_known && stands_still(pulse, now_ns)) {
        if (pulse->period_ns > 0)
            pulse->mark_ns = 0; /* the next edge begins a new measurement */
        pulse->period_ns = 0;
        *ret_count = 0;
        *ret_ns = 1;
        is_known = true;
    }
    pulse->first_ns = 0;
    return is_known;
}
