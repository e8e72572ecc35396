/* wishes.c - reads OpenRouter's routing fields, and takes them out of bodies for providers that do not
 * know them. */
#include "llm/wishes.h"

#include <math.h>
#include <stdlib.h>

#include "llm/effort.h"
#include "llm/read.h"

enum {
    LIST_MAX = 64,
    FALLBACKS_MAX = 3,
    TEXT_BYTES_MAX = 256,
};

#define NANOUSD_MAX 1e18

/* --- the members of a document --- */

static const struct member {
    struct str name;
    bool router;    /* on the routes of OpenRouter's API only; elsewhere it is the provider's matter */
    bool unknown;    /* it asks for what only OpenRouter does */
} members[] = {
    { S_INIT("models"), false, false },
    { S_INIT("provider"), false, false },
    { S_INIT("route"), false, false },
    { S_INIT("fallbacks"), true, false },
    { S_INIT("reasoning"), true, false },
    { S_INIT("include_reasoning"), true, false },
    { S_INIT("usage"), true, false },
    { S_INIT("session_id"), true, false },
    { S_INIT("transforms"), true, true },
    { S_INIT("plugins"), true, true },
    { S_INIT("preset"), true, true },
    { S_INIT("trace"), true, true },
    { S_INIT("debug"), true, true },
};

static const struct member *
member_named(const struct llm_request *r, const struct json *name)
{
    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        if ((r->router || !members[i].router) && json_str_is(name, members[i].name))
            return &members[i];
    return NULL;
}

bool
wishes_has(const struct llm_request *r, const struct json *name)
{
    return member_named(r, name) != NULL;
}

bool
wishes_honours(const struct llm_request *r, const struct json *name)
{
    const struct member *m = member_named(r, name);

    return m != NULL && !m->unknown;
}

/* --- reading --- */

void
wishes_init(struct wishes *w)
{
    *w = (struct wishes){
        .max_prompt_nanousd_per_1k = WISH_PRICE_ANY,
        .max_completion_nanousd_per_1k = WISH_PRICE_ANY,
        .max_request_nanousd = WISH_PRICE_ANY,
        .max_image_nanousd = WISH_PRICE_ANY,
        .max_audio_nanousd = WISH_PRICE_ANY,
    };
}

/* The wishes that are being read; the arena is that of the reading. */
struct wish_reading {
    struct reading rd;
    struct wishes *w;
    struct arena *keep;
};

static void
bad(struct cursor c, const char *what)
{
    read_fault(c, ERR_BAD_REQUEST, what);
}

static void
add_word(struct wish_reading *wr, struct cursor c, struct llm_word ***tail)
{
    struct str text = read_required_text(c);

    if (text.n > TEXT_BYTES_MAX) {
        bad(c, "must be at most 256 bytes");
        return;
    }
    **tail = arena_new(wr->keep, struct llm_word);
    (**tail)->text = arena_str(wr->keep, text);
    *tail = &(**tail)->next;
}

/* A list of at most `most` texts. */
static struct llm_word *
read_list(struct wish_reading *wr, struct cursor list, uint32_t most, const char *too_many)
{
    struct llm_word *first = NULL, **tail = &first;

    READ_EACH (element, &list) {
        if (element.index >= most) {
            bad(list, too_many);
            break;
        }
        add_word(wr, element, &tail);
    }
    return first;
}

static struct llm_word *
read_words(struct wish_reading *wr, struct cursor list)
{
    return read_list(wr, list, LIST_MAX, "must have at most 64 entries");
}

/* A number that is not negative; OpenRouter takes it as a text, too. -1: it is not said. */
static double
read_amount(struct cursor c)
{
    char text[64];
    char *end = NULL;
    double v = -1;

    if (!read_present(c))
        return -1;
    if (c.j->type == JSON_NUMBER) {
        v = json_f64(c.j, -1);
    } else if (c.j->type == JSON_STRING && c.j->n - 2 < sizeof(text) && c.j->n > 2) {
        str_copy_c(text, sizeof(text), str_make(c.j->p + 1, c.j->n - 2));
        v = strtod(text, &end);
        v = *end == '\0' ? v : -1;
    }
    if (!isfinite(v) || v < 0) {
        bad(c, "must be a number that is not negative");
        return -1;
    }
    return v;
}

static int64_t
read_price(struct cursor c, double nanousd)
{
    double v = read_amount(c);

    return v < 0 ? WISH_PRICE_ANY : (int64_t)MIN(v * nanousd + 0.5, NANOUSD_MAX);
}

/* Calls `known` for each member of the object, and finds fault with those that are not among the
 * names: a demand that is not understood must not be ignored. */
