/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "agent/cli/cli.h"
#include "agent/cli/top_view.h"
#include "agent/control/control.h"
#include "agent/control/control_client.h"
#include "platform/base/error.h"
#include "platform/clock.h"

enum { ANSWER_MS = 2000, INTERVAL_MS = 1000, FRAME_BYTES = 16 * 1024 };

static const char usage[] =
    "usage: runnel top [--interval DURATION] [--once]\n\n"
    "Shows what the running agent is doing, again and again, until q or Ctrl-C. Draws over the\n"
    "screen of a terminal; otherwise prints one snapshot after the other.\n\n"
    "  --interval DURATION   between two snapshots (default 1s)\n"
    "  --once                one snapshot, and exit with 1 if no agent answers\n";

struct top {
    int64_t interval_ms;
    bool once;
    char path[CONTROL_PATH_BYTES];
    struct top_history *history;
    struct top_screen screen;
    int signal_fd;
    bool keys;            /* stdin is a terminal: q ends */
    struct termios saved; /* of stdin, while keys */
    uint8_t frame[FRAME_BYTES];
};

/* ---- the terminal ---- */

static bool speaks_utf8(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        const char *value = getenv(names[i]);
        if (value != NULL && *value != '\0')
            return strcasestr(value, "utf-8") != NULL || strcasestr(value, "utf8") != NULL;
    }
    return false;
}

/* A serial console has no size, and one that says 0 x 0 means that it does not know. What is not a
 * terminal has none either. */
static void measure_screen(struct top_screen *screen)
{
    struct winsize size = {0};
    screen->columns = 80;
    screen->rows = screen->ansi ? 24 : 0;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0 || size.ws_row == 0)
        return;
    screen->columns = size.ws_col;
    if (screen->ansi)
        screen->rows = size.ws_row;
}

static void choose_screen(struct top *top)
{
    const char *term = getenv("TERM");
    bool terminal = isatty(STDOUT_FILENO) && term != NULL && strcmp(term, "dumb") != 0;
    top->screen.ansi = terminal && !top->once;
    top->screen.colour = terminal && getenv("NO_COLOR") == NULL;
    top->screen.utf8 = speaks_utf8();
    top->keys = top->screen.ansi && isatty(STDIN_FILENO);
    measure_screen(&top->screen);
}

static int write_all(void *context, const uint8_t *bytes, size_t count)
{
    (void)context;
    while (count > 0) {
        ssize_t written = write(STDOUT_FILENO, bytes, count);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return error_sys(errno);
        bytes += written;
        count -= (size_t)written;
    }
    return 0;
}

static void write_codes(const char *codes)
{
    (void)write_all(NULL, (const uint8_t *)codes, strlen(codes));
}

/* The other screen, no cursor, and keys that come at once and unseen. */
static void enter_terminal(struct top *top)
{
    if (!top->screen.ansi)
        return;
    top->keys = top->keys && tcgetattr(STDIN_FILENO, &top->saved) == 0;
    if (top->keys) {
        struct termios raw = top->saved;
        raw.c_lflag &= (tcflag_t) ~(ICANON | ECHO);
        raw.c_cc[VMIN] = 0;
        raw.c_cc[VTIME] = 0;
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
    write_codes("\033[?1049h\033[?25l\033[H\033[2J");
}

static void leave_terminal(const struct top *top)
{
    if (!top->screen.ansi)
        return;
    write_codes("\033[0m\033[?25h\033[?1049l");
    if (top->keys)
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &top->saved);
}

/* Ctrl-Z: the shell gets its terminal back as it was, and we take it again when we go on. */
static void suspend(struct top *top)
{
    leave_terminal(top);
    (void)raise(SIGSTOP);
    enter_terminal(top);
}

static int open_signals(void)
{
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGHUP);
    (void)sigaddset(&signals, SIGQUIT);
    (void)sigaddset(&signals, SIGTSTP);
    (void)sigaddset(&signals, SIGWINCH);
    if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
        return error_sys(errno);
    int fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? error_sys(errno) : fd;
}

/* ---- snapshots ---- */

static int draw_message(struct top *top, const char *text)
{
    struct writer writer;
    writer_to_function(&writer, top->frame, sizeof(top->frame), write_all, NULL);
    top_view_draw_message(text, &top->screen, &writer);
    return writer_finish(&writer);
}

