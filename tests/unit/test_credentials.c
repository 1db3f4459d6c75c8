/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/aws/credentials.h"
#include "platform/base/error.h"

enum { PATH_BYTES = 256, LOG_BYTES = 8192, LINKS_MAX = 4, FAKES = 3 };

/* A home of its own for each test, without any of the caller's variables. */
static char home[PATH_BYTES];
static char fault[CREDENTIALS_FAULT_BYTES];
static struct credentials credentials;

static void in_home(const char *name, char path[PATH_BYTES])
{
    (void)snprintf(path, PATH_BYTES, "%.200s/%s", home, name);
}

static int set_up(void **state)
{
    static const char *const names[] = {"AWS_ACCESS_KEY_ID",           "AWS_SECRET_ACCESS_KEY",
                                        "AWS_SESSION_TOKEN",           "AWS_PROFILE",
                                        "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE",
                                        "CREDENTIALS_DIRECTORY"};
    char path[PATH_BYTES];
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        (void)unsetenv(names[i]);
    (void)strcpy(home, "/tmp/test_credentials.XXXXXX");
    if (mkdtemp(home) == NULL || setenv("HOME", home, 1) < 0)
        return -1;
    in_home(".aws", path);
    return mkdir(path, 0700);
}

static int tear_down(void **state)
{
    static const char *const names[] = {
        ".aws/credentials",      ".aws/config", ".aws/new", "other", "log", ".aws",
        "given/aws-credentials", "given"};
    char path[PATH_BYTES];
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        in_home(names[i], path);
        (void)remove(path);
    }
    return rmdir(home);
}

static int get(struct credentials_provider *provider)
{
    memset(&credentials, 0x55, sizeof credentials);
    int rc = credentials_get(provider, INT64_MAX, fault, &credentials);
    assert_int_equal(rc == 0, fault[0] == '\0');
    if (rc < 0) {
        const struct credentials *untouched = &credentials;
        for (size_t i = 0; i < sizeof credentials; i++)
            assert_int_equal(((const uint8_t *)untouched)[i], 0x55);
    }
    assert_null(strstr(fault, "HUSH"));
    return rc;
}

static int get_other(struct credentials_provider *provider)
{
    memset(&credentials, 0x55, sizeof credentials);
    int rc = credentials_get_other(provider, INT64_MAX, fault, &credentials);
    assert_int_equal(rc == 0, fault[0] == '\0');
    if (rc < 0) {
        const struct credentials *untouched = &credentials;
        for (size_t i = 0; i < sizeof credentials; i++)
            assert_int_equal(((const uint8_t *)untouched)[i], 0x55);
    }
    assert_null(strstr(fault, "HUSH"));
    return rc;
}

static void check(const char *id, const char *secret, const char *token)
{
    assert_string_equal(credentials.access_key_id, id);
    assert_string_equal(credentials.secret_access_key, secret);
    assert_string_equal(credentials.session_token, token);
}

/* ---- environment ---- */

#ifdef CONFIG_CREDENTIALS_ENV
static int get_env(void)
{
    struct credentials_provider *provider;
    assert_int_equal(credentials_env_open(&provider), 0);
    int rc = get(provider);
    credentials_expire(provider, NULL);
    credentials_close(provider);
    return rc;
}

static void test_env(void **state)
{
    (void)state;
    assert_int_equal(get_env(), E_NOT_FOUND);
    assert_non_null(strstr(fault, "AWS_ACCESS_KEY_ID"));
    (void)setenv("AWS_ACCESS_KEY_ID", "AKID", 1);
    assert_int_equal(get_env(), E_CREDENTIALS);
    assert_non_null(strstr(fault, "AWS_SECRET_ACCESS_KEY is not"));
    (void)setenv("AWS_SECRET_ACCESS_KEY", "", 1);
    assert_int_equal(get_env(), E_CREDENTIALS);
    (void)setenv("AWS_SECRET_ACCESS_KEY", "HUSH", 1);
    assert_int_equal(get_env(), 0);
    check("AKID", "HUSH", "");
    assert_true(credentials.expires_mono_ms == INT64_MAX);
    (void)setenv("AWS_SESSION_TOKEN", "TOKEN", 1);
    assert_int_equal(get_env(), 0);
    check("AKID", "HUSH", "TOKEN");
    (void)unsetenv("AWS_ACCESS_KEY_ID");
    assert_int_equal(get_env(), E_CREDENTIALS);
    assert_non_null(strstr(fault, "AWS_ACCESS_KEY_ID is not"));
}

