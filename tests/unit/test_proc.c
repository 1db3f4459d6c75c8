/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/base/error.h"
#include "tests/unit/driver_rig.h"

static const char meminfo[] = "MemTotal:        1020304 kB\n"
                              "MemFree:          100000 kB\n"
                              "MemAvailable:     520304 kB\n"
                              "Buffers:           10000 kB\n"
                              "HugePages_Total:       0\n";

static const char net_dev[] =
    "Inter-|   Receive                                                |  Transmit\n"
    " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop "
    "fifo colls carrier compressed\n"
    "    lo:    3267      29    0    0    0     0          0         0     3267      29    0    0 "
    "   0     0       0          0\n"
    "  eth0: 143645886    3417    0    0    0     0          0         0    87001    1147    0    "
    "0    0     0       0          0\n"
    " wwan0:1000 1 0 0 0 0 0 0 2000 2 0 0 0 0 0 0\n";

static void make_tree(struct rig *rig)
{
    rig_write(rig, "proc/loadavg", "0.04 1.11 12.06 1/94 7661\n");
    rig_write(rig, "proc/uptime", "1790.40 3500.50\n");
    rig_write(rig, "proc/meminfo", meminfo);
    rig_write(rig, "proc/net/dev", net_dev);
}

static const char *lack_of(const struct rig *rig)
{
    return rig->driver->lack(rig->instance);
}

static void test_a_machine_is_read(void **state)
{
    struct rig *rig = *state;
    make_tree(rig);
    rig_set(rig, "disk", rig->root);
    assert_int_equal(rig_open(rig, "proc"), 0);
    assert_int_equal(rig_sample(rig), 0);
    assert_int_equal(rig->sample.value_count, rig->channel_count);
    assert_int_equal(rig->sample.boot_ms, 0);
    assert_null(rig->sample.document);
    assert_false(rig->sample.origin.present);
    rig_expect(rig, "load1", 4, 2, "");
    rig_expect(rig, "load5", 111, 2, "");
    rig_expect(rig, "load15", 1206, 2, "");
    rig_expect(rig, "memory_total", 1020304LL * 1024, 0, "B");
    rig_expect(rig, "memory_available", 520304LL * 1024, 0, "B");
    rig_expect(rig, "memory_used", 500000LL * 1024, 0, "B");
    rig_expect(rig, "network_rx", 143645886 + 1000, 0, "B");
    rig_expect(rig, "network_tx", 87001 + 2000, 0, "B");
    rig_expect(rig, "uptime", 179040, 2, "s");
    assert_null(lack_of(rig));
    int64_t total = rig_value(rig, "disk_total")->mantissa;
    assert_true(total > 0);
    assert_in_range(rig_value(rig, "disk_used")->mantissa, 0, total);
    assert_in_range(rig_value(rig, "disk_available")->mantissa, 0, total);
}

static void test_one_interface_is_counted(void **state)
{
    struct rig *rig = *state;
    make_tree(rig);
    rig_set(rig, "interface", "wwan0");
    assert_int_equal(rig_open(rig, "proc"), 0);
    assert_int_equal(rig_sample(rig), 0);
    rig_expect(rig, "network_rx", 1000, 0, "B");
    rig_expect(rig, "network_tx", 2000, 0, "B");
}

static void test_an_interface_that_is_away_is_absent(void **state)
{
    struct rig *rig = *state;
    make_tree(rig);
    rig_set(rig, "interface", "wwan");
    assert_int_equal(rig_open(rig, "proc"), 0);
    assert_int_equal(rig_sample(rig), 0);
    assert_int_equal(rig_value(rig, "network_rx")->kind, VALUE_ABSENT);
    assert_int_equal(rig_value(rig, "uptime")->kind, VALUE_DECIMAL);
    assert_string_equal(lack_of(rig), "interface wwan: there are only lo eth0 wwan0");
}

