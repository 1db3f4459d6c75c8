/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_AGENT_DOCTOR_H
#define RUNNEL_AGENT_AGENT_DOCTOR_H

#include "agent/agent_state.h"
#include "agent/control/doctor.h"
#include "agent/control/human.h"
#include "agent/control/status_read.h"

/** What the files agent_doctor*.c share; nobody else includes it. */
enum {
    DOCTOR_CONNECT_MS = 8000, /* name, TCP, proxy and TLS together */
    DOCTOR_KEYS_MS = 15000,
    DOCTOR_TEXT_BYTES = 640,
    DOCTOR_KEYS_MAX = 2 * CFG_ROUTES_MAX,
};

/** What came of a source of keys, which several routes may use. */
struct doctor_keys {
    const struct cfg_credentials *config;
    struct credentials_provider *provider;
    enum doctor_outcome outcome;
};

struct doctor_run {
    struct agent agent; /* only what opens routes: config, clock, spool, user agent, credentials */
    const struct agent_doctor_options *options;
    const struct config *config;
    struct doctor *to;
    struct stop stop;           /* of the ladders; nobody requests it */
    bool is_stopped;            /* no agent runs */
    struct status_read *status; /* of the agent that runs; NULL: none can be asked */
    struct doctor_keys keys[DOCTOR_KEYS_MAX];
    size_t keys_count;
    const char *broken; /* the rung of this section that failed: what is above it is not tried */
};

/** Somebody who is reached over the network, and what a fault of it is told with. */
struct doctor_place {
    const char *owner; /* whose keys in the configuration these are: "route live" */
    const char *where; /* which of them is its address: "\"endpoint\", or \"region\"" */
    const struct cfg_endpoint *endpoint;
    const char *ca_file;
    const char *cert_file;
    const char *key_file;
};

/* ---- agent_doctor.c ---- */

/** One finding; REMEDY may be NULL. A DOCTOR_FAIL breaks the ladder. */
void agent_doctor_say(struct doctor_run *run, const char *rung, enum doctor_outcome outcome,
                      const char *remedy, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/** Likewise with TEXT in two at its last semicolon, as faults are written: what is wrong, and what
 *  helps; without one OTHERWISE helps. TEXT is cut. */
void agent_doctor_say_fault(struct doctor_run *run, const char *rung, enum doctor_outcome outcome,
                            char *text, const char *otherwise);

/** Whether the ladder is broken; then RUNG is said not to be tried. */
bool agent_doctor_pass_over(struct doctor_run *run, const char *rung);

/** Whether PATH is there, but not for this user; then RUNG is said not to be tried. NULL is
 *  allowed. */
bool agent_doctor_is_barred(struct doctor_run *run, const char *rung, const char *path);

/** "2026-11-28T20:14Z". Returns TEXT. */
const char *agent_doctor_date(int64_t wall_ms, char text[HUMAN_DATE_BYTES]);

/* ---- agent_doctor_place.c: link, certificate, DNS, TCP, proxy, TLS ---- */

void agent_doctor_place(struct doctor_run *run, const struct doctor_place *place);

/* ---- agent_doctor_route.c ---- */

/** A section for the source of keys of CONFIG, and of what a role is assumed with, unless it has
 *  had one. E_NO_MEMORY, error_sys. */
int agent_doctor_route_keys(struct doctor_run *run, const struct cfg_credentials *config);

/** A section for a route. */
void agent_doctor_route(struct doctor_run *run, const struct cfg_route *config);

/* ---- agent_doctor_coap.c, where Kconfig did not leave out COAP ---- */

/** What a section about peers says. The configuration, which is there, has listeners. */
void agent_doctor_coap(struct doctor_run *run);

/* ---- agent_doctor_agent.c: what the agent that runs says ---- */

/** Asks it; run->status stays NULL if it cannot be asked, and why is said. */
void agent_doctor_agent_ask(struct doctor_run *run);

/** What it says of the route NAME. */
void agent_doctor_agent_route(struct doctor_run *run, const char *name);

/** A section for its spool, its sensors and the rest; without it, for the state directory. */
void agent_doctor_agent_rest(struct doctor_run *run);

#endif
