/* str.h - a slice: pointer and length of bytes that are owned elsewhere.
 *
 * A slice owns nothing, need not be NUL-terminated and may contain any byte.
 * The empty slice is {NULL, 0} or any pointer with n == 0.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *p;
    size_t n;
};

/* A slice of a string literal; also usable in static initialisers. */
#define S(literal) ((struct str){ "" literal, sizeof(literal) - 1 })
#define S_INIT(literal)                                                                            \
    {                                                                                              \
        "" literal, sizeof(literal) - 1                                                            \
    }

/* printf("%.*s") for slices: printf("model '" STR_FMT "'", STR_ARG(model)). */
#define STR_FMT "%.*s"
#define STR_ARG(s) ((int)(s).n), ((s).n != 0 ? (s).p : "")

static inline struct str
str_make(const char *p, size_t n)
{
    return (struct str){ p, n };
}

/* A slice of a C string; NULL gives the empty slice. */
static inline struct str
str_c(const char *c)
{
    return (struct str){ c, c != NULL ? strlen(c) : 0 };
}

static inline bool
str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* Order by bytes, shorter first on a tie: usable with qsort. */
int str_cmp(struct str a, struct str b);

/* Equality ignoring ASCII case, as for HTTP field names. */
bool str_ieq(struct str a, struct str b);

/* Whether some parser would take `s` for `name` (ASCII) although the two differ. Parsers
 * that ignore case do so by ASCII, by Unicode (Go folds the Kelvin sign to k and the long s to s)
 * or as Java does (dotted and dotless i); parsers written in C end a string at its first NUL. */
bool str_resembles(struct str s, struct str name);

bool str_starts(struct str s, struct str prefix);
bool str_istarts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);

/* Offset of the first `needle` in `s`, or s.n when there is none. */
size_t str_find(struct str s, struct str needle);
size_t str_chr(struct str s, char c);

/* Without the first `n` bytes; `n` may be larger than the slice. */
struct str str_skip(struct str s, size_t n);

/* Without leading and trailing blanks and tabs (HTTP's OWS) and line ends. */
struct str str_trim(struct str s);

/* Cuts `s` at the first `sep` into *ret_head and *ret_tail. False if there is no `sep`; then the
 * head is all of `s` and the tail is empty. */
bool str_cut(struct str s, char sep, struct str *ret_head, struct str *ret_tail);

/* Decimal digits only, no sign, no blanks, no overflow. False otherwise. */
bool str_u64(struct str s, uint64_t *ret);

/* ASCII only, whatever the locale. */
static inline bool
str_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool
str_is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static inline bool
str_is_alnum(char c)
{
    return str_is_digit(c) || str_is_letter(c);
}

/* Does `s` consist of ASCII letters, digits and the characters of `others` only? */
bool str_has_only(struct str s, const char *others);

/* The value of a hexadecimal digit of either case; -1 for any other byte. */
int str_hex_digit(char c);

/* Compares secrets: the time depends on the lengths alone. */
bool str_eq_secret(struct str a, struct str b);

/* Copies into `room` with a terminating NUL, truncating what does not fit; `size` must not be 0. */
void str_copy_c(char *room, size_t size, struct str s);

/* A NUL-terminated heap copy, owned by the caller. Never NULL. */
char *str_dup_c(struct str s) __attribute__((returns_nonnull));

/* Distance in edits (insert, delete, replace, swap of neighbours) for "did you mean";
 * anything beyond 32 bytes or `limit` edits counts as limit + 1. */
unsigned str_distance(struct str a, struct str b, unsigned limit);
