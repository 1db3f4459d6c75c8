/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control/schema.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/control/nearest.h"
#include "agent/control/schema_parts.h"
#include "platform/base/error.h"
#include "platform/base/parse.h"

/* The spool is mapped into memory whole: 32-bit address space is short of it (FORMAT.md). */
#if UINTPTR_MAX > 0xffffffff
#define SPOOL_SIZE_MAX (1024 * 1024 * SCHEMA_MIB)
#else
#define SPOOL_SIZE_MAX (256 * SCHEMA_MIB)
#endif

#ifdef CONFIG_CREDENTIALS_ENV
#define NO_ENV ""
#else
#define NO_ENV "|env"
#endif
#ifdef CONFIG_CREDENTIALS_FILE
#define NO_FILE ""
#else
#define NO_FILE "|file"
#endif
#ifdef CONFIG_CREDENTIALS_IOT
#define NO_IOT ""
#else
#define NO_IOT "|iot"
#endif
#ifdef CONFIG_CREDENTIALS_CONTAINER
#define NO_CONTAINER ""
#else
#define NO_CONTAINER "|container"
#endif
#ifdef CONFIG_CREDENTIALS_IMDS
#define NO_IMDS ""
#else
#define NO_IMDS "|imds"
#endif
#ifdef CONFIG_CREDENTIALS_WEB_IDENTITY
#define NO_WEB_IDENTITY ""
#else
#define NO_WEB_IDENTITY "|web_identity"
#endif
/* The first word is nobody's. */
#define PROVIDERS_LEFT_OUT " " NO_ENV NO_FILE NO_IOT NO_CONTAINER NO_IMDS NO_WEB_IDENTITY

#define LANE_TABLE(lane, full_standard, window_standard, age_standard)                             \
    static const struct schema_key lane##_keys[] = {                                               \
        {SCHEMA_KEY("full", "What gives way when the spool is full."), .kind = SCHEMA_CHOICE,      \
         SCHEMA_AT(cfg_lane_setup, full), .standard = full_standard,                               \
         .choices = "drop-oldest|drop-newest|refuse"},                                             \
        {SCHEMA_KEY("window", "The longest time that a sample may exist only in RAM; \"0s\": it "  \
                              "is written at once."),                                              \
         .kind = SCHEMA_DURATION, SCHEMA_AT(cfg_lane_setup, window_ms),                            \
         .standard = window_standard, .high = SCHEMA_DAY_MS},                                      \
        {SCHEMA_KEY("age",                                                                         \
                    "How long a record may wait for a batch to fill. While window is longer than " \
                    "age + 10s and the link is up, nothing is written to flash."),                 \
         .kind = SCHEMA_DURATION, SCHEMA_AT(cfg_lane_setup, age_ms), .standard = age_standard,     \
         .high = SCHEMA_DAY_MS},                                                                   \
        {SCHEMA_KEY("share",                                                                       \
                    "Of the spool when it is full; lanes without one divide the rest equally."),   \
         .kind = SCHEMA_PERCENT, SCHEMA_AT(cfg_lane_setup, share_percent), .low = 1, .high = 100}, \
        {.name = NULL},                                                                            \
    };                                                                                             \
    static const struct schema_table lane##_table = {.keys = lane##_keys}

LANE_TABLE(alarm, "refuse", "0s", "0s");
LANE_TABLE(normal, "drop-oldest", "75s", "60s");
LANE_TABLE(bulk, "drop-oldest", "10m", "5m");

static const struct schema_key lanes_keys[] = {
    {SCHEMA_KEY("alarm", "Few and important: written at once, sent at once, refused when nothing "
                         "else is left to give way."),
     .kind = SCHEMA_OBJECT, SCHEMA_AT(cfg_spool, lanes[CFG_LANE_ALARM]), .members = &alarm_table},
    {SCHEMA_KEY("normal", "Readings. While the link is up they never touch flash."),
     .kind = SCHEMA_OBJECT, SCHEMA_AT(cfg_spool, lanes[CFG_LANE_NORMAL]), .members = &normal_table},
    {SCHEMA_KEY("bulk", "Many and patient."), .kind = SCHEMA_OBJECT,
     SCHEMA_AT(cfg_spool, lanes[CFG_LANE_BULK]), .members = &bulk_table},
    {.name = NULL},
};
static const struct schema_table lanes_table = {.keys = lanes_keys};

