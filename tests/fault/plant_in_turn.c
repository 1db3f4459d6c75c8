/* SPDX-License-Identifier: Apache-2.0 */
/* A planted bug: a new key and its certificate go into the place of the old ones in turn, instead
 * of the link to both. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "platform/fs.h"

static int replace_one(const char *pair, const char *old, const char *name)
{
    char text[4096], from[FS_PATH_BYTES], to[FS_PATH_BYTES];
    int rc = fs_join(pair, name, from, sizeof from);
    if (rc == 0)
        rc = fs_join(old, name, to, sizeof to);
    if (rc == 0)
        rc = fs_read_file(from, text, sizeof text);
    return rc < 0 ? rc : fs_replace_file(to, text, (size_t)rc, 0600);
}

int __real_fs_replace_link(const char *path, const char *target);
int __wrap_fs_replace_link(const char *path, const char *target);
int __wrap_fs_replace_link(const char *path, const char *target)
{
    char directory[FS_PATH_BYTES], old[FS_PATH_BYTES], pair[FS_PATH_BYTES], name[64];
    char *slash = strcpy(directory, path) + strlen(path) - strlen("/current");
    ssize_t count = readlink(path, name, sizeof name - 1);
    if (strcmp(slash, "/current") != 0 || count < 0)
        return __real_fs_replace_link(path, target);
    name[count] = *slash = '\0';
    int rc = fs_join(directory, name, old, sizeof old);
    if (rc == 0)
        rc = fs_join(directory, target, pair, sizeof pair);
    if (rc == 0)
        rc = replace_one(pair, old, "device.key");
    return rc < 0 ? rc : replace_one(pair, old, "device.pem");
}
