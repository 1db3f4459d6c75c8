/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/json/json_scan.h"

#include <string.h>

#include "platform/base/bytes.h"
#include "platform/base/error.h"

enum state {
    AT_VALUE,
    AT_VALUE_OR_END, /* behind '[' */
    AT_KEY,
    AT_KEY_OR_END, /* behind '{' */
    AT_COLON,
    AT_COMMA_OR_END,
    AT_NOTHING, /* behind the outermost value */
    IN_STRING,
    IN_UTF8,      /* inside a character of several bytes */
    IN_ESCAPE,    /* behind '\' */
    IN_UNICODE,   /* behind '\u' */
    IN_SURROGATE, /* behind a high surrogate, whose other half must follow */
    IN_NUMBER,
    IN_LITERAL,
    FAILED,
};

enum number_state {
    NUMBER_MINUS,
    NUMBER_ZERO,
    NUMBER_WHOLE,
    NUMBER_POINT,
    NUMBER_FRACTION,
    NUMBER_E,
    NUMBER_SIGN,
    NUMBER_EXPONENT,
    NUMBER_OVER,
};

/* What a step answers when the byte belongs to what comes next. */
enum { STAY = 1 };

static int fault(struct json_scan *scan, enum json_problem problem, const char *what)
{
    scan->problem = problem;
    scan->fault = what;
    return E_SYNTAX;
}

static bool is_space(uint8_t byte)
{
    return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

/* ---- the token ---- */

static void token_begin(struct json_scan *scan)
{
    scan->token_offset = scan->offset;
    scan->token_line = scan->line;
    scan->token_column = scan->column;
    scan->token_bytes = 0;
    scan->truncated = false;
}

static char *token_place(struct json_scan *scan)
{
    return scan->long_token != NULL ? scan->long_token : scan->token;
}

static size_t token_room(const struct json_scan *scan)
{
    size_t all = scan->long_token != NULL ? scan->long_token_bytes : JSON_TOKEN_BYTES;
    return all - 1 - scan->token_bytes;
}

/* Without a handler nobody will see the text. */
static void token_add(struct json_scan *scan, const uint8_t *bytes, size_t count)
{
    size_t room = token_room(scan);
    if (scan->handler == NULL)
        return;
    if (count > room) {
        count = room;
        scan->truncated = true;
    }
    memcpy(token_place(scan) + scan->token_bytes, bytes, count);
    scan->token_bytes += count;
}

static void token_add_character(struct json_scan *scan, uint32_t character)
{
    uint8_t bytes[4];
    size_t count = character < 0x80 ? 1 : character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
    static const uint8_t leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = count; i-- > 1; character >>= 6)
        bytes[i] = (uint8_t)(0x80 | (character & 0x3f));
    bytes[0] = (uint8_t)(leads[count] | character);
    token_add(scan, bytes, count);
}

/* A truncated token may end inside a character; what is handed on is valid UTF-8. */
static size_t whole_characters(const char *text, size_t count)
{
    size_t lead = count;
    while (lead > 0 && count - lead < 3 && ((uint8_t)text[lead - 1] & 0xc0) == 0x80)
        lead--;
    if (lead == 0)
        return count;
    uint8_t byte = (uint8_t)text[lead - 1];
    size_t length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return count - (lead - 1) < length ? lead - 1 : count;
}

static int token_emit(struct json_scan *scan, enum json_event event)
{
    char *text = token_place(scan);
    if (scan->handler == NULL)
        return 0;
    if (scan->truncated)
        scan->token_bytes = whole_characters(text, scan->token_bytes);
    text[scan->token_bytes] = '\0';
    const struct json_token token = {.event = event,
                                     .depth = scan->depth,
                                     .text = text,
                                     .text_bytes = scan->token_bytes,
                                     .truncated = scan->truncated,
                                     .offset = scan->token_offset,
                                     .line = scan->token_line,
                                     .column = scan->token_column};
    int rc = scan->handler(scan->context, &token);
    return rc < 0 ? rc : 0;
}

static void value_ended(struct json_scan *scan)
{
    scan->state = scan->depth == 0 ? AT_NOTHING : AT_COMMA_OR_END;
}

/* ---- containers and what stands between values ---- */

static int container_begin(struct json_scan *scan, uint8_t byte)
{
    if (scan->depth == JSON_DEPTH_MAX) {
        scan->fault = "nested too deeply (more than 16 levels)";
        return E_TOO_BIG;
    }
    int rc = token_emit(scan, byte == '{' ? JSON_OBJECT_BEGIN : JSON_ARRAY_BEGIN);
    scan->open[scan->depth++] = byte;
    scan->state = byte == '{' ? AT_KEY_OR_END : AT_VALUE_OR_END;
    return rc;
}

