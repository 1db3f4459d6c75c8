/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drivers/driver.h"
#include "drivers/lines/framer.h"
#include "platform/base/error.h"
#include "tests/fuzz/fuzz.h"

enum { LINE_BYTES = 48, INPUT_BYTES = 60000 };

/* What a stream comes to, however it was cut. */
struct result {
    uint64_t sum;
    unsigned lines, refused;
};

static void need(bool condition)
{
    if (!condition)
        abort();
}

static uint64_t add(uint64_t sum, const void *bytes, size_t count)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < count; i++)
        sum = (sum ^ at[i]) * 0x100000001b3;
    return (sum ^ count) * 0x100000001b3;
}

/* ---- the framer ---- */

static void take_lines(struct framer *framer, bool at_end, struct result *result)
{
    struct framer_line line = {0};
    int rc;
    while ((rc = framer_next(framer, at_end, &line)) != E_AGAIN) {
        result->lines++;
        result->sum += framer->line;
        if (rc == 0) {
            need(line.count <= LINE_BYTES && memchr(line.bytes, '\n', line.count) == NULL);
            result->sum = add(result->sum, line.bytes, line.count) + line.offset;
            continue;
        }
        need(rc == E_TOO_BIG);
        result->refused++;
    }
}

static struct result frame(const uint8_t *bytes, size_t count, size_t piece, uint8_t *buffer)
{
    struct framer framer;
    struct result result = {0};
    framer_start(&framer, buffer, LINE_BYTES, 0);
    for (size_t at = 0; at < count;) {
        size_t room;
        void *to = framer_room(&framer, &room);
        size_t left = count - at < piece ? count - at : piece;
        size_t taken = left < room ? left : room;
        need(taken > 0 && framer_offset(&framer) == at);
        memcpy(to, bytes + at, taken);
        framer_add(&framer, taken);
        at += taken;
        take_lines(&framer, false, &result);
    }
    take_lines(&framer, true, &result);
    return result;
}

static void compare_cuts(const uint8_t *bytes, size_t count)
{
    uint8_t *buffer = malloc(framer_buffer_bytes(LINE_BYTES));
    need(buffer != NULL);
    struct result whole = frame(bytes, count, count + 1, buffer);
    struct result cut = frame(bytes, count, 1 + bytes[0] % 7, buffer);
    free(buffer);
    need(whole.sum == cut.sum && whole.lines == cut.lines && whole.refused == cut.refused);
}

/* ---- the driver, over a pipe that holds it all ---- */

static void need_sample(const struct sample *sample)
{
    if (sample->document != NULL) {
        need(sample->value_count == 0 && sample->document_bytes >= 2);
        need(sample->document[0] == '{' && sample->document[sample->document_bytes - 1] == '}');
        return;
    }
    need(sample->value_count == 1 && sample->values[0].kind == VALUE_DECIMAL);
    need(sample->values[0].decimals <= SAMPLE_DECIMALS_MAX);
}

static void read_all(const struct driver *driver, void *instance)
{
    struct sample sample = {0};
    int rc;
    while ((rc = driver->fetch(instance, 0)) == 0)
        while ((rc = driver->read(instance, &sample)) != E_AGAIN) {
            if (rc == 0) {
                need_sample(&sample);
                continue;
            }
            need(rc == E_SYNTAX || rc == E_RANGE || rc == E_TOO_BIG);
            const char *fault = driver->fault(instance);
            need(fault != NULL && strnlen(fault, DRIVER_FAULT_BYTES) < DRIVER_FAULT_BYTES);
        }
    need(rc == E_END);
}

static void drive(const char *path)
{
    const struct driver *driver = driver_find("lines");
    const struct stop never = {.fd = -1};
    const struct driver_setting setting = {"path", path};
    char fault[DRIVER_FAULT_BYTES] = "";
    const struct driver_context context = {.sensor = "fuzz",
                                           .root = "",
                                           .settings = &setting,
                                           .setting_count = 1,
                                           .document_bytes_max = LINE_BYTES,
                                           .drain = true,
                                           .stop = &never,
                                           .fault = fault};
    void *instance = calloc(1, driver->instance_bytes);
    need(instance != NULL);
    need(driver->open(instance, &context) == 0);
    read_all(driver, instance);
    driver->close(instance);
    free(instance);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    char path[64];
    int ends[2];
    if (count == 0 || count > INPUT_BYTES)
        return 0;
    compare_cuts(bytes, count);
    need(pipe2(ends, O_CLOEXEC) == 0);
    need(write(ends[1], bytes, count) == (ssize_t)count);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", ends[0]);
    (void)close(ends[1]);
    drive(path);
    (void)close(ends[0]);
    return 0;
}
