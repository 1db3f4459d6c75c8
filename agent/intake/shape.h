/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_INTAKE_SHAPE_H
#define RUNNEL_AGENT_INTAKE_SHAPE_H

#include <stddef.h>
#include <stdint.h>

#include "agent/intake/transform.h"
#include "agent/spool/spool.h"

/** What is the same in a sensor's records, between whoever knows it and the spool. */

/** As TRANSFORM has it; where that is NULL the channels in SHAPE stay, with TAGS, which must
 * outlive it. */
void shape_get(const struct intake_transform *transform, const struct tag *tags, size_t tag_count,
               struct intake_shape *shape);

/** Tells the spool: as spool_define_sensor_within. */
int shape_define(struct spool *spool, const char *device, const char *sensor,
                 const struct intake_shape *shape, size_t leaves, uint32_t *ret_number);

#endif
