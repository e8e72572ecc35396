/* slug.c - finds providers by the slugs that OpenRouter's callers use. */
#include "route/slug.h"

static bool
names(const struct provider *p, struct str slug)
{
    static const struct {
        struct str theirs, ours;
    } slugs[] = {
#define SLUG(theirs, ours) { S_INIT(theirs), S_INIT(ours) },
#include "catalog/slugs.def"
#undef SLUG
    };
    struct str row = p->row != NULL ? p->row->id : p->id, variant;

    if (str_cut(slug, '/', &slug, &variant) && !(variant.n != 0 && str_ieq(variant, p->region)))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(slugs); i++)
        if (str_ieq(slug, slugs[i].theirs))
            return str_eq(slugs[i].ours, row) || str_eq(slugs[i].ours, p->id);
    return str_ieq(slug, p->id) || str_ieq(slug, row);
}

bool
slug_in(const struct provider *p, const struct llm_word *slugs)
{
    while (slugs != NULL && !names(p, slugs->text))
        slugs = slugs->next;
    return slugs != NULL;
}

size_t
slug_place(const struct provider *p, const struct llm_word *slugs)
{
    size_t place = 0;

    for (; slugs != NULL && !names(p, slugs->text); slugs = slugs->next)
        place++;
    return place;
}
