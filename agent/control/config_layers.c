/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "agent/control/config_reader.h"
#include "agent/control/config_store.h"
#include "platform/base/error.h"

/* ---- where the state is ---- */

int config_layers_find_state(struct config_reader *reader, struct config_files *files,
                             const char **ret_state)
{
    const struct schema_key *spool = schema_find(&schema_root, "spool");
    const struct json_node *root = config_files_find(files, "spool", "path");
    struct config_reader probe = *reader;
    probe.faults = calloc(1, sizeof *probe.faults);
    probe.config = config_pool_take(reader->pool, sizeof *probe.config);
    if (probe.faults == NULL || probe.config == NULL) {
        free(probe.faults);
        return E_NO_MEMORY;
    }
    const struct json_node *device = config_files_find(files, NULL, "device");
    config_read_thing(&probe, device, config_files_find(files, "credentials", "default"));
    config_read_key(&probe, device, schema_find(&schema_root, "device"), probe.config);
    config_read_key(&probe, config_read_member(root, "spool"), schema_find(spool->members, "path"),
                    &probe.config->spool);
    config_spool_path(&probe);
    free(probe.faults);
    if (probe.config->spool.path == NULL)
        return E_NO_MEMORY;
    *ret_state = probe.config->spool.path;
    return E_OK;
}

/* ---- what stays the main file's ---- */

static struct json_node **link_of(struct json_node *object, const char *key)
{
    struct json_node **link = &object->first;
    while (*link != NULL && strcmp((*link)->key, key) != 0)
        link = &(*link)->next;
    return link;
}

static struct json_node *cut_member(struct json_node *object, const char *key)
{
    if (object == NULL || object->kind != JSON_KIND_OBJECT)
        return NULL;
    struct json_node **link = link_of(object, key);
    struct json_node *member = *link;
    if (member != NULL)
        *link = member->next;
    return member;
}

static void put_member(struct json_node *object, struct json_node *member)
{
    if (member == NULL)
        return;
    member->parent = object;
    member->next = object->first;
    object->first = member;
}

/* FROM's member KEY in place of TO's. */
static void graft(struct json_node *to, struct json_node *from, const char *key)
{
    while (cut_member(to, key) != NULL)
        continue;
    put_member(to, cut_member(from, key));
}

static void graft_path(struct json_node *root, struct json_node *main_root)
{
    struct json_node *to = json_read_member(root, "spool");
    struct json_node *from = json_read_member(main_root, "spool");
    if (to != NULL && to->kind == JSON_KIND_OBJECT) {
        graft(to, from, "path");
        return;
    }
    if (to != NULL && to->kind != JSON_KIND_NULL)
        return; /* a fault that is told later */
    struct json_node *path = cut_member(from, "path");
    if (path == NULL)
        return;
    from->first = NULL;
    put_member(from, path);
    graft(root, main_root, "spool");
}

/* ---- what a fetched document may not say ---- */

static const char *const reserved[] = {"device", "credentials", "config"};

enum { RESERVED = sizeof reserved / sizeof *reserved };

static bool ends_in_file(const char *key)
{
    static const char end[] = "_file";
    size_t count = strlen(key);
    return count >= sizeof end && strcmp(key + count - (sizeof end - 1), end) == 0;
}

static bool is_same(const struct json_node *node, const void *context)
{
    const struct json_node *wanted = context;
    return node->key != NULL && node->text != NULL && strcmp(node->key, wanted->key) == 0 &&
           strcmp(node->text, wanted->text) == 0;
}

/* A reference with its "}", which nothing else can end in. */
struct reference {
    const char *text;
    size_t count;
};

static bool has_reference(const struct json_node *node, const void *context)
{
    const struct reference *wanted = context;
    const char *at = node->text;
    for (; at != NULL && (at = strstr(at, "${file:")) != NULL; at++)
        if (strncmp(at, wanted->text, wanted->count) == 0)
            return true;
    return false;
}

static void check_references(struct config_reader *reader, struct config_files *files,
                             const struct json_node *node)
{
    for (const char *at = node->text; (at = strstr(at, "${file:")) != NULL; at++) {
        struct reference reference = {.text = at, .count = strcspn(at, "}") + 1};
        if (!config_files_any(files, has_reference, &reference))
            config_fault(reader->faults, node, NULL,
                         "names a file that the main file does not; a fetched configuration may "
                         "name no other");
    }
}

static bool is_sensor(const struct json_node *node)
{
    const struct json_node *list = node != NULL ? node->parent : NULL;
    return list != NULL && list->key != NULL && strcmp(list->key, "sensors") == 0;
}

/* What a sensor reads leaves the device: any file of the agent's could be told in that way, its
 * keys first. A serial line has none, and a socket is made by the agent. */
