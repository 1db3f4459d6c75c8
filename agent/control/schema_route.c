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
    {SCHEMA_KEY("records", "The most in one request; with \"pack\" records are packs. "
                           "CONFIG_BATCH_RECORDS is the limit, PutRecords takes 500."),
     .kind = SCHEMA_INTEGER, SCHEMA_AT(cfg_route, batch_records),
     .standard = SCHEMA_TEXT_OF(CONFIG_BATCH_RECORDS), .low = 1, .high = CONFIG_BATCH_RECORDS},
    {SCHEMA_KEY("bytes",
                "The most data and keys in one request; towards Firehose at most 4032KiB, which is "
                "the default there. With apigateway the bytes of the whole body before it is "
                "compressed, and a record that fits into none becomes a dead letter: \"8KiB\" is "
                "what the common rules of AWS WAF let pass. CONFIG_BATCH_KIB is the limit."),
     .kind = SCHEMA_SIZE, SCHEMA_AT(cfg_route, batch_bytes), .standard = BATCH_BYTES,
     .low = SCHEMA_KIB, .high = CONFIG_BATCH_KIB * SCHEMA_KIB},
    {.name = NULL},
};
static const struct schema_table batch_table = {.keys = batch_keys};

static const struct schema_key route_keys[] = {
    {SCHEMA_KEY("name", "The place of the route in the spool is kept under it."),
     .kind = SCHEMA_NAME, SCHEMA_AT(cfg_route, name), .required = true,
     .help = "its cursor in the spool is kept under this name: \"name\": \"live\""},
    {SCHEMA_KEY("destination", "Where it leads: Kinesis Data Streams; Amazon Data Firehose, where "
                               "each record is a line; an API behind API Gateway; objects in S3; "
                               "or the same objects below a directory. Each has keys of its own."),
     .kind = SCHEMA_CHOICE, SCHEMA_AT(cfg_route, destination), .required = true,
     .choices = "kinesis|firehose|apigateway|s3|archive", .left_out = DESTINATIONS_LEFT_OUT,
     .symbol = "CONFIG_DEST_", .help = "where it leads: \"destination\": \"kinesis\""},
    {SCHEMA_KEY("lanes", "Which lanes it carries: [ \"alarm\", \"normal\" ]."),
     .kind = SCHEMA_LANES, SCHEMA_AT(cfg_route, lanes), .standard = "all"},
    {SCHEMA_KEY(
         "time_wait",
         "Where neither the kernel nor an endpoint has told the time since the machine started, "
         "the route asks its endpoint for it, by a request without records, and records wait for "
         "the answer for so long at most; then they go, marked \"estimated\"."),
     .kind = SCHEMA_DURATION, SCHEMA_AT(cfg_route, time_wait_ms), .standard = "10m",
     .high = SCHEMA_DAY_MS},
    {SCHEMA_KEY("order",
                "What is sent first. \"fifo\": the oldest. \"fresh-first\": what comes after the "
                "start or after an outage goes ahead of what was stored before, the backlog, so "
                "that an outage does not delay the present by its own length; sent without a pause "
                "until the backlog is gone. \"strict\": each lane's records are stored in their "
                "order even if some fail, by PutRecord: one record a request, so as many a second "
                "as the way to AWS and back allows. It wants a partition that keeps order: device, "
                "sensor or fixed. Firehose keeps no order."),
     .kind = SCHEMA_CHOICE, SCHEMA_AT(cfg_route, order), .standard = "fifo",
     .choices = "fifo|fresh-first|strict"},
    {SCHEMA_KEY("backlog_share", "With fresh-first: what a backlog gets at least of each request."),
     .kind = SCHEMA_PERCENT, SCHEMA_AT(cfg_route, backlog_share), .standard = "30%", .low = 1,
     .high = 99},
    {SCHEMA_KEY("format", "\"json\": the whole record. \"raw\": a document's own bytes (a reading "
                          "of channels goes as json). \"senml\": an array of SenML (RFC 8428), "
                          "which names a channel DEVICE/SENSOR/CHANNEL and has \"spool\" and "
                          "\"seq\" beside the base time; a document is the text \"data\"."),
     .kind = SCHEMA_CHOICE, SCHEMA_AT(cfg_route, format), .standard = "json",
     .choices = "json|raw|senml", .left_out = FORMATS_LEFT_OUT, .symbol = "CONFIG_FORMAT_"},
    {SCHEMA_KEY("layout",
                "Of a record as JSON. \"flat\": values, texts and tags stand at top level. Refused "
                "are tags and channels whose name is a member's, has capitals, or is another's; "
                "what a driver finds out only later stays nested if it does not fit."),
     .kind = SCHEMA_CHOICE, SCHEMA_AT(cfg_route, layout), .standard = "nested",
     .choices = "nested|flat"},
    {.name = NULL},
};

