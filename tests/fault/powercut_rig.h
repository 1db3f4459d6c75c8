/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_TESTS_FAULT_POWERCUT_RIG_H
#define RUNNEL_TESTS_FAULT_POWERCUT_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/spool/spool.h"

/** What the program that loads a spool and the one that checks it after a cut have in common. */
enum { RIG_ROUTES = 2, RIG_DOCUMENT_BYTES_MAX = 11000, RIG_WAIT_MS = 20000 };

/**
 * What the load reports, in the order in which it happens. A record's content follows from its key
 * and its size alone, so that the check can tell it from all others byte by byte.
 */
enum report_kind {
    REPORT_OPENED = 'S',       /* key: the size of the file; sequence: the spool's id; full */
    REPORT_APPENDING = 'B',    /* lane, key, bytes of the document or 0: from now on it may exist */
    REPORT_NUMBERED = 'N',     /* key, sequence */
    REPORT_ACCEPTED = 'A',     /* key: its ticket says so */
    REPORT_DROPPED = 'X',      /* key: drop-newest evicted it when it came */
    REPORT_ACKNOWLEDGED = 'K', /* route, lane, sequence, key: the id of the spool that numbered it;
                                  from now on it may be gone */
    REPORT_COMMITTED = 'D',    /* what was acknowledged so far does not come again */
    REPORT_IDENTITIES = 'I',   /* records may change places: powercut_identity.c compares */
    REPORT_HELD = 'H',         /* route, lane, sequence, key: rig_digest; it lay in a stored file */
    REPORT_BURYING = 'L',      /* as ACKNOWLEDGED: from now on it may be a dead letter */
    REPORT_BURIED = 'M',       /* likewise: it is one, or still owed */
    REPORT_PURGED = 'P',       /* likewise: that letter may be gone */
};
struct report {
    uint8_t kind;
    uint8_t lane;
    uint8_t route;
    uint8_t full; /* the file may become full and records be evicted */
    uint32_t bytes;
    uint64_t key;
    uint64_t sequence;
};

struct rig {
    struct machine_mark machine; /* of the next spool that is opened */
    struct spool_options options;
    struct spool *spool;
    struct spool_route *routes[RIG_ROUTES];
    uint32_t board; /* readings */
    uint32_t plc;   /* documents */
    struct spool_reader reader;
};

/** Opens, or makes, the spool in the directory PATH and starts it; both routes hold. */
int rig_open(struct rig *rig, const char *path, uint64_t size_bytes, bool full,
             char fault[SPOOL_FAULT_BYTES]);

uint64_t rig_id(const struct rig *rig);

/** The document KEY of BYTES. */
void rig_fill(uint64_t key, uint8_t *ret_document, size_t bytes);

/** The clock of the rig's spool, which is synced. */
void rig_read_clock(void *context, struct spool_clock_reading *ret_reading);

/** Appends the record KEY: a document of BYTES, or a reading where that is 0. */
int rig_append(struct rig *rig, enum lane lane, uint64_t key, size_t bytes, uint64_t *ret_sequence);

/** Whether RECORD, which the rig's reader just gave, is KEY; reads all its pieces. */
bool rig_is_content(struct rig *rig, const struct record *record, uint64_t key, size_t bytes);

/** What RECORD, which the rig's reader just gave, says; reads all its pieces. */
uint64_t rig_digest(struct rig *rig, const struct record *record);

/** Waits until files that were set aside have been searched. False if that takes too long. */
bool rig_wait_salvaged(struct rig *rig);

/** The number of the route NAME, or RIG_ROUTES. */
int rig_find_route(const char *name);

/** Waits for a commit that began after the call. False if none held in time. */
bool rig_commit(struct rig *rig);

#endif