static void test_no_proc_is_an_error_that_names_it(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(error_errno(rig_open(rig, "proc")), 2);
    assert_non_null(strstr(rig->fault, "/proc/loadavg"));
    assert_non_null(strstr(rig->fault, "mounted"));
}

static void test_a_disk_that_is_away_takes_nothing_with_it(void **state)
{
    struct rig *rig = *state;
    make_tree(rig);
    rig_set(rig, "disk", rig_path(rig, "disk"));
    assert_int_equal(rig_open(rig, "proc"), 0);
    assert_int_equal(rig_sample(rig), 0);
    assert_int_equal(rig_value(rig, "disk_total")->kind, VALUE_ABSENT);
    assert_int_equal(rig_value(rig, "disk_available")->kind, VALUE_ABSENT);
    assert_int_equal(rig_value(rig, "disk_used")->kind, VALUE_ABSENT);
    rig_expect(rig, "load1", 4, 2, "");
    rig_expect(rig, "uptime", 179040, 2, "s");
    assert_non_null(strstr(lack_of(rig), rig_path(rig, "disk: No such file")));
    assert_non_null(strstr(lack_of(rig), "mounted"));
    rig_write(rig, "disk/in", ""); /* it comes later */
    assert_int_equal(rig_sample(rig), 0);
    assert_int_equal(rig_value(rig, "disk_total")->kind, VALUE_DECIMAL);
    assert_null(lack_of(rig));
}

static void test_all_that_is_missing_is_said(void **state)
{
    struct rig *rig = *state;
    make_tree(rig);
    rig_set(rig, "disk", rig_path(rig, "disk"));
    rig_set(rig, "interface", "etth0");
    assert_int_equal(rig_open(rig, "proc"), 0);
    rig_remove(rig, "proc/uptime");
    assert_int_equal(rig_sample(rig), 0);
    assert_non_null(strstr(lack_of(rig), "/proc/uptime: "));
    assert_non_null(strstr(lack_of(rig), "/disk: "));
    assert_non_null(strstr(lack_of(rig), "interface etth0: there are only lo eth0 wwan0"));
}

static void test_files_that_vanish_leave_the_rest(void **state)
{
    struct rig *rig = *state;
    make_tree(rig);
    assert_int_equal(rig_open(rig, "proc"), 0);
    rig_remove(rig, "proc/loadavg");
    rig_remove(rig, "proc/meminfo");
    assert_int_equal(rig_sample(rig), 0);
    assert_int_equal(rig_value(rig, "load1")->kind, VALUE_ABSENT);
    assert_int_equal(rig_value(rig, "memory_total")->kind, VALUE_ABSENT);
    rig_expect(rig, "uptime", 179040, 2, "s");
    rig_remove(rig, "proc/uptime");
    rig_remove(rig, "proc/net/dev");
    assert_int_equal(error_errno(rig_sample(rig)), 2);
    assert_non_null(strstr(rig->driver->fault(rig->instance), "/proc/"));
}

/* ---- what is asked for besides ---- */

static void add_extras(struct rig *rig)
{
    rig_write(rig, "proc/stat",
              "cpu  1000 100 200 5000 300 10 20 30 999 9\ncpu0 1 2 3 4\nintr 1\n");
    rig_write(rig, "proc/pressure/cpu", "some avg10=1.53 avg60=0.87 avg300=0.73 total=6264\n");
    rig_write(rig, "proc/pressure/memory",
              "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
              "full avg10=9.00 avg60=0.00 avg300=0.00 total=0\n");
    rig_write(rig, "proc/pressure/io",
              "full avg10=9.00 avg60=0.00 avg300=0.00 total=0\n"
              "some avg10=12.34 avg60=0.00 avg300=0.00 total=0\n");
    rig_write(rig, "proc/sys/fs/file-nr", "1120\t0\t9223372036854775807\n");
    rig_write(rig, "sys/block/mmcblk0/stat",
              "  9023  2345  100 4000  800  900  7000  300  0  12345  6000  0 0 0 0\n");
    rig_append(rig, "proc/meminfo", "SwapTotal: 1000 kB\nSwapFree: 400 kB\n", 37);
}

