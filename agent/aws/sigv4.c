/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/aws/sigv4.h"

#include <string.h>
#include <strings.h>

#include "platform/base/bytes.h"
#include "platform/base/error.h"
#include "platform/base/parse.h"

enum {
    DAY_BYTES = 8,
    SECRET_BYTES = 256,
    STRING_TO_SIGN_BYTES = 256,
    HASH_PIECE_BYTES = 256,
    MS_PER_DAY = 24 * 60 * 60 * 1000,
};

static const char algorithm[] = "AWS4-HMAC-SHA256";
static const int64_t last_wall_ms = INT64_C(253402300799999); /* 9999-12-31T23:59:59.999Z */

struct parameter {
    const char *key;
    const char *value;
    size_t key_bytes;
    size_t value_bytes;
};

/* A request's headers and query parameters in the order in which they are signed. */
struct canonical {
    const struct sigv4_header *headers[SIGV4_HEADERS_MAX];
    size_t header_count;
    struct parameter parameters[SIGV4_HEADERS_MAX];
    size_t parameter_count;
};

/* The spelling that is signed of a piece of a query: percent-decoded, then encoded again, one
 * character at a time, so that neither comparing nor writing it needs a buffer. */
struct spelling {
    const char *at;
    const char *end;
    uint8_t byte;
    unsigned digits_left;
};

static bool is_unreserved(uint8_t byte)
{
    return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
           (byte >= '0' && byte <= '9') || byte == '-' || byte == '.' || byte == '_' || byte == '~';
}

static char hex_digit(unsigned value)
{
    return "0123456789ABCDEF"[value & 15];
}

static uint8_t take_decoded(struct spelling *spelling)
{
    const char *at = spelling->at++;
    if (*at != '%' || spelling->end - at < 3)
        return (uint8_t)*at;
    int high = bytes_hex_digit(at[1]);
    int low = bytes_hex_digit(at[2]);
    if (high < 0 || low < 0)
        return (uint8_t)*at;
    spelling->at = at + 3;
    return (uint8_t)(high << 4 | low);
}

/* The next character, or -1 behind the last. */
static int next_character(struct spelling *spelling)
{
    if (spelling->digits_left > 0)
        return hex_digit((unsigned)spelling->byte >> (4 * --spelling->digits_left));
    if (spelling->at == spelling->end)
        return -1;
    spelling->byte = take_decoded(spelling);
    if (is_unreserved(spelling->byte))
        return spelling->byte;
    spelling->digits_left = 2;
    return '%';
}

static struct spelling spell(const char *text, size_t count)
{
    return (struct spelling){.at = text, .end = text + count};
}

static int compare_spelt(struct spelling a, struct spelling b)
{
    for (;;) {
        int left = next_character(&a);
        int right = next_character(&b);
        if (left != right || left < 0)
            return left - right;
    }
}

static int compare_parameters(const struct parameter *a, const struct parameter *b)
{
    int order = compare_spelt(spell(a->key, a->key_bytes), spell(b->key, b->key_bytes));
    if (order != 0)
        return order;
    return compare_spelt(spell(a->value, a->value_bytes), spell(b->value, b->value_bytes));
}

static struct parameter split_parameter(const char *text, size_t count)
{
    const char *equals = memchr(text, '=', count);
    if (equals == NULL)
        return (struct parameter){text, text, count, 0};
    size_t key_bytes = (size_t)(equals - text);
    return (struct parameter){text, equals + 1, key_bytes, count - key_bytes - 1};
}

static int add_parameter(struct canonical *canonical, struct parameter added)
{
    size_t place = canonical->parameter_count;
    if (place == SIGV4_HEADERS_MAX)
        return E_TOO_BIG;
    for (; place > 0; place--) {
        if (compare_parameters(&canonical->parameters[place - 1], &added) <= 0)
            break;
        canonical->parameters[place] = canonical->parameters[place - 1];
    }
    canonical->parameters[place] = added;
    canonical->parameter_count++;
    return 0;
}

