/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/batch/batch.h"

#include <stdlib.h>
#include <string.h>

#include "platform/base/bytes.h"
#include "platform/base/error.h"

/* ---- where the bytes go ---- */

/* Tells whether two passes gave the same bytes, at a fraction of the cost of a second SHA-256,
 * which the receiver takes anyway. Depends on how the bytes are cut into calls; both passes cut
 * alike, because both fill the same buffer in the same way. */
static uint64_t add_check(uint64_t check, const uint8_t *bytes, size_t count)
{
    const uint64_t factor = 0x9e3779b97f4a7c15;
    uint64_t word;
    for (; count >= sizeof word; count -= sizeof word, bytes += sizeof word) {
        memcpy(&word, bytes, sizeof word);
        check = (check ^ word) * factor;
        check ^= check >> 29;
    }
    word = (uint64_t)(count + 1) << 56;
    memcpy(&word, bytes, count);
    check = (check ^ word) * factor;
    return check ^ check >> 32;
}

static int hash_body(void *context, const uint8_t *bytes, size_t count)
{
    struct batch_sink *sink = context;
    hash_sha256_add(&sink->hash, bytes, count);
    sink->check = add_check(sink->check, bytes, count);
    sink->total_bytes += count;
    return E_OK;
}

static int send_body(void *context, const uint8_t *bytes, size_t count)
{
    struct batch *batch = context;
    struct batch_sink *sink = &batch->sink;
    if (count == 0)
        return E_OK;
    sink->check = add_check(sink->check, bytes, count);
    sink->total_bytes += count;
    if (sink->total_bytes > batch->summary.body_bytes)
        return E_CHANGED;
    if (sink->holding)
        writer_char(sink->out, (char)sink->held);
    writer_bytes(sink->out, bytes, count - 1);
    sink->holding = true;
    sink->held = bytes[count - 1];
    return sink->out->error;
}

static void start_body(struct batch *batch, struct writer *out)
{
    batch->sink = (struct batch_sink){.out = out};
    hash_sha256_start(&batch->sink.hash);
    if (out == NULL)
        writer_to_function(&batch->body, batch->body_buffer, sizeof batch->body_buffer, hash_body,
                           &batch->sink);
    else
        writer_to_function(&batch->body, batch->body_buffer, sizeof batch->body_buffer, send_body,
                           batch);
    batch->options.frame->begin(batch->options.frame_context, &batch->body);
    (void)writer_finish(&batch->body);
}

static int end_body(struct batch *batch)
{
    batch->options.frame->end(batch->options.frame_context, &batch->body);
    return writer_finish(&batch->body);
}

/* ---- a record ---- */

static int encode_data(void *context, const uint8_t *bytes, size_t count)
{
    struct batch *batch = context;
    if (batch->options.frame->plain)
        writer_bytes(&batch->body, bytes, count);
    else
        base64_add(&batch->base64, bytes, count, &batch->body);
    return batch->body.error;
}

static int next_piece(void *context, const uint8_t **ret_piece, size_t *ret_bytes)
{
    struct batch *batch = context;
    return spool_reader_piece(&batch->reader, ret_piece, ret_bytes);
}

static void start_data(struct batch *batch)
{
    base64_start(&batch->base64);
    writer_to_function(&batch->data, batch->data_buffer, sizeof batch->data_buffer, encode_data,
                       batch);
}

static int finish_data(struct batch *batch)
{
    if (batch->options.frame->newline)
        writer_char(&batch->data, '\n');
    int rc = writer_finish(&batch->data);
    if (!batch->options.frame->plain)
        base64_finish(&batch->base64, &batch->body);
    return rc;
}

/* Writes the rendered record as the frame wants it; the data writer counts its bytes. */
static int put_data(struct batch *batch)
{
    start_data(batch);
    int rc = batch->options.format == BATCH_RAW
                 ? render_json_raw(&batch->render, &batch->record, &batch->data)
                 : render_json(&batch->render, &batch->record, &batch->data);
    int data_rc = finish_data(batch);
    return rc < 0 ? rc : data_rc;
}

