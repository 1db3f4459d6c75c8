/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drivers/iio_buffer/scan.h"
#include "platform/base/error.h"
#include "platform/clock.h"
#include "platform/fs.h"
#include "tests/unit/driver_rig.h"

#define FOLDER "sys/bus/iio/devices/iio:device0/"

/* ---- the layout of scans ---- */

static void test_types_are_read_as_the_kernel_writes_them(void **state)
{
    static const struct {
        const char *text;
        int rc;
        struct scan_type type;
    } rows[] = {
        {"le:s12/16>>4", 0, {false, true, 12, 2, 4, 1}},
        {"be:u24/32>>8", 0, {true, false, 24, 4, 8, 1}},
        {"le:s64/64>>0", 0, {false, true, 64, 8, 0, 1}},
        {"le:u8/8", 0, {false, false, 8, 1, 0, 1}},
        {"be:s16/16X4>>0", 0, {true, true, 16, 2, 0, 4}},
        {"", E_SYNTAX, {0}},
        {"me:s12/16>>4", E_SYNTAX, {0}},
        {"le:x12/16>>4", E_SYNTAX, {0}},
        {"le:s12", E_SYNTAX, {0}},
        {"le:s12/", E_SYNTAX, {0}},
        {"le:s12/16>4", E_SYNTAX, {0}},
        {"le:s12/16>>4 ", E_SYNTAX, {0}},
        {"le:f32/32>>0", E_UNSUPPORTED, {0}},
        {"le:s24/24>>0", E_UNSUPPORTED, {0}},
        {"le:s16/16X3>>0", E_UNSUPPORTED, {0}},
        {"le:s0/16>>0", E_RANGE, {0}},
        {"le:s16/16>>1", E_RANGE, {0}},
        {"le:s16/16X0", E_RANGE, {0}},
        {"le:s99999999999/16", E_RANGE, {0}},
        {"le:s128/128>>0", E_UNSUPPORTED, {0}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct scan_type type = {0};
        assert_int_equal(scan_parse_type(rows[i].text, &type), rows[i].rc);
        assert_int_equal(type.is_big_endian, rows[i].type.is_big_endian);
        assert_int_equal(type.is_signed, rows[i].type.is_signed);
        assert_int_equal(type.bits, rows[i].type.bits);
        assert_int_equal(type.storage, rows[i].type.storage);
        assert_int_equal(type.shift, rows[i].type.shift);
        assert_int_equal(type.repeat, rows[i].type.repeat);
    }
}

static struct scan_element element(unsigned index, unsigned storage, unsigned repeat)
{
    return (struct scan_element){.index = index,
                                 .type = {.bits = 8, .storage = storage, .repeat = repeat},
                                 .tag = (int)index};
}

static void test_elements_are_sorted_aligned_and_padded(void **state)
{
    struct scan_element elements[] = {element(9, 8, 1), element(0, 1, 1), element(4, 4, 1),
                                      element(2, 2, 1), element(1, 1, 1), element(6, 2, 4)};
    static const size_t offsets[] = {0, 1, 2, 4, 8, 16};
    (void)state;
    assert_int_equal(scan_lay_out(elements, 6, 64), 24);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(elements[i].offset, offsets[i]);
    struct scan_element tail[] = {element(0, 4, 1), element(1, 2, 1)};
    assert_int_equal(scan_lay_out(tail, 2, 64), 8); /* padded to the largest */
    assert_int_equal(scan_lay_out(tail, 2, 7), E_TOO_BIG);
    struct scan_element twice[] = {element(3, 4, 1), element(3, 2, 1)};
    assert_int_equal(scan_lay_out(twice, 2, 64), E_INVALID);
}

static void test_numbers_are_cut_out_of_their_bytes(void **state)
{
    static const struct {
        const char *type;
        uint8_t bytes[8];
        int rc;
        int64_t number;
    } rows[] = {
        {"le:s12/16>>4", {0x5f, 0x80}, 0, -2043},
        {"le:s12/16>>4", {0xff, 0x7f}, 0, 2047},
        {"be:s12/16>>4", {0x80, 0x0f}, 0, -2048},
        {"le:u13/16>>0", {0x49, 0xe0}, 0, 73}, /* what lies above the bits is not ours */
        {"be:u24/32>>8", {0x12, 0x34, 0x56, 0xff}, 0, 0x123456},
        {"le:s8/8>>0", {0xff}, 0, -1},
        {"le:s1/8>>7", {0x80}, 0, -1},
        {"le:s64/64>>0", {0, 0, 0, 0, 0, 0, 0, 0x80}, 0, INT64_MIN},
        {"be:s64/64>>0", {0x7f, 255, 255, 255, 255, 255, 255, 255}, 0, INT64_MAX},
        {"le:u64/64>>0", {255, 255, 255, 255, 255, 255, 255, 0x7f}, 0, INT64_MAX},
        {"le:u64/64>>0", {0, 0, 0, 0, 0, 0, 0, 0x80}, E_RANGE, 0},
        {"le:s48/64>>2", {0xfc, 255, 255, 255, 255, 255, 3, 0x55}, 0, -1},
    };
    struct scan_type type;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t number = 0;
        assert_int_equal(scan_parse_type(rows[i].type, &type), 0);
        assert_int_equal(scan_decode(&type, rows[i].bytes, &number), rows[i].rc);
        assert_int_equal(number, rows[i].number);
    }
}

