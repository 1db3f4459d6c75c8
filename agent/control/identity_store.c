/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control/identity_store.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/base/error.h"
#include "platform/certificate.h"
#include "platform/hash.h"
#include "platform/rights.h"

enum {
    DIRECTORY_MODE = 0750,
    CERT_MODE = 0640,
    KEY_MODE = 0600,
    PAIR_BYTES = 24,
    PAIRS_MAX = 100000,
};

#define PAIR_PREFIX "pair-"

struct identity_store {
    struct identity_store_options options;
    char state[PATH_MAX]; /* without links in it */
    char directory[FS_PATH_BYTES];
    struct rights rights;
    int lock_fd;
    char staged[PAIR_BYTES]; /* "pair-7", "" for none */
};

/* ---- rights ---- */

static void become_owner(const struct identity_store *store)
{
    if (rights_take(&store->rights) < 0)
        abort(); /* it went once, when the store was opened */
}

static void become_caller(const struct identity_store *store)
{
    rights_give_back(&store->rights);
}

/* ---- faults ---- */

static int explain(char fault[IDENTITY_STORE_FAULT_BYTES], const char *path, int code)
{
    int errnum = error_errno(code);
    bool refused = errnum == EACCES || errnum == EPERM || errnum == EROFS;
    (void)snprintf(fault, IDENTITY_STORE_FAULT_BYTES, "%s: %s%s", path, ERROR_TEXT(code),
                   errnum == EROFS ? "; make it writable"
                   : refused       ? "; ask as root, or as the user whose directory it is"
                                   : "");
    return refused ? E_REFUSED : code;
}

/* ---- small steps ---- */

static int path_in(const struct identity_store *store, const char *name, char path[FS_PATH_BYTES])
{
    return fs_join(store->directory, name, path, FS_PATH_BYTES);
}

int identity_store_next_path(const char *state, char path[FS_PATH_BYTES])
{
    return fs_join(state, "identity/next.key", path, FS_PATH_BYTES);
}

static int path_of_pair(const struct identity_store *store, const char *pair, const char *file,
                        char path[FS_PATH_BYTES])
{
    int count = snprintf(path, FS_PATH_BYTES, "%s/%s%s%s", store->directory, pair,
                         file[0] == '\0' ? "" : "/", file);
    return count < 0 || count >= FS_PATH_BYTES ? E_TOO_BIG : 0;
}

/* Where LINK leads, "" if it is none. */
static void read_link(const char *link, char target[FS_PATH_BYTES])
{
    ssize_t count = readlink(link, target, FS_PATH_BYTES - 1);
    target[count < 0 ? 0 : count] = '\0';
}

/* The pair in use, "" if there is none. */
static void read_current(const struct identity_store *store, char pair[FS_PATH_BYTES])
{
    char path[FS_PATH_BYTES];
    pair[0] = '\0';
    if (path_in(store, "current", path) == 0)
        read_link(path, pair);
}

static void remove_file(const char *directory, const char *name)
{
    char path[FS_PATH_BYTES];
    if (fs_join(directory, name, path, sizeof path) == 0)
        (void)unlink(path);
}

/* What we put into one is all that is in it. */
static void remove_pair(const struct identity_store *store, const char *pair)
{
    static const char *const files[] = {IDENTITY_STORE_KEY, IDENTITY_STORE_CERT,
                                        IDENTITY_STORE_KEY ".new", IDENTITY_STORE_CERT ".new"};
    char path[FS_PATH_BYTES];
    if (path_of_pair(store, pair, "", path) < 0)
        return;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        remove_file(path, files[i]);
    (void)rmdir(path);
}

/* All pairs but the one in use. */
static void remove_pairs(const struct identity_store *store)
{
    char current[FS_PATH_BYTES];
    const struct dirent *entry;
    DIR *directory = opendir(store->directory);
    if (directory == NULL)
        return;
    read_current(store, current);
    while ((entry = readdir(directory)) != NULL)
        if (strncmp(entry->d_name, PAIR_PREFIX, sizeof PAIR_PREFIX - 1) == 0 &&
            strcmp(entry->d_name, current) != 0)
            remove_pair(store, entry->d_name);
    (void)closedir(directory);
    (void)fs_sync_directory(store->directory);
}

/* ---- the next key ---- */

