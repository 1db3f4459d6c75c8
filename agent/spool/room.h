/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_SPOOL_ROOM_H
#define RUNNEL_AGENT_SPOOL_ROOM_H

#include <stdint.h>

/** How much of a file can be used. Pure. */
enum { ROOM_RESERVE_BYTES = 1024 * 1024 };

/**
 * How many of TOTAL_PAGES a file has on a file system that keeps no room for it: those TOUCHED that
 * lie there already, and what FREE_BYTES hold beside the reserve, which is for the file system's
 * own needs and for everybody else.
 */
uint64_t room_pages(uint64_t total_pages, uint64_t touched_pages, uint64_t page_bytes,
                    uint64_t free_bytes);

#endif
