/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/fs.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "platform/base/error.h"

int fs_join(const char *directory, const char *name, char *path, size_t path_bytes)
{
    size_t length = strlen(directory);
    const char *slash = length > 0 && directory[length - 1] == '/' ? "" : "/";
    int count = snprintf(path, path_bytes, "%s%s%s", directory, slash, name);
    return count < 0 || (size_t)count >= path_bytes ? E_TOO_BIG : 0;
}

static int read_all(int fd, char *buffer, size_t buffer_bytes)
{
    size_t used = 0;
    while (used < buffer_bytes) {
        ssize_t got = read(fd, buffer + used, buffer_bytes - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_sys(errno);
        if (got == 0) {
            buffer[used] = '\0';
            return (int)used;
        }
        used += (size_t)got;
    }
    return E_TOO_BIG;
}

int fs_read_file(const char *path, char *buffer, size_t buffer_bytes)
{
    /* Non-blocking: a path may name a FIFO that nobody writes to. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return error_sys(errno);
    int rc = read_all(fd, buffer, buffer_bytes);
    (void)close(fd);
    return rc;
}

int fs_read_value(const char *root, const char *path, char *value, size_t value_bytes)
{
    char full[FS_PATH_BYTES];
    int count = snprintf(full, sizeof full, "%s%s", root, path);
    if (count < 0 || (size_t)count >= sizeof full)
        return E_TOO_BIG;
    int rc = fs_read_file(full, value, value_bytes);
    if (rc < 0)
        return rc;
    size_t used = strlen(value);
    while (used > 0 && isspace((unsigned char)value[used - 1]))
        value[--used] = '\0';
    return used > 0 ? E_OK : E_NOT_FOUND;
}

int fs_sync_directory(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_sys(errno);
    int rc = fsync(fd) < 0 ? error_sys(errno) : 0;
    (void)close(fd);
    return rc;
}

static int write_all(int fd, const char *bytes, size_t count)
{
    while (count > 0) {
        ssize_t put = write(fd, bytes, count);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return error_sys(errno);
        bytes += put;
        count -= (size_t)put;
    }
    return 0;
}

void fs_to_parent(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash == NULL)
        (void)strcpy(path, ".");
    else
        slash[slash == path] = '\0';
}

static int write_synced(const char *path, const void *bytes, size_t count, mode_t mode)
{
    (void)unlink(path); /* what a cut left there may have another mode */
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return error_sys(errno);
    int rc = write_all(fd, bytes, count);
    if (rc == 0 && fsync(fd) < 0)
        rc = error_sys(errno);
    (void)close(fd);
    return rc;
}

/* What is made first, beside PATH. */
static int name_temporary(const char *path, char temporary[FS_PATH_BYTES])
{
    if (strlen(path) + sizeof ".new" > FS_PATH_BYTES)
        return E_TOO_BIG;
    (void)snprintf(temporary, FS_PATH_BYTES, "%s.new", path);
    return 0;
}

/* TEMPORARY, if it was MADE, takes the place of PATH. */
static int put_in_place(const char *temporary, const char *path, int made)
{
    char parent[FS_PATH_BYTES];
    int rc = made == 0 && rename(temporary, path) < 0 ? error_sys(errno) : made;
    if (rc < 0) {
        (void)unlink(temporary);
        return rc;
    }
    (void)strcpy(parent, path);
    fs_to_parent(parent);
    return fs_sync_directory(parent);
}

int fs_replace_file(const char *path, const void *bytes, size_t count, mode_t mode)
{
    char temporary[FS_PATH_BYTES];
    int rc = name_temporary(path, temporary);
    return rc < 0 ? rc : put_in_place(temporary, path, write_synced(temporary, bytes, count, mode));
}

int fs_replace_link(const char *path, const char *target)
{
    char temporary[FS_PATH_BYTES];
    int rc = name_temporary(path, temporary);
    if (rc < 0)
        return rc;
    (void)unlink(temporary); /* what a cut left there */
    return put_in_place(temporary, path, symlink(target, temporary) < 0 ? error_sys(errno) : 0);
}

int fs_find_existing(const char *path, char existing[FS_PATH_BYTES])
{
    struct stat status;
    char at[FS_PATH_BYTES];
    if (strlen(path) >= sizeof at)
        return E_TOO_BIG;
    (void)strcpy(at, path);
    while (stat(at, &status) != 0) {
        if (strcmp(at, "/") == 0 || strcmp(at, ".") == 0)
            return E_NOT_FOUND;
        fs_to_parent(at);
    }
    (void)strcpy(existing, at);
    return 0;
}

int fs_is_mount_point(const char *path, bool *ret_is_mount_point)
{
    struct stat here;
    struct stat above;
    char parent[FS_PATH_BYTES];
    int rc = fs_join(path, "..", parent, sizeof parent);
    if (rc < 0)
        return rc;
    if (stat(path, &here) != 0 || stat(parent, &above) != 0)
        return error_sys(errno);
    *ret_is_mount_point = here.st_dev != above.st_dev || here.st_ino == above.st_ino;
    return 0;
}

static int make_directory(const char *path, mode_t mode)
{
    struct stat status;
    char parent[FS_PATH_BYTES];
    int errnum = mkdir(path, mode) == 0 ? 0 : errno;
    if (errnum != 0 && stat(path, &status) != 0)
        return error_sys(errnum);
    if (errnum != 0 && !S_ISDIR(status.st_mode))
        return error_sys(ENOTDIR);
    /* The name must survive a power cut too, also one that was there already: who made it may have
     * been killed before this line. A parent that we may not read cannot be synced; it is then
     * whoever made it who answers for it. */
    (void)snprintf(parent, sizeof parent, "%s", path);
    fs_to_parent(parent);
    (void)fs_sync_directory(parent);
    return 0;
}

int fs_make_directories(const char *path, mode_t mode)
{
    char prefix[FS_PATH_BYTES];
    size_t length = strlen(path);
    if (length >= sizeof prefix)
        return E_TOO_BIG;
    memcpy(prefix, path, length + 1);
    while (length > 1 && prefix[length - 1] == '/')
        prefix[--length] = '\0';
    for (size_t i = 1; i < length; i++) {
        if (prefix[i] != '/' || prefix[i - 1] == '/')
            continue;
        prefix[i] = '\0';
        int rc = make_directory(prefix, mode);
        prefix[i] = '/';
        if (rc < 0)
            return rc;
    }
    return make_directory(prefix, mode);
}

static int lock_file(int fd)
{
    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno == EWOULDBLOCK)
            return E_BUSY;
        if (errno != EINTR)
            return error_sys(errno);
    }
    return 0;
}