static void test_env_bad_values(void **state)
{
    char text[CREDENTIALS_TOKEN_BYTES + 1];
    (void)state;
    (void)setenv("AWS_ACCESS_KEY_ID", "AKID", 1);
    (void)setenv("AWS_SECRET_ACCESS_KEY", "HUSH\n", 1);
    assert_int_equal(get_env(), E_CREDENTIALS);
    (void)setenv("AWS_SECRET_ACCESS_KEY", "HUSH", 1);
    memset(text, 't', sizeof text);
    text[CREDENTIALS_TOKEN_BYTES] = '\0';
    (void)setenv("AWS_SESSION_TOKEN", text, 1);
    assert_int_equal(get_env(), E_CREDENTIALS);
    assert_non_null(strstr(fault, "AWS_SESSION_TOKEN is longer than 4095"));
    text[CREDENTIALS_TOKEN_BYTES - 1] = '\0';
    (void)setenv("AWS_SESSION_TOKEN", text, 1);
    assert_int_equal(get_env(), 0);
    assert_string_equal(credentials.session_token, text);
}
#endif

/* ---- shared files ---- */

#ifdef CONFIG_CREDENTIALS_FILE
static void write_file(const char *name, mode_t mode, const char *text)
{
    char path[PATH_BYTES];
    in_home(name, path);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static struct credentials_provider *open_file(const char *path, const char *profile)
{
    struct credentials_provider *provider;
    assert_int_equal(credentials_file_open(path, profile, &provider), 0);
    return provider;
}

static int get_file(const char *path, const char *profile)
{
    struct credentials_provider *provider = open_file(path, profile);
    int rc = get(provider);
    credentials_close(provider);
    return rc;
}

static const char plain[] = "[default]\n"
                            "aws_access_key_id = AKID\n"
                            "aws_secret_access_key = HUSH\n";

static void test_file_forms(void **state)
{
    static const char *const texts[] = {
        plain,
        "[default]\naws_access_key_id=AKID\naws_secret_access_key=HUSH",
        "[default]\r\naws_access_key_id = AKID\r\naws_secret_access_key = HUSH\r\n",
        "# comment\n; another\n\n  [ default ] # third\n"
        "  AWS_Access_Key_Id\t=  AKID  # behind\n\taws_secret_access_key = HUSH ; behind\n",
        "[other]\naws_access_key_id = X\naws_secret_access_key = Y\n"
        "[default]\nregion = eu-west-1\naws_access_key_id = AKID\n"
        "aws_secret_access_key = HUSH\naws_session_token =\n"
        "[default2]\naws_access_key_id = X\naws_session_token = Y\n",
        "aws_session_token = outside\n[default]\naws_access_key_id = OLD\n"
        "aws_secret_access_key = OLD\n[other]\n[default]\naws_access_key_id = AKID\n"
        "aws_secret_access_key = HUSH\n# aws_session_token = TOKEN\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        write_file(".aws/credentials", 0600, texts[i]);
        assert_int_equal(get_file(NULL, NULL), 0);
        check("AKID", "HUSH", "");
        assert_true(credentials.expires_mono_ms == INT64_MAX);
    }
}

/* Values with the characters that separate and comment. */
static void test_file_values(void **state)
{
    (void)state;
    write_file(".aws/credentials", 0600,
               "[p q]\naws_access_key_id = A;B#C\naws_secret_access_key = s/e+c=r==\n"
               "aws_session_token = IQo//w=\n");
    assert_int_equal(get_file(NULL, "p q"), 0);
    check("A;B#C", "s/e+c=r==", "IQo//w=");
}

static void test_config_file(void **state)
{
    (void)state;
    write_file(".aws/config", 0644,
               "[default]\naws_access_key_id = D\naws_secret_access_key = DS\n"
               "[named]\naws_access_key_id = X\naws_secret_access_key = X\n"
               "[profile  named]\naws_access_key_id = N\naws_secret_access_key = NS\n"
               "aws_session_token = NT\n[profilenamed]\naws_access_key_id = X\n");
    assert_int_equal(get_file(NULL, NULL), 0);
    check("D", "DS", "");
    assert_int_equal(get_file(NULL, "named"), 0);
    check("N", "NS", "NT");
    /* The credentials file goes first, and keys of two files are not mixed. */
    write_file(".aws/credentials", 0600,
               "[named]\naws_access_key_id = C\naws_secret_access_key=CS\n");
    assert_int_equal(get_file(NULL, "named"), 0);
    check("C", "CS", "");
    assert_int_equal(get_file(NULL, "default"), 0);
    check("D", "DS", "");
}

static void test_profiles(void **state)
{
    char path[PATH_BYTES];
    (void)state;
    assert_int_equal(get_file(NULL, NULL), E_NOT_FOUND);
    write_file(".aws/config", 0600, "[default]\nregion = eu-west-1\n");
    assert_int_equal(get_file(NULL, NULL), E_NOT_FOUND);
    write_file(".aws/credentials", 0600, plain);
    assert_int_equal(get_file(NULL, "missing"), E_CREDENTIALS);
    in_home(".aws/credentials", path);
    assert_non_null(strstr(fault, "[missing]"));
    assert_non_null(strstr(fault, path));
    (void)setenv("AWS_PROFILE", "absent", 1);
    assert_int_equal(get_file(NULL, NULL), E_CREDENTIALS);
    assert_non_null(strstr(fault, "[absent]"));
    assert_int_equal(get_file(NULL, "default"), 0);
    (void)setenv("AWS_PROFILE", "", 1);
    assert_int_equal(get_file(NULL, NULL), 0);
}

static void test_paths(void **state)
{
    char path[PATH_BYTES];
    (void)state;
    in_home("other", path);
    write_file("other", 0600, "[default]\naws_access_key_id = O\naws_secret_access_key = OS\n");
    write_file(".aws/credentials", 0600, plain);
    assert_int_equal(get_file(path, NULL), 0);
    check("O", "OS", "");
    (void)setenv("AWS_SHARED_CREDENTIALS_FILE", "~/other", 1);
    assert_int_equal(get_file(NULL, NULL), 0);
    check("O", "OS", "");
    (void)setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/credentials", 1);
    assert_int_equal(get_file(NULL, NULL), E_NOT_FOUND);
    (void)setenv("AWS_CONFIG_FILE", path, 1);
    assert_int_equal(get_file(NULL, NULL), 0);
    check("O", "OS", "");
    assert_int_equal(get_file("/nonexistent/credentials", NULL), E_CREDENTIALS);
    assert_non_null(strstr(fault, "/nonexistent/credentials"));
    assert_int_equal(get_file(home, NULL), E_CREDENTIALS);
    assert_non_null(strstr(fault, "no regular file"));
}

/* systemd hands files over in a directory of its own. */
static void test_handed_over(void **state)
{
    char path[PATH_BYTES];
    (void)state;
    in_home("given", path);
    (void)setenv("CREDENTIALS_DIRECTORY", path, 1);
    write_file(".aws/credentials", 0600, plain);
    assert_int_equal(get_file(NULL, NULL), 0);
    check("AKID", "HUSH", "");
    assert_int_equal(mkdir(path, 0700), 0);
    write_file("given/aws-credentials", 0440,
               "[default]\naws_access_key_id = G\naws_secret_access_key = GS\n");
    assert_int_equal(get_file(NULL, NULL), 0);
    check("G", "GS", "");
    write_file("other", 0600, "[default]\naws_access_key_id = O\naws_secret_access_key = OS\n");
    in_home("other", path);
    (void)setenv("AWS_SHARED_CREDENTIALS_FILE", path, 1);
    assert_int_equal(get_file(NULL, NULL), 0);
    check("O", "OS", "");
    assert_int_equal(get_file(NULL, "absent"), E_CREDENTIALS);
    assert_non_null(strstr(fault, "other or "));
}

static void test_no_home(void **state)
{
    (void)state;
    (void)unsetenv("HOME");
    assert_int_equal(get_file(NULL, NULL), E_NOT_FOUND);
    assert_non_null(strstr(fault, "HOME"));
    assert_int_equal(get_file(NULL, "named"), E_CREDENTIALS);
}

static void test_faulty_files(void **state)
{
    static const struct {
        const char *text;
        const char *fault;
    } rows[] = {
        {"[default]\naws_access_key_id = AKID\n", "no aws_secret_access_key"},
        {"[default]\naws_secret_access_key = HUSH\n", "no aws_access_key_id"},
        {"[default]\naws_access_key_id = AKID\naws_secret_access_key = HU SH\n", "credentials:3"},
        {"\n\n[default]\naws_access_key_id = AKI\x01\n", "credentials:4"},
        {"[default]\naws_access_key_id = \xc3\xa9\n", "credentials:2"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        write_file(".aws/credentials", 0600, rows[i].text);
        assert_int_equal(get_file(NULL, NULL), E_CREDENTIALS);
        assert_non_null(strstr(fault, rows[i].fault));
    }
}

/* "[default]", a line with a value of COUNT bytes, and what is needed besides. */
static void write_long(const char *name, size_t count)
{
    static char text[20000];
    int used = snprintf(text, sizeof text, "[default]\n%s = ", name);
    memset(text + used, 'v', count);
    (void)strcpy(text + (size_t)used + count,
                 "\naws_access_key_id = AKID\naws_secret_access_key = HUSH\n");
    write_file(".aws/credentials", 0600, text);
}

static void test_long_lines(void **state)
{
    (void)state;
    write_long("aws_session_token", CREDENTIALS_TOKEN_BYTES - 1);
    assert_int_equal(get_file(NULL, NULL), 0);
    assert_int_equal(strlen(credentials.session_token), CREDENTIALS_TOKEN_BYTES - 1);
    write_long("aws_session_token", CREDENTIALS_TOKEN_BYTES);
    assert_int_equal(get_file(NULL, NULL), E_CREDENTIALS);
    assert_non_null(strstr(fault, "too long"));
    write_long("aws_session_token", 15000);
    assert_int_equal(get_file(NULL, NULL), E_CREDENTIALS);
    write_long("something_else", 15000);
    assert_int_equal(get_file(NULL, NULL), 0);
    check("AKID", "HUSH", "");
}

/* Who wrote that profile wants the role, not whatever other keys there are. */
static void test_role_in_a_profile(void **state)
{
    (void)state;
    write_file(".aws/credentials", 0600, plain);
    write_file(".aws/config", 0600,
               "[profile p]\nrole_arn = arn:aws:iam::123456789012:role/r\n"
               "source_profile = default\n");
    assert_int_equal(get_file(NULL, NULL), 0);
    assert_int_equal(get_file(NULL, "p"), E_CREDENTIALS);
    assert_non_null(strstr(fault, "profile [p] names a role"));
    write_file(".aws/credentials", 0600, "[default]\nrole_arn = r\n");
    assert_int_equal(get_file(NULL, NULL), E_CREDENTIALS);
    assert_non_null(strstr(fault, "profile [default] names a role"));
}

/* Every prefix of a file, as if its writer were in the middle of it: never half of a key pair. */
static void test_every_prefix(void **state)
{
    char text[sizeof plain];
    (void)state;
    for (size_t count = 0; count < sizeof plain; count++) {
        memcpy(text, plain, count);
        text[count] = '\0';
        write_file(".aws/credentials", 0600, text);
        if (get_file(NULL, NULL) != 0)
            continue;
        assert_string_equal(credentials.access_key_id, "AKID");
        assert_true(credentials.secret_access_key[0] == 'H');
    }
}

static const char changed[] =
    "[default]\naws_access_key_id = AKID2\naws_secret_access_key = HUSH2\n";

static void replace_file(const char *text)
{
    char path[PATH_BYTES];
    char fresh[PATH_BYTES];
    write_file(".aws/new", 0600, text);
    in_home(".aws/new", fresh);
    in_home(".aws/credentials", path);
    assert_int_equal(rename(fresh, path), 0);
}

static void test_rotation(void **state)
{
    write_file(".aws/credentials", 0600, plain);
    struct credentials_provider *provider = open_file(NULL, NULL);
    (void)state;
    assert_int_equal(get(provider), 0);
    check("AKID", "HUSH", "");
    replace_file(changed);
    assert_int_equal(get(provider), 0);
    check("AKID2", "HUSH2", "");
    assert_int_equal(get(provider), 0);
    check("AKID2", "HUSH2", "");
    credentials_close(provider);
}

/* While a file is unfinished, of the wrong profile or gone, the old keys go on; expired, not. */
static void test_half_written(void **state)
{
    static const char *const halves[] = {"", "[default]\n",
                                         "[default]\naws_access_key_id = AKID2\n",
                                         "[other]\naws_access_key_id = AKID2\n"};
    char path[PATH_BYTES];
    (void)state;
    for (size_t i = 0; i < sizeof halves / sizeof *halves; i++) {
        replace_file(plain);
        struct credentials_provider *provider = open_file(NULL, NULL);
        assert_int_equal(get(provider), 0);
        write_file(".aws/credentials", 0600, halves[i]);
        assert_int_equal(get(provider), 0);
        check("AKID", "HUSH", "");
        assert_int_equal(get(provider), 0);
        check("AKID", "HUSH", "");
        write_file(".aws/credentials", 0600, changed);
        assert_int_equal(get(provider), 0);
        check("AKID2", "HUSH2", "");
        in_home(".aws/credentials", path);
        assert_int_equal(remove(path), 0);
        assert_int_equal(get(provider), 0);
        check("AKID2", "HUSH2", "");
        credentials_expire(provider, NULL);
        assert_int_equal(get(provider), E_NOT_FOUND);
        credentials_close(provider);
    }
}

static void test_writable_by_others(void **state)
{
    static const mode_t modes[] = {0602, 0620, 0666, 0622};
    char path[PATH_BYTES];
    (void)state;
    in_home(".aws/credentials", path);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        write_file(".aws/credentials", modes[i], plain);
        assert_int_equal(get_file(NULL, NULL), E_CREDENTIALS);
        assert_non_null(strstr(fault, path));
        assert_non_null(strstr(fault, "chmod"));
    }
    assert_int_equal(chmod(path, 0600), 0);
    struct credentials_provider *provider = open_file(NULL, NULL);
    assert_int_equal(get(provider), 0);
    assert_int_equal(chmod(path, 0666), 0);
    assert_int_equal(get(provider), E_CREDENTIALS);
    assert_int_equal(get(provider), E_CREDENTIALS);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(get(provider), 0);
    credentials_close(provider);
}

/* What goes to stderr between the two goes to a file. */
static int begin_log(void)
{
    char path[PATH_BYTES];
    in_home("log", path);
    int saved = dup(STDERR_FILENO);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(saved >= 0 && fd >= 0);
    assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
    (void)close(fd);
    return saved;
}

static void end_log(int saved, char text[LOG_BYTES])
{
    ssize_t count = pread(STDERR_FILENO, text, LOG_BYTES - 1, 0);
    (void)dup2(saved, STDERR_FILENO);
    (void)close(saved);
    assert_true(count >= 0);
    text[count] = '\0';
}

static unsigned count_in(const char *text, const char *word)
{
    unsigned count = 0;
    for (const char *at = text; (at = strstr(at, word)) != NULL; at++)
        count++;
    return count;
}

static void test_log(void **state)
{
    char text[LOG_BYTES];
    (void)state;
    write_file(".aws/credentials", 0644, plain);
    int saved = begin_log();
    struct credentials_provider *provider = open_file(NULL, NULL);
    int first = get(provider);
    replace_file(changed);
    write_file(".aws/credentials", 0644, changed);
    int second = get(provider);
    write_file(".aws/credentials", 0644, "[default]\naws_secret_access_key = HUSH3\n");
    int third = get(provider);
    int fourth = get(provider);
    credentials_close(provider);
    end_log(saved, text);
    assert_int_equal(first | second | third | fourth, 0);
    assert_int_equal(count_in(text, "credentials-file-readable"), 1);
    assert_int_equal(count_in(text, "credentials-file-unfinished"), 1);
    assert_int_equal(count_in(text, "HUSH"), 0);
    assert_int_equal(count_in(text, "\n"), 2);
}

static void test_too_long_names(void **state)
{
    struct credentials_provider *provider;
    char text[1000];
    (void)state;
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    assert_int_equal(credentials_file_open(text, NULL, &provider), E_TOO_BIG);
    assert_int_equal(credentials_file_open(NULL, text, &provider), E_TOO_BIG);
}
#endif

/* ---- chain and cache over providers that do as they are told ---- */

struct fake {
    struct credentials_provider provider;
    int result;
    const char *id;
    int64_t expires_ms;
    unsigned asked;
    unsigned expired;
    unsigned closed;
};

static struct fake fakes[FAKES];
static int64_t now_ms;
static uint64_t random_answer;

static int get_fake(struct credentials_provider *provider, int64_t deadline_ms,
                    char its_fault[CREDENTIALS_FAULT_BYTES], struct credentials *ret_credentials)
{
    struct fake *fake = (struct fake *)(void *)provider;
    (void)deadline_ms;
    fake->asked++;
    if (fake->result < 0)
        return credentials_fault(its_fault, fake->result, "%s says no", fake->id);
    memset(ret_credentials, 0, sizeof *ret_credentials);
    (void)strcpy(ret_credentials->access_key_id, fake->id);
    (void)strcpy(ret_credentials->secret_access_key, "HUSH");
    ret_credentials->expires_mono_ms = fake->expires_ms;
    return 0;
}

static void expire_fake(struct credentials_provider *provider, const struct credentials *used)
{
    (void)used;
    ((struct fake *)(void *)provider)->expired++;
}

static void close_fake(struct credentials_provider *provider)
{
    ((struct fake *)(void *)provider)->closed++;
}

static void reset_fakes(void)
{
    static const struct credentials_operations operations = {
        .name = "fake", .get = get_fake, .expire = expire_fake, .close = close_fake};
    static const char *const ids[FAKES] = {"A", "B", "C"};
    for (size_t i = 0; i < FAKES; i++)
        fakes[i] = (struct fake){.provider = {&operations}, .id = ids[i], .expires_ms = INT64_MAX};
}

static struct credentials_provider *open_chain(void)
{
    struct credentials_provider *links[FAKES];
    struct credentials_provider *chain;
    reset_fakes();
    for (size_t i = 0; i < FAKES; i++)
        links[i] = &fakes[i].provider;
    assert_int_equal(credentials_chain_open(links, FAKES, &chain), 0);
    return chain;
}

static void test_chain(void **state)
{
    struct credentials_provider *chain = open_chain();
    (void)state;
    assert_int_equal(get(chain), 0);
    check("A", "HUSH", "");
    fakes[0].result = E_NOT_FOUND;
    assert_int_equal(get(chain), 0);
    check("B", "HUSH", "");
    fakes[1].result = E_CREDENTIALS; /* it is configured: C is not asked */
    assert_int_equal(get(chain), E_CREDENTIALS);
    assert_string_equal(fault, "B says no");
    fakes[1].result = E_TIMEOUT;
    assert_int_equal(get(chain), E_TIMEOUT);
    assert_int_equal(fakes[2].asked, 0);
    fakes[1].result = fakes[2].result = E_NOT_FOUND;
    assert_int_equal(get(chain), E_NOT_FOUND);
    assert_string_equal(fault, "fake: A says no; fake: B says no; fake: C says no");
    credentials_expire(chain, NULL);
    credentials_close(chain);
    for (size_t i = 0; i < FAKES; i++) {
        assert_int_equal(fakes[i].expired, 1);
        assert_int_equal(fakes[i].closed, 1);
    }
}

static void test_empty_chain(void **state)
{
    struct credentials_provider *chain;
    (void)state;
    assert_int_equal(credentials_chain_open(NULL, 0, &chain), 0);
    memset(&credentials, 0, sizeof credentials);
    assert_int_equal(credentials_get(chain, INT64_MAX, fault, &credentials), E_NOT_FOUND);
    credentials_close(chain);
    credentials_close(NULL);
}

/* What all say together may be longer than a fault. */
static void test_long_chain_fault(void **state)
{
    static const char long_id[] =
        "a very long name of nobody in particular that goes on and on and on, as if there were "
        "no end to it";
    struct credentials_provider *chain = open_chain();
    (void)state;
    for (size_t i = 0; i < FAKES; i++) {
        fakes[i].result = E_NOT_FOUND;
        fakes[i].id = long_id;
    }
    assert_int_equal(get(chain), E_NOT_FOUND);
    assert_int_equal(strlen(fault), CREDENTIALS_FAULT_BYTES - 1);
    credentials_close(chain);
}

static int64_t fake_mono_ms(void)
{
    return now_ms;
}

static uint64_t fake_random_below(uint64_t limit)
{
    return random_answer < limit ? random_answer : limit - 1;
}

static struct credentials_provider *open_cache(int64_t expires_ms)
{
    const struct credentials_cache_options options = {fake_mono_ms, fake_random_below, NULL};
    struct credentials_provider *cache;
    reset_fakes();
    now_ms = 1000;
    random_answer = 0;
    fakes[0].expires_ms = expires_ms;
    assert_int_equal(credentials_cache_open_with(&options, &fakes[0].provider, &cache), 0);
    return cache;
}

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE };

