/* test_ledger.c - rows and roll-ups agree to the nano-dollar, for any question, however often it is written. */
#include "store/ledger.c"
#include "store/usage.c"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/test.h"

enum { ROWS = 2000 };

#define BEGINS UINT64_C(1793500000000)    /* at no full hour */
#define LASTS (UINT64_C(40) * LEDGER_DAY_MS)

static char folder[64];

static struct store *
fresh(void)
{
    char why[256] = "";
    struct store *s = store_open(S("sqlite::memory:"), WHY(why));

    (void)snprintf(folder, sizeof(folder), "/tmp/test-ledger-XXXXXX");
    EXPECT(mkdtemp(folder) != NULL);
    EXPECT(s != NULL && store_connect(s) == STORE_OK && store_migrate(s) == STORE_OK);
    return s;
}

static struct journal *
ring(size_t slots)
{
    char why[256] = "";
    struct journal *j = journal_create(folder, 4096 + slots * JOURNAL_SLOT_BYTES, WHY(why));

    EXPECT_STR(str_c(why), "");
    return j;
}

static struct str
pick(uint64_t r, const char *prefix, unsigned of, char room[static 32])
{
    return str_make(room, (size_t)snprintf(room, 32, "%s%u", prefix, (unsigned)(r % of)));
}

/* One of many that differ in everything. */
static void
put(struct journal *j, uint64_t i)
{
    uint64_t r = clock_random_u64();
    char rooms[8][32];
    struct journal_begun b = { .wall_ms = BEGINS,
        .reserved_nanousd = 1000,
        .kind = r % 17 == 0 ? JOURNAL_SHADOW : JOURNAL_EXCHANGE,
        .request_id = pick(i, "req_", UINT32_MAX, rooms[0]),
        .key = pick(r >> 8, "key_", 7, rooms[1]),
        .team = pick(r >> 12, "team_", 3, rooms[2]),
        .session = r % 3 == 0 ? pick(r >> 16, "s", 20, rooms[3]) : S(""),
        .tags = r % 5 == 0   ? S("a,b=1")
                : r % 5 == 1 ? S("a")
                             : S("") };
    struct journal_end e = { .wall_ms = BEGINS + clock_random_u64() % LASTS,
        .counts = { (int64_t)(r % 1000), 0, 0, (int64_t)(r % 77) },
        .known = r % 11 == 0 ? 0 : 9,
        .flags = r % 13 == 0 ? JOURNAL_ESTIMATED : 0,
        .status = r % 19 == 0 ? 500 : 200,
        .cost_nanousd = (int64_t)(r >> 20 & 0xffffff),
        .outrun_nanousd = r % 23 == 0 ? 5 : 0,
        .judge_nanousd = r % 29 == 0 ? 7 : 0,
        .first_token_us = -1,
        .provider = pick(r >> 32, "p", 2, rooms[4]),
        .model = pick(r >> 40, "m", 5, rooms[5]),
        .error = r % 19 == 0 ? S("upstream") : S("") };

    if (e.known == 0)
        memset(e.counts, 0, sizeof(e.counts));
    journal_settle(j, journal_begin(j, &b), &e);
}

/* --- what a query should say, from the rows alone --- */

struct brute {
    struct map *groups;
    const struct ledger_query *q;
    struct ledger_sums total;
};

static uint64_t
bucket(const struct ledger_query *q, uint64_t ms)
{
    int64_t begins, ends;

    if (q->time == LEDGER_ALL)
        return 0;
    if (q->time == LEDGER_HOUR)
        return ms - ms % LEDGER_HOUR_MS;
    zone_period(q->zone != NULL ? q->zone : zone_find(S("UTC")),
        q->time == LEDGER_DAY    ? ZONE_DAY
        : q->time == LEDGER_WEEK ? ZONE_WEEK
                                 : ZONE_MONTH,
        (int64_t)(ms / 1000), &begins, &ends);
    return (uint64_t)begins * 1000;
}

static void
add_brute(struct brute *b, uint64_t ms, const struct str *values, const struct ledger_sums *sums)
{
    char key[512];
    int n = snprintf(key, sizeof(key), "%llu", (unsigned long long)bucket(b->q, ms));

    for (unsigned i = 0; i < LEDGER_DIMS; i++) {
        if (b->q->only[i].n != 0 && !str_eq(b->q->only[i], values[i]))
            return;
        if ((b->q->by & 1u << i) != 0)
            n += snprintf(key + n, sizeof(key) - (size_t)n, "|" STR_FMT, STR_ARG(values[i]));
    }
    struct ledger_sums *g = map_get(b->groups, str_make(key, (size_t)n));
    if (g == NULL) {
        g = check_alloc(calloc(1, sizeof(*g)));
        (void)map_put(b->groups, str_make(key, (size_t)n), g);
    }
    ledger_add_sums(g, sums);
}

