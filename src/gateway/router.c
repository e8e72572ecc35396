/* router.c - answers routes of OpenRouter's API: models with their prices, the caller's key. */
#include "gateway/router.h"

#include <stdio.h>

#include "base/json_out.h"
#include "base/url.h"
#include "catalog/catalog.h"
#include "gateway/listing.h"
#include "gateway/models.h"
#include "gateway/past.h"
#include "gateway/reply.h"

#define DOCUMENT_BYTES (16u * 1024 * 1024)
#define NAME_BYTES (2 * MODEL_BYTES + 2)

/* --- models --- */

struct router_list {
    struct exchange *x;
    struct json_out out;
    uint64_t count;
};

/* A price in dollars per unit, as a text: "0.00000015". */
static void
add_price(struct json_out *o, const char *name, const struct model_row *row, enum price_unit unit)
{
    int64_t nanousd_per_1k =
        row != NULL && row->price != NULL ? price_of(&row->price->list, unit) : PRICE_UNKNOWN;
    char text[32];

    if (nanousd_per_1k < 0 || row->price->plan)
        return;
    /* twelve decimals: a nano-dollar per thousand */
    int n = snprintf(text, sizeof(text), "%lld.%012lld",
        (long long)(nanousd_per_1k / INT64_C(1000000000000)),
        (long long)(nanousd_per_1k % INT64_C(1000000000000)));
    while (text[n - 1] == '0')
        n--;
    n -= text[n - 1] == '.';
    out_key_str(o, str_c(name));
    out_text_value(o, str_make(text, (size_t)n));
}

static void
add_media(struct json_out *o, const char *name, uint8_t media)
{
    static const struct {
        const char *name;
        uint8_t bit;
    } kinds[] = { { "text", MEDIA_TEXT }, { "image", MEDIA_IMAGE }, { "audio", MEDIA_AUDIO },
        { "video", MEDIA_VIDEO }, { "file", MEDIA_FILE }, { "embeddings", MEDIA_EMBEDDING } };

    out_key_str(o, str_c(name));
    buf_add_c(o->b, '[');
    o->comma = false;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if ((media & kinds[i].bit) != 0)
            out_text_value(o, str_c(kinds[i].name));
    out_end_array(o);
}

/* Names of parameters that follow from what the model can do. */
static void
add_parameters(struct json_out *o, const struct model_row *row)
{
    static const struct {
        enum model_ability ability;
        const char *names[2];
    } known[] = {
        { CAN_tools, { "tools", NULL } },
        { CAN_tool_choice, { "tool_choice", NULL } },
        { CAN_json_schema, { "structured_outputs", "response_format" } },
        { CAN_reasoning, { "reasoning", "include_reasoning" } },
        { CAN_temperature, { "temperature", "top_p" } },
        { CAN_logprobs, { "logprobs", "top_logprobs" } },
    };

    out_key_array(o, "supported_parameters");
    if (row->output_tokens != 0)
        out_text_value(o, S("max_tokens"));
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        for (size_t k = 0; k < 2 && model_can(row, known[i].ability) == YES; k++)
            if (known[i].names[k] != NULL)
                out_text_value(o, str_c(known[i].names[k]));
    out_end_array(o);
}

static void
add_limit(struct json_out *o, const char *name, int64_t tokens)
{
    out_key_str(o, str_c(name));
    if (tokens != 0)
        out_i64_value(o, tokens);
    else
        out_raw_value(o, S("null"));
}

static void
add_facts(struct json_out *o, const struct model_row *row)
{
    add_limit(o, "context_length", row->context_tokens);
    out_key_object(o, "architecture");
    add_media(o, "input_modalities", row->takes);
    add_media(o, "output_modalities", row->makes);
    out_end(o);
    out_key_object(o, "pricing");
    add_price(o, "prompt", row, PRICE_input);
    add_price(o, "completion", row, PRICE_output);
    add_price(o, "request", row, PRICE_per_request);
    add_price(o, "image", row, PRICE_per_input_image);
    add_price(o, "input_cache_read", row, PRICE_cached_input);
    add_price(o, "input_cache_write", row, PRICE_cache_write);
    out_end(o);
    out_key_object(o, "top_provider");
    add_limit(o, "context_length", row->context_tokens);
    add_limit(o, "max_completion_tokens", row->output_tokens);
    out_const(o, "\"is_moderated\":false");
    out_end(o);
    add_parameters(o, row);
}

/* What is not known is null: a price is never zero for want of a better one. */
static void
list_model(void *arg, struct str id, struct str owner UNUSED)
{
    struct router_list *l = arg;
    const struct model_row *row;

    if (!auth_allows_model(l->x->who, id))
        return;
    row = catalog_model(providers_catalog(l->x->hold->snapshot->providers), id);
    l->count++;
    out_object(&l->out);
    out_text(&l->out, "id", id);
    out_text(&l->out, "canonical_slug", row != NULL && row->base != NULL ? row->base->id : id);
    out_text(&l->out, "name", id);
    out_const(&l->out, "\"created\":1767225600,\"per_request_limits\":null");
    if (row != NULL)
        add_facts(&l->out, row);
    else
        out_const(&l->out,
            "\"context_length\":null,\"architecture\":null,\"pricing\":{},"
            "\"top_provider\":{\"context_length\":null,\"max_completion_tokens\":null,"
            "\"is_moderated\":false},\"supported_parameters\":[]");
    out_end(&l->out);
}