/* ---- the driver, over a fake tree and a FIFO in place of the device ---- */

struct bench {
    struct rig *rig;
    int writer;
};

static void put(struct rig *rig, const char *attribute, const char *text)
{
    char path[128];
    (void)snprintf(path, sizeof path, FOLDER "%s", attribute);
    rig_write(rig, path, text);
}

static void expect_text(struct rig *rig, const char *attribute, const char *expected)
{
    char path[128];
    char text[64];
    (void)snprintf(path, sizeof path, FOLDER "%s", attribute);
    assert_true(fs_read_file(rig_path(rig, path), text, sizeof text) >= 0);
    text[strcspn(text, "\n")] = '\0';
    assert_string_equal(text, expected);
}

static void put_element(struct rig *rig, const char *id, const char *index, const char *type)
{
    char attribute[96];
    (void)snprintf(attribute, sizeof attribute, "scan_elements/in_%s_index", id);
    put(rig, attribute, index);
    (void)snprintf(attribute, sizeof attribute, "scan_elements/in_%s_type", id);
    put(rig, attribute, type);
    (void)snprintf(attribute, sizeof attribute, "scan_elements/in_%s_en", id);
    put(rig, attribute, "0\n");
}

/* The kernel's dummy device with its buffer. */
static void put_dummy(struct rig *rig)
{
    put(rig, "name", "dummy\n");
    put(rig, "in_voltage0_scale", "0.001333\n");
    put(rig, "in_voltage0_offset", "7\n");
    put(rig, "in_voltage-voltage_scale", "0.000001344\n");
    put_element(rig, "timestamp", "4\n", "le:s64/64>>0\n");
    put_element(rig, "accel_x", "3\n", "le:s16/16>>0\n");
    put_element(rig, "voltage3-voltage4", "2\n", "le:s11/16>>0\n");
    put_element(rig, "voltage1-voltage2", "1\n", "le:s12/16>>0\n");
    put_element(rig, "voltage0", "0\n", "le:u13/16>>0\n");
    put(rig, "buffer/enable", "0\n");
    put(rig, "buffer/length", "2\n");
    put(rig, "buffer/watermark", "1\n");
    put(rig, "trigger/current_trigger", "\n");
    put(rig, "current_timestamp_clock", "realtime\n");
    rig_write(rig, "sys/bus/iio/devices/trigger3/name", "hrt0\n");
    rig_write(rig, "sys/bus/iio/devices/trigger3/sampling_frequency", "100\n");
    rig_write(rig, "dev/here", "");
}

static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    void *rig = NULL;
    assert_non_null(bench);
    assert_int_equal(rig_setup(&rig), 0);
    bench->rig = rig;
    put_dummy(bench->rig);
    const char *device = rig_path(bench->rig, "dev/iio:device0");
    assert_int_equal(mkfifo(device, 0600), 0);
    bench->writer = open(device, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    assert_true(bench->writer >= 0);
    bench->rig->context.interval_ms = 10000;
    bench->rig->context.timeout_ms = 5000;
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;
    void *rig = bench->rig;
    if (bench->writer >= 0)
        (void)close(bench->writer);
    free(bench);
    return rig_teardown(&rig);
}

static void put_number(uint8_t *bytes, size_t count, int64_t number)
{
    for (size_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)((uint64_t)number >> (8 * i));
}

