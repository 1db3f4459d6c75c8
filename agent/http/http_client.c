/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/http/http_client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "platform/base/error.h"
#include "platform/clock.h"
#include "platform/hash.h"
#include "platform/net.h"
#include "platform/stream.h"

enum {
    PIECE_BYTES = 4096,
    EARLY_REPLY_MS = 1000, /* what a server said before it stopped listening is here or nearly */
    SLEPT_MS = 10 * 1000,  /* what an exchange may be late by without harm */
};

struct http_client {
    bool use_tls;
    uint16_t port;
    char *host;
    char *ca_file;
    char *cert_file;
    char *key_file;
    char *user;
    char *password;
    struct http_proxy proxy; /* its texts are the client's; host NULL: none */
    char *proxy_host;
    struct net_memory memory; /* of the proxy, or else of the host */
    int64_t (*wall_ms)(void *context, bool *ret_known);
    void *wall_context;
    int64_t connect_ms;
    int64_t idle_ms;
    int64_t total_ms;
    const struct stop *stop;
    struct tls *tls;       /* made with the first connection */
    struct stream *stream; /* NULL: not connected */
    int fd;                /* the stream's, to ask whether there is something to read */
    bool served;
    int64_t idle_since_ms; /* clock_boot_ms: a server's patience ends while we are suspended, too */
    struct http_statistics statistics;
    const struct http_meter *meter;
    uint64_t metered_out, metered_in; /* what it was told */
    struct http_parser parser;
    uint8_t out[PIECE_BYTES];
    uint8_t in[PIECE_BYTES];
};

/* One try at one request. */
struct exchange {
    struct http_client *client;
    const struct http_request *request;
    struct http_outcome *outcome;
    uint64_t total_bytes;
    uint64_t written_bytes;
    int64_t deadline_ms;
    int64_t asleep_ms; /* what the system had slept for when it began */
    bool finishing;    /* the body has been written whole and rightly */
    bool sent;
    bool answered;  /* status line and headers are in */
    bool left_over; /* the server said more than was asked for */
    int broken;     /* why the connection failed, not what a function returned */
    int refused;    /* why the reply was, by the parser or by a function */
};

static int64_t later(int64_t ms)
{
    int64_t now_ms = clock_mono_ms();
    return ms > INT64_MAX - now_ms ? INT64_MAX : now_ms + ms;
}

static int64_t earlier_of(int64_t a_ms, int64_t b_ms)
{
    return a_ms < b_ms ? a_ms : b_ms;
}

static const char *remedy(int code)
{
    switch (code) {
    case E_NAME:
        return "; check the host name";
    case E_RESOLVER:
        return "; check /etc/resolv.conf and the link";
    case E_TIMEOUT:
        return "; check the link and the firewall";
    case E_SYNTAX:
        return "; what answers there is no HTTP server: check the port and proxies on the way";
    default:
        break;
    }
    switch (error_errno(code)) {
    case ECONNREFUSED:
        return "; check the port and whether the server runs";
    case ENETUNREACH:
    case EHOSTUNREACH:
        return "; check the link and the default route";
    default:
        return "";
    }
}

/* Says where CODE happened; WHY replaces its text unless it is empty. Returns CODE. */
static int fail(const struct http_client *client, struct http_outcome *outcome, const char *doing,
                int code, const char *why)
{
    char text[ERROR_TEXT_BYTES];
    size_t host_bytes = strlen(client->host);
    if (why[0] == '\0')
        why = error_text(code, text, sizeof text);
    if (strncmp(why, client->host, host_bytes) == 0 && strncmp(why + host_bytes, ": ", 2) == 0)
        why += host_bytes + 2; /* TLS has named the host already: once is enough */
    (void)snprintf(outcome->fault, sizeof outcome->fault, "%s %s:%u: %s%s", doing, client->host,
                   (unsigned)client->port, why, remedy(code));
    return code;
}

