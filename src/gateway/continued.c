/* continued.c - continues conversations by the id of the last answer, and shows what is kept.
 *
 * A turn that is kept here is put into the request's input, with all turns before it, so that any
 * provider can go on: it gets one request that holds everything. A reference to an item is replaced by
 * the item. What a provider stores is left as it is, and goes to that provider.
 */
#include "gateway/continued.h"

#include "base/clock.h"
#include "base/json_out.h"
#include "base/map.h"
#include "base/url.h"
#include "gateway/conversations.h"
#include "gateway/reply.h"
#include "gateway/stored.h"
#include "llm/wishes.h"

enum { TURNS_MAX = 1000, ID_BYTES_MAX = 256 };

#define DOCUMENT_BYTES (64u * 1024 * 1024)

static struct str
owner_of(const struct exchange *x)
{
    return x->who != NULL ? str_c(x->who->hash_hex) : S("");
}

static enum turn_found
find(const struct exchange *x, struct str id, struct conversation_turn *ret)
{
    return conversations_get(
        x->worker->gateway->conversations, x->arena, id, owner_of(x), clock_now_ms(), ret);
}

static enum step
fail_unknown(struct exchange *x, struct str id)
{
    struct llm_error e = {
        .kind = ERR_BAD_REQUEST,
        .status = 404,
        .type = S("invalid_request_error"),
        .message = arena_printf(
            x->arena, "Response with id '%.*s' not found.", (int)MIN(id.n, ID_BYTES_MAX), id.p),
        .quotes = true,
    };

    return exchange_fail_with(x, &e);
}

/* --- what a request refers to --- */

/* The answer that an item of ours belongs to: "msg_ID_2" is of "resp_ID". Empty if it is not one. */
static struct str
answer_of_item(struct arena *a, struct str item)
{
    size_t first = str_chr(item, '_');
    size_t last = item.n;

    while (last > 0 && item.p[last - 1] != '_')
        last--;
    if (first + 1 >= last || item.n > ID_BYTES_MAX)
        return S("");
    return arena_printf(a, "resp_%.*s", (int)(last - 1 - first - 1), item.p + first + 1);
}

/* The items that a request may refer to. Each answer is looked up and read once, however many
 * references there are to it. */
struct referable {
    const struct exchange *x;
    struct map *answers;    /* ids of those that were read */
    struct map *items;      /* id -> struct str: the item's JSON */
};

static void
read_answer(struct referable *r, struct str id)
{
    struct arena *a = r->x->arena;
    struct conversation_turn *turn = arena_new(a, struct conversation_turn);

    if (find(r->x, id, turn) != TURN_KEPT || turn->answer.n == 0)
        return;
    (void)map_put(r->answers, id, turn);

    struct json_iter it = json_iter(json_get(json_parse(a, turn->answer, NULL, NULL), S("output")));

    while (json_next(&it)) {
        struct str name = json_str(a, json_get(it.value, S("id")));
        struct str *item = arena_new(a, struct str);

        *item = json_raw(it.value);
        if (name.n > 0)
            (void)map_put(r->items, name, item);
    }
}

/* The JSON of an item of an answer that is kept; empty if there is none. */
static struct str
item_named(struct referable *r, struct str id)
{
    struct str answer = answer_of_item(r->x->arena, id);

    if (answer.n == 0)
        return answer;
    if (map_get(r->answers, answer) == NULL)
        read_answer(r, answer);

    const struct str *item = map_get(r->items, id);

    return item != NULL ? *item : S("");
}

/* The elements of a list, without its brackets. */
static struct str
inside(const struct json *list)
{
    return json_is(list, JSON_ARRAY) ? str_trim(str_make(list->p + 1, list->n - 2)) : S("");
}

static void
add_items(struct buf *b, bool *any, struct str items)
{
    if (items.n == 0)
        return;
    if (*any)
        buf_add_c(b, ',');
    *any = true;
    buf_add(b, items);
}

