/* embed.c - /embeddings: both sides of OpenAI's form, which most hosts share.
 *
 * Mistral names dimensions and types differently. What an input may be besides text is OpenRouter's
 * form, {"content":[parts]}, and so is `input_type`; others ignore or lack it.
 */
#include "llm/embed.h"

#include "llm/answer.h"
#include "llm/emit.h"
#include "llm/media.h"
#include "wires/openai_chat/openai_chat.h"

static const struct embed_names names = { .input = "input",
    .dimensions = "dimensions",
    .types = "encoding_format",
    .task = "input_type",
    .title = "title",
    .cut = "truncate" };

/* --- a caller's request, read --- */

static void
read_part(struct llm_embed *e, struct cursor part)
{
    struct cursor type = read_at(&part, "type");
    struct cursor image = read_at(&part, "image_url");
    struct cursor url = json_is(image.j, JSON_OBJECT) ? read_at(&image, "url") : image;

    if (read_is(type, "text"))
        embed_part(e, part.rd->a, PART_TEXT)->text = read_text(read_at(&part, "text"));
    else if (!read_is(type, "image_url"))
        read_fault(type, ERR_BAD_REQUEST, "must be text or image_url");
    else if (!media_set_url(embed_part(e, part.rd->a, PART_IMAGE), read_required_text(url)))
        read_fault(url, ERR_BAD_REQUEST, "must be a URL, or an image in a data: URL");
}

/* A text, a list of tokens, or a list of parts. */
static void
read_one(struct llm_embed *e, struct cursor input)
{
    struct cursor content = read_at(&input, "content");

    if (json_is(input.j, JSON_STRING)) {
        embed_add_text(e, input);
        return;
    }

    struct llm_input *added = embed_add(e, input.rd->a);

    if (json_is(input.j, JSON_OBJECT)) {
        READ_EACH (part, &content)
            read_part(e, part);
        return;
    }
    if (!json_is(input.j, JSON_ARRAY) || json_is_empty(input.j))
        read_fault(input, ERR_BAD_REQUEST, "must be a string, or a list of tokens");
    added->plain = input.j;
}

static void
read_input(struct cursor input)
{
    struct llm_embed *e = embed_of(input, &names);
    bool list =
        json_is(input.j, JSON_ARRAY) && !json_is_empty(input.j) && input.j[1].type != JSON_NUMBER;

    if (!read_present(input))
        read_fault(input, ERR_BAD_REQUEST, openai_words.required);
    else if (!list)
        read_one(e, input);
    else
        READ_EACH (one, &input)
            read_one(e, one);
}

static void
read_format(struct cursor c)
{
    if (read_present(c))
        embed_read_types(embed_of(c, &names), c);
}

static void
read_dimensions(struct cursor c)
{
    if (read_present(c))
        embed_read_dimensions(embed_of(c, &names), c);
}

static void
read_task(struct cursor c)
{
    embed_read_task(embed_of(c, &names), c);
}

static const struct read_member members[] = {
    { "input", read_input },
    { "encoding_format", read_format },
    { "output_dtype", read_format },
    { "dimensions", read_dimensions },
    { "output_dimension", read_dimensions },
    { "input_type", read_task },
    { "model", NULL },
    { NULL, NULL },
};

/* --- the answer for it, written --- */

/* Base64 is a format, beside Mistral's types: of floats, and asked for by itself. */
static enum vector_type
type_of(uint32_t types)
{
    uint32_t others = types & ~(VECTOR_BIT(FLOAT) | VECTOR_BIT(BASE64));

    return others != 0                         ? (enum vector_type)__builtin_ctz(others)
           : (types & VECTOR_BIT(BASE64)) != 0 ? VECTOR_BASE64
                                               : VECTOR_FLOAT;
}

static void
write_list(struct wire_writer *w, const struct llm_answer *ans, bool named)
{
    struct json_out o = json_out(w->out);
    uint32_t types = w->vector_types != 0 ? w->vector_types : VECTOR_BIT(FLOAT);
    enum vector_type type = type_of(types);
    const struct llm_vector *const *list = embed_vectors(w, ans, type);
    int64_t input =
        usage_has(&ans->usage, COUNT_INPUT) ? ans->usage.input : MAX(w->input_estimate, 1);

    out_object(&o);
    if (named)
        out_text(&o, "id", w->id);
    out_const(&o, "\"object\":\"list\"");
    out_key_array(&o, "data");
    for (uint32_t i = 0; list != NULL && i < w->inputs; i++) {
        out_object(&o);
        out_const(&o, "\"object\":\"embedding\"");
        out_i64(&o, "index", i);
        out_key(&o, "embedding");
        embed_add_vector(w, &o, list[i], type);
        out_end(&o);
    }
    out_end_array(&o);
    out_text(&o, "model", ans->model.n != 0 ? ans->model : w->model);
    out_key_object(&o, "usage");
    out_i64(&o, "prompt_tokens", input);
    out_i64(&o, "total_tokens", input);
    openai_add_cost(&o, w, &ans->usage);
    out_end(&o);
    out_end(&o);
}

