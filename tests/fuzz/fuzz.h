/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_TESTS_FUZZ_FUZZ_H
#define RUNNEL_TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** What every target defines: takes any bytes, aborts if something is wrong, returns 0. libFuzzer
 *  calls it with inputs that it invents, replay.c with the files of the corpus. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

#endif
