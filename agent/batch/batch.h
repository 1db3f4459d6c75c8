/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_BATCH_BATCH_H
#define RUNNEL_AGENT_BATCH_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/batch/aggregate.h"
#include "agent/batch/batch_frame.h"
#include "agent/batch/partition.h"
#include "agent/batch/render_json.h"
#include "agent/spool/spool.h"
#include "platform/base/base64.h"
#include "platform/base/writer.h"
#include "platform/gzip.h"
#include "platform/hash.h"

/**
 * The records of one request. Neither the body nor its blocks are ever held: the records are read
 * from the spool and rendered twice, once for the body's length and SHA-256, which the signature
 * needs before the first byte goes out, and once into the connection. Memory is a block, a record
 * and two small buffers, whatever the size of the request, 24 bytes per run of records, and the
 * compressor's where there is one.
 *
 * A body has entries, which are what a destination counts and answers for. Each is a record, or
 * many of them: JSON lines, perhaps compressed, or an aggregate. An entry that has begun takes
 * records as long as they have its partition key and it stays below entry_bytes; a gap counts as a
 * record. What is known of records that follow each other is kept as one run per block of the spool
 * and entry: a batch ends when it has no room for another.
 *
 * A batch takes the records that the route has not acknowledged, from its low mark on, lanes in
 * the order alarm, normal, bulk: what failed before comes first by itself. Before them go the gaps
 * that the route has to tell of.
 *
 * Fresh-first: while there is a backlog, which is what is numbered below fresh_from, a batch takes
 * fresh records first, up to what the backlog's share leaves of its limits, then the backlog, and
 * then whatever else there is. Each of the three takes lanes and records in the same order. When a
 * batch could take nothing of the backlog, the next one takes the backlog first.
 */
enum { BATCH_GAPS_MAX = 16, BATCH_RANGES_MAX = 3 * LANE_COUNT };
/* A record that is longer than the data buffer is rendered twice in each pass. */
enum { BATCH_BODY_BUFFER_BYTES = 4096, BATCH_DATA_BUFFER_BYTES = 4096 };

enum batch_format { BATCH_JSON, BATCH_RAW, BATCH_SENML };
enum batch_pack { BATCH_PACK_NONE, BATCH_PACK_KPL, BATCH_PACK_LINES };

struct batch_options {
    struct spool *spool;
    struct spool_route *route;
    const char *device; /* for gaps */
    bool lanes[LANE_COUNT];
    enum batch_format format;
    bool flat; /* the layout of JSON */
    enum batch_pack pack;
    bool gzip_entry; /* each entry's data is a gzip member; not of an aggregate */
    bool gzip_body;  /* the whole body is; not both */
    uint64_t
        entry_bytes; /* a packed entry takes no more records then; 0: 51,200, see agent/DESIGN.md */
    int64_t period_ms; /* all records of a batch are of the same one, by their time; 0: of any */
    struct partition partition;
    struct batch_limits limits;
    bool in_order;            /* a gap waits for what is numbered below it */
    unsigned backlog_percent; /* fresh-first: the backlog's share, 1 to 99; 0: oldest first */
    /** Whether what has this number, a gap or a record, is passed over. May be NULL. */
    bool (*is_aside)(const void *context, uint64_t sequence);
    const void *aside_context;
    const struct batch_frame *frame;
    const void *frame_context;
};

/** Unacknowledged records of a lane, all of them between first and last. */
struct batch_range {
    enum lane lane;
    uint64_t first;
    uint64_t last;
    size_t count;
    size_t run_count;
};

/** A record that no request can carry. */
struct batch_refusal {
    enum lane lane;
    struct spool_mark mark;
    uint32_t sensor;
    uint64_t bytes;
    unsigned attempts; /* how often it was sent */
    int reason; /* E_TOO_BIG: more than limits.record_bytes; E_DAMAGED: it cannot be read whole;
                   E_REFUSED: the destination said so */
};

/** Where a body goes: into a hash, then into a connection. */
struct batch_sink {
    struct hash_sha256 hash;
    uint64_t check;
    uint64_t total_bytes;
    struct writer *out;
    bool holding;
    uint8_t held; /* the last byte so far: it goes out only once the whole is known to be right */
};

