/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/control/config_reader.h"
#include "platform/base/ini.h"
#include "platform/fs.h"

enum { PIECE_BYTES = 512, LINE_BYTES = 512, REGION_BYTES = 64 };

/* A "~" that no shell has seen (a systemd unit's environment) is HOME. False: there is no path. */
static bool find_file(const struct config_options *options, char path[FS_PATH_BYTES])
{
    const char *home = config_variable(options, "HOME");
    const char *named = config_variable(options, "AWS_CONFIG_FILE");
    if (named == NULL)
        named = "~/.aws/config";
    bool expand = named[0] == '~' && named[1] == '/';
    if (expand && home == NULL)
        return false;
    int count =
        snprintf(path, FS_PATH_BYTES, "%s%s", expand ? home : "", expand ? named + 1 : named);
    return count > 0 && count < FS_PATH_BYTES;
}

/* The last one counts, as it does for the AWS tools. What is too long stays too long for a region.
 */
static int take_key(void *context, const struct ini_key *key)
{
    char *region = context;
    if (ini_is(key, "region"))
        (void)snprintf(region, REGION_BYTES, "%.*s",
                       (int)(key->value_count < REGION_BYTES ? key->value_count : REGION_BYTES),
                       key->value);
    return 0;
}

static void read_lines(int fd, struct ini *ini)
{
    char piece[PIECE_BYTES];
    ssize_t got;
    do {
        got = read(fd, piece, sizeof piece);
        if (got > 0)
            (void)ini_feed(ini, piece, (size_t)got);
    } while (got > 0 || (got < 0 && errno == EINTR));
    (void)ini_end(ini);
}

const char *config_shared_region(struct config_reader *reader, const char *profile)
{
    char path[FS_PATH_BYTES];
    char line[LINE_BYTES];
    char region[REGION_BYTES] = "";
    struct stat status;
    struct ini ini = {.profile = profile,
                      .is_config = true,
                      .on_key = take_key,
                      .context = region,
                      .line = line,
                      .line_bytes = sizeof line};
    if (ini.profile == NULL)
        ini.profile = config_variable(reader->options, "AWS_PROFILE");
    if (ini.profile == NULL)
        ini.profile = "default";
    if (!find_file(reader->options, path))
        return NULL;
    /* Non-blocking: the path may name a FIFO that nobody writes to. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return NULL; /* what is missing then is the region, and that is told */
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode))
        read_lines(fd, &ini);
    (void)close(fd);
    return region[0] != '\0' ? config_pool_text(reader->pool, region) : NULL;
}
