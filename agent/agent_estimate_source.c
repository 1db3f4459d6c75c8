/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent_estimate.h"
#include "platform/base/error.h"
#include "platform/clock.h"

enum {
    ASSUMED_EVERY_MS = 10000, /* of what speaks when it wants to; agent_estimate_print.c says so */
    DRIFT_PER_MILLE = 5,
    DRIFT_MIN = 3, /* in units of the last digit */
};

/* Steele, Lea, Flood: SplitMix64 (2014). */
static uint64_t next_random(struct estimate_source *source)
{
    uint64_t mixed = source->random += 0x9e3779b97f4a7c15;
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
    return mixed ^ mixed >> 31;
}

/* ---- samples ---- */

static void drift(struct estimate_source *source, struct value *value)
{
    int64_t size = value->mantissa < 0 ? -value->mantissa : value->mantissa;
    int64_t most = size / 1000 * DRIFT_PER_MILLE;
    if (value->kind != VALUE_DECIMAL || size > INT64_MAX / 4)
        return;
    most = most > DRIFT_MIN ? most : DRIFT_MIN;
    value->mantissa += (int64_t)(next_random(source) % (uint64_t)(2 * most + 1)) - most;
}

/* What a machine tells of itself now and then. */
static void write_document(struct estimate_source *source)
{
    uint64_t random = next_random(source);
    int bytes = snprintf(source->document, sizeof source->document,
                         "{\"id\":%" PRIu64 ",\"state\":\"run\",\"rpm\":%u,\"load\":%u.%02u,"
                         "\"pressure\":%u.%u,\"temperature\":{\"inlet\":%u.%u,\"outlet\":%u.%u},"
                         "\"counter\":%u,\"alarm\":false,\"mode\":\"automatic\",\"shift\":2}",
                         source->records, 1400 + (unsigned)(random % 200),
                         (unsigned)(random >> 8) % 90, (unsigned)(random >> 16) % 100, 4U,
                         (unsigned)(random >> 24) % 10, 20 + (unsigned)(random >> 32) % 5,
                         (unsigned)(random >> 40) % 10, 40 + (unsigned)(random >> 44) % 5,
                         (unsigned)(random >> 48) % 10, (unsigned)(random >> 20) % 100000);
    source->sample = (struct sample){.document = (const uint8_t *)source->document,
                                     .document_bytes = (size_t)bytes};
}

/* As agent_health.c writes it. */
static void write_own(struct estimate_source *source)
{
    uint64_t random = next_random(source);
    int bytes = snprintf(
        source->document, sizeof source->document,
        "{\"event\":\"health\",\"version\":\"" RUNNEL_VERSION "\",\"config_id\":"
        "\"0123456789abcdef\",\"uptime_s\":%u,\"depth\":%u,\"oldest_age_s\":%u,\"evicted\":0,"
        "\"dead\":0,\"clock\":\"synced\",\"certificate_days\":%u,\"flash_bytes\":%u,"
        "\"flash_commits\":%u,\"link_bytes\":%u,\"healthy\":true,\"warnings\":0}",
        (unsigned)random % 1000000, (unsigned)(random >> 8) % 1000, (unsigned)(random >> 16) % 100,
        (unsigned)(random >> 24) % 365, (unsigned)(random >> 32) % 10000000,
        (unsigned)(random >> 40) % 10000, (unsigned)(random >> 20));
    source->sample = (struct sample){.document = (const uint8_t *)source->document,
                                     .document_bytes = (size_t)bytes};
}

static int read_driver(struct estimate_source *source)
{
    const struct driver *driver = source->config->driver;
    int rc = driver->fetch(source->instance, clock_mono_ms() + source->config->timeout_ms);
    return rc < 0 ? rc : driver->read(source->instance, &source->sample);
}

