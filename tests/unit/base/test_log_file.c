/* test_log_file.c - lines reach the file whole; trouble with the file reaches nobody. */
#include <fcntl.h>

static int note_advice(int fd, off_t from, off_t n, int advice);
#define posix_fadvise note_advice
#include "base/log_file.c"
#undef posix_fadvise

#include "tests/test.h"

#include <stdio.h>

#include "base/clock.h"

static char dir[64];
static char path[128];

/* A fresh folder with a path in it for this test. */
static void
begin(void)
{
    (void)snprintf(dir, sizeof(dir), "/tmp/openclaw-test-log-XXXXXX");
    EXPECT(mkdtemp(dir) != NULL);
    (void)snprintf(path, sizeof(path), "%s/log", dir);
}

static void
end(void)
{
    (void)unlink(path);
    EXPECT(rmdir(dir) == 0);
}

static struct str
contents(const char *name)
{
    static char room[1 << 20];
    FILE *f = fopen(name, "r");

    EXPECT(f != NULL);
    size_t n = fread(room, 1, sizeof(room), f);
    (void)fclose(f);
    return str_make(room, n);
}

static void
sleep_ms(unsigned ms)
{
    (void)poll(NULL, 0, (int)ms);
}

TEST(lines_are_appended_to_an_existing_file)
{
    begin();
    struct log_file *f = log_file_open(path, 4096);
    EXPECT(f != NULL);
    EXPECT(log_file_write(f, S("one\n")));
    log_file_close(f);
    f = log_file_open(path, 4096);
    EXPECT(log_file_write(f, S("two\nthree\n")));
    EXPECT(log_file_write(f, S("four\n")));
    log_file_close(f);
    EXPECT_STR(contents(path), "one\ntwo\nthree\nfour\n");
    end();
}

TEST(a_file_that_cannot_be_opened_says_why)
{
    errno = 0;
    EXPECT(log_file_open("/nonexistent/folder/log", 4096) == NULL);
    EXPECT_INT(errno, ENOENT);
    log_file_close(NULL);
}

TEST(lines_arrive_without_closing)
{
    begin();
    struct log_file *f = log_file_open(path, 4096);

    for (int round = 1; round <= 3; round++) {
        EXPECT(log_file_write(f, S("line\n")));
        for (int i = 0; i < 200 && contents(path).n != (size_t)round * 5; i++)
            sleep_ms(10);
        EXPECT_INT(contents(path).n, round * 5);
    }
    log_file_close(f);
    end();
}

struct author {
    struct log_file *file;
    char name;
    uint64_t dropped;
};

enum { AUTHORS = 4, LINES_EACH = 2000 };

static void *
write_lines(void *arg)
{
    struct author *author = arg;
    char line[64];

    for (int i = 0; i < LINES_EACH; i++) {
        int n = snprintf(line, sizeof(line), "%c %d\n", author->name, i);
        author->dropped += !log_file_write(author->file, str_make(line, (size_t)n));
    }
    return NULL;
}

TEST(lines_of_many_threads_stay_whole_and_each_threads_in_order)
{
    begin();
    struct log_file *f = log_file_open(path, 1 << 20);
    struct author authors[AUTHORS];
    pthread_t threads[AUTHORS];
    int next[AUTHORS] = { 0 };

    for (int i = 0; i < AUTHORS; i++) {
        authors[i] = (struct author){ .file = f, .name = (char)('a' + i) };
        EXPECT(pthread_create(&threads[i], NULL, write_lines, &authors[i]) == 0);
    }
    for (int i = 0; i < AUTHORS; i++) {
        (void)pthread_join(threads[i], NULL);
        EXPECT_INT(authors[i].dropped, 0);
    }
    EXPECT_INT(log_file_dropped(f), 0);
    log_file_close(f);

    struct str rest = contents(path);
    struct str line;
    while (str_cut(rest, '\n', &line, &rest)) {
        uint64_t number = 0;
        EXPECT(line.n > 2 && line.p[0] >= 'a' && line.p[0] < 'a' + AUTHORS);
        EXPECT(str_u64(str_skip(line, 2), &number));
        EXPECT_INT(number, next[line.p[0] - 'a']++);
    }
    for (int i = 0; i < AUTHORS; i++)
        EXPECT_INT(next[i], LINES_EACH);
    end();
}

static struct {
    unsigned count;
    off_t from, to;    /* of the last one */
} advised;

