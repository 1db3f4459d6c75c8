/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control/config_walk.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/control/schema.h"
#include "platform/base/bytes.h"
#include "platform/base/writer.h"
#include "platform/hash.h"

enum { TEXT_BYTES = 64 };

struct walk {
    config_tell *tell;
    void *context;
    char path[CONFIG_PATH_BYTES];
};

static void walk_table(struct walk *walk, const struct schema_table *table, const void *target);

/* ---- the path ---- */

/* Returns how long the path was, for leave. */
static size_t enter(struct walk *walk, const char *name)
{
    size_t count = strlen(walk->path);
    (void)snprintf(walk->path + count, sizeof walk->path - count, "%s%s", count > 0 ? "." : "",
                   name);
    return count;
}

static void leave(struct walk *walk, size_t count)
{
    walk->path[count] = '\0';
}

static void tell(struct walk *walk, const char *name, const char *text, const void *address)
{
    size_t count = enter(walk, name);
    const struct config_value value = {.path = walk->path, .text = text, .address = address};
    if (text != NULL)
        walk->tell(walk->context, &value);
    leave(walk, count);
}

/* ---- scalars ---- */

struct unit {
    uint64_t size;
    const char *name;
};

static const struct unit durations[] = {{60 * 60 * 1000, "h"}, {60 * 1000, "m"}, {1000, "s"}};
static const struct unit frequencies[] = {{60 * 60, "/s"}, {60, "/m"}, {1, "/h"}};
static const struct unit sizes[] = {{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}};

/* In the largest unit that says it exactly. */
static void put_number(uint64_t number, const struct unit units[3], const char *smallest,
                       const char *behind, char text[TEXT_BYTES])
{
    for (int i = 0; i < 3; i++)
        if (number != 0 && number % units[i].size == 0) {
            (void)snprintf(text, TEXT_BYTES, "%" PRIu64 "%s%s", number / units[i].size,
                           units[i].name, behind);
            return;
        }
    (void)snprintf(text, TEXT_BYTES, "%" PRIu64 "%s%s", number, smallest, behind);
}

static const char *number_text(const struct schema_key *key, const void *at, char text[TEXT_BYTES])
{
    uint64_t large;
    unsigned small;
    memcpy(&small, at, sizeof small);
    if (key->kind == SCHEMA_INTEGER || key->kind == SCHEMA_PERCENT) {
        (void)snprintf(text, TEXT_BYTES, "%u%s", small, key->kind == SCHEMA_PERCENT ? "%" : "");
        return text;
    }
    memcpy(&large, at, sizeof large);
    if (key->kind == SCHEMA_FREQUENCY)
        put_number(large, frequencies, "/h", "", text);
    else if (key->kind == SCHEMA_DURATION)
        put_number(large, durations, large == 0 ? "s" : "ms", "", text);
    else
        put_number(large, sizes, "", key->kind == SCHEMA_RATE ? "/s" : "", text);
    return text;
}

static const char *choice_text(const char *words, unsigned place, char text[TEXT_BYTES])
{
    for (; place > 0 && words != NULL; place--) {
        words = strchr(words, '|');
        words = words != NULL ? words + 1 : NULL;
    }
    if (words == NULL)
        return NULL;
    (void)snprintf(text, TEXT_BYTES, "%.*s", (int)strcspn(words, "|"), words);
    return text;
}

static const char *lanes_text(const bool *lanes, char text[TEXT_BYTES])
{
    text[0] = '\0';
    for (int i = 0; i < CFG_LANES; i++) {
        size_t used = strlen(text);
        if (lanes[i])
            (void)snprintf(text + used, TEXT_BYTES - used, "%s%s", used > 0 ? " " : "",
                           config_lane_name((enum cfg_lane)i));
    }
    return text;
}

static const char *scalar_text(const struct schema_key *key, const void *at, char text[TEXT_BYTES])
{
    const char *pointer;
    unsigned place;
    switch (key->kind) {
    case SCHEMA_TEXT:
    case SCHEMA_NAME:
    case SCHEMA_DECIMAL:
        memcpy(&pointer, at, sizeof pointer);
        return pointer;
    case SCHEMA_BOOLEAN:
        return *(const bool *)at ? "true" : "false";
    case SCHEMA_CHOICE:
        memcpy(&place, at, sizeof place);
        return choice_text(key->choices, place, text);
    case SCHEMA_LANES:
        return lanes_text(at, text);
    default:
        return number_text(key, at, text);
    }
}

/* ---- what is no scalar ---- */

