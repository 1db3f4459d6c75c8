/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_CLI_ASK_SPOOL_H
#define RUNNEL_AGENT_CLI_ASK_SPOOL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "agent/control/control_client.h"

/** A question about the spool, to the running agent or, where none answers, to the spool of a
 *  stopped one. */
struct ask_spool {
    const char *config;  /* NULL: as config_load finds it */
    const char *request; /* see control_client.h */
    bool running;        /* only of a running agent: E_NOT_FOUND where none answers */
    FILE *to;            /* takes the answer */
    bool stopped;        /* what comes back: no agent answered */
    int exit_code;       /* with E_STOP */
    uint64_t bytes;      /* written to TO, also when the rest did not come */
    uint64_t lines;
};

/** 0; E_STOP: it could not even be asked, which was said on stderr, and the exit code is in ASK; as
 *  control_client_spool and agent_spool. ret_spooled is written in any case. */
int ask_spool(struct ask_spool *ask, struct control_spooled *ret_spooled);

/** Says why the answer did not come whole; EXPORTS: how many records came. Returns the exit code.
 */
int ask_spool_fail(const struct ask_spool *ask, int result, const struct control_spooled *spooled,
                   bool exports);

#endif
