/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "agent/control/config.h"
#include "agent/control/human.h"
#include "agent/control/schema.h"

enum { TEXT_BYTES = 32 };

static const char *size(uint64_t bytes, char text[TEXT_BYTES])
{
    if (bytes % 1024 != 0)
        (void)snprintf(text, TEXT_BYTES, "%" PRIu64, bytes);
    else if (bytes % 1048576 != 0)
        (void)snprintf(text, TEXT_BYTES, "%" PRIu64 "KiB", bytes / 1024);
    else if (bytes % 1073741824 != 0 || bytes == 0)
        (void)snprintf(text, TEXT_BYTES, "%" PRIu64 "MiB", bytes / 1048576);
    else
        (void)snprintf(text, TEXT_BYTES, "%" PRIu64 "GiB", bytes / 1073741824);
    return text;
}

static void print_lane(const struct config *config, enum cfg_lane lane, FILE *to)
{
    static const char *const full[] = {"drop-oldest", "drop-newest", "refuse"};
    const struct cfg_lane_setup *setup = &config->spool.lanes[lane];
    (void)fprintf(to, "lane     %s: window %s, age %s, share %u%%, %s when full\n",
                  config_lane_name(lane), HUMAN_DURATION_TEXT(setup->window_ms),
                  HUMAN_DURATION_TEXT(setup->age_ms), setup->share_percent, full[setup->full]);
}

static void print_fetched(const struct cfg_source *source, FILE *to)
{
    if (source->url != NULL)
        (void)fprintf(to, "config   fetched from %s every %s; credentials %s\n", source->url,
                      HUMAN_DURATION_TEXT(source->interval_ms), source->credentials_name);
}

static void print_link(const struct cfg_link *link, FILE *to)
{
    char rate[TEXT_BYTES];
    char month[TEXT_BYTES];
    if (link->rate_bytes == 0 && link->month_bytes == 0)
        return;
    (void)fprintf(to, "link     ");
    if (link->rate_bytes != 0)
        (void)fprintf(to, "%s/s%s", size(link->rate_bytes, rate),
                      link->month_bytes != 0 ? "; " : "");
    if (link->month_bytes != 0)
        (void)fprintf(to, "%s a month from day %u on, %u%% of it for alarms",
                      size(link->month_bytes, month), link->reset_day, link->alarm_reserve_percent);
    (void)fprintf(to, "\n");
}

static void print_transforms(const struct cfg_sensor *sensor, FILE *to)
{
#ifdef CONFIG_TRANSFORMS
    for (size_t i = 0; i < sensor->transform_count; i++)
        (void)fprintf(to, "%s%s%s", i == 0 ? "         through " : ", ",
                      schema_transform[sensor->transforms[i].kind].name,
                      i + 1 == sensor->transform_count ? "\n" : "");
#else
    (void)sensor;
    (void)to;
#endif
}

#ifdef CONFIG_COAP
static void print_coap(const struct cfg_coap *coap, FILE *to)
{
    for (size_t i = 0; i < coap->listen_count; i++)
        (void)fprintf(to, "%s%s%s", i == 0 ? "coap     listens at " : ", ", coap->listen[i],
                      i + 1 == coap->listen_count ? "\n" : "");
    if (coap->listen_count > 0 && coap->sensor_count == 0)
        (void)fprintf(to, "         any sensor that a peer names\n");
    for (size_t i = 0; i < coap->sensor_count; i++) {
        const struct cfg_sensor *sensor = &coap->sensors[i].sensor;
        (void)fprintf(to, "sensor   %s: by CoAP, lane %s\n", sensor->name,
                      config_lane_name(sensor->lane));
        print_transforms(sensor, to);
    }
}
#endif

static void print_sensor(const struct cfg_sensor *sensor, FILE *to)
{
    bool at_interval = config_sensor_at_interval(sensor);
    (void)fprintf(to, "sensor   %s: %s %s%s, lane %s\n", sensor->name, sensor->driver_name,
                  at_interval ? "every " : "when it speaks",
                  at_interval ? HUMAN_DURATION_TEXT(sensor->interval_ms) : "",
                  config_lane_name(sensor->lane));
    print_transforms(sensor, to);
}