static void walk_tags(struct walk *walk, const struct schema_key *key, const void *target)
{
    const struct cfg_tag *tags;
    size_t tag_count;
    memcpy(&tags, (const char *)target + key->offset, sizeof tags);
    memcpy(&tag_count, (const char *)target + key->count_offset, sizeof tag_count);
    size_t count = enter(walk, key->name);
    for (size_t i = 0; i < tag_count; i++)
        tell(walk, tags[i].name, tags[i].value, &tags[i]);
    leave(walk, count);
}

static void walk_words(struct walk *walk, const struct schema_key *key, const bool *words)
{
    char text[TEXT_BYTES];
    char word[TEXT_BYTES];
    struct writer out;
    writer_to_memory(&out, text, sizeof text);
    for (unsigned i = 0; choice_text(key->choices, i, word) != NULL; i++) {
        if (!words[i])
            continue;
        writer_text(&out, out.used_bytes > 0 ? " " : "");
        writer_text(&out, word);
    }
    (void)writer_finish(&out);
    tell(walk, key->name, text, words);
}

static void walk_texts(struct walk *walk, const struct schema_key *key, const void *target)
{
    const char *const *texts;
    size_t text_count;
    char name[TEXT_BYTES];
    memcpy(&texts, (const char *)target + key->offset, sizeof texts);
    memcpy(&text_count, (const char *)target + key->count_offset, sizeof text_count);
    for (size_t i = 0; i < text_count; i++) {
        (void)snprintf(name, sizeof name, "%s[%zu]", key->name, i);
        tell(walk, name, texts[i], &texts[i]);
    }
}

#ifdef CONFIG_TRANSFORMS
static void walk_transforms(struct walk *walk, const struct cfg_sensor *sensor)
{
    for (size_t i = 0; i < sensor->transform_count; i++) {
        const struct cfg_transform *transform = &sensor->transforms[i];
        const struct schema_transform *kind = &schema_transform[transform->kind];
        char name[TEXT_BYTES * 2];
        (void)snprintf(name, sizeof name, "transforms[%zu].%s", i, kind->name);
        size_t count = enter(walk, name);
        walk_table(walk, kind->members, transform);
        leave(walk, count);
    }
}
#endif

static void walk_partition(struct walk *walk, const struct schema_key *key,
                           const struct cfg_route *route)
{
    char text[TEXT_BYTES];
    if (route->partition == CFG_PARTITION_FIELD)
        tell(walk, "partition.field", route->partition_key, &route->partition);
    else if (route->partition == CFG_PARTITION_FIXED)
        tell(walk, "partition.fixed", route->partition_key, &route->partition);
    else
        tell(walk, key->name, choice_text(key->choices, (unsigned)route->partition, text),
             &route->partition);
}

static void walk_settings(struct walk *walk, const struct cfg_sensor *sensor)
{
    for (size_t i = 0; i < sensor->setting_count; i++)
        tell(walk, sensor->settings[i].key, sensor->settings[i].value, &sensor->settings[i]);
}

/* The elements of lists and maps begin with their name. One without was null. */
static void walk_elements(struct walk *walk, const struct schema_key *key, const void *target)
{
    const char *element;
    size_t elements;
    memcpy(&element, (const char *)target + key->offset, sizeof element);
    memcpy(&elements, (const char *)target + key->count_offset, sizeof elements);
    for (; elements > 0; elements--, element += key->element_bytes) {
        const char *name;
        memcpy(&name, element, sizeof name);
        if (name == NULL)
            continue;
        size_t count = enter(walk, name);
        walk_table(walk, key->members, element);
        if (key->members->open)
            walk_settings(walk, (const struct cfg_sensor *)(const void *)element);
        leave(walk, count);
    }
}

static void walk_key(struct walk *walk, const struct schema_key *key, const void *target)
{
    char text[TEXT_BYTES];
    if (key->kind == SCHEMA_ABSENT || key->offset == SCHEMA_NOWHERE)
        return;
    const char *at = (const char *)target + key->offset;
    if (key->kind == SCHEMA_TAGS) {
        walk_tags(walk, key, target);
    } else if (key->kind == SCHEMA_TEXTS) {
        walk_texts(walk, key, target);
    } else if (key->kind == SCHEMA_WORDS) {
        walk_words(walk, key, (const bool *)at);
#ifdef CONFIG_TRANSFORMS
    } else if (key->kind == SCHEMA_TRANSFORMS) {
        walk_transforms(walk, target);
#endif
    } else if (key->kind == SCHEMA_PARTITION) {
        walk_partition(walk, key, target);
    } else if (key->kind != SCHEMA_OBJECT && key->kind != SCHEMA_LIST && key->kind != SCHEMA_MAP) {
        tell(walk, key->name, scalar_text(key, at, text), at);
    } else {
        size_t count = enter(walk, key->name);
        if (key->kind == SCHEMA_OBJECT)
            walk_table(walk, key->members, at);
        else
            walk_elements(walk, key, target);
        leave(walk, count);
    }
}

