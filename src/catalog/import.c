/* import.c - reads foreign catalogs into entries, and puts them over what is known. */
#include "catalog/import.h"

#include <math.h>
#include <stdlib.h>

#include "base/json_out.h"
#include "base/map.h"
#include "catalog/catalog.h"
#include "catalog/entry.h"

enum { ENTRY_BYTES = 64 * 1024, TIERS = 16, ID_BYTES = 512 };

static const struct json_limits limits = { .depth = 32, .values = 20000000 };

struct merge {
    struct arena *a;
    struct map *rows;    /* of the new file, by id */
    int64_t now_s;
    bool foreign;    /* the source cannot say everything that we can */
    struct import *count;
};

/* --- merging --- */

static bool
same_list(const struct price_list *a, const struct price_list *b)
{
    return a->known == b->known && memcmp(a->nanousd_per_1k, b->nanousd_per_1k,
                                       (size_t)__builtin_popcount(a->known) * sizeof(int64_t)) == 0;
}

static bool
same_sheet(const struct price_sheet *a, const struct price_sheet *b)
{
    bool same = a->plan == b->plan && a->tier_count == b->tier_count &&
                a->window_count == b->window_count && same_list(&a->list, &b->list);

    for (size_t i = 0; same && i < a->tier_count; i++)
        same = a->tiers[i].above_tokens == b->tiers[i].above_tokens &&
               same_list(&a->tiers[i].list, &b->tiers[i].list);
    for (size_t i = 0; same && i < a->window_count; i++)
        same = same_list(&a->windows[i].list, &b->windows[i].list);
    return same;
}

/* Keeps what a foreign source cannot say, or did not, where it agrees about input and output. */
static void
complete_sheet(struct arena *a, struct price_sheet *fresh, const struct price_sheet *now)
{
    int64_t *amounts = arena_array(a, int64_t, PRICES);
    uint32_t known = 0;
    size_t n = 0;

    if (price_of(&fresh->list, PRICE_input) != price_of(&now->list, PRICE_input) ||
        price_of(&fresh->list, PRICE_output) != price_of(&now->list, PRICE_output))
        return;
    for (unsigned i = 0; i < PRICES; i++) {
        int64_t price = price_of(&fresh->list, i);

        if (price < 0)
            price = price_of(&now->list, i);
        if (price < 0)
            continue;
        amounts[n++] = price;
        known |= 1u << i;
    }
    fresh->list = (struct price_list){ amounts, known };
    fresh->plan = fresh->plan || now->plan;
    if (fresh->tier_count == 0) {
        fresh->tiers = now->tiers;
        fresh->tier_count = now->tier_count;
    }
    if (fresh->window_count == 0) {
        fresh->windows = now->windows;
        fresh->window_count = now->window_count;
    }
}

/* Puts the price of the source, which has no date, into the history. */
static void
merge_price(struct merge *m, struct model_row *row, const struct model_row *known)
{
    const struct price_sheet *now = known != NULL ? price_sheet_at(known->price, m->now_s) : NULL;
    struct price_sheet *fresh;

    if (row->price == NULL || now == NULL || row->price == known->price)
        return;
    if (row->price->since_s != 0 || row->price->older != NULL)
        return;    /* it has a history of its own */
    fresh = arena_new(m->a, struct price_sheet);
    *fresh = *row->price;
    if (m->foreign)
        complete_sheet(m->a, fresh, now);
    if (same_sheet(fresh, now)) {
        row->price = known->price;
        return;
    }
    fresh->since_s = m->now_s;
    fresh->older = now;
    row->price = fresh;
    m->count->priced++;
}

/* The row as text, for comparing: whatever differs is in it. */
static struct str
row_text(struct arena *a, const struct model_row *row)
{
    struct buf text;
    struct json_out o = json_out(&text);

    buf_init(&text, ENTRY_BYTES * 16);
    entry_write(&o, row);
    struct str kept = arena_str(a, buf_str(&text));
    buf_fini(&text);
    return kept;
}

static void
count_refusal(void *arg, struct str problem)
{
    struct merge *m = arg;

    (void)problem;
    m->count->refused++;
}

static void
merge_entry(struct merge *m, const struct json *entry)
{
    struct str id = json_str(m->a, json_get(entry, S("id")));
    const struct model_row *known = map_get(m->rows, id);
    const struct model_row *table = model_row(id);

    if (known == NULL && table != NULL && str_eq(table->id, id))    /* not another name of one */
        known = table;
    struct model_row *row = entry_read(m->a, entry, known, count_refusal, m);
    m->count->read++;
    if (row == NULL)
        return;
    merge_price(m, row, known);
    if (known != NULL && str_eq(row_text(m->a, row), row_text(m->a, known)))
        return;
    m->count->changed++;
    (void)map_put(m->rows, row->id, row);
}

