/* SPDX-License-Identifier: Apache-2.0 */
/* Where the door stands. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/intake/coap_door_state.h"
#include "platform/base/error.h"

static int say(char fault[COAP_DOOR_FAULT_BYTES], int rc, const char *text)
{
    (void)snprintf(fault, COAP_DOOR_FAULT_BYTES, "%s", text);
    return rc;
}

static bool read_address(const struct coap_door_listen *listen, coap_address_t *address)
{
    coap_address_init(address);
    if (inet_pton(AF_INET, listen->host, &address->addr.sin.sin_addr) == 1) {
        address->addr.sin.sin_family = AF_INET;
        address->addr.sin.sin_port = htons(listen->port);
        address->size = sizeof address->addr.sin;
        return true;
    }
    if (inet_pton(AF_INET6, listen->host, &address->addr.sin6.sin6_addr) != 1)
        return false;
    address->addr.sin6.sin6_family = AF_INET6;
    address->addr.sin6.sin6_port = htons(listen->port);
    address->size = sizeof address->addr.sin6;
    return true;
}

static int say_closed(const struct coap_door_listen *listen, int errnum,
                      char fault[COAP_DOOR_FAULT_BYTES])
{
    int rc = error_sys(errnum);
    (void)snprintf(fault, COAP_DOOR_FAULT_BYTES, "cannot listen at %s port %u: %s", listen->host,
                   listen->port, ERROR_TEXT(rc));
    return rc;
}

/* libcoap's sockets share their port with those of another process that does likewise, and each
 * would get some of the datagrams. */
static int check_free(const struct coap_door_listen *listen, char fault[COAP_DOOR_FAULT_BYTES])
{
    coap_address_t address;
    if (!read_address(listen, &address)) {
        (void)snprintf(fault, COAP_DOOR_FAULT_BYTES, "\"%s\" is no address to listen at",
                       listen->host);
        return E_INVALID;
    }
    int fd = socket(address.addr.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return say_closed(listen, errno, fault);
    int errnum = bind(fd, &address.addr.sa, address.size) < 0 ? errno : 0;
    (void)close(fd);
    return errnum != 0 ? say_closed(listen, errnum, fault) : 0;
}

static int open_listen(struct coap_door *door, const struct coap_door_listen *listen,
                       char fault[COAP_DOOR_FAULT_BYTES])
{
    coap_address_t address;
    if (listen->secure && door->peers == NULL)
        return say(fault, E_INVALID, "coaps:// needs psk_file, which says who may come");
    errno = 0;
    if (read_address(listen, &address) &&
        coap_new_endpoint(door->context, &address,
                          listen->secure ? COAP_PROTO_DTLS : COAP_PROTO_UDP) != NULL)
        return 0;
    return say_closed(listen, errno != 0 ? errno : EADDRNOTAVAIL, fault);
}

/* All are looked at before the first is opened: [::] and 0.0.0.0 may be listened at together. */
static int open_listens(struct coap_door *door, char fault[COAP_DOOR_FAULT_BYTES])
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < door->options.listen_count; i++)
        rc = check_free(&door->options.listens[i], fault);
    for (size_t i = 0; rc == 0 && i < door->options.listen_count; i++)
        rc = open_listen(door, &door->options.listens[i], fault);
    return rc;
}

/* What libcoap has to say of single datagrams, anybody can have it say. */
static void silence(void)
{
    coap_set_log_level((coap_log_t)0);
    coap_dtls_set_log_level((coap_log_t)0);
}

int coap_door_listen(struct coap_door *door, char fault[COAP_DOOR_FAULT_BYTES])
{
    coap_startup();
    silence();
    door->context = coap_new_context(NULL);
    if (door->context == NULL)
        return say(fault, E_NO_MEMORY, "out of memory");
    if (coap_context_get_coap_fd(door->context) < 0)
        return say(fault, E_UNSUPPORTED, "libcoap was built without epoll");
    coap_context_set_max_idle_sessions(door->context, CONFIG_COAP_SESSIONS);
    coap_context_set_session_timeout(door->context, door->options.session_s);
    coap_context_set_max_handshake_sessions(door->context, CONFIG_COAP_SESSIONS);
    int rc = coap_door_secure_open(door, fault);
    return rc == 0 ? open_listens(door, fault) : rc;
}
