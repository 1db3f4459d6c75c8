/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "drivers/driver.h"
#include "drivers/format/text.h"
#include "drivers/lines/follow.h"
#include "drivers/lines/framer.h"
#include "drivers/lines/writers.h"
#include "platform/base/error.h"
#include "platform/base/parse.h"
#include "platform/clock.h"
#include "platform/fs.h"

/* Lines of text, from whoever writes them: a tty, a FIFO, a file that grows, or a Unix socket. */

enum kind { KIND_CLOSED, KIND_FILE, KIND_FIFO, KIND_TTY, KIND_UNIX };

static const char unix_prefix[] = "unix:";

struct lines {
    enum kind kind;
    bool drain;
    size_t document_bytes_max;
    char path[FS_PATH_BYTES]; /* without "unix:" */
    struct text text;
    struct text_stream *streams; /* one; for each writer one on a socket */
    int fd;                      /* of a FIFO or tty */
    bool had_data;
    struct follow follow;
    struct writers writers;
    uint8_t *buffers;
    struct framer framer;
    struct framer *current; /* whose lines read takes; NULL: nobody's */
    bool at_end;            /* its rest is a line */
    uint64_t skipped;       /* bytes of the file before the first line counted */
    int refusal;            /* for the next read to report; 0: none */
    char fault[DRIVER_FAULT_BYTES];
};

static const struct driver_key keys[] = {
    {"path", DRIVER_KEY_TEXT, true, "a tty, a FIFO, a file to follow, or unix:/path to listen on"},
    {"baud", DRIVER_KEY_INTEGER, false, "the speed of a tty (8 bits, no parity); default 9600"},
    TEXT_KEYS,
    {0}};

static const struct driver_limit limits[] = {
    {.key = "baud",
     .choices = "1200|2400|4800|9600|19200|38400|57600|115200|230400|460800|921600|1000000|1500000"
                "|2000000|3000000|4000000"},
    TEXT_LIMITS,
    {.key = NULL}};

/* ---- opening ---- */

static const struct speed {
    uint64_t baud;
    speed_t code;
} speeds[] = {
    {1200, B1200},       {2400, B2400},       {4800, B4800},       {9600, B9600},
    {19200, B19200},     {38400, B38400},     {57600, B57600},     {115200, B115200},
    {230400, B230400},   {460800, B460800},   {921600, B921600},   {1000000, B1000000},
    {1500000, B1500000}, {2000000, B2000000}, {3000000, B3000000}, {4000000, B4000000},
};

static int find_speed(const char *text, speed_t *ret_code)
{
    uint64_t baud = 9600;
    if (text != NULL && parse_unsigned(text, strlen(text), &baud) < 0)
        return E_INVALID;
    for (size_t i = 0; i < sizeof speeds / sizeof speeds[0]; i++)
        if (speeds[i].baud == baud) {
            *ret_code = speeds[i].code;
            return 0;
        }
    return E_INVALID;
}

static int set_tty(int fd, speed_t speed)
{
    struct termios settings;
    if (tcgetattr(fd, &settings) < 0)
        return error_sys(errno);
    cfmakeraw(&settings);
    settings.c_cflag |= CLOCAL | CREAD;
    settings.c_cflag &= ~(tcflag_t)(CSTOPB | PARENB);
    if (cfsetispeed(&settings, speed) < 0 || cfsetospeed(&settings, speed) < 0 ||
        tcsetattr(fd, TCSANOW, &settings) < 0)
        return error_sys(errno);
    return 0;
}

static int open_tty(struct lines *lines, const struct driver_context *context)
{
    speed_t speed;
    const char *baud = driver_setting(context, "baud");
    if (find_speed(baud, &speed) < 0) {
        driver_say(context->fault, "baud \"%s\": use 1200, 2400, ... 115200, ... 4000000", baud);
        return E_INVALID;
    }
    int rc = set_tty(lines->fd, speed);
    if (rc < 0)
        driver_say(context->fault, "%s: setting its speed: %s", lines->path, ERROR_TEXT(rc));
    return rc;
}

/* A FIFO opened for reading, without waiting, says "no data" until its first writer comes. */
static int open_stream(const char *path)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    return fd < 0 ? error_sys(errno) : fd;
}

