/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drivers/gpio/debounce.h"
#include "drivers/gpio/gpio_linux.h"
#include "drivers/gpio/pulse.h"
#include "platform/base/error.h"
#include "platform/clock.h"
#include "tests/unit/driver_rig.h"

/*
 * Chips that are made of structures as the kernel gives them: the device nodes are empty files, a
 * line that was taken is a pipe into which the test writes struct gpio_v2_line_event.
 */
enum { CHIPS = 2, LINES = 4, MS = 1000000 };

struct fake_line {
    const char *name;
    const char *consumer; /* NULL: free */
    uint64_t flags;
    int level;      /* or an error */
    int refusal;    /* errno of a request; 0: none */
    bool debounces; /* or refuses to */
    struct gpio_v2_line_request request;
    int read_fd, write_fd;
    uint32_t number;
};

struct fake_chip {
    const char *label;
    struct fake_line lines[LINES];
};

static struct bench {
    struct fake_chip chips[CHIPS];
    int64_t shift_ns; /* from the times in the tests, 100000 ms at the start, to the clock */
    int64_t mono_ns;
    int64_t ahead_ns; /* of the other clock: the system slept for 5 s */
} bench;

int __wrap_gpio_linux_chip_info(int chip_fd, struct gpiochip_info *ret_info);
int __wrap_gpio_linux_line_info(int chip_fd, unsigned offset, struct gpio_v2_line_info *ret_info);
int __wrap_gpio_linux_request(int chip_fd, struct gpio_v2_line_request *request);
int __wrap_gpio_linux_level(int line_fd);
void __wrap_gpio_linux_now(int64_t *ret_mono_ns, int64_t *ret_boot_ns);

/* Which of the chips an open node is. */
static unsigned chip_of(int fd)
{
    char link[64];
    char path[RIG_PATH_BYTES];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t count = readlink(link, path, sizeof path - 1);
    assert_true(count > 0);
    unsigned number = (unsigned)(path[count - 1] - '0');
    assert_true(number < CHIPS);
    return number;
}

int __wrap_gpio_linux_chip_info(int chip_fd, struct gpiochip_info *ret_info)
{
    unsigned number = chip_of(chip_fd);
    *ret_info = (struct gpiochip_info){.lines = LINES};
    (void)snprintf(ret_info->name, sizeof ret_info->name, "gpiochip%u", number);
    (void)snprintf(ret_info->label, sizeof ret_info->label, "%s", bench.chips[number].label);
    return 0;
}

int __wrap_gpio_linux_line_info(int chip_fd, unsigned offset, struct gpio_v2_line_info *ret_info)
{
    const struct fake_line *line = &bench.chips[chip_of(chip_fd)].lines[offset];
    *ret_info = (struct gpio_v2_line_info){.offset = offset, .flags = line->flags};
    (void)snprintf(ret_info->name, sizeof ret_info->name, "%s", line->name);
    if (line->consumer != NULL)
        (void)snprintf(ret_info->consumer, sizeof ret_info->consumer, "%s", line->consumer);
    return 0;
}

int __wrap_gpio_linux_request(int chip_fd, struct gpio_v2_line_request *request)
{
    struct fake_line *line = &bench.chips[chip_of(chip_fd)].lines[request->offsets[0]];
    int fds[2];
    assert_int_equal(request->num_lines, 1);
    if (line->consumer != NULL || line->refusal != 0)
        return error_sys(line->consumer != NULL ? EBUSY : line->refusal);
    if (request->config.num_attrs > 0 && !line->debounces)
        return error_sys(EINVAL);
    assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    line->request = *request;
    line->read_fd = fds[0];
    line->write_fd = fds[1];
    line->number = 0;
    return fds[0];
}

int __wrap_gpio_linux_level(int line_fd)
{
    for (unsigned i = 0; i < CHIPS * LINES; i++)
        if (bench.chips[i / LINES].lines[i % LINES].read_fd == line_fd)
            return bench.chips[i / LINES].lines[i % LINES].level;
    fail_msg("no line has this descriptor");
    return 0;
}

void __wrap_gpio_linux_now(int64_t *ret_mono_ns, int64_t *ret_boot_ns)
{
    *ret_mono_ns = bench.mono_ns;
    *ret_boot_ns = bench.mono_ns + bench.ahead_ns;
    bench.mono_ns += 1000; /* no time stands still */
}

static struct fake_line *line_at(unsigned chip, unsigned offset)
{
    return &bench.chips[chip].lines[offset];
}

