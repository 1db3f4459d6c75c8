/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_PLATFORM_MBEDTLS_TLS_TRUST_H
#define RUNNEL_PLATFORM_MBEDTLS_TLS_TRUST_H

#include <stdbool.h>
#include <stdint.h>

#include <mbedtls/x509_crt.h>

#include "platform/tls.h"

/**
 * Whom to believe. A bundle is read one certificate at a time, when a chain is judged, and only
 * the roots that the chain names are kept meanwhile: 140 of them in memory would be half a
 * megabyte. Dates are judged here, since the clock of this machine may be the wrong one to ask.
 */

/** The bundle that answers for HOST if none is configured; NULL: Amazon's roots, built in
 *  (CONFIG_TLS_AMAZON_ROOTS), for hosts below AWS's own domains. */
const char *tls_trust_default(const char *host);

/** Whether PATH (NULL: Amazon's roots) has at least one certificate that can be read. 0; else as
 *  tls_open. */
int tls_trust_check(const char *path, char where[TLS_WHERE_BYTES]);

struct tls_trust_question {
    const char *path; /* as above */
    const char *host; /* that the certificate must have */
    bool clock_known; /* else dates are passed over, and nothing but them */
    int64_t wall_ms;
};

struct tls_trust_answer {
    uint32_t flags;   /* MBEDTLS_X509_BADCERT_*, 0: trusted */
    int64_t until_ms; /* from when on the first certificate of the chain is over */
};

/** Judges CHAIN, as it was presented, its end first. 0: answered; else nothing is known, so it
 *  must not be trusted: E_NO_MEMORY, error_sys or error_tls, and why in WHERE. */
int tls_trust_judge(const struct tls_trust_question *question, mbedtls_x509_crt *chain,
                    char where[TLS_WHERE_BYTES], struct tls_trust_answer *ret_answer);

/** FLAGS of an answer as bits of enum tls_objection. */
unsigned tls_trust_objections(uint32_t flags);

/** "WHAT: what mbedTLS says about RC", on one line. */
void tls_trust_explain(char where[TLS_WHERE_BYTES], const char *what, int rc);

/** The same about the file PATH, and its error. */
int tls_trust_file_fault(const char *path, int rc, char where[TLS_WHERE_BYTES]);

/** 0 if PATH can be read; else error_sys, and why in WHERE: mbedTLS does not tell. */
int tls_trust_check_readable(const char *path, char where[TLS_WHERE_BYTES]);

#endif
