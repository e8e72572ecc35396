/* test_journal.c - records that survive the process, also when it dies between any two instructions. */
#include "store/journal.c"

#include <pthread.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "tests/test.h"

enum { ROOM = HEAD_BYTES + 64 * JOURNAL_SLOT_BYTES };

static char folder[64];

static const char *
fresh_folder(void)
{
    (void)snprintf(folder, sizeof(folder), "/tmp/test-journal-XXXXXX");
    EXPECT(mkdtemp(folder) != NULL);
    return folder;
}

static struct journal *
make(void)
{
    char why[256] = "";
    struct journal *j = journal_create(folder, ROOM, WHY(why));

    EXPECT_STR(str_c(why), "");
    EXPECT(j != NULL);
    return j;
}

static unsigned
files(void)
{
    DIR *dir = opendir(folder);
    unsigned n = 0;
    const struct dirent *e;

    while ((e = readdir(dir)) != NULL)
        n += e->d_name[0] != '.';
    closedir(dir);
    return n;
}

/* The process died: the ring is left as it is, without its lock. */
static void
die(struct journal *j)
{
    munmap(j->map, j->bytes);
    close(j->fd);
    free(j->next);
    free(j);
}

static const struct journal_begun begun = {
    .wall_ms = 1000,
    .reserved_nanousd = 500,
    .kind = JOURNAL_SHADOW,
    .request_id = S_INIT("req_1"),
    .key = S_INIT("key_1"),
    .org = S_INIT("acme"),
    .team = S_INIT("search"),
    .project = S_INIT("p"),
    .user = S_INIT("u"),
    .environment = S_INIT("prod"),
    .endpoint = S_INIT("chat"),
    .provider = S_INIT("openai"),
    .model = S_INIT("gpt"),
    .asked = S_INIT("fast"),
    .session = S_INIT("s"),
    .tags = S_INIT("a=b"),
};

static const struct journal_end end = {
    .wall_ms = 2000,
    .counts = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 },
    .known = 0x3ff,
    .flags = JOURNAL_STREAM,
    .status = 200,
    .attempts = 2,
    .cost_nanousd = 77,
    .outrun_nanousd = 8,
    .judge_nanousd = 9,
    .first_token_us = 10,
    .duration_us = 11,
    .provider = S_INIT("anthropic"),
    .model = S_INIT("claude"),
    .error = S_INIT(""),
};

static void
expect_begun(const struct journal_row *r)
{
    EXPECT_INT(r->begun.wall_ms, 1000);
    EXPECT_INT(r->begun.kind, JOURNAL_SHADOW);
    EXPECT_STR(r->begun.request_id, "req_1");
    EXPECT_STR(r->begun.key, "key_1");
    EXPECT_STR(r->begun.asked, "fast");
    EXPECT_STR(r->begun.session, "s");
    EXPECT_STR(r->begun.tags, "a=b");
}

static void
expect_end(const struct journal_row *r)
{
    EXPECT_INT(r->end.wall_ms, 2000);
    EXPECT_INT(r->end.counts[9], 10);
    EXPECT_INT(r->end.known, 0x3ff);
    EXPECT_INT(r->end.cost_nanousd, 77);
    EXPECT_INT(r->end.outrun_nanousd, 8);
    EXPECT_INT(r->end.judge_nanousd, 9);
    EXPECT_INT(r->end.duration_us, 11);
    EXPECT_STR(r->end.provider, "anthropic");
    EXPECT_STR(r->end.model, "claude");
}

TEST(a_record_is_begun_settled_taken_and_freed)
{
    fresh_folder();
    struct journal *j = make();
    uint32_t slot = journal_begin(j, &begun), taken[4];
    struct journal_row r;

    EXPECT(slot != 0);
    EXPECT(strstr(journal_path(j), folder) == journal_path(j));
    EXPECT_INT(journal_take(j, taken, 4), 0);    /* it is under way */
    journal_grow(j, slot, 100);
    journal_tell(j, slot, &end);
    EXPECT_INT(journal_take(j, taken, 4), 0);
    journal_settle(j, slot, &end);
    EXPECT_INT(journal_state(j).used, 1);
    EXPECT_INT(journal_take(j, taken, 4), 1);
    EXPECT_INT(taken[0], slot);
    EXPECT(journal_read(j, slot, &r));
    expect_begun(&r);
    expect_end(&r);
    EXPECT_INT(r.begun.reserved_nanousd, 600);
    EXPECT_INT(r.end.flags, JOURNAL_STREAM);    /* and not JOURNAL_RECOVERED */
    EXPECT_INT(r.number, 1);
    journal_give_back(j, taken, 1);
    EXPECT_INT(journal_take(j, taken, 4), 1);
    journal_free(j, slot);
    EXPECT_INT(journal_state(j).used, 0);
    EXPECT(!journal_read(j, slot, &r));
    EXPECT_INT(journal_begin(j, &begun), slot);
    journal_settle(j, slot, &end);
    EXPECT_INT(journal_take(j, taken, 4), 1);
    EXPECT(journal_read(j, slot, &r));
    EXPECT_INT(r.number, 2);
    journal_free(j, slot);
    journal_close(j);
    EXPECT_INT(files(), 0);
    rmdir(folder);
}

