/* test_resource_read.c - what may be written of a resource, what is said of the rest, and how it is shown
 * again. */
#include "control/resource_read.c"

#include "base/clock.h"
#include "control/resource_write.h"
#include "tests/test.h"

static struct arena *arena;

/* All faults of the document, "POINTER: DETAIL" each, joined by newlines. */
static struct str
read_into(struct resource_draft *d, const char *text, bool fresh)
{
    struct faults faults;
    struct str all = S("");

    faults_init(&faults, arena);
    resource_read(d, json_parse(arena, str_c(text), NULL, NULL), fresh, &faults);
    for (const struct fault *f = faults.first; f != NULL; f = f->next)
        all = arena_printf(arena, STR_FMT "%s" STR_FMT ": " STR_FMT, STR_ARG(all),
            all.n != 0 ? "\n" : "", STR_ARG(f->pointer), STR_ARG(f->detail));
    return all;
}

static struct str
faults_of(enum resource_kind kind, const char *text)
{
    struct resource_draft *d = arena_new(arena, struct resource_draft);

    d->kind = kind;
    return read_into(d, text, true);
}

static bool
has(struct str text, const char *part)
{
    return str_find(text, str_c(part)) != text.n;
}

TEST(no_kind_has_more_fields_than_a_draft)
{
    for (unsigned k = 0; k < RESOURCE_KINDS; k++)
        EXPECT(resource_field_count((enum resource_kind)k) <= RESOURCE_FIELDS_MOST);
}

TEST(a_new_key_is_read_and_shown)
{
    struct resource_draft d = { .kind = RESOURCE_keys };
    struct buf b;

    arena = arena_create(1 << 20);
    EXPECT_STR(
        read_into(&d,
            "{\"name\":\"ci\",\"team\":\"research\",\"rpm\":60,\"budget\":\"10/month\","
            "\"models\":[\"openai/*\",\"fast\"],\"tags\":{\"a\":\"b\"},"
            "\"expires_at\":\"2027-01-31T18:00:00Z\",\"addresses\":[\"10.0.0.0/8\",\"unix\"]}",
            true),
        "");
    struct resource_row row = { .kind = RESOURCE_keys,
        .id = S("key_1"),
        .revision = 7,
        .created_ms = 1000,
        .updated_ms = 2000,
        .values = d.values };
    buf_init(&b, 64 * 1024);
    struct json_out o = json_out(&b);
    out_object(&o);
    resource_write(&row, &o);
    out_end(&o);
    struct str shown = buf_str(&b);
    EXPECT(json_parse(arena, shown, NULL, NULL) != NULL);
    EXPECT(
        has(shown, "\"id\":\"key_1\",\"object\":\"key\",\"name\":\"ci\",\"kind\":\"inference\""));
    EXPECT(has(shown, "\"rpm\":60,\"tpm\":null"));
    EXPECT(has(shown, "\"models\":[\"openai/*\",\"fast\"]"));
    EXPECT(has(shown, "\"providers\":[]"));
    EXPECT(has(shown, "\"tags\":{\"a\":\"b\"}"));
    EXPECT(has(shown, "\"expires_at\":\"2027-01-31T18:00:00.000Z\""));
    EXPECT(has(shown, "\"disabled\":false"));
    EXPECT(has(shown, "\"created_at\":\"1970-01-01T00:00:01.000Z\""));
    EXPECT(!has(shown, "digest") && !has(shown, "sha256"));
    buf_fini(&b);
    arena_destroy(arena);
}

TEST(all_mistakes_are_told_at_once_with_what_to_write)
{
    arena = arena_create(1 << 20);
    struct str said = faults_of(RESOURCE_keys,
        "{\"rmp\":1,\"rpm\":\"x\",\"kind\":\"inferense\",\"models\":[\"a\",2],\"tags\":{\"x y\":\"\"},"
        "\"hint\":\"h\",\"digest\":\"d\",\"id\":\"k\",\"team\":7,\"expires_at\":\"soon\"}");
    const char *expected[] = { "/rmp: keys have no such member; did you mean 'rpm'?",
        "/rpm: must be a whole number from 1 to",
        "/kind: must be one of inference, admin; did you mean 'inference'?",
        "/models/1: must be a text, not a number", "/tags/x y: the name of a tag",
        "/hint: is made by the gateway", "/digest: keys have no such member",
        "/id: is made by the gateway", "/team: must be the id or the name of one of the teams",
        "/expires_at: must be a time (RFC 3339)" };
    for (size_t i = 0; i < ARRAY_LEN(expected); i++)
        EXPECT(has(said, expected[i]));
    EXPECT(has(faults_of(RESOURCE_teams, "{}"), "/name: is required"));
    EXPECT(has(faults_of(RESOURCE_teams, "[]"), "the body must be a JSON object"));
    arena_destroy(arena);
}

