/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/uplink/dest/archive.h"
#include "platform/base/error.h"
#include "platform/fs.h"

#define HASH "bffaac563f091c61dc28d2f37cd74d0b19be0c45e3b1e32ced6a93eed7725862"

/* A body is a whole block wherever this runs. Three find room. */
enum { BODY_BYTES = 4096, PATH_BYTES = 512, STEPS_MAX = 64, SIZE_BYTES = 7 * BODY_BYTES / 2 };
enum { HOUR_MS = 3600 * 1000 };
static const int64_t noon_ms = 1768478400000; /* 2026-01-15T12:00:00Z */

/* ---- a medium that fails, and notes what is done to it ---- */

static struct medium {
    char root[PATH_BYTES];
    char steps[STEPS_MAX]; /* w: write, f: fsync, s: syncfs, r: renameat */
    size_t step_count;
    int write_errno, fsync_errno, rename_errno, mkdir_errno;
    int directory_errno; /* of fsync(2) of a directory */
    bool short_writes;
    bool mounted;
    int write_rc;
    size_t bodies; /* how often a body was asked for */
} medium;

ssize_t __real_write(int fd, const void *bytes, size_t count);
ssize_t __wrap_write(int fd, const void *bytes, size_t count);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_syncfs(int fd);
int __real_renameat(int from, const char *from_name, int to, const char *to_name);
int __wrap_renameat(int from, const char *from_name, int to, const char *to_name);
int __real_mkdirat(int parent, const char *name, mode_t mode);
int __wrap_mkdirat(int parent, const char *name, mode_t mode);
int __wrap_fs_is_mount_point(const char *path, bool *ret_is_mount_point);

static void note(char step)
{
    if (medium.step_count + 1 < STEPS_MAX)
        medium.steps[medium.step_count++] = step;
}

static int fail_by(int errnum)
{
    errno = errnum;
    return -1;
}

ssize_t __wrap_write(int fd, const void *bytes, size_t count)
{
    if (fd <= STDERR_FILENO)
        return __real_write(fd, bytes, count);
    if (medium.write_errno != 0)
        return fail_by(medium.write_errno);
    if (medium.steps[medium.step_count > 0 ? medium.step_count - 1 : 0] != 'w')
        note('w');
    return __real_write(fd, bytes, medium.short_writes ? 1 : count);
}

int __wrap_fsync(int fd)
{
    struct stat status;
    assert_int_equal(fstat(fd, &status), 0);
    note(S_ISDIR(status.st_mode) ? 'd' : 'f');
    int errnum = S_ISDIR(status.st_mode) ? medium.directory_errno : medium.fsync_errno;
    return errnum != 0 ? fail_by(errnum) : __real_fsync(fd);
}

int __wrap_syncfs(int fd)
{
    (void)fd;
    note('s');
    return 0;
}

int __wrap_renameat(int from, const char *from_name, int to, const char *to_name)
{
    note('r');
    return medium.rename_errno != 0 ? fail_by(medium.rename_errno)
                                    : __real_renameat(from, from_name, to, to_name);
}

int __wrap_mkdirat(int parent, const char *name, mode_t mode)
{
    return medium.mkdir_errno != 0 ? fail_by(medium.mkdir_errno)
                                   : __real_mkdirat(parent, name, mode);
}

int __wrap_fs_is_mount_point(const char *path, bool *ret_is_mount_point)
{
    (void)path;
    *ret_is_mount_point = medium.mounted;
    return E_OK;
}

