/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/modbus/modbus_bus.h"

#include <errno.h>
#include <modbus/modbus.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <unistd.h>

#include "drivers/modbus/modbus_decode.h"
#include "platform/base/bytes.h"
#include "platform/base/error.h"
#include "platform/clock.h"
#include "platform/net.h"

enum {
    ANSWER_BYTES = MODBUS_TCP_MAX_ADU_LENGTH, /* the longer of the two */
    REQUEST_BYTES = 6,
    CHECKSUM_BYTES = 2,
    MBAP_BYTES = 6, /* before the unit: transaction, protocol, length */
    CHARACTER_BITS = 11,
    REST_MS = 100,     /* beside the time that a line needs for the rest of an answer */
    REST_TCP_MS = 500, /* for a gateway that hands on what comes off its line bit by bit */
    QUIET_MS = 250,    /* how long a line that babbles is waited for */
    TRIES = 2,
};

struct modbus_bus {
    void **place; /* where the bus keeps this; or NULL */
    unsigned users;
    struct modbus_line line;
    char path[FS_PATH_BYTES + 64]; /* of the serial line, with the root */
    const struct stop *stop;
    modbus_t *modbus;
    bool connected;
    bool tidy;          /* nothing that belongs to an earlier question can be on the line */
    int64_t pause_ms;   /* between two frames on a serial line */
    int64_t free_at_ms; /* when that is over */
    struct net_memory memory;
    uint8_t answer[ANSWER_BYTES];
};

/* ---- joining ---- */

static modbus_t *make_context(const struct modbus_bus *bus)
{
    const struct modbus_line *line = &bus->line;
    if (line->is_tcp)
        return modbus_new_tcp_pi("localhost", "502"); /* net_connect connects */
    return modbus_new_rtu(bus->path, line->baud, line->parity, 8, line->stop_bits);
}

/* The specification's 3.5 characters, but no less than 1.75 ms (serial line V1.02, 2.5.1.1). */
static int64_t pause_of(const struct modbus_line *line)
{
    int64_t pause_us = 7 * CHARACTER_BITS * INT64_C(1000000) / (2 * (int64_t)line->baud);
    return line->is_tcp ? 0 : (pause_us < 1750 ? 1750 : pause_us) / 1000 + 1;
}

static int make_bus(const struct modbus_line *line, const struct driver_context *context,
                    struct modbus_bus **ret_bus)
{
    struct modbus_bus *bus = calloc(1, sizeof *bus);
    if (bus == NULL)
        return E_NO_MEMORY;
    bus->line = *line;
    bus->stop = context->stop;
    bus->pause_ms = pause_of(line);
    (void)snprintf(bus->path, sizeof bus->path, "%s%s", context->root, line->device);
    bus->modbus = make_context(bus);
    if (bus->modbus == NULL) {
        int rc = error_sys(errno);
        free(bus);
        return rc;
    }
    /* A limit between bytes would begin anew with each; so the whole answer has one. */
    (void)modbus_set_byte_timeout(bus->modbus, 0, 0);
    *ret_bus = bus;
    return 0;
}

int modbus_bus_join(const struct modbus_line *line, const struct driver_context *context,
                    struct modbus_bus **ret_bus)
{
    void **place = context->bus_state;
    struct modbus_bus *bus = place != NULL ? *place : NULL;
    if (bus != NULL && modbus_setup_differ(&bus->line, line) != NULL) {
        driver_say(context->fault,
                   "%s: another sensor of this bus has another \"baud\", "
                   "\"parity\", \"stop_bits\", \"rs485\" or \"echo\"",
                   line->device);
        return E_INVALID;
    }
    if (bus == NULL) {
        int rc = make_bus(line, context, &bus);
        if (rc < 0)
            return rc;
        bus->place = place;
    }
    bus->users++;
    if (place != NULL)
        *place = bus;
    *ret_bus = bus;
    return 0;
}

/* Whether others that open the line are turned away, but for root. Two who ask on it hear each
 * other's answers. */