static bool is_unix_path(const char *path)
{
    return strncmp(path, unix_prefix, sizeof unix_prefix - 1) == 0;
}

static const char *check_path(const struct driver_context *context)
{
    const char *path = driver_setting(context, "path");
    if (path == NULL)
        return NULL;
    bool is_unix = is_unix_path(path);
    const char *file = path + (is_unix ? sizeof unix_prefix - 1 : 0);
    size_t count = strlen(file);
    if (is_unix && (count == 0 || count >= WRITERS_PATH_BYTES)) {
        driver_say(context->fault, "is %s; the path of a socket has 1 to %d bytes behind \"unix:\"",
                   count == 0 ? "empty" : "too long", WRITERS_PATH_BYTES - 1);
        return "path";
    }
    if (file[0] != '/') { /* a service's working directory is nobody's choice */
        driver_say(context->fault, "is no absolute path; write it from / on");
        return "path";
    }
    if (!is_unix || driver_setting(context, "baud") == NULL)
        return NULL;
    driver_say(context->fault, "is the speed of a tty, and \"path\" is a socket; leave it out");
    return "baud";
}

static const char *lines_check(const struct driver_context *context)
{
    const char *key = check_path(context);
    return key != NULL ? key : text_check(context);
}

static int open_unix(struct lines *lines, const struct driver_context *context)
{
    lines->kind = KIND_UNIX;
    int rc = writers_open(&lines->writers, lines->path, lines->buffers, lines->document_bytes_max);
    if (rc == E_EXISTS)
        driver_say(context->fault,
                   "unix:%s: exists and is no socket; remove it or use another path", lines->path);
    else if (rc == E_TOO_BIG)
        driver_say(context->fault, "path: is too long; that of a socket has at most %d bytes",
                   WRITERS_PATH_BYTES - 1);
    else if (rc == E_BUSY)
        driver_say(context->fault, "unix:%s: another process listens there", lines->path);
    else if (rc < 0)
        driver_say(context->fault, "unix:%s: %s; does its directory exist, and may we write to it?",
                   lines->path, ERROR_TEXT(rc));
    return rc;
}

/* What the lines behind the one at which reading goes on are to be understood by. */
static int read_first_line(struct lines *lines)
{
    struct framer_line line;
    struct sample none;
    size_t size;
    framer_start(&lines->framer, lines->buffers, lines->document_bytes_max, 0);
    void *room = framer_room(&lines->framer, &size);
    ssize_t got = pread(lines->follow.fd, room, size, 0);
    if (got < 0)
        return error_sys(errno);
    framer_add(&lines->framer, (size_t)got);
    int rc = framer_next(&lines->framer, true, &line);
    if (rc == 0)
        rc = text_convert(&lines->text, lines->streams,
                          &(struct text_line){.bytes = line.bytes, .count = line.count}, &none);
    return rc == E_AGAIN ? 0 : rc;
}

static int open_file(struct lines *lines, const struct driver_context *context)
{
    uint64_t offset;
    lines->kind = KIND_FILE;
    int rc = follow_open(&lines->follow, lines->path, &context->resume, lines->drain, &offset);
    if (rc < 0) {
        driver_say(context->fault, "%s: %s", lines->path, ERROR_TEXT(rc));
        return rc;
    }
    if (offset > 0 && text_needs_header(&lines->text))
        rc = read_first_line(lines);
    if (rc < 0) {
        driver_say(context->fault, "%s: its first line is no header: %s", lines->path,
                   lines->text.what);
        return rc;
    }
    framer_start(&lines->framer, lines->buffers, lines->document_bytes_max, offset);
    lines->skipped = offset;
    lines->current = &lines->framer;
    return 0;
}

static bool is_fifo(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode);
}

static int say_other_kind(const struct lines *lines, const struct driver_context *context)
{
    driver_say(context->fault, "%s: neither file, FIFO nor tty; a socket is unix:%s", lines->path,
               lines->path);
    return E_INVALID;
}

