/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/http/http_parse.h"

#include <limits.h>
#include <string.h>
#include <strings.h>

#include "platform/base/bytes.h"
#include "platform/base/error.h"
#include "platform/base/parse.h"

enum state {
    STATUS_LINE,
    HEADERS,
    BODY_LENGTH,
    BODY_CLOSE,
    CHUNK_SIZE,
    CHUNK_DATA,
    CHUNK_END,
    TRAILERS,
    DONE,
};

enum {
    STATUS_BYTES = sizeof "HTTP/1.1 200" - 1,
    CHUNK_DIGITS = 16,
    RETRY_SECONDS_MAX = 7 * 24 * 60 * 60,
};

/* A piece of the current line. */
struct text {
    const char *at;
    size_t count;
};

typedef int header_reader(struct http_parser *parser, struct text value);

static bool is_blank(char character)
{
    return character == ' ' || character == '\t';
}

static bool is_digit(char character)
{
    return character >= '0' && character <= '9';
}

static struct text trim(struct text text)
{
    while (text.count > 0 && is_blank(text.at[0])) {
        text.at++;
        text.count--;
    }
    while (text.count > 0 && is_blank(text.at[text.count - 1]))
        text.count--;
    return text;
}

static bool is_word(struct text text, const char *word)
{
    return text.count == strlen(word) && strncasecmp(text.at, word, text.count) == 0;
}

/* Cuts the next element off a comma-separated list; false at its end. */
static bool take_element(struct text *list, struct text *ret_element)
{
    if (list->count == 0)
        return false;
    const char *comma = memchr(list->at, ',', list->count);
    size_t count = comma == NULL ? list->count : (size_t)(comma - list->at);
    *ret_element = trim((struct text){list->at, count});
    count += comma != NULL;
    list->at += count;
    list->count -= count;
    return true;
}

static void copy_value(char to[HTTP_VALUE_BYTES], struct text value)
{
    size_t count = value.count < HTTP_VALUE_BYTES ? value.count : HTTP_VALUE_BYTES - 1;
    for (size_t i = 0; i < count; i++)
        to[i] = value.at[i] >= ' ' && value.at[i] < 0x7f ? value.at[i] : '?';
    to[count] = '\0';
}

/* RFC 9110 section 8.6: a repeated value is harmless, a different one an attack or a defect. */
static int read_content_length(struct http_parser *parser, struct text value)
{
    struct text element;
    if (value.count == 0)
        return E_SYNTAX;
    while (take_element(&value, &element)) {
        uint64_t length;
        if (parse_unsigned(element.at, element.count, &length) < 0)
            return E_SYNTAX;
        if (parser->has_length && length != parser->length)
            return E_SYNTAX;
        parser->length = length;
        parser->has_length = true;
    }
    return 0;
}

static int read_transfer_encoding(struct http_parser *parser, struct text value)
{
    struct text element;
    while (take_element(&value, &element)) {
        if (is_word(element, "identity"))
            continue; /* older servers say so; it means nothing */
        if (parser->chunked || !is_word(element, "chunked"))
            return E_SYNTAX;
        parser->chunked = true;
    }
    return 0;
}

static int read_connection(struct http_parser *parser, struct text value)
{
    struct text element;
    while (take_element(&value, &element)) {
        if (is_word(element, "close"))
            parser->close_seen = true;
        if (is_word(element, "keep-alive"))
            parser->reply.keep_alive = true;
    }
    return 0;
}

static int read_date(struct http_parser *parser, struct text value)
{
    if (parse_http_date_ms(value.at, value.count, &parser->reply.date_ms) == 0)
        parser->reply.has_date = true;
    return 0;
}

static int read_age(struct http_parser *parser, struct text value)
{
    (void)value;
    parser->age_seen = true;
    return 0;
}

static int read_retry_after(struct http_parser *parser, struct text value)
{
    uint64_t seconds;
    if (parser->has_amz_retry)
        return 0;
    if (parse_unsigned(value.at, value.count, &seconds) == 0)
        parser->reply.retry_after_ms =
            1000 * (int64_t)(seconds < RETRY_SECONDS_MAX ? seconds : RETRY_SECONDS_MAX);
    else if (parse_http_date_ms(value.at, value.count, &parser->retry_date_ms) == 0)
        parser->has_retry_date = true;
    return 0;
}

static int read_amz_retry_after(struct http_parser *parser, struct text value)
{
    uint64_t ms;
    if (parse_unsigned(value.at, value.count, &ms) < 0)
        return 0;
    uint64_t limit = UINT64_C(1000) * RETRY_SECONDS_MAX;
    parser->reply.retry_after_ms = (int64_t)(ms < limit ? ms : limit);
    parser->has_amz_retry = true;
    return 0;
}

static int read_content_type(struct http_parser *parser, struct text value)
{
    copy_value(parser->reply.content_type, value);
    return 0;
}

