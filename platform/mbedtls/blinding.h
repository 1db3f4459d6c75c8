/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_PLATFORM_MBEDTLS_BLINDING_H
#define RUNNEL_PLATFORM_MBEDTLS_BLINDING_H

#include <stddef.h>

#include <mbedtls/version.h>

#include "platform/random.h"

/* Since 3.0, reading and checking a private key takes random numbers to blind the arithmetic. */
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
#define BLINDING , draw_random, NULL
#else
#define BLINDING
#endif

/* The kernel's generator itself: it is seeded before it answers, has no state here that two
 * threads could share, and a handshake asks it a few dozen times. */
static inline int draw_random(void *context, unsigned char *bytes, size_t count)
{
    (void)context;
    random_bytes(bytes, count);
    return 0;
}

#endif