static void tell_meter(struct http_client *client)
{
    struct http_statistics now;
    if (client->meter == NULL)
        return;
    http_client_get_statistics(client, &now);
    uint64_t out = now.bytes_out - client->metered_out;
    uint64_t in = now.bytes_in - client->metered_in;
    client->metered_out = now.bytes_out;
    client->metered_in = now.bytes_in;
    if (out > 0 || in > 0)
        client->meter->count(client->meter->context, out, in);
}

/* Before each piece, and before a connection is looked at: waits for the meter. DEADLINE_MS moves
 * by as much, since it is we who are slow. */
static int pace(struct exchange *exchange, int64_t *deadline_ms)
{
    struct http_client *client = exchange->client;
    const struct http_meter *meter = client->meter;
    int rc = E_TIMEOUT;
    int64_t begun_ms = clock_mono_ms();
    tell_meter(client);
    while (meter != NULL && rc == E_TIMEOUT) {
        int64_t ms = meter->wait_ms(meter->context);
        if (ms <= 0)
            break;
        rc = stop_wait(client->stop, -1, 0, later(ms));
    }
    int64_t waited_ms = clock_mono_ms() - begun_ms;
    if (*deadline_ms < INT64_MAX - waited_ms)
        *deadline_ms += waited_ms;
    if (rc == E_TIMEOUT)
        return 0;
    exchange->broken = rc;
    return rc;
}

void http_client_disconnect(struct http_client *client)
{
    stream_close(client->stream);
    tell_meter(client);
    client->stream = NULL;
    client->served = false;
}

/* A connection whose certificates had no dates to be judged by ends once there are some.
 *
 * Nothing may come from a server between replies: whatever does is its goodbye, or the reply to
 * nobody's question. Reading finds what TLS has taken in already, too, and lets its own messages
 * pass. */
static bool is_reusable(struct http_client *client)
{
    bool may_verify_dates = client->use_tls && client->tls != NULL &&
                            tls_dates_unverified(client->tls) && tls_time_is_known(client->tls);
    return client->stream != NULL && !may_verify_dates &&
           clock_boot_ms() - client->idle_since_ms < HTTP_IDLE_MS &&
           stream_read(client->stream, client->in, sizeof client->in, clock_mono_ms()) == E_TIMEOUT;
}

static int open_tls(struct http_client *client, struct http_outcome *outcome)
{
    const struct tls_options options = {.ca_file = client->ca_file,
                                        .cert_file = client->cert_file,
                                        .key_file = client->key_file,
                                        .wall_ms = client->wall_ms,
                                        .wall_context = client->wall_context};
    char where[TLS_WHERE_BYTES] = "";
    int rc = client->tls == NULL ? tls_open(&options, where, &client->tls) : 0;
    if (rc == 0)
        rc = tls_refresh(client->tls, client->host, where);
    if (rc == 0)
        return 0;
    outcome->files_unfit = rc != E_NO_MEMORY;
    return fail(client, outcome, "preparing TLS from the PEM files for", rc, where);
}

/* Makes the stream; FD is taken also on failure. */
static int wrap_socket(struct http_client *client, int fd, int64_t deadline_ms,
                       char where[TLS_WHERE_BYTES])
{
    if (client->use_tls)
        return tls_connect(client->tls, fd, client->host, deadline_ms, client->stop, where,
                           &client->stream);
    int rc = net_stream(fd, client->stop, &client->stream);
    if (rc < 0)
        (void)close(fd);
    return rc;
}

#ifdef CONFIG_HTTP_PROXY
static int fail_at_proxy(const struct http_client *client, struct http_outcome *outcome, int code)
{
    const struct http_proxy *proxy = &client->proxy;
    char text[ERROR_TEXT_BYTES];
    if (code == E_REFUSED)
        (void)snprintf(text, sizeof text, "it answered %d", outcome->proxy_status);
    else
        (void)error_text(code, text, sizeof text);
    outcome->proxy_failed = true;
    (void)snprintf(outcome->fault, sizeof outcome->fault, "asking the proxy %s:%u for %s:%u: %s%s",
                   proxy->host, (unsigned)proxy->port, client->host, (unsigned)client->port, text,
                   http_connect_remedy(code, outcome->proxy_status));
    return code;
}

