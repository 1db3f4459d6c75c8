/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drivers/bus/settings.h"
#include "drivers/driver.h"
#include "drivers/exec/process.h"
#include "drivers/format/text.h"
#include "platform/base/error.h"

/* What a program prints, run once for each sample. Words, no shell; as the user of the agent. */

enum { WORDS_MAX = 64, SENSOR_BYTES = 80 };

/* The environment begins empty: what a program does must not hang on how the agent was started. */
#define PATH_SETTING "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct exec {
    char *arguments[WORDS_MAX + 1];
    char sensor[SENSOR_BYTES];
    bool whole;
    int64_t timeout_ms;
    const struct stop *stop;
    uint8_t *output;
    struct process process;
    struct text text;
    struct text_stream stream;
    char fault[DRIVER_FAULT_BYTES];
};

static const struct driver_key keys[] = {
    {"command[]", DRIVER_KEY_TEXT, true,
     "the program, by its path, and its arguments, each a word of its own; there is no shell"},
    {"take", DRIVER_KEY_TEXT, false, "the last line of what it prints, or the whole; default last"},
    TEXT_KEYS,
    {0}};

static const struct driver_limit limits[] = {
    {.key = "take", .choices = "last|whole"}, TEXT_LIMITS, {.key = NULL}};

static bool takes_whole(const struct driver_context *context)
{
    const char *take = driver_setting(context, "take");
    return take != NULL && strcmp(take, "whole") == 0;
}

/* ---- opening ---- */

static const char *refuse(const struct driver_context *context, const char *key, const char *what)
{
    driver_say(context->fault, "%s", what);
    return key;
}

static const char *exec_check(const struct driver_context *context)
{
    size_t count = settings_count(context, "command");
    const char *program = settings_member(context, "command", 0, "");
    const char *format = driver_setting(context, "format");
    if (count == 0 || program == NULL)
        return refuse(context, "command", "is missing; write it like [ \"/usr/bin/foo\", \"-x\" ]");
    if (count > WORDS_MAX)
        return refuse(context, "command", "has more than 64 words");
    if (program[0] != '/')
        return refuse(context, "command[0]", "is no path; write where the program is, from / on");
    if (takes_whole(context) && format != NULL &&
        (strcmp(format, "csv") == 0 || strcmp(format, "number") == 0 ||
         strcmp(format, "nmea") == 0))
        return refuse(context, "take", "is for json and keyvalue alone; leave it out");
    return text_check(context);
}

static int set_arguments(struct exec *exec, const struct driver_context *context)
{
    size_t count = settings_count(context, "command");
    for (size_t i = 0; i < count; i++) {
        const char *word = settings_member(context, "command", i, "");
        if (word == NULL)
            return E_INVALID;
        exec->arguments[i] = (char *)(uintptr_t)word; /* posix_spawn(3) changes none */
    }
    (void)snprintf(exec->sensor, sizeof exec->sensor, "RUNNEL_SENSOR=%s", context->sensor);
    return 0;
}

static int find_program(const struct exec *exec, const struct driver_context *context)
{
    if (access(exec->arguments[0], X_OK) == 0)
        return 0;
    int rc = error_sys(errno);
    driver_say(context->fault, "%s: %s; is it there, and may user %u execute it?",
               exec->arguments[0], ERROR_TEXT(rc), (unsigned)geteuid());
    return rc;
}

static int exec_open(void *instance, const struct driver_context *context)
{
    struct exec *exec = instance;
    int rc = settings_judge(context, exec_check(context));
    if (rc < 0)
        return rc;
    exec->whole = takes_whole(context);
    exec->timeout_ms = context->timeout_ms;
    exec->stop = context->stop;
    rc = set_arguments(exec, context);
    if (rc == 0)
        rc = find_program(exec, context);
    if (rc == 0)
        rc = text_open(&exec->text, context);
    if (rc < 0)
        return rc;
    exec->output = calloc(1, context->document_bytes_max);
    return exec->output == NULL
               ? E_NO_MEMORY
               : process_open(&exec->process, exec->output, context->document_bytes_max);
}

