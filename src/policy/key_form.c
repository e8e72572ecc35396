/* key_form.c - makes keys, and tells keys from other texts. */
#include "policy/key_form.h"

#include <zlib.h>

#include "base/clock.h"

static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

enum {
    BASE = 62,
    BYTE_LIMIT = 256 / BASE * BASE
};    /* bytes from there on would favour some digits */

static void
write_random(char *out, size_t n)
{
    uint8_t pool[64];
    size_t left = 0;

    while (n != 0) {
        if (left == 0) {
            clock_random_bytes(pool, sizeof(pool));
            left = sizeof(pool);
        }
        uint8_t byte = pool[--left];
        if (byte >= BYTE_LIMIT)
            continue;
        *out++ = digits[byte % BASE];
        n--;
    }
    explicit_bzero(pool, sizeof(pool));
}

static void
write_check(struct str text, char out[KEY_CHECK_DIGITS])
{
    uLong sum = crc32_z(0, (const Bytef *)text.p, text.n);

    for (size_t i = KEY_CHECK_DIGITS; i-- > 0; sum /= BASE)
        out[i] = digits[sum % BASE];
}

/* Bytes of "oc_<kind>_"; 0: it does not begin like that. */
static size_t
prefix_of(struct str key)
{
    struct str rest = str_skip(key, 3);
    size_t n = str_chr(rest, '_');

    if (!str_starts(key, S("oc_")) || n == rest.n || n == 0 || n > KEY_KIND_MOST)
        return 0;
    for (size_t i = 0; i < n; i++)
        if (rest.p[i] < 'a' || rest.p[i] > 'z')
            return 0;
    return 3 + n + 1;
}

struct str
key_form_make(struct str kind, char room[KEY_FORM_ROOM])
{
    size_t n = 0;

    CHECK(kind.n != 0 && kind.n <= KEY_KIND_MOST);
    memcpy(room, "oc_", 3);
    memcpy(room + 3, kind.p, kind.n);
    n = 3 + kind.n;
    room[n++] = '_';
    CHECK(prefix_of(str_make(room, n)) == n);
    write_random(room + n, KEY_RANDOM_DIGITS);
    n += KEY_RANDOM_DIGITS;
    write_check(str_make(room, n), room + n);
    n += KEY_CHECK_DIGITS;
    room[n] = '\0';
    return str_make(room, n);
}

bool
key_form_is_ours(struct str key)
{
    size_t begin = prefix_of(key);
    char check[KEY_CHECK_DIGITS];

    if (begin == 0 || key.n != begin + KEY_RANDOM_DIGITS + KEY_CHECK_DIGITS)
        return false;
    for (size_t i = begin; i < key.n; i++)
        if (!str_is_alnum(key.p[i]))
            return false;
    size_t n = key.n - KEY_CHECK_DIGITS;
    write_check(str_make(key.p, n), check);
    return memcmp(key.p + n, check, sizeof(check)) == 0;
}

bool
key_form_is_usable(struct str key)
{
    if (key.n < KEY_OWN_LEAST || key.n > KEY_OWN_MOST)
        return false;
    for (size_t i = 0; i < key.n; i++)
        if (key.p[i] <= ' ' || key.p[i] > '~')
            return false;
    return true;
}

struct str
key_form_hint(struct str key, char room[KEY_HINT_ROOM])
{
    size_t n = key_form_is_ours(key) ? prefix_of(key) : 0;
    size_t last = MIN(key.n, 4);

    memcpy(room, key.p, n);
    memcpy(room + n, "...", 3);
    memcpy(room + n + 3, key.p + key.n - last, last);
    n += 3 + last;
    room[n] = '\0';
    return str_make(room, n);
}

void
key_digest_of_sha256(
    struct str pepper, const uint8_t sha256[DIGEST_SHA256_BYTES], uint8_t ret[KEY_DIGEST_BYTES])
{
    digest_hmac_sha256(pepper, str_make((const char *)sha256, DIGEST_SHA256_BYTES), ret);
}

void
key_digest(struct str pepper, struct str key, uint8_t ret[KEY_DIGEST_BYTES])
{
    uint8_t sha256[DIGEST_SHA256_BYTES];

    digest_sha256(key, sha256);
    key_digest_of_sha256(pepper, sha256, ret);
    explicit_bzero(sha256, sizeof(sha256));
}
