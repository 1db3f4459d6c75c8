/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "tests/unit/fake_spool.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "platform/base/error.h"

enum { WAIT_S = 60 };

void fake_spool_init(struct spool *spool)
{
    memset(spool, 0, sizeof *spool);
    assert_int_equal(pthread_mutex_init(&spool->lock, NULL), 0);
    assert_int_equal(pthread_cond_init(&spool->changed, NULL), 0);
}

void fake_spool_free(struct spool *spool)
{
    (void)pthread_cond_destroy(&spool->changed);
    (void)pthread_mutex_destroy(&spool->lock);
}

void fake_spool_answer(struct spool *spool, int answer, unsigned count)
{
    (void)pthread_mutex_lock(&spool->lock);
    spool->answer = answer;
    spool->answer_count = count;
    (void)pthread_mutex_unlock(&spool->lock);
}

static bool is_of(const struct spool *spool, const struct fake_record *record, const char *name)
{
    return name == NULL || strcmp(spool->sensors[record->sensor - 1].name, name) == 0;
}

static size_t count_locked(const struct spool *spool, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < spool->record_count; i++)
        count += is_of(spool, &spool->records[i], name);
    return count;
}

void fake_spool_wait(struct spool *spool, const char *name, size_t count)
{
    struct timespec until;
    int rc = 0;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_S;
    (void)pthread_mutex_lock(&spool->lock);
    while (rc == 0 && count_locked(spool, name) < count)
        rc = pthread_cond_timedwait(&spool->changed, &spool->lock, &until);
    (void)pthread_mutex_unlock(&spool->lock);
    assert_int_equal(rc, 0);
}

size_t fake_spool_count(struct spool *spool, const char *name)
{
    (void)pthread_mutex_lock(&spool->lock);
    size_t count = count_locked(spool, name);
    (void)pthread_mutex_unlock(&spool->lock);
    return count;
}

struct fake_record fake_spool_record(struct spool *spool, const char *name, size_t index)
{
    struct fake_record found = {.sensor = 0};
    (void)pthread_mutex_lock(&spool->lock);
    for (size_t i = 0; i < spool->record_count; i++)
        if (is_of(spool, &spool->records[i], name) && index-- == 0)
            found = spool->records[i];
    (void)pthread_mutex_unlock(&spool->lock);
    assert_int_not_equal(found.sensor, 0);
    return found;
}

/* ---- what collect calls ---- */

int spool_define_sensor_within(struct spool *spool, const struct sensor_definition *definition,
                               size_t leaves, uint32_t *ret_sensor)
{
    assert_int_equal(leaves, 0);
    (void)pthread_mutex_lock(&spool->lock);
    char tag[FAKE_TEXT_BYTES] = "";
    int rc = spool->define_answer;
    size_t at = 0;
    if (definition->tag_count > 0)
        (void)snprintf(tag, sizeof tag, "%s=%s", definition->tags[0].name,
                       definition->tags[0].value);
    if (spool->foreign_tag != NULL && strcmp(tag, spool->foreign_tag) == 0)
        rc = E_FULL;
    while (at < spool->sensor_count && strcmp(spool->sensors[at].name, definition->name) != 0)
        at++;
    if (rc == 0 && at < FAKE_SENSORS_MAX) {
        struct fake_sensor *sensor = &spool->sensors[at];
        spool->sensor_count = at < spool->sensor_count ? spool->sensor_count : at + 1;
        (void)snprintf(sensor->device, sizeof sensor->device, "%s", definition->device);
        (void)snprintf(sensor->name, sizeof sensor->name, "%s", definition->name);
        sensor->channel_count = definition->channel_count;
        memcpy(sensor->channels, definition->channels,
               definition->channel_count * sizeof *definition->channels);
        if (definition->tag_count > 0)
            memcpy(sensor->tag, tag, sizeof tag);
        *ret_sensor = (uint32_t)at + 1;
    }
    (void)pthread_mutex_unlock(&spool->lock);
    return rc;
}

static void keep_locked(struct spool *spool, const struct spool_append *append)
{
    const struct sample *sample = append->sample;
    struct fake_record *record = &spool->records[spool->record_count];
    *record = (struct fake_record){.sensor = append->sensor,
                                   .lane = append->lane,
                                   .boot_ms = sample->boot_ms,
                                   .value_count = sample->value_count,
                                   .document_bytes = sample->document_bytes,
                                   .origin = sample->origin};
    if (sample->value_count > 0)
        record->value = sample->values[0];
    (void)snprintf(record->document, sizeof record->document, "%.*s", (int)sample->document_bytes,
                   sample->document != NULL ? (const char *)sample->document : "");
    (void)snprintf(record->source, sizeof record->source, "%s", append->source);
    spool->record_count++;
}

int spool_append(struct spool *spool, const struct spool_append *append, uint64_t *ret_sequence)
{
    int rc = 0;
    (void)pthread_mutex_lock(&spool->lock);
    if (spool->answer_count > 0) {
        spool->answer_count--;
        rc = spool->answer;
    }
    if (rc == E_REFUSED)
        spool->refused_answers++;
    if (rc == 0 && spool->record_count == FAKE_RECORDS_MAX)
        rc = E_AGAIN;
    if (rc == 0) {
        keep_locked(spool, append);
        *ret_sequence = spool->record_count;
    }
    (void)pthread_cond_broadcast(&spool->changed);
    (void)pthread_mutex_unlock(&spool->lock);
    return rc;
}

void spool_find_origin(struct spool *spool, const char *source, struct sample_origin *ret_origin)
{
    (void)source;
    (void)pthread_mutex_lock(&spool->lock);
    *ret_origin = spool->origin;
    (void)pthread_mutex_unlock(&spool->lock);
}

void spool_count_refused(struct spool *spool, enum lane lane)
{
    (void)pthread_mutex_lock(&spool->lock);
    spool->refused[lane]++;
    (void)pthread_mutex_unlock(&spool->lock);
}