/* After a cut behind the switch it is the key in use. */
static void forget_used_next(const struct identity_store *store)
{
    char next[IDENTITY_KEY_BYTES], used[IDENTITY_KEY_BYTES];
    char path[FS_PATH_BYTES];
    int next_count = E_NOT_FOUND;
    if (path_in(store, "next.key", path) == 0)
        next_count = fs_read_file(path, next, sizeof next);
    int used_count = fs_read_file(store->options.key_file, used, sizeof used);
    if (next_count > 0 && next_count == used_count && memcmp(next, used, (size_t)used_count) == 0) {
        (void)unlink(path);
        (void)fs_sync_directory(store->directory);
    }
    hash_wipe(next, sizeof next);
    hash_wipe(used, sizeof used);
}

int identity_store_put_next(struct identity_store *store, const char *key_pem, size_t count,
                            char fault[IDENTITY_STORE_FAULT_BYTES])
{
    char path[FS_PATH_BYTES];
    int rc = path_in(store, "next.key", path);
    become_owner(store);
    if (rc == 0)
        rc = fs_replace_file(path, key_pem, count, KEY_MODE);
    become_caller(store);
    return rc < 0 ? explain(fault, path, rc) : 0;
}

static const char *path_of_key(const struct identity_store *store, enum identity_store_key which,
                               char next[FS_PATH_BYTES])
{
    if (which == IDENTITY_STORE_IN_USE)
        return store->options.key_file;
    return path_in(store, "next.key", next) == 0 ? next : "";
}

int identity_store_read_key(const struct identity_store *store, enum identity_store_key which,
                            char ret_pem[IDENTITY_KEY_BYTES],
                            char fault[IDENTITY_STORE_FAULT_BYTES])
{
    char next[FS_PATH_BYTES];
    const char *path = path_of_key(store, which, next);
    become_owner(store);
    int rc = fs_read_file(path, ret_pem, IDENTITY_KEY_BYTES);
    become_caller(store);
    if (error_errno(rc) == ENOENT)
        return E_NOT_FOUND;
    return rc < 0 ? explain(fault, path, rc) : rc;
}

/* ---- open and close ---- */

static int find_state(struct identity_store *store, char fault[IDENTITY_STORE_FAULT_BYTES])
{
    const char *state = store->options.state;
    int rc = realpath(state, store->state) == NULL ? error_sys(errno)
                                                   : rights_find(store->state, &store->rights);
    if (rc < 0) {
        bool missing = error_errno(rc) == ENOENT;
        (void)snprintf(fault, IDENTITY_STORE_FAULT_BYTES, "the state directory %s: %s%s", state,
                       ERROR_TEXT(rc),
                       missing ? "; make it for the user of the agent, or start the agent once"
                               : "");
        return missing ? E_NOT_FOUND : rc;
    }
    return fs_join(store->state, "identity", store->directory, sizeof store->directory);
}

static int enter(struct identity_store *store, char fault[IDENTITY_STORE_FAULT_BYTES])
{
    int rc = fs_make_directories(store->directory, DIRECTORY_MODE);
    if (rc == 0)
        rc = fs_lock_directory(store->directory, &store->lock_fd);
    if (rc == E_BUSY)
        (void)snprintf(fault, IDENTITY_STORE_FAULT_BYTES,
                       "another runnel identity is at work; wait for it");
    else if (rc < 0)
        rc = explain(fault, store->directory, rc);
    if (rc < 0)
        return rc;
    remove_file(store->directory, "current.new");
    remove_file(store->directory, "next.key.new");
    remove_pairs(store);
    forget_used_next(store);
    return 0;
}

int identity_store_open(const struct identity_store_options *options,
                        char fault[IDENTITY_STORE_FAULT_BYTES], struct identity_store **ret_store)
{
    struct identity_store *store = calloc(1, sizeof *store);
    (void)snprintf(fault, IDENTITY_STORE_FAULT_BYTES, "%s", ERROR_TEXT(E_NO_MEMORY));
    if (store == NULL)
        return E_NO_MEMORY;
    store->options = *options;
    store->lock_fd = -1;
    int rc = find_state(store, fault);
    if (rc == 0 && strcmp(options->cert_file, options->key_file) == 0) {
        (void)snprintf(fault, IDENTITY_STORE_FAULT_BYTES,
                       "%s: cert_file and key_file are one file; give each its own",
                       options->cert_file);
        rc = E_INVALID;
    }
    if (rc == 0) {
        rc = rights_take(&store->rights);
        rc = rc == 0 ? enter(store, fault) : explain(fault, "seteuid", rc);
        become_caller(store);
    }
    if (rc < 0) {
        identity_store_close(store);
        return rc;
    }
    *ret_store = store;
    return 0;
}

