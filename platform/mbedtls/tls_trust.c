/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/mbedtls/tls_trust.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <mbedtls/base64.h>
#include <mbedtls/error.h>

#include "platform/base/error.h"
#include "platform/base/parse.h"
#include "platform/fs.h"

/* Of one certificate; roots have 2 KB at most. */
enum { TEXT_BYTES = 16384, DER_BYTES = 12288, ROOTS_MAX = 16 };

static const char system_bundle[] = "/etc/ssl/certs/ca-certificates.crt";

static const char *const amazon_roots[] = {
#ifdef CONFIG_TLS_AMAZON_ROOTS
#include "platform/mbedtls/amazon_roots.def"
#endif
    NULL};

/* ---- which bundle ---- */

static bool ends_in(const char *host, const char *domain)
{
    size_t host_bytes = strlen(host);
    size_t bytes = strlen(domain);
    return host_bytes > bytes && strcasecmp(host + host_bytes - bytes, domain) == 0;
}

/* Of the partitions that AWS says are certified by these roots, and Cognito; in China others are in
 * use. */
const char *tls_trust_default(const char *host)
{
    static const char *const domains[] = {".amazonaws.com", ".api.aws", ".amazonaws.eu",
                                          ".api.amazonwebservices.eu", ".amazoncognito.com"};
    for (size_t i = 0; i < sizeof domains / sizeof *domains; i++)
        if (amazon_roots[0] != NULL && ends_in(host, domains[i]))
            return NULL;
    return system_bundle;
}

/* ---- errors ---- */

void tls_trust_explain(char where[TLS_WHERE_BYTES], const char *what, int rc)
{
    char text[ERROR_TEXT_BYTES];
#if defined(MBEDTLS_ERROR_C)
    mbedtls_strerror(rc, text, sizeof text);
#else
    (void)error_text(error_tls(rc), text, sizeof text);
#endif
    (void)snprintf(where, TLS_WHERE_BYTES, "%s: %s", what, text);
}

int tls_trust_file_fault(const char *path, int rc, char where[TLS_WHERE_BYTES])
{
    tls_trust_explain(where, path, rc);
    return error_tls(rc);
}

int tls_trust_check_readable(const char *path, char where[TLS_WHERE_BYTES])
{
    char byte;
    int rc = fs_read_file(path, &byte, sizeof byte);
    if (rc >= 0 || rc == E_TOO_BIG)
        return 0;
    (void)snprintf(where, TLS_WHERE_BYTES, "%s: %s", path, ERROR_TEXT(rc));
    return rc;
}

/* ---- the certificates of a bundle, one after the other ---- */

struct walk {
    const mbedtls_x509_crt *chain; /* whose issuers are wanted; NULL: any certificate will do */
    mbedtls_x509_crt *roots;       /* what was wanted goes here */
    bool thorough;                 /* names may be written differently */
    unsigned kept;
    unsigned readable; /* as far as they had to be looked into */
    int last_error;    /* of mbedTLS: why one could not be read */
};

/* As mbedTLS compares names, or more generously: it looks again. */
static bool is_same_name(const mbedtls_x509_name *a, const mbedtls_x509_name *b)
{
    for (; a != NULL && b != NULL; a = a->next, b = b->next) {
        if (a->oid.len != b->oid.len || memcmp(a->oid.p, b->oid.p, a->oid.len) != 0 ||
            a->val.len != b->val.len ||
            strncasecmp((const char *)a->val.p, (const char *)b->val.p, a->val.len) != 0)
            return false;
    }
    return a == NULL && b == NULL;
}

static bool is_wanted(const struct walk *walk, const mbedtls_x509_crt *root)
{
    if (walk->chain == NULL)
        return true;
    for (const mbedtls_x509_crt *one = walk->chain; one != NULL; one = one->next)
        if (is_same_name(&one->issuer, &root->subject))
            return true;
    return false;
}

/* A root has its name in it as the chain writes it (RFC 5280 section 4.1.2.6), nearly always. To
 * take every certificate of a bundle apart would leave the heap 130 KB larger. */
static bool may_be_wanted(const struct walk *walk, const unsigned char *der, size_t bytes)
{
    if (walk->chain == NULL || walk->thorough)
        return true;
    for (const mbedtls_x509_crt *one = walk->chain; one != NULL; one = one->next)
        if (memmem(der, bytes, one->issuer_raw.p, one->issuer_raw.len) != NULL)
            return true;
    return false;
}

/* A bundle may hold certificates of a kind that this mbedTLS does not know: they are passed over,
 * and a chain that needs one will not verify. */
