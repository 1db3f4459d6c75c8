/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/control/config_reader.h"
#include "platform/base/error.h"
#include "platform/fs.h"

enum { FRAGMENTS_MAX = 64 };

struct document {
    char name[FS_PATH_BYTES];
    struct json_read *read;
};

struct config_files {
    const struct config_options *options;
    struct config_faults *faults;
    char standard[FS_PATH_BYTES];
    char directory[FS_PATH_BYTES]; /* of the fragments */
    size_t count;
    struct document documents[1 + FRAGMENTS_MAX]; /* the main file comes first */
};

static const char *file_name(struct config_files *files, bool *ret_asked_for)
{
    const struct config_options *options = files->options;
    const char *name = options->path;
    if (name == NULL)
        name = config_variable(options, "RUNNEL_CONFIG");
    *ret_asked_for = name != NULL;
    if (name != NULL)
        return name;
    (void)snprintf(files->standard, sizeof files->standard, "%s%s",
                   options->root == NULL ? "" : options->root, STANDARD_FILE);
    return files->standard;
}

static int report(struct config_files *files, const char *name, const char *what, int code)
{
    config_fault_at(files->faults, name, 0, 0, "%s: %s", what, ERROR_TEXT(code));
    return E_CONFIG;
}

static int parse(struct config_files *files, struct document *document, const char *text,
                 size_t count)
{
    struct json_read_fault fault;
    int rc = json_read_parse(document->name, text, count, &fault, &document->read);
    if (rc == E_NO_MEMORY)
        return rc;
    if (rc < 0) {
        config_fault_at(files->faults, document->name, fault.line, fault.column, "%s", fault.text);
        return E_CONFIG;
    }
    const struct json_node *root = json_read_root(document->read);
    if (root->kind == JSON_KIND_OBJECT)
        return 0;
    config_fault_at(files->faults, document->name, root->line, root->column,
                    "a configuration is an object; begin it with {");
    return E_CONFIG;
}

/* Reads one file; E_NOT_FOUND if it does not exist, which is not reported. */
static int read_document(struct config_files *files, const char *name)
{
    struct document *document = &files->documents[files->count];
    int length = snprintf(document->name, sizeof document->name, "%s", name);
    if (length < 0 || (size_t)length >= sizeof document->name)
        return report(files, STANDARD_FILE, "the path is too long", E_TOO_BIG);
    files->count++;
    char *text = malloc(JSON_READ_BYTES_MAX + 2);
    if (text == NULL)
        return E_NO_MEMORY;
    int rc = fs_read_file(name, text, JSON_READ_BYTES_MAX + 2);
    if (rc >= 0)
        rc = parse(files, document, text, (size_t)rc);
    else if (error_errno(rc) == ENOENT)
        rc = E_NOT_FOUND;
    else
        rc = report(files, document->name, "cannot be read", rc);
    free(text);
    return rc;
}

/* ---- merging ---- */

/* Only objects in "sensors" and "routes" are the same by name; other lists are replaced. */
static bool merges_by_name(const struct json_node *list)
{
    return list->kind == JSON_KIND_ARRAY && list->key != NULL && list->parent != NULL &&
           list->parent->parent == NULL &&
           (strcmp(list->key, "sensors") == 0 || strcmp(list->key, "routes") == 0);
}

static const char *name_of(const struct json_node *object)
{
    const struct json_node *name = json_read_member(object, "name");
    return name != NULL && name->kind == JSON_KIND_TEXT ? name->text : NULL;
}

/* Where the child of BASE that CHILD means is linked in, or where it would be. */
static struct json_node **place_of(struct json_node *base, const struct json_node *child)
{
    bool by_name = base->kind == JSON_KIND_ARRAY;
    const char *wanted = by_name ? name_of(child) : child->key;
    struct json_node **link = &base->first;
    for (; *link != NULL; link = &(*link)->next) {
        const char *have = by_name ? name_of(*link) : (*link)->key;
        if (wanted != NULL && have != NULL && strcmp(wanted, have) == 0)
            break;
    }
    return link;
}

