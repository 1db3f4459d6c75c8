/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/spool/block.h"
#include "agent/spool/spool.h"
#include "platform/base/bytes.h"
#include "platform/base/error.h"
#include "platform/clock.h"
#include "platform/stop.h"
#include "tests/unit/folder.h"

/*
 * The header of a page is damaged in the file of a running spool, a page that is to be freed next.
 * From then on every commit fails. The spool is ended, rescued and followed by another: what was
 * owed must be there, on flash or in RAM before, and nothing else but the rest of a block.
 */
enum { READINGS = 3000, LATER = 40, DOCUMENT_BYTES = 9000, PAGE = 4096, RECORDS_MAX = 4000 };
enum { HEADER = sizeof(size_t) + 8, OVERFLOW_PAGE = 4 };

struct bench {
    char path[64];
    char file[96];
    struct spool_options options;
    struct spool_rescued rescued;
    struct spool *spool;
    struct spool_route *route;
    uint32_t sensor, plc;
    struct stop damaged;
    unsigned told;
    struct spool_salvaged salvaged;
    uint64_t id;
    uint64_t last; /* sequence */
    unsigned seen[RECORDS_MAX];
};

static void read_clock(void *context, struct spool_clock_reading *ret_reading)
{
    (void)context;
    *ret_reading = (struct spool_clock_reading){
        .boot_ms = clock_boot_ms(), .offset_ms = 1700000000000, .quality = TIME_SYNCED};
}

static void on_damaged(void *context)
{
    struct bench *bench = context;
    bench->told++;
    stop_request(&bench->damaged);
}

static void on_salvaged(void *context, const struct spool_salvaged *salvaged)
{
    struct bench *bench = context;
    bench->salvaged = *salvaged;
    bench->salvaged.file = NULL;
}

static void open_bench(struct bench *bench)
{
    static const struct channel channels[] = {{.name = "n", .unit = "", .decimals = 0}};
    const struct sensor_definition board = {
        .device = "gw", .name = "board", .channel_count = 1, .channels = channels};
    const struct sensor_definition plc = {.device = "gw", .name = "plc"};
    const struct spool_route_options route = {
        .name = "live", .lanes = {true, true, true}, .hold = true};
    char fault[SPOOL_FAULT_BYTES] = "";
    uint8_t id[SPOOL_ID_BYTES];
    if (spool_open(&bench->options, fault, &bench->spool) != 0)
        fail_msg("%s", fault);
    assert_int_equal(spool_define_sensor(bench->spool, &board, &bench->sensor), 0);
    assert_int_equal(spool_define_sensor(bench->spool, &plc, &bench->plc), 0);
    assert_int_equal(spool_route_open(bench->spool, &route, &bench->route), 0);
    assert_int_equal(spool_start(bench->spool), 0);
    spool_get_id(bench->spool, id);
    bench->id = bench->id == 0 ? bytes_get_be64(id) : bench->id;
}

static void make_bench(struct bench *bench)
{
    memset(bench, 0, sizeof *bench);
    (void)snprintf(bench->path, sizeof bench->path, "/tmp/runnel-rescue-XXXXXX");
    assert_non_null(mkdtemp(bench->path));
    (void)snprintf(bench->file, sizeof bench->file, "%s/spool.mdb", bench->path);
    assert_int_equal(stop_open(&bench->damaged), 0);
    bench->options = (struct spool_options){.path = bench->path,
                                            .size_bytes = 4 * 1024 * 1024,
                                            .device = "gw",
                                            .wait_ms = 1,
                                            .ack_window_ms = 3600000,
                                            .ack_window_records = 1000000,
                                            .clock = read_clock,
                                            .on_damaged = on_damaged,
                                            .on_salvaged = on_salvaged,
                                            .event_context = bench};
    for (int lane = 0; lane < LANE_COUNT; lane++)
        bench->options.lanes[lane] =
            (struct spool_lane_options){.window_ms = 3600000, .age_ms = 3600000};
    open_bench(bench);
}

static void remove_bench(struct bench *bench)
{
    folder_empty(bench->path);
    assert_int_equal(rmdir(bench->path), 0);
    stop_close(&bench->damaged);
}

/* ---- what goes in ---- */