/* A scan of all elements as the dummy device makes it. */
static void put_scan(const struct bench *bench, int64_t voltage, int64_t accel, int64_t time_ns)
{
    uint8_t scan[16];
    put_number(scan, 2, voltage);
    put_number(scan + 2, 2, 33);
    put_number(scan + 4, 2, -34);
    put_number(scan + 6, 2, accel);
    put_number(scan + 8, 8, time_ns);
    assert_int_equal(write(bench->writer, scan, sizeof scan), sizeof scan);
}

static int next(struct rig *rig)
{
    return rig->driver->read(rig->instance, &rig->sample);
}

static int fetch(struct rig *rig)
{
    return rig->driver->fetch(rig->instance, clock_mono_ms());
}

static void test_scans_become_samples_with_their_time(void **state)
{
    struct bench *bench = *state;
    struct rig *rig = bench->rig;
    int64_t now_ms = clock_boot_ms();
    rig_set(rig, "trigger", "hrt0");
    rig_set(rig, "frequency", "1000");
    assert_int_equal(rig_open(rig, "iio_buffer"), 0);
    expect_text(rig, "buffer/enable", "1");
    expect_text(rig, "buffer/length", "256");
    expect_text(rig, "buffer/watermark", "128");
    expect_text(rig, "trigger/current_trigger", "hrt0");
    expect_text(rig, "current_timestamp_clock", "boottime");
    expect_text(rig, "scan_elements/in_timestamp_en", "1");
    expect_text(rig, "../trigger3/sampling_frequency", "1000");
    assert_int_equal(rig->channel_count, 4);
    assert_string_equal(rig->channels[0].name, "voltage0"); /* as they lie in the scan */
    assert_string_equal(rig->channels[3].name, "accel_x");
    assert_int_equal(fetch(rig), E_AGAIN);
    put_scan(bench, 73, 34, (now_ms - 20) * 1000000);
    put_scan(bench, 74, -35, (now_ms - 19) * 1000000 + 999999);
    assert_int_equal(fetch(rig), 0);
    assert_int_equal(next(rig), 0);
    assert_int_equal(rig->sample.boot_ms, now_ms - 20);
    rig_expect(rig, "voltage0", 106640, 9, "V");
    rig_expect(rig, "voltage1-voltage2", 44352, 12, "V");
    rig_expect(rig, "voltage3-voltage4", -45696, 12, "V");
    rig_expect(rig, "accel_x", 34, 0, "");
    assert_int_equal(next(rig), 0);
    assert_int_equal(rig->sample.boot_ms, now_ms - 19);
    rig_expect(rig, "voltage0", 107973, 9, "V");
    rig_expect(rig, "accel_x", -35, 0, "");
    assert_int_equal(next(rig), E_AGAIN);
    assert_int_equal(fetch(rig), E_AGAIN);
    rig_close(rig);
    expect_text(rig, "buffer/enable", "0");
}

static void test_chosen_channels_change_the_layout(void **state)
{
    struct bench *bench = *state;
    struct rig *rig = bench->rig;
    uint8_t scan[16] = {0x21, 0x00, 0xee, 0xee};
    put(rig, "scan_elements/in_voltage0_en", "1\n"); /* left on by somebody */
    rig_set(rig, "channels", "voltage1-voltage2 magn");
    assert_int_equal(rig_open(rig, "iio_buffer"), 0);
    expect_text(rig, "scan_elements/in_voltage0_en", "0");
    assert_int_equal(rig->channel_count, 1);
    put_number(scan + 8, 8, 1);
    assert_int_equal(write(bench->writer, scan, sizeof scan), sizeof scan);
    assert_int_equal(fetch(rig), 0);
    assert_int_equal(next(rig), 0);
    rig_expect(rig, "voltage1-voltage2", 44352, 12, "V");
    assert_non_null(strstr(rig->driver->lack(rig->instance), "no channel magn"));
}

/* Some chips switch channels in pairs: what is on counts, not what was asked for. */
static void test_a_channel_that_came_along_is_stepped_over(void **state)
{
    struct bench *bench = *state;
    struct rig *rig = bench->rig;
    uint8_t scan[16] = {0x49, 0x00, 0xee, 0xee, 0x22, 0x00};
    rig_remove(rig, FOLDER "scan_elements/in_voltage1-voltage2_en");
    assert_int_equal(
        symlink("in_voltage0_en", rig_path(rig, FOLDER "scan_elements/in_voltage1-voltage2_en")),
        0);
    rig_set(rig, "channels", "voltage0,accel_x");
    assert_int_equal(rig_open(rig, "iio_buffer"), 0);
    assert_int_equal(rig->channel_count, 2);
    assert_int_equal(write(bench->writer, scan, sizeof scan), sizeof scan);
    assert_int_equal(fetch(rig), 0);
    assert_int_equal(next(rig), 0);
    rig_expect(rig, "voltage0", 106640, 9, "V");
    rig_expect(rig, "accel_x", 34, 0, "");
}

