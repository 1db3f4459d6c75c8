/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_CONTROL_GENERIC_NAME_H
#define RUNNEL_AGENT_CONTROL_GENERIC_NAME_H

#include <stdbool.h>

/** Whether NAME is what many machines are called as long as nobody names them: the host name of a
 *  system's image, with or without a domain. Case does not matter. Pure. */
bool generic_name(const char *name);

#endif
