/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "agent/uplink/rehearse.h"
#include "agent/uplink/uplink_state.h"
#include "platform/base/error.h"

enum {
    KB = 1024,
    TLS_PIECE_BYTES = 4096, /* of a record out, as platform/mbedtls asks for */
    TLS_RECORD_BYTES = 29,  /* head, nonce and tag of AES-GCM, RFC 5288 */
    /* Of a connection that takes up the session before, and of its end: tests/bench/handshake.py.
     */
    HANDSHAKE_OUT_BYTES = 377 + 31,
    HANDSHAKE_IN_BYTES = 139,
    KEY_ID_BYTES = 20,
    SECRET_BYTES = 40,
};

/* What a reply has, as the services write it: its head and what is around the entries, and each
 * entry. */
struct reply {
    const char *destination;
    uint64_t bytes;
    uint64_t entry_bytes;
};

static const struct reply replies[] = {
    {"kinesis", 330, 111}, /* a sequence number of 56 digits and a shard */
    {"firehose", 330, 240},
    {"apigateway", 350, 0},
    {NULL, 350, 0},
};

struct uplink_rehearsal {
    struct uplink *uplink;
    const struct reply *reply;
    const struct batch_frame *frame; /* the destination's; ours counts the entries */
    struct batch_frame counting;
    struct uplink_cost cost;
    struct uplink_cost sent;       /* of the request that is built */
    struct uplink_cost *billed;    /* the same, for the frame */
    int64_t oldest_ms[LANE_COUNT]; /* 0: not known */
};

static uint64_t pieces(uint64_t bytes, uint64_t piece_bytes)
{
    return (bytes + piece_bytes - 1) / piece_bytes;
}

/* ---- a frame that counts ---- */

static void begin(const void *context, struct writer *out)
{
    const struct uplink_rehearsal *rehearsal = context;
    rehearsal->frame->begin(rehearsal->uplink->options.dest, out);
}

static void record_begin(const void *context, struct writer *out, size_t index)
{
    const struct uplink_rehearsal *rehearsal = context;
    rehearsal->frame->record_begin(rehearsal->uplink->options.dest, out, index);
}

/* Firehose does not take the key, Kinesis counts it. */
static void record_end(const void *context, struct writer *out, const char *key, size_t key_bytes)
{
    const struct uplink_rehearsal *rehearsal = context;
    struct uplink_cost *sent = rehearsal->billed;
    uint64_t bytes = rehearsal->uplink->batch.entry.out_bytes;
    sent->chunks_25k += pieces(bytes + key_bytes, 25 * KB);
    sent->rounded_1k_bytes += pieces(bytes + key_bytes, KB) * KB;
    sent->rounded_5k_bytes += pieces(bytes, 5 * KB) * 5 * KB;
    rehearsal->frame->record_end(rehearsal->uplink->options.dest, out, key, key_bytes);
}

static void end(const void *context, struct writer *out)
{
    const struct uplink_rehearsal *rehearsal = context;
    rehearsal->frame->end(rehearsal->uplink->options.dest, out);
}

/* Where the body counts, the frame is asked for sizes as well, and no entry is billed. */
static void count_entries(struct uplink_rehearsal *rehearsal)
{
    struct batch_options *batch = &rehearsal->uplink->batch.options;
    if (batch->frame->counts_body)
        return;
    rehearsal->counting = *batch->frame;
    rehearsal->counting.begin = begin;
    rehearsal->counting.record_begin = record_begin;
    rehearsal->counting.record_end = record_end;
    rehearsal->counting.end = end;
    batch->frame = &rehearsal->counting;
    batch->frame_context = rehearsal;
}

/* ---- open and close ---- */

/* None that anybody would take, of the usual lengths. */
static void make_keys(struct credentials *keys, int token_bytes)
{
    memset(keys->access_key_id, 'A', KEY_ID_BYTES);
    memset(keys->secret_access_key, 'A', SECRET_BYTES);
    memset(keys->session_token, 'A', (size_t)token_bytes);
}

int uplink_rehearse_open(struct uplink *uplink, int token_bytes,
                         struct uplink_rehearsal **ret_rehearsal)
{
    struct uplink_rehearsal *rehearsal = calloc(1, sizeof *rehearsal);
    const char *name = uplink->options.dest->operations->name;
    if (rehearsal == NULL)
        return E_NO_MEMORY;
    rehearsal->uplink = uplink;
    rehearsal->billed = &rehearsal->sent;
    rehearsal->frame = uplink->batch.options.frame;
    rehearsal->reply = replies;
    while (rehearsal->reply->destination != NULL &&
           strcmp(rehearsal->reply->destination, name) != 0)
        rehearsal->reply++;
    count_entries(rehearsal);
    if (token_bytes >= 0)
        make_keys(&uplink->credentials, token_bytes);
    *ret_rehearsal = rehearsal;
    return E_OK;
}

void uplink_rehearse_close(struct uplink_rehearsal *rehearsal)
{
    free(rehearsal);
}

/* ---- when ---- */

