#include "llm/seal.c"    /* white box: the unit under test itself */
#include "tests/test.h"

TEST(what_was_sealed_comes_back)
{
    struct arena *a = arena_create(1 << 20);
    struct seal in = { .origin = ORIGIN_ANTHROPIC,
        .text = S("I \"think\"\n"),
        .signature = S("EqQB+/=="),
        .call = S("call_1") };
    struct seal out;
    struct str sealed = seal_write(a, &in);

    EXPECT(seal_is(sealed));
    EXPECT(str_starts(sealed, S("openclaw.1.anthropic.")));
    EXPECT(str_find(sealed, S("\"")) == sealed.n);
    EXPECT(seal_read(a, sealed, &out));
    EXPECT_INT(out.origin, ORIGIN_ANTHROPIC);
    EXPECT_STR(out.text, "I \"think\"\n");
    EXPECT_STR(out.signature, "EqQB+/==");
    EXPECT_STR(out.call, "call_1");
    EXPECT_INT(out.redacted.n, 0);
    arena_destroy(a);
}

TEST(what_is_no_seal_of_ours_is_not_opened)
{
    static const char *const texts[] = { "", "gAAAAABo", "openclaw.", "openclaw.1.", "openclaw.1.x",
        "openclaw.1.anthropic.", "openclaw.1.anthropic.!!!!",
        "openclaw.2.anthropic.e30=", "openclaw.1.none.e30=", "openclaw.1.nobody.e30=",
        "openclaw.1.openai.e30=", "openclaw.1.openai.W10=" };
    struct arena *a = arena_create(1 << 20);
    struct seal out;

    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        EXPECT(!seal_read(a, str_c(texts[i]), &out));
    arena_destroy(a);
}

TEST(memory_that_runs_out_gives_no_seal)
{
    struct arena *a = arena_create(1 << 20);
    struct seal in = { .origin = ORIGIN_OPENAI, .redacted = S("e") };
    struct seal out;
    struct str sealed = seal_write(a, &in);

    for (unsigned n = 1;; n++) {
        (void)arena_fail_after_for_tests(n);
        bool opened = seal_read(a, sealed, &out);
        if (arena_fail_after_for_tests(0)) {    /* all of it was done before the n-th */
            EXPECT(opened);
            break;
        }
        EXPECT(!opened || str_eq(out.redacted, S("e")));
    }
    (void)arena_fail_after_for_tests(1);
    EXPECT_INT(seal_write(a, &in).n, 0);
    (void)arena_fail_after_for_tests(0);
    arena_destroy(a);
}
