/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/base/error.h"
#include "platform/clock.h"
#include "platform/fs.h"
#include "tests/unit/driver_rig.h"

enum { LONG_MS = 20000, SHORT_MS = 100 };

/* While it is set no program ends, as one that waits in the kernel for a dead device. */
static bool ends_are_hidden;

/* Takes the place of libc's. */
int waitid(idtype_t type, id_t id, siginfo_t *info, int options)
{
    if (ends_are_hidden)
        return 0;
    return (int)syscall(SYS_waitid, type, id, info, options, NULL);
}

static void set_command(struct rig *rig, const char *program, const char *first, const char *second)
{
    rig_set(rig, NULL, NULL);
    rig_set(rig, "command[0]", program);
    if (first != NULL)
        rig_set(rig, "command[1]", first);
    if (second != NULL)
        rig_set(rig, "command[2]", second);
}

static void open_exec(struct rig *rig)
{
    int rc = rig_open(rig, "exec");
    if (rc < 0)
        print_message("%s\n", rig->fault);
    assert_int_equal(rc, 0);
}

static void open_script(struct rig *rig, const char *script)
{
    set_command(rig, "/bin/sh", "-c", script);
    open_exec(rig);
}

static int fetch_for(struct rig *rig, int64_t ms)
{
    return rig->driver->fetch(rig->instance, clock_mono_ms() + ms);
}

static int take(struct rig *rig)
{
    int rc = fetch_for(rig, LONG_MS);
    return rc < 0 ? rc : rig->driver->read(rig->instance, &rig->sample);
}

static void expect_good(struct rig *rig)
{
    int rc = take(rig);
    if (rc < 0)
        print_message("%s\n", rig->driver->fault(rig->instance));
    assert_int_equal(rc, 0);
    assert_false(rig->sample.origin.present);
}

static void expect_words(struct rig *rig, const char *words)
{
    const char *fault = rig->driver->fault(rig->instance);
    assert_non_null(fault);
    if (strstr(fault, words) == NULL)
        fail_msg("%s is not in: %s", words, fault);
}

static void expect_document(struct rig *rig, const char *text)
{
    expect_good(rig);
    assert_non_null(rig->sample.document);
    if (rig->sample.document_bytes != strlen(text) ||
        memcmp(rig->sample.document, text, strlen(text)) != 0)
        fail_msg("%.*s is not %s", (int)rig->sample.document_bytes,
                 (const char *)rig->sample.document, text);
}