static void test_more_is_read_where_it_is_asked_for(void **state)
{
    struct rig *rig = *state;
    static const char *const also[] = {"cpu", "pressure", "swap", "files", "errors"};
    static const char *const also_keys[] = {"also[0]", "also[1]", "also[2]", "also[3]", "also[4]"};
    make_tree(rig);
    add_extras(rig);
    rig_write(rig, "proc/net/dev",
              "eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"
              "eth1: 10 20 30 40 50 60 70 80 90 100 110 120 13 14 15 16\n");
    for (size_t i = 0; i < sizeof also / sizeof also[0]; i++)
        rig_set(rig, also_keys[i], also[i]);
    rig_set(rig, "blocks[0]", "mmcblk0");
    assert_int_equal(rig_open(rig, "proc"), 0);
    rig_write(rig, "proc/stat", "cpu  1200 150 280 5500 370 15 35 50 999 9\n");
    assert_int_equal(rig_sample(rig), 0);
    assert_null(lack_of(rig));
    rig_expect(rig, "load1", 4, 2, "");
    rig_expect(rig, "cpu_user", 266, 1, "%"); /* 250 of 940 ticks */
    rig_expect(rig, "cpu_system", 128, 1, "%");
    rig_expect(rig, "cpu_iowait", 74, 1, "%");
    rig_expect(rig, "cpu_idle", 532, 1, "%");
    rig_expect(rig, "pressure_cpu", 153, 2, "%");
    rig_expect(rig, "pressure_memory", 0, 2, "%");
    rig_expect(rig, "pressure_io", 1234, 2, "%");
    rig_expect(rig, "swap_total", 1000 * 1024, 0, "B");
    rig_expect(rig, "swap_used", 600 * 1024, 0, "B");
    rig_expect(rig, "open_files", 1120, 0, "count");
    rig_expect(rig, "network_rx_errors", 33, 0, "count");
    rig_expect(rig, "network_tx_errors", 121, 0, "count");
    rig_expect(rig, "network_rx_dropped", 44, 0, "count");
    rig_expect(rig, "network_tx_dropped", 132, 0, "count");
    rig_expect(rig, "mmcblk0_read", 100 * 512, 0, "B");
    rig_expect(rig, "mmcblk0_written", 7000 * 512, 0, "B");
    rig_expect(rig, "mmcblk0_busy", 12345, 3, "s");
    assert_int_equal(rig_sample(rig), 0); /* nothing has passed */
    assert_int_equal(rig_value(rig, "cpu_user")->kind, VALUE_ABSENT);
}

static void test_several_disks_and_interfaces_have_values_each(void **state)
{
    struct rig *rig = *state;
    make_tree(rig);
    rig_set(rig, "disks[0].name", "Data");
    rig_set(rig, "disks[0].path", rig->root);
    rig_set(rig, "disks[1].name", "usb");
    rig_set(rig, "disks[1].path", rig_path(rig, "usb"));
    rig_set(rig, "interfaces[0]", "wwan0");
    rig_set(rig, "interfaces[1]", "lo");
    assert_int_equal(rig_open(rig, "proc"), 0);
    assert_int_equal(rig_sample(rig), 0);
    assert_int_equal(rig_value(rig, "disk_data_total")->kind, VALUE_DECIMAL);
    assert_int_equal(rig_value(rig, "disk_usb_total")->kind, VALUE_ABSENT);
    rig_expect(rig, "wwan0_rx", 1000, 0, "B");
    rig_expect(rig, "wwan0_tx", 2000, 0, "B");
    rig_expect(rig, "lo_rx", 3267, 0, "B");
    rig_expect(rig, "network_rx", 143645886 + 1000, 0, "B");
    assert_non_null(strstr(lack_of(rig), "/usb: No such file"));
}

