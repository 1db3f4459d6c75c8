/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/intake/coap_door.h"
#include "platform/base/error.h"
#include "platform/clock.h"
#include "tests/unit/coap_node.h"
#include "tests/unit/coap_peer.h"
#include "tests/unit/fake_handin.h"

/* The door as peers meet it, with datagrams made by hand, in front of a handin and a spool that do
 * as they are told. DTLS is for the tests that have a client of it. */

enum { LATE_MS = 60 * 1000 };

struct rig {
    struct handin handin;
    struct spool spool;
    struct coap_door_options options;
    struct coap_door *door;
    uint16_t port;
    int fd; /* of the peer */
    bool knows_time;
};

static bool knows_time(void *context)
{
    return ((struct rig *)context)->knows_time;
}

static void tell_time(void *context, struct spool_clock_reading *ret_reading)
{
    (void)context;
    *ret_reading = (struct spool_clock_reading){.boot_ms = 5000, .offset_ms = 1732406395123};
}

static void write_status(void *context, struct writer *out)
{
    (void)context;
    writer_text(out, "{\"agent\":\"runnel\"}");
}

/* A port that nobody has at the moment. */
static uint16_t find_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t bytes = sizeof address;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &bytes), 0);
    (void)close(fd);
    return ntohs(address.sin_port);
}

static void prepare(struct rig *rig)
{
    memset(rig, 0, sizeof *rig);
    fake_handin_init(&rig->handin, &rig->spool);
    rig->port = find_port();
    rig->knows_time = true;
    rig->options = (struct coap_door_options){
        .listens[0] = {.host = "127.0.0.1", .port = rig->port},
        .listen_count = 1,
        .document_bytes_max = 4096,
        .handin = &rig->handin,
        .spool = &rig->spool,
        .knows_time = knows_time,
        .clock = tell_time,
        .write_status = write_status,
        .context = rig,
        .heartbeat_ms = 1000,
    };
}

static void start(struct rig *rig)
{
    char fault[COAP_DOOR_FAULT_BYTES];
    int rc = coap_door_open(&rig->options, fault, &rig->door);
    if (rc < 0)
        fail_msg("%s", fault);
    assert_int_equal(coap_door_start(rig->door), 0);
    rig->fd = coap_peer_connect(rig->port);
}

static void open_rig(struct rig *rig)
{
    prepare(rig);
    start(rig);
}

static void close_rig(struct rig *rig)
{
    assert_int_equal(coap_door_stop(rig->door, clock_mono_ms() + LATE_MS), 0);
    coap_door_close(rig->door);
    assert_int_equal(fake_spool_tickets(&rig->spool), 0);
    (void)close(rig->fd);
    fake_handin_free(&rig->handin, &rig->spool);
}

/* A message to /t/SENSOR; FORMAT below 0: without one. */
static struct coap_message post(unsigned mid, const char *sensor, int format, const char *payload)
{
    static uint8_t bytes[4];
    struct coap_message message = {.type = COAP_CON, .code = COAP_POST, .mid = mid};
    message.token[0] = (uint8_t)mid;
    message.token_bytes = 1;
    coap_peer_add_text(&message, COAP_URI_PATH, "t");
    coap_peer_add_text(&message, COAP_URI_PATH, sensor);
    if (format >= 0)
        coap_peer_add_uint(&message, COAP_FORMAT, (uint32_t)format, bytes);
    message.payload = payload;
    message.payload_bytes = strlen(payload);
    return message;
}

static void send_it(struct rig *rig, struct coap_message *message)
{
    coap_peer_encode(message);
    coap_peer_send(rig->fd, message);
}

static struct coap_message receive(struct rig *rig)
{
    struct coap_message message;
    coap_peer_receive(rig->fd, &message);
    return message;
}

/* The answer of an acknowledgement. */
static struct coap_message ask(struct rig *rig, struct coap_message message)
{
    send_it(rig, &message);
    struct coap_message answer = receive(rig);
    assert_int_equal(answer.type, COAP_ACK);
    assert_int_equal(answer.mid, message.mid);
    assert_int_equal(answer.token_bytes, message.token_bytes);
    assert_memory_equal(answer.token, message.token, message.token_bytes);
    return answer;
}

static bool says(const struct coap_message *message, const char *text)
{
    char body[COAP_PEER_DATAGRAM_BYTES + 1];
    if (message->payload_bytes > 0)
        memcpy(body, message->bytes + message->payload_at, message->payload_bytes);
    body[message->payload_bytes] = '\0';
    return strstr(body, text) != NULL;
}

/* ---- handing in ---- */

static void test_durable_at_once(void **state)
{
    static struct rig rig;
    (void)state;
    open_rig(&rig);
    fake_spool_commit(&rig.spool, 100);
    struct coap_message answer = ask(&rig, post(7, "pump", PAYLOAD_JSON, "{\"a\":1}"));
    assert_int_equal(answer.code, 204);
    assert_int_equal(answer.payload_bytes, 0);
    struct handin last = fake_handin_last(&rig.handin);
    assert_string_equal(last.sensor, "pump");
    assert_string_equal(last.lane, "");
    assert_int_equal(last.format, PAYLOAD_JSON);
    assert_int_equal(last.count, 7);
    assert_memory_equal(last.bytes, "{\"a\":1}", 7);
    close_rig(&rig);
}

