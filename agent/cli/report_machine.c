/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/report_machine.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <inttypes.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <time.h>

#include "agent/control/human.h"
#include "platform/clock.h"
#include "platform/fs.h"
#include "platform/net_links.h"

enum { LINE_BYTES = 512, FILE_BYTES = 8192 };

/* ---- files of the system ---- */

/* The first line of PATH, if there is one. */
static void put_first_line(struct report_filter *to, const char *what, const char *path)
{
    char text[FILE_BYTES];
    if (fs_read_file(path, text, sizeof text) <= 0)
        return;
    report_filter_line(to, "%-12s %.*s\n", what, (int)strcspn(text, "\n"), text);
}

/* The lines of PATH that begin with one of the words in STARTS, which ends with a NULL. */
static void put_lines(struct report_filter *to, const char *path, const char *const starts[])
{
    char text[FILE_BYTES];
    int count = fs_read_file(path, text, sizeof text);
    for (const char *line = text; count > 0 && *line != '\0';) {
        size_t length = strcspn(line, "\n");
        for (size_t i = 0; starts[i] != NULL; i++)
            if (strncmp(line, starts[i], strlen(starts[i])) == 0)
                report_filter_line(to, "%.*s\n", (int)length, line);
        line += length + (line[length] == '\n');
    }
}

void report_machine_system(struct report_filter *to)
{
    static const char *const names[] = {"PRETTY_NAME=", NULL};
    static const char *const sizes[] = {
        "MemTotal:", "MemFree:", "MemAvailable:", "SwapTotal:", NULL};
    struct utsname system;
    if (uname(&system) == 0)
        report_filter_line(to, "%-12s %s %s %s %s\n", "kernel", system.sysname, system.release,
                           system.version, system.machine);
    put_first_line(to, "model", "/proc/device-tree/model");
    put_first_line(to, "product", "/sys/class/dmi/id/product_name");
    put_lines(to, "/etc/os-release", names);
    report_filter_line(to, "%-12s %s\n", "up for", HUMAN_AGE_TEXT(clock_boot_ms()));
    put_first_line(to, "load", "/proc/loadavg");
    put_lines(to, "/proc/meminfo", sizes);
}

void report_machine_clock(struct report_filter *to)
{
    char date[32] = "";
    struct tm utc;
    time_t now = (time_t)(clock_wall_ms() / 1000);
    if (gmtime_r(&now, &utc) != NULL)
        (void)strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", &utc);
    report_filter_line(to, "system clock %s, the kernel %s\n", date,
                       clock_kernel_synced() ? "calls it synchronised" : "does not vouch for it");
}

/* ---- disks ---- */

/* A server that is away would keep us waiting. */
static bool is_remote(const char *type)
{
    static const char *const types[] = {"nfs",  "cifs", "smb",    "9p",
                                        "ceph", "afs",  "autofs", "fuse"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strncmp(type, types[i], strlen(types[i])) == 0)
            return true;
    return false;
}

static void put_mount(struct report_filter *to, const struct mntent *mount)
{
    struct statvfs space;
    if (is_remote(mount->mnt_type)) {
        report_filter_line(to, "%-9s    not looked at  %s\n", mount->mnt_type, mount->mnt_dir);
        return;
    }
    if (statvfs(mount->mnt_dir, &space) < 0 || space.f_blocks == 0)
        return; /* of no size, such as proc */
    report_filter_line(to, "%-9s %-2s %10s %10s free %9" PRIu64 " inodes  %s\n", mount->mnt_type,
                       (space.f_flag & ST_RDONLY) != 0 ? "ro" : "rw",
                       HUMAN_BYTES_TEXT((uint64_t)space.f_blocks * space.f_frsize),
                       HUMAN_BYTES_TEXT((uint64_t)space.f_bavail * space.f_frsize),
                       (uint64_t)space.f_favail, mount->mnt_dir);
}

void report_machine_disks(struct report_filter *to)
{
    FILE *mounts = setmntent("/proc/self/mounts", "re");
    char names[LINE_BYTES];
    struct mntent mount;
    while (mounts != NULL && getmntent_r(mounts, &mount, names, sizeof names) != NULL)
        put_mount(to, &mount);
    if (mounts != NULL)
        (void)endmntent(mounts);
}

/* ---- the network ---- */

static void put_attribute(struct report_filter *to, const char *interface, const char *name)
{
    char path[FS_PATH_BYTES];
    char text[FILE_BYTES];
    (void)snprintf(path, sizeof path, "/sys/class/net/%s/%s", interface, name);
    if (fs_read_file(path, text, sizeof text) > 0)
        report_filter_line(to, " %.*s", (int)strcspn(text, "\n"), text);
}

static void put_link(struct report_filter *to, const struct net_link *link)
{
    report_filter_line(to, "%-12s %s%s%s,", link->name, link->up ? "up" : "down",
                       link->carrier ? ", has a carrier" : "",
                       link->has_default ? ", default route" : "");
    put_attribute(to, link->name, "address");
    report_filter_line(to, "\n");
}

static void put_address(struct report_filter *to, const struct ifaddrs *entry)
{
    char text[INET6_ADDRSTRLEN] = "";
    const void *address =
        entry->ifa_addr->sa_family == AF_INET6
            ? (const void *)&((const struct sockaddr_in6 *)(const void *)entry->ifa_addr)->sin6_addr
            : (const void *)&((const struct sockaddr_in *)(const void *)entry->ifa_addr)->sin_addr;
    if (inet_ntop(entry->ifa_addr->sa_family, address, text, sizeof text) != NULL)
        report_filter_line(to, "%-12s %s\n", entry->ifa_name, text);
}

static void put_addresses(struct report_filter *to)
{
    struct ifaddrs *all = NULL;
    if (getifaddrs(&all) < 0)
        return;
    for (const struct ifaddrs *entry = all; entry != NULL; entry = entry->ifa_next)
        if (entry->ifa_addr != NULL &&
            (entry->ifa_addr->sa_family == AF_INET || entry->ifa_addr->sa_family == AF_INET6))
            put_address(to, entry);
    freeifaddrs(all);
}

void report_machine_network(struct report_filter *to)
{
    static const char *const servers[] = {"nameserver", "search", NULL};
    struct net_link links[NET_LINKS_MAX];
    size_t count = 0;
    (void)net_links(links, &count);
    for (size_t i = 0; i < count; i++)
        put_link(to, &links[i]);
    put_addresses(to);
    put_lines(to, "/etc/resolv.conf", servers);
}
