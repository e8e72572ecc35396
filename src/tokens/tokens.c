/* tokens.c - cuts a text into pieces, and counts the tokens of each. */
#include "tokens/tokens.h"

#include "tokens/bpe.h"
#include "tokens/scan.h"

/* Kinds of pieces. */
enum token_kind {
#define KIND(name, last, ...) KIND_##name,
#include "tokens/kinds.def"
#undef KIND
    KINDS
};

/* Those that are estimated come after those that are not, in the order of the factors. */
static const struct {
    const char *name;
    const struct vocab *vocab;
    size_t (*scan)(struct str text);
} families[TOKENS_FAMILIES] = {
#define EXACT(id) { #id, &vocab_##id, scan_##id },
#define ESTIMATE(id, base) { #id, &vocab_##base, scan_##base },
#include "tokens/families.def"
#undef EXACT
#undef ESTIMATE
};

#define FIRST_ESTIMATE TOKENS_claude
#define ESTIMATES (TOKENS_FAMILIES - FIRST_ESTIMATE)

static const struct {
    uint32_t last;    /* code point */
    uint16_t percent[ESTIMATES];
} kinds[KINDS] = {
#define KIND(name, last, ...) { last, { __VA_ARGS__ } },
#include "tokens/kinds.def"
#undef KIND
};

const char *
tokens_name(enum tokens_family family)
{
    return families[family].name;
}

bool
tokens_exact(enum tokens_family family)
{
    return family < FIRST_ESTIMATE;
}

/* --- by name --- */

/* Does a part of the name begin with `part`, which is lower case? */
static bool
has_part(struct str name, struct str part)
{
    for (size_t i = 0; i + part.n <= name.n; i++)
        if ((i == 0 || !(str_is_alnum(name.p[i - 1]))) && str_istarts(str_skip(name, i), part))
            return true;
    return false;
}

enum tokens_family
tokens_family(struct str model)
{
    static const struct {
        struct str part;
        enum tokens_family family;
    } names[] = {
#define NAME(part, family) { S_INIT(part), TOKENS_##family },
#include "tokens/names.def"
#undef NAME
    };

    for (enum tokens_family f = 0; f < TOKENS_FAMILIES; f++)
        if (str_eq(model, str_c(families[f].name)))
            return f;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (has_part(model, names[i].part))
            return names[i].family;
    return TOKENS_other;
}

/* --- counting --- */

static enum token_kind
kind_of(struct str piece)
{
    static const uint8_t ascii[] = {
        [CLASS_UPPER] = KIND_word,
        [CLASS_LOWER] = KIND_word,
        [CLASS_NUMBER] = KIND_number,
        [CLASS_SPACE] = KIND_spaces,
        [CLASS_NEWLINE] = KIND_spaces,
        [CLASS_OTHER] = KIND_symbols,
    };
    const char *p = piece.p, *end = p + piece.n;
    enum token_kind kind = KIND_latin;

    while (p < end && (uint8_t)*p < 0x80)
        p++;
    if (p == end)
        return ascii[token_classes[token_pages[0]][(uint8_t)end[-1]]];

    uint32_t code = scan_code(p, end);

    while (kinds[kind].last < code)
        kind++;
    return kind;
}

size_t
tokens_count(enum tokens_family family, struct str text)
{
    bool exact = tokens_exact(family);
    size_t count = 0;

    while (text.n != 0) {
        size_t n = families[family].scan(text);
        struct str piece = str_make(text.p, n);
        size_t tokens = bpe_count(families[family].vocab, piece);

        count += exact ? tokens : tokens * kinds[kind_of(piece)].percent[family - FIRST_ESTIMATE];
        text = str_skip(text, n);
    }
    return exact ? count : (count + 50) / 100;
}
