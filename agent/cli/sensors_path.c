/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "agent/cli/sensors.h"
#include "platform/base/error.h"

enum { PATH_BYTES = 256 };

/* The first word of TEXT that is an absolute path, without what stands around it. */
static bool find_path(const char *text, char path[PATH_BYTES])
{
    const char *at = text;
    while ((at = strchr(at, '/')) != NULL && at != text && strchr(" \":(=", at[-1]) == NULL)
        at++;
    size_t count = at == NULL ? 0 : strcspn(at, " :,;\"()");
    if (count < 2 || count >= PATH_BYTES || at[1] == '/')
        return false;
    memcpy(path, at, count);
    path[count] = '\0';
    return true;
}

static const char *kind_of(mode_t mode)
{
    return S_ISCHR(mode)    ? "a character device"
           : S_ISBLK(mode)  ? "a block device"
           : S_ISDIR(mode)  ? "a directory"
           : S_ISFIFO(mode) ? "a FIFO"
           : S_ISSOCK(mode) ? "a socket"
                            : "a file";
}

static void say_entry(const char *path, const struct stat *entry, char text[SENSORS_PATH_BYTES])
{
    const struct passwd *user = getpwuid(entry->st_uid);
    const struct group *group = getgrgid(entry->st_gid);
    (void)snprintf(text, SENSORS_PATH_BYTES, "%s is %s, mode %04o, of user %s (%u), group %s (%u)",
                   path, kind_of(entry->st_mode), (unsigned)(entry->st_mode & 07777),
                   user != NULL ? user->pw_name : "?", (unsigned)entry->st_uid,
                   group != NULL ? group->gr_name : "?", (unsigned)entry->st_gid);
}

/* PATH is cut to the deepest directory above it that is there. */
static void say_missing(char path[PATH_BYTES], int errnum, char text[SENSORS_PATH_BYTES])
{
    char missing[PATH_BYTES];
    struct stat entry;
    char *slash;
    (void)snprintf(missing, sizeof missing, "%s", path);
    while ((slash = strrchr(path, '/')) != NULL && slash != path) {
        *slash = '\0';
        if (stat(path, &entry) == 0)
            break;
        (void)snprintf(missing, sizeof missing, "%s", path);
    }
    (void)snprintf(text, SENSORS_PATH_BYTES, "%.150s is there, %.200s is not%s%s",
                   slash == path ? "/" : path, missing, errnum != ENOENT ? ": " : "",
                   errnum != ENOENT ? ERROR_TEXT(error_sys(errnum)) : "");
}

bool sensors_path_look(const char *text, char ret_text[SENSORS_PATH_BYTES])
{
    char path[PATH_BYTES];
    struct stat entry;
    if (!find_path(text, path))
        return false;
    if (stat(path, &entry) == 0)
        say_entry(path, &entry, ret_text);
    else
        say_missing(path, errno, ret_text);
    return true;
}
