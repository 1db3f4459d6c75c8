/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "drivers/w1/therm.h"
#include "tests/fuzz/fuzz.h"

/* What is believed lies in the range of the chip, and its checksum, computed once more and byte by
 * byte from the other end of the polynomial, is right. */

static uint8_t reflect(uint8_t byte)
{
    uint8_t reflected = 0;
    for (int bit = 0; bit < 8; bit++)
        reflected = (uint8_t)(reflected << 1 | (byte >> bit & 1));
    return reflected;
}

static uint8_t checksum(const uint8_t *bytes, size_t count)
{
    uint8_t crc = 0;
    for (size_t i = 0; i < count; i++) {
        crc ^= reflect(bytes[i]);
        for (int bit = 0; bit < 8; bit++)
            crc = (uint8_t)((crc & 0x80) != 0 ? crc << 1 ^ 0x31 : crc << 1);
    }
    return reflect(crc);
}

static void check(const char *id, const struct therm_reading *reading, int32_t previous)
{
    static const uint8_t zeros[THERM_SCRATCHPAD_BYTES];
    const char *reason = NULL;
    if (therm_judge(id, reading, previous, &reason) < 0) {
        if (reason == NULL)
            abort();
        return;
    }
    const uint8_t *scratchpad = reading->scratchpad;
    if (!reading->crc_good || memcmp(scratchpad, zeros, sizeof zeros) == 0 ||
        checksum(scratchpad, 8) != scratchpad[8])
        abort();
    int32_t highest = memcmp(id, "3b", 2) == 0 ? 1800000 : 125000;
    if (reading->milli_celsius > highest || reading->milli_celsius < -270000)
        abort();
    if (reading->milli_celsius == 85000 && previous == THERM_NONE && scratchpad[6] == 0x0c &&
        memcmp(id, "28", 2) == 0)
        abort();
}

/* The first line is an id, the rest what the kernel says; or else the bytes of a scratchpad. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static const char *const ids[] = {"10-000802824e58", "28-000005e2fdc3", "3b-0000000a1b2c"};
    struct therm_reading reading = {.crc_good = true};
    const char *text = (const char *)bytes;
    const uint8_t *end = memchr(bytes, '\n', count);
    size_t id_bytes = end != NULL ? (size_t)(end - bytes) : count;
    size_t skipped = end != NULL ? id_bytes + 1 : count;
    bool is_id = therm_is_id(text, id_bytes);
    if (is_id && therm_parse(text + skipped, count - skipped, &reading) == 0)
        check(text, &reading, THERM_NONE);
    if (count < THERM_SCRATCHPAD_BYTES + sizeof(int32_t))
        return 0;
    memcpy(reading.scratchpad, bytes, THERM_SCRATCHPAD_BYTES);
    memcpy(&reading.milli_celsius, bytes + THERM_SCRATCHPAD_BYTES, sizeof(int32_t));
    reading.crc_good = true;
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
        check(ids[i], &reading, THERM_NONE);
    reading.scratchpad[8] = checksum(reading.scratchpad, 8);
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
        check(ids[i], &reading, (int32_t)bytes[0] * 1000);
    return 0;
}