static void
on_brute(void *ctx, const struct store_value *row, size_t n UNUSED)
{
    struct brute *b = ctx;
    uint64_t ms = (uint64_t)row[0].i;
    bool shadow = row[7].i == JOURNAL_SHADOW, failed = row[9].type == STORE_TEXT;
    struct ledger_sums sums = { .requests = !shadow,
        .failed = !shadow && failed,
        .estimated = row[8].i & 1,
        .input = row[13].i,
        .output = row[14].i,
        .cost_nanousd = shadow ? 0 : row[10].i,
        .shadow_nanousd = shadow ? row[10].i : 0,
        .outrun_nanousd = row[11].i,
        .judge_nanousd = row[12].i };
    struct str tags = row[6].s;
    struct str values[LEDGER_DIMS] = { [LEDGER_key] = row[1].s,
        [LEDGER_team] = row[2].s,
        [LEDGER_provider] = row[3].s,
        [LEDGER_model] = row[4].s,
        [LEDGER_session] = row[5].s };

    if (ms < b->q->since_ms || ms >= b->q->until_ms)
        return;
    if ((b->q->by & 1u << LEDGER_tag) == 0 && b->q->only[LEDGER_tag].n == 0) {
        add_brute(b, ms, values, &sums);
        return;
    }
    for (bool more = true; more; more = tags.n != 0) {
        (void)str_cut(tags, ',', &values[LEDGER_tag], &tags);
        add_brute(b, ms, values, &sums);
    }
}

static void
expect_answer(struct store *s, const struct ledger_query *q)
{
    struct arena *a = arena_create(64 * 1024 * 1024);
    struct brute b = { .groups = map_create(), .q = q };
    struct ledger_usage usage;
    bool many;
    size_t at = 0, found = 0;
    struct str key;
    void *value;

    EXPECT(ledger_query_fault(q) == NULL);
    EXPECT(ledger_usage(s, a, q, &usage, &many) == STORE_OK && !many);
    EXPECT(
        store_run(s,
            "SELECT ended_ms, key_id, team_id, provider, model, session, tags, kind, flags, error, "
            "coalesce(cost_nanousd, 0), outrun_nanousd, judge_nanousd, coalesce(input, 0), "
            "coalesce(output, 0) FROM ledger_rows",
            NULL, 0, on_brute, &b) == STORE_OK);
    for (size_t i = 0; i < usage.count; i++) {
        const struct ledger_group *g = &usage.groups[i];
        char text[512];
        int n = snprintf(text, sizeof(text), "%llu", (unsigned long long)g->starts_ms);

        for (unsigned k = 0; k < LEDGER_DIMS; k++)
            if ((q->by & 1u << k) != 0)
                n += snprintf(
                    text + n, sizeof(text) - (size_t)n, "|" STR_FMT, STR_ARG(g->values[k]));
        const struct ledger_sums *like = map_get(b.groups, str_make(text, (size_t)n));
        EXPECT(like != NULL);
        EXPECT(memcmp(like, &g->sums, sizeof(*like)) == 0);
        found++;
    }
    EXPECT_INT(found, map_count(b.groups));
    while (map_next(b.groups, &at, &key, &value))
        free(value);
    map_destroy(b.groups);
    arena_destroy(a);
}

static struct ledger *
fill(struct store *s, struct journal *j, uint64_t rows)
{
    struct ledger *l = ledger_create(folder);

    ledger_add(l, j);
    for (uint64_t i = 0; i < rows; i++) {
        put(j, i);
        if (i % 700 == 0)
            ledger_drain(s, l);
    }
    ledger_drain(s, l);
    EXPECT_INT(ledger_state(l).used, 0);
    return l;
}

