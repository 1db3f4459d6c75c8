/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_SPOOL_EVENTS_H
#define RUNNEL_AGENT_SPOOL_EVENTS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "platform/base/log.h"

/**
 * What happened, in RAM until a commit takes it to flash: the last lines of the log. Any thread may
 * put something in, also one that commits or holds the lock of the spool: nothing here waits for
 * anybody or logs. It outlives a spool: what came before the first one was open, or was not
 * committed by the last, goes to the next.
 *
 * What repeats is taken once an hour, and of one subject ("route-state route=live") no more than
 * twelve in that time, so that one trouble does not push a week's history out.
 */
enum { EVENTS_WAITING_MAX = 32, EVENTS_SUBJECTS_MAX = 16, EVENT_TEXT_BYTES = 145 };

struct events_entry {
    enum log_level level;
    int64_t boot_ms;
    char text[EVENT_TEXT_BYTES]; /* printable ASCII; one that was cut ends in "..." */
};

/** The fields are events.c's. */
struct events {
    pthread_mutex_t lock;
    uint64_t first, end; /* those that wait, counted from the first that ever came */
    uint32_t base;       /* a number is this and its count */
    int64_t urgent_ms;   /* when the first warning of these came, or 0 */
    int wake_fd;
    struct events_entry waiting[EVENTS_WAITING_MAX];
    struct events_subject {
        uint32_t subject, text; /* checksums of the subject, and of what was said of it last */
        int64_t since_ms;
        unsigned count; /* since then */
    } subjects[EVENTS_SUBJECTS_MAX];
    unsigned next_subject;
};

/** How they begin. */
#define EVENTS_EMPTY                                                                               \
    {                                                                                              \
        .lock = PTHREAD_MUTEX_INITIALIZER, .wake_fd = -1                                           \
    }

/** TEXT is a line of the log. Where 32 wait already the oldest goes, and its number is missing. */
void events_put(struct events *events, enum log_level level, int64_t boot_ms, const char *text);

/** From now on the first that waits has NUMBER. */
void events_number(struct events *events, uint32_t number);

/** FD is signalled (stop.h) by a warning where none waited before; -1: nobody. */
void events_wake(struct events *events, int fd);

/** When the first warning that waits came (boot); INT64_MAX: none does. */
int64_t events_urgent_ms(struct events *events);

/** The numbers that wait: from *ret_first up to, but not including, *ret_end. */
void events_range(struct events *events, uint32_t *ret_first, uint32_t *ret_end);

/** The one with NUMBER; false if it does not wait any more, or not yet. */
bool events_get(struct events *events, uint32_t number, struct events_entry *ret_event);

/** Those below END are on flash. */
void events_stored(struct events *events, uint32_t end);

#endif
