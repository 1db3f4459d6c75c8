/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_CONTROL_CONFIG_H
#define RUNNEL_AGENT_CONTROL_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "drivers/driver.h"
#include "platform/fs.h"

/**
 * The configuration, resolved: defaults filled in, ${...} replaced, the environment and Kconfig
 * consulted. What may be written is the table in schema.c. Enumerators begin with CFG_ because
 * CONFIG_ belongs to Kconfig.
 *
 * Precedence, highest first: the command line (config_options), RUNNEL_* variables, fragments,
 * FILE, AWS_* and proxy variables, the shared AWS config file (the region), Kconfig. Fragments are
 * what ends in .json in the directory that is called like FILE with .d for .json
 * (/etc/runnel/runnel.d), in alphabetical order. Objects merge by key, sensors, coap.sensors and
 * routes by name; null deletes. A document that was applied (config_store.h) takes FILE's place,
 * below the fragments; where the state directory is, FILE, its fragments and the environment say
 * alone.
 */

enum cfg_lane { CFG_LANE_ALARM, CFG_LANE_NORMAL, CFG_LANE_BULK, CFG_LANES };
enum cfg_full { CFG_FULL_DROP_OLDEST, CFG_FULL_DROP_NEWEST, CFG_FULL_REFUSE };
enum cfg_destination {
    CFG_DESTINATION_KINESIS,
    CFG_DESTINATION_FIREHOSE,
    CFG_DESTINATION_APIGATEWAY,
    CFG_DESTINATION_S3,
    CFG_DESTINATION_ARCHIVE,
};
enum cfg_order { CFG_ORDER_FIFO, CFG_ORDER_FRESH_FIRST, CFG_ORDER_STRICT };
enum cfg_partition {
    CFG_PARTITION_EVEN,
    CFG_PARTITION_DEVICE,
    CFG_PARTITION_SENSOR,
    CFG_PARTITION_RANDOM,
    CFG_PARTITION_FIXED, /* partition_key */
    CFG_PARTITION_FIELD, /* its name is partition_key */
};
enum cfg_format { CFG_FORMAT_JSON, CFG_FORMAT_RAW, CFG_FORMAT_SENML };
enum cfg_layout { CFG_LAYOUT_NESTED, CFG_LAYOUT_FLAT };
enum cfg_pack { CFG_PACK_NONE, CFG_PACK_KPL, CFG_PACK_LINES };
enum cfg_compress { CFG_COMPRESS_NONE, CFG_COMPRESS_GZIP };
/* CFG_SSE_BUCKET: as the bucket says. */
enum cfg_sse { CFG_SSE_BUCKET, CFG_SSE_AES256, CFG_SSE_KMS, CFG_SSE_KMS_DSSE };
enum cfg_provider {
    CFG_PROVIDER_CHAIN,
    CFG_PROVIDER_ENV,
    CFG_PROVIDER_FILE,
    CFG_PROVIDER_IOT,
    CFG_PROVIDER_CONTAINER,
    CFG_PROVIDER_IMDS,
    CFG_PROVIDER_WEB_IDENTITY,
    /* Those of a route alone, of which tokens sign nothing: */
    CFG_PROVIDER_OAUTH2,
    CFG_PROVIDER_TOKEN_FILE,
    CFG_PROVIDER_ASSUME_ROLE,
};
enum cfg_auth {
    CFG_AUTH_IAM,
    CFG_AUTH_API_KEY,
    CFG_AUTH_OAUTH2,
    CFG_AUTH_BEARER,
    CFG_AUTH_HEADER,
    CFG_AUTH_NONE
};
enum cfg_body { CFG_BODY_RECORDS, CFG_BODY_LINES, CFG_BODY_ARRAY, CFG_BODY_SINGLE };
enum cfg_success { CFG_SUCCESS_PER_RECORD, CFG_SUCCESS_STATUS };