static void append(struct bench *bench, struct sample *sample, uint32_t sensor)
{
    struct spool_append request = {.lane = LANE_NORMAL,
                                   .sensor = sensor,
                                   .sample = sample,
                                   .source = "followed",
                                   .deadline_ms = clock_mono_ms() + 20000};
    assert_int_equal(spool_append(bench->spool, &request, &bench->last), 0);
}

static void append_readings(struct bench *bench, unsigned count, uint64_t offset)
{
    for (unsigned i = 0; i < count; i++) {
        struct sample sample = {.boot_ms = clock_boot_ms(), .value_count = 1};
        sample.values[0] = (struct value){.kind = VALUE_DECIMAL, .mantissa = 1000000 + i};
        sample.origin = (struct sample_origin){
            .present = offset > 0, .device = 1, .inode = 2, .offset = offset + i};
        append(bench, &sample, bench->sensor);
    }
}

static void append_document(struct bench *bench)
{
    static uint8_t bytes[DOCUMENT_BYTES];
    memset(bytes, 'd', sizeof bytes);
    struct sample sample = {.document = bytes, .document_bytes = sizeof bytes};
    append(bench, &sample, bench->plc);
}

static void wait_accepted(struct bench *bench)
{
    struct spool_ticket ticket = {.lane = LANE_NORMAL, .sequence = bench->last};
    struct stop never = {.fd = -1};
    assert_int_equal(stop_event_open(&ticket.event_fd), 0);
    spool_ticket_wait(bench->spool, &ticket);
    assert_int_equal(stop_wait(&never, ticket.event_fd, 1, clock_mono_ms() + 20000), 0);
    assert_true(spool_ticket_accepted(bench->spool, &ticket));
    (void)close(ticket.event_fd);
}

/* ---- what comes out ---- */

static void check_pieces(struct spool_reader *reader, const struct record *record)
{
    const uint8_t *piece;
    size_t bytes;
    size_t total = record->document_piece_bytes;
    while (spool_reader_piece(reader, &piece, &bytes) == 0)
        total += bytes;
    assert_int_equal(total, record->document_bytes);
}

/* Reads on, and acknowledges LIMIT of them. Returns the last one's sequence. */
static uint64_t read_some(struct bench *bench, unsigned limit, bool acknowledges)
{
    static struct spool_reader reader;
    struct record record;
    struct spool_mark mark = {0};
    memset(bench->seen, 0, sizeof bench->seen);
    spool_reader_start(&reader, bench->route, LANE_NORMAL);
    for (unsigned i = 0; i < limit; i++) {
        if (spool_reader_next(&reader, &record, &mark.previous) != 0)
            break;
        mark.sequence = record.sequence;
        if (record.document_bytes > 0)
            check_pieces(&reader, &record);
        if (record.identity.spool_id == bench->id && record.identity.sequence < RECORDS_MAX)
            bench->seen[record.identity.sequence]++;
        if (acknowledges)
            spool_route_ack(bench->route, LANE_NORMAL, &mark, 1, SPOOL_DELIVERED);
    }
    return mark.sequence;
}

/* ---- damage ---- */

/* The page of its own that the block has which begins at FIRST. */
static off_t find_page(int fd, uint64_t first)
{
    uint8_t page[PAGE];
    for (off_t at = 0; pread(fd, page, sizeof page, at) == PAGE; at += PAGE) {
        struct block_header header;
        uint16_t flags;
        memcpy(&flags, page + HEADER - 6, sizeof flags);
        if (flags == OVERFLOW_PAGE && block_open(page + HEADER, BLOCK_BYTES, &header) == 0 &&
            header.first_sequence == first)
            return at;
    }
    fail_msg("no page has the block at %u", (unsigned)first);
    return 0;
}

static void damage_header(struct bench *bench)
{
    const uint32_t pages = 9;
    int fd = open(bench->file, O_RDWR);
    assert_true(fd >= 0);
    off_t at = find_page(fd, 1) + HEADER - 4;
    assert_int_equal(pwrite(fd, &pages, sizeof pages, at), sizeof pages);
    (void)close(fd);
}

static void wait_told(struct bench *bench)
{
    spool_commit_soon(bench->spool);
    assert_int_equal(stop_wait(&bench->damaged, -1, 0, clock_mono_ms() + 20000), E_STOP);
}

