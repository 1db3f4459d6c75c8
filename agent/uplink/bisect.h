/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_UPLINK_BISECT_H
#define RUNNEL_AGENT_UPLINK_BISECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/spool/lane.h"

/**
 * Finds the records for which a destination refuses whole requests. What is refused is sent again
 * by halves, until one record alone is refused: that one is set aside, and only when another was
 * taken after it may the record be at fault and not everything. Everything may have been mended
 * meanwhile, so it is tried once more (bisect_doubt), and refused for good if it is refused again;
 * where order counts it is so at once, for it was passed over. When many are aside, single records
 * from further and further on are tried. Where nothing is taken all of them go back. Pure.
 */
enum { BISECT_ASIDE_MAX = 16, BISECT_DOUBTED_MAX = 2 * BISECT_ASIDE_MAX };

struct bisect_record {
    enum lane lane;
    uint64_t sequence;
    uint64_t previous; /* of its lane */
    bool is_gap;
};

struct bisect {
    size_t suspects;    /* so many of the next records hold one that is refused; 0: none is known */
    size_t careful;     /* behind one that was found requests are this small; 0: not any more */
    uint64_t skip_to;   /* what is numbered up to here is passed over; 0: nothing is */
    uint64_t skip_from; /* the last one that was refused */
    uint64_t nothing_behind; /* there is nothing numbered higher; 0: not known */
    unsigned skips;
    size_t aside_count;
    struct bisect_record aside[BISECT_ASIDE_MAX];
    size_t doubted_count; /* ever; the latest of them are kept */
    uint64_t doubted[BISECT_DOUBTED_MAX];
};

/** A struct bisect starts as {0}. A request of COUNT records, the first that there are, was
 * refused. True: it was one alone, which the caller sets aside (bisect_set_aside) or gives up
 * finding. */
bool bisect_refused(struct bisect *bisect, size_t count);

/** False: no more can be set aside. */
bool bisect_set_aside(struct bisect *bisect, const struct bisect_record *record);

/** Another was taken: those aside are tried again. */
void bisect_doubt(struct bisect *bisect);

/** Whether SEQUENCE was refused before, and another taken since. */
bool bisect_is_doubted(const struct bisect *bisect, uint64_t sequence);

/** SEQUENCE was refused: the next request is of a record further on, how far says RANDOM, and
 *  farther each time. False: it was tried often enough. */
bool bisect_skip(struct bisect *bisect, uint64_t sequence, uint64_t random);

/** There is no record that may be sent. True: one nearer may be tried; false: there is none. */
bool bisect_found_nothing(struct bisect *bisect, uint64_t random);

/** The first COUNT records were taken. */
void bisect_taken(struct bisect *bisect, size_t count);

/** Whether SEQUENCE is set aside or passed over. */
bool bisect_is_aside(const struct bisect *bisect, uint64_t sequence);

/** How many records the next request may have. */
size_t bisect_records_max(const struct bisect *bisect);

#endif
