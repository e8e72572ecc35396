/* scan.c - the expressions of cl100k_base and o200k_base as functions.
 *
 * Each function has the alternatives of its expression in their order. Where an alternative would have to
 * give back characters, the place to return to is kept while reading on, so that nothing is read again and
 * again.
 */
#include "tokens/scan.h"

#define BIT(class) (1u << CLASS_##class)
#define LETTERS (BIT(LETTER) | BIT(UPPER) | BIT(LOWER))
#define SPACES (BIT(SPACE) | BIT(NEWLINE))
#define UPPERS (BIT(UPPER) | BIT(LETTER) | BIT(MARK))    /* what o200k takes for upper case */
#define LOWERS (BIT(LOWER) | BIT(LETTER) | BIT(MARK))
#define PREFIXES (~(LETTERS | BIT(NEWLINE) | BIT(NUMBER)))    /* may stand before a word */
#define SYMBOLS (BIT(OTHER) | BIT(MARK))

/* A character, and where the next one begins. */
struct character {
    unsigned bit;    /* 1 << its class; 0 at the end */
    const char *next;
};

/* Reads a character of several bytes: its length, or 0 if they are not UTF-8. */
static size_t
decode(const char *p, const char *end, uint32_t *ret_code)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    const uint8_t *c = (const uint8_t *)p;
    size_t n = c[0] >= 0xf0 ? 4 : c[0] >= 0xe0 ? 3 : 2;
    uint32_t code = c[0] & (0x7fu >> n);

    if (c[0] < 0xc2 || c[0] > 0xf4 || (size_t)(end - p) < n)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((c[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (c[i] & 0x3f);
    }
    *ret_code = code;
    return code < least[n] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? 0 : n;
}

static struct character
read_long(const char *p, const char *end)
{
    uint32_t code;
    size_t n = decode(p, end, &code);

    if (n == 0)
        return (struct character){ BIT(OTHER), p + 1 };
    return (struct character){ 1u << token_classes[token_pages[code >> 8]][code & 0xff], p + n };
}

uint32_t
scan_code(const char *p, const char *end)
{
    uint32_t code;

    return decode(p, end, &code) != 0 ? code : 0xfffd;
}

static inline struct character
read_character(const char *p, const char *end)
{
    if (p == end)
        return (struct character){ 0, p };
    if ((uint8_t)*p < 0x80)
        return (struct character){ 1u << token_classes[token_pages[0]][(uint8_t)*p], p + 1 };
    return read_long(p, end);
}

/* After all characters of these classes. */
static inline const char *
skip(const char *p, const char *end, unsigned bits)
{
    for (;;) {
        struct character c = read_character(p, end);

        if ((c.bit & bits) == 0)
            return p;
        p = c.next;
    }
}

/* After up to three digits. */
static const char *
skip_number(const char *p, const char *end)
{
    for (int i = 0; i < 3; i++) {
        struct character c = read_character(p, end);

        if (c.bit != BIT(NUMBER))
            break;
        p = c.next;
    }
    return p;
}

/* After 's, 't, 'm, 'd, 're, 've or 'll in any case, or `p`. The long s is an s in lower case. */
static const char *
skip_contraction(const char *p, const char *end)
{
    if (end - p < 2 || p[0] != '\'')
        return p;
    if (end - p >= 3 && p[1] == '\xc5' && p[2] == '\xbf')
        return p + 3;

    char a = (char)(p[1] | 0x20), b = end - p >= 3 ? (char)(p[2] | 0x20) : '\0';

    if (a == 's' || a == 't' || a == 'm' || a == 'd')
        return p + 2;
    return (b == 'e' && (a == 'r' || a == 'v')) || (a == 'l' && b == 'l') ? p + 3 : p;
}

/* The end of a piece of spaces, of which `p` is one:  \s*[\r\n]+ | \s+(?!\S) | \s
 * `whole`: those before the end of the text are one piece, whatever they are. */
static const char *
skip_spaces(const char *p, const char *end, bool whole)
{
    const char *at = p, *last = p, *after_newline = NULL;
    struct character c;

    while (((c = read_character(at, end)).bit & SPACES) != 0) {
        last = at;
        at = c.next;
        if (c.bit == BIT(NEWLINE))
            after_newline = at;
    }
    if (whole && at == end)
        return end;
    if (after_newline != NULL)
        return after_newline;
    return at == end || last == p ? at : last;    /* the last one belongs to what follows */
}

/* '(?i:[sdmt]|ll|ve|re) | [^\r\n\p{L}\p{N}]?+\p{L}++ | \p{N}{1,3}+ |  ?[^\s\p{L}\p{N}]++[\r\n]*+ |
 * \s++$ | \s*[\r\n] | \s+(?!\S) | \s */
size_t
scan_cl100k(struct str text)
{
    const char *p = text.p, *end = p + text.n, *at = skip_contraction(p, end);

    if (at != p)
        return (size_t)(at - p);

    struct character first = read_character(p, end);
    const char *word = (first.bit & PREFIXES) != 0 ? first.next : p;

    at = skip(word, end, LETTERS);
    if (at != word)
        return (size_t)(at - p);
    if (first.bit == BIT(NUMBER))
        return (size_t)(skip_number(p, end) - p);

    const char *symbols = *p == ' ' ? first.next : p;

    at = skip(symbols, end, SYMBOLS);
    if (at != symbols)
        return (size_t)(skip(at, end, BIT(NEWLINE)) - p);
    return (size_t)(skip_spaces(p, end, true) - p);
}

/* The end of a word:  [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+
 * `p` itself if there is none; *ret_upper is then the end of the upper case alone. */
static const char *
skip_word(const char *p, const char *end, const char **ret_upper)
{
    const char *at = p, *after_lower = p;
    struct character c;

    while (((c = read_character(at, end)).bit & UPPERS) != 0) {
        at = c.next;
        if (c.bit != BIT(UPPER))
            after_lower = at;
    }
    *ret_upper = at;
    return c.bit == BIT(LOWER) ? skip(at, end, LOWERS) : after_lower;
}

/* P?U*L+(?i:'s|'t|'re|'ve|'m|'ll|'d)? | P?U+L*(the same)? | \p{N}{1,3} |  ?[^\s\p{L}\p{N}]+[\r\n/]* |
 * \s*[\r\n]+ | \s+(?!\S) | \s+    where P is [^\r\n\p{L}\p{N}], and U and L are as in skip_word() */
size_t
scan_o200k(struct str text)
{
    const char *p = text.p, *end = p + text.n, *upper = p, *at;
    struct character first = read_character(p, end);
    const char *word = (first.bit & PREFIXES) != 0 ? first.next : p;

    at = skip_word(word, end, &upper);
    if (at == word && first.bit == BIT(MARK))
        word = p, at = first.next;    /* is a word by itself */
    else if (at == word)
        at = upper;
    if (at != word)
        return (size_t)(skip_contraction(at, end) - p);
    if (first.bit == BIT(NUMBER))
        return (size_t)(skip_number(p, end) - p);

    const char *symbols = *p == ' ' ? first.next : p;

    at = skip(symbols, end, SYMBOLS);
    if (at == symbols)
        return (size_t)(skip_spaces(p, end, false) - p);
    while (at < end && (*at == '\r' || *at == '\n' || *at == '/'))
        at++;
    return (size_t)(at - p);
}
