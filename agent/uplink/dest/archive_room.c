/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/uplink/dest/archive_room.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/uplink/dest/object.h"
#include "platform/base/error.h"

/* From the archive down: days, hours, devices, objects. */
enum level { LEVEL_DAY, LEVEL_HOUR, LEVEL_DEVICE, LEVEL_OBJECT };

enum { NAME_BYTES = 256, STAT_BLOCK_BYTES = 512 };

/* A digit for each d of FORM. */
static bool has_form(const char *name, const char *form)
{
    for (; *form != '\0'; form++, name++)
        if (*form == 'd' ? *name < '0' || *name > '9' : *name != *form)
            return false;
    return *name == '\0';
}

static bool is_ours(const char *name, enum level level, const char *device)
{
    switch (level) {
    case LEVEL_DAY:
        return strncmp(name, "dt=", 3) == 0 && has_form(name + 3, "dddd-dd-dd");
    case LEVEL_HOUR:
        return has_form(name, "hour=dd");
    case LEVEL_DEVICE:
        return strcmp(name, device) == 0;
    default:
        return object_is_name(name);
    }
}

static int open_child(int parent, const char *name)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? error_sys(errno) : fd;
}

/* A list of its own, which has its own place in the directory. */
static int open_list(int directory, DIR **ret_list)
{
    int fd = open_child(directory, ".");
    if (fd < 0)
        return fd;
    *ret_list = fdopendir(fd);
    if (*ret_list != NULL)
        return E_OK;
    int rc = error_sys(errno);
    (void)close(fd);
    return rc;
}

/* The first of our names behind AFTER, in the order of the alphabet. E_END: there is none. */
static int next_name(int directory, enum level level, const char *device, const char *after,
                     char ret_name[NAME_BYTES])
{
    char best[NAME_BYTES] = "";
    DIR *list;
    int rc = open_list(directory, &list);
    if (rc < 0)
        return rc;
    errno = 0;
    for (struct dirent *entry; (entry = readdir(list)) != NULL;)
        if (is_ours(entry->d_name, level, device) && strcmp(entry->d_name, after) > 0 &&
            (best[0] == '\0' || strcmp(entry->d_name, best) < 0))
            strcpy(best, entry->d_name); /* NAME_BYTES hold any name */
    rc = errno != 0 ? error_sys(errno) : best[0] == '\0' ? E_END : E_OK;
    (void)closedir(list);
    if (rc == E_OK)
        strcpy(ret_name, best);
    return rc;
}

/* A small file takes a whole block, which on a card may have 64 KiB. */
static uint64_t bytes_of(const struct stat *status)
{
    uint64_t blocks_bytes = (uint64_t)status->st_blocks * STAT_BLOCK_BYTES;
    uint64_t size_bytes = (uint64_t)status->st_size;
    return blocks_bytes > size_bytes ? blocks_bytes : size_bytes;
}

/* E_END: it is no file, or somebody has just taken it away. */
static int size_of(int directory, const char *name, uint64_t *ret_bytes)
{
    struct stat status;
    if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? E_END : error_sys(errno);
    if (!S_ISREG(status.st_mode))
        return E_END;
    *ret_bytes = bytes_of(&status);
    return E_OK;
}

int archive_room_taken(int file, uint64_t *ret_bytes)
{
    struct stat status;
    if (fstat(file, &status) < 0)
        return error_sys(errno);
    *ret_bytes = bytes_of(&status);
    return E_OK;
}

/* Somebody else's, or gone by now. */
static bool is_no_directory(int code)
{
    return error_errno(code) == ENOTDIR || error_errno(code) == ELOOP ||
           error_errno(code) == ENOENT;
}

/* ---- measuring ---- */

static int measure(int directory, enum level level, const char *device, uint64_t *bytes);

static int measure_child(int directory, const char *name, enum level level, const char *device,
                         uint64_t *bytes)
{
    uint64_t size = 0;
    if (level == LEVEL_OBJECT) {
        int rc = size_of(directory, name, &size);
        *bytes += size;
        return rc == E_END ? E_OK : rc;
    }
    int child = open_child(directory, name);
    if (child < 0)
        return is_no_directory(child) ? E_OK : child;
    int rc = measure(child, level + 1, device, bytes);
    (void)close(child);
    return rc;
}

static int measure(int directory, enum level level, const char *device, uint64_t *bytes)
{
    DIR *list;
    int rc = open_list(directory, &list);
    if (rc < 0)
        return rc;
    while (rc == E_OK) {
        errno = 0;
        const struct dirent *entry = readdir(list);
        if (entry == NULL) {
            rc = errno != 0 ? error_sys(errno) : E_OK;
            break;
        }
        if (is_ours(entry->d_name, level, device))
            rc = measure_child(directory, entry->d_name, level, device, bytes);
    }
    (void)closedir(list);
    return rc;
}

int archive_room_measure(int root, const char *device, uint64_t *ret_bytes)
{
    uint64_t bytes = 0;
    int rc = measure(root, LEVEL_DAY, device, &bytes);
    if (rc == E_OK)
        *ret_bytes = bytes;
    return rc;
}

/* ---- giving ---- */

static int delete_oldest(int directory, enum level level, const char *device, uint64_t *ret_bytes);

static int delete_object(int directory, const char *name, uint64_t *ret_bytes)
{
    uint64_t bytes = 0;
    int rc = size_of(directory, name, &bytes);
    if (rc == E_OK && unlinkat(directory, name, 0) < 0)
        rc = error_sys(errno);
    if (rc == E_OK)
        *ret_bytes = bytes;
    return rc;
}

/* What others put into the directory keeps it. */
static int delete_below(int directory, const char *name, enum level level, const char *device,
                        uint64_t *ret_bytes)
{
    int child = open_child(directory, name);
    if (child < 0)
        return is_no_directory(child) ? E_END : child;
    int rc = delete_oldest(child, level + 1, device, ret_bytes);
    (void)close(child);
    (void)unlinkat(directory, name, AT_REMOVEDIR);
    return rc;
}

static int delete_oldest(int directory, enum level level, const char *device, uint64_t *ret_bytes)
{
    char name[NAME_BYTES] = "";
    int rc = E_END;
    while (rc == E_END) {
        rc = next_name(directory, level, device, name, name);
        if (rc < 0)
            return rc;
        rc = level == LEVEL_OBJECT ? delete_object(directory, name, ret_bytes)
                                   : delete_below(directory, name, level, device, ret_bytes);
    }
    return rc;
}

int archive_room_give(int root, const char *device, uint64_t bytes)
{
    uint64_t given_bytes = 0;
    int rc = E_OK;
    for (uint64_t left_bytes = bytes; rc == E_OK && left_bytes > 0;) {
        rc = delete_oldest(root, LEVEL_DAY, device, &given_bytes);
        if (rc == E_OK)
            left_bytes -= given_bytes < left_bytes ? given_bytes : left_bytes;
    }
    return rc == E_END ? E_OK : rc; /* the others are gone by now */
}
