/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_TESTS_SINK_HTTP_H
#define RUNNEL_TESTS_SINK_HTTP_H

#include "tests/sink/buffer.h"
#include "tests/sink/channel.h"

enum {
    HTTP_HEADERS_MAX = 64,
    HTTP_HEAD_BYTES_MAX = 16384,
    /* 10 MiB as base64, and what JSON puts around 500 records with long keys. */
    HTTP_BODY_BYTES_MAX = 16 * 1024 * 1024,
};

struct http_header {
    const char *name;
    const char *value;
};

/** One request (HTTP/1.1, RFC 9112). Starts as {0}; the texts point into TEXT. */
struct http_request {
    /** The head as it came, through its empty line. */
    struct buffer head;
    struct buffer body;
    /** What came behind this request and belongs to the next. */
    struct buffer rest;
    struct buffer text;
    const char *method;
    const char *target;
    struct http_header headers[HTTP_HEADERS_MAX];
    size_t header_count;
    int keep_alive;
    /** The status that answers a request which cannot be read, when http_read returns -1; or 0. */
    int status;
};

/**
 * Reads the next request, waiting IDLE_MS for its first byte and half a minute for each next piece.
 * Returns 1, 0 when the peer closed or stayed idle between requests, -1 on any failure.
 */
int http_read(struct http_request *request, struct channel *channel, int idle_ms);

/** The value of the first header NAME (in any case), or NULL. */
const char *http_header(const struct http_request *request, const char *name);

/**
 * Writes a whole reply into REPLY: status line, Date (of DATE_MS), Content-Length, HEADERS (lines
 * that end in CRLF; may be "") and the body.
 */
void http_reply(struct buffer *reply, int status, const char *headers, long long date_ms,
                int keep_alive, const struct buffer *body);

void http_free(struct http_request *request);

#endif
