/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/identity.h"

#include <stdio.h>
#include <string.h>

#include <mbedtls/ecp.h>
#include <mbedtls/pk.h>
#include <mbedtls/x509_crt.h>
#include <mbedtls/x509_csr.h>

#include "platform/base/error.h"
#include "platform/mbedtls/blinding.h"

static int fault(int rc)
{
    if (rc == MBEDTLS_ERR_PK_ALLOC_FAILED || rc == MBEDTLS_ERR_X509_ALLOC_FAILED ||
        rc == MBEDTLS_ERR_ECP_ALLOC_FAILED)
        return E_NO_MEMORY;
    return error_tls(rc);
}

/* ---- keys ---- */

static int generate(mbedtls_pk_context *key)
{
    int rc = mbedtls_pk_setup(key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY));
    if (rc < 0)
        return rc;
    return mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(*key), draw_random, NULL);
}

int identity_make_key(char ret_pem[IDENTITY_KEY_BYTES])
{
    mbedtls_pk_context key;
    mbedtls_pk_init(&key);
    int rc = generate(&key);
    if (rc == 0)
        rc = mbedtls_pk_write_key_pem(&key, (unsigned char *)ret_pem, IDENTITY_KEY_BYTES);
    mbedtls_pk_free(&key); /* which wipes it */
    return rc < 0 ? fault(rc) : (int)strlen(ret_pem);
}

static int read_key(mbedtls_pk_context *key, const char *pem, size_t count)
{
    return mbedtls_pk_parse_key(key, (const unsigned char *)pem, count + 1, NULL, 0 BLINDING);
}

/* ---- requests ---- */

/* What the versions of mbedTLS agree upon: 2.28 knows no escapes but that of a comma. */
static bool is_plain(const char *text, const char *special)
{
    for (; *text != '\0'; text++)
        if (*text < ' ' || *text > '~' || strchr(special, *text) != NULL)
            return false;
    return true;
}

int identity_check_subject(const char *subject)
{
    mbedtls_x509write_csr request;
    mbedtls_x509write_csr_init(&request);
    int rc = is_plain(subject, "\\\"+;<>#") && strlen(subject) < IDENTITY_SUBJECT_BYTES
                 ? mbedtls_x509write_csr_set_subject_name(&request, subject)
                 : E_SYNTAX;
    mbedtls_x509write_csr_free(&request);
    return rc < 0 || strchr(subject, '=') == NULL ? E_SYNTAX : 0;
}

int identity_name_subject(const char *name, char ret_subject[IDENTITY_SUBJECT_BYTES])
{
    if (strlen(name) > IDENTITY_NAME_BYTES_MAX)
        return E_TOO_BIG;
    if (name[0] == '\0' || name[0] == ' ' || !is_plain(name, ",=\\\"+;<>#"))
        return E_SYNTAX;
    (void)snprintf(ret_subject, IDENTITY_SUBJECT_BYTES, "CN=%s", name);
    return 0;
}

static int write_request(mbedtls_x509write_csr *request, mbedtls_pk_context *key,
                         const char *subject, char ret_pem[IDENTITY_REQUEST_BYTES])
{
    mbedtls_x509write_csr_set_key(request, key);
    mbedtls_x509write_csr_set_md_alg(request, MBEDTLS_MD_SHA256);
    int rc = mbedtls_x509write_csr_set_subject_name(request, subject);
    if (rc == 0)
        rc = mbedtls_x509write_csr_pem(request, (unsigned char *)ret_pem, IDENTITY_REQUEST_BYTES,
                                       draw_random, NULL);
    return rc < 0 ? fault(rc) : (int)strlen(ret_pem);
}

int identity_write_request(const char *key_pem, size_t key_count, const char *subject,
                           char ret_pem[IDENTITY_REQUEST_BYTES])
{
    mbedtls_x509write_csr request;
    mbedtls_pk_context key;
    int rc = identity_check_subject(subject);
    if (rc < 0)
        return rc;
    mbedtls_x509write_csr_init(&request);
    mbedtls_pk_init(&key);
    rc = read_key(&key, key_pem, key_count);
    rc = rc < 0 ? fault(rc) : write_request(&request, &key, subject, ret_pem);
    mbedtls_pk_free(&key);
    mbedtls_x509write_csr_free(&request);
    return rc;
}

/* ---- pairs ---- */

int identity_check_pair(const char *cert_pem, size_t cert_count, const char *key_pem,
                        size_t key_count)
{
    mbedtls_x509_crt certificate;
    mbedtls_pk_context key;
    mbedtls_x509_crt_init(&certificate);
    mbedtls_pk_init(&key);
    int rc = mbedtls_x509_crt_parse(&certificate, (const unsigned char *)cert_pem, cert_count + 1);
    rc = rc < 0 ? fault(rc) : 0;
    if (rc == 0) {
        rc = read_key(&key, key_pem, key_count);
        rc = rc < 0 ? fault(rc) : 0;
    }
    if (rc == 0 && mbedtls_pk_check_pair(&certificate.pk, &key BLINDING) < 0)
        rc = E_NOT_FOUND;
    mbedtls_pk_free(&key);
    mbedtls_x509_crt_free(&certificate);
    return rc;
}
