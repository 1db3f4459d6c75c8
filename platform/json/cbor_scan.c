/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/json/cbor_scan.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/base/decimal.h"
#include "platform/base/error.h"
#include "platform/base/utf8.h"
#include "platform/base/writer.h"

/* RFC 8949, section 3.1 and 3. */
enum major { UNSIGNED, NEGATIVE, BYTES, TEXT, ARRAY, MAP, TAG, SIMPLE };
enum { INFO_INDEFINITE = 31 };
enum { SIMPLE_FALSE = 20, SIMPLE_TRUE, SIMPLE_NULL, SIMPLE_UNDEFINED, HALF = 25, SINGLE, DOUBLE };
enum { TAG_BIG = 2, TAG_BIG_NEGATIVE = 3, TAG_FRACTION = 4 };

struct head {
    enum major major;
    unsigned info;
    uint64_t value; /* none of an indefinite length */
    size_t offset;
};

struct level {
    bool is_map;
    bool is_indefinite;
    bool has_key;  /* of a map: the value comes next */
    uint64_t left; /* elements or pairs; none of an indefinite length */
};

struct scan {
    const uint8_t *bytes;
    size_t count;
    size_t at;
    json_handler *handler;
    void *context;
    char *token;
    size_t token_bytes;
    size_t used; /* of token */
    bool truncated;
    unsigned depth;
    struct level levels[JSON_DEPTH_MAX];
    struct cbor_fault fault;
};

static int fail(struct scan *scan, size_t offset, const char *text)
{
    scan->fault = (struct cbor_fault){.offset = offset, .text = text};
    return E_SYNTAX;
}

/* ---- heads ---- */

static int read_argument(struct scan *scan, unsigned bytes, uint64_t *ret_value)
{
    uint64_t value = 0;
    if (scan->count - scan->at < bytes)
        return fail(scan, scan->count, "the value is cut off");
    for (unsigned i = 0; i < bytes; i++)
        value = value << 8 | scan->bytes[scan->at++];
    *ret_value = value;
    return 0;
}

static int read_head(struct scan *scan, struct head *ret_head)
{
    if (scan->at == scan->count)
        return fail(scan, scan->at, "the value is cut off");
    uint8_t first = scan->bytes[scan->at];
    struct head head = {
        .major = (enum major)(first >> 5), .info = first & 31, .offset = scan->at++};
    bool may_be_indefinite = head.major != UNSIGNED && head.major != NEGATIVE && head.major != TAG;
    int rc = 0;
    if (head.info < 24)
        head.value = head.info;
    else if (head.info < 28)
        rc = read_argument(scan, 1U << (head.info - 24), &head.value);
    else if (head.info != INFO_INDEFINITE || !may_be_indefinite)
        return fail(scan, head.offset, "a length that CBOR does not have");
    if (rc == 0)
        *ret_head = head;
    return rc;
}

static bool is_break(const struct head *head)
{
    return head->major == SIMPLE && head->info == INFO_INDEFINITE;
}

/* ---- tokens ---- */

static int emit(struct scan *scan, enum json_event event, size_t offset)
{
    const struct json_token token = {
        .event = event,
        .depth = scan->depth,
        .text = scan->token,
        .text_bytes = scan->used,
        .truncated = scan->truncated,
        .offset = offset,
        .line = 1,
        .column = (unsigned)offset + 1,
    };
    scan->token[scan->used] = '\0';
    int rc = scan->handler == NULL ? 0 : scan->handler(scan->context, &token);
    scan->used = 0;
    scan->truncated = false;
    if (rc < 0)
        scan->fault = (struct cbor_fault){.offset = offset};
    return rc;
}

static void put(struct scan *scan, const char *text, size_t count)
{
    if (scan->truncated || count >= scan->token_bytes - scan->used) {
        scan->truncated = true;
        return;
    }
    memcpy(scan->token + scan->used, text, count);
    scan->used += count;
}

/* ---- numbers ---- */

