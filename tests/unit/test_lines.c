/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "platform/base/error.h"
#include "platform/clock.h"
#include "tests/unit/driver_rig.h"

enum { WAIT_MS = 20000 };

/* What collect does: fetch and read until there is a sample or a reason for none. */
static int take(struct rig *rig)
{
    for (;;) {
        int rc = rig->driver->read(rig->instance, &rig->sample);
        if (rc != E_AGAIN)
            return rc;
        rc = rig->driver->fetch(rig->instance, clock_mono_ms() + 1000);
        if (rc < 0)
            return rc;
    }
}

static void open_at(struct rig *rig, const char *path)
{
    rig_set(rig, NULL, NULL);
    rig_set(rig, "path", path);
    assert_int_equal(rig_open(rig, "lines"), 0);
    assert_int_equal(rig->channel_count, 1);
    assert_string_equal(rig->channels[0].name, "value");
}

static void open_file(struct rig *rig, const char *text)
{
    rig_write(rig, "log", text);
    open_at(rig, rig_path(rig, "log"));
}

static void expect_document(struct rig *rig, const char *text)
{
    int rc = take(rig);
    if (rc < 0 && rc != E_AGAIN && rc != E_END)
        print_message("%s\n", rig->driver->fault(rig->instance));
    assert_int_equal(rc, 0);
    assert_int_equal(rig->sample.value_count, 0);
    assert_non_null(rig->sample.document);
    assert_int_equal(rig->sample.document_bytes, strlen(text));
    assert_memory_equal(rig->sample.document, text, strlen(text));
    assert_int_equal(rig->sample.boot_ms, 0);
}

static void expect_number(struct rig *rig, int64_t mantissa, unsigned decimals)
{
    assert_int_equal(take(rig), 0);
    assert_null(rig->sample.document);
    assert_int_equal(rig->sample.value_count, 1);
    rig_expect(rig, "value", mantissa, decimals, "");
}

static void expect_refused(struct rig *rig, int code, const char *where)
{
    assert_int_equal(take(rig), code);
    const char *fault = rig->driver->fault(rig->instance);
    if (strstr(fault, where) == NULL)
        fail_msg("%s is not in: %s", where, fault);
}

static void wait_for_news(struct rig *rig)
{
    struct pollfd news = {.fd = rig->driver->wait_fd(rig->instance), .events = POLLIN};
    assert_true(news.fd >= 0);
    assert_int_equal(poll(&news, 1, WAIT_MS), 1);
}

static bool has_news(struct rig *rig)
{
    struct pollfd news = {.fd = rig->driver->wait_fd(rig->instance), .events = POLLIN};
    return poll(&news, 1, 0) > 0;
}

/* ---- what a line may be ---- */

static void test_objects_and_numbers_are_taken_as_they_are(void **state)
{
    struct rig *rig = *state;
    open_file(rig, "{\"a\":21.50}\n  {\"b\" : [1, 2e400] }\t\r\n21.50\n-7\n1e3\n\n \r\n{}\n");
    expect_document(rig, "{\"a\":21.50}");
    expect_document(rig, "{\"b\" : [1, 2e400] }");
    expect_number(rig, 2150, 2);
    expect_number(rig, -7, 0);
    expect_number(rig, 1000, 0);
    expect_document(rig, "{}");
    assert_int_equal(take(rig), E_AGAIN);
}

static void test_bad_lines_are_refused_with_their_place(void **state)
{
    struct rig *rig = *state;
    open_file(rig, "{\"a\":1}\n{\"a\":}\nnonsense\n[1]\n\"text\"\n{\"a\":1} {\"b\":2}\n"
                   "99999999999999999999\n{\"x\":\"\xff\"}\nNaN\n0.1234567890123456789\n5\n");
    expect_document(rig, "{\"a\":1}");
    expect_refused(rig, E_SYNTAX, "/log:2:6: a value was expected");
    expect_refused(rig, E_SYNTAX, "/log:3:1: a JSON object or a number");
    expect_refused(rig, E_SYNTAX, "/log:4:1:");
    expect_refused(rig, E_SYNTAX, "/log:5:1:");
    expect_refused(rig, E_SYNTAX, "/log:6:9: something behind the end");
    expect_refused(rig, E_RANGE, "/log:7:1:");
    expect_refused(rig, E_SYNTAX, "/log:8:7: not UTF-8");
    expect_refused(rig, E_SYNTAX, "/log:9:1:");
    expect_refused(rig, E_RANGE, "/log:10:1:");
    expect_number(rig, 5, 0);
}

