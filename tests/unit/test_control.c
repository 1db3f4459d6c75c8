/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/control/control.h"
#include "agent/control/control_client.h"
#include "platform/base/error.h"
#include "platform/clock.h"
#include "platform/thread.h"
#include "tests/unit/fake_agent.h"

/* Long enough never to pass on a machine that works: no test waits for it. */
enum { LONG_MS = 60000, CONNECTIONS = CONFIG_CONTROL_CONNECTIONS };

struct fixture {
    struct fake_agent *agent;
    struct control *control;
    struct stop stop;
    char directory[64];
    char path[96];
    char fault[CONTROL_FAULT_BYTES];
};

static int64_t soon(void)
{
    return clock_mono_ms() + LONG_MS;
}

static int open_control(struct fixture *f, struct control **ret_control)
{
    const struct control_options options = {.path = f->path,
                                            .document_bytes_max = 1000,
                                            .operations = &fake_agent_operations,
                                            .context = f->agent,
                                            .stop = &f->stop};
    return control_open(&options, f->fault, ret_control);
}

static int setup_directory(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    snprintf(f->directory, sizeof(f->directory), "/tmp/runnel-control-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    snprintf(f->path, sizeof(f->path), "%s/control.sock", f->directory);
    assert_int_equal(stop_open(&f->stop), 0);
    f->agent = fake_agent_new();
    *state = f;
    return 0;
}

static int setup(void **state)
{
    setup_directory(state);
    struct fixture *f = *state;
    assert_int_equal(open_control(f, &f->control), 0);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(control_close(f->control, soon()), 0);
    stop_close(&f->stop);
    fake_agent_free(f->agent);
    (void)unlink(f->path);
    assert_int_equal(rmdir(f->directory), 0);
    free(f);
    return 0;
}

/* ---- the socket ---- */

static void test_the_socket_is_for_owner_and_group(void **state)
{
    struct fixture *f = *state;
    struct stat entry;
    assert_int_equal(lstat(f->path, &entry), 0);
    assert_true(S_ISSOCK(entry.st_mode));
    assert_int_equal(entry.st_mode & 07777, 0660);
    assert_int_equal(control_close(f->control, soon()), 0);
    f->control = NULL;
    assert_int_equal(lstat(f->path, &entry), -1);
}

static void test_a_second_agent_is_turned_away(void **state)
{
    struct fixture *f = *state;
    struct control *second = NULL;
    assert_int_equal(open_control(f, &second), E_BUSY);
    assert_null(second);
    assert_non_null(strstr(f->fault, f->path));
    assert_non_null(strstr(f->fault, "an agent answers there"));
    assert_int_equal(access(f->path, F_OK), 0);
}

static void test_a_stale_socket_is_replaced(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", f->path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    close(fd);
    assert_int_equal(open_control(f, &f->control), 0);
}

static void test_a_file_that_is_no_socket_stays(void **state)
{
    struct fixture *f = *state;
    close(open(f->path, O_CREAT | O_WRONLY, 0600));
    assert_int_equal(open_control(f, &f->control), E_EXISTS);
    assert_int_equal(access(f->path, F_OK), 0);
}

static void test_the_directory_is_made_and_a_long_path_refused(void **state)
{
    struct fixture *f = *state;
    char made[80];
    snprintf(made, sizeof(made), "%s/made", f->directory);
    snprintf(f->path, sizeof(f->path), "%s/control.sock", made);
    assert_int_equal(open_control(f, &f->control), 0);
    assert_int_equal(control_close(f->control, soon()), 0);
    f->control = NULL;
    assert_int_equal(rmdir(made), 0);

    char long_path[200];
    memset(long_path, 'x', sizeof(long_path) - 1);
    long_path[sizeof(long_path) - 1] = '\0';
    const struct control_options options = {.path = long_path, .stop = &f->stop};
    assert_int_equal(control_open(&options, f->fault, &f->control), E_TOO_BIG);
    struct control_client client;
    assert_int_equal(control_client_open(long_path, 0, &client), E_TOO_BIG);
}

static void test_path_follows_the_environment(void **state)
{
    (void)state;
    char path[CONTROL_PATH_BYTES];
    unsetenv("RUNNEL_SOCKET");
    unsetenv("RUNTIME_DIRECTORY");
    assert_int_equal(control_path(path), 0);
    assert_string_equal(path, "/run/runnel/control.sock");
    setenv("RUNTIME_DIRECTORY", "/run/one:/run/two", 1);
    assert_int_equal(control_path(path), 0);
    assert_string_equal(path, "/run/one/control.sock");
    setenv("RUNNEL_SOCKET", "/tmp/x.sock", 1);
    assert_int_equal(control_path(path), 0);
    assert_string_equal(path, "/tmp/x.sock");
    char long_path[200] = {0};
    memset(long_path, 'x', sizeof(long_path) - 1);
    setenv("RUNNEL_SOCKET", long_path, 1);
    assert_int_equal(control_path(path), E_TOO_BIG);
    unsetenv("RUNNEL_SOCKET");
    unsetenv("RUNTIME_DIRECTORY");
}

/* ---- status ---- */

static void test_status_comes_whole(void **state)
{
    struct fixture *f = *state;
    char *text;
    size_t count;
    f->agent->status_bytes = 500000;
    assert_int_equal(control_client_status(f->path, false, soon(), &text, &count), 0);
    assert_int_equal(count, 500011);
    assert_int_equal(strlen(text), count);
    free(text);
    assert_int_equal(control_client_status(f->path, true, soon(), &text, &count), 0);
    assert_string_equal(text, "all is well\n");
    free(text);
}

static void test_no_agent_is_said_at_once(void **state)
{
    struct fixture *f = *state;
    char *text;
    size_t count;
    assert_int_equal(control_client_status(f->path, false, 0, &text, &count), E_NOT_FOUND);
}

static void test_connections_are_bounded(void **state)
{
    struct fixture *f = *state;
    struct control_client clients[CONNECTIONS];
    struct control_client another;
    for (size_t i = 0; i < CONNECTIONS; i++)
        assert_int_equal(control_client_open(f->path, soon(), &clients[i]), 0);
    assert_int_equal(control_client_open(f->path, soon(), &another), E_REFUSED);
    for (size_t i = 0; i < CONNECTIONS; i++)
        control_client_close(&clients[i]);
}

/* ---- an answer in parts ---- */

struct answer {
    uint64_t bytes;
    uint64_t error_after; /* bytes; 0: none */
    char last;
};

static int take_answer(void *context, const void *bytes, size_t count)
{
    struct answer *answer = context;
    answer->bytes += count;
    answer->last = ((const char *)bytes)[count - 1];
    return answer->error_after > 0 && answer->bytes >= answer->error_after ? E_FULL : 0;
}

static int ask_spool(struct fixture *f, struct answer *answer, struct control_spooled *ret_spooled)
{
    struct control_client client;
    const struct control_spool spool = {
        .request = "export", .answer_ms = LONG_MS, .write = take_answer, .context = answer};
    int result = control_client_open(f->path, soon(), &client);
    assert_int_equal(result, 0);
    result = control_client_spool(&client, &spool, ret_spooled);
    control_client_close(&client);
    return result;
}

static void test_an_answer_in_parts_comes_whole(void **state)
{
    struct fixture *f = *state;
    struct answer answer = {0};
    struct control_spooled spooled;
    f->agent->parts = 200;
    f->agent->part_bytes = 12345;
    assert_int_equal(ask_spool(f, &answer, &spooled), 0);
    assert_int_equal(answer.bytes, 200 * 12345);
    assert_int_equal(answer.last, 'a' + 199 % 26);
    assert_int_equal(spooled.records, 200);
    assert_int_equal(spooled.damaged, 3);
}

static void test_an_answer_that_breaks_off_is_told_from_a_whole_one(void **state)
{
    struct fixture *f = *state;
    struct answer answer = {0};
    struct control_spooled spooled;
    f->agent->parts = 2;
    f->agent->part_bytes = 1000;
    f->agent->part_error = E_DAMAGED;
    assert_int_equal(ask_spool(f, &answer, &spooled), E_REFUSED);
    assert_int_equal(answer.bytes, 2000);
    assert_string_equal(spooled.reason, ERROR_TEXT(E_DAMAGED));
    answer = (struct answer){.error_after = 1000};
    assert_int_equal(ask_spool(f, &answer, &spooled), E_FULL);
    assert_in_range(answer.bytes, 1000, 1999);
}

/* Half an answer is not read and never goes on: another connection is served all the same. */
static void test_a_slow_reader_delays_nobody(void **state)
{
    struct fixture *f = *state;
    struct control_client slow;
    struct answer answer = {0};
    struct control_spooled spooled;
    f->agent->parts = 1000000;
    f->agent->part_bytes = 10000;
    assert_int_equal(control_client_open(f->path, soon(), &slow), 0);
    assert_int_equal(write(slow.fd, "spool export\n", 13), 13);
    struct pollfd poll_slow = {.fd = slow.fd, .events = POLLIN};
    assert_int_equal(poll(&poll_slow, 1, LONG_MS), 1);
    answer.error_after = 1;
    assert_int_equal(ask_spool(f, &answer, &spooled), E_FULL);
    char *status;
    size_t count;
    assert_int_equal(control_client_status(f->path, false, soon(), &status, &count), 0);
    free(status);
    control_client_close(&slow);
}

/* ---- send ---- */

struct sending {
    struct fixture *fixture;
    struct thread thread;
    int input[2];
    int result;
    struct control_sent sent;
    unsigned refused;
    uint64_t refused_line;
    char reason[100];
};

static void note_refusal(void *context, uint64_t line, const char *reason)
{
    struct sending *sending = context;
    sending->refused++;
    sending->refused_line = line;
    snprintf(sending->reason, sizeof(sending->reason), "%s", reason);
}

static void run_send(void *context)
{
    struct sending *sending = context;
    struct control_client client;
    const struct control_send send = {.sensor = "plc",
                                      .lane = "bulk",
                                      .input_fd = sending->input[0],
                                      .answer_ms = LONG_MS,
                                      .refused = note_refusal,
                                      .context = sending};
    sending->result = control_client_open(sending->fixture->path, soon(), &client);
    if (sending->result < 0)
        return;
    sending->result = control_client_send(&client, &send, &sending->sent);
    control_client_close(&client);
}

static void start_send(struct fixture *f, struct sending *sending)
{
    *sending = (struct sending){.fixture = f};
    assert_int_equal(pipe2(sending->input, O_CLOEXEC), 0);
    assert_int_equal(thread_start(&sending->thread, "send", run_send, sending), 0);
}

static void put(const struct sending *sending, const char *text)
{
    size_t count = strlen(text);
    assert_int_equal(write(sending->input[1], text, count), count);
}

static void put_end(struct sending *sending)
{
    close(sending->input[1]);
    sending->input[1] = -1;
}

static void finish_send(struct sending *sending)
{
    if (sending->input[1] >= 0)
        close(sending->input[1]);
    assert_int_equal(thread_join(&sending->thread, soon()), 0);
    close(sending->input[0]);
}

/* Waits without end for what has to come; the test runner's time limit ends a failure. */
static void wait_submitted(struct fixture *f, uint64_t count)
{
    while (fake_agent_submitted(f->agent) < count)
        poll(NULL, 0, 1);
}

static void test_send_returns_when_all_is_accepted(void **state)
{
    struct fixture *f = *state;
    struct sending sending;
    start_send(f, &sending);
    put(&sending, "{\"n\":1}\n{\"n\":2}\n{\"n\":3}");
    put_end(&sending);
    wait_submitted(f, 3);
    fake_agent_accept(f->agent, 2);
    assert_int_equal(thread_join(&sending.thread, clock_mono_ms() + 50), E_TIMEOUT);
    fake_agent_accept(f->agent, 3);
    finish_send(&sending);
    assert_int_equal(sending.result, 0);
    assert_int_equal(sending.sent.lines, 3);
    assert_int_equal(sending.sent.accepted, 3);
    assert_string_equal(f->agent->sensor, "plc");
    assert_string_equal(f->agent->lane, "bulk");
    assert_string_equal(f->agent->documents[2], "{\"n\":3}");
}

static void test_send_streams_while_it_reads(void **state)
{
    struct fixture *f = *state;
    struct sending sending;
    fake_agent_accept(f->agent, 100);
    start_send(f, &sending);
    put(&sending, "{\"n\":1}\n{\"n\"");
    wait_submitted(f, 1);
    put(&sending, ":2}\n");
    wait_submitted(f, 2);
    finish_send(&sending);
    assert_int_equal(sending.result, 0);
    assert_int_equal(sending.sent.accepted, 2);
}

static void test_send_of_nothing(void **state)
{
    struct fixture *f = *state;
    struct sending sending;
    start_send(f, &sending);
    finish_send(&sending);
    assert_int_equal(sending.result, 0);
    assert_int_equal(sending.sent.lines, 0);
}

static void test_send_reports_refused_lines(void **state)
{
    struct fixture *f = *state;
    struct sending sending;
    fake_agent_accept(f->agent, 100);
    start_send(f, &sending);
    put(&sending, "{\"n\":1}\nnonsense\n{\"n\":3}\n");
    finish_send(&sending);
    assert_int_equal(sending.result, 0);
    assert_int_equal(sending.sent.accepted, 2);
    assert_int_equal(sending.sent.refused, 1);
    assert_int_equal(sending.refused, 1);
    assert_int_equal(sending.refused_line, 2);
    assert_non_null(strstr(sending.reason, "column 2: "));
}

static void put_many(struct sending *sending, unsigned count)
{
    char line[64];
    for (unsigned i = 1; i <= count; i++) {
        snprintf(line, sizeof(line), "{\"n\":%u}\n", i);
        put(sending, line);
    }
}

static void test_send_of_more_than_fits_in_flight(void **state)
{
    enum { MANY = 3 * CONFIG_CONTROL_IN_FLIGHT + 7 };
    struct fixture *f = *state;
    struct sending sending;
    start_send(f, &sending);
    put_many(&sending, MANY);
    put_end(&sending);
    for (uint64_t accepted = 0; accepted < MANY;) {
        uint64_t submitted = fake_agent_submitted(f->agent);
        assert_true(submitted <= accepted + CONFIG_CONTROL_IN_FLIGHT);
        if (submitted > accepted)
            fake_agent_accept(f->agent, accepted = submitted);
        poll(NULL, 0, 1);
    }
    finish_send(&sending);
    assert_int_equal(sending.result, 0);
    assert_int_equal(sending.sent.accepted, MANY);
    char last[FAKE_TEXT_BYTES];
    snprintf(last, sizeof(last), "{\"n\":%u}", (unsigned)MANY);
    assert_string_equal(f->agent->documents[MANY - 1], last);
}

static void test_send_waits_for_room(void **state)
{
    struct fixture *f = *state;
    struct sending sending;
    fake_agent_accept(f->agent, 1000);
    fake_agent_set_room(f->agent, 2);
    start_send(f, &sending);
    put_many(&sending, 10);
    put_end(&sending);
    wait_submitted(f, 2);
    fake_agent_set_room(f->agent, 1000);
    finish_send(&sending);
    assert_int_equal(sending.result, 0);
    assert_int_equal(sending.sent.accepted, 10);
}

static void test_send_waits_for_the_agent(void **state)
{
    struct fixture *f = *state;
    struct sending sending;
    fake_agent_accept(f->agent, 100);
    start_send(f, &sending);
    put(&sending, "{}\n");
    put_end(&sending);
    assert_int_equal(thread_join(&sending.thread, clock_mono_ms() + 50), E_TIMEOUT);
    assert_int_equal(open_control(f, &f->control), 0);
    finish_send(&sending);
    assert_int_equal(sending.result, 0);
    assert_int_equal(sending.sent.accepted, 1);
}

static void test_one_sender_does_not_stop_the_others(void **state)
{
    struct fixture *f = *state;
    struct sending stuck;
    char *text;
    size_t count;
    fake_agent_set_room(f->agent, 0);
    start_send(f, &stuck);
    put(&stuck, "{}\n");
    assert_int_equal(control_client_status(f->path, true, soon(), &text, &count), 0);
    free(text);
    fake_agent_set_room(f->agent, 10);
    wait_submitted(f, 1);
    fake_agent_accept(f->agent, 10);
    finish_send(&stuck);
    assert_int_equal(stuck.result, 0);
}

static void test_senders_leave_connections_to_status(void **state)
{
    struct fixture *f = *state;
    struct sending senders[CONNECTIONS * 3 / 4];
    struct sending another;
    char *text;
    size_t count;
    for (size_t i = 0; i < CONNECTIONS * 3 / 4; i++) {
        start_send(f, &senders[i]);
        put(&senders[i], "{}\n");
    }
    wait_submitted(f, CONNECTIONS * 3 / 4);
    start_send(f, &another);
    put(&another, "{}\n");
    finish_send(&another);
    assert_int_equal(another.result, E_REFUSED);
    assert_non_null(strstr(another.sent.reason, "too many senders"));
    assert_int_equal(control_client_status(f->path, true, soon(), &text, &count), 0);
    free(text);
    fake_agent_accept(f->agent, 1000);
    for (size_t i = 0; i < CONNECTIONS * 3 / 4; i++) {
        finish_send(&senders[i]);
        assert_int_equal(senders[i].result, 0);
    }
}

static void test_the_stop_is_reported_after_the_last_acceptance(void **state)
{
    struct fixture *f = *state;
    struct sending sending;
    start_send(f, &sending);
    put(&sending, "{\"n\":1}\n{\"n\":2}\n");
    wait_submitted(f, 2);
    stop_request(&f->stop);
    assert_int_equal(thread_join(&sending.thread, clock_mono_ms() + 50), E_TIMEOUT);
    fake_agent_accept(f->agent, 2);
    finish_send(&sending);
    assert_int_equal(sending.result, E_REFUSED);
    assert_string_equal(sending.sent.reason, "the agent is stopping");
    assert_int_equal(sending.sent.accepted, 2);
}

static void test_closing_reports_once_more(void **state)
{
    struct fixture *f = *state;
    struct sending sending;
    start_send(f, &sending);
    put(&sending, "{\"n\":1}\n{\"n\":2}\n");
    wait_submitted(f, 2);
    stop_request(&f->stop);
    fake_agent_accept_quietly(f->agent, 1);
    assert_int_equal(control_close(f->control, soon()), 0);
    f->control = NULL;
    finish_send(&sending);
    assert_int_equal(sending.result, E_CLOSED);
    assert_int_equal(sending.sent.accepted, 1);
    assert_int_equal(sending.sent.settled, 1);
    assert_int_equal(fake_agent_forgotten(f->agent), 1);
}

/* ---- the client against servers that misbehave ---- */

struct foreign {
    int listen_fd;
    const char *says;
    struct thread thread;
};

static void run_foreign(void *context)
{
    struct foreign *foreign = context;
    int fd = accept4(foreign->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    send(fd, foreign->says, strlen(foreign->says), MSG_NOSIGNAL);
    shutdown(fd, SHUT_WR);
    char ignored[256];
    while (recv(fd, ignored, sizeof(ignored), 0) > 0)
        ;
    close(fd);
}

static void start_foreign(struct fixture *f, struct foreign *foreign, const char *says)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", f->path);
    foreign->says = says;
    foreign->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(foreign->listen_fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(foreign->listen_fd, 1), 0);
    assert_int_equal(thread_start(&foreign->thread, "foreign", run_foreign, foreign), 0);
}

static void finish_foreign(struct fixture *f, struct foreign *foreign)
{
    assert_int_equal(thread_join(&foreign->thread, soon()), 0);
    close(foreign->listen_fd);
    unlink(f->path);
}

#define GREETING "runnel-control 1\n"

static void test_client_survives_bad_status(void **state)
{
    static const struct {
        const char *says;
        int result;
    } cases[] = {
        {"", E_CLOSED},
        {"runnel-control 2\n", E_VERSION},
        {"HTTP/1.1 400 Bad Request\r\n", E_VERSION},
        {"error too many connections\n", E_REFUSED},
        {GREETING, E_CLOSED},
        {GREETING "error out of memory\n", E_REFUSED},
        {GREETING "bytes 10\n{}", E_CLOSED},
        {GREETING "bytes ten\n{}", E_DAMAGED},
        {GREETING "bytes 99999999999\n{}", E_DAMAGED},
        {GREETING "hello\n", E_DAMAGED},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct foreign foreign;
        char *text;
        size_t count;
        start_foreign(f, &foreign, cases[i].says);
        assert_int_equal(control_client_status(f->path, false, soon(), &text, &count),
                         cases[i].result);
        finish_foreign(f, &foreign);
    }
}

static void test_client_survives_bad_replies(void **state)
{
    static const struct {
        const char *says;
        int result;
        unsigned accepted;
    } cases[] = {
        {GREETING "ready\naccepted 1 1\n", E_CLOSED, 1},
        {GREETING "ready\naccepted 1 1\ndone 1", E_CLOSED, 1},
        {GREETING "ready\naccepted one 1\n", E_DAMAGED, 0},
        {GREETING "ready\naccepted 1\n", E_DAMAGED, 0},
        {GREETING "ready\nrefused\n", E_DAMAGED, 0},
        {GREETING "ready\nnonsense\n", E_DAMAGED, 0},
        {GREETING "error no\n", E_REFUSED, 0},
        {GREETING "ready\ndone 1 0\n", 0, 1},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct foreign foreign;
        struct sending sending;
        start_foreign(f, &foreign, cases[i].says);
        start_send(f, &sending);
        put(&sending, "{}\n");
        finish_send(&sending);
        assert_int_equal(sending.result, cases[i].result);
        assert_int_equal(sending.sent.accepted, cases[i].accepted);
        finish_foreign(f, &foreign);
    }
}

#define TEST(name)       cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_ALONE(name) cmocka_unit_test_setup_teardown(name, setup_directory, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_socket_is_for_owner_and_group),
        TEST(test_a_second_agent_is_turned_away),
        TEST_ALONE(test_a_stale_socket_is_replaced),
        TEST_ALONE(test_a_file_that_is_no_socket_stays),
        TEST_ALONE(test_the_directory_is_made_and_a_long_path_refused),
        cmocka_unit_test(test_path_follows_the_environment),
        TEST(test_status_comes_whole),
        TEST_ALONE(test_no_agent_is_said_at_once),
        TEST(test_connections_are_bounded),
        TEST(test_an_answer_in_parts_comes_whole),
        TEST(test_an_answer_that_breaks_off_is_told_from_a_whole_one),
        TEST(test_a_slow_reader_delays_nobody),
        TEST(test_send_returns_when_all_is_accepted),
        TEST(test_send_streams_while_it_reads),
        TEST(test_send_of_nothing),
        TEST(test_send_reports_refused_lines),
        TEST(test_send_of_more_than_fits_in_flight),
        TEST(test_send_waits_for_room),
        TEST_ALONE(test_send_waits_for_the_agent),
        TEST(test_one_sender_does_not_stop_the_others),
        TEST(test_senders_leave_connections_to_status),
        TEST(test_the_stop_is_reported_after_the_last_acceptance),
        TEST(test_closing_reports_once_more),
        TEST_ALONE(test_client_survives_bad_status),
        TEST_ALONE(test_client_survives_bad_replies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