/* An hour's keys: asked for again 15 min +-10 % before their end, not sooner. */
static void run_refresh(uint64_t answer, int64_t life_ms, int64_t ahead_ms)
{
    struct credentials_provider *cache = open_cache(1000 + life_ms);
    random_answer = answer;
    assert_int_equal(get(cache), 0);
    now_ms = 1000 + life_ms - ahead_ms - 1;
    assert_int_equal(get(cache), 0);
    assert_int_equal(fakes[0].asked, 1);
    fakes[0].id = "NEW";
    fakes[0].expires_ms = 1000 + 2 * life_ms;
    now_ms++;
    assert_int_equal(get(cache), 0);
    check("NEW", "HUSH", "");
    assert_int_equal(fakes[0].asked, 2);
    credentials_close(cache);
    assert_int_equal(fakes[0].closed, 1);
}

static void test_cache_refresh(void **state)
{
    (void)state;
    run_refresh(0, 2 * HOUR, 15 * MINUTE * 9 / 10);
    run_refresh(UINT64_MAX, 2 * HOUR, 15 * MINUTE * 11 / 10);
    run_refresh(15 * MINUTE / 10, 2 * HOUR, 15 * MINUTE);
    run_refresh(4 * MINUTE / 10, 16 * MINUTE, 4 * MINUTE);
}

