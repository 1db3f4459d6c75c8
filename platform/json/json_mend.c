/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/json/json_mend.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { WORD_BYTES = 64 };

#define DIGITS  "0123456789"
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_"

struct mend {
    char *text;
    size_t count;
    size_t at; /* of the byte that cannot stand there, or COUNT */
    const struct json_scan *scan;
    struct json_read_fault *fault;
};

/* ---- places ---- */

static char byte_at(const struct mend *mend, size_t offset)
{
    return offset < mend->count ? mend->text[offset] : '\0';
}

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

static void find_place(const struct mend *mend, size_t offset, unsigned *ret_line,
                       unsigned *ret_column)
{
    unsigned line = 1;
    unsigned column = 1;
    for (size_t i = 0; i < offset; i++) {
        if (mend->text[i] == '\n') {
            line++;
            column = 1;
        } else if (((unsigned char)mend->text[i] & 0xc0) != 0x80)
            column++;
    }
    *ret_line = line;
    *ret_column = column;
}

static void say(const struct mend *mend, size_t offset, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void say(const struct mend *mend, size_t offset, const char *format, ...)
{
    struct json_read_fault *fault = mend->fault;
    va_list arguments;
    find_place(mend, offset, &fault->line, &fault->column);
    va_start(arguments, format);
    (void)vsnprintf(fault->text, sizeof fault->text, format, arguments);
    va_end(arguments);
}

/* Just behind what stands in front of OFFSET, blanks apart; 0: nothing does. */
static size_t behind_last(const struct mend *mend, size_t offset)
{
    while (offset > 0 && is_blank(mend->text[offset - 1]))
        offset--;
    return offset;
}

static char last_before(const struct mend *mend, size_t offset)
{
    size_t behind = behind_last(mend, offset);
    return behind > 0 ? mend->text[behind - 1] : '\0';
}

/* Of the innermost bracket that is open at the fault; COUNT: none is. */
static size_t find_open(const struct mend *mend)
{
    size_t open[JSON_DEPTH_MAX];
    unsigned depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < mend->at; i++) {
        char byte = mend->text[i];
        if (in_string && byte == '\\')
            i++;
        else if (byte == '"')
            in_string = !in_string;
        else if (!in_string && (byte == '{' || byte == '[') && depth < JSON_DEPTH_MAX)
            open[depth++] = i;
        else if (!in_string && (byte == '}' || byte == ']') && depth > 0)
            depth--;
    }
    return depth > 0 ? open[depth - 1] : mend->count;
}

static void blank(const struct mend *mend, size_t offset)
{
    mend->text[offset] = ' ';
}

/* ---- words ---- */

/* The run that the fault stands in or begins with. */
static size_t find_word(const struct mend *mend, char word[WORD_BYTES])
{
    static const char parts[] = LETTERS DIGITS ".+-";
    size_t first = mend->at;
    size_t used = 0;
    while (first > 0 && mend->text[first - 1] != '\0' &&
           strchr(parts, mend->text[first - 1]) != NULL)
        first--;
    for (size_t i = first; used + 1 < WORD_BYTES; i++, used++) {
        char byte = byte_at(mend, i);
        if (byte == '\0' || strchr(parts, byte) == NULL)
            break;
        word[used] = byte;
    }
    word[used] = '\0';
    return first;
}

/* What JSON has for what other languages write; NULL: nothing. */
static const char *translate(const char *word)
{
    static const struct {
        const char *word, *json;
    } words[] = {{"true", "true"}, {"yes", "true"},      {"on", "true"},   {"false", "false"},
                 {"no", "false"},  {"off", "false"},     {"null", "null"}, {"none", "null"},
                 {"nil", "null"},  {"undefined", "null"}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasecmp(words[i].word, word) == 0)
            return words[i].json;
    return NULL;
}

