/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_PLATFORM_BASE_UTF8_H
#define RUNNEL_PLATFORM_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/** The bytes of the character that begins at BYTES[0..COUNT), COUNT > 0; 0 if no valid one does:
 *  no surrogates, no overlong forms (RFC 3629 section 4). Pure. */
size_t utf8_character_bytes(const uint8_t *bytes, size_t count);

#endif
