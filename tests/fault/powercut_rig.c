/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fault/powercut_rig.h"

#include <sched.h>
#include <string.h>

#include "platform/base/bytes.h"
#include "platform/base/error.h"
#include "platform/clock.h"

enum { HOUR_MS = 3600000 };

static void read_clock(void *context, struct spool_clock_reading *ret_reading)
{
    (void)context;
    *ret_reading = (struct spool_clock_reading){
        .boot_ms = clock_boot_ms(), .offset_ms = 1700000000000, .quality = TIME_SYNCED};
}

static void set_options(struct rig *rig, const char *path, uint64_t size_bytes, bool full)
{
    rig->options = (struct spool_options){
        .path = path,
        .size_bytes = size_bytes,
        .device = "gw",
        .wait_ms = 1,
        .ack_window_ms = HOUR_MS,
        .ack_window_records = 1000000,
        .clock = read_clock,
    };
    /* Alarms are committed at once, the others when somebody waits or the head is full. */
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        rig->options.lanes[lane] = (struct spool_lane_options){
            .window_ms = lane == LANE_ALARM ? 0 : HOUR_MS,
            .age_ms = HOUR_MS,
            .full = full && lane == LANE_BULK ? SPOOL_DROP_NEWEST : SPOOL_DROP_OLDEST,
        };
}

static int define_sensors(struct rig *rig)
{
    static const struct channel channels[] = {{.name = "n", .unit = "", .decimals = 1}};
    const struct sensor_definition board = {
        .device = "gw", .name = "board", .channel_count = 1, .channels = channels};
    const struct sensor_definition plc = {.device = "gw", .name = "plc"};
    int rc = spool_define_sensor(rig->spool, &board, &rig->board);
    return rc < 0 ? rc : spool_define_sensor(rig->spool, &plc, &rig->plc);
}

static int open_routes(struct rig *rig)
{
    static const char *const names[RIG_ROUTES] = {"live", "lake"};
    for (int r = 0; r < RIG_ROUTES; r++) {
        const struct spool_route_options options = {
            .name = names[r], .lanes = {true, true, true}, .hold = true};
        int rc = spool_route_open(rig->spool, &options, &rig->routes[r]);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int rig_open(struct rig *rig, const char *path, uint64_t size_bytes, bool full,
             char fault[SPOOL_FAULT_BYTES])
{
    set_options(rig, path, size_bytes, full);
    int rc = spool_open(&rig->options, fault, &rig->spool);
    if (rc < 0)
        return rc;
    rc = define_sensors(rig);
    if (rc == 0)
        rc = open_routes(rig);
    return rc < 0 ? rc : spool_start(rig->spool);
}

uint64_t rig_id(const struct rig *rig)
{
    uint8_t id[SPOOL_ID_BYTES];
    spool_get_id(rig->spool, id);
    return bytes_get_be64(id);
}

/* Every byte depends on the key and on its place: pieces of one document are not those of
 * another, nor of each other. */
static uint8_t content(uint64_t key, size_t at)
{
    uint64_t mixed = (key * 2654435761U + at) * 0x9e3779b97f4a7c15U;
    return (uint8_t)('a' + (mixed >> 40) % 26);
}

int rig_append(struct rig *rig, enum lane lane, uint64_t key, size_t bytes, uint64_t *ret_sequence)
{
    static uint8_t document[RIG_DOCUMENT_BYTES_MAX];
    struct sample sample = {.boot_ms = clock_boot_ms(),
                            .value_count = bytes == 0,
                            .document = bytes == 0 ? NULL : document,
                            .document_bytes = bytes};
    struct spool_append append = {.lane = lane,
                                  .sensor = bytes == 0 ? rig->board : rig->plc,
                                  .sample = &sample,
                                  .deadline_ms = clock_mono_ms() + RIG_WAIT_MS};
    sample.values[0] =
        (struct value){.kind = VALUE_DECIMAL, .decimals = 1, .mantissa = (int64_t)key};
    for (size_t i = 0; i < bytes; i++)
        document[i] = content(key, i);
    return spool_append(rig->spool, &append, ret_sequence);
}

static bool is_document(struct rig *rig, const struct record *record, uint64_t key, size_t bytes)
{
    const uint8_t *piece = record->document;
    size_t piece_bytes = record->document_piece_bytes;
    size_t at = 0;
    int rc;
    do {
        if (piece_bytes > bytes - at)
            return false;
        for (size_t i = 0; i < piece_bytes; i++)
            if (piece[i] != content(key, at + i))
                return false;
        at += piece_bytes;
    } while ((rc = spool_reader_piece(&rig->reader, &piece, &piece_bytes)) == 0);
    return rc == E_END && at == bytes;
}

bool rig_is_content(struct rig *rig, const struct record *record, uint64_t key, size_t bytes)
{
    if (bytes > 0)
        return record->shape == RECORD_DOCUMENT && record->sensor == rig->plc &&
               record->document_bytes == bytes && is_document(rig, record, key, bytes);
    return record->shape == RECORD_VALUES && record->sensor == rig->board &&
           record->value_count == 1 && record->values[0].kind == VALUE_DECIMAL &&
           record->values[0].mantissa == (int64_t)key;
}

bool rig_commit(struct rig *rig)
{
    struct spool_status status;
    int64_t deadline_ms = clock_mono_ms() + RIG_WAIT_MS;
    spool_get_status(rig->spool, &status);
    for (int i = 0; i < 3; i++) { /* one may be under way, and one begin before it is told */
        uint64_t before = status.commits;
        spool_commit_soon(rig->spool);
        while (status.commits == before) {
            if (clock_mono_ms() >= deadline_ms)
                return false;
            (void)sched_yield();
            spool_get_status(rig->spool, &status);
        }
    }
    return true;
}
