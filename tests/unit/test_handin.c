/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/batch/render_json.h"
#include "agent/intake/handin.h"
#include "agent/transform/chain.h"
#include "platform/base/error.h"
#include "platform/clock.h"
#include "platform/thread.h"
#include "tests/unit/folder.h"

enum { LINES_MAX = 64, LINE_BYTES = 8192, DOCUMENT_BYTES = 16384, BOOT_MS = 5000000 };
#define WALL_MS INT64_C(1795392005123) /* 2026-11-23 */

/* A spool that commits nothing by itself, the clock, and what the last message gave. */
struct rig {
    char path[64];
    struct spool *spool;
    struct spool_route *route;
    struct handin_options options;
    struct handin *handin;
    struct spool_clock_reading now;
    bool knows_time;
    struct handin_receipt receipt;
    char fault[PAYLOAD_FAULT_BYTES];
    size_t line_count;
    char lines[LINES_MAX][LINE_BYTES];
};

static struct rig rig;

static void read_clock(void *context, struct spool_clock_reading *ret_reading)
{
    (void)context;
    *ret_reading = rig.now;
}

static bool knows_time(void *context)
{
    (void)context;
    return rig.knows_time;
}

static void open_spool(enum spool_full full)
{
    char fault[SPOOL_FAULT_BYTES] = "";
    struct spool_options options = {.path = rig.path,
                                    .size_bytes = 256 * 1024,
                                    .device = "gw-17",
                                    .wait_ms = 1,
                                    .ack_window_ms = 30000,
                                    .ack_window_records = 10000,
                                    .clock = read_clock};
    const struct spool_route_options route = {.name = "live", .lanes = {true, true, true}};
    for (int lane = 0; lane < LANE_COUNT; lane++)
        options.lanes[lane] =
            (struct spool_lane_options){.full = full, .window_ms = 3600000, .age_ms = 60000};
    if (spool_open(&options, fault, &rig.spool) != 0)
        fail_msg("%s", fault);
    assert_int_equal(spool_route_open(rig.spool, &route, &rig.route), 0);
}

static int set_up(void **state)
{
    (void)state;
    memset(&rig, 0, sizeof rig);
    rig.now = (struct spool_clock_reading){
        .boot_ms = BOOT_MS, .offset_ms = WALL_MS - BOOT_MS, .quality = TIME_SYNCED};
    rig.knows_time = true;
    (void)snprintf(rig.path, sizeof rig.path, "/tmp/runnel-handin-XXXXXX");
    assert_non_null(mkdtemp(rig.path));
    open_spool(SPOOL_DROP_OLDEST);
    rig.options = (struct handin_options){.sensors_max = 4,
                                          .device = "gw-17",
                                          .spool = rig.spool,
                                          .carries = {true, true, true},
                                          .document_bytes_max = DOCUMENT_BYTES,
                                          .knows_time = knows_time,
                                          .clock = read_clock};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    handin_close(rig.handin);
    spool_close(rig.spool);
    folder_empty(rig.path);
    assert_int_equal(rmdir(rig.path), 0);
    return 0;
}

static void open_any(void)
{
    assert_int_equal(handin_open(&rig.options, &rig.handin), 0);
}

static void open_one(const struct handin_sensor *sensor)
{
    rig.options.sensors = sensor;
    rig.options.sensor_count = 1;
    open_any();
}

static int put_bytes(const char *sensor, const char *lane, unsigned format, const void *bytes,
                     size_t count)
{
    const struct handin_request request = {.sensor = sensor,
                                           .lane = lane,
                                           .may_lane = {true, true, true},
                                           .format = format,
                                           .bytes = bytes,
                                           .count = count};
    return handin_put(rig.handin, &request, &rig.receipt, rig.fault);
}

static int put(const char *sensor, unsigned format, const char *text)
{
    return put_bytes(sensor, NULL, format, text, strlen(text));
}

static void puts_well(const char *sensor, unsigned format, const char *text)
{
    int rc = put(sensor, format, text);
    if (rc != E_OK)
        fail_msg("%s: %d, %s", text, rc, rig.fault);
    assert_string_equal(rig.fault, "");
}

static void refuses(int rc, int expected, const char *said)
{
    if (rc != expected || strcmp(rig.fault, said) != 0)
        fail_msg("%d, \"%s\" instead of %d, \"%s\"", rc, rig.fault, expected, said);
    assert_int_equal(rig.receipt.records, 0);
}

static int next_piece(void *context, const uint8_t **ret_piece, size_t *ret_bytes)
{
    return spool_reader_piece(context, ret_piece, ret_bytes);
}

