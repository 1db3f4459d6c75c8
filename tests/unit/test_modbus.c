/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "platform/base/error.h"
#include "platform/clock.h"
#include "tests/unit/driver_rig.h"
#include "tests/unit/modbus_peer.h"

enum { SETTINGS_MAX = 40 };

/* What a sensor is configured with beside its bus: a power and an energy, with a hole between. */
static const struct driver_setting meter[] = {
    {"response", "200ms"},          {"channels[0].name", "power"},  {"channels[0].register", "12"},
    {"channels[0].type", "int32"},  {"channels[0].decimals", "1"},  {"channels[0].unit", "W"},
    {"channels[1].name", "energy"}, {"channels[1].register", "16"},
};
enum { METER = sizeof meter / sizeof meter[0] };

/* The TCP frames of its requests and answers; MBAP headers with transaction 0. */
#define ASK_BOTH    "0000 0000 0006 01 03 000c 0005"
#define SAY_BOTH    "0000 0000 000d 01 03 0a ffff ff9c 0000 0000 0007"
#define ASK_POWER   "0000 0000 0006 01 03 000c 0002"
#define SAY_POWER   "0000 0000 0007 01 03 04 ffff ff9c"
#define ASK_ENERGY  "0000 0000 0006 01 03 0010 0001"
#define SAY_ENERGY  "0000 0000 0005 01 03 02 0007"
#define SAY_NO(how) "0000 0000 0003 01 83 " how

struct bench {
    struct rig *rig;
    struct driver_setting settings[SETTINGS_MAX];
    char bus[128];
    struct peer *peer;
    struct stop *stop_then;
};

static int setup(void **state)
{
    static struct bench bench;
    void *rig;
    assert_int_equal(rig_setup(&rig), 0);
    bench = (struct bench){.rig = rig};
    bench.rig->context.settings = bench.settings;
    bench.rig->context.interval_ms = 1000;
    bench.rig->context.timeout_ms = 5000;
    *state = &bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;
    void *rig = bench->rig;
    return rig_teardown(&rig);
}

static void set(struct bench *bench, const char *key, const char *value)
{
    struct driver_context *context = &bench->rig->context;
    assert_true(context->setting_count < SETTINGS_MAX);
    bench->settings[context->setting_count++] = (struct driver_setting){key, value};
}

static void set_meter(struct bench *bench)
{
    bench->rig->context.setting_count = 0;
    set(bench, "bus", bench->bus);
    for (size_t i = 0; i < METER; i++)
        set(bench, meter[i].key, meter[i].value);
}

/* Starts a peer, and the meter behind it. */
static void listen_tcp(struct bench *bench, const struct peer_step *steps, size_t count, bool six)
{
    uint16_t port = 0;
    bench->peer = peer_tcp(steps, count, six, &port, bench->stop_then);
    (void)snprintf(bench->bus, sizeof bench->bus, "tcp://%s:%u", six ? "[::1]" : "127.0.0.1",
                   (unsigned)port);
    set_meter(bench);
}

static void open_tcp(struct bench *bench, const struct peer_step *steps, size_t count)
{
    listen_tcp(bench, steps, count, false);
    assert_int_equal(rig_open(bench->rig, "modbus"), 0);
}

#define OPEN_TCP(bench, steps) open_tcp(bench, steps, sizeof(steps) / sizeof(steps)[0])

static void expect_meter(struct bench *bench)
{
    assert_int_equal(rig_sample(bench->rig), 0);
    rig_expect(bench->rig, "power", -100, 1, "W");
    rig_expect(bench->rig, "energy", 7, 0, "");
    assert_null(bench->rig->driver->lack(bench->rig->instance));
}

static void expect_fault(struct bench *bench, int code, const char *words)
{
    assert_int_equal(rig_sample(bench->rig), code);
    const char *fault = bench->rig->driver->fault(bench->rig->instance);
    assert_non_null(fault);
    if (strstr(fault, words) == NULL)
        fail_msg("\"%s\" is not in: %s", words, fault);
}

/* ---- TCP ---- */

