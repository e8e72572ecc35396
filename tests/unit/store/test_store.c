/* test_store.c - one set of tests for every kind of store. */
#include "store/store.c"

#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "tests/test.h"

#define ROOM 512

static char folder[ROOM];

static struct store *
make_store(void)
{
    char url[ROOM + 64], why[ROOM] = "";

    (void)snprintf(folder, sizeof(folder), "/tmp/openclaw-store-XXXXXX");
    EXPECT(mkdtemp(folder) != NULL);
    (void)snprintf(url, sizeof(url), "sqlite:%s/deep/er/test.db", folder);
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
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    EXPECT(system(command) == 0);
}

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

TEST(values_of_every_type_come_back_as_they_went_in)
{
    struct store *s = make_store();
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

TEST(a_batch_is_there_completely_or_not_at_all)
{
    struct store *s = make_store();
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

TEST(a_transaction_that_is_rolled_back_leaves_nothing)
{
    struct store *s = make_store();

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

TEST(a_wrong_statement_says_what_is_wrong_and_harms_nothing)
{
    struct store *s = make_store();

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

TEST(migrations_apply_once_and_a_newer_store_is_refused_in_words)
{
    struct store *s = make_store();

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
    struct store *s = make_store();
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
    struct store *s = make_store();
    char path[ROOM + 64], url[ROOM + 128], why[ROOM];

    (void)snprintf(path, sizeof(path), "%s/text", folder);
    FILE *f = fopen(path, "w");
    for (int i = 0; i < 1000; i++)
        (void)fputs("this is a text and not a database\n", f);
    (void)fclose(f);
    (void)snprintf(url, sizeof(url), "sqlite:%s", path);
    struct store *bad = store_open(str_c(url), WHY(why));
    EXPECT(store_connect(bad) == STORE_BAD);
    EXPECT(strstr(store_why(bad), "is damaged") != NULL);
    EXPECT(!store_is_connected(bad));
    store_close(bad);
    struct stat st;
    EXPECT(stat(path, &st) == 0 && st.st_size == 34000);
    end_store(s);
}
