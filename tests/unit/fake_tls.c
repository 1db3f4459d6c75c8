/* SPDX-License-Identifier: Apache-2.0 */
#define MBEDTLS_ALLOW_PRIVATE_ACCESS /* to serve a certificate that a server of its would not */
#include "tests/unit/fake_tls.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <mbedtls/bignum.h>
#include <mbedtls/ecp.h>
#include <mbedtls/oid.h>
#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/ssl_cache.h>
#include <mbedtls/ssl_ticket.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>

#include "platform/base/error.h"
#include "platform/mbedtls/blinding.h"
#include "platform/random.h"

enum { PEM_BYTES = 4096, PATH_BYTES = 256, MESSAGE_BYTES = 16384 };

static int write_file(const char *path, const char *suffix, const unsigned char *text)
{
    char name[PATH_BYTES];
    (void)snprintf(name, sizeof name, "%s%s", path, suffix);
    FILE *file = fopen(name, "w");
    if (file == NULL)
        return -1;
    int rc = fputs((const char *)text, file) < 0 ? -1 : 0;
    return fclose(file) == 0 ? rc : -1;
}

/* The one of the certificate PATH, or a new one. */
static int make_key(mbedtls_pk_context *key, const char *path)
{
    char name[PATH_BYTES];
    (void)snprintf(name, sizeof name, "%s.key", path);
    if (path != NULL)
        return mbedtls_pk_parse_keyfile(key, name, NULL BLINDING);
    int rc = mbedtls_pk_setup(key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY));
    return rc != 0 ? rc
                   : mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(*key), draw_random,
                                         NULL);
}

static int read_pair(const char *path, mbedtls_x509_crt *certificate, mbedtls_pk_context *key)
{
    char name[PATH_BYTES];
    (void)snprintf(name, sizeof name, "%s.pem", path);
    int rc = mbedtls_x509_crt_parse_file(certificate, name);
    if (rc != 0 || key == NULL)
        return rc;
    (void)snprintf(name, sizeof name, "%s.key", path);
    return mbedtls_pk_parse_keyfile(key, name, NULL BLINDING);
}

static int set_serial(mbedtls_x509write_cert *writer)
{
    uint8_t serial[8];
    random_bytes(serial, sizeof serial);
    serial[0] = 1;
#if MBEDTLS_VERSION_NUMBER >= 0x03040000
    return mbedtls_x509write_crt_set_serial_raw(writer, serial, sizeof serial);
#else
    mbedtls_mpi number;
    mbedtls_mpi_init(&number);
    int rc = mbedtls_mpi_read_binary(&number, serial, sizeof serial);
    if (rc == 0)
        rc = mbedtls_x509write_crt_set_serial(writer, &number);
    mbedtls_mpi_free(&number);
    return rc;
#endif
}

static int describe(mbedtls_x509write_cert *writer, const struct fake_tls_certificate *certificate,
                    const char *issuer_name)
{
    const char *from = certificate->not_before != NULL ? certificate->not_before : "20200101000000";
    const char *to = certificate->not_after != NULL ? certificate->not_after : "20491231235959";
    char subject[PATH_BYTES];
    (void)snprintf(subject, sizeof subject, "CN=%s", certificate->name);
    mbedtls_x509write_crt_set_md_alg(writer, MBEDTLS_MD_SHA256);
    mbedtls_x509write_crt_set_version(writer, MBEDTLS_X509_CRT_VERSION_3);
    int rc = set_serial(writer);
    if (rc == 0)
        rc = mbedtls_x509write_crt_set_validity(writer, from, to);
    if (rc == 0)
        rc = mbedtls_x509write_crt_set_subject_name(writer, subject);
    if (rc == 0)
        rc = mbedtls_x509write_crt_set_issuer_name(writer,
                                                   issuer_name != NULL ? issuer_name : subject);
    if (rc == 0)
        rc = mbedtls_x509write_crt_set_basic_constraints(writer, certificate->ca, -1);
    if (rc == 0 && certificate->no_signing)
        rc = mbedtls_x509write_crt_set_key_usage(writer, MBEDTLS_X509_KU_KEY_AGREEMENT);
    return rc;
}

