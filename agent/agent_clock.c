/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent_state.h"

#include "platform/base/log.h"
#include "platform/clock.h"

/*
 * Whom to believe. The boot clock goes on through steps of the wall clock and through suspends, so
 * what was trusted once, the kernel's word or a Date, holds by the boot clock whatever somebody
 * sets: for as long as a poor crystal stays within seconds, as synced; then as corrected, until the
 * drift is known. The kernel's word counts only while it is within minutes of what Dates said,
 * since a daemon can follow a wrong server; but one Date that contradicts both it and an earlier
 * one is outvoted.
 */
enum {
    KERNEL_ASK_MS = 1000, /* adjtimex(2) is a system call; a reading is not worth one */
    STEP_MS = 100,        /* but a step of the clock is: that takes the kernel's word back */
    AGREE_MS = 2000,      /* Date has whole seconds, and the reply was under way for a while */
    CREDIBLE_MS = 5 * 60 * 1000,
    TRUST_MS = 6 * 60 * 60 * 1000,
    TRIES = 4,
};

static bool agree(int64_t a, int64_t b, int64_t within_ms)
{
    return a - b <= within_ms && b - a <= within_ms;
}

/* Both at one moment, as far as the scheduler lets it. */
static struct spool_clock_reading read_clocks(void)
{
    struct spool_clock_reading now = {.quality = TIME_ESTIMATED};
    int64_t wall_ms;
    int tries = 0;
    do {
        now.boot_ms = clock_boot_ms();
        wall_ms = clock_wall_ms();
    } while (clock_boot_ms() > now.boot_ms + 1 && ++tries < TRIES);
    now.offset_ms = wall_ms - now.boot_ms;
    return now;
}

/* NOW was read before the kernel is asked: a step in between does no harm. */
static bool kernel_is_synced_locked(struct agent_clock *clock,
                                    const struct spool_clock_reading *now)
{
    bool asked = clock->asked_ms != 0 && now->boot_ms - clock->asked_ms < KERNEL_ASK_MS;
    if (!asked || !agree(now->offset_ms, clock->asked_offset_ms, STEP_MS)) {
        clock->asked_ms = now->boot_ms;
        clock->asked_offset_ms = now->offset_ms;
        clock->kernel_synced = clock_kernel_synced();
    }
    return clock->kernel_synced;
}

static bool contradicts_dates_locked(const struct agent_clock *clock, int64_t offset_ms)
{
    return clock->has_date && !agree(offset_ms, clock->date_offset_ms, CREDIBLE_MS);
}

static void trust_locked(struct agent_clock *clock, int64_t boot_ms, int64_t offset_ms)
{
    clock->has_trusted = true;
    clock->trusted_ms = boot_ms;
    clock->trusted_offset_ms = offset_ms;
}

static void judge_locked(struct agent_clock *clock, struct spool_clock_reading *now)
{
    if (kernel_is_synced_locked(clock, now) && !contradicts_dates_locked(clock, now->offset_ms))
        trust_locked(clock, now->boot_ms, now->offset_ms);
    if (!clock->has_trusted)
        return;
    now->quality = now->boot_ms - clock->trusted_ms <= TRUST_MS ? TIME_SYNCED : TIME_CORRECTED;
    /* The system's clock is finer than a Date, if the two agree. */
    if (!agree(now->offset_ms, clock->trusted_offset_ms, AGREE_MS))
        now->offset_ms = clock->trusted_offset_ms;
}

bool agent_clock_agree(int64_t offset_ms, int64_t other_ms)
{
    return agree(offset_ms, other_ms, AGREE_MS);
}

/* The spool may hold its lock meanwhile: nobody is asked or waited for. */
static void compare_locked(struct agent_clock *clock, const struct spool_clock_reading *now)
{
    bool is_news = now->quality != clock->last_quality ||
                   !agree(now->offset_ms, clock->last_offset_ms, AGREE_MS);
    if (!is_news)
        return;
    clock->last_quality = now->quality;
    clock->last_offset_ms = now->offset_ms;
    if (clock->watch != NULL)
        stop_event_signal(clock->watch->fd);
}

