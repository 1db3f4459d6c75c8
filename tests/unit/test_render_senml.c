/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <string.h>

#include "agent/batch/render_senml.h"
#include "platform/base/error.h"
#include "platform/json/json_scan.h"

static const struct channel channels[] = {{.name = "temp", .unit = "Cel"},
                                          {.name = "state"},
                                          {.name = "x \"y\"/\xc3\xa4", .unit = "%RH"}};
static const struct tag tags[] = {{"site", "pump-4"}};
static const struct sensor_definition board = {.device = "gw-17",
                                               .name = "board",
                                               .channel_count = 3,
                                               .channels = channels,
                                               .tag_count = 1,
                                               .tags = tags};
static const struct sensor_definition bare = {
    .device = ".gw 17", .name = "plc", .channel_count = 3, .channels = channels};

#define IDENTITY "\"seq\":4711,\"spool\":\"9f31c2a47be0d815\""

static const struct record record_of_4711 = {
    .sequence = 4712,
    .identity = {.spool_id = 0x9f31c2a47be0d815, .sequence = 4711},
    .wall_ms = 1795559486123,
    .time_quality = TIME_SYNCED};

static struct value decimal(int64_t mantissa, unsigned decimals)
{
    return (struct value){.kind = VALUE_DECIMAL, .mantissa = mantissa, .decimals = decimals};
}

/* An array of objects, as any JSON parser reads it. */
static void assert_renders(const struct sensor_definition *sensor, const struct record *record,
                           const char *expected)
{
    char bytes[1024];
    struct json_scan scan;
    struct writer out;
    const struct render_json render = {.sensor = sensor};
    writer_to_memory(&out, bytes, sizeof bytes);
    assert_int_equal(render_senml(&render, record, &out), E_OK);
    assert_int_equal(writer_finish(&out), E_OK);
    assert_string_equal(bytes, expected);
    json_scan_start(&scan, NULL, NULL);
    assert_int_equal(json_scan_feed(&scan, bytes, out.used_bytes), E_OK);
    assert_int_equal(json_scan_end(&scan), E_OK);
}

static void test_values(void **state)
{
    struct record record = record_of_4711;
    (void)state;
    record.value_count = 3;
    record.values[0] = decimal(4150, 2);
    record.values[1] = (struct value){.kind = VALUE_TEXT, .text = "r\"un", .text_bytes = 4};
    record.values[2] = decimal(-7, 0);
    assert_renders(&board, &record,
                   "[{\"bn\":\"gw-17/board/\",\"bt\":1795559486.123," IDENTITY
                   ",\"tags\":{\"site\":\"pump-4\"},\"n\":\"temp\",\"u\":\"Cel\",\"v\":41.50},"
                   "{\"n\":\"state\",\"vs\":\"r\\\"un\"},"
                   "{\"n\":\"x__y_/__\",\"u\":\"%RH\",\"v\":-7}]");
}

/* Values that are absent have no record; where none is left there is one all the same, since every
 * record of SenML has a value. */
static void test_absent_values(void **state)
{
    struct record record = record_of_4711;
    (void)state;
    record.time_quality = TIME_ESTIMATED;
    record.value_count = 2;
    record.values[1] = decimal(1, 0);
    assert_renders(&bare, &record,
                   "[{\"bn\":\"xgw_17/plc/\",\"bt\":1795559486.123," IDENTITY
                   ",\"time_quality\":\"estimated\",\"n\":\"state\",\"v\":1}]");
    record.values[1].kind = VALUE_ABSENT;
    assert_renders(&bare, &record,
                   "[{\"bn\":\"xgw_17/plc/\",\"bt\":1795559486.123," IDENTITY
                   ",\"time_quality\":\"estimated\",\"n\":\"empty\",\"vb\":true}]");
}

static void test_documents(void **state)
{
    static const char document[] = "{\"a\":\"\\n\\\"\xc3\xa4\",\n\t\"b\":1}";
    struct record record = record_of_4711;
    (void)state;
    record.shape = RECORD_DOCUMENT;
    record.document = (const uint8_t *)document;
    record.document_bytes = record.document_piece_bytes = sizeof document - 1;
    assert_renders(&bare, &record,
                   "[{\"bn\":\"xgw_17/plc/\",\"bt\":1795559486.123," IDENTITY
                   ",\"n\":\"data\",\"vs\":\"{\\\"a\\\":\\\"\\\\n\\\\\\\"\xc3\xa4\\\",  "
                   "\\\"b\\\":1}\"}]");
}

static void test_damage(void **state)
{
    const struct render_json render = {.sensor = &board};
    struct record record = record_of_4711;
    struct writer out;
    char bytes[1024];
    (void)state;
    record.value_count = 4;
    writer_to_memory(&out, bytes, sizeof bytes);
    assert_int_equal(render_senml(&render, &record, &out), E_DAMAGED);
}

static void test_gap(void **state)
{
    const struct spool_gap gap = {.sequence = 4711,
                                  .lane = LANE_NORMAL,
                                  .first = 17,
                                  .last = 92,
                                  .count = 76,
                                  .reason = SPOOL_GAP_DROP_OLDEST,
                                  .wall_ms = 1795559486123};
    char bytes[1024];
    struct writer out;
    (void)state;
    writer_to_memory(&out, bytes, sizeof bytes);
    render_senml_gap("gw-17", 0x9f31c2a47be0d815, &gap, &out);
    (void)writer_finish(&out);
    assert_string_equal(bytes, "[{\"bn\":\"gw-17/gap/\",\"bt\":1795559486.123," IDENTITY
                               ",\"n\":\"lane\",\"vs\":\"normal\"},{\"n\":\"first\",\"v\":17},"
                               "{\"n\":\"last\",\"v\":92},{\"n\":\"count\",\"v\":76},"
                               "{\"n\":\"reason\",\"vs\":\"drop-oldest\"}]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),    cmocka_unit_test(test_absent_values),
        cmocka_unit_test(test_documents), cmocka_unit_test(test_damage),
        cmocka_unit_test(test_gap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