static int write_pair(const char *path, mbedtls_x509write_cert *writer, mbedtls_pk_context *key)
{
    unsigned char pem[PEM_BYTES];
    int rc = mbedtls_x509write_crt_pem(writer, pem, sizeof pem, draw_random, NULL);
    if (rc == 0)
        rc = write_file(path, ".pem", pem);
    if (rc == 0)
        rc = mbedtls_pk_write_key_pem(key, pem, sizeof pem);
    return rc == 0 ? write_file(path, ".key", pem) : rc;
}

int fake_tls_make(const char *path, const struct fake_tls_certificate *certificate)
{
    mbedtls_x509write_cert writer;
    mbedtls_x509_crt issuer;
    mbedtls_pk_context issuer_key;
    mbedtls_pk_context key;
    char issuer_name[PATH_BYTES];
    bool by_itself = certificate->issuer == NULL;

    mbedtls_x509write_crt_init(&writer);
    mbedtls_x509_crt_init(&issuer);
    mbedtls_pk_init(&issuer_key);
    mbedtls_pk_init(&key);
    int rc = make_key(&key, certificate->key);
    if (rc == 0 && !by_itself)
        rc = read_pair(certificate->issuer, &issuer, &issuer_key);
    if (rc == 0 && !by_itself &&
        mbedtls_x509_dn_gets(issuer_name, sizeof issuer_name, &issuer.subject) < 0)
        rc = -1;
    if (rc == 0)
        rc = describe(&writer, certificate, by_itself ? NULL : issuer_name);
    if (rc == 0) {
        mbedtls_x509write_crt_set_subject_key(&writer, &key);
        mbedtls_x509write_crt_set_issuer_key(&writer, by_itself ? &key : &issuer_key);
        rc = write_pair(path, &writer, &key);
    }
    mbedtls_pk_free(&key);
    mbedtls_pk_free(&issuer_key);
    mbedtls_x509_crt_free(&issuer);
    mbedtls_x509write_crt_free(&writer);
    return rc;
}

struct fake_tls {
    struct fake_tls_options options;
    mbedtls_ssl_config config;
    mbedtls_x509_crt certificate;
    mbedtls_pk_context key;
    mbedtls_x509_crt client_ca;
    mbedtls_ssl_ticket_context tickets;
    mbedtls_ssl_cache_context sessions;
    atomic_uint resumed;
    int listener;
    uint16_t port;
    struct stop stop;
    struct thread thread;
};

struct connection {
    struct fake_tls *server;
    int fd;
    int sent_bytes;
    mbedtls_ssl_context ssl;
};

static int send_some(void *context, const unsigned char *bytes, size_t count)
{
    struct connection *connection = context;
    const struct fake_tls_options *options = &connection->server->options;
    size_t left = count;
    if (options->dribble)
        left = 1;
    if (options->cut_after_bytes != FAKE_TLS_ALL) {
        size_t room = (size_t)(options->cut_after_bytes - connection->sent_bytes);
        left = left < room ? left : room;
        if (left == 0)
            return MBEDTLS_ERR_SSL_INTERNAL_ERROR;
    }
    ssize_t put = send(connection->fd, bytes, left, MSG_NOSIGNAL);
    if (put < 0)
        return MBEDTLS_ERR_SSL_INTERNAL_ERROR;
    connection->sent_bytes += (int)put;
    return (int)put;
}

static int receive_some(void *context, unsigned char *bytes, size_t count)
{
    struct connection *connection = context;
    if (stop_wait(&connection->server->stop, connection->fd, POLLIN, INT64_MAX) < 0)
        return MBEDTLS_ERR_SSL_INTERNAL_ERROR;
    ssize_t got = recv(connection->fd, bytes, count, 0);
    return got < 0 ? MBEDTLS_ERR_SSL_INTERNAL_ERROR : (int)got;
}

