/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_CLI_TOP_VIEW_H
#define RUNNEL_AGENT_CLI_TOP_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/control/status_read.h"
#include "platform/base/writer.h"

/**
 * What runnel top shows: a status laid out for a terminal, with rates and small curves from the
 * statuses before it. Draws only: no terminal, no clock.
 */
struct top_view;

struct top_screen {
    unsigned columns; /* no line is longer */
    unsigned rows;    /* no more lines than that; 0: as many as there are */
    bool ansi;        /* draw over what is there, from the top left corner */
    bool colour;
    bool utf8;
};

/** E_NO_MEMORY. */
int top_view_open(struct top_view **ret_view);

/** NULL is allowed. */
void top_view_close(struct top_view *view);

/** Notes the numbers of STATUS at NOW_MS (any clock that only moves forward). */
void top_view_note(struct top_view *view, const struct status_read *status, int64_t now_ms);

/** Draws STATUS, which was noted last. */
void top_view_draw(const struct top_view *view, const struct status_read *status,
                   const struct top_screen *screen, struct writer *out);

/** Draws one line of text, such as why there is no status. */
void top_view_draw_message(const char *text, const struct top_screen *screen, struct writer *out);

#endif
