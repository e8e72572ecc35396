/* language.c - the script by a look at characters, and a linear model over groups of letters for the
 * scripts that many languages share.
 */
#include "route/language.h"

#include <endian.h>

#include "route/rows.h"
#include "route/weights.h"

enum { CHARACTERS_MAX = 48, LETTERS_MIN = 6 };

/* The languages of languages.def, and where each script's begin. */
static const char *const codes[] = {
#define LANGUAGE(script, code) code,
#include "route/languages.def"
#undef LANGUAGE
};

/* How many rows the shared scripts have. The rows of all others follow, one each, in the order of enum
 * script. */
enum {
#define LANGUAGE(script, code) +(SCRIPT_##script == SCRIPT_LATIN)
    LATIN_COUNT = 0
#include "route/languages.def"
#undef LANGUAGE
#define LANGUAGE(script, code) +(SCRIPT_##script == SCRIPT_CYRILLIC)
    ,
    CYRILLIC_COUNT = 0
#include "route/languages.def"
#undef LANGUAGE
#define LANGUAGE(script, code) +(SCRIPT_##script == SCRIPT_ARABIC)
    ,
    ARABIC_COUNT = 0
#include "route/languages.def"
#undef LANGUAGE
#define LANGUAGE(script, code) +(SCRIPT_##script == SCRIPT_DEVANAGARI)
    ,
    DEVANAGARI_COUNT = 0
#include "route/languages.def"
#undef LANGUAGE
    ,
    CYRILLIC_FIRST = LATIN_COUNT,
    ARABIC_FIRST = CYRILLIC_FIRST + CYRILLIC_COUNT,
    DEVANAGARI_FIRST = ARABIC_FIRST + ARABIC_COUNT,
    ALONE_FIRST = DEVANAGARI_FIRST + DEVANAGARI_COUNT
};

static const struct {
    uint8_t first, count;
} shared[] = {
    [SCRIPT_LATIN] = { 0, LATIN_COUNT },
    [SCRIPT_CYRILLIC] = { CYRILLIC_FIRST, CYRILLIC_COUNT },
    [SCRIPT_ARABIC] = { ARABIC_FIRST, ARABIC_COUNT },
    [SCRIPT_DEVANAGARI] = { DEVANAGARI_FIRST, DEVANAGARI_COUNT },
};

/* By the first byte of a character of two, 0xC2 to 0xDF. */
static const uint8_t two_bytes[] = {
    SCRIPT_NONE,                                                                /* C2: signs */
    SCRIPT_LATIN, SCRIPT_LATIN, SCRIPT_LATIN, SCRIPT_LATIN, SCRIPT_LATIN,       /* C3 to C7 */
    SCRIPT_LATIN, SCRIPT_LATIN, SCRIPT_LATIN, SCRIPT_LATIN, SCRIPT_NONE,        /* C8 to CC */
    SCRIPT_NONE, SCRIPT_GREEK, SCRIPT_GREEK,                                    /* CD to CF */
    SCRIPT_CYRILLIC, SCRIPT_CYRILLIC, SCRIPT_CYRILLIC, SCRIPT_CYRILLIC,         /* D0 to D3 */
    SCRIPT_CYRILLIC, SCRIPT_ARMENIAN, SCRIPT_HEBREW, SCRIPT_HEBREW,             /* D4 to D7 */
    SCRIPT_ARABIC, SCRIPT_ARABIC, SCRIPT_ARABIC, SCRIPT_ARABIC, SCRIPT_NONE,    /* D8 to DC */
    SCRIPT_ARABIC, SCRIPT_NONE, SCRIPT_NONE,                                    /* DD to DF */
};

