/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "tests/unit/fake_endpoint.h"

#include <stdio.h>
#include <string.h>

#include "platform/base/error.h"
#include "platform/clock.h"
#include "platform/net_watch.h"
#include "platform/random.h"
#include "platform/stop.h"
#include "platform/thread.h"

enum { FIRST_FD = 5000, FDS_MAX = 64, BODY_BYTES = 1 << 20 };

struct fake_endpoint fake_endpoint;

static bool signalled[FDS_MAX];
static char pointed_at[FAKE_HOST_BYTES];
static int next_fd;
static void (*thread_run)(void *context);
static void *thread_context;

void fake_endpoint_reset(void)
{
    memset(&fake_endpoint, 0, sizeof fake_endpoint);
    memset(signalled, 0, sizeof signalled);
    next_fd = FIRST_FD;
    fake_endpoint.mono_ms = 100000;
    fake_endpoint.wall_ms = 1768480496000 - 100000; /* the thread starts at 2026-01-15T12:34:56Z */
    fake_endpoint.random = UINT64_MAX;
    thread_run = NULL;
}

/* ---- threads ---- */

int thread_start(struct thread *ret_thread, const char *name, void (*run)(void *context),
                 void *context)
{
    assert_true(strlen(name) < 16);
    thread_run = run;
    thread_context = context;
    ret_thread->running = true;
    return E_OK;
}

int thread_join(struct thread *thread, int64_t deadline_ms)
{
    (void)deadline_ms;
    thread->running = false;
    return E_OK;
}

void fake_endpoint_run(void)
{
    assert_non_null(thread_run);
    thread_run(thread_context);
}

/* ---- time, chance and waiting ---- */

int64_t clock_mono_ms(void)
{
    return fake_endpoint.mono_ms;
}

int64_t clock_boot_ms(void)
{
    return fake_endpoint.mono_ms;
}

int64_t clock_wall_ms(void)
{
    return fake_endpoint.wall_ms + fake_endpoint.mono_ms + fake_endpoint.wall_wrong_ms;
}

void clock_boot_id(uint8_t ret_id[CLOCK_BOOT_ID_BYTES])
{
    memset(ret_id, 0, CLOCK_BOOT_ID_BYTES);
}

uint64_t random_below(uint64_t limit)
{
    return fake_endpoint.random % limit;
}

void random_bytes(void *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ((uint8_t *)bytes)[i] = (uint8_t)(fake_endpoint.random >> 8 * (i % 8));
}

static bool *flag_of(int fd)
{
    assert_true(fd >= FIRST_FD && fd < FIRST_FD + FDS_MAX);
    return &signalled[fd - FIRST_FD];
}

int stop_event_open(int *ret_fd)
{
    *ret_fd = next_fd++;
    *flag_of(*ret_fd) = false;
    return E_OK;
}

void stop_event_signal(int fd)
{
    *flag_of(fd) = true;
}

void stop_event_drain(int fd)
{
    *flag_of(fd) = false;
}

int stop_open(struct stop *ret_stop)
{
    return stop_event_open(&ret_stop->fd);
}

void stop_close(struct stop *stop)
{
    stop->fd = -1;
}

void stop_request(struct stop *stop)
{
    stop_event_signal(stop->fd);
}

bool stop_requested(const struct stop *stop)
{
    return *flag_of(stop->fd);
}

int stop_wait(const struct stop *stop, int fd, short events, int64_t deadline_ms)
{
    (void)events;
    for (int i = 0; i < 2; i++) {
        if (stop_requested(stop))
            return E_STOP;
        if (fd >= 0 && *flag_of(fd))
            return E_OK;
        if (i == 0 && fake_endpoint.on_wait != NULL)
            fake_endpoint.on_wait(deadline_ms);
    }
    if (deadline_ms == INT64_MAX)
        return E_STOP; /* nothing will ever happen any more */
    if (deadline_ms > fake_endpoint.mono_ms)
        fake_endpoint.mono_ms = deadline_ms;
    fake_endpoint.waits++;
    return E_TIMEOUT;
}

/* ---- the network ---- */

int net_watch_open(struct net_watch *ret_watch)
{
    *ret_watch = (struct net_watch){.fd = -1};
    int rc = stop_event_open(&ret_watch->fd);
    fake_endpoint.net_fd = ret_watch->fd;
    return rc;
}

