/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control/session.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform/base/error.h"
#include "platform/json/json_scan.h"

enum { COMMAND_MS = 5000, PROGRESS_MS = 30000, RETRY_MS = 20 };
enum { STATUS_BYTES_MIN = 16 * 1024, STATUS_BYTES_MAX = 4 * 1024 * 1024 };

/* Room for the longest single reply; documents are taken only while there is that much. */
enum { REPLY_RESERVE = 256 };

bool session_is_open(const struct session *session)
{
    return session->state != SESSION_CLOSED;
}

bool session_is_sender(const struct session *session)
{
    return session->input != NULL || session->state == SESSION_PARTS;
}

static void forget_answer(const struct session *session)
{
    const struct control_options *options = session->options;
    if (session->state == SESSION_PARTS && session->answer == SESSION_OF_CONFIG)
        options->operations->config_forget(options->context);
    if (session->state == SESSION_PARTS && session->answer == SESSION_OF_SENSOR)
        options->operations->sensor_forget(options->context, session->slot);
}

void session_close(struct session *session)
{
    if (session->state == SESSION_CLOSED)
        return;
    if (session->entry_count > 0)
        session->options->operations->forget(session->options->context, session->slot);
    forget_answer(session);
    (void)close(session->fd);
    free(session->input);
    free(session->entries);
    free(session->status);
    session->input = NULL;
    session->entries = NULL;
    session->status = NULL;
    session->state = SESSION_CLOSED;
}

/* ---- what goes out ---- */

static bool has_output(const struct session *session)
{
    return session->reply_bytes > 0 || session->status_sent < session->status_bytes;
}

static bool has_reply_room(const struct session *session)
{
    return sizeof(session->reply) - session->reply_bytes >= REPLY_RESERVE;
}

