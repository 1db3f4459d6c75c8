/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/spool/spool.h"
#include "platform/base/bytes.h"
#include "platform/base/error.h"
#include "platform/clock.h"
#include "tests/unit/folder.h"

/* Dead letters: two routes, of which "live" gives records up. */
enum { DOCUMENT_BYTES = 9000, READINGS = 100, WAIT_MS = 20000 };

struct rig {
    char path[64];
    struct spool_options options;
    struct spool *spool;
    struct spool_route *live, *lake;
    uint32_t board, plc;
};

static void read_clock(void *context, struct spool_clock_reading *ret_reading)
{
    (void)context;
    *ret_reading = (struct spool_clock_reading){
        .boot_ms = clock_boot_ms(), .offset_ms = 1700000000000, .quality = TIME_SYNCED};
}

static struct spool_route *open_route(struct rig *rig, const char *name)
{
    struct spool_route *route;
    struct spool_route_options options = {.name = name, .lanes = {true, true, true}, .hold = true};
    assert_int_equal(spool_route_open(rig->spool, &options, &route), 0);
    return route;
}

static void open_rig(struct rig *rig)
{
    static const struct channel channels[] = {{.name = "n", .unit = "", .decimals = 1}};
    const struct sensor_definition board = {
        .device = "gw", .name = "board", .channel_count = 1, .channels = channels};
    const struct sensor_definition plc = {.device = "gw", .name = "plc"};
    char fault[SPOOL_FAULT_BYTES] = "";
    if (spool_open(&rig->options, fault, &rig->spool) != 0)
        fail_msg("%s", fault);
    assert_int_equal(spool_define_sensor(rig->spool, &board, &rig->board), 0);
    assert_int_equal(spool_define_sensor(rig->spool, &plc, &rig->plc), 0);
    rig->live = open_route(rig, "live");
    rig->lake = open_route(rig, "lake");
    assert_int_equal(spool_start(rig->spool), 0);
}

static void make_rig(struct rig *rig)
{
    memset(rig, 0, sizeof *rig);
    (void)snprintf(rig->path, sizeof rig->path, "/tmp/runnel-dead-XXXXXX");
    assert_non_null(mkdtemp(rig->path));
    rig->options = (struct spool_options){.path = rig->path,
                                          .size_bytes = 1024 * 1024,
                                          .device = "gw",
                                          .wait_ms = 1,
                                          .ack_window_ms = 3600000,
                                          .ack_window_records = 1000000,
                                          .dead_percent = 10,
                                          .clock = read_clock};
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        rig->options.lanes[lane] =
            (struct spool_lane_options){.window_ms = 3600000, .age_ms = 3600000};
    open_rig(rig);
}

static void restart(struct rig *rig, bool clean)
{
    if (clean)
        assert_int_equal(spool_stop(rig->spool, clock_mono_ms() + WAIT_MS), 0);
    if (clean)
        spool_close(rig->spool);
    else
        spool_abandon(rig->spool);
    open_rig(rig);
}

static void remove_rig(struct rig *rig)
{
    assert_int_equal(spool_stop(rig->spool, clock_mono_ms() + WAIT_MS), 0);
    spool_close(rig->spool);
    folder_empty(rig->path);
    assert_int_equal(rmdir(rig->path), 0);
}

static uint8_t byte_of(size_t at)
{
    return (uint8_t)('a' + at % 23);
}

static void append(struct rig *rig, size_t document_bytes)
{
    static uint8_t document[DOCUMENT_BYTES];
    static int64_t number;
    struct sample sample = {.boot_ms = clock_boot_ms(), .value_count = 1};
    struct spool_append request = {.lane = LANE_NORMAL,
                                   .sensor = document_bytes > 0 ? rig->plc : rig->board,
                                   .sample = &sample,
                                   .deadline_ms = clock_mono_ms() + WAIT_MS};
    uint64_t sequence;
    sample.values[0] = (struct value){.kind = VALUE_DECIMAL, .decimals = 1, .mantissa = ++number};
    for (size_t i = 0; i < document_bytes; i++)
        document[i] = byte_of(i);
    if (document_bytes > 0)
        sample.document = document;
    sample.document_bytes = document_bytes;
    assert_int_equal(spool_append(rig->spool, &request, &sequence), 0);
}

static void append_readings(struct rig *rig)
{
    for (int i = 0; i < READINGS; i++)
        append(rig, 0);
}

static uint64_t commits(struct rig *rig)
{
    struct spool_status status;
    spool_get_status(rig->spool, &status);
    return status.commits;
}

/* Waits for a commit that began now or later: one may be under way. */
static void commit(struct rig *rig)
{
    int64_t deadline_ms = clock_mono_ms() + WAIT_MS;
    for (int i = 0; i < 2; i++) {
        uint64_t before = commits(rig);
        spool_commit_soon(rig->spool);
        while (commits(rig) == before) {
            (void)sched_yield();
            assert_true(clock_mono_ms() < deadline_ms);
        }
    }
}

