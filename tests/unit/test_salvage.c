/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/spool/spool.h"
#include "platform/base/bytes.h"
#include "platform/base/crc32c.h"
#include "platform/base/error.h"
#include "platform/clock.h"
#include "tests/unit/folder.h"

/*
 * What comes back of files that were set aside. Record N has number N in its spool, and lies in
 * lane N % 3; every DOCUMENT_EVERYth is a document in three pieces.
 */
enum { SIZE = 2 * 1024 * 1024, SMALL = 512 * 1024, RECORDS = 900, DOCUMENT_EVERY = 9 };
enum { DOCUMENT_BYTES = 9000, WAIT_MS = 20000, SPOOLS = 3 };
enum { LIVE, LAKE, FAN, NEW, ROUTES }; /* FAN does not hold; NEW came after the damage */

struct rig {
    char path[64];
    struct spool_options options;
    struct spool *spool;
    struct spool_route *routes[ROUTES];
    uint32_t board, plc;
    uint64_t ids[SPOOLS]; /* of the spools that the records came from */
    unsigned id_count;
    bool seen[ROUTES][SPOOLS][RECORDS + 1];
};

static void read_clock(void *context, struct spool_clock_reading *ret_reading)
{
    (void)context;
    *ret_reading = (struct spool_clock_reading){
        .boot_ms = clock_boot_ms(), .offset_ms = 1700000000000, .quality = TIME_SYNCED};
}

static void open_rig(struct rig *rig, int routes)
{
    static const char *const names[ROUTES] = {"live", "lake", "fan", "new"};
    static const struct channel channels[] = {{.name = "n", .unit = "", .decimals = 1}};
    const struct sensor_definition board = {
        .device = "gw", .name = "board", .channel_count = 1, .channels = channels};
    const struct sensor_definition plc = {.device = "gw", .name = "plc"};
    char fault[SPOOL_FAULT_BYTES] = "";
    if (spool_open(&rig->options, fault, &rig->spool) != 0)
        fail_msg("%s", fault);
    for (int i = 0; i < routes; i++) {
        struct spool_route_options options = {
            .name = names[i], .lanes = {true, true, true}, .hold = i != FAN};
        assert_int_equal(spool_route_open(rig->spool, &options, &rig->routes[i]), 0);
    }
    assert_int_equal(spool_define_sensor(rig->spool, &plc, &rig->plc), 0);
    assert_int_equal(spool_define_sensor(rig->spool, &board, &rig->board), 0);
    assert_int_equal(spool_start(rig->spool), 0);
}

static void make_rig(struct rig *rig, uint64_t size_bytes)
{
    memset(rig, 0, sizeof *rig);
    (void)snprintf(rig->path, sizeof rig->path, "/tmp/runnel-salvage-XXXXXX");
    assert_non_null(mkdtemp(rig->path));
    rig->options = (struct spool_options){.path = rig->path,
                                          .size_bytes = size_bytes,
                                          .device = "gw",
                                          .wait_ms = 1,
                                          .ack_window_ms = 1,
                                          .ack_window_records = 1,
                                          .clock = read_clock};
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        rig->options.lanes[lane] =
            (struct spool_lane_options){.window_ms = 3600000, .age_ms = 3600000};
}

static void close_rig(struct rig *rig)
{
    assert_int_equal(spool_stop(rig->spool, clock_mono_ms() + WAIT_MS), 0);
    spool_close(rig->spool);
}

static void remove_rig(struct rig *rig)
{
    folder_empty(rig->path);
    assert_int_equal(rmdir(rig->path), 0);
}

/* ---- records ---- */

static bool is_document(uint64_t n)
{
    return n % DOCUMENT_EVERY == 0;
}

static uint8_t byte_of(uint64_t n, size_t at)
{
    return (uint8_t)('a' + (n + at) % 23);
}

static void append(struct rig *rig, uint64_t n)
{
    static uint8_t document[DOCUMENT_BYTES];
    struct sample sample = {.boot_ms = clock_boot_ms(), .value_count = 1};
    struct spool_append request = {.lane = (enum lane)(n % LANE_COUNT),
                                   .sensor = is_document(n) ? rig->plc : rig->board,
                                   .sample = &sample,
                                   .deadline_ms = clock_mono_ms() + WAIT_MS};
    uint64_t sequence;
    sample.values[0] = (struct value){.kind = VALUE_DECIMAL, .decimals = 1, .mantissa = (int64_t)n};
    for (size_t i = 0; i < DOCUMENT_BYTES; i++)
        document[i] = byte_of(n, i);
    sample.document = is_document(n) ? document : NULL;
    sample.document_bytes = is_document(n) ? DOCUMENT_BYTES : 0;
    assert_int_equal(spool_append(rig->spool, &request, &sequence), 0);
}

