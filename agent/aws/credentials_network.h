/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_AWS_CREDENTIALS_NETWORK_H
#define RUNNEL_AGENT_AWS_CREDENTIALS_NETWORK_H

#include "agent/aws/credentials.h"
#include "agent/http/http_client.h"

/**
 * Providers that ask somebody else for temporary keys. Each get is a conversation of seconds, so a
 * cache asks them from a thread of its own (credentials.h). They keep nothing themselves. Texts,
 * meters and STOP, which ends a conversation, must outlive the provider. What is wrong for now is
 * E_TIMEOUT, what somebody has to mend is E_CREDENTIALS, with the remedy in FAULT.
 */

/** Where they are asked for. */
struct credentials_server {
    bool tls;
    const char *host;
    uint16_t port;
    struct tls_options tls_options;
    struct http_proxy proxy;
    const struct http_meter *meter; /* of the data budget; NULL: nobody counts */
    const struct stop *stop;
};

/** AWS IoT Core's credentials provider: GET /role-aliases/ALIAS/credentials with the device's
 *  certificate. The key's file is looked at each time: others may not write it. */
struct credentials_iot_options {
    struct credentials_server server; /* by TLS in any case */
    const char *role_alias;
    const char *thing; /* NULL: the policy asks for none */
};
int credentials_iot_open(const struct credentials_iot_options *options,
                         struct credentials_provider **ret_provider); /* E_NO_MEMORY */

/** What ECS, EKS and Greengrass name in AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI, with
 *  the token of AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE, which is read each time, or
 *  AWS_CONTAINER_AUTHORIZATION_TOKEN. E_NOT_FOUND: neither URI is set, and it is not ASKED_FOR. */
int credentials_container_open(bool asked_for, const struct stop *stop,
                               struct credentials_provider **ret_provider); /* E_NO_MEMORY */

/**
 * The metadata service of EC2 in version 2; 1 where 2 is refused, unless
 * AWS_EC2_METADATA_V1_DISABLED. AWS_EC2_METADATA_SERVICE_ENDPOINT, else
 * AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE "IPv6", else 169.254.169.254. E_NOT_FOUND unless it is
 * ASKED_FOR: nobody answers there, it refuses, or the instance has no role, all of which is
 * remembered for 15 min, or AWS_EC2_METADATA_DISABLED is "true".
 */
int credentials_imds_open(bool asked_for, const struct stop *stop,
                          struct credentials_provider **ret_provider); /* E_NO_MEMORY */

/**
 * A token for a client, as Cognito and others give it (RFC 6749, 4.4, with the secret as in 2.3.1):
 * POST to PATH?QUERY at SERVER. It becomes session_token alone. The secret is read from its
 * file each time.
 */
struct credentials_oauth2_options {
    struct credentials_server server;
    const char *path;
    const char *query; /* NULL: none */
    const char *client_id;
    const char *client_secret_file;
    const char *scope; /* NULL: what the client has without asking */
};
int credentials_oauth2_open(const struct credentials_oauth2_options *options,
                            struct credentials_provider **ret_provider); /* E_NO_MEMORY */

/**
 * AssumeRoleWithWebIdentity at STS with the token in a file, which is read each time. Texts that
 * are NULL: AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ROLE_ARN, AWS_ROLE_SESSION_NAME, else DEVICE made
 * fit. E_NOT_FOUND: there is no token file, and it is not ASKED_FOR.
 */
struct credentials_web_identity_options {
    bool asked_for;
    const char *token_file;
    const char *role_arn;
    const char *session_name;
    const char *device;
    struct credentials_server server; /* STS; NULL as host: no region is known */
};
int credentials_web_identity_open(const struct credentials_web_identity_options *options,
                                  struct credentials_provider **ret_provider); /* E_NO_MEMORY */

/**
 * AssumeRole at STS, signed with the keys of SOURCE, the caller's, which is a cache and outlives
 * the provider. The session is called after DEVICE. Keys that STS calls expired or unknown are
 * asked for anew, and a clock that it calls wrong is corrected by its Date, once each in a get: so
 * it works also where nobody knows the time. Source: STS API Reference, "AssumeRole".
 */
struct credentials_assume_role_options {
    struct credentials_provider *source;
    const char *role_arn;
    const char *external_id; /* NULL: none */
    const char *device;
    struct credentials_server server; /* STS */
    const char *region;               /* that it is of */
};
int credentials_assume_role_open(const struct credentials_assume_role_options *options,
                                 struct credentials_provider **ret_provider); /* E_NO_MEMORY */

#endif
