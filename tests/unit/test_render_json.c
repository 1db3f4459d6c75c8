/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/batch/render_json.h"
#include "platform/base/error.h"
#include "platform/json/json_scan.h"

static const struct channel channels[] = {{.name = "temp"}, {.name = "state"}, {.name = "x\"y"}};
static const struct tag tags[] = {{"site", "pump-4"}, {"line", "a\nb"}};
static const struct sensor_definition board = {.device = "gw-17",
                                               .name = "board",
                                               .channel_count = 3,
                                               .channels = channels,
                                               .tag_count = 1,
                                               .tags = tags};
static const struct sensor_definition bare = {
    .device = "gw-17", .name = "plc", .channel_count = 3, .channels = channels};

static struct record values_record(void)
{
    return (struct record){.sequence = 4712,
                           .identity = {.spool_id = 0x9f31c2a47be0d815, .sequence = 4711},
                           .wall_ms = 1795559486123,
                           .time_quality = TIME_SYNCED,
                           .shape = RECORD_VALUES};
}

static struct value decimal(int64_t mantissa, unsigned decimals)
{
    return (struct value){.kind = VALUE_DECIMAL, .mantissa = mantissa, .decimals = decimals};
}

static struct value float64(double number)
{
    struct value value = {.kind = VALUE_FLOAT64};
    memcpy(&value.float64_bits, &number, sizeof number);
    return value;
}

static struct value text(const char *bytes)
{
    return (struct value){.kind = VALUE_TEXT, .text = bytes, .text_bytes = strlen(bytes)};
}

/* Renders and checks that it is one JSON object. */
static void assert_gives(const struct render_json *render, const struct record *record,
                         const char *expected)
{
    char bytes[1024];
    struct writer out;
    writer_to_memory(&out, bytes, sizeof bytes);
    assert_int_equal(render_json(render, record, &out), E_OK);
    assert_int_equal(writer_finish(&out), E_OK);
    assert_string_equal(bytes, expected);
    assert_int_equal(json_scan_object(bytes, out.used_bytes), E_OK);
}

static void assert_renders(const struct sensor_definition *sensor, const struct record *record,
                           const char *expected)
{
    const struct render_json render = {.sensor = sensor};
    assert_gives(&render, record, expected);
}

/* What is not fit for top level, or there already, stays where the nested layout has it. */
static void test_flat(void **state)
{
    static const struct channel unfit[] = {{.name = "temp"},  {.name = "ts"},    {.name = "Temp"},
                                           {.name = "site"},  {.name = "state"}, {.name = "temp"},
                                           {.name = "other"}, {.name = "gap"}};
    static const struct tag unfit_tags[] = {{"site", "pump-4"}, {"Line", "7"}, {"seq", "x"}};
    static const struct sensor_definition sensor = {.device = "gw-17",
                                                    .name = "board",
                                                    .channel_count = 8,
                                                    .channels = unfit,
                                                    .tag_count = 3,
                                                    .tags = unfit_tags};
    const struct render_json render = {.sensor = &sensor, .flat = true};
    struct record record = values_record();
    (void)state;
    record.value_count = 8;
    for (size_t i = 0; i < 7; i++)
        record.values[i] = decimal((int64_t)i, 0);
    record.values[4] = text("run");
    record.values[7] = text("wide");
    assert_gives(&render, &record,
                 "{\"device\":\"gw-17\",\"sensor\":\"board\",\"ts\":\"2026-11-24T22:31:26.123Z\","
                 "\"seq\":4711,\"spool\":\"9f31c2a47be0d815\",\"site\":\"pump-4\","
                 "\"tags\":{\"Line\":\"7\",\"seq\":\"x\"},\"temp\":0,\"state\":\"run\",\"other\":6,"
                 "\"values\":{\"ts\":1,\"Temp\":2,\"site\":3,\"temp\":5},"
                 "\"text\":{\"gap\":\"wide\"}}");
}

