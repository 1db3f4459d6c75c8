/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_UPLINK_DEST_ARCHIVE_ROOM_H
#define RUNNEL_AGENT_UPLINK_DEST_ARCHIVE_ROOM_H

#include <stdint.h>

/** What the objects of one device take in an archive. ROOT is the open directory; only what has the
 *  names of object.h, below DEVICE's part of a name, is looked at. */

/** The bytes of all of them. error_sys. */
int archive_room_measure(int root, const char *device, uint64_t *ret_bytes);

/** Deletes the one with the lowest name, which is of the oldest hour, and directories that became
 *  empty by that; its bytes. E_END: there is none; error_sys. */
int archive_room_give(int root, const char *device, uint64_t *ret_bytes);

#endif