static void test_one_record_for_so_many_scans(void **state)
{
    struct bench *bench = *state;
    struct rig *rig = bench->rig;
    int64_t seen = 0;
    rig_set(rig, "every", "10");
    assert_int_equal(rig_open(rig, "iio_buffer"), 0);
    for (int i = 1; i <= 95; i++)
        put_scan(bench, 0, i, 1);
    while (fetch(rig) == 0)
        while (next(rig) == 0)
            rig_expect(rig, "accel_x", ++seen * 10, 0, "");
    assert_int_equal(seen, 9);
    for (int i = 96; i <= 100; i++) /* the count goes on from one reading to the next */
        put_scan(bench, 0, i, 1);
    assert_int_equal(fetch(rig), 0);
    assert_int_equal(next(rig), 0);
    rig_expect(rig, "accel_x", 100, 0, "");
}

static void test_scans_in_pieces_are_put_together(void **state)
{
    struct bench *bench = *state;
    struct rig *rig = bench->rig;
    uint8_t scan[16] = {0x49, 0x00, 0, 0, 0, 0, 0x22, 0x00};
    assert_int_equal(rig_open(rig, "iio_buffer"), 0);
    for (size_t i = 0; i < sizeof scan; i++) {
        assert_int_equal(write(bench->writer, scan + i, 1), 1);
        assert_int_equal(fetch(rig), 0);
        assert_int_equal(next(rig), i < 15 ? E_AGAIN : 0);
    }
    rig_expect(rig, "accel_x", 34, 0, "");
}

static void expect_time(const struct bench *bench, int64_t time_ns, int64_t low_ms, int64_t high_ms)
{
    struct rig *rig = bench->rig;
    put_scan(bench, 1, 1, time_ns);
    assert_int_equal(fetch(rig), 0);
    assert_int_equal(next(rig), 0);
    assert_in_range(rig->sample.boot_ms, low_ms, high_ms);
    assert_int_equal(next(rig), E_AGAIN);
}

static void test_other_clocks_are_converted(void **state)
{
    struct bench *bench = *state;
    struct rig *rig = bench->rig;
    rig_remove(rig, FOLDER "current_timestamp_clock"); /* before Linux 4.5: realtime */
    assert_int_equal(rig_open(rig, "iio_buffer"), 0);
    int64_t boot_ms = clock_boot_ms();
    expect_time(bench, (clock_wall_ms() - 100) * 1000000, boot_ms - 110, boot_ms - 90);
    expect_time(bench, (clock_wall_ms() + 3600000) * 1000000, 0, 0); /* not in the future */
    expect_time(bench, INT64_MIN, 0, 0);
    expect_time(bench, INT64_MAX, 0, 0);
}

/* As iio_device_set_clock of the kernel has them. */
static void test_every_clock_of_the_kernel_is_known(void **state)
{
    (void)state;
    assert_int_equal(scan_find_clock("realtime"), CLOCK_REALTIME);
    assert_int_equal(scan_find_clock("realtime_coarse"), CLOCK_REALTIME);
    assert_int_equal(scan_find_clock("monotonic"), CLOCK_MONOTONIC);
    assert_int_equal(scan_find_clock("monotonic_raw"), CLOCK_MONOTONIC_RAW);
    assert_int_equal(scan_find_clock("monotonic_coarse"), CLOCK_MONOTONIC);
    assert_int_equal(scan_find_clock("boottime"), CLOCK_BOOTTIME);
    assert_int_equal(scan_find_clock("tai"), CLOCK_TAI);
    assert_int_equal(scan_find_clock(""), CLOCK_REALTIME);
}