static int container_end(struct json_scan *scan)
{
    token_begin(scan);
    scan->depth--;
    int rc = token_emit(scan, scan->open[scan->depth] == '{' ? JSON_OBJECT_END : JSON_ARRAY_END);
    value_ended(scan);
    return rc;
}

static int string_begin(struct json_scan *scan, bool is_key)
{
    token_begin(scan);
    scan->is_key = is_key;
    scan->state = IN_STRING;
    return 0;
}

static int literal_begin(struct json_scan *scan, const char *literal)
{
    scan->literal = literal;
    scan->token_bytes = 1;
    scan->state = IN_LITERAL;
    return 0;
}

static int number_begin(struct json_scan *scan, uint8_t byte)
{
    scan->number_state = byte == '-' ? NUMBER_MINUS : byte == '0' ? NUMBER_ZERO : NUMBER_WHOLE;
    scan->state = IN_NUMBER;
    token_add(scan, &byte, 1);
    return 0;
}

/* What other formats allow and people write: said by name, with what to do about it. */
static int value_fault(struct json_scan *scan, uint8_t byte)
{
    switch (byte) {
    case ']':
        return fault(scan, JSON_NO_VALUE, "a value was expected; remove the comma before ]");
    case '\'':
        return fault(scan, JSON_NO_VALUE, "a value was expected; texts stand in double quotes");
    case 0xef:
        return fault(scan, JSON_NO_VALUE,
                     "a value was expected; save the text without a byte order mark");
    default:
        return fault(scan, JSON_NO_VALUE, "a value was expected");
    }
}

static int value_begin(struct json_scan *scan, uint8_t byte)
{
    token_begin(scan);
    switch (byte) {
    case '{':
    case '[':
        return container_begin(scan, byte);
    case '"':
        return string_begin(scan, false);
    case 't':
        return literal_begin(scan, "true");
    case 'f':
        return literal_begin(scan, "false");
    case 'n':
        return literal_begin(scan, "null");
    default:
        if (byte == '-' || is_digit(byte))
            return number_begin(scan, byte);
        return value_fault(scan, byte);
    }
}

static int key_begin(struct json_scan *scan, uint8_t byte)
{
    if (byte == '"')
        return string_begin(scan, true);
    return fault(scan, JSON_NO_KEY,
                 byte == '}' && scan->state == AT_KEY
                     ? "a key was expected; remove the comma before }"
                     : "a key in double quotes was expected");
}

static int comma_or_end(struct json_scan *scan, uint8_t byte)
{
    bool object = scan->open[scan->depth - 1] == '{';
    if (byte == (object ? '}' : ']'))
        return container_end(scan);
    if (byte != ',')
        return fault(scan, JSON_NO_COMMA,
                     object ? "a comma or } was expected" : "a comma or ] was expected");
    scan->state = object ? AT_KEY : AT_VALUE;
    return 0;
}

static int colon(struct json_scan *scan, uint8_t byte)
{
    if (byte != ':')
        return fault(scan, JSON_NO_COLON, "a colon was expected");
    scan->state = AT_VALUE;
    return 0;
}

/* ---- strings ---- */

static int string_end(struct json_scan *scan)
{
    int rc = token_emit(scan, scan->is_key ? JSON_KEY : JSON_STRING);
    if (scan->is_key)
        scan->state = AT_COLON;
    else
        value_ended(scan);
    return rc;
}

static int utf8_begin(struct json_scan *scan, uint8_t byte)
{
    if (byte < 0xc2 || byte > 0xf4)
        return fault(scan, JSON_NO_UTF8, "not UTF-8");
    scan->utf8_left = byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : 1;
    scan->utf8 = byte;
    scan->state = IN_UTF8;
    token_add(scan, &byte, 1);
    return 0;
}

static int string_step(struct json_scan *scan, uint8_t byte)
{
    if (byte == '"')
        return string_end(scan);
    if (byte == '\\')
        scan->state = IN_ESCAPE;
    else if (byte < 0x20)
        return fault(scan, JSON_CONTROL,
                     "a control character inside a string (write \\n, \\t or \\u00XX)");
    else if (byte >= 0x80)
        return utf8_begin(scan, byte);
    else
        token_add(scan, &byte, 1);
    return 0;
}

/* RFC 3629 section 4: the byte behind the lead says whether the form is overlong, a surrogate or
 * beyond U+10FFFF. */