static int sort_query(struct canonical *canonical, const char *query)
{
    canonical->parameter_count = 0;
    while (*query != '\0') {
        size_t count = strcspn(query, "&");
        if (count > 0) {
            int rc = add_parameter(canonical, split_parameter(query, count));
            if (rc < 0)
                return rc;
        }
        query += count;
        if (*query == '&')
            query++;
    }
    return 0;
}

/* Headers of one name keep the order in which they are sent. */
static int sort_headers(struct canonical *canonical, const struct sigv4_request *request)
{
    if (request->header_count > SIGV4_HEADERS_MAX)
        return E_TOO_BIG;
    for (size_t i = 0; i < request->header_count; i++) {
        const struct sigv4_header *header = &request->headers[i];
        size_t place = i;
        for (; place > 0; place--) {
            if (strcasecmp(canonical->headers[place - 1]->name, header->name) <= 0)
                break;
            canonical->headers[place] = canonical->headers[place - 1];
        }
        canonical->headers[place] = header;
    }
    canonical->header_count = request->header_count;
    return 0;
}

static int sort_request(struct canonical *canonical, const struct sigv4_request *request)
{
    int rc = sort_headers(canonical, request);
    return rc < 0 ? rc : sort_query(canonical, request->query);
}

static void put_encoded(struct writer *out, const char *text, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint8_t byte = (uint8_t)text[i];
        if (is_unreserved(byte)) {
            writer_char(out, text[i]);
            continue;
        }
        writer_char(out, '%');
        writer_char(out, hex_digit(byte >> 4));
        writer_char(out, hex_digit(byte));
    }
}

static bool is_pointless(const char *segment, size_t count)
{
    return count == 0 || (count == 1 && segment[0] == '.');
}

static bool is_parent(const char *segment, size_t count)
{
    return count == 2 && segment[0] == '.' && segment[1] == '.';
}

/* Whether a ".." in REST takes back the segment that stands before it. */
static bool is_taken_back(const char *rest)
{
    size_t depth = 0;
    while (*rest != '\0') {
        size_t count = strcspn(rest, "/");
        if (is_parent(rest, count)) {
            if (depth == 0)
                return true;
            depth--;
        } else if (!is_pointless(rest, count)) {
            depth++;
        }
        rest += count + (rest[count] == '/');
    }
    return false;
}

/* RFC 3986 section 5.2.4, and empty segments go as well; a slash at the end stays. Each byte is
 * encoded although the path may be encoded already: services other than S3 want it twice. */
static void put_normalised_path(struct writer *out, const char *path)
{
    const char *at = path;
    bool any = false;
    while (*at != '\0') {
        size_t count = strcspn(at, "/");
        if (!is_pointless(at, count) && !is_parent(at, count) && !is_taken_back(at + count)) {
            writer_char(out, '/');
            put_encoded(out, at, count);
            any = true;
        }
        at += count + (at[count] == '/');
    }
    if (!any || at[-1] == '/')
        writer_char(out, '/');
}

static void put_spelt(struct writer *out, const char *text, size_t count)
{
    struct spelling spelling = spell(text, count);
    for (int character; (character = next_character(&spelling)) >= 0;)
        writer_char(out, (char)character);
}

static void put_query(struct writer *out, const struct canonical *canonical)
{
    for (size_t i = 0; i < canonical->parameter_count; i++) {
        const struct parameter *parameter = &canonical->parameters[i];
        if (i > 0)
            writer_char(out, '&');
        put_spelt(out, parameter->key, parameter->key_bytes);
        writer_char(out, '=');
        put_spelt(out, parameter->value, parameter->value_bytes);
    }
}

static void put_lower(struct writer *out, const char *text)
{
    for (; *text != '\0'; text++)
        writer_char(out, *text >= 'A' && *text <= 'Z' ? (char)(*text - 'A' + 'a') : *text);
}

/* Trimmed at both ends, with each run of white space (a folded line is one) as one blank. */
static void put_trimmed(struct writer *out, const char *value)
{
    bool begun = false;
    bool gap = false;
    for (; *value != '\0'; value++) {
        if (strchr(" \t\r\n", *value) != NULL) {
            gap = begun;
            continue;
        }
        if (gap)
            writer_char(out, ' ');
        gap = false;
        begun = true;
        writer_char(out, *value);
    }
}