static const struct schema_key spool_keys[] = {
    {SCHEMA_KEY("path", "The state directory, on flash that survives a reboot; without it "
                        "/var/lib/runnel. $RUNNEL_STATE goes before it."),
     .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_spool, path), .high = 400},
    {SCHEMA_KEY(
         "size",
         "The size of the spool file, which is made at once and in full. A larger "
         "size is taken at the next start or reload, a smaller one once what is stored fits. "
         "On 32-bit machines at most 256MiB."),
     .kind = SCHEMA_SIZE, SCHEMA_AT(cfg_spool, size_bytes), .standard = CONFIG_SPOOL_SIZE,
     .low = 256 * SCHEMA_KIB, .high = SPOOL_SIZE_MAX},
    {SCHEMA_KEY("ack_window", "How long an acknowledgement of a server may exist only in RAM: "
                              "after a crash, so much may be sent twice."),
     .kind = SCHEMA_DURATION, SCHEMA_AT(cfg_spool, ack_window_ms), .standard = "30s",
     .high = 10 * SCHEMA_MINUTE_MS},
    {SCHEMA_KEY("dead",
                "How much of the spool dead letters may take, see runnel(1); the oldest give way."),
     .kind = SCHEMA_PERCENT, SCHEMA_AT(cfg_spool, dead_percent), .standard = CONFIG_SPOOL_DEAD,
     .low = 1, .high = 50},
    {SCHEMA_KEY("lanes", "The three priorities, each with limits of its own."),
     .kind = SCHEMA_OBJECT, .members = &lanes_table},
    {SCHEMA_KEY("volatile", "Allow a state directory in RAM (tmpfs, ramfs, or an overlay on one). "
                            "Nothing is durable there: what is stored is lost with the power. "
                            "Without it the agent does not start there."),
     .kind = SCHEMA_BOOLEAN, SCHEMA_AT(cfg_spool, is_volatile), .standard = "false"},
    {SCHEMA_KEY("mount", "The mount point that the state directory lies below, such as \"/data\". "
                         "While nothing is mounted there the agent ends with 1 and writes nothing, "
                         "so that a service manager tries again."),
     .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_spool, mount), .high = 400},
    {.name = NULL},
};
static const struct schema_table spool_table = {.keys = spool_keys};

static const struct schema_key sensor_keys[] = {
    {SCHEMA_KEY("name", "The sensor in every record. \"runnel\" is the agent's own."),
     .kind = SCHEMA_NAME, SCHEMA_AT(cfg_sensor, name), .required = true,
     .help = "the sensor in every record: \"name\": \"board\""},
    {SCHEMA_KEY("driver", "What reads it; the drivers and their own keys are below."),
     .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_sensor, driver_name), .required = true,
     .help = "what reads it: \"driver\": \"proc\""},
    {SCHEMA_KEY("interval", "From sample to sample, without drift. Of gpio and can it has no "
                            "default: without it each edge or frame is a record."),
     .kind = SCHEMA_DURATION, SCHEMA_AT(cfg_sensor, interval_ms), .standard = "10s", .low = 10,
     .high = 31 * SCHEMA_DAY_MS},
    {SCHEMA_KEY("timeout", "How long the hardware may take to answer."), .kind = SCHEMA_DURATION,
     SCHEMA_AT(cfg_sensor, timeout_ms), .standard = "5s", .low = 10, .high = 10 * SCHEMA_MINUTE_MS},
    {SCHEMA_KEY("lane", "The priority of its records."), .kind = SCHEMA_CHOICE,
     SCHEMA_AT(cfg_sensor, lane), .standard = "normal", .choices = "alarm|normal|bulk"},
    {SCHEMA_KEY("tags", "Texts that go with each record: { \"site\": \"pump-4\" }."),
     .kind = SCHEMA_TAGS, SCHEMA_AT(cfg_sensor, tags), .high = CFG_TAGS_MAX,
     .count_offset = offsetof(struct cfg_sensor, tag_count)},
#ifdef CONFIG_TRANSFORMS
    {SCHEMA_KEY("transforms",
                "What changes its samples before they become records, in this order; see below."),
     .kind = SCHEMA_TRANSFORMS, SCHEMA_AT(cfg_sensor, transforms)},
#else
    {.name = "transforms", .kind = SCHEMA_ABSENT, .symbol = "CONFIG_TRANSFORMS"},
#endif
    {.name = NULL},
};
static const struct schema_table sensor_table = {.keys = sensor_keys, .open = true};