/* Sets the clock to CLOCK_MS, which the tests call 100000. */
static void start_at(int64_t clock_ms)
{
    bench.shift_ns = (clock_ms - 100000) * MS;
    bench.mono_ns = clock_ms * MS;
    bench.ahead_ns = (int64_t)105000 * MS - bench.mono_ns;
}

static void set_time(int64_t ms)
{
    bench.mono_ns = ms * MS + bench.shift_ns;
}

static int set_up(void **state)
{
    int rc = rig_setup(state);
    bench = (struct bench){0};
    start_at(clock_mono_ms() + 1000000); /* no timer fires by itself */
    for (unsigned i = 0; i < CHIPS * LINES; i++)
        *line_at(i / LINES, i % LINES) =
            (struct fake_line){.name = "", .debounces = true, .read_fd = -1, .write_fd = -1};
    bench.chips[0].label = "pinctrl";
    bench.chips[1].label = "cp2102n";
    line_at(0, 2)->name = "DOOR";
    line_at(1, 3)->name = "METER";
    rig_write(*state, "dev/gpiochip0", "");
    rig_write(*state, "dev/gpiochip1", "");
    ((struct rig *)*state)->context.interval_ms = 1;
    return rc;
}

static void unplug(struct fake_line *line)
{
    if (line->write_fd >= 0)
        (void)close(line->write_fd);
    line->write_fd = -1;
}

static int tear_down(void **state)
{
    for (unsigned i = 0; i < CHIPS * LINES; i++)
        unplug(line_at(i / LINES, i % LINES));
    return rig_teardown(state);
}

static void put(struct fake_line *line, uint32_t id, int64_t time_ns)
{
    const struct gpio_v2_line_event event = {
        .timestamp_ns = (uint64_t)time_ns, .id = id, .line_seqno = ++line->number};
    assert_int_equal(write(line->write_fd, &event, sizeof event), sizeof event);
}

static void rise(struct fake_line *line, int64_t at_ms)
{
    put(line, GPIO_V2_LINE_EVENT_RISING_EDGE, at_ms * MS + bench.shift_ns);
}

static void fall(struct fake_line *line, int64_t at_ms)
{
    put(line, GPIO_V2_LINE_EVENT_FALLING_EDGE, at_ms * MS + bench.shift_ns);
}

static void open_line(struct rig *rig, const char *chip, const char *offset, const char *mode)
{
    rig_set(rig, NULL, NULL);
    rig_set(rig, "chip", chip);
    rig_set(rig, "lines[0].offset", offset);
    rig_set(rig, "lines[0].name", "it");
    rig_set(rig, "lines[0].mode", mode);
}

/* ---- levels ---- */

static void test_levels_come_at_the_start_and_at_each_interval(void **state)
{
    struct rig *rig = *state;
    rig_set(rig, "lines[0].line", "DOOR");
    rig_set(rig, "lines[1].line", "METER");
    rig_set(rig, "lines[1].name", "pulse");
    rig_set(rig, "lines[1].active_low", "true");
    rig_set(rig, "lines[1].bias", "pull-up");
    line_at(0, 2)->level = 1;
    assert_int_equal(rig_open(rig, "gpio"), 0);
    assert_int_equal(rig->channel_count, 2);
    assert_int_equal(rig_next(rig), 0);
    rig_expect(rig, "door", 1, 0, "");
    rig_expect(rig, "pulse", 0, 0, "");
    assert_int_equal(rig->sample.boot_ms, 105000);
    line_at(0, 2)->level = 0;
    line_at(1, 3)->level = 1;
    bench.mono_ns += (int64_t)250 * MS;
    assert_int_equal(rig_wait(rig), 0);
    rig_expect(rig, "door", 0, 0, "");
    rig_expect(rig, "pulse", 1, 0, "");
    assert_int_equal(rig->sample.boot_ms, 105250);
    assert_int_equal(line_at(0, 2)->request.config.flags, GPIO_V2_LINE_FLAG_INPUT);
    assert_int_equal(line_at(1, 3)->request.config.flags, GPIO_V2_LINE_FLAG_INPUT |
                                                              GPIO_V2_LINE_FLAG_ACTIVE_LOW |
                                                              GPIO_V2_LINE_FLAG_BIAS_PULL_UP);
    assert_string_equal(line_at(1, 3)->request.consumer, "runnel bench");
}

