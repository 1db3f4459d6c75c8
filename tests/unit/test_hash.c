/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "platform/base/bytes.h"
#include "platform/hash.h"

static void expect(const uint8_t *digest, size_t count, const char *hex)
{
    char text[2 * HASH_SHA256_BYTES + 1];
    bytes_put_hex(text, digest, count);
    assert_string_equal(text, hex);
}

/* FIPS 180-2 appendix B. */
static void test_sha256(void **state)
{
    uint8_t digest[HASH_SHA256_BYTES];
    (void)state;
    hash_sha256("", 0, digest);
    expect(digest, sizeof digest,
           "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    hash_sha256("abc", 3, digest);
    expect(digest, sizeof digest,
           "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    const char *two_blocks = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    hash_sha256(two_blocks, strlen(two_blocks), digest);
    expect(digest, sizeof digest,
           "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

static void test_sha256_in_pieces(void **state)
{
    uint8_t text[150];
    uint8_t whole[HASH_SHA256_BYTES];
    (void)state;
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (uint8_t)(i * 7);
    hash_sha256(text, sizeof text, whole);
    for (size_t first = 0; first <= sizeof text; first++) {
        struct hash_sha256 hash;
        uint8_t digest[HASH_SHA256_BYTES];
        hash_sha256_start(&hash);
        hash_sha256_add(&hash, text, first);
        hash_sha256_add(&hash, text + first, sizeof text - first);
        hash_sha256_finish(&hash, digest);
        assert_memory_equal(digest, whole, sizeof whole);
    }
}

/* A copy goes its own way, and finishing one leaves the other as it was. */
static void test_sha256_copies(void **state)
{
    uint8_t digest[HASH_SHA256_BYTES];
    struct hash_sha256 *original = malloc(sizeof *original);
    (void)state;
    assert_non_null(original);
    hash_sha256_start(original);
    hash_sha256_add(original, "a", 1);
    struct hash_sha256 copy = *original;
    hash_sha256_add(original, "zzz", 3);
    hash_sha256_finish(original, digest);
    free(original);
    hash_sha256_add(&copy, "bc", 2);
    hash_sha256_finish(&copy, digest);
    expect(digest, sizeof digest,
           "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

/* RFC 4231: test cases 1, 2, 6 (a key longer than a block) and 3. */
static void test_hmac(void **state)
{
    uint8_t key[131];
    uint8_t bytes[50];
    uint8_t mac[HASH_SHA256_BYTES];
    const char *text = "Test Using Larger Than Block-Size Key - Hash Key First";
    (void)state;
    memset(key, 0x0b, 20);
    hash_hmac_sha256(key, 20, "Hi There", 8, mac);
    expect(mac, sizeof mac, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    hash_hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, mac);
    expect(mac, sizeof mac, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof key);
    hash_hmac_sha256(key, sizeof key, text, strlen(text), mac);
    expect(mac, sizeof mac, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    memset(bytes, 0xdd, sizeof bytes);
    hash_hmac_sha256(key, 20, bytes, sizeof bytes, mac);
    expect(mac, sizeof mac, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
}

/* SigV4 chains them: the digest of one is the key of the next, in the same place. */
static void test_hmac_in_place(void **state)
{
    uint8_t mac[HASH_SHA256_BYTES];
    uint8_t apart[HASH_SHA256_BYTES];
    (void)state;
    hash_hmac_sha256("key", 3, "text", 4, mac);
    hash_hmac_sha256(mac, sizeof mac, "more", 4, apart);
    hash_hmac_sha256(mac, sizeof mac, "more", 4, mac);
    assert_memory_equal(mac, apart, sizeof mac);
}

/* RFC 1321 appendix A.5. */
static void test_md5(void **state)
{
    uint8_t digest[HASH_MD5_BYTES];
    (void)state;
    hash_md5("", 0, digest);
    expect(digest, sizeof digest, "d41d8cd98f00b204e9800998ecf8427e");
    hash_md5("message digest", 14, digest);
    expect(digest, sizeof digest, "f96b697d7cb7938d525a2f31aaf161d0");
}

static void test_wipe(void **state)
{
    char secret[] = "secret";
    (void)state;
    hash_wipe(secret, 3);
    assert_memory_equal(secret, "\0\0\0ret", 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256),        cmocka_unit_test(test_sha256_in_pieces),
        cmocka_unit_test(test_sha256_copies), cmocka_unit_test(test_hmac),
        cmocka_unit_test(test_hmac_in_place), cmocka_unit_test(test_md5),
        cmocka_unit_test(test_wipe),
    };
    return cmocka_run_group_tests_name("hash", tests, NULL, NULL);
}