/* An entry that was put together from a foreign one. */
static void
merge_text(struct merge *m, struct buf *text)
{
    const struct json *entry =
        text->overflow ? NULL : json_parse(m->a, arena_str(m->a, buf_str(text)), NULL, NULL);

    if (entry != NULL)
        merge_entry(m, entry);
    else
        m->count->refused++;
}

/* --- foreign catalogs --- */

/* How others call the providers that we know. */
static const struct {
    const char *theirs, *ours;
} providers[] = {
    { "togetherai", "together" },
    { "together_ai", "together" },
    { "fireworks-ai", "fireworks" },
    { "fireworks_ai", "fireworks" },
    { "google-vertex", "vertex" },
    { "google-vertex-anthropic", "vertex" },
    { "amazon-bedrock", "bedrock" },
    { "bedrock_converse", "bedrock" },
    { "moonshotai", "moonshot" },
    { "zhipuai", "zhipu" },
    { "novita-ai", "novita" },
    { "azure_ai", "azure-ai" },
    { "azure-cognitive-services", "azure-ai" },
    { "cloudflare-workers-ai", "cloudflare" },
    { "llama", "meta" },
    { "meta_llama", "meta" },
    { "gemini", "google" },
    { "dashscope", "alibaba" },
    { "cohere_chat", "cohere" },
    { "text-completion-openai", "openai" },
    { "nvidia_nim", "nvidia" },
    { "jina_ai", "jina" },
    { "io-intelligence", "io-net" },
};

static struct str
our_provider(struct str theirs)
{
    for (size_t i = 0; i < ARRAY_LEN(providers); i++)
        if (str_eq(theirs, str_c(providers[i].theirs)))
            return str_c(providers[i].ours);
    return str_starts(theirs, S("vertex_ai")) ? S("vertex") : theirs;
}

static void
add_id(struct merge *m, struct json_out *o, struct str provider, struct str model)
{
    out_text(o, "id",
        arena_printf(m->a, STR_FMT "/" STR_FMT, STR_ARG(our_provider(provider)), STR_ARG(model)));
}

static void
add_number(struct json_out *o, const char *name, const struct json *v, double factor)
{
    double n = json_f64(v, -1) * factor;

    if (!json_is(v, JSON_NUMBER) || n < 0)
        return;
    out_key_str(o, str_c(name));
    out_comma(o);
    /* 2.5e-06 x 1e6 is not quite 2.5 */
    json_add_f64(o->b, round(n * 1e9) / 1e9);
}

/* Whole numbers; others also write them as texts, or as 0 for what they do not know. */
static void
add_tokens(struct json_out *o, const char *name, const struct json *v)
{
    int64_t n = json_is(v, JSON_NUMBER) ? json_i64(v, 0) : 0;

    if (n <= 0 || n > 1000000000)
        return;
    out_key_str(o, str_c(name));
    out_i64_value(o, n);
}

struct renamed {
    const char *theirs, *ours;
};

static void
add_abilities(struct json_out *o, const struct json *from, const struct renamed *names, size_t n)
{
    out_key_object(o, "capabilities");
    for (size_t i = 0; i < n; i++) {
        const struct json *v = json_get(from, str_c(names[i].theirs));

        if (!json_is(v, JSON_TRUE) && !json_is(v, JSON_FALSE))
            continue;
        out_key_str(o, str_c(names[i].ours));
        out_raw_value(o, json_raw(v));
    }
    out_end(o);
}

/* --- models.dev: {"openai": {"models": {"gpt-4o": {...}}}} --- */

static void
add_media(struct merge *m, struct json_out *o, struct str name, const struct json *list)
{
    struct json_iter it = json_iter(list);

    if (!json_is(list, JSON_ARRAY) || json_is_empty(list))
        return;
    out_key_str(o, name);
    out_array(o);
    while (json_next(&it)) {
        struct str word = json_str(m->a, it.value);

        if (str_eq(word, S("pdf")))
            word = S("file");
        if (str_eq(word, S("text")) || str_eq(word, S("image")) || str_eq(word, S("audio")) ||
            str_eq(word, S("video")) || str_eq(word, S("file")))
            out_text_value(o, word);
    }
    out_end_array(o);
}

