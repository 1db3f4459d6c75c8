/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_CLI_TOP_ROUTES_H
#define RUNNEL_AGENT_CLI_TOP_ROUTES_H

#include "agent/cli/top_draw.h"
#include "agent/cli/top_history.h"
#include "agent/control/status_read.h"

/** Draws the routes, each in as many lines as leaves KEEP rows of the screen for what follows;
 * where not even one line each does, those that do not deliver come first. */
void top_routes_draw(struct top_draw *draw, const struct top_history *history,
                     const struct status_read *status, unsigned keep);

#endif