/* -1 - VALUE may be one more than what 64 bits count to. */
static void put_whole(struct scan *scan, enum major major, uint64_t value)
{
    char text[24];
    int count;
    if (major == UNSIGNED)
        count = snprintf(text, sizeof text, "%" PRIu64, value);
    else if (value == UINT64_MAX)
        count = snprintf(text, sizeof text, "-18446744073709551616");
    else
        count = snprintf(text, sizeof text, "-%" PRIu64, value + 1);
    put(scan, text, (size_t)count);
}

/* Section 3.4.4: an array of the exponent and the mantissa. */
/* mantissa * 10^exponent, without an exponent where a decimal point says it. */
static void put_fraction(struct scan *scan, const struct head *mantissa,
                         const struct head *exponent)
{
    char text[32];
    struct writer out;
    bool has_point = exponent->major == NEGATIVE && exponent->value < DECIMAL_PLACES_MAX;
    if (!has_point || mantissa->value > INT64_MAX) {
        put_whole(scan, mantissa->major, mantissa->value);
        put(scan, "e", 1);
        put_whole(scan, exponent->major, exponent->value);
        return;
    }
    int64_t value = (int64_t)mantissa->value;
    writer_to_memory(&out, text, sizeof text);
    writer_decimal(&out, mantissa->major == NEGATIVE ? -1 - value : value,
                   (unsigned)exponent->value + 1);
    (void)writer_finish(&out);
    put(scan, text, out.used_bytes);
}

static int scan_fraction(struct scan *scan, size_t offset)
{
    struct head array, exponent, mantissa;
    int rc = read_head(scan, &array);
    if (rc == 0 && (array.major != ARRAY || array.info == INFO_INDEFINITE || array.value != 2))
        rc = fail(scan, array.offset, "a decimal fraction is an array of two whole numbers");
    if (rc == 0)
        rc = read_head(scan, &exponent);
    if (rc == 0)
        rc = read_head(scan, &mantissa);
    if (rc < 0)
        return rc;
    if (exponent.major > NEGATIVE || mantissa.major > NEGATIVE)
        return fail(scan, array.offset, "a decimal fraction is an array of two whole numbers");
    put_fraction(scan, &mantissa, &exponent);
    return emit(scan, JSON_NUMBER, offset);
}

static double times_two(double value, int power)
{
    for (; power > 0; power--)
        value *= 2;
    for (; power < 0; power++)
        value /= 2;
    return value;
}

/* The float of these 16 bits. What is closer to it than RET_REACH is closer to no other. */
static double read_half(uint16_t bits, double *ret_reach)
{
    int exponent = bits >> 10 & 31;
    int mantissa = bits & 1023;
    int power = (exponent == 0 ? 1 : exponent) - 25;
    bool is_edge = mantissa == 0 && exponent > 1;
    *ret_reach = times_two(1, power - (is_edge ? 2 : 1));
    double value = times_two(exponent == 0 ? mantissa : mantissa + 1024, power);
    return (bits & 0x8000) != 0 ? -value : value;
}

/* Whether TEXT means the float of that WIDTH again. */
static bool is_same(const char *text, unsigned width, double value, double reach)
{
    double back = strtod(text, NULL);
    double distance = back > value ? back - value : value - back;
    if (width == HALF)
        return distance < reach;
    return width == SINGLE ? strtof(text, NULL) == (float)value : distance == 0;
}

/* Whole numbers as they are; of others the fewest digits that do. If some number of digits does,
 * more do as well, so that they are found by halves: a payload may be nothing but floats. */
static int print_float(char *text, size_t text_bytes, unsigned width, double value, double reach)
{
    int least = 1;
    int most = 17;
    if (value > -1e15 && value < 1e15 && value == (double)(int64_t)value)
        return snprintf(text, text_bytes, "%.0f", value);
    while (least < most) {
        int digits = (least + most) / 2;
        (void)snprintf(text, text_bytes, "%.*g", digits, value);
        if (is_same(text, width, value, reach))
            most = digits;
        else
            least = digits + 1;
    }
    return snprintf(text, text_bytes, "%.*g", least, value);
}