static void check_record(struct spool_reader *reader, const struct record *record)
{
    uint64_t n = record->identity.sequence;
    assert_int_equal(record->lane, n % LANE_COUNT);
    assert_int_equal(record->shape == RECORD_DOCUMENT, is_document(n));
    if (!is_document(n)) {
        assert_int_equal(record->values[0].mantissa, n);
        return;
    }
    const uint8_t *piece = record->document;
    size_t bytes = record->document_piece_bytes;
    size_t at = 0;
    int rc;
    do {
        for (size_t i = 0; i < bytes; i++)
            assert_int_equal(piece[i], byte_of(n, at + i));
        at += bytes;
    } while ((rc = spool_reader_piece(reader, &piece, &bytes)) == 0);
    assert_int_equal(rc, E_END);
    assert_int_equal(at, DOCUMENT_BYTES);
}

static void note_record(struct rig *rig, int route, const struct record *record)
{
    unsigned spool = 0;
    while (spool < rig->id_count && rig->ids[spool] != record->identity.spool_id)
        spool++;
    assert_true(spool < rig->id_count);
    assert_in_range(record->identity.sequence, 1, RECORDS);
    assert_false(rig->seen[route][spool][record->identity.sequence]);
    rig->seen[route][spool][record->identity.sequence] = true;
}

/* Reads what ROUTE is owed, each once, and acknowledges it. Returns how many that were. */
static unsigned drain(struct rig *rig, int route)
{
    static struct spool_reader reader;
    struct record record;
    struct spool_mark mark;
    unsigned count = 0;
    for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
        spool_reader_start(&reader, rig->routes[route], lane);
        for (; spool_reader_next(&reader, &record, &mark.previous) == 0; count++) {
            check_record(&reader, &record);
            note_record(rig, route, &record);
            mark.sequence = record.sequence;
            spool_route_ack(rig->routes[route], lane, &mark, 1, SPOOL_DELIVERED);
        }
    }
    return count;
}

static unsigned count_seen(const struct rig *rig, int route)
{
    unsigned count = 0;
    for (unsigned spool = 0; spool < SPOOLS; spool++)
        for (unsigned n = 1; n <= RECORDS; n++)
            count += rig->seen[route][spool][n];
    return count;
}

/* ---- a file ---- */

static void acknowledge_below(struct rig *rig, int route, uint64_t below)
{
    static struct spool_reader reader;
    struct record record;
    struct spool_mark mark;
    for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
        spool_reader_start(&reader, rig->routes[route], lane);
        while (spool_reader_next(&reader, &record, &mark.previous) == 0 &&
               record.sequence < below) {
            mark.sequence = record.sequence;
            spool_route_ack(rig->routes[route], lane, &mark, 1, SPOOL_DELIVERED);
        }
    }
}

/* A stop: everything is on flash. LIVE has what is numbered below ACKNOWLEDGED. */
static void fill(struct rig *rig, unsigned records, uint64_t acknowledged)
{
    uint8_t id[SPOOL_ID_BYTES];
    open_rig(rig, NEW);
    spool_get_id(rig->spool, id);
    rig->ids[rig->id_count++] = bytes_get_be64(id);
    for (unsigned n = 1; n <= records; n++)
        append(rig, n);
    acknowledge_below(rig, LIVE, acknowledged);
    close_rig(rig);
}

struct image {
    uint8_t bytes[SIZE];
    size_t count;
};

static void name_file(const struct rig *rig, const char *name, char path[128])
{
    (void)snprintf(path, 128, "%s/%s", rig->path, name);
}

static void load(const struct rig *rig, const char *name, struct image *ret_image)
{
    char path[128];
    name_file(rig, name, path);
    FILE *file = fopen(path, "rbe");
    assert_non_null(file);
    ret_image->count = fread(ret_image->bytes, 1, sizeof ret_image->bytes, file);
    (void)fclose(file);
}

