/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/spool/seal.h"
#include "agent/spool/spool_state.h"
#include "platform/base/bytes.h"
#include "platform/base/error.h"

/*
 * A block without the names of its sensors means nothing, and these lie in one page of the file or
 * two. So they are kept once more beside it. Sensors are defined at the first start and hardly ever
 * again: this costs no flash.
 */
enum { FILE_MODE = 0640, NAMES_BYTES_MAX = 8 << 20, HEAD_BYTES = 12 };

int spool_names_path(const char *path, char ret_path[FS_PATH_BYTES])
{
    int count = snprintf(ret_path, FS_PATH_BYTES, "%s.names", path);
    return count < FS_PATH_BYTES ? E_OK : E_TOO_BIG;
}

/* ---- reading ---- */

static int read_whole(const char *path, uint8_t **ret_bytes, size_t *ret_count)
{
    struct stat status;
    if (stat(path, &status) != 0)
        return errno == ENOENT ? E_NOT_FOUND : error_sys(errno);
    if (status.st_size > NAMES_BYTES_MAX)
        return E_DAMAGED;
    size_t size = (size_t)status.st_size + 1;
    char *bytes = malloc(size);
    if (bytes == NULL)
        return E_NO_MEMORY;
    int count = fs_read_file(path, bytes, size);
    if (count < 0) {
        free(bytes);
        return count;
    }
    *ret_bytes = (uint8_t *)bytes;
    *ret_count = (size_t)count;
    return E_OK;
}

/* The first seal, which says whose names they are, and how many numbers they go up to. */
static int open_head(const uint8_t *bytes, size_t count, struct seal *ret_seal)
{
    struct seal seal;
    if (seal_open(bytes, count, &seal) < 0 || seal.key_bytes != 3 || seal.key[0] != STORE_STATE ||
        seal.content_bytes < HEAD_BYTES)
        return E_DAMAGED;
    *ret_seal = seal;
    return E_OK;
}

int spool_names_load(const char *path, uint8_t **ret_bytes, size_t *ret_count, uint64_t *ret_id)
{
    char names[FS_PATH_BYTES];
    struct seal head;
    uint8_t *bytes = NULL;
    size_t count = 0;
    int rc = spool_names_path(path, names);
    if (rc == E_OK)
        rc = read_whole(names, &bytes, &count);
    if (rc < 0)
        return rc;
    rc = open_head(bytes, count, &head);
    if (rc < 0) {
        free(bytes);
        return rc;
    }
    *ret_bytes = bytes;
    *ret_count = count;
    *ret_id = bytes_get_le64(head.content);
    return E_OK;
}

/* How many sensors the names are good for: none if any of them is damaged. */
static uint32_t judge(const uint8_t *bytes, size_t count)
{
    struct seal seal;
    if (open_head(bytes, count, &seal) < 0)
        return 0;
    uint32_t sensors = bytes_get_le32(seal.content + 8);
    for (size_t at = 0; at < count; at += seal.bytes)
        if (seal_open(bytes + at, count - at, &seal) < 0)
            return 0;
    return sensors;
}

void spool_names_find(struct spool *spool)
{
    uint8_t *bytes;
    size_t count;
    uint64_t id;
    if (spool_names_load(spool->path, &bytes, &count, &id) < 0)
        return;
    if (id == spool->id)
        spool->names_count = judge(bytes, count);
    free(bytes);
}

/* ---- writing ---- */

int spool_names_put(const struct spool *spool, uint32_t count, int fd)
{
    int rc = E_OK;
    for (uint32_t i = 0; rc == E_OK && i < count; i++) {
        const struct sensor_entry *entry = &spool->sensors[i];
        struct store_key key = store_key_number(STORE_DICTIONARY, i + 1);
        if (entry->bytes != NULL)
            rc = spool_aside_write_seal(fd, &key, entry->bytes, entry->byte_count);
    }
    return rc;
}

static int put_all(const struct spool *spool, uint32_t count, int fd)
{
    struct store_key key = store_key_pair(STORE_STATE, 0, 0);
    uint8_t head[HEAD_BYTES];
    bytes_put_le64(head, spool->id);
    bytes_put_le32(head + 8, count);
    int rc = spool_aside_write_seal(fd, &key, head, sizeof head);
    if (rc == E_OK)
        rc = spool_names_put(spool, count, fd);
    if (rc == E_OK && fsync(fd) != 0)
        rc = error_sys(errno);
    return rc;
}

static int write_names(const struct spool *spool, uint32_t count)
{
    char names[FS_PATH_BYTES];
    char temporary[FS_PATH_BYTES];
    int rc = spool_names_path(spool->path, names);
    if (rc == E_OK && snprintf(temporary, sizeof temporary, "%s.new", names) >= FS_PATH_BYTES)
        rc = E_TOO_BIG;
    if (rc < 0)
        return rc;
    (void)unlink(temporary);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
    if (fd < 0)
        return error_sys(errno);
    rc = put_all(spool, count, fd);
    (void)close(fd);
    if (rc == E_OK && rename(temporary, names) != 0)
        rc = error_sys(errno);
    if (rc < 0)
        (void)unlink(temporary);
    return rc < 0 ? rc : fs_sync_directory(spool->options.path);
}

void spool_names_keep(struct spool *spool, uint32_t count)
{
    if (count <= spool->names_count)
        return;
    spool->names_count = count;
    int rc = write_names(spool, count);
    if (rc < 0)
        log_warning("spool-names-not-kept path=%s.names error=\"%s\"", spool->path, ERROR_TEXT(rc));
}
