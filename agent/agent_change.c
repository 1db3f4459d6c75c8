/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "agent/agent_state.h"
#include "agent/control/config_diff.h"
#include "platform/base/log.h"

enum { LOGGED_MAX = 20 };

struct telling {
    FILE *to;
    unsigned count;
    unsigned restarts;
};

static const char *or_unset(const char *text)
{
    return text != NULL ? text : "not set";
}

static void print_change(const struct config_change *change, FILE *to)
{
    if (change->is_whole)
        (void)fprintf(to, "%s: %s\n", change->key, change->from == NULL ? "added" : "removed");
    else
        (void)fprintf(to, "%s: %s -> %s%s\n", change->key, or_unset(change->from),
                      or_unset(change->to),
                      change->needs_restart ? "; needs a restart: systemctl restart runnel" : "");
}

static void log_change(const struct config_change *change)
{
    char from[LOG_VALUE_BYTES];
    char to[LOG_VALUE_BYTES];
    const bool whole = change->is_whole;
    (void)log_value(from, whole && change->from != NULL ? "there" : or_unset(change->from));
    (void)log_value(to, whole && change->to != NULL ? "there" : or_unset(change->to));
    if (change->needs_restart)
        log_warning("config-needs-restart key=%s running=\"%s\" file=\"%s\" "
                    "remedy=\"systemctl restart runnel\"",
                    change->key, from, to);
    else
        log_info("config-changed key=%s from=\"%s\" to=\"%s\"", change->key, from, to);
}

static void tell(void *context, const struct config_change *change)
{
    struct telling *telling = context;
    print_change(change, telling->to);
    if (telling->count < LOGGED_MAX || change->needs_restart)
        log_change(change);
    telling->count++;
    telling->restarts += change->needs_restart;
}

int agent_change_tell(const struct config *from, const struct config *to, FILE *out)
{
    struct telling telling = {.to = out};
    int rc = config_diff(from, to, tell, &telling);
    if (rc < 0)
        return rc;
    unsigned applied = telling.count - telling.restarts;
    log_info("config-reloaded changed=%u needs-restart=%u", applied, telling.restarts);
    (void)fprintf(out, "%u changed%s; sensors and routes begin anew, nothing is lost\n", applied,
                  telling.restarts > 0 ? ", the rest waits for a restart" : "");
    return 0;
}
