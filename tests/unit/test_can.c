/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <linux/can/error.h>
#include <net/if.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "drivers/can/can_linux.h"
#include "drivers/can/dbc.h"
#include "platform/base/error.h"
#include "tests/unit/driver_rig.h"

enum { MS = 1000000 };

/* A bus that is a socket pair: what the test sends arrives whole, with the time that it says. */
static struct bench {
    int interface; /* what looking for it gives */
    unsigned flags;
    struct can_filter filters[SAMPLE_CHANNELS_MAX];
    size_t filter_count;
    int fds[2];
    int64_t wall_ns;
    int64_t boot_ns;
    int failure; /* of a reception, behind so many good ones: */
    unsigned failure_after;
    uint32_t dropped;
} bench;

int __wrap_can_linux_interface(const char *name, int *ret_index, unsigned *ret_flags);
int __wrap_can_linux_open(int index, const struct can_filter *filters, size_t count);
int __wrap_can_linux_receive(int fd, struct can_linux_frame *ret_frame);
void __wrap_can_linux_now(int64_t *ret_wall_ns, int64_t *ret_boot_ns);

int __wrap_can_linux_interface(const char *name, int *ret_index, unsigned *ret_flags)
{
    assert_string_equal(name, "can0");
    *ret_index = 3;
    *ret_flags = bench.flags;
    return bench.interface;
}

int __wrap_can_linux_open(int index, const struct can_filter *filters, size_t count)
{
    assert_int_equal(index, 3);
    memcpy(bench.filters, filters, count * sizeof *filters);
    bench.filter_count = count;
    if (bench.fds[1] >= 0)
        (void)close(bench.fds[1]);
    assert_int_equal(
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, bench.fds), 0);
    return bench.fds[0];
}

int __wrap_can_linux_receive(int fd, struct can_linux_frame *ret_frame)
{
    int failure = bench.failure;
    if (failure != 0 && bench.failure_after-- == 0) {
        bench.failure = 0;
        bench.failure_after = 0;
        return failure;
    }
    return recv(fd, ret_frame, sizeof *ret_frame, 0) == sizeof *ret_frame ? 0 : E_AGAIN;
}

void __wrap_can_linux_now(int64_t *ret_wall_ns, int64_t *ret_boot_ns)
{
    *ret_wall_ns = bench.wall_ns;
    *ret_boot_ns = bench.boot_ns;
}

static int set_up(void **state)
{
    int rc = rig_setup(state);
    struct rig *rig = *state;
    bench = (struct bench){.flags = IFF_UP | IFF_RUNNING,
                           .fds = {-1, -1},
                           .wall_ns = INT64_C(1700000000000) * MS,
                           .boot_ns = (int64_t)50000 * MS};
    rig_set(rig, "interface", "can0");
    return rc;
}

static int tear_down(void **state)
{
    if (bench.fds[1] >= 0)
        (void)close(bench.fds[1]);
    return rig_teardown(state);
}

static void send_frame(uint32_t id, const uint8_t *data, uint8_t count, int64_t age_ms)
{
    struct can_linux_frame frame = {.frame = {.can_id = id, .len = count},
                                    .wall_ns = bench.wall_ns - age_ms * MS,
                                    .dropped = bench.dropped};
    memcpy(frame.frame.data, data, count);
    assert_int_equal(send(bench.fds[1], &frame, sizeof frame, 0), sizeof frame);
}

#define SEND(id, ...)                                                                              \
    send_frame((id), (const uint8_t[]){__VA_ARGS__}, sizeof(const uint8_t[]){__VA_ARGS__}, 0)

static void send_error(uint32_t what, uint8_t controller)
{
    const uint8_t data[CAN_ERR_DLC] = {0, controller};
    send_frame(CAN_ERR_FLAG | what, data, sizeof data, 0);
}

/* ---- signals ---- */

/* ExampleMessage of motohawk.dbc, as it goes round with tools for DBC files:
 * Enable 7|1@0+ (1,0), AverageRadius 6|6@0+ (0.1,0), Temperature 0|12@0- (0.01,250). */
