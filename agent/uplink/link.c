/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/uplink/link.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/base/crc32c.h"
#include "platform/base/error.h"
#include "platform/base/log.h"
#include "platform/base/parse.h"
#include "platform/clock.h"
#include "platform/fs.h"

enum {
    BURST_MS = 1000,
    SECOND_MS = 1000,
    DAY_MS = 86400 * SECOND_MS,
    STEP_BYTES_MIN = 128 * 1024, /* more than what all routes send before one of them comes back */
    REQUEST_S = 20,
    RESERVE_REQUESTS = 16,
    REQUEST_BYTES_MIN = 4096,
    STEPS = 100,     /* of a month, at most */
    WRITING_MS = 20, /* while somebody else makes a reservation, look again */
    TEXT_BYTES = 128,
    FILE_MODE = 0600,
};

struct link {
    struct link_options options;
    struct http_meter meter;
    char path[FS_PATH_BYTES];
    pthread_mutex_t mutex; /* of the rest */
    int64_t level;         /* of the bucket, in thousandths of a byte; negative: a debt */
    int64_t level_ms;
    uint64_t spent_bytes;
    uint64_t reserved_bytes; /* what the file says */
    int64_t month;           /* the day on which it began, since 1970; 0: not known */
    int64_t reserved_month;  /* what the file says */
    bool writing;
};

/* ---- the month ---- */

static unsigned days_of(int64_t year, unsigned month)
{
    int64_t next = month == 12 ? parse_days_from_civil(year + 1, 1, 1)
                               : parse_days_from_civil(year, month + 1, 1);
    return (unsigned)(next - parse_days_from_civil(year, month, 1));
}

static int64_t reset_in(int64_t year, unsigned month, unsigned day)
{
    unsigned days = days_of(year, month);
    return parse_days_from_civil(year, month, day < days ? day : days);
}

/* The day on which the month began that DAY belongs to. */
static int64_t month_of(int64_t day, unsigned reset_day)
{
    int64_t year;
    unsigned month;
    unsigned ignored;
    parse_civil_from_days(day, &year, &month, &ignored);
    int64_t begin = reset_in(year, month, reset_day);
    if (begin <= day)
        return begin;
    return month == 1 ? reset_in(year - 1, 12, reset_day) : reset_in(year, month - 1, reset_day);
}

static int64_t month_after(int64_t begin, unsigned reset_day)
{
    int64_t year;
    unsigned month;
    unsigned ignored;
    parse_civil_from_days(begin, &year, &month, &ignored);
    return month == 12 ? reset_in(year + 1, 1, reset_day) : reset_in(year, month + 1, reset_day);
}

/* A clock that was set back makes no month over: its bytes stay counted. */
static void turn_month_locked(struct link *link, bool time_known, int64_t wall_ms)
{
    if (!time_known || wall_ms < 0)
        return;
    int64_t month = month_of(wall_ms / DAY_MS, link->options.reset_day);
    if (month > link->month && link->month != 0) {
        log_info("link-month-begins bytes=%" PRIu64, link->spent_bytes);
        link->spent_bytes = 0;
    }
    link->month = month;
}

static enum link_pass pass_locked(const struct link *link)
{
    uint64_t month = link->options.month_bytes;
    uint64_t reserve = month / 100 * link->options.reserve_percent;
    if (month == 0 || link->spent_bytes < month - reserve)
        return LINK_ALL;
    return link->spent_bytes < month ? LINK_ALARMS : LINK_NONE;
}

/* ---- the file ---- */

static size_t write_text(char text[TEXT_BYTES], int64_t month, uint64_t bytes)
{
    int count =
        snprintf(text, TEXT_BYTES, "runnel-link 1 month %" PRId64 " bytes %" PRIu64, month, bytes);
    count += snprintf(text + count, TEXT_BYTES - (size_t)count, " crc %08" PRIx32 "\n",
                      crc32c(0, text, (size_t)count));
    return (size_t)count;
}

