/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_UPLINK_DEST_ARCHIVE_H
#define RUNNEL_AGENT_UPLINK_DEST_ARCHIVE_H

#include "agent/uplink/dest/dest.h"

/**
 * A directory: the objects that S3 would get, as files under the names that object.h gives. Each is
 * written under another name, synced, renamed and its directory synced before the batch counts as
 * delivered.
 *
 * The medium may vanish and come back. The directory itself is never made: where it is not there,
 * there is no medium, and nothing is written into the mount point that is left. With a "mount",
 * something has to be mounted there as well, and the directory has to be on it.
 *
 * When this device's objects have more than size_bytes with the new one, the oldest are deleted
 * first. Nothing else in the directory is touched.
 */

/** Opens the destination of options->archive. E_INVALID: no path, size or device; E_NO_MEMORY. */
int archive_open(const struct dest_options *options, struct dest **ret_dest);

#endif