TEST(a_full_ring_refuses_until_the_steward_has_freed_a_slot)
{
    fresh_folder();
    struct journal *j = make();
    uint32_t slots[64], taken[64];

    EXPECT_INT(journal_state(j).slots, 64);
    for (unsigned i = 0; i < 64; i++)
        EXPECT((slots[i] = journal_begin(j, &begun)) != 0);
    EXPECT_INT(journal_begin(j, &begun), 0);
    journal_settle(j, 0, &end);    /* what was not recorded needs no end */
    journal_tell(j, 0, &end);
    journal_grow(j, 0, 1);
    for (unsigned i = 0; i < 64; i++)
        journal_settle(j, slots[i], &end);
    EXPECT_INT(journal_begin(j, &begun), 0);
    EXPECT_INT(journal_take(j, taken, 3), 3);
    EXPECT_INT(taken[0], slots[0]);    /* the oldest */
    EXPECT_INT(taken[2], slots[2]);
    journal_free(j, taken[0]);
    EXPECT_INT(journal_begin(j, &begun), taken[0]);
    EXPECT_INT(journal_begin(j, &begun), 0);
    EXPECT_INT(journal_take(j, taken, 64), 61);
    EXPECT_INT(taken[0], slots[3]);
    die(j);
    EXPECT_INT(files(), 1);
    j = journal_adopt(folder, &(unsigned){ 0 });
    EXPECT(j != NULL);
    EXPECT_INT(journal_state(j).used, 64);
    EXPECT_INT(journal_take(j, taken, 64), 64);
    for (unsigned i = 0; i < 64; i++)
        journal_free(j, taken[i]);
    journal_close(j);
    rmdir(folder);
}

TEST(what_a_dead_process_left_is_adopted_once_and_in_order)
{
    fresh_folder();
    struct journal *j = make(), *other = make();
    uint32_t slot[3], taken[8];
    struct journal_row r;
    unsigned foreign;

    for (unsigned i = 0; i < 3; i++)
        slot[i] = journal_begin(j, &begun);
    journal_grow(j, slot[0], 50);
    journal_tell(j, slot[1], &end);
    journal_settle(j, slot[2], &end);
    EXPECT(journal_adopt(folder, &foreign) == NULL);    /* both live */
    uint64_t ring = j->ring;
    die(j);
    j = journal_adopt(folder, &foreign);
    EXPECT(j != NULL);
    EXPECT(journal_adopt(folder, &foreign) == NULL);
    EXPECT_INT(journal_take(j, taken, 8), 3);
    EXPECT(journal_read(j, taken[0], &r));    /* begun only: at its reservation */
    EXPECT_INT(r.ring, ring);
    EXPECT_INT(r.end.cost_nanousd, 550);
    EXPECT_INT(r.end.flags, JOURNAL_ESTIMATED | JOURNAL_RECOVERED);
    EXPECT_STR(r.end.model, "gpt");
    expect_begun(&r);
    EXPECT(journal_read(j, taken[1], &r));    /* told: as it was told */
    expect_end(&r);
    EXPECT_INT(r.end.flags, JOURNAL_STREAM | JOURNAL_RECOVERED);
    EXPECT(journal_read(j, taken[2], &r));
    expect_end(&r);
    EXPECT_INT(r.end.flags, JOURNAL_STREAM);
    for (unsigned i = 0; i < 3; i++)
        journal_free(j, taken[i]);
    journal_close(j);
    EXPECT_INT(files(), 1);
    journal_close(other);
    EXPECT_INT(files(), 0);
    rmdir(folder);
}

TEST(texts_are_cut_where_there_is_no_room_and_files_that_are_no_rings_are_left_alone)
{
    static char large[4096];
    char path[128];
    unsigned foreign;
    struct journal_begun b = begun;
    struct journal_end e = end;
    struct journal_row r;
    uint32_t taken[2];

    memset(large, 'x', sizeof(large));
#define TEXT(name, most) b.name = str_make(large, sizeof(large));
    JOURNAL_TEXTS(TEXT)
#undef TEXT
    e.model = e.provider = e.error = str_make(large, sizeof(large));
    fresh_folder();
    struct journal *j = make();
    uint32_t slot = journal_begin(j, &b);
    journal_settle(j, slot, &e);
    EXPECT_INT(journal_take(j, taken, 2), 1);
    EXPECT(journal_read(j, slot, &r));
    EXPECT_INT(r.begun.request_id.n, 136);
    EXPECT_INT(r.begun.tags.n, 0);
    EXPECT_INT(r.end.model.n, 128);
    EXPECT_INT(r.end.error.n, 40);
    slot_at(j, slot)->begun.text[3] = 'y';
    EXPECT(!journal_read(j, slot, &r));    /* damaged */
    journal_free(j, slot);
    journal_close(j);

    (void)snprintf(path, sizeof(path), "%s/journal-x", folder);
    FILE *f = fopen(path, "w");
    EXPECT(f != NULL);
    fputs("something else", f);
    fclose(f);
    EXPECT(journal_adopt(folder, &foreign) == NULL);
    EXPECT_INT(foreign, 1);
    EXPECT_INT(files(), 1);
    unlink(path);
    rmdir(folder);
}

