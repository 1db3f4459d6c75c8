/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "agent/http/http_client.h"
#include "agent/http/http_write.h"
#include "platform/base/error.h"
#include "platform/clock.h"
#include "platform/net.h"
#include "tests/unit/fake_tls.h"

enum {
    RECEIVED_BYTES = 1 << 20,
    HEAD_BYTES = 256,
    BODY_BYTES = 4096,
    PATIENCE_S = 30,
    LONG_MS = 30000,
    LARGE_BODY = 16 << 20, /* more than the sockets' buffers hold */
};

/* What the server does, in this order. */
enum action {
    END,
    ACCEPT,
    READ_REQUEST,  /* head and body by Content-Length */
    READ_HEAD,     /* not one byte of the body */
    READ_BODY,     /* of the head before */
    READ_TO_END,   /* until the client closes */
    SEND,          /* text */
    SEND_BYTEWISE, /* text, each byte a segment of its own */
    SEND_FOR_EVER, /* text, again and again until the client closes */
    CLOSE,         /* a reset if the client's bytes lie there unread */
    SHUT_DOWN,     /* the end of what the server says */
    RESET,
    STOP_LISTENING,
    NOTIFY, /* wakes who waits in await */
};

struct step {
    enum action action;
    const char *text;
};

struct server {
    const struct step *steps;
    int listener;
    int fd;
    uint16_t port;
    pthread_t thread;
    sem_t notified;
    unsigned accepted;
    unsigned requests;
    size_t received_bytes;
    char received[RECEIVED_BYTES];
};

static int64_t boot_skip_ms;

int64_t __real_clock_boot_ms(void);
int64_t __wrap_clock_boot_ms(void);

int64_t __wrap_clock_boot_ms(void)
{
    return __real_clock_boot_ms() + boot_skip_ms;
}

/* A server that waits in vain gives up, so that a failed test ends. */
static void limit_patience(int fd)
{
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
}

static bool receive_byte(struct server *server)
{
    if (server->received_bytes == sizeof server->received - 1) /* it ends with a NUL */
        return false;
    if (recv(server->fd, server->received + server->received_bytes, 1, 0) != 1)
        return false;
    server->received_bytes++;
    return true;
}

/* False if the client hangs up before its end. */
static bool receive_head(struct server *server)
{
    size_t start = server->received_bytes;
    while (receive_byte(server)) {
        const char *end = server->received + server->received_bytes;
        if (server->received_bytes - start >= 4 && memcmp(end - 4, "\r\n\r\n", 4) == 0)
            return true;
    }
    return false;
}

static void receive_body(struct server *server, const char *head)
{
    const char *length = strstr(head, "Content-Length: ");
    unsigned long body = length == NULL ? 0 : strtoul(length + 16, NULL, 10);
    while (body > 0 && receive_byte(server))
        body--;
    server->requests += body == 0;
}

static void receive_request(struct server *server)
{
    const char *head = server->received + server->received_bytes;
    if (receive_head(server))
        receive_body(server, head);
}

static void send_bytewise(int fd, const char *text)
{
    for (; *text != '\0'; text++)
        (void)send(fd, text, 1, MSG_NOSIGNAL);
}

static void send_for_ever(int fd, const char *text)
{
    while (send(fd, text, strlen(text), MSG_NOSIGNAL) > 0)
        continue;
}

static void hang_up(struct server *server)
{
    if (server->fd >= 0)
        (void)close(server->fd);
    server->fd = -1;
}

static void reset(struct server *server)
{
    const struct linger none = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(server->fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    hang_up(server);
}

static void accept_client(struct server *server)
{
    hang_up(server);
    server->fd = accept(server->listener, NULL, NULL);
    server->accepted += server->fd >= 0;
    limit_patience(server->fd);
}

static void do_step(struct server *server, const struct step *step)
{
    switch (step->action) {
    case ACCEPT:
        accept_client(server);
        break;
    case READ_REQUEST:
        receive_request(server);
        break;
    case READ_HEAD:
        (void)receive_head(server);
        break;
    case READ_BODY:
        receive_body(server, server->received);
        break;
    case READ_TO_END:
        while (receive_byte(server))
            continue;
        break;
    case SEND:
        (void)send(server->fd, step->text, strlen(step->text), MSG_NOSIGNAL);
        break;
    case SEND_BYTEWISE:
        send_bytewise(server->fd, step->text);
        break;
    case SEND_FOR_EVER:
        send_for_ever(server->fd, step->text);
        break;
    case CLOSE:
        hang_up(server);
        break;
    case SHUT_DOWN:
        (void)shutdown(server->fd, SHUT_WR);
        break;
    case RESET:
        reset(server);
        break;
    case STOP_LISTENING:
        (void)close(server->listener);
        server->listener = -1;
        break;
    default:
        (void)sem_post(&server->notified);
        break;
    }
}

static void *run_server(void *context)
{
    struct server *server = context;
    for (const struct step *step = server->steps; step->action != END; step++)
        do_step(server, step);
    return NULL;
}

static void start_server(struct server *server, const struct step *steps)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof address;
    server->steps = steps;
    server->fd = -1;
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(server->listener >= 0);
    limit_patience(server->listener);
    assert_int_equal(bind(server->listener, (struct sockaddr *)&address, bytes), 0);
    assert_int_equal(listen(server->listener, 16), 0);
    assert_int_equal(getsockname(server->listener, (struct sockaddr *)&address, &bytes), 0);
    server->port = ntohs(address.sin_port);
    assert_int_equal(sem_init(&server->notified, 0, 0), 0);
    assert_int_equal(pthread_create(&server->thread, NULL, run_server, server), 0);
}

