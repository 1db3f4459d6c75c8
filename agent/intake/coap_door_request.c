/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of the door. */
#include <stdio.h>
#include <string.h>

#include "agent/intake/coap_door_state.h"
#include "platform/base/error.h"

enum { PATH_BYTES = 64, QUERY_BYTES = 64, FULL_AGE_S = 30, WAITING_AGE_S = 1 };

static const char formats[] =
    "say Content-Format: 50 JSON, 60 CBOR, 110 or 112 SenML, 0 a number, 42 octets";

static const char sensor_prefix[] = "t/";

/* ---- reading it ---- */

/* Appends an option's text to TEXT behind SEPARATOR; false if it does not fit, or holds a NUL. */
static bool append(char *text, size_t text_bytes, char separator, const coap_opt_t *option)
{
    size_t used = strlen(text);
    size_t count = coap_opt_length(option);
    const uint8_t *bytes = coap_opt_value(option);
    if (count > 0 && memchr(bytes, '\0', count) != NULL)
        return false;
    if (used + count + 2 > text_bytes)
        return false;
    if (separator != '\0')
        text[used++] = separator;
    if (count > 0)
        memcpy(text + used, bytes, count);
    text[used + count] = '\0';
    return true;
}

/* The segments of the path with slashes between them. A slash inside of one is none of ours. */
static bool read_path(const coap_pdu_t *request, char path[PATH_BYTES])
{
    coap_opt_iterator_t iterator;
    coap_opt_filter_t filter;
    const coap_opt_t *option;
    bool is_first = true;
    coap_option_filter_clear(&filter);
    (void)coap_option_filter_set(&filter, COAP_OPTION_URI_PATH);
    (void)coap_option_iterator_init(request, &iterator, &filter);
    path[0] = '\0';
    while ((option = coap_option_next(&iterator)) != NULL) {
        size_t count = coap_opt_length(option);
        if (count > 0 && memchr(coap_opt_value(option), '/', count) != NULL)
            return false;
        if (!append(path, PATH_BYTES, is_first ? '\0' : '/', option))
            return false;
        is_first = false;
    }
    return true;
}

struct query {
    char text[QUERY_BYTES]; /* the last one read */
    char lane[QUERY_BYTES]; /* "": none is asked for */
};

/* False: QUERY's text is not known here. */
static bool read_query(const coap_pdu_t *request, struct query *query)
{
    static const char lane[] = "lane=";
    coap_opt_iterator_t iterator;
    coap_opt_filter_t filter;
    const coap_opt_t *option;
    coap_option_filter_clear(&filter);
    (void)coap_option_filter_set(&filter, COAP_OPTION_URI_QUERY);
    (void)coap_option_iterator_init(request, &iterator, &filter);
    *query = (struct query){.lane = ""};
    while ((option = coap_option_next(&iterator)) != NULL) {
        query->text[0] = '\0';
        if (!append(query->text, sizeof query->text, '\0', option) ||
            strncmp(query->text, lane, sizeof lane - 1) != 0 || query->lane[0] != '\0')
            return false;
        memcpy(query->lane, query->text + sizeof lane - 1, strlen(query->text) - sizeof lane + 2);
        if (query->lane[0] == '\0')
            return false;
    }
    return true;
}

static bool read_uint(const coap_pdu_t *request, coap_option_num_t number, unsigned *ret_value)
{
    coap_opt_iterator_t iterator;
    coap_opt_t *option = coap_check_option(request, number, &iterator);
    if (option != NULL)
        *ret_value = coap_decode_var_bytes(coap_opt_value(option), coap_opt_length(option));
    return option != NULL;
}

/* ---- answering ---- */

static coap_pdu_code_t code_of(int error)
{
    switch (error) {
    case E_SYNTAX:
    case E_RANGE:
    case E_INVALID:
        return COAP_RESPONSE_CODE(400);
    case E_TOO_BIG:
        return COAP_RESPONSE_CODE(413);
    case E_UNSUPPORTED:
        return COAP_RESPONSE_CODE(415);
    case E_NOT_FOUND:
        return COAP_RESPONSE_CODE(404);
    case E_EXISTS:
    case E_DENIED:
        return COAP_RESPONSE_CODE(403);
    default:
        return COAP_RESPONSE_CODE(503);
    }
}

static void refuse_put(struct coap_door_exchange *exchange, int error, const char *fault)
{
    coap_pdu_code_t code = code_of(error);
    unsigned age_s = code == COAP_RESPONSE_CODE(503) ? FULL_AGE_S : 0;
    coap_door_answer_refuse(exchange, code, age_s, fault);
}

