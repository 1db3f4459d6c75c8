/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/json/json_read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "platform/base/error.h"
#include "platform/json/json_mend.h"
#include "platform/json/json_scan.h"

struct place {
    uint64_t offset;
    size_t bytes;
    unsigned line, column;
    unsigned key_line, key_column;
    enum json_kind kind;
};

struct json_read {
    char *text; /* a copy without comments; numbers are pointed to in it */
    size_t text_bytes;
    cJSON *tree; /* owns keys and strings */
    struct json_node *nodes;
    struct place *places; /* one for each node, while parsing */
    size_t count;
    size_t capacity;
    struct place key; /* of the value to come */
};

struct scanning {
    struct json_read *read;
    struct json_read_fault *fault;
};

static int fault_at(struct json_read_fault *fault, unsigned line, unsigned column, const char *text)
{
    *fault = (struct json_read_fault){.line = line, .column = column};
    (void)snprintf(fault->text, sizeof fault->text, "%s", text);
    return E_SYNTAX;
}

/* ---- comments ---- */

struct blanking {
    const char *from;
    size_t count;
    size_t at;
    char *to;
    size_t used;
    unsigned line, column;
};

static char ahead(const struct blanking *blanking, size_t distance)
{
    size_t at = blanking->at + distance;
    return at < blanking->count ? blanking->from[at] : '\0';
}

/* Takes one byte over, or a blank instead. The second and later bytes of a character inside a
 * comment vanish, so that columns, which count characters, stay what they were. */
static void take(struct blanking *blanking, bool blank)
{
    char byte = blanking->from[blanking->at++];
    bool continued = ((unsigned char)byte & 0xc0) == 0x80;
    if (byte == '\n') {
        blanking->line++;
        blanking->column = 1;
    } else if (!continued)
        blanking->column++;
    if (blank && continued)
        return;
    blanking->to[blanking->used++] = blank && byte != '\n' ? ' ' : byte;
}

static void take_string(struct blanking *blanking)
{
    do {
        if (ahead(blanking, 0) == '\\' && blanking->at + 1 < blanking->count)
            take(blanking, false);
        take(blanking, false);
    } while (blanking->at < blanking->count && ahead(blanking, 0) != '"' &&
             ahead(blanking, 0) != '\n');
    if (blanking->at < blanking->count)
        take(blanking, false);
}

static int take_block_comment(struct blanking *blanking, struct json_read_fault *fault)
{
    unsigned line = blanking->line;
    unsigned column = blanking->column;
    take(blanking, true);
    take(blanking, true);
    while (blanking->at < blanking->count) {
        bool last = ahead(blanking, 0) == '*' && ahead(blanking, 1) == '/';
        take(blanking, true);
        if (last) {
            take(blanking, true);
            return 0;
        }
    }
    return fault_at(fault, line, column, "this comment is not closed; end it with */");
}

/* Copies the text with its comments blanked out. */
static int blank_comments(struct blanking *blanking, struct json_read_fault *fault)
{
    int rc = 0;
    while (blanking->at < blanking->count && rc == 0) {
        char byte = ahead(blanking, 0);
        if (byte == '"')
            take_string(blanking);
        else if (byte == '/' && ahead(blanking, 1) == '/')
            while (blanking->at < blanking->count && ahead(blanking, 0) != '\n')
                take(blanking, true);
        else if (byte == '/' && ahead(blanking, 1) == '*')
            rc = take_block_comment(blanking, fault);
        else
            take(blanking, false);
    }
    return rc;
}

/* ---- places ---- */

static int refuse(struct scanning *scanning, const struct json_token *token, const char *why)
{
    return fault_at(scanning->fault, token->line, token->column, why);
}

static int check_token(struct scanning *scanning, const struct json_token *token)
{
    if (token->event == JSON_NUMBER && token->text_bytes > JSON_READ_NUMBER_MAX)
        return refuse(scanning, token, "this number is too long; use at most 60 characters");
    if (token->truncated)
        return refuse(scanning, token, "this text is too long; use at most 511 bytes");
    if (strlen(token->text) != token->text_bytes)
        return refuse(scanning, token, "\\u0000 cannot stand in a configuration; remove it");
    return 0;
}

static int kind_of(enum json_event event)
{
    static const int kinds[] = {
        [JSON_OBJECT_BEGIN] = JSON_KIND_OBJECT,
        [JSON_OBJECT_END] = -1,
        [JSON_ARRAY_BEGIN] = JSON_KIND_ARRAY,
        [JSON_ARRAY_END] = -1,
        [JSON_KEY] = -1,
        [JSON_STRING] = JSON_KIND_TEXT,
        [JSON_NUMBER] = JSON_KIND_NUMBER,
        [JSON_TRUE] = JSON_KIND_BOOLEAN,
        [JSON_FALSE] = JSON_KIND_BOOLEAN,
        [JSON_NULL] = JSON_KIND_NULL,
    };
    return kinds[event];
}

