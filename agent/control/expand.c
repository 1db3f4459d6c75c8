/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control/expand.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "platform/base/error.h"
#include "platform/base/writer.h"
#include "platform/fs.h"
#include "platform/machine.h"

enum { VALUE_BYTES = EXPAND_BYTES, NAME_BYTES = 300 };

struct source {
    const char *name;
    bool takes_argument;
    int (*get)(const struct expand *expand, const char *argument, char value[VALUE_BYTES],
               char *why);
};

static int explain(char *why, int code, const char *text)
{
    (void)snprintf(why, EXPAND_WHY_BYTES, "%s", text);
    return code;
}

static int get_hostname(const struct expand *expand, const char *argument, char value[VALUE_BYTES],
                        char *why)
{
    (void)expand;
    (void)argument;
    if (gethostname(value, VALUE_BYTES) < 0 || value[0] == '\0')
        return explain(why, E_NOT_FOUND, "this machine has no host name; set one");
    value[VALUE_BYTES - 1] = '\0';
    return 0;
}

static int get_machine_id(const struct expand *expand, const char *argument,
                          char value[VALUE_BYTES], char *why)
{
    (void)argument;
    int rc = fs_read_value(expand->root, "/etc/machine-id", value, VALUE_BYTES);
    if (rc < 0)
        rc = fs_read_value(expand->root, "/var/lib/dbus/machine-id", value, VALUE_BYTES);
    if (rc < 0 || strspn(value, "0123456789abcdef") != 32 || value[32] != '\0')
        return explain(why, E_NOT_FOUND,
                       "/etc/machine-id holds none; run systemd-machine-id-setup");
    return 0;
}

/* Whoever may not read the number would be called otherwise than who may: that is never bridged. */
static int get_serial(const struct expand *expand, const char *argument, char value[VALUE_BYTES],
                      char *why)
{
    char serial[MACHINE_SERIAL_BYTES];
    char reason[EXPAND_WHY_BYTES];
    int rc = machine_get_serial(expand->root, serial);
    if (rc == E_OK)
        (void)snprintf(value, VALUE_BYTES, "%s", serial);
    else if (rc != E_NOT_FOUND)
        return explain(why, E_NOT_FOUND,
                       "only root may read this machine's serial number; use ${machine-id} or a "
                       "name");
    else if (get_machine_id(expand, argument, value, reason) < 0)
        return explain(why, E_NOT_FOUND,
                       "this machine has neither a serial number nor a machine-id; run "
                       "systemd-machine-id-setup or use a name");
    return E_OK;
}

static int get_mac(const struct expand *expand, const char *argument, char value[VALUE_BYTES],
                   char *why)
{
    char path[NAME_BYTES + 40];
    int rc = E_NOT_FOUND;
    (void)snprintf(path, sizeof path, "/sys/class/net/%s/address", argument);
    if (strchr(argument, '/') == NULL && strcmp(argument, "..") != 0)
        rc = fs_read_value(expand->root, path, value, VALUE_BYTES);
    if (rc == 0 && value[strspn(value, "0:")] != '\0')
        return 0;
    /* A modem or an adapter may show itself long after the start of the machine. */
    return explain(
        why, error_errno(rc) == ENOENT ? E_AGAIN : E_NOT_FOUND,
        "there is no such network interface, or it has no hardware address; ip link lists them");
}

static int get_file(const struct expand *expand, const char *argument, char value[VALUE_BYTES],
                    char *why)
{
    (void)expand;
    int rc = fs_read_value("", argument, value, VALUE_BYTES);
    if (rc == E_TOO_BIG)
        return explain(why, rc, "the file is larger than 511 bytes; shorten it");
    if (rc == E_NOT_FOUND)
        return explain(why, rc, "the file is empty; write the value into it");
    if (rc < 0)
        (void)snprintf(why, EXPAND_WHY_BYTES, "the file cannot be read: %s; mend that or the path",
                       ERROR_TEXT(rc));
    return error_errno(rc) == ENOENT ? E_AGAIN : rc;
}

