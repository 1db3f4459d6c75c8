/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "agent/uplink/uplink_state.h"
#include "platform/base/error.h"
#include "platform/random.h"
#include "platform/stop.h"

enum { BURY_MS = 5000 }; /* for the commit that has a dead letter */

/* ---- giving up ---- */

/* A letter too large for the space that letters have is given up without one; where the spool
 * cannot be written, so is the one in RAM: on flash, if it is there, it stays owed. */
static void give_up_unkept(struct uplink *uplink, const struct batch_refusal *refusal, int rc)
{
    if (rc == E_TIMEOUT && stop_requested(&uplink->soft))
        return; /* the next start meets it again */
    spool_route_ack(uplink->route, refusal->lane, &refusal->mark, 1, SPOOL_DEAD);
}

/* Returns what batch_refuse does. */
static int bury(struct uplink *uplink, const struct batch_refusal *refusal, const char *reason)
{
    int rc = batch_refuse(&uplink->batch, refusal, reason, clock_mono_ms() + BURY_MS);
    log_error("record-dead route=%s seq=%" PRIu64 " reason=\"%s\" kept=%s", uplink->options.name,
              refusal->mark.sequence, reason, rc == E_OK ? "yes" : "no");
    return rc;
}

void uplink_refuse_unfit(struct uplink *uplink)
{
    const struct batch_refusal *refusal = &uplink->batch.refusal;
    const struct dest_operations *operations = uplink->options.dest->operations;
    uint64_t most = uplink->batch.options.limits.record_bytes;
    bool own = most < operations->limits.record_bytes; /* who set it may have set it too low */
    char reason[SPOOL_REASON_BYTES];
    (void)snprintf(reason, sizeof reason, "%s: %" PRIu64 " bytes, %s takes %" PRIu64,
                   ERROR_TEXT(refusal->reason), refusal->bytes,
                   own ? "with batch.bytes as it is the route" : operations->name, most);
    int rc = bury(uplink, refusal, reason);
    if (rc < 0)
        give_up_unkept(uplink, refusal, rc);
    /* What is aside meanwhile is still to be buried with the reason of its request. */
    if (uplink->refusals == 0 && uplink->bisect.aside_count == 0)
        uplink_report_refusal(uplink, reason);
    uplink_report_refused(uplink);
}

/* ---- finding the one ---- */

static struct bisect_record record_alone(const struct batch *batch)
{
    if (batch->gap_count > 0)
        return (struct bisect_record){.is_gap = true, .sequence = batch->gaps[0].sequence};
    return (struct bisect_record){.lane = batch->ranges[0].lane,
                                  .sequence = batch->runs[0].last,
                                  .previous = batch->runs[0].previous};
}

bool uplink_refuse_nearer(struct uplink *uplink)
{
    uint64_t random;
    random_bytes(&random, sizeof random);
    return bisect_found_nothing(&uplink->bisect, random);
}

void uplink_refuse_none(struct uplink *uplink)
{
    uplink->bisect = (struct bisect){0};
    uplink->refusals = 0;
}

static bool bury_aside(struct uplink *uplink, const struct bisect_record *record)
{
    const struct batch_refusal refusal = {.lane = record->lane,
                                          .mark = {record->sequence, record->previous},
                                          .attempts = uplink->refusals,
                                          .reason = E_REFUSED};
    if (record->is_gap) {
        log_error("gap-not-told route=%s seq=%" PRIu64 " reason=\"%s\"", uplink->options.name,
                  record->sequence, uplink->shared.status.refusal);
        spool_gap_acknowledge(uplink->route, record->sequence);
        return true;
    }
    int rc = bury(uplink, &refusal, uplink->shared.status.refusal);
    if (rc == E_TOO_BIG)
        give_up_unkept(uplink, &refusal, rc);
    if (rc < 0 && rc != E_TOO_BIG)
        return false;
    uplink_report_refused(uplink);
    return true;
}

/* Where order counts nothing is passed over but what will never be sent. */
bool uplink_refuse_request(struct uplink *uplink, const char *error)
{
    struct bisect *bisect = &uplink->bisect;
    uint64_t random;
    uplink->refusals++;
    uplink_report_refusal(uplink, error);
    if (!bisect_refused(bisect, uplink->batch.count))
        return true;
    const struct bisect_record record = record_alone(&uplink->batch);
    if (bisect_is_doubted(bisect, record.sequence) && bury_aside(uplink, &record))
        return true;
    if (bisect_set_aside(bisect, &record))
        return true;
    random_bytes(&random, sizeof random);
    return !uplink->options.in_order && bisect_skip(bisect, record.sequence, random);
}

/* What cannot be buried now stays aside, and is tried again with the next success. */
static void bury_all(struct uplink *uplink)
{
    struct bisect *bisect = &uplink->bisect;
    size_t kept = 0;
    for (size_t i = 0; i < bisect->aside_count; i++) {
        const struct bisect_record record = bisect->aside[i];
        progress_work(&uplink->progress);
        if (!bury_aside(uplink, &record))
            bisect->aside[kept++] = record;
    }
    bisect->aside_count = kept;
}

/* Where order counts, those aside were passed over and must not come behind what was taken. */
void uplink_refuse_settle(struct uplink *uplink)
{
    if (uplink->options.in_order)
        bury_all(uplink);
    else
        bisect_doubt(&uplink->bisect);
    uplink->refusals = 0;
}

bool uplink_refuse_is_aside(const void *context, uint64_t sequence)
{
    const struct uplink *uplink = context;
    return bisect_is_aside(&uplink->bisect, sequence);
}
