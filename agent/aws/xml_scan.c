/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/aws/xml_scan.h"

#include <string.h>

#include "platform/base/bytes.h"
#include "platform/base/error.h"

enum state {
    IN_TEXT,
    IN_ENTITY,
    AT_TAG, /* "<" was read */
    IN_NAME,
    IN_TAG, /* behind the name: attributes */
    IN_VALUE,
    AT_SLASH, /* "/" was read, which only ">" may follow */
    IN_END_NAME,
    BEHIND_END_NAME,
    IN_INSTRUCTION,
    AT_INSTRUCTION_END,
    AT_BANG, /* "<!" was read: of what it begins only a comment is allowed */
    AT_DASH,
    IN_COMMENT,
    FAILED,
};

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

/* Bytes above ASCII count as letters: names are only compared. */
static bool is_name(char byte, bool first)
{
    bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_' ||
                  byte == ':' || (uint8_t)byte >= 0x80;
    bool more = (byte >= '0' && byte <= '9') || byte == '-' || byte == '.';
    return letter || (!first && more);
}

/* ---- what is handed on ---- */

static int emit(struct xml_scan *scan, enum xml_event event, const char *text, size_t count)
{
    const struct xml_token token = {.event = event,
                                    .depth = scan->depth - 1,
                                    .name = scan->names[scan->depth - 1],
                                    .text = text,
                                    .text_bytes = count};
    int rc = scan->handler(scan->context, &token);
    return rc < 0 ? rc : 0;
}

static int element_begin(struct xml_scan *scan)
{
    scan->names[scan->depth][scan->name_bytes] = '\0';
    scan->depth++;
    scan->root_seen = true;
    return emit(scan, XML_BEGIN, "", 0);
}

static int element_end(struct xml_scan *scan)
{
    int rc = emit(scan, XML_END, "", 0);
    scan->depth--;
    scan->state = IN_TEXT;
    return rc;
}

/* ---- entities ---- */

