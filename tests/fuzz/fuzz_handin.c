/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/batch/render_json.h"
#include "agent/intake/handin.h"
#include "agent/transform/chain.h"
#include "platform/base/error.h"
#include "platform/json/json_scan.h"
#include "tests/fuzz/fuzz.h"

/*
 * The way from a request to the records that a route reads, in a spool that commits nothing. Bytes
 * choose: 0 the content format, 1 the sensor, 2 the lane and the clock; the rest is the payload,
 * for sensor 3 behind a name that ends with NUL. Sensors 0 to 2 are configured: one with rules, one
 * with transforms, one with neither; 3 is any.
 */
enum {
    HEAD_BYTES = 3,
    DOCUMENT_BYTES = 16384,
    LINE_BYTES = 4 * DOCUMENT_BYTES,
    RECORDS_MAX = 4096,
    RUNS = 2000,           /* with one spool: its dictionary fills, */
    SEQUENCES_MAX = 60000, /* and its numbers end where none are committed */
};

static const unsigned formats[] = {PAYLOAD_TEXT, PAYLOAD_OCTETS,     PAYLOAD_JSON,
                                   PAYLOAD_CBOR, PAYLOAD_SENML_JSON, PAYLOAD_SENML_CBOR,
                                   9999};
static const char *const lanes[] = {NULL, "alarm", "normal", "bulk", "fast"};

static const struct validate_member members[] = {
    {.name = "v", .type = VALIDATE_NUMBER, .min = {true, {-405, 1}}, .max = {true, {125, 0}}},
    {.name = "a.b", .type = VALIDATE_INTEGER},
    {.name = "a.c.d", .type = VALIDATE_TEXT, .required = true},
    {.name = "f", .type = VALIDATE_BOOLEAN}};
static const struct tag tags[] = {{"site", "pump-4"}};
static const struct chain_step steps[] = {
    {.kind = CHAIN_FLATTEN, .separator = '.'},
    {.kind = CHAIN_REDACT, .channel = "who", .action = CHAIN_MASK},
    {.kind = CHAIN_ALARM, .channel = "v", .above = {true, {50, 0}}},
    {.kind = CHAIN_SUMMARIZE,
     .channel = "s",
     .interval_ms = 1000,
     .functions = {true, true, true, true, true}}};

static struct spool_clock_reading now = {.boot_ms = 5000000, .offset_ms = 1795387005123};
static struct spool *spool;
static struct spool_route *route;

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void read_clock(void *context, struct spool_clock_reading *ret_reading)
{
    (void)context;
    *ret_reading = now;
}

static bool knows_time(void *context)
{
    (void)context;
    return true;
}

static void open_spool(void)
{
    char path[] = "/tmp/runnel-XXXXXX";
    char lock[sizeof path + 8];
    char fault[SPOOL_FAULT_BYTES];
    const struct spool_route_options route_options = {
        .name = "live", .lanes = {true, true, true}, .hold = true};
    must(mkdtemp(path) != NULL);
    const struct spool_options options = {
        .path = path, .size_bytes = 1024 * 1024, .device = "gw", .clock = read_clock};
    must(spool_open(&options, fault, &spool) == 0);
    must(spool_route_open(spool, &route_options, &route) == 0);
    (void)snprintf(lock, sizeof lock, "%s/lock", path); /* it has made nothing else there */
    must(unlink(lock) == 0 && rmdir(path) == 0);
}

static void renew_spool(void)
{
    static unsigned runs;
    if (spool != NULL && ++runs < RUNS && spool_next_sequence(spool) < SEQUENCES_MAX)
        return;
    runs = 0;
    spool_close(spool);
    open_spool();
}

/* ---- what is there then ---- */

static int next_piece(void *context, const uint8_t **ret_piece, size_t *ret_bytes)
{
    return spool_reader_piece(context, ret_piece, ret_bytes);
}

static void check_record(struct spool_reader *reader, const struct record *record)
{
    static uint8_t line[LINE_BYTES];
    struct writer out;
    const struct render_json render = {
        .sensor = spool_sensor(spool, record->sensor), .piece = next_piece, .context = reader};
    writer_to_memory(&out, line, sizeof line);
    must(render_json(&render, record, &out) == 0);
    must(out.error == 0);
    must(json_scan_object(line, out.used_bytes) != E_SYNTAX); /* deeper by one it may be */
}