/* The source fails: the old ones go on to their very end, and it is asked every 30 s at most. */
static void test_cache_outlives_failure(void **state)
{
    struct credentials_provider *cache = open_cache(1000 + HOUR);
    unsigned gets = 0;
    (void)state;
    assert_int_equal(get(cache), 0);
    fakes[0].result = E_TIMEOUT;
    for (; now_ms < 1000 + HOUR; now_ms += SECOND, gets++) {
        assert_int_equal(get(cache), 0);
        check("A", "HUSH", "");
    }
    assert_in_range(fakes[0].asked, 2 + 13 * 2, 2 + 15 * 2);
    assert_int_equal(get(cache), E_TIMEOUT);
    assert_string_equal(fault, "A says no");
    fakes[0].result = 0;
    fakes[0].expires_ms = now_ms + HOUR;
    now_ms += 30 * SECOND;
    assert_int_equal(get(cache), 0);
    credentials_close(cache);
}

/* It is asked more and more rarely, at a time that nobody else asks. */
static void test_cache_pauses(void **state)
{
    static const int pauses_s[] = {30, 60, 120, 240, 300, 300};
    struct credentials_provider *cache = open_cache(INT64_MAX);
    (void)state;
    random_answer = UINT64_MAX;
    fakes[0].result = E_TIMEOUT;
    for (unsigned i = 0; i < sizeof pauses_s / sizeof *pauses_s; i++) {
        assert_int_equal(get(cache), E_TIMEOUT);
        assert_int_equal(fakes[0].asked, i + 1);
        now_ms += pauses_s[i] * SECOND - 1;
        assert_int_equal(get(cache), E_TIMEOUT);
        assert_int_equal(fakes[0].asked, i + 1);
        now_ms++;
    }
    fakes[0].result = 0;
    assert_int_equal(get(cache), 0);
    credentials_close(cache);
}