static bool repeats_name(const struct canonical *canonical, size_t i)
{
    return i > 0 && strcasecmp(canonical->headers[i - 1]->name, canonical->headers[i]->name) == 0;
}

static void put_headers(struct writer *out, const struct canonical *canonical)
{
    for (size_t i = 0; i < canonical->header_count; i++) {
        if (repeats_name(canonical, i)) {
            writer_char(out, ',');
        } else {
            if (i > 0)
                writer_char(out, '\n');
            put_lower(out, canonical->headers[i]->name);
            writer_char(out, ':');
        }
        put_trimmed(out, canonical->headers[i]->value);
    }
    if (canonical->header_count > 0)
        writer_char(out, '\n');
}

static void put_signed_headers(struct writer *out, const struct canonical *canonical)
{
    for (size_t i = 0; i < canonical->header_count; i++) {
        if (repeats_name(canonical, i))
            continue;
        if (i > 0)
            writer_char(out, ';');
        put_lower(out, canonical->headers[i]->name);
    }
}

static void put_canonical(struct writer *out, const struct sigv4_request *request,
                          const struct canonical *canonical)
{
    writer_text(out, request->method);
    writer_char(out, '\n');
    if (request->s3_path)
        writer_text(out, request->path);
    else
        put_normalised_path(out, request->path);
    writer_char(out, '\n');
    put_query(out, canonical);
    writer_char(out, '\n');
    put_headers(out, canonical);
    writer_char(out, '\n');
    put_signed_headers(out, canonical);
    writer_char(out, '\n');
    writer_text(out, request->payload_hash);
}

static void put_scope(struct writer *out, const struct sigv4_request *request)
{
    writer_bytes(out, request->date, DAY_BYTES);
    writer_char(out, '/');
    writer_text(out, request->region);
    writer_char(out, '/');
    writer_text(out, request->service);
    writer_text(out, "/aws4_request");
}

static int add_to_hash(void *context, const uint8_t *bytes, size_t count)
{
    hash_sha256_add(context, bytes, count);
    return 0;
}

static void put_string_to_sign(struct writer *out, const struct sigv4_request *request,
                               const struct canonical *canonical)
{
    uint8_t piece[HASH_PIECE_BYTES];
    uint8_t digest[HASH_SHA256_BYTES];
    struct hash_sha256 hash;
    struct writer hashed;

    hash_sha256_start(&hash);
    writer_to_function(&hashed, piece, sizeof piece, add_to_hash, &hash);
    put_canonical(&hashed, request, canonical);
    (void)writer_finish(&hashed); /* hashing cannot fail */
    hash_sha256_finish(&hash, digest);

    writer_text(out, algorithm);
    writer_char(out, '\n');
    writer_text(out, request->date);
    writer_char(out, '\n');
    put_scope(out, request);
    writer_char(out, '\n');
    writer_hex(out, digest, sizeof digest);
}

static bool is_key_current(const struct sigv4_key *key, const struct sigv4_request *request,
                           const uint8_t secret_digest[HASH_SHA256_BYTES])
{
    return key->date[0] != '\0' && memcmp(key->date, request->date, DAY_BYTES) == 0 &&
           strcmp(key->region, request->region) == 0 &&
           strcmp(key->service, request->service) == 0 &&
           memcmp(key->secret_digest, secret_digest, HASH_SHA256_BYTES) == 0;
}

static void chain_hmac(uint8_t key[HASH_SHA256_BYTES], const char *text)
{
    uint8_t next[HASH_SHA256_BYTES];
    hash_hmac_sha256(key, HASH_SHA256_BYTES, text, strlen(text), next);
    memcpy(key, next, sizeof next);
    hash_wipe(next, sizeof next);
}

static void derive_key(struct sigv4_key *key, const char *secret, size_t secret_bytes)
{
    char first[4 + SECRET_BYTES] = "AWS4";
    memcpy(first + 4, secret, secret_bytes);
    hash_hmac_sha256(first, 4 + secret_bytes, key->date, DAY_BYTES, key->key);
    hash_wipe(first, sizeof first);
    chain_hmac(key->key, key->region);
    chain_hmac(key->key, key->service);
    chain_hmac(key->key, "aws4_request");
}