static void set_motohawk(struct rig *rig)
{
    static const char *const settings[][2] = {
        {"signals[0].id", "496"},      {"signals[0].name", "enable"}, {"signals[0].start", "7"},
        {"signals[0].length", "1"},    {"signals[0].order", "big"},   {"signals[1].id", "0x1F0"},
        {"signals[1].name", "radius"}, {"signals[1].start", "6"},     {"signals[1].length", "6"},
        {"signals[1].order", "big"},   {"signals[1].factor", "0.1"},  {"signals[2].id", "0x1f0"},
        {"signals[2].name", "temp"},   {"signals[2].start", "0"},     {"signals[2].length", "12"},
        {"signals[2].order", "big"},   {"signals[2].type", "signed"}, {"signals[2].factor", "0.01"},
        {"signals[2].offset", "250"},  {"signals[2].unit", "K"}};
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
        rig_set(rig, settings[i][0], settings[i][1]);
}

static void test_big_endian_signals_are_those_of_the_dbc_file(void **state)
{
    struct rig *rig = *state;
    set_motohawk(rig);
    assert_int_equal(rig_open(rig, "can"), 0);
    assert_int_equal(bench.filter_count, 1);
    assert_int_equal(bench.filters[0].can_id, 0x1f0);
    assert_int_equal(bench.filters[0].can_mask, CAN_EFF_FLAG | CAN_RTR_FLAG | CAN_SFF_MASK);
    SEND(0x1f0, 0xc0, 0x06, 0xe0, 0, 0, 0, 0, 0);
    assert_int_equal(rig_next(rig), 0);
    rig_expect(rig, "enable", 1, 0, "");
    rig_expect(rig, "radius", 32, 1, "");
    rig_expect(rig, "temp", 25055, 2, "K");
    SEND(0x1f0, 0x7f, 0xff, 0xe0, 0, 0, 0, 0, 0);
    assert_int_equal(rig_next(rig), 0);
    rig_expect(rig, "enable", 0, 0, "");
    rig_expect(rig, "radius", 63, 1, "");
    rig_expect(rig, "temp", 24999, 2, "K"); /* raw -1 */
    assert_int_equal(rig_next(rig), E_AGAIN);
}

/* SAE J1939 EEC1: EngineSpeed 24|16@1+ (0.125,0); 0x1368 is 621 rpm. */
static void test_little_endian_signals_have_extended_ids(void **state)
{
    struct rig *rig = *state;
    rig_set(rig, "signals[0].id", "0x0CF00400");
    rig_set(rig, "signals[0].name", "speed");
    rig_set(rig, "signals[0].start", "24");
    rig_set(rig, "signals[0].length", "16");
    rig_set(rig, "signals[0].factor", "0.125");
    rig_set(rig, "signals[0].unit", "1/min");
    assert_int_equal(rig_open(rig, "can"), 0);
    assert_int_equal(bench.filters[0].can_id, 0x0cf00400 | CAN_EFF_FLAG);
    assert_int_equal(bench.filters[0].can_mask, CAN_EFF_FLAG | CAN_RTR_FLAG | CAN_EFF_MASK);
    SEND(0x0cf00400 | CAN_EFF_FLAG, 0xff, 0xff, 0xff, 0x68, 0x13, 0xff, 0xff, 0xff);
    assert_int_equal(rig_next(rig), 0);
    rig_expect(rig, "speed", 621000, 3, "1/min");
}

/* OBD-II, service 01: the PID 23|8@0+ is the multiplexor, VehicleSpeed m13 31|8@0+, and
 * EngineRPM m12 31|16@0+ (0.25,0). */
static void test_a_multiplexor_says_which_signals_are_there(void **state)
{
    static const char *const settings[][2] = {
        {"signals[0].id", "0x7e8"},   {"signals[0].name", "pid"},
        {"signals[0].start", "23"},   {"signals[0].length", "8"},
        {"signals[0].order", "big"},  {"signals[0].multiplexor", "true"},
        {"signals[1].id", "0x7e8"},   {"signals[1].name", "speed"},
        {"signals[1].start", "31"},   {"signals[1].length", "8"},
        {"signals[1].order", "big"},  {"signals[1].mux", "13"},
        {"signals[2].id", "0x7e8"},   {"signals[2].name", "rpm"},
        {"signals[2].start", "31"},   {"signals[2].length", "16"},
        {"signals[2].order", "big"},  {"signals[2].mux", "12"},
        {"signals[2].factor", "0.25"}};
    struct rig *rig = *state;
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
        rig_set(rig, settings[i][0], settings[i][1]);
    assert_int_equal(rig_open(rig, "can"), 0);
    SEND(0x7e8, 0x03, 0x41, 0x0d, 0x32, 0xaa, 0xaa, 0xaa, 0xaa);
    SEND(0x7e8, 0x04, 0x41, 0x0c, 0x1a, 0xf8, 0xaa, 0xaa, 0xaa);
    assert_int_equal(rig_next(rig), 0);
    rig_expect(rig, "pid", 13, 0, "");
    rig_expect(rig, "speed", 50, 0, "");
    rig_expect_absent(rig, "rpm");
    assert_int_equal(rig_next(rig), 0);
    rig_expect(rig, "rpm", 172600, 2, "");
    rig_expect_absent(rig, "speed");
}

