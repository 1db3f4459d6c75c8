/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_TESTS_SINK_SIGNATURE_H
#define RUNNEL_TESTS_SINK_SIGNATURE_H

#include "tests/sink/buffer.h"
#include "tests/sink/http.h"
#include "tests/sink/keys.h"

/** What a request must prove: that it was signed with one of KEYS, which has not expired. */
struct signature_policy {
    struct keys *keys;
    const char *region;
    const char *service;
};

/** A whole-request error as AWS words it. */
struct refusal {
    int status;
    char code[64];
    struct buffer message;
};

/** Fills REFUSAL; its former message is freed by the caller's buffer_free. Returns -1. */
int signature_refuse(struct refusal *refusal, int status, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/**
 * Checks AWS Signature Version 4 (AWS4-HMAC-SHA256 in the Authorization header) of a request whose
 * target is "/" at the time NOW_MS, with a window of five minutes on either side, as Kinesis does.
 * Returns 0, or -1 with REFUSAL filled.
 */
int signature_check(const struct http_request *request, const struct signature_policy *policy,
                    long long now_ms, struct refusal *refusal);

#endif
