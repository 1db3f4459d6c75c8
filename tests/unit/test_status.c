/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/control/human.h"
#include "agent/control/status.h"
#include "agent/control/status_read.h"
#include "platform/base/error.h"
#include "platform/fs.h"
#include "platform/json/json_scan.h"

#define DATA RUNNEL_SOURCE_DIR "/tests/unit/data/"

enum { TEXT_BYTES = 64 * 1024 };

static uint64_t bits_of(double number)
{
    uint64_t bits;
    memcpy(&bits, &number, sizeof(bits));
    return bits;
}

static void set_channel(struct status_sensor *sensor, const char *name, const char *unit,
                        struct value value)
{
    struct channel *channel = &sensor->channels[sensor->channel_count];
    snprintf(channel->name, sizeof(channel->name), "%s", name);
    snprintf(channel->unit, sizeof(channel->unit), "%s", unit);
    sensor->values[sensor->channel_count++] = value;
}

static struct value decimal(int64_t mantissa, unsigned decimals)
{
    return (struct value){.kind = VALUE_DECIMAL, .mantissa = mantissa, .decimals = decimals};
}

static struct value text_value(const char *text)
{
    return (struct value){.kind = VALUE_TEXT, .text = text, .text_bytes = strlen(text)};
}

/* The sensors of the sample status, by index. */
static void get_sensor(void *context, size_t index, struct status_sensor *ret_sensor)
{
    (void)context;
    struct status_sensor sensor = {.samples = 190, .missed = 2, .age_ms = 412};
    switch (index) {
    case 0:
        sensor.name = "board";
        sensor.driver = "thermal";
        sensor.suppressed = 8450;
        sensor.unfit = 2;
        sensor.lack = "scale of \"hum\": the sensor has no such channel";
        set_channel(&sensor, "temp", "Cel", decimal(4150, 2));
        set_channel(&sensor, "fan", "rpm", (struct value){.kind = VALUE_ABSENT});
        set_channel(&sensor, "min", "Cel", decimal(-5, 1));
        break;
    case 1:
        sensor.name = "meter";
        sensor.driver = "sim";
        set_channel(&sensor, "power", "W",
                    (struct value){.kind = VALUE_FLOAT64, .float64_bits = bits_of(0.1)});
        set_channel(&sensor, "mode", "", text_value("idle \"x\"\xc3\xa4"));
        break;
    default:
        sensor = (struct status_sensor){.name = "plc",
                                        .driver = "lines",
                                        .errors = 3,
                                        .error = "/run/plc.fifo: No such file or directory",
                                        .age_ms = STATUS_NEVER};
    }
    *ret_sensor = sensor;
}

