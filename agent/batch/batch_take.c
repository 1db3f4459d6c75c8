/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/batch/batch_parts.h"
#include "platform/base/error.h"

/* ---- a record ---- */

static int refuse(struct batch *batch, uint64_t previous, uint64_t bytes, int reason)
{
    if (batch->count > 0)
        return E_FULL; /* what was taken goes first */
    batch->refusal = (struct batch_refusal){.lane = batch->record.lane,
                                            .mark = {batch->record.sequence, previous},
                                            .sensor = batch->record.sensor,
                                            .bytes = bytes,
                                            .reason = reason};
    return E_REFUSED;
}

/* Rounded towards the past, also before 1970. */
static int64_t period_of(int64_t wall_ms, int64_t period_ms)
{
    return wall_ms / period_ms - (wall_ms % period_ms < 0);
}

static bool is_of_period(const struct batch *batch, int64_t wall_ms)
{
    int64_t period_ms = batch->options.period_ms;
    return batch->count == 0 || period_ms == 0 ||
           period_of(wall_ms, period_ms) == period_of(batch->summary.wall_ms, period_ms);
}

static void note(struct batch *batch, uint64_t sequence, int64_t wall_ms)
{
    struct batch_summary *summary = &batch->summary;
    if (batch->count++ == 0) {
        summary->first = summary->last = sequence;
        summary->wall_ms = wall_ms;
    }
    summary->first = sequence < summary->first ? sequence : summary->first;
    summary->last = sequence > summary->last ? sequence : summary->last;
}

/* Where all entries are answered for together and none is packed, which is which does not matter.
 */
static bool is_of_run(const struct batch *batch, const struct batch_range *range, uint64_t previous)
{
    const struct batch_options *options = &batch->options;
    bool alike = options->frame->together && options->pack == BATCH_PACK_NONE;
    if (range->run_count == 0)
        return false;
    const struct spool_run *run = &batch->runs[batch->run_count - 1];
    return run->last == previous && batch->block == batch->reader.header.first_sequence &&
           (alike || run->entry == batch->entry.index);
}

static void note_record(struct batch *batch, uint64_t previous)
{
    struct batch_range *range = &batch->ranges[batch->range_count - 1];
    uint64_t sequence = batch->record.sequence;
    if (!is_of_run(batch, range, previous)) {
        batch->runs[batch->run_count++] =
            (struct spool_run){.previous = previous, .entry = batch->entry.index};
        batch->block = batch->reader.header.first_sequence;
        range->run_count++;
    }
    batch->runs[batch->run_count - 1].last = sequence;
    batch->runs[batch->run_count - 1].count++;
    range->last = sequence;
    if (range->count++ == 0)
        range->first = sequence;
    note(batch, sequence, batch->record.wall_ms);
}

static int take_record(struct batch *batch, uint64_t previous, uint64_t bytes_max)
{
    uint64_t bytes = 0;
    if (!is_of_period(batch, batch->record.wall_ms))
        return E_END;
    if (batch->run_count == batch->runs_max)
        return E_FULL;
    int rc = batch_entry_measure(batch, NULL, &bytes);
    if (rc == E_OK)
        rc = batch_entry_fit(batch, NULL, bytes, bytes_max);
    if (rc == E_TOO_BIG || rc == E_DAMAGED)
        return refuse(batch, previous, rc == E_TOO_BIG ? batch->entry.bytes : bytes, rc);
    if (rc < 0)
        return rc;
    if (batch_entry_put(batch, NULL, bytes) < 0)
        return E_CHANGED; /* the next build meets it before it has begun to write the record */
    note_record(batch, previous);
    return E_OK;
}

static bool is_aside(const struct batch *batch, uint64_t sequence)
{
    const struct batch_options *options = &batch->options;
    return options->is_aside != NULL && options->is_aside(options->aside_context, sequence);
}

int batch_take_read(struct batch *batch, uint64_t *ret_previous)
{
    int rc;
    do
        rc = spool_reader_next(&batch->reader, &batch->record, ret_previous);
    while (rc == E_DAMAGED || (rc == E_OK && is_aside(batch, batch->record.sequence)));
    return rc;
}

static bool takes(const struct batch *batch, enum lane lane)
{
    return batch->options.lanes[lane] && (lane == LANE_ALARM || !batch->alarms_only);
}

/* Whether some record that the route owes is numbered below SEQUENCE. */
static bool owes_below(struct batch *batch, uint64_t sequence)
{
    uint64_t previous;
    for (enum lane lane = LANE_ALARM; lane < LANE_COUNT; lane++) {
        if (!batch->options.lanes[lane])
            continue;
        spool_reader_start(&batch->reader, batch->options.route, lane);
        if (batch_take_read(batch, &previous) == E_OK && batch->record.sequence < sequence)
            return true;
    }
    return false;
}

/* What to take of each lane: records from FROM on and below END, until the whole batch has so many
 * records and bytes. */
struct part {
    uint64_t from;
    uint64_t end;
    uint64_t records;
    uint64_t bytes;
};