static int take_der(struct walk *walk, const unsigned char *der, size_t bytes)
{
    mbedtls_x509_crt one;
    if (!may_be_wanted(walk, der, bytes)) {
        walk->readable++;
        return 0;
    }
    mbedtls_x509_crt_init(&one);
    int rc = mbedtls_x509_crt_parse_der(&one, der, bytes);
    if (rc == 0) {
        walk->readable++;
        if (walk->kept < ROOTS_MAX && is_wanted(walk, &one)) {
            walk->kept++;
            rc = walk->roots == NULL ? 0 : mbedtls_x509_crt_parse_der(walk->roots, der, bytes);
        }
    }
    mbedtls_x509_crt_free(&one);
    if (rc != 0)
        walk->last_error = rc;
    return rc == MBEDTLS_ERR_X509_ALLOC_FAILED ? E_NO_MEMORY : 0;
}

/* TEXT from its first line to the beginning of its last. */
static int take_pem(struct walk *walk, const char *text, unsigned char *der)
{
    const char *from = strchr(text, '\n');
    const char *end = from == NULL ? NULL : strstr(from, "-----END ");
    size_t bytes = 0;
    if (end == NULL)
        return 0;
    int rc = mbedtls_base64_decode(der, DER_BYTES, &bytes, (const unsigned char *)from,
                                   (size_t)(end - from));
    if (rc == 0)
        return take_der(walk, der, bytes);
    walk->last_error = rc;
    return 0;
}

static bool has_enough(const struct walk *walk)
{
    return walk->chain == NULL && walk->kept > 0;
}

static int walk_amazon(struct walk *walk, unsigned char *der)
{
    int rc = 0;
    for (size_t i = 0; amazon_roots[i] != NULL && rc == 0; i++)
        rc = take_pem(walk, amazon_roots[i], der);
    return rc;
}

static bool begins_with(const char *line, const char *text)
{
    return strncmp(line, text, strlen(text)) == 0;
}

/* TEXT gets one certificate after the other; one that does not fit is passed over. */
static int walk_pem(struct walk *walk, FILE *file, char *text, unsigned char *der,
                    unsigned *ret_blocks)
{
    size_t used = 0;
    bool inside = false;
    int rc = 0;
    while (rc == 0 && !has_enough(walk) &&
           fgets(text + used, (int)(TEXT_BYTES - used), file) != NULL) {
        const char *line = text + used;
        inside = inside || begins_with(line, "-----BEGIN CERTIFICATE-----");
        used = inside ? used + strlen(line) : 0;
        bool whole = inside && begins_with(line, "-----END CERTIFICATE-----");
        if (whole)
            rc = take_pem(walk, text, der);
        *ret_blocks += whole;
        if (whole || used >= TEXT_BYTES - 1) {
            inside = false;
            used = 0;
        }
    }
    return rc == 0 && ferror(file) ? error_sys(errno) : rc;
}

static int walk_der(struct walk *walk, FILE *file, unsigned char *der)
{
    rewind(file);
    size_t count = fread(der, 1, DER_BYTES, file);
    return count == 0 || count == DER_BYTES ? 0 : take_der(walk, der, count);
}

static int walk_open_file(struct walk *walk, FILE *file, char *text, unsigned char *der)
{
    unsigned blocks = 0;
    int rc = walk_pem(walk, file, text, der, &blocks);
    return rc == 0 && blocks == 0 ? walk_der(walk, file, der) : rc;
}

static int walk_file(struct walk *walk, const char *path, char *text, unsigned char *der,
                     char where[TLS_WHERE_BYTES])
{
    FILE *file = fopen(path, "re");
    int rc = file == NULL ? error_sys(errno) : walk_open_file(walk, file, text, der);
    if (file != NULL)
        (void)fclose(file);
    if (rc < 0)
        (void)snprintf(where, TLS_WHERE_BYTES, "%s: %s", path, ERROR_TEXT(rc));
    else if (walk->readable == 0)
        rc = tls_trust_file_fault(
            path, walk->last_error != 0 ? walk->last_error : MBEDTLS_ERR_X509_CERT_UNKNOWN_FORMAT,
            where);
    return rc;
}

static int walk_bundle(struct walk *walk, const char *path, char where[TLS_WHERE_BYTES])
{
    char *text = malloc(TEXT_BYTES + DER_BYTES);
    if (text == NULL) {
        (void)snprintf(where, TLS_WHERE_BYTES, "%s", ERROR_TEXT(E_NO_MEMORY));
        return E_NO_MEMORY;
    }
    unsigned char *der = (unsigned char *)text + TEXT_BYTES;
    int rc = path == NULL ? walk_amazon(walk, der) : walk_file(walk, path, text, der, where);
    free(text);
    return rc;
}

