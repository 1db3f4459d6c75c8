/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "drivers/bus/settings.h"
#include "drivers/bus/ticker.h"
#include "drivers/driver.h"
#include "drivers/gpio/chips.h"
#include "drivers/gpio/debounce.h"
#include "drivers/gpio/entry.h"
#include "drivers/gpio/gpio_linux.h"
#include "drivers/gpio/pulse.h"
#include "drivers/sysfs.h"
#include "platform/base/error.h"

/*
 * Lines of GPIO chips. Each is a request of its own, so that each has its own bias, edges and
 * debouncing, and tells by name which is taken. Edges that are waiting go out in the order of their
 * times; the report of an interval follows behind those that came before it.
 */

enum { BATCH = 16, EVENTS_DEFAULT = 256, EVENTS_MAX = 1024, NS_PER_MS = 1000000, NS_DIGITS = 9 };

/* What is not a line in the epoll. */
enum { PLACE_SETTLE = SAMPLE_CHANNELS_MAX, PLACE_GONE, PLACES };

#define BOTH_EDGES (GPIO_V2_LINE_FLAG_EDGE_RISING | GPIO_V2_LINE_FLAG_EDGE_FALLING)

struct line {
    int fd;                   /* < 0: not taken */
    struct chips_line found;  /* its chip_fd is open until it is taken */
    struct entry entry;       /* how it is taken */
    struct debounce debounce; /* in use where the chip refused */
    uint32_t bounce;          /* the kernel's number of the last edge, where it is in use */
    struct pulse pulse;
    bool is_high; /* when it was last looked at */
    unsigned next, count;
    struct gpio_v2_line_event events[BATCH];
};

struct output {
    enum entry_mode mode;
    bool is_named; /* by the settings */
    struct decimal per_pulse;
    unsigned line; /* its place in lines */
    struct channel channel;
};

struct gpio {
    struct line *lines;
    size_t line_count;
    struct output outputs[SAMPLE_CHANNELS_MAX];
    size_t output_count;
    int epoll_fd;  /* of all lines and the next two */
    int settle_fd; /* a timer: a line that we debounce ourselves may have settled */
    int gone_fd;   /* inotify, where no interval makes us look: a device may be unplugged */
    struct ticker ticker;
    int64_t mono_ns; /* the clocks at the last fetch */
    int64_t boot_ns;
    int64_t due_ns;    /* when a report became due; 0: none is */
    bool is_drained;   /* no edge waits that came before it */
    bool has_reported; /* since open */
    bool drain;
    uint32_t events_max;
    bool lack_told; /* by a record */
    char lack[DRIVER_FAULT_BYTES];
    char fault[DRIVER_FAULT_BYTES];
};

static const struct driver_key keys[] = {
    {"chip", DRIVER_KEY_TEXT, false,
     "/dev/gpiochip0, gpiochip0 or the chip's label; default: the one that has the line"},
    {"lines[].line", DRIVER_KEY_TEXT, false, "the line's name (gpioinfo lists them)"},
    {"lines[].offset", DRIVER_KEY_INTEGER, false, "or its number on the chip, from 0"},
    {"lines[].name", DRIVER_KEY_TEXT, false, "of the channel; default: the line's name"},
    {"lines[].mode", DRIVER_KEY_TEXT, false,
     "value, edge, count, delta or frequency; default value"},
    {"lines[].edge", DRIVER_KEY_TEXT, false,
     "rising, falling or both; default both for edge, else rising"},
    {"lines[].active_low", DRIVER_KEY_BOOLEAN, false, "a low level is 1; default false"},
    {"lines[].bias", DRIVER_KEY_TEXT, false,
     "pull-up, pull-down or disabled; default: left as it is"},
    {"lines[].debounce", DRIVER_KEY_DURATION, false,
     "how long a level must last to count, up to 60s; default 0s"},
    {"lines[].per_pulse", DRIVER_KEY_DECIMAL, false,
     "what one edge stands for, like 0.001 (m3); default 1"},
    {"lines[].unit", DRIVER_KEY_UNIT, false,
     "of count, delta and frequency; default count, or Hz for frequency"},
    {"lines[].decimals", DRIVER_KEY_INTEGER, false,
     "digits behind the point, 0 to 9; default those of per_pulse, or 3 for frequency"},
    {"event_buffer", DRIVER_KEY_INTEGER, false,
     "edges per line that the kernel keeps for us, 16 to 1024; default 256"},
    {0}};