/* One line, cut to what is reserved for it. The caller sees to it that there is room. */
static void reply(struct session *session, int64_t now_ms, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void reply(struct session *session, int64_t now_ms, const char *format, ...)
{
    char line[REPLY_RESERVE - 1];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    size_t room = sizeof(session->reply) - session->reply_bytes;
    if (strlen(line) + 1 > room)
        return;
    if (!has_output(session))
        session->progress_ms = now_ms;
    int count = snprintf(session->reply + session->reply_bytes, room, "%s", line);
    session->reply_bytes += (size_t)count;
    session->reply[session->reply_bytes++] = '\n';
}

/* Gives up: says why, and ends the connection when that is out. */
static void give_up(struct session *session, int64_t now_ms, const char *reason)
{
    reply(session, now_ms, "error %s", reason);
    session->state = SESSION_LEAVING;
}

/* Returns how many bytes went out, 0 if none can at present, or -1 if the other side is gone. */
static ssize_t send_some(int fd, const char *bytes, size_t count)
{
    ssize_t sent = send(fd, bytes, count, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0)
        return sent;
    return errno == EAGAIN || errno == EINTR ? 0 : -1;
}

static bool flush_reply(struct session *session, int64_t now_ms)
{
    if (session->reply_bytes == 0)
        return true;
    ssize_t sent = send_some(session->fd, session->reply, session->reply_bytes);
    if (sent <= 0)
        return sent == 0;
    session->progress_ms = now_ms;
    session->reply_bytes -= (size_t)sent;
    memmove(session->reply, session->reply + sent, session->reply_bytes);
    return true;
}

static bool flush_status(struct session *session, int64_t now_ms)
{
    size_t left = session->status_bytes - session->status_sent;
    if (session->reply_bytes > 0 || left == 0)
        return true;
    ssize_t sent = send_some(session->fd, session->status + session->status_sent, left);
    if (sent <= 0)
        return sent == 0;
    session->progress_ms = now_ms;
    session->status_sent += (size_t)sent;
    return true;
}

static void flush(struct session *session, int64_t now_ms)
{
    if (!flush_reply(session, now_ms) || !flush_status(session, now_ms) ||
        (session->state == SESSION_LEAVING && !has_output(session)))
        session_close(session);
}

/* ---- status ---- */

static int write_status(struct session *session, bool text, char *buffer, size_t buffer_bytes)
{
    struct writer writer;
    writer_to_memory(&writer, buffer, buffer_bytes);
    session->options->operations->status(session->options->context, text, &writer);
    if (!text)
        writer_char(&writer, '\n');
    int result = writer_finish(&writer);
    return result < 0 ? result : (int)writer_total_bytes(&writer);
}

/* Its size depends on the number of sensors: the buffer doubles until it fits. */
static int make_status(struct session *session, bool text)
{
    for (size_t size = STATUS_BYTES_MIN; size <= STATUS_BYTES_MAX; size *= 2) {
        char *buffer = malloc(size);
        if (buffer == NULL)
            return E_NO_MEMORY;
        int result = write_status(session, text, buffer, size);
        if (result >= 0) {
            session->status = buffer;
            session->status_bytes = (size_t)result;
            return 0;
        }
        free(buffer);
        if (result != E_TOO_BIG)
            return result;
    }
    return E_TOO_BIG;
}

static void start_status(struct session *session, bool text, int64_t now_ms)
{
    int result = make_status(session, text);
    if (result < 0) {
        give_up(session, now_ms, ERROR_TEXT(result));
        return;
    }
    reply(session, now_ms, "bytes %zu", session->status_bytes);
    session->state = SESSION_LEAVING;
}

/* ---- an answer in parts ---- */

static bool grow_part(struct session *session)
{
    size_t size = session->part_bytes == 0 ? STATUS_BYTES_MIN : session->part_bytes * 2;
    char *buffer = size <= STATUS_BYTES_MAX ? realloc(session->status, size) : NULL;
    if (buffer == NULL)
        return false;
    session->status = buffer;
    session->part_bytes = size;
    return true;
}

static int ask_next(struct session *session, struct writer *writer, struct control_tally *ret_tally)
{
    const struct control_options *options = session->options;
    if (session->answer == SESSION_OF_CONFIG)
        return options->operations->config_next(options->context, writer);
    if (session->answer == SESSION_OF_SENSOR)
        return options->operations->sensor_next(options->context, session->slot, writer);
    return options->operations->spool_next(options->context, session->slot, writer, ret_tally);
}

/* A part has the size of the buffer, which grows only for what does not fit by itself. */
static int make_part(struct session *session, struct control_tally *ret_tally)
{
    struct writer writer;
    int result;
    do {
        writer_to_memory(&writer, session->status, session->part_bytes);
        result = ask_next(session, &writer, ret_tally);
    } while (result == E_TOO_BIG && grow_part(session));
    if (result == 0)
        session->status_bytes = (size_t)writer_total_bytes(&writer);
    return result;
}

/* The next part, only once the one before is out: so a reader costs no more for being slow. */
static void continue_parts(struct session *session, int64_t now_ms)
{
    struct control_tally tally = {0};
    if (has_output(session) || session->retry_ms > now_ms)
        return;
    session->retry_ms = 0;
    session->status_bytes = session->status_sent = 0;
    int result = make_part(session, &tally);
    if (result == 0) {
        reply(session, now_ms, "part %zu", session->status_bytes);
        return;
    }
    if (result == E_AGAIN) {
        session->retry_ms = now_ms + RETRY_MS;
        return;
    }
    if (result == E_END)
        reply(session, now_ms, "end %" PRIu64 " %" PRIu64, tally.records, tally.damaged);
    else
        reply(session, now_ms, "error %s", ERROR_TEXT(result));
    if (session->answer == SESSION_OF_SENSOR)
        forget_answer(session);
    session->state = SESSION_LEAVING;
}

/* What was begun is let go of where there is no memory for it. */
static void start_answer(struct session *session, enum session_answer answer, int64_t now_ms)
{
    session->state = SESSION_PARTS;
    session->answer = answer;
    if (grow_part(session))
        return;
    forget_answer(session);
    give_up(session, now_ms, "out of memory");
}

/* Members of the socket's group may look; what changes is for root and for who runs the agent. */
static bool may_change(const struct session *session)
{
    struct ucred peer;
    socklen_t count = sizeof(peer);
    return getsockopt(session->fd, SOL_SOCKET, SO_PEERCRED, &peer, &count) == 0 &&
           (peer.uid == 0 || peer.uid == geteuid());
}

static bool is_change(const char *request)
{
    return strncmp(request, "dead resend", 11) == 0 || strncmp(request, "dead purge", 10) == 0;
}

static void start_parts(struct session *session, const char *request, bool may_start,
                        int64_t now_ms)
{
    const struct control_options *options = session->options;
    if (is_change(request) && !may_change(session)) {
        give_up(session, now_ms,
                "only root and the agent's own user may change dead letters; use sudo");
        return;
    }
    if (!may_start) {
        give_up(session, now_ms, "too many connections at once, try again later");
        return;
    }
    int result = options->operations->spool_start(options->context, session->slot, request);
    if (result == E_NOT_FOUND)
        give_up(session, now_ms, "there is no such lane");
    else if (result < 0)
        give_up(session, now_ms,
                "usage: spool show [json] | export [LANE] | check [json] | dead ...");
    else
        start_answer(session, SESSION_OF_SPOOL, now_ms);
}

/* ---- the configuration ---- */

static void start_config(struct session *session, const char *request, int64_t now_ms)
{
    const struct control_options *options = session->options;
    if (!may_change(session)) {
        give_up(session, now_ms,
                "only root and the agent's own user may change the configuration; use sudo");
        return;
    }
    int result = options->operations->config_start(options->context, request);
    if (result == E_BUSY)
        give_up(session, now_ms, "another configuration is being looked at, try again later");
    else if (result < 0)
        give_up(session, now_ms, "usage: config reload | apply CONFIRM_MS | main CONFIRM_MS");
    else
        start_answer(session, SESSION_OF_CONFIG, now_ms);
}

/* ---- sensors ---- */

static void start_sensor(struct session *session, const char *request, bool may_start,
                         int64_t now_ms)
{
    const struct control_options *options = session->options;
    if (!may_start) {
        give_up(session, now_ms, "too many connections at once, try again later");
        return;
    }
    int result = options->operations->sensor_start(options->context, session->slot, request);
    if (result == E_NOT_FOUND)
        give_up(session, now_ms, "there is no such sensor");
    else if (result == E_BUSY)
        give_up(session, now_ms, "its bus is being asked for somebody else, try again later");
    else if (result == E_INVALID)
        give_up(session, now_ms, "usage: sensor list | read NAME WAIT_MS");
    else if (result < 0)
        give_up(session, now_ms, ERROR_TEXT(result));
    else
        start_answer(session, SESSION_OF_SENSOR, now_ms);
}

/* ---- the command ---- */

static void start_documents(struct session *session, int64_t now_ms)
{
    session->input = malloc(session->options->document_bytes_max + 1);
    session->entries = calloc(CONFIG_CONTROL_IN_FLIGHT, sizeof(*session->entries));
    if (session->input == NULL || session->entries == NULL) {
        give_up(session, now_ms, "out of memory");
        return;
    }
    reply(session, now_ms, "ready");
    session->state = SESSION_DOCUMENTS;
}

/* "send SENSOR [LANE]" behind the blank. */
static void parse_send(struct session *session, const char *text, bool may_send, int64_t now_ms)
{
    size_t sensor = strcspn(text, " ");
    const char *lane = text + sensor + (text[sensor] == ' ');
    if (sensor == 0 || sensor >= sizeof(session->sensor) || strlen(lane) >= sizeof(session->lane) ||
        strchr(lane, ' ') != NULL) {
        give_up(session, now_ms, "usage: send SENSOR [LANE]");
        return;
    }
    if (!may_send) {
        give_up(session, now_ms, "too many senders at once, try again later");
        return;
    }
    memcpy(session->sensor, text, sensor);
    session->sensor[sensor] = '\0';
    memcpy(session->lane, lane, strlen(lane) + 1);
    start_documents(session, now_ms);
}

static void run_command(struct session *session, const char *line, bool may_send, int64_t now_ms)
{
    if (strcmp(line, "status") == 0)
        start_status(session, false, now_ms);
    else if (strcmp(line, "status text") == 0)
        start_status(session, true, now_ms);
    else if (strncmp(line, "send ", 5) == 0)
        parse_send(session, line + 5, may_send, now_ms);
    else if (strncmp(line, "spool ", 6) == 0 && session->options->operations->spool_start != NULL)
        start_parts(session, line + 6, may_send, now_ms);
    else if (strncmp(line, "config ", 7) == 0 && session->options->operations->config_start != NULL)
        start_config(session, line + 7, now_ms);
    else if (strncmp(line, "sensor ", 7) == 0 && session->options->operations->sensor_start != NULL)
        start_sensor(session, line + 7, may_send, now_ms);
    else
        give_up(session, now_ms, "unknown command");
}

/* Names and commands are printable ASCII: nothing else is let through to the stages. */
static bool is_printable(const char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] < ' ' || bytes[i] > '~')
            return false;
    }
    return true;
}

