/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/intake/tokens.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/base/base64.h"
#include "platform/base/error.h"
#include "platform/json/cbor_scan.h"
#include "platform/json/json_write.h"

int tokens_fail(const struct reading *reading, int code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(reading->fault, PAYLOAD_FAULT_BYTES, format, arguments);
    va_end(arguments);
    return code;
}

/* ---- what every token must be ---- */

struct tokens {
    const struct reading *reading;
    json_handler *handler;
    void *context;
    bool is_refused; /* by this file or HANDLER, who have said why */
    uint64_t *keys;  /* hashes of those of the objects that are open, the innermost last */
    size_t key_count;
    size_t firsts[JSON_DEPTH_MAX]; /* of the object at each depth, its first among keys */
};

/* FNV-1a. Two keys that differ have the same one by chance in one of 2^45 objects that are full;
 * who seeks such keys is refused for nothing but them. */
static uint64_t hash(const char *text, size_t count)
{
    uint64_t result = 0xcbf29ce484222325;
    for (size_t i = 0; i < count; i++)
        result = (result ^ (uint8_t)text[i]) * 0x100000001b3;
    return result;
}

static int check_key(struct tokens *tokens, const struct json_token *token)
{
    uint64_t key = hash(token->text, token->text_bytes);
    if (token->truncated)
        return tokens_fail(tokens->reading, E_TOO_BIG,
                           "byte %" PRIu64 ": a key longer than %d bytes", token->offset,
                           JSON_TOKEN_BYTES - 1);
    if (tokens->key_count == PAYLOAD_KEYS_MAX)
        return tokens_fail(tokens->reading, E_TOO_BIG,
                           "byte %" PRIu64 ": more than %d keys; send several messages",
                           token->offset, PAYLOAD_KEYS_MAX);
    for (size_t i = tokens->firsts[token->depth - 1]; i < tokens->key_count; i++)
        if (tokens->keys[i] == key)
            return tokens_fail(tokens->reading, E_SYNTAX,
                               "byte %" PRIu64 ": a key that its object has already",
                               token->offset);
    tokens->keys[tokens->key_count++] = key;
    return 0;
}

/* Whoever takes the document further may have no other numbers (RFC 8259, section 6). */
static int check_number(struct tokens *tokens, const struct json_token *token)
{
    if (!token->truncated && isfinite(strtod(token->text, NULL)))
        return 0;
    return tokens_fail(tokens->reading, E_RANGE,
                       "byte %" PRIu64 ": a number beyond 64 bits of floating point",
                       token->offset);
}

static int check(struct tokens *tokens, const struct json_token *token)
{
    switch (token->event) {
    case JSON_OBJECT_BEGIN:
        tokens->firsts[token->depth] = tokens->key_count;
        return 0;
    case JSON_OBJECT_END:
        tokens->key_count = tokens->firsts[token->depth];
        return 0;
    case JSON_KEY:
        return check_key(tokens, token);
    case JSON_NUMBER:
        return check_number(tokens, token);
    default:
        return 0;
    }
}

static int on_token(void *context, const struct json_token *token)
{
    struct tokens *tokens = context;
    int rc = check(tokens, token);
    if (rc == 0)
        rc = tokens->handler(tokens->context, token);
    tokens->is_refused = rc < 0;
    return rc < 0 ? rc : 0;
}

/* ---- JSON and CBOR ---- */

/* Where the escape \u0000 stands in JSON; COUNT: nowhere. Hardly a program that reads the text
 * could keep it whole; who has bytes sends octets. */
static size_t find_nul(const uint8_t *bytes, size_t count)
{
    static const char escape[] = "\\u0000";
    size_t at = 0;
    while (at < count) {
        const uint8_t *found = memchr(bytes + at, '\\', count - at);
        if (found == NULL)
            return count;
        at = (size_t)(found - bytes);
        if (count - at >= sizeof escape - 1 && memcmp(found, escape, sizeof escape - 1) == 0)
            return at;
        at += 2; /* what is escaped may be a backslash itself */
    }
    return count;
}

static int read_json(const struct payload *payload, struct tokens *tokens)
{
    struct json_scan scan;
    size_t nul = find_nul(payload->bytes, payload->count);
    if (nul < payload->count)
        return tokens_fail(tokens->reading, E_SYNTAX, "byte %zu: a text with a NUL", nul);
    json_scan_start(&scan, on_token, tokens);
    int rc = json_scan_feed(&scan, payload->bytes, payload->count);
    if (rc == 0)
        rc = json_scan_end(&scan);
    if (rc == 0 || tokens->is_refused)
        return rc;
    if (payload->format == PAYLOAD_TEXT)
        return tokens_fail(tokens->reading, rc,
                           "byte %" PRIu64 ": text/plain is one number, such as 21.50",
                           scan.offset);
    return tokens_fail(tokens->reading, rc, "byte %" PRIu64 ": not JSON: %s", scan.offset,
                       scan.fault);
}

static int read_cbor(const struct payload *payload, struct tokens *tokens)
{
    char token[JSON_TOKEN_BYTES];
    struct cbor_fault fault;
    int rc =
        cbor_scan(payload->bytes, payload->count, token, sizeof token, on_token, tokens, &fault);
    if (rc == 0 || tokens->is_refused)
        return rc;
    return tokens_fail(tokens->reading, rc, "byte %zu: not CBOR that is JSON as well: %s",
                       fault.offset, fault.text);
}

