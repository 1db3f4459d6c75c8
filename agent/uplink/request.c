/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/uplink/request.h"

#include <stdio.h>

#include "agent/http/http_write.h"
#include "platform/base/error.h"
#include "platform/base/writer.h"
#include "platform/hash.h"

enum {
    HOST_BYTES = 272,
    AUTHORIZATION_BYTES = 1024,
    HEADERS_MAX = DEST_HEADERS_MAX + 4,
    TOKEN_VALUE_BYTES = CREDENTIALS_TOKEN_BYTES + 32
};

static int write_host(const struct request *request, char ret_host[HOST_BYTES])
{
    struct writer out;
    writer_to_memory(&out, ret_host, HOST_BYTES);
    http_write_host(&out, request->host, request->port, request->tls);
    return writer_finish(&out);
}

static int sign(const struct request *request, const struct sigv4_header *headers, size_t count,
                const char *date, struct sigv4_key *key, char ret_value[AUTHORIZATION_BYTES])
{
    struct writer out;
    const struct sigv4_request to_sign = {.method = request->head->method,
                                          .path = request->head->path,
                                          .query = request->head->query,
                                          .s3_path = request->head->raw_path,
                                          .headers = headers,
                                          .header_count = count,
                                          .payload_hash = request->body_hash,
                                          .date = date,
                                          .region = request->region,
                                          .service = request->head->service};
    const struct sigv4_credentials credentials = {
        .access_key_id = request->credentials->access_key_id,
        .secret_access_key = request->credentials->secret_access_key};
    writer_to_memory(&out, ret_value, AUTHORIZATION_BYTES);
    int rc = sigv4_authorization(&to_sign, &credentials, key, &out);
    int written = writer_finish(&out);
    return rc < 0 ? rc : written;
}

/* What is signed, if the request is. Returns the count. */
static size_t list_headers(const struct request *request, const char *host, const char *date,
                           struct sigv4_header headers[HEADERS_MAX])
{
    const struct dest_head *head = request->head;
    const char *token = request->credentials != NULL ? request->credentials->session_token : "";
    size_t count = 0;
    headers[count++] = (struct sigv4_header){"Host", host};
    if (head->content_type != NULL)
        headers[count++] = (struct sigv4_header){"Content-Type", head->content_type};
    for (size_t i = 0; i < head->header_count; i++)
        headers[count++] = (struct sigv4_header){head->headers[i].name, head->headers[i].value};
    if (head->service == NULL)
        return count;
    headers[count++] = (struct sigv4_header){"X-Amz-Date", date};
    if (token[0] != '\0')
        headers[count++] = (struct sigv4_header){"X-Amz-Security-Token", token};
    return count;
}

/* A line of its own, since the token may be longer than what is kept elsewhere. */
static void write_token(const struct request *request, struct writer *out)
{
    const struct dest_head *head = request->head;
    char value[TOKEN_VALUE_BYTES];
    if (head->token_header == NULL || request->credentials == NULL)
        return;
    (void)snprintf(value, sizeof value, "%s%s", head->token_prefix,
                   request->credentials->session_token);
    http_write_header(out, head->token_header, value);
    hash_wipe(value, sizeof value);
}

static int write_head(const struct request *request, const struct sigv4_header *headers,
                      size_t count, const char *authorization, char *ret_head)
{
    const struct dest_head *head = request->head;
    struct writer out;
    writer_to_memory(&out, ret_head, REQUEST_HEAD_BYTES);
    http_write_request_line(&out, head->method, head->path,
                            head->query[0] != '\0' ? head->query : NULL);
    for (size_t i = 0; i < count; i++)
        http_write_header(&out, headers[i].name, headers[i].value);
    if (authorization[0] != '\0')
        http_write_header(&out, "Authorization", authorization);
    write_token(request, &out);
    http_write_header(&out, "User-Agent", request->user_agent);
    http_write_header_unsigned(&out, "Content-Length", request->body_bytes);
    http_write_end(&out);
    int rc = writer_finish(&out);
    return rc < 0 ? rc : (int)out.used_bytes;
}

int request_write_head(const struct request *request, struct sigv4_key *key,
                       char ret_head[REQUEST_HEAD_BYTES])
{
    char host[HOST_BYTES];
    char date[SIGV4_DATE_BYTES];
    char authorization[AUTHORIZATION_BYTES] = "";
    struct sigv4_header headers[HEADERS_MAX];
    int rc = write_host(request, host);
    if (rc < 0)
        return rc;
    const char *said = request->head->host_header;
    sigv4_date(request->wall_ms, date);
    size_t count = list_headers(request, said != NULL ? said : host, date, headers);
    if (request->head->service != NULL && request->credentials != NULL)
        rc = sign(request, headers, count, date, key, authorization);
    return rc < 0 ? rc : write_head(request, headers, count, authorization, ret_head);
}
