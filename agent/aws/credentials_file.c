/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/aws/credentials.h"
#include "platform/base/error.h"
#include "platform/base/log.h"
#include "platform/clock.h"
#include "platform/fs.h"
#include "platform/hash.h"

enum {
    PROFILE_BYTES = 128,
    PIECE_BYTES = 512,
    LINE_BYTES = CREDENTIALS_TOKEN_BYTES + 256, /* the longest value with its name and a comment */
    SOURCES = 2,
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

/* How far the reading of one file has come. */
struct reading {
    bool in_profile;
    bool profile_seen;
    unsigned line_number;
    bool line_cut;
    size_t line_bytes;
    char line[LINE_BYTES];
};

struct file_provider {
    struct credentials_provider provider;
    char profile[PROFILE_BYTES];
    bool profile_asked;
    bool path_asked;
    bool warned; /* that others may read it */
    size_t source_count;
    size_t decided; /* how many of them had to be read */
    struct source sources[SOURCES];
    struct reading reading;
    struct credentials slots[2]; /* what was read last, and where the next is read to */
    unsigned used;
    bool has_kept;
    struct log_limit complaint;
};

struct text {
    const char *at;
    size_t count;
};

static struct file_provider *file_of(struct credentials_provider *provider)
{
    return (struct file_provider *)(void *)provider;
}

static bool is_blank(char character)
{
    return character == ' ' || character == '\t' || character == '\r';
}

static struct text trim(struct text text)
{
    while (text.count > 0 && is_blank(text.at[0])) {
        text.at++;
        text.count--;
    }
    while (text.count > 0 && is_blank(text.at[text.count - 1]))
        text.count--;
    return text;
}

static bool is_comment(char character)
{
    return character == '#' || character == ';';
}

/* Behind a value, a comment begins with a blank before its sign. */
static struct text cut_comment(struct text text)
{
    for (size_t i = 1; i < text.count; i++)
        if (is_comment(text.at[i]) && is_blank(text.at[i - 1]))
            text.count = i;
    return trim(text);
}

static bool is_text(struct text text, const char *other)
{
    return text.count == strlen(other) && memcmp(text.at, other, text.count) == 0;
}

/* Takes "profile" and the blanks behind it off a section's name. */
static bool take_profile_word(struct text *name)
{
    static const char word[] = "profile";
    size_t count = sizeof word - 1;
    if (name->count <= count || memcmp(name->at, word, count) != 0 || !is_blank(name->at[count]))
        return false;
    *name = trim((struct text){name->at + count, name->count - count});
    return true;
}

/* In the config file every profile but the default is called [profile NAME], and that one may be.
 */
static bool is_profile(const struct file_provider *file, const struct source *source,
                       struct text name)
{
    if (source->is_config && !take_profile_word(&name) && !is_text(name, "default"))
        return false;
    return is_text(name, file->profile);
}

static void read_section(struct file_provider *file, const struct source *source, struct text line)
{
    const char *end = memchr(line.at, ']', line.count);
    size_t count = end == NULL ? line.count - 1 : (size_t)(end - line.at) - 1;
    file->reading.in_profile = is_profile(file, source, trim((struct text){line.at + 1, count}));
    file->reading.profile_seen |= file->reading.in_profile;
}

/* Where the value of the key NAME belongs; NULL: it is none of ours. */
static char *place_of(struct credentials *credentials, struct text name, size_t *ret_bytes)
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
        if (name.count == strlen(keys[i].name) &&
            strncasecmp(name.at, keys[i].name, name.count) == 0) {
            *ret_bytes = keys[i].bytes;
            return keys[i].place;
        }
    return NULL;
}

static int read_key(struct file_provider *file, const struct source *source, struct text line,
                    char fault[CREDENTIALS_FAULT_BYTES])
{
    const char *equals = memchr(line.at, '=', line.count);
    size_t bytes = 0;
    if (!file->reading.in_profile || equals == NULL)
        return 0;
    struct text name = trim((struct text){line.at, (size_t)(equals - line.at)});
    char *place = place_of(&file->slots[1 - file->used], name, &bytes);
    if (place == NULL)
        return 0;
    size_t before = (size_t)(equals - line.at) + 1;
    struct text value = cut_comment(trim((struct text){equals + 1, line.count - before}));
    int rc =
        file->reading.line_cut ? E_TOO_BIG : credentials_copy(place, bytes, value.at, value.count);
    if (rc == 0)
        return 0;
    return credentials_fault(fault, E_CREDENTIALS, "%s:%u: the value of %.*s %s", source->path,
                             file->reading.line_number, (int)name.count, name.at,
                             rc == E_TOO_BIG ? "is too long" : "holds a character that no key has");
}

/* Editors of other systems put a byte order mark before the first section. */
static struct text whole_line(const struct reading *reading)
{
    static const char mark[] = "\xef\xbb\xbf";
    size_t skip = reading->line_number == 1 && reading->line_bytes >= sizeof mark - 1 &&
                          memcmp(reading->line, mark, sizeof mark - 1) == 0
                      ? sizeof mark - 1
                      : 0;
    return trim((struct text){reading->line + skip, reading->line_bytes - skip});
}

