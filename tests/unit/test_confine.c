/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/confine.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/base/error.h"
#include "platform/fs.h"
#include "tests/unit/unit.h"

enum { SOMEBODY = 65533, BIND = CAP_NET_BIND_SERVICE, STATUS_BYTES = 8192 };

/* TRIED in a child, since nothing of it can be taken back. 0: it says that all is so. */
static int run_apart(int (*tried)(void))
{
    int status = 0;
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        _exit(tried());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* Says where it was not so: an assertion of cmocka means nothing in a child. */
#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "%d: not so: %s\n", __LINE__, #condition);                       \
            return 1;                                                                              \
        }                                                                                          \
    } while (0)

/* Of the line NAME of /proc/self/status, as a hexadecimal number. */
static unsigned long long read_own(const char *name)
{
    static char text[STATUS_BYTES];
    if (fs_read_file("/proc/self/status", text, sizeof text) < 0)
        return ~0ULL;
    const char *at = strstr(text, name);
    return at == NULL ? ~0ULL : strtoull(at + strlen(name) + 1, NULL, 16);
}

static int gives_up(void)
{
    struct confinement result;
    struct rlimit core = {1, 1};
    REQUIRE(confine(NULL, &result) == E_OK);
    REQUIRE(result.capabilities == 0);
    REQUIRE(read_own("CapEff:") == 0 && read_own("CapPrm:") == 0 && read_own("CapInh:") == 0);
    REQUIRE(geteuid() != 0 || read_own("CapBnd:") == 0);
    REQUIRE(read_own("NoNewPrivs:") == 1);
    REQUIRE(getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_cur == 0 && core.rlim_max == 0);
#ifndef RUNNEL_SANITIZED
    REQUIRE(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
#endif
    return 0;
}

static void test_gives_up_what_it_does_not_need(void **state)
{
    (void)state;
    assert_int_equal(run_apart(gives_up), 0);
}

static int refuse(unsigned number)
{
    struct sock_filter code[] = {
        {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr)},
        {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, number},
        {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | EPERM},
        {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
    };
    struct sock_fprog filter = {.len = sizeof code / sizeof *code, .filter = code};
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0);
}

static int has_nothing_to_give_up(void)
{
    struct confinement result;
    REQUIRE(confine(NULL, &result) == E_OK);
    REQUIRE(refuse(SYS_capset) == 0 || errno == EINVAL);
    REQUIRE(confine(NULL, &result) == E_OK);
    REQUIRE(result.capabilities == 0);
    return 0;
}

/* As a unit of systemd has it: no capabilities, and no call to change them. */
static void test_needs_no_call_to_give_up_nothing(void **state)
{
    (void)state;
    assert_int_equal(run_apart(has_nothing_to_give_up), 0);
}

static int becomes_owner(void)
{
    const struct rights owned = {.owner = SOMEBODY, .owner_group = SOMEBODY};
    struct confinement result;
    uid_t real, effective, saved;
    REQUIRE(confine(&owned, &result) == E_OK);
    REQUIRE(getresuid(&real, &effective, &saved) == 0);
    REQUIRE(real == SOMEBODY && effective == SOMEBODY && saved == SOMEBODY);
    REQUIRE(getegid() == SOMEBODY && getgroups(0, NULL) == 0);
    REQUIRE(!result.is_root && strcmp(result.user, "65533") == 0);
    REQUIRE(seteuid(0) < 0 && setuid(0) < 0 && setegid(0) < 0);
    REQUIRE(read_own("CapBnd:") == 0);
    return 0;
}

static void test_root_becomes_the_owner_for_good(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(run_apart(becomes_owner), 0);
}

static int stays_root(void)
{
    const struct rights owned = {.owner = 0};
    struct confinement result;
    REQUIRE(confine(&owned, &result) == E_OK);
    REQUIRE(result.is_root && geteuid() == 0);
    REQUIRE(read_own("CapEff:") == 0);
    return 0;
}

static void test_root_stays_where_root_is_the_owner(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(run_apart(stays_root), 0);
}

/* As AmbientCapabilities= of a unit does. */
static int give_by_name(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    REQUIRE(syscall(SYS_capget, &header, data) == 0);
    data[0].inheritable |= 1U << BIND;
    REQUIRE(syscall(SYS_capset, &header, data) == 0);
    REQUIRE(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, BIND, 0, 0) == 0);
    return 0;
}

static int keeps_what_was_given(void)
{
    struct confinement result;
    REQUIRE(give_by_name() == 0);
    REQUIRE(confine(NULL, &result) == E_OK);
    REQUIRE(result.capabilities == 1U << BIND);
    REQUIRE(read_own("CapEff:") == 1U << BIND && read_own("CapBnd:") == 1U << BIND);
    return 0;
}

static void test_keeps_what_was_given_by_name(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(run_apart(keeps_what_was_given), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gives_up_what_it_does_not_need),
        cmocka_unit_test(test_needs_no_call_to_give_up_nothing),
        cmocka_unit_test(test_root_becomes_the_owner_for_good),
        cmocka_unit_test(test_root_stays_where_root_is_the_owner),
        cmocka_unit_test(test_keeps_what_was_given_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
