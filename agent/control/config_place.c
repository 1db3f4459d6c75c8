/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "agent/control/config_reader.h"
#include "platform/fs.h"

static struct config_place *add(struct config_reader *reader, const void *address)
{
    struct config_place *place = config_pool_take(reader->pool, sizeof *place);
    if (place == NULL)
        return NULL;
    place->address = address;
    place->next = reader->config->places;
    reader->config->places = place;
    return place;
}

void config_place_node(struct config_reader *reader, const struct json_node *node,
                       const void *address)
{
    char where[FS_PATH_BYTES + 16];
    char path[CONFIG_FAULT_PATH_BYTES];
    bool is_of_file = node->kind == JSON_KIND_TEXT && strstr(node->text, "${file:") != NULL;
    struct config_place *place =
        reader->options->places || is_of_file ? add(reader, address) : NULL;
    if (place == NULL)
        return;
    (void)snprintf(where, sizeof where, "%s:%u", node->file, node->line);
    config_fault_path(node, path);
    place->where = config_pool_text(reader->pool, where);
    place->column = node->column;
    place->key = config_pool_text(reader->pool, path);
    if (is_of_file)
        place->written = config_pool_text(reader->pool, node->text);
}

void config_place_note(struct config_reader *reader, const char *where, const void *address)
{
    struct config_place *place = reader->options->places ? add(reader, address) : NULL;
    if (place != NULL)
        place->where = config_pool_text(reader->pool, where);
}

/* The last one noted is at the head: what replaces a value is noted later. */
const struct config_place *config_place(const struct config *config, const void *address)
{
    const struct config_place *place = config->places;
    while (place != NULL && place->address != address)
        place = place->next;
    return place;
}
