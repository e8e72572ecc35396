/* test_store.c - one set of tests for every kind of store. */
#include "store/store.c"

#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "store/copy.h"
#include "store/export.h"
#include "store/inspect.h"
#include "store/prune.h"
#include "store/schema.h"
#include "tests/unit/store/postgres_server.h"

#define ROOM 512

/* Every test runs with each kind, if this machine has it. */
enum kind { SQLITE, POSTGRES, KINDS };

static char folder[ROOM], url[2 * ROOM];

static struct store *
make_store(enum kind kind)
{
    char why[ROOM] = "";

    if (kind == POSTGRES) {
        postgres_schema(url, sizeof(url));
    } else {
        (void)snprintf(folder, sizeof(folder), "/tmp/openclaw-store-XXXXXX");
        EXPECT(mkdtemp(folder) != NULL);
        (void)snprintf(url, sizeof(url), "sqlite:%s/deep/er/test.db", folder);
    }
    struct store *s = store_open(str_c(url), WHY(why));
    EXPECT(s != NULL);
    EXPECT(store_connect(s) == STORE_OK);
    return s;
}

static void
end_store(struct store *s)
{
    char command[ROOM + 64];

    store_close(s);
    if (folder[0] == '\0')
        return;
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    folder[0] = '\0';
    EXPECT(system(command) == 0);
}