/** Who had a document applied (config_store.h). */
enum cfg_origin {
    CFG_ORIGIN_LOCAL,  /* root: it takes the main file's place, but for "spool.path" */
    CFG_ORIGIN_SOURCE, /* fetched: "device", "credentials" and "config" stay the main file's as
                          well; none of these may occur in it, and it names no file that the main
                          file and its fragments do not name */
};
/** What is read in the main file's place. */
enum cfg_layer {
    CFG_LAYER_RUN,   /* what is on trial, else what was confirmed, else nothing */
    CFG_LAYER_GOOD,  /* what was confirmed, else nothing */
    CFG_LAYER_MAIN,  /* nothing */
    CFG_LAYER_OFFER, /* config_options.offer */
};
enum cfg_state { CFG_STATE_MAIN, CFG_STATE_APPLIED, CFG_STATE_TRIAL };

enum { CFG_ROUTES_MAX = 8, CFG_NAME_BYTES = 32, CFG_TAGS_MAX = 16 };

/** The sensor of the agent's own records; no other has its name. */
#define CFG_OWN_SENSOR "runnel"

struct cfg_lane_setup {
    enum cfg_full full;
    int64_t window_ms;
    int64_t age_ms;
    unsigned share_percent; /* lanes that name none divide equally what the others leave */
};

struct cfg_spool {
    const char *path; /* RUNNEL_STATE, spool.path, $STATE_DIRECTORY or CONFIG_SPOOL_PATH */
    uint64_t size_bytes;
    bool is_volatile;  /* the state directory may lie in RAM */
    const char *mount; /* where something must be mounted, or NULL */
    int64_t ack_window_ms;
    unsigned dead_percent; /* for dead letters */
    int64_t wait_ms;       /* how long somebody who waits for durability waits at most */
    struct cfg_lane_setup lanes[CFG_LANES];
};

/** The data budget that all routes share; 0 bytes: no limit. */
struct cfg_link {
    uint64_t rate_bytes; /* a second */
    uint64_t month_bytes;
    unsigned reset_day; /* 1 to 31 */
    unsigned alarm_reserve_percent;
};

struct cfg_tag {
    const char *name;
    const char *value;
};

/* In the order of enum chain_kind and its kin (agent/transform/chain.h). */
enum cfg_transform_kind {
    CFG_TRANSFORM_SCALE,
    CFG_TRANSFORM_RENAME,
    CFG_TRANSFORM_UNIT,
    CFG_TRANSFORM_DEADBAND,
    CFG_TRANSFORM_SUMMARIZE,
    CFG_TRANSFORM_RATE,
    CFG_TRANSFORM_FLATTEN,
    CFG_TRANSFORM_REDACT,
    CFG_TRANSFORM_TAG,
    CFG_TRANSFORM_FILTER,
    CFG_TRANSFORM_ALARM,
    CFG_TRANSFORMS
};
enum cfg_keep { CFG_KEEP_LAST, CFG_KEEP_FIRST };
enum cfg_separator { CFG_DOT, CFG_UNDERSCORE, CFG_SLASH, CFG_DASH, CFG_COLON };
enum cfg_action { CFG_ACTION_DROP, CFG_ACTION_MASK, CFG_ACTION_HMAC };
enum cfg_operator { CFG_LT, CFG_LE, CFG_EQ, CFG_NE, CFG_GE, CFG_GT };
enum cfg_verdict { CFG_VERDICT_KEEP, CFG_VERDICT_DROP };
enum { CFG_FUNCTIONS = 6, CFG_CHANNELS_MAX = 32 };

/** Which keys go with which kind says schema_transform.c; what is not said is NULL or 0. Numbers
 *  are kept as they are spelt, because no binary one is the same. */
struct cfg_transform {
    enum cfg_transform_kind kind;
    const char *channel;
    const char *factor, *offset, *decimals;
    const char *from, *to;
    const struct cfg_tag *channels;
    size_t channel_count;
    const char *unit;
    const char *delta, *percent;
    int64_t interval_ms; /* of a dead band: its heartbeat */
    bool functions[CFG_FUNCTIONS];
    enum cfg_keep keep;
    enum cfg_separator separator;
    enum cfg_action action;
    const char *key_file;
    const char *name;
    const char *tag_value;
    enum cfg_operator comparison;
    const char *value, *text;
    enum cfg_verdict verdict;
    const char *above, *below, *hysteresis;
};

