/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/uplink/verdict.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "platform/base/error.h"
#include "platform/base/parse.h"

/* A row with a status goes before one without, for the same code. */
struct row {
    const char *code; /* without "Exception", which services add or leave out, or with it where it
                         means something else */
    int status;       /* 0: any */
    enum verdict verdict;
    const char *remedy;
};

#define KEYS       "check the access key and that it is active"
#define PERMISSION "allow the action on this resource for this key"
#define KMS_KEY    "check the encryption key of the stream and who may use it"
#define ADDRESS    "check endpoint or url, and the region"
#define SECRET     "check the secret access key and the region"
#define REGION     "the bucket is in another region: correct it"
#define RECORD     "one of the records is refused: see the message"
#define CLOCK      "set the clock"
#define TOO_LARGE  "the request is too large for something on the way: lower batch.bytes"

static const struct row rows[] = {
    {"ProvisionedThroughputExceeded", 0, VERDICT_THROTTLE, "more shards, or on-demand mode"},
    {"LimitExceeded", 429, VERDICT_OPERATOR, "the usage plan's quota is used up: raise it"},
    {"LimitExceeded", 0, VERDICT_THROTTLE, NULL},
    {"Throttling", 0, VERDICT_THROTTLE, NULL},
    {"Throttled", 0, VERDICT_THROTTLE, NULL},
    {"KMSThrottling", 0, VERDICT_THROTTLE, NULL},
    {"RequestThrottled", 0, VERDICT_THROTTLE, NULL},
    {"RequestLimitExceeded", 0, VERDICT_THROTTLE, NULL},
    {"TooManyRequests", 0, VERDICT_THROTTLE, NULL},
    {"TransactionInProgress", 0, VERDICT_THROTTLE, NULL},
    {"BandwidthLimitExceeded", 0, VERDICT_THROTTLE, NULL},
    {"SlowDown", 0, VERDICT_THROTTLE, NULL},
    /* Firehose alone: "Slow down." Others leave "Exception" out and mean it. */
    {"ServiceUnavailableException", 0, VERDICT_THROTTLE, "a higher quota for the stream"},

    {"InternalFailure", 0, VERDICT_RETRY_BATCH, NULL},
    {"InternalError", 0, VERDICT_RETRY_BATCH, NULL},
    {"InternalServerError", 0, VERDICT_RETRY_BATCH, NULL},
    {"ServiceUnavailable", 0, VERDICT_RETRY_BATCH, NULL},
    {"RequestTimeout", 0, VERDICT_RETRY_BATCH, NULL},
    {"PriorRequestNotComplete", 0, VERDICT_RETRY_BATCH, NULL},
    {"ConditionalRequestConflict", 0, VERDICT_RETRY_BATCH, NULL},
    {"BadDigest", 0, VERDICT_RETRY_BATCH, NULL},
    {"InvalidDigest", 0, VERDICT_RETRY_BATCH, NULL},
    {"IDPCommunicationError", 0, VERDICT_RETRY_BATCH, NULL},

    {"ExpiredToken", 0, VERDICT_REFRESH_CREDENTIALS, "renew the credentials"},
    {"TokenRefreshRequired", 0, VERDICT_REFRESH_CREDENTIALS, "renew the credentials"},
    {"InvalidIdentityToken", 0, VERDICT_REFRESH_CREDENTIALS, "renew the web identity token"},
    {"Unauthorized", 0, VERDICT_REFRESH_CREDENTIALS, "check the token, and who may get one"},
    {"UnrecognizedClient", 0, VERDICT_REFRESH_CREDENTIALS, KEYS},
    {"InvalidAccessKeyId", 0, VERDICT_REFRESH_CREDENTIALS, KEYS},
    {"InvalidClientTokenId", 0, VERDICT_REFRESH_CREDENTIALS, KEYS},
    {"MissingAuthenticationToken", 0, VERDICT_REFRESH_CREDENTIALS, KEYS ", and path and method"},
    {"IncompleteSignature", 0, VERDICT_REFRESH_CREDENTIALS, KEYS},

    {"RequestTimeTooSkewed", 0, VERDICT_FIX_CLOCK, CLOCK},
    {"RequestExpired", 0, VERDICT_FIX_CLOCK, CLOCK},
    {"RequestInTheFuture", 0, VERDICT_FIX_CLOCK, CLOCK},
    {"InvalidSignature", 0, VERDICT_OPERATOR, SECRET},
    {"SignatureDoesNotMatch", 0, VERDICT_OPERATOR, SECRET},
    {"AccessDenied", 0, VERDICT_OPERATOR, PERMISSION},
    {"NotAuthorized", 0, VERDICT_OPERATOR, PERMISSION},
    {"AuthFailure", 0, VERDICT_OPERATOR, KEYS},
    {"Forbidden", 0, VERDICT_OPERATOR,
     "check the API key, the path, and whether a firewall refuses the request"},
    {"IDPRejectedClaim", 0, VERDICT_OPERATOR, "let the role trust this identity"},
    {"OptInRequired", 0, VERDICT_OPERATOR, "subscribe the account to the service"},

    {"ResourceNotFound", 0, VERDICT_OPERATOR, "check the stream's name, region and account"},
    {"ResourceInUse", 0, VERDICT_OPERATOR, "wait until the stream is active"},
    {"InvalidSource", 0, VERDICT_OPERATOR, "the stream has a source of its own: choose another"},
    {"NoSuchBucket", 0, VERDICT_OPERATOR, "check the bucket's name"},
    {"PermanentRedirect", 0, VERDICT_OPERATOR, REGION},
    {"TemporaryRedirect", 0, VERDICT_OPERATOR, REGION},
    {"IllegalLocationConstraint", 0, VERDICT_OPERATOR, REGION},
    {"AuthorizationHeaderMalformed", 0, VERDICT_OPERATOR, "correct the region"},
    {"InvalidBucketName", 0, VERDICT_OPERATOR, "check the bucket's name"},
    {"InvalidStorageClass", 0, VERDICT_OPERATOR, "correct storage_class"},
    {"InvalidRequest", 0, VERDICT_OPERATOR, "see the message"},
    {"NotImplemented", 0, VERDICT_OPERATOR, "this service lacks something that S3 has"},
    {"KMSAccessDenied", 0, VERDICT_OPERATOR, KMS_KEY},
    {"KMSDisabled", 0, VERDICT_OPERATOR, KMS_KEY},
    {"KMSInvalidState", 0, VERDICT_OPERATOR, KMS_KEY},
    {"KMSNotFound", 0, VERDICT_OPERATOR, KMS_KEY},
    {"KMSOptInRequired", 0, VERDICT_OPERATOR, "subscribe the account to AWS KMS"},
    {"InvalidKMSResource", 0, VERDICT_OPERATOR, KMS_KEY},
    {"KMS.Disabled", 0, VERDICT_OPERATOR, KMS_KEY},
    {"KMS.InvalidState", 0, VERDICT_OPERATOR, KMS_KEY},
    {"KMS.KMSInvalidState", 0, VERDICT_OPERATOR, KMS_KEY},
    {"KMS.NotFound", 0, VERDICT_OPERATOR, KMS_KEY},

    {"InvalidArgument", 0, VERDICT_BISECT, RECORD},
    {"Validation", 0, VERDICT_BISECT, RECORD},
    {"BadRequest", 415, VERDICT_OPERATOR, "let the API take this content type and encoding"},
    {"BadRequest", 0, VERDICT_BISECT, RECORD},
    {"RequestTooLarge", 0, VERDICT_TOO_LARGE, TOO_LARGE},
    {"EntityTooLarge", 0, VERDICT_TOO_LARGE, TOO_LARGE},
    {"Serialization", 0, VERDICT_OPERATOR, ADDRESS},
    {"UnknownOperation", 0, VERDICT_OPERATOR, ADDRESS},
    {"UnsupportedMediaType", 0, VERDICT_OPERATOR, "let the API take this content type"},
};

