/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/uplink/dest/xml_error.h"

#include <string.h>
#include <strings.h>

static bool ends_with(const char *name, const char *end)
{
    size_t count = strlen(name), end_count = strlen(end);
    return count >= end_count && strcmp(name + count - end_count, end) == 0;
}

/* What does not fit is cut: SIZE is that of the text, its end included. */
static void append(char *to, size_t size, size_t *used, const struct xml_token *token)
{
    size_t room = size - 1 - *used;
    size_t count = token->text_bytes < room ? token->text_bytes : room;
    memcpy(to + *used, token->text, count);
    *used += count;
    to[*used] = '\0';
}

/* The first Code is that of the error; one of its details may follow. */
static int on_token(void *context, const struct xml_token *token)
{
    struct xml_error *error = context;
    bool is_code = strcmp(token->name, "Code") == 0;
    if (token->event == XML_BEGIN && token->depth == 0 && ends_with(token->name, "Exception"))
        append(error->code, sizeof error->code, &error->code_bytes,
               &(const struct xml_token){.text = token->name, .text_bytes = strlen(token->name)});
    else if (token->event == XML_TEXT && is_code && !error->has_code)
        append(error->code, sizeof error->code, &error->code_bytes, token);
    else if (token->event == XML_TEXT && strcasecmp(token->name, "Message") == 0)
        append(error->message, sizeof error->message, &error->message_bytes, token);
    else if (token->event == XML_TEXT && strcmp(token->name, "Region") == 0)
        append(error->region, sizeof error->region, &error->region_bytes, token);
    else if (token->event == XML_END && is_code)
        error->has_code = true;
    return 0;
}

void xml_error_start(struct xml_error *error)
{
    *error = (struct xml_error){.is_xml = true};
    xml_scan_start(&error->scan, on_token, error);
}

void xml_error_feed(struct xml_error *error, const uint8_t *bytes, size_t count)
{
    if (error->is_xml && xml_scan_feed(&error->scan, bytes, count) < 0)
        error->is_xml = false;
}

bool xml_error_end(struct xml_error *error, struct dest_reply *ret_reply)
{
    if (!error->is_xml || xml_scan_end(&error->scan) < 0 || error->code_bytes == 0)
        return false;
    memcpy(ret_reply->code, error->code, sizeof ret_reply->code);
    memcpy(ret_reply->message, error->message, sizeof ret_reply->message);
    return true;
}
