/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent_state.h"
#include "agent/control/control.h"
#include "platform/base/error.h"
#include "platform/base/log.h"
#include "platform/fs.h"

/* Who owns the state directory, or will: what is not there yet is made by the owner of the folder
 * above. The configuration may be wrong, for where another was applied that one runs. */
static int find_owner(const struct agent *agent, struct rights *ret_owned)
{
    char state[FS_PATH_BYTES];
    char existing[FS_PATH_BYTES];
    int rc = config_find_state(agent->trial.options, state);
    if (rc == E_OK)
        rc = fs_find_existing(state, existing);
    return rc < 0 ? rc : rights_find(existing, ret_owned);
}

static const char *describe_filter(const struct confinement *confinement)
{
    return confinement->filter == E_OK ? "on" : "off";
}

static void describe_capabilities(const struct confinement *confinement,
                                  char text[STATUS_CAPABILITIES_BYTES])
{
    if (confinement->capabilities == 0)
        (void)snprintf(text, STATUS_CAPABILITIES_BYTES, "none");
    else
        (void)snprintf(text, STATUS_CAPABILITIES_BYTES, "%#" PRIx64, confinement->capabilities);
}

/* IS_KNOWN: who owns the state directory, whom root became unless that is root. */
static void tell(const struct confinement *confinement, bool is_known)
{
    if (is_known && !confinement->is_root)
        log_info("runs-as user=%s", confinement->user);
    if (confinement->is_root)
        log_warning("runs-as-root remedy=\"give the state directory to a user of its own, with "
                    "chown -R: started by root, the agent becomes its owner\"");
    if (confinement->filter < 0 && confinement->filter != E_UNSUPPORTED)
        log_warning("seccomp-failed error=\"%s\"", ERROR_TEXT(confinement->filter));
}

int agent_confine(struct agent *agent)
{
    struct rights owned;
    bool is_known = geteuid() == 0 && find_owner(agent, &owned) == E_OK;
    if (is_known)
        (void)control_make_directory(&owned); /* what is missing then is said by control_open */
    int rc = confine(is_known ? &owned : NULL, &agent->confinement);
    if (rc == E_OK)
        tell(&agent->confinement, is_known);
    return rc;
}

void agent_confine_fill_status(const struct agent *agent, struct status_confined *ret_confined)
{
    *ret_confined = (struct status_confined){.user = agent->confinement.user,
                                             .seccomp = describe_filter(&agent->confinement)};
    describe_capabilities(&agent->confinement, ret_confined->capabilities);
}
