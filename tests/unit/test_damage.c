/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/spool/scan.h"
#include "agent/spool/spool.h"
#include "agent/spool/store.h"
#include "platform/base/bytes.h"
#include "platform/base/error.h"
#include "platform/clock.h"
#include "tests/unit/folder.h"

/*
 * A spool file is damaged at random: bits, sectors of zeros or garbage, an end that is missing. A
 * process of its own then opens it, reads all, appends and stops: it must come to its end, what
 * it reads must be what was written, once, and of what was owed every record whose block is whole
 * must be there, be it from a file that was set aside, even where the names of its sensors are lost
 * in it, for they lie beside it once more. The file of each round comes from a stop that was clean
 * or not.
 *
 * usage: test_damage [ROUNDS [SEED]]. As a control, with the word blind, the file is not looked at
 * before LMDB gets it: some rounds must end in a crash. With the word nameless, ROUNDS are run
 * without the names beside the file: some must miss records.
 */
enum { SIZE = 512 * 1024, READINGS = 9000, DOCUMENTS = 12, DOCUMENT_BYTES = 9000, SECTOR = 512 };
/* How the process ends that opens a file; anything else is a crash. */
enum { READ = 40, SALVAGED, NOT_SALVAGED, UNKNOWN, ALTERED, STUCK, TWICE, MISSING };
enum { RECORDS = READINGS + DOCUMENTS };

static bool blind;
static bool nameless;
static unsigned rounds = 120;
static unsigned first_seed = 1;

int __real_store_verify(const char *path, char fault[VERIFY_FAULT_BYTES]);
int __wrap_store_verify(const char *path, char fault[VERIFY_FAULT_BYTES]);
int __wrap_store_verify(const char *path, char fault[VERIFY_FAULT_BYTES])
{
    return blind ? (access(path, F_OK) == 0 ? E_OK : E_NOT_FOUND)
                 : __real_store_verify(path, fault);
}

static void read_clock(void *context, struct spool_clock_reading *ret_reading)
{
    (void)context;
    *ret_reading =
        (struct spool_clock_reading){.boot_ms = clock_boot_ms(), .offset_ms = 1700000000000};
}

/* What the process that opens a file must find. */
static uint64_t written_id;
static bool must[RECORDS + 1];
static bool seen[RECORDS + 1];

struct rig {
    struct spool_options options;
    struct spool *spool;
    struct spool_route *route;
    uint32_t board, plc;
};

static void open_rig(struct rig *rig, const char *path)
{
    static const struct channel channels[] = {{.name = "n", .unit = "", .decimals = 1}};
    struct sensor_definition board = {
        .device = "gw", .name = "board", .channel_count = 1, .channels = channels};
    struct sensor_definition plc = {.device = "gw", .name = "plc"};
    struct spool_route_options route = {.name = "live", .lanes = {true, true, true}, .hold = true};
    char fault[SPOOL_FAULT_BYTES] = "";
    *rig = (struct rig){.options = {.path = path,
                                    .size_bytes = SIZE,
                                    .device = "gw",
                                    .wait_ms = 1,
                                    .ack_window_ms = 3600000,
                                    .ack_window_records = 1000000,
                                    .clock = read_clock}};
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        rig->options.lanes[lane] =
            (struct spool_lane_options){.window_ms = 3600000, .age_ms = 3600000};
    if (spool_open(&rig->options, fault, &rig->spool) != 0)
        fail_msg("%s", fault);
    assert_int_equal(spool_define_sensor(rig->spool, &board, &rig->board), 0);
    assert_int_equal(spool_define_sensor(rig->spool, &plc, &rig->plc), 0);
    assert_int_equal(spool_route_open(rig->spool, &route, &rig->route), 0);
    assert_int_equal(spool_start(rig->spool), 0);
}

static uint8_t byte_of(uint64_t sequence, size_t at)
{
    return (uint8_t)('a' + (sequence + at) % 23);
}

