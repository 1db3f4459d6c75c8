/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_TESTS_FUZZ_FAKE_FILES_H
#define RUNNEL_TESTS_FUZZ_FAKE_FILES_H

#include <stddef.h>
#include <stdint.h>

#include "drivers/driver.h"

/**
 * A kernel whose answers are the input of a fuzz target, for drivers that read small files: each
 * fs_read_file, sysfs_at_read, sysfs_at_has (there if not empty), sysfs_at_write, readlink and
 * readdir of the driver gets the input's next piece, whatever it asked for. A piece ends with the
 * byte 0xff; one that begins with '!' is an error, whose errno is the byte behind it; an empty one
 * ends a directory. Behind the last piece nothing is there.
 *
 * Linked with --wrap for opendir, readdir, closedir, readlink, statvfs, fs_read_file and what is in
 * sysfs_at.h, which are themselves again between fake_files_end and fake_files_begin.
 */
void fake_files_begin(const uint8_t *bytes, size_t count);
void fake_files_end(void);

/** The next piece as a text, for a setting. */
enum { FAKE_FILES_TEXT_BYTES = 128 };
const char *fake_files_text(char text[FAKE_FILES_TEXT_BYTES]);

/**
 * Opens DRIVER over these files as its SETTINGS say, if they pass its own check, has it fetch and
 * read ROUNDS times, closes it, and aborts where it breaks the contract of driver.h.
 */
void fake_files_drive(const struct driver *driver, const struct driver_setting *settings,
                      size_t setting_count, unsigned rounds);

#endif
