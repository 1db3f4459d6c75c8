/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "agent/aws/credentials_fetch.h"
#include "agent/aws/credentials_network.h"
#include "agent/aws/sigv4.h"
#include "agent/http/http_write.h"
#include "platform/base/bytes.h"
#include "platform/base/error.h"
#include "platform/base/writer.h"
#include "platform/clock.h"
#include "platform/hash.h"

enum {
    TIME_MS = 20 * 1000,
    SOURCE_MS = 30 * 1000,
    SKEW_MS = 240 * 1000, /* AWS allows 5 min */
    HOST_BYTES = 272,
    AUTHORIZATION_BYTES = 1024,
    PIECE_BYTES = 64,
};

/* Every role gives that long, also for keys that are temporary themselves. */
#define LIFE_S "3600"

#define CONTENT_TYPE "application/x-www-form-urlencoded; charset=utf-8"

struct assume_role {
    struct credentials_provider provider;
    struct credentials_assume_role_options options;
    char session[CREDENTIALS_SESSION_BYTES];
};

/* What one get says and hears, in up to three requests. */
struct talk {
    struct assume_role *role;
    int64_t deadline_ms;
    char *fault;
    struct credentials keys; /* of the source */
    struct credentials refused;
    bool clock_corrected; /* by this much, from clock_mono_ms on: */
    int64_t offset_ms;
    int64_t signed_ms;
    char host[HOST_BYTES];
    char date[SIGV4_DATE_BYTES];
    char body_hash[2 * HASH_SHA256_BYTES + 1];
    char authorization[AUTHORIZATION_BYTES];
    struct credentials_reply reply;
    struct credentials_answer answer;
};

static const struct credentials_remedy remedies[] = {
    {0, "AccessDenied", false,
     "let the role's trust policy name whose keys these are (and \"external_id\"), and their own "
     "allow sts:AssumeRole"},
    {0, "ExpiredToken", false, "the keys of \"credentials\" have expired: who gives them stopped"},
    {0, "InvalidClientTokenId", false,
     "check the access key of \"credentials\": STS has none such"},
    {0, "Signature", false, "check the secret key of \"credentials\", and the clock"},
    {0, "RequestExpired", false, "check the clock"},
    {0, "Skewed", false, "check the clock"},
    {0, "ValidationError", false, "check \"role_arn\" and \"external_id\""},
    {0, "RegionDisabled", false,
     "activate STS in this region, or set AWS_ENDPOINT_URL_STS to another's"},
    {0, "Throttl", true, "STS is asked too often"},
    {0, "RequestLimitExceeded", true, "STS is asked too often"},
    {0},
};

/* ---- the request ---- */

static int write_form(void *context, struct writer *out)
{
    const struct assume_role *role = context;
    writer_text(out, "Action=AssumeRole&Version=2011-06-15");
    credentials_fetch_write_member(out, "&RoleArn=", role->options.role_arn);
    credentials_fetch_write_member(out, "&RoleSessionName=", role->session);
    writer_text(out, "&DurationSeconds=" LIFE_S);
    if (role->options.external_id != NULL)
        credentials_fetch_write_member(out, "&ExternalId=", role->options.external_id);
    return 0;
}

static int add_to_hash(void *context, const uint8_t *bytes, size_t count)
{
    hash_sha256_add(context, bytes, count);
    return 0;
}

static void hash_form(struct assume_role *role, char ret_hex[2 * HASH_SHA256_BYTES + 1])
{
    uint8_t piece[PIECE_BYTES], digest[HASH_SHA256_BYTES];
    struct hash_sha256 hash;
    struct writer out;
    hash_sha256_start(&hash);
    writer_to_function(&out, piece, sizeof piece, add_to_hash, &hash);
    (void)write_form(role, &out);
    (void)writer_finish(&out);
    hash_sha256_finish(&hash, digest);
    bytes_put_hex(ret_hex, digest, sizeof digest);
}

static int write_host(struct talk *talk)
{
    const struct credentials_server *server = &talk->role->options.server;
    struct writer out;
    writer_to_memory(&out, talk->host, sizeof talk->host);
    http_write_host(&out, server->host, server->port, server->tls);
    return writer_finish(&out);
}

static const char *token_of(const struct talk *talk)
{
    return talk->keys.session_token[0] != '\0' ? talk->keys.session_token : NULL;
}

static int write_authorization(struct talk *talk)
{
    const struct sigv4_header headers[] = {{"Host", talk->host},
                                           {"Content-Type", CONTENT_TYPE},
                                           {"X-Amz-Date", talk->date},
                                           {"X-Amz-Security-Token", token_of(talk)}};
    const struct sigv4_request to_sign = {.method = "POST",
                                          .path = "/",
                                          .query = "",
                                          .headers = headers,
                                          .header_count = token_of(talk) != NULL ? 4 : 3,
                                          .payload_hash = talk->body_hash,
                                          .date = talk->date,
                                          .region = talk->role->options.region,
                                          .service = "sts"};
    const struct sigv4_credentials keys = {.access_key_id = talk->keys.access_key_id,
                                           .secret_access_key = talk->keys.secret_access_key};
    struct sigv4_key key = {0};
    struct writer out;
    writer_to_memory(&out, talk->authorization, sizeof talk->authorization);
    int rc = sigv4_authorization(&to_sign, &keys, &key, &out);
    hash_wipe(&key, sizeof key);
    return rc < 0 ? rc : writer_finish(&out);
}

