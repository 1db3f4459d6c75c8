/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/aws/credentials.h"
#include "platform/base/error.h"
#include "platform/base/ini.h"
#include "platform/base/log.h"
#include "platform/clock.h"
#include "platform/fs.h"
#include "platform/hash.h"

enum {
    PROFILE_BYTES = 128,
    PIECE_BYTES = 512,
    LINE_BYTES = CREDENTIALS_TOKEN_BYTES + 256, /* the longest value with its name and a comment */
    SOURCES = 4,
};

/* What tells one state of a file from the next. */
struct identity {
    bool exists;
    dev_t device;
    ino_t inode;
    mode_t mode;
    off_t bytes;
    struct timespec changed;
};

struct source {
    char path[FS_PATH_BYTES];
    bool is_config; /* its sections are called [profile NAME] */
    struct identity seen;
};

struct file_provider {
    struct credentials_provider provider;
    char profile[PROFILE_BYTES];
    bool profile_asked;
    bool path_asked;
    bool warned;   /* that others may read it */
    bool has_role; /* the profile names one instead of keys */
    size_t source_count;
    size_t decided; /* how many of them had to be read */
    struct source sources[SOURCES];
    char line[LINE_BYTES];
    struct credentials slots[2]; /* what was read last, and where the next is read to */
    unsigned used;
    bool has_kept;
    struct log_limit complaint;
};

/* One look at one file. */
struct look {
    struct file_provider *file;
    const struct source *source;
    struct ini ini;
    char *fault;
};

static struct file_provider *file_of(struct credentials_provider *provider)
{
    return (struct file_provider *)(void *)provider;
}

/* Where the value of KEY belongs; NULL: it is none of ours. */
static char *place_of(struct credentials *credentials, const struct ini_key *key, size_t *ret_bytes)
{
    const struct {
        const char *name;
        char *place;
        size_t bytes;
    } keys[] = {
        {"aws_access_key_id", credentials->access_key_id, sizeof credentials->access_key_id},
        {"aws_secret_access_key", credentials->secret_access_key,
         sizeof credentials->secret_access_key},
        {"aws_session_token", credentials->session_token, sizeof credentials->session_token},
    };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (ini_is(key, keys[i].name)) {
            *ret_bytes = keys[i].bytes;
            return keys[i].place;
        }
    return NULL;
}

static int take_key(void *context, const struct ini_key *key)
{
    const struct look *look = context;
    struct file_provider *file = look->file;
    size_t bytes = 0;
    file->has_role |= ini_is(key, "role_arn");
    char *place = place_of(&file->slots[1 - file->used], key, &bytes);
    if (place == NULL)
        return 0;
    int rc = key->cut ? E_TOO_BIG : credentials_copy(place, bytes, key->value, key->value_count);
    if (rc == 0)
        return 0;
    return credentials_fault(look->fault, E_CREDENTIALS, "%s:%u: the value of %.*s %s",
                             look->source->path, key->line, (int)key->name_count, key->name,
                             rc == E_TOO_BIG ? "is too long" : "holds a character that no key has");
}

static int read_lines(struct look *look, int fd)
{
    char piece[PIECE_BYTES];
    ssize_t got;
    int rc = 0;
    do {
        got = read(fd, piece, sizeof piece);
        if (got > 0)
            rc = ini_feed(&look->ini, piece, (size_t)got);
    } while (rc == 0 && (got > 0 || (got < 0 && errno == EINTR)));
    if (got < 0)
        rc = credentials_fault(look->fault, E_CREDENTIALS, "%s: %s", look->source->path,
                               ERROR_TEXT(error_sys(errno)));
    hash_wipe(piece, sizeof piece);
    return rc < 0 ? rc : ini_end(&look->ini);
}

/* 0 if the keys of the profile are there, E_NOT_FOUND if none is. */
static int judge(const struct look *look, mode_t mode, char fault[CREDENTIALS_FAULT_BYTES])
{
    struct file_provider *file = look->file;
    const struct source *source = look->source;
    const struct credentials *read = &file->slots[1 - file->used];
    bool has_id = read->access_key_id[0] != '\0';
    bool has_secret = read->secret_access_key[0] != '\0';
    if (!look->ini.profile_seen)
        return credentials_fault(fault, E_NOT_FOUND, "%s has no profile [%s]", source->path,
                                 file->profile);
    if (!has_id && !has_secret)
        return credentials_fault(fault, E_NOT_FOUND, "%s: profile [%s] has no aws_access_key_id",
                                 source->path, file->profile);
    if (!has_id || !has_secret)
        return credentials_fault(fault, E_CREDENTIALS, "%s: profile [%s] has no %s", source->path,
                                 file->profile,
                                 has_id ? "aws_secret_access_key" : "aws_access_key_id");
    return credentials_check_mode(source->path, mode, &file->warned, fault);
}

