/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/sysfs.h"
#include "platform/base/error.h"
#include "tests/fuzz/fake_files.h"
#include "tests/fuzz/fuzz.h"

enum { ROUNDS = 2 };

/* The same as the C library sees it, where that and the kernel agree on what a number is. */
static void convert_one(const uint8_t *bytes, size_t count)
{
    struct sysfs_raw raw = {.count = (int)(count < SYSFS_RAW_BYTES ? count : SYSFS_RAW_BYTES - 1)};
    const struct channel channel = {.name = "fuzz", .decimals = 3};
    struct sample sample = {.value_count = 77};
    size_t bad = 77;
    char *end = NULL;
    memcpy(raw.text, bytes, (size_t)raw.count);
    int rc = sysfs_convert(&raw, &channel, 1, &sample, &bad);
    const char *digits = raw.text + (raw.text[0] == '-');
    errno = 0;
    long long expected = strtoll(raw.text, &end, 10);
    if (*digits < '0' || *digits > '9' || end != raw.text + raw.count) {
        if (rc != E_SYNTAX || bad != 0 || sample.value_count != 77)
            abort();
    } else if (errno == ERANGE) {
        if (rc != E_RANGE || bad != 0 || sample.value_count != 77)
            abort();
    } else if (rc != 0 || bad != 77 || sample.value_count != 1 ||
               sample.values[0].kind != VALUE_DECIMAL || sample.values[0].decimals != 3 ||
               sample.values[0].mantissa != expected) {
        abort();
    }
}

/* The first byte says which driver, and which of its settings it has. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static const char *const drivers[] = {"hwmon", "thermal", "iio", "w1"};
    static const char *const keys[][2] = {
        {"chip", "inputs"}, {"zone", NULL}, {"device", "channels"}, {"id", "master"}};
    static const char *const switches[] = {"alarms", "cooling", NULL, NULL};
    struct driver_setting settings[3];
    char texts[2][FAKE_FILES_TEXT_BYTES];
    size_t used = 0;
    if (count == 0)
        return 0;
    size_t which = (bytes[0] & 1U) + (bytes[0] & 8U) / 4;
    convert_one(bytes + 1, count - 1);
    fake_files_begin(bytes + 1, count - 1);
    for (unsigned i = 0; i < 2; i++)
        if ((bytes[0] & (2U << i)) != 0 && keys[which][i] != NULL) {
            settings[used] = (struct driver_setting){keys[which][i], fake_files_text(texts[i])};
            used++;
        }
    if ((bytes[0] & 16) != 0 && switches[which] != NULL)
        settings[used++] = (struct driver_setting){switches[which], "true"};
    fake_files_drive(driver_find(drivers[which]), settings, used, ROUNDS);
    fake_files_end();
    return 0;
}