/* No child is left, dead or alive. */
static void expect_no_child(void)
{
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static int count_descriptors(void)
{
    int count = 0;
    DIR *listing = opendir("/proc/self/fd");
    assert_non_null(listing);
    while (readdir(listing) != NULL)
        count++;
    assert_int_equal(closedir(listing), 0);
    return count;
}

/* The number that a script has written to "pid". */
static long written_pid(struct rig *rig)
{
    char text[32];
    assert_true(fs_read_file(rig_path(rig, "pid"), text, sizeof text) > 1);
    return strtol(text, NULL, 10);
}

/* Whether the process that /proc calls NAME is in GROUP, and no zombie. */
static bool is_member(const char *name, long group)
{
    char path[300];
    char text[512];
    char state;
    long parent;
    long found;
    (void)snprintf(path, sizeof path, "/proc/%s/stat", name);
    if (name[0] < '0' || name[0] > '9' || fs_read_file(path, text, sizeof text) < 0)
        return false;
    const char *behind = strrchr(text, ')');
    return behind != NULL && sscanf(behind + 1, " %c %ld %ld", &state, &parent, &found) == 3 &&
           found == group && state != 'Z' && state != 'X';
}

static bool lives(long group)
{
    const struct dirent *entry;
    bool found = false;
    DIR *listing = opendir("/proc");
    assert_non_null(listing);
    while (!found && (entry = readdir(listing)) != NULL)
        found = is_member(entry->d_name, group);
    assert_int_equal(closedir(listing), 0);
    return found;
}

/* SIGKILL is certain, but takes its time. */
static void expect_no_group(struct rig *rig)
{
    int64_t until_ms = clock_mono_ms() + LONG_MS;
    long group = written_pid(rig);
    while (lives(group) && clock_mono_ms() < until_ms)
        (void)usleep(1000);
    assert_false(lives(group));
}

/* ---- what is printed ---- */

static void test_the_last_line_is_taken(void **state)
{
    struct rig *rig = *state;
    open_script(rig, "echo measuring; echo; echo ' 21.50 '; echo");
    expect_good(rig);
    rig_expect(rig, "value", 2150, 2, "");
    open_script(rig, "printf '{\"a\": 1}'");
    expect_document(rig, "{\"a\": 1}");
}

static void test_a_table_is_taken(void **state)
{
    struct rig *rig = *state;
    set_command(rig, "/bin/sh", "-c", "echo 'name  rx tx'; echo 'eth0 1 2'; echo 'wlan0 30 40'");
    rig_set(rig, "format", "csv");
    rig_set(rig, "separator", " ");
    rig_set(rig, "header", "true");
    rig_set(rig, "channels[0].name", "tx");
    rig_set(rig, "channels[0].unit", "B");
    open_exec(rig);
    for (int i = 0; i < 2; i++) {
        expect_good(rig);
        rig_expect(rig, "tx", 40, 0, "B");
    }
}

static void test_a_table_apart_by_tabs_may_begin_with_nothing(void **state)
{
    struct rig *rig = *state;
    set_command(rig, "/bin/sh", "-c", "printf 'a\\tb\\n\\t5\\n'");
    rig_set(rig, "format", "csv");
    rig_set(rig, "separator", "\t");
    rig_set(rig, "header", "true");
    open_exec(rig);
    expect_document(rig, "{\"b\":5}");
}

static void test_the_whole_is_taken(void **state)
{
    struct rig *rig = *state;
    set_command(rig, "/bin/sh", "-c",
                "printf '{\\n \"a\" : [ 1,\\t2 ],\\n \"b \\\\\" \":\"x y\"\\n}\\n'");
    rig_set(rig, "take", "whole");
    open_exec(rig);
    expect_document(rig, "{\"a\":[1,2],\"b \\\" \":\"x y\"}");
    set_command(rig, "/bin/sh", "-c", "echo 'temp: 21.5'; echo 'hum:'; echo 'x = y z'");
    rig_set(rig, "take", "whole");
    rig_set(rig, "format", "keyvalue");
    open_exec(rig);
    expect_document(rig, "{\"temp\":21.5,\"x\":\"y\"}");
}

static void test_what_makes_no_sample_is_refused(void **state)
{
    struct rig *rig = *state;
    open_script(rig, "printf '{\\n\"a\": 1\\n}\\n'");
    assert_int_equal(take(rig), E_SYNTAX);
    expect_words(rig, "column 1: a JSON object or a number was expected; if it is one document");
    open_script(rig, "echo not there >&2");
    assert_int_equal(take(rig), E_SYNTAX);
    expect_words(rig, "/bin/sh: printed nothing: not there");
    set_command(rig, "/bin/cat", NULL, NULL); /* has nothing to read */
    open_exec(rig);
    assert_int_equal(take(rig), E_SYNTAX);
    expect_words(rig, "printed nothing");
}

static void test_more_than_a_document_is_refused(void **state)
{
    struct rig *rig = *state;
    open_script(rig, "while :; do echo 0123456789012345678901234567890123456789; done");
    assert_int_equal(take(rig), E_TOO_BIG);
    expect_words(rig, "printed more than a document may be");
    expect_no_child();
    open_script(rig, "printf '%4096d' 7"); /* exactly as much */
    expect_good(rig);
    rig_expect(rig, "value", 7, 0, "");
}

/* ---- how it ends ---- */

static void test_failures_are_explained_in_the_programs_words(void **state)
{
    struct rig *rig = *state;
    open_script(rig, "echo 5; echo first >&2; echo 'no modem on /dev/ttyUSB2\x1b' >&2; exit 3");
    assert_int_equal(take(rig), E_REFUSED);
    expect_words(rig, "/bin/sh: exit status 3: no modem on /dev/ttyUSB2?");
    open_script(rig, "kill -SEGV $$");
    assert_int_equal(take(rig), E_REFUSED);
    expect_words(rig, "ended by signal 11, SIGSEGV");
    expect_no_child();
}

static void test_at_the_deadline_nothing_of_it_is_left(void **state)
{
    struct rig *rig = *state;
    char script[RIG_PATH_BYTES + 100];
    (void)snprintf(script, sizeof script,
                   "echo $$ >%s; echo stuck >&2; trap '' TERM; sleep 60 & sleep 60; sleep 60",
                   rig_path(rig, "pid"));
    rig->context.timeout_ms = SHORT_MS;
    open_script(rig, script);
    int before = count_descriptors();
    assert_int_equal(fetch_for(rig, SHORT_MS), E_TIMEOUT);
    expect_words(rig, "not done after 100 ms, and ended; raise \"timeout\": stuck");
    expect_no_child();
    expect_no_group(rig);
    assert_int_equal(count_descriptors(), before);
    open_script(rig, "echo 1"); /* and the next one runs */
    expect_good(rig);
}

/* An error that closes the sensor would have it forgotten, and one more begun each time. */
static void test_while_a_run_outlives_its_end_no_other_begins(void **state)
{
    struct rig *rig = *state;
    open_script(rig, "echo 5; sleep 60");
    ends_are_hidden = true;
    assert_int_equal(fetch_for(rig, SHORT_MS), E_TIMEOUT);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(fetch_for(rig, SHORT_MS), E_TIMEOUT);
        expect_words(rig, "the last run does not end, not even by SIGKILL");
    }
    ends_are_hidden = false;
    assert_int_equal(fetch_for(rig, SHORT_MS), E_TIMEOUT);
    expect_words(rig, "not done after");
    expect_no_child();
}

