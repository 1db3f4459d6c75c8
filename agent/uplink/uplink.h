/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_UPLINK_UPLINK_H
#define RUNNEL_AGENT_UPLINK_UPLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/aws/credentials.h"
#include "agent/batch/batch.h"
#include "agent/http/http_connect.h"
#include "agent/spool/spool.h"
#include "agent/uplink/dest/dest.h"
#include "agent/uplink/link.h"
#include "platform/tls.h"

/**
 * One route: a thread that waits until a batch is due, signs it, sends it, and acknowledges to the
 * spool what the reply says was delivered. All else is sent again: a record is never given up
 * because of a reply, an error or the time that it takes. When the outcome of a request is unknown,
 * the whole batch is sent again, its records first.
 *
 * Fresh-first: what was stored when the uplink was opened is backlog, and so is all that is there
 * when an outage ends, which is the first success behind three failures in a row. As long as there
 * is a backlog it sends without a pause, see batch.h; then it waits for the age again.
 *
 * Memory is taken when it is opened: below 64 KB without TLS.
 */
struct uplink;

enum { UPLINK_ERROR_BYTES = 320 };

enum uplink_state {
    UPLINK_IDLE,           /* nothing has been sent yet */
    UPLINK_CONNECTED,      /* the last request delivered */
    UPLINK_BACKING_OFF,    /* the destination answers, but cannot take data now */
    UPLINK_OFFLINE,        /* the destination does not answer */
    UPLINK_PAUSED,         /* the month's data budget is spent; alarms may still go */
    UPLINK_NEEDS_OPERATOR, /* it will not take data before somebody acts */
};

/** Strings must outlive the uplink. */
struct uplink_options {
    const char *name;
    struct spool *spool;
    bool lanes[LANE_COUNT];
    bool hold;
    int64_t age_ms[LANE_COUNT]; /* how long a record may wait for its batch to fill */
    const char *device;

    struct dest *dest; /* the uplink's from a successful uplink_open on */
    /* From here to silence_ms nothing is asked of one that stores by itself. */
    struct credentials_provider *credentials; /* the caller's; NULL: it needs none */
    const char *region;
    const char *host;
    uint16_t port;
    bool tls; /* false only for loopback */
    struct http_proxy proxy;
    struct tls_options tls_options;
    const char *user_agent; /* "runnel/1.0" */
    int64_t connect_ms;     /* 0: 30 s */
    int64_t silence_ms;     /* the longest silence of the other side; 0: 30 s */

    /** Whether the time is known. Until it is, a question without records is sent to learn it from
     *  the reply, and records wait for that for at most time_wait_ms. NULL: they do not; not asked
     *  for without TLS, whose Date proves nothing. */
    bool (*knows_time)(void *context);
    /** Whether the time is beyond doubt. If not, and a certificate is refused, the question goes
     *  without a look at dates, once. NULL: it is. */
    bool (*vouches_time)(void *context);
    int64_t time_wait_ms;
    int64_t start_delay_ms; /* the most of a random wait behind a start of the machine */

    struct link *link; /* the budget that all routes share, the caller's; NULL: unlimited */

    bool in_order; /* arrival in the order of the numbers: the destination sees to it, too */
    enum batch_format format;
    enum batch_pack pack;
    bool gzip_entry, gzip_body, flat; /* as batch_options has them, like the next one */
    int64_t period_ms;
    enum partition_kind partition;
    const char *partition_key; /* of PARTITION_FIXED; of PARTITION_FIELD the name */
    unsigned backlog_percent;  /* fresh-first: a backlog's share of a request; 0: oldest first */
    size_t batch_records;      /* 0: CONFIG_BATCH_RECORDS; never more than the destination takes */
    uint64_t batch_bytes;      /* 0: CONFIG_BATCH_KIB; likewise */

    int64_t heartbeat_ms; /* how long the thread may sleep in one go, for a watchdog; 0: for ever */

    /** Told from the route's thread, with each reply that came over TLS and had a Date:
     *  wall time = clock_boot_ms() + OFFSET_MS. May be NULL. */
    void (*on_date)(void *context, int64_t offset_ms);
    /** Likewise: the state is another, something was throttled, or a record was given up. It must
     *  not be kept waiting. May be NULL. */
    void (*on_change)(void *context);
    void *context;
};

struct uplink_status {
    enum uplink_state state;
    char error[UPLINK_ERROR_BYTES]; /* why it does not deliver, and what helps; "" if it does */
    int64_t retry_ms;               /* until the next try while it backs off, else 0 */
    int64_t delivered_age_ms;       /* since the last record was delivered; -1: none yet */
    int64_t due_ms;     /* for how long data has been due without any being delivered; 0: not.
                           What waits for the budget is not due */
    uint64_t requests;  /* sent, whatever became of them */
    uint64_t retried;   /* records that were sent and have to be sent again */
    uint64_t throttled; /* replies that called the batch, or records of it, too fast */
    uint64_t refused;   /* records that no request can carry; they are dead */
    char refusal[UPLINK_ERROR_BYTES]; /* why a request or a record was refused last; "" */
    uint64_t bytes_out, bytes_in;     /* on the wire, TLS included; or written to an archive */
    uint64_t handshakes, resumed;
    uint64_t credentials_failures; /* tries that there were no keys for */
    uint64_t dns_failures; /* a name server gave no address; those of before were used if any */
};

/** Opens the spool's route as well. E_INVALID: no destination, or no host or credentials where it
 *  wants them; E_FULL: too many routes; E_NO_MEMORY, error_sys, and what http_client_open returns.
 */
int uplink_open(const struct uplink_options *options, struct uplink **ret_uplink);

/** Starts the thread. error_sys. */
int uplink_start(struct uplink *uplink);

/** From now on data is sent as soon as it is there, whatever its age. From any thread. */
void uplink_drain(struct uplink *uplink);

/** Likewise, until it is told otherwise. */
void uplink_hurry(struct uplink *uplink, bool hurries);

/** From any thread. */
void uplink_get_status(struct uplink *uplink, struct uplink_status *ret_status);

/** "idle", "connected", "backing-off", "offline", "paused", "needs-operator". */
const char *uplink_state_name(enum uplink_state state);

/** For a watchdog. An outage, a back-off, a pause: none of them makes it late. */
const struct progress *uplink_progress(const struct uplink *uplink);

/** The spool's route, for its counters. */
struct spool_route *uplink_route(struct uplink *uplink);

/** Asks the thread to end, and does not wait: where there are several, all are asked first. */
void uplink_ask_stop(struct uplink *uplink);

/** Asks the thread to end: a batch in flight gets one second, but ends 200 ms before DEADLINE_MS
 *  (clock_mono_ms). 0 when it has ended or never ran; E_TIMEOUT. */
int uplink_stop(struct uplink *uplink, int64_t deadline_ms);

/** Frees all, the destination included, before spool_close and credentials_close, unless the thread
 * still runs: then the process is about to end, and nothing is touched. NULL is allowed. */
void uplink_close(struct uplink *uplink);

#endif
