/* test_secret.c - a secret is found however it is spelled, and words are not taken for one. */
#include "base/secret.c"

#include "tests/test.h"

#define KEY "sk-proj-7fQ2/aB9+x4Lm_0ZtY8=W3cE6"

static struct secrets *
with(const char *value)
{
    struct secrets *s = secrets_create();

    secrets_add(s, str_c(value));
    return s;
}

static bool
is_found(const char *value, struct str text)
{
    struct secrets *s = with(value);
    bool found = secrets_in(s, text);

    secrets_destroy(s);
    return found;
}

/* Writes each byte of KEY as `form` says: '@' and a letter stand for a number format, other bytes
 * for themselves. */
static struct str
spelled(const char *before, const char *form, const char *after)
{
    static struct buf b;

    buf_fini(&b);
    buf_init(&b, 64 * 1024);
    buf_add(&b, str_c(before));
    for (const char *p = KEY; *p != '\0'; p++) {
        unsigned c = (unsigned char)*p;

        for (const char *f = form; *f != '\0'; f++) {
            switch (*f == '@' ? *++f : '\0') {
            case 'c':
                buf_add_c(&b, (char)c);
                break;
            case 'x':
                buf_printf(&b, "%02x", c);
                break;
            case 'X':
                buf_printf(&b, "%02X", c);
                break;
            case 'u':
                buf_printf(&b, "%04x", c);
                break;
            case 'U':
                buf_printf(&b, "%04X", c);
                break;
            case 'd':
                buf_printf(&b, "%u", c);
                break;
            case 'D':
                buf_printf(&b, "%06u", c);
                break;
            case 'o':
                buf_printf(&b, "%03o", c);
                break;
            default:
                buf_add_c(&b, *f);
                break;
            }
        }
    }
    buf_add(&b, str_c(after));
    return buf_str(&b);
}

TEST(a_key_is_found_in_every_escape_of_every_byte)
{
    static const char *const forms[] = { "@c", "\\u@u", "\\u@U", "\\U@u", "\\u{@x}", "\\x@x",
        "\\@o", "%@x", "%@X", "%u@u", "&#@d;", "&#x@x;", "&#X@X;", "&#@D;", "@c ", "@c\n", "@c\\n",
        "@c\\r\\n\\t", "@c%20", "@c&nbsp;", "@c+", "@x", "@X", "@x:", "\\\\u@u", "\\\\\\\\u@u",
        "%25@x", "%2525@x", "\\u0025@x", "&amp;#@d;", "%26%23@d%3B", "&#37;@x", "%5Cu@u",
        "@c\"+\"" };

    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        struct str text = spelled("wrong key: \"", forms[i], "\" sent");

        if (!is_found("Bearer " KEY, text))
            print_error("%s: %.*s\n", forms[i], STR_ARG(text));
        EXPECT(is_found("Bearer " KEY, text));
        EXPECT(is_found(KEY, text));
        EXPECT(!is_found("another-key-that-is-long-1234567", text));
        EXPECT(is_found(KEY, spelled("&", forms[i], "")));
        EXPECT(is_found(KEY, spelled("\\\\", forms[i], "&")));
    }
}

TEST(case_and_line_breaks_do_not_hide_a_key)
{
    EXPECT(is_found(KEY, S("SK-PROJ-7FQ2/AB9+X4LM_0ZTY8=W3CE6")));
    EXPECT(is_found(KEY, S("sk-proj-7fq2/ab9+x4lm_0zty8=w3ce6")));
    EXPECT(is_found(KEY, S("sk-proj-7fQ2\\/aB9+x4Lm_0ZtY8=W3cE6")));
    EXPECT(is_found(KEY, S("sk-proj-7fQ2/aB9 x4Lm_0ZtY8=W3cE6")));
    EXPECT(is_found(KEY, S("sk-proj-7fQ2%2faB9%2Bx4Lm_0ZtY8%3dW3cE6")));
}

TEST(a_key_is_found_in_base64_wherever_it_stands_in_it)
{
    static const char *const before[] = { "", "u:", "ab:", "user:", "Bearer ", "Authorization: " };
    static const char *const after[] = { "", "\n", "\r\n", " and more" };
    char plain[256], text[512];

    for (size_t i = 0; i < ARRAY_LEN(before); i++) {
        for (size_t k = 0; k < ARRAY_LEN(after); k++) {
            int n = snprintf(plain, sizeof(plain), "%s" KEY "%s", before[i], after[k]);
            struct str coded = { text, digest_base64(str_make(plain, (size_t)n), text) };

            EXPECT(is_found(KEY, coded));
            while (coded.n != 0 && coded.p[coded.n - 1] == '=')
                coded.n--;
            EXPECT(is_found(KEY, coded));
            for (size_t c = 0; c < coded.n; c++)
                text[c] = text[c] == '+' ? '-' : text[c] == '/' ? '_' : text[c];
            EXPECT(is_found(KEY, coded));
        }
    }
}

