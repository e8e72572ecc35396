/* read.c - reads a caller's request. */
#include "llm/read.h"

struct cursor
read_document(struct reading *rd)
{
    return (struct cursor){ .rd = rd, .j = rd->r->doc };
}

/* --- faults --- */

static struct str
spell(const struct cursor *c)
{
    struct arena *a = c->rd->a;

    if (c->up == NULL)
        return S("");

    struct str up = spell(c->up);

    if (c->key != NULL)
        return arena_printf(a, STR_FMT "%s%s", STR_ARG(up), up.n > 0 ? "." : "", c->key);
    return arena_printf(
        a, c->rd->words->dotted ? STR_FMT ".%u" : STR_FMT "[%u]", STR_ARG(up), (unsigned)c->index);
}

void
read_fault(struct cursor c, enum err e, const char *what)
{
    struct reading *rd = c.rd;

    if (rd->err != OK)
        return;
    rd->err = e;
    rd->fault->param = spell(&c);
    rd->fault->message = rd->fault->param.n > 0
                             ? arena_printf(rd->a, STR_FMT ": %s", STR_ARG(rd->fault->param), what)
                             : str_c(what);
}

void
read_no_memory(struct reading *rd)
{
    if (rd->err != OK)
        return;
    rd->err = ERR_TOO_LARGE;
    *rd->fault = (struct wire_fault){ .message = S("the request is larger than allowed") };
}

/* --- values --- */

struct str
read_any_text(struct cursor c)
{
    struct str s = json_str(c.rd->a, c.j);

    if (s.p != NULL)
        return s;
    if (json_is(c.j, JSON_STRING))
        read_no_memory(c.rd);
    return S("");
}

struct str
read_text(struct cursor c)
{
    if (json_present(c.j) && c.j->type != JSON_STRING)
        read_fault(c, ERR_BAD_REQUEST, c.rd->words->text);
    return read_any_text(c);
}

struct str
read_required_text(struct cursor c)
{
    if (!json_present(c.j))
        read_fault(c, ERR_BAD_REQUEST, c.rd->words->required);

    struct str s = read_text(c);

    if (s.n == 0)
        read_fault(c, ERR_BAD_REQUEST, c.rd->words->empty);
    return s;
}

const struct json *
read_node(struct cursor c, enum json_type type)
{
    const struct read_words *words = c.rd->words;

    if (!json_present(c.j))
        return NULL;
    if (c.j->type == type)
        return c.j;
    read_fault(c, ERR_BAD_REQUEST,
        type == JSON_NUMBER   ? words->number
        : type == JSON_OBJECT ? words->object
        : type == JSON_ARRAY  ? words->list
                              : words->text);
    return NULL;
}

int64_t
read_integer(struct cursor c, int64_t least, int64_t most, int64_t absent, const char *what)
{
    int64_t v = json_i64(c.j, absent);

    if (!json_present(c.j))
        return absent;
    if (c.j->type == JSON_NUMBER && v >= least && v <= most)
        return v;
    read_fault(c, ERR_BAD_REQUEST, what);
    return absent;
}

enum llm_tri
read_flag(struct cursor c)
{
    if (json_present(c.j) && c.j->type != JSON_TRUE && c.j->type != JSON_FALSE)
        read_fault(c, ERR_BAD_REQUEST, c.rd->words->flag);
    return llm_tri_of(c.j);
}

int
read_word(const struct json *j, const struct llm_named *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (json_str_is(j, words[i].word))
            return words[i].value;
    return -1;
}

int
read_word_str(struct str s, const struct llm_named *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq(s, words[i].word))
            return words[i].value;
    return -1;
}

/* --- lists --- */

bool
read_count(struct cursor c)
{
    if (++c.rd->elements <= READ_ELEMENTS_MAX)
        return true;
    read_fault(c, ERR_TOO_LARGE, c.rd->words->too_many);
    return false;
}

struct cursor
read_first(const struct cursor *list)
{
    const struct json *j = read_node(*list, JSON_ARRAY);
    struct cursor first = { .rd = list->rd, .up = list };

    if (j == NULL || json_is_empty(j) || list->rd->err != OK)
        return first;
    first.j = j + 1;
    if (!read_count(first))
        first.j = NULL;
    return first;
}

void
read_next(struct cursor *element)
{
    const struct json *list = element->up->j;
    const struct json *next = element->j + element->j->span;

    element->index++;
    element->j = element->rd->err == OK && next != list + list->span ? next : NULL;
    if (element->j != NULL && !read_count(*element))
        element->j = NULL;
}

struct llm_word *
read_texts(struct cursor c)
{
    struct llm_word *first = NULL;
    struct llm_word **tail = &first;

    if (json_is(c.j, JSON_STRING)) {
        first = arena_new(c.rd->a, struct llm_word);
        first->text = read_text(c);
        return first;
    }
    READ_EACH (element, &c) {
        *tail = arena_new(c.rd->a, struct llm_word);
        (*tail)->text = read_text(element);
        if (element.j->type != JSON_STRING)
            read_fault(element, ERR_BAD_REQUEST, c.rd->words->text);
        tail = &(*tail)->next;
    }
    return first;
}

/* --- all of a document --- */

enum { MEMBERS_MAX = 64 };

void
read_members(struct reading *rd, const struct read_member *members, enum params_column column)
{
    struct cursor doc = read_document(rd);
    const struct json *values[MEMBERS_MAX] = { NULL };
    struct llm_member **tail = &rd->r->extra;
    struct json_iter it = json_iter(doc.j);

    while (json_next(&it)) {
        size_t i = 0;

        while (members[i].name != NULL && !json_str_is(it.key, str_c(members[i].name)))
            i++;
        CHECK(i < MEMBERS_MAX);
        if (members[i].name != NULL) {
            values[i] = it.value;
        } else if (column == PARAMS_COLUMNS || !params_take(&doc, column, it.key, it.value)) {
            if (!read_count(doc))
                break;
            *tail = arena_new(rd->a, struct llm_member);
            (*tail)->name = it.key;
            (*tail)->value = it.value;
            tail = &(*tail)->next;
        }
    }
    for (size_t i = 0; members[i].name != NULL && rd->err == OK; i++) {
        struct cursor c = { .rd = rd, .j = values[i], .up = &doc, .key = members[i].name };

        if (members[i].read != NULL)
            members[i].read(c);
    }
}
