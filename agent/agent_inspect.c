/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent_state.h"

int agent_inspect_start(void *context, unsigned slot, const char *request)
{
    struct agent *agent = context;
    return inspect_start(&agent->inspects[slot], agent->spool, request);
}

int agent_inspect_next(void *context, unsigned slot, struct writer *out,
                       struct control_tally *ret_tally)
{
    struct agent *agent = context;
    struct inspect *inspect = &agent->inspects[slot];
    int rc = inspect_next(inspect, out);
    *ret_tally = (struct control_tally){.records = inspect->records, .damaged = inspect->damaged};
    return rc;
}