static int set_up(void **state)
{
    (void)state;
    medium = (struct medium){0};
    (void)snprintf(medium.root, sizeof medium.root, "%s/archive-XXXXXX", RUNNEL_BINARY_DIR);
    return mkdtemp(medium.root) == NULL;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

static int remove_all(const char *path)
{
    return nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static int tear_down(void **state)
{
    (void)state;
    (void)remove_all(medium.root);
    return 0;
}

/* ---- batches ---- */

static int write_body(void *context, struct writer *out)
{
    const char *text = context;
    medium.bodies++;
    writer_text(out, text);
    return medium.write_rc < 0 ? medium.write_rc : out->error;
}

static struct dest *open_sized(const char *mount, uint64_t size_bytes)
{
    const struct dest_options options = {
        .device = "gw-17",
        .gzip = true,
        .archive = {.path = medium.root, .mount = mount, .size_bytes = size_bytes}};
    struct dest *dest = NULL;
    assert_int_equal(dest_open("archive", &options, &dest), E_OK);
    return dest;
}

static struct dest *open_with(const char *mount)
{
    return open_sized(mount, SIZE_BYTES);
}

/* The object with the records from NUMBER on, taken in the hour HOUR from noon on. */
static int store(struct dest *dest, uint64_t number, int hour, struct dest_stored *ret_stored)
{
    char body[BODY_BYTES + 1];
    const struct batch_summary batch = {.entry_count = 10,
                                        .body_bytes = BODY_BYTES,
                                        .body_hash = HASH,
                                        .spool_id = 0x9f31c2a47be0d815,
                                        .first = number,
                                        .last = number + 9,
                                        .wall_ms = noon_ms + (int64_t)hour * HOUR_MS};
    memset(body, '0' + (int)(number % 10), BODY_BYTES);
    body[BODY_BYTES] = '\0';
    return dest->operations->store(dest, &batch, write_body, body, ret_stored);
}

static void assert_stores(struct dest *dest, uint64_t number, int hour)
{
    struct dest_stored stored;
    assert_int_equal(store(dest, number, hour, &stored), E_OK);
    assert_true(stored.present);
    assert_int_equal(stored.bytes, BODY_BYTES);
}

static void path_of(uint64_t number, int hour, char path[PATH_BYTES])
{
    (void)snprintf(path, PATH_BYTES,
                   "%.200s/dt=2026-01-15/hour=%02d/gw-17/9f31c2a47be0d815-%016llu-%016llu-"
                   "bffaac563f091c61.ndjson.gz",
                   medium.root, 12 + hour, (unsigned long long)number,
                   (unsigned long long)number + 9);
}

static bool is_whole(uint64_t number, int hour)
{
    char path[PATH_BYTES];
    char body[BODY_BYTES + 2];
    path_of(number, hour, path);
    return fs_read_file(path, body, sizeof body) == BODY_BYTES &&
           strspn(body, (char[]){(char)('0' + number % 10), '\0'}) == BODY_BYTES;
}

static size_t files;

static int count_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)path;
    (void)status;
    (void)walk;
    files += type == FTW_F;
    return 0;
}

static size_t count_files(void)
{
    files = 0;
    (void)nftw(medium.root, count_one, 8, FTW_PHYS);
    return files;
}

static void put_file(const char *name)
{
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "%.200s/%s", medium.root, name);
    char *slash = strrchr(path, '/');
    *slash = '\0';
    assert_int_equal(fs_make_directories(path, 0755), E_OK);
    *slash = '/';
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
}

static bool is_file(const char *name)
{
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "%.200s/%s", medium.root, name);
    return access(path, F_OK) == 0;
}

/* ---- storing ---- */

static void test_stores(void **state)
{
    struct dest *dest = open_with(NULL);
    (void)state;
    medium.short_writes = true;
    assert_stores(dest, 10, 0);
    assert_true(is_whole(10, 0));
    assert_int_equal(count_files(), 1);
    dest_close(dest);
}

/* What is acknowledged is durable: the file before it has its name, then the name. A cut before the
 * rename leaves nothing, one behind it everything. */
static void test_order(void **state)
{
    struct dest *dest = open_with(NULL);
    (void)state;
    assert_stores(dest, 10, 0);
    assert_string_equal(medium.steps, "dddwfrd"); /* for three directories */
    memset(medium.steps, 0, sizeof medium.steps);
    medium.step_count = 0;
    assert_stores(dest, 20, 0);
    assert_string_equal(medium.steps, "dddwfrd"); /* whoever made them */
    dest_close(dest);
}

static void test_directories_that_know_no_sync(void **state)
{
    struct dest *dest = open_with(NULL);
    (void)state;
    medium.directory_errno = EINVAL;
    assert_stores(dest, 10, 0);
    assert_string_equal(medium.steps + strlen(medium.steps) - 4, "frds");
    dest_close(dest);
}