TEST(where_no_ring_can_be_made_it_is_said_why)
{
    char why[256];

    EXPECT(journal_create("/dev/null/x", ROOM, WHY(why)) == NULL);
    EXPECT(strstr(why, "/dev/null/x") != NULL);
    fresh_folder();
    EXPECT(journal_create(folder, (size_t)1 << 60, WHY(why)) == NULL);
    EXPECT(strstr(why, "cannot make a journal of") != NULL);
    EXPECT_INT(files(), 0);
    rmdir(folder);
}

/* --- a kill after any instruction --- */

/* Ends when it is killed, or when all is done. */
static void
live(struct journal *j)
{
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    raise(SIGSTOP);
    for (unsigned round = 0; round < 2; round++) {
        struct journal_end later = end;
        uint32_t slot = journal_begin(j, &begun), taken[1];

        journal_tell(j, slot, &end);
        later.cost_nanousd = 78;
        journal_tell(j, slot, &later);
        later.cost_nanousd = 79;
        journal_settle(j, slot, &later);
        if (journal_take(j, taken, 1) == 1)
            journal_free(j, slot);
    }
    _exit(0);
}

/* What a process that looks now would find: 0 empty, 1 begun, 77 to 79 what it was told; -1: it cannot
 * be read. */
static int64_t
look(const struct journal *j)
{
    const struct journal_slot *s = slot_at(j, 1);
    struct journal_row r;

    if ((atomic_load(&s->state) & 7) == EMPTY)
        return 0;
    if (!journal_read(j, 1, &r) || !str_eq(r.begun.request_id, S("req_1")))
        return -1;
    if ((atomic_load(&s->state) & 7) == BEGUN)
        return r.end.cost_nanousd == 500 ? 1 : -1;
    return str_eq(r.end.model, S("claude")) ? r.end.cost_nanousd : -1;
}

TEST(a_process_that_dies_after_any_instruction_leaves_a_slot_that_can_be_read)
{
    fresh_folder();
    struct journal *j = make();
    int64_t seen[64] = { 0 };
    unsigned changes = 0;
    uint64_t steps = 0;
    int status;
    pid_t child = fork();

    if (child == 0)
        live(j);
    EXPECT(waitpid(child, &status, 0) == child);
    if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGSTOP) {
        journal_close(j);
        rmdir(folder);
        SKIP("processes may not be traced here");
    }
    for (; WIFSTOPPED(status); steps++) {
        int64_t now = look(j);

        EXPECT(now >= 0);
        if (now != seen[changes] && changes < ARRAY_LEN(seen) - 1)
            seen[++changes] = now;
        if (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) != 0 ||
            waitpid(child, &status, 0) != child)
            break;
    }
    EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    EXPECT(steps > 1000);
    EXPECT_INT(changes, 10);
    for (unsigned i = 0; i < 2; i++) {
        EXPECT_INT(seen[5 * i + 1], 1);
        EXPECT_INT(seen[5 * i + 2], 77);
        EXPECT_INT(seen[5 * i + 3], 78);
        EXPECT_INT(seen[5 * i + 4], 79);
        EXPECT_INT(seen[5 * i + 5], 0);
    }
    journal_close(j);
    rmdir(folder);
}

/* --- two threads --- */

enum { RECORDS = 100000 };

static void *
work(void *arg)
{
    struct journal *j = arg;

    for (int64_t i = 1; i <= RECORDS; i++) {
        struct journal_end e = end;
        uint32_t slot = journal_begin(j, &begun);

        if (slot == 0) {
            i--;
            continue;
        }
        e.cost_nanousd = i;
        journal_settle(j, slot, &e);
    }
    return NULL;
}

TEST(the_steward_gets_each_record_of_a_busy_worker_once_and_in_order)
{
    fresh_folder();
    struct journal *j = make();
    uint32_t taken[16];
    struct journal_row r;
    pthread_t t;
    int64_t next = 1;

    EXPECT(pthread_create(&t, NULL, work, j) == 0);
    while (next <= RECORDS) {
        size_t n = journal_take(j, taken, 16);

        for (size_t i = 0; i < n; i++) {
            if (!journal_read(j, taken[i], &r) || r.end.cost_nanousd != next)
                break;
            next++;
            journal_free(j, taken[i]);
            if (i + 1 == n)
                n = 0;
        }
        if (n != 0)
            break;    /* one was not as it should be */
    }
    pthread_join(t, NULL);
    EXPECT_INT(next, RECORDS + 1);
    EXPECT_INT(journal_state(j).used, 0);
    journal_close(j);
    rmdir(folder);
}