/* The buffer is emptied behind each record, so that the sink can be set back to before it. */
static int put_record(struct batch *batch, size_t index, uint64_t *ret_bytes)
{
    const struct batch_options *options = &batch->options;
    char key[PARTITION_KEY_BYTES];
    batch->render.sensor = spool_sensor(options->spool, batch->record.sensor);
    if (batch->render.sensor == NULL)
        return E_DAMAGED;
    options->frame->record_begin(options->frame_context, &batch->body, index);
    int rc = put_data(batch);
    size_t key_bytes =
        partition_key(&options->partition, &batch->record, batch->render.sensor, key);
    options->frame->record_end(options->frame_context, &batch->body, key, key_bytes);
    int body_rc = writer_finish(&batch->body);
    *ret_bytes = writer_total_bytes(&batch->data) + key_bytes;
    return rc < 0 ? rc : body_rc;
}

/* A gap as a record: what a channel's name, a document or damage can do to one does not apply. */
static int put_gap(struct batch *batch, const struct spool_gap *gap, size_t index)
{
    const struct batch_options *options = &batch->options;
    const struct record as_record = {.sequence = gap->sequence};
    const struct sensor_definition as_sensor = {.device = options->device, .name = options->device};
    char key[PARTITION_KEY_BYTES];
    options->frame->record_begin(options->frame_context, &batch->body, index);
    start_data(batch);
    render_json_gap(options->device, batch->summary.spool_id, gap, &batch->data);
    int rc = finish_data(batch);
    size_t key_bytes = partition_key(&options->partition, &as_record, &as_sensor, key);
    options->frame->record_end(options->frame_context, &batch->body, key, key_bytes);
    int body_rc = writer_finish(&batch->body);
    return rc < 0 ? rc : body_rc;
}

/* ---- first pass ---- */

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

static void note_in_summary(struct batch *batch, uint64_t sequence, int64_t wall_ms)
{
    struct batch_summary *summary = &batch->summary;
    if (summary->entry_count++ == 0) {
        summary->first = summary->last = sequence;
        summary->wall_ms = wall_ms;
    }
    summary->first = sequence < summary->first ? sequence : summary->first;
    summary->last = sequence > summary->last ? sequence : summary->last;
}

static void note_record(struct batch *batch, uint64_t previous, uint64_t bytes)
{
    note_in_summary(batch, batch->record.sequence, batch->record.wall_ms);
    struct batch_range *range = &batch->ranges[batch->range_count - 1];
    batch->marks[batch->count - batch->gap_count] =
        (struct spool_mark){batch->record.sequence, previous};
    batch->count++;
    batch->data_bytes += bytes;
    range->last = batch->record.sequence;
    if (range->count++ == 0)
        range->first = batch->record.sequence;
}

static int take_record(struct batch *batch, uint64_t previous, uint64_t bytes_max)
{
    const struct batch_limits *limits = &batch->options.limits;
    const struct batch_sink before = batch->sink;
    uint64_t bytes = 0;
    int rc = put_record(batch, batch->count, &bytes);
    if (rc == E_OK && bytes > limits->record_bytes)
        rc = E_TOO_BIG;
    if (rc == E_OK && batch->count > 0 && batch->data_bytes + bytes > bytes_max)
        rc = E_FULL;
    if (rc == E_OK) {
        note_record(batch, previous, bytes);
        return E_OK;
    }
    batch->sink = before;
    return rc == E_TOO_BIG || rc == E_DAMAGED ? refuse(batch, previous, bytes, rc) : rc;
}

static bool is_aside(const struct batch *batch, uint64_t sequence)
{
    const struct batch_options *options = &batch->options;
    return options->is_aside != NULL && options->is_aside(options->aside_context, sequence);
}

/* What the spool passes over as damaged is its to account for. */
static int read_record(struct batch *batch, uint64_t *ret_previous)
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
        if (read_record(batch, &previous) == E_OK && batch->record.sequence < sequence)
            return true;
    }
    return false;
}