static void
write_answer(struct wire_writer *w, const struct llm_answer *ans)
{
    write_list(w, ans, false);
}

/* Mistral's clients require an id. */
static void
write_named_answer(struct wire_writer *w, const struct llm_answer *ans)
{
    write_list(w, ans, true);
}

const struct wire_asks mistral_embed = { .members = members, .write_answer = write_named_answer };
const struct wire_asks openai_embed = { .members = members, .write_answer = write_answer };

/* --- a request for a provider, written --- */

static void
add_input(struct request_out *w, const struct llm_input *input)
{
    if (input->plain != NULL)
        out_raw_value(&w->o, json_raw(input->plain));
    else
        out_text_value(&w->o, embed_text(w, input));
}

/* Mistral has other types than floats, one at a time. */
static void
add_type(struct request_out *w)
{
    bool mistral = w->t->traits.mistral == YES;
    uint32_t others =
        VECTOR_BIT(INT8) | VECTOR_BIT(UINT8) | VECTOR_BIT(BINARY) | VECTOR_BIT(UBINARY);
    uint32_t types = embed_types(w, VECTOR_BIT(FLOAT) | (mistral ? others : 0));

    if ((types & VECTOR_BIT(FLOAT)) != 0 && (types & others) != 0)
        wire_drop(w->drops, str_c(w->r->embed->names->types));
    else if (types != 0 && types != VECTOR_BIT(FLOAT))
        out_text(&w->o, "output_dtype", embed_type_name((enum vector_type)__builtin_ctz(types)));
}

void
openai_write_embed(struct request_out *w)
{
    const struct llm_embed *e = w->r->embed;

    out_text(&w->o, "model", w->t->model);
    out_key(&w->o, "input");
    if (e->count == 1) {
        add_input(w, e->inputs);
    } else {
        out_array(&w->o);
        for (const struct llm_input *input = e->inputs; input != NULL; input = input->next)
            add_input(w, input);
        out_end_array(&w->o);
    }
    if (e->dimensions != 0 && w->t->traits.mistral == YES)
        out_i64(&w->o, "output_dimension", e->dimensions);
    else if (e->dimensions != 0)
        out_i64(&w->o, "dimensions", e->dimensions);
    add_type(w);
    embed_drop(
        w, EMBED_LACKS_TASK | EMBED_LACKS_TITLE | (e->cut != CUT_NOTHING ? EMBED_LACKS_CUT : 0));
}

/* --- its answer, read --- */

static int64_t
input_tokens(const struct json *usage)
{
    const struct json *count = json_get(usage, S("prompt_tokens"));

    if (!json_is(count, JSON_NUMBER))    /* Jina's, Voyage's */
        count = json_get(usage, S("total_tokens"));
    return json_is(count, JSON_NUMBER) ? MAX(json_i64(count, 0), 0) : -1;
}

enum err
openai_read_embed(struct wire_reader *r, struct str body)
{
    enum err e;
    const struct json *doc = embed_parse(r, body, &e);
    const struct json *data = json_get(doc, S("data"));
    struct json_iter it = json_iter(data);

    if (doc == NULL)
        return e;
    if (!json_is(data, JSON_ARRAY))    /* an error, perhaps */
        return openai_read_answer(r, body);
    emit_start(r, &(struct llm_event){ .model = emit_string(r, json_get(doc, S("model"))),
                      .id = emit_string(r, json_get(doc, S("id"))) });
    for (int64_t i = 0; e == OK && json_next(&it); i++)
        e = embed_emit(r, json_i64(json_get(it.value, S("index")), i), VECTOR_FLOAT,
            json_get(it.value, S("embedding")));
    if (e == OK)
        embed_emit_end(r, input_tokens(json_get(doc, S("usage"))));
    return e;
}
