/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/spool/events.h"

#include <string.h>

#include "platform/base/crc32c.h"
#include "platform/stop.h"

enum { HOUR_MS = 60 * 60 * 1000, OF_ONE_SUBJECT_MAX = 12 };

/* How often it was said before is no news. */
static size_t counted_bytes(const char *text)
{
    const char *end = strstr(text, " repeated=");
    return end != NULL ? (size_t)(end - text) : strlen(text);
}

/* The event and its first value: up to the second blank. */
static size_t subject_bytes(const char *text)
{
    size_t event = strcspn(text, " ");
    return text[event] == '\0' ? event : event + 1 + strcspn(text + event + 1, " ");
}

static struct events_subject *find_locked(struct events *events, uint32_t subject, int64_t boot_ms)
{
    for (unsigned i = 0; i < EVENTS_SUBJECTS_MAX; i++)
        if (events->subjects[i].count > 0 && events->subjects[i].subject == subject &&
            boot_ms - events->subjects[i].since_ms < HOUR_MS)
            return &events->subjects[i];
    return NULL;
}

static bool is_news_locked(struct events *events, int64_t boot_ms, const char *text)
{
    uint32_t subject = crc32c(0, text, subject_bytes(text));
    uint32_t whole = crc32c(0, text, counted_bytes(text));
    struct events_subject *known = find_locked(events, subject, boot_ms);
    if (known != NULL && (known->text == whole || known->count == OF_ONE_SUBJECT_MAX))
        return false;
    if (known == NULL) {
        known = &events->subjects[events->next_subject++ % EVENTS_SUBJECTS_MAX];
        *known = (struct events_subject){.subject = subject, .since_ms = boot_ms};
    }
    known->text = whole;
    known->count++;
    return true;
}

static void copy_text(char to[EVENT_TEXT_BYTES], const char *text)
{
    static const char cut[] = "...";
    size_t count = counted_bytes(text);
    size_t kept = count < EVENT_TEXT_BYTES ? count : EVENT_TEXT_BYTES - 1;
    for (size_t i = 0; i < kept; i++)
        to[i] = text[i];
    for (size_t i = 0; i < kept; i++)
        if (to[i] < ' ' || to[i] > '~')
            to[i] = '?';
    to[kept] = '\0';
    if (kept < count)
        memcpy(to + kept - (sizeof cut - 1), cut, sizeof cut);
}

void events_put(struct events *events, enum log_level level, int64_t boot_ms, const char *text)
{
    (void)pthread_mutex_lock(&events->lock);
    if (is_news_locked(events, boot_ms, text)) {
        struct events_entry *event = &events->waiting[events->end % EVENTS_WAITING_MAX];
        events->first += events->end - events->first == EVENTS_WAITING_MAX;
        events->end++;
        event->level = level;
        event->boot_ms = boot_ms;
        copy_text(event->text, text);
        bool wakes = level <= LOG_LEVEL_WARNING && events->urgent_ms == 0;
        if (wakes)
            events->urgent_ms = boot_ms;
        if (wakes && events->wake_fd >= 0)
            stop_event_signal(events->wake_fd);
    }
    (void)pthread_mutex_unlock(&events->lock);
}

void events_number(struct events *events, uint32_t number)
{
    (void)pthread_mutex_lock(&events->lock);
    events->base = number - (uint32_t)events->first;
    (void)pthread_mutex_unlock(&events->lock);
}

void events_wake(struct events *events, int fd)
{
    (void)pthread_mutex_lock(&events->lock);
    events->wake_fd = fd;
    (void)pthread_mutex_unlock(&events->lock);
}

int64_t events_urgent_ms(struct events *events)
{
    (void)pthread_mutex_lock(&events->lock);
    int64_t urgent_ms = events->urgent_ms;
    (void)pthread_mutex_unlock(&events->lock);
    return urgent_ms == 0 ? INT64_MAX : urgent_ms;
}

void events_range(struct events *events, uint32_t *ret_first, uint32_t *ret_end)
{
    (void)pthread_mutex_lock(&events->lock);
    *ret_first = events->base + (uint32_t)events->first;
    *ret_end = events->base + (uint32_t)events->end;
    (void)pthread_mutex_unlock(&events->lock);
}

/* How many come before NUMBER, of those that wait; all of them if it does not wait yet. */
static uint64_t count_before_locked(const struct events *events, uint32_t number)
{
    uint64_t waiting = events->end - events->first;
    int32_t before = (int32_t)(number - events->base - (uint32_t)events->first);
    if (before < 0)
        return 0;
    return (uint64_t)before < waiting ? (uint64_t)before : waiting;
}

bool events_get(struct events *events, uint32_t number, struct events_entry *ret_event)
{
    (void)pthread_mutex_lock(&events->lock);
    uint64_t at = events->first + count_before_locked(events, number);
    bool waits = at < events->end && events->base + (uint32_t)at == number;
    if (waits)
        *ret_event = events->waiting[at % EVENTS_WAITING_MAX];
    (void)pthread_mutex_unlock(&events->lock);
    return waits;
}

void events_stored(struct events *events, uint32_t end)
{
    (void)pthread_mutex_lock(&events->lock);
    events->first += count_before_locked(events, end);
    events->urgent_ms = 0;
    for (uint64_t i = events->end; i > events->first; i--) {
        const struct events_entry *event = &events->waiting[(i - 1) % EVENTS_WAITING_MAX];
        if (event->level <= LOG_LEVEL_WARNING)
            events->urgent_ms = event->boot_ms;
    }
    (void)pthread_mutex_unlock(&events->lock);
}
