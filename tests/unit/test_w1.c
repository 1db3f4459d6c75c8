/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "drivers/w1/therm.h"
#include "platform/base/error.h"
#include "platform/fs.h"
#include "tests/unit/driver_rig.h"

#define FOLDER "sys/bus/w1/devices/"
#define ONE    "28-000005e2fdc3"
#define TWO    "28-0316a279c7ff"

/* Scratchpads with their checksums. */
#define WARM     "71 01 4b 46 7f ff 0f 10 56" /* 23.0625 */
#define POWER_ON "50 05 4b 46 7f ff 0c 10 1c" /* 85, not measured */
#define HOT      "50 05 4b 46 7f ff 10 10 bd" /* 85, measured */
#define NEARLY   "3f 05 4b 46 7f ff 0f 10 52" /* 83.9375 */
#define OLD_CHIP "32 00 4b 46 ff ff 06 10 8c" /* a DS18S20 */
#define ZEROS    "00 00 00 00 00 00 00 00 00"

static void put_text(struct rig *rig, const char *id, const char *text)
{
    char path[96];
    (void)snprintf(path, sizeof path, FOLDER "%s/w1_slave", id);
    rig_write(rig, path, text);
}

/* As w1_slave_show of the kernel writes it. */
static void put(struct rig *rig, const char *id, const char *scratchpad, const char *verdict,
                int milli_celsius)
{
    char text[160];
    (void)snprintf(text, sizeof text, "%s : crc=%s %s\n%s t=%d\n", scratchpad,
                   scratchpad + strlen(scratchpad) - 2, verdict, scratchpad, milli_celsius);
    put_text(rig, id, text);
}

static void drop(struct rig *rig, const char *id)
{
    char path[96];
    (void)snprintf(path, sizeof path, FOLDER "%s/w1_slave", id);
    rig_remove(rig, path);
    (void)snprintf(path, sizeof path, FOLDER "%s", id);
    rig_remove(rig, path);
}

static void expect_lack(const struct rig *rig, const char *text)
{
    const char *lack = rig->driver->lack(rig->instance);
    assert_non_null(lack);
    if (strstr(lack, text) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", lack, text);
}

static void test_all_on_the_bus_are_read_in_the_order_of_their_ids(void **state)
{
    struct rig *rig = *state;
    put(rig, TWO, WARM, "YES", 23062);
    put(rig, ONE, WARM, "YES", -55000);
    put(rig, "10-000802824e58", OLD_CHIP, "YES", 25125);
    rig_write(rig, FOLDER "w1_bus_master1/w1_master_name", "w1_bus_master1\n");
    rig_write(rig, FOLDER "29-000000000001/output", ""); /* no thermometer */
    assert_int_equal(rig_open(rig, "w1"), 0);
    assert_int_equal(rig->channel_count, 3);
    assert_string_equal(rig->channels[0].name, "10-000802824e58");
    assert_int_equal(rig_sample(rig), 0);
    rig_expect(rig, ONE, -55000, 3, "Cel");
    rig_expect(rig, TWO, 23062, 3, "Cel");
    rig_expect(rig, "10-000802824e58", 25125, 3, "Cel");
    assert_null(rig->driver->lack(rig->instance));
}

static void test_one_is_temp_and_several_have_names(void **state)
{
    struct rig *rig = *state;
    put(rig, ONE, WARM, "YES", 1);
    put(rig, TWO, WARM, "YES", 2);
    rig_set(rig, "id", TWO);
    assert_int_equal(rig_open(rig, "w1"), 0);
    assert_int_equal(rig_sample(rig), 0);
    assert_int_equal(rig->channel_count, 1);
    rig_expect(rig, "temp", 2, 3, "Cel");
    rig_set(rig, NULL, NULL);
    rig_set(rig, "devices[0].id", TWO);
    rig_set(rig, "devices[0].name", "Flow");
    rig_set(rig, "devices[1].id", "28-00000000dead");
    rig_set(rig, "devices[1].name", "return");
    rig_set(rig, "devices[2].id", ONE);
    assert_int_equal(rig_open(rig, "w1"), 0);
    assert_int_equal(rig->channel_count, 3);
    assert_string_equal(rig->channels[1].name, "return"); /* in the order of the list */
    assert_int_equal(rig_sample(rig), 0);
    rig_expect(rig, "Flow", 2, 3, "Cel"); /* as it is written */
    rig_expect(rig, ONE, 1, 3, "Cel");
    assert_int_equal(rig_value(rig, "return")->kind, VALUE_ABSENT);
    expect_lack(rig, "28-00000000dead/w1_slave: No such file");
}

static void test_what_cables_are_known_for_is_refused(void **state)
{
    static const struct {
        const char *scratchpad;
        const char *verdict;
        int milli_celsius;
        int rc;
        const char *reason;
    } rows[] = {
        {WARM, "NO", 23062, E_DAMAGED, "checksum"},
        {"71 01 4b 46 7f ff 0f 10 57", "YES", 23062, E_DAMAGED, "checksum"},
        {ZEROS, "YES", 0, E_DAMAGED, "nothing but zeros"},
        {"ff ff ff ff ff ff ff ff ff", "NO", -62, E_DAMAGED, "checksum"},
        {"90 fc 4b 46 7f ff 0c 10 4f", "YES", -55001, E_RANGE, "-55 to 125"},
        {WARM, "YES", -127000, E_RANGE, "-55 to 125"},
        {"e0 07 4b 46 7f ff 0c 10 08", "YES", 126000, E_RANGE, "-55 to 125"},
        {POWER_ON, "YES", 85000, E_RANGE, "lost its power"},
    };
    struct rig *rig = *state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        put(rig, ONE, rows[i].scratchpad, rows[i].verdict, rows[i].milli_celsius);
        put(rig, TWO, WARM, "YES", 23062);
        assert_int_equal(rig_open(rig, "w1"), 0);
        assert_int_equal(rig_sample(rig), 0);
        assert_int_equal(rig_value(rig, ONE)->kind, VALUE_ABSENT);
        rig_expect(rig, TWO, 23062, 3, "Cel");
        expect_lack(rig, rows[i].reason);
        drop(rig, TWO);
        assert_int_equal(rig_open(rig, "w1"), 0);
        assert_int_equal(rig_sample(rig), rows[i].rc);
        assert_non_null(strstr(rig->driver->fault(rig->instance), rows[i].reason));
    }
}

