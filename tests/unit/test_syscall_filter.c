/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/syscall_filter.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/base/error.h"
#include "tests/unit/unit.h"

/* What a child ends with that could not be filtered at all. */
enum { UNFILTERED = 77 };

struct refused_call {
    const char *name;
    long number;
};

/* From what a process without rights could go on into the kernel, or into other processes. */
static const struct refused_call refused[] = {
    {"ptrace", SYS_ptrace},
    {"process_vm_readv", SYS_process_vm_readv},
    {"process_vm_writev", SYS_process_vm_writev},
    {"bpf", SYS_bpf},
    {"perf_event_open", SYS_perf_event_open},
    {"userfaultfd", SYS_userfaultfd},
    {"io_uring_setup", SYS_io_uring_setup},
    {"keyctl", SYS_keyctl},
    {"add_key", SYS_add_key},
    {"request_key", SYS_request_key},
    {"unshare", SYS_unshare},
    {"setns", SYS_setns},
    {"mount", SYS_mount},
    {"umount2", SYS_umount2},
    {"pivot_root", SYS_pivot_root},
    {"chroot", SYS_chroot},
    {"init_module", SYS_init_module},
    {"finit_module", SYS_finit_module},
    {"reboot", SYS_reboot},
    {"swapon", SYS_swapon},
    {"clock_settime", SYS_clock_settime},
    {"settimeofday", SYS_settimeofday},
    {"open_by_handle_at", SYS_open_by_handle_at},
    {"fanotify_init", SYS_fanotify_init},
    {"quotactl", SYS_quotactl},
    {"syslog", SYS_syslog},
    {"personality", SYS_personality},
    {"a call of tomorrow", 100000},
};

static void filter(enum syscall_filter_refusal refusal)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        _exit(1);
    int rc = syscall_filter_install(refusal);
    if (rc < 0)
        _exit(rc == E_UNSUPPORTED ? UNFILTERED : 1);
}

/* The status of a child in which TRIED was called behind the filter: 0 if that was true. */
static int run_filtered(enum syscall_filter_refusal refusal, bool (*tried)(void))
{
    int status = 0;
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        filter(refusal);
        _exit(tried() ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == UNFILTERED) {
        print_message("NOT RUN: this kernel, or its emulator, filters no system calls\n");
        skip();
    }
    return status;
}

static bool fails_with(long number, int errnum)
{
    errno = 0;
    return syscall(number, -1L, -1L, -1L, -1L, -1L, -1L) == -1 && errno == errnum;
}

static bool refuses_all(void)
{
    bool all = true;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (!fails_with(refused[i].number, ENOSYS)) {
            (void)fprintf(stderr, "%s: %d\n", refused[i].name, errno);
            all = false;
        }
    return all;
}

static void test_refuses_what_no_sensor_needs(void **state)
{
    (void)state;
    assert_int_equal(run_filtered(SYSCALL_FILTER_FAILS, refuses_all), 0);
}

static bool does_nothing(void)
{
    return true;
}

/* Else the test before would be true of a kernel without these calls, as an emulator is. */
static void test_without_it_they_are_there(void **state)
{
    (void)state;
    assert_int_equal(run_filtered(SYSCALL_FILTER_FAILS, does_nothing), 0);
    assert_false(fails_with(SYS_ptrace, ENOSYS));
    assert_false(fails_with(SYS_unshare, ENOSYS));
    assert_false(fails_with(SYS_mount, ENOSYS));
}

static bool is_socket_refused(int family)
{
    errno = 0;
    int fd = socket(family, SOCK_DGRAM, 0);
    return fd < 0 && errno == EAFNOSUPPORT;
}

static bool is_pair_refused(int family)
{
    int pair[2];
    errno = 0;
    return socketpair(family, SOCK_SEQPACKET, 0, pair) < 0 && errno == EAFNOSUPPORT;
}

