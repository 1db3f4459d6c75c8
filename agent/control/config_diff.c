/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control/config_diff.h"

#include <stdio.h>
#include <string.h>

#include "agent/control/config_pool.h"
#include "agent/control/config_walk.h"
#include "platform/base/error.h"

/* A value of a configuration; shown is text without its secrets. */
struct item {
    const char *key, *text, *shown;
    struct item *next;
};

struct side {
    const struct config *config;
    struct config_pool *pool;
    struct item *first;
    struct item **last;
};

/* ---- values ---- */

static void collect(void *context, const struct config_value *value)
{
    char text[CONFIG_SHOWN_BYTES];
    struct side *side = context;
    const struct config_place *place = config_place(side->config, value->address);
    const char *written = place != NULL ? place->written : NULL;
    struct item *item = config_pool_take(side->pool, sizeof *item);
    if (item == NULL)
        return;
    item->key = config_pool_text(side->pool, value->path);
    item->text = config_pool_text(side->pool, value->text);
    item->shown =
        config_pool_text(side->pool, written != NULL ? written : config_walk_shown(value, text));
    *side->last = item;
    side->last = &item->next;
}

static void open_side(struct side *side, const struct config *config, struct config_pool *pool)
{
    *side = (struct side){.config = config, .pool = pool};
    side->last = &side->first;
    config_walk(config, collect, side);
}

static const struct item *find(const struct side *side, const char *key)
{
    const struct item *item = side->first;
    while (item != NULL && strcmp(item->key, key) != 0)
        item = item->next;
    return item;
}

/* ---- what comes and goes as a whole ---- */

static const char *const lists[] = {"sensors", "routes", "credentials", "coap.sensors"};

enum { LISTS = sizeof lists / sizeof *lists };

/* NULL: there is none at INDEX. */
static const char *name_at(const struct config *config, int list, size_t index)
{
    switch (list) {
    case 0:
        return index < config->sensor_count ? config->sensors[index].name : NULL;
    case 1:
        return index < config->route_count ? config->routes[index].name : NULL;
    case 2:
        return index < config->credentials_count ? config->credentials[index].name : NULL;
    default:
#ifdef CONFIG_COAP
        return index < config->coap.sensor_count ? config->coap.sensors[index].sensor.name : NULL;
#else
        return NULL;
#endif
    }
}

static bool has(const struct config *config, int list, const char *name)
{
    const char *other;
    for (size_t i = 0; (other = name_at(config, list, i)) != NULL; i++)
        if (strcmp(other, name) == 0)
            return true;
    return false;
}

/* Whether KEY is of an element that CONFIG has and OTHER has not; its key is RET_ELEMENT then. */
static bool is_of_new(const struct config *config, const struct config *other, const char *key,
                      char ret_element[CONFIG_PATH_BYTES])
{
    const char *name;
    for (int list = 0; list < LISTS; list++)
        for (size_t i = 0; (name = name_at(config, list, i)) != NULL; i++) {
            int count = snprintf(ret_element, CONFIG_PATH_BYTES, "%s.%s", lists[list], name);
            if (count > 0 && strncmp(key, ret_element, (size_t)count) == 0 && key[count] == '.' &&
                !has(other, list, name))
                return true;
        }
    return false;
}

/* ---- the comparison ---- */

/* All but this is opened anew with the stages. */
static bool needs_restart(const char *key)
{
    return strcmp(key, "spool.path") == 0;
}

struct diff {
    config_tell_change *tell;
    void *context;
    char told[CONFIG_PATH_BYTES]; /* the element that was told last */
};

static void tell_value(struct diff *diff, const struct item *from, const struct item *to)
{
    const char *key = to != NULL ? to->key : from->key;
    const struct config_change change = {.key = key,
                                         .from = from != NULL ? from->shown : NULL,
                                         .to = to != NULL ? to->shown : NULL,
                                         .needs_restart = needs_restart(key)};
    diff->tell(diff->context, &change);
}

/* Whether ITEM is of an element that ONE has and OTHER has not, which is told once. */
static bool tell_whole(struct diff *diff, const struct item *item, const struct side *one,
                       const struct side *other, bool came)
{
    char element[CONFIG_PATH_BYTES];
    const struct config_change change = {
        .key = element, .is_whole = true, .to = came ? "" : NULL, .from = came ? NULL : ""};
    if (!is_of_new(one->config, other->config, item->key, element))
        return false;
    if (strcmp(diff->told, element) != 0)
        diff->tell(diff->context, &change);
    (void)snprintf(diff->told, sizeof diff->told, "%s", element);
    return true;
}

static void compare(struct diff *diff, const struct side *from, const struct side *to)
{
    for (const struct item *item = to->first; item != NULL; item = item->next) {
        const struct item *before = find(from, item->key);
        bool same = before != NULL && strcmp(before->text, item->text) == 0;
        if (!same && !tell_whole(diff, item, to, from, true))
            tell_value(diff, before, item);
    }
    for (const struct item *item = from->first; item != NULL; item = item->next)
        if (find(to, item->key) == NULL && !tell_whole(diff, item, from, to, false))
            tell_value(diff, item, NULL);
}

int config_diff(const struct config *from, const struct config *to, config_tell_change *tell,
                void *context)
{
    struct diff diff = {.tell = tell, .context = context};
    struct side before;
    struct side after;
    struct config_pool *pool = config_pool_open();
    if (pool == NULL)
        return E_NO_MEMORY;
    open_side(&before, from, pool);
    open_side(&after, to, pool);
    int rc = config_pool_failed(pool) ? E_NO_MEMORY : E_OK;
    if (rc == E_OK)
        compare(&diff, &before, &after);
    config_pool_close(pool);
    return rc;
}