static void
check_object(struct cursor object, const char *const *names, const char *what)
{
    struct json_iter it = json_iter(read_node(object, JSON_OBJECT));

    while (json_next(&it)) {
        const char *const *name = names;

        while (*name != NULL && !json_str_is(it.key, str_c(*name)))
            name++;
        if (*name == NULL) {
            bad(object, what);
            return;
        }
    }
}

/* {"prompt": 1, "completion": "2.5"}: dollars per million tokens; per request, image, second. */
static void
read_max_price(struct wish_reading *wr, struct cursor price)
{
    static const char *const names[] = { "prompt", "completion", "request", "image", "audio",
        NULL };
    struct wishes *w = wr->w;

    check_object(price, names, "may have prompt, completion, request, image and audio only");
    w->max_prompt_nanousd_per_1k = read_price(read_at(&price, "prompt"), 1e6);
    w->max_completion_nanousd_per_1k = read_price(read_at(&price, "completion"), 1e6);
    w->max_request_nanousd = read_price(read_at(&price, "request"), 1e9);
    w->max_image_nanousd = read_price(read_at(&price, "image"), 1e9);
    w->max_audio_nanousd = read_price(read_at(&price, "audio"), 1e9);
}

/* "price", or {"by": "price", "partition": "none"}. */
static void
read_sort(struct wish_reading *wr, struct cursor sort)
{
    static const char *const names[] = { "by", "partition", NULL };
    static const struct llm_named sorts[] = {
        { S_INIT("price"), SORT_PRICE },
        { S_INIT("throughput"), SORT_THROUGHPUT },
        { S_INIT("latency"), SORT_LATENCY },
    };
    struct cursor by = sort;

    if (!read_present(sort))
        return;
    if (sort.j->type == JSON_OBJECT) {
        struct cursor partition = read_at(&sort, "partition");

        check_object(sort, names, "may have by and partition only");
        by = read_at(&sort, "by");
        wr->w->across_models = read_is(partition, "none");
        if (read_present(partition) && !wr->w->across_models && !read_is(partition, "model"))
            bad(partition, "must be model or none");
        if (!read_present(by))
            return;
    }

    int named = read_word(by.j, sorts, ARRAY_LEN(sorts));

    if (named < 0)
        bad(by, "must be price, throughput or latency");
    else
        wr->w->sort = (enum wish_sort)named;
}

/* A number, or numbers by percentile, of which the lowest percentile counts: what is known here is what
 * is expected of the next request. */
static double
read_threshold(struct cursor c)
{
    static const char *const names[] = { "p50", "p75", "p90", "p99", NULL };

    if (!json_is(c.j, JSON_OBJECT))
        return MAX(read_amount(c), 0);

    double lowest = -1;

    check_object(c, names, "may have p50, p75, p90 and p99 only");
    for (size_t i = 0; names[i] != NULL; i++) {
        double v = read_amount(read_at(&c, names[i]));

        lowest = lowest < 0 ? v : lowest;
    }
    return MAX(lowest, 0);
}

static struct llm_word *
read_quantizations(struct wish_reading *wr, struct cursor list)
{
    static const struct llm_named known[] = {
        { S_INIT("int4"), 1 },
        { S_INIT("int8"), 1 },
        { S_INIT("fp4"), 1 },
        { S_INIT("fp6"), 1 },
        { S_INIT("fp8"), 1 },
        { S_INIT("fp16"), 1 },
        { S_INIT("bf16"), 1 },
        { S_INIT("fp32"), 1 },
        { S_INIT("unknown"), 1 },
    };
    struct llm_word *words = read_words(wr, list);

    for (const struct llm_word *word = words; word != NULL; word = word->next)
        if (read_word_str(word->text, known, ARRAY_LEN(known)) < 0)
            bad(list, "must be int4, int8, fp4, fp6, fp8, fp16, bf16, fp32 or unknown");
    return words;
}

static void
read_provider(struct wish_reading *wr, struct cursor provider)
{
    static const char *const names[] = { "order", "only", "ignore", "allow_fallbacks",
        "require_parameters", "data_collection", "zdr", "enforce_distillable_text", "quantizations",
        "sort", "max_price", "preferred_min_throughput", "preferred_max_latency", "options", NULL };
    struct cursor collection = read_at(&provider, "data_collection");
    struct wishes *w = wr->w;

    check_object(provider, names, "has a member that this gateway does not know");
    w->order = read_words(wr, read_at(&provider, "order"));
    w->only = read_words(wr, read_at(&provider, "only"));
    w->ignore = read_words(wr, read_at(&provider, "ignore"));
    w->allow_fallbacks = read_flag(read_at(&provider, "allow_fallbacks"));
    w->require_parameters = read_flag(read_at(&provider, "require_parameters"));
    w->no_collection = read_is(collection, "deny");
    if (read_present(collection) && !w->no_collection && !read_is(collection, "allow"))
        bad(collection, "must be allow or deny");
    w->zdr = read_flag(read_at(&provider, "zdr")) == YES;
    w->distillable = read_flag(read_at(&provider, "enforce_distillable_text")) == YES;
    w->quantizations = read_quantizations(wr, read_at(&provider, "quantizations"));
    read_sort(wr, read_at(&provider, "sort"));
    read_max_price(wr, read_at(&provider, "max_price"));
    w->min_throughput = read_threshold(read_at(&provider, "preferred_min_throughput"));
    w->max_latency_s = read_threshold(read_at(&provider, "preferred_max_latency"));
}

