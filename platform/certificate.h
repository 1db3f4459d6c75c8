/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_PLATFORM_CERTIFICATE_H
#define RUNNEL_PLATFORM_CERTIFICATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** What an X.509 certificate says, without trusting it. Implemented in platform/mbedtls. */
enum {
    CERTIFICATE_NAME_BYTES = 256,
    CERTIFICATE_SERIAL_BYTES = 96,
    CERTIFICATE_FINGERPRINT_BYTES = 65,
    CERTIFICATE_FILE_BYTES_MAX = 32 * 1024, /* a chain */
};

struct certificate {
    char subject[CERTIFICATE_NAME_BYTES]; /* "CN=gw-17", printable ASCII, perhaps cut */
    char issuer[CERTIFICATE_NAME_BYTES];
    char serial[CERTIFICATE_SERIAL_BYTES];           /* "0A:1B", perhaps cut */
    char fingerprint[CERTIFICATE_FINGERPRINT_BYTES]; /* SHA-256, lower-case hexadecimal */
    int64_t not_before_ms;                           /* since 1970 UTC */
    int64_t not_after_ms;
    bool p256;    /* its key is on NIST's curve P-256 */
    size_t count; /* with those behind it that can be read */
};

/** Reads the first certificate of the COUNT bytes of PEM, which a NUL follows. Those that cannot be
 *  read are passed over, as TLS does, and not counted. E_NO_MEMORY; error_tls: there is none. */
int certificate_read(const char *pem, size_t count, struct certificate *ret_certificate);

/** Likewise of a file. error_sys; E_TOO_BIG: it has more than CERTIFICATE_FILE_BYTES_MAX. */
int certificate_read_file(const char *path, struct certificate *ret_certificate);

/** The whole days from NOW_MS to NOT_AFTER_MS, rounded down: 0 on the last day, negative behind it.
 */
int64_t certificate_days(int64_t not_after_ms, int64_t now_ms);

#endif