static int sample_of(struct rig *rig, const char *id, const char *scratchpad, int milli_celsius)
{
    put(rig, id, scratchpad, "YES", milli_celsius);
    return rig_sample(rig);
}

static void test_85_degrees_are_believed_where_they_can_be(void **state)
{
    struct rig *rig = *state;
    put(rig, ONE, WARM, "YES", 23062);
    assert_int_equal(rig_open(rig, "w1"), 0);
    assert_int_equal(rig_sample(rig), 0);
    assert_int_equal(sample_of(rig, ONE, POWER_ON, 85000), E_RANGE);
    assert_int_equal(sample_of(rig, ONE, POWER_ON, 85000), E_RANGE); /* nor the second time */
    assert_int_equal(sample_of(rig, ONE, NEARLY, 83937), 0);
    assert_int_equal(sample_of(rig, ONE, POWER_ON, 85000), 0);
    assert_int_equal(sample_of(rig, ONE, POWER_ON, 85000), 0);
    assert_int_equal(sample_of(rig, ONE, WARM, 23062), 0);
    assert_int_equal(sample_of(rig, ONE, POWER_ON, 85000), E_RANGE);
    assert_int_equal(sample_of(rig, ONE, HOT, 85000), 0); /* the chip says that it measured */
}

static void test_a_thermocouple_has_its_own_range_and_fault(void **state)
{
    static const char id[] = "3b-0000000a1b2c";
    struct rig *rig = *state;
    put(rig, id, "b0 18 00 19 f0 ff ff ff fc", "YES", 395000);
    assert_int_equal(rig_open(rig, "w1"), 0);
    assert_int_equal(rig_sample(rig), 0);
    rig_expect(rig, id, 395000, 3, "Cel");
    assert_int_equal(sample_of(rig, id, "b0 18 00 19 f0 ff ff ff fc", 85000), 0);
    assert_int_equal(sample_of(rig, id, "b0 18 00 19 f0 ff ff ff fc", 2047000), E_RANGE);
    assert_int_equal(sample_of(rig, id, "01 00 00 19 f1 ff ff ff 54", 0), E_DAMAGED);
    assert_non_null(strstr(rig->driver->fault(rig->instance), "open or shorted"));
}

static void test_garbage_is_refused(void **state)
{
    static const char *const texts[] = {
        "\n",
        "t=23062\n",
        WARM,
        WARM " : crc=56 YES\n",
        WARM " : crc=56 YES\n" WARM " t=\n",
        WARM " : crc=56 YES\n" WARM " t=23.062\n",
        WARM " : crc=56 MAYBE\n" WARM " t=23062\n",
        WARM " : crc=5 YES\n" WARM " t=23062\n",
        "71 01 4b 46 7f ff 0f 10 : crc=56 YES\n" WARM " t=23062\n",
        "71 01 4B 46 7F FF 0F 10 56 : crc=56 YES\n" WARM " t=23062\n",
        "\xff\xfe\x80 : crc=56 YES\n",
        WARM " : crc=56 YES\n" WARM " t=99999999999\n",
    };
    struct rig *rig = *state;
    put(rig, ONE, WARM, "YES", 23062);
    assert_int_equal(rig_open(rig, "w1"), 0);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        put_text(rig, ONE, texts[i]);
        int rc = rig_sample(rig);
        assert_int_equal(rc, strstr(texts[i], "t=99") != NULL ? E_RANGE
                             : strcmp(texts[i], "\n") == 0    ? error_sys(ENXIO)
                                                              : E_SYNTAX);
        assert_non_null(strstr(rig->driver->fault(rig->instance), ONE));
    }
    char large[256];
    memset(large, '7', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    put_text(rig, ONE, large);
    assert_int_equal(rig_sample(rig), E_TOO_BIG);
}