static int append(struct rig *rig, enum lane lane, uint64_t sequence, size_t document_bytes)
{
    static uint8_t document[DOCUMENT_BYTES];
    struct sample sample = {.boot_ms = clock_boot_ms(), .value_count = 1};
    sample.values[0] =
        (struct value){.kind = VALUE_DECIMAL, .decimals = 1, .mantissa = (int64_t)sequence};
    for (size_t i = 0; i < document_bytes; i++)
        document[i] = byte_of(sequence, i);
    if (document_bytes > 0)
        sample.document = document;
    sample.document_bytes = document_bytes;
    struct spool_append request = {.lane = lane,
                                   .sensor = document_bytes > 0 ? rig->plc : rig->board,
                                   .sample = &sample,
                                   .deadline_ms = clock_mono_ms() + 20000};
    uint64_t given;
    return spool_append(rig->spool, &request, &given);
}

/* ---- the sound file ---- */

static void acknowledge_some(struct rig *rig)
{
    static struct spool_reader reader;
    struct record record;
    uint64_t previous;
    for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
        spool_reader_start(&reader, rig->route, lane);
        for (int i = 0; i < 900 && spool_reader_next(&reader, &record, &previous) == 0; i++)
            if (i % 100 != 99)
                spool_route_ack(rig->route, lane, &(struct spool_mark){record.sequence, previous},
                                1, SPOOL_DELIVERED);
    }
}

static void make_sound(const char *path, bool clean)
{
    struct rig rig;
    open_rig(&rig, path);
    uint64_t sequence = 1;
    for (; sequence <= READINGS; sequence++) {
        assert_int_equal(append(&rig, (enum lane)(sequence % LANE_COUNT), sequence, 0), 0);
        if (sequence == READINGS / 2)
            acknowledge_some(&rig);
        if (sequence % 1000 == 0)
            spool_commit_soon(rig.spool);
    }
    for (int i = 0; i < DOCUMENTS; i++, sequence++)
        assert_int_equal(append(&rig, LANE_NORMAL, sequence, DOCUMENT_BYTES), 0);
    if (clean)
        assert_int_equal(spool_stop(rig.spool, clock_mono_ms() + 20000), 0);
    if (clean)
        spool_close(rig.spool);
    else
        spool_abandon(rig.spool);
}

/* ---- the process that opens it ---- */

static int check_record(struct spool_reader *reader, const struct record *record)
{
    uint64_t sequence = record->identity.sequence;
    if (sequence > RECORDS || record->identity.spool_id != written_id)
        return UNKNOWN;
    if (seen[sequence])
        return TWICE;
    seen[sequence] = true;
    if (record->document_bytes == 0)
        return record->values[0].mantissa == (int64_t)sequence ? 0 : ALTERED;
    const uint8_t *piece = record->document;
    size_t bytes = record->document_piece_bytes;
    size_t at = 0;
    int rc;
    do {
        for (size_t i = 0; i < bytes; i++)
            if (piece[i] != byte_of(sequence, at + i))
                return ALTERED;
        at += bytes;
    } while ((rc = spool_reader_piece(reader, &piece, &bytes)) == 0);
    return rc == E_DAMAGED || at == record->document_bytes ? 0 : ALTERED;
}

static int read_lane(struct rig *rig, enum lane lane)
{
    static struct spool_reader reader;
    struct record record;
    uint64_t previous;
    int rc;
    spool_reader_start(&reader, rig->route, lane);
    while ((rc = spool_reader_next(&reader, &record, &previous)) != E_END) {
        int fault = rc == 0 ? check_record(&reader, &record) : 0;
        if (fault != 0)
            return fault;
    }
    return 0;
}

static int read_all(struct rig *rig)
{
    memset(seen, 0, sizeof seen);
    for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
        int fault = read_lane(rig, lane);
        if (fault != 0)
            return fault;
    }
    return 0;
}

