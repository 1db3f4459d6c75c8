/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/random.h"

/* What the kernel says to the calls of getrandom(2), in their order; then it gives all that is
 * wanted. A machine that has just booted waits inside the call, which nobody notices. */
static struct {
    int errnum[4];
    size_t at_most[4];
    unsigned count;
    unsigned flags;
} script;

ssize_t __wrap_getrandom(void *bytes, size_t count, unsigned flags);

ssize_t __wrap_getrandom(void *bytes, size_t count, unsigned flags)
{
    unsigned call = script.count < 3 ? script.count : 3;
    size_t give =
        script.at_most[call] != 0 && script.at_most[call] < count ? script.at_most[call] : count;
    script.count++;
    script.flags |= flags;
    if (script.errnum[call] != 0) {
        errno = script.errnum[call];
        return -1;
    }
    memset(bytes, (int)(0x10 * script.count), give);
    return (ssize_t)give;
}

static int clear_script(void **state)
{
    (void)state;
    memset(&script, 0, sizeof script);
    return 0;
}

static void test_pieces_and_interruptions(void **state)
{
    static const uint8_t expected[8] = {0x10, 0x10, 0x10, 0x30, 0x40, 0x40, 0x40, 0x40};
    uint8_t bytes[9] = {0};
    (void)state;
    script.at_most[0] = 3;
    script.errnum[1] = EINTR;
    script.at_most[2] = 1;
    random_bytes(bytes, 8);
    assert_memory_equal(bytes, expected, sizeof expected);
    assert_int_equal(bytes[8], 0);
}

/* Neither GRND_NONBLOCK nor GRND_INSECURE: at boot it waits until the kernel has seen enough. */
static void test_waits_for_entropy(void **state)
{
    uint8_t byte;
    (void)state;
    random_bytes(&byte, 1);
    assert_int_equal(script.flags, 0);
}

static void test_says_whether_it_would_wait(void **state)
{
    (void)state;
    assert_true(random_is_seeded());
    assert_int_equal(script.flags, GRND_NONBLOCK);
    script.errnum[1] = EAGAIN;
    assert_false(random_is_seeded());
}

/* Keys that somebody can guess are worse than none. */
static void test_ends_without_entropy(void **state)
{
    static const int errnums[] = {ENOSYS, EAGAIN, EPERM};
    (void)state;
    for (size_t i = 0; i < sizeof errnums / sizeof errnums[0]; i++) {
        int status = 0;
        pid_t child = fork();
        if (child == 0) {
            uint8_t byte;
            const struct rlimit none = {0, 0};
            (void)setrlimit(RLIMIT_CORE, &none);
            (void)signal(SIGABRT, SIG_DFL);
            script.errnum[0] = errnums[i];
            random_bytes(&byte, 1);
            _exit(0);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGABRT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_pieces_and_interruptions, clear_script),
        cmocka_unit_test_setup(test_waits_for_entropy, clear_script),
        cmocka_unit_test_setup(test_says_whether_it_would_wait, clear_script),
        cmocka_unit_test_setup(test_ends_without_entropy, clear_script),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
