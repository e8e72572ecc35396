/* headroom.c - finds limits by the words in the names of fields. Linear in the fields; of those that
 * are not about limits only the first bytes are looked at. */
#include "llm/headroom.h"

#include "llm/retry_after.h"

/* Until a limit is over that says nothing about it: most are of a minute, and refill all the time. */
#define RESET_UNSAID_MS 10000
#define TOKENS_MOST INT64_C(4000000000)
#define LIMITS 16    /* more are not looked at */

/* Does the name contain `word` (lower case)? */
static bool
has_word(struct str name, struct str word)
{
    for (size_t i = 0; i + word.n <= name.n; i++)
        if ((name.p[i] | 0x20) == word.p[0] && str_ieq(str_make(name.p + i, word.n), word))
            return true;
    return false;
}

/* Does it contain "remaining"? Nearly all names do not, so it is searched for as Horspool does: by the last
 * letter that it would have there, of which most say that it cannot begin before the next nine. Letters are
 * told by their last five bits. */
static bool
says_remaining(struct str name)
{
    static const struct str word = S_INIT("remaining");
    static const uint8_t steps[32] = { 9, ['r' & 31] = 8, ['e' & 31] = 7, ['m' & 31] = 6,
        ['a' & 31] = 5, ['i' & 31] = 2, ['n' & 31] = 1 };

    for (size_t i = word.n - 1; i < name.n;) {
        unsigned char c = (unsigned char)name.p[i] & 31;

        if (c == ('g' & 31) && str_ieq(str_make(name.p + i - (word.n - 1), word.n), word))
            return true;
        i += steps[c] != 0 ? steps[c] : word.n;
    }
    return false;
}

/* A whole number; what is less than one is none. */
static bool
read_count(struct str s, int64_t *ret)
{
    struct str whole, rest;
    uint64_t n;

    if (str_starts(s, S("-"))) {
        *ret = 0;
        return true;
    }
    (void)str_cut(s, '.', &whole, &rest);
    if (!str_u64(whole, &n))
        return false;
    *ret = (int64_t)MIN(n, (uint64_t)TOKENS_MOST);
    return true;
}

/* Keeps the limit that has less left; of two that are used up, the one that is so for longer. */
static void
keep_least(int64_t *left, int64_t *reset_ms, int64_t n, int64_t n_reset_ms)
{
    if (*left != HEADROOM_UNSAID && (n > *left || (n == *left && n_reset_ms <= *reset_ms)))
        return;
    *left = n;
    *reset_ms = n_reset_ms;
}

bool
headroom_read(const struct http_fields *fields, struct headroom *ret)
{
    unsigned seen = 0;

    *ret = (struct headroom){ HEADROOM_UNSAID, HEADROOM_UNSAID, 0, 0 };
    for (size_t i = 0; i < fields->count && seen < LIMITS; i++) {
        struct str name = fields->list[i].name;
        int64_t n;

        if (LIKELY(!says_remaining(name)) || !has_word(name, S("limit")) ||
            !read_count(fields->list[i].value, &n))
            continue;
        seen++;
        int64_t reset_ms = retry_after_reset_beside_ms(fields, name);
        if (reset_ms == 0)
            reset_ms = RESET_UNSAID_MS;
        bool answers = has_word(name, S("output")) || has_word(name, S("generated"));

        if (answers && n != 0)
            continue;    /* how long an answer gets is not known */
        if (has_word(name, S("token")) || has_word(name, S("bysize")))
            keep_least(&ret->tokens, &ret->tokens_reset_ms, n, reset_ms);
        else
            keep_least(&ret->requests, &ret->requests_reset_ms, n, reset_ms);
    }
    return seen != 0;
}