static void test_what_is_there_is_not_written_again(void **state)
{
    struct dest *dest = open_with(NULL);
    struct dest_stored stored;
    (void)state;
    assert_stores(dest, 10, 0);
    assert_int_equal(store(dest, 10, 0, &stored), E_OK);
    assert_int_equal(medium.bodies, 1);
    assert_int_equal(stored.bytes, 0);
    assert_int_equal(count_files(), 1);
    dest_close(dest);
}

static void test_batch_that_changes(void **state)
{
    struct dest *dest = open_with(NULL);
    struct dest_stored stored;
    (void)state;
    medium.write_rc = E_CHANGED;
    assert_int_equal(store(dest, 10, 0, &stored), E_CHANGED);
    assert_int_equal(count_files(), 0);
    dest_close(dest);
}

static void test_what_a_cut_left(void **state)
{
    struct dest *dest = open_with(NULL);
    (void)state;
    put_file(".9f31c2a47be0d815.part");
    assert_stores(dest, 10, 0);
    assert_int_equal(count_files(), 1);
    dest_close(dest);
}

/* ---- faults ---- */

static void assert_fails(int *fault, int errnum, const char *remedy)
{
    struct dest *dest = open_with(NULL);
    struct dest_stored stored;
    *fault = errnum;
    assert_int_equal(store(dest, 10, 0, &stored), error_sys(errnum));
    assert_true(stored.present);
    assert_non_null(strstr(stored.fault, medium.root));
    assert_non_null(strstr(stored.fault, remedy));
    assert_int_equal(count_files(), 0);
    *fault = 0;
    assert_stores(dest, 10, 0); /* from its beginning */
    assert_true(is_whole(10, 0));
    dest_close(dest);
    assert_int_equal(remove_all(medium.root), 0);
    assert_int_equal(mkdir(medium.root, 0755), 0);
}

static void test_faults(void **state)
{
    (void)state;
    assert_fails(&medium.write_errno, ENOSPC, "make room there, or lower \"size\"");
    assert_fails(&medium.write_errno, EIO, "check the medium and its cable");
    assert_fails(&medium.fsync_errno, EIO, "check the medium");
    assert_fails(&medium.rename_errno, EIO, "check the medium");
    assert_fails(&medium.mkdir_errno, EROFS, "mount it for writing");
    assert_fails(&medium.mkdir_errno, EACCES, "let runnel's user write there");
}

/* Its name may be lost with the power, so it is not there yet. */
static void test_name_that_is_not_synced(void **state)
{
    struct dest *dest = open_with(NULL);
    struct dest_stored stored;
    (void)state;
    assert_stores(dest, 10, 0);
    medium.directory_errno = EIO;
    assert_int_equal(store(dest, 20, 0, &stored), error_sys(EIO));
    assert_int_equal(store(dest, 20, 0, &stored), error_sys(EIO));
    medium.directory_errno = 0;
    assert_int_equal(store(dest, 20, 0, &stored), E_OK);
    assert_int_equal(medium.bodies, 2);
    dest_close(dest);
}

/* ---- a medium that comes and goes ---- */

static void test_medium_away_and_back(void **state)
{
    char away[PATH_BYTES + 8];
    struct dest *dest = open_with(NULL);
    struct dest_stored stored;
    (void)state;
    assert_stores(dest, 10, 0);
    (void)snprintf(away, sizeof away, "%s.away", medium.root);
    assert_int_equal(rename(medium.root, away), 0);
    assert_int_equal(store(dest, 20, 0, &stored), E_NOT_FOUND);
    assert_false(stored.present);
    assert_non_null(strstr(stored.fault, "put the medium back, or make this directory on it"));
    assert_int_equal(access(medium.root, F_OK), -1); /* nothing was made in its place */
    assert_int_equal(rename(away, medium.root), 0);
    assert_stores(dest, 20, 0);
    assert_int_equal(count_files(), 2);
    dest_close(dest);
}

