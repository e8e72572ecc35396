/* test_show.c - a configuration as operators see it: complete, in its own words, without a secret. */
#include "conf/show.c"

#include <stdlib.h>
#include <unistd.h>

#include "tests/test.h"
#include "tests/unit/conf/conf_test.h"

/* The document of a configuration, valid until the next call. */
static struct str
shown(const struct conf *c)
{
    static struct buf out;
    struct json_out o = json_out(&out);
    struct arena *a = arena_create(4 * 1024 * 1024);

    buf_fini(&out);
    buf_init(&out, 1024 * 1024);
    conf_show(c, &o);
    EXPECT(json_parse(a, buf_str(&out), NULL, NULL) != NULL);
    arena_destroy(a);
    return buf_str(&out);
}

static bool
has(struct str text, const char *part)
{
    return str_find(text, str_c(part)) != text.n;
}

TEST(every_default_is_shown_with_its_unit)
{
    struct loaded l = load(S(""));
    struct str text = shown(l.conf);

    EXPECT(has(text, "\"listen\":[\"127.0.0.1:8080\"]"));
    EXPECT(has(text, "\"workers\":\"auto\""));
    EXPECT(has(text, "\"keepalive\":\"15s\""));
    EXPECT(has(text, "\"body\":\"32MB\""));
    EXPECT(has(text, "\"connections_per_address\":0"));    /* settled: no key is needed */
    EXPECT(has(text, "\"mode\":\"none\""));
    EXPECT(!has(text, "\"providers\"") && !has(text, "{}"));
    unload(&l);
}

TEST(secrets_are_masked_however_they_were_given)
{
    (void)setenv("SHOW_TEST_KEY", "from-environment", 1);
    struct loaded l = load(S(
        "auth: {keys: [{name: ci, key: literal-client-key}]}\n"
        "providers:\n"
        "  openai: {api_key: [literal-key, \"${SHOW_TEST_KEY}\"], headers: {x-a: literal-field}}\n"));
    struct str text = shown(l.conf);

    EXPECT(has(text, "\"keys\":[{\"name\":\"ci\",\"key\":\"***\""));
    EXPECT(has(text, "\"api_key\":[\"***\",\"***\"]"));
    EXPECT(has(text, "\"headers\":{\"x-a\":\"***\"}"));
    EXPECT(!has(text, "literal") && !has(text, "from-environment"));
    unload(&l);
}

TEST(what_is_inherited_is_shown_where_it_was_set)
{
    struct loaded l =
        load(S("timeouts: {total: 90s}\n"
               "models: {m: {targets: [openai/a, {model: openai/b, timeouts: {total: 1h}, "
               "params: {temperature: 0.5}}]}}\n"));
    struct str text = shown(l.conf);

    EXPECT(has(text, "{\"model\":\"openai/a\",\"weight\":1}"));
    EXPECT(has(text, "\"params\":{\"temperature\":0.5}"));
    EXPECT(has(text, "\"timeouts\":{\"total\":\"1h\"}"));
    EXPECT(has(text, "\"total\":\"90s\""));
    unload(&l);
}
