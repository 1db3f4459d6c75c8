/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "agent/intake/collect.h"
#include "platform/base/error.h"
#include "platform/clock.h"
#include "tests/unit/driver_rig.h"
#include "tests/unit/fake_spool.h"

/* The example of drivers/README.md, compiled from there, among the drivers of this program. */
extern const struct driver driver_battery;

const struct driver *__real_driver_find(const char *name);
const struct driver *__wrap_driver_find(const char *name);
const struct driver *__wrap_driver_find(const char *name)
{
    return strcmp(name, driver_battery.name) == 0 ? &driver_battery : __real_driver_find(name);
}

#define CAPACITY "sys/class/power_supply/BAT0/capacity"

static void plug_in(struct rig *rig)
{
    rig_set(rig, "supply", "BAT0");
    rig_write(rig, CAPACITY, "87\n");
}

static void test_it_reads_what_the_kernel_says(void **state)
{
    struct rig *rig = *state;
    plug_in(rig);
    assert_int_equal(rig_open(rig, "battery"), 0);
    assert_int_equal(rig_sample(rig), 0);
    assert_int_equal(rig->channel_count, 1);
    rig_expect(rig, "charge", 87, 0, "%EL");
}

static void test_absence_and_unplugging_name_the_path(void **state)
{
    struct rig *rig = *state;
    rig_set(rig, "supply", "BAT0");
    assert_int_equal(error_errno(rig_open(rig, "battery")), 2);
    assert_non_null(strstr(rig->fault, CAPACITY ": No such file"));
    plug_in(rig);
    assert_int_equal(rig_open(rig, "battery"), 0);
    rig_remove(rig, CAPACITY);
    assert_int_equal(error_errno(rig_sample(rig)), 2);
    assert_non_null(strstr(rig->driver->fault(rig->instance), CAPACITY));
}

static void test_garbage_is_refused(void **state)
{
    static const struct {
        const char *text;
        int code;
    } rows[] = {{"full\n", E_SYNTAX}, {"\n", E_SYNTAX}, {"9223372036854775808\n", E_RANGE}};
    struct rig *rig = *state;
    plug_in(rig);
    assert_int_equal(rig_open(rig, "battery"), 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        rig_write(rig, CAPACITY, rows[i].text);
        assert_int_equal(rig_sample(rig), rows[i].code);
        assert_non_null(strstr(rig->driver->fault(rig->instance), CAPACITY));
    }
}

static void test_the_agent_collects_it(void **state)
{
    struct rig *rig = *state;
    struct spool *spool = calloc(1, sizeof *spool);
    struct collect *collect;
    assert_non_null(spool);
    plug_in(rig);
    const struct collect_sensor sensor = {.name = "ups",
                                          .driver = &driver_battery,
                                          .settings = rig->settings,
                                          .setting_count = rig->context.setting_count,
                                          .interval_ms = 5,
                                          .timeout_ms = 1000,
                                          .lane = LANE_NORMAL};
    const struct collect_options options = {.sensors = &sensor,
                                            .sensor_count = 1,
                                            .device = "gw",
                                            .spool = spool,
                                            .stop = &rig->stop,
                                            .root = rig->root,
                                            .document_bytes_max = 4096};
    fake_spool_init(spool);
    assert_int_equal(collect_open(&options, &collect), 0);
    assert_int_equal(collect_start(collect), 0);
    fake_spool_wait(spool, "ups", 3);
    assert_int_equal(collect_stop(collect, clock_mono_ms() + 60000), 0);
    struct fake_record record = fake_spool_record(spool, "ups", 2);
    assert_int_equal(record.value_count, 1);
    assert_int_equal(record.value.mantissa, 87);
    assert_string_equal(spool->sensors[0].channels[0].unit, "%EL");
    collect_close(collect);
    fake_spool_free(spool);
    free(spool);
}

#define RIG_TEST(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(test_it_reads_what_the_kernel_says),
        RIG_TEST(test_absence_and_unplugging_name_the_path),
        RIG_TEST(test_garbage_is_refused),
        RIG_TEST(test_the_agent_collects_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
