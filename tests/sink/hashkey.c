/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sink/hashkey.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mbedtls/md.h>

struct hashkey hashkey_of(const void *bytes, size_t count)
{
    struct hashkey key;
    if (mbedtls_md(mbedtls_md_info_from_type(MBEDTLS_MD_MD5), bytes, count, key.bytes) != 0) {
        fputs("sink: this mbedTLS has no MD5, which places the records\n", stderr);
        exit(1);
    }
    return key;
}

/* key = key * factor + summand; returns what is carried out of the highest byte. */
static unsigned multiply_add(struct hashkey *key, unsigned factor, unsigned summand)
{
    uint32_t carry = summand;
    for (int i = 15; i >= 0; i--) {
        carry += (uint32_t)key->bytes[i] * factor;
        key->bytes[i] = (unsigned char)carry;
        carry >>= 8;
    }
    return carry;
}

int hashkey_parse(const char *text, struct hashkey *ret_key)
{
    struct hashkey key = {{0}};
    if (text[0] == '\0' || (text[0] == '0' && text[1] != '\0'))
        return -1;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return -1;
        if (multiply_add(&key, 10, (unsigned)(*text - '0')) != 0)
            return -1;
    }
    *ret_key = key;
    return 0;
}

struct hashkey hashkey_start(unsigned index, unsigned count)
{
    /* Long division of 2^128, whose leading digit to base 256 is 1, followed by 16 zeros. */
    struct hashkey start = {{0}};
    if (count == 1)
        return start;
    uint32_t rest = 1;
    for (int i = 0; i < 16; i++) {
        rest <<= 8;
        start.bytes[i] = (unsigned char)(rest / count);
        rest %= count;
    }
    multiply_add(&start, index, 0);
    return start;
}
