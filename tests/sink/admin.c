/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sink/admin.h"

#include <stdio.h>
#include <string.h>

#include <cjson/cJSON.h>

static int fail(struct buffer *body, const char *what)
{
    buffer_clear(body);
    buffer_text(body, "{\"error\":");
    buffer_json_text(body, what);
    buffer_text(body, "}");
    return 400;
}

static int set_fault(struct faults *faults, const cJSON *item)
{
    char number[32];
    if (cJSON_IsString(item))
        return faults_set(faults, item->string, item->valuestring);
    if (!cJSON_IsNumber(item))
        return -1;
    snprintf(number, sizeof number, "%.17g", item->valuedouble);
    return faults_set(faults, item->string, number);
}

static int set_faults(struct sink *sink, const cJSON *json, struct buffer *body)
{
    const cJSON *item;
    pthread_mutex_lock(&sink->lock);
    struct faults faults = sink->faults;
    cJSON_ArrayForEach(item, json)
    {
        if (set_fault(&faults, item) != 0) {
            pthread_mutex_unlock(&sink->lock);
            return fail(body, item->string);
        }
    }
    sink->faults = faults;
    pthread_mutex_unlock(&sink->lock);
    sink_faults(sink, body);
    return 200;
}

static int set_outage(struct server *server, const cJSON *json, struct buffer *body)
{
    const cJSON *seconds = cJSON_GetObjectItemCaseSensitive(json, "seconds");
    const cJSON *mode = cJSON_GetObjectItemCaseSensitive(json, "mode");
    enum outage outage = OUTAGE_REFUSE;
    int64_t duration_ms = SERVER_OUTAGE_FOREVER_MS;
    if (mode != NULL) {
        if (!cJSON_IsString(mode))
            return fail(body, "mode");
        if (strcmp(mode->valuestring, "silent") == 0)
            outage = OUTAGE_SILENT;
        else if (strcmp(mode->valuestring, "refuse") != 0)
            return fail(body, "mode");
    }
    if (seconds != NULL) {
        if (!cJSON_IsNumber(seconds) || !(seconds->valuedouble >= 0) || seconds->valuedouble > 1e8)
            return fail(body, "seconds");
        duration_ms = (int64_t)(seconds->valuedouble * 1000);
    }
    server_outage(server, duration_ms == 0 ? OUTAGE_NONE : outage, duration_ms);
    buffer_text(body, "{}");
    return 200;
}

static const char *member(const cJSON *json, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, name));
    return text == NULL ? "" : text;
}

static int set_key(struct sink *sink, const cJSON *json, struct buffer *body)
{
    const char *id = member(json, "access_key");
    int error;
    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, "expired")))
        error = keys_expire(&sink->keys, id);
    else
        error =
            keys_set(&sink->keys, id, member(json, "secret_key"), member(json, "session_token"));
    if (error != 0)
        return fail(body, "access_key");
    keys_list(&sink->keys, body);
    return 200;
}

static int post(struct sink *sink, struct server *server, const struct http_request *request,
                struct buffer *body)
{
    if (strcmp(request->target, "/stop") == 0) {
        server_stop(server);
        buffer_text(body, "{}");
        return 200;
    }
    int status = 404;
    cJSON *json = cJSON_ParseWithLength(request->body.bytes, request->body.used_bytes);
    if (!cJSON_IsObject(json))
        status = fail(body, "the body is not a JSON object");
    else if (strcmp(request->target, "/faults") == 0)
        status = set_faults(sink, json, body);
    else if (strcmp(request->target, "/keys") == 0)
        status = set_key(sink, json, body);
    else if (strcmp(request->target, "/outage") == 0)
        status = set_outage(server, json, body);
    cJSON_Delete(json);
    return status;
}

static int get(struct sink *sink, const struct http_request *request, struct buffer *body)
{
    if (strcmp(request->target, "/summary") == 0)
        sink_summary(sink, body);
    else if (strcmp(request->target, "/faults") == 0)
        sink_faults(sink, body);
    else if (strcmp(request->target, "/keys") == 0)
        keys_list(&sink->keys, body);
    else
        return 404;
    return 200;
}

enum sink_end admin_serve(struct sink *sink, struct server *server,
                          const struct http_request *request, struct buffer *reply)
{
    struct buffer body = {0};
    int status = 405;
    if (strcmp(request->method, "GET") == 0)
        status = get(sink, request, &body);
    else if (strcmp(request->method, "POST") == 0)
        status = post(sink, server, request, &body);
    http_reply(reply, status, "Content-Type: application/json\r\n", sink_now_ms(sink),
               request->keep_alive, &body);
    buffer_free(&body);
    return request->keep_alive ? SINK_KEEP : SINK_CLOSE;
}
