/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_PLATFORM_JSON_JSON_SCAN_H
#define RUNNEL_PLATFORM_JSON_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * Reads JSON (RFC 8259) as it arrives, split anywhere, without building anything: every byte is
 * checked (grammar, UTF-8 without surrogates and overlong forms, escapes, depth), tokens are
 * handed on. Iterative, pure, in bounded memory: foreign input goes through this first.
 * Stricter than RFC 8259 in one point: an escaped surrogate needs its other half, because text
 * with half a pair cannot be written as UTF-8.
 */
enum { JSON_DEPTH_MAX = 16, JSON_TOKEN_BYTES = 512 };

enum json_event {
    JSON_OBJECT_BEGIN,
    JSON_OBJECT_END,
    JSON_ARRAY_BEGIN,
    JSON_ARRAY_END,
    JSON_KEY,
    JSON_STRING,
    JSON_NUMBER,
    JSON_TRUE,
    JSON_FALSE,
    JSON_NULL,
};

/**
 * A token: the unescaped text of a key or string, or a number as spelt, terminated with a NUL (""
 * for the others). truncated: it was longer than JSON_TOKEN_BYTES - 1 (or what json_scan_use says)
 * and this is its beginning, cut between characters. depth is 0 for the outermost value; a key has
 * the depth of its object's members, an end that of its begin. line and column (from 1, in
 * characters) and offset (from 0, in bytes) are where the token begins.
 */
struct json_token {
    enum json_event event;
    unsigned depth;
    const char *text;
    size_t text_bytes;
    bool truncated;
    uint64_t offset;
    unsigned line;
    unsigned column;
};

/** Returns 0 to go on; another value (< 0) ends the scan and becomes json_scan_feed's result. */
typedef int json_handler(void *context, const struct json_token *token);

/** What a fault is about, for whoever words it anew. */
enum json_problem {
    JSON_NO_VALUE,
    JSON_NO_KEY,
    JSON_NO_COLON,
    JSON_NO_COMMA,
    JSON_NO_WORD, /* neither a number nor true, false or null, as which it began */
    JSON_NO_UTF8,
    JSON_NO_ESCAPE,
    JSON_HALF, /* of a surrogate pair */
    JSON_CONTROL,
    JSON_BEHIND, /* the outermost value */
    JSON_CUT_OFF,
};

struct json_scan {
    json_handler *handler; /* NULL: only check */
    void *context;
    uint64_t offset;
    unsigned line;
    unsigned column;
    unsigned depth;
    uint8_t open[JSON_DEPTH_MAX]; /* '{' or '[' */
    int state;
    int error; /* what ended the scan; every later call returns it again */
    int number_state;
    uint32_t escape; /* hex digits of \\u so far, a high surrogate */
    unsigned escape_digits;
    unsigned utf8_left;
    uint32_t utf8;
    uint32_t surrogate;
    bool is_key;
    uint64_t token_offset;
    unsigned token_line;
    unsigned token_column;
    size_t token_bytes;
    bool truncated;
    const char *literal;
    const char *fault; /* after E_SYNTAX: what was wrong, for people */
    enum json_problem problem;
    char *long_token; /* the caller's, of long_token_bytes; NULL: token */
    size_t long_token_bytes;
    char token[JSON_TOKEN_BYTES];
};

void json_scan_start(struct json_scan *scan, json_handler *handler, void *context);

/** Right after json_scan_start: tokens may have TOKEN_BYTES - 1 bytes, in TOKEN, which the caller
 *  keeps as long as the scan goes on. */
void json_scan_use(struct json_scan *scan, char *token, size_t token_bytes);

/** Takes COUNT bytes; leading and trailing white space is allowed. 0; E_SYNTAX at scan->line and
 *  column, scan->fault says what; E_TOO_BIG: deeper than JSON_DEPTH_MAX; the handler's. */
int json_scan_feed(struct json_scan *scan, const void *bytes, size_t count);

/** The input ended: 0 if it was exactly one value, else E_SYNTAX. */
int json_scan_end(struct json_scan *scan);

/** Whether BYTES are exactly one JSON object. 0, E_SYNTAX, E_TOO_BIG. */
int json_scan_object(const void *bytes, size_t count);

#endif
