/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lets peers hand in by CoAP while recorder.c watches, and reports what they were promised: a
 * record is accepted when the answer 2.04 is about to leave, whoever receives it
 * (powercut_rig.h, powercut.py).
 *
 * usage: powercut_coap WORKLOAD DIRECTORY SEED FIRST-KEY
 *
 * There is one workload, whatever it is called. Ends without closing anything, as by a cut.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/intake/coap_door.h"
#include "platform/base/bytes.h"
#include "platform/base/error.h"
#include "platform/base/log.h"
#include "platform/clock.h"
#include "tests/fault/powercut_rig.h"

enum {
    SIZE_BYTES = 1024 * 1024,
    PEERS = 6,
    MESSAGES = 14,
    DOCUMENT_BYTES_MAX = 900, /* of a datagram */
    DATAGRAM_BYTES = 1280,
    RETRANSMIT_S = 2,
    TOKEN_BYTES = 8,
};

/* RFC 7252 sections 3 and 5.10. */
enum {
    CONFIRMABLE = 0x40,
    ACKNOWLEDGEMENT = 0x60,
    TYPE_MASK = 0x70,
    POST = 2,
    CHANGED = 0x44,
    UNAVAILABLE = 0xa3,
};

/* What a peer handed in last. */
struct message {
    enum lane lane;
    uint64_t key;
    size_t bytes; /* of the document; 0: a reading */
    bool appended;
};

struct peer_thread {
    pthread_t thread;
    unsigned random;
    uint16_t mid;
    int fd;
    uint64_t first_key;
    struct message message;
};

struct load {
    struct rig rig;
    int report_fd;
    struct handin *handin;
    struct coap_door *door;
    pthread_mutex_t lock; /* over the messages */
    struct peer_thread peers[PEERS];
};
static struct load load; /* the calls below know no other way to it */

static void expect(bool holds, const char *what)
{
    if (holds)
        return;
    (void)fprintf(stderr, "powercut_coap: %s\n", what);
    _exit(1);
}

static void report(struct report report)
{
    expect(write(load.report_fd, &report, sizeof report) == sizeof report, "no reports");
}

/* ---- what the door does, as it does it ---- */

static bool is_message(const struct message *message, const struct sample *sample)
{
    static uint8_t document[DOCUMENT_BYTES_MAX];
    if (message->bytes == 0)
        return sample->document == NULL && sample->values[0].mantissa == (int64_t)message->key;
    if (sample->document == NULL || sample->document_bytes != message->bytes)
        return false;
    rig_fill(message->key, document, message->bytes);
    return memcmp(sample->document, document, message->bytes) == 0;
}

static struct message take_message(const struct spool_append *append)
{
    struct message *found = NULL;
    (void)pthread_mutex_lock(&load.lock);
    for (int i = 0; i < PEERS && found == NULL; i++)
        if (is_message(&load.peers[i].message, append->sample))
            found = &load.peers[i].message;
    expect(found != NULL && found->lane == append->lane, "a record that nobody handed in");
    expect(!found->appended, "a message became two records");
    found->appended = true;
    struct message message = *found;
    (void)pthread_mutex_unlock(&load.lock);
    return message;
}

int __real_spool_append(struct spool *spool, const struct spool_append *append,
                        uint64_t *ret_sequence);
int __wrap_spool_append(struct spool *spool, const struct spool_append *append,
                        uint64_t *ret_sequence);
int __wrap_spool_append(struct spool *spool, const struct spool_append *append,
                        uint64_t *ret_sequence)
{
    const struct message message = take_message(append);
    report((struct report){.kind = REPORT_APPENDING,
                           .lane = (uint8_t)message.lane,
                           .key = message.key,
                           .bytes = (uint32_t)message.bytes});
    expect(__real_spool_append(spool, append, ret_sequence) == 0, "a record is not taken");
    report((struct report){.kind = REPORT_NUMBERED, .key = message.key, .sequence = *ret_sequence});
    return 0;
}

static void note_leaving(const uint8_t *bytes, size_t count)
{
    if (count >= 4 + TOKEN_BYTES && bytes[1] == CHANGED && (bytes[0] & 15) == TOKEN_BYTES)
        report((struct report){.kind = REPORT_ACCEPTED, .key = bytes_get_be64(bytes + 4)});
}

