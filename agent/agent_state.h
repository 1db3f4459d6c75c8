/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_AGENT_STATE_H
#define RUNNEL_AGENT_AGENT_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "agent/agent.h"
#include "agent/agent_tell.h"
#include "agent/agent_trial.h"
#include "agent/batch/inspect.h"
#include "agent/control/control.h"
#include "agent/control/status.h"
#include "agent/intake/collect.h"
#include "agent/spool/spool.h"
#include "agent/uplink/uplink.h"
#include "platform/confine.h"
#include "platform/fs.h"
#include "platform/json/json_write.h"

/** What the files agent*.c share; nobody else includes it. */
enum { RESTARTS_MAX = 3 }; /* in a time that agent.c knows */
enum { SENDERS_MAX = 64, CONFIG_ID_BYTES = 17, SPOOL_ID_TEXT_BYTES = 17, USER_AGENT_BYTES = 32 };

/** What is known about the time: the kernel's word, and what endpoints' Dates said. Offsets are
 *  those of the wall clock against the boot clock, by which instants are told. Zeros, and
 *  AGENT_CLOCK_LOCK, to begin with. */
#define AGENT_CLOCK_LOCK PTHREAD_MUTEX_INITIALIZER
struct agent_clock {
    pthread_mutex_t lock; /* the rest is agent_clock.c's */
    int64_t asked_ms;     /* when the kernel was asked last, 0: never; and what was so then: */
    int64_t asked_offset_ms;
    bool kernel_synced;
    bool has_date;
    int64_t date_ms; /* when one came last */
    int64_t date_offset_ms;
    bool has_trusted;
    int64_t trusted_ms; /* when somebody vouched for it last */
    int64_t trusted_offset_ms;
    bool contradicted;        /* kernel and Date have different times: that is in the log */
    const struct stop *watch; /* signalled when a reading is other than the one before: */
    enum time_quality last_quality;
    int64_t last_offset_ms;
};

/** The service manager's, or the kernel's where there is none; main's alone. */
struct agent_watchdog {
    int64_t every_ms; /* it is fed so often: half of its patience; 0: there is none */
    unsigned alarm_s; /* the kernel's patience, alarm(2); 0: a service manager is there */
    int64_t next_ms;
    bool late; /* a thread is, and it is in the log */
};

/** Until when the certificates are valid that the configuration names (agent_certificate.c). */
enum { AGENT_CERTIFICATES_MAX = 16 };
struct agent_certificate {
    const char *path;
    struct fs_mark mark; /* of what was read last */
    bool readable;
    int64_t not_after_ms;
    int told_days; /* the last step that is in the log */
};
struct agent_certificates {
    pthread_mutex_t lock;
    struct agent_certificate files[AGENT_CERTIFICATES_MAX];
    size_t count;
    int64_t next_ms; /* when main looks again (clock_mono_ms) */
};

/** A name under which documents were sent. */
struct sender {
    char name[CFG_NAME_BYTES];
    enum lane lane;
    uint32_t sensor;
};

/** A named source of keys, shared by the routes that use it. */
struct agent_credentials {
    const struct cfg_credentials *config;
    struct credentials_provider *cache;
    struct progress progress; /* of the cache's thread, if it has one */
    struct stop stop;         /* a copy, with that in it, for the sources that the thread asks */
};

/** What the main thread said of a configuration, for whoever asked on the control socket. */
struct config_reply {
    bool is_known;
    int code;
    char *text; /* from malloc; NULL: nothing */
    size_t given;
};

/** What somebody on the control socket wants to know of the sensors. */
struct agent_asking {
    bool is_list;
    bool is_told;
    size_t index;            /* of the one that is read */
    struct collect_ask *ask; /* NULL: a stream, which is waited for */
    uint64_t heard;          /* of the stream: samples, errors and refusals when that began */
    int64_t deadline_ms;     /* clock_mono_ms */
    int64_t wait_ms;
};

