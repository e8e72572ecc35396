/* test_jwk.c - the examples of RFC 7515 and RFC 8037, and sets of keys that are partly of no use. */
#include "sign/jwk.c"
#include "tests/test.h"

#define EC_KEY                                                                                     \
    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","     \
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\""
#define EC_TEXT                                                                                    \
    "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLm"  \
    "NvbS9pc19yb290Ijp0cnVlfQ"
#define EC_SIGNATURE                                                                               \
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
#define ED_KEY                                                                                     \
    "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\""
#define ED_TEXT "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
#define ED_SIGNATURE                                                                               \
    "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"

/* A set of that key, whose last brace is missing, with more members in it. NULL: it is refused. */
static struct jwks *
set_of(const char *key, const char *more)
{
    char text[4096], why[300] = "";

    snprintf(text, sizeof(text), "{\"keys\":[%s%s},{\"kty\":\"oct\",\"k\":\"AAAA\"},1,null]}", key,
        more);
    struct jwks *set = jwks_read(str_c(text), WHY(why));
    EXPECT((set == NULL) == (why[0] != '\0'));
    return set;
}

static enum jwk_verdict
verdict(const struct jwks *set, const char *alg, const char *kid, const char *text, const char *sig)
{
    uint8_t bytes[512];
    size_t n;

    EXPECT(digest_base64url_decode(str_c(sig), bytes, &n));
    return jwks_verify(set, jwk_algorithm_named(str_c(alg)), str_c(kid), str_c(text),
        str_make((const char *)bytes, n));
}

TEST(the_examples_of_the_standards_verify)
{
    struct jwks *ec = set_of(EC_KEY, ",\"kid\":\"a\""), *ed = set_of(ED_KEY, "");

    EXPECT(ec != NULL && ed != NULL && jwks_count(ec) == 1);
    EXPECT_INT(verdict(ec, "ES256", "a", EC_TEXT, EC_SIGNATURE), JWK_GOOD);
    EXPECT_INT(verdict(ec, "ES256", "", EC_TEXT, EC_SIGNATURE), JWK_GOOD);
    EXPECT_INT(verdict(ec, "ES256", "b", EC_TEXT, EC_SIGNATURE), JWK_NO_KEY);
    EXPECT_INT(verdict(ec, "ES384", "a", EC_TEXT, EC_SIGNATURE), JWK_NO_KEY);
    EXPECT_INT(verdict(ec, "EdDSA", "a", EC_TEXT, EC_SIGNATURE), JWK_NO_KEY);
    EXPECT_INT(verdict(ec, "ES256", "a", EC_TEXT "x", EC_SIGNATURE), JWK_BAD);
    EXPECT_INT(verdict(ed, "EdDSA", "any", ED_TEXT, ED_SIGNATURE), JWK_GOOD);
    EXPECT_INT(verdict(ed, "EdDSA", "", ED_TEXT, EC_SIGNATURE), JWK_BAD);
    jwks_drop(ec);
    jwks_drop(ed);
}

TEST(signatures_with_zeros_or_of_other_lengths_are_wrong)
{
    struct jwks *set = set_of(EC_KEY, "");
    const char zeros[96] = { 0 };

    for (size_t n = 0; n < sizeof(zeros); n++)
        EXPECT_INT(jwks_verify(
                       set, jwk_algorithm_named(S("ES256")), S(""), S(EC_TEXT), str_make(zeros, n)),
            JWK_BAD);
    jwks_drop(set);
}

TEST(a_key_for_something_else_is_not_used)
{
    static const char *const more[] = { ",\"use\":\"enc\"", ",\"key_ops\":[\"sign\"]", ",\"use\":1",
        ",\"key_ops\":\"verify\"" };

    for (size_t i = 0; i < ARRAY_LEN(more); i++)
        EXPECT(set_of(ED_KEY, more[i]) == NULL);
    struct jwks *set =
        set_of(ED_KEY, ",\"use\":\"sig\",\"key_ops\":[\"verify\"],\"alg\":\"EdDSA\"");
    EXPECT_INT(verdict(set, "EdDSA", "", ED_TEXT, ED_SIGNATURE), JWK_GOOD);
    jwks_drop(set);
    set = set_of(EC_KEY, ",\"alg\":\"ES512\"");
    EXPECT_INT(verdict(set, "ES256", "", EC_TEXT, EC_SIGNATURE), JWK_NO_KEY);
    jwks_drop(set);
}

TEST(what_is_not_a_key_is_not_read)
{
    static const char *const keys[] = {
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAA\",\"y\":\"AAAA\"",
        "{\"kty\":\"OKP\",\"crv\":\"P-256\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"",
        "{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"",
        "{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"",
        "{\"kty\":\"RSA\",\"e\":\"AQAB\"",
        "{\"kty\":\"oct\",\"k\":\"AAAA\"",
        "[\"kty\"%s]",
    };
    char why[300];

    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        EXPECT(set_of(keys[i], "") == NULL);
    EXPECT(jwks_read(S("{\"keys\":{}}"), WHY(why)) == NULL);
    EXPECT(jwks_read(S("{\"keys\":[]}"), WHY(why)) == NULL);
    EXPECT(jwks_read(S("[]"), WHY(why)) == NULL);
    EXPECT(jwks_read(S("{"), WHY(why)) == NULL);
}

TEST(no_symmetric_algorithm_exists)
{
    EXPECT(jwk_algorithm_named(S("none")) == NULL);
    EXPECT(jwk_algorithm_named(S("HS256")) == NULL);
    EXPECT(jwk_algorithm_named(S("rs256")) == NULL);
    EXPECT(jwk_algorithm_named(S("")) == NULL);
}