/* Byte by byte: what follows the head belongs to the tunnel. */
static int read_proxy_reply(struct http_client *client, struct stream *stream, int64_t deadline_ms,
                            int *ret_status)
{
    uint8_t byte;
    int status = 0;
    http_parse_start(&client->parser);
    while (status == 0) {
        int rc =
            clock_mono_ms() >= deadline_ms ? E_TIMEOUT : stream_read(stream, &byte, 1, deadline_ms);
        if (rc < 0)
            return rc == E_END ? E_CLOSED : rc;
        client->statistics.bytes_in++;
        status = http_connect_feed(&client->parser, byte);
    }
    if (status < 0)
        return status;
    *ret_status = status;
    return 0;
}

static int ask_proxy(struct http_client *client, struct stream *stream, int64_t deadline_ms,
                     struct http_outcome *outcome)
{
    char head[HTTP_CONNECT_BYTES];
    int count = http_connect_write(&client->proxy, client->host, client->port, head);
    int rc = count < 0 ? count : stream_write(stream, head, (size_t)count, deadline_ms);
    explicit_bzero(head, sizeof head);
    if (rc < 0)
        return rc;
    client->statistics.bytes_out += (uint64_t)count;
    rc = read_proxy_reply(client, stream, deadline_ms, &outcome->proxy_status);
    if (rc < 0)
        return rc;
    if (outcome->proxy_status >= 300)
        return E_REFUSED;
    outcome->proxy_status = 0;
    return 0;
}

/* A socket that ends at the host, though the proxy never tells what is behind it: TLS does. */
static int connect_by_proxy(struct http_client *client, int64_t deadline_ms,
                            struct http_outcome *outcome, int *ret_fd)
{
    const struct http_proxy *proxy = &client->proxy;
    struct stream *stream;
    int fd;
    int rc = net_connect(proxy->host, proxy->port, &client->memory, deadline_ms, client->stop, &fd);
    if (rc < 0)
        return fail_at_proxy(client, outcome, rc);
    outcome->stage = HTTP_STAGE_PROXY;
    rc = net_stream(fd, client->stop, &stream);
    if (rc < 0) {
        (void)close(fd);
        return fail_at_proxy(client, outcome, rc);
    }
    rc = ask_proxy(client, stream, deadline_ms, outcome);
    if (rc < 0) {
        stream_close(stream);
        return fail_at_proxy(client, outcome, rc);
    }
    *ret_fd = net_stream_release(stream);
    return 0;
}
#endif

/* Addresses come with a name server's answer, or stay from the one before. */
static enum http_stage stage_of_socket(const struct http_client *client,
                                       const struct http_outcome *outcome)
{
    if (outcome->proxy_failed && outcome->stage == HTTP_STAGE_PROXY)
        return HTTP_STAGE_PROXY;
    return client->memory.count == 0 ? HTTP_STAGE_NAME : HTTP_STAGE_TCP;
}

static int connect_socket(struct http_client *client, int64_t deadline_ms,
                          struct http_outcome *outcome, int *ret_fd)
{
#ifdef CONFIG_HTTP_PROXY
    if (client->proxy.host != NULL)
        return connect_by_proxy(client, deadline_ms, outcome, ret_fd);
#endif
    int rc =
        net_connect(client->host, client->port, &client->memory, deadline_ms, client->stop, ret_fd);
    return rc < 0 ? fail(client, outcome, "connecting to", rc, "") : 0;
}

