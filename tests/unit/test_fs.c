/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/base/error.h"
#include "platform/fs.h"

static char root[64];

static const char *in_root(const char *name)
{
    static char path[FS_PATH_BYTES];
    assert_int_equal(fs_join(root, name, path, sizeof path), 0);
    return path;
}

static int make_root(void **state)
{
    (void)state;
    (void)snprintf(root, sizeof root, "/tmp/runnel-fs-XXXXXX");
    return mkdtemp(root) == NULL ? -1 : 0;
}

static int remove_root(void **state)
{
    char command[128];
    (void)state;
    (void)snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command);
}

static void put_file(const char *path, const char *bytes, size_t count)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, count, file), count);
    assert_int_equal(fclose(file), 0);
}

static void test_replace(void **state)
{
    char path[FS_PATH_BYTES];
    char text[16];
    struct stat entry;
    (void)state;
    (void)snprintf(path, sizeof path, "%s", in_root("replaced"));
    put_file(in_root("replaced.new"), "of a cut, and longer", 20);
    assert_int_equal(fs_replace_file(path, "first", 5, 0600), 0);
    assert_int_equal(fs_read_file(path, text, sizeof text), 5);
    assert_int_equal(stat(path, &entry), 0);
    assert_int_equal(entry.st_mode & 0777, 0600);
    assert_int_equal(fs_replace_file(path, "2nd", 3, 0600), 0);
    assert_int_equal(fs_read_file(path, text, sizeof text), 3);
    assert_string_equal(text, "2nd");
    assert_int_equal(access(in_root("replaced.new"), F_OK), -1);
    assert_int_equal(mkdir(in_root("replaced.new"), 0700), 0);
    assert_true(fs_replace_file(path, "3rd", 3, 0600) < 0);
    assert_int_equal(fs_read_file(path, text, sizeof text), 3);
    assert_string_equal(text, "2nd");
    assert_int_equal(fs_replace_file(in_root("none/file"), "x", 1, 0600), error_sys(ENOENT));
}

static void test_replace_link(void **state)
{
    char path[FS_PATH_BYTES], text[16], target[16] = "";
    (void)state;
    (void)snprintf(path, sizeof path, "%s", in_root("linked"));
    put_file(in_root("linked.new"), "of a cut", 8);
    put_file(path, "file", 4);
    put_file(in_root("aim"), "x", 1);
    assert_int_equal(fs_replace_link(path, "aim"), 0);
    assert_int_equal(readlink(path, target, sizeof target), 3);
    assert_int_equal(fs_read_file(path, text, sizeof text), 1);
    assert_int_equal(fs_replace_link(path, "nowhere"), 0);
    assert_int_equal(fs_read_file(path, text, sizeof text), error_sys(ENOENT));
    assert_int_equal(access(in_root("linked.new"), F_OK), -1);
    assert_int_equal(mkdir(in_root("linked.new"), 0700), 0);
    assert_true(fs_replace_link(path, "aim") < 0);
    assert_int_equal(readlink(path, target, sizeof target), 7);
    assert_int_equal(fs_replace_link(in_root("none/link"), "x"), error_sys(ENOENT));
}

static void test_join(void **state)
{
    char path[8];
    (void)state;
    assert_int_equal(fs_join("/a", "b", path, sizeof path), 0);
    assert_string_equal(path, "/a/b");
    assert_int_equal(fs_join("/a/", "b", path, sizeof path), 0);
    assert_string_equal(path, "/a/b");
    assert_int_equal(fs_join("/", "b", path, sizeof path), 0);
    assert_string_equal(path, "/b");
    assert_int_equal(fs_join("/abc", "de", path, sizeof path), 0);
    assert_string_equal(path, "/abc/de");
    assert_int_equal(fs_join("/abc", "def", path, sizeof path), E_TOO_BIG);
}

static void test_read_file(void **state)
{
    char buffer[8];
    const char *path = in_root("file");
    (void)state;
    assert_int_equal(fs_read_file(path, buffer, sizeof buffer), error_sys(ENOENT));
    put_file(path, "", 0);
    assert_int_equal(fs_read_file(path, buffer, sizeof buffer), 0);
    assert_string_equal(buffer, "");
    put_file(path, "a\0bcdef", 7);
    assert_int_equal(fs_read_file(path, buffer, sizeof buffer), 7);
    assert_memory_equal(buffer, "a\0bcdef", 8);
    put_file(path, "12345678", 8);
    assert_int_equal(fs_read_file(path, buffer, sizeof buffer), E_TOO_BIG);
    assert_int_equal(fs_read_file(path, buffer, 0), E_TOO_BIG);
    assert_int_equal(fs_read_file(root, buffer, sizeof buffer), error_sys(EISDIR));
}