/* Nothing is said before it is on flash; then with the acknowledgement, if that is soon. */
static void test_waits_for_flash(void **state)
{
    static struct rig rig;
    (void)state;
    open_rig(&rig);
    struct coap_message message = post(7, "pump", PAYLOAD_JSON, "{}");
    send_it(&rig, &message);
    while (fake_spool_tickets(&rig.spool) == 0)
        assert_false(coap_peer_has(rig.fd));
    fake_spool_commit(&rig.spool, 1);
    struct coap_message answer = receive(&rig);
    /* A machine that is busy may have needed the other way. */
    if (answer.code == 0)
        answer = receive(&rig);
    assert_int_equal(answer.code, 204);
    close_rig(&rig);
}

/* The acknowledgement goes without an answer, which then comes by itself, confirmable. */
static void test_answers_late(void **state)
{
    static struct rig rig;
    (void)state;
    open_rig(&rig);
    struct coap_message message = post(7, "pump", PAYLOAD_JSON, "{}");
    struct coap_message empty = {0};
    send_it(&rig, &message);
    empty = receive(&rig);
    assert_int_equal(empty.type, COAP_ACK);
    assert_int_equal(empty.code, 0);
    assert_int_equal(empty.mid, 7);
    assert_int_equal(empty.count, 4);
    fake_spool_commit(&rig.spool, 1);
    struct coap_message answer = receive(&rig);
    assert_int_equal(answer.type, COAP_CON);
    assert_int_equal(answer.code, 204);
    assert_memory_equal(answer.token, message.token, 1);
    struct coap_message ack = {.type = COAP_ACK, .mid = answer.mid};
    send_it(&rig, &ack);
    close_rig(&rig);
}

/* Who would otherwise send the same again to an agent that does not know it has it. */
static void test_answers_before_it_ends(void **state)
{
    static struct rig rig;
    (void)state;
    open_rig(&rig);
    struct coap_message message = post(7, "pump", PAYLOAD_JSON, "{}");
    send_it(&rig, &message);
    while (fake_spool_tickets(&rig.spool) == 0)
        assert_false(coap_peer_has(rig.fd));
    assert_int_equal(coap_door_stop(rig.door, clock_mono_ms() + LATE_MS), 0);
    struct coap_message answer = receive(&rig);
    if (answer.code == 0)
        answer = receive(&rig);
    assert_int_equal(answer.code, 204);
    close_rig(&rig);
}

/* libcoap itself would share it. */
static void test_port_of_somebody_else(void **state)
{
    static struct rig rig;
    char fault[COAP_DOOR_FAULT_BYTES];
    struct coap_door *second = NULL;
    (void)state;
    open_rig(&rig);
    assert_int_equal(coap_door_open(&rig.options, fault, &second), error_sys(EADDRINUSE));
    assert_non_null(strstr(fault, "cannot listen at 127.0.0.1 port "));
    assert_null(second);
    close_rig(&rig);
}

static void test_two_lanes(void **state)
{
    static struct rig rig;
    (void)state;
    prepare(&rig);
    rig.handin.two_lanes = true;
    start(&rig);
    struct coap_message message = post(7, "pump", PAYLOAD_JSON, "{}");
    send_it(&rig, &message);
    while (fake_spool_tickets(&rig.spool) < 2)
        assert_false(coap_peer_has(rig.fd));
    fake_spool_commit(&rig.spool, 1); /* of two */
    struct coap_message answer = receive(&rig);
    assert_int_equal(answer.code, 0);
    fake_spool_commit(&rig.spool, 2);
    answer = receive(&rig);
    assert_int_equal(answer.code, 204);
    close_rig(&rig);
}

/* What a transform keeps is answered at once, before the datagrams that come in later turns. */
static void test_no_record(void **state)
{
    enum { LATER = 64 }; /* more than the door reads in a turn */
    static struct rig rig;
    bool is_answered = false;
    (void)state;
    prepare(&rig);
    rig.handin.holds = true;
    start(&rig);
    struct coap_message message = post(7, "pump", PAYLOAD_JSON, "{}");
    send_it(&rig, &message);
    for (unsigned mid = 100; mid < 100 + LATER; mid++) {
        struct coap_message answer;
        struct coap_message later = {.type = COAP_CON, .code = COAP_GET, .mid = mid};
        coap_peer_add_text(&later, COAP_URI_PATH, "time");
        send_it(&rig, &later);
        do {
            answer = receive(&rig);
            is_answered = is_answered || (answer.mid == 7 && answer.code == 204);
        } while (answer.mid != mid);
    }
    assert_true(is_answered);
    close_rig(&rig);
}

static void test_codes(void **state)
{
    static const struct {
        int error;
        unsigned code;
    } cases[] = {
        {E_SYNTAX, 400},      {E_RANGE, 400},     {E_INVALID, 400}, {E_TOO_BIG, 413},
        {E_UNSUPPORTED, 415}, {E_NOT_FOUND, 404}, {E_EXISTS, 403},  {E_DENIED, 403},
        {E_REFUSED, 503},     {E_AGAIN, 503},     {E_FULL, 503},    {E_BUSY, 503},
        {E_CREDENTIALS, 503}, {E_NO_MEMORY, 503},
    };
    static struct rig rig;
    (void)state;
    open_rig(&rig);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fake_handin_answer(&rig.handin, cases[i].error, "the reason");
        struct coap_message answer = ask(&rig, post((unsigned)i, "pump", PAYLOAD_JSON, "{}"));
        assert_int_equal(answer.code, cases[i].code);
        assert_true(says(&answer, "the reason"));
        assert_int_equal(coap_peer_uint(&answer, COAP_MAX_AGE), cases[i].code == 503 ? 30 : -1);
    }
    close_rig(&rig);
}

