/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/uplink/s3_get.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/uplink/dest/s3_place.h"
#include "agent/uplink/dest/xml_error.h"
#include "agent/uplink/request.h"
#include "agent/uplink/server_clock.h"
#include "agent/uplink/verdict.h"
#include "platform/base/error.h"
#include "platform/clock.h"
#include "platform/hash.h"

enum {
    TOTAL_MS = 60 * 1000,
    CONNECT_MS = 20 * 1000,
    SILENCE_MS = 20 * 1000,
    CREDENTIALS_MS = 60 * 1000,
    PATH_BYTES = 1700, /* bucket and key, with each byte as %XX */
    TRIES_MAX = 4,     /* with each of the things that are mended once */
};

static const char empty_hash[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

struct s3_get {
    struct s3_get_options options;
    struct s3_place place;
    struct http_client *client;
    struct sigv4_key key;
    struct credentials credentials;
    char path[PATH_BYTES];
    char head[REQUEST_HEAD_BYTES];
    struct server_clock clock;

    struct s3_get_object *object; /* of the exchange that is under way */
    struct http_reply reply;
    struct xml_error xml;
    struct dest_reply error;
    enum verdict mended[TRIES_MAX]; /* of this question */
    unsigned tries;
};

/* ---- opening ---- */

/* S3 signs the path as it is sent, so everything that some server may read in another way is
 * encoded. */
static void write_encoded(struct writer *out, const char *text)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                "0123456789-_.~/";
    for (; *text != '\0'; text++) {
        const uint8_t byte = (uint8_t)*text;
        if (strchr(plain, *text) != NULL) {
            writer_char(out, *text);
            continue;
        }
        writer_char(out, '%');
        writer_char(out, "0123456789ABCDEF"[byte >> 4]);
        writer_char(out, "0123456789ABCDEF"[byte & 15]);
    }
}

static int write_path(struct s3_get *get)
{
    struct writer out;
    writer_to_memory(&out, get->path, sizeof get->path - 1);
    if (get->options.path_style) {
        writer_char(&out, '/');
        write_encoded(&out, get->options.bucket);
    }
    writer_char(&out, '/');
    write_encoded(&out, get->options.key);
    return writer_finish(&out);
}

static int open_client(struct s3_get *get)
{
    const struct s3_get_options *options = &get->options;
    const struct http_client_options http = {.tls = options->tls,
                                             .host = options->host,
                                             .port = options->port,
                                             .proxy = options->proxy,
                                             .tls_options = options->tls_options,
                                             .connect_ms = CONNECT_MS,
                                             .idle_ms = SILENCE_MS,
                                             .total_ms = TOTAL_MS,
                                             .stop = options->stop,
                                             .meter = options->meter};
    return http_client_open(&http, &get->client);
}

int s3_get_open(const struct s3_get_options *options, struct s3_get **ret_get)
{
    struct s3_get *get = calloc(1, sizeof *get);
    if (get == NULL)
        return E_NO_MEMORY;
    get->options = *options;
    get->place = (struct s3_place){.configured_region = options->region,
                                   .configured_host = options->movable ? options->host : NULL};
    int rc = write_path(get);
    if (rc == E_OK)
        rc = open_client(get);
    if (rc < 0) {
        s3_get_close(get);
        return rc;
    }
    *ret_get = get;
    return E_OK;
}

void s3_get_close(struct s3_get *get)
{
    if (get == NULL)
        return;
    http_client_close(get->client);
    hash_wipe(get, sizeof *get);
    free(get);
}

/* ---- one exchange ---- */

static int64_t signing_wall_ms(struct s3_get *get)
{
    const struct tls_options *tls = &get->options.tls_options;
    bool known = false;
    int64_t boot_ms = clock_boot_ms();
    return server_clock_sign(&get->clock, boot_ms,
                             tls->wall_ms != NULL ? tls->wall_ms(tls->wall_context, &known)
                                                  : clock_wall_ms());
}

