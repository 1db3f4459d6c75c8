/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/base/error.h"
#include "platform/machine.h"

/* A root with the kernel's files that a test writes. */
struct machine {
    char root[40];
};

static int set_up(void **state)
{
    struct machine *machine = calloc(1, sizeof *machine);
    assert_non_null(machine);
    strcpy(machine->root, "/tmp/test_machine.XXXXXX");
    assert_non_null(mkdtemp(machine->root));
    *state = machine;
    return 0;
}

static int tear_down(void **state)
{
    struct machine *machine = *state;
    char command[64];
    (void)snprintf(command, sizeof command, "rm -r %s", machine->root);
    assert_int_equal(system(command), 0);
    free(machine);
    return 0;
}

/* Makes the folders above the last part of PATH. */
static void make_folders(const struct machine *machine, char *path)
{
    for (char *slash = strchr(path + strlen(machine->root) + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(path, 0700);
        *slash = '/';
    }
}

static void write_value(const struct machine *machine, const char *name, const char *text)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", machine->root, name);
    make_folders(machine, path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* A network interface as the kernel shows it: a link into the tree of devices. */
static void add_interface(const struct machine *machine, const char *name, const char *bus,
                          const char *address, const char *type)
{
    char device[128];
    char path[256];
    char target[256];
    (void)snprintf(device, sizeof device, "sys/devices/%s/net/%s", bus, name);
    (void)snprintf(path, sizeof path, "%s/address", device);
    write_value(machine, path, address);
    (void)snprintf(path, sizeof path, "%s/addr_assign_type", device);
    write_value(machine, path, type);
    (void)snprintf(path, sizeof path, "%s/sys/class/net/%s", machine->root, name);
    make_folders(machine, path);
    (void)snprintf(target, sizeof target, "../../devices/%s/net/%s", bus, name);
    assert_int_equal(symlink(target, path), 0);
}

static void drop_interface(const struct machine *machine, const char *name)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/sys/class/net/%s", machine->root, name);
    assert_int_equal(unlink(path), 0);
}

static struct machine_mark mark_of(const struct machine *machine)
{
    struct machine_mark mark;
    machine_get_mark(machine->root, &mark);
    return mark;
}

/* ---- the serial number ---- */

static void expect_serial(const struct machine *machine, const char *expected)
{
    char serial[MACHINE_SERIAL_BYTES] = "untouched";
    int rc = machine_get_serial(machine->root, serial);
    assert_int_equal(rc, expected != NULL ? E_OK : E_NOT_FOUND);
    assert_string_equal(serial, expected != NULL ? expected : "untouched");
}

static void the_device_tree_comes_before_the_kernel_and_dmi(void **state)
{
    const struct machine *machine = *state;
    expect_serial(machine, NULL);
    write_value(machine, "sys/class/dmi/id/board_serial", "B-1\n");
    expect_serial(machine, "B-1");
    write_value(machine, "sys/class/dmi/id/product_serial", "P-1\n");
    expect_serial(machine, "P-1");
    write_value(machine, "proc/cpuinfo", "Hardware\t: x\nSerial\t\t: 10000000abcdef01\n");
    expect_serial(machine, "10000000abcdef01");
    write_value(machine, "sys/firmware/devicetree/base/serial-number", "DT-1");
    expect_serial(machine, "DT-1");
}

static void fillers_are_no_serial_numbers(void **state)
{
    static const char *const fillers[] = {
        "To Be Filled By O.E.M.\n", "Default string", "0000000000", "FFFFFFFF", "None\n", "", "\n"};
    const struct machine *machine = *state;
    write_value(machine, "proc/cpuinfo", "Serial\t\t: 0000000000000000\n");
    for (size_t i = 0; i < sizeof fillers / sizeof fillers[0]; i++) {
        write_value(machine, "sys/class/dmi/id/product_serial", fillers[i]);
        expect_serial(machine, NULL);
    }
    write_value(machine, "sys/class/dmi/id/board_serial", "B-1\n");
    expect_serial(machine, "B-1");
}

static void a_number_that_only_root_may_read_is_told_from_none(void **state)
{
    const struct machine *machine = *state;
    char serial[MACHINE_SERIAL_BYTES];
    char path[128];
    if (geteuid() == 0)
        skip(); /* who may read everything */
    write_value(machine, "sys/class/dmi/id/product_serial", "P-1\n");
    (void)snprintf(path, sizeof path, "%s/sys/class/dmi/id/product_serial", machine->root);
    assert_int_equal(chmod(path, 0), 0);
    assert_int_equal(error_errno(machine_get_serial(machine->root, serial)), EACCES);
}

/* ---- the mark ---- */

static void nothing_is_known_of_a_machine_that_says_nothing(void **state)
{
    const struct machine_mark none = {0};
    const struct machine *machine = *state;
    add_interface(machine, "lo", "virtual", "00:00:00:00:00:00\n", "0\n");
    add_interface(machine, "br0", "virtual", "00:16:3e:00:00:01\n", "0\n");
    add_interface(machine, "eth0", "pci0000:00/usb1/1-1/1-1:1.0", "00:16:3e:00:00:02\n", "0\n");
    add_interface(machine, "eth1", "platform/1.ethernet", "00:16:3e:00:00:03\n", "1\n");
    add_interface(machine, "eth2", "platform/2.ethernet", "00:16:3e:00:00:04\n", "3\n");
    add_interface(machine, "eth3", "platform/3.ethernet", "00:00:00:00:00:00\n", "0\n");
    add_interface(machine, "eth4", "platform/4.ethernet", "5a:1c:33:00:00:05\n", "0\n");
    struct machine_mark mark = mark_of(machine);
    assert_memory_equal(&mark, &none, sizeof mark);
}

static void a_machine_without_a_number_is_known_by_its_addresses(void **state)
{
    const struct machine *machine = *state;
    add_interface(machine, "eth0", "platform/1.ethernet", "00:16:3e:00:00:01\n", "0\n");
    add_interface(machine, "wlan0", "platform/mmc1", "00:16:3e:00:00:02\n", "0\n");
    struct machine_mark before = mark_of(machine);
    assert_int_not_equal(before.addresses[1], 0);

    drop_interface(machine, "wlan0"); /* its driver comes later */
    struct machine_mark now = mark_of(machine);
    assert_false(machine_is_other(&before, &now));
    assert_false(machine_is_other(&now, &before));

    drop_interface(machine, "eth0"); /* another kernel has other names for them */
    add_interface(machine, "end0", "platform/1.ethernet", "00:16:3e:00:00:01\n", "0\n");
    now = mark_of(machine);
    assert_false(machine_is_other(&before, &now));

    drop_interface(machine, "end0");
    now = mark_of(machine);
    assert_false(machine_is_other(&before, &now)); /* nothing is there to be compared */

    add_interface(machine, "end1", "platform/2.ethernet", "00:16:3e:00:00:11\n", "0\n");
    now = mark_of(machine);
    assert_true(machine_is_other(&before, &now));
}

static void serial_numbers_decide_where_both_are_known(void **state)
{
    const struct machine *machine = *state;
    struct machine_mark none = {0};
    write_value(machine, "proc/cpuinfo", "Serial\t\t: 1000\n");
    add_interface(machine, "eth0", "platform/1.ethernet", "00:16:3e:00:00:01\n", "0\n");
    struct machine_mark before = mark_of(machine);
    drop_interface(machine, "eth0");
    add_interface(machine, "eth1", "platform/2.ethernet", "00:16:3e:00:00:02\n", "0\n");
    struct machine_mark other_card = mark_of(machine);
    assert_false(machine_is_other(&before, &other_card));
    write_value(machine, "proc/cpuinfo", "Serial\t\t: 2000\n");
    struct machine_mark other = mark_of(machine);
    assert_true(machine_is_other(&before, &other));
    assert_false(machine_is_other(&before, &none));
    assert_false(machine_is_other(&none, &other));
    other.serial = 0; /* who asks may not read it */
    assert_true(machine_is_other(&before, &other));
}

static void what_is_learnt_stays(void **state)
{
    (void)state;
    struct machine_mark mark = {.addresses = {5}};
    machine_learn(&mark, &(struct machine_mark){0});
    assert_int_equal(mark.addresses[0], 5);
    machine_learn(&mark, &(struct machine_mark){.serial = 9, .addresses = {3, 5}});
    assert_int_equal(mark.serial, 9);
    assert_int_equal(mark.addresses[0], 3);
    assert_int_equal(mark.addresses[1], 5);
    machine_learn(&mark, &(struct machine_mark){.addresses = {3}});
    assert_int_equal(mark.serial, 9);
    assert_int_equal(mark.addresses[1], 5);
    /* Its interfaces were replaced: those before are nobody's any more. */
    machine_learn(&mark, &(struct machine_mark){.serial = 9, .addresses = {7}});
    assert_int_equal(mark.addresses[0], 7);
    assert_int_equal(mark.addresses[1], 0);
}

/* As kernels print it, in decimal, and as some drivers do. */
static void a_watchdog_that_reset_the_machine_is_found(void **state)
{
    const struct machine *machine = *state;
    assert_false(machine_was_reset(machine->root));
    write_value(machine, "sys/class/watchdog/watchdog0/bootstatus", "0\n");
    assert_false(machine_was_reset(machine->root));
    write_value(machine, "sys/class/watchdog/watchdog1/bootstatus", "1\n"); /* it overheated */
    assert_false(machine_was_reset(machine->root));
    write_value(machine, "sys/class/watchdog/watchdog1/bootstatus", "33\n");
    assert_true(machine_was_reset(machine->root));
    write_value(machine, "sys/class/watchdog/watchdog1/bootstatus", "0x20\n");
    assert_true(machine_was_reset(machine->root));
    write_value(machine, "sys/class/watchdog/watchdog1/bootstatus", "none\n");
    assert_false(machine_was_reset(machine->root));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_device_tree_comes_before_the_kernel_and_dmi, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(fillers_are_no_serial_numbers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_number_that_only_root_may_read_is_told_from_none, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_known_of_a_machine_that_says_nothing, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_machine_without_a_number_is_known_by_its_addresses,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(serial_numbers_decide_where_both_are_known, set_up,
                                        tear_down),
        cmocka_unit_test(what_is_learnt_stays),
        cmocka_unit_test_setup_teardown(a_watchdog_that_reset_the_machine_is_found, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