/* [{"model": "..."}], as Anthropic's SDKs have it. */
static void
read_fallbacks(struct wish_reading *wr, struct cursor list, struct llm_word ***tail)
{
    static const char *const names[] = { "model", NULL };

    READ_EACH (entry, &list) {
        if (entry.index >= FALLBACKS_MAX) {
            bad(list, "must have at most 3 entries");
            return;
        }
        check_object(entry, names, "may have a model only");
        if (json_is(entry.j, JSON_OBJECT))
            add_word(wr, read_at(&entry, "model"), tail);
    }
}

/* The models after the one that is asked for, which is the first of them if "model" is missing. */
static void
read_models(struct wish_reading *wr, const struct cursor *doc)
{
    struct cursor models = read_at(doc, "models"), fallbacks = read_at(doc, "fallbacks");
    struct llm_word *list = read_words(wr, models), **tail = &list;

    if (read_at(doc, "model").j == NULL && list != NULL && wr->rd.r->router)
        list = list->next;
    if (wr->rd.r->router && read_present(fallbacks)) {
        if (read_present(models))
            bad(fallbacks, "cannot be combined with models");
        read_fallbacks(wr, fallbacks, &tail);
    }
    wr->w->models = list;
}

enum err
wishes_read(
    struct llm_request *r, struct arena *a, struct wishes **ret, struct wire_fault *ret_fault)
{
    bool any = false;

    *ret = NULL;
    if (!json_is(r->doc, JSON_OBJECT))
        return OK;
    for (const struct json *at = r->doc + 1; at != r->doc + r->doc->span; at += 1 + at[1].span)
        any = any || member_named(r, at) != NULL;
    if (!any)
        return OK;

    struct wish_reading wr = {
        .rd = { .r = r, .a = r->arena, .fault = ret_fault, .words = r->wire->caller->words },
        .w = arena_new(a, struct wishes),
        .keep = a
    };
    struct cursor doc = read_document(&wr.rd);
    struct cursor route = read_at(&doc, "route");

    r->wished = true;
    wishes_init(wr.w);
    read_provider(&wr, read_at(&doc, "provider"));
    read_models(&wr, &doc);
    if (read_present(route) && !read_is(route, "fallback") && !read_is(route, "sort"))
        bad(route, "must be fallback");
    r->require_all = wr.w->require_parameters == YES;
    if (wr.rd.err == OK)
        *ret = wr.w;
    return wr.rd.err;
}

bool
wishes_cut_suffix(struct str *name, struct wishes *w)
{
    static const struct llm_named suffixes[] = {
        { S_INIT(":nitro"), SORT_THROUGHPUT },
        { S_INIT(":floor"), SORT_PRICE },
    };

    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        if (name->n <= suffixes[i].word.n || !str_ends(*name, suffixes[i].word))
            continue;
        name->n -= suffixes[i].word.n;
        if (w->sort == SORT_UNSAID)
            w->sort = (enum wish_sort)suffixes[i].value;
        return true;
    }
    return false;
}

struct str
wishes_first_model(const struct llm_request *r)
{
    const struct json *models = json_get(r->doc, S("models"));

    if (!json_is(models, JSON_ARRAY) || json_is_empty(models))
        return S("");
    return json_str(r->arena, models + 1);
}

/* --- what a key may use --- */

/* A plugin of OpenRouter's may ask models of its own: "allowed_models", "analysis_models", "model". */
static void
add_models_of_plugins(struct cursor plugins, struct llm_word ***tail)
{
    const struct llm_request *r = plugins.rd->r;
    struct json_iter plugin = json_iter(plugins.j);
    size_t count = 0;

    while (json_next(&plugin)) {
        struct json_iter it = json_iter(plugin.value);

        while (json_is(plugin.value, JSON_OBJECT) && json_next(&it)) {
            struct str name = json_str(r->arena, it.key);

            for (const struct json *at = it.value; at < it.value + it.value->span; at++) {
                if (at->type != JSON_STRING || str_find(name, S("model")) == name.n)
                    continue;
                if (count++ == LIST_MAX) {
                    bad(plugins, "must name at most 64 models");
                    return;
                }
                **tail = arena_new(r->arena, struct llm_word);
                (**tail)->text = json_str(r->arena, at);
                *tail = &(**tail)->next;
            }
        }
    }
}

