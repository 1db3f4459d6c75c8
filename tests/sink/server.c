/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sink/server.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/sink/admin.h"

enum { HANDSHAKE_TIMEOUT_MS = 30000, BACKLOG = 128, END_WAIT_MS = 2000 };

struct connection {
    struct server *server;
    struct connection *previous;
    struct connection *next;
    int fd;
    int is_admin;
};

struct server {
    struct sink *sink;
    struct channel_server *admin_channels;
    const char *address;
    unsigned short port;
    unsigned short admin_port;
    int listener;
    int admin_listener;
    int wake;
    int signals;
    /* What follows is guarded by the sink's lock; its "changed" tells of changes. */
    struct connection *connections;
    int stopping;
    enum outage outage;
    int64_t outage_end_ms;
    /* An outage is asked for by one thread and put into effect by the one that owns the listener.
     */
    enum outage wanted;
    int64_t wanted_ms;
    uint64_t asked;
    uint64_t applied;
};

static int64_t monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A socket bound to ADDRESS and *port, which is filled in if it was 0. Not listening: until it
   does, connecting to the port is refused and nobody else gets it. */
static int bind_socket(const char *address, unsigned short *port)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char service[8];
    snprintf(service, sizeof service, "%u", (unsigned)*port);
    if (getaddrinfo(address, service, &hints, &found) != 0) {
        fprintf(stderr, "sink: %s: not a numeric address\n", address);
        return -1;
    }
    struct sockaddr_storage bound;
    socklen_t count = sizeof bound;
    int one = 1;
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(fd, found->ai_addr, found->ai_addrlen) != 0 ||
        getsockname(fd, (struct sockaddr *)&bound, &count) != 0)
        goto err;
    freeaddrinfo(found);
    /* sin_port and sin6_port lie at the same place. */
    *port = ntohs(((struct sockaddr_in *)&bound)->sin_port);
    return fd;
err:
    fprintf(stderr, "sink: %s port %s: %s\n", address, service, strerror(errno));
    freeaddrinfo(found);
    if (fd >= 0)
        close(fd);
    return -1;
}

static int open_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

struct server *server_open(const struct server_options *options)
{
    struct server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return NULL;
    server->sink = options->sink;
    server->address = options->address;
    server->port = options->port;
    server->admin_port = options->admin_port;
    server->admin_channels = channel_server_new(NULL);
    server->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    server->signals = open_signals();
    server->listener = bind_socket(server->address, &server->port);
    server->admin_listener = bind_socket("127.0.0.1", &server->admin_port);
    if (server->admin_channels == NULL || server->wake < 0 || server->signals < 0 ||
        server->listener < 0 || server->admin_listener < 0 ||
        listen(server->listener, BACKLOG) != 0 || listen(server->admin_listener, BACKLOG) != 0) {
        fputs("sink: the listeners cannot be opened\n", stderr);
        return NULL;
    }
    return server;
}

unsigned short server_port(const struct server *server)
{
    return server->port;
}

unsigned short server_admin_port(const struct server *server)
{
    return server->admin_port;
}

/* Sleeps for the latency of replies; ends early when the server stops. Lock held. */
static void wait_latency(struct server *server)
{
    struct sink *sink = server->sink;
    int64_t end_ms = monotonic_ms() + (int64_t)sink->faults.latency_ms;
    struct timespec end = {.tv_sec = (time_t)(end_ms / 1000),
                           .tv_nsec = (long)(end_ms % 1000) * 1000000};
    while (!server->stopping && monotonic_ms() < end_ms)
        pthread_cond_timedwait(&sink->changed, &sink->lock, &end);
}

/* True if the line was silent when a request came: it is held until the outage is over. */
static int was_silent(struct server *server)
{
    struct sink *sink = server->sink;
    int silent = 0;
    pthread_mutex_lock(&sink->lock);
    while (server->outage == OUTAGE_SILENT && !server->stopping) {
        silent = 1;
        pthread_cond_wait(&sink->changed, &sink->lock);
    }
    pthread_mutex_unlock(&sink->lock);
    return silent;
}

static int idle_ms(struct sink *sink)
{
    pthread_mutex_lock(&sink->lock);
    int value = (int)sink->faults.idle_ms;
    pthread_mutex_unlock(&sink->lock);
    return value;
}

