/* embed.c - embeddings: both sides of Gemini's forms.
 *
 * A content is asked about by itself (:embedContent) or in a list (:batchEmbedContents), which we
 * ask of providers, because it takes one as well. Vertex AI has another form for both (:predict), whose inputs
 * are texts: providers that have it have the trait `predicts`. In a list each content could have its own
 * purpose and dimensions; other protocols have one for all.
 */
#include "llm/answer.h"
#include "llm/embed.h"
#include "llm/emit.h"
#include "llm/media.h"
#include "wires/gemini/gemini.h"

/* The forms of an answer. */
enum form { FORM_ONE, FORM_LIST, FORM_PREDICTIONS };

static const struct embed_names names = { .input = "content",
    .dimensions = "outputDimensionality",
    .types = "encodingFormat",
    .task = "taskType",
    .title = "title",
    .cut = "autoTruncate" };

static struct cursor
read_either(const struct cursor *up, const char *camel, const char *snake)
{
    struct cursor c = read_at(up, camel);

    return c.j != NULL ? c : read_at(up, snake);
}

static bool
is_predict(const struct llm_request *r)
{
    return str_ends(r->route, S(":predict"));
}

/* --- a caller's request, read --- */

static void
read_part(struct llm_embed *e, struct cursor part)
{
    struct arena *a = part.rd->a;
    struct cursor text = read_at(&part, "text");
    struct cursor inlined = read_either(&part, "inlineData", "inline_data");
    struct cursor file = read_either(&part, "fileData", "file_data");
    struct cursor blob = inlined.j != NULL ? inlined : file;
    struct str mime = read_any_text(read_either(&blob, "mimeType", "mime_type"));

    if (json_is(part.j, JSON_STRING) || text.j != NULL) {
        embed_part(e, a, PART_TEXT)->text = read_text(text.j != NULL ? text : part);
        return;
    }
    if (blob.j == NULL) {
        read_fault(part, ERR_BAD_REQUEST, "must have text, inlineData or fileData");
        return;
    }

    struct llm_part *p = embed_part(e, a,
        str_starts(mime, S("image/"))   ? PART_IMAGE
        : str_starts(mime, S("audio/")) ? PART_AUDIO
        : str_starts(mime, S("video/")) ? PART_VIDEO
                                        : PART_FILE);

    if (inlined.j != NULL) {
        media_set_data(p, mime, read_required_text(read_at(&blob, "data")));
        return;
    }
    p->mime = mime;
    p->url = read_required_text(read_either(&blob, "fileUri", "file_uri"));
}

static void
read_content(struct llm_embed *e, struct cursor content)
{
    struct cursor parts = read_at(&content, "parts");

    (void)embed_add(e, content.rd->a);
    if (json_is(content.j, JSON_STRING)) {
        read_part(e, content);
    } else if (json_is(parts.j, JSON_OBJECT)) {
        read_part(e, parts);
    } else {
        if (!read_present(parts))
            read_fault(parts, ERR_BAD_REQUEST, "is required");
        READ_EACH (part, &parts)
            read_part(e, part);
    }
}

/* What stands beside a content; it has to be the same for all. */
static void
read_beside(struct llm_embed *e, struct cursor object)
{
    struct cursor dimensions =
        read_either(&object, "outputDimensionality", "output_dimensionality");
    struct cursor task = read_either(&object, "taskType", "task_type");
    struct cursor title = read_at(&object, "title");
    enum embed_task before = e->task;
    int64_t had = e->dimensions;
    bool first = e->count <= 1;

    embed_read_dimensions(e, dimensions);
    e->task = TASK_UNSAID;
    embed_read_task(e, task);
    if (!first && e->task != before)
        read_fault(task, ERR_UNSUPPORTED, "must be the same for all contents of this request");
    if (!first && e->dimensions != had)
        read_fault(
            dimensions, ERR_UNSUPPORTED, "must be the same for all contents of this request");
    if (e->newest->parts != NULL)
        e->newest->parts->name = read_any_text(title);
}

static void
read_requests(struct cursor list)
{
    struct llm_embed *e = embed_of(list, &names);

    if (!read_present(list))
        return;
    e->form = FORM_LIST;
    READ_EACH (one, &list) {
        read_content(e, read_at(&one, "content"));
        read_beside(e, one);
    }
}

static void
read_instances(struct cursor list)
{
    struct llm_embed *e = embed_of(list, &names);

    if (!read_present(list))
        return;
    e->form = FORM_PREDICTIONS;
    READ_EACH (one, &list) {
        read_content(e, read_at(&one, "content"));
        read_beside(e, one);
    }
}

