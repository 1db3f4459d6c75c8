/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_TESTS_UNIT_FAKE_SPOOL_H
#define RUNNEL_TESTS_UNIT_FAKE_SPOOL_H

#include <pthread.h>

#include "agent/spool/spool.h"

/**
 * What collect calls of the spool, linked instead of it: keeps what is handed to it, and answers as
 * told. Any thread.
 */
enum { FAKE_RECORDS_MAX = 20000, FAKE_SENSORS_MAX = 16, FAKE_TEXT_BYTES = 32 };

struct fake_record {
    uint32_t sensor;
    enum lane lane;
    int64_t boot_ms;
    size_t value_count;
    struct value value; /* the first */
    size_t document_bytes;
    char document[FAKE_TEXT_BYTES]; /* its beginning */
    struct sample_origin origin;
    char source[FAKE_TEXT_BYTES];
};

struct fake_sensor {
    char device[FAKE_TEXT_BYTES];
    char name[FAKE_TEXT_BYTES];
    size_t channel_count;
    struct channel channels[SAMPLE_CHANNELS_MAX];
    char tag[FAKE_TEXT_BYTES]; /* NAME=VALUE of the first */
};

struct spool {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int answer;            /* of the next answer_count appends; then 0 */
    unsigned answer_count; /* */
    int define_answer;
    const char *foreign_tag;     /* NAME=VALUE as the first: no room for that one */
    struct sample_origin origin; /* what spool_find_origin gives */
    unsigned refused[LANE_COUNT];
    unsigned refused_answers; /* E_REFUSED given */
    size_t sensor_count;
    struct fake_sensor sensors[FAKE_SENSORS_MAX];
    size_t record_count;
    struct fake_record records[FAKE_RECORDS_MAX];
};

void fake_spool_init(struct spool *spool);
void fake_spool_free(struct spool *spool);

/** The next COUNT appends get ANSWER. */
void fake_spool_answer(struct spool *spool, int answer, unsigned count);

/** Waits until NAME has COUNT records (all sensors for NULL), and fails the test after 60 s. */
void fake_spool_wait(struct spool *spool, const char *name, size_t count);

/** The records of NAME so far, and a copy of its INDEX-th. */
size_t fake_spool_count(struct spool *spool, const char *name);
struct fake_record fake_spool_record(struct spool *spool, const char *name, size_t index);

#endif
