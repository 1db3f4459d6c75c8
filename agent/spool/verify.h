/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_SPOOL_VERIFY_H
#define RUNNEL_AGENT_SPOOL_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * Whether LMDB can be let near a file. It trusts its pages: a damaged one ends in SIGBUS, SIGSEGV
 * or abort(), and a damaged page count at a delete frees healthy pages. So everything that it
 * follows is looked at first, through a reading function and never through the map: both metas,
 * every branch and leaf, the list of free pages and the header of every overflow page. Blocks have
 * checksums of their own and are checked when they are read.
 *
 * Data format 1 of LMDB 0.9 (lmdb.h, MDB_DATA_VERSION; mdb.c, "Internals") in this program's word
 * size and byte order. Pure.
 */
enum { VERIFY_FAULT_BYTES = 96, VERIFY_VALUE_BYTES = 80 };

struct verify_file {
    /** COUNT bytes at OFFSET, all of them. 0, or an error that verify_pages returns. */
    int (*read)(void *context, uint64_t offset, void *buffer, size_t count);
    void *context;
    uint64_t bytes; /* the length of the file */

    /** Whether the entry can be right: called for each in order. Its value has COUNT bytes, of
     * which all can be read, or the first VERIFY_VALUE_BYTES. May be NULL. */
    bool (*takes)(void *context, const uint8_t *key, size_t key_bytes, const uint8_t *value,
                  size_t count);
    void *takes_context;
};

/**
 * 0; E_DAMAGED, and FAULT says where and what; E_VERSION: another word size, byte order or format
 * of LMDB; E_NO_MEMORY; the errors of read.
 */
int verify_pages(const struct verify_file *file, char fault[VERIFY_FAULT_BYTES]);

/** Whether the value at VALUE, of BYTES, lies in overflow pages of PAGE_BYTES, and their header
 * says something else than that. */
bool verify_value_is_bad(const uint8_t *value, size_t bytes, size_t page_bytes);

#endif