/* "namespace#Code:http://..." is the longest form that AWS sends. */
static int read_error_type(struct http_parser *parser, struct text value)
{
    const char *colon = memchr(value.at, ':', value.count);
    if (colon != NULL)
        value.count = (size_t)(colon - value.at);
    const char *hash = memrchr(value.at, '#', value.count);
    if (hash != NULL) {
        value.count -= (size_t)(hash + 1 - value.at);
        value.at = hash + 1;
    }
    copy_value(parser->reply.error_type, trim(value));
    return 0;
}

static int read_request_id(struct http_parser *parser, struct text value)
{
    copy_value(parser->reply.request_id, value);
    return 0;
}

static int read_bucket_region(struct http_parser *parser, struct text value)
{
    copy_value(parser->reply.bucket_region, value);
    return 0;
}

/* A part of one would match nothing, or something else. */
static int read_etag(struct http_parser *parser, struct text value)
{
    if (value.count < HTTP_VALUE_BYTES)
        copy_value(parser->reply.etag, value);
    return 0;
}

static const struct {
    const char *name;
    header_reader *read;
} headers[] = {
    {"age", read_age},
    {"connection", read_connection},
    {"content-length", read_content_length},
    {"content-type", read_content_type},
    {"date", read_date},
    {"etag", read_etag},
    {"retry-after", read_retry_after},
    {"transfer-encoding", read_transfer_encoding},
    {"x-amz-bucket-region", read_bucket_region},
    {"x-amz-request-id", read_request_id},
    {"x-amz-retry-after", read_amz_retry_after},
    {"x-amzn-errortype", read_error_type},
    {"x-amzn-requestid", read_request_id},
};

static bool is_name(struct text name)
{
    for (size_t i = 0; i < name.count; i++)
        if (name.at[i] <= ' ' || name.at[i] >= 0x7f)
            return false;
    return name.count > 0;
}

static int read_header(struct http_parser *parser)
{
    const char *colon = memchr(parser->line, ':', parser->line_bytes);
    if (colon == NULL)
        return parser->line_cut ? E_TOO_BIG : E_SYNTAX;
    struct text name = {parser->line, (size_t)(colon - parser->line)};
    struct text value = {colon + 1, parser->line_bytes - name.count - 1};
    if (!is_name(name))
        return E_SYNTAX;
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
        if (is_word(name, headers[i].name))
            return parser->line_cut ? E_TOO_BIG : headers[i].read(parser, trim(value));
    return 0;
}

static void clear_line(struct http_parser *parser)
{
    parser->line_bytes = 0;
    parser->line_cut = false;
    parser->line_held = false;
}

static void clear_head(struct http_parser *parser)
{
    parser->reply = (struct http_reply){.retry_after_ms = -1};
    parser->has_length = false;
    parser->has_retry_date = false;
    parser->has_amz_retry = false;
    parser->chunked = false;
    parser->close_seen = false;
    parser->age_seen = false;
}

static int read_status_line(struct http_parser *parser)
{
    const char *line = parser->line;
    size_t count = parser->line_bytes;
    if (count < STATUS_BYTES || memcmp(line, "HTTP/1.", 7) != 0 || !is_digit(line[7]) ||
        line[8] != ' ' || !is_digit(line[9]) || !is_digit(line[10]) || !is_digit(line[11]) ||
        (count > STATUS_BYTES && line[12] != ' '))
        return E_SYNTAX;
    int status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
    if (status < 100 || status > 599 || status == 101)
        return E_SYNTAX;
    clear_head(parser);
    parser->reply.status = status;
    parser->reply.keep_alive = line[7] != '0';
    parser->state = HEADERS;
    return 0;
}

static void settle_retry_after(struct http_parser *parser)
{
    struct http_reply *reply = &parser->reply;
    int64_t limit_ms = INT64_C(1000) * RETRY_SECONDS_MAX;
    if (!parser->has_retry_date || !reply->has_date || parser->has_amz_retry)
        return;
    int64_t wait_ms = parser->retry_date_ms - reply->date_ms;
    reply->retry_after_ms = wait_ms < 0 ? 0 : wait_ms > limit_ms ? limit_ms : wait_ms;
}

/* RFC 9112 section 6.3: what decides where the body ends, most telling first. */
static int choose_body(struct http_parser *parser)
{
    int status = parser->reply.status;
    parser->remaining = parser->length;
    if (status == 204 || status == 304)
        return DONE;
    if (parser->chunked)
        return CHUNK_SIZE;
    if (!parser->has_length)
        return BODY_CLOSE;
    return parser->remaining == 0 ? DONE : BODY_LENGTH;
}

static int end_head(struct http_parser *parser, const struct http_parse_events *events)
{
    if (parser->reply.status < 200) {
        parser->state = STATUS_LINE;
        return 0;
    }
    parser->state = choose_body(parser);
    if (parser->state == BODY_CLOSE || parser->close_seen ||
        (parser->chunked && parser->has_length))
        parser->reply.keep_alive = false;
    settle_retry_after(parser);
    parser->reply.has_date = parser->reply.has_date && !parser->age_seen;
    parser->head_bytes = 0;
    return events->on_head == NULL ? 0 : events->on_head(events->context, &parser->reply);
}

