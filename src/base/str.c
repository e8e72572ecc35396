/* str.c - comparing, searching and cutting slices. */
#include "base/str.h"

#include <stdlib.h>

#include "base/base.h"
#include "base/check.h"

/* tolower() depends on the locale; protocols are ASCII. */
static inline unsigned char
ascii_lower(char c)
{
    unsigned char u = (unsigned char)c;

    return (unsigned char)(u >= 'A' && u <= 'Z' ? u + ('a' - 'A') : u);
}

static inline size_t
min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

int
str_cmp(struct str a, struct str b)
{
    size_t n = min_size(a.n, b.n);
    int order = n != 0 ? memcmp(a.p, b.p, n) : 0;

    if (order != 0)
        return order;
    return a.n < b.n ? -1 : a.n > b.n;
}

bool
str_ieq(struct str a, struct str b)
{
    return a.n == b.n && str_istarts(a, b);
}

/* Removes the first character of *s, which is not empty, and returns it: in lower case if it is an
 * ASCII letter or folds to one. */
static char
take_folded(struct str *s)
{
    static const struct {
        struct str text;
        char letter;
    } rows[] = {
        { S_INIT("\u212a"), 'k' },    /* Kelvin sign */
        { S_INIT("\u017f"), 's' },    /* long s */
        { S_INIT("\u0130"), 'i' },    /* I with a dot */
        { S_INIT("\u0131"), 'i' },    /* i without one */
    };
    char c = s->p[0];

    for (size_t i = 0; i < ARRAY_LEN(rows) && (unsigned char)c >= 0x80; i++) {
        if (!str_starts(*s, rows[i].text))
            continue;
        *s = str_skip(*s, rows[i].text.n);
        return rows[i].letter;
    }
    *s = str_skip(*s, 1);
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

bool
str_resembles(struct str s, struct str name)
{
    struct str rest = s;

    for (size_t i = 0; i < name.n; i++)
        if (rest.n == 0 || (unsigned char)take_folded(&rest) != ascii_lower(name.p[i]))
            return false;
    return (rest.n == 0 || rest.p[0] == '\0') && !str_eq(s, name);
}

bool
str_starts(struct str s, struct str prefix)
{
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

bool
str_istarts(struct str s, struct str prefix)
{
    if (s.n < prefix.n)
        return false;
    for (size_t i = 0; i < prefix.n; i++) {
        if (s.p[i] != prefix.p[i] && ascii_lower(s.p[i]) != ascii_lower(prefix.p[i]))
            return false;
    }
    return true;
}

bool
str_ends(struct str s, struct str suffix)
{
    return s.n >= suffix.n &&
           (suffix.n == 0 || memcmp(s.p + (s.n - suffix.n), suffix.p, suffix.n) == 0);
}

size_t
str_find(struct str s, struct str needle)
{
    if (needle.n == 0)
        return 0;
    if (s.n < needle.n)
        return s.n;

    const char *at = memmem(s.p, s.n, needle.p, needle.n);
    return at != NULL ? (size_t)(at - s.p) : s.n;
}

size_t
str_chr(struct str s, char c)
{
    const char *at = s.n != 0 ? memchr(s.p, c, s.n) : NULL;

    return at != NULL ? (size_t)(at - s.p) : s.n;
}

struct str
str_skip(struct str s, size_t n)
{
    n = min_size(n, s.n);
    return n != 0 ? str_make(s.p + n, s.n - n) : s;
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str
str_trim(struct str s)
{
    while (s.n != 0 && is_blank(s.p[0]))
        s = str_skip(s, 1);
    while (s.n != 0 && is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

bool
str_cut(struct str s, char sep, struct str *ret_head, struct str *ret_tail)
{
    size_t at = str_chr(s, sep);

    *ret_head = str_make(s.p, at);
    *ret_tail = str_skip(s, at == s.n ? at : at + 1);
    return at != s.n;
}

bool
str_u64(struct str s, uint64_t *ret)
{
    uint64_t v = 0;

    if (s.n == 0)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        unsigned digit = (unsigned)((unsigned char)s.p[i] - '0');

        if (digit > 9 || __builtin_mul_overflow(v, (uint64_t)10, &v) ||
            __builtin_add_overflow(v, (uint64_t)digit, &v))
            return false;
    }
    *ret = v;
    return true;
}

bool
str_has_only(struct str s, const char *others)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!str_is_alnum(s.p[i]) && (s.p[i] == '\0' || strchr(others, s.p[i]) == NULL))
            return false;
    }
    return true;
}

int
str_hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool
str_eq_secret(struct str a, struct str b)
{
    volatile unsigned char differs = 0;    /* volatile: no early exit by the optimiser */

    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        differs = (unsigned char)(differs | (a.p[i] ^ b.p[i]));
    return differs == 0;
}

void
str_copy_c(char *room, size_t size, struct str s)
{
    CHECK(size != 0);

    size_t n = min_size(s.n, size - 1);
    if (n != 0)
        memcpy(room, s.p, n);
    room[n] = '\0';
}

char *
str_dup_c(struct str s)
{
    char *copy = check_alloc(malloc(s.n + 1));

    str_copy_c(copy, s.n + 1, s);
    return copy;
}

enum { DISTANCE_BYTES_MAX = 32 };

unsigned
str_distance(struct str a, struct str b, unsigned limit)
{
    /* Three rows of the usual table: swapping neighbours needs the row before the last. */
    unsigned rows[3][DISTANCE_BYTES_MAX + 1];

    if (a.n > DISTANCE_BYTES_MAX || b.n > DISTANCE_BYTES_MAX)
        return limit + 1;

    for (unsigned j = 0; j <= b.n; j++)
        rows[0][j] = j;
    for (unsigned i = 1; i <= a.n; i++) {
        unsigned *row = rows[i % 3];
        const unsigned *above = rows[(i + 2) % 3];
        const unsigned *above_two = rows[(i + 1) % 3];

        row[0] = i;
        for (unsigned j = 1; j <= b.n; j++) {
            unsigned best = above[j - 1] + (a.p[i - 1] != b.p[j - 1]);

            if (above[j] + 1 < best)
                best = above[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1] &&
                above_two[j - 2] + 1 < best)
                best = above_two[j - 2] + 1;
            row[j] = best;
        }
    }

    unsigned distance = rows[a.n % 3][b.n];
    return distance <= limit ? distance : limit + 1;
}