/* A test for each kind. */
#define TEST_ALL(name)                                                                             \
    static void all_##name(enum kind kind);                                                        \
    TEST(name##_in_sqlite)                                                                         \
    {                                                                                              \
        all_##name(SQLITE);                                                                        \
    }                                                                                              \
    TEST(name##_in_postgres)                                                                       \
    {                                                                                              \
        NEED_POSTGRES();                                                                           \
        all_##name(POSTGRES);                                                                      \
    }                                                                                              \
    static void all_##name(enum kind kind)

struct rows {
    char text[2048];
    size_t n, count;
};

static void
note_row(void *ctx, const struct store_value *row, size_t n)
{
    struct rows *r = ctx;

    r->count++;
    for (size_t i = 0; i < n; i++) {
        const char *sep = i + 1 < n ? "," : ";";
        char *to = r->text + r->n;
        size_t room = sizeof(r->text) - r->n;

        if (row[i].type == STORE_I64)
            r->n += (size_t)snprintf(to, room, "%lld%s", (long long)row[i].i, sep);
        else if (row[i].type == STORE_NULL)
            r->n += (size_t)snprintf(to, room, "null%s", sep);
        else if (row[i].type == STORE_BYTES) {
            for (size_t j = 0; j < row[i].s.n; j++)
                r->n += (size_t)snprintf(r->text + r->n, sizeof(r->text) - r->n, "\\x%02x",
                    (unsigned char)row[i].s.p[j]);
            r->n += (size_t)snprintf(r->text + r->n, sizeof(r->text) - r->n, "%s", sep);
        } else
            r->n += (size_t)snprintf(to, room, STR_FMT "%s", STR_ARG(row[i].s), sep);
    }
}

static struct str
query(struct store *s, const char *sql, const struct store_value *args, size_t n)
{
    static struct rows r;

    memset(&r, 0, sizeof(r));
    if (store_run(s, sql, args, n, note_row, &r) != STORE_OK)
        return str_c(store_why(s));
    return str_make(r.text, r.n);
}

TEST_ALL(values_of_every_type_come_back_as_they_went_in)
{
    struct store *s = make_store(kind);
    const struct store_value args[] = { store_text(S("it's")), store_i64(INT64_MIN),
        store_bytes(str_make("\0x", 2)), store_null(), store_text(S("")) };

    EXPECT(
        store_script(s, "CREATE TABLE v (a TEXT, b BIGINT, c BYTEA, d TEXT, e TEXT)") == STORE_OK);
    EXPECT(store_run(s, "INSERT INTO v (a, b, c, d, e) VALUES (?1, ?2, ?3, ?4, ?5)", args, 5, NULL,
               NULL) == STORE_OK);
    EXPECT_INT(store_changed(s), 1);
    EXPECT_STR(query(s, "SELECT a, b, c, d, e FROM v", NULL, 0),
        "it's,-9223372036854775808,\\x00\\x78,null,;");
    EXPECT_STR(query(s, "SELECT SUM(b), COUNT(*) FROM v WHERE a = ?1", args, 1),
        "-9223372036854775808,1;");
    end_store(s);
}

TEST_ALL(a_batch_is_there_completely_or_not_at_all)
{
    struct store *s = make_store(kind);
    static const char insert[] = "INSERT INTO t (id, n) VALUES (?1, ?2)";
    struct store_value rows[2000];

    EXPECT(
        store_script(s, "CREATE TABLE t (id BIGINT PRIMARY KEY, n BIGINT NOT NULL)") == STORE_OK);
    for (size_t i = 0; i < 1000; i++) {
        rows[2 * i] = store_i64((int64_t)i);
        rows[2 * i + 1] = store_i64((int64_t)(7 * i));
    }
    EXPECT(store_batch(s, insert, rows, 1000, 2) == STORE_OK);
    EXPECT_INT(store_changed(s), 1000);
    EXPECT_STR(query(s, "SELECT COUNT(*), SUM(n) FROM t", NULL, 0), "1000,3496500;");

    rows[0] = store_i64(5000);
    EXPECT(store_batch(s, insert, rows, 2, 2) == STORE_CONFLICT);    /* the second is there already */
    EXPECT(store_trouble(s) == STORE_OK);
    EXPECT_STR(query(s, "SELECT COUNT(*) FROM t", NULL, 0), "1000;");
    EXPECT(store_batch(s, "INSERT INTO t (id, n) VALUES (?1, ?2) ON CONFLICT DO NOTHING", rows, 2,
               2) == STORE_OK);
    EXPECT_INT(store_changed(s), 1);
    end_store(s);
}

TEST_ALL(a_transaction_that_is_rolled_back_leaves_nothing)
{
    struct store *s = make_store(kind);

    EXPECT(store_script(s, "CREATE TABLE t (id BIGINT PRIMARY KEY)") == STORE_OK);
    EXPECT(store_begin(s) == STORE_OK);
    EXPECT(store_run(s, "INSERT INTO t (id) VALUES (1)", NULL, 0, NULL, NULL) == STORE_OK);
    store_rollback(s);
    store_rollback(s);
    EXPECT_STR(query(s, "SELECT COUNT(*) FROM t", NULL, 0), "0;");
    EXPECT(store_begin(s) == STORE_OK);
    EXPECT(store_run(s, "INSERT INTO t (id) VALUES (2)", NULL, 0, NULL, NULL) == STORE_OK);
    EXPECT(store_commit(s) == STORE_OK);
    EXPECT_STR(query(s, "SELECT id FROM t", NULL, 0), "2;");
    end_store(s);
}

TEST_ALL(a_wrong_statement_says_what_is_wrong_and_harms_nothing)
{
    struct store *s = make_store(kind);

    EXPECT(store_run(s, "SELECT nonsense FROM nowhere", NULL, 0, NULL, NULL) == STORE_BAD);
    EXPECT(strstr(store_why(s), "nowhere") != NULL);
    EXPECT(store_trouble(s) == STORE_BAD);
    EXPECT_STR(str_c(store_result_name(store_trouble(s))), "bad");
    EXPECT_STR(query(s, "SELECT 1", NULL, 0), "1;");
    EXPECT(store_is_connected(s));
    end_store(s);
}

TEST(a_store_that_is_off_or_not_connected_says_so)
{
    char why[ROOM];
    struct store *s = store_open(S("off"), WHY(why));

    EXPECT(store_connect(s) == STORE_AWAY);
    EXPECT(store_run(s, "SELECT 1", NULL, 0, NULL, NULL) == STORE_AWAY);
    EXPECT(store_begin(s) == STORE_AWAY);
    EXPECT(store_is_off(s) && strstr(store_why(s), "off") != NULL);
    store_close(s);
    EXPECT(store_open(S("mysql://x"), WHY(why)) == NULL);
    EXPECT(strstr(why, "postgres://") != NULL);
    store_close(NULL);
}

TEST_ALL(migrations_apply_once_and_a_newer_store_is_refused_in_words)
{
    struct store *s = make_store(kind);

    EXPECT(store_migrate(s) == STORE_OK);
    EXPECT(store_migrate(s) == STORE_OK);
    EXPECT_STR(query(s, "SELECT name FROM migrations WHERE number = 1", NULL, 0), "facts;");
    EXPECT(store_script(s, "INSERT INTO migrations (number, name, applied_ms) VALUES (99999, "
                           "'time travel', 0)") == STORE_OK);
    EXPECT(store_migrate(s) == STORE_BAD);
    EXPECT(strstr(store_why(s), "newer openclaw") != NULL);
    EXPECT(strstr(store_why(s), "99999 (time travel)") != NULL);
    end_store(s);
}

TEST(the_file_and_its_folders_are_for_our_user_alone)
{
    struct store *s = make_store(SQLITE);
    struct stat st;
    char path[ROOM + 64];

    EXPECT(store_migrate(s) == STORE_OK);
    static const char *const names[] = { "test.db", "test.db-wal", "test.db-shm" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        (void)snprintf(path, sizeof(path), "%s/deep/er/%s", folder, names[i]);
        EXPECT(stat(path, &st) == 0);
        EXPECT_INT(st.st_mode & 0777, 0600);
    }
    (void)snprintf(path, sizeof(path), "%s/deep", folder);
    EXPECT(stat(path, &st) == 0 && (st.st_mode & 0777) == 0700);
    end_store(s);
}

TEST(a_file_that_is_no_database_is_bad_and_stays_as_it_is)
{
    struct store *s = make_store(SQLITE);
    char path[ROOM + 64], other[ROOM + 128], why[ROOM];

    (void)snprintf(path, sizeof(path), "%s/text", folder);
    FILE *f = fopen(path, "w");
    for (int i = 0; i < 1000; i++)
        (void)fputs("this is a text and not a database\n", f);
    (void)fclose(f);
    (void)snprintf(other, sizeof(other), "sqlite:%s", path);
    struct store *bad = store_open(str_c(other), WHY(why));
    EXPECT(store_connect(bad) == STORE_BAD);
    EXPECT(strstr(store_why(bad), "is damaged") != NULL);
    EXPECT(!store_is_connected(bad));
    store_close(bad);
    struct stat st;
    EXPECT(stat(path, &st) == 0 && st.st_size == 34000);
    end_store(s);
}

TEST_ALL(texts_that_are_not_utf_8_are_written_with_marks_in_their_place)
{
    struct store *s = make_store(kind);
    const struct store_value args[] = { store_text(str_make("a\0b\xff\xe2\x82\xac\xe2\x82", 9)),
        store_text(S("fine")) };

    EXPECT(store_script(s, "CREATE TABLE t (a TEXT, b TEXT)") == STORE_OK);
    EXPECT(store_run(s, "INSERT INTO t (a, b) VALUES (?1, ?2)", args, 2, NULL, NULL) == STORE_OK);
    EXPECT_STR(query(s, "SELECT a, b FROM t WHERE a = ?1 AND b = ?2", args, 2),
        "a?b?\xe2\x82\xac??,fine;");
    end_store(s);
}

TEST_ALL(sums_comparisons_and_counts_are_numbers)
{
    struct store *s = make_store(kind);
    struct store_value rows[6] = { 0 };

    EXPECT(store_script(s, "CREATE TABLE t (n BIGINT)") == STORE_OK);
    static const int64_t numbers[] = { 4000000000000000000, 4000000000000000000, 99999999, 10000,
        -7, 1 };
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        rows[i] = store_i64(numbers[i]);
    EXPECT(store_batch(s, "INSERT INTO t (n) VALUES (?1)", rows, 6, 1) == STORE_OK);
    EXPECT_STR(
        query(s, "SELECT SUM(n), COUNT(*), MAX(n) > 0, COALESCE(SUM(n), 0) FROM t WHERE n > -8",
            NULL, 0),
        "8000000000100009993,6,1,8000000000100009993;");
    EXPECT_STR(query(s, "SELECT SUM(n) FROM t WHERE n < ?1",
                   &(struct store_value){ .type = STORE_I64 }, 1),
        "-7;");
    EXPECT_STR(query(s, "SELECT SUM(n) FROM t WHERE n = 10000", NULL, 0), "10000;");
    EXPECT_STR(query(s, "SELECT SUM(n) FROM t WHERE n = 3", NULL, 0), "null;");
    end_store(s);
}

TEST_ALL(a_large_batch_and_many_rows_pass_in_pieces)
{
    enum { MANY = 20000 };
    struct store *s = make_store(kind);
    struct store_value *rows = calloc(MANY, 2 * sizeof(*rows));
    struct rows r = { .n = 0 };

    for (size_t i = 0; i < MANY; i++) {
        rows[2 * i] = store_i64((int64_t)i);
        rows[2 * i + 1] = store_text(S("a text of some length, so that the buffers fill up"));
    }
    EXPECT(store_script(s, "CREATE TABLE t (id BIGINT PRIMARY KEY, a TEXT)") == STORE_OK);
    EXPECT(store_batch(s, "INSERT INTO t (id, a) VALUES (?1, ?2) RETURNING id, a", rows, MANY, 2) ==
           STORE_OK);
    EXPECT_INT(store_changed(s), MANY);
    EXPECT(store_run(s, "SELECT id FROM t LIMIT 100", NULL, 0, note_row, &r) == STORE_OK);
    EXPECT_INT(r.count, 100);
    EXPECT_STR(query(s, "SELECT COUNT(*), SUM(id) FROM t", NULL, 0), "20000,199990000;");
    free(rows);
    end_store(s);
}

TEST_ALL(processes_that_start_at_once_migrate_once)
{
    struct store *s = make_store(kind);
    pid_t children[4];
    char why[ROOM];

    for (size_t i = 0; i < ARRAY_LEN(children); i++) {
        children[i] = fork();
        if (children[i] == 0) {
            struct store *mine = store_open(str_c(url), WHY(why));
            bool good = store_connect(mine) == STORE_OK && store_migrate(mine) == STORE_OK;

            if (!good)
                (void)fprintf(stderr, "%s\n", store_why(mine));
            store_close(mine);
            _exit(good ? 0 : 1);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(children); i++) {
        int status = -1;

        EXPECT(waitpid(children[i], &status, 0) == children[i]);
        EXPECT_INT(status, 0);
    }
    EXPECT_STR(query(s, "SELECT COUNT(*) FROM migrations WHERE number = 1", NULL, 0), "1;");
    end_store(s);
}

TEST(a_server_that_is_killed_is_away_and_found_again)
{
    NEED_POSTGRES();
    struct store *s = make_store(POSTGRES);

    EXPECT(store_script(s, "CREATE TABLE t (id BIGINT PRIMARY KEY)") == STORE_OK);
    EXPECT(store_begin(s) == STORE_OK);
    EXPECT(store_run(s, "INSERT INTO t (id) VALUES (1)", NULL, 0, NULL, NULL) == STORE_OK);
    postgres_kill();
    EXPECT(store_run(s, "INSERT INTO t (id) VALUES (2)", NULL, 0, NULL, NULL) == STORE_AWAY);
    EXPECT(!store_is_connected(s) && store_trouble(s) == STORE_AWAY);
    EXPECT(store_commit(s) == STORE_AWAY);
    store_rollback(s);
    EXPECT(store_connect(s) == STORE_AWAY);
    EXPECT(strstr(store_why(s), "postgres://") != NULL);
    postgres_start();
    EXPECT(store_connect(s) == STORE_OK && store_trouble(s) == STORE_OK);
    EXPECT_STR(query(s, "SELECT COUNT(*) FROM t", NULL, 0), "0;");
    end_store(s);
}

TEST(a_full_disk_is_said_and_over_when_there_is_room)
{
    struct store *s = make_store(SQLITE);
    static char long_text[100000];

    memset(long_text, 'x', sizeof(long_text) - 1);
    const struct store_value arg = store_text(str_c(long_text));
    EXPECT(store_migrate(s) == STORE_OK);
    EXPECT(store_script(s, "CREATE TABLE t (a TEXT); PRAGMA max_page_count = 1") == STORE_OK);
    EXPECT(store_begin(s) == STORE_OK);
    EXPECT(store_run(s, "INSERT INTO t (a) VALUES (?1)", &arg, 1, NULL, NULL) == STORE_FULL);
    store_rollback(s);
    EXPECT(store_trouble(s) == STORE_FULL && strstr(store_why(s), "full") != NULL);
    EXPECT(store_is_connected(s));
    store_disconnect(s);
    EXPECT(store_connect(s) == STORE_OK);    /* the limit was the connection's */
    EXPECT(store_trouble(s) == STORE_FULL);
    EXPECT(store_run(s, "INSERT INTO t (a) VALUES (?1)", &arg, 1, NULL, NULL) == STORE_OK);
    EXPECT(store_trouble(s) == STORE_OK);
    end_store(s);
}

TEST(a_server_that_only_reads_is_left_for_another_one)
{
    NEED_POSTGRES();
    struct store *s = make_store(POSTGRES);

    EXPECT(store_script(s, "CREATE TABLE t (a TEXT); SET default_transaction_read_only = on") ==
           STORE_OK);
    EXPECT(store_run(s, "INSERT INTO t (a) VALUES ('x')", NULL, 0, NULL, NULL) == STORE_AWAY);
    EXPECT(!store_is_connected(s) && strstr(store_why(s), "read-only") != NULL);
    EXPECT(store_connect(s) == STORE_OK);
    EXPECT(store_run(s, "INSERT INTO t (a) VALUES ('x')", NULL, 0, NULL, NULL) == STORE_OK);
    end_store(s);
}

TEST(a_password_is_never_told)
{
    static const char *const addresses[] = { "postgres://u:hunter2@127.0.0.1:1/db",
        "postgres://u:hunter2@[::1/db", "postgres://u:hunter2%zz@h/db",
        "postgres://u:hunter2@h/db?x=y", "postgresql://127.0.0.1:1/db?user=u&password=hunter2" };

    for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
        char why[ROOM] = "";
        struct store *s = store_open(str_c(addresses[i]), WHY(why));

        EXPECT(strstr(why, "hunter2") == NULL);
        if (s == NULL)
            continue;
        EXPECT(store_connect(s) == STORE_AWAY);
        EXPECT(strstr(store_why(s), "hunter2") == NULL);
        EXPECT_STR(store_name(s), "postgres://127.0.0.1:1/db");
        store_close(s);
    }
}

TEST(parameters_are_renamed_outside_of_quotes_only)
{
    char *text = store_dollars("SELECT ?1, '?2', \"?3\", 'it''s ?4' || ?12 || '?'");

    EXPECT_STR(str_c(text), "SELECT $1, '?2', \"?3\", 'it''s ?4' || $12 || '?'");
    free(text);
}

/* --- what works on whole stores --- */

static size_t faults, tables_seen;

static void
count_table(void *ctx UNUSED, struct str name UNUSED, uint64_t rows UNUSED)
{
    tables_seen++;
}

static void
count_fault(void *ctx UNUSED, struct str sentence UNUSED)
{
    faults++;
}

static const struct inspector counting = { count_table, count_fault, NULL };

static void
fill(struct store *s)
{
    EXPECT(store_migrate(s) == STORE_OK);
    EXPECT(store_script(s,
               "INSERT INTO facts (name, value) VALUES ('a', 'it''s'), ('b', '=1+1')") == STORE_OK);
    EXPECT(store_script(s, "INSERT INTO keys (id, revision, serial, created_ms, updated_ms, "
                           "deleted_ms, name, digest, rpm) VALUES "
                           "('key_a', 0, 1, 10, 20, 0, 'ci', 'd1', 60), "
                           "('key_b', 0, 2, 10, 20, 1000, 'old', 'd2', NULL)") == STORE_OK);
}

/* A store of the other kind, if this machine has it, is as good as one of the same. */
TEST_ALL(a_backup_restores_into_any_kind_of_store)
{
    static char path[ROOM];
    char why[ROOM];
    struct arena *a = arena_create(1024 * 1024);
    struct store *s = make_store(kind);

    fill(s);
    (void)snprintf(path, sizeof(path), "sqlite:/tmp/openclaw-backup-%ld.db", (long)getpid());
    struct store *backup = store_open(str_c(path), WHY(why));
    EXPECT(store_connect(backup) == STORE_OK);
    EXPECT(store_copy(s, backup, false, a, count_table, NULL) == STORE_OK);
    EXPECT(store_copy(s, backup, false, a, count_table, NULL) == STORE_CONFLICT);
    EXPECT(strstr(store_why(backup), "--replace") != NULL);

    /* what came after it is gone when it is restored */
    EXPECT(store_script(s, "INSERT INTO facts (name, value) VALUES ('c', 'new')") == STORE_OK);
    EXPECT(store_copy(backup, s, true, a, count_table, NULL) == STORE_OK);
    EXPECT_STR(query(s, "SELECT name, value FROM facts ORDER BY name", NULL, 0), "a,it's;b,=1+1;");
    EXPECT_STR(query(s, "SELECT id, rpm, deleted_ms, digest FROM keys ORDER BY id", NULL, 0),
        "key_a,60,0,d1;key_b,null,1000,d2;");
    EXPECT_STR(query(s, "SELECT COUNT(*) FROM migrations WHERE number = 1", NULL, 0), "1;");
    EXPECT(store_migrate(s) == STORE_OK);
    store_close(backup);
    end_store(s);
    EXPECT(unlink(path + strlen("sqlite:")) == 0);
    arena_destroy(a);
}

TEST_ALL(a_backup_of_an_older_program_is_migrated_after_its_rows_are_there)
{
    char why[ROOM];
    struct arena *a = arena_create(1024 * 1024);
    struct store *s = make_store(kind), *old = store_open(S("sqlite::memory:"), WHY(why));
    struct schema_state state;

    EXPECT(store_connect(old) == STORE_OK);
    EXPECT(store_script(old, "CREATE TABLE migrations (number BIGINT PRIMARY KEY, name TEXT, "
                             "applied_ms BIGINT); INSERT INTO migrations VALUES (1, 'facts', 0); "
                             "CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL); "
                             "INSERT INTO facts VALUES ('x', 'y')") == STORE_OK);
    EXPECT(store_copy(old, s, false, a, count_table, NULL) == STORE_OK);
    EXPECT(schema_look(s, &state) == STORE_OK && state.applied == 1 && state.pending > 1);
    EXPECT(store_migrate(s) == STORE_OK);
    EXPECT(schema_look(s, &state) == STORE_OK && state.pending == 0);
    EXPECT_STR(query(s, "SELECT value FROM facts", NULL, 0), "y;");
    EXPECT(store_script(old, "INSERT INTO migrations VALUES (99999, 'x', 0)") == STORE_OK);
    EXPECT(store_copy(old, s, true, a, count_table, NULL) == STORE_BAD);
    EXPECT(strstr(store_why(s), "newer openclaw") != NULL);
    EXPECT_STR(query(s, "SELECT value FROM facts", NULL, 0), "y;");    /* as it was */
    store_close(old);
    end_store(s);
    arena_destroy(a);
}

TEST_ALL(an_inspection_finds_rows_that_break_what_must_be_true)
{
    struct store *s = make_store(kind);

    faults = tables_seen = 0;
    fill(s);
    EXPECT(store_inspect(s, &counting) == STORE_OK);
    EXPECT(faults == 0 && tables_seen > 2);
    EXPECT(store_script(s, "UPDATE keys SET revision = 7, team = 'team_gone'") == STORE_OK);
    EXPECT(store_inspect(s, &counting) == STORE_OK);
    EXPECT_INT(faults, 2);
    end_store(s);
}

TEST_ALL(only_what_is_older_than_it_is_kept_is_deleted)
{
    struct store *s = make_store(kind);
    struct retention keep = { .deleted_ms = 0 };
    bool more;

    fill(s);
    EXPECT(store_prune(s, &keep, 1000, NULL, NULL, &more) == STORE_OK && !more);
    EXPECT_STR(query(s, "SELECT COUNT(*) FROM keys", NULL, 0), "2;");
    keep.deleted_ms = 3600000;
    EXPECT(store_prune(s, &keep, 1000, NULL, NULL, &more) == STORE_OK && !more);
    EXPECT_STR(query(s, "SELECT id FROM keys", NULL, 0), "key_a;");
    end_store(s);
}

static void
add_lines(void *ctx, struct str lines)
{
    buf_add(ctx, lines);
}

TEST_ALL(an_export_hides_digests_and_quotes_what_it_must)
{
    struct store *s = make_store(kind);
    struct buf b;

    buf_init(&b, 64 * 1024);
    fill(s);
    EXPECT(store_export(s, S("facts"), EXPORT_CSV, add_lines, &b) == STORE_OK);
    EXPECT_STR(buf_str(&b), "name,value\r\n\"a\",\"it's\"\r\n\"b\",\"'=1+1\"\r\n");
    buf_truncate(&b, 0);
    EXPECT(store_export(s, S("facts"), EXPORT_JSON, add_lines, &b) == STORE_OK);
    EXPECT_STR(
        buf_str(&b), "{\"name\":\"a\",\"value\":\"it's\"}\n{\"name\":\"b\",\"value\":\"=1+1\"}\n");
    buf_truncate(&b, 0);
    EXPECT(store_export(s, S("keys"), EXPORT_JSON, add_lines, &b) == STORE_OK);
    EXPECT(str_find(buf_str(&b), S("\"rpm\":60")) != buf_len(&b));
    EXPECT(str_find(buf_str(&b), S("d1")) == buf_len(&b));
    EXPECT(!export_is_table(S("facts; DROP TABLE facts")));
    buf_fini(&b);
    end_store(s);
}