/* ---- once is enough ---- */

/* Whatever was sent before has been dealt with, and was not answered. */
static void expect_silence(struct rig *rig)
{
    static unsigned mid = 50000;
    struct coap_message ping = {.type = COAP_CON, .code = COAP_GET, .mid = ++mid};
    coap_peer_add_text(&ping, COAP_URI_PATH, "time");
    send_it(rig, &ping);
    struct coap_message answer = receive(rig);
    assert_int_equal(answer.mid, mid);
}

static void test_repeats(void **state)
{
    static struct rig rig;
    struct coap_door_status status;
    (void)state;
    open_rig(&rig);
    struct coap_message message = post(7, "pump", PAYLOAD_JSON, "{\"a\":1}");
    send_it(&rig, &message);
    send_it(&rig, &message); /* before the answer */
    expect_silence(&rig);
    struct coap_message empty = receive(&rig);
    assert_int_equal(empty.code, 0);
    coap_peer_send(rig.fd, &message); /* between the acknowledgement and the answer */
    empty = receive(&rig);
    assert_int_equal(empty.type, COAP_ACK);
    assert_int_equal(empty.count, 4);
    fake_spool_commit(&rig.spool, 1);
    struct coap_message answer = receive(&rig);
    assert_int_equal(answer.code, 204);
    struct coap_message ack = {.type = COAP_ACK, .mid = answer.mid};
    send_it(&rig, &ack);
    assert_int_equal(ask(&rig, message).code, 204); /* after it */
    assert_int_equal(fake_handin_last(&rig.handin).puts, 1);
    coap_door_get_status(rig.door, &status);
    assert_int_equal(status.messages, 1);
    assert_int_equal(status.accepted, 1);
    assert_int_equal(status.repeated, 3);
    fake_spool_commit(&rig.spool, 100);
    /* The same number, and another message: its peer has begun anew. */
    assert_int_equal(ask(&rig, post(7, "pump", PAYLOAD_JSON, "{\"a\":2}")).code, 204);
    assert_int_equal(fake_handin_last(&rig.handin).puts, 2);
    /* The same from another port. */
    int before = rig.fd;
    rig.fd = coap_peer_connect(rig.port);
    assert_int_equal(ask(&rig, message).code, 204);
    assert_int_equal(fake_handin_last(&rig.handin).puts, 3);
    (void)close(before);
    close_rig(&rig);
}

/* What was refused may come again, and is taken then. */
static void test_repeat_of_refused(void **state)
{
    static struct rig rig;
    (void)state;
    open_rig(&rig);
    fake_spool_commit(&rig.spool, 100);
    struct coap_message message = post(7, "pump", PAYLOAD_JSON, "{}");
    fake_handin_answer(&rig.handin, E_REFUSED, "full");
    assert_int_equal(ask(&rig, message).code, 503);
    fake_handin_answer(&rig.handin, 0, "");
    assert_int_equal(ask(&rig, message).code, 204);
    assert_int_equal(ask(&rig, message).code, 204);
    assert_int_equal(fake_handin_last(&rig.handin).puts, 2);
    close_rig(&rig);
}

static void test_not_confirmable(void **state)
{
    static struct rig rig;
    (void)state;
    open_rig(&rig);
    struct coap_message message = post(7, "pump", PAYLOAD_JSON, "{}");
    message.type = COAP_NON;
    send_it(&rig, &message);
    send_it(&rig, &message);
    expect_silence(&rig);
    assert_int_equal(fake_handin_last(&rig.handin).puts, 1);
    assert_int_equal(fake_spool_tickets(&rig.spool), 0);
    message.mid = 8;
    fake_handin_answer(&rig.handin, E_SYNTAX, "the reason");
    send_it(&rig, &message);
    struct coap_message answer = receive(&rig);
    assert_int_equal(answer.type, COAP_NON);
    assert_int_equal(answer.code, 400);
    assert_true(says(&answer, "the reason"));
    close_rig(&rig);
}

/* RFC 7967: the acknowledgement, and no answer. */
static void test_no_response(void **state)
{
    static struct rig rig;
    uint8_t bytes[4];
    (void)state;
    open_rig(&rig);
    fake_spool_commit(&rig.spool, 100);
    struct coap_message message = post(7, "pump", PAYLOAD_JSON, "{}");
    coap_peer_add_uint(&message, COAP_NO_RESPONSE, 2, bytes);
    send_it(&rig, &message);
    struct coap_message answer = receive(&rig);
    assert_int_equal(answer.type, COAP_ACK);
    assert_int_equal(answer.code, 0);
    assert_int_equal(answer.mid, 7);
    expect_silence(&rig);
    close_rig(&rig);
}

