/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control/control_client.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/control/control.h"
#include "platform/base/error.h"
#include "platform/base/parse.h"
#include "platform/clock.h"
#include "platform/stop.h"

enum { CONNECT_PAUSE_MS = 100, INPUT_BYTES = 64 * 1024, STATUS_BYTES_MAX = 16 * 1024 * 1024 };

/* The command line ends by signals, not by a stop event. */
static const struct stop never = {.fd = -1};

/* ---- lines ---- */

static int receive(struct control_client *client, int64_t deadline_ms)
{
    size_t room = sizeof(client->buffer) - client->used_bytes;
    if (room == 0)
        return E_DAMAGED;
    int result = stop_wait(&never, client->fd, POLLIN, deadline_ms);
    if (result < 0)
        return result;
    ssize_t got = recv(client->fd, client->buffer + client->used_bytes, room, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (got < 0)
        return errno == ECONNRESET ? E_CLOSED : error_sys(errno);
    client->used_bytes += (size_t)got;
    return got == 0 ? E_CLOSED : 0;
}

/* The next line of what was received, or NULL; valid until the next call. */
static char *next_line(struct control_client *client)
{
    client->used_bytes -= client->taken_bytes;
    memmove(client->buffer, client->buffer + client->taken_bytes, client->used_bytes);
    client->taken_bytes = 0;
    char *end = memchr(client->buffer, '\n', client->used_bytes);
    if (end == NULL)
        return NULL;
    *end = '\0';
    client->taken_bytes = (size_t)(end - client->buffer) + 1;
    return client->buffer;
}

static int read_line(struct control_client *client, int64_t deadline_ms, char **ret_line)
{
    for (;;) {
        char *line = next_line(client);
        if (line != NULL) {
            *ret_line = line;
            return 0;
        }
        int result = receive(client, deadline_ms);
        if (result < 0)
            return result;
    }
}

static int write_all(int fd, const char *bytes, size_t count, int64_t deadline_ms)
{
    while (count > 0) {
        int result = stop_wait(&never, fd, POLLOUT, deadline_ms);
        if (result < 0)
            return result;
        ssize_t sent = send(fd, bytes, count, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN && errno != EINTR)
            return errno == EPIPE || errno == ECONNRESET ? E_CLOSED : error_sys(errno);
        if (sent > 0) {
            bytes += sent;
            count -= (size_t)sent;
        }
    }
    return 0;
}

/* ---- connecting ---- */

static int connect_once(const struct sockaddr_un *address, int *ret_fd)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return error_sys(errno);
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0) {
        *ret_fd = fd;
        return 0;
    }
    int errnum = errno;
    (void)close(fd);
    if (errnum == ENOENT || errnum == ECONNREFUSED)
        return E_NOT_FOUND;
    return errnum == EAGAIN ? E_AGAIN : error_sys(errnum);
}

static int connect_until(const struct sockaddr_un *address, int64_t deadline_ms, int *ret_fd)
{
    for (;;) {
        int result = connect_once(address, ret_fd);
        int64_t left_ms = deadline_ms - clock_mono_ms();
        if (result != E_NOT_FOUND && result != E_AGAIN)
            return result;
        if (left_ms <= 0)
            return result == E_AGAIN ? E_TIMEOUT : result;
        (void)poll(NULL, 0, left_ms < CONNECT_PAUSE_MS ? (int)left_ms : CONNECT_PAUSE_MS);
    }
}

static int check_greeting(struct control_client *client, int64_t deadline_ms)
{
    char expected[32];
    char *line = NULL;
    int result = read_line(client, deadline_ms, &line);
    if (result < 0)
        return result;
    (void)snprintf(expected, sizeof(expected), "runnel-control %d", (int)CONTROL_VERSION);
    if (strcmp(line, expected) == 0)
        return 0;
    return strncmp(line, "error ", 6) == 0 ? E_REFUSED : E_VERSION;
}

/* An agent that was found gets a moment for its greeting, however soon the caller would give up. */
enum { GREETING_MS = 5000 };

int control_client_open(const char *path, int64_t deadline_ms, struct control_client *ret_client)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct control_client client = {.fd = -1};
    if (strlen(path) >= sizeof(address.sun_path))
        return E_TOO_BIG;
    memcpy(address.sun_path, path, strlen(path));
    int result = connect_until(&address, deadline_ms, &client.fd);
    if (result == 0)
        result = check_greeting(&client, clock_mono_ms() + GREETING_MS);
    if (result < 0) {
        control_client_close(&client);
        return result;
    }
    *ret_client = client;
    return 0;
}