static void test_deep_objects_are_refused(void **state)
{
    struct rig *rig = *state;
    char text[600] = "";
    for (int i = 0; i < 100; i++)
        (void)strcat(text, "{\"a\":");
    (void)strcat(text, "\n1\n");
    open_file(rig, text);
    expect_refused(rig, E_TOO_BIG, "/log:1:");
    expect_number(rig, 1, 0);
}

static void test_a_line_over_the_limit_is_refused_as_one(void **state)
{
    struct rig *rig = *state;
    char *text = malloc(300000);
    assert_non_null(text);
    memset(text, 'x', 300000);
    (void)strcpy(text + 200000, "\n{\"a\":1}\n");
    open_file(rig, text);
    free(text);
    expect_refused(rig, E_TOO_BIG, "/log:1:");
    expect_document(rig, "{\"a\":1}");
    assert_int_equal(take(rig), E_AGAIN);
}

static void test_numbers_have_the_unit_that_was_set(void **state)
{
    struct rig *rig = *state;
    rig_write(rig, "log", "21.5\n");
    rig_set(rig, "path", rig_path(rig, "log"));
    rig_set(rig, "unit", "Cel");
    assert_int_equal(rig_open(rig, "lines"), 0);
    assert_int_equal(take(rig), 0);
    rig_expect(rig, "value", 215, 1, "Cel");
}

static void test_bad_settings_are_named(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(rig_open(rig, "lines"), E_INVALID);
    assert_non_null(strstr(rig->fault, "path"));
    rig_write(rig, "log", "");
    rig_set(rig, "path", rig_path(rig, "log"));
    rig_set(rig, "baud", "9600");
    assert_int_equal(rig_open(rig, "lines"), E_INVALID);
    assert_non_null(strstr(rig->fault, "no tty"));
    rig_set(rig, NULL, NULL);
    rig_set(rig, "path", rig_path(rig, "log"));
    rig_set(rig, "unit", "celsius");
    assert_int_equal(rig_open(rig, "lines"), E_INVALID);
    rig_set(rig, NULL, NULL);
    rig_set(rig, "path", rig->root);
    assert_int_equal(rig_open(rig, "lines"), E_INVALID);
    assert_non_null(strstr(rig->fault, "neither"));
    assert_int_equal(symlink("/dev/null", rig_path(rig, "null")), 0);
    rig_set(rig, NULL, NULL);
    rig_set(rig, "path", rig_path(rig, "null"));
    assert_int_equal(rig_open(rig, "lines"), E_INVALID); /* it would be at its end for ever */
    assert_non_null(strstr(rig->fault, "null: neither"));
    rig_set(rig, NULL, NULL);
    rig_set(rig, "path", rig_path(rig, "nothing"));
    assert_int_equal(error_errno(rig_open(rig, "lines")), ENOENT);
    assert_non_null(strstr(rig->fault, "/nothing"));
}

/* ---- followed files ---- */

static void test_a_file_is_followed(void **state)
{
    struct rig *rig = *state;
    open_file(rig, "1\n2\n3");
    expect_number(rig, 1, 0);
    expect_number(rig, 2, 0);
    assert_int_equal(take(rig), E_AGAIN);
    rig_append(rig, "log", "4\n", 2);
    wait_for_news(rig);
    expect_number(rig, 34, 0);
    assert_int_equal(take(rig), E_AGAIN);
    assert_false(has_news(rig));
}

static void test_samples_say_where_they_end(void **state)
{
    struct rig *rig = *state;
    struct stat status;
    open_file(rig, "\xef\xbb\xbf"
                   "1\r\n\n22\nx\n4\n");
    assert_int_equal(stat(rig_path(rig, "log"), &status), 0);
    expect_number(rig, 1, 0);
    assert_true(rig->sample.origin.present);
    assert_int_equal(rig->sample.origin.device, status.st_dev);
    assert_int_equal(rig->sample.origin.inode, status.st_ino);
    assert_int_equal(rig->sample.origin.offset, 6);
    expect_number(rig, 22, 0);
    assert_int_equal(rig->sample.origin.offset, 10);
    assert_int_equal(take(rig), E_SYNTAX);
    expect_number(rig, 4, 0);
    assert_int_equal(rig->sample.origin.offset, 14);
}