int fs_lock_directory(const char *directory, int *ret_fd)
{
    char path[FS_PATH_BYTES];
    int rc = fs_join(directory, "lock", path, sizeof path);
    if (rc < 0)
        return rc;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return error_sys(errno);
    rc = lock_file(fd);
    if (rc < 0) {
        (void)close(fd);
        return rc;
    }
    *ret_fd = fd;
    return 0;
}

enum { MAGIC_OVERLAY = 0x794c7630 };

/* f_type of statfs(2). What is not listed is taken for durable: few types live in RAM, and they are
 * here; a union that we cannot see through (aufs) counts as one of them. Those that write
 * everything to a new place, or compress, keep no room for what is written over zeros. */
static const struct fs_type {
    uint32_t magic;
    const char *name;
    bool durable;
    bool elsewhere;
} types[] = {
    {0x0000ef53, "ext4", true, false},        {0xf2f52010, "f2fs", true, true},
    {0x24051905, "ubifs", true, true},        {0x000072b6, "jffs2", true, true},
    {0x58465342, "xfs", true, false},         {0x9123683e, "btrfs", true, true},
    {0x00004d44, "vfat", true, false},        {0x2011bab0, "exfat", true, false},
    {0x2fc12fc1, "zfs", true, true},          {0xca451a4e, "bcachefs", true, true},
    {0x7366746e, "ntfs3", true, false},       {0x00006969, "nfs", true, false},
    {0xff534d42, "cifs", true, false},        {0xfe534d42, "smb2", true, false},
    {0x01021997, "9p", true, false},          {0x65735546, "fuse", true, false},
    {0x61756673, "aufs", false, false},       {0x958458f6, "hugetlbfs", false, false},
    {0x01021994, "tmpfs", false, false},      {0x858458f6, "ramfs", false, false},
    {0x73717368, "squashfs", false, false},   {0xe0f5e1e2, "erofs", false, false},
    {MAGIC_OVERLAY, "overlay", false, false},
};

static const struct fs_type *find_type(uint32_t magic)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (types[i].magic == magic)
            return &types[i];
    return NULL;
}

