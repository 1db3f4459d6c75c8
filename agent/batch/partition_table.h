/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_BATCH_PARTITION_TABLE_H
#define RUNNEL_AGENT_BATCH_PARTITION_TABLE_H

#include <stddef.h>
#include <stdint.h>

/**
 * The keys of `even`, whose MD5 lie at equal distances (tests/tools/partition_table.py). In
 * programs with CONFIG_PARTITION_EVEN. Pure.
 */
enum { PARTITION_TABLE_KEYS = 4096, PARTITION_TABLE_KEY_BYTES = 6 };

/** The key of number PLACE, counted round, with a NUL. Returns its length. */
size_t partition_table_key(uint32_t place, char ret_key[PARTITION_TABLE_KEY_BYTES]);

#endif
