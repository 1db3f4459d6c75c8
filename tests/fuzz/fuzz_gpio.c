/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "drivers/gpio/debounce.h"
#include "drivers/gpio/pulse.h"
#include "tests/fuzz/fuzz.h"

/* Edges as a kernel may number and stamp them, and the questions in between. */
enum { STEP_BYTES = 14 };

struct step {
    uint32_t number;
    uint8_t what;
    uint8_t is_high;
    int64_t time_ns;
};

static struct step read_step(const uint8_t *bytes)
{
    struct step step = {.what = bytes[4], .is_high = bytes[5]};
    memcpy(&step.number, bytes, sizeof step.number);
    memcpy(&step.time_ns, bytes + 6, sizeof step.time_ns);
    step.time_ns &= INT64_MAX; /* as the driver gives them */
    return step;
}

static void measure(struct pulse *pulse, int64_t now_ns)
{
    uint64_t count;
    int64_t span_ns;
    if (pulse_measure(pulse, now_ns, &count, &span_ns) && (span_ns <= 0 || count > pulse->total))
        abort();
}

static void debounce(struct debounce *state, const struct step *step)
{
    int64_t edge_ns;
    bool before = state->is_high;
    bool changed = debounce_settle(state, step->time_ns, &edge_ns);
    if (changed != (before != state->is_high) || (changed && edge_ns > step->time_ns))
        abort();
    debounce_edge(state, step->is_high % 2 != 0, step->time_ns);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    struct pulse pulse = {0};
    struct debounce state;
    uint64_t sum = 0;
    debounce_start(&state, 20000000, false);
    for (size_t at = 0; at + STEP_BYTES <= count; at += STEP_BYTES) {
        struct step step = read_step(bytes + at);
        if (step.what % 4 == 0)
            sum += pulse_delta(&pulse);
        else if (step.what % 4 == 1)
            measure(&pulse, step.time_ns);
        else if (pulse_add(&pulse, step.number, step.time_ns) > INT32_MAX)
            abort();
        debounce(&state, &step);
    }
    if (sum + pulse_delta(&pulse) != pulse.total || pulse.lost > pulse.total)
        abort();
    return 0;
}