static void test_one_that_left_its_group_is_ended(void **state)
{
    struct rig *rig = *state;
    set_command(rig, "/usr/bin/perl", "-e", "setpgrp(0, getpgrp(getppid())); sleep 60");
    open_exec(rig);
    assert_int_equal(fetch_for(rig, 10 * SHORT_MS), E_TIMEOUT);
    expect_no_child();
}

static void test_a_stop_ends_it_at_once(void **state)
{
    struct rig *rig = *state;
    open_script(rig, "sleep 60");
    stop_request(&rig->stop);
    assert_int_equal(take(rig), E_STOP);
    expect_no_child();
}

static void test_what_it_leaves_behind_is_ended_with_it(void **state)
{
    struct rig *rig = *state;
    char script[RIG_PATH_BYTES + 100];
    (void)snprintf(script, sizeof script, "echo $$ >%s; sleep 60 & echo 5", rig_path(rig, "pid"));
    open_script(rig, script);
    expect_good(rig); /* although the pipe stays open */
    rig_expect(rig, "value", 5, 0, "");
    expect_no_group(rig);
    expect_no_child();
}

static void test_one_that_closes_its_pipes_is_awaited(void **state)
{
    struct rig *rig = *state;
    open_script(rig, "echo 5; exec >/dev/null 2>&1; sleep 0.05; exit 4");
    assert_int_equal(take(rig), E_REFUSED);
    expect_words(rig, "exit status 4");
}

/* ---- what it is given ---- */

static void test_the_environment_is_our_own(void **state)
{
    struct rig *rig = *state;
    set_command(rig, "/usr/bin/env", NULL, NULL);
    rig_set(rig, "take", "whole");
    rig_set(rig, "format", "keyvalue");
    open_exec(rig);
    expect_document(rig,
                    "{\"PATH\":\"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\","
                    "\"LC_ALL\":\"C\",\"RUNNEL_SENSOR\":\"bench\"}");
}

static void test_no_signal_is_blocked_or_ignored(void **state)
{
    struct rig *rig = *state;
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    assert_int_equal(sigprocmask(SIG_SETMASK, &all, &before), 0);
    void (*handler)(int) = signal(SIGPIPE, SIG_IGN);
    set_command(rig, "/bin/grep", "SigBlk", "/proc/self/status");
    rig_set(rig, "format", "keyvalue");
    open_exec(rig);
    expect_document(rig, "{\"SigBlk\":\"0000000000000000\"}");
    open_script(rig, "kill -PIPE $$; echo 5");
    assert_int_equal(take(rig), E_REFUSED);
    expect_words(rig, "SIGPIPE");
    (void)signal(SIGPIPE, handler);
    assert_int_equal(sigprocmask(SIG_SETMASK, &before, NULL), 0);
}

int __real_fs_read_file(const char *path, char *buffer, size_t buffer_bytes);
int __wrap_fs_read_file(const char *path, char *buffer, size_t buffer_bytes);

static bool is_protected;

/* Only root can be protected really. */
int __wrap_fs_read_file(const char *path, char *buffer, size_t buffer_bytes)
{
    if (!is_protected || strcmp(path, "/proc/self/oom_score_adj") != 0)
        return __real_fs_read_file(path, buffer, buffer_bytes);
    return snprintf(buffer, buffer_bytes, "-500\n");
}

static void set_own_score(const char *score)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_true(write(fd, score, strlen(score)) > 0);
    assert_int_equal(close(fd), 0);
}