struct agent {
    const struct config *config;
    struct confinement confinement; /* since the start of the program */
    struct agent_clock clock;
    struct agent_watchdog watchdog;
    struct events events; /* that no commit has taken along yet */
    int64_t started_ms;
    struct agent_certificates certificates;
    int64_t health_ms; /* when the next record of it is due; 0: not decided */
    char config_id[CONFIG_ID_BYTES];
    char spool_id[SPOOL_ID_TEXT_BYTES];
    char user_agent[USER_AGENT_BYTES];
    bool storage_durable;
    bool start_failed;     /* and why is in the log */
    bool stop_failed;      /* what was not on flash yet is lost */
    struct stop attention; /* the main thread is to look at the next one, and at trial.ask */
    atomic_bool damaged;   /* the spool's file is: said by the thread that commits */
    bool damage_seen;      /* by the main thread: the stages are to be opened again */
    struct agent_trial trial;
    struct agent_tell tell;
    bool has_rescued; /* the last spool left something to the next one: */
    struct spool_rescued rescued;
    int64_t restarts_ms[RESTARTS_MAX]; /* when, one after the other */
    unsigned restarts;
    struct spool *spool;
    struct collect_sensor *sensors; /* config->sensor_count of them */
    struct tag *tags;
    struct agent_transform **transforms; /* likewise; NULL: the sensor has none */
    struct collect *collect;
    struct agent_coap *coap;                                      /* NULL: nothing listens */
    struct driver_agent asked;                                    /* by drivers, about this agent */
    struct agent_credentials credentials[2 * CFG_ROUTES_MAX + 2]; /* those that a route uses, and */
    size_t credentials_count;     /* before a role what it is assumed
                                     with */
    struct stop credentials_stop; /* of the conversations of all of them */
    struct link *link;            /* the budget that they share */
    struct uplink *uplinks[CFG_ROUTES_MAX];
    struct agent_source *source; /* NULL: nothing is fetched */
    struct control *control;
    struct stop stop; /* of intake and control; routes and the spool have their own */
    int signal_fd;
    struct sender senders[SENDERS_MAX]; /* the rest is the control thread's */
    size_t sender_count;
    struct collect_status sensor_status; /* of the sensor that is being told about */
    struct spool_ticket tickets[CONFIG_CONTROL_CONNECTIONS];
    bool waiting[CONFIG_CONTROL_CONNECTIONS];
    struct inspect inspects[CONFIG_CONTROL_CONNECTIONS];
    struct agent_asking askings[CONFIG_CONTROL_CONNECTIONS];
    struct config_reply reply;
};

/* ---- agent_transform.c ---- */

struct agent_transform;

/** Makes the chain of SENSOR; NULL where it has no transforms. A key that cannot be read is said,
 * and the sensor then fails to open. E_NO_MEMORY. */
int agent_transform_open(struct agent *agent, const struct cfg_sensor *sensor,
                         struct agent_transform **ret_transform);

/** NULL of NULL. */
const struct intake_transform *agent_transform_face(const struct agent_transform *transform);

/** NULL is allowed. */
void agent_transform_close(struct agent_transform *transform);

/* ---- agent_coap.c, where Kconfig did not leave out COAP: peers that hand in their readings. Where
 * nothing listens, nothing of it happens ---- */

enum { AGENT_COAP_FAULT_BYTES = 272 };

/** The sockets, and what stands between them and the spool, which is open. FAULT may say why not.
 * What fails and may be mended from outside is tried again (agent_coap_look), but in a trial. What
 * handin_open and coap_door_open return. What is open is the caller's in any case. */
int agent_coap_open(struct agent *agent, char fault[AGENT_COAP_FAULT_BYTES]);

/** E_NO_MEMORY, error_sys. */
int agent_coap_start(struct agent *agent);

/** Opens and starts what could not be opened before. Returns when to come back (clock_mono_ms);
 *  INT64_MAX: never. The main thread's, between start and stop. */
int64_t agent_coap_look(struct agent *agent);

/** Before the spool is stopped, which gets what transforms held. False if its thread still runs at
 *  DEADLINE_MS. */
bool agent_coap_stop(struct agent *agent, int64_t deadline_ms);
void agent_coap_close(struct agent *agent);

/** For the watchdog, as progress_late_ms. */
int64_t agent_coap_late_ms(const struct agent *agent, int64_t now_ms);

struct agent_status;
/** With its warnings. Between open and close; any thread. */
void agent_coap_fill_status(struct agent *agent, struct agent_status *now);

/* ---- agent.c ---- */

/** What an uplink is opened with, its keys left out; the destination is the caller's. As dest_open,
 *  and ret_options->dest is NULL on failure. */
int agent_route_prepare(struct agent *agent, const struct cfg_route *config,
                        struct uplink_options *ret_options);

/* ---- agent_change.c ---- */

