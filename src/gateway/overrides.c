/* overrides.c - finds out what is to be set where, then edits the body in place. */
#include "gateway/overrides.h"

#include "base/json.h"
#include "llm/params.h"

#define ADDED_MOST (128u * 1024)

/* One member of the body: "temperature", or "num_predict" of "options". */
struct assignment {
    const char *object;    /* NULL: the body itself */
    struct str name;
    struct str value;    /* JSON text */
};

struct settings {
    const struct overrides *o;
    struct arena *a;
    const struct json *doc;
    struct assignment *list;
    size_t count, room;
};

/* --- what is to be set --- */

static struct assignment *
find(struct settings *s, const struct assignment *place)
{
    for (size_t i = 0; i < s->count; i++)
        if (str_eq(s->list[i].name, place->name) && s->list[i].object == place->object)
            return &s->list[i];
    return NULL;
}

static void
set(struct settings *s, struct assignment what)
{
    struct assignment *there = find(s, &what);

    if (there != NULL) {
        *there = what;
        return;
    }
    CHECK(s->count < s->room);
    s->list[s->count++] = what;
}

/* Where the target's protocol has the parameter that OpenAI calls so. A name that no row knows stays. */
static struct assignment
place_of(const struct overrides *o, struct str name)
{
    const struct wire_places *places = &o->wire->provider->places;

    for (enum param p = 0; p < PARAM_NODES; p++) {
        const char *ours = param_name(p, PARAMS_OPENAI_CHAT);
        const char *top = param_name(p, places->params);
        const char *nested = places->object != NULL ? param_name(p, places->nested) : NULL;

        if (ours == NULL || !str_eq(str_c(ours), name))
            continue;
        if (top != NULL)
            return (struct assignment){ .name = str_c(top) };
        if (nested != NULL)
            return (struct assignment){ .object = places->object, .name = str_c(nested) };
    }
    return (struct assignment){ .name = name };
}

/* The path of a limit: "max_tokens", or "options.num_predict". */
static struct assignment
place_of_limit(const struct overrides *o, const char *path)
{
    const struct wire_places *places = &o->wire->provider->places;
    struct str head, tail;

    if (places->object != NULL && str_cut(str_c(path), '.', &head, &tail))
        return (struct assignment){ .object = places->object, .name = tail };
    return (struct assignment){ .name = str_c(path) };
}

static const struct json *
value_in(const struct json *doc, const struct assignment *place)
{
    const struct json *object = place->object != NULL ? json_get(doc, str_c(place->object)) : doc;

    return json_get(object, place->name);
}

/* Lowers a number that is there. False if there is none. */
static bool
lower(struct settings *s, struct assignment place, const struct json *cap)
{
    const struct assignment *set_already = find(s, &place);
    const struct json *now = set_already != NULL ? json_parse(s->a, set_already->value, NULL, NULL)
                                                 : value_in(s->doc, &place);

    if (!json_is(now, JSON_NUMBER))
        return false;
    /* Ollama: a negative limit is none */
    double v = json_f64(now, 0), most = json_f64(cap, 0);
    if (v > most || (v < 0 && place.object != NULL)) {
        place.value = json_raw(cap);
        set(s, place);
    }
    return true;
}

static bool
is_limit(struct str name)
{
    return str_eq(name, S("max_tokens")) || str_eq(name, S("max_completion_tokens"));
}

/* The name by which the target takes a limit that the request has not. */
static const char *
limit_to_add(const struct overrides *o)
{
    const char *const *limits = o->wire->provider->places.limits;

    if (limits[0] != NULL && limits[1] != NULL &&
        (o->target->traits.max_tokens == YES || o->op == OP_COMPLETE))
        return limits[1];
    return limits[0];
}

