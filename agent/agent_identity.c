/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "agent/agent_state.h"
#include "agent/http/http_client.h"
#include "agent/http/http_write.h"
#include "platform/base/error.h"
#include "platform/clock.h"
#include "platform/tls.h"

enum { TRY_MS = 30 * 1000, HEAD_BYTES = 640 };

_Static_assert((int)AGENT_IDENTITY_FAULT_BYTES >= (int)HTTP_FAULT_BYTES &&
                   (int)AGENT_IDENTITY_FAULT_BYTES >= (int)CREDENTIALS_FAULT_BYTES,
               "what others say fits");

#ifdef CONFIG_CREDENTIALS_IOT
static int fetch_keys(struct agent *agent, const struct agent_identity *identity,
                      char fault[AGENT_IDENTITY_FAULT_BYTES])
{
    struct cfg_credentials config = *identity->credentials;
    struct credentials_provider *provider = NULL;
    struct credentials keys;
    config.cert_file = identity->cert_file;
    config.key_file = identity->key_file;
    int rc = agent_credentials_open_iot(agent, &config, &agent->credentials_stop, &provider);
    if (rc == 0) {
        rc = credentials_get(provider, clock_mono_ms() + TRY_MS, fault, &keys);
        credentials_wipe(&keys);
        credentials_close(provider);
    }
    return rc;
}
#else
static int fetch_keys(struct agent *agent, const struct agent_identity *identity,
                      char fault[AGENT_IDENTITY_FAULT_BYTES])
{
    (void)agent;
    (void)identity;
    (void)fault;
    return E_UNSUPPORTED;
}
#endif

/* In TLS 1.3 the server judges a client's certificate behind the handshake, so a reply is waited
 * for, whatever it says. */
static int ask_route(struct agent *agent, const struct agent_identity *identity,
                     char fault[AGENT_IDENTITY_FAULT_BYTES])
{
    const struct cfg_endpoint *endpoint = &identity->route->endpoint;
    const struct http_client_options options = {.tls = endpoint->tls,
                                                .host = endpoint->host,
                                                .port = endpoint->port,
                                                .proxy = agent_credentials_proxy(&endpoint->proxy),
                                                .tls_options = {.ca_file = identity->route->ca_file,
                                                                .cert_file = identity->cert_file,
                                                                .key_file = identity->key_file,
                                                                .wall_ms = agent_time_wall,
                                                                .wall_context = agent},
                                                .connect_ms = TRY_MS,
                                                .idle_ms = TRY_MS,
                                                .total_ms = TRY_MS,
                                                .stop = &agent->credentials_stop};
    char head[HEAD_BYTES], host[HEAD_BYTES / 2];
    struct writer out;
    struct http_outcome outcome;
    struct http_client *client = NULL;
    writer_to_memory(&out, host, sizeof host - 1);
    http_write_host(&out, endpoint->host, endpoint->port, endpoint->tls);
    (void)writer_finish(&out);
    writer_to_memory(&out, head, sizeof head);
    http_write_request_line(&out, "GET", "/", NULL);
    http_write_header(&out, "Host", host);
    http_write_end(&out);
    int rc = writer_finish(&out);
    if (rc == 0)
        rc = http_client_open(&options, &client);
    if (rc < 0)
        return rc;
    const struct http_request request = {.head = head, .head_bytes = out.used_bytes};
    rc = http_client_exchange(client, &request, &outcome);
    http_client_close(client);
    if (rc < 0)
        (void)snprintf(fault, AGENT_IDENTITY_FAULT_BYTES, "%s", outcome.fault);
    return rc;
}

bool agent_identity_can_try(const struct agent_identity *identity)
{
    if (identity->credentials != NULL)
        return identity->credentials->iot.host != NULL;
    return identity->route != NULL && identity->route->endpoint.host != NULL &&
           identity->route->endpoint.tls;
}

int agent_identity_try(const struct agent_identity *identity,
                       char fault[AGENT_IDENTITY_FAULT_BYTES])
{
    struct agent *agent = calloc(1, sizeof *agent);
    fault[0] = '\0';
    if (agent == NULL)
        return E_NO_MEMORY;
    agent->config = identity->config;
    agent->clock = (struct agent_clock){.lock = AGENT_CLOCK_LOCK};
    int rc = tls_prepare();
    if (rc == 0)
        rc = stop_open(&agent->credentials_stop);
    if (rc == 0) {
        rc = identity->credentials != NULL ? fetch_keys(agent, identity, fault)
                                           : ask_route(agent, identity, fault);
        stop_close(&agent->credentials_stop);
    }
    if (rc < 0 && fault[0] == '\0')
        (void)snprintf(fault, AGENT_IDENTITY_FAULT_BYTES, "%s", ERROR_TEXT(rc));
    free(agent);
    return rc;
}
