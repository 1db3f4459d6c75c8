/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control/schema_parts.h"

#define DOCUMENT_BYTES (CONFIG_DOCUMENT_KIB * SCHEMA_KIB)

static const struct schema_key member_keys[] = {
    {.name = "name",
     .kind = SCHEMA_TEXT,
     SCHEMA_AT(cfg_member, name),
     .required = true,
     .high = 96,
     .help = "a channel, or a document's member: \"name\": \"a.b\""},
    {.name = "type",
     .kind = SCHEMA_CHOICE,
     SCHEMA_AT(cfg_member, type),
     .standard = "any",
     .choices = "any|number|integer|text|boolean|object|array"},
    /* whether it has to be there */
    {.name = "required",
     .kind = SCHEMA_BOOLEAN,
     SCHEMA_AT(cfg_member, is_required),
     .standard = "false"},
    /* of numbers: what may still be */
    {.name = "min", .kind = SCHEMA_DECIMAL, SCHEMA_AT(cfg_member, min)},
    {.name = "max", .kind = SCHEMA_DECIMAL, SCHEMA_AT(cfg_member, max)},
    {.name = NULL},
};
static const struct schema_table member_table = {.keys = member_keys};

static const struct schema_key sensor_keys[] = {
    {.name = "name",
     .kind = SCHEMA_NAME,
     SCHEMA_AT(cfg_coap_sensor, sensor.name),
     .required = true,
     .help = "the sensor in every record, and in the path: \"name\": \"pump-4\""},
    /* the priority of its records */
    {.name = "lane",
     .kind = SCHEMA_CHOICE,
     SCHEMA_AT(cfg_coap_sensor, sensor.lane),
     .standard = "normal",
     .choices = "alarm|normal|bulk"},
    /* which a peer may ask for instead: ?lane=alarm */
    {.name = "lanes",
     .kind = SCHEMA_LANES,
     SCHEMA_AT(cfg_coap_sensor, lanes),
     .standard = "alarm|normal|bulk"},
    /* what it may be sent in */
    {.name = "formats",
     .kind = SCHEMA_WORDS,
     SCHEMA_AT(cfg_coap_sensor, formats),
     .standard = CFG_COAP_FORMAT_WORDS,
     .choices = CFG_COAP_FORMAT_WORDS},
    /* the most of one message */
    {.name = "bytes",
     .kind = SCHEMA_SIZE,
     SCHEMA_AT(cfg_coap_sensor, bytes_max),
     .standard = SCHEMA_TEXT_OF(CONFIG_DOCUMENT_KIB) "KiB",
     .low = 1,
     .high = DOCUMENT_BYTES},
    /* what becomes of what no member names */
    {.name = "unknown",
     .kind = SCHEMA_CHOICE,
     SCHEMA_AT(cfg_coap_sensor, unknown),
     .standard = "pass",
     .choices = "pass|refuse"},
    /* what a message must say, and how */
    {.name = "members",
     .kind = SCHEMA_LIST,
     SCHEMA_AT(cfg_coap_sensor, members),
     .members = &member_table,
     .element_bytes = sizeof(struct cfg_member),
     .count_offset = offsetof(struct cfg_coap_sensor, member_count),
     .high = CFG_MEMBERS_MAX},
    /* texts that go with each record: { "site": "pump-4" } */
    {.name = "tags",
     .kind = SCHEMA_TAGS,
     SCHEMA_AT(cfg_coap_sensor, sensor.tags),
     .high = CFG_TAGS_MAX,
     .count_offset = offsetof(struct cfg_coap_sensor, sensor.tag_count)},
#ifdef CONFIG_TRANSFORMS
    /* as those of "sensors" */
    {.name = "transforms",
     .kind = SCHEMA_TRANSFORMS,
     SCHEMA_AT(cfg_coap_sensor, sensor.transforms)},
#else
    {.name = "transforms", .kind = SCHEMA_ABSENT, .symbol = "CONFIG_TRANSFORMS"},
#endif
    {.name = NULL},
};
static const struct schema_table sensor_table = {.keys = sensor_keys};

static const struct schema_key coap_keys[] = {
    /* where: "coaps://[::]:5684" with DTLS, "coap://127.0.0.1:5683" without */
    {.name = "listen",
     .kind = SCHEMA_TEXTS,
     SCHEMA_AT(cfg_coap, listen),
     .count_offset = offsetof(struct cfg_coap, listen_count),
     .high = CFG_LISTENS_MAX},
    /* which keys peers have, for coaps:// */
    {.name = "psk_file", .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_coap, psk_file), .high = 400},
    /* that coap:// may be for more than this machine */
    {.name = "plain", .kind = SCHEMA_BOOLEAN, SCHEMA_AT(cfg_coap, is_plain), .standard = "false"},
    /* messages of one peer */
    {.name = "rate",
     .kind = SCHEMA_FREQUENCY,
     SCHEMA_AT(cfg_coap, per_hour),
     .standard = "20/s",
     .low = 60,
     .high = 100000 * SCHEMA_HOUR_S},
    /* of what they carry, blocks together */
    {.name = "byte_rate",
     .kind = SCHEMA_RATE,
     SCHEMA_AT(cfg_coap, rate_bytes),
     .standard = "64KiB/s",
     .low = 16,
     .high = 1024 * SCHEMA_MIB},
    /* likewise of all peers */
    {.name = "total_rate",
     .kind = SCHEMA_FREQUENCY,
     SCHEMA_AT(cfg_coap, total_per_hour),
     .standard = "1000/s",
     .low = 60,
     .high = 100000 * SCHEMA_HOUR_S},
    {.name = "total_byte_rate",
     .kind = SCHEMA_RATE,
     SCHEMA_AT(cfg_coap, total_rate_bytes),
     .standard = "1MiB/s",
     .low = 16,
     .high = 1024 * SCHEMA_MIB},
    /* how long a message waits until it is written: then its answer goes */
    {.name = "wait",
     .kind = SCHEMA_DURATION,
     SCHEMA_AT(cfg_coap, wait_ms),
     .standard = "1s",
     .high = SCHEMA_MINUTE_MS},
    /* what peers may send; else whatever they name */
    {.name = "sensors",
     .kind = SCHEMA_LIST,
     SCHEMA_AT(cfg_coap, sensors),
     .members = &sensor_table,
     .element_bytes = sizeof(struct cfg_coap_sensor),
     .count_offset = offsetof(struct cfg_coap, sensor_count)},
    {.name = NULL},
};
const struct schema_table schema_coap = {.keys = coap_keys};
