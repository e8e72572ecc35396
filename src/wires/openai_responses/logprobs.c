/* logprobs.c - log probabilities of the tokens of a text.
 *
 * In OpenAI's chats they stand in an object beside the message; here they belong to the text, in its events and in its
 * part. The entries are alike, but each must have its bytes and its alternatives here.
 */
#include "wires/openai_responses/responses.h"

static void
add_token(struct json_out *o, const struct json *token)
{
    const struct json *bytes = json_get(token, S("bytes"));

    out_raw(o, "token", json_raw(json_get(token, S("token"))));
    out_raw(o, "logprob", json_raw(json_get(token, S("logprob"))));
    out_raw(o, "bytes", json_is(bytes, JSON_ARRAY) ? json_raw(bytes) : S("[]"));
}

static bool
is_token(const struct json *token)
{
    return json_is(json_get(token, S("token")), JSON_STRING) &&
           json_is(json_get(token, S("logprob")), JSON_NUMBER);
}

void
responses_add_logprobs(struct json_out *o, struct str raw)
{
    struct arena *a = arena_create(raw.n * 64 + 4096);
    struct json_iter it = json_iter(json_get(json_parse(a, raw, NULL, NULL), S("content")));

    while (json_next(&it)) {
        struct json_iter others = json_iter(json_get(it.value, S("top_logprobs")));

        if (!is_token(it.value))
            continue;
        out_object(o);
        add_token(o, it.value);
        out_key_array(o, "top_logprobs");
        while (json_next(&others)) {
            if (!is_token(others.value))
                continue;
            out_object(o);
            add_token(o, others.value);
            out_end(o);
        }
        out_end_array(o);
        out_end(o);
    }
    arena_destroy(a);
}