static void walk_keys(struct walk *walk, const struct schema_key *keys, const void *target)
{
    for (const struct schema_key *key = keys; key->name != NULL; key++)
        walk_key(walk, key, target);
}

static void walk_table(struct walk *walk, const struct schema_table *table, const void *target)
{
    char text[TEXT_BYTES];
    const char *choice = NULL;
    walk_keys(walk, table->keys, target);
    if (table->selector != NULL && table->parts != NULL) {
        const struct schema_key *key = schema_find(table, table->selector);
        choice = scalar_text(key, (const char *)target + key->offset, text);
    }
    for (const struct schema_part *part = table->parts;
         choice != NULL && part != NULL && part->only != NULL; part++)
        if (schema_choice(part->only, choice) >= 0)
            walk_keys(walk, part->keys, target);
}

void config_walk(const struct config *config, config_tell *tell_value, void *context)
{
    struct walk walk = {.tell = tell_value, .context = context};
    walk_table(&walk, &schema_root, config);
}

/* ---- a route ---- */

static void walk_endpoint(struct walk *walk, const char *name, const struct cfg_endpoint *endpoint)
{
    char port[TEXT_BYTES];
    const struct cfg_proxy *proxy = &endpoint->proxy;
    size_t count = enter(walk, name);
    tell(walk, "url", endpoint->url, &endpoint->url);
    (void)snprintf(port, sizeof port, "%u", (unsigned)proxy->port);
    tell(walk, "proxy", proxy->host, proxy);
    tell(walk, "proxy_port", proxy->host != NULL ? port : NULL, proxy);
    tell(walk, "proxy_user", proxy->user, proxy);
    tell(walk, "proxy_password", proxy->password, proxy);
    leave(walk, count);
}

static void walk_credentials(struct walk *walk, const struct cfg_credentials *credentials)
{
    const struct schema_key *key = schema_find(&schema_root, "credentials");
    tell(walk, "provider", config_provider_name(credentials->provider), &credentials->provider);
    walk_table(walk, key->members, credentials);
    walk_endpoint(walk, "iot_endpoint", &credentials->iot);
    walk_endpoint(walk, "sts_endpoint", &credentials->sts);
    walk_endpoint(walk, "oauth2_endpoint", &credentials->oauth2);
    tell(walk, "external_id", credentials->external_id, &credentials->external_id);
}

void config_walk_route(const struct config *config, const struct cfg_route *route,
                       config_tell *tell_value, void *context)
{
    struct walk walk = {.tell = tell_value, .context = context};
    walk_key(&walk, schema_find(&schema_root, "device"), config);
    walk_key(&walk, schema_find(&schema_root, "link"), config);
    walk_table(&walk, schema_find(&schema_root, "routes")->members, route);
    walk_endpoint(&walk, "endpoint", &route->endpoint);
    tell(&walk, "stream_arn", route->stream_arn, &route->stream_arn);
    for (const struct cfg_credentials *credentials = route->credentials; credentials != NULL;
         credentials = credentials->source) {
        size_t count = enter(&walk, "credentials");
        walk_credentials(&walk, credentials);
        leave(&walk, count);
    }
}

/* ---- names ---- */

static const char *shown_proxy(const char *proxy, char text[CONFIG_SHOWN_BYTES])
{
    const char *from = strstr(proxy, "://");
    const char *at = strrchr(proxy, '@');
    if (at == NULL)
        return proxy;
    from = from != NULL ? from + 3 : proxy;
    int user = (int)strcspn(from, ":@");
    (void)snprintf(text, CONFIG_SHOWN_BYTES, "%.*s%.*s:***%s", (int)(from - proxy), proxy, user,
                   from, at);
    return text;
}

static const char *shown_url(const char *url, char text[CONFIG_SHOWN_BYTES])
{
    size_t count = strcspn(url, "?");
    if (url[count] == '\0')
        return url;
    (void)snprintf(text, CONFIG_SHOWN_BYTES, "%.*s?***", (int)count, url);
    return text;
}

const char *config_walk_shown(const struct config_value *value, char text[CONFIG_SHOWN_BYTES])
{
    const char *name = strrchr(value->path, '.');
    name = name != NULL ? name + 1 : value->path;
    if (strcmp(name, "proxy_password") == 0)
        return "***";
    if (strcmp(name, "proxy") == 0)
        return shown_proxy(value->text, text);
    return strcmp(name, "url") == 0 || strcmp(name, "token_url") == 0 ? shown_url(value->text, text)
                                                                      : value->text;
}

