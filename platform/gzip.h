/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_PLATFORM_GZIP_H
#define RUNNEL_PLATFORM_GZIP_H

#include <stddef.h>
#include <stdint.h>

/**
 * One gzip member after the other (RFC 1952) through one compressor. What comes out is a function
 * of the bytes that went in and of how they were cut into calls: no time, no name. All memory is
 * taken by gzip_open, CONFIG_GZIP_WINDOW_BITS and CONFIG_GZIP_MEMORY_LEVEL say how much.
 * Implemented in platform/zlib/gzip.c.
 */
struct gzip;

/** E_NO_MEMORY; E_UNSUPPORTED: the library does not know the settings. */
int gzip_open(struct gzip **ret_gzip);

/** NULL is allowed. */
void gzip_close(struct gzip *gzip);

/** Begins a member, whatever became of the one before; it goes to FLUSH, piece by piece. */
void gzip_start(struct gzip *gzip, int (*flush)(void *context, const uint8_t *bytes, size_t count),
                void *context);

/** 0, or what FLUSH returned below 0, which sticks until gzip_start. */
int gzip_add(struct gzip *gzip, const uint8_t *bytes, size_t count);

/** Ends the member. As gzip_add. */
int gzip_finish(struct gzip *gzip);

/** What came out of this member so far; the compressor holds more. */
uint64_t gzip_out_bytes(const struct gzip *gzip);

/** So long at most is a member of BYTES. */
uint64_t gzip_bound_of(uint64_t bytes);

/** So long at most is this member if MORE bytes come to it before it ends. */
uint64_t gzip_bound(const struct gzip *gzip, uint64_t more);

#endif