static void test_a_chip_has_many_names(void **state)
{
    static const char *const names[] = {"/dev/gpiochip1", "gpiochip1", "1", "cp2102n"};
    struct rig *rig = *state;
    line_at(1, 0)->level = 1;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        open_line(rig, names[i], "0", "value");
        assert_int_equal(rig_open(rig, "gpio"), 0);
        assert_int_equal(rig_next(rig), 0);
        rig_expect(rig, "it", 1, 0, "");
    }
}

static void test_an_output_is_left_what_it_is(void **state)
{
    struct rig *rig = *state;
    line_at(0, 1)->flags = GPIO_V2_LINE_FLAG_OUTPUT;
    open_line(rig, "0", "1", "value");
    assert_int_equal(rig_open(rig, "gpio"), 0);
    assert_int_equal(line_at(0, 1)->request.config.flags, 0);
    open_line(rig, "0", "1", "edge");
    assert_int_equal(rig_open(rig, "gpio"), E_INVALID);
    assert_non_null(strstr(rig->fault, "is an output"));
}

/* ---- edges ---- */

static void test_each_edge_is_a_record_at_its_own_time(void **state)
{
    struct rig *rig = *state;
    rig_set(rig, "lines[0].line", "DOOR");
    rig_set(rig, "lines[0].mode", "edge");
    rig_set(rig, "lines[1].line", "METER");
    rig_set(rig, "lines[1].mode", "edge");
    rig->context.interval_ms = 0;
    assert_int_equal(rig_open(rig, "gpio"), 0);
    assert_int_equal(line_at(0, 2)->request.config.flags, GPIO_V2_LINE_FLAG_INPUT |
                                                              GPIO_V2_LINE_FLAG_EDGE_RISING |
                                                              GPIO_V2_LINE_FLAG_EDGE_FALLING);
    assert_int_equal(line_at(0, 2)->request.event_buffer_size, 256);
    assert_int_equal(rig_next(rig), 0); /* as they are at the start */
    rig_expect(rig, "door", 0, 0, "");
    assert_int_equal(rig_next(rig), E_AGAIN);
    rise(line_at(0, 2), 100010);
    fall(line_at(0, 2), 100030);
    rise(line_at(1, 3), 100020);
    bench.mono_ns += (int64_t)50 * MS;
    assert_int_equal(rig_next(rig), 0);
    assert_int_equal(rig->sample.boot_ms, 105010);
    rig_expect(rig, "door", 1, 0, "");
    rig_expect_absent(rig, "meter");
    assert_int_equal(rig_next(rig), 0);
    assert_int_equal(rig->sample.boot_ms, 105020);
    rig_expect(rig, "meter", 1, 0, "");
    rig_expect_absent(rig, "door");
    assert_int_equal(rig_next(rig), 0);
    assert_int_equal(rig->sample.boot_ms, 105030);
    rig_expect(rig, "door", 0, 0, "");
    assert_int_equal(rig_next(rig), E_AGAIN);
    assert_null(rig->driver->lack(rig->instance));
}

static void test_the_descriptor_waits_for_edges(void **state)
{
    struct rig *rig = *state;
    open_line(rig, "0", "0", "edge");
    rig->context.interval_ms = 0;
    assert_int_equal(rig_open(rig, "gpio"), 0);
    assert_int_equal(rig_next(rig), 0);
    struct pollfd ready = {.fd = rig->driver->wait_fd(rig->instance), .events = POLLIN};
    assert_int_equal(poll(&ready, 1, 0), 0);
    rise(line_at(0, 0), 100000);
    assert_int_equal(poll(&ready, 1, 10000), 1);
    assert_int_equal(rig_next(rig), 0);
    assert_int_equal(poll(&ready, 1, 0), 0);
}

static void test_lost_edges_are_said_and_counted(void **state)
{
    struct rig *rig = *state;
    open_line(rig, "0", "0", "edge");
    rig_set(rig, "lines[0].edge", "rising");
    rig_set(rig, "lines[1].offset", "0");
    rig_set(rig, "lines[1].mode", "count");
    rig_set(rig, "lines[1].name", "n");
    assert_int_equal(rig_open(rig, "gpio"), 0);
    assert_int_equal(rig_next(rig), 0);
    rise(line_at(0, 0), 100001);
    line_at(0, 0)->number += 7; /* the kernel's buffer was full */
    rise(line_at(0, 0), 100002);
    assert_int_equal(rig_next(rig), 0);
    assert_null(rig->driver->lack(rig->instance));
    assert_int_equal(rig_next(rig), 0);
    assert_non_null(strstr(rig->driver->lack(rig->instance), "7 edges were lost"));
    assert_int_equal(rig_wait(rig), 0);
    rig_expect(rig, "n", 9, 0, "count");
    assert_null(rig->driver->lack(rig->instance));
}

