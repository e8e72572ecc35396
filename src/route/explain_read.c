/* explain_read.c - reads decisions back, from logs that anybody may have written. */
#include "route/explain.h"

#include "llm/wire.h"
#include "route/analyze.h"
#include "route/show.h"

#define TAGS_MOST 64
#define WORDS_MOST 64

static uint64_t
read_hex(const struct json *j)
{
    uint64_t v = 0;

    if (!json_is(j, JSON_STRING) || j->n != 18)
        return 0;
    for (size_t i = 1; i < 17; i++) {
        int digit = str_hex_digit(j->p[i]);

        if (digit < 0)
            return 0;
        v = v << 4 | (uint64_t)digit;
    }
    return v;
}

/* --- the request --- */

static uint32_t
read_uses(const struct json *list)
{
    struct json_iter it = json_iter(list);
    uint32_t bits = 0;

    while (json_next(&it))
        for (unsigned i = 0; i < NEED_COUNT; i++)
            if (json_str_is(it.value, str_c(need_name((enum need)i))))
                bits |= 1u << i;
    return bits;
}

static void
read_needs(struct ask *ask, const struct json *j)
{
    if (!json_is(j, JSON_OBJECT))
        return;
    ask->known |= ASK_NEEDS;
    ask->needs = (struct needs){
        .bits = read_uses(json_get(j, S("uses"))),
        .input_tokens = MAX(json_i64(json_get(j, S("input")), 0), 0),
        .output_tokens = MAX(json_i64(json_get(j, S("output")), 0), 0),
        .messages = (uint32_t)json_i64(json_get(j, S("messages")), 0),
        .tools = (uint32_t)json_i64(json_get(j, S("tools")), 0),
        .prefix = read_hex(json_get(j, S("prefix"))),
        .conversation = read_hex(json_get(j, S("conversation"))),
    };
}

static void
read_analysis(struct ask *ask, struct arena *a, const struct json *j)
{
    struct analysis *found;

    if (!json_is(j, JSON_OBJECT))
        return;
    found = arena_new(a, struct analysis);
    *found = (struct analysis){
        .language = arena_str(a, json_str(a, json_get(j, S("language")))).p,
        .task = TASK_UNKNOWN,
        .tokens = (uint32_t)json_i64(json_get(j, S("tokens")), 0),
        .complexity_permille = (uint16_t)json_i64(json_get(j, S("complexity_permille")), 0),
        .code_permille = (uint16_t)json_i64(json_get(j, S("code_permille")), 0),
        .sentiment_permille = (int16_t)json_i64(json_get(j, S("sentiment_permille")), 0),
        .sensitivity = (uint8_t)json_i64(json_get(j, S("sensitivity")), 0),
    };
    for (unsigned i = 0; i < TASK_COUNT; i++)
        if (json_str_is(json_get(j, S("task")), str_c(task_name((enum task)i))))
            found->task = (enum task)i;
    if (found->language == NULL)    /* there was no memory */
        return;
    ask->analysis = found;
    ask->known |= ASK_ANALYSIS;
}

static struct llm_word *
read_words(struct arena *a, const struct json *list)
{
    struct json_iter it = json_iter(list);
    struct llm_word *first = NULL, **tail = &first;

    for (unsigned n = 0; n < WORDS_MOST && json_next(&it); n++) {
        *tail = arena_new(a, struct llm_word);
        (*tail)->text = json_str(a, it.value);
        tail = &(*tail)->next;
    }
    return first;
}

static struct wishes *
read_wishes(struct arena *a, const struct json *j)
{
    static const char *const sorts[] = { "", "price", "throughput", "latency" };
    struct wishes *w;

    if (!json_is(j, JSON_OBJECT))
        return NULL;
    w = arena_new(a, struct wishes);
#define AT(member) json_get(j, S(#member))
#define WISH_WORDS(member) w->member = read_words(a, AT(member));
#define WISH_TRI(member) w->member = llm_tri_of(AT(member));
#define WISH_FLAG(member) w->member = json_bool(AT(member), false);
#define WISH_MONEY(member) w->member = json_i64(AT(member), -1);
#define WISH_REAL(member) w->member = json_f64(AT(member), 0);
#include "route/explain.def"
#undef AT
    for (unsigned i = SORT_UNSAID + 1; i < ARRAY_LEN(sorts); i++)
        if (json_str_is(json_get(j, S("sort")), str_c(sorts[i])))
            w->sort = (enum wish_sort)i;
    return w;
}

static struct ask_tag *
read_tags(struct arena *a, const struct json *j)
{
    struct json_iter it = json_iter(json_is(j, JSON_OBJECT) ? j : NULL);
    struct ask_tag *first = NULL, **tail = &first;

    for (unsigned n = 0; n < TAGS_MOST && json_next(&it); n++) {
        *tail = arena_new(a, struct ask_tag);
        (*tail)->name = json_str(a, it.key);
        (*tail)->value = json_str(a, it.value);
        tail = &(*tail)->next;
    }
    return first;
}

