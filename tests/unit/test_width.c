/* SPDX-License-Identifier: Apache-2.0 */
/* What holds for any word size; it was written for the machines whose words have 32 bits. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include "agent/spool/store.h"
#include "drivers/lines/follow.h"
#include "platform/base/bytes.h"
#include "platform/base/crc32c.h"
#include "platform/base/error.h"
#include "tests/unit/folder.h"

static const uint64_t mib = 1024 * 1024;
static char root[64];

static const char *in_root(const char *name)
{
    static char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

/* A followed file may be longer than 32 bits tell: its last lines are read, and resumed at. */
static void test_file_beyond_4_gib(void **state)
{
    const uint64_t end = 5 * 1024 * mib;
    const char *path = in_root("log");
    struct follow follow;
    struct stat file;
    char text[16] = "";
    uint64_t offset = 0;
    (void)state;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "\nlast\n", 6, (off_t)end), 6);
    assert_int_equal(fstat(fd, &file), 0);
    const struct sample_origin resume = {
        .present = true, .device = file.st_dev, .inode = file.st_ino, .offset = end + 1};
    assert_int_equal(follow_open(&follow, path, &resume, true, &offset), 0);
    assert_true(offset == end + 1);
    assert_int_equal(follow_read(&follow, text, sizeof text, offset), 5);
    assert_memory_equal(text, "last\n", 5);
    assert_int_equal(follow_read(&follow, text, sizeof text, offset + 5), E_END);
    follow_close(&follow);
    (void)close(fd);
}

/* The largest spool is mapped whole; a size that a word does not hold is refused, not cut. */
static void test_mapped_size(void **state)
{
    static const uint8_t entry[] = "state";
    const char *path = in_root("spool");
    struct store *store = NULL;
    (void)state;
    assert_int_equal(store_create(path, mib, entry, sizeof entry, NULL), 0);
    assert_int_equal(store_open(path, 256 * mib, &store), 0);
    store_close(store);
    store = NULL;
    assert_int_equal(store_open(path, 4096 * mib, &store), sizeof(size_t) == 8 ? 0 : E_TOO_BIG);
    store_close(store);
    assert_int_equal(store_open(path, UINT64_MAX, &store), E_TOO_BIG);
}

/* Numbers of every width lie anywhere in a block. */
static void test_alignment(void **state)
{
    static const uint8_t digits[] = "123456789";
    _Alignas(8) uint8_t bytes[32];
    (void)state;
    for (size_t at = 0; at < 8; at++) {
        memset(bytes, 0xff, sizeof bytes);
        bytes_put_be64(bytes + at, 0x0123456789abcdef);
        assert_true(bytes_get_be64(bytes + at) == 0x0123456789abcdef);
        bytes_put_le64(bytes + at, 0x0123456789abcdef);
        assert_true(bytes_get_le64(bytes + at) == 0x0123456789abcdef);
        bytes_put_le32(bytes + at, 0x89abcdef);
        assert_true(bytes_get_le32(bytes + at) == 0x89abcdef);
        memcpy(bytes + at, digits, 9);
        assert_true(crc32c(0, bytes + at, 9) == 0xe3069283); /* RFC 3720's own check */
    }
}

static int set_up(void **state)
{
    (void)state;
    (void)strcpy(root, "/tmp/runnel-width-XXXXXX");
    return mkdtemp(root) == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    folder_empty(root);
    return rmdir(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file_beyond_4_gib),
        cmocka_unit_test(test_mapped_size),
        cmocka_unit_test(test_alignment),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
