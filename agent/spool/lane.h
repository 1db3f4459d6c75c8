/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_SPOOL_LANE_H
#define RUNNEL_AGENT_SPOOL_LANE_H

/** A lane holds the records of one priority in the order of their sequence numbers. The numbers
 *  are part of the format on flash. */
enum lane { LANE_ALARM, LANE_NORMAL, LANE_BULK, LANE_COUNT };

/** "alarm", "normal", "bulk". */
const char *lane_name(enum lane lane);

/** The lane called NAME, or LANE_COUNT if there is none. */
enum lane lane_find(const char *name);

#endif
