/* ranking.c - documents by how well they answer a query. */
#include "llm/ranking.h"

#include "llm/answer.h"
#include "llm/embed.h"
#include "llm/emit.h"

/* --- a caller's request, read --- */

static struct llm_ranking *
ranking_of(struct cursor c)
{
    struct llm_request *r = c.rd->r;

    if (r->ranking == NULL) {
        r->ranking = arena_new(c.rd->a, struct llm_ranking);
        r->ranking->tail = &r->ranking->documents;
    }
    return r->ranking;
}

static void
read_query(struct cursor c)
{
    ranking_of(c)->query = read_required_text(c);
}

/* A text, or an object with one. */
static void
read_documents(struct cursor documents)
{
    struct llm_ranking *k = ranking_of(documents);

    READ_EACH (document, &documents) {
        struct cursor text =
            json_is(document.j, JSON_OBJECT) ? read_at(&document, "text") : document;
        struct llm_word *added = arena_new(document.rd->a, struct llm_word);

        added->text = read_text(text);
        if (!json_is(text.j, JSON_STRING))
            read_fault(text, ERR_BAD_REQUEST, text.rd->words->text);
        *k->tail = added;
        k->tail = &added->next;
        k->count++;
    }
    if (k->count == 0)
        read_fault(documents, ERR_BAD_REQUEST, "must be a list of documents that is not empty");
}

static void
read_top(struct cursor c)
{
    ranking_of(c)->top = read_integer(c, 1, UINT32_MAX, 0, "must be an integer of at least 1");
}

static void
read_document_tokens(struct cursor c)
{
    ranking_of(c)->document_tokens =
        read_integer(c, 1, UINT32_MAX, 0, "must be an integer of at least 1");
}

static void
read_back(struct cursor c)
{
    ranking_of(c)->documents_back = read_flag(c);
}

const struct read_member ranking_members[] = {
    { "query", read_query },
    { "documents", read_documents },
    { "top_n", read_top },
    { "max_tokens_per_doc", read_document_tokens },
    { "return_documents", read_back },
    { "model", NULL },
    { NULL, NULL },
};

int64_t
ranking_estimate_tokens(const struct llm_ranking *k)
{
    size_t bytes = k->query.n;

    for (const struct llm_word *d = k->documents; d != NULL; d = d->next)
        bytes += d->text.n;
    return (int64_t)(bytes + 3) / 4;
}

/* --- a request for a provider, written --- */

void
ranking_write_core(struct request_out *w)
{
    const struct llm_ranking *k = w->r->ranking;

    out_text(&w->o, "model", w->t->model);
    out_text(&w->o, "query", k->query);
    out_key_array(&w->o, "documents");
    for (const struct llm_word *d = k->documents; d != NULL; d = d->next)
        out_text_value(&w->o, d->text);
    out_end_array(&w->o);
    if (k->top != 0)
        out_i64(&w->o, "top_n", k->top);
}

/* --- its answer, read --- */

/* {"index":,"relevance_score":,"document":}, or with "score". What is something else is left out. */
static void
read_result(struct wire_reader *r, const struct json *result)
{
    const struct json *score = json_get(result, S("relevance_score"));
    const struct json *index = json_get(result, S("index"));
    int64_t at = json_i64(index, -1);

    if (score == NULL)
        score = json_get(result, S("score"));
    if (at < 0 || at > UINT32_MAX - 1 || !json_is(score, JSON_NUMBER))
        return;
    wire_emit(r, &(struct llm_event){ .kind = EVENT_RANK,
                     .index = (uint32_t)at,
                     .text = json_raw(score),
                     .raw = json_raw(json_get(result, S("document"))) });
}

/* Searches as Cohere's models bill them, at whatever host, or tokens. */
static void
read_usage(struct llm_usage *u, const struct json *doc)
{
    static const struct {
        enum llm_count count;
        const char *path;
    } rows[] = {
        { COUNT_INPUT, "meta.tokens.input_tokens" },
        { COUNT_INPUT, "usage.total_tokens" },
        { COUNT_INPUT, "usage.prompt_tokens" },
        { COUNT_SEARCHES, "usage.search_units" },
        { COUNT_SEARCHES, "meta.billed_units.search_units" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct json *count = json_at(doc, rows[i].path);

        if (json_is(count, JSON_NUMBER))
            usage_set(u, rows[i].count, json_i64(count, 0));
    }
}

bool
ranking_read_answer(struct wire_reader *r, struct str body, enum err *ret_err)
{
    const struct json *doc = embed_parse(r, body, ret_err);
    const struct json *results = json_get(doc, S("results"));
    struct llm_usage u = { .known = 0 };

    if (doc == NULL)
        return true;
    if (results == NULL)    /* Voyage */
        results = json_get(doc, S("data"));
    if (!json_is(results, JSON_ARRAY))
        return false;

    struct json_iter it = json_iter(results);

    emit_start(r, &(struct llm_event){ .id = emit_string(r, json_get(doc, S("id"))),
                      .model = emit_string(r, json_get(doc, S("model"))) });
    while (json_next(&it))
        read_result(r, it.value);
    read_usage(&u, doc);
    emit_usage(r, &u);
    emit_end(r);
    *ret_err = emit_verdict(r, OK);
    return true;
}

/* --- the answer for the caller, written --- */

void
ranking_add_results(struct json_out *o, const struct llm_answer *ans)
{
    out_key_array(o, "results");
    for (const struct llm_rank *rank = ans->ranks; rank != NULL; rank = rank->next) {
        out_object(o);
        out_i64(o, "index", rank->index);
        out_raw(o, "relevance_score", rank->score);
        if (rank->document.n > 0)
            out_raw(o, "document", rank->document);
        out_end(o);
    }
    out_end_array(o);
}

void
ranking_add_meta(struct json_out *o, const struct llm_usage *u, struct str version)
{
    out_key_object(o, "meta");
    out_key_object(o, "api_version");
    out_text(o, "version", version);
    out_end(o);
    if (usage_has(u, COUNT_SEARCHES)) {
        out_key_object(o, "billed_units");
        out_i64(o, "search_units", u->searches);
        out_end(o);
    }
    out_end(o);
}
