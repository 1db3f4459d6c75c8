/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_INTAKE_SENML_H
#define RUNNEL_AGENT_INTAKE_SENML_H

#include "agent/intake/tokens.h"

/**
 * SenML packs (RFC 8428) in JSON and CBOR, resolved as its section 4.6 has it. A pack is read
 * twice: once to judge all of it, once to hand it on.
 *
 * A sample is a run of records of one base name and one time, each channel at most once; what comes
 * after another time, base name or the same channel again begins the next. A time below 2^28 is
 * relative to now (section 4.5.3). A sum is in the unit and seconds (section 4.2): of "W" in "W.s".
 * What base fields make is exact where 64 bits hold it. A number is E_RANGE if it leaves binary64,
 * a time if it is more than 60 s ahead or before 1970, or, while nobody knows the time, more than
 * 2^28 s ago.
 *
 * The whole pack is one document, in JSON with the labels' names, as soon as one record fits no
 * sample: a channel's name of more than 31 bytes or a base name of more than 255, a text that is
 * longer than 255 or has a NUL, more than 32 channels, a sum's unit of more than 13 bytes, or a
 * time of day while nobody knows it.
 */

/** As payload_read; the record is empty but for its time. */
int senml_read(const struct reading *reading);

#endif
