/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_PLATFORM_BASE_ERROR_H
#define RUNNEL_PLATFORM_BASE_ERROR_H

#include <stddef.h>

/**
 * Every function that can fail returns an int: 0 or a positive count on success, a negative code
 * from errors.def on failure. Out-parameters (named ret_*) are untouched on failure. Codes of the
 * operating system and of the libraries keep their number in ranges of their own, so that a
 * message can always name the first cause.
 */
enum error {
    E_OK = 0,
#define ERROR(name, number, text) name = -(number),
#include "platform/base/errors.def"
#undef ERROR
};

enum { ERROR_TEXT_BYTES = 96 };

/** The code for the operating system's ERRNO (> 0). */
int error_sys(int errnum);

/** The errno inside CODE, or 0 if CODE is no error of the operating system. */
int error_errno(int code);

/** The code for mbedTLS's CODE (< 0). */
int error_tls(int code);

/** mbedTLS's own (negative) number inside CODE, or 0 if CODE is none of its. */
int error_tls_code(int code);

/** Writes what CODE means into TEXT (at most TEXT_BYTES, terminated) and returns TEXT. */
const char *error_text(int code, char *text, size_t text_bytes);

/** error_text into a temporary that lives until the end of the enclosing block. */
#define ERROR_TEXT(code) error_text((code), (char[ERROR_TEXT_BYTES]){0}, ERROR_TEXT_BYTES)

#endif