/* It has the score of who runs it, and gets another right after it was started. */
static void test_it_is_not_kept_when_memory_runs_out(void **state)
{
    struct rig *rig = *state;
    set_own_score("100");
    open_script(rig, "cat /proc/self/oom_score_adj");
    expect_good(rig);
    rig_expect(rig, "value", 100, 0, ""); /* nobody is protected */
    rig_close(rig);
    /* It is not before it runs: until then the deadline is the test's. */
    open_script(rig, "until [ \"$score\" = 0 ]; do read score </proc/self/oom_score_adj; done; "
                     "echo $score");
    is_protected = true;
    expect_good(rig);
    is_protected = false;
    rig_expect(rig, "value", 0, 0, "");
}

static void test_no_descriptor_of_ours_is_open_in_it(void **state)
{
    struct rig *rig = *state;
    for (int fd = STDERR_FILENO + 1; fd < 1024; fd++) /* what whoever runs us has left open */
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    open_script(rig, "ls -l /proc/self/fd | grep -c -e anon_inode -e pipe:");
    expect_good(rig);
    rig_expect(rig, "value", 2, 0, ""); /* to grep, and to us */
}

/* ---- what is configured ---- */

/* Not in an emulator of another machine's programs, which forks where the kernel would wait. */
static bool spawning_tells(void)
{
    char *const arguments[] = {"/nowhere/foo", NULL};
    pid_t child;
    if (posix_spawn(&child, arguments[0], NULL, NULL, arguments, environ) != 0)
        return true;
    assert_int_equal(waitpid(child, NULL, 0), child);
    return false;
}

static void test_a_program_that_is_not_there_is_named(void **state)
{
    struct rig *rig = *state;
    set_command(rig, "/nowhere/foo", NULL, NULL);
    assert_int_equal(rig_open(rig, "exec"), error_sys(ENOENT));
    assert_non_null(strstr(rig->fault, "/nowhere/foo: "));
    rig_write(rig, "foo", "#!/bin/sh\necho 7\n");
    set_command(rig, rig_path(rig, "foo"), NULL, NULL);
    assert_int_equal(chmod(rig_path(rig, "foo"), 0600), 0);
    assert_int_equal(rig_open(rig, "exec"), error_sys(EACCES));
    assert_int_equal(chmod(rig_path(rig, "foo"), 0700), 0);
    open_exec(rig);
    expect_good(rig);
    rig_remove(rig, "foo");
    if (!spawning_tells())
        skip();
    assert_int_equal(take(rig), error_sys(ENOENT));
    expect_words(rig, "/foo: ");
    expect_no_child();
}

static void expect_fault(struct rig *rig, const char *key, const char *words)
{
    assert_string_equal(driver_find("exec")->check(&rig->context), key);
    assert_non_null(strstr(rig->fault, words));
}

static void test_bad_settings_are_named(void **state)
{
    struct rig *rig = *state;
    expect_fault(rig, "command", "is missing");
    set_command(rig, "foo", NULL, NULL);
    expect_fault(rig, "command[0]", "is no path");
    set_command(rig, "/bin/foo", NULL, NULL);
    rig_set(rig, "take", "whole");
    rig_set(rig, "format", "number");
    expect_fault(rig, "take", "json and keyvalue alone");
    set_command(rig, "/bin/foo", NULL, NULL);
    rig_set(rig, "header", "true");
    expect_fault(rig, "header", "belongs to");
    assert_int_equal(rig_open(rig, "exec"), E_INVALID);
}

#define RIG_TEST(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(test_the_last_line_is_taken),
        RIG_TEST(test_a_table_is_taken),
        RIG_TEST(test_a_table_apart_by_tabs_may_begin_with_nothing),
        RIG_TEST(test_the_whole_is_taken),
        RIG_TEST(test_what_makes_no_sample_is_refused),
        RIG_TEST(test_more_than_a_document_is_refused),
        RIG_TEST(test_failures_are_explained_in_the_programs_words),
        RIG_TEST(test_at_the_deadline_nothing_of_it_is_left),
        RIG_TEST(test_while_a_run_outlives_its_end_no_other_begins),
        RIG_TEST(test_one_that_left_its_group_is_ended),
        RIG_TEST(test_a_stop_ends_it_at_once),
        RIG_TEST(test_what_it_leaves_behind_is_ended_with_it),
        RIG_TEST(test_one_that_closes_its_pipes_is_awaited),
        RIG_TEST(test_the_environment_is_our_own),
        RIG_TEST(test_no_signal_is_blocked_or_ignored),
        RIG_TEST(test_it_is_not_kept_when_memory_runs_out),
        RIG_TEST(test_no_descriptor_of_ours_is_open_in_it),
        RIG_TEST(test_a_program_that_is_not_there_is_named),
        RIG_TEST(test_bad_settings_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
