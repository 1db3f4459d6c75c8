/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform/net_watch.h"

struct message {
    struct nlmsghdr header;
    struct ifinfomsg link;
};

static struct message message_of(uint16_t type, int index, unsigned flags)
{
    return (struct message){.header = {.nlmsg_len = sizeof(struct message), .nlmsg_type = type},
                            .link = {.ifi_index = index, .ifi_flags = flags}};
}

static bool told(struct net_watch *watch, uint16_t type, int index, unsigned flags)
{
    struct message message = message_of(type, index, flags);
    return net_watch_parse(watch, &message, sizeof message);
}

static void test_what_makes_it_better(void **state)
{
    (void)state;
    struct net_watch watch = {.fd = -1};
    assert_true(told(&watch, RTM_NEWADDR, 2, 0));
    assert_true(told(&watch, RTM_NEWROUTE, 2, 0));
    assert_false(told(&watch, RTM_DELADDR, 2, 0));
    assert_false(told(&watch, RTM_DELROUTE, 2, 0));
    assert_false(told(&watch, RTM_DELLINK, 2, 0));
}

/* A wireless link is told of with each scan. */
static void test_links_that_were_down(void **state)
{
    (void)state;
    struct net_watch watch = {.fd = -1};
    assert_false(told(&watch, RTM_NEWLINK, 2, IFF_UP | IFF_RUNNING));
    assert_false(told(&watch, RTM_NEWLINK, 2, IFF_UP));
    assert_false(told(&watch, RTM_NEWLINK, 3, IFF_UP | IFF_RUNNING));
    assert_true(told(&watch, RTM_NEWLINK, 2, IFF_UP | IFF_RUNNING));
    assert_false(told(&watch, RTM_NEWLINK, 2, IFF_UP | IFF_RUNNING));
}

static void test_several_in_one(void **state)
{
    (void)state;
    struct net_watch watch = {.fd = -1};
    struct message messages[] = {message_of(RTM_NEWLINK, 2, 0), message_of(RTM_DELROUTE, 2, 0),
                                 message_of(RTM_NEWLINK, 2, IFF_RUNNING)};
    assert_true(net_watch_parse(&watch, messages, sizeof messages));
    for (size_t count = 0; count < sizeof messages; count++) {
        watch.down = 0;
        assert_false(net_watch_parse(&watch, messages, count));
    }
    messages[0].header.nlmsg_len = 3;
    assert_false(net_watch_parse(&watch, messages, sizeof messages));
    messages[0].header.nlmsg_len = UINT32_MAX;
    assert_false(net_watch_parse(&watch, messages, sizeof messages));
}

static void test_closed(void **state)
{
    (void)state;
    struct net_watch watch = {.fd = -1};
    assert_false(net_watch_better(&watch));
    net_watch_close(&watch);
}

/* In a network of its own, where there is a loopback device alone. */
static void test_the_kernel_tells(void **state)
{
    (void)state;
    struct net_watch watch;
    struct ifreq request = {.ifr_name = "lo"};
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
        skip();
    assert_int_equal(net_watch_open(&watch), 0);
    assert_false(net_watch_better(&watch));
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    request.ifr_flags = IFF_UP;
    if (ioctl(fd, SIOCSIFFLAGS, &request) != 0)
        skip();
    struct pollfd poll_fd = {.fd = watch.fd, .events = POLLIN};
    assert_int_equal(poll(&poll_fd, 1, 30000), 1);
    assert_true(net_watch_better(&watch));
    assert_false(net_watch_better(&watch));
    (void)close(fd);
    net_watch_close(&watch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_makes_it_better), cmocka_unit_test(test_links_that_were_down),
        cmocka_unit_test(test_several_in_one),       cmocka_unit_test(test_closed),
        cmocka_unit_test(test_the_kernel_tells),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
