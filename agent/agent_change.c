/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

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

/* What changed is in neither text: what a ${file:} brings, or the password of a proxy. */
static bool is_hidden(const struct config_change *change)
{
    return change->from != NULL && change->to != NULL && strcmp(change->from, change->to) == 0;
}

static void print_change(const struct config_change *change, FILE *to)
{
    const char *restart =
        change->needs_restart ? "; needs a restart: systemctl restart runnel" : "";
    if (change->is_whole)
        (void)fprintf(to, "%s: %s\n", change->key, change->from == NULL ? "added" : "removed");
    else if (is_hidden(change))
        (void)fprintf(to, "%s: its secret changed%s\n", change->key, restart);
    else
        (void)fprintf(to, "%s: %s -> %s%s\n", change->key, or_unset(change->from),
                      or_unset(change->to), restart);
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
    else if (is_hidden(change))
        log_info("config-changed key=%s secret=changed", change->key);
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
