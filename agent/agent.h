/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_AGENT_H
#define RUNNEL_AGENT_AGENT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "agent/control/config.h"
#include "agent/control/control_client.h"

/**
 * The agent in the foreground: builds the stages in the order in which data flows, runs until
 * SIGTERM or SIGINT, and takes them down again. SIGHUP takes them down and up with the
 * configuration as it is then, if it has no faults. Nothing here is on the data path.
 */
struct agent_options {
    const struct config_options *config; /* how the configuration is read, at the start and later */
    bool drain;               /* read finite inputs to their end, deliver all, then end */
    int64_t drain_timeout_ms; /* INT64_MAX: as long as it takes, but not for an input that cannot be
                                 opened */
};

/** The exit code: 0; 1 if a stage could not start, or something was not read or still stored when
 * the drain ended. E_CONFIG: the configuration has faults, which were printed. */
int agent_run(const struct agent_options *options);

/**
 * What control_client_spool gets from a running agent, of the spool of a stopped one: opens the
 * spool of CONFIG, changes nothing in it but dead letters, and closes it. 0; E_BUSY: another
 * process has it; E_NOT_FOUND: there is none; E_DAMAGED, E_VERSION: of the whole file; E_INVALID:
 * no such request; E_NO_MEMORY; the errors of write; error_sys; LMDB's. On failure the reason is in
 * ret_spooled.
 */
int agent_spool(const struct config *config, const struct control_spool *spool,
                struct control_spooled *ret_spooled);

/**
 * What a running agent does with an applied document, where none runs: its trial, of CONFIRM_MS,
 * begins with the next start. DOCUMENT NULL: the main file, without anything applied. What is wrong
 * is printed to stderr. 0; E_CONFIG: it has faults; E_BUSY: an agent has the state directory;
 * E_UNSUPPORTED: it moves the spool; what config_store_offer returns.
 */
int agent_config_apply(const struct config_options *options, char *document, size_t count,
                       int64_t confirm_ms);

/**
 * What CONFIG costs in a month of 30 days, printed to TO, one line a thing, NAME=NUMBER. The
 * sensors are asked, and what they say goes through a spool, in RAM alone, and through the batches
 * of each route, faster than time passes; nothing is sent. E_AGAIN: RAM does not hold what waits
 * for its batches; E_NO_MEMORY; error_sys; what batch_build and uplink_open return.
 */
int agent_estimate(const struct config *config, FILE *to);

/** A device's certificate and key, and who uses them: a source of keys, else a route. */
struct agent_identity {
    const struct config *config;
    const struct cfg_credentials *credentials;
    const struct cfg_route *route;
    const char *cert_file;
    const char *key_file;
};

enum { AGENT_IDENTITY_FAULT_BYTES = 320 };

/** Whether there is somebody who would say whether he takes it. */
bool agent_identity_can_try(const struct agent_identity *identity);

/**
 * Fetches keys with them, or has a request answered by the route's endpoint, over connections of
 * its own. 0: they are taken. E_TIMEOUT and most others: nobody said anything about them;
 * E_CREDENTIALS, E_CLOSED, error_tls: they are refused, or a file does not fit. FAULT says what and
 * what helps.
 */
int agent_identity_try(const struct agent_identity *identity,
                       char fault[AGENT_IDENTITY_FAULT_BYTES]);

struct doctor;

struct agent_doctor_options {
    const struct config *config; /* NULL: it has faults */
    const char *faults;          /* what config_load wrote of them, and of what it warns of */
    const char *route;           /* only this one; NULL: all */
    bool sends;                  /* a record on each route */
    const char *socket;          /* where the running agent is asked */
};

/**
 * Looks why records do not arrive, and adds to TO, which was started, what it finds; ends it. Only
 * with sends is anything stored elsewhere. Each step is bounded, a route takes less than a minute.
 * E_NOT_FOUND: there is no such route; E_NO_MEMORY; error_sys; E_UNSUPPORTED.
 */
int agent_doctor(const struct agent_doctor_options *options, struct doctor *to);

#endif