static const struct driver_limit limits[] = {
    {.key = "lines[].mode", .choices = entry_modes},
    {.key = "lines[].edge", .choices = "rising|falling|both"},
    {.key = "lines[].bias", .choices = "pull-up|pull-down|disabled"},
    {.key = "lines[].offset", .low = 0, .high = 65535},
    {.key = "lines[].decimals", .low = 0, .high = 9},
    {.key = "event_buffer", .low = 16, .high = EVENTS_MAX},
    {.key = NULL}};

/* ---- taking a line ---- */

enum { PLACE_BYTES = 160 };

/* "/dev/gpiochip0: line 17 (METER)" */
static const char *place_of(const struct line *line, char text[PLACE_BYTES])
{
    const struct gpio_v2_line_info *info = &line->found.info;
    bool has_name = info->name[0] != '\0';
    (void)snprintf(text, PLACE_BYTES, "%.100s: line %u%s%s%s", line->found.path, info->offset,
                   has_name ? " (" : "", info->name, has_name ? ")" : "");
    return text;
}

#define PLACE_OF(line) place_of((line), (char[PLACE_BYTES]){0})

static int say_refused(const struct line *line, int rc, char *fault)
{
    const char *consumer = line->found.info.consumer;
    switch (error_errno(rc)) {
    case EBUSY:
        driver_say(fault, "%s is in use by \"%s\" (gpioinfo shows who has which)", PLACE_OF(line),
                   *consumer != '\0' ? consumer : "the kernel");
        break;
    case ENXIO:
        driver_say(fault, "%s has no interrupt, so only mode \"value\" without debounce works",
                   PLACE_OF(line));
        break;
    case EINVAL:
    case EOPNOTSUPP:
        driver_say(fault, "%s: the chip refuses its bias, edges or debounce (%s)", PLACE_OF(line),
                   ERROR_TEXT(rc));
        break;
    default:
        driver_say(fault, "%s may not be taken: %s", PLACE_OF(line), ERROR_TEXT(rc));
    }
    return rc;
}

/* Only reading leaves an output what it is. One that is in use is refused by the kernel. */
static int check_direction(const struct line *line, struct gpio_v2_line_request *request,
                           char *fault)
{
    uint64_t flags = line->found.info.flags;
    if ((flags & GPIO_V2_LINE_FLAG_OUTPUT) == 0 || (flags & GPIO_V2_LINE_FLAG_USED) != 0)
        return 0;
    if ((line->entry.flags & ~(uint64_t)GPIO_V2_LINE_FLAG_ACTIVE_LOW) == 0 &&
        line->entry.debounce_ms == 0) {
        request->config.flags &= ~(uint64_t)GPIO_V2_LINE_FLAG_INPUT;
        return 0;
    }
    driver_say(fault,
               "%s is an output, which this would switch off; mode \"value\" alone, without bias "
               "and debounce, can read it",
               PLACE_OF(line));
    return E_INVALID;
}

/* A chip that has debouncing of its own refuses what is beyond it (OMAP: 7.9 ms); where it has
 * none, the kernel does it. So we do it ourselves, from both edges. */
