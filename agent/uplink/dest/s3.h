/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_UPLINK_DEST_S3_H
#define RUNNEL_AGENT_UPLINK_DEST_S3_H

#include "agent/uplink/dest/dest.h"

/**
 * Amazon S3: an object per batch by PutObject, JSON lines under the name that object.h gives.
 *
 * If-None-Match has an object made, never replaced. 412 then means that there is one of this name;
 * since the name has the hash of the content, it is this one, stored by a request whose reply was
 * lost. A bucket that is in another region says in which, and the next request goes there.
 *
 * Source: Amazon S3 API Reference, PutObject and "Error responses"; User Guide, "Making requests:
 * redirection".
 */

/** Opens the destination of options->s3. E_INVALID: no bucket, device or region; E_TOO_BIG: bucket
 *  or prefix; E_NO_MEMORY. */
int s3_open(const struct dest_options *options, struct dest **ret_dest);

#endif
