/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/uplink/verdict.h"

#include <stddef.h>
#include <string.h>

#include "platform/base/error.h"

struct row {
    const char *code; /* without "Exception", which services add or leave out */
    enum verdict verdict;
    const char *remedy;
};

#define KEYS       "check the access key and that it is active"
#define PERMISSION "allow the action on this resource for this key"
#define KMS_KEY    "check the encryption key of the stream and who may use it"
#define ADDRESS    "check endpoint and region"

static const struct row rows[] = {
    {"ProvisionedThroughputExceeded", VERDICT_THROTTLE, "more shards, or on-demand mode"},
    {"LimitExceeded", VERDICT_THROTTLE, NULL},
    {"Throttling", VERDICT_THROTTLE, NULL},
    {"Throttled", VERDICT_THROTTLE, NULL},
    {"KMSThrottling", VERDICT_THROTTLE, NULL},
    {"RequestThrottled", VERDICT_THROTTLE, NULL},
    {"RequestLimitExceeded", VERDICT_THROTTLE, NULL},
    {"TooManyRequests", VERDICT_THROTTLE, NULL},
    {"BandwidthLimitExceeded", VERDICT_THROTTLE, NULL},
    {"SlowDown", VERDICT_THROTTLE, NULL},

    {"InternalFailure", VERDICT_RETRY_BATCH, NULL},
    {"InternalError", VERDICT_RETRY_BATCH, NULL},
    {"ServiceUnavailable", VERDICT_RETRY_BATCH, NULL},
    {"RequestTimeout", VERDICT_RETRY_BATCH, NULL},
    {"PriorRequestNotComplete", VERDICT_RETRY_BATCH, NULL},

    {"ExpiredToken", VERDICT_REFRESH_CREDENTIALS, "renew the credentials"},
    {"UnrecognizedClient", VERDICT_REFRESH_CREDENTIALS, KEYS},
    {"InvalidAccessKeyId", VERDICT_REFRESH_CREDENTIALS, KEYS},
    {"InvalidClientTokenId", VERDICT_REFRESH_CREDENTIALS, KEYS},
    {"MissingAuthenticationToken", VERDICT_REFRESH_CREDENTIALS, KEYS},
    {"IncompleteSignature", VERDICT_REFRESH_CREDENTIALS, KEYS},

    {"RequestTimeTooSkewed", VERDICT_FIX_CLOCK, "set the clock"},
    {"InvalidSignature", VERDICT_OPERATOR, "check the secret access key and the region"},
    {"SignatureDoesNotMatch", VERDICT_OPERATOR, "check the secret access key and the region"},
    {"AccessDenied", VERDICT_OPERATOR, PERMISSION},
    {"AuthFailure", VERDICT_OPERATOR, KEYS},

    {"ResourceNotFound", VERDICT_OPERATOR, "check the stream's name, region and account"},
    {"ResourceInUse", VERDICT_OPERATOR, "wait until the stream is active"},
    {"KMSAccessDenied", VERDICT_OPERATOR, KMS_KEY},
    {"KMSDisabled", VERDICT_OPERATOR, KMS_KEY},
    {"KMSInvalidState", VERDICT_OPERATOR, KMS_KEY},
    {"KMSNotFound", VERDICT_OPERATOR, KMS_KEY},
    {"KMSOptInRequired", VERDICT_OPERATOR, "subscribe the account to AWS KMS"},

    {"InvalidArgument", VERDICT_BISECT, "one of the records is refused: see the message"},
    {"Validation", VERDICT_BISECT, "one of the records is refused: see the message"},
    {"Serialization", VERDICT_OPERATOR, ADDRESS},
    {"UnknownOperation", VERDICT_OPERATOR, ADDRESS},
};

/* Statuses without a code that we know. */
static const struct {
    int status;
    enum verdict verdict;
    const char *remedy;
} statuses[] = {
    {400, VERDICT_RETRY_BATCH, NULL},
    {401, VERDICT_OPERATOR, KEYS},
    {403, VERDICT_OPERATOR, "check permission, and whether a firewall refuses the request"},
    {404, VERDICT_OPERATOR, ADDRESS},
    {407, VERDICT_OPERATOR, "the proxy wants a user name and password"},
    {408, VERDICT_RETRY_BATCH, NULL},
    {409, VERDICT_RETRY_BATCH, NULL},
    {413, VERDICT_BISECT, "the request is too large for something on the way: lower batch.bytes"},
    {425, VERDICT_RETRY_BATCH, NULL},
    {429, VERDICT_THROTTLE, NULL},
};

static const struct row *find_row(const char *code)
{
    static const char suffix[] = "Exception";
    size_t count = strlen(code);
    size_t suffix_count = sizeof suffix - 1;
    if (count > suffix_count && strcmp(code + count - suffix_count, suffix) == 0)
        count -= suffix_count;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strlen(rows[i].code) == count && memcmp(rows[i].code, code, count) == 0)
            return &rows[i];
    return NULL;
}

/* Some services say in the message only that the signature's time is wrong. */
static bool blames_clock(const char *message)
{
    return strstr(message, "Signature expired") != NULL ||
           strstr(message, "Signature not yet current") != NULL;
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

/* No link mends a file that is missing or holds something else. */
static enum verdict verdict_of_error(const struct verdict_question *question)
{
    bool lasts =
        question->files_unfit || question->error == E_CERTIFICATE || question->error == E_INVALID;
    return lasts ? VERDICT_OPERATOR : VERDICT_RETRY_BATCH;
}

static enum verdict verdict_of_status(int status)
{
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++)
        if (statuses[i].status == status)
            return statuses[i].verdict;
    /* A 2xx that does not answer for the records may come from anything in between. */
    return status < 300 || status >= 500 ? VERDICT_RETRY_BATCH : VERDICT_OPERATOR;
}

enum verdict verdict_of_request(const struct verdict_question *question)
{
    if (question->error != E_OK)
        return verdict_of_error(question);
    if (question->status == 200 && question->understood)
        return VERDICT_DELIVERED;
    const struct row *row = find_row(question->code);
    if (row == NULL)
        return verdict_of_status(question->status);
    if (is_about_identity(row) && (question->skewed || blames_clock(question->message)))
        return VERDICT_FIX_CLOCK;
    return row->verdict;
}

enum verdict verdict_of_record(const char *code)
{
    const struct row *row = find_row(code);
    return row != NULL && row->verdict == VERDICT_THROTTLE ? VERDICT_THROTTLE
                                                           : VERDICT_RETRY_RECORD;
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
        return "set the clock";
    const struct row *row = find_row(question->code);
    if (row != NULL)
        return row->remedy;
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++)
        if (statuses[i].status == question->status)
            return statuses[i].remedy;
    return verdict_of_status(question->status) == VERDICT_OPERATOR ? ADDRESS : NULL;
}
