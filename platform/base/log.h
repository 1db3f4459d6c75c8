/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_PLATFORM_BASE_LOG_H
#define RUNNEL_PLATFORM_BASE_LOG_H

/**
 * One line to stderr per event: `event key=value key=value`. FORMAT begins with the event, a word
 * or two with hyphens; values with blanks are written with double quotes by the caller ("%s" in
 * \"\"). With systemd's journal as stderr ($JOURNAL_STREAM) the line starts with its priority
 * prefix (sd-daemon(3)), else with the time. A line is one write(2) of at most 1,024 bytes and is
 * dropped, never waited for, when stderr does not take it. Control characters become '?', so that
 * nothing foreign forges a line. Never log a secret.
 */
enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

/**
 * TEXT without double quotes, cut to fit, in VALUE: what is foreign must not end the quotes around
 * it. Returns VALUE.
 */
enum { LOG_VALUE_BYTES = 512 };
const char *log_value(char value[LOG_VALUE_BYTES], const char *text);

/** Lines less important than LEVEL are left out (default LOG_LEVEL_INFO). Called by main, once. */
void log_set_level(enum log_level level);

/**
 * SINK gets every line that is not for debugging, whatever the level is, without its time: from the
 * thread that logs, with whatever locks that holds, so it must neither wait nor log. NULL: none.
 * Called by main, while there is no other thread.
 */
void log_set_sink(void (*sink)(void *context, enum log_level level, const char *text),
                  void *context);

/**
 * At most one line a minute for a complaint that may repeat: true if now is the time to log, with
 * the number of times that it stayed silent since in ret_silenced. LIMIT starts as {0}; NOW_MS is
 * any clock that only moves forward.
 */
struct log_limit {
    long long next_ms;
    unsigned long silenced;
};
int log_limit_passes(struct log_limit *limit, long long now_ms, unsigned long *ret_silenced);

#endif
