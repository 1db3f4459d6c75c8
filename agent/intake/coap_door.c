/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/intake/coap_door.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "agent/intake/coap_door_state.h"
#include "platform/base/error.h"
#include "platform/clock.h"
#include "platform/hash.h"
#include "platform/random.h"

/* A node that sleeps between its readings need not shake hands for each. When others need the place
 * of whoever is silent, it is forgotten sooner. */
enum { SESSION_S = 3600 };

/* So many datagrams of each listener are read before it is looked who may be answered. */
enum { DATAGRAMS = 16 };

/* At a stop the last commit is waited for so long: a peer that hears nothing sends again, and the
 * next start does not know that it has its message. */
enum { LAST_MS = 500 };

/* ---- the thread ---- */

static bool is_readable(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    return poll(&poll_fd, 1, 0) > 0;
}

static int64_t due_ms(const struct coap_door *door)
{
    int64_t flush_boot_ms = handin_due_ms(door->options.handin);
    int64_t flush_ms =
        flush_boot_ms == INT64_MAX ? INT64_MAX : flush_boot_ms - clock_boot_ms() + clock_mono_ms();
    int64_t first_ms = transfer_due_ms(door->transfers, clock_mono_ms());
    first_ms = flush_ms < first_ms ? flush_ms : first_ms;
    first_ms = door->waits_due_ms < first_ms ? door->waits_due_ms : first_ms;
    return door->peers != NULL && door->peers_due_ms < first_ms ? door->peers_due_ms : first_ms;
}

static void look_at_waits(struct coap_door *door)
{
    bool signalled = is_readable(door->event_fd);
    if (signalled)
        stop_event_drain(door->event_fd);
    if (signalled || clock_mono_ms() >= door->waits_due_ms)
        coap_door_wait_look(door);
}

/* At least once, for what is to be sent again. */
static void read_datagrams(struct coap_door *door)
{
    int fd = coap_context_get_coap_fd(door->context);
    int left = DATAGRAMS;
    do
        (void)coap_io_process(door->context, COAP_IO_NO_WAIT);
    while (--left > 0 && is_readable(fd));
}

static void note_transfers(struct coap_door *door)
{
    size_t count = transfer_count(door->transfers, clock_mono_ms());
    (void)pthread_mutex_lock(&door->lock);
    door->status.transfers = count;
    (void)pthread_mutex_unlock(&door->lock);
}

static bool is_stopped(const struct coap_door *door)
{
    return stop_requested(&door->watched) ||
           (door->options.stop != NULL && stop_requested(door->options.stop));
}

static void answer_last(struct coap_door *door)
{
    static const struct stop nobody = {.fd = -1};
    int64_t until_ms = clock_mono_ms() + LAST_MS;
    if (door->waiting > 0)
        spool_commit_soon(door->options.spool);
    while (door->waiting > 0 && clock_mono_ms() < until_ms) {
        (void)stop_wait(&nobody, door->event_fd, POLLIN, until_ms);
        look_at_waits(door);
    }
}

static void run(void *context)
{
    struct coap_door *door = context;
    int rc = 0;
    while (rc == 0 || rc == E_TIMEOUT) {
        rc = stop_wait(&door->watched, door->poll_fd, POLLIN, due_ms(door));
        if (is_stopped(door))
            break;
        look_at_waits(door);
        coap_door_secure_look(door);
        if (handin_due_ms(door->options.handin) <= clock_boot_ms())
            handin_flush(door->options.handin, clock_boot_ms());
        read_datagrams(door);
        coap_door_secure_end(door);
        note_transfers(door);
    }
    answer_last(door);
    progress_promise(&door->progress, INT64_MAX);
}

/* ---- opening and closing ---- */

