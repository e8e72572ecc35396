/* embed.c - embeddings: both sides of InvokeModel, whose body is as the model's maker has it.
 *
 * Amazon's Titan takes one text in a request, and says how many tokens it has; Cohere's models take many in
 * the form of Cohere's own API, and the count is a field of the answer's head. A caller's body shows
 * which of the two it is.
 */
#include "llm/answer.h"
#include "llm/embed.h"
#include "llm/emit.h"
#include "llm/media.h"
#include "wires/bedrock/bedrock.h"
#include "wires/cohere/cohere.h"

/* The forms of an answer. */
enum form { FORM_TITAN, FORM_COHERE };

static const struct embed_names titan_names = { .input = "inputText",
    .dimensions = "dimensions",
    .types = "embeddingTypes",
    .task = "input_type",
    .title = "title",
    .cut = "truncate" };

/* --- a caller's request, read --- */

static void
read_input_text(struct cursor c)
{
    struct llm_embed *e = embed_of(c, &titan_names);

    if (read_present(c))
        embed_add_text(e, c);
}

static void
read_texts_of(struct cursor c)
{
    struct llm_embed *e = embed_of(c, &titan_names);

    if (!read_present(c))
        return;
    e->form = FORM_COHERE;
    embed_add_texts(e, c);
}

static void
read_images(struct cursor c)
{
    struct llm_embed *e = embed_of(c, &titan_names);

    READ_EACH (image, &c) {
        e->form = FORM_COHERE;
        (void)embed_add(e, c.rd->a);
        if (!media_set_url(embed_part(e, c.rd->a, PART_IMAGE), read_required_text(image)))
            read_fault(image, ERR_BAD_REQUEST, "must be an image in a data: URL");
    }
    embed_check((struct cursor){ .rd = c.rd, .up = c.up, .key = "inputText" });
}

static void
read_dimensions(struct cursor c)
{
    if (read_present(c))
        embed_read_dimensions(embed_of(c, &titan_names), c);
}

static void
read_types(struct cursor c)
{
    if (read_present(c))
        embed_read_types(embed_of(c, &titan_names), c);
}

static void
read_task(struct cursor c)
{
    embed_read_task(embed_of(c, &titan_names), c);
}

static void
read_cut(struct cursor c)
{
    embed_read_cut(embed_of(c, &titan_names), c);
}

/* Vectors of length one are what most models make anyway. */
static void
read_normalize(struct cursor c)
{
    (void)read_flag(c);
}

static const struct read_member members[] = {
    { "inputText", read_input_text },
    { "texts", read_texts_of },
    { "images", read_images },
    { "dimensions", read_dimensions },
    { "output_dimension", read_dimensions },
    { "embeddingTypes", read_types },
    { "embedding_types", read_types },
    { "input_type", read_task },
    { "truncate", read_cut },
    { "normalize", read_normalize },
    { NULL, NULL },
};

/* --- the answer for it, written --- */

static void
add_types(struct wire_writer *w, struct json_out *o, const struct llm_answer *ans)
{
    uint32_t types = w->vector_types != 0 ? w->vector_types : VECTOR_BIT(FLOAT);

    out_object(o);
    for (enum vector_type t = 0; t < VECTOR_TYPES; t++) {
        const struct llm_vector *const *list =
            (types & 1u << t) != 0 ? embed_vectors(w, ans, t) : NULL;

        if (list == NULL)
            continue;
        out_key_str(o, embed_type_name(t));
        if (w->form == FORM_TITAN)
            embed_add_vector(w, o, list[0], t);
        else
            embed_add_list(w, o, ans, t);
    }
    out_end(o);
}

