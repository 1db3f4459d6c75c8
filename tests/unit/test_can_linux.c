/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "drivers/can/can_linux.h"
#include "platform/base/error.h"
#include "platform/clock.h"

/* UDP of this machine in the place of a bus: the kernel stamps and drops datagrams as it does
 * frames. */
struct wire {
    int receiver;
    int sender;
    bool has_stamps; /* an emulator of another machine's programs may not know them */
};

static int set_up(void **state)
{
    static struct wire wire;
    const int on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof address;
    wire.receiver = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    wire.sender = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(wire.receiver, (struct sockaddr *)&address, bytes), 0);
    assert_int_equal(getsockname(wire.receiver, (struct sockaddr *)&address, &bytes), 0);
    assert_int_equal(connect(wire.sender, (struct sockaddr *)&address, bytes), 0);
    wire.has_stamps = setsockopt(wire.receiver, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on) == 0 &&
                      setsockopt(wire.receiver, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof on) == 0;
    *state = &wire;
    return 0;
}

static int tear_down(void **state)
{
    struct wire *wire = *state;
    (void)close(wire->receiver);
    (void)close(wire->sender);
    return 0;
}

static void put(const struct wire *wire, const struct canfd_frame *frame, size_t bytes)
{
    assert_int_equal(send(wire->sender, frame, bytes, 0), (ssize_t)bytes);
}

static int receive(const struct wire *wire, struct can_linux_frame *ret_frame)
{
    struct pollfd ready = {.fd = wire->receiver, .events = POLLIN};
    assert_int_equal(poll(&ready, 1, 10000), 1);
    return can_linux_receive(wire->receiver, ret_frame);
}

static void test_a_frame_has_the_time_when_it_came(void **state)
{
    const struct canfd_frame sent = {.can_id = 0x123, .len = 8, .data = {1, 2, 3}};
    const struct wire *wire = *state;
    struct can_linux_frame frame;
    int64_t before_ms = clock_wall_ms();
    if (!wire->has_stamps)
        skip();
    put(wire, &sent, CAN_MTU);
    assert_int_equal(receive(wire, &frame), 0);
    assert_int_equal(frame.frame.can_id, 0x123);
    assert_int_equal(frame.frame.len, 8);
    assert_int_equal(frame.frame.data[2], 3);
    assert_in_range(frame.wall_ns / 1000000, before_ms, clock_wall_ms());
    assert_int_equal(frame.dropped, 0);
    assert_int_equal(can_linux_receive(wire->receiver, &frame), E_AGAIN);
}

static void test_what_did_not_fit_is_counted(void **state)
{
    const struct canfd_frame sent = {.can_id = 0x123, .len = 8};
    const struct wire *wire = *state;
    const int small = 1;
    struct can_linux_frame frame;
    uint32_t dropped = 0;
    unsigned received = 0;
    if (!wire->has_stamps)
        skip();
    assert_int_equal(setsockopt(wire->receiver, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    for (unsigned i = 0; i < 100; i++)
        put(wire, &sent, CAN_MTU);
    while (can_linux_receive(wire->receiver, &frame) == 0)
        received++;
    put(wire, &sent, CAN_MTU); /* tells of those that were dropped before it */
    assert_int_equal(receive(wire, &frame), 0);
    dropped = frame.dropped;
    assert_true(dropped > 0);
    assert_int_equal(received + dropped, 100);
}

static void test_what_is_no_frame_is_refused(void **state)
{
    static const struct {
        size_t bytes;
        uint8_t length;
        int rc;
    } sizes[] = {{CAN_MTU, 8, 0},           {CANFD_MTU, 64, 0},         {CAN_MTU, 9, E_SYNTAX},
                 {CANFD_MTU, 65, E_SYNTAX}, {CAN_MTU - 1, 8, E_SYNTAX}, {0, 0, E_SYNTAX}};
    const struct wire *wire = *state;
    struct can_linux_frame frame;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const struct canfd_frame sent = {.len = sizes[i].length};
        put(wire, &sent, sizes[i].bytes);
        assert_int_equal(receive(wire, &frame), sizes[i].rc);
    }
}

static void test_errors_are_passed_on(void **state)
{
    struct can_linux_frame frame;
    int index;
    unsigned flags;
    (void)state;
    assert_int_equal(error_errno(can_linux_receive(-1, &frame)), EBADF);
    /* whether this kernel has CAN or not, it has no such bus */
    assert_true(can_linux_interface("no-such-bus0", &index, &flags) < 0);
    assert_true(can_linux_open(1 << 30, NULL, 0) < 0);
}

static void test_both_clocks_go(void **state)
{
    int64_t wall_ns = 0;
    int64_t boot_ns = 0;
    (void)state;
    can_linux_now(&wall_ns, &boot_ns);
    assert_true(wall_ns > 0);
    assert_true(boot_ns > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_frame_has_the_time_when_it_came), TEST(test_what_did_not_fit_is_counted),
        TEST(test_what_is_no_frame_is_refused),       cmocka_unit_test(test_errors_are_passed_on),
        cmocka_unit_test(test_both_clocks_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
