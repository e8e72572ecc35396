/* values.c - answers of one document: embeddings, rankings, moderations. */
#include "mock/values.h"

#include <math.h>
#include <stdlib.h>

#include "llm/answer.h"
#include "llm/embed.h"
#include "llm/ranking.h"

enum {
    DIMENSIONS = 256,
    DIMENSIONS_MAX = 4096,
    INPUTS_MAX = 2048,
    VECTOR_BYTES = 24 * DIMENSIONS_MAX,
    SEARCH_DOCUMENTS = 100,    /* that Cohere bills as one search */
};

/* --- embeddings --- */

/* A unit vector that depends on the text alone: equal texts have equal vectors. */
static void
embed(struct str text, float *v, size_t n)
{
    uint64_t state = 0x9e3779b97f4a7c15u;
    double sum = 0;

    for (size_t i = 0; i < text.n; i++)
        state = (state ^ (unsigned char)text.p[i]) * 0x100000001b3u;
    for (size_t i = 0; i < n; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        v[i] = (float)((double)(state >> 40) / (1 << 23) - 1.0);
        sum += (double)v[i] * (double)v[i];
    }
    for (size_t i = 0; i < n && sum > 0; i++)
        v[i] = (float)((double)v[i] / sqrt(sum));
}

/* What the numbers are told as. */
static void
write_vector(struct buf *out, const float *v, size_t n, enum vector_type type)
{
    bool bits = type == VECTOR_BINARY || type == VECTOR_UBINARY;
    int sign = type == VECTOR_INT8 || type == VECTOR_BINARY ? 0 : 128;

    buf_add_c(out, '[');
    for (size_t i = 0; i < (bits ? n / 8 : n); i++) {
        int byte = 0;

        for (size_t k = 0; bits && k < 8; k++)
            byte = byte << 1 | (v[8 * i + k] > 0);
        if (i > 0)
            buf_add_c(out, ',');
        if (type == VECTOR_FLOAT)
            buf_printf(out, "%.9g", (double)v[i]);
        else
            buf_add_i64(out, bits ? byte - 128 + sign : (int)(v[i] * 127) + sign);
    }
    buf_add_c(out, ']');
}

/* The text of an input: equal ones have equal vectors whatever the protocol. */
static struct str
text_of(struct arena *a, const struct llm_input *input)
{
    if (input->plain != NULL)
        return embed_is_tokens(input) ? json_raw(input->plain) : json_str(a, input->plain);
    return input->parts->kind == PART_TEXT ? input->parts->text : input->parts->data;
}

static bool
check_inputs(const struct llm_request *r, struct llm_error *why)
{
    const struct llm_embed *e = r->embed;

    if (e->count > INPUTS_MAX)
        return mock_refuse(
            r->arena, why, S("input"), "'input' must have %d items or fewer.", INPUTS_MAX);
    if (e->dimensions > DIMENSIONS_MAX)
        return mock_refuse(
            r->arena, why, S("dimensions"), "'dimensions' must be from 1 to %d.", DIMENSIONS_MAX);
    for (const struct llm_input *input = e->inputs; input != NULL; input = input->next)
        if (input->plain == NULL && input->parts == NULL)
            return mock_refuse(r->arena, why, S("input"), "'$.input' is invalid.");
    return true;
}

/* The whole answer is made as events' fold would, and written as the protocol has it. */
bool
mock_embeddings(const struct llm_request *r, struct buf *out, struct llm_error *why)
{
    const struct llm_embed *e = r->embed;
    uint32_t types = e->types != 0 ? e->types : VECTOR_BIT(FLOAT);
    size_t n = e->dimensions != 0 ? (size_t)e->dimensions : DIMENSIONS;
    struct llm_answer ans;
    struct wire_writer w = { .wire = r->wire,
        .op = OP_EMBED,
        .keep = r->arena,
        .out = out,
        .vector_types = e->types,
        .inputs = e->count,
        .form = e->form,
        .id = mock_random_id(r->arena, S("")),
        .model = r->model };
    struct buf text;

    if (!check_inputs(r, why))
        return false;
    if ((types & VECTOR_BIT(BASE64)) != 0)
        types = (types & ~VECTOR_BIT(BASE64)) | VECTOR_BIT(FLOAT);
    answer_init(&ans, r->arena);
    usage_set(&ans.usage, COUNT_INPUT, mock_input_tokens(r));
    buf_init(&text, VECTOR_BYTES);

    uint32_t index = 0;

    for (const struct llm_input *input = e->inputs; input != NULL; input = input->next, index++) {
        float v[DIMENSIONS_MAX];

        embed(text_of(r->arena, input), v, n);
        for (enum vector_type t = 0; t < VECTOR_TYPES; t++) {
            if ((types & 1u << t) == 0)
                continue;
            buf_reset(&text, VECTOR_BYTES);
            write_vector(&text, v, n, t);

            struct llm_event ev = { .kind = EVENT_VECTOR,
                .index = index,
                .vector = t,
                .raw = arena_str(r->arena, buf_str(&text)) };
            ans.sink.emit(&ans.sink, &ev);
        }
    }
    buf_fini(&text);
    r->wire->caller->asks[OP_EMBED]->write_answer(&w, &ans);
    if (!w.broken && !out->overflow)
        return true;
    return mock_refuse(r->arena, why, S("input"), "The answer would be too large.");
}

