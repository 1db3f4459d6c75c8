/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_TESTS_UNIT_FAKE_ROUTE_H
#define RUNNEL_TESTS_UNIT_FAKE_ROUTE_H

#include "agent/spool/spool.h"

/**
 * A spool with one route over an array, in place of agent/spool: what batch and uplink call. It
 * fails the test when an acknowledgement breaks the contract of spool_route_ack.
 */
enum { FAKE_RECORDS_MAX = 3000 };

struct fake_record {
    struct record record;
    bool delivered;
    bool dead;
    int64_t came_ms; /* what the reader says; 0: its boot_ms */
    bool damaged;    /* the reader says E_DAMAGED once and passes it over */
};

struct spool {
    struct fake_record records[FAKE_RECORDS_MAX]; /* in order of their sequence numbers */
    size_t count;
    const struct sensor_definition *sensors[8];
    size_t piece_bytes; /* documents come in pieces of this size; 0: whole */
    int piece_error;    /* of the second and later pieces */
    int read_error;     /* of spool_reader_next */
    int open_error;     /* of spool_route_open */
    uint8_t boot_id;    /* the first byte of the boot that took the records */
    int armed_fd;
    struct spool_wake armed;
    size_t ack_calls;
    uint64_t pinned[LANE_COUNT];
    struct spool_gap gap; /* sequence 0: there is none */
    bool gap_sealed;
    bool gap_told;
    int bury_error;
    char buried_for[SPOOL_REASON_BYTES];
    size_t releases;
};

/** Appends a record of values (VALUE in channel 0, one decimal) with SEQUENCE to LANE. */
struct fake_record *fake_route_add(struct spool *spool, enum lane lane, uint64_t sequence,
                                   int64_t value);

/** The same with a document, which must outlive the spool. */
struct fake_record *fake_route_add_document(struct spool *spool, enum lane lane, uint64_t sequence,
                                            const char *document, size_t bytes);

/** The one route of SPOOL. */
struct spool_route *fake_route_of(struct spool *spool);

/** Signals the armed event if what it waits for is there, as the spool does when some arrive. */
void fake_route_wake(struct spool *spool);

/** Records not yet acknowledged. */
size_t fake_route_left(const struct spool *spool);

/** A sensor "board" of a device "gw-17" with the channels temp and state and a tag. */
extern const struct sensor_definition fake_route_sensor;

#endif
