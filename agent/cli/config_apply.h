/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_CLI_CONFIG_APPLY_H
#define RUNNEL_AGENT_CLI_CONFIG_APPLY_H

#include <stdbool.h>
#include <stdint.h>

/** `runnel config apply` and `runnel config reload`, and what the running agent says to them. */
struct config_apply {
    const char *config; /* -c: where no agent runs; NULL: as config_load finds it */
    const char *file;   /* to be applied; NULL: the main file */
    int64_t confirm_ms;
    bool waits; /* until the trial is over */
};

/** Returns the exit code. What is wrong is said on stderr. */
int config_apply_run(const struct config_apply *apply);

/** Has the running agent read its files again. Likewise. */
int config_apply_reload(void);

#endif