static void keep_to_us(const struct modbus_bus *bus, bool ours)
{
    if (!bus->line.is_tcp)
        (void)ioctl(modbus_get_socket(bus->modbus), ours ? TIOCEXCL : TIOCNXCL);
}

static void disconnect(struct modbus_bus *bus)
{
    if (bus->connected) {
        keep_to_us(bus, false);
        modbus_close(bus->modbus);
    }
    bus->connected = false;
}

void modbus_bus_leave(struct modbus_bus *bus)
{
    if (bus == NULL || --bus->users > 0)
        return;
    disconnect(bus);
    modbus_free(bus->modbus);
    if (bus->place != NULL)
        *bus->place = NULL;
    free(bus);
}

/* ---- connecting ---- */

static int connect_tcp(struct modbus_bus *bus, int64_t deadline_ms, char *fault)
{
    int fd;
    const struct modbus_line *line = &bus->line;
    int rc = net_connect(line->host, line->port, &bus->memory, deadline_ms, bus->stop, &fd);
    if (rc < 0) {
        driver_say(fault, "%s port %u: %s; is the gateway on, and does a firewall let it pass?",
                   line->host, (unsigned)line->port, ERROR_TEXT(rc));
        return rc;
    }
    if (modbus_set_socket(bus->modbus, fd) == 0)
        return 0;
    rc = error_sys(errno);
    (void)close(fd);
    return rc;
}

static const char *hint_of(int errnum)
{
    switch (errnum) {
    case ENOENT:
    case ENODEV:
    case ENXIO:
    case EIO:
        return "is the adapter plugged in?";
    case EACCES:
        return "is the agent's user in the group of the device (dialout)?";
    case ENOTTY:
    case EINVAL:
        return "is it a serial line?";
    default:
        return "does another program have it?";
    }
}

static int connect_serial(struct modbus_bus *bus, char *fault)
{
    if (modbus_connect(bus->modbus) < 0) {
        int rc = error_sys(errno);
        driver_say(fault, "%s: %s; %s", bus->path, ERROR_TEXT(rc), hint_of(error_errno(rc)));
        return rc;
    }
    if (!bus->line.rs485 || modbus_rtu_set_serial_mode(bus->modbus, MODBUS_RTU_RS485) == 0)
        return 0;
    int rc = error_sys(errno);
    modbus_close(bus->modbus);
    driver_say(fault,
               "%s: %s; its kernel driver cannot do \"rs485\": leave it out if the adapter "
               "switches by itself",
               bus->path, ERROR_TEXT(rc));
    return rc;
}

int modbus_bus_connect(struct modbus_bus *bus, int64_t deadline_ms, char *fault)
{
    if (bus->connected)
        return 0;
    int rc = bus->line.is_tcp ? connect_tcp(bus, deadline_ms, fault) : connect_serial(bus, fault);
    if (rc < 0)
        return rc;
    bus->connected = true;
    bus->tidy = false;
    keep_to_us(bus, true);
    if (modbus_get_socket(bus->modbus) < FD_SETSIZE)
        return 0;
    disconnect(bus);
    driver_say(fault, "too many files are open for libmodbus, which takes the first %d",
               (int)FD_SETSIZE);
    return error_sys(EMFILE);
}

/* ---- a question ---- */

/* What libmodbus left in errno. */
static int last_error(void)
{
    return errno > MODBUS_ENOBASE ? E_DAMAGED : error_sys(errno);
}

/* Until the pause behind the last frame is over. */
static int wait_for_pause(const struct modbus_bus *bus)
{
    int rc = stop_wait(bus->stop, -1, 0, bus->free_at_ms);
    return rc == E_TIMEOUT ? 0 : rc;
}

/* Forgets what is on the line, until it is quiet or has babbled for long enough. */
static int tidy_up(struct modbus_bus *bus)
{
    int64_t now_ms = clock_mono_ms();
    int64_t until_ms = now_ms + QUIET_MS;
    int rc = 0;
    while (rc == 0 && now_ms < until_ms && !bus->line.is_tcp) {
        if (modbus_flush(bus->modbus) < 0)
            return error_sys(errno);
        rc = stop_wait(bus->stop, modbus_get_socket(bus->modbus), POLLIN, now_ms + bus->pause_ms);
        now_ms = clock_mono_ms();
    }
    (void)modbus_flush(bus->modbus);
    bus->tidy = rc == E_TIMEOUT || bus->line.is_tcp;
    return rc == E_TIMEOUT ? 0 : rc;
}

