/* thread.c - threads that run loops, and how many of them make sense here. */
#include "net/loop.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum { NAME_ROOM = 16 };    /* the kernel's limit, NUL included */

struct thread {
    pthread_t id;
    char name[NAME_ROOM];
    void (*fn)(void *arg);
    void *arg;
};

static void *
thread_main(void *arg)
{
    struct thread *t = arg;

    pthread_setname_np(pthread_self(), t->name);
    t->fn(t->arg);
    return NULL;
}

struct thread *
thread_start(const char *name, void (*fn)(void *arg), void *arg)
{
    struct thread *t = check_alloc(calloc(1, sizeof(*t)));
    sigset_t all, before;

    str_copy_c(t->name, sizeof(t->name), str_c(name));
    t->fn = fn;
    t->arg = arg;

    /* Signals are for the main thread; the new one inherits a mask that blocks them. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    CHECK(pthread_create(&t->id, NULL, thread_main, t) == 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return t;
}

void
thread_join(struct thread *t)
{
    CHECK(pthread_join(t->id, NULL) == 0);
    free(t);
}

/* --- cores --- */

/* What cpu.max grants, rounded up: "150000 100000" is 2 cores; 0 for "max" and for nonsense. */
static unsigned
cores_of_quota(struct str text)
{
    struct str quota, period;
    uint64_t quota_us, period_us;

    str_cut(str_trim(text), ' ', &quota, &period);
    if (!str_u64(quota, &quota_us) || !str_u64(period, &period_us) || period_us == 0)
        return 0;
    if (quota_us == 0)
        return 1;
    return (unsigned)MIN((quota_us - 1) / period_us + 1, 100000);
}

static struct str
read_small_file(const char *path, char *room, size_t size)
{
    FILE *f = fopen(path, "re");

    if (f == NULL)
        return (struct str){ NULL, 0 };
    size_t n = fread(room, 1, size, f);
    fclose(f);
    return str_make(room, n);
}

/* The strictest quota of the cgroup and those around it; 0 when there is none. */
static unsigned
cores_by_cgroup(const char *root, struct str cgroup)
{
    unsigned least = 0;

    for (;;) {
        char path[1024], room[128];

        while (cgroup.n != 0 && cgroup.p[cgroup.n - 1] == '/')
            cgroup.n--;
        if (snprintf(path, sizeof(path), "%s" STR_FMT "/cpu.max", root, STR_ARG(cgroup)) <
            (int)sizeof(path)) {
            unsigned cores = cores_of_quota(read_small_file(path, room, sizeof(room)));
            if (cores != 0 && (least == 0 || cores < least))
                least = cores;
        }
        if (cgroup.n == 0)
            return least;
        while (cgroup.n != 0 && cgroup.p[cgroup.n - 1] != '/')
            cgroup.n--;
    }
}

/* The path behind "0::" in /proc/self/cgroup: where we are in the unified hierarchy. */
static struct str
cgroup_path(struct str text)
{
    struct str line;

    while (text.n != 0) {
        str_cut(text, '\n', &line, &text);
        if (str_starts(line, S("0::")))
            return str_skip(line, 3);
    }
    return (struct str){ NULL, 0 };
}

unsigned
loop_cores(void)
{
    char room[4096];
    cpu_set_t set;
    unsigned cores = 1;

    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        cores = (unsigned)MAX(CPU_COUNT(&set), 1);

    struct str cgroup = cgroup_path(read_small_file("/proc/self/cgroup", room, sizeof(room)));
    unsigned granted = cores_by_cgroup("/sys/fs/cgroup", cgroup);
    return granted != 0 ? MIN(granted, cores) : cores;
}
