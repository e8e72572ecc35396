/* wire.c - the table of protocols, and what several of them need: edits in place, drops,
 * ids.
 */
#include "llm/wire.h"

#include "base/digest.h"
#include "base/map.h"
#include "llm/stops.h"
#include "llm/wishes.h"

static const struct wire *const wires[] = {
#define WIRE(id) &wire_##id,
#include "llm/wires.def"
#undef WIRE
};

const struct wire *
wire_at(size_t i)
{
    return i < ARRAY_LEN(wires) ? wires[i] : NULL;
}

const struct wire *
wire_named(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(wires); i++)
        if (str_eq(wires[i]->name, name))
            return wires[i];
    return NULL;
}

enum err
wire_read_answer(struct wire_reader *r, struct str body)
{
    const struct wire_provider *p = r->wire->provider;

    return p->reads[r->op] != NULL ? p->reads[r->op](r, body) : p->read_answer(r, body);
}

/* --- the members of a request --- */

/* Whether a key has lower-case letters and '_' only, so that it cannot resemble another one. */
static bool
is_plain_key(const struct json *key)
{
    const char *end = key->p + key->n - 1;

    for (const char *p = key->p + 1; p != end; p++)
        if ((unsigned char)(*p - '_') > 'z' - '_')    /* '`' is harmless */
            return false;
    return true;
}

/* Whether that holds for these names: they have no capital letters. */
static bool
are_small(const struct read_member *members)
{
    for (; members->name != NULL; members++)
        for (const char *p = members->name; *p != '\0'; p++)
            if (*p >= 'A' && *p <= 'Z')
                return false;
    return true;
}

/* The member or parameter that some parser would take `key` for, or NULL. */
static const char *
resembled(struct str key, const struct read_member *members, enum params_column column)
{
    for (; members->name != NULL; members++)
        if (str_resembles(key, str_c(members->name)))
            return members->name;
    for (unsigned p = 0; p < PARAM_NODES && column != PARAMS_COLUMNS; p++) {
        const char *name = param_name(p, column);

        if (name != NULL && str_resembles(key, str_c(name)))
            return name;
    }
    return NULL;
}

enum err
wire_check_members(struct arena *a, const struct json *doc, const struct read_member *members,
    enum params_column column, struct wire_fault *ret_fault)
{
    if (!json_is(doc, JSON_OBJECT))
        return OK;

    bool small = are_small(members);

    for (const struct json *at = doc + 1; at != doc + doc->span; at += 1 + at[1].span) {
        if (LIKELY(small && is_plain_key(at)))
            continue;

        struct arena_mark mark = arena_mark(a);
        struct str key = json_str(a, at);
        const char *member = resembled(key, members, column);

        arena_rewind(a, mark);
        if (key.p == NULL) {
            ret_fault->message = S("the request is larger than allowed");
            return ERR_TOO_LARGE;
        }
        if (member == NULL)
            continue;
        ret_fault->param = str_c(member);
        ret_fault->message = arena_printf(a,
            "%s: the body has a member that some providers would read as this one; write it as "
            "\"%s\", once",
            member, member);
        return ERR_BAD_REQUEST;
    }
    return OK;
}

/* --- parameters that the target cannot express --- */

enum { DROPS_MAX = 64, DROP_NAME_MAX = 64 };

/* Names end up in a header field, and callers can choose some of them. */
static bool
is_parameter_name(struct str name)
{
    return name.n > 0 && name.n <= DROP_NAME_MAX && str_has_only(name, "_.-[]");
}

void
wire_drop(struct wire_drops *d, struct str name)
{
    unsigned before = 0;

    if (d == NULL || !is_parameter_name(name))
        return;
    if (d->tail == NULL)
        d->tail = &d->names;
    for (const struct llm_word *w = d->names; w != NULL; w = w->next)
        if (str_eq(w->text, name) || ++before == DROPS_MAX)
            return;

    struct llm_word *w = arena_new(d->arena, struct llm_word);

    /* the body that holds it is released before the answer is sent */
    w->text = arena_str(d->arena, name);
    if (w->text.p == NULL)
        return;
    *d->tail = w;
    d->tail = &w->next;
}

