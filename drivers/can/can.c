/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <linux/can/error.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "drivers/bus/settings.h"
#include "drivers/bus/ticker.h"
#include "drivers/can/can_linux.h"
#include "drivers/can/signals.h"
#include "drivers/driver.h"
#include "platform/base/error.h"

/*
 * Signals in the frames of a CAN bus. Without an interval each frame is a record; with one, what
 * came last for each id since the last slot is. The driver only listens.
 */

/* So many batches may come before the report of a slot that is due. */
enum { BATCH = 32, BATCHES_MAX = 64, NS_PER_MS = 1000000, ERROR_CHANNELS = 2 };

enum state { STATE_ACTIVE, STATE_WARNING, STATE_PASSIVE, STATE_BUS_OFF };

static const char *const state_names[] = {"active", "warning", "passive", "bus-off"};

/* The frames of an id. */
struct source {
    uint32_t id;
    bool is_fresh; /* since its last record */
    int64_t boot_ms;
};

struct can {
    char interface[IFNAMSIZ];
    int fd; /* < 0: closed */
    bool drain;
    bool with_errors;
    bool has_interval;
    struct ticker ticker;
    struct signals_one signals[SAMPLE_CHANNELS_MAX];
    struct value latest[SAMPLE_CHANNELS_MAX];
    size_t signal_count;
    struct source sources[SAMPLE_CHANNELS_MAX];
    size_t source_count;
    struct can_linux_frame frames[BATCH];
    unsigned next, count;
    int64_t wall_ns; /* the clocks at the last fetch */
    int64_t boot_ns;
    int64_t empty_ns; /* CLOCK_BOOTTIME when last nothing waited: what comes is younger */
    bool is_due;      /* a slot of the interval */
    unsigned waited;  /* batches since then */
    bool errors_due;  /* a record about errors */
    enum state state;
    int64_t errors;   /* frames about them, since open */
    uint32_t dropped; /* by the socket, as far as it was said */
    int failure;      /* of the socket, to be said once what it had is taken */
    bool lack_told;   /* by a record, or as a failure */
    char lack[DRIVER_FAULT_BYTES];
    char fault[DRIVER_FAULT_BYTES];
};

static const struct driver_key keys[] = {
    {"interface", DRIVER_KEY_TEXT, true, "the network interface of the bus, such as can0"},
    {"errors", DRIVER_KEY_BOOLEAN, false,
     "adds the channels bus_errors (a count) and bus_state (a text); default false"},
    {"signals[].name", DRIVER_KEY_TEXT, true, "of the channel"},
    {"signals[].id", DRIVER_KEY_TEXT, true, "of the frame: \"0x123\", or \"291\""},
    {"signals[].extended", DRIVER_KEY_BOOLEAN, false,
     "the id has 29 bits; default: if it needs more than 11"},
    {"signals[].start", DRIVER_KEY_INTEGER, true,
     "the first bit as in a DBC file: the lowest of a little endian signal, the highest of a big"},
    {"signals[].length", DRIVER_KEY_INTEGER, true, "how many bits, 1 to 64"},
    {"signals[].order", DRIVER_KEY_TEXT, false,
     "little (Intel, @1 in a DBC file) or big (Motorola, @0); default little"},
    {"signals[].type", DRIVER_KEY_TEXT, false, "unsigned, signed or float; default unsigned"},
    {"signals[].factor", DRIVER_KEY_DECIMAL, false, "value = raw * factor + offset; default 1"},
    {"signals[].offset", DRIVER_KEY_DECIMAL, false, "see factor; default 0"},
    {"signals[].decimals", DRIVER_KEY_INTEGER, false,
     "digits behind the point, 0 to 9; default as many as factor and offset have"},
    {"signals[].unit", DRIVER_KEY_UNIT, false, "a SenML unit name; default none"},
    {"signals[].multiplexor", DRIVER_KEY_BOOLEAN, false,
     "it says which others of its id a frame has (M in a DBC file); default false"},
    {"signals[].mux", DRIVER_KEY_INTEGER, false,
     "the multiplexor's value with which it is there (m3 in a DBC file: 3)"},
    {0}};

