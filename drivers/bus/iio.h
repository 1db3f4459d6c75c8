/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_DRIVERS_BUS_IIO_H
#define RUNNEL_DRIVERS_BUS_IIO_H

#include <stdbool.h>
#include <stddef.h>

#include "drivers/driver.h"
#include "drivers/sysfs.h"
#include "platform/base/decimal.h"

/**
 * What the polled and the buffered driver of Industrial I/O have in common: the device and its
 * channels as the kernel lays them out (Documentation/ABI/testing/sysfs-bus-iio).
 */
enum { IIO_ID_BYTES = 48, IIO_ATTRIBUTE_BYTES = 80 };

struct iio_device {
    int directory_fd; /* -1: closed */
    char path[SYSFS_PATH_BYTES];
    char name[SAMPLE_NAME_BYTES];
    unsigned number; /* the N of iio:deviceN */
};

/** One that iio_device_close may be called for. */
#define IIO_DEVICE_CLOSED ((struct iio_device){.directory_fd = -1})

/**
 * Opens the device whose name, label, directory ("iio:device0") or name@place ("ads1015@1-0048",
 * where the place is what the device hangs on) is WANTED; NULL: the only one there is. E_NOT_FOUND;
 * E_INVALID: there are several; E_TOO_BIG; error_sys. Says in FAULT what is there.
 */
int iio_device_open(const char *root, const char *wanted, struct iio_device *ret_device,
                    char *fault);
void iio_device_close(struct iio_device *device);

/** What a type of channel ("voltage") counts once scale and offset are applied. */
struct iio_kind {
    const char *type;
    const char *unit; /* of SenML; "" if it has none for it */
    int shift;        /* the kernel's value times 10^shift is in that unit */
    bool scaled;      /* also where the driver gives no scale */
};

/** A channel: ID is what stands between "in_" and "_raw", such as "voltage0" or "accel_x". */
struct iio_channel {
    char id[IIO_ID_BYTES];
    bool is_input;                    /* "_input": scaled by the kernel */
    char scale[IIO_ATTRIBUTE_BYTES];  /* the attribute; "": none, the value is a bare number */
    char offset[IIO_ATTRIBUTE_BYTES]; /* "": none */
    const struct iio_kind *kind;
    unsigned decimals; /* the usual ones of its values */
};

/** As check of struct driver, for the key "channels" of both. */
const char *iio_check_channels(const struct driver_context *context);

/** Whether WANTED ("voltage,accel_x"; NULL: all) has ID or its type. */
bool iio_is_wanted(const char *wanted, const char *id);

/** The first word of WANTED that stands for none of the COUNT IDS, or NULL; its bytes. */
const char *iio_find_missing(const char *wanted, const char *const *ids, size_t count,
                             size_t *ret_bytes);

/** Sets ret_channel for ID: which attributes scale it, its kind, and the decimals that its unit has
 *  in the kernel's whole numbers. */
void iio_describe(const struct iio_device *device, const char *id, bool is_input,
                  struct iio_channel *ret_channel);

/**
 * The attribute ATTRIBUTE of channel ID, whether its own or shared by its type or by all:
 * in_voltage0_scale, in_voltage_scale, in_scale, scale; FOLDER ("" or "scan_elements/") before
 * each. E_NOT_FOUND.
 */
int iio_find_attribute(const struct iio_device *device, const char *folder, const char *id,
                       const char *attribute, char ret_name[IIO_ATTRIBUTE_BYTES]);

/** Name, unit and decimals of a channel: its label if it has one, else its id. */
void iio_name_channel(const struct iio_device *device, const struct iio_channel *channel,
                      struct channel *ret_channel);

/** How a raw number becomes a value: (raw + offset) * scale, in the unit of SenML. */
struct iio_scale {
    struct decimal factor;
    struct decimal offset;
    unsigned decimals; /* three digits below the step of one raw number, or fewer if exact */
};

/** Of the texts of the attributes, NULL where there is none. E_SYNTAX, E_RANGE. Pure. */
int iio_read_scale(const struct iio_channel *channel, const struct sysfs_raw *factor,
                   const struct sysfs_raw *offset, struct iio_scale *ret_scale);

/** E_RANGE. Pure. */
int iio_scale_raw(const struct iio_scale *scale, struct decimal raw, struct value *ret_value);

/** Of the text of an "_input" attribute, with the channel's usual decimals or with as many more as
 *  it has, at most nine: a record of usual values is smaller. E_SYNTAX, E_RANGE. Pure. */
int iio_read_input(const struct iio_channel *channel, const struct sysfs_raw *text,
                   struct value *ret_value);

/** What to do about an error of reading or writing the device, to stand behind its text; or "". */
const char *iio_hint(int code);

#endif