/* +5, 05, .5 and 5. as JSON has them, if that is all that is wrong. */
static bool mend_number(const char *word, char number[WORD_BYTES])
{
    bool negative = *word == '-';
    word += *word == '-' || *word == '+';
    while (word[0] == '0' && word[1] >= '0' && word[1] <= '9')
        word++;
    size_t whole = strspn(word, DIGITS);
    const char *point = word + whole;
    size_t decimals = *point == '.' ? strspn(point + 1, DIGITS) : 0;
    if (whole + decimals == 0 || point[*point == '.' ? decimals + 1 : 0] != '\0')
        return false;
    (void)snprintf(number, WORD_BYTES, "%s%s%.*s%s%.*s", negative ? "-" : "", whole == 0 ? "0" : "",
                   (int)whole, word, decimals > 0 ? "." : "", (int)decimals,
                   point + (*point == '.'));
    return true;
}

/* Numbers and the few words that JSON has are no secrets. */
static void say_number(const struct mend *mend, size_t first, const char *word)
{
    char number[WORD_BYTES];
    char *end = NULL;
    bool is_hex = word[0] == '0' && (word[1] == 'x' || word[1] == 'X');
    errno = 0;
    unsigned long long value = is_hex ? strtoull(word, &end, 16) : 0;
    if (mend_number(word, number))
        say(mend, first, "%.40s is no number of JSON; write %.40s", word, number);
    else if (is_hex && errno == 0 && *end == '\0')
        say(mend, first,
            "%.40s is no number of JSON; write %llu, or \"%.40s\" where a text is wanted", word,
            value, word);
    else
        say(mend, first,
            "this is no number of JSON; write it like -0.5, or in double quotes if it has a unit, "
            "like \"10s\"");
}

static void say_word(const struct mend *mend)
{
    char word[WORD_BYTES];
    size_t first = find_word(mend, word);
    const char *json = translate(word);
    const char *digits = word + (word[0] == '-' || word[0] == '+');
    bool endless = strcasecmp(digits, "nan") == 0 || strncasecmp(digits, "inf", 3) == 0;
    if (json != NULL)
        say(mend, first, "%s is no word of JSON; write %s", word, json);
    else if (endless)
        say(mend, first, "%.20s is no number of JSON; write one that has digits", word);
    else if (word[0] != '\0' && strchr(DIGITS ".+-", word[0]) != NULL)
        say_number(mend, first, word);
    else
        say(mend, first, "a text without double quotes; write \" in front of it and behind it");
}

static void say_key(const struct mend *mend)
{
    char word[WORD_BYTES];
    size_t first = find_word(mend, word);
    if (word[0] == '\0')
        say(mend, first, "a key in double quotes was expected; write one, or remove what is here");
    else
        say(mend, first, "%.40s is a key without double quotes; write \"%.40s\"", word, word);
}

/* ---- single bytes ---- */

/* Turns 'text' into "text" where nothing in it speaks against that. */
static bool mend_quotes(const struct mend *mend)
{
    size_t end = mend->at + 1;
    say(mend, mend->at, "' is no quote of JSON; write \" in its place");
    while (end < mend->count && strchr("'\"\\\n", mend->text[end]) == NULL)
        end++;
    if (byte_at(mend, end) != '\'')
        return false;
    mend->text[mend->at] = mend->text[end] = '"';
    return true;
}

static bool mend_hash(const struct mend *mend)
{
    say(mend, mend->at, "a comment begins with //; write that in place of #");
    for (size_t i = mend->at; i < mend->count && mend->text[i] != '\n'; i++)
        blank(mend, i);
    return true;
}

static bool mend_needless(const struct mend *mend, size_t offset)
{
    char byte = mend->text[offset];
    say(mend, offset, byte == ',' ? "a comma too many; remove it" : "a %c too many; remove it",
        byte);
    blank(mend, offset);
    return true;
}