void
router_models(struct exchange *x)
{
    struct buf b;

    if (listing_must_wait(x))
        return;
    buf_init(&b, DOCUMENT_BYTES);
    struct router_list l = { .x = x, .out = json_out(&b) };

    out_object(&l.out);
    out_key_array(&l.out, "data");
    models_each(x->hold->snapshot, list_model, &l);
    out_end_array(&l.out);
    out_end(&l.out);
    exchange_answer(x, 200, S("application/json"), buf_str(&b));
    buf_fini(&b);
}

static void
count_model(void *arg, struct str id, struct str owner UNUSED)
{
    struct router_list *l = arg;

    l->count += auth_allows_model(l->x->who, id);
}

void
router_models_count(struct exchange *x)
{
    struct router_list l = { .x = x };
    char text[64];

    if (listing_must_wait(x))
        return;
    models_each(x->hold->snapshot, count_model, &l);
    int n =
        snprintf(text, sizeof(text), "{\"data\":{\"count\":%llu}}", (unsigned long long)l.count);
    exchange_answer(x, 200, S("application/json"), str_make(text, (size_t)n));
}

/* --- the key --- */

void
router_key(struct exchange *x)
{
    struct buf b;

    buf_init(&b, DOCUMENT_BYTES);
    struct json_out o = json_out(&b);

    out_object(&o);
    out_key_object(&o, "data");
    out_text(&o, "label", x->who->name);
    /* there is no limit of what a key may spend, and what it spent is in the access log only */
    out_const(&o, "\"limit\":null,\"limit_remaining\":null,\"limit_reset\":null,\"usage\":null,"
                  "\"is_free_tier\":false,\"is_management_key\":false");
    out_end(&o);
    out_end(&o);
    exchange_answer(x, 200, S("application/json"), buf_str(&b));
    buf_fini(&b);
}

void
router_credits(struct exchange *x)
{
    (void)exchange_fail(x, ERR_NO_ROUTE,
        "this gateway has no credits: its providers bill the accounts whose keys it uses");
}

/* --- one request that has ended --- */

/* The parameter "id" of the query. */
static struct str
query_id(struct exchange *x)
{
    struct str query = server_head(x->q)->query, part, name, value;

    while (query.n != 0) {
        (void)str_cut(query, '&', &part, &query);
        (void)str_cut(part, '=', &name, &value);
        if (str_eq(name, S("id")))
            return url_decode(x->arena, value);
    }
    return S("");
}

static void
add_member(struct json_out *o, const char *name, const struct json *value)
{
    out_key_str(o, str_c(name));
    out_raw_value(o, json_present(value) ? json_raw(value) : S("null"));
}

/* {"data":{...}} from a line of the access log; what it does not have is null. */
static void
write_generation(struct buf *b, const struct json *line, struct str id)
{
    static const struct {
        const char *name, *field;
    } members[] = {
        { "model", "model" },
        { "provider_name", "provider" },
        { "created_at", "ts" },
        { "streamed", "stream" },
        { "cancelled", "client_abort" },
        { "finish_reason", "finish_reason" },
        { "latency", "ttft_ms" },
        { "generation_time", "duration_ms" },
        { "tokens_prompt", "tokens_input" },
        { "tokens_completion", "tokens_output" },
        { "native_tokens_prompt", "tokens_input" },
        { "native_tokens_completion", "tokens_output" },
        { "native_tokens_cached", "tokens_cached" },
        { "native_tokens_reasoning", "tokens_reasoning" },
    };
    const struct json *cost = json_get(line, S("cost_nanousd"));
    struct json_out o = json_out(b);

    out_object(&o);
    out_key_object(&o, "data");
    out_text(&o, "id", id);
    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        add_member(&o, members[i].name, json_get(line, str_c(members[i].field)));
    for (unsigned i = 0; i < 2; i++) {
        out_key_str(&o, i == 0 ? S("total_cost") : S("usage"));
        if (json_is(cost, JSON_NUMBER))
            json_add_f64(b, json_f64(cost, 0) / 1e9);
        else
            buf_add(b, S("null"));
        o.comma = true;
    }
    out_end(&o);
    out_end(&o);
}

void
router_generation(struct exchange *x)
{
    struct str id = query_id(x), found;
    struct buf b;

    if (id.n == 0) {
        (void)exchange_fail(x, ERR_BAD_REQUEST, "id: is required in the query");
        return;
    }
    if (!past_find(x, id, false, &found))
        return;
    const struct json *doc = found.n != 0 ? json_parse(x->arena, found, NULL, NULL) : NULL;
    const struct json *line = json_get(doc, S("request"));
    if (!json_is(line, JSON_OBJECT)) {
        (void)exchange_fail(
            x, ERR_NO_ROUTE, "this key asked for no such generation, or it is too long ago");
        return;
    }
    buf_init(&b, DOCUMENT_BYTES);
    write_generation(&b, line, id);
    exchange_answer(x, 200, S("application/json"), buf_str(&b));
    buf_fini(&b);
}
