/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/http/http_connect.h"

#include <string.h>

#include "agent/http/http_write.h"
#include "platform/base/base64.h"
#include "platform/base/error.h"
#include "platform/base/writer.h"

static void add_text(struct base64 *base64, const char *text, struct writer *out)
{
    base64_add(base64, (const uint8_t *)text, strlen(text), out);
}

static void write_authorization(struct writer *out, const struct http_proxy *proxy)
{
    struct base64 base64;
    writer_text(out, "Proxy-Authorization: Basic ");
    base64_start(&base64);
    add_text(&base64, proxy->user, out);
    add_text(&base64, ":", out);
    add_text(&base64, proxy->password != NULL ? proxy->password : "", out);
    base64_finish(&base64, out);
    writer_text(out, "\r\n");
}

/* With its port in every case: this is where the tunnel ends. */
static void write_authority(struct writer *out, const char *host, uint16_t port)
{
    bool six = strchr(host, ':') != NULL;
    for (const char *c = host; *c != '\0'; c++)
        if (*c <= ' ' || *c > '~')
            writer_fail(out, E_INVALID);
    writer_text(out, six ? "[" : "");
    writer_text(out, host);
    writer_text(out, six ? "]:" : ":");
    writer_unsigned(out, port);
}

int http_connect_write(const struct http_proxy *proxy, const char *host, uint16_t port,
                       char head[HTTP_CONNECT_BYTES])
{
    struct writer out;
    writer_to_memory(&out, head, HTTP_CONNECT_BYTES);
    writer_text(&out, "CONNECT ");
    write_authority(&out, host, port);
    writer_text(&out, " HTTP/1.1\r\nHost: ");
    write_authority(&out, host, port);
    writer_text(&out, "\r\n");
    if (proxy->user != NULL)
        write_authorization(&out, proxy);
    http_write_end(&out);
    int rc = writer_finish(&out);
    return rc < 0 ? rc : (int)writer_total_bytes(&out);
}

static int note_status(void *context, const struct http_reply *reply)
{
    int *status = context;
    *status = reply->status;
    return 0;
}

int http_connect_feed(struct http_parser *parser, uint8_t byte)
{
    int status = 0;
    const struct http_parse_events events = {.on_head = note_status, .context = &status};
    int rc = http_parse_feed(parser, &byte, 1, &events);
    return rc < 0 ? rc : status;
}

const char *http_connect_remedy(int code, int status)
{
    switch (code) {
    case E_NAME:
    case E_TIMEOUT:
        return "; check the proxy's name and port, and the link to it";
    case E_SYNTAX:
    case E_TOO_BIG:
        return "; what answers there is no HTTP proxy: check its port";
    case E_CLOSED:
        return "; check whether the proxy serves this device and port";
    case E_REFUSED:
        break;
    default:
        return "";
    }
    if (status == 407)
        return "; write its user name and password into \"proxy\" or HTTPS_PROXY";
    if (status >= 500)
        return "; it does not reach the host: check the proxy's own link";
    return "; allow this host and port in the proxy";
}
