/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "platform/base/ini.h"

enum { LINE_BYTES = 40 };

static char seen[1000];
static char line[LINE_BYTES];

static int note(void *context, const struct ini_key *key)
{
    size_t used = strlen(seen);
    (void)context;
    if (ini_is(key, "stop"))
        return -7;
    (void)snprintf(seen + used, sizeof seen - used, "%u:%.*s=%.*s%s\n", key->line,
                   (int)key->name_count, key->name, (int)key->value_count, key->value,
                   key->cut ? "..." : "");
    return 0;
}

static struct ini start(const char *profile, bool is_config)
{
    seen[0] = '\0';
    return (struct ini){.profile = profile,
                        .is_config = is_config,
                        .on_key = note,
                        .line = line,
                        .line_bytes = sizeof line};
}

/* In pieces of every size it is the same. */
static void expect(const char *profile, bool is_config, const char *text, const char *keys)
{
    size_t count = strlen(text);
    for (size_t piece = 1; piece <= count; piece++) {
        struct ini ini = start(profile, is_config);
        for (size_t at = 0; at < count; at += piece)
            assert_int_equal(ini_feed(&ini, text + at, count - at < piece ? count - at : piece), 0);
        assert_int_equal(ini_end(&ini), 0);
        assert_string_equal(seen, keys);
        assert_int_equal(ini.profile_seen, keys[0] != '\0');
    }
}

static void test_keys_of_the_profile_alone(void **state)
{
    static const char text[] = "a = 0\n[x]\na = 1\n[ y ]\n\n# a = 2\n; a = 3\n a=4 # four\r\n"
                               "b = c#d\nno value\n[x]\nb =\n[y]\nB = 5 ;";
    (void)state;
    expect("y", false, text, "8:a=4\n9:b=c#d\n14:B=5\n");
    expect("x", false, text, "3:a=1\n12:b=\n");
    expect("z", false, text, "");
}

static void test_sections_of_the_config_file(void **state)
{
    static const char text[] = "\xef\xbb\xbf[default]\na = 1\n[profile x]\na = 2\n[x]\na = 3\n"
                               "[profile\tdefault]\na = 4\n[sso-session y]\na = 5\n[profilex]\na";
    (void)state;
    expect("default", true, text, "2:a=1\n8:a=4\n");
    expect("x", true, text, "4:a=2\n");
    expect("y", true, text, "");
}

static void test_a_line_longer_than_the_buffer_is_cut(void **state)
{
    (void)state;
    expect("x", false, "[x]\na = 1234567890123456789012345678901234567890\nb = 2\n",
           "2:a=123456789012345678901234567890123456...\n3:b=2\n");
}

static void test_the_reader_ends_what_it_does_not_like(void **state)
{
    struct ini ini = start("x", false);
    static const char text[] = "[x]\nstop = 1\na = 2\n";
    (void)state;
    assert_int_equal(ini_feed(&ini, text, sizeof text - 1), -7);
    assert_string_equal(seen, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_of_the_profile_alone),
        cmocka_unit_test(test_sections_of_the_config_file),
        cmocka_unit_test(test_a_line_longer_than_the_buffer_is_cut),
        cmocka_unit_test(test_the_reader_ends_what_it_does_not_like),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
