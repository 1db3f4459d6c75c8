/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_CONTROL_CONFIG_STORE_H
#define RUNNEL_AGENT_CONTROL_CONFIG_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/control/config.h"
#include "platform/fs.h"

/**
 * Configurations that were applied to this device, in STATE/config; STATE is the state directory
 * that the main file, its fragments and the environment name. An applied document takes the main
 * file's place. It begins on trial: until it is confirmed, the one before it (the good one, or the
 * main file) is kept, and the trial ends in it by config_store_revert.
 *
 *   STATE/config/1.json ... 3.json   documents, as they were given
 *   STATE/config/state.json          which of them is good, which on trial, what is left of the
 *                                    trial, and how the last one ended
 *
 * Every change is one replacement of state.json (fs_replace_file); a document is on flash, in a
 * place that state.json does not name, before state.json names it. So a power cut at any moment
 * leaves the state before the change or the one behind it. Time is counted down in running time,
 * because a gateway may not know the time of day: it ends across reboots, too.
 *
 * Whoever writes has the lock of STATE: the agent, or a command where none runs. Readers need none.
 */
enum {
    CONFIG_STORE_ERROR_BYTES = 320,
    CONFIG_STORE_DIGEST_BYTES = 17,
};

/** A trial takes so long. */
#define CONFIG_STORE_CONFIRM_MS_MIN ((int64_t)10 * 1000)
#define CONFIG_STORE_CONFIRM_MS_MAX ((int64_t)7 * 24 * 3600 * 1000)

/** In which a command hands a document to the agent that runs. */
#define CONFIG_STORE_OFFER "offer.json"

/** A document that has a place; 0: none, which means the main file. */
struct config_applied {
    unsigned place;
    enum cfg_origin origin;
    char digest[CONFIG_STORE_DIGEST_BYTES];      /* of the document: SHA-256, first 16 hex digits */
    char main_digest[CONFIG_STORE_DIGEST_BYTES]; /* of the main file when it was applied */
};

/** The one that is tried out, if is_on. */
struct config_trial {
    bool is_on;
    struct config_applied applied;
    int64_t total_ms, left_ms; /* running time */
    unsigned starts;           /* of the agent with it */
    unsigned route_count;      /* that it changed and that have not delivered since */
    char routes[CFG_ROUTES_MAX][CFG_NAME_BYTES];
};

enum config_result { CONFIG_RESULT_NONE, CONFIG_RESULT_CONFIRMED, CONFIG_RESULT_REVERTED };

/** How the last trial ended. */
struct config_outcome {
    enum config_result result;
    enum cfg_origin origin;
    bool told; /* as a record of the sensor "runnel" */
    char digest[CONFIG_STORE_DIGEST_BYTES];
    char route[CFG_NAME_BYTES]; /* that did not deliver, or "" */
    char error[CONFIG_STORE_ERROR_BYTES];
};

struct config_store {
    char directory[FS_PATH_BYTES];
    struct config_applied good;
    struct config_trial trial;
    struct config_outcome outcome;
    bool unwritten; /* flash does not know all of it yet */
};

/** A document that somebody offers. */
struct config_offer {
    const void *document; /* NULL: the main file, without anything applied */
    size_t count;
    enum cfg_origin origin;
    int64_t confirm_ms; /* the trial takes so long at most */
    char main_digest[CONFIG_STORE_DIGEST_BYTES];
    unsigned route_count; /* the routes that it changes, of those that hold */
    char routes[CFG_ROUTES_MAX][CFG_NAME_BYTES];
};

/**
 * Reads what is in STATE; nothing is there: a store in which nothing was applied. E_DAMAGED:
 * state.json makes no sense, and ret_store is as if it were not there; E_TOO_BIG: the path;
 * error_sys; E_NO_MEMORY.
 */
int config_store_read(const char *state, struct config_store *ret_store);

/** Nothing is applied, nor was anything tried that anybody knows of. */
bool config_store_is_empty(const struct config_store *store);

/** The document that has PLACE. E_TOO_BIG. */
int config_store_path(const struct config_store *store, unsigned place, char path[FS_PATH_BYTES]);

/** DOCUMENT's name in the store. */
void config_store_digest(const void *document, size_t count,
                         char ret_digest[CONFIG_STORE_DIGEST_BYTES]);

/**
 * Begins a trial of what OFFER has; the caller has checked that it loads. One that is on is over
 * without an outcome, unless the offer comes from the source. E_BUSY: that, while one is on;
 * E_EXISTS: the source offers what runs already; E_REFUSED: the source offers what did not pass the
 * last trial; error_sys, and then the store is as it was.
 */
int config_store_offer(struct config_store *store, const struct config_offer *offer);

/** The agent starts with the trial: costs what may not have been counted since it was last (see
 * config_store_step_ms). Errors as fs_replace_file, here and below; what could not be written
 * counts nevertheless, and is unwritten: a trial must end although the disk is full. Only of
 * config_store_confirm the store stays as it was. */
int config_store_start(struct config_store *store);

/** How much time of the trial is counted at once, and what a start costs. */
int64_t config_store_step_ms(const struct config_store *store);

/** MS of the trial are over; to be called once a step. STORE says so also where flash cannot be
 *  written. */
int config_store_spend(struct config_store *store, int64_t ms);

/** ROUTE has delivered. Writes nothing if it is none of the trial's. */
int config_store_prove(struct config_store *store, const char *route);

/** The trial's document is the good one. */
int config_store_confirm(struct config_store *store);

/** The trial is over, ROUTE ("" if it was none) did not deliver because of ERROR. Likewise. */
int config_store_revert(struct config_store *store, const char *route, const char *error);

/** The outcome is in a record that is accepted. */
int config_store_told(struct config_store *store);

/** Writes what is unwritten. */
int config_store_write(struct config_store *store);

#endif