static int request_line(struct line *line, struct gpio_v2_line_request *request)
{
    struct gpio_v2_line_config *config = &request->config;
    if (line->entry.debounce_ms > 0) {
        config->num_attrs = 1;
        config->attrs[0].mask = 1;
        config->attrs[0].attr.id = GPIO_V2_LINE_ATTR_ID_DEBOUNCE;
        config->attrs[0].attr.debounce_period_us = (uint32_t)line->entry.debounce_ms * 1000;
    }
    int rc = gpio_linux_request(line->found.chip_fd, request);
    int number = rc < 0 ? error_errno(rc) : 0;
    if (config->num_attrs == 0 || (number != EINVAL && number != EOPNOTSUPP))
        return rc;
    config->num_attrs = 0;
    memset(config->attrs, 0, sizeof config->attrs);
    config->flags |= BOTH_EDGES;
    rc = gpio_linux_request(line->found.chip_fd, request);
    if (rc >= 0)
        line->debounce.period_ns = line->entry.debounce_ms * NS_PER_MS;
    return rc;
}

static int take_line(const struct gpio *gpio, struct line *line,
                     const struct driver_context *context)
{
    struct gpio_v2_line_request request = {.offsets = {line->found.info.offset},
                                           .num_lines = 1,
                                           .event_buffer_size = gpio->events_max,
                                           .config.flags =
                                               GPIO_V2_LINE_FLAG_INPUT | line->entry.flags};
    (void)snprintf(request.consumer, sizeof request.consumer, "runnel %.24s", context->sensor);
    int rc = check_direction(line, &request, context->fault);
    if (rc < 0)
        return rc;
    rc = request_line(line, &request);
    if (rc < 0)
        return say_refused(line, rc, context->fault);
    line->fd = rc;
    rc = gpio_linux_level(line->fd);
    if (rc < 0)
        return say_refused(line, rc, context->fault);
    line->is_high = rc != 0;
    debounce_start(&line->debounce, line->debounce.period_ns, line->is_high);
    return 0;
}

/* ---- opening ---- */

/* The line of an earlier element, if it is the same one, or NULL. */
static struct line *find_same(const struct gpio *gpio, const struct chips_line *found)
{
    for (size_t i = 0; i < gpio->line_count; i++)
        if (gpio->lines[i].found.info.offset == found->info.offset &&
            strcmp(gpio->lines[i].found.path, found->path) == 0)
            return &gpio->lines[i];
    return NULL;
}

/* A line that several elements are about is taken as the one that wants most of it says. */
static int share_line(struct line *line, const struct entry *entry, char *fault)
{
    if (!entry_agrees(&line->entry, entry)) {
        driver_say(fault,
                   "%s is there twice; its edge, bias, active_low and debounce must be the "
                   "same",
                   PLACE_OF(line));
        return E_INVALID;
    }
    if (line->entry.mode == ENTRY_VALUE)
        line->entry = *entry;
    return 0;
}

static int find_line(struct gpio *gpio, const struct driver_context *context,
                     const struct entry *entry, struct line **ret_line)
{
    struct chips_line found;
    const struct chips_query query = {.root = context->root,
                                      .chip = driver_setting(context, "chip"),
                                      .line = entry->line,
                                      .offset = entry->offset};
    int rc = chips_find(&query, &found, context->fault);
    if (rc < 0)
        return rc;
    struct line *line = find_same(gpio, &found);
    *ret_line = line != NULL ? line : &gpio->lines[gpio->line_count];
    if (line == NULL) {
        gpio->lines[gpio->line_count++] = (struct line){.fd = -1, .found = found, .entry = *entry};
        return 0;
    }
    (void)close(found.chip_fd);
    return share_line(line, entry, context->fault);
}

static const char *unit_of(const struct entry *entry)
{
    if (entry->unit != NULL || entry->mode < ENTRY_COUNT)
        return entry->unit != NULL ? entry->unit : "";
    return entry->mode == ENTRY_FREQUENCY ? "Hz" : "count";
}

