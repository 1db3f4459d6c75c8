/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/uplink/dest/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/uplink/dest/archive_room.h"
#include "agent/uplink/dest/object.h"
#include "platform/base/error.h"
#include "platform/fs.h"

enum { BUFFER_BYTES = 4096, FILE_MODE = 0640, DIRECTORY_MODE = 0750 };
enum { BELIEVED_PART = 32 };

struct archive {
    struct dest dest;
    struct dest_archive options;
    bool gzip;
    char device[OBJECT_DEVICE_BYTES];
    /* What may be stored in the directory that was there last until it is measured again. */
    uint64_t room_bytes;
    dev_t file_system;
    ino_t directory;

    uint64_t written_bytes; /* of the object in hand */
    uint64_t taken_bytes;   /* likewise, on the medium */
    int fd;                 /* likewise */
    uint8_t buffer[BUFFER_BYTES];
};

/* The batch in hand, and where it goes. */
struct storing {
    struct archive *archive;
    const struct batch_summary *batch;
    dest_write *write;
    void *context;
    int root;
    char temporary[32];
    char name[OBJECT_NAME_BYTES];
};

/* ---- the place ---- */

static const char *remedy(int code)
{
    switch (error_errno(code)) {
    case ENOSPC:
    case EDQUOT:
        return "make room there, or lower \"size\" to what the medium holds";
    case EROFS:
        return "check the medium and mount it for writing";
    case EACCES:
    case EPERM:
        return "let runnel's user write there";
    case EIO:
    case ENODEV:
    case ENXIO:
    case ESTALE:
        return "check the medium and its cable";
    case ENOTDIR:
    case ELOOP:
        return "something else has the name of a directory; move it away";
    default:
        return "check the medium";
    }
}

static int fail(const struct archive *archive, int code, struct dest_stored *stored)
{
    (void)snprintf(stored->fault, sizeof stored->fault, "storing in %.128s: %s; %s",
                   archive->options.path, ERROR_TEXT(code), remedy(code));
    return code;
}

/* The file system that is open is the one that is mounted, so that none of this is in the mount
 * point itself, however the medium comes and goes. */
static bool is_on_mount(const struct archive *archive, const struct stat *root)
{
    const char *mount = archive->options.mount;
    struct stat status;
    bool mounted = false;
    return mount == NULL || (fs_is_mount_point(mount, &mounted) == E_OK && mounted &&
                             stat(mount, &status) == 0 && status.st_dev == root->st_dev);
}

/* Another medium may have come since. */
static void recognize(struct archive *archive, const struct stat *root)
{
    if (archive->file_system != root->st_dev || archive->directory != root->st_ino)
        archive->room_bytes = 0;
    archive->file_system = root->st_dev;
    archive->directory = root->st_ino;
}

static int open_root(struct archive *archive, struct dest_stored *stored, int *ret_root)
{
    const char *path = archive->options.path;
    struct stat status;
    int root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0 && errno != ENOENT)
        return fail(archive, error_sys(errno), stored);
    if (root < 0) {
        archive->room_bytes = 0;
        (void)snprintf(stored->fault, sizeof stored->fault,
                       "%.128s is not there; put the medium back, or make this directory on it",
                       path);
        return E_NOT_FOUND;
    }
    if (fstat(root, &status) < 0 || !is_on_mount(archive, &status)) {
        archive->room_bytes = 0;
        (void)close(root);
        (void)snprintf(stored->fault, sizeof stored->fault,
                       "%.128s is not on what is mounted at %.100s; mount the medium", path,
                       archive->options.mount != NULL ? archive->options.mount : path);
        return E_NOT_FOUND;
    }
    recognize(archive, &status);
    stored->present = true;
    *ret_root = root;
    return E_OK;
}

/* ---- directories ---- */

/* Some file systems (FAT by FUSE, CIFS) know no fsync of a directory: all of it then. */
static int sync_directory(int directory)
{
    if (fsync(directory) == 0)
        return E_OK;
    if (errno != EINVAL && errno != EBADF && errno != ENOTSUP)
        return error_sys(errno);
    return syncfs(directory) < 0 ? error_sys(errno) : E_OK;
}

/* Opens PARENT/NAME, which is made if it is not there. Who made it may have been kept from syncing
 * that. */
static int enter(int parent, const char *name, int *ret_child)
{
    if (mkdirat(parent, name, DIRECTORY_MODE) < 0 && errno != EEXIST)
        return error_sys(errno);
    int rc = sync_directory(parent);
    if (rc < 0)
        return rc;
    int child = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (child < 0)
        return error_sys(errno);
    *ret_child = child;
    return E_OK;
}

/* The directory in which the object is to be. */
static int open_hour(const struct storing *storing, int *ret_directory)
{
    char day[16], hour[8];
    const char *const names[] = {day, hour, storing->archive->device};
    int directory = dup(storing->root);
    int rc = directory < 0 ? error_sys(errno) : E_OK;
    object_hour(storing->batch->wall_ms, day, hour);
    for (size_t i = 0; rc == E_OK && i < sizeof names / sizeof names[0]; i++) {
        int child = -1;
        rc = enter(directory, names[i], &child);
        (void)close(directory);
        directory = child;
    }
    if (rc == E_OK)
        *ret_directory = directory;
    return rc;
}

/* ---- room ---- */

