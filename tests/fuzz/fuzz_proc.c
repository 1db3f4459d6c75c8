/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/fake_files.h"
#include "tests/fuzz/fuzz.h"

enum { WITH_INTERFACE = 1, ROUNDS = 2 };

/* The first byte says whether an interface is named. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    struct driver_setting setting = {.key = "interface"};
    char text[FAKE_FILES_TEXT_BYTES];
    if (count == 0)
        return 0;
    bool named = (bytes[0] & WITH_INTERFACE) != 0;
    fake_files_begin(bytes + 1, count - 1);
    if (named)
        setting.value = fake_files_text(text);
    fake_files_drive(driver_find("proc"), &setting, named ? 1 : 0, ROUNDS);
    fake_files_end();
    return 0;
}
