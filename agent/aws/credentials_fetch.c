/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/aws/credentials_fetch.h"

#include <stdlib.h>
#include <string.h>

#include "agent/http/http_write.h"
#include "platform/base/error.h"
#include "platform/clock.h"
#include "platform/hash.h"

enum {
    HEAD_BYTES = 6144, /* an authorization token may have 4 KB */
    HOST_BYTES = 272,
    PIECE_BYTES = 64,
    BODY_BYTES_MAX = 64 * 1024,
    LIFE_MAX_MS = 12 * 3600 * 1000, /* AWS gives no longer one; a wrong Date may say so */
};

/* What is under way: the body is handed on, what the head says is kept. */
struct fetch {
    struct credentials_answer answer;
    size_t body_bytes;
    uint64_t sent_bytes;
    int (*on_body)(void *context, const uint8_t *bytes, size_t count);
    void *context;
    const struct credentials_request *request;
};

static int on_head(void *context, const struct http_reply *reply)
{
    struct fetch *fetch = context;
    fetch->answer.status = reply->status;
    fetch->answer.has_date = reply->has_date;
    fetch->answer.date_ms = reply->date_ms;
    return 0;
}

static int on_body(void *context, const uint8_t *bytes, size_t count)
{
    struct fetch *fetch = context;
    fetch->body_bytes += count;
    if (fetch->body_bytes > BODY_BYTES_MAX)
        return E_TOO_BIG;
    return fetch->on_body(fetch->context, bytes, count);
}

static int write_body(void *context, struct writer *out)
{
    const struct fetch *fetch = context;
    return fetch->request->write_body(fetch->request->context, out);
}

static int pass_over(void *context, const uint8_t *bytes, size_t count)
{
    (void)context;
    (void)bytes;
    (void)count;
    return 0;
}

static uint64_t measure_body(const struct credentials_request *request)
{
    uint8_t piece[PIECE_BYTES];
    struct writer out;
    if (request->write_body == NULL)
        return 0;
    writer_to_function(&out, piece, sizeof piece, pass_over, NULL);
    (void)request->write_body(request->context, &out);
    uint64_t count = writer_total_bytes(&out);
    hash_wipe(piece, sizeof piece);
    return count;
}

static int write_head(const struct credentials_request *request, uint64_t body_bytes,
                      char ret_head[HEAD_BYTES])
{
    char host[HOST_BYTES];
    struct writer out;
    writer_to_memory(&out, host, sizeof host);
    http_write_host(&out, request->server.host, request->server.port, request->server.tls);
    int rc = writer_finish(&out);
    if (rc < 0)
        return rc;
    writer_to_memory(&out, ret_head, HEAD_BYTES);
    http_write_request_line(&out, request->method, request->path, request->query);
    http_write_header(&out, "Host", host);
    http_write_header(&out, "Accept", "*/*");
    for (size_t i = 0; i < CREDENTIALS_HEADERS_MAX; i++)
        if (request->headers[i].value != NULL)
            http_write_header(&out, request->headers[i].name, request->headers[i].value);
    if (strcmp(request->method, "GET") != 0)
        http_write_header_unsigned(&out, "Content-Length", body_bytes);
    http_write_end(&out);
    rc = writer_finish(&out);
    return rc < 0 ? rc : (int)out.used_bytes;
}

static int open_client(const struct credentials_request *request, int64_t time_ms,
                       char fault[CREDENTIALS_FAULT_BYTES], struct http_client **ret_client)
{
    const struct http_client_options options = {.tls = request->server.tls,
                                                .host = request->server.host,
                                                .port = request->server.port,
                                                .tls_options = request->server.tls_options,
                                                .proxy = request->server.proxy,
                                                .meter = request->server.meter,
                                                .connect_ms = time_ms,
                                                .idle_ms = time_ms,
                                                .total_ms = time_ms,
                                                .stop = request->server.stop};
    int rc = http_client_open(&options, ret_client);
    if (rc < 0)
        return credentials_fault(fault, rc == E_NO_MEMORY ? rc : E_CREDENTIALS,
                                 "%s may not be asked: %s", request->server.host,
                                 rc == E_REFUSED ? "plain HTTP leads only to this machine and to "
                                                   "AWS's metadata addresses"
                                                 : ERROR_TEXT(rc));
    return 0;
}