static int write_head(struct s3_get *get, const char *etag)
{
    const struct s3_get_options *options = &get->options;
    const char *host = s3_place_host(&get->place);
    const char *region = s3_place_region(&get->place);
    struct dest_head head = {
        .method = "GET", .path = get->path, .raw_path = true, .query = "", .service = "s3"};
    dest_add_header(&head, "x-amz-content-sha256", empty_hash);
    dest_add_header(&head, "If-None-Match", etag[0] != '\0' ? etag : NULL);
    const struct request request = {.host = host != NULL ? host : options->host,
                                    .port = options->port,
                                    .tls = options->tls,
                                    .head = &head,
                                    .region = region != NULL ? region : options->region,
                                    .user_agent = options->user_agent,
                                    .credentials = &get->credentials,
                                    .wall_ms = signing_wall_ms(get),
                                    .body_hash = empty_hash};
    int rc = http_client_point(get->client, request.host);
    return rc < 0 ? rc : request_write_head(&request, &get->key, get->head);
}

static int on_head(void *context, const struct http_reply *reply)
{
    struct s3_get *get = context;
    get->reply = *reply;
    if (reply->has_date)
        server_clock_learn(&get->clock, clock_boot_ms(), reply->date_ms);
    return E_OK;
}

static int on_body(void *context, const uint8_t *bytes, size_t count)
{
    struct s3_get *get = context;
    struct s3_get_object *object = get->object;
    if (get->reply.status != 200) {
        xml_error_feed(&get->xml, bytes, count);
        object->count += count; /* of which nothing is kept */
        return object->count > sizeof object->bytes ? E_TOO_BIG : E_OK;
    }
    if (count > sizeof object->bytes - object->count)
        return E_TOO_BIG;
    memcpy(object->bytes + object->count, bytes, count);
    object->count += count;
    return E_OK;
}

static int exchange(struct s3_get *get, const char *etag, struct http_outcome *ret_outcome)
{
    *ret_outcome = (struct http_outcome){0};
    get->reply = (struct http_reply){.retry_after_ms = -1};
    get->error = (struct dest_reply){0};
    get->object->count = 0;
    int head_bytes = write_head(get, etag);
    if (head_bytes < 0) {
        (void)snprintf(ret_outcome->fault, sizeof ret_outcome->fault,
                       "the request cannot be written: check region, source and credentials");
        return E_INVALID;
    }
    const struct http_request request = {.head = get->head,
                                         .head_bytes = (size_t)head_bytes,
                                         .on_head = on_head,
                                         .on_body = on_body,
                                         .context = get};
    xml_error_start(&get->xml);
    int rc = http_client_exchange(get->client, &request, ret_outcome);
    (void)xml_error_end(&get->xml, &get->error);
    http_client_disconnect(get->client); /* the next one is far off */
    return rc;
}

/* ---- what it came to ---- */

/* S3 numbers every request; without that the 200 of something in between is not believed. */
static bool is_understood(const struct s3_get *get, const char *etag)
{
    const struct http_reply *reply = &get->reply;
    if (reply->request_id[0] == '\0')
        return false;
    return (reply->status == 200 && reply->etag[0] != '\0') ||
           (reply->status == 304 && etag[0] != '\0');
}

static const char *remedy_of(const struct s3_get *get, const struct verdict_question *question)
{
    if (question->error == E_OK && (strcmp(question->code, "NoSuchKey") == 0 ||
                                    (question->status == 404 && question->code[0] == '\0')))
        return "put an object there, or check \"source\"";
    if (strcmp(question->code, "AccessDenied") == 0)
        return "allow s3:GetObject on it, and s3:ListBucket on the bucket so that an object that "
               "is not there is told from one that is forbidden";
    if (question->error == E_OK && get->reply.status < 300)
        return "something between here and S3 answers, such as a proxy or the page of a hotel";
    return verdict_remedy(question);
}

