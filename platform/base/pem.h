/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_PLATFORM_BASE_PEM_H
#define RUNNEL_PLATFORM_BASE_PEM_H

#include <stddef.h>

#include "platform/base/writer.h"

/**
 * PEM (RFC 7468) as it comes over a serial console. Pure.
 *
 * Generous about what surrounds a text: line ends of any kind, blanks and empty lines, what stands
 * before a beginning and behind an end on its line, "> " in front of each line (a shell's echo),
 * lines of any length, any text between the blocks. Strict about what is in a block.
 */
enum { PEM_WHY_BYTES = 120 };

/**
 * Writes each block "CERTIFICATE" of TEXT to OUT, in lines of 64 columns. Returns how many there
 * are; E_NOT_FOUND: none; E_SYNTAX: one of them is damaged or cut off; E_REFUSED: there is a block
 * of another kind, such as a private key. WHY then says what and in which line; nothing of a block
 * is in it. OUT's error sticks in OUT.
 */
int pem_clean_certificates(const char *text, size_t count, struct writer *out,
                           char why[PEM_WHY_BYTES]);

#endif