static void test_too_many_wait(void **state)
{
    static struct rig rig;
    struct coap_door_status status;
    unsigned late = 0;
    (void)state;
    open_rig(&rig);
    for (unsigned i = 0; i < CONFIG_COAP_WAITING; i++) {
        struct coap_message message = post(i, "pump", PAYLOAD_JSON, "{}");
        send_it(&rig, &message);
    }
    struct coap_message answer;
    struct coap_message one_more = post(CONFIG_COAP_WAITING, "pump", PAYLOAD_JSON, "{}");
    send_it(&rig, &one_more);
    do
        answer = receive(&rig);
    while (answer.code == 0);
    assert_int_equal(answer.mid, CONFIG_COAP_WAITING);
    assert_int_equal(answer.code, 503);
    assert_int_equal(coap_peer_uint(&answer, COAP_MAX_AGE), 1);
    coap_door_get_status(rig.door, &status);
    assert_int_equal(status.waiting, CONFIG_COAP_WAITING);
    fake_spool_commit(&rig.spool, CONFIG_COAP_WAITING); /* one commit answers them all */
    while (late < CONFIG_COAP_WAITING) {
        answer = receive(&rig);
        late += answer.code == 204;
        struct coap_message ack = {.type = COAP_ACK, .mid = answer.mid};
        if (answer.type == COAP_CON)
            send_it(&rig, &ack);
    }
    assert_int_equal(fake_handin_last(&rig.handin).puts, CONFIG_COAP_WAITING);
    close_rig(&rig);
}

/* ---- what is asked wrongly ---- */

static struct coap_message get(unsigned mid, const char *path, int accept)
{
    static uint8_t bytes[4];
    struct coap_message message = {.type = COAP_CON, .code = COAP_GET, .mid = mid};
    coap_peer_add_text(&message, COAP_URI_PATH, path);
    if (accept >= 0)
        coap_peer_add_uint(&message, COAP_ACCEPT, (uint32_t)accept, bytes);
    return message;
}

static void test_pages(void **state)
{
    static struct rig rig;
    (void)state;
    open_rig(&rig);
    struct coap_message links = {.type = COAP_CON, .code = COAP_GET};
    coap_peer_add_text(&links, COAP_URI_PATH, ".well-known");
    coap_peer_add_text(&links, COAP_URI_PATH, "core");
    struct coap_message answer = ask(&rig, links);
    assert_int_equal(answer.code, 205);
    assert_int_equal(coap_peer_uint(&answer, COAP_FORMAT), 40);
    assert_true(says(&answer, "</time>;") && says(&answer, "</status>;") && says(&answer, "</t>;"));
    answer = ask(&rig, get(1, "time", -1));
    assert_int_equal(answer.code, 205);
    assert_int_equal(coap_peer_uint(&answer, COAP_FORMAT), PAYLOAD_SENML_JSON);
    assert_true(says(&answer, "\"t\":1732406400.123,"));
    answer = ask(&rig, get(2, "time", PAYLOAD_SENML_CBOR));
    assert_int_equal(coap_peer_uint(&answer, COAP_FORMAT), PAYLOAD_SENML_CBOR);
    assert_int_equal(answer.payload_bytes, 12 + 12 + 1 + 12);
    assert_int_equal(ask(&rig, get(3, "time", PAYLOAD_JSON)).code, 406);
    answer = ask(&rig, get(4, "status", -1));
    assert_int_equal(answer.code, 205);
    assert_int_equal(coap_peer_uint(&answer, COAP_FORMAT), PAYLOAD_JSON);
    assert_true(says(&answer, "{\"agent\":\"runnel\"}"));
    assert_int_equal(ask(&rig, get(5, "status", PAYLOAD_CBOR)).code, 406);
    assert_int_equal(ask(&rig, get(6, "nothing", -1)).code, 404);
    assert_int_equal(ask(&rig, get(7, "", -1)).code, 404);
    struct coap_message remove = get(8, "status", -1);
    remove.code = COAP_DELETE;
    assert_int_equal(ask(&rig, remove).code, 405);
    close_rig(&rig);
}

/* In parts of 32 bytes: the same as in one piece. */
static void test_page_in_parts(void **state)
{
    enum { PARTS_SIZE = 1, PART = 32 };
    static struct rig rig;
    uint8_t bytes[4];
    size_t got = 0;
    (void)state;
    open_rig(&rig);
    const struct coap_message whole = ask(&rig, get(1, "time", -1));
    assert_int_equal(whole.code, 205);
    for (unsigned number = 0; got < whole.payload_bytes; number++) {
        struct coap_message message = get(2 + number, "time", -1);
        coap_peer_add_uint(&message, COAP_BLOCK2, number << 4 | PARTS_SIZE, bytes);
        struct coap_message answer = ask(&rig, message);
        assert_int_equal(answer.code, 205);
        assert_memory_equal(answer.bytes + answer.payload_at, whole.bytes + whole.payload_at + got,
                            answer.payload_bytes);
        got += answer.payload_bytes;
        bool more = got < whole.payload_bytes;
        assert_true(!more || answer.payload_bytes == PART);
        assert_int_equal(coap_peer_uint(&answer, COAP_BLOCK2),
                         number << 4 | (more ? 8U : 0U) | PARTS_SIZE);
        assert_true(coap_peer_uint(&answer, COAP_ETAG) >= 0);
    }
    struct coap_message message = get(90, "time", -1);
    coap_peer_add_uint(&message, COAP_BLOCK2, 9 << 4 | PARTS_SIZE, bytes);
    assert_int_equal(ask(&rig, message).code, 400);
    close_rig(&rig);
}