static void test_read_fifo_does_not_wait(void **state)
{
    char buffer[8];
    const char *path = in_root("fifo");
    (void)state;
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(fs_read_file(path, buffer, sizeof buffer), 0);
}

static bool is_directory(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static void test_make_directories(void **state)
{
    char path[FS_PATH_BYTES];
    struct stat status;
    (void)state;
    (void)umask(022);
    assert_int_equal(fs_make_directories(in_root("a/b//c/"), 0700), 0);
    assert_true(is_directory(in_root("a/b/c")));
    assert_int_equal(stat(in_root("a"), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    assert_int_equal(fs_make_directories(in_root("a/b/c"), 0700), 0);
    assert_int_equal(fs_make_directories("/", 0700), 0);
    put_file(in_root("a/plain"), "x", 1);
    assert_int_equal(fs_make_directories(in_root("a/plain"), 0700), error_sys(ENOTDIR));
    assert_int_equal(fs_make_directories(in_root("a/plain/b"), 0700), error_sys(ENOTDIR));
    assert_int_equal(fs_make_directories("/proc/nothing/of/that", 0700), error_sys(ENOENT));
    assert_int_equal(fs_make_directories("", 0700), error_sys(ENOENT));
    memset(path, 'x', sizeof path);
    path[sizeof path - 1] = '\0';
    assert_int_equal(fs_make_directories(path, 0700), error_sys(ENAMETOOLONG));
    char longer[FS_PATH_BYTES + 1];
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    assert_int_equal(fs_make_directories(longer, 0700), E_TOO_BIG);
}

static void test_make_relative(void **state)
{
    int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    (void)state;
    assert_true(here >= 0);
    assert_int_equal(chdir(root), 0);
    assert_int_equal(fs_make_directories("r", 0700), 0);
    assert_int_equal(fs_make_directories("r/s", 0700), 0);
    assert_true(is_directory("r/s"));
    assert_int_equal(fchdir(here), 0);
    close(here);
}

static void test_sync_directory(void **state)
{
    const char *path = in_root("sync");
    (void)state;
    assert_int_equal(fs_sync_directory(root), 0);
    assert_int_equal(fs_sync_directory(path), error_sys(ENOENT));
    put_file(path, "x", 1);
    assert_int_equal(fs_sync_directory(path), error_sys(ENOTDIR));
}

/* Another process, which sees the lock as any second agent would. */
static int lock_elsewhere(void)
{
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int fd;
        int rc = fs_lock_directory(root, &fd);
        _exit(-rc);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return -WEXITSTATUS(status);
}

static void test_lock(void **state)
{
    int fd = 4711;
    int second = 4711;
    (void)state;
    assert_int_equal(fs_lock_directory(root, &fd), 0);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    assert_int_equal(fs_lock_directory(root, &second), E_BUSY);
    assert_int_equal(second, 4711);
    assert_int_equal(lock_elsewhere(), E_BUSY);
    close(fd);
    assert_int_equal(lock_elsewhere(), 0); /* and its end gave it back */
    assert_int_equal(fs_lock_directory(root, &fd), 0);
    close(fd);
    assert_int_equal(fs_lock_directory(in_root("none"), &fd), error_sys(ENOENT));
    assert_int_equal(unlink(in_root("lock")), 0);
    assert_int_equal(symlink("/etc/passwd", in_root("lock")), 0);
    assert_int_equal(fs_lock_directory(root, &fd), error_sys(ELOOP)); /* no trick with a link */
}

static void test_describe(void **state)
{
    char type[16];
    bool durable = true;
    (void)state;
    assert_int_equal(fs_describe(root, type, sizeof type, &durable), 0);
    assert_true(strlen(type) > 0);
    assert_int_equal(fs_describe(in_root("none"), type, sizeof type, &durable), error_sys(ENOENT));
    durable = true;
    if (fs_describe("/dev/shm", type, sizeof type, &durable) == 0 && strcmp(type, "tmpfs") == 0)
        assert_false(durable);
    assert_int_equal(fs_describe("/proc", type, sizeof type, &durable), 0);
    assert_string_equal(type, "0x00009fa0"); /* one that is not in the table */
}

static void test_existing(void **state)
{
    char existing[FS_PATH_BYTES];
    char deep[FS_PATH_BYTES];
    (void)state;
    assert_int_equal(fs_find_existing(root, existing), 0);
    assert_string_equal(existing, root);
    (void)snprintf(deep, sizeof deep, "%s/none/of/these/", root);
    assert_int_equal(fs_find_existing(deep, existing), 0);
    assert_string_equal(existing, root);
    assert_int_equal(symlink("nothing", in_root("link")), 0);
    assert_int_equal(fs_find_existing(in_root("link"), existing), 0);
    assert_string_equal(existing, root);
    assert_int_equal(fs_find_existing("/runnel-none", existing), 0);
    assert_string_equal(existing, "/");
    assert_int_equal(fs_find_existing("runnel-none", existing), 0);
    assert_string_equal(existing, ".");
}

/* Under "/" qemu-user shows a folder of its own, which is no mount point. */
static bool sees_own_root(void)
{
    struct stat named;
    struct stat own;
    assert_int_equal(stat("/", &named), 0);
    assert_int_equal(stat("/proc/..", &own), 0);
    return named.st_dev == own.st_dev && named.st_ino == own.st_ino;
}

static void test_mount_point(void **state)
{
    bool mounted = true;
    (void)state;
    assert_int_equal(fs_is_mount_point(root, &mounted), 0);
    assert_false(mounted);
    assert_int_equal(fs_is_mount_point("/proc", &mounted), 0);
    assert_true(mounted);
    mounted = false;
    assert_int_equal(fs_is_mount_point(sees_own_root() ? "/" : "/proc/..", &mounted), 0);
    assert_true(mounted);
    assert_int_equal(fs_is_mount_point(in_root("none"), &mounted), error_sys(ENOENT));
}

/* Mounts an overlay whose upper directory lies in RAM and one whose lies on the disk of /tmp, and
 * has both described: needs the right to mount, which a user name space may give. The blanks are
 * escaped in mountinfo. */
static const char overlay_script[] =
    "set -e; cd \"$0\"; mkdir low ram 'over ram' over disk 'disk/u p' disk/work\n"
    "mount -t tmpfs none ram || exit 77\n"
    "mkdir 'ram/u p' ram/work\n"
    "mount -t overlay overlay 'over ram' "
    "-o \"lowerdir=$PWD/low,upperdir=$PWD/ram/u p,workdir=$PWD/ram/work\" || exit 77\n"
    "mount -t overlay overlay over "
    "-o \"lowerdir=$PWD/low,upperdir=$PWD/disk/u p,workdir=$PWD/disk/work\"\n"
    "exec \"$1\" describe \"$PWD/over ram\" \"$PWD/over\"\n";

static int describe_overlays(char **paths)
{
    char type[16];
    bool durable;
    for (int i = 0; i < 2; i++) {
        if (fs_describe(paths[i], type, sizeof type, &durable) < 0 || strcmp(type, "overlay") != 0)
            return 2;
        if (durable != (i == 1))
            return 3 + i;
    }
    return 0;
}

static void test_overlay(void **state)
{
    char type[16];
    bool durable = false;
    char program[FS_PATH_BYTES];
    int status = 0;
    (void)state;
    ssize_t count = readlink("/proc/self/exe", program, sizeof program - 1);
    assert_true(count > 0);
    program[count] = '\0';
    assert_int_equal(fs_describe(root, type, sizeof type, &durable), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        execlp("unshare", "unshare", "-rm", "sh", "-c", overlay_script, root, program,
               (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (!durable || WEXITSTATUS(status) == 1 || WEXITSTATUS(status) == 77 ||
        WEXITSTATUS(status) == 126)
        skip(); /* /tmp is in RAM, no right to a name space or to mount, or in an emulator */
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_join),
        cmocka_unit_test_setup_teardown(test_replace, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_replace_link, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_read_file, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_read_fifo_does_not_wait, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_make_directories, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_make_relative, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_sync_directory, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_lock, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_describe, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_existing, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_mount_point, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_overlay, make_root, remove_root),
    };
    if (argc == 4 && strcmp(argv[1], "describe") == 0)
        return describe_overlays(argv + 2);
    return cmocka_run_group_tests_name("fs", tests, NULL, NULL);
}