TEST(every_question_is_answered_as_the_rows_say)
{
    clock_seed_for_tests(7);
    struct store *s = fresh();
    struct ledger *l = fill(s, ring(1024), ROWS);
    const struct zone *zones[] = { NULL, zone_find(S("Europe/Berlin")), zone_find(S("+05:30")) };
    static const unsigned dims[] = { 0, 1u << LEDGER_key, 1u << LEDGER_team, 1u << LEDGER_tag,
        1u << LEDGER_session, 1u << LEDGER_key | 1u << LEDGER_model,
        1u << LEDGER_team | 1u << LEDGER_provider | 1u << LEDGER_model };
    static const uint64_t spans[][2] = { { 0, LASTS }, { 12345678, LASTS / 2 + 4711 },
        { LEDGER_DAY_MS * 3, LEDGER_DAY_MS * 3 + 1200000 },
        { 5 * LEDGER_HOUR_MS, 30 * LEDGER_HOUR_MS } };

    EXPECT_INT(ledger_state(l).rows, ROWS);
    for (size_t d = 0; d < ARRAY_LEN(dims); d++)
        for (size_t t = LEDGER_ALL; t <= LEDGER_MONTH; t++)
            for (size_t z = 0; z < ARRAY_LEN(zones); z++)
                for (size_t i = 0; i < ARRAY_LEN(spans); i++) {
                    struct ledger_query q = { .by = dims[d],
                        .time = (enum ledger_time)t,
                        .zone = zones[z],
                        .since_ms = BEGINS + spans[i][0],
                        .until_ms = BEGINS + spans[i][1] };

                    expect_answer(s, &q);
                    if (d == 5)
                        q.only[LEDGER_team] = S("team_1");
                    if (d == 3)
                        q.only[LEDGER_tag] = S("b=1");
                    if (d == 1)
                        q.only[LEDGER_key] = S("key_2");
                    expect_answer(s, &q);
                }
    ledger_destroy(l);
    store_close(s);
    EXPECT(rmdir(folder) == 0);
}

static void
note_number_of(void *ctx, const struct store_value *row, size_t n UNUSED)
{
    *(int64_t *)ctx = row[0].i;
}

static int64_t
ask(struct store *s, const char *sql)
{
    int64_t n = -1;

    EXPECT(store_run(s, sql, NULL, 0, note_number_of, &n) == STORE_OK);
    return n;
}

static void
copy_file(const char *from, const char *to)
{
    char bytes[65536];
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    size_t n;

    EXPECT(in != NULL && out != NULL);
    while ((n = fread(bytes, 1, sizeof(bytes), in)) != 0)
        EXPECT(fwrite(bytes, 1, n, out) == n);
    fclose(in);
    fclose(out);
}

TEST(a_journal_that_is_found_again_after_it_was_written_adds_nothing)
{
    struct store *s = fresh();
    struct journal *j = ring(256);
    struct ledger *l = ledger_create(folder);
    char kept[] = "/tmp/test-ledger-kept", path[256];

    for (uint64_t i = 0; i < 200; i++)
        put(j, i);
    copy_file(journal_path(j), kept);
    (void)snprintf(path, sizeof(path), "%s", journal_path(j));
    ledger_add(l, j);
    ledger_drain(s, l);
    ledger_destroy(l);
    int64_t spent =
        ask(s, "SELECT sum(cost_nanousd) FROM usage_values WHERE kind = 0 AND span = 0");
    EXPECT_INT(ask(s, "SELECT count(*) FROM ledger"), 200);

    copy_file(kept, path);    /* the process died between the commit and the freeing of the slots */
    l = ledger_create(folder);
    ledger_drain(s, l);
    EXPECT(access(path, F_OK) != 0);
    EXPECT_INT(ask(s, "SELECT count(*) FROM ledger"), 200);
    EXPECT_INT(
        ask(s, "SELECT sum(cost_nanousd) FROM usage_values WHERE kind = 0 AND span = 0"), spent);
    EXPECT_INT(ledger_state(l).rows, 0);
    ledger_destroy(l);
    store_close(s);
    unlink(kept);
    rmdir(folder);
}

TEST(what_callers_make_up_is_bounded_in_roll_ups_and_kept_in_rows)
{
    struct store *s = fresh();
    struct journal *j = ring(1024);
    struct ledger *l = ledger_create(folder);

    ledger_add(l, j);
    for (unsigned i = 0; i < 800; i++) {
        char name[32];
        struct str text = str_make(name, (size_t)snprintf(name, sizeof(name), "x%u", i));
        struct journal_begun b = { .wall_ms = BEGINS, .session = text };
        struct journal_end e = { .wall_ms = BEGINS, .cost_nanousd = 1, .model = text };

        journal_settle(j, journal_begin(j, &b), &e);
    }
    ledger_drain(s, l);
    EXPECT_INT(ask(s, "SELECT count(DISTINCT session) FROM ledger"), 800);
    EXPECT_INT(
        ask(s, "SELECT count(*) FROM usage_values WHERE kind = 11 AND span = 0"), VALUES_MOST + 1);
    EXPECT_INT(ask(s, "SELECT count(*) FROM usage_cube WHERE span = 0"), VALUES_MOST + 1);
    EXPECT_INT(
        ask(s, "SELECT sum(cost_nanousd) FROM usage_values WHERE kind = 11 AND span = 0"), 800);
    EXPECT_INT(
        ask(s,
            "SELECT cost_nanousd FROM usage_values WHERE kind = 6 AND span = 0 AND value = '(other)'"),
        300);
    ledger_destroy(l);
    store_close(s);
    rmdir(folder);
}
