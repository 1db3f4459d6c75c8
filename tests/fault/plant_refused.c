/* SPDX-License-Identifier: Apache-2.0 */
/* A planted bug: what is refused with any 4xx is dropped. */
#include "agent/http/http_client.h"
#include "tests/fault/plant_dest.h"

static const struct http_request *real_request;
static bool refused;

int __real_http_client_exchange(struct http_client *client, const struct http_request *request,
                                struct http_outcome *ret_outcome);
int __wrap_http_client_exchange(struct http_client *client, const struct http_request *request,
                                struct http_outcome *ret_outcome);

void plant_change(size_t sent, uint8_t *delivered, struct dest_reply *reply)
{
    if (refused)
        plant_believe(sent, delivered, reply);
}

static int on_head(void *context, const struct http_reply *reply)
{
    struct http_reply accepted = *reply;
    refused = reply->status >= 400 && reply->status < 500;
    if (refused)
        accepted.status = 200;
    return real_request->on_head(context, &accepted);
}

int __wrap_http_client_exchange(struct http_client *client, const struct http_request *request,
                                struct http_outcome *ret_outcome)
{
    struct http_request changed = *request;
    refused = false;
    if (request->on_head == NULL)
        return __real_http_client_exchange(client, request, ret_outcome);
    real_request = request;
    changed.on_head = on_head;
    return __real_http_client_exchange(client, &changed, ret_outcome);
}