static void test_what_is_asked_for_and_not_there_is_said(void **state)
{
    struct rig *rig = *state;
    make_tree(rig);
    rig_set(rig, "also[0]", "pressure");
    assert_int_equal(rig_open(rig, "proc"), 0);
    assert_int_equal(rig_sample(rig), 0);
    assert_int_equal(rig_value(rig, "pressure_io")->kind, VALUE_ABSENT);
    assert_non_null(strstr(lack_of(rig), "needs CONFIG_PSI"));
    rig_set(rig, NULL, NULL);
    rig_set(rig, "blocks[0]", "sdz");
    rig_set(rig, "interfaces[0]", "wlan9");
    assert_int_equal(rig_open(rig, "proc"), 0);
    assert_int_equal(rig_sample(rig), 0);
    assert_non_null(strstr(lack_of(rig), "/sys/block/sdz/stat: "));
    assert_non_null(strstr(lack_of(rig), "interface wlan9: there are only lo eth0 wwan0"));
}

static void expect_fault(struct rig *rig, const char *key, const char *words)
{
    const char *found = driver_find("proc")->check(&rig->context);
    assert_non_null(found);
    assert_string_equal(found, key);
    assert_non_null(strstr(rig->fault, words));
    assert_int_equal(rig_open(rig, "proc"), E_INVALID);
    rig_set(rig, NULL, NULL);
}

static void test_lists_that_cannot_be_are_refused(void **state)
{
    struct rig *rig = *state;
    make_tree(rig);
    rig_set(rig, "also[0]", "errors");
    rig_set(rig, "interfaces[0]", "a");
    rig_set(rig, "interfaces[1]", "b");
    rig_set(rig, "interfaces[2]", "c");
    expect_fault(rig, "interfaces", "makes 34 values");
    rig_set(rig, "blocks[8]", "a");
    expect_fault(rig, "blocks", "more than 8");
    rig_set(rig, "blocks[0]", "../../etc");
    expect_fault(rig, "blocks", "a path");
    rig_set(rig, "disks[0].name", "a name that is too long");
    expect_fault(rig, "disks", "longer than 16");
    rig_set(rig, "interfaces[0]", "eth0");
    rig_set(rig, "interfaces[1]", "eth0");
    expect_fault(rig, "interfaces", "has eth0 twice");
}

static void test_hostile_extras_give_no_false_values(void **state)
{
    static const char *const texts[] = {"",
                                        "\n",
                                        "cpu",
                                        "cpu \n",
                                        "cpu 1 2 3\n",
                                        "cpu 99999999999999999999 1 1 1 1 1 1 1\n",
                                        "cpu 1 1 1 1 1 1 1 1\n",
                                        "some\n",
                                        "some avg10=\n",
                                        "some avg10=x\n",
                                        "some avg60=1\n",
                                        "1 2 3 4 5 6 7 8 9\n",
                                        "1 2 99999999999999999999 4 5 6 7 8 9 10\n",
                                        "-1\n",
                                        "\xff\n"};
    struct rig *rig = *state;
    make_tree(rig);
    rig_set(rig, "also[0]", "cpu");
    rig_set(rig, "also[1]", "pressure");
    rig_set(rig, "also[2]", "files");
    rig_set(rig, "blocks[0]", "sda");
    add_extras(rig);
    assert_int_equal(rig_open(rig, "proc"), 0);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        rig_write(rig, "proc/stat", texts[i]);
        rig_write(rig, "proc/pressure/cpu", texts[i]);
        rig_write(rig, "sys/block/sda/stat", texts[i]);
        assert_int_equal(rig_sample(rig), 0);
        assert_int_equal(rig_value(rig, "cpu_user")->kind, VALUE_ABSENT);
        assert_int_equal(rig_value(rig, "pressure_cpu")->kind, VALUE_ABSENT);
        assert_int_equal(rig_value(rig, "sda_written")->kind, VALUE_ABSENT);
    }
}