static const struct schema_key credentials_keys[] = {
    {SCHEMA_KEY("provider",
                "\"chain\": the first of env, web_identity, file, iot (if its members are "
                "written), container and imds that is configured here. \"env\": the AWS_* "
                "variables. \"file\": the shared files. \"iot\": AWS IoT Core's credentials "
                "provider, for the device's certificate. \"container\": the endpoint that ECS, EKS "
                "or Greengrass names. \"imds\": the role of an EC2 instance. \"web_identity\": "
                "STS, for an OIDC token in a file. Temporary keys are asked for again some 15 "
                "minutes before they expire, or when a quarter of their life is left, and are used "
                "until they do expire. Without any, records wait in the spool."),
     .kind = SCHEMA_CHOICE, SCHEMA_AT(cfg_credentials, provider), .required = true,
     .choices = "chain|env|file|iot|container|imds|web_identity", .absent = "oauth2",
     .why_absent = "gives tokens, which sign nothing; write \"auth\": \"oauth2\" at a route with "
                   "\"destination\": \"apigateway\"",
     .left_out = PROVIDERS_LEFT_OUT, .symbol = "CONFIG_CREDENTIALS_",
     .help = "\"chain\" tries what there is: environment, web identity, files, IoT, container, "
             "EC2"},
    {SCHEMA_KEY("profile", "With chain and file: the profile in the shared file; without it "
                           "$AWS_PROFILE, else \"default\". One that names a role (role_arn) is "
                           "not assumed: write that at the route, and here its source_profile."),
     .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_credentials, profile), .high = 100},
    {SCHEMA_KEY("file", "With chain and file: the shared file; without it "
                        "$AWS_SHARED_CREDENTIALS_FILE, else $CREDENTIALS_DIRECTORY/aws-credentials "
                        "if it is there, then ~/.aws/credentials and /etc/runnel/credentials."),
     .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_credentials, file), .high = 400},
    {SCHEMA_KEY(
         "endpoint",
         "With iot, where it is required, and chain: "
         "https://PREFIX.credentials.iot.REGION.amazonaws.com, which \"aws iot describe-endpoint "
         "--endpoint-type iot:CredentialProvider\" tells. With web_identity: that of STS; without "
         "it $AWS_ENDPOINT_URL_STS, $AWS_ENDPOINT_URL, else the region's."),
     .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_credentials, endpoint), .high = 300},
    {SCHEMA_KEY("role_alias", "With iot, where it is required, and chain: the role alias."),
     .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_credentials, role_alias), .high = 128},
    {SCHEMA_KEY(
         "thing",
         "With iot and chain: the thing that the certificate is attached to, where the policy asks "
         "for one. ${thing} is this name in the credentials called \"default\"."),
     .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_credentials, thing), .high = 128},
    {SCHEMA_KEY("cert_file", "With iot, where it is required, and chain: PEM, the device's "
                             "certificate. \"runnel identity\", see runnel(1), makes the key and "
                             "installs both, there or elsewhere. It is read again each time."),
     .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_credentials, cert_file), .high = 400},
    {SCHEMA_KEY("key_file",
                "With iot, where it is required, and chain: PEM, the key of the certificate, read "
                "again each time. A key that others may write is refused, one that everybody may "
                "read gets a warning; while it is missing the route waits."),
     .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_credentials, key_file), .high = 400},
    {SCHEMA_KEY("ca_file", "With iot, chain and web_identity: PEM, whom to trust; without it "
                           "$AWS_CA_BUNDLE, else as for a route."),
     .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_credentials, ca_file), .high = 400},
#ifdef CONFIG_HTTP_PROXY
    {SCHEMA_KEY("proxy", "With iot, chain and web_identity: an HTTP proxy, as that of a route."),
     .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_credentials, proxy_url)},
#else
    {.name = "proxy", .kind = SCHEMA_ABSENT, .symbol = "CONFIG_HTTP_PROXY"},
#endif
    {SCHEMA_KEY("role_arn", "With web_identity: the role; without it $AWS_ROLE_ARN."),
     .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_credentials, role_arn), .high = 400},
    {SCHEMA_KEY("session_name", "With web_identity: what the session is called; without it "
                                "$AWS_ROLE_SESSION_NAME, else the device's name."),
     .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_credentials, session_name), .high = 64},
    {SCHEMA_KEY("token_file",
                "With web_identity: the OIDC token; without it $AWS_WEB_IDENTITY_TOKEN_FILE."),
     .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_credentials, token_file), .high = 400},
    {SCHEMA_KEY("region", "With web_identity: where STS is asked; without it $AWS_REGION, else "
                          "that of the first route that uses it."),
     .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_credentials, region), .high = 40},
    {.name = NULL},
};
static const struct schema_table credentials_table = {.keys = credentials_keys,
                                                      .selector = "provider"};

