/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_CONTROL_CONFIG_ROUTE_H
#define RUNNEL_AGENT_CONTROL_CONFIG_ROUTE_H

#include "agent/control/config_endpoint.h"
#include "agent/control/config_reader.h"

/**
 * For the files config_route*.c, which finish a route behind config_read_object: what goes with
 * what, and what the environment says. What is wrong is reported, and they go on.
 */
enum { CONFIG_ACCOUNT_BYTES = 13 };

/** A route and the object that it was read from (NULL: Kconfig's). */
struct config_route {
    struct config_reader *reader;
    const struct json_node *node;
    struct cfg_route *route;
};

/* ---- config_routes.c ---- */

/** Reports WHAT at the member KEY if it is written, else at the route. */
void config_route_fault(const struct config_route *subject, const char *key, const char *what);

/** The variable NAME, or NULL. */
const char *config_route_variable(const struct config_route *subject, const char *name);

/** A copy of TEXT that lives as long as the configuration. */
const char *config_route_keep(const struct config_route *subject, const char *text);

/** Whether the variable NAME, a switch, is "true". */
bool config_route_switch(const struct config_route *subject, const char *name);

/** The route's region, else ARN_REGION ("": none), else as the AWS tools find it. NULL: reported.
 */
void config_route_region(const struct config_route *subject, const char *arn_region);

/** The endpoint that is written, else that of VARIABLE or AWS_ENDPOINT_URL. False: none is. */
bool config_route_endpoint(const struct config_route *subject, const char *variable);

/** Whether TEXT is a name that S3 gives to buckets. */
bool config_route_is_bucket(const char *text);

/** The endpoint of S3 for a route that knows its bucket: what is written, else that of the
 *  environment, else the one in its region. Says how the bucket is named. */
void config_route_bucket_reach(const struct config_route *subject);

/** The credentials that are named, and where they ask STS for. */
void config_routes_credentials(const struct config_route *subject);
void config_routes_sts(const struct config_route *subject);

/** Takes URL as the endpoint; SOURCE names the variable that it comes from, NULL: the route. */
void config_route_take_endpoint(const struct config_route *subject, const char *source,
                                const char *url);

/* ---- config_route_stream.c ---- */

/** What a service that has streams calls things, and how it is said that one is wrong. */
struct config_route_service {
    const char *name;     /* in an ARN, as the next one */
    const char *resource; /* "stream/" */
    size_t name_bytes_max;
    const char *missing, *no_arn, *no_name;
};

/** What the ARN of a stream says; empty where the stream is not told by one. */
struct config_route_arn {
    char region[CONFIG_REGION_BYTES];
    char account[CONFIG_ACCOUNT_BYTES];
};

/** The route's stream, stream_arn and region. */
void config_route_stream(const struct config_route *subject,
                         const struct config_route_service *service,
                         struct config_route_arn *ret_arn);

/** The endpoint: what is written, else that of VARIABLE, else HOST in the route's region, with FIPS
 *  and dual stack as the environment says. */
void config_route_stream_reach(const struct config_route *subject, const char *variable,
                               const char *host);

/* ---- one for each destination, in a file of its name ---- */

void config_route_kinesis(const struct config_route *subject);
void config_route_firehose(const struct config_route *subject);

/** API Gateway: URL, what goes with which authorization, region. */
void config_route_api(const struct config_route *subject);

/** S3: bucket, keys, encryption, region, endpoint. */
void config_route_s3(const struct config_route *subject);

/** A directory: path, mount, size. */
void config_route_archive(const struct config_route *subject);

/* ---- config_route_role.c ---- */

/** A role to assume, in place of the credentials with which it is; behind all else. */
void config_route_role(const struct config_route *subject);

/* ---- config_route_records.c ---- */

/** What a record becomes: whether format, layout, pack, compression and order go together. */
void config_route_records(const struct config_route *subject);

#endif
