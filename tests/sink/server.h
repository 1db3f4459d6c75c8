/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_TESTS_SINK_SERVER_H
#define RUNNEL_TESTS_SINK_SERVER_H

#include "tests/sink/sink.h"

/** The sockets and threads of the endpoint: two listeners, one thread per connection. */
struct server;

enum outage {
    OUTAGE_NONE,
    /** The listener is closed (connecting is refused) and open connections end. */
    OUTAGE_REFUSE,
    /** Nothing is accepted and nothing answered; what came in meanwhile is reset at the end. */
    OUTAGE_SILENT,
};

/** Long enough to mean: until told otherwise. */
#define SERVER_OUTAGE_FOREVER_MS INT64_C(1000000000000)

struct server_options {
    struct sink *sink;
    /** Numeric; the port may be 0 for any that is free. */
    const char *address;
    unsigned short port;
    unsigned short admin_port;
};

/**
 * Binds ADDRESS and, for the admin port, 127.0.0.1. Signals SIGTERM, SIGINT, SIGUSR1 and SIGUSR2
 * must be blocked. Returns NULL after a message on stderr.
 */
struct server *server_open(const struct server_options *options);

unsigned short server_port(const struct server *server);
unsigned short server_admin_port(const struct server *server);

/**
 * Serves until server_stop, SIGTERM or SIGINT, then ends all connections. SIGUSR1 begins an outage
 * (refuse), SIGUSR2 ends one.
 */
void server_run(struct server *server);

/** From any thread: server_run is to return. */
void server_stop(struct server *server);

/** From a connection's thread: begins (or, with OUTAGE_NONE, ends) an outage; returns when it is in
    effect. It ends by itself after DURATION_MS. */
void server_outage(struct server *server, enum outage outage, int64_t duration_ms);

#endif
