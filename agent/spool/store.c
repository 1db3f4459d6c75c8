/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/spool/store.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "agent/spool/order.h"
#include "platform/base/bytes.h"
#include "platform/base/error.h"
#include "platform/fs.h"

enum { FILE_MODE = 0640, READERS_MAX = 32, ZEROS_BYTES = 65536, COPY_ENTRIES = 64 };

struct store {
    char path[FS_PATH_BYTES];
    size_t size_bytes;
    size_t page_bytes;
    bool unsynced;           /* the name of the file may not survive a power cut */
    const uint8_t *map;      /* where LMDB mapped the file; NULL if that is not known */
    pthread_rwlock_t in_use; /* read: a transaction is open; write: the environment is replaced */
    MDB_env *env;            /* NULL while it could not be opened again */
    int refusal;             /* why it could be opened again for reading alone; or 0 */
    MDB_dbi dbi;
};

struct store_txn {
    struct store *store;
    MDB_txn *txn;
};

static int from_lmdb(int rc)
{
    if (rc == MDB_NOTFOUND)
        return E_NOT_FOUND;
    if (rc == MDB_MAP_FULL)
        return E_FULL;
    if (rc == MDB_CORRUPTED || rc == MDB_PAGE_NOTFOUND || rc == MDB_INVALID || rc == MDB_PANIC ||
        rc == MDB_CURSOR_FULL || rc == MDB_PAGE_FULL) /* in a sound tree there are neither */
        return E_DAMAGED;
    if (rc == MDB_VERSION_MISMATCH)
        return E_VERSION;
    return rc > 0 ? error_sys(rc) : rc;
}

/* ---- keys ---- */

struct store_key store_key_block(enum lane lane, uint64_t first_sequence, uint16_t fragment)
{
    struct store_key key = {.count = STORE_BLOCK_KEY_BYTES, .bytes = {STORE_BLOCKS, (uint8_t)lane}};
    bytes_put_be64(key.bytes + 2, first_sequence);
    bytes_put_be16(key.bytes + 10, fragment);
    return key;
}

struct store_key store_key_number(enum store_table table, uint32_t number)
{
    struct store_key key = {.count = 9, .bytes = {(uint8_t)table}};
    bytes_put_be64(key.bytes + 1, number);
    return key;
}

struct store_key store_key_pair(enum store_table table, uint8_t first, uint8_t second)
{
    return (struct store_key){.count = 3, .bytes = {(uint8_t)table, first, second}};
}

struct store_key store_key_name(enum store_table table, const char *name)
{
    struct store_key key = {.count = 1 + strnlen(name, STORE_KEY_BYTES - 1),
                            .bytes = {(uint8_t)table}};
    memcpy(key.bytes + 1, name, key.count - 1);
    return key;
}

bool store_key_is_block(const struct store_key *key, enum lane lane, uint64_t *ret_first_sequence,
                        uint16_t *ret_fragment)
{
    if (key->count != STORE_BLOCK_KEY_BYTES || key->bytes[0] != STORE_BLOCKS ||
        key->bytes[1] != (uint8_t)lane)
        return false;
    *ret_first_sequence = bytes_get_be64(key->bytes + 2);
    *ret_fragment = bytes_get_be16(key->bytes + 10);
    return true;
}

static MDB_val as_value(const struct store_key *key)
{
    return (MDB_val){.mv_size = key->count, .mv_data = (void *)(uintptr_t)key->bytes};
}

static int as_key(const MDB_val *value, struct store_key *ret_key)
{
    if (value->mv_size > STORE_KEY_BYTES)
        return E_DAMAGED;
    ret_key->count = value->mv_size;
    memcpy(ret_key->bytes, value->mv_data, value->mv_size);
    return E_OK;
}

/* ---- verifying ---- */

