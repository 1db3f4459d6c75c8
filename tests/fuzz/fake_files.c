/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/fake_files.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "drivers/sysfs_at.h"
#include "platform/base/error.h"
#include "platform/fs.h"

enum { PIECE_END = 0xff, ERROR_MARK = '!' };

static struct {
    bool active;
    const uint8_t *bytes;
    size_t count;
    struct dirent entry;
} files;

/* What the linker puts in the place of the real ones. Where files may be large, glibc calls two of
 * them by other names. */
DIR *__real_opendir(const char *path);
DIR *__wrap_opendir(const char *path);
struct dirent *__real_readdir(DIR *listing);
struct dirent *__wrap_readdir(DIR *listing);
struct dirent *__real_readdir64(DIR *listing);
struct dirent *__wrap_readdir64(DIR *listing);
int __real_closedir(DIR *listing);
int __wrap_closedir(DIR *listing);
ssize_t __real_readlink(const char *path, char *target, size_t target_bytes);
ssize_t __wrap_readlink(const char *path, char *target, size_t target_bytes);
int __real_statvfs(const char *path, struct statvfs *space);
int __wrap_statvfs(const char *path, struct statvfs *space);
int __real_statvfs64(const char *path, struct statvfs *space);
int __wrap_statvfs64(const char *path, struct statvfs *space);
int __real_fs_read_file(const char *path, char *buffer, size_t buffer_bytes);
int __wrap_fs_read_file(const char *path, char *buffer, size_t buffer_bytes);
int __real_sysfs_at_open(const char *path);
int __wrap_sysfs_at_open(const char *path);
void __real_sysfs_at_close(int directory_fd);
void __wrap_sysfs_at_close(int directory_fd);
int __real_sysfs_at_read(int directory_fd, const char *name, char *text, size_t text_bytes);
int __wrap_sysfs_at_read(int directory_fd, const char *name, char *text, size_t text_bytes);
void __real_sysfs_at_read_raw(int directory_fd, const char *name, struct sysfs_raw *ret_raw);
void __wrap_sysfs_at_read_raw(int directory_fd, const char *name, struct sysfs_raw *ret_raw);
int __real_sysfs_at_write(int directory_fd, const char *name, const char *text);
int __wrap_sysfs_at_write(int directory_fd, const char *name, const char *text);
bool __real_sysfs_at_has(int directory_fd, const char *name);
bool __wrap_sysfs_at_has(int directory_fd, const char *name);

void fake_files_begin(const uint8_t *bytes, size_t count)
{
    files.active = true;
    files.bytes = bytes;
    files.count = count;
}

void fake_files_end(void)
{
    files.active = false;
}

/* Its length, or -errno. */
static int take(const uint8_t **ret_piece)
{
    if (files.count == 0)
        return -ENOENT;
    const uint8_t *end = memchr(files.bytes, PIECE_END, files.count);
    size_t length = end != NULL ? (size_t)(end - files.bytes) : files.count;
    *ret_piece = files.bytes;
    files.bytes += length + (end != NULL);
    files.count -= length + (end != NULL);
    if (length > 1 && (*ret_piece)[0] == ERROR_MARK && (*ret_piece)[1] > 0)
        return -(int)(*ret_piece)[1];
    return (int)length;
}

/* As much as fits of the next piece, which has no NUL in it then. */
static int take_text(char *text, size_t text_bytes)
{
    const uint8_t *piece = NULL;
    int length = take(&piece);
    if (length < 0)
        return length;
    size_t kept = (size_t)length < text_bytes ? (size_t)length : text_bytes - 1;
    memcpy(text, piece, kept);
    text[kept] = '\0';
    return (int)strlen(text);
}

const char *fake_files_text(char text[FAKE_FILES_TEXT_BYTES])
{
    return take_text(text, FAKE_FILES_TEXT_BYTES) < 0 ? "" : text;
}

/* ---- the files ---- */

DIR *__wrap_opendir(const char *path)
{
    if (!files.active)
        return __real_opendir(path);
    if (files.count > 0)
        return (DIR *)(void *)&files;
    errno = ENOENT;
    return NULL;
}

static struct dirent *next_entry(void)
{
    return take_text(files.entry.d_name, sizeof files.entry.d_name) > 0 ? &files.entry : NULL;
}

struct dirent *__wrap_readdir(DIR *listing)
{
    return files.active ? next_entry() : __real_readdir(listing);
}

int __wrap_closedir(DIR *listing)
{
    return files.active ? 0 : __real_closedir(listing);
}

ssize_t __wrap_readlink(const char *path, char *target, size_t target_bytes)
{
    if (!files.active)
        return __real_readlink(path, target, target_bytes);
    const uint8_t *piece = NULL;
    int length = take(&piece);
    if (length < 0) {
        errno = -length;
        return -1;
    }
    size_t kept = (size_t)length < target_bytes ? (size_t)length : target_bytes;
    memcpy(target, piece, kept); /* readlink(2): without a NUL */
    return (ssize_t)kept;
}

static int fill_space(struct statvfs *space)
{
    const uint8_t *piece = NULL;
    int length = take(&piece);
    if (length < 0) {
        errno = -length;
        return -1;
    }
    *space = (struct statvfs){0};
    memcpy(space, piece, (size_t)length < sizeof *space ? (size_t)length : sizeof *space);
    return 0;
}

int __wrap_statvfs(const char *path, struct statvfs *space)
{
    return files.active ? fill_space(space) : __real_statvfs(path, space);
}

#ifdef __GLIBC__
struct dirent *__wrap_readdir64(DIR *listing)
{
    return files.active ? next_entry() : __real_readdir64(listing);
}

