/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_TESTS_UNIT_FAKE_ENDPOINT_H
#define RUNNEL_TESTS_UNIT_FAKE_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/http/http_client.h"

/**
 * The world around an uplink, in place of http_client, clock, stop, thread and random: an endpoint
 * that answers from a script, and a clock that only waits move. A thread that is started runs when
 * the test calls fake_endpoint_run, and ends when it would wait for ever.
 */
enum {
    FAKE_STEPS_MAX = 64,
    FAKE_STORED_MAX = 3000,
    FAKE_DATA_BYTES = 256,
    FAKE_REQUESTS_MAX = 600
};
enum { FAKE_PATH_BYTES = 200, FAKE_HOST_BYTES = 80 };

/** What happens to one request. Zeroed: all records are stored and said to be. */
struct fake_step {
    int error;        /* the exchange fails ... */
    bool unsent;      /* ... before anything is sent */
    bool lost;        /* the records are stored, but the exchange fails with error */
    int status;       /* 0: 200 */
    const char *body; /* instead of one that answers for the records; nothing is stored then */
    const char *error_type;
    const char *region;     /* where the bucket is said to be */
    uint64_t failing;       /* a bit for each of the first 64 records: not stored */
    const char *code;       /* of the failing ones */
    int64_t retry_after_ms; /* 0: none */
    void (*between)(void);  /* before the body is written */
};

struct fake_request {
    int64_t mono_ms;
    size_t records;
    char date[17]; /* its X-Amz-Date */
    bool question; /* it asked for the time alone */
    char path[FAKE_PATH_BYTES];
    char host[FAKE_HOST_BYTES];
};

struct fake_stored {
    char data[FAKE_DATA_BYTES]; /* as it came: in base64, or a line of an object */
    unsigned times;
    unsigned times_lost; /* of these, how often the reply was lost */
};

struct fake_endpoint {
    struct fake_step steps[FAKE_STEPS_MAX];
    size_t step_count;
    /** Instead of steps, where it is set. */
    void (*choose)(size_t request, struct fake_step *ret_step);
    /** A reply instead of the step's, by what is in the body; NULL: the step's. */
    const char *(*refuse)(const char *body, size_t records);
    int refuse_status; /* 0: 400 */
    struct fake_request requests[FAKE_REQUESTS_MAX];
    size_t request_count;
    struct fake_stored stored[FAKE_STORED_MAX];
    size_t stored_count;

    int64_t mono_ms;   /* CLOCK_BOOTTIME is the same */
    int64_t wall_ms;   /* at mono_ms 0 */
    int64_t server_ms; /* what the endpoint's clock is ahead of the true time, which is ours
                          unless wall_wrong_ms says how far ours is ahead */
    int64_t wall_wrong_ms;
    bool no_date;
    size_t waits; /* that ran to their deadline */
    /** Called when everything waits until DEADLINE_MS; may add records, or ask the thread to end.
     */
    void (*on_wait)(int64_t deadline_ms);
    uint64_t random;
    int net_fd;      /* signalled: the kernel tells of the network */
    bool net_better; /* and so */
    bool opened;
    struct http_client_options options;
};

extern struct fake_endpoint fake_endpoint;

void fake_endpoint_reset(void);

/** Runs what thread_start was given, until it ends. */
void fake_endpoint_run(void);

/** How often DATA (base64) was stored. */
unsigned fake_endpoint_times(const char *data);

#endif
