/* realtime.c - what a session of OpenAI's Realtime API used. Each of its responses ends with an event
 * that says what it took; a session has many. */
#include "wires/openai_chat/openai_chat.h"

/* Counts of the event, in places that Chat Completions has elsewhere. */
static void
add_count(struct llm_usage *sum, enum llm_count count, const struct json *place, struct str name)
{
    const struct json *n = json_get(place, name);

    if (json_is(n, JSON_NUMBER))
        usage_set(sum, count, sum->counts[count] + MIN(MAX(json_i64(n, 0), 0), USAGE_MOST));
}

void
openai_read_message(struct wire_reader *r, struct str text)
{
    if (str_find(text, S("response.done")) == text.n)
        return;

    const struct json *doc = json_parse(r->scratch, text, NULL, NULL);
    const struct json *usage = json_get(json_get(doc, S("response")), S("usage"));
    struct llm_usage *sum = r->state;

    if (!str_eq(json_str(r->scratch, json_get(doc, S("type"))), S("response.done")) ||
        !json_is(usage, JSON_OBJECT))
        return;
    if (sum == NULL)
        r->state = sum = arena_new(r->keep, struct llm_usage);
    const struct json *in = json_get(usage, S("input_token_details"));
    const struct json *out = json_get(usage, S("output_token_details"));

    add_count(sum, COUNT_INPUT, usage, S("input_tokens"));
    add_count(sum, COUNT_OUTPUT, usage, S("output_tokens"));
    add_count(sum, COUNT_CACHED, in, S("cached_tokens"));
    add_count(sum, COUNT_AUDIO_INPUT, in, S("audio_tokens"));
    add_count(sum, COUNT_AUDIO_OUTPUT, out, S("audio_tokens"));
    wire_emit(r, &(struct llm_event){ .kind = EVENT_USAGE, .usage = *sum });
}
