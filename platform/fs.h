/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RUNNEL_PLATFORM_FS_H
#define RUNNEL_PLATFORM_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

enum { FS_PATH_BYTES = 512 };

/** Joins DIRECTORY and NAME with one slash; E_TOO_BIG if PATH_BYTES do not hold the result. */
int fs_join(const char *directory, const char *name, char *path, size_t path_bytes);

/**
 * Reads the file PATH whole into BUFFER and terminates it with a NUL that is not counted. Does not
 * wait: a FIFO without a writer is empty. Returns the count; E_TOO_BIG if it does not fit, with
 * its beginning in all of BUFFER; error_sys.
 */
int fs_read_file(const char *path, char *buffer, size_t buffer_bytes);

/** Likewise the one value in ROOT followed by PATH, without the blanks, the line end or the NUL
 *  behind it. 0; E_NOT_FOUND: it is empty; what fs_read_file returns. */
int fs_read_value(const char *root, const char *path, char *value, size_t value_bytes);

/** Cuts PATH down to its parent: "/a/b" to "/a", "/a" to "/", "a" to ".". */
void fs_to_parent(char *path);

/**
 * Makes the directory PATH and its missing parents with MODE, and syncs the directories in which
 * it made one as far as we may open them. 0 also if it is there; E_TOO_BIG; error_sys.
 */
int fs_make_directories(const char *path, mode_t mode);

/**
 * Makes COUNT BYTES the content of PATH, so that after a cut the file is the old one or the new
 * one, whole; with MODE. E_TOO_BIG: the path; error_sys, then it is the old one.
 */
int fs_replace_file(const char *path, const void *bytes, size_t count, mode_t mode);

/**
 * Makes PATH a symbolic link to TARGET, whatever file or link it was, so that after a cut it is the
 * old one or the new one. E_TOO_BIG: the path; error_sys, then it is the old one.
 */
int fs_replace_link(const char *path, const char *target);

/** fsync(2) of a directory, so that names made or renamed in it survive a power cut. */
int fs_sync_directory(const char *path);

/**
 * Takes the lock that marks DIRECTORY as in use by this process: flock(2) on DIRECTORY/lock, given
 * up when ret_fd is closed, also by a crash. E_BUSY if another process holds it; E_TOO_BIG;
 * error_sys.
 */
int fs_lock_directory(const char *directory, int *ret_fd);

/** PATH if it is there, else the nearest of its parents that is. E_TOO_BIG; E_NOT_FOUND. */
int fs_find_existing(const char *path, char existing[FS_PATH_BYTES]);

/** Whether a file system begins at the directory PATH. One that is bound to a second place of the
 * same file system is not seen. E_TOO_BIG; error_sys. */
int fs_is_mount_point(const char *path, bool *ret_is_mount_point);

/**
 * The type of the file system under the directory PATH as a word ("ext4", "tmpfs", "overlay", hex
 * if unknown), and whether what is synced there survives a power cut: not in RAM; on an overlay
 * only if its upper directory can be seen and is not in RAM either. error_sys.
 */
int fs_describe(const char *path, char *ret_type, size_t type_bytes, bool *ret_durable);

/** Whether the file system under PATH keeps no room for what is written over a file's zeros (UBIFS,
 *  F2FS and others): then a file of full size may still meet a full disk. False if unknown. */
bool fs_writes_elsewhere(const char *path);

/** By what a file is known again; zeros for one that is not there. */
struct fs_mark {
    bool there;
    dev_t device;
    ino_t inode;
    off_t bytes;
    struct timespec changed;
};

/** That of PATH now; NULL is a file that is not there. */
struct fs_mark fs_look(const char *path);
bool fs_is_same_mark(const struct fs_mark *a, const struct fs_mark *b);

/** How much may still be written to the file system under PATH. error_sys. */
int fs_measure_free(const char *path, uint64_t *ret_bytes);

#endif
