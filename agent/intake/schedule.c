/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/intake/schedule.h"

void schedule_start(struct schedule *schedule, int64_t interval_ms, int64_t first_ms)
{
    *schedule = (struct schedule){.interval_ms = interval_ms, .slot_ms = first_ms};
}

int64_t schedule_due_ms(const struct schedule *schedule)
{
    return schedule->failures > 0 ? schedule->retry_ms : schedule->slot_ms;
}

/* Slots up to NOW_MS are over; one of them was used. */
static void advance(struct schedule *schedule, int64_t now_ms)
{
    if (schedule->slot_ms > now_ms)
        return;
    int64_t passed = (now_ms - schedule->slot_ms) / schedule->interval_ms;
    schedule->missed += (uint64_t)passed;
    schedule->slot_ms += (passed + 1) * schedule->interval_ms;
}

void schedule_succeeded(struct schedule *schedule, int64_t now_ms)
{
    advance(schedule, now_ms);
    schedule->failures = 0;
}

void schedule_restart(struct schedule *schedule, int64_t now_ms)
{
    schedule->slot_ms = now_ms + schedule->interval_ms;
    schedule->failures = 0;
}

void schedule_failed(struct schedule *schedule, int64_t now_ms, uint64_t random)
{
    int64_t ceiling_ms = SCHEDULE_BACKOFF_MS_MIN;
    for (unsigned i = 0; i < schedule->failures && ceiling_ms < SCHEDULE_BACKOFF_MS_MAX; i++)
        ceiling_ms *= 2;
    if (ceiling_ms > SCHEDULE_BACKOFF_MS_MAX)
        ceiling_ms = SCHEDULE_BACKOFF_MS_MAX;
    advance(schedule, now_ms);
    schedule->failures++;
    schedule->retry_ms = now_ms + 1 + (int64_t)(random % (uint64_t)ceiling_ms);
}