static void await(struct server *server)
{
    while (sem_wait(&server->notified) < 0)
        assert_int_equal(errno, EINTR);
}

static void join_server(struct server *server)
{
    assert_int_equal(pthread_join(server->thread, NULL), 0);
    hang_up(server);
    (void)close(server->listener);
    (void)sem_destroy(&server->notified);
}

/* A client, and what it met. */
struct peer {
    struct stop stop;
    struct http_client *client;
    struct http_outcome outcome;
    struct http_reply reply;
    char body[BODY_BYTES];
    size_t body_bytes;
    uint64_t write_bytes; /* what write_body writes, whatever was announced */
    int write_error;
    int head_error;
    bool stop_at_head;
    bool slow; /* takes its time over each piece of a body */
};

static struct http_client_options plain_options(uint16_t port)
{
    return (struct http_client_options){.host = "127.0.0.1",
                                        .port = port,
                                        .connect_ms = LONG_MS,
                                        .idle_ms = LONG_MS,
                                        .total_ms = LONG_MS};
}

static void open_peer(struct peer *peer, const struct http_client_options *options)
{
    struct http_client_options with_stop = *options;
    assert_int_equal(stop_open(&peer->stop), 0);
    with_stop.stop = &peer->stop;
    assert_int_equal(http_client_open(&with_stop, &peer->client), 0);
}

static void close_peer(struct peer *peer)
{
    http_client_close(peer->client);
    stop_close(&peer->stop);
}

/* A server that goes through its steps, and a client of it. */
struct scene {
    struct server server;
    struct peer peer;
};

static struct scene *begin_with(const struct step *steps, int64_t idle_ms, int64_t total_ms)
{
    struct scene *scene = calloc(1, sizeof *scene);
    assert_non_null(scene);
    start_server(&scene->server, steps);
    struct http_client_options options = plain_options(scene->server.port);
    options.idle_ms = idle_ms;
    options.total_ms = total_ms;
    open_peer(&scene->peer, &options);
    return scene;
}

static struct scene *begin(const struct step *steps)
{
    return begin_with(steps, LONG_MS, LONG_MS);
}

/* The client goes first: a server may wait for its end. */
static void end_client(struct scene *scene)
{
    close_peer(&scene->peer);
    join_server(&scene->server);
}

static void end(struct scene *scene)
{
    end_client(scene);
    free(scene);
}

static int write_body(void *context, struct writer *out)
{
    const struct peer *peer = context;
    for (uint64_t i = 0; i < peer->write_bytes; i++)
        writer_char(out, (char)('a' + i % 26));
    return peer->write_error;
}

static int on_head(void *context, const struct http_reply *reply)
{
    struct peer *peer = context;
    peer->reply = *reply;
    if (peer->stop_at_head)
        stop_request(&peer->stop);
    return peer->head_error;
}

static int on_body(void *context, const uint8_t *bytes, size_t count)
{
    struct peer *peer = context;
    size_t room = sizeof peer->body - 1 - peer->body_bytes;
    if (peer->slow)
        (void)poll(NULL, 0, 2);
    size_t take = count < room ? count : room;
    memcpy(peer->body + peer->body_bytes, bytes, take);
    peer->body_bytes += take;
    peer->body[peer->body_bytes] = '\0';
    return 0;
}

static int post(struct peer *peer, uint64_t announced_bytes, uint64_t write_bytes)
{
    char head[HEAD_BYTES];
    struct writer out;
    writer_to_memory(&out, head, sizeof head);
    http_write_request_line(&out, "POST", "/", "");
    http_write_header_unsigned(&out, "Content-Length", announced_bytes);
    http_write_end(&out);
    assert_int_equal(writer_finish(&out), 0);
    const struct http_request request = {.head = head,
                                         .head_bytes = out.used_bytes,
                                         .body_bytes = announced_bytes,
                                         .write_body = write_body,
                                         .on_head = on_head,
                                         .on_body = on_body,
                                         .context = peer};
    peer->write_bytes = write_bytes;
    peer->body_bytes = 0;
    peer->body[0] = '\0';
    memset(&peer->reply, 0, sizeof peer->reply);
    memset(&peer->outcome, 0xff, sizeof peer->outcome);
    return http_client_exchange(peer->client, &request, &peer->outcome);
}

/* What is the same for all tests: one POST of 3 bytes. */
static int post_small(struct peer *peer)
{
    return post(peer, 3, 3);
}

static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
static const char closing[] =
    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello";

static void check_ok(const struct peer *peer)
{
    assert_int_equal(peer->reply.status, 200);
    assert_string_equal(peer->body, "hello");
    assert_true(peer->outcome.sent);
    assert_true(peer->outcome.reply_begun);
    assert_true(peer->outcome.sent_mono_ms > 0);
    assert_true(peer->outcome.done_mono_ms >= peer->outcome.sent_mono_ms);
    assert_string_equal(peer->outcome.fault, "");
}

static void test_exchange(void **state)
{
    static const struct step steps[] = {
        {ACCEPT, NULL}, {READ_REQUEST, NULL}, {SEND, ok}, {END, NULL}};
    struct http_statistics statistics;
    struct scene *scene = begin(steps);
    (void)state;
    assert_int_equal(post(&scene->peer, 10000, 10000), 0);
    check_ok(&scene->peer);
    assert_false(scene->peer.outcome.reused);
    http_client_get_statistics(scene->peer.client, &statistics);
    end_client(scene);
    assert_int_equal(scene->server.requests, 1);
    const char *body = strstr(scene->server.received, "\r\n\r\n") + 4;
    for (int i = 0; i < 10000; i++)
        assert_int_equal(body[i], 'a' + i % 26);
    assert_int_equal(statistics.requests, 1);
    assert_int_equal(statistics.bytes_out, scene->server.received_bytes);
    assert_int_equal(statistics.bytes_in, sizeof ok - 1);
    assert_int_equal(statistics.handshakes, 0);
    free(scene);
}

