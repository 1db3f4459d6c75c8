/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_DRIVERS_FORMAT_NMEA_H
#define RUNNEL_DRIVERS_FORMAT_NMEA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drivers/sample.h"

/**
 * Sentences of NMEA 0183 from satellite navigation receivers: RMC, GGA, GSA, VTG, GLL and ZDA of
 * the talkers GP, GN, GL, GA, GB, BD, GQ, QZ and GI. What has the same UTC time is one fix; the
 * fix is complete when a sentence of another time comes. Other sentences, those of makers ($P...)
 * and those in capsules (!AIVDM) are passed over. A position is whole-number arithmetic on what
 * the receiver wrote, rounded once to 7 decimals of a degree (1 cm). Pure.
 */
enum { NMEA_TIME_BYTES = 40 };

enum nmea_channel {
    NMEA_LAT,
    NMEA_LON,
    NMEA_ALT,
    NMEA_SPEED,
    NMEA_COURSE,
    NMEA_QUALITY,
    NMEA_SATELLITES,
    NMEA_HDOP,
    NMEA_TIME,
    NMEA_CHANNELS
};

extern const struct channel nmea_channels[NMEA_CHANNELS];

/** What the sentences of one instant have said. */
struct nmea_fix {
    bool present;
    unsigned seen; /* a bit for each kind of sentence */
    bool has_time;
    int64_t day_ns;    /* of the day */
    unsigned decimals; /* of the seconds, as written */
    bool has_date;
    unsigned year, month, day;
    bool has_speed;                 /* from RMC, which is finer than VTG's km/h */
    bool has_quality;               /* from GGA, which says more than the others */
    struct value values[NMEA_TIME]; /* all but the time */
    int64_t boot_ms;                /* of the line that began it */
    uint64_t offset;                /* behind the last line that belongs to it */
};

struct nmea {
    struct nmea_fix fix;
    unsigned column;  /* after a refusal: where, from 1 */
    const char *what; /* and why */
};

/**
 * Takes a line without blanks around it. 0: ret_done is complete, and the line has begun the next
 * one; E_AGAIN: more is needed; E_SYNTAX, E_RANGE: the sentence is malformed; E_DAMAGED: its
 * checksum does not match. What is refused changes nothing.
 */
int nmea_add(struct nmea *nmea, const char *line, size_t count, int64_t boot_ms, uint64_t offset,
             struct nmea_fix *ret_done);

/** Ends the fix that waits for more: 0, or E_AGAIN if there is none. */
int nmea_end(struct nmea *nmea, struct nmea_fix *ret_done);

/** The values of FIX; the text of its time goes into TIME. */
void nmea_convert(const struct nmea_fix *fix, char time[NMEA_TIME_BYTES],
                  struct sample *ret_sample);

#endif
