/* rerank.c - /rerank: both sides of the form that Jina, vLLM, Together, OpenRouter and others share.
 *
 * Cohere's first version has the same route and nearly the same request: answers have the members
 * of both, so that clients of either find theirs.
 */
#include "llm/ranking.h"
#include "wires/openai_chat/openai_chat.h"

/* --- the answer for it, written --- */

static void
write_answer(struct wire_writer *w, const struct llm_answer *ans)
{
    struct json_out o = json_out(w->out);
    const struct llm_usage *u = &ans->usage;

    out_object(&o);
    out_text(&o, "id", ans->id.n != 0 ? ans->id : w->id);
    out_text(&o, "model", ans->model.n != 0 ? ans->model : w->model);
    ranking_add_results(&o, ans);
    out_key_object(&o, "usage");
    if (usage_has(u, COUNT_INPUT)) {
        out_i64(&o, "prompt_tokens", u->input);
        out_i64(&o, "total_tokens", u->input);
    }
    if (usage_has(u, COUNT_SEARCHES))
        out_i64(&o, "search_units", u->searches);
    openai_add_cost(&o, w, u);
    out_end(&o);
    ranking_add_meta(&o, u, S("1"));
    out_end(&o);
}

const struct wire_asks openai_rerank = { .members = ranking_members, .write_answer = write_answer };

/* --- a request for a provider, written --- */

void
openai_write_rerank(struct request_out *w)
{
    const struct llm_ranking *k = w->r->ranking;

    ranking_write_core(w);
    if (k->documents_back != UNSAID)
        out_bool(&w->o, "return_documents", k->documents_back == YES);
    if (k->document_tokens != 0)
        wire_drop(w->drops, S("max_tokens_per_doc"));
}

/* --- its answer, read --- */

enum err
openai_read_rerank(struct wire_reader *r, struct str body)
{
    enum err e;

    return ranking_read_answer(r, body, &e) ? e : openai_read_answer(r, body);
}
