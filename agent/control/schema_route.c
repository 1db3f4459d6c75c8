/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control/schema_parts.h"

/* What every stream took before AWS raised the limit to 10 MiB, with a margin. */
#if CONFIG_BATCH_KIB >= 4096
#define BATCH_BYTES "4MiB"
#else
#define BATCH_BYTES SCHEMA_TEXT_OF(CONFIG_BATCH_KIB) "KiB"
#endif

#ifdef CONFIG_FORMAT_SENML
#define FORMATS_LEFT_OUT NULL
#else
#define FORMATS_LEFT_OUT "senml"
#endif
#ifdef CONFIG_PACK_KPL
#define PACKS_LEFT_OUT NULL
#else
#define PACKS_LEFT_OUT "kpl"
#endif
#ifdef CONFIG_GZIP
#define COMPRESSIONS_LEFT_OUT NULL
#else
#define COMPRESSIONS_LEFT_OUT "gzip"
#endif
#ifdef CONFIG_PARTITION_EVEN
#define PARTITIONS_LEFT_OUT NULL
#define STANDARD_PARTITION  "even"
#else
#define PARTITIONS_LEFT_OUT "even"
#define STANDARD_PARTITION  "random"
#endif

#ifdef CONFIG_DEST_KINESIS
#define NO_KINESIS ""
#else
#define NO_KINESIS "|kinesis"
#endif
#ifdef CONFIG_DEST_FIREHOSE
#define NO_FIREHOSE ""
#else
#define NO_FIREHOSE "|firehose"
#endif
#ifdef CONFIG_DEST_APIGATEWAY
#define NO_APIGATEWAY ""
#else
#define NO_APIGATEWAY "|apigateway"
#endif
#ifdef CONFIG_DEST_S3
#define NO_S3 ""
#else
#define NO_S3 "|s3"
#endif
#ifdef CONFIG_DEST_ARCHIVE
#define NO_ARCHIVE ""
#else
#define NO_ARCHIVE "|archive"
#endif
#define DESTINATIONS_LEFT_OUT NO_KINESIS NO_FIREHOSE NO_APIGATEWAY NO_S3 NO_ARCHIVE

static const struct schema_key batch_keys[] = {
    /* the most in one request; CONFIG_BATCH_RECORDS at most (PutRecords takes 500) */
    {.name = "records",
     .kind = SCHEMA_INTEGER,
     SCHEMA_AT(cfg_route, batch_records),
     .standard = SCHEMA_TEXT_OF(CONFIG_BATCH_RECORDS),
     .low = 1,
     .high = CONFIG_BATCH_RECORDS},
    /* the most data and keys in one request, with apigateway its whole body, for a record alone
     * as well; CONFIG_BATCH_KIB at most */
    {.name = "bytes",
     .kind = SCHEMA_SIZE,
     SCHEMA_AT(cfg_route, batch_bytes),
     .standard = BATCH_BYTES,
     .low = SCHEMA_KIB,
     .high = CONFIG_BATCH_KIB * SCHEMA_KIB},
    {.name = NULL},
};
static const struct schema_table batch_table = {.keys = batch_keys};

static const struct schema_key route_keys[] = {
    {.name = "name",
     .kind = SCHEMA_NAME,
     SCHEMA_AT(cfg_route, name),
     .required = true,
     .help = "its cursor in the spool is kept under this name: \"name\": \"live\""},
    {.name = "destination",
     .kind = SCHEMA_CHOICE,
     SCHEMA_AT(cfg_route, destination),
     .required = true,
     .choices = "kinesis|firehose|apigateway|s3|archive",
     .left_out = DESTINATIONS_LEFT_OUT,
     .symbol = "CONFIG_DEST_",
     .help = "where it leads: \"destination\": \"kinesis\""},
    /* which lanes it carries: [ "alarm", "normal" ] */
    {.name = "lanes", .kind = SCHEMA_LANES, SCHEMA_AT(cfg_route, lanes), .standard = "all"},
    /* how long records wait for somebody to tell the time, where it is not known */
    {.name = "time_wait",
     .kind = SCHEMA_DURATION,
     SCHEMA_AT(cfg_route, time_wait_ms),
     .standard = "10m",
     .high = SCHEMA_DAY_MS},
    /* what is sent first: fifo: the oldest; fresh-first: after an outage what is new; strict: a
     * lane's records in order, one a request */
    {.name = "order",
     .kind = SCHEMA_CHOICE,
     SCHEMA_AT(cfg_route, order),
     .standard = "fifo",
     .choices = "fifo|fresh-first|strict"},
    /* fresh-first: of a request, what a backlog gets at least */
    {.name = "backlog_share",
     .kind = SCHEMA_PERCENT,
     SCHEMA_AT(cfg_route, backlog_share),
     .standard = "30%",
     .low = 1,
     .high = 99},
    /* json: the whole record; raw: a document's own bytes; senml: RFC 8428 */
    {.name = "format",
     .kind = SCHEMA_CHOICE,
     SCHEMA_AT(cfg_route, format),
     .standard = "json",
     .choices = "json|raw|senml",
     .left_out = FORMATS_LEFT_OUT,
     .symbol = "CONFIG_FORMAT_"},
    /* of a record as JSON; flat: values, texts and tags at top level */
    {.name = "layout",
     .kind = SCHEMA_CHOICE,
     SCHEMA_AT(cfg_route, layout),
     .standard = "nested",
     .choices = "nested|flat"},
    {.name = NULL},
};

