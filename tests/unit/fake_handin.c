/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/fake_handin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/base/error.h"

void fake_handin_init(struct handin *handin, struct spool *spool)
{
    memset(handin, 0, sizeof *handin);
    memset(spool, 0, sizeof *spool);
    handin->bytes_max = FAKE_HANDIN_BYTES;
    (void)pthread_mutex_init(&handin->lock, NULL);
    (void)pthread_mutex_init(&spool->lock, NULL);
}

void fake_handin_free(struct handin *handin, struct spool *spool)
{
    (void)pthread_mutex_destroy(&handin->lock);
    (void)pthread_mutex_destroy(&spool->lock);
}

void fake_handin_answer(struct handin *handin, int answer, const char *fault)
{
    (void)pthread_mutex_lock(&handin->lock);
    handin->answer = answer;
    handin->fault = fault;
    (void)pthread_mutex_unlock(&handin->lock);
}

struct handin fake_handin_last(struct handin *handin)
{
    (void)pthread_mutex_lock(&handin->lock);
    struct handin last = *handin;
    (void)pthread_mutex_unlock(&handin->lock);
    return last;
}

static void keep(struct handin *handin, const struct handin_request *request)
{
    (void)snprintf(handin->sensor, sizeof handin->sensor, "%s", request->sensor);
    (void)snprintf(handin->lane, sizeof handin->lane, "%s",
                   request->lane != NULL ? request->lane : "");
    memcpy(handin->may_lane, request->may_lane, sizeof handin->may_lane);
    handin->format = request->format;
    handin->count = request->count;
    if (request->count > 0 && request->count <= sizeof handin->bytes)
        memcpy(handin->bytes, request->bytes, request->count);
}

int handin_put(struct handin *handin, const struct handin_request *request,
               struct handin_receipt *ret_receipt, char fault[PAYLOAD_FAULT_BYTES])
{
    (void)pthread_mutex_lock(&handin->lock);
    int rc = handin->answer;
    handin->puts++;
    keep(handin, request);
    ret_receipt->bytes_max = handin->bytes_max;
    if (rc < 0) {
        (void)snprintf(fault, PAYLOAD_FAULT_BYTES, "%s", handin->fault);
    } else {
        *ret_receipt = (struct handin_receipt){.records = handin->holds ? 0 : 1,
                                               .bytes_max = handin->bytes_max};
        if (!handin->holds)
            ret_receipt->sequences[LANE_NORMAL] = ++handin->taken;
        if (handin->two_lanes)
            ret_receipt->sequences[LANE_ALARM] = ++handin->taken;
    }
    (void)pthread_mutex_unlock(&handin->lock);
    return rc;
}

int64_t handin_due_ms(const struct handin *handin)
{
    (void)handin;
    return INT64_MAX;
}

void handin_flush(struct handin *handin, int64_t boot_ms)
{
    (void)handin;
    (void)boot_ms;
}

/* ---- tickets ---- */

void spool_ticket_wait(struct spool *spool, struct spool_ticket *ticket)
{
    (void)pthread_mutex_lock(&spool->lock);
    ticket->accepted = ticket->sequence <= spool->durable;
    if (!ticket->accepted && spool->ticket_count < FAKE_HANDIN_TICKETS)
        spool->tickets[spool->ticket_count++] = ticket;
    if (ticket->accepted)
        stop_event_signal(ticket->event_fd);
    (void)pthread_mutex_unlock(&spool->lock);
}

bool spool_ticket_accepted(struct spool *spool, struct spool_ticket *ticket)
{
    (void)pthread_mutex_lock(&spool->lock);
    bool accepted = ticket->accepted;
    (void)pthread_mutex_unlock(&spool->lock);
    return accepted;
}

static void drop_locked(struct spool *spool, size_t index)
{
    spool->tickets[index] = spool->tickets[--spool->ticket_count];
}

void spool_ticket_forget(struct spool *spool, struct spool_ticket *ticket)
{
    (void)pthread_mutex_lock(&spool->lock);
    for (size_t i = spool->ticket_count; i-- > 0;)
        if (spool->tickets[i] == ticket)
            drop_locked(spool, i);
    (void)pthread_mutex_unlock(&spool->lock);
}

void fake_spool_commit(struct spool *spool, uint64_t sequence)
{
    (void)pthread_mutex_lock(&spool->lock);
    spool->durable = sequence;
    for (size_t i = spool->ticket_count; i-- > 0;) {
        struct spool_ticket *ticket = spool->tickets[i];
        if (ticket->sequence > sequence)
            continue;
        ticket->accepted = true;
        stop_event_signal(ticket->event_fd);
        drop_locked(spool, i);
    }
    (void)pthread_mutex_unlock(&spool->lock);
}

void spool_commit_soon(struct spool *spool)
{
    fake_spool_commit(spool, UINT64_MAX);
}

size_t fake_spool_tickets(struct spool *spool)
{
    (void)pthread_mutex_lock(&spool->lock);
    size_t count = spool->ticket_count;
    (void)pthread_mutex_unlock(&spool->lock);
    return count;
}