/* Without what every record has, and what is another one in every test. */
static void cut(char *line)
{
    static const char head[] = "{\"device\":\"gw-17\",\"sensor\":";
    char *sequence = strstr(line, "\"seq\":");
    char *spool = strstr(line, "\"spool\":\"");
    assert_int_equal(strncmp(line, head, sizeof head - 1), 0);
    memmove(sequence, spool + 27, strlen(spool + 27) + 1); /* 9, 16, "," */
    memmove(line, line + sizeof head - 1, strlen(line + sizeof head - 1) + 1);
    line[strlen(line) - 1] = '\0';
}

/* All that LANE has, as lines. */
static void read_lane(enum lane lane)
{
    static struct spool_reader reader;
    static struct record record;
    uint64_t previous;
    rig.line_count = 0;
    spool_reader_start(&reader, rig.route, lane);
    while (spool_reader_next(&reader, &record, &previous) == 0) {
        struct writer out;
        const struct render_json render = {.sensor = spool_sensor(rig.spool, record.sensor),
                                           .piece = next_piece,
                                           .context = &reader};
        assert_true(rig.line_count < LINES_MAX);
        writer_to_memory(&out, rig.lines[rig.line_count], LINE_BYTES);
        assert_int_equal(render_json(&render, &record, &out), 0);
        assert_int_equal(writer_finish(&out), 0);
        cut(rig.lines[rig.line_count++]);
    }
}

static size_t count_lane(enum lane lane)
{
    read_lane(lane);
    return rig.line_count;
}

static void assert_lines(enum lane lane, const char *const *expected, size_t count)
{
    read_lane(lane);
    for (size_t i = 0; i < count && i < rig.line_count; i++)
        assert_string_equal(rig.lines[i], expected[i]);
    assert_int_equal(rig.line_count, count);
}

#define NOW "\"ts\":\"2026-11-23T00:00:05.123Z\","
#define assert_has(lane, ...)                                                                      \
    do {                                                                                           \
        static const char *const expected[] = {__VA_ARGS__};                                       \
        assert_lines(lane, expected, sizeof expected / sizeof expected[0]);                        \
    } while (0)

/* ---- what comes of good messages ---- */

static void test_every_format(void **state)
{
    (void)state;
    static const uint8_t cbor[] = {0xa1, 0x61, 'a', 0x19, 0x01, 0x00};
    static const uint8_t octets[] = {0, 1, 0xff};
    static const uint8_t senml[] = {0x81, 0xa2, 0x00, 0x61, 't', 0x02, 0x05};
    open_any();
    puts_well("a", PAYLOAD_TEXT, "21.50");
    puts_well("a", PAYLOAD_JSON, "{\"rpm\": 1480}");
    puts_well("b", PAYLOAD_SENML_JSON, "[{\"n\":\"temp\",\"u\":\"Cel\",\"v\":3}]");
    assert_int_equal(put_bytes("b", NULL, PAYLOAD_OCTETS, octets, sizeof octets), 0);
    assert_int_equal(put_bytes("b", NULL, PAYLOAD_CBOR, cbor, sizeof cbor), 0);
    assert_int_equal(put_bytes("b", NULL, PAYLOAD_SENML_CBOR, senml, sizeof senml), 0);
    assert_int_equal(rig.receipt.records, 1);
    assert_int_equal(rig.receipt.sequences[LANE_NORMAL], spool_next_sequence(rig.spool) - 1);
    assert_int_equal(rig.receipt.sequences[LANE_ALARM], 0);
    assert_int_equal(rig.receipt.bytes_max, DOCUMENT_BYTES);
    assert_has(LANE_NORMAL, "\"a\"," NOW "\"values\":{\"value\":21.50}",
               "\"a\"," NOW "\"data\":{\"rpm\": 1480}", "\"b\"," NOW "\"values\":{\"temp\":3}",
               "\"b\"," NOW "\"data\":{\"octets\":\"AAH/\"}", "\"b\"," NOW "\"data\":{\"a\":256}",
               "\"b\"," NOW "\"values\":{\"t\":5}");
}

static void test_times_of_their_own(void **state)
{
    (void)state;
    open_any();
    puts_well("a", PAYLOAD_SENML_JSON,
              "[{\"bn\":\"urn:dev:\",\"bt\":1276020076.001,\"n\":\"v\",\"v\":1},"
              "{\"n\":\"v\",\"t\":5,\"v\":2},{\"bt\":0,\"n\":\"v\",\"t\":-60,\"v\":3}]");
    assert_int_equal(rig.receipt.records, 3);
    assert_has(LANE_NORMAL,
               "\"a\",\"ts\":\"2010-06-08T18:01:16.001Z\",\"tags\":{\"bn\":\"urn:dev:\"},"
               "\"values\":{\"v\":1}",
               "\"a\",\"ts\":\"2010-06-08T18:01:21.001Z\",\"tags\":{\"bn\":\"urn:dev:\"},"
               "\"values\":{\"v\":2}",
               "\"a\",\"ts\":\"2026-11-22T23:59:05.123Z\",\"tags\":{\"bn\":\"urn:dev:\"},"
               "\"values\":{\"v\":3}");
}

