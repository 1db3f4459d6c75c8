/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/batch/batch.h"

#include <stdlib.h>
#include <string.h>

#include "agent/batch/batch_parts.h"
#include "platform/base/bytes.h"
#include "platform/base/error.h"

/* ---- first pass ---- */

static uint64_t last_taken(const struct batch *batch, enum lane lane)
{
    uint64_t last = 0;
    for (size_t i = 0; i < batch->range_count; i++)
        if (batch->ranges[i].lane == lane && batch->ranges[i].last > last)
            last = batch->ranges[i].last;
    return last;
}

/* While it is read everything stays in place, afterwards what was taken. */
static void pin(struct batch *batch, bool reading)
{
    for (enum lane lane = LANE_ALARM; lane < LANE_COUNT; lane++)
        if (batch->options.lanes[lane])
            spool_route_pin(batch->options.route, lane,
                            reading ? UINT64_MAX : last_taken(batch, lane));
}

static int build(struct batch *batch, size_t records_max, uint64_t bytes_max)
{
    uint8_t digest[HASH_SHA256_BYTES];
    batch_body_start(batch, NULL);
    int rc = batch_take(batch, records_max, bytes_max);
    if (rc == E_OK)
        rc = batch_body_end(batch);
    if (rc < 0)
        return rc;
    batch->summary.body_bytes = batch->sink.total_bytes;
    batch->body_check = batch->sink.check;
    hash_sha256_finish(&batch->sink.hash, digest);
    bytes_put_hex(batch->summary.body_hash, digest, sizeof digest);
    return E_OK;
}

int batch_build(struct batch *batch, size_t records_max, uint64_t bytes_max)
{
    const struct batch_limits *limits = &batch->options.limits;
    uint64_t bytes = bytes_max < limits->bytes ? bytes_max : limits->bytes;
    size_t records = records_max;
    if (batch->options.pack == BATCH_PACK_NONE && limits->records < records)
        records = limits->records;
    batch->turn += batch->summary.entry_count;
    batch->count = 0;
    batch->summary.entry_count = 0;
    batch->range_count = batch->run_count = batch->gap_count = 0;
    batch->data_bytes = batch->frame_bytes;
    batch->entry.open = false;
    pin(batch, true);
    spool_time_freeze(batch->options.route);
    int rc = build(batch, records, bytes);
    if (rc < 0)
        batch->range_count = batch->run_count = batch->gap_count = 0;
    pin(batch, false);
    return rc;
}

/* ---- what there is ---- */

int batch_oldest(struct batch *batch, enum lane lane, int64_t *ret_boot_ms,
                 uint8_t ret_boot_id[BLOCK_BOOT_ID_BYTES])
{
    uint64_t previous;
    spool_reader_start(&batch->reader, batch->options.route, lane);
    int rc = batch_take_read(batch, &previous);
    if (rc < 0)
        return rc;
    *ret_boot_ms = spool_reader_came_ms(&batch->reader, &batch->record);
    memcpy(ret_boot_id, batch->reader.header.boot_id, BLOCK_BOOT_ID_BYTES);
    return E_OK;
}

bool batch_has_backlog(struct batch *batch)
{
    return batch_take_has_backlog(batch);
}

/* ---- second pass ---- */

/* The same record as in the first pass goes into the same entry, or the bytes differ. */
static int put_into(struct batch *batch, const struct spool_gap *gap, uint32_t entry)
{
    uint64_t bytes;
    int rc = batch_entry_measure(batch, gap, &bytes);
    if (rc < 0)
        return rc == E_DAMAGED ? E_CHANGED : rc;
    if (!batch->entry.open || batch->entry.index != entry)
        batch_entry_start(batch, gap);
    return batch_entry_put(batch, gap, bytes);
}

/* From here on they stay as they are, for they may be received. */
static int write_gaps(struct batch *batch)
{
    for (size_t i = 0; i < batch->gap_count; i++) {
        int rc = spool_gap_seal(batch->options.route, &batch->gaps[i]);
        if (rc == E_OK)
            rc = put_into(batch, &batch->gaps[i], batch->gap_entries[i]);
        if (rc < 0)
            return rc;
    }
    return E_OK;
}

static int write_run(struct batch *batch, const struct spool_run *run)
{
    uint64_t previous;
    for (uint32_t i = 0; i < run->count; i++) {
        int rc = batch_take_read(batch, &previous);
        if (rc == E_END || (rc == E_OK && batch->record.sequence > run->last))
            return E_CHANGED;
        if (rc == E_OK)
            rc = put_into(batch, NULL, run->entry);
        if (rc < 0)
            return rc;
    }
    return batch->record.sequence == run->last ? E_OK : E_CHANGED;
}

static int write_records(struct batch *batch)
{
    const struct spool_run *run = batch->runs;
    for (size_t i = 0; i < batch->range_count; i++) {
        const struct batch_range *range = &batch->ranges[i];
        spool_reader_start_at(&batch->reader, batch->options.route, range->lane, range->first);
        for (const struct spool_run *end = run + range->run_count; run < end; run++) {
            int rc = write_run(batch, run);
            if (rc < 0)
                return rc;
        }
    }
    return E_OK;
}

int batch_write(struct batch *batch, struct writer *out)
{
    size_t entry_count = batch->summary.entry_count;
    uint64_t data_bytes = batch->data_bytes;
    batch->summary.entry_count = 0;
    batch_body_start(batch, out);
    int rc = write_gaps(batch);
    if (rc == E_OK)
        rc = write_records(batch);
    batch_entry_end(batch);
    batch->summary.entry_count = entry_count;
    batch->data_bytes = data_bytes;
    if (rc == E_OK)
        rc = batch_body_end(batch);
    if (rc < 0)
        return rc;
    if (batch->sink.total_bytes != batch->summary.body_bytes ||
        batch->sink.check != batch->body_check)
        return E_CHANGED;
    writer_char(out, (char)batch->sink.held);
    return out->error;
}