/* The header fields that rules read then; one that was not there has no value. */
static const struct http_fields *
read_fields(struct arena *a, const struct json *j)
{
    struct json_iter it = json_iter(json_is(j, JSON_OBJECT) ? j : NULL);
    struct http_fields *fields;

    if (!json_is(j, JSON_OBJECT))
        return NULL;
    fields = arena_new(a, struct http_fields);
    fields->list = arena_array(a, struct http_field, RULES_READ_MOST);
    while (fields->count < RULES_READ_MOST && json_next(&it))
        fields->list[fields->count++] =
            (struct http_field){ json_str(a, it.key), json_str(a, it.value) };
    return fields;
}

static bool
read_ask(struct ask *ask, struct arena *a, const struct json *j)
{
    struct json_iter turns = json_iter(json_get(j, S("turns")));
    const struct json *op = json_get(j, S("op"));
    bool known = false;

    ask->arena = a;
    for (unsigned i = 0; i < OP_COUNT; i++) {
        if (json_str_is(op, str_c(llm_op_name((enum llm_op)i)))) {
            ask->op = (enum llm_op)i;
            known = true;
        }
    }
    ask->wire = wire_named(json_str(a, json_get(j, S("wire"))));
    ask->wall_ms = (uint64_t)json_i64(json_get(j, S("at_ms")), 0);
    ask->now_us = ask->wall_ms * 1000;
    ask->seed = read_hex(json_get(j, S("seed")));
    while (ask->turn_count < ASK_TURNS && json_next(&turns))
        ask->turns[ask->turn_count++] = (uint64_t)json_i64(turns.value, 0);
    ask->user_hash = read_hex(json_get(j, S("user")));
    ask->session_hash = read_hex(json_get(j, S("session")));
    read_needs(ask, json_get(j, S("needs")));
    read_analysis(ask, a, json_get(j, S("analysis")));
    ask->fields = read_fields(a, json_get(j, S("headers")));
    ask->tags = read_tags(a, json_get(j, S("tags")));
    ask->wishes = read_wishes(a, json_get(j, S("wishes")));
    return known && ask->wire != NULL;
}

/* --- the candidates --- */

static void
read_look(struct look *l, const struct json *c)
{
    const struct json *j = json_get(c, S("state"));

    *l = (struct look){ .cost_nanousd = COST_UNKNOWN, .quality = -1 };
    for (unsigned i = HEALTH_CLOSED; i <= HEALTH_OFF; i++) {
        if (json_str_is(j, str_c(health_state_name((enum health_state)i)))) {
            l->state = (enum health_state)i;
            l->taken |= LOOK_HEALTH;
        }
    }
#define SEEN_COUNT(at, type, member, name)                                                         \
    if ((j = json_get(c, S(name))) != NULL) {                                                      \
        l->member = (type)MAX(json_i64(j, 0), 0);                                                  \
        l->taken |= LOOK_##at;                                                                     \
    }
#define SEEN_KNOWN(at, member, name)                                                               \
    if ((j = json_get(c, S(name))) != NULL) {                                                      \
        l->member = json_i64(j, -1);                                                               \
        l->taken |= LOOK_##at;                                                                     \
    }
#define SEEN_REAL(at, member, name)                                                                \
    if ((j = json_get(c, S(name))) != NULL) {                                                      \
        l->member = (float)json_f64(j, -1);                                                        \
        l->taken |= LOOK_##at;                                                                     \
    }
#include "route/explain.def"
    l->stale = json_bool(json_get(c, S("stale")), false);
    if ((j = json_get(c, S("exhausted_until_ms"))) != NULL) {
        l->exhausted_until_ms = (uint64_t)MAX(json_i64(j, 0), 0);
        l->exhausted = l->exhausted_until_ms != 0;
        l->taken |= LOOK_HEADROOM;
    }
}

/* Those that could take the request come first in a plan. */
static void
read_candidates(struct explain_record *r, struct arena *a, const struct json *list)
{
    struct json_iter it = json_iter(list);
    uint32_t count = MIN(json_count(list), (uint32_t)PLAN_CANDIDATES);
    struct look_record *book = arena_array(a, struct look_record, count + 1);
    size_t n = 0;

    r->targets = arena_array(a, struct str, count + 1);
    while (n < count && json_next(&it)) {
        r->targets[n] = book[n].target = json_str(a, json_get(it.value, S("target")));
        read_look(&book[n].look, it.value);
        if (json_get(it.value, S("excluded")) != NULL)
            r->excluded++;
        n++;
    }
    r->count = n - r->excluded;
    r->ask.book = book;
    r->ask.book_count = n;
}

bool
explain_read(const struct json *doc, struct arena *a, struct explain_record *ret)
{
    *ret = (struct explain_record){ .count = 0 };
    if (json_i64(json_get(doc, S("v")), 0) != EXPLAIN_VERSION)
        return false;
    ret->alias = json_str(a, json_get(doc, S("alias")));
    ret->strategy = json_str(a, json_get(doc, S("strategy")));
    ret->experiment = json_str(a, json_at(doc, "experiment.name"));
    ret->arm = json_str(a, json_at(doc, "experiment.arm"));
    ret->partial = json_bool(json_get(doc, S("partial")), false);
    read_candidates(ret, a, json_get(doc, S("candidates")));
    return read_ask(&ret->ask, a, doc);
}
