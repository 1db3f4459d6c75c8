/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_CLI_TOP_SENSORS_H
#define RUNNEL_AGENT_CLI_TOP_SENSORS_H

#include "agent/cli/top_draw.h"
#include "agent/cli/top_history.h"
#include "agent/control/status_read.h"

/** Draws the sensors in the rows that are left: where these are too few for all, those that fail
 *  first, and how many more there are. */
void top_sensors_draw(struct top_draw *draw, const struct top_history *history,
                      const struct status_read *status);

#endif