const char *control_client_fault(int code, const char *path, char text[CONTROL_CLIENT_FAULT_BYTES])
{
    const char *what = "";
    if (code == E_NOT_FOUND)
        what = "no agent runs there; start it (`systemctl start runnel`, or `runnel run`), or set "
               "RUNNEL_SOCKET to its socket";
    else if (code == error_sys(EACCES))
        what = "permission denied; be root or in the group that owns the socket";
    else if (code == E_VERSION)
        what = "the agent speaks another protocol; use the runnel that it was started from";
    else if (code == E_REFUSED)
        what = "the agent refused; it serves too many connections at the moment";
    else if (code == E_TOO_BIG)
        what = "too long; a socket's path has at most 107 bytes";
    (void)snprintf(text, CONTROL_CLIENT_FAULT_BYTES, "%s: %s", path,
                   *what != '\0' ? what : ERROR_TEXT(code));
    return text;
}

void control_client_close(struct control_client *client)
{
    if (client == NULL || client->fd < 0)
        return;
    (void)close(client->fd);
    client->fd = -1;
}

static int parse_number(const char *text, size_t count, uint64_t *ret_value)
{
    return parse_unsigned(text, count, ret_value) < 0 ? E_DAMAGED : 0;
}

/* "NUMBER NUMBER" or "NUMBER TEXT": the first number, and what stands behind the blank. */
static int split_number(const char *text, uint64_t *ret_number, const char **ret_rest)
{
    size_t count = strcspn(text, " ");
    if (text[count] != ' ')
        return E_DAMAGED;
    *ret_rest = text + count + 1;
    return parse_number(text, count, ret_number);
}

static int take_numbers(const char *text, uint64_t *ret_first, uint64_t *ret_second)
{
    const char *rest = NULL;
    int result = split_number(text, ret_first, &rest);
    return result < 0 ? result : parse_number(rest, strlen(rest), ret_second);
}

/* ---- status ---- */

