/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/control/config_route.h"

enum { KEY_BYTES_MAX = 512 };

static void fault(const struct config_route *subject, const char *what)
{
    config_route_fault(subject, "source", what);
}

/* Keys that every tool reads back as they are written; their dots lead nowhere else. */
static bool is_key(const char *text)
{
    static const char safe[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789=_.-/:@";
    size_t count = strlen(text);
    return count > 0 && count <= KEY_BYTES_MAX && text[strspn(text, safe)] == '\0' &&
           text[0] != '/' && text[count - 1] != '/' && strstr(text, "//") == NULL &&
           strstr(text, "./") == NULL;
}

static bool take_apart(const struct config_route *subject, struct cfg_source *source)
{
    static const char scheme[] = "s3://";
    const char *bucket = source->url + strlen(scheme);
    char name[64];
    bool is_s3 = strncmp(source->url, scheme, strlen(scheme)) == 0;
    size_t count = is_s3 ? strcspn(bucket, "/") : 0;
    if (!is_s3 || bucket[count] != '/' || count >= sizeof name || !is_key(bucket + count + 1)) {
        fault(subject, "is no object of S3; write it like s3://BUCKET/${thing}.json: letters, "
                       "digits, \"=\", \"_\", \".\", \"-\", \":\", \"@\" and \"/\"");
        return false;
    }
    memcpy(name, bucket, count);
    name[count] = '\0';
    if (!config_route_is_bucket(name)) {
        fault(subject, "names no bucket; it has 3 to 63 small letters, digits, \".\" and \"-\"");
        return false;
    }
    source->bucket = config_route_keep(subject, name);
    source->key = config_route_keep(subject, bucket + count + 1);
    return true;
}

/* Where the value at FROM was found is where the one at TO is from. */
static void keep_place(const struct config_route *subject, const void *from, const void *to)
{
    const struct config_place *place = config_place(subject->reader->config, from);
    if (place != NULL)
        config_place_note(subject->reader, place->where, to);
}

static void use_bundle(const struct config_route *subject, struct cfg_source *source)
{
    const char *bundle = config_route_variable(subject, "AWS_CA_BUNDLE");
    if (source->ca_file != NULL || bundle == NULL)
        return;
    source->ca_file = config_route_keep(subject, bundle);
    config_place_note(subject->reader, "AWS_CA_BUNDLE", &source->ca_file);
}

/* It is reached as the bucket of a route is. */
static void reach(const struct config_route *subject, struct cfg_source *source)
{
    struct cfg_route *route = subject->route;
    *route = (struct cfg_route){.bucket = source->bucket,
                                .region = source->region,
                                .endpoint = source->endpoint,
                                .credentials_name = source->credentials_name};
    config_routes_credentials(subject);
    config_route_region(subject, "");
    config_route_bucket_reach(subject);
    config_routes_sts(subject);
    source->credentials = route->credentials;
    source->region = route->region;
    source->endpoint = route->endpoint;
    source->path_style = route->path_style;
    source->endpoint_built = route->endpoint_built;
    keep_place(subject, &route->region, &source->region);
    keep_place(subject, &route->endpoint.url, &source->endpoint.url);
    use_bundle(subject, source);
    if (source->endpoint.host != NULL)
        config_proxy_resolve(subject->reader, subject->node, source->proxy_url, &source->endpoint);
}

/* What is said of a source that is not there was meant to do something. */
static void check_idle(const struct config_route *subject)
{
    const struct json_node *node = subject->node == NULL ? NULL : subject->node->first;
    for (; node != NULL; node = node->next)
        if (node->kind != JSON_KIND_NULL && strcmp(node->key, "source") != 0 &&
            schema_find(schema_find(&schema_root, "config")->members, node->key) != NULL)
            config_fault_key(subject->reader->faults, node,
                             "says something of a source that is not there; add \"source\"");
}

void config_source_resolve(struct config_reader *reader)
{
    struct cfg_route route;
    struct cfg_source *source = &reader->config->source;
    const struct config_route subject = {reader, config_read_member(reader->root, "config"),
                                         &route};
    if (source->url == NULL)
        check_idle(&subject);
    else if (take_apart(&subject, source))
        reach(&subject, source);
}
