/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "drivers/modbus/modbus_bus.h"
#include "drivers/modbus/modbus_decode.h"
#include "drivers/modbus/modbus_plan.h"
#include "drivers/modbus/modbus_setup.h"
#include "platform/base/error.h"
#include "platform/clock.h"

/* Exceptions that may mean one register among those asked for. */
enum { NO_SUCH_REGISTER = 2, NOT_TAKEN = 3, UNIT_FAILED = 4 };

struct instance {
    struct modbus_setup setup;
    struct modbus_bus *bus;
    struct modbus_plan plan;
    bool alone[SAMPLE_CHANNELS_MAX]; /* the unit refuses what lies between it and others */
    bool got[SAMPLE_CHANNELS_MAX];
    uint8_t raw[SAMPLE_CHANNELS_MAX][DECODE_RAW_BYTES];
    char fault[DRIVER_FAULT_BYTES];
    char lack[DRIVER_FAULT_BYTES];
};

static const char *modbus_check(const struct driver_context *context)
{
    struct modbus_setup setup;
    return modbus_setup_read(context, &setup);
}

static const char *modbus_check_beside(const struct driver_context *context,
                                       const struct driver_context *other)
{
    struct modbus_setup setup;
    struct modbus_setup beside;
    (void)modbus_setup_read(context, &setup);
    (void)modbus_setup_read(other, &beside);
    const char *key = modbus_setup_differ(&setup.line, &beside.line);
    if (key != NULL)
        driver_say(context->fault,
                   "differs from that of \"%s\" on this line, which has one \"%s\"; write the same",
                   other->sensor, key);
    return key;
}

static void make_plan(struct instance *instance)
{
    struct modbus_span spans[SAMPLE_CHANNELS_MAX];
    const struct modbus_setup *setup = &instance->setup;
    for (size_t i = 0; i < setup->count; i++)
        spans[i] = setup->fields[i].span;
    modbus_plan_make(spans, instance->alone, setup->count, &setup->rules, &instance->plan);
}

static int modbus_open(void *memory, const struct driver_context *context)
{
    struct instance *instance = memory;
    char why[DRIVER_FAULT_BYTES];
    const char *key = modbus_setup_read(context, &instance->setup);
    if (key != NULL) {
        (void)snprintf(why, sizeof why, "%s", context->fault);
        driver_say(context->fault, "\"%.60s\" %.130s", key, why);
        return E_INVALID;
    }
    make_plan(instance);
    int rc = modbus_bus_join(&instance->setup.line, context, &instance->bus);
    if (rc < 0)
        return rc;
    return modbus_bus_connect(instance->bus, clock_mono_ms() + context->timeout_ms, context->fault);
}

static int modbus_channels(const void *memory, struct channel *ret_channels)
{
    const struct instance *instance = memory;
    memcpy(ret_channels, instance->setup.channels, instance->setup.count * sizeof *ret_channels);
    return (int)instance->setup.count;
}

/* ---- fetching ---- */

static void say_exception(const struct instance *instance, const struct modbus_span *span,
                          unsigned code, char *text)
{
    driver_say(text, "unit %u, %s %u: exception %u, %s", (unsigned)instance->setup.unit,
               modbus_setup_table(span->table), span->at, code, modbus_decode_exception(code));
}

static void take(struct instance *instance, size_t request, const uint8_t *data)
{
    const struct modbus_plan *plan = &instance->plan;
    for (size_t i = 0; i < instance->setup.count; i++) {
        if (plan->request_of[i] != request)
            continue;
        modbus_decode_take(&instance->setup.fields[i], &plan->requests[request], data,
                           instance->raw[i]);
        instance->got[i] = true;
    }
}

/* From now on each channel of the request has one of its own. Those before it stay as they are. */
static void split(struct instance *instance, size_t request)
{
    for (size_t i = 0; i < instance->setup.count; i++)
        instance->alone[i] = instance->alone[i] || instance->plan.request_of[i] == request;
    make_plan(instance);
}

static bool may_be_one_register(unsigned exception)
{
    return exception == NO_SUCH_REGISTER || exception == NOT_TAKEN || exception == UNIT_FAILED;
}