static void test_nothing_is_mounted(void **state)
{
    struct dest *dest = open_with(medium.root);
    struct dest_stored stored;
    (void)state;
    assert_int_equal(store(dest, 10, 0, &stored), E_NOT_FOUND);
    assert_non_null(strstr(stored.fault, "mount the medium"));
    assert_int_equal(count_files(), 0);
    medium.mounted = true;
    assert_stores(dest, 10, 0);
    dest_close(dest);
}

/* Something is mounted there, but what was opened is not on it. */
static void test_directory_below_another_mount(void **state)
{
    struct dest *dest = open_with("/proc");
    struct dest_stored stored;
    (void)state;
    medium.mounted = true;
    assert_int_equal(store(dest, 10, 0, &stored), E_NOT_FOUND);
    assert_int_equal(count_files(), 0);
    dest_close(dest);
}

/* ---- size ---- */

static void test_oldest_give_way(void **state)
{
    struct dest *dest = open_with(NULL);
    (void)state;
    assert_stores(dest, 50, 1);
    assert_stores(dest, 30, 0);
    assert_stores(dest, 60, 2);
    assert_stores(dest, 70, 2); /* by the hour, not by when it came */
    assert_false(is_file("dt=2026-01-15/hour=12"));
    assert_true(is_whole(50, 1) && is_whole(60, 2) && is_whole(70, 2));
    assert_stores(dest, 80, 2);
    assert_stores(dest, 90, 2); /* within an hour by number */
    assert_int_equal(count_files(), 3);
    assert_true(is_whole(70, 2) && is_whole(80, 2) && is_whole(90, 2));
    dest_close(dest);
}

/* After a restart what is there counts as before. */
static void test_oldest_give_way_after_a_restart(void **state)
{
    (void)state;
    for (int i = 1; i <= 5; i++) {
        struct dest *dest = open_with(NULL);
        assert_stores(dest, (uint64_t)i * 10, i);
        dest_close(dest);
    }
    assert_int_equal(count_files(), 3);
    assert_true(is_whole(30, 3) && is_whole(40, 4) && is_whole(50, 5));
}

static void test_files_of_others_stay(void **state)
{
    static const char *const others[] = {
        "photo.jpg",
        "dt=2026-01-15/hour=12/gw-17/notes.txt",
        "dt=2026-01-15/hour=12/gw-18/9f31c2a47be0d815-0000000000000001-0000000000000002-"
        "bffaac563f091c61.ndjson.gz",
        "dt=2026-01-14",
        "dt=2026-01-99/hour=12/gw-17",
        "aa=1/hour=12/gw-17/9f31c2a47be0d815-0000000000000001-0000000000000002-"
        "bffaac563f091c61.ndjson.gz",
    };
    const size_t count = sizeof others / sizeof others[0];
    struct dest *dest = open_with(NULL);
    (void)state;
    for (size_t i = 0; i < count; i++)
        put_file(others[i]);
    for (int i = 0; i < 6; i++)
        assert_stores(dest, (uint64_t)i * 10, i);
    for (size_t i = 0; i < count; i++)
        assert_true(is_file(others[i]));
    assert_int_equal(count_files(), count + 3);
    dest_close(dest);
}

/* Who collects objects makes room by that, and loses none of those that come behind. */
static void test_objects_that_were_taken_away(void **state)
{
    char path[PATH_BYTES];
    struct dest *dest = open_with(NULL);
    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_stores(dest, (uint64_t)i * 10, i);
        path_of((uint64_t)i * 10, i, path);
        assert_int_equal(unlink(path), 0);
    }
    for (int i = 3; i < 6; i++)
        assert_stores(dest, (uint64_t)i * 10, i);
    assert_int_equal(count_files(), 3);
    dest_close(dest);
}

/* Somebody else's objects of this device count as soon as they would be too many. */
static void test_objects_that_were_brought(void **state)
{
    struct dest *dest = open_with(NULL), *other = open_with(NULL);
    (void)state;
    assert_stores(dest, 10, 0);
    assert_stores(dest, 20, 1);
    assert_stores(other, 30, 2);
    assert_stores(dest, 40, 3);
    assert_stores(other, 50, 4);
    assert_int_equal(count_files(), 3);
    assert_true(is_whole(30, 2) && is_whole(40, 3) && is_whole(50, 4));
    dest_close(other);
    dest_close(dest);
}

