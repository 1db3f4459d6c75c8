/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <string.h>

#include "agent/uplink/uplink_state.h"
#include "platform/base/error.h"
#include "platform/stop.h"

enum {
    WAKE_GAP_MS = 20,   /* records that trickle in wake the thread at most so often */
    RECORD_BYTES = 200, /* of JSON, for all that is known before the first batch */
};

/* What is there and when it is due. */
struct look {
    uint64_t lane_records[LANE_COUNT];
    uint64_t records;
    uint64_t bytes;
    uint64_t held_records, held_bytes; /* what waits for the budget beside it */
    bool gap;                          /* there is one to tell of */
    int64_t due_mono_ms;
};

static int64_t lane_due_mono_ms(struct uplink *uplink, enum lane lane)
{
    uint8_t boot_id[BLOCK_BOOT_ID_BYTES];
    int64_t now = clock_mono_ms();
    int64_t age_ms = uplink->options.age_ms[lane];
    int64_t taken_boot_ms;
    if (uplink->lane_due_mono_ms[lane] != 0)
        return uplink->lane_due_mono_ms[lane];
    int rc = batch_oldest(&uplink->batch, lane, &taken_boot_ms, boot_id);
    int64_t left_ms = age_ms;
    if (rc == E_OK && memcmp(boot_id, uplink->boot_id, sizeof boot_id) != 0)
        left_ms = 0; /* taken before the last boot: its age is not known, but it has waited */
    else if (rc == E_OK && taken_boot_ms < clock_boot_ms())
        left_ms = age_ms - (clock_boot_ms() - taken_boot_ms);
    uplink->lane_due_mono_ms[lane] = now + (left_ms > 0 ? left_ms : 0);
    return uplink->lane_due_mono_ms[lane];
}

/* No number of records fills an object, but its bytes, which the spool knows only encoded. */
static uint64_t object_records(const struct uplink *uplink)
{
    uint64_t each_bytes = uplink->record_bytes > 0 ? uplink->record_bytes : RECORD_BYTES;
    return uplink->batch.options.limits.bytes / each_bytes + 1;
}

/* How much there is when a batch is full. Records that are packed become many times shorter, so no
 * number of them tells; they go when what RAM holds for all of them is half full, for beyond it
 * flash is written. */
static uint64_t full_records(const struct uplink *uplink)
{
    const struct batch_options *batch = &uplink->batch.options;
    if (uplink_makes_objects(&uplink->options))
        return object_records(uplink);
    return batch->pack == BATCH_PACK_NONE ? batch->limits.records : UINT64_MAX / 2;
}

static uint64_t full_bytes(const struct uplink *uplink)
{
    const struct batch_options *batch = &uplink->batch.options;
    const uint64_t half = (uint64_t)CONFIG_SPOOL_HEAD_BLOCKS * BLOCK_BYTES / 2;
    bool packed = batch->pack != BATCH_PACK_NONE;
    return packed && half < batch->limits.bytes ? half : batch->limits.bytes;
}

static void count_lanes(struct uplink *uplink, struct look *ret_look)
{
    struct spool_gap gap;
    *ret_look = (struct look){.due_mono_ms = INT64_MAX,
                              .gap = uplink->pass == LINK_ALL &&
                                     spool_gap_next(uplink->route, 0, &gap) == E_OK};
    for (enum lane lane = LANE_ALARM; lane < LANE_COUNT; lane++) {
        struct spool_backlog backlog;
        if (!uplink->options.lanes[lane])
            continue;
        spool_route_backlog(uplink->route, lane, &backlog);
        if (!uplink_budget_is_open(uplink, lane)) {
            ret_look->held_records += backlog.records;
            ret_look->held_bytes += backlog.bytes;
            continue;
        }
        ret_look->lane_records[lane] = backlog.records;
        ret_look->records += backlog.records;
        ret_look->bytes += backlog.bytes;
    }
}

