/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/fake_files.h"
#include "tests/fuzz/fuzz.h"

enum { WITH_INTERFACE = 1, WITH_MORE = 2, ROUNDS = 2 };

/* The first byte says whether an interface is named, and whether all there is is asked for. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static const struct driver_setting more[] = {
        {"also[0]", "cpu"},        {"also[1]", "pressure"},   {"also[2]", "swap"},
        {"also[3]", "files"},      {"blocks[0]", "mmcblk0"},  {"interfaces[0]", "eth0"},
        {"disks[0].name", "data"}, {"disks[0].path", "/data"}};
    enum { MORE = sizeof more / sizeof more[0] };
    struct driver_setting settings[MORE + 1];
    size_t setting_count = 0;
    char text[FAKE_FILES_TEXT_BYTES];
    if (count == 0)
        return 0;
    fake_files_begin(bytes + 1, count - 1);
    for (size_t i = 0; i < MORE && (bytes[0] & WITH_MORE) != 0; i++)
        settings[setting_count++] = more[i];
    if ((bytes[0] & WITH_INTERFACE) != 0)
        settings[setting_count++] = (struct driver_setting){"interface", fake_files_text(text)};
    fake_files_drive(driver_find("proc"), settings, setting_count, ROUNDS);
    fake_files_end();
    return 0;
}