/* Reads what LANE has, and takes it away. */
static size_t drain(enum lane lane)
{
    static struct spool_reader reader;
    static struct record record;
    static struct spool_mark marks[RECORDS_MAX];
    size_t count = 0;
    int rc;
    spool_reader_start(&reader, route, lane);
    while ((rc = spool_reader_next(&reader, &record, &marks[count].previous)) == 0) {
        check_record(&reader, &record);
        marks[count++].sequence = record.sequence;
        must(count < RECORDS_MAX);
    }
    must(rc == E_END);
    if (count > 0)
        spool_route_ack(route, lane, marks, count, SPOOL_DELIVERED);
    return count;
}

static void check_fault(const char *fault, int rc)
{
    must((rc < 0) == (fault[0] != '\0'));
    for (; *fault != '\0'; fault++)
        must(*fault >= ' ' && *fault < 0x7f);
}

/* ---- the request ---- */

static int hand_in(struct handin_options *options, const struct handin_request *request)
{
    char fault[PAYLOAD_FAULT_BYTES];
    struct handin *handin;
    struct handin_receipt receipt;
    must(handin_open(options, &handin) == 0);
    int rc = handin_put(handin, request, &receipt, fault);
    check_fault(fault, rc);
    handin_close(handin);
    size_t count = 0;
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        count += drain(lane);
    must(count >= receipt.records);
    bool has_transform = options->sensor_count > 0 && strcmp(request->sensor, "s1") == 0;
    if (!has_transform && rc < 0) /* all of it or nothing */
        must(count == 0);
    if (!has_transform && rc == 0)
        must(count == receipt.records && count > 0);
    return rc;
}

static void take_name(const uint8_t **bytes, size_t *count, struct handin_request *request)
{
    size_t length = strnlen((const char *)*bytes, *count);
    request->sensor = length < *count ? (const char *)*bytes : "any";
    if (length == *count)
        return;
    *bytes += length + 1;
    *count -= length + 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static const char *const names[] = {"s0", "s1", "s2"};
    struct chain *chain;
    const struct chain_options chain_options = {.steps = steps,
                                                .step_count = 4,
                                                .tags = (const struct tag[]){{"site", "x"}},
                                                .tag_count = 1,
                                                .document_bytes_max = DOCUMENT_BYTES};
    if (count < HEAD_BYTES)
        return 0;
    renew_spool();
    must(chain_open(&chain_options, &chain) == 0);
    const struct intake_transform face = chain_face(chain);
    const struct handin_sensor sensors[] = {
        {.name = "s0", .lane = LANE_NORMAL, .lanes = {true}, .rules = {members, 4, true}},
        {.name = "s1", .lane = LANE_NORMAL, .lanes = {true, true, true}, .transform = &face},
        {.name = "s2", .lane = LANE_BULK, .tags = tags, .tag_count = 1}};
    struct handin_options options = {.sensors = sensors,
                                     .sensors_max = 4,
                                     .device = "gw",
                                     .spool = spool,
                                     .carries = {true, true, true},
                                     .document_bytes_max = DOCUMENT_BYTES,
                                     .knows_time = knows_time,
                                     .clock = read_clock};
    struct handin_request request = {.may_lane = {true, true, true},
                                     .format = formats[bytes[0] % 7],
                                     .lane = lanes[bytes[2] % 8 < 5 ? bytes[2] % 8 : 0]};
    unsigned which = bytes[1] % 4;
    now.quality = (bytes[2] & 0x80) == 0 ? TIME_SYNCED : TIME_ESTIMATED;
    bytes += HEAD_BYTES;
    count -= HEAD_BYTES;
    options.sensor_count = which < 3 ? 3 : 0;
    request.sensor = which < 3 ? names[which] : NULL;
    if (which == 3)
        take_name(&bytes, &count, &request);
    request.bytes = bytes;
    request.count = count;
    (void)hand_in(&options, &request);
    chain_close(chain);
    return 0;
}
