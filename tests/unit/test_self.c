/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <string.h>
#include <unistd.h>

#include "platform/base/error.h"
#include "tests/unit/driver_rig.h"

static const char status_file[] = "Name:\trunnel\nVmPeak:\t  9000 kB\nVmRSS:\t  3084 kB\n"
                                  "Threads:\t7\nSigQ:\t0/1\n";

static void look(void *context, struct driver_health *ret_health)
{
    const struct driver_health *known = context;
    *ret_health = *known;
}

static struct driver_health known_health(void)
{
    return (struct driver_health){.uptime_ms = 61999,
                                  .private_bytes = 2000,
                                  .pending = 3,
                                  .stored = 4,
                                  .stored_bytes = 500,
                                  .oldest_age_ms = 17900,
                                  .spool_bytes = 8388608,
                                  .spool_used_bytes = 8388600,
                                  .delivered = 10,
                                  .retried = 11,
                                  .throttled = 12,
                                  .dead = 13,
                                  .evicted = 14,
                                  .flash_commits = 15,
                                  .flash_bytes = 16,
                                  .link_bytes = 17,
                                  .failing = 2,
                                  .warnings = 1,
                                  .clock = "corrected"};
}

/* utime 250 and stime 150 ticks, behind a name that is hard to read. */
static void write_process(struct rig *rig)
{
    rig_write(rig, "proc/self/status", status_file);
    rig_write(rig, "proc/self/stat",
              "812 (run) 7 nel) S 1 812 812 0 -1 4194560 1 2 3 4 250 150 0 0 20 0 7 0 1 2 3\n");
    rig_write(rig, "proc/self/fd/0", "");
    rig_write(rig, "proc/self/fd/1", "");
    rig_write(rig, "proc/self/fd/22", "");
}

static void test_the_process_and_what_the_agent_counts(void **state)
{
    struct rig *rig = *state;
    struct driver_health health = known_health();
    const struct driver_agent agent = {.look = look, .context = &health};
    static const struct {
        const char *name;
        int64_t mantissa;
        unsigned decimals;
        const char *unit;
    } expected[] = {
        {"uptime", 61, 0, "s"},         {"rss", 3084 * 1024, 0, "B"},
        {"private", 2000, 0, "B"},      {"threads", 7, 0, "count"},
        {"descriptors", 2, 0, "count"}, {"pending", 3, 0, "count"},
        {"stored", 4, 0, "count"},      {"stored_bytes", 500, 0, "B"},
        {"spool_fill", 999, 1, "%"},    {"oldest_age", 17, 0, "s"},
        {"delivered", 10, 0, "count"},  {"retried", 11, 0, "count"},
        {"throttled", 12, 0, "count"},  {"dead", 13, 0, "count"},
        {"evicted", 14, 0, "count"},    {"flash_commits", 15, 0, "count"},
        {"flash_bytes", 16, 0, "B"},    {"link_bytes", 17, 0, "B"},
        {"failing", 2, 0, "count"},     {"healthy", 0, 0, ""},
        {"warnings", 1, 0, "count"},
    };
    write_process(rig);
    rig->context.agent = &agent;
    assert_int_equal(rig_open(rig, "self"), 0);
    assert_int_equal(rig_sample(rig), 0);
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        rig_expect(rig, expected[i].name, expected[i].mantissa, expected[i].decimals,
                   expected[i].unit);
    rig_expect(rig, "cpu", 400 * 100 / sysconf(_SC_CLK_TCK), 2, "s");
    assert_int_equal(rig_value(rig, "clock")->text_bytes, strlen("corrected"));
    assert_memory_equal(rig_value(rig, "clock")->text, "corrected", strlen("corrected"));
    assert_null(rig->driver->lack(rig->instance));
    health.healthy = true;
    assert_int_equal(rig_sample(rig), 0);
    rig_expect(rig, "healthy", 1, 0, "");
}

static void test_what_is_not_known_is_absent(void **state)
{
    struct rig *rig = *state;
    struct driver_health health = known_health();
    const struct driver_agent agent = {.look = look, .context = &health};
    health.private_bytes = health.spool_bytes = 0;
    rig_write(rig, "proc/self/status", "Threads:\t7\n");
    rig->context.agent = &agent;
    assert_int_equal(rig_open(rig, "self"), 0);
    assert_int_equal(rig_sample(rig), 0);
    static const char *const absent[] = {"rss", "private", "cpu", "descriptors", "spool_fill"};
    for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++)
        assert_int_equal(rig_value(rig, absent[i])->kind, VALUE_ABSENT);
    rig_write(rig, "proc/self/stat", "1 (x) S 1 2 3\n");
    assert_int_equal(rig_sample(rig), 0);
    assert_int_equal(rig_value(rig, "cpu")->kind, VALUE_ABSENT);
}

static void test_without_an_agent_its_counts_are_missing(void **state)
{
    struct rig *rig = *state;
    write_process(rig);
    assert_int_equal(rig_open(rig, "self"), 0);
    assert_int_equal(rig_sample(rig), 0);
    rig_expect(rig, "threads", 7, 0, "count");
    assert_int_equal(rig_value(rig, "pending")->kind, VALUE_ABSENT);
    assert_non_null(strstr(rig->driver->lack(rig->instance), "is not the agent"));
}

static void test_a_status_that_is_gone_or_garbage_is_an_error(void **state)
{
    struct rig *rig = *state;
    assert_true(rig_open(rig, "self") < 0);
    assert_non_null(strstr(rig->fault, "/proc/self/status: "));
    write_process(rig);
    assert_int_equal(rig_open(rig, "self"), 0);
    rig_write(rig, "proc/self/status", "\n\n:\n VmRSS\nVmRSS: -1 kB\nThreads: x\n");
    assert_int_equal(rig_sample(rig), E_SYNTAX);
    assert_non_null(strstr(rig->driver->fault(rig->instance), "neither VmRSS nor Threads"));
    rig_remove(rig, "proc/self/status");
    assert_true(rig_sample(rig) < 0);
    assert_non_null(strstr(rig->driver->fault(rig->instance), "is /proc mounted?"));
    write_process(rig);
    assert_int_equal(rig_sample(rig), 0);
}

#define RIG_TEST(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(test_the_process_and_what_the_agent_counts),
        RIG_TEST(test_what_is_not_known_is_absent),
        RIG_TEST(test_without_an_agent_its_counts_are_missing),
        RIG_TEST(test_a_status_that_is_gone_or_garbage_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
