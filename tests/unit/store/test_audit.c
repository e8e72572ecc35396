/* test_audit.c - a chain that is whole, and every way to break it. */
#include "store/audit.c"

#include <unistd.h>

#include "tests/test.h"

#define ENTRIES 250

struct place {
    char folder[64];
    struct auditor *auditor;
    struct store *store;
};

static void
place_open(struct place *p)
{
    char why[300] = "";

    (void)snprintf(p->folder, sizeof(p->folder), "/tmp/openclaw-audit-XXXXXX");
    EXPECT(mkdtemp(p->folder) != NULL);
    p->auditor = auditor_create(str_c(p->folder), WHY(why));
    EXPECT_STR(str_c(why), "");
    p->store = store_open(S("sqlite::memory:"), WHY(why));
    EXPECT(p->store != NULL && store_connect(p->store) == STORE_OK &&
           store_migrate(p->store) == STORE_OK);
}

static void
place_close(struct place *p)
{
    char command[128];

    store_close(p->store);
    auditor_destroy(p->auditor);
    (void)snprintf(command, sizeof(command), "rm -r %s", p->folder);
    EXPECT(system(command) == 0);
}

static void
fill(struct place *p, unsigned n)
{
    char object[16];

    EXPECT(store_begin(p->store) == STORE_OK);
    for (unsigned i = 0; i < n; i++) {
        (void)snprintf(object, sizeof(object), "key_%u", i);
        const struct audit_event e = { .at_ms = 1000 + i,
            .actor = i % 2 != 0 ? S("local") : S("key_\"root\""),
            .action = S("keys.create"),
            .object = str_c(object),
            .outcome = S("done"),
            .after = S("{\"name\":\"a\\u0000b\"}") };
        EXPECT(audit_append(p->store, p->auditor, &e) == STORE_OK);
    }
    EXPECT(store_commit(p->store) == STORE_OK);
}

/* The number of the first bad entry, after this was done to the store. */
static int64_t
first_bad(const char *sql, const char *trusted, const char *noted, char why[200])
{
    struct place p;
    struct audit_report report;

    place_open(&p);
    fill(&p, ENTRIES);
    if (sql[0] != '\0')
        EXPECT(store_script(p.store, sql) == STORE_OK);
    EXPECT(audit_verify(p.store, str_c(trusted), str_c(noted), &report) == STORE_OK);
    str_copy_c(why, 200, str_c(report.why));
    place_close(&p);
    return report.first_bad;
}

TEST(a_record_that_nobody_touched_is_good)
{
    struct place p;
    struct audit_report report;
    char noted[100];

    place_open(&p);
    EXPECT(audit_verify(p.store, S(""), S(""), &report) == STORE_OK);
    EXPECT_INT(report.first_bad, 0);
    fill(&p, ENTRIES);
    EXPECT(audit_verify(p.store, auditor_key(p.auditor), S(""), &report) == STORE_OK);
    EXPECT_INT(report.first_bad, 0);
    EXPECT_INT(report.entries, ENTRIES);
    EXPECT_INT(report.checkpoints, ENTRIES / AUDIT_CHECKPOINT);
    EXPECT_INT(report.keys, 1);
    (void)snprintf(noted, sizeof(noted), "%d:%s", ENTRIES, report.head);
    fill(&p, 10);
    EXPECT(audit_verify(p.store, S(""), str_c(noted), &report) == STORE_OK);
    EXPECT_INT(report.first_bad, 0);
    place_close(&p);
}