/* Extensions behind the size mean nothing to us. */
static int read_chunk_size(struct http_parser *parser)
{
    uint64_t size = 0;
    size_t digits = 0;
    for (; digits < parser->line_bytes; digits++) {
        int digit = bytes_hex_digit(parser->line[digits]);
        if (digit < 0)
            break;
        if (digits == CHUNK_DIGITS)
            return E_SYNTAX;
        size = size << 4 | (unsigned)digit;
    }
    struct text rest = trim((struct text){parser->line + digits, parser->line_bytes - digits});
    if (digits == 0 || (rest.count > 0 && rest.at[0] != ';'))
        return E_SYNTAX;
    parser->remaining = size;
    parser->state = size == 0 ? TRAILERS : CHUNK_DATA;
    return 0;
}

static int end_line(struct http_parser *parser, const struct http_parse_events *events)
{
    bool empty = parser->line_bytes == 0;
    switch (parser->state) {
    case STATUS_LINE:
        return read_status_line(parser);
    case HEADERS:
        parser->line_held = !empty;
        return empty ? end_head(parser, events) : 0;
    case CHUNK_SIZE:
        return parser->line_cut ? E_TOO_BIG : read_chunk_size(parser);
    case CHUNK_END:
        parser->state = CHUNK_SIZE;
        return empty ? 0 : E_SYNTAX;
    default:
        parser->state = empty ? DONE : TRAILERS;
        return 0;
    }
}

static int put_in_line(struct http_parser *parser, char character)
{
    if (parser->return_seen || character == '\0')
        return E_SYNTAX;
    if (parser->line_bytes < sizeof parser->line)
        parser->line[parser->line_bytes++] = character;
    else
        parser->line_cut = true;
    return 0;
}

/* A header line that has ended is read once the next one shows that it is no continuation. */
static int settle_held_line(struct http_parser *parser, char next)
{
    parser->line_held = false;
    if (is_blank(next))
        return 0;
    int rc = read_header(parser);
    clear_line(parser);
    return rc;
}

static int take_line_byte(struct http_parser *parser, char character,
                          const struct http_parse_events *events)
{
    if (++parser->head_bytes > HTTP_HEAD_BYTES_MAX)
        return E_TOO_BIG;
    if (parser->line_held) {
        int rc = settle_held_line(parser, character);
        if (rc < 0)
            return rc;
    }
    if (character == '\r' && !parser->return_seen) {
        parser->return_seen = true;
        return 0;
    }
    if (character != '\n')
        return put_in_line(parser, character);
    parser->return_seen = false;
    int rc = end_line(parser, events);
    if (!parser->line_held)
        clear_line(parser);
    return rc;
}

static void end_piece(struct http_parser *parser)
{
    if (parser->remaining > 0)
        return;
    parser->state = parser->state == CHUNK_DATA ? CHUNK_END : DONE;
    parser->head_bytes = 0;
}

/* Hands on what belongs to the body; returns how much, or an event's error. */
static int take_body(struct http_parser *parser, const uint8_t *bytes, size_t count,
                     const struct http_parse_events *events)
{
    size_t take = count;
    if (parser->state != BODY_CLOSE) {
        if (parser->remaining < take)
            take = (size_t)parser->remaining;
        parser->remaining -= take;
        end_piece(parser);
    }
    int rc = events->on_body == NULL ? 0 : events->on_body(events->context, bytes, take);
    return rc < 0 ? rc : (int)take;
}

static int take(struct http_parser *parser, const uint8_t *bytes, size_t count,
                const struct http_parse_events *events)
{
    int state = parser->state;
    if (state == BODY_LENGTH || state == BODY_CLOSE || state == CHUNK_DATA)
        return take_body(parser, bytes, count, events);
    int rc = take_line_byte(parser, (char)bytes[0], events);
    return rc < 0 ? rc : 1;
}

void http_parse_start(struct http_parser *parser)
{
    clear_head(parser);
    clear_line(parser);
    parser->state = STATUS_LINE;
    parser->error = 0;
    parser->remaining = 0;
    parser->length = 0;
    parser->retry_date_ms = 0;
    parser->head_bytes = 0;
    parser->return_seen = false;
}

int http_parse_feed(struct http_parser *parser, const uint8_t *bytes, size_t count,
                    const struct http_parse_events *events)
{
    size_t used = 0;
    if (count > INT_MAX)
        count = INT_MAX;
    while (used < count && parser->state != DONE && parser->error == 0) {
        int rc = take(parser, bytes + used, count - used, events);
        if (rc < 0)
            parser->error = rc;
        else
            used += (size_t)rc;
    }
    return parser->error < 0 ? parser->error : (int)used;
}

int http_parse_end(struct http_parser *parser)
{
    if (parser->error < 0)
        return parser->error;
    if (parser->state == BODY_CLOSE)
        parser->state = DONE;
    return parser->state == DONE ? 0 : E_CLOSED;
}

bool http_parse_done(const struct http_parser *parser)
{
    return parser->state == DONE && parser->error == 0;
}