static int read_at(void *context, uint64_t offset, void *buffer, size_t count)
{
    uint8_t *to = buffer;
    while (count > 0) {
        ssize_t got = pread(*(const int *)context, to, count, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got == 0 ? E_DAMAGED : error_sys(errno);
        to += got;
        offset += (uint64_t)got;
        count -= (size_t)got;
    }
    return E_OK;
}

static bool takes(void *context, const uint8_t *key, size_t key_bytes, const uint8_t *value,
                  size_t count)
{
    return order_takes(context, key, key_bytes, value, count);
}

int store_verify(const char *path, char fault[VERIFY_FAULT_BYTES])
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? E_NOT_FOUND : error_sys(errno);
    int rc = fstat(fd, &status) == 0 ? E_OK : error_sys(errno);
    struct order order = {.any = false};
    struct verify_file file = {
        .read = read_at, .context = &fd, .takes = takes, .takes_context = &order};
    if (rc == E_OK) {
        file.bytes = (uint64_t)status.st_size;
        rc = verify_pages(&file, fault);
    }
    (void)close(fd);
    return rc;
}

/* ---- opening ---- */

static void close_env(struct store *store)
{
    if (store->env != NULL)
        mdb_env_close(store->env);
    store->env = NULL;
}

/* LMDB keeps the address to itself. But any value lies in it, and its page begins with its number.
 */
static int find_map(struct store *store, MDB_txn *txn)
{
    MDB_cursor *cursor;
    MDB_val name;
    MDB_val value;
    size_t number;
    store->map = NULL;
    int rc = mdb_cursor_open(txn, store->dbi, &cursor);
    if (rc != 0)
        return rc;
    rc = mdb_cursor_get(cursor, &name, &value, MDB_FIRST);
    mdb_cursor_close(cursor);
    if (rc != 0)
        return rc == MDB_NOTFOUND ? 0 : rc;
    const uint8_t *page = (const uint8_t *)name.mv_data;
    page -= (uintptr_t)page & (store->page_bytes - 1);
    memcpy(&number, page, sizeof number);
    store->map = page - number * store->page_bytes;
    return 0;
}

static int open_dbi(struct store *store)
{
    MDB_txn *txn;
    MDB_stat stat;
    int rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn);
    if (rc != 0)
        return from_lmdb(rc);
    rc = mdb_dbi_open(txn, NULL, 0, &store->dbi);
    if (rc == 0)
        rc = mdb_stat(txn, store->dbi, &stat);
    if (rc == 0) {
        store->page_bytes = stat.ms_psize;
        rc = find_map(store, txn);
    }
    mdb_txn_abort(txn);
    return from_lmdb(rc);
}

/* A file that is shorter than its own last page would be answered with SIGBUS. */
static int check_length(struct store *store)
{
    MDB_envinfo info;
    MDB_stat stat;
    struct stat file;
    int rc = mdb_env_info(store->env, &info);
    if (rc == 0)
        rc = mdb_env_stat(store->env, &stat);
    if (rc != 0)
        return from_lmdb(rc);
    if (lstat(store->path, &file) != 0)
        return error_sys(errno);
    return (uint64_t)file.st_size / stat.ms_psize > info.me_last_pgno ? E_OK : E_DAMAGED;
}

static int open_env(struct store *store, unsigned flags)
{
    int dead = 0;
    int rc = mdb_env_create(&store->env);
    if (rc != 0)
        return from_lmdb(rc);
    rc = mdb_env_set_maxreaders(store->env, READERS_MAX);
    if (rc == 0)
        rc = mdb_env_set_mapsize(store->env, store->size_bytes);
    if (rc == 0)
        rc = mdb_env_open(store->env, store->path, flags | MDB_NOSUBDIR | MDB_NOTLS | MDB_NORDAHEAD,
                          FILE_MODE);
    if (rc == 0)
        rc = mdb_reader_check(store->env, &dead);
    rc = from_lmdb(rc);
    if (rc == E_OK)
        rc = check_length(store);
    if (rc == E_OK)
        rc = open_dbi(store);
    if (rc < 0)
        close_env(store);
    return rc;
}