int tokens_read(const struct reading *reading, json_handler *handler, void *context)
{
    const struct payload *payload = reading->payload;
    struct tokens tokens = {
        .reading = reading, .handler = handler, .context = context, .keys = reading->room->keys};
    if (payload->format == PAYLOAD_CBOR || payload->format == PAYLOAD_SENML_CBOR)
        return read_cbor(payload, &tokens);
    return read_json(payload, &tokens);
}

/* ---- JSON of CBOR ---- */

struct echo {
    const struct payload *payload;
    tokens_rename *rename;
    struct json_write json;
};

/* RFC 8949, section 3. What is read here cbor_scan has passed already. */
enum { MAJOR_BYTES = 2, INFO_INDEFINITE = 31, BREAK = 0xff };

static uint64_t read_length(const uint8_t **at)
{
    unsigned info = *(*at)++ & 31;
    uint64_t length = 0;
    if (info < 24)
        return info;
    for (unsigned left = 1U << (info - 24); left > 0; left--)
        length = length << 8 | *(*at)++;
    return length;
}

/* Base64 as RFC 4648, section 5 has it, without padding: what RFC 8949, section 6.1 asks for. */
static void make_url_safe(struct writer *out, size_t start)
{
    while (out->used_bytes > start && out->buffer[out->used_bytes - 1] == '=')
        out->used_bytes--;
    for (size_t i = start; i < out->used_bytes; i++)
        if (out->buffer[i] == '+' || out->buffer[i] == '/')
            out->buffer[i] = out->buffer[i] == '+' ? '-' : '_';
}

/* A string that is longer than a token, from the payload itself. */
static void write_long(struct echo *echo, uint64_t offset)
{
    const uint8_t *at = echo->payload->bytes + offset;
    struct writer *out = echo->json.writer;
    bool is_bytes = *at >> 5 == MAJOR_BYTES;
    bool is_indefinite = (*at & 31) == INFO_INDEFINITE;
    struct base64 base64;
    base64_start(&base64);
    at += is_indefinite ? 1 : 0;
    size_t start = out->used_bytes;
    do {
        size_t length = (size_t)read_length(&at);
        if (is_bytes)
            base64_add(&base64, at, length, out);
        else
            json_write_string_part(out, (const char *)at, length);
        at += length;
    } while (is_indefinite && *at != BREAK);
    if (is_bytes) {
        base64_finish(&base64, out);
        make_url_safe(out, start);
    }
}

static void write_string(struct echo *echo, const struct json_token *token)
{
    struct writer *out = echo->json.writer;
    if (!token->truncated) {
        json_write_string(out, token->text, token->text_bytes);
        return;
    }
    writer_char(out, '"');
    write_long(echo, token->offset);
    writer_char(out, '"');
}

static void write_key(struct echo *echo, const struct json_token *token)
{
    const char *name = echo->rename == NULL ? NULL : echo->rename(token);
    if (name == NULL)
        json_write_string(echo->json.writer, token->text, token->text_bytes);
    else
        json_write_string(echo->json.writer, name, strlen(name));
    writer_char(echo->json.writer, ':');
    echo->json.comma = false;
}

static int write_token(void *context, const struct json_token *token)
{
    struct echo *echo = context;
    struct json_write *json = &echo->json;
    switch (token->event) {
    case JSON_OBJECT_BEGIN:
        json_write_object_begin(json, NULL);
        break;
    case JSON_OBJECT_END:
        json_write_object_end(json);
        break;
    case JSON_ARRAY_BEGIN:
        json_write_array_begin(json, NULL);
        break;
    case JSON_ARRAY_END:
        json_write_array_end(json);
        break;
    case JSON_KEY:
        json_write_key(json, NULL);
        write_key(echo, token);
        break;
    case JSON_STRING:
        json_write_key(json, NULL);
        write_string(echo, token);
        break;
    case JSON_NUMBER:
        json_write_key(json, NULL);
        writer_bytes(json->writer, token->text, token->text_bytes);
        break;
    case JSON_NULL:
        json_write_null(json, NULL);
        break;
    default:
        json_write_boolean(json, NULL, token->event == JSON_TRUE);
        break;
    }
    return 0;
}

int tokens_write_json(const struct reading *reading, tokens_rename *rename, struct writer *out)
{
    struct echo echo = {.payload = reading->payload, .rename = rename};
    json_write_start(&echo.json, out);
    return tokens_read(reading, write_token, &echo);
}

/* ---- documents ---- */

int tokens_give_document(const struct reading *reading, const uint8_t *bytes, size_t count)
{
    struct payload_room *room = reading->room;
    if (count > room->text_bytes)
        return tokens_fail(reading, E_TOO_BIG, "a document of more than %zu bytes",
                           room->text_bytes);
    room->record.sample.document = bytes;
    room->record.sample.document_bytes = count;
    return reading->handler(reading->context, &room->record);
}

int tokens_give_written(const struct reading *reading, const struct writer *out)
{
    const struct payload_room *room = reading->room;
    if (out->error < 0)
        return tokens_fail(reading, out->error, "as JSON it is longer than %zu bytes",
                           room->text_bytes);
    return tokens_give_document(reading, room->text, out->used_bytes);
}
