/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_UPLINK_S3_GET_H
#define RUNNEL_AGENT_UPLINK_S3_GET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/aws/credentials.h"
#include "agent/http/http_client.h"

/**
 * One object of S3, looked at now and then: GetObject with If-None-Match, over a connection of its
 * own (S3 API Reference, "GetObject"). Used by one thread.
 */
struct s3_get;

enum { S3_GET_FAULT_BYTES = 640, S3_GET_OBJECT_BYTES_MAX = 64 * 1024 };

/** The texts, the credentials and what STOP and METER point to must outlive it. */
struct s3_get_options {
    const char *bucket;
    const char *key;
    const char *region;
    const char *host; /* with the bucket in it, unless path_style */
    uint16_t port;
    bool tls;
    bool path_style;
    bool movable; /* the host is S3's own, and another one where the bucket is elsewhere */
    struct tls_options tls_options; /* wall_ms: the time that is signed, too */
    struct http_proxy proxy;
    const struct http_meter *meter; /* or NULL */
    const char *user_agent;
    struct credentials_provider *credentials;
    const struct stop *stop;
};

struct s3_get_object {
    char etag[HTTP_VALUE_BYTES]; /* of what is there, if that was learnt; else "" */
    size_t count;
    uint8_t bytes[S3_GET_OBJECT_BYTES_MAX];
};

/** E_NO_MEMORY; what http_client_open returns. */
int s3_get_open(const struct s3_get_options *options, struct s3_get **ret_get);
void s3_get_close(struct s3_get *get); /* NULL is allowed */

/**
 * The object, unless it is the one whose ETag is ETAG ("": whatever it is). A wrong region, a clock
 * that is far off and keys that have expired are mended on the way, once each. E_EXISTS: it is that
 * one; E_TOO_BIG: it has more than S3_GET_OBJECT_BYTES_MAX; E_REFUSED: somebody has to act;
 * E_TIMEOUT: no reply, or one that passes or is not of S3; these with FAULT. E_STOP.
 */
int s3_get_ask(struct s3_get *get, const char *etag, struct s3_get_object *ret_object,
               char fault[S3_GET_FAULT_BYTES]);

#endif