static const struct schema_key request_keys[] = {
    {SCHEMA_KEY("batch", "The limits of one request."), .kind = SCHEMA_OBJECT,
     .members = &batch_table},
    {.name = NULL},
};

static const struct schema_key hold_keys[] = {
    {SCHEMA_KEY("hold", "Keep records until this route has delivered them."),
     .kind = SCHEMA_BOOLEAN, SCHEMA_AT(cfg_route, hold), .standard = "true"},
    {.name = NULL},
};

static const struct schema_key network_keys[] = {
    {SCHEMA_KEY("region",
                "Without it that of the ARN, $AWS_REGION, $AWS_DEFAULT_REGION, the profile in the "
                "shared AWS config file ($AWS_CONFIG_FILE, else ~/.aws/config), or CONFIG_REGION. "
                "With apigateway it goes with \"auth\": \"iam\" alone."),
     .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_route, region), .high = 40},
    {SCHEMA_KEY("start_delay",
                "In the first three minutes behind a start of the machine the first request waits "
                "a random part of this, so that a fleet does not come back all at once."),
     .kind = SCHEMA_DURATION, SCHEMA_AT(cfg_route, start_delay_ms), .standard = CONFIG_START_DELAY,
     .high = 60 * SCHEMA_MINUTE_MS},
    {SCHEMA_KEY(
         "ca_file",
         "PEM, whom to trust; without it $AWS_CA_BUNDLE, else for hosts of AWS outside China the "
         "roots of Amazon, which are built in unless Kconfig left them out, and for others the "
         "system. While a PEM file cannot be read the route is in the state needs-operator."),
     .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_route, ca_file), .high = 400},
    {SCHEMA_KEY("cert_file",
                "PEM, a client certificate; if it changes, the next connection takes the new one."),
     .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_route, cert_file), .high = 400},
    {SCHEMA_KEY("key_file", "PEM, the key of the client certificate; if it changes, the next "
                            "connection takes the new one."),
     .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_route, key_file), .high = 400},
    {SCHEMA_KEY("credentials",
                "A name of \"credentials\". With apigateway it goes with \"auth\": \"iam\" alone."),
     .kind = SCHEMA_NAME, SCHEMA_AT(cfg_route, credentials_name), .standard = "default"},
#ifdef CONFIG_HTTP_PROXY
    {SCHEMA_KEY("proxy",
                "An HTTP proxy, \"http://user:password@host:port\" with the special characters of "
                "user and password as %XX, or \"none\"; without it $HTTPS_PROXY and $NO_PROXY, see "
                "runnel(1). \"${file:PATH}\" keeps the password out of this file. Loopback, "
                "metadata and container addresses are reached directly in every case; TLS towards "
                "the proxy itself is not supported."),
     .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_route, proxy_url)},
#else
    {.name = "proxy", .kind = SCHEMA_ABSENT, .symbol = "CONFIG_HTTP_PROXY"},
#endif
#ifdef CONFIG_CREDENTIALS_ASSUME_ROLE
    {SCHEMA_KEY(
         "role_arn",
         "A role, arn:aws:iam::ACCOUNT:role/NAME, that the keys of \"credentials\" may assume "
         "(sts:AssumeRole); its keys then sign the route's requests, as for a stream or bucket of "
         "another account. STS is asked at $AWS_ENDPOINT_URL_STS, $AWS_ENDPOINT_URL, else at the "
         "endpoint of the route's region (FIPS and dual stack as for a stream), once an hour and "
         "for an hour, by the route's proxy and with its ca_file; the session in CloudTrail is "
         "called after the device. With apigateway it goes with \"auth\": \"iam\" alone."),
     .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_route, role_arn)},
    {SCHEMA_KEY("external_id",
                "With role_arn: what the role's trust policy wants to hear (sts:ExternalId)."),
     .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_route, external_id)},
#else
    {.name = "role_arn", .kind = SCHEMA_ABSENT, .symbol = "CONFIG_CREDENTIALS_ASSUME_ROLE"},
    {.name = "external_id", .kind = SCHEMA_ABSENT, .symbol = "CONFIG_CREDENTIALS_ASSUME_ROLE"},
#endif
    {.name = NULL},
};