static int take_gaps(struct batch *batch, size_t records_max)
{
    struct spool_gap gap = {.sequence = 0};
    while (batch->gap_count < BATCH_GAPS_MAX && batch->count < records_max &&
           spool_gap_next(batch->options.route, gap.sequence, &gap) == E_OK) {
        if (batch->options.in_order && owes_below(batch, gap.sequence))
            return E_OK;
        if (is_aside(batch, gap.sequence))
            continue;
        int rc = put_gap(batch, &gap, batch->count);
        if (rc < 0)
            return rc;
        batch->data_bytes += writer_total_bytes(&batch->data);
        batch->gaps[batch->gap_count++] = gap;
        note_in_summary(batch, gap.sequence, gap.wall_ms);
        batch->count++;
    }
    return E_OK;
}

int batch_oldest(struct batch *batch, enum lane lane, int64_t *ret_boot_ms,
                 uint8_t ret_boot_id[BLOCK_BOOT_ID_BYTES])
{
    uint64_t previous;
    spool_reader_start(&batch->reader, batch->options.route, lane);
    int rc = read_record(batch, &previous);
    if (rc < 0)
        return rc;
    *ret_boot_ms = batch->record.boot_ms;
    memcpy(ret_boot_id, batch->reader.header.boot_id, BLOCK_BOOT_ID_BYTES);
    return E_OK;
}

bool batch_has_backlog(struct batch *batch)
{
    uint64_t previous;
    if (batch->options.backlog_percent == 0)
        return false;
    for (enum lane lane = LANE_ALARM; lane < LANE_COUNT; lane++) {
        if (!takes(batch, lane))
            continue;
        spool_reader_start(&batch->reader, batch->options.route, lane);
        if (batch->reader.from < batch->fresh_from && read_record(batch, &previous) == E_OK &&
            batch->record.sequence < batch->fresh_from)
            return true;
    }
    return false;
}

/* What to take of each lane: records from FROM on and below END, until the whole batch has so many
 * records and bytes. */
struct part {
    uint64_t from;
    uint64_t end;
    size_t records;
    uint64_t bytes;
};

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
        rc = read_record(batch, &previous);
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

/* A backlog whose first record finds no room behind the fresh ones, or can never be sent, would
 * wait for ever: so the next batch begins with it. */
static int take_fresh_first(struct batch *batch, const struct part *all)
{
    unsigned percent = 100 - batch->options.backlog_percent;
    struct part fresh = {.from = batch->fresh_from, .end = UINT64_MAX};
    struct part backlog = *all;
    int rc = E_OK;
    fresh.records = all->records * percent / 100 + (all->records * percent < 100);
    fresh.bytes = all->bytes * percent / 100;
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

static int take_lanes(struct batch *batch, size_t records_max, uint64_t bytes_max)
{
    const struct part all = {.end = UINT64_MAX, .records = records_max, .bytes = bytes_max};
    int rc = batch_has_backlog(batch) ? take_fresh_first(batch, &all) : take_part(batch, &all);
    /* An error of the spool must not hold back what was read before it. */
    if (batch->count > 0)
        return E_OK;
    return rc < 0 ? rc : E_END;
}

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
    start_body(batch, NULL);
    int rc = batch->alarms_only ? E_OK : take_gaps(batch, records_max);
    if (rc == E_OK)
        rc = take_lanes(batch, records_max, bytes_max);
    if (rc < 0)
        return rc;
    rc = end_body(batch);
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
    size_t records = records_max < limits->records ? records_max : limits->records;
    uint64_t bytes = bytes_max < limits->bytes ? bytes_max : limits->bytes;
    batch->count = 0;
    batch->summary.entry_count = 0;
    batch->range_count = batch->gap_count = 0;
    batch->data_bytes = 0;
    pin(batch, true);
    spool_time_freeze(batch->options.route);
    int rc = build(batch, records, bytes);
    if (rc < 0)
        batch->range_count = batch->gap_count = 0;
    pin(batch, false);
    return rc;
}

/* ---- second pass ---- */

static int write_record(struct batch *batch, size_t index)
{
    uint64_t previous, bytes;
    int rc = read_record(batch, &previous);
    const struct spool_mark *mark = &batch->marks[index - batch->gap_count];
    if (rc == E_END || (rc == E_OK && batch->record.sequence != mark->sequence))
        return E_CHANGED;
    if (rc == E_OK)
        rc = put_record(batch, index, &bytes);
    return rc == E_DAMAGED ? E_CHANGED : rc;
}

