/* embed.c - embeddings: both sides of Ollama's /api/embed, and the caller's of the older
 * /api/embeddings, which takes one text and answers with one vector.
 */
#include "llm/answer.h"
#include "llm/embed.h"
#include "llm/emit.h"
#include "wires/ollama/ollama.h"

/* The forms of an answer. */
enum form { FORM_LIST, FORM_ONE };

static const struct embed_names names = { .input = "input",
    .dimensions = "dimensions",
    .types = "encoding_format",
    .task = "input_type",
    .title = "title",
    .cut = "truncate" };

/* --- a caller's request, read --- */

static void
read_input(struct cursor c)
{
    embed_add_texts(embed_of(c, &names), c);
}

static void
read_prompt(struct cursor c)
{
    struct llm_embed *e = embed_of(c, &names);

    if (read_present(c)) {
        e->form = FORM_ONE;
        embed_add_text(e, c);
    }
    embed_check((struct cursor){ .rd = c.rd, .up = c.up, .key = "input" });
}

static void
read_dimensions(struct cursor c)
{
    embed_read_dimensions(embed_of(c, &names), c);
}

static void
read_cut(struct cursor c)
{
    embed_read_cut(embed_of(c, &names), c);
}

/* How the model is run; an empty object asks for nothing. */
static void
read_options(struct cursor c)
{
    struct llm_member **tail = &c.rd->r->extra;
    struct json_iter it = json_iter(read_node(c, JSON_OBJECT));

    while (*tail != NULL)
        tail = &(*tail)->next;
    while (json_next(&it)) {
        *tail = arena_new(c.rd->a, struct llm_member);
        **tail = (struct llm_member){ .name = it.key, .value = it.value };
        tail = &(*tail)->next;
    }
}

static const struct read_member members[] = {
    { "input", read_input },
    { "prompt", read_prompt },
    { "dimensions", read_dimensions },
    { "truncate", read_cut },
    { "options", read_options },
    { "model", NULL },
    { NULL, NULL },
};

/* --- the answer for it, written --- */

static void
write_answer(struct wire_writer *w, const struct llm_answer *ans)
{
    struct json_out o = json_out(w->out);

    out_object(&o);
    if (w->form == FORM_ONE) {
        const struct llm_vector *const *list = embed_vectors(w, ans, VECTOR_FLOAT);

        out_key(&o, "embedding");
        if (list != NULL)
            embed_add_vector(w, &o, list[0], VECTOR_FLOAT);
        out_end(&o);
        return;
    }
    out_text(&o, "model", ans->model.n != 0 ? ans->model : w->model);
    out_key(&o, "embeddings");
    embed_add_list(w, &o, ans, VECTOR_FLOAT);
    if (usage_has(&ans->usage, COUNT_INPUT))
        out_i64(&o, "prompt_eval_count", ans->usage.input);
    out_end(&o);
}

const struct wire_asks ollama_embed = { .members = members, .write_answer = write_answer };

/* --- a request for a provider, written --- */

void
ollama_write_embed(struct request_out *w)
{
    const struct llm_embed *e = w->r->embed;

    (void)embed_types(w, VECTOR_BIT(FLOAT));
    out_text(&w->o, "model", w->t->model);
    out_key_array(&w->o, "input");
    for (const struct llm_input *input = e->inputs; input != NULL; input = input->next)
        out_text_value(&w->o, embed_text(w, input));
    out_end_array(&w->o);
    if (e->dimensions != 0)
        out_i64(&w->o, "dimensions", e->dimensions);
    if (e->cut == CUT_NOTHING || e->cut == CUT_END)
        out_bool(&w->o, "truncate", e->cut == CUT_END);
    embed_drop(
        w, EMBED_LACKS_TASK | EMBED_LACKS_TITLE | (e->cut == CUT_START ? EMBED_LACKS_CUT : 0));
}

/* --- its answer, read --- */

enum err
ollama_read_embed(struct wire_reader *r, struct str body)
{
    enum err e;
    const struct json *doc = embed_parse(r, body, &e);
    const struct json *one = json_get(doc, S("embedding"));
    const struct json *list = json_get(doc, S("embeddings"));
    const struct json *count = json_get(doc, S("prompt_eval_count"));

    if (doc == NULL)
        return e;
    if (one == NULL && list == NULL)
        return ollama_read_answer(r, body);
    emit_start(r, &(struct llm_event){ .model = emit_string(r, json_get(doc, S("model"))) });
    e = one != NULL ? embed_emit(r, 0, VECTOR_FLOAT, one) : embed_emit_by_type(r, list);
    if (e == OK)
        embed_emit_end(r, json_is(count, JSON_NUMBER) ? MAX(json_i64(count, 0), 0) : -1);
    return e;
}
