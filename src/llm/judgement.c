/* judgement.c - tells whether a whole answer is good enough, as far as that takes no model. */
#include "llm/judgement.h"

#define OPENING_BYTES 160     /* of a text are compared with the beginnings of refusals */
#define REFUSAL_BYTES 2000    /* longer texts that begin like a refusal go on to answer */
#define SCHEMA_DEPTH 8        /* levels of a schema that are looked at */
#define SCHEMA_REQUIRED 64    /* members that one object must have, of which more are not looked for */
#define SCHEMA_ELEMENTS 64    /* of an array */
#define SCHEMA_MEMBERS 256    /* of a level of the schema: larger ones are not looked at */
#define SCHEMA_VALUES 4096    /* of the answer, altogether */

/* --- empty --- */

static bool
is_blank(struct str text)
{
    return str_trim(text).n == 0;
}

static bool
says_nothing(const struct llm_answer_choice *c)
{
    for (const struct llm_part *p = c->parts; p != NULL; p = p->next)
        if (p->kind == PART_TOOL_CALL || p->kind == PART_REFUSAL ||
            (p->kind == PART_TEXT && !is_blank(p->text)))
            return false;
    return true;
}

static bool
is_empty(const struct judged *j)
{
    const struct llm_answer_choice *c = j->answer->choices;

    if (c == NULL)
        return true;
    for (; c != NULL; c = c->next)
        if (says_nothing(c))
            return true;
    return false;
}

/* --- refusal --- */

static const struct str openings[] = {
#define REFUSAL(language, beginning) S_INIT(beginning),
#include "llm/refusals.def"
#undef REFUSAL
};

static bool
is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* The beginning of a text as refusals.def has them: without quotes and marks of emphasis before it.
 * Returns its length. */
static size_t
normalise(struct str text, char *room)
{
    size_t n = 0, i = 0;

    while (i < text.n && (is_space(text.p[i]) || text.p[i] == '*' || text.p[i] == '_' ||
                             text.p[i] == '"' || text.p[i] == '#' || text.p[i] == '>'))
        i++;
    for (; i < text.n && n < OPENING_BYTES; i++) {
        char c = text.p[i];

        if (str_starts(str_skip(text, i), S("’"))) {
            c = '\'';
            i += sizeof("’") - 2;
        }
        if (is_space(c) && n != 0 && room[n - 1] == ' ')
            continue;
        room[n++] = is_space(c) ? ' ' : c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
    }
    return n;
}

bool
judgement_text_refuses(struct str text)
{
    UNINITIALIZED char room[OPENING_BYTES];
    struct str begins = str_make(room, normalise(text, room));

    if (text.n > REFUSAL_BYTES)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(openings); i++)
        if (str_starts(begins, openings[i]))
            return true;
    return false;
}

static bool
declines(const struct llm_answer_choice *c)
{
    const struct llm_part *text = NULL;

    if (c->finish == FINISH_FILTER)
        return true;
    for (const struct llm_part *p = c->parts; p != NULL; p = p->next) {
        if (p->kind == PART_REFUSAL)
            return true;
        if (p->kind == PART_TOOL_CALL)
            return false;
        if (p->kind == PART_TEXT && text == NULL && !is_blank(p->text))
            text = p;
    }
    return text != NULL && judgement_text_refuses(text->text);
}

static bool
is_refusal(const struct judged *j)
{
    for (const struct llm_answer_choice *c = j->answer->choices; c != NULL; c = c->next)
        if (declines(c))
            return true;
    return false;
}

/* --- JSON --- */

/* Values are compared with a schema. */
struct comparing {
    struct arena *arena;
    unsigned left;    /* values that may still be looked at */
};

static bool lacks_member(
    struct comparing *c, const struct json *schema, const struct json *v, unsigned depth);

/* The same of the first elements of an array. */
static bool
element_lacks(
    struct comparing *c, const struct json *items, const struct json *list, unsigned depth)
{
    struct json_iter it = json_iter(list);

    for (unsigned left = SCHEMA_ELEMENTS; left != 0 && json_next(&it); left--)
        if (lacks_member(c, items, it.value, depth))
            return true;
    return false;
}

static bool
object_lacks(struct comparing *c, const struct json *schema, const struct json *v, unsigned depth)
{
    struct json_iter required = json_iter(json_get(schema, S("required")));
    struct json_iter known = json_iter(json_get(schema, S("properties")));

    for (unsigned left = SCHEMA_REQUIRED; left != 0 && json_next(&required); left--)
        if (json_is(required.value, JSON_STRING) &&
            json_get(v, json_str(c->arena, required.value)) == NULL)
            return true;
    for (unsigned left = SCHEMA_REQUIRED; left != 0 && json_next(&known); left--) {
        const struct json *member = json_get(v, json_str(c->arena, known.key));

        if (member != NULL && lacks_member(c, known.value, member, depth))
            return true;
    }
    return false;
}

/* It is walked for each value. */
static bool
is_small(const struct json *schema)
{
    struct json_iter it = json_iter(schema);
    unsigned n = 0;

    while (n <= SCHEMA_MEMBERS && json_next(&it))
        n++;
    return n <= SCHEMA_MEMBERS;
}

/* Does a value lack a member that its schema requires? Only what can be told without following
 * references is looked at. */
