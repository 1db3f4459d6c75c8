/* SPDX-License-Identifier: Apache-2.0 */
/* A planted bug: a file that was set aside goes when its blocks are in RAM, before they are
 * committed. */
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "agent/spool/spool_state.h"
#include "platform/fs.h"

int __real_spool_head_import_locked(struct spool *spool, const struct head_import *group);
int __wrap_spool_head_import_locked(struct spool *spool, const struct head_import *group);
int __wrap_spool_head_import_locked(struct spool *spool, const struct head_import *group)
{
    char path[FS_PATH_BYTES];
    int rc = __real_spool_head_import_locked(spool, group);
    if (rc == 0 && spool_aside_name(spool, 1, path) == 0 && unlink(path) == 0)
        (void)fs_sync_directory(spool->options.path);
    return rc;
}
