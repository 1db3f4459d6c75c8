/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fault/powercut_rig.h"

#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>

#include "platform/base/bytes.h"
#include "platform/base/error.h"
#include "platform/clock.h"

enum { HOUR_MS = 3600000 };

static const char *const route_names[RIG_ROUTES] = {"live", "lake"};

/* A state is a copy of the files: they keep what tells one from another. Both names of the call are
 * wrapped, which of them is used depends on the C library. */
int __real_fstat(int fd, struct stat *status);
int __wrap_fstat(int fd, struct stat *status);
int __wrap_fstat64(int fd, struct stat *status);
int __wrap_fstat(int fd, struct stat *status)
{
    int rc = __real_fstat(fd, status);
    if (rc == 0) {
        status->st_ino = 1;
        status->st_mtim = (struct timespec){.tv_sec = 1};
    }
    return rc;
}
int __wrap_fstat64(int fd, struct stat *status)
{
    return __wrap_fstat(fd, status);
}

void rig_read_clock(void *context, struct spool_clock_reading *ret_reading)
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
        .dead_percent = 20,
        .clock = rig_read_clock,
        .machine = rig->machine,
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
    for (int r = 0; r < RIG_ROUTES; r++) {
        const struct spool_route_options options = {
            .name = route_names[r], .lanes = {true, true, true}, .hold = true};
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
 * another, nor of each other. All but the shortest are JSON objects, as peers hand them in. */
static uint8_t content(uint64_t key, size_t at, size_t bytes)
{
    static const char before[] = "{\"d\":\"";
    static const char behind[] = "\"}";
    const size_t edges = sizeof before + sizeof behind - 2;
    if (bytes >= edges && at < sizeof before - 1)
        return (uint8_t)before[at];
    if (bytes >= edges && at >= bytes - (sizeof behind - 1))
        return (uint8_t)behind[at - (bytes - (sizeof behind - 1))];
    uint64_t mixed = (key * 2654435761U + at) * 0x9e3779b97f4a7c15U;
    return (uint8_t)('a' + (mixed >> 40) % 26);
}

void rig_fill(uint64_t key, uint8_t *ret_document, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        ret_document[i] = content(key, i, bytes);
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
    rig_fill(key, document, bytes);
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
            if (piece[i] != content(key, at + i, bytes))
                return false;
        at += piece_bytes;
    } while ((rc = spool_reader_piece(&rig->reader, &piece, &piece_bytes)) == 0);
    return rc == E_END && at == bytes;
}

/* By its name: what was brought back has other numbers than what is defined here. */
static bool is_of(struct rig *rig, const struct record *record, const char *name)
{
    const struct sensor_definition *sensor = spool_sensor(rig->spool, record->sensor);
    return sensor != NULL && strcmp(sensor->name, name) == 0;
}

bool rig_is_content(struct rig *rig, const struct record *record, uint64_t key, size_t bytes)
{
    if (bytes > 0)
        return record->shape == RECORD_DOCUMENT && is_of(rig, record, "plc") &&
               record->document_bytes == bytes && is_document(rig, record, key, bytes);
    return record->shape == RECORD_VALUES && is_of(rig, record, "board") &&
           record->value_count == 1 && record->values[0].kind == VALUE_DECIMAL &&
           record->values[0].mantissa == (int64_t)key;
}

static uint64_t digest(uint64_t sum, const void *bytes, size_t count)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < count; i++)
        sum = (sum ^ at[i]) * 0x100000001b3U;
    return sum;
}

static uint64_t digest_number(uint64_t sum, uint64_t number)
{
    return digest(sum, &number, sizeof number);
}

static uint64_t digest_value(uint64_t sum, const struct value *value)
{
    sum = digest_number(sum, value->kind);
    if (value->kind == VALUE_DECIMAL)
        return digest_number(digest_number(sum, value->decimals), (uint64_t)value->mantissa);
    if (value->kind == VALUE_FLOAT64)
        return digest_number(sum, value->float64_bits);
    return value->kind == VALUE_TEXT ? digest(sum, value->text, value->text_bytes) : sum;
}

uint64_t rig_digest(struct rig *rig, const struct record *record)
{
    const struct sensor_definition *sensor = spool_sensor(rig->spool, record->sensor);
    const uint8_t *piece = record->document;
    size_t piece_bytes = record->document_piece_bytes;
    uint64_t sum = digest_number(0xcbf29ce484222325U, (uint64_t)record->boot_ms);
    sum = digest_number(digest_number(sum, (uint64_t)record->wall_ms), record->time_quality);
    sum = digest(sum, sensor->name, strlen(sensor->name));
    for (size_t i = 0; record->shape == RECORD_VALUES && i < record->value_count; i++)
        sum = digest_value(sum, &record->values[i]);
    if (record->shape == RECORD_DOCUMENT)
        do
            sum = digest(sum, piece, piece_bytes);
        while (spool_reader_piece(&rig->reader, &piece, &piece_bytes) == E_OK);
    return sum;
}

int rig_find_route(const char *name)
{
    int r = 0;
    while (r < RIG_ROUTES && strcmp(route_names[r], name) != 0)
        r++;
    return r;
}

bool rig_wait_salvaged(struct rig *rig)
{
    struct spool_status status;
    int64_t deadline_ms = clock_mono_ms() + RIG_WAIT_MS;
    for (;;) {
        spool_get_status(rig->spool, &status);
        if (!status.salvaging || clock_mono_ms() >= deadline_ms)
            return !status.salvaging;
        (void)poll(NULL, 0, 1);
    }
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
