/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/agent_state.h"
#include "platform/base/error.h"

/* The spool has made nothing but a lock there. */
static void remove_directory(const struct agent_scratch *scratch)
{
    char path[sizeof scratch->directory + 16];
    (void)snprintf(path, sizeof path, "%s/lock", scratch->directory);
    (void)unlink(path);
    (void)rmdir(scratch->directory);
}

const char *agent_scratch_parent(void)
{
    const char *temporary = getenv("TMPDIR");
    return temporary != NULL ? temporary : "/tmp";
}

int agent_scratch_open(struct agent_scratch *ret_scratch, const struct spool_options *options)
{
    char fault[SPOOL_FAULT_BYTES];
    struct spool_options own = *options;
    *ret_scratch = (struct agent_scratch){.spool = NULL};
    int count = snprintf(ret_scratch->directory, sizeof ret_scratch->directory, "%s/runnel-XXXXXX",
                         agent_scratch_parent());
    if (count >= (int)sizeof ret_scratch->directory)
        return E_TOO_BIG;
    if (mkdtemp(ret_scratch->directory) == NULL)
        return error_sys(errno);
    own.path = ret_scratch->directory;
    int rc = spool_open(&own, fault, &ret_scratch->spool);
    if (rc < 0)
        remove_directory(ret_scratch);
    return rc;
}

void agent_scratch_close(struct agent_scratch *scratch)
{
    if (scratch->spool == NULL)
        return;
    spool_close(scratch->spool);
    scratch->spool = NULL;
    remove_directory(scratch);
}