int64_t uplink_rehearse_oldest_ms(struct uplink_rehearsal *rehearsal, enum lane lane)
{
    struct uplink *uplink = rehearsal->uplink;
    struct spool_backlog backlog = {0};
    uint8_t boot_id[BLOCK_BOOT_ID_BYTES];
    int64_t *oldest_ms = &rehearsal->oldest_ms[lane];
    if (*oldest_ms != 0 || !uplink->options.lanes[lane])
        return *oldest_ms != 0 ? *oldest_ms : INT64_MAX;
    spool_route_backlog(uplink->route, lane, &backlog);
    if (backlog.records == 0 || batch_oldest(&uplink->batch, lane, oldest_ms, boot_id) < 0)
        return INT64_MAX;
    return *oldest_ms;
}

int64_t uplink_rehearse_due_ms(struct uplink_rehearsal *rehearsal)
{
    struct uplink *uplink = rehearsal->uplink;
    int64_t due_ms = INT64_MAX;
    if (uplink_due_is_full(uplink))
        return INT64_MIN;
    for (enum lane lane = LANE_ALARM; lane < LANE_COUNT; lane++) {
        int64_t oldest_ms = uplink_rehearse_oldest_ms(rehearsal, lane);
        if (oldest_ms != INT64_MAX && oldest_ms + uplink->options.age_ms[lane] < due_ms)
            due_ms = oldest_ms + uplink->options.age_ms[lane];
    }
    return due_ms;
}

/* ---- what ---- */

/* TLS makes each piece longer, and a connection that rested too long is made anew. */
static void count_connection(struct uplink_rehearsal *rehearsal, int64_t now_ms)
{
    struct uplink_cost *sent = &rehearsal->sent;
    const struct uplink_cost *cost = &rehearsal->cost;
    if (!rehearsal->uplink->options.tls)
        return;
    sent->bytes_out += pieces(sent->bytes_out, TLS_PIECE_BYTES) * TLS_RECORD_BYTES;
    sent->bytes_in += pieces(sent->bytes_in, TLS_PIECE_BYTES) * TLS_RECORD_BYTES;
    if (cost->last_ms != 0 && now_ms - cost->last_ms < HTTP_IDLE_MS)
        return;
    sent->handshakes = 1;
    sent->bytes_out += HANDSHAKE_OUT_BYTES;
    sent->bytes_in += HANDSHAKE_IN_BYTES;
}

static void add_up(struct uplink_cost *cost, const struct uplink_cost *sent)
{
    cost->requests += sent->requests;
    cost->records += sent->records;
    cost->entries += sent->entries;
    cost->bytes_out += sent->bytes_out;
    cost->bytes_in += sent->bytes_in;
    cost->handshakes += sent->handshakes;
    cost->body_bytes += sent->body_bytes;
    cost->chunks_25k += sent->chunks_25k;
    cost->rounded_1k_bytes += sent->rounded_1k_bytes;
    cost->rounded_5k_bytes += sent->rounded_5k_bytes;
    cost->bodies_512k += sent->bodies_512k;
    cost->last_ms = sent->last_ms;
}

static int count_bytes(struct uplink_rehearsal *rehearsal, int64_t now_ms)
{
    struct uplink_cost *sent = &rehearsal->sent;
    int head_bytes = uplink_exchange_head(rehearsal->uplink);
    if (head_bytes < 0)
        return E_INVALID;
    sent->bytes_out = (uint64_t)head_bytes + sent->body_bytes;
    sent->bytes_in = rehearsal->reply->bytes + sent->entries * rehearsal->reply->entry_bytes;
    sent->bodies_512k = pieces(sent->body_bytes, 512 * KB);
    count_connection(rehearsal, now_ms);
    return E_OK;
}

/* What is stored beside the spool goes over no link. */
static int count_request(struct uplink_rehearsal *rehearsal, int64_t now_ms)
{
    struct uplink *uplink = rehearsal->uplink;
    struct uplink_cost *sent = &rehearsal->sent;
    const struct batch *batch = &uplink->batch;
    sent->requests = 1;
    sent->records = batch->count;
    sent->entries = batch->summary.entry_count;
    sent->body_bytes = batch->summary.body_bytes;
    sent->last_ms = now_ms;
    uplink->record_bytes = batch->data_bytes / batch->count; /* as uplink.c has it */
    int rc = uplink_stores(&uplink->options) ? E_OK : count_bytes(rehearsal, now_ms);
    if (rc == E_OK)
        add_up(&rehearsal->cost, sent);
    return rc;
}

int uplink_rehearse_send(struct uplink_rehearsal *rehearsal, int64_t now_ms)
{
    struct uplink *uplink = rehearsal->uplink;
    rehearsal->sent = (struct uplink_cost){0};
    int rc = batch_build(&uplink->batch, uplink_judge_records_max(uplink),
                         uplink_judge_bytes_max(uplink));
    if (rc == E_OK)
        rc = count_request(rehearsal, now_ms);
    if (rc == E_OK)
        (void)batch_acknowledge(&uplink->batch, NULL);
    batch_release(&uplink->batch);
    memset(rehearsal->oldest_ms, 0, sizeof rehearsal->oldest_ms);
    return rc;
}

const struct uplink_cost *uplink_rehearse_cost(const struct uplink_rehearsal *rehearsal)
{
    return &rehearsal->cost;
}
