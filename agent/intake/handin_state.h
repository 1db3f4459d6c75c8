/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_INTAKE_HANDIN_STATE_H
#define RUNNEL_AGENT_INTAKE_HANDIN_STATE_H

#include <pthread.h>

#include "agent/intake/handin.h"
#include "platform/base/log.h"

/** What the files handin*.c share; nobody else includes it. */

/** What a sensor's transform is bound to, and what it gave that found no room yet. */
struct handin_bound {
    bool is_bound;
    size_t channel_count;
    struct channel channels[SAMPLE_CHANNELS_MAX];
    char base_name[PAYLOAD_BASE_BYTES];
    bool is_held; /* held is the spool's as soon as that has room; until then nothing is pushed */
    bool is_held_alarm;
    int64_t retry_boot_ms;
    struct sample held;
};

struct handin_entry {
    char name[SAMPLE_NAME_BYTES];
    const struct handin_sensor *setup;
    struct handin_bound *bound;         /* NULL: it has no transform */
    uint32_t shapes[HANDIN_SHAPES_MAX]; /* numbers in the spool's dictionary, */
    unsigned shape_count;
    uint32_t bare; /* and that of documents; 0: not asked for yet */
    uint64_t messages, records, refused, faults;
    int64_t accepted_boot_ms; /* the last message, if there are any */
};

/** The lock is of what handin_get_status reads: the entries' names, counters and times. */
struct handin {
    struct handin_options options;
    struct handin_sensor any; /* what a sensor is that nobody configured */
    pthread_mutex_t lock;
    struct handin_entry *entries;
    size_t entry_count, entries_max;
    size_t shape_count; /* of all entries */
    struct log_limit limit;
    struct payload_room room;
    uint8_t *document; /* of document_bytes_max, like the text of room */
    struct intake_shape shape;
    struct sample sample; /* on its way */
};

/** A message on its way. */
struct handin_message {
    struct handin *handin;
    struct handin_entry *entry;
    enum lane lane;
    const struct spool_clock_reading *came;
    struct handin_receipt *receipt;
    char *fault;
};

void handin_say(char fault[PAYLOAD_FAULT_BYTES], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- handin_store.c: through the transform into the spool ---- */

/** A record of MESSAGE. 0, also if its transform keeps it; as handin_put. */
int handin_store_record(const struct handin_message *message, const struct payload_record *record);

/** Hands on what the transform of MESSAGE's sensor has at BOOT_MS; INT64_MAX: all that it holds. 0;
 *  E_AGAIN, E_FULL: it holds the rest. */
int handin_store_flush(const struct handin_message *message, int64_t boot_ms);

#endif