int __wrap_statvfs64(const char *path, struct statvfs *space)
{
    return files.active ? fill_space(space) : __real_statvfs64(path, space);
}
#endif

static int read_piece(char *buffer, size_t buffer_bytes)
{
    const uint8_t *piece = NULL;
    int length = take(&piece);
    if (length < 0)
        return error_sys(-length);
    if ((size_t)length >= buffer_bytes)
        return E_TOO_BIG;
    memcpy(buffer, piece, (size_t)length); /* with whatever NUL it holds */
    buffer[length] = '\0';
    return length;
}

int __wrap_fs_read_file(const char *path, char *buffer, size_t buffer_bytes)
{
    return files.active ? read_piece(buffer, buffer_bytes)
                        : __real_fs_read_file(path, buffer, buffer_bytes);
}

/* ---- the open directories ---- */

int __wrap_sysfs_at_open(const char *path)
{
    if (!files.active)
        return __real_sysfs_at_open(path);
    return files.count > 0 ? INT_MAX : error_sys(ENOENT);
}

void __wrap_sysfs_at_close(int directory_fd)
{
    if (directory_fd != INT_MAX)
        __real_sysfs_at_close(directory_fd);
}

int __wrap_sysfs_at_read(int directory_fd, const char *name, char *text, size_t text_bytes)
{
    return files.active ? read_piece(text, text_bytes)
                        : __real_sysfs_at_read(directory_fd, name, text, text_bytes);
}

void __wrap_sysfs_at_read_raw(int directory_fd, const char *name, struct sysfs_raw *ret_raw)
{
    if (files.active)
        ret_raw->count = read_piece(ret_raw->text, sizeof ret_raw->text);
    else
        __real_sysfs_at_read_raw(directory_fd, name, ret_raw);
}

int __wrap_sysfs_at_write(int directory_fd, const char *name, const char *text)
{
    const uint8_t *piece = NULL;
    if (!files.active)
        return __real_sysfs_at_write(directory_fd, name, text);
    int length = take(&piece);
    return length < 0 ? error_sys(-length) : 0;
}

bool __wrap_sysfs_at_has(int directory_fd, const char *name)
{
    const uint8_t *piece = NULL;
    return files.active ? take(&piece) > 0 : __real_sysfs_at_has(directory_fd, name);
}

/* ---- what any driver promises ---- */

static void need(bool condition)
{
    if (!condition)
        abort();
}

static void need_text(const char *text)
{
    need(text == NULL || strnlen(text, 4 * DRIVER_FAULT_BYTES) < 4 * DRIVER_FAULT_BYTES);
}

static void need_channels(const struct channel *channels, int count)
{
    need(count >= 0 && count <= SAMPLE_CHANNELS_MAX);
    for (int i = 0; i < count; i++) {
        const char *name = channels[i].name;
        need(memchr(name, '\0', SAMPLE_NAME_BYTES) != NULL && name[0] != '\0');
        need(strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-") == strlen(name));
        need(channels[i].unit[0] == '\0' || driver_unit_meaning(channels[i].unit) != NULL);
        need(channels[i].decimals <= SAMPLE_DECIMALS_MAX);
        for (int k = 0; k < i; k++)
            need(strcmp(name, channels[k].name) != 0);
    }
}

static void need_sample(const struct sample *sample, int channel_count)
{
    bool has_value = sample->document != NULL;
    need(sample->value_count <= (size_t)channel_count);
    for (size_t i = 0; i < sample->value_count; i++) {
        const struct value *value = &sample->values[i];
        has_value |= value->kind != VALUE_ABSENT;
        need(value->kind != VALUE_DECIMAL || value->decimals <= SAMPLE_DECIMALS_MAX);
        need(value->kind != VALUE_TEXT || value->text_bytes <= SAMPLE_TEXT_BYTES_MAX);
    }
    need(has_value);
}

/* Nothing of it was written on failure. */
static void read_once(const struct driver *driver, void *instance, int channel_count)
{
    static const uint8_t mark;
    struct sample sample = {.value_count = 77, .document = &mark};
    int rc = driver->fetch(instance, 0);
    if (rc == 0)
        rc = driver->read(instance, &sample);
    if (rc < 0) {
        need(sample.value_count == 77 && sample.document == &mark);
        need_text(driver->fault(instance));
        return;
    }
    need_sample(&sample, channel_count);
    if (driver->lack != NULL)
        need_text(driver->lack(instance));
}

static void drive(const struct driver *driver, void *instance, const struct driver_context *context,
                  unsigned rounds)
{
    struct channel channels[SAMPLE_CHANNELS_MAX];
    int rc = driver->open(instance, context);
    need(memchr(context->fault, '\0', DRIVER_FAULT_BYTES) != NULL);
    if (rc < 0)
        return;
    int count = driver->channels(instance, channels);
    need_channels(channels, count);
    for (unsigned i = 0; i < rounds; i++)
        read_once(driver, instance, count);
}

void fake_files_drive(const struct driver *driver, const struct driver_setting *settings,
                      size_t setting_count, unsigned rounds)
{
    const struct stop never = {.fd = -1};
    char fault[DRIVER_FAULT_BYTES] = "";
    const struct driver_context context = {.sensor = "fuzz",
                                           .root = "",
                                           .settings = settings,
                                           .setting_count = setting_count,
                                           .document_bytes_max = 4096,
                                           .stop = &never,
                                           .fault = fault};
    if (driver->check != NULL && driver->check(&context) != NULL)
        return;
    void *instance = calloc(1, driver->instance_bytes);
    need(instance != NULL);
    drive(driver, instance, &context, rounds);
    driver->close(instance);
    free(instance);
}
