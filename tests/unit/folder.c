/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/folder.h"

#include <dirent.h>
#include <unistd.h>

void folder_empty(const char *path)
{
    DIR *directory = opendir(path);
    for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;)
        (void)unlinkat(dirfd(directory), entry->d_name, 0);
    if (directory != NULL)
        (void)closedir(directory);
}
