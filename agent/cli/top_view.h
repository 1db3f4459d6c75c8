/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_CLI_TOP_VIEW_H
#define RUNNEL_AGENT_CLI_TOP_VIEW_H

#include "agent/cli/top_draw.h"
#include "agent/cli/top_history.h"
#include "agent/control/status_read.h"
#include "platform/base/writer.h"

/**
 * What runnel top shows: a status laid out for a terminal, with rates and small curves from the
 * statuses before it. Draws only: no terminal, no clock.
 */

/** Draws STATUS, which HISTORY noted last. */
void top_view_draw(const struct top_history *history, const struct status_read *status,
                   const struct top_screen *screen, struct writer *out);

/** Draws a text alone, such as why there is no status. */
void top_view_draw_message(const char *text, const struct top_screen *screen, struct writer *out);

#endif