/* The library's datagrams leave by one of these. */
ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    expect(message->msg_iovlen == 1, "a datagram in pieces");
    note_leaving(message->msg_iov->iov_base, message->msg_iov->iov_len);
    return syscall(SYS_sendmsg, fd, message, flags);
}

ssize_t send(int fd, const void *bytes, size_t count, int flags)
{
    note_leaving(bytes, count);
    return syscall(SYS_sendto, fd, bytes, count, flags, NULL, 0);
}

/* ---- a peer ---- */

static unsigned draw(struct peer_thread *peer, unsigned below)
{
    return (unsigned)rand_r(&peer->random) % below;
}

static size_t put_option(uint8_t *at, unsigned delta, const char *value)
{
    size_t count = strlen(value);
    at[0] = (uint8_t)(delta << 4 | count); /* both below 13 */
    memcpy(at + 1, value, count);
    return 1 + count;
}

/* POST /t/board or /t/plc, ?lane=. */
static size_t put_request(struct peer_thread *peer, uint8_t *datagram)
{
    const struct message *message = &peer->message;
    char query[24];
    size_t at = 4;
    datagram[0] = CONFIRMABLE | TOKEN_BYTES;
    datagram[1] = POST;
    bytes_put_be16(datagram + 2, ++peer->mid);
    bytes_put_be64(datagram + at, message->key);
    at += TOKEN_BYTES;
    at += put_option(datagram + at, 11, "t");
    at += put_option(datagram + at, 0, message->bytes == 0 ? "board" : "plc");
    at += put_option(datagram + at, 1, message->bytes == 0 ? "" : "2"); /* of JSON: '2' is 50 */
    (void)snprintf(query, sizeof query, "lane=%s", lane_name(message->lane));
    at += put_option(datagram + at, 3, query);
    datagram[at++] = 0xff;
    if (message->bytes == 0)
        return at +
               (size_t)sprintf((char *)datagram + at, "%llu", (unsigned long long)message->key);
    rig_fill(message->key, datagram + at, message->bytes);
    return at + message->bytes;
}

/* The code of the answer to KEY, or 0: something else came, or nothing for a while. */
static uint8_t receive(const struct peer_thread *peer)
{
    uint8_t datagram[DATAGRAM_BYTES];
    ssize_t count = recv(peer->fd, datagram, sizeof datagram, 0);
    if (count < 4)
        return 0;
    if ((datagram[0] & TYPE_MASK) == CONFIRMABLE) {
        const uint8_t acknowledgement[] = {ACKNOWLEDGEMENT, 0, datagram[2], datagram[3]};
        (void)send(peer->fd, acknowledgement, sizeof acknowledgement, 0);
    }
    bool ours = (datagram[0] & 15) == TOKEN_BYTES && count >= 4 + TOKEN_BYTES &&
                bytes_get_be64(datagram + 4) == peer->message.key;
    return ours ? datagram[1] : 0;
}

static void hand_in(struct peer_thread *peer)
{
    uint8_t datagram[DATAGRAM_BYTES];
    size_t count = put_request(peer, datagram);
    uint8_t code = 0;
    int64_t deadline_ms = clock_mono_ms() + RIG_WAIT_MS;
    if (draw(peer, 3) == 0) /* as if the answer had been lost */
        (void)send(peer->fd, datagram, count, 0);
    (void)send(peer->fd, datagram, count, 0);
    for (int64_t sent_ms = clock_mono_ms(); code == 0; code = receive(peer)) {
        expect(clock_mono_ms() < deadline_ms, "no answer");
        if (clock_mono_ms() - sent_ms < RETRANSMIT_S * 1000)
            continue;
        sent_ms = clock_mono_ms();
        (void)send(peer->fd, datagram, count, 0);
    }
    expect(code == CHANGED, "a message was refused");
}

