/* features.c - counts sixteen bytes at a time and looks at words eight bytes at a time, because a
 * request must be analysed in two microseconds.
 */
#include "route/features.h"

#include <endian.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Sixteen bytes, compared and added at once; compilers make vector instructions of it. */
typedef uint8_t bytes16 __attribute__((vector_size(16)));
typedef int8_t signed16 __attribute__((vector_size(16)));

enum { BLOCK = 64, COUNTED = COUNT_CODE + 1 };

/* Multiplies well: the bits of the golden ratio. */
static const uint64_t spread = 0x9E3779B97F4A7C15u;
static const uint64_t lower_case = 0x2020202020202020u;

static uint64_t
load64(const char *p)
{
    uint64_t x;

    memcpy(&x, p, sizeof x);
    return le64toh(x);
}

/* One bit for each of sixteen bytes that are 0 or 255. */
static uint64_t
mask16(bytes16 v)
{
#ifdef __SSE2__
    return (uint32_t)_mm_movemask_epi8((__m128i)v);
#else
    uint64_t half[2];

    v &= 1;
    memcpy(half, &v, sizeof half);
    return ((le64toh(half[0]) * 0x0102040810204080u) >> 56) |
           ((le64toh(half[1]) * 0x0102040810204080u) >> 56) << 8;
#endif
}

/* The sum of sixteen bytes of which each is at most 15. */
static unsigned
sum_small(bytes16 v)
{
    uint64_t half[2];

    memcpy(half, &v, sizeof half);
    return (unsigned)(((half[0] + half[1]) * 0x0101010101010101u) >> 56);
}

static uint32_t
sum16(bytes16 v)
{
    uint64_t half[2], even = 0x00FF00FF00FF00FFu;

    memcpy(half, &v, sizeof half);
    uint64_t sums =
        (half[0] & even) + ((half[0] >> 8) & even) + (half[1] & even) + ((half[1] >> 8) & even);
    return (uint32_t)((sums * 0x0001000100010001u) >> 48);
}

/* The bytes of 64, as sums and as masks. */
static INLINED void
count_block(const char *p, bytes16 *sums, struct features *f)
{
    uint64_t letters = 0, digits = 0, ascii = 0;
    bytes16 signs = { 0 };

    for (unsigned i = 0; i < BLOCK / 16; i++) {
        bytes16 x;
        memcpy(&x, p + 16 * i, sizeof x);
        bytes16 folded = x | 0x20;
        bytes16 letter = (bytes16)((bytes16)(folded - 'a') <= 25);
        bytes16 high = (bytes16)((signed16)x < 0);
        bytes16 digit = (bytes16)((bytes16)(x - '0') <= 9);
        bytes16 word = letter | high;
        /* ( )   ; < = >   [ \ ] { | }   _ */
        bytes16 code = (bytes16)((x & 0xFE) == '(') | (bytes16)((bytes16)(x - ';') <= 3) |
                       (bytes16)((bytes16)(folded - '{') <= 2) | (bytes16)(x == '_');
        sums[COUNT_LINES] -= (bytes16)(x == '\n');
        sums[COUNT_DIGITS] -= digit;
        sums[COUNT_HIGH] -= high;
        sums[COUNT_LETTERS] -= word;
        signs -= code;
        letters |= mask16(word) << 16 * i;
        digits |= mask16(digit) << 16 * i;
        ascii |= mask16(letter | digit) << 16 * i;
    }
    sums[COUNT_CODE] += signs;
    f->letters[f->blocks] = letters;
    f->digits[f->blocks] = digits;
    f->ascii[f->blocks] = ascii;
    f->code[f->blocks++] = (uint8_t)sum_small(signs);
}

/* A byte's sum is at most 128: 2048 bytes in rows of sixteen. */
_Static_assert(FEATURES_BYTES_MAX / 16 <= 255, "sums are bytes");

static void
count_bytes(struct str text, struct features *f)
{
    bytes16 sums[COUNTED] = { 0 };
    size_t at = 0;

    for (; text.n - at >= BLOCK; at += BLOCK)
        count_block(text.p + at, sums, f);
    if (at < text.n) {
        char last[BLOCK] = { 0 };
        memcpy(last, text.p + at, text.n - at);
        count_block(last, sums, f);
    }
    for (unsigned i = 0; i < COUNTED; i++)
        f->counts[i] = sum16(sums[i]);
    f->counts[COUNT_BYTES] = (uint32_t)text.n;
}