static const struct schema_key link_keys[] = {
    {SCHEMA_KEY("rate", "Bytes a second, both ways together. A request then carries no more than "
                        "what the link takes half a minute for."),
     .kind = SCHEMA_RATE, SCHEMA_AT(cfg_link, rate_bytes), .low = 256, .high = 1024 * SCHEMA_MIB},
    {SCHEMA_KEY("month",
                "Bytes a month, both ways together. When it is spent, nothing new is sent before "
                "the next month but alarms: the routes are in the state paused, which is no fault. "
                "A request that is under way is not cut off; requests are kept so small that those "
                "leave enough of the reserve. Where the time is not known, a route that waits asks "
                "its endpoint for it, by a request without records, and again every six hours."),
     .kind = SCHEMA_SIZE, SCHEMA_AT(cfg_link, month_bytes), .low = SCHEMA_MIB,
     .high = 1024 * 1024 * SCHEMA_MIB},
    {SCHEMA_KEY(
         "reset_day",
         "The day on which a month begins, at 00:00 UTC; in a month with fewer days its last."),
     .kind = SCHEMA_INTEGER, SCHEMA_AT(cfg_link, reset_day), .standard = "1", .low = 1, .high = 31},
    {SCHEMA_KEY(
         "alarm_reserve",
         "How much of the month only the lane alarm may spend. \"0%\": then alarms wait, too."),
     .kind = SCHEMA_PERCENT, SCHEMA_AT(cfg_link, alarm_reserve_percent), .standard = "10%",
     .high = 90},
    {.name = NULL},
};
static const struct schema_table link_table = {.keys = link_keys};

#ifdef CONFIG_CONFIG_SOURCE
static const struct schema_key source_keys[] = {
    {SCHEMA_KEY("source",
                "\"s3://BUCKET/KEY\", such as \"s3://fleet/${thing}.json\", at most 64 KiB; "
                "without it nothing is fetched. s3:GetObject on it is needed, and s3:ListBucket so "
                "that an object that is not there is told from one that is forbidden."),
     .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_source, url)},
    {SCHEMA_KEY("interval", "How often it is looked at, at random a quarter earlier or later."),
     .kind = SCHEMA_DURATION, SCHEMA_AT(cfg_source, interval_ms), .standard = "1h",
     .low = SCHEMA_SECOND_MS, .high = 7 * SCHEMA_DAY_MS},
    {SCHEMA_KEY("confirm", "How long a trial of what it says takes at most."),
     .kind = SCHEMA_DURATION, SCHEMA_AT(cfg_source, confirm_ms), .standard = "15m",
     .low = 10 * SCHEMA_SECOND_MS, .high = 7 * SCHEMA_DAY_MS},
    {SCHEMA_KEY("credentials", "A name of \"credentials\"."), .kind = SCHEMA_NAME,
     SCHEMA_AT(cfg_source, credentials_name), .standard = "default"},
    {SCHEMA_KEY("region", "Of the bucket; without it as the AWS tools find it."),
     .kind = SCHEMA_TEXT, SCHEMA_AT(cfg_source, region), .high = 40},
    {SCHEMA_KEY("endpoint", "Instead of S3's."), .kind = SCHEMA_TEXT,
     SCHEMA_AT(cfg_source, endpoint.url), .high = 300},
    {SCHEMA_KEY("ca_file", "PEM, whom to trust; without it as for a route."), .kind = SCHEMA_TEXT,
     SCHEMA_AT(cfg_source, ca_file), .high = 400},
#ifdef CONFIG_HTTP_PROXY
    {SCHEMA_KEY("proxy", "An HTTP proxy, as that of a route."), .kind = SCHEMA_TEXT,
     SCHEMA_AT(cfg_source, proxy_url)},
#else
    {.name = "proxy", .kind = SCHEMA_ABSENT, .symbol = "CONFIG_HTTP_PROXY"},
#endif
    {.name = NULL},
};
static const struct schema_table source_table = {.keys = source_keys};
#endif