struct cfg_sensor {
    const char *name;
    const char *driver_name;
    const struct driver *driver;
    int64_t interval_ms;
    int64_t timeout_ms;
    enum cfg_lane lane;
    const struct cfg_tag *tags;
    size_t tag_count;
    const struct cfg_transform *transforms;
    size_t transform_count;
    const struct driver_setting *settings; /* checked against driver->keys */
    size_t setting_count;
};

/** What a document's member, or a channel, of a CoAP sensor has to be, in the order of enum
 *  validate_type (agent/intake/validate.h). */
enum cfg_member_type {
    CFG_MEMBER_ANY,
    CFG_MEMBER_NUMBER,
    CFG_MEMBER_INTEGER,
    CFG_MEMBER_TEXT,
    CFG_MEMBER_BOOLEAN,
    CFG_MEMBER_OBJECT,
    CFG_MEMBER_ARRAY,
};
struct cfg_member {
    const char *name; /* "a.b" */
    enum cfg_member_type type;
    bool is_required;
    const char *min, *max; /* as they are spelt; NULL: none */
};

#define CFG_COAP_FORMAT_WORDS "text|octets|json|cbor|senml-json|senml-cbor"
enum { CFG_COAP_FORMATS = 6, CFG_MEMBERS_MAX = 32, CFG_LISTENS_MAX = 8 };
enum cfg_unknown { CFG_UNKNOWN_PASS, CFG_UNKNOWN_REFUSE };

/** A sensor whose peers decide when, and what with: of SENSOR there is no driver, nor what goes
 * with one. */
struct cfg_coap_sensor {
    struct cfg_sensor sensor;       /* comes first */
    bool lanes[CFG_LANES];          /* that may be asked for */
    bool formats[CFG_COAP_FORMATS]; /* in the order of the words */
    uint64_t bytes_max;             /* of a message */
    enum cfg_unknown unknown;       /* members that are not named */
    struct cfg_member *members;     /* at most CFG_MEMBERS_MAX */
    size_t member_count;
};

struct cfg_listen {
    const char *host; /* a numeric address, IPv6 without brackets */
    uint16_t port;
    bool secure;  /* coaps:// */
    bool exposed; /* coap://, and not only to this machine */
};

struct cfg_coap {
    const char *const *listen;                  /* as they are written, listen_count of them */
    size_t listen_count;                        /* 0: nothing listens */
    struct cfg_listen listens[CFG_LISTENS_MAX]; /* what they say */
    const char *psk_file;                       /* NULL: no listener is secure */
    bool is_plain;                              /* listeners may be exposed */
    uint64_t per_hour;                          /* messages of a peer */
    uint64_t rate_bytes;                        /* of a peer, a second */
    uint64_t total_per_hour;
    uint64_t total_rate_bytes;
    int64_t wait_ms; /* has become spool.wait_ms */
    struct cfg_coap_sensor *sensors;
    size_t sensor_count; /* 0: any name is a sensor */
};

struct cfg_proxy {
    const char *host; /* a name or an address, IPv6 without brackets; NULL: there is none */
    uint16_t port;
    const char *user;     /* NULL: without authentication */
    const char *password; /* a secret: never shown */
};

struct cfg_endpoint {
    const char *url;
    bool tls;         /* false only towards loopback */
    const char *host; /* likewise */
    uint16_t port;
    struct cfg_proxy proxy; /* by which it is reached */
};

struct cfg_credentials {
    const char *name;
    enum cfg_provider provider;
    const char *profile; /* NULL: AWS_PROFILE, else "default" */
    const char *file;    /* NULL: AWS_SHARED_CREDENTIALS_FILE, else ~/.aws/credentials */
    const char *endpoint;
    const char *proxy_url;   /* as it is written: has a secret */
    struct cfg_endpoint iot; /* host NULL: not asked */
    const char *role_alias;
    const char *thing;
    const char *cert_file;
    const char *key_file;
    const char *ca_file;     /* NULL: as tls_options has it */
    struct cfg_endpoint sts; /* of web identities and roles; host NULL: no region is known */
    const char *role_arn;    /* these NULL: as the AWS_* variables say */
    const char *session_name;
    const char *token_file;
    const char *region;                   /* where STS is asked; of a role always known */
    const struct cfg_credentials *source; /* what a role is assumed with; else NULL */
    const char *external_id;              /* of a role, or NULL */
    struct cfg_endpoint oauth2;           /* url: without its query */
    const char *oauth2_path;
    const char *oauth2_query; /* NULL: none */
    const char *client_id;
    const char *client_secret_file;
    const char *scope;
    bool with_blanks; /* what token_file holds */
};

