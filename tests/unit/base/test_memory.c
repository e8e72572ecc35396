/* test_memory.c - the limits of control groups, as files of the kernel say them. */
#include "base/memory.c"

#include <sys/stat.h>

#include "tests/test.h"

static char root[64];

static void
make_root(void)
{
    (void)strcpy(root, "/tmp/openclaw-memory-XXXXXX");
    EXPECT(mkdtemp(root) != NULL);
}

/* A file below the root, and the directories to it. */
static void
put(const char *path, const char *text)
{
    UNINITIALIZED char full[512];

    (void)snprintf(full, sizeof(full), "%s%s", root, path);
    for (char *p = full + strlen(root) + 1; (p = strchr(p, '/')) != NULL; p++) {
        *p = '\0';
        (void)mkdir(full, 0700);
        *p = '/';
    }
    FILE *f = fopen(full, "we");
    EXPECT(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0);
}

TEST(the_smallest_limit_of_the_group_and_those_around_it_counts)
{
    bool group;

    make_root();
    put("/proc/self/cgroup", "0::/system.slice/openclaw.service\n");
    put("/sys/fs/cgroup/system.slice/openclaw.service/memory.max", "67108864\n");
    put("/sys/fs/cgroup/system.slice/openclaw.service/memory.high", "max\n");
    EXPECT_INT(memory_limit_bytes(root, &group), 64 << 20);
    EXPECT(group);
    put("/sys/fs/cgroup/system.slice/openclaw.service/memory.high", "50331648\n");
    EXPECT_INT(memory_limit_bytes(root, &group), 48 << 20);
    put("/sys/fs/cgroup/system.slice/memory.max", "33554432\n");
    EXPECT_INT(memory_limit_bytes(root, &group), 32 << 20);
}

TEST(in_a_container_the_files_at_the_top_count)
{
    bool group;

    make_root();
    put("/proc/self/cgroup", "0::/docker/0123456789abcdef\n");
    put("/sys/fs/cgroup/memory.max", "67108864\n");
    EXPECT_INT(memory_limit_bytes(root, &group), 64 << 20);
    put("/proc/self/cgroup", "0::/../../outside\n");
    EXPECT_INT(memory_limit_bytes(root, &group), 64 << 20);
}

TEST(the_first_version_has_files_of_its_own)
{
    bool group;

    make_root();
    put("/proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/x\n0::/x\n");
    put("/sys/fs/cgroup/memory/x/memory.limit_in_bytes", "67108864\n");
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    EXPECT_INT(memory_limit_bytes(root, &group), 64 << 20);
    EXPECT(group);
}

TEST(without_a_limit_the_machine_s_memory_counts)
{
    bool group = true;
    uint64_t machine = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);

    make_root();
    EXPECT(memory_limit_bytes(root, &group) == machine);    /* no files at all */
    EXPECT(!group);
    put("/proc/self/cgroup", "nonsense\n0::/x\n:\n::\n0::\n");
    put("/sys/fs/cgroup/x/memory.max", "max\n");
    put("/sys/fs/cgroup/memory.max", "garbage\n");
    EXPECT(memory_limit_bytes(root, &group) == machine);
    EXPECT(!group);
}

TEST(resident_memory_is_told)
{
    EXPECT(memory_resident_bytes() > 100 * 1024);
}