static const struct schema_key root_keys[] = {
    {SCHEMA_KEY("device", "What this machine is called in every record. A name that many machines "
                          "have until somebody names them, such as localhost or raspberrypi, is "
                          "warned of: two of them cannot be told apart."),
     .kind = SCHEMA_TEXT, SCHEMA_AT(config, device), .standard = CONFIG_DEVICE, .high = 128},
    {SCHEMA_KEY(
         "alarm_after",
         "How long data may be due without any being delivered before the agent is not healthy. A "
         "pause of the data budget does not count, nor a route with \"hold\": false."),
     .kind = SCHEMA_DURATION, SCHEMA_AT(config, alarm_after_ms), .standard = "15m",
     .low = SCHEMA_SECOND_MS, .high = 7 * SCHEMA_DAY_MS},
    {SCHEMA_KEY("health", "How often the agent records how it is, the first time five minutes "
                          "after its start, or as often if that is sooner; from \"1s\" on, or "
                          "\"0s\": never. See RECORDS OF THE AGENT in runnel.json(5)."),
     .kind = SCHEMA_DURATION, SCHEMA_AT(config, health_ms), .standard = CONFIG_HEALTH_INTERVAL,
     .high = 7 * SCHEMA_DAY_MS},
    {SCHEMA_KEY("events",
                "How long something must last, or the agent run, before it records what happened: "
                "its start, sensors, routes and keys that fail or are well again, steps of the "
                "clock; from \"1s\" on, or \"0s\": nothing. See RECORDS OF THE AGENT in "
                "runnel.json(5)."),
     .kind = SCHEMA_DURATION, SCHEMA_AT(config, events_ms), .standard = CONFIG_EVENTS_AFTER,
     .high = SCHEMA_DAY_MS},
    {SCHEMA_KEY("spool", "The durable buffer."), .kind = SCHEMA_OBJECT, SCHEMA_AT(config, spool),
     .members = &spool_table},
    {SCHEMA_KEY(
         "sensors",
         "What is measured; without it the drivers of CONFIG_SENSORS run with their defaults."),
     .kind = SCHEMA_LIST, SCHEMA_AT(config, sensors), .members = &sensor_table,
     .element_bytes = sizeof(struct cfg_sensor),
     .count_offset = offsetof(struct config, sensor_count)},
    {SCHEMA_KEY("routes",
                "Where it goes; without it Kinesis, to the stream CONFIG_STREAM in CONFIG_REGION."),
     .kind = SCHEMA_LIST, SCHEMA_AT(config, routes), .members = &schema_route,
     .element_bytes = sizeof(struct cfg_route),
     .count_offset = offsetof(struct config, route_count), .high = CFG_ROUTES_MAX},
    {SCHEMA_KEY("credentials",
                "Named sources of AWS keys, of which \"default\", the chain, need not be written."),
     .kind = SCHEMA_MAP, SCHEMA_AT(config, credentials), .members = &credentials_table,
     .element_bytes = sizeof(struct cfg_credentials),
     .count_offset = offsetof(struct config, credentials_count)},
#ifdef CONFIG_COAP
    {SCHEMA_KEY("coap", "Peers that hand in their readings by CoAP; without it nothing listens."),
     .kind = SCHEMA_OBJECT, SCHEMA_AT(config, coap), .members = &schema_coap},
#else
    {.name = "coap", .kind = SCHEMA_ABSENT, .symbol = "CONFIG_COAP"},
#endif
    {SCHEMA_KEY("link", "The data budget that all routes share; without it there is no limit."),
     .kind = SCHEMA_OBJECT, SCHEMA_AT(config, link), .members = &link_table},
#ifdef CONFIG_CONFIG_SOURCE
    {SCHEMA_KEY("config", "Where this configuration is fetched from."), .kind = SCHEMA_OBJECT,
     SCHEMA_AT(config, source), .members = &source_table},
#else
    {.name = "config", .kind = SCHEMA_ABSENT, .symbol = "CONFIG_CONFIG_SOURCE"},
#endif
    {.name = NULL},
};
const struct schema_table schema_root = {.keys = root_keys};

static const struct schema_key *find_among(const struct schema_key *keys, const char *name)
{
    for (const struct schema_key *key = keys; key->name != NULL; key++)
        if (strcmp(key->name, name) == 0)
            return key;
    return NULL;
}