/** Where the configuration is fetched from. */
struct cfg_source {
    const char *url; /* as it is written; NULL: nowhere */
    const char *bucket;
    const char *key;
    int64_t interval_ms;
    int64_t confirm_ms;
    const char *region;
    struct cfg_endpoint endpoint;
    bool path_style;     /* the bucket goes into the path, the endpoint has none */
    bool endpoint_built; /* from the region, and may be from another one */
    const char *ca_file;
    const char *proxy_url; /* as it is written: has a secret */
    const char *credentials_name;
    const struct cfg_credentials *credentials;
};

/** An API behind API Gateway; the URL without its query is the route's endpoint.url. */
struct cfg_api {
    const char *url;
    const char *path;
    const char *query; /* NULL: none */
    const char *host;
    const char *api_id;
    enum cfg_body body;
    enum cfg_success success;
    enum cfg_auth auth;
    const char *api_key_file;
    const char *token_url;
    const char *client_id;
    const char *client_secret_file;
    const char *scope;
    const char *token_file;
    const char *header;
    const char *header_value_file;
};

/** Which keys go with which destination says schema_route.c. */
struct cfg_route {
    const char *name;
    enum cfg_destination destination;
    bool lanes[CFG_LANES];
    bool hold;
    int64_t time_wait_ms;
    int64_t start_delay_ms;
    enum cfg_format format;
    enum cfg_layout layout;
    enum cfg_pack pack;
    enum cfg_compress compress; /* of a record, of a pack, or of an object */
    enum cfg_order order;
    unsigned backlog_share; /* of fresh-first: percent */
    enum cfg_partition partition;
    const char *partition_key;
    unsigned batch_records;
    uint64_t batch_bytes;
    const char *region;
    const char *stream;     /* its name, also where an ARN was given */
    const char *stream_arn; /* or NULL */
    struct cfg_endpoint endpoint;
    bool account_endpoint; /* of Kinesis: the account's own */
    int64_t every_ms;      /* how long a record waits for its object; 0: half of its lane's age */
    const char *bucket;
    const char *prefix;  /* of keys, or NULL */
    bool path_style;     /* the bucket goes into the path, the endpoint has none */
    bool endpoint_built; /* from the region, and may be from another one */
    enum cfg_sse sse;
    const char *kms_key_id; /* these NULL: not said */
    bool bucket_key;
    const char *expected_bucket_owner;
    const char *storage_class;
    const char *path;  /* of an archive */
    const char *mount; /* where something must be mounted for it, or NULL */
    uint64_t size_bytes;
    const char *ca_file;   /* NULL: as tls_options has it */
    const char *cert_file; /* NULL: none; key_file likewise */
    const char *key_file;
    const char *proxy_url; /* as it is written: has a secret */
    const char *credentials_name;
    const struct cfg_credentials *credentials; /* NULL: none are needed */
    const char *role_arn;                      /* NULL: none; it has become credentials */
    const char *external_id;
    struct cfg_api api;
};