/* What stands between a value and the bracket behind it. */
static bool mend_trailing(const struct mend *mend)
{
    size_t comma = behind_last(mend, mend->at) - 1;
    say(mend, comma, "a comma in front of %c; remove it", mend->text[mend->at]);
    blank(mend, comma);
    return true;
}

static bool is_curly_quote(const struct mend *mend)
{
    unsigned char last = (unsigned char)byte_at(mend, mend->at + 2);
    return (unsigned char)byte_at(mend, mend->at) == 0xe2 &&
           (unsigned char)byte_at(mend, mend->at + 1) == 0x80 && last >= 0x98 && last <= 0x9f;
}

/* What comes of word processors and other editors. True: it was one of them. */
static bool say_foreign(const struct mend *mend)
{
    unsigned char byte = (unsigned char)byte_at(mend, mend->at);
    if (is_curly_quote(mend))
        say(mend, mend->at, "a quote of printed text; write a plain \" in its place");
    else if (byte == 0xc2 && (unsigned char)byte_at(mend, mend->at + 1) == 0xa0)
        say(mend, mend->at, "a blank of printed text (U+00A0); write a plain one in its place");
    else if (byte == '\0' && mend->at < mend->count)
        say(mend, mend->at, "a NUL byte; save the file as UTF-8, without NUL bytes");
    else
        return false;
    return true;
}

/* ---- what was expected ---- */

static bool say_outside(const struct mend *mend)
{
    if (mend->at == mend->count && behind_last(mend, mend->at) == 0)
        say(mend, 0, "there is nothing in this file; write { } with keys in it, or remove it");
    else
        say(mend, mend->at, "a configuration is JSON; begin it with { and a key in double quotes");
    return false;
}

static bool mend_value(const struct mend *mend)
{
    char byte = byte_at(mend, mend->at);
    char before = last_before(mend, mend->at);
    if (mend->scan->depth == 0)
        return say_outside(mend);
    if (byte == '\'')
        return mend_quotes(mend);
    if (byte == '#')
        return mend_hash(mend);
    if (byte == ']' && before == ',')
        return mend_trailing(mend);
    if (byte == ',' && before != ':')
        return mend_needless(mend, mend->at);
    if (byte == ',' || byte == '}' || byte == ']')
        say(mend, mend->at, "a value was expected; write one in front of %c", byte);
    else if (!say_foreign(mend))
        say_word(mend);
    return false;
}

static bool mend_key(const struct mend *mend)
{
    char byte = byte_at(mend, mend->at);
    if (byte == '\'')
        return mend_quotes(mend);
    if (byte == '#')
        return mend_hash(mend);
    if (byte == '}' && last_before(mend, mend->at) == ',')
        return mend_trailing(mend);
    if (byte == ',')
        return mend_needless(mend, mend->at);
    if (!say_foreign(mend))
        say_key(mend);
    return false;
}

static bool begins_token(char byte)
{
    return byte != '\0' && strchr("\"'{[-" DIGITS "tfn", byte) != NULL;
}

/* In the blank that stands in front, so that no column changes. */
static bool put_in_front(const struct mend *mend, char byte)
{
    if (mend->at == 0 || !is_blank(mend->text[mend->at - 1]) || mend->text[mend->at - 1] == '\n')
        return false;
    mend->text[mend->at - 1] = byte;
    return true;
}

static bool mend_colon(const struct mend *mend)
{
    char byte = byte_at(mend, mend->at);
    if (byte == '=') {
        say(mend, mend->at, "a colon stands between key and value; write : in place of =");
        mend->text[mend->at] = ':';
        return true;
    }
    if (byte == '#')
        return mend_hash(mend);
    if (begins_token(byte)) {
        say(mend, behind_last(mend, mend->at), "a colon is missing behind this key; write : there");
        return put_in_front(mend, ':');
    }
    if (!say_foreign(mend))
        say(mend, mend->at, "a key without a value; write : and the value behind the key");
    return false;
}