static const struct driver_limit limits[] = {
    {.key = "signals[].start", .low = 0, .high = 8 * DBC_BYTES_MAX - 1},
    {.key = "signals[].length", .low = 1, .high = DBC_LENGTH_MAX},
    {.key = "signals[].order", .choices = "little|big"},
    {.key = "signals[].type", .choices = "unsigned|signed|float"},
    {.key = "signals[].decimals", .low = 0, .high = 9},
    {.key = "signals[].mux", .low = 0, .high = INT32_MAX},
    {.key = NULL}};

/* ---- opening ---- */

static int say_error(const char *interface, int rc, char *fault)
{
    switch (error_errno(rc)) {
    case ENETDOWN:
        driver_say(fault, "%s is down; bring it up: ip link set %s up type can bitrate 500000",
                   interface, interface);
        break;
    case ENODEV:
    case ENXIO:
        driver_say(fault,
                   "%s: there is no such CAN interface; is the adapter plugged in and its kernel "
                   "driver loaded (ip -details link)?",
                   interface);
        break;
    case EAFNOSUPPORT:
    case EPROTONOSUPPORT:
        driver_say(fault,
                   "%s: there is no CAN; the kernel needs CONFIG_CAN_RAW (modprobe can-raw), a "
                   "service RestrictAddressFamilies= with AF_CAN",
                   interface);
        break;
    default:
        driver_say(fault, "%s: %s", interface, ERROR_TEXT(rc));
    }
    return rc;
}

static int say_bus_off(const char *interface, char *fault)
{
    driver_say(fault,
               "%s is bus-off; check bit rate, wiring and termination; ip link set %s type can "
               "restart (or restart-ms 1000 while it is down, to do so by itself)",
               interface, interface);
    return E_CLOSED;
}

static int check_interface(const struct can *can, int *ret_index, char *fault)
{
    unsigned flags;
    int rc = can_linux_interface(can->interface, ret_index, &flags);
    if (rc == 0 && (flags & IFF_UP) == 0)
        rc = error_sys(ENETDOWN);
    if (rc < 0)
        return say_error(can->interface, rc, fault);
    return (flags & IFF_RUNNING) == 0 ? say_bus_off(can->interface, fault) : 0;
}

static struct source *find_source(struct can *can, uint32_t id)
{
    for (size_t i = 0; i < can->source_count; i++)
        if (can->sources[i].id == id)
            return &can->sources[i];
    return NULL;
}

static void read_settings(struct can *can, const struct driver_context *context)
{
    (void)snprintf(can->interface, sizeof can->interface, "%s",
                   driver_setting(context, "interface"));
    can->drain = context->drain;
    can->has_interval = context->interval_ms > 0;
    can->with_errors = settings_boolean(driver_setting(context, "errors"), false);
    can->signal_count = settings_count(context, "signals");
    for (size_t i = 0; i < can->signal_count; i++) {
        signals_read(context, i, &can->signals[i]);
        if (find_source(can, can->signals[i].id) == NULL)
            can->sources[can->source_count++] = (struct source){.id = can->signals[i].id};
    }
}

/* The kernel passes on data frames of these ids alone. */
static int open_socket(struct can *can, int index)
{
    struct can_filter filters[SAMPLE_CHANNELS_MAX];
    for (size_t i = 0; i < can->source_count; i++)
        filters[i] = (struct can_filter){
            .can_id = can->sources[i].id,
            .can_mask = CAN_EFF_FLAG | CAN_RTR_FLAG |
                        ((can->sources[i].id & CAN_EFF_FLAG) != 0 ? CAN_EFF_MASK : CAN_SFF_MASK)};
    can->fd = can_linux_open(index, filters, can->source_count);
    return can->fd < 0 ? can->fd : 0;
}

