/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_UPLINK_DEST_OBJECT_H
#define RUNNEL_AGENT_UPLINK_DEST_OBJECT_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/batch/batch_frame.h"

/**
 * What objects are called, in a bucket and in an archive:
 *
 *     dt=2026-01-15/hour=12/DEVICE/SPOOL-FIRST-LAST-HASH.ndjson.gz
 *
 * by the hour (UTC) in which the first record was taken, as Hive and Athena read partitions.
 * FIRST and LAST are the lowest and the highest number in it, 16 digits each, so that names sort;
 * HASH is the beginning of the body's SHA-256, so that what has the same name is the same. Pure.
 */
enum { OBJECT_DEVICE_BYTES = 201, OBJECT_NAME_BYTES = 96 };

/**
 * A device's part of a name. S3's safe characters and file systems agree on letters, digits, "_",
 * "-" and ".": each other byte, and a dot at the beginning, becomes "=" and two hexadecimal digits,
 * so that no two devices get the same. Cut at 200 bytes, where the spool's id still tells them
 * apart.
 */
void object_device(const char *device, char ret_name[OBJECT_DEVICE_BYTES]);

/** "dt=2026-01-15" and "hour=12". */
void object_hour(int64_t wall_ms, char ret_day[16], char ret_hour[8]);

/** The last part of the name. */
void object_name(const struct batch_summary *batch, bool gzip, char ret_name[OBJECT_NAME_BYTES]);

/** Whether NAME is what object_name gives, for whatever batch. */
bool object_is_name(const char *name);

/** The body of an object: the records' lines and nothing else. */
void object_nothing(const void *context, struct writer *out);
void object_nothing_before(const void *context, struct writer *out, size_t index);
void object_nothing_behind(const void *context, struct writer *out, const char *key,
                           size_t key_bytes);
#define OBJECT_FRAME                                                                               \
    {                                                                                              \
        .begin = object_nothing, .record_begin = object_nothing_before,                            \
        .record_end = object_nothing_behind, .end = object_nothing, .plain = true,                 \
        .newline = true, .together = true                                                          \
    }

/* S3 would take 5 GB in one request; what limits an object is the memory that it costs here. */
#define OBJECT_LIMITS                                                                              \
    {                                                                                              \
        .records = 1000000, .bytes = 64 << 20, .record_bytes = 64 << 20                            \
    }

#endif