static int sign(struct talk *talk)
{
    talk->signed_ms = talk->clock_corrected
                          ? clock_mono_ms() + talk->offset_ms
                          : credentials_fetch_wall_ms(&talk->role->options.server.tls_options);
    sigv4_date(talk->signed_ms, talk->date);
    hash_form(talk->role, talk->body_hash);
    int rc = write_host(talk);
    if (rc == 0)
        rc = write_authorization(talk);
    return rc == 0 ? 0
                   : credentials_fault(talk->fault, E_CREDENTIALS,
                                       "the request to %s cannot be signed (%s): check the region",
                                       talk->role->options.server.host, ERROR_TEXT(rc));
}

static int ask(struct talk *talk, struct credentials *ret_credentials)
{
    const struct credentials_assume_role_options *options = &talk->role->options;
    const struct credentials_request request = {
        .server = options->server,
        .method = "POST",
        .path = "/",
        .headers = {{"Content-Type", CONTENT_TYPE},
                    {"X-Amz-Date", talk->date},
                    {"X-Amz-Security-Token", token_of(talk)},
                    {"Authorization", talk->authorization}},
        .write_body = write_form,
        .context = talk->role,
        .time_ms = TIME_MS};
    credentials_reply_wipe(&talk->reply);
    credentials_reply_start(&talk->reply, CREDENTIALS_FORM_STS);
    talk->answer = (struct credentials_answer){0};
    int rc = sign(talk);
    if (rc == 0)
        rc = credentials_fetch_reply(&request, &talk->reply, talk->deadline_ms, talk->fault,
                                     &talk->answer);
    if (rc == 0)
        rc = credentials_fetch_judge(&request, remedies, &talk->reply, &talk->answer, talk->fault,
                                     ret_credentials);
    return rc == E_NOT_FOUND ? E_TIMEOUT : rc;
}

/* ---- first aid ---- */

static bool has_code(const struct talk *talk, const char *const *words)
{
    for (; *words != NULL; words++)
        if (strstr(talk->reply.code, *words) != NULL)
            return true;
    return false;
}

/* Where nobody knows the time yet, or all are wrong about it, STS itself says in its refusal what
 * time it is. */
static bool correct_clock(struct talk *talk)
{
    static const char *const words[] = {"Signature", "RequestExpired", "Skewed", "InTheFuture",
                                        NULL};
    int64_t ahead_ms = talk->signed_ms - talk->answer.date_ms;
    if (!talk->answer.has_date || !has_code(talk, words) ||
        (ahead_ms <= SKEW_MS && ahead_ms >= -SKEW_MS))
        return false;
    talk->offset_ms = talk->answer.date_ms - clock_mono_ms();
    talk->clock_corrected = true;
    return true;
}

static bool are_keys_refused(const struct talk *talk)
{
    static const char *const words[] = {"ExpiredToken", "InvalidClientTokenId", NULL};
    return has_code(talk, words);
}

static int take_keys(struct talk *talk, bool other, char fault[CREDENTIALS_FAULT_BYTES])
{
    struct credentials_provider *source = talk->role->options.source;
    int64_t until_ms = clock_mono_ms() + SOURCE_MS;
    until_ms = until_ms < talk->deadline_ms ? until_ms : talk->deadline_ms;
    return (other ? credentials_get_other : credentials_get)(source, until_ms, fault, &talk->keys);
}

/* Whoever gives keys may have others by now: a file that was replaced, a session that was renewed.
 * Where they are the same, the refusal stands. */
static int ask_with_others(struct talk *talk, struct credentials *ret_credentials)
{
    char fault[CREDENTIALS_FAULT_BYTES];
    talk->refused = talk->keys;
    credentials_expire(talk->role->options.source, &talk->refused);
    int rc = take_keys(talk, true, fault);
    if (rc < 0) {
        memcpy(talk->fault, fault, sizeof fault);
        return rc;
    }
    if (strcmp(talk->keys.access_key_id, talk->refused.access_key_id) == 0 &&
        strcmp(talk->keys.secret_access_key, talk->refused.secret_access_key) == 0 &&
        strcmp(talk->keys.session_token, talk->refused.session_token) == 0)
        return E_CREDENTIALS;
    return ask(talk, ret_credentials);
}

static int get_assume_role(struct credentials_provider *provider, int64_t deadline_ms,
                           char fault[CREDENTIALS_FAULT_BYTES], struct credentials *ret_credentials)
{
    struct talk *talk = calloc(1, sizeof *talk);
    if (talk == NULL)
        return credentials_fault(fault, E_NO_MEMORY, "out of memory");
    talk->role = (struct assume_role *)(void *)provider;
    talk->deadline_ms = deadline_ms;
    talk->fault = fault;
    int rc = take_keys(talk, false, fault);
    if (rc == 0)
        rc = ask(talk, ret_credentials);
    if (rc == E_CREDENTIALS && correct_clock(talk))
        rc = ask(talk, ret_credentials);
    if (rc == E_CREDENTIALS && are_keys_refused(talk))
        rc = ask_with_others(talk, ret_credentials);
    hash_wipe(talk, sizeof *talk);
    free(talk);
    return rc;
}

/* ---- life ---- */

static void close_assume_role(struct credentials_provider *provider)
{
    free(provider);
}

int credentials_assume_role_open(const struct credentials_assume_role_options *options,
                                 struct credentials_provider **ret_provider)
{
    static const struct credentials_operations operations = {
        .name = "assume_role", .slow = true, .get = get_assume_role, .close = close_assume_role};
    struct assume_role *role = calloc(1, sizeof *role);
    if (role == NULL)
        return E_NO_MEMORY;
    role->provider.operations = &operations;
    role->options = *options;
    credentials_fetch_name_session(options->device, role->session);
    *ret_provider = &role->provider;
    return 0;
}
