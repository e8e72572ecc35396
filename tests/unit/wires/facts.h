/* facts.h - what a request or an answer says, as a list of facts that two protocols can be compared by.
 *
 * Texts are made of marked words, "<w7 ...>", each of which is a fact: protocols differ in how they cut and join
 * texts, but no word may be lost, changed or move to another turn.
 */
#pragma once

#include "llm/request.h"
#include "llm/wire.h"

struct fact {
    unsigned kind;
    struct str text;
    struct fact *next;
};

struct facts {
    struct arena *a;
    struct fact *first;
    struct fact **tail;
};

static inline struct facts
facts_in(struct arena *a)
{
    return (struct facts){ .a = a };
}

static inline void
fact_add(struct facts *f, unsigned kind, struct str text)
{
    struct fact *fact = arena_new(f->a, struct fact);

    if (f->tail == NULL)
        f->tail = &f->first;
    fact->kind = kind;
    fact->text = text;
    *f->tail = fact;
    f->tail = &fact->next;
}

/* Each marked word of a text, with `where` before it. */
static inline void
fact_add_words(struct facts *f, unsigned kind, const char *where, struct str text)
{
    for (;;) {
        text = str_skip(text, str_find(text, S("<w")));

        size_t end = str_chr(text, '>');

        if (text.n == 0 || end == text.n)
            return;
        fact_add(f, kind, arena_printf(f->a, "%s %.*s", where, (int)end + 1, text.p));
        text = str_skip(text, end);
    }
}

/* The next fact of a kind, from `f` on. */
static inline const struct fact *
fact_of(const struct fact *f, unsigned kind)
{
    while (f != NULL && f->kind != kind)
        f = f->next;
    return f;
}

static inline bool
fact_has(const struct facts *f, unsigned kind)
{
    return fact_of(f->first, kind) != NULL;
}

/* --- random choices --- */

struct gen {
    struct arena *a;
    uint64_t state;
    unsigned words;
    unsigned ids;    /* of calls: the form that they begin with */
};

static inline uint64_t
gen_u64(struct gen *g)
{
    uint64_t z = g->state += 0x9e3779b97f4a7c15u;    /* splitmix64 */

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static inline unsigned
gen_below(struct gen *g, unsigned n)
{
    return (unsigned)(gen_u64(g) % n);
}

/* True once in `n` times. */
static inline bool
gen_one_in(struct gen *g, unsigned n)
{
    return gen_below(g, n) == 0;
}

/* One to three marked words that nothing else contains, some with what must be escaped. */
static inline struct str
gen_words(struct gen *g)
{
    static const char *const odd[] = { "", "", "", " \"quoted\" \\ / \t", "\n\nline",
        "\xc3\xa9\xe4\xb8\xad", "\xf0\x9f\x98\x80", " {\"a\":[1]} ", "\x01\x1f\x7f",
        " </think> &lt; ", "\xe2\x80\xa8", "data: x\n\n" };
    struct str all = S("");

    for (unsigned i = 1 + gen_below(g, 3); i > 0; i--)
        all = arena_printf(g->a, STR_FMT "%s<w%u%s>", STR_ARG(all), all.n > 0 ? " " : "",
            ++g->words, odd[gen_below(g, ARRAY_LEN(odd))]);
    return all;
}
