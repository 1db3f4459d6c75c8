/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sink/channel.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/ssl.h>
#include <mbedtls/ssl_ciphersuites.h>
#include <mbedtls/ssl_ticket.h>
#include <mbedtls/version.h>

enum { WRITE_TIMEOUT_MS = 60000, TICKET_SECONDS = 86400 };

struct random {
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context generator;
};

struct channel_server {
    const struct certificate *certificate;
    struct channel_counts counts;
    /* Guards the tickets and their generator: Yocto's mbedTLS has no locks of its own. */
    pthread_mutex_t lock;
    mbedtls_ssl_ticket_context tickets;
    struct random random;
};

struct channel {
    struct channel_server *server;
    int fd;
    int timeout_ms;
    int is_tls;
    struct random random;
    mbedtls_x509_crt chain;
    mbedtls_pk_context key;
    mbedtls_ssl_config config;
    mbedtls_ssl_context ssl;
};

static int random_open(struct random *random)
{
    mbedtls_entropy_init(&random->entropy);
    mbedtls_ctr_drbg_init(&random->generator);
    return mbedtls_ctr_drbg_seed(&random->generator, mbedtls_entropy_func, &random->entropy, NULL,
                                 0);
}

struct channel_server *channel_server_new(const struct certificate *certificate)
{
    struct channel_server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return NULL;
    pthread_mutex_init(&server->lock, NULL);
    server->certificate = certificate;
    if (certificate == NULL)
        return server;
    mbedtls_ssl_ticket_init(&server->tickets);
    if (random_open(&server->random) != 0 ||
        mbedtls_ssl_ticket_setup(&server->tickets, mbedtls_ctr_drbg_random,
                                 &server->random.generator, MBEDTLS_CIPHER_AES_256_GCM,
                                 TICKET_SECONDS) != 0) {
        fputs("sink: TLS cannot be set up\n", stderr);
        free(server);
        return NULL;
    }
    return server;
}

struct channel_counts *channel_server_counts(struct channel_server *server)
{
    return &server->counts;
}

static int ticket_write(void *context, const mbedtls_ssl_session *session, unsigned char *start,
                        const unsigned char *end, size_t *length, uint32_t *lifetime)
{
    struct channel_server *server = context;
    pthread_mutex_lock(&server->lock);
    int error = mbedtls_ssl_ticket_write(&server->tickets, session, start, end, length, lifetime);
    pthread_mutex_unlock(&server->lock);
    return error;
}

static int ticket_parse(void *context, mbedtls_ssl_session *session, unsigned char *bytes,
                        size_t count)
{
    struct channel_server *server = context;
    pthread_mutex_lock(&server->lock);
    int error = mbedtls_ssl_ticket_parse(&server->tickets, session, bytes, count);
    pthread_mutex_unlock(&server->lock);
    if (error == 0)
        atomic_fetch_add(&server->counts.resumed, 1);
    return error;
}

static int wait_for(int fd, short events, int timeout_ms)
{
    struct pollfd item = {.fd = fd, .events = events};
    int ready;
    do
        ready = poll(&item, 1, timeout_ms);
    while (ready < 0 && errno == EINTR);
    return ready;
}

static int socket_send(void *context, const unsigned char *bytes, size_t count)
{
    struct channel *channel = context;
    if (wait_for(channel->fd, POLLOUT, WRITE_TIMEOUT_MS) <= 0)
        return MBEDTLS_ERR_SSL_TIMEOUT;
    ssize_t sent = send(channel->fd, bytes, count, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0)
        return errno == EAGAIN ? MBEDTLS_ERR_SSL_WANT_WRITE : MBEDTLS_ERR_SSL_CONN_EOF;
    atomic_fetch_add(&channel->server->counts.wire_bytes_out, (uint64_t)sent);
    return (int)sent;
}

static int socket_receive(void *context, unsigned char *bytes, size_t room)
{
    struct channel *channel = context;
    if (wait_for(channel->fd, POLLIN, channel->timeout_ms) <= 0)
        return MBEDTLS_ERR_SSL_TIMEOUT;
    ssize_t received = recv(channel->fd, bytes, room, MSG_DONTWAIT);
    if (received < 0)
        return errno == EAGAIN ? MBEDTLS_ERR_SSL_WANT_READ : MBEDTLS_ERR_SSL_CONN_EOF;
    atomic_fetch_add(&channel->server->counts.wire_bytes_in, (uint64_t)received);
    return (int)received;
}

static int parse_key(struct channel *channel)
{
    const char *pem = channel->server->certificate->server_key_pem;
#if MBEDTLS_VERSION_MAJOR >= 3
    return mbedtls_pk_parse_key(&channel->key, (const unsigned char *)pem, strlen(pem) + 1, NULL, 0,
                                mbedtls_ctr_drbg_random, &channel->random.generator);
#else
    return mbedtls_pk_parse_key(&channel->key, (const unsigned char *)pem, strlen(pem) + 1, NULL,
                                0);
#endif
}