/* --- rankings --- */

/* The share of the query's words that a document has. */
static double
score(struct str query, struct str document)
{
    struct str word;
    unsigned words = 0, found = 0;

    while (query.n != 0) {
        (void)str_cut(query, ' ', &word, &query);
        if (word.n == 0)
            continue;
        words++;
        found += str_find(document, word) < document.n;
    }
    return (found + 0.25) / (words + 0.5);
}

struct scored {
    uint32_t index;
    double score;
    struct str text;
};

static int
by_score(const void *left, const void *right)
{
    const struct scored *a = left, *b = right;

    if (a->score != b->score)
        return a->score > b->score ? -1 : 1;
    return a->index < b->index ? -1 : 1;
}

static struct str
document_text(const struct llm_request *r, struct str text)
{
    struct buf b;

    buf_init(&b, SIZE_MAX);
    buf_add(&b, S("{\"text\":"));
    json_add_str(&b, text);
    buf_add_c(&b, '}');

    struct str kept = arena_str(r->arena, buf_str(&b));

    buf_fini(&b);
    return kept;
}

bool
mock_ranking(const struct llm_request *r, struct buf *out, struct llm_error *why)
{
    const struct llm_ranking *k = r->ranking;
    struct scored *list = arena_try(r->arena, k->count * sizeof(*list));
    struct llm_answer ans;
    struct wire_writer w = { .wire = r->wire,
        .op = OP_RERANK,
        .keep = r->arena,
        .out = out,
        .id = mock_random_id(r->arena, S("")),
        .model = r->model };
    uint32_t n = 0;

    if (list == NULL)
        return mock_refuse(r->arena, why, S("documents"), "There are too many documents.");
    for (const struct llm_word *d = k->documents; d != NULL; d = d->next, n++)
        list[n] = (struct scored){ n, score(k->query, d->text), d->text };
    qsort(list, n, sizeof(*list), by_score);
    answer_init(&ans, r->arena);
    usage_set(&ans.usage, COUNT_SEARCHES, (n + SEARCH_DOCUMENTS - 1) / SEARCH_DOCUMENTS);
    for (uint32_t i = 0; i < n && (k->top == 0 || i < k->top); i++) {
        struct llm_event ev = { .kind = EVENT_RANK,
            .index = list[i].index,
            .text = arena_printf(r->arena, "%.7g", list[i].score),
            .raw = k->documents_back == YES ? document_text(r, list[i].text) : S("") };

        ans.sink.emit(&ans.sink, &ev);
    }
    r->wire->caller->asks[OP_RERANK]->write_answer(&w, &ans);
    return true;
}

/* --- moderations --- */

static void
add_categories(struct buf *out, const char *value, const char *flagged_value, bool flagged)
{
    static const char *const names[] = { "harassment", "harassment/threatening", "sexual", "hate",
        "hate/threatening", "illicit", "illicit/violent", "self-harm/intent",
        "self-harm/instructions", "self-harm", "sexual/minors", "violence", "violence/graphic" };

    buf_add_c(out, '{');
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        buf_printf(out, "%s\"%s\":%s", i > 0 ? "," : "", names[i],
            flagged && strcmp(names[i], "violence") == 0 ? flagged_value : value);
    buf_add_c(out, '}');
}

/* The simulated moderation flags a single word. */
bool
mock_moderations(const struct llm_request *r, struct buf *out, struct llm_error *why)
{
    const struct json *input = json_get(r->doc, S("input"));
    struct json_iter it = json_iter(input);
    uint32_t results = json_is(input, JSON_ARRAY) ? json_count(input) : 1;

    if (!json_present(input))
        return mock_refuse(r->arena, why, S("input"), "Missing required parameter: 'input'.");
    buf_add(out, S("{\"id\":\""));
    buf_add(out, mock_random_id(r->arena, S("modr-")));
    buf_add(out, S("\",\"model\":"));
    json_add_str(out, r->model.n != 0 ? r->model : S("omni-moderation-latest"));
    buf_add(out, S(",\"results\":["));
    for (uint32_t i = 0; i < results; i++) {
        struct str text = json_raw(json_is(input, JSON_ARRAY) && json_next(&it) ? it.value : input);
        bool flagged = str_find(text, S("kill")) < text.n;
        buf_printf(
            out, "%s{\"flagged\":%s,\"categories\":", i > 0 ? "," : "", flagged ? "true" : "false");
        add_categories(out, "false", "true", flagged);
        buf_add(out, S(",\"category_scores\":"));
        add_categories(out, "0.00001", "0.98", flagged);
        buf_add(out, S(",\"category_applied_input_types\":"));
        add_categories(out, "[\"text\"]", "[\"text\"]", flagged);
        buf_add_c(out, '}');
    }
    buf_add(out, S("]}"));
    return true;
}
