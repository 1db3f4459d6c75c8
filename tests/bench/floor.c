/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the work of the agent costs at the least, on this machine: the same bytes through nothing
 * but what has to be done with them, by the same libraries. budget.py holds the agent against it.
 *
 * usage: floor tls DATA_BYTES BODY_BYTES [PLAIN_FILE ENTRIES]
 *        floor append DIRECTORY RECORDS ROUNDS
 *        floor commit DIRECTORY RECORDS ROUNDS
 *
 * tls: DATA_BYTES through base64 and through MD5, BODY_BYTES through SHA-256 and through
 * AES-128-GCM, a TLS record of 4 KB each; PLAIN_FILE through gzip, in ENTRIES members.
 * append: RECORDS readings and RECORDS documents of 180 bytes go into the spool, each until all are
 * committed; against memcpy and CRC-32C of what they are encoded. The floor's turn is ROUNDS times
 * as long, since it is so short.
 * commit: RECORDS readings a commit, against write and fdatasync of as many pages into a file
 * beside, by turns, ROUNDS of each.
 *
 * Prints name=value pairs: CPU time of the process in microseconds (cpu_us), time that passed in
 * microseconds (us).
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <mbedtls/gcm.h>

#include "agent/spool/spool.h"
#include "platform/base/base64.h"
#include "platform/base/crc32c.h"
#include "platform/base/log.h"
#include "platform/clock.h"
#include "platform/gzip.h"
#include "platform/hash.h"
#include "platform/stop.h"
#include "tests/bench/commit_now.h"

enum {
    MIB = 1024 * 1024,
    PIECE_BYTES = 4096, /* of a body, and of a TLS record: as the agent cuts them */
    PAGE_BYTES = 4096,
    DOCUMENT_BYTES = 180,
    WAIT_MS = 600000,
    ROUNDS_MAX = 1000,
    TAG_BYTES = 16,
    IV_BYTES = 12,
};

struct floor_run {
    struct spool *spool;
    uint32_t board;
    uint32_t plc;
    int event_fd;
    uint64_t appended;
};

static void expect(bool holds, const char *what)
{
    if (holds)
        return;
    (void)fprintf(stderr, "floor: %s\n", what);
    exit(1);
}

static int64_t us_of(struct timeval time)
{
    return (int64_t)time.tv_sec * 1000000 + time.tv_usec;
}

static int64_t cpu_us(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return us_of(usage.ru_utime) + us_of(usage.ru_stime);
}

static int64_t mono_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static const uint8_t *noise(void)
{
    static uint8_t bytes[PIECE_BYTES];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 2654435761u >> 13);
    return bytes;
}

/* ---- from the spool to TLS ---- */

static int drop(void *context, const uint8_t *bytes, size_t count)
{
    (void)context;
    (void)bytes;
    (void)count;
    return 0;
}

static void encode(uint64_t left)
{
    static uint8_t buffer[PIECE_BYTES];
    struct base64 base64;
    struct writer out;
    const uint8_t *bytes = noise();
    writer_to_function(&out, buffer, sizeof buffer, drop, NULL);
    base64_start(&base64);
    for (; left > 0; left -= left < PIECE_BYTES ? left : PIECE_BYTES)
        base64_add(&base64, bytes, left < PIECE_BYTES ? (size_t)left : PIECE_BYTES, &out);
    base64_finish(&base64, &out);
    expect(writer_finish(&out) == 0, "base64 fails");
}

static void hash(uint64_t left)
{
    struct hash_sha256 running;
    uint8_t sha256[HASH_SHA256_BYTES];
    const uint8_t *bytes = noise();
    hash_sha256_start(&running);
    for (; left > 0; left -= left < PIECE_BYTES ? left : PIECE_BYTES)
        hash_sha256_add(&running, bytes, left < PIECE_BYTES ? (size_t)left : PIECE_BYTES);
    hash_sha256_finish(&running, sha256);
}

