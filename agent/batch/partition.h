/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_BATCH_PARTITION_H
#define RUNNEL_AGENT_BATCH_PARTITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/spool/dictionary.h"
#include "agent/spool/record.h"

/**
 * Partition keys. A shard of a stream owns a range of the 128-bit numbers; a record goes where the
 * MD5 of its key lies (Kinesis Data Streams, PutRecords). A key is a function of the record and of
 * what the route was opened with, so that it is the same in both passes and on every resend. Pure.
 *
 * `even` takes keys from a table of 4,096 whose MD5 lie at equal distances; the sequence number
 * says which. 4,096 consecutive records load any number of shards up to 1,000 as evenly as whole
 * numbers allow, and any fewer of them within a handful of that (test_partition). The order steps
 * through the table by the golden section, not bit-reversed: lanes share one counter, and when two
 * lanes alternate, each has every second number. Bit-reversed, a lane would then load one half of
 * the shards alone; stepping by the golden section, the most loaded of up to 16 shards is at most
 * 18 records ahead of the least for every stride up to 12.
 */
enum { PARTITION_KEY_BYTES = 256 };

enum partition_kind {
    PARTITION_EVEN,   /* as random in a program without CONFIG_PARTITION_EVEN */
    PARTITION_DEVICE, /* the device's name: keeps order per device */
    PARTITION_SENSOR, /* the sensor's name */
    PARTITION_RANDOM,
    PARTITION_FIXED,
    PARTITION_FIELD, /* what the record has under a name: keeps order per value */
};

struct partition {
    enum partition_kind kind;
    uint64_t seed;     /* of random */
    uint32_t start;    /* of even: where a device begins, so that a fleet does not march in step */
    const char *fixed; /* of fixed: 1 to 256 bytes of UTF-8, the caller's */
    const char *field; /* of field: a name, the caller's */
};

/** Where DEVICE begins in the table. */
uint32_t partition_start(const char *device);

/**
 * The key of RECORD, whose sensor is SENSOR: 1 to 256 bytes of UTF-8, no NUL. A longer name is cut
 * between characters; an empty one becomes "-", because a key may not be empty. A field is a tag of
 * the sensor, else a channel, else a member of the document at top level, which has to begin within
 * the first block of 4 KB; a record without it has the sensor's name for a key. TURN decides where
 * the record does not: its sequence number, or that of the entry that it is packed into. Returns
 * the count.
 */
size_t partition_key(const struct partition *partition, uint64_t turn, const struct record *record,
                     const struct sensor_definition *sensor, char ret_key[PARTITION_KEY_BYTES]);

/** Whether the key is the same whatever the record is. */
bool partition_is_free(const struct partition *partition);

#endif
