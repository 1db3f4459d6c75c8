/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_PLATFORM_MBEDTLS_CERTIFICATE_DESCRIBE_H
#define RUNNEL_PLATFORM_MBEDTLS_CERTIFICATE_DESCRIBE_H

#include <mbedtls/x509_crt.h>

#include "platform/certificate.h"

/** What the first certificate of CHAIN, which has been parsed, says. */
void certificate_describe(const mbedtls_x509_crt *chain, struct certificate *ret_certificate);

#endif
