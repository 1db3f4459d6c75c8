/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sink/signature.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <mbedtls/md.h>

enum { DIGEST_BYTES = 32, HEX_BYTES = 2 * DIGEST_BYTES + 1, STAMP_BYTES = 17, WINDOW_S = 300 };

/* The parts of the Authorization header, cut out of a copy. */
struct authorization {
    char *text;
    char *access_key;
    char *date;
    char *region;
    char *service;
    char *terminator;
    char *signed_headers;
    char *signature;
};

int signature_refuse(struct refusal *refusal, int status, const char *code, const char *format, ...)
{
    char message[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    refusal->status = status;
    snprintf(refusal->code, sizeof refusal->code, "%s", code);
    buffer_clear(&refusal->message);
    buffer_text(&refusal->message, message);
    return -1;
}

static void hex(char *to, const unsigned char *digest)
{
    for (int i = 0; i < DIGEST_BYTES; i++)
        snprintf(to + 2 * i, 3, "%02x", (unsigned)digest[i]);
}

static void sha256_hex(const struct buffer *bytes, char ret_hex[HEX_BYTES])
{
    unsigned char digest[DIGEST_BYTES];
    const mbedtls_md_info_t *sha256 = mbedtls_md_info_from_type(MBEDTLS_MD_SHA256);
    mbedtls_md(sha256, (const unsigned char *)bytes->bytes, bytes->used_bytes, digest);
    hex(ret_hex, digest);
}

static void hmac(const unsigned char *key, size_t key_bytes, const char *text, unsigned char *to)
{
    const mbedtls_md_info_t *sha256 = mbedtls_md_info_from_type(MBEDTLS_MD_SHA256);
    mbedtls_md_hmac(sha256, key, key_bytes, (const unsigned char *)text, strlen(text), to);
}

static void sign(const char *secret_key, const struct authorization *scope, const char *text,
                 char ret_hex[HEX_BYTES])
{
    unsigned char key[DIGEST_BYTES];
    struct buffer secret = {0};
    buffer_format(&secret, "AWS4%s", secret_key);
    hmac((const unsigned char *)secret.bytes, secret.used_bytes, scope->date, key);
    hmac(key, sizeof key, scope->region, key);
    hmac(key, sizeof key, scope->service, key);
    hmac(key, sizeof key, scope->terminator, key);
    hmac(key, sizeof key, text, key);
    hex(ret_hex, key);
    buffer_free(&secret);
}

/* "NAME=value" among comma-separated parts; cuts the value out in place. */
static char *parameter(char *text, const char *name)
{
    size_t count = strlen(name);
    for (char *at = text; at != NULL; at = strchr(at, ',')) {
        at += strspn(at, ", ");
        if (strncmp(at, name, count) == 0 && at[count] == '=')
            return at + count + 1;
    }
    return NULL;
}

static void cut(char *value)
{
    value[strcspn(value, ", ")] = '\0';
}

static int parse_scope(struct authorization *authorization, char *credential)
{
    char **parts[] = {&authorization->access_key, &authorization->date, &authorization->region,
                      &authorization->service, &authorization->terminator};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        *parts[i] = credential;
        char *slash = strchr(credential, '/');
        if ((slash == NULL) != (i == 4))
            return -1;
        if (slash != NULL) {
            *slash = '\0';
            credential = slash + 1;
        }
    }
    return strcmp(authorization->terminator, "aws4_request") == 0 ? 0 : -1;
}

static int parse_authorization(struct authorization *authorization, const char *header,
                               struct refusal *refusal)
{
    static const char scheme[] = "AWS4-HMAC-SHA256 ";
    if (header == NULL)
        return signature_refuse(refusal, 400, "MissingAuthenticationTokenException",
                                "Missing Authentication Token");
    if (strncmp(header, scheme, sizeof scheme - 1) != 0)
        return signature_refuse(refusal, 400, "IncompleteSignatureException",
                                "Unsupported AWS 'algorithm' in the Authorization header.");
    authorization->text = strdup(header + sizeof scheme - 1);
    if (authorization->text == NULL)
        return signature_refuse(refusal, 500, "InternalFailure", "out of memory");

