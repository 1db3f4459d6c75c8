/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_CONTROL_STATUS_H
#define RUNNEL_AGENT_CONTROL_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drivers/sample.h"
#include "platform/base/writer.h"
#include "platform/json/json_write.h"

/**
 * What the agent says about itself. agent.c fills these plain structs from the stages, this file
 * writes them: as JSON for programs, as text for people. Sensors come one at a time through a
 * function, so that their number costs no memory here.
 *
 * Texts belong to who filled the struct and are valid while it is written; a text may be NULL
 * where that is said. Ages are in ms; STATUS_NEVER for what has not happened yet.
 */
enum { STATUS_LANES = 3, STATUS_ROUTES_MAX = 8, STATUS_WARNINGS_MAX = 16, STATUS_ANSWERS = 16 };
enum { STATUS_NEVER = -1 };

struct status_lane {
    const char *name;
    uint64_t pending; /* have a sequence number, are neither committed nor done with */
    uint64_t refused;
    uint64_t stored;
    uint64_t stored_bytes;
    int64_t oldest_age_ms; /* of what is stored or pending; 0: nothing is */
};

/** accepted = delivered + stored + dead + evicted. */
struct status_counters {
    uint64_t accepted, delivered, stored, dead, evicted;
};

struct status_route {
    const char *name;
    const char *destination;
    const char *state;        /* a word, such as "delivering", "waiting", "backing-off" */
    const char *error;        /* why it does not deliver, for people; NULL: nothing is wrong */
    bool hold;                /* records are kept for it */
    bool lanes[STATUS_LANES]; /* which of status.lanes it carries */
    struct status_counters counters[STATUS_LANES];
    uint64_t requests, retried, throttled; /* requests; records sent again; throttled replies */
    uint64_t bytes_out, bytes_in;          /* on the wire, TLS included */
    uint64_t handshakes, resumed;
    uint64_t credentials_failures; /* tries that there were no keys for */
    uint64_t dns_failures;         /* how often no name server gave an address */
    int64_t delivered_age_ms;      /* since this agent delivered the last record there */
};

struct status_sensor {
    const char *name;
    const char *driver;
    const char *error; /* the last fault, for people; NULL: the last reading was good */
    const char *lack;  /* what is missing from the last sample, which was good; NULL: nothing */
    uint64_t samples, errors;
    uint64_t missed;     /* slots of its schedule that passed unused */
    uint64_t suppressed; /* samples that its transforms made no record of */
    uint64_t unfit;      /* values that they made absent, because no mantissa holds them */
    int64_t age_ms;      /* of the last sample */
    size_t channel_count;
    struct channel channels[SAMPLE_CHANNELS_MAX];
    struct value values[SAMPLE_CHANNELS_MAX]; /* of the last sample */
};

/** The data budget of the link. */
struct status_link {
    uint64_t month_bytes;
    uint64_t limit_bytes;  /* 0: none */
    int64_t until_wall_ms; /* when the month ends; 0: not known */
    bool paused;           /* it is spent, but perhaps for what alarms have in reserve */
};

/** The certificate that expires first of those that the configuration names. */
struct status_certificate {
    const char *file; /* NULL: it names none that can be read */
    int64_t expires_ms;
    bool has_days; /* the time is known */
    int64_t days;  /* left, negative once it has expired */
};

/** Which configuration runs, and how the last trial of one ended (config_store.h). */
struct status_config {
    const char *state;         /* "main", "applied", "trial" */
    const char *origin;        /* "local", "source"; NULL: of the main file */
    const char *file;          /* "": there is none, Kconfig decides */
    const char *store;         /* the folder of what was applied */
    int64_t left_ms;           /* of the trial */
    const char *result;        /* "confirmed", "reverted"; NULL: there was no trial */
    const char *document;      /* whose trial that was: its digest; "": of the main file */
    const char *route, *error; /* of what was reverted; "": none */
};