static void test_silence_is_said_once_it_is_too_long(void **state)
{
    struct bench *bench = *state;
    struct rig *rig = bench->rig;
    put(rig, "trigger/current_trigger", "hrt0\n");
    rig->context.interval_ms = 1;
    rig->context.timeout_ms = 0;
    assert_int_equal(rig_open(rig, "iio_buffer"), 0);
    int rc = E_AGAIN;
    for (int64_t end_ms = clock_mono_ms() + 1000; rc == E_AGAIN && clock_mono_ms() < end_ms;)
        rc = fetch(rig);
    assert_int_equal(rc, E_TIMEOUT);
    assert_non_null(strstr(rig->driver->fault(rig->instance), "does the trigger \"hrt0\" run?"));
    put_scan(bench, 1, 1, 1);
    assert_int_equal(fetch(rig), 0);
}

static void test_a_drain_takes_what_has_come_and_ends(void **state)
{
    struct bench *bench = *state;
    struct rig *rig = bench->rig;
    rig->context.drain = true;
    assert_int_equal(rig_open(rig, "iio_buffer"), 0);
    put_scan(bench, 1, 1, 1);
    assert_int_equal(fetch(rig), 0);
    assert_int_equal(next(rig), 0);
    assert_int_equal(fetch(rig), E_END);
}

/* How often the file under WATCH was written since it was last asked. */
static unsigned count_writes(int watch)
{
    char events[4096] __attribute__((aligned(8)));
    unsigned count = 0;
    ssize_t bytes = read(watch, events, sizeof events);
    for (ssize_t at = 0; at < bytes;) {
        const struct inotify_event *event = (const void *)(events + at);
        count += (event->mask & IN_CLOSE_WRITE) != 0;
        at += (ssize_t)(sizeof *event + event->len);
    }
    return count;
}

static void test_what_an_owner_left_behind_is_taken_over(void **state)
{
    struct bench *bench = *state;
    struct rig *rig = bench->rig;
    put(rig, "buffer/enable", "1\n");
    int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    assert_true(watch >= 0);
    /* With IN_OPEN, since two equal events in a row would become one. */
    assert_true(inotify_add_watch(watch, rig_path(rig, FOLDER "buffer/enable"),
                                  IN_OPEN | IN_CLOSE_WRITE) >= 0);
    assert_int_equal(rig_open(rig, "iio_buffer"), 0);
    assert_int_equal(count_writes(watch), 2); /* off, and on with our layout */
    rig_close(rig);
    assert_int_equal(count_writes(watch), 1);
    expect_text(rig, "buffer/enable", "0");
    assert_int_equal(rig_open(rig, "iio_buffer"), 0);
    assert_int_equal(count_writes(watch), 1); /* it was off */
    assert_int_equal(close(watch), 0);
}

static void test_an_open_that_fails_leaves_the_buffer_alone(void **state)
{
    struct bench *bench = *state;
    struct rig *rig = bench->rig;
    put(rig, "buffer/enable", "1\n");
    rig_remove(rig, "dev/iio:device0");
    assert_int_equal(error_errno(rig_open(rig, "iio_buffer")), ENOENT);
    assert_non_null(strstr(rig->fault, "/dev/iio:device0"));
    rig_close(rig);
    expect_text(rig, "buffer/enable", "1");
}

static void test_faults_name_what_to_look_at(void **state)
{
    struct bench *bench = *state;
    struct rig *rig = bench->rig;
    rig_set(rig, "trigger", "sysfstrig1");
    assert_int_equal(rig_open(rig, "iio_buffer"), E_NOT_FOUND);
    assert_non_null(strstr(rig->fault, "no trigger is called sysfstrig1"));
    rig_set(rig, NULL, NULL);
    rig_set(rig, "channels", "magn");
    assert_int_equal(rig_open(rig, "iio_buffer"), E_NOT_FOUND);
    assert_non_null(strstr(rig->fault, "none of the channels"));
    rig_set(rig, NULL, NULL);
    rig_set(rig, "frequency", "100");
    assert_int_equal(rig_open(rig, "iio_buffer"), E_NOT_FOUND);
    assert_non_null(strstr(rig->fault, "has a sampling_frequency to set"));
    put(rig, "buffer/sampling_frequency", "1\n");
    assert_int_equal(rig_open(rig, "iio_buffer"), 0);
    expect_text(rig, "buffer/sampling_frequency", "100");
    put(rig, "sampling_frequency", "1\n");
    assert_int_equal(rig_open(rig, "iio_buffer"), 0);
    expect_text(rig, "sampling_frequency", "100");
    rig_set(rig, NULL, NULL);
    put(rig, "scan_elements/in_accel_x_type", "le:f32/32>>0\n");
    assert_int_equal(rig_open(rig, "iio_buffer"), E_UNSUPPORTED);
    assert_non_null(strstr(rig->fault, "in_accel_x_type"));
    put(rig, "scan_elements/in_accel_x_type", "le:s16/16>>0\n");
    put(rig, "scan_elements/in_accel_x_index", "2\n");
    assert_int_equal(rig_open(rig, "iio_buffer"), E_INVALID);
    put(rig, "scan_elements/in_accel_x_index", "-1\n");
    assert_int_equal(rig_open(rig, "iio_buffer"), E_SYNTAX);
    put(rig, "scan_elements/in_accel_x_index", "3\n");
    put(rig, "in_voltage0_scale", "x\n");
    assert_int_equal(rig_open(rig, "iio_buffer"), E_SYNTAX);
    assert_non_null(strstr(rig->fault, "the scale of voltage0"));
    put(rig, "in_voltage0_scale", "1\n");
    rig_remove(rig, FOLDER "buffer/enable");
    assert_int_equal(error_errno(rig_open(rig, "iio_buffer")), ENOENT);
    assert_non_null(strstr(rig->fault, "buffer/enable"));
}