static int get_device(const struct expand *expand, const char *argument, char value[VALUE_BYTES],
                      char *why)
{
    (void)argument;
    if (expand->device == NULL)
        return explain(
            why, E_SYNTAX,
            "the device cannot be named after itself; use ${hostname}, ${serial} or a name");
    (void)snprintf(value, VALUE_BYTES, "%s", expand->device);
    return 0;
}

static int get_thing(const struct expand *expand, const char *argument, char value[VALUE_BYTES],
                     char *why)
{
    (void)argument;
    if (expand->thing == NULL && expand->thing_fault == NULL)
        return explain(
            why, E_SYNTAX,
            "the thing cannot be named after itself; use ${device}, ${serial} or a name");
    if (expand->thing == NULL)
        return explain(why, expand->thing_error, expand->thing_fault);
    (void)snprintf(value, VALUE_BYTES, "%s", expand->thing);
    return 0;
}

static const struct source sources[] = {
    {"hostname", false, get_hostname}, {"machine-id", false, get_machine_id},
    {"serial", false, get_serial},     {"mac", true, get_mac},
    {"file", true, get_file},          {"device", false, get_device},
    {"thing", false, get_thing},
};

static int get_value(const struct expand *expand, const char *name, char value[VALUE_BYTES],
                     char *why)
{
    size_t count = strcspn(name, ":");
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        const struct source *source = &sources[i];
        if (strlen(source->name) != count || memcmp(name, source->name, count) != 0)
            continue;
        const char *argument = name[count] == ':' ? name + count + 1 : "";
        if ((argument[0] != '\0') != source->takes_argument)
            return explain(
                why, E_SYNTAX,
                source->takes_argument
                    ? "an argument is missing; write it like ${mac:eth0} or ${file:/etc/name}"
                    : "takes no argument; remove it");
        return source->get(expand, argument, value, why);
    }
    return explain(why, E_SYNTAX,
                   "unknown; there are ${hostname}, ${machine-id}, ${serial}, ${mac:IF}, "
                   "${file:PATH}, ${device} and ${thing}");
}

/* Replaces the ${NAME} that AT begins with and moves AT behind it. */
static int expand_one(const struct expand *expand, const char **at, struct writer *out, char *why)
{
    char name[NAME_BYTES];
    char value[VALUE_BYTES] = "";
    char reason[EXPAND_WHY_BYTES];
    size_t count = strcspn(*at + 2, "}");
    if ((*at)[2 + count] == '\0' || count >= sizeof name)
        return explain(why, E_SYNTAX, "\"${\" without \"}\"; write $${ for the characters ${");
    memcpy(name, *at + 2, count);
    name[count] = '\0';
    int rc = get_value(expand, name, value, reason);
    if (rc < 0) {
        (void)snprintf(why, EXPAND_WHY_BYTES, "${%.60s}: %.130s", name, reason);
        return rc;
    }
    writer_text(out, value);
    *at += count + 3;
    return 0;
}

int expand_text(const struct expand *expand, const char *text, char ret_text[EXPAND_BYTES],
                char why[EXPAND_WHY_BYTES])
{
    char expanded[EXPAND_BYTES];
    struct writer out;
    writer_to_memory(&out, expanded, sizeof expanded - 1);
    for (const char *at = text; *at != '\0';) {
        if (strncmp(at, "$${", 3) == 0) {
            writer_text(&out, "${");
            at += 3;
        } else if (strncmp(at, "${", 2) == 0) {
            int rc = expand_one(expand, &at, &out, why);
            if (rc < 0)
                return rc;
        } else
            writer_char(&out, *at++);
    }
    int rc = writer_finish(&out);
    if (rc < 0)
        return explain(why, rc, "longer than 511 bytes once its ${...} are replaced; shorten it");
    memcpy(ret_text, expanded, out.used_bytes);
    ret_text[out.used_bytes] = '\0';
    return 0;
}