/* Bit by bit, as the DBC files' own description has it. */
static uint64_t walk(const struct dbc_signal *signal, const uint8_t *data)
{
    uint64_t raw = 0;
    unsigned at = signal->start;
    for (unsigned i = 0; i < signal->length; i++) {
        uint64_t bit = (uint64_t)data[at / 8] >> at % 8 & 1;
        raw |= signal->is_big_endian ? bit << (signal->length - 1 - i) : bit << i;
        at = signal->is_big_endian && at % 8 == 0 ? at + 15
             : signal->is_big_endian              ? at - 1
                                                  : at + 1;
    }
    return raw;
}

static void test_every_place_and_length_is_read(void **state)
{
    uint8_t data[DBC_BYTES_MAX];
    uint64_t raw;
    unsigned read = 0;
    (void)state;
    for (unsigned i = 0; i < DBC_BYTES_MAX; i++)
        data[i] = (uint8_t)(i * 151 + 77);
    for (unsigned start = 0; start < 512; start++)
        for (unsigned length = 1; length <= 64; length++)
            for (int big = 0; big < 2; big++) {
                const struct dbc_signal signal = {
                    .start = start, .length = length, .is_big_endian = big != 0};
                unsigned bytes = dbc_bytes(&signal);
                if (bytes > DBC_BYTES_MAX)
                    continue;
                assert_int_equal(dbc_raw(&signal, data, bytes - 1, &raw), E_END);
                assert_int_equal(dbc_raw(&signal, data, bytes, &raw), 0);
                assert_true(raw == walk(&signal, data));
                read++;
            }
    assert_true(read > 60000);
}

static void expect_mantissa(const struct dbc_signal *signal, const uint8_t *data, int rc,
                            int64_t mantissa)
{
    struct value value;
    assert_int_equal(dbc_value(signal, data, 8, &value), rc);
    if (rc < 0)
        return;
    assert_int_equal(value.kind, VALUE_DECIMAL);
    assert_int_equal(value.mantissa, mantissa);
}

static void test_what_does_not_fit_is_out_of_range(void **state)
{
    const uint8_t ones[8] = {255, 255, 255, 255, 255, 255, 255, 255};
    const uint8_t top[8] = {0, 0, 0, 0, 0, 0, 0, 0x80};
    struct dbc_signal signal = {.length = 64, .factor = {.mantissa = 1}};
    (void)state;
    expect_mantissa(&signal, ones, E_RANGE, 0);
    signal.type = DBC_SIGNED;
    expect_mantissa(&signal, ones, 0, -1);
    expect_mantissa(&signal, top, 0, INT64_MIN);
    signal.factor = (struct decimal){.mantissa = 1, .decimals = 1};
    expect_mantissa(&signal, top, 0, INT64_MIN / 10 - 1); /* rounded */
    signal.factor = (struct decimal){.mantissa = -1};
    expect_mantissa(&signal, top, E_RANGE, 0);
}

static void test_floats_go_out_as_they_are(void **state)
{
    const uint8_t half[8] = {0, 0, 0, 0x3f}; /* 0.5 as a float of 32 bits */
    const uint8_t nan[8] = {0, 0, 0xc0, 0x7f};
    struct dbc_signal signal = {.length = 32, .type = DBC_FLOAT};
    struct value value;
    (void)state;
    assert_int_equal(dbc_value(&signal, half, 8, &value), 0);
    assert_int_equal(value.kind, VALUE_FLOAT64);
    assert_true(value.float64_bits == UINT64_C(0x3fe0000000000000));
    assert_int_equal(dbc_value(&signal, nan, 8, &value), E_RANGE);
}

/* ---- time and rate ---- */