static struct identity identify(const struct stat *status)
{
    return (struct identity){.exists = true,
                             .device = status->st_dev,
                             .inode = status->st_ino,
                             .mode = status->st_mode,
                             .bytes = status->st_size,
                             .changed = status->st_mtim};
}

static int read_open_file(struct file_provider *file, struct source *source, int fd,
                          char fault[CREDENTIALS_FAULT_BYTES])
{
    struct stat status;
    if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode))
        return credentials_fault(fault, E_CREDENTIALS, "%s is no regular file", source->path);
    source->seen = identify(&status);
    credentials_wipe(&file->slots[1 - file->used]);
    struct look look = {.file = file, .source = source, .fault = fault};
    look.ini = (struct ini){.profile = file->profile,
                            .is_config = source->is_config,
                            .on_key = take_key,
                            .context = &look,
                            .line = file->line,
                            .line_bytes = sizeof file->line};
    int rc = read_lines(&look, fd);
    hash_wipe(file->line, sizeof file->line);
    return rc < 0 ? rc : judge(&look, status.st_mode, fault);
}

static int read_source(struct file_provider *file, struct source *source,
                       char fault[CREDENTIALS_FAULT_BYTES])
{
    source->seen = (struct identity){0};
    /* Non-blocking: the path may name a FIFO that nobody writes to. */
    int fd = open(source->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        int code = errno == ENOENT || errno == ENOTDIR ? E_NOT_FOUND : E_CREDENTIALS;
        return credentials_fault(fault, code, "%s: %s", source->path, ERROR_TEXT(error_sys(errno)));
    }
    int rc = read_open_file(file, source, fd, fault);
    (void)close(fd);
    return rc;
}

/* The first file that has a key of the profile decides, so that keys are never mixed. */
static int read_sources(struct file_provider *file, char fault[CREDENTIALS_FAULT_BYTES])
{
    int rc =
        credentials_fault(fault, E_NOT_FOUND, "HOME is not set: set AWS_SHARED_CREDENTIALS_FILE");
    file->has_role = false;
    for (file->decided = 0; rc == E_NOT_FOUND && file->decided < file->source_count;)
        rc = read_source(file, &file->sources[file->decided++], fault);
    return rc;
}

static bool is_same(const struct identity *a, const struct identity *b)
{
    return a->exists == b->exists && a->device == b->device && a->inode == b->inode &&
           a->mode == b->mode && a->bytes == b->bytes && a->changed.tv_sec == b->changed.tv_sec &&
           a->changed.tv_nsec == b->changed.tv_nsec;
}

static bool has_changed(const struct source *source)
{
    struct stat status;
    struct identity now = {0};
    if (stat(source->path, &status) == 0)
        now = identify(&status);
    return !is_same(&now, &source->seen);
}

static bool is_current(const struct file_provider *file)
{
    if (!file->has_kept)
        return false;
    for (size_t i = 0; i < file->decided; i++)
        if (has_changed(&file->sources[i]))
            return false;
    return true;
}

static void keep(struct file_provider *file)
{
    credentials_wipe(&file->slots[file->used]);
    file->used = 1 - file->used;
    file->slots[file->used].expires_mono_ms = INT64_MAX;
    file->has_kept = true;
}

static void drop(struct file_provider *file)
{
    credentials_wipe(&file->slots[file->used]);
    file->has_kept = false;
}

/* Whoever writes the file may be in the middle of it, or of replacing it: the old keys go on, and
 * the file is read again next time. */
static bool go_on_with_old(struct file_provider *file, const char *fault)
{
    unsigned long silenced;
    if (!file->has_kept)
        return false;
    file->sources[0].seen.bytes = -1; /* unlike any file, also unlike none */
    if (log_limit_passes(&file->complaint, (long long)clock_mono_ms(), &silenced))
        log_warning("credentials-file-unfinished silenced=%lu fault=\"%s\"", silenced, fault);
    return true;
}

/* What is missing is no fault unless somebody asked for it by name. A profile that names a role is
 * there, and whoever wrote it wants no other keys. */
static int explain_missing(const struct file_provider *file, char fault[CREDENTIALS_FAULT_BYTES])
{
    int code = file->profile_asked || file->path_asked ? E_CREDENTIALS : E_NOT_FOUND;
    if (file->has_role)
        return credentials_fault(fault, E_CREDENTIALS,
                                 "profile [%s] names a role, which is not assumed from there: "
                                 "write its \"role_arn\" at the route, and \"profile\": its "
                                 "source_profile at \"credentials\"",
                                 file->profile);
    if (file->source_count < 2)
        return code; /* the one file's fault says it all */
    return credentials_fault(fault, code, "profile [%s] has no aws_access_key_id in %s or %s",
                             file->profile, file->sources[file->source_count - 2].path,
                             file->sources[file->source_count - 1].path);
}

