/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/batch/batch_parts.h"
#include "agent/batch/render_senml.h"
#include "platform/base/error.h"

enum {
    /* Two of the 25 KB that Kinesis bills by, as the Kinesis Producer Library has it. */
    ENTRY_BYTES = 51200,
    FRAME_BUFFER_BYTES = 64,
    TAIL_BYTES = 8192,             /* what a compressor holds when it is ended, or less */
    PLAIN_BYTES_MAX = 1024 * 1024, /* whoever reads a compressed entry has to hold it */
};

/* ---- a record as the destination gets it ---- */

static int render(struct batch *batch, const struct spool_gap *gap)
{
    const struct batch_options *options = &batch->options;
    struct writer *out = &batch->data;
    int rc = E_OK;
    if (BATCH_SENML_WANTED(options) && gap != NULL)
        render_senml_gap(options->device, batch->summary.spool_id, gap, out);
    else if (gap != NULL)
        render_json_gap(options->device, batch->summary.spool_id, gap, out);
    else if (BATCH_SENML_WANTED(options))
        rc = render_senml(&batch->render, &batch->record, out);
    else if (options->format == BATCH_RAW)
        rc = render_json_raw(&batch->render, &batch->record, out);
    else
        rc = render_json(&batch->render, &batch->record, out);
    if (batch->render.one_line)
        writer_char(out, '\n');
    return rc;
}

/* What does not fit into the buffer is rendered again. */
static int pass_over(void *context, const uint8_t *bytes, size_t count)
{
    (void)context;
    (void)bytes;
    (void)count;
    return E_OK;
}

int batch_entry_measure(struct batch *batch, const struct spool_gap *gap, uint64_t *ret_bytes)
{
    if (gap == NULL)
        batch->render.sensor = spool_sensor(batch->options.spool, batch->record.sensor);
    if (gap == NULL && batch->render.sensor == NULL)
        return E_DAMAGED;
    writer_to_function(&batch->data, batch->data_buffer, sizeof batch->data_buffer, pass_over,
                       batch);
    int rc = render(batch, gap);
    *ret_bytes = writer_total_bytes(&batch->data);
    return rc;
}

/* ---- an entry's bytes ---- */

/* Behind the compressor. */
static int encode(void *context, const uint8_t *bytes, size_t count)
{
    struct batch *batch = context;
    batch->entry.out_bytes += count;
    if (batch->options.frame->plain)
        writer_bytes(&batch->body, bytes, count);
    else
        base64_add(&batch->base64, bytes, count, &batch->body);
    return batch->body.error;
}

static int add_data(void *context, const uint8_t *bytes, size_t count)
{
    struct batch *batch = context;
    if (BATCH_KPL(&batch->options))
        aggregate_add(&batch->aggregate, bytes, count);
    if (BATCH_GZIP_ENTRY(&batch->options))
        return gzip_add(batch->gzip, bytes, count);
    return encode(batch, bytes, count);
}

/* The rest of a document that continues in further blocks was passed over: back to its record. */
static int read_again(struct batch *batch)
{
    uint64_t sequence = batch->record.sequence;
    uint64_t previous;
    spool_reader_start_at(&batch->reader, batch->options.route, batch->record.lane, sequence);
    int rc = spool_reader_next(&batch->reader, &batch->record, &previous);
    bool other = rc == E_OK && batch->record.sequence != sequence;
    return other || rc == E_END || rc == E_DAMAGED ? E_CHANGED : rc;
}

static int render_again(struct batch *batch, const struct spool_gap *gap, uint64_t bytes)
{
    const struct record *record = &batch->record;
    int rc = E_OK;
    if (gap == NULL && record->shape == RECORD_DOCUMENT &&
        record->document_piece_bytes < record->document_bytes)
        rc = read_again(batch);
    if (rc < 0)
        return rc;
    writer_to_function(&batch->data, batch->data_buffer, sizeof batch->data_buffer, add_data,
                       batch);
    rc = render(batch, gap);
    int data_rc = writer_finish(&batch->data);
    if (rc == E_DAMAGED || (rc == E_OK && writer_total_bytes(&batch->data) != bytes))
        return E_CHANGED;
    return rc < 0 ? rc : data_rc;
}

