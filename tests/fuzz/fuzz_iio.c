/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/bus/iio.h"
#include "drivers/iio_buffer/scan.h"
#include "tests/fuzz/fuzz.h"

/* Lines: the id of a channel, its raw number, scale, offset, the type of its scan element; then the
 * bytes of a scan. What comes out is compared with binary fractions, and bit by bit. */

enum { ELEMENTS = 16, BYTES_MAX = 4096 };

struct input {
    const uint8_t *bytes;
    size_t count;
};

static void take_line(struct input *input, char *line, size_t line_bytes)
{
    size_t count = 0;
    while (count < input->count && input->bytes[count] != '\n')
        count++;
    size_t kept = count < line_bytes - 1 ? count : line_bytes - 1;
    memcpy(line, input->bytes, kept);
    line[kept] = '\0';
    count += count < input->count;
    input->bytes += count;
    input->count -= count;
}

static struct sysfs_raw take_raw(struct input *input)
{
    struct sysfs_raw raw;
    take_line(input, raw.text, sizeof raw.text);
    raw.count = (int)strlen(raw.text);
    return raw;
}

static double as_double(struct decimal value)
{
    return (double)value.mantissa / pow(10, value.decimals);
}

/* Half a digit and what binary fractions lose. */
static void compare(double expected, const struct value *value)
{
    if (value->kind != VALUE_DECIMAL || value->decimals > SAMPLE_DECIMALS_MAX)
        abort();
    double digit = pow(10, -(double)value->decimals);
    double got = (double)value->mantissa * digit;
    if (fabs(got - expected) > 0.501 * digit + fabs(expected) * 1e-9)
        abort();
}

static void check_scale(const struct iio_channel *channel, const struct sysfs_raw *raw,
                        const struct sysfs_raw *factor, const struct sysfs_raw *offset)
{
    struct iio_scale scale;
    struct decimal number;
    struct decimal multiplier;
    struct decimal addend;
    struct value value;
    if (decimal_parse(raw->text, (size_t)raw->count, &number) < 0 ||
        iio_read_scale(channel, factor, offset, &scale) < 0 ||
        iio_scale_raw(&scale, number, &value) < 0)
        return;
    if (decimal_parse(factor->text, (size_t)factor->count, &multiplier) < 0 ||
        decimal_parse(offset->text, (size_t)offset->count, &addend) < 0)
        abort();
    /* Of a factor that has no room for the shift of its unit, digits are gone. */
    if (multiplier.decimals > 9)
        return;
    double left = as_double(number);
    double right = as_double(addend);
    double sum = left + right;
    if (fabs(sum) < 1e-6 * (fabs(left) + fabs(right)))
        return; /* too near to nothing for doubles to tell */
    compare(sum * as_double(multiplier) * pow(10, channel->kind->shift), &value);
}

static void check_input(struct iio_channel *channel, const struct sysfs_raw *text)
{
    struct decimal number;
    struct value value;
    if (iio_read_input(channel, text, &value) < 0)
        return;
    if (decimal_parse(text->text, (size_t)text->count, &number) < 0)
        abort();
    compare(as_double(number) * pow(10, channel->kind->shift), &value);
}

/* Bit by bit, from the highest. */
static void check_number(const struct scan_type *type, const uint8_t *bytes, int64_t number)
{
    for (unsigned bit = 0; bit < 64; bit++) {
        unsigned top = type->bits - 1;
        unsigned from = (bit < top ? bit : top) + type->shift;
        unsigned byte = type->is_big_endian ? type->storage - 1 - from / 8 : from / 8;
        bool set = (bytes[byte] >> from % 8 & 1) != 0;
        if (bit > top && !type->is_signed)
            set = false;
        if (((uint64_t)number >> bit & 1) != set)
            abort();
    }
}

static void check_layout(const struct scan_type *type, const struct input *input)
{
    struct scan_element elements[ELEMENTS];
    size_t count = input->count < ELEMENTS ? input->count : ELEMENTS;
    for (size_t i = 0; i < count; i++) {
        elements[i] = (struct scan_element){.index = input->bytes[i], .type = *type};
        elements[i].type.storage = 1U << (input->bytes[i] & 3);
    }
    int bytes = scan_lay_out(elements, count, BYTES_MAX);
    for (size_t i = 0; bytes >= 0 && i < count; i++) {
        size_t size = (size_t)elements[i].type.storage * elements[i].type.repeat;
        size_t end = i + 1 < count ? elements[i + 1].offset : (size_t)bytes;
        if (elements[i].offset % size != 0 || elements[i].offset + size > end ||
            (size_t)bytes % size != 0)
            abort();
    }
}

static void check_scan(const char *text, const struct input *input)
{
    struct scan_type type;
    int64_t number;
    if (scan_parse_type(text, &type) < 0)
        return;
    check_layout(&type, input);
    if (input->count >= type.storage && scan_decode(&type, input->bytes, &number) == 0)
        check_number(&type, input->bytes, number);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    const struct iio_device device = IIO_DEVICE_CLOSED;
    struct input input = {bytes, count};
    struct iio_channel channel;
    char id[IIO_ID_BYTES];
    char type[32];
    take_line(&input, id, sizeof id);
    struct sysfs_raw raw = take_raw(&input);
    struct sysfs_raw factor = take_raw(&input);
    struct sysfs_raw offset = take_raw(&input);
    take_line(&input, type, sizeof type);
    (void)iio_is_wanted(id, type);
    iio_describe(&device, id, false, &channel);
    (void)strcpy(channel.scale, "scale");
    check_scale(&channel, &raw, &factor, &offset);
    channel.is_input = true;
    check_input(&channel, &raw);
    check_scan(type, &input);
    return 0;
}
