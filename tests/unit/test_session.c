/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/control/session.h"
#include "platform/base/error.h"
#include "tests/unit/fake_agent.h"

enum { DOCUMENT_BYTES = 100, REPLIES_BYTES = 1 << 20 };

struct fixture {
    struct fake_agent *agent;
    struct control_options options;
    struct session session;
    int peer_fd;
    int64_t now_ms;
    char replies[REPLIES_BYTES]; /* all that the session said */
    size_t replies_bytes;
};

static void connect_peer(struct fixture *f)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    f->session.options = &f->options;
    f->session.event_fd = -1;
    f->peer_fd = fds[1];
    f->replies_bytes = 0;
    session_open(&f->session, fds[0], f->now_ms);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->agent = fake_agent_new();
    f->options = (struct control_options){.document_bytes_max = DOCUMENT_BYTES,
                                          .operations = &fake_agent_operations,
                                          .context = f->agent};
    f->now_ms = 1000;
    connect_peer(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    session_close(&f->session);
    if (f->peer_fd >= 0)
        close(f->peer_fd);
    fake_agent_free(f->agent);
    free(f);
    return 0;
}

static void read_replies(struct fixture *f)
{
    ssize_t got;
    while ((got = recv(f->peer_fd, f->replies + f->replies_bytes,
                       REPLIES_BYTES - 1 - f->replies_bytes, MSG_DONTWAIT)) > 0)
        f->replies_bytes += (size_t)got;
    f->replies[f->replies_bytes] = '\0';
}

/* As the control thread does: poll, then go on, until nothing more can happen by itself. */
static void run(struct fixture *f)
{
    while (session_is_open(&f->session)) {
        struct pollfd poll_session = {.fd = f->session.fd, .events = session_events(&f->session)};
        int ready = poll(&poll_session, 1, 0);
        session_continue(&f->session, poll_session.revents, true, f->now_ms);
        if (f->peer_fd >= 0)
            read_replies(f);
        if (ready == 0 && session_events(&f->session) == poll_session.events)
            break;
    }
}

static void put_bytes(struct fixture *f, const void *bytes, size_t count)
{
    while (count > 0) {
        ssize_t sent = send(f->peer_fd, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent > 0) {
            bytes = (const char *)bytes + sent;
            count -= (size_t)sent;
        }
        run(f);
    }
}

static void put(struct fixture *f, const char *text)
{
    put_bytes(f, text, strlen(text));
}

static void put_end(struct fixture *f)
{
    shutdown(f->peer_fd, SHUT_WR);
    run(f);
}

#define GREETING "runnel-control 1\n"

/* Who asks; we ourselves unless a test is somebody else. */
static uid_t stranger;

int __real_getsockopt(int fd, int level, int option, void *value, socklen_t *bytes);
int __wrap_getsockopt(int fd, int level, int option, void *value, socklen_t *bytes);

int __wrap_getsockopt(int fd, int level, int option, void *value, socklen_t *bytes)
{
    int rc = __real_getsockopt(fd, level, option, value, bytes);
    if (rc == 0 && option == SO_PEERCRED && stranger != 0)
        ((struct ucred *)value)->uid = stranger;
    return rc;
}

static void test_greets_and_answers_status(void **state)
{
    struct fixture *f = *state;
    put(f, "status\n");
    assert_string_equal(f->replies, GREETING "bytes 11\n{\"pad\":\"\"}\n");
    assert_false(session_is_open(&f->session));
}

static void test_answers_status_as_text(void **state)
{
    struct fixture *f = *state;
    put(f, "status text\n");
    assert_string_equal(f->replies, GREETING "bytes 12\nall is well\n");
}

static void test_answers_a_status_larger_than_any_buffer(void **state)
{
    struct fixture *f = *state;
    f->agent->status_bytes = 900000;
    put(f, "status\n");
    assert_int_equal(f->replies_bytes, strlen(GREETING "bytes 900011\n") + 900011);
    assert_false(session_is_open(&f->session));
}

static void test_takes_a_command_in_pieces(void **state)
{
    struct fixture *f = *state;
    for (const char *c = "send plc alarm\n"; *c != '\0'; c++)
        put_bytes(f, c, 1);
    assert_string_equal(f->replies, GREETING "ready\n");
    put(f, "{}\n");
    assert_string_equal(f->agent->sensor, "plc");
    assert_string_equal(f->agent->lane, "alarm");
}