static void print_s3(const struct cfg_route *route, FILE *to)
{
    const char *sse = config_sse_name(route->sse);
    (void)fprintf(to, "bucket %s in %s at %s\n         keys %sdt=.../hour=.../DEVICE/...%s%s",
                  route->bucket, route->region, route->endpoint.url,
                  route->prefix != NULL ? route->prefix : "", sse != NULL ? "; encrypted by " : "",
                  sse != NULL ? sse : "");
    if (route->kms_key_id != NULL)
        (void)fprintf(to, " with %s", route->kms_key_id);
    if (route->expected_bucket_owner != NULL)
        (void)fprintf(to, "; of the account %s", route->expected_bucket_owner);
    if (route->storage_class != NULL)
        (void)fprintf(to, "; %s", route->storage_class);
    (void)fprintf(to, "\n");
}

static void print_archive(const struct cfg_route *route, FILE *to)
{
    char bytes[TEXT_BYTES];
    (void)fprintf(to, "%s, at most %s, then without its oldest objects", route->path,
                  size(route->size_bytes, bytes));
    if (route->mount != NULL)
        (void)fprintf(to, "; something must be mounted at %s", route->mount);
    (void)fprintf(to, "\n");
}

static void print_objects(const struct cfg_route *route, FILE *to)
{
    char bytes[TEXT_BYTES];
    (void)fprintf(to, "; at most %s an object%s; one every %s", size(route->batch_bytes, bytes),
                  route->compress == CFG_COMPRESS_GZIP ? " before gzip" : "",
                  route->every_ms > 0 ? HUMAN_DURATION_TEXT(route->every_ms)
                                      : "half of its lane's age");
}

static void print_api(const struct cfg_route *route, FILE *to)
{
    (void)fprintf(to, "%s to %s, %s\n", config_body_name(route->api.body), route->endpoint.url,
                  route->api.success == CFG_SUCCESS_STATUS ? "delivered by the status"
                                                           : "a result for each record");
}

static void print_destination(const struct cfg_route *route, FILE *to)
{
    (void)fprintf(to, "route    %s: %s, ", route->name,
                  config_destination_name(route->destination));
    if (route->destination == CFG_DESTINATION_APIGATEWAY)
        print_api(route, to);
    else if (route->destination == CFG_DESTINATION_S3)
        print_s3(route, to);
    else if (route->destination == CFG_DESTINATION_ARCHIVE)
        print_archive(route, to);
    else
        (void)fprintf(to, "stream %s in %s at %s\n", route->stream, route->region,
                      route->endpoint.url);
}

static void print_source(const struct cfg_credentials *source, FILE *to)
{
    (void)fprintf(to, "; credentials %s (%s)", source->name,
                  config_provider_name(source->provider));
}

static void print_credentials(const struct cfg_route *route, FILE *to)
{
    const struct cfg_credentials *credentials = route->credentials;
    if (route->destination == CFG_DESTINATION_APIGATEWAY && route->api.auth != CFG_AUTH_IAM)
        (void)fprintf(to, "; auth %s", config_auth_name(route->api.auth));
    else if (credentials != NULL)
        print_source(credentials->source != NULL ? credentials->source : credentials, to);
    (void)fprintf(to, "%s\n", route->hold ? "" : "; nothing is kept for it");
    if (credentials != NULL && credentials->source != NULL)
        (void)fprintf(to, "         as %s, by %s\n", credentials->role_arn, credentials->sts.url);
}

static void print_choice(const char *key, const char *value, bool *is_first, FILE *to)
{
    (void)fprintf(to, "%s%s %s", *is_first ? "         " : ", ", key, value);
    *is_first = false;
}

/* What a record becomes, as far as it was chosen. */
static void print_shape(const struct cfg_route *route, FILE *to)
{
    static const char *const formats[] = {"json", "raw", "senml"};
    static const char *const packs[] = {"none", "kpl", "lines"};
    static const char *const partitions[] = {"even", "device", "sensor", "random"};
    bool is_first = true;
    if (route->format != CFG_FORMAT_JSON)
        print_choice("format", formats[route->format], &is_first, to);
    if (route->layout == CFG_LAYOUT_FLAT)
        print_choice("layout", "flat", &is_first, to);
    if (route->pack != CFG_PACK_NONE)
        print_choice("pack", packs[route->pack], &is_first, to);
    if (route->compress == CFG_COMPRESS_GZIP && !config_makes_objects(route))
        print_choice("compress", "gzip", &is_first, to);
    if (route->partition == CFG_PARTITION_FIELD)
        print_choice("partition by the field", route->partition_key, &is_first, to);
    else if (route->partition == CFG_PARTITION_FIXED)
        print_choice("partition", "fixed", &is_first, to);
    else if (route->partition != CFG_PARTITION_EVEN)
        print_choice("partition", partitions[route->partition], &is_first, to);
    if (!is_first)
        (void)fprintf(to, "\n");
}