/* What is not exactly as it would be written is damaged. */
static int read_text(const char *text, int64_t *ret_month, uint64_t *ret_bytes)
{
    char again[TEXT_BYTES];
    int64_t month;
    uint64_t bytes;
    if (sscanf(text, "runnel-link 1 month %" SCNd64 " bytes %" SCNu64, &month, &bytes) != 2)
        return E_DAMAGED;
    (void)write_text(again, month, bytes);
    if (strcmp(text, again) != 0)
        return E_DAMAGED;
    *ret_month = month;
    *ret_bytes = bytes;
    return E_OK;
}

static int write_file(const struct link *link, int64_t month, uint64_t bytes)
{
    char text[TEXT_BYTES];
    size_t count = write_text(text, month, bytes);
    if (link->options.directory == NULL)
        return E_OK;
    return fs_replace_file(link->path, text, count, FILE_MODE);
}

static uint64_t step(const struct link *link)
{
    uint64_t bytes = link->options.month_bytes / STEPS;
    return bytes > STEP_BYTES_MIN ? bytes : STEP_BYTES_MIN;
}

/* Whether what is in flight may soon go beyond what the file says. */
static bool must_reserve_locked(const struct link *link)
{
    if (link->options.month_bytes == 0 || link->writing)
        return false;
    return link->reserved_bytes < link->spent_bytes + step(link) / 4 ||
           link->reserved_month != link->month;
}

/* Nothing is locked while the file is written. A flash that fails does not hold back data. */
static void reserve(struct link *link)
{
    (void)pthread_mutex_lock(&link->mutex);
    bool must = must_reserve_locked(link);
    int64_t month = link->month;
    uint64_t bytes = link->spent_bytes + step(link);
    link->writing = link->writing || must;
    (void)pthread_mutex_unlock(&link->mutex);
    if (!must)
        return;
    int rc = write_file(link, month, bytes);
    if (rc < 0)
        log_warning("link-count-not-kept path=%s error=\"%s\"", link->path, ERROR_TEXT(rc));
    (void)pthread_mutex_lock(&link->mutex);
    link->reserved_bytes = bytes;
    link->reserved_month = month;
    link->writing = false;
    (void)pthread_mutex_unlock(&link->mutex);
}

static void assume_the_worst(struct link *link, int rc)
{
    const struct link_options *options = &link->options;
    link->spent_bytes =
        options->month_bytes - options->month_bytes / 100 * options->reserve_percent;
    log_error("link-count-damaged path=%s error=\"%s\" counted=%" PRIu64 " remedy=\"the month "
              "counts as spent; remove the file to begin at zero\"",
              link->path, ERROR_TEXT(rc), link->spent_bytes);
}

static void find_count(struct link *link)
{
    char text[TEXT_BYTES];
    int rc = fs_read_file(link->path, text, sizeof text);
    if (rc == error_sys(ENOENT)) {
        if (link->options.month_bytes > 0)
            log_info("link-count-begins path=%s", link->path);
        return;
    }
    if (rc >= 0)
        rc = read_text(text, &link->month, &link->spent_bytes);
    if (rc < 0)
        assume_the_worst(link, rc);
    link->reserved_bytes = link->spent_bytes;
}

/* ---- the bucket ---- */

static void fill_locked(struct link *link, int64_t now_ms)
{
    int64_t rate = (int64_t)link->options.rate_bytes;
    int64_t passed_ms = now_ms - link->level_ms;
    link->level_ms = now_ms;
    /* Longer than this and it is full again whatever it owed: no product overflows. */
    passed_ms = passed_ms > DAY_MS ? DAY_MS : passed_ms;
    link->level += passed_ms * rate;
    if (link->level > rate * BURST_MS)
        link->level = rate * BURST_MS;
}

static void count(void *context, uint64_t bytes_out, uint64_t bytes_in)
{
    struct link *link = context;
    int64_t now_ms = link->options.mono_ms();
    (void)pthread_mutex_lock(&link->mutex);
    link->spent_bytes += bytes_out + bytes_in;
    if (link->options.rate_bytes > 0) {
        fill_locked(link, now_ms);
        link->level -= (int64_t)(bytes_out + bytes_in) * SECOND_MS;
    }
    (void)pthread_mutex_unlock(&link->mutex);
    reserve(link);
}