static bool
lacks_member(struct comparing *c, const struct json *schema, const struct json *v, unsigned depth)
{
    if (!json_is(schema, JSON_OBJECT) || depth == 0 || c->left == 0 || !is_small(schema))
        return false;
    c->left--;
    if (json_is(v, JSON_ARRAY))
        return element_lacks(c, json_get(schema, S("items")), v, depth - 1);
    if (v->type != JSON_OBJECT)
        return json_str_is(json_get(schema, S("type")), S("object"));
    return object_lacks(c, schema, v, depth - 1);
}

/* NULL: it is not JSON. True in *ret_full: it is not known, for want of memory. */
static const struct json *
parse(const struct judged *j, struct str text, bool *ret_full)
{
    struct json_error why = { .limit = false };
    const struct json *doc = json_parse(j->scratch, str_trim(text), NULL, &why);

    *ret_full = *ret_full || (doc == NULL && why.limit);
    return doc;
}

/* The text of a choice, if it is in one part; where other parts lie between, there is no one
 * document. */
static bool
is_wrong_document(const struct judged *j, const struct llm_answer_choice *c, bool *ret_full)
{
    const struct llm_request *r = j->request;
    const struct json *doc = NULL;
    bool object = r->format == FORMAT_JSON;

    for (const struct llm_part *p = c->parts; p != NULL; p = p->next) {
        if (p->kind != PART_TEXT || is_blank(p->text))
            continue;
        if (doc != NULL)
            return true;
        doc = parse(j, p->text, ret_full);
        if (doc == NULL)
            return true;
    }
    if (doc == NULL)
        return false;    /* that is another fault */
    if (object)
        return doc->type != JSON_OBJECT && doc->type != JSON_ARRAY;
    const struct json *schema = r->schema.n != 0 ? parse(j, r->schema, ret_full) : NULL;
    struct comparing with = { .arena = j->scratch, .left = SCHEMA_VALUES };

    return schema != NULL && lacks_member(&with, schema, doc, SCHEMA_DEPTH);
}

static bool
is_wrong_choice(const struct judged *j, const struct llm_answer_choice *c, bool *ret_full)
{
    bool calls = false;

    for (const struct llm_part *p = c->parts; p != NULL; p = p->next) {
        if (p->kind != PART_TOOL_CALL)
            continue;
        calls = true;
        if (!p->custom && !is_blank(p->args) && parse(j, p->args, ret_full) == NULL)
            return true;
    }
    bool asked = j->request != NULL && j->request->expanded &&
                 (j->request->format == FORMAT_JSON || j->request->format == FORMAT_SCHEMA);
    return asked && !calls && is_wrong_document(j, c, ret_full);
}

static bool
is_invalid_json(const struct judged *j)
{
    struct arena_mark mark = arena_mark(j->scratch);
    bool wrong = false, full = false;

    for (const struct llm_answer_choice *c = j->answer->choices; c != NULL && !wrong; c = c->next)
        wrong = is_wrong_choice(j, c, &full);
    arena_rewind(j->scratch, mark);
    return wrong && !full;
}

/* --- the rest --- */

static bool
is_length(const struct judged *j)
{
    for (const struct llm_answer_choice *c = j->answer->choices; c != NULL; c = c->next)
        if (c->finish == FINISH_LENGTH)
            return true;
    return false;
}

/* Adds up what one list tells: objects with a `logprob`, or (the old completions) numbers. */
static void
add_logprobs(const struct json *list, double *sum, uint64_t *count)
{
    struct json_iter it = json_iter(list);

    while (json_next(&it)) {
        const struct json *v =
            json_is(it.value, JSON_OBJECT) ? json_get(it.value, S("logprob")) : it.value;
        if (!json_is(v, JSON_NUMBER))
            continue;
        *sum += json_f64(v, 0);
        (*count)++;
    }
}

bool
judgement_mean_logprob(const struct llm_answer *answer, double *ret)
{
    uint64_t count = 0;
    double sum = 0;

    for (const struct llm_answer_choice *c = answer->choices; c != NULL; c = c->next)
        for (const struct llm_fragment *f = c->logprobs; f != NULL; f = f->next) {
            add_logprobs(json_get(f->doc, S("content")), &sum, &count);
            add_logprobs(json_get(f->doc, S("token_logprobs")), &sum, &count);
        }
    *ret = count != 0 ? sum / (double)count : 0;
    return count != 0;
}

static bool
is_low_logprob(const struct judged *j)
{
    double mean;

    return judgement_mean_logprob(j->answer, &mean) && mean < j->min_logprob;
}

/* --- the table --- */

static const struct judgement_row {
    const char *name;
    bool (*is)(const struct judged *j);
    const char *docs;
} rows[] = {
#define JUDGEMENT(id, docs) { #id, is_##id, docs },
#include "llm/judgements.def"
#undef JUDGEMENT
};

enum judgement
judgement_of(const struct judged *j, unsigned asked)
{
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
        if ((asked & JUDGEMENT_BIT(i)) != 0 && rows[i].is(j))
            return (enum judgement)i;
    return JUDGED_GOOD;
}

enum judgement
judgement_named(struct str name)
{
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
        if (str_eq(name, str_c(rows[i].name)))
            return (enum judgement)i;
    return JUDGED_GOOD;
}

const char *
judgement_name(enum judgement j)
{
    return j < JUDGED_GOOD ? rows[j].name : "";
}

const char *
judgement_docs(enum judgement j)
{
    return j < JUDGED_GOOD ? rows[j].docs : "";
}