static void fetch_status(struct rig *rig, struct spool_status *ret_status)
{
    (void)sched_yield();
    spool_get_status(rig->spool, ret_status);
}

/* Returns how the file was dealt with: what cannot be searched ends without being removed. */
static int wait_for_salvage(struct rig *rig)
{
    struct spool_status status;
    fetch_status(rig, &status);
    if (status.aside == 0)
        return READ;
    while (status.salvaging)
        fetch_status(rig, &status);
    return status.aside == 0 ? SALVAGED : NOT_SALVAGED;
}

static int use(struct rig *rig)
{
    int how = wait_for_salvage(rig);
    int fault = read_all(rig);
    if (fault != 0)
        return fault;
    for (uint64_t i = 1; i <= RECORDS && !blind; i++)
        if (must[i] && !seen[i])
            return MISSING;
    for (uint64_t i = 0; i < 100; i++)
        if (append(rig, LANE_NORMAL, 1, 0) != 0)
            return STUCK;
    return how;
}

/* Its threads end before the process, whatever was found: that they do not is a finding of its own
 * to the thread sanitizer. */
static int open_damaged(const char *path)
{
    struct rig rig;
    (void)alarm(blind ? 5 : 60); /* a loop without end counts as a crash */
    open_rig(&rig, path);
    int code = use(&rig);
    (void)spool_stop(rig.spool, clock_mono_ms() + 20000);
    spool_close(rig.spool);
    return code;
}

/* ---- what must be found ---- */

/* Where the blocks of the sound file lie, at their latest; stale versions of them, too. */
struct places {
    struct {
        uint64_t offset;
        size_t bytes;
        uint16_t fragment_count;
    } of[RECORDS + 1][3]; /* by sequence and fragment */
    const uint8_t *bytes;
};

static void note_block(struct places *places, const struct block_header *header, uint64_t offset)
{
    struct record_frame frame = {.previous_sequence = header->first_sequence - 1,
                                 .previous_boot_ms = header->base_boot_ms};
    size_t position = BLOCK_HEADER_BYTES;
    struct record record = {.sequence = header->first_sequence};
    for (uint16_t n = 0; n < header->record_count || (n == 0 && header->fragment > 0); n++) {
        if (header->fragment == 0) {
            int count = record_decode(places->bytes + offset + position,
                                      block_bytes(header) - position, &frame, &record);
            assert_true(count > 0);
            position += (size_t)count;
            frame.previous_sequence = record.sequence;
            frame.previous_boot_ms = record.boot_ms;
        }
        if (places->of[record.sequence][header->fragment].bytes >= block_bytes(header))
            continue;
        places->of[record.sequence][header->fragment].offset = offset;
        places->of[record.sequence][header->fragment].bytes = block_bytes(header);
        places->of[record.sequence][header->fragment].fragment_count = header->fragment_count;
    }
}

static void on_block(void *context, const struct block_header *header, uint64_t offset)
{
    note_block(context, header, offset);
}

static void on_seal(void *context, const struct seal *seal)
{
    (void)context;
    (void)seal;
}

static void on_state(void *context, const uint8_t *bytes, size_t count)
{
    (void)context;
    (void)bytes;
    (void)count;
}

static void on_newer(void *context)
{
    (void)context;
}

/* ---- damaging ---- */

struct image {
    uint8_t *bytes;
    size_t count;
    bool owed[RECORDS + 1];
    struct places places;
    uint64_t id;
    struct {
        uint8_t *bytes;
        size_t count;
    } names; /* what lies beside it */
};

static void find_places(struct image *image, size_t length)
{
    const struct scan_visitor visitor = {.block = on_block,
                                         .newer = on_newer,
                                         .seal = on_seal,
                                         .state = on_state,
                                         .context = &image->places};
    memset(&image->places, 0, sizeof image->places);
    image->places.bytes = image->bytes;
    (void)scan_bytes(image->bytes, length, length, 0, &visitor);
}

