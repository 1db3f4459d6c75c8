/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control/config_fault.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Appends to TEXT what fits and returns the bytes used. */
static size_t append(char *text, size_t used, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static size_t append(char *text, size_t used, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int count = vsnprintf(text + used, CONFIG_FAULT_BYTES - used, format, arguments);
    va_end(arguments);
    size_t all = used + (count < 0 ? 0 : (size_t)count);
    return all < CONFIG_FAULT_BYTES ? all : CONFIG_FAULT_BYTES - 1;
}

/* `sensors[0].interval`. The parser bounded the depth. */
static size_t append_path(char *text, size_t used, const struct json_node *node)
{
    if (node == NULL || node->parent == NULL)
        return used;
    used = append_path(text, used, node->parent);
    if (node->key == NULL)
        return append(text, used, "[%zu]", json_read_index(node));
    return append(text, used, "%s%.64s", used > 0 ? "." : "", node->key);
}

void config_fault_path(const struct json_node *node, char ret_path[CONFIG_FAULT_PATH_BYTES])
{
    char path[CONFIG_FAULT_BYTES] = "";
    (void)append_path(path, 0, node);
    (void)snprintf(ret_path, CONFIG_FAULT_PATH_BYTES, "%.199s", path);
}

static struct config_fault_line *next_line(struct config_faults *faults)
{
    if (faults->kept == CONFIG_FAULTS_KEPT) {
        faults->left_out++;
        return NULL;
    }
    return &faults->lines[faults->kept++];
}

struct subject {
    const struct json_node *node;
    const char *member;
    bool at_key;
    bool warning;
};

static void add(struct config_faults *faults, const struct subject *subject, const char *format,
                va_list arguments) __attribute__((format(printf, 3, 0)));
static void add(struct config_faults *faults, const struct subject *subject, const char *format,
                va_list arguments)
{
    const struct json_node *node = subject->node;
    const char *member = subject->member;
    const struct json_node *written = member != NULL ? json_read_member(node, member) : NULL;
    if (written != NULL) { /* it is there after all, or null took it away */
        node = written;
        member = NULL;
    }
    if (!subject->warning)
        faults->faults++;
    struct config_fault_line *line = next_line(faults);
    if (line == NULL)
        return;
    *line = (struct config_fault_line){.warning = subject->warning};
    if (node != NULL) {
        line->file = node->file;
        line->line = subject->at_key ? node->key_line : node->line;
        line->column = subject->at_key ? node->key_column : node->column;
    }
    size_t used = append_path(line->text, 0, node);
    if (member != NULL)
        used = append(line->text, used, "%s%s", used > 0 ? "." : "", member);
    if (used > 0)
        used = append(line->text, used, ": ");
    (void)vsnprintf(line->text + used, sizeof line->text - used, format, arguments);
}

void config_fault_at(struct config_faults *faults, const char *file, unsigned line, unsigned column,
                     const char *format, ...)
{
    faults->faults++;
    struct config_fault_line *next = next_line(faults);
    if (next == NULL)
        return;
    *next = (struct config_fault_line){.file = file, .line = line, .column = column};
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(next->text, sizeof next->text, format, arguments);
    va_end(arguments);
}

void config_fault(struct config_faults *faults, const struct json_node *node, const char *member,
                  const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    add(faults, &(struct subject){.node = node, .member = member}, format, arguments);
    va_end(arguments);
}

void config_fault_key(struct config_faults *faults, const struct json_node *node,
                      const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    add(faults, &(struct subject){.node = node, .at_key = true}, format, arguments);
    va_end(arguments);
}

void config_fault_warn(struct config_faults *faults, const struct json_node *node,
                       const char *member, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    add(faults, &(struct subject){.node = node, .member = member, .warning = true}, format,
        arguments);
    va_end(arguments);
}

static int compare(unsigned a, unsigned b)
{
    return a < b ? -1 : a > b;
}

static int by_place(const void *left, const void *right)
{
    const struct config_fault_line *a = left;
    const struct config_fault_line *b = right;
    int files = strcmp(a->file == NULL ? "" : a->file, b->file == NULL ? "" : b->file);
    if (files != 0)
        return files;
    if (a->line != b->line)
        return compare(a->line, b->line);
    return compare(a->column, b->column);
}

/* A key or a value may hold anything, and a terminal must not obey it. */
static void disarm(char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = '?';
}

void config_fault_print(struct config_faults *faults, FILE *to)
{
    qsort(faults->lines, faults->kept, sizeof faults->lines[0], by_place);
    for (unsigned i = 0; i < faults->kept; i++) {
        struct config_fault_line *line = &faults->lines[i];
        disarm(line->text);
        if (line->file != NULL)
            (void)fprintf(to, "%s:", line->file);
        if (line->line > 0)
            (void)fprintf(to, "%u:%u:", line->line, line->column);
        (void)fprintf(to, "%s%s%s\n", line->file != NULL ? " " : "",
                      line->warning ? "warning: " : "", line->text);
    }
    if (faults->left_out > 0)
        (void)fprintf(to, "and %u more; mend these first\n", faults->left_out);
}
