/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_HTTP_HTTP_CLIENT_H
#define RUNNEL_AGENT_HTTP_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/http/http_connect.h"
#include "agent/http/http_parse.h"
#include "agent/http/meter.h"
#include "platform/base/writer.h"
#include "platform/stop.h"
#include "platform/tls.h"

/**
 * HTTP/1.1 to one endpoint (RFC 9112): one connection, kept alive, used again only after less than
 * 15 s of idleness (aws-wire: S3 closes after 20 s). Never more than one request at a time. The
 * body is written by a function, so that it need never exist in memory; the reply is handed on in
 * pieces as it arrives.
 */
struct http_client;
struct net_memory;

enum { HTTP_FAULT_BYTES = 300, HTTP_IDLE_MS = 15000 };

/** The texts are copied; STOP and METER must outlive the client. */
struct http_client_options {
    bool tls;         /* false only towards loopback and metadata hosts */
    const char *host; /* a name or an address, IPv6 without brackets */
    uint16_t port;
    struct http_proxy proxy; /* only with TLS, and never towards loopback and metadata hosts */
    struct tls_options tls_options;
    int64_t connect_ms; /* name, TCP, proxy and handshake together */
    int64_t idle_ms;    /* the longest silence while a request or a reply is under way */
    int64_t total_ms;   /* from the first byte out to the last byte in */
    const struct stop *stop;
    /** Counts the bytes of each connection and paces a request and its reply, or NULL. What the
     *  meter has us wait is no silence, and not of the total either; it listens to STOP. */
    const struct http_meter *meter;
};

struct http_request {
    const char *head; /* request line and headers with the empty line behind them (http_write.h) */
    size_t head_bytes;
    uint64_t body_bytes; /* what Content-Length says */
    int64_t total_ms;    /* instead of the client's; 0: the client's */
    /** Writes exactly body_bytes into OUT (its error sticks; do not finish it), or returns an
     *  error (< 0): in both cases the last byte leaves only after it has returned 0, else the
     *  connection is closed before. Called again if the request is sent again. NULL: no body. */
    int (*write_body)(void *context, struct writer *out);
    /** Called once the status line and headers are in. Returns 0, or an error that ends it. NULL:
     *  not called. */
    int (*on_head)(void *context, const struct http_reply *reply);
    /** Called with each piece of the body. Likewise. NULL: the body is passed over. */
    int (*on_body)(void *context, const uint8_t *bytes, size_t count);
    void *context;
};

/** What a request comes through before it is answered, in this order. */
enum http_stage {
    HTTP_STAGE_FILES, /* those of tls_options are read */
    HTTP_STAGE_NAME,  /* of the proxy, or else of the host */
    HTTP_STAGE_TCP,   /* to it */
    HTTP_STAGE_PROXY, /* which leads on to the host */
    HTTP_STAGE_TLS,
    HTTP_STAGE_REQUEST,
};

struct http_outcome {
    enum http_stage stage; /* that it came to; on failure, where it ended */
    bool sent;             /* the last byte of the request was handed to a connection */
    bool reused;           /* the connection had served before */
    bool reply_begun;      /* at least one byte of a reply arrived */
    bool sent_twice;   /* a connection that had served before died, and this is the second try */
    bool files_unfit;  /* a file of tls_options cannot be read or used: nothing was connected */
    bool proxy_failed; /* the proxy was not reached, or did not connect: nothing was sent */
    bool dates_unverified; /* the time was not known, so the dates of certificates were passed over;
                              the next request after it is makes a connection that looks at them */
    int proxy_status;      /* with which it refused (the error is E_REFUSED), else 0 */
    int64_t sent_mono_ms; /* first byte out, 0 if there was none; of the second try, if there was */
    int64_t done_mono_ms; /* last byte in, or the failure */
    char fault[HTTP_FAULT_BYTES]; /* on failure, for people: what, where, what to check */
};

/** Connects to nothing yet; files of tls_options are read with the first connection, so that one
 *  that is missing is told by that exchange and may still come, and looked at again with each.
 * E_INVALID: no host, port or time; E_REFUSED: a host that may not be reached without TLS;
 * E_NO_MEMORY. */
int http_client_open(const struct http_client_options *options, struct http_client **ret_client);
void http_client_close(struct http_client *client); /* NULL is allowed */

/**
 * One exchange. 0: a whole reply arrived, of whatever status; if it came before the request was
 * out (sent is false: the server had seen enough), it is an error status (>= 300). E_CLOSED,
 * E_TIMEOUT, E_SYNTAX (the reply is no HTTP), E_TOO_BIG (its head), E_STOP, E_NAME, E_RESOLVER,
 * E_CERTIFICATE, E_REFUSED (by the proxy), E_CHANGED (write_body wrote more or less than
 * body_bytes), error_sys, error_tls or what the functions returned: what became of the request is
 * told by ret_outcome, which is always filled. A reused connection that died before any byte of the
 * reply is replaced and the request sent again, once.
 */
int http_client_exchange(struct http_client *client, const struct http_request *request,
                         struct http_outcome *ret_outcome);

/** Makes a connection for the next exchange, unless one stands. As http_client_exchange, as far as
 *  that concerns connections. */
int http_client_connect(struct http_client *client, struct http_outcome *ret_outcome);

/** Of the proxy, or else of the host: those that a name server told last, and first the one that
 *  was reached. */
const struct net_memory *http_client_addresses(const struct http_client *client);

/** What the endpoint showed with the last connection; not seen where there is no TLS. */
void http_client_get_peer(const struct http_client *client, struct tls_peer *ret_peer);

/**
 * From the next exchange on the endpoint is HOST, with the same port, proxy and files. Nothing
 * happens if it is so already. E_REFUSED: a host that may not be reached without TLS; E_NO_MEMORY;
 * in both cases it is the endpoint of before.
 */
int http_client_point(struct http_client *client, const char *host);

/** The endpoint's host, until it is another. */
const char *http_client_host(const struct http_client *client);

/** Drops the connection, so that the next exchange makes a new one. */
void http_client_disconnect(struct http_client *client);

/** Since it was opened; bytes are those of the TCP connection, TLS and proxy included. Asked for by
 * the thread that uses the client. */
struct http_statistics {
    uint64_t requests, bytes_in, bytes_out, handshakes, resumed;
    uint64_t dns_failures; /* the resolver gave no address */
    uint64_t dns_recalled; /* of these, how often addresses of before served */
};
void http_client_get_statistics(const struct http_client *client,
                                struct http_statistics *ret_statistics);

#endif
