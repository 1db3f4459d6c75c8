/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/intake/coap_door.h"
#include "platform/base/error.h"
#include "platform/clock.h"
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
        memcpy(body, message->payload, message->payload_bytes);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_durable_at_once), cmocka_unit_test(test_waits_for_flash),
        cmocka_unit_test(test_answers_late),    cmocka_unit_test(test_two_lanes),
        cmocka_unit_test(test_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