/** All strings live as long as the configuration. */
struct config {
    const char *file;         /* that was read, or "" if there was none and Kconfig decided alone */
    const char *const *files; /* all that count: FILE or what has its place, then its fragments */
    size_t file_count;
    enum cfg_state state;
    enum cfg_origin origin; /* of what was applied */
    const char *main_file;  /* that, or whose place it has; "": there is none */
    const char *main_digest;
    bool main_changed; /* since it was applied */
    const char *device;
    const char *device_warning; /* what is wrong with that name, and what helps; NULL: nothing */
    int64_t alarm_after_ms;     /* data that waits so long is unhealthy */
    int64_t health_ms;          /* how often the agent records how it is; 0: never */
    int64_t events_ms;          /* it records what has lasted so long; 0: nothing */
    struct cfg_spool spool;
    struct cfg_link link;
    struct cfg_source source;
    struct cfg_coap coap;
    struct cfg_sensor *sensors; /* that have a driver */
    size_t sensor_count;
    struct cfg_route *routes; /* at least one, at most CFG_ROUTES_MAX */
    size_t route_count;
    struct cfg_credentials *credentials; /* "default" is among them */
    size_t credentials_count;
    struct config_place *places; /* if they were asked for */
    struct config_pool *pool;    /* owns everything above */
};

/** A document that is to be applied, for CFG_LAYER_OFFER. */
struct config_offered {
    const char *name; /* in faults */
    const char *text;
    size_t count;
    enum cfg_origin origin;
};

struct config_options {
    const char *path; /* -c, or NULL: RUNNEL_CONFIG, else /etc/runnel/runnel.json */
    const char *root; /* put before the paths in /etc, /proc, /sys and /var; NULL: "" */
    const char *(*get_variable)(void *context, const char *name); /* NULL: getenv(3) */
    void *context;
    FILE *faults; /* one line per fault or warning; NULL: none */
    enum cfg_layer layer;
    const struct config_offered *offer;
    bool places; /* note where each value comes from, for config_place; else only those of
                    ${file:...} */
};

/**
 * Reads and checks the whole configuration. Every fault (the first 50) becomes a line
 * `FILE:LINE:COL: KEY: what is wrong; remedy` in options->faults; no secret is ever in one.
 * A missing file is a fault if it was asked for by name; else Kconfig's defaults are the
 * configuration. 0; E_CONFIG: there were faults; E_AGAIN: there were none but what may come by
 * itself: the file of RUNNEL_CONFIG or of a ${file:...}, the interface of a ${mac:...};
 * E_NO_MEMORY.
 */
int config_load(const struct config_options *options, struct config **ret_config);

/**
 * Where the state directory is by what can be read of FILE, its fragments and the environment,
 * whatever else is wrong with them, which is said by config_load. E_TOO_BIG; E_NO_MEMORY.
 */
int config_find_state(const struct config_options *options, char ret_path[FS_PATH_BYTES]);

/** Where a value comes from. */
struct config_place {
    const void *address;
    const char *where;   /* "FILE:LINE", or the name of a variable */
    unsigned column;     /* 0: of a variable */
    const char *key;     /* "sensors[0].interval"; NULL: of a variable */
    const char *written; /* with its ${file:...}, whose content is nobody's to see; else NULL */
    const struct config_place *next;
};

/** Of the value at ADDRESS (config_walk.h), or NULL: it is a default. */
const struct config_place *config_place(const struct config *config, const void *address);

/** NULL is allowed. */
void config_free(struct config *config);

/** What would run, for people: one line per lane, sensor and route. */
void config_print(const struct config *config, FILE *to);

/** What was applied in the main file's place, if anything was: a line or two. */
void config_print_applied(const struct config *config, FILE *to);

/** "alarm", "normal", "bulk". */
const char *config_lane_name(enum cfg_lane lane);

/** Whether SENSOR is read each interval; false: it hands a sample over when it speaks. */
bool config_sensor_at_interval(const struct cfg_sensor *sensor);

/** "local", "source". */
const char *config_origin_name(enum cfg_origin origin);

/** "kinesis", "firehose", ... as in runnel.json. */
const char *config_destination_name(enum cfg_destination destination);

/** Whether a batch becomes an object there, which S3 and an archive store. */
bool config_makes_objects(const struct cfg_route *route);

/** x-amz-server-side-encryption, or NULL. */
const char *config_sse_name(enum cfg_sse sse);

/** "chain", "env", ... as in runnel.json. */
const char *config_provider_name(enum cfg_provider provider);

/** "iam", "api-key", ... as in runnel.json. */
const char *config_auth_name(enum cfg_auth auth);

/** "records", "lines", ... as in runnel.json. */
const char *config_body_name(enum cfg_body body);

#endif