int store_open(const char *path, uint64_t size_bytes, struct store **ret_store)
{
    struct stat file;
    struct store *store;
    if (stat(path, &file) != 0)
        return errno == ENOENT ? E_NOT_FOUND : error_sys(errno);
    if (size_bytes < (uint64_t)file.st_size)
        size_bytes = (uint64_t)file.st_size;
    if (size_bytes > SIZE_MAX / 4 || strlen(path) >= sizeof store->path)
        return E_TOO_BIG;
    store = calloc(1, sizeof *store);
    if (store == NULL)
        return E_NO_MEMORY;
    memcpy(store->path, path, strlen(path));
    store->size_bytes = (size_t)size_bytes;
    (void)pthread_rwlock_init(&store->in_use, NULL);
    int rc = open_env(store, 0);
    if (rc < 0) {
        store_close(store);
        return rc;
    }
    *ret_store = store;
    return E_OK;
}

void store_close(struct store *store)
{
    if (store == NULL)
        return;
    close_env(store);
    (void)pthread_rwlock_destroy(&store->in_use);
    free(store);
}

/* A file system that became read-only still has what is stored, and routes go on. Nobody else has
 * the file open: no lock is needed to read it. */
static int open_again(struct store *store)
{
    close_env(store);
    store->refusal = open_env(store, 0);
    return store->refusal < 0 ? open_env(store, MDB_RDONLY | MDB_NOLOCK) : E_OK;
}

int store_reopen(struct store *store)
{
    (void)pthread_rwlock_wrlock(&store->in_use);
    int rc = open_again(store);
    (void)pthread_rwlock_unlock(&store->in_use);
    return rc;
}

/* ---- creation ---- */

static int write_zeros(int fd, const uint8_t zeros[ZEROS_BYTES], uint64_t size_bytes,
                       const struct stop *stop)
{
    off_t at = lseek(fd, 0, SEEK_END);
    if (at < 0)
        return error_sys(errno);
    while ((uint64_t)at < size_bytes) {
        uint64_t left = size_bytes - (uint64_t)at;
        ssize_t written = write(fd, zeros, left < ZEROS_BYTES ? (size_t)left : ZEROS_BYTES);
        if (written < 0 && errno != EINTR)
            return error_sys(errno);
        at += written > 0 ? written : 0;
        if (stop != NULL && stop_requested(stop))
            return E_STOP;
    }
    return fsync(fd) == 0 ? E_OK : error_sys(errno);
}

/* Zeros, not fallocate(2): unwritten extents would journal at their first use. */
static int fill_with_zeros(int fd, uint64_t size_bytes, const struct stop *stop)
{
    uint8_t *zeros = calloc(1, ZEROS_BYTES); /* a constant would be 64 KB of the program */
    if (zeros == NULL)
        return E_NO_MEMORY;
    int rc = write_zeros(fd, zeros, size_bytes, stop);
    free(zeros);
    return rc;
}

/* A file that nobody else knows yet, at most MAP_BYTES large. */
static int open_new(const char *path, uint64_t map_bytes, struct store **ret_store)
{
    struct store *store = calloc(1, sizeof *store);
    if (store == NULL)
        return E_NO_MEMORY;
    (void)pthread_rwlock_init(&store->in_use, NULL);
    int rc = from_lmdb(mdb_env_create(&store->env));
    if (rc == E_OK)
        rc = from_lmdb(mdb_env_set_mapsize(store->env, (size_t)map_bytes));
    if (rc == E_OK)
        rc = from_lmdb(mdb_env_open(store->env, path, MDB_NOSUBDIR | MDB_NOLOCK, FILE_MODE));
    if (rc == E_OK)
        rc = open_dbi(store);
    if (rc == E_OK)
        *ret_store = store;
    else
        store_close(store);
    return rc;
}

