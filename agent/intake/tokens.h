/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_INTAKE_TOKENS_H
#define RUNNEL_AGENT_INTAKE_TOKENS_H

#include "agent/intake/payload.h"
#include "platform/base/writer.h"
#include "platform/json/json_scan.h"

/**
 * The tokens of a payload in JSON or CBOR, so that one reader reads both, and what they become.
 * Pure, and in bounded time: linear in the payload, times PAYLOAD_KEYS_MAX where somebody means
 * harm.
 */

/** What payload_read was asked for. */
struct reading {
    const struct payload *payload;
    struct payload_room *room;
    payload_handler *handler;
    void *context;
    char *fault;
};

/** Writes what is wrong and returns CODE. */
int tokens_fail(const struct reading *reading, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/**
 * Hands the tokens of the payload to HANDLER, texts cut to JSON_TOKEN_BYTES - 1. Refuses what has a
 * key twice in one object (E_SYNTAX), a number beyond binary64 (E_RANGE), too many or too long keys
 * (E_TOO_BIG), and all that json_scan or cbor_scan does: their error. The fault is written for all
 * of these. HANDLER's negative result ends it and is returned; what to say of it is HANDLER's.
 */
int tokens_read(const struct reading *reading, json_handler *handler, void *context);

/** What a key is to be called; NULL: as it is. */
typedef const char *tokens_rename(const struct json_token *key);

/** Writes the payload, which is CBOR, as JSON behind what OUT has in the room's text already.
 * RENAME NULL: no key is called otherwise. As tokens_read; OUT's error is OUT's. */
int tokens_write_json(const struct reading *reading, tokens_rename *rename, struct writer *out);

/** Hands on the document BYTES[0..COUNT). E_TOO_BIG; the handler's. */
int tokens_give_document(const struct reading *reading, const uint8_t *bytes, size_t count);

/** Likewise what OUT has in the room's text, unless OUT failed. */
int tokens_give_written(const struct reading *reading, const struct writer *out);

#endif