const struct schema_key *schema_find(const struct schema_table *table, const char *name)
{
    const struct schema_key *found = find_among(table->keys, name);
    const struct schema_part *part = table->parts;
    for (; found == NULL && part != NULL && part->only != NULL; part++)
        found = find_among(part->keys, name);
    return found;
}

const char *schema_only(const struct schema_table *table, const char *name, const char *choice)
{
    if (find_among(table->keys, name) != NULL)
        return NULL;
    const char *only = NULL;
    for (const struct schema_part *part = table->parts; part != NULL && part->only != NULL; part++)
        if (find_among(part->keys, name) != NULL) {
            if (schema_choice(part->only, choice) >= 0)
                return NULL;
            only = part->only;
        }
    return only;
}

/* ---- scalars ---- */

/* Takes the next word off "a|b|c"; NULL behind the last. */
static const char *next_word(const char **words, size_t *ret_count)
{
    const char *word = *words;
    if (word == NULL)
        return NULL;
    *ret_count = strcspn(word, "|");
    *words = word[*ret_count] == '|' ? word + *ret_count + 1 : NULL;
    return word;
}

int schema_choice(const char *words, const char *text)
{
    size_t count = 0;
    const char *word = NULL;
    for (int place = 0; (word = next_word(&words, &count)) != NULL; place++)
        if (strlen(text) == count && memcmp(word, text, count) == 0)
            return place;
    return -1;
}

/* Appends WORDS with commas between them to WHY and returns the bytes used. */
static int list_words(const char *words, char *why, int used)
{
    const char *word = NULL;
    size_t count = 0;
    while ((word = next_word(&words, &count)) != NULL && used < SCHEMA_WHY_BYTES)
        used += snprintf(why + used, (size_t)(SCHEMA_WHY_BYTES - used), "%.*s%s", (int)count, word,
                         words == NULL ? "" : ", ");
    return used;
}

static void why_choice(const struct schema_key *key, const char *text, char *why)
{
    const char *words = key->choices;
    const char *word = NULL;
    size_t count = 0;
    struct nearest nearest;
    int used = list_words(words, why, snprintf(why, SCHEMA_WHY_BYTES, "is none of "));
    nearest_start(&nearest, text);
    while ((word = next_word(&words, &count)) != NULL)
        nearest_offer(&nearest, word, count);
    const char *best = nearest_result(&nearest);
    const char *quote = key->kind == SCHEMA_INTEGER ? "" : "\"";
    if (used >= SCHEMA_WHY_BYTES)
        return;
    if (best != NULL && strlen(text) > 1)
        (void)snprintf(why + used, (size_t)(SCHEMA_WHY_BYTES - used), "; did you mean %s%s%s?",
                       quote, best, quote);
    else
        (void)snprintf(why + used, (size_t)(SCHEMA_WHY_BYTES - used), "; choose one of them");
}

static void why_absent(const struct schema_key *key, char *why)
{
    if (key->why_absent != NULL) {
        (void)snprintf(why, SCHEMA_WHY_BYTES, "%s", key->why_absent);
        return;
    }
    (void)list_words(key->choices, why,
                     snprintf(why, SCHEMA_WHY_BYTES, "is not available in this version; choose "));
}

static void why_left_out(const struct schema_key *key, const char *text, char *why)
{
    int used = snprintf(why, SCHEMA_WHY_BYTES, "is not in this program; enable %s", key->symbol);
    for (; *text != '\0' && used + 1 < SCHEMA_WHY_BYTES; text++)
        why[used++] = (char)(*text >= 'a' && *text <= 'z' ? *text - 'a' + 'A' : *text);
    why[used] = '\0';
}