static void test_neighbours_are_read_together(void **state)
{
    static const struct peer_step steps[] = {{ASK_BOTH, SAY_BOTH, false},
                                             {ASK_BOTH, SAY_BOTH, false}};
    struct bench *bench = *state;
    OPEN_TCP(bench, steps);
    assert_int_equal(bench->rig->channel_count, 2);
    assert_int_equal(bench->rig->channels[0].decimals, 1);
    expect_meter(bench);
    expect_meter(bench);
    peer_finish(bench->peer, 1);
}

static void test_an_address_of_ipv6(void **state)
{
    static const struct peer_step steps[] = {{ASK_BOTH, SAY_BOTH, false}};
    struct bench *bench = *state;
    listen_tcp(bench, steps, 1, true);
    if (bench->peer == NULL)
        skip();
    assert_int_equal(rig_open(bench->rig, "modbus"), 0);
    expect_meter(bench);
    peer_finish(bench->peer, 1);
}

static void test_a_hole_that_the_unit_refuses_is_remembered(void **state)
{
    static const struct peer_step steps[] = {
        {ASK_BOTH, SAY_NO("02"), false}, {ASK_POWER, SAY_POWER, false},
        {ASK_ENERGY, SAY_ENERGY, false}, {ASK_POWER, SAY_POWER, false},
        {ASK_ENERGY, SAY_ENERGY, false},
    };
    struct bench *bench = *state;
    OPEN_TCP(bench, steps);
    expect_meter(bench);
    expect_meter(bench);
    peer_finish(bench->peer, 1);
}

static void test_a_register_that_is_not_there_takes_nothing_with_it(void **state)
{
    static const struct peer_step steps[] = {
        {ASK_BOTH, SAY_NO("03"), false},   {ASK_POWER, SAY_POWER, false},
        {ASK_ENERGY, SAY_ENERGY, false},   {ASK_POWER, SAY_POWER, false},
        {ASK_ENERGY, SAY_NO("02"), false}, {ASK_POWER, SAY_POWER, false},
        {ASK_ENERGY, SAY_ENERGY, false},
    };
    struct bench *bench = *state;
    OPEN_TCP(bench, steps);
    expect_meter(bench);
    assert_int_equal(rig_sample(bench->rig), 0);
    rig_expect(bench->rig, "power", -100, 1, "W");
    assert_int_equal(rig_value(bench->rig, "energy")->kind, VALUE_ABSENT);
    const char *lack = bench->rig->driver->lack(bench->rig->instance);
    assert_string_equal(lack,
                        "unit 1, holding register 16: exception 2, there is no such register");
    expect_meter(bench);
    peer_finish(bench->peer, 1);
}

static void test_exceptions_are_said_in_words(void **state)
{
    static const struct peer_step steps[] = {
        {ASK_BOTH, SAY_NO("06"), false},  {ASK_BOTH, SAY_NO("0b"), false},
        {ASK_BOTH, SAY_NO("04"), false},  {ASK_BOTH, SAY_NO("2a"), false},
        {ASK_BOTH, SAY_NO("01"), false},  {ASK_BOTH, SAY_NO("02"), false},
        {ASK_POWER, SAY_NO("02"), false}, {ASK_ENERGY, SAY_NO("02"), false},
    };
    struct bench *bench = *state;
    OPEN_TCP(bench, steps);
    expect_fault(bench, E_REFUSED, "unit 1, holding register 12: exception 6, the unit is busy");
    expect_fault(bench, E_REFUSED, "exception 11, the unit does not answer the gateway");
    expect_fault(bench, E_REFUSED, "exception 4, the unit failed");
    expect_fault(bench, E_REFUSED, "exception 42, ");
    expect_fault(bench, E_REFUSED, "exception 1, ");
    expect_fault(bench, E_REFUSED, "exception 2, there is no such register");
    peer_finish(bench->peer, 1);
}