/* By the second byte of three, 0xA0 to 0xBF, after 0xE0. */
static const uint8_t after_e0[] = {
    SCRIPT_NONE, SCRIPT_NONE, SCRIPT_NONE, SCRIPT_NONE,                      /* A0 to A3 */
    SCRIPT_DEVANAGARI, SCRIPT_DEVANAGARI, SCRIPT_BENGALI, SCRIPT_BENGALI,    /* A4 to A7 */
    SCRIPT_GURMUKHI, SCRIPT_GURMUKHI, SCRIPT_GUJARATI, SCRIPT_GUJARATI,      /* A8 to AB */
    SCRIPT_ODIA, SCRIPT_ODIA, SCRIPT_TAMIL, SCRIPT_TAMIL,                    /* AC to AF */
    SCRIPT_TELUGU, SCRIPT_TELUGU, SCRIPT_KANNADA, SCRIPT_KANNADA,            /* B0 to B3 */
    SCRIPT_MALAYALAM, SCRIPT_MALAYALAM, SCRIPT_SINHALA, SCRIPT_SINHALA,      /* B4 to B7 */
    SCRIPT_THAI, SCRIPT_THAI, SCRIPT_LAO, SCRIPT_LAO,                        /* B8 to BB */
    SCRIPT_TIBETAN, SCRIPT_TIBETAN, SCRIPT_TIBETAN, SCRIPT_TIBETAN,          /* BC to BF */
};

static enum script
script_after_e1(uint8_t second)
{
    if (second <= 0x81)
        return SCRIPT_MYANMAR;
    if (second <= 0x83)
        return SCRIPT_GEORGIAN;
    if (second <= 0x87)
        return SCRIPT_HANGUL;
    if (second <= 0x8E)
        return SCRIPT_ETHIOPIC;
    if (second == 0x9E || second == 0x9F)
        return SCRIPT_KHMER;
    return second >= 0xB8 && second <= 0xBB ? SCRIPT_LATIN : SCRIPT_NONE;
}

static enum script
script_of_three(uint8_t first, uint8_t second)
{
    switch (first) {
    case 0xE0:
        return second >= 0xA0 && second <= 0xBF ? after_e0[second - 0xA0] : SCRIPT_NONE;
    case 0xE1:
        return script_after_e1(second);
    case 0xE2:
        return SCRIPT_NONE;    /* dashes, quotation marks, arrows */
    case 0xE3:
        if (second >= 0x81 && second <= 0x83)
            return SCRIPT_KANA;
        return second >= 0x90 ? SCRIPT_HAN : SCRIPT_NONE;
    case 0xEA:
        return second >= 0xB0 ? SCRIPT_HANGUL : SCRIPT_NONE;
    case 0xEB:
    case 0xEC:
    case 0xED:
        return SCRIPT_HANGUL;
    case 0xEE:
    case 0xEF:
        return SCRIPT_NONE;    /* forms of presentation, signs in full width */
    default:
        return SCRIPT_HAN;    /* E4 to E9 */
    }
}

/* The script of the character that begins with `first`. Bytes that begin none have none. */
static enum script
script_of(uint8_t first, uint8_t second)
{
    if (first < 0x80)
        return str_is_letter((char)first) ? SCRIPT_LATIN : SCRIPT_NONE;
    if (first >= 0xC2 && first <= 0xDF)
        return two_bytes[first - 0xC2];
    if (first >= 0xE0 && first <= 0xEF)
        return script_of_three(first, second);
    return SCRIPT_NONE;
}

/* A character of Chinese, Japanese or Korean says about as much as three letters. */
static unsigned
weight(enum script s)
{
    return s >= SCRIPT_HANGUL ? 3 : 1;
}

enum script
language_script(struct str text, const struct features *f)
{
    unsigned seen[SCRIPT_COUNT] = { 0 };
    unsigned best = SCRIPT_NONE;

    if (f->counts[COUNT_HIGH] == 0)
        return f->counts[COUNT_LETTERS] >= LETTERS_MIN ? SCRIPT_LATIN : SCRIPT_NONE;

    size_t n = MIN(text.n, FEATURES_BYTES_MAX);
    size_t step = 1 + n / CHARACTERS_MAX;
    for (size_t at = 0; at < n; at += step) {
        while (at < n && ((uint8_t)text.p[at] & 0xC0) == 0x80)
            at++;
        if (at >= n)
            break;
        seen[script_of((uint8_t)text.p[at], at + 1 < n ? (uint8_t)text.p[at + 1] : 0)]++;
    }
    for (unsigned s = SCRIPT_LATIN; s < SCRIPT_COUNT; s++)
        if (seen[s] * weight(s) > seen[best] * weight(best) ||
            (best == SCRIPT_NONE && seen[s] != 0))
            best = s;
    /* kana is written among Chinese characters, seldom the other way round */
    if (best == SCRIPT_HAN && seen[SCRIPT_KANA] * 6 > seen[SCRIPT_HAN])
        best = SCRIPT_KANA;
    return best;
}

