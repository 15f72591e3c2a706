// Says what the kernel lets clone(2) do: a plain child, and one with a new namespace of users.
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void try(const char *what, unsigned long flags) {
    long child = syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
    if (child == 0)
        _exit(0);
    if (child > 0)
        waitpid((pid_t)child, NULL, 0);
    printf("%s: %s\n", what, child < 0 ? strerror(errno) : "made");
}

int main(void) {
    try("child", 0);
    try("users", CLONE_NEWUSER);
    return 0;
}