/** Says in the log and to OUT, a line each, what TO has otherwise than FROM, which runs. 0;
 *  E_NO_MEMORY. */
int agent_change_tell(const struct config *from, const struct config *to, FILE *out);

/* ---- agent_confine.c: what the program may still do ---- */

/** Before the first thread, and before anything is written: as confine, where root becomes the
 *  owner of the state directory, or of the nearest folder above it that is there. Warns where more
 *  holds than should, at each start again. */
int agent_confine(struct agent *agent);

struct status_confined;
void agent_confine_fill_status(const struct agent *agent, struct status_confined *ret_confined);

/* ---- agent_clock.c ---- */

/** For spool_options.clock; CONTEXT is the struct agent_clock. */
void agent_clock_read(void *context, struct spool_clock_reading *ret_reading);

/** The Date of an authenticated reply. Likewise. */
void agent_clock_learn(void *context, int64_t offset_ms);

/** "synced", "corrected", "estimated". */
const char *agent_clock_quality(struct agent_clock *clock);
const char *agent_clock_quality_name(enum time_quality quality);

/** From now on STOP is signalled when a reading has another quality than the one before, or an
 *  offset that is more than seconds off; NULL: nobody is. */
void agent_clock_watch(struct agent_clock *clock, const struct stop *stop);

/** Whether two offsets are the same but for what a Date leaves open. */
bool agent_clock_agree(int64_t offset_ms, int64_t other_ms);

/** Whether the kernel calls its clock synchronised, and is believed. */
bool agent_clock_vouched(struct agent_clock *clock);

/** What was trusted at BOOT_MS of this boot, before the agent started. */
void agent_clock_recall(struct agent_clock *clock, int64_t boot_ms, int64_t offset_ms);

/* ---- agent_time.c: CONTEXT is the struct agent ---- */

/** For uplink_options.on_date. */
void agent_time_learn(void *context, int64_t offset_ms);

/** Whether records of this boot can be given their time. Waits for nothing. Any thread. */
bool agent_time_known(void *context);

/** Whether the kernel vouches for the time, and no Date contradicts it. Likewise. */
bool agent_time_vouched(void *context);

/** For tls_options.wall_ms: what is trusted, else the system's clock if it can be believed. */
int64_t agent_time_wall(void *context, bool *ret_known);

/** After spool_open: what this boot knew of the time before a restart of the agent. */
void agent_time_recall(struct agent *agent);

/* ---- agent_credentials.c ---- */

/** The cache over what CONFIG names, and before it the one over its source if it is a role; who
 *  has the same CONFIG gets the same. E_NO_MEMORY,
 *  E_TOO_BIG, error_sys. */
int agent_credentials_open(struct agent *agent, const struct cfg_credentials *config,
                           struct credentials_provider **ret_credentials);

/** The IoT provider of CONFIG alone, whose conversations listen to STOP. CONFIG outlives it.
 *  E_NOT_FOUND: it has none; E_NO_MEMORY. */
int agent_credentials_open_iot(struct agent *agent, const struct cfg_credentials *config,
                               const struct stop *stop, struct credentials_provider **ret_provider);

/** As the HTTP client wants it. */
struct http_proxy agent_credentials_proxy(const struct cfg_proxy *proxy);

/** Starts the threads of those that ask over a network. E_NO_MEMORY, error_sys. */
int agent_credentials_start(struct agent *agent);

/** Ends all waiting and all asking; false if a thread still runs at DEADLINE_MS. May be called
 *  again. */
bool agent_credentials_stop(struct agent *agent, int64_t deadline_ms);

/** When no route uses them any more. */
void agent_credentials_close(struct agent *agent);

/* ---- agent_alarm.c: what happened to the spool, as a record of the sensor "runnel" ---- */

/** Between the opening of the routes and the start of the spool: tells of a spool that was found on
 *  other hardware, and of a file that was set aside in this run, if one was. */
void agent_alarm_other_hardware(struct agent *agent);
void agent_alarm_set_aside(struct agent *agent);

/** For spool_options.on_salvaged; CONTEXT is the struct agent. */
void agent_alarm_salvaged(void *context, const struct spool_salvaged *salvaged);

/* ---- agent_note.c: the agent's own records, which the sensor CFG_OWN_SENSOR has ---- */

enum { AGENT_NOTE_BYTES = 1536 };

/** What they tell of: agent_event.def. */
enum agent_event {
#define AGENT_EVENT(symbol, name, members, meaning) AGENT_EVENT_##symbol,
#include "agent/agent_event.def"
#undef AGENT_EVENT
};