/* Values are never cut over two blocks of the spool. */
static void test_texts_that_fit_no_block(void **state)
{
    (void)state;
    enum { TEXTS = 16, TEXT_BYTES = 250 };
    char pack[TEXTS * (TEXT_BYTES + 32)];
    size_t at = 0;
    open_any();
    for (unsigned i = 0; i < TEXTS; i++)
        at += (size_t)snprintf(pack + at, sizeof pack - at, "%c{\"n\":\"t%u\",\"vs\":\"%0*u\"}",
                               i == 0 ? '[' : ',', i, TEXT_BYTES, i);
    pack[at] = ']';
    assert_int_equal(put_bytes("a", NULL, PAYLOAD_SENML_JSON, pack, at + 1), 0);
    assert_int_equal(rig.receipt.records, 1);
    read_lane(LANE_NORMAL);
    assert_int_equal(rig.line_count, 1);
    assert_non_null(strstr(rig.lines[0], "\"data\":{\"senml\":[{\"n\":\"t0\",\"vs\":\"0000"));
    assert_non_null(strstr(rig.lines[0], "{\"n\":\"t15\",\"vs\":\"0000"));
}

/* What cannot be told from the clock that is there goes as it came. */
static void test_times_without_a_clock(void **state)
{
    (void)state;
    static const char pack[] = "[{\"n\":\"v\",\"t\":1276020076,\"v\":1}]";
    open_any();
    rig.now.quality = TIME_ESTIMATED; /* whatever knows_time says */
    puts_well("a", PAYLOAD_SENML_JSON, pack);
    read_lane(LANE_NORMAL);
    assert_int_equal(rig.line_count, 1);
    assert_non_null(strstr(rig.lines[0], "\"data\":{\"senml\":[{\"n\":\"v\",\"t\":1276020076"));
}

static void test_tags_and_lanes(void **state)
{
    (void)state;
    static const struct tag tags[] = {{"site", "pump-4"}};
    static const struct handin_sensor sensor = {.name = "a",
                                                .lane = LANE_BULK,
                                                .lanes = {[LANE_ALARM] = true},
                                                .tags = tags,
                                                .tag_count = 1};
    open_one(&sensor);
    puts_well("a", PAYLOAD_TEXT, "1");
    assert_int_equal(put_bytes("a", "alarm", PAYLOAD_JSON, "{}", 2), 0);
    assert_int_not_equal(rig.receipt.sequences[LANE_ALARM], 0);
    assert_has(LANE_BULK, "\"a\"," NOW "\"tags\":{\"site\":\"pump-4\"},\"values\":{\"value\":1}");
    assert_has(LANE_ALARM, "\"a\"," NOW "\"tags\":{\"site\":\"pump-4\"},\"data\":{}");
}

/* ---- what is refused ---- */

static void test_sensors(void **state)
{
    (void)state;
    static const char *const taken[] = {"board"};
    static const char no_name[] = "no name of a sensor: 1 to 31 letters, digits, _ . -";
    rig.options.taken = taken;
    rig.options.taken_count = 1;
    open_any();
    refuses(put("board", PAYLOAD_TEXT, "1"), E_EXISTS,
            "this sensor has a driver, and takes nothing from peers");
    assert_int_equal(rig.receipt.bytes_max, 0);
    refuses(put("", PAYLOAD_TEXT, "1"), E_NOT_FOUND, no_name);
    refuses(put("a b", PAYLOAD_TEXT, "1"), E_NOT_FOUND, no_name);
    refuses(put("runnel", PAYLOAD_TEXT, "1"), E_NOT_FOUND, no_name);
    refuses(put("abcdefghijklmnopqrstuvwxyzABCDEF", PAYLOAD_TEXT, "1"), E_NOT_FOUND, no_name);
    puts_well("abcdefghijklmnopqrstuvwxyzABCDE", PAYLOAD_TEXT, "1");
    puts_well("_.-9", PAYLOAD_TEXT, "1");
    puts_well("3", PAYLOAD_TEXT, "1");
    assert_int_equal(put("4", PAYLOAD_TEXT, "x"), E_SYNTAX); /* takes no place */
    puts_well("5", PAYLOAD_TEXT, "1");
    refuses(put("6", PAYLOAD_TEXT, "1"), E_BUSY, "there are 4 sensors, and cannot be more");
    puts_well("3", PAYLOAD_TEXT, "1");
}

