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

/* "x-ratelimit-...", "anthropic-ratelimit-...", "ratelimit-...", "x-tokenlimit-...". The shortest is
 * "ratelimit-remaining". */
static bool
may_be_limit(struct str name)
{
    char c = name.n >= 19 ? (char)(name.p[0] | 0x20) : '\0';

    return (c == 'x' || c == 'a' || c == 'r') && has_word(name, S("limit"));
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

        if (LIKELY(!may_be_limit(name)) || !has_word(name, S("remaining")) ||
            !read_count(fields->list[i].value, &n))
            continue;
        seen++;
        int64_t reset_ms = retry_after_reset_beside_ms(fields, name);
        bool answers = has_word(name, S("output")) || has_word(name, S("generated"));

        if (reset_ms == 0)
            reset_ms = RESET_UNSAID_MS;
        if (answers && n != 0)
            continue;    /* how long an answer gets is not known */
        if (has_word(name, S("token")) || has_word(name, S("bysize")))
            keep_least(&ret->tokens, &ret->tokens_reset_ms, n, reset_ms);
        else
            keep_least(&ret->requests, &ret->requests_reset_ms, n, reset_ms);
    }
    return seen != 0;
}