static void test_time_unknown(void **state)
{
    static struct rig rig;
    (void)state;
    prepare(&rig);
    rig.knows_time = false;
    start(&rig);
    struct coap_message answer = ask(&rig, get(1, "time", -1));
    assert_int_equal(answer.code, 503);
    assert_int_equal(coap_peer_uint(&answer, COAP_MAX_AGE), 60);
    close_rig(&rig);
}

static void test_wrong_requests(void **state)
{
    static struct rig rig;
    (void)state;
    open_rig(&rig);
    fake_spool_commit(&rig.spool, 100);
    struct coap_message answer = ask(&rig, post(1, "pump", -1, "{}"));
    assert_int_equal(answer.code, 415);
    assert_true(says(&answer, "Content-Format"));
    struct coap_message message = post(2, "pump", PAYLOAD_JSON, "{}");
    message.code = COAP_GET;
    assert_int_equal(ask(&rig, message).code, 405);
    message = post(3, "pump", PAYLOAD_JSON, "{}");
    coap_peer_add_text(&message, COAP_URI_QUERY, "rate=1");
    assert_int_equal(ask(&rig, message).code, 400);
    message = post(4, "pump", PAYLOAD_JSON, "{}");
    coap_peer_add_text(&message, COAP_URI_QUERY, "lane=");
    assert_int_equal(ask(&rig, message).code, 400);
    message = post(5, "a/b", PAYLOAD_JSON, "{}");
    assert_int_equal(ask(&rig, message).code, 404);
    message = post(6, "", PAYLOAD_JSON, "{}");
    assert_int_equal(ask(&rig, message).code, 404);
    message = post(7, "pump", PAYLOAD_JSON, "{}");
    message.options[1].value = "pu\0p";
    message.options[1].count = 4;
    assert_int_equal(ask(&rig, message).code, 404);
    message = post(8, "one-that-is-longer-than-any-path-may-be-that-leads-to-a-sensor-here",
                   PAYLOAD_JSON, "{}");
    assert_int_equal(ask(&rig, message).code, 404);
    assert_int_equal(fake_handin_last(&rig.handin).puts, 0);
    message = post(9, "pump", PAYLOAD_JSON, "{}");
    message.code = COAP_PUT;
    coap_peer_add_text(&message, COAP_URI_QUERY, "lane=alarm");
    assert_int_equal(ask(&rig, message).code, 204);
    struct handin last = fake_handin_last(&rig.handin);
    assert_string_equal(last.lane, "alarm");
    assert_true(last.may_lane[LANE_ALARM] && last.may_lane[LANE_NORMAL]);
    close_rig(&rig);
}

static void test_too_big(void **state)
{
    static struct rig rig;
    (void)state;
    prepare(&rig);
    rig.handin.bytes_max = 3;
    rig.handin.answer = E_TOO_BIG;
    rig.handin.fault = "too long";
    start(&rig);
    struct coap_message answer = ask(&rig, post(1, "pump", PAYLOAD_JSON, "{\"a\":1}"));
    assert_int_equal(answer.code, 413);
    assert_int_equal(coap_peer_uint(&answer, COAP_SIZE1), 3);
    answer = ask(&rig, post(2, "pump", PAYLOAD_JSON, "[]")); /* too big in another way */
    assert_int_equal(answer.code, 413);
    assert_int_equal(coap_peer_uint(&answer, COAP_SIZE1), -1);
    assert_true(says(&answer, "too long"));
    close_rig(&rig);
}

static void test_throttle(void **state)
{
    static struct rig rig;
    struct coap_door_status status;
    (void)state;
    prepare(&rig);
    rig.options.peer_messages = (struct coap_door_rate){.per_mil_s = 1, .burst = 2};
    start(&rig);
    fake_spool_commit(&rig.spool, 100);
    struct coap_message message = post(1, "pump", PAYLOAD_JSON, "{}");
    assert_int_equal(ask(&rig, message).code, 204);
    assert_int_equal(ask(&rig, post(2, "pump", -1, "{}")).code, 415); /* counts as well */
    struct coap_message answer = ask(&rig, post(3, "pump", PAYLOAD_JSON, "{}"));
    assert_int_equal(answer.code, 429);
    int64_t age_s = coap_peer_uint(&answer, COAP_MAX_AGE);
    assert_true(age_s > 900 && age_s <= 1000);
    assert_int_equal(ask(&rig, get(4, "time", -1)).code, 429);
    assert_int_equal(ask(&rig, message).code, 204); /* it was taken, whatever came then */
    message = post(5, "pump", PAYLOAD_JSON, "{}");
    message.type = COAP_NON;
    send_it(&rig, &message);
    assert_int_equal(ask(&rig, get(6, "time", -1)).code, 429); /* and no answer to the other */
    coap_door_get_status(rig.door, &status);
    assert_int_equal(status.throttled, 4);
    close_rig(&rig);
}

/* ---- blocks ---- */

enum { PART_BYTES = 16 };

static const char document[] = "{\"a\":\"0123456789\",\"b\":\"0123456789abcdefgh\"}";