/* From here on they stay as they are, for they may be received. */
static int write_gaps(struct batch *batch)
{
    for (size_t i = 0; i < batch->gap_count; i++) {
        int rc = spool_gap_seal(batch->options.route, &batch->gaps[i]);
        if (rc == E_OK)
            rc = put_gap(batch, &batch->gaps[i], i);
        if (rc < 0)
            return rc;
    }
    return E_OK;
}

static int write_records(struct batch *batch)
{
    size_t index = batch->gap_count;
    for (size_t i = 0; i < batch->range_count; i++) {
        size_t end = index + batch->ranges[i].count;
        spool_reader_start_at(&batch->reader, batch->options.route, batch->ranges[i].lane,
                              batch->ranges[i].first);
        for (; index < end; index++) {
            int rc = write_record(batch, index);
            if (rc < 0)
                return rc;
        }
    }
    return E_OK;
}

int batch_write(struct batch *batch, struct writer *out)
{
    start_body(batch, out);
    int rc = write_gaps(batch);
    if (rc == E_OK)
        rc = write_records(batch);
    if (rc < 0)
        return rc;
    rc = end_body(batch);
    if (rc < 0)
        return rc;
    if (batch->sink.total_bytes != batch->summary.body_bytes ||
        batch->sink.check != batch->body_check)
        return E_CHANGED;
    writer_char(out, (char)batch->sink.held);
    return out->error;
}

/* ---- afterwards ---- */

/* Records delivered one after the other, with none between them. */
struct run {
    const struct spool_mark *marks;
    size_t count;
};

static void acknowledge_run(struct batch *batch, enum lane lane, struct run *run)
{
    if (run->count > 0)
        spool_route_ack(batch->options.route, lane, run->marks, run->count, SPOOL_DELIVERED);
    run->count = 0;
}

static void add_to_run(struct batch *batch, enum lane lane, const struct spool_mark *mark,
                       struct run *run)
{
    if (run->count > 0 && mark->previous != run->marks[run->count - 1].sequence)
        acknowledge_run(batch, lane, run);
    if (run->count++ == 0)
        run->marks = mark;
}

static bool is_delivered(const uint8_t *delivered, size_t index)
{
    return delivered == NULL || (delivered[index / 8] >> index % 8 & 1) != 0;
}

static size_t acknowledge_gaps(struct batch *batch, const uint8_t *delivered)
{
    size_t acknowledged = 0;
    for (size_t i = 0; i < batch->gap_count; i++) {
        if (!is_delivered(delivered, i))
            continue;
        spool_gap_acknowledge(batch->options.route, batch->gaps[i].sequence);
        acknowledged++;
    }
    return acknowledged;
}

size_t batch_acknowledge(struct batch *batch, const uint8_t *delivered)
{
    size_t index = batch->gap_count;
    size_t acknowledged = acknowledge_gaps(batch, delivered);
    for (size_t i = 0; i < batch->range_count; i++) {
        struct run run = {0};
        enum lane lane = batch->ranges[i].lane;
        for (size_t end = index + batch->ranges[i].count; index < end; index++) {
            if (!is_delivered(delivered, index)) {
                acknowledge_run(batch, lane, &run);
                continue;
            }
            add_to_run(batch, lane, &batch->marks[index - batch->gap_count], &run);
            acknowledged++;
        }
        acknowledge_run(batch, lane, &run);
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

int batch_open(const struct batch_options *options, struct batch *batch)
{
    uint8_t id[SPOOL_ID_BYTES];
    const struct batch_limits *limits = &options->limits;
    if (limits->records == 0 || limits->bytes == 0 || limits->record_bytes == 0)
        return E_INVALID;
    *batch = (struct batch){.options = *options};
    batch->marks = calloc(limits->records, sizeof *batch->marks);
    if (batch->marks == NULL)
        return E_NO_MEMORY;
    spool_get_id(options->spool, id);
    batch->summary.spool_id = bytes_get_be64(id);
    batch->render.piece = next_piece;
    batch->render.context = batch;
    batch->render.one_line = options->frame->newline;
    return E_OK;
}

void batch_close(struct batch *batch)
{
    free(batch->marks);
    batch->marks = NULL;
}