static void test_draining_takes_what_is_there(void **state)
{
    struct rig *rig = *state;
    open_line(rig, "0", "0", "edge");
    rig->context.drain = true;
    rig->context.interval_ms = 0;
    assert_int_equal(rig_open(rig, "gpio"), 0);
    rise(line_at(0, 0), 100000);
    assert_int_equal(rig_next(rig), 0);
    assert_int_equal(rig_next(rig), 0);
    assert_int_equal(rig_next(rig), E_END);
}

/* ---- pulses ---- */

static void set_meter(struct rig *rig)
{
    static const char *const modes[] = {"count", "delta", "frequency"};
    rig_set(rig, NULL, NULL);
    rig_set(rig, "lines[0].line", "METER");
    rig_set(rig, "lines[1].line", "METER");
    rig_set(rig, "lines[2].line", "METER");
    static const char *const mode_keys[] = {"lines[0].mode", "lines[1].mode", "lines[2].mode"};
    static const char *const name_keys[] = {"lines[0].name", "lines[1].name", "lines[2].name"};
    for (size_t i = 0; i < 3; i++) {
        rig_set(rig, mode_keys[i], modes[i]);
        rig_set(rig, name_keys[i], modes[i]);
    }
    rig_set(rig, "lines[0].per_pulse", "0.001");
    rig_set(rig, "lines[0].unit", "m3");
    rig_set(rig, "lines[2].per_pulse", "60");
    rig_set(rig, "lines[2].unit", "1/min");
}

static void test_pulses_are_counted_and_timed_on_one_line(void **state)
{
    struct rig *rig = *state;
    set_meter(rig);
    assert_int_equal(rig_open(rig, "gpio"), 0);
    assert_int_equal(rig_next(rig), 0);
    rig_expect(rig, "count", 0, 3, "m3");
    rig_expect(rig, "delta", 0, 0, "count");
    rig_expect_absent(rig, "frequency");
    rig_wait_ready(rig); /* the slot is due, and what came before it is more than one batch */
    for (int64_t i = 0; i < 41; i++)
        rise(line_at(1, 3), 100000 + 30 * i);
    bench.mono_ns += (int64_t)1300 * MS;
    assert_int_equal(rig_wait(rig), 0);
    rig_expect(rig, "count", 41, 3, "m3");
    rig_expect(rig, "delta", 41, 0, "count");
    rig_expect(rig, "frequency", 2000000, 3, "1/min"); /* 40 in 1.2 s */
    rise(line_at(1, 3), 101230);
    assert_int_equal(rig_wait(rig), 0);
    rig_expect(rig, "count", 42, 3, "m3");
    rig_expect(rig, "delta", 1, 0, "count");
    rig_expect(rig, "frequency", 2000000, 3, "1/min");
    assert_int_equal(rig_wait(rig), 0);
    rig_expect(rig, "delta", 0, 0, "count");
    rig_expect(rig, "frequency", 0, 3, "1/min"); /* 70 ms are more than twice 30 */
}

static int64_t millihertz(struct pulse *pulse, int64_t now_ms)
{
    uint64_t count = 0;
    int64_t span_ns = 0;
    if (!pulse_measure(pulse, now_ms * MS, &count, &span_ns))
        return -1;
    assert_true(span_ns > 0);
    return (int64_t)count * 1000000 * MS / span_ns;
}

static void test_slow_pulses_have_a_rate_and_a_standstill_ends(void **state)
{
    struct pulse pulse = {0};
    (void)state;
    assert_int_equal(millihertz(&pulse, 1000), 0);
    assert_int_equal(pulse_add(&pulse, 1, (int64_t)1500 * MS), 0);
    assert_int_equal(millihertz(&pulse, 2000), -1); /* one edge is no period */
    assert_int_equal(millihertz(&pulse, 3000), 0);
    assert_int_equal(pulse_add(&pulse, 2, (int64_t)11500 * MS), 0);
    assert_int_equal(millihertz(&pulse, 12000), 100);
    assert_int_equal(millihertz(&pulse, 20000), -1); /* the next is not overdue yet */
    assert_int_equal(millihertz(&pulse, 31000), -1);
    assert_int_equal(millihertz(&pulse, 32000), 0);
    assert_int_equal(pulse_add(&pulse, 3, (int64_t)3600000 * MS), 0);
    assert_int_equal(millihertz(&pulse, 3600500), -1); /* not one pulse in an hour */
    assert_int_equal(pulse_add(&pulse, 4, (int64_t)3601000 * MS), 0);
    assert_int_equal(pulse_add(&pulse, 5, (int64_t)3601500 * MS), 0);
    assert_int_equal(millihertz(&pulse, 3602000), 1333);
    for (uint32_t i = 0; i < 5; i++) /* after a pause of a minute */
        assert_int_equal(pulse_add(&pulse, 6 + i, (3660000 + 100 * (int64_t)i) * MS), 0);
    assert_int_equal(millihertz(&pulse, 3660500), 10000);
    assert_int_equal(pulse.total, 10);
}