/* Block NUMBER of the document, of 16 bytes; the last one if MORE is false. */
static struct coap_message block(unsigned mid, unsigned number, bool more)
{
    static uint8_t bytes[4];
    struct coap_message message = post(mid, "pump", PAYLOAD_JSON, "");
    size_t offset = (size_t)number * PART_BYTES;
    size_t left = offset < sizeof document - 1 ? sizeof document - 1 - offset : 0;
    coap_peer_add_uint(&message, COAP_BLOCK1, number << 4 | (more ? 8U : 0U), bytes);
    message.payload = document + offset;
    message.payload_bytes = more ? PART_BYTES : left;
    return message;
}

static void test_blocks(void **state)
{
    static struct rig rig;
    struct coap_door_status status;
    (void)state;
    open_rig(&rig);
    fake_spool_commit(&rig.spool, 100);
    struct coap_message answer = ask(&rig, block(1, 0, true));
    assert_int_equal(answer.code, 231);
    assert_int_equal(coap_peer_uint(&answer, COAP_BLOCK1), 8);
    answer = ask(&rig, block(2, 1, true));
    assert_int_equal(answer.code, 231);
    assert_int_equal(coap_peer_uint(&answer, COAP_BLOCK1), 0x18);
    assert_int_equal(ask(&rig, block(2, 1, true)).code, 231); /* again */
    assert_int_equal(fake_handin_last(&rig.handin).puts, 0);
    for (int i = 0; i < 2; i++) { /* and again */
        answer = ask(&rig, block(3, 2, false));
        assert_int_equal(answer.code, 204);
        assert_int_equal(coap_peer_uint(&answer, COAP_BLOCK1), 0x20);
    }
    struct handin last = fake_handin_last(&rig.handin);
    assert_int_equal(last.puts, 1);
    assert_int_equal(last.count, sizeof document - 1);
    assert_memory_equal(last.bytes, document, last.count);
    coap_door_get_status(rig.door, &status);
    assert_int_equal(status.transfers, 0);
    close_rig(&rig);
}

static void test_wrong_blocks(void **state)
{
    static struct rig rig;
    uint8_t bytes[4];
    (void)state;
    open_rig(&rig);
    assert_int_equal(ask(&rig, block(1, 1, true)).code, 408);
    assert_int_equal(ask(&rig, block(2, 0, true)).code, 231);
    assert_int_equal(ask(&rig, block(3, 2, false)).code, 408);
    struct coap_message message = block(4, 0, true);
    message.payload_bytes--; /* not the size that its option says */
    assert_int_equal(ask(&rig, message).code, 400);
    message = post(5, "pump", PAYLOAD_JSON, "{}");
    coap_peer_add_uint(&message, COAP_BLOCK1, 7, bytes); /* a size that is reserved */
    assert_int_equal(ask(&rig, message).code, 400);
    message = post(6, "pump", PAYLOAD_JSON, "{}");
    coap_peer_add_uint(&message, COAP_BLOCK1, 0xfffff0, bytes);
    struct coap_message answer = ask(&rig, message);
    assert_int_equal(answer.code, 413);
    assert_int_equal(coap_peer_uint(&answer, COAP_SIZE1), 4096);
    message = block(7, 0, true);
    coap_peer_add_uint(&message, COAP_SIZE1, 4097, bytes);
    answer = ask(&rig, message);
    assert_int_equal(answer.code, 413);
    assert_int_equal(coap_peer_uint(&answer, COAP_SIZE1), 4096);
    assert_int_equal(fake_handin_last(&rig.handin).puts, 0);
    close_rig(&rig);
}

static void test_too_many_blocks(void **state)
{
    static struct rig rig;
    (void)state;
    open_rig(&rig);
    fake_spool_commit(&rig.spool, 100);
    for (unsigned i = 0; i < 3; i++) { /* RFC 9175: Request-Tag tells them apart */
        struct coap_message message = block(i, 0, true);
        coap_peer_add(&message, COAP_REQUEST_TAG, &"abc"[i], 1);
        struct coap_message answer = ask(&rig, message);
        assert_int_equal(answer.code, i < 2 ? 231 : 503);
        assert_int_equal(coap_peer_uint(&answer, COAP_MAX_AGE), i < 2 ? -1 : 5);
    }
    for (unsigned i = 0; i < 2; i++) {
        for (unsigned number = 1; number < 3; number++) {
            struct coap_message message = block(10 + 2 * i + number, number, number < 2);
            coap_peer_add(&message, COAP_REQUEST_TAG, &"abc"[i], 1);
            assert_int_equal(ask(&rig, message).code, number < 2 ? 231 : 204);
        }
    }
    assert_int_equal(fake_handin_last(&rig.handin).puts, 2);
    close_rig(&rig);
}

/* ---- strangers ---- */

/* An address of this machine that is not the loopback one; false: there is none. */
static bool find_address(char host[INET_ADDRSTRLEN], struct sockaddr_in *ret_address)
{
    struct ifaddrs *all;
    bool found = false;
    assert_int_equal(getifaddrs(&all), 0);
    for (const struct ifaddrs *one = all; one != NULL && !found; one = one->ifa_next) {
        if (one->ifa_addr == NULL || one->ifa_addr->sa_family != AF_INET ||
            (one->ifa_flags & IFF_LOOPBACK) != 0)
            continue;
        memcpy(ret_address, one->ifa_addr, sizeof *ret_address);
        found = inet_ntop(AF_INET, &ret_address->sin_addr, host, INET_ADDRSTRLEN) != NULL;
    }
    freeifaddrs(all);
    return found;
}

