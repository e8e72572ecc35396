/* embed.c - embeddings: what is asked for and what is answered, for all protocols. */
#include "llm/embed.h"

#include "llm/answer.h"
#include "llm/emit.h"
#include "llm/floats.h"

#define TOO_LARGE "the request is too large to be translated"

/* --- words --- */

static const struct {
    struct str cohere, gemini, others;
} tasks[TASKS] = {
#define TASK(id, cohere, gemini, others)                                                           \
    [TASK_##id] = { S_INIT(cohere), S_INIT(gemini), S_INIT(others) },
#include "llm/tasks.def"
#undef TASK
};

static const struct str types[VECTOR_TYPES] = {
    [VECTOR_FLOAT] = S_INIT("float"),
    [VECTOR_BASE64] = S_INIT("base64"),
    [VECTOR_INT8] = S_INIT("int8"),
    [VECTOR_UINT8] = S_INIT("uint8"),
    [VECTOR_BINARY] = S_INIT("binary"),
    [VECTOR_UBINARY] = S_INIT("ubinary"),
};

struct str
embed_cohere_task(enum embed_task task)
{
    return tasks[task].cohere;
}

struct str
embed_gemini_task(enum embed_task task)
{
    return tasks[task].gemini;
}

struct str
embed_type_name(enum vector_type type)
{
    return types[type];
}

/* Is it one of the words between blanks? */
static bool
is_among(struct str words, struct str word)
{
    struct str one;

    while (words.n != 0) {
        (void)str_cut(words, ' ', &one, &words);
        if (one.n != 0 && str_ieq(one, word))
            return true;
    }
    return false;
}

/* --- what is asked for --- */

struct llm_embed *
embed_of(struct cursor c, const struct embed_names *names)
{
    struct llm_request *r = c.rd->r;

    if (r->embed == NULL) {
        r->embed = arena_new(c.rd->a, struct llm_embed);
        r->embed->names = names;
        r->embed->tail = &r->embed->inputs;
    }
    return r->embed;
}

struct llm_input *
embed_add(struct llm_embed *e, struct arena *a)
{
    struct llm_input *input = arena_new(a, struct llm_input);

    *e->tail = input;
    e->tail = &input->next;
    e->newest = input;
    e->part_tail = &input->parts;
    e->count++;
    return input;
}

struct llm_part *
embed_part(struct llm_embed *e, struct arena *a, enum llm_part_kind kind)
{
    return llm_part_add(a, &e->part_tail, kind);
}

void
embed_add_text(struct llm_embed *e, struct cursor text)
{
    if (!json_is(text.j, JSON_STRING))
        read_fault(text, ERR_BAD_REQUEST, text.rd->words->text);
    embed_add(e, text.rd->a)->plain = text.j;
}

void
embed_add_texts(struct llm_embed *e, struct cursor texts)
{
    if (json_is(texts.j, JSON_STRING))
        embed_add_text(e, texts);
    else
        READ_EACH (text, &texts)
            embed_add_text(e, text);
}

void
embed_read_dimensions(struct llm_embed *e, struct cursor c)
{
    e->dimensions = read_integer(c, 1, UINT16_MAX, 0, "must be an integer from 1 to 65535");
}

void
embed_read_task(struct llm_embed *e, struct cursor c)
{
    struct str word = read_any_text(c);

    if (word.n == 0)
        return;
    for (enum embed_task t = TASK_UNSAID + 1; t < TASKS; t++)
        if (str_ieq(word, tasks[t].cohere) || str_ieq(word, tasks[t].gemini) ||
            is_among(tasks[t].others, word))
            e->task = t;
    if (e->task == TASK_UNSAID && !str_eq(word, S("TASK_TYPE_UNSPECIFIED")))
        read_fault(c, ERR_BAD_REQUEST, "is not a purpose of embeddings that is known");
}

static void
read_type(struct llm_embed *e, struct cursor c)
{
    for (enum vector_type t = 0; t < VECTOR_TYPES; t++)
        if (json_str_is(c.j, types[t])) {
            e->types |= 1u << t;
            return;
        }
    read_fault(c, ERR_BAD_REQUEST, "must be float, base64, int8, uint8, binary or ubinary");
}

void
embed_read_types(struct llm_embed *e, struct cursor c)
{
    if (json_is(c.j, JSON_STRING))
        read_type(e, c);
    else
        READ_EACH (type, &c)
            read_type(e, type);
}

void
embed_read_cut(struct llm_embed *e, struct cursor c)
{
    if (!read_present(c))
        return;
    if (json_is(c.j, JSON_STRING)) {
        struct str word = read_any_text(c);

        e->cut = str_ieq(word, S("NONE"))    ? CUT_NOTHING
                 : str_ieq(word, S("START")) ? CUT_START
                 : str_ieq(word, S("END"))   ? CUT_END
                                             : CUT_UNSAID;
        if (e->cut == CUT_UNSAID)
            read_fault(c, ERR_BAD_REQUEST, "must be NONE, START or END");
        return;
    }
    e->cut = read_flag(c) == YES ? CUT_END : CUT_NOTHING;
}

void
embed_check(struct cursor c)
{
    struct llm_embed *e = c.rd->r->embed;

    if (e == NULL || e->count == 0)
        read_fault(c, ERR_BAD_REQUEST, "must hold something to embed");
}

static int64_t
tokens_of(const struct llm_part *part)
{
    int64_t n = 0;

    for (; part != NULL; part = part->next)
        n +=
            part->kind == PART_TEXT ? (int64_t)(part->text.n + 3) / 4 : llm_part_media_tokens(part);
    return n;
}

int64_t
embed_estimate_tokens(const struct llm_input *inputs)
{
    int64_t n = 0;

    for (const struct llm_input *input = inputs; input != NULL; input = input->next)
        n += embed_is_tokens(input) ? (int64_t)json_count(input->plain)
             : input->plain != NULL ? (int64_t)(input->plain->n + 1) / 4
                                    : tokens_of(input->parts);
    return n;
}

/* --- writing it for a provider --- */

/* Why a target of texts cannot take the input, or NULL. */
static const char *
not_text(const struct llm_input *input)
{
    if (embed_is_tokens(input))
        return "numbers of tokens mean something to the model's own provider only; send the text";
    for (const struct llm_part *part = input->parts; part != NULL; part = part->next)
        if (part->kind != PART_TEXT)
            return "this provider embeds text only";
    return NULL;
}

struct str
embed_text(struct request_out *w, const struct llm_input *input)
{
    const struct llm_part *part = input->parts;
    const char *why = not_text(input);
    struct str text = S("");

    if (why != NULL) {
        write_refuse(w, ERR_UNSUPPORTED, w->r->embed->names->input, "%s", why);
        return text;
    }
    if (input->plain != NULL) {
        text = json_str(w->a, input->plain);
        if (text.p == NULL)
            write_refuse(w, ERR_TOO_LARGE, "", TOO_LARGE);
        return text;
    }
    if (part != NULL && part->next == NULL)
        return part->text;
    for (; part != NULL; part = part->next)
        if ((text.n != 0 && !arena_append(w->a, &text, S("\n"))) ||
            !arena_append(w->a, &text, part->text))
            write_refuse(w, ERR_TOO_LARGE, "", TOO_LARGE);
    return text;
}

bool
embed_has_image(const struct llm_embed *e)
{
    for (const struct llm_input *input = e->inputs; input != NULL; input = input->next)
        for (const struct llm_part *part = input->parts; part != NULL; part = part->next)
            if (part->kind != PART_TEXT)
                return true;
    return false;
}

uint32_t
embed_types(struct request_out *w, uint32_t can)
{
    const struct llm_embed *e = w->r->embed;
    uint32_t asked = e->types != 0 ? e->types : VECTOR_BIT(FLOAT);
    uint32_t lost;

    if ((asked & VECTOR_BIT(BASE64)) != 0)    /* we make it of floats */
        asked = (asked & ~VECTOR_BIT(BASE64)) | VECTOR_BIT(FLOAT);
    lost = asked & ~can;
    if (lost == asked)
        write_refuse(
            w, ERR_UNSUPPORTED, e->names->types, "this model is asked for vectors of floats only");
    else if (lost != 0)
        wire_drop(w->drops, str_c(e->names->types));
    return asked & can;
}

void
embed_drop(struct request_out *w, unsigned lacks)
{
    const struct llm_embed *e = w->r->embed;
    const struct llm_input *titled = e->inputs;

    while (titled != NULL && embed_title(titled).n == 0)
        titled = titled->next;
    if ((lacks & EMBED_LACKS_DIMENSIONS) != 0 && e->dimensions != 0)
        wire_drop(w->drops, str_c(e->names->dimensions));
    if ((lacks & EMBED_LACKS_TASK) != 0 && e->task != TASK_UNSAID)
        wire_drop(w->drops, str_c(e->names->task));
    if ((lacks & EMBED_LACKS_CUT) != 0 && e->cut != CUT_UNSAID)
        wire_drop(w->drops, str_c(e->names->cut));
    if ((lacks & EMBED_LACKS_TITLE) != 0 && titled != NULL)
        wire_drop(w->drops, S("title"));
}

void
embed_limit(struct request_out *w, uint32_t most)
{
    const struct llm_embed *e = w->r->embed;

    if (e->count > most)
        write_refuse(w, ERR_UNSUPPORTED, e->names->input,
            "the model takes %u input%s in a request, and this one has %u; split it", most,
            most == 1 ? "" : "s", e->count);
}

/* --- reading the answer --- */

const struct json *
embed_parse(struct wire_reader *r, struct str body, enum err *ret_err)
{
    static const struct json_limits limits = {
        .depth = JSON_DEPTH_DEFAULT, .values = JSON_VALUES_DEFAULT, .flat = true
    };
    struct json_error why = { .limit = false };
    const struct json *doc = json_parse(r->scratch, body, &limits, &why);

    *ret_err = doc != NULL ? OK : why.limit ? ERR_UPSTREAM_TOO_LARGE : ERR_UPSTREAM_PROTOCOL;
    return doc;
}

enum err
embed_emit(struct wire_reader *r, int64_t index, enum vector_type type, const struct json *vector)
{
    struct str text = json_raw(vector);
    bool string = json_is(vector, JSON_STRING);

    if (index < 0 || index > UINT32_MAX - 1 ||
        (!string && (!json_is(vector, JSON_ARRAY) || !json_is_empty(vector))))
        return OK;
    if (string && vector->escaped)    /* "\/" */
        text = json_str(r->keep, vector);
    else if (string)
        text = str_make(text.p + 1, text.n - 2);
    if (text.p == NULL)
        return ERR_UPSTREAM_TOO_LARGE;
    wire_emit(r, &(struct llm_event){ .kind = EVENT_VECTOR,
                     .index = (uint32_t)index,
                     .raw = text,
                     .vector = string ? VECTOR_BASE64 : type });
    return OK;
}

static enum err
emit_list(struct wire_reader *r, const struct json *list, enum vector_type type)
{
    struct json_iter it = json_iter(list);
    enum err e = OK;

    for (int64_t i = 0; e == OK && json_next(&it); i++)
        e = embed_emit(r, i, type, it.value);
    return e;
}

enum err
embed_emit_by_type(struct wire_reader *r, const struct json *by_type)
{
    struct json_iter it = json_iter(by_type);
    enum err e = OK;

    if (json_is(by_type, JSON_ARRAY))
        return emit_list(r, by_type, VECTOR_FLOAT);
    while (e == OK && json_next(&it))
        for (enum vector_type t = 0; t < VECTOR_TYPES; t++)
            if (json_str_is(it.key, types[t]) && e == OK)
                e = emit_list(r, it.value, t);
    return e;
}

void
embed_emit_end(struct wire_reader *r, int64_t input_tokens)
{
    struct llm_usage u = { .known = 0 };

    if (input_tokens >= 0)
        usage_set(&u, COUNT_INPUT, input_tokens);
    emit_usage(r, &u);
    emit_end(r);
}

/* --- writing it for the caller --- */

/* Can a vector of one type be told as the other? */
static bool
is_as_good(enum vector_type from, enum vector_type to)
{
    bool real = from == VECTOR_FLOAT || from == VECTOR_BASE64;

    return from == to || (real && (to == VECTOR_FLOAT || to == VECTOR_BASE64));
}

const struct llm_vector *const *
embed_vectors(struct wire_writer *w, const struct llm_answer *ans, enum vector_type type)
{
    size_t bytes = MAX(w->inputs, 1) * sizeof(struct llm_vector *);
    const struct llm_vector **list = arena_try(w->keep, bytes);
    uint32_t found = 0;

    if (list == NULL) {
        w->out->overflow = true;
        return NULL;
    }
    memset((void *)list, 0, bytes);
    for (const struct llm_vector *v = ans->vectors; v != NULL; v = v->next) {
        if (!is_as_good(v->type, type))
            continue;
        if (v->index >= w->inputs)
            break;
        found += list[v->index] == NULL;
        if (list[v->index] == NULL || v->type == type)
            list[v->index] = v;
    }
    if (found == w->inputs && found != 0)
        return list;
    w->broken = true;
    return NULL;
}

void
embed_add_vector(struct wire_writer *w, struct json_out *o, const struct llm_vector *vector,
    enum vector_type type)
{
    bool fine = true;

    out_comma(o);
    if (vector->type == VECTOR_BASE64 && type == VECTOR_FLOAT) {
        fine = floats_add_numbers(o->b, vector->text);
    } else if (type == VECTOR_BASE64) {
        buf_add_c(o->b, '"');
        if (vector->type == VECTOR_BASE64)
            json_add_escaped(o->b, vector->text);
        else
            fine = floats_add_base64(o->b, vector->text);
        buf_add_c(o->b, '"');
    } else {
        buf_add(o->b, vector->text);
    }
    w->broken = w->broken || !fine;
}

void
embed_add_list(
    struct wire_writer *w, struct json_out *o, const struct llm_answer *ans, enum vector_type type)
{
    const struct llm_vector *const *list = embed_vectors(w, ans, type);

    out_array(o);
    for (uint32_t i = 0; list != NULL && i < w->inputs; i++)
        embed_add_vector(w, o, list[i], type);
    out_end_array(o);
}
