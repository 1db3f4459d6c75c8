/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_TESTS_UNIT_FAKE_HTTP_H
#define RUNNEL_TESTS_UNIT_FAKE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * In place of http_client: answers from a script, and keeps what was asked. Bodies come in pieces
 * of PIECE bytes.
 */
enum { FAKE_HTTP_STEPS_MAX = 8, FAKE_HTTP_TEXT_BYTES = 8192, FAKE_HTTP_NAME_BYTES = 128 };

struct fake_http_step {
    int error;       /* the exchange fails ... */
    bool silent;     /* ... before anything is sent */
    bool unfit;      /* ... because of a file */
    bool cut;        /* ... in the middle of the body */
    int status;      /* 0: 200 */
    int64_t date_ms; /* 0: the reply has no Date */
    const char *body;
};

struct fake_http_request {
    char host[FAKE_HTTP_NAME_BYTES];
    uint16_t port;
    bool tls;
    char head[FAKE_HTTP_TEXT_BYTES];
    char body[FAKE_HTTP_TEXT_BYTES];
};

struct fake_http {
    struct fake_http_step steps[FAKE_HTTP_STEPS_MAX];
    size_t piece; /* 0: whole */
    struct fake_http_request requests[FAKE_HTTP_STEPS_MAX];
    size_t count; /* of the requests */
    int open;     /* clients */
};

extern struct fake_http fake_http;

#endif