static void test_only_what_is_configured(void **state)
{
    (void)state;
    static const unsigned formats[] = {PAYLOAD_JSON, PAYLOAD_SENML_JSON};
    static const struct validate_member members[] = {
        {.name = "v", .type = VALIDATE_NUMBER, .required = true, .max = {true, {5, 0}}}};
    static const struct handin_sensor sensor = {.name = "a",
                                                .formats = formats,
                                                .format_count = 2,
                                                .bytes_max = 40,
                                                .lane = LANE_NORMAL,
                                                .rules = {members, 1, true}};
    open_one(&sensor);
    refuses(put("b", PAYLOAD_JSON, "{\"v\":1}"), E_NOT_FOUND,
            "there is no such sensor in the configuration");
    refuses(put("a", PAYLOAD_TEXT, "1"), E_UNSUPPORTED, "this sensor takes no content format 0");
    refuses(put("a", 9999, "1"), E_UNSUPPORTED, "this sensor takes no content format 9999");
    refuses(put("a", PAYLOAD_JSON, "{\"v\":1,\"x\":\"012345678901234567890123456\"}"), E_TOO_BIG,
            "41 bytes are too many, 40 are the most");
    assert_int_equal(rig.receipt.bytes_max, 40);
    refuses(put("a", PAYLOAD_JSON, "{\"w\":1}"), E_INVALID, "member \"w\": is unknown here");
    refuses(put("a", PAYLOAD_JSON, "{}"), E_INVALID, "member \"v\": is missing");
    refuses(put("a", PAYLOAD_JSON, "{\"v\":6}"), E_RANGE, "member \"v\": 6 is above 5");
    assert_int_equal(put("a", PAYLOAD_JSON, "{\"v\":"), E_SYNTAX);
    assert_int_equal(put("a", PAYLOAD_JSON, "[1]"), E_INVALID);
    assert_int_equal(count_lane(LANE_NORMAL), 0);
}

static void test_a_pack_stays_or_goes_whole(void **state)
{
    (void)state;
    static const struct validate_member members[] = {
        {.name = "v", .type = VALIDATE_NUMBER, .max = {true, {5, 0}}}};
    static const struct handin_sensor sensor = {
        .name = "a", .lane = LANE_NORMAL, .rules = {members, 1, false}};
    open_one(&sensor);
    refuses(put("a", PAYLOAD_SENML_JSON,
                "[{\"n\":\"v\",\"v\":1},{\"n\":\"v\",\"t\":-1,\"v\":2},{\"n\":\"v\",\"t\":-2,\"v\":"
                "9}]"),
            E_RANGE, "member \"v\": 9 is above 5");
    assert_int_equal(count_lane(LANE_NORMAL), 0);
    puts_well(
        "a", PAYLOAD_SENML_JSON,
        "[{\"n\":\"v\",\"v\":1},{\"n\":\"v\",\"t\":-1,\"v\":2},{\"n\":\"v\",\"t\":-2,\"v\":5}]");
    assert_int_equal(count_lane(LANE_NORMAL), 3);
}

static int put_lane(const char *lane, bool alarm, bool normal)
{
    const struct handin_request request = {.sensor = "a",
                                           .lane = lane,
                                           .may_lane = {alarm, normal, true},
                                           .bytes = (const uint8_t *)"1",
                                           .count = 1};
    return handin_put(rig.handin, &request, &rig.receipt, rig.fault);
}

static void test_lanes_that_are_not_for_everybody(void **state)
{
    (void)state;
    static const struct handin_sensor sensor = {
        .name = "a", .lane = LANE_NORMAL, .lanes = {[LANE_ALARM] = true}};
    rig.options.carries[LANE_ALARM] = false;
    open_one(&sensor);
    refuses(put_lane("bulk", true, true), E_DENIED, "the lane bulk is not for this sensor");
    refuses(put_lane("alarm", false, true), E_DENIED, "the lane alarm is not for this peer");
    refuses(put_lane("alarm", true, true), E_DENIED, "no route carries the lane alarm");
    refuses(put_lane(NULL, true, false), E_DENIED, "the lane normal is not for this peer");
    refuses(put_lane("fast", true, true), E_INVALID, "no lane has this name: alarm, normal, bulk");
    assert_int_equal(put_lane("normal", false, true), E_OK);
}