static int read_again(struct file_provider *file, char fault[CREDENTIALS_FAULT_BYTES])
{
    int rc = read_sources(file, fault);
    if (rc == 0)
        keep(file);
    credentials_wipe(&file->slots[1 - file->used]);
    if (rc == E_NOT_FOUND)
        rc = explain_missing(file, fault);
    if (rc == E_REFUSED) {
        drop(file);
        return E_CREDENTIALS;
    }
    return rc < 0 && go_on_with_old(file, fault) ? 0 : rc;
}

static int get_file(struct credentials_provider *provider, int64_t deadline_ms,
                    char fault[CREDENTIALS_FAULT_BYTES], struct credentials *ret_credentials)
{
    struct file_provider *file = file_of(provider);
    (void)deadline_ms;
    int rc = is_current(file) ? 0 : read_again(file, fault);
    if (rc < 0)
        return rc;
    *ret_credentials = file->slots[file->used];
    return 0;
}

static void expire_file(struct credentials_provider *provider, const struct credentials *used)
{
    (void)used;
    drop(file_of(provider));
}

static void close_file(struct credentials_provider *provider)
{
    struct file_provider *file = file_of(provider);
    hash_wipe(file, sizeof *file);
    free(file);
}

/* PATH as it is, or with HOME for a "~" that no shell has seen (a systemd unit's environment). */
static int add_path(struct file_provider *file, const char *path)
{
    struct source *source = &file->sources[file->source_count];
    const char *home = credentials_variable("HOME");
    bool expand = path[0] == '~' && path[1] == '/';
    if (expand && home == NULL)
        return 0;
    int count = snprintf(source->path, sizeof source->path, "%s%s", expand ? home : "",
                         expand ? path + 1 : path);
    if (count < 0 || (size_t)count >= sizeof source->path)
        return E_TOO_BIG;
    file->source_count++;
    return 0;
}

static int add_default_path(struct file_provider *file, const char *name, const char *path)
{
    const char *value = credentials_variable(name);
    return add_path(file, value != NULL ? value : path);
}

/* What a service manager hands over (systemd's LoadCredential=aws-credentials:PATH) goes before the
 * files of a home, but not before a file that is named. */
static int add_handed_over(struct file_provider *file)
{
    const char *directory = credentials_variable("CREDENTIALS_DIRECTORY");
    struct source *source = &file->sources[file->source_count];
    if (directory == NULL || credentials_variable("AWS_SHARED_CREDENTIALS_FILE") != NULL)
        return 0;
    int rc = fs_join(directory, "aws-credentials", source->path, sizeof source->path);
    file->source_count += rc == 0 && access(source->path, F_OK) == 0;
    return rc;
}

/* Of the service, which finds it by its environment; who looks at the same keys from a shell, such
 * as root with the doctor, has not got that. */
static int add_service(struct file_provider *file)
{
    static const char path[] = "/etc/runnel/credentials";
    if (credentials_variable("AWS_SHARED_CREDENTIALS_FILE") != NULL || access(path, F_OK) < 0)
        return 0;
    return add_path(file, path);
}

static int add_paths(struct file_provider *file, const char *path)
{
    if (path != NULL)
        return add_path(file, path);
    int rc = add_handed_over(file);
    if (rc < 0)
        return rc;
    rc = add_default_path(file, "AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials");
    if (rc < 0)
        return rc;
    rc = add_service(file);
    if (rc < 0)
        return rc;
    file->sources[file->source_count].is_config = true;
    return add_default_path(file, "AWS_CONFIG_FILE", "~/.aws/config");
}

static int choose_profile(struct file_provider *file, const char *profile)
{
    const char *asked = profile != NULL ? profile : credentials_variable("AWS_PROFILE");
    const char *chosen = asked != NULL ? asked : "default";
    size_t count = strlen(chosen);
    if (count >= sizeof file->profile)
        return E_TOO_BIG;
    memcpy(file->profile, chosen, count + 1);
    file->profile_asked = asked != NULL;
    return 0;
}

int credentials_file_open(const char *path, const char *profile,
                          struct credentials_provider **ret_provider)
{
    static const struct credentials_operations operations = {
        .name = "file", .get = get_file, .expire = expire_file, .close = close_file};
    struct file_provider *file = calloc(1, sizeof *file);
    if (file == NULL)
        return E_NO_MEMORY;
    file->provider.operations = &operations;
    file->path_asked = path != NULL;
    int rc = choose_profile(file, profile);
    if (rc == 0)
        rc = add_paths(file, path);
    if (rc < 0) {
        free(file);
        return rc;
    }
    *ret_provider = &file->provider;
    return 0;
}
