/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_PLATFORM_MBEDTLS_SMALL_CONFIG_H
#define RUNNEL_PLATFORM_MBEDTLS_SMALL_CONFIG_H

/*
 * What runnel needs of mbedTLS, for a library of its own: it takes the place of mbedtls/config.h
 * (2.28) or mbedtls/mbedtls_config.h (3.6), so that library and program see the same.
 *
 * A TLS 1.2 client with the suites of tls.c, X.509, and the hashes of SigV4 and S3. No server, no
 * DTLS, no PSA, hence no TLS 1.3; no random generator, as tls.c hands in the kernel's. With
 * RUNNEL_SMALL_DTLS also what libcoap needs to be a server of DTLS with pre-shared keys.
 */

/* The system. */
#define MBEDTLS_HAVE_ASM
#define MBEDTLS_HAVE_TIME
#define MBEDTLS_HAVE_TIME_DATE
#define MBEDTLS_PLATFORM_C
#define MBEDTLS_FS_IO
#define MBEDTLS_THREADING_C
#define MBEDTLS_THREADING_PTHREAD

/* TLS. Buffers shrink after the handshake; what is sent goes in records of 4 KB. */
#define MBEDTLS_SSL_TLS_C
#define MBEDTLS_SSL_CLI_C
#define MBEDTLS_SSL_PROTO_TLS1_2
#define MBEDTLS_SSL_EXTENDED_MASTER_SECRET
#define MBEDTLS_SSL_MAX_FRAGMENT_LENGTH
#define MBEDTLS_SSL_SERVER_NAME_INDICATION
#define MBEDTLS_SSL_SESSION_TICKETS
#define MBEDTLS_SSL_VARIABLE_BUFFER_LENGTH
#define MBEDTLS_SSL_IN_CONTENT_LEN  16384
#define MBEDTLS_SSL_OUT_CONTENT_LEN 4096
#define MBEDTLS_KEY_EXCHANGE_ECDHE_ECDSA_ENABLED
#define MBEDTLS_KEY_EXCHANGE_ECDHE_RSA_ENABLED

/* Ciphers. Tables of AES are constants (filled at first use they would be shared by threads), and
 * one of each four is kept. */
#define MBEDTLS_AES_C
#define MBEDTLS_AES_ROM_TABLES
#define MBEDTLS_AES_FEWER_TABLES
#define MBEDTLS_CIPHER_C
#define MBEDTLS_GCM_C
#define MBEDTLS_CHACHA20_C
#define MBEDTLS_POLY1305_C
#define MBEDTLS_CHACHAPOLY_C

/* Hashes. Of some roots in a system's bundle the own signature is by SHA-1, and without it they
 * could not be read; nobody asks whether that signature is right. */
#define MBEDTLS_MD_C
#define MBEDTLS_MD5_C
#define MBEDTLS_SHA1_C
#define MBEDTLS_SHA224_C
#define MBEDTLS_SHA256_C
#define MBEDTLS_SHA384_C
#define MBEDTLS_SHA512_C

/* Keys and certificates. */
#define MBEDTLS_BIGNUM_C
#define MBEDTLS_ECP_C
#define MBEDTLS_ECP_NIST_OPTIM
#define MBEDTLS_ECP_DP_SECP256R1_ENABLED
#define MBEDTLS_ECP_DP_SECP384R1_ENABLED
#define MBEDTLS_ECP_DP_SECP521R1_ENABLED
#define MBEDTLS_ECP_DP_CURVE25519_ENABLED
#define MBEDTLS_ECDH_C
#define MBEDTLS_ECDSA_C
#define MBEDTLS_RSA_C
#define MBEDTLS_PKCS1_V15
#define MBEDTLS_PKCS1_V21
#define MBEDTLS_ASN1_PARSE_C
#define MBEDTLS_ASN1_WRITE_C
#define MBEDTLS_BASE64_C
#define MBEDTLS_OID_C
#define MBEDTLS_PEM_PARSE_C
#define MBEDTLS_PK_C
#define MBEDTLS_PK_PARSE_C
#define MBEDTLS_X509_USE_C
#define MBEDTLS_X509_CRT_PARSE_C
#define MBEDTLS_X509_RSASSA_PSS_SUPPORT

/* A key of one's own and the request for its certificate (CONFIG_COMMAND_IDENTITY); not linked
 * where nobody asks for it. */
#define MBEDTLS_PEM_WRITE_C
#define MBEDTLS_PK_WRITE_C
#define MBEDTLS_X509_CREATE_C
#define MBEDTLS_X509_CSR_WRITE_C

#ifdef RUNNEL_SMALL_DTLS
/* TLS_PSK_WITH_AES_128_CCM_8 (RFC 7252 section 9.1.3.1) and those with GCM. libcoap has a generator
 * of its own, asks for the version, and silences what debugging would say. */
#define MBEDTLS_DEBUG_C
#define MBEDTLS_SSL_SRV_C
#define MBEDTLS_SSL_PROTO_DTLS
#define MBEDTLS_SSL_DTLS_HELLO_VERIFY
#define MBEDTLS_SSL_DTLS_ANTI_REPLAY
#define MBEDTLS_SSL_COOKIE_C
#define MBEDTLS_KEY_EXCHANGE_PSK_ENABLED
#define MBEDTLS_CCM_C
#define MBEDTLS_TIMING_C
#define MBEDTLS_ENTROPY_C
#define MBEDTLS_CTR_DRBG_C
#define MBEDTLS_ERROR_C
#define MBEDTLS_VERSION_C
#endif

/* 2.28 blinds a key that it checks with random numbers of its own, 3.6 with the caller's. And 3.6
 * looks at all of this by itself, once it has derived what follows. */
#ifndef MBEDTLS_VERSION_NUMBER
#define MBEDTLS_HMAC_DRBG_C
#include <mbedtls/check_config.h>
#endif

#endif