static int connect_client(struct http_client *client, struct http_outcome *outcome)
{
    char where[TLS_WHERE_BYTES] = "";
    int fd;
    int rc = client->use_tls ? open_tls(client, outcome) : 0;
    if (rc < 0)
        return rc;
    int64_t deadline_ms = later(client->connect_ms);
    outcome->stage = HTTP_STAGE_NAME;
    rc = connect_socket(client, deadline_ms, outcome, &fd);
    if (rc < 0) {
        outcome->stage = stage_of_socket(client, outcome);
        return rc;
    }
    outcome->stage = HTTP_STAGE_TLS;
    rc = wrap_socket(client, fd, deadline_ms, where);
    if (rc < 0)
        return fail(client, outcome,
                    client->proxy.host == NULL ? "connecting to" : "connecting by a proxy to", rc,
                    where);
    client->fd = fd;
    return 0;
}

static int take_connection(struct http_client *client, struct http_outcome *outcome)
{
    outcome->reused = is_reusable(client);
    int rc = 0;
    if (!outcome->reused) {
        http_client_disconnect(client);
        rc = connect_client(client, outcome);
    }
    if (rc == 0)
        outcome->stage = HTTP_STAGE_REQUEST;
    outcome->dates_unverified = rc == 0 && client->use_tls && tls_dates_unverified(client->tls);
    return rc;
}

/* A stream looks at its deadline only when it has to wait: who dribbles, or swallows, for ever is
 * caught here. */
static int check_time(const struct exchange *exchange, int64_t deadline_ms)
{
    if (stop_requested(exchange->client->stop))
        return E_STOP;
    return clock_mono_ms() >= deadline_ms ? E_TIMEOUT : 0;
}

/* A success before the request was out is none: the server cannot know all of it. */
/* Since the system was up, but for a constant. */
static int64_t asleep_ms(void)
{
    return clock_boot_ms() - clock_mono_ms();
}

/* A reply from before a sleep is read behind it: its date is not of now, and the server may have
 * lost its patience since. */
static bool has_slept(const struct exchange *exchange)
{
    return asleep_ms() - exchange->asleep_ms > SLEPT_MS;
}

static int on_head(void *context, const struct http_reply *reply)
{
    struct exchange *exchange = context;
    const struct http_request *request = exchange->request;
    struct http_reply dated = *reply;
    exchange->answered = true;
    if (!exchange->sent && reply->status < 300)
        return E_CLOSED;
    dated.has_date = reply->has_date && !has_slept(exchange);
    return request->on_head == NULL ? 0 : request->on_head(request->context, &dated);
}

static int on_body(void *context, const uint8_t *bytes, size_t count)
{
    const struct exchange *exchange = context;
    const struct http_request *request = exchange->request;
    return request->on_body == NULL ? 0 : request->on_body(request->context, bytes, count);
}

static int feed_reply(struct exchange *exchange, size_t count)
{
    const struct http_parse_events events = {on_head, on_body, exchange};
    struct http_client *client = exchange->client;
    exchange->outcome->reply_begun = true;
    if (!client->use_tls)
        client->statistics.bytes_in += count;
    int used = http_parse_feed(&client->parser, client->in, count, &events);
    exchange->left_over = used >= 0 && (size_t)used < count;
    exchange->refused = used < 0 ? used : 0;
    return exchange->refused;
}

/* Takes what comes first: a piece of the reply, or the end of the connection. */
static int read_piece(struct exchange *exchange, int64_t deadline_ms)
{
    struct http_client *client = exchange->client;
    int count = stream_read(client->stream, client->in, sizeof client->in, deadline_ms);
    if (count > 0)
        return feed_reply(exchange, (size_t)count);
    if (count == E_END && http_parse_end(&client->parser) == 0)
        return 0;
    exchange->broken = count == E_END ? E_CLOSED : count;
    return exchange->broken;
}