static void test_no_room(void **state)
{
    (void)state;
    char document[8192];
    int rc = E_OK;
    unsigned accepted = 0;
    struct handin_status status;
    memset(document, ' ', sizeof document);
    document[0] = '{';
    document[sizeof document - 1] = '}';
    open_any();
    for (; rc == E_OK; accepted++)
        rc = put_bytes("a", NULL, PAYLOAD_JSON, document, sizeof document);
    refuses(rc, E_AGAIN, "there is no room now");
    assert_int_equal(handin_get_status(rig.handin, 0, &status), 0);
    assert_int_equal(status.messages, accepted - 1);
    assert_int_equal(status.refused, 1);
}

/* ---- the dictionary ---- */

static uint32_t definitions(void)
{
    uint32_t count = 0;
    while (spool_sensor(rig.spool, count + 1) != NULL)
        count++;
    return count;
}

static void put_channel(const char *base_name, unsigned number)
{
    char pack[128];
    (void)snprintf(pack, sizeof pack,
                   "[{\"bn\":\"%s\",\"n\":\"c%u\",\"u\":\"Cel\",\"v\":1.%u},"
                   "{\"n\":\"state\",\"vs\":\"on\"}]",
                   base_name, number, number);
    puts_well("a", PAYLOAD_SENML_JSON, pack);
}

static void test_a_sensor_has_at_most_so_many_shapes(void **state)
{
    (void)state;
    static const struct tag tags[] = {{"site", "x"}};
    static const struct handin_sensor sensor = {
        .name = "a", .lane = LANE_NORMAL, .tags = tags, .tag_count = 1};
    open_one(&sensor);
    for (unsigned round = 0; round < 2; round++)
        for (unsigned i = 0; i < HANDIN_SHAPES_MAX + 2; i++)
            put_channel("", i);
    assert_int_equal(definitions(), HANDIN_SHAPES_MAX + 1);
    read_lane(LANE_NORMAL);
    assert_int_equal(rig.line_count, 2 * (HANDIN_SHAPES_MAX + 2));
    assert_string_equal(rig.lines[HANDIN_SHAPES_MAX + 1 + 1],
                        "\"a\"," NOW "\"tags\":{\"site\":\"x\"},\"values\":{\"c0\":1.0},"
                        "\"text\":{\"state\":\"on\"}");
    for (unsigned round = 0; round < 2; round++)
        assert_string_equal(
            rig.lines[HANDIN_SHAPES_MAX + round * (HANDIN_SHAPES_MAX + 2)],
            "\"a\"," NOW "\"tags\":{\"site\":\"x\"},\"data\":{\"senml\":["
            "{\"n\":\"c16\",\"u\":\"Cel\",\"v\":1.16},{\"n\":\"state\",\"vs\":\"on\"}],"
            "\"tags\":{\"site\":\"x\"}}");
}

static void test_nor_by_its_base_name(void **state)
{
    (void)state;
    char base[16];
    open_any();
    for (unsigned i = 0; i < 40; i++) {
        (void)snprintf(base, sizeof base, "urn:%u:", i);
        put_channel(base, 0);
    }
    assert_int_equal(definitions(), HANDIN_SHAPES_MAX + 1);
    read_lane(LANE_NORMAL);
    assert_string_equal(rig.lines[39],
                        "\"a\"," NOW "\"data\":{\"senml\":[{\"bn\":\"urn:39:\",\"n\":\"c0\","
                        "\"u\":\"Cel\",\"v\":1.0},{\"n\":\"state\",\"vs\":\"on\"}]}");
}

static void make_up(const char *sensor, unsigned number, unsigned count)
{
    char pack[64];
    for (unsigned i = 0; i < count; i++) {
        (void)snprintf(pack, sizeof pack, "[{\"n\":\"c%u\",\"v\":1}]", number + i);
        puts_well(sensor, PAYLOAD_SENML_JSON, pack);
    }
}

/* The dictionary outlives every run, and has 1024 places. */
static void test_many_runs_leave_places(void **state)
{
    (void)state;
    const uint32_t most = 1024 - HANDIN_SHAPES_LEAVE;
    unsigned number = 0;
    char name[16];
    open_any();
    for (unsigned run = 0; definitions() < most; run++) {
        assert_true(run < 100);
        handin_close(rig.handin);
        rig.handin = NULL;
        open_any();
        for (unsigned sensor = 0; sensor < 4; sensor++, number += HANDIN_SHAPES_MAX) {
            (void)snprintf(name, sizeof name, "s%u", sensor);
            make_up(name, number, HANDIN_SHAPES_MAX);
        }
    }
    assert_int_equal(definitions(), most);
    make_up("s0", number, 2);
    assert_int_equal(definitions(), most + 1); /* documents' */
    for (unsigned i = 0; i < HANDIN_SHAPES_LEAVE - HANDIN_DOCUMENTS_LEAVE - 1; i++) {
        (void)snprintf(name, sizeof name, "t%u", i);
        handin_close(rig.handin);
        rig.handin = NULL;
        open_any();
        make_up(name, number, 1);
    }
    refuses(put("new", PAYLOAD_TEXT, "1"), E_BUSY,
            "the dictionary of the spool has no place for this sensor");
    assert_int_equal(definitions(), 1024 - HANDIN_DOCUMENTS_LEAVE);
}