/** A document {"event":NAME,...}: whoever began it writes its members with json. */
struct agent_note {
    struct json_write json;
    struct writer text;
    uint8_t bytes[AGENT_NOTE_BYTES];
    enum lane lane;    /* where it is, once it was sent */
    uint64_t sequence; /* 0: it was not */
};

void agent_note_begin(struct agent_note *note, enum agent_event event);

/** A member: TEXT as the log has it (log_value), cut to some 200 bytes. */
void agent_note_write_text(struct agent_note *note, const char *key, const char *text);

/** Ends it. E_TOO_BIG. */
int agent_note_end(struct agent_note *note);

/** Hands it, once it is ended, to the spool, as spool_append: to as many lanes as are to have it.
 */
int agent_note_put(struct agent *agent, struct agent_note *note, enum lane lane, int64_t wait_ms);

/** Both, for one lane. */
int agent_note_send(struct agent *agent, struct agent_note *note, enum lane lane, int64_t wait_ms);

/** Likewise, in the lane that alarms have; nobody is told where no route has any. A failure is
 *  logged. */
void agent_note_alarm(struct agent *agent, struct agent_note *note);

/* ---- agent_lanes.c ---- */

/** A bit for each lane (1 << LANE) in which a record has to be put so that every route that holds
 *  gets it: once if there are such lanes. Of the routes that do not hold if none does. */
unsigned agent_lanes_for_all(const struct config *config);

/* ---- agent_health.c: that this device lives, and how, as a record ---- */

/** Records it if it is time to. Returns when to come back (clock_mono_ms); INT64_MAX: never. The
 *  main thread's, between start and stop of the stages. */
int64_t agent_health_look(struct agent *agent);

/** As driver_agent.look; CONTEXT is the struct agent, whose stages are open. Any thread. */
void agent_health_fill(void *context, struct driver_health *ret_health);

/* ---- agent_tell.c: what happens, as records, where that is news. Troubles are looked at, not
 * heard of: whoever is in one says so only to have main look, and what went by meanwhile is counted
 * ---- */

/** Behind the opening of the stages: from now on what changes is compared with how it is now.
 *  E_NO_MEMORY; what is open is the caller's in any case. */
int agent_tell_open(struct agent *agent);

/** Likewise of what was not opened. */
void agent_tell_close(struct agent *agent);

/** For collect_options.on_trouble and the like: something is news. CONTEXT is the struct agent. Any
 *  thread. */
void agent_tell_attract(void *context);

/** Records what has lasted for config.events_ms, as far as the quotas let it. Returns when to come
 *  back (clock_mono_ms); INT64_MAX: when something is news. The main thread's, between start and
 *  stop of the stages. */
int64_t agent_tell_look(struct agent *agent);

/* ---- agent_certificate.c: how long the device is who it is ---- */

/** With each configuration: which certificates it names. */
void agent_certificate_open(struct agent *agent);

/** Looks at them once an hour, and says in the log when one has 60, 30 or 7 days left, each of the
 *  last days, and that it has expired. Returns when to come back (clock_mono_ms); INT64_MAX: never.
 *  The main thread's. */
int64_t agent_certificate_look(struct agent *agent);

/** The one that expires first, as its file is now. Any thread. */
void agent_certificate_fill_status(struct agent *agent, struct status_certificate *ret_certificate);

/** What an operator should know of it, in TEXT; NULL: nothing. */
enum { AGENT_CERTIFICATE_WARNING_BYTES = 640 };
const char *agent_certificate_warning(const struct status_certificate *certificate,
                                      char text[AGENT_CERTIFICATE_WARNING_BYTES]);

/* ---- agent_link.c: the data budget, whose count lies in the spool's directory ---- */

/** Behind the opening of the spool, whose lock guards the directory. What link_open returns. */
int agent_link_open(struct agent *agent);

/** Once no route sends any more. */
void agent_link_save(struct agent *agent);

void agent_link_fill_status(struct agent *agent, struct status_link *ret_link);

/* ---- agent_watchdog.c: WATCHDOG_USEC, sd_watchdog_enabled(3). Without NOTIFY_SOCKET nobody would
 * look after us: SIGALRM, which nothing but main leaves unblocked, ends us instead ---- */

/** Before the stages are opened, which are told how long their threads may sleep. */
void agent_watchdog_open(struct agent *agent);