static void test_refuses_other_commands(void **state)
{
    static const struct {
        const char *bytes;
        size_t count;
    } commands[] = {{"\n", 1},         {"GET / HTTP/1.1\r\n", 16},
                    {"sta\0tus\n", 8}, {"status \xff\n", 9},
                    {"send \n", 6},    {"send a b c\n", 11},
                    {"send  b\n", 8},  {"send a a-lane-with-a-long-name\n", 31}};
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
        put_bytes(f, commands[i].bytes, commands[i].count);
        assert_non_null(strstr(f->replies, "\nerror "));
        assert_false(session_is_open(&f->session));
        close(f->peer_fd);
        connect_peer(f);
    }
}

static void test_refuses_an_endless_command(void **state)
{
    struct fixture *f = *state;
    char line[SESSION_COMMAND_BYTES + 1];
    memset(line, 'a', sizeof(line));
    send(f->peer_fd, line, sizeof(line), MSG_DONTWAIT);
    run(f);
    assert_string_equal(f->replies, GREETING "error unknown command\n");
}

static void test_ends_without_a_command(void **state)
{
    struct fixture *f = *state;
    put(f, "sta");
    put_end(f);
    assert_false(session_is_open(&f->session));
}

static void test_reports_what_is_accepted(void **state)
{
    struct fixture *f = *state;
    put(f, "send plc\n{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
    assert_string_equal(f->replies, GREETING "ready\n");
    assert_int_equal(f->agent->submitted, 3);
    fake_agent_accept(f->agent, 2);
    run(f);
    assert_string_equal(f->replies, GREETING "ready\naccepted 2 2\n");
    put_end(f);
    assert_true(session_is_open(&f->session));
    fake_agent_accept(f->agent, 3);
    run(f);
    assert_string_equal(f->replies, GREETING "ready\naccepted 2 2\naccepted 3 3\ndone 3 0\n");
    assert_false(session_is_open(&f->session));
    assert_string_equal(f->agent->documents[1], "{\"n\":2}");
    assert_int_equal(f->agent->forgotten, 0);
}

/* The second is delivered before the first is durable: nothing may be reported yet. */
static void test_reports_in_order_only(void **state)
{
    struct fixture *f = *state;
    put(f, "send plc\n{\"n\":1}\n{\"n\":2}\n");
    f->agent->accepted_too = 2;
    run(f);
    assert_string_equal(f->replies, GREETING "ready\n");
    assert_int_equal(f->agent->waiting, 1);
    fake_agent_accept(f->agent, 1);
    run(f);
    assert_string_equal(f->replies, GREETING "ready\naccepted 2 2\n");
}

static void test_says_which_line_is_refused_and_why(void **state)
{
    struct fixture *f = *state;
    fake_agent_accept(f->agent, 100);
    put(f, "send plc\n{\"a\":}\n\n{}\n[1]\n3\n{\"b\":\"\xff\"}\n  \t\r\n{\"c\":1}x\n{\"d\":1}\r\n");
    put_end(f);
    assert_non_null(strstr(f->replies, "\nrefused 1 column 6: "));
    assert_non_null(strstr(f->replies, "\nrefused 4 not a JSON object\n"));
    assert_non_null(strstr(f->replies, "\nrefused 5 not a JSON object\n"));
    assert_non_null(strstr(f->replies, "\nrefused 6 column "));
    assert_non_null(strstr(f->replies, "\nrefused 8 column 8: "));
    assert_non_null(strstr(f->replies, "\naccepted 9 2\ndone 2 5\n"));
    assert_int_equal(f->agent->submitted, 2);
}

static void test_refuses_deep_documents(void **state)
{
    struct fixture *f = *state;
    put(f, "send plc\n{\"a\":[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]}\n");
    put_end(f);
    assert_string_equal(f->replies, GREETING
                        "ready\nrefused 1 nested deeper than 16\naccepted 1 0\ndone 0 1\n");
}

static void put_document(struct fixture *f, size_t count)
{
    char *line = malloc(count + 1);
    assert_true(line != NULL && count >= 8);
    memset(line, 'x', count);
    memcpy(line, "{\"a\":\"", 6);
    memcpy(line + count - 2, "\"}\n", 3);
    put_bytes(f, line, count + 1);
    free(line);
}

static void test_refuses_long_lines_of_any_length(void **state)
{
    struct fixture *f = *state;
    fake_agent_accept(f->agent, 100);
    put(f, "send plc\n");
    put_document(f, DOCUMENT_BYTES);
    put_document(f, DOCUMENT_BYTES + 1);
    put_document(f, DOCUMENT_BYTES + 2);
    put_document(f, 2 * DOCUMENT_BYTES + 1);
    put_document(f, 1 << 20);
    put(f, "{}\n");
    put_end(f);
    assert_int_equal(f->agent->submitted, 2);
    assert_null(strstr(f->replies, "refused 1 "));
    for (int line = 2; line <= 5; line++) {
        char expected[64];
        snprintf(expected, sizeof(expected), "\nrefused %d longer than 100 bytes\n", line);
        assert_non_null(strstr(f->replies, expected));
    }
    assert_non_null(strstr(f->replies, "\ndone 2 4\n"));
}

static void test_tells_what_the_agent_refuses(void **state)
{
    struct fixture *f = *state;
    f->agent->refuse_text = "bad";
    f->agent->refuse_code = E_REFUSED;
    fake_agent_accept(f->agent, 100);
    put(f, "send plc\n{}\n{\"bad\":1}\n");
    f->agent->refuse_code = E_NOT_FOUND;
    put(f, "{\"bad\":2}\n");
    f->agent->refuse_code = E_TOO_BIG;
    put(f, "{\"bad\":3}\n");
    f->agent->refuse_code = E_UNSUPPORTED;
    put(f, "{\"bad\":4}\n");
    f->agent->refuse_code = E_BUSY;
    put(f, "{\"bad\":5}\n");
    put_end(f);
    assert_non_null(strstr(f->replies, "\nrefused 2 the lane is full"));
    assert_non_null(strstr(f->replies, "\nrefused 3 no such sensor or lane\n"));
    assert_non_null(strstr(f->replies, "\nrefused 4 larger than the limit\n"));
    assert_non_null(strstr(f->replies, "\nrefused 5 no route carries this lane"));
    assert_non_null(strstr(f->replies, "\nrefused 6 too many names"));
    assert_non_null(strstr(f->replies, "\ndone 1 5\n"));
}

/* The same bytes, cut in two at every place, have the same outcome. */
static void test_lines_may_be_split_anywhere(void **state)
{
    static const char input[] = "send plc bulk\n{\"n\":1}\n\n{\"n\":\"\xc3\xa4\"}\r\n{]\n{\"n\":3}";
    struct fixture *f = *state;
    for (size_t cut = 0; cut <= strlen(input); cut++) {
        fake_agent_free(f->agent);
        f->agent = fake_agent_new();
        f->options.context = f->agent;
        fake_agent_accept(f->agent, 100);
        put_bytes(f, input, cut);
        put_bytes(f, input + cut, strlen(input) - cut);
        put_end(f);
        assert_int_equal(f->agent->submitted, 3);
        assert_string_equal(f->agent->documents[1], "{\"n\":\"\xc3\xa4\"}");
        assert_string_equal(f->agent->documents[2], "{\"n\":3}");
        assert_non_null(strstr(f->replies, "\nrefused 4 column 2: "));
        assert_non_null(strstr(f->replies, "\naccepted 5 3\ndone 3 1\n"));
        close(f->peer_fd);
        connect_peer(f);
    }
}

static void test_offers_a_document_again_until_there_is_room(void **state)
{
    struct fixture *f = *state;
    fake_agent_accept(f->agent, 100);
    fake_agent_set_room(f->agent, 1);
    put(f, "send plc\n{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
    assert_int_equal(f->agent->submitted, 1);
    assert_int_equal(session_events(&f->session), 0);
    uint64_t asked = f->agent->asked;
    run(f);
    assert_int_equal(f->agent->asked, asked); /* not before its time */
    assert_true(session_deadline_ms(&f->session) > f->now_ms);
    f->now_ms = session_deadline_ms(&f->session);
    fake_agent_set_room(f->agent, 100);
    run(f);
    assert_int_equal(f->agent->submitted, 3);
    put_end(f);
    assert_non_null(strstr(f->replies, "\ndone 3 0\n"));
}

static void test_stops_reading_at_the_limit_in_flight(void **state)
{
    struct fixture *f = *state;
    put(f, "send plc\n");
    for (int i = 0; i < CONFIG_CONTROL_IN_FLIGHT - 1; i++)
        put(f, "{}\n");
    send(f->peer_fd, "{}\n{}\n", 6, 0);
    run(f);
    assert_int_equal(f->agent->submitted, CONFIG_CONTROL_IN_FLIGHT);
    assert_int_equal(session_events(&f->session), 0);
    fake_agent_accept(f->agent, 1);
    run(f);
    assert_int_equal(f->agent->submitted, CONFIG_CONTROL_IN_FLIGHT + 1);
    fake_agent_accept(f->agent, CONFIG_CONTROL_IN_FLIGHT + 1);
    put_end(f);
    assert_false(session_is_open(&f->session));
}

static void test_stops_reading_when_replies_are_not_read(void **state)
{
    struct fixture *f = *state;
    int bytes = 4096;
    setsockopt(f->session.fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    put(f, "send plc\n");
    uint64_t before = 0;
    do {
        before = f->session.line;
        while (send(f->peer_fd, "[]\n", 3, MSG_DONTWAIT) == 3)
            ;
        for (int i = 0; i < 1000 && session_events(&f->session) != POLLOUT; i++)
            session_continue(&f->session, POLLIN | POLLOUT, true, f->now_ms);
    } while (f->session.line > before);
    assert_int_equal(session_events(&f->session), POLLOUT);
    f->now_ms = session_deadline_ms(&f->session);
    assert_int_equal(f->now_ms, 1000 + 30000);
    session_continue(&f->session, 0, true, f->now_ms);
    assert_false(session_is_open(&f->session));
}

static void test_a_sender_that_goes_away_is_forgotten(void **state)
{
    struct fixture *f = *state;
    put(f, "send plc\n{\"n\":1}\n{\"n\":2}\n{\"n\"");
    close(f->peer_fd);
    f->peer_fd = -1;
    run(f);
    assert_false(session_is_open(&f->session));
    assert_int_equal(f->agent->submitted, 2);
    assert_int_equal(f->agent->forgotten, 1);
}

static void test_a_command_has_to_come_in_time(void **state)
{
    struct fixture *f = *state;
    put(f, "stat");
    f->now_ms = session_deadline_ms(&f->session);
    assert_int_equal(f->now_ms, 1000 + 5000);
    run(f);
    assert_string_equal(f->replies, GREETING "error too slow\n");
    assert_false(session_is_open(&f->session));
}

static void test_a_line_has_to_end_in_time_but_a_pause_may_last(void **state)
{
    struct fixture *f = *state;
    put(f, "send plc\n{}\n");
    assert_true(session_deadline_ms(&f->session) == INT64_MAX);
    f->now_ms = INT64_C(100) * 86400 * 1000;
    put(f, "{\"n\":");
    f->now_ms += 29999;
    run(f);
    assert_true(session_is_open(&f->session));
    f->now_ms += 1;
    run(f);
    assert_false(session_is_open(&f->session));
    assert_non_null(strstr(f->replies, "\nerror too slow\n"));
}

static void test_at_the_stop_only_what_was_taken_is_reported(void **state)
{
    struct fixture *f = *state;
    fake_agent_set_room(f->agent, 1);
    put(f, "send plc\n{\"n\":1}\n{\"n\":2}\n");
    session_stop_input(&f->session, f->now_ms);
    fake_agent_set_room(f->agent, 100);
    f->now_ms += 1000;
    run(f);
    assert_int_equal(f->agent->submitted, 1);
    assert_true(session_is_open(&f->session));
    fake_agent_accept(f->agent, 1);
    run(f);
    assert_string_equal(f->replies, GREETING "ready\naccepted 1 1\nerror the agent is stopping\n");
    assert_false(session_is_open(&f->session));
}

static void test_answers_in_parts(void **state)
{
    struct fixture *f = *state;
    f->agent->parts = 3;
    f->agent->part_bytes = 2;
    put(f, "spool export bulk\n");
    assert_string_equal(f->agent->request, "export bulk");
    assert_string_equal(f->replies, GREETING "part 2\naapart 2\nbbpart 2\nccend 3 3\n");
    assert_false(session_is_open(&f->session));
}

static void test_grows_for_a_part_that_does_not_fit(void **state)
{
    struct fixture *f = *state;
    f->agent->parts = 2;
    f->agent->part_bytes = 100000;
    put(f, "spool export\n");
    assert_int_equal(f->replies_bytes,
                     strlen(GREETING "part 100000\npart 100000\nend 2 3\n") + 200000);
}

static void test_gives_up_on_a_part_beyond_all_bounds(void **state)
{
    struct fixture *f = *state;
    f->agent->parts = 1;
    f->agent->part_bytes = 5 * 1024 * 1024;
    put(f, "spool export\n");
    assert_int_equal(strncmp(f->replies, GREETING "error ", strlen(GREETING "error ")), 0);
    assert_false(session_is_open(&f->session));
}

/* Without a busy loop: until then it waits for nothing but the other side's end. */
static void test_asks_for_a_part_again_a_little_later(void **state)
{
    struct fixture *f = *state;
    f->agent->parts = 1;
    f->agent->part_bytes = 1;
    f->agent->part_waits = 2;
    put(f, "spool dead purge *\n");
    assert_string_equal(f->replies, GREETING);
    assert_int_equal(f->agent->part_waits, 1);
    assert_int_equal(session_events(&f->session), 0);
    assert_in_range(session_deadline_ms(&f->session), f->now_ms + 1, f->now_ms + 100);
    f->now_ms = session_deadline_ms(&f->session);
    run(f);
    assert_int_equal(f->agent->part_waits, 0);
    assert_string_equal(f->replies, GREETING);
    f->now_ms = session_deadline_ms(&f->session);
    run(f);
    assert_string_equal(f->replies, GREETING "part 1\naend 1 3\n");
}

static void test_at_the_stop_nothing_waits_for_a_part(void **state)
{
    struct fixture *f = *state;
    f->agent->part_waits = UINT_MAX;
    put(f, "spool dead purge *\n");
    session_stop_input(&f->session, f->now_ms);
    assert_true(session_deadline_ms(&f->session) > f->now_ms);
    run(f);
    assert_string_equal(f->replies, GREETING "error the agent is stopping\n");
    assert_false(session_is_open(&f->session));
}

static void test_says_that_an_answer_in_parts_broke_off(void **state)
{
    struct fixture *f = *state;
    f->agent->parts = 1;
    f->agent->part_bytes = 1;
    f->agent->part_error = E_DAMAGED;
    put(f, "spool check\n");
    char expected[200];
    snprintf(expected, sizeof(expected), GREETING "part 1\naerror %s\n", ERROR_TEXT(E_DAMAGED));
    assert_string_equal(f->replies, expected);
    assert_false(session_is_open(&f->session));
}

static void test_only_root_and_the_own_user_change_something(void **state)
{
    static const char *const requests[] = {"spool dead purge *\n", "spool dead resend live/1\n",
                                           "spool dead list *\n", "spool show\n"};
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        stranger = geteuid() + 1;
        put(f, requests[i]);
        stranger = 0;
        const char *refused = strstr(f->replies, "error only root and the agent's own user");
        assert_true((refused != NULL) == (i < 2));
        close(f->peer_fd);
        connect_peer(f);
    }
}

static void test_tells_of_sensors_and_lets_go_of_them(void **state)
{
    struct fixture *f = *state;
    f->agent->parts = 1;
    f->agent->part_bytes = 4;
    f->agent->part_waits = 1;
    put(f, "sensor read meter 500\n");
    assert_string_equal(f->agent->request, "read meter 500");
    assert_null(strstr(f->replies, "part"));
    f->now_ms += 1000;
    run(f);
    assert_non_null(strstr(f->replies, "\npart 4\naaaaend 0 0\n"));
    assert_int_equal(fake_agent_forgotten(f->agent), 1);
}

static void test_lets_go_of_a_sensor_when_nobody_waits_any_more(void **state)
{
    struct fixture *f = *state;
    f->agent->part_waits = 1000;
    put(f, "sensor read meter 500\n");
    assert_int_equal(fake_agent_forgotten(f->agent), 0);
    close(f->peer_fd);
    f->peer_fd = -1;
    run(f);
    assert_false(session_is_open(&f->session));
    assert_int_equal(fake_agent_forgotten(f->agent), 1);
    connect_peer(f);
    put(f, "sensor read meter 500\n");
    session_stop_input(&f->session, f->now_ms);
    run(f);
    assert_non_null(strstr(f->replies, "error the agent is stopping\n"));
    assert_int_equal(fake_agent_forgotten(f->agent), 2);
}

static void test_refuses_other_requests_for_sensors(void **state)
{
    static const char *const rows[][2] = {{"sensor none\n", "error there is no such sensor\n"},
                                          {"sensor busy\n", "error its bus is being asked"},
                                          {"sensor bad\n", "error usage: sensor list"},
                                          {"sensor full\n", "error out of memory\n"},
                                          {"sensor\n", "error unknown command\n"}};
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        put(f, rows[i][0]);
        assert_non_null(strstr(f->replies, rows[i][1]));
        close(f->peer_fd);
        connect_peer(f);
    }
    assert_int_equal(fake_agent_forgotten(f->agent), 0);
}

static void test_refuses_other_requests_for_the_spool(void **state)
{
    struct fixture *f = *state;
    put(f, "spool lane\n");
    assert_string_equal(f->replies, GREETING "error there is no such lane\n");
    close(f->peer_fd);
    connect_peer(f);
    put(f, "spool bad\n");
    assert_non_null(strstr(f->replies, "\nerror usage: spool show"));
}

/* Fills the socket and stops reading; the session makes no more than one part that waits. */
static void stall(struct fixture *f)
{
    f->agent->parts = 10000;
    f->agent->part_bytes = 10000;
    assert_int_equal(send(f->peer_fd, "spool export\n", 13, 0), 13);
    for (int i = 0; i < 1000; i++)
        session_continue(&f->session, i == 0 ? POLLIN : 0, true, f->now_ms);
    assert_true(session_is_open(&f->session));
    assert_in_range(f->agent->parts_given, 1, 500);
}

static void test_an_answer_in_parts_waits_for_its_reader(void **state)
{
    struct fixture *f = *state;
    stall(f);
    unsigned given = f->agent->parts_given;
    f->now_ms += 29000;
    session_continue(&f->session, 0, true, f->now_ms);
    assert_int_equal(f->agent->parts_given, given);
    read_replies(f);
    session_continue(&f->session, POLLOUT, true, f->now_ms);
    session_continue(&f->session, POLLOUT, true, f->now_ms);
    assert_true(f->agent->parts_given > given);
    f->now_ms += 29000;
    session_continue(&f->session, 0, true, f->now_ms);
    assert_true(session_is_open(&f->session));
}

/* Nothing may be said inside a part: the client would take it for the part's bytes. */
static void test_a_reader_that_stands_still_is_cut_off_within_a_part(void **state)
{
    struct fixture *f = *state;
    stall(f);
    f->now_ms += 31000;
    session_continue(&f->session, 0, true, f->now_ms);
    assert_false(session_is_open(&f->session));
    read_replies(f);
    assert_null(strstr(f->replies, "error"));
}

static void test_at_the_stop_an_answer_in_parts_ends_without_its_end(void **state)
{
    struct fixture *f = *state;
    stall(f);
    session_stop_input(&f->session, f->now_ms);
    assert_false(session_is_open(&f->session));
    read_replies(f);
    assert_null(strstr(f->replies, "error"));
    assert_null(strstr(f->replies, "end "));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_greets_and_answers_status),
        TEST(test_answers_status_as_text),
        TEST(test_answers_a_status_larger_than_any_buffer),
        TEST(test_takes_a_command_in_pieces),
        TEST(test_refuses_other_commands),
        TEST(test_refuses_an_endless_command),
        TEST(test_ends_without_a_command),
        TEST(test_reports_what_is_accepted),
        TEST(test_reports_in_order_only),
        TEST(test_says_which_line_is_refused_and_why),
        TEST(test_refuses_deep_documents),
        TEST(test_refuses_long_lines_of_any_length),
        TEST(test_tells_what_the_agent_refuses),
        TEST(test_lines_may_be_split_anywhere),
        TEST(test_offers_a_document_again_until_there_is_room),
        TEST(test_stops_reading_at_the_limit_in_flight),
        TEST(test_stops_reading_when_replies_are_not_read),
        TEST(test_a_sender_that_goes_away_is_forgotten),
        TEST(test_a_command_has_to_come_in_time),
        TEST(test_a_line_has_to_end_in_time_but_a_pause_may_last),
        TEST(test_at_the_stop_only_what_was_taken_is_reported),
        TEST(test_answers_in_parts),
        TEST(test_grows_for_a_part_that_does_not_fit),
        TEST(test_gives_up_on_a_part_beyond_all_bounds),
        TEST(test_asks_for_a_part_again_a_little_later),
        TEST(test_at_the_stop_nothing_waits_for_a_part),
        TEST(test_says_that_an_answer_in_parts_broke_off),
        TEST(test_only_root_and_the_own_user_change_something),
        TEST(test_refuses_other_requests_for_the_spool),
        TEST(test_tells_of_sensors_and_lets_go_of_them),
        TEST(test_lets_go_of_a_sensor_when_nobody_waits_any_more),
        TEST(test_refuses_other_requests_for_sensors),
        TEST(test_an_answer_in_parts_waits_for_its_reader),
        TEST(test_a_reader_that_stands_still_is_cut_off_within_a_part),
        TEST(test_at_the_stop_an_answer_in_parts_ends_without_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
