/* test_form.c - what looks like an address, a URL, a key, a header field. */
#include "conf/form.c"

#include "tests/test.h"

/* Each of `good` has the form and none of `bad`; both end with NULL. */
static void
expect_form(enum conf_form form, const char *const *good, const char *const *bad)
{
    struct arena *a = arena_create(64 * 1024);

    for (; *good != NULL; good++) {
        const char *reason = form_problem(a, form, str_c(*good));
        if (reason != NULL)
            print_error("'%s' %s\n", *good, reason);
        EXPECT(reason == NULL);
    }
    for (; *bad != NULL; bad++) {
        const char *reason = form_problem(a, form, str_c(*bad));
        if (reason == NULL)
            print_error("'%s' was taken\n", *bad);
        EXPECT(reason != NULL);
        struct str r = str_c(reason);
        EXPECT(str_find(r, S("write")) < r.n || str_find(r, S("remove")) < r.n);
    }
    arena_destroy(a);
}
#define GOOD(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define BAD(...) ((const char *const[]){ __VA_ARGS__, NULL })

TEST(addresses_have_a_host_and_a_port_or_a_path)
{
    expect_form(FORM_ADDRESS,
        GOOD("127.0.0.1:80", "0.0.0.0:0", ":8080", "localhost:80", "my-host.example:65535",
            "[::]:80", "[::1]:80", "[1:2:3:4:5:6:7:8]:80", "[1::8]:80", "[fe80::1%eth0]:80",
            "[::ffff:1.2.3.4]:80", "[1::]:80", "unix:/run/a b.sock"),
        BAD("", ":", "80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1",
            "127.0.0.1:+1", "127.0.0.1:8o", "127.0.0.1:000080", "1.2.3:80", "1.2.3.4.5:80",
            "256.0.0.1:80", "01.2.3.4:80", "1..2.3:80", "a b:80", "-a:80", "a:b:80", "[]:80",
            "[::1]", "[::1]80", "[::1]:", "::1", "::1:80", "[:::]:80", "[1::2::3]:80",
            "[1:2:3:4:5:6:7:8:9]:80", "[1:2:3:4:5:6:7]:80", "[12345::]:80", "[g::]:80",
            "[fe80::1%]:80", "[1:]:80", "[::1.2.3]:80", "http://a:80", "unix:", "unix:a",
            "unix:/a\nb"));
}

TEST(name_servers_are_ip_addresses_with_or_without_a_port)
{
    expect_form(FORM_NAME_SERVER,
        GOOD("10.0.0.53", "10.0.0.53:5353", "::1", "2001:db8::53", "[::1]", "[::1]:53"),
        BAD("", "dns.example", "localhost:53", "10.0.0.53:", "10.0.0.53:0", "10.0.0.53:65536",
            "10.0.0", "[::1]:", "[::1]:0", "unix:/run/dns", "10.0.0.53, 10.0.0.54"));
}

TEST(file_modes_are_three_octal_digits)
{
    expect_form(FORM_FILE_MODE, GOOD("0660", "666", "0600", "000"),
        BAD("", "66", "0668", "1660", "rw-rw----", "00660", "-660", "0o660"));
}

TEST(local_addresses_are_recognised)
{
    EXPECT(form_is_local(S("127.0.0.1:80")));
    EXPECT(form_is_local(S("127.1.2.3:80")));
    EXPECT(form_is_local(S("LOCALHOST:80")));
    EXPECT(form_is_local(S("[::1]:80")));
    EXPECT(form_is_local(S("[::1%lo]:80")));
    EXPECT(form_is_local(S("unix:/x")));
    EXPECT(!form_is_local(S(":80")));
    EXPECT(!form_is_local(S("0.0.0.0:80")));
    EXPECT(!form_is_local(S("[::]:80")));
    EXPECT(!form_is_local(S("[fe80::1%lo]:80")));
    EXPECT(!form_is_local(S("127.evil.example:80")));
    EXPECT(!form_is_local(S("localhost.evil.example:80")));
    EXPECT(!form_is_local(S("10.0.0.1:80")));
}

TEST(urls_are_plain)
{
    expect_form(FORM_URL,
        GOOD("http://a", "https://a/", "HTTPS://a.example:8443/v1/x-y_z~", "http://10.0.0.1/",
            "http://[::1]:80/v1", "https://a/%41"),
        BAD("", "a", "//a", "ftp://a", "http://", "http:///x", "http://:80",
            "http://a:", "http://a:x", "http://a b", "http://a/b c", "http://u@a", "http://u:p@a/",
            "http://a/?q", "http://a?q", "http://a#f", "http://a/\n", "http://a/<", "http://[::1",
            "http://1.2.3/", "http://\xc3\xa9/"));
}

TEST(origins_have_no_path)
{
    expect_form(FORM_ORIGIN,
        GOOD("*", "https://a.example", "http://localhost:3000", "http://[::1]:1"),
        BAD("", "a.example", "https://a/", "https://a/x", "https://u@a", "null", "https://",
            "https://a b"));
}

TEST(a_host_has_neither_scheme_nor_port)
{
    expect_form(FORM_HOST, GOOD("*", "gateway", "a.b-c.example", "10.0.0.5"),
        BAD("", "https://a", "a:80", "a/", "a.example.", "-a", "*.a.example", "a b"));
}

TEST(keys_cannot_carry_a_second_line)
{
    expect_form(FORM_SECRET, GOOD("sk-1", "!~", "a.b=c"),
        BAD("a b", "a\n", "a\r\nb: c", "\ta", "\x7f", "k\xc3\xa9y"));
}

TEST(header_fields_are_tokens_and_lines)
{
    expect_form(FORM_FIELD_NAME, GOOD("x-a", "Authorization", "x_1!"),
        BAD("", "a b", "a:", "a\n", "\xc3\xa9", "Host", "content-length", "TRANSFER-ENCODING",
            "Connection", "accept-encoding",
            "0123456789012345678901234567890123456789012345678901234567890123x"));
    expect_form(FORM_FIELD_VALUE, GOOD("", "a", "a b", "a\tb", "caf\xc3\xa9"),
        BAD("a\n", "a\r\nb", " a", "a ", "\x01"));
}

TEST(names_are_words)
{
    expect_form(
        FORM_WORD, GOOD("openai-chat", "no_stream_options", "x.1"), BAD("a b", "a/b", "a\n"));
    expect_form(
        FORM_ID, GOOD("openai", "lab-2", "a.b_c", "9"), BAD("", "-a", "a/b", "a b", "a:b", ".a"));
    expect_form(FORM_ALIAS, GOOD("fast", "gpt-4.1", "a:b@c+d", "a/b", "*", "claude-*"),
        BAD("", "a b", "-a", "a*b*c", "/a"));
    expect_form(FORM_MODEL, GOOD("openai/gpt-4o", "*", "a:b"), BAD("a b", "a\n", "\xc3\xa9"));
    expect_form(FORM_TEXT, GOOD("any text at all", "caf\xc3\xa9"), BAD("a\nb", "\x1b[31m"));
}

TEST(files_must_be_readable)
{
    expect_form(FORM_FILE, GOOD("/etc/passwd"), BAD("/nonexistent", "/etc", "/etc/passwd\n"));
    expect_form(FORM_LOG, GOOD("stdout", "stderr", "/var/log/x.log"), BAD("off", "a\nb"));
    expect_form(FORM_LOG_OFF, GOOD("stdout", "off", "/var/log/x.log"), BAD("a\nb"));
    expect_form(
        FORM_MEMORY, GOOD("auto", "off", "32MB", "2GB"), BAD("", "on", "31MB", "-1", "1TB"));
}