void schema_why(const struct schema_key *key, const char *text, char why[SCHEMA_WHY_BYTES])
{
    static const char *const whys[] = {
        [SCHEMA_TEXT] = "is not a text; write it in double quotes",
        [SCHEMA_NAME] = "is not a name; use 1 to 31 letters, digits, \"_\", \".\" and \"-\"",
        [SCHEMA_DURATION] = "is not a duration; write it like \"10s\"",
        [SCHEMA_SIZE] = "is not a size; write it like \"64KiB\"",
        [SCHEMA_RATE] = "is not a rate; write it like \"16KiB/s\"",
        [SCHEMA_FREQUENCY] = "is not so many in a time; write it like \"20/s\", \"5/m\" or \"9/h\"",
        [SCHEMA_INTEGER] = "is not a whole number; write it like 5",
        [SCHEMA_DECIMAL] = "is not a number; write it like 0.5",
        [SCHEMA_PERCENT] = "is not a percentage; write it like \"50%\"",
        [SCHEMA_BOOLEAN] = "is neither true nor false; write it without quotes",
        [SCHEMA_LANES] = "is not a list of lanes; write it like [ \"alarm\", \"normal\" ]",
        [SCHEMA_WORDS] = "is not a list of words; write it like [ \"min\", \"max\" ]",
        [SCHEMA_TEXTS] = "is not a list; write it in brackets",
        [SCHEMA_TRANSFORMS] = "is not a list; write it in brackets",
        [SCHEMA_TAGS] = "is not an object of texts; write it like { \"site\": \"pump-4\" }",
        [SCHEMA_OBJECT] = "is not an object; write it in braces",
        [SCHEMA_LIST] = "is not a list; write it in brackets",
        [SCHEMA_MAP] = "is not an object; write it in braces",
    };
    if (key->kind == SCHEMA_CHOICE || key->kind == SCHEMA_PARTITION)
        why_choice(key, text, why);
    else
        (void)snprintf(why, SCHEMA_WHY_BYTES, "%s", whys[key->kind]);
}

static void print_number(enum schema_kind kind, int64_t number, char *text, size_t text_bytes)
{
    static const struct {
        enum schema_kind kind;
        int64_t unit;
        const char *name;
    } units[] = {
        {SCHEMA_DURATION, SCHEMA_DAY_MS, "d"},
        {SCHEMA_DURATION, SCHEMA_MINUTE_MS, "m"},
        {SCHEMA_DURATION, SCHEMA_SECOND_MS, "s"},
        {SCHEMA_DURATION, 1, "ms"},
        {SCHEMA_SIZE, 1024 * SCHEMA_MIB, "GiB"},
        {SCHEMA_SIZE, SCHEMA_MIB, "MiB"},
        {SCHEMA_SIZE, SCHEMA_KIB, "KiB"},
        {SCHEMA_PERCENT, 1, "%"},
        {SCHEMA_RATE, SCHEMA_MIB, "MiB/s"},
        {SCHEMA_RATE, 1, "/s"},
        {SCHEMA_FREQUENCY, SCHEMA_HOUR_S, "/s"},
        {SCHEMA_FREQUENCY, SCHEMA_MINUTE_S, "/m"},
        {SCHEMA_FREQUENCY, 1, "/h"},
    };
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (units[i].kind == kind && number != 0 && number % units[i].unit == 0) {
            (void)snprintf(text, text_bytes, "%" PRId64 "%s", number / units[i].unit,
                           units[i].name);
            return;
        }
    (void)snprintf(text, text_bytes, "%" PRId64 "%s", number, kind == SCHEMA_DURATION ? "s" : "");
}

static int check_range(const struct schema_key *key, int64_t number, char *why)
{
    char low[32];
    char high[32];
    if ((key->low == 0 && key->high == 0) || (number >= key->low && number <= key->high))
        return 0;
    print_number(key->kind, key->low, low, sizeof low);
    print_number(key->kind, key->high, high, sizeof high);
    (void)snprintf(why, SCHEMA_WHY_BYTES, "is out of range; choose from %s to %s", low, high);
    return E_RANGE;
}

/* A number with choices is one of them. */
static int check_number(const struct schema_key *key, const char *text, int64_t number, char *why)
{
    if (key->choices == NULL)
        return check_range(key, number, why);
    if (schema_choice(key->choices, text) >= 0)
        return 0;
    why_choice(key, text, why);
    return E_RANGE;
}

static int parse_percent(const char *text, size_t count, int64_t *ret_number)
{
    uint64_t number = 0;
    if (count < 2 || text[count - 1] != '%')
        return E_SYNTAX;
    int rc = parse_unsigned(text, count - 1, &number);
    if (rc == 0)
        *ret_number = number > 1000 ? 1000 : (int64_t)number;
    return rc;
}

static int parse_size(const char *text, size_t count, int64_t *ret_number)
{
    uint64_t size = 0;
    int rc = parse_size_bytes(text, count, &size);
    if (rc == 0)
        *ret_number = size > INT64_MAX ? INT64_MAX : (int64_t)size;
    return rc;
}

static int parse_rate(const char *text, size_t count, int64_t *ret_number)
{
    if (count < 2 || memcmp(text + count - 2, "/s", 2) != 0)
        return E_SYNTAX;
    return parse_size(text, count - 2, ret_number);
}