static void test_a_file_is_resumed_behind_each_line(void **state)
{
    struct rig *rig = *state;
    struct sample_origin origins[4];
    open_file(rig, "1\n2\n3\n4\n");
    for (int i = 0; i < 4; i++) {
        expect_number(rig, i + 1, 0);
        origins[i] = rig->sample.origin;
    }
    for (int i = 0; i < 4; i++) {
        rig->context.resume = origins[i];
        open_at(rig, rig_path(rig, "log"));
        for (int k = i + 1; k < 4; k++)
            expect_number(rig, k + 1, 0);
        assert_int_equal(take(rig), E_AGAIN);
    }
    rig_append(rig, "log", "bad\n", 4);
    expect_refused(rig, E_SYNTAX, "line 1 behind byte 8");
}

static void test_a_file_is_read_from_its_start_where_resume_does_not_fit(void **state)
{
    struct rig *rig = *state;
    open_file(rig, "11\n2\n");
    expect_number(rig, 11, 0);
    struct sample_origin good = rig->sample.origin;
    struct sample_origin bad[] = {good, good, good, good};
    bad[0].device++;
    bad[1].inode++;
    bad[2].offset = 6; /* behind its end */
    bad[3].offset = 1; /* inside a line: the number of the inode was given to another file */
    for (size_t i = 0; i < 4; i++) {
        rig->context.resume = bad[i];
        open_at(rig, rig_path(rig, "log"));
        expect_number(rig, 11, 0);
    }
}

static void test_rotation_by_rename_loses_nothing(void **state)
{
    struct rig *rig = *state;
    open_file(rig, "1\n");
    expect_number(rig, 1, 0);
    assert_int_equal(take(rig), E_AGAIN);
    assert_int_equal(rename(rig_path(rig, "log"), rig_path(rig, "log.1")), 0);
    assert_int_equal(take(rig), E_AGAIN);
    rig_append(rig, "log.1", "2\n", 2); /* the writer has not noticed yet */
    wait_for_news(rig);
    expect_number(rig, 2, 0);
    rig_write(rig, "log", ""); /* made by who rotated */
    assert_int_equal(take(rig), E_AGAIN);
    rig_append(rig, "log.1", "3\n4", 3);
    wait_for_news(rig);
    expect_number(rig, 3, 0);
    assert_int_equal(take(rig), E_AGAIN);
    rig_append(rig, "log", "5\n", 2);
    wait_for_news(rig);
    expect_number(rig, 4, 0); /* the old file is complete now */
    expect_number(rig, 5, 0);
    assert_int_equal(rig->sample.origin.offset, 2);
    assert_int_equal(take(rig), E_AGAIN);
    rig_append(rig, "log", "6\n", 2);
    wait_for_news(rig);
    expect_number(rig, 6, 0);
}

static void test_rotation_while_away_loses_nothing(void **state)
{
    struct rig *rig = *state;
    open_file(rig, "1\n2\n3\n");
    expect_number(rig, 1, 0);
    rig->context.resume = rig->sample.origin;
    rig_close(rig);
    assert_int_equal(rename(rig_path(rig, "log"), rig_path(rig, "log.1")), 0);
    rig_write(rig, "log", "4\n");
    open_at(rig, rig_path(rig, "log"));
    for (int i = 2; i <= 4; i++)
        expect_number(rig, i, 0);
    assert_int_equal(take(rig), E_AGAIN);
}

static void test_a_removed_file_is_read_to_its_end_and_awaited(void **state)
{
    struct rig *rig = *state;
    open_file(rig, "1\n2\n");
    rig_remove(rig, "log");
    expect_number(rig, 1, 0);
    expect_number(rig, 2, 0);
    assert_int_equal(take(rig), E_AGAIN);
    rig_write(rig, "log", "3\n");
    wait_for_news(rig);
    expect_number(rig, 3, 0);
}

static void test_truncation_begins_again(void **state)
{
    struct rig *rig = *state;
    open_file(rig, "1\n2\n333");
    expect_number(rig, 1, 0);
    expect_number(rig, 2, 0);
    assert_int_equal(take(rig), E_AGAIN);
    rig_write(rig, "log", "4\n");
    wait_for_news(rig);
    expect_refused(rig, E_DAMAGED, "/log:3:1: the file was cut");
    expect_number(rig, 4, 0);
    assert_int_equal(rig->sample.origin.offset, 2);
    assert_int_equal(take(rig), E_AGAIN);
}

