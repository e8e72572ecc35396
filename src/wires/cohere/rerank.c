/* rerank.c - /rerank: both sides of Cohere's second version. */
#include "llm/answer.h"
#include "llm/ranking.h"
#include "wires/cohere/cohere.h"

static void
write_answer(struct wire_writer *w, const struct llm_answer *ans)
{
    struct json_out o = json_out(w->out);

    out_object(&o);
    out_text(&o, "id", ans->id.n > 0 ? ans->id : w->id);
    ranking_add_results(&o, ans);
    ranking_add_meta(&o, &ans->usage, S("2"));
    out_end(&o);
}

const struct wire_asks cohere_rerank = { .members = ranking_members, .write_answer = write_answer };

void
cohere_write_rerank(struct request_out *w)
{
    const struct llm_ranking *k = w->r->ranking;

    ranking_write_core(w);
    if (k->document_tokens != 0)
        out_i64(&w->o, "max_tokens_per_doc", k->document_tokens);
    if (k->documents_back == YES)
        wire_drop(w->drops, S("return_documents"));
}

enum err
cohere_read_rerank(struct wire_reader *r, struct str body)
{
    enum err e;

    return ranking_read_answer(r, body, &e) ? e : cohere_read_answer(r, body);
}