static void
add_cost(struct json_out *o, const struct json *cost)
{
    static const struct renamed units[] = { { "input", "input" }, { "output", "output" },
        { "cache_read", "cached_input" }, { "cache_write", "cache_write" },
        { "reasoning", "reasoning" }, { "input_audio", "audio_input" },
        { "output_audio", "audio_output" } };

    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        add_number(o, units[i].ours, json_get(cost, str_c(units[i].theirs)), 1);
}

static void
merge_models_dev_model(
    struct merge *m, struct str provider, struct str id, const struct json *model)
{
    static const struct renamed abilities[] = { { "tool_call", "tools" },
        { "reasoning", "reasoning" }, { "temperature", "temperature" },
        { "structured_output", "json_schema" }, { "open_weights", "open_weights" } };
    const struct json *cost = json_get(model, S("cost"));
    const struct json *above = json_get(cost, S("context_over_200k"));
    double input = json_f64(json_get(cost, S("input")), -1);
    double output = json_f64(json_get(cost, S("output")), -1);
    struct buf text;
    struct json_out o = json_out(&text);

    buf_init(&text, ENTRY_BYTES);
    out_object(&o);
    add_id(m, &o, provider, id);
    add_tokens(&o, "context", json_at(model, "limit.context"));
    add_tokens(&o, "max_input", json_at(model, "limit.input"));
    add_tokens(&o, "output", json_at(model, "limit.output"));
    add_media(m, &o, S("takes"), json_at(model, "modalities.input"));
    add_media(m, &o, S("makes"), json_at(model, "modalities.output"));
    add_abilities(&o, model, abilities, ARRAY_LEN(abilities));
    if (json_is(json_get(model, S("release_date")), JSON_STRING))
        out_text(&o, "released", json_str(m->a, json_get(model, S("release_date"))));
    if (json_is(cost, JSON_OBJECT)) {
        out_key_object(&o, "price");
        add_cost(&o, cost);
        if (input == 0 && output == 0)    /* a trial, a plan, or unknown: never free of charge */
            out_bool(&o, "plan", true);
        if (json_is(above, JSON_OBJECT)) {
            out_key_array(&o, "tiers");
            out_object(&o);
            out_i64(&o, "above", 200000);
            add_cost(&o, above);
            out_end(&o);
            out_end_array(&o);
        }
        out_end(&o);
    }
    out_end(&o);
    merge_text(m, &text);
    buf_fini(&text);
}

static void
merge_models_dev(struct merge *m, const struct json *doc)
{
    struct json_iter provider = json_iter(doc);

    while (json_next(&provider)) {
        struct json_iter model = json_iter(json_get(provider.value, S("models")));

        while (model.object && json_next(&model))
            merge_models_dev_model(
                m, json_str(m->a, provider.key), json_str(m->a, model.key), model.value);
    }
}

/* --- LiteLLM: {"groq/llama": {"litellm_provider": "groq", "input_cost_per_token": 5e-08, ...}} --- */

static const struct {
    const char *theirs, *ours;
    double factor;
} litellm_prices[] = {
    { "input_cost_per_token", "input", 1e6 },
    { "output_cost_per_token", "output", 1e6 },
    { "cache_read_input_token_cost", "cached_input", 1e6 },
    { "cache_creation_input_token_cost", "cache_write", 1e6 },
    { "cache_creation_input_token_cost_above_1hr", "cache_write_1h", 1e6 },
    { "output_cost_per_reasoning_token", "reasoning", 1e6 },
    { "input_cost_per_audio_token", "audio_input", 1e6 },
    { "output_cost_per_audio_token", "audio_output", 1e6 },
    { "input_cost_per_image_token", "image_input", 1e6 },
    { "output_cost_per_image_token", "image_output", 1e6 },
    { "input_cost_per_token_batches", "batch_input", 1e6 },
    { "output_cost_per_token_batches", "batch_output", 1e6 },
    { "input_cost_per_token_flex", "flex_input", 1e6 },
    { "output_cost_per_token_flex", "flex_output", 1e6 },
    { "input_cost_per_token_priority", "priority_input", 1e6 },
    { "output_cost_per_token_priority", "priority_output", 1e6 },
    { "input_cost_per_image", "per_input_image", 1 },
    { "output_cost_per_image", "per_image", 1 },
    { "input_cost_per_query", "per_query", 1 },
    { "input_cost_per_request", "per_request", 1 },
    { "input_cost_per_second", "per_audio_second", 1 },
    { "output_cost_per_second", "per_output_second", 1 },
    { "input_cost_per_character", "per_1m_characters", 1e6 },
};