static void digest(uint64_t left)
{
    struct hash_md5 running;
    uint8_t md5[HASH_MD5_BYTES];
    const uint8_t *bytes = noise();
    hash_md5_start(&running);
    for (; left > 0; left -= left < PIECE_BYTES ? left : PIECE_BYTES)
        hash_md5_add(&running, bytes, left < PIECE_BYTES ? (size_t)left : PIECE_BYTES);
    hash_md5_finish(&running, md5);
}

static void encrypt(uint64_t left)
{
    static uint8_t out[PIECE_BYTES];
    static const uint8_t key[16] = "0123456789abcde";
    mbedtls_gcm_context gcm;
    uint8_t tag[TAG_BYTES];
    uint8_t iv[IV_BYTES] = {0};
    const uint8_t *bytes = noise();
    mbedtls_gcm_init(&gcm);
    expect(mbedtls_gcm_setkey(&gcm, MBEDTLS_CIPHER_ID_AES, key, 128) == 0, "no AES-GCM");
    for (; left > 0; left -= left < PIECE_BYTES ? left : PIECE_BYTES) {
        iv[0]++;
        int rc = mbedtls_gcm_crypt_and_tag(&gcm, MBEDTLS_GCM_ENCRYPT,
                                           left < PIECE_BYTES ? (size_t)left : PIECE_BYTES, iv,
                                           sizeof iv, iv, sizeof iv, bytes, out, sizeof tag, tag);
        expect(rc == 0, "AES-GCM fails");
    }
    mbedtls_gcm_free(&gcm);
}

static void compress(const char *path, uint64_t entries)
{
    static uint8_t piece[PIECE_BYTES];
    struct gzip *gzip = NULL;
    FILE *file = fopen(path, "rbe");
    expect(file != NULL && gzip_open(&gzip) == 0, "nothing to compress");
    (void)fseek(file, 0, SEEK_END);
    uint64_t each = (uint64_t)ftell(file) / (entries > 0 ? entries : 1) + 1;
    rewind(file);
    uint64_t in_entry = 0;
    gzip_start(gzip, drop, NULL);
    for (size_t got; (got = fread(piece, 1, sizeof piece, file)) > 0;) {
        expect(gzip_add(gzip, piece, got) == 0, "gzip fails");
        in_entry += got;
        if (in_entry < each)
            continue;
        expect(gzip_finish(gzip) == 0, "gzip fails");
        gzip_start(gzip, drop, NULL);
        in_entry = 0;
    }
    expect(gzip_finish(gzip) == 0, "gzip fails");
    gzip_close(gzip);
    (void)fclose(file);
}

static int run_tls(int count, char **arguments)
{
    int64_t start_us = cpu_us();
    encode(strtoull(arguments[0], NULL, 10));
    int64_t encoded_us = cpu_us();
    hash(strtoull(arguments[1], NULL, 10));
    int64_t hashed_us = cpu_us();
    encrypt(strtoull(arguments[1], NULL, 10));
    int64_t encrypted_us = cpu_us();
    digest(strtoull(arguments[0], NULL, 10));
    int64_t digested_us = cpu_us();
    if (count == 4)
        compress(arguments[2], strtoull(arguments[3], NULL, 10));
    (void)printf("base64_cpu_us=%" PRId64 " sha256_cpu_us=%" PRId64 " gcm_cpu_us=%" PRId64
                 " md5_cpu_us=%" PRId64 " gzip_cpu_us=%" PRId64 "\n",
                 encoded_us - start_us, hashed_us - encoded_us, encrypted_us - hashed_us,
                 digested_us - encrypted_us, cpu_us() - digested_us);
    return 0;
}

/* ---- a spool ---- */

static void read_clock(void *context, struct spool_clock_reading *ret_reading)
{
    (void)context;
    *ret_reading = (struct spool_clock_reading){
        .boot_ms = clock_boot_ms(), .offset_ms = 1700000000000, .quality = TIME_SYNCED};
}