static void test_numbers_wrap_and_nonsense_counts_once(void **state)
{
    struct pulse pulse = {.number = UINT32_MAX};
    (void)state;
    assert_int_equal(pulse_add(&pulse, 1, 5), 1); /* 0 is missing */
    assert_int_equal(pulse_add(&pulse, 1, 5), 0);
    assert_int_equal(pulse_add(&pulse, 0, 5), 0);
    assert_int_equal(pulse.total, 4);
    assert_int_equal(pulse_delta(&pulse), 4);
    assert_int_equal(pulse_delta(&pulse), 0);
}

/* ---- debouncing ---- */

static void test_the_kernel_debounces_where_it_can(void **state)
{
    struct rig *rig = *state;
    open_line(rig, "0", "0", "count");
    rig_set(rig, "lines[0].debounce", "20ms");
    assert_int_equal(rig_open(rig, "gpio"), 0);
    const struct gpio_v2_line_config *config = &line_at(0, 0)->request.config;
    assert_int_equal(config->num_attrs, 1);
    assert_int_equal(config->attrs[0].mask, 1);
    assert_int_equal(config->attrs[0].attr.id, GPIO_V2_LINE_ATTR_ID_DEBOUNCE);
    assert_int_equal(config->attrs[0].attr.debounce_period_us, 20000);
    assert_int_equal(config->flags, GPIO_V2_LINE_FLAG_INPUT | GPIO_V2_LINE_FLAG_EDGE_RISING);
}

static void test_we_debounce_where_the_chip_refuses(void **state)
{
    struct rig *rig = *state;
    struct fake_line *line = line_at(0, 0);
    line->debounces = false;
    start_at(clock_mono_ms());
    open_line(rig, "0", "0", "edge");
    rig_set(rig, "lines[0].debounce", "20ms");
    rig->context.interval_ms = 0;
    assert_int_equal(rig_open(rig, "gpio"), 0);
    assert_int_equal(line->request.config.num_attrs, 0);
    assert_int_equal(rig_next(rig), 0);
    rise(line, 100000);
    fall(line, 100003); /* bounces */
    rise(line, 100005);
    set_time(100010);
    assert_int_equal(rig_next(rig), E_AGAIN);
    set_time(100025);
    struct pollfd ready = {.fd = rig->driver->wait_fd(rig->instance), .events = POLLIN};
    assert_int_equal(poll(&ready, 1, 10000), 1); /* its own timer: no edge comes any more */
    assert_int_equal(rig_next(rig), 0);
    rig_expect(rig, "it", 1, 0, "");
    assert_int_equal(rig->sample.boot_ms, 105005);
    fall(line, 100100); /* lasts, and the next edge shows it */
    rise(line, 100200);
    fall(line, 100201);
    set_time(100202);
    assert_int_equal(rig_next(rig), 0);
    rig_expect(rig, "it", 0, 0, "");
    assert_int_equal(rig->sample.boot_ms, 105100);
    assert_int_equal(rig_next(rig), E_AGAIN);
}

/* More bounces wait than are read at once: none of them is a level that lasts. */
static void test_a_long_burst_of_bounces_is_one_edge(void **state)
{
    struct rig *rig = *state;
    struct fake_line *line = line_at(0, 0);
    line->debounces = false;
    start_at(clock_mono_ms());
    open_line(rig, "0", "0", "edge");
    rig_set(rig, "lines[0].debounce", "20ms");
    rig->context.interval_ms = 0;
    assert_int_equal(rig_open(rig, "gpio"), 0);
    assert_int_equal(rig_next(rig), 0);
    for (int64_t at_ms = 100000; at_ms < 100030; at_ms += 2) {
        fall(line, at_ms);
        rise(line, at_ms + 1);
    }
    set_time(100500);
    assert_int_equal(rig_next(rig), 0);
    rig_expect(rig, "it", 1, 0, "");
    assert_int_equal(rig->sample.boot_ms, 105029);
    assert_int_equal(rig_next(rig), E_AGAIN);
}

