/* wire_anthropic_edit.c - what must change in a request that came from an Anthropic caller anyway.
 *
 * A caller whose conversation was answered by another protocol's model for a turn replays that
 * model's thinking as blocks without a signature: we wrote them, for its SDK wants the
 * field. Anthropic refuses them, so they are cut out; every other byte stays.
 */
#include "llm/wire_anthropic.h"

enum { EDITS_LEFT_FREE = 2 };    /* for the model's name and configured parameters */

static bool
is_unsigned_thinking(const struct json *block)
{
    return json_str_is(json_get(block, S("type")), S("thinking"))
        && (json_get(block, S("signature")) == NULL || json_str_is(json_get(block, S("signature")), S("")));
}

static size_t
offset(const struct llm_request *r, const char *p)
{
    return (size_t)(p - r->body.p);
}

/* Cuts the unsigned blocks of one message, each with the comma that is no longer needed. A message that
 * has nothing else is left alone: there is nothing right to put in its place. */
static void
edit_content(const struct llm_request *r, const struct json *content, struct wire_edits *edits)
{
    struct json_iter it = json_iter(content);
    const struct json *kept = NULL;        /* the last block that stays */
    const struct json *cut = NULL;         /* the first of those being cut since */

    while (json_next(&it)) {
        bool room = edits->count + EDITS_LEFT_FREE < WIRE_EDITS;

        if (is_unsigned_thinking(it.value) && room) {
            if (cut == NULL)
                cut = it.value;
            continue;
        }
        if (cut != NULL)
            (void)wire_edit_add(edits, offset(r, cut->p), (size_t)(it.value->p - cut->p), S(""));
        kept = it.value;
        cut = NULL;
    }
    if (cut != NULL && kept != NULL) {
        const char *from = kept->p + kept->n;
        (void)wire_edit_add(edits, offset(r, from), (size_t)(content->p + content->n - 1 - from), S(""));
    }
}

void
anthropic_edit_request(const struct llm_request *r, const struct wire_target *t, struct wire_edits *edits)
{
    struct json_iter it = json_iter(json_get(r->doc, S("messages")));

    (void)t;
    while (json_next(&it)) {
        const struct json *content = json_get(it.value, S("content"));
        if (json_is(content, JSON_ARRAY) && json_str_is(json_get(it.value, S("role")), S("assistant")))
            edit_content(r, content, edits);
    }
}