/* The request's own items, with references replaced. False: none was. */
static bool
add_own(const struct exchange *x, struct buf *b, const struct json *input)
{
    struct referable r = { .x = x };
    struct json_iter it = json_iter(input);
    bool any = false;
    bool replaced = false;

    if (json_is(input, JSON_STRING)) {
        buf_add(b, S("{\"role\":\"user\",\"content\":"));
        buf_add(b, json_raw(input));
        buf_add_c(b, '}');
        return false;
    }
    r.answers = map_create();
    r.items = map_create();
    while (json_is(input, JSON_ARRAY) && !b->overflow && json_next(&it)) {
        struct str item = json_raw(it.value);

        if (json_str_is(json_get(it.value, S("type")), S("item_reference"))) {
            struct str id = json_str(x->arena, json_get(it.value, S("id")));
            struct str named = item_named(&r, id);

            replaced = replaced || named.n > 0;
            if (named.n > 0)
                item = named;
        }
        add_items(b, &any, item);
    }
    map_destroy(r.answers);
    map_destroy(r.items);
    return replaced;
}

/* The turns that lead to one, oldest first: what was asked and answered. Returns the id of one that is not
 * kept any more, without which the rest would make another conversation; empty if all are there. */
static struct str
add_turns(const struct exchange *x, struct buf *b, bool *any, const struct conversation_turn *last)
{
    struct conversation_turn *turns = arena_array(x->arena, struct conversation_turn, TURNS_MAX);
    size_t n = 0;

    turns[n++] = *last;
    while (n < TURNS_MAX && turns[n - 1].previous.n > 0 &&
           find(x, turns[n - 1].previous, &turns[n]) == TURN_KEPT && turns[n].answer.n > 0)
        n++;
    struct str missing = turns[n - 1].previous;
    while (n-- > 0) {
        const struct json *answer = json_parse(x->arena, turns[n].answer, NULL, NULL);

        add_items(b, any, turns[n].input);
        add_items(b, any, inside(json_get(answer, S("output"))));
    }
    return missing;
}

/* The document with that input, and without the id that it replaces. */
static void
write_body(struct buf *b, const struct json *doc, struct str input)
{
    struct json_iter it = json_iter(doc);

    buf_add(b, S("{\"input\":["));
    buf_add(b, input);
    buf_add_c(b, ']');
    while (json_next(&it)) {
        if (json_str_is(it.key, S("input")) || json_str_is(it.key, S("previous_response_id")))
            continue;
        buf_add_c(b, ',');
        buf_add(b, json_raw(it.key));
        buf_add_c(b, ':');
        buf_add(b, json_raw(it.value));
    }
    buf_add_c(b, '}');
}

static bool
is_route(const struct exchange *x)
{
    return x->endpoint == &endpoints[ENDPOINT_responses] ||
           x->endpoint == &endpoints[ENDPOINT_router_responses];
}

enum step
continued_resolve(struct exchange *x, bool *ret_changed)
{
    const struct json *doc = x->request->llm.doc;
    const struct json *previous = json_get(doc, S("previous_response_id"));
    const struct conf_responses *conf = &exchange_conf(x)->responses;
    struct conversation_turn turn = { .id = S("") };

    *ret_changed = false;
    if (!is_route(x) || x->stored != NULL || conf->store_bytes == 0)
        return STEP_NEXT;

    struct stored *s = x->stored = arena_new(x->arena, struct stored);
    struct str id = arena_str(x->arena, json_str(x->arena, previous));

    *s = (struct stored){
        .conversations = x->worker->gateway->conversations,
        .owner = owner_of(x),
        .limit_bytes = conf->store_bytes,
        .ttl_ms = conf->ttl_ms,
        .keep = !json_is(json_get(doc, S("store")), JSON_FALSE),
    };
    if (id.n > 0) {
        enum turn_found found = find(x, id, &turn);

        if (found == TURN_ANOTHERS)
            return fail_unknown(x, id);
        s->previous = id;
        s->provider = turn.provider;
        s->keep = s->keep && found == TURN_KEPT;    /* else nobody here knows what came before */
    }

    struct buf own, input, body;
    struct str missing = S("");
    bool any = false;

    buf_init(&own, DOCUMENT_BYTES);
    bool changed = add_own(x, &own, json_get(doc, S("input"))) || turn.answer.n > 0;
    s->keep = s->keep && !arena_was_refused(x->arena);
    s->keep = s->keep && buf_len(&own) <= s->limit_bytes && !own.overflow;
    if (s->keep)
        s->input = arena_str(x->arena, buf_str(&own));
    s->keep = s->keep && s->input.p != NULL;
    if (changed) {
        buf_init(&input, DOCUMENT_BYTES);
        buf_init(&body, 2 * DOCUMENT_BYTES);
        if (turn.answer.n > 0)
            missing = add_turns(x, &input, &any, &turn);
        add_items(&input, &any, buf_str(&own));
        write_body(&body, doc, buf_str(&input));
        /* Without memory some of what was said would be missing. */
        *ret_changed =
            !input.overflow && !own.overflow && !body.overflow && !arena_was_refused(x->arena);
        buf_fini(&input);
        if (*ret_changed)
            *ret_changed = exchange_take_body(x, body);
        else
            buf_fini(&body);
    }
    buf_fini(&own);
    if (missing.n > 0)
        return fail_unknown(x, missing);
    if (changed && !*ret_changed)
        return exchange_fail(x, ERR_TOO_LARGE, "the conversation is too large to be continued");
    return STEP_NEXT;
}