static void
write_answer(struct wire_writer *w, const struct llm_answer *ans)
{
    struct json_out o = json_out(w->out);

    out_object(&o);
    if (w->form == FORM_COHERE) {
        out_text(&o, "id", ans->id.n > 0 ? ans->id : w->id);
        out_key(&o, "embeddings");
        if (w->vector_types == 0)
            embed_add_list(w, &o, ans, VECTOR_FLOAT);
        else
            add_types(w, &o, ans);
        out_text(&o, "response_type",
            w->vector_types == 0 ? S("embeddings_floats") : S("embeddings_by_type"));
    } else {
        const struct llm_vector *const *list = embed_vectors(w, ans, VECTOR_FLOAT);

        if (list != NULL) {
            out_key(&o, "embedding");
            embed_add_vector(w, &o, list[0], VECTOR_FLOAT);
            out_key(&o, "embeddingsByType");
            add_types(w, &o, ans);
        }
        out_i64(&o, "inputTextTokenCount",
            usage_has(&ans->usage, COUNT_INPUT) ? ans->usage.input : MAX(w->input_estimate, 1));
    }
    out_end(&o);
}

const struct wire_asks bedrock_embed = { .members = members, .write_answer = write_answer };

/* --- a request for a provider, written --- */

static bool
is_cohere(const struct wire_target *t)
{
    return str_find(t->model, S("cohere.")) != t->model.n;
}

/* The first version has no parameters. */
static void
write_titan(struct request_out *w)
{
    const struct llm_embed *e = w->r->embed;
    bool first = str_find(w->t->model, S("titan-embed-text-v1")) != w->t->model.n ||
                 str_find(w->t->model, S("titan-embed-g1")) != w->t->model.n;
    uint32_t types = embed_types(w, VECTOR_BIT(FLOAT) | (first ? 0 : VECTOR_BIT(BINARY)));

    embed_limit(w, 1);
    out_text(&w->o, "inputText", embed_text(w, e->inputs));
    if (e->dimensions != 0 && !first)
        out_i64(&w->o, "dimensions", e->dimensions);
    if (types != VECTOR_BIT(FLOAT)) {
        out_key_array(&w->o, "embeddingTypes");
        for (enum vector_type t = 0; t < VECTOR_TYPES; t++)
            if ((types & 1u << t) != 0)
                out_text_value(&w->o, embed_type_name(t));
        out_end_array(&w->o);
    }
    embed_drop(w, EMBED_LACKS_TASK | EMBED_LACKS_TITLE | EMBED_LACKS_CUT |
                      (first ? EMBED_LACKS_DIMENSIONS : 0));
}

void
bedrock_write_embed(struct request_out *w)
{
    if (is_cohere(w->t))
        cohere_add_embed(w, VECTOR_BIT(FLOAT) | VECTOR_BIT(INT8) | VECTOR_BIT(UINT8) |
                                VECTOR_BIT(BINARY) | VECTOR_BIT(UBINARY));
    else
        write_titan(w);
}

/* --- its answer, read --- */

/* {"float":[...],"binary":[...]}: of one input. */
static enum err
emit_types_of_one(struct wire_reader *r, const struct json *by_type)
{
    struct json_iter it = json_iter(by_type);
    enum err e = OK;

    while (e == OK && json_next(&it))
        for (enum vector_type t = 0; t < VECTOR_TYPES; t++)
            if (json_str_is(it.key, embed_type_name(t)) && e == OK)
                e = embed_emit(r, 0, t, it.value);
    return e;
}

enum err
bedrock_read_embed(struct wire_reader *r, struct str body)
{
    enum err e;
    const struct json *doc = embed_parse(r, body, &e);
    const struct json *one = json_get(doc, S("embedding"));
    const struct json *by_type = json_get(doc, S("embeddingsByType"));
    const struct json *list = json_get(doc, S("embeddings"));
    const struct json *count = json_get(doc, S("inputTextTokenCount"));
    int64_t tokens = json_is(count, JSON_NUMBER) ? MAX(json_i64(count, 0), 0)
                     : r->head_input > 0         ? r->head_input
                                                 : -1;

    if (doc == NULL)
        return e;
    if (one == NULL && by_type == NULL && list == NULL)
        return bedrock_read_answer(r, body);
    emit_start(r, &(struct llm_event){ .id = emit_string(r, json_get(doc, S("id"))) });
    if (list != NULL)
        e = embed_emit_by_type(r, list);
    else if (by_type != NULL)
        e = emit_types_of_one(r, by_type);
    else
        e = embed_emit(r, 0, VECTOR_FLOAT, one);
    if (e == OK)
        embed_emit_end(r, tokens);
    return e;
}
