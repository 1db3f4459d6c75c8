/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/control/config_route.h"

enum { EVERY_MS = 5 * 60 * 1000 };

static void check_path(const struct config_route *subject, const char *key, const char *path)
{
    if (path != NULL && path[0] != '/')
        config_route_fault(subject, key, "is no whole path; begin it with \"/\"");
}

/* The bytes of PATH without what is only a "/" at its end. */
static size_t path_bytes(const char *path)
{
    size_t count = strlen(path);
    while (count > 0 && path[count - 1] == '/')
        count--;
    return count;
}

static bool is_same(const char *path, const char *other)
{
    size_t count = path_bytes(path);
    return path_bytes(other) == count && strncmp(path, other, count) == 0;
}

/* "/media" holds "/media/usb", but "/med" does not. */
static bool is_in(const char *path, const char *mount)
{
    size_t count = path_bytes(mount);
    return strncmp(path, mount, count) == 0 && (path[count] == '/' || path[count] == '\0');
}

/* Two would take the room for the other's objects. */
static void check_alone(const struct config_route *subject)
{
    const struct config *config = subject->reader->config;
    const struct cfg_route *route = subject->route;
    for (const struct cfg_route *other = config->routes; other < route; other++)
        if (other->path != NULL && route->path != NULL && is_same(other->path, route->path))
            config_route_fault(subject, "path",
                               "is the archive of another route already; choose another");
}

static void check_mount(const struct config_route *subject)
{
    const struct cfg_route *route = subject->route;
    if (route->mount == NULL || route->path == NULL)
        return;
    if (!is_in(route->path, route->mount))
        config_route_fault(subject, "mount", "does not hold \"path\"; write where that is mounted");
}

/* One that does not fit keeps the route waiting until somebody comes. */
static void check_size(const struct config_route *subject)
{
    const struct cfg_route *route = subject->route;
    if (route->size_bytes < route->batch_bytes)
        config_route_fault(subject, "size",
                           "may be less than one object; raise it, or lower batch.bytes");
}

/* What no route waits for is gone when the others have it, so it is taken before they do. */
static void resolve_every(const struct config_route *subject)
{
    struct cfg_route *route = subject->route;
    if (route->every_ms == 0 && route->hold)
        route->every_ms = EVERY_MS;
}

/* Whether a route that records are kept for carries LANE, so that they are gone once it has them.
 */
static bool is_held(const struct config *config, enum cfg_lane lane)
{
    for (size_t i = 0; i < config->route_count; i++)
        if (config->routes[i].hold && config->routes[i].lanes[lane])
            return true;
    return false;
}

static void warn_of_missing(const struct config_route *subject)
{
    const struct config *config = subject->reader->config;
    const struct cfg_route *route = subject->route;
    for (enum cfg_lane lane = CFG_LANE_ALARM; lane < CFG_LANES; lane++) {
        if (route->hold || !route->lanes[lane] || !is_held(config, lane) ||
            route->every_ms <= config->spool.lanes[lane].age_ms)
            continue;
        config_fault_warn(
            subject->reader->faults, subject->node, "every",
            "is longer than the age of the lane %s, so what other routes have by then "
            "is missing; shorten it, or write \"hold\": true",
            config_lane_name(lane));
        return;
    }
}

void config_route_archive(const struct config_route *subject)
{
    check_path(subject, "path", subject->route->path);
    check_path(subject, "mount", subject->route->mount);
    check_alone(subject);
    check_mount(subject);
    check_size(subject);
    resolve_every(subject);
    warn_of_missing(subject);
}
