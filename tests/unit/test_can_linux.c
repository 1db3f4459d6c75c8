/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "drivers/can/can_linux.h"
#include "platform/base/error.h"

/* What the kernel gives next. */
static struct {
    int error; /* errno; 0: none */
    ssize_t bytes;
    struct canfd_frame frame;
    bool has_control;
    struct timespec time;
    uint32_t dropped;
} kernel;

ssize_t __wrap_recvmsg(int fd, struct msghdr *message, int flags);

static struct cmsghdr *put(struct msghdr *message, struct cmsghdr *part, int type,
                           const void *bytes, size_t count)
{
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = type;
    part->cmsg_len = CMSG_LEN(count);
    memcpy(CMSG_DATA(part), bytes, count);
    return CMSG_NXTHDR(message, part);
}

ssize_t __wrap_recvmsg(int fd, struct msghdr *message, int flags)
{
    (void)fd;
    (void)flags;
    if (kernel.error != 0) {
        errno = kernel.error;
        return -1;
    }
    assert_true(message->msg_iov[0].iov_len >= sizeof kernel.frame);
    memcpy(message->msg_iov[0].iov_base, &kernel.frame, sizeof kernel.frame);
    memset(message->msg_control, 0, message->msg_controllen);
    if (kernel.has_control) {
        struct cmsghdr *part = CMSG_FIRSTHDR(message);
        part = put(message, part, SO_TIMESTAMPNS, &kernel.time, sizeof kernel.time);
        assert_non_null(part);
        (void)put(message, part, SO_RXQ_OVFL, &kernel.dropped, sizeof kernel.dropped);
        message->msg_controllen =
            CMSG_SPACE(sizeof kernel.time) + CMSG_SPACE(sizeof kernel.dropped);
    } else {
        message->msg_controllen = 0;
    }
    return kernel.bytes;
}

static void test_a_frame_has_its_time_and_what_was_dropped(void **state)
{
    struct can_linux_frame frame;
    (void)state;
    memset(&kernel, 0, sizeof kernel);
    kernel.bytes = CAN_MTU;
    kernel.frame = (struct canfd_frame){.can_id = 0x123, .len = 8, .data = {1, 2, 3}};
    kernel.has_control = true;
    kernel.time = (struct timespec){.tv_sec = 1700000000, .tv_nsec = 5};
    kernel.dropped = 7;
    assert_int_equal(can_linux_receive(3, &frame), 0);
    assert_int_equal(frame.frame.can_id, 0x123);
    assert_int_equal(frame.frame.data[2], 3);
    assert_int_equal(frame.wall_ns, INT64_C(1700000000000000005));
    assert_int_equal(frame.dropped, 7);
    kernel.has_control = false;
    assert_int_equal(can_linux_receive(3, &frame), 0);
    assert_int_equal(frame.wall_ns, 0);
}

static void test_what_is_no_frame_is_refused(void **state)
{
    static const struct {
        ssize_t bytes;
        uint8_t length;
        int rc;
    } sizes[] = {{CAN_MTU, 8, 0},           {CANFD_MTU, 64, 0},         {CAN_MTU, 9, E_SYNTAX},
                 {CANFD_MTU, 65, E_SYNTAX}, {CAN_MTU - 1, 8, E_SYNTAX}, {0, 0, E_SYNTAX}};
    struct can_linux_frame frame;
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        memset(&kernel, 0, sizeof kernel);
        kernel.bytes = sizes[i].bytes;
        kernel.frame.len = sizes[i].length;
        assert_int_equal(can_linux_receive(3, &frame), sizes[i].rc);
    }
}

static void test_errors_are_passed_on(void **state)
{
    struct can_linux_frame frame;
    (void)state;
    memset(&kernel, 0, sizeof kernel);
    kernel.error = EAGAIN;
    assert_int_equal(can_linux_receive(3, &frame), E_AGAIN);
    kernel.error = ENETDOWN;
    assert_int_equal(error_errno(can_linux_receive(3, &frame)), ENETDOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_frame_has_its_time_and_what_was_dropped),
        cmocka_unit_test(test_what_is_no_frame_is_refused),
        cmocka_unit_test(test_errors_are_passed_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