/* The order in which AWS's end points choose ("TLS security policies" of Elastic Load Balancing);
 * mbedTLS's own would have it ChaCha20 wherever a client knows it. */
static const int ciphersuites[] = {
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    0,
};

/* TLS 1.3 would need PSA and its locks in mbedTLS 3; 1.2 is what every gateway speaks. */
static void set_version(mbedtls_ssl_config *config)
{
#if MBEDTLS_VERSION_MAJOR >= 3
    mbedtls_ssl_conf_max_tls_version(config, MBEDTLS_SSL_VERSION_TLS1_2);
#else
    mbedtls_ssl_conf_min_version(config, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
#endif
}

static int configure(struct channel *channel)
{
    const char *pem = channel->server->certificate->server_pem;
    int error = random_open(&channel->random);
    if (error == 0)
        error =
            mbedtls_x509_crt_parse(&channel->chain, (const unsigned char *)pem, strlen(pem) + 1);
    if (error == 0)
        error = parse_key(channel);
    if (error == 0)
        error =
            mbedtls_ssl_config_defaults(&channel->config, MBEDTLS_SSL_IS_SERVER,
                                        MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);
    if (error != 0)
        return error;
    set_version(&channel->config);
    mbedtls_ssl_conf_ciphersuites(&channel->config, ciphersuites);
    mbedtls_ssl_conf_rng(&channel->config, mbedtls_ctr_drbg_random, &channel->random.generator);
    mbedtls_ssl_conf_session_tickets_cb(&channel->config, ticket_write, ticket_parse,
                                        channel->server);
    return mbedtls_ssl_conf_own_cert(&channel->config, &channel->chain, &channel->key);
}

static int handshake(struct channel *channel)
{
    mbedtls_x509_crt_init(&channel->chain);
    mbedtls_pk_init(&channel->key);
    mbedtls_ssl_config_init(&channel->config);
    mbedtls_ssl_init(&channel->ssl);
    int error = configure(channel);
    if (error == 0)
        error = mbedtls_ssl_setup(&channel->ssl, &channel->config);
    if (error != 0)
        return error;
    mbedtls_ssl_set_bio(&channel->ssl, channel, socket_send, socket_receive, NULL);
    do
        error = mbedtls_ssl_handshake(&channel->ssl);
    while (error == MBEDTLS_ERR_SSL_WANT_READ || error == MBEDTLS_ERR_SSL_WANT_WRITE);
    return error;
}

struct channel *channel_open(struct channel_server *server, int fd, int timeout_ms)
{
    struct channel *channel = calloc(1, sizeof *channel);
    if (channel == NULL)
        return NULL;
    channel->server = server;
    channel->fd = fd;
    channel->timeout_ms = timeout_ms;
    if (server->certificate == NULL)
        return channel;
    channel->is_tls = 1;
    if (handshake(channel) != 0) {
        atomic_fetch_add(&server->counts.handshake_failures, 1);
        channel_close(channel, 0);
        return NULL;
    }
    atomic_fetch_add(&server->counts.handshakes, 1);
    return channel;
}

static int receive(struct channel *channel, void *bytes, size_t room)
{
    if (channel->is_tls)
        return mbedtls_ssl_read(&channel->ssl, bytes, room);
    return socket_receive(channel, bytes, room);
}

int channel_read(struct channel *channel, void *bytes, size_t room, int timeout_ms)
{
    int count;
    channel->timeout_ms = timeout_ms;
    do
        count = receive(channel, bytes, room);
    while (count == MBEDTLS_ERR_SSL_WANT_READ || count == MBEDTLS_ERR_SSL_WANT_WRITE);
    if (count == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY)
        return 0;
    return count < 0 ? -1 : count;
}

int channel_write(struct channel *channel, const void *bytes, size_t count)
{
    const unsigned char *from = bytes;
    while (count > 0) {
        int sent = channel->is_tls ? mbedtls_ssl_write(&channel->ssl, from, count)
                                   : socket_send(channel, from, count);
        if (sent == MBEDTLS_ERR_SSL_WANT_READ || sent == MBEDTLS_ERR_SSL_WANT_WRITE)
            continue;
        if (sent <= 0)
            return -1;
        from += sent;
        count -= (size_t)sent;
    }
    return 0;
}

int channel_is_readable(struct channel *channel, int timeout_ms)
{
    if (channel->is_tls && mbedtls_ssl_get_bytes_avail(&channel->ssl) > 0)
        return 1;
    return wait_for(channel->fd, POLLIN, timeout_ms) > 0;
}

void channel_close(struct channel *channel, int polite)
{
    if (channel == NULL)
        return;
    if (channel->is_tls) {
        if (polite)
            mbedtls_ssl_close_notify(&channel->ssl);
        mbedtls_ssl_free(&channel->ssl);
        mbedtls_ssl_config_free(&channel->config);
        mbedtls_pk_free(&channel->key);
        mbedtls_x509_crt_free(&channel->chain);
        mbedtls_ctr_drbg_free(&channel->random.generator);
        mbedtls_entropy_free(&channel->random.entropy);
    }
    free(channel);
}
