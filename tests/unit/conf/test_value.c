/* test_value.c - times, sizes and references. */
#include "conf/value.c"

#include "tests/test.h"

TEST(times_have_a_unit)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } good[] = { { "0s", 0 }, { "500ms", 500 }, { "10s", 10000 }, { "5m", 300000 },
        { "1h", 3600000 }, { "0010s", 10000 } };
    static const char *const bad[] = { "", "5", "s", "-1s", "+1s", " 1s", "1 s", "1S", "1.5s", "1d",
        "1us", "1m30s", "99999999999999999999s", "18446744073709551615h" };
    uint64_t v;

    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        EXPECT(value_duration(str_c(good[i].text), &v) && v == good[i].ms);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        EXPECT(!value_duration(str_c(bad[i]), &v));
}

TEST(sizes_may_have_a_unit)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = { { "0", 0 }, { "4096", 4096 }, { "64KB", 65536 }, { "32MB", 33554432 },
        { "2GB", 2147483648 } };
    static const char *const bad[] = { "", "KB", "-1", "1B", "1kb", "1MiB", "1 MB", "1.5MB", "0x10",
        "18446744073709551616", "18446744073709551615KB" };
    uint64_t v;

    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        EXPECT(value_size(str_c(good[i].text), &v) && v == good[i].bytes);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        EXPECT(!value_size(str_c(bad[i]), &v));
}

TEST(times_and_sizes_are_written_as_short_as_they_are_exact)
{
    struct arena *a = arena_create(4096);

    EXPECT_STR(value_duration_text(a, 0), "0s");
    EXPECT_STR(value_duration_text(a, 1), "1ms");
    EXPECT_STR(value_duration_text(a, 1500), "1500ms");
    EXPECT_STR(value_duration_text(a, 90000), "90s");
    EXPECT_STR(value_duration_text(a, 86400000), "24h");
    EXPECT_STR(value_size_text(a, 0), "0");
    EXPECT_STR(value_size_text(a, 1000), "1000");
    EXPECT_STR(value_size_text(a, 65536), "64KB");
    EXPECT_STR(value_size_text(a, 2147483648), "2GB");
    arena_destroy(a);
}

TEST(references_are_replaced)
{
    static const struct {
        const char *text;
        const char *want;
    } cases[] = {
        { "plain", "plain" }, { "${OC_A}", "one" }, { "x${OC_A}y${OC_A}z", "xoneyonez" },
        { "${OC_U:-d}", "d" }, { "${OC_E:-d}", "d" }, { "${OC_A:-d}", "one" }, { "${OC_U:-}", "" },
        { "${OC_U:-a:-b}", "a:-b" }, { "$$", "$" }, { "$${OC_A}", "${OC_A}" }, { "a$$$$b", "a$$b" },
        { "}", "}" }, { "", "" },
        { "${OC_R}", "${OC_A}" },    /* what a variable holds is not looked into */
    };
    struct arena *a = arena_create(64 * 1024);
    struct str v;

    EXPECT(setenv("OC_A", "one", 1) == 0 && setenv("OC_E", "", 1) == 0 &&
           setenv("OC_R", "${OC_A}", 1) == 0);
    EXPECT(unsetenv("OC_U") == 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        EXPECT(value_resolve(a, str_c(cases[i].text), NULL, &v) == NULL);
        EXPECT_STR(v, cases[i].want);
        EXPECT(v.p[v.n] == '\0');
    }
    arena_destroy(a);
}

TEST(broken_references_say_what_is_missing)
{
    static const char *const cases[] = { "${", "${}", "${:-x}", "${A B}", "${1A}", "${A-B}", "$",
        "a$", "$A", "${OC_U}", "${OC_E}", "${OC_A" };
    struct arena *a = arena_create(64 * 1024);
    struct str v;

    EXPECT(setenv("OC_A", "one", 1) == 0 && setenv("OC_E", "", 1) == 0 && unsetenv("OC_U") == 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        EXPECT(value_resolve(a, str_c(cases[i]), NULL, &v) != NULL);
    EXPECT_STR(str_c(value_resolve(a, S("${OC_U}"), NULL, &v)),
        "needs the environment variable OC_U, which is not set; set it, or write ${OC_U:-default}");
    arena_destroy(a);
}

TEST(what_a_variable_says_is_never_a_file)
{
    struct arena *a = arena_create(64 * 1024);
    struct str v;

    EXPECT(setenv("OC_F", "file:/etc/passwd", 1) == 0);
    struct str file;

    EXPECT(value_resolve(a, S("${OC_F}"), &file, &v) == NULL);
    EXPECT(file.n == 0);
    EXPECT_STR(v, "file:/etc/passwd");
    arena_destroy(a);
}

TEST(a_long_value_is_refused)
{
    struct arena *a = arena_create(1024 * 1024);
    char *text = malloc(VALUE_BYTES_MAX + 1);
    struct str v;

    memset(text, 'x', VALUE_BYTES_MAX + 1);
    EXPECT(value_resolve(a, str_make(text, VALUE_BYTES_MAX), NULL, &v) == NULL);
    EXPECT_STR(str_c(value_resolve(a, str_make(text, VALUE_BYTES_MAX + 1), NULL, &v)),
        "is longer than 64KB; write a shorter text");
    free(text);
    arena_destroy(a);
}

TEST(a_full_arena_is_a_reason)
{
    struct arena *a = arena_create(16);
    struct str v;

    EXPECT_STR(str_c(value_resolve(a, S("more than sixteen bytes"), NULL, &v)),
        "does not fit: the configuration holds too much text; make it smaller");
    arena_destroy(a);
}

TEST(a_file_of_64_kilobytes_is_the_largest)
{
    char path[] = "/tmp/openclaw-value-XXXXXX";
    int fd = mkstemp(path);
    struct arena *a = arena_create(1024 * 1024);
    struct str file, text = arena_printf(a, "file:%s", path);
    struct str v;

    EXPECT(fd >= 0 && ftruncate(fd, VALUE_BYTES_MAX) == 0);
    EXPECT(value_resolve(a, text, &file, &v) == NULL && v.n == VALUE_BYTES_MAX);
    EXPECT(ftruncate(fd, VALUE_BYTES_MAX + 1) == 0);
    EXPECT_STR(file, path);
    struct str reason = str_c(value_resolve(a, text, &file, &v));
    EXPECT(str_find(reason, S("(Larger than 64KB)")) < reason.n);
    EXPECT(close(fd) == 0 && unlink(path) == 0);
    arena_destroy(a);
}
