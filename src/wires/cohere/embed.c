/* embed.c - /embed: both sides of Cohere's form, of either version of its API.
 *
 * The first version answers with plain lists unless types are asked for; providers are asked in the
 * second one. They refuse a request without a purpose: documents are what most embed.
 */
#include "llm/answer.h"
#include "llm/embed.h"
#include "llm/emit.h"
#include "llm/media.h"
#include "wires/cohere/cohere.h"

/* The forms of an answer. */
enum form { FORM_BY_TYPE, FORM_FLOATS, FORM_FIRST_BY_TYPE };

static const struct embed_names names = { .input = "texts",
    .dimensions = "output_dimension",
    .types = "embedding_types",
    .task = "input_type",
    .title = "title",
    .cut = "truncate" };

/* Is the route one of the first version of the API? */
static bool
is_first(const struct llm_request *r)
{
    return str_starts(r->route, S("/v1/"));
}

/* --- a caller's request, read --- */

static void
read_texts_of(struct cursor c)
{
    embed_add_texts(embed_of(c, &names), c);
}

static void
add_image(struct llm_embed *e, struct cursor url)
{
    if (!media_set_url(embed_part(e, url.rd->a, PART_IMAGE), read_required_text(url)))
        read_fault(url, ERR_BAD_REQUEST, "must be a URL, or an image in a data: URL");
}

static void
read_images(struct cursor c)
{
    struct llm_embed *e = embed_of(c, &names);

    READ_EACH (image, &c) {
        (void)embed_add(e, c.rd->a);
        add_image(e, image);
    }
}

/* [{"content":[{"type":"text","text":}|{"type":"image_url","image_url":{"url":}}]}] */
static void
read_inputs(struct cursor c)
{
    struct llm_embed *e = embed_of(c, &names);

    READ_EACH (input, &c) {
        struct cursor content = read_at(&input, "content");

        (void)embed_add(e, c.rd->a);
        READ_EACH (part, &content) {
            struct cursor image = read_at(&part, "image_url");
            struct cursor type = read_at(&part, "type");

            if (read_is(type, "text"))
                embed_part(e, c.rd->a, PART_TEXT)->text = read_text(read_at(&part, "text"));
            else if (read_is(type, "image_url"))
                add_image(e, read_at(&image, "url"));
            else
                read_fault(type, ERR_BAD_REQUEST, "must be text or image_url");
        }
    }
}

static void
read_task(struct cursor c)
{
    embed_read_task(embed_of(c, &names), c);
}

static void
read_types(struct cursor c)
{
    struct llm_embed *e = embed_of(c, &names);

    embed_read_types(e, c);
    if (is_first(c.rd->r))
        e->form = e->types != 0 ? FORM_FIRST_BY_TYPE : FORM_FLOATS;
    if (e->types == 0)
        e->types = VECTOR_BIT(FLOAT);
}

static void
read_dimensions(struct cursor c)
{
    embed_read_dimensions(embed_of(c, &names), c);
}

/* Of an input too long the end is left out, unless the caller says otherwise. */
static void
read_cut(struct cursor c)
{
    embed_read_cut(embed_of(c, &names), c);
    embed_check((struct cursor){ .rd = c.rd, .up = c.up, .key = "texts" });
}

static const struct read_member members[] = {
    { "texts", read_texts_of },
    { "images", read_images },
    { "inputs", read_inputs },
    { "input_type", read_task },
    { "embedding_types", read_types },
    { "output_dimension", read_dimensions },
    { "truncate", read_cut },
    { "model", NULL },
    { NULL, NULL },
};

/* --- the answer for it, written --- */

static void
write_answer(struct wire_writer *w, const struct llm_answer *ans)
{
    struct json_out o = json_out(w->out);

    out_object(&o);
    out_text(&o, "id", ans->id.n > 0 ? ans->id : w->id);
    out_key(&o, "embeddings");
    if (w->form == FORM_FLOATS) {
        embed_add_list(w, &o, ans, VECTOR_FLOAT);
    } else {
        out_object(&o);
        for (enum vector_type t = 0; t < VECTOR_TYPES; t++) {
            const struct llm_vector *v = ans->vectors;
            bool real = t == VECTOR_FLOAT || t == VECTOR_BASE64;

            if ((w->vector_types & 1u << t) == 0)
                continue;
            while (!real && v != NULL && v->type != t)    /* the target may not have made it */
                v = v->next;
            if (v == NULL)
                continue;
            out_key_str(&o, embed_type_name(t));
            embed_add_list(w, &o, ans, t);
        }
        out_end(&o);
    }
    out_key_object(&o, "meta");
    out_key_object(&o, "api_version");
    out_text(&o, "version", w->form == FORM_BY_TYPE ? S("2") : S("1"));
    out_end(&o);
    out_key_object(&o, "billed_units");
    out_i64(&o, "input_tokens",
        usage_has(&ans->usage, COUNT_BILLED_INPUT) ? ans->usage.billed_input : ans->usage.input);
    out_end(&o);
    out_end(&o);
    out_text(&o, "response_type",
        w->form == FORM_FLOATS ? S("embeddings_floats") : S("embeddings_by_type"));
    out_end(&o);
}

