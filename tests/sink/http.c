/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sink/http.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum { PIECE_BYTES = 16384, PIECE_TIMEOUT_MS = 30000 };

/* Appends one piece of the stream to BUFFER; as channel_read. */
static int read_piece(struct buffer *buffer, struct channel *channel, int timeout_ms)
{
    char *to = buffer_reserve(buffer, PIECE_BYTES);
    int count = channel_read(channel, to, PIECE_BYTES, timeout_ms);
    if (count > 0) {
        buffer->used_bytes += (size_t)count;
        buffer->bytes[buffer->used_bytes] = '\0';
    }
    return count;
}

/* Moves the head from the bytes read to where it is kept: its length, or 0 if it is not whole. */
static size_t take_head(struct http_request *request)
{
    const char *bytes = request->rest.bytes;
    if (request->rest.used_bytes == 0)
        return 0;
    const char *end = memmem(bytes, request->rest.used_bytes, "\r\n\r\n", 4);
    if (end == NULL)
        return 0;
    size_t count = (size_t)(end - bytes) + 4;
    buffer_add(&request->head, bytes, count);
    buffer_add(&request->text, bytes, count);
    return count;
}

static void drop_rest(struct http_request *request, size_t count)
{
    struct buffer *rest = &request->rest;
    memmove(rest->bytes, rest->bytes + count, rest->used_bytes - count);
    rest->used_bytes -= count;
    rest->bytes[rest->used_bytes] = '\0';
}

static int read_head(struct http_request *request, struct channel *channel, int idle_ms)
{
    size_t count;
    while ((count = take_head(request)) == 0) {
        if (request->rest.used_bytes > HTTP_HEAD_BYTES_MAX) {
            request->status = 431;
            return -1;
        }
        int first = request->rest.used_bytes == 0;
        if (first && !channel_is_readable(channel, idle_ms))
            return 0;
        int got = read_piece(&request->rest, channel, PIECE_TIMEOUT_MS);
        if (got <= 0)
            return first ? 0 : -1;
    }
    drop_rest(request, count);
    return 1;
}

static char *trimmed(char *text)
{
    text += strspn(text, " \t");
    size_t count = strlen(text);
    while (count > 0 && (text[count - 1] == ' ' || text[count - 1] == '\t'))
        text[--count] = '\0';
    return text;
}

static int parse_header(struct http_request *request, char *line)
{
    char *colon = strchr(line, ':');
    if (colon == NULL || colon == line || request->header_count == HTTP_HEADERS_MAX)
        return -1;
    *colon = '\0';
    if (strpbrk(line, " \t") != NULL)
        return -1;
    request->headers[request->header_count++] =
        (struct http_header){.name = line, .value = trimmed(colon + 1)};
    return 0;
}

static int parse_request_line(struct http_request *request, char *line)
{
    char *state = NULL;
    request->method = strtok_r(line, " ", &state);
    request->target = strtok_r(NULL, " ", &state);
    const char *version = strtok_r(NULL, " ", &state);
    if (version == NULL || strcmp(version, "HTTP/1.1") != 0)
        return -1;
    return request->target[0] == '/' ? 0 : -1;
}

static int parse_head(struct http_request *request)
{
    if (strlen(request->text.bytes) != request->text.used_bytes)
        return -1;
    char *line = request->text.bytes;
    for (int i = 0;; i++) {
        char *end = strstr(line, "\r\n");
        if (end == line)
            break;
        *end = '\0';
        if ((i == 0 ? parse_request_line(request, line) : parse_header(request, line)) != 0)
            return -1;
        line = end + 2;
    }
    if (request->method == NULL)
        return -1;
    const char *connection = http_header(request, "Connection");
    request->keep_alive = connection == NULL || strcasecmp(connection, "close") != 0;
    return 0;
}

static int body_length(struct http_request *request, size_t *ret_count)
{
    const char *length = http_header(request, "Content-Length");
    if (http_header(request, "Transfer-Encoding") != NULL ||
        (length == NULL && strcmp(request->method, "GET") != 0)) {
        request->status = 411;
        return -1;
    }
    if (length == NULL)
        length = "0";
    if (length[0] == '\0' || length[strspn(length, "0123456789")] != '\0')
        return -1;
    unsigned long long count = strtoull(length, NULL, 10);
    if (count > HTTP_BODY_BYTES_MAX) {
        request->status = 413;
        return -1;
    }
    *ret_count = (size_t)count;
    return 0;
}

static int read_body(struct http_request *request, struct channel *channel)
{
    size_t count = 0;
    if (body_length(request, &count) != 0)
        return -1;
    const char *expect = http_header(request, "Expect");
    if (expect != NULL && request->rest.used_bytes < count &&
        channel_write(channel, "HTTP/1.1 100 Continue\r\n\r\n", 25) != 0)
        return -1;
    while (request->rest.used_bytes < count) {
        if (read_piece(&request->rest, channel, PIECE_TIMEOUT_MS) <= 0) {
            request->status = 0;
            return -1;
        }
    }
    buffer_add(&request->body, request->rest.bytes, count);
    drop_rest(request, count);
    return 1;
}

int http_read(struct http_request *request, struct channel *channel, int idle_ms)
{
    buffer_clear(&request->head);
    buffer_clear(&request->body);
    buffer_clear(&request->text);
    request->header_count = 0;
    request->method = request->target = NULL;
    request->status = 0;
    buffer_reserve(&request->rest, 0);

    int got = read_head(request, channel, idle_ms);
    if (got <= 0)
        return got;
    request->status = 400;
    if (parse_head(request) != 0)
        return -1;
    return read_body(request, channel);
}

const char *http_header(const struct http_request *request, const char *name)
{
    for (size_t i = 0; i < request->header_count; i++) {
        if (strcasecmp(request->headers[i].name, name) == 0)
            return request->headers[i].value;
    }
    return NULL;
}

static const char *reason(int status)
{
    static const struct {
        int status;
        const char *text;
    } reasons[] = {
        {200, "OK"},
        {400, "Bad Request"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {411, "Length Required"},
        {413, "Content Too Large"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {503, "Service Unavailable"},
    };
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        if (reasons[i].status == status)
            return reasons[i].text;
    }
    return "Unknown";
}

void http_reply(struct buffer *reply, int status, const char *headers, long long date_ms,
                int keep_alive, const struct buffer *body)
{
    /* IMF-fixdate; the names are English because the program never sets a locale. */
    char date[40];
    time_t seconds = (time_t)(date_ms / 1000);
    struct tm parts;
    gmtime_r(&seconds, &parts);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &parts);

    buffer_format(reply, "HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Length: %zu\r\n", status,
                  reason(status), date, body->used_bytes);
    if (!keep_alive)
        buffer_text(reply, "Connection: close\r\n");
    buffer_format(reply, "%s\r\n", headers);
    buffer_add(reply, body->bytes, body->used_bytes);
}

void http_free(struct http_request *request)
{
    buffer_free(&request->head);
    buffer_free(&request->body);
    buffer_free(&request->rest);
    buffer_free(&request->text);
}
