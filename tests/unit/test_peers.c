/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/intake/peers.h"
#include "platform/base/error.h"
#include "platform/fs.h"

static char path[FS_PATH_BYTES];
static char fault[PEERS_FAULT_BYTES];

static void write_file(const char *text, mode_t mode)
{
    assert_int_equal(fs_replace_file(path, text, strlen(text), mode), 0);
    assert_int_equal(chmod(path, mode), 0); /* whatever the umask is */
}

static struct peers *open_text(const char *text)
{
    struct peers *peers;
    write_file(text, 0600);
    int rc = peers_open(path, fault, &peers);
    if (rc < 0)
        fail_msg("%s", fault);
    return peers;
}

static const struct peer *find(const struct peers *peers, const char *identity)
{
    return peers_find(peers, identity, strlen(identity));
}

static void test_all_of_it(void **state)
{
    static const char text[] =
        "{\"peers\": [\n"
        "{\"identity\": \"pump-4\", \"key\": \"hex:00112233445566778899AABBCCDDEEff\",\n"
        " \"sensors\": [\"pump-4\", \"well-*\"], \"lanes\": [\"alarm\", \"normal\"]},\n"
        "{\"key\": \"base64:MDEyMzQ1Njc4OWFiY2RlZjA=\", \"identity\": \"b\", \"sensors\": []},\n"
        "{\"identity\": \"c\\u00e4\", \"key\": \"a text of 20 bytes..\"}]}\n";
    (void)state;
    struct peers *peers = open_text(text);
    assert_int_equal(peers_count(peers), 3);
    const struct peer *peer = find(peers, "pump-4");
    assert_non_null(peer);
    assert_int_equal(peer->key_bytes, 16);
    assert_memory_equal(peer->key,
                        "\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff", 16);
    assert_true(peer->lanes[LANE_ALARM] && peer->lanes[LANE_NORMAL]);
    assert_false(peer->lanes[LANE_BULK]);
    assert_true(peers_may_sensor(peer, "pump-4"));
    assert_true(peers_may_sensor(peer, "well-"));
    assert_true(peers_may_sensor(peer, "well-17"));
    assert_false(peers_may_sensor(peer, "pump-41"));
    assert_false(peers_may_sensor(peer, "wel"));
    peer = find(peers, "b");
    assert_int_equal(peer->key_bytes, 17);
    assert_memory_equal(peer->key, "0123456789abcdef0", 17);
    assert_false(peers_may_sensor(peer, "pump-4")); /* an empty list names none */
    assert_true(peer->lanes[LANE_BULK]);
    peer = find(peers, "c\xc3\xa4");
    assert_int_equal(peer->key_bytes, 20);
    assert_true(peers_may_sensor(peer, "anything"));
    assert_null(find(peers, "pump"));
    assert_null(find(peers, ""));
    assert_null(peers_find(peers, "b\0", 2));
    peers_close(peers);
    peers_close(NULL);
}