static void
read_parameters(struct cursor c)
{
    struct llm_embed *e = embed_of(c, &names);

    if (!read_present(c))
        return;
    embed_read_dimensions(e, read_at(&c, "outputDimensionality"));
    embed_read_cut(e, read_at(&c, "autoTruncate"));
}

/* The document itself is a request for one content. */
static void
read_one(struct cursor content)
{
    struct llm_embed *e = embed_of(content, &names);

    if (read_present(content)) {
        read_content(e, content);
        read_beside(e, *content.up);
    }
    embed_check(content);
}

static const struct read_member members[] = {
    { "requests", read_requests },
    { "instances", read_instances },
    { "parameters", read_parameters },
    { "content", read_one },
    { "taskType", NULL },
    { "task_type", NULL },
    { "title", NULL },
    { "outputDimensionality", NULL },
    { "output_dimensionality", NULL },
    { "model", NULL },
    { NULL, NULL },
};

/* --- the answer for it, written --- */

static void
add_prediction(
    struct wire_writer *w, struct json_out *o, const struct llm_vector *v, int64_t tokens)
{
    out_object(o);
    out_key_object(o, "embeddings");
    out_key(o, "values");
    embed_add_vector(w, o, v, VECTOR_FLOAT);
    if (tokens >= 0) {
        out_key_object(o, "statistics");
        out_const(o, "\"truncated\":false");
        out_i64(o, "token_count", tokens);
        out_end(o);
    }
    out_end(o);
    out_end(o);
}

static void
write_answer(struct wire_writer *w, const struct llm_answer *ans)
{
    static const struct str begins[] = { [FORM_ONE] = S_INIT(",\"embedding\":"),
        [FORM_LIST] = S_INIT(",\"embeddings\":["),
        [FORM_PREDICTIONS] = S_INIT(",\"predictions\":[") };
    struct json_out o = json_out(w->out);
    const struct llm_vector *const *list = embed_vectors(w, ans, VECTOR_FLOAT);
    int64_t tokens = usage_or_unknown(&ans->usage, COUNT_INPUT);

    out_object(&o);
    out_name(&o, begins[w->form]);
    for (uint32_t i = 0; list != NULL && i < w->inputs; i++) {
        if (w->form == FORM_PREDICTIONS) {    /* the sum stands at the first: they are added up */
            add_prediction(w, &o, list[i], i == 0 ? tokens : MIN(tokens, 0));
            continue;
        }
        out_object(&o);
        out_key(&o, "values");
        embed_add_vector(w, &o, list[i], VECTOR_FLOAT);
        out_end(&o);
    }
    if (w->form != FORM_ONE)
        out_end_array(&o);
    if (w->form != FORM_PREDICTIONS && tokens >= 0) {
        out_key_object(&o, "usageMetadata");
        out_i64(&o, "promptTokenCount", tokens);
        out_i64(&o, "totalTokenCount", tokens);
        out_end(&o);
    }
    out_end(&o);
}

const struct wire_asks gemini_embed = { .members = members, .write_answer = write_answer };

/* --- a request for a provider, written --- */

static void
add_part(struct request_out *w, const struct llm_part *part)
{
    out_object(&w->o);
    if (part->kind == PART_TEXT) {
        out_text(&w->o, "text", part->text);
    } else if (part->data.n != 0) {
        out_key_object(&w->o, "inlineData");
        out_text(&w->o, "mimeType", part->mime);
        out_text(&w->o, "data", part->data);
        out_end(&w->o);
    } else {
        write_refuse(w, ERR_UNSUPPORTED, w->r->embed->names->input,
            "this provider takes the bytes of media only, not their URL");
    }
    out_end(&w->o);
}

/* The members that stand beside a content; Vertex AI has the dimensions elsewhere. */
static void
add_beside(struct request_out *w, const struct llm_input *input, struct str task_name)
{
    const struct llm_embed *e = w->r->embed;
    struct str task = embed_gemini_task(e->task);

    if (task.n != 0) {
        out_name(&w->o, task_name);
        out_text_value(&w->o, task);
    }
    out_text_if(&w->o, "title", embed_title(input));
}