static void add_output(struct gpio *gpio, const struct entry *entry, const struct line *line)
{
    struct output *output = &gpio->outputs[gpio->output_count++];
    const struct gpio_v2_line_info *info = &line->found.info;
    char name[GPIO_MAX_NAME_SIZE];
    *output = (struct output){.mode = entry->mode,
                              .is_named = entry->name != NULL,
                              .per_pulse = entry->per_pulse,
                              .line = (unsigned)(line - gpio->lines),
                              .channel.decimals = entry->decimals};
    (void)snprintf(output->channel.unit, sizeof output->channel.unit, "%s", unit_of(entry));
    (void)snprintf(name, sizeof name, "line%u", info->offset);
    if (entry->name != NULL)
        (void)snprintf(output->channel.name, SAMPLE_NAME_BYTES, "%s", entry->name);
    else
        sysfs_name(output->channel.name, info->name[0] != '\0' ? info->name : name);
}

/* Those that have their names from the settings keep them. */
static void make_names_unique(struct gpio *gpio)
{
    struct channel channels[SAMPLE_CHANNELS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < gpio->output_count; i++)
        if (gpio->outputs[i].is_named)
            channels[count++] = gpio->outputs[i].channel;
    for (size_t i = 0; i < gpio->output_count; i++) {
        if (gpio->outputs[i].is_named)
            continue;
        channels[count] = gpio->outputs[i].channel;
        sysfs_make_unique(channels, count);
        gpio->outputs[i].channel = channels[count++];
    }
}

/* Finds all before any is taken, because an element further down may want the edges of a line. */
static int open_lines(struct gpio *gpio, const struct driver_context *context, size_t count)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        struct entry entry;
        struct line *line;
        entry_read(context, i, &entry);
        rc = find_line(gpio, context, &entry, &line);
        if (rc == 0)
            add_output(gpio, &entry, line);
    }
    make_names_unique(gpio);
    for (size_t i = 0; rc == 0 && i < gpio->line_count; i++)
        rc = take_line(gpio, &gpio->lines[i], context);
    return rc;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

static void close_chips(struct gpio *gpio)
{
    for (size_t i = 0; i < gpio->line_count; i++)
        close_fd(&gpio->lines[i].found.chip_fd);
}

static int watch(const struct gpio *gpio, int fd, uint32_t place)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = place};
    return epoll_ctl(gpio->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? error_sys(errno) : 0;
}

/* Kernels before 6.6 wake nobody when a chip goes away, but its node goes, too. */
static int watch_nodes(struct gpio *gpio, const char *root)
{
    char path[FS_PATH_BYTES];
    (void)snprintf(path, sizeof path, "%.150s/dev", root);
    gpio->gone_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (gpio->gone_fd < 0 || inotify_add_watch(gpio->gone_fd, path, IN_DELETE) < 0)
        return error_sys(errno);
    return watch(gpio, gpio->gone_fd, PLACE_GONE);
}

static int watch_lines(struct gpio *gpio, const struct driver_context *context)
{
    gpio->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    gpio->settle_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (gpio->epoll_fd < 0 || gpio->settle_fd < 0)
        return error_sys(errno);
    int rc = watch(gpio, gpio->settle_fd, PLACE_SETTLE);
    if (rc == 0 && context->interval_ms <= 0)
        rc = watch_nodes(gpio, context->root);
    for (size_t i = 0; rc == 0 && i < gpio->line_count; i++)
        rc = watch(gpio, gpio->lines[i].fd, (uint32_t)i);
    return rc == 0 ? ticker_open(&gpio->ticker, gpio->epoll_fd, context->interval_ms) : rc;
}

