/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_PLATFORM_IDENTITY_H
#define RUNNEL_PLATFORM_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>

/**
 * A device's own key, the request for a certificate and whether the two belong together.
 * Implemented in platform/mbedtls; keys are on NIST's curve P-256. A key's text is a secret: who
 * holds it wipes it. COUNT bytes of PEM are followed by a NUL.
 */
enum {
    IDENTITY_KEY_BYTES = 4096, /* those of others may be RSA */
    IDENTITY_REQUEST_BYTES = 4096,
    IDENTITY_SUBJECT_BYTES = 256,
    IDENTITY_NAME_BYTES_MAX = 64, /* of CN: X.520 has no longer ones (ub-common-name) */
};

/** Makes a key: PEM, "EC PRIVATE KEY". Waits until the kernel has random numbers. The count;
 *  E_NO_MEMORY; error_tls. */
int identity_make_key(char ret_pem[IDENTITY_KEY_BYTES]);

/** Whether SUBJECT ("CN=gw-17,O=Pumps") can stand in a request. 0 or E_SYNTAX. */
int identity_check_subject(const char *subject);

/** Writes "CN=NAME". E_TOO_BIG: NAME has more than IDENTITY_NAME_BYTES_MAX; E_SYNTAX: there is
 *  something in it that has a meaning in a subject. */
int identity_name_subject(const char *name, char ret_subject[IDENTITY_SUBJECT_BYTES]);

/** A request (PKCS#10, SHA-256) for the key KEY_PEM, in PEM of lines of 64 columns. The count;
 *  E_SYNTAX: of the subject; E_NO_MEMORY; error_tls: mostly of the key. */
int identity_write_request(const char *key_pem, size_t key_count, const char *subject,
                           char ret_pem[IDENTITY_REQUEST_BYTES]);

/** Whether the first certificate of CERT_PEM is of the key KEY_PEM. 0; E_NOT_FOUND: of another;
 *  E_NO_MEMORY; error_tls: one of the two cannot be read. */
int identity_check_pair(const char *cert_pem, size_t cert_count, const char *key_pem,
                        size_t key_count);

#endif
