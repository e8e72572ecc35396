/* overlap.c - finds where a second answer goes on from a first one that broke off. */
#include "llm/overlap.h"

#include "base/str.h"

/* An answer that has as much in common with the beginning of the first is that answer again. */
#define REWRITE_BYTES 16u

/* The shortest repetition that is not chance; of whole words half of it is enough. */
#define LEAST_PREFILLED_BYTES 16u
#define LEAST_ASKED_BYTES 8u

static bool
is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static size_t
common_prefix(struct str a, struct str b)
{
    size_t n = MIN(a.n, b.n), i = 0;

    while (i < n && a.p[i] == b.p[i])
        i++;
    return i;
}

/* Looking again only after a quarter more keeps the sum of all looks linear. `most`: where it is
 * decided at the latest. */
static struct overlap
unsure(size_t now, size_t most)
{
    return (struct overlap){ OVERLAP_UNSURE, MIN(now + MAX(now / 4, 1), MAX(most, now + 1)) };
}

/* Is it a repetition, not chance, that `sent` ends with the first `n` bytes of `fresh`? */
static bool
is_meant(struct str sent, struct str fresh, size_t n, bool prefilled)
{
    size_t least = prefilled ? LEAST_PREFILLED_BYTES : LEAST_ASKED_BYTES;
    bool whole_words = is_blank(fresh.p[0]) || is_blank(sent.p[sent.n - n - 1]);

    return n >= (whole_words ? least / 2 : least);
}

/* For each length of a prefix of `s`, less one: its longest proper prefix that it also ends with. */
static void
make_failures(struct str s, uint16_t *fail)
{
    size_t n = 0;

    fail[0] = 0;
    for (size_t i = 1; i < s.n; i++) {
        while (n > 0 && s.p[i] != s.p[n])
            n = fail[n - 1];
        n += s.p[i] == s.p[n];
        fail[i] = (uint16_t)n;
    }
}

/* The longest prefix of `fresh` that `tail` ends with. *ret_open: the bytes from the first place
 * inside of `tail` where all of `fresh` stands to its end; 0: there is none. */
static size_t
search(struct str tail, struct str fresh, const uint16_t *fail, size_t *ret_open)
{
    size_t n = 0;

    *ret_open = 0;
    for (size_t i = 0; i < tail.n; i++) {
        while (n > 0 && (n == fresh.n || tail.p[i] != fresh.p[n]))
            n = fail[n - 1];
        n += tail.p[i] == fresh.p[n];
        if (n == fresh.n && i + 1 < tail.n && *ret_open == 0)
            *ret_open = tail.n - (i + 1 - n);
    }
    return n;
}

/* The same for texts that do not end in blanks. */
static struct overlap
find(struct str sent, struct str fresh, bool prefilled, bool ended)
{
    uint16_t fail[OVERLAP_WINDOW_BYTES];
    size_t common = common_prefix(sent, fresh), open;

    if (common == sent.n)
        return (struct overlap){ OVERLAP_FOUND, common };
    if (common == fresh.n && !ended)
        return unsure(fresh.n, sent.n);

    /* a repetition that begins later than `sent` does */
    struct str tail = str_skip(sent, MAX((size_t)1, sent.n - MIN(sent.n, OVERLAP_WINDOW_BYTES)));
    struct str pattern = str_make(fresh.p, MIN(fresh.n, OVERLAP_WINDOW_BYTES));

    make_failures(pattern, fail);
    size_t n = search(tail, pattern, fail, &open);
    if (open > fresh.n && !ended)
        return unsure(fresh.n, open);
    while (n > 0 && !is_meant(sent, fresh, n, prefilled))
        n = fail[n - 1];
    if (n == 0 && common >= REWRITE_BYTES)
        return (struct overlap){ OVERLAP_REWRITE, 0 };
    return (struct overlap){ OVERLAP_FOUND, n };
}

struct overlap
overlap_find(struct str sent, struct str fresh, bool prefilled, bool ended)
{
    struct str solid = sent;

    if (fresh.n == 0)
        return ended ? (struct overlap){ OVERLAP_FOUND, 0 } : unsure(0, 1);
    while (solid.n != 0 && is_blank(solid.p[solid.n - 1]))
        solid.n--;
    struct overlap o = find(solid, fresh, prefilled, ended);
    if (o.verdict != OVERLAP_FOUND || (o.bytes == 0 && solid.n != 0 && !prefilled))
        return o;

    /* the blanks between the parts, as far as they were sent */
    struct str blanks = str_skip(sent, solid.n), rest = str_skip(fresh, o.bytes);
    size_t n = common_prefix(blanks, rest);

    if (n == rest.n && n < blanks.n && !ended)
        return unsure(fresh.n, o.bytes + blanks.n);
    o.bytes += n;
    return o;
}