static int can_open(void *instance, const struct driver_context *context)
{
    struct can *can = instance;
    int index;
    can->fd = -1;
    can->ticker = TICKER_CLOSED;
    if (signals_check(context) != NULL)
        return E_INVALID;
    read_settings(can, context);
    int rc = check_interface(can, &index, context->fault);
    if (rc < 0)
        return rc;
    rc = open_socket(can, index);
    if (rc == 0)
        rc = ticker_open(&can->ticker, can->fd, context->interval_ms);
    if (rc < 0)
        return say_error(can->interface, rc, context->fault);
    can->errors_due = can->with_errors;
    can_linux_now(&can->wall_ns, &can->boot_ns);
    can->empty_ns = can->boot_ns;
    return 0;
}

static int can_channels(const void *instance, struct channel *ret_channels)
{
    const struct can *can = instance;
    size_t count = can->signal_count;
    for (size_t i = 0; i < count; i++)
        ret_channels[i] = can->signals[i].channel;
    if (can->with_errors) {
        ret_channels[count++] = (struct channel){.name = "bus_errors", .unit = "count"};
        ret_channels[count++] = (struct channel){.name = "bus_state"};
    }
    return (int)count;
}

/* ---- fetching ---- */

/* The socket says an error once, and before the frames that came before it. */
static int receive(struct can *can, struct can_linux_frame *ret_frame)
{
    for (;;) {
        int rc = can_linux_receive(can->fd, ret_frame);
        if (rc == 0 || rc == E_AGAIN)
            return rc;
        if (rc == E_SYNTAX)
            continue; /* no frame that this kernel's header knows */
        if (can->failure < 0)
            return E_AGAIN;
        can->failure = rc;
    }
}

static void fetch_frames(struct can *can)
{
    if (can->next < can->count)
        return;
    can->next = can->count = 0;
    while (can->count < BATCH && receive(can, &can->frames[can->count]) == 0)
        can->count++;
}

static bool has_fresh(const struct can *can)
{
    for (size_t i = 0; i < can->source_count; i++)
        if (can->sources[i].is_fresh)
            return true;
    return false;
}

static int can_fetch(void *instance, int64_t deadline_ms)
{
    struct can *can = instance;
    (void)deadline_ms; /* nothing here waits */
    if (can->count < BATCH)
        can->empty_ns = can->boot_ns;
    can_linux_now(&can->wall_ns, &can->boot_ns);
    can->is_due = ticker_is_due(&can->ticker) || can->is_due;
    can->errors_due = can->errors_due || (can->is_due && can->with_errors);
    fetch_frames(can);
    if (can->count > 0 || (can->failure < 0 && has_fresh(can)))
        return 0;
    if (can->failure < 0)
        return say_error(can->interface, can->failure, can->fault);
    if (can->is_due || can->errors_due)
        return 0;
    return can->drain ? E_END : E_AGAIN; /* what has come is taken */
}

/* ---- frames ---- */

/* The stamp runs on the wall clock, which may be set in between; a frame is no older than the time
 * since nothing waited. */
static int64_t boot_ms_of(const struct can *can, const struct can_linux_frame *frame)
{
    int64_t oldest_ns = can->boot_ns - can->empty_ns;
    int64_t age_ns = can->wall_ns - frame->wall_ns;
    if (frame->wall_ns == 0 || age_ns < 0)
        age_ns = 0;
    if (age_ns > oldest_ns)
        age_ns = oldest_ns;
    return (can->boot_ns - age_ns) / NS_PER_MS;
}

/* Whether the frame has the signal: with the right value of the multiplexor of its id, if any. */
static bool is_selected(const struct can *can, const struct signals_one *signal,
                        const struct canfd_frame *frame)
{
    uint64_t raw;
    if (signal->mux < 0)
        return true;
    for (size_t i = 0; i < can->signal_count; i++) {
        const struct signals_one *other = &can->signals[i];
        if (other->is_multiplexor && other->id == signal->id &&
            dbc_raw(&other->dbc, frame->data, frame->len, &raw) == 0)
            return raw == (uint64_t)signal->mux;
    }
    return false;
}