static int send_request(struct modbus_bus *bus, const struct modbus_ask *ask)
{
    uint8_t request[REQUEST_BYTES] = {ask->unit, (uint8_t)ask->span.table};
    bytes_put_be16(request + 2, (uint16_t)ask->span.at);
    bytes_put_be16(request + 4, (uint16_t)ask->span.count);
    int rc = wait_for_pause(bus);
    if (rc == 0 && !bus->tidy)
        rc = tidy_up(bus);
    if (rc < 0)
        return rc;
    (void)modbus_flush(bus->modbus);
    (void)modbus_set_slave(bus->modbus, ask->unit);
    return modbus_send_raw_request(bus->modbus, request, sizeof request) < 0 ? last_error() : 0;
}

/* How long the line needs for COUNT bytes. */
static int64_t transfer_ms(const struct modbus_bus *bus, size_t count)
{
    int64_t bits = (int64_t)count * CHARACTER_BITS;
    return bus->line.is_tcp ? 0 : bits * 1000 / bus->line.baud + 1;
}

static int64_t sooner(int64_t left, int64_t right)
{
    return left < right ? left : right;
}

/* Takes off the line what the adapter gives back of the request. */
static int skip_echo(struct modbus_bus *bus, int64_t deadline_ms)
{
    size_t count = 0;
    while (count < REQUEST_BYTES + CHECKSUM_BYTES) {
        int fd = modbus_get_socket(bus->modbus);
        int rc = stop_wait(bus->stop, fd, POLLIN, deadline_ms);
        if (rc < 0)
            return rc;
        ssize_t got = read(fd, bus->answer, REQUEST_BYTES + CHECKSUM_BYTES - count);
        if (got < 0 && errno != EAGAIN && errno != EINTR)
            return error_sys(errno);
        if (got == 0)
            return E_CLOSED;
        count += got > 0 ? (size_t)got : 0;
    }
    return 0;
}

/* The bytes of the answer, with all its frame, once it has begun. */
static int receive(struct modbus_bus *bus, const struct modbus_ask *ask, size_t *ret_count)
{
    size_t bytes = modbus_decode_bytes(&ask->span) + CHECKSUM_BYTES;
    int64_t rest_ms = bus->line.is_tcp ? REST_TCP_MS : REST_MS + transfer_ms(bus, bytes);
    rest_ms = sooner(rest_ms, ask->deadline_ms - clock_mono_ms());
    rest_ms = rest_ms > 1 ? rest_ms : 1;
    (void)modbus_set_response_timeout(bus->modbus, (uint32_t)(rest_ms / 1000),
                                      (uint32_t)(rest_ms % 1000 * 1000));
    memset(bus->answer, 0, sizeof bus->answer);
    int count = modbus_receive_confirmation(bus->modbus, bus->answer);
    bus->free_at_ms = clock_mono_ms() + bus->pause_ms;
    if (count < 0)
        return errno == ETIMEDOUT ? E_DAMAGED : last_error();
    *ret_count = (size_t)count;
    return 0;
}

/* The unit and what follows in an answer of COUNT bytes with its frame; E_DAMAGED. libmodbus sends
 * every question as transaction 0, so a connection on which one went unanswered is not used again.
 */
static int unwrap(const struct modbus_bus *bus, size_t *count, const uint8_t **ret_answer)
{
    const uint8_t *answer = bus->answer;
    size_t frame = bus->line.is_tcp ? MBAP_BYTES : CHECKSUM_BYTES;
    if (*count <= frame)
        return E_DAMAGED;
    *count -= frame;
    if (bus->line.is_tcp && (bytes_get_be16(answer) != 0 || bytes_get_be16(answer + 2) != 0 ||
                             bytes_get_be16(answer + 4) != *count))
        return E_DAMAGED;
    *ret_answer = bus->line.is_tcp ? answer + MBAP_BYTES : answer;
    return 0;
}

