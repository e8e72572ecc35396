/* memory.c - reads the limits of control groups. */
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_BYTES 4096
#define LINE_BYTES 4096
#define NO_LIMIT (UINT64_C(1) << 60)    /* v1 says "none" with the largest number of pages */

/* The number in a file of one line; UINT64_MAX for "max", or if it cannot be read. */
static uint64_t
read_limit(const char *root, const char *base, const char *group, const char *file)
{
    UNINITIALIZED char path[PATH_BYTES], line[64];
    int n = snprintf(path, sizeof(path), "%s%s%s/%s", root, base, group, file);
    FILE *f = n > 0 && (size_t)n < sizeof(path) ? fopen(path, "re") : NULL;
    char *end = line;

    if (f == NULL)
        return UINT64_MAX;
    unsigned long long v = fgets(line, sizeof(line), f) != NULL ? strtoull(line, &end, 10) : 0;
    (void)fclose(f);
    return end == line || v >= NO_LIMIT ? UINT64_MAX : v;
}

/* The group's limit and those of all groups around it. In a container the group may be named as
 * the host sees it, where only its own files are mounted: then the last step finds them. */
static uint64_t
limit_of(const char *root, const char *base, char *group, const char *const *files)
{
    uint64_t least = UINT64_MAX;

    if (strstr(group, "..") != NULL)    /* outside of what this process may see */
        *group = '\0';
    for (;;) {
        for (size_t i = 0; files[i] != NULL; i++) {
            uint64_t limit = read_limit(root, base, group, files[i]);

            least = MIN(least, limit);
        }
        char *slash = strrchr(group, '/');
        if (slash == NULL)
            return least;
        *slash = '\0';
    }
}

/* The lines of /proc/self/cgroup are "0::/GROUP" (v2) and "N:CONTROLLERS:/GROUP" (v1). */
static uint64_t
groups_limit(const char *root)
{
    static const char *const v2[] = { "memory.max", "memory.high", NULL };
    static const char *const v1[] = { "memory.limit_in_bytes", NULL };
    UNINITIALIZED char path[PATH_BYTES], line[LINE_BYTES];
    uint64_t least = UINT64_MAX;

    (void)snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return UINT64_MAX;
    while (fgets(line, sizeof(line), f) != NULL) {
        char *controllers = strchr(line, ':');
        char *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        uint64_t limit = UINT64_MAX;

        line[strcspn(line, "\n")] = '\0';
        if (group == NULL)
            continue;
        *group++ = '\0';
        if (controllers[1] == '\0')
            limit = limit_of(root, "/sys/fs/cgroup", group, v2);
        else if (strcmp(controllers + 1, "memory") == 0)
            limit = limit_of(root, "/sys/fs/cgroup/memory", group, v1);
        least = MIN(least, limit);
    }
    (void)fclose(f);
    return least;
}

uint64_t
memory_limit_bytes(const char *root, bool *ret_group)
{
    uint64_t machine = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t groups = groups_limit(root);

    *ret_group = groups < machine;
    return MIN(groups, machine);
}

uint64_t
memory_resident_bytes(void)
{
    unsigned long long size, resident;
    FILE *f = fopen("/proc/self/statm", "re");

    if (f == NULL)
        return 0;
    int got = fscanf(f, "%llu %llu", &size, &resident);
    (void)fclose(f);
    return got == 2 ? resident * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}