/* What may be stored now, by what is there now. */
static int measure_room(struct archive *archive, int root, uint64_t wanted_bytes,
                        uint64_t *ret_room_bytes)
{
    const uint64_t size_bytes = archive->options.size_bytes;
    uint64_t room_bytes = size_bytes / BELIEVED_PART;
    uint64_t total_bytes = 0;
    if (room_bytes < wanted_bytes)
        room_bytes = wanted_bytes;
    int rc = archive_room_measure(root, archive->device, &total_bytes);
    if (rc == E_OK && total_bytes + wanted_bytes > size_bytes)
        rc = archive_room_give(root, archive->device, total_bytes + room_bytes - size_bytes);
    else if (rc == E_OK && total_bytes + room_bytes > size_bytes)
        room_bytes = size_bytes - total_bytes;
    if (rc == E_OK)
        *ret_room_bytes = room_bytes;
    return rc;
}

/* Others may take objects away, bring some, or change the medium, so nothing is deleted but by what
 * was measured just before. That is believed for a part of the size, for which room is made at
 * once: an archive of many objects is not measured for each. */
static int make_room(struct archive *archive, int root, uint64_t wanted_bytes)
{
    if (wanted_bytes > archive->options.size_bytes)
        return E_FULL;
    if (wanted_bytes <= archive->room_bytes)
        return E_OK;
    archive->room_bytes = 0;
    return measure_room(archive, root, wanted_bytes, &archive->room_bytes);
}

/* ---- an object ---- */

static int write_all(void *context, const uint8_t *bytes, size_t count)
{
    struct archive *archive = context;
    while (count > 0) {
        ssize_t written = write(archive->fd, bytes, count);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return error_sys(errno);
        archive->written_bytes += (uint64_t)written;
        bytes += written;
        count -= (size_t)written;
    }
    return E_OK;
}

static int write_body(const struct storing *storing)
{
    struct archive *archive = storing->archive;
    struct writer out;
    writer_to_function(&out, archive->buffer, sizeof archive->buffer, write_all, archive);
    int rc = storing->write(storing->context, &out);
    int finish_rc = writer_finish(&out);
    return rc < 0 ? rc : finish_rc;
}

/* A sync that failed is not tried again: the pages may be gone. The object is written anew. */
static int write_temporary(const struct storing *storing)
{
    struct archive *archive = storing->archive;
    archive->written_bytes = 0;
    archive->fd = openat(storing->root, storing->temporary,
                         O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
    if (archive->fd < 0)
        return error_sys(errno);
    int rc = write_body(storing);
    if (rc == E_OK && fsync(archive->fd) < 0)
        rc = error_sys(errno);
    if (rc == E_OK)
        rc = archive_room_taken(archive->fd, &archive->taken_bytes);
    if (close(archive->fd) < 0 && rc == E_OK)
        rc = error_sys(errno);
    return rc;
}

static void take_room(struct archive *archive)
{
    bool fits = archive->taken_bytes < archive->room_bytes;
    archive->room_bytes = fits ? archive->room_bytes - archive->taken_bytes : 0;
}

static int put_object(const struct storing *storing, int directory)
{
    struct archive *archive = storing->archive;
    int rc = make_room(archive, storing->root, storing->batch->body_bytes);
    if (rc == E_OK)
        rc = write_temporary(storing);
    if (rc == E_OK && renameat(storing->root, storing->temporary, directory, storing->name) < 0)
        rc = error_sys(errno);
    if (rc < 0) {
        (void)unlinkat(storing->root, storing->temporary, 0);
        return rc;
    }
    take_room(archive);
    return sync_directory(directory);
}

/* The name has the hash of the content: what is there under it was synced before it got it. Its
 * directory may not have been. */
static bool is_there(const struct storing *storing, int directory)
{
    struct stat status;
    return fstatat(directory, storing->name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISREG(status.st_mode) && (uint64_t)status.st_size == storing->batch->body_bytes;
}

static int put(const struct storing *storing)
{
    int directory = -1;
    int rc = open_hour(storing, &directory);
    if (rc < 0)
        return rc;
    rc = is_there(storing, directory) ? sync_directory(directory) : put_object(storing, directory);
    (void)close(directory);
    return rc;
}

static int store(struct dest *dest, const struct batch_summary *batch, dest_write *write,
                 void *context, struct dest_stored *ret_stored)
{
    struct archive *archive = (struct archive *)dest;
    struct storing storing = {
        .archive = archive, .batch = batch, .write = write, .context = context};
    *ret_stored = (struct dest_stored){0};
    int rc = open_root(archive, ret_stored, &storing.root);
    if (rc < 0)
        return rc;
    (void)snprintf(storing.temporary, sizeof storing.temporary, ".%016" PRIx64 ".part",
                   batch->spool_id);
    object_name(batch, archive->gzip, storing.name);
    archive->written_bytes = 0;
    rc = put(&storing);
    (void)close(storing.root);
    ret_stored->bytes = archive->written_bytes;
    if (rc == E_FULL)
        (void)snprintf(ret_stored->fault, sizeof ret_stored->fault,
                       "an object of %" PRIu64 " bytes does not fit into \"size\"; raise it",
                       batch->body_bytes);
    return rc < 0 && rc != E_FULL ? fail(archive, rc, ret_stored) : rc;
}

/* ---- open and close ---- */

static void close_archive(struct dest *dest)
{
    free(dest);
}

static const struct dest_operations operations = {
    .name = "archive",
    .limits = OBJECT_LIMITS,
    .frame = OBJECT_FRAME,
    .objects = true,
    .store = store,
    .close = close_archive,
};

int archive_open(const struct dest_options *options, struct dest **ret_dest)
{
    if (options->archive.path == NULL || options->archive.size_bytes == 0 ||
        options->device == NULL)
        return E_INVALID;
    struct archive *archive = calloc(1, sizeof *archive);
    if (archive == NULL)
        return E_NO_MEMORY;
    archive->dest.operations = &operations;
    archive->options = options->archive;
    archive->gzip = options->gzip;
    object_device(options->device, archive->device);
    *ret_dest = &archive->dest;
    return E_OK;
}