static int exec_channels(const void *instance, struct channel *ret_channels)
{
    const struct exec *exec = instance;
    return text_channels(&exec->text, ret_channels);
}

/* ---- running ---- */

static const char *signal_name(int number)
{
    static const struct {
        int number;
        const char *name;
    } names[] = {{SIGSEGV, "SIGSEGV"}, {SIGABRT, "SIGABRT"}, {SIGBUS, "SIGBUS"},
                 {SIGILL, "SIGILL"},   {SIGFPE, "SIGFPE"},   {SIGKILL, "SIGKILL"},
                 {SIGTERM, "SIGTERM"}, {SIGPIPE, "SIGPIPE"}, {SIGSYS, "SIGSYS"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].number == number)
            return names[i].name;
    return "a signal";
}

/* WHAT happened, and what the program said of it last. */
static void say(struct exec *exec, const char *what)
{
    const char *words = exec->process.words;
    driver_say(exec->fault, "%.60s: %s%s%s", exec->arguments[0], what, *words != '\0' ? ": " : "",
               words);
}

/* How it ended: 0, or E_REFUSED. */
static int judge(struct exec *exec)
{
    char what[64];
    int status = exec->process.status;
    if (exec->process.too_big || (WIFEXITED(status) && WEXITSTATUS(status) == 0))
        return 0;
    if (WIFEXITED(status))
        (void)snprintf(what, sizeof what, "exit status %d", WEXITSTATUS(status));
    else
        (void)snprintf(what, sizeof what, "ended by signal %d, %s", WTERMSIG(status),
                       signal_name(WTERMSIG(status)));
    say(exec, what);
    return E_REFUSED;
}

static void say_timeout(struct exec *exec)
{
    char what[80];
    (void)snprintf(what, sizeof what, "not done after %lld ms, and ended; raise \"timeout\"",
                   (long long)exec->timeout_ms);
    say(exec, what);
}

static int exec_fetch(void *instance, int64_t deadline_ms)
{
    struct exec *exec = instance;
    char path[] = PATH_SETTING;
    char locale[] = "LC_ALL=C";
    char *environment[] = {path, locale, exec->sensor, NULL};
    exec->fault[0] = '\0';
    int rc = process_run(&exec->process, exec->arguments, environment, exec->stop, deadline_ms);
    if (rc == 0)
        return judge(exec);
    if (rc == E_TIMEOUT)
        say_timeout(exec);
    else if (rc == E_BUSY)
        say(exec, "the last run does not end, not even by SIGKILL; what device does it wait for?");
    else if (rc != E_STOP)
        say(exec, ERROR_TEXT(rc));
    return rc == E_BUSY ? E_TIMEOUT : rc; /* closed, it would forget that run and begin another */
}

/* ---- reading ---- */

static bool is_blank(const struct exec *exec, uint8_t byte)
{
    return byte == '\n' || text_is_blank(&exec->text, byte);
}

static struct text_line trim(const struct exec *exec, const uint8_t *bytes, size_t count)
{
    while (count > 0 && is_blank(exec, bytes[count - 1]))
        count--;
    while (count > 0 && is_blank(exec, bytes[0])) {
        bytes++;
        count--;
    }
    return (struct text_line){.bytes = bytes, .count = count};
}

/* Takes the first line off REST, which is trimmed and not empty. */
static struct text_line first_line(const struct exec *exec, struct text_line *rest)
{
    const uint8_t *end = memchr(rest->bytes, '\n', rest->count);
    size_t count = end == NULL ? rest->count : (size_t)(end - rest->bytes);
    struct text_line line = trim(exec, rest->bytes, count);
    *rest = trim(exec, rest->bytes + count, rest->count - count);
    return line;
}

static struct text_line last_line(const struct exec *exec, struct text_line all)
{
    size_t from = all.count;
    while (from > 0 && all.bytes[from - 1] != '\n')
        from--;
    return trim(exec, all.bytes + from, all.count - from);
}