/* Documents may come in the same packet: only the line itself is taken from the socket. */
static size_t command_line_bytes(const char *bytes, size_t count)
{
    const char *end = memchr(bytes, '\n', count);
    return end != NULL ? (size_t)(end - bytes) + 1 : count;
}

static void read_command(struct session *session, bool may_send, int64_t now_ms)
{
    char *to = session->command + session->command_bytes;
    size_t room = sizeof(session->command) - session->command_bytes;
    ssize_t got = recv(session->fd, to, room, MSG_PEEK | MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got > 0)
        got = recv(session->fd, to, command_line_bytes(to, (size_t)got), MSG_DONTWAIT);
    if (got <= 0) {
        session_close(session);
        return;
    }
    session->command_bytes += (size_t)got;
    size_t last = session->command_bytes - 1;
    if (session->command[last] == '\n' && is_printable(session->command, last)) {
        session->command[last] = '\0';
        run_command(session, session->command, may_send, now_ms);
    } else if (session->command[last] == '\n' || last + 1 == sizeof(session->command)) {
        give_up(session, now_ms, "unknown command");
    }
}

/* ---- documents ---- */

static bool is_ring_full(const struct session *session)
{
    return session->entry_count == CONFIG_CONTROL_IN_FLIGHT;
}

static void refuse(struct session *session, int64_t now_ms, const char *reason)
{
    session->line++;
    session->refused++;
    reply(session, now_ms, "refused %" PRIu64 " %s", session->line, reason);
}

