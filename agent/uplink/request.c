/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/uplink/request.h"

#include "agent/http/http_write.h"
#include "platform/base/error.h"
#include "platform/base/writer.h"

enum { HOST_BYTES = 272, AUTHORIZATION_BYTES = 640, SIGNED_MAX = 5 };

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
    const struct sigv4_request to_sign = {.method = "POST",
                                          .path = request->path,
                                          .query = "",
                                          .headers = headers,
                                          .header_count = count,
                                          .payload_hash = request->body_hash,
                                          .date = date,
                                          .region = request->region,
                                          .service = request->service};
    const struct sigv4_credentials credentials = {
        .access_key_id = request->credentials->access_key_id,
        .secret_access_key = request->credentials->secret_access_key};
    writer_to_memory(&out, ret_value, AUTHORIZATION_BYTES);
    int rc = sigv4_authorization(&to_sign, &credentials, key, &out);
    int written = writer_finish(&out);
    return rc < 0 ? rc : written;
}

static int write_head(const struct request *request, const struct sigv4_header *headers,
                      size_t count, const char *authorization, char *ret_head)
{
    struct writer out;
    writer_to_memory(&out, ret_head, REQUEST_HEAD_BYTES);
    http_write_request_line(&out, "POST", request->path, NULL);
    for (size_t i = 0; i < count; i++)
        http_write_header(&out, headers[i].name, headers[i].value);
    if (authorization[0] != '\0')
        http_write_header(&out, "Authorization", authorization);
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
    const char *token = request->credentials != NULL ? request->credentials->session_token : "";
    int rc = write_host(request, host);
    if (rc < 0)
        return rc;
    sigv4_date(request->wall_ms, date);
    const struct sigv4_header headers[SIGNED_MAX] = {{"Host", host},
                                                     {"Content-Type", request->content_type},
                                                     {"X-Amz-Target", request->target},
                                                     {"X-Amz-Date", date},
                                                     {"X-Amz-Security-Token", token}};
    size_t count = token[0] == '\0' ? SIGNED_MAX - 1 : SIGNED_MAX;
    if (request->credentials != NULL)
        rc = sign(request, headers, count, date, key, authorization);
    return rc < 0 ? rc : write_head(request, headers, count, authorization, ret_head);
}