static bool makes_few_pairs(void)
{
    int pair[2];
    return socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && is_pair_refused(30 /* AF_TIPC */) &&
           is_pair_refused(AF_INET);
}

static bool makes_few_sockets(void)
{
    int local = socket(AF_UNIX, SOCK_DGRAM, 0);
    int remote = socket(AF_INET, SOCK_DGRAM, 0);
    return local >= 0 && remote >= 0 && is_socket_refused(AF_PACKET) &&
           is_socket_refused(38 /* AF_ALG */) && is_socket_refused(40 /* AF_VSOCK */) &&
           is_socket_refused(30 /* AF_TIPC */);
}

static void test_makes_few_kinds_of_sockets(void **state)
{
    (void)state;
    assert_int_equal(run_filtered(SYSCALL_FILTER_FAILS, makes_few_sockets), 0);
    assert_int_equal(run_filtered(SYSCALL_FILTER_FAILS, makes_few_pairs), 0);
}

static bool makes_no_name_space(void)
{
    const unsigned long flags[] = {CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWNET, CLONE_NEWPID};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        errno = 0;
        if (syscall(SYS_clone, flags[i] | SIGCHLD, 0L, 0L, 0L, 0L) != -1 || errno != ENOSYS)
            return false;
    }
    return true;
}

static void test_makes_no_name_spaces(void **state)
{
    (void)state;
    assert_int_equal(run_filtered(SYSCALL_FILTER_FAILS, makes_no_name_space), 0);
}

static void *do_nothing(void *argument)
{
    return argument;
}

extern char **environ;

static bool starts_threads_and_programs(void)
{
    char *arguments[] = {"/bin/sh", "-c", "ls -l /proc/self/ | sort >/dev/null && echo $(id -u)",
                         NULL};
    pthread_t thread;
    pid_t child;
    int status = 1;
    return pthread_create(&thread, NULL, do_nothing, NULL) == 0 &&
           pthread_join(thread, NULL) == 0 &&
           posix_spawn(&child, arguments[0], NULL, NULL, arguments, environ) == 0 &&
           waitpid(child, &status, 0) == child && status == 0;
}

/* clone3 fails there, and the C library has to take clone. */
static void test_lets_threads_and_programs_start(void **state)
{
    (void)state;
    assert_int_equal(run_filtered(SYSCALL_FILTER_FAILS, starts_threads_and_programs), 0);
    assert_int_equal(run_filtered(SYSCALL_FILTER_KILLS, starts_threads_and_programs), 0);
}

static bool calls_mount(void)
{
    return fails_with(SYS_mount, ENOSYS);
}

static void test_kills_where_tests_want_it(void **state)
{
    (void)state;
    int status = run_filtered(SYSCALL_FILTER_KILLS, calls_mount);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSYS);
}

#ifdef __x86_64__
/* By the numbers of i386, where 1 is exit: it does not come back either way. */
static bool exits_as_i386(void)
{
    long result = 1;
    __asm__ volatile("int $0x80" : "+a"(result) : "b"(3L) : "memory", "r8", "r9", "r10", "r11");
    return false;
}

static void test_ends_what_another_architecture_calls(void **state)
{
    (void)state;
    int status = run_filtered(SYSCALL_FILTER_FAILS, exits_as_i386);
    assert_true(WIFSIGNALED(status));
    if (WTERMSIG(status) == SIGSEGV) {
        print_message("NOT RUN: this kernel has no calls of i386\n");
        skip();
    }
    assert_int_equal(WTERMSIG(status), SIGSYS);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refuses_what_no_sensor_needs),
        cmocka_unit_test(test_without_it_they_are_there),
        cmocka_unit_test(test_makes_few_kinds_of_sockets),
        cmocka_unit_test(test_makes_no_name_spaces),
        cmocka_unit_test(test_lets_threads_and_programs_start),
        cmocka_unit_test(test_kills_where_tests_want_it),
#ifdef __x86_64__
        cmocka_unit_test(test_ends_what_another_architecture_calls),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