/* Statuses without a code that we know. */
static const struct {
    int status;
    enum verdict verdict;
    const char *remedy;
} statuses[] = {
    {400, VERDICT_RETRY_BATCH, NULL},
    {401, VERDICT_REFRESH_CREDENTIALS, "check the token, and who may get one"},
    {403, VERDICT_OPERATOR, "check permission, and whether a firewall refuses the request"},
    {404, VERDICT_OPERATOR, ADDRESS},
    {407, VERDICT_OPERATOR, "the proxy wants a user name and password"},
    {408, VERDICT_RETRY_BATCH, NULL},
    {409, VERDICT_RETRY_BATCH, NULL},
    {413, VERDICT_TOO_LARGE, TOO_LARGE},
    {425, VERDICT_RETRY_BATCH, NULL},
    {429, VERDICT_THROTTLE, NULL},
};

static const struct row *find_spelt(const char *code, size_t count, int status)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strlen(rows[i].code) == count && memcmp(rows[i].code, code, count) == 0 &&
            (rows[i].status == 0 || rows[i].status == status))
            return &rows[i];
    return NULL;
}

static const struct row *find_row(const char *code, int status)
{
    static const char suffix[] = "Exception";
    size_t count = strlen(code);
    size_t suffix_count = sizeof suffix - 1;
    const struct row *row = find_spelt(code, count, status);
    if (row != NULL || count <= suffix_count || strcmp(code + count - suffix_count, suffix) != 0)
        return row;
    return find_spelt(code, count - suffix_count, status);
}

/* Some services say in the message only that the signature's time is wrong. */
static bool blames_clock(const char *message)
{
    return strstr(message, "Signature expired") != NULL ||
           strstr(message, "Signature not yet current") != NULL;
}

/* Authorizers of API Gateway say so with whatever code they are told to. */
static bool blames_token(const struct verdict_question *question)
{
    return (question->status == 401 || question->status == 403) &&
           strstr(question->message, "oken") != NULL &&
           strstr(question->message, "expired") != NULL;
}

