/* sample.c - finds the texts of a conversation by the words of its wire, and copies a part of three of
 * them.
 */
#include "llm/sample.h"

#include "llm/needs.h"
#include "llm/wire.h"

/* The strings that a message's text consists of. */
struct text_source {
    const struct json *first, *longest, *last;
};

struct sample_walk {
    const struct needs_words *words;
    struct llm_sample *sample;
    /* the user's last message, that before it, and the system's first */
    struct text_source user, earlier, system;
    struct text_source latest;    /* the last message that is not the system's */
};

/* --- copying --- */

static int
hex4(const char *p)
{
    int code = 0;

    for (unsigned i = 0; i < 4; i++) {
        int digit = str_hex_digit(p[i]);
        if (digit < 0)
            return -1;
        code = code * 16 + digit;
    }
    return code;
}

/* Appends a character of the basic plane; halves of others are left out, since no script that is told
 * apart is there. */
static char *
put_code(char *out, int code)
{
    if (code < 0x80) {
        *out++ = (char)code;
    } else if (code < 0x800) {
        *out++ = (char)(0xC0 | code >> 6);
        *out++ = (char)(0x80 | (code & 0x3F));
    } else if (code < 0xD800 || code > 0xDFFF) {
        *out++ = (char)(0xE0 | code >> 12);
        *out++ = (char)(0x80 | (code >> 6 & 0x3F));
        *out++ = (char)(0x80 | (code & 0x3F));
    }
    return out;
}

/* The text of what is spelled in `raw`, which may begin or end amid an escape: a few wrong bytes of a
 * sample do no harm. Never longer than `raw`. */
static char *
copy_unescaped(char *out, struct str raw)
{
    const char *p = raw.p, *end = raw.p + raw.n;

    while (p < end) {
        const char *escape = memchr(p, '\\', (size_t)(end - p));
        size_t run = (size_t)((escape != NULL ? escape : end) - p);
        memcpy(out, p, run);
        out += run;
        p += run;
        if (end - p < 2)
            break;
        int code = p[1] == 'u' && end - p >= 6 ? hex4(p + 2) : -1;
        if (code >= 0) {
            out = put_code(out, code);
            p += 6;
            continue;
        }
        *out++ = p[1] == 'n' || p[1] == 'r' ? '\n' : p[1] == 't' ? '\t' : p[1];
        p += 2;
    }
    return out;
}

static void
put_piece(struct llm_sample *s, struct str raw, bool escaped)
{
    char *out = s->room + s->used;

    s->sampled += raw.n;
    if (escaped)
        out = copy_unescaped(out, raw);
    else if (raw.n != 0) {
        memcpy(out, raw.p, raw.n);
        out += raw.n;
    }
    s->used = (size_t)(out - s->room);
}

/* A text, or the beginning of the first of its parts, the middle of the longest and the end of the
 * last. */
static struct str
put_thirds(struct llm_sample *s, struct str first, struct str longest, struct str last,
    size_t limit, bool escaped)
{
    size_t began = s->used;
    size_t third = limit / 3;

    if (first.p == last.p && first.n <= limit) {
        put_piece(s, first, escaped);
        return str_make(s->room + began, s->used - began);
    }
    put_piece(s, str_make(first.p, MIN(first.n, third)), escaped);
    s->room[s->used++] = '\n';
    if (longest.n > 3 * third || (longest.p != first.p && longest.p != last.p)) {
        size_t middle = MIN(longest.n, third);
        put_piece(s, str_make(longest.p + (longest.n - middle) / 2, middle), escaped);
        s->room[s->used++] = '\n';
    }
    size_t end = MIN(last.n, third);
    put_piece(s, str_make(last.p + last.n - end, end), escaped);
    return str_make(s->room + began, s->used - began);
}

static struct str
put_source(struct llm_sample *s, const struct text_source *from, size_t limit)
{
    if (from->first == NULL)
        return str_make(NULL, 0);

    const struct json *all[] = { from->first, from->longest, from->last };
    struct str text[ARRAY_LEN(all)];
    for (unsigned i = 0; i < ARRAY_LEN(all); i++)
        text[i] = str_make(all[i]->p + 1, all[i]->n - 2);
    return put_thirds(
        s, text[0], text[1], text[2], limit, all[0]->escaped || all[1]->escaped || all[2]->escaped);
}