/* The scanner bounded the depth of both. */
static void merge(struct json_node *base, struct json_node *over)
{
    for (struct json_node *child = over->first, *next = NULL; child != NULL; child = next) {
        next = child->next;
        struct json_node **link = place_of(base, child);
        struct json_node *old = *link;
        bool both_objects =
            old != NULL && old->kind == JSON_KIND_OBJECT && child->kind == JSON_KIND_OBJECT;
        bool both_lists = old != NULL && merges_by_name(old) && merges_by_name(child);
        if (!child->duplicate && (both_objects || both_lists)) {
            merge(old, child);
            continue;
        }
        child->next = child->duplicate || old == NULL ? old : old->next;
        child->parent = base;
        *link = child;
    }
}

static int is_fragment(const struct dirent *entry)
{
    size_t count = strlen(entry->d_name);
    return entry->d_name[0] != '.' && count > 5 && strcmp(entry->d_name + count - 5, ".json") == 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int read_fragment(struct config_files *files, const char *name)
{
    char path[FS_PATH_BYTES];
    const char *directory = files->directory;
    if (files->count > FRAGMENTS_MAX)
        return report(files, directory, "holds more than 64 fragments", E_TOO_BIG);
    if (fs_join(directory, name, path, sizeof path) < 0)
        return report(files, directory, "the path of a fragment is too long", E_TOO_BIG);
    int rc = read_document(files, path);
    return rc == E_NOT_FOUND ? report(files, directory, "a fragment vanished", rc) : rc;
}

/* Reads all fragments, also behind one with faults. */
static int read_fragments(struct config_files *files)
{
    struct dirent **entries = NULL;
    const char *main_name = files->documents[0].name;
    size_t count = strlen(main_name);
    int worst = 0;
    if (count < 5 || strcmp(main_name + count - 5, ".json") != 0)
        return 0;
    (void)snprintf(files->directory, sizeof files->directory, "%.*s.d", (int)(count - 5),
                   main_name);
    int found = scandir(files->directory, &entries, is_fragment, by_name);
    if (found < 0)
        return errno == ENOENT || errno == ENOTDIR
                   ? 0
                   : report(files, main_name, "its directory of fragments cannot be read",
                            error_sys(errno));
    for (int i = 0; i < found; i++) {
        int rc = read_fragment(files, entries[i]->d_name);
        worst = rc < 0 && worst != E_NO_MEMORY ? rc : worst;
        free(entries[i]);
    }
    free(entries);
    return worst;
}

static const struct json_node *merge_all(struct config_files *files)
{
    struct json_node *root = NULL;
    for (size_t i = 0; i < files->count; i++) {
        if (files->documents[i].read == NULL)
            continue;
        struct json_node *next = json_read_root(files->documents[i].read);
        if (root == NULL)
            root = next;
        else
            merge(root, next);
    }
    return root;
}

static int read_all(struct config_files *files)
{
    bool asked_for = false;
    const char *name = file_name(files, &asked_for);
    int rc = read_document(files, name);
    if (rc == E_NOT_FOUND && asked_for) {
        config_fault_at(files->faults, name, 0, 0, "does not exist; is the path right?");
        rc = files->options->path == NULL ? E_AGAIN : E_CONFIG; /* who types a path can look */
        files->faults->awaited += rc == E_AGAIN;
    }
    if (rc == E_NO_MEMORY || (rc < 0 && files->count == 0))
        return rc;
    int fragments = read_fragments(files);
    if (rc == E_NOT_FOUND)
        rc = 0;
    return rc < 0 ? rc : fragments;
}

int config_files_open(const struct config_options *options, struct config_faults *faults,
                      struct config_files **ret_files, const struct json_node **ret_root)
{
    struct config_files *files = calloc(1, sizeof *files);
    if (files == NULL)
        return E_NO_MEMORY;
    files->options = options;
    files->faults = faults;
    int rc = read_all(files);
    *ret_files = files; /* faults name its documents, so it goes to the caller in any case */
    if (rc < 0)
        return rc;
    *ret_root = merge_all(files);
    return 0;
}

const char *config_files_name(const struct config_files *files)
{
    return files->documents[0].read != NULL ? files->documents[0].name : "";
}

const char *config_files_name_at(const struct config_files *files, size_t index)
{
    /* The main file has its place also when it does not exist. */
    index += files->documents[0].read == NULL ? 1 : 0;
    return index < files->count ? files->documents[index].name : NULL;
}

void config_files_close(struct config_files *files)
{
    if (files == NULL)
        return;
    for (size_t i = 0; i < files->count; i++)
        json_read_free(files->documents[i].read);
    free(files);
}