static void test_unplugging_and_coming_back(void **state)
{
    struct bench *bench = *state;
    struct rig *rig = bench->rig;
    assert_int_equal(rig_open(rig, "iio_buffer"), 0);
    assert_true(rig->driver->wait_fd(rig->instance) >= 0);
    assert_int_equal(close(bench->writer), 0);
    bench->writer = -1;
    assert_int_equal(fetch(rig), E_CLOSED);
    assert_non_null(strstr(rig->driver->fault(rig->instance), "iio:device0 (dummy)"));
    rig_close(rig);
    rig_remove(rig, "dev/iio:device0");
    assert_int_equal(error_errno(rig_open(rig, "iio_buffer")), ENOENT);
    assert_int_equal(mkfifo(rig_path(rig, "dev/iio:device0"), 0600), 0);
    assert_int_equal(rig_open(rig, "iio_buffer"), 0);
}

static void test_settings_that_cannot_be_are_named(void **state)
{
    struct bench *bench = *state;
    struct rig *rig = bench->rig;
    const struct driver *driver = driver_find("iio_buffer");
    assert_null(driver->check(&rig->context));
    rig_set(rig, "length", "64");
    rig_set(rig, "watermark", "64");
    rig_set(rig, "frequency", "12.5");
    assert_null(driver->check(&rig->context));
    rig_set(rig, NULL, NULL);
    rig_set(rig, "watermark", "257");
    assert_string_equal(driver->check(&rig->context), "watermark");
    assert_string_equal(rig->fault, "is more than length, which is 256");
    rig_set(rig, NULL, NULL);
    rig_set(rig, "channels", ",");
    assert_string_equal(driver->check(&rig->context), "channels");
    static const char *const frequencies[] = {"1e3", "-1", "0", "0.00"};
    for (size_t i = 0; i < sizeof frequencies / sizeof frequencies[0]; i++) {
        rig_set(rig, NULL, NULL);
        rig_set(rig, "frequency", frequencies[i]);
        assert_string_equal(driver->check(&rig->context), "frequency");
    }
}

#define RIG_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types_are_read_as_the_kernel_writes_them),
        cmocka_unit_test(test_elements_are_sorted_aligned_and_padded),
        cmocka_unit_test(test_numbers_are_cut_out_of_their_bytes),
        RIG_TEST(test_scans_become_samples_with_their_time),
        RIG_TEST(test_chosen_channels_change_the_layout),
        RIG_TEST(test_a_channel_that_came_along_is_stepped_over),
        RIG_TEST(test_one_record_for_so_many_scans),
        RIG_TEST(test_scans_in_pieces_are_put_together),
        RIG_TEST(test_other_clocks_are_converted),
        cmocka_unit_test(test_every_clock_of_the_kernel_is_known),
        RIG_TEST(test_a_drain_takes_what_has_come_and_ends),
        RIG_TEST(test_silence_is_said_once_it_is_too_long),
        RIG_TEST(test_what_an_owner_left_behind_is_taken_over),
        RIG_TEST(test_an_open_that_fails_leaves_the_buffer_alone),
        RIG_TEST(test_faults_name_what_to_look_at),
        RIG_TEST(test_unplugging_and_coming_back),
        RIG_TEST(test_settings_that_cannot_be_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