/* A directory with the name of an object is none. */
static void test_directories_like_objects(void **state)
{
    char path[PATH_BYTES];
    struct dest *dest = open_with(NULL);
    (void)state;
    assert_stores(dest, 10, 0);
    path_of(5, 0, path);
    assert_int_equal(mkdir(path, 0755), 0);
    for (int i = 2; i < 6; i++)
        assert_stores(dest, (uint64_t)i * 10, i);
    assert_int_equal(count_files(), 3);
    assert_int_equal(access(path, F_OK), 0);
    dest_close(dest);
}

/* A 32nd is made free at once, so that not each object has all of them measured. */
static void test_room_for_several(void **state)
{
    static const uint64_t size_bytes = 64 * BODY_BYTES;
    struct dest *dest = open_sized(NULL, size_bytes);
    (void)state;
    for (uint64_t i = 0; i < 64; i++)
        assert_stores(dest, i * 10, 0);
    assert_int_equal(count_files(), 64);
    assert_stores(dest, 640, 0);
    assert_int_equal(count_files(), 63);
    assert_false(is_whole(10, 0));
    assert_true(is_whole(20, 0));
    assert_stores(dest, 650, 0);
    assert_int_equal(count_files(), 64);
    dest_close(dest);
}

static void test_something_else_has_the_name(void **state)
{
    struct dest *dest = open_with(NULL);
    struct dest_stored stored;
    (void)state;
    put_file("dt=2026-01-15");
    assert_int_equal(store(dest, 10, 0, &stored), error_sys(ENOTDIR));
    assert_non_null(strstr(stored.fault, "move it away"));
    dest_close(dest);
}

static void test_object_larger_than_size(void **state)
{
    const struct dest_options options = {
        .device = "gw-17",
        .gzip = true,
        .archive = {.path = medium.root, .size_bytes = BODY_BYTES - 1}};
    struct dest *usual = open_with(NULL);
    struct dest *dest = NULL;
    struct dest_stored stored;
    (void)state;
    assert_stores(usual, 10, 0);
    assert_int_equal(dest_open("archive", &options, &dest), E_OK);
    assert_int_equal(store(dest, 20, 0, &stored), E_FULL);
    assert_non_null(strstr(stored.fault, "raise it"));
    assert_int_equal(count_files(), 1); /* nothing is deleted for what finds no room anyway */
    dest_close(dest);
    dest_close(usual);
}

/* Another medium has another content. */
static void test_another_medium(void **state)
{
    char away[PATH_BYTES + 8];
    struct dest *dest = open_with(NULL);
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_stores(dest, (uint64_t)i * 10, i);
    (void)snprintf(away, sizeof away, "%s.away", medium.root);
    assert_int_equal(rename(medium.root, away), 0);
    assert_int_equal(mkdir(medium.root, 0755), 0);
    for (int i = 3; i < 6; i++)
        assert_stores(dest, (uint64_t)i * 10, i);
    assert_int_equal(count_files(), 3);
    assert_int_equal(remove_all(away), 0);
    dest_close(dest);
}

static void test_open_faults(void **state)
{
    const struct dest_options options = {.device = "gw-17"};
    struct dest *dest = NULL;
    (void)state;
    assert_int_equal(dest_open("archive", &options, &dest), E_INVALID);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_stores),
        TEST(test_order),
        TEST(test_directories_that_know_no_sync),
        TEST(test_what_is_there_is_not_written_again),
        TEST(test_batch_that_changes),
        TEST(test_what_a_cut_left),
        TEST(test_faults),
        TEST(test_name_that_is_not_synced),
        TEST(test_medium_away_and_back),
        TEST(test_nothing_is_mounted),
        TEST(test_directory_below_another_mount),
        TEST(test_oldest_give_way),
        TEST(test_oldest_give_way_after_a_restart),
        TEST(test_files_of_others_stay),
        TEST(test_objects_that_were_taken_away),
        TEST(test_objects_that_were_brought),
        TEST(test_directories_like_objects),
        TEST(test_room_for_several),
        TEST(test_something_else_has_the_name),
        TEST(test_object_larger_than_size),
        TEST(test_another_medium),
        TEST(test_open_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