static const struct schema_key endpoint_keys[] = {
    {SCHEMA_KEY(
         "endpoint",
         "An endpoint, https://host[:port], where it is not the region's own, such as that of an "
         "interface endpoint in a VPC; http:// towards loopback only. Without it "
         "$AWS_ENDPOINT_URL_KINESIS, _FIREHOSE or _S3, else $AWS_ENDPOINT_URL, else the "
         "region's ($AWS_USE_FIPS_ENDPOINT and $AWS_USE_DUALSTACK_ENDPOINT choose which)."),
     .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_route, endpoint.url), .high = 300},
    {.name = NULL},
};

static const struct schema_key stream_keys[] = {
    {SCHEMA_KEY("stream", "The stream's name, or its ARN; without it CONFIG_STREAM. Of an ARN "
                          "towards Firehose, which takes names alone, region and name count."),
     .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_route, stream), .high = 400},
    {.name = NULL},
};

static const struct schema_key kinesis_keys[] = {
    {SCHEMA_KEY("account_endpoint",
                "With the stream's ARN: the account's own host, "
                "ACCOUNT.data-kinesis.REGION.amazonaws.com, as the SDKs have it."),
     .kind = SCHEMA_BOOLEAN, SCHEMA_AT(cfg_route, account_endpoint), .standard = "false"},
    {.name = NULL},
};

#ifdef CONFIG_CREDENTIALS_OAUTH2
#define AUTHS_LEFT_OUT NULL
#else
#define AUTHS_LEFT_OUT "oauth2"
#endif

static const struct schema_key api_keys[] = {
    {SCHEMA_KEY("url",
                "Of the stage or the custom domain, with path and, if wanted, query. "
                "https://ID.execute-api.REGION.amazonaws.com/STAGE/RESOURCE says its region."),
     .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_route, api.url), .required = true, .high = 400,
     .help = "\"https://ID.execute-api.REGION.amazonaws.com/STAGE/RESOURCE\", or that of a custom "
             "domain"},
    {SCHEMA_KEY("body",
                "\"records\": {\"Records\":[{\"Data\":BASE64,\"PartitionKey\":KEY},...]}, which a "
                "mapping hands to PutRecords or PutRecordBatch as it is. \"lines\": a record a "
                "line, application/x-ndjson, at most 1,000 KiB unless batch.bytes says more. "
                "\"array\": {\"records\":[RECORD,...]}. \"single\": a record a request."),
     .kind = SCHEMA_CHOICE, SCHEMA_AT(cfg_route, api.body), .standard = "records",
     .choices = "records|lines|array|single"},
    {SCHEMA_KEY("success",
                "\"per-record\": the reply is 200 and has a result for each record, as PutRecords "
                "(\"Records\") or PutRecordBatch (\"RequestResponses\") give them; what failed is "
                "sent again alone. \"status\": any 2xx that is empty or JSON delivers all, unless "
                "it has \"__type\", \"errorMessage\", or a FailedRecordCount or FailedPutCount "
                "above 0. A page of HTML and a redirect deliver nothing in either case. Without it "
                "per-record with the body records, else status."),
     .kind = SCHEMA_CHOICE, SCHEMA_AT(cfg_route, api.success), .choices = "per-record|status"},
    {SCHEMA_KEY("host", "Of a private API by its VPC endpoint's name: what the header Host says, "
                        "ID.execute-api.REGION.amazonaws.com. It or api_id."),
     .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_route, api.host), .high = 255},
    {SCHEMA_KEY(
         "api_id",
         "Of a private API by its VPC endpoint's name: the header x-apigw-api-id. It or host."),
     .kind = SCHEMA_NAME, SCHEMA_AT(cfg_route, api.api_id)},
    {SCHEMA_KEY("auth",
                "\"iam\": signed with the keys of \"credentials\", for execute-api in \"region\". "
                "\"api-key\": x-api-key with what is in api_key_file. \"oauth2\": a token of "
                "token_url. \"bearer\": the token in token_file. \"header\": the header of yours "
                "that \"header\" names. \"none\". A client certificate (cert_file) goes with each. "
                "Files of secrets may be written by their owner alone, and are read again within "
                "30 s of use, and at once when what they held was refused."),
     .kind = SCHEMA_CHOICE, SCHEMA_AT(cfg_route, api.auth), .standard = "iam",
     .choices = "iam|api-key|oauth2|bearer|header|none", .left_out = AUTHS_LEFT_OUT,
     .symbol = "CONFIG_CREDENTIALS_"},
    {SCHEMA_KEY("api_key_file", "With \"auth\": \"api-key\": the key."), .kind = SCHEMA_TEXT,
     SCHEMA_AT(cfg_route, api.api_key_file), .high = 400},
    {SCHEMA_KEY("token_url",
                "With \"auth\": \"oauth2\": where tokens are asked for, "
                "https://DOMAIN.auth.REGION.amazoncognito.com/oauth2/token; ca_file and proxy "
                "serve it, too. A token is renewed early, and once when it is refused."),
     .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_route, api.token_url), .high = 400},
    {SCHEMA_KEY("client_id", "With \"auth\": \"oauth2\": the client."), .kind = SCHEMA_TEXT,
     SCHEMA_AT(cfg_route, api.client_id), .high = 128},
    {SCHEMA_KEY("client_secret_file",
                "With \"auth\": \"oauth2\": the client's secret, read for each token."),
     .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_route, api.client_secret_file), .high = 400},
    {SCHEMA_KEY("scope", "With \"auth\": \"oauth2\": scopes with blanks between them; without it "
                         "all that the client has."),
     .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_route, api.scope), .high = 300},
    {SCHEMA_KEY("token_file",
                "With \"auth\": \"bearer\": the token, which another program keeps fresh."),
     .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_route, api.token_file), .high = 400},
    {SCHEMA_KEY(
         "header",
         "With \"auth\": \"header\": the header's name, as an authorizer of yours wants it."),
     .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_route, api.header), .high = 64},
    {SCHEMA_KEY("header_value_file", "With \"auth\": \"header\": the header's value."),
     .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_route, api.header_value_file), .high = 400},
    {.name = NULL},
};

