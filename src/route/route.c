/* route.c - resolves model names. */
#include "route/route.h"

#include "catalog/catalog.h"

static bool
is_in_list(const struct conf_strs *models, struct str model)
{
    for (size_t m = 0; m < models->count; m++)
        if (str_eq(models->list[m].v, model))
            return true;
    return false;
}

/* The first active provider that has a model of that name in its configured list or, with
 * `catalog`, in the catalog. */
static struct provider *
bare_provider(const struct route_table *t, struct str model, bool catalog)
{
    char room[ROUTE_NAME_BYTES];

    struct provider *p;

    for (size_t i = 0; (p = providers_at(t->providers, i)) != NULL; i++) {
        struct str name = catalog ? table_pair(p->id, model, room) : S("");

        if ((name.n != 0 && catalog_model(providers_catalog(t->providers), name) != NULL) ||
            is_in_list(&p->models, model))
            return p;
    }
    return NULL;
}

/* The id of the provider whose models are named like that; empty: it is not known. */
static struct str
family_of(struct str model)
{
    static const struct {
        struct str provider, begins;
    } families[] = {
#define FAMILY(provider, begins) { S_INIT(provider), S_INIT(begins) },
#include "catalog/families.def"
#undef FAMILY
    };

    for (size_t i = 0; i < ARRAY_LEN(families); i++)
        if (str_starts(model, families[i].begins))
            return families[i].provider;
    return S("");
}

/* The active provider of that family, under whatever id. */
static struct provider *
family_provider(const struct route_table *t, struct str family)
{
    struct provider *p;

    for (size_t i = 0; family.n != 0 && (p = providers_at(t->providers, i)) != NULL; i++)
        if (str_eq(p->row != NULL ? p->row->id : p->id, family))
            return p;
    return NULL;
}

/* --- unknown names --- */

/* A different version number is a different model: "gpt-5.2" is not a misspelt "gpt-5.1". */
static bool
differs_in_digits_alone(struct str a, struct str b)
{
    size_t i = 0, k = 0;

    for (;;) {
        while (i < a.n && (str_is_digit(a.p[i]) || a.p[i] == '.'))
            i++;
        while (k < b.n && (str_is_digit(b.p[k]) || b.p[k] == '.'))
            k++;
        if (i == a.n || k == b.n)
            return i == a.n && k == b.n;
        if (a.p[i++] != b.p[k++])
            return false;
    }
}

static bool
is_misspelt(struct str word, struct str name)
{
    unsigned limit = word.n < 8 ? 1 : 2;

    return word.n > 2 && word.n <= name.n + limit && name.n <= word.n + limit &&
           str_distance(word, name, limit) <= limit && !differs_in_digits_alone(word, name);
}

/* The name that was probably meant: an alias, or provider/model with the provider's id corrected.
 * Empty when nothing is close. Organisation prefixes often extend a provider's id ("mistralai/x")
 * and are not taken for misspellings. */
static struct str
meant_name(const struct route_table *t, struct arena *a, struct str model)
{
    struct str head, tail;
    const struct provider *p;

    for (size_t i = 0; i < t->alias_count; i++)
        if (is_misspelt(model, t->aliases[i]->name))
            return t->aliases[i]->name;
    if (!str_cut(model, '/', &head, &tail))
        return S("");
    for (size_t i = 0; (p = providers_at(t->providers, i)) != NULL; i++)
        if (is_misspelt(head, p->id) && !str_starts(head, p->id))
            return arena_printf(a, STR_FMT "/" STR_FMT, STR_ARG(p->id), STR_ARG(tail));
    return S("");
}

static struct str
no_model_sentence(const struct route_table *t, struct arena *a, struct str model)
{
    struct str names[64];
    size_t n = 0;

    for (size_t i = 0; i < t->alias_count && n < ARRAY_LEN(names); i++)
        names[n++] = t->aliases[i]->name;
    struct str near = meant_name(t, a, model);
    if (near.n == 0)
        near = conf_closest(model, names, n);
    if (near.n != 0)
        return arena_printf(a, "there is no model '" STR_FMT "'; did you mean '" STR_FMT "'?",
            STR_ARG(model), STR_ARG(near));
    return arena_printf(a,
        "there is no model '" STR_FMT "'; name one of GET /v1/models, or provider/model",
        STR_ARG(model));
}