/* Only characters that a key or a message can hold: visible ASCII and white space. */
static int take_entity(struct xml_scan *scan)
{
    static const struct {
        const char *name;
        char character;
    } named[] = {{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};
    const char *entity = scan->entity;
    unsigned number = 0;
    scan->entity[scan->entity_bytes] = '\0';
    scan->state = IN_TEXT;
    for (size_t i = 0; i < sizeof named / sizeof *named; i++)
        if (strcmp(entity, named[i].name) == 0)
            return emit(scan, XML_TEXT, &named[i].character, 1);
    if (entity[0] != '#')
        return E_SYNTAX;
    unsigned base = entity[1] == 'x' ? 16 : 10;
    const char *digits = entity + (base == 16 ? 2 : 1);
    for (const char *at = digits; *at != '\0'; at++) {
        int digit = bytes_hex_digit(*at);
        if (digit < 0 || (unsigned)digit >= base)
            return E_SYNTAX;
        number = number * base + (unsigned)digit;
    }
    const char character = number >= 0x80 ? '?' : (char)number;
    return *digits == '\0' || number == 0 ? E_SYNTAX : emit(scan, XML_TEXT, &character, 1);
}

static int in_entity(struct xml_scan *scan, char byte)
{
    if (byte == ';')
        return take_entity(scan);
    if (scan->entity_bytes == XML_ENTITY_BYTES - 1)
        return E_SYNTAX;
    scan->entity[scan->entity_bytes++] = byte;
    return 0;
}

/* ---- tags ---- */

static int add_to_name(struct xml_scan *scan, char byte)
{
    if (scan->name_bytes == XML_NAME_BYTES - 1)
        return E_TOO_BIG;
    scan->names[scan->depth][scan->name_bytes++] = byte;
    return 0;
}

static int at_tag(struct xml_scan *scan, char byte)
{
    scan->name_bytes = 0;
    if (byte == '/' && scan->depth > 0)
        scan->state = IN_END_NAME;
    else if (byte == '?')
        scan->state = IN_INSTRUCTION;
    else if (byte == '!')
        scan->state = AT_BANG;
    else if (!is_name(byte, true) || (scan->depth == 0 && scan->root_seen))
        return E_SYNTAX;
    else if (scan->depth == XML_DEPTH_MAX)
        return E_TOO_BIG;
    else {
        scan->state = IN_NAME;
        return add_to_name(scan, byte);
    }
    return 0;
}

/* Behind a name: ">", "/", a blank or, once the name has ended, an attribute's bytes. */
static int in_tag(struct xml_scan *scan, char byte)
{
    if (byte == '>')
        scan->state = IN_TEXT;
    else if (byte == '/')
        scan->state = AT_SLASH;
    else if (byte == '"' || byte == '\'') {
        scan->state = IN_VALUE;
        scan->quote = byte;
    } else if (is_blank(byte) || byte == '=' || is_name(byte, false))
        scan->state = IN_TAG;
    else
        return E_SYNTAX;
    return 0;
}

static int in_name(struct xml_scan *scan, char byte)
{
    if (is_name(byte, false))
        return add_to_name(scan, byte);
    if (byte != '>' && byte != '/' && !is_blank(byte))
        return E_SYNTAX;
    int rc = element_begin(scan);
    return rc < 0 ? rc : in_tag(scan, byte);
}

static int in_end_name(struct xml_scan *scan, char byte)
{
    if (is_name(byte, scan->name_bytes == 0))
        return add_to_name(scan, byte);
    scan->names[scan->depth][scan->name_bytes] = '\0';
    if (strcmp(scan->names[scan->depth], scan->names[scan->depth - 1]) != 0)
        return E_SYNTAX;
    scan->state = BEHIND_END_NAME;
    if (byte == '>')
        return element_end(scan);
    return is_blank(byte) ? 0 : E_SYNTAX;
}

static int behind_end_name(struct xml_scan *scan, char byte)
{
    if (byte == '>')
        return element_end(scan);
    return is_blank(byte) ? 0 : E_SYNTAX;
}

/* ---- what is passed over ---- */

static void in_comment(struct xml_scan *scan, char byte)
{
    if (byte == '>' && scan->dashes >= 2)
        scan->state = IN_TEXT;
    scan->dashes = byte == '-' ? scan->dashes + 1 : 0;
}

static int in_bang(struct xml_scan *scan, char byte)
{
    scan->state = scan->state == AT_BANG ? AT_DASH : IN_COMMENT;
    scan->dashes = 0;
    return byte == '-' ? 0 : E_SYNTAX;
}

static void in_instruction(struct xml_scan *scan, char byte)
{
    if (byte == '>' && scan->state == AT_INSTRUCTION_END)
        scan->state = IN_TEXT;
    else
        scan->state = byte == '?' ? AT_INSTRUCTION_END : IN_INSTRUCTION;
}

/* ---- all together ---- */

static int take_byte(struct xml_scan *scan, char byte)
{
    switch (scan->state) {
    case IN_ENTITY:
        return in_entity(scan, byte);
    case AT_TAG:
        return at_tag(scan, byte);
    case IN_NAME:
        return in_name(scan, byte);
    case IN_TAG:
        return in_tag(scan, byte);
    case IN_VALUE:
        scan->state = byte == scan->quote ? IN_TAG : IN_VALUE;
        return byte == '<' ? E_SYNTAX : 0;
    case AT_SLASH:
        return byte == '>' ? element_end(scan) : E_SYNTAX;
    case IN_END_NAME:
        return in_end_name(scan, byte);
    case BEHIND_END_NAME:
        return behind_end_name(scan, byte);
    case AT_BANG:
    case AT_DASH:
        return in_bang(scan, byte);
    case IN_COMMENT:
        in_comment(scan, byte);
        return 0;
    default:
        in_instruction(scan, byte);
        return 0;
    }
}

/* Takes text up to the next "<" or "&"; returns how much, or an error. Outside of the one element
 * there is only white space. */
static int take_text(struct xml_scan *scan, const char *bytes, size_t count)
{
    size_t used = 0;
    while (used < count && bytes[used] != '<' && bytes[used] != '&') {
        if (scan->depth == 0 && !is_blank(bytes[used]))
            return E_SYNTAX;
        used++;
    }
    int rc = used > 0 && scan->depth > 0 ? emit(scan, XML_TEXT, bytes, used) : 0;
    if (rc < 0 || used == count)
        return rc < 0 ? rc : (int)used;
    if (bytes[used] == '&' && scan->depth == 0)
        return E_SYNTAX;
    scan->state = bytes[used] == '<' ? AT_TAG : IN_ENTITY;
    scan->entity_bytes = 0;
    return (int)used + 1;
}

void xml_scan_start(struct xml_scan *scan, xml_handler *handler, void *context)
{
    *scan = (struct xml_scan){.handler = handler, .context = context};
}

int xml_scan_feed(struct xml_scan *scan, const void *bytes, size_t count)
{
    enum { PIECE = 4096 }; /* what is used fits an int */
    const char *from = bytes;
    if (scan->state == FAILED)
        return scan->error;
    for (size_t at = 0; at < count;) {
        size_t left = count - at < PIECE ? count - at : PIECE;
        int rc =
            scan->state == IN_TEXT ? take_text(scan, from + at, left) : take_byte(scan, from[at]);
        if (rc < 0) {
            scan->state = FAILED;
            scan->error = rc;
            return rc;
        }
        at += rc > 0 ? (size_t)rc : 1;
    }
    return 0;
}

int xml_scan_end(struct xml_scan *scan)
{
    if (scan->state == FAILED)
        return scan->error;
    return scan->state == IN_TEXT && scan->depth == 0 && scan->root_seen ? 0 : E_SYNTAX;
}