static int draw_status(struct top *top, const char *json, size_t count)
{
    struct writer writer;
    struct status_read *status;
    int result = status_read_open(json, count, &status);
    if (result < 0)
        return draw_message(top, "The agent's status cannot be read: is it another version?");
    writer_to_function(&writer, top->frame, sizeof(top->frame), write_all, NULL);
    top_history_note(top->history, status, clock_mono_ms());
    top_view_draw(top->history, status, &top->screen, &writer);
    if (!top->screen.ansi && !top->once)
        writer_char(&writer, '\n');
    result = writer_finish(&writer);
    status_read_close(status);
    return result;
}

/* An agent that restarts is waited for; only the first question of --once has to be answered. */
static int draw_snapshot(struct top *top)
{
    char *json;
    size_t count;
    char fault[CONTROL_CLIENT_FAULT_BYTES];
    int result =
        control_client_status(top->path, false, clock_mono_ms() + ANSWER_MS, &json, &count);
    if (result == 0) {
        result = draw_status(top, json, count);
        free(json);
        return result;
    }
    control_client_fault(result, top->path, fault);
    if (!top->once)
        return draw_message(top, fault);
    (void)fprintf(stderr, "runnel: %s\n", fault);
    return result;
}

static int take_signal(struct top *top)
{
    struct signalfd_siginfo info;
    if (read(top->signal_fd, &info, sizeof(info)) != sizeof(info))
        return 0;
    if (info.ssi_signo == SIGTSTP)
        suspend(top);
    if (info.ssi_signo == SIGTSTP || info.ssi_signo == SIGWINCH) {
        measure_screen(&top->screen);
        return 0;
    }
    return E_STOP;
}

static int take_key(struct top *top)
{
    char key;
    ssize_t got = read(STDIN_FILENO, &key, 1);
    if (got <= 0) /* the terminal went away */
        top->keys = false;
    return got == 1 && (key == 'q' || key == 'Q') ? E_STOP : 0;
}

/* Until the next snapshot is due; E_STOP ends. */
static int wait_for_next(struct top *top, int64_t next_ms)
{
    for (;;) {
        struct pollfd polls[2] = {
            {.fd = top->signal_fd, .events = POLLIN},
            {.fd = top->keys ? STDIN_FILENO : -1, .events = POLLIN},
        };
        int64_t wait_ms = next_ms - clock_mono_ms();
        wait_ms = wait_ms < 0 ? 0 : wait_ms < INT_MAX ? wait_ms : INT_MAX;
        int ready = poll(polls, 2, (int)wait_ms);
        if (ready == 0)
            return 0;
        int result = polls[0].revents != 0 ? take_signal(top) : 0;
        if (result == 0 && polls[1].revents != 0)
            result = take_key(top);
        if (result < 0 || polls[0].revents != 0)
            return result;
    }
}

static int watch(struct top *top)
{
    for (;;) {
        int64_t next_ms = clock_mono_ms() + top->interval_ms;
        int result = draw_snapshot(top);
        if (result < 0 || top->once)
            return result;
        result = wait_for_next(top, next_ms);
        if (result < 0)
            return result == E_STOP ? 0 : result;
    }
}

static int run(struct top *top)
{
    int result = top_history_open(&top->history);
    if (result < 0)
        return result;
    result = open_signals();
    if (result >= 0) {
        top->signal_fd = result;
        enter_terminal(top);
        result = watch(top);
        leave_terminal(top);
        (void)close(top->signal_fd);
    }
    top_history_close(top->history);
    return result;
}

static int read_options(int argc, char **argv, struct top *top)
{
    static const struct option table[] = {{"interval", required_argument, NULL, 'i'},
                                          {"once", no_argument, NULL, 'o'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    int option;
    while ((option = getopt_long(argc, argv, "h", table, NULL)) >= 0) {
        if (option == 'h')
            return E_STOP;
        if (option == 'o')
            top->once = true;
        else if (option != 'i' || cli_read_duration("--interval", optarg, &top->interval_ms) < 0)
            return E_INVALID;
        else if (top->interval_ms == 0) {
            cli_fault("--interval", optarg, "is no time at all; write it like 1s");
            return E_INVALID;
        }
    }
    return optind < argc ? E_INVALID : 0;
}

int cmd_top(int argc, char **argv)
{
    static const struct top fresh = {.interval_ms = INTERVAL_MS};
    struct top top = fresh;
    int result = read_options(argc, argv, &top);
    if (result < 0) {
        (void)fputs(usage, result == E_STOP ? stdout : stderr);
        return result == E_STOP ? CLI_DONE : CLI_USAGE;
    }
    if (control_path(top.path) < 0) {
        (void)fprintf(stderr, "runnel: RUNNEL_SOCKET: too long for a socket\n");
        return CLI_FAILED;
    }
    choose_screen(&top);
    return run(&top) < 0 ? CLI_FAILED : CLI_DONE;
}
