/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control/schema_parts.h"

#define DOCUMENT_BYTES (CONFIG_DOCUMENT_KIB * SCHEMA_KIB)

static const struct schema_key member_keys[] = {
    {SCHEMA_KEY("name", "A channel, or a member of a document by its path: \"a.b\"."),
     .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_member, name), .required = true, .high = 96,
     .help = "a channel, or a document's member: \"name\": \"a.b\""},
    {SCHEMA_KEY("type",
                "What it has to be. What is otherwise is answered 4.00 and becomes no record."),
     .kind = SCHEMA_CHOICE, SCHEMA_AT(cfg_member, type), .standard = "any",
     .choices = "any|number|integer|text|boolean|object|array"},
    {SCHEMA_KEY("required", "Whether it has to be there."), .kind = SCHEMA_BOOLEAN,
     SCHEMA_AT(cfg_member, is_required), .standard = "false"},
    {SCHEMA_KEY("min", "The lowest number that is taken."), .kind = SCHEMA_DECIMAL,
     SCHEMA_AT(cfg_member, min)},
    {SCHEMA_KEY("max", "The highest number that is taken."), .kind = SCHEMA_DECIMAL,
     SCHEMA_AT(cfg_member, max)},
    {.name = NULL},
};
static const struct schema_table member_table = {.keys = member_keys};

static const struct schema_key sensor_keys[] = {
    {SCHEMA_KEY("name", "The sensor in every record, and SENSOR in the path /t/SENSOR."),
     .kind = SCHEMA_NAME, SCHEMA_AT(cfg_coap_sensor, sensor.name), .required = true,
     .help = "the sensor in every record, and in the path: \"name\": \"pump-4\""},
    {SCHEMA_KEY("lane", "The priority of its records."), .kind = SCHEMA_CHOICE,
     SCHEMA_AT(cfg_coap_sensor, sensor.lane), .standard = "normal", .choices = "alarm|normal|bulk"},
    {SCHEMA_KEY("lanes", "Which lanes a peer may ask for instead: /t/SENSOR?lane=alarm."),
     .kind = SCHEMA_LANES, SCHEMA_AT(cfg_coap_sensor, lanes), .standard = "alarm|normal|bulk"},
    {SCHEMA_KEY("formats", "What a message may be written in."), .kind = SCHEMA_WORDS,
     SCHEMA_AT(cfg_coap_sensor, formats), .standard = CFG_COAP_FORMAT_WORDS,
     .choices = CFG_COAP_FORMAT_WORDS},
    {SCHEMA_KEY("bytes", "The most of one message."), .kind = SCHEMA_SIZE,
     SCHEMA_AT(cfg_coap_sensor, bytes_max), .standard = SCHEMA_TEXT_OF(CONFIG_DOCUMENT_KIB) "KiB",
     .low = 1, .high = DOCUMENT_BYTES},
    {SCHEMA_KEY("unknown", "What becomes of members that are not named in \"members\": \"pass\" "
                           "records them, \"refuse\" refuses the message."),
     .kind = SCHEMA_CHOICE, SCHEMA_AT(cfg_coap_sensor, unknown), .standard = "pass",
     .choices = "pass|refuse"},
    {SCHEMA_KEY("members", "Channels, or members of a document, and what they have to be."),
     .kind = SCHEMA_LIST, SCHEMA_AT(cfg_coap_sensor, members), .members = &member_table,
     .element_bytes = sizeof(struct cfg_member),
     .count_offset = offsetof(struct cfg_coap_sensor, member_count), .high = CFG_MEMBERS_MAX},
    {SCHEMA_KEY("tags", "Texts that go with each record: { \"site\": \"pump-4\" }."),
     .kind = SCHEMA_TAGS, SCHEMA_AT(cfg_coap_sensor, sensor.tags), .high = CFG_TAGS_MAX,
     .count_offset = offsetof(struct cfg_coap_sensor, sensor.tag_count)},
#ifdef CONFIG_TRANSFORMS
    {SCHEMA_KEY("transforms", "As those of sensors with a driver."), .kind = SCHEMA_TRANSFORMS,
     SCHEMA_AT(cfg_coap_sensor, sensor.transforms)},
#else
    {.name = "transforms", .kind = SCHEMA_ABSENT, .symbol = "CONFIG_TRANSFORMS"},
#endif
    {.name = NULL},
};
static const struct schema_table sensor_table = {.keys = sensor_keys};