static void expect_small(struct rig *rig, struct coap_message message)
{
    send_it(rig, &message);
    struct coap_message answer = receive(rig);
    assert_true(answer.count <= 3 * message.count);
}

/* No answer is larger than three times the request, until its Echo has come back. */
static void test_strangers(void **state)
{
    static struct rig rig;
    char host[INET_ADDRSTRLEN];
    struct sockaddr_in address;
    uint8_t echo[8];
    (void)state;
    prepare(&rig);
    if (!find_address(host, &address)) {
        fake_handin_free(&rig.handin, &rig.spool);
        skip();
    }
    rig.options.listens[0].host = host;
    start(&rig);
    address.sin_port = htons(rig.port);
    (void)close(rig.fd); /* which has the loopback address */
    rig.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(rig.fd >= 0);
    assert_int_equal(connect(rig.fd, (struct sockaddr *)&address, sizeof address), 0);
    expect_small(&rig, get(1, "status", -1));
    struct coap_message message = get(2, "time", -1);
    struct coap_message answer = ask(&rig, message);
    assert_int_equal(answer.code, 401);
    assert_true(answer.count <= 3 * (4 + 5));
    assert_int_equal(answer.option_count, 1);
    assert_int_equal(answer.options[0].number, COAP_ECHO);
    assert_int_equal(answer.options[0].count, sizeof echo);
    memcpy(echo, coap_peer_value(&answer, &answer.options[0]), sizeof echo);
    message = get(3, "time", -1);
    coap_peer_add(&message, COAP_ECHO, echo, sizeof echo);
    assert_int_equal(ask(&rig, message).code, 205);
    echo[0] ^= 1;
    assert_int_equal(ask(&rig, message).code, 401);
    fake_handin_answer(&rig.handin, E_SYNTAX,
                       "a reason that is told at such a length that nobody wants to read it, nor "
                       "could a stranger's small message ever earn so long an answer");
    expect_small(&rig, post(4, "p", PAYLOAD_TEXT, "1"));
    expect_small(&rig, post(5, "p", -1, "1"));
    expect_small(&rig, get(6, "x", -1));
    expect_small(&rig, get(7, "", -1));
    expect_small(&rig, (struct coap_message){.type = COAP_CON, .code = COAP_GET, .mid = 8});
    expect_small(&rig, (struct coap_message){.type = COAP_CON, .code = COAP_DELETE, .mid = 9});
    close_rig(&rig);
}

/* Whatever comes, the door answers the next one. */
static void test_odd_datagrams(void **state)
{
    static const char *const odd[] = {
        "\x40",
        "\x40\x02\x00\x01\xff", /* a marker, and no payload */
        "\x49\x02\x00\x01"
        "123456789", /* a token of 9 */
        "\x4f\x02\x00\x01"
        "123456789abcdef",      /* of 15 */
        "\x40\x02\x00\x01\xd0", /* deltas and lengths without their bytes */
        "\x40\x02\x00\x01\xe0\x01",
        "\x40\x02\x00\x01\xf0",
        "\x40\x02\x00\x01\x0d",
        "\x40\x02\x00\x01\x0e\x01",
        "\x40\x02\x00\x01\x0f",
        "\x40\x02\x00\x01\xee\xff\xff\xff\xff",
        "\x40\x02\x00\x01\xb1t\xff",
        "\x00\x02\x00\x01\xb1t\x01x", /* of another version */
        "\xc0\x02\x00\x01\xb1t\x01x",
        "\x40\xff\x00\x01", /* a code of no class */
        "\x40\x1f\x00\x01", /* a method that is none */
        "\x60\x45\x00\x01", /* answers */
        "\x70\x45\x00\x01",
        "\x40\x44\x00\x01",
        "\x40\x02\x00\x01\x91x", /* a critical option that nobody knows */
        "\x50\x02\x00\x01\x91x",
        "\x40\x02\x00\x01\xb1t\x01x\x15"
        "12345\xff"
        "1", /* Content-Format of 5 bytes */
        "\x40\x02\x00\x01\xb1t\x01x\x10\xd8\x02"
        "12345678\xff"
        "1", /* Block1 of 8 bytes */
    };
    static struct rig rig;
    (void)state;
    open_rig(&rig);
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        struct coap_message answer;
        /* The message id has a zero byte in it: the text ends behind that. */
        size_t count = i == 0 ? 1 : 4 + strlen(odd[i] + 4);
        assert_int_equal(send(rig.fd, odd[i], count, 0), count);
        struct coap_message ping = get(40000 + (unsigned)i, "time", -1);
        send_it(&rig, &ping);
        do
            answer = receive(&rig);
        while (answer.mid != ping.mid);
        assert_int_equal(answer.code, 205);
    }
    close_rig(&rig);
}