static void set_two_ids(struct rig *rig)
{
    rig_set(rig, "signals[0].id", "0x100");
    rig_set(rig, "signals[0].name", "a");
    rig_set(rig, "signals[0].start", "0");
    rig_set(rig, "signals[0].length", "8");
    rig_set(rig, "signals[1].id", "0x200");
    rig_set(rig, "signals[1].name", "b");
    rig_set(rig, "signals[1].start", "8");
    rig_set(rig, "signals[1].length", "8");
}

static void test_a_frame_has_the_time_when_it_came(void **state)
{
    const uint8_t data[2] = {1, 2};
    struct rig *rig = *state;
    set_two_ids(rig);
    assert_int_equal(rig_open(rig, "can"), 0);
    bench.wall_ns += (int64_t)1000 * MS;
    bench.boot_ns += (int64_t)1000 * MS;
    send_frame(0x100, data, 2, 250);
    send_frame(0x100, data, 2, 3600000);  /* the clock was set forward */
    send_frame(0x100, data, 2, -3600000); /* and back */
    assert_int_equal(rig_next(rig), 0);
    assert_int_equal(rig->sample.boot_ms, 50750);
    assert_int_equal(rig_next(rig), 0);
    assert_int_equal(rig->sample.boot_ms, 50000); /* no longer ago than nothing waited */
    assert_int_equal(rig_next(rig), 0);
    assert_int_equal(rig->sample.boot_ms, 51000);
}

static void test_an_interval_gives_one_record_for_each_id(void **state)
{
    struct rig *rig = *state;
    unsigned seen = 0;
    set_two_ids(rig);
    rig->context.interval_ms = 20;
    assert_int_equal(rig_open(rig, "can"), 0);
    rig_wait_ready(rig);               /* the slot is due */
    for (uint8_t i = 1; i <= 100; i++) /* more than one batch */
        SEND(0x100, i);
    SEND(0x200, 0, 7);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(rig_wait(rig), 0);
        if (rig_value(rig, "a")->kind == VALUE_DECIMAL) {
            rig_expect(rig, "a", 100, 0, "");
            rig_expect_absent(rig, "b");
            seen |= 1;
        } else {
            rig_expect(rig, "b", 7, 0, "");
            seen |= 2;
        }
    }
    assert_int_equal(seen, 3);
    assert_int_equal(rig_next(rig), E_AGAIN);
}

static void test_an_interval_keeps_each_branch_of_a_multiplexor(void **state)
{
    struct rig *rig = *state;
    set_two_ids(rig);
    rig->context.interval_ms = 20;
    rig_set(rig, "signals[0].multiplexor", "true");
    rig_set(rig, "signals[2].id", "0x100");
    rig_set(rig, "signals[2].name", "one");
    rig_set(rig, "signals[2].start", "8");
    rig_set(rig, "signals[2].length", "8");
    rig_set(rig, "signals[2].mux", "1");
    rig_set(rig, "signals[3].id", "0x100");
    rig_set(rig, "signals[3].name", "two");
    rig_set(rig, "signals[3].start", "8");
    rig_set(rig, "signals[3].length", "8");
    rig_set(rig, "signals[3].mux", "2");
    assert_int_equal(rig_open(rig, "can"), 0);
    SEND(0x100, 1, 11);
    SEND(0x100, 2, 22);
    SEND(0x100, 3, 33);
    assert_int_equal(rig_wait(rig), 0);
    rig_expect(rig, "a", 3, 0, "");
    rig_expect(rig, "one", 11, 0, "");
    rig_expect(rig, "two", 22, 0, "");
}

/* ---- what goes wrong ---- */

static void test_short_frames_are_said(void **state)
{
    struct rig *rig = *state;
    set_motohawk(rig);
    assert_int_equal(rig_open(rig, "can"), 0);
    SEND(0x1f0, 0xc0);
    assert_int_equal(rig_next(rig), 0);
    rig_expect(rig, "enable", 1, 0, "");
    rig_expect_absent(rig, "temp");
    assert_string_equal(rig->driver->lack(rig->instance),
                        "can0: frame 0x1f0 has 1 bytes, \"temp\" needs 3");
    send_frame(0x1f0, (const uint8_t[]){0}, 0, 0);
    assert_int_equal(rig_next(rig), E_DAMAGED);
    assert_non_null(strstr(rig->driver->fault(rig->instance), "0 bytes"));
    SEND(0x1f0, 0xc0, 0x06, 0xe0);
    assert_int_equal(rig_next(rig), 0);
    assert_null(rig->driver->lack(rig->instance));
}

