/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_TESTS_UNIT_FAKE_TLS_H
#define RUNNEL_TESTS_UNIT_FAKE_TLS_H

#include <stdbool.h>
#include <stdint.h>

#include "platform/stop.h"
#include "platform/thread.h"

/**
 * Certificates made on the spot, and a TLS server on the loopback that does what its client says.
 * It asserts nothing itself: what went wrong shows at the client.
 */
struct fake_tls_certificate {
    const char *issuer;     /* the path without its suffix of one made before; NULL: signs itself */
    const char *name;       /* the common name */
    const char *not_before; /* "20200101000000", or NULL for 2020 */
    const char *not_after;  /* likewise, or NULL for 2049 */
    const char *key;        /* the path of one made before whose key it has, too; NULL: a new one */
    bool ca;
    bool no_signing; /* its key usage forbids what a handshake needs */
};

/** Writes PATH.pem and PATH.key (P-256, PEM). Returns 0 or mbedTLS's code. */
int fake_tls_make(const char *path, const struct fake_tls_certificate *certificate);

/** Whether this mbedTLS can still speak TLS 1.1, so that it can be refused (2.x). */
bool fake_tls_has_old_version(void);

enum { FAKE_TLS_ALL = -1 };

struct fake_tls_options {
    const char *path;      /* of its certificate, without the suffix */
    const char *client_ca; /* path likewise: clients must have a certificate from it; or NULL */
    bool old_version;      /* speaks TLS 1.1 at most */
    bool old_ciphers;      /* offers no AEAD */
    bool by_id;            /* keeps sessions itself and gives no tickets; TLS 1.2 */
    bool dribble;          /* sends a byte at a time */
    int cut_after_bytes;   /* ends the connection after so many bytes; FAKE_TLS_ALL: never */
};

/**
 * Serves connections one after the other. Each message of a client is sent back, except "close"
 * (ends it with close_notify), "cut" (ends it without), "quiet" (nothing) and "late" (sends "late"
 * back only when the next message comes).
 */
struct fake_tls;
int fake_tls_start(const struct fake_tls_options *options, struct fake_tls **ret_server);
uint16_t fake_tls_port(const struct fake_tls *server);

/** How many tickets of earlier sessions were accepted; exact once the server is idle. */
unsigned fake_tls_resumed(const struct fake_tls *server);
void fake_tls_stop(struct fake_tls *server);

#endif
