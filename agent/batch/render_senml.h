/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_BATCH_RENDER_SENML_H
#define RUNNEL_AGENT_BATCH_RENDER_SENML_H

#include "agent/batch/render_json.h"

/**
 * A record as a SenML pack in JSON (RFC 8428), one record of it per channel:
 *
 *   [{"bn":"gw-17/board/","bt":1795559486.123,"spool":"9f31c2a47be0d815","seq":4711,
 *     "tags":{"site":"pump-4"},"n":"temp","u":"Cel","v":41.50},{"n":"state","vs":"run"}]
 *
 * in one line. Beside the base name and time the first one has what makes a record of runnel's
 * known again, and its tags and time_quality, in fields that SenML does not define and receivers
 * pass over (section 4.4). A document is the text "data", its JSON as a string; what has no value
 * is the boolean "empty". Characters that a name may not have (section 4.5.1) become "_". Pure, and
 * a function of its arguments alone.
 */
int render_senml(const struct render_json *render, const struct record *record, struct writer *out);

/** A gap: [{"bn":"gw-17/gap/", ...,"n":"lane","vs":"normal"},{"n":"first","v":17}, ... ]. */
void render_senml_gap(const char *device, uint64_t spool_id, const struct spool_gap *gap,
                      struct writer *out);

#endif
