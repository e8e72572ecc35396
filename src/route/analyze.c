/* analyze.c - sums the learnt weights of what was counted of a text, and says what follows.
 * The sums are whole numbers, so that a decision can be made again elsewhere.
 */
#include "route/analyze.h"

#include "route/features.h"
#include "route/language.h"
#include "route/rows.h"
#include "route/sensitive.h"
#include "route/weights.h"

enum { COLUMNS = WEIGHTS_COLUMNS, UNIT = 1024 };

/* The columns of the tables: the tasks, then these. */
enum column { COLUMN_COMPLEXITY = TASK_COUNT, COLUMN_SENTIMENT, COLUMN_CODE, COLUMN_COUNT };
_Static_assert((int)COLUMN_COUNT <= (int)COLUMNS, "each column has its place in a row");
_Static_assert(1 << FEATURES_ROW_BITS == WEIGHTS_ROWS, "the table has these rows");
_Static_assert((int)COUNT_COUNT == WEIGHTS_COUNTS, "the table has these counts");

/* 1024 / sqrt(n), of at most FEATURES_WORDS_MAX rows. */
static uint32_t
inverse_root(uint32_t n)
{
    uint32_t root = 0, square = n << 16;    /* 256 times the root, bit by bit */

    if (n == 0)
        return 0;
    for (uint32_t bit = 1u << 11; bit != 0; bit >>= 1)
        if ((root + bit) * (root + bit) <= square)
            root += bit;
    return 256 * UNIT / root;
}
_Static_assert(FEATURES_WORDS_MAX <= 255, "256 times its root has twelve bits");

/* How much there is of it, in half octaves: of a thousand bytes, or bytes in all. */
static unsigned
level(const struct features *f, enum count c)
{
    uint32_t n = f->counts[c];
    uint32_t x = c == COUNT_BYTES ? n : n * UNIT / MAX(f->counts[COUNT_BYTES], 1);

    if (x == 0)
        return 0;
    unsigned octave = 31 - (unsigned)__builtin_clz(x);
    unsigned half = octave != 0 ? x >> (octave - 1) & 1 : 0;
    return MIN(1 + 2 * octave + half, WEIGHTS_LEVELS - 1);
}

/* Adds the rows' weights, each column's by the root of their number: a long text is not surer than a
 * short one because of its length alone. */
static void
add_rows(const uint16_t *rows, unsigned n, int32_t *ret)
{
    int16_t sums[COLUMNS];
    /* at most 15 * 1024 * the root of n, which times a scale fits into 31 bits */
    int32_t root = (int32_t)inverse_root(n);

    rows_sum(weights_rows[0], rows, n, COLUMNS / 16, sums);
    for (unsigned c = 0; c < COLUMNS; c++)
        ret[c] += (sums[c] * root) * weights_scale[c] / 4096;
}

/* Each column's logit in 1024ths. */
static void
add_up(const struct features *f, int32_t *ret)
{
    memcpy(ret, weights_bias, sizeof weights_bias);
    add_rows(f->word, f->words, ret);
    add_rows(f->edge, f->edges, ret);
    for (unsigned n = 0; n < COUNT_COUNT; n++) {
        const int16_t *at = weights_levels[n][level(f, (enum count)n)];
        for (unsigned c = 0; c < COLUMNS; c++)
            ret[c] += at[c];
    }
}

/* 1000 / (1 + e^-x), x in 1024ths. Whole numbers: between the values at halves it is a line. */
static int32_t
permille(int32_t logit)
{
    static const uint16_t at_halves[] = { 500, 622, 731, 818, 881, 924, 953, 971, 982, 989, 993,
        996, 998, 998, 999, 999, 1000 };
    uint32_t x = (uint32_t)MIN(logit < 0 ? -(int64_t)logit : logit, 8 * UNIT - 1);
    uint32_t i = x / (UNIT / 2), rest = x % (UNIT / 2);
    int32_t y = (int32_t)(at_halves[i] + (at_halves[i + 1] - at_halves[i]) * rest / (UNIT / 2));

    return logit < 0 ? 1000 - y : y;
}

static enum task
find_task(const int32_t *user, const int32_t *system)
{
    enum task best = 0;

    for (enum task t = 1; t < TASK_COUNT; t++)
        if (user[t] + system[t] > user[best] + system[best])
            best = t;
    return best;
}