static int grow(struct json_read *read)
{
    if (read->count < read->capacity)
        return 0;
    size_t capacity = read->capacity == 0 ? 64 : 2 * read->capacity;
    struct place *places = realloc(read->places, capacity * sizeof *places);
    if (places == NULL)
        return E_NO_MEMORY;
    read->places = places;
    read->capacity = capacity;
    return 0;
}

static int note_token(void *context, const struct json_token *token)
{
    struct scanning *scanning = context;
    struct json_read *read = scanning->read;
    int rc = check_token(scanning, token);
    if (rc < 0)
        return rc;
    if (token->event == JSON_KEY) {
        read->key = (struct place){.key_line = token->line, .key_column = token->column};
        return 0;
    }
    int kind = kind_of(token->event);
    if (kind < 0)
        return 0;
    rc = grow(read);
    if (rc < 0)
        return rc;
    read->places[read->count++] = (struct place){.offset = token->offset,
                                                 .bytes = token->text_bytes,
                                                 .line = token->line,
                                                 .column = token->column,
                                                 .key_line = read->key.key_line,
                                                 .key_column = read->key.key_column,
                                                 .kind = (enum json_kind)kind};
    return 0;
}

/* E_AGAIN: the text was mended and is to be looked at again. */
static int explain(struct json_read *read, const struct json_scan *scan, int code,
                   struct json_read_fault *fault)
{
    if (code == E_SYNTAX)
        return json_mend(read->text, read->text_bytes, scan, fault) ? E_AGAIN : code;
    (void)fault_at(fault, scan->line, scan->column,
                   "nested more than 16 levels deep; is a bracket missing before?");
    return code;
}

static int find_places(struct json_read *read, struct json_read_fault *fault)
{
    struct json_scan scan;
    struct scanning scanning = {read, fault};
    *fault = (struct json_read_fault){0};
    read->count = 0;
    json_scan_start(&scan, note_token, &scanning);
    int rc = json_scan_feed(&scan, read->text, read->text_bytes);
    if (rc == 0)
        rc = json_scan_end(&scan);
    if (rc < 0 && rc != E_NO_MEMORY && fault->line == 0)
        rc = explain(read, &scan, rc, fault);
    return rc;
}

/* ---- nodes ---- */

static bool kind_agrees(const cJSON *item, enum json_kind kind)
{
    switch (kind) {
    case JSON_KIND_OBJECT:
        return cJSON_IsObject(item);
    case JSON_KIND_ARRAY:
        return cJSON_IsArray(item);
    case JSON_KIND_TEXT:
        return cJSON_IsString(item);
    case JSON_KIND_NUMBER:
        return cJSON_IsNumber(item);
    case JSON_KIND_BOOLEAN:
        return cJSON_IsBool(item);
    default:
        return cJSON_IsNull(item);
    }
}

static const char *text_of(struct json_read *read, const cJSON *item, const struct place *place)
{
    char *number = read->text + place->offset;
    switch (place->kind) {
    case JSON_KIND_TEXT:
        return item->valuestring;
    case JSON_KIND_NUMBER:
        number[place->bytes] = '\0'; /* over what stood behind it and is not needed any more */
        return number;
    case JSON_KIND_BOOLEAN:
        return cJSON_IsTrue(item) ? "true" : "false";
    default:
        return NULL;
    }
}

/* The places and cJSON's tree are in the same order, that of the text. The scanner bounded the
 * depth, so that going down recursively is safe. */
static int attach(struct json_read *read, const char *file, const cJSON *item,
                  struct json_node *parent, size_t *index)
{
    struct json_node *node = &read->nodes[*index];
    struct json_node **next = &node->first;
    if (*index == read->count || !kind_agrees(item, read->places[*index].kind))
        return E_DAMAGED;
    const struct place *place = &read->places[(*index)++];
    bool member = item->string != NULL;
    *node = (struct json_node){.kind = place->kind,
                               .key = item->string,
                               .text = text_of(read, item, place),
                               .file = file,
                               .line = place->line,
                               .column = place->column,
                               .key_line = member ? place->key_line : place->line,
                               .key_column = member ? place->key_column : place->column,
                               .parent = parent};
    for (const cJSON *child = item->child; child != NULL; child = child->next) {
        *next = &read->nodes[*index];
        int rc = attach(read, file, child, node, index);
        if (rc < 0)
            return rc;
        next = &(*next)->next;
    }
    return 0;
}

static void mark_duplicates(struct json_node *object)
{
    for (struct json_node *member = object->first; member != NULL; member = member->next)
        for (struct json_node *other = member->next; other != NULL; other = other->next)
            if (strcmp(member->key, other->key) == 0)
                other->duplicate = true;
}

static int build(struct json_read *read, const char *file)
{
    size_t index = 0;
    read->tree = cJSON_ParseWithLength(read->text, read->text_bytes);
    read->nodes = calloc(read->count, sizeof *read->nodes);
    if (read->tree == NULL || read->nodes == NULL)
        return E_NO_MEMORY;
    int rc = attach(read, file, read->tree, NULL, &index);
    if (rc < 0 || index != read->count)
        return E_SYNTAX;
    for (size_t i = 0; i < read->count; i++)
        if (read->nodes[i].kind == JSON_KIND_OBJECT)
            mark_duplicates(&read->nodes[i]);
    free(read->places);
    read->places = NULL;
    return 0;
}

