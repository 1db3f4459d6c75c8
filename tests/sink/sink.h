/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_TESTS_SINK_SINK_H
#define RUNNEL_TESTS_SINK_SINK_H

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>

#include "tests/sink/buffer.h"
#include "tests/sink/channel.h"
#include "tests/sink/faults.h"
#include "tests/sink/http.h"
#include "tests/sink/keys.h"
#include "tests/sink/signature.h"
#include "tests/sink/stream.h"

struct sink_counts {
    uint64_t connections;
    uint64_t requests;
    uint64_t served;
    uint64_t bytes_in;
    uint64_t rejected;
    uint64_t signature_failures;
    uint64_t records_failed;
    uint64_t throttled;
    uint64_t errors;
    uint64_t refused;
    uint64_t resets_before;
    uint64_t resets_after;
    uint64_t cuts;
    uint64_t outages;
    uint64_t batch_records_max;
    uint64_t firehose_records;
    uint64_t firehose_unterminated; /* of them without a newline at their end */
    uint64_t ordered;               /* stored behind the record that the request named */
};

/**
 * The endpoint without its sockets: what it is told, what it stored and counted. LOCK guards all
 * that changes; CHANGED is signalled when something that a connection waits for does.
 */
struct sink {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct faults faults;
    uint64_t generator;
    struct stream stream;
    struct stream lake; /* of Firehose: the lines */
    FILE *lake_dump;    /* what it delivered, or NULL */
    struct sink_counts counts;
    struct keys keys; /* has a lock of its own */
    /* Fixed after the start. */
    struct signature_policy policy;
    int verify;
    const char *stream_name;
    const char *lake_name;
    const char *record_directory;
    struct channel_server *channels;
};

/** What becomes of the connection after the reply's bytes, if any, were written. */
enum sink_end { SINK_KEEP, SINK_CLOSE, SINK_RESET };

/** The endpoint's clock: this machine's and the clock_offset_ms fault. */
long long sink_now_ms(struct sink *sink);

/** Serves one request; writes what to send into the empty REPLY. */
enum sink_end sink_serve(struct sink *sink, const struct http_request *request,
                         struct buffer *reply);

/** Answers a request that could not be read. */
void sink_serve_unreadable(struct sink *sink, const struct http_request *request,
                           struct buffer *reply);

/** Appends all counts as one JSON object. */
void sink_summary(struct sink *sink, struct buffer *text);

/** Appends the faults in force as one JSON object. */
void sink_faults(struct sink *sink, struct buffer *text);

#endif