static int renew_key(struct sigv4_key *key, const struct sigv4_request *request, const char *secret)
{
    uint8_t digest[HASH_SHA256_BYTES];
    size_t secret_bytes = strlen(secret);
    size_t region_bytes = strlen(request->region);
    size_t service_bytes = strlen(request->service);
    if (secret_bytes > SECRET_BYTES || region_bytes >= sizeof key->region ||
        service_bytes >= sizeof key->service)
        return E_TOO_BIG;
    hash_sha256(secret, secret_bytes, digest);
    if (is_key_current(key, request, digest))
        return 0;
    memcpy(key->date, request->date, DAY_BYTES);
    key->date[DAY_BYTES] = '\0';
    memcpy(key->region, request->region, region_bytes + 1);
    memcpy(key->service, request->service, service_bytes + 1);
    memcpy(key->secret_digest, digest, sizeof digest);
    derive_key(key, secret, secret_bytes);
    return 0;
}

void sigv4_date(int64_t wall_ms, char ret_date[SIGV4_DATE_BYTES])
{
    int64_t ms = wall_ms < 0 ? 0 : wall_ms > last_wall_ms ? last_wall_ms : wall_ms;
    unsigned second = (unsigned)(ms % MS_PER_DAY / 1000);
    struct writer out;
    unsigned month;
    unsigned day;
    int64_t year;

    parse_civil_from_days(ms / MS_PER_DAY, &year, &month, &day);
    writer_to_memory(&out, ret_date, SIGV4_DATE_BYTES);
    writer_format(&out, "%04d%02u%02uT%02u%02u%02uZ", (int)year, month, day, second / 3600,
                  second / 60 % 60, second % 60);
    (void)writer_finish(&out); /* a year has four digits: it fits */
}

int sigv4_canonical_request(const struct sigv4_request *request, struct writer *out)
{
    struct canonical canonical;
    int rc = sort_request(&canonical, request);
    if (rc < 0)
        return rc;
    put_canonical(out, request, &canonical);
    return 0;
}

int sigv4_string_to_sign(const struct sigv4_request *request, struct writer *out)
{
    struct canonical canonical;
    if (strlen(request->date) != SIGV4_DATE_BYTES - 1)
        return E_INVALID;
    int rc = sort_request(&canonical, request);
    if (rc < 0)
        return rc;
    put_string_to_sign(out, request, &canonical);
    return 0;
}

static void put_authorization(struct writer *out, const struct sigv4_request *request,
                              const struct canonical *canonical, const char *access_key_id,
                              const uint8_t signature[HASH_SHA256_BYTES])
{
    writer_text(out, algorithm);
    writer_text(out, " Credential=");
    writer_text(out, access_key_id);
    writer_char(out, '/');
    put_scope(out, request);
    writer_text(out, ", SignedHeaders=");
    put_signed_headers(out, canonical);
    writer_text(out, ", Signature=");
    writer_hex(out, signature, HASH_SHA256_BYTES);
}

int sigv4_authorization(const struct sigv4_request *request,
                        const struct sigv4_credentials *credentials, struct sigv4_key *key,
                        struct writer *out)
{
    uint8_t text[STRING_TO_SIGN_BYTES];
    uint8_t signature[HASH_SHA256_BYTES];
    struct canonical canonical;
    struct writer to_sign;

    if (strlen(request->date) != SIGV4_DATE_BYTES - 1)
        return E_INVALID;
    int rc = sort_request(&canonical, request);
    if (rc < 0)
        return rc;
    rc = renew_key(key, request, credentials->secret_access_key);
    if (rc < 0)
        return rc;
    writer_to_memory(&to_sign, text, sizeof text);
    put_string_to_sign(&to_sign, request, &canonical);
    rc = writer_finish(&to_sign);
    if (rc < 0)
        return rc;
    hash_hmac_sha256(key->key, sizeof key->key, text, to_sign.used_bytes, signature);
    put_authorization(out, request, &canonical, credentials->access_key_id, signature);
    return 0;
}