/* What the file is advised to drop follows the end of the file, without a gap. */
static int
note_advice(int fd, off_t from, off_t n, int advice)
{
    struct stat st;

    EXPECT_INT(advice, POSIX_FADV_DONTNEED);
    EXPECT(fstat(fd, &st) == 0 && from + n == st.st_size);
    EXPECT(from <= advised.to && from >= advised.from);
    advised.count++;
    advised.from = from;
    advised.to = from + n;
    return posix_fadvise(fd, from, n, advice);
}

TEST(a_busy_file_leaves_the_page_cache_and_is_whole)
{
    enum { LINE = 64 * 1024, LINES = 5 * CACHED_BYTES / LINE };
    static char line[LINE];
    struct stat st;

    begin();
    memset(&advised, 0, sizeof(advised));
    memset(line, 'x', LINE - 1);
    line[LINE - 1] = '\n';
    struct log_file *f = log_file_open(path, 4 * LINE);
    for (int i = 0; i < LINES; i++)
        while (!log_file_write(f, str_make(line, LINE)))
            sleep_ms(1);
    log_file_close(f);
    EXPECT(stat(path, &st) == 0);
    EXPECT_INT(st.st_size, (off_t)LINE * LINES);
    EXPECT(advised.count >= 3 && advised.count <= 5);
    EXPECT(advised.from >= CACHED_BYTES && st.st_size - advised.to <= CACHED_BYTES);
    end();
}

TEST(lines_longer_than_the_queue_are_dropped_and_counted)
{
    begin();
    struct log_file *f = log_file_open(path, 16);

    EXPECT(!log_file_write(f, S("a line that is too long\n")));
    EXPECT_INT(log_file_dropped(f), 1);
    EXPECT(!log_file_write(f, S("three\nlines\nat once\n")));
    EXPECT_INT(log_file_dropped(f), 4);
    EXPECT(log_file_write(f, S("short\n")));
    log_file_close(f);
    EXPECT_STR(contents(path), "short\n");
    end();
}

/* Opens the reader's end of a named pipe at `path`. */
static int
make_pipe(void)
{
    EXPECT(mkfifo(path, 0600) == 0);
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    EXPECT(fd >= 0);
    return fd;
}

TEST(a_blocked_pipe_blocks_no_writer_and_loses_no_accepted_line)
{
    begin();
    int fd = make_pipe();
    struct log_file *f = log_file_open(path, 100000);
    char line[101];
    uint64_t taken = 0;
    uint64_t refused = 0;

    memset(line, 'x', 99);
    line[99] = '\n';
    uint64_t start_ms = clock_now_ms();
    for (int i = 0; i < 5000; i++) {
        if (log_file_write(f, str_make(line, 100)))
            taken++;
        else
            refused++;
        if (i % 500 == 0)
            sleep_ms(30);
    }
    EXPECT(clock_now_ms() - start_ms < 3000);
    EXPECT(refused > 0 && taken >= 1000);
    EXPECT_INT(log_file_dropped(f), refused);

    uint64_t bytes = 0;
    char room[65536];
    for (int i = 0; i < 500 && bytes < taken * 100; i++) {
        ssize_t n = read(fd, room, sizeof(room));
        if (n > 0)
            bytes += (uint64_t)n;
        else
            sleep_ms(10);
    }
    EXPECT_INT(bytes, taken * 100);
    EXPECT(log_file_write(f, str_make(line, 100)));
    log_file_close(f);
    EXPECT_INT(read(fd, room, sizeof(room)), 100);
    (void)close(fd);
    end();
}

TEST(closing_waits_a_second_at_most)
{
    begin();
    int fd = make_pipe();
    struct log_file *f = log_file_open(path, 200000);
    char lines[1000];

    memset(lines, '\n', sizeof(lines));
    for (int i = 0; i < 150; i++)
        EXPECT(log_file_write(f, str_make(lines, sizeof(lines))));
    uint64_t start_ms = clock_now_ms();
    log_file_close(f);
    EXPECT(clock_now_ms() - start_ms < 1500);
    EXPECT(clock_now_ms() - start_ms >= 500);
    (void)close(fd);
    end();
}

