/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/spool/lane.h"

#include <string.h>

static const char *const names[LANE_COUNT] = {"alarm", "normal", "bulk"};

const char *lane_name(enum lane lane)
{
    return names[lane];
}

enum lane lane_find(const char *name)
{
    int lane = 0;
    while (lane < LANE_COUNT && strcmp(names[lane], name) != 0)
        lane++;
    return (enum lane)lane;
}
