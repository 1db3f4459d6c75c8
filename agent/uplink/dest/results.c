/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/uplink/dest/results.h"

#include <string.h>

#include "agent/uplink/verdict.h"
#include "platform/base/error.h"
#include "platform/base/parse.h"

/* A reply has at most some 300 bytes per record; more than this is none. */
enum { REPLY_BYTES_MIN = 65536, REPLY_BYTES_PER_RECORD = 1024 };

/* ---- texts ---- */

void results_copy_text(char *to, size_t to_bytes, const char *from)
{
    size_t count = strlen(from);
    if (count >= to_bytes) {
        count = to_bytes - 1;
        while (count > 0 && ((uint8_t)from[count] & 0xc0) == 0x80)
            count--;
    }
    memcpy(to, from, count);
    to[count] = '\0';
}

void results_copy_code(char to[DEST_CODE_BYTES], const char *from)
{
    const char *hash = memrchr(from, '#', strcspn(from, ":"));
    results_copy_text(to, DEST_CODE_BYTES, hash == NULL ? from : hash + 1);
    to[strcspn(to, ":")] = '\0';
}

/* ---- top level ---- */

static enum results_member member_of(const struct results_names *names, const char *key)
{
    if (strcmp(key, names->failed) == 0)
        return RESULTS_FAILED;
    if (strcmp(key, names->list) == 0)
        return RESULTS_LIST;
    if (strcmp(key, names->id) == 0)
        return RESULTS_ID;
    if (strcmp(key, "__type") == 0)
        return RESULTS_TYPE;
    if (strcmp(key, "message") == 0 || strcmp(key, "Message") == 0)
        return RESULTS_MESSAGE;
    return RESULTS_OTHER;
}

/* One that does not fit would be another once it is cut. */
static void on_id(struct results *results, const struct json_token *token)
{
    if (token->text_bytes < RESULTS_ID_BYTES)
        results_copy_text(results->id, RESULTS_ID_BYTES, token->text);
}

/* What is no count contradicts every number of failed records. */
static void on_failed_count(struct results *results, const struct json_token *token)
{
    results->claims_failed = true;
    if (parse_unsigned(token->text, token->text_bytes, &results->claimed_failed) < 0)
        results->broken = true;
}

static void on_member(struct results *results, const struct json_token *token)
{
    if (token->event == JSON_KEY)
        results->member = member_of(results->names, token->text);
    else if (token->event == JSON_ARRAY_BEGIN && results->member == RESULTS_LIST) {
        results->broken |= results->list_seen;
        results->list_seen = results->in_list = true;
    } else if (token->event == JSON_ARRAY_END)
        results->in_list = false;
    else if (results->member == RESULTS_FAILED && token->event != JSON_NULL)
        on_failed_count(results, token);
    else if (token->event == JSON_STRING && results->member == RESULTS_ID)
        on_id(results, token);
    else if (token->event == JSON_STRING && results->member == RESULTS_TYPE) {
        results->type_seen = true;
        results_copy_code(results->reply.code, token->text);
    } else if (token->event == JSON_STRING && results->member == RESULTS_MESSAGE)
        results_copy_text(results->reply.message, sizeof results->reply.message, token->text);
}

/* ---- a result ---- */

static enum results_member result_member_of(const struct results_names *names, const char *key)
{
    if (strcmp(key, "ErrorCode") == 0)
        return RESULTS_CODE;
    if (strcmp(key, "ErrorMessage") == 0)
        return RESULTS_MESSAGE;
    return strcmp(key, names->id) == 0 ? RESULTS_ID : RESULTS_OTHER;
}

static void on_result_member(struct results *results, const struct json_token *token)
{
    bool text = token->event == JSON_STRING && token->text_bytes > 0;
    if (token->event == JSON_KEY)
        results->result_member = result_member_of(results->names, token->text);
    else if (results->result_member == RESULTS_ID)
        results->result_stored |= text;
    else if (results->result_member == RESULTS_MESSAGE && text)
        results_copy_text(results->result_message, sizeof results->result_message, token->text);
    else if (results->result_member == RESULTS_CODE && token->event != JSON_NULL) {
        results->result_failed |= text || token->event != JSON_STRING;
        if (text)
            results_copy_code(results->result_code, token->text);
    }
}