    char *credential = parameter(authorization->text, "Credential");
    authorization->signed_headers = parameter(authorization->text, "SignedHeaders");
    authorization->signature = parameter(authorization->text, "Signature");
    if (credential == NULL || authorization->signed_headers == NULL ||
        authorization->signature == NULL)
        return signature_refuse(refusal, 400, "IncompleteSignatureException",
                                "Authorization header requires 'Credential' parameter. "
                                "Authorization header requires 'Signature' parameter. "
                                "Authorization header requires 'SignedHeaders' parameter.");
    cut(credential);
    cut(authorization->signed_headers);
    cut(authorization->signature);
    if (parse_scope(authorization, credential) != 0)
        return signature_refuse(refusal, 400, "IncompleteSignatureException",
                                "Credential must have exactly 5 slash-delimited elements, "
                                "e.g. keyid/date/region/service/term.");
    return 0;
}

static int is_signed(const struct authorization *authorization, const char *name)
{
    size_t count = strlen(name);
    const char *at = authorization->signed_headers;
    for (;;) {
        size_t length = strcspn(at, ";");
        if (length == count && strncasecmp(at, name, count) == 0)
            return 1;
        if (at[length] == '\0')
            return 0;
        at += length + 1;
    }
}

static int check_signed_headers(const struct http_request *request,
                                const struct authorization *authorization, struct refusal *refusal)
{
    for (size_t i = 0; i < request->header_count; i++) {
        const char *name = request->headers[i].name;
        int required = strcasecmp(name, "host") == 0 || strncasecmp(name, "x-amz-", 6) == 0;
        if (required && !is_signed(authorization, name))
            return signature_refuse(refusal, 400, "InvalidSignatureException",
                                    "'%s' must be a 'SignedHeader' in the AWS Authorization.",
                                    name);
    }
    return 0;
}

static void stamp(char to[STAMP_BYTES], long long seconds)
{
    time_t time = (time_t)seconds;
    struct tm parts;
    gmtime_r(&time, &parts);
    strftime(to, STAMP_BYTES, "%Y%m%dT%H%M%SZ", &parts);
}

static int parse_stamp(const char *text, long long *ret_seconds)
{
    struct tm parts = {0};
    const char *end = strptime(text, "%Y%m%dT%H%M%SZ", &parts);
    if (strlen(text) != STAMP_BYTES - 1 || end == NULL || *end != '\0')
        return -1;
    *ret_seconds = timegm(&parts);
    return 0;
}

static int check_date(const char *date, const struct authorization *authorization, long long now_ms,
                      struct refusal *refusal)
{
    long long seconds;
    if (date == NULL || parse_stamp(date, &seconds) != 0)
        return signature_refuse(refusal, 400, "IncompleteSignatureException",
                                "Authorization header requires existence of either a "
                                "'X-Amz-Date' or a 'Date' header.");
    if (strncmp(date, authorization->date, 8) != 0 || strlen(authorization->date) != 8)
        return signature_refuse(refusal, 400, "InvalidSignatureException",
                                "Date in Credential scope does not match YYYYMMDD from ISO-8601 "
                                "version of date from HTTP: '%s' != '%.8s', from '%s'.",
                                authorization->date, date, date);
    long long now = now_ms / 1000;
    char now_text[STAMP_BYTES], limit[STAMP_BYTES];
    stamp(now_text, now);
    if (seconds < now - WINDOW_S) {
        stamp(limit, now - WINDOW_S);
        return signature_refuse(refusal, 400, "InvalidSignatureException",
                                "Signature expired: %s is now earlier than %s (%s - 5 min.)", date,
                                limit, now_text);
    }
    if (seconds > now + WINDOW_S) {
        stamp(limit, now + WINDOW_S);
        return signature_refuse(refusal, 400, "InvalidSignatureException",
                                "Signature not yet current: %s is still later than %s "
                                "(%s + 5 min.)",
                                date, limit, now_text);
    }
    return 0;
}