/* Other character devices, as /dev/null, are at their end all the time. */
static int open_fifo_or_tty(struct lines *lines, const struct driver_context *context)
{
    lines->fd = open_stream(lines->path);
    if (lines->fd < 0) {
        driver_say(context->fault, "%s: %s", lines->path, ERROR_TEXT(lines->fd));
        return lines->fd;
    }
    lines->kind = isatty(lines->fd) ? KIND_TTY : KIND_FIFO;
    framer_start(&lines->framer, lines->buffers, lines->document_bytes_max, 0);
    lines->current = &lines->framer;
    if (lines->kind == KIND_TTY)
        return open_tty(lines, context);
    return is_fifo(lines->fd) ? 0 : say_other_kind(lines, context);
}

static int open_path(struct lines *lines, const struct driver_context *context)
{
    struct stat status;
    if (stat(lines->path, &status) == 0) {
        if (S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode))
            return open_fifo_or_tty(lines, context);
        if (!S_ISREG(status.st_mode))
            return say_other_kind(lines, context);
    }
    return open_file(lines, context); /* says why stat failed, and finds one that was renamed */
}

static bool is_under(const char *path, const char *directory)
{
    size_t count = strlen(directory);
    return strncmp(path, directory, count) == 0 && path[count] == '/';
}

static int set_path(struct lines *lines, const struct driver_context *context, const char *path)
{
    bool injected = is_under(path, "/dev") || is_under(path, "/proc") || is_under(path, "/sys");
    int count =
        snprintf(lines->path, sizeof lines->path, "%s%s", injected ? context->root : "", path);
    if (count > 0 && (size_t)count < sizeof lines->path)
        return 0;
    driver_say(context->fault, "path: %s", *path == '\0' ? "it is empty" : "it is too long");
    return E_INVALID;
}

static int lines_open(void *instance, const struct driver_context *context)
{
    struct lines *lines = instance;
    const char *path = driver_setting(context, "path");
    bool is_unix = path != NULL && is_unix_path(path);
    lines->drain = context->drain;
    lines->document_bytes_max = context->document_bytes_max;
    int rc = set_path(lines, context,
                      path == NULL ? ""
                      : is_unix    ? path + sizeof unix_prefix - 1
                                   : path);
    if (rc == 0)
        rc = text_open(&lines->text, context);
    if (rc < 0)
        return rc;
    size_t streams = is_unix ? CONFIG_DRIVER_LINES_WRITERS : 1;
    lines->buffers = calloc(streams, framer_buffer_bytes(lines->document_bytes_max));
    lines->streams = calloc(streams, sizeof *lines->streams);
    if (lines->buffers == NULL || lines->streams == NULL)
        return E_NO_MEMORY;
    rc = is_unix ? open_unix(lines, context) : open_path(lines, context);
    if (rc < 0 || lines->kind == KIND_TTY || driver_setting(context, "baud") == NULL)
        return rc;
    driver_say(context->fault, "baud: %s is no tty; leave it out", path);
    return E_INVALID;
}

static int lines_channels(const void *instance, struct channel *ret_channels)
{
    const struct lines *lines = instance;
    return text_channels(&lines->text, ret_channels);
}

/* ---- fetching ---- */

/* "PATH:LINE: ", or what is known of the line in a file that was not read from its start. */
static void say_line(struct lines *lines, unsigned column, const char *what)
{
    const char *prefix = lines->kind == KIND_UNIX ? unix_prefix : "";
    if (lines->skipped > 0)
        driver_say(lines->fault, "%s%s: line %" PRIu64 " behind byte %" PRIu64 ", column %u: %s",
                   prefix, lines->path, lines->current->line, lines->skipped, column, what);
    else
        driver_say(lines->fault, "%s%s:%" PRIu64 ":%u: %s", prefix, lines->path,
                   lines->current->line, column, what);
}

static void begin_file(struct lines *lines)
{
    framer_start(&lines->framer, lines->buffers, lines->document_bytes_max, 0);
    lines->skipped = 0;
    lines->at_end = false;
    lines->streams[0] = (struct text_stream){0};
}

/* The beginning of a line whose end was cut off is no line. */
static void begin_cut_file(struct lines *lines)
{
    if (framer_has_rest(&lines->framer)) {
        lines->framer.line++;
        say_line(lines, 1, "the file was cut inside this line");
        lines->refusal = E_DAMAGED;
    }
    begin_file(lines);
}

