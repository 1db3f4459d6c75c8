/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_PLATFORM_BASE_BASE64_H
#define RUNNEL_PLATFORM_BASE_BASE64_H

#include <stddef.h>
#include <stdint.h>

#include "platform/base/writer.h"

/**
 * Base64 with the standard alphabet and padding (RFC 4648 section 4), taken in pieces of any size.
 * Pure.
 */
struct base64 {
    uint8_t tail[2]; /* what does not fill a group of three yet */
    size_t tail_bytes;
};

void base64_start(struct base64 *base64);

/** Encodes COUNT more bytes into OUT, whose error sticks. */
void base64_add(struct base64 *base64, const uint8_t *bytes, size_t count, struct writer *out);

/** Writes the last group with its padding; the next text may start then. */
void base64_finish(struct base64 *base64, struct writer *out);

#endif
