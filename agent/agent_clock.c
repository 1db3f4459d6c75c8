/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent_state.h"

#include "platform/clock.h"

enum {
    KERNEL_ASK_MS = 1000, /* adjtimex(2) is a system call; a reading is not worth one */
    AGREE_MS = 2000,      /* Date has whole seconds, and the reply was under way for a while */
};

static bool kernel_is_synced(struct agent_clock *clock, int64_t boot_ms)
{
    int64_t checked_ms = atomic_load(&clock->checked_ms);
    if (checked_ms == 0 || boot_ms - checked_ms >= KERNEL_ASK_MS) {
        atomic_store(&clock->checked_ms, boot_ms);
        atomic_store(&clock->kernel_synced, clock_kernel_synced());
    }
    return atomic_load(&clock->kernel_synced);
}

void agent_clock_read(void *context, struct spool_clock_reading *ret_reading)
{
    struct agent_clock *clock = context;
    int64_t boot_ms = clock_boot_ms();
    int64_t offset_ms = clock_wall_ms() - boot_ms;
    enum time_quality quality = TIME_ESTIMATED;
    if (kernel_is_synced(clock, boot_ms)) {
        quality = TIME_SYNCED;
    } else if (atomic_load(&clock->learned)) {
        int64_t learned_ms = atomic_load(&clock->learned_offset_ms);
        int64_t apart_ms = offset_ms - learned_ms;
        quality = TIME_SYNCED;
        /* The system's clock is finer than a Date, if the two agree. */
        if (apart_ms > AGREE_MS || apart_ms < -AGREE_MS)
            offset_ms = learned_ms;
    }
    *ret_reading = (struct spool_clock_reading){
        .boot_ms = boot_ms, .offset_ms = offset_ms, .quality = quality};
}

void agent_clock_learn(void *context, int64_t offset_ms)
{
    struct agent_clock *clock = context;
    int64_t known_ms = atomic_load(&clock->learned_offset_ms);
    int64_t apart_ms = offset_ms - known_ms;
    /* Replies jitter; a block begins anew with every change, so only a real one counts. */
    if (atomic_load(&clock->learned) && apart_ms <= AGREE_MS && apart_ms >= -AGREE_MS)
        return;
    atomic_store(&clock->learned_offset_ms, offset_ms);
    atomic_store(&clock->learned, true);
}
