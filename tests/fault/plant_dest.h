/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_TESTS_FAULT_PLANT_DEST_H
#define RUNNEL_TESTS_FAULT_PLANT_DEST_H

#include "agent/uplink/dest/dest.h"

/** Linked with --wrap=dest_open: what the destination made of a reply to SENT records is changed by
 *  the planted bug, which defines this. DELIVERED has a bit for each. */
void plant_change(size_t sent, uint8_t *delivered, struct dest_reply *reply);

/** All that was sent is delivered, whatever the reply said. */
void plant_believe(size_t sent, uint8_t *delivered, struct dest_reply *reply);

#endif
