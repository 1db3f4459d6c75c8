/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_UPLINK_DEST_ARCHIVE_ROOM_H
#define RUNNEL_AGENT_UPLINK_DEST_ARCHIVE_ROOM_H

#include <stdint.h>

/** What the objects of one device take in an archive. ROOT is the open directory; only what has the
 *  names of object.h, below DEVICE's part of a name, is looked at. */

/** What FILE takes on the medium, which gives whole blocks. error_sys. */
int archive_room_taken(int file, uint64_t *ret_bytes);

/** What all of them take. error_sys. */
int archive_room_measure(int root, const char *device, uint64_t *ret_bytes);

/** Deletes those with the lowest names, which are of the oldest hours, and directories that became
 *  empty by that, until BYTES or all of them are free. error_sys. */
int archive_room_give(int root, const char *device, uint64_t bytes);

#endif
