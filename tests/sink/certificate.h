/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_TESTS_SINK_CERTIFICATE_H
#define RUNNEL_TESTS_SINK_CERTIFICATE_H

enum { CERTIFICATE_PEM_BYTES = 2048 };

/** A server's chain and key as PEM texts. */
struct certificate {
    char ca_pem[CERTIFICATE_PEM_BYTES];
    char server_pem[CERTIFICATE_PEM_BYTES];
    char server_key_pem[CERTIFICATE_PEM_BYTES];
};

/**
 * Makes a certificate authority and a server certificate signed by it (both P-256, valid from 2000
 * to 2049, so that only a clock that is plainly unset refuses them), for the names localhost,
 * 127.0.0.1, ::1 and sink.test (which no name server has). The authority's key is thrown away.
 * Writes ca.pem, server.pem and server.key (mode 0600) into the existing folder DIRECTORY. Returns
 * 0, or -1 after a message on stderr.
 */
int certificate_make(struct certificate *certificate, const char *directory);

#endif