static int check_credential(const struct authorization *authorization,
                            const struct signature_policy *policy, const char *token,
                            struct key *ret_key, struct refusal *refusal)
{
    if (keys_find(policy->keys, authorization->access_key, ret_key) != 0 ||
        strcmp(token == NULL ? "" : token, ret_key->token) != 0)
        return signature_refuse(refusal, 400, "UnrecognizedClientException",
                                "The security token included in the request is invalid.");
    if (ret_key->expired)
        return signature_refuse(refusal, 400, "ExpiredTokenException",
                                "The security token included in the request is expired");
    if (strcmp(authorization->region, policy->region) != 0)
        return signature_refuse(refusal, 400, "InvalidSignatureException",
                                "Credential should be scoped to a valid region, not '%s'. ",
                                authorization->region);
    if (strcmp(authorization->service, policy->service) != 0)
        return signature_refuse(refusal, 400, "InvalidSignatureException",
                                "Credential should be scoped to correct service: '%s'. ",
                                policy->service);
    return 0;
}

/* Ends trimmed (http_read did that), runs of blanks become one. */
static void add_value(struct buffer *text, const char *value)
{
    for (; *value != '\0'; value++) {
        int is_blank = *value == ' ' || *value == '\t';
        if (!is_blank)
            buffer_add(text, value, 1);
        else if (value[1] != ' ' && value[1] != '\t')
            buffer_text(text, " ");
    }
}

static void add_header(struct buffer *text, const struct http_request *request, const char *name,
                       size_t name_bytes)
{
    const char *separator = "";
    buffer_add(text, name, name_bytes);
    buffer_text(text, ":");
    for (size_t i = 0; i < request->header_count; i++) {
        const struct http_header *header = &request->headers[i];
        if (strlen(header->name) != name_bytes || strncasecmp(header->name, name, name_bytes) != 0)
            continue;
        buffer_text(text, separator);
        add_value(text, header->value);
        separator = ",";
    }
    buffer_text(text, "\n");
}

/* The target is "/", so that path and query are "/" and nothing. */
static void canonical_request(struct buffer *text, const struct http_request *request,
                              const struct authorization *authorization)
{
    buffer_format(text, "%s\n/\n\n", request->method);
    const char *name = authorization->signed_headers;
    for (;;) {
        size_t count = strcspn(name, ";");
        add_header(text, request, name, count);
        if (name[count] == '\0')
            break;
        name += count + 1;
    }
    char digest[HEX_BYTES];
    sha256_hex(&request->body, digest);
    buffer_format(text, "\n%s\n%s", authorization->signed_headers, digest);
}

static int check_signature(const struct http_request *request, const char *secret_key,
                           const struct authorization *authorization, struct refusal *refusal)
{
    struct buffer canonical = {0}, text = {0};
    char digest[HEX_BYTES], expected[HEX_BYTES];
    canonical_request(&canonical, request, authorization);
    sha256_hex(&canonical, digest);
    buffer_format(&text, "AWS4-HMAC-SHA256\n%s\n%s/%s/%s/%s\n%s",
                  http_header(request, "X-Amz-Date"), authorization->date, authorization->region,
                  authorization->service, authorization->terminator, digest);
    sign(secret_key, authorization, text.bytes, expected);
    int error = 0;
    if (strcmp(expected, authorization->signature) != 0) {
        error = signature_refuse(
            refusal, 400, "InvalidSignatureException",
            "The request signature we calculated does not match the signature you provided. "
            "Check your AWS Secret Access Key and signing method. Consult the service "
            "documentation for details.");
        buffer_format(&refusal->message,
                      "\n\nThe Canonical String for this request should have been\n'%s'\n\n"
                      "The String-to-Sign should have been\n'%s'\n",
                      canonical.bytes, text.bytes);
    }
    buffer_free(&canonical);
    buffer_free(&text);
    return error;
}

int signature_check(const struct http_request *request, const struct signature_policy *policy,
                    long long now_ms, struct refusal *refusal)
{
    struct authorization authorization = {0};
    struct key key;
    int error = parse_authorization(&authorization, http_header(request, "Authorization"), refusal);
    if (error == 0)
        error = check_signed_headers(request, &authorization, refusal);
    if (error == 0)
        error = check_credential(&authorization, policy,
                                 http_header(request, "X-Amz-Security-Token"), &key, refusal);
    if (error == 0)
        error = check_date(http_header(request, "X-Amz-Date"), &authorization, now_ms, refusal);
    if (error == 0)
        error = check_signature(request, key.secret, &authorization, refusal);
    if (error == 0)
        keys_count(policy->keys, key.id);
    free(authorization.text);
    return error;
}