void identity_store_close(struct identity_store *store)
{
    if (store == NULL)
        return;
    identity_store_drop(store);
    if (store->lock_fd >= 0)
        (void)close(store->lock_fd);
    free(store);
}

/* ---- pairs ---- */

/* A name that no pair has. */
static int make_pair_directory(const struct identity_store *store, char pair[PAIR_BYTES])
{
    char path[FS_PATH_BYTES];
    for (int number = 1; number < PAIRS_MAX; number++) {
        (void)snprintf(pair, PAIR_BYTES, PAIR_PREFIX "%d", number);
        int rc = path_of_pair(store, pair, "", path);
        if (rc < 0)
            return rc;
        if (mkdir(path, DIRECTORY_MODE) == 0)
            return 0;
        if (errno != EEXIST)
            return error_sys(errno);
    }
    return E_FULL;
}

static int write_part(const struct identity_store *store, const char *pair, const char *name,
                      const char *text, size_t count, mode_t mode)
{
    char path[FS_PATH_BYTES];
    int rc = path_of_pair(store, pair, name, path);
    return rc < 0 ? rc : fs_replace_file(path, text, count, mode);
}

/* Each file and the pair's directory are on flash when it returns, and so is its name. A text that
 * is NULL has no file. */
static int write_pair(const struct identity_store *store, const struct identity_store_pair *from,
                      char pair[PAIR_BYTES])
{
    int rc = make_pair_directory(store, pair);
    if (rc < 0) {
        pair[0] = '\0';
        return rc;
    }
    if (from->key_pem != NULL)
        rc = write_part(store, pair, IDENTITY_STORE_KEY, from->key_pem, from->key_count, KEY_MODE);
    if (rc == 0 && from->cert_pem != NULL)
        rc = write_part(store, pair, IDENTITY_STORE_CERT, from->cert_pem, from->cert_count,
                        CERT_MODE);
    if (rc == 0)
        rc = fs_sync_directory(store->directory);
    if (rc < 0) {
        remove_pair(store, pair);
        pair[0] = '\0';
    }
    return rc;
}

int identity_store_stage(struct identity_store *store, const struct identity_store_pair *pair,
                         char fault[IDENTITY_STORE_FAULT_BYTES], char ret_cert_file[FS_PATH_BYTES],
                         char ret_key_file[FS_PATH_BYTES])
{
    identity_store_drop(store);
    become_owner(store);
    int rc = write_pair(store, pair, store->staged);
    become_caller(store);
    if (rc == 0)
        rc = path_of_pair(store, store->staged, IDENTITY_STORE_CERT, ret_cert_file);
    if (rc == 0)
        rc = path_of_pair(store, store->staged, IDENTITY_STORE_KEY, ret_key_file);
    return rc < 0 ? explain(fault, store->directory, rc) : 0;
}

void identity_store_drop(struct identity_store *store)
{
    char current[FS_PATH_BYTES];
    if (store->staged[0] == '\0')
        return;
    become_owner(store);
    read_current(store, current); /* a switch that failed may have happened all the same */
    if (strcmp(store->staged, current) != 0)
        remove_pair(store, store->staged);
    become_caller(store);
    store->staged[0] = '\0';
}

static int point_to(const struct identity_store *store, const char *pair)
{
    char path[FS_PATH_BYTES];
    int rc = path_in(store, "current", path);
    return rc < 0 ? rc : fs_replace_link(path, pair);
}

/* ---- the names in the configuration ---- */

/* A name of the configuration, and where it has to lead. */
struct name {
    const char *path;
    char target[FS_PATH_BYTES];
    bool leads_there;
};

/* The folder of PATH without links in it, "" if it is not there. */
static void resolve_folder(const char *path, char resolved[PATH_MAX])
{
    char folder[FS_PATH_BYTES];
    const char *slash = strrchr(path, '/');
    (void)snprintf(folder, sizeof folder, "%.*s", slash == NULL ? 1 : (int)(slash - path) + 1,
                   slash == NULL ? "." : path);
    if (realpath(folder, resolved) == NULL)
        resolved[0] = '\0';
}

static bool is_within(const char *folder, const char *directory)
{
    size_t count = strlen(directory);
    return strncmp(folder, directory, count) == 0 &&
           (folder[count] == '\0' || folder[count] == '/');
}