static void *run_peer(void *context)
{
    struct peer_thread *peer = context;
    for (uint64_t i = 0; i < MESSAGES; i++) {
        struct message message = {
            .lane = draw(peer, 2) == 0 ? LANE_ALARM : LANE_NORMAL,
            .key = peer->first_key + i,
            .bytes = draw(peer, 3) == 0 ? 0 : 32 + draw(peer, DOCUMENT_BYTES_MAX - 32)};
        (void)pthread_mutex_lock(&load.lock);
        peer->message = message;
        (void)pthread_mutex_unlock(&load.lock);
        hand_in(peer);
    }
    return NULL;
}

/* ---- the door ---- */

static bool knows_time(void *context)
{
    (void)context;
    return true;
}

static void write_status(void *context, struct writer *out)
{
    (void)context;
    writer_text(out, "{}");
}

/* Nobody else is asked for it between this and the door's own call. */
static uint16_t find_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof address;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    expect(bind(fd, (struct sockaddr *)&address, bytes) == 0 &&
               getsockname(fd, (struct sockaddr *)&address, &bytes) == 0,
           "no port");
    (void)close(fd);
    return ntohs(address.sin_port);
}

static void open_door(uint16_t port)
{
    char fault[COAP_DOOR_FAULT_BYTES] = "";
    const struct handin_options handin = {.sensors_max = 4,
                                          .device = "gw",
                                          .spool = load.rig.spool,
                                          .carries = {true, true, true},
                                          .document_bytes_max = RIG_DOCUMENT_BYTES_MAX,
                                          .knows_time = knows_time,
                                          .clock = rig_read_clock};
    expect(handin_open(&handin, &load.handin) == 0, "nothing can be handed in");
    const struct coap_door_options door = {.listens = {{"127.0.0.1", port, false}},
                                           .listen_count = 1,
                                           .document_bytes_max = RIG_DOCUMENT_BYTES_MAX,
                                           .handin = load.handin,
                                           .spool = load.rig.spool,
                                           .knows_time = knows_time,
                                           .clock = rig_read_clock,
                                           .write_status = write_status};
    int rc = coap_door_open(&door, fault, &load.door);
    if (rc < 0)
        (void)fprintf(stderr, "powercut_coap: %s\n", fault);
    expect(rc == 0 && coap_door_start(load.door) == 0, "the door does not open");
}

static void run_peers(uint16_t port, unsigned seed, uint64_t first_key)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct timeval patience = {.tv_usec = 100000};
    for (unsigned i = 0; i < PEERS; i++) {
        struct peer_thread *peer = &load.peers[i];
        peer->random = seed * PEERS + i;
        peer->first_key = first_key + i * MESSAGES;
        peer->message.key = UINT64_MAX;
        peer->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        expect(connect(peer->fd, (const struct sockaddr *)&address, sizeof address) == 0 &&
                   setsockopt(peer->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0,
               "no peer");
    }
    for (int i = 0; i < PEERS; i++)
        expect(pthread_create(&load.peers[i].thread, NULL, run_peer, &load.peers[i]) == 0,
               "no thread");
    for (int i = 0; i < PEERS; i++)
        (void)pthread_join(load.peers[i].thread, NULL);
}

int main(int argc, char **argv)
{
    char fault[SPOOL_FAULT_BYTES] = "";
    const char *reports = getenv("POWERCUT_REPORT");
    if (argc != 5) {
        (void)fprintf(stderr, "usage: powercut_coap WORKLOAD DIRECTORY SEED FIRST-KEY\n");
        return 2;
    }
    log_set_level(LOG_LEVEL_WARNING);
    load.report_fd = reports == NULL ? -1 : atoi(reports);
    (void)pthread_mutex_init(&load.lock, NULL);
    if (rig_open(&load.rig, argv[2], SIZE_BYTES, false, fault) < 0)
        (void)fprintf(stderr, "powercut_coap: %s\n", fault);
    expect(load.rig.spool != NULL, "the spool does not open");
    report(
        (struct report){.kind = REPORT_OPENED, .key = SIZE_BYTES, .sequence = rig_id(&load.rig)});
    uint16_t port = find_port();
    open_door(port);
    run_peers(port, (unsigned)strtoul(argv[3], NULL, 10), strtoull(argv[4], NULL, 10));
    expect(coap_door_stop(load.door, clock_mono_ms() + RIG_WAIT_MS) == 0, "the door stays open");
    _exit(0);
}
