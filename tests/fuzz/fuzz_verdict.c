/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "agent/uplink/verdict.h"
#include "platform/base/error.h"
#include "tests/fuzz/fuzz.h"

enum { TEXT_BYTES = 256 };

/* A text of the input, up to its NUL; the rest stays for the next. */
static void take_text(const uint8_t **bytes, size_t *count, char text[TEXT_BYTES])
{
    size_t used = 0;
    while (used < *count && (*bytes)[used] != '\0')
        used++;
    size_t kept = used < TEXT_BYTES - 1 ? used : TEXT_BYTES - 1;
    if (kept > 0)
        memcpy(text, *bytes, kept);
    text[kept] = '\0';
    used += used < *count;
    *bytes += used;
    *count -= used;
}

/* Data goes only where the destination understood a whole reply, and nothing that is said to a
 * whole request drops any; where it is one object, none of its records is looked for either. */
static void check_request(const struct verdict_question *question)
{
    enum verdict verdict = verdict_of_request(question);
    bool may_deliver = question->error == E_OK && question->understood;
    if ((verdict == VERDICT_DELIVERED) != may_deliver)
        abort();
    if (verdict == VERDICT_RETRY_RECORD || (verdict == VERDICT_BISECT && question->whole))
        abort();
    const char *remedy = verdict_remedy(question);
    if (remedy != NULL && remedy[0] == '\0')
        abort();
}

/* Three bytes for error and status, one of flags, then code and message, each to its NUL. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static const int errors[] = {E_OK, E_OK, E_OK, E_CLOSED, E_TIMEOUT, E_CERTIFICATE, E_NAME};
    char code[TEXT_BYTES], message[TEXT_BYTES];
    if (count < 4)
        return 0;
    struct verdict_question question = {.error =
                                            errors[bytes[0] % (sizeof errors / sizeof errors[0])],
                                        .status = bytes[1] << 8 | bytes[2],
                                        .understood = (bytes[3] & 1) != 0,
                                        .skewed = (bytes[3] & 2) != 0,
                                        .files_unfit = (bytes[3] & 4) != 0,
                                        .otherwise = (bytes[3] & 8) != 0,
                                        .whole = (bytes[3] & 16) != 0,
                                        .code = code,
                                        .message = message};
    bytes += 4;
    count -= 4;
    take_text(&bytes, &count, code);
    take_text(&bytes, &count, message);
    check_request(&question);
    int64_t wall_ms = -1;
    if (verdict_server_time(message, &wall_ms) != (wall_ms != -1))
        abort(); /* it is filled if and only if there is one, of this century */
    enum verdict verdict = verdict_of_record(code);
    if (verdict == VERDICT_DELIVERED || verdict == VERDICT_BISECT)
        abort();
    return 0;
}
