/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_PLATFORM_JSON_CBOR_SCAN_H
#define RUNNEL_PLATFORM_JSON_CBOR_SCAN_H

#include <stddef.h>
#include <stdint.h>

#include "platform/json/json_scan.h"

/**
 * Reads CBOR (RFC 8949) and says it in JSON's tokens, as its section 6.1 has it, so that whoever
 * reads JSON reads both. Every byte is checked. Iterative, pure, in bounded memory: no deeper than
 * JSON_DEPTH_MAX.
 *
 * Numbers come as decimals: a float as the shortest that is the same float again (a whole one
 * as it is), a decimal fraction (tag 4) exactly, as "273.15". A byte string becomes base64url
 * without padding, undefined becomes null, a map's key may be a whole number as well, whose digits
 * are its text; other tags are passed over. Not in JSON, and so malformed here: NaN and the
 * infinities, big numbers (tags 2 and 3), simple values without a meaning, other keys. JSON could
 * say a NUL in a text, but hardly a program could keep it: malformed likewise.
 *
 * A token's line is 1, and its column the place of its first byte, from 1.
 */
struct cbor_fault {
    size_t offset;    /* of what is wrong, from 0 */
    const char *text; /* what that is, for people; NULL: the handler did not want to go on */
};

/**
 * Scans BYTES[0..COUNT), which are to be exactly one value. Texts are put together in
 * TOKEN[0..TOKEN_BYTES), at least 64: one that is longer comes truncated, cut between characters.
 * HANDLER NULL: only check. 0; E_SYNTAX; E_TOO_BIG: deeper than JSON_DEPTH_MAX; the handler's.
 * RET_FAULT is written if it is not 0.
 */
int cbor_scan(const void *bytes, size_t count, char *token, size_t token_bytes,
              json_handler *handler, void *context, struct cbor_fault *ret_fault);

#endif