static int expect_object(void *context, const struct json_token *token)
{
    (void)context;
    return token->depth == 0 && token->event != JSON_OBJECT_BEGIN && token->event != JSON_OBJECT_END
               ? E_INVALID
               : 0;
}

/* Whether BYTES are one JSON object; if not, the line is refused with what is wrong where. */
static bool check_document(struct session *session, const uint8_t *bytes, size_t count,
                           int64_t now_ms)
{
    char reason[160];
    struct json_scan scan;
    json_scan_start(&scan, expect_object, NULL);
    int result = json_scan_feed(&scan, bytes, count);
    if (result == 0)
        result = json_scan_end(&scan);
    if (result == 0)
        return true;
    if (result == E_SYNTAX)
        (void)snprintf(reason, sizeof(reason), "column %u: %s", scan.column, scan.fault);
    else if (result == E_TOO_BIG)
        (void)snprintf(reason, sizeof(reason), "nested deeper than %d", (int)JSON_DEPTH_MAX);
    else
        (void)snprintf(reason, sizeof(reason), "not a JSON object");
    refuse(session, now_ms, reason);
    return false;
}

static void remember(struct session *session, const struct control_ticket *ticket)
{
    unsigned last = (session->first + session->entry_count) % CONFIG_CONTROL_IN_FLIGHT;
    session->line++;
    session->entries[last] = (struct session_entry){
        .line = session->line, .sequence = ticket->sequence, .lane = ticket->lane};
    session->entry_count++;
}

static const char *refusal_text(int code, char *text, size_t text_bytes)
{
    if (code == E_REFUSED)
        return "the lane is full and its policy is to refuse";
    if (code == E_NOT_FOUND)
        return "no such sensor or lane";
    if (code == E_UNSUPPORTED)
        return "no route carries this lane; add it to the \"lanes\" of one";
    if (code == E_EXISTS)
        return "this name is the agent's own; choose another";
    if (code == E_BUSY)
        return "too many names of sensors since the agent started; use those of its configuration";
    return error_text(code, text, text_bytes);
}

/* Returns false if there is no room for the document at the moment. */
static bool take_document(struct session *session, const uint8_t *bytes, size_t count,
                          int64_t now_ms)
{
    const struct control_options *options = session->options;
    struct control_ticket ticket = {.slot = session->slot, .event_fd = session->event_fd};
    struct control_document document = {
        .sensor = session->sensor, .lane = session->lane, .bytes = bytes, .count = count};
    int result = options->operations->submit(options->context, &document, &ticket);
    if (result == E_AGAIN)
        return false;
    char text[ERROR_TEXT_BYTES];
    if (result < 0)
        refuse(session, now_ms, refusal_text(result, text, sizeof(text)));
    else
        remember(session, &ticket);
    return true;
}

static bool is_blank(const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] != ' ' && bytes[i] != '\t' && bytes[i] != '\r')
            return false;
    }
    return true;
}