/* Whether the damage left the record's blocks alone. */
static bool is_whole(const struct image *sound, const struct image *damaged, size_t length,
                     uint64_t sequence)
{
    for (uint16_t i = 0; i < sound->places.of[sequence][0].fragment_count; i++) {
        uint64_t offset = sound->places.of[sequence][i].offset;
        size_t bytes = sound->places.of[sequence][i].bytes;
        if (offset + bytes > length ||
            memcmp(sound->bytes + offset, damaged->bytes + offset, bytes) != 0)
            return false;
    }
    return true;
}

static uint8_t *read_file(const char *path, size_t *ret_count)
{
    struct stat status;
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &status), 0);
    uint8_t *bytes = malloc((size_t)status.st_size);
    assert_non_null(bytes);
    assert_int_equal(read(fd, bytes, (size_t)status.st_size), (ssize_t)status.st_size);
    (void)close(fd);
    *ret_count = (size_t)status.st_size;
    return bytes;
}

static void read_image(const char *path, const char *names, struct image *ret_image)
{
    ret_image->bytes = read_file(path, &ret_image->count);
    ret_image->names.bytes = read_file(names, &ret_image->names.count);
}

/* Where something lies: damage to zeros that nobody reads shows nothing. */
static size_t place(const struct image *image, unsigned *seed)
{
    for (;;) {
        size_t at = (size_t)rand_r(seed) % image->count;
        size_t sector = at / SECTOR * SECTOR;
        for (size_t i = sector; i < sector + SECTOR; i++)
            if (image->bytes[i] != 0)
                return at;
    }
}

/* The magic of everything that names a sensor. */
static void lose_names(struct image *image)
{
    struct seal seal;
    for (size_t at = 0; at < image->count; at++)
        if (seal_open(image->bytes + at, image->count - at, &seal) == 0 && seal.key_bytes > 0 &&
            seal.key[0] == STORE_DICTIONARY)
            image->bytes[at] = 0;
}

/* A place in what LMDB follows: the beginning of a meta, a branch, a leaf. It is a small part of a
 * file, and has no checksums. */
static size_t place_in_tree(const struct image *image, unsigned *seed)
{
    enum { PAGE = 4096, AT_FLAGS = sizeof(size_t) + 2, META_END = 200 };
    enum { BRANCH = 1, LEAF = 2, META = 8 };
    for (;;) {
        size_t at = place(image, seed);
        unsigned flags = image->bytes[at / PAGE * PAGE + AT_FLAGS];
        if ((flags & (BRANCH | LEAF)) != 0 || ((flags & META) != 0 && at % PAGE < META_END))
            return at;
    }
}

static size_t damage(struct image *image, unsigned *seed)
{
    size_t length = image->count;
    unsigned kind = (unsigned)rand_r(seed) % 8;
    if ((unsigned)rand_r(seed) % 16 == 0)
        lose_names(image);
    unsigned times = 1 + (unsigned)rand_r(seed) % 3;
    if (kind == 0)
        return (size_t)rand_r(seed) % length; /* the length that is left */
    for (unsigned i = 0; i < times; i++) {
        size_t at = kind < 3 ? place_in_tree(image, seed) : place(image, seed);
        if (kind < 4) {
            image->bytes[at] ^= (uint8_t)(1U << (unsigned)rand_r(seed) % 8);
            continue;
        }
        at = at / SECTOR * SECTOR;
        for (size_t b = 0; b < SECTOR; b++)
            image->bytes[at + b] = kind < 6 ? 0 : (uint8_t)rand_r(seed);
    }
    return length;
}

static void write_file(const char *path, const uint8_t *bytes, size_t count)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, count), (ssize_t)count);
    (void)close(fd);
}