void agent_clock_read(void *context, struct spool_clock_reading *ret_reading)
{
    struct agent_clock *clock = context;
    struct spool_clock_reading now = read_clocks();
    (void)pthread_mutex_lock(&clock->lock);
    judge_locked(clock, &now);
    compare_locked(clock, &now);
    (void)pthread_mutex_unlock(&clock->lock);
    *ret_reading = now;
}

void agent_clock_watch(struct agent_clock *clock, const struct stop *stop)
{
    (void)pthread_mutex_lock(&clock->lock);
    clock->watch = stop;
    (void)pthread_mutex_unlock(&clock->lock);
}

const char *agent_clock_quality_name(enum time_quality quality)
{
    static const char *const qualities[] = {"synced", "corrected", "estimated"};
    return qualities[quality];
}

const char *agent_clock_quality(struct agent_clock *clock)
{
    struct spool_clock_reading now;
    agent_clock_read(clock, &now);
    return agent_clock_quality_name(now.quality);
}

/* The kernel and a Date of the last hours say one thing, this one another. */
static bool is_outvoted_locked(struct agent_clock *clock, const struct spool_clock_reading *now,
                               int64_t date_offset_ms)
{
    return clock->has_date && now->boot_ms - clock->date_ms <= TRUST_MS &&
           kernel_is_synced_locked(clock, now) &&
           !contradicts_dates_locked(clock, now->offset_ms) &&
           !agree(date_offset_ms, now->offset_ms, CREDIBLE_MS);
}

/* Replies jitter, and a block begins anew with every change: only a real one counts. */
static void take_date_locked(struct agent_clock *clock, int64_t boot_ms, int64_t offset_ms)
{
    if (!clock->has_date || !agree(offset_ms, clock->date_offset_ms, AGREE_MS))
        clock->date_offset_ms = offset_ms;
    clock->has_date = true;
    clock->date_ms = boot_ms;
    if (clock->has_trusted && agree(offset_ms, clock->trusted_offset_ms, AGREE_MS))
        offset_ms = clock->trusted_offset_ms;
    trust_locked(clock, boot_ms, offset_ms);
}

void agent_clock_learn(void *context, int64_t offset_ms)
{
    struct agent_clock *clock = context;
    struct spool_clock_reading now = read_clocks();
    (void)pthread_mutex_lock(&clock->lock);
    if (!is_outvoted_locked(clock, &now, offset_ms))
        take_date_locked(clock, now.boot_ms, offset_ms);
    bool contradicted =
        clock->kernel_synced && !agree(offset_ms, clock->asked_offset_ms, CREDIBLE_MS);
    bool told = clock->contradicted;
    clock->contradicted = contradicted;
    (void)pthread_mutex_unlock(&clock->lock);
    if (contradicted && !told)
        log_warning("clock-contradicted offset-ms=%lld remedy=\"the kernel calls its clock "
                    "synchronised, a destination has another time: check the time server\"",
                    (long long)(offset_ms - now.offset_ms));
}

bool agent_clock_vouched(struct agent_clock *clock)
{
    struct spool_clock_reading now = read_clocks();
    (void)pthread_mutex_lock(&clock->lock);
    bool vouched =
        kernel_is_synced_locked(clock, &now) && !contradicts_dates_locked(clock, now.offset_ms);
    (void)pthread_mutex_unlock(&clock->lock);
    return vouched;
}

void agent_clock_recall(struct agent_clock *clock, int64_t boot_ms, int64_t offset_ms)
{
    (void)pthread_mutex_lock(&clock->lock);
    if (!clock->has_trusted)
        trust_locked(clock, boot_ms, offset_ms);
    (void)pthread_mutex_unlock(&clock->lock);
}
