/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/fake_files.h"
#include "tests/fuzz/fuzz.h"

enum { ROUNDS = 2 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    fake_files_begin(bytes, count);
    fake_files_drive(driver_find("self"), NULL, 0, ROUNDS);
    fake_files_end();
    return 0;
}