/** The entry that records are put into. */
struct batch_entry {
    bool open;
    uint32_t index;
    uint64_t plain_bytes; /* of its records, as rendered */
    uint64_t bytes;       /* of the entry, if nothing is compressed */
    uint64_t out_bytes;   /* so many came out */
    char key[PARTITION_KEY_BYTES];
    size_t key_bytes;
};

/** Read count to refusal after batch_build; the rest is the batch's own. About 16 KB. */
struct batch {
    size_t count;        /* gaps and records */
    uint64_t data_bytes; /* as the limits count */
    struct batch_summary summary;
    struct batch_range ranges[BATCH_RANGES_MAX];
    size_t range_count;
    struct spool_run *runs; /* of the ranges, in their order */
    size_t run_count;
    struct spool_gap gaps[BATCH_GAPS_MAX];
    uint32_t gap_entries[BATCH_GAPS_MAX];
    size_t gap_count;
    struct batch_refusal refusal;

    struct batch_options options;
    size_t runs_max;
    size_t entries_max;  /* the caller sets it; 0: as many as the limits say */
    uint64_t fresh_from; /* the caller sets it; 0: there is no backlog */
    bool backlog_waits;  /* the last batch took none of it */
    bool alarms_only;    /* the caller sets it: take the lane alarm alone, and no gaps */
    uint64_t turn;       /* of the first entry, if records are packed */
    uint64_t block;      /* the block of the last record's run */
    struct batch_entry entry;
    struct aggregate aggregate;
    struct gzip *gzip;    /* of entries or of the body; NULL: none is compressed */
    uint64_t frame_bytes; /* of the limits' bytes, what the frame takes */
    uint64_t body_check;
    struct batch_sink sink;
    struct render_json render;
    struct base64 base64;
    struct spool_reader reader;
    struct record record;
    struct writer body;
    struct writer data;
    uint8_t body_buffer[BATCH_BODY_BUFFER_BYTES];
    uint8_t data_buffer[BATCH_DATA_BUFFER_BYTES];
};

/** Texts and contexts in OPTIONS must outlive the batch. E_INVALID: a limit of 0 or too
 *  small for the frame, or options that exclude each other; E_UNSUPPORTED: Kconfig left out what
 *  they ask for; E_NO_MEMORY. */
int batch_open(const struct batch_options *options, struct batch *batch);
void batch_close(struct batch *batch);

/**
 * First pass: takes what there is, at most RECORDS_MAX records and BYTES_MAX bytes and no more than
 * the limits say, but one record at least, and pins it in the spool until batch_release. 0; E_END:
 * there is nothing to send; E_REFUSED: the first record that is due can never be sent, see
 * batch->refusal and batch_refuse; E_CHANGED: it was deleted while it was read, call again; the
 * spool's errors.
 */
int batch_build(struct batch *batch, size_t records_max, uint64_t bytes_max);

/**
 * Second pass: writes the body into OUT, summary.body_bytes in all. Returns 0 or OUT's error;
 * E_CHANGED if the spool does not give the same bytes again (a block was damaged or evicted): then
 * at least the last byte was not written, and the batch has to be built anew. A time that became
 * known in between changes nothing.
 */
int batch_write(struct batch *batch, struct writer *out);

/**
 * Acknowledges the records of the entries whose bit is set in DELIVERED (bit I % 8 of byte I / 8),
 * all of them where that is NULL or the frame's entries are answered for together. Returns how many
 * gaps and records that are.
 */
size_t batch_acknowledge(struct batch *batch, const uint8_t *delivered);

/**
 * When the oldest record was taken that a build would take from LANE: CLOCK_BOOTTIME of the boot
 * BOOT_ID. Not between build and release. 0; E_END: there is none; the spool's errors.
 */
int batch_oldest(struct batch *batch, enum lane lane, int64_t *ret_boot_ms,
                 uint8_t ret_boot_id[BLOCK_BOOT_ID_BYTES]);

/** Whether there is a backlog that a build would take of. Not between build and release. */
bool batch_has_backlog(struct batch *batch);

/**
 * Gives up the record of REFUSAL: it becomes a dead letter of this route with REASON, or is lost
 * where it cannot be read. 0, or why it is still owed: the errors of spool_dead_bury.
 */
int batch_refuse(struct batch *batch, const struct batch_refusal *refusal, const char *reason,
                 int64_t deadline_ms);

/** Unpins. */
void batch_release(struct batch *batch);

#endif