static const struct schema_key coap_keys[] = {
    {SCHEMA_KEY(
         "listen",
         "Where to listen: coaps://ADDRESS[:PORT] with DTLS, coap://ADDRESS[:PORT] without; ports "
         "5684 and 5683. An address is numeric, one of IPv6 in brackets; [::] is all that this "
         "machine has. A fetched configuration can name no other than the main file does."),
     .kind = SCHEMA_TEXTS, SCHEMA_AT(cfg_coap, listen),
     .count_offset = offsetof(struct cfg_coap, listen_count), .high = CFG_LISTENS_MAX},
    {SCHEMA_KEY("psk_file", "Which peers there are, with their keys; required with coaps://. It is "
                            "read again when it changes. It must belong to root or to the user of "
                            "the agent, and nobody else may read it but its group."),
     .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_coap, psk_file), .high = 400},
    {SCHEMA_KEY("plain", "Allow coap:// for more than this machine itself: whoever reaches it can "
                         "read along and write."),
     .kind = SCHEMA_BOOLEAN, SCHEMA_AT(cfg_coap, is_plain), .standard = "false"},
    {SCHEMA_KEY("rate", "How many messages a peer may send, such as \"5/m\" (a minute) or "
                        "\"90/h\". What two seconds bring may come at once, and a whole document. "
                        "Who sends more is answered 4.29 with the time to wait."),
     .kind = SCHEMA_FREQUENCY, SCHEMA_AT(cfg_coap, per_hour), .standard = "20/s", .low = 60,
     .high = 100000 * SCHEMA_HOUR_S},
    {SCHEMA_KEY("byte_rate", "How many bytes a peer may send in its messages, blocks together."),
     .kind = SCHEMA_RATE, SCHEMA_AT(cfg_coap, rate_bytes), .standard = "64KiB/s", .low = 16,
     .high = 1024 * SCHEMA_MIB},
    {SCHEMA_KEY("total_rate", "How many messages all peers together may send."),
     .kind = SCHEMA_FREQUENCY, SCHEMA_AT(cfg_coap, total_per_hour), .standard = "1000/s", .low = 60,
     .high = 100000 * SCHEMA_HOUR_S},
    {SCHEMA_KEY("total_byte_rate", "How many bytes all peers together may send in their messages."),
     .kind = SCHEMA_RATE, SCHEMA_AT(cfg_coap, total_rate_bytes), .standard = "1MiB/s", .low = 16,
     .high = 1024 * SCHEMA_MIB},
    {SCHEMA_KEY("wait", "How long a message waits, with all that come meanwhile, until it is "
                        "written and answered; also what \"runnel send\" waits. Longer spares "
                        "flash, but a peer repeats what is not answered in time."),
     .kind = SCHEMA_DURATION, SCHEMA_AT(cfg_coap, wait_ms), .standard = "1s",
     .high = SCHEMA_MINUTE_MS},
    {SCHEMA_KEY("sensors", "What peers may send; without it whatever they name, but the names of "
                           "sensors that have a driver."),
     .kind = SCHEMA_LIST, SCHEMA_AT(cfg_coap, sensors), .members = &sensor_table,
     .element_bytes = sizeof(struct cfg_coap_sensor),
     .count_offset = offsetof(struct cfg_coap, sensor_count)},
    {.name = NULL},
};
const struct schema_table schema_coap = {.keys = coap_keys};