/* ---- afterwards ---- */

static bool is_delivered(const struct batch *batch, const uint8_t *delivered, size_t entry)
{
    return delivered == NULL || batch->options.frame->together ||
           (delivered[entry / 8] >> entry % 8 & 1) != 0;
}

static size_t acknowledge_gaps(struct batch *batch, const uint8_t *delivered)
{
    size_t acknowledged = 0;
    for (size_t i = 0; i < batch->gap_count; i++) {
        if (!is_delivered(batch, delivered, batch->gap_entries[i]))
            continue;
        spool_gap_acknowledge(batch->options.route, batch->gaps[i].sequence);
        acknowledged++;
    }
    return acknowledged;
}

/* Delivered runs that follow each other, with none between them, in one call. */
static size_t acknowledge_range(struct batch *batch, const struct batch_range *range,
                                const struct spool_run *runs, const uint8_t *delivered)
{
    size_t acknowledged = 0;
    size_t begun = 0;
    for (size_t i = 0; i <= range->run_count; i++) {
        bool is_next = i < range->run_count && is_delivered(batch, delivered, runs[i].entry);
        bool joins = is_next && i > begun && runs[i].previous == runs[i - 1].last;
        if (i > begun && !joins)
            spool_route_ack_runs(batch->options.route, range->lane, runs + begun, i - begun,
                                 SPOOL_DELIVERED);
        if (is_next)
            acknowledged += runs[i].count;
        if (!joins)
            begun = is_next ? i : i + 1;
    }
    return acknowledged;
}

size_t batch_acknowledge(struct batch *batch, const uint8_t *delivered)
{
    const struct spool_run *runs = batch->runs;
    size_t acknowledged = acknowledge_gaps(batch, delivered);
    for (size_t i = 0; i < batch->range_count; i++) {
        acknowledged += acknowledge_range(batch, &batch->ranges[i], runs, delivered);
        runs += batch->ranges[i].run_count;
    }
    return acknowledged;
}

int batch_refuse(struct batch *batch, const struct batch_refusal *refusal, const char *reason,
                 int64_t deadline_ms)
{
    const struct spool_death death = {.lane = refusal->lane,
                                      .mark = refusal->mark,
                                      .attempts = refusal->attempts,
                                      .reason = reason};
    int rc = refusal->reason == E_DAMAGED
                 ? E_DAMAGED
                 : spool_dead_bury(batch->options.route, &death, deadline_ms);
    if (rc != E_DAMAGED)
        return rc;
    spool_dead_lose(batch->options.route, refusal->lane, &refusal->mark);
    return E_OK;
}

void batch_release(struct batch *batch)
{
    spool_route_unpin(batch->options.route);
}

/* ---- open and close ---- */

static int next_piece(void *context, const uint8_t **ret_piece, size_t *ret_bytes)
{
    struct batch *batch = context;
    return spool_reader_piece(&batch->reader, ret_piece, ret_bytes);
}

static bool is_left_out(const struct batch_options *options)
{
    return (!BATCH_HAS_GZIP && (options->gzip_entry || options->gzip_body)) ||
           (!BATCH_HAS_KPL && options->pack == BATCH_PACK_KPL) ||
           (!BATCH_HAS_SENML && options->format == BATCH_SENML);
}

static bool is_valid(const struct batch_options *options)
{
    const struct batch_limits *limits = &options->limits;
    bool twice = options->gzip_entry && options->gzip_body;
    bool hidden = options->gzip_entry && options->pack == BATCH_PACK_KPL;
    return limits->records > 0 && limits->bytes > 0 && limits->record_bytes > 0 && !twice &&
           !hidden && options->period_ms >= 0;
}

/* Where no entry has a run of its own, blocks and entries are what cuts records into runs. */
static size_t runs_max_of(const struct batch_options *options)
{
    size_t records = options->limits.records;
    bool few = options->frame->together && records > CONFIG_BATCH_RUNS;
    return options->pack != BATCH_PACK_NONE || few ? CONFIG_BATCH_RUNS : records;
}

int batch_open(const struct batch_options *options, struct batch *batch)
{
    uint8_t id[SPOOL_ID_BYTES];
    if (!is_valid(options))
        return E_INVALID;
    if (is_left_out(options))
        return E_UNSUPPORTED;
    *batch = (struct batch){.options = *options};
    batch->frame_bytes = batch_entry_frame_bytes(batch);
    if (options->limits.record_bytes <= batch->frame_bytes)
        return E_INVALID;
    batch->options.limits.record_bytes -= batch->frame_bytes;
    batch->runs_max = runs_max_of(options);
    batch->runs = calloc(batch->runs_max, sizeof *batch->runs);
    int rc = batch->runs == NULL ? E_NO_MEMORY : E_OK;
    if ((BATCH_GZIP_ENTRY(options) || BATCH_GZIP_BODY(options)) && rc == E_OK)
        rc = gzip_open(&batch->gzip);
    if (rc < 0) {
        batch_close(batch);
        return rc;
    }
    spool_get_id(options->spool, id);
    batch->summary.spool_id = bytes_get_be64(id);
    batch->render.piece = next_piece;
    batch->render.context = batch;
    batch->render.flat = options->flat;
    batch->render.one_line = options->frame->newline || options->pack == BATCH_PACK_LINES;
    return E_OK;
}

void batch_close(struct batch *batch)
{
    if (BATCH_HAS_GZIP)
        gzip_close(batch->gzip);
    free(batch->runs);
    batch->gzip = NULL;
    batch->runs = NULL;
}