/* A document may have come on several lines, and goes on as one. */
static size_t pack(const struct exec *exec, uint8_t *bytes, size_t count)
{
    size_t used = 0;
    bool quoted = false;
    for (size_t i = 0; i < count; i++) {
        if (quoted && bytes[i] == '\\') {
            bytes[used++] = bytes[i++]; /* a good document goes on behind it */
        } else if (bytes[i] == '"') {
            quoted = !quoted;
        } else if (!quoted && is_blank(exec, bytes[i])) {
            continue;
        }
        bytes[used++] = bytes[i];
    }
    return used;
}

/* Every line for a format that needs what came before, else the last one. */
static int convert_lines(struct exec *exec, struct text_line all, struct sample *ret_sample)
{
    int rc = E_AGAIN;
    exec->stream = (struct text_stream){0};
    if (exec->text.format == TEXT_NMEA) {
        while (all.count > 0 && (rc == 0 || rc == E_AGAIN)) {
            struct text_line line = first_line(exec, &all);
            rc = text_convert(&exec->text, &exec->stream, &line, ret_sample);
        }
        return rc == 0 || rc == E_AGAIN ? text_end(&exec->text, &exec->stream, ret_sample) : rc;
    }
    if (text_needs_header(&exec->text)) {
        struct text_line header = first_line(exec, &all);
        rc = text_convert(&exec->text, &exec->stream, &header, ret_sample);
    }
    struct text_line line = last_line(exec, all);
    if (rc != E_AGAIN || line.count == 0)
        return rc;
    return text_convert(&exec->text, &exec->stream, &line, ret_sample);
}

static int convert_whole(struct exec *exec, struct text_line all, struct sample *ret_sample)
{
    int rc = text_convert(&exec->text, &exec->stream, &all, ret_sample);
    if (rc < 0 || ret_sample->document != all.bytes)
        return rc;
    size_t at = (size_t)(all.bytes - exec->output);
    ret_sample->document_bytes = pack(exec, exec->output + at, all.count);
    return 0;
}

static void say_refused(struct exec *exec, struct text_line all)
{
    const char *hint = !exec->whole && all.bytes[0] == '{' &&
                               (exec->text.format == TEXT_AUTO || exec->text.format == TEXT_JSON)
                           ? "; if it is one document, say \"take\": \"whole\""
                           : "";
    driver_say(exec->fault, "%.60s printed, in column %u: %.60s%s", exec->arguments[0],
               exec->text.column, exec->text.what, hint);
}

static int exec_read(void *instance, struct sample *ret_sample)
{
    struct exec *exec = instance;
    struct text_line all = trim(exec, exec->output, exec->process.output_bytes);
    if (exec->process.too_big) {
        say(exec, "printed more than a document may be (CONFIG_DOCUMENT_KIB), and was ended");
        return E_TOO_BIG;
    }
    if (all.count == 0) {
        say(exec, "printed nothing");
        return E_SYNTAX;
    }
    int rc =
        exec->whole ? convert_whole(exec, all, ret_sample) : convert_lines(exec, all, ret_sample);
    if (rc == E_AGAIN) {
        say(exec, "printed nothing that makes a sample");
        return E_SYNTAX;
    }
    if (rc < 0) {
        say_refused(exec, all);
        return rc;
    }
    ret_sample->boot_ms = 0;
    ret_sample->origin = (struct sample_origin){0};
    return 0;
}

static const char *exec_fault(const void *instance)
{
    const struct exec *exec = instance;
    return exec->fault[0] != '\0' ? exec->fault : NULL;
}

static const char *exec_lack(const void *instance)
{
    const struct exec *exec = instance;
    return text_lack(&exec->text);
}

static void exec_close(void *instance)
{
    struct exec *exec = instance;
    process_close(&exec->process);
    text_close(&exec->text);
    free(exec->output);
    exec->output = NULL;
}

const struct driver driver_exec = {
    .name = "exec",
    .summary = "what a program prints, run on a schedule with a deadline",
    .keys = keys,
    .limits = limits,
    .instance_bytes = sizeof(struct exec),
    .bus_key = "command[0]",
    .alone = true,
    .check = exec_check,
    .open = exec_open,
    .channels = exec_channels,
    .fetch = exec_fetch,
    .read = exec_read,
    .fault = exec_fault,
    .lack = exec_lack,
    .close = exec_close,
};
