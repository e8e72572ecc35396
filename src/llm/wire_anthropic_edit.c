/* wire_anthropic_edit.c - what must change in a request that came from an Anthropic caller anyway.
 *
 * A caller whose conversation was answered by another protocol's model for a turn replays that
 * model's thinking as blocks without a signature: we wrote them, for its SDK wants the
 * field. Anthropic refuses them, so they are cut out, and with them a message that holds nothing
 * else; every other byte stays. A long conversation may hold hundreds: the list of messages is
 * put together anew then, as one edit.
 */
#include "llm/wire_anthropic.h"

struct cutting {
    struct buf out;
    const char *done;    /* everything before it is written or cut */
};

static void
cut(struct cutting *c, const char *from, const char *to)
{
    buf_add(&c->out, str_make(c->done, (size_t)(from - c->done)));
    c->done = to;
}

static bool
is_unsigned_thinking(const struct json *block)
{
    const struct json *signature = json_get(block, S("signature"));

    return json_str_is(json_get(block, S("type")), S("thinking")) &&
           (!json_present(signature) || json_str_is(signature, S("")));
}

/* The blocks of an assistant's message; NULL when there are none to look at. */
static const struct json *
assistant_blocks(const struct json *message)
{
    const struct json *content = json_get(message, S("content"));

    return json_is(content, JSON_ARRAY) && json_str_is(json_get(message, S("role")), S("assistant"))
               ? content
               : NULL;
}

static bool
is_unsigned_message(const struct json *message)
{
    const struct json *blocks = assistant_blocks(message);
    struct json_iter it = json_iter(blocks);

    while (json_next(&it))
        if (!is_unsigned_thinking(it.value))
            return false;
    return blocks != NULL && blocks->count > 0;
}

/* Cuts the elements that `goes` is true of, each with the comma that is no longer needed, and calls
 * `keep` (may be NULL) for the others. A list of nothing else is left alone: there is nothing right
 * to put in its place. */
static void
cut_elements(struct cutting *c, const struct json *list, bool (*goes)(const struct json *element),
    void (*keep)(struct cutting *c, const struct json *element))
{
    struct json_iter it = json_iter(list);
    const struct json *kept = NULL;     /* the last element that stays */
    const struct json *first = NULL;    /* the first of those being cut since */

    while (json_next(&it)) {
        if (goes(it.value)) {
            first = first != NULL ? first : it.value;
            continue;
        }
        if (first != NULL)
            cut(c, first->p, it.value->p);
        if (keep != NULL)
            keep(c, it.value);
        kept = it.value;
        first = NULL;
    }
    if (first != NULL && kept != NULL)
        cut(c, kept->p + kept->n, list->p + list->n - 1);
}

static void
cut_blocks(struct cutting *c, const struct json *message)
{
    cut_elements(c, assistant_blocks(message), is_unsigned_thinking, NULL);
}

void
anthropic_edit_request(
    const struct llm_request *r, const struct wire_target *t UNUSED, struct wire_edits *edits)
{
    const struct json *messages = json_get(r->doc, S("messages"));
    struct cutting c = { .done = messages != NULL ? messages->p : NULL };

    if (!json_is(messages, JSON_ARRAY))
        return;
    buf_init(&c.out, messages->n);
    cut_elements(&c, messages, is_unsigned_message, cut_blocks);
    if (c.done != messages->p) {
        cut(&c, messages->p + messages->n, NULL);

        struct str put = arena_str(r->arena, buf_str(&c.out));

        if (put.p != NULL && !c.out.overflow)    /* else the provider will say what is wrong with it */
            (void)wire_edit_add(edits, (size_t)(messages->p - r->body.p), messages->n, put);
    }
    buf_fini(&c.out);
}
