/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control/doctor.h"

#include <stdio.h>
#include <string.h>

enum { COLUMNS = 80, TEXT_COLUMN = 22, REMEDY_BYTES = 3 };

static const char *const text_outcomes[] = {"ok", "warn", "FAIL", "-"};
static const char *const json_outcomes[] = {"ok", "warn", "fail", "untried"};

/* ---- text ---- */

/* Foreign texts may hold anything: terminals get none of it. */
static void write_ascii(struct writer *out, const char *text, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        unsigned char byte = (unsigned char)text[i];
        if ((byte & 0xc0) != 0x80) /* of a character of several bytes the first stands for all */
            writer_char(out, byte >= ' ' && byte <= '~' ? (char)byte : '?');
    }
}

static void write_blanks(struct writer *out, size_t count)
{
    while (count-- > 0)
        writer_char(out, ' ');
}

/* How many bytes of TEXT go on a line of WIDTH: as many words as fit, or as much of one word. */
static size_t line_bytes(const char *text, size_t width)
{
    size_t count = strlen(text);
    if (count <= width)
        return count;
    for (size_t i = width; i > 0; i--)
        if (text[i] == ' ')
            return i;
    return width;
}

/* From TEXT_COLUMN on, where the cursor is; HANGING blanks before each line but the first. */
static void write_wrapped(struct writer *out, const char *text, size_t hanging)
{
    size_t width = COLUMNS - TEXT_COLUMN - hanging;
    for (;;) {
        size_t count = line_bytes(text, width);
        write_ascii(out, text, count);
        writer_char(out, '\n');
        text += count;
        text += strspn(text, " ");
        if (*text == '\0')
            return;
        write_blanks(out, TEXT_COLUMN + hanging);
    }
}

static void text_section(struct doctor *doctor, const char *name, const char *about)
{
    char line[2 * COLUMNS];
    (void)snprintf(line, sizeof line, "%s%s%s", name, about[0] != '\0' ? ": " : "", about);
    if (doctor->in_section)
        writer_char(doctor->out, '\n');
    write_ascii(doctor->out, line, strnlen(line, COLUMNS));
    writer_char(doctor->out, '\n');
}

static void text_finding(struct doctor *doctor, const struct doctor_finding *finding)
{
    struct writer *out = doctor->out;
    writer_format(out, "  %-5s %-13s ", text_outcomes[finding->outcome], finding->rung);
    write_wrapped(out, finding->what, 0);
    if (finding->remedy == NULL)
        return;
    write_blanks(out, TEXT_COLUMN);
    writer_text(out, "-> ");
    write_wrapped(out, finding->remedy, REMEDY_BYTES);
}

static void text_end(struct doctor *doctor)
{
    struct writer *out = doctor->out;
    if (doctor->failures == 1)
        writer_format(out, "\nverdict: 1 fault: %.60s\n", doctor->first);
    else if (doctor->failures > 1)
        writer_format(out, "\nverdict: %u faults, first: %.50s\n", doctor->failures, doctor->first);
    else
        writer_format(out, "\nverdict: nothing fails%s%s\n",
                      doctor->warnings > 0 ? ", but see the warnings" : "",
                      doctor->untried > 0 ? ", but not all could be tried" : "");
}

/* ---- JSON ---- */

static void json_section(struct doctor *doctor, const char *name, const char *about)
{
    struct json_write *json = &doctor->write;
    if (doctor->in_section) {
        json_write_array_end(json);
        json_write_object_end(json);
    }
    json_write_object_begin(json, NULL);
    json_write_text(json, "name", name);
    json_write_text(json, "about", about);
    json_write_array_begin(json, "findings");
}

static void json_finding(struct doctor *doctor, const struct doctor_finding *finding)
{
    struct json_write *json = &doctor->write;
    json_write_object_begin(json, NULL);
    json_write_text(json, "rung", finding->rung);
    json_write_text(json, "outcome", json_outcomes[finding->outcome]);
    json_write_text(json, "what", finding->what);
    json_write_text(json, "remedy", finding->remedy);
    json_write_object_end(json);
}

static void json_end(struct doctor *doctor)
{
    struct json_write *json = &doctor->write;
    if (doctor->in_section) {
        json_write_array_end(json);
        json_write_object_end(json);
    }
    json_write_array_end(json);
    json_write_boolean(json, "ok", doctor->failures == 0);
    json_write_unsigned(json, "failures", doctor->failures);
    json_write_unsigned(json, "warnings", doctor->warnings);
    json_write_unsigned(json, "untried", doctor->untried);
    json_write_object_end(json);
    writer_char(doctor->out, '\n');
}

/* ---- both ---- */

void doctor_start(struct doctor *doctor, bool json, struct writer *out)
{
    *doctor = (struct doctor){.out = out, .json = json};
    if (!json)
        return;
    json_write_start(&doctor->write, out);
    json_write_object_begin(&doctor->write, NULL);
    json_write_array_begin(&doctor->write, "sections");
}

void doctor_section(struct doctor *doctor, const char *name, const char *about)
{
    if (doctor->json)
        json_section(doctor, name, about);
    else
        text_section(doctor, name, about);
    doctor->in_section = true;
    (void)snprintf(doctor->section, sizeof doctor->section, "%s", name);
}

static void count_failure(struct doctor *doctor, const char *rung)
{
    if (doctor->failures++ == 0)
        (void)snprintf(doctor->first, sizeof doctor->first, "%.48s, %.24s", doctor->section, rung);
}

void doctor_add(struct doctor *doctor, const struct doctor_finding *finding)
{
    if (doctor->json)
        json_finding(doctor, finding);
    else
        text_finding(doctor, finding);
    doctor->warnings += finding->outcome == DOCTOR_WARN;
    doctor->untried += finding->outcome == DOCTOR_UNTRIED;
    if (finding->outcome == DOCTOR_FAIL)
        count_failure(doctor, finding->rung);
}

void doctor_end(struct doctor *doctor)
{
    if (doctor->json)
        json_end(doctor);
    else
        text_end(doctor);
}