static const struct schema_key request_keys[] = {
    /* one request */
    {.name = "batch", .kind = SCHEMA_OBJECT, .members = &batch_table},
    {.name = NULL},
};

static const struct schema_key hold_keys[] = {
    /* keep records until this route has delivered them */
    {.name = "hold", .kind = SCHEMA_BOOLEAN, SCHEMA_AT(cfg_route, hold), .standard = "true"},
    {.name = NULL},
};

static const struct schema_key network_keys[] = {
    /* else that of the ARN, AWS_REGION, AWS_DEFAULT_REGION, the profile in ~/.aws/config or
     * CONFIG_REGION */
    {.name = "region", .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_route, region), .high = 40},
    /* the most of a random wait behind a start of the machine, for the sake of a fleet */
    {.name = "start_delay",
     .kind = SCHEMA_DURATION,
     SCHEMA_AT(cfg_route, start_delay_ms),
     .standard = CONFIG_START_DELAY,
     .high = 60 * SCHEMA_MINUTE_MS},
    /* PEM, whom to trust; else AWS_CA_BUNDLE, Amazon's roots for AWS, or the system's */
    {.name = "ca_file", .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_route, ca_file), .high = 400},
    /* PEM, a client certificate */
    {.name = "cert_file", .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_route, cert_file), .high = 400},
    /* PEM, its key */
    {.name = "key_file", .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_route, key_file), .high = 400},
    /* one of "credentials" */
    {.name = "credentials",
     .kind = SCHEMA_NAME,
     SCHEMA_AT(cfg_route, credentials_name),
     .standard = "default"},
#ifdef CONFIG_HTTP_PROXY
    /* http://user:password@host:port, or "none"; else HTTPS_PROXY */
    {.name = "proxy", .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_route, proxy_url)},
#else
    /* an HTTP proxy */
    {.name = "proxy", .kind = SCHEMA_ABSENT, .symbol = "CONFIG_HTTP_PROXY"},
#endif
#ifdef CONFIG_CREDENTIALS_ASSUME_ROLE
    /* a role to assume with the keys of "credentials", as of another account */
    {.name = "role_arn", .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_route, role_arn)},
    /* what the trust policy of role_arn wants to hear, if it wants something */
    {.name = "external_id", .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_route, external_id)},
#else
    /* a role to assume */
    {.name = "role_arn", .kind = SCHEMA_ABSENT, .symbol = "CONFIG_CREDENTIALS_ASSUME_ROLE"},
    /* for the role's trust policy */
    {.name = "external_id", .kind = SCHEMA_ABSENT, .symbol = "CONFIG_CREDENTIALS_ASSUME_ROLE"},
#endif
    {.name = NULL},
};

static const struct schema_key endpoint_keys[] = {
    /* https://host[:port], as of an interface endpoint in a VPC; else that of
     * AWS_ENDPOINT_URL_<SERVICE>, of AWS_ENDPOINT_URL or of the region */
    {.name = "endpoint", .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_route, endpoint.url), .high = 300},
    {.name = NULL},
};

static const struct schema_key stream_keys[] = {
    /* the name or ARN of the stream, of Kinesis or Firehose, else CONFIG_STREAM */
    {.name = "stream", .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_route, stream), .high = 400},
    {.name = NULL},
};

static const struct schema_key kinesis_keys[] = {
    /* true: the host of the account in the stream's ARN, ACCOUNT.data-kinesis.REGION..., as the
     * SDKs have it */
    {.name = "account_endpoint",
     .kind = SCHEMA_BOOLEAN,
     SCHEMA_AT(cfg_route, account_endpoint),
     .standard = "false"},
    {.name = NULL},
};

#ifdef CONFIG_CREDENTIALS_OAUTH2
#define AUTHS_LEFT_OUT NULL
#else
#define AUTHS_LEFT_OUT "oauth2"
#endif