TEST(part_of_a_long_key_is_found_but_not_the_few_characters_that_a_mask_shows)
{
    EXPECT(is_found(KEY, S("key sk-proj-7fQ2/aB9+x4Lm")));
    EXPECT(is_found(KEY, S("ends with aB9+x4Lm_0ZtY8=W3cE6")));
    EXPECT(is_found("sk-0a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d", S("ends with 2a3b4c5d")));
    EXPECT(!is_found(KEY, S("Incorrect API key provided: sk-proj-****************3cE6.")));
    EXPECT(!is_found(KEY, S("keys begin with sk-proj- or sk-ant-api03-")));
}

TEST(a_short_secret_is_only_found_whole)
{
    EXPECT(is_found("hush-hush-1", S("(hush-hush-1)")));
    EXPECT(is_found("sk-12345678", S("bad key sk-12345678.")));
    EXPECT(is_found("research", S("team Research")));
    EXPECT(!is_found("hush-hush-1", S("hush-hush")));
    EXPECT(!is_found("hush-hush-1", S("the model does not exist")));
    EXPECT(!is_found("sk-no-key-required", S("a model is required")));
    EXPECT(!is_found("short", S("short")));
    EXPECT(!is_found("", S("")));
}

TEST(the_password_of_basic_credentials_is_a_secret_as_well)
{
    EXPECT(is_found("Basic dXNlcjpvcGVuLXNlc2FtZQ==", S("the password open-sesame is wrong")));
    EXPECT(is_found("Basic dXNlcjpvcGVuLXNlc2FtZQ==", S("dXNlcjpvcGVuLXNlc2FtZQ")));
    EXPECT(!is_found("Basic !!!!", S("!!!!")));
}

TEST(all_values_of_field_lines_are_secrets)
{
    struct secrets *s = secrets_create();

    secrets_add_lines(s, S("x-team: red-herring-1\r\nAuthorization: Bearer blue-whale-22\r\n"));
    EXPECT(secrets_in(s, S("Red-Herring-1")) && secrets_in(s, S("blue-whale-22")));
    EXPECT(!secrets_in(s, S("x-team Authorization")));
    secrets_destroy(s);
    secrets_destroy(NULL);
}

TEST(a_secret_is_found_across_pieces_of_any_size)
{
    struct secrets *s = with(KEY);

    for (size_t size = 1; size < 90; size++) {
        struct str text = spelled("data: {\"m\":\"", size % 2 != 0 ? "\\u@u" : "%@x", "\"}\n");
        struct secret_scan at = { .held = 0 };
        bool found = false;

        for (size_t i = 0; i < text.n && !found; i += size)
            found = secrets_scan(s, &at, str_make(text.p + i, MIN(size, text.n - i)), true);
        EXPECT(found);
    }
    secrets_destroy(s);
}

TEST(the_beginning_of_a_secret_is_pending_until_something_else_follows)
{
    struct secrets *s = with(KEY);
    struct secret_scan at = { .held = 0 };

    EXPECT(!secrets_scan_pending(s, &at));
    EXPECT(!secrets_scan(s, &at, S("the key is sk-"), true) && !secrets_scan_pending(s, &at));
    EXPECT(!secrets_scan(s, &at, S("pr"), true) && secrets_scan_pending(s, &at));
    EXPECT(!secrets_scan(s, &at, S("oj-7fQ2/aB9"), true) && secrets_scan_pending(s, &at));
    EXPECT(!secrets_scan(s, &at, S(" and another sentence"), true));
    EXPECT(!secrets_scan_pending(s, &at));
    secrets_destroy(s);
}

TEST(a_scan_for_random_secrets_ignores_words)
{
    struct secrets *s = with("acme-research-assistant-2024");
    struct secret_scan at = { .held = 0 };

    EXPECT(secrets_in(s, S("ACME research assistant 2024")));
    EXPECT(!secrets_scan(s, &at, S("ACME research assistant 2024"), true));
    secrets_destroy(s);
}

TEST(many_secrets_are_all_found)
{
    struct secrets *s = secrets_create();
    char text[64];

    for (unsigned i = 0; i < 2000; i++) {
        int n = snprintf(text, sizeof(text), "key-%u-%08x%08x", i, i * 2654435761u, i * 40503u + 1);
        secrets_add(s, str_make(text, (size_t)n));
    }
    for (unsigned i = 0; i < 2000; i++) {
        int n =
            snprintf(text, sizeof(text), "<key-%u-%08x%08x>", i, i * 2654435761u, i * 40503u + 1);
        EXPECT(secrets_in(s, str_make(text, (size_t)n)));
    }
    EXPECT(!secrets_in(s, S("key-2000-abcdef0123456789 is not among them, nor is key-17-0")));
    secrets_destroy(s);
}

TEST(an_incomplete_escape_is_read_literally)
{
    EXPECT(is_found("abcdefgh1", S("&abcdefgh1")));
    EXPECT(is_found("abcdefgh1", S("&&&abcdefgh1")));
    EXPECT(is_found("zbcdefgh1", S("100%zbcdefgh1")));
    EXPECT(is_found("zbcdefgh1", S("%%%&&&&#zbcdefgh1")));
    EXPECT(is_found("a%41b-key-long", S("a%2541b-key-long")));
    EXPECT(is_found("a%41b-key-long", S("a%41b-key-long")));
}