static void test_keep_alive(void **state)
{
    static const struct step steps[] = {
        {ACCEPT, NULL}, {READ_REQUEST, NULL}, {SEND, ok},      {READ_REQUEST, NULL},
        {SEND, ok},     {READ_REQUEST, NULL}, {SEND, closing}, {READ_TO_END, NULL},
        {ACCEPT, NULL}, {READ_REQUEST, NULL}, {SEND, ok},      {END, NULL}};
    struct scene *scene = begin(steps);
    (void)state;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(post_small(&scene->peer), 0);
        check_ok(&scene->peer);
        assert_int_equal(scene->peer.outcome.reused, i == 1 || i == 2);
    }
    end_client(scene);
    assert_int_equal(scene->server.accepted, 2);
    free(scene);
}

static void test_disconnect(void **state)
{
    static const struct step steps[] = {
        {ACCEPT, NULL}, {READ_REQUEST, NULL}, {SEND, ok}, {READ_TO_END, NULL},
        {ACCEPT, NULL}, {READ_REQUEST, NULL}, {SEND, ok}, {END, NULL}};
    struct scene *scene = begin(steps);
    (void)state;
    assert_int_equal(post_small(&scene->peer), 0);
    http_client_disconnect(scene->peer.client);
    http_client_disconnect(scene->peer.client);
    assert_int_equal(post_small(&scene->peer), 0);
    assert_false(scene->peer.outcome.reused);
    end(scene);
}

static void test_another_host(void **state)
{
    static const struct step steps[] = {
        {ACCEPT, NULL}, {READ_REQUEST, NULL}, {SEND, ok}, {READ_TO_END, NULL},
        {ACCEPT, NULL}, {READ_REQUEST, NULL}, {SEND, ok}, {READ_REQUEST, NULL},
        {SEND, ok},     {END, NULL}};
    struct scene *scene = begin(steps);
    struct http_client *client = scene->peer.client;
    (void)state;
    assert_int_equal(post_small(&scene->peer), 0);
    assert_int_equal(http_client_point(client, "localhost"), E_OK);
    assert_int_equal(post_small(&scene->peer), 0);
    assert_false(scene->peer.outcome.reused);
    assert_int_equal(http_client_point(client, "localhost"), E_OK); /* it is there already */
    assert_int_equal(http_client_point(client, "s3.eu-west-1.amazonaws.com"), E_REFUSED);
    assert_int_equal(post_small(&scene->peer), 0);
    assert_true(scene->peer.outcome.reused);
    end(scene);
}

/* 15 s of idleness are too many, also if they passed while the system was suspended. */
static void test_idle_connection_is_replaced(void **state)
{
    static const struct step steps[] = {
        {ACCEPT, NULL}, {READ_REQUEST, NULL}, {SEND, ok},     {READ_REQUEST, NULL},
        {SEND, ok},     {READ_TO_END, NULL},  {ACCEPT, NULL}, {READ_REQUEST, NULL},
        {SEND, ok},     {END, NULL}};
    struct scene *scene = begin(steps);
    (void)state;
    assert_int_equal(post_small(&scene->peer), 0);
    boot_skip_ms += HTTP_IDLE_MS / 2;
    assert_int_equal(post_small(&scene->peer), 0);
    assert_true(scene->peer.outcome.reused);
    boot_skip_ms += HTTP_IDLE_MS;
    assert_int_equal(post_small(&scene->peer), 0);
    assert_false(scene->peer.outcome.reused);
    check_ok(&scene->peer);
    end(scene);
}

/* A connection that the server closed or wrote to between two requests is not used again. */
static void run_spoilt_connection(enum action spoil, const char *text)
{
    const struct step steps[] = {
        {ACCEPT, NULL}, {READ_REQUEST, NULL}, {SEND, ok},           {NOTIFY, NULL}, {spoil, text},
        {NOTIFY, NULL}, {ACCEPT, NULL},       {READ_REQUEST, NULL}, {SEND, ok},     {END, NULL}};
    struct scene *scene = begin(steps);
    assert_int_equal(post_small(&scene->peer), 0);
    await(&scene->server);
    await(&scene->server);
    assert_int_equal(post_small(&scene->peer), 0);
    check_ok(&scene->peer);
    assert_false(scene->peer.outcome.reused);
    end_client(scene);
    assert_int_equal(scene->server.requests, 2);
    free(scene);
}

static void test_spoilt_connections(void **state)
{
    (void)state;
    run_spoilt_connection(CLOSE, NULL);
    run_spoilt_connection(SHUT_DOWN, NULL);
    run_spoilt_connection(RESET, NULL);
    run_spoilt_connection(SEND, "HTTP/1.1 408 Too slow\r\n\r\n");
}

/* A reply with something behind it: whose is the next one? */
static void test_bytes_behind_the_reply(void **state)
{
    static const char two[] =
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n";
    static const struct step steps[] = {
        {ACCEPT, NULL}, {READ_REQUEST, NULL}, {SEND, two}, {READ_TO_END, NULL},
        {ACCEPT, NULL}, {READ_REQUEST, NULL}, {SEND, ok},  {END, NULL}};
    struct scene *scene = begin(steps);
    (void)state;
    assert_int_equal(post_small(&scene->peer), 0);
    check_ok(&scene->peer);
    assert_int_equal(post_small(&scene->peer), 0);
    check_ok(&scene->peer);
    assert_false(scene->peer.outcome.reused);
    end(scene);
}