static int utf8_step(struct json_scan *scan, uint8_t byte)
{
    uint8_t low = scan->utf8 == 0xe0 ? 0xa0 : scan->utf8 == 0xf0 ? 0x90 : 0x80;
    uint8_t high = scan->utf8 == 0xed ? 0x9f : scan->utf8 == 0xf4 ? 0x8f : 0xbf;
    if (byte < low || byte > high)
        return fault(scan, JSON_NO_UTF8, "not UTF-8");
    scan->utf8 = 0;
    token_add(scan, &byte, 1);
    if (--scan->utf8_left == 0)
        scan->state = IN_STRING;
    return 0;
}

static int escape_step(struct json_scan *scan, uint8_t byte)
{
    static const char names[] = "\"\\/bfnrt";
    static const uint8_t meanings[] = "\"\\/\b\f\n\r\t";
    if (byte == 'u') {
        scan->escape = 0;
        scan->escape_digits = 0;
        scan->state = IN_UNICODE;
        return 0;
    }
    const char *name = byte == '\0' ? NULL : strchr(names, byte);
    if (scan->surrogate != 0)
        return fault(scan, JSON_HALF, "half a surrogate pair");
    if (name == NULL)
        return fault(scan, JSON_NO_ESCAPE, "an unknown escape");
    token_add(scan, meanings + (name - names), 1);
    scan->state = IN_STRING;
    return 0;
}

static int unicode_step(struct json_scan *scan, uint8_t byte)
{
    int digit = bytes_hex_digit((char)byte);
    if (digit < 0)
        return fault(scan, JSON_NO_ESCAPE, "\\u needs four hexadecimal digits");
    scan->escape = scan->escape << 4 | (uint32_t)digit;
    if (++scan->escape_digits < 4)
        return 0;
    bool high = scan->escape >= 0xd800 && scan->escape <= 0xdbff;
    bool low = scan->escape >= 0xdc00 && scan->escape <= 0xdfff;
    if (low != (scan->surrogate != 0))
        return fault(scan, JSON_HALF, "half a surrogate pair");
    if (high) {
        scan->surrogate = scan->escape;
        scan->state = IN_SURROGATE;
        return 0;
    }
    if (low)
        scan->escape += 0x10000 - 0xdc00 + ((scan->surrogate - 0xd800) << 10);
    scan->surrogate = 0;
    scan->state = IN_STRING;
    token_add_character(scan, scan->escape);
    return 0;
}

static int surrogate_step(struct json_scan *scan, uint8_t byte)
{
    if (byte != '\\')
        return fault(scan, JSON_HALF, "half a surrogate pair");
    scan->state = IN_ESCAPE;
    return 0;
}

/* Eight bytes at once: whether any of them ends a run of plain text. A borrow can spoil only the
 * bytes above one that ends it anyway. */
static bool is_plain_word(const uint8_t *bytes)
{
    const uint64_t ones = 0x0101010101010101;
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    uint64_t quote = (word ^ (ones * '"')) - ones;
    uint64_t backslash = (word ^ (ones * '\\')) - ones;
    uint64_t control = word - ones * 0x20;
    return ((quote | backslash | control | word) & (ones * 0x80)) == 0;
}

static bool is_plain(uint8_t byte)
{
    return byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
}

/* How many bytes at the start of a string's rest are plain ASCII: most of what is ever scanned. */
static size_t plain_run(const uint8_t *bytes, size_t count)
{
    size_t run = 0;
    while (count - run >= sizeof(uint64_t) && is_plain_word(bytes + run))
        run += sizeof(uint64_t);
    while (run < count && is_plain(bytes[run]))
        run++;
    return run;
}

/* ---- numbers and literals ---- */

/* RFC 8259 section 6; -1 where BYTE cannot stand. */
static int number_next(int state, uint8_t byte)
{
    bool digit = is_digit(byte);
    bool e = byte == 'e' || byte == 'E';
    switch (state) {
    case NUMBER_MINUS:
        return byte == '0' ? NUMBER_ZERO : digit ? NUMBER_WHOLE : -1;
    case NUMBER_ZERO:
        return byte == '.' ? NUMBER_POINT : e ? NUMBER_E : digit ? -1 : NUMBER_OVER;
    case NUMBER_WHOLE:
        return digit ? state : byte == '.' ? NUMBER_POINT : e ? NUMBER_E : NUMBER_OVER;
    case NUMBER_POINT:
        return digit ? NUMBER_FRACTION : -1;
    case NUMBER_FRACTION:
        return digit ? state : e ? NUMBER_E : NUMBER_OVER;
    case NUMBER_E:
        return digit ? NUMBER_EXPONENT : byte == '+' || byte == '-' ? NUMBER_SIGN : -1;
    case NUMBER_SIGN:
        return digit ? NUMBER_EXPONENT : -1;
    default:
        return digit ? state : NUMBER_OVER;
    }
}

static int number_end(struct json_scan *scan)
{
    int rc = token_emit(scan, JSON_NUMBER);
    value_ended(scan);
    return rc;
}