static void define_sensors(struct floor_run *run)
{
    static const struct channel channels[] = {
        {.name = "temp", .unit = "Cel", .decimals = 2},
        {.name = "hum", .unit = "%RH", .decimals = 2},
        {.name = "volt", .unit = "V", .decimals = 2},
    };
    static const struct sensor_definition board = {
        .device = "gw", .name = "board", .channel_count = 3, .channels = channels};
    static const struct sensor_definition plc = {.device = "gw", .name = "plc"};
    expect(spool_define_sensor(run->spool, &board, &run->board) == 0, "no sensor");
    expect(spool_define_sensor(run->spool, &plc, &run->plc) == 0, "no sensor");
}

/* One that holds, which takes nothing: all that comes is for flash. */
static void open_spool(struct floor_run *run, const char *path)
{
    const struct spool_options options = {
        .path = path,
        .size_bytes = 128 * MIB,
        .device = "gw",
        .wait_ms = 1000,
        .ack_window_ms = 30000,
        .ack_window_records = 10000,
        .clock = read_clock,
        .lanes = {[LANE_NORMAL] = {.full = SPOOL_REFUSE, .window_ms = WAIT_MS, .age_ms = WAIT_MS}}};
    const struct spool_route_options route_options = {
        .name = "live", .lanes = {true, true, true}, .hold = true};
    struct spool_route *route;
    char fault[SPOOL_FAULT_BYTES] = "";
    expect(spool_open(&options, fault, &run->spool) == 0, fault);
    define_sensors(run);
    expect(spool_route_open(run->spool, &route_options, &route) == 0, "a route does not open");
    expect(spool_start(run->spool) == 0, "the spool does not start");
}

static struct sample make_sample(const struct floor_run *run, bool document)
{
    static char text[DOCUMENT_BYTES + 1];
    uint64_t n = run->appended;
    struct sample sample = {.boot_ms = clock_boot_ms()};
    if (document) {
        (void)snprintf(text, sizeof text, "{\"id\":%010" PRIu64 ",\"note\":\"%0*d\"}", n,
                       DOCUMENT_BYTES - 28, 0);
        sample.document = (const uint8_t *)text;
        sample.document_bytes = strlen(text);
        return sample;
    }
    sample.value_count = 3;
    for (size_t i = 0; i < 3; i++)
        sample.values[i] = (struct value){.kind = VALUE_DECIMAL, .decimals = 2};
    sample.values[0].mantissa = 1800 + (int64_t)(n % 700);
    sample.values[1].mantissa = 4200 + (int64_t)(n * 7 % 1500);
    sample.values[2].mantissa = 1190 + (int64_t)(n * 3 % 60);
    return sample;
}

static uint64_t append(struct floor_run *run, bool document)
{
    struct sample sample = make_sample(run, document);
    uint64_t sequence;
    const struct spool_append what = {.lane = LANE_NORMAL,
                                      .sensor = document ? run->plc : run->board,
                                      .sample = &sample,
                                      .deadline_ms = clock_mono_ms() + WAIT_MS};
    expect(spool_append(run->spool, &what, &sequence) == 0, "a record is not taken");
    run->appended++;
    return sequence;
}

static struct spool_status status_of(const struct floor_run *run)
{
    struct spool_status status;
    spool_get_status(run->spool, &status);
    return status;
}

static void append_all(struct floor_run *run, uint64_t count, bool document)
{
    uint64_t sequence = 0;
    for (uint64_t i = 0; i < count; i++)
        sequence = append(run, document);
    commit_now(run->spool, run->event_fd, sequence);
}

/* ---- append ---- */

/* BYTES copied and checked a block at a time. */
static uint32_t copy_and_check(uint64_t bytes)
{
    static uint8_t block[PIECE_BYTES];
    const uint8_t *from = noise();
    uint32_t crc = 0;
    for (uint64_t done = 0; done < bytes; done += PIECE_BYTES) {
        memcpy(block, from, sizeof block);
        block[0] = (uint8_t)done;
        crc = crc32c(crc, block, sizeof block);
    }
    return crc;
}