static void result_begin(struct results *results)
{
    results->result_member = RESULTS_OTHER;
    results->result_stored = results->result_failed = false;
    results->result_code[0] = results->result_message[0] = '\0';
}

static void result_end(struct results *results)
{
    struct dest_reply *reply = &results->reply;
    size_t index = results->index++;
    if (index >= results->sent) {
        results->broken = true;
        return;
    }
    if (results->result_stored && !results->result_failed) {
        results->delivered[index / 8] |= (uint8_t)(1 << index % 8);
        reply->delivered++;
        return;
    }
    if (reply->failed++ == 0 && !results->type_seen) {
        memcpy(reply->code, results->result_code, sizeof reply->code);
        memcpy(reply->message, results->result_message, sizeof reply->message);
    }
    reply->throttled += verdict_of_record(results->result_code) == VERDICT_THROTTLE;
}

/* An element of the list: an object, or anything else, which is nothing that was stored. */
static void on_result(struct results *results, const struct json_token *token)
{
    if (token->event == JSON_ARRAY_END)
        return;
    if (token->event != JSON_OBJECT_END)
        result_begin(results);
    if (token->event != JSON_OBJECT_BEGIN)
        result_end(results);
}

static int on_token(void *context, const struct json_token *token)
{
    struct results *results = context;
    if (token->depth == 1)
        on_member(results, token);
    else if (token->depth == 2 && results->in_list)
        on_result(results, token);
    else if (token->depth == 3 && results->in_list)
        on_result_member(results, token);
    return E_OK;
}

/* ---- the whole ---- */

void results_start(struct results *results, const struct results_names *names, size_t sent,
                   uint8_t *delivered)
{
    *results = (struct results){.names = names, .sent = sent, .delivered = delivered};
    memset(delivered, 0, (sent + 7) / 8);
    json_scan_start(&results->scan, on_token, results);
    xml_error_start(&results->xml);
}

int results_feed(struct results *results, const uint8_t *bytes, size_t count)
{
    results->bytes += count;
    if (results->bytes > REPLY_BYTES_MIN + REPLY_BYTES_PER_RECORD * (uint64_t)results->sent)
        return E_TOO_BIG;
    if (!results->broken && json_scan_feed(&results->scan, bytes, count) < 0)
        results->broken = true;
    xml_error_feed(&results->xml, bytes, count);
    return E_OK;
}

static bool is_success(const struct results *results, int status)
{
    return results->names->any_success ? status >= 200 && status < 300 : status == 200;
}

/* A whole reply of success that tells no error of the request. */
static bool is_sound(struct results *results, const struct http_reply *head)
{
    return is_success(results, head->status) && !results->broken &&
           json_scan_end(&results->scan) == E_OK && !results->type_seen;
}

/* Of a reply that is not understood only the request's own error is worth anything. */
static void forget_results(struct results *results)
{
    struct dest_reply *reply = &results->reply;
    memset(results->delivered, 0, (results->sent + 7) / 8);
    reply->delivered = reply->failed = reply->throttled = 0;
    if (!results->type_seen && !xml_error_end(&results->xml, reply))
        reply->code[0] = '\0';
}

void results_end(struct results *results, const struct http_reply *head,
                 struct dest_reply *ret_reply)
{
    struct dest_reply *reply = &results->reply;
    bool sound = is_sound(results, head);
    bool answers = results->list_seen && results->index == results->sent;
    bool contradicts = results->claims_failed && results->claimed_failed != reply->failed;
    reply->understood = sound && answers && !contradicts;
    if (!reply->understood)
        forget_results(results);
    *ret_reply = *reply;
}

/* ---- a single record ---- */

const char *results_single_id(const struct results *results)
{
    return results->id;
}

void results_end_single(struct results *results, const struct http_reply *head, bool stored,
                        struct dest_reply *ret_reply)
{
    struct dest_reply *reply = &results->reply;
    reply->understood = is_sound(results, head) && stored && !results->list_seen;
    if (reply->understood) {
        results->delivered[0] = 1;
        reply->delivered = 1;
    } else
        forget_results(results);
    *ret_reply = *reply;
}
