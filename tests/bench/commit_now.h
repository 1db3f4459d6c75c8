/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_TESTS_BENCH_COMMIT_NOW_H
#define RUNNEL_TESTS_BENCH_COMMIT_NOW_H

#include <stdint.h>

#include "agent/spool/spool.h"

/** Commits now, and returns when SEQUENCE of the normal lane is on flash. EVENT_FD (stop.h) is the
 * caller's to wait by. */
void commit_now(struct spool *spool, int event_fd, uint64_t sequence);

#endif