static void test_frames_that_were_not_asked_for_are_nothing(void **state)
{
    struct rig *rig = *state;
    set_two_ids(rig);
    assert_int_equal(rig_open(rig, "can"), 0);
    SEND(0x101, 1, 2);
    SEND(0x100 | CAN_RTR_FLAG, 1, 2);
    SEND(0x100 | CAN_EFF_FLAG, 1, 2);
    assert_int_equal(rig_next(rig), E_AGAIN);
}

static void test_lost_frames_and_a_sick_bus_are_said(void **state)
{
    struct rig *rig = *state;
    set_two_ids(rig);
    assert_int_equal(rig_open(rig, "can"), 0);
    SEND(0x100, 1);
    bench.dropped = 12;
    SEND(0x100, 1);
    assert_int_equal(rig_next(rig), 0);
    assert_null(rig->driver->lack(rig->instance));
    assert_int_equal(rig_next(rig), 0);
    assert_non_null(strstr(rig->driver->lack(rig->instance), "12 frames were dropped"));
    send_error(CAN_ERR_CRTL | CAN_ERR_PROT, CAN_ERR_CRTL_RX_PASSIVE);
    SEND(0x100, 1);
    assert_int_equal(rig_next(rig), 0);
    assert_non_null(strstr(rig->driver->lack(rig->instance), "error-passive, 1 errors"));
    send_error(CAN_ERR_CRTL, CAN_ERR_CRTL_ACTIVE);
    SEND(0x100, 1);
    assert_int_equal(rig_next(rig), 0);
    assert_null(rig->driver->lack(rig->instance));
}

/* The frames are taken long before the record that tells of them. */
static void test_what_frames_lack_is_kept_for_the_interval(void **state)
{
    struct rig *rig = *state;
    set_two_ids(rig);
    rig->context.interval_ms = 20;
    assert_int_equal(rig_open(rig, "can"), 0);
    bench.dropped = 12;
    SEND(0x100, 1);
    assert_int_equal(rig->driver->fetch(rig->instance, 0), 0);
    assert_int_equal(rig->driver->read(rig->instance, &rig->sample), E_AGAIN);
    assert_int_equal(rig_wait(rig), 0);
    assert_non_null(strstr(rig->driver->lack(rig->instance), "12 frames were dropped"));
    SEND(0x100, 1);
    assert_int_equal(rig_wait(rig), 0);
    assert_null(rig->driver->lack(rig->instance));
}

/* One message has room for one thing: the other follows. */
static void test_a_short_frame_does_not_hide_those_that_were_lost(void **state)
{
    struct rig *rig = *state;
    set_motohawk(rig);
    assert_int_equal(rig_open(rig, "can"), 0);
    bench.dropped = 12;
    SEND(0x1f0, 0xc0);
    SEND(0x1f0, 0xc0, 0x06, 0xe0);
    assert_int_equal(rig_next(rig), 0);
    assert_non_null(strstr(rig->driver->lack(rig->instance), "needs 3"));
    assert_int_equal(rig_next(rig), 0);
    assert_non_null(strstr(rig->driver->lack(rig->instance), "12 frames were dropped"));
}

static void test_bus_off_is_a_failure_until_it_is_started_again(void **state)
{
    struct rig *rig = *state;
    set_two_ids(rig);
    rig->context.interval_ms = 3600000;
    assert_int_equal(rig_open(rig, "can"), 0);
    SEND(0x100, 5);
    send_error(CAN_ERR_BUSOFF, 0);
    assert_int_equal(rig_next(rig), 0); /* what came before it */
    rig_expect(rig, "a", 5, 0, "");
    assert_int_equal(rig_next(rig), E_CLOSED);
    assert_non_null(strstr(rig->driver->fault(rig->instance), "bus-off"));
    bench.flags = IFF_UP;
    assert_int_equal(rig_open(rig, "can"), E_CLOSED);
    assert_non_null(strstr(rig->fault, "restart"));
    bench.flags = IFF_UP | IFF_RUNNING;
    assert_int_equal(rig_open(rig, "can"), 0);
}

static void expect_bus(struct rig *rig, int64_t errors, const char *state)
{
    const struct value *value = rig_value(rig, "bus_state");
    rig_expect(rig, "bus_errors", errors, 0, "count");
    assert_int_equal(value->kind, VALUE_TEXT);
    assert_int_equal(value->text_bytes, strlen(state));
    assert_memory_equal(value->text, state, strlen(state));
}