void
wire_drop_block(struct wire_drops *d, const struct llm_part *part)
{
    const struct json *named = json_get(part->raw, S("type"));
    struct json_iter it = json_iter(part->raw);

    if (named == NULL && json_is(part->raw, JSON_OBJECT) && json_next(&it))
        named = it.key;    /* {"guardContent":{...}} */

    struct str type = json_str(d->arena, named);

    wire_drop(d, arena_printf(d->arena, "messages." STR_FMT, STR_ARG(type)));
}

static void
destroy_map(void *map)
{
    map_destroy(map);
}

bool
wire_rename(struct wire_drops *d, struct str sent, struct str asked)
{
    if (d->renamed == NULL) {
        d->renamed = map_create();
        arena_cleanup(d->arena, destroy_map, d->renamed);
    }
    if (map_get(d->renamed, sent) != NULL)
        return true;

    struct str *kept = arena_new(d->arena, struct str);

    *kept = arena_str(d->arena, asked);
    if (kept->p != NULL)
        (void)map_put(d->renamed, sent, kept);
    return kept->p != NULL;
}

bool
wire_wrap(struct wire_drops *d, struct str name)
{
    if (d->free_form == NULL) {
        d->free_form = map_create();
        arena_cleanup(d->arena, destroy_map, d->free_form);
    }

    struct str kept = arena_str(d->arena, name);

    if (kept.p != NULL)
        (void)map_put(d->free_form, kept, d);
    return kept.p != NULL;
}

void
wire_drop_extra(struct wire_drops *d, const struct llm_request *r)
{
    for (const struct llm_member *m = r->extra; m != NULL; m = m->next)
        if (m->name->n <= DROP_NAME_MAX && json_present(m->value) && m->value->type != JSON_FALSE &&
            !wishes_honours(r, m->name))
            wire_drop(d, json_str(r->arena, m->name));
}

/* --- tools of one protocol --- */

/* The parameters by which callers ask for such a tool without naming it in the list. */
static struct str
own_tool(const struct llm_member *m)
{
    static const struct str parameters[] = {
        S_INIT("web_search_options"),    /* OpenAI */
        S_INIT("search_parameters"),     /* xAI */
        S_INIT("plugins"),               /* OpenRouter */
        S_INIT("mcp_servers"),           /* Anthropic */
    };

    for (size_t i = 0; i < ARRAY_LEN(parameters); i++)
        if (json_present(m->value) && m->value->type != JSON_FALSE &&
            json_str_is(m->name, parameters[i]))
            return parameters[i];
    return S("");
}

enum err
wire_check_tools(const struct llm_request *r, const struct wire *to, struct wire_fault *ret_fault)
{
    struct str lost = S("");
    bool others = false;
    bool demanded = false;

    if (r->wire == to || r->choice == CHOICE_NONE)
        return OK;
    for (const struct llm_tool *tool = r->tools; tool != NULL; tool = tool->next) {
        others = others || tool->raw == NULL;
        if (tool->raw == NULL || demanded)
            continue;
        demanded = r->choice == CHOICE_NAMED && str_eq(tool->name, r->choice_name);
        if (lost.n == 0 || demanded)
            lost = tool->name;
    }
    for (const struct llm_member *m = r->extra; m != NULL && lost.n == 0; m = m->next)
        lost = own_tool(m);
    if (lost.n == 0 || (others && !demanded))
        return OK;
    ret_fault->param = S("tools");
    ret_fault->message = arena_printf(r->arena,
        "tools: only providers of the protocol " STR_FMT " have '%.*s'; ask for a model of one, or "
        "offer other tools",
        STR_ARG(r->wire->name), (int)MIN(lost.n, 128), lost.p);
    return ERR_UNSUPPORTED;
}

/* --- changing a body in place --- */

bool
wire_edit_add(struct wire_edits *e, size_t at, size_t cut, struct str put)
{
    if (e->count == WIRE_EDITS)
        return false;

    size_t i = e->count++;

    /* Insertions go before a cut at the same place. */
    for (; i > 0 && (e->list[i - 1].at > at ||
                        (e->list[i - 1].at == at && cut == 0 && e->list[i - 1].cut > 0));
         i--)
        e->list[i] = e->list[i - 1];
    e->list[i] = (struct wire_edit){ .at = at, .cut = cut, .put = put };
    return true;
}