static int reply(struct connection *connection, const unsigned char *bytes, size_t count)
{
    while (count > 0) {
        int put = mbedtls_ssl_write(&connection->ssl, bytes, count);
        if (put < 0)
            return put;
        bytes += put;
        count -= (size_t)put;
    }
    return 0;
}

static bool is_word(const unsigned char *bytes, int count, const char *word)
{
    return count == (int)strlen(word) && memcmp(bytes, word, strlen(word)) == 0;
}

static void converse(struct connection *connection)
{
    unsigned char message[MESSAGE_BYTES];
    bool late = false;
    for (;;) {
        int got = mbedtls_ssl_read(&connection->ssl, message, sizeof message);
        if (got <= 0 || is_word(message, got, "cut"))
            return;
        if (late && reply(connection, (const unsigned char *)"late", 4) < 0)
            return;
        late = is_word(message, got, "late");
        if (is_word(message, got, "close")) {
            (void)mbedtls_ssl_close_notify(&connection->ssl);
            return;
        }
        if (late || is_word(message, got, "quiet"))
            continue;
        if (reply(connection, message, (size_t)got) < 0)
            return;
    }
}

/* Closing with unread bytes would reset the connection and take the last reply with it. */
static void close_gently(struct connection *connection)
{
    unsigned char rest[512];
    (void)shutdown(connection->fd, SHUT_WR);
    while (stop_wait(&connection->server->stop, connection->fd, POLLIN, INT64_MAX) == 0 &&
           recv(connection->fd, rest, sizeof rest, 0) > 0)
        ;
    (void)close(connection->fd);
}

static void serve_one(struct fake_tls *server, int fd)
{
    struct connection connection = {.server = server, .fd = fd};
    mbedtls_ssl_init(&connection.ssl);
    if (mbedtls_ssl_setup(&connection.ssl, &server->config) == 0) {
        mbedtls_ssl_set_bio(&connection.ssl, &connection, send_some, receive_some, NULL);
        if (mbedtls_ssl_handshake(&connection.ssl) == 0)
            converse(&connection);
    }
    mbedtls_ssl_free(&connection.ssl);
    close_gently(&connection);
}

static void serve(void *context)
{
    struct fake_tls *server = context;
    while (stop_wait(&server->stop, server->listener, POLLIN, INT64_MAX) == 0) {
        int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            serve_one(server, fd);
    }
}

static int parse_ticket(void *context, mbedtls_ssl_session *session, unsigned char *bytes,
                        size_t count)
{
    struct fake_tls *server = context;
    int rc = mbedtls_ssl_ticket_parse(&server->tickets, session, bytes, count);
    if (rc == 0)
        atomic_fetch_add(&server->resumed, 1);
    return rc;
}

static int write_ticket(void *context, const mbedtls_ssl_session *session, unsigned char *start,
                        const unsigned char *end, size_t *count, uint32_t *lifetime)
{
    struct fake_tls *server = context;
    return mbedtls_ssl_ticket_write(&server->tickets, session, start, end, count, lifetime);
}

bool fake_tls_has_old_version(void)
{
    return MBEDTLS_VERSION_NUMBER < 0x03000000;
}

static void set_versions(mbedtls_ssl_config *config, bool old_version)
{
#if MBEDTLS_VERSION_NUMBER < 0x03000000
    mbedtls_ssl_conf_min_version(config, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_1);
    if (old_version)
        mbedtls_ssl_conf_max_version(config, MBEDTLS_SSL_MAJOR_VERSION_3,
                                     MBEDTLS_SSL_MINOR_VERSION_2);
#else
    (void)config;
    (void)old_version;
#endif
}

static void stay_at_12(mbedtls_ssl_config *config)
{
#if MBEDTLS_VERSION_NUMBER >= 0x03020000
    mbedtls_ssl_conf_max_tls_version(config, MBEDTLS_SSL_VERSION_TLS1_2);
#else
    (void)config;
#endif
}