/** Feeds it if it is time to and every thread of the stages, which are started, keeps its deadline.
 *  Returns when to come back (clock_mono_ms); INT64_MAX: there is no watchdog. */
int64_t agent_watchdog_look(struct agent *agent);

/** Feeds it once while the stages are taken down or up. */
void agent_watchdog_feed(struct agent *agent);

/* ---- agent_scratch.c ---- */

/** A spool in RAM alone, in a directory of its own that holds nothing but its lock. */
struct agent_scratch {
    char directory[64];
    struct spool *spool;
};

/** Where it is made: TMPDIR, else /tmp. */
const char *agent_scratch_parent(void);

/** With OPTIONS, whose path is not used. Nothing may be committed. As spool_open; E_TOO_BIG. */
int agent_scratch_open(struct agent_scratch *ret_scratch, const struct spool_options *options);

/** Likewise of one that was not opened, but zeroed. */
void agent_scratch_close(struct agent_scratch *scratch);

/* ---- agent_source.c, where Kconfig did not leave out CONFIG_SOURCE: the configuration that is
 * fetched. Without one in the configuration nothing of it happens ---- */

enum { AGENT_SOURCE_WARNING_BYTES = 480 };

/** Behind the opening of the link. E_NO_MEMORY; what agent_credentials_open and s3_get_open return.
 *  What is open is the caller's in any case. */
int agent_source_open(struct agent *agent);

/** E_NO_MEMORY; error_sys. */
int agent_source_start(struct agent *agent);

/** Once agent.stop is requested: false if its thread still runs at DEADLINE_MS. */
bool agent_source_stop(struct agent *agent, int64_t deadline_ms);
void agent_source_close(struct agent *agent);

/** What is wrong with it, in TEXT, or NULL. Any thread. */
const char *agent_source_warning(struct agent *agent, char text[AGENT_SOURCE_WARNING_BYTES]);

/** For the watchdog, as progress_late_ms. */
int64_t agent_source_late_ms(const struct agent *agent, int64_t now_ms);

/* ---- agent_control.c ---- */

/** Whether some route carries LANE. */
bool agent_control_carries(const struct config *config, enum lane lane);

/** What is said of the agent, and what it points to. */
enum { AGENT_PROBLEM_BYTES = 480, AGENT_COAP_WARNING_BYTES = 480 };
struct agent_status {
    struct status status;
    struct uplink_status uplinks[CFG_ROUTES_MAX];
    struct config_store store;
    char problem[AGENT_PROBLEM_BYTES];
    char certificate[AGENT_CERTIFICATE_WARNING_BYTES];
    char source[AGENT_SOURCE_WARNING_BYTES];
    char refused[AGENT_REFUSED_BYTES];
    char exposed[AGENT_COAP_WARNING_BYTES];
    char psk[AGENT_COAP_WARNING_BYTES];
    char closed[AGENT_COAP_FAULT_BYTES];
};

/** For agent_coap.c: whether nothing is wrong that status calls unhealthy. SPOOL: how it is;
 * UPLINK: room that the caller has. Any thread. */
bool agent_control_healthy(struct agent *agent, const struct spool_status *spool,
                           struct uplink_status *uplink);

/** All but the sensors, which come one by one: those are the control thread's alone. */
void agent_control_fill_status(struct agent *agent, struct agent_status *ret_status);

/** What the control socket asks for; CONTEXT is the struct agent. */
extern const struct control_operations agent_control_operations;

/* ---- agent_inspect.c, where Kconfig did not leave out COMMAND_SPOOL ---- */

/** What it asks for with "spool"; as in struct control_operations. */
int agent_inspect_start(void *context, unsigned slot, const char *request);
int agent_inspect_next(void *context, unsigned slot, struct writer *out,
                       struct control_tally *ret_tally);

/* ---- agent_sensors.c, where Kconfig did not leave out COMMAND_SENSORS ---- */

/** What it asks for with "sensor"; as in struct control_operations. */
int agent_sensors_start(void *context, unsigned slot, const char *request);
int agent_sensors_next(void *context, unsigned slot, struct writer *out);
void agent_sensors_forget(void *context, unsigned slot);

/** The tags of the sensor called NAME in the configuration, as the dictionary wants them. */
size_t agent_tags(const struct cfg_sensor *sensor, struct tag tags[CFG_TAGS_MAX]);

#endif