bool agent_estimate_source_read(struct estimate_source *source)
{
    if (source->values == ESTIMATE_READ)
        return read_driver(source) == E_OK;
    if (source->values == ESTIMATE_OWN)
        write_own(source);
    else if (source->sample.value_count == 0)
        write_document(source);
    for (size_t i = 0; i < source->sample.value_count; i++)
        drift(source, &source->sample.values[i]);
    return true;
}

/* ---- open and close ---- */

static int define(struct estimate_source *source, struct estimate *estimate,
                  const struct channel *channels, size_t count)
{
    struct tag tags[CFG_TAGS_MAX];
    const struct sensor_definition definition = {.device = estimate->config->device,
                                                 .name = source->config->name,
                                                 .channel_count = count,
                                                 .channels = channels,
                                                 .tag_count = agent_tags(source->config, tags),
                                                 .tags = tags};
    return spool_define_sensor(estimate->agent.spool, &definition, &source->sensor);
}

static int assume(struct estimate_source *source, struct estimate *estimate)
{
    static const struct channel value = {.name = "value", .decimals = 2};
    bool speaks = source->config->driver->wait_fd != NULL;
    source->values = ESTIMATE_ASSUMED;
    if (speaks) {
        source->every_ms = ASSUMED_EVERY_MS;
        return define(source, estimate, NULL, 0);
    }
    source->sample.value_count = 1;
    source->sample.values[0] =
        (struct value){.kind = VALUE_DECIMAL, .decimals = value.decimals, .mantissa = 2150};
    return define(source, estimate, &value, 1);
}

static int open_driver(struct estimate_source *source)
{
    const struct driver *driver = source->config->driver;
    struct driver_context context = {.sensor = source->config->name,
                                     .root = "",
                                     .settings = source->config->settings,
                                     .setting_count = source->config->setting_count,
                                     .document_bytes_max = (size_t)CONFIG_DOCUMENT_KIB * 1024,
                                     .stop = &source->stop,
                                     .fault = source->fault};
    source->instance = calloc(1, driver->instance_bytes);
    if (source->instance == NULL)
        return E_NO_MEMORY;
    int rc = driver->open(source->instance, &context);
    return rc == E_OK ? read_driver(source) : rc;
}

/* Made-up values come as they are made up, others drift from where they are now. One sensor is read
 * behind the other, never all of them at once: the request that the first one makes due goes before
 * the last one's next sample. */
int agent_estimate_source_open(struct estimate_source *source, struct estimate *estimate)
{
    const struct driver *driver = source->config->driver;
    struct channel channels[SAMPLE_CHANNELS_MAX];
    source->every_ms = source->config->interval_ms;
    source->next_ms = estimate->now_ms + (source - estimate->sources) * ESTIMATE_APART_MS;
    source->random = (uint64_t)(uintptr_t)(source - estimate->sources);
    source->stop = (struct stop){.fd = -1};
    if (driver->wait_fd != NULL)
        return assume(source, estimate);
    int rc = open_driver(source);
    int count = rc == E_OK ? driver->channels(source->instance, channels) : rc;
    if (count < 0 || (count == 0 && source->sample.document == NULL)) {
        agent_estimate_source_close(source);
        return assume(source, estimate);
    }
    source->values = strcmp(driver->name, "sim") == 0 ? ESTIMATE_READ : ESTIMATE_DRIFT;
    return define(source, estimate, channels, (size_t)count);
}

int agent_estimate_source_own(struct estimate_source *source, struct estimate *estimate)
{
    source->values = ESTIMATE_OWN;
    source->every_ms = source->config->interval_ms;
    source->next_ms = estimate->now_ms + source->every_ms / 2; /* so that one is in each span */
    source->stop = (struct stop){.fd = -1};
    return define(source, estimate, NULL, 0);
}

void agent_estimate_source_close(struct estimate_source *source)
{
    if (source->instance != NULL)
        source->config->driver->close(source->instance);
    free(source->instance);
    source->instance = NULL;
}