static const struct schema_key partition_keys[] = {
    {SCHEMA_KEY(
         "partition",
         "How records spread over shards; or { \"field\": \"NAME\" }, { \"fixed\": \"KEY\" }. A "
         "field is a tag of the sensor, else a channel, else a member of a document at top level, "
         "which has to begin within its first 4 KB; a record without it has the sensor's name for "
         "a key. All records of a pack have its key: with sensor or field a pack ends where the "
         "next record has another, so sensors that take turns make packs of one record; even "
         "spreads packs. A program without CONFIG_PARTITION_EVEN has random for a default, 16 "
         "hexadecimal digits. With apigateway it goes with \"body\": \"records\" alone."),
     .kind = SCHEMA_PARTITION, .standard = STANDARD_PARTITION,
     .choices = "even|device|sensor|random", .left_out = PARTITIONS_LEFT_OUT,
     .symbol = "CONFIG_PARTITION_"},
    {.name = NULL},
};

static const struct schema_key pack_keys[] = {
    {SCHEMA_KEY("pack",
                "Several records as one. \"kpl\": aggregates in the form of the Kinesis Producer "
                "Library, which KCL, Lambda with the de-aggregation modules and Firehose behind a "
                "stream take apart; Kinesis alone. \"lines\": JSON lines, one record each. A pack "
                "has up to 50 KB. Kinesis bills by 25 KB, or 1 KB, of each record, Firehose by 5 "
                "KB. With apigateway it goes with \"body\": \"records\" alone."),
     .kind = SCHEMA_CHOICE, SCHEMA_AT(cfg_route, pack), .standard = "none",
     .choices = "none|kpl|lines", .left_out = PACKS_LEFT_OUT, .symbol = "CONFIG_PACK_"},
    {SCHEMA_KEY("compress",
                "Of each record, or with lines of each pack; with apigateway of the whole body "
                "(Content-Encoding), which REST APIs take and HTTP APIs hand on as it is."),
     .kind = SCHEMA_CHOICE, SCHEMA_AT(cfg_route, compress), .standard = "none",
     .choices = "none|gzip", .left_out = COMPRESSIONS_LEFT_OUT, .symbol = "CONFIG_"},
    {.name = NULL},
};