static void test_errors_are_channels_where_asked_for(void **state)
{
    struct rig *rig = *state;
    rig_set(rig, "errors", "true");
    assert_int_equal(rig_open(rig, "can"), 0);
    assert_int_equal(bench.filter_count, 0);
    assert_int_equal(rig_next(rig), 0);
    expect_bus(rig, 0, "active");
    send_error(CAN_ERR_PROT, 0);
    send_error(CAN_ERR_CRTL, CAN_ERR_CRTL_TX_WARNING);
    send_error(CAN_ERR_BUSOFF, 0);
    assert_int_equal(rig_next(rig), 0);
    expect_bus(rig, 2, "warning");
    assert_int_equal(rig_next(rig), 0);
    expect_bus(rig, 3, "bus-off");
    assert_int_equal(rig_next(rig), E_CLOSED);
}

static void test_absence_and_unplugging_say_what_to_do(void **state)
{
    static const struct {
        int number;
        const char *says;
    } failures[] = {{ENODEV, "plugged in"}, {EAFNOSUPPORT, "modprobe can-raw"}};
    struct rig *rig = *state;
    set_two_ids(rig);
    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++) {
        bench.interface = error_sys(failures[i].number);
        assert_int_equal(error_errno(rig_open(rig, "can")), failures[i].number);
        assert_non_null(strstr(rig->fault, failures[i].says));
    }
    bench.interface = 0;
    bench.flags = 0;
    assert_int_equal(error_errno(rig_open(rig, "can")), ENETDOWN);
    assert_non_null(strstr(rig->fault, "ip link set can0 up type can bitrate 500000"));
    bench.flags = IFF_UP | IFF_RUNNING;
    assert_int_equal(rig_open(rig, "can"), 0);
    SEND(0x100, 1);
    assert_int_equal(rig_next(rig), 0);
    bench.failure = error_sys(ENODEV);
    assert_int_equal(error_errno(rig_next(rig)), ENODEV);
    assert_int_equal(rig_open(rig, "can"), 0);
    bench.failure = error_sys(ENETDOWN);
    assert_int_equal(error_errno(rig_next(rig)), ENETDOWN);
    assert_non_null(strstr(rig->driver->fault(rig->instance), "is down"));
}

/* ---- the settings ---- */

/* As the kernel does it: the error first and once, then what waited. */
static void test_frames_before_an_error_are_records(void **state)
{
    struct rig *rig = *state;
    set_two_ids(rig);
    for (int64_t interval_ms = 0; interval_ms <= 3600000; interval_ms += 3600000) {
        rig->context.interval_ms = interval_ms;
        assert_int_equal(rig_open(rig, "can"), 0);
        SEND(0x100, 5);
        SEND(0x200, 0, 6);
        bench.failure = error_sys(ENETDOWN);
        assert_int_equal(rig_next(rig), 0);
        rig_expect(rig, "a", 5, 0, "");
        assert_int_equal(rig_next(rig), 0);
        rig_expect(rig, "b", 6, 0, "");
        assert_int_equal(error_errno(rig_next(rig)), ENETDOWN);
    }
}

static void test_an_error_behind_frames_is_not_forgotten(void **state)
{
    struct rig *rig = *state;
    set_two_ids(rig);
    assert_int_equal(rig_open(rig, "can"), 0);
    SEND(0x100, 5);
    bench.failure_after = 1;
    bench.failure = error_sys(ENODEV);
    assert_int_equal(rig_next(rig), 0);
    assert_int_equal(error_errno(rig_next(rig)), ENODEV);
}