/* What CODE of an exchange means for whoever waits for keys. */
static int judge(const struct http_outcome *outcome, int code)
{
    if (code == E_STOP || code == E_NO_MEMORY)
        return code;
    if (outcome->files_unfit || code == E_CERTIFICATE)
        return E_CREDENTIALS;
    bool reached = outcome->sent || outcome->reply_begun || outcome->sent_mono_ms != 0;
    return reached ? E_TIMEOUT : E_NOT_FOUND;
}

static int exchange(struct fetch *fetch, struct http_client *client, const char *head,
                    size_t head_bytes, char fault[CREDENTIALS_FAULT_BYTES])
{
    const struct credentials_request *request = fetch->request;
    const struct http_request http = {.head = head,
                                      .head_bytes = head_bytes,
                                      .body_bytes = fetch->sent_bytes,
                                      .write_body = request->write_body == NULL ? NULL : write_body,
                                      .on_head = on_head,
                                      .on_body = on_body,
                                      .context = fetch};
    struct http_outcome outcome;
    int rc = http_client_exchange(client, &http, &outcome);
    if (rc < 0)
        return credentials_fault(fault, judge(&outcome, rc), "%s", outcome.fault);
    fetch->answer.asked_mono_ms = outcome.sent_mono_ms;
    return 0;
}

int credentials_fetch(const struct credentials_request *request, int64_t deadline_ms,
                      int (*take_body)(void *context, const uint8_t *bytes, size_t count),
                      void *context, char fault[CREDENTIALS_FAULT_BYTES],
                      struct credentials_answer *ret_answer)
{
    struct fetch fetch = {.on_body = take_body, .context = context, .request = request};
    struct http_client *client = NULL;
    char head[HEAD_BYTES];
    int64_t left_ms = deadline_ms - clock_mono_ms();
    int64_t time_ms = left_ms < request->time_ms ? left_ms : request->time_ms;
    if (time_ms <= 0)
        return credentials_fault(fault, E_TIMEOUT, "no time was left to ask %s",
                                 request->server.host);
    fetch.sent_bytes = measure_body(request);
    int rc = write_head(request, fetch.sent_bytes, head);
    if (rc < 0)
        rc = credentials_fault(fault, E_CREDENTIALS,
                               "the request to %s cannot be written (%s): check its settings",
                               request->server.host, ERROR_TEXT(rc));
    size_t head_bytes = rc < 0 ? 0 : (size_t)rc;
    if (rc >= 0)
        rc = open_client(request, time_ms, fault, &client);
    if (rc == 0)
        rc = exchange(&fetch, client, head, head_bytes, fault);
    http_client_close(client);
    hash_wipe(head, sizeof head);
    if (rc == 0)
        *ret_answer = fetch.answer;
    return rc;
}

void credentials_fetch_write_member(struct writer *out, const char *name, const char *value)
{
    static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                     "0123456789-_.~";
    writer_text(out, name);
    for (; *value != '\0'; value++) {
        const uint8_t byte = (uint8_t)*value;
        if (strchr(unreserved, *value) != NULL) {
            writer_char(out, *value);
        } else {
            writer_char(out, '%');
            writer_hex(out, &byte, 1);
        }
    }
}

