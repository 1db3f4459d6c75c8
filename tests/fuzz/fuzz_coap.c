/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Datagrams on their way to the spool: libcoap's reading, the door, what is handed in, the spool's
 * head, and out again by a route. An input is a row of datagrams, each behind a byte that says
 * which of four peers sends it and two with its length; the last may be cut.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/intake/coap_door_state.h"
#include "agent/spool/spool.h"
#include "platform/base/bytes.h"
#include "platform/base/error.h"
#include "platform/base/log.h"
#include "platform/base/utf8.h"
#include "platform/clock.h"
#include "platform/json/json_scan.h"
#include "tests/fuzz/fuzz.h"

enum {
    PEERS = 4,
    HEAD_BYTES = 3,
    DATAGRAM_BYTES = 2048,
    ANSWER_BYTES = 2048,
    DOCUMENT_BYTES = 8192,
    SPOOL_BYTES = 1024 * 1024,
    HOUR_MS = 3600000,
    RUNS_OF_ONE = 5000, /* the spool's dictionary only grows */
    PATH_BYTES = 64,
};

struct rig {
    char path[PATH_BYTES];
    struct spool *spool;
    struct spool_route *route;
    struct spool_reader reader;
    struct handin *handin;
    struct coap_door *door;
    int peers[PEERS];
    unsigned runs;
};

__attribute__((noinline)) static void require(bool holds)
{
    if (!holds)
        abort();
}

/* ---- opening ---- */

static bool knows_time(void *context)
{
    (void)context;
    return true;
}

static void read_clock(void *context, struct spool_clock_reading *ret_reading)
{
    (void)context;
    *ret_reading = (struct spool_clock_reading){
        .boot_ms = clock_boot_ms(), .offset_ms = 1700000000000, .quality = TIME_SYNCED};
}

static void write_status(void *context, struct writer *out)
{
    (void)context;
    writer_text(out, "{}");
}

static void open_spool(struct rig *rig)
{
    char fault[SPOOL_FAULT_BYTES];
    struct spool_options options = {.path = rig->path,
                                    .size_bytes = SPOOL_BYTES,
                                    .device = "gw",
                                    .wait_ms = HOUR_MS,
                                    .ack_window_ms = HOUR_MS,
                                    .ack_window_records = 1000000,
                                    .clock = read_clock};
    const struct spool_route_options route = {
        .name = "live", .lanes = {true, true, true}, .hold = true};
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        options.lanes[lane] = (struct spool_lane_options){.window_ms = HOUR_MS, .age_ms = HOUR_MS};
    require(spool_open(&options, fault, &rig->spool) == 0);
    require(spool_route_open(rig->spool, &route, &rig->route) == 0);
}

static void open_handin(struct rig *rig)
{
    static const unsigned json[] = {PAYLOAD_JSON, PAYLOAD_CBOR};
    static const struct validate_member members[] = {
        {.name = "rpm",
         .type = VALIDATE_INTEGER,
         .required = true,
         .max = {true, {.mantissa = 3000}}},
        {.name = "a.b", .type = VALIDATE_TEXT},
    };
    static const struct handin_sensor sensors[] = {
        {.name = "any", .lane = LANE_NORMAL, .lanes = {true, true, true}},
        {.name = "strict",
         .formats = json,
         .format_count = 2,
         .bytes_max = 64,
         .lane = LANE_BULK,
         .rules = {.members = members, .member_count = 2, .refuses_unknown = true}},
    };
    const struct handin_options options = {.sensors = sensors,
                                           .sensor_count = 2,
                                           .device = "gw",
                                           .spool = rig->spool,
                                           .carries = {true, true, true},
                                           .document_bytes_max = DOCUMENT_BYTES,
                                           .knows_time = knows_time,
                                           .clock = read_clock};
    require(handin_open(&options, &rig->handin) == 0);
}

