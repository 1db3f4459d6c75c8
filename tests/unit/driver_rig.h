/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_TESTS_UNIT_DRIVER_RIG_H
#define RUNNEL_TESTS_UNIT_DRIVER_RIG_H

#include "drivers/driver.h"

/** A driver on a bench: a temporary directory as its root, and one instance of it. */
enum { RIG_SETTINGS_MAX = 32, RIG_PATH_BYTES = 300 };

struct rig {
    char root[64];
    struct stop stop;
    const struct driver *driver;
    void *instance;
    struct driver_setting settings[RIG_SETTINGS_MAX];
    struct driver_context context;
    char fault[DRIVER_FAULT_BYTES];
    struct channel channels[SAMPLE_CHANNELS_MAX];
    int channel_count;
    struct sample sample;
};

/** cmocka fixtures; *STATE is the struct rig. */
int rig_setup(void **state);
int rig_teardown(void **state);

/** Writes TEXT to PATH under the root; missing directories are made. */
void rig_write(struct rig *rig, const char *path, const char *text);
void rig_append(struct rig *rig, const char *path, const void *bytes, size_t count);
void rig_remove(struct rig *rig, const char *path);

/** The root and PATH, in memory that the next call but three overwrites. */
const char *rig_path(struct rig *rig, const char *path);

/** Sets a key of the next open; KEY NULL forgets all. */
void rig_set(struct rig *rig, const char *key, const char *value);

/** Opens NAME as configured and asks for its channels. What open returned. */
int rig_open(struct rig *rig, const char *name);
void rig_close(struct rig *rig);

/** Fetches and reads into rig->sample; the first error, if there is one. */
int rig_sample(struct rig *rig);

/** The next record of a stream from what has come; E_AGAIN: there is none; or the first error. */
int rig_next(struct rig *rig);

/** Waits until a stream has news, or its slot is due; 10 s fail the test. */
void rig_wait_ready(struct rig *rig);

/** The next record of a stream, waited for as long as it takes (10 s fail the test). */
int rig_wait(struct rig *rig);

/** The value of the channel called NAME in rig->sample; fails the test if there is none. */
const struct value *rig_value(const struct rig *rig, const char *name);

/** Fails unless NAME is a decimal of MANTISSA and DECIMALS with UNIT. */
void rig_expect(const struct rig *rig, const char *name, int64_t mantissa, unsigned decimals,
                const char *unit);
void rig_expect_absent(const struct rig *rig, const char *name);

#endif