static int scan_float(struct scan *scan, const struct head *head)
{
    char text[32];
    double value = 0;
    double reach = 0;
    float single = 0;
    uint32_t single_bits = (uint32_t)head->value;
    if (head->info == HALF) {
        value = read_half((uint16_t)head->value, &reach);
    } else if (head->info == SINGLE) {
        memcpy(&single, &single_bits, sizeof single);
        value = (double)single;
    } else {
        memcpy(&value, &head->value, sizeof value);
    }
    bool is_finite = head->info == HALF ? (head->value >> 10 & 31) != 31 : value - value == 0;
    if (!is_finite)
        return fail(scan, head->offset, "not a number, or an infinite one");
    int count = print_float(text, sizeof text, head->info, value, reach);
    put(scan, text, (size_t)count);
    return emit(scan, JSON_NUMBER, head->offset);
}

static int scan_simple(struct scan *scan, const struct head *head)
{
    switch (head->info) {
    case SIMPLE_FALSE:
        return emit(scan, JSON_FALSE, head->offset);
    case SIMPLE_TRUE:
        return emit(scan, JSON_TRUE, head->offset);
    case SIMPLE_NULL:
    case SIMPLE_UNDEFINED:
        return emit(scan, JSON_NULL, head->offset);
    case HALF:
    case SINGLE:
    case DOUBLE:
        return scan_float(scan, head);
    case INFO_INDEFINITE:
        return fail(scan, head->offset, "an end of what did not begin");
    default:
        return fail(scan, head->offset, "a simple value that nobody knows");
    }
}

/* ---- strings ---- */

static int put_text(struct scan *scan, const uint8_t *text, size_t count, size_t offset)
{
    for (size_t at = 0; at < count;) {
        size_t bytes = utf8_character_bytes(text + at, count - at);
        if (bytes == 0)
            return fail(scan, offset + at, "a text that is not UTF-8");
        if (text[at] == 0)
            return fail(scan, offset + at, "a text with a NUL");
        put(scan, (const char *)text + at, bytes);
        at += bytes;
    }
    return 0;
}

/* The bits of a group of three bytes, of which the last may have fewer. */
struct group {
    uint32_t bits;
    unsigned bytes;
};

static void put_group(struct scan *scan, struct group *group)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    char text[4];
    uint32_t bits = group->bits << (8 * (3 - group->bytes));
    for (unsigned i = 0; i < 4; i++)
        text[i] = alphabet[bits >> (18 - 6 * i) & 63];
    if (group->bytes > 0)
        put(scan, text, group->bytes + 1);
    *group = (struct group){0};
}

static void put_bytes(struct scan *scan, const uint8_t *bytes, size_t count, struct group *group)
{
    for (size_t i = 0; i < count; i++) {
        group->bits = group->bits << 8 | bytes[i];
        if (++group->bytes == 3)
            put_group(scan, group);
    }
}

/* What one head of a known length announces. */
static int scan_chunk(struct scan *scan, const struct head *head, struct group *group)
{
    const uint8_t *bytes = scan->bytes + scan->at;
    if (head->value > scan->count - scan->at)
        return fail(scan, scan->count, "the value is cut off");
    size_t offset = scan->at;
    scan->at += (size_t)head->value;
    if (head->major == TEXT)
        return put_text(scan, bytes, (size_t)head->value, offset);
    put_bytes(scan, bytes, (size_t)head->value, group);
    return 0;
}

/* Section 3.2.3: chunks of known lengths, and of the same kind. */
static int scan_chunks(struct scan *scan, enum major major, struct group *group)
{
    for (;;) {
        struct head chunk;
        int rc = read_head(scan, &chunk);
        if (rc < 0 || is_break(&chunk))
            return rc;
        if (chunk.major != major || chunk.info == INFO_INDEFINITE)
            return fail(scan, chunk.offset, "a piece of a string that is none");
        rc = scan_chunk(scan, &chunk, group);
        if (rc < 0)
            return rc;
    }
}