/* The place is named and the key is not. */
static void test_faults(void **state)
{
#define KEY "\"key\":\"0123456789secret\""
    static const struct {
        const char *text;
        const char *says;
    } cases[] = {
        {"", ":1:1: "},
        {"{}", "no \"peers\""},
        {"[]", "wanted is"},
        {"{\"peers\":{}}", "wanted is"},
        {"{\"peers\":[1]}", "wanted is"},
        {"{\"peers\":[{}]}", "no \"identity\""},
        {"{\"peers\":[{\"identity\":\"a\"}]}", "no \"key\""},
        {"{\"peers\":[{" KEY "}]}", "no \"identity\""},
        {"{\"peers\":[{\"identity\":\"\"," KEY "}]}", "identity has 1 to 127 bytes"},
        {"{\"peers\":[{\"identity\":\"a\\u0000\"," KEY "}]}", "identity has 1 to 127 bytes"},
        {"{\"peers\":[{\"identity\":1," KEY "}]}", "wanted is"},
        {"{\"peers\":[{\"identity\":\"a\",\"key\":\"fifteen bytes..\"}]}", "a key is"},
        {"{\"peers\":[{\"identity\":\"a\",\"key\":\"hex:00\"}]}", "a key is"},
        {"{\"peers\":[{\"identity\":\"a\",\"key\":\"hex:00112233445566778899aabbccddeefg\"}]}",
         "a key is"},
        {"{\"peers\":[{\"identity\":\"a\",\"key\":\"hex:00112233445566778899aabbccddeeff0\"}]}",
         "a key is"},
        {"{\"peers\":[{\"identity\":\"a\",\"key\":\"base64:MDEyMzQ1Njc4OWFiY2RlZj\"}]}",
         "a key is"},
        {"{\"peers\":[{\"identity\":\"a\",\"key\":\"base64:====MDEyMzQ1Njc4OWFiY2RlZjA=\"}]}",
         "a key is"},
        {"{\"peers\":[{\"identity\":\"a\"," KEY "," KEY "}]}", ":1:58: this peer has a key"},
        {"{\"peers\":[{\"identity\":\"a\"," KEY ",\"sensors\":\"a\"}]}", "wanted is"},
        {"{\"peers\":[{\"identity\":\"a\"," KEY ",\"sensors\":[\"\"]}]}", "no name of a sensor"},
        {"{\"peers\":[{\"identity\":\"a\"," KEY ",\"sensors\":[[\"a\"]]}]}", "wanted is"},
        {"{\"peers\":[{\"identity\":\"a\"," KEY ",\"sensors\":[],\"sensors\":[]}]}", "a list"},
        {"{\"peers\":[{\"identity\":\"a\"," KEY ",\"lanes\":[\"fast\"]}]}", "the lanes are"},
        {"{\"peers\":[{\"identity\":\"a\"," KEY ",\"lanes\":[],\"lanes\":[]}]}", "a list"},
        {"{\"peers\":[{\"identity\":\"a\"," KEY ",\"psk\":\"\"}]}", "a peer has"},
        {"{\"peers\":[{\"identity\":\"a\"," KEY "},{\"identity\":\"a\"," KEY "}]}", "before this"},
        {"{\"peers\":[],\"peers\":[]}", "once"},
        {"{\"peers\":[],\"more\":1}", "nothing else"},
        {"{\"peers\":[{\"identity\":\"a\"," KEY "}]", "1:"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct peers *peers = NULL;
        write_file(cases[i].text, 0600);
        assert_int_equal(peers_open(path, fault, &peers), E_INVALID);
        assert_null(peers);
        if (strstr(fault, cases[i].says) == NULL)
            fail_msg("%s: %s", cases[i].text, fault);
        assert_non_null(strstr(fault, path));
        assert_null(strstr(fault, "secret"));
    }
}

static void test_rights(void **state)
{
    static const struct {
        mode_t mode;
        int rc;
    } cases[] = {{0400, 0},         {0600, 0},         {0640, 0},        {0644, E_INVALID},
                 {0660, E_INVALID}, {0602, E_INVALID}, {0601, E_INVALID}};
    struct peers *peers;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_file("{\"peers\":[]}", cases[i].mode);
        assert_int_equal(peers_open(path, fault, &peers), cases[i].rc);
        if (cases[i].rc == 0)
            peers_close(peers);
        else
            assert_non_null(strstr(fault, "chmod 640 "));
    }
    (void)unlink(path);
    assert_int_equal(peers_open(path, fault, &peers), error_sys(2));
    assert_non_null(strstr(fault, path));
    assert_int_equal(peers_open("/dev/null", fault, &peers), E_INVALID);
    assert_non_null(strstr(fault, "no file"));
    if (geteuid() != 0)
        return;
    write_file("{\"peers\":[]}", 0600);
    assert_int_equal(chown(path, 65534, 65534), 0);
    assert_int_equal(peers_open(path, fault, &peers), E_INVALID);
    assert_non_null(strstr(fault, "chown"));
    (void)unlink(path);
}

static void test_refresh(void **state)
{
    (void)state;
    struct peers *peers = open_text("{\"peers\":[{\"identity\":\"a\"," KEY "}]}");
    assert_int_equal(peers_refresh(peers, fault), 0);
    write_file("{\"peers\":[{\"identity\":\"b\"," KEY "},{\"identity\":\"c\"," KEY "}]}", 0600);
    assert_int_equal(peers_refresh(peers, fault), 1);
    assert_int_equal(peers_refresh(peers, fault), 0);
    assert_int_equal(peers_count(peers), 2);
    assert_null(find(peers, "a"));
    write_file("{\"peers\":[{}]}", 0600);
    assert_int_equal(peers_refresh(peers, fault), E_INVALID);
    assert_non_null(find(peers, "b")); /* what was there stays */
    write_file("{\"peers\":[]}", 0666);
    assert_int_equal(peers_refresh(peers, fault), E_INVALID);
    assert_int_equal(chmod(path, 0600), 0); /* which changes nothing but the rights */
    assert_int_equal(peers_refresh(peers, fault), 1);
    assert_int_equal(peers_count(peers), 0);
    (void)unlink(path);
    assert_int_equal(peers_refresh(peers, fault), error_sys(2));
    peers_close(peers);
}

int main(void)
{
    static char folder[] = "/tmp/runnel-peers-XXXXXX";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_of_it),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_rights),
        cmocka_unit_test(test_refresh),
    };
    if (mkdtemp(folder) == NULL || fs_join(folder, "psk.json", path, sizeof path) < 0)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)unlink(path);
    (void)rmdir(folder);
    return failed;
}