static void save(const struct rig *rig, const char *name, const struct image *image)
{
    char path[128];
    name_file(rig, name, path);
    FILE *file = fopen(path, "wbe");
    assert_non_null(file);
    assert_int_equal(fwrite(image->bytes, 1, image->count, file), image->count);
    assert_int_equal(fclose(file), 0);
}

/* LMDB cannot use it any more; whatever lies in it is whole. */
static void break_file(const struct rig *rig, struct image *image)
{
    load(rig, "spool.mdb", image);
    memset(image->bytes, 0, 64);
    save(rig, "spool.mdb", image);
}

static void wait_for_salvage(struct rig *rig, unsigned aside)
{
    struct spool_status status;
    do {
        (void)sched_yield();
        spool_get_status(rig->spool, &status);
    } while (status.salvaging);
    assert_int_equal(status.aside, aside);
}

static void check_accounts(struct rig *rig, int route)
{
    for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
        struct spool_counters c;
        spool_route_counters(rig->routes[route], lane, &c);
        assert_int_equal(c.accepted, c.delivered + c.stored + c.dead + c.evicted);
        assert_int_equal(c.stored, 0); /* all of it was drained */
    }
}

/* ---- tests ---- */

static void test_each_route_gets_what_it_is_owed(void **state)
{
    (void)state;
    static struct rig rig;
    static struct image image;
    make_rig(&rig, SIZE);
    fill(&rig, RECORDS, 2 * RECORDS / 3);
    break_file(&rig, &image);
    open_rig(&rig, ROUTES);
    wait_for_salvage(&rig, 0);
    assert_int_equal(drain(&rig, FAN), RECORDS); /* first, for nothing is kept for it */
    assert_int_equal(drain(&rig, LAKE), RECORDS);
    assert_int_equal(drain(&rig, NEW), RECORDS);
    (void)drain(&rig, LIVE);
    for (unsigned n = 1; n <= RECORDS; n++) { /* readings share blocks, documents do not */
        if (n >= 2 * RECORDS / 3 || is_document(n))
            assert_int_equal(rig.seen[LIVE][0][n], n >= 2 * RECORDS / 3);
    }
    for (int route = 0; route < ROUTES; route++)
        check_accounts(&rig, route);
    close_rig(&rig);
    open_rig(&rig, ROUTES); /* nothing comes a second time */
    assert_int_equal(drain(&rig, LAKE), 0);
    close_rig(&rig);
    remove_rig(&rig);
}

static uint64_t stored(struct rig *rig)
{
    struct spool_status status;
    (void)sched_yield();
    spool_get_status(rig->spool, &status);
    assert_true(status.salvaging); /* there is no room for all */
    return status.lanes[0].stored_bytes + status.lanes[1].stored_bytes +
           status.lanes[2].stored_bytes;
}

/* The new spool is smaller than what is to come back: the salvage waits for room, is killed twice
 * on its way, and goes on where the last commit left it. */
static void test_a_full_spool_and_a_crash_on_the_way(void **state)
{
    (void)state;
    static struct rig rig;
    static struct image image;
    struct spool_status status = {.salvaging = true};
    make_rig(&rig, SIZE);
    fill(&rig, RECORDS, 0);
    break_file(&rig, &image);
    rig.options.size_bytes = SMALL;
    for (unsigned crash = 1; crash <= 2; crash++) {
        open_rig(&rig, LAKE + 1);
        while (stored(&rig) < crash * SMALL / 8)
            continue;
        spool_abandon(rig.spool);
    }
    open_rig(&rig, LAKE + 1);
    while (status.salvaging) {
        for (int route = LIVE; route <= LAKE; route++)
            (void)drain(&rig, route);
        (void)sched_yield();
        spool_get_status(rig.spool, &status);
    }
    assert_int_equal(status.aside, 0);
    for (int route = LIVE; route <= LAKE; route++) {
        (void)drain(&rig, route);
        assert_int_equal(count_seen(&rig, route), RECORDS);
        check_accounts(&rig, route);
    }
    close_rig(&rig);
    remove_rig(&rig);
}

/* Stale versions of blocks are broken as well. Returns the number of blocks. */
static unsigned break_blocks(struct image *image, unsigned every)
{
    unsigned count = 0;
    for (size_t at = 0; at + BLOCK_BYTES <= image->count; at++) {
        if (memcmp(image->bytes + at, "RNLB", 4) == 0 && count++ % every == 0)
            image->bytes[at + BLOCK_HEADER_BYTES] ^= 1;
    }
    return count;
}