static void test_absence_says_what_is_missing(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(error_errno(rig_open(rig, "w1")), ENOENT);
    assert_non_null(strstr(rig->fault, "CONFIG_W1"));
    rig_write(rig, FOLDER "w1_bus_master1/w1_master_name", "w1_bus_master1\n");
    assert_int_equal(rig_open(rig, "w1"), E_NOT_FOUND);
    assert_non_null(strstr(rig->fault, "w1_therm"));
    rig_set(rig, "id", ONE);
    assert_int_equal(rig_open(rig, "w1"), E_NOT_FOUND);
    assert_non_null(strstr(rig->fault, ONE "/w1_slave"));
}

static void test_unplugging_and_coming_back(void **state)
{
    struct rig *rig = *state;
    put(rig, ONE, WARM, "YES", 1);
    put(rig, TWO, WARM, "YES", 2);
    assert_int_equal(rig_open(rig, "w1"), 0);
    assert_int_equal(rig_sample(rig), 0);
    drop(rig, TWO);
    assert_int_equal(rig_sample(rig), 0);
    rig_expect(rig, ONE, 1, 3, "Cel");
    assert_int_equal(rig_value(rig, TWO)->kind, VALUE_ABSENT);
    expect_lack(rig, TWO);
    put(rig, TWO, WARM, "YES", 2); /* its channel has been kept for it */
    assert_int_equal(rig_sample(rig), 0);
    rig_expect(rig, TWO, 2, 3, "Cel");
    assert_null(rig->driver->lack(rig->instance));
    put(rig, "42-00000000abcd", WARM, "YES", 3); /* a new one takes a new start */
    assert_int_equal(rig_sample(rig), E_CHANGED);
    assert_non_null(strstr(rig->driver->fault(rig->instance), "a new thermometer"));
    assert_int_equal(rig_open(rig, "w1"), 0);
    assert_int_equal(rig_sample(rig), 0);
    rig_expect(rig, "42-00000000abcd", 3, 3, "Cel");
    drop(rig, ONE);
    drop(rig, TWO);
    drop(rig, "42-00000000abcd");
    assert_int_equal(error_errno(rig_sample(rig)), ENOENT);
    assert_int_equal(rig_open(rig, "w1"), E_NOT_FOUND);
}

static void test_a_short_timeout_lets_all_have_their_turn(void **state)
{
    struct rig *rig = *state;
    put(rig, ONE, WARM, "YES", 1);
    put(rig, TWO, WARM, "YES", 2);
    assert_int_equal(rig_open(rig, "w1"), 0);
    for (int turn = 0; turn < 4; turn++) {
        assert_int_equal(rig->driver->fetch(rig->instance, 0), 0);
        assert_int_equal(rig->driver->read(rig->instance, &rig->sample), 0);
        rig_expect(rig, turn % 2 == 0 ? ONE : TWO, turn % 2 + 1, 3, "Cel");
        assert_int_equal(rig_value(rig, turn % 2 == 0 ? TWO : ONE)->kind, VALUE_ABSENT);
        expect_lack(rig, "timeout is too short");
    }
    stop_request(&rig->stop);
    assert_int_equal(rig->driver->fetch(rig->instance, 0), E_STOP);
}

static void expect_text(struct rig *rig, const char *path, const char *expected)
{
    char text[32];
    assert_true(fs_read_file(rig_path(rig, path), text, sizeof text) >= 0);
    assert_string_equal(text, expected);
}

