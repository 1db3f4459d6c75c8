/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/base/pem.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "platform/base/error.h"

enum { COLUMNS = 64, LABEL_BYTES_MAX = 40 };

static const char begin_mark[] = "-----BEGIN ";
static const char end_mark[] = "-----END ";
static const char certificate[] = "CERTIFICATE-----";

struct line {
    const char *text;
    size_t count;
};

struct cleaner {
    const char *at;
    size_t left;
    unsigned line;
    struct writer *out;
    char *why;
    size_t digits; /* of the block so far, its padding included */
    size_t padding;
};

static bool is_blank(char character)
{
    return character == ' ' || character == '\t';
}

static void trim(struct line *line)
{
    while (line->count > 0 && is_blank(line->text[line->count - 1]))
        line->count--;
    while (line->count > 0 && is_blank(*line->text)) {
        line->text++;
        line->count--;
    }
}

/* Lines end with LF, CR or both. */
static bool next_line(struct cleaner *cleaner, struct line *ret_line)
{
    size_t count = 0;
    if (cleaner->left == 0)
        return false;
    while (count < cleaner->left && cleaner->at[count] != '\n' && cleaner->at[count] != '\r')
        count++;
    *ret_line = (struct line){.text = cleaner->at, .count = count};
    size_t end = count < cleaner->left ? 1 : 0;
    if (count + 1 < cleaner->left && cleaner->at[count] == '\r' && cleaner->at[count + 1] == '\n')
        end = 2;
    cleaner->at += count + end;
    cleaner->left -= count + end;
    cleaner->line++;
    return true;
}

/* What is behind MARK in LINE; false if it has none. */
static bool find_mark(const struct line *line, const char *mark, struct line *ret_rest)
{
    const char *found = memmem(line->text, line->count, mark, strlen(mark));
    if (found == NULL)
        return false;
    ret_rest->text = found + strlen(mark);
    ret_rest->count = line->count - (size_t)(ret_rest->text - line->text);
    return true;
}

static bool begins_with(const struct line *line, const char *text)
{
    size_t count = strlen(text);
    return line->count >= count && memcmp(line->text, text, count) == 0;
}

/* Whether LINE has nothing but blanks from FROM on. */
static bool is_empty(const struct line *line, size_t from)
{
    while (from < line->count && is_blank(line->text[from]))
        from++;
    return from == line->count;
}

static int complain(const struct cleaner *cleaner, int code, const char *what)
{
    (void)snprintf(cleaner->why, PEM_WHY_BYTES, "line %u: %.100s", cleaner->line, what);
    return code;
}

/* REST follows the beginning of a block: what is it of? The label is printed only if it is one. */
static int judge_label(const struct cleaner *cleaner, const struct line *rest)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ";
    char what[PEM_WHY_BYTES];
    size_t count = 0;
    if (begins_with(rest, certificate))
        return is_empty(rest, strlen(certificate))
                   ? 0
                   : complain(cleaner, E_SYNTAX, "there is something behind the beginning");
    while (count < rest->count && count < LABEL_BYTES_MAX && rest->text[count] != '\0' &&
           strchr(letters, rest->text[count]) != NULL)
        count++;
    if (memmem(rest->text, count, "PRIVATE KEY", 11) != NULL)
        return complain(cleaner, E_REFUSED,
                        "a private key, which never belongs in here; it was seen by others now");
    (void)snprintf(what, sizeof what, "\"%.*s\" is no certificate", (int)count, rest->text);
    return complain(cleaner, E_REFUSED, what);
}

static bool is_digit(char character)
{
    return (character >= 'A' && character <= 'Z') || (character >= 'a' && character <= 'z') ||
           (character >= '0' && character <= '9') || character == '+' || character == '/';
}

static int take_digits(struct cleaner *cleaner, const struct line *line)
{
    for (size_t i = 0; i < line->count; i++) {
        char character = line->text[i];
        cleaner->padding += character == '=';
        if ((!is_digit(character) && character != '=') || cleaner->padding > 2 ||
            (cleaner->padding > 0 && character != '='))
            return complain(cleaner, E_SYNTAX, "this is not what a certificate is written in");
        writer_char(cleaner->out, character);
        if (++cleaner->digits % COLUMNS == 0)
            writer_char(cleaner->out, '\n');
    }
    return 0;
}

/* LINE inside a block, without what a shell has put before it. */
static int take_line(struct cleaner *cleaner, struct line line)
{
    trim(&line);
    if (line.count > 0 && *line.text == '>') {
        line.text++;
        line.count--;
        trim(&line);
    }
    return take_digits(cleaner, &line);
}

static int end_block(struct cleaner *cleaner, const struct line *line, const struct line *rest)
{
    const struct line before = {.text = line->text,
                                .count = line->count - rest->count - strlen(end_mark)};
    int rc = take_line(cleaner, before);
    if (rc < 0)
        return rc;
    if (!begins_with(rest, certificate))
        return complain(cleaner, E_SYNTAX, "this is not the end of a certificate");
    if (cleaner->digits == 0 || cleaner->digits % 4 != 0)
        return complain(cleaner, E_SYNTAX, "something is missing in the certificate above");
    if (cleaner->digits % COLUMNS != 0)
        writer_char(cleaner->out, '\n');
    writer_text(cleaner->out, "-----END CERTIFICATE-----\n");
    return 0;
}

/* From behind the beginning of a block to its end. */
static int take_block(struct cleaner *cleaner)
{
    struct line line, rest;
    cleaner->digits = 0;
    cleaner->padding = 0;
    writer_text(cleaner->out, "-----BEGIN CERTIFICATE-----\n");
    while (next_line(cleaner, &line)) {
        if (find_mark(&line, end_mark, &rest))
            return end_block(cleaner, &line, &rest);
        int rc = take_line(cleaner, line);
        if (rc < 0)
            return rc;
    }
    return complain(cleaner, E_SYNTAX, "it ends before -----END CERTIFICATE-----");
}

int pem_clean_certificates(const char *text, size_t count, struct writer *out,
                           char why[PEM_WHY_BYTES])
{
    struct cleaner cleaner = {.at = text, .left = count, .out = out, .why = why};
    struct line line, rest;
    int found = 0;
    while (next_line(&cleaner, &line)) {
        if (!find_mark(&line, begin_mark, &rest))
            continue;
        int rc = judge_label(&cleaner, &rest);
        if (rc == 0)
            rc = take_block(&cleaner);
        if (rc < 0)
            return rc;
        found++;
    }
    if (found == 0)
        (void)snprintf(why, PEM_WHY_BYTES, "there is no -----BEGIN CERTIFICATE----- in it");
    return found > 0 ? found : E_NOT_FOUND;
}