/* A bracket of the wrong kind, or of an outer one while the inner is open. */
static void say_mismatch(const struct mend *mend, char byte)
{
    unsigned line, column;
    size_t open = find_open(mend);
    find_place(mend, open, &line, &column);
    char opened = byte_at(mend, open);
    say(mend, mend->at,
        "%c cannot close the %c of line %u, column %u; write %c in front of it or in "
        "its place",
        byte, opened, line, column, opened == '{' ? '}' : ']');
}

static bool mend_comma(const struct mend *mend)
{
    char byte = byte_at(mend, mend->at);
    bool glued = mend->at > 0 && strchr(LETTERS DIGITS ".", mend->text[mend->at - 1]) != NULL;
    if (byte == '#')
        return mend_hash(mend);
    if (byte == ';') {
        say(mend, mend->at, "a comma stands between members; write , in place of ;");
        mend->text[mend->at] = ',';
        return true;
    }
    if (byte == '}' || byte == ']')
        say_mismatch(mend, byte);
    else if (byte == ':')
        say(mend, mend->at, "a key in a list; write { in front of it and } behind its value");
    else if (say_foreign(mend))
        return false;
    else if (glued)
        say_word(mend);
    else if (begins_token(byte)) {
        say(mend, behind_last(mend, mend->at), "a comma is missing here; write it");
        return put_in_front(mend, ',');
    } else
        say(mend, mend->at, "a comma or a closing bracket was expected; remove what is here");
    return false;
}

static void say_control(const struct mend *mend)
{
    char byte = byte_at(mend, mend->at);
    if (byte == '\n' || byte == '\r')
        say(mend, (size_t)mend->scan->token_offset,
            "this text has no end on its line; close it with \"");
    else if (!say_foreign(mend))
        say(mend, mend->at, "a control character in a text; write it as \\u%04x, or remove it",
            (unsigned)byte);
}

static bool mend_behind(const struct mend *mend)
{
    char byte = byte_at(mend, mend->at);
    if (byte == '#')
        return mend_hash(mend);
    if (byte == '}' || byte == ']' || byte == ',')
        return mend_needless(mend, mend->at);
    say(mend, mend->at,
        "the configuration ends in front of this; remove it, or move it into the { }");
    return false;
}

static void say_cut_off(const struct mend *mend)
{
    unsigned line, column;
    size_t open = find_open(mend);
    if (mend->scan->depth == 0) {
        (void)say_outside(mend);
        return;
    }
    find_place(mend, open, &line, &column);
    say(mend, behind_last(mend, mend->count),
        "the file ends, and the %c of line %u, column %u is open; close it with %c",
        byte_at(mend, open), line, column, byte_at(mend, open) == '{' ? '}' : ']');
}

bool json_mend(char *text, size_t count, const struct json_scan *scan,
               struct json_read_fault *ret_fault)
{
    const struct mend mend = {text, count, (size_t)scan->offset, scan, ret_fault};
    switch (scan->problem) {
    case JSON_NO_VALUE:
        return mend_value(&mend);
    case JSON_NO_KEY:
        return mend_key(&mend);
    case JSON_NO_COLON:
        return mend_colon(&mend);
    case JSON_NO_COMMA:
        return mend_comma(&mend);
    case JSON_BEHIND:
        return mend_behind(&mend);
    case JSON_CONTROL:
        say_control(&mend);
        break;
    case JSON_NO_WORD:
        say_word(&mend);
        break;
    case JSON_NO_UTF8:
        say(&mend, mend.at, "this is no UTF-8; save the file as UTF-8");
        break;
    case JSON_NO_ESCAPE:
        say(&mend, mend.at,
            "no escape of JSON; write \\\\ for a backslash, \\u00e9 for a character");
        break;
    case JSON_HALF:
        say(&mend, mend.at, "half a surrogate pair; write both halves, or the character itself");
        break;
    case JSON_CUT_OFF:
        say_cut_off(&mend);
        break;
    }
    return false;
}
