/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_CLI_REPORT_MACHINE_H
#define RUNNEL_AGENT_CLI_REPORT_MACHINE_H

#include "agent/cli/report_filter.h"

/** What machine this is, its kernel, for how long it runs, its memory. */
void report_machine_system(struct report_filter *to);

/** What the system's clock says, and whether the kernel vouches for it. */
void report_machine_clock(struct report_filter *to);

/** Each file system that stores something: where, of what type, its size and what is free. */
void report_machine_disks(struct report_filter *to);

/** Each interface with its addresses, and the name servers. */
void report_machine_network(struct report_filter *to);

#endif
