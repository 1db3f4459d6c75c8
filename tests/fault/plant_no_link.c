/* SPDX-License-Identifier: Apache-2.0 */
/* A planted bug: the link by which key and certificate are switched is removed before it is made
 * anew. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "platform/base/error.h"
#include "platform/fs.h"

int __real_fs_replace_link(const char *path, const char *target);
int __wrap_fs_replace_link(const char *path, const char *target);
int __wrap_fs_replace_link(const char *path, const char *target)
{
    const char *name = strrchr(path, '/');
    if (name == NULL || strcmp(name, "/current") != 0)
        return __real_fs_replace_link(path, target);
    (void)unlink(path);
    return symlink(target, path) < 0 ? error_sys(errno) : 0;
}
