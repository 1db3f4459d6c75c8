/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_PLATFORM_BASE_CRC32C_H
#define RUNNEL_PLATFORM_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/**
 * CRC-32C (Castagnoli), RFC 3720 appendix B.4: crc32c(0, "123456789", 9) is 0xe3069283.
 * CRC is the value for the bytes before (0 at the start), so that it can be taken in pieces.
 */
uint32_t crc32c(uint32_t crc, const void *bytes, size_t count);

/** The same as it is on CPUs that have no instruction for it (SSE4.2, ARMv8's CRC32). */
uint32_t crc32c_by_table(uint32_t crc, const void *bytes, size_t count);

#endif