static bool is_packed(const struct batch *batch)
{
    return batch->options.pack != BATCH_PACK_NONE;
}

int batch_entry_put(struct batch *batch, const struct spool_gap *gap, uint64_t bytes)
{
    uint8_t head[AGGREGATE_RECORD_HEAD_BYTES];
    struct batch_entry *entry = &batch->entry;
    entry->plain_bytes += bytes;
    entry->bytes += bytes;
    if (BATCH_KPL(&batch->options)) {
        (void)encode(batch, head, aggregate_record(&batch->aggregate, bytes, head));
        entry->bytes += aggregate_record_bytes(bytes) - bytes;
    }
    int rc = batch->data.flushed_bytes == 0
                 ? add_data(batch, batch->data_buffer, batch->data.used_bytes)
                 : render_again(batch, gap, bytes);
    if (!is_packed(batch))
        batch_entry_end(batch);
    return rc < 0 ? rc : batch->body.error;
}

/* ---- what counts ---- */

uint64_t batch_entry_frame_bytes(struct batch *batch)
{
    const struct batch_options *options = &batch->options;
    uint8_t buffer[FRAME_BUFFER_BYTES];
    struct writer out;
    if (!options->frame->counts_body)
        return 0;
    writer_to_function(&out, buffer, sizeof buffer, pass_over, NULL);
    options->frame->begin(options->frame_context, &out);
    options->frame->end(options->frame_context, &out);
    return writer_total_bytes(&out);
}

/* An entry with BYTES of data. */
static uint64_t counted(const struct batch *batch, size_t index, uint64_t bytes, const char *key,
                        size_t key_bytes)
{
    const struct batch_options *options = &batch->options;
    uint8_t buffer[FRAME_BUFFER_BYTES];
    struct writer out;
    if (!options->frame->counts_body)
        return bytes + key_bytes;
    writer_to_function(&out, buffer, sizeof buffer, pass_over, NULL);
    options->frame->record_begin(options->frame_context, &out, index);
    options->frame->record_end(options->frame_context, &out, key, key_bytes);
    return writer_total_bytes(&out) + (options->frame->plain ? bytes : (bytes + 2) / 3 * 4);
}

/* ---- begin and end ---- */

/* A gap has a key as a record of the device. */
static size_t key_of(const struct batch *batch, const struct spool_gap *gap,
                     char ret_key[PARTITION_KEY_BYTES])
{
    const struct batch_options *options = &batch->options;
    const struct record no_record = {.value_count = 0};
    const struct sensor_definition device = {.device = options->device, .name = options->device};
    ret_key[0] = '\0';
    if (options->frame->keyless)
        return 0;
    uint64_t turn = gap != NULL ? gap->sequence : batch->record.sequence;
    if (is_packed(batch))
        turn = batch->turn + batch->summary.entry_count;
    if (gap != NULL)
        return partition_key(&options->partition, turn, &no_record, &device, ret_key);
    return partition_key(&options->partition, turn, &batch->record, batch->render.sensor, ret_key);
}

void batch_entry_start(struct batch *batch, const struct spool_gap *gap)
{
    const struct batch_options *options = &batch->options;
    struct batch_entry *entry = &batch->entry;
    uint8_t head[AGGREGATE_HEAD_BYTES];
    batch_entry_end(batch);
    entry->key_bytes = key_of(batch, gap, entry->key);
    entry->open = true;
    entry->index = (uint32_t)batch->summary.entry_count++;
    entry->plain_bytes = entry->bytes = entry->out_bytes = 0;
    options->frame->record_begin(options->frame_context, &batch->body, entry->index);
    base64_start(&batch->base64);
    if (BATCH_GZIP_ENTRY(&batch->options))
        gzip_start(batch->gzip, encode, batch);
    if (!BATCH_KPL(&batch->options))
        return;
    entry->bytes = aggregate_empty_bytes(entry->key_bytes);
    (void)encode(batch, head,
                 aggregate_start(&batch->aggregate, entry->key, entry->key_bytes, head));
}