TEST(a_closed_pipe_does_not_kill_the_process)
{
    begin();
    int fd = make_pipe();
    struct log_file *f = log_file_open(path, 4096);

    (void)close(fd);
    EXPECT(log_file_write(f, S("nobody reads this\n")));
    sleep_ms(100);
    fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    char room[64];
    ssize_t n = -1;
    for (int i = 0; i < 200 && n <= 0; i++) {
        sleep_ms(10);
        n = read(fd, room, sizeof(room));
    }
    EXPECT_STR(str_make(room, (size_t)MAX(n, 0)), "nobody reads this\n");
    log_file_close(f);
    (void)close(fd);
    end();
}

TEST(a_full_disk_keeps_what_the_queue_holds_until_there_is_room)
{
    if (access("/dev/full", W_OK) != 0)
        SKIP("no /dev/full");
    begin();
    EXPECT(symlink("/dev/full", path) == 0);
    struct log_file *f = log_file_open(path, 64);
    EXPECT(f != NULL);
    EXPECT(log_file_write(f, S("first\n")));
    sleep_ms(100);
    EXPECT(log_file_write(f, S("second\n")));

    uint64_t start_ms = clock_now_ms();
    for (int i = 0; i < 100; i++)
        (void)log_file_write(f, S("a line of thirty characters..\n"));
    EXPECT(clock_now_ms() - start_ms < 500);
    EXPECT_INT(log_file_dropped(f), 99);

    EXPECT(unlink(path) == 0);    /* room again: a real file in its place */
    EXPECT(log_file_reopen(f));
    for (int i = 0; i < 200 && access(path, F_OK) != 0; i++)
        sleep_ms(10);
    sleep_ms(100);
    EXPECT(log_file_write(f, S("later\n")));
    log_file_close(f);
    EXPECT_STR(contents(path), "first\nsecond\na line of thirty characters..\nlater\n");
    end();
}

TEST(write_errors_do_not_make_the_thread_spin)
{
    if (access("/dev/full", W_OK) != 0)
        SKIP("no /dev/full");
    struct log_file *f = log_file_open("/dev/full", 4096);
    struct timespec before;
    struct timespec after;
    clockid_t clock;

    EXPECT(log_file_write(f, S("line\n")));
    EXPECT(pthread_getcpuclockid(f->thread, &clock) == 0);
    sleep_ms(50);
    EXPECT(clock_gettime(clock, &before) == 0);
    sleep_ms(600);
    EXPECT(clock_gettime(clock, &after) == 0);
    long used_us =
        (after.tv_sec - before.tv_sec) * 1000000 + (after.tv_nsec - before.tv_nsec) / 1000;
    EXPECT(used_us < 50000);
    log_file_close(f);
}

TEST(after_rotation_lines_go_to_the_new_file)
{
    char old[160];

    begin();
    (void)snprintf(old, sizeof(old), "%s.1", path);
    struct log_file *f = log_file_open(path, 4096);
    EXPECT(log_file_write(f, S("before\n")));
    for (int i = 0; i < 200 && contents(path).n == 0; i++)
        sleep_ms(10);
    EXPECT(rename(path, old) == 0);
    EXPECT(log_file_reopen(f));
    EXPECT(log_file_reopen(f));
    for (int i = 0; i < 200 && access(path, F_OK) != 0; i++)
        sleep_ms(10);
    EXPECT(log_file_write(f, S("after\n")));
    log_file_close(f);
    EXPECT_STR(contents(old), "before\n");
    EXPECT_STR(contents(path), "after\n");
    EXPECT(unlink(old) == 0);
    end();
}

TEST(a_failed_reopen_is_reported_and_keeps_the_old_file)
{
    begin();
    struct log_file *f = log_file_open(path, 4096);
    char away[160];

    (void)snprintf(away, sizeof(away), "%s.away", dir);
    EXPECT(rename(dir, away) == 0);
    EXPECT(!log_file_reopen(f) && errno == ENOENT);
    EXPECT(log_file_write(f, S("kept\n")));
    log_file_close(f);
    EXPECT(rename(away, dir) == 0);
    EXPECT_STR(contents(path), "kept\n");
    end();
}

TEST(a_pipe_gets_whole_lines_where_possible)
{
    EXPECT_STR(whole_lines(S("ab\ncd\nef"), 7), "ab\ncd\n");
    EXPECT_STR(whole_lines(S("ab\ncd\nef"), 8), "ab\ncd\nef");
    EXPECT_STR(whole_lines(S("abcdef\n"), 3), "abc");
}
