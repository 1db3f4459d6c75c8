/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_AWS_SIGV4_H
#define RUNNEL_AGENT_AWS_SIGV4_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform/base/writer.h"
#include "platform/hash.h"

/**
 * AWS Signature Version 4 (AWS4-HMAC-SHA256) of a request's headers. Pure: no clock, no
 * allocation; hashing comes from platform/hash.h.
 * Source: IAM User Guide, "Create a signed AWS API request".
 */
enum { SIGV4_DATE_BYTES = 17, SIGV4_HEADERS_MAX = 24 };

struct sigv4_header {
    const char *name; /* any case */
    const char *value;
};

struct sigv4_credentials {
    const char *access_key_id;
    const char *secret_access_key;
};

/** A signing key, good for one day, region and service; kept between requests. Starts as {0}. */
struct sigv4_key {
    char date[9]; /* YYYYMMDD, "" while there is none */
    char region[32];
    char service[32];
    uint8_t secret_digest[HASH_SHA256_BYTES];
    uint8_t key[HASH_SHA256_BYTES];
};

struct sigv4_request {
    const char *method;
    const char *path;  /* as sent on the wire, without the query */
    const char *query; /* as sent, without "?"; "" for none */
    bool s3_path;      /* S3: the path is taken as it is, not normalised, not encoded again */
    const struct sigv4_header *headers; /* those to be signed, host and x-amz-* among them */
    size_t header_count;
    const char *payload_hash; /* hex SHA-256 of the body, or UNSIGNED-PAYLOAD */
    const char *date;         /* YYYYMMDD'T'HHMMSS'Z', the value of X-Amz-Date */
    const char *region;
    const char *service;
};

/** YYYYMMDD'T'HHMMSS'Z' of WALL_MS since 1970 UTC, held within the years 1970 and 9999. */
void sigv4_date(int64_t wall_ms, char ret_date[SIGV4_DATE_BYTES]);

/** The canonical request and the string to sign, as the AWS test suite spells them. The writer's
 *  error tells if they did not fit. E_TOO_BIG: more than SIGV4_HEADERS_MAX headers or parameters;
 *  E_INVALID: the date has another form. */
int sigv4_canonical_request(const struct sigv4_request *request, struct writer *out);
int sigv4_string_to_sign(const struct sigv4_request *request, struct writer *out);

/**
 * Writes the value of the Authorization header. KEY is renewed when date, region, service or
 * secret changed; wipe it (hash_wipe) when it is no longer needed. 0; E_INVALID as above;
 * E_TOO_BIG as above, or because region or service has more than 31 bytes or the secret 256.
 */
int sigv4_authorization(const struct sigv4_request *request,
                        const struct sigv4_credentials *credentials, struct sigv4_key *key,
                        struct writer *out);

#endif
