/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/base/ini.h"

#include <string.h>
#include <strings.h>

struct text {
    const char *at;
    size_t count;
};

static bool is_blank(char character)
{
    return character == ' ' || character == '\t' || character == '\r';
}

static struct text trim(struct text text)
{
    while (text.count > 0 && is_blank(text.at[0])) {
        text.at++;
        text.count--;
    }
    while (text.count > 0 && is_blank(text.at[text.count - 1]))
        text.count--;
    return text;
}

static bool is_comment(char character)
{
    return character == '#' || character == ';';
}

/* Behind a value, a comment begins with a blank before its sign. */
static struct text cut_comment(struct text text)
{
    for (size_t i = 1; i < text.count; i++)
        if (is_comment(text.at[i]) && is_blank(text.at[i - 1]))
            text.count = i;
    return trim(text);
}

static bool is_text(struct text text, const char *other)
{
    return text.count == strlen(other) && memcmp(text.at, other, text.count) == 0;
}

/* Takes "profile" and the blanks behind it off a section's name. */
static bool take_profile_word(struct text *name)
{
    static const char word[] = "profile";
    size_t count = sizeof word - 1;
    if (name->count <= count || memcmp(name->at, word, count) != 0 || !is_blank(name->at[count]))
        return false;
    *name = trim((struct text){name->at + count, name->count - count});
    return true;
}

/* In the config file every profile but the default is called [profile NAME], and that one may be.
 */
static bool is_profile(const struct ini *ini, struct text name)
{
    if (ini->is_config && !take_profile_word(&name) && !is_text(name, "default"))
        return false;
    return is_text(name, ini->profile);
}

static void read_section(struct ini *ini, struct text line)
{
    const char *end = memchr(line.at, ']', line.count);
    size_t count = end == NULL ? line.count - 1 : (size_t)(end - line.at) - 1;
    ini->in_profile = is_profile(ini, trim((struct text){line.at + 1, count}));
    ini->profile_seen |= ini->in_profile;
}

static int read_key(const struct ini *ini, struct text line)
{
    const char *equals = memchr(line.at, '=', line.count);
    if (!ini->in_profile || equals == NULL)
        return 0;
    size_t before = (size_t)(equals - line.at) + 1;
    struct text name = trim((struct text){line.at, before - 1});
    struct text value = cut_comment(trim((struct text){equals + 1, line.count - before}));
    const struct ini_key key = {.name = name.at,
                                .name_count = name.count,
                                .value = value.at,
                                .value_count = value.count,
                                .line = ini->line_number,
                                .cut = ini->line_cut};
    return ini->on_key(ini->context, &key);
}

/* Editors of other systems put a byte order mark before the first section. */
static struct text whole_line(const struct ini *ini)
{
    static const char mark[] = "\xef\xbb\xbf";
    size_t skip = ini->line_number == 1 && ini->line_used >= sizeof mark - 1 &&
                          memcmp(ini->line, mark, sizeof mark - 1) == 0
                      ? sizeof mark - 1
                      : 0;
    return trim((struct text){ini->line + skip, ini->line_used - skip});
}

static int read_line(struct ini *ini)
{
    int rc = 0;
    ini->line_number++;
    struct text line = whole_line(ini);
    if (line.count > 0 && line.at[0] == '[')
        read_section(ini, line);
    else if (line.count > 0 && !is_comment(line.at[0]))
        rc = read_key(ini, line);
    ini->line_used = 0;
    ini->line_cut = false;
    return rc;
}

int ini_feed(struct ini *ini, const char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int rc = 0;
        if (bytes[i] == '\n')
            rc = read_line(ini);
        else if (ini->line_used < ini->line_bytes)
            ini->line[ini->line_used++] = bytes[i];
        else
            ini->line_cut = true;
        if (rc < 0)
            return rc;
    }
    return 0;
}

int ini_end(struct ini *ini)
{
    return read_line(ini);
}

bool ini_is(const struct ini_key *key, const char *name)
{
    return key->name_count == strlen(name) && strncasecmp(key->name, name, key->name_count) == 0;
}
