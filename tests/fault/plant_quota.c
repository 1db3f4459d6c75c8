/* SPDX-License-Identifier: Apache-2.0 */
/* A planted bug: whatever the quota, it may be told at once. */
#include "agent/agent_quota.h"

int64_t __wrap_agent_quota_ms(const struct agent_quota *quota, const struct agent_quota_rule *rule);

int64_t __wrap_agent_quota_ms(const struct agent_quota *quota, const struct agent_quota_rule *rule)
{
    (void)quota;
    (void)rule;
    return 0;
}