/* Splits "input_cost_per_token_above_200k_tokens" into the name and 200,000; 0 without such an end. */
static int64_t
cut_threshold(struct str *name)
{
    static const struct str begin = S_INIT("_above_"), end = S_INIT("k_tokens");
    struct str rest = *name;
    size_t at = name->n, skipped = 0;
    uint64_t thousands;

    for (size_t next; (next = str_find(rest, begin)) < rest.n;) {
        at = skipped + next;
        skipped = at + begin.n;
        rest = str_skip(*name, skipped);
    }
    if (at == name->n || !str_ends(rest, end) ||
        !str_u64(str_make(rest.p, rest.n - end.n), &thousands) || thousands > 1000000)
        return 0;
    *name = str_make(name->p, at);
    return (int64_t)thousands * 1000;
}

/* The prices of a model that hold above so many tokens, 0: the usual ones. */
static void
add_litellm_prices(struct merge *m, struct json_out *o, const struct json *model, int64_t above)
{
    struct json_iter it = json_iter(model);

    while (json_next(&it)) {
        struct str name = json_str(m->a, it.key);

        if (cut_threshold(&name) != above)
            continue;
        for (size_t i = 0; i < ARRAY_LEN(litellm_prices); i++)
            if (str_eq(name, str_c(litellm_prices[i].theirs)))
                add_number(o, litellm_prices[i].ours, it.value, litellm_prices[i].factor);
    }
}

static void
add_litellm_tiers(struct merge *m, struct json_out *o, const struct json *model)
{
    struct json_iter it = json_iter(model);
    int64_t tiers[TIERS];
    size_t n = 0;

    while (json_next(&it)) {
        struct str name = json_str(m->a, it.key);
        int64_t above = cut_threshold(&name);
        size_t at = n;

        while (at > 0 && tiers[at - 1] > above)
            at--;
        if (above == 0 || n == TIERS || (at > 0 && tiers[at - 1] == above))
            continue;
        memmove(&tiers[at + 1], &tiers[at], (n - at) * sizeof(tiers[0]));
        tiers[at] = above;
        n++;
    }
    if (n == 0)
        return;
    out_key_array(o, "tiers");
    for (size_t i = 0; i < n; i++) {
        out_object(o);
        out_i64(o, "above", tiers[i]);
        add_litellm_prices(m, o, model, tiers[i]);
        out_end(o);
    }
    out_end_array(o);
}

static struct str
litellm_mode(struct str theirs)
{
    static const struct renamed modes[] = { { "chat", "chat" }, { "completion", "chat" },
        { "responses", "chat" }, { "embedding", "embedding" }, { "rerank", "rerank" },
        { "image_generation", "image" }, { "audio_transcription", "transcription" },
        { "audio_speech", "speech" }, { "moderation", "moderation" }, { "realtime", "realtime" } };

    for (size_t i = 0; i < ARRAY_LEN(modes); i++)
        if (str_eq(theirs, str_c(modes[i].theirs)))
            return str_c(modes[i].ours);
    return S("");
}

static void
merge_litellm_model(struct merge *m, struct str key, const struct json *model)
{
    static const struct renamed abilities[] = { { "supports_function_calling", "tools" },
        { "supports_parallel_function_calling", "parallel_tools" },
        { "supports_tool_choice", "tool_choice" }, { "supports_response_schema", "json_schema" },
        { "supports_vision", "images" }, { "supports_pdf_input", "files" },
        { "supports_audio_input", "audio" }, { "supports_audio_output", "audio_output" },
        { "supports_video_input", "video" }, { "supports_reasoning", "reasoning" },
        { "supports_prompt_caching", "prompt_cache" },
        { "supports_system_messages", "system_messages" },
        { "supports_assistant_prefill", "prefill" }, { "supports_web_search", "web_search" },
        { "supports_computer_use", "computer_use" } };
    struct str provider = json_str(m->a, json_get(model, S("litellm_provider")));
    struct str mode = litellm_mode(json_str(m->a, json_get(model, S("mode")))), head, name = key;
    const struct json *ends = json_get(model, S("deprecation_date"));
    struct buf text;
    struct json_out o = json_out(&text);

    if (provider.n == 0 || mode.n == 0)
        return;    /* a sample, or something that is not called like a model */
    if (str_cut(key, '/', &head, &name) && !str_eq(our_provider(head), our_provider(provider)))
        name = key;
    if (name.n == 0)
        name = key;
    buf_init(&text, ENTRY_BYTES);
    out_object(&o);
    add_id(m, &o, provider, name);
    out_text(&o, "mode", mode);
    add_tokens(&o, str_eq(mode, S("chat")) ? "context" : "max_input",
        json_get(model, S("max_input_tokens")));
    add_tokens(&o, "output", json_get(model, S("max_output_tokens")));
    add_tokens(&o, "dimensions", json_get(model, S("output_vector_size")));
    add_abilities(&o, model, abilities, ARRAY_LEN(abilities));
    if (json_is(ends, JSON_STRING) && ends->n == 12)
        out_text(&o, "ends", json_str(m->a, ends));
    if (json_get(model, S("input_cost_per_token")) != NULL) {
        out_key_object(&o, "price");
        add_litellm_prices(m, &o, model, 0);
        if (json_f64(json_get(model, S("input_cost_per_token")), 1) == 0 &&
            json_f64(json_get(model, S("output_cost_per_token")), 0) == 0)
            out_bool(&o, "plan", true);
        add_litellm_tiers(m, &o, model);
        out_end(&o);
    }
    out_end(&o);
    merge_text(m, &text);
    buf_fini(&text);
}