static int refuse(struct can *can, const struct signals_one *signal,
                  const struct canfd_frame *frame, int rc)
{
    char *text = can->lack;
    if (rc == E_END)
        driver_say(text, "%s: frame 0x%" PRIx32 " has %u bytes, \"%s\" needs %u", can->interface,
                   signal->id & CAN_EFF_MASK, frame->len, signal->channel.name,
                   dbc_bytes(&signal->dbc));
    else
        driver_say(text, "%s: \"%s\" of frame 0x%" PRIx32 " is no number that fits into 64 bits",
                   can->interface, signal->channel.name, signal->id & CAN_EFF_MASK);
    return E_DAMAGED;
}

/* Keeps what the frame says. 0; E_AGAIN: nothing; E_DAMAGED: nothing, though it should. */
static int take_signals(struct can *can, const struct canfd_frame *frame)
{
    uint32_t id = frame->can_id & (CAN_EFF_FLAG | CAN_EFF_MASK);
    int result = E_AGAIN;
    for (size_t i = 0; i < can->signal_count; i++) {
        const struct signals_one *signal = &can->signals[i];
        if (signal->id != id || !is_selected(can, signal, frame))
            continue;
        int rc = dbc_value(&signal->dbc, frame->data, frame->len, &can->latest[i]);
        if (rc < 0)
            rc = refuse(can, signal, frame, rc);
        if (rc == 0 || result == E_AGAIN)
            result = rc;
    }
    return result;
}

static enum state state_of(const struct canfd_frame *frame, enum state before)
{
    uint8_t flags = frame->data[1];
    if ((frame->can_id & CAN_ERR_BUSOFF) != 0)
        return STATE_BUS_OFF;
    if ((frame->can_id & CAN_ERR_RESTARTED) != 0)
        return STATE_ACTIVE;
    if ((frame->can_id & CAN_ERR_CRTL) == 0)
        return before;
    if ((flags & (CAN_ERR_CRTL_RX_PASSIVE | CAN_ERR_CRTL_TX_PASSIVE)) != 0)
        return STATE_PASSIVE;
    if ((flags & (CAN_ERR_CRTL_RX_WARNING | CAN_ERR_CRTL_TX_WARNING)) != 0)
        return STATE_WARNING;
    return (flags & CAN_ERR_CRTL_ACTIVE) != 0 ? STATE_ACTIVE : before;
}

static void take_error(struct can *can, const struct canfd_frame *frame)
{
    enum state before = can->state;
    can->errors++;
    can->state = state_of(frame, before);
    if (can->state != before && can->with_errors)
        can->errors_due = true;
}

/* What is wrong though frames come. What was said of a signal goes before. */
static void note_lack(struct can *can, const struct can_linux_frame *frame)
{
    uint32_t dropped = frame->dropped - can->dropped;
    if (can->lack[0] != '\0')
        return; /* what was dropped is said the next time */
    can->dropped = frame->dropped;
    if (dropped > 0)
        driver_say(can->lack,
                   "%s: %" PRIu32 " frames were dropped before they were read; raise "
                   "net.core.rmem_default",
                   can->interface, dropped);
    else if (can->state != STATE_ACTIVE)
        driver_say(can->lack,
                   "%s: the controller is error-%s, %" PRId64 " errors so far; check bit rate, "
                   "wiring and termination",
                   can->interface, state_names[can->state], can->errors);
}

static int take_frame(struct can *can, const struct can_linux_frame *frame)
{
    if ((frame->frame.can_id & CAN_ERR_FLAG) != 0) {
        take_error(can, &frame->frame);
        return E_AGAIN;
    }
    struct source *source = find_source(can, frame->frame.can_id & (CAN_EFF_FLAG | CAN_EFF_MASK));
    if (source == NULL || (frame->frame.can_id & CAN_RTR_FLAG) != 0)
        return E_AGAIN;
    int rc = take_signals(can, &frame->frame);
    note_lack(can, frame);
    if (rc == E_DAMAGED)
        driver_say(can->fault, "%s", can->lack);
    if (rc < 0)
        return rc;
    source->is_fresh = true;
    source->boot_ms = boot_ms_of(can, frame);
    return 0;
}

/* ---- reading ---- */

