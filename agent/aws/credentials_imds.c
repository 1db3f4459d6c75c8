/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "agent/aws/credentials_fetch.h"
#include "agent/aws/credentials_network.h"
#include "platform/base/error.h"
#include "platform/base/url.h"
#include "platform/base/writer.h"
#include "platform/clock.h"
#include "platform/hash.h"

enum {
    TIME_MS = 1000,
    ABSENT_MS = 15 * 60 * 1000, /* nobody becomes an instance of EC2 while it runs */
    TOKEN_BYTES = 256,
    ROLE_BYTES = 128,
    PATH_BYTES = 256,
};

struct imds {
    struct credentials_provider provider;
    bool asked_for;
    bool answered; /* before: who is silent now will come back */
    const struct stop *stop;
    int64_t absent_until_ms;
    char token[TOKEN_BYTES]; /* "": version 1 */
};

/* One look. */
struct look {
    struct imds *imds;
    struct url url;
    int64_t deadline_ms;
    bool has_role; /* the instance does, so that what fails then is a fault of it */
    char *fault;
};

/* A text that is taken whole, or told to be too long. */
struct text {
    char *to;
    size_t bytes;
    size_t used;
};

static const char roles_path[] = "/latest/meta-data/iam/security-credentials/";
static const struct credentials_remedy remedies[] = {
    {200, NULL, false, "check the trust policy of the instance's role"},
    {401, NULL, true, "its token is asked for again"},
    {404, NULL, true, "the instance's role has just been changed or removed"},
    {0},
};

static bool is_on(const char *name)
{
    const char *value = credentials_variable(name);
    return value != NULL && strcasecmp(value, "true") == 0;
}