static void test_silence_ends_in_time_and_with_the_connection(void **state)
{
    static const struct peer_step steps[] = {{ASK_BOTH, NULL, false}, {ASK_BOTH, SAY_BOTH, false}};
    struct bench *bench = *state;
    OPEN_TCP(bench, steps);
    expect_fault(bench, E_TIMEOUT, "no answer");
    expect_meter(bench);
    peer_finish(bench->peer, 2);
}

static void test_a_stop_ends_the_wait(void **state)
{
    static const struct peer_step steps[] = {{ASK_BOTH, NULL, false}};
    struct bench *bench = *state;
    bench->stop_then = &bench->rig->stop;
    listen_tcp(bench, steps, 1, false);
    bench->settings[1].value = "5s";
    assert_int_equal(rig_open(bench->rig, "modbus"), 0);
    assert_int_equal(rig_sample(bench->rig), E_STOP);
    rig_close(bench->rig);
    peer_finish(bench->peer, 1);
}

static void test_what_is_no_answer_is_asked_once_more(void **state)
{
    static const struct peer_step steps[] = {
        {ASK_BOTH, "0001 0000 000d 01 03 0a ffff ff9c 0000 0000 0007", false}, /* transaction */
        {ASK_BOTH, SAY_BOTH, false},
        {ASK_BOTH, "0000 0000 000d 02 03 0a ffff ff9c 0000 0000 0007", false}, /* unit */
        {ASK_BOTH, SAY_BOTH, false},
        {ASK_BOTH, "0000 0000 000f 01 03 0a ffff ff9c 0000 0000 0007", false}, /* length */
        {ASK_BOTH, SAY_BOTH, false},
        {ASK_BOTH, "4854 5450 2f31 2e31 2034 3030 2042 6164 2052", false}, /* "HTTP/1.1 400" */
        {ASK_BOTH, SAY_POWER, false},                                      /* too few registers */
    };
    struct bench *bench = *state;
    OPEN_TCP(bench, steps);
    expect_meter(bench);
    expect_meter(bench);
    expect_meter(bench);
    expect_fault(bench, E_DAMAGED, "what came is no answer");
    peer_finish(bench->peer, 5);
}

static void test_an_answer_without_an_end(void **state)
{
    static const struct peer_step steps[] = {{ASK_BOTH, "0000 0000 000d 01 03 0a ffff", false},
                                             {ASK_BOTH, SAY_BOTH, false}};
    struct bench *bench = *state;
    struct rig *rig = bench->rig;
    OPEN_TCP(bench, steps);
    assert_int_equal(rig->driver->fetch(rig->instance, clock_mono_ms() + 300), E_DAMAGED);
    expect_meter(bench);
    peer_finish(bench->peer, 2);
}

static void test_a_connection_that_was_closed_is_made_anew(void **state)
{
    static const struct peer_step steps[] = {{ASK_BOTH, SAY_BOTH, true},
                                             {ASK_BOTH, SAY_BOTH, false},
                                             {ASK_BOTH, NULL, true},
                                             {ASK_BOTH, NULL, true}};
    struct bench *bench = *state;
    OPEN_TCP(bench, steps);
    expect_meter(bench);
    expect_meter(bench);
    assert_true(error_errno(rig_sample(bench->rig)) != 0);
    peer_finish(bench->peer, 3);
}

static void test_nobody_listens(void **state)
{
    struct bench *bench = *state;
    listen_tcp(bench, NULL, 0, false);
    peer_finish(bench->peer, 0);
    assert_true(error_errno(rig_open(bench->rig, "modbus")) != 0);
    assert_non_null(strstr(bench->rig->fault, "127.0.0.1 port "));
    assert_non_null(strstr(bench->rig->fault, "firewall"));
}