static int read_status(struct control_client *client, char *status, size_t count,
                       int64_t deadline_ms)
{
    size_t used = client->used_bytes - client->taken_bytes;
    used = used < count ? used : count;
    memcpy(status, client->buffer + client->taken_bytes, used);
    while (used < count) {
        int result = stop_wait(&never, client->fd, POLLIN, deadline_ms);
        if (result < 0)
            return result;
        ssize_t got = recv(client->fd, status + used, count - used, MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (got <= 0)
            return E_CLOSED;
        used += (size_t)got;
    }
    status[count] = '\0';
    return 0;
}

static int request_status(struct control_client *client, bool text, int64_t deadline_ms,
                          uint64_t *ret_bytes)
{
    const char *command = text ? "status text\n" : "status\n";
    char *line = NULL;
    int result = write_all(client->fd, command, strlen(command), deadline_ms);
    if (result == 0)
        result = read_line(client, deadline_ms, &line);
    if (result < 0)
        return result;
    if (strncmp(line, "error ", 6) == 0)
        return E_REFUSED;
    if (strncmp(line, "bytes ", 6) != 0)
        return E_DAMAGED;
    return parse_number(line + 6, strlen(line + 6), ret_bytes);
}

int control_client_status(const char *path, bool text, int64_t deadline_ms, char **ret_status,
                          size_t *ret_bytes)
{
    struct control_client client = {.fd = -1};
    uint64_t count = 0;
    char *status = NULL;
    int result = control_client_open(path, deadline_ms, &client);
    if (result == 0)
        result = request_status(&client, text, deadline_ms, &count);
    if (result == 0 && count > STATUS_BYTES_MAX)
        result = E_DAMAGED;
    if (result == 0) {
        status = malloc((size_t)count + 1);
        result =
            status == NULL ? E_NO_MEMORY : read_status(&client, status, (size_t)count, deadline_ms);
    }
    control_client_close(&client);
    if (result < 0) {
        free(status);
        return result;
    }
    *ret_status = status;
    *ret_bytes = (size_t)count;
    return 0;
}

int control_client_read_status(const char *path, int64_t deadline_ms,
                               struct status_read **ret_status)
{
    char *text;
    size_t count;
    int result = control_client_status(path, false, deadline_ms, &text, &count);
    if (result < 0)
        return result;
    result = status_read_open(text, count, ret_status);
    free(text);
    return result;
}

/* ---- an answer in parts ---- */

/* What was received behind the line, else what comes: at most COUNT bytes, at once handed on. */
static int hand_on(struct control_client *client, const struct control_spool *spool, uint64_t count)
{
    while (count > 0) {
        size_t used = client->used_bytes - client->taken_bytes;
        size_t take = used < count ? used : (size_t)count;
        int result = 0;
        if (take > 0)
            result = spool->write(spool->context, client->buffer + client->taken_bytes, take);
        client->taken_bytes += take;
        count -= take;
        if (result == 0 && count > 0) {
            client->used_bytes = client->taken_bytes = 0;
            result = receive(client, clock_mono_ms() + spool->answer_ms);
        }
        if (result < 0)
            return result;
    }
    return 0;
}

/* E_END behind the last part. */
static int take_part(struct control_client *client, const struct control_spool *spool,
                     struct control_spooled *spooled)
{
    uint64_t count = 0;
    char *line = NULL;
    int result = read_line(client, clock_mono_ms() + spool->answer_ms, &line);
    if (result < 0)
        return result;
    if (strncmp(line, "part ", 5) == 0) {
        result = parse_number(line + 5, strlen(line + 5), &count);
        return result < 0 ? result : hand_on(client, spool, count);
    }
    if (strncmp(line, "end ", 4) == 0) {
        result = take_numbers(line + 4, &spooled->records, &spooled->damaged);
        return result < 0 ? result : E_END;
    }
    if (strncmp(line, "error ", 6) != 0)
        return E_DAMAGED;
    (void)snprintf(spooled->reason, sizeof(spooled->reason), "%.200s", line + 6);
    return E_REFUSED;
}

int control_client_spool(struct control_client *client, const struct control_spool *spool,
                         struct control_spooled *ret_spooled)
{
    char command[128];
    *ret_spooled = (struct control_spooled){0};
    int count = snprintf(command, sizeof(command), "%s %s\n",
                         spool->command != NULL ? spool->command : "spool", spool->request);
    if (count < 0 || (size_t)count >= sizeof(command))
        return E_TOO_BIG;
    int result = write_all(client->fd, command, (size_t)count, clock_mono_ms() + spool->answer_ms);
    while (result == 0)
        result = take_part(client, spool, ret_spooled);
    return result == E_END ? 0 : result;
}

/* ---- sending ---- */

struct sender {
    struct control_client *client;
    const struct control_send *options;
    struct control_sent *sent;
    uint8_t *input;
    size_t input_bytes;
    size_t ready_bytes; /* of these, what may go out: whole lines, or a line that fills it */
    bool at_line_start; /* of what went out */
    bool ended;         /* the input */
    bool deaf;          /* the agent takes nothing more; it may still say something */
    bool done;
    int64_t answered_ms; /* when something was settled last, or something became open */
};

static void find_ready(struct sender *sender)
{
    const uint8_t *end = memrchr(sender->input, '\n', sender->input_bytes);
    sender->ready_bytes = end != NULL ? (size_t)(end - sender->input) + 1 : 0;
    if (sender->ended || sender->input_bytes == INPUT_BYTES)
        sender->ready_bytes = sender->input_bytes;
}

static int fail_input(struct sender *sender, int code)
{
    (void)snprintf(sender->sent->reason, sizeof(sender->sent->reason),
                   "the input cannot be read: %s", ERROR_TEXT(code));
    return code;
}

static int read_input(struct sender *sender)
{
    ssize_t got = read(sender->options->input_fd, sender->input + sender->input_bytes,
                       INPUT_BYTES - sender->input_bytes);
    if (got < 0)
        return errno == EINTR || errno == EAGAIN ? 0 : fail_input(sender, error_sys(errno));
    sender->input_bytes += (size_t)got;
    sender->ended = got == 0;
    find_ready(sender);
    return 0;
}

static bool is_open(const struct sender *sender)
{
    return sender->ended || sender->ready_bytes > 0 || sender->sent->lines > sender->sent->settled;
}

static void count_lines(struct sender *sender, size_t count)
{
    for (size_t i = 0; i < count; i++)
        sender->sent->lines += sender->input[i] == '\n';
    sender->at_line_start = sender->input[count - 1] == '\n';
}

/* The last line may lack its newline. */
static void end_output(struct sender *sender)
{
    if (!sender->at_line_start)
        sender->sent->lines++;
    sender->at_line_start = true;
    (void)shutdown(sender->client->fd, SHUT_WR);
    sender->deaf = true;
}

static void write_output(struct sender *sender)
{
    ssize_t sent = 0;
    if (sender->ready_bytes > 0)
        sent = send(sender->client->fd, sender->input, sender->ready_bytes,
                    MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) {
        sender->deaf = errno != EAGAIN && errno != EINTR;
        return;
    }
    if (sent > 0) {
        count_lines(sender, (size_t)sent);
        sender->input_bytes -= (size_t)sent;
        sender->ready_bytes -= (size_t)sent;
        memmove(sender->input, sender->input + sent, sender->input_bytes);
    }
    if (sender->ended && sender->input_bytes == 0)
        end_output(sender);
}

static int take_refusal(struct sender *sender, const char *text)
{
    uint64_t line = 0;
    const char *reason = NULL;
    int result = split_number(text, &line, &reason);
    if (result < 0)
        return result;
    sender->sent->refused++;
    if (sender->options->refused != NULL)
        sender->options->refused(sender->options->context, line, reason);
    return 0;
}

static int take_reply(struct sender *sender, const char *line)
{
    struct control_sent *sent = sender->sent;
    sender->answered_ms = clock_mono_ms();
    if (strcmp(line, "ready") == 0)
        return 0;
    if (strncmp(line, "accepted ", 9) == 0)
        return take_numbers(line + 9, &sent->settled, &sent->accepted);
    if (strncmp(line, "refused ", 8) == 0)
        return take_refusal(sender, line + 8);
    if (strncmp(line, "done ", 5) == 0) {
        sender->done = true;
        sent->settled = sent->lines;
        return take_numbers(line + 5, &sent->accepted, &sent->refused);
    }
    if (strncmp(line, "error ", 6) != 0)
        return E_DAMAGED;
    (void)snprintf(sent->reason, sizeof(sent->reason), "%s", line + 6);
    return E_REFUSED;
}

static int take_replies(struct sender *sender)
{
    int result = receive(sender->client, clock_mono_ms());
    for (char *line; (line = next_line(sender->client)) != NULL;) {
        int taken = take_reply(sender, line);
        if (taken < 0)
            return taken;
    }
    return sender->done || result == E_TIMEOUT ? 0 : result;
}

static int wait_for_events(struct sender *sender, struct pollfd polls[2])
{
    bool reads = !sender->ended && !sender->deaf && sender->input_bytes < INPUT_BYTES;
    bool writes = !sender->deaf && (sender->ready_bytes > 0 || sender->ended);
    polls[0] = (struct pollfd){.fd = reads ? sender->options->input_fd : -1, .events = POLLIN};
    polls[1] = (struct pollfd){.fd = sender->client->fd,
                               .events = (short)(writes ? POLLIN | POLLOUT : POLLIN)};
    int64_t wait_ms = sender->answered_ms + sender->options->answer_ms - clock_mono_ms();
    wait_ms = wait_ms < 0 ? 0 : wait_ms;
    wait_ms = is_open(sender) && wait_ms < INT_MAX ? wait_ms : -1;
    int ready = poll(polls, 2, (int)wait_ms);
    if (ready < 0)
        return errno == EINTR ? 0 : error_sys(errno);
    return ready == 0 ? E_TIMEOUT : 0;
}

static int send_step(struct sender *sender)
{
    struct pollfd polls[2];
    bool was_open = is_open(sender);
    int result = wait_for_events(sender, polls);
    if (result == 0 && polls[0].revents != 0)
        result = read_input(sender);
    if (!was_open)
        sender->answered_ms = clock_mono_ms();
    if (result == 0 && !sender->deaf && (polls[1].revents & POLLOUT) != 0)
        write_output(sender);
    if (result == 0 && (polls[1].revents & ~POLLOUT) != 0)
        result = take_replies(sender);
    return result;
}

static int start_sending(struct sender *sender)
{
    char command[CONTROL_SENSOR_BYTES + CONTROL_LANE_BYTES + 16];
    const char *lane = sender->options->lane;
    int count = snprintf(command, sizeof(command), "send %s%s%s\n", sender->options->sensor,
                         lane != NULL ? " " : "", lane != NULL ? lane : "");
    if (count < 0 || (size_t)count >= sizeof(command))
        return E_TOO_BIG;
    sender->answered_ms = clock_mono_ms();
    return write_all(sender->client->fd, command, (size_t)count,
                     sender->answered_ms + sender->options->answer_ms);
}

int control_client_send(struct control_client *client, const struct control_send *send,
                        struct control_sent *ret_sent)
{
    struct sender sender = {
        .client = client, .options = send, .sent = ret_sent, .at_line_start = true};
    *ret_sent = (struct control_sent){0};
    sender.input = malloc(INPUT_BYTES);
    if (sender.input == NULL)
        return E_NO_MEMORY;
    int result = start_sending(&sender);
    while (result == 0 && !sender.done)
        result = send_step(&sender);
    free(sender.input);
    return result;
}