static int read_reply(struct exchange *exchange, int64_t deadline_ms)
{
    struct http_client *client = exchange->client;
    while (!http_parse_done(&client->parser)) {
        int rc = pace(exchange, &deadline_ms);
        if (rc == 0)
            rc = check_time(exchange, deadline_ms);
        if (rc < 0)
            exchange->broken = rc;
        else
            rc = read_piece(exchange, earlier_of(deadline_ms, later(client->idle_ms)));
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* A server that has seen enough of a request answers and stops listening; the rest need not go
 * over a link that is paid by the byte. What is readable may as well be TLS's own business, or a
 * 100 (Continue). */
static int listen_while_sending(struct exchange *exchange)
{
    struct pollfd poll_fd = {.fd = exchange->client->fd, .events = POLLIN};
    if (poll(&poll_fd, 1, 0) == 0)
        return 0;
    int rc = read_piece(exchange, clock_mono_ms());
    if (rc == E_TIMEOUT) {
        exchange->broken = 0;
        return 0;
    }
    return rc == 0 && exchange->answered ? E_CLOSED : rc;
}

static void start_time(struct exchange *exchange)
{
    struct http_client *client = exchange->client;
    exchange->outcome->sent_mono_ms = clock_mono_ms();
    net_expect(client->fd, exchange->total_bytes);
    int64_t total_ms = exchange->request->total_ms;
    exchange->deadline_ms = later(total_ms != 0 ? total_ms : client->total_ms);
    client->statistics.requests++;
}

static int write_piece(struct exchange *exchange, const uint8_t *bytes, size_t count)
{
    struct http_client *client = exchange->client;
    int rc = check_time(exchange, exchange->deadline_ms);
    if (rc == 0)
        rc = stream_write(client->stream, bytes, count,
                          earlier_of(exchange->deadline_ms, later(client->idle_ms)));
    if (rc < 0) {
        exchange->broken = rc;
        return rc;
    }
    exchange->written_bytes += count;
    if (!client->use_tls)
        client->statistics.bytes_out += count;
    return 0;
}

/* The writer flushes only when another byte follows or when it is finished: before the function
 * that writes the body has come to a good end, the last byte does not leave. */
static int send_piece(void *context, const uint8_t *bytes, size_t count)
{
    struct exchange *exchange = context;
    if (!exchange->finishing && exchange->written_bytes + count >= exchange->total_bytes)
        return E_CHANGED;
    int rc = pace(exchange, &exchange->deadline_ms);
    if (rc < 0)
        return rc;
    if (exchange->written_bytes == 0) {
        start_time(exchange);
        return write_piece(exchange, bytes, count);
    }
    rc = listen_while_sending(exchange);
    return rc < 0 ? rc : write_piece(exchange, bytes, count);
}

static int write_body(struct exchange *exchange, struct writer *out)
{
    const struct http_request *request = exchange->request;
    int rc = request->write_body == NULL ? 0 : request->write_body(request->context, out);
    if (exchange->broken < 0)
        return exchange->broken;
    return rc < 0 ? rc : out->error;
}

static int send_request(struct exchange *exchange)
{
    struct http_client *client = exchange->client;
    struct writer out;

    bool in_pieces = exchange->total_bytes > sizeof client->out;
    writer_to_function(&out, client->out, sizeof client->out, send_piece, exchange);
    if (in_pieces)
        net_hold_partial(client->fd, true);
    writer_bytes(&out, exchange->request->head, exchange->request->head_bytes);
    int rc = write_body(exchange, &out);
    if (rc < 0)
        return rc;
    if (writer_total_bytes(&out) != exchange->total_bytes)
        return E_CHANGED;
    exchange->finishing = true;
    rc = writer_finish(&out);
    if (rc < 0)
        return rc;
    if (in_pieces)
        net_hold_partial(client->fd, false);
    exchange->sent = true;
    exchange->outcome->sent = true;
    return 0;
}

/* Sending ended with CODE because the server stopped listening: it may have said why. */
static int read_early_reply(struct exchange *exchange, int code)
{
    if (code == E_STOP)
        return code;
    int rc = read_reply(exchange, later(EARLY_REPLY_MS));
    if (rc == 0 || exchange->outcome->reply_begun)
        return rc;
    exchange->broken = code;
    return code;
}

static bool may_keep(const struct exchange *exchange)
{
    return exchange->sent && !exchange->left_over && !has_slept(exchange) &&
           exchange->client->parser.reply.keep_alive;
}

static int talk(struct exchange *exchange)
{
    http_parse_start(&exchange->client->parser);
    int rc = send_request(exchange);
    if (exchange->refused < 0)
        return exchange->refused;
    if (rc == 0 || exchange->answered)
        return read_reply(exchange, exchange->deadline_ms);
    return exchange->broken < 0 ? read_early_reply(exchange, rc) : rc;
}

static int explain(const struct exchange *exchange, int code)
{
    bool early = exchange->answered && !exchange->sent && code == E_CLOSED;
    return fail(exchange->client, exchange->outcome,
                exchange->sent ? "reading the reply of" : "sending to", code,
                early ? "it answered before it had the whole request" : "");
}

static int try_once(struct exchange *exchange)
{
    struct http_client *client = exchange->client;
    int rc = pace(exchange, &exchange->deadline_ms);
    if (rc < 0)
        return fail(client, exchange->outcome, "waiting to connect to", rc, "");
    rc = take_connection(client, exchange->outcome);
    if (rc < 0)
        return rc;
    rc = talk(exchange);
    if (rc < 0 || !may_keep(exchange)) {
        http_client_disconnect(client);
        return rc < 0 ? explain(exchange, rc) : 0;
    }
    client->served = true;
    client->idle_since_ms = clock_boot_ms();
    return 0;
}

static bool may_try_again(const struct exchange *exchange)
{
    const struct http_outcome *outcome = exchange->outcome;
    return outcome->reused && !outcome->reply_begun && exchange->broken < 0 &&
           exchange->broken != E_TIMEOUT && exchange->broken != E_STOP;
}

int http_client_exchange(struct http_client *client, const struct http_request *request,
                         struct http_outcome *ret_outcome)
{
    struct http_outcome outcome = {0};
    struct exchange exchange = {.client = client,
                                .request = request,
                                .outcome = &outcome,
                                .asleep_ms = asleep_ms(),
                                .total_bytes = request->head_bytes + request->body_bytes};
    const struct exchange fresh = exchange;

    int rc = try_once(&exchange);
    if (rc < 0 && may_try_again(&exchange)) {
        exchange = fresh;
        outcome.fault[0] = '\0';
        outcome.sent_twice = outcome.sent_mono_ms != 0;
        outcome.sent_mono_ms = 0;
        rc = try_once(&exchange);
    }
    outcome.done_mono_ms = clock_mono_ms();
    tell_meter(client);
    *ret_outcome = outcome;
    return rc;
}

int http_client_connect(struct http_client *client, struct http_outcome *ret_outcome)
{
    *ret_outcome = (struct http_outcome){0};
    int rc = take_connection(client, ret_outcome);
    if (rc == 0 && !ret_outcome->reused)
        client->idle_since_ms = clock_boot_ms();
    ret_outcome->done_mono_ms = clock_mono_ms();
    tell_meter(client);
    return rc;
}

const struct net_memory *http_client_addresses(const struct http_client *client)
{
    return &client->memory;
}

#ifdef CONFIG_COMMAND_DOCTOR
void http_client_get_peer(const struct http_client *client, struct tls_peer *ret_peer)
{
    *ret_peer = (struct tls_peer){.seen = false};
    if (client->tls != NULL)
        tls_get_peer(client->tls, ret_peer);
}
#endif

static bool is_near(const char *host)
{
    return net_is_loopback(host) || net_is_metadata(host);
}

static int check_options(const struct http_client_options *options)
{
    if (options->host == NULL || options->host[0] == '\0' || options->port == 0 ||
        options->connect_ms <= 0 || options->idle_ms <= 0 || options->total_ms <= 0)
        return E_INVALID;
    if (!options->tls && !is_near(options->host))
        return E_REFUSED;
    return 0;
}

static bool wants_proxy(const struct http_client_options *options)
{
    return options->proxy.host != NULL && options->tls && !is_near(options->host);
}

/* False if memory is short; a text that is not given stays NULL. */
static bool copy_text(char **to, const char *text)
{
    *to = text == NULL ? NULL : strdup(text);
    return text == NULL || *to != NULL;
}

static bool copy_texts(struct http_client *client, const struct http_client_options *options)
{
    return copy_text(&client->host, options->host) &&
           copy_text(&client->ca_file, options->tls_options.ca_file) &&
           copy_text(&client->cert_file, options->tls_options.cert_file) &&
           copy_text(&client->key_file, options->tls_options.key_file);
}

static bool copy_proxy(struct http_client *client, const struct http_proxy *proxy)
{
    if (!copy_text(&client->proxy_host, proxy->host) || !copy_text(&client->user, proxy->user) ||
        !copy_text(&client->password, proxy->password))
        return false;
    client->proxy = (struct http_proxy){.host = client->proxy_host,
                                        .port = proxy->port,
                                        .user = client->user,
                                        .password = client->password};
    return true;
}

int http_client_open(const struct http_client_options *options, struct http_client **ret_client)
{
    int rc = check_options(options);
    if (rc < 0)
        return rc;
    struct http_client *client = calloc(1, sizeof *client);
    if (client == NULL)
        return E_NO_MEMORY;
    client->use_tls = options->tls;
    client->port = options->port;
    client->connect_ms = options->connect_ms;
    client->idle_ms = options->idle_ms;
    client->total_ms = options->total_ms;
    client->wall_ms = options->tls_options.wall_ms;
    client->wall_context = options->tls_options.wall_context;
    client->stop = options->stop;
    client->meter = options->meter;
    client->fd = -1;
    if (!copy_texts(client, options) ||
        (wants_proxy(options) && !copy_proxy(client, &options->proxy))) {
        http_client_close(client);
        return E_NO_MEMORY;
    }
    *ret_client = client;
    return 0;
}

/* The addresses of the host before are of no use; a TLS session is not offered to another. */
int http_client_point(struct http_client *client, const char *host)
{
    char *copy;
    if (strcmp(client->host, host) == 0)
        return E_OK;
    if (!client->use_tls && !is_near(host))
        return E_REFUSED;
    if (!copy_text(&copy, host))
        return E_NO_MEMORY;
    http_client_disconnect(client);
    free(client->host);
    client->host = copy;
    if (client->proxy.host == NULL)
        client->memory.count = 0;
    return E_OK;
}

const char *http_client_host(const struct http_client *client)
{
    return client->host;
}

void http_client_close(struct http_client *client)
{
    if (client == NULL)
        return;
    http_client_disconnect(client);
    tls_close(client->tls);
    hash_wipe(client->out, sizeof client->out); /* there may have been tokens and keys in them */
    hash_wipe(client->in, sizeof client->in);
    free(client->host);
    free(client->ca_file);
    free(client->cert_file);
    free(client->key_file);
    if (client->password != NULL)
        explicit_bzero(client->password, strlen(client->password));
    free(client->password);
    free(client->user);
    free(client->proxy_host);
    free(client);
}

void http_client_get_statistics(const struct http_client *client,
                                struct http_statistics *ret_statistics)
{
    struct http_statistics statistics = client->statistics;
    statistics.dns_failures = client->memory.failures;
    statistics.dns_recalled = client->memory.recalled;
    if (client->tls != NULL) {
        struct tls_statistics tls;
        tls_get_statistics(client->tls, &tls);
        statistics.bytes_in += tls.bytes_in; /* what is counted here alone is the proxy's share */
        statistics.bytes_out += tls.bytes_out;
        statistics.handshakes = tls.handshakes;
        statistics.resumed = tls.resumed;
    }
    *ret_statistics = statistics;
}