void net_watch_close(struct net_watch *watch)
{
    watch->fd = -1;
}

bool net_watch_better(struct net_watch *watch)
{
    stop_event_drain(watch->fd);
    return fake_endpoint.net_better;
}

/* ---- the endpoint ---- */

int http_client_open(const struct http_client_options *options, struct http_client **ret_client)
{
    fake_endpoint.options = *options;
    fake_endpoint.opened = true;
    *ret_client = (struct http_client *)&fake_endpoint;
    return E_OK;
}

void http_client_close(struct http_client *client)
{
    if (client != NULL)
        fake_endpoint.opened = false;
}

int http_client_point(struct http_client *client, const char *host)
{
    assert_non_null(client);
    (void)snprintf(pointed_at, sizeof pointed_at, "%s", host);
    return E_OK;
}

const char *http_client_host(const struct http_client *client)
{
    assert_non_null(client);
    return pointed_at;
}

void http_client_disconnect(struct http_client *client)
{
    assert_non_null(client);
}

void http_client_get_statistics(const struct http_client *client,
                                struct http_statistics *ret_statistics)
{
    assert_non_null(client);
    *ret_statistics = (struct http_statistics){.requests = fake_endpoint.request_count,
                                               .bytes_in = 11,
                                               .bytes_out = 22,
                                               .handshakes = 3,
                                               .resumed = 2,
                                               .dns_failures = 4};
}

static struct fake_stored *stored_of(const char *data, size_t count)
{
    for (size_t i = 0; i < fake_endpoint.stored_count; i++) {
        struct fake_stored *stored = &fake_endpoint.stored[i];
        if (strlen(stored->data) == count && memcmp(stored->data, data, count) == 0)
            return stored;
    }
    assert_true(fake_endpoint.stored_count < FAKE_STORED_MAX && count < FAKE_DATA_BYTES);
    assert_true(count < FAKE_DATA_BYTES);
    struct fake_stored *stored = &fake_endpoint.stored[fake_endpoint.stored_count++];
    memcpy(stored->data, data, count);
    return stored;
}

unsigned fake_endpoint_times(const char *data)
{
    return stored_of(data, strlen(data))->times;
}

static bool is_failing(const struct fake_step *step, size_t index)
{
    return index < 64 && (step->failing >> index & 1) != 0;
}

/* An object has a record in each line. */
static size_t take_lines(const struct fake_step *step, const char *body, bool store)
{
    size_t index = 0;
    for (const char *at = body; *at != '\0'; index++) {
        size_t count = strcspn(at, "\n");
        if (store) {
            struct fake_stored *stored = stored_of(at, count);
            stored->times++;
            stored->times_lost += step->lost;
        }
        at += count;
        assert_int_equal(*at++, '\n');
    }
    return index;
}

/* Goes through the records of BODY and stores those that do not fail. Returns their number. */
static size_t take_records(const struct fake_step *step, const char *body, bool store)
{
    static const char before[] = "{\"Data\":\"";
    size_t index = 0;
    if (strncmp(body, "{\"Stream", 8) != 0)
        return take_lines(step, body, store);
    for (const char *at = strstr(body, before); at != NULL; at = strstr(at, before)) {
        at += sizeof before - 1;
        if (store && !is_failing(step, index)) {
            struct fake_stored *stored = stored_of(at, strcspn(at, "\""));
            stored->times++;
            stored->times_lost += step->lost;
        }
        index++;
    }
    return index;
}

static void answer_records(const struct fake_step *step, size_t records,
                           const struct http_request *request)
{
    char entry[256];
    int count = snprintf(entry, sizeof entry, "{\"Records\":[");
    (void)request->on_body(request->context, (const uint8_t *)entry, (size_t)count);
    for (size_t i = 0; i < records; i++) {
        const char *comma = i == 0 ? "" : ",";
        if (is_failing(step, i))
            count = snprintf(entry, sizeof entry, "%s{\"ErrorCode\":\"%s\",\"ErrorMessage\":\"m\"}",
                             comma, step->code);
        else
            count = snprintf(entry, sizeof entry, "%s{\"SequenceNumber\":\"1\",\"ShardId\":\"s\"}",
                             comma);
        (void)request->on_body(request->context, (const uint8_t *)entry, (size_t)count);
    }
    (void)request->on_body(request->context, (const uint8_t *)"]}", 2);
}

