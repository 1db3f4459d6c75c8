/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage: stop_thread PID NAME
 *
 * Stops the one thread of a process that bears NAME, as long as this program lives. SIGSTOP would
 * stop all of them (signal(7)); who traces a thread (ptrace(2), PTRACE_INTERRUPT) stops that one.
 */
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

static int is_named(const char *pid, const char *tid, const char *name)
{
    char path[96], found[32] = "";
    snprintf(path, sizeof path, "/proc/%.16s/task/%.16s/comm", pid, tid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    const char *line = fgets(found, sizeof found, file);
    fclose(file);
    return line != NULL && strcspn(found, "\n") == strlen(name) &&
           strncmp(found, name, strlen(name)) == 0;
}

static pid_t find(const char *pid, const char *name)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%.16s/task", pid);
    DIR *folder = opendir(path);
    if (folder == NULL)
        return -1;
    pid_t tid = -1;
    for (struct dirent *entry; tid < 0 && (entry = readdir(folder)) != NULL;)
        if (isdigit((unsigned char)entry->d_name[0]) && is_named(pid, entry->d_name, name))
            tid = (pid_t)strtol(entry->d_name, NULL, 10);
    closedir(folder);
    return tid;
}

int main(int count, char **arguments)
{
    if (count != 3)
        return 2;
    pid_t tid = find(arguments[1], arguments[2]);
    if (tid < 0) {
        fprintf(stderr, "stop_thread: no thread %s\n", arguments[2]);
        return 1;
    }
    if (ptrace(PTRACE_SEIZE, tid, NULL, NULL) != 0 ||
        ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) != 0 || waitpid(tid, NULL, __WALL) != tid) {
        perror("stop_thread");
        return 1;
    }
    printf("stopped %ld\n", (long)tid);
    fflush(stdout);
    /* Until the process that it belongs to is killed, or this one is. */
    for (int state = 0;
         waitpid(tid, &state, __WALL) == tid && !WIFEXITED(state) && !WIFSIGNALED(state);)
        ;
    return 0;
}
