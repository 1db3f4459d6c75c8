/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_CONTROL_CONFIG_ENDPOINT_H
#define RUNNEL_AGENT_CONTROL_CONFIG_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Where an AWS service is reached. */
enum {
    CONFIG_ENDPOINT_HOST_BYTES = 256,
    CONFIG_ENDPOINT_URL_BYTES = 272,
    CONFIG_REGION_BYTES = 41
};

struct config_endpoint {
    bool tls;
    char host[CONFIG_ENDPOINT_HOST_BYTES]; /* IPv6 without brackets */
    uint16_t port;
};

/**
 * Takes "https://host[:port]" apart, or "http://" towards a loopback host; a slash behind it is
 * allowed. 0; E_SYNTAX; E_REFUSED: plain HTTP to another host.
 */
int config_endpoint_parse(const char *url, struct config_endpoint *ret_endpoint);

/**
 * The URL of SERVICE ("kinesis", "ACCOUNT.data-kinesis", "firehose", "sts") in REGION, as the rule
 * set of the AWS SDKs builds it. E_SYNTAX: REGION is no region.
 */
int config_endpoint_build(const char *service, const char *region, bool fips, bool dual_stack,
                          char ret_url[CONFIG_ENDPOINT_URL_BYTES]);

/**
 * Likewise of S3, whose names have another form: with BUCKET before them, or without if that is
 * NULL.
 */
int config_endpoint_build_s3(const char *bucket, const char *region, bool fips, bool dual_stack,
                             char ret_url[CONFIG_ENDPOINT_URL_BYTES]);

/** The region in the name of HOST, SERVICE.REGION.amazonaws.com with whatever before it, and the
 *  like with FIPS and of VPC endpoints. False: there is none. */
bool config_endpoint_region(const char *service, const char *host,
                            char ret_region[CONFIG_REGION_BYTES]);

#endif