static void test_draining_ends_a_file(void **state)
{
    struct rig *rig = *state;
    rig->context.drain = true;
    open_file(rig, "1\n2");
    expect_number(rig, 1, 0);
    expect_number(rig, 2, 0);
    assert_int_equal(rig->sample.origin.offset, 3);
    assert_int_equal(take(rig), E_END);
    assert_int_equal(take(rig), E_END);
    struct sample_origin end = rig->sample.origin;
    rig_append(rig, "log", "\n3\n", 3);
    rig->context.resume = end;
    open_at(rig, rig_path(rig, "log"));
    expect_number(rig, 3, 0);
    assert_int_equal(take(rig), E_END);
    open_file(rig, "");
    assert_int_equal(take(rig), E_END);
}

static void test_draining_goes_through_a_rotated_file(void **state)
{
    struct rig *rig = *state;
    open_file(rig, "1\n2");
    expect_number(rig, 1, 0);
    rig->context.resume = rig->sample.origin;
    assert_int_equal(rename(rig_path(rig, "log"), rig_path(rig, "log.1")), 0);
    rig_write(rig, "log", "3");
    rig->context.drain = true;
    open_at(rig, rig_path(rig, "log"));
    expect_number(rig, 2, 0);
    expect_number(rig, 3, 0);
    assert_int_equal(take(rig), E_END);
}

/* ---- FIFOs ---- */

