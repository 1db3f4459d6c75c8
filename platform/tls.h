/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_PLATFORM_TLS_H
#define RUNNEL_PLATFORM_TLS_H

#include <stdbool.h>
#include <stdint.h>

#include "platform/certificate.h"
#include "platform/stop.h"
#include "platform/stream.h"

/**
 * TLS for one route: entropy, DRBG, configuration and trust anchors of its own (design: no mbedTLS
 * context is shared between threads). TLS 1.2 or later, chain and host name verified, SNI.
 */
struct tls;

struct tls_options {
    const char *ca_file;   /* PEM; NULL: Amazon's roots, which are built in, for hosts below AWS's
                              domains, for others /etc/ssl/certs/ca-certificates.crt */
    const char *cert_file; /* PEM, client certificate, or NULL */
    const char *key_file;  /* PEM, its key, or NULL */
    /** The time by which certificates are valid or not, in ms since 1970; KNOWN (false when it is
     *  called): whether it can be believed. If not, dates alone are passed over: chain, name and
     *  usage are judged as ever, and the session is not kept. NULL: the system's clock, which is
     *  believed unless it says a day before that on which this was built. */
    int64_t (*wall_ms)(void *context, bool *ret_known);
    void *wall_context;
};

/** The system's clock, for tls_options.wall_ms; believed as said there. CONTEXT is not used. */
int64_t tls_system_wall_ms(void *context, bool *ret_known);

/**
 * What the library shares between threads is made here: main calls it before the first thread.
 * Returns 0 or E_UNSUPPORTED.
 */
int tls_prepare(void);

enum { TLS_WHERE_BYTES = 160 };

/**
 * Reads the files; that of ca_file is only looked at, and read when a chain is to be verified.
 * WHERE (TLS_WHERE_BYTES) is told which file is at fault and why on failure. Returns 0; error_sys
 * or error_tls of the file at fault; E_INVALID if cert_file or key_file comes without the other;
 * E_NO_MEMORY.
 */
int tls_open(const struct tls_options *options, char where[TLS_WHERE_BYTES], struct tls **ret_tls);

/** NULL is allowed; streams made from it must be closed before. */
void tls_close(struct tls *tls);

/**
 * Before a connection with HOST, while there is no stream: looks whether the files have changed. A
 * client certificate and key that were replaced are taken if they can be read and belong together,
 * else those of before stay and it looks again next time. Where files have changed, an earlier
 * session is forgotten. Returns 0; what tls_open returns if there is nobody to trust, and WHERE.
 */
int tls_refresh(struct tls *tls, const char *host, char where[TLS_WHERE_BYTES]);

/**
 * Handshake over the connected socket FD as a client of HOST (1 to 255 characters). The stream
 * owns FD, also on failure. HOST must be in the certificate; as an address it is found there by
 * mbedTLS 3.5 and later only. An earlier session with HOST is taken up if the server agrees; the
 * chain is then not verified again, so no longer than its certificates are valid. WHERE is told
 * "HOST: reason" on failure. Returns 0; E_CERTIFICATE, E_TIMEOUT, E_STOP, E_CLOSED, E_INVALID
 * (HOST), E_NO_MEMORY, error_sys, error_tls.
 */
int tls_connect(struct tls *tls, int fd, const char *host, int64_t deadline_ms,
                const struct stop *stop, char where[TLS_WHERE_BYTES], struct stream **ret_stream);

/** What may be wrong with a server's certificate: bits. */
enum tls_objection {
    TLS_UNTRUSTED = 1, /* nobody who is trusted has signed it */
    TLS_EXPIRED = 2,   /* it, or one that it rests on */
    TLS_FUTURE = 4,    /* likewise: not valid yet */
    TLS_OTHER_NAME = 8,
    TLS_OTHERWISE = 16,
};

/** What the last server showed, whether it was believed or not. */
struct tls_peer {
    bool seen;           /* false: no certificate, as a session was taken up or nobody got so far */
    unsigned objections; /* 0: it is believed */
    struct certificate certificate;
    const char *trusted; /* whom it was measured by: a file, or NULL: Amazon's roots, built in;
                            valid until tls_close */
};

/** Of the last handshake. Asked by the thread that uses the streams. Only where Kconfig has
 *  COMMAND_DOCTOR. */
void tls_get_peer(const struct tls *tls, struct tls_peer *ret_peer);

/** Whether the last handshake passed over dates because the time was not known. */
bool tls_dates_unverified(const struct tls *tls);

/** Whether the time is known now. */
bool tls_time_is_known(const struct tls *tls);

/** Since tls_open. Asked by the thread that uses the streams. */
struct tls_statistics {
    uint64_t handshakes; /* that succeeded */
    uint64_t resumed;    /* of these, how many took up an earlier session */
    uint64_t bytes_in;   /* on the wire, handshakes included, TCP's own overhead not */
    uint64_t bytes_out;
};
void tls_get_statistics(const struct tls *tls, struct tls_statistics *ret_statistics);

#endif
