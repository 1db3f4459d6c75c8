/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/control/config_reader.h"
#include "agent/control/config_store.h"
#include "platform/base/error.h"
#include "platform/fs.h"
#include "platform/rights.h"

enum { FRAGMENTS_MAX = 64, REMEDY_BYTES = 128 };

struct document {
    char name[FS_PATH_BYTES];
    struct json_read *read;
};

struct config_files {
    const struct config_options *options;
    struct config_faults *faults;
    char standard[FS_PATH_BYTES];
    char directory[FS_PATH_BYTES]; /* of the fragments */
    char main_digest[CONFIG_STORE_DIGEST_BYTES];
    struct document applied; /* read: it has the main file's place */
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

static int report(struct config_files *files, const char *name, const char *what, int code,
                  const char *remedy)
{
    config_fault_at(files->faults, name, 0, 0, "%s: %s; %s", what, ERROR_TEXT(code), remedy);
    return E_CONFIG;
}

/* Root can read it: of who cannot, the user is what has to be known. */
static int report_unreadable(struct config_files *files, const char *name, const char *what,
                             int code)
{
    char user[RIGHTS_USER_BYTES];
    char remedy[REMEDY_BYTES] = "mend that, or remove it";
    if (error_errno(code) == EACCES)
        (void)snprintf(remedy, sizeof remedy,
                       "let the user %s read it, with chgrp and chmod, and enter the folders above",
                       rights_user(user));
    return report(files, name, what, code, remedy);
}

static int parse(struct config_files *files, struct document *document, const char *text,
                 size_t count)
{
    struct json_read_faults faults;
    int rc = json_read_mend(document->name, text, count, &faults, &document->read);
    if (rc == E_NO_MEMORY)
        return rc;
    for (size_t i = 0; i < faults.count; i++)
        config_fault_at(files->faults, document->name, faults.list[i].line, faults.list[i].column,
                        "%s", faults.list[i].text);
    if (rc < 0)
        return E_CONFIG;
    const struct json_node *root = json_read_root(document->read);
    if (root->kind == JSON_KIND_OBJECT)
        return 0;
    config_fault_at(files->faults, document->name, root->line, root->column,
                    "a configuration is an object; begin it with {");
    return E_CONFIG;
}

static int name_document(struct config_files *files, struct document *document, const char *name)
{
    int length = snprintf(document->name, sizeof document->name, "%s", name);
    return length < 0 || (size_t)length >= sizeof document->name
               ? report(files, STANDARD_FILE, "the path is too long", E_TOO_BIG, "shorten it")
               : 0;
}

/* Reads one file; E_NOT_FOUND if it does not exist, which is not reported. */
static int read_document(struct config_files *files, struct document *document)
{
    char *text = malloc(JSON_READ_BYTES_MAX + 2);
    if (text == NULL)
        return E_NO_MEMORY;
    int rc = fs_read_file(document->name, text, JSON_READ_BYTES_MAX + 2);
    if (rc >= 0 && document == &files->documents[0])
        config_store_digest(text, (size_t)rc, files->main_digest);
    if (rc >= 0)
        rc = parse(files, document, text, (size_t)rc);
    else if (error_errno(rc) == ENOENT)
        rc = E_NOT_FOUND;
    else
        rc = report_unreadable(files, document->name, "cannot be read", rc);
    free(text);
    return rc;
}

/* Has its place also if it cannot be read: faults name it. */
static int read_next(struct config_files *files, const char *name)
{
    struct document *document = &files->documents[files->count];
    int rc = name_document(files, document, name);
    if (rc < 0)
        return rc;
    files->count++;
    return read_document(files, document);
}

/* ---- merging ---- */

/* Only objects in "sensors" and "routes" are the same by name; other lists are replaced. */
static bool merges_by_name(const struct json_node *list)
{
    const struct json_node *parent = list->parent;
    if (list->kind != JSON_KIND_ARRAY || list->key == NULL || parent == NULL)
        return false;
    bool is_sensors = strcmp(list->key, "sensors") == 0;
    if (parent->parent == NULL)
        return is_sensors || strcmp(list->key, "routes") == 0;
    bool is_of_coap = parent->key != NULL && strcmp(parent->key, "coap") == 0;
    return is_sensors && is_of_coap && parent->parent->parent == NULL;
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
        return report(files, directory, "holds more than 64 fragments", E_TOO_BIG, "join some");
    if (fs_join(directory, name, path, sizeof path) < 0)
        return report(files, directory, "the path of a fragment is too long", E_TOO_BIG,
                      "shorten it");
    int rc = read_next(files, path);
    return rc == E_NOT_FOUND ? report(files, directory, "a fragment vanished", rc, "try again")
                             : rc;
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
                   : report_unreadable(files, main_name,
                                       "its directory of fragments cannot be read",
                                       error_sys(errno));
    for (int i = 0; i < found; i++) {
        int rc = read_fragment(files, entries[i]->d_name);
        worst = rc < 0 && worst != E_NO_MEMORY ? rc : worst;
        free(entries[i]);
    }
    free(entries);
    return worst;
}

struct json_node *config_files_main(struct config_files *files)
{
    struct json_read *read = files->documents[0].read;
    return read != NULL ? json_read_root(read) : NULL;
}

static struct json_node *root_at(struct config_files *files, size_t index)
{
    struct json_read *read = files->documents[index].read;
    if (index == 0 && files->applied.read != NULL)
        read = files->applied.read;
    return read != NULL ? json_read_root(read) : NULL;
}

const struct json_node *config_files_merge(struct config_files *files)
{
    struct json_node *root = NULL;
    for (size_t i = 0; i < files->count; i++) {
        struct json_node *next = root_at(files, i);
        if (root == NULL)
            root = next;
        else if (next != NULL)
            merge(root, next);
    }
    return root;
}

static int read_all(struct config_files *files)
{
    bool asked_for = false;
    const char *name = file_name(files, &asked_for);
    int rc = read_next(files, name);
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
                      struct config_files **ret_files)
{
    struct config_files *files = calloc(1, sizeof *files);
    if (files == NULL)
        return E_NO_MEMORY;
    files->options = options;
    files->faults = faults;
    *ret_files = files; /* faults name its documents, so it goes to the caller in any case */
    return read_all(files);
}

const struct json_node *config_files_find(struct config_files *files, const char *object,
                                          const char *key)
{
    for (size_t i = files->count; i-- > 0;) {
        struct json_read *read = files->documents[i].read;
        const struct json_node *root = read != NULL ? json_read_root(read) : NULL;
        const struct json_node *inner = object != NULL ? json_read_member(root, object) : root;
        if (json_read_member(inner, key) != NULL ||
            (inner != NULL && inner->kind == JSON_KIND_NULL))
            return root;
    }
    return NULL;
}

static bool is_any(const struct json_node *node,
                   bool (*accept)(const struct json_node *node, const void *context),
                   const void *context)
{
    if (accept(node, context))
        return true;
    for (const struct json_node *child = node->first; child != NULL; child = child->next)
        if (is_any(child, accept, context))
            return true;
    return false;
}

bool config_files_any(struct config_files *files,
                      bool (*accept)(const struct json_node *node, const void *context),
                      const void *context)
{
    for (size_t i = 0; i < files->count; i++)
        if (files->documents[i].read != NULL &&
            is_any(json_read_root(files->documents[i].read), accept, context))
            return true;
    return false;
}

int config_files_apply(struct config_files *files, const char *name, const char *text, size_t count,
                       struct json_node **ret_root)
{
    struct document *document = &files->applied;
    int rc = name_document(files, document, name);
    if (rc == 0)
        rc = text != NULL ? parse(files, document, text, count) : read_document(files, document);
    if (rc == E_NOT_FOUND)
        rc = report(files, document->name, "was applied and cannot be read", rc, "apply it again");
    if (rc == 0)
        *ret_root = json_read_root(document->read);
    return rc;
}

const char *config_files_name(const struct config_files *files)
{
    return files->applied.read != NULL ? files->applied.name : config_files_main_name(files);
}

const char *config_files_main_name(const struct config_files *files)
{
    return files->documents[0].read != NULL ? files->documents[0].name : "";
}

const char *config_files_main_digest(const struct config_files *files)
{
    return files->main_digest;
}

const char *config_files_name_at(const struct config_files *files, size_t index)
{
    if (files->applied.read != NULL && index == 0)
        return files->applied.name;
    /* The main file has its place also when it does not exist. */
    if (files->applied.read == NULL && files->documents[0].read == NULL)
        index++;
    return index < files->count ? files->documents[index].name : NULL;
}

void config_files_close(struct config_files *files)
{
    if (files == NULL)
        return;
    for (size_t i = 0; i < files->count; i++)
        json_read_free(files->documents[i].read);
    json_read_free(files->applied.read);
    free(files);
}