static int number_step(struct json_scan *scan, uint8_t byte)
{
    int next = number_next(scan->number_state, byte);
    if (next < 0)
        return fault(scan, JSON_NO_WORD, "a malformed number");
    if (next == NUMBER_OVER) {
        int rc = number_end(scan);
        return rc < 0 ? rc : STAY;
    }
    scan->number_state = next;
    token_add(scan, &byte, 1);
    return 0;
}

static int literal_step(struct json_scan *scan, uint8_t byte)
{
    if (byte != (uint8_t)scan->literal[scan->token_bytes])
        return fault(scan, JSON_NO_WORD,
                     "a value was expected (true, false or null are written like this)");
    if (scan->literal[++scan->token_bytes] != '\0')
        return 0;
    scan->token_bytes = 0;
    int rc = token_emit(scan, scan->literal[0] == 't'   ? JSON_TRUE
                              : scan->literal[0] == 'f' ? JSON_FALSE
                                                        : JSON_NULL);
    value_ended(scan);
    return rc;
}

/* ---- the machine ---- */

static int between_step(struct json_scan *scan, uint8_t byte)
{
    if (is_space(byte))
        return 0;
    switch (scan->state) {
    case AT_VALUE:
        return value_begin(scan, byte);
    case AT_VALUE_OR_END:
        return byte == ']' ? container_end(scan) : value_begin(scan, byte);
    case AT_KEY:
        return key_begin(scan, byte);
    case AT_KEY_OR_END:
        return byte == '}' ? container_end(scan) : key_begin(scan, byte);
    case AT_COLON:
        return colon(scan, byte);
    case AT_COMMA_OR_END:
        return comma_or_end(scan, byte);
    default:
        return fault(scan, JSON_BEHIND, "something behind the end of the value");
    }
}

static int step(struct json_scan *scan, uint8_t byte)
{
    switch (scan->state) {
    case IN_STRING:
        return string_step(scan, byte);
    case IN_UTF8:
        return utf8_step(scan, byte);
    case IN_ESCAPE:
        return escape_step(scan, byte);
    case IN_UNICODE:
        return unicode_step(scan, byte);
    case IN_SURROGATE:
        return surrogate_step(scan, byte);
    case IN_NUMBER:
        return number_step(scan, byte);
    case IN_LITERAL:
        return literal_step(scan, byte);
    default:
        return between_step(scan, byte);
    }
}

static void advance(struct json_scan *scan, uint8_t byte)
{
    scan->offset++;
    if (byte == '\n') {
        scan->line++;
        scan->column = 1;
    } else if ((byte & 0xc0) != 0x80)
        scan->column++;
}

static int fail(struct json_scan *scan, int code)
{
    scan->state = FAILED;
    scan->error = code;
    return code;
}

void json_scan_start(struct json_scan *scan, json_handler *handler, void *context)
{
    *scan = (struct json_scan){
        .handler = handler, .context = context, .line = 1, .column = 1, .state = AT_VALUE};
}

void json_scan_use(struct json_scan *scan, char *token, size_t token_bytes)
{
    scan->long_token = token;
    scan->long_token_bytes = token_bytes;
}

int json_scan_feed(struct json_scan *scan, const void *bytes, size_t count)
{
    const uint8_t *from = bytes;
    if (scan->state == FAILED)
        return scan->error;
    for (size_t i = 0; i < count;) {
        if (scan->state == IN_STRING) {
            size_t run = plain_run(from + i, count - i);
            token_add(scan, from + i, run);
            scan->offset += run;
            scan->column += (unsigned)run;
            i += run;
            if (i == count)
                break;
        }
        int rc = step(scan, from[i]);
        if (rc < 0)
            return fail(scan, rc);
        if (rc != STAY)
            advance(scan, from[i++]);
    }
    return 0;
}

int json_scan_end(struct json_scan *scan)
{
    if (scan->state == FAILED)
        return scan->error;
    if (scan->state == IN_NUMBER) {
        int rc = number_step(scan, ' ');
        if (rc < 0)
            return fail(scan, rc);
    }
    if (scan->state != AT_NOTHING)
        return fail(scan, fault(scan, JSON_CUT_OFF, "the text ends too early"));
    return 0;
}

int json_scan_object(const void *bytes, size_t count)
{
    struct json_scan scan;
    const uint8_t *from = bytes;
    size_t start = 0;
    while (start < count && is_space(from[start]))
        start++;
    if (start == count || from[start] != '{')
        return E_SYNTAX;
    json_scan_start(&scan, NULL, NULL);
    int rc = json_scan_feed(&scan, from + start, count - start);
    return rc < 0 ? rc : json_scan_end(&scan);
}