static void begin_anew(struct bench *bench)
{
    struct spool_status status;
    assert_int_equal(spool_stop(bench->spool, clock_mono_ms() + 20000), E_DAMAGED);
    spool_get_status(bench->spool, &status);
    assert_int_equal(status.error, E_DAMAGED);
    assert_int_equal(bench->told, 1);
    assert_int_equal(spool_rescue(bench->spool, &bench->rescued), 0);
    assert_int_equal(bench->rescued.error, 0);
    assert_string_equal(bench->rescued.aside.file, "spool.mdb.aside-1");
    spool_close(bench->spool);
    bench->options.rescued = &bench->rescued;
    open_bench(bench);
    do {
        (void)sched_yield();
        spool_get_status(bench->spool, &status);
    } while (status.salvaging);
    assert_true(status.aside_now);
    assert_int_equal(status.aside, 0);
}

static void finish(struct bench *bench)
{
    struct spool_set_aside aside;
    assert_int_equal(spool_get_set_aside(bench->spool, &aside), 0);
    assert_string_equal(aside.file, "spool.mdb.aside-1");
    assert_int_equal(spool_stop(bench->spool, clock_mono_ms() + 20000), 0);
    spool_close(bench->spool);
    bench->options.rescued = NULL;
    open_bench(bench);
    assert_int_equal(spool_get_set_aside(bench->spool, &aside), E_NOT_FOUND);
    spool_abandon(bench->spool);
    remove_bench(bench);
}

/* ---- the tests ---- */

/* Once each from FROM on; before it only the rest of the block that FROM lies in. */
static void check_seen(const struct bench *bench, uint64_t from, uint64_t last)
{
    uint64_t again = 0;
    for (uint64_t i = 1; i <= last; i++) {
        if (i >= from)
            assert_int_equal(bench->seen[i], 1);
        again += i < from && bench->seen[i] > 0;
    }
    for (uint64_t i = 1; i + BLOCK_RECORDS_MAX < from; i++)
        assert_int_equal(bench->seen[i], 0);
    assert_true(again < BLOCK_RECORDS_MAX);
}

static void test_flash_and_ram(void **state)
{
    (void)state;
    struct bench bench;
    make_bench(&bench);
    append_readings(&bench, READINGS, 0);
    wait_accepted(&bench);
    append_readings(&bench, LATER, 0);
    append_document(&bench);
    append_readings(&bench, LATER, 0);
    uint64_t last = bench.last;
    damage_header(&bench);
    uint64_t acknowledged = read_some(&bench, READINGS / 2, true);
    wait_told(&bench);
    begin_anew(&bench);
    assert_true(bench.rescued.records > 2 * LATER);
    assert_int_equal(bench.salvaged.lost, 0);
    (void)read_some(&bench, UINT32_MAX, false);
    check_seen(&bench, acknowledged + 1, last);
    finish(&bench);
}

/* What was delivered out of RAM is not sent again, and what was not, is. */
static void test_delivered_out_of_ram(void **state)
{
    (void)state;
    struct bench bench;
    make_bench(&bench);
    append_readings(&bench, READINGS, 0);
    wait_accepted(&bench);
    damage_header(&bench);
    append_document(&bench);
    append_document(&bench);
    uint64_t last = bench.last;
    uint64_t acknowledged = read_some(&bench, READINGS + 1, true);
    assert_int_equal(acknowledged, last - 1);
    wait_told(&bench);
    begin_anew(&bench);
    assert_int_equal(bench.rescued.records, 1);
    (void)read_some(&bench, UINT32_MAX, false);
    for (uint64_t i = 1; i < last; i++)
        assert_int_equal(bench.seen[i], 0);
    assert_int_equal(bench.seen[last], 1);
    finish(&bench);
}

/* Where a followed file was left goes along with its records. */
static void test_followed_file(void **state)
{
    (void)state;
    struct bench bench;
    struct sample_origin origin;
    make_bench(&bench);
    append_readings(&bench, READINGS, 0);
    wait_accepted(&bench);
    damage_header(&bench);
    (void)read_some(&bench, READINGS, true);
    wait_told(&bench);
    append_readings(&bench, LATER, 5000);
    uint64_t last = bench.last;
    begin_anew(&bench);
    spool_find_origin(bench.spool, "followed", &origin);
    assert_true(origin.present);
    assert_int_equal(origin.offset, 5000 + LATER - 1);
    (void)read_some(&bench, UINT32_MAX, false);
    check_seen(&bench, last - LATER + 1, last);
    finish(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flash_and_ram),
        cmocka_unit_test(test_delivered_out_of_ram),
        cmocka_unit_test(test_followed_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