/* The server took the request on a connection that had served before, and said nothing. */
static void run_dead_reused_connection(enum action death)
{
    const struct step steps[] = {{ACCEPT, NULL},       {READ_REQUEST, NULL}, {SEND, ok},
                                 {READ_REQUEST, NULL}, {death, NULL},        {ACCEPT, NULL},
                                 {READ_REQUEST, NULL}, {SEND, ok},           {END, NULL}};
    struct http_statistics statistics;
    struct scene *scene = begin(steps);
    assert_int_equal(post(&scene->peer, 9000, 9000), 0);
    assert_int_equal(post(&scene->peer, 9000, 9000), 0);
    check_ok(&scene->peer);
    http_client_get_statistics(scene->peer.client, &statistics);
    assert_int_equal(statistics.requests, 3);
    end_client(scene);
    assert_int_equal(scene->server.requests, 3);
    free(scene);
}

static void test_dead_reused_connection(void **state)
{
    (void)state;
    run_dead_reused_connection(CLOSE);
    run_dead_reused_connection(RESET);
}

/* Once only: the second connection is fresh, and what dies on it is told. */
static void test_second_try_dies_too(void **state)
{
    static const struct step steps[] = {{ACCEPT, NULL},       {READ_REQUEST, NULL}, {SEND, ok},
                                        {READ_REQUEST, NULL}, {RESET, NULL},        {ACCEPT, NULL},
                                        {READ_REQUEST, NULL}, {RESET, NULL},        {END, NULL}};
    struct scene *scene = begin(steps);
    (void)state;
    assert_int_equal(post_small(&scene->peer), 0);
    assert_int_equal(post_small(&scene->peer), E_CLOSED);
    assert_true(scene->peer.outcome.sent);
    end_client(scene);
    assert_int_equal(scene->server.accepted, 2);
    free(scene);
}

/* What was sent first may have been stored, even if the second try reached nobody. */
static void test_second_try_finds_nobody(void **state)
{
    static const struct step steps[] = {{ACCEPT, NULL},       {READ_REQUEST, NULL},   {SEND, ok},
                                        {READ_REQUEST, NULL}, {STOP_LISTENING, NULL}, {RESET, NULL},
                                        {END, NULL}};
    struct scene *scene = begin(steps);
    (void)state;
    assert_int_equal(post_small(&scene->peer), 0);
    assert_int_equal(post_small(&scene->peer), error_sys(ECONNREFUSED));
    assert_true(scene->peer.outcome.sent);
    assert_true(scene->peer.outcome.sent_twice);
    assert_true(scene->peer.outcome.sent_mono_ms == 0); /* that is, once in all */
    end(scene);
}

static void run_dead_fresh_connection(enum action death)
{
    const struct step steps[] = {{ACCEPT, NULL}, {READ_REQUEST, NULL}, {death, NULL}, {END, NULL}};
    char place[32];
    struct scene *scene = begin(steps);
    assert_int_equal(post_small(&scene->peer), E_CLOSED);
    assert_true(scene->peer.outcome.sent);
    assert_false(scene->peer.outcome.reply_begun);
    assert_int_equal(scene->peer.reply.status, 0);
    (void)snprintf(place, sizeof place, "127.0.0.1:%u", (unsigned)scene->server.port);
    assert_non_null(strstr(scene->peer.outcome.fault, place));
    end_client(scene);
    assert_int_equal(scene->server.accepted, 1);
    free(scene);
}

static void test_dead_fresh_connection(void **state)
{
    (void)state;
    run_dead_fresh_connection(CLOSE);
    run_dead_fresh_connection(RESET);
}

static void run_reply(enum action how, const char *text, int expected)
{
    const struct step steps[] = {{ACCEPT, NULL},    {READ_REQUEST, NULL}, {how, text},
                                 {SHUT_DOWN, NULL}, {READ_TO_END, NULL},  {END, NULL}};
    struct scene *scene = begin(steps);
    assert_int_equal(post_small(&scene->peer), expected);
    if (expected == 0)
        check_ok(&scene->peer);
    else
        assert_string_not_equal(scene->peer.outcome.fault, "");
    end(scene);
}