/* Which rows a script has, of weights_latin or weights_wide. */
static const struct {
    uint16_t first, rows;
} groups[] = {
    [SCRIPT_LATIN] = { 0, WEIGHTS_LATIN },
    [SCRIPT_CYRILLIC] = { 0, 1536 },
    [SCRIPT_ARABIC] = { 1536, 1024 },
    [SCRIPT_DEVANAGARI] = { 2560, 512 },
};
_Static_assert(2560 + 512 == WEIGHTS_WIDE, "the table has these rows");

/* Sets the bit that tells a from A, and nothing that matters elsewhere. */
#define LOWER_CASE 0x2020202020202020u

static uint64_t
load64(const char *p)
{
    uint64_t x;

    memcpy(&x, p, sizeof x);
    return le64toh(x);
}

/* Groups of four letters. */
static unsigned
latin_rows(struct str text, size_t places, size_t step, uint16_t *ret_rows)
{
    unsigned count = 0;

    for (size_t at = 0; at < places; at += step) {
        uint32_t hash = (uint32_t)(load64(text.p + at) | LOWER_CASE) * 0x9E3779B1u;
        ret_rows[count++] = (uint16_t)((hash >> 16) * WEIGHTS_LATIN >> 16);
    }
    return count;
}

/* Groups of three letters of two bytes each, or of two of three. */
static unsigned
wide_rows(struct str text, enum script s, size_t places, size_t step, uint16_t *ret_rows)
{
    unsigned count = 0;

    for (size_t i = 0; i < places; i += step) {
        size_t at = i;
        while (at + 1 < places && ((uint8_t)text.p[at] & 0xC0) == 0x80 && at < i + 3)
            at++;
        uint64_t hash = ((load64(text.p + at) | LOWER_CASE) & 0xFFFFFFFFFFFF) * 0x9E3779B97F4A7C15u;
        ret_rows[count++] = (uint16_t)(groups[s].first + ((hash >> 48) * groups[s].rows >> 16));
    }
    return count;
}

unsigned
language_rows(struct str text, const struct features *f, enum script s, uint16_t *ret_rows)
{
    size_t n = MIN(text.n, FEATURES_BYTES_MAX);
    unsigned count, words = MIN(f->words, LANGUAGE_WORDS_MAX);

    if (n < 8)
        return 0;
    size_t places = n - 7;
    size_t step = 1 + (places - 1) / LANGUAGE_GRAMS_MAX;
    count = s == SCRIPT_LATIN ? latin_rows(text, places, step, ret_rows)
                              : wide_rows(text, s, places, step, ret_rows);
    for (unsigned i = 0; i < words; i++)
        ret_rows[count++] = (uint16_t)(groups[s].first + ((uint32_t)f->word[i] * groups[s].rows >>
                                                             FEATURES_ROW_BITS));
    return count;
}

static unsigned
largest(const int16_t *sums, unsigned n)
{
    unsigned best = 0;

    for (unsigned c = 1; c < n; c++)
        if (sums[c] > sums[best])
            best = c;
    return best;
}

const char *
language_find(struct str text, const struct features *f, enum script s)
{
    uint16_t rows[LANGUAGE_ROWS_MAX] UNINITIALIZED;
    int16_t sums[WEIGHTS_LANGUAGES];

    if (s == SCRIPT_NONE)
        return "";
    if (!language_shares(s))
        return codes[ALONE_FIRST + s - SCRIPT_GREEK];
    unsigned n = language_rows(text, f, s, rows);
    if (n == 0)
        return "";
    if (s == SCRIPT_LATIN)
        rows_sum(weights_latin[0], rows, n, WEIGHTS_LANGUAGES / 16, sums);
    else
        rows_sum(weights_wide[0], rows, n, WEIGHTS_WIDE_LANGUAGES / 16, sums);
    return codes[shared[s].first + largest(sums, shared[s].count)];
}