enum err
wishes_named_models(struct llm_request *r, struct llm_word **ret, struct wire_fault *ret_fault)
{
    static const struct read_member named[] = { { .name = "models" }, { .name = "fallbacks" },
        { .name = NULL } };
    static const struct read_member all[] = { { .name = "models" }, { .name = "fallbacks" },
        { .name = "plugins" }, { .name = NULL } };
    struct reading rd = {
        .r = r, .a = r->arena, .fault = ret_fault, .words = r->wire->caller->words
    };
    struct cursor doc = read_document(&rd);
    struct llm_word **tail = ret;

    *ret = NULL;
    if (!json_is(r->doc, JSON_OBJECT))
        return OK;
    rd.err = wire_check_members(r->arena, r->doc, all, PARAMS_COLUMNS, ret_fault);
    for (size_t i = 0; named[i].name != NULL; i++) {
        struct cursor list = read_at(&doc, named[i].name);

        READ_EACH (entry, &list) {
            if (entry.index >= LIST_MAX) {
                bad(list, "must have at most 64 entries");
                break;
            }
            *tail = arena_new(r->arena, struct llm_word);
            (*tail)->text = read_required_text(
                json_is(entry.j, JSON_OBJECT) ? read_at(&entry, "model") : entry);
            tail = &(*tail)->next;
        }
    }
    add_models_of_plugins(read_at(&doc, "plugins"), &tail);
    return rd.err;
}

/* --- taking them out of a body --- */

/* The word for {"effort"}, {"max_tokens"}, {"enabled"}; empty: it asks for nothing. */
static struct str
reasoning_word(const struct llm_request *r, const struct json *reasoning)
{
    const struct json *tokens = json_get(reasoning, S("max_tokens"));
    const struct json *enabled = json_get(reasoning, S("enabled"));
    struct str word = json_str(r->arena, json_get(reasoning, S("effort")));

    if (json_is(enabled, JSON_FALSE))
        return S("none");
    if (word.n != 0)
        return word;
    if (json_is(tokens, JSON_NUMBER))
        return effort_word(json_i64(tokens, 0));
    return json_is(enabled, JSON_TRUE) ? S("medium") : S("");
}

/* What a member becomes: "reasoning", which OpenAI does not know, the word for it. */
static struct str
replacement(const struct llm_request *r, const struct json *name, const struct json *value)
{
    if (r->op != OP_CHAT || !json_str_is(name, S("reasoning")) || !json_is(value, JSON_OBJECT) ||
        json_get(r->doc, S("reasoning_effort")) != NULL)
        return S("");

    struct str word = reasoning_word(r, value);
    struct buf b;

    if (word.n == 0 || word.n > TEXT_BYTES_MAX)
        return S("");
    buf_init(&b, 4096);
    buf_add(&b, S("\"reasoning_effort\":"));
    json_add_str(&b, word);
    struct str text = arena_str(r->arena, buf_str(&b));
    buf_fini(&b);
    return text;
}

static size_t
offset_of(const struct llm_request *r, const char *p)
{
    CHECK(p >= r->body.p && p <= r->body.p + r->body.n);
    return (size_t)(p - r->body.p);
}

void
wishes_edit(const struct llm_request *r, struct wire_edits *edits, struct wire_drops *drops)
{
    struct json_iter it = json_iter(r->doc);
    const char *kept = NULL;    /* the end of the last member that stays */
    const char *gone = NULL;    /* the first of those that go after it */
    const char *end = NULL;     /* the end of the last of these */

    while (json_is(r->doc, JSON_OBJECT) && json_next(&it)) {
        const struct member *m = member_named(r, it.key);
        struct str put = m != NULL ? replacement(r, it.key, it.value) : S("");
        bool goes = m != NULL && put.n == 0;

        if (m != NULL && m->unknown && json_present(it.value) && drops != NULL)
            wire_drop(drops, m->name);
        if (goes) {
            gone = gone != NULL ? gone : it.key->p;
            end = it.value->p + it.value->n;
            continue;
        }
        if (gone != NULL)
            (void)wire_edit_add(edits, offset_of(r, gone), (size_t)(it.key->p - gone), S(""));
        if (put.n != 0)
            (void)wire_edit_add(edits, offset_of(r, it.key->p),
                (size_t)(it.value->p + it.value->n - it.key->p), put);
        gone = NULL;
        kept = it.value->p + it.value->n;
    }
    if (gone != NULL)
        (void)wire_edit_add(edits, offset_of(r, kept != NULL ? kept : gone),
            (size_t)(end - (kept != NULL ? kept : gone)), S(""));
}