static void check_document(struct spool_reader *reader, const struct record *record)
{
    const uint8_t *piece = record->document;
    size_t bytes = record->document_piece_bytes;
    size_t at = 0;
    int rc;
    do {
        for (size_t i = 0; i < bytes; i++)
            assert_int_equal(piece[i], byte_of(at + i));
        at += bytes;
    } while ((rc = spool_reader_piece(reader, &piece, &bytes)) == 0);
    assert_int_equal(rc, E_END);
    assert_int_equal(at, DOCUMENT_BYTES);
}

/* Delivers what ROUTE owes but buries record number WHICH (from 0) of it; its identity. */
static uint64_t deliver(struct rig *rig, struct spool_route *route, unsigned which,
                        unsigned *ret_count)
{
    static struct spool_reader reader;
    struct record record;
    uint64_t previous;
    uint64_t buried = 0;
    unsigned count = 0;
    (void)rig;
    spool_reader_start(&reader, route, LANE_NORMAL);
    while (spool_reader_next(&reader, &record, &previous) == 0) {
        const struct spool_mark mark = {record.sequence, previous};
        const struct spool_death death = {.lane = LANE_NORMAL,
                                          .mark = mark,
                                          .attempts = 7,
                                          .reason = "the destination will not have it"};
        if (count++ != which) {
            spool_route_ack(route, LANE_NORMAL, &mark, 1, SPOOL_DELIVERED);
            continue;
        }
        buried = record.identity.sequence;
        assert_int_equal(spool_dead_bury(route, &death, clock_mono_ms() + WAIT_MS), 0);
    }
    *ret_count = count;
    return buried;
}

static uint64_t count_letters(struct rig *rig)
{
    struct spool_letter letter;
    uint64_t letters, bytes;
    uint64_t found = 0;
    const struct spool_letter *after = NULL;
    while (spool_dead_next(rig->spool, after, &letter) == 0) {
        found++;
        after = &letter;
    }
    spool_dead_count(rig->spool, &letters, &bytes);
    assert_int_equal(letters, found);
    assert_int_equal(bytes > 0, found > 0);
    return found;
}

static struct spool_counters counters(struct spool_route *route)
{
    struct spool_counters c;
    spool_route_counters(route, LANE_NORMAL, &c);
    assert_int_equal(c.accepted, c.delivered + c.stored + c.dead + c.evicted);
    return c;
}

static void check_letter(struct rig *rig, uint64_t identity, bool document)
{
    static struct spool_reader reader;
    struct spool_letter letter;
    struct record record;
    uint8_t id[SPOOL_ID_BYTES];
    assert_int_equal(spool_dead_next(rig->spool, NULL, &letter), 0);
    assert_string_equal(letter.route_name, "live");
    assert_string_equal(letter.reason, "the destination will not have it");
    assert_int_equal(letter.attempts, 7);
    assert_true(letter.wall_ms > 1700000000000);
    assert_int_equal(spool_dead_open(&reader, rig->spool, &letter, &record), 0);
    spool_get_id(rig->spool, id);
    assert_int_equal(record.identity.spool_id, bytes_get_be64(id));
    assert_int_equal(record.identity.sequence, identity);
    assert_string_equal(spool_sensor(rig->spool, record.sensor)->name, document ? "plc" : "board");
    if (document)
        check_document(&reader, &record);
    else
        assert_int_equal(record.values[0].decimals, 1);
}

static void test_keeps_a_reading(void **state)
{
    struct rig rig;
    unsigned count;
    (void)state;
    make_rig(&rig);
    append_readings(&rig);
    uint64_t buried = deliver(&rig, rig.live, 50, &count);
    assert_int_equal(count, READINGS);
    check_letter(&rig, buried, false);
    commit(&rig);
    assert_int_equal(counters(rig.live).dead, 1);
    assert_int_equal(counters(rig.live).stored, 0);
    restart(&rig, true);
    check_letter(&rig, buried, false);
    assert_int_equal(counters(rig.live).dead, 1);
    restart(&rig, false);
    check_letter(&rig, buried, false);
    assert_int_equal(count_letters(&rig), 1);
    (void)deliver(&rig, rig.lake, UINT32_MAX, &count);
    assert_int_equal(count, READINGS); /* nobody else is concerned */
    remove_rig(&rig);
}

static void test_keeps_a_document_in_pieces(void **state)
{
    struct rig rig;
    unsigned count;
    (void)state;
    make_rig(&rig);
    append(&rig, DOCUMENT_BYTES);
    commit(&rig);
    uint64_t buried = deliver(&rig, rig.live, 0, &count);
    (void)deliver(&rig, rig.lake, UINT32_MAX, &count);
    commit(&rig);
    restart(&rig, true);
    check_letter(&rig, buried, true);
    remove_rig(&rig);
}