static void print_route(const struct cfg_route *route, FILE *to)
{
    char bytes[TEXT_BYTES];
    print_destination(route, to);
    (void)fprintf(to, "         lanes");
    for (int i = 0; i < CFG_LANES; i++)
        if (route->lanes[i])
            (void)fprintf(to, " %s", config_lane_name((enum cfg_lane)i));
    if (config_makes_objects(route))
        print_objects(route, to);
    else if (route->order == CFG_ORDER_STRICT)
        (void)fprintf(to, "; strict, a record a request");
    else
        (void)fprintf(to, "; at most %u records, %s a request", route->batch_records,
                      size(route->batch_bytes, bytes));
    print_credentials(route, to);
    print_shape(route, to);
    if (route->endpoint.proxy.host != NULL)
        (void)fprintf(to, "         by the proxy %s, port %u%s\n", route->endpoint.proxy.host,
                      (unsigned)route->endpoint.proxy.port,
                      route->endpoint.proxy.user != NULL ? ", with user name and password" : "");
    if (route->order == CFG_ORDER_FRESH_FIRST)
        (void)fprintf(to, "         fresh records first, %u%% of a request for a backlog\n",
                      route->backlog_share);
}

void config_print_applied(const struct config *config, FILE *to)
{
    const char *main_file = config->main_file[0] != '\0' ? config->main_file : "the defaults";
    if (config->state == CFG_STATE_MAIN)
        return;
    (void)fprintf(to, "applied  %s, in the place of %s\n",
                  config->state == CFG_STATE_TRIAL ? "on trial" : "and confirmed", main_file);
    if (config->main_changed)
        (void)fprintf(
            to,
            "         %s was changed since, which has no effect; to go back to it: runnel "
            "config apply --none\n",
            main_file);
}

static void print_origin(const struct config *config, const char *what, const void *address,
                         const char *symbol, FILE *to)
{
    const struct config_place *place = config_place(config, address);
    if (place != NULL || symbol != NULL)
        (void)fprintf(to, ", %s by %s", what, place != NULL ? place->where : symbol);
}

/* Without a file somebody else chose: whoever built the program, or the service's environment. */
static void print_built_in(const struct config *config, FILE *to)
{
    const struct cfg_route *route = config->routes;
    (void)fprintf(to, "file     none; device by CONFIG_DEVICE");
    print_origin(config, "spool", &config->spool.path, "CONFIG_SPOOL_PATH", to);
    print_origin(config, "sensors", NULL, "CONFIG_SENSORS", to);
    print_origin(config, "stream", &route->stream, "CONFIG_STREAM", to);
    print_origin(config, "region", &route->region, NULL, to);
    print_origin(config, "endpoint", &route->endpoint.url, NULL, to);
    (void)fprintf(to, "\n");
}

void config_print(const struct config *config, FILE *to)
{
    char bytes[TEXT_BYTES];
    config_print_applied(config, to);
    if (config->file_count == 0)
        print_built_in(config, to);
    for (size_t i = 0; i < config->file_count; i++)
        (void)fprintf(to, "file     %s\n", config->files[i]);
    (void)fprintf(to, "device   %s\n", config->device);
    (void)fprintf(to, "spool    %s, %s\n", config->spool.path,
                  size(config->spool.size_bytes, bytes));
    for (int i = 0; i < CFG_LANES; i++)
        print_lane(config, (enum cfg_lane)i, to);
    print_link(&config->link, to);
    print_fetched(&config->source, to);
    for (size_t i = 0; i < config->sensor_count; i++)
        print_sensor(&config->sensors[i], to);
#ifdef CONFIG_COAP
    print_coap(&config->coap, to);
#endif
    for (size_t i = 0; i < config->route_count; i++)
        print_route(&config->routes[i], to);
}