void credentials_fetch_name_session(const char *wanted, char ret_session[CREDENTIALS_SESSION_BYTES])
{
    static const char in_session[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                     "0123456789_+=,.@-";
    if (strlen(wanted) < 2)
        wanted = "runnel";
    size_t count = 0;
    for (; wanted[count] != '\0' && count < CREDENTIALS_SESSION_BYTES - 1; count++)
        ret_session[count] = strchr(in_session, wanted[count]) != NULL ? wanted[count] : '-';
    ret_session[count] = '\0';
}

/* ---- keys ---- */

static bool has_word(const char *text, const char *word)
{
    return word == NULL || strstr(text, word) != NULL;
}

static bool fits(const struct credentials_remedy *remedy, int status, const char *code,
                 const char *message)
{
    return (remedy->status == 0 || remedy->status == status) &&
           (has_word(code, remedy->word) || has_word(message, remedy->word));
}

int credentials_fetch_refuse(const char *host, int status, const char *code, const char *message,
                             const struct credentials_remedy *remedies,
                             char fault[CREDENTIALS_FAULT_BYTES])
{
    bool temporary = status == 429 || status >= 500;
    const char *remedy = temporary ? NULL : "";
    for (; remedy != NULL && remedies->remedy != NULL; remedies++)
        if (fits(remedies, status, code, message)) {
            temporary = remedies->temporary;
            remedy = remedies->remedy;
            break;
        }
    bool both = code[0] != '\0' && message[0] != '\0';
    bool none = code[0] == '\0' && message[0] == '\0';
    return credentials_fault(
        fault, temporary ? E_TIMEOUT : E_CREDENTIALS, "%s answered %d (%s%s%s%s)%s%s", host, status,
        code, both ? ": " : "", message, none ? "without saying why" : "",
        remedy == NULL || remedy[0] == '\0' ? "" : ": ", remedy == NULL ? "" : remedy);
}

int64_t credentials_fetch_wall_ms(const struct tls_options *tls)
{
    bool known = false;
    return tls->wall_ms != NULL ? tls->wall_ms(tls->wall_context, &known) : clock_wall_ms();
}

static int take(const struct credentials_request *request, const struct credentials_reply *reply,
                const struct credentials_answer *answer, char fault[CREDENTIALS_FAULT_BYTES],
                struct credentials *ret_credentials)
{
    const char *host = request->server.host;
    int64_t life_ms = reply->life_ms;
    if (reply->form != CREDENTIALS_FORM_OAUTH2)
        life_ms = reply->expiration_ms -
                  (answer->has_date ? answer->date_ms
                                    : credentials_fetch_wall_ms(&request->server.tls_options));
    if (life_ms <= 0)
        return credentials_fault(
            fault, E_CREDENTIALS, "%s gave keys that had expired %lld s before, by %s clock", host,
            (long long)(-life_ms / 1000), answer->has_date ? "its own" : "this machine's");
    *ret_credentials = reply->credentials;
    ret_credentials->expires_mono_ms =
        answer->asked_mono_ms + (life_ms < LIFE_MAX_MS ? life_ms : LIFE_MAX_MS);
    return 0;
}

/* A 200 of the metadata service may carry an error, and even keys beside it. */
static bool is_success(const struct credentials_reply *reply)
{
    return reply->form != CREDENTIALS_FORM_FLAT || reply->code[0] == '\0' ||
           strcmp(reply->code, "Success") == 0;
}

int credentials_fetch_judge(const struct credentials_request *request,
                            const struct credentials_remedy *remedies,
                            struct credentials_reply *reply,
                            const struct credentials_answer *answer,
                            char fault[CREDENTIALS_FAULT_BYTES],
                            struct credentials *ret_credentials)
{
    int rc = credentials_reply_end(reply);
    if (answer->status == 200 && rc == 0 && is_success(reply))
        return take(request, reply, answer, fault, ret_credentials);
    if (answer->status == 200 && rc == E_UNSUPPORTED)
        return credentials_fault(fault, E_CREDENTIALS, "what %s answered %s", request->server.host,
                                 reply->why);
    if (answer->status == 200 && rc == E_SYNTAX)
        return credentials_fault(fault, E_TIMEOUT, "what %s answered %s", request->server.host,
                                 reply->why);
    return credentials_fetch_refuse(request->server.host, answer->status, reply->code,
                                    reply->message, remedies, fault);
}

/* What cannot be read is told from the status and at the end: an error's page may be anything. */
static int feed_reply(void *context, const uint8_t *bytes, size_t count)
{
    (void)credentials_reply_feed(context, bytes, count);
    return 0;
}

int credentials_fetch_reply(const struct credentials_request *request,
                            struct credentials_reply *reply, int64_t deadline_ms,
                            char fault[CREDENTIALS_FAULT_BYTES],
                            struct credentials_answer *ret_answer)
{
    return credentials_fetch(request, deadline_ms, feed_reply, reply, fault, ret_answer);
}

int credentials_fetch_keys(const struct credentials_request *request, enum credentials_form form,
                           const struct credentials_remedy *remedies, int64_t deadline_ms,
                           char fault[CREDENTIALS_FAULT_BYTES], struct credentials *ret_credentials)
{
    struct credentials_answer answer;
    struct credentials_reply *reply = malloc(sizeof *reply);
    if (reply == NULL)
        return credentials_fault(fault, E_NO_MEMORY, "out of memory");
    credentials_reply_start(reply, form);
    int rc = credentials_fetch_reply(request, reply, deadline_ms, fault, &answer);
    if (rc == 0)
        rc = credentials_fetch_judge(request, remedies, reply, &answer, fault, ret_credentials);
    credentials_reply_wipe(reply);
    free(reply);
    return rc;
}