/* The kernel's numbers tell, and the next record says it. */
static void test_bounces_that_were_lost_are_said(void **state)
{
    struct rig *rig = *state;
    struct fake_line *line = line_at(0, 0);
    line->debounces = false;
    start_at(clock_mono_ms());
    open_line(rig, "0", "0", "count");
    rig_set(rig, "lines[0].debounce", "20ms");
    assert_int_equal(rig_open(rig, "gpio"), 0);
    assert_int_equal(rig_next(rig), 0);
    rise(line, 100000);
    line->number += 5;
    fall(line, 100001);
    set_time(100002);
    assert_int_equal(rig->driver->fetch(rig->instance, 0), 0);
    assert_int_equal(rig->driver->read(rig->instance, &rig->sample), E_AGAIN);
    assert_int_equal(rig_wait(rig), 0);
    assert_non_null(strstr(rig->driver->lack(rig->instance), "5 edges were lost so far"));
    assert_int_equal(rig_wait(rig), 0);
    assert_null(rig->driver->lack(rig->instance));
}

static void test_bounces_are_not_counted(void **state)
{
    struct rig *rig = *state;
    struct fake_line *line = line_at(0, 0);
    line->debounces = false;
    open_line(rig, "0", "0", "count");
    rig_set(rig, "lines[0].debounce", "5ms");
    assert_int_equal(rig_open(rig, "gpio"), 0);
    assert_int_equal(rig_next(rig), 0);
    assert_int_equal(line->request.config.flags, GPIO_V2_LINE_FLAG_INPUT |
                                                     GPIO_V2_LINE_FLAG_EDGE_RISING |
                                                     GPIO_V2_LINE_FLAG_EDGE_FALLING);
    for (int64_t pulse = 0; pulse < 10; pulse++) {
        rise(line, 100000 + 100 * pulse);
        fall(line, 100001 + 100 * pulse);
        rise(line, 100002 + 100 * pulse);
        fall(line, 100050 + 100 * pulse);
        rise(line, 100051 + 100 * pulse);
        fall(line, 100052 + 100 * pulse);
    }
    set_time(101000);
    assert_int_equal(rig_wait(rig), 0);
    rig_expect(rig, "it", 10, 0, "count");
}

/* ---- what goes wrong ---- */

static void test_what_is_in_the_way_is_named(void **state)
{
    static const struct {
        int number;
        const char *says;
    } refusals[] = {{ENXIO, "no interrupt"}, {EINVAL, "refuses"}, {EPERM, "may not be taken"}};
    struct rig *rig = *state;
    line_at(0, 2)->consumer = "heartbeat";
    line_at(0, 2)->flags = GPIO_V2_LINE_FLAG_OUTPUT | GPIO_V2_LINE_FLAG_USED;
    rig_set(rig, "lines[0].line", "DOOR");
    rig_set(rig, "lines[0].mode", "edge");
    assert_int_equal(error_errno(rig_open(rig, "gpio")), EBUSY);
    assert_non_null(strstr(rig->fault, "/dev/gpiochip0: line 2 (DOOR) is in use by \"heartbeat\""));
    line_at(0, 2)->consumer = NULL;
    line_at(0, 2)->flags = 0;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        line_at(0, 2)->refusal = refusals[i].number;
        assert_int_equal(error_errno(rig_open(rig, "gpio")), refusals[i].number);
        assert_non_null(strstr(rig->fault, refusals[i].says));
    }
}

static void test_what_is_absent_is_named(void **state)
{
    struct rig *rig = *state;
    rig_set(rig, "lines[0].line", "WINDOW");
    assert_int_equal(rig_open(rig, "gpio"), E_NOT_FOUND);
    assert_non_null(strstr(rig->fault, "no line of any chip is called WINDOW"));
    open_line(rig, "ftdi", "0", "value");
    assert_int_equal(rig_open(rig, "gpio"), E_NOT_FOUND);
    assert_non_null(strstr(rig->fault, "gpiochip1 (cp2102n)"));
    open_line(rig, "0", "4", "value");
    assert_int_equal(rig_open(rig, "gpio"), E_NOT_FOUND);
    assert_non_null(strstr(rig->fault, "lines 0 to 3"));
    open_line(rig, "/dev/gpiochip7", "0", "value");
    assert_int_equal(error_errno(rig_open(rig, "gpio")), ENOENT);
    assert_non_null(strstr(rig->fault, "/dev/gpiochip7"));
    rig_remove(rig, "dev/gpiochip0");
    rig_remove(rig, "dev/gpiochip1");
    open_line(rig, "0", "0", "value");
    assert_int_equal(rig_open(rig, "gpio"), E_NOT_FOUND);
    assert_non_null(strstr(rig->fault, "CONFIG_GPIO_CDEV"));
}