size_t
wire_edits_apply(const struct wire_edits *e, struct str body, struct str *pieces)
{
    size_t n = 0;
    size_t from = 0;

    for (size_t i = 0; i < e->count; i++) {
        const struct wire_edit *edit = &e->list[i];

        CHECK(edit->at <= body.n && edit->cut <= body.n - edit->at);
        if (edit->at < from)    /* inside a range that is cut */
            continue;
        if (edit->at > from)
            pieces[n++] = str_make(body.p + from, edit->at - from);
        if (edit->put.n > 0)
            pieces[n++] = edit->put;
        from = edit->at + edit->cut;
    }
    if (from < body.n)
        pieces[n++] = str_make(body.p + from, body.n - from);
    return n;
}

void
wire_rewrite_begin(struct wire_rewrite *w, const struct json *value)
{
    *w = (struct wire_rewrite){ .value = value, .done = value->p };
    buf_init(&w->out, 2 * value->n);
}

void
wire_rewrite_put(struct wire_rewrite *w, const char *from, const char *to, struct str put)
{
    CHECK(from >= w->done && to >= from);
    buf_add(&w->out, str_make(w->done, (size_t)(from - w->done)));
    buf_add(&w->out, put);
    w->done = to;
}

void
wire_rewrite_cut(struct wire_rewrite *w, const struct json *container,
    bool (*goes)(const void *arg, const struct json *key, const struct json *value),
    void (*keep)(
        struct wire_rewrite *w, const void *arg, const struct json *key, const struct json *value),
    const void *arg)
{
    struct json_iter it = json_iter(container);
    const struct json *kept = NULL;    /* the last value that stays */
    const char *first = NULL;          /* start of the elements being removed */

    while (json_next(&it)) {
        const char *begins = it.key != NULL ? it.key->p : it.value->p;

        if (goes(arg, it.key, it.value)) {
            first = first != NULL ? first : begins;
            continue;
        }
        if (first != NULL)
            wire_rewrite_put(w, first, begins, S(""));
        if (keep != NULL)
            keep(w, arg, it.key, it.value);
        kept = it.value;
        first = NULL;
    }
    if (first != NULL && kept != NULL)
        wire_rewrite_put(w, kept->p + kept->n, container->p + container->n - 1, S(""));
}

void
wire_rewrite_end(struct wire_rewrite *w, const struct llm_request *r, struct wire_edits *edits)
{
    const struct json *value = w->value;

    if (w->done != value->p) {
        wire_rewrite_put(w, value->p + value->n, value->p + value->n, S(""));

        struct str put = arena_str(r->arena, buf_str(&w->out));

        if (put.p != NULL && !w->out.overflow)    /* else the provider reports the problem */
            (void)wire_edit_add(edits, (size_t)(value->p - r->body.p), value->n, put);
    }
    buf_fini(&w->out);
}

bool
wire_cut_stop(struct wire_drops *d, struct str stop)
{
    struct llm_word **at = &d->stops;
    size_t n = 0;

    for (; *at != NULL; at = &(*at)->next)
        n++;

    char *copy = stop.n > 0 && stop.n <= STOPS_MOST_BYTES && n < STOPS_MOST
                     ? arena_try(d->arena, stop.n)
                     : NULL;

    if (copy == NULL)
        return false;
    memcpy(copy, stop.p, stop.n);
    *at = arena_new(d->arena, struct llm_word);
    (*at)->text = str_make(copy, stop.n);
    return true;
}

/* --- ids --- */

enum { ID_HASH_BYTES = 12 };

struct str
wire_hash_id(struct arena *a, struct str id, struct str prefix)
{
    uint8_t digest[DIGEST_SHA256_BYTES];
    char hex[2 * ID_HASH_BYTES + 1];

    digest_sha256(id, digest);
    digest_hex(digest, ID_HASH_BYTES, hex);
    return arena_printf(a, STR_FMT "%s", STR_ARG(prefix), hex);
}

/* --- prompt caches --- */

enum llm_cache_mark
wire_cache_mark(const struct json *j)
{
    const struct json *control = json_get(j, S("cache_control"));
    const struct json *ttl = json_get(control, S("ttl"));

    if (!json_is(control, JSON_OBJECT))
        return MARK_NONE;
    if (json_str_is(ttl, S("5m")))
        return MARK_5M;
    return json_str_is(ttl, S("1h")) ? MARK_1H : MARK_SET;
}
