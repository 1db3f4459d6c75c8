/* SPDX-License-Identifier: Apache-2.0 */
/* Whom the agent believes about the time, whatever somebody sets. */
#include "tests/unit/unit.h"

#include "agent/agent_state.h"
#include "platform/clock.h"

#define SECOND INT64_C(1000)
#define HOUR   (3600 * SECOND)
#define DAY    (24 * HOUR)
static const int64_t today = INT64_C(1795392000000);

/* The machine's clocks stand still unless a test moves them. */
static struct {
    int64_t boot_ms;
    int64_t offset_ms; /* wall = boot + offset */
    bool synced;
    unsigned asked;
} machine;

int64_t __wrap_clock_boot_ms(void);
int64_t __wrap_clock_wall_ms(void);
bool __wrap_clock_kernel_synced(void);

int64_t __wrap_clock_boot_ms(void)
{
    return machine.boot_ms;
}

int64_t __wrap_clock_wall_ms(void)
{
    return machine.boot_ms + machine.offset_ms;
}

bool __wrap_clock_kernel_synced(void)
{
    machine.asked++;
    return machine.synced;
}

static struct agent_clock begin(int64_t offset_ms, bool synced)
{
    machine.boot_ms = 100 * SECOND;
    machine.offset_ms = offset_ms;
    machine.synced = synced;
    machine.asked = 0;
    return (struct agent_clock){.lock = AGENT_CLOCK_LOCK};
}

static void check(struct agent_clock *clock, int64_t offset_ms, enum time_quality quality)
{
    struct spool_clock_reading reading;
    agent_clock_read(clock, &reading);
    assert_int_equal(reading.boot_ms, machine.boot_ms);
    assert_int_equal(reading.offset_ms, offset_ms);
    assert_int_equal(reading.quality, quality);
}

static void pass(int64_t ms)
{
    machine.boot_ms += ms;
}

static void nobody_vouches_for_a_clock_that_was_never_set(void **state)
{
    (void)state;
    struct agent_clock clock = begin(0, false);
    check(&clock, 0, TIME_ESTIMATED);
    pass(DAY);
    check(&clock, 0, TIME_ESTIMATED);
}

static void the_kernel_is_asked_at_most_once_a_second(void **state)
{
    (void)state;
    struct agent_clock clock = begin(today, true);
    for (int i = 0; i < 10; i++) {
        check(&clock, today, TIME_SYNCED);
        pass(99);
    }
    assert_int_equal(machine.asked, 1);
    pass(SECOND);
    check(&clock, today, TIME_SYNCED);
    assert_int_equal(machine.asked, 2);
}

/* date -s takes back the kernel's word; what it said before holds by the boot clock. */
static void a_step_of_a_clock_that_was_synchronised_changes_nothing(void **state)
{
    (void)state;
    static const int64_t steps[] = {DAY, -DAY, 3 * SECOND, -3 * SECOND};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        struct agent_clock clock = begin(today, true);
        check(&clock, today, TIME_SYNCED);
        machine.offset_ms += steps[i];
        machine.synced = false;
        check(&clock, today, TIME_SYNCED); /* within the second, too */
        pass(HOUR);
        check(&clock, today, TIME_SYNCED);
        machine.offset_ms = today + 700;
        machine.synced = true;
        check(&clock, today + 700, TIME_SYNCED);
    }
}

static void a_date_is_believed_by_the_boot_clock(void **state)
{
    (void)state;
    struct agent_clock clock = begin(0, false);
    agent_clock_learn(&clock, today);
    check(&clock, today, TIME_SYNCED);
    machine.offset_ms = today + 1500; /* somebody set the clock by hand, and well */
    check(&clock, today + 1500, TIME_SYNCED);
    machine.offset_ms = today + DAY; /* and not well */
    check(&clock, today, TIME_SYNCED);
    machine.offset_ms = today - DAY;
    check(&clock, today, TIME_SYNCED);
}

