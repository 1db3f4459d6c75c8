/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/uplink/dest/s3.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/uplink/dest/object.h"
#include "agent/uplink/dest/s3_place.h"
#include "agent/uplink/dest/xml_error.h"
#include "platform/base/base64.h"
#include "platform/base/bytes.h"
#include "platform/base/error.h"

enum {
    BUCKET_BYTES_MAX = 63,
    PREFIX_BYTES_MAX = 200,
    PATH_BYTES = 2048,   /* bucket, prefix and name with each "=" as %3D */
    CHECKSUM_BYTES = 48, /* SHA-256 as base64 */
    REPLY_BYTES_MAX = 65536,
};

static const char empty_hash[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

struct s3 {
    struct dest dest;
    struct dest_s3 options;
    bool gzip;
    struct s3_place place;

    char device[OBJECT_DEVICE_BYTES];
    char path[PATH_BYTES];
    char hash[BATCH_HASH_TEXT_BYTES];
    char checksum[CHECKSUM_BYTES];

    size_t sent;
    uint8_t *delivered;
    uint64_t reply_bytes;
    struct xml_error xml;
};

/* ---- request ---- */

/* S3 signs the path as it is sent, so everything that some server may read in another way is
 * encoded. Source: aws-sdk's and botocore's key encoding. */
static void write_encoded(struct writer *out, const char *text)
{
    for (; *text != '\0'; text++)
        if (*text == '=')
            writer_text(out, "%3D");
        else
            writer_char(out, *text);
}

static void write_path(struct s3 *s3, const struct batch_summary *batch)
{
    char day[16], hour[8], name[OBJECT_NAME_BYTES];
    const char *const parts[] = {day, "/", hour, "/", s3->device, "/", name};
    struct writer out;
    writer_to_memory(&out, s3->path, sizeof s3->path);
    writer_char(&out, '/');
    if (s3->options.path_style)
        writer_text(&out, s3->options.bucket);
    if (batch != NULL) {
        object_hour(batch->wall_ms, day, hour);
        object_name(batch, s3->gzip, name);
        if (s3->options.path_style)
            writer_char(&out, '/');
        write_encoded(&out, s3->options.prefix);
        for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
            write_encoded(&out, parts[i]);
    }
    (void)writer_finish(&out);
}

static void write_checksum(struct s3 *s3, const char *hash)
{
    uint8_t digest[HASH_SHA256_BYTES];
    struct base64 base64;
    struct writer out;
    memcpy(s3->hash, hash, sizeof s3->hash);
    for (size_t i = 0; i < sizeof digest; i++)
        digest[i] = (uint8_t)(bytes_hex_digit(hash[2 * i]) << 4 | bytes_hex_digit(hash[2 * i + 1]));
    writer_to_memory(&out, s3->checksum, sizeof s3->checksum);
    base64_start(&base64);
    base64_add(&base64, digest, sizeof digest, &out);
    base64_finish(&base64, &out);
    (void)writer_finish(&out);
}

static void add_object_headers(const struct s3 *s3, struct dest_head *head)
{
    const struct dest_s3 *options = &s3->options;
    dest_add_header(head, "Content-Encoding", s3->gzip ? "gzip" : NULL);
    dest_add_header(head, "If-None-Match", "*");
    dest_add_header(head, "x-amz-checksum-sha256", s3->checksum);
    dest_add_header(head, "x-amz-server-side-encryption", options->sse);
    dest_add_header(head, "x-amz-server-side-encryption-aws-kms-key-id", options->kms_key_id);
    dest_add_header(head, "x-amz-server-side-encryption-bucket-key-enabled",
                    options->bucket_key ? "true" : NULL);
    dest_add_header(head, "x-amz-storage-class", options->storage_class);
}

/* Without records the bucket is asked for no objects: whether it may be listed or not, the reply
 * has a Date. */
static void head(const struct dest *dest, const struct batch_summary *batch,
                 struct dest_head *ret_head)
{
    struct s3 *s3 = (struct s3 *)dest;
    write_path(s3, batch);
    write_checksum(s3, batch != NULL ? batch->body_hash : empty_hash);
    *ret_head = (struct dest_head){.method = batch != NULL ? "PUT" : "GET",
                                   .path = s3->path,
                                   .raw_path = true,
                                   .query = batch != NULL ? "" : "list-type=2&max-keys=0",
                                   .content_type = batch != NULL ? "application/x-ndjson" : NULL,
                                   .service = "s3",
                                   .host = s3_place_host(&s3->place),
                                   .region = s3_place_region(&s3->place)};
    if (batch != NULL)
        add_object_headers(s3, ret_head);
    dest_add_header(ret_head, "x-amz-content-sha256", s3->hash);
    dest_add_header(ret_head, "x-amz-expected-bucket-owner", s3->options.expected_bucket_owner);
}

/* ---- reply ---- */

static void reply_start(struct dest *dest, size_t sent, uint8_t *delivered)
{
    struct s3 *s3 = (struct s3 *)dest;
    s3->sent = sent;
    s3->delivered = delivered;
    s3->reply_bytes = 0;
    memset(delivered, 0, (sent + 7) / 8);
    xml_error_start(&s3->xml);
}

static int reply_feed(struct dest *dest, const uint8_t *bytes, size_t count)
{
    struct s3 *s3 = (struct s3 *)dest;
    s3->reply_bytes += count;
    if (s3->reply_bytes > REPLY_BYTES_MAX)
        return E_TOO_BIG;
    xml_error_feed(&s3->xml, bytes, count);
    return E_OK;
}

/* S3 numbers every request; without that the 200 of something in between is not believed. */
static bool is_stored(const struct s3 *s3, const struct http_reply *reply, const char *code)
{
    if (reply->status == 412)
        return strcmp(code, "PreconditionFailed") == 0;
    return reply->status == 200 && s3->reply_bytes == 0 && reply->request_id[0] != '\0';
}

#define MAY_PUT                                                                                    \
    "allow s3:PutObject on the bucket's objects for this key, and kms:GenerateDataKey on a "       \
    "customer key"

/* S3 says AccessDenied of the bucket, of its key and of another owner. NULL: what helps everywhere
 * helps here. */
static const char *remedy(const struct s3 *s3, const char *code)
{
    bool has_owner = s3->options.expected_bucket_owner != NULL;
    if (strcmp(code, "AccessDenied") == 0)
        return has_owner ? MAY_PUT "; check \"expected_bucket_owner\"" : MAY_PUT;
    if (strncmp(code, "KMS.", 4) == 0)
        return "check \"kms_key_id\", or the bucket's own key, and that it is enabled";
    if (strcmp(code, "InvalidArgument") == 0 || strcmp(code, "InvalidRequest") == 0)
        return "the bucket refuses a setting of the route: see the message";
    return NULL;
}

static void reply_end(struct dest *dest, const struct http_reply *head,
                      struct dest_reply *ret_reply)
{
    struct s3 *s3 = (struct s3 *)dest;
    struct dest_reply reply = {0};
    (void)xml_error_end(&s3->xml, &reply);
    reply.understood = is_stored(s3, head, reply.code);
    if (reply.understood) {
        memset(s3->delivered, 0xff, (s3->sent + 7) / 8);
        reply.delivered = s3->sent;
    } else
        reply.otherwise = s3_place_learn(&s3->place, head, reply.code, s3->xml.region);
    reply.remedy = remedy(s3, reply.code);
    *ret_reply = reply;
}

/* ---- open and close ---- */

static void close_s3(struct dest *dest)
{
    free(dest);
}

static const struct dest_operations operations = {
    .name = "s3",
    .limits = OBJECT_LIMITS,
    .frame = OBJECT_FRAME,
    .objects = true,
    .head = head,
    .reply_start = reply_start,
    .reply_feed = reply_feed,
    .reply_end = reply_end,
    .close = close_s3,
};

static int check(const struct dest_options *options)
{
    const struct dest_s3 *s3 = &options->s3;
    if (s3->bucket == NULL || s3->bucket[0] == '\0' || options->device == NULL ||
        s3->region == NULL || !s3_place_is_region(s3->region))
        return E_INVALID;
    if (strlen(s3->bucket) > BUCKET_BYTES_MAX ||
        (s3->prefix != NULL && strlen(s3->prefix) > PREFIX_BYTES_MAX) ||
        (s3->host != NULL && !s3_place_fits(s3->host)))
        return E_TOO_BIG;
    return E_OK;
}

int s3_open(const struct dest_options *options, struct dest **ret_dest)
{
    int rc = check(options);
    if (rc < 0)
        return rc;
    struct s3 *s3 = calloc(1, sizeof *s3);
    if (s3 == NULL)
        return E_NO_MEMORY;
    s3->dest.operations = &operations;
    s3->options = options->s3;
    s3->place = (struct s3_place){.configured_region = options->s3.region,
                                  .configured_host = options->s3.host};
    s3->gzip = options->gzip;
    if (s3->options.prefix == NULL)
        s3->options.prefix = "";
    object_device(options->device, s3->device);
    *ret_dest = &s3->dest;
    return E_OK;
}