static int take_gap(struct batch *batch, const struct spool_gap *gap, uint64_t bytes_max)
{
    uint64_t bytes;
    int rc = batch_entry_measure(batch, gap, &bytes);
    if (rc == E_OK)
        rc = batch_entry_fit(batch, gap, bytes, bytes_max);
    if (rc == E_OK)
        rc = batch_entry_put(batch, gap, bytes);
    if (rc < 0)
        return rc;
    batch->gap_entries[batch->gap_count] = batch->entry.index;
    batch->gaps[batch->gap_count++] = *gap;
    note(batch, gap->sequence, gap->wall_ms);
    return E_OK;
}

static int take_gaps(struct batch *batch, const struct part *part)
{
    struct spool_gap gap = {.sequence = 0};
    while (batch->gap_count < BATCH_GAPS_MAX && batch->count < part->records &&
           spool_gap_next(batch->options.route, gap.sequence, &gap) == E_OK) {
        if (batch->options.in_order && owes_below(batch, gap.sequence))
            return E_OK;
        if (is_aside(batch, gap.sequence) || !is_of_period(batch, gap.wall_ms))
            continue;
        int rc = take_gap(batch, &gap, part->bytes);
        if (rc < 0)
            return rc;
    }
    return E_OK;
}

bool batch_take_has_backlog(struct batch *batch)
{
    uint64_t previous;
    if (batch->options.backlog_percent == 0)
        return false;
    for (enum lane lane = LANE_ALARM; lane < LANE_COUNT; lane++) {
        if (!takes(batch, lane))
            continue;
        spool_reader_start(&batch->reader, batch->options.route, lane);
        if (batch->reader.from < batch->fresh_from && batch_take_read(batch, &previous) == E_OK &&
            batch->record.sequence < batch->fresh_from)
            return true;
    }
    return false;
}

/* Behind what the batch has of this part of the lane already. */
static uint64_t start_of(const struct batch *batch, enum lane lane, const struct part *part)
{
    uint64_t from = part->from;
    for (size_t i = 0; i < batch->range_count; i++) {
        const struct batch_range *range = &batch->ranges[i];
        if (range->lane == lane && range->first >= from && range->first < part->end)
            from = range->last + 1;
    }
    return from;
}

static int take_lane(struct batch *batch, enum lane lane, const struct part *part)
{
    uint64_t previous = 0;
    int rc = E_OK;
    spool_reader_start_at(&batch->reader, batch->options.route, lane, start_of(batch, lane, part));
    batch->ranges[batch->range_count++] = (struct batch_range){.lane = lane};
    while (rc == E_OK) {
        if (batch->count >= part->records) {
            rc = E_FULL;
            break;
        }
        rc = batch_take_read(batch, &previous);
        if (rc == E_OK && batch->record.sequence >= part->end)
            rc = E_END;
        if (rc == E_OK)
            rc = take_record(batch, previous, part->bytes);
    }
    if (batch->ranges[batch->range_count - 1].count == 0)
        batch->range_count--;
    return rc == E_END ? E_OK : rc;
}

static int take_part(struct batch *batch, const struct part *part)
{
    int rc = E_OK;
    for (enum lane lane = LANE_ALARM; lane < LANE_COUNT && rc == E_OK; lane++)
        if (takes(batch, lane))
            rc = take_lane(batch, lane, part);
    return rc;
}

static uint64_t share(uint64_t of, unsigned percent)
{
    uint64_t part = of <= UINT64_MAX / 100 ? of * percent / 100 : of / 100 * percent;
    return part > 0 ? part : 1;
}

/* A backlog whose first record finds no room behind the fresh ones, or can never be sent, would
 * wait for ever: so the next batch begins with it. */
static int take_fresh_first(struct batch *batch, const struct part *all)
{
    unsigned percent = 100 - batch->options.backlog_percent;
    struct part fresh = {.from = batch->fresh_from, .end = UINT64_MAX};
    struct part backlog = *all;
    int rc = E_OK;
    fresh.records = share(all->records, percent);
    fresh.bytes = share(all->bytes, percent);
    backlog.end = batch->fresh_from;
    if (!batch->backlog_waits)
        rc = take_part(batch, &fresh);
    size_t before = batch->count;
    if (rc == E_OK || rc == E_FULL)
        rc = take_part(batch, &backlog);
    if (batch->count > 0)
        batch->backlog_waits = batch->count == before;
    fresh.records = all->records;
    fresh.bytes = all->bytes;
    return rc == E_OK ? take_part(batch, &fresh) : rc;
}

int batch_take(struct batch *batch, size_t records_max, uint64_t bytes_max)
{
    const struct part all = {.end = UINT64_MAX, .records = records_max, .bytes = bytes_max};
    int rc = batch->alarms_only ? E_OK : take_gaps(batch, &all);
    if (rc == E_OK)
        rc = batch_take_has_backlog(batch) ? take_fresh_first(batch, &all) : take_part(batch, &all);
    batch_entry_end(batch);
    if (batch->body.error < 0)
        return batch->body.error;
    /* An error of the spool must not hold back what was read before it; but a record that was begun
     * and came to no end is in the body. */
    if (batch->count > 0 && rc != E_CHANGED)
        return E_OK;
    return rc < 0 ? rc : E_END;
}
