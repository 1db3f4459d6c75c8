/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/tls.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <mbedtls/net_sockets.h>
#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/ssl_ciphersuites.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
#include <psa/crypto.h>
#endif

#include "platform/base/error.h"
#include "platform/clock.h"
#include "platform/fs.h"
#include "platform/mbedtls/blinding.h"
#include "platform/mbedtls/certificate_describe.h"
#include "platform/mbedtls/tls_trust.h"

enum { HOST_BYTES = MBEDTLS_SSL_MAX_HOST_NAME_LEN + 1, GRACE_MS = 100 };

/* A client's certificate and its key. */
struct pair {
    mbedtls_x509_crt cert;
    mbedtls_pk_context key;
};

struct tls {
    mbedtls_ssl_config config;
    mbedtls_x509_crt nobody; /* mbedTLS wants a chain; whom to trust is decided in judge_chain */
    struct pair *pair;       /* NULL: there is none */
    char *ca_file;
    char *cert_file;
    char *key_file;
    struct fs_mark ca_mark;
    struct fs_mark cert_mark; /* of the files that pair was read from */
    struct fs_mark key_mark;
    int64_t (*wall_ms)(void *context, bool *ret_known);
    void *wall_context;
    mbedtls_ssl_session session; /* of the last connection to session_host, "" if there is none */
    char session_host[HOST_BYTES];
    int64_t session_until_ms; /* from when on the first of its certificates is over */
    bool without_1_3;         /* TLS 1.2 is the limit of the next handshake */
    /* Of the handshake under way. */
    const char *host;
    bool saw_certificate; /* it is a full one */
    bool dates_unverified;
    int64_t until_ms;
    int trust_error; /* why the chain could not be judged, and where */
    char trust_where[TLS_WHERE_BYTES];
#ifdef CONFIG_COMMAND_DOCTOR
    struct tls_peer peer;
#endif
    struct tls_statistics statistics;
};

struct tls_stream {
    struct stream stream;
    struct tls *tls;
    mbedtls_ssl_context ssl;
    int fd;
    const struct stop *stop;
    char host[HOST_BYTES];
    int64_t deadline_ms; /* of the call under way */
    int64_t limit_ms;    /* the same, or when it began if that was later */
    int io_error;        /* what the socket said during it */
    bool usable;         /* the handshake is over and nothing has failed since */
};

/* TLS 1.3 goes through PSA, whose key store is one for the process: only where it has locks. */
#if defined(MBEDTLS_SSL_PROTO_TLS1_3) && defined(MBEDTLS_THREADING_C)
#define TLS_1_3
#endif

/* Forward secrecy and authenticated encryption: what AWS asks for (its infrastructure security
 * pages) and all its end points offer. What a library lacks it passes over. */
static const int ciphersuites[] = {
#ifdef TLS_1_3
    MBEDTLS_TLS1_3_AES_128_GCM_SHA256,
    MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS1_3_AES_256_GCM_SHA384,
#endif
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    0,
};

int64_t tls_system_wall_ms(void *context, bool *ret_known)
{
    int64_t now_ms = clock_wall_ms();
    (void)context;
    *ret_known = now_ms >= (int64_t)RUNNEL_BUILD_S * 1000;
    return now_ms;
}

static int64_t wall_now(const struct tls *tls, bool *ret_known)
{
    *ret_known = false;
    return tls->wall_ms(tls->wall_context, ret_known);
}

bool tls_time_is_known(const struct tls *tls)
{
    bool known;
    (void)wall_now(tls, &known);
    return known;
}

bool tls_dates_unverified(const struct tls *tls)
{
    return tls->dates_unverified;
}

#ifdef CONFIG_COMMAND_DOCTOR
static void note_peer(struct tls *tls, const mbedtls_x509_crt *certificate,
                      const struct tls_trust_question *question, uint32_t flags)
{
    tls->peer = (struct tls_peer){
        .seen = true, .objections = tls_trust_objections(flags), .trusted = question->path};
    certificate_describe(certificate, &tls->peer.certificate);
}