static void test_values_as_documented(void **state)
{
    struct record record = values_record();
    (void)state;
    record.value_count = 1;
    record.values[0] = decimal(4150, 2);
    assert_renders(&board, &record,
                   "{\"device\":\"gw-17\",\"sensor\":\"board\",\"ts\":\"2026-11-24T22:31:26.123Z\","
                   "\"seq\":4711,\"spool\":\"9f31c2a47be0d815\",\"tags\":{\"site\":\"pump-4\"},"
                   "\"values\":{\"temp\":41.50}}");
}

static void test_document_as_documented(void **state)
{
    static const char document[] = "{\"state\":\"run\",\"rpm\":1480}";
    struct record record = values_record();
    (void)state;
    record.shape = RECORD_DOCUMENT;
    record.document = (const uint8_t *)document;
    record.document_bytes = record.document_piece_bytes = sizeof document - 1;
    assert_renders(&bare, &record,
                   "{\"device\":\"gw-17\",\"sensor\":\"plc\",\"ts\":\"2026-11-24T22:31:26.123Z\","
                   "\"seq\":4711,\"spool\":\"9f31c2a47be0d815\","
                   "\"data\":{\"state\":\"run\",\"rpm\":1480}}");
}

#define HEAD                                                                                       \
    "{\"device\":\"gw-17\",\"sensor\":\"plc\",\"ts\":\"2026-11-24T22:31:26.123Z\",\"seq\":4711,"   \
    "\"spool\":\"9f31c2a47be0d815\""

static void test_time_quality_unless_synced(void **state)
{
    struct record record = values_record();
    (void)state;
    assert_renders(&bare, &record, HEAD "}");
    record.time_quality = TIME_CORRECTED;
    assert_renders(&bare, &record, HEAD ",\"time_quality\":\"corrected\"}");
    record.time_quality = TIME_ESTIMATED;
    assert_renders(&bare, &record, HEAD ",\"time_quality\":\"estimated\"}");
}

/* Numbers and texts have members of their own; what is absent or not finite has none. */
static void test_absent_members_are_absent(void **state)
{
    struct record record = values_record();
    (void)state;
    record.value_count = 3;
    assert_renders(&bare, &record, HEAD "}");
    record.values[1] = text("run \xe2\x82\xac \"1\"");
    assert_renders(&bare, &record, HEAD ",\"text\":{\"state\":\"run \xe2\x82\xac \\\"1\\\"\"}}");
    record.values[2] = decimal(-5, 1);
    assert_renders(&bare, &record,
                   HEAD ",\"values\":{\"x\\\"y\":-0.5},"
                        "\"text\":{\"state\":\"run \xe2\x82\xac \\\"1\\\"\"}}");
    record.values[1].kind = VALUE_ABSENT;
    record.values[0] = (struct value){.kind = VALUE_FLOAT64, .float64_bits = 0x7ff0000000000000};
    assert_renders(&bare, &record, HEAD ",\"values\":{\"x\\\"y\":-0.5}}");
}

static void test_tags_are_escaped(void **state)
{
    const struct sensor_definition sensor = {
        .device = "\\", .name = "\x01", .tag_count = 2, .tags = tags};
    struct record record = values_record();
    (void)state;
    assert_renders(
        &sensor, &record,
        "{\"device\":\"\\\\\",\"sensor\":\"\\u0001\",\"ts\":\"2026-11-24T22:31:26.123Z\","
        "\"seq\":4711,\"spool\":\"9f31c2a47be0d815\","
        "\"tags\":{\"site\":\"pump-4\",\"line\":\"a\\nb\"}}");
}

static void test_decimals_are_exact(void **state)
{
    static const struct {
        int64_t mantissa;
        unsigned decimals;
        const char *expected;
    } numbers[] = {{0, 0, "0"},
                   {0, 3, "0.000"},
                   {-1, 18, "-0.000000000000000001"},
                   {2150, 2, "21.50"},
                   {INT64_MAX, 0, "9223372036854775807"},
                   {INT64_MIN, 0, "-9223372036854775808"},
                   {INT64_MIN, 18, "-9.223372036854775808"}};
    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        char expected[256];
        struct record record = values_record();
        record.value_count = 1;
        record.values[0] = decimal(numbers[i].mantissa, numbers[i].decimals);
        (void)snprintf(expected, sizeof expected, HEAD ",\"values\":{\"temp\":%s}}",
                       numbers[i].expected);
        assert_renders(&bare, &record, expected);
    }
}