static bool may_be_read(const char *path)
{
    static const char *const heads[] = {"unix:", "/dev/tty", "/dev/serial/"};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        if (strncmp(path, heads[i], strlen(heads[i])) == 0)
            return strstr(path, "/..") == NULL;
    return false;
}

/* What a sensor opens by its path, or NULL: modbus asks on a line of its own, and opening is enough
 * to start a watchdog. */
static const char *opened_by(const struct json_node *node)
{
    static const char rtu[] = "rtu://";
    if (node->key == NULL || !is_sensor(node->parent))
        return NULL;
    if (strcmp(node->key, "path") == 0)
        return node->text;
    bool is_line = strcmp(node->key, "bus") == 0 && strncmp(node->text, rtu, sizeof rtu - 1) == 0;
    return is_line ? node->text + sizeof rtu - 1 : NULL;
}

static void check_input(struct config_reader *reader, struct config_files *files,
                        const struct json_node *node)
{
    const char *path = opened_by(node);
    if (path == NULL || may_be_read(path) || config_files_any(files, is_same, node))
        return;
    config_fault(reader->faults, node, NULL,
                 "is a file that no sensor of the main file reads; a fetched configuration may add "
                 "serial lines and sockets alone");
}

static bool is_command(const struct json_node *node)
{
    return node->key != NULL && strcmp(node->key, "command") == 0 && is_sensor(node->parent);
}

static bool has_words(const struct json_node *node, const void *context)
{
    const struct json_node *wanted = context;
    if (!is_command(node))
        return false;
    const struct json_node *word = node->first;
    const struct json_node *other = wanted->first;
    for (; word != NULL && other != NULL; word = word->next, other = other->next)
        if (word->text == NULL || other->text == NULL || strcmp(word->text, other->text) != 0)
            return false;
    return word == NULL && other == NULL;
}

/* Whoever could have any program run would have all that the agent has. */
static void check_command(struct config_reader *reader, struct config_files *files,
                          const struct json_node *node)
{
    if (is_command(node) && !config_files_any(files, has_words, node))
        config_fault(reader->faults, node, NULL,
                     "is run by no sensor of the main file; a fetched configuration may have no "
                     "other program run");
}

static bool is_equal(const struct json_node *left, const struct json_node *right)
{
    if (left == NULL || right == NULL)
        return left == right;
    if (left->kind != right->kind || (left->text == NULL) != (right->text == NULL) ||
        (left->text != NULL && strcmp(left->text, right->text) != 0) ||
        (left->key != NULL && right->key != NULL && strcmp(left->key, right->key) != 0))
        return false;
    const struct json_node *one = left->first;
    const struct json_node *other = right->first;
    for (; one != NULL && other != NULL; one = one->next, other = other->next)
        if (!is_equal(one, other))
            return false;
    return one == other;
}

/* Whether two sensors write the same to the same chip. Who only wants to read writes, too: the
 * number of a register, which to a chip with shorter numbers is a value. */
static bool writes_same(const struct json_node *node, const void *context)
{
    static const char *const members[] = {"driver", "bus",           "address",
                                          "chip",   "register_bits", "init"};
    const struct json_node *wanted = context;
    if (!is_sensor(node))
        return false;
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (!is_equal(config_read_member(node, members[i]), config_read_member(wanted, members[i])))
            return false;
    return true;
}

/* On the same two wires as a thermometer there may be what makes the voltage of the processor, or
 * the memory with its serial number. */
static void check_chip(struct config_reader *reader, struct config_files *files,
                       const struct json_node *node)
{
    const struct json_node *driver = is_sensor(node) ? config_read_member(node, "driver") : NULL;
    if (driver == NULL || driver->text == NULL || strcmp(driver->text, "i2c") != 0 ||
        config_files_any(files, writes_same, node))
        return;
    config_fault(reader->faults, node, NULL,
                 "is no chip that a sensor of the main file has with the same \"bus\", "
                 "\"address\", \"chip\", \"register_bits\" and \"init\"; a fetched configuration "
                 "may have no other written to");
}

static bool is_listen(const struct json_node *node)
{
    const struct json_node *list = node->parent;
    const struct json_node *coap = list != NULL ? list->parent : NULL;
    return node->text != NULL && coap != NULL && list->key != NULL && coap->key != NULL &&
           strcmp(list->key, "listen") == 0 && strcmp(coap->key, "coap") == 0;
}

static bool listens_same(const struct json_node *node, const void *context)
{
    const struct json_node *wanted = context;
    return is_listen(node) && strcmp(node->text, wanted->text) == 0;
}

/* Who may come in is for those to say who have the device. */
static void check_listen(struct config_reader *reader, struct config_files *files,
                         const struct json_node *node)
{
    if (is_listen(node) && !config_files_any(files, listens_same, node))
        config_fault(reader->faults, node, NULL,
                     "is an address at which the main file does not listen; a fetched "
                     "configuration may name no other");
}

