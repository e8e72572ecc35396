/* read.c - reads only what is measured from answers. */
#include "bench/read.h"

#include "base/json.h"

static void
read_usage(struct bench_reader *r, const struct json *usage)
{
    int64_t input =
        json_i64(json_get(usage, r->anthropic ? S("input_tokens") : S("prompt_tokens")), -1);
    int64_t output =
        json_i64(json_get(usage, r->anthropic ? S("output_tokens") : S("completion_tokens")), -1);

    if (input >= 0)
        r->input_tokens = (uint64_t)input;
    if (output >= 0)
        r->output_tokens = (uint64_t)output;
}

static bool
is_text(const struct json *j)
{
    return json_is(j, JSON_STRING) && j->n > 2;
}

static void
read_openai(struct bench_reader *r, const struct json *doc)
{
    struct json_iter it = json_iter(json_get(doc, S("choices")));

    while (json_next(&it)) {
        const struct json *delta = json_get(it.value, S("delta"));

        r->has_tokens |= is_text(json_get(delta, S("content"))) ||
                         is_text(json_get(delta, S("reasoning_content"))) ||
                         is_text(json_get(delta, S("reasoning"))) ||
                         is_text(json_get(delta, S("refusal"))) ||
                         json_is(json_get(delta, S("tool_calls")), JSON_ARRAY) ||
                         is_text(json_get(it.value, S("text")));
        r->finished |= json_present(json_get(it.value, S("finish_reason")));
    }
    read_usage(r, json_get(doc, S("usage")));
}

static void
read_anthropic(struct bench_reader *r, const struct json *doc)
{
    const struct json *type = json_get(doc, S("type"));

    r->has_tokens |= json_str_is(type, S("content_block_delta"));
    r->complete |= json_str_is(type, S("message_stop"));
    read_usage(r, json_at(doc, "message.usage"));
    read_usage(r, json_get(doc, S("usage")));
}

void
bench_read_event(struct bench_reader *r, struct str data)
{
    struct arena_mark mark = arena_mark(r->scratch);

    r->has_tokens = false;
    if (str_eq(data, S("[DONE]"))) {
        r->complete = true;
        return;
    }
    const struct json *doc = json_parse(r->scratch, data, NULL, NULL);
    r->broken |= doc == NULL;
    r->error |= json_present(json_get(doc, S("error")));
    if (r->anthropic)
        read_anthropic(r, doc);
    else
        read_openai(r, doc);
    r->token_events += r->has_tokens;
    arena_rewind(r->scratch, mark);
}

void
bench_read_answer(struct bench_reader *r, struct str body)
{
    struct arena_mark mark = arena_mark(r->scratch);
    const struct json *doc = json_parse(r->scratch, body, NULL, NULL);

    r->broken = doc == NULL;
    r->error = json_present(json_get(doc, S("error")));
    r->complete = !r->broken && !r->error;
    read_usage(r, json_get(doc, S("usage")));
    arena_rewind(r->scratch, mark);
}
