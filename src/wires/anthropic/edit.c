/* edit.c - what must change in a request that is otherwise passed through.
 *
 * A caller whose conversation was answered by another protocol's model for a turn replays that
 * model's thinking as blocks without a signature: we wrote them, for its SDK wants the field.
 * Anthropic refuses them, so they are cut out, and with them a message that holds nothing else;
 * every other byte stays. A long conversation may hold hundreds: the list of messages is put
 * together anew then, as one edit.
 */
#include "wires/anthropic/anthropic.h"

static bool
is_unsigned_thinking(
    const void *arg UNUSED, const struct json *key UNUSED, const struct json *block)
{
    const struct json *signature = json_get(block, S("signature"));

    return json_str_is(json_get(block, S("type")), S("thinking")) &&
           (!json_present(signature) || json_str_is(signature, S("")));
}

/* The blocks of an assistant message; NULL if it is not one or has none. */
static const struct json *
assistant_blocks(const struct json *message)
{
    const struct json *content = json_get(message, S("content"));

    return json_is(content, JSON_ARRAY) && json_str_is(json_get(message, S("role")), S("assistant"))
               ? content
               : NULL;
}

static bool
is_unsigned_message(const void *arg, const struct json *key, const struct json *message)
{
    const struct json *blocks = assistant_blocks(message);
    struct json_iter it = json_iter(blocks);

    while (json_next(&it))
        if (!is_unsigned_thinking(arg, key, it.value))
            return false;
    return blocks != NULL && !json_is_empty(blocks);
}

static void
cut_blocks(struct wire_rewrite *w, const void *arg, const struct json *key UNUSED,
    const struct json *message)
{
    wire_rewrite_cut(w, assistant_blocks(message), is_unsigned_thinking, NULL, arg);
}

void
anthropic_edit_request(
    const struct llm_request *r, const struct wire_target *t UNUSED, struct wire_edits *edits)
{
    const struct json *messages = json_get(r->doc, S("messages"));
    struct wire_rewrite w;

    if (!json_is(messages, JSON_ARRAY))
        return;
    wire_rewrite_begin(&w, messages);
    wire_rewrite_cut(&w, messages, is_unsigned_message, cut_blocks, NULL);
    wire_rewrite_end(&w, r, edits);
}
