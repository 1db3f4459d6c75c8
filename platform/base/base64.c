/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/base/base64.h"

enum { CHUNK_GROUPS = 64 };

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_start(struct base64 *base64)
{
    base64->tail_bytes = 0;
}

static void put_group(char *to, uint8_t a, uint8_t b, uint8_t c)
{
    to[0] = alphabet[a >> 2];
    to[1] = alphabet[(a & 3) << 4 | b >> 4];
    to[2] = alphabet[(b & 15) << 2 | c >> 6];
    to[3] = alphabet[c & 63];
}

static void add_groups(const uint8_t *bytes, size_t groups, struct writer *out)
{
    char text[CHUNK_GROUPS * 4];
    while (groups > 0) {
        size_t take = groups < CHUNK_GROUPS ? groups : CHUNK_GROUPS;
        for (size_t i = 0; i < take; i++, bytes += 3)
            put_group(text + 4 * i, bytes[0], bytes[1], bytes[2]);
        writer_bytes(out, text, take * 4);
        groups -= take;
    }
}

void base64_add(struct base64 *base64, const uint8_t *bytes, size_t count, struct writer *out)
{
    uint8_t group[3] = {base64->tail[0], base64->tail[1], 0};
    size_t held = base64->tail_bytes;
    if (held > 0) {
        while (held < sizeof group && count > 0) {
            group[held++] = *bytes++;
            count--;
        }
        if (held == sizeof group) {
            add_groups(group, 1, out);
            held = 0;
        }
    }
    if (held == 0) {
        size_t whole = count / 3 * 3;
        add_groups(bytes, count / 3, out);
        for (; whole < count; whole++)
            group[held++] = bytes[whole];
    }
    base64->tail[0] = group[0];
    base64->tail[1] = group[1];
    base64->tail_bytes = held;
}

void base64_finish(struct base64 *base64, struct writer *out)
{
    char text[4];
    size_t held = base64->tail_bytes;
    base64->tail_bytes = 0;
    if (held == 0)
        return;
    put_group(text, base64->tail[0], held == 2 ? base64->tail[1] : 0, 0);
    text[3] = '=';
    if (held == 1)
        text[2] = '=';
    writer_bytes(out, text, sizeof text);
}
