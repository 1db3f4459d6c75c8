/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/fake_agent.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/base/error.h"
#include "platform/stop.h"

static void fake_status(void *context, bool text, struct writer *out)
{
    struct fake_agent *agent = context;
    writer_text(out, text ? "all is well\n" : "{\"pad\":\"");
    for (size_t i = 0; !text && i < agent->status_bytes; i++)
        writer_char(out, 'x');
    if (!text)
        writer_text(out, "\"}");
}

static bool refuses(const struct fake_agent *agent, const struct control_document *document)
{
    return agent->refuse_text != NULL &&
           memmem(document->bytes, document->count, agent->refuse_text,
                  strlen(agent->refuse_text)) != NULL;
}

static int take(struct fake_agent *agent, const struct control_document *document,
                struct control_ticket *ticket)
{
    agent->asked++;
    if (refuses(agent, document))
        return agent->refuse_code;
    if (agent->submitted >= agent->room)
        return E_AGAIN;
    snprintf(agent->documents[agent->submitted++], FAKE_TEXT_BYTES, "%.*s",
             document->count < FAKE_TEXT_BYTES ? (int)document->count : FAKE_TEXT_BYTES,
             (const char *)document->bytes);
    snprintf(agent->lane, sizeof(agent->lane), "%s", document->lane);
    snprintf(agent->sensor, sizeof(agent->sensor), "%s", document->sensor);
    ticket->sequence = agent->submitted;
    ticket->lane = 1;
    return 0;
}

static int fake_submit(void *context, const struct control_document *document,
                       struct control_ticket *ticket)
{
    struct fake_agent *agent = context;
    pthread_mutex_lock(&agent->mutex);
    int result = take(agent, document, ticket);
    pthread_mutex_unlock(&agent->mutex);
    return result;
}

static bool fake_accepted(void *context, const struct control_ticket *ticket)
{
    struct fake_agent *agent = context;
    pthread_mutex_lock(&agent->mutex);
    bool accepted =
        ticket->sequence <= agent->accepted_to || ticket->sequence == agent->accepted_too;
    agent->event_fd = ticket->event_fd;
    agent->waiting = ticket->sequence;
    pthread_mutex_unlock(&agent->mutex);
    return accepted;
}

static void fake_forget(void *context, unsigned slot)
{
    struct fake_agent *agent = context;
    (void)slot;
    pthread_mutex_lock(&agent->mutex);
    agent->forgotten++;
    pthread_mutex_unlock(&agent->mutex);
}

static int fake_spool_start(void *context, unsigned slot, const char *request)
{
    struct fake_agent *agent = context;
    (void)slot;
    agent->parts_given = 0;
    snprintf(agent->request, sizeof(agent->request), "%s", request);
    if (strcmp(request, "lane") == 0)
        return E_NOT_FOUND;
    return strcmp(request, "bad") == 0 ? E_INVALID : 0;
}

static int fake_spool_next(void *context, unsigned slot, struct writer *out,
                           struct control_tally *ret_tally)
{
    struct fake_agent *agent = context;
    (void)slot;
    *ret_tally = (struct control_tally){.records = agent->parts_given, .damaged = 3};
    if (agent->part_waits > 0) {
        agent->part_waits--;
        return E_AGAIN;
    }
    if (agent->parts_given == agent->parts)
        return agent->part_error < 0 ? agent->part_error : E_END;
    for (size_t i = 0; i < agent->part_bytes; i++)
        writer_char(out, (char)('a' + agent->parts_given % 26));
    agent->parts_given += out->error == 0;
    return out->error;
}

static int fake_sensor_start(void *context, unsigned slot, const char *request)
{
    static const struct {
        const char *request;
        int code;
    } refused[] = {{"none", E_NOT_FOUND}, {"busy", E_BUSY}, {"full", E_NO_MEMORY}};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        if (strcmp(request, refused[i].request) == 0)
            return refused[i].code;
    return fake_spool_start(context, slot, request);
}

static int fake_sensor_next(void *context, unsigned slot, struct writer *out)
{
    struct control_tally tally;
    return fake_spool_next(context, slot, out, &tally);
}

const struct control_operations fake_agent_operations = {
    .sensor_start = fake_sensor_start,
    .sensor_next = fake_sensor_next,
    .sensor_forget = fake_forget,
    .spool_start = fake_spool_start,
    .spool_next = fake_spool_next,
    .status = fake_status,
    .submit = fake_submit,
    .accepted = fake_accepted,
    .forget = fake_forget,
};

struct fake_agent *fake_agent_new(void)
{
    struct fake_agent *agent = calloc(1, sizeof(*agent));
    if (agent == NULL)
        abort();
    pthread_mutex_init(&agent->mutex, NULL);
    agent->room = FAKE_DOCUMENTS_MAX;
    agent->event_fd = -1;
    return agent;
}

void fake_agent_free(struct fake_agent *agent)
{
    pthread_mutex_destroy(&agent->mutex);
    free(agent);
}

void fake_agent_accept(struct fake_agent *agent, uint64_t last)
{
    pthread_mutex_lock(&agent->mutex);
    agent->accepted_to = last;
    if (agent->event_fd >= 0)
        stop_event_signal(agent->event_fd);
    pthread_mutex_unlock(&agent->mutex);
}

void fake_agent_accept_quietly(struct fake_agent *agent, uint64_t last)
{
    pthread_mutex_lock(&agent->mutex);
    agent->accepted_to = last;
    pthread_mutex_unlock(&agent->mutex);
}

void fake_agent_set_room(struct fake_agent *agent, uint64_t room)
{
    pthread_mutex_lock(&agent->mutex);
    agent->room = room;
    pthread_mutex_unlock(&agent->mutex);
}

uint64_t fake_agent_submitted(struct fake_agent *agent)
{
    pthread_mutex_lock(&agent->mutex);
    uint64_t submitted = agent->submitted;
    pthread_mutex_unlock(&agent->mutex);
    return submitted;
}

unsigned fake_agent_forgotten(struct fake_agent *agent)
{
    pthread_mutex_lock(&agent->mutex);
    unsigned forgotten = agent->forgotten;
    pthread_mutex_unlock(&agent->mutex);
    return forgotten;
}