static int find_roots(const mbedtls_x509_crt *chain, const char *path, char where[TLS_WHERE_BYTES],
                      mbedtls_x509_crt *roots)
{
    struct walk walk = {.chain = chain, .roots = roots};
    struct walk again = {.chain = chain, .roots = roots, .thorough = true};
    int rc = walk_bundle(&walk, path, where);
    return rc == 0 && walk.kept == 0 ? walk_bundle(&again, path, where) : rc;
}

int tls_trust_check(const char *path, char where[TLS_WHERE_BYTES])
{
    struct walk walk = {0};
    return path == NULL ? 0 : walk_bundle(&walk, path, where);
}

/* ---- the chain ---- */

/* The library's own time stops in 2038 where time_t has 32 bits. */
static int64_t ms_of(const mbedtls_x509_time *time)
{
    int64_t days = parse_days_from_civil(time->year, (unsigned)time->mon, (unsigned)time->day);
    return (((days * 24 + time->hour) * 60 + time->min) * 60 + time->sec) * 1000;
}

struct dates {
    bool known;
    int64_t now_ms;
    int64_t until_ms;
};

/* For each certificate of a chain, the root too: what mbedTLS found by the system's clock gives
 * way to what ours says. The last second is still valid. */
static int judge_dates(void *context, mbedtls_x509_crt *certificate, int depth, uint32_t *flags)
{
    struct dates *dates = context;
    int64_t until_ms = ms_of(&certificate->valid_to) + 1000;
    (void)depth;
    *flags &= ~(uint32_t)(MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE);
    if (until_ms < dates->until_ms)
        dates->until_ms = until_ms;
    if (dates->known && dates->now_ms >= until_ms)
        *flags |= MBEDTLS_X509_BADCERT_EXPIRED;
    if (dates->known && dates->now_ms < ms_of(&certificate->valid_from))
        *flags |= MBEDTLS_X509_BADCERT_FUTURE;
    return 0;
}

static int verify(const struct tls_trust_question *question, mbedtls_x509_crt *chain,
                  mbedtls_x509_crt *roots, char where[TLS_WHERE_BYTES],
                  struct tls_trust_answer *ret_answer)
{
    struct dates dates = {
        .known = question->clock_known, .now_ms = question->wall_ms, .until_ms = INT64_MAX};
    uint32_t flags = UINT32_MAX;
    int rc =
        mbedtls_x509_crt_verify_with_profile(chain, roots, NULL, &mbedtls_x509_crt_profile_default,
                                             question->host, &flags, judge_dates, &dates);
    if (rc != 0 && rc != MBEDTLS_ERR_X509_CERT_VERIFY_FAILED) {
        tls_trust_explain(where, question->host, rc);
        return error_tls(rc);
    }
    if (rc == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED && flags == 0)
        flags = MBEDTLS_X509_BADCERT_OTHER;
    *ret_answer = (struct tls_trust_answer){.flags = flags, .until_ms = dates.until_ms};
    return 0;
}

int tls_trust_judge(const struct tls_trust_question *question, mbedtls_x509_crt *chain,
                    char where[TLS_WHERE_BYTES], struct tls_trust_answer *ret_answer)
{
    mbedtls_x509_crt roots;
    mbedtls_x509_crt_init(&roots);
    int rc = find_roots(chain, question->path, where, &roots);
    if (rc == 0)
        rc = verify(question, chain, &roots, where, ret_answer);
    mbedtls_x509_crt_free(&roots);
    return rc;
}

/* ---- for people ---- */

unsigned tls_trust_objections(uint32_t flags)
{
    static const struct {
        uint32_t flag;
        unsigned objection;
    } known[] = {{MBEDTLS_X509_BADCERT_NOT_TRUSTED, TLS_UNTRUSTED},
                 {MBEDTLS_X509_BADCERT_EXPIRED, TLS_EXPIRED},
                 {MBEDTLS_X509_BADCERT_FUTURE, TLS_FUTURE},
                 {MBEDTLS_X509_BADCERT_CN_MISMATCH, TLS_OTHER_NAME}};
    unsigned objections = 0;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        objections |= (flags & known[i].flag) != 0 ? known[i].objection : 0;
        flags &= ~known[i].flag;
    }
    return flags == 0 ? objections : objections | TLS_OTHERWISE;
}
