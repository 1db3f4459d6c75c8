/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/mbedtls/certificate_describe.h"

#include <stdlib.h>
#include <string.h>

#include <mbedtls/oid.h>
#include <mbedtls/pk.h>
#include <mbedtls/x509_crt.h>

#include "platform/base/bytes.h"
#include "platform/base/error.h"
#include "platform/base/parse.h"
#include "platform/fs.h"
#include "platform/hash.h"

enum { DAY_MS = 24 * 3600 * 1000 };

static int64_t time_ms(const mbedtls_x509_time *time)
{
    int64_t days = parse_days_from_civil(time->year, (unsigned)time->mon, (unsigned)time->day);
    return days * DAY_MS + ((time->hour * 60 + time->min) * 60 + time->sec) * 1000;
}

/* mbedTLS writes what fits and terminates it, or says that it does not fit. */
static void write_name(char text[CERTIFICATE_NAME_BYTES], const mbedtls_x509_name *name)
{
    text[0] = '\0';
    if (mbedtls_x509_dn_gets(text, CERTIFICATE_NAME_BYTES, name) < 0 && text[0] == '\0')
        (void)strcpy(text, "(too long)");
    for (char *at = text; *at != '\0'; at++)
        if (*at < ' ' || *at > '~')
            *at = '?';
}

/* Every key on a named curve carries its name. */
static bool is_on_p256(const mbedtls_x509_crt *certificate)
{
    static const char p256[] = MBEDTLS_OID_EC_GRP_SECP256R1;
    return mbedtls_pk_can_do(&certificate->pk, MBEDTLS_PK_ECDSA) &&
           memmem(certificate->pk_raw.p, certificate->pk_raw.len, p256, sizeof p256 - 1) != NULL;
}

void certificate_describe(const mbedtls_x509_crt *chain, struct certificate *ret_certificate)
{
    uint8_t digest[HASH_SHA256_BYTES];
    struct certificate certificate = {.not_before_ms = time_ms(&chain->valid_from),
                                      .not_after_ms = time_ms(&chain->valid_to),
                                      .p256 = is_on_p256(chain)};
    write_name(certificate.subject, &chain->subject);
    write_name(certificate.issuer, &chain->issuer);
    (void)mbedtls_x509_serial_gets(certificate.serial, sizeof certificate.serial, &chain->serial);
    hash_sha256(chain->raw.p, chain->raw.len, digest);
    bytes_put_hex(certificate.fingerprint, digest, sizeof digest);
    for (; chain != NULL; chain = chain->next)
        certificate.count++;
    *ret_certificate = certificate;
}

int certificate_read(const char *pem, size_t count, struct certificate *ret_certificate)
{
    mbedtls_x509_crt chain;
    mbedtls_x509_crt_init(&chain);
    /* It counts those that it could not read. */
    int rc = mbedtls_x509_crt_parse(&chain, (const unsigned char *)pem, count + 1);
    if (rc >= 0)
        certificate_describe(&chain, ret_certificate);
    mbedtls_x509_crt_free(&chain);
    if (rc >= 0)
        return 0;
    return rc == MBEDTLS_ERR_X509_ALLOC_FAILED ? E_NO_MEMORY : error_tls(rc);
}

int64_t certificate_days(int64_t not_after_ms, int64_t now_ms)
{
    int64_t ms = not_after_ms - now_ms;
    return ms >= 0 ? ms / DAY_MS : -((-ms + DAY_MS - 1) / DAY_MS);
}

int certificate_read_file(const char *path, struct certificate *ret_certificate)
{
    char *text = malloc(CERTIFICATE_FILE_BYTES_MAX);
    if (text == NULL)
        return E_NO_MEMORY;
    int rc = fs_read_file(path, text, CERTIFICATE_FILE_BYTES_MAX);
    if (rc >= 0)
        rc = certificate_read(text, (size_t)rc, ret_certificate);
    free(text);
    return rc;
}
