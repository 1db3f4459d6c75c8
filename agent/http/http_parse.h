/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_HTTP_HTTP_PARSE_H
#define RUNNEL_AGENT_HTTP_HTTP_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * Reads an HTTP/1.x reply (RFC 9112) as it arrives, split anywhere: status line, the headers that
 * matter, body by Content-Length, chunked, or until the end of the connection. Pure, in bounded
 * memory: a header line may have 4 KiB, the head 32 KiB in all. 1xx replies are passed over.
 */
enum { HTTP_VALUE_BYTES = 128, HTTP_LINE_BYTES = 4096, HTTP_HEAD_BYTES_MAX = 32768 };

struct http_reply {
    int status; /* 200 .. 599 */
    bool keep_alive;
    bool has_date;     /* and no Age, which would tell of a cache */
    int64_t date_ms;   /* of the Date header, since 1970 UTC */
    int64_t retry_after_ms; /* Retry-After or x-amz-retry-after; -1: none */
    char content_type[HTTP_VALUE_BYTES];
    char error_type[HTTP_VALUE_BYTES]; /* x-amzn-ErrorType, cut at ":" and behind "#" */
    char request_id[HTTP_VALUE_BYTES]; /* x-amzn-RequestId */
};

struct http_parser {
    struct http_reply reply;
    int state;
    int body; /* how the body ends */
    uint64_t remaining;
    bool head_request;
    bool age_seen;
    bool has_length;
    bool chunked;
    size_t head_bytes;
    size_t line_bytes;
    char line[HTTP_LINE_BYTES];
};

struct http_parse_events {
    int (*on_head)(void *context, const struct http_reply *reply);
    int (*on_body)(void *context, const uint8_t *bytes, size_t count);
    void *context;
};

void http_parse_start(struct http_parser *parser);

/**
 * Takes COUNT bytes. Returns how many it used, all of them unless the reply ended; E_SYNTAX,
 * E_TOO_BIG, or an error that an event returned.
 */
int http_parse_feed(struct http_parser *parser, const uint8_t *bytes, size_t count,
                    const struct http_parse_events *events);

/** The connection ended: 0 if that completes the reply, else E_CLOSED. */
int http_parse_end(struct http_parser *parser, const struct http_parse_events *events);

/** Whether the whole reply has been read. */
bool http_parse_done(const struct http_parser *parser);

#endif
