/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_SPOOL_STORE_H
#define RUNNEL_AGENT_SPOOL_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/spool/lane.h"
#include "agent/spool/verify.h"
#include "platform/stop.h"

/**
 * The file: ordered byte strings in LMDB, changed in transactions that survive a power cut. The
 * only includer of <lmdb.h>. FORMAT.md lists the tables.
 *
 * LMDB's rules as they are kept here (lmdb.h, "Caveats"): one open per process, guarded by the lock
 * of the state directory; no transaction is held across I/O to the network; one writer thread;
 * never NOSYNC, NOMETASYNC, WRITEMAP; byte-string keys, since INTEGERKEY compares only the low
 * half of 8-byte keys on 32-bit machines.
 */
struct store;

enum store_table {
    STORE_BLOCKS = 0x10,     /* lane, first sequence, fragment -> block */
    STORE_STATE = 0x20,      /* -> format, spool id, reservation, counters */
    STORE_CURSORS = 0x21,    /* route, lane -> cursor */
    STORE_ROUTES = 0x22,     /* route -> name, counters */
    STORE_DICTIONARY = 0x30, /* sensor -> definition */
    STORE_BOOTS = 0x31,      /* number -> boot id, device, points (boot clock, offset) */
    STORE_ORIGINS = 0x32,    /* sensor name -> device, inode, offset of a followed file */
    STORE_GAPS = 0x40,       /* route, lane, first -> last, count, reason */
    STORE_DEAD = 0x41,       /* route, sequence, fragment -> reason, time, block */
    STORE_EVENTS = 0x50,     /* number -> time, text */
};

/** A key: the table, then what names the entry in it; compared by memcmp. */
enum { STORE_KEY_BYTES = 64, STORE_BLOCK_KEY_BYTES = 12 };
struct store_key {
    size_t count;
    uint8_t bytes[STORE_KEY_BYTES];
};

struct store_key store_key_block(enum lane lane, uint64_t first_sequence, uint16_t fragment);
struct store_key store_key_number(enum store_table table, uint32_t number);
struct store_key store_key_pair(enum store_table table, uint8_t first, uint8_t second);
struct store_key store_key_name(enum store_table table, const char *name);

/** The parts of a block's key; false if KEY is none of LANE. */
bool store_key_is_block(const struct store_key *key, enum lane lane, uint64_t *ret_first_sequence,
                        uint16_t *ret_fragment);

/**
 * Makes PATH with SIZE_BYTES, zero-filled, and STATE as its only entry: under another name, synced,
 * then renamed, because LMDB's own creation does not survive a power cut. E_NO_MEMORY, error_sys,
 * E_STOP, LMDB's.
 */
int store_create(const char *path, uint64_t size_bytes, const void *state, size_t state_bytes,
                 const struct stop *stop);

/**
 * Makes the file PATH, which nobody has open, as large as SIZE_BYTES with zeros behind its end, and
 * syncs it. If that fails it is as large as before; also while it lasts the file can be opened.
 * E_NO_MEMORY, error_sys.
 */
int store_grow(const char *path, uint64_t size_bytes);

/** Removes what an interrupted store_create or store_shrink of PATH left. */
void store_forget_copy(const char *path);

/** verify_pages of PATH. E_NOT_FOUND if there is no file. */
int store_verify(const char *path, char fault[VERIFY_FAULT_BYTES]);

/** Opens PATH, SIZE_BYTES of it or all if it is larger. E_NOT_FOUND if there is no file; E_VERSION
 * for another word size; E_DAMAGED if it is no LMDB file or shorter than it says; error_sys;
 * LMDB's. */
int store_open(const char *path, uint64_t size_bytes, struct store **ret_store);

void store_close(struct store *store); /* NULL is allowed */

/** Closes and opens again after an error that LMDB does not survive. Waits for readers to finish.
 *  0 also if it can only be read from now on: then store_begin_write says why. */
int store_reopen(struct store *store);

/** Makes the file in use as large as SIZE_BYTES. For the thread that commits, between two commits.
 *  E_NO_MEMORY, error_sys: it is as large as before; LMDB's, as of store_reopen. */
int store_stretch(struct store *store, uint64_t size_bytes);

/**
 * Copies all entries into a new file of SIZE_BYTES that takes the place of the old one; a power cut
 * leaves the one or the other. For the thread that commits, between two commits. E_FULL: they do
 * not fit; E_STOP; error_sys; LMDB's: the old one is still in use. If the new one cannot be opened,
 * as after a failed commit, the next transaction says so.
 */
int store_shrink(struct store *store, uint64_t size_bytes, const struct stop *stop);

struct store_use {
    uint64_t page_bytes;
    uint64_t
        used_pages; /* branches, leaves and overflow pages; what is free to reuse is not counted */
    uint64_t total_pages;
    uint64_t touched_pages; /* that hold something, or did since the file was made */
};

/** Transactions. A reading one may be in any thread, the writing one in the commit thread alone. */
struct store_txn;
int store_begin_read(struct store *store, struct store_txn **ret_txn);
int store_begin_write(struct store *store, struct store_txn **ret_txn);

/** Ends it and frees it. After a failed commit nothing of it counts and the caller calls
 *  store_reopen before the next. EROFS also where the file system became read-only meanwhile. */
int store_commit(struct store_txn *txn);
void store_abort(struct store_txn *txn); /* also ends reading; NULL is allowed */

/** Values lie in the map and are valid until the transaction changes something or ends. */
int store_get(struct store_txn *txn, const struct store_key *key, const uint8_t **ret_value,
              size_t *ret_bytes); /* E_NOT_FOUND */
int store_put(struct store_txn *txn, const struct store_key *key, const void *value, size_t bytes);

/** 0 also if it is not there. E_DAMAGED, also of store_put, where the header of the value's pages
 * is damaged: LMDB would give other pages free. */
int store_delete(struct store_txn *txn, const struct store_key *key);

/** The entry at KEY or the next one behind it; E_NOT_FOUND at the end of the file. */
int store_at_or_after(struct store_txn *txn, const struct store_key *key, struct store_key *ret_key,
                      const uint8_t **ret_value, size_t *ret_bytes);

/** The entry before KEY; E_NOT_FOUND at the beginning. */
int store_before(struct store_txn *txn, const struct store_key *key, struct store_key *ret_key,
                 const uint8_t **ret_value, size_t *ret_bytes);

int store_get_use(struct store_txn *txn, struct store_use *ret_use);

/** Gives the page behind VALUE back to the system: what was read once is not read again soon. */
void store_release_page(const uint8_t *value);

#endif
