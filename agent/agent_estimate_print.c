/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "agent/agent_estimate.h"

enum {
    MONTH_HOURS = ESTIMATE_DAYS * 24,
    RESERVED = 65536,  /* sequence numbers by one commit, if there is no other */
    KEYS_BYTES = 8000, /* a handshake with certificates both ways, and a reply with keys */
};

static const double month_ms = ESTIMATE_DAYS * 24.0 * 3600 * 1000;

static uint64_t scale(uint64_t amount, int64_t span_ms)
{
    return span_ms > 0 ? (uint64_t)((double)amount * month_ms / (double)span_ms + 0.5) : 0;
}

/* ---- lines ---- */

static void print_source(const struct estimate_source *source, FILE *to)
{
    static const char *const values[] = {"read", "drifting", "assumed"};
    double records = source->records > 0 ? month_ms / (double)source->every_ms : 0;
    (void)fprintf(to, "sensor   %s records=%.0f values=%s\n", source->config->name, records,
                  values[source->values]);
}

static void print_billed(const struct cfg_route *config, const struct uplink_cost *cost,
                         int64_t span_ms, FILE *to)
{
    switch (config->destination) {
    case CFG_DESTINATION_KINESIS:
        (void)fprintf(to, " put_payload_units=%" PRIu64 " on_demand_bytes=%" PRIu64,
                      scale(cost->chunks_25k, span_ms), scale(cost->rounded_1k_bytes, span_ms));
        break;
    case CFG_DESTINATION_FIREHOSE:
        (void)fprintf(to, " firehose_bytes=%" PRIu64, scale(cost->rounded_5k_bytes, span_ms));
        break;
    case CFG_DESTINATION_APIGATEWAY:
        (void)fprintf(to, " rest_api_calls=%" PRIu64 " http_api_requests=%" PRIu64,
                      scale(cost->requests, span_ms), scale(cost->bodies_512k, span_ms));
        break;
    case CFG_DESTINATION_S3:
        (void)fprintf(to, " put_requests=%" PRIu64 " stored_bytes=%" PRIu64,
                      scale(cost->requests, span_ms), scale(cost->body_bytes, span_ms));
        break;
    case CFG_DESTINATION_ARCHIVE:
        (void)fprintf(to, " stored_bytes=%" PRIu64, scale(cost->body_bytes, span_ms));
        break;
    }
}

/* Returns its bytes over the link. */
static uint64_t print_route(const struct estimate *estimate, size_t index, FILE *to)
{
    const struct cfg_route *config = &estimate->config->routes[index];
    const struct uplink_cost *cost = uplink_rehearse_cost(estimate->routes[index]);
    int64_t span_ms = cost->last_ms - estimate->start_ms;
    uint64_t link_bytes = scale(cost->bytes_out + cost->bytes_in, span_ms);
    (void)fprintf(to,
                  "route    %s requests=%" PRIu64 " records=%" PRIu64 " handshakes=%" PRIu64
                  " bytes_out=%" PRIu64 " bytes_in=%" PRIu64 " link_bytes=%" PRIu64,
                  config->name, scale(cost->requests, span_ms), scale(cost->records, span_ms),
                  scale(cost->handshakes, span_ms), scale(cost->bytes_out, span_ms),
                  scale(cost->bytes_in, span_ms), link_bytes);
    print_billed(config, cost, span_ms, to);
    (void)fprintf(to, "\n");
    return link_bytes;
}

static bool come_from_afar(const struct cfg_credentials *config)
{
    switch (config->provider) {
    case CFG_PROVIDER_IOT:
    case CFG_PROVIDER_WEB_IDENTITY:
    case CFG_PROVIDER_OAUTH2:
    case CFG_PROVIDER_ASSUME_ROLE:
        return true;
    default:
        return false;
    }
}

/* Keys for an hour; a role's, and those that it is assumed with. */
static uint64_t print_keys(const struct cfg_credentials *config, FILE *to)
{
    uint64_t bytes = 0;
    for (; config != NULL; config = config->source) {
        if (!come_from_afar(config))
            continue;
        (void)fprintf(to, "keys     %s requests=%d link_bytes=%d\n", config->name, MONTH_HOURS,
                      MONTH_HOURS * KEYS_BYTES);
        bytes += MONTH_HOURS * KEYS_BYTES;
    }
    return bytes;
}

