/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sink/certificate.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/ecp.h>
#include <mbedtls/entropy.h>
#include <mbedtls/md.h>
#include <mbedtls/oid.h>
#include <mbedtls/pk.h>
#include <mbedtls/version.h>
#include <mbedtls/x509.h>
#include <mbedtls/x509_crt.h>

static const char ca_name[] = "CN=runnel-sink test authority,O=runnel";
static const char server_name[] = "CN=localhost,O=runnel";

/* GeneralNames (RFC 5280 section 4.2.1.6) in DER: mbedTLS 2.28 has no writer for them. */
static const unsigned char alternative_names[] = {
    0x30, 0x2e, 0x82, 9,    'l', 'o', 'c', 'a', 'l', 'h', 'o', 's', 't', 0x87, 4,    127,
    0,    0,    1,    0x82, 9,   's', 'i', 'n', 'k', '.', 't', 'e', 's', 't',  0x87, 16,
    0,    0,    0,    0,    0,   0,   0,   0,   0,   0,   0,   0,   0,   0,    0,    1,
};

/* ExtendedKeyUsage with serverAuth alone (RFC 5280 section 4.2.1.12). */
static const unsigned char server_auth[] = {
    0x30, 10, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 1,
};

static int make_key(mbedtls_pk_context *key, mbedtls_ctr_drbg_context *random)
{
    int error = mbedtls_pk_setup(key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY));
    if (error != 0)
        return error;
    return mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(*key),
                               mbedtls_ctr_drbg_random, random);
}

static int set_serial(mbedtls_x509write_cert *writer, mbedtls_ctr_drbg_context *random)
{
    unsigned char serial[16];
    int error = mbedtls_ctr_drbg_random(random, serial, sizeof serial);
    if (error != 0)
        return error;
    serial[0] = (unsigned char)((serial[0] & 0x3f) | 0x40);
#if MBEDTLS_VERSION_NUMBER >= 0x03040000
    return mbedtls_x509write_crt_set_serial_raw(writer, serial, sizeof serial);
#else
    mbedtls_mpi number;
    mbedtls_mpi_init(&number);
    error = mbedtls_mpi_read_binary(&number, serial, sizeof serial);
    if (error == 0)
        error = mbedtls_x509write_crt_set_serial(writer, &number);
    mbedtls_mpi_free(&number);
    return error;
#endif
}

static int set_common(mbedtls_x509write_cert *writer, mbedtls_ctr_drbg_context *random,
                      const char *subject, mbedtls_pk_context *key, mbedtls_pk_context *ca_key)
{
    mbedtls_x509write_crt_set_version(writer, MBEDTLS_X509_CRT_VERSION_3);
    mbedtls_x509write_crt_set_md_alg(writer, MBEDTLS_MD_SHA256);
    mbedtls_x509write_crt_set_subject_key(writer, key);
    mbedtls_x509write_crt_set_issuer_key(writer, ca_key);
    int error = set_serial(writer, random);
    if (error == 0)
        error = mbedtls_x509write_crt_set_validity(writer, "20000101000000", "20491231235959");
    if (error == 0)
        error = mbedtls_x509write_crt_set_subject_name(writer, subject);
    if (error == 0)
        error = mbedtls_x509write_crt_set_issuer_name(writer, ca_name);
    if (error == 0)
        error = mbedtls_x509write_crt_set_subject_key_identifier(writer);
    if (error == 0)
        error = mbedtls_x509write_crt_set_authority_key_identifier(writer);
    return error;
}

