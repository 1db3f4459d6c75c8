/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "agent/cli/sensors.h"
#include "agent/control/human.h"
#include "agent/control/text.h"

enum { VALUES_BYTES = 2048 };

/* ---- what is said of every sensor ---- */

static const char *text_of(const struct status_read *sensors, const char *name, const char *key)
{
    return status_read_text(sensors, NULL, "%s/%s", name, key);
}

/* "meter: modbus on tcp://10.0.0.5, every 1s, lane normal" */
static void show_setup(const struct status_read *sensors, const char *name, struct writer *out)
{
    char often[64];
    const char *place = text_of(sensors, name, "place");
    const char *lane = text_of(sensors, name, "lane");
    int64_t interval_ms = status_read_milli(sensors, 0, "%s/interval_s", name);
    bool is_stream = status_read_is_true(sensors, "%s/stream", name);
    if (status_read_is_true(sensors, "%s/at_interval", name))
        (void)snprintf(often, sizeof often, "every %s%s", HUMAN_DURATION_TEXT(interval_ms),
                       is_stream ? " of what it says" : "");
    else
        (void)snprintf(often, sizeof often, "when it speaks");
    text_line(out, "%s: %s%s%s, %s, lane %s", name, text_of(sensors, name, "driver"),
              place != NULL ? " on " : "", place != NULL ? place : "", often, lane);
}

static void show_state(const struct status_read *sensors, const char *name, struct writer *out)
{
    int64_t age_ms = status_read_milli(sensors, -1, "%s/age_s", name);
    uint64_t missed = status_read_number(sensors, "%s/missed", name);
    char late[64] = "";
    if (missed > 0)
        (void)snprintf(late, sizeof late, ", %llu slots missed", (unsigned long long)missed);
    text_line(out, "  %s, last sample %s%s%s", text_of(sensors, name, "state"),
              HUMAN_AGE_TEXT(age_ms), age_ms < 0 ? "" : " ago", late);
}

/* ---- the list ---- */

/* "voltage 230.1 V, power 412 W" */
static void add_value(const struct status_read *sensors, const char *name, const char *channel,
                      char values[VALUES_BYTES])
{
    size_t used = strlen(values);
    const char *value = status_read_text(sensors, NULL, "%s/values/%s/value", name, channel);
    const char *unit = status_read_text(sensors, NULL, "%s/values/%s/unit", name, channel);
    if (value != NULL)
        (void)snprintf(values + used, VALUES_BYTES - used, "%s%s %s%s%s", used > 0 ? ", " : "",
                       channel, value, unit != NULL ? " " : "", unit != NULL ? unit : "");
}

static void show_one(const struct status_read *sensors, const char *name, struct writer *out)
{
    char values[VALUES_BYTES] = "";
    const char *channel;
    const char *document = text_of(sensors, name, "document");
    const char *fault = status_read_text(sensors, NULL, "%s/fault/text", name);
    show_setup(sensors, name, out);
    if (text_of(sensors, name, "state") == NULL)
        return;
    show_state(sensors, name, out);
    for (size_t i = 0; (channel = status_read_member(sensors, i, "%s/values", name)) != NULL; i++)
        add_value(sensors, name, channel, values);
    if (document != NULL)
        (void)snprintf(values, sizeof values, "%s", document);
    text_paragraph(out, values);
    if (fault != NULL)
        text_headed(out, "! ", fault);
}

void sensors_show_list(const struct status_read *sensors, const char *of_whom, struct writer *out)
{
    const char *name;
    text_line(out, "sensors %s", of_whom);
    if (status_read_member(sensors, 0, "%s", "") == NULL)
        text_line(out, "  none");
    for (size_t i = 0; (name = status_read_member(sensors, i, "%s", "")) != NULL; i++)
        show_one(sensors, name, out);
}

/* ---- one that was read ---- */

static void show_channel(const struct status_read *sensors, const char *name, const char *channel,
                         struct writer *out)
{
    const char *value = status_read_text(sensors, NULL, "%s/values/%s/value", name, channel);
    text_line(out, "  %-24s %14s %-8s %s", channel, value != NULL ? value : "-",
              status_read_text(sensors, "", "%s/values/%s/unit", name, channel),
              status_read_text(sensors, "", "%s/values/%s/meaning", name, channel));
}

static void show_values(const struct status_read *sensors, const char *name, struct writer *out)
{
    const char *channel;
    const char *document = text_of(sensors, name, "document");
    const char *bytes = text_of(sensors, name, "document_bytes");
    for (size_t i = 0; (channel = status_read_member(sensors, i, "%s/values", name)) != NULL; i++)
        if (bytes == NULL)
            show_channel(sensors, name, channel, out);
    if (document != NULL)
        text_paragraph(out, document);
    else if (bytes != NULL)
        text_line(out, "  a document of %s bytes", bytes);
}

static void show_checks(const struct status_read *sensors, const char *name, const char *fault,
                        struct writer *out)
{
    const char *check;
    char look[SENSORS_PATH_BYTES];
    bool is_found = sensors_path_look(fault, look);
    if (is_found || status_read_element(sensors, 0, "%s/fault/check", name) != NULL)
        text_line(out, "what to check");
    if (is_found)
        text_headed(out, "- ", look);
    for (size_t i = 0; (check = status_read_element(sensors, i, "%s/fault/check", name)) != NULL;
         i++)
        text_headed(out, "- ", check);
}

static void show_fault(const struct status_read *sensors, const char *name, const char *fault,
                       struct writer *out)
{
    const char *errnum = status_read_text(sensors, NULL, "%s/fault/errno", name);
    text_line(out, "not read:");
    text_paragraph(out, fault);
    if (errnum != NULL) /* other names are our own: nobody could look them up */
        text_line(out, "  %s (errno %s): %s",
                  status_read_text(sensors, "error", "%s/fault/name", name), errnum,
                  status_read_text(sensors, "", "%s/fault/meaning", name));
    show_checks(sensors, name, fault, out);
}

static const char *who_read(const struct status_read *sensors, const char *name, bool by_agent)
{
    bool stream = status_read_is_true(sensors, "%s/stream", name);
    if (by_agent)
        return stream ? "said to the running agent, which records it"
                      : "read by the running agent beside its schedule, and not recorded";
    return stream ? "taken off the stream by this command: no agent runs, and nobody records it"
                  : "read by this command: no agent runs";
}

void sensors_show_read(const struct status_read *sensors, const char *name, bool by_agent,
                       struct writer *out)
{
    const char *fault = status_read_text(sensors, NULL, "%s/fault/text", name);
    const char *missing = text_of(sensors, name, "missing");
    bool has_values = fault == NULL || status_read_milli(sensors, -1, "%s/age_s", name) >= 0;
    show_setup(sensors, name, out);
    if (fault == NULL)
        text_line(out, "%s", who_read(sensors, name, by_agent));
    else if (has_values)
        show_state(sensors, name, out);
    if (has_values)
        show_values(sensors, name, out);
    if (missing != NULL)
        text_headed(out, "missing: ", missing);
    if (fault != NULL)
        show_fault(sensors, name, fault, out);
}