static int gpio_open(void *instance, const struct driver_context *context)
{
    struct gpio *gpio = instance;
    size_t count = settings_count(context, "lines");
    gpio->epoll_fd = gpio->settle_fd = gpio->gone_fd = -1;
    gpio->ticker = TICKER_CLOSED;
    gpio->drain = context->drain;
    gpio->events_max =
        (uint32_t)settings_integer(driver_setting(context, "event_buffer"), EVENTS_DEFAULT);
    if (entry_check(context) != NULL)
        return E_INVALID;
    gpio->lines = calloc(count, sizeof *gpio->lines);
    if (gpio->lines == NULL)
        return E_NO_MEMORY;
    int rc = open_lines(gpio, context, count);
    close_chips(gpio);
    if (rc < 0)
        return rc;
    rc = watch_lines(gpio, context);
    if (rc < 0)
        driver_say(context->fault, "waiting for the lines: %s", ERROR_TEXT(rc));
    gpio_linux_now(&gpio->mono_ns, &gpio->boot_ns);
    gpio->due_ns = gpio->mono_ns; /* the first report says what there is at the start */
    return rc;
}

static int gpio_channels(const void *instance, struct channel *ret_channels)
{
    const struct gpio *gpio = instance;
    for (size_t i = 0; i < gpio->output_count; i++)
        ret_channels[i] = gpio->outputs[i].channel;
    return (int)gpio->output_count;
}

/* ---- fetching ---- */

static int say_gone(struct gpio *gpio, const struct line *line, int rc)
{
    driver_say(gpio->fault, "%s: %s; is the chip unplugged?", PLACE_OF(line), ERROR_TEXT(rc));
    return rc;
}

/* Whatever came before the report that is due has been taken. */
static bool has_caught_up(const struct gpio *gpio, const struct line *line)
{
    return line->count < BATCH ||
           (gpio->due_ns != 0 && line->events[BATCH - 1].timestamp_ns >= (uint64_t)gpio->due_ns);
}

static int fetch_events(struct gpio *gpio, struct line *line)
{
    if (line->next < line->count)
        return 0;
    ssize_t got = read(line->fd, line->events, sizeof line->events);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (got <= 0)
        return say_gone(gpio, line, got < 0 ? error_sys(errno) : E_CLOSED);
    line->count = (unsigned)((size_t)got / sizeof line->events[0]);
    gpio->is_drained = gpio->is_drained && has_caught_up(gpio, line);
    return 0;
}

/* Also shows whether the chips are still there. */
static int fetch_levels(struct gpio *gpio)
{
    for (size_t i = 0; i < gpio->line_count; i++) {
        struct line *line = &gpio->lines[i];
        int rc = gpio_linux_level(line->fd);
        if (rc < 0)
            return say_gone(gpio, line, rc);
        line->is_high = rc != 0;
    }
    return 0;
}

