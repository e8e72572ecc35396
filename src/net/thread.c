/* thread.c - threads that run loops, and the number of cores that this process may use. */
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

/* The contents of a file of a cgroup; empty if it does not exist. */
static struct str
read_of_cgroup(const char *root, struct str cgroup, const char *name, char *room, size_t size)
{
    char path[1024];
    int n = snprintf(path, sizeof(path), "%s" STR_FMT "/%s", root, STR_ARG(cgroup), name);

    return n < (int)sizeof(path) ? read_small_file(path, room, size) : S("");
}

/* The quota of this cgroup: one file in version 2, two files in version 1, -1 for no quota. */
static unsigned
cores_of_cgroup(const char *root, struct str cgroup)
{
    char room[128], room2[64], both[192];
    struct str quota = read_of_cgroup(root, cgroup, "cpu.max", room, sizeof(room));

    if (quota.n != 0)
        return cores_of_quota(quota);
    quota = str_trim(read_of_cgroup(root, cgroup, "cpu.cfs_quota_us", room, sizeof(room)));
    struct str period =
        str_trim(read_of_cgroup(root, cgroup, "cpu.cfs_period_us", room2, sizeof(room2)));
    int n = snprintf(both, sizeof(both), STR_FMT " " STR_FMT, STR_ARG(quota), STR_ARG(period));

    return cores_of_quota(str_make(both, MIN((size_t)n, sizeof(both) - 1)));
}

/* The strictest quota of the cgroup and those around it; 0 when there is none. In a container the
 * path may be the host's: then what counts is found at the root. */
static unsigned
cores_by_cgroup(const char *root, struct str cgroup)
{
    unsigned least = 0;

    for (;;) {
        while (cgroup.n != 0 && cgroup.p[cgroup.n - 1] == '/')
            cgroup.n--;
        unsigned cores = cores_of_cgroup(root, cgroup);
        if (cores != 0 && (least == 0 || cores < least))
            least = cores;
        if (cgroup.n == 0)
            return least;
        while (cgroup.n != 0 && cgroup.p[cgroup.n - 1] != '/')
            cgroup.n--;
    }
}

/* Is the word one of "a,b,c"? */
static bool
list_has(struct str list, struct str word)
{
    struct str one;

    while (list.n != 0) {
        str_cut(list, ',', &one, &list);
        if (str_eq(one, word))
            return true;
    }
    return false;
}

/* Where /proc/self/cgroup says we are: with `controller`, in the hierarchy of version 1 that has it
 * ("4:cpu,cpuacct:/a"); without, in the unified one ("0::/a"). */
static struct str
cgroup_path(struct str text, struct str controller)
{
    struct str line, number, controllers, path;

    while (text.n != 0) {
        str_cut(text, '\n', &line, &text);
        str_cut(line, ':', &number, &line);
        if (!str_cut(line, ':', &controllers, &path))
            continue;
        if (controller.n != 0 ? list_has(controllers, controller) : str_eq(number, S("0")))
            return path;
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

    struct str text = read_small_file("/proc/self/cgroup", room, sizeof(room));
    unsigned granted[] = {
        cores_by_cgroup("/sys/fs/cgroup", cgroup_path(text, S(""))),
        cores_by_cgroup("/sys/fs/cgroup/cpu", cgroup_path(text, S("cpu"))),
    };
    for (size_t i = 0; i < ARRAY_LEN(granted); i++)
        if (granted[i] != 0)
            cores = MIN(granted[i], cores);
    return cores;
}
