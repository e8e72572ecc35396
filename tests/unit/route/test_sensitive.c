/* test_sensitive.c - what looks like personal data or a secret, and what only resembles it. */
#include "route/sensitive.c"
#include "tests/test.h"

static unsigned
find(const char *text)
{
    struct features f;

    features_find(str_c(text), &f);
    return sensitive_find(str_c(text), &f);
}

static const struct {
    unsigned found;
    const char *text;
} rows[] = {
    { SENSITIVE_EMAIL, "Write to anna.berg@example.com today" },
    { SENSITIVE_EMAIL, "<bob+x@mail.example.co.uk>" },
    { 0, "meet me @ noon, @anna" },
    { 0, "a@b" },
    { 0, "user@host.1" },
    { SENSITIVE_CARD, "My card is 4111 1111 1111 1111, exp 12/29" },
    { SENSITIVE_CARD, "378282246310005" },
    { 0, "4111 1111 1111 1112" },
    { 0, "order 8812345678901234" },
    { SENSITIVE_ACCOUNT, "IBAN: DE89 3704 0044 0532 0130 00" },
    { SENSITIVE_ACCOUNT, "pay to GB82WEST12345698765432 please" },
    { 0, "DE88 3704 0044 0532 0130 00" },
    { SENSITIVE_NATIONAL_ID, "SSN 078-05-1120" },
    { 0, "row 178 05 1120" },
    { SENSITIVE_PHONE, "call +49 30 901820 00" },
    { SENSITIVE_PHONE, "call 555-867-5309" },
    { SENSITIVE_PHONE, "Tel. 030 901 82000" },
    { 0, "2024-01-15 10:23:45" },
    { 0, "version 1.2.3.4, 192.168.100.200" },
    { 0, "1, 2, 3, 4, 5, 6, 7, 8, 9, 10" },
    { 0, "3.14159265358979" },
    { SENSITIVE_SECRET, "OPENAI_API_KEY is sk-abcdEFGH1234567890abcd" },
    { SENSITIVE_SECRET, "key AKIAIOSFODNN7EXAMPLE" },
    { SENSITIVE_SECRET, "token ghp_0123456789abcdefghijABCDEFGHIJ" },
    { SENSITIVE_SECRET, "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N" },
    { SENSITIVE_SECRET, "password: hunter2!x" },
    { SENSITIVE_SECRET, "{\"api_key\": \"0a1b2c3d4e\"}" },
    { SENSITIVE_SECRET, "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA0Z3VS5JJcds3xfn" },
    { 0, "password: " },
    { 0, "if (password == null) return;" },
    { 0, "def check(password=None):" },
    { 0, "the commit 0a1b2c3d4e5f60718293a4b5c6d7e8f901234567" },
    { 0, "a disk-based index of internationalisation" },
};

TEST(forms_are_told_apart)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        unsigned found = find(rows[i].text);
        if (found != rows[i].found)
            print_error("%s\n", rows[i].text);
        EXPECT_INT(found, rows[i].found);
    }
}

TEST(several_hints_are_all_said)
{
    EXPECT_INT(find("a@example.com, +1 212 555 0100 00, secret=abcdefgh"),
        SENSITIVE_EMAIL | SENSITIVE_PHONE | SENSITIVE_SECRET);
}

TEST(what_crosses_the_end_of_a_block_is_found)
{
    char text[300];

    for (size_t before = 0; before < 200; before++) {
        memset(text, '.', sizeof text);
        memcpy(text + before, " 4111111111111111 sk-abcdEFGH1234567890abcd ", 44);
        text[before + 44] = '\0';
        EXPECT_INT(find(text), SENSITIVE_CARD | SENSITIVE_SECRET);
    }
}

TEST(each_hint_has_a_name)
{
    EXPECT_STR(str_c(sensitive_name(SENSITIVE_SECRET)), "secret");
    for (unsigned hint = 1; hint <= SENSITIVE_SECRET; hint <<= 1)
        EXPECT(sensitive_name(hint) != NULL);
    EXPECT(sensitive_name(3) == NULL);
}