/* Other decimals are no other shape. */
static void test_decimals_make_no_shape(void **state)
{
    (void)state;
    open_any();
    puts_well("a", PAYLOAD_TEXT, "1");
    puts_well("a", PAYLOAD_TEXT, "1.25");
    puts_well("a", PAYLOAD_TEXT, "1e300");
    assert_int_equal(definitions(), 1);
    assert_has(LANE_NORMAL, "\"a\"," NOW "\"values\":{\"value\":1}",
               "\"a\"," NOW "\"values\":{\"value\":1.25}",
               "\"a\"," NOW "\"values\":{\"value\":1e+300}");
}

/* Where the base name finds no place among the tags. */
static void test_tags_that_leave_no_place(void **state)
{
    (void)state;
    static struct tag tags[SAMPLE_TAGS_MAX];
    static char names[SAMPLE_TAGS_MAX][8];
    static struct handin_sensor sensor = {.name = "a", .lane = LANE_NORMAL, .tags = tags};
    for (size_t i = 0; i < SAMPLE_TAGS_MAX; i++) {
        (void)snprintf(names[i], sizeof names[i], "t%zu", i);
        tags[i] = (struct tag){names[i], "x"};
    }
    sensor.tag_count = SAMPLE_TAGS_MAX;
    open_one(&sensor);
    put_channel("", 1);
    put_channel("urn:", 1);
    read_lane(LANE_NORMAL);
    assert_int_equal(rig.line_count, 2);
    assert_non_null(strstr(rig.lines[0], "\"values\":{\"c1\":1.1}"));
    assert_non_null(strstr(rig.lines[1], "\"senml\":[{\"bn\":\"urn:\",\"n\":\"c1\""));
}

static void test_a_tag_of_that_name(void **state)
{
    (void)state;
    static const struct tag tags[] = {{"bn", "mine"}};
    static const struct handin_sensor sensor = {
        .name = "a", .lane = LANE_NORMAL, .tags = tags, .tag_count = 1};
    open_one(&sensor);
    put_channel("urn:", 1);
    read_lane(LANE_NORMAL);
    assert_non_null(strstr(rig.lines[0], "\"tags\":{\"bn\":\"mine\"},\"data\":{\"senml\":"
                                         "[{\"bn\":\"urn:\""));
}

/* ---- transforms ---- */

static struct intake_transform face;

static struct chain *open_chain(struct handin_sensor *sensor, const struct chain_step *steps,
                                size_t count)
{
    struct chain *chain;
    const struct chain_options options = {
        .steps = steps, .step_count = count, .document_bytes_max = DOCUMENT_BYTES};
    assert_int_equal(chain_open(&options, &chain), 0);
    face = chain_face(chain);
    *sensor = (struct handin_sensor){.name = "a", .lane = LANE_NORMAL, .transform = &face};
    open_one(sensor);
    return chain;
}

static void close_chain(struct chain *chain)
{
    handin_close(rig.handin);
    rig.handin = NULL;
    chain_close(chain);
}

static void test_a_transform_that_alarms_and_renames(void **state)
{
    (void)state;
    static const struct tag pairs[] = {{"value", "temp"}};
    static const struct chain_step steps[] = {
        {.kind = CHAIN_RENAME, .pairs = pairs, .pair_count = 1},
        {.kind = CHAIN_ALARM, .channel = "temp", .above = {true, {50, 0}}}};
    struct handin_sensor sensor;
    struct chain *chain = open_chain(&sensor, steps, 2);
    puts_well("a", PAYLOAD_TEXT, "20");
    puts_well("a", PAYLOAD_TEXT, "70");
    assert_int_not_equal(rig.receipt.sequences[LANE_ALARM], 0);
    read_lane(LANE_ALARM);
    assert_int_equal(rig.line_count, 1);
    assert_non_null(strstr(rig.lines[0], "\"temp\":70"));
    assert_has(LANE_NORMAL, "\"a\"," NOW "\"values\":{\"temp\":20}");
    close_chain(chain);
}

static const struct chain_step maximum = {
    .kind = CHAIN_SUMMARIZE, .interval_ms = 1000, .functions = {[CHAIN_MAX] = true}};