static size_t channel_count(const struct can *can)
{
    return can->signal_count + (can->with_errors ? ERROR_CHANNELS : 0);
}

static void report_source(struct can *can, struct source *source, struct sample *ret_sample)
{
    *ret_sample = (struct sample){.boot_ms = source->boot_ms, .value_count = channel_count(can)};
    for (size_t i = 0; i < can->signal_count; i++)
        if (can->signals[i].id == source->id) {
            ret_sample->values[i] = can->latest[i];
            can->latest[i] = (struct value){.kind = VALUE_ABSENT};
        }
    source->is_fresh = false;
}

static void report_errors(struct can *can, struct sample *ret_sample)
{
    const char *name = state_names[can->state];
    struct value *values = &ret_sample->values[can->signal_count];
    *ret_sample =
        (struct sample){.boot_ms = can->boot_ns / NS_PER_MS, .value_count = channel_count(can)};
    values[0] = (struct value){.kind = VALUE_DECIMAL, .mantissa = can->errors};
    values[1] = (struct value){.kind = VALUE_TEXT, .text = name, .text_bytes = strlen(name)};
    can->errors_due = false;
}

static bool report_next(struct can *can, struct sample *ret_sample)
{
    for (size_t i = 0; i < can->source_count; i++)
        if (can->sources[i].is_fresh) {
            report_source(can, &can->sources[i], ret_sample);
            return true;
        }
    return false;
}

/* A report of the interval follows behind what came before it. */
static bool may_report(struct can *can)
{
    if (!can->has_interval || can->state == STATE_BUS_OFF || can->failure < 0)
        return true;
    if (can->is_due && can->count == BATCH && can->waited < BATCHES_MAX) {
        can->waited++;
        return false;
    }
    return can->is_due;
}

/* The next record; E_AGAIN: none is due. A controller that is bus-off hears nothing more until it
 * is started again. */
static int next_record(struct can *can, struct sample *ret_sample)
{
    while (can->next < can->count) {
        int rc = take_frame(can, &can->frames[can->next++]);
        if (rc < 0 && rc != E_AGAIN)
            return rc;
        if ((rc == 0 || can->errors_due) && !can->has_interval)
            break;
    }
    if (!may_report(can))
        return E_AGAIN;
    if (report_next(can, ret_sample))
        return 0;
    can->is_due = false;
    can->waited = 0;
    if (can->errors_due) {
        report_errors(can, ret_sample);
        return 0;
    }
    return can->state == STATE_BUS_OFF ? say_bus_off(can->interface, can->fault) : E_AGAIN;
}

/* What frames lacked is kept until a record takes it along: with an interval they come long
 * before. */
static int can_read(void *instance, struct sample *ret_sample)
{
    struct can *can = instance;
    if (can->lack_told)
        can->lack[0] = '\0';
    int rc = next_record(can, ret_sample);
    can->lack_told = rc != E_AGAIN;
    return rc;
}

static int can_wait_fd(const void *instance)
{
    const struct can *can = instance;
    return can->ticker.epoll_fd;
}

static const char *can_fault(const void *instance)
{
    const struct can *can = instance;
    return can->fault[0] != '\0' ? can->fault : NULL;
}

static const char *can_lack(const void *instance)
{
    const struct can *can = instance;
    return can->lack[0] != '\0' ? can->lack : NULL;
}

static void can_close(void *instance)
{
    struct can *can = instance;
    ticker_close(&can->ticker);
    if (can->fd >= 0)
        (void)close(can->fd);
    can->fd = -1;
}

const struct driver driver_can = {
    .name = "can",
    .summary = "signals in the frames of a CAN bus (SocketCAN, classic and FD)",
    .keys = keys,
    .limits = limits,
    .instance_bytes = sizeof(struct can),
    .bus_key = "interface",
    .at_events = true,
    .check = signals_check,
    .open = can_open,
    .channels = can_channels,
    .fetch = can_fetch,
    .read = can_read,
    .wait_fd = can_wait_fd,
    .fault = can_fault,
    .lack = can_lack,
    .close = can_close,
};