static int find_endpoint(struct url *ret_url, char fault[CREDENTIALS_FAULT_BYTES])
{
    const char *endpoint = credentials_variable("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    const char *mode = credentials_variable("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");
    if (endpoint == NULL)
        endpoint = mode != NULL && strcasecmp(mode, "IPv6") == 0 ? "http://[fd00:ec2::254]"
                                                                 : "http://169.254.169.254";
    int rc = url_parse(endpoint, ret_url);
    if (rc == 0 && (ret_url->rest[0] == '\0' || strcmp(ret_url->rest, "/") == 0))
        return 0;
    return credentials_fault(fault, E_CREDENTIALS,
                             "AWS_EC2_METADATA_SERVICE_ENDPOINT is no endpoint: write it like "
                             "http://169.254.169.254");
}

static struct credentials_request request_of(const struct look *look, const char *method,
                                             const char *path)
{
    const struct imds *imds = look->imds;
    return (struct credentials_request){
        .server = {.tls = look->url.tls,
                   .host = look->url.host,
                   .port = look->url.port,
                   .stop = imds->stop},
        .method = method,
        .path = path,
        .headers = {{"x-aws-ec2-metadata-token", imds->token[0] != '\0' ? imds->token : NULL}},
        .time_ms = TIME_MS};
}

static int take_text(void *context, const uint8_t *bytes, size_t count)
{
    struct text *text = context;
    if (count >= text->bytes - text->used)
        return E_TOO_BIG;
    memcpy(text->to + text->used, bytes, count);
    text->used += count;
    text->to[text->used] = '\0';
    return 0;
}

/* Who has answered before is there, and only silent for now. */
static int after_answer(const struct look *look, int rc)
{
    return rc == E_NOT_FOUND && look->imds->answered ? E_TIMEOUT : rc;
}

/* Asks for a short text, of visible characters in one line. Its status, or an error. */
static int fetch_text(const struct look *look, const struct credentials_request *request, char *to,
                      size_t to_bytes)
{
    struct text text = {.to = to, .bytes = to_bytes};
    struct credentials_answer answer;
    to[0] = '\0';
    int rc = credentials_fetch(request, look->deadline_ms, take_text, &text, look->fault, &answer);
    if (rc < 0)
        return after_answer(look, rc);
    look->imds->answered = true;
    to[strcspn(to, "\r\n")] = '\0';
    for (const char *at = to; answer.status == 200 && *at != '\0'; at++)
        if (*at <= ' ' || *at >= 0x7f)
            return credentials_fault(look->fault, E_TIMEOUT, "what %s answered is none of EC2",
                                     request->server.host);
    return answer.status;
}

static int refuse(const struct look *look, int status)
{
    static const struct credentials_remedy none[] = {{0}};
    return credentials_fetch_refuse(look->url.host, status, "", "", none, look->fault);
}

/* Only who does not know version 2 is asked in version 1. */
static int fetch_token(const struct look *look)
{
    struct imds *imds = look->imds;
    imds->token[0] = '\0';
    struct credentials_request request = request_of(look, "PUT", "/latest/api/token");
    request.headers[0] =
        (struct credentials_header){"x-aws-ec2-metadata-token-ttl-seconds", "21600"};
    int rc = fetch_text(look, &request, imds->token, sizeof imds->token);
    if (rc < 0 || (rc == 200 && imds->token[0] != '\0'))
        return rc < 0 ? rc : 0;
    imds->token[0] = '\0';
    bool is_old = rc == 403 || rc == 404 || rc == 405;
    if (is_old && !is_on("AWS_EC2_METADATA_V1_DISABLED"))
        return 0;
    return refuse(look, rc);
}

/* E_NOT_FOUND: the instance has none. */
static int fetch_role(const struct look *look, char role[ROLE_BYTES])
{
    const struct credentials_request request = request_of(look, "GET", roles_path);
    int rc = fetch_text(look, &request, role, ROLE_BYTES);
    if (rc < 0)
        return rc;
    if (rc == 404 || (rc == 200 && role[0] == '\0'))
        return credentials_fault(look->fault, E_NOT_FOUND,
                                 "this EC2 instance has no role: attach an instance profile");
    return rc == 200 ? 0 : refuse(look, rc);
}

static int fetch_keys(const struct look *look, const char *role,
                      struct credentials *ret_credentials)
{
    char path[PATH_BYTES];
    struct writer out;
    writer_to_memory(&out, path, sizeof path);
    writer_text(&out, roles_path);
    writer_text(&out, role);
    (void)writer_finish(&out); /* ROLE_BYTES fit */
    const struct credentials_request request = request_of(look, "GET", path);
    return after_answer(look,
                        credentials_fetch_keys(&request, CREDENTIALS_FORM_FLAT, remedies,
                                               look->deadline_ms, look->fault, ret_credentials));
}

static int ask(struct look *look, struct credentials *ret_credentials)
{
    char role[ROLE_BYTES];
    int rc = fetch_token(look);
    if (rc == 0)
        rc = fetch_role(look, role);
    look->has_role = rc == 0;
    if (rc == 0)
        rc = fetch_keys(look, role, ret_credentials);
    hash_wipe(look->imds->token, sizeof look->imds->token);
    return rc;
}

/* Nobody there, no role, or somebody else who refuses: that is no fault of a machine that is asked
 * last of all. */
static int judge(const struct look *look, int rc, char fault[CREDENTIALS_FAULT_BYTES])
{
    struct imds *imds = look->imds;
    bool silent = rc == E_NOT_FOUND || (rc == E_TIMEOUT && !imds->answered);
    bool refused = rc == E_CREDENTIALS && !look->has_role && !imds->asked_for;
    if (!silent && !refused)
        return rc;
    if (imds->asked_for)
        return imds->answered ? E_CREDENTIALS : E_TIMEOUT;
    imds->absent_until_ms = clock_mono_ms() + ABSENT_MS;
    return imds->answered ? E_NOT_FOUND
                          : credentials_fault(fault, E_NOT_FOUND, "this is no EC2 instance");
}

static int get_imds(struct credentials_provider *provider, int64_t deadline_ms,
                    char fault[CREDENTIALS_FAULT_BYTES], struct credentials *ret_credentials)
{
    struct imds *imds = (struct imds *)(void *)provider;
    struct look look = {.imds = imds, .deadline_ms = deadline_ms, .fault = fault};
    if (is_on("AWS_EC2_METADATA_DISABLED"))
        return credentials_fault(fault, imds->asked_for ? E_CREDENTIALS : E_NOT_FOUND,
                                 "AWS_EC2_METADATA_DISABLED is set");
    if (clock_mono_ms() < imds->absent_until_ms)
        return credentials_fault(fault, E_NOT_FOUND, "this is no EC2 instance, or it has no role");
    int rc = find_endpoint(&look.url, fault);
    if (rc == 0)
        rc = judge(&look, ask(&look, ret_credentials), fault);
    return rc;
}

static void close_imds(struct credentials_provider *provider)
{
    free(provider);
}

int credentials_imds_open(bool asked_for, const struct stop *stop,
                          struct credentials_provider **ret_provider)
{
    static const struct credentials_operations operations = {
        .name = "imds", .slow = true, .get = get_imds, .close = close_imds};
    struct imds *imds = calloc(1, sizeof *imds);
    if (imds == NULL)
        return E_NO_MEMORY;
    imds->provider.operations = &operations;
    imds->asked_for = asked_for;
    imds->stop = stop;
    *ret_provider = &imds->provider;
    return 0;
}