static const struct schema_key s3_keys[] = {
    {SCHEMA_KEY("bucket", "The bucket's name. The endpoint is BUCKET.s3.REGION.amazonaws.com; "
                          "where the name has dots, or \"endpoint\", $AWS_ENDPOINT_URL_S3 or "
                          "$AWS_ENDPOINT_URL is given, the bucket goes into the path. A bucket in "
                          "another region than \"region\" says so, and is found there."),
     .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_route, bucket), .required = true, .high = 63,
     .help = "the bucket's name: \"bucket\": \"telemetry-archive\""},
    {SCHEMA_KEY("prefix", "What the keys begin with: \"raw/\". Letters, digits, \"=\", \"_\", "
                          "\".\", \"-\", and a \"/\" behind each part."),
     .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_route, prefix), .high = 200},
    {SCHEMA_KEY("every", "How long a record waits for its object to fill, whatever its lane and "
                         "the age there: each object costs a PUT. A full one (batch.bytes) goes at "
                         "once, and an object never has records of two hours."),
     .kind = SCHEMA_DURATION, SCHEMA_AT(cfg_route, every_ms), .standard = "5m",
     .low = SCHEMA_SECOND_MS, .high = SCHEMA_DAY_MS},
    {SCHEMA_KEY("sse", "Encryption at rest; \"bucket\": as the bucket's default says."),
     .kind = SCHEMA_CHOICE, SCHEMA_AT(cfg_route, sse), .standard = "bucket",
     .choices = "bucket|AES256|aws:kms|aws:kms:dsse"},
    {SCHEMA_KEY("kms_key_id", "With aws:kms and aws:kms:dsse: the key's id or ARN; without it the "
                              "account's key for S3."),
     .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_route, kms_key_id), .high = 200},
    {SCHEMA_KEY("bucket_key",
                "With aws:kms: use a key of the bucket's, which asks KMS less often."),
     .kind = SCHEMA_BOOLEAN, SCHEMA_AT(cfg_route, bucket_key), .standard = "false"},
    {SCHEMA_KEY("expected_bucket_owner",
                "The account, 12 digits, whose the bucket must be; else S3 refuses."),
     .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_route, expected_bucket_owner), .high = 12},
    {SCHEMA_KEY("storage_class", "Like \"STANDARD_IA\"; without it STANDARD."), .kind = SCHEMA_TEXT,
     SCHEMA_AT(cfg_route, storage_class), .high = 40},
    {.name = NULL},
};

static const struct schema_key archive_keys[] = {
    {SCHEMA_KEY("path", "A directory on the medium. It is never made: where it is not there, the "
                        "medium is not, and the route waits. Each file is synced before it gets "
                        "its name, and its directory before the records count as delivered."),
     .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_route, path), .required = true, .high = 400,
     .help = "a directory on the medium, which is never made: \"path\": \"/media/usb/runnel\""},
    {SCHEMA_KEY("mount",
                "A mount point above it; while nothing is mounted there, nothing is written."),
     .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_route, mount), .high = 400},
    {SCHEMA_KEY(
         "size",
         "The most that this device's objects take there, in whole blocks of the medium: the "
         "oldest are deleted first, a 32nd of size at a time; not less than batch.bytes. Other "
         "files are not touched. Two agents need two names of devices there, or two directories."),
     .kind = SCHEMA_SIZE, SCHEMA_AT(cfg_route, size_bytes), .standard = "1GiB", .low = SCHEMA_MIB,
     .high = 16 * 1024 * 1024 * SCHEMA_MIB},
    {SCHEMA_KEY("every", "How long a record waits for its object to fill, as of S3. Without it 5m, "
                         "and where hold is false half of the age of a record's lane, so that it "
                         "is stored before other routes have it and it is gone."),
     .kind = SCHEMA_DURATION, SCHEMA_AT(cfg_route, every_ms), .low = SCHEMA_SECOND_MS,
     .high = SCHEMA_DAY_MS},
    {SCHEMA_KEY("hold", "Keep records until this route has delivered them. Without that nothing is "
                        "kept or written to flash for it, it gets what is still there, and what it "
                        "missed is told as a gap."),
     .kind = SCHEMA_BOOLEAN, SCHEMA_AT(cfg_route, hold), .standard = "false"},
    {.name = NULL},
};

static const struct schema_key object_batch_keys[] = {
    {SCHEMA_KEY("bytes",
                "The most in one object, before compression. CONFIG_BATCH_KIB is the limit."),
     .kind = SCHEMA_SIZE, SCHEMA_AT(cfg_route, batch_bytes), .standard = BATCH_BYTES,
     .low = SCHEMA_KIB, .high = CONFIG_BATCH_KIB * SCHEMA_KIB},
    {.name = NULL},
};
static const struct schema_table object_batch_table = {.keys = object_batch_keys};

static const struct schema_key object_keys[] = {
    {SCHEMA_KEY("compress", "Of an object's lines."), .kind = SCHEMA_CHOICE,
     SCHEMA_AT(cfg_route, compress), .standard = "gzip", .choices = "none|gzip"},
    {SCHEMA_KEY("batch", "The limit of one object."), .kind = SCHEMA_OBJECT,
     .members = &object_batch_table},
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