static void test_kinds_of_replies(void **state)
{
    static const char chunked[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                  "2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nTrailer: z\r\n\r\n";
    static const char continued[] = "HTTP/1.1 100 Continue\r\n\r\n"
                                    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    static const char closed[] = "HTTP/1.0 200 OK\r\n\r\nhello";
    (void)state;
    run_reply(SEND, chunked, 0);
    run_reply(SEND_BYTEWISE, chunked, 0);
    run_reply(SEND_BYTEWISE, continued, 0);
    run_reply(SEND_BYTEWISE, ok, 0);
    run_reply(SEND, closed, 0);
    run_reply(SEND, "<html>Please log in</html>\r\n", E_SYNTAX);
    run_reply(SEND, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", E_SYNTAX);
    run_reply(SEND_FOR_EVER, "HTTP/1.1 100 Continue\r\n\r\n", E_TOO_BIG);
}

/* A reply that was cut off anywhere is none. */
static void test_every_prefix(void **state)
{
    char text[sizeof ok];
    (void)state;
    for (size_t count = 0; count < sizeof ok - 1; count++) {
        memcpy(text, ok, count);
        text[count] = '\0';
        run_reply(SEND, text, E_CLOSED);
    }
}

static void test_cut_reply_on_reused_connection(void **state)
{
    static const struct step steps[] = {{ACCEPT, NULL},       {READ_REQUEST, NULL}, {SEND, ok},
                                        {READ_REQUEST, NULL}, {SEND, "HTTP/1.1 2"}, {CLOSE, NULL},
                                        {END, NULL}};
    struct scene *scene = begin(steps);
    (void)state;
    assert_int_equal(post_small(&scene->peer), 0);
    assert_int_equal(post_small(&scene->peer), E_CLOSED);
    assert_true(scene->peer.outcome.reused);
    assert_true(scene->peer.outcome.reply_begun);
    end_client(scene);
    assert_int_equal(scene->server.accepted, 1);
    free(scene);
}

static void test_garbage_drops_the_connection(void **state)
{
    static const struct step steps[] = {
        {ACCEPT, NULL},      {READ_REQUEST, NULL}, {SEND, "220 smtp\r\n"},
        {READ_TO_END, NULL}, {ACCEPT, NULL},       {READ_REQUEST, NULL},
        {SEND, ok},          {END, NULL}};
    struct scene *scene = begin(steps);
    (void)state;
    assert_int_equal(post_small(&scene->peer), E_SYNTAX);
    assert_non_null(strstr(scene->peer.outcome.fault, "no HTTP server"));
    assert_int_equal(post_small(&scene->peer), 0);
    assert_false(scene->peer.outcome.reused);
    end(scene);
}

/* The server answers when it has seen the head, and closes with the body unread. */
static void run_early_reply(const char *text, int expected)
{
    const struct step steps[] = {
        {ACCEPT, NULL}, {READ_HEAD, NULL}, {SEND, text}, {CLOSE, NULL}, {END, NULL}};
    struct scene *scene = begin(steps);
    assert_int_equal(post(&scene->peer, LARGE_BODY, LARGE_BODY), expected);
    assert_false(scene->peer.outcome.sent);
    if (expected == 0) {
        assert_int_equal(scene->peer.reply.status, 413);
        assert_string_equal(scene->peer.body, "too big");
    } else {
        assert_int_equal(scene->peer.reply.status, 0);
    }
    end(scene);
}

static void test_early_reply(void **state)
{
    (void)state;
    run_early_reply("HTTP/1.1 413 Too large\r\nContent-Length: 7\r\n\r\ntoo big", 0);
    run_early_reply(ok, E_CLOSED); /* no server can know that all is well */
    run_early_reply("HTTP/1.1 413 T", E_CLOSED);
    run_early_reply("", E_CLOSED);
}

/* The server answers at once and takes the rest of the request all the same: it is not sent. */
static void run_polite_early_reply(const char *text, int expected)
{
    const struct step steps[] = {
        {ACCEPT, NULL}, {READ_HEAD, NULL}, {SEND, text}, {READ_TO_END, NULL}, {END, NULL}};
    struct scene *scene = begin(steps);
    assert_int_equal(post(&scene->peer, LARGE_BODY, LARGE_BODY), expected);
    assert_false(scene->peer.outcome.sent);
    assert_true(scene->peer.outcome.reply_begun);
    if (expected == 0)
        assert_string_equal(scene->peer.body, "too big");
    else
        assert_non_null(strstr(scene->peer.outcome.fault, "before it had the whole request"));
    end(scene);
}

static void test_polite_early_reply(void **state)
{
    (void)state;
    run_polite_early_reply("HTTP/1.1 413 Too large\r\nContent-Length: 7\r\n\r\ntoo big", 0);
    run_polite_early_reply("HTTP/1.1 100 Continue\r\n\r\n"
                           "HTTP/1.1 413 Too large\r\nContent-Length: 7\r\n\r\ntoo big",
                           0);
    run_polite_early_reply(ok, E_CLOSED);
}

/* What is said while the request is sent need not be the reply. */
static void test_continue_while_sending(void **state)
{
    static const struct step steps[] = {
        {ACCEPT, NULL},    {READ_HEAD, NULL}, {SEND, "HTTP/1.1 100 Continue\r\n\r\n"},
        {READ_BODY, NULL}, {SEND, ok},        {END, NULL}};
    struct scene *scene = begin(steps);
    (void)state;
    assert_int_equal(post(&scene->peer, 500000, 500000), 0);
    check_ok(&scene->peer);
    end(scene);
}

static void test_early_reply_refused(void **state)
{
    static const struct step steps[] = {{ACCEPT, NULL},
                                        {READ_HEAD, NULL},
                                        {SEND, "HTTP/1.1 413 Too large\r\n\r\n"},
                                        {READ_TO_END, NULL},
                                        {END, NULL}};
    struct scene *scene = begin(steps);
    (void)state;
    scene->peer.head_error = E_REFUSED;
    assert_int_equal(post(&scene->peer, LARGE_BODY, LARGE_BODY), E_REFUSED);
    assert_false(scene->peer.outcome.sent);
    end(scene);
}

/* The server must never hold a whole request whose second rendering was not like the first. */
static void run_wrong_body(uint64_t announced_bytes, uint64_t write_bytes, int write_error,
                           int expected)
{
    static const struct step steps[] = {{ACCEPT, NULL}, {READ_REQUEST, NULL}, {END, NULL}};
    struct scene *scene = begin(steps);
    scene->peer.write_error = write_error;
    assert_int_equal(post(&scene->peer, announced_bytes, write_bytes), expected);
    assert_false(scene->peer.outcome.sent);
    assert_int_equal(scene->peer.reply.status, 0);
    end_client(scene);
    assert_int_equal(scene->server.requests, 0);
    free(scene);
}

static void test_wrong_body(void **state)
{
    (void)state;
    for (uint64_t size = 4000; size < 4200; size++) {
        run_wrong_body(size, size - 1, 0, E_CHANGED);
        run_wrong_body(size, size + 1, 0, E_CHANGED);
        run_wrong_body(size, size, E_DAMAGED, E_DAMAGED);
    }
    run_wrong_body(1, 0, 0, E_CHANGED);
    run_wrong_body(100, 9000, 0, E_CHANGED);
    run_wrong_body(100000, 0, E_DAMAGED, E_DAMAGED);
}

static void test_body_sizes(void **state)
{
    static const struct step steps[] = {
        {ACCEPT, NULL}, {READ_REQUEST, NULL}, {SEND, ok}, {END, NULL}};
    (void)state;
    for (uint64_t size = 4000; size < 4200; size++) {
        struct scene *scene = begin(steps);
        assert_int_equal(post(&scene->peer, size, size), 0);
        check_ok(&scene->peer);
        end_client(scene);
        assert_int_equal(scene->server.requests, 1);
        free(scene);
    }
}

static void test_request_without_body(void **state)
{
    static const struct step steps[] = {
        {ACCEPT, NULL}, {READ_REQUEST, NULL}, {SEND, ok}, {END, NULL}};
    static const char head[] = "GET / HTTP/1.1\r\n\r\n";
    struct http_request request = {.head = head, .head_bytes = sizeof head - 1};
    struct scene *scene = begin(steps);
    (void)state;
    assert_int_equal(http_client_exchange(scene->peer.client, &request, &scene->peer.outcome), 0);
    assert_true(scene->peer.outcome.sent);
    request.body_bytes = 1;
    assert_int_equal(http_client_exchange(scene->peer.client, &request, &scene->peer.outcome),
                     E_CHANGED);
    end(scene);
}

static void test_functions_end_it(void **state)
{
    static const struct step steps[] = {
        {ACCEPT, NULL}, {READ_REQUEST, NULL}, {SEND, ok}, {READ_TO_END, NULL}, {END, NULL}};
    struct scene *scene = begin(steps);
    (void)state;
    scene->peer.head_error = E_REFUSED;
    assert_int_equal(post_small(&scene->peer), E_REFUSED);
    assert_true(scene->peer.outcome.sent);
    assert_true(scene->peer.outcome.reply_begun);
    end(scene);
}

static void test_silence(void **state)
{
    static const struct step steps[] = {{ACCEPT, NULL},
                                        {READ_REQUEST, NULL},
                                        {SEND, "HTTP/1.1 200 OK\r\n"},
                                        {READ_TO_END, NULL},
                                        {END, NULL}};
    struct scene *scene = begin_with(steps, 100, LONG_MS);
    (void)state;
    assert_int_equal(post_small(&scene->peer), E_TIMEOUT);
    assert_true(scene->peer.outcome.sent);
    assert_non_null(strstr(scene->peer.outcome.fault, "check the link"));
    end(scene);
}

/* Silence is no death: the server may be at work on the request, so it is not sent again. */
static void test_silence_on_reused_connection(void **state)
{
    static const struct step steps[] = {{ACCEPT, NULL},       {READ_REQUEST, NULL}, {SEND, ok},
                                        {READ_REQUEST, NULL}, {READ_TO_END, NULL},  {END, NULL}};
    struct http_statistics statistics;
    struct scene *scene = begin_with(steps, 2000, LONG_MS);
    (void)state;
    assert_int_equal(post_small(&scene->peer), 0);
    assert_int_equal(post_small(&scene->peer), E_TIMEOUT);
    http_client_get_statistics(scene->peer.client, &statistics);
    assert_int_equal(statistics.requests, 2);
    end(scene);
}

/* Something always comes, faster than it can be taken, but the end never does. */
static void test_total_time(void **state)
{
    static const struct step steps[] = {{ACCEPT, NULL},
                                        {READ_REQUEST, NULL},
                                        {SEND, "HTTP/1.1 200 OK\r\n\r\n"},
                                        {SEND_FOR_EVER, "more and more"},
                                        {END, NULL}};
    struct scene *scene = begin_with(steps, LONG_MS, 1000);
    (void)state;
    scene->peer.slow = true;
    assert_int_equal(post_small(&scene->peer), E_TIMEOUT);
    assert_int_equal(scene->peer.reply.status, 200);
    end(scene);
}

/* The server stops reading: the request gets stuck. */
static void test_stuck_request(void **state)
{
    static const struct step steps[] = {
        {ACCEPT, NULL}, {READ_HEAD, NULL}, {NOTIFY, NULL}, {END, NULL}};
    struct scene *scene = begin_with(steps, 200, LONG_MS);
    (void)state;
    assert_int_equal(post(&scene->peer, LARGE_BODY, LARGE_BODY), E_TIMEOUT);
    assert_false(scene->peer.outcome.sent);
    await(&scene->server);
    end(scene);
}

/* A meter that has each piece wait, so that in all it takes longer than silence and total allow. */
struct slow_meter {
    struct http_meter meter;
    const struct stop *stop; /* requested at the first wait, if there is one */
    unsigned asked;
    int64_t each_ms;
    uint64_t out, in;
};

static void meter_count(void *context, uint64_t bytes_out, uint64_t bytes_in)
{
    struct slow_meter *meter = context;
    meter->out += bytes_out;
    meter->in += bytes_in;
}

/* Every other time: wait, then go. */
static int64_t meter_wait_ms(void *context)
{
    struct slow_meter *meter = context;
    if (meter->stop != NULL)
        stop_request((struct stop *)(uintptr_t)meter->stop);
    return meter->asked++ % 2 == 0 ? meter->each_ms : 0;
}

static struct scene *begin_metered(const struct step *steps, struct slow_meter *meter,
                                   int64_t total_ms)
{
    struct scene *scene = calloc(1, sizeof *scene);
    assert_non_null(scene);
    meter->meter = (struct http_meter){meter_count, meter_wait_ms, meter};
    start_server(&scene->server, steps);
    struct http_client_options options = plain_options(scene->server.port);
    options.total_ms = total_ms;
    options.meter = &meter->meter;
    open_peer(&scene->peer, &options);
    return scene;
}

/* All that the sockets saw is told, and the waits are not of the time that the server has. */
static void test_meter(void **state)
{
    static const struct step steps[] = {{ACCEPT, NULL},       {READ_REQUEST, NULL}, {SEND, ok},
                                        {READ_REQUEST, NULL}, {SEND, closing},      {END, NULL}};
    enum { TOTAL_MS = 2000, EACH_MS = 350 };
    struct slow_meter meter = {.each_ms = EACH_MS};
    struct scene *scene = begin_metered(steps, &meter, TOTAL_MS);
    (void)state;
    assert_int_equal(post(&scene->peer, 40000, 40000), 0);
    check_ok(&scene->peer);
    assert_true(meter.asked / 2 * EACH_MS > TOTAL_MS);
    assert_int_equal(meter.in, sizeof ok - 1);
    meter.each_ms = 0;
    assert_int_equal(post_small(&scene->peer), 0);
    assert_true(scene->peer.outcome.reused);
    end_client(scene);
    assert_int_equal(meter.out, scene->server.received_bytes);
    assert_int_equal(meter.in, sizeof ok - 1 + sizeof closing - 1);
    free(scene);
}

/* A request that dies half-way was paid for, too. */
static void test_meter_counts_failures(void **state)
{
    static const struct step steps[] = {
        {ACCEPT, NULL}, {READ_REQUEST, NULL}, {CLOSE, NULL}, {END, NULL}};
    struct slow_meter meter = {0};
    struct scene *scene = begin_metered(steps, &meter, LONG_MS);
    (void)state;
    assert_int_equal(post_small(&scene->peer), E_CLOSED);
    end_client(scene);
    assert_int_equal(meter.out, scene->server.received_bytes);
    free(scene);
}

static void test_meter_stop(void **state)
{
    static const struct step steps[] = {{END, NULL}};
    struct slow_meter meter = {.each_ms = LONG_MS};
    struct scene *scene = begin_metered(steps, &meter, LONG_MS);
    (void)state;
    meter.stop = &scene->peer.stop;
    assert_int_equal(post_small(&scene->peer), E_STOP);
    assert_false(scene->peer.outcome.sent);
    end(scene);
}

static void test_stop_before(void **state)
{
    static const struct step steps[] = {{END, NULL}};
    struct scene *scene = begin(steps);
    (void)state;
    stop_request(&scene->peer.stop);
    assert_int_equal(post_small(&scene->peer), E_STOP);
    assert_false(scene->peer.outcome.sent);
    end(scene);
}

static void test_stop_while_reading(void **state)
{
    static const struct step steps[] = {{ACCEPT, NULL},
                                        {READ_REQUEST, NULL},
                                        {SEND, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"},
                                        {READ_TO_END, NULL},
                                        {END, NULL}};
    struct scene *scene = begin(steps);
    (void)state;
    scene->peer.stop_at_head = true;
    assert_int_equal(post_small(&scene->peer), E_STOP);
    end(scene);
}

static void test_connect_first(void **state)
{
    static const struct step steps[] = {
        {ACCEPT, NULL}, {READ_REQUEST, NULL}, {SEND, ok}, {READ_TO_END, NULL}, {END, NULL}};
    struct scene *scene = begin(steps);
    struct http_outcome outcome;
    (void)state;
    assert_int_equal(http_client_connect(scene->peer.client, &outcome), 0);
    assert_int_equal(outcome.stage, HTTP_STAGE_REQUEST);
    assert_int_equal(http_client_addresses(scene->peer.client)->count, 1);
    assert_int_equal(http_client_connect(scene->peer.client, &outcome), 0);
    assert_true(outcome.reused);
    assert_int_equal(post_small(&scene->peer), 0);
    assert_true(scene->peer.outcome.reused);
    end(scene);
}

static void test_nobody_there(void **state)
{
    static const struct step steps[] = {{STOP_LISTENING, NULL}, {NOTIFY, NULL}, {END, NULL}};
    struct scene *scene = begin(steps);
    (void)state;
    await(&scene->server);
    assert_int_equal(post_small(&scene->peer), error_sys(ECONNREFUSED));
    assert_int_equal(scene->peer.outcome.stage, HTTP_STAGE_TCP);
    assert_false(scene->peer.outcome.sent);
    assert_int_equal(scene->peer.outcome.sent_mono_ms, 0);
    assert_non_null(strstr(scene->peer.outcome.fault, "127.0.0.1:"));
    assert_non_null(strstr(scene->peer.outcome.fault, "check the port"));
    end(scene);
}

static void test_missing_ca_file(void **state)
{
    struct http_client_options options = plain_options(9);
    struct peer peer = {0};
    (void)state;
    options.tls = true;
    options.tls_options.ca_file = "/nonexistent/ca.pem";
    open_peer(&peer, &options);
    assert_int_equal(post_small(&peer), error_sys(ENOENT));
    assert_non_null(strstr(peer.outcome.fault, "/nonexistent/ca.pem"));
    assert_true(peer.outcome.files_unfit);
    close_peer(&peer);
}

/* ---- over TLS, where dates matter ---- */

struct clock {
    bool known;
    int64_t wall_ms;
};

static int64_t read_clock(void *context, bool *ret_known)
{
    const struct clock *clock = context;
    *ret_known = clock->known;
    return clock->wall_ms;
}

/* The server is an echo, so the head is the reply as well. */
static int request_echo(struct peer *peer)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    const struct http_request request = {.head = head, .head_bytes = sizeof head - 1};
    return http_client_exchange(peer->client, &request, &peer->outcome);
}

static void expect_echo(struct peer *peer, bool reused, bool unverified)
{
    if (request_echo(peer) != 0)
        fail_msg("%s", peer->outcome.fault);
    assert_int_equal(peer->outcome.reused, reused);
    assert_int_equal(peer->outcome.dates_unverified, unverified);
}

static void talk_by_clock(struct peer *peer, struct clock *clock)
{
    expect_echo(peer, false, true);
    expect_echo(peer, true, true);
    clock->known = true; /* learnt from the Date of that reply, say: it is 1970 no more */
    clock->wall_ms = 1650000000000;
    assert_int_equal(request_echo(peer), E_CERTIFICATE);
    assert_false(peer->outcome.reused || peer->outcome.dates_unverified);
    assert_non_null(strstr(peer->outcome.fault, "expired"));
    clock->wall_ms = 1590000000000;
    expect_echo(peer, false, false);
    expect_echo(peer, true, false);
    http_client_disconnect(peer->client);
    expect_echo(peer, false, false);
    struct http_statistics statistics;
    http_client_get_statistics(peer->client, &statistics);
    assert_int_equal(statistics.handshakes, 3);
    assert_int_equal(statistics.resumed, 1);
}

/* What was not verified for want of a clock is verified as soon as there is one. */
static void test_unknown_clock(void **state)
{
    char root[] = "/tmp/runnel-http-XXXXXX";
    char path[64];
    char file[80];
    struct clock clock = {false, 0};
    struct fake_tls *server;
    struct peer peer = {0};
    (void)state;
    assert_non_null(mkdtemp(root));
    (void)snprintf(path, sizeof path, "%s/self", root);
    (void)snprintf(file, sizeof file, "%s.pem", path);
    const struct fake_tls_certificate certificate = {
        .name = "localhost", .not_after = "20210101000000", .ca = true};
    assert_int_equal(fake_tls_make(path, &certificate), 0);
    const struct fake_tls_options server_options = {.path = path, .cut_after_bytes = FAKE_TLS_ALL};
    assert_int_equal(fake_tls_start(&server_options, &server), 0);
    struct http_client_options options = plain_options(fake_tls_port(server));
    options.tls = true;
    options.host = "localhost";
    options.tls_options =
        (struct tls_options){.ca_file = file, .wall_ms = read_clock, .wall_context = &clock};
    open_peer(&peer, &options);
    talk_by_clock(&peer, &clock);
    close_peer(&peer);
    fake_tls_stop(server);
    (void)unlink(file);
    (void)snprintf(file, sizeof file, "%s.key", path);
    (void)unlink(file);
    assert_int_equal(rmdir(root), 0);
}

static int try_open(const char *host, uint16_t port, bool tls)
{
    struct http_client_options options = plain_options(port);
    struct http_client *client = NULL;
    struct stop stop;
    assert_int_equal(stop_open(&stop), 0);
    options.host = host;
    options.tls = tls;
    options.stop = &stop;
    int rc = http_client_open(&options, &client);
    assert_int_equal(client != NULL, rc == 0);
    http_client_close(client);
    stop_close(&stop);
    return rc;
}

static void test_options(void **state)
{
    (void)state;
    assert_int_equal(try_open("kinesis.eu-west-1.amazonaws.com", 443, true), 0);
    assert_int_equal(try_open("kinesis.eu-west-1.amazonaws.com", 80, false), E_REFUSED);
    assert_int_equal(try_open("192.168.1.1", 80, false), E_REFUSED);
    assert_int_equal(try_open("169.254.169.254", 80, false), 0);
    assert_int_equal(try_open("localhost", 80, false), 0);
    assert_int_equal(try_open("::1", 80, false), 0);
    assert_int_equal(try_open("", 443, true), E_INVALID);
    assert_int_equal(try_open("localhost", 0, true), E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exchange),
        cmocka_unit_test(test_keep_alive),
        cmocka_unit_test(test_disconnect),
        cmocka_unit_test(test_another_host),
        cmocka_unit_test(test_idle_connection_is_replaced),
        cmocka_unit_test(test_spoilt_connections),
        cmocka_unit_test(test_bytes_behind_the_reply),
        cmocka_unit_test(test_dead_reused_connection),
        cmocka_unit_test(test_second_try_dies_too),
        cmocka_unit_test(test_second_try_finds_nobody),
        cmocka_unit_test(test_dead_fresh_connection),
        cmocka_unit_test(test_kinds_of_replies),
        cmocka_unit_test(test_every_prefix),
        cmocka_unit_test(test_cut_reply_on_reused_connection),
        cmocka_unit_test(test_garbage_drops_the_connection),
        cmocka_unit_test(test_early_reply),
        cmocka_unit_test(test_polite_early_reply),
        cmocka_unit_test(test_continue_while_sending),
        cmocka_unit_test(test_early_reply_refused),
        cmocka_unit_test(test_wrong_body),
        cmocka_unit_test(test_body_sizes),
        cmocka_unit_test(test_request_without_body),
        cmocka_unit_test(test_functions_end_it),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_silence_on_reused_connection),
        cmocka_unit_test(test_total_time),
        cmocka_unit_test(test_stuck_request),
        cmocka_unit_test(test_meter),
        cmocka_unit_test(test_meter_counts_failures),
        cmocka_unit_test(test_meter_stop),
        cmocka_unit_test(test_stop_before),
        cmocka_unit_test(test_stop_while_reading),
        cmocka_unit_test(test_connect_first),
        cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_missing_ca_file),
        cmocka_unit_test(test_unknown_clock),
        cmocka_unit_test(test_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
