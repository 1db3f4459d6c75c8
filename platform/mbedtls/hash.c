/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/hash.h"

#include <string.h>

#include <mbedtls/md5.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/sha256.h>
#include <mbedtls/version.h>

/* The functions that return a code lost their suffix in 3.0; 2.x still has the old void ones under
 * the short names. The codes can only tell of hardware that this project does not use. */
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
#define SHA256_START(context) mbedtls_sha256_starts((context), 0)
#define SHA256_ADD            mbedtls_sha256_update
#define SHA256_FINISH         mbedtls_sha256_finish
#define MD5_START             mbedtls_md5_starts
#define MD5_ADD               mbedtls_md5_update
#define MD5_FINISH            mbedtls_md5_finish
#else
#define SHA256_START(context) mbedtls_sha256_starts_ret((context), 0)
#define SHA256_ADD            mbedtls_sha256_update_ret
#define SHA256_FINISH         mbedtls_sha256_finish_ret
#define MD5_START             mbedtls_md5_starts_ret
#define MD5_ADD               mbedtls_md5_update_ret
#define MD5_FINISH            mbedtls_md5_finish_ret
#endif

_Static_assert(sizeof(mbedtls_sha256_context) <= sizeof(struct hash_sha256),
               "struct hash_sha256 holds any mbedTLS's context");
_Static_assert(_Alignof(mbedtls_sha256_context) <= _Alignof(struct hash_sha256),
               "struct hash_sha256 is aligned for any mbedTLS's context");

_Static_assert(sizeof(mbedtls_md5_context) <= sizeof(struct hash_md5),
               "struct hash_md5 holds any mbedTLS's context");
_Static_assert(_Alignof(mbedtls_md5_context) <= _Alignof(struct hash_md5),
               "struct hash_md5 is aligned for any mbedTLS's context");

static mbedtls_sha256_context *context_of(struct hash_sha256 *hash)
{
    return (mbedtls_sha256_context *)(void *)hash->opaque;
}

void hash_sha256_start(struct hash_sha256 *hash)
{
    memset(hash, 0, sizeof *hash);
    mbedtls_sha256_init(context_of(hash));
    (void)SHA256_START(context_of(hash));
}

void hash_sha256_add(struct hash_sha256 *hash, const void *bytes, size_t count)
{
    (void)SHA256_ADD(context_of(hash), bytes, count);
}

void hash_sha256_finish(struct hash_sha256 *hash, uint8_t ret_digest[HASH_SHA256_BYTES])
{
    (void)SHA256_FINISH(context_of(hash), ret_digest);
    mbedtls_sha256_free(context_of(hash)); /* wipes it: it may have hashed a key */
}

void hash_sha256(const void *bytes, size_t count, uint8_t ret_digest[HASH_SHA256_BYTES])
{
    struct hash_sha256 hash;
    hash_sha256_start(&hash);
    hash_sha256_add(&hash, bytes, count);
    hash_sha256_finish(&hash, ret_digest);
}

static void start_with_pad(struct hash_sha256 *hash, const uint8_t *key, size_t key_bytes,
                           uint8_t pad)
{
    uint8_t block[HASH_SHA256_BLOCK_BYTES];
    for (size_t i = 0; i < sizeof block; i++)
        block[i] = (uint8_t)((i < key_bytes ? key[i] : 0) ^ pad);
    hash_sha256_start(hash);
    hash_sha256_add(hash, block, sizeof block);
    hash_wipe(block, sizeof block);
}

void hash_hmac_sha256(const void *key, size_t key_bytes, const void *bytes, size_t count,
                      uint8_t ret_mac[HASH_SHA256_BYTES])
{
    struct hash_sha256 hash;
    uint8_t short_key[HASH_SHA256_BYTES];
    uint8_t inner[HASH_SHA256_BYTES];

    if (key_bytes > HASH_SHA256_BLOCK_BYTES) {
        hash_sha256(key, key_bytes, short_key);
        key = short_key;
        key_bytes = sizeof short_key;
    }
    start_with_pad(&hash, key, key_bytes, 0x36);
    hash_sha256_add(&hash, bytes, count);
    hash_sha256_finish(&hash, inner);

    start_with_pad(&hash, key, key_bytes, 0x5c);
    hash_sha256_add(&hash, inner, sizeof inner);
    hash_sha256_finish(&hash, ret_mac);

    hash_wipe(short_key, sizeof short_key);
    hash_wipe(inner, sizeof inner);
}

static mbedtls_md5_context *md5_of(struct hash_md5 *hash)
{
    return (mbedtls_md5_context *)(void *)hash->opaque;
}

void hash_md5_start(struct hash_md5 *hash)
{
    memset(hash, 0, sizeof *hash);
    mbedtls_md5_init(md5_of(hash));
    (void)MD5_START(md5_of(hash));
}

void hash_md5_add(struct hash_md5 *hash, const void *bytes, size_t count)
{
    (void)MD5_ADD(md5_of(hash), bytes, count);
}

void hash_md5_finish(struct hash_md5 *hash, uint8_t ret_digest[HASH_MD5_BYTES])
{
    (void)MD5_FINISH(md5_of(hash), ret_digest);
    mbedtls_md5_free(md5_of(hash));
}

void hash_md5(const void *bytes, size_t count, uint8_t ret_digest[HASH_MD5_BYTES])
{
    struct hash_md5 hash;
    hash_md5_start(&hash);
    hash_md5_add(&hash, bytes, count);
    hash_md5_finish(&hash, ret_digest);
}

void hash_wipe(void *secret, size_t count)
{
    mbedtls_platform_zeroize(secret, count);
}