void tls_get_peer(const struct tls *tls, struct tls_peer *ret_peer)
{
    *ret_peer = tls->peer;
}
#else
#define note_peer(tls, certificate, question, flags) ((void)0)
#endif

/* The chain's end comes last, with all that was presented behind it. */
static int judge_end(struct tls *tls, mbedtls_x509_crt *chain, uint32_t *flags)
{
    struct tls_trust_answer answer;
    struct tls_trust_question question = {.path = tls->ca_file, .host = tls->host};
    if (question.path == NULL)
        question.path = tls_trust_default(tls->host);
    question.wall_ms = wall_now(tls, &question.clock_known);
    tls->trust_error = tls_trust_judge(&question, chain, tls->trust_where, &answer);
    if (tls->trust_error < 0)
        return MBEDTLS_ERR_X509_FATAL_ERROR;
    tls->dates_unverified = !question.clock_known;
    tls->until_ms = answer.until_ms;
    note_peer(tls, chain, &question, answer.flags);
    *flags = answer.flags;
    return 0;
}

/* mbedTLS calls this for each certificate of the chain that it made without any root, so never
 * when a session is resumed. That chain means nothing: the one that counts is made from all that
 * was presented, with the roots that it needs, once its end is here, which is always the case. */
static int judge_chain(void *context, mbedtls_x509_crt *certificate, int depth, uint32_t *flags)
{
    struct tls *tls = context;
    tls->saw_certificate = true;
    if (depth == 0)
        return judge_end(tls, certificate, flags);
    *flags = 0;
    return 0;
}

/* A bundle may hold certificates of a kind that this mbedTLS does not know: one that it does is
 * enough here. */
static int read_certificates(mbedtls_x509_crt *chain, const char *path, char where[TLS_WHERE_BYTES])
{
    int rc = tls_trust_check_readable(path, where);
    if (rc < 0)
        return rc;
    rc = mbedtls_x509_crt_parse_file(chain, path);
    return rc < 0 ? tls_trust_file_fault(path, rc, where) : 0;
}

static int read_key(struct pair *pair, const char *path, char where[TLS_WHERE_BYTES])
{
    int rc = tls_trust_check_readable(path, where);
    if (rc < 0)
        return rc;
    rc = mbedtls_pk_parse_keyfile(&pair->key, path, NULL BLINDING);
    if (rc == 0)
        rc = mbedtls_pk_check_pair(&pair->cert.pk, &pair->key BLINDING);
    return rc < 0 ? tls_trust_file_fault(path, rc, where) : 0;
}

static void free_pair(struct pair *pair)
{
    if (pair == NULL)
        return;
    mbedtls_pk_free(&pair->key);
    mbedtls_x509_crt_free(&pair->cert);
    free(pair);
}

static int read_pair(const struct tls *tls, char where[TLS_WHERE_BYTES], struct pair **ret_pair)
{
    struct pair *pair = calloc(1, sizeof *pair);
    if (pair == NULL)
        return E_NO_MEMORY;
    mbedtls_x509_crt_init(&pair->cert);
    mbedtls_pk_init(&pair->key);
    int rc = read_certificates(&pair->cert, tls->cert_file, where);
    if (rc == 0)
        rc = read_key(pair, tls->key_file, where);
    if (rc < 0) {
        free_pair(pair);
        return rc;
    }
    *ret_pair = pair;
    return 0;
}

