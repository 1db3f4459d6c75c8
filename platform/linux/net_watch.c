/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/net_watch.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform/base/error.h"

enum { MESSAGE_BYTES = 8192, LINKS = 64 };

int net_watch_open(struct net_watch *ret_watch)
{
    const struct sockaddr_nl groups = {.nl_family = AF_NETLINK,
                                       .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR |
                                                    RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE |
                                                    RTMGRP_IPV6_ROUTE};
    *ret_watch = (struct net_watch){.fd = -1};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    if (fd < 0)
        return error_sys(errno);
    if (bind(fd, (const struct sockaddr *)&groups, sizeof groups) != 0) {
        int rc = error_sys(errno);
        (void)close(fd);
        return rc;
    }
    ret_watch->fd = fd;
    return E_OK;
}

void net_watch_close(struct net_watch *watch)
{
    if (watch->fd >= 0)
        (void)close(watch->fd);
    watch->fd = -1;
}

/* Links are told of for many reasons, so only one that was down counts. IFF_RUNNING is the carrier:
 * a plug that was pulled and is in again leaves addresses and routes as they were. */
static bool link_came_up(struct net_watch *watch, const struct ifinfomsg *link)
{
    uint64_t bit = UINT64_C(1) << ((unsigned)link->ifi_index % LINKS);
    bool was_down = (watch->down & bit) != 0;
    bool runs = (link->ifi_flags & IFF_RUNNING) != 0;
    watch->down = runs ? watch->down & ~bit : watch->down | bit;
    return was_down && runs;
}

bool net_watch_parse(struct net_watch *watch, const void *bytes, size_t count)
{
    const uint8_t *at = bytes;
    bool better = false;
    struct nlmsghdr header;
    struct ifinfomsg link;
    while (count >= sizeof header) {
        memcpy(&header, at, sizeof header);
        if (header.nlmsg_len < sizeof header || header.nlmsg_len > count)
            break;
        better = better || header.nlmsg_type == RTM_NEWADDR || header.nlmsg_type == RTM_NEWROUTE;
        if (header.nlmsg_type == RTM_NEWLINK && header.nlmsg_len >= NLMSG_LENGTH(sizeof link)) {
            memcpy(&link, at + NLMSG_HDRLEN, sizeof link);
            better = link_came_up(watch, &link) || better;
        }
        size_t whole = NLMSG_ALIGN(header.nlmsg_len);
        if (whole >= count)
            break;
        at += whole;
        count -= whole;
    }
    return better;
}

bool net_watch_better(struct net_watch *watch)
{
    uint8_t bytes[MESSAGE_BYTES];
    bool better = false;
    while (watch->fd >= 0) {
        ssize_t count = recv(watch->fd, bytes, sizeof bytes, 0);
        if (count > 0)
            better = net_watch_parse(watch, bytes, (size_t)count) || better;
        else if (count < 0 && errno == ENOBUFS)
            better = true; /* so much changed that the kernel could not tell all of it */
        else if (count == 0 || errno != EINTR)
            break;
    }
    return better;
}