/* Each beginning of a message that is good. */
static void test_truncations(void **state)
{
    static struct rig rig;
    uint8_t bytes[4];
    (void)state;
    open_rig(&rig);
    fake_spool_commit(&rig.spool, 10000);
    struct coap_message whole = post(1, "pump", PAYLOAD_SENML_JSON, "[{\"n\":\"a\",\"v\":1}]");
    coap_peer_add_text(&whole, COAP_URI_QUERY, "lane=alarm");
    coap_peer_add_uint(&whole, COAP_BLOCK1, 2, bytes);
    coap_peer_add_uint(&whole, COAP_SIZE1, 300, (uint8_t[4]){0});
    coap_peer_add(&whole, COAP_REQUEST_TAG, "tag", 3);
    coap_peer_encode(&whole);
    for (size_t count = 0; count <= whole.count; count++) {
        struct coap_message answer;
        assert_int_equal(send(rig.fd, whole.bytes, count, 0), count);
        struct coap_message ping = get(40000 + (unsigned)count, "time", -1);
        send_it(&rig, &ping);
        do
            answer = receive(&rig);
        while (answer.mid != ping.mid);
        assert_int_equal(answer.code, 205);
    }
    assert_true(fake_handin_last(&rig.handin).puts > 0);
    close_rig(&rig);
}

/* ---- nodes that restart ---- */

static void try_node(uint16_t own_port, uint16_t port)
{
    enum { TRIES = 20 };
    int tries = 1;
    while (coap_node_post(own_port, port) != 0)
        assert_true(++tries <= TRIES);
}

/* Its new handshakes come from the old one's port, and must not keep the session that is of no use
 * to anybody any more. */
static void test_node_restarts(void **state)
{
    static const char peers[] =
        "{\"peers\":[{\"identity\":\"" COAP_NODE_IDENTITY "\",\"key\":\"" COAP_NODE_KEY "\"}]}";
    static struct rig rig;
    char path[] = "/tmp/runnel-psk-XXXXXX";
    (void)state;
    if (!coap_node_is_possible())
        skip();
    prepare(&rig);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, peers, sizeof peers - 1), sizeof peers - 1);
    (void)close(fd);
    rig.options.psk_file = path;
    rig.options.session_s = 3; /* the handshakes of one that tries come closer together */
    rig.options.listens[0].secure = true;
    uint16_t own_port = find_port();
    start(&rig);
    fake_spool_commit(&rig.spool, 100);
    try_node(own_port, rig.port);
    try_node(own_port, rig.port);
    close_rig(&rig);
    (void)unlink(path);
}

/* ---- opening ---- */

static void test_cannot_open(void **state)
{
    static struct rig rig;
    char fault[COAP_DOOR_FAULT_BYTES];
    struct coap_door *door = NULL;
    (void)state;
    prepare(&rig);
    rig.options.listens[0].host = "pump.example";
    assert_int_equal(coap_door_open(&rig.options, fault, &door), E_INVALID);
    assert_non_null(strstr(fault, "pump.example"));
    rig.options.listens[0].host = "192.0.2.1"; /* RFC 5737: nobody's */
    assert_true(coap_door_open(&rig.options, fault, &door) < 0);
    assert_non_null(strstr(fault, "192.0.2.1"));
    rig.options.listens[0] =
        (struct coap_door_listen){.host = "127.0.0.1", .port = rig.port, .secure = true};
    assert_true(coap_door_open(&rig.options, fault, &door) < 0); /* nobody may come */
    assert_non_null(strstr(fault, "psk_file"));
    rig.options.psk_file = "/nowhere/psk.json";
    assert_true(coap_door_open(&rig.options, fault, &door) < 0);
    assert_non_null(strstr(fault, "/nowhere/psk.json"));
    assert_null(door);
    coap_door_close(NULL);
    fake_handin_free(&rig.handin, &rig.spool);
}

static void test_agent_stops(void **state)
{
    static struct rig rig;
    struct stop stop;
    (void)state;
    prepare(&rig);
    assert_int_equal(stop_open(&stop), 0);
    rig.options.stop = &stop;
    start(&rig);
    struct coap_message message = post(7, "pump", PAYLOAD_JSON, "{}");
    send_it(&rig, &message);
    while (fake_spool_tickets(&rig.spool) == 0)
        assert_false(coap_peer_has(rig.fd));
    stop_request(&stop);
    close_rig(&rig); /* and nobody waits any more */
    stop_close(&stop);
}

static void test_code_names(void **state)
{
    (void)state;
    size_t count = 0;
    while (coap_door_code_name(count) != NULL)
        assert_int_equal(strlen(coap_door_code_name(count++)), 4);
    assert_true(count <= COAP_DOOR_CODES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_durable_at_once),
        cmocka_unit_test(test_waits_for_flash),
        cmocka_unit_test(test_answers_late),
        cmocka_unit_test(test_answers_before_it_ends),
        cmocka_unit_test(test_port_of_somebody_else),
        cmocka_unit_test(test_two_lanes),
        cmocka_unit_test(test_no_record),
        cmocka_unit_test(test_codes),
        cmocka_unit_test(test_repeats),
        cmocka_unit_test(test_repeat_of_refused),
        cmocka_unit_test(test_not_confirmable),
        cmocka_unit_test(test_no_response),
        cmocka_unit_test(test_too_many_wait),
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_time_unknown),
        cmocka_unit_test(test_wrong_requests),
        cmocka_unit_test(test_too_big),
        cmocka_unit_test(test_throttle),
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_wrong_blocks),
        cmocka_unit_test(test_too_many_blocks),
        cmocka_unit_test(test_strangers),
        cmocka_unit_test(test_odd_datagrams),
        cmocka_unit_test(test_truncations),
        cmocka_unit_test(test_node_restarts),
        cmocka_unit_test(test_cannot_open),
        cmocka_unit_test(test_agent_stops),
        cmocka_unit_test(test_code_names),
        cmocka_unit_test(test_page_in_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