static int fetch_file(struct lines *lines)
{
    size_t size;
    void *room = framer_room(&lines->framer, &size);
    int rc = follow_read(&lines->follow, room, size, framer_offset(&lines->framer));
    if (rc > 0) {
        framer_add(&lines->framer, (size_t)rc);
        lines->at_end = false;
        return 0;
    }
    if (rc == E_CHANGED) {
        begin_cut_file(lines);
        return 0;
    }
    if ((rc == E_CLOSED || rc == E_END) && !lines->at_end) {
        lines->at_end = true;
        return 0;
    }
    if (rc == E_CLOSED) {
        rc = follow_next(&lines->follow);
        if (rc == 0)
            begin_file(lines);
    }
    if (rc < 0 && rc != E_AGAIN && rc != E_END)
        driver_say(lines->fault, "%s: %s", lines->path, ERROR_TEXT(rc));
    return rc;
}

/* The last writer has gone. The new descriptor is opened before the old one is closed, so that no
 * writer in between finds nobody there, and what it wrote stays in the FIFO. */
static int reopen_fifo(struct lines *lines)
{
    if (lines->drain)
        return E_END;
    int fd = open_stream(lines->path);
    if (fd >= 0 && !is_fifo(fd)) {
        (void)close(fd);
        fd = E_CHANGED;
    }
    if (fd < 0) {
        driver_say(lines->fault, "%s: it was a FIFO before: %s", lines->path, ERROR_TEXT(fd));
        return fd;
    }
    (void)close(lines->fd);
    lines->fd = fd;
    lines->had_data = false;
    begin_file(lines);
    return 0;
}

static bool is_hung_up(int fd)
{
    struct pollfd state = {.fd = fd};
    return poll(&state, 1, 0) > 0 && (state.revents & POLLHUP) != 0;
}

/* Reading 0 bytes: the end, but for a FIFO to which nobody has come yet. */
static int end_stream(struct lines *lines)
{
    if (lines->kind == KIND_FIFO && !lines->had_data && !is_hung_up(lines->fd))
        return E_AGAIN;
    lines->at_end = true;
    return 0;
}

static int fetch_ended_stream(struct lines *lines)
{
    if (lines->kind == KIND_FIFO)
        return reopen_fifo(lines);
    if (lines->drain)
        return E_END;
    driver_say(lines->fault, "%s: the other side hung up; is it unplugged?", lines->path);
    return E_CLOSED;
}

/* A tty has no end: to drain it is to take what has come. */
static int fetch_stream(struct lines *lines)
{
    size_t size;
    if (lines->at_end) {
        int rc = fetch_ended_stream(lines);
        if (rc < 0)
            return rc;
    }
    void *room = framer_room(&lines->framer, &size);
    ssize_t got = read(lines->fd, room, size);
    if (got > 0) {
        framer_add(&lines->framer, (size_t)got);
        lines->had_data = true;
        return 0;
    }
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return lines->kind == KIND_TTY && lines->drain ? E_END : E_AGAIN;
    if (got == 0 || (errno == EIO && lines->kind == KIND_TTY))
        return end_stream(lines);
    int rc = error_sys(errno);
    driver_say(lines->fault, "%s: %s", lines->path, ERROR_TEXT(rc));
    return rc;
}

/* The one whose lines are read at present. */
static struct text_stream *current_stream(struct lines *lines)
{
    size_t place = lines->kind == KIND_UNIX ? writers_place(&lines->writers, lines->current) : 0;
    return &lines->streams[place];
}

static int fetch_unix(struct lines *lines)
{
    if (lines->at_end)
        *current_stream(lines) = (struct text_stream){0}; /* for who comes next */
    int rc = writers_fetch(&lines->writers, &lines->current, &lines->at_end);
    if (rc == E_END && !lines->drain)
        return E_AGAIN;
    if (rc < 0 && rc != E_AGAIN && rc != E_END)
        driver_say(lines->fault, "unix:%s: %s", lines->path, ERROR_TEXT(rc));
    return rc;
}