/* Links in the state directory survive that it moves. */
static int look_at_name(const struct identity_store *store, const char *path, const char *file,
                        struct name *ret_name)
{
    char now[FS_PATH_BYTES];
    char whole[FS_PATH_BYTES];
    char folder[PATH_MAX];
    *ret_name = (struct name){.path = path};
    int count = snprintf(whole, sizeof whole, "%s/current/%s", store->directory, file);
    if (count < 0 || (size_t)count >= sizeof whole)
        return E_TOO_BIG;
    resolve_folder(path, folder);
    if (strcmp(folder, store->state) == 0)
        (void)snprintf(ret_name->target, sizeof ret_name->target, "identity/current/%s", file);
    else
        (void)strcpy(ret_name->target, whole);
    read_link(path, now);
    ret_name->leads_there = strcmp(now, ret_name->target) == 0 || strcmp(path, whole) == 0;
    /* A pair's own file under another name would become a link to itself. */
    return !ret_name->leads_there && is_within(folder, store->directory) ? E_INVALID : 0;
}

/* Takes over what the names lead to now, so that the next steps change nothing of it. */
static int take_over(const struct identity_store *store, char *cert_pem, char *key_pem)
{
    char pair[PAIR_BYTES];
    int cert_count = fs_read_file(store->options.cert_file, cert_pem, CERTIFICATE_FILE_BYTES_MAX);
    int key_count = fs_read_file(store->options.key_file, key_pem, IDENTITY_KEY_BYTES);
    if (cert_count == E_TOO_BIG || key_count == E_TOO_BIG)
        return E_TOO_BIG;
    const struct identity_store_pair old = {.cert_pem = cert_count < 0 ? NULL : cert_pem,
                                            .cert_count = (size_t)cert_count,
                                            .key_pem = key_count < 0 ? NULL : key_pem,
                                            .key_count = (size_t)key_count};
    int rc = write_pair(store, &old, pair);
    return rc < 0 ? rc : point_to(store, pair);
}

static int take_over_as_owner(const struct identity_store *store)
{
    char key_pem[IDENTITY_KEY_BYTES];
    char *cert_pem = malloc(CERTIFICATE_FILE_BYTES_MAX);
    become_owner(store);
    int rc = cert_pem == NULL ? E_NO_MEMORY : take_over(store, cert_pem, key_pem);
    become_caller(store);
    hash_wipe(key_pem, sizeof key_pem);
    free(cert_pem);
    return rc;
}

/* What names the files may be the agent's to change; root would write for it wherever it says. */
static bool is_beside_configuration(const struct identity_store *store, const char *path)
{
    const char *folder = store->options.folder;
    size_t count = folder == NULL ? 0 : strlen(folder);
    return folder != NULL && strncmp(path, folder, count) == 0 && path[count] == '/' &&
           strchr(path + count + 1, '/') == NULL;
}

/* Who calls may have rights in a directory such as /etc/runnel that the owner has not. */
static int lead_there(const struct identity_store *store, const struct name *name,
                      char fault[IDENTITY_STORE_FAULT_BYTES])
{
    if (name->leads_there)
        return 0;
    become_owner(store);
    int rc = fs_replace_link(name->path, name->target);
    become_caller(store);
    bool denied = error_errno(rc) == EACCES || error_errno(rc) == EPERM;
    if (denied && is_beside_configuration(store, name->path))
        rc = fs_replace_link(name->path, name->target);
    return rc < 0 ? explain(fault, name->path, rc) : 0;
}

/* The key first: without it a certificate is of no use to whoever looks in between. */
static int lead_names(const struct identity_store *store, char fault[IDENTITY_STORE_FAULT_BYTES])
{
    struct name key, cert;
    int rc = look_at_name(store, store->options.key_file, IDENTITY_STORE_KEY, &key);
    if (rc == 0)
        rc = look_at_name(store, store->options.cert_file, IDENTITY_STORE_CERT, &cert);
    if (rc == 0 && key.leads_there && cert.leads_there)
        return 0;
    if (rc == 0)
        rc = take_over_as_owner(store);
    if (rc < 0)
        return explain(fault, store->directory, rc);
    rc = lead_there(store, &key, fault);
    return rc < 0 ? rc : lead_there(store, &cert, fault);
}

int identity_store_switch(struct identity_store *store, bool used_next,
                          char fault[IDENTITY_STORE_FAULT_BYTES])
{
    int rc = lead_names(store, fault);
    if (rc < 0)
        return rc;
    become_owner(store);
    rc = point_to(store, store->staged);
    if (rc == 0) {
        store->staged[0] = '\0';
        if (used_next)
            remove_file(store->directory, "next.key");
        remove_pairs(store);
    }
    become_caller(store);
    return rc < 0 ? explain(fault, store->directory, rc) : 0;
}
