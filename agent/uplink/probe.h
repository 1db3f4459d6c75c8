/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_AGENT_UPLINK_PROBE_H
#define RUNNEL_AGENT_UPLINK_PROBE_H

#include "agent/uplink/uplink.h"

/**
 * A route tried once, by hand: UPLINK is open and was not started. What an answer means is what it
 * means to the route itself.
 */
enum uplink_probe_result {
    UPLINK_PROBE_TAKEN,   /* who asks is known, and may ask */
    UPLINK_PROBE_UNTOLD,  /* it answers, but not whether records would be taken */
    UPLINK_PROBE_REFUSED, /* it does not answer, or does not take anything now */
};

struct uplink_probe {
    enum uplink_probe_result result;
    int status; /* of the reply; 0: there was none */
    /** What happened, and what helps behind the last "; " where that is known. */
    char text[UPLINK_ERROR_BYTES];
    bool has_date;
    int64_t server_offset_ms; /* the endpoint's clock less clock_boot_ms(), if it has_date */
};

/** Asks without records, as the route does for the time; twice if the first answer says how. */
void uplink_probe_ask(struct uplink *uplink, struct uplink_probe *ret_probe);

/** Sends what the spool has for the route, as one request; likewise. */
void uplink_probe_send(struct uplink *uplink, struct uplink_probe *ret_probe);

#endif