/* The character that mountinfo writes as \ooo (proc_pid_mountinfo(5)), or the one at TEXT. */
static char decode(const char **text)
{
    const char *at = *text;
    if (at[0] != '\\' || at[1] < '0' || at[1] > '3' || at[2] < '0' || at[2] > '7' || at[3] < '0' ||
        at[3] > '7') {
        ++*text;
        return at[0];
    }
    *text += 4;
    return (char)((at[1] - '0') << 6 | (at[2] - '0') << 3 | (at[3] - '0'));
}

/* The upperdir among the options of LINE, which ends with a newline; false if there is none. */
static bool find_upper(const char *line, char *upper, size_t upper_bytes)
{
    static const char key[] = "upperdir=";
    const char *options = strstr(line, " - overlay ");
    const char *value = options != NULL ? strstr(options, key) : NULL;
    size_t used = 0;
    if (value == NULL)
        return false;
    for (value += sizeof key - 1; *value != ',' && *value != '\n' && *value != '\0';) {
        if (used + 1 >= upper_bytes)
            return false;
        upper[used++] = decode(&value);
    }
    upper[used] = '\0';
    return true;
}

/* An overlay shows the device number of its super block as st_dev of every directory. */
static bool is_device(const char *line, dev_t device)
{
    unsigned device_major;
    unsigned device_minor;
    return sscanf(line, "%*d %*d %u:%u", &device_major, &device_minor) == 2 &&
           makedev(device_major, device_minor) == device;
}

static bool read_upper(dev_t device, char *upper, size_t upper_bytes)
{
    char *line = NULL;
    size_t line_bytes = 0;
    bool found = false;
    FILE *mounts = fopen("/proc/self/mountinfo", "re");
    if (mounts == NULL)
        return false;
    while (!found && getline(&line, &line_bytes, mounts) >= 0)
        found = is_device(line, device) && find_upper(line, upper, upper_bytes);
    free(line);
    (void)fclose(mounts);
    return found;
}

/* What is written to an overlay lands in its upper directory. One that cannot be seen from here,
 * because the start-up file system or the container's host mounted it, is not relied upon. */
static bool overlay_is_durable(const char *path)
{
    struct stat status;
    struct statfs statistics;
    char upper[4096];
    if (stat(path, &status) < 0 || !read_upper(status.st_dev, upper, sizeof upper) ||
        statfs(upper, &statistics) < 0)
        return false;
    const struct fs_type *type = find_type((uint32_t)statistics.f_type);
    return type == NULL || type->durable;
}

int fs_describe(const char *path, char *ret_type, size_t type_bytes, bool *ret_durable)
{
    struct statfs statistics;
    if (statfs(path, &statistics) < 0)
        return error_sys(errno);
    uint32_t magic = (uint32_t)statistics.f_type;
    const struct fs_type *type = find_type(magic);
    if (type == NULL)
        (void)snprintf(ret_type, type_bytes, "0x%08" PRIx32, magic);
    else
        (void)snprintf(ret_type, type_bytes, "%s", type->name);
    if (magic == MAGIC_OVERLAY)
        *ret_durable = overlay_is_durable(path);
    else
        *ret_durable = type == NULL || type->durable;
    return 0;
}

bool fs_writes_elsewhere(const char *path)
{
    struct statfs statistics;
    if (statfs(path, &statistics) < 0)
        return false;
    const struct fs_type *type = find_type((uint32_t)statistics.f_type);
    return type != NULL && type->elsewhere;
}

int fs_measure_free(const char *path, uint64_t *ret_bytes)
{
    struct statfs statistics;
    if (statfs(path, &statistics) < 0)
        return error_sys(errno);
    *ret_bytes = (uint64_t)statistics.f_bavail * (uint64_t)statistics.f_bsize;
    return 0;
}

struct fs_mark fs_look(const char *path)
{
    struct stat about;
    if (path == NULL || stat(path, &about) < 0)
        return (struct fs_mark){0};
    return (struct fs_mark){.there = true,
                            .device = about.st_dev,
                            .inode = about.st_ino,
                            .bytes = about.st_size,
                            .changed = about.st_mtim};
}

bool fs_is_same_mark(const struct fs_mark *a, const struct fs_mark *b)
{
    return a->there == b->there && a->device == b->device && a->inode == b->inode &&
           a->bytes == b->bytes && a->changed.tv_sec == b->changed.tv_sec &&
           a->changed.tv_nsec == b->changed.tv_nsec;
}
