/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_HTTP_HTTP_PARSE_H
#define RUNNEL_AGENT_HTTP_HTTP_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * Reads an HTTP/1.x reply (RFC 9112) as it arrives, split anywhere: status line, the headers that
 * matter, body by Content-Length, chunked, or until the end of the connection. Pure, in bounded
 * memory: a header line that matters may have 4 KiB (folded ones count whole), longer ones are
 * passed over; the heads may have 32 KiB in all, trailers likewise. 1xx replies are passed over.
 */
enum { HTTP_VALUE_BYTES = 128, HTTP_LINE_BYTES = 4096, HTTP_HEAD_BYTES_MAX = 32768 };

/** Texts are cut at HTTP_VALUE_BYTES - 1 and hold visible ASCII and blanks only ("?" for others).
 */
struct http_reply {
    int status; /* 200 .. 599 */
    bool keep_alive;
    bool has_date;   /* and no Age (a cache), no sleep of the system since it was asked for */
    int64_t date_ms; /* of the Date header, since 1970 UTC */
    int64_t retry_after_ms; /* x-amz-retry-after, else Retry-After; -1: none */
    char content_type[HTTP_VALUE_BYTES];
    char error_type[HTTP_VALUE_BYTES];    /* x-amzn-ErrorType, cut at ":" and behind "#" */
    char request_id[HTTP_VALUE_BYTES];    /* x-amzn-RequestId, x-amz-request-id */
    char bucket_region[HTTP_VALUE_BYTES]; /* x-amz-bucket-region */
    char etag[HTTP_VALUE_BYTES];          /* with its quotes; "" where it would be cut */
};

struct http_parser {
    struct http_reply reply;
    int state;
    int error;             /* what ended it, < 0 */
    uint64_t remaining;    /* of the body or chunk */
    uint64_t length;       /* Content-Length, if has_length */
    int64_t retry_date_ms; /* Retry-After as a date, if has_retry_date */
    bool has_length;
    bool has_retry_date;
    bool has_amz_retry;
    bool chunked;
    bool close_seen;
    bool age_seen;
    size_t head_bytes;
    size_t line_bytes;
    bool line_cut;  /* the line was longer than LINE */
    bool line_held; /* a header line has ended, but the next may be its continuation */
    bool return_seen;
    char line[HTTP_LINE_BYTES];
};

struct http_parse_events {
    int (*on_head)(void *context, const struct http_reply *reply);     /* may be NULL */
    int (*on_body)(void *context, const uint8_t *bytes, size_t count); /* may be NULL */
    void *context;
};

void http_parse_start(struct http_parser *parser);

/**
 * Takes COUNT bytes (at most INT_MAX). Returns how many it used, all of them unless the reply
 * ended; E_SYNTAX: no HTTP, or a framing that is ambiguous or was not asked for (a Content-Length
 * that contradicts itself, a transfer coding other than chunked, 101); E_TOO_BIG; or an error that
 * an event returned. An error is final.
 */
int http_parse_feed(struct http_parser *parser, const uint8_t *bytes, size_t count,
                    const struct http_parse_events *events);

/** The connection ended: 0 if the reply is whole or ends with the connection, else E_CLOSED, or
 *  the error that ended it before. */
int http_parse_end(struct http_parser *parser);

/** Whether the whole reply has been read. */
bool http_parse_done(const struct http_parser *parser);

#endif