static int fetch_place(struct gpio *gpio, uint32_t place)
{
    char bytes[4096]; /* of inotify or the timer: that it came is enough */
    if (place < PLACE_SETTLE)
        return fetch_events(gpio, &gpio->lines[place]);
    if (read(place == PLACE_GONE ? gpio->gone_fd : gpio->settle_fd, bytes, sizeof bytes) < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : error_sys(errno);
    return place == PLACE_GONE ? fetch_levels(gpio) : 0;
}

/* So that a full batch is one that was read just now: there may be more behind it. */
static void forget_taken(struct gpio *gpio)
{
    for (size_t i = 0; i < gpio->line_count; i++)
        if (gpio->lines[i].next == gpio->lines[i].count)
            gpio->lines[i].next = gpio->lines[i].count = 0;
}

static int fetch_ready(struct gpio *gpio, int *ret_ready)
{
    struct epoll_event ready[PLACES];
    forget_taken(gpio);
    int count = epoll_wait(gpio->epoll_fd, ready, PLACES, 0);
    if (count < 0 && errno != EINTR)
        return error_sys(errno);
    for (int i = 0; i < count; i++) {
        int rc = fetch_place(gpio, ready[i].data.u32);
        if (rc < 0)
            return rc;
    }
    *ret_ready = count > 0 ? count : 0;
    return 0;
}

static int gpio_fetch(void *instance, int64_t deadline_ms)
{
    struct gpio *gpio = instance;
    int ready;
    (void)deadline_ms; /* nothing here waits */
    gpio_linux_now(&gpio->mono_ns, &gpio->boot_ns);
    if (ticker_is_due(&gpio->ticker) && gpio->due_ns == 0)
        gpio->due_ns = gpio->mono_ns;
    gpio->is_drained = true;
    int rc = fetch_ready(gpio, &ready);
    if (rc == 0 && gpio->due_ns != 0 && gpio->is_drained)
        rc = fetch_levels(gpio);
    if (rc < 0)
        return rc;
    if (ready > 0 || gpio->due_ns != 0)
        return 0;
    return gpio->drain ? E_END : E_AGAIN; /* what has come is taken */
}

/* ---- reading ---- */

/* The stamp of an edge runs on the monotonic clock, which stands still while the system sleeps. */
static int64_t boot_ms_of(const struct gpio *gpio, int64_t mono_ns)
{
    if (mono_ns <= 0 || mono_ns > gpio->mono_ns)
        mono_ns = gpio->mono_ns; /* just now, or no stamp that a kernel gives */
    return (mono_ns + (gpio->boot_ns - gpio->mono_ns)) / NS_PER_MS;
}

static struct line *find_earliest(struct gpio *gpio)
{
    struct line *earliest = NULL;
    for (size_t i = 0; i < gpio->line_count; i++) {
        struct line *line = &gpio->lines[i];
        if (line->next < line->count &&
            (earliest == NULL ||
             line->events[line->next].timestamp_ns < earliest->events[earliest->next].timestamp_ns))
            earliest = line;
    }
    return earliest;
}

static bool has_edge_output(const struct gpio *gpio, const struct line *line)
{
    for (size_t i = 0; i < gpio->output_count; i++)
        if (&gpio->lines[gpio->outputs[i].line] == line && gpio->outputs[i].mode == ENTRY_EDGE)
            return true;
    return false;
}

static void note_lost(struct gpio *gpio, const struct line *line)
{
    driver_say(gpio->lack,
               "%s: %" PRIu64
               " edges were lost so far: they came faster than they were read; raise "
               "\"event_buffer\"%s",
               PLACE_OF(line), line->pulse.lost,
               line->debounce.period_ns == 0 ? " or use mode \"count\"" : "");
}

static struct value whole(int64_t number)
{
    return (struct value){.kind = VALUE_DECIMAL, .mantissa = number};
}

/* True if the edge is a record. */
static bool count_edge(struct gpio *gpio, struct line *line, uint32_t number, int64_t time_ns,
                       bool is_high, struct sample *ret_sample)
{
    uint32_t lost = pulse_add(&line->pulse, number, time_ns);
    if (!has_edge_output(gpio, line))
        return false;
    if (lost > 0)
        note_lost(gpio, line);
    *ret_sample =
        (struct sample){.boot_ms = boot_ms_of(gpio, time_ns), .value_count = gpio->output_count};
    for (size_t i = 0; i < gpio->output_count; i++)
        if (&gpio->lines[gpio->outputs[i].line] == line && gpio->outputs[i].mode == ENTRY_EDGE)
            ret_sample->values[i] = whole(is_high ? 1 : 0);
    return true;
}

/* A level that has lasted: is it an edge of the kind that was asked for? */
static bool settle(struct gpio *gpio, struct line *line, int64_t now_ns, struct sample *ret_sample)
{
    int64_t edge_ns;
    if (line->debounce.period_ns == 0 || !debounce_settle(&line->debounce, now_ns, &edge_ns))
        return false;
    uint64_t edge =
        line->debounce.is_high ? GPIO_V2_LINE_FLAG_EDGE_RISING : GPIO_V2_LINE_FLAG_EDGE_FALLING;
    if ((line->entry.flags & edge) == 0)
        return false;
    return count_edge(gpio, line, line->pulse.number + 1, edge_ns, line->debounce.is_high,
                      ret_sample);
}

/* What bounced while nobody read may have been an edge that counts. */
static void count_bounce(struct gpio *gpio, struct line *line, uint32_t number)
{
    uint32_t lost = number - line->bounce - 1;
    line->bounce = number;
    if (lost == 0 || lost > INT32_MAX)
        return;
    line->pulse.lost += lost;
    note_lost(gpio, line);
}

static bool take_event(struct gpio *gpio, struct line *line, struct sample *ret_sample)
{
    const struct gpio_v2_line_event *event = &line->events[line->next++];
    int64_t time_ns =
        event->timestamp_ns > INT64_MAX ? gpio->mono_ns : (int64_t)event->timestamp_ns;
    bool is_high = event->id == GPIO_V2_LINE_EVENT_RISING_EDGE;
    if (line->debounce.period_ns == 0)
        return count_edge(gpio, line, event->line_seqno, time_ns, is_high, ret_sample);
    count_bounce(gpio, line, event->line_seqno);
    bool is_record = settle(gpio, line, time_ns, ret_sample);
    debounce_edge(&line->debounce, is_high, time_ns);
    return is_record;
}

/* Up to when all edges of the line are known. */
static int64_t known_until_ns(const struct gpio *gpio, const struct line *line)
{
    uint64_t last_ns = line->count == BATCH ? line->events[BATCH - 1].timestamp_ns : UINT64_MAX;
    return last_ns < (uint64_t)gpio->mono_ns ? (int64_t)last_ns : gpio->mono_ns;
}

static bool settle_all(struct gpio *gpio, struct sample *ret_sample)
{
    int64_t next_ns = INT64_MAX;
    for (size_t i = 0; i < gpio->line_count; i++) {
        struct line *line = &gpio->lines[i];
        if (line->debounce.period_ns == 0)
            continue;
        if (settle(gpio, line, known_until_ns(gpio, line), ret_sample))
            return true;
        int64_t due_ns = debounce_due_ns(&line->debounce);
        next_ns = due_ns < next_ns ? due_ns : next_ns;
    }
    if (next_ns < INT64_MAX) {
        const struct itimerspec at = {.it_value.tv_sec = (time_t)(next_ns / 1000000000),
                                      .it_value.tv_nsec = (long)(next_ns % 1000000000)};
        (void)timerfd_settime(gpio->settle_fd, TFD_TIMER_ABSTIME, &at, NULL);
    }
    return false;
}

static struct value scaled(uint64_t count, const struct output *output)
{
    const struct decimal edges = {.mantissa = (int64_t)(count & INT64_MAX)};
    struct decimal result;
    int rc = decimal_scale(edges, output->per_pulse, (struct decimal){0}, output->channel.decimals,
                           &result);
    return rc < 0 ? (struct value){.kind = VALUE_ABSENT}
                  : (struct value){.kind = VALUE_DECIMAL,
                                   .mantissa = result.mantissa,
                                   .decimals = result.decimals};
}

/* What a line's edges come to, once for all of its outputs. */
struct measured {
    bool is_known;
    uint64_t count;
    int64_t span_ns;
    uint64_t delta;
};

static struct value rate(const struct measured *measured, const struct output *output)
{
    const struct decimal edges = {.mantissa = (int64_t)(measured->count & INT64_MAX)};
    const struct decimal span = {.mantissa = measured->span_ns, .decimals = NS_DIGITS};
    struct decimal amount;
    struct decimal result;
    if (!measured->is_known ||
        decimal_scale(edges, output->per_pulse, (struct decimal){0}, output->per_pulse.decimals,
                      &amount) < 0 ||
        decimal_divide(amount, span, output->channel.decimals, &result) < 0)
        return (struct value){.kind = VALUE_ABSENT};
    return (struct value){
        .kind = VALUE_DECIMAL, .mantissa = result.mantissa, .decimals = result.decimals};
}

static struct value value_of(const struct gpio *gpio, const struct output *output,
                             const struct measured *measured)
{
    const struct line *line = &gpio->lines[output->line];
    bool is_high;
    switch (output->mode) {
    case ENTRY_COUNT:
        return scaled(line->pulse.total, output);
    case ENTRY_DELTA:
        return scaled(measured[output->line].delta, output);
    case ENTRY_FREQUENCY:
        return rate(&measured[output->line], output);
    default:
        is_high = line->debounce.period_ns > 0 ? line->debounce.is_high : line->is_high;
        return whole(is_high ? 1 : 0);
    }
}

static void report(struct gpio *gpio, struct sample *ret_sample)
{
    struct measured measured[SAMPLE_CHANNELS_MAX];
    for (size_t i = 0; i < gpio->line_count; i++) {
        struct pulse *pulse = &gpio->lines[i].pulse;
        struct measured *to = &measured[i];
        *to = (struct measured){.delta = pulse_delta(pulse)};
        to->is_known =
            gpio->has_reported && pulse_measure(pulse, gpio->due_ns, &to->count, &to->span_ns);
    }
    *ret_sample = (struct sample){.boot_ms = boot_ms_of(gpio, gpio->due_ns),
                                  .value_count = gpio->output_count};
    for (size_t i = 0; i < gpio->output_count; i++)
        ret_sample->values[i] = value_of(gpio, &gpio->outputs[i], measured);
    gpio->due_ns = 0;
    gpio->has_reported = true;
}

static int next_record(struct gpio *gpio, struct sample *ret_sample)
{
    struct line *line;
    while ((line = find_earliest(gpio)) != NULL)
        if (take_event(gpio, line, ret_sample))
            return 0;
    if (settle_all(gpio, ret_sample))
        return 0;
    if (gpio->due_ns == 0 || !gpio->is_drained)
        return E_AGAIN;
    report(gpio, ret_sample);
    return 0;
}

/* What is lacking is kept until a record takes it along. */
static int gpio_read(void *instance, struct sample *ret_sample)
{
    struct gpio *gpio = instance;
    if (gpio->lack_told)
        gpio->lack[0] = '\0';
    int rc = next_record(gpio, ret_sample);
    gpio->lack_told = rc == 0;
    return rc;
}

static int gpio_wait_fd(const void *instance)
{
    const struct gpio *gpio = instance;
    return gpio->ticker.epoll_fd;
}

static const char *gpio_fault(const void *instance)
{
    const struct gpio *gpio = instance;
    return gpio->fault[0] != '\0' ? gpio->fault : NULL;
}

static const char *gpio_lack(const void *instance)
{
    const struct gpio *gpio = instance;
    return gpio->lack[0] != '\0' ? gpio->lack : NULL;
}

static void gpio_close(void *instance)
{
    struct gpio *gpio = instance;
    ticker_close(&gpio->ticker);
    for (size_t i = 0; i < gpio->line_count; i++)
        close_fd(&gpio->lines[i].fd);
    close_fd(&gpio->settle_fd);
    close_fd(&gpio->gone_fd);
    close_fd(&gpio->epoll_fd);
    free(gpio->lines);
    gpio->lines = NULL;
    gpio->line_count = 0;
}

const struct driver driver_gpio = {
    .name = "gpio",
    .summary = "levels, edges, pulse counts and frequencies of GPIO lines (/dev/gpiochip*)",
    .keys = keys,
    .limits = limits,
    .instance_bytes = sizeof(struct gpio),
    .bus_key = "chip",
    .at_events = true,
    .check = entry_check,
    .open = gpio_open,
    .channels = gpio_channels,
    .fetch = gpio_fetch,
    .read = gpio_read,
    .wait_fd = gpio_wait_fd,
    .fault = gpio_fault,
    .lack = gpio_lack,
    .close = gpio_close,
};