/* Where the next fence is, or text.n. */
static size_t
find_fence(struct str text, size_t from)
{
    for (;; from++) {
        from += str_chr(str_skip(text, from), '`');
        if (from + 3 > text.n)
            return text.n;
        if (text.p[from + 1] == '`' && text.p[from + 2] == '`')
            return from;
    }
}

/* Bytes between pairs of ```; the last one may be left open. *ret_fenced: are there any? */
static uint32_t
count_fenced(struct str text, bool *ret_fenced)
{
    uint32_t inside = 0;
    size_t at = find_fence(text, 0);

    *ret_fenced = at < text.n;
    while (at < text.n) {
        size_t end = find_fence(text, at + 3);
        inside += (uint32_t)(end - (at + 3));
        at = end < text.n ? find_fence(text, end + 3) : text.n;
    }
    return inside;
}

/* Fenced code is code. Without fences a piece of 64 bytes is code if it has many of the signs that code
 * is made of, and how many those are depends on whether the whole looks like code. */
static uint32_t
share_of_code(struct str text, const struct features *f, int32_t logit)
{
    bool fenced = false;
    uint32_t count = 0, few = (uint32_t)weights_signs[logit > 0 ? 0 : 1];

    if (f->blocks == 0)
        return 0;
    count = count_fenced(text, &fenced);
    if (fenced)
        return (uint32_t)(count * 1000 / text.n);
    for (unsigned b = 0; b < f->blocks; b++)
        count += f->code[b] >= few;
    uint32_t by_signs = count * 1000 / f->blocks, by_words = (uint32_t)permille(logit);
    return (by_signs + by_words) / 2;
}

/* Tokens of what was looked at, in 1024ths. */
static uint64_t
count_tokens(const struct features *f, enum script s)
{
    int64_t sum = 0;

    for (unsigned c = 0; c < COUNT_COUNT; c++)
        sum +=
            (int64_t)f->counts[c] * (c == COUNT_HIGH ? weights_tokens_high[s] : weights_tokens[c]);
    return sum > 0 ? (uint64_t)sum : 0;
}

/* Of the sample's tokens, those of the whole text. */
static uint64_t
scale(uint64_t tokens, uint64_t bytes, uint64_t sampled)
{
    /* a sample has less than 2^14 tokens of 2^10, a body less than 2^40 bytes */
    return tokens * MIN(bytes, 1ull << 40) / sampled / UNIT;
}

void
analyze(const struct llm_sample *s, struct analysis *ret)
{
    const struct str *texts[] = { &s->user, &s->earlier, &s->system };
    struct features f UNINITIALIZED;
    int32_t user[COLUMNS] = { 0 }, system[COLUMNS] = { 0 };
    uint64_t tokens = 0;

    *ret = (struct analysis){ .language = "", .task = TASK_UNKNOWN };
    for (unsigned i = 0; i < ARRAY_LEN(texts); i++) {
        struct str text = *texts[i];
        if (text.n == 0)
            continue;
        features_find(text, &f);
        enum script script = language_script(text, &f);
        tokens += count_tokens(&f, script);
        ret->sensitivity |= (uint8_t)sensitive_find(text, &f);
        if (ret->language[0] == '\0')
            ret->language = language_find(text, &f, script);
        if (texts[i] == &s->system)
            add_up(&f, system);
        if (texts[i] != &s->user)
            continue;
        add_up(&f, user);
        ret->complexity_permille = (uint16_t)permille(user[COLUMN_COMPLEXITY]);
        ret->sentiment_permille = (int16_t)(2 * permille(user[COLUMN_SENTIMENT]) - 1000);
        ret->code_permille = (uint16_t)share_of_code(text, &f, user[COLUMN_CODE]);
    }
    if (s->user.n != 0)
        ret->task = find_task(user, system);
    if (s->sampled != 0)
        ret->tokens = (uint32_t)MIN(scale(tokens, s->bytes, s->sampled), UINT32_MAX);
}

const char *
task_name(enum task t)
{
    static const char *const names[] = {
#define TASK(id, name, meaning) name,
#include "route/tasks.def"
#undef TASK
        "unknown"
    };

    return names[MIN((unsigned)t, TASK_COUNT)];
}