static void test_two_of_a_name_are_refused(void **state)
{
    struct rig *rig = *state;
    line_at(1, 0)->name = "DOOR";
    rig_set(rig, "lines[0].line", "DOOR");
    assert_int_equal(rig_open(rig, "gpio"), E_INVALID);
    assert_non_null(strstr(rig->fault, "2 lines are called DOOR"));
    bench.chips[1].label = "pinctrl";
    open_line(rig, "pinctrl", "0", "value");
    assert_int_equal(rig_open(rig, "gpio"), E_INVALID);
    assert_non_null(strstr(rig->fault, "2 chips are called pinctrl"));
}

static void test_one_line_by_two_names_has_one_setting(void **state)
{
    struct rig *rig = *state;
    rig_set(rig, "chip", "0");
    rig_set(rig, "lines[0].line", "DOOR");
    rig_set(rig, "lines[0].mode", "count");
    rig_set(rig, "lines[1].offset", "2");
    rig_set(rig, "lines[1].mode", "count");
    assert_int_equal(rig_open(rig, "gpio"), 0);
    assert_string_equal(rig->channels[0].name, "door");
    assert_string_equal(rig->channels[1].name, "door_2");
    rig_set(rig, "lines[1].edge", "falling");
    assert_int_equal(rig_open(rig, "gpio"), E_INVALID);
    assert_non_null(strstr(rig->fault, "is there twice"));
    rig_set(rig, NULL, NULL);
    rig_set(rig, "lines[0].line", "DOOR"); /* wants the value alone */
    rig_set(rig, "lines[1].line", "DOOR");
    rig_set(rig, "lines[1].mode", "count");
    assert_int_equal(rig_open(rig, "gpio"), 0);
    assert_int_equal(line_at(0, 2)->request.config.flags,
                     GPIO_V2_LINE_FLAG_INPUT | GPIO_V2_LINE_FLAG_EDGE_RISING);
}

static void test_an_unplugged_chip_is_noticed_and_comes_back(void **state)
{
    struct rig *rig = *state;
    open_line(rig, "cp2102n", "3", "count");
    assert_int_equal(rig_open(rig, "gpio"), 0);
    assert_int_equal(rig_next(rig), 0);
    rise(line_at(1, 3), 100000);
    assert_int_equal(rig_wait(rig), 0);
    unplug(line_at(1, 3));
    assert_int_equal(rig_wait(rig), E_CLOSED);
    assert_non_null(strstr(rig->driver->fault(rig->instance), "unplugged"));
    rig_remove(rig, "dev/gpiochip1");
    assert_int_equal(rig_open(rig, "gpio"), E_NOT_FOUND);
    rig_write(rig, "dev/gpiochip1", "");
    assert_int_equal(rig_open(rig, "gpio"), 0);
    assert_int_equal(rig_next(rig), 0);
    rig_expect(rig, "it", 0, 0, "count");
    line_at(1, 3)->level = error_sys(ENODEV);
    assert_int_equal(error_errno(rig_wait(rig)), ENODEV);
    assert_non_null(strstr(rig->driver->fault(rig->instance), "line 3 (METER)"));
}

static void test_unplugging_is_noticed_where_only_edges_count(void **state)
{
    struct rig *rig = *state;
    open_line(rig, "cp2102n", "3", "edge");
    rig->context.interval_ms = 0;
    assert_int_equal(rig_open(rig, "gpio"), 0);
    assert_int_equal(rig_next(rig), 0);
    rig_write(rig, "dev/another", "");
    rig_remove(rig, "dev/another");
    rig_wait_ready(rig);
    assert_int_equal(rig_next(rig), E_AGAIN); /* it was not ours */
    line_at(1, 3)->level = error_sys(ENODEV);
    rig_remove(rig, "dev/gpiochip1");
    assert_int_equal(error_errno(rig_wait(rig)), ENODEV);
}