static int scan_string(struct scan *scan, const struct head *head, enum json_event event)
{
    struct group group = {0};
    int rc = head->info == INFO_INDEFINITE ? scan_chunks(scan, head->major, &group)
                                           : scan_chunk(scan, head, &group);
    if (rc < 0)
        return rc;
    put_group(scan, &group);
    return emit(scan, event, head->offset);
}

/* ---- arrays and maps ---- */

static int begin(struct scan *scan, const struct head *head)
{
    bool is_map = head->major == MAP;
    if (scan->depth == JSON_DEPTH_MAX) {
        (void)fail(scan, head->offset, "too deep");
        return E_TOO_BIG;
    }
    int rc = emit(scan, is_map ? JSON_OBJECT_BEGIN : JSON_ARRAY_BEGIN, head->offset);
    if (rc == 0)
        scan->levels[scan->depth++] = (struct level){
            .is_map = is_map, .is_indefinite = head->info == INFO_INDEFINITE, .left = head->value};
    return rc;
}

static int end(struct scan *scan, size_t offset)
{
    bool is_map = scan->levels[--scan->depth].is_map;
    return emit(scan, is_map ? JSON_OBJECT_END : JSON_ARRAY_END, offset);
}

static int scan_key(struct scan *scan, const struct head *head)
{
    if (head->major == TEXT)
        return scan_string(scan, head, JSON_KEY);
    if (head->major > NEGATIVE)
        return fail(scan, head->offset, "a key that is neither a text nor a whole number");
    put_whole(scan, head->major, head->value);
    return emit(scan, JSON_KEY, head->offset);
}

/* ---- values ---- */

static int scan_tagged(struct scan *scan, struct head *head)
{
    while (head->major == TAG) {
        if (head->value == TAG_BIG || head->value == TAG_BIG_NEGATIVE)
            return fail(scan, head->offset, "a number of more than 64 bits");
        if (head->value == TAG_FRACTION)
            return 0;
        int rc = read_head(scan, head);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int scan_value(struct scan *scan, struct head *head)
{
    int rc = scan_tagged(scan, head);
    if (rc < 0)
        return rc;
    switch (head->major) {
    case UNSIGNED:
    case NEGATIVE:
        put_whole(scan, head->major, head->value);
        return emit(scan, JSON_NUMBER, head->offset);
    case BYTES:
    case TEXT:
        return scan_string(scan, head, JSON_STRING);
    case ARRAY:
    case MAP:
        return begin(scan, head);
    case TAG:
        return scan_fraction(scan, head->offset);
    default:
        return scan_simple(scan, head);
    }
}

/* The next in the array or map that is open; one that is complete is ended. */
static int scan_member(struct scan *scan)
{
    struct level *level = &scan->levels[scan->depth - 1];
    struct head head;
    if (!level->is_indefinite && level->left == 0 && !level->has_key)
        return end(scan, scan->at);
    int rc = read_head(scan, &head);
    if (rc < 0)
        return rc;
    if (level->is_indefinite && !level->has_key && is_break(&head))
        return end(scan, head.offset);
    if (level->is_map && !level->has_key) {
        level->has_key = true;
        level->left -= level->is_indefinite ? 0 : 1;
        return scan_key(scan, &head);
    }
    level->left -= level->is_indefinite || level->is_map ? 0 : 1;
    level->has_key = false;
    return scan_value(scan, &head);
}

int cbor_scan(const void *bytes, size_t count, char *token, size_t token_bytes,
              json_handler *handler, void *context, struct cbor_fault *ret_fault)
{
    struct scan scan = {.bytes = bytes,
                        .count = count,
                        .handler = handler,
                        .context = context,
                        .token = token,
                        .token_bytes = token_bytes};
    struct head head;
    int rc = read_head(&scan, &head);
    if (rc == 0)
        rc = scan_value(&scan, &head);
    while (rc == 0 && scan.depth > 0)
        rc = scan_member(&scan);
    if (rc == 0 && scan.at < count)
        rc = fail(&scan, scan.at, "something behind the value");
    if (rc < 0)
        *ret_fault = scan.fault;
    return rc;
}
