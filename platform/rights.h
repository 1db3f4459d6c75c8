/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_PLATFORM_RIGHTS_H
#define RUNNEL_PLATFORM_RIGHTS_H

#include <sys/types.h>

enum { RIGHTS_USER_BYTES = 33 };

/**
 * Whose rights count where root works in a directory of the agent's: those of its owner. Nothing
 * that lies there can then lead root to files of others, and what is made there is the agent's.
 */
struct rights {
    uid_t owner, caller;
    gid_t owner_group, caller_group;
};

/** Of DIRECTORY and of who calls. error_sys, as stat(2). */
int rights_find(const char *directory, struct rights *ret_rights);

/**
 * Root makes the directory PATH and its missing parents with MODE where it alone can write, and
 * gives the owner those that it made. Nothing in a folder of others, who could lead it elsewhere,
 * and for others than root. error_sys; E_TOO_BIG.
 */
int rights_make_directories(const struct rights *rights, const char *path, mode_t mode);

/** Root becomes the owner; for others, and where root owns it, nothing changes. error_sys. */
int rights_take(const struct rights *rights);

/** The caller is itself again; ends the process if that is not possible. */
void rights_give_back(const struct rights *rights);

/**
 * Root becomes the owner for good, with the groups that /etc/group gives him; for others, and where
 * root owns it, nothing changes. error_sys.
 */
int rights_become(const struct rights *rights);

/** Whose rights the process has: a name, else a number. */
const char *rights_user(char user[RIGHTS_USER_BYTES]);

#endif