static void test_sensors_of_a_bus_share_its_connection(void **state)
{
    static const struct peer_step steps[] = {
        {ASK_BOTH, SAY_BOTH, false}, {ASK_BOTH, SAY_BOTH, false}, {ASK_BOTH, SAY_BOTH, false}};
    struct bench *bench = *state;
    struct rig *rig = bench->rig;
    void *place = NULL;
    listen_tcp(bench, steps, 3, false);
    rig->context.bus_state = &place;
    assert_int_equal(rig_open(rig, "modbus"), 0);
    void *other = calloc(1, rig->driver->instance_bytes);
    assert_non_null(other);
    assert_int_equal(rig->driver->open(other, &rig->context), 0);
    assert_int_equal(rig->driver->fetch(other, clock_mono_ms() + 1000), 0);
    expect_meter(bench);
    rig->driver->close(other);
    free(other);
    assert_non_null(place);
    expect_meter(bench);
    rig_close(rig);
    assert_null(place);
    peer_finish(bench->peer, 1);
}

static void test_what_is_no_number_is_absent(void **state)
{
    static const struct peer_step steps[] = {
        {"0000 0000 0006 01 03 000c 0003", "0000 0000 0009 01 03 06 7fc0 0000 0007", false},
        {"0000 0000 0006 01 03 000c 0003", "0000 0000 0009 01 03 06 7fc0 0000 fff0", false},
    };
    struct bench *bench = *state;
    listen_tcp(bench, steps, 2, false);
    bench->settings[4].value = "float32";
    set(bench, "channels[1].type", "bcd16");
    bench->settings[8].value = "14";
    assert_int_equal(rig_open(bench->rig, "modbus"), 0);
    assert_int_equal(rig_sample(bench->rig), 0);
    assert_int_equal(rig_value(bench->rig, "power")->kind, VALUE_ABSENT);
    rig_expect(bench->rig, "energy", 7, 0, "");
    assert_non_null(strstr(bench->rig->driver->lack(bench->rig->instance), "power (unit 1"));
    expect_fault(bench, E_SYNTAX, "energy (unit 1, holding register 14): no number");
    peer_finish(bench->peer, 1);
}

/* ---- serial lines ---- */

/* A widely published example: unit 17, holding registers 107 to 109. */
#define ASK_SERIAL "11 03 006b 0003 7687"
#define SAY_SERIAL "11 03 06 ae41 5652 4340 49ad"

static void plug(struct bench *bench, const struct peer_step *steps, size_t count)
{
    char path[PEER_PATH_BYTES];
    struct rig *rig = bench->rig;
    bench->peer = peer_serial(steps, count, path);
    rig_write(rig, "dev/null", "");
    (void)unlink(rig_path(rig, "dev/ttyUSB0"));
    assert_int_equal(symlink(path, rig_path(rig, "dev/ttyUSB0")), 0);
}

static void open_serial(struct bench *bench, const struct peer_step *steps, size_t count)
{
    struct rig *rig = bench->rig;
    plug(bench, steps, count);
    rig->context.setting_count = 0;
    set(bench, "bus", "rtu:///dev/ttyUSB0");
    set(bench, "unit_id", "17");
    set(bench, "response", "200ms");
    set(bench, "baud", "9600");
    set(bench, "channels[0].name", "a");
    set(bench, "channels[0].register", "107");
    set(bench, "channels[1].name", "b");
    set(bench, "channels[1].register", "109");
    assert_int_equal(rig_open(rig, "modbus"), 0);
}

#define OPEN_SERIAL(bench, steps) open_serial(bench, steps, sizeof(steps) / sizeof(steps)[0])

static void expect_serial(struct bench *bench)
{
    assert_int_equal(rig_sample(bench->rig), 0);
    rig_expect(bench->rig, "a", 0xae41, 0, "");
    rig_expect(bench->rig, "b", 0x4340, 0, "");
}

static void test_a_serial_line(void **state)
{
    static const struct peer_step steps[] = {{ASK_SERIAL, SAY_SERIAL, false},
                                             {ASK_SERIAL, SAY_SERIAL, false}};
    struct bench *bench = *state;
    OPEN_SERIAL(bench, steps);
    expect_serial(bench);
    peer_expect_exclusive(bench->peer, true);
    expect_serial(bench);
    rig_close(bench->rig);
    peer_expect_exclusive(bench->peer, false);
    peer_finish(bench->peer, 0);
}