/* Whatever the files hold: no value that is not there, and no reading outside them. */
static void test_hostile_files_give_no_false_values(void **state)
{
    static const char *const texts[] = {
        "",
        "\n",
        " \n \n",
        ":",
        ":::\n",
        "MemTotal:",
        "MemTotal: kB\n",
        "MemTotal: -5 kB\nMemAvailable: 99999999999999999999999 kB\n",
        "MemTotal: 9223372036854775807 kB\nMemAvailable: 1",
        "MemTotal: 5 kB\nMemAvailable: 6 kB",
        "99999999999999999999999999 nan -\n",
        "eth0: 18446744073709551616 0 0 0 0 0 0 0 1\n",
        "eth0: 1 2 3 4 5 6 7 8",
        "\xff\xfe\x01\x02",
    };
    struct rig *rig = *state;
    make_tree(rig);
    rig_set(rig, "disk", rig->root);
    assert_int_equal(rig_open(rig, "proc"), 0);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        rig_write(rig, "proc/loadavg", texts[i]);
        rig_write(rig, "proc/uptime", texts[i]);
        rig_write(rig, "proc/meminfo", texts[i]);
        rig_write(rig, "proc/net/dev", texts[i]);
        assert_int_equal(rig_sample(rig), 0);
        assert_int_equal(rig_value(rig, "load1")->kind, VALUE_ABSENT);
        assert_int_equal(rig_value(rig, "uptime")->kind, VALUE_ABSENT);
        assert_int_equal(rig_value(rig, "memory_used")->kind, VALUE_ABSENT);
        assert_int_equal(rig_value(rig, "network_tx")->kind, VALUE_ABSENT);
        assert_int_equal(rig_value(rig, "disk_total")->kind, VALUE_DECIMAL);
    }
}

static void test_every_prefix_is_survived(void **state)
{
    struct rig *rig = *state;
    char text[sizeof net_dev];
    make_tree(rig);
    assert_int_equal(rig_open(rig, "proc"), 0);
    for (size_t count = 0; count < sizeof net_dev; count++) {
        (void)snprintf(text, sizeof text, "%.*s", (int)count, net_dev);
        rig_write(rig, "proc/net/dev", text);
        (void)snprintf(text, sizeof text, "%.*s", (int)count, meminfo);
        rig_write(rig, "proc/meminfo", text);
        assert_int_equal(rig_sample(rig), 0);
    }
}

static void test_a_table_too_long_is_absent(void **state)
{
    struct rig *rig = *state;
    char *text = malloc(20001);
    assert_non_null(text);
    memset(text, 'x', 20000);
    text[20000] = '\0';
    make_tree(rig);
    assert_int_equal(rig_open(rig, "proc"), 0);
    rig_write(rig, "proc/net/dev", text);
    rig_write(rig, "proc/loadavg", text);
    assert_int_equal(rig_sample(rig), 0);
    assert_int_equal(rig_value(rig, "network_rx")->kind, VALUE_ABSENT);
    assert_int_equal(rig_value(rig, "load1")->kind, VALUE_ABSENT);
    free(text);
}

#define RIG_TEST(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(test_a_machine_is_read),
        RIG_TEST(test_one_interface_is_counted),
        RIG_TEST(test_an_interface_that_is_away_is_absent),
        RIG_TEST(test_no_proc_is_an_error_that_names_it),
        RIG_TEST(test_a_disk_that_is_away_takes_nothing_with_it),
        RIG_TEST(test_all_that_is_missing_is_said),
        RIG_TEST(test_files_that_vanish_leave_the_rest),
        RIG_TEST(test_more_is_read_where_it_is_asked_for),
        RIG_TEST(test_several_disks_and_interfaces_have_values_each),
        RIG_TEST(test_what_is_asked_for_and_not_there_is_said),
        RIG_TEST(test_lists_that_cannot_be_are_refused),
        RIG_TEST(test_hostile_extras_give_no_false_values),
        RIG_TEST(test_hostile_files_give_no_false_values),
        RIG_TEST(test_every_prefix_is_survived),
        RIG_TEST(test_a_table_too_long_is_absent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