static int configure(struct fake_tls *server)
{
    static const int old_ciphers[] = {MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, 0};
    mbedtls_ssl_config *config = &server->config;
    int rc = mbedtls_ssl_config_defaults(config, MBEDTLS_SSL_IS_SERVER,
                                         MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);
    if (rc == 0)
        rc = read_pair(server->options.path, &server->certificate, &server->key);
    server->certificate.ext_types &= ~MBEDTLS_X509_EXT_KEY_USAGE;
    if (rc == 0)
        rc = mbedtls_ssl_conf_own_cert(config, &server->certificate, &server->key);
    if (rc == 0 && server->options.client_ca != NULL)
        rc = read_pair(server->options.client_ca, &server->client_ca, NULL);
    if (rc == 0)
        rc = mbedtls_ssl_ticket_setup(&server->tickets, draw_random, NULL,
                                      MBEDTLS_CIPHER_AES_256_GCM, 3600);
    mbedtls_ssl_conf_rng(config, draw_random, NULL);
    if (server->options.by_id)
        mbedtls_ssl_conf_session_cache(config, &server->sessions, mbedtls_ssl_cache_get,
                                       mbedtls_ssl_cache_set);
    else
        mbedtls_ssl_conf_session_tickets_cb(config, write_ticket, parse_ticket, server);
    set_versions(config, server->options.old_version);
    if (server->options.by_id)
        stay_at_12(config);
    if (server->options.old_ciphers)
        mbedtls_ssl_conf_ciphersuites(config, old_ciphers);
    if (server->options.client_ca != NULL) {
        mbedtls_ssl_conf_ca_chain(config, &server->client_ca, NULL);
        mbedtls_ssl_conf_authmode(config, MBEDTLS_SSL_VERIFY_REQUIRED);
    }
    return rc;
}

static int listen_here(struct fake_tls *server)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof name;
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (server->listener < 0 ||
        bind(server->listener, (const struct sockaddr *)&name, sizeof name) < 0 ||
        listen(server->listener, 8) < 0 ||
        getsockname(server->listener, (struct sockaddr *)&name, &bytes) < 0)
        return error_sys(errno);
    server->port = ntohs(name.sin_port);
    return 0;
}

static void give_back(struct fake_tls *server)
{
    if (server->listener >= 0)
        (void)close(server->listener);
    stop_close(&server->stop);
    mbedtls_ssl_config_free(&server->config);
    mbedtls_ssl_ticket_free(&server->tickets);
    mbedtls_ssl_cache_free(&server->sessions);
    mbedtls_pk_free(&server->key);
    mbedtls_x509_crt_free(&server->certificate);
    mbedtls_x509_crt_free(&server->client_ca);
    free(server);
}

int fake_tls_start(const struct fake_tls_options *options, struct fake_tls **ret_server)
{
    struct fake_tls *server = calloc(1, sizeof *server);
    if (server == NULL)
        return E_NO_MEMORY;
    server->options = *options;
    server->listener = -1;
    server->stop.fd = -1;
    mbedtls_ssl_config_init(&server->config);
    mbedtls_ssl_ticket_init(&server->tickets);
    mbedtls_ssl_cache_init(&server->sessions);
    mbedtls_pk_init(&server->key);
    mbedtls_x509_crt_init(&server->certificate);
    mbedtls_x509_crt_init(&server->client_ca);
    int rc = configure(server);
    if (rc == 0)
        rc = listen_here(server);
    if (rc == 0)
        rc = stop_open(&server->stop);
    if (rc == 0)
        rc = thread_start(&server->thread, "fake-tls", serve, server);
    if (rc != 0) {
        give_back(server);
        return rc;
    }
    *ret_server = server;
    return 0;
}

uint16_t fake_tls_port(const struct fake_tls *server)
{
    return server->port;
}

unsigned fake_tls_resumed(const struct fake_tls *server)
{
    return atomic_load(&server->resumed);
}

void fake_tls_stop(struct fake_tls *server)
{
    stop_request(&server->stop);
    (void)thread_join(&server->thread, INT64_MAX);
    give_back(server);
}
