/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_CONTROL_CONFIG_WALK_H
#define RUNNEL_AGENT_CONTROL_CONFIG_WALK_H

#include "agent/control/config.h"

/**
 * A resolved configuration, value by value, in the order of schema.c: to show it, to name it, and
 * to compare it. Pure.
 */
enum { CONFIG_PATH_BYTES = 160, CONFIG_SHOWN_BYTES = 640, CONFIG_ID_TEXT_BYTES = 17 };

struct config_value {
    const char *path;    /* "routes.live.region" */
    const char *text;    /* as runnel.json has it, without quotes; may hold a secret */
    const void *address; /* of what was resolved, for config_place */
};

/** Valid during the call. */
typedef void config_tell(void *context, const struct config_value *value);

/** VALUE's text, without a password if it has one, and without the query of a URL, where APIs may
 *  want theirs. */
const char *config_walk_shown(const struct config_value *value, char text[CONFIG_SHOWN_BYTES]);

void config_walk(const struct config *config, config_tell *tell, void *context);

/** All that decides whether ROUTE delivers: itself, its keys, the device's name and the link's
 *  budget, and the endpoints and proxies that they came to. */
void config_walk_route(const struct config *config, const struct cfg_route *route,
                       config_tell *tell, void *context);

/** The name of what is effective: 16 hexadecimal digits, of its SHA-256. */
void config_walk_name(const struct config *config, char ret_id[CONFIG_ID_TEXT_BYTES]);

/** The routes of CONFIG that hold, or all where none does, and that OLD (NULL: nothing) does not
 *  have, or has differently. Returns their number. */
unsigned config_walk_changed(const struct config *config, const struct config *old,
                             char ret_names[CFG_ROUTES_MAX][CFG_NAME_BYTES]);

/**
 * The first route of CONFIG that would tell a secret to a server to which no route of TRUSTED
 * (NULL: there are none) tells the same one: a key of an API, a token, a client's secret. NULL:
 * there is none. Keys of AWS sign, and leave the device with no request.
 */
const char *config_walk_astray(const struct config *config, const struct config *trusted);

#endif