static void test_cache_never_gave(void **state)
{
    struct credentials_provider *cache = open_cache(INT64_MAX);
    (void)state;
    fakes[0].result = E_NOT_FOUND;
    for (int i = 0; i < 29; i++, now_ms += SECOND)
        assert_int_equal(get(cache), E_NOT_FOUND);
    assert_int_equal(fakes[0].asked, 1);
    fakes[0].result = 0;
    now_ms += 2 * SECOND;
    assert_int_equal(get(cache), 0);
    assert_int_equal(fakes[0].asked, 2);
    credentials_close(cache);
}

/* What never expires may change: it is asked for every 30 s, and kept when it cannot be had. */
static void test_cache_of_endless_ones(void **state)
{
    struct credentials_provider *cache = open_cache(INT64_MAX);
    (void)state;
    assert_int_equal(get(cache), 0);
    fakes[0].id = "NEW";
    now_ms += 29 * SECOND;
    assert_int_equal(get(cache), 0);
    check("A", "HUSH", "");
    now_ms += SECOND;
    assert_int_equal(get(cache), 0);
    check("NEW", "HUSH", "");
    fakes[0].result = E_CREDENTIALS;
    now_ms += HOUR;
    assert_int_equal(get(cache), 0);
    check("NEW", "HUSH", "");
    credentials_close(cache);
}

