/* test_digest.c - published vectors, and malformed text refused. */
#include "base/digest.c"
#include "tests/test.h"

#define EXPECT_HEX(bytes, n, expected)                                                             \
    do {                                                                                           \
        char hex[2 * (n) + 1];                                                                     \
        digest_hex((bytes), (n), hex);                                                             \
        EXPECT_STR(str_c(hex), (expected));                                                        \
    } while (0)

TEST(sha256_of_the_standards_examples)
{
    uint8_t out[DIGEST_SHA256_BYTES];

    digest_sha256(S("abc"), out);
    EXPECT_HEX(out, DIGEST_SHA256_BYTES,
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    digest_sha256(str_c(NULL), out);
    EXPECT_HEX(out, DIGEST_SHA256_BYTES,
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    digest_sha256(S("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"), out);
    EXPECT_HEX(out, DIGEST_SHA256_BYTES,
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST(hmac_of_the_standards_examples_and_pieces)
{
    uint8_t out[DIGEST_SHA256_BYTES], whole[DIGEST_SHA256_BYTES];
    char long_key[131];
    const struct str pieces[] = { S("a"), S(""), S("bc") };

    digest_hmac_sha256(S("Jefe"), S("what do ya want for nothing?"), out);
    EXPECT_HEX(out, DIGEST_SHA256_BYTES,
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(long_key, 0xaa, sizeof(long_key));
    digest_hmac_sha256(str_make(long_key, sizeof(long_key)),
        S("Test Using Larger Than Block-Size Key - Hash Key First"), out);
    EXPECT_HEX(out, DIGEST_SHA256_BYTES,
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    digest_sha256_pieces(pieces, ARRAY_LEN(pieces), out);
    digest_sha256(S("abc"), whole);
    EXPECT(memcmp(out, whole, sizeof(out)) == 0);
}

TEST(hexadecimal_is_lower_case_and_ends_with_a_nul)
{
    static const uint8_t bytes[] = { 0x00, 0x7f, 0xab, 0xff };
    char out[9] = "xxxxxxxx";

    digest_hex(bytes, 4, out);
    EXPECT(strcmp(out, "007fabff") == 0);
    digest_hex(bytes, 0, out);
    EXPECT(out[0] == '\0');
}

TEST(every_byte_has_its_two_digits_wherever_it_is)
{
    for (unsigned i = 0; i < 256; i++) {
        uint8_t bytes[7];
        char out[15], expected[15];

        memset(bytes, (int)i, sizeof(bytes));
        digest_hex(bytes, sizeof(bytes), out);
        for (size_t k = 0; k < sizeof(bytes); k++)
            (void)snprintf(expected + 2 * k, 3, "%02x", i);
        EXPECT(strcmp(out, expected) == 0);
    }
}

struct pair {
    struct str plain;
    const char *coded;
};

static const struct pair pairs[] = {
    { S_INIT(""), "" },
    { S_INIT("f"), "Zg==" },
    { S_INIT("fo"), "Zm8=" },
    { S_INIT("foo"), "Zm9v" },
    { S_INIT("foob"), "Zm9vYg==" },
    { S_INIT("fooba"), "Zm9vYmE=" },
    { S_INIT("foobar"), "Zm9vYmFy" },
    { S_INIT("\x00\xff\xfe\xfb\xef\xbe"), "AP/+++++" },
};

TEST(base64_of_the_standards_examples_both_ways)
{
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        char coded[16];
        uint8_t plain[16];
        size_t n = 99;

        EXPECT_STR(str_make(coded, digest_base64(pairs[i].plain, coded)), pairs[i].coded);
        EXPECT(digest_base64_decode(str_c(pairs[i].coded), plain, &n));
        EXPECT(str_eq(str_make((const char *)plain, n), pairs[i].plain));
    }
}

TEST(base64_that_is_not_quite_right_is_refused)
{
    static const char *const wrong[] = { "Z", "Zg", "Zg=", "Zg===", "=",
        "====", "Z===", "=g==", "Zg=v", "Zg==Zg==", "Zh==", "Zm9=", "Zm 9", "Zm9v\n", "Zm9-",
        "Zm9_", "Zm9\x80" };

    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        uint8_t plain[16];
        size_t n = 0;

        EXPECT(!digest_base64_decode(str_c(wrong[i]), plain, &n));
    }
}

TEST(base64_of_every_length_comes_back)
{
    uint8_t bytes[100];
    char coded[136];
    uint8_t back[102];

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 37 + 200);
    for (size_t n = 0; n <= sizeof(bytes); n++) {
        size_t m = 0;
        size_t chars = digest_base64(str_make((const char *)bytes, n), coded);

        EXPECT_INT(chars, 4 * ((n + 2) / 3));
        EXPECT(digest_base64_decode(str_make(coded, chars), back, &m));
        EXPECT(m == n && memcmp(back, bytes, n) == 0);
    }
}