void
continued_pin(struct exchange *x)
{
    if (x->stored == NULL || x->stored->provider.n == 0)
        return;
    if (x->wishes == NULL) {
        x->wishes = arena_new(x->arena, struct wishes);
        wishes_init(x->wishes);
    }
    x->wishes->only = arena_new(x->arena, struct llm_word);
    x->wishes->only->text = x->stored->provider;
}

/* --- routes --- */

/* Items of the conversation up to an answer, the newest first unless the query says "asc". */
static void
answer_items(struct exchange *x, const struct conversation_turn *turn)
{
    struct conversation_turn before = { .id = S("") };
    struct buf all, out;
    bool any = false;
    bool oldest_first =
        str_eq(url_query_get(x->arena, server_head(x->q)->query, S("order")), S("asc"));

    buf_init(&all, DOCUMENT_BYTES);
    buf_add_c(&all, '[');
    if (turn->previous.n > 0 && find(x, turn->previous, &before) == TURN_KEPT &&
        before.answer.n > 0)
        (void)add_turns(x, &all, &any, &before);
    add_items(&all, &any, turn->input);
    buf_add_c(&all, ']');

    struct json_iter it = json_iter(json_parse(x->arena, buf_str(&all), NULL, NULL));
    size_t n = 0;
    size_t room = buf_len(&all) / 2 + 1;
    struct str *items = arena_try(x->arena, room * sizeof(*items));

    while (items != NULL && n < room && json_next(&it))
        items[n++] = json_raw(it.value);
    buf_init(&out, DOCUMENT_BYTES);
    buf_add(&out, S("{\"object\":\"list\",\"data\":["));
    any = false;
    for (size_t i = 0; i < n; i++)
        add_items(&out, &any, items[oldest_first ? i : n - 1 - i]);
    buf_add(&out, S("],\"first_id\":null,\"last_id\":null,\"has_more\":false}"));
    exchange_answer(x, 200, S("application/json"), buf_str(&out));
    buf_fini(&out);
    buf_fini(&all);
}

bool
continued_answer(struct exchange *x)
{
    static const struct str base = S_INIT("/v1/responses/");
    struct conversation_turn turn;
    struct str id, rest;

    if (x->endpoint != &endpoints[ENDPOINT_stored_responses] || !str_starts(x->path.text, base))
        return false;
    (void)str_cut(str_skip(x->path.text, base.n), '/', &id, &rest);

    enum turn_found found = find(x, id, &turn);

    if (found == TURN_ANOTHERS) {
        (void)fail_unknown(x, id);
        return true;
    }
    if (found == TURN_UNKNOWN || turn.provider.n > 0)
        return false;
    if (str_eq(x->method, S("DELETE")) && rest.n == 0) {
        struct str said = arena_printf(x->arena,
            "{\"id\":\"" STR_FMT "\",\"object\":\"response\",\"deleted\":true}", STR_ARG(turn.id));

        (void)conversations_remove(x->worker->gateway->conversations, id, owner_of(x));
        exchange_answer(x, 200, S("application/json"), said);
    } else if (!str_eq(x->method, S("GET"))) {
        (void)exchange_fail(x, ERR_UNSUPPORTED,
            "the answer is complete, and was not made in the background: it can be read and deleted");
    } else if (rest.n == 0) {
        exchange_answer(x, 200, S("application/json"), turn.answer);
    } else if (str_eq(rest, S("input_items"))) {
        answer_items(x, &turn);
    } else {
        return false;
    }
    return true;
}
