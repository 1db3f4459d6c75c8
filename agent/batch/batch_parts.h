/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_BATCH_BATCH_PARTS_H
#define RUNNEL_AGENT_BATCH_BATCH_PARTS_H

#include "agent/batch/batch.h"

/* What a route asks for; constantly false where Kconfig left it out, so that the compiler, also one
 * that does not optimise, drops what only this leads to. To stand first in a condition. */
#ifdef CONFIG_GZIP
#define BATCH_HAS_GZIP true
#else
#define BATCH_HAS_GZIP false
#endif
#ifdef CONFIG_PACK_KPL
#define BATCH_HAS_KPL true
#else
#define BATCH_HAS_KPL false
#endif
#ifdef CONFIG_FORMAT_SENML
#define BATCH_HAS_SENML true
#else
#define BATCH_HAS_SENML false
#endif
#define BATCH_GZIP_ENTRY(options)   (BATCH_HAS_GZIP && (options)->gzip_entry)
#define BATCH_GZIP_BODY(options)    (BATCH_HAS_GZIP && (options)->gzip_body)
#define BATCH_KPL(options)          (BATCH_HAS_KPL && (options)->pack == BATCH_PACK_KPL)
#define BATCH_SENML_WANTED(options) (BATCH_HAS_SENML && (options)->format == BATCH_SENML)

/* What the files of a batch share. GAP is NULL where the record in hand, batch->record, is meant.
 */

/* ---- batch_body.c: where the bytes go ---- */

/** Begins the body: into the hash if OUT is NULL, else into OUT. */
void batch_body_start(struct batch *batch, struct writer *out);

/** Ends it. 0, or the first error of all that was written. */
int batch_body_end(struct batch *batch);

/* ---- batch_entry.c: what a body is made of ---- */

/** How long the record is as the destination gets it, before packing. 0; E_DAMAGED: it cannot be
 *  rendered; the spool's errors. */
int batch_entry_measure(struct batch *batch, const struct spool_gap *gap, uint64_t *ret_bytes);

/** Where what was measured to have BYTES goes: on into the open entry, or into a new one. 0;
 *  E_TOO_BIG: no entry may be so large as batch->entry.bytes says; E_FULL: the batch gets too large
 * with it. */
int batch_entry_fit(struct batch *batch, const struct spool_gap *gap, uint64_t bytes,
                    uint64_t bytes_max);

/** What the frame takes of the limits' bytes. */
uint64_t batch_entry_frame_bytes(struct batch *batch);

/** Begins an entry for the record, and ends the one before. */
void batch_entry_start(struct batch *batch, const struct spool_gap *gap);

/** Puts what was measured last into the open entry. 0; E_CHANGED: it is not the same any more; the
 *  errors of the spool and of the body. */
int batch_entry_put(struct batch *batch, const struct spool_gap *gap, uint64_t bytes);

/** Ends the open entry, if there is one. */
void batch_entry_end(struct batch *batch);

/* ---- batch_take.c: which records ---- */

/** Reads on from where batch->reader is, past what is aside. As spool_reader_next, without
 *  E_DAMAGED: what the spool passes over as damaged is its to account for. */
int batch_take_read(struct batch *batch, uint64_t *ret_previous);

/** As batch_has_backlog. */
bool batch_take_has_backlog(struct batch *batch);

/** Takes what there is for a build: 0, and E_END if that is nothing; see batch_build. */
int batch_take(struct batch *batch, size_t records_max, uint64_t bytes_max);

#endif
