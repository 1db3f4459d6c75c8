/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/bus/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/base/error.h"
#include "platform/base/parse.h"

/* The index of the element of LIST that KEY is about, and what stands behind its bracket; false for
 * another key. */
static bool split(const char *key, const char *list, size_t *ret_index, const char **ret_behind)
{
    size_t bytes = strlen(list);
    uint64_t index;
    if (strncmp(key, list, bytes) != 0 || key[bytes] != '[')
        return false;
    const char *digits = key + bytes + 1;
    const char *end = strchr(digits, ']');
    if (end == NULL || parse_unsigned(digits, (size_t)(end - digits), &index) < 0)
        return false;
    *ret_index = (size_t)index;
    *ret_behind = end[1] == '.' ? end + 2 : end + 1;
    return true;
}

size_t settings_count(const struct driver_context *context, const char *list)
{
    size_t count = 0;
    size_t index;
    const char *behind;
    for (size_t i = 0; i < context->setting_count; i++)
        if (split(context->settings[i].key, list, &index, &behind) && index >= count)
            count = index + 1;
    return count;
}

const char *settings_member(const struct driver_context *context, const char *list, size_t index,
                            const char *member)
{
    size_t found;
    const char *behind;
    for (size_t i = 0; i < context->setting_count; i++)
        if (split(context->settings[i].key, list, &found, &behind) && found == index &&
            strcmp(behind, member) == 0)
            return context->settings[i].value;
    return NULL;
}

int64_t settings_integer(const char *text, int64_t otherwise)
{
    int64_t value;
    if (text == NULL)
        return otherwise;
    if (strncmp(text, "0x", 2) == 0) {
        size_t digits = strspn(text + 2, "0123456789abcdefABCDEF");
        return digits > 0 && digits <= 8 && text[2 + digits] == '\0' ? strtoll(text + 2, NULL, 16)
                                                                     : otherwise;
    }
    return parse_signed(text, strlen(text), &value) == 0 ? value : otherwise;
}

bool settings_boolean(const char *text, bool otherwise)
{
    return text == NULL ? otherwise : strcmp(text, "true") == 0;
}

int settings_judge(const struct driver_context *context, const char *key)
{
    char words[DRIVER_FAULT_BYTES];
    if (key == NULL)
        return 0;
    (void)snprintf(words, sizeof words, "%s", context->fault);
    driver_say(context->fault, "%.40s: %.150s", key, words);
    return E_INVALID;
}

const char *settings_key(char ret_key[SETTINGS_KEY_BYTES], const char *list, size_t index,
                         const char *member)
{
    (void)snprintf(ret_key, SETTINGS_KEY_BYTES, "%s[%zu]%s%s", list, index,
                   *member != '\0' ? "." : "", member);
    return ret_key;
}

const char *settings_written(const struct driver_context *context, const char *list, size_t index,
                             const char *member)
{
    char wanted[SETTINGS_KEY_BYTES];
    char element[SETTINGS_KEY_BYTES];
    const char *key = list;
    (void)settings_key(wanted, list, index, member);
    (void)settings_key(element, list, index, "");
    size_t bytes = strlen(element);
    for (size_t i = context->setting_count; i-- > 0;) {
        const char *has = context->settings[i].key;
        if (strcmp(has, wanted) == 0)
            return has;
        if (strncmp(has, element, bytes) == 0)
            key = has;
    }
    return key;
}

const char *settings_name_fault(const struct driver_context *context, const char *list,
                                size_t index)
{
    const char *name = settings_member(context, list, index, "name");
    if (name == NULL)
        return NULL;
    if (*name == '\0' || strlen(name) >= SAMPLE_NAME_BYTES)
        return "is no name of a channel; use 1 to 31 bytes";
    for (size_t i = 0; i < index; i++) {
        const char *other = settings_member(context, list, i, "name");
        if (other != NULL && strcmp(other, name) == 0)
            return "is the name of one before it already; another channel needs another name";
    }
    return NULL;
}
