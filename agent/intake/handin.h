/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_INTAKE_HANDIN_H
#define RUNNEL_AGENT_INTAKE_HANDIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/intake/transform.h"
#include "agent/intake/validate.h"
#include "agent/spool/spool.h"

/**
 * What peers hand in: found its sensor, read, validated, transformed and put into the spool. Knows
 * nothing of the network. Used by one thread, but for handin_get_status.
 */
struct handin;

/**
 * A sensor may have so many sets of channels, units and tags in a run (all of them together so many
 * as the second says), each of which takes a place in the spool's dictionary. SenML's base name is
 * among the tags, as "bn". What has no place there, and values whose texts are too long for one
 * block, go as a document that says the same, with the sensor's configured tags alone beside it:
 *
 *     {"senml":[{"bn":"urn:dev:1:","n":"temp","u":"Cel","v":21.5}],"tags":{"site":"pump-4"}}
 */
enum { HANDIN_SHAPES_MAX = 16, HANDIN_SHAPES_ALL_MAX = 512 };

/** Over all runs so many places of the dictionary stay free of such sets, and so many of them are
 *  not for sensors that peers name either: they are for the agent's own. */
enum { HANDIN_SHAPES_LEAVE = 256, HANDIN_DOCUMENTS_LEAVE = 128 };

/** A sensor of the configuration. */
struct handin_sensor {
    const char *name;
    const unsigned *formats; /* of enum payload_format, format_count of them; 0: all */
    size_t format_count;
    size_t bytes_max;       /* of a payload; 0: as the options say */
    enum lane lane;         /* where nobody asks for another one */
    bool lanes[LANE_COUNT]; /* that may be asked for; lane is always allowed */
    struct validate_rules rules;
    const struct tag *tags;
    size_t tag_count;
    const struct intake_transform *transform; /* NULL: none */
};

/** Everything that this points to stays the caller's and must stay valid until handin_close. */
struct handin_options {
    const struct handin_sensor *sensors;
    size_t sensor_count; /* 0: any valid name is a sensor, in every format and lane, by itself in
                            normal; at most sensors_max of them */
    size_t sensors_max;
    const char *const *taken; /* names of sensors that have a driver, and are not for peers */
    size_t taken_count;
    const char *device;
    struct spool *spool;
    bool carries[LANE_COUNT]; /* some route does */
    size_t document_bytes_max;
    bool (*knows_time)(void *context); /* whether the wall clock of CLOCK is to be believed; not if
                                          CLOCK does not call it synced */
    void (*clock)(void *context, struct spool_clock_reading *ret_reading);
    void *context;
};

/** Allocates all that is needed. E_NO_MEMORY. */
int handin_open(const struct handin_options *options, struct handin **ret_handin);

/** Hands on what transforms hold. NULL is allowed. */
void handin_close(struct handin *handin);

struct handin_request {
    const char *sensor;
    const char *lane;          /* asked for; NULL: the sensor's */
    bool may_lane[LANE_COUNT]; /* what the peer is allowed; the sensor's own lane likewise */
    unsigned format;
    const uint8_t *bytes;
    size_t count;
};

/** Where its records are: the highest sequence number in each lane, 0 where there is none. */
struct handin_receipt {
    uint64_t sequences[LANE_COUNT];
    unsigned records;
    size_t
        bytes_max; /* of a payload for this sensor, also on failure; 0: there is no such sensor */
};

/**
 * Nothing is put into the spool unless all of it is good. FAULT says for the peer what is not.
 * Whatever is good is put there with the time that the peer said, and counts as come now. Where the
 * spool, or a transform, stops in the midst of a pack the records before that stay, and the receipt
 * has them: whoever hands in all of it again makes them twice. A transform may take a record and
 * give none, now or ever: what it holds is in RAM alone, and the receipt has no number of it.
 *
 * E_NOT_FOUND: no such sensor; E_EXISTS: its name is a driver's; E_BUSY: too many sensors, in this
 * run or in the dictionary; E_DENIED: the lane is not for this peer or sensor, or nothing carries
 * it; E_UNSUPPORTED: not in this format; E_TOO_BIG; E_SYNTAX, E_INVALID, E_RANGE: as payload_read
 * and validate_record, or the lane has no such name, or a transform cannot do its part with it;
 * E_REFUSED, E_AGAIN, E_FULL: there is no room, come again; E_CREDENTIALS: a transform has not the
 * key that it needs.
 */
int handin_put(struct handin *handin, const struct handin_request *request,
               struct handin_receipt *ret_receipt, char fault[PAYLOAD_FAULT_BYTES]);

/** When a transform has something to hand on (clock_boot_ms); INT64_MAX: none does. */
int64_t handin_due_ms(const struct handin *handin);

/** Hands on what is due at BOOT_MS. */
void handin_flush(struct handin *handin, int64_t boot_ms);

struct handin_status {
    char name[SAMPLE_NAME_BYTES];
    uint64_t messages; /* accepted */
    uint64_t records;
    uint64_t refused; /* for want of room */
    uint64_t faults;  /* payloads that were bad */
    int64_t age_ms;   /* of the last message accepted; -1: none */
};

/** The INDEX-th sensor that there is, configured or named by a peer. E_END. Any thread. */
int handin_get_status(struct handin *handin, size_t index, struct handin_status *ret_status);

#endif
