/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/base/log.h"

#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LINE_BYTES = 1024, LIMIT_MS = 60 * 1000 };

/* The one knob of the process that every folder reads: set by main before the first thread. */
static enum log_level log_level = LOG_LEVEL_INFO;

/* Likewise: who keeps what happened. */
static void (*log_sink)(void *context, enum log_level level, const char *text);
static void *log_sink_context;

void log_set_level(enum log_level level)
{
    log_level = level;
}

void log_set_sink(void (*sink)(void *context, enum log_level level, const char *text),
                  void *context)
{
    log_sink = sink;
    log_sink_context = context;
}

/* The variable survives a redirection of stderr, so it names the stream by device and inode. */
static bool is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    uintmax_t device;
    uintmax_t inode;
    struct stat status;
    return stream != NULL && sscanf(stream, "%ju:%ju", &device, &inode) == 2 &&
           fstat(STDERR_FILENO, &status) == 0 && status.st_dev == device && status.st_ino == inode;
}

static int put_prefix(char *line, size_t line_bytes, enum log_level level)
{
    static const char *const priorities[] = {"<3>", "<4>", "<6>", "<7>"};
    static const char *const names[] = {"error", "warning", "info", "debug"};
    struct timespec now;
    struct tm utc;
    char stamp[32];

    if (is_journal())
        return snprintf(line, line_bytes, "%s", priorities[level]);
    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (gmtime_r(&now.tv_sec, &utc) == NULL)
        return 0;
    (void)strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &utc);
    return snprintf(line, line_bytes, "%s.%03ldZ %s ", stamp, now.tv_nsec / 1000000, names[level]);
}

/* A pipe that polls as writable takes PIPE_BUF (4,096) bytes without blocking. */
static void write_line(const char *line, size_t count)
{
    struct pollfd ready = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&ready, 1, 0) == 1 && write(STDERR_FILENO, line, count) < 0)
        return; /* stderr is gone: there is nobody to tell */
}

__attribute__((format(printf, 2, 0))) static void put_line(enum log_level level, const char *format,
                                                           va_list arguments)
{
    char line[LINE_BYTES];
    bool keeps = log_sink != NULL && level <= LOG_LEVEL_INFO;
    if (level > log_level && !keeps)
        return;
    size_t used = (size_t)put_prefix(line, sizeof line, level);
    size_t start = used;
    int count = vsnprintf(line + used, sizeof line - used - 1, format, arguments);
    if (count < 0)
        return;
    used += (size_t)count < sizeof line - used - 1 ? (size_t)count : sizeof line - used - 2;
    for (size_t i = start; i < used; i++)
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
            line[i] = '?';
    line[used] = '\0';
    if (keeps)
        log_sink(log_sink_context, level, line + start);
    line[used++] = '\n';
    if (level <= log_level)
        write_line(line, used);
}

#define DEFINE_LOG(name, level)                                                                    \
    void name(const char *format, ...)                                                             \
    {                                                                                              \
        va_list arguments;                                                                         \
        va_start(arguments, format);                                                               \
        put_line((level), format, arguments);                                                      \
        va_end(arguments);                                                                         \
    }

DEFINE_LOG(log_error, LOG_LEVEL_ERROR)
DEFINE_LOG(log_warning, LOG_LEVEL_WARNING)
DEFINE_LOG(log_info, LOG_LEVEL_INFO)
DEFINE_LOG(log_debug, LOG_LEVEL_DEBUG)

const char *log_value(char value[LOG_VALUE_BYTES], const char *text)
{
    (void)snprintf(value, LOG_VALUE_BYTES, "%s", text);
    for (char *c = value; *c != '\0'; c++)
        if (*c == '"')
            *c = '\'';
    return value;
}

int log_limit_passes(struct log_limit *limit, long long now_ms, unsigned long *ret_silenced)
{
    if (limit->next_ms != 0 && now_ms < limit->next_ms) {
        limit->silenced++;
        return 0;
    }
    *ret_silenced = limit->silenced;
    limit->next_ms = now_ms + LIMIT_MS;
    limit->silenced = 0;
    return 1;
}