/* Each limit that the request has is lowered. One that limits nothing gets one, if it makes text. */
static void
cap_limit(struct settings *s, const struct json *cap)
{
    const struct overrides *o = s->o;
    const char *const *limits = o->wire->provider->places.limits;
    bool there = false;

    if (limits == NULL)
        return;
    for (const char *const *l = limits; *l != NULL; l++)
        there |= lower(s, place_of_limit(o, *l), cap);
    if (there || (o->op != OP_CHAT && o->op != OP_COMPLETE))
        return;
    struct assignment added = place_of_limit(o, limit_to_add(o));
    added.value = json_raw(cap);
    set(s, added);
}

/* Where a limit is set: where the request has one, or else where the target takes it. */
static struct assignment
place_of_set_limit(struct settings *s)
{
    const char *const *limits = s->o->wire->provider->places.limits;

    for (const char *const *l = limits; *l != NULL; l++) {
        struct assignment place = place_of_limit(s->o, *l);

        if (value_in(s->doc, &place) != NULL)
            return place;
    }
    return place_of_limit(s->o, limit_to_add(s->o));
}

/* What is set already stays. */
static void
collect_params(struct settings *s, const struct json *params)
{
    struct json_iter it = json_iter(params);

    while (json_next(&it)) {
        struct str name = json_str(s->a, it.key);
        struct assignment what = is_limit(name) && s->o->wire->provider->places.limits != NULL
                                     ? place_of_set_limit(s)
                                     : place_of(s->o, name);

        what.value = json_raw(it.value);
        if (find(s, &what) == NULL)
            set(s, what);
    }
}

static void
collect_own_params(struct settings *s, const struct json *own)
{
    struct json_iter it = json_iter(own);

    while (json_next(&it))
        set(s, (struct assignment){ .name = json_str(s->a, it.key), .value = json_raw(it.value) });
}

static void
collect_caps(struct settings *s, const struct json *caps)
{
    struct json_iter it = json_iter(caps);

    while (json_next(&it)) {
        struct str name = json_str(s->a, it.key);

        if (is_limit(name))
            cap_limit(s, it.value);
        else
            (void)lower(s, place_of(s->o, name), it.value);
    }
}

/* Rules mean calls of models; a route that is passed through is not read. */
static bool
rules_apply(const struct overrides *o)
{
    return o->rule_count != 0 && o->op != OP_RELAY && o->op != OP_COUNT_TOKENS;
}

/* --- edits --- */

/* Forgets what was to be changed within the `n` bytes from `at` on: they are replaced whole. */
static void
drop_edits(struct wire_edits *edits, size_t at, size_t n)
{
    size_t kept = 0;

    for (size_t i = 0; i < edits->count; i++)
        if (edits->list[i].at < at || edits->list[i].at >= at + n)
            edits->list[kept++] = edits->list[i];
    edits->count = kept;
}

/* Forgets a member that was to be put at the front of the object, for it is set, too. */
static void
drop_member(struct wire_edits *edits, size_t at, struct str key)
{
    size_t kept = 0;

    for (size_t i = 0; i < edits->count; i++) {
        const struct wire_edit *e = &edits->list[i];
        if (e->at != at || e->cut != 0 || !str_starts(e->put, key))
            edits->list[kept++] = *e;
    }
    edits->count = kept;
}

/* Edits of one object: members are replaced, or put to its front. */
struct edited {
    struct wire_edits *edits;
    struct str body;
    const struct json *object;
    struct buf added;    /* "\"a\":1,\"b\":2," */
    bool fits;
};

static void
edit_begin(struct edited *e, struct wire_edits *edits, struct str body, const struct json *object)
{
    *e = (struct edited){ .edits = edits, .body = body, .object = object, .fits = true };
    buf_init(&e->added, ADDED_MOST);
}

static void
edit_member(struct edited *e, struct str name, struct str value)
{
    const struct json *old = json_get(e->object, name);
    size_t begin = buf_len(&e->added);

    if (old != NULL) {
        size_t at = (size_t)(old->p - e->body.p);

        drop_edits(e->edits, at, old->n);
        e->fits = wire_edit_add(e->edits, at, old->n, value) && e->fits;
        return;
    }
    json_add_str(&e->added, name);
    if (e->object != NULL)
        drop_member(
            e->edits, (size_t)(e->object->p - e->body.p) + 1, str_skip(buf_str(&e->added), begin));
    buf_add_c(&e->added, ':');
    buf_add(&e->added, value);
    buf_add_c(&e->added, ',');
}

