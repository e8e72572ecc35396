/* test_watch.c - a file that is written, replaced, removed and swapped behind symlinks. */
#include "net/watch.c"

#include "tests/unit/net/fixture.h"

struct place {
    struct loop *loop;
    struct file_watch *watch;
    char dir[64];
    char path[128];
    unsigned changes;
};

static void
on_changed(void *arg)
{
    ((struct place *)arg)->changes++;
}

static void
shell(const struct place *p, const char *command)
{
    char line[512];

    snprintf(line, sizeof(line), "cd %s && %s", p->dir, command);
    EXPECT(system(line) == 0);
}

static void
place_open(struct place *p, const char *prepare)
{
    memset(p, 0, sizeof(*p));
    snprintf(p->dir, sizeof(p->dir), "/tmp/openclaw-test-XXXXXX");
    EXPECT(mkdtemp(p->dir) != NULL);
    snprintf(p->path, sizeof(p->path), "%s/file", p->dir);
    shell(p, prepare);
    p->loop = loop_create();
    p->watch = loop_watch_file(p->loop, p->path, on_changed, p);
}

static void
place_close(struct place *p)
{
    char line[128];

    loop_destroy(p->loop);
    snprintf(line, sizeof(line), "rm -r %s", p->dir);
    EXPECT(system(line) == 0);
}

TEST(a_file_that_is_written_is_reported_once_soon)
{
    struct place p;

    place_open(&p, "echo old > file");
    uint64_t began_ms = clock_now_ms();
    shell(&p, "echo n > file; echo new >> file");
    RUN_UNTIL(p.loop, p.changes != 0);
    EXPECT(clock_now_ms() - began_ms < 1500);    /* by the event, not by the slow look */
    RUN_FOR_MS(p.loop, 250);
    EXPECT_INT(p.changes, 1);
    place_close(&p);
}

TEST(changes_of_other_files_are_ignored)
{
    struct place p;

    place_open(&p, "echo old > file");
    shell(&p, "echo x > other; rm other");
    RUN_FOR_MS(p.loop, 300);
    EXPECT_INT(p.changes, 0);
    place_close(&p);
}

TEST(constant_changes_of_other_files_hide_nothing)
{
    struct place p;

    place_open(&p, "echo old > file; echo new > next; mv next file");
    uint64_t until_ms = clock_now_ms() + 1500;
    while (p.changes == 0 && clock_now_ms() < until_ms) {
        shell(&p, "echo x >> log");    /* by one who writes more often than the file settles */
        RUN_FOR_MS(p.loop, 20);
    }
    EXPECT_INT(p.changes, 0);    /* nothing has changed since the watch began */
    shell(&p, "echo newer > next; mv next file");
    until_ms = clock_now_ms() + 1500;
    while (p.changes == 0 && clock_now_ms() < until_ms) {
        shell(&p, "echo x >> log");
        RUN_FOR_MS(p.loop, 20);
    }
    EXPECT_INT(p.changes, 1);
    place_close(&p);
}

TEST(a_file_that_is_replaced_by_a_rename_is_reported)
{
    struct place p;

    place_open(&p, "echo old > file");
    shell(&p, "echo new > next; mv next file");
    RUN_UNTIL(p.loop, p.changes == 1);
    shell(&p, "echo newer > next; mv next file");
    RUN_UNTIL(p.loop, p.changes == 2);
    place_close(&p);
}

TEST(a_deleted_file_is_not_reported_until_it_is_back)
{
    struct place p;

    place_open(&p, "echo old > file");
    shell(&p, "mv file away");
    RUN_FOR_MS(p.loop, 300);
    EXPECT_INT(p.changes, 0);
    shell(&p, "mv away file");
    RUN_UNTIL(p.loop, p.changes == 1);
    place_close(&p);
}

TEST(a_mounted_volume_that_swaps_its_symlink_is_noticed)
{
    struct place p;

    place_open(&p, "mkdir v1 v2; echo 1 > v1/file; echo 2 > v2/file; ln -s v1 data;"
                   "ln -s data/file file");
    shell(&p, "ln -s v2 next; mv -T next data");
    RUN_UNTIL(p.loop, p.changes == 1);
    place_close(&p);
}

TEST(the_target_of_a_symlink_elsewhere_is_looked_at_every_few_seconds)
{
    struct place p;

    place_open(&p, "mkdir far; echo 1 > far/file; ln -s far/file file");
    shell(&p, "echo 22 > far/file");
    RUN_UNTIL(p.loop, p.changes == 1);
    place_close(&p);
}

TEST(a_directory_that_does_not_exist_yet_is_waited_for)
{
    struct place p;

    place_open(&p, "true");
    snprintf(p.path, sizeof(p.path), "%s/sub/file", p.dir);
    loop_watch_file(p.loop, p.path, on_changed, &p);
    shell(&p, "mkdir sub; echo x > sub/file");
    RUN_UNTIL(p.loop, p.changes == 1);
    place_close(&p);
}

TEST(the_directory_of_a_path_is_found)
{
    EXPECT_STR(directory_of(S("a")), ".");
    EXPECT_STR(directory_of(S("a/b")), "a");
    EXPECT_STR(directory_of(S("/a")), "/");
    EXPECT_STR(directory_of(S("/etc//x")), "/etc");
}

TEST(changed_permissions_are_a_change)
{
    struct place p;

    place_open(&p, "echo old > file");
    shell(&p, "chmod 600 file");
    RUN_UNTIL(p.loop, p.changes != 0);
    place_close(&p);
}

TEST(a_file_that_is_no_longer_watched_is_not_reported)
{
    struct place p;
    struct place other = { .changes = 0 };

    place_open(&p, "echo old > file");
    loop_watch_file(p.loop, p.path, on_changed, &other);
    loop_unwatch_file(p.watch);
    shell(&p, "echo new > file");
    RUN_UNTIL(p.loop, other.changes != 0);
    RUN_FOR_MS(p.loop, 250);
    EXPECT_INT(p.changes, 0);
    place_close(&p);
}

TEST(a_log_beside_the_file_wakes_nobody)
{
    struct place p;

    place_open(&p, "echo old > file; echo line > log");
    RUN_FOR_MS(p.loop, 250);
    shell(&p, "for i in 1 2 3 4 5; do echo line; done >> log");
    RUN_FOR_MS(p.loop, 250);    /* that it was closed is one event */
    FILE *log = NULL;
    char path[128];
    snprintf(path, sizeof(path), "%s/log", p.dir);
    EXPECT((log = fopen(path, "ae")) != NULL);
    RUN_FOR_MS(p.loop, 250);
    EXPECT(!p.watch->soon);
    EXPECT(fputs("line\n", log) >= 0 && fflush(log) == 0);
    RUN_FOR_MS(p.loop, 20);
    EXPECT(!p.watch->soon);
    EXPECT_INT(fclose(log), 0);
    RUN_UNTIL(p.loop, p.watch->soon);
    EXPECT_INT(p.changes, 0);
    place_close(&p);
}