static void wait_for_letters(struct rig *rig, uint64_t wanted)
{
    int64_t deadline_ms = clock_mono_ms() + WAIT_MS;
    uint64_t letters, bytes;
    do {
        (void)sched_yield();
        spool_dead_count(rig->spool, &letters, &bytes);
        assert_true(clock_mono_ms() < deadline_ms);
    } while (letters != wanted);
}

/* Buries one record and has it sent again: in the running agent, or marked while it is stopped. */
static void send_again(size_t document_bytes, bool stopped)
{
    struct rig rig;
    struct spool_letter letter;
    unsigned count;
    make_rig(&rig);
    append_readings(&rig);
    append(&rig, document_bytes);
    uint64_t buried = deliver(&rig, rig.live, READINGS, &count);
    (void)deliver(&rig, rig.lake, UINT32_MAX, &count);
    append_readings(&rig);
    assert_int_equal(spool_dead_next(rig.spool, NULL, &letter), 0);
    if (stopped) {
        assert_int_equal(spool_stop(rig.spool, clock_mono_ms() + WAIT_MS), 0);
        assert_int_equal(spool_dead_change(rig.spool, &letter, true), 0);
        assert_int_equal(spool_dead_next(rig.spool, NULL, &letter), 0);
        assert_true(letter.queued);
        spool_close(rig.spool);
        open_rig(&rig);
    } else {
        assert_int_equal(spool_dead_ask(rig.spool, &letter, true), 0);
    }
    wait_for_letters(&rig, 0);
    commit(&rig);
    (void)deliver(&rig, rig.lake, UINT32_MAX, &count);
    assert_int_equal(count, READINGS);
    assert_int_equal(deliver(&rig, rig.live, READINGS, &count), buried);
    assert_int_equal(count, READINGS + 1);
    check_letter(&rig, buried, document_bytes > 0);
    commit(&rig);
    restart(&rig, false);
    assert_int_equal(counters(rig.live).stored, 0);
    assert_int_equal(counters(rig.lake).stored, 0);
    assert_int_equal(count_letters(&rig), 1);
    remove_rig(&rig);
}

static void test_sends_again(void **state)
{
    (void)state;
    send_again(0, false);
    send_again(DOCUMENT_BYTES, false);
    send_again(0, true);
    send_again(DOCUMENT_BYTES, true);
}

static void test_purges(void **state)
{
    struct rig rig;
    struct spool_letter letter;
    unsigned count;
    (void)state;
    make_rig(&rig);
    for (int i = 0; i < 3; i++) {
        append(&rig, DOCUMENT_BYTES);
        (void)deliver(&rig, rig.live, 0, &count);
    }
    assert_int_equal(count_letters(&rig), 3);
    assert_int_equal(spool_dead_next(rig.spool, NULL, &letter), 0);
    assert_int_equal(spool_dead_ask(rig.spool, &letter, false), 0);
    wait_for_letters(&rig, 2);
    assert_int_equal(spool_stop(rig.spool, clock_mono_ms() + WAIT_MS), 0);
    assert_int_equal(spool_dead_next(rig.spool, NULL, &letter), 0);
    assert_int_equal(spool_dead_change(rig.spool, &letter, false), 0);
    assert_int_equal(count_letters(&rig), 1);
    spool_close(rig.spool);
    open_rig(&rig);
    assert_int_equal(count_letters(&rig), 1);
    remove_rig(&rig);
}

/* 10 % of a MiB hold some ten letters of 9 KB: the oldest give way. */
static void test_space_is_bounded(void **state)
{
    struct rig rig;
    uint64_t buried[30];
    unsigned count;
    (void)state;
    make_rig(&rig);
    for (int i = 0; i < 30; i++) {
        append(&rig, DOCUMENT_BYTES);
        buried[i] = deliver(&rig, rig.live, 0, &count);
        (void)deliver(&rig, rig.lake, UINT32_MAX, &count);
    }
    uint64_t letters = count_letters(&rig);
    assert_true(letters >= 8 && letters <= 12);
    check_letter(&rig, buried[30 - letters], true);
    assert_int_equal(counters(rig.live).dead, 30);
    rig.options.dead_percent = 0;
    restart(&rig, true);
    append(&rig, 0);
    static struct spool_reader reader;
    struct record record;
    struct spool_death death = {.lane = LANE_NORMAL, .reason = "no"};
    spool_reader_start(&reader, rig.live, LANE_NORMAL);
    assert_int_equal(spool_reader_next(&reader, &record, &death.mark.previous), 0);
    death.mark.sequence = record.sequence;
    assert_int_equal(spool_dead_bury(rig.live, &death, clock_mono_ms() + WAIT_MS), E_TOO_BIG);
    remove_rig(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keeps_a_reading),  cmocka_unit_test(test_keeps_a_document_in_pieces),
        cmocka_unit_test(test_sends_again),      cmocka_unit_test(test_purges),
        cmocka_unit_test(test_space_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
