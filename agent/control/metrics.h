/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_CONTROL_METRICS_H
#define RUNNEL_AGENT_CONTROL_METRICS_H

#include <stdio.h>

#include "agent/control/status_read.h"

/**
 * STATUS in the text format of Prometheus (exposition format 0.0.4), written to TO: each number of
 * it as runnel_<thing>_<unit>[_total] with the labels route, lane, sensor, each with its HELP and
 * TYPE. What the status does not have is left out.
 */
void metrics_write(const struct status_read *status, FILE *to);

#endif