static void test_settings_are_checked(void **state)
{
    static const struct {
        const char *key, *value, *at;
    } faults[] = {{"signals[2].name", "a", "signals[2].name"}, /* without an id */
                  {"signals[0].extended", "true", NULL},
                  {"signals[0].mux", "1", "signals[0].mux"},
                  {"signals[0].type", "float", "signals[0].length"}};
    struct rig *rig = *state;
    const struct driver *driver = driver_find("can");
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        rig_set(rig, NULL, NULL);
        rig_set(rig, "interface", "can0");
        set_two_ids(rig);
        rig_set(rig, faults[i].key, faults[i].value);
        const char *at = driver->check(&rig->context);
        if (faults[i].at == NULL)
            assert_null(at);
        else
            assert_string_equal(at, faults[i].at);
    }
    for (unsigned mux = 255; mux <= 256; mux++) { /* of eight bits */
        rig_set(rig, NULL, NULL);
        rig_set(rig, "interface", "can0");
        set_two_ids(rig);
        rig_set(rig, "signals[0].multiplexor", "true");
        rig_set(rig, "signals[2].id", "0x100");
        rig_set(rig, "signals[2].name", "c");
        rig_set(rig, "signals[2].mux", mux == 255 ? "255" : "256");
        const char *at = driver->check(&rig->context);
        assert_true(mux == 255 ? at == NULL : at != NULL && strcmp(at, "signals[2].mux") == 0);
    }
    rig_set(rig, NULL, NULL);
    assert_string_equal(driver->check(&rig->context), "interface");
    rig_set(rig, "interface", "can0");
    assert_string_equal(driver->check(&rig->context), "signals");
}

static const char *check_one(struct rig *rig, const char *id, const char *start, const char *length,
                             const char *order)
{
    rig_set(rig, NULL, NULL);
    rig_set(rig, "interface", "can0");
    rig_set(rig, "signals[0].name", "a");
    rig_set(rig, "signals[0].id", id);
    rig_set(rig, "signals[0].start", start);
    rig_set(rig, "signals[0].length", length);
    rig_set(rig, "signals[0].order", order);
    return driver_find("can")->check(&rig->context);
}

static void test_places_and_ids_are_checked(void **state)
{
    struct rig *rig = *state;
    assert_null(check_one(rig, "0x7ff", "448", "64", "little"));
    assert_string_equal(check_one(rig, "0x7ff", "449", "64", "little"), "signals[0].length");
    assert_null(check_one(rig, "0x800", "455", "64", "big"));
    assert_string_equal(check_one(rig, "0x7ff", "454", "64", "big"), "signals[0].length");
    assert_null(check_one(rig, "0x1fffffff", "0", "1", "big"));
    assert_string_equal(check_one(rig, "0x20000000", "0", "1", "big"), "signals[0].id");
    assert_string_equal(check_one(rig, "-1", "0", "1", "big"), "signals[0].id");
    assert_string_equal(check_one(rig, "speed", "0", "1", "big"), "signals[0].id");
    (void)check_one(rig, "0x800", "0", "1", "big");
    rig_set(rig, "signals[0].extended", "false");
    assert_string_equal(driver_find("can")->check(&rig->context), "signals[0].id");
}

static void test_channels_about_errors_keep_their_names(void **state)
{
    struct rig *rig = *state;
    const struct driver *driver = driver_find("can");
    rig_set(rig, "interface", "can0");
    rig_set(rig, "signals[0].name", "bus_errors");
    rig_set(rig, "signals[0].id", "0x10");
    rig_set(rig, "signals[0].start", "0");
    rig_set(rig, "signals[0].length", "8");
    assert_null(driver->check(&rig->context));
    rig_set(rig, "errors", "true");
    assert_string_equal(driver->check(&rig->context), "signals[0].name");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_big_endian_signals_are_those_of_the_dbc_file),
        TEST(test_little_endian_signals_have_extended_ids),
        TEST(test_a_multiplexor_says_which_signals_are_there),
        cmocka_unit_test(test_every_place_and_length_is_read),
        cmocka_unit_test(test_what_does_not_fit_is_out_of_range),
        cmocka_unit_test(test_floats_go_out_as_they_are),
        TEST(test_a_frame_has_the_time_when_it_came),
        TEST(test_an_interval_gives_one_record_for_each_id),
        TEST(test_an_interval_keeps_each_branch_of_a_multiplexor),
        TEST(test_short_frames_are_said),
        TEST(test_frames_that_were_not_asked_for_are_nothing),
        TEST(test_lost_frames_and_a_sick_bus_are_said),
        TEST(test_what_frames_lack_is_kept_for_the_interval),
        TEST(test_a_short_frame_does_not_hide_those_that_were_lost),
        TEST(test_bus_off_is_a_failure_until_it_is_started_again),
        TEST(test_errors_are_channels_where_asked_for),
        TEST(test_absence_and_unplugging_say_what_to_do),
        TEST(test_frames_before_an_error_are_records),
        TEST(test_an_error_behind_frames_is_not_forgotten),
        TEST(test_settings_are_checked),
        TEST(test_places_and_ids_are_checked),
        TEST(test_channels_about_errors_keep_their_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
