/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "platform/base/error.h"
#include "platform/base/pem.h"
#include "tests/fuzz/fuzz.h"

enum { OUT_BYTES = 16384, COLUMNS = 64 };

/* Made of whole lines, none too long, of characters that a console shows. */
static void check_lines(const char *text, size_t count)
{
    size_t column = 0;
    for (size_t i = 0; i < count; i++) {
        column = text[i] == '\n' ? 0 : column + 1;
        if (column > COLUMNS || (text[i] != '\n' && (text[i] < ' ' || text[i] > '~')))
            abort();
    }
    if (column != 0)
        abort();
}

static int clean(const char *text, size_t count, char cleaned[OUT_BYTES], size_t *ret_count)
{
    char why[PEM_WHY_BYTES] = "";
    struct writer out;
    writer_to_memory(&out, cleaned, OUT_BYTES);
    int rc = pem_clean_certificates(text, count, &out, why);
    if ((rc <= 0) == (why[0] == '\0'))
        abort();
    *ret_count = out.used_bytes;
    return out.error < 0 ? out.error : rc;
}

/* What is clean stays as it is. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static char first[OUT_BYTES], second[OUT_BYTES];
    size_t first_count, second_count;
    int found = clean((const char *)bytes, count, first, &first_count);
    if (found <= 0)
        return 0;
    check_lines(first, first_count);
    if (clean(first, first_count, second, &second_count) != found || second_count != first_count ||
        memcmp(first, second, first_count) != 0)
        abort();
    return 0;
}
