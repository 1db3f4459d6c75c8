/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "agent/agent_doctor.h"
#include "agent/intake/peers.h"
#include "platform/base/error.h"

static bool is_any_secure(const struct cfg_coap *config)
{
    for (size_t i = 0; i < config->listen_count; i++)
        if (config->listens[i].secure)
            return true;
    return false;
}

static void say_identities(struct doctor_run *run, const char *file, uint64_t count)
{
    if (count == 0)
        agent_doctor_say(run, "keys", DOCTOR_WARN,
                         "add one: { \"identity\": \"pump-4\", \"key\": \"hex:...\" }",
                         "%s has no identity, so no peer gets in", file);
    else
        agent_doctor_say(run, "keys", DOCTOR_OK, NULL, "%s has %" PRIu64 " identities", file,
                         count);
}

/* The agent that runs knows which keys are in use; else the file is read as it would be. */
static void look_at_keys(struct doctor_run *run, const struct cfg_coap *config)
{
    char fault[PEERS_FAULT_BYTES] = "";
    struct peers *peers = NULL;
    if (!is_any_secure(config))
        return;
    if (run->status != NULL && status_read_text(run->status, NULL, "coap") != NULL &&
        status_read_text(run->status, NULL, "coap/error") == NULL) {
        say_identities(run, config->psk_file, status_read_number(run->status, "coap/identities"));
        return;
    }
    if (agent_doctor_is_barred(run, "keys", config->psk_file))
        return;
    int rc = peers_open(config->psk_file, fault, &peers);
    if (rc == E_OK)
        say_identities(run, config->psk_file, peers_count(peers));
    else if (fault[0] != '\0')
        agent_doctor_say_fault(run, "keys", DOCTOR_FAIL, fault, "see psk_file in runnel.json(5)");
    else
        agent_doctor_say(run, "keys", DOCTOR_FAIL, "see psk_file in runnel.json(5)", "%s: %s",
                         config->psk_file, ERROR_TEXT(rc));
    peers_close(peers);
}

static bool is_open(const struct status_read *status, const char *listen)
{
    const char *open;
    for (size_t i = 0; (open = status_read_element(status, i, "coap/listen")) != NULL; i++)
        if (strcmp(open, listen) == 0)
            return true;
    return false;
}

static void look_at_listeners(struct doctor_run *run, const struct cfg_coap *config)
{
    const char *error =
        run->status != NULL ? status_read_text(run->status, NULL, "coap/error") : NULL;
    for (size_t i = 0; i < config->listen_count; i++) {
        const char *listen = config->listen[i];
        if (run->status == NULL)
            agent_doctor_say(run, "listen", DOCTOR_UNTRIED, NULL,
                             "not tried: %s is for the agent to open", listen);
        else if (is_open(run->status, listen))
            agent_doctor_say(run, "listen", DOCTOR_OK, NULL, "%s is open", listen);
        else if (error != NULL)
            agent_doctor_say(run, "listen", DOCTOR_FAIL,
                             "make the address, or the keys, what they should be",
                             "the agent cannot listen at %s, and tries again: %s", listen, error);
        else
            agent_doctor_say(run, "listen", DOCTOR_FAIL, "runnel config reload",
                             "the agent does not listen at %s: its configuration is an older one",
                             listen);
    }
}

static void look_at_peers(struct doctor_run *run)
{
    const struct status_read *status = run->status;
    uint64_t failed = status_read_number(status, "coap/handshakes_failed");
    uint64_t throttled = status_read_number(status, "coap/throttled");
    uint64_t bad = status_read_number(status, "coap/answers/4.00");
    if (failed > 0)
        agent_doctor_say(run, "peers", DOCTOR_WARN,
                         "compare identity and key of the peer with \"psk_file\"",
                         "%" PRIu64 " handshakes of DTLS failed", failed);
    if (throttled > 0)
        agent_doctor_say(run, "peers", DOCTOR_WARN,
                         "have peers send less often, or raise \"rate\" or \"byte_rate\"",
                         "%" PRIu64 " messages were too many and are to come again", throttled);
    if (bad > 0)
        agent_doctor_say(run, "peers", DOCTOR_WARN,
                         "the answer's diagnostic says to the peer what is wrong",
                         "%" PRIu64 " messages were bad", bad);
    agent_doctor_say(
        run, "peers", DOCTOR_OK, NULL, "known now: %" PRIu64 "; accepted so far: %" PRIu64,
        status_read_number(status, "coap/sessions"), status_read_number(status, "coap/accepted"));
}

/* What somebody with a peer in his hand has to type into it. */
static void say_what_is_needed(struct doctor_run *run, const struct cfg_coap *config)
{
    const struct cfg_listen *listen = &config->listens[0];
    const char *sensor =
        config->sensor_count > 0 ? config->sensors[0].sensor.name : "any name of a sensor";
    for (size_t i = 0; i < config->listen_count && !listen->secure; i++)
        if (config->listens[i].secure)
            listen = &config->listens[i];
    agent_doctor_say(run, "a peer needs", DOCTOR_OK, NULL,
                     "UDP to port %u of this machine, %sand the path /t/SENSOR (%s)",
                     (unsigned)listen->port,
                     listen->secure ? "an identity with its key in psk_file, " : "", sensor);
}

void agent_doctor_coap(struct doctor_run *run)
{
    const struct cfg_coap *config = &run->config->coap;
    look_at_keys(run, config);
    look_at_listeners(run, config);
    if (run->status != NULL && status_read_text(run->status, NULL, "coap") != NULL)
        look_at_peers(run);
    say_what_is_needed(run, config);
}
