/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_UPLINK_LINK_H
#define RUNNEL_AGENT_UPLINK_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/http/meter.h"

/**
 * The data budget of the link that all connections of the process share: how many bytes a second,
 * and how many a month. What is counted is what sockets took and gave, both ways: TLS, handshakes
 * and what is sent again included, the headers of TCP and IP not. All calls but open and close are
 * for any thread.
 *
 * The rate is a bucket that holds one second. A piece goes as soon as the bucket is not empty, and
 * leaves a debt if it was larger than what was in it: so any time sees at most its share, one
 * second's worth and one piece per connection.
 *
 * A month begins on reset_day at 00:00 UTC, on its last day if it has fewer. What is spent is kept
 * in the file "link" of the state directory as a reservation, so that flash is written about 130
 * times a month: the file says a little more than was spent, and after an unclean stop that much
 * counts as spent. Without a month's limit nothing is written but at a clean stop. While the time
 * is not known the count goes on in the old month.
 */
struct link;

struct link_options {
    uint64_t rate_bytes;      /* a second; 0: no limit */
    uint64_t month_bytes;     /* 0: no limit */
    unsigned reset_day;       /* 1 to 31 */
    unsigned reserve_percent; /* of the month, for the lane alarm alone */
    const char *directory;    /* where the file is; NULL: the count starts at 0 and is not kept */
    /** Wall time in ms; false: not known. */
    bool (*wall_ms)(void *context, int64_t *ret_ms);
    int64_t (*mono_ms)(void); /* NULL: clock_mono_ms */
    void *context;
};

/** What may still be begun. What is under way is not cut off. */
enum link_pass {
    LINK_ALL,
    LINK_ALARMS, /* the month is spent but for the reserve */
    LINK_NONE,
};

struct link_status {
    enum link_pass pass;
    uint64_t month_bytes; /* spent */
    uint64_t limit_bytes; /* of which so many may be; 0: no limit */
    unsigned reserve_percent;
    int64_t until_wall_ms; /* when the next month begins; 0: not known */
    int64_t left_ms;       /* until then; -1: not known now */
};

/**
 * Reads the file. Where it is damaged, everything but the reserve counts as spent until the month
 * ends: a bill that nobody expects is worse than a wait that is told; to remove the file is to
 * begin at zero. Both is logged, as is a count that cannot be kept, which is no reason not to
 * start. Strings are used until link_close. E_INVALID: no such day; E_NO_MEMORY.
 */
int link_open(const struct link_options *options, struct link **ret_link);

/** For http_client_options: counts and paces on behalf of LINK, until link_close. */
const struct http_meter *link_meter(const struct link *link);

/** What may be begun now. Begins a new month if it is time. */
enum link_pass link_ask(struct link *link);

/** How much data a request is to carry at most: what the rate takes half a minute for, so that a
 *  failure costs no more; and so little of the month that the requests that are under way when it
 *  is spent leave some of the reserve. UINT64_MAX without a limit. */
uint64_t link_request_bytes(const struct link *link);

void link_get_status(struct link *link, struct link_status *ret_status);

/** Writes exactly what was spent, once nothing is sent any more. 0, E_TOO_BIG, error_sys. */
int link_save(struct link *link);

/** NULL is allowed. Writes nothing: what was not saved counts as reserved. */
void link_close(struct link *link);

#endif