static void test_a_transform_that_holds(void **state)
{
    (void)state;
    struct handin_sensor sensor;
    struct handin_status status;
    struct chain *chain = open_chain(&sensor, &maximum, 1);
    assert_int_equal(handin_due_ms(rig.handin), INT64_MAX);
    puts_well("a", PAYLOAD_TEXT, "1");
    puts_well("a", PAYLOAD_TEXT, "3");
    puts_well("a", PAYLOAD_TEXT, "2");
    assert_int_equal(rig.receipt.records, 0);
    assert_int_equal(count_lane(LANE_NORMAL), 0);
    assert_int_equal(handin_due_ms(rig.handin), BOOT_MS + 1000);
    handin_flush(rig.handin, BOOT_MS + 999);
    assert_int_equal(count_lane(LANE_NORMAL), 0);
    rig.now.boot_ms += 1000;
    handin_flush(rig.handin, rig.now.boot_ms);
    read_lane(LANE_NORMAL);
    assert_int_equal(rig.line_count, 1);
    assert_non_null(strstr(rig.lines[0], "\"value_max\":3"));
    assert_int_equal(handin_get_status(rig.handin, 0, &status), 0);
    assert_int_equal(status.messages, 3);
    assert_int_equal(status.records, 1);
    close_chain(chain);
}

/* A node sends what is new first, and what it kept before that behind it. */
static void test_a_transform_of_what_comes_late(void **state)
{
    (void)state;
    struct handin_sensor sensor;
    struct chain *chain = open_chain(&sensor, &maximum, 1);
    puts_well("a", PAYLOAD_TEXT, "1");
    puts_well("a", PAYLOAD_SENML_JSON,
              "[{\"v\":5,\"t\":-60.5},{\"v\":7,\"t\":-60.2},"
              "{\"v\":6,\"t\":-50},{\"v\":2,\"t\":-0}]");
    close_chain(chain);
    assert_has(LANE_NORMAL, "\"a\"," NOW "\"values\":{\"value_max\":1}",
               "\"a\",\"ts\":\"2026-11-22T23:59:05.123Z\",\"values\":{\"value_max\":7}",
               "\"a\",\"ts\":\"2026-11-22T23:59:16.123Z\",\"values\":{\"value_max\":6}",
               "\"a\"," NOW "\"values\":{\"value_max\":2}");
}

/* What it holds belongs to the channels before. */
static void test_a_transform_when_the_channels_change(void **state)
{
    (void)state;
    struct handin_sensor sensor;
    struct chain *chain = open_chain(&sensor, &maximum, 1);
    puts_well("a", PAYLOAD_TEXT, "1");
    puts_well("a", PAYLOAD_SENML_JSON, "[{\"n\":\"x\",\"v\":7}]");
    read_lane(LANE_NORMAL);
    assert_int_equal(rig.line_count, 1);
    assert_non_null(strstr(rig.lines[0], "\"value_max\":1"));
    close_chain(chain);
    read_lane(LANE_NORMAL); /* closing hands on the rest */
    assert_int_equal(rig.line_count, 2);
    assert_non_null(strstr(rig.lines[1], "\"x_max\":7"));
}

static void fill_spool(void)
{
    static char document[DOCUMENT_BYTES];
    struct sample sample = {.boot_ms = BOOT_MS, .document = (const uint8_t *)document};
    const struct sensor_definition definition = {.device = "gw-17", .name = "filler"};
    uint32_t number;
    uint64_t sequence;
    memset(document, ' ', sizeof document);
    document[0] = '{';
    assert_int_equal(spool_define_sensor(rig.spool, &definition, &number), 0);
    for (size_t bytes = sizeof document; bytes > 4; bytes -= bytes > 4000 ? 4000 : 1) {
        const struct spool_append append = {.lane = LANE_BULK, .sensor = number, .sample = &sample};
        sample.document_bytes = bytes;
        document[bytes - 1] = '}';
        while (spool_append(rig.spool, &append, &sequence) == 0)
            ;
    }
}

/* What a transform gave and the spool has no room for is not lost: it comes later, and until then
 * nobody is told that more was taken. */
static void test_a_transform_before_a_full_spool(void **state)
{
    (void)state;
    struct handin_sensor sensor;
    struct chain *chain = open_chain(&sensor, &maximum, 1);
    puts_well("a", PAYLOAD_TEXT, "4");
    fill_spool();
    rig.now.boot_ms += 1000;
    handin_flush(rig.handin, rig.now.boot_ms);
    assert_int_equal(count_lane(LANE_NORMAL), 0);
    assert_int_equal(handin_due_ms(rig.handin), rig.now.boot_ms + 200);
    refuses(put("a", PAYLOAD_TEXT, "9"), E_AGAIN, "there is no room now");
    assert_int_equal(spool_start(rig.spool), 0); /* and commits */
    int64_t deadline_ms = clock_mono_ms() + 20000;
    while (count_lane(LANE_NORMAL) == 0 && clock_mono_ms() < deadline_ms)
        handin_flush(rig.handin, handin_due_ms(rig.handin));
    assert_int_equal(rig.line_count, 1);
    assert_non_null(strstr(rig.lines[0], "\"value_max\":4"));
    puts_well("a", PAYLOAD_TEXT, "9");
    close_chain(chain);
    assert_int_equal(spool_stop(rig.spool, clock_mono_ms() + 20000), 0);
}

