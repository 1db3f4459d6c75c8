/* SPDX-License-Identifier: Apache-2.0 */
/* A planted bug: every ticket is accepted when it is asked, and the commit comes afterwards. */
#include "agent/spool/spool.h"

bool __real_spool_ticket_accepted(struct spool *spool, struct spool_ticket *ticket);
bool __wrap_spool_ticket_accepted(struct spool *spool, struct spool_ticket *ticket);
bool __wrap_spool_ticket_accepted(struct spool *spool, struct spool_ticket *ticket)
{
    if (!__real_spool_ticket_accepted(spool, ticket)) {
        spool_ticket_forget(spool, ticket);
        spool_commit_soon(spool);
    }
    return true;
}