static void open_door(struct rig *rig)
{
    char fault[COAP_DOOR_FAULT_BYTES];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof address;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    require(bind(fd, (struct sockaddr *)&address, bytes) == 0);
    require(getsockname(fd, (struct sockaddr *)&address, &bytes) == 0);
    (void)close(fd);
    const struct coap_door_options options = {
        .listens = {{"127.0.0.1", ntohs(address.sin_port), false}},
        .listen_count = 1,
        .document_bytes_max = DOCUMENT_BYTES,
        .handin = rig->handin,
        .spool = rig->spool,
        .knows_time = knows_time,
        .clock = read_clock,
        .write_status = write_status};
    require(coap_door_open(&options, fault, &rig->door) == 0);
    for (int i = 0; i < PEERS; i++) {
        rig->peers[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        require(connect(rig->peers[i], (struct sockaddr *)&address, bytes) == 0);
    }
}

static void remove_files(const struct rig *rig)
{
    static const char *const names[] = {"spool.mdb", "spool.mdb-lock", "lock"};
    char path[PATH_BYTES + 16];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", rig->path, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(rig->path);
}

static void open_rig(struct rig *rig)
{
    log_set_level(LOG_LEVEL_ERROR);
    (void)snprintf(rig->path, sizeof rig->path, "/dev/shm/runnel-fuzz-XXXXXX");
    if (mkdtemp(rig->path) == NULL) {
        (void)snprintf(rig->path, sizeof rig->path, "/tmp/runnel-fuzz-XXXXXX");
        require(mkdtemp(rig->path) != NULL);
    }
    open_spool(rig);
    open_handin(rig);
    open_door(rig);
    rig->runs = 0;
}

static void close_rig(struct rig *rig)
{
    coap_door_close(rig->door);
    for (int i = 0; i < PEERS; i++)
        (void)close(rig->peers[i]);
    handin_close(rig->handin);
    spool_close(rig->spool);
    remove_files(rig);
}

/* ---- what arrived ---- */

static int on_token(void *context, const struct json_token *token)
{
    (void)context;
    (void)token;
    return 0;
}

static void check_document(struct rig *rig, const struct record *record)
{
    const uint8_t *piece = record->document;
    size_t piece_bytes = record->document_piece_bytes;
    struct json_scan scan;
    json_scan_start(&scan, on_token, NULL);
    do
        require(json_scan_feed(&scan, piece, piece_bytes) == 0);
    while (spool_reader_piece(&rig->reader, &piece, &piece_bytes) == E_OK);
    require(json_scan_end(&scan) == 0);
}

static void check_values(const struct record *record)
{
    for (size_t i = 0; i < record->value_count; i++) {
        const struct value *value = &record->values[i];
        for (size_t at = 0; value->kind == VALUE_TEXT && at < value->text_bytes;) {
            size_t bytes =
                utf8_character_bytes((const uint8_t *)value->text + at, value->text_bytes - at);
            require(bytes > 0);
            at += bytes;
        }
        if (value->kind == VALUE_FLOAT64)
            require((value->float64_bits >> 52 & 0x7ff) != 0x7ff);
    }
}

static void take_lane(struct rig *rig, enum lane lane)
{
    struct record record;
    struct spool_mark mark;
    spool_reader_start(&rig->reader, rig->route, lane);
    while (spool_reader_next(&rig->reader, &record, &mark.previous) == E_OK) {
        mark.sequence = record.sequence;
        if (record.shape == RECORD_DOCUMENT)
            check_document(rig, &record);
        else
            check_values(&record);
        spool_route_ack(rig->route, lane, &mark, 1, SPOOL_DELIVERED);
    }
}

/* ---- what is answered ---- */

static void take_answers(const struct rig *rig, int peer)
{
    uint8_t answer[ANSWER_BYTES];
    ssize_t count;
    while ((count = recv(rig->peers[peer], answer, sizeof answer, MSG_DONTWAIT)) >= 0) {
        unsigned class = answer[1] >> 5;
        require(count >= 4 && answer[0] >> 6 == 1 && (answer[0] & 15) <= 8);
        /* 7: the library takes a Ping of RFC 8323 by UDP too. */
        require(class == 0 || class == 2 || class == 4 || class == 5 || class == 7);
    }
}

/* A message that had the number of an earlier one would be answered from memory. */
static void hand_in(struct rig *rig, int peer, const uint8_t *bytes, size_t count)
{
    uint8_t datagram[DATAGRAM_BYTES];
    if (count > sizeof datagram)
        count = sizeof datagram;
    memcpy(datagram, bytes, count);
    if (count >= 4)
        bytes_put_be16(datagram + 2, (uint16_t)(bytes_get_be16(datagram + 2) + rig->runs * 7));
    (void)send(rig->peers[peer], datagram, count, 0);
    (void)coap_io_process(rig->door->context, COAP_IO_NO_WAIT);
}

static struct rig rig;

static void leave(void)
{
    close_rig(&rig);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    if (rig.path[0] == '\0') {
        open_rig(&rig);
        (void)atexit(leave);
    } else if (rig.runs == RUNS_OF_ONE) {
        close_rig(&rig);
        open_rig(&rig);
    }
    rig.runs++;
    for (size_t at = 0; count - at > HEAD_BYTES;) {
        int peer = bytes[at] % PEERS;
        size_t wanted = bytes_get_be16(bytes + at + 1);
        at += HEAD_BYTES;
        size_t there = wanted < count - at ? wanted : count - at;
        hand_in(&rig, peer, bytes + at, there);
        at += there;
    }
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        take_lane(&rig, lane);
    coap_door_wait_look(rig.door);
    for (int i = 0; i < PEERS; i++)
        take_answers(&rig, i);
    require(rig.door->waiting == 0);
    return 0;
}