/* What fails here fails the body, whose writer remembers. */
void batch_entry_end(struct batch *batch)
{
    const struct batch_options *options = &batch->options;
    struct batch_entry *entry = &batch->entry;
    uint8_t digest[HASH_MD5_BYTES];
    if (!entry->open)
        return;
    if (BATCH_GZIP_ENTRY(&batch->options))
        (void)gzip_finish(batch->gzip);
    if (BATCH_KPL(&batch->options)) {
        aggregate_finish(&batch->aggregate, digest);
        (void)encode(batch, digest, sizeof digest);
    }
    if (!options->frame->plain)
        base64_finish(&batch->base64, &batch->body);
    options->frame->record_end(options->frame_context, &batch->body, entry->key, entry->key_bytes);
    batch->data_bytes +=
        counted(batch, entry->index, entry->out_bytes, entry->key, entry->key_bytes);
    entry->open = false;
}

/* ---- what fits ---- */

/* At most so long is the open entry if a record of BYTES comes to it. */
static uint64_t bytes_with(const struct batch *batch, uint64_t bytes)
{
    if (BATCH_GZIP_ENTRY(&batch->options))
        return gzip_bound(batch->gzip, bytes);
    if (BATCH_KPL(&batch->options))
        return batch->entry.bytes + aggregate_record_bytes(bytes);
    return batch->entry.bytes + bytes;
}

static uint64_t bytes_alone(const struct batch *batch, uint64_t bytes, size_t key_bytes)
{
    if (BATCH_GZIP_ENTRY(&batch->options))
        return gzip_bound_of(bytes);
    if (BATCH_KPL(&batch->options))
        return aggregate_empty_bytes(key_bytes) + aggregate_record_bytes(bytes);
    return bytes;
}

static uint64_t wanted_bytes(const struct batch *batch)
{
    uint64_t most = batch->options.limits.record_bytes;
    uint64_t bytes = batch->options.entry_bytes;
    if (bytes == 0)
        bytes = ENTRY_BYTES;
    return bytes < most ? bytes : most;
}

/* How long a compressed entry becomes is known within what the compressor holds. */
static bool has_room(const struct batch *batch, uint64_t bytes)
{
    const struct batch_entry *entry = &batch->entry;
    uint64_t wanted = wanted_bytes(batch);
    uint64_t with = bytes_with(batch, bytes) + entry->key_bytes;
    if (with <= wanted)
        return true;
    return BATCH_GZIP_ENTRY(&batch->options) && entry->plain_bytes + bytes <= PLAIN_BYTES_MAX &&
           gzip_out_bytes(batch->gzip) + entry->key_bytes + TAIL_BYTES <= wanted &&
           with <= batch->options.limits.record_bytes;
}

static bool is_of_open_entry(const struct batch *batch, const char *key, size_t key_bytes)
{
    const struct batch_entry *entry = &batch->entry;
    return entry->open &&
           (partition_is_free(&batch->options.partition) ||
            (entry->key_bytes == key_bytes && memcmp(entry->key, key, key_bytes) == 0));
}

int batch_entry_fit(struct batch *batch, const struct spool_gap *gap, uint64_t bytes,
                    uint64_t bytes_max)
{
    const struct batch_limits *limits = &batch->options.limits;
    size_t entries = limits->records;
    char key[PARTITION_KEY_BYTES];
    size_t key_bytes = key_of(batch, gap, key);
    if (is_of_open_entry(batch, key, key_bytes) && has_room(batch, bytes)) {
        const struct batch_entry *entry = &batch->entry;
        uint64_t most =
            counted(batch, entry->index, bytes_with(batch, bytes), entry->key, entry->key_bytes);
        return batch->data_bytes + most > bytes_max ? E_FULL : E_OK;
    }
    batch_entry_end(batch);
    uint64_t alone = counted(batch, batch->summary.entry_count,
                             bytes_alone(batch, bytes, key_bytes), key, key_bytes);
    if (batch->entries_max != 0 && batch->entries_max < entries)
        entries = batch->entries_max;
    batch->entry.bytes = alone;
    if (alone > limits->record_bytes)
        return E_TOO_BIG;
    if (batch->count > 0 &&
        (batch->summary.entry_count >= entries || batch->data_bytes + alone > bytes_max))
        return E_FULL;
    batch_entry_start(batch, gap);
    return batch->body.error;
}