static int open_writer(struct rig *rig, const char *path)
{
    int fd = open(rig_path(rig, path), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void put(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static void open_fifo(struct rig *rig)
{
    assert_int_equal(mkfifo(rig_path(rig, "fifo"), 0600), 0);
    open_at(rig, rig_path(rig, "fifo"));
}

static void test_a_fifo_outlives_its_writers(void **state)
{
    struct rig *rig = *state;
    open_fifo(rig);
    assert_int_equal(take(rig), E_AGAIN);
    assert_false(has_news(rig));
    for (int i = 0; i < 3; i++) {
        int fd = open_writer(rig, "fifo");
        put(fd, "{\"a\":1}\n2");
        wait_for_news(rig);
        expect_document(rig, "{\"a\":1}");
        assert_false(rig->sample.origin.present);
        assert_int_equal(take(rig), E_AGAIN);
        assert_false(has_news(rig));
        assert_int_equal(close(fd), 0);
        wait_for_news(rig);
        expect_number(rig, 2, 0); /* nobody can end this line any more */
        assert_int_equal(take(rig), E_AGAIN);
        assert_false(has_news(rig)); /* no spinning while nobody writes */
    }
}

static void test_a_writer_between_two_looks_is_not_missed(void **state)
{
    struct rig *rig = *state;
    open_fifo(rig);
    for (int i = 1; i <= 3; i++) {
        char text[8];
        int fd = open_writer(rig, "fifo");
        (void)snprintf(text, sizeof text, "%d\n", i);
        put(fd, text);
        assert_int_equal(close(fd), 0);
    }
    wait_for_news(rig);
    for (int i = 1; i <= 3; i++)
        expect_number(rig, i, 0);
    assert_int_equal(take(rig), E_AGAIN);
}

static void test_draining_a_fifo_ends_with_its_last_writer(void **state)
{
    struct rig *rig = *state;
    rig->context.drain = true;
    open_fifo(rig);
    assert_int_equal(take(rig), E_AGAIN); /* not before the first */
    int first = open_writer(rig, "fifo");
    int second = open_writer(rig, "fifo");
    put(first, "1\n");
    assert_int_equal(close(first), 0);
    expect_number(rig, 1, 0);
    assert_int_equal(take(rig), E_AGAIN);
    put(second, "2");
    assert_int_equal(close(second), 0);
    expect_number(rig, 2, 0);
    assert_int_equal(take(rig), E_END);
}

/* ---- ttys ---- */

static int open_pty(struct rig *rig, const char *baud)
{
    char path[64];
    int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(grantpt(fd), 0);
    assert_int_equal(unlockpt(fd), 0);
    assert_int_equal(ptsname_r(fd, path, sizeof path), 0);
    rig->context.root = "";
    rig_set(rig, "path", path);
    if (baud != NULL)
        rig_set(rig, "baud", baud);
    int rc = rig_open(rig, "lines");
    if (rc == 0)
        return fd;
    assert_int_equal(close(fd), 0);
    return rc;
}

static void test_a_tty_is_read_raw(void **state)
{
    struct rig *rig = *state;
    struct termios settings;
    int fd = open_pty(rig, "115200");
    assert_true(fd >= 0);
    assert_int_equal(tcgetattr(fd, &settings), 0);
    assert_int_equal(cfgetispeed(&settings), B115200);
    assert_int_equal(settings.c_lflag & (tcflag_t)(ICANON | ECHO), 0);
    assert_int_equal(take(rig), E_AGAIN);
    put(fd, "21.5\r\n{\"a\":\"\\u0003\"}\r\n");
    wait_for_news(rig);
    expect_number(rig, 215, 1);
    expect_document(rig, "{\"a\":\"\\u0003\"}");
    assert_int_equal(take(rig), E_AGAIN);
    put(fd, "7");
    assert_int_equal(close(fd), 0);
    wait_for_news(rig);
    int rc = take(rig); /* the kernel may drop what was not read when the line hangs up */
    if (rc == 0)
        rc = take(rig);
    assert_int_equal(rc, E_CLOSED);
    assert_non_null(strstr(rig->driver->fault(rig->instance), "hung up"));
}

static void test_a_speed_that_no_tty_has_is_refused(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(open_pty(rig, "9601"), E_INVALID);
    assert_non_null(strstr(rig->fault, "9601"));
}

static void test_draining_a_tty_takes_what_has_come(void **state)
{
    struct rig *rig = *state;
    rig->context.drain = true;
    int fd = open_pty(rig, NULL);
    put(fd, "1\n");
    wait_for_news(rig);
    expect_number(rig, 1, 0);
    assert_int_equal(take(rig), E_END);
    assert_int_equal(close(fd), 0);
}

/* ---- Unix sockets ---- */

static int connect_to(struct rig *rig, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", rig->root, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static int open_unix(struct rig *rig)
{
    static char path[RIG_PATH_BYTES];
    (void)snprintf(path, sizeof path, "unix:%s/sock", rig->root);
    rig_set(rig, NULL, NULL);
    rig_set(rig, "path", path);
    return rig_open(rig, "lines");
}

static void test_several_writers_keep_their_lines_apart(void **state)
{
    struct rig *rig = *state;
    struct stat status;
    assert_int_equal(open_unix(rig), 0);
    assert_int_equal(stat(rig_path(rig, "sock"), &status), 0);
    assert_int_equal(status.st_mode & 07, 0);
    assert_int_equal(take(rig), E_AGAIN);
    int first = connect_to(rig, "sock");
    int second = connect_to(rig, "sock");
    put(first, "{\"a\":");
    put(second, "{\"b\":");
    wait_for_news(rig);
    assert_int_equal(take(rig), E_AGAIN);
    put(second, "2}\n");
    expect_document(rig, "{\"b\":2}");
    put(first, "1}\nbad\n");
    expect_document(rig, "{\"a\":1}");
    expect_refused(rig, E_SYNTAX, "/sock:2:1:");
    put(first, "7");
    assert_int_equal(close(first), 0);
    expect_number(rig, 7, 0);
    assert_int_equal(take(rig), E_AGAIN);
    assert_false(has_news(rig));
    assert_int_equal(close(second), 0);
    wait_for_news(rig);
    assert_int_equal(take(rig), E_AGAIN);
    assert_false(has_news(rig));
    rig_close(rig);
    assert_int_equal(stat(rig_path(rig, "sock"), &status), -1);
}

static void test_writers_beyond_the_bound_wait_their_turn(void **state)
{
    struct rig *rig = *state;
    int fds[CONFIG_DRIVER_LINES_WRITERS + 1];
    assert_int_equal(open_unix(rig), 0);
    for (int i = 0; i <= CONFIG_DRIVER_LINES_WRITERS; i++) {
        fds[i] = connect_to(rig, "sock");
        assert_int_equal(take(rig), E_AGAIN);
    }
    put(fds[CONFIG_DRIVER_LINES_WRITERS], "9\n");
    assert_int_equal(take(rig), E_AGAIN);
    assert_false(has_news(rig)); /* the queue does not keep us awake */
    put(fds[0], "1\n");
    expect_number(rig, 1, 0);
    assert_int_equal(close(fds[0]), 0);
    expect_number(rig, 9, 0);
    for (int i = 1; i <= CONFIG_DRIVER_LINES_WRITERS; i++)
        assert_int_equal(close(fds[i]), 0);
    assert_int_equal(take(rig), E_AGAIN);
}

static void test_a_stale_socket_is_replaced_and_a_live_one_is_not(void **state)
{
    struct rig *rig = *state;
    struct rig other = *rig;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/sock", rig->root);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(open_unix(rig), 0);
    other.context.settings = rig->settings;
    other.context.setting_count = rig->context.setting_count;
    assert_int_equal(rig_open(&other, "lines"), E_BUSY);
    assert_non_null(strstr(rig->fault, "another process"));
    rig_close(&other);
    int writer = connect_to(rig, "sock"); /* the other one left it alone */
    put(writer, "1\n");
    expect_number(rig, 1, 0);
    assert_int_equal(close(writer), 0);
    rig_close(rig);
    rig_write(rig, "sock", "precious");
    assert_int_equal(open_unix(rig), E_EXISTS);
    assert_int_equal(access(rig_path(rig, "sock"), F_OK), 0);
}

static void test_draining_a_socket_ends_with_its_last_writer(void **state)
{
    struct rig *rig = *state;
    rig->context.drain = true;
    assert_int_equal(open_unix(rig), 0);
    assert_int_equal(take(rig), E_AGAIN);
    int fd = connect_to(rig, "sock");
    put(fd, "1\n2");
    assert_int_equal(close(fd), 0);
    expect_number(rig, 1, 0);
    expect_number(rig, 2, 0);
    assert_int_equal(take(rig), E_END);
}

static void test_a_path_too_long_for_a_socket_is_an_error(void **state)
{
    struct rig *rig = *state;
    char path[200];
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    memcpy(path, "unix:/", 6);
    rig_set(rig, "path", path);
    assert_int_equal(rig_open(rig, "lines"), E_TOO_BIG);
    assert_non_null(strstr(rig->fault, "too long"));
}

static void test_a_socket_is_checked_with_the_configuration(void **state)
{
    struct rig *rig = *state;
    const struct driver *driver = driver_find("lines");
    char path[5 + 109];
    memset(path, 'x', sizeof path - 1);
    memcpy(path, "unix:/", 6);
    path[5 + 108] = '\0';
    rig_set(rig, "path", path);
    assert_string_equal(driver->check(&rig->context), "path");
    assert_non_null(strstr(rig->fault, "too long; the path of a socket has 1 to 107 bytes"));
    path[5 + 107] = '\0';
    assert_null(driver->check(&rig->context));
    path[5] = '\0';
    assert_string_equal(driver->check(&rig->context), "path");
    rig_set(rig, NULL, NULL);
    rig_set(rig, "path", "unix:plc.sock");
    assert_string_equal(driver->check(&rig->context), "path");
    assert_non_null(strstr(rig->fault, "no absolute path"));
    rig_set(rig, NULL, NULL);
    rig_set(rig, "path", "plc.fifo");
    assert_string_equal(driver->check(&rig->context), "path");
    rig_set(rig, NULL, NULL);
    rig_set(rig, "path", "unix:/run/plc.sock");
    rig_set(rig, "baud", "9600");
    assert_string_equal(driver->check(&rig->context), "baud");
    rig_set(rig, NULL, NULL);
    rig_set(rig, "path", "/dev/ttyS0");
    rig_set(rig, "baud", "9600");
    assert_null(driver->check(&rig->context));
}

/* ---- formats, on whatever carries lines ---- */

static const char rows[] = "time,temp,note\n1,21.50,\"a, b\"\n\n2,-3,\"c\"\n3,,d\n";

static void set_csv(struct rig *rig, const char *path)
{
    rig_set(rig, NULL, NULL);
    rig_set(rig, "path", path);
    rig_set(rig, "format", "csv");
    rig_set(rig, "header", "true");
    rig_set(rig, "channels[0].name", "note");
    rig_set(rig, "channels[0].type", "text");
    rig_set(rig, "channels[1].name", "temp");
    rig_set(rig, "channels[1].unit", "Cel");
}

static void expect_row(struct rig *rig, const char *note, int64_t mantissa, unsigned decimals)
{
    assert_int_equal(take(rig), 0);
    const struct value *value = rig_value(rig, "note");
    assert_int_equal(value->text_bytes, strlen(note));
    assert_memory_equal(value->text, note, strlen(note));
    rig_expect(rig, "temp", mantissa, decimals, "Cel");
}

static void test_a_table_is_resumed_with_the_header_of_its_file(void **state)
{
    struct rig *rig = *state;
    rig_write(rig, "log", rows);
    set_csv(rig, rig_path(rig, "log"));
    assert_int_equal(rig_open(rig, "lines"), 0);
    expect_row(rig, "a, b", 2150, 2);
    rig->context.resume = rig->sample.origin;
    assert_int_equal(rig->sample.origin.offset, strlen("time,temp,note\n1,21.50,\"a, b\"\n"));
    assert_int_equal(rig_open(rig, "lines"), 0);
    expect_row(rig, "c", -3, 0);
    assert_int_equal(take(rig), 0);
    assert_int_equal(rig_value(rig, "temp")->kind, VALUE_ABSENT);
    assert_int_equal(take(rig), E_AGAIN);
    assert_int_equal(rename(rig_path(rig, "log"), rig_path(rig, "log.1")), 0);
    rig_write(rig, "log", "temp,note\n5,e\n"); /* other columns in the next one */
    expect_row(rig, "e", 5, 0);
    rig_append(rig, "log", "7\n", 2);
    expect_refused(rig, E_SYNTAX, "/log:3:2: fewer fields");
}

static void test_fields_apart_by_tabs_may_be_empty_at_both_ends(void **state)
{
    struct rig *rig = *state;
    rig_write(rig, "log", "temp\tx\tnote\n\t1\ta\n 5 \t1\t\r\n\n");
    set_csv(rig, rig_path(rig, "log"));
    rig_set(rig, "separator", "\t");
    assert_int_equal(rig_open(rig, "lines"), 0);
    assert_int_equal(take(rig), 0);
    assert_int_equal(rig_value(rig, "temp")->kind, VALUE_ABSENT);
    assert_int_equal(rig_value(rig, "note")->kind, VALUE_TEXT);
    assert_int_equal(take(rig), 0);
    rig_expect(rig, "temp", 5, 0, "Cel");
    assert_int_equal(rig_value(rig, "note")->kind, VALUE_ABSENT);
    assert_int_equal(take(rig), E_AGAIN);
}

static void test_each_writer_has_a_header_of_its_own(void **state)
{
    static char path[RIG_PATH_BYTES];
    struct rig *rig = *state;
    (void)snprintf(path, sizeof path, "unix:%s/sock", rig->root);
    set_csv(rig, path);
    assert_int_equal(rig_open(rig, "lines"), 0);
    int first = connect_to(rig, "sock");
    put(first, "temp,note\n");
    assert_int_equal(take(rig), E_AGAIN);
    int second = connect_to(rig, "sock");
    put(second, "note,x,temp\nb,0,2\n");
    expect_row(rig, "b", 2, 0);
    put(first, "1,a\n");
    expect_row(rig, "a", 1, 0);
    assert_int_equal(close(first), 0);
    assert_int_equal(take(rig), E_AGAIN);
    first = connect_to(rig, "sock"); /* in the place of the one that left */
    put(first, "note,temp\nc,3");
    assert_int_equal(take(rig), E_AGAIN);
    assert_int_equal(close(first), 0);
    expect_row(rig, "c", 3, 0);
    assert_int_equal(close(second), 0);
}

static void test_a_fifo_has_a_header_for_each_time_it_is_opened(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(mkfifo(rig_path(rig, "fifo"), 0600), 0);
    set_csv(rig, rig_path(rig, "fifo"));
    assert_int_equal(rig_open(rig, "lines"), 0);
    for (int i = 0; i < 2; i++) {
        int fd = open_writer(rig, "fifo");
        put(fd, i == 0 ? "temp,note\n1,a\n" : "note,temp\na,1\n");
        expect_row(rig, "a", 1, 0);
        assert_int_equal(take(rig), E_AGAIN);
        assert_int_equal(close(fd), 0);
        assert_int_equal(take(rig), E_AGAIN);
    }
}

#ifdef CONFIG_FORMAT_NMEA
#define FIRST  "$GPGLL,4807.038,N,01131.000,E,120000,A*2B\r\n$GPGSV,1,1,00*79\r\n"
#define SECOND "$GPGLL,4807.039,N,01131.000,E,120001,A*2B\r\n"

static void expect_latitude(struct rig *rig, int64_t mantissa)
{
    assert_int_equal(take(rig), 0);
    rig_expect(rig, "lat", mantissa, 7, "lat");
    assert_true(rig->sample.boot_ms > 0);
}

static void open_nmea(struct rig *rig, const char *path)
{
    rig_set(rig, NULL, NULL);
    rig_set(rig, "path", path);
    rig_set(rig, "format", "nmea");
    assert_int_equal(rig_open(rig, "lines"), 0);
}

static void test_a_fix_says_where_its_last_sentence_ends(void **state)
{
    struct rig *rig = *state;
    rig_write(rig, "log", FIRST SECOND);
    open_nmea(rig, rig_path(rig, "log"));
    expect_latitude(rig, 481173000);
    assert_int_equal(rig->sample.origin.offset, strchr(FIRST, '\n') + 1 - FIRST);
    assert_int_equal(take(rig), E_AGAIN);
    rig->context.resume = rig->sample.origin;
    rig->context.drain = true;
    open_nmea(rig, rig_path(rig, "log"));
    expect_latitude(rig, 481173167); /* nothing follows it */
    assert_true(rig->sample.origin.present);
    assert_int_equal(rig->sample.origin.offset, strlen(FIRST SECOND));
    assert_int_equal(take(rig), E_END);
}

static void test_a_receiver_on_a_tty_is_read(void **state)
{
    struct rig *rig = *state;
    char path[64];
    int fd = open_pty(rig, "115200");
    assert_true(fd >= 0);
    assert_int_equal(ptsname_r(fd, path, sizeof path), 0);
    open_nmea(rig, path);
    put(fd, "67,N,cut*off\r\n" FIRST);
    wait_for_news(rig);
    expect_refused(rig, E_SYNTAX, ":1:1: no sentence");
    assert_int_equal(take(rig), E_AGAIN);
    put(fd, SECOND);
    wait_for_news(rig);
    expect_latitude(rig, 481173000);
    assert_false(rig->sample.origin.present);
    assert_int_equal(close(fd), 0);
}
#endif

/* ---- garbage ---- */

static void test_garbage_never_ends_the_rest(void **state)
{
    struct rig *rig = *state;
    char text[4096];
    uint64_t random = 1;
    int refused = 0;
    for (size_t i = 0; i < sizeof text; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        text[i] = (char)(random >> 56);
    }
    rig_write(rig, "log", "");
    rig_append(rig, "log", text, sizeof text);
    rig_append(rig, "log", "\n{\"a\":1}\n", 9);
    open_at(rig, rig_path(rig, "log"));
    int rc;
    while ((rc = take(rig)) != 0) {
        assert_true(rc == E_SYNTAX || rc == E_RANGE || rc == E_TOO_BIG);
        refused++;
    }
    assert_true(refused > 0);
    while (rig->sample.document == NULL)
        assert_int_not_equal(take(rig), E_AGAIN);
    assert_memory_equal(rig->sample.document, "{\"a\":1}", 7);
}

#define RIG_TEST(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(test_objects_and_numbers_are_taken_as_they_are),
        RIG_TEST(test_bad_lines_are_refused_with_their_place),
        RIG_TEST(test_deep_objects_are_refused),
        RIG_TEST(test_a_line_over_the_limit_is_refused_as_one),
        RIG_TEST(test_numbers_have_the_unit_that_was_set),
        RIG_TEST(test_bad_settings_are_named),
        RIG_TEST(test_a_file_is_followed),
        RIG_TEST(test_samples_say_where_they_end),
        RIG_TEST(test_a_file_is_resumed_behind_each_line),
        RIG_TEST(test_a_file_is_read_from_its_start_where_resume_does_not_fit),
        RIG_TEST(test_rotation_by_rename_loses_nothing),
        RIG_TEST(test_rotation_while_away_loses_nothing),
        RIG_TEST(test_a_removed_file_is_read_to_its_end_and_awaited),
        RIG_TEST(test_truncation_begins_again),
        RIG_TEST(test_draining_ends_a_file),
        RIG_TEST(test_draining_goes_through_a_rotated_file),
        RIG_TEST(test_a_fifo_outlives_its_writers),
        RIG_TEST(test_a_writer_between_two_looks_is_not_missed),
        RIG_TEST(test_draining_a_fifo_ends_with_its_last_writer),
        RIG_TEST(test_a_tty_is_read_raw),
        RIG_TEST(test_a_speed_that_no_tty_has_is_refused),
        RIG_TEST(test_draining_a_tty_takes_what_has_come),
        RIG_TEST(test_several_writers_keep_their_lines_apart),
        RIG_TEST(test_writers_beyond_the_bound_wait_their_turn),
        RIG_TEST(test_a_stale_socket_is_replaced_and_a_live_one_is_not),
        RIG_TEST(test_draining_a_socket_ends_with_its_last_writer),
        RIG_TEST(test_a_path_too_long_for_a_socket_is_an_error),
        RIG_TEST(test_a_socket_is_checked_with_the_configuration),
        RIG_TEST(test_a_table_is_resumed_with_the_header_of_its_file),
        RIG_TEST(test_fields_apart_by_tabs_may_be_empty_at_both_ends),
        RIG_TEST(test_each_writer_has_a_header_of_its_own),
        RIG_TEST(test_a_fifo_has_a_header_for_each_time_it_is_opened),
#ifdef CONFIG_FORMAT_NMEA
        RIG_TEST(test_a_fix_says_where_its_last_sentence_ends),
        RIG_TEST(test_a_receiver_on_a_tty_is_read),
#endif
        RIG_TEST(test_garbage_never_ends_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
