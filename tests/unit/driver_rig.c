/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "tests/unit/driver_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/base/error.h"
#include "platform/clock.h"

int rig_setup(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    (void)strcpy(rig->root, "/tmp/test_driver_XXXXXX");
    assert_non_null(mkdtemp(rig->root));
    assert_int_equal(stop_open(&rig->stop), 0);
    rig->context = (struct driver_context){.sensor = "bench",
                                           .root = rig->root,
                                           .settings = rig->settings,
                                           .document_bytes_max = 4096,
                                           .stop = &rig->stop,
                                           .fault = rig->fault};
    *state = rig;
    return 0;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *where)
{
    (void)status;
    (void)type;
    (void)where;
    return remove(path);
}

int rig_teardown(void **state)
{
    struct rig *rig = *state;
    rig_close(rig);
    stop_close(&rig->stop);
    (void)nftw(rig->root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(rig);
    return 0;
}

const char *rig_path(struct rig *rig, const char *path)
{
    static char paths[4][RIG_PATH_BYTES];
    static unsigned next;
    char *to = paths[next++ % 4];
    (void)snprintf(to, RIG_PATH_BYTES, "%s/%s", rig->root, path);
    return to;
}

/* Without the syncs of fs_make_directories, which take most of a test's time on a busy disk. */
static void make_parents(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
        *slash = '/';
    }
}

static void put(struct rig *rig, const char *path, const void *bytes, size_t count, int flags)
{
    char full[RIG_PATH_BYTES];
    (void)snprintf(full, sizeof full, "%s", rig_path(rig, path));
    make_parents(full);
    int fd = open(full, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, count), (ssize_t)count);
    assert_int_equal(close(fd), 0);
}

void rig_write(struct rig *rig, const char *path, const char *text)
{
    put(rig, path, text, strlen(text), O_TRUNC);
}

void rig_append(struct rig *rig, const char *path, const void *bytes, size_t count)
{
    put(rig, path, bytes, count, O_APPEND);
}

void rig_remove(struct rig *rig, const char *path)
{
    assert_int_equal(remove(rig_path(rig, path)), 0);
}

void rig_set(struct rig *rig, const char *key, const char *value)
{
    if (key == NULL) {
        rig->context.setting_count = 0;
        return;
    }
    assert_true(rig->context.setting_count < RIG_SETTINGS_MAX);
    rig->settings[rig->context.setting_count++] = (struct driver_setting){key, value};
}

int rig_open(struct rig *rig, const char *name)
{
    rig_close(rig);
    rig->driver = driver_find(name);
    assert_non_null(rig->driver);
    rig->fault[0] = '\0';
    rig->instance = calloc(1, rig->driver->instance_bytes);
    assert_non_null(rig->instance);
    int rc = rig->driver->open(rig->instance, &rig->context);
    rig->channel_count = rc == 0 ? rig->driver->channels(rig->instance, rig->channels) : 0;
    assert_in_range(rig->channel_count, 0, SAMPLE_CHANNELS_MAX);
    return rc;
}

void rig_close(struct rig *rig)
{
    if (rig->instance != NULL)
        rig->driver->close(rig->instance);
    free(rig->instance);
    rig->instance = NULL;
}

int rig_sample(struct rig *rig)
{
    int rc = rig->driver->fetch(rig->instance, clock_mono_ms() + 1000);
    return rc < 0 ? rc : rig->driver->read(rig->instance, &rig->sample);
}

int rig_next(struct rig *rig)
{
    int rc = rig->driver->read(rig->instance, &rig->sample);
    while (rc == E_AGAIN) {
        rc = rig->driver->fetch(rig->instance, clock_mono_ms() + 1000);
        if (rc < 0)
            return rc;
        rc = rig->driver->read(rig->instance, &rig->sample);
    }
    return rc;
}

void rig_wait_ready(struct rig *rig)
{
    struct pollfd ready = {.fd = rig->driver->wait_fd(rig->instance), .events = POLLIN};
    assert_int_equal(poll(&ready, 1, 10000), 1);
}

int rig_wait(struct rig *rig)
{
    int rc = E_AGAIN;
    while (rc == E_AGAIN) {
        rig_wait_ready(rig);
        rc = rig_next(rig);
    }
    return rc;
}

static int find_channel(const struct rig *rig, const char *name)
{
    for (int i = 0; i < rig->channel_count; i++)
        if (strcmp(rig->channels[i].name, name) == 0)
            return i;
    fail_msg("there is no channel %s", name);
    return 0;
}

const struct value *rig_value(const struct rig *rig, const char *name)
{
    return &rig->sample.values[find_channel(rig, name)];
}

void rig_expect(const struct rig *rig, const char *name, int64_t mantissa, unsigned decimals,
                const char *unit)
{
    const struct value *value = rig_value(rig, name);
    assert_string_equal(rig->channels[find_channel(rig, name)].unit, unit);
    assert_int_equal(value->kind, VALUE_DECIMAL);
    assert_int_equal(value->mantissa, mantissa);
    assert_int_equal(value->decimals, decimals);
}

void rig_expect_absent(const struct rig *rig, const char *name)
{
    assert_int_equal(rig_value(rig, name)->kind, VALUE_ABSENT);
}