static int try_once(struct modbus_bus *bus, const struct modbus_ask *ask, const uint8_t **ret_data,
                    unsigned *ret_exception)
{
    size_t count = 0;
    const uint8_t *answer = NULL;
    int rc = send_request(bus, ask);
    int64_t until_ms =
        clock_mono_ms() + ask->response_ms + transfer_ms(bus, REQUEST_BYTES + CHECKSUM_BYTES);
    until_ms = sooner(until_ms, ask->deadline_ms);
    if (rc == 0 && bus->line.echo)
        rc = skip_echo(bus, until_ms);
    if (rc == 0)
        rc = stop_wait(bus->stop, modbus_get_socket(bus->modbus), POLLIN, until_ms);
    if (rc == 0)
        rc = receive(bus, ask, &count);
    if (rc == 0)
        rc = unwrap(bus, &count, &answer);
    if (rc == 0)
        rc = modbus_decode_answer(&ask->span, ask->unit, answer, count, ret_data, ret_exception);
    bus->tidy = rc == 0 || rc == E_REFUSED;
    return rc;
}

/* ---- what went wrong ---- */

static bool is_echo(const struct modbus_bus *bus, const struct modbus_ask *ask)
{
    const uint8_t *answer = bus->answer;
    return !bus->line.is_tcp && !bus->line.echo && answer[0] == ask->unit &&
           answer[1] == ask->span.table && bytes_get_be16(answer + 2) == ask->span.at &&
           answer[4] == ask->span.count >> 8;
}

static void say(const struct modbus_bus *bus, const struct modbus_ask *ask, int code, char *fault)
{
    char where[96];
    (void)snprintf(where, sizeof where, "unit %u, %s %u", (unsigned)ask->unit,
                   modbus_setup_table(ask->span.table), ask->span.at);
    if (code == E_TIMEOUT)
        driver_say(fault, "%s: no answer; check %s", where,
                   bus->line.is_tcp ? "the unit's power, address and line behind the gateway"
                                    : "power, address, A and B, speed and parity");
    else if (code == E_DAMAGED && is_echo(bus, ask))
        driver_say(fault, "%s: the line gives back what is sent; set \"echo\" to true", where);
    else if (code == E_DAMAGED)
        driver_say(fault, "%s: what came is no answer to it; check %s", where,
                   bus->line.is_tcp ? "what listens there"
                                    : "speed, parity, termination, and that no other master asks");
    else
        driver_say(fault, "%s: %s%s%s", bus->line.is_tcp ? bus->line.host : bus->path,
                   ERROR_TEXT(code), bus->line.is_tcp ? "" : "; ",
                   bus->line.is_tcp ? "" : hint_of(error_errno(code)));
}

/* Whether nothing more can be asked over the connection as it is. */
static bool is_spent(const struct modbus_bus *bus, int code)
{
    if (code == 0 || code == E_REFUSED || code == E_STOP)
        return false;
    return bus->line.is_tcp || (code != E_TIMEOUT && code != E_DAMAGED);
}

/* The connection is gone: gateways close what was idle for a while, and a new one may do. */
static bool is_lost(int code)
{
    return code == E_CLOSED || error_errno(code) != 0;
}

int modbus_bus_ask(struct modbus_bus *bus, const struct modbus_ask *ask, const uint8_t **ret_data,
                   unsigned *ret_exception, char *fault)
{
    int rc;
    bool again;
    int tries = 0;
    do {
        bool was_connected = bus->connected;
        rc = modbus_bus_connect(bus, ask->deadline_ms, fault);
        if (rc < 0)
            return rc;
        rc = try_once(bus, ask, ret_data, ret_exception);
        if (rc < 0 && rc != E_REFUSED && rc != E_STOP)
            say(bus, ask, rc, fault);
        if (is_spent(bus, rc))
            disconnect(bus);
        again = rc == E_DAMAGED || (was_connected && is_lost(rc));
    } while (again && ++tries < TRIES && clock_mono_ms() < ask->deadline_ms);
    return rc;
}