/* Whether WHAT was mended in this question before; from now on it was. */
static bool is_mended(struct s3_get *get, enum verdict what)
{
    for (unsigned i = 0; i < get->tries; i++)
        if (get->mended[i] == what)
            return true;
    if (get->tries == TRIES_MAX)
        return true;
    get->mended[get->tries++] = what;
    return false;
}

/* E_AGAIN: at once, in another way. */
static int mend(struct s3_get *get, enum verdict verdict)
{
    if (is_mended(get, verdict))
        return E_REFUSED;
    if (verdict == VERDICT_REFRESH_CREDENTIALS)
        credentials_expire(get->options.credentials, &get->credentials);
    return E_AGAIN;
}

static int judge(struct s3_get *get, const char *etag, int code, const struct http_outcome *outcome,
                 char fault[S3_GET_FAULT_BYTES])
{
    const struct verdict_question question = {
        .error = code,
        .files_unfit = outcome->files_unfit,
        .status = outcome->proxy_status != 0 ? outcome->proxy_status : get->reply.status,
        .understood = is_understood(get, etag),
        .code = get->error.code,
        .message = get->error.message,
        .whole = true,
        .otherwise = code == E_OK &&
                     s3_place_learn(&get->place, &get->reply, get->error.code, get->xml.region),
        .skewed = server_clock_is_skewed(&get->clock),
    };
    if (code == E_STOP)
        return code;
    (void)snprintf(get->object->etag, sizeof get->object->etag, "%s",
                   question.understood ? get->reply.etag : "");
    if (code == E_TOO_BIG && question.understood) {
        (void)snprintf(fault, S3_GET_FAULT_BYTES,
                       "the object has more than 64 KiB, which no configuration has");
        return code;
    }
    if (code == E_OK && question.understood)
        return get->reply.status == 304 ? E_EXISTS : E_OK;
    enum verdict verdict = verdict_of_request(&question);
    verdict_explain(&question, http_client_host(get->client), outcome->fault,
                    remedy_of(get, &question), fault, S3_GET_FAULT_BYTES);
    switch (verdict) {
    case VERDICT_OTHERWISE:
    case VERDICT_FIX_CLOCK:
    case VERDICT_REFRESH_CREDENTIALS:
        return mend(get, verdict);
    case VERDICT_DELIVERED:
    case VERDICT_RETRY_RECORD:
    case VERDICT_RETRY_BATCH:
    case VERDICT_THROTTLE:
        return E_TIMEOUT;
    default:
        return E_REFUSED;
    }
}

static int get_keys(struct s3_get *get, char fault[S3_GET_FAULT_BYTES])
{
    char why[CREDENTIALS_FAULT_BYTES] = "";
    int64_t deadline_ms = clock_mono_ms() + CREDENTIALS_MS;
    bool refused = get->tries > 0 && get->mended[get->tries - 1] == VERDICT_REFRESH_CREDENTIALS;
    int rc = (refused ? credentials_get_other : credentials_get)(
        get->options.credentials, deadline_ms, why, &get->credentials);
    if (rc == E_OK || rc == E_STOP)
        return rc;
    (void)snprintf(fault, S3_GET_FAULT_BYTES, "%s",
                   why[0] != '\0' ? why : "there are no credentials; check \"credentials\"");
    return rc == E_TIMEOUT ? rc : E_REFUSED;
}

int s3_get_ask(struct s3_get *get, const char *etag, struct s3_get_object *ret_object,
               char fault[S3_GET_FAULT_BYTES])
{
    struct http_outcome outcome;
    int rc;
    get->object = ret_object;
    get->tries = 0;
    ret_object->etag[0] = fault[0] = '\0';
    do {
        rc = get_keys(get, fault);
        if (rc == E_OK)
            rc = judge(get, etag, exchange(get, etag, &outcome), &outcome, fault);
    } while (rc == E_AGAIN);
    credentials_wipe(&get->credentials);
    hash_wipe(get->head, sizeof get->head);
    return rc;
}