/* "20/s" as so many an hour, in which all of them are whole. */
static int parse_frequency(const char *text, size_t count, int64_t *ret_number)
{
    static const char units[] = "hms";
    static const int64_t times[] = {1, SCHEMA_MINUTE_S, SCHEMA_HOUR_S};
    uint64_t number = 0;
    const char *unit = count < 3 ? NULL : strchr(units, text[count - 1]);
    if (unit == NULL || text[count - 2] != '/')
        return E_SYNTAX;
    int rc = parse_unsigned(text, count - 2, &number);
    if (rc == 0)
        *ret_number = number > INT32_MAX ? INT64_MAX : (int64_t)number * times[unit - units];
    return rc;
}

static int parse_number(enum schema_kind kind, const char *text, int64_t *ret_number)
{
    size_t count = strlen(text);
    unsigned decimals = 0;
    switch (kind) {
    case SCHEMA_DURATION:
        return parse_duration_ms(text, count, ret_number);
    case SCHEMA_PERCENT:
        return parse_percent(text, count, ret_number);
    case SCHEMA_DECIMAL:
        return parse_decimal(text, count, ret_number, &decimals);
    case SCHEMA_SIZE:
        return parse_size(text, count, ret_number);
    case SCHEMA_RATE:
        return parse_rate(text, count, ret_number);
    case SCHEMA_FREQUENCY:
        return parse_frequency(text, count, ret_number);
    default:
        return parse_signed(text, count, ret_number);
    }
}

static bool is_name(const char *text)
{
    size_t count = parse_name_bytes(text);
    return count > 0 && count < CFG_NAME_BYTES && text[count] == '\0';
}

static int check_text(const struct schema_key *key, const char *text, char *why)
{
    size_t count = strlen(text);
    if (count == 0) {
        (void)snprintf(why, SCHEMA_WHY_BYTES, "is empty; write something or leave the key out");
        return E_RANGE;
    }
    if (key->high != 0 && count > (size_t)key->high) {
        (void)snprintf(why, SCHEMA_WHY_BYTES, "is too long; use at most %" PRId64 " bytes",
                       key->high);
        return E_RANGE;
    }
    for (size_t i = 0; i < count; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) {
            (void)snprintf(why, SCHEMA_WHY_BYTES, "contains a control character; remove it");
            return E_SYNTAX;
        }
    return 0;
}

static int parse_choice(const struct schema_key *key, const char *text, char *why,
                        struct schema_value *ret_value)
{
    int place = schema_choice(key->choices, text);
    if (schema_choice(key->left_out, text) >= 0) {
        why_left_out(key, text, why);
        return E_UNSUPPORTED;
    }
    if (place >= 0) {
        ret_value->number = place;
        return 0;
    }
    if (schema_choice(key->absent, text) >= 0) {
        why_absent(key, why);
        return E_UNSUPPORTED;
    }
    why_choice(key, text, why);
    return E_SYNTAX;
}

static int parse_boolean(const struct schema_key *key, const char *text, char *why,
                         struct schema_value *ret_value)
{
    if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0) {
        schema_why(key, text, why);
        return E_SYNTAX;
    }
    ret_value->flag = text[0] == 't';
    return 0;
}

int schema_parse(const struct schema_key *key, const char *text, char why[SCHEMA_WHY_BYTES],
                 struct schema_value *ret_value)
{
    struct schema_value value = {.text = text};
    int rc = 0;
    if (key->kind == SCHEMA_CHOICE)
        rc = parse_choice(key, text, why, &value);
    else if (key->kind == SCHEMA_BOOLEAN)
        rc = parse_boolean(key, text, why, &value);
    else if (key->kind == SCHEMA_TEXT)
        rc = check_text(key, text, why);
    else {
        rc = key->kind == SCHEMA_NAME ? (is_name(text) ? 0 : E_SYNTAX)
                                      : parse_number(key->kind, text, &value.number);
        if (rc == E_RANGE)
            (void)snprintf(why, SCHEMA_WHY_BYTES, "%s",
                           key->kind == SCHEMA_DECIMAL
                               ? "has more digits than can be kept exactly; use at most 18"
                               : "is out of range; choose a smaller number");
        else if (rc < 0)
            schema_why(key, text, why);
        else if (key->kind != SCHEMA_NAME && key->kind != SCHEMA_DECIMAL)
            rc = check_number(key, text, value.number, why);
    }
    if (rc == 0)
        *ret_value = value;
    return rc;
}
