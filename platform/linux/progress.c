/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/progress.h"

#include "platform/clock.h"

void progress_promise(struct progress *progress, int64_t due_ms)
{
    atomic_store(&progress->due_ms, due_ms);
}

void progress_work(struct progress *progress)
{
    progress_promise(progress, clock_mono_ms() + PROGRESS_WORK_MS);
}

/* As much slack as sleep: whoever stops while asleep is found within twice that. */
int64_t progress_sleep(struct progress *progress, int64_t deadline_ms)
{
    int64_t now_ms = clock_mono_ms();
    int64_t every_ms = progress->every_ms;
    int64_t until_ms = deadline_ms > now_ms ? deadline_ms : now_ms;
    if (every_ms > 0 && until_ms - now_ms > every_ms)
        until_ms = now_ms + every_ms;
    int64_t slack_ms = every_ms > 0 ? every_ms : PROGRESS_SLACK_MS;
    progress_promise(progress, until_ms > INT64_MAX - slack_ms ? INT64_MAX : until_ms + slack_ms);
    return until_ms < deadline_ms ? until_ms : deadline_ms;
}

int64_t progress_late_ms(const struct progress *progress, int64_t now_ms)
{
    int64_t due_ms = atomic_load(&progress->due_ms);
    return due_ms != 0 && now_ms > due_ms ? now_ms - due_ms : 0;
}