/* What is not confirmable is accepted without a promise, and nothing is said to it. */
static void take(struct coap_door_exchange *exchange, const struct handin_request *request)
{
    struct coap_door *door = exchange->door;
    struct handin_receipt receipt = {.bytes_max = 0};
    char fault[PAYLOAD_FAULT_BYTES] = "";
    struct coap_door_wait *wait = NULL;
    if (exchange->is_confirmable && (wait = coap_door_wait_place(door)) == NULL) {
        coap_door_answer_refuse(exchange, COAP_RESPONSE_CODE(503), WAITING_AGE_S, "too many wait");
        return;
    }
    int rc = handin_put(door->options.handin, request, &receipt, fault);
    if (rc < 0) {
        refuse_put(exchange, rc, fault);
        return;
    }
    (void)pthread_mutex_lock(&door->lock);
    door->status.accepted++;
    (void)pthread_mutex_unlock(&door->lock);
    if (wait != NULL)
        coap_door_wait_begin(wait, exchange, &receipt);
    else
        coap_door_answer_hold(exchange);
}

static void put(struct coap_door_exchange *exchange, const char *sensor)
{
    struct query query;
    struct handin_request request = {.sensor = sensor};
    (void)pthread_mutex_lock(&exchange->door->lock);
    exchange->door->status.messages++;
    (void)pthread_mutex_unlock(&exchange->door->lock);
    if (!read_query(exchange->request, &query)) {
        coap_door_answer_refuse(exchange, COAP_RESPONSE_CODE(400), 0,
                                "only ?lane=NAME may stand behind the path");
        return;
    }
    if (!read_uint(exchange->request, COAP_OPTION_CONTENT_FORMAT, &request.format)) {
        coap_door_answer_refuse(exchange, COAP_RESPONSE_CODE(415), 0, formats);
        return;
    }
    for (size_t i = 0; i < LANE_COUNT; i++)
        request.may_lane[i] = true;
    request.lane = query.lane[0] != '\0' ? query.lane : NULL;
    (void)coap_get_data(exchange->request, &request.count, &request.bytes);
    take(exchange, &request);
}

static bool is_put(const coap_pdu_t *request)
{
    coap_pdu_code_t code = coap_pdu_get_code(request);
    return code == COAP_REQUEST_CODE_POST || code == COAP_REQUEST_CODE_PUT;
}

static void route(struct coap_door_exchange *exchange)
{
    char path[PATH_BYTES];
    if (!read_path(exchange->request, path)) {
        coap_door_answer_refuse(exchange, COAP_RESPONSE_CODE(404), 0, "there is no such path");
        return;
    }
    const char *sensor = path + sizeof sensor_prefix - 1;
    if (strncmp(path, sensor_prefix, sizeof sensor_prefix - 1) == 0 && *sensor != '\0' &&
        strchr(sensor, '/') == NULL) {
        if (is_put(exchange->request))
            put(exchange, sensor);
        else
            coap_door_answer_refuse(exchange, COAP_RESPONSE_CODE(405), 0, "only POST or PUT");
        return;
    }
    if (!coap_door_page(exchange, path))
        coap_door_answer_refuse(exchange, COAP_RESPONSE_CODE(404), 0, "there is no such path");
}

static void handle(coap_resource_t *resource, coap_session_t *session, const coap_pdu_t *request,
                   const coap_string_t *query, coap_pdu_t *response)
{
    struct coap_door_exchange exchange = {.door = coap_resource_get_userdata(resource),
                                          .session = session,
                                          .request = request,
                                          .response = response,
                                          .is_confirmable =
                                              coap_pdu_get_type(request) == COAP_MESSAGE_CON,
                                          .answer_bytes_max = coap_session_max_pdu_size(session)};
    (void)query;
    route(&exchange);
}

static int serve(struct coap_door *door, coap_resource_t *resource)
{
    static const coap_request_t methods[] = {
        COAP_REQUEST_GET,   COAP_REQUEST_POST,  COAP_REQUEST_PUT,   COAP_REQUEST_DELETE,
        COAP_REQUEST_FETCH, COAP_REQUEST_PATCH, COAP_REQUEST_IPATCH};
    if (resource == NULL)
        return E_NO_MEMORY;
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        coap_register_request_handler(resource, methods[i], handle);
    coap_resource_set_userdata(resource, door);
    coap_add_resource(door->context, resource);
    return 0;
}

/* All paths lead to the one handler: libcoap's own answers are not measured against the request. */
int coap_door_request_serve(struct coap_door *door)
{
    int rc = serve(door, coap_resource_unknown_init(handle));
    if (rc == 0)
        rc = serve(door, coap_resource_init(coap_make_str_const(".well-known/core"), 0));
    return rc;
}
