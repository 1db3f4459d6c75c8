/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control/ground.h"

#include <stdio.h>

#include "platform/base/error.h"

/* Below a mount point that is empty lies another file system: its records would be hidden by the
 * mount that comes later. */
static int check_mount(const struct cfg_spool *spool, char fault[GROUND_FAULT_BYTES])
{
    bool mounted = false;
    int rc = fs_is_mount_point(spool->mount, &mounted);
    if (rc == 0 && mounted)
        return 0;
    (void)snprintf(fault, GROUND_FAULT_BYTES,
                   "spool.mount: \"%s\" %s%s; nothing is written until something is mounted there",
                   spool->mount, rc < 0 ? "cannot be looked at: " : "is not a mount point",
                   rc < 0 ? ERROR_TEXT(rc) : "");
    return E_NOT_FOUND;
}

int ground_check(const struct cfg_spool *spool, char fault[GROUND_FAULT_BYTES])
{
    char existing[FS_PATH_BYTES];
    char type[32];
    bool durable = true;
    int rc = spool->mount == NULL ? 0 : check_mount(spool, fault);
    if (rc < 0)
        return rc;
    if (fs_find_existing(spool->path, existing) < 0 ||
        fs_describe(existing, type, sizeof type, &durable) < 0)
        return 0;
    if (durable || spool->is_volatile)
        return 0;
    (void)snprintf(fault, GROUND_FAULT_BYTES,
                   "spool.path: \"%s\" is on %s, where nothing survives a power cut; put it on "
                   "flash, or write \"spool\": {\"volatile\": true} if records may be lost",
                   spool->path, type);
    return E_CONFIG;
}
