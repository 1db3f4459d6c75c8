/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_UPLINK_DEST_DEST_H
#define RUNNEL_AGENT_UPLINK_DEST_DEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/batch/batch_frame.h"
#include "agent/http/http_parse.h"

/**
 * A destination turns records into a request and a reply into an outcome per record. It owns no
 * socket, no retry and no credential. Pure; one table of functions each, behind its Kconfig symbol.
 */
enum {
    DEST_CODE_BYTES = 64,
    DEST_MESSAGE_BYTES = 200,
    DEST_FAULT_BYTES = 300,
    DEST_HEADERS_MAX = 12
};

struct dest_header {
    const char *name;
    const char *value;
};

/** What the head of a request has for this destination. The texts live until the destination is
 *  asked again or closed. */
struct dest_head {
    const char *method;
    const char *path;         /* as sent */
    const char *query;        /* likewise, without "?"; "" for none */
    const char *content_type; /* NULL: none */
    const char *host_header;  /* what the header Host says; NULL: where the request goes */
    bool raw_path;            /* which is signed as it is, as S3 wants it */
    const char *service;      /* in the scope of the signature; NULL: the request is not signed */
    struct dest_header headers[DEST_HEADERS_MAX]; /* signed as well */
    size_t header_count;
    const char *host;   /* where it goes, instead of the route's; NULL: there */
    const char *region; /* of the signature, likewise */
    /** Where it is not signed: the header that carries the token of the route's credentials behind
     *  token_prefix; NULL: none does. */
    const char *token_header;
    const char *token_prefix;
};

/** What a reply said. */
struct dest_reply {
    bool understood; /* it answers for exactly the entries that were sent, and its status agrees */
    bool otherwise; /* it said how to ask instead, and the next request is so: led elsewhere, say */
    size_t delivered;
    size_t failed;
    size_t throttled;                 /* of the failed ones, those that came too fast */
    char code[DEST_CODE_BYTES];       /* of the request, or of the first failed record; or "" */
    char message[DEST_MESSAGE_BYTES]; /* likewise */
    const char *remedy;               /* what helps here, for people; NULL: what helps everywhere */
};

/** Writes a batch's body into OUT, whose error sticks, or returns why it cannot. */
typedef int dest_write(void *context, struct writer *out);

/** How storing went. */
struct dest_stored {
    bool present;                 /* the place was there */
    uint64_t bytes;               /* that were written to it */
    char fault[DEST_FAULT_BYTES]; /* on failure, for people: what, where, what helps */
};

struct dest {
    const struct dest_operations *operations;
};

struct dest_operations {
    const char *name;
    struct batch_limits limits; /* what one request can carry */
    struct batch_frame frame;   /* its context is the struct dest */
    bool objects; /* what is sent again is worth to be sent alike: it is known to be there then */

    /**
     * Of a destination that nobody is asked for by HTTP, instead of head and reply_*; else NULL.
     * Stores the batch with all its entries, or nothing of it: WRITE writes the body. 0 only once
     * it is durable. E_CHANGED: WRITE's; E_NOT_FOUND: there is no place; other errors. RET_STORED
     * is filled in any case.
     */
    int (*store)(struct dest *dest, const struct batch_summary *batch, dest_write *write,
                 void *context, struct dest_stored *ret_stored);

    /** How to ask with BATCH, which is built; NULL: without records, to learn the time: by GET
     *  without a body where one without records would be stored. */
    void (*head)(const struct dest *dest, const struct batch_summary *batch,
                 struct dest_head *ret_head);

    /** A reply to SENT entries begins. DELIVERED has a bit for each (bit I % 8 of byte I / 8). */
    void (*reply_start)(struct dest *dest, size_t sent, uint8_t *delivered);

    /** Its body, in pieces of any size. 0; E_TOO_BIG: no such reply is this long. */
    int (*reply_feed)(struct dest *dest, const uint8_t *bytes, size_t count);

    /** Its end; HEAD is its own, all zero if none came. Bits are set for delivered entries; none is
     *  unless the reply was understood. */
    void (*reply_end)(struct dest *dest, const struct http_reply *head,
                      struct dest_reply *ret_reply);

    void (*close)(struct dest *dest);
};

/** What an API behind API Gateway takes. */
enum dest_body { DEST_BODY_RECORDS, DEST_BODY_LINES, DEST_BODY_ARRAY, DEST_BODY_SINGLE };

/** Who may use it: a signature, the token of the route's credentials in a header, or nobody asks.
 */
enum dest_auth {
    DEST_AUTH_IAM,
    DEST_AUTH_API_KEY,
    DEST_AUTH_OAUTH2,
    DEST_AUTH_BEARER,
    DEST_AUTH_HEADER,
    DEST_AUTH_NONE
};

/** Texts must outlive the destination. */
struct dest_api {
    const char *path;  /* of the URL, as sent */
    const char *query; /* likewise, without "?"; NULL: none */
    enum dest_body body;
    enum dest_auth auth;
    const char *header;      /* of DEST_AUTH_HEADER: its name */
    bool per_record;         /* a reply has a result for each record */
    const char *host_header; /* of a private API, by its VPC endpoint; NULL: none */
    const char *api_id;      /* likewise, as x-apigw-api-id */
};

/** Strings must outlive the destination; NULL where nothing is said. */
struct dest_s3 {
    const char *bucket;
    const char *prefix; /* of every key: "raw/" */
    const char *region;
    const char *host; /* of the region, which it has as ".REGION."; NULL: an endpoint of its own */
    bool path_style;  /* the bucket is in the path, not in the host's name */
    const char *sse;  /* x-amz-server-side-encryption */
    const char *kms_key_id;
    bool bucket_key;
    const char *expected_bucket_owner;
    const char *storage_class;
};

struct dest_archive {
    const char *path;  /* a directory that is there, or the medium is not */
    const char *mount; /* where something must be mounted, or NULL */
    uint64_t size_bytes;
};

struct dest_options {
    const char *stream;     /* its name, or NULL; must outlive the destination, as the next one */
    const char *stream_arn; /* or its ARN */
    bool gzip;              /* bodies are */
    const char *device;     /* whose objects they are */
    struct dest_api api;
    struct dest_s3 s3;
    struct dest_archive archive;
    bool strict; /* records are stored in the order in which they are sent */
};

/** For destinations. VALUE NULL: it is not sent. There is room for DEST_HEADERS_MAX. */
void dest_add_header(struct dest_head *head, const char *name, const char *value);

/** Opens the destination called NAME. E_UNSUPPORTED: there is none in this program (CONFIG_DEST_*);
 *  E_INVALID: an option is missing; E_NO_MEMORY. */
int dest_open(const char *name, const struct dest_options *options, struct dest **ret_dest);

/** NULL is allowed. */
void dest_close(struct dest *dest);

#endif