/* The other side says that they have expired: asked at once, but not again and again. */
static void test_cache_expire(void **state)
{
    struct credentials_provider *cache = open_cache(1000 + HOUR);
    (void)state;
    assert_int_equal(get(cache), 0);
    credentials_expire(cache, NULL);
    fakes[0].id = "NEW";
    assert_int_equal(get_other(cache), 0);
    assert_int_equal(fakes[0].expired, 1);
    check("NEW", "HUSH", "");
    assert_int_equal(fakes[0].asked, 2);
    for (int i = 0; i < 29; i++, now_ms += SECOND) {
        credentials_expire(cache, NULL);
        assert_int_equal(get_other(cache), E_CREDENTIALS);
        assert_non_null(strstr(fault, "expired"));
        assert_int_equal(get(cache), 0); /* of a route that was not refused */
    }
    assert_int_equal(fakes[0].asked, 2);
    now_ms += SECOND;
    assert_int_equal(get_other(cache), 0);
    assert_int_equal(fakes[0].asked, 3);
    credentials_close(cache);
}

/* An expiry in the past neither replaces what still works nor makes a busy loop. */
static void test_cache_expired_already(void **state)
{
    struct credentials_provider *cache = open_cache(500);
    (void)state;
    for (int i = 0; i < 29; i++, now_ms += SECOND) {
        assert_int_equal(get(cache), E_CREDENTIALS);
        assert_non_null(strstr(fault, "expired already"));
    }
    assert_int_equal(fakes[0].asked, 1);
    fakes[0].expires_ms = now_ms + HOUR;
    now_ms += SECOND;
    assert_int_equal(get(cache), 0);
    fakes[0].expires_ms = 500;
    fakes[0].id = "NEW";
    now_ms += 50 * MINUTE;
    assert_int_equal(get(cache), 0);
    check("A", "HUSH", "");
    assert_int_equal(fakes[0].asked, 3);
    now_ms += 10 * MINUTE;
    assert_int_equal(get(cache), E_CREDENTIALS);
    credentials_close(cache);
}

