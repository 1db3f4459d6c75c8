/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_PLATFORM_HASH_H
#define RUNNEL_PLATFORM_HASH_H

#include <stddef.h>
#include <stdint.h>

/** Hashes. They cannot fail: no allocation, no device. Implemented in platform/mbedtls/hash.c. */
enum { HASH_SHA256_BYTES = 32, HASH_SHA256_BLOCK_BYTES = 64, HASH_MD5_BYTES = 16 };

/** A running SHA-256; copy it to branch off. Room for any mbedTLS's context (checked there). */
struct hash_sha256 {
    uint64_t opaque[32];
};

void hash_sha256_start(struct hash_sha256 *hash);
void hash_sha256_add(struct hash_sha256 *hash, const void *bytes, size_t count);
void hash_sha256_finish(struct hash_sha256 *hash, uint8_t ret_digest[HASH_SHA256_BYTES]);

/** SHA-256 of BYTES in one call. */
void hash_sha256(const void *bytes, size_t count, uint8_t ret_digest[HASH_SHA256_BYTES]);

/** HMAC-SHA-256 (RFC 2104). */
void hash_hmac_sha256(const void *key, size_t key_bytes, const void *bytes, size_t count,
                      uint8_t ret_mac[HASH_SHA256_BYTES]);

/** A running MD5 (RFC 1321), as the one of SHA-256. It places partition keys and ends aggregates;
 *  it protects nothing. */
struct hash_md5 {
    uint64_t opaque[16];
};

void hash_md5_start(struct hash_md5 *hash);
void hash_md5_add(struct hash_md5 *hash, const void *bytes, size_t count);
void hash_md5_finish(struct hash_md5 *hash, uint8_t ret_digest[HASH_MD5_BYTES]);

/** MD5 of BYTES in one call. */
void hash_md5(const void *bytes, size_t count, uint8_t ret_digest[HASH_MD5_BYTES]);

/** Overwrites a secret in a way that the compiler keeps. */
void hash_wipe(void *secret, size_t count);

#endif
