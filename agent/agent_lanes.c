/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>

#include "agent/agent_state.h"

/* Those that something is kept for; where nothing is, all. */
static bool counts(const struct config *config, const struct cfg_route *route)
{
    for (size_t i = 0; i < config->route_count && !route->hold; i++)
        if (config->routes[i].hold)
            return false;
    return true;
}

static unsigned count_carried(const struct cfg_route *route, unsigned lanes)
{
    unsigned count = 0;
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        count += route->lanes[lane] && (lanes >> lane & 1) != 0;
    return count;
}

/* What speaks against LANES. A record that a route gets once too often weighs more than any choice
 * of lanes; of these the calm ones come first, for what is in that for alarms may be written to
 * flash at once. UINT_MAX: a route gets nothing. */
static unsigned weigh(const struct config *config, unsigned lanes)
{
    static const unsigned weights[LANE_COUNT] = {
        [LANE_ALARM] = 4, [LANE_NORMAL] = 1, [LANE_BULK] = 2};
    enum { ONE_TOO_MANY = 8 };
    unsigned sum = 0;
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        sum += (lanes >> lane & 1) * weights[lane];
    for (size_t i = 0; i < config->route_count; i++) {
        unsigned carried = count_carried(&config->routes[i], lanes);
        if (!counts(config, &config->routes[i]))
            continue;
        if (carried == 0)
            return UINT_MAX;
        sum += (carried - 1) * ONE_TOO_MANY;
    }
    return sum;
}

unsigned agent_lanes_for_all(const struct config *config)
{
    unsigned best = 0;
    unsigned least = UINT_MAX;
    for (unsigned lanes = 1; lanes < 1U << LANE_COUNT; lanes++) {
        unsigned sum = weigh(config, lanes);
        if (sum < least) {
            best = lanes;
            least = sum;
        }
    }
    return best;
}