static void
write_predict(struct request_out *w)
{
    const struct llm_embed *e = w->r->embed;

    out_key_array(&w->o, "instances");
    for (const struct llm_input *input = e->inputs; input != NULL; input = input->next) {
        out_object(&w->o);
        out_text(&w->o, "content", embed_text(w, input));
        add_beside(w, input, S(",\"task_type\":"));
        out_end(&w->o);
    }
    out_end_array(&w->o);
    if (e->dimensions == 0 && e->cut == CUT_UNSAID)
        return;
    out_key_object(&w->o, "parameters");
    if (e->dimensions != 0)
        out_i64(&w->o, "outputDimensionality", e->dimensions);
    if (e->cut == CUT_NOTHING || e->cut == CUT_END)
        out_bool(&w->o, "autoTruncate", e->cut == CUT_END);
    else if (e->cut == CUT_START)
        embed_drop(w, EMBED_LACKS_CUT);
    out_end(&w->o);
}

static void
write_batch(struct request_out *w)
{
    const struct llm_embed *e = w->r->embed;
    struct str model = w->t->model;

    if (str_starts(model, S("models/")))
        model = str_skip(model, S("models/").n);
    out_key_array(&w->o, "requests");
    for (const struct llm_input *input = e->inputs; input != NULL; input = input->next) {
        out_object(&w->o);
        out_key(&w->o, "model");
        out_string(&w->o);
        buf_add(w->o.b, S("models/"));
        out_piece(&w->o, model);
        out_end_string(&w->o);
        out_key_object(&w->o, "content");
        out_key_array(&w->o, "parts");
        if (input->plain != NULL) {
            out_object(&w->o);
            out_text(&w->o, "text", embed_text(w, input));
            out_end(&w->o);
        }
        for (const struct llm_part *part = input->parts; part != NULL; part = part->next)
            add_part(w, part);
        out_end_array(&w->o);
        out_end(&w->o);
        add_beside(w, input, S(",\"taskType\":"));
        if (e->dimensions != 0)
            out_i64(&w->o, "outputDimensionality", e->dimensions);
        out_end(&w->o);
    }
    out_end_array(&w->o);
    embed_drop(w, EMBED_LACKS_CUT);
}

void
gemini_write_embed(struct request_out *w)
{
    const struct llm_embed *e = w->r->embed;

    (void)embed_types(w, VECTOR_BIT(FLOAT));
    if (e->task != TASK_UNSAID && embed_gemini_task(e->task).n == 0)
        embed_drop(w, EMBED_LACKS_TASK);
    if (w->t->traits.predicts == YES)
        write_predict(w);
    else
        write_batch(w);
}

void
gemini_add_embed_method(struct buf *out, const struct llm_request *r, const struct wire_target *t)
{
    bool own = str_ends(r->route, S(":embedContent")) && r->wire == &wire_gemini;

    buf_add(out, t->traits.predicts == YES ? S(":predict")
                 : own                     ? S(":embedContent")
                                           : S(":batchEmbedContents"));
}

bool
gemini_rewrites(const struct llm_request *r, const struct wire_target *t)
{
    return r->op == OP_EMBED && is_predict(r) != (t->traits.predicts == YES);
}

/* --- its answer, read --- */

static enum err
emit_values(struct wire_reader *r, int64_t index, const struct json *embedding)
{
    return embed_emit(r, index, VECTOR_FLOAT, json_get(embedding, S("values")));
}

enum err
gemini_read_embed(struct wire_reader *r, struct str body)
{
    enum err e;
    const struct json *doc = embed_parse(r, body, &e);
    const struct json *one = json_get(doc, S("embedding"));
    const struct json *list = json_get(doc, S("embeddings"));
    const struct json *predictions = json_get(doc, S("predictions"));
    const struct json *metadata = gemini_get(doc, "usageMetadata", "usage_metadata");
    int64_t tokens = gemini_count(gemini_get(metadata, "promptTokenCount", "prompt_token_count"));
    struct json_iter it = json_iter(list != NULL ? list : predictions);

    if (doc == NULL)
        return e;
    if (one == NULL && list == NULL && predictions == NULL)
        return gemini_read_answer(r, body);
    emit_start(r, &(struct llm_event){ .id = S("") });
    if (one != NULL)
        e = emit_values(r, 0, one);
    for (int64_t i = 0; e == OK && json_next(&it); i++) {
        const struct json *within = json_get(it.value, S("embeddings"));
        int64_t count = gemini_count(json_at(within, "statistics.token_count"));

        if (count >= 0)
            tokens = MAX(tokens, 0) + MIN(count, USAGE_MOST);
        e = emit_values(r, i, within != NULL ? within : it.value);
    }
    if (e == OK)
        embed_emit_end(r, tokens);
    return e;
}
