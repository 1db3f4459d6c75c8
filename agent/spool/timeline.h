/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_SPOOL_TIMELINE_H
#define RUNNEL_AGENT_SPOOL_TIMELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/spool/block.h"

/**
 * When the boots of this machine were: what was learnt of each one's clock, and from that the wall
 * time of any instant of any of them. Instants are milliseconds, *boot* of CLOCK_BOOTTIME, *wall*
 * since 1970 UTC. Whatever values stand in a stored entry, the results are defined. Pure.
 *
 * A boot that learnt the time has points: between them its clock is interpolated, beyond them
 * extrapolated with the drift that they show. One that never did is put between its neighbours.
 */
enum {
    TIMELINE_BOOTS_MAX = 64,
    TIMELINE_POINTS_MAX = 16,
    TIMELINE_BOOT_BYTES = 24 + 16 * (1 + TIMELINE_POINTS_MAX), /* at most, as stored */
};

/** At boot_ms the wall clock said boot_ms + offset_ms. */
struct timeline_point {
    int64_t boot_ms;
    int64_t offset_ms;
};

struct timeline_boot {
    uint32_t number;
    uint8_t id[BLOCK_BOOT_ID_BYTES];
    bool foreign;                /* taken over from another file: older than this one's own */
    int64_t lived_ms;            /* its clock came at least so far; 0: not known */
    bool has_guess;              /* what the system's clock said before anybody trusted it: */
    struct timeline_point guess; /* some machines have one that runs on battery */
    size_t point_count;
    struct timeline_point points[TIMELINE_POINTS_MAX]; /* oldest first */
};

/** Start with all zeros. The boots in their order. */
struct timeline {
    size_t count;
    struct timeline_boot boots[TIMELINE_BOOTS_MAX];
};

/** The boot ID, which is added behind the others with NUMBER if it is new; the oldest gives way. */
struct timeline_boot *timeline_enter(struct timeline *timeline, uint32_t number,
                                     const uint8_t id[BLOCK_BOOT_ID_BYTES]);

/** Takes a boot as decoded; if its id is known already, what it has more. */
void timeline_add(struct timeline *timeline, const struct timeline_boot *boot);

/** Takes a boot as found somewhere in a file: in any order, old versions of entries among them. */
void timeline_collect(struct timeline *timeline, const struct timeline_boot *boot);

/** Takes over the boots of another file, as they were collected: they were before those of this one
 *  and after those that were taken over before; what both know is put together. Where there are no
 *  numbers, or no places, for all, the oldest are left out. Whether it changed anything. */
bool timeline_adopt(struct timeline *timeline, const struct timeline *other);

/** Whether POINT says more of BOOT than what is known: the first one; one that is further from
 *  what was expected than clocks jitter; or hours after the last. */
bool timeline_is_news(const struct timeline_boot *boot, const struct timeline_point *point);

/**
 * Adds POINT, which lies behind the others. Where they contradict it by more than a clock drifts
 * they go, for what was learnt last counts. Of more than TIMELINE_POINTS_MAX the one that says
 * least gives way, never the first or the last.
 */
void timeline_learn(struct timeline_boot *boot, const struct timeline_point *point);

/** BOOT's clock came to BOOT_MS. */
void timeline_lives(struct timeline_boot *boot, int64_t boot_ms);

/** An entry of the table of boots as FORMAT.md has it. Returns how many bytes it takes. */
size_t timeline_encode(const struct timeline_boot *boot, uint8_t bytes[TIMELINE_BOOT_BYTES]);

/** Its number is the caller's to set. E_DAMAGED: no entry has that length. */
int timeline_decode(const uint8_t *bytes, size_t count, struct timeline_boot *ret_boot);

/** The clock of one boot, as a function: does not change with the timeline it was taken from. */
struct timeline_binding {
    enum { TIMELINE_UNKNOWN, TIMELINE_POINTS, TIMELINE_PLACED, TIMELINE_BEFORE } kind;
    size_t point_count;
    struct timeline_point points[TIMELINE_POINTS_MAX];
    int64_t start_ms; /* wall time of its beginning */
    int64_t lived_ms;
    int64_t room_ms;  /* wall time for lived_ms of its clock: less where it had to be squeezed */
    int64_t limit_ms; /* the next boot began then; before 2024 nobody's clock was set */
};

/**
 * The clock of boot ID. One that the timeline does not have is TIMELINE_UNKNOWN, or, if it is known
 * to be OLDER than all that it has, before these. TIMELINE_UNKNOWN also while no boot has a point.
 */
void timeline_bind(const struct timeline *timeline, const uint8_t id[BLOCK_BOOT_ID_BYTES],
                   bool older, struct timeline_binding *ret_binding);

/** The wall time of BOOT_MS; OFFSET_MS, which the system's clock said then, serves where nothing is
 *  known. Of a boot that has points or is placed never less for a later BOOT_MS. */
int64_t timeline_wall_ms(const struct timeline_binding *binding, int64_t boot_ms,
                         int64_t offset_ms);

/** How good that is for what was taken while the clock was of QUALITY. */
enum time_quality timeline_quality(const struct timeline_binding *binding,
                                   enum time_quality quality);

#endif