static void test_floats_are_shortest(void **state)
{
    static const struct {
        double number;
        const char *expected;
    } numbers[] = {{0, "0"},
                   {-0.0, "-0"},
                   {0.1, "0.1"},
                   {21.5, "21.5"},
                   {0.1 + 0.2, "0.30000000000000004"},
                   {1.0 / 3, "0.3333333333333333"},
                   {1e300, "1e+300"},
                   {5e-324, "5e-324"},
                   {2.2250738585072014e-308, "2.2250738585072014e-308"},
                   {1.7976931348623157e308, "1.7976931348623157e+308"},
                   {9007199254740993.0, "9007199254740992"}};
    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        char actual[RENDER_JSON_FLOAT_BYTES];
        struct value value = float64(numbers[i].number);
        size_t count = render_json_float(value.float64_bits, actual);
        assert_string_equal(actual, numbers[i].expected);
        assert_int_equal(count, strlen(actual));
        double read = strtod(actual, NULL);
        assert_memory_equal(&read, &numbers[i].number, sizeof read);
    }
}

static void test_floats_read_back(void **state)
{
    uint64_t bits = 0x9e3779b97f4a7c15;
    (void)state;
    for (int i = 0; i < 20000; i++) {
        char actual[RENDER_JSON_FLOAT_BYTES];
        bits = bits * 6364136223846793005 + 1442695040888963407;
        if (render_json_float(bits, actual) == 0)
            continue;
        double number = strtod(actual, NULL);
        assert_memory_equal(&number, &bits, sizeof bits);
    }
}

static void test_times(void **state)
{
    static const struct {
        int64_t wall_ms;
        const char *expected;
    } times[] = {
        {0, "1970-01-01T00:00:00.000Z"},         {-1, "1969-12-31T23:59:59.999Z"},
        {-86400000, "1969-12-31T00:00:00.000Z"}, {951827696789, "2000-02-29T12:34:56.789Z"},
        {INT64_MAX, "9999-12-31T23:59:59.999Z"}, {INT64_MIN, "0000-01-01T00:00:00.000Z"}};
    (void)state;
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        char actual[RENDER_JSON_TIME_BYTES];
        assert_int_equal(render_json_time(times[i].wall_ms, actual), 24);
        assert_string_equal(actual, times[i].expected);
    }
}

static void test_gap(void **state)
{
    const struct spool_gap gap = {.sequence = 4713,
                                  .lane = LANE_NORMAL,
                                  .first = 17,
                                  .last = 92,
                                  .count = 76,
                                  .reason = SPOOL_GAP_DROP_OLDEST,
                                  .wall_ms = 1795559486123,
                                  .time_quality = TIME_ESTIMATED};
    char text[300];
    struct writer out;
    (void)state;
    writer_to_memory(&out, text, sizeof text);
    render_json_gap("gw-17", 0x9f31c2a47be0d815, &gap, &out);
    assert_int_equal(writer_finish(&out), E_OK);
    text[out.used_bytes] = '\0';
    assert_string_equal(text,
                        "{\"device\":\"gw-17\",\"ts\":\"2026-11-24T22:31:26.123Z\",\"seq\":4713,"
                        "\"spool\":\"9f31c2a47be0d815\",\"time_quality\":\"estimated\","
                        "\"gap\":{\"lane\":\"normal\",\"first\":17,\"last\":92,\"count\":76,"
                        "\"reason\":\"drop-oldest\"}}");
}

/* ---- documents in pieces ---- */

struct pieces {
    const char *rest;
    size_t piece_bytes;
    int error;
};