static void test_a_transform_without_its_key(void **state)
{
    (void)state;
    static const struct chain_step step = {
        .kind = CHAIN_REDACT, .channel = "who", .action = CHAIN_HMAC};
    struct handin_sensor sensor;
    struct chain *chain = open_chain(&sensor, &step, 1);
    int rc = put("a", PAYLOAD_JSON, "{\"who\":\"me\"}");
    assert_int_equal(rc, E_CREDENTIALS);
    assert_string_equal(
        rig.fault, "its transforms cannot be applied: redact: its key could not be read at the "
                   "start; mend the file, then reload");
    assert_int_equal(count_lane(LANE_NORMAL), 0);
    close_chain(chain);
}

/* ---- status ---- */

static void test_status(void **state)
{
    (void)state;
    struct handin_status status;
    open_any();
    assert_int_equal(handin_get_status(rig.handin, 0, &status), E_END);
    puts_well("a", PAYLOAD_SENML_JSON, "[{\"n\":\"v\",\"v\":1},{\"n\":\"v\",\"t\":-1,\"v\":2}]");
    puts_well("b", PAYLOAD_TEXT, "1");
    (void)put("b", PAYLOAD_TEXT, "x");
    (void)put("b", 7, "1");
    rig.now.boot_ms += 1500;
    assert_int_equal(handin_get_status(rig.handin, 0, &status), 0);
    assert_string_equal(status.name, "a");
    assert_int_equal(status.messages, 1);
    assert_int_equal(status.records, 2);
    assert_int_equal(status.faults, 0);
    assert_int_equal(status.age_ms, 1500);
    assert_int_equal(handin_get_status(rig.handin, 1, &status), 0);
    assert_string_equal(status.name, "b");
    assert_int_equal(status.faults, 2);
    assert_int_equal(handin_get_status(rig.handin, 2, &status), E_END);
}

static void test_a_configured_sensor_that_is_silent(void **state)
{
    (void)state;
    static const struct handin_sensor sensor = {.name = "a", .lane = LANE_NORMAL};
    struct handin_status status;
    open_one(&sensor);
    assert_int_equal(handin_get_status(rig.handin, 0, &status), 0);
    assert_string_equal(status.name, "a");
    assert_int_equal(status.age_ms, -1);
}

static void watch(void *context)
{
    struct handin_status status;
    (void)context;
    do {
        for (size_t i = 0; handin_get_status(rig.handin, i, &status) == 0; i++)
            assert_true(status.name[0] != '\0' && status.records >= status.messages);
    } while (handin_get_status(rig.handin, 3, &status) == E_END);
}

static void test_status_from_another_thread(void **state)
{
    (void)state;
    static const char *const names[] = {"a", "b", "c", "d"};
    struct thread thread = {0};
    open_any();
    assert_int_equal(thread_start(&thread, "watch", watch, NULL), 0);
    for (unsigned i = 0; i < 2000; i++)
        puts_well(names[i / 500], PAYLOAD_TEXT, "1");
    assert_int_equal(thread_join(&thread, INT64_MAX), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_every_format),
        TEST(test_times_of_their_own),
        TEST(test_times_without_a_clock),
        TEST(test_tags_and_lanes),
        TEST(test_sensors),
        TEST(test_only_what_is_configured),
        TEST(test_a_pack_stays_or_goes_whole),
        TEST(test_lanes_that_are_not_for_everybody),
        TEST(test_no_room),
        TEST(test_a_sensor_has_at_most_so_many_shapes),
        TEST(test_nor_by_its_base_name),
        TEST(test_decimals_make_no_shape),
        TEST(test_tags_that_leave_no_place),
        TEST(test_a_tag_of_that_name),
        TEST(test_a_transform_that_alarms_and_renames),
        TEST(test_a_transform_that_holds),
        TEST(test_a_transform_of_what_comes_late),
        TEST(test_a_transform_when_the_channels_change),
        TEST(test_a_transform_before_a_full_spool),
        TEST(test_a_transform_without_its_key),
        TEST(test_texts_that_fit_no_block),
        TEST(test_many_runs_leave_places),
        TEST(test_status),
        TEST(test_a_configured_sensor_that_is_silent),
        TEST(test_status_from_another_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