static void test_stale_bytes_are_no_answer(void **state)
{
    static const struct peer_step steps[] = {{ASK_SERIAL, SAY_SERIAL, false},
                                             {ASK_SERIAL, SAY_SERIAL, false}};
    struct bench *bench = *state;
    OPEN_SERIAL(bench, steps);
    peer_blurt(bench->peer, "11 03 06 0001 0002 0003");
    expect_serial(bench);
    peer_blurt(bench->peer, "11 03 06 0001 0002 0003");
    expect_serial(bench);
    peer_finish(bench->peer, 0);
}

static void test_a_bad_checksum_is_asked_once_more(void **state)
{
    static const struct peer_step steps[] = {
        {ASK_SERIAL, "11 03 06 ae41 5653 4340 49ad", false}, /* one bit of it */
        {ASK_SERIAL, SAY_SERIAL, false},
        {ASK_SERIAL, "12 03 06 0001 0002 0003 2444", false}, /* another unit's */
        {ASK_SERIAL, SAY_SERIAL, false},
        {ASK_SERIAL, "11 03 06 ae41", false}, /* cut off */
        {ASK_SERIAL, "ff ff ff ff ff ff ff ff ff ff ff ff ff ff", false},
    };
    struct bench *bench = *state;
    OPEN_SERIAL(bench, steps);
    expect_serial(bench);
    expect_serial(bench);
    expect_fault(bench, E_DAMAGED, "what came is no answer");
    peer_finish(bench->peer, 0);
}

static void test_a_silent_unit_keeps_the_line_open(void **state)
{
    static const struct peer_step steps[] = {{ASK_SERIAL, NULL, false},
                                             {ASK_SERIAL, SAY_SERIAL, false}};
    struct bench *bench = *state;
    OPEN_SERIAL(bench, steps);
    expect_fault(bench, E_TIMEOUT, "unit 17, holding register 107: no answer");
    expect_serial(bench);
    peer_finish(bench->peer, 0);
}

static void test_an_adapter_with_an_echo(void **state)
{
    static const struct peer_step steps[] = {{ASK_SERIAL, ASK_SERIAL SAY_SERIAL, false},
                                             {ASK_SERIAL, ASK_SERIAL SAY_SERIAL, false},
                                             {ASK_SERIAL, ASK_SERIAL SAY_SERIAL, false},
                                             {ASK_SERIAL, ASK_SERIAL SAY_SERIAL, false}};
    struct bench *bench = *state;
    open_serial(bench, steps, 4);
    expect_fault(bench, E_DAMAGED, "set \"echo\" to true");
    set(bench, "echo", "true");
    assert_int_equal(rig_open(bench->rig, "modbus"), 0);
    expect_serial(bench);
    expect_serial(bench);
    peer_finish(bench->peer, 0);
}

static void test_an_adapter_that_is_unplugged_and_plugged_in(void **state)
{
    static const struct peer_step first[] = {{ASK_SERIAL, SAY_SERIAL, false}};
    static const struct peer_step second[] = {{ASK_SERIAL, SAY_SERIAL, false}};
    struct bench *bench = *state;
    struct rig *rig = bench->rig;
    OPEN_SERIAL(bench, first);
    assert_int_equal(rig->driver->fetch(rig->instance, clock_mono_ms() + 1000), 0);
    peer_finish(bench->peer, 0);
    (void)unlink(rig_path(rig, "dev/ttyUSB0"));
    assert_true(error_errno(rig_sample(rig)) != 0);
    assert_int_equal(error_errno(rig_open(rig, "modbus")), 2);
    assert_non_null(strstr(rig->fault, "/dev/ttyUSB0: "));
    assert_non_null(strstr(rig->fault, "plugged in"));
    plug(bench, second, 1);
    assert_int_equal(rig_open(rig, "modbus"), 0);
    expect_serial(bench);
    peer_finish(bench->peer, 0);
}

static void test_no_serial_line_at_all(void **state)
{
    struct bench *bench = *state;
    struct rig *rig = bench->rig;
    rig_write(rig, "dev/plain", "");
    set_meter(bench);
    bench->settings[0].value = "rtu:///dev/plain";
    assert_true(rig_open(rig, "modbus") < 0);
    assert_non_null(strstr(rig->fault, "is it a serial line?"));
}