static bool is_about_identity(const struct row *row)
{
    static const char *const codes[] = {"InvalidSignature", "SignatureDoesNotMatch", "AuthFailure",
                                        "AccessDenied"};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (strcmp(codes[i], row->code) == 0)
            return true;
    return false;
}

static enum verdict verdict_of_status(int status)
{
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++)
        if (statuses[i].status == status)
            return statuses[i].verdict;
    /* A 2xx that does not answer for the records may come from anything in between. */
    return status < 300 || status >= 500 ? VERDICT_RETRY_BATCH : VERDICT_OPERATOR;
}

/* No link mends a file that is missing or holds something else, nor what a proxy forbids. */
static enum verdict verdict_of_error(const struct verdict_question *question)
{
    bool lasts =
        question->files_unfit || question->error == E_CERTIFICATE || question->error == E_INVALID ||
        (question->error == E_REFUSED && verdict_of_status(question->status) == VERDICT_OPERATOR);
    return lasts ? VERDICT_OPERATOR : VERDICT_RETRY_BATCH;
}

enum verdict verdict_of_request(const struct verdict_question *question)
{
    if (question->error != E_OK)
        return verdict_of_error(question);
    if (question->understood)
        return VERDICT_DELIVERED;
    if (blames_token(question))
        return VERDICT_REFRESH_CREDENTIALS;
    if (question->otherwise)
        return VERDICT_OTHERWISE;
    const struct row *row = find_row(question->code, question->status);
    if (row == NULL)
        return verdict_of_status(question->status);
    if (is_about_identity(row) && (question->skewed || blames_clock(question->message)))
        return VERDICT_FIX_CLOCK;
    /* "Records size exceeds 5 MB limit": the same code as for a record. */
    if (row->verdict == VERDICT_BISECT && strstr(question->message, "size exceeds") != NULL)
        return VERDICT_TOO_LARGE;
    return row->verdict == VERDICT_BISECT && question->whole ? VERDICT_OPERATOR : row->verdict;
}

enum verdict verdict_of_record(const char *code)
{
    const struct row *row = find_row(code, 200);
    bool slower = row != NULL && row->verdict == VERDICT_THROTTLE;
    return slower ? VERDICT_THROTTLE : VERDICT_RETRY_RECORD;
}

static unsigned number_at(const char *text, size_t digits)
{
    unsigned number = 0;
    for (size_t i = 0; i < digits; i++)
        number = number * 10 + (unsigned)(text[i] - '0');
    return number;
}

/* "(YYYYMMDDTHHMMSSZ", a digit for each d of FORM. */
static bool has_form(const char *text, const char *form)
{
    for (; *form != '\0'; form++, text++)
        if (*form == 'd' ? *text < '0' || *text > '9' : *text != *form)
            return false;
    return true;
}

bool verdict_server_time(const char *message, int64_t *ret_wall_ms)
{
    const char *at = strchr(message, '(');
    while (at != NULL && !has_form(at, "(ddddddddTddddddZ"))
        at = strchr(at + 1, '(');
    if (at == NULL)
        return false;
    unsigned month = number_at(at + 5, 2), day = number_at(at + 7, 2);
    unsigned hour = number_at(at + 10, 2), minute = number_at(at + 12, 2);
    if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59)
        return false;
    int64_t days = parse_days_from_civil(number_at(at + 1, 4), month, day);
    *ret_wall_ms = (((days * 24 + hour) * 60 + minute) * 60 + number_at(at + 14, 2)) * 1000;
    return true;
}

const char *verdict_remedy(const struct verdict_question *question)
{
    if (question->files_unfit)
        return "put the file there or correct ca_file, cert_file, key_file or AWS_CA_BUNDLE";
    if (question->error == E_CERTIFICATE)
        return "check ca_file, the host name and this device's clock";
    if (question->error != E_OK)
        return NULL;
    if (verdict_of_request(question) == VERDICT_FIX_CLOCK)
        return CLOCK;
    const struct row *row = find_row(question->code, question->status);
    if (row != NULL)
        return row->remedy;
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++)
        if (statuses[i].status == question->status)
            return statuses[i].remedy;
    return verdict_of_status(question->status) == VERDICT_OPERATOR ? ADDRESS : NULL;
}

void verdict_explain(const struct verdict_question *question, const char *host, const char *fault,
                     const char *remedy, char *ret_text, size_t text_bytes)
{
    const char *before = remedy != NULL ? "; " : "";
    if (remedy == NULL)
        remedy = "";
    if (question->error != E_OK)
        (void)snprintf(ret_text, text_bytes, "%s%s%s",
                       fault[0] != '\0' ? fault : ERROR_TEXT(question->error), before, remedy);
    else
        (void)snprintf(ret_text, text_bytes, "%s answered %d %s (%s)%s%s", host, question->status,
                       question->code[0] != '\0' ? question->code : "without an error code",
                       question->message[0] != '\0' ? question->message : "no message", before,
                       remedy);
}
