/* tokens.c - cuts a text into pieces, and counts the tokens of each. */
#include "tokens/tokens.h"

#include "tokens/bpe.h"
#include "tokens/scan.h"

/* Of pieces, by their first character that is not ASCII, or else by their last one. */
enum token_kind {
    KIND_WORD,
    KIND_NUMBER,
    KIND_SPACES,
    KIND_SYMBOLS,
    KIND_LATIN,
    KIND_GREEK,      /* and Cyrillic */
    KIND_SEMITIC,    /* and Armenian */
    KIND_BRAHMIC,    /* and other scripts of India and South-East Asia */
    KIND_KANA,
    KIND_HAN,
    KIND_HANGUL,
    KIND_ASTRAL,
    KINDS
};

static const struct {
    const char *name;
    const struct vocab *vocab;
    size_t (*scan)(struct str text);
    uint16_t percent[KINDS];    /* of an estimate */
} families[TOKENS_FAMILIES] = {
#define EXACT(id) { #id, &vocab_##id, scan_##id, { 0 } },
#define ESTIMATE(id, ...) { #id, &vocab_o200k, scan_o200k, { __VA_ARGS__ } },
#include "tokens/families.def"
#undef EXACT
#undef ESTIMATE
};

const char *
tokens_name(enum tokens_family family)
{
    return families[family].name;
}

bool
tokens_exact(enum tokens_family family)
{
    return families[family].percent[KIND_WORD] == 0;
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
    /* by the first byte of a character: up to that one, the kind */
    static const struct {
        uint8_t most;
        uint8_t kind;
    } leads[] = {
        { 0xcd, KIND_LATIN },
        { 0xd5, KIND_GREEK },
        { 0xdf, KIND_SEMITIC },
        { 0xe1, KIND_BRAHMIC },
        { 0xe2, KIND_SYMBOLS },
        { 0xe3, KIND_KANA },
        { 0xe9, KIND_HAN },
        { 0xed, KIND_HANGUL },
        { 0xef, KIND_KANA },
    };
    static const uint8_t ascii[] = {
        [CLASS_UPPER] = KIND_WORD,
        [CLASS_LOWER] = KIND_WORD,
        [CLASS_NUMBER] = KIND_NUMBER,
        [CLASS_SPACE] = KIND_SPACES,
        [CLASS_NEWLINE] = KIND_SPACES,
        [CLASS_OTHER] = KIND_SYMBOLS,
    };

    for (size_t i = 0; i < piece.n; i++) {
        uint8_t c = (uint8_t)piece.p[i];

        if (c < 0x80)
            continue;
        for (size_t l = 0; l < ARRAY_LEN(leads); l++)
            if (c <= leads[l].most)
                return leads[l].kind;
        return KIND_ASTRAL;
    }
    return ascii[token_classes[token_pages[0]][(uint8_t)piece.p[piece.n - 1]]];
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

        count += exact ? tokens : tokens * families[family].percent[kind_of(piece)];
        text = str_skip(text, n);
    }
    return exact ? count : (count + 50) / 100;
}