static int64_t wait_ms(void *context)
{
    struct link *link = context;
    int64_t now_ms = link->options.mono_ms();
    int64_t rate = (int64_t)link->options.rate_bytes;
    int64_t ms = 0;
    (void)pthread_mutex_lock(&link->mutex);
    if (link->writing && link->spent_bytes >= link->reserved_bytes)
        ms = WRITING_MS;
    if (rate > 0) {
        fill_locked(link, now_ms);
        if (link->level <= 0 && -link->level / rate + 1 > ms)
            ms = -link->level / rate + 1;
    }
    (void)pthread_mutex_unlock(&link->mutex);
    return ms;
}

const struct http_meter *link_meter(const struct link *link)
{
    return &link->meter;
}

/* ---- what others ask ---- */

void link_get_status(struct link *link, struct link_status *ret_status)
{
    int64_t wall_ms = 0;
    bool known = link->options.wall_ms(link->options.context, &wall_ms);
    (void)pthread_mutex_lock(&link->mutex);
    turn_month_locked(link, known, wall_ms);
    *ret_status = (struct link_status){.pass = pass_locked(link),
                                       .month_bytes = link->spent_bytes,
                                       .limit_bytes = link->options.month_bytes,
                                       .reserve_percent = link->options.reserve_percent,
                                       .left_ms = -1};
    if (link->month != 0)
        ret_status->until_wall_ms = month_after(link->month, link->options.reset_day) * DAY_MS;
    if (link->month != 0 && known)
        ret_status->left_ms = ret_status->until_wall_ms - wall_ms;
    (void)pthread_mutex_unlock(&link->mutex);
}

enum link_pass link_ask(struct link *link)
{
    struct link_status status;
    link_get_status(link, &status);
    reserve(link);
    return status.pass;
}

/* The wire takes a third more, for base64, and then some; each of eight routes may have one. */
uint64_t link_request_bytes(const struct link *link)
{
    uint64_t bytes = UINT64_MAX;
    uint64_t percent = link->options.month_bytes / 100;
    if (link->options.rate_bytes > 0)
        bytes = link->options.rate_bytes * REQUEST_S;
    if (percent > 0 && bytes > percent * link->options.reserve_percent / RESERVE_REQUESTS)
        bytes = percent * link->options.reserve_percent / RESERVE_REQUESTS;
    return bytes > REQUEST_BYTES_MIN ? bytes : REQUEST_BYTES_MIN;
}

int link_save(struct link *link)
{
    struct link_status ignored;
    link_get_status(link, &ignored);
    (void)pthread_mutex_lock(&link->mutex);
    int64_t month = link->month;
    uint64_t bytes = link->spent_bytes;
    (void)pthread_mutex_unlock(&link->mutex);
    return write_file(link, month, bytes);
}

int link_open(const struct link_options *options, struct link **ret_link)
{
    if (options->reset_day < 1 || options->reset_day > 31 || options->reserve_percent > 100)
        return E_INVALID;
    struct link *link = calloc(1, sizeof *link);
    if (link == NULL)
        return E_NO_MEMORY;
    link->options = *options;
    link->meter = (struct http_meter){.count = count, .wait_ms = wait_ms, .context = link};
    if (options->mono_ms == NULL)
        link->options.mono_ms = clock_mono_ms;
    (void)pthread_mutex_init(&link->mutex, NULL);
    link->level_ms = link->options.mono_ms();
    link->level = (int64_t)options->rate_bytes * BURST_MS;
    if (options->directory != NULL) {
        int rc = fs_join(options->directory, "link", link->path, sizeof link->path);
        if (rc < 0) {
            link_close(link);
            return rc;
        }
        find_count(link);
    }
    (void)link_ask(link); /* from here on an unclean stop has to find a reservation */
    *ret_link = link;
    return E_OK;
}

void link_close(struct link *link)
{
    if (link == NULL)
        return;
    (void)pthread_mutex_destroy(&link->mutex);
    free(link);
}