static void dates_jitter(void **state)
{
    (void)state;
    struct agent_clock clock = begin(0, false);
    agent_clock_learn(&clock, today);
    agent_clock_learn(&clock, today + 1999);
    check(&clock, today, TIME_SYNCED);
    agent_clock_learn(&clock, today - 1999);
    check(&clock, today, TIME_SYNCED);
    agent_clock_learn(&clock, today + 2001);
    check(&clock, today + 2001, TIME_SYNCED);
}

static void after_hours_without_a_word_it_is_a_guess_until_the_drift_is_known(void **state)
{
    (void)state;
    struct agent_clock clock = begin(0, false);
    agent_clock_learn(&clock, today);
    pass(6 * HOUR);
    check(&clock, today, TIME_SYNCED);
    agent_clock_learn(&clock, today + 1000); /* which says that it is still so */
    pass(6 * HOUR);
    check(&clock, today, TIME_SYNCED);
    pass(1);
    check(&clock, today, TIME_CORRECTED);
    pass(30 * DAY); /* asleep */
    check(&clock, today, TIME_CORRECTED);
    agent_clock_learn(&clock, today + 90 * SECOND);
    check(&clock, today + 90 * SECOND, TIME_SYNCED);
}

static void the_kernels_word_is_finer_than_a_date(void **state)
{
    (void)state;
    struct agent_clock clock = begin(today, true);
    agent_clock_learn(&clock, today + 4 * 60 * SECOND); /* a sloppy server's */
    check(&clock, today, TIME_SYNCED);
}

static void a_kernel_that_is_a_day_off_is_not_believed(void **state)
{
    (void)state;
    struct agent_clock clock = begin(today + DAY, true);
    check(&clock, today + DAY, TIME_SYNCED); /* nobody knew better */
    agent_clock_learn(&clock, today);
    check(&clock, today, TIME_SYNCED);
    pass(7 * HOUR);
    check(&clock, today, TIME_CORRECTED); /* its word does not become better by waiting */
    machine.offset_ms = today + SECOND;
    check(&clock, today + SECOND, TIME_SYNCED);
}

static void one_date_against_kernel_and_another_is_outvoted(void **state)
{
    (void)state;
    struct agent_clock clock = begin(today, true);
    agent_clock_learn(&clock, today);
    agent_clock_learn(&clock, today - DAY);
    check(&clock, today, TIME_SYNCED);
    machine.synced = false;
    pass(2 * SECOND);
    check(&clock, today, TIME_SYNCED);
    agent_clock_learn(&clock, today - DAY); /* the kernel has no vote any more */
    check(&clock, today - DAY, TIME_SYNCED);
}

static void a_restart_recalls_what_was_trusted(void **state)
{
    (void)state;
    struct agent_clock clock = begin(0, false);
    agent_clock_recall(&clock, 40 * SECOND, today);
    check(&clock, today, TIME_SYNCED);
    pass(6 * HOUR);
    check(&clock, today, TIME_CORRECTED);
    clock = begin(today + 5 * SECOND, true);
    check(&clock, today + 5 * SECOND, TIME_SYNCED);
    agent_clock_recall(&clock, 40 * SECOND, today); /* the kernel knows by now */
    machine.synced = false;
    machine.offset_ms = 0;
    check(&clock, today + 5 * SECOND, TIME_SYNCED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_vouches_for_a_clock_that_was_never_set),
        cmocka_unit_test(the_kernel_is_asked_at_most_once_a_second),
        cmocka_unit_test(a_step_of_a_clock_that_was_synchronised_changes_nothing),
        cmocka_unit_test(a_date_is_believed_by_the_boot_clock),
        cmocka_unit_test(dates_jitter),
        cmocka_unit_test(after_hours_without_a_word_it_is_a_guess_until_the_drift_is_known),
        cmocka_unit_test(the_kernels_word_is_finer_than_a_date),
        cmocka_unit_test(a_kernel_that_is_a_day_off_is_not_believed),
        cmocka_unit_test(one_date_against_kernel_and_another_is_outvoted),
        cmocka_unit_test(a_restart_recalls_what_was_trusted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