static void check_names(struct config_reader *reader, struct config_files *files,
                        const struct json_node *node)
{
    check_command(reader, files, node);
    check_chip(reader, files, node);
    check_listen(reader, files, node);
    if (node->kind == JSON_KIND_TEXT)
        check_references(reader, files, node);
    if (node->kind == JSON_KIND_TEXT)
        check_input(reader, files, node);
    if (node->kind == JSON_KIND_TEXT && node->key != NULL && ends_in_file(node->key) &&
        !config_files_any(files, is_same, node))
        config_fault(reader->faults, node, NULL,
                     "is a file that the main file does not name as \"%s\"; a fetched "
                     "configuration may name no other",
                     node->key);
    for (const struct json_node *child = node->first; child != NULL; child = child->next)
        check_names(reader, files, child);
}

static void check_fetched(struct config_reader *reader, struct config_files *files,
                          const struct json_node *root)
{
    const struct json_node *path = json_read_member(json_read_member(root, "spool"), "path");
    for (size_t i = 0; i < RESERVED; i++) {
        const struct json_node *node = json_read_member(root, reserved[i]);
        if (node != NULL)
            config_fault_key(reader->faults, node,
                             "cannot be changed by a fetched configuration; remove it");
    }
    if (path != NULL)
        config_fault_key(reader->faults, path,
                         "cannot be changed by a fetched configuration; remove it");
    check_names(reader, files, root);
}

/* The spool stays where it is, whatever is applied: who says it as it is may go on saying it. */
static void check_path(struct config_reader *reader, struct config_files *files,
                       const struct json_node *root, const char *state)
{
    const struct json_node *path = config_read_member(config_read_member(root, "spool"), "path");
    const struct json_node *main_root = config_files_find(files, "spool", "path");
    const struct json_node *have =
        config_read_member(config_read_member(main_root, "spool"), "path");
    const char *text = have != NULL && have->text != NULL ? have->text : state;
    if (path != NULL && path->text != NULL && strcmp(path->text, text) != 0)
        config_fault(reader->faults, path, NULL,
                     "moves the spool, which what is applied cannot; leave it out or write \"%s\"",
                     text);
}

/* ---- the choice ---- */

static int put_in_place(struct config_reader *reader, struct config_files *files,
                        const struct config_offered *document, const char *state)
{
    struct json_node *root = NULL;
    struct json_node *main_root = config_files_main(files);
    int rc = config_files_apply(files, document->name, document->text, document->count, &root);
    if (rc < 0)
        return rc;
    reader->config->origin = document->origin;
    if (document->origin == CFG_ORIGIN_SOURCE)
        check_fetched(reader, files, root);
    else if (reader->options->layer == CFG_LAYER_OFFER)
        check_path(reader, files, root, state);
    graft_path(root, main_root);
    for (size_t i = 0; i < RESERVED && document->origin == CFG_ORIGIN_SOURCE; i++)
        graft(root, main_root, reserved[i]);
    return E_OK;
}

/* The main file counts where nobody can say what was applied: something has to. */
static int read_store(struct config_reader *reader, const char *state, struct config_store *store)
{
    int rc = config_store_read(state, store);
    if (rc == E_OK || rc == E_NO_MEMORY)
        return rc;
    config_fault_warn(reader->faults, NULL, "spool.path",
                      "what was applied in %s cannot be read: %s", state, ERROR_TEXT(rc));
    *store = (struct config_store){.good = {.place = 0}};
    return E_OK;
}

static int put_applied(struct config_reader *reader, struct config_files *files,
                       const struct config_store *store, const char *state)
{
    struct config *config = reader->config;
    bool on_trial = reader->options->layer == CFG_LAYER_RUN && store->trial.is_on;
    const struct config_applied *applied = on_trial ? &store->trial.applied : &store->good;
    char path[FS_PATH_BYTES];
    config->state = on_trial              ? CFG_STATE_TRIAL
                    : applied->place != 0 ? CFG_STATE_APPLIED
                                          : CFG_STATE_MAIN;
    config->origin = applied->origin;
    if (applied->place == 0)
        return E_OK;
    config->main_changed = strcmp(applied->main_digest, config_files_main_digest(files)) != 0;
    int rc = config_store_path(store, applied->place, path);
    const struct config_offered document = {.name = path, .origin = applied->origin};
    return rc < 0 ? rc : put_in_place(reader, files, &document, state);
}

int config_layers_choose(struct config_reader *reader, struct config_files *files)
{
    struct config_store store;
    const char *state;
    if (reader->options->layer == CFG_LAYER_MAIN)
        return E_OK;
    int rc = config_layers_find_state(reader, files, &state);
    if (rc < 0)
        return rc;
    if (reader->options->layer == CFG_LAYER_OFFER)
        return put_in_place(reader, files, reader->options->offer, state);
    rc = read_store(reader, state, &store);
    return rc < 0 ? rc : put_applied(reader, files, &store, state);
}
