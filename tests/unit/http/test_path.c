/* test_path.c - many spellings, one path. */
#include "http/path.c"

#include "tests/test.h"

TEST(equivalent_paths_are_normalised_to_one)
{
    static const struct {
        const char *path, *normal;
        bool delimiter;
    } rows[] = {
        { "/", "/", false },
        { "*", "*", false },
        { "/v1/chat/completions", "/v1/chat/completions", false },
        { "/v1/chat/completions/", "/v1/chat/completions", false },
        { "/v1/%63hat/completions", "/v1/chat/completions", false },
        { "/%76%31/%63%68%61%74/completion%73/", "/v1/chat/completions", false },
        { "/v1/a%7Eb%2dc%2Ed%5fe", "/v1/a~b-c.d_e", false },
        { "/v1/a%3ab%c3%a9%20", "/v1/a%3Ab%C3%A9%20", false },
        { "/v1/a:b@c!$&'()*+,=d", "/v1/a:b@c!$&'()*+,=d", false },
        /* one layer is taken off, once */
        { "/v1/%2563hat", "/v1/%2563hat", false },
        { "/v1/chat%252fcompletions", "/v1/chat%252fcompletions", false },
        { "/v1/%25%32%46", "/v1/%252F", false },
        { "/v1/chat%2fcompletions", "/v1/chat%2Fcompletions", true },
        { "/v1/chat%5Ccompletions", "/v1/chat%5Ccompletions", true },
        { "/v1/completions%3Fa", "/v1/completions%3Fa", true },
        { "/v1/completions%23", "/v1/completions%23", true },
        { "/v1/completions;a=b", "/v1/completions;a=b", true },
        { "/v1/completions%3ba", "/v1/completions%3Ba", true },
        { "/v1/...", "/v1/...", false },
        { "/v1/%c2%a0", "/v1/%C2%A0", false },
        { "/v1/.hidden/a..b", "/v1/.hidden/a..b", false },
    };
    struct arena *a = arena_create(64 * 1024);

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct http_path p, again;

        EXPECT(http_path_normalise(a, str_c(rows[i].path), &p) == NULL);
        EXPECT_STR(p.text, rows[i].normal);
        EXPECT(p.has_delimiter == rows[i].delimiter);
        EXPECT(http_path_normalise(a, p.text, &again) == NULL);
        EXPECT(str_eq(again.text, p.text));
    }
    arena_destroy(a);
}

TEST(of_escaped_bytes_only_the_unreserved_ones_are_unescaped)
{
    struct arena *a = arena_create(64 * 1024);

    for (unsigned c = 0; c < 0x80; c++) {
        bool unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                          (c >= '0' && c <= '9') || (c != 0 && strchr("-._~", (int)c) != NULL);
        struct str path = arena_printf(a, "/a%%%02xb", c);
        struct http_path p;
        const char *why = http_path_normalise(a, path, &p);

        EXPECT((why != NULL) == (c < 0x20 || c == 0x7f));
        if (why == NULL) {
            EXPECT_STR(p.text, arena_printf(a, unreserved ? "/a%cb" : "/a%%%02Xb", c).p);
            EXPECT(p.has_delimiter == (strchr("/\\?#;", (int)c) != NULL));
        }
    }
    arena_destroy(a);
}

TEST(an_ambiguous_path_is_refused)
{
    static const char *const rows[] = { "//", "//v1/chat/completions", "/v1//chat/completions",
        "/v1/chat/completions//", "/v1/./files", "/v1/../secret", "/v1/files/..", "/v1/files/../",
        "/v1/%2e%2E/secret", "/v1/%2e", "/v1/.%2e/x", "/v1/a%", "/v1/a%4", "/v1/a%zz",
        "/v1/%%34%31", "/v1/a%00", "/v1/a%0d%0ab", "/v1/a%09", "/v1/a%7F", "/v1/a%C2%85",
        "/v1/a%C2%80", "/v1/a%C2%9F", "/v1/%c0%af", "/v1/%ff", "/v1/%E2%82", "/v1/%ed%a0%80",
        "/v1/a%c3/%a9", "/v1/a\\b" };
    struct arena *a = arena_create(64 * 1024);

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct http_path p;

        EXPECT(http_path_normalise(a, str_c(rows[i]), &p) != NULL);
        EXPECT_STR(p.text, rows[i]);
    }
    arena_destroy(a);
}

TEST(normalising_needs_memory_only_for_paths_not_in_normal_form)
{
    static const struct {
        const char *begins;
        bool normal;
    } rows[] = { { "/v1/%41", false }, { "/v1/;", true }, { "/v1/\\", false }, { "/v1//", false },
        { "/v1/.a", true }, { "/v1/a.b", true }, { "/", true }, { "/v1/a:b@c", true } };
    struct arena *a = arena_create(64);
    struct http_path p;
    char longer[256];

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        memset(longer, 'a', sizeof(longer));
        memcpy(longer, rows[i].begins, strlen(rows[i].begins));
        EXPECT((http_path_normalise(a, str_make(longer, sizeof(longer)), &p) == NULL) ==
               rows[i].normal);
    }
    longer[255] = '/';
    memcpy(longer, "/v1", 3);
    EXPECT(http_path_normalise(a, str_make(longer, sizeof(longer)), &p) == NULL);
    EXPECT_INT(p.text.n, 255);
    arena_destroy(a);
}
