/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_CONTROL_GROUND_H
#define RUNNEL_AGENT_CONTROL_GROUND_H

#include "agent/control/config.h"
#include "platform/fs.h"

/** What the state directory stands on, looked at before anything is written there. */
enum { GROUND_FAULT_BYTES = 2 * FS_PATH_BYTES + 256 };

/**
 * Judges the state directory, or the nearest of its parents that is there. 0, also where it cannot
 * be looked at: opening the spool will say why. E_CONFIG: nothing is durable there, and
 * spool.volatile does not allow that; E_NOT_FOUND: nothing is mounted on spool.mount, which may
 * change without a change of the configuration. FAULT is then `KEY: what is wrong; remedy`.
 */
int ground_check(const struct cfg_spool *spool, char fault[GROUND_FAULT_BYTES]);

#endif
