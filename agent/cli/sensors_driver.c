/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "agent/cli/cli.h"
#include "agent/cli/sensors.h"
#include "agent/control/text.h"
#include "drivers/driver.h"
#include "platform/base/error.h"
#include "platform/json/json_write.h"

static const char *const kinds[] = {
    [DRIVER_KEY_TEXT] = "text",         [DRIVER_KEY_INTEGER] = "whole number",
    [DRIVER_KEY_DECIMAL] = "number",    [DRIVER_KEY_BOOLEAN] = "true or false",
    [DRIVER_KEY_DURATION] = "duration", [DRIVER_KEY_SIZE] = "size",
    [DRIVER_KEY_UNIT] = "SenML unit",
};

static const char *kind_of(const struct driver *driver)
{
    return driver->wait_fd != NULL ? "stream" : "polled";
}

/* ---- all of them ---- */

void sensors_driver_list_text(struct writer *out)
{
    const char *name;
    char head[32];
    char symbol[DRIVER_SYMBOL_BYTES];
    text_line(out, "drivers of this program; runnel sensors --driver NAME tells their keys");
    for (size_t i = 0; driver_at(i) != NULL; i++) {
        (void)snprintf(head, sizeof head, "%-10s ", driver_at(i)->name);
        text_headed(out, head, driver_at(i)->summary);
    }
    if (driver_left_out_at(0) != NULL)
        text_line(out, "left out of it");
    for (size_t i = 0; (name = driver_left_out_at(i)) != NULL; i++) {
        driver_symbol(name, symbol);
        text_line(out, "  %-10s %s brings it", name, symbol);
    }
}

void sensors_driver_list_json(struct json_write *json)
{
    const char *name;
    char symbol[DRIVER_SYMBOL_BYTES];
    json_write_object_begin(json, "drivers");
    for (size_t i = 0; driver_at(i) != NULL; i++) {
        json_write_object_begin(json, driver_at(i)->name);
        json_write_text(json, "summary", driver_at(i)->summary);
        json_write_text(json, "kind", kind_of(driver_at(i)));
        json_write_object_end(json);
    }
    json_write_object_end(json);
    json_write_object_begin(json, "left_out");
    for (size_t i = 0; (name = driver_left_out_at(i)) != NULL; i++) {
        driver_symbol(name, symbol);
        json_write_text(json, name, symbol);
    }
    json_write_object_end(json);
}

/* ---- the keys of one ---- */

/* "a|b|c" with room to break the line in. */
static void choices_text(const char *choices, struct writer *out)
{
    char list[512];
    size_t used = 0;
    for (; *choices != '\0' && used + 3 < sizeof list; choices++) {
        list[used++] = *choices == '|' ? ',' : *choices;
        if (*choices == '|')
            list[used++] = ' ';
    }
    list[used] = '\0';
    text_headed(out, "    one of ", list);
}

static void key_text(const struct driver *driver, const struct driver_key *key, struct writer *out)
{
    char head[160] = "";
    const struct driver_limit *limit = driver_limit_of(driver, key->name);
    if (limit != NULL && limit->choices == NULL)
        (void)snprintf(head, sizeof head, " from %" PRId64 " to %" PRId64, limit->low, limit->high);
    text_line(out, "  %-20s %s%s%s", key->name, kinds[key->kind], head,
              key->required ? ", required" : "");
    text_headed(out, "    ", key->help);
    if (limit != NULL && limit->choices != NULL)
        choices_text(limit->choices, out);
}

static void driver_text(const struct driver *driver, struct writer *out)
{
    text_line(out, "%s (%s)", driver->name, kind_of(driver));
    text_paragraph(out, driver->summary);
    text_line(out, "keys beside name, driver, interval, timeout, lane, tags and transforms");
    for (const struct driver_key *key = driver->keys; key->name != NULL; key++)
        key_text(driver, key, out);
    if (driver->bus_key != NULL && !driver->alone && driver->wait_fd == NULL)
        text_line(out, "sensors with the same \"%s\" wait for each other, others do not",
                  driver->bus_key);
}

static void key_json(const struct driver *driver, const struct driver_key *key,
                     struct json_write *json)
{
    const struct driver_limit *limit = driver_limit_of(driver, key->name);
    json_write_object_begin(json, key->name);
    json_write_text(json, "type", kinds[key->kind]);
    json_write_boolean(json, "required", key->required);
    json_write_text(json, "help", key->help);
    if (limit != NULL && limit->choices != NULL)
        json_write_text(json, "choices", limit->choices);
    if (limit != NULL && limit->choices == NULL) {
        json_write_signed(json, "low", limit->low);
        json_write_signed(json, "high", limit->high);
    }
    json_write_object_end(json);
}

static void driver_json(const struct driver *driver, struct writer *out)
{
    struct json_write json;
    json_write_start(&json, out);
    json_write_object_begin(&json, NULL);
    json_write_text(&json, "name", driver->name);
    json_write_text(&json, "summary", driver->summary);
    json_write_text(&json, "kind", kind_of(driver));
    json_write_text(&json, "bus_key",
                    driver->alone || driver->wait_fd != NULL ? NULL : driver->bus_key);
    json_write_object_begin(&json, "keys");
    for (const struct driver_key *key = driver->keys; key->name != NULL; key++)
        key_json(driver, key, &json);
    json_write_object_end(&json);
    json_write_object_end(&json);
    writer_char(out, '\n');
}

static int refuse(const char *name)
{
    char symbol[DRIVER_SYMBOL_BYTES];
    if (driver_left_out(name)) {
        driver_symbol(name, symbol);
        return cli_left_out(name, symbol);
    }
    cli_fault("--driver", name, "is no driver of this version; runnel sensors lists all");
    return CLI_USAGE;
}

static int write_out(void *context, const uint8_t *bytes, size_t count)
{
    return fwrite(bytes, 1, count, context) == count ? E_OK : E_CLOSED;
}

int sensors_driver(const char *name, bool json)
{
    const struct driver *driver = driver_find(name);
    char buffer[512];
    struct writer out;
    if (driver == NULL)
        return refuse(name);
    writer_to_function(&out, buffer, sizeof buffer, write_out, stdout);
    if (json)
        driver_json(driver, &out);
    else
        driver_text(driver, &out);
    return writer_finish(&out) < 0 ? CLI_FAILED : CLI_DONE;
}