/* 0: asked, or split and to be asked again (RET_AGAIN); an exception that is about one channel is
 * in fault and lack. */
static int ask(struct instance *instance, size_t request, int64_t deadline_ms, bool *ret_again)
{
    unsigned exception = 0;
    const uint8_t *data;
    const struct modbus_span *span = &instance->plan.requests[request];
    const struct modbus_ask question = {.unit = instance->setup.unit,
                                        .span = *span,
                                        .response_ms = instance->setup.response_ms,
                                        .deadline_ms = deadline_ms};
    int rc = modbus_bus_ask(instance->bus, &question, &data, &exception, instance->fault);
    *ret_again = false;
    if (rc == 0)
        take(instance, request, data);
    if (rc != E_REFUSED)
        return rc;
    say_exception(instance, span, exception, instance->fault);
    if (!may_be_one_register(exception))
        return E_REFUSED;
    *ret_again = exception != UNIT_FAILED &&
                 modbus_plan_is_shared(&instance->plan, instance->setup.count, request);
    if (*ret_again)
        split(instance, request);
    else
        (void)strcpy(instance->lack, instance->fault);
    return 0;
}

static bool has_any(const struct instance *instance)
{
    for (size_t i = 0; i < instance->setup.count; i++)
        if (instance->got[i])
            return true;
    return false;
}

static int modbus_fetch(void *memory, int64_t deadline_ms)
{
    struct instance *instance = memory;
    bool again;
    memset(instance->got, 0, sizeof instance->got);
    instance->lack[0] = '\0';
    for (size_t i = 0; i < instance->plan.count; i += again ? 0 : 1) {
        int rc = ask(instance, i, deadline_ms, &again);
        if (rc < 0)
            return rc;
    }
    return has_any(instance) ? 0 : E_REFUSED;
}

/* ---- reading ---- */

static void say_bad(struct instance *instance, size_t index, int code)
{
    const struct modbus_span *span = &instance->setup.fields[index].span;
    driver_say(instance->lack, "%s (unit %u, %s %u): %s; check \"type\" and \"order\"",
               instance->setup.channels[index].name, (unsigned)instance->setup.unit,
               modbus_setup_table(span->table), span->at,
               code == E_RANGE ? "too large a number" : "no number, or no text");
}

static int modbus_read(void *memory, struct sample *ret_sample)
{
    struct instance *instance = memory;
    const struct modbus_setup *setup = &instance->setup;
    size_t good = 0;
    int last = E_SYNTAX;
    *ret_sample = (struct sample){.value_count = setup->count};
    for (size_t i = 0; i < setup->count; i++) {
        if (!instance->got[i])
            continue;
        int rc = modbus_decode_value(&setup->fields[i], instance->raw[i], &ret_sample->values[i]);
        good += rc == 0 ? 1 : 0;
        if (rc == 0)
            continue;
        say_bad(instance, i, rc);
        last = rc;
    }
    if (good > 0)
        return 0;
    (void)strcpy(instance->fault, instance->lack);
    return last;
}

static const char *modbus_fault(const void *memory)
{
    const struct instance *instance = memory;
    return instance->fault[0] != '\0' ? instance->fault : NULL;
}

static const char *modbus_lack(const void *memory)
{
    const struct instance *instance = memory;
    return instance->lack[0] != '\0' ? instance->lack : NULL;
}

static void modbus_leave(void *memory)
{
    struct instance *instance = memory;
    modbus_bus_leave(instance->bus);
    instance->bus = NULL;
}

const struct driver driver_modbus = {
    .name = "modbus",
    .summary = "registers of Modbus units, by TCP or a serial line (RTU)",
    .keys = modbus_setup_keys,
    .limits = modbus_setup_limits,
    .bus_key = "bus",
    .instance_bytes = sizeof(struct instance),
    .check = modbus_check,
    .check_beside = modbus_check_beside,
    .open = modbus_open,
    .channels = modbus_channels,
    .fetch = modbus_fetch,
    .read = modbus_read,
    .fault = modbus_fault,
    .lack = modbus_lack,
    .close = modbus_leave,
};