static void test_a_line_is_set_up_as_configured(void **state)
{
    static const struct peer_step none[1];
    struct termios line;
    struct bench *bench = *state;
    open_serial(bench, none, 0);
    peer_get_line(bench->peer, &line);
    assert_int_equal(cfgetospeed(&line), B9600);
    assert_int_equal(line.c_cflag & (CSTOPB | CSIZE), CS8);
    assert_int_equal(line.c_lflag & (ICANON | ECHO | ISIG), 0);
    assert_int_equal(line.c_iflag & (IXON | INPCK), INPCK);
    set(bench, "stop_bits", "2");
    set(bench, "parity", "none");
    assert_int_equal(rig_open(bench->rig, "modbus"), 0);
    peer_get_line(bench->peer, &line);
    assert_int_equal(line.c_cflag & (CSTOPB | CSIZE), CSTOPB | CS8);
    assert_int_equal(line.c_iflag & (IXON | INPCK), 0);
    peer_finish(bench->peer, 0);
}

static void test_sensors_of_a_line_agree_about_it(void **state)
{
    static const struct peer_step none[1];
    struct bench *bench = *state;
    struct rig *rig = bench->rig;
    void *place = NULL;
    rig->context.bus_state = &place;
    open_serial(bench, none, 0);
    void *other = calloc(1, rig->driver->instance_bytes);
    assert_non_null(other);
    bench->settings[3].value = "19200";
    assert_int_equal(rig->driver->open(other, &rig->context), E_INVALID);
    assert_non_null(strstr(rig->fault, "another \"baud\""));
    bench->settings[3].value = "9600";
    set(bench, "echo", "true");
    assert_int_equal(rig->driver->open(other, &rig->context), E_INVALID);
    rig->driver->close(other);
    free(other);
    rig_close(rig);
    assert_null(place);
    peer_finish(bench->peer, 0);
}

/* ---- settings ---- */

static void expect_refusal(struct bench *bench, const char *key, const char *value, const char *at,
                           const char *words)
{
    struct rig *rig = bench->rig;
    const struct driver *driver = driver_find("modbus");
    assert_non_null(driver);
    (void)strcpy(bench->bus, "tcp://gateway.example");
    set_meter(bench);
    assert_null(driver->check(&rig->context));
    for (size_t i = 0; i < rig->context.setting_count; i++)
        if (strcmp(bench->settings[i].key, key) == 0)
            bench->settings[i].key = "not asked for";
    set(bench, key, value);
    const char *found = driver->check(&rig->context);
    assert_non_null(found);
    assert_string_equal(found, at);
    if (strstr(rig->fault, words) == NULL)
        fail_msg("\"%s\" is not in: %s", words, rig->fault);
}