/* The eight bytes at `at`, zero beyond the text. */
static uint64_t
load_word(struct str text, size_t at)
{
    uint64_t x = 0;

    if (LIKELY(text.n - at >= 8))
        return load64(text.p + at);
    memcpy(&x, text.p + at, text.n - at);
    return le64toh(x);
}

/* Words as hashes of their first eight bytes in lower case, so that their endings rarely matter, and the
 * byte after each that is shorter. */
struct words {
    unsigned n;
    uint64_t hash[FEATURES_WORDS_MAX];
    uint8_t next[FEATURES_WORDS_MAX];
};

static uint16_t
row_of(uint64_t hash)
{
    return (uint16_t)(hash >> (64 - FEATURES_ROW_BITS));
}

/* Appends the words that begin in blocks from `from` to `end`; `most` words in all. */
static void
find_words_in(struct str text, struct features *f, unsigned from, unsigned end, struct words *words,
    unsigned most)
{
    uint64_t before = 0;    /* the end of the block before is a letter */
    unsigned n = words->n;

    for (unsigned b = from; b < end; b++) {
        uint64_t now = f->letters[b], after = f->letters[b + 1];
        uint64_t starts = now & ~(now << 1 | before);
        before = now >> 63;
        for (; starts != 0 && n < most; starts &= starts - 1) {
            unsigned i = (unsigned)__builtin_ctzll(starts);
            uint64_t rest = ~(now >> i | after << 1 << (63 - i));
            unsigned bytes = rest == 0 ? 64 : (unsigned)__builtin_ctzll(rest);
            size_t at = (size_t)b * BLOCK + i;
            uint64_t x = load_word(text, at), next = 0;

            if (bytes < 8) {
                next = x >> 8 * bytes & 0xFF;
                x &= (1ull << 8 * bytes) - 1;
            }
            uint64_t hash = (x | lower_case) * spread;
            f->word[n] = row_of(hash);
            words->hash[n] = hash;
            words->next[n++] = (uint8_t)next;
        }
    }
    words->n = n;
}

/* The words from `from` to `end`, and each of the outermost with the one before it. */
static void
add_edge(const struct words *words, unsigned from, unsigned end, struct features *f)
{
    uint64_t previous = 0;

    for (unsigned i = from; i < end; i++) {
        uint64_t hash = words->hash[i] * spread;
        f->edge[f->edges++] = row_of(hash);
        if (i < FEATURES_EDGE_PAIRS || i + FEATURES_EDGE_PAIRS >= words->n)
            f->edge[f->edges++] = row_of((hash + previous) * spread);
        previous = (hash >> 7 | hash << 57) + words->next[i];
    }
}

/* The words at either end of the text. */
static void
find_words(struct str text, struct features *f)
{
    struct words words UNINITIALIZED;
    unsigned part = FEATURES_WORDS_BYTES / BLOCK;

    words.n = 0;
    if (f->blocks <= 2 * part)
        find_words_in(text, f, 0, f->blocks, &words, FEATURES_WORDS_MAX);
    else {
        find_words_in(text, f, 0, part, &words, FEATURES_WORDS_MAX / 2);
        find_words_in(text, f, f->blocks - part, f->blocks, &words, FEATURES_WORDS_MAX);
    }
    f->words = words.n;
    unsigned head = MIN(words.n, FEATURES_EDGE_WORDS);
    add_edge(&words, 0, head, f);
    add_edge(&words, MAX(head, words.n - MIN(words.n, FEATURES_EDGE_WORDS)), words.n, f);
}

void
features_find(struct str text, struct features *f)
{
    text.n = MIN(text.n, FEATURES_BYTES_MAX);
    f->blocks = f->words = f->edges = 0;
    count_bytes(text, f);
    f->letters[f->blocks] = f->digits[f->blocks] = f->ascii[f->blocks] = 0;
    find_words(text, f);

    uint32_t words = 0;
    uint64_t before = 0;
    for (unsigned b = 0; b < f->blocks; b++) {
        uint64_t now = f->letters[b];
        words += (uint32_t)__builtin_popcountll(now & ~(now << 1 | before));
        before = now >> 63;
    }
    f->counts[COUNT_WORDS] = words;
}