static struct status sample_status(void)
{
    return (struct status){
        .device = "gw-17",
        .spool = "9f31c2a47be0d815",
        .version = "0.1.0",
        .config_id = "3f7a9c01",
        .config = {.state = "trial",
                   .origin = "local",
                   .file = "/var/lib/runnel/config/2.json",
                   .store = "/var/lib/runnel/config",
                   .left_ms = 890000,
                   .result = "reverted",
                   .document = "0123456789abcdef",
                   .route = "live",
                   .error = "the stream \"telemetri\" does not exist"},
        .uptime_ms = 192345,
        .healthy = true,
        .warnings = {"device is \"localhost\", which many machines are called: give this one a "
                     "name of its own"},
        .warning_count = 1,
        .durable = true,
        .clock_quality = "synced",
        .clock_offset_ms = INT64_C(1795500000123),
        .counters_since_ms = INT64_C(1795473086123),
        .lanes = {{.name = "alarm"},
                  {.name = "normal",
                   .pending = 12,
                   .refused = 1,
                   .stored = 345,
                   .stored_bytes = 12345,
                   .oldest_age_ms = 4200},
                  {.name = "bulk"}},
        .routes = {{.name = "live",
                    .destination = "kinesis",
                    .state = "delivering",
                    .hold = true,
                    .lanes = {true, true, false},
                    .counters = {{0}, {.accepted = 12345, .delivered = 12000, .stored = 345}},
                    .requests = 25,
                    .retried = 7,
                    .throttled = 1,
                    .bytes_out = 3456789,
                    .bytes_in = 12345,
                    .handshakes = 2,
                    .resumed = 1,
                    .credentials_failures = 3,
                    .dns_failures = 6,
                    .delivered_age_ms = 950},
                   {.name = "lake",
                    .destination = "firehose",
                    .state = "backing-off",
                    .error = "firehose.eu-west-1.amazonaws.com:443: Connection refused",
                    .lanes = {false, true, true},
                    .counters = {{0},
                                 {.accepted = 12345, .stored = 12000, .dead = 40, .evicted = 305},
                                 {0}},
                    .delivered_age_ms = STATUS_NEVER}},
        .route_count = 2,
        .sensor_count = 3,
        .sensor = get_sensor,
        .dead_letters = 40,
        .dead_bytes = 81920,
        .link = {.month_bytes = 3456789,
                 .limit_bytes = 400 << 20,
                 .until_wall_ms = INT64_C(1796083200000)},
        .certificate = {.file = "/var/lib/runnel/device.pem",
                        .expires_ms = INT64_C(1811808000000),
                        .has_days = true,
                        .days = 212},
        .confined = {.user = "runnel", .capabilities = "none", .seccomp = "on"},
        .flash_commits = 12,
        .flash_bytes = 49152,
        .flash_today_bytes = 16384,
        .flash_size_bytes = 32 << 20,
        .flash_used_bytes = 3 << 20,
        .memory_rss_bytes = 5 << 20,
        .memory_private_bytes = 1258291,
    };
}

static void write_status(const struct status *status, bool text, char *to)
{
    struct writer writer;
    writer_to_memory(&writer, to, TEXT_BYTES);
    if (text)
        status_write_text(status, &writer);
    else
        status_write_json(status, &writer);
    assert_int_equal(writer_finish(&writer), 0);
}

/* The files are the contract that scripts rely on: a change here is a change for them. */
static void assert_equals_file(const char *text, const char *file)
{
    static char expected[TEXT_BYTES];
    char path[FS_PATH_BYTES];
    snprintf(path, sizeof(path), DATA "%s", file);
    assert_true(fs_read_file(path, expected, sizeof(expected)) >= 0);
    assert_string_equal(text, expected);
}

static void test_json_is_what_scripts_rely_on(void **state)
{
    (void)state;
    static char json[TEXT_BYTES];
    struct status status = sample_status();
    write_status(&status, false, json);
    assert_int_equal(json_scan_object(json, strlen(json)), 0);
    assert_null(strchr(json, '\n'));
    strcat(json, "\n");
    assert_equals_file(json, "status.json");
}

static void test_text_is_for_people(void **state)
{
    (void)state;
    static char text[TEXT_BYTES];
    struct status status = sample_status();
    write_status(&status, true, text);
    assert_equals_file(text, "status.txt");
    status.link.paused = true;
    write_status(&status, true, text);
    assert_non_null(strstr(text, "400.0 MiB this month, paused until 2026-12-01 00:00 UTC\n"));
    status.link.until_wall_ms = 0;
    write_status(&status, true, text);
    assert_non_null(strstr(text, "400.0 MiB this month\n"));
    status.link.limit_bytes = 0;
    write_status(&status, true, text);
    assert_null(strstr(text, "this month"));
}

static void assert_terminal_safe(const char *text)
{
    unsigned columns = 0;
    for (const char *c = text; *c != '\0'; c++) {
        columns = *c == '\n' ? 0 : columns + 1;
        assert_true(columns <= 80);
        assert_true(*c == '\n' || (*c >= ' ' && *c <= '~'));
    }
}

#ifdef CONFIG_COAP
static const char *const listen_at[] = {"coaps://[::]:5684", "coap://127.0.0.1"};