/* Serves one request of a connection. */
static enum sink_end serve_one(struct connection *connection, struct channel *channel,
                               struct http_request *request, struct buffer *reply)
{
    struct server *server = connection->server;
    struct sink *sink = server->sink;
    enum sink_end end = SINK_CLOSE;
    int got = http_read(request, channel, idle_ms(sink));
    if (!connection->is_admin && was_silent(server))
        return SINK_RESET;
    if (got == 0 || (got < 0 && request->status == 0))
        return SINK_CLOSE;

    buffer_clear(reply);
    if (got < 0)
        sink_serve_unreadable(sink, request, reply);
    else if (connection->is_admin)
        end = admin_serve(sink, server, request, reply);
    else
        end = sink_serve(sink, request, reply);
    if (!connection->is_admin) {
        pthread_mutex_lock(&sink->lock);
        wait_latency(server);
        pthread_mutex_unlock(&sink->lock);
    }
    if (channel_write(channel, reply->bytes, reply->used_bytes) != 0)
        return SINK_CLOSE;
    return end;
}

static void unlink_connection(struct connection *connection, int reset)
{
    struct server *server = connection->server;
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    pthread_mutex_lock(&server->sink->lock);
    if (reset)
        setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(connection->fd);
    if (connection->previous != NULL)
        connection->previous->next = connection->next;
    else
        server->connections = connection->next;
    if (connection->next != NULL)
        connection->next->previous = connection->previous;
    pthread_cond_broadcast(&server->sink->changed);
    pthread_mutex_unlock(&server->sink->lock);
    free(connection);
}

static void *serve(void *context)
{
    struct connection *connection = context;
    struct server *server = connection->server;
    struct channel_server *channels =
        connection->is_admin ? server->admin_channels : server->sink->channels;
    struct http_request request = {0};
    struct buffer reply = {0};
    enum sink_end end = SINK_KEEP;

    struct channel *channel = channel_open(channels, connection->fd, HANDSHAKE_TIMEOUT_MS);
    while (channel != NULL && end == SINK_KEEP)
        end = serve_one(connection, channel, &request, &reply);
    channel_close(channel, end == SINK_CLOSE);
    http_free(&request);
    buffer_free(&reply);
    unlink_connection(connection, end == SINK_RESET);
    return NULL;
}

static void start_connection(struct server *server, int fd, int is_admin)
{
    struct sink *sink = server->sink;
    struct connection *connection = calloc(1, sizeof *connection);
    pthread_attr_t detached;
    pthread_t thread;
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connection == NULL) {
        close(fd);
        return;
    }
    pthread_mutex_lock(&sink->lock);
    *connection = (struct connection){
        .server = server, .next = server->connections, .fd = fd, .is_admin = is_admin};
    if (server->connections != NULL)
        server->connections->previous = connection;
    server->connections = connection;
    sink->counts.connections += !is_admin;
    pthread_mutex_unlock(&sink->lock);

    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    int error = pthread_create(&thread, &detached, serve, connection);
    pthread_attr_destroy(&detached);
    if (error != 0)
        unlink_connection(connection, 1);
}

static void accept_all(struct server *server, int listener, int is_admin)
{
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            start_connection(server, fd, is_admin);
        else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
            poll(NULL, 0, 10);
        else if (errno != EINTR && errno != ECONNABORTED)
            return;
    }
}

/* Lock held. */
static void end_connections(struct server *server, int admin_too)
{
    for (struct connection *at = server->connections; at != NULL; at = at->next) {
        if (!at->is_admin)
            shutdown(at->fd, SHUT_RDWR);
        else if (admin_too)
            shutdown(at->fd, SHUT_RD);
    }
}

/* Lock held, in the thread that owns the listener. */
static void set_outage(struct server *server, enum outage outage, int64_t duration_ms)
{
    if (outage != OUTAGE_NONE) {
        server->outage_end_ms = monotonic_ms() + duration_ms;
        server->sink->counts.outages += server->outage == OUTAGE_NONE;
    }
    if (outage != OUTAGE_REFUSE && server->outage == OUTAGE_REFUSE)
        listen(server->listener, BACKLOG);
    if (outage == OUTAGE_REFUSE && server->outage != OUTAGE_REFUSE) {
        close(server->listener);
        server->listener = bind_socket(server->address, &server->port);
        end_connections(server, 0);
    }
    server->outage = outage;
    pthread_cond_broadcast(&server->sink->changed);
}

