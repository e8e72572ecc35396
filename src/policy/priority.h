/* priority.h - whose requests are served first, and refused last, when there is too much to do. */
#pragma once

#include "base/base.h"
#include "base/str.h"

enum priority { PRIORITY_HIGH, PRIORITY_NORMAL, PRIORITY_LOW, PRIORITIES };

/* What the word says ("high", "normal", "low"); any other text is normal. */
static inline enum priority
priority_named(struct str word)
{
    if (str_eq(word, S("high")))
        return PRIORITY_HIGH;
    return str_eq(word, S("low")) ? PRIORITY_LOW : PRIORITY_NORMAL;
}

/* A request may only lower what its key has. An empty text says nothing. */
static inline enum priority
priority_lowered(enum priority key, struct str wish)
{
    enum priority asked = wish.n != 0 ? priority_named(wish) : key;

    return asked > key ? asked : key;
}

static inline const char *
priority_word(enum priority p)
{
    static const char *const words[PRIORITIES] = { "high", "normal", "low" };

    return words[p];
}