static int write_first_entry(const char *path, uint64_t size_bytes, const void *state,
                             size_t state_bytes)
{
    struct store_key key = store_key_pair(STORE_STATE, 0, 0);
    struct store *store = NULL;
    struct store_txn *txn = NULL;
    int rc = open_new(path, size_bytes, &store);
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

static int fill_and_rename(const char *temporary, const char *path, uint64_t size_bytes,
                           const struct stop *stop)
{
    int fd = open(temporary, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return error_sys(errno);
    int rc = fill_with_zeros(fd, size_bytes, stop);
    (void)close(fd);
    if (rc < 0)
        return rc;
    return rename(temporary, path) == 0 ? E_OK : error_sys(errno);
}

static int sync_name(const char *path)
{
    char directory[FS_PATH_BYTES];
    const char *slash = strrchr(path, '/');
    (void)snprintf(directory, sizeof directory, "%.*s", slash == NULL ? 1 : (int)(slash - path) + 1,
                   slash == NULL ? "." : path);
    return fs_sync_directory(directory);
}

/* The name under which a file is made, with nothing behind it. */
static int clear_temporary(const char *path, char temporary[FS_PATH_BYTES])
{
    int count = snprintf(temporary, FS_PATH_BYTES, "%s.new", path);
    if (count < 0 || count >= FS_PATH_BYTES)
        return E_TOO_BIG;
    return unlink(temporary) == 0 || errno == ENOENT ? E_OK : error_sys(errno);
}

int store_create(const char *path, uint64_t size_bytes, const void *state, size_t state_bytes,
                 const struct stop *stop)
{
    char temporary[FS_PATH_BYTES];
    int rc = clear_temporary(path, temporary);
    if (rc < 0)
        return rc;
    rc = write_first_entry(temporary, size_bytes, state, state_bytes);
    if (rc == E_OK)
        rc = fill_and_rename(temporary, path, size_bytes, stop);
    if (rc == E_OK)
        rc = sync_name(path);
    if (rc < 0)
        (void)unlink(temporary);
    return rc;
}

/* ---- another size ---- */

void store_forget_copy(const char *path)
{
    char temporary[FS_PATH_BYTES];
    (void)clear_temporary(path, temporary);
}

int store_grow(const char *path, uint64_t size_bytes)
{
    struct stat before;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return error_sys(errno);
    int rc = fstat(fd, &before) == 0 ? E_OK : error_sys(errno);
    if (rc == E_OK && (uint64_t)before.st_size < size_bytes) {
        rc = fill_with_zeros(fd, size_bytes, NULL);
        if (rc < 0 && ftruncate(fd, before.st_size) != 0)
            rc = error_sys(errno); /* longer than it has to be: that does no harm */
    }
    (void)close(fd);
    return rc;
}

int store_stretch(struct store *store, uint64_t size_bytes)
{
    int rc = store_grow(store->path, size_bytes);
    if (rc < 0)
        return rc;
    (void)pthread_rwlock_wrlock(&store->in_use);
    store->size_bytes = (size_t)size_bytes;
    rc = open_again(store);
    (void)pthread_rwlock_unlock(&store->in_use);
    return rc;
}

/* Copies the next entries in a commit of their own, so that not all of them lie in RAM at once.
 * E_NOT_FOUND: that was the last of them. */
static int copy_some(MDB_cursor *from, MDB_cursor_op first, struct store *to)
{
    MDB_val name;
    MDB_val value;
    struct store_txn *txn;
    int rc = store_begin_write(to, &txn);
    if (rc < 0)
        return rc;
    for (int i = 0; rc == E_OK && i < COPY_ENTRIES; i++) {
        rc = from_lmdb(mdb_cursor_get(from, &name, &value, i == 0 ? first : MDB_NEXT));
        if (rc == E_OK)
            rc = from_lmdb(mdb_put(txn->txn, to->dbi, &name, &value, MDB_APPEND));
        if (rc == E_OK && value.mv_size > to->page_bytes / 2)
            store_release_page(value.mv_data);
    }
    if (rc < 0 && rc != E_NOT_FOUND) {
        store_abort(txn);
        return rc;
    }
    int committed = store_commit(txn);
    return committed < 0 ? committed : rc;
}

static int copy_all(struct store *from, struct store *to, const struct stop *stop)
{
    struct store_txn *txn;
    MDB_cursor *cursor;
    int rc = store_begin_read(from, &txn);
    if (rc < 0)
        return rc;
    rc = from_lmdb(mdb_cursor_open(txn->txn, from->dbi, &cursor));
    if (rc == E_OK) {
        for (MDB_cursor_op op = MDB_FIRST; rc == E_OK; op = MDB_NEXT)
            rc = stop != NULL && stop_requested(stop) ? E_STOP : copy_some(cursor, op, to);
        mdb_cursor_close(cursor);
    }
    store_abort(txn);
    return rc == E_NOT_FOUND ? E_OK : rc;
}

int store_shrink(struct store *store, uint64_t size_bytes, const struct stop *stop)
{
    char temporary[FS_PATH_BYTES];
    struct store *copy = NULL;
    int rc = clear_temporary(store->path, temporary);
    if (rc == E_OK)
        rc = open_new(temporary, size_bytes, &copy);
    if (rc == E_OK)
        rc = copy_all(store, copy, stop);
    store_close(copy);
    if (rc == E_OK)
        rc = fill_and_rename(temporary, store->path, size_bytes, stop);
    if (rc < 0) {
        (void)unlink(temporary);
        return rc;
    }
    (void)pthread_rwlock_wrlock(&store->in_use);
    store->unsynced = sync_name(store->path) < 0; /* then the next commit has to */
    store->size_bytes = (size_t)size_bytes;
    (void)open_again(store);
    (void)pthread_rwlock_unlock(&store->in_use);
    return E_OK;
}

/* ---- transactions ---- */

static int begin(struct store *store, unsigned flags, struct store_txn **ret_txn)
{
    if (flags == 0 && store->refusal < 0)
        return store->refusal;
    if (flags == 0 && store->unsynced) {
        int rc = sync_name(store->path);
        if (rc < 0)
            return rc;
        store->unsynced = false;
    }
    struct store_txn *txn = malloc(sizeof *txn);
    if (txn == NULL)
        return E_NO_MEMORY;
    (void)pthread_rwlock_rdlock(&store->in_use);
    txn->store = store;
    int rc = store->env == NULL ? E_DAMAGED
                                : from_lmdb(mdb_txn_begin(store->env, NULL, flags, &txn->txn));
    if (rc < 0) {
        (void)pthread_rwlock_unlock(&store->in_use);
        free(txn);
        return rc;
    }
    *ret_txn = txn;
    return E_OK;
}

static void end(struct store_txn *txn)
{
    (void)pthread_rwlock_unlock(&txn->store->in_use);
    free(txn);
}

int store_begin_read(struct store *store, struct store_txn **ret_txn)
{
    return begin(store, MDB_RDONLY, ret_txn);
}

int store_begin_write(struct store *store, struct store_txn **ret_txn)
{
    return begin(store, 0, ret_txn);
}

/* Once it is read-only, ext4 answers fsync(2) with 0 without writing anything. */
static int check_writable(const struct store *store)
{
    struct statvfs system;
    int fd;
    int rc = mdb_env_get_fd(store->env, &fd);
    if (rc != 0)
        return from_lmdb(rc);
    if (fstatvfs(fd, &system) != 0)
        return error_sys(errno);
    return (system.f_flag & ST_RDONLY) != 0 ? error_sys(EROFS) : E_OK;
}

int store_commit(struct store_txn *txn)
{
    int rc = from_lmdb(mdb_txn_commit(txn->txn));
    if (rc == E_OK)
        rc = check_writable(txn->store);
    end(txn);
    return rc;
}

void store_abort(struct store_txn *txn)
{
    if (txn == NULL)
        return;
    mdb_txn_abort(txn->txn);
    end(txn);
}

int store_get(struct store_txn *txn, const struct store_key *key, const uint8_t **ret_value,
              size_t *ret_bytes)
{
    MDB_val name = as_value(key);
    MDB_val value;
    int rc = mdb_get(txn->txn, txn->store->dbi, &name, &value);
    if (rc != 0)
        return from_lmdb(rc);
    *ret_value = value.mv_data;
    *ret_bytes = value.mv_size;
    return E_OK;
}

/* Before LMDB frees the pages of KEY's value. */
static int check_value(struct store_txn *txn, const struct store_key *key)
{
    const uint8_t *value;
    size_t bytes;
    int rc = store_get(txn, key, &value, &bytes);
    if (rc < 0)
        return rc;
    const struct store *store = txn->store;
    bool in_map =
        store->map != NULL && value >= store->map && value < store->map + store->size_bytes;
    return in_map && verify_value_is_bad(value, bytes, store->page_bytes) ? E_DAMAGED : E_OK;
}

int store_put(struct store_txn *txn, const struct store_key *key, const void *value, size_t bytes)
{
    MDB_val name = as_value(key);
    MDB_val data = {.mv_size = bytes, .mv_data = (void *)(uintptr_t)value};
    int rc = check_value(txn, key);
    if (rc < 0 && rc != E_NOT_FOUND)
        return rc;
    return from_lmdb(mdb_put(txn->txn, txn->store->dbi, &name, &data, 0));
}

int store_delete(struct store_txn *txn, const struct store_key *key)
{
    MDB_val name = as_value(key);
    int rc = check_value(txn, key);
    if (rc < 0)
        return rc == E_NOT_FOUND ? E_OK : rc;
    return from_lmdb(mdb_del(txn->txn, txn->store->dbi, &name, NULL));
}

static int find(struct store_txn *txn, const struct store_key *key, bool before,
                struct store_key *ret_key, const uint8_t **ret_value, size_t *ret_bytes)
{
    MDB_cursor *cursor;
    MDB_val name = as_value(key);
    MDB_val value;
    struct store_key found;
    int rc = mdb_cursor_open(txn->txn, txn->store->dbi, &cursor);
    if (rc != 0)
        return from_lmdb(rc);
    rc = mdb_cursor_get(cursor, &name, &value, MDB_SET_RANGE);
    if (before)
        rc = rc == MDB_NOTFOUND ? mdb_cursor_get(cursor, &name, &value, MDB_LAST)
             : rc == 0          ? mdb_cursor_get(cursor, &name, &value, MDB_PREV)
                                : rc;
    mdb_cursor_close(cursor);
    if (rc != 0)
        return from_lmdb(rc);
    rc = as_key(&name, &found);
    if (rc < 0)
        return rc;
    *ret_key = found;
    *ret_value = value.mv_data;
    *ret_bytes = value.mv_size;
    return E_OK;
}

int store_at_or_after(struct store_txn *txn, const struct store_key *key, struct store_key *ret_key,
                      const uint8_t **ret_value, size_t *ret_bytes)
{
    return find(txn, key, false, ret_key, ret_value, ret_bytes);
}

int store_before(struct store_txn *txn, const struct store_key *key, struct store_key *ret_key,
                 const uint8_t **ret_value, size_t *ret_bytes)
{
    return find(txn, key, true, ret_key, ret_value, ret_bytes);
}

int store_get_use(struct store_txn *txn, struct store_use *ret_use)
{
    MDB_envinfo info;
    MDB_stat stat;
    int rc = mdb_stat(txn->txn, txn->store->dbi, &stat);
    if (rc == 0)
        rc = mdb_env_info(txn->store->env, &info);
    if (rc != 0)
        return from_lmdb(rc);
    ret_use->touched_pages = info.me_last_pgno + 1;
    ret_use->page_bytes = stat.ms_psize;
    ret_use->used_pages = stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
    ret_use->total_pages = txn->store->size_bytes / stat.ms_psize;
    return E_OK;
}

void store_release_page(const uint8_t *value)
{
    long page_bytes = sysconf(_SC_PAGESIZE);
    uintptr_t page = (uintptr_t)value & ~((uintptr_t)page_bytes - 1);
    (void)madvise((void *)page, (size_t)page_bytes, MADV_DONTNEED);
}