/* Puts into effect what was asked for and what time brings; returns how long poll may wait. */
static int update(struct server *server)
{
    int64_t timeout_ms = -1;
    pthread_mutex_lock(&server->sink->lock);
    if (server->applied != server->asked) {
        set_outage(server, server->wanted, server->wanted_ms);
        server->applied = server->asked;
    }
    if (server->outage != OUTAGE_NONE) {
        timeout_ms = server->outage_end_ms - monotonic_ms();
        if (timeout_ms <= 0) {
            set_outage(server, OUTAGE_NONE, 0);
            timeout_ms = -1;
        }
    }
    pthread_mutex_unlock(&server->sink->lock);
    return timeout_ms > 60000 ? 60000 : (int)timeout_ms;
}

static void wake(struct server *server)
{
    uint64_t one = 1;
    ssize_t written = write(server->wake, &one, sizeof one);
    (void)written;
}

void server_stop(struct server *server)
{
    pthread_mutex_lock(&server->sink->lock);
    server->stopping = 1;
    pthread_cond_broadcast(&server->sink->changed);
    pthread_mutex_unlock(&server->sink->lock);
    wake(server);
}

static uint64_t ask_outage(struct server *server, enum outage outage, int64_t duration_ms)
{
    server->wanted = outage;
    server->wanted_ms = duration_ms;
    return ++server->asked;
}

void server_outage(struct server *server, enum outage outage, int64_t duration_ms)
{
    struct sink *sink = server->sink;
    pthread_mutex_lock(&sink->lock);
    uint64_t mine = ask_outage(server, outage, duration_ms);
    wake(server);
    while (server->applied < mine && !server->stopping)
        pthread_cond_wait(&sink->changed, &sink->lock);
    pthread_mutex_unlock(&sink->lock);
}

static void take_signal(struct server *server)
{
    struct signalfd_siginfo signal;
    if (read(server->signals, &signal, sizeof signal) != (ssize_t)sizeof signal)
        return;
    if (signal.ssi_signo == SIGTERM || signal.ssi_signo == SIGINT) {
        server_stop(server);
        return;
    }
    pthread_mutex_lock(&server->sink->lock);
    ask_outage(server, signal.ssi_signo == SIGUSR1 ? OUTAGE_REFUSE : OUTAGE_NONE,
               SERVER_OUTAGE_FOREVER_MS);
    pthread_mutex_unlock(&server->sink->lock);
}

static int is_stopping(struct server *server)
{
    pthread_mutex_lock(&server->sink->lock);
    int stopping = server->stopping;
    pthread_mutex_unlock(&server->sink->lock);
    return stopping;
}

static void wait_for_connections(struct server *server)
{
    struct sink *sink = server->sink;
    int64_t end_ms = monotonic_ms() + END_WAIT_MS;
    struct timespec end = {.tv_sec = (time_t)(end_ms / 1000),
                           .tv_nsec = (long)(end_ms % 1000) * 1000000};
    pthread_mutex_lock(&sink->lock);
    end_connections(server, 1);
    while (server->connections != NULL && monotonic_ms() < end_ms)
        pthread_cond_timedwait(&sink->changed, &sink->lock, &end);
    pthread_mutex_unlock(&sink->lock);
}

void server_run(struct server *server)
{
    enum { WAKE, SIGNALS, ADMIN, DATA, COUNT };
    while (!is_stopping(server)) {
        int timeout_ms = update(server);
        struct pollfd items[COUNT] = {
            [WAKE] = {.fd = server->wake, .events = POLLIN},
            [SIGNALS] = {.fd = server->signals, .events = POLLIN},
            [ADMIN] = {.fd = server->admin_listener, .events = POLLIN},
            [DATA] = {.fd = server->outage == OUTAGE_NONE ? server->listener : -1,
                      .events = POLLIN},
        };
        if (poll(items, COUNT, timeout_ms) < 0)
            continue;
        uint64_t ignored;
        if (items[WAKE].revents != 0 && read(server->wake, &ignored, sizeof ignored) < 0)
            continue;
        if (items[SIGNALS].revents != 0)
            take_signal(server);
        if (items[ADMIN].revents != 0)
            accept_all(server, server->admin_listener, 1);
        if (items[DATA].revents != 0)
            accept_all(server, server->listener, 0);
    }
    wait_for_connections(server);
}