/* A line without its newline. Returns false if it has to be offered again. */
static bool take_line(struct session *session, const uint8_t *bytes, size_t count, int64_t now_ms)
{
    if (session->skipping) {
        session->skipping = false;
        return true;
    }
    if (is_blank(bytes, count)) {
        session->line++;
        return true;
    }
    /* Text files from elsewhere end lines with CR LF, which would be a part of a raw record. */
    count -= bytes[count - 1] == '\r' ? 1 : 0;
    /* A line that is offered again was found good before. */
    if (session->retry_ms == 0 && !check_document(session, bytes, count, now_ms))
        return true;
    return take_document(session, bytes, count, now_ms);
}

static void drop_input(struct session *session, size_t count)
{
    session->input_bytes -= count;
    memmove(session->input, session->input + count, session->input_bytes);
}

static void skip_long_line(struct session *session, int64_t now_ms)
{
    char reason[64];
    (void)snprintf(reason, sizeof(reason), "longer than %zu bytes",
                   session->options->document_bytes_max);
    if (!session->skipping)
        refuse(session, now_ms, reason);
    session->skipping = true;
    session->input_bytes = 0;
}

/* The next line in the input, or at its end what is left. */
static bool find_line(const struct session *session, size_t from, size_t *ret_count)
{
    const uint8_t *start = session->input + from;
    size_t left = session->input_bytes - from;
    const uint8_t *end = left > 0 ? memchr(start, '\n', left) : NULL;
    if (end == NULL && !(session->ended && left > 0))
        return false;
    *ret_count = end != NULL ? (size_t)(end - start) : left;
    return true;
}

static void take_lines(struct session *session, int64_t now_ms)
{
    size_t from = 0;
    size_t count;
    while (from < session->input_bytes && !is_ring_full(session) && has_reply_room(session) &&
           find_line(session, from, &count)) {
        if (!take_line(session, session->input + from, count, now_ms)) {
            session->retry_ms = now_ms + RETRY_MS;
            break;
        }
        session->retry_ms = 0;
        from += count + 1;
        from = from < session->input_bytes ? from : session->input_bytes;
    }
    drop_input(session, from);
    if (session->input_bytes > session->options->document_bytes_max && has_reply_room(session) &&
        memchr(session->input, '\n', session->input_bytes) == NULL)
        skip_long_line(session, now_ms);
}

static bool wants_documents(const struct session *session)
{
    return session->state == SESSION_DOCUMENTS && !session->ended && session->retry_ms == 0 &&
           session->input_bytes <= session->options->document_bytes_max && !is_ring_full(session) &&
           has_reply_room(session);
}

static void read_documents(struct session *session, int64_t now_ms)
{
    size_t room = session->options->document_bytes_max + 1 - session->input_bytes;
    ssize_t got = recv(session->fd, session->input + session->input_bytes, room, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got < 0) {
        session_close(session);
        return;
    }
    session->progress_ms = now_ms;
    session->input_bytes += (size_t)got;
    session->ended = got == 0;
}

/* ---- acceptance ---- */

static bool is_first_accepted(const struct session *session)
{
    const struct session_entry *entry = &session->entries[session->first];
    const struct control_ticket ticket = {.slot = session->slot,
                                          .event_fd = session->event_fd,
                                          .lane = entry->lane,
                                          .sequence = entry->sequence};
    return session->options->operations->accepted(session->options->context, &ticket);
}

static uint64_t settled_line(const struct session *session)
{
    return session->entry_count > 0 ? session->entries[session->first].line - 1 : session->line;
}

/* The sender's oldest document is the only one that is waited for: when it is accepted, those
 * behind it usually are too, and each is asked for in turn. */
static void settle(struct session *session, int64_t now_ms)
{
    while (session->entry_count > 0 && is_first_accepted(session)) {
        session->first = (session->first + 1) % CONFIG_CONTROL_IN_FLIGHT;
        session->entry_count--;
        session->count++;
    }
    uint64_t line = settled_line(session);
    if (line > session->reported_line && has_reply_room(session)) {
        session->reported_line = line;
        reply(session, now_ms, "accepted %" PRIu64 " %" PRIu64, line, session->count);
    }
}

static void finish(struct session *session, int64_t now_ms)
{
    if (!session->ended || session->input_bytes > 0 || session->entry_count > 0 ||
        session->reported_line < session->line || !has_reply_room(session))
        return;
    if (session->stopped) {
        give_up(session, now_ms, "the agent is stopping");
        return;
    }
    reply(session, now_ms, "done %" PRIu64 " %" PRIu64, session->count, session->refused);
    session->state = SESSION_LEAVING;
}

