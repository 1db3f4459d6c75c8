/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/net_links.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "platform/base/error.h"

enum { ROUTE_BYTES = 256, RTF_IS_UP = 1 };

/* NULL: there is no room for another. */
static struct net_link *find(struct net_link links[NET_LINKS_MAX], size_t *count, const char *name)
{
    for (size_t i = 0; i < *count; i++)
        if (strcmp(links[i].name, name) == 0)
            return &links[i];
    if (*count == NET_LINKS_MAX)
        return NULL;
    struct net_link *link = &links[(*count)++];
    *link = (struct net_link){.up = false};
    (void)snprintf(link->name, sizeof link->name, "%.15s", name);
    return link;
}

static bool leads_on(const struct sockaddr *address)
{
    if (address == NULL)
        return false;
    if (address->sa_family == AF_INET)
        return true;
    const struct sockaddr_in6 *six = (const void *)address;
    return address->sa_family == AF_INET6 && !IN6_IS_ADDR_LINKLOCAL(&six->sin6_addr);
}

static void take(struct net_link *link, const struct ifaddrs *entry)
{
    link->up = (entry->ifa_flags & IFF_UP) != 0;
    link->carrier = link->up && (entry->ifa_flags & IFF_RUNNING) != 0;
    link->has_address = link->has_address || leads_on(entry->ifa_addr);
}

/* A line of proc(5)'s /proc/net/route; the destination and the mask are zero. */
static bool is_default4(const char *line, char name[NET_LINK_NAME_BYTES])
{
    unsigned long destination, gateway, mask;
    unsigned flags;
    int count = sscanf(line, "%15s %lx %lx %x %*s %*s %*s %lx", name, &destination, &gateway,
                       &flags, &mask);
    return count == 5 && destination == 0 && mask == 0 && (flags & RTF_IS_UP) != 0;
}

/* Of /proc/net/ipv6_route: destination and its length, source and its length, next hop, metric, two
 * counters, flags, name. */
static bool is_default6(const char *line, char name[NET_LINK_NAME_BYTES])
{
    char destination[33];
    unsigned bits, flags;
    int count =
        sscanf(line, "%32s %x %*s %*s %*s %*s %*s %*s %x %15s", destination, &bits, &flags, name);
    return count == 4 && bits == 0 && strspn(destination, "0") == 32 && (flags & RTF_IS_UP) != 0;
}

/* No such file: this kernel does not speak that family. */
static void note_defaults(const char *path, bool (*is_default)(const char *line, char *name),
                          struct net_link *links, size_t count)
{
    char line[ROUTE_BYTES];
    char name[NET_LINK_NAME_BYTES];
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (is_default(line, name))
            for (size_t i = 0; i < count; i++)
                links[i].has_default |= strcmp(links[i].name, name) == 0;
    if (file != NULL)
        (void)fclose(file);
}

int net_links(struct net_link links[NET_LINKS_MAX], size_t *ret_count)
{
    struct ifaddrs *list;
    size_t count = 0;
    if (getifaddrs(&list) < 0)
        return error_sys(errno);
    for (const struct ifaddrs *entry = list; entry != NULL; entry = entry->ifa_next) {
        if ((entry->ifa_flags & IFF_LOOPBACK) != 0)
            continue;
        struct net_link *link = find(links, &count, entry->ifa_name);
        if (link != NULL)
            take(link, entry);
    }
    freeifaddrs(list);
    note_defaults("/proc/net/route", is_default4, links, count);
    note_defaults("/proc/net/ipv6_route", is_default6, links, count);
    *ret_count = count;
    return E_OK;
}
