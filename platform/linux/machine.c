/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/machine.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "platform/base/bytes.h"
#include "platform/base/error.h"
#include "platform/fs.h"
#include "platform/hash.h"

enum { LINE_BYTES = 256 };

/* ---- the serial number ---- */

/* What board makers write instead of a number: all machines of a kind would share it. */
static bool is_filler(const char *value)
{
    static const char *const fillers[] = {
        "to be filled by o.e.m.",
        "default string",
        "not specified",
        "not applicable",
        "none",
        "system serial number",
        "n/a",
        "unknown",
        "0123456789",
        "123456789",
        "invalid",
        "oem",
    };
    for (size_t i = 0; i < sizeof fillers / sizeof fillers[0]; i++)
        if (strcasecmp(value, fillers[i]) == 0)
            return true;
    return value[strspn(value, "0")] == '\0' || value[strspn(value, "fF")] == '\0';
}

/* The line "Serial : 00000000abcdef01" that ARM kernels print. */
static int read_cpuinfo(const char *root, char serial[MACHINE_SERIAL_BYTES])
{
    char path[FS_PATH_BYTES];
    char line[LINE_BYTES];
    int rc = E_NOT_FOUND;
    (void)snprintf(path, sizeof path, "%s/proc/cpuinfo", root);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return rc;
    while (rc < 0 && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "Serial", 6) == 0 && sscanf(line, "Serial : %127s", serial) == 1)
            rc = E_OK;
    (void)fclose(file);
    return rc;
}

int machine_get_serial(const char *root, char ret_serial[MACHINE_SERIAL_BYTES])
{
    static const char *const paths[] = {
        "/proc/device-tree/serial-number",
        "/sys/firmware/devicetree/base/serial-number",
        "", /* cpuinfo */
        "/sys/class/dmi/id/product_serial",
        "/sys/class/dmi/id/board_serial",
    };
    char serial[MACHINE_SERIAL_BYTES];
    int result = E_NOT_FOUND;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        int rc = paths[i][0] == '\0' ? read_cpuinfo(root, serial)
                                     : fs_read_value(root, paths[i], serial, sizeof serial);
        if (rc == E_OK && !is_filler(serial)) {
            (void)snprintf(ret_serial, MACHINE_SERIAL_BYTES, "%s", serial);
            return E_OK;
        }
        if (error_errno(rc) == EACCES)
            result = rc;
    }
    return result;
}

/* ---- the mark ---- */

static uint64_t hash_text(const char *text)
{
    uint8_t digest[HASH_SHA256_BYTES];
    hash_sha256(text, strlen(text), digest);
    uint64_t hash = bytes_get_le64(digest);
    return hash != 0 ? hash : 1;
}

/* On a bus that nobody plugs into. The kernel's link says on which: .../usb1/1-1/1-1:1.0/net/eth0,
 * .../virtual/net/lo. */
static bool is_built_in(const char *root, const char *name)
{
    char path[FS_PATH_BYTES];
    char target[FS_PATH_BYTES];
    int count = snprintf(path, sizeof path, "%s/sys/class/net/%s", root, name);
    if (count < 0 || (size_t)count >= sizeof path)
        return false;
    ssize_t got = readlink(path, target, sizeof target - 1);
    if (got <= 0)
        return false;
    target[got] = '\0';
    return strstr(target, "/usb") == NULL && strstr(target, "/virtual/") == NULL;
}

/* Not from a maker's range: a boot loader draws such ones by lot, perhaps at each start, and the
 * kernel takes them for the hardware's own (IEEE 802, 8.2.2: the U/L bit). */
static bool is_local(const char *address)
{
    return address[0] == '\0' || strchr("2367abef", address[1]) != NULL;
}

/* 0 unless the hardware itself brought it: neither drawn by lot, nor set by somebody. */
static uint64_t address_of(const char *root, const char *name)
{
    char path[FS_PATH_BYTES];
    char value[MACHINE_SERIAL_BYTES];
    (void)snprintf(path, sizeof path, "/sys/class/net/%.64s/addr_assign_type", name);
    if (!is_built_in(root, name) || fs_read_value(root, path, value, sizeof value) < 0 ||
        strcmp(value, "0") != 0)
        return 0;
    (void)snprintf(path, sizeof path, "/sys/class/net/%.64s/address", name);
    if (fs_read_value(root, path, value, sizeof value) < 0 || value[strspn(value, "0:")] == '\0' ||
        is_local(value))
        return 0;
    return hash_text(value);
}

/* Keeps the lowest: which are kept does not depend on the order of the interfaces. */
static void add_address(struct machine_mark *mark, uint64_t address)
{
    for (size_t i = 0; i < MACHINE_ADDRESSES_MAX && address != 0; i++) {
        uint64_t there = mark->addresses[i];
        if (there == address)
            return;
        if (there == 0 || address < there) {
            mark->addresses[i] = address;
            address = there;
        }
    }
}

void machine_get_mark(const char *root, struct machine_mark *ret_mark)
{
    char path[FS_PATH_BYTES];
    char serial[MACHINE_SERIAL_BYTES];
    struct machine_mark mark = {0};
    if (machine_get_serial(root, serial) == E_OK)
        mark.serial = hash_text(serial);
    (void)snprintf(path, sizeof path, "%s/sys/class/net", root);
    DIR *directory = opendir(path);
    for (const struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;)
        if (entry->d_name[0] != '.')
            add_address(&mark, address_of(root, entry->d_name));
    if (directory != NULL)
        (void)closedir(directory);
    *ret_mark = mark;
}

static bool has_address(const struct machine_mark *mark, uint64_t address)
{
    for (size_t i = 0; i < MACHINE_ADDRESSES_MAX; i++)
        if (mark->addresses[i] == address)
            return true;
    return false;
}

static bool shares_address(const struct machine_mark *a, const struct machine_mark *b)
{
    for (size_t i = 0; i < MACHINE_ADDRESSES_MAX; i++)
        if (a->addresses[i] != 0 && has_address(b, a->addresses[i]))
            return true;
    return false;
}

bool machine_is_other(const struct machine_mark *before, const struct machine_mark *now)
{
    if (before->serial != 0 && now->serial != 0)
        return before->serial != now->serial;
    return before->addresses[0] != 0 && now->addresses[0] != 0 && !shares_address(before, now);
}

void machine_learn(struct machine_mark *mark, const struct machine_mark *now)
{
    struct machine_mark learnt = *mark;
    if (now->serial != 0)
        learnt.serial = now->serial;
    if (now->addresses[0] != 0 && !shares_address(mark, now))
        memset(learnt.addresses, 0, sizeof learnt.addresses); /* its interfaces were replaced */
    for (size_t i = 0; i < MACHINE_ADDRESSES_MAX; i++)
        add_address(&learnt, now->addresses[i]);
    *mark = learnt;
}

/* ---- its watchdogs ---- */

bool machine_was_reset(const char *root)
{
    enum { WATCHDOGS_MAX = 4, CARD_RESET = 0x20 }; /* linux/watchdog.h */
    for (int i = 0; i < WATCHDOGS_MAX; i++) {
        char path[64];
        char value[24];
        (void)snprintf(path, sizeof path, "/sys/class/watchdog/watchdog%d/bootstatus", i);
        if (fs_read_value(root, path, value, sizeof value) == E_OK &&
            (strtoul(value, NULL, 0) & CARD_RESET) != 0)
            return true;
    }
    return false;
}
