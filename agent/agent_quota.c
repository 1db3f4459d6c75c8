/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent_quota.h"

int64_t agent_quota_ms(const struct agent_quota *quota, const struct agent_quota_rule *rule)
{
    return quota->full_ms - (int64_t)(rule->burst - 1) * rule->every_ms;
}

void agent_quota_take(struct agent_quota *quota, const struct agent_quota_rule *rule,
                      int64_t now_ms)
{
    quota->full_ms = (quota->full_ms > now_ms ? quota->full_ms : now_ms) + rule->every_ms;
}

bool agent_quota_note_trouble(struct agent_trouble *trouble, bool is_on, int64_t since_ms)
{
    if (is_on != trouble->is_on) {
        trouble->changes++;
        if (is_on)
            trouble->since_ms = since_ms;
    }
    trouble->is_on = is_on;
    return trouble->is_on != trouble->is_told;
}

void agent_quota_tell_trouble(struct agent_trouble *trouble, const struct agent_quota_rule *rule,
                              int64_t now_ms)
{
    agent_quota_take(&trouble->quota, rule, now_ms);
    trouble->is_told = trouble->is_on;
    trouble->changes = 0;
}

bool agent_quota_note_tally(struct agent_tally *tally, uint64_t number, int64_t now_ms)
{
    if (number < tally->told)
        tally->told = 0;
    if (number == tally->told)
        tally->since_ms = 0;
    else if (tally->since_ms == 0)
        tally->since_ms = now_ms;
    return number != tally->told;
}

void agent_quota_tell_tally(struct agent_tally *tally, const struct agent_quota_rule *rule,
                            uint64_t number, int64_t now_ms)
{
    agent_quota_take(&tally->quota, rule, now_ms);
    tally->told = number;
    tally->since_ms = 0;
}