static const struct schema_key api_keys[] = {
    {.name = "url",
     .kind = SCHEMA_TEXT,
     SCHEMA_AT(cfg_route, api.url),
     .required = true,
     .high = 400,
     .help = "\"https://ID.execute-api.REGION.amazonaws.com/STAGE/RESOURCE\", or that of a custom "
             "domain"},
    /* records: as PutRecords takes them; lines: a record a line; array: {"records":[...]};
     * single: one record a request */
    {.name = "body",
     .kind = SCHEMA_CHOICE,
     SCHEMA_AT(cfg_route, api.body),
     .standard = "records",
     .choices = "records|lines|array|single"},
    /* per-record: the reply has a result for each; status: any 2xx that tells no error; else
     * per-record with records, status with others */
    {.name = "success",
     .kind = SCHEMA_CHOICE,
     SCHEMA_AT(cfg_route, api.success),
     .choices = "per-record|status"},
    /* of a private API by its VPC endpoint: ID.execute-api.REGION.amazonaws.com */
    {.name = "host", .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_route, api.host), .high = 255},
    /* likewise, as the header x-apigw-api-id */
    {.name = "api_id", .kind = SCHEMA_NAME, SCHEMA_AT(cfg_route, api.api_id)},
    /* iam: signed with "credentials"; others with what is in the files below */
    {.name = "auth",
     .kind = SCHEMA_CHOICE,
     SCHEMA_AT(cfg_route, api.auth),
     .standard = "iam",
     .choices = "iam|api-key|oauth2|bearer|header|none",
     .left_out = AUTHS_LEFT_OUT,
     .symbol = "CONFIG_CREDENTIALS_"},
    /* api-key: the key, for the header x-api-key; read again when it changes */
    {.name = "api_key_file",
     .kind = SCHEMA_TEXT,
     SCHEMA_AT(cfg_route, api.api_key_file),
     .high = 400},
    /* oauth2: https://DOMAIN.auth.REGION.amazoncognito.com/oauth2/token; ca_file and proxy serve
     * it as well */
    {.name = "token_url", .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_route, api.token_url), .high = 400},
    /* oauth2: the client's */
    {.name = "client_id", .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_route, api.client_id), .high = 128},
    /* oauth2: its secret, read for each token */
    {.name = "client_secret_file",
     .kind = SCHEMA_TEXT,
     SCHEMA_AT(cfg_route, api.client_secret_file),
     .high = 400},
    /* oauth2: scopes with blanks between them; else all that the client has */
    {.name = "scope", .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_route, api.scope), .high = 300},
    /* bearer: a token that somebody else keeps fresh; read again when it changes */
    {.name = "token_file", .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_route, api.token_file), .high = 400},
    /* header: its name, as an authorizer of yours wants it */
    {.name = "header", .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_route, api.header), .high = 64},
    /* header: its value; read again when it changes */
    {.name = "header_value_file",
     .kind = SCHEMA_TEXT,
     SCHEMA_AT(cfg_route, api.header_value_file),
     .high = 400},
    {.name = NULL},
};

static const struct schema_key partition_keys[] = {
    /* how records spread over shards; or { "field": "NAME" }, { "fixed": "KEY" } */
    {.name = "partition",
     .kind = SCHEMA_PARTITION,
     .standard = STANDARD_PARTITION,
     .choices = "even|device|sensor|random",
     .left_out = PARTITIONS_LEFT_OUT,
     .symbol = "CONFIG_PARTITION_"},
    {.name = NULL},
};

static const struct schema_key pack_keys[] = {
    /* several records as one: an aggregate of the Kinesis Producer Library, or JSON lines;
     * "batch" then counts packs */
    {.name = "pack",
     .kind = SCHEMA_CHOICE,
     SCHEMA_AT(cfg_route, pack),
     .standard = "none",
     .choices = "none|kpl|lines",
     .left_out = PACKS_LEFT_OUT,
     .symbol = "CONFIG_PACK_"},
    /* of the bytes of a record, or of a pack of lines; with apigateway of the whole body, which
     * REST APIs take (Content-Encoding) */
    {.name = "compress",
     .kind = SCHEMA_CHOICE,
     SCHEMA_AT(cfg_route, compress),
     .standard = "none",
     .choices = "none|gzip",
     .left_out = COMPRESSIONS_LEFT_OUT,
     .symbol = "CONFIG_"},
    {.name = NULL},
};