static bool get_coap_sensor(void *context, size_t index, struct status_coap_sensor *ret_sensor)
{
    (void)context;
    *ret_sensor = index == 0 ? (struct status_coap_sensor){.name = "pump-4",
                                                           .messages = 90,
                                                           .records = 180,
                                                           .refused = 1,
                                                           .faults = 4,
                                                           .age_ms = 1500}
                             : (struct status_coap_sensor){.name = "well", .age_ms = STATUS_NEVER};
    return index < 2;
}

static struct status_coap sample_coap(void)
{
    return (struct status_coap){.listen = listen_at,
                                .listen_count = 2,
                                .messages = 99,
                                .accepted = 90,
                                .repeated = 2,
                                .throttled = 5,
                                .handshakes_failed = 3,
                                .sessions = 7,
                                .waiting = 1,
                                .transfers = 6,
                                .identities = 8,
                                .codes = {"2.04", "4.00"},
                                .answers = {90, 4},
                                .sensor = get_coap_sensor};
}

static void test_coap_is_told_of_where_something_listens(void **state)
{
    (void)state;
    static char json[TEXT_BYTES];
    struct status status = sample_status();
    write_status(&status, false, json);
    assert_null(strstr(json, "\"coap\""));
    status.coap = sample_coap();
    write_status(&status, false, json);
    assert_int_equal(json_scan_object(json, strlen(json)), 0);
    assert_non_null(strstr(
        json, "}},\"coap\":{\"listen\":[\"coaps://[::]:5684\",\"coap://127.0.0.1\"],\"sessions\":7,"
              "\"waiting\":1,\"transfers\":6,\"identities\":8,\"messages\":99,\"accepted\":90,"
              "\"repeated\":2,\"throttled\":5,\"handshakes_failed\":3,"
              "\"answers\":{\"2.04\":90,\"4.00\":4},\"sensors\":{\"pump-4\":{\"messages\":90,"
              "\"records\":180,\"refused\":1,\"faults\":4,\"age_s\":1.500},"
              "\"well\":{\"messages\":0,\"records\":0,\"refused\":0,\"faults\":0,\"age_s\":null}}},"
              "\"dead\":"));
}

static void test_coap_that_is_closed_says_why(void **state)
{
    (void)state;
    static char text[TEXT_BYTES];
    struct status status = sample_status();
    status.coap = sample_coap();
    status.coap.error = "cannot listen";
    write_status(&status, false, text);
    assert_non_null(strstr(text, "\"coap\":{\"listen\":[],\"error\":\"cannot listen\","));
    write_status(&status, true, text);
    assert_non_null(strstr(text, "\n  is closed: cannot listen\n  peers "));
}

static void test_text_tells_of_coap(void **state)
{
    (void)state;
    static char text[TEXT_BYTES];
    struct status status = sample_status();
    status.coap = sample_coap();
    write_status(&status, true, text);
    assert_non_null(strstr(text,
                           "\n\ncoap: 99 messages, accepted 90, throttled 5\n"
                           "  peers 7, waiting 1, transfers 6; handshakes that failed 3\n"
                           "  sensor            messages   records refused  faults     age\n"
                           "  pump-4                  90       180       1       4    1.5s\n"
                           "  well                     0         0       0       0   never\n"));
}
#endif

