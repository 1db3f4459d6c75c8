/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_TESTS_SINK_CHANNEL_H
#define RUNNEL_TESTS_SINK_CHANNEL_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/sink/certificate.h"

/**
 * The bytes of one connection, plain or inside TLS 1.2. Nothing of mbedTLS is shared between
 * connections but the session tickets, which have a lock here.
 */
struct channel;

/** TLS of a whole server: certificate, tickets, and what went over the wire under TLS. */
struct channel_server;

struct channel_counts {
    atomic_uint_fast64_t wire_bytes_in;
    atomic_uint_fast64_t wire_bytes_out;
    atomic_uint_fast64_t handshakes;
    atomic_uint_fast64_t resumed;
    atomic_uint_fast64_t handshake_failures;
};

/** CERTIFICATE NULL means plain. The server and its counts live as long as the program. */
struct channel_server *channel_server_new(const struct certificate *certificate);
struct channel_counts *channel_server_counts(struct channel_server *server);

/**
 * Serves the connected socket FD, which stays the caller's to close, after the channel. Performs
 * the handshake within TIMEOUT_MS. Returns NULL if it fails.
 */
struct channel *channel_open(struct channel_server *server, int fd, int timeout_ms);

/** Waits up to TIMEOUT_MS for bytes: their count, 0 at the end of the stream, -1 on any failure. */
int channel_read(struct channel *channel, void *bytes, size_t room, int timeout_ms);

/** Writes all bytes, or returns -1 when the peer is gone or takes nothing for a minute. */
int channel_write(struct channel *channel, const void *bytes, size_t count);

/** True if the peer has bytes for us that wait in the TLS layer or the socket, or has closed. */
int channel_is_readable(struct channel *channel, int timeout_ms);

/** Frees the channel; with POLITE the peer is told that the stream ends (close_notify). */
void channel_close(struct channel *channel, int polite);

#endif