static bool is_first_use(const struct estimate *estimate, size_t index)
{
    const struct cfg_route *routes = estimate->config->routes;
    for (size_t i = 0; i < index; i++)
        if (routes[i].credentials == routes[index].credentials)
            return false;
    return routes[index].credentials != NULL;
}

static void print_link(const struct cfg_link *link, uint64_t bytes, FILE *to)
{
    (void)fprintf(to, "link     link_bytes=%" PRIu64, bytes);
    if (link->month_bytes > 0)
        (void)fprintf(to, " month_bytes=%" PRIu64 " share=%.0f%%", link->month_bytes,
                      (double)bytes * 100 / (double)link->month_bytes);
    (void)fprintf(to, "\n");
}

static void print_flash(const struct estimate *estimate, int64_t span_ms, FILE *to)
{
    uint64_t commits = scale(estimate->commits, span_ms);
    uint64_t bytes = scale(estimate->flash_bytes, span_ms);
    if (commits == 0) {
        commits = scale(estimate->records, span_ms) / RESERVED;
        bytes = commits * ESTIMATE_COMMIT_PAGES * ESTIMATE_PAGE_BYTES;
    }
    (void)fprintf(to, "flash    commits=%" PRIu64 " flash_bytes=%" PRIu64 "\n", commits, bytes);
}

/* ---- what nobody can know ---- */

static void print_assumed(const struct estimate *estimate, FILE *to)
{
    for (size_t i = 0; i < estimate->config->sensor_count; i++) {
        const struct estimate_source *source = &estimate->sources[i];
        if (source->values == ESTIMATE_ASSUMED && source->config->driver->wait_fd != NULL)
            (void)fprintf(to, "assumed  %s: a document of some 180 bytes every 10 s\n",
                          source->config->name);
        else if (source->values == ESTIMATE_ASSUMED)
            (void)fprintf(to, "assumed  %s: one value, for it cannot be read here: %s\n",
                          source->config->name, source->fault);
        else if (source->records == 0)
            (void)fprintf(to, "assumed  %s: nothing; it speaks too seldom beside the others\n",
                          source->config->name);
        if (source->config->transform_count > 0)
            (void)fprintf(to,
                          "assumed  %s: each sample as it is read; what its transforms make of "
                          "them, mostly less, is not in it\n",
                          source->config->name);
    }
    for (size_t i = 0; i < estimate->config->route_count; i++)
        if (uplink_rehearse_cost(estimate->routes[i])->requests == 0)
            (void)fprintf(to, "assumed  %s: no request; its records are too few beside others\n",
                          estimate->config->routes[i].name);
    if (estimate->crowded)
        (void)fprintf(to, "assumed  RAM is full before batches are; in truth flash is written "
                          "then, and they are larger\n");
    (void)fprintf(to, "assumed  each request succeeds at once; headers of TCP and IP, and what "
                      "`runnel send` hands over, are not in it\n");
}

void agent_estimate_print(const struct estimate *estimate, FILE *to)
{
    const struct config *config = estimate->config;
    int64_t span_ms = estimate->now_ms - estimate->start_ms;
    uint64_t link_bytes = 0;
    (void)fprintf(to, "estimate days=%d rehearsed_s=%.0f rehearsed_records=%" PRIu64 "\n",
                  ESTIMATE_DAYS, (double)span_ms / 1000, estimate->records);
    for (size_t i = 0; i < config->sensor_count; i++)
        print_source(&estimate->sources[i], to);
    for (size_t i = 0; i < config->route_count; i++)
        link_bytes += print_route(estimate, i, to);
    for (size_t i = 0; i < config->route_count; i++)
        if (is_first_use(estimate, i))
            link_bytes += print_keys(config->routes[i].credentials, to);
    print_link(&config->link, link_bytes, to);
    print_flash(estimate, span_ms, to);
    print_assumed(estimate, to);
}