static int lines_fetch(void *instance, int64_t deadline_ms)
{
    struct lines *lines = instance;
    (void)deadline_ms; /* nothing here waits */
    switch (lines->kind) {
    case KIND_FILE:
        return fetch_file(lines);
    case KIND_UNIX:
        return fetch_unix(lines);
    default:
        return fetch_stream(lines);
    }
}

/* ---- reading ---- */

static void trim(const struct lines *lines, struct framer_line *line)
{
    while (line->count > 0 && text_is_blank(&lines->text, line->bytes[line->count - 1]))
        line->count--;
    while (line->count > 0 && text_is_blank(&lines->text, line->bytes[0])) {
        line->bytes++;
        line->count--;
    }
}

static int convert(struct lines *lines, const struct framer_line *line, struct sample *ret_sample)
{
    const struct text_line text = {.bytes = line->bytes,
                                   .count = line->count,
                                   .boot_ms = clock_boot_ms(),
                                   .offset = line->offset};
    int rc = text_convert(&lines->text, current_stream(lines), &text, ret_sample);
    if (rc < 0 && rc != E_AGAIN)
        say_line(lines, lines->text.column, lines->text.what);
    return rc;
}

static int next_line(struct lines *lines, struct framer_line *ret_line)
{
    int rc;
    do {
        rc = framer_next(lines->current, lines->at_end, ret_line);
        if (rc == E_TOO_BIG)
            say_line(lines, 1, "longer than a document may be (CONFIG_DOCUMENT_KIB)");
        if (rc < 0)
            return rc;
        trim(lines, ret_line);
    } while (ret_line->count == 0);
    return 0;
}

/* The next sample of the current stream. */
static int read_sample(struct lines *lines, struct sample *ret_sample)
{
    struct framer_line line;
    int rc;
    do {
        rc = next_line(lines, &line);
        if (rc == E_AGAIN)
            return lines->at_end ? text_end(&lines->text, current_stream(lines), ret_sample) : rc;
        if (rc == 0)
            rc = convert(lines, &line, ret_sample);
    } while (rc == E_AGAIN);
    return rc;
}

static int lines_read(void *instance, struct sample *ret_sample)
{
    struct lines *lines = instance;
    int rc = lines->refusal;
    lines->refusal = 0;
    if (rc < 0)
        return rc;
    if (lines->current == NULL)
        return E_AGAIN;
    rc = read_sample(lines, ret_sample);
    if (rc < 0)
        return rc;
    ret_sample->origin.present = lines->kind == KIND_FILE;
    ret_sample->origin.device = lines->follow.device;
    ret_sample->origin.inode = lines->follow.inode;
    return 0;
}

static int lines_wait_fd(const void *instance)
{
    const struct lines *lines = instance;
    switch (lines->kind) {
    case KIND_FILE:
        return lines->follow.inotify_fd;
    case KIND_UNIX:
        return lines->writers.epoll_fd;
    default:
        return lines->fd;
    }
}

static const char *lines_fault(const void *instance)
{
    const struct lines *lines = instance;
    return lines->fault[0] != '\0' ? lines->fault : NULL;
}

static const char *lines_lack(const void *instance)
{
    const struct lines *lines = instance;
    return text_lack(&lines->text);
}

static void lines_close(void *instance)
{
    struct lines *lines = instance;
    if (lines->kind == KIND_FILE)
        follow_close(&lines->follow);
    else if (lines->kind == KIND_UNIX)
        writers_close(&lines->writers);
    else if (lines->kind != KIND_CLOSED)
        (void)close(lines->fd);
    text_close(&lines->text);
    free(lines->buffers);
    free(lines->streams);
    lines->buffers = NULL;
    lines->streams = NULL;
    lines->current = NULL;
    lines->kind = KIND_CLOSED;
}

const struct driver driver_lines = {
    .name = "lines",
    .summary = "JSON, numbers, CSV, key=value or NMEA in lines of a tty, FIFO, file or Unix socket",
    .keys = keys,
    .limits = limits,
    .instance_bytes = sizeof(struct lines),
    .check = lines_check,
    .open = lines_open,
    .channels = lines_channels,
    .fetch = lines_fetch,
    .read = lines_read,
    .wait_fd = lines_wait_fd,
    .fault = lines_fault,
    .lack = lines_lack,
    .close = lines_close,
};