static int watch(const struct coap_door *door, int fd)
{
    struct epoll_event event = {.events = EPOLLIN};
    return epoll_ctl(door->poll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? error_sys(errno) : 0;
}

/* One descriptor for all that wakes the thread, but for its own stop. */
static int open_events(struct coap_door *door)
{
    int rc = stop_open(&door->stop);
    if (rc == 0)
        rc = stop_event_open(&door->event_fd);
    if (rc < 0)
        return rc;
    door->poll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (door->poll_fd < 0)
        return error_sys(errno);
    rc = watch(door, door->event_fd);
    if (rc == 0)
        rc = watch(door, coap_context_get_coap_fd(door->context));
    if (rc == 0 && door->options.stop != NULL && door->options.stop->fd >= 0)
        rc = watch(door, door->options.stop->fd);
    return rc;
}

static int open_memory(struct coap_door *door)
{
    const struct coap_door_options *options = &door->options;
    const struct throttle_options rates = {.peer_messages = options->peer_messages,
                                           .peer_bytes = options->peer_bytes,
                                           .all_messages = options->all_messages,
                                           .all_bytes = options->all_bytes,
                                           .peers_max = CONFIG_COAP_SESSIONS};
    random_bytes(door->secret, sizeof door->secret);
    int rc = throttle_open(&rates, &door->throttle);
    if (rc == 0)
        rc = seen_open(CONFIG_COAP_SEEN, &door->seen);
    if (rc == 0)
        rc = transfer_open(CONFIG_COAP_TRANSFERS, options->document_bytes_max, &door->transfers);
    if (rc == 0)
        rc = coap_door_wait_open(door);
    return rc;
}

static int open_parts(struct coap_door *door, char fault[COAP_DOOR_FAULT_BYTES])
{
    int rc = open_memory(door);
    if (rc == 0)
        rc = coap_door_listen(door, fault);
    if (rc == 0)
        rc = coap_door_request_serve(door);
    if (rc == 0)
        rc = open_events(door);
    return rc;
}

int coap_door_open(const struct coap_door_options *options, char fault[COAP_DOOR_FAULT_BYTES],
                   struct coap_door **ret_door)
{
    fault[0] = '\0';
    struct coap_door *door = calloc(1, sizeof *door);
    if (door == NULL)
        return E_NO_MEMORY;
    door->options = *options;
    if (options->session_s == 0)
        door->options.session_s = SESSION_S;
    door->event_fd = -1;
    door->poll_fd = -1;
    door->stop.fd = -1;
    (void)pthread_mutex_init(&door->lock, NULL);
    int rc = open_parts(door, fault);
    if (rc < 0)
        goto err;
    *ret_door = door;
    return 0;

err:
    if (fault[0] == '\0')
        (void)snprintf(fault, COAP_DOOR_FAULT_BYTES, "%s", ERROR_TEXT(rc));
    coap_door_close(door);
    return rc;
}

static void log_started(const struct coap_door *door)
{
    for (size_t i = 0; i < door->options.listen_count; i++) {
        const struct coap_door_listen *listen = &door->options.listens[i];
        bool is_six = listen->host[0] == '\0' || strchr(listen->host, ':') != NULL;
        log_info("coap-started listen=%s://%s%s%s:%u", listen->secure ? "coaps" : "coap",
                 is_six ? "[" : "", listen->host, is_six ? "]" : "", listen->port);
    }
}

int coap_door_start(struct coap_door *door)
{
    door->progress.every_ms = door->options.heartbeat_ms;
    door->watched = (struct stop){.fd = door->stop.fd, .progress = &door->progress};
    int rc = thread_start(&door->thread, "coap", run, door);
    if (rc == 0)
        log_started(door);
    return rc;
}

int coap_door_stop(struct coap_door *door, int64_t deadline_ms)
{
    stop_request(&door->stop);
    return thread_join(&door->thread, deadline_ms);
}

static void close_fd(int fd)
{
    if (fd >= 0)
        (void)close(fd);
}

void coap_door_close(struct coap_door *door)
{
    if (door == NULL || door->thread.running)
        return;
    coap_door_wait_close(door);
    coap_door_secure_end(door);
    if (door->context != NULL)
        coap_free_context(door->context);
    coap_cleanup();
    coap_door_secure_close(door);
    transfer_close(door->transfers);
    seen_close(door->seen);
    throttle_close(door->throttle);
    hash_wipe(door->secret, sizeof door->secret);
    stop_close(&door->stop);
    close_fd(door->poll_fd);
    close_fd(door->event_fd);
    (void)pthread_mutex_destroy(&door->lock);
    free(door);
}

/* ---- for others to see ---- */

const struct progress *coap_door_progress(const struct coap_door *door)
{
    return &door->progress;
}

const char *coap_door_code_name(size_t index)
{
    static const char *const names[] = {"2.04", "2.05", "2.31", "4.00", "4.01",
                                        "4.02", "4.03", "4.04", "4.05", "4.06",
                                        "4.08", "4.13", "4.15", "4.29", "5.03"};
    _Static_assert(sizeof names / sizeof names[0] <= COAP_DOOR_CODES, "answers");
    return index < sizeof names / sizeof names[0] ? names[index] : NULL;
}

void coap_door_get_status(struct coap_door *door, struct coap_door_status *ret_status)
{
    (void)pthread_mutex_lock(&door->lock);
    *ret_status = door->status;
    (void)pthread_mutex_unlock(&door->lock);
}
