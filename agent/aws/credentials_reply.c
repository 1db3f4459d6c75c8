/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/aws/credentials_reply.h"

#include <string.h>
#include <strings.h>

#include "platform/base/error.h"
#include "platform/base/parse.h"
#include "platform/hash.h"

enum field {
    FIELD_ID,
    FIELD_SECRET,
    FIELD_TOKEN,
    FIELD_DATE,
    FIELD_TYPE,
    FIELD_CODE,
    FIELD_MESSAGE,
    FIELDS
};
enum { FIELD_NONE = FIELDS };

/* Cognito always says how long a token lives; who does not may give the shortest that Cognito has.
 */
enum { LIFE_UNSAID_S = 300, LIFE_MAX_S = 24 * 3600 };

_Static_assert(FIELDS == sizeof((struct credentials_reply *)0)->cut, "fields");

struct place {
    char *text;
    size_t bytes;
};

static struct place place_of(struct credentials_reply *reply, int field)
{
    struct credentials *to = &reply->credentials;
    switch (field) {
    case FIELD_ID:
        return (struct place){to->access_key_id, sizeof to->access_key_id};
    case FIELD_SECRET:
        return (struct place){to->secret_access_key, sizeof to->secret_access_key};
    case FIELD_TOKEN:
        return (struct place){to->session_token, sizeof to->session_token};
    case FIELD_DATE:
        return (struct place){reply->date, sizeof reply->date};
    case FIELD_TYPE:
        return (struct place){reply->type, sizeof reply->type};
    case FIELD_CODE:
        return (struct place){reply->code, sizeof reply->code};
    default:
        return (struct place){reply->message, sizeof reply->message};
    }
}

/* ---- taking values, in pieces ---- */

static void field_begin(struct credentials_reply *reply, int field)
{
    reply->field = field;
    reply->used_bytes = 0;
    if (field == FIELD_NONE)
        return;
    struct place place = place_of(reply, field);
    hash_wipe(place.text, place.bytes);
    reply->cut[field] = false;
}

static void field_add(struct credentials_reply *reply, const char *text, size_t count)
{
    if (reply->field == FIELD_NONE)
        return;
    struct place place = place_of(reply, reply->field);
    size_t room = place.bytes - 1 - reply->used_bytes;
    if (count > room) {
        reply->cut[reply->field] = true;
        count = room;
    }
    memcpy(place.text + reply->used_bytes, text, count);
    reply->used_bytes += count;
    place.text[reply->used_bytes] = '\0';
}

/* ---- JSON ---- */

/* The field that is called KEY in one of the forms. */
static int find_field(const char *const names[FIELDS], const char *key,
                      int (*compare)(const char *, const char *))
{
    for (int field = 0; field < FIELDS; field++)
        if (names[field] != NULL && compare(key, names[field]) == 0)
            return field;
    return FIELD_NONE;
}

/* Errors come with "message" or "Message". */
static int json_field(const char *key)
{
    static const char *const names[FIELDS] = {
        [FIELD_ID] = "AccessKeyId", [FIELD_SECRET] = "SecretAccessKey",
        [FIELD_TOKEN] = "Token",    [FIELD_DATE] = "Expiration",
        [FIELD_CODE] = "Code",      [FIELD_MESSAGE] = "Message"};
    return strcasecmp(key, "SessionToken") == 0 ? FIELD_TOKEN : find_field(names, key, strcasecmp);
}

static int oauth2_field(const char *key)
{
    static const char *const names[FIELDS] = {[FIELD_TOKEN] = "access_token",
                                              [FIELD_DATE] = "expires_in",
                                              [FIELD_TYPE] = "token_type",
                                              [FIELD_CODE] = "error",
                                              [FIELD_MESSAGE] = "error_description"};
    return find_field(names, key, strcmp);
}

static bool is_life(const struct credentials_reply *reply, const struct json_token *token)
{
    return token->event == JSON_NUMBER && reply->field == FIELD_DATE &&
           reply->form == CREDENTIALS_FORM_OAUTH2;
}

/* Keys stand at depth 1, IoT's in the member "credentials". */
static int on_json(void *context, const struct json_token *token)
{
    struct credentials_reply *reply = context;
    bool iot = reply->form == CREDENTIALS_FORM_IOT;
    if (token->depth == 0 && token->event != JSON_OBJECT_BEGIN && token->event != JSON_OBJECT_END)
        return E_SYNTAX;
    if (iot && token->depth == 1 && token->event == JSON_KEY)
        reply->inside = strcmp(token->text, "credentials") == 0;
    if (token->depth != (reply->inside ? 2 : 1))
        return 0;
    if (token->event == JSON_KEY) {
        bool oauth2 = reply->form == CREDENTIALS_FORM_OAUTH2;
        int field = oauth2 ? oauth2_field(token->text) : json_field(token->text);
        bool fits = !iot || reply->inside == (field < FIELD_CODE);
        field_begin(reply, fits ? field : FIELD_NONE);
    } else if (token->event == JSON_STRING || is_life(reply, token)) {
        field_add(reply, token->text, token->text_bytes);
        if (token->truncated && reply->field != FIELD_NONE)
            reply->cut[reply->field] = true;
    }
    return 0;
}

/* ---- XML ---- */

#ifdef CONFIG_CREDENTIALS_STS
/* Both the result and the error stand in elements of their own; what else there is may use the same
 * names. */
static bool is_around(const char *name)
{
    return strcmp(name, "Credentials") == 0 || strcmp(name, "Error") == 0;
}

