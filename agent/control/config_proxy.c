/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/control/config_reader.h"
#include "agent/control/proxy_url.h"
#include "platform/base/error.h"
#include "platform/net.h"

/* What is reached without leaving the machine or its hypervisor. */
static bool is_near(const char *host)
{
    return net_is_loopback(host) || net_is_metadata(host);
}

#ifdef CONFIG_HTTP_PROXY
/* Never more than this of a URL that may hold a password. */
static const char *proxy_fault(int rc)
{
    return rc == E_UNSUPPORTED
               ? "is no HTTP proxy: others, and TLS towards the proxy, are not supported; write "
                 "it like http://user:password@host:port"
               : "is no proxy; write it like http://user:password@host:port";
}

static struct cfg_proxy keep_proxy(struct config_reader *reader, struct proxy_url *proxy)
{
    struct cfg_proxy kept = {.host = config_pool_text(reader->pool, proxy->host),
                             .port = proxy->port};
    if (proxy->has_user) {
        kept.user = config_pool_text(reader->pool, proxy->user);
        kept.password = config_pool_text(reader->pool, proxy->password);
    }
    explicit_bzero(proxy, sizeof *proxy);
    return kept;
}

/* The first of two spellings of a variable that is set. */
static const char *either(struct config_reader *reader, const char *large, const char *small,
                          const char **ret_value)
{
    *ret_value = config_variable(reader->options, large);
    if (*ret_value != NULL)
        return large;
    *ret_value = config_variable(reader->options, small);
    return small;
}

static struct cfg_proxy of_variables(struct config_reader *reader,
                                     const struct cfg_endpoint *endpoint)
{
    struct cfg_proxy none = {0};
    struct proxy_url proxy;
    const char *host = endpoint->host;
    const char *url;
    const char *exceptions;
    const char *name = either(reader, "HTTPS_PROXY", "https_proxy", &url);
    (void)either(reader, "NO_PROXY", "no_proxy", &exceptions);
    if (url == NULL || !endpoint->tls || is_near(host) ||
        proxy_url_is_excepted(exceptions, host, endpoint->port))
        return none;
    int rc = proxy_url_parse(url, &proxy);
    if (rc == 0)
        return keep_proxy(reader, &proxy);
    if (!reader->proxy_reported)
        config_fault(reader->faults, NULL, name, "%s", proxy_fault(rc));
    reader->proxy_reported = true;
    return none;
}

static void take_written(struct config_reader *reader, const struct json_node *written,
                         const char *url, struct cfg_endpoint *endpoint)
{
    struct proxy_url proxy;
    if (strcmp(url, "none") == 0)
        return;
    int rc = strstr(url, "://") != NULL ? proxy_url_parse(url, &proxy) : E_SYNTAX;
    if (rc < 0) {
        config_fault(reader->faults, written, NULL, "%s", proxy_fault(rc));
        return;
    }
    struct cfg_proxy kept = keep_proxy(reader, &proxy);
    if (endpoint->tls && !is_near(endpoint->host))
        endpoint->proxy = kept;
}

/* What is written has no exceptions but those that hold for every proxy. */
void config_proxy_resolve(struct config_reader *reader, const struct json_node *node,
                          const char *url, struct cfg_endpoint *endpoint)
{
    const struct json_node *written = config_read_member(node, "proxy");
    if (url != NULL)
        take_written(reader, written, url, endpoint);
    else if (written == NULL)
        endpoint->proxy = of_variables(reader, endpoint);
}
#else
void config_proxy_resolve(struct config_reader *reader, const struct json_node *node,
                          const char *url, struct cfg_endpoint *endpoint)
{
    (void)node;
    (void)url;
    if (endpoint->tls && !is_near(endpoint->host) &&
        config_variable(reader->options, "HTTPS_PROXY") != NULL && !reader->proxy_reported)
        config_fault_warn(reader->faults, NULL, "HTTPS_PROXY",
                          "is not heeded: proxies are not in this program; enable "
                          "CONFIG_HTTP_PROXY");
    reader->proxy_reported = true;
}
#endif