/* The pattern that matches, and what its '*' stands for. A name with the prefix of an active provider
 * (`direct`) is matched by patterns only that have such a prefix themselves. */
static const struct alias *
find_pattern(const struct route_table *t, struct str model, bool direct, struct str *ret_matched)
{
    for (size_t i = 0; i < t->pattern_count; i++) {
        const struct alias *al = t->patterns[i];
        size_t star = str_chr(al->name, '*');
        struct str head = str_make(al->name.p, star), tail = str_skip(al->name, star + 1);

        if (model.n < head.n + tail.n || !str_starts(model, head) || !str_ends(model, tail) ||
            (direct && str_chr(head, '/') == head.n))
            continue;
        *ret_matched = str_make(model.p + head.n, model.n - head.n - tail.n);
        return al;
    }
    return NULL;
}

/* Tries in this order: an alias; a known provider's prefix, active or not; a pattern; a model that
 * one of the active providers has; the default provider, unless the name looks misspelt; the provider
 * whose models are named like that. */
enum err
route_find(const struct route_table *t, struct arena *a, struct str model, struct route_found *ret,
    struct str *ret_why)
{
    struct str id, rest, name = model;

    *ret = (struct route_found){ .alias = map_get(t->alias_by_name, model) };
    if (ret->alias != NULL)
        return OK;
    struct provider *p = table_provider(t, model, &name);
    if (t->pattern_count != 0)
        ret->alias = find_pattern(t, model, p != NULL, &ret->matched);
    if (ret->alias != NULL)
        return OK;
    bool simulated = providers_simulated(t->providers);
    bool off = p == NULL && !simulated && str_cut(model, '/', &id, &rest) && table_is_off(t, id);
    if (p == NULL) {
        name = model;
        p = bare_provider(t, model, !off);
    }
    if (p == NULL && off) {
        *ret_why = arena_printf(a,
            "the provider '" STR_FMT "' of the model '" STR_FMT "' is not switched on; " STR_FMT,
            STR_ARG(id), STR_ARG(model), STR_ARG(providers_why(t->providers, a, id)));
        return ERR_NO_MODEL;
    }
    if (p == NULL && (simulated || meant_name(t, a, model).n == 0))
        p = providers_default(t->providers);

    struct str family = p == NULL && meant_name(t, a, model).n == 0 ? family_of(model) : S("");
    if (p == NULL)
        p = family_provider(t, family);
    if (p == NULL && family.n != 0 && table_is_off(t, family)) {
        *ret_why = arena_printf(a,
            "there is no model '" STR_FMT "', which looks like one of the provider '" STR_FMT
            "', which is not switched on; " STR_FMT,
            STR_ARG(model), STR_ARG(family), STR_ARG(providers_why(t->providers, a, family)));
        return ERR_NO_MODEL;
    }
    if (p == NULL) {
        *ret_why = no_model_sentence(t, a, model);
        return ERR_NO_MODEL;
    }
    ret->target = table_target(t, a, p, name);
    return OK;
}

struct target *
route_default(
    const struct route_table *t, struct arena *a, const struct wire *wire, struct str *ret_why)
{
    struct provider *p = providers_default(t->providers), *only = NULL;
    size_t count = 0;

    if (p != NULL && wire_is_served(wire, p->wire, &p->traits))
        return table_target(t, a, p, S(""));
    for (size_t i = 0; (p = providers_at(t->providers, i)) != NULL; i++) {
        if (wire_is_served(wire, p->wire, &p->traits)) {
            only = p;
            count++;
        }
    }
    if (count == 1)
        return table_target(t, a, only, S(""));
    if (count == 0)
        *ret_why = arena_printf(a,
            "this request names no model, and no provider here speaks the protocol of its "
            "route, " STR_FMT,
            STR_ARG(wire->name));
    else
        *ret_why = arena_printf(a,
            "this request names no model, and %zu providers here could take it; set "
            "default_provider in the configuration",
            count);
    return NULL;
}
