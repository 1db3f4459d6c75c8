/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_CONTROL_CONFIG_DIFF_H
#define RUNNEL_AGENT_CONTROL_CONFIG_DIFF_H

#include <stdbool.h>

#include "agent/control/config.h"

/**
 * What one configuration has otherwise than another, key by key, in the words of config_walk.h:
 * what a reload changes. Pure.
 */
struct config_change {
    const char *key;  /* "sensors.board.interval"; "routes.lake" where all of it came or went */
    const char *from; /* without secrets; NULL: it was not there */
    const char *to;   /* likewise; NULL: it is not there any more */
    bool is_whole;    /* a sensor, a route, a source of credentials that came or went: "" */
    bool needs_restart;
};

/** Valid during the call. */
typedef void config_tell_change(void *context, const struct config_change *change);

/** Tells each change from FROM to TO. 0; E_NO_MEMORY, then not all were told. */
int config_diff(const struct config *from, const struct config *to, config_tell_change *tell,
                void *context);

#endif
