/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "agent/control/config.h"
#include "agent/control/schema.h"
#include "drivers/driver.h"
#include "platform/base/error.h"
#include "platform/json/json_write.h"

/*
 * Every key of runnel.json and of the drivers, as their tables have it, in one JSON document for
 * reference.py: the tables compiled with their texts. A program that Kconfig left something out of
 * has no whole reference: the exit code is then 77, and stderr says what is missing.
 */

#ifndef RUNNEL_REFERENCE
#error "compile it, and agent/control/schema*.c, with RUNNEL_REFERENCE"
#endif

enum { EXIT_LEFT_OUT = 77, PATH_BYTES = 128 };

struct page {
    struct json_write json;
    bool left_out;
};

static const char *const kinds[] = {
    [SCHEMA_TEXT] = "text",           [SCHEMA_NAME] = "name",
    [SCHEMA_DURATION] = "duration",   [SCHEMA_SIZE] = "size",
    [SCHEMA_RATE] = "rate",           [SCHEMA_FREQUENCY] = "frequency",
    [SCHEMA_INTEGER] = "integer",     [SCHEMA_DECIMAL] = "number",
    [SCHEMA_PERCENT] = "percentage",  [SCHEMA_BOOLEAN] = "boolean",
    [SCHEMA_CHOICE] = "choice",       [SCHEMA_LANES] = "lanes",
    [SCHEMA_WORDS] = "words",         [SCHEMA_TAGS] = "tags",
    [SCHEMA_TEXTS] = "texts",         [SCHEMA_TRANSFORMS] = "transforms",
    [SCHEMA_PARTITION] = "partition", [SCHEMA_OBJECT] = "object",
    [SCHEMA_LIST] = "list",           [SCHEMA_MAP] = "map",
    [SCHEMA_ABSENT] = "absent",
};

static const char *const driver_kinds[] = {
    [DRIVER_KEY_TEXT] = "text",         [DRIVER_KEY_INTEGER] = "integer",
    [DRIVER_KEY_DECIMAL] = "number",    [DRIVER_KEY_BOOLEAN] = "boolean",
    [DRIVER_KEY_DURATION] = "duration", [DRIVER_KEY_SIZE] = "size",
    [DRIVER_KEY_UNIT] = "unit",
};

static void leave_out(struct page *page, const char *what)
{
    page->left_out = true;
    (void)fprintf(stderr, "reference_keys: %s is not in this program\n", what);
}

static void put_limits(struct page *page, int64_t low, int64_t high, const char *choices)
{
    json_write_signed(&page->json, "low", low);
    json_write_signed(&page->json, "high", high);
    json_write_text(&page->json, "choices", choices);
}

/* ---- runnel.json ---- */

/* Choices that Kconfig left out stand behind a blank or nothing, with "|" in front of each. */
static bool lacks_a_choice(const struct schema_key *key)
{
    return key->left_out != NULL && key->left_out[strspn(key->left_out, " ")] != '\0';
}

static void put_key(struct page *page, const char *path, const char *only,
                    const struct schema_key *key)
{
    if (key->kind == SCHEMA_ABSENT || lacks_a_choice(key))
        leave_out(page, path);
    json_write_object_begin(&page->json, NULL);
    json_write_text(&page->json, "path", path);
    json_write_text(&page->json, "does", key->does);
    json_write_text(&page->json, "kind", kinds[key->kind]);
    json_write_text(&page->json, "only", only);
    json_write_text(&page->json, "standard", key->standard);
    json_write_boolean(&page->json, "required", key->required);
    put_limits(page, key->low, key->high, key->choices);
    json_write_object_end(&page->json);
}

static void put_table(struct page *page, const char *path, const char *only,
                      const struct schema_table *table);