static bool is_full(const struct uplink *uplink, const struct look *look)
{
    return look->records > 0 &&
           (look->records >= full_records(uplink) || look->bytes >= full_bytes(uplink));
}

bool uplink_due_is_full(struct uplink *uplink)
{
    struct look look;
    count_lanes(uplink, &look);
    return is_full(uplink, &look);
}

/* Whether a batch is due; the oldest records are asked for only where the amount does not tell. */
static bool is_due(struct uplink *uplink, struct look *look)
{
    bool drain = atomic_load(&uplink->drain);
    if (look->gap && (drain || !uplink_makes_objects(&uplink->options)))
        return true; /* but it gets no object of its own */
    if (look->records == 0)
        return false;
    if (drain || is_full(uplink, look) || batch_has_backlog(&uplink->batch))
        return true;
    for (enum lane lane = LANE_ALARM; lane < LANE_COUNT; lane++) {
        int64_t due = INT64_MAX;
        if (look->lane_records[lane] > 0)
            due = lane_due_mono_ms(uplink, lane);
        if (due < look->due_mono_ms)
            look->due_mono_ms = due;
    }
    return look->due_mono_ms <= clock_mono_ms();
}

/* A full batch ends the wait, and so does any record that may be due earlier than what waits: one
 * in a lane that is empty and in more of a hurry. No other does, or each reading would wake a
 * thread that has nothing to do for it. */
static struct spool_wake wake_for(struct uplink *uplink, const struct look *look)
{
    struct spool_wake wake = {.records = UINT64_MAX, .bytes = UINT64_MAX};
    for (enum lane lane = LANE_ALARM; lane < LANE_COUNT; lane++) {
        int64_t due = clock_mono_ms() + uplink->options.age_ms[lane];
        wake.lanes[lane] = uplink->options.lanes[lane] && uplink_budget_is_open(uplink, lane) &&
                           look->lane_records[lane] == 0 && due < look->due_mono_ms;
    }
    if (uplink->pass != LINK_NONE) {
        wake.records = look->held_records + full_records(uplink);
        wake.bytes = look->held_bytes + full_bytes(uplink);
    }
    if (uplink->asks_time)
        wake.records = look->held_records + look->records + 1; /* the first held is worth to ask */
    return wake;
}

static int wait_for_change(struct uplink *uplink, const struct look *look)
{
    int64_t now = clock_mono_ms();
    if (now < uplink->woken_mono_ms + WAKE_GAP_MS)
        (void)stop_wait(&uplink->soft, -1, 0, now + WAKE_GAP_MS);
    const struct spool_wake wake = wake_for(uplink, look);
    spool_route_arm(uplink->route, uplink->event_fd, &wake);
    int64_t until_ms =
        look->due_mono_ms < uplink->budget_mono_ms ? look->due_mono_ms : uplink->budget_mono_ms;
    int rc = stop_wait(&uplink->soft, uplink->event_fd, POLLIN, until_ms);
    uplink->woken_mono_ms = clock_mono_ms();
    return rc == E_TIMEOUT ? E_OK : rc;
}

int uplink_due_wait(struct uplink *uplink)
{
    struct look look;
    for (;;) {
        if (stop_requested(&uplink->soft))
            return E_STOP;
        stop_event_drain(uplink->event_fd);
        uplink_budget_heed(uplink);
        count_lanes(uplink, &look);
        if (is_due(uplink, &look))
            break;
        uplink_report_nothing_due(uplink);
        if (uplink->asks_time && look.held_records > 0)
            return E_OK;
        int rc = wait_for_change(uplink, &look);
        if (rc < 0)
            return rc;
    }
    memset(uplink->lane_due_mono_ms, 0, sizeof uplink->lane_due_mono_ms);
    uplink->asks_time = false; /* the reply to what is due tells it as well */
    uplink_report_due(uplink);
    return E_OK;
}