static int xml_field(const char *name)
{
    static const char *const names[FIELDS] = {
        [FIELD_ID] = "AccessKeyId",     [FIELD_SECRET] = "SecretAccessKey",
        [FIELD_TOKEN] = "SessionToken", [FIELD_DATE] = "Expiration",
        [FIELD_CODE] = "Code",          [FIELD_MESSAGE] = "Message"};
    return find_field(names, name, strcmp);
}

static int on_xml(void *context, const struct xml_token *token)
{
    struct credentials_reply *reply = context;
    if (token->event == XML_TEXT) {
        field_add(reply, token->text, token->text_bytes);
        return 0;
    }
    bool begins = token->event == XML_BEGIN;
    field_begin(reply, begins && reply->inside ? xml_field(token->name) : FIELD_NONE);
    if (is_around(token->name))
        reply->inside = begins;
    return 0;
}
#endif

/* ---- the whole ---- */

static int fail(struct credentials_reply *reply, int code, const char *why)
{
    if (reply->why == NULL)
        reply->why = why;
    reply->error = code;
    return code;
}

void credentials_reply_start(struct credentials_reply *reply, enum credentials_form form)
{
    memset(reply, 0, sizeof *reply);
    reply->form = form;
    reply->field = FIELD_NONE;
#ifdef CONFIG_CREDENTIALS_STS
    if (form == CREDENTIALS_FORM_STS) {
        xml_scan_start(&reply->in.xml, on_xml, reply);
        return;
    }
#endif
    json_scan_start(&reply->in.json.scan, on_json, reply);
    json_scan_use(&reply->in.json.scan, reply->in.json.token, sizeof reply->in.json.token);
}

int credentials_reply_feed(struct credentials_reply *reply, const void *bytes, size_t count)
{
    int rc;
    if (reply->error < 0)
        return reply->error;
#ifdef CONFIG_CREDENTIALS_STS
    if (reply->form == CREDENTIALS_FORM_STS) {
        rc = xml_scan_feed(&reply->in.xml, bytes, count);
        return rc < 0 ? fail(reply, rc, "is no XML of STS") : 0;
    }
#endif
    rc = json_scan_feed(&reply->in.json.scan, bytes, count);
    return rc < 0 ? fail(reply, rc, "is no JSON object") : 0;
}

/* The scanners say whether the reply is whole. */
static int end_scan(struct credentials_reply *reply)
{
    if (reply->error < 0)
        return reply->error;
#ifdef CONFIG_CREDENTIALS_STS
    if (reply->form == CREDENTIALS_FORM_STS)
        return xml_scan_end(&reply->in.xml);
#endif
    return json_scan_end(&reply->in.json.scan);
}

static bool is_visible(const char *text)
{
    for (; *text != '\0'; text++)
        if (*text <= ' ' || *text >= 0x7f)
            return false;
    return true;
}

/* What is foreign is shown to people: "?" for what is no plain text. */
static void make_plain(char *text)
{
    for (; *text != '\0'; text++)
        if (*text < ' ' || *text >= 0x7f)
            *text = '?';
}

static int check_keys(struct credentials_reply *reply)
{
    const struct credentials *read = &reply->credentials;
    if (read->access_key_id[0] == '\0' || read->secret_access_key[0] == '\0')
        return fail(reply, E_SYNTAX, "has only half of a key");
    if (reply->cut[FIELD_ID] || reply->cut[FIELD_SECRET] || reply->cut[FIELD_TOKEN])
        return fail(reply, E_SYNTAX, "has a key or token that is too long");
    if (!is_visible(read->access_key_id) || !is_visible(read->secret_access_key) ||
        !is_visible(read->session_token))
        return fail(reply, E_SYNTAX, "has a key or token with a character that no key has");
    if (parse_iso_date_ms(reply->date, strlen(reply->date), &reply->expiration_ms) < 0)
        return fail(reply, E_SYNTAX, "does not say when its credentials expire");
    return 0;
}

/* The life is a number, and at some servers a text that holds one. */
static int check_token(struct credentials_reply *reply)
{
    uint64_t life_s = LIFE_UNSAID_S;
    size_t life_bytes = strlen(reply->date);
    if (reply->type[0] != '\0' && strcasecmp(reply->type, "Bearer") != 0)
        return fail(reply, E_UNSUPPORTED, "has a token of a type other than Bearer");
    if (reply->cut[FIELD_TOKEN])
        return fail(reply, E_UNSUPPORTED, "has a token of more than 4095 bytes");
    if (!is_visible(reply->credentials.session_token))
        return fail(reply, E_SYNTAX, "has a token with a character that no token has");
    if (life_bytes > 0 && parse_unsigned(reply->date, life_bytes, &life_s) < 0)
        return fail(reply, E_SYNTAX, "does not say in seconds how long its token lives");
    if (life_s == 0)
        return fail(reply, E_UNSUPPORTED, "has a token that has expired already");
    reply->life_ms = (int64_t)(life_s < LIFE_MAX_S ? life_s : LIFE_MAX_S) * 1000;
    return 0;
}

int credentials_reply_end(struct credentials_reply *reply)
{
    int rc = end_scan(reply);
    make_plain(reply->code);
    make_plain(reply->message);
    if (rc < 0)
        return fail(reply, E_SYNTAX, "is cut off");
    if (reply->form == CREDENTIALS_FORM_OAUTH2)
        return reply->credentials.session_token[0] == '\0' ? E_NOT_FOUND : check_token(reply);
    if (reply->credentials.access_key_id[0] == '\0' &&
        reply->credentials.secret_access_key[0] == '\0')
        return E_NOT_FOUND;
    return check_keys(reply);
}

void credentials_reply_wipe(struct credentials_reply *reply)
{
    hash_wipe(reply, sizeof *reply);
}