static void answer(const struct fake_step *step, size_t records, const struct http_request *request)
{
    struct http_reply reply = {.status = step->status == 0 ? 200 : step->status,
                               .keep_alive = true,
                               .has_date = !fake_endpoint.no_date,
                               .retry_after_ms =
                                   step->retry_after_ms == 0 ? -1 : step->retry_after_ms};
    int64_t now = fake_endpoint.wall_ms + fake_endpoint.mono_ms + fake_endpoint.server_ms;
    reply.date_ms = now / 1000 * 1000;
    (void)snprintf(reply.error_type, sizeof reply.error_type, "%s",
                   step->error_type == NULL ? "" : step->error_type);
    (void)snprintf(reply.bucket_region, sizeof reply.bucket_region, "%s",
                   step->region == NULL ? "" : step->region);
    strcpy(reply.request_id, "r-1");
    (void)request->on_head(request->context, &reply);
    if (strncmp(request->head, "PUT ", 4) == 0 && step->body == NULL)
        return;
    if (step->body != NULL)
        (void)request->on_body(request->context, (const uint8_t *)step->body, strlen(step->body));
    else
        answer_records(step, records, request);
}

static struct fake_step next_step(void)
{
    struct fake_step step = {0};
    size_t at = fake_endpoint.request_count;
    if (fake_endpoint.choose != NULL)
        fake_endpoint.choose(at, &step);
    else if (at < fake_endpoint.step_count)
        step = fake_endpoint.steps[at];
    return step;
}

static struct fake_request *note_request(const struct http_request *request)
{
    assert_true(fake_endpoint.request_count < FAKE_REQUESTS_MAX);
    struct fake_request *note = &fake_endpoint.requests[fake_endpoint.request_count++];
    const char *date = strstr(request->head, "X-Amz-Date: ");
    note->mono_ms = fake_endpoint.mono_ms;
    assert_non_null(date);
    memcpy(note->date, date + 12, 16);
    (void)sscanf(request->head, "%*s %199s", note->path);
    (void)snprintf(note->host, sizeof note->host, "%s", pointed_at);
    note->question = strncmp(request->head, "GET ", 4) == 0 ||
                     request->body_bytes == strlen("{\"StreamName\":\"telemetry\",\"Records\":[]}");
    assert_int_equal(strlen(request->head), request->head_bytes);
    return note;
}

static int pass_over(void *context, const uint8_t *bytes, size_t count)
{
    (void)context;
    (void)bytes;
    (void)count;
    return E_OK;
}

static int fail_with(struct http_outcome *ret_outcome, int error)
{
    (void)snprintf(ret_outcome->fault, sizeof ret_outcome->fault, "the endpoint is \"away\"");
    ret_outcome->done_mono_ms = fake_endpoint.mono_ms;
    return error;
}

int http_client_exchange(struct http_client *client, const struct http_request *request,
                         struct http_outcome *ret_outcome)
{
    static char body[BODY_BYTES];
    struct writer out;
    struct fake_step step = next_step();
    struct fake_request *note = note_request(request);
    assert_non_null(client);
    *ret_outcome = (struct http_outcome){0};
    if (step.unsent)
        return fail_with(ret_outcome, step.error);
    ret_outcome->sent_mono_ms = fake_endpoint.mono_ms;
    if (step.between != NULL)
        step.between();
    writer_to_memory(&out, body, sizeof body);
    int rc = request->write_body(request->context, &out);
    (void)writer_finish(&out);
    if (rc < 0)
        return fail_with(ret_outcome, rc);
    assert_int_equal(out.used_bytes, request->body_bytes);
    ret_outcome->sent = true;
    if (note->question && step.error == E_OK) {
        static const struct fake_step refused = {.status = 400, .body = ""};
        struct http_request question = *request;
        question.on_body = pass_over;
        answer(&refused, 0, &question);
        return E_OK;
    }
    if (fake_endpoint.refuse != NULL) {
        step.body = fake_endpoint.refuse(body, take_records(&step, body, false));
        step.status = step.body == NULL                  ? 0
                      : fake_endpoint.refuse_status != 0 ? fake_endpoint.refuse_status
                                                         : 400;
    }
    note->records = take_records(&step, body, step.body == NULL && (step.error == 0 || step.lost));
    if (step.error != E_OK)
        return fail_with(ret_outcome, step.error);
    ret_outcome->reply_begun = true;
    answer(&step, note->records, request);
    return E_OK;
}