/* The name is told to all who get a record: who guesses a password must not be able to try it. */
static void add_shown(void *context, const struct config_value *value)
{
    char text[CONFIG_SHOWN_BYTES];
    const char *shown = config_walk_shown(value, text);
    hash_sha256_add(context, value->path, strlen(value->path) + 1);
    hash_sha256_add(context, shown, strlen(shown) + 1);
}

/* With the NULs: so no value can look like two. */
static void add_to_hash(void *context, const struct config_value *value)
{
    hash_sha256_add(context, value->path, strlen(value->path) + 1);
    hash_sha256_add(context, value->text, strlen(value->text) + 1);
}

void config_walk_name(const struct config *config, char ret_id[CONFIG_ID_TEXT_BYTES])
{
    struct hash_sha256 hash;
    uint8_t digest[HASH_SHA256_BYTES];
    hash_sha256_start(&hash);
    config_walk(config, add_shown, &hash);
    for (size_t i = 0; i < config->route_count; i++)
        config_walk_route(config, &config->routes[i], add_shown, &hash);
    hash_sha256_finish(&hash, digest);
    bytes_put_hex(ret_id, digest, (CONFIG_ID_TEXT_BYTES - 1) / 2);
}

static void name_route(const struct config *config, const struct cfg_route *route,
                       uint8_t ret_digest[HASH_SHA256_BYTES])
{
    struct hash_sha256 hash;
    hash_sha256_start(&hash);
    config_walk_route(config, route, add_to_hash, &hash);
    hash_sha256_finish(&hash, ret_digest);
}

static bool has_same(const struct config *old, const struct cfg_route *route,
                     const uint8_t digest[HASH_SHA256_BYTES])
{
    uint8_t other[HASH_SHA256_BYTES];
    for (size_t i = 0; old != NULL && i < old->route_count; i++) {
        if (strcmp(old->routes[i].name, route->name) != 0)
            continue;
        name_route(old, &old->routes[i], other);
        return memcmp(other, digest, sizeof other) == 0;
    }
    return false;
}

/* Where nothing is kept for any, each has to show that it delivers: who takes "hold" from all of
 * them by mistake would pass at once. */
static bool has_to_prove(const struct config *config, const struct cfg_route *route)
{
    for (size_t i = 0; i < config->route_count && !route->hold; i++)
        if (config->routes[i].hold)
            return false;
    return true;
}

unsigned config_walk_changed(const struct config *config, const struct config *old,
                             char ret_names[CFG_ROUTES_MAX][CFG_NAME_BYTES])
{
    uint8_t digest[HASH_SHA256_BYTES];
    unsigned count = 0;
    for (size_t i = 0; i < config->route_count; i++) {
        const struct cfg_route *route = &config->routes[i];
        name_route(config, route, digest);
        if (has_to_prove(config, route) && !has_same(old, route, digest))
            (void)snprintf(ret_names[count++], CFG_NAME_BYTES, "%s", route->name);
    }
    return count;
}

/* ---- secrets ---- */

static const char *secret_of(const struct cfg_route *route)
{
    switch (route->api.auth) {
    case CFG_AUTH_API_KEY:
        return route->api.api_key_file;
    case CFG_AUTH_OAUTH2:
        return route->api.client_secret_file;
    case CFG_AUTH_BEARER:
        return route->api.token_file;
    case CFG_AUTH_HEADER:
        return route->api.header_value_file;
    default:
        return NULL;
    }
}

static bool is_same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* A Host header, too, says which API gets it. */
static bool takes_likewise(const struct cfg_route *route, const struct cfg_route *other)
{
    const struct cfg_api *api = &route->api;
    return is_same(secret_of(route), secret_of(other)) && api->auth == other->api.auth &&
           is_same(route->endpoint.host, other->endpoint.host) &&
           route->endpoint.port == other->endpoint.port && is_same(api->host, other->api.host) &&
           is_same(api->api_id, other->api.api_id) && is_same(api->token_url, other->api.token_url);
}

static bool has_likewise(const struct config *config, const struct cfg_route *route)
{
    for (size_t i = 0; config != NULL && i < config->route_count; i++)
        if (takes_likewise(route, &config->routes[i]))
            return true;
    return false;
}

const char *config_walk_astray(const struct config *config, const struct config *trusted)
{
    for (size_t i = 0; i < config->route_count; i++)
        if (secret_of(&config->routes[i]) != NULL && !has_likewise(trusted, &config->routes[i]))
            return config->routes[i].name;
    return NULL;
}
