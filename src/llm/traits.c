/* traits.c - traits by name. */
#include "llm/traits.h"

#include "base/buf.h"

enum trait_kind { TRAIT_FLAG, TRAIT_NUMBER, TRAIT_WORD };

static const struct row {
    const char *name;
    enum trait_kind kind;
    const char *values;    /* of a word, with '|' between them */
    size_t offset;
} rows[] = {
#define FLAG(name, what) { #name, TRAIT_FLAG, NULL, offsetof(struct traits, name) },
#define NUMBER(name, what) { #name, TRAIT_NUMBER, NULL, offsetof(struct traits, name) },
#define WORD(name, values, what) { #name, TRAIT_WORD, values, offsetof(struct traits, name) },
#include "llm/traits.def"
#undef FLAG
#undef NUMBER
#undef WORD
};

static size_t
row_bytes(const struct row *row)
{
    return row->kind == TRAIT_NUMBER ? sizeof(int64_t)
           : row->kind == TRAIT_FLAG ? sizeof(enum llm_tri)
                                     : sizeof(unsigned);
}

void
traits_override(struct traits *t, const struct traits *over)
{
    static const int64_t unsaid;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *from = (const char *)over + rows[i].offset;

        if (memcmp(from, &unsaid, row_bytes(&rows[i])) != 0)
            memcpy((char *)t + rows[i].offset, from, row_bytes(&rows[i]));
    }
}

/* The place of a word among "a|b|c", from 1 on; 0 if it is none of them. */
static unsigned
word_place(const char *values, struct str value)
{
    struct str left = str_c(values);
    struct str word;
    unsigned place = 0;

    while (left.n != 0) {
        (void)str_cut(left, '|', &word, &left);
        place++;
        if (str_eq(word, value))
            return place;
    }
    return 0;
}

static const char *
set_row(const struct row *row, void *member, struct str value, struct arena *a)
{
    uint64_t number;
    unsigned place;

    switch (row->kind) {
    case TRAIT_FLAG:
        if (!str_eq(value, S("true")) && !str_eq(value, S("false")))
            return "write true or false";
        *(enum llm_tri *)member = str_eq(value, S("true")) ? YES : NO;
        return NULL;
    case TRAIT_NUMBER:
        if (!str_u64(value, &number) || number > INT64_MAX)
            return "write a whole number; 0: not known";
        *(int64_t *)member = (int64_t)number;
        return NULL;
    case TRAIT_WORD:
        place = word_place(row->values, value);
        if (place == 0)
            return arena_printf(a, "write one of %s", row->values).p;
        *(unsigned *)member = place;
        return NULL;
    }
    CHECK_UNREACHABLE();
}

const char *
traits_set(struct traits *t, struct str name, struct str value, struct arena *a)
{
    struct str names = S("");

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (str_eq(name, str_c(rows[i].name)))
            return set_row(&rows[i], (char *)t + rows[i].offset, value, a);
        names = arena_printf(a, STR_FMT "%s%s", STR_ARG(names), i == 0 ? "" : ", ", rows[i].name);
    }
    return arena_printf(a, "use one of " STR_FMT, STR_ARG(names)).p;
}
