/* SPDX-License-Identifier: Apache-2.0 */
/* A planted bug: LMDB makes the spool's file itself, in its place. The name is synced, so that it
 * is only the file's own beginning that a cut can spoil. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <unistd.h>

#include "agent/spool/store.h"
#include "platform/base/error.h"
#include "platform/fs.h"

static int make_empty(const char *path)
{
    char copy[FS_PATH_BYTES];
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0)
        return error_sys(errno);
    (void)close(fd);
    (void)snprintf(copy, sizeof copy, "%s", path);
    return fs_sync_directory(dirname(copy));
}

int __wrap_store_create(const char *path, uint64_t size_bytes, const void *state,
                        size_t state_bytes, const struct stop *stop);
int __wrap_store_create(const char *path, uint64_t size_bytes, const void *state,
                        size_t state_bytes, const struct stop *stop)
{
    struct store_key key = store_key_pair(STORE_STATE, 0, 0);
    struct store *store = NULL;
    struct store_txn *txn = NULL;
    (void)stop;
    int rc = make_empty(path);
    if (rc == E_OK)
        rc = store_open(path, size_bytes, &store);
    if (rc == E_OK)
        rc = store_begin_write(store, &txn);
    if (rc == E_OK)
        rc = store_put(txn, &key, state, state_bytes);
    if (rc == E_OK)
        rc = store_commit(txn);
    else
        store_abort(txn);
    store_close(store);
    return rc;
}
