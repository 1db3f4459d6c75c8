/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/uplink/pace.h"

enum {
    RATE_MIN = 10000,   /* ten records a second */
    SPACING_MIN_MS = 1, /* requests that follow closer than the clock can tell */
    SPACING_MAX_MS = 1000,
    BURST_S = 1,       /* a request may have what goes out in this time */
    SHARE_WORSE = 100, /* thousandths of the records sent */
    SHARE_USUAL_MAX = 900,
    SAMPLE_MIN = 10, /* records that make a share worth to be known */
};

#define RATE_MAX ((int64_t)1000 * 1000 * 1000)

static int64_t within(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

/* What is owed now: the rate is in thousandths a second, so a millisecond pays rate / 1000 of them.
 */
static int64_t owed_now(const struct pace *pace, int64_t now_ms)
{
    int64_t past_ms = within(now_ms - pace->owed_ms, 0, INT64_C(1000) * 1000);
    int64_t paid = past_ms * pace->rate / 1000;
    return pace->owed > paid ? pace->owed - paid : 0;
}

static void owe(struct pace *pace, int64_t now_ms, int64_t more)
{
    pace->owed = owed_now(pace, now_ms) + more;
    pace->owed_ms = now_ms;
}

void pace_sent(struct pace *pace, int64_t now_ms, size_t records)
{
    pace->before_ms = pace->sent_ms;
    pace->sent_ms = now_ms;
    if (pace->rate != 0)
        owe(pace, now_ms, (int64_t)records * 1000);
}

/* Since the request before: what a destination took, it took in that time. */
static int64_t spacing_ms(const struct pace *pace)
{
    if (pace->before_ms == 0)
        return SPACING_MAX_MS;
    return within(pace->sent_ms - pace->before_ms, SPACING_MIN_MS, SPACING_MAX_MS);
}

static void grow(struct pace *pace)
{
    int64_t part = pace->rate < pace->too_fast * 9 / 10 ? 2 : 10; /* of the rate, in a second */
    int64_t more = pace->rate / part * spacing_ms(pace) / 1000;
    pace->rate = within(pace->rate + more + 1, RATE_MIN, RATE_MAX);
    if (pace->rate / 4 > pace->too_fast)
        pace->rate = pace->owed = 0;
}

static int64_t within_records(size_t records)
{
    return records < INT32_MAX ? (int64_t)records : INT32_MAX;
}

/* A measurement is rough: what was saved up meanwhile goes in it, too. So one reply takes three
 * tenths at most, and never gives. */
static void slow_down(struct pace *pace, int64_t sent, int64_t taken)
{
    int64_t measured = within(taken * 1000 * 1000 / spacing_ms(pace), RATE_MIN, RATE_MAX);
    int64_t before = pace->rate;
    if (before == 0)
        before = within(sent * 1000 * 1000 / spacing_ms(pace), RATE_MIN, RATE_MAX);
    else
        measured = within(measured, before * 7 / 10, before);
    if (taken == 0) /* says how fast it must not be, nothing more */
        measured = before / 2;
    pace->too_fast = before;
    pace->rate = within(measured, RATE_MIN, RATE_MAX);
}

/* Where as many are throttled however slowly they come, as in a shard that others fill, to send
 * less does not help: their share is then usual, and only more than that counts. */
static bool is_worse(struct pace *pace, int64_t sent, int64_t throttled)
{
    int64_t share = throttled * 1000 / sent;
    if (pace->slowed_at != 0 && sent >= SAMPLE_MIN)
        pace->usual_share =
            share + SHARE_WORSE > pace->slowed_at && share < SHARE_USUAL_MAX ? share : 0;
    bool worse = throttled > 0 && share > pace->usual_share + SHARE_WORSE;
    if (sent >= SAMPLE_MIN)
        pace->slowed_at = worse ? share : 0;
    return worse;
}

void pace_answered(struct pace *pace, int64_t now_ms, size_t taken, size_t throttled)
{
    int64_t sent = within_records(taken) + within_records(throttled);
    if (sent == 0)
        return;
    if (is_worse(pace, sent, within_records(throttled))) {
        slow_down(pace, sent, within_records(taken));
        pace->owed = within(sent * 1000, 0, pace->rate * BURST_S); /* as much more can be sent */
        pace->owed_ms = now_ms;
    } else if (pace->rate != 0 && taken > 0)
        grow(pace);
}

int64_t pace_wait_ms(const struct pace *pace, int64_t now_ms)
{
    if (pace->rate == 0)
        return 0;
    return (owed_now(pace, now_ms) * 1000 + pace->rate - 1) / pace->rate;
}

size_t pace_records_max(const struct pace *pace)
{
    int64_t most = pace->rate / 1000 * BURST_S;
    if (pace->rate == 0)
        return SIZE_MAX;
    return (size_t)within(most, 1, INT32_MAX);
}