static void set_versions(mbedtls_ssl_config *config)
{
#if MBEDTLS_VERSION_NUMBER >= 0x03020000
    mbedtls_ssl_conf_min_tls_version(config, MBEDTLS_SSL_VERSION_TLS1_2);
#ifndef TLS_1_3
    mbedtls_ssl_conf_max_tls_version(config, MBEDTLS_SSL_VERSION_TLS1_2);
#endif
#else
    mbedtls_ssl_conf_min_version(config, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
#endif
}

static int configure(struct tls *tls, mbedtls_ssl_config *config)
{
    int rc = mbedtls_ssl_config_defaults(config, MBEDTLS_SSL_IS_CLIENT,
                                         MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);
    if (rc < 0)
        return error_tls(rc);
    set_versions(config);
    mbedtls_ssl_conf_rng(config, draw_random, NULL);
    mbedtls_ssl_conf_ciphersuites(config, ciphersuites);
    mbedtls_ssl_conf_authmode(config, MBEDTLS_SSL_VERIFY_REQUIRED);
    mbedtls_ssl_conf_verify(config, judge_chain, tls);
    mbedtls_ssl_conf_ca_chain(config, &tls->nobody, NULL);
#if defined(MBEDTLS_SSL_VARIABLE_BUFFER_LENGTH) && !defined(TLS_1_3)
    /* Only then do short records make small buffers; a server may ignore it. With TLS 1.3, where
     * mbedTLS 3.6 asks for it but takes an answer to it (OpenSSL's) for a fault, it is left out. */
    (void)mbedtls_ssl_conf_max_frag_len(config, MBEDTLS_SSL_MAX_FRAG_LEN_4096);
#endif
#if defined(MBEDTLS_SSL_TLS1_3_SIGNAL_NEW_SESSION_TICKETS_ENABLED) &&                              \
    defined(MBEDTLS_SSL_PROTO_TLS1_3) && defined(MBEDTLS_SSL_SESSION_TICKETS)
    mbedtls_ssl_conf_tls13_enable_signal_new_session_tickets(
        config, MBEDTLS_SSL_TLS1_3_SIGNAL_NEW_SESSION_TICKETS_ENABLED);
#endif
    return 0;
}

int tls_prepare(void)
{
#if MBEDTLS_VERSION_NUMBER >= 0x03000000 && defined(MBEDTLS_PSA_CRYPTO_C)
    return psa_crypto_init() == PSA_SUCCESS ? 0 : E_UNSUPPORTED;
#else
    return 0;
#endif
}

static void forget_session(struct tls *tls)
{
    mbedtls_ssl_session_free(&tls->session);
    mbedtls_ssl_session_init(&tls->session);
    tls->session_host[0] = '\0';
}

/* mbedTLS collects certificates in a configuration, so a new one makes a new configuration. PAIR
 * is taken; what was there before stays if that fails. */
static int use_pair(struct tls *tls, struct pair *pair)
{
    mbedtls_ssl_config config;
    mbedtls_ssl_config_init(&config);
    int rc = configure(tls, &config);
    if (rc == 0 && pair != NULL) {
        rc = mbedtls_ssl_conf_own_cert(&config, &pair->cert, &pair->key);
        rc = rc < 0 ? error_tls(rc) : 0;
    }
    if (rc < 0) {
        mbedtls_ssl_config_free(&config);
        free_pair(pair);
        return rc;
    }
    mbedtls_ssl_config_free(&tls->config);
    tls->config = config;
    free_pair(tls->pair);
    tls->pair = pair;
    return 0;
}

/* The marks are taken before the files are read: what changes meanwhile is found the next time. */
static int take_pair(struct tls *tls, char where[TLS_WHERE_BYTES])
{
    const struct fs_mark cert_mark = fs_look(tls->cert_file);
    const struct fs_mark key_mark = fs_look(tls->key_file);
    struct pair *pair;
    if (fs_is_same_mark(&cert_mark, &tls->cert_mark) && fs_is_same_mark(&key_mark, &tls->key_mark))
        return 0;
    int rc = read_pair(tls, where, &pair);
    if (rc == 0)
        rc = use_pair(tls, pair);
    if (rc < 0)
        return rc;
    tls->cert_mark = cert_mark;
    tls->key_mark = key_mark;
    forget_session(tls);
    return 0;
}

static int check_pair_files(const struct tls_options *options, char where[TLS_WHERE_BYTES])
{
    if ((options->cert_file == NULL) == (options->key_file == NULL))
        return 0;
    (void)snprintf(where, TLS_WHERE_BYTES, "%s: a client certificate and its key go together",
                   options->cert_file == NULL ? options->key_file : options->cert_file);
    return E_INVALID;
}

/* False if memory is short; a text that is not given stays NULL. */
static bool copy_text(char **to, const char *text)
{
    *to = text == NULL ? NULL : strdup(text);
    return text == NULL || *to != NULL;
}

static int read_files(struct tls *tls, const struct tls_options *options,
                      char where[TLS_WHERE_BYTES])
{
    if (!copy_text(&tls->ca_file, options->ca_file) ||
        !copy_text(&tls->cert_file, options->cert_file) ||
        !copy_text(&tls->key_file, options->key_file))
        return E_NO_MEMORY;
    int rc = check_pair_files(options, where);
    if (rc == 0)
        rc = use_pair(tls, NULL);
    tls->ca_mark = fs_look(tls->ca_file);
    if (rc == 0 && tls->ca_file != NULL)
        rc = tls_trust_check(tls->ca_file, where);
    if (rc == 0 && tls->cert_file != NULL)
        rc = take_pair(tls, where);
    return rc;
}

int tls_open(const struct tls_options *options, char where[TLS_WHERE_BYTES], struct tls **ret_tls)
{
    struct tls *tls = calloc(1, sizeof *tls);
    where[0] = '\0';
    if (tls == NULL)
        return E_NO_MEMORY;
    tls->wall_ms = options->wall_ms != NULL ? options->wall_ms : tls_system_wall_ms;
    tls->wall_context = options->wall_context;
    mbedtls_ssl_config_init(&tls->config);
    mbedtls_x509_crt_init(&tls->nobody);
    mbedtls_ssl_session_init(&tls->session);
    int rc = read_files(tls, options, where);
    if (rc < 0) {
        tls_close(tls);
        return rc;
    }
    *ret_tls = tls;
    return 0;
}

int tls_refresh(struct tls *tls, const char *host, char where[TLS_WHERE_BYTES])
{
    char unused[TLS_WHERE_BYTES];
    const char *ca_file = tls->ca_file != NULL ? tls->ca_file : tls_trust_default(host);
    const struct fs_mark ca_mark = fs_look(ca_file);
    where[0] = '\0';
    if (tls->pair != NULL)
        (void)take_pair(tls, unused);
    if (ca_file == NULL || (fs_is_same_mark(&ca_mark, &tls->ca_mark) && ca_mark.there))
        return 0; /* what is built in does not change */
    forget_session(tls);
    int rc = tls_trust_check(ca_file, where);
    if (rc == 0)
        tls->ca_mark = ca_mark;
    return rc;
}

void tls_close(struct tls *tls)
{
    if (tls == NULL)
        return;
    forget_session(tls);
    mbedtls_ssl_config_free(&tls->config);
    mbedtls_x509_crt_free(&tls->nobody);
    free_pair(tls->pair);
    free(tls->ca_file);
    free(tls->cert_file);
    free(tls->key_file);
    free(tls);
}

void tls_get_statistics(const struct tls *tls, struct tls_statistics *ret_statistics)
{
    *ret_statistics = tls->statistics;
}

/* What the socket's ERRNUM means to mbedTLS; the first cause is kept for the caller. */
static int io_fault(struct tls_stream *stream, int errnum, int try_again)
{
    if (errnum == EAGAIN || errnum == EWOULDBLOCK || errnum == EINTR)
        return try_again;
    stream->io_error = errnum == ECONNRESET || errnum == EPIPE ? E_CLOSED : error_sys(errnum);
    return MBEDTLS_ERR_NET_CONN_RESET;
}

static int send_some(void *context, const unsigned char *bytes, size_t count)
{
    struct tls_stream *stream = context;
    size_t at_most = count < INT_MAX ? count : INT_MAX;
    ssize_t put = send(stream->fd, bytes, at_most, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (put < 0)
        return io_fault(stream, errno, MBEDTLS_ERR_SSL_WANT_WRITE);
    stream->tls->statistics.bytes_out += (uint64_t)put;
    return (int)put;
}

/* Looks at the clock itself, because mbedTLS reads on as long as something comes: a server that
 * sends nothing but warnings would otherwise never let us go. What lies in the socket when the
 * deadline is over is still taken. */
static int receive_some(void *context, unsigned char *bytes, size_t count)
{
    struct tls_stream *stream = context;
    size_t at_most = count < INT_MAX ? count : INT_MAX;
    if (clock_mono_ms() - stream->limit_ms > GRACE_MS) {
        stream->io_error = E_TIMEOUT;
        return MBEDTLS_ERR_SSL_WANT_READ;
    }
    ssize_t got = recv(stream->fd, bytes, at_most, MSG_DONTWAIT);
    if (got < 0)
        return io_fault(stream, errno, MBEDTLS_ERR_SSL_WANT_READ);
    stream->tls->statistics.bytes_in += (uint64_t)got;
    return (int)got;
}

/* The session goes into a fresh place first, so that a failure leaves the old one whole. It is
 * offered to the same host only, as long as its certificates are valid: a resumed session is not
 * verified again, and one whose dates were not is not kept. */
static void keep_session(struct tls_stream *stream)
{
    struct tls *tls = stream->tls;
    mbedtls_ssl_session session;
    if (tls->dates_unverified)
        return;
    mbedtls_ssl_session_init(&session);
    if (mbedtls_ssl_get_session(&stream->ssl, &session) < 0) {
        mbedtls_ssl_session_free(&session);
        return;
    }
    mbedtls_ssl_session_free(&tls->session);
    tls->session = session;
    (void)snprintf(tls->session_host, sizeof tls->session_host, "%s", stream->host);
    tls->session_until_ms = tls->until_ms;
}

/* What a call of mbedTLS that ended with RC means to the caller. */
static int fault(int rc)
{
    if (rc == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY)
        return E_END;
    if (rc == 0 || rc == MBEDTLS_ERR_SSL_CONN_EOF)
        return E_CLOSED;
    if (rc == MBEDTLS_ERR_SSL_ALLOC_FAILED)
        return E_NO_MEMORY;
    return error_tls(rc);
}

/* 0 if the call that ended with RC is to be made again, after the wait that it asks for. */
static int wait_after(struct tls_stream *stream, int rc)
{
    if (stream->io_error != 0)
        return stream->io_error;
    if (rc == MBEDTLS_ERR_SSL_WANT_READ)
        return stop_wait(stream->stop, stream->fd, POLLIN, stream->deadline_ms);
    if (rc == MBEDTLS_ERR_SSL_WANT_WRITE)
        return stop_wait(stream->stop, stream->fd, POLLOUT, stream->deadline_ms);
#if defined(MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET)
    if (rc == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET) {
        keep_session(stream); /* TLS 1.3 hands it over among the data */
        return 0;
    }
#endif
    return fault(rc);
}

static void begin(struct tls_stream *stream, int64_t deadline_ms)
{
    int64_t now_ms = clock_mono_ms();
    stream->deadline_ms = deadline_ms;
    stream->limit_ms = deadline_ms > now_ms ? deadline_ms : now_ms;
    stream->io_error = 0;
}

/* mbedTLS must not be called again after an error of its own. A read whose wait ended can be made
 * again; a write cannot, as mbedTLS wants it to go on with the same bytes. */
static int spoil(struct tls_stream *stream, int rc)
{
    stream->usable = false;
    return rc;
}

static struct tls_stream *tls_stream_of(struct stream *stream)
{
    return (struct tls_stream *)(void *)stream;
}

static int read_stream(struct stream *base, void *buffer, size_t size, int64_t deadline_ms)
{
    struct tls_stream *stream = tls_stream_of(base);
    size_t at_most = size < INT_MAX ? size : INT_MAX;
    if (!stream->usable)
        return E_CLOSED;
    begin(stream, deadline_ms);
    for (;;) {
        int got = mbedtls_ssl_read(&stream->ssl, buffer, at_most);
        if (got > 0)
            return got;
        int rc = wait_after(stream, got);
        if (rc < 0)
            return rc == E_TIMEOUT || rc == E_STOP ? rc : spoil(stream, rc);
    }
}

static int write_stream(struct stream *base, const void *bytes, size_t count, int64_t deadline_ms)
{
    struct tls_stream *stream = tls_stream_of(base);
    const uint8_t *from = bytes;
    if (!stream->usable)
        return E_CLOSED;
    begin(stream, deadline_ms);
    while (count > 0) {
        int put = mbedtls_ssl_write(&stream->ssl, from, count);
        int rc = put > 0 ? 0 : wait_after(stream, put);
        if (rc < 0)
            return spoil(stream, rc);
        if (put > 0) {
            from += put;
            count -= (size_t)put;
        }
    }
    return 0;
}

static void close_stream(struct stream *base)
{
    struct tls_stream *stream = tls_stream_of(base);
    begin(stream, INT64_MAX);
    if (stream->usable)
        (void)mbedtls_ssl_close_notify(&stream->ssl); /* as far as the socket takes it at once */
    mbedtls_ssl_free(&stream->ssl);
    (void)close(stream->fd);
    free(stream);
}

static bool may_resume(const struct tls *tls, const char *host)
{
    bool known;
    int64_t wall_ms = wall_now(tls, &known);
    return tls->session_host[0] != '\0' && strcasecmp(tls->session_host, host) == 0 &&
           !(known && wall_ms >= tls->session_until_ms);
}

static int set_up(struct tls_stream *stream, const char *host)
{
    struct tls *tls = stream->tls;
    size_t length = strlen(host);
    if (length == 0 || length >= sizeof stream->host)
        return E_INVALID;
    memcpy(stream->host, host, length + 1);
    int rc = mbedtls_ssl_setup(&stream->ssl, &tls->config);
    if (rc == 0)
        rc = mbedtls_ssl_set_hostname(&stream->ssl, stream->host);
    if (rc < 0)
        return fault(rc);
    mbedtls_ssl_set_bio(&stream->ssl, stream, send_some, receive_some, NULL);
    /* A session that cannot be offered costs a full handshake, nothing else. */
    if (may_resume(tls, stream->host))
        (void)mbedtls_ssl_set_session(&stream->ssl, &tls->session);
    return 0;
}

/* One line of all that is wrong with the chain: mbedTLS writes a line for each fault. */
static void explain_chain(char where[TLS_WHERE_BYTES], const struct tls_stream *stream)
{
    char text[TLS_WHERE_BYTES] = "";
    uint32_t flags = mbedtls_ssl_get_verify_result(&stream->ssl);
#if defined(MBEDTLS_X509_REMOVE_INFO)
    (void)snprintf(text, sizeof text, " flags 0x%" PRIx32 " of mbedtls/x509.h\n", flags);
#else
    (void)mbedtls_x509_crt_verify_info(text, sizeof text, " ", flags);
#endif
    size_t length = strlen(text);
    for (size_t i = 0; i < length; i++)
        if (text[i] == '\n')
            text[i] = i + 1 < length ? ';' : '\0';
    (void)snprintf(where, TLS_WHERE_BYTES, "%.60s:%.90s", stream->host, text);
}

/* What a certificate may be used for is looked at behind the chain, under an error of its own. */
static bool is_unfit(const struct tls_stream *stream)
{
    uint32_t flags = mbedtls_ssl_get_verify_result(&stream->ssl);
    return stream->tls->saw_certificate && flags != 0 && flags != UINT32_MAX;
}

static int handshake_fault(struct tls_stream *stream, int tls_rc, int rc,
                           char where[TLS_WHERE_BYTES])
{
    if (stream->tls->trust_error < 0) {
        (void)snprintf(where, TLS_WHERE_BYTES, "%s", stream->tls->trust_where);
        return stream->tls->trust_error;
    }
    if (tls_rc == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED || is_unfit(stream)) {
        explain_chain(where, stream);
        return E_CERTIFICATE;
    }
    if (rc == E_END)
        rc = E_CLOSED; /* before anything was agreed upon that could end in order */
    if (error_tls_code(rc) != 0)
        tls_trust_explain(where, stream->host, tls_rc);
    else
        (void)snprintf(where, TLS_WHERE_BYTES, "%.60s: %s", stream->host, ERROR_TEXT(rc));
    return rc;
}

static int shake_hands(struct tls_stream *stream, int64_t deadline_ms, char where[TLS_WHERE_BYTES])
{
    struct tls *tls = stream->tls;
    tls->host = stream->host;
    tls->saw_certificate = false;
    tls->dates_unverified = false;
    tls->until_ms = tls->session_until_ms; /* as long as none is seen, it is the session's */
    tls->trust_error = 0;
#ifdef CONFIG_COMMAND_DOCTOR
    tls->peer.seen = false;
#endif
    begin(stream, deadline_ms);
    for (;;) {
        int tls_rc = mbedtls_ssl_handshake(&stream->ssl);
        if (tls_rc == 0)
            break;
        int rc = wait_after(stream, tls_rc);
        if (rc < 0)
            return handshake_fault(stream, tls_rc, rc, where);
    }
    tls->statistics.handshakes++;
    if (!tls->saw_certificate)
        tls->statistics.resumed++;
    stream->usable = true;
    return 0;
}

/* In TLS 1.3 there is nothing to keep before the first ticket has come. */
static bool has_session(const struct tls_stream *stream)
{
#if defined(MBEDTLS_SSL_PROTO_TLS1_3)
    return mbedtls_ssl_get_version_number(&stream->ssl) == MBEDTLS_SSL_VERSION_TLS1_2;
#else
    (void)stream;
    return true;
#endif
}

/* mbedTLS 3.6 offers RSA-PSS because of TLS 1.3, and refuses a server of TLS 1.2 that then signs so
 * (OpenSSL's, with an RSA key). So behind such a refusal comes an attempt that leaves 1.3 out, and
 * that remains the limit as long as it works. */
static void choose_version(struct tls *tls, int rc)
{
#ifdef TLS_1_3
    bool refused = error_tls_code(rc) == MBEDTLS_ERR_SSL_ILLEGAL_PARAMETER;
    tls->without_1_3 = refused && !tls->without_1_3;
    mbedtls_ssl_conf_max_tls_version(&tls->config, tls->without_1_3 ? MBEDTLS_SSL_VERSION_TLS1_2
                                                                    : MBEDTLS_SSL_VERSION_TLS1_3);
#else
    (void)tls;
    (void)rc;
#endif
}

int tls_connect(struct tls *tls, int fd, const char *host, int64_t deadline_ms,
                const struct stop *stop, char where[TLS_WHERE_BYTES], struct stream **ret_stream)
{
    static const struct stream_operations operations = {
        .read = read_stream, .write = write_stream, .close = close_stream};
    struct tls_stream *stream = calloc(1, sizeof *stream);
    where[0] = '\0';
    if (stream == NULL) {
        (void)close(fd);
        return E_NO_MEMORY;
    }
    stream->stream.operations = &operations;
    stream->tls = tls;
    stream->fd = fd;
    stream->stop = stop;
    mbedtls_ssl_init(&stream->ssl);
    int rc = set_up(stream, host);
    if (rc == 0)
        rc = shake_hands(stream, deadline_ms, where);
    if (rc < 0) {
        forget_session(tls); /* should it be to blame, the next attempt is a full handshake */
        close_stream(&stream->stream);
        choose_version(tls, rc); /* of the shared configuration, which nobody uses now */
        return rc;
    }
    if (has_session(stream))
        keep_session(stream);
    *ret_stream = &stream->stream;
    return 0;
}