static int read_line(struct file_provider *file, const struct source *source,
                     char fault[CREDENTIALS_FAULT_BYTES])
{
    struct reading *reading = &file->reading;
    int rc = 0;
    reading->line_number++;
    struct text line = whole_line(reading);
    if (line.count > 0 && line.at[0] == '[')
        read_section(file, source, line);
    else if (line.count > 0 && !is_comment(line.at[0]))
        rc = read_key(file, source, line, fault);
    reading->line_bytes = 0;
    reading->line_cut = false;
    return rc;
}

static int read_piece(struct file_provider *file, const struct source *source, const char *bytes,
                      size_t count, char fault[CREDENTIALS_FAULT_BYTES])
{
    struct reading *reading = &file->reading;
    for (size_t i = 0; i < count; i++) {
        int rc = 0;
        if (bytes[i] == '\n')
            rc = read_line(file, source, fault);
        else if (reading->line_bytes < sizeof reading->line)
            reading->line[reading->line_bytes++] = bytes[i];
        else
            reading->line_cut = true;
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int read_lines(struct file_provider *file, const struct source *source, int fd,
                      char fault[CREDENTIALS_FAULT_BYTES])
{
    char piece[PIECE_BYTES];
    ssize_t got;
    int rc = 0;
    do {
        got = read(fd, piece, sizeof piece);
        if (got > 0)
            rc = read_piece(file, source, piece, (size_t)got, fault);
    } while (rc == 0 && (got > 0 || (got < 0 && errno == EINTR)));
    if (got < 0)
        rc = credentials_fault(fault, E_CREDENTIALS, "%s: %s", source->path,
                               ERROR_TEXT(error_sys(errno)));
    hash_wipe(piece, sizeof piece);
    return rc < 0 ? rc : read_line(file, source, fault); /* the last one may lack its end */
}

static int check_mode(struct file_provider *file, const struct source *source, mode_t mode,
                      char fault[CREDENTIALS_FAULT_BYTES])
{
    if ((mode & (S_IWGRP | S_IWOTH)) != 0)
        return credentials_fault(fault, E_REFUSED,
                                 "%s may be written by others than its owner, so anybody's keys "
                                 "may stand there: chmod go-w it",
                                 source->path);
    if ((mode & S_IROTH) != 0 && !file->warned) {
        log_warning("credentials-file-readable path=\"%s\" mode=%04o remedy=\"chmod o-r\"",
                    source->path, (unsigned)(mode & 07777));
        file->warned = true;
    }
    return 0;
}

/* 0 if the keys of the profile are there, E_NOT_FOUND if none is. */
static int judge(struct file_provider *file, const struct source *source, mode_t mode,
                 char fault[CREDENTIALS_FAULT_BYTES])
{
    const struct credentials *read = &file->slots[1 - file->used];
    bool has_id = read->access_key_id[0] != '\0';
    bool has_secret = read->secret_access_key[0] != '\0';
    if (!file->reading.profile_seen)
        return credentials_fault(fault, E_NOT_FOUND, "%s has no profile [%s]", source->path,
                                 file->profile);
    if (!has_id && !has_secret)
        return credentials_fault(fault, E_NOT_FOUND, "%s: profile [%s] has no aws_access_key_id",
                                 source->path, file->profile);
    if (!has_id || !has_secret)
        return credentials_fault(fault, E_CREDENTIALS, "%s: profile [%s] has no %s", source->path,
                                 file->profile,
                                 has_id ? "aws_secret_access_key" : "aws_access_key_id");
    return check_mode(file, source, mode, fault);
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
    memset(&file->reading, 0, sizeof file->reading);
    int rc = read_lines(file, source, fd, fault);
    hash_wipe(file->reading.line, sizeof file->reading.line);
    return rc < 0 ? rc : judge(file, source, status.st_mode, fault);
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

/* What is missing is no fault unless somebody asked for it by name. */
static int explain_missing(const struct file_provider *file, char fault[CREDENTIALS_FAULT_BYTES])
{
    int code = file->profile_asked || file->path_asked ? E_CREDENTIALS : E_NOT_FOUND;
    if (file->source_count < SOURCES)
        return code; /* the one file's fault says it all */
    return credentials_fault(fault, code, "profile [%s] has no aws_access_key_id in %s or %s",
                             file->profile, file->sources[0].path, file->sources[1].path);
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
    fault[0] = '\0';
    *ret_credentials = file->slots[file->used];
    return 0;
}

static void expire_file(struct credentials_provider *provider)
{
    drop(file_of(provider));
}

static void close_file(struct credentials_provider *provider)
{
    struct file_provider *file = file_of(provider);
    hash_wipe(file, sizeof *file);
    free(file);
}

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

/* PATH as it is, or with HOME for a "~" that no shell has seen (a systemd unit's environment). */
static int add_path(struct file_provider *file, const char *path)
{
    struct source *source = &file->sources[file->source_count];
    const char *home = variable("HOME");
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
    const char *value = variable(name);
    return add_path(file, value != NULL ? value : path);
}

static int add_paths(struct file_provider *file, const char *path)
{
    if (path != NULL)
        return add_path(file, path);
    int rc = add_default_path(file, "AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials");
    if (rc < 0)
        return rc;
    file->sources[file->source_count].is_config = true;
    return add_default_path(file, "AWS_CONFIG_FILE", "~/.aws/config");
}

static int choose_profile(struct file_provider *file, const char *profile)
{
    const char *asked = profile != NULL ? profile : variable("AWS_PROFILE");
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
