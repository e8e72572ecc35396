/* fuzz_jwt.c - tokens and key sets: the first line is a token, the rest a set of keys that may have signed it.
 * Nothing that comes from outside has a good signature, unless the corpus has one. */
#include <stdint.h>

#include "policy/jwt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
is_within(struct str part, struct str whole)
{
    return part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str token, text, input = str_make((const char *)data, size);
    const struct conf_issuer issuer = { .issuer = { .v = S("joe") }, .leeway_ms = 30000 };
    struct arena *a = arena_create(4 * 1024 * 1024);
    char why[300] = "";
    uint64_t until_ms = 0;
    struct jwt t;

    (void)str_cut(input, '\n', &token, &text);
    struct jwks *set = jwks_read(text, WHY(why));
    bool read = jwt_read(a, token, &t, WHY(why));

    CHECK(read || why[0] != '\0');
    if (read) {
        CHECK(t.algorithm != NULL && is_within(t.text, token) && json_is(t.claims, JSON_OBJECT));
        CHECK(!jwt_check(
            &t, &issuer, UINT64_C(1300819000000), &until_ms, WHY(why)));    /* no audience */
        (void)jwt_claim(&t, t.kid);
    }
    if (read && set != NULL)
        (void)jwks_verify(set, t.algorithm, t.kid, t.text, t.signature);
    jwks_drop(set);
    arena_destroy(a);
    return 0;
}