/* PATH ends in a dot or is empty. */
static void put_keys(struct page *page, const char *path, const char *only,
                     const struct schema_key *keys)
{
    for (const struct schema_key *key = keys; key->name != NULL; key++) {
        char own[PATH_BYTES];
        const char *below = key->kind == SCHEMA_LIST  ? "[]."
                            : key->kind == SCHEMA_MAP ? ".*."
                                                      : ".";
        (void)snprintf(own, sizeof own, "%s%s", path, key->name);
        put_key(page, own, only, key);
        (void)snprintf(own, sizeof own, "%s%s%s", path, key->name, below);
        if (key->members != NULL)
            put_table(page, own, only, key->members);
    }
}

static void put_table(struct page *page, const char *path, const char *only,
                      const struct schema_table *table)
{
    put_keys(page, path, only, table->keys);
    for (const struct schema_part *part = table->parts; part != NULL && part->only != NULL; part++)
        put_keys(page, path, part->only, part->keys);
}

static void put_transform(struct page *page, const struct schema_transform *transform)
{
    char path[PATH_BYTES];
    const struct schema_key as_key = {
        .name = transform->name, .does = transform->does, .kind = SCHEMA_OBJECT};
    (void)snprintf(path, sizeof path, "transforms[].%s", transform->name);
    put_key(page, path, NULL, &as_key);
    if (transform->members == NULL) {
        leave_out(page, path);
        return;
    }
    (void)snprintf(path, sizeof path, "transforms[].%s.", transform->name);
    put_table(page, path, NULL, transform->members);
}

/* ---- drivers ---- */

static void put_driver_key(struct page *page, const struct driver *driver,
                           const struct driver_key *key)
{
    const struct driver_limit *limit = driver_limit_of(driver, key->name);
    json_write_object_begin(&page->json, NULL);
    json_write_text(&page->json, "path", key->name);
    json_write_text(&page->json, "does", key->help);
    json_write_text(&page->json, "kind", driver_kinds[key->kind]);
    json_write_boolean(&page->json, "required", key->required);
    put_limits(page, limit == NULL ? 0 : limit->low, limit == NULL ? 0 : limit->high,
               limit == NULL ? NULL : limit->choices);
    json_write_object_end(&page->json);
}

static void put_driver(struct page *page, const struct driver *driver)
{
    json_write_object_begin(&page->json, NULL);
    json_write_text(&page->json, "name", driver->name);
    json_write_text(&page->json, "summary", driver->summary);
    json_write_boolean(&page->json, "polled", driver->wait_fd == NULL);
    json_write_array_begin(&page->json, "keys");
    for (const struct driver_key *key = driver->keys; key != NULL && key->name != NULL; key++)
        put_driver_key(page, driver, key);
    json_write_array_end(&page->json);
    json_write_object_end(&page->json);
}

/* ---- all of it ---- */

static int flush(void *context, const uint8_t *bytes, size_t count)
{
    return fwrite(bytes, 1, count, context) == count ? 0 : E_CLOSED;
}

static void put_all(struct page *page)
{
    json_write_object_begin(&page->json, NULL);
    json_write_array_begin(&page->json, "keys");
    put_table(page, "", NULL, &schema_root);
    for (int kind = 0; kind < CFG_TRANSFORMS; kind++)
        put_transform(page, &schema_transform[kind]);
    json_write_array_end(&page->json);
    json_write_array_begin(&page->json, "drivers");
    for (size_t i = 0; driver_at(i) != NULL; i++)
        put_driver(page, driver_at(i));
    json_write_array_end(&page->json);
    json_write_object_end(&page->json);
    for (size_t i = 0; driver_left_out_at(i) != NULL; i++)
        leave_out(page, driver_left_out_at(i));
}

int main(void)
{
    static uint8_t buffer[4096];
    struct writer writer;
    struct page page = {.left_out = false};
    writer_to_function(&writer, buffer, sizeof buffer, flush, stdout);
    json_write_start(&page.json, &writer);
    put_all(&page);
    if (writer_finish(&writer) < 0 || fflush(stdout) != 0)
        return 1;
    return page.left_out ? EXIT_LEFT_OUT : 0;
}