static void test_several_measure_together_where_the_kernel_can(void **state)
{
    struct rig *rig = *state;
    put(rig, ONE, WARM, "YES", 1);
    rig_write(rig, FOLDER "w1_bus_master1/therm_bulk_read", "0\n");
    assert_int_equal(rig_open(rig, "w1"), 0);
    assert_int_equal(rig_sample(rig), 0);
    expect_text(rig, FOLDER "w1_bus_master1/therm_bulk_read", "0\n"); /* not for one alone */
    put(rig, TWO, WARM, "YES", 2);
    assert_int_equal(rig_open(rig, "w1"), 0);
    assert_int_equal(rig_sample(rig), 0);
    expect_text(rig, FOLDER "w1_bus_master1/therm_bulk_read", "trigger\n");
    put(rig, "w1_bus_master2/" ONE, WARM, "YES", 3);
    put(rig, "w1_bus_master2/" TWO, WARM, "YES", 4);
    rig_write(rig, FOLDER "w1_bus_master2/therm_bulk_read", "0\n");
    rig_set(rig, "master", "w1_bus_master2");
    assert_int_equal(rig_open(rig, "w1"), 0);
    assert_int_equal(rig_sample(rig), 0);
    rig_expect(rig, TWO, 4, 3, "Cel");
    expect_text(rig, FOLDER "w1_bus_master2/therm_bulk_read", "trigger\n");
}

static void test_the_resolution_is_set_where_it_is_another(void **state)
{
    struct rig *rig = *state;
    put(rig, ONE, WARM, "YES", 1);
    put(rig, "10-000802824e58", OLD_CHIP, "YES", 2); /* has none */
    rig_set(rig, "resolution", "9");
    assert_int_equal(error_errno(rig_open(rig, "w1")), ENOENT);
    assert_non_null(strstr(rig->fault, ONE "/resolution: No such file"));
    rig_write(rig, FOLDER ONE "/resolution", "9\n");
    assert_int_equal(rig_open(rig, "w1"), 0);
    expect_text(rig, FOLDER ONE "/resolution", "9\n"); /* left as it was */
    rig_write(rig, FOLDER ONE "/resolution", "12\n");
    assert_int_equal(rig_open(rig, "w1"), 0);
    expect_text(rig, FOLDER ONE "/resolution", "9");
}

static void test_settings_that_cannot_be_are_named(void **state)
{
    static const struct {
        const char *key;
        const char *value;
        const char *fault;
    } rows[] = {
        {"id", "28-000005E2FDC3", "28-000005e2fdc3"},
        {"id", "28-000005e2fdc", "no thermometer's id"},
        {"id", "../28-000005e2f", "no thermometer's id"},
        {"id", "29-000005e2fdc3", "no thermometer's id"},
        {"id", ONE, "remove one"},
        {"devices[1].id", TWO, "is there already"},
        {"devices[1].name", "flow", "is the name of one before it already"},
        {"devices[1].name", "", "1 to 31 bytes"},
        {"devices[1].name", "no channel has so long a name as", "1 to 31 bytes"},
        {"devices[1].id", "flow", "no thermometer's id"},
    };
    struct rig *rig = *state;
    const struct driver *driver = driver_find("w1");
    assert_null(driver->check(&rig->context));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        rig_set(rig, NULL, NULL);
        rig_set(rig, "devices[0].id", TWO);
        rig_set(rig, "devices[0].name", "flow");
        assert_null(driver->check(&rig->context));
        rig_set(rig, rows[i].key, rows[i].value);
        assert_string_equal(driver->check(&rig->context), rows[i].key);
        if (strstr(rig->fault, rows[i].fault) == NULL)
            fail_msg("%zu: %s", i, rig->fault);
    }
}

static void test_more_than_fit_are_cut_off(void **state)
{
    struct rig *rig = *state;
    char id[THERM_ID_CHARACTERS + 1];
    for (unsigned i = 40; i > 0; i--) {
        (void)snprintf(id, sizeof id, "28-%012x", i);
        put(rig, id, WARM, "YES", (int)i);
    }
    assert_int_equal(rig_open(rig, "w1"), 0);
    assert_int_equal(rig->channel_count, SAMPLE_CHANNELS_MAX);
    assert_int_equal(rig_sample(rig), 0);
    rig_expect(rig, "28-000000000001", 1, 3, "Cel");
    rig_expect(rig, "28-000000000020", 32, 3, "Cel");
}

#define RIG_TEST(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(test_all_on_the_bus_are_read_in_the_order_of_their_ids),
        RIG_TEST(test_one_is_temp_and_several_have_names),
        RIG_TEST(test_what_cables_are_known_for_is_refused),
        RIG_TEST(test_85_degrees_are_believed_where_they_can_be),
        RIG_TEST(test_a_thermocouple_has_its_own_range_and_fault),
        RIG_TEST(test_garbage_is_refused),
        RIG_TEST(test_absence_says_what_is_missing),
        RIG_TEST(test_unplugging_and_coming_back),
        RIG_TEST(test_a_short_timeout_lets_all_have_their_turn),
        RIG_TEST(test_several_measure_together_where_the_kernel_can),
        RIG_TEST(test_the_resolution_is_set_where_it_is_another),
        RIG_TEST(test_settings_that_cannot_be_are_named),
        RIG_TEST(test_more_than_fit_are_cut_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