static uint64_t count_gaps(struct rig *rig, int route)
{
    struct spool_gap gap = {.sequence = 0};
    uint64_t lost = 0;
    while (spool_gap_next(rig->routes[route], gap.sequence, &gap) == 0) {
        assert_int_equal(gap.reason, SPOOL_GAP_DAMAGED);
        lost += gap.count;
    }
    return lost;
}

static void test_what_is_lost_is_told(void **state)
{
    (void)state;
    static struct rig rig;
    static struct image image;
    make_rig(&rig, SIZE);
    fill(&rig, RECORDS, 0);
    break_file(&rig, &image);
    assert_true(break_blocks(&image, 10) > 100);
    save(&rig, "spool.mdb", &image);
    open_rig(&rig, LAKE + 1);
    wait_for_salvage(&rig, 0);
    for (int route = LIVE; route <= LAKE; route++) {
        unsigned count = drain(&rig, route);
        assert_in_range(count, 1, RECORDS - 1);
        check_accounts(&rig, route);
    }
    close_rig(&rig); /* gaps are told once flash has them */
    open_rig(&rig, LAKE + 1);
    for (int route = LIVE; route <= LAKE; route++)
        assert_int_equal(count_gaps(&rig, route), RECORDS - count_seen(&rig, route));
    close_rig(&rig);
    remove_rig(&rig);
}

static void test_three_files(void **state)
{
    (void)state;
    static struct rig rig;
    static struct image images[SPOOLS];
    enum { EACH = 300 };
    make_rig(&rig, SIZE);
    for (unsigned i = 0; i < SPOOLS; i++) {
        char path[128];
        fill(&rig, EACH, 0);
        break_file(&rig, &images[i]);
        name_file(&rig, "spool.mdb", path);
        assert_int_equal(unlink(path), 0);
    }
    save(&rig, "spool.mdb.aside-1", &images[0]);
    save(&rig, "spool.mdb.aside-2", &images[1]);
    save(&rig, "spool.mdb.aside-3", &images[2]);
    open_rig(&rig, LAKE + 1);
    wait_for_salvage(&rig, 0);
    for (int route = LIVE; route <= LAKE; route++) {
        assert_int_equal(drain(&rig, route), SPOOLS * EACH);
        check_accounts(&rig, route);
    }
    close_rig(&rig);
    remove_rig(&rig);
}

/* FORMAT.md, "State". */
static void make_newer(struct image *image)
{
    enum { AT_FORMAT = 4, AT_CHECKSUM = 136, NEWER = 3 };
    unsigned count = 0;
    for (size_t at = 0; at + AT_CHECKSUM + 4 <= image->count; at++) {
        uint8_t *bytes = image->bytes + at;
        if (memcmp(bytes, "RNLS", 4) != 0)
            continue;
        bytes_put_le16(bytes + AT_FORMAT, NEWER);
        bytes_put_le32(bytes + AT_CHECKSUM, crc32c(0, bytes, AT_CHECKSUM));
        count++;
    }
    assert_true(count > 0);
}

static void test_a_newer_format_is_left_alone(void **state)
{
    (void)state;
    static struct rig rig;
    static struct image before;
    static struct image after;
    make_rig(&rig, SIZE);
    fill(&rig, RECORDS, 0);
    load(&rig, "spool.mdb", &before);
    make_newer(&before);
    save(&rig, "spool.mdb", &before);
    for (int start = 0; start < 2; start++) {
        open_rig(&rig, LAKE + 1);
        wait_for_salvage(&rig, 1);
        assert_int_equal(drain(&rig, LAKE), 0);
        close_rig(&rig);
        load(&rig, "spool.mdb.aside-1", &after);
        assert_int_equal(after.count, before.count);
        assert_memory_equal(after.bytes, before.bytes, before.count);
    }
    remove_rig(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_route_gets_what_it_is_owed),
        cmocka_unit_test(test_a_full_spool_and_a_crash_on_the_way),
        cmocka_unit_test(test_what_is_lost_is_told),
        cmocka_unit_test(test_three_files),
        cmocka_unit_test(test_a_newer_format_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