static int next_piece(void *context, const uint8_t **ret_piece, size_t *ret_bytes)
{
    struct pieces *pieces = context;
    size_t left = strlen(pieces->rest);
    if (pieces->error != E_OK)
        return pieces->error;
    if (left == 0)
        return E_END;
    *ret_piece = (const uint8_t *)pieces->rest;
    *ret_bytes = left < pieces->piece_bytes ? left : pieces->piece_bytes;
    pieces->rest += *ret_bytes;
    return E_OK;
}

static int render_raw(struct pieces *pieces, size_t announced, char *ret_text, size_t bytes)
{
    struct writer out;
    struct record record = values_record();
    const struct render_json render = {.sensor = &bare, .piece = next_piece, .context = pieces};
    record.shape = RECORD_DOCUMENT;
    record.document = (const uint8_t *)"{\"a\":";
    record.document_piece_bytes = 5;
    record.document_bytes = announced;
    writer_to_memory(&out, ret_text, bytes);
    int rc = render_json_raw(&render, &record, &out);
    return rc < 0 ? rc : writer_finish(&out);
}

static void test_document_in_pieces(void **state)
{
    char actual[64];
    (void)state;
    for (size_t size = 1; size < 12; size++) {
        struct pieces pieces = {.rest = "[1,2,3]}", .piece_bytes = size};
        assert_int_equal(render_raw(&pieces, 13, actual, sizeof actual), E_OK);
        assert_string_equal(actual, "{\"a\":[1,2,3]}");
    }
}

static void test_pieces_that_do_not_add_up(void **state)
{
    char actual[64];
    (void)state;
    struct pieces short_of = {.rest = "[1]}", .piece_bytes = 2};
    assert_int_equal(render_raw(&short_of, 13, actual, sizeof actual), E_DAMAGED);
    struct pieces over = {.rest = "[1,2,3]}", .piece_bytes = 8};
    assert_int_equal(render_raw(&over, 12, actual, sizeof actual), E_DAMAGED);
    struct pieces failing = {.rest = "[1,2,3]}", .error = E_TIMEOUT};
    assert_int_equal(render_raw(&failing, 13, actual, sizeof actual), E_TIMEOUT);
}

static void test_raw_values_are_json(void **state)
{
    char raw[512], json[512];
    struct writer out;
    struct record record = values_record();
    const struct render_json render = {.sensor = &board};
    (void)state;
    record.value_count = 1;
    record.values[0] = decimal(1, 0);
    writer_to_memory(&out, raw, sizeof raw);
    assert_int_equal(render_json_raw(&render, &record, &out), E_OK);
    assert_int_equal(writer_finish(&out), E_OK);
    writer_to_memory(&out, json, sizeof json);
    assert_int_equal(render_json(&render, &record, &out), E_OK);
    assert_int_equal(writer_finish(&out), E_OK);
    assert_string_equal(raw, json);
}

static void test_more_values_than_channels(void **state)
{
    char bytes[512];
    struct writer out;
    struct record record = values_record();
    const struct render_json render = {.sensor = &board};
    (void)state;
    record.value_count = 4;
    writer_to_memory(&out, bytes, sizeof bytes);
    assert_int_equal(render_json(&render, &record, &out), E_DAMAGED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flat),
        cmocka_unit_test(test_values_as_documented),
        cmocka_unit_test(test_document_as_documented),
        cmocka_unit_test(test_time_quality_unless_synced),
        cmocka_unit_test(test_absent_members_are_absent),
        cmocka_unit_test(test_tags_are_escaped),
        cmocka_unit_test(test_decimals_are_exact),
        cmocka_unit_test(test_floats_are_shortest),
        cmocka_unit_test(test_floats_read_back),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_gap),
        cmocka_unit_test(test_document_in_pieces),
        cmocka_unit_test(test_pieces_that_do_not_add_up),
        cmocka_unit_test(test_raw_values_are_json),
        cmocka_unit_test(test_more_values_than_channels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