static bool
edit_end(struct edited *e, struct arena *a)
{
    struct str text = buf_str(&e->added);

    if (text.n != 0 && e->object != NULL) {
        if (json_is_empty(e->object))
            text.n--;    /* its last comma */
        text = arena_str(a, text);
        e->fits = text.p != NULL && e->fits &&
                  wire_edit_add(e->edits, (size_t)(e->object->p - e->body.p) + 1, 0, text);
    }
    bool fits = e->fits && !e->added.overflow;
    buf_fini(&e->added);
    return fits;
}

/* The members of an object within the body: it is edited, or made and put into the body. */
static bool
edit_nested(const struct settings *s, struct edited *top)
{
    const char *name = s->o->wire->provider->places.object;
    const struct json *object = json_get(s->doc, str_c(name));
    bool exists = json_is(object, JSON_OBJECT), any = false;
    struct edited e;

    edit_begin(&e, top->edits, top->body, exists ? object : NULL);
    for (size_t i = 0; i < s->count; i++) {
        if (s->list[i].object == NULL)
            continue;
        edit_member(&e, s->list[i].name, s->list[i].value);
        any = true;
    }
    if (!exists && any && buf_len(&e.added) != 0) {
        struct buf value;

        buf_init(&value, ADDED_MOST);
        buf_add_c(&value, '{');
        buf_add(&value, str_make(buf_str(&e.added).p, buf_len(&e.added) - 1));
        buf_add_c(&value, '}');
        struct str kept = arena_str(s->a, buf_str(&value));
        e.fits = e.fits && !value.overflow && kept.p != NULL;
        edit_member(top, str_c(name), kept);
        buf_fini(&value);
    }
    return edit_end(&e, s->a);
}

bool
overrides_any(const struct overrides *o)
{
    if (o->params.n != 0)
        return true;
    for (size_t i = 0; rules_apply(o) && i < o->rule_count; i++)
        if (o->rules[i]->params != NULL || o->rules[i]->caps != NULL)
            return true;
    return false;
}

/* Everything that is to be set. False: there is no memory. */
static bool
collect(struct settings *s)
{
    const struct overrides *o = s->o;
    const struct json *own = o->params.n != 0 ? json_parse(s->a, o->params, NULL, NULL) : NULL;
    size_t rules = rules_apply(o) ? o->rule_count : 0;

    s->room = json_count(own);
    for (size_t i = 0; i < rules; i++)    /* a cap may lower two limits */
        s->room += json_count(o->rules[i]->params) + 2 * json_count(o->rules[i]->caps);
    s->list = arena_try(s->a, s->room * sizeof(*s->list));
    if (s->list == NULL)
        return false;
    collect_own_params(s, own);
    for (size_t i = 0; i < rules; i++)
        collect_params(s, o->rules[i]->params);
    for (size_t i = 0; i < rules; i++)
        collect_caps(s, o->rules[i]->caps);
    return true;
}

enum err
overrides_edit(const struct overrides *o, struct arena *a, const struct json *doc, struct str body,
    struct wire_edits *edits)
{
    struct settings s = { .o = o, .a = a, .doc = doc };
    struct edited top;
    bool fits = true;

    if (!overrides_any(o) || !json_is(doc, JSON_OBJECT) || json_is_empty(doc))
        return OK;
    if (!collect(&s))
        return ERR_NO_MEMORY;
    edit_begin(&top, edits, body, doc);
    for (size_t i = 0; i < s.count; i++)
        if (s.list[i].object == NULL)
            edit_member(&top, s.list[i].name, s.list[i].value);
    if (o->wire->provider->places.object != NULL)
        fits = edit_nested(&s, &top);
    fits = edit_end(&top, a) && fits;
    return fits ? OK : ERR_CONFIG;
}