static const struct schema_key s3_keys[] = {
    {.name = "bucket",
     .kind = SCHEMA_TEXT,
     SCHEMA_AT(cfg_route, bucket),
     .required = true,
     .high = 63,
     .help = "the bucket's name: \"bucket\": \"telemetry-archive\""},
    /* what the keys begin with: "raw/" */
    {.name = "prefix", .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_route, prefix), .high = 200},
    /* how long a record waits for its object to fill, whatever its lane: each costs a PUT */
    {.name = "every",
     .kind = SCHEMA_DURATION,
     SCHEMA_AT(cfg_route, every_ms),
     .standard = "5m",
     .low = SCHEMA_SECOND_MS,
     .high = SCHEMA_DAY_MS},
    /* encryption at rest; bucket: as the bucket's default says */
    {.name = "sse",
     .kind = SCHEMA_CHOICE,
     SCHEMA_AT(cfg_route, sse),
     .standard = "bucket",
     .choices = "bucket|AES256|aws:kms|aws:kms:dsse"},
    /* the KMS key's id or ARN, else the account's key for S3 */
    {.name = "kms_key_id", .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_route, kms_key_id), .high = 200},
    /* use a key of the bucket's, which asks KMS less often */
    {.name = "bucket_key",
     .kind = SCHEMA_BOOLEAN,
     SCHEMA_AT(cfg_route, bucket_key),
     .standard = "false"},
    /* the account that the bucket must be of; else it is refused */
    {.name = "expected_bucket_owner",
     .kind = SCHEMA_TEXT,
     SCHEMA_AT(cfg_route, expected_bucket_owner),
     .high = 12},
    /* like "STANDARD_IA"; else the bucket's */
    {.name = "storage_class", .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_route, storage_class), .high = 40},
    {.name = NULL},
};

static const struct schema_key archive_keys[] = {
    {.name = "path",
     .kind = SCHEMA_TEXT,
     SCHEMA_AT(cfg_route, path),
     .required = true,
     .high = 400,
     .help = "a directory on the medium, which is never made: \"path\": \"/media/usb/runnel\""},
    /* where something must be mounted, else nothing is written */
    {.name = "mount", .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_route, mount), .high = 400},
    /* the most that this device's objects take; the oldest are deleted first */
    {.name = "size",
     .kind = SCHEMA_SIZE,
     SCHEMA_AT(cfg_route, size_bytes),
     .standard = "1GiB",
     .low = SCHEMA_MIB,
     .high = 16 * 1024 * 1024 * SCHEMA_MIB},
    /* how long a record waits for its object to fill; else 5m, and half of its lane's age where
     * "hold" is false */
    {.name = "every",
     .kind = SCHEMA_DURATION,
     SCHEMA_AT(cfg_route, every_ms),
     .low = SCHEMA_SECOND_MS,
     .high = SCHEMA_DAY_MS},
    /* keep records until this route has delivered them */
    {.name = "hold", .kind = SCHEMA_BOOLEAN, SCHEMA_AT(cfg_route, hold), .standard = "false"},
    {.name = NULL},
};

static const struct schema_key object_batch_keys[] = {
    /* the most in one object, before compression; CONFIG_BATCH_KIB at most */
    {.name = "bytes",
     .kind = SCHEMA_SIZE,
     SCHEMA_AT(cfg_route, batch_bytes),
     .standard = BATCH_BYTES,
     .low = SCHEMA_KIB,
     .high = CONFIG_BATCH_KIB * SCHEMA_KIB},
    {.name = NULL},
};
static const struct schema_table object_batch_table = {.keys = object_batch_keys};

static const struct schema_key object_keys[] = {
    /* of an object's lines */
    {.name = "compress",
     .kind = SCHEMA_CHOICE,
     SCHEMA_AT(cfg_route, compress),
     .standard = "gzip",
     .choices = "none|gzip"},
    /* one object */
    {.name = "batch", .kind = SCHEMA_OBJECT, .members = &object_batch_table},
    {.name = NULL},
};

static const struct schema_part parts[] = {
    {"kinesis|firehose|apigateway|s3", hold_keys},
    {"kinesis|firehose|apigateway", request_keys},
    {"s3", s3_keys},
    {"archive", archive_keys},
    {"s3|archive", object_keys},
    {"kinesis|firehose|apigateway|s3", network_keys},
    {"kinesis|firehose|s3", endpoint_keys},
    {"kinesis|firehose", stream_keys},
    {"kinesis", kinesis_keys},
    {"apigateway", api_keys},
    {"kinesis|apigateway", partition_keys},
    {"kinesis|firehose|apigateway", pack_keys},
    {.only = NULL},
};

const struct schema_table schema_route = {
    .keys = route_keys, .selector = "destination", .unwritten = "kinesis", .parts = parts};