static void test_wipe(void **state)
{
    (void)state;
    memset(&credentials, 0x55, sizeof credentials);
    credentials_wipe(&credentials);
    for (size_t i = 0; i < sizeof credentials; i++)
        assert_int_equal(((const uint8_t *)&credentials)[i], 0);
}

/* ---- a token in a file ---- */

#ifdef CONFIG_CREDENTIALS_TOKEN_FILE
static void write_token(const char *text, mode_t mode)
{
    char path[PATH_BYTES];
    in_home("other", path);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    (void)fputs(text, file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

/* Session tokens of AWS all begin alike, so an older one is hidden as well. */
static void test_hide(void **state)
{
    static const struct {
        const char *secret, *text, *shown;
    } rows[] = {
        {"", "nothing to hide", "nothing to hide"},
        {"HUSH", "no secret", "no secret"},
        {"HUSH", "HUSH", "***"},
        {"HUSH", "a HUSH, HUSH.x b", "a ***, *** b"},
        {"HU", "HU", "**"},
        {"*", "a * b", "a * b"},
        {"HUSH/x:y", "not HUSH/x:y: remedy", "not ***: remedy"},
        {"0123456789abcdefOLD", "0123456789abcdefNEW/+= b", "*** b"},
        {"0123456789abcdefOLD", "cut: 0123456789abcdef", "cut: ***"},
        {"0123456789abcdefOLD", "0123456789abcde", "0123456789abcde"},
        {"Basic HUSHx=", "'HUSHx=' or 'Basic HUSHx='", "'***' or '***'"},
    };
    char text[64];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        (void)snprintf(text, sizeof text, "%s", rows[i].text);
        credentials_hide(rows[i].secret, text);
        assert_string_equal(text, rows[i].shown);
    }
}

static void test_token_file(void **state)
{
    char path[PATH_BYTES];
    struct credentials_provider *provider;
    (void)state;
    in_home("other", path);
    assert_int_equal(credentials_token_file_open(path, false, &provider), 0);
    assert_false(provider->operations->slow);
    assert_int_equal(get(provider), E_CREDENTIALS);
    assert_non_null(strstr(fault, "No such file"));
    write_token("HUSH.1 \r\n", 0600);
    assert_int_equal(get(provider), 0);
    check("", "", "HUSH.1");
    assert_true(credentials.expires_mono_ms == INT64_MAX);
    write_token("HUSH.2", 0400);
    assert_int_equal(get(provider), 0);
    check("", "", "HUSH.2");
    credentials_close(provider);
}

static void test_token_files_of_no_use(void **state)
{
    static char huge[CREDENTIALS_TOKEN_BYTES + 1];
    static const struct {
        const char *text;
        mode_t mode;
        const char *word;
    } rows[] = {{"HUSH", 0602, "chmod go-w"},
                {"", 0600, "is empty"},
                {"\n", 0600, "is empty"},
                {"HUSH\nHUSH", 0600, "a character that no token has"},
                {"HUSH\x7f", 0600, "a character that no token has"},
                {"HUSH HUSH", 0600, "holds a blank"},
                {huge, 0600, "larger than the limit"}};
    char path[PATH_BYTES];
    struct credentials_provider *provider;
    (void)state;
    memset(huge, 'H', sizeof huge - 1);
    in_home("other", path);
    assert_int_equal(credentials_token_file_open(path, false, &provider), 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        write_token(rows[i].text, rows[i].mode);
        assert_int_equal(get(provider), E_CREDENTIALS);
        assert_non_null(strstr(fault, rows[i].word));
    }
    credentials_close(provider);
}

/* A header of one's own may be anything. */
static void test_value_with_blanks(void **state)
{
    char path[PATH_BYTES];
    struct credentials_provider *provider;
    (void)state;
    in_home("other", path);
    assert_int_equal(credentials_token_file_open(path, true, &provider), 0);
    write_token("Basic HUSH==\n", 0600);
    assert_int_equal(get(provider), 0);
    check("", "", "Basic HUSH==");
    write_token("a\nHost: b", 0600);
    assert_int_equal(get(provider), E_CREDENTIALS);
    credentials_close(provider);
}
#endif

#define IN_HOME(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
#ifdef CONFIG_CREDENTIALS_TOKEN_FILE
        cmocka_unit_test(test_hide),
        IN_HOME(test_token_file),
        IN_HOME(test_token_files_of_no_use),
        IN_HOME(test_value_with_blanks),
#endif
#ifdef CONFIG_CREDENTIALS_ENV
        IN_HOME(test_env),
        IN_HOME(test_env_bad_values),
#endif
#ifdef CONFIG_CREDENTIALS_FILE
        IN_HOME(test_file_forms),
        IN_HOME(test_file_values),
        IN_HOME(test_config_file),
        IN_HOME(test_profiles),
        IN_HOME(test_paths),
        IN_HOME(test_handed_over),
        IN_HOME(test_no_home),
        IN_HOME(test_faulty_files),
        IN_HOME(test_long_lines),
        IN_HOME(test_role_in_a_profile),
        IN_HOME(test_every_prefix),
        IN_HOME(test_rotation),
        IN_HOME(test_half_written),
        IN_HOME(test_writable_by_others),
        IN_HOME(test_log),
        IN_HOME(test_too_long_names),
#endif
        IN_HOME(test_chain),
        IN_HOME(test_empty_chain),
        IN_HOME(test_long_chain_fault),
        IN_HOME(test_cache_refresh),
        IN_HOME(test_cache_outlives_failure),
        IN_HOME(test_cache_pauses),
        IN_HOME(test_cache_never_gave),
        IN_HOME(test_cache_of_endless_ones),
        IN_HOME(test_cache_expire),
        IN_HOME(test_cache_expired_already),
        IN_HOME(test_wipe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