/* --- finding --- */

static const struct need_word *
find_word(const struct need_word *words, const struct json *name)
{
    for (; words->name.n != 0; words++)
        if (json_str_is(name, words->name))
            return words;
    return NULL;
}

static void
add_text(struct sample_walk *w, struct text_source *to, const struct json *text)
{
    if (!json_is(text, JSON_STRING) || text->n == 2)
        return;
    w->sample->bytes += text->n - 2;
    if (to->first == NULL)
        to->first = to->longest = text;
    if (text->n > to->longest->n)
        to->longest = text;
    to->last = text;
}

/* Text, or parts: those that say "text", whatever their type is called. */
static void
add_content(struct sample_walk *w, struct text_source *to, const struct json *content)
{
    struct json_iter it = json_iter(content);

    add_text(w, to, content);
    if (json_is(content, JSON_OBJECT))
        add_text(w, to, json_get(content, S("text")));
    while (json_is(content, JSON_ARRAY) && json_next(&it)) {
        if (it.value->type == JSON_OBJECT)
            add_text(w, to, json_get(it.value, S("text")));
        else
            add_text(w, to, it.value);
    }
}

static bool
is_system(const struct json *role)
{
    return json_str_is(role, S("system")) || json_str_is(role, S("developer"));
}

static void
add_message(struct sample_walk *w, const struct json *message)
{
    struct json_iter it = json_iter(message);
    const struct json *role = NULL;
    struct text_source text = { 0 };

    while (json_next(&it)) {
        const struct need_word *word = find_word(w->words->messages, it.key);

        if (word != NULL && word->rule == NEED_IS_ROLE)
            role = it.value;
        else if (word != NULL && word->rule == NEED_IS_CONTENT)
            add_content(w, &text, it.value);
    }
    if (text.first == NULL)
        return;
    if (is_system(role)) {
        if (w->system.first == NULL)
            w->system = text;
        return;
    }
    if (role == NULL || json_str_is(role, S("user"))) {
        w->earlier = w->latest;
        w->user = text;
    }
    w->latest = text;
}

/* Messages, or texts of which the last counts as the user's. */
static void
add_turns(struct sample_walk *w, const struct json *turns)
{
    struct json_iter it = json_iter(turns);

    add_text(w, &w->user, turns);
    while (json_is(turns, JSON_ARRAY) && json_next(&it)) {
        if (it.value->type == JSON_OBJECT)
            add_message(w, it.value);
        else
            add_text(w, &w->user, it.value);
    }
}

void
sample_take(const struct llm_request *r, struct llm_sample *ret)
{
    struct sample_walk w = { .sample = ret };
    struct json_iter it = json_iter(r->doc);

    ret->user = ret->system = ret->earlier = str_make(NULL, 0);
    ret->bytes = ret->sampled = 0;
    ret->used = 0;
    if (r->wire->caller == NULL || r->wire->caller->needs == NULL || !json_is(r->doc, JSON_OBJECT))
        return;
    w.words = r->wire->caller->needs;
    while (json_next(&it)) {
        const struct need_word *word = find_word(w.words->members, it.key);

        if (word != NULL && word->rule == NEED_IS_TURNS)
            add_turns(&w, it.value);
        else if (word != NULL && word->rule == NEED_IS_SYSTEM)
            add_content(&w, &w.system, it.value);
    }
    /* an assistant's message that is to be continued, a tool's result: the last thing that was said */
    if (w.user.first == NULL)
        w.user = w.latest;
    ret->user = put_source(ret, &w.user, SAMPLE_USER_BYTES);
    ret->system = put_source(ret, &w.system, SAMPLE_OTHER_BYTES);
    ret->earlier = put_source(ret, &w.earlier, SAMPLE_OTHER_BYTES);
}

void
sample_text(struct str text, struct llm_sample *ret)
{
    ret->system = ret->earlier = str_make(NULL, 0);
    ret->bytes = text.n;
    ret->sampled = 0;
    ret->used = 0;
    ret->user = put_thirds(ret, text, text, text, SAMPLE_USER_BYTES, false);
}