const struct wire_asks cohere_embed = { .members = members, .write_answer = write_answer };

/* --- a request for a provider, written --- */

static void
add_url(struct request_out *w, const struct llm_part *part)
{
    out_key(&w->o, "url");
    out_string(&w->o);
    if (part->data.n != 0) {
        out_piece(&w->o, S("data:"));
        out_piece(&w->o, part->mime);
        out_piece(&w->o, S(";base64,"));
    }
    out_piece(&w->o, part->data.n != 0 ? part->data : part->url);
    out_end_string(&w->o);
}

static void
add_parts(struct request_out *w, const struct llm_input *input)
{
    out_object(&w->o);
    out_key_array(&w->o, "content");
    if (input->plain != NULL) {
        out_object(&w->o);
        out_const(&w->o, "\"type\":\"text\"");
        out_text(&w->o, "text", embed_text(w, input));
        out_end(&w->o);
    }
    for (const struct llm_part *part = input->parts; part != NULL; part = part->next) {
        out_object(&w->o);
        if (part->kind == PART_TEXT) {
            out_const(&w->o, "\"type\":\"text\"");
            out_text(&w->o, "text", part->text);
        } else if (part->kind == PART_IMAGE) {
            out_const(&w->o, "\"type\":\"image_url\"");
            out_key_object(&w->o, "image_url");
            add_url(w, part);
            out_end(&w->o);
        } else {
            write_refuse(w, ERR_UNSUPPORTED, w->r->embed->names->input,
                "this provider embeds text and images only");
        }
        out_end(&w->o);
    }
    out_end_array(&w->o);
    out_end(&w->o);
}

void
cohere_add_embed(struct request_out *w, uint32_t can)
{
    const struct llm_embed *e = w->r->embed;
    static const struct str cuts[] = {
        [CUT_NOTHING] = S_INIT("NONE"), [CUT_START] = S_INIT("START"), [CUT_END] = S_INIT("END")
    };
    struct str task = embed_cohere_task(e->task);
    bool images = embed_has_image(e);
    uint32_t types = embed_types(w, can);

    if (e->task != TASK_UNSAID && task.n == 0)
        embed_drop(w, EMBED_LACKS_TASK);
    out_text(&w->o, "input_type", task.n != 0 ? task : images ? S("image") : S("search_document"));
    out_name(&w->o, images ? S(",\"inputs\":[") : S(",\"texts\":["));
    for (const struct llm_input *input = e->inputs; input != NULL; input = input->next) {
        if (images)
            add_parts(w, input);
        else
            out_text_value(&w->o, embed_text(w, input));
    }
    out_end_array(&w->o);
    out_key_array(&w->o, "embedding_types");
    for (enum vector_type t = 0; t < VECTOR_TYPES; t++)
        if ((types & 1u << t) != 0)
            out_text_value(&w->o, embed_type_name(t));
    out_end_array(&w->o);
    if (e->dimensions != 0)
        out_i64(&w->o, "output_dimension", e->dimensions);
    if (e->cut != CUT_UNSAID)
        out_text(&w->o, "truncate", cuts[e->cut]);
    embed_drop(w, EMBED_LACKS_TITLE);
}

void
cohere_write_embed(struct request_out *w)
{
    out_text(&w->o, "model", w->t->model);
    cohere_add_embed(w, VECTOR_BIT(FLOAT) | VECTOR_BIT(INT8) | VECTOR_BIT(UINT8) |
                            VECTOR_BIT(BINARY) | VECTOR_BIT(UBINARY));
}

bool
cohere_rewrites(const struct llm_request *r, const struct wire_target *t UNUSED)
{
    return (r->op == OP_EMBED || r->op == OP_RERANK) && is_first(r);
}

/* --- its answer, read --- */

enum err
cohere_read_embed(struct wire_reader *r, struct str body)
{
    enum err e;
    const struct json *doc = embed_parse(r, body, &e);
    const struct json *vectors = json_get(doc, S("embeddings"));
    struct llm_usage u = { .known = 0 };

    if (doc == NULL)
        return e;
    if (!json_present(vectors))
        return cohere_read_answer(r, body);
    emit_start(r, &(struct llm_event){ .id = emit_string(r, json_get(doc, S("id"))) });
    e = embed_emit_by_type(r, vectors);
    if (e != OK)
        return e;
    cohere_read_usage(&u, json_get(doc, S("meta")));
    emit_usage(r, &u);
    embed_emit_end(r, -1);
    return emit_verdict(r, OK);
}