static void test_settings_that_are_wrong(void **state)
{
    static const struct {
        const char *key, *value, *at, *words;
    } wrong[] = {
        {"bus", "gateway:502", "bus", "is no bus"},
        {"bus", "tcp://", "bus", "host and port"},
        {"bus", "tcp://gateway:0", "bus", "host and port"},
        {"bus", "tcp://gateway:99999", "bus", "host and port"},
        {"bus", "tcp://gateway/x", "bus", "host and port"},
        {"bus", "rtu://ttyUSB0", "bus", "absolute path"},
        {"baud", "9600", "baud", "serial line"},
        {"echo", "false", "echo", "serial line"},
        {"unit_id", "248", "unit_id", "1 to 247"},
        {"response", "5ms", "response", "too short"},
        {"response", "6s", "response", "timeout"},
        {"channels[1].name", "power", "channels[1].name", "before it"},
        {"channels[1].name", "", "channels[1].name", "no name"},
        {"channels[1].name", "123456789012345678901234567890xx", "channels[1].name", "31 bytes"},
        {"channels[1].type", "bool", "channels[1].type", "\"bit\""},
        {"channels[0].bit", "3", "channels[0].bit", "bool"},
        {"channels[0].table", "coil", "channels[0].type", "single bit"},
        {"channels[0].register", "65535", "channels[0].register", "does not fit"},
        {"channels[1].type", "string", "channels[1].type", "\"registers\""},
        {"channels[1].registers", "4", "channels[1].registers", "strings"},
        {"channels[0].factor", "0.000000000000000001", "channels[0].factor", "digits"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        expect_refusal(*state, wrong[i].key, wrong[i].value, wrong[i].at, wrong[i].words);
}

static void test_a_single_bit_has_no_order(void **state)
{
    struct bench *bench = *state;
    (void)strcpy(bench->bus, "tcp://gateway.example");
    set_meter(bench);
    set(bench, "channels[2].name", "relay");
    set(bench, "channels[2].register", "0");
    set(bench, "channels[2].table", "coil");
    set(bench, "channels[2].order", "CDAB");
    assert_string_equal(driver_find("modbus")->check(&bench->rig->context), "channels[2].order");
    assert_non_null(strstr(bench->rig->fault, "is for registers"));
}

static void test_a_serial_line_has_its_limits(void **state)
{
    struct bench *bench = *state;
    struct rig *rig = bench->rig;
    const struct driver *driver = driver_find("modbus");
    set_meter(bench);
    bench->settings[0].value = "rtu:///dev/ttyUSB0";
    set(bench, "unit_id", "0");
    assert_string_equal(driver->check(&rig->context), "unit_id");
    bench->settings[0].value = "tcp://gateway";
    assert_null(driver->check(&rig->context));
    set(bench, "channels[2].name", "label");
    set(bench, "channels[2].register", "0");
    set(bench, "channels[2].type", "string");
    set(bench, "channels[2].registers", "5");
    assert_null(driver->check(&rig->context));
    bench->settings[0].value = "rtu:///dev/ttyUSB0";
    bench->settings[METER + 1].value = "1";
    assert_null(driver->check(&rig->context));
    set(bench, "baud", "300");
    assert_string_equal(driver->check(&rig->context), "channels[2].registers");
    rig->context.setting_count = 1;
    assert_string_equal(driver->check(&rig->context), "channels");
}

#define MODBUS_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MODBUS_TEST(test_neighbours_are_read_together),
        MODBUS_TEST(test_an_address_of_ipv6),
        MODBUS_TEST(test_a_hole_that_the_unit_refuses_is_remembered),
        MODBUS_TEST(test_a_register_that_is_not_there_takes_nothing_with_it),
        MODBUS_TEST(test_exceptions_are_said_in_words),
        MODBUS_TEST(test_silence_ends_in_time_and_with_the_connection),
        MODBUS_TEST(test_a_stop_ends_the_wait),
        MODBUS_TEST(test_what_is_no_answer_is_asked_once_more),
        MODBUS_TEST(test_an_answer_without_an_end),
        MODBUS_TEST(test_a_connection_that_was_closed_is_made_anew),
        MODBUS_TEST(test_nobody_listens),
        MODBUS_TEST(test_sensors_of_a_bus_share_its_connection),
        MODBUS_TEST(test_what_is_no_number_is_absent),
        MODBUS_TEST(test_a_serial_line),
        MODBUS_TEST(test_stale_bytes_are_no_answer),
        MODBUS_TEST(test_a_bad_checksum_is_asked_once_more),
        MODBUS_TEST(test_a_silent_unit_keeps_the_line_open),
        MODBUS_TEST(test_an_adapter_with_an_echo),
        MODBUS_TEST(test_an_adapter_that_is_unplugged_and_plugged_in),
        MODBUS_TEST(test_no_serial_line_at_all),
        MODBUS_TEST(test_a_line_is_set_up_as_configured),
        MODBUS_TEST(test_sensors_of_a_line_agree_about_it),
        MODBUS_TEST(test_settings_that_are_wrong),
        MODBUS_TEST(test_a_single_bit_has_no_order),
        MODBUS_TEST(test_a_serial_line_has_its_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