/* Each round mends one fault; the last one has no more, or one that cannot be mended. */
static int find_all_places(struct json_read *read, struct json_read_faults *faults, size_t most)
{
    int rc = E_AGAIN;
    while (rc == E_AGAIN && faults->count < most) {
        struct json_read_fault *fault = &faults->list[faults->count];
        rc = find_places(read, fault);
        faults->count += rc < 0;
    }
    return rc == E_AGAIN ? E_SYNTAX : rc;
}

static bool begins_with(const char *text, size_t count, const char *mark)
{
    size_t bytes = strlen(mark);
    return count >= bytes && memcmp(text, mark, bytes) == 0;
}

/* What editors write in front of the text. Returns its bytes; E_SYNTAX: the rest is no UTF-8. */
static int take_mark(const char *text, size_t count, struct json_read_faults *faults)
{
    static const char utf8_mark[] = "\xef\xbb\xbf";
    struct json_read_fault *fault = &faults->list[faults->count];
    bool is_utf16 = begins_with(text, count, "\xff\xfe") || begins_with(text, count, "\xfe\xff");
    if (is_utf16) {
        faults->count++;
        return fault_at(fault, 1, 1, "this is UTF-16; save the file as UTF-8");
    }
    if (!begins_with(text, count, utf8_mark))
        return 0;
    faults->count++;
    (void)fault_at(fault, 1, 1, "a byte order mark; save the file as UTF-8 without one");
    return (int)sizeof utf8_mark - 1;
}

static int parse(struct json_read *read, const char *file, const char *text, size_t count,
                 struct json_read_faults *faults, size_t most)
{
    int mark_bytes = take_mark(text, count, faults);
    if (mark_bytes < 0)
        return mark_bytes;
    if (faults->count == most)
        return E_SYNTAX;
    text += mark_bytes;
    count -= (size_t)mark_bytes;
    read->text = malloc(count + 1);
    if (read->text == NULL)
        return E_NO_MEMORY;
    struct blanking blanking = {text, count, 0, read->text, 0, 1, 1};
    struct json_read_fault *next = &faults->list[faults->count];
    int rc = blank_comments(&blanking, next);
    faults->count += rc < 0;
    if (rc < 0)
        return rc;
    read->text_bytes = blanking.used;
    read->text[read->text_bytes] = '\0';
    rc = find_all_places(read, faults, most);
    if (rc < 0)
        return rc;
    rc = build(read, file);
    if (rc == E_SYNTAX && faults->count < most)
        (void)fault_at(&faults->list[faults->count++], 1, 1,
                       "cJSON reads this text in another way; write it more plainly");
    return rc;
}

static int read_text(const char *file, const char *text, size_t count,
                     struct json_read_faults *faults, size_t most, struct json_read **ret_read)
{
    struct json_read *read = calloc(1, sizeof *read);
    *faults = (struct json_read_faults){.count = 0};
    if (read == NULL)
        return E_NO_MEMORY;
    int rc = E_TOO_BIG;
    if (count <= JSON_READ_BYTES_MAX)
        rc = parse(read, file, text, count, faults, most);
    else
        (void)fault_at(&faults->list[faults->count++], 1, 1,
                       "longer than 256 KiB; use fragments, of which each may be as long");
    if (rc < 0)
        json_read_free(read);
    else
        *ret_read = read;
    return rc;
}

int json_read_mend(const char *file, const char *text, size_t count,
                   struct json_read_faults *ret_faults, struct json_read **ret_read)
{
    struct json_read_faults faults;
    int rc = read_text(file, text, count, &faults, JSON_READ_FAULTS_MAX, ret_read);
    if (rc != E_NO_MEMORY)
        *ret_faults = faults;
    return rc;
}

int json_read_parse(const char *file, const char *text, size_t count,
                    struct json_read_fault *ret_fault, struct json_read **ret_read)
{
    struct json_read_faults faults;
    int rc = read_text(file, text, count, &faults, 1, ret_read);
    if (rc < 0 && rc != E_NO_MEMORY)
        *ret_fault = faults.list[0];
    return rc;
}

struct json_node *json_read_root(struct json_read *read)
{
    return &read->nodes[0];
}

void json_read_free(struct json_read *read)
{
    if (read == NULL)
        return;
    cJSON_Delete(read->tree);
    free(read->nodes);
    free(read->places);
    free(read->text);
    free(read);
}

struct json_node *json_read_member(const struct json_node *object, const char *key)
{
    if (object == NULL || object->kind != JSON_KIND_OBJECT)
        return NULL;
    for (struct json_node *member = object->first; member != NULL; member = member->next)
        if (strcmp(member->key, key) == 0)
            return member;
    return NULL;
}

size_t json_read_index(const struct json_node *node)
{
    size_t index = 0;
    if (node->parent == NULL)
        return 0;
    for (const struct json_node *child = node->parent->first; child != node; child = child->next)
        index++;
    return index;
}
