/* SPDX-License-Identifier: Apache-2.0 */
/* A planted bug: LMDB is opened with MDB_NOSYNC, which leaves the order of writes to the system. */
enum { NO_SYNC = 0x10000 };

struct MDB_env;
int __real_mdb_env_open(struct MDB_env *env, const char *path, unsigned flags, unsigned mode);
int __wrap_mdb_env_open(struct MDB_env *env, const char *path, unsigned flags, unsigned mode);
int __wrap_mdb_env_open(struct MDB_env *env, const char *path, unsigned flags, unsigned mode)
{
    return __real_mdb_env_open(env, path, flags | NO_SYNC, mode);
}