TEST(texts_have_the_form_of_their_field)
{
    static const struct {
        enum resource_kind kind;
        const char *text, *said;
    } cases[] = {
        { RESOURCE_teams, "{\"name\":\"a/b\"}", "/name: must not contain" },
        { RESOURCE_teams, "{\"name\":\"\"}", "/name: must not be empty" },
        { RESOURCE_teams, "{\"name\":\"team_0123456789abcdef\"}", "must not look like an id" },
        { RESOURCE_teams, "{\"name\":\"a\\nb\"}", "control characters" },
        { RESOURCE_teams, "{\"name\":\"a\",\"budget\":\"10\"}", "dollars and a period" },
        { RESOURCE_teams, "{\"name\":\"a\",\"budget\":\"5%/day\"}", "dollars and a period" },
        { RESOURCE_teams, "{\"name\":\"a\",\"budget\":\"-1/day\"}", "dollars and a period" },
        { RESOURCE_teams, "{\"name\":\"a\",\"rpm\":0}", "/rpm: must be a whole number" },
        { RESOURCE_teams, "{\"name\":\"a\",\"rpm\":1.5}", "/rpm: must be a whole number" },
        { RESOURCE_teams, "{\"name\":\"a\",\"rpm\":1e300}", "/rpm: must be a whole number" },
        { RESOURCE_users, "{\"name\":\"a\",\"email\":\"b\"}", "e-mail" },
        { RESOURCE_keys, "{\"name\":\"a\",\"addresses\":[\"10.0.0.0/33\"]}",
            "/addresses/0: must be" },
        { RESOURCE_keys, "{\"name\":\"a\",\"origins\":[\"x\"]}", "/origins/0:" },
        { RESOURCE_keys, "{\"name\":\"a\",\"sha256\":\"abc\"}", "64 hexadecimal" },
        { RESOURCE_limits, "{\"for\":\"tem:x\"}", "/for: must be all, or KIND:NAME" },
        { RESOURCE_budgets, "{\"for\":\"all\",\"amount\":-1}", "/amount: must be dollars" },
        { RESOURCE_budgets, "{\"for\":\"all\",\"amount\":1,\"alerts\":[\"0%\"]}", "/alerts/0:" },
    };

    arena = arena_create(1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        EXPECT(has(faults_of(cases[i].kind, cases[i].text), cases[i].said));
    EXPECT_STR(faults_of(RESOURCE_budgets, "{\"for\":\"team:*\",\"amount\":0.000000001}"), "");
    EXPECT_STR(
        faults_of(RESOURCE_keys, "{\"name\":\"a\",\"addresses\":[\"::1\",\"2001:db8::/32\"]}"), "");
    arena_destroy(arena);
}

TEST(a_patch_is_merged)
{
    struct resource_draft d = { .kind = RESOURCE_keys };

    arena = arena_create(1 << 20);
    EXPECT_STR(read_into(&d,
                   "{\"name\":\"ci\",\"rpm\":60,\"tags\":{\"a\":\"1\",\"b\":\"2\"},"
                   "\"models\":[\"x\"],\"kind\":\"admin\"}",
                   true),
        "");
    EXPECT_STR(
        read_into(&d,
            "{\"rpm\":null,\"tags\":{\"a\":null,\"c\":\"3\"},\"models\":[\"y\",\"z\"],\"kind\":\"admin\"}",
            false),
        "");
    EXPECT_STR(draft_value(&d, FIELD_keys_name)->text, "ci");
    EXPECT(!draft_value(&d, FIELD_keys_rpm)->set);
    EXPECT_STR(draft_value(&d, FIELD_keys_tags)->text, "{\"b\":\"2\",\"c\":\"3\"}");
    EXPECT_STR(draft_value(&d, FIELD_keys_models)->text, "[\"y\",\"z\"]");
    EXPECT(has(read_into(&d, "{\"kind\":\"inference\"}", false), "/kind: cannot be changed"));
    EXPECT(has(read_into(&d, "{\"key\":\"0123456789abcdef\"}", false), "/key: cannot be changed"));
    EXPECT(has(read_into(&d, "{\"name\":null}", false), "/name: is required"));
    arena_destroy(arena);
}

TEST(lists_and_faults_are_bounded)
{
    struct buf b;

    arena = arena_create(16 << 20);
    buf_init(&b, 1 << 20);
    buf_add(&b, S("{\"name\":\"a\",\"models\":[\"m\""));
    for (unsigned i = 0; i < 5000; i++)
        buf_add(&b, S(",\"m\""));
    buf_add(&b, S("]}"));
    buf_add_c(&b, '\0');
    EXPECT(has(faults_of(RESOURCE_keys, b.p), "must have at most 256 texts"));
    buf_reset(&b, 0);
    buf_add(&b, S("{\"x0\":1"));
    for (unsigned i = 1; i < 5000; i++)
        buf_printf(&b, ",\"x%u\":1", i);
    buf_add(&b, S("}"));
    buf_add_c(&b, '\0');
    struct str said = faults_of(RESOURCE_keys, b.p);
    EXPECT(has(said, "/x49:") && !has(said, "/x50:"));
    buf_fini(&b);
    struct faults faults;
    faults_init(&faults, arena);
    for (unsigned i = 0; i < FAULTS_MOST + 2; i++)
        faults_add(&faults, fault_pointer(arena, S(""), S("a/b~c")), "is \"%u\"", i);
    buf_init(&b, 1 << 20);
    struct json_out o = json_out(&b);
    faults_write(&faults, &o);
    const struct json *doc = json_parse(arena, buf_str(&b), NULL, NULL);
    EXPECT_INT(json_count(doc), FAULTS_MOST + 1);
    EXPECT(has(buf_str(&b), "{\"pointer\":\"/a~1b~0c\",\"detail\":\"is \\\"0\\\"\"}"));
    EXPECT(has(buf_str(&b), "and 2 more"));
    buf_fini(&b);
    arena_destroy(arena);
}
