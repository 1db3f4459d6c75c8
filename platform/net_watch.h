/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_PLATFORM_NET_WATCH_H
#define RUNNEL_PLATFORM_NET_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * What the kernel tells of this machine's network (rtnetlink(7)): whether more may be reached than
 * before, as an address or a route was added, or a link that was down is up. For one thread.
 */
struct net_watch {
    int fd;        /* to wait for (POLLIN); -1: nothing is told */
    uint64_t down; /* links that were seen down, a bit for each index modulo 64 */
};

int net_watch_open(struct net_watch *ret_watch); /* error_sys; then fd is -1 */
void net_watch_close(struct net_watch *watch);   /* also one whose fd is -1 */

/** Takes what was told since the last call: whether more may be reached. Does not wait. */
bool net_watch_better(struct net_watch *watch);

/** The same of the COUNT BYTES of one message; whole or not, as the kernel is believed. */
bool net_watch_parse(struct net_watch *watch, const void *bytes, size_t count);

#endif