/* Not spawned: an emulator of another machine could not. There is one thread when it forks. */
static int run_child(const char *path)
{
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int fd = open("/dev/null", O_WRONLY);
        (void)dup2(fd, STDERR_FILENO);
        (void)dup2(fd, STDOUT_FILENO);
        _exit(open_damaged(path));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void note_owed(const char *path, struct image *image)
{
    struct rig rig;
    uint8_t id[SPOOL_ID_BYTES];
    open_rig(&rig, path);
    spool_get_id(rig.spool, id);
    image->id = written_id = bytes_get_be64(id);
    assert_int_equal(read_all(&rig), 0);
    memcpy(image->owed, seen, sizeof seen);
    spool_abandon(rig.spool);
}

struct tally {
    unsigned read, salvaged, not_salvaged, crashes, missing;
};

static void one_round(const struct image *sound, const char *path, unsigned seed,
                      struct tally *tally)
{
    char file[200];
    char names[200];
    unsigned random = seed;
    static struct image image;
    image.bytes = malloc(sound->count);
    image.count = sound->count;
    assert_non_null(image.bytes);
    memcpy(image.bytes, sound->bytes, sound->count);
    (void)snprintf(file, sizeof file, "%s/spool.mdb", path);
    (void)snprintf(names, sizeof names, "%s/spool.mdb.names", path);
    folder_empty(path);
    size_t length = damage(&image, &random);
    write_file(file, image.bytes, length);
    if (!nameless)
        write_file(names, sound->names.bytes, sound->names.count);
    find_places(&image, length);
    for (uint64_t i = 1; i <= RECORDS; i++)
        must[i] = sound->owed[i] && is_whole(sound, &image, length, i);
    free(image.bytes);
    int code = run_child(path);
    tally->read += code == READ;
    tally->salvaged += code == SALVAGED;
    tally->not_salvaged += code == NOT_SALVAGED;
    tally->crashes += code < READ || code > MISSING;
    tally->missing += code == MISSING;
    if ((code < READ || code > MISSING) && !blind)
        print_message("seed %u: the process ended with %d\n", seed, code);
    if (code != READ && code != SALVAGED && code != NOT_SALVAGED && !blind && !nameless)
        fail_msg("seed %u: the process ended with %d", seed, code);
}

static void test_damaged_files(void **state)
{
    (void)state;
    char path[] = "/tmp/runnel-damage-XXXXXX";
    char file[200];
    char names[200];
    static struct image sound[2];
    struct tally tally = {0};
    assert_non_null(mkdtemp(path));
    (void)snprintf(file, sizeof file, "%s/spool.mdb", path);
    (void)snprintf(names, sizeof names, "%s/spool.mdb.names", path);
    for (int clean = 0; clean < 2; clean++) {
        folder_empty(path);
        make_sound(path, clean != 0);
        read_image(file, names, &sound[clean]);
        find_places(&sound[clean], sound[clean].count);
        note_owed(path, &sound[clean]);
    }
    for (unsigned i = 0; i < rounds && !(blind && tally.crashes > 0); i++) {
        unsigned seed = first_seed + i;
        written_id = sound[seed % 2].id;
        one_round(&sound[seed % 2], path, seed, &tally);
    }
    print_message("%u files: %u read, %u salvaged, %u not salvaged, %u crashes, %u with records "
                  "missing\n",
                  rounds, tally.read, tally.salvaged, tally.not_salvaged, tally.crashes,
                  tally.missing);
    for (int clean = 0; clean < 2; clean++) {
        free(sound[clean].bytes);
        free(sound[clean].names.bytes);
    }
    folder_empty(path);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(tally.crashes, 0);
    assert_int_equal(tally.missing, 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_damaged_files),
    };
    blind = argc > 1 && strcmp(argv[argc - 1], "blind") == 0;
    nameless = argc > 1 && strcmp(argv[argc - 1], "nameless") == 0;
    if (blind)
        rounds = 3000; /* the first crash ends it: one file in some sixty does it */
    if (argc > 1 && !blind)
        rounds = (unsigned)strtoul(argv[1], NULL, 10);
    if (argc > 2 && !blind)
        first_seed = (unsigned)strtoul(argv[2], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
