/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_PLATFORM_NET_LINKS_H
#define RUNNEL_PLATFORM_NET_LINKS_H

#include <stdbool.h>
#include <stddef.h>

/** The network interfaces of this machine, as the kernel sees them now. */
enum { NET_LINKS_MAX = 16, NET_LINK_NAME_BYTES = 16 };

struct net_link {
    char name[NET_LINK_NAME_BYTES];
    bool up;          /* somebody switched it on */
    bool carrier;     /* and at its other end there is something */
    bool has_address; /* that leads further than to the next neighbour */
    bool has_default; /* a default route leads through it */
};

/** All but the loopback, the first NET_LINKS_MAX of them. 0; error_sys. */
int net_links(struct net_link links[NET_LINKS_MAX], size_t *ret_count);

#endif