/* As far as it goes without reading: acceptance makes room for lines, what goes out makes room for
 * replies. When this returns with lines left, an event, POLLOUT or the time will come. */
static void work_off(struct session *session, int64_t now_ms)
{
    uint64_t before;
    do {
        before = session->line;
        flush(session, now_ms);
        if (session->state != SESSION_DOCUMENTS)
            return;
        settle(session, now_ms);
        if (session->retry_ms <= now_ms)
            take_lines(session, now_ms);
        settle(session, now_ms);
    } while (session->line > before);
    finish(session, now_ms);
}

static void continue_documents(struct session *session, short revents, int64_t now_ms)
{
    if ((revents & (POLLIN | POLLHUP)) != 0 && wants_documents(session))
        read_documents(session, now_ms);
    if (session->state == SESSION_DOCUMENTS)
        work_off(session, now_ms);
}

/* ---- the whole ---- */

void session_open(struct session *session, int fd, int64_t now_ms)
{
    *session = (struct session){.options = session->options,
                                .slot = session->slot,
                                .event_fd = session->event_fd,
                                .fd = fd,
                                .state = SESSION_COMMAND,
                                .started_ms = now_ms,
                                .progress_ms = now_ms};
    reply(session, now_ms, "runnel-control %d", (int)CONTROL_VERSION);
    flush(session, now_ms);
}

short session_events(const struct session *session)
{
    bool parts = session->state == SESSION_PARTS && session->retry_ms == 0;
    short events = has_output(session) || parts ? POLLOUT : 0;
    if (session->state == SESSION_COMMAND || wants_documents(session))
        events |= POLLIN;
    return events;
}

static bool has_half_line(const struct session *session)
{
    return wants_documents(session) && (session->input_bytes > 0 || session->skipping);
}

int64_t session_deadline_ms(const struct session *session)
{
    if (session->state == SESSION_COMMAND)
        return session->started_ms + COMMAND_MS;
    int64_t deadline_ms = INT64_MAX;
    if (has_output(session) || has_half_line(session))
        deadline_ms = session->progress_ms + PROGRESS_MS;
    if (session->retry_ms != 0 && session->retry_ms < deadline_ms)
        deadline_ms = session->retry_ms;
    return deadline_ms;
}

/* Too slow for its deadline. A sender that is offered its line again is not. */
static bool is_overdue(const struct session *session, int64_t now_ms)
{
    return session->retry_ms == 0 && session_deadline_ms(session) <= now_ms;
}

void session_continue(struct session *session, short revents, bool may_send, int64_t now_ms)
{
    if (session->state == SESSION_COMMAND && (revents & POLLIN) != 0)
        read_command(session, may_send, now_ms);
    if (session->state == SESSION_DOCUMENTS)
        continue_documents(session, revents, now_ms);
    if (session->state == SESSION_PARTS)
        continue_parts(session, now_ms);
    if (session->state != SESSION_CLOSED)
        flush(session, now_ms);
    if (session->state == SESSION_CLOSED)
        return;
    /* Both directions are closed: nobody is there to be told, and poll would report it for ever. */
    bool gone = (revents & (POLLHUP | POLLERR | POLLNVAL)) != 0 && !wants_documents(session);
    bool overdue = is_overdue(session, now_ms);
    if (overdue && session->state != SESSION_LEAVING && session->state != SESSION_PARTS) {
        give_up(session, now_ms, "too slow");
        flush(session, now_ms);
    }
    if (gone || overdue)
        session_close(session);
}

/* A configuration is looked at all the same: it may be what the agent stops for. */
static void give_up_parts(struct session *session, int64_t now_ms)
{
    if (session->answer == SESSION_OF_SENSOR)
        forget_answer(session);
    give_up(session, now_ms, "the agent is stopping");
}

void session_stop_input(struct session *session, int64_t now_ms)
{
    if (session->state == SESSION_COMMAND)
        give_up(session, now_ms, "the agent is stopping");
    if (session->state == SESSION_PARTS)
        session->retry_ms = 0;
    /* Behind half a part nothing can be said; that it ends without "end" says enough. */
    if (session->state == SESSION_PARTS && has_output(session))
        session_close(session);
    else if (session->state == SESSION_PARTS)
        give_up_parts(session, now_ms);
    if (session->state == SESSION_DOCUMENTS && !session->ended) {
        session->input_bytes = 0;
        session->retry_ms = 0;
        session->ended = true;
        session->stopped = true;
    }
}
