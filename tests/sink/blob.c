/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sink/blob.h"

#include <stdint.h>
#include <string.h>

static int sextet(char character)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = character == '\0' ? NULL : strchr(alphabet, character);
    return at == NULL ? -1 : (int)(at - alphabet);
}

/* Standard base64 with padding (RFC 4648 section 4), nothing else. Returns 0, or -1. */
static int decode(const char *text, size_t count, struct buffer *to)
{
    size_t padding = 0;
    if (count % 4 != 0)
        return -1;
    while (padding < 2 && padding < count && text[count - 1 - padding] == '=')
        padding++;
    char *out = buffer_reserve(to, count / 4 * 3);
    for (size_t i = 0; i < count; i += 4) {
        uint32_t group = 0;
        for (size_t j = i; j < i + 4; j++) {
            int value = j >= count - padding ? 0 : sextet(text[j]);
            if (value < 0)
                return -1;
            group = group << 6 | (uint32_t)value;
        }
        *out++ = (char)(group >> 16);
        *out++ = (char)(group >> 8);
        *out++ = (char)group;
    }
    to->used_bytes += count / 4 * 3 - padding;
    return 0;
}

int blob_parse(const cJSON *data, const char *place, struct buffer *to, struct refusal *refusal)
{
    if (data == NULL || cJSON_IsNull(data))
        return signature_refuse(refusal, 400, "ValidationException",
                                "1 validation error detected: Value null at '%s' failed to satisfy "
                                "constraint: Member must not be null",
                                place);
    if (!cJSON_IsString(data))
        return signature_refuse(refusal, 400, "SerializationException",
                                "Data: a value of this type can not be converted to a String");
    size_t count = strlen(data->valuestring);
    if (decode(data->valuestring, count, to) == 0)
        return 0;
    if (count % 4 != 0)
        return signature_refuse(refusal, 400, "SerializationException",
                                "'%.64s' can not be converted to a Blob: Base64 encoded length "
                                "is expected a multiple of 4 bytes but found: %zu",
                                data->valuestring, count);
    return signature_refuse(refusal, 400, "SerializationException",
                            "'%.64s' can not be converted to a Blob: Invalid Base64 character",
                            data->valuestring);
}
