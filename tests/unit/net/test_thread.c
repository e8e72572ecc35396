/* test_thread.c - threads have names and no signals; cores are counted by what is granted. */
#include "net/thread.c"

#include <sys/stat.h>
#include <unistd.h>

#include "tests/test.h"

static char name_there[32];
static bool blocks_sigterm;

static void
look_around(void *arg)
{
    sigset_t mask;

    pthread_getname_np(pthread_self(), name_there, sizeof(name_there));
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    blocks_sigterm = sigismember(&mask, SIGTERM) == 1;
    *(int *)arg = 42;
}

TEST(a_thread_runs_under_its_name_and_leaves_signals_to_the_main_thread)
{
    int result = 0;
    sigset_t mask;

    thread_join(thread_start("a-name-that-is-far-too-long", look_around, &result));
    EXPECT_INT(result, 42);
    EXPECT_STR(str_c(name_there), "a-name-that-is-");
    EXPECT(blocks_sigterm);
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    EXPECT(sigismember(&mask, SIGTERM) == 0);
}

TEST(a_quota_is_rounded_up_to_whole_cores)
{
    EXPECT_INT(cores_of_quota(S("max 100000\n")), 0);
    EXPECT_INT(cores_of_quota(S("100000 100000\n")), 1);
    EXPECT_INT(cores_of_quota(S("150000 100000\n")), 2);
    EXPECT_INT(cores_of_quota(S("5000 100000")), 1);
    EXPECT_INT(cores_of_quota(S("0 100000")), 1);
    EXPECT_INT(cores_of_quota(S("100000 0")), 0);
    EXPECT_INT(cores_of_quota(S("100000")), 0);
    EXPECT_INT(cores_of_quota(S("")), 0);
    EXPECT_INT(cores_of_quota(S("18446744073709551615 1")), 100000);
}

TEST(the_place_in_either_hierarchy_is_found)
{
    struct str v1 = S("5:cpuset:/set\n4:cpu,cpuacct:/docker/x:y\n1:name=systemd:/z\n");

    EXPECT_STR(cgroup_path(S("0::/system.slice/a.service\n"), S("")), "/system.slice/a.service");
    EXPECT_STR(cgroup_path(S("4:cpu:/x\n0::/\n"), S("")), "/");
    EXPECT_STR(cgroup_path(S("4:cpu:/x\n"), S("")), "");
    EXPECT_STR(cgroup_path(v1, S("")), "");
    EXPECT_STR(cgroup_path(v1, S("cpu")), "/docker/x:y");
    EXPECT_STR(cgroup_path(S("3:cpuacct,cpu:/a"), S("cpu")), "/a");
    EXPECT_STR(cgroup_path(S("3:cpuset:/a\nnonsense\n::\n"), S("cpu")), "");
    EXPECT_STR(cgroup_path(S(""), S("cpu")), "");
}

static void
write_file(const char *root, const char *name, const char *text)
{
    char path[512];
    FILE *f;

    snprintf(path, sizeof(path), "%s%s", root, name);
    f = fopen(path, "w");
    EXPECT(f != NULL);
    fputs(text, f);
    fclose(f);
}

TEST(the_strictest_quota_on_the_way_up_counts)
{
    char root[] = "/tmp/openclaw-test-XXXXXX";
    char path[256];

    EXPECT(mkdtemp(root) != NULL);
    snprintf(path, sizeof(path), "%s/a", root);
    EXPECT(mkdir(path, 0700) == 0);
    snprintf(path, sizeof(path), "%s/a/b", root);
    EXPECT(mkdir(path, 0700) == 0);
    EXPECT_INT(cores_by_cgroup(root, S("/a/b")), 0);
    write_file(root, "/a/b/cpu.max", "800000 100000\n");
    EXPECT_INT(cores_by_cgroup(root, S("/a/b/")), 8);
    write_file(root, "/a/cpu.max", "300000 100000\n");
    EXPECT_INT(cores_by_cgroup(root, S("/a/b")), 3);
    write_file(root, "/cpu.max", "max 100000\n");
    EXPECT_INT(cores_by_cgroup(root, S("/a/b")), 3);
    EXPECT_INT(cores_by_cgroup(root, S("/")), 0);

    /* version 1: two files, and a path that the container cannot see */
    write_file(root, "/cpu.max", "");
    write_file(root, "/cpu.cfs_quota_us", "-1\n");
    write_file(root, "/cpu.cfs_period_us", "100000\n");
    EXPECT_INT(cores_by_cgroup(root, S("/docker/far/away")), 0);
    write_file(root, "/cpu.cfs_quota_us", "250000\n");
    EXPECT_INT(cores_by_cgroup(root, S("/docker/far/away")), 3);
    EXPECT_INT(cores_by_cgroup(root, S("/")), 3);
    snprintf(path, sizeof(path), "rm -r %s", root);
    EXPECT(system(path) == 0);
}

TEST(there_is_at_least_one_core)
{
    EXPECT(loop_cores() >= 1 && loop_cores() <= 4096);
}
