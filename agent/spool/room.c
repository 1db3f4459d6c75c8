/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/spool/room.h"

uint64_t room_pages(uint64_t total_pages, uint64_t touched_pages, uint64_t page_bytes,
                    uint64_t free_bytes)
{
    uint64_t more = free_bytes > ROOM_RESERVE_BYTES ? free_bytes - ROOM_RESERVE_BYTES : 0;
    uint64_t pages = touched_pages + more / page_bytes;
    return pages < total_pages ? pages : total_pages;
}