TEST(the_first_entry_that_is_wrong_is_named)
{
    static const struct {
        const char *sql;
        int64_t bad;
        const char *why;
    } rows[] = {
        { "UPDATE audit SET actor = 'eve' WHERE seq = 7", 7, "it was changed" },
        { "UPDATE audit SET after_state = '' WHERE seq = 249", 249, "it was changed" },
        { "UPDATE audit SET at_ms = 5 WHERE seq = 1", 1, "it was changed" },
        { "UPDATE audit SET hash = '' WHERE seq = 30", 30, "it was changed" },
        { "DELETE FROM audit WHERE seq = 100", 100, "it is missing" },
        { "DELETE FROM audit WHERE seq = 1", 1, "it is missing" },
        { "UPDATE audit SET seq = -1 WHERE seq = 50; UPDATE audit SET seq = 50 WHERE seq = 51;"
          "UPDATE audit SET seq = 51 WHERE seq = -1",
            50, "it does not follow" },
        { "DELETE FROM audit WHERE seq > 240", 241, "it is missing" },
        { "DELETE FROM audit", 1, "it is missing" },
        { "DELETE FROM audit WHERE seq > 240; UPDATE audit_head SET seq = 240", 240,
            "its hash is not the one that was signed last" },
        { "DELETE FROM audit WHERE seq > 240; UPDATE audit_head SET seq = 240, hash = (SELECT hash "
          "FROM audit WHERE seq = 240)",
            240, "signature" },
        { "DELETE FROM audit WHERE seq > 150; UPDATE audit_head SET seq = 150, hash = (SELECT hash "
          "FROM audit WHERE seq = 150)",
            150, "signature" },
        { "DELETE FROM audit_checkpoints WHERE seq = 100", 100, "its checkpoint is missing" },
        { "UPDATE audit_checkpoints SET signature = '00' WHERE seq = 200", 200,
            "no good signature" },
        { "INSERT INTO audit SELECT 251, at_ms, actor, action, object, outcome, request_id, "
          "before_state, after_state, prev, hash FROM audit WHERE seq = 250",
            251, "" },
    };
    char why[200];

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        EXPECT_INT(first_bad(rows[i].sql, "", "", why), rows[i].bad);
        EXPECT(str_find(str_c(why), str_c(rows[i].why)) != strlen(why) || rows[i].why[0] == '\0');
    }
}

TEST(a_chain_that_somebody_else_signed_is_not_trusted)
{
    char why[200];

    EXPECT_INT(
        first_bad("", "00000000000000000000000000000000000000000000000000000000000000ff", "", why),
        100);
    EXPECT_INT(first_bad("", "", "100:00", why), 100);
    EXPECT_INT(first_bad("", "", "251:00", why), 251);
}

TEST(entries_are_listed_by_what_they_say)
{
    struct place p;
    struct buf out;
    int64_t last;

    place_open(&p);
    fill(&p, 20);
    buf_init(&out, 1 << 20);
    struct audit_query q = { .limit = 3 };
    EXPECT(audit_list(p.store, &q, &out, &last) == STORE_OK);
    EXPECT_INT(last, 18);
    q = (struct audit_query){ .actor = S("local"), .before_seq = 5 };
    buf_reset(&out, SIZE_MAX);
    EXPECT(audit_list(p.store, &q, &out, &last) == STORE_OK);
    EXPECT_INT(last, 2);
    q = (struct audit_query){ .object = S("key_7") };
    buf_reset(&out, SIZE_MAX);
    EXPECT(audit_list(p.store, &q, &out, &last) == STORE_OK);
    EXPECT_INT(last, 8);
    EXPECT(str_find(buf_str(&out), S("\"after\":{\"name\":\"a\\u0000b\"}")) != buf_len(&out));
    buf_fini(&out);
    place_close(&p);
}

TEST(the_key_is_kept)
{
    struct place p;
    char why[300] = "", first[65];

    place_open(&p);
    str_copy_c(first, sizeof(first), auditor_key(p.auditor));
    auditor_destroy(p.auditor);
    p.auditor = auditor_create(str_c(p.folder), WHY(why));
    EXPECT_STR(auditor_key(p.auditor), first);
    EXPECT(auditor_create(S("/nonexistent"), WHY(why)) == NULL);
    EXPECT(str_find(str_c(why), S("cannot be made")) != strlen(why));
    place_close(&p);
}