static void test_text_keeps_to_80_columns_and_plain_ascii(void **state)
{
    (void)state;
    static char text[TEXT_BYTES];
    static char problem[1000];
    struct status status = sample_status();
    memset(problem, 'x', sizeof(problem) - 1);
    memcpy(problem + 100, " a few words \n\033[2J\xc3\xa4 ", 22);
    status.healthy = false;
    status.problem = problem;
    status_warn(&status, problem);
    status.device = "gw\033]0;title\007";
    status.routes[0].counters[1] =
        (struct status_counters){UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
    write_status(&status, true, text);
    assert_terminal_safe(text);
    assert_non_null(strstr(text, "NOT HEALTHY\n"));
    assert_non_null(strstr(text, "\n  warning: xxxx"));
}

static void test_more_warnings_than_have_room_are_left_out(void **state)
{
    (void)state;
    struct status status = sample_status();
    status_warn(&status, NULL);
    assert_int_equal(status.warning_count, 1);
    for (int i = 0; i < STATUS_WARNINGS_MAX + 1; i++)
        status_warn(&status, "one more");
    assert_int_equal(status.warning_count, STATUS_WARNINGS_MAX);
    assert_string_equal(status.warnings[STATUS_WARNINGS_MAX - 1], "one more");
}

/* A figure that the edge cut off would be taken for another. */
static void test_a_long_life_is_not_cut_off(void **state)
{
    (void)state;
    static char text[TEXT_BYTES];
    struct status status = sample_status();
    status.flash_used_bytes = (uint64_t)1023 << 20;
    status.flash_size_bytes = (uint64_t)1023 << 20;
    status.flash_bytes = (uint64_t)1023 << 30;
    status.flash_today_bytes = (uint64_t)1023 << 30;
    status.flash_commits = 1234567890;
    write_status(&status, true, text);
    assert_non_null(strstr(text, "in 1234567890 commits since the start\n"));
}

static void get_wide_sensor(void *context, size_t index, struct status_sensor *ret_sensor)
{
    (void)context;
    (void)index;
    struct status_sensor sensor = {.name = "supply-temperature", .driver = "sim", .samples = 1};
    set_channel(&sensor, "temperature", "Cel", decimal(2150, 2));
    set_channel(&sensor, "humidity", "%RH", decimal(482, 1));
    set_channel(&sensor, "note", "", text_value("a text of 33 bytes, which is many"));
    for (int i = 0; i < 4; i++)
        set_channel(&sensor, "pressure", "hPa", decimal(101325, 2));
    *ret_sensor = sensor;
}

static void test_values_go_on_in_lines_below(void **state)
{
    (void)state;
    static char text[TEXT_BYTES];
    struct status status = sample_status();
    status.sensor_count = 1;
    status.sensor = get_wide_sensor;
    write_status(&status, true, text);
    assert_terminal_safe(text);
    assert_non_null(strstr(text,
                           "\nsupply-temperature\n                         1       0    0.0s  "
                           "temperature 21.50 Cel,\n"
                           "    humidity 48.2 %RH, note a text of 33 bytes, which is man..,\n"
                           "    pressure 1013.25 hPa, pressure 1013.25 hPa, "
                           "pressure 1013.25 hPa,\n"
                           "    pressure 1013.25 hPa\n"));
}

static void test_a_sum_of_long_figures_goes_on_in_a_second_line(void **state)
{
    (void)state;
    static char text[TEXT_BYTES];
    struct status status = sample_status();
    struct status_route *live = &status.routes[0];
    live->counters[1] =
        (struct status_counters){987654321, 123456789, 234567890, 345678901, 283950741};
    live->requests = live->retried = live->throttled = 123456789;
    live->bytes_out = live->bytes_in = (uint64_t)1023 << 30;
    write_status(&status, true, text);
    assert_terminal_safe(text);
    assert_non_null(strstr(text, "\n  accepted 987654321 = delivered 123456789\n"
                                 "    + stored 234567890 + dead 345678901 + evicted 283950741\n"
                                 "  requests 123456789, throttled 123456789, "
                                 "records sent again 123456789\n"
                                 "  1023.0 GiB out, 1023.0 GiB in\n"));
}

static void test_an_agent_with_nothing_configured(void **state)
{
    (void)state;
    static char text[TEXT_BYTES];
    struct status status = {.device = "d",
                            .spool = "",
                            .version = "0",
                            .config_id = "",
                            .config = {.state = "main", .file = "", .store = ""},
                            .clock_quality = "estimated",
                            .counters_since_ms = -1,
                            .lanes = {{.name = "a"}, {.name = "b"}, {.name = "c"}}};
    write_status(&status, false, text);
    assert_int_equal(json_scan_object(text, strlen(text)), 0);
    assert_non_null(strstr(text, "\"routes\":{},\"sensors\":{}"));
    assert_non_null(strstr(text, "1969-12-31T23:59:59.999Z"));
    write_status(&status, true, text);
    assert_terminal_safe(text);
}

/* ---- reading it back ---- */

static struct status_read *read_sample(void)
{
    static char json[TEXT_BYTES];
    struct status_read *status = NULL;
    int count = fs_read_file(DATA "status.json", json, sizeof(json));
    assert_true(count > 0);
    assert_int_equal(status_read_open(json, (size_t)count, &status), 0);
    return status;
}

static void test_reads_members_by_path(void **state)
{
    (void)state;
    struct status_read *status = read_sample();
    assert_string_equal(status_read_text(status, "", "device"), "gw-17");
    assert_string_equal(status_read_text(status, "", "sensors/%s/values/temp", "board"), "41.50");
    assert_string_equal(status_read_text(status, "none", "problem"), "none");
    assert_string_equal(status_read_text(status, "none", "no/such/member"), "none");
    assert_int_equal(status_read_number(status, "routes/live/lanes/normal/accepted"), 12345);
    assert_int_equal(status_read_number(status, "device"), 0);
    assert_int_equal(status_read_milli(status, -1, "lanes/normal/oldest_age_s"), 4200);
    assert_int_equal(status_read_milli(status, -1, "uptime_s"), 192000);
    assert_int_equal(status_read_milli(status, -1, "routes/lake/delivered_age_s"), -1);
    assert_int_equal(status_read_milli(status, -1, "sensors/meter/values/power"), 100);
    assert_true(status_read_is_true(status, "healthy"));
    assert_false(status_read_is_true(status, "device"));
    status_read_close(status);
}

static void test_lists_members_in_their_order(void **state)
{
    (void)state;
    struct status_read *status = read_sample();
    assert_string_equal(status_read_member(status, 0, "sensors"), "board");
    assert_string_equal(status_read_member(status, 2, "sensors"), "plc");
    assert_null(status_read_member(status, 3, "sensors"));
    assert_string_equal(status_read_member(status, 1, "sensors/board/values"), "min");
    assert_null(status_read_member(status, 0, "sensors/plc/values"));
    assert_null(status_read_member(status, 0, "device"));
    assert_null(status_read_member(status, 0, "nothing"));
    assert_string_equal(status_read_element(status, 0, "warnings"),
                        "device is \"localhost\", which many machines are called: give this one "
                        "a name of its own");
    assert_null(status_read_element(status, 1, "warnings"));
    assert_null(status_read_element(status, 0, "nothing"));
    assert_string_equal(status_read_member(status, 0, "%s", ""), "device");
    status_read_close(status);
}

static void test_refuses_every_prefix_and_what_is_no_status(void **state)
{
    (void)state;
    static char json[TEXT_BYTES];
    struct status_read *status;
    int count = fs_read_file(DATA "status.json", json, sizeof(json));
    assert_true(count > 1);
    for (size_t prefix = 0; prefix < (size_t)count - 1; prefix++)
        assert_int_equal(status_read_open(json, prefix, &status), E_SYNTAX);
    static const char deep[] = "{\"a\":[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]}";
    assert_int_equal(status_read_open(deep, strlen(deep), &status), E_TOO_BIG);
}

static void test_a_path_that_is_too_long_is_refused(void **state)
{
    (void)state;
    static char json[TEXT_BYTES];
    struct status_read *status;
    char name[401];
    memset(name, 'n', 400);
    name[400] = '\0';
    snprintf(json, sizeof(json), "{\"%s\":{\"%s\":1}}", name, name);
    assert_int_equal(status_read_open(json, strlen(json), &status), E_TOO_BIG);
    snprintf(json, sizeof(json), "{\"%s\":[1,{\"a\":2}]}", name);
    assert_int_equal(status_read_open(json, strlen(json), &status), 0);
    status_read_close(status);
}

/* ---- numbers ---- */

static void test_numbers_for_people(void **state)
{
    (void)state;
    assert_string_equal(HUMAN_BYTES_TEXT(0), "0 B");
    assert_string_equal(HUMAN_BYTES_TEXT(1023), "1023 B");
    assert_string_equal(HUMAN_BYTES_TEXT(1024), "1.0 KiB");
    assert_string_equal(HUMAN_BYTES_TEXT(1048575), "1023.9 KiB");
    assert_string_equal(HUMAN_BYTES_TEXT(1048576), "1.0 MiB");
    assert_string_equal(HUMAN_BYTES_TEXT(UINT64_MAX), "15.9 EiB");
    assert_string_equal(HUMAN_AGE_TEXT(-1), "never");
    assert_string_equal(HUMAN_AGE_TEXT(0), "0.0s");
    assert_string_equal(HUMAN_AGE_TEXT(9999), "9.9s");
    assert_string_equal(HUMAN_AGE_TEXT(59999), "59s");
    assert_string_equal(HUMAN_AGE_TEXT(192345), "3m12s");
    assert_string_equal(HUMAN_AGE_TEXT(7380000), "2h03m");
    assert_string_equal(HUMAN_AGE_TEXT(1054800000), "12d05h");
    assert_string_equal(HUMAN_AGE_TEXT(INT64_MAX), "ages");
    assert_string_equal(HUMAN_RATE_TEXT(0.0), "0");
    assert_string_equal(HUMAN_RATE_TEXT(0.3), "0.3");
    assert_string_equal(HUMAN_RATE_TEXT(34.4), "34");
    assert_string_equal(HUMAN_RATE_TEXT(9999.0), "9999");
    assert_string_equal(HUMAN_RATE_TEXT(12345.0), "12k");
    assert_string_equal(HUMAN_RATE_TEXT(-1.0), "0");
}

/* ---- memory ---- */

static void test_measures_memory(void **state)
{
    (void)state;
    uint64_t rss = 1;
    uint64_t private_bytes = 2;
    assert_int_equal(status_measure_memory(DATA "smaps_rollup", &rss, &private_bytes), 0);
    assert_int_equal(rss, 4916 * 1024);
    assert_int_equal(private_bytes, 1208 * 1024);
    assert_int_equal(status_measure_memory(DATA "status.txt", &rss, &private_bytes), E_DAMAGED);
    assert_int_equal(rss, 4916 * 1024);
    assert_true(status_measure_memory(DATA "nothing", &rss, &private_bytes) < 0);
    assert_int_equal(status_measure_memory("/proc/self/smaps_rollup", &rss, &private_bytes), 0);
    assert_true(private_bytes > 0 && private_bytes <= rss);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_is_what_scripts_rely_on),
        cmocka_unit_test(test_text_is_for_people),
#ifdef CONFIG_COAP
        cmocka_unit_test(test_coap_is_told_of_where_something_listens),
        cmocka_unit_test(test_coap_that_is_closed_says_why),
        cmocka_unit_test(test_text_tells_of_coap),
#endif
        cmocka_unit_test(test_text_keeps_to_80_columns_and_plain_ascii),
        cmocka_unit_test(test_more_warnings_than_have_room_are_left_out),
        cmocka_unit_test(test_a_long_life_is_not_cut_off),
        cmocka_unit_test(test_values_go_on_in_lines_below),
        cmocka_unit_test(test_a_sum_of_long_figures_goes_on_in_a_second_line),
        cmocka_unit_test(test_an_agent_with_nothing_configured),
        cmocka_unit_test(test_reads_members_by_path),
        cmocka_unit_test(test_lists_members_in_their_order),
        cmocka_unit_test(test_refuses_every_prefix_and_what_is_no_status),
        cmocka_unit_test(test_a_path_that_is_too_long_is_refused),
        cmocka_unit_test(test_numbers_for_people),
        cmocka_unit_test(test_measures_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
