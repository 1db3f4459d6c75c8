/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "drivers/driver.h"
#include "drivers/exec/process.h"
#include "platform/base/error.h"
#include "platform/json/json_scan.h"
#include "tests/fuzz/fuzz.h"

enum { DOCUMENT_BYTES = 512, SETTINGS_MAX = 8 };

static const struct driver_setting configurations[][SETTINGS_MAX] = {
    {{"command[0]", "/bin/sh"}},
    {{"command[0]", "/bin/sh"}, {"take", "whole"}},
    {{"command[0]", "/bin/sh"}, {"take", "whole"}, {"format", "keyvalue"}},
    {{"command[0]", "/bin/sh"}, {"format", "csv"}, {"header", "true"}, {"separator", " "}},
    {{"command[0]", "/bin/sh"}, {"format", "csv"}, {"channels[0].name", "a"}},
#ifdef CONFIG_FORMAT_NMEA
    {{"command[0]", "/bin/sh"}, {"format", "nmea"}},
#endif
};

/* What the program that is not run prints, and how it ends. */
static const uint8_t *printed;
static size_t printed_bytes;
static int printed_status;

int __wrap_process_run(struct process *process, char *const *arguments, char *const *environment,
                       const struct stop *stop, int64_t deadline_ms);

int __wrap_process_run(struct process *process, char *const *arguments, char *const *environment,
                       const struct stop *stop, int64_t deadline_ms)
{
    (void)arguments;
    (void)environment;
    (void)stop;
    (void)deadline_ms;
    process->too_big = printed_bytes > process->output_bytes_max;
    process->output_bytes = process->too_big ? process->output_bytes_max : printed_bytes;
    memcpy(process->output, printed, process->output_bytes);
    process->status = printed_status;
    return 0;
}

static void need(bool condition)
{
    if (!condition)
        abort();
}

static void need_sample(const struct sample *sample, int channels)
{
    if (sample->document != NULL) {
        need(json_scan_object(sample->document, sample->document_bytes) == 0);
        need(memchr(sample->document, '\n', sample->document_bytes) == NULL);
        return;
    }
    need((int)sample->value_count == channels);
    for (int i = 0; i < channels; i++)
        need(sample->values[i].kind == VALUE_ABSENT || sample->values[i].kind == VALUE_TEXT ||
             (sample->values[i].kind == VALUE_DECIMAL &&
              sample->values[i].decimals <= SAMPLE_DECIMALS_MAX));
}

static void drive(const struct driver_context *context)
{
    const struct driver *driver = driver_find("exec");
    struct channel channels[SAMPLE_CHANNELS_MAX];
    struct sample sample = {0};
    void *instance = calloc(1, driver->instance_bytes);
    need(instance != NULL);
    need(driver->open(instance, context) == 0);
    int count = driver->channels(instance, channels);
    int rc = driver->fetch(instance, 0);
    need(rc == 0 || rc == E_REFUSED);
    if (rc == 0)
        rc = driver->read(instance, &sample);
    if (rc == 0)
        need_sample(&sample, count);
    else
        need(strnlen(driver->fault(instance), DRIVER_FAULT_BYTES) < DRIVER_FAULT_BYTES);
    driver->close(instance);
    free(instance);
}

/* The first byte says what is configured, the last how the program ended. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    const struct stop never = {.fd = -1};
    char fault[DRIVER_FAULT_BYTES] = "";
    struct driver_context context = {
        .sensor = "fuzz", .document_bytes_max = DOCUMENT_BYTES, .stop = &never, .fault = fault};
    if (count < 2)
        return 0;
    context.settings = configurations[(uint8_t)(bytes[0] - '0') %
                                      (sizeof configurations / sizeof configurations[0])];
    while (context.setting_count < SETTINGS_MAX &&
           context.settings[context.setting_count].key != NULL)
        context.setting_count++;
    printed = bytes + 1;
    printed_bytes = count - 1;
    printed_status = bytes[count - 1] == 0xff ? 0x0300 : 0;
    drive(&context);
    return 0;
}
