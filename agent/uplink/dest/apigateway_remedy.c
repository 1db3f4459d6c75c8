/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <string.h>

#include "agent/uplink/dest/apigateway.h"

enum {
    IAM = 1u << DEST_AUTH_IAM,
    API_KEY = 1u << DEST_AUTH_API_KEY,
    OAUTH2 = 1u << DEST_AUTH_OAUTH2,
    BEARER = 1u << DEST_AUTH_BEARER,
    HEADER = 1u << DEST_AUTH_HEADER,
    NONE = 1u << DEST_AUTH_NONE,
    ANY = IAM | API_KEY | OAUTH2 | BEARER | HEADER | NONE,
};

#define NO_PATH "no such path, method or stage: check \"url\""
#define ALLOW_KEYS                                                                                 \
    "allow these keys execute-api:Invoke on this API, in IAM and in its resource policy"
#define DENIED "the API's authorizer or its resource policy denies it: see there"

/* API Gateway Developer Guide, "Gateway response types"; HTTP APIs say no code. The first row that
 * fits is taken. */
static const struct {
    int status;       /* 0: any */
    const char *code; /* without "Exception"; NULL: any */
    const char *word; /* that the message holds; NULL: any */
    unsigned auths;
    const char *remedy;
} rows[] = {
    {403, NULL, "Missing Authentication Token", IAM, NO_PATH},
    {403, NULL, "Missing Authentication Token", ANY,
     NO_PATH "; or the API wants \"auth\": \"iam\""},
    {403, "MissingAuthenticationToken", NULL, ANY, NO_PATH},
    {403, NULL, "scoped to a valid region", IAM, "correct \"region\", for which it is signed"},
    {403, NULL, "not a valid key=value pair", OAUTH2 | BEARER | HEADER,
     NO_PATH "; or the API wants \"auth\": \"iam\""},
    {403, "InvalidSignature", NULL, IAM,
     "check the secret access key, \"region\", and with a private API \"host\""},
    {403, "IncompleteSignature", NULL, OAUTH2 | BEARER | HEADER,
     NO_PATH "; or the API wants \"auth\": \"iam\""},
    {403, "AccessDenied", NULL, IAM, ALLOW_KEYS},
    {403, "AccessDenied", NULL, ANY, DENIED},

    {403, NULL, "is not authorized to", IAM, ALLOW_KEYS},
    {403, NULL, "is not authorized to", ANY, DENIED},

    {401, NULL, NULL, IAM, "the API wants a token, not a signature: check \"auth\""},
    {401, NULL, NULL, API_KEY, "the API wants a token, not an API key: check \"auth\""},
    {401, NULL, NULL, OAUTH2,
     "check \"scope\", and that the API's authorizer trusts the issuer of \"token_url\""},
    {401, NULL, NULL, BEARER,
     "the token in \"token_file\" is refused or has expired: who writes it has stopped?"},
    {401, NULL, NULL, HEADER, "check \"header\", and the value in \"header_value_file\""},
    {401, NULL, NULL, NONE, "the API wants authorization: set \"auth\""},

    {403, NULL, "Forbidden", API_KEY,
     "check the API key in \"api_key_file\", that its usage plan has this stage, \"url\", and "
     "whether a firewall refuses bodies of this size: batch.bytes"},
    {403, NULL, "Forbidden", OAUTH2 | BEARER,
     "check \"scope\", \"url\", and whether the API wants an API key or a firewall refuses bodies "
     "of this size: batch.bytes"},
    {403, NULL, "Forbidden", ANY,
     "check \"url\", and whether the API wants an API key (\"auth\": \"api-key\"), a client "
     "certificate, or a firewall refuses bodies of this size: batch.bytes"},

    {400, NULL, "Invalid request body", ANY,
     "the API's model refuses it: choose the \"body\" that \"url\" takes, or correct the model"},
    {404, NULL, NULL, ANY, NO_PATH},
    {410, NULL, NULL, ANY, NO_PATH},
    {405, NULL, NULL, ANY, "nothing there takes POST: check \"url\""},
    {415, NULL, NULL, ANY, "let the API take this content type, or choose another \"body\""},
    {429, NULL, "Too Many Requests", ANY,
     "raise the throttling of the API's stage, method or usage plan, or send fewer and larger "
     "requests: batch, age"},
};

static bool has_code(const char *code, const char *wanted)
{
    size_t count = strlen(wanted);
    return strncmp(code, wanted, count) == 0 &&
           (code[count] == '\0' || strcmp(code + count, "Exception") == 0);
}

const char *apigateway_remedy(enum dest_auth auth, int status, const char *code,
                              const char *message)
{
    if (status >= 300 && status < 400)
        return "redirects are not followed: correct \"url\", or let who stands between pass it";
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if ((rows[i].status == 0 || rows[i].status == status) &&
            (rows[i].auths & 1u << auth) != 0 &&
            (rows[i].code == NULL || has_code(code, rows[i].code)) &&
            (rows[i].word == NULL || strstr(message, rows[i].word) != NULL))
            return rows[i].remedy;
    return NULL;
}