static int set_server(mbedtls_x509write_cert *writer)
{
    int error = mbedtls_x509write_crt_set_basic_constraints(writer, 0, -1);
    if (error == 0)
        error = mbedtls_x509write_crt_set_key_usage(writer, MBEDTLS_X509_KU_DIGITAL_SIGNATURE);
    if (error == 0)
        error = mbedtls_x509write_crt_set_extension(writer, MBEDTLS_OID_SUBJECT_ALT_NAME,
                                                    MBEDTLS_OID_SIZE(MBEDTLS_OID_SUBJECT_ALT_NAME),
                                                    0, alternative_names, sizeof alternative_names);
    if (error == 0)
        error = mbedtls_x509write_crt_set_extension(
            writer, MBEDTLS_OID_EXTENDED_KEY_USAGE,
            MBEDTLS_OID_SIZE(MBEDTLS_OID_EXTENDED_KEY_USAGE), 0, server_auth, sizeof server_auth);
    return error;
}

static int set_ca(mbedtls_x509write_cert *writer)
{
    int error = mbedtls_x509write_crt_set_basic_constraints(writer, 1, 0);
    if (error == 0)
        error = mbedtls_x509write_crt_set_key_usage(writer, MBEDTLS_X509_KU_KEY_CERT_SIGN |
                                                                MBEDTLS_X509_KU_CRL_SIGN);
    return error;
}

/* Writes a certificate for KEY, signed with CA_KEY, as PEM into TEXT; the authority's own if both
   keys are the same. */
static int write_certificate(mbedtls_ctr_drbg_context *random, mbedtls_pk_context *key,
                             mbedtls_pk_context *ca_key, char text[CERTIFICATE_PEM_BYTES])
{
    mbedtls_x509write_cert writer;
    mbedtls_x509write_crt_init(&writer);
    int error = set_common(&writer, random, key == ca_key ? ca_name : server_name, key, ca_key);
    if (error == 0)
        error = key == ca_key ? set_ca(&writer) : set_server(&writer);
    if (error == 0)
        error = mbedtls_x509write_crt_pem(&writer, (unsigned char *)text, CERTIFICATE_PEM_BYTES,
                                          mbedtls_ctr_drbg_random, random);
    mbedtls_x509write_crt_free(&writer);
    return error;
}

static int make_chain(struct certificate *certificate, mbedtls_ctr_drbg_context *random)
{
    mbedtls_pk_context ca_key, key;
    mbedtls_pk_init(&ca_key);
    mbedtls_pk_init(&key);
    int error = make_key(&ca_key, random);
    if (error == 0)
        error = make_key(&key, random);
    if (error == 0)
        error = write_certificate(random, &ca_key, &ca_key, certificate->ca_pem);
    if (error == 0)
        error = write_certificate(random, &key, &ca_key, certificate->server_pem);
    if (error == 0)
        error = mbedtls_pk_write_key_pem(&key, (unsigned char *)certificate->server_key_pem,
                                         CERTIFICATE_PEM_BYTES);
    mbedtls_pk_free(&key);
    mbedtls_pk_free(&ca_key);
    return error;
}

static int write_file(const char *directory, const char *name, const char *text)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        perror(path);
        return -1;
    }
    ssize_t written = write(fd, text, strlen(text));
    if (close(fd) != 0 || written != (ssize_t)strlen(text)) {
        perror(path);
        return -1;
    }
    return 0;
}

int certificate_make(struct certificate *certificate, const char *directory)
{
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context random;
    mbedtls_entropy_init(&entropy);
    mbedtls_ctr_drbg_init(&random);
    int error = mbedtls_ctr_drbg_seed(&random, mbedtls_entropy_func, &entropy, NULL, 0);
    if (error == 0)
        error = make_chain(certificate, &random);
    mbedtls_ctr_drbg_free(&random);
    mbedtls_entropy_free(&entropy);
    if (error != 0) {
        fprintf(stderr, "sink: no certificate could be made: mbedTLS error -0x%x\n",
                (unsigned)-error);
        return -1;
    }
    if (write_file(directory, "ca.pem", certificate->ca_pem) != 0 ||
        write_file(directory, "server.pem", certificate->server_pem) != 0)
        return -1;
    return write_file(directory, "server.key", certificate->server_key_pem);
}