static void measure_append(struct floor_run *run, bool document, uint64_t records, int rounds)
{
    uint64_t stored = status_of(run).lanes[LANE_NORMAL].stored_bytes;
    int64_t cpu = cpu_us(), start = mono_us();
    append_all(run, records, document);
    int64_t append_us = mono_us() - start, append_cpu_us = cpu_us() - cpu;
    uint64_t bytes = status_of(run).lanes[LANE_NORMAL].stored_bytes - stored;
    uint32_t crc = 0;
    cpu = cpu_us();
    for (int i = 0; i < rounds; i++)
        crc ^= copy_and_check(bytes);
    (void)printf("document=%d records=%" PRIu64 " bytes=%" PRIu64 " us=%" PRId64 " cpu_us=%" PRId64
                 " floor_cpu_us=%.1f crc=%" PRIu32 "\n",
                 document, records, bytes, append_us, append_cpu_us,
                 (double)(cpu_us() - cpu) / rounds, crc);
}

/* ---- commit ---- */

static int order(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return a < b ? -1 : a > b;
}

static int64_t write_pages(int fd, const uint8_t *pages, size_t bytes)
{
    int64_t start = mono_us();
    expect(pwrite(fd, pages, bytes, 0) == (ssize_t)bytes, "the file beside cannot be written");
    expect(fdatasync(fd) == 0, "fdatasync fails");
    return mono_us() - start;
}

static int open_beside(const char *directory)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/beside", directory);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    expect(fd >= 0, "the file beside cannot be made");
    return fd;
}

static void measure_commits(struct floor_run *run, const char *directory, uint64_t records,
                            int rounds)
{
    static int64_t spool_us[ROUNDS_MAX], floor_us[ROUNDS_MAX];
    static uint8_t pages[4 * MIB];
    int fd = open_beside(directory);
    (void)write_pages(fd, pages, sizeof pages); /* allocated: later there is only data to write */
    struct spool_status before = status_of(run);
    for (int i = 0; i < rounds; i++) {
        uint64_t written = status_of(run).flash_bytes, sequence = 0;
        for (uint64_t n = 0; n < records; n++)
            sequence = append(run, false);
        int64_t start = mono_us();
        commit_now(run->spool, run->event_fd, sequence);
        spool_us[i] = mono_us() - start;
        written = status_of(run).flash_bytes - written;
        expect(written <= sizeof pages, "a commit is too large");
        floor_us[i] = write_pages(fd, pages, (size_t)written);
    }
    qsort(spool_us, (size_t)rounds, sizeof *spool_us, order);
    qsort(floor_us, (size_t)rounds, sizeof *floor_us, order);
    (void)printf("records=%" PRIu64 " bytes=%" PRIu64 " us=%" PRId64 " floor_us=%" PRId64 "\n",
                 records,
                 (status_of(run).flash_bytes - before.flash_bytes) / (unsigned)rounds / PAGE_BYTES *
                     PAGE_BYTES,
                 spool_us[rounds / 2], floor_us[rounds / 2]);
    (void)close(fd);
}

static int run_spool(bool commits, char **arguments)
{
    struct floor_run run = {.spool = NULL};
    uint64_t records = strtoull(arguments[1], NULL, 10);
    int rounds = (int)strtol(arguments[2], NULL, 10);
    expect(rounds > 0 && rounds <= ROUNDS_MAX, "no such number of rounds");
    expect(stop_event_open(&run.event_fd) == 0, "no eventfd");
    open_spool(&run, arguments[0]);
    append_all(&run, 1, false);
    if (commits)
        measure_commits(&run, arguments[0], records, rounds);
    for (int document = 0; !commits && document <= 1; document++)
        measure_append(&run, document != 0, records, rounds);
    spool_abandon(run.spool);
    (void)close(run.event_fd);
    return 0;
}

int main(int argc, char **argv)
{
    log_set_level(LOG_LEVEL_ERROR);
    if ((argc == 4 || argc == 6) && strcmp(argv[1], "tls") == 0)
        return run_tls(argc - 2, argv + 2);
    if (argc == 5 && (strcmp(argv[1], "append") == 0 || strcmp(argv[1], "commit") == 0))
        return run_spool(strcmp(argv[1], "commit") == 0, argv + 2);
    (void)fprintf(stderr, "usage: floor tls|append|commit ...\n");
    return 2;
}