static void
merge_litellm(struct merge *m, const struct json *doc)
{
    struct json_iter it = json_iter(doc);

    while (json_next(&it))
        merge_litellm_model(m, json_str(m->a, it.key), it.value);
}

/* --- ours --- */

static void
merge_ours(struct merge *m, const struct json *doc)
{
    struct json_iter it = json_iter(json_get(doc, S("models")));

    while (json_next(&it))
        merge_entry(m, it.value);
}

/* Told by what is in it, not by its name. */
static const struct format {
    const char *name;
    const char *sign;    /* a member of each of its members; NULL: of the whole, a list of models */
    bool foreign;
    void (*merge)(struct merge *m, const struct json *doc);
} formats[] = {
    { "OpenClaw", NULL, false, merge_ours },
    { "models.dev", "models", true, merge_models_dev },
    { "LiteLLM", "litellm_provider", true, merge_litellm },
};

static const struct format *
format_of(const struct json *doc)
{
    struct json_iter it = json_iter(json_is(doc, JSON_OBJECT) ? doc : NULL);

    if (json_is(json_get(doc, S("models")), JSON_ARRAY))
        return &formats[0];
    while (json_next(&it))
        for (size_t i = 1; i < ARRAY_LEN(formats); i++)
            if (json_present(json_get(it.value, str_c(formats[i].sign))))
                return &formats[i];
    return NULL;
}

/* --- the file --- */

static void
take_before(void *arg, struct model_row *row)
{
    struct merge *m = arg;

    (void)map_put(m->rows, row->id, row);
}

static int
id_order(const void *a, const void *b)
{
    return str_cmp(
        (*(const struct model_row *const *)a)->id, (*(const struct model_row *const *)b)->id);
}

/* Sorted, one a line, so that a change is a line of a diff. */
static void
write_file(struct merge *m, struct buf *out)
{
    size_t n = map_count(m->rows), pos = 0, i = 0;
    const struct model_row **list = arena_array(m->a, const struct model_row *, n + 1);
    struct json_out o = json_out(out);
    struct str id;
    void *row;

    while (map_next(m->rows, &pos, &id, &row))
        list[i++] = row;
    qsort(list, n, sizeof(list[0]), id_order);
    buf_add(out, S("{\"models\":["));
    for (i = 0; i < n; i++) {
        buf_add(out, i == 0 ? S("\n") : S(",\n"));
        o.comma = false;
        entry_write(&o, list[i]);
    }
    buf_add(out, S("\n]}\n"));
    m->count->kept = n;
}

bool
catalog_import(struct arena *a, struct str before, struct str source, int64_t now_s,
    struct buf *out, struct import *ret, struct why why)
{
    struct json_error error = { .what = "" };
    const struct json *doc = json_parse(a, source, &limits, &error);
    const struct format *format = format_of(doc);
    struct merge m = { .a = a, .now_s = now_s, .count = ret };
    char reason[200] = "";

    *ret = (struct import){ .format = format != NULL ? format->name : "" };
    if (doc == NULL)
        return why_say(why, "the source is not JSON: %s at byte %zu", error.what, error.offset);
    if (format == NULL)
        return why_say(why, "the source is not a catalog of OpenClaw, models.dev or LiteLLM");
    m.rows = map_create();
    m.foreign = format->foreign;
    bool good =
        before.n == 0 || catalog_read(a, before, take_before, count_refusal, &m, WHY(reason));
    if (good && ret->refused == 0) {
        format->merge(&m, doc);
        write_file(&m, out);
    } else {
        good = why_say(why, "the file that would be changed %s",
            reason[0] != '\0' ? reason
                              : "has entries that cannot be read; `openclaw check` names them");
    }
    map_destroy(m.rows);
    return good;
}
