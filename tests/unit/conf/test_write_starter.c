/* test_write_starter.c - the starter file is a good configuration, as it is and with everything
 * switched on. */
#include "conf/write_starter.c"

#include <unistd.h>

#include "tests/test.h"
#include "tests/unit/conf/conf_test.h"

TEST(the_starter_file_is_good_and_changes_nothing)
{
    struct buf out;

    buf_init(&out, 1024 * 1024);
    conf_write_starter(&out);
    EXPECT(!out.overflow);
    struct loaded l = load(buf_str(&out)), empty = load(S(""));
    EXPECT_STR(problem_lines(&l), "");
    EXPECT_INT(l.conf->server.limit_body_bytes, empty.conf->server.limit_body_bytes);
    EXPECT_INT(l.conf->provider_count, 0);
    unload(&l);
    unload(&empty);
    buf_fini(&out);
}

/* Takes the # away from a setting's line; a file that it names becomes one that exists. */
static void
switch_on(struct buf *out, struct str line)
{
    size_t at = str_chr(line, '#');
    bool setting = at + 1 < line.n && line.p[at + 1] != ' ';

    if (setting) {
        struct str rest = str_skip(line, at + 1);
        size_t path = str_find(rest, S("/etc/openclaw/"));

        buf_add(out, str_make(line.p, at));
        buf_add(out, str_make(rest.p, path));
        buf_add(out, path < rest.n ? S("/etc/passwd") : S(""));
    } else {
        buf_add(out, line);
    }
    buf_add_c(out, '\n');
}

TEST(the_starter_file_with_everything_switched_on_is_good)
{
    static const char *const names[] = { "OPENAI_API_KEY", "KEY_A", "KEY_B", "LAB_API_KEY",
        "OPENCLAW_CI_KEY" };
    struct buf out, all;
    struct str line;

    buf_init(&out, 1024 * 1024);
    buf_init(&all, 1024 * 1024);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        EXPECT(setenv(names[i], "sk-test", 1) == 0);
    conf_write_starter(&out);
    for (struct str text = buf_str(&out); text.n != 0;) {
        (void)str_cut(text, '\n', &line, &text);
        switch_on(&all, line);
    }

    struct loaded l = load(buf_str(&all));
    EXPECT_STR(problem_lines(&l), "");
    EXPECT_INT(l.conf->provider_count, 3);
    EXPECT_INT(l.conf->model_count, 1);
    EXPECT_INT(l.conf->models[0].target_count, 1);
    EXPECT_INT(l.conf->auth.key_count, 1);
    EXPECT_INT(l.conf->providers[2].timeouts.first_token_ms, 20000);
    unload(&l);
    buf_fini(&out);
    buf_fini(&all);
}

TEST(the_starter_file_names_every_setting)
{
    struct buf out;
    const struct option *o;

    buf_init(&out, 1024 * 1024);
    conf_write_starter(&out);
    for (size_t i = 0; (o = option_at(i)) != NULL; i++) {
        char want[64];

        snprintf(want, sizeof(want), STR_FMT ":", STR_ARG(o->key));
        EXPECT((str_find(buf_str(&out), str_c(want)) < buf_len(&out)) == (o->type != OPTION_LATER));
    }
    buf_fini(&out);
}

TEST(no_line_of_the_starter_file_is_wider_than_100_columns)
{
    struct buf out;
    struct str line;

    buf_init(&out, 1024 * 1024);
    conf_write_starter(&out);
    for (struct str text = buf_str(&out); text.n != 0;) {
        (void)str_cut(text, '\n', &line, &text);
        EXPECT(line.n <= 100 && !str_ends(line, S(" ")));
    }
    buf_fini(&out);
}