static void test_events_that_no_kernel_sends_do_no_harm(void **state)
{
    struct rig *rig = *state;
    struct fake_line *line = line_at(0, 0);
    open_line(rig, "0", "0", "edge");
    rig->context.interval_ms = 0;
    assert_int_equal(rig_open(rig, "gpio"), 0);
    assert_int_equal(rig_next(rig), 0);
    put(line, 77, -1);
    put(line, 0, 0);
    put(line, GPIO_V2_LINE_EVENT_RISING_EDGE, INT64_MAX);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(rig_next(rig), 0);
        assert_int_equal(rig->sample.boot_ms, 105000); /* when they were read */
    }
    assert_int_equal(write(line->write_fd, "half an event", 13), 13);
    assert_int_equal(rig_next(rig), E_AGAIN);
}

/* ---- the settings ---- */

static void test_settings_are_checked(void **state)
{
    static const struct {
        const char *key, *value, *at;
    } faults[] = {{"lines[0].line", "DOOR", "lines[0].offset"},
                  {"lines[0].edge", "rising", "lines[0].edge"},
                  {"lines[0].unit", "m3", "lines[0].unit"},
                  {"lines[0].debounce", "61s", "lines[0].debounce"},
                  {"lines[1].mode", "edge", "lines[1].mode"},
                  {"lines[1].offset", "0", NULL},
                  {"lines[1].line", "a name of more than thirty-one.c", "lines[1].line"}};
    struct rig *rig = *state;
    const struct driver *driver = driver_find("gpio");
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        open_line(rig, "0", "0", "value");
        rig_set(rig, faults[i].key, faults[i].value);
        const char *at = driver->check(&rig->context);
        if (faults[i].at == NULL)
            assert_null(at);
        else
            assert_string_equal(at, faults[i].at);
    }
    rig_set(rig, NULL, NULL);
    assert_string_equal(driver->check(&rig->context), "lines");
    rig_set(rig, "lines[0].offset", "1");
    assert_string_equal(driver->check(&rig->context), "lines[0].offset"); /* of which chip? */
}

static void test_settings_of_pulses_are_checked(void **state)
{
    struct rig *rig = *state;
    const struct driver *driver = driver_find("gpio");
    open_line(rig, "0", "0", "count");
    rig_set(rig, "lines[0].per_pulse", "-1");
    assert_string_equal(driver->check(&rig->context), "lines[0].per_pulse");
    open_line(rig, "0", "0", "count");
    rig_set(rig, "lines[1].offset", "0");
    rig_set(rig, "lines[1].mode", "frequency");
    assert_null(driver->check(&rig->context));
    rig_set(rig, "lines[1].bias", "disabled");
    assert_string_equal(driver->check(&rig->context), "lines[1].offset");
    open_line(rig, "0", "0", "count");
    rig->context.interval_ms = 0;
    assert_string_equal(driver->check(&rig->context), "interval");
    rig_set(rig, "lines[1].offset", "1");
    rig_set(rig, "lines[1].name", "it");
    rig->context.interval_ms = 1;
    assert_string_equal(driver->check(&rig->context), "lines[1].name");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_levels_come_at_the_start_and_at_each_interval),
        TEST(test_a_chip_has_many_names),
        TEST(test_an_output_is_left_what_it_is),
        TEST(test_each_edge_is_a_record_at_its_own_time),
        TEST(test_the_descriptor_waits_for_edges),
        TEST(test_lost_edges_are_said_and_counted),
        TEST(test_draining_takes_what_is_there),
        TEST(test_pulses_are_counted_and_timed_on_one_line),
        cmocka_unit_test(test_slow_pulses_have_a_rate_and_a_standstill_ends),
        cmocka_unit_test(test_numbers_wrap_and_nonsense_counts_once),
        TEST(test_the_kernel_debounces_where_it_can),
        TEST(test_we_debounce_where_the_chip_refuses),
        TEST(test_a_long_burst_of_bounces_is_one_edge),
        TEST(test_bounces_that_were_lost_are_said),
        TEST(test_bounces_are_not_counted),
        TEST(test_what_is_in_the_way_is_named),
        TEST(test_what_is_absent_is_named),
        TEST(test_two_of_a_name_are_refused),
        TEST(test_one_line_by_two_names_has_one_setting),
        TEST(test_an_unplugged_chip_is_noticed_and_comes_back),
        TEST(test_unplugging_is_noticed_where_only_edges_count),
        TEST(test_events_that_no_kernel_sends_do_no_harm),
        TEST(test_settings_are_checked),
        TEST(test_settings_of_pulses_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