/** Of what came since the agent started, but for what is told of now. */
struct status_coap_sensor {
    char name[SAMPLE_NAME_BYTES];
    uint64_t messages; /* that were accepted */
    uint64_t records;
    uint64_t refused; /* for want of room */
    uint64_t faults;  /* messages that were bad */
    int64_t age_ms;   /* of the last message that was accepted */
};

struct status_coap {
    const char *const *listen; /* as the configuration has them, listen_count of them */
    size_t listen_count;       /* 0: nothing is to listen, and the rest says nothing */
    const char *error;         /* why they are closed; NULL: they are open */
    uint64_t messages;         /* that came, repeats left out */
    uint64_t accepted, repeated, throttled, handshakes_failed;
    size_t sessions, waiting, transfers, identities; /* now */
    const char *codes[STATUS_ANSWERS];               /* NULL behind the last: "2.04" */
    uint64_t answers[STATUS_ANSWERS];                /* with these */

    /** Fills ret_sensor with the INDEX-th sensor; false: there is none. */
    bool (*sensor)(void *context, size_t index, struct status_coap_sensor *ret_sensor);
    void *sensor_context;
};

/** What the agent may do on its machine (platform/confine.h). */
enum { STATUS_CAPABILITIES_BYTES = 24 };
struct status_confined {
    const char *user;                             /* whose rights it has */
    char capabilities[STATUS_CAPABILITIES_BYTES]; /* "none", else their mask, hexadecimal */
    const char *seccomp;                          /* "on", "off" */
};

struct status {
    const char *device;
    const char *spool; /* its id, hexadecimal */
    const char *version;
    const char *config_id;
    struct status_config config;
    int64_t uptime_ms;
    bool healthy;
    const char *problem; /* why it is not healthy and what to look at; NULL if it is */
    const char *warnings[STATUS_WARNINGS_MAX]; /* what somebody should see to, healthy or not */
    size_t warning_count;
    bool durable;
    unsigned aside;            /* spool files that were set aside */
    const char *clock_quality; /* "synced", "corrected", "estimated" */
    int64_t clock_offset_ms;   /* wall minus CLOCK_BOOTTIME */
    int64_t counters_since_ms; /* wall time */

    struct status_lane lanes[STATUS_LANES];

    struct status_route routes[STATUS_ROUTES_MAX];
    size_t route_count;

    size_t sensor_count;
    /** Fills ret_sensor with the INDEX-th sensor; texts stay valid until the next call. */
    void (*sensor)(void *context, size_t index, struct status_sensor *ret_sensor);
    void *sensor_context;
    struct status_coap coap;

    uint64_t dead_letters, dead_bytes; /* kept now, of all routes */
    struct status_link link;
    struct status_certificate certificate;
    struct status_confined confined;
    uint64_t flash_commits, flash_bytes;         /* since the agent started */
    uint64_t flash_today_bytes;                  /* of these, since midnight in UTC */
    uint64_t flash_size_bytes, flash_used_bytes; /* of the spool file */
    uint64_t memory_rss_bytes, memory_private_bytes;
};

/** Adds a warning, a sentence or two that say what to do; NULL is none, and those that there is no
 *  room for are left out. */
void status_warn(struct status *status, const char *text);

/** VALUE as a member; one that is absent is none. */
void status_write_value(struct json_write *json, const char *key, const struct value *value);

/** One JSON object on one line, without a newline behind it (interface.md: status --json). */
void status_write_json(const struct status *status, struct writer *out);

/** For people: plain ASCII, at most 80 columns; health and its reason first. */
void status_write_text(const struct status *status, struct writer *out);

/**
 * Resident and private dirty memory (what nobody else shares and the kernel cannot drop) from PATH,
 * which is /proc/self/smaps_rollup but in tests. 0; E_DAMAGED: it does not say; fs_read_file's
 * errors.
 */
int status_measure_memory(const char *path, uint64_t *ret_rss_bytes, uint64_t *ret_private_bytes);

#endif
