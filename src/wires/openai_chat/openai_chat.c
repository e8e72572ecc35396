/* openai_chat.c - OpenAI Chat Completions and its relatives (text completions, embeddings),
 * as OpenAI and some hundred compatible hosts speak it.
 */
#include "wires/openai_chat/openai_chat.h"

#include "llm/fail.h"
#include "llm/turns.h"
#include "llm/wishes.h"

static void
write_path(struct buf *out, const struct llm_request *r, const struct wire_target *t)
{
    (void)t;    /* the model is in the body */
    switch (r->op) {
    case OP_CHAT:
        buf_add(out, S("/chat/completions"));
        break;
    case OP_COMPLETE:
        buf_add(out, S("/completions"));
        break;
    case OP_EMBED:
        buf_add(out, S("/embeddings"));
        break;
    case OP_RERANK:
        buf_add(out, S("/rerank"));
        break;
    default:
        buf_add(out, r->path);
        break;
    }
}

int
openai_status(const struct llm_error *e)
{
    /* A status with which the provider blames the caller is kept: SDKs distinguish 422 and 415. */
    if ((e->kind == ERR_BAD_REQUEST && e->status >= 400 && e->status < 500) ||
        (e->kind == ERR_UNSUPPORTED && e->status == 422))
        return e->status;
    return err_row(e->kind)->status;
}

/* --- changes in place --- */

/* The offset of a node in the body that it was parsed from. */
static size_t
offset_of(const struct llm_request *r, const struct json *node)
{
    CHECK(node->p >= r->body.p && node->p + node->n <= r->body.p + r->body.n);
    return (size_t)(node->p - r->body.p);
}

/* Finds a member of the document: its key and value, or false. *ret_before is the preceding value that
 * is not taken out with the caller's wishes, or NULL. */
static bool
find_member(const struct llm_request *r, struct str name, struct json_iter *ret,
    const struct json **ret_before)
{
    *ret = json_iter(r->doc);
    *ret_before = NULL;
    while (json_next(ret)) {
        if (ret->key != NULL && json_str_is(ret->key, name))
            return true;
        if (!r->wished || !wishes_has(r, ret->key))
            *ret_before = ret->value;
    }
    return false;
}

/* Asks for usage in the stream: the gateway always needs it, the caller sees it only on request. */
static void
edit_usage(const struct llm_request *r, struct wire_edits *edits)
{
    const struct json *options = json_get(r->doc, S("stream_options"));
    const struct json *asked = json_get(options, S("include_usage"));

    if (options == NULL) {
        struct str put = S("\"stream_options\":{\"include_usage\":true},");

        wire_edit_add(edits, offset_of(r, r->doc) + 1, 0, put);
    } else if (options->type == JSON_NULL) {
        wire_edit_add(edits, offset_of(r, options), options->n, S("{\"include_usage\":true}"));
    } else if (asked != NULL) {
        wire_edit_add(edits, offset_of(r, asked), asked->n, S("true"));
    } else if (options->type == JSON_OBJECT) {
        struct str put =
            !json_is_empty(options) ? S("\"include_usage\":true,") : S("\"include_usage\":true");

        wire_edit_add(edits, offset_of(r, options) + 1, 0, put);
    }
}

/* For hosts that reject the option and send usage without being asked. */
static void
edit_stream_options(const struct llm_request *r, struct wire_edits *edits)
{
    const struct json *before;
    struct json_iter it;

    if (!find_member(r, S("stream_options"), &it, &before))
        return;

    size_t end = offset_of(r, it.value) + it.value->n;
    size_t from = offset_of(r, it.key);

    if (it.next != it.end)    /* together with the comma that follows */
        end = offset_of(r, it.next);
    else if (before != NULL)
        from = offset_of(r, before) + before->n;
    wire_edit_add(edits, from, end - from, S(""));
}

static void
edit_name(
    const struct llm_request *r, const char *name, struct str quoted, struct wire_edits *edits)
{
    const struct json *before;
    struct json_iter it;

    if (find_member(r, str_c(name), &it, &before))
        wire_edit_add(edits, offset_of(r, it.key), it.key->n, quoted);
}

/* The old name of the limit, for hosts that know only that. */
static void
edit_max_tokens(const struct llm_request *r, struct wire_edits *edits)
{
    if (json_get(r->doc, S("max_tokens")) == NULL)
        edit_name(r, "max_completion_tokens", S("\"max_tokens\""), edits);
}

/* Whether the caller sends back reasoning that we translated from another protocol. */
static bool
holds_our_proofs(const struct json *message)
{
    struct json_iter it = json_iter(json_get(message, S("reasoning_details")));

    while (json_next(&it)) {
        const struct json *id = json_get(it.value, S("id"));

        if (json_is(id, JSON_STRING) &&
            str_starts(str_skip(json_raw(id), 1), S(OPENAI_REASONING_ID)))
            return true;
    }
    return false;
}

/* How the messages of a request change for a target. */
struct message_edit {
    const struct llm_request *r;
    bool rename;     /* the role developer is unknown there */
    bool nine;       /* ids of calls have nine letters and digits */
    bool foreign;    /* this message has reasoning that is of no use there */
};

static bool
is_foreign_reasoning(const void *arg, const struct json *key, const struct json *value UNUSED)
{
    const struct message_edit *e = arg;

    return e->foreign &&
           (json_str_is(key, S("reasoning_content")) || json_str_is(key, S("reasoning_details")));
}

/* The same id as openai_write_request() gives the call. */
static void
edit_id(struct wire_rewrite *w, const struct message_edit *e, const struct json *id)
{
    struct str fit = json_is(id, JSON_STRING) ? openai_nine_letters(e->r->arena, id) : S("");

    if (fit.n > 0)
        wire_rewrite_put(w, id->p + 1, id->p + id->n - 1, fit);
}

static void
edit_member(
    struct wire_rewrite *w, const void *arg, const struct json *key, const struct json *value)
{
    const struct message_edit *e = arg;

    if (e->rename && json_str_is(key, S("role")) && json_str_is(value, S("developer")))
        wire_rewrite_put(w, value->p, value->p + value->n, S("\"system\""));
    if (e->nine && json_str_is(key, S("tool_call_id")))
        edit_id(w, e, value);
    if (!e->nine || !json_str_is(key, S("tool_calls")))
        return;

    struct json_iter it = json_iter(value);

    while (json_next(&it))
        edit_id(w, e, json_get(it.value, S("id")));
}

/* Removes reasoning of other protocols' models, which no host of this family can use, renames the
 * developer role where it is unknown, and gives calls ids that the host takes. */
static void
edit_messages(const struct llm_request *r, const struct wire_target *t, struct wire_edits *edits)
{
    const struct json *messages = json_get(r->doc, S("messages"));
    struct message_edit e = {
        .r = r,
        .rename = t->traits.no_developer == YES,
        .nine = t->traits.nine_letter_ids == YES,
    };
    struct json_iter it = json_iter(messages);
    struct wire_rewrite w;

    if (!json_is(messages, JSON_ARRAY))
        return;
    wire_rewrite_begin(&w, messages);
    while (json_next(&it)) {
        e.foreign = holds_our_proofs(it.value);
        if (json_is(it.value, JSON_OBJECT) && (e.foreign || e.rename || e.nine))
            wire_rewrite_cut(&w, it.value, is_foreign_reasoning, edit_member, &e);
    }
    wire_rewrite_end(&w, r, edits);
}

static void
edit_request(const struct llm_request *r, const struct wire_target *t, struct wire_edits *edits)
{
    if (!json_is(r->doc, JSON_OBJECT) || json_is_empty(r->doc))
        return;
    if (r->op == OP_EMBED && t->traits.mistral == YES)
        edit_name(r, "dimensions", S("\"output_dimension\""), edits);
    if (r->op != OP_CHAT && r->op != OP_COMPLETE)
        return;

    if (t->traits.no_stream_options == YES)
        edit_stream_options(r, edits);
    else if (r->stream && !r->want_usage)
        edit_usage(r, edits);
    if (r->op == OP_CHAT && t->traits.max_tokens == YES)
        edit_max_tokens(r, edits);
    if (r->op == OP_CHAT)
        edit_messages(r, t, edits);
}

/* --- failures --- */

static const struct fail_word fail_rows[] = {
    { S_INIT("insufficient_quota"), ERR_UPSTREAM_QUOTA },
    { S_INIT("billing_hard_limit_reached"), ERR_UPSTREAM_QUOTA },
    { S_INIT("billing_not_active"), ERR_UPSTREAM_QUOTA },
    { S_INIT("insufficient_balance"), ERR_UPSTREAM_QUOTA },
    { S_INIT("payment_required"), ERR_UPSTREAM_QUOTA },
    { S_INIT("exceeded_current_quota_error"), ERR_UPSTREAM_QUOTA },    /* Moonshot */
    { S_INIT("Arrearage"), ERR_UPSTREAM_QUOTA },                       /* Alibaba */
    { S_INIT("context_length_exceeded"), ERR_CONTEXT_LENGTH },
    { S_INIT("tokens_limit_reached"), ERR_CONTEXT_LENGTH },    /* GitHub */
    { S_INIT("too_many_prompt_tokens"), ERR_CONTEXT_LENGTH },
    { S_INIT("content_filter"), ERR_CONTENT_FILTER },
    { S_INIT("content_policy_violation"), ERR_CONTENT_FILTER },
    { S_INIT("moderation_blocked"), ERR_CONTENT_FILTER },
    { S_INIT("ResponsibleAIPolicyViolation"), ERR_CONTENT_FILTER },
    { S_INIT("invalid_prompt"), ERR_CONTENT_FILTER },            /* OpenAI: flagged */
    { S_INIT("data_inspection_failed"), ERR_CONTENT_FILTER },    /* Alibaba */
    { S_INIT("model_not_found"), ERR_UPSTREAM_NO_MODEL },
    { S_INIT("model_decommissioned"), ERR_UPSTREAM_NO_MODEL },
    { S_INIT("DeploymentNotFound"), ERR_UPSTREAM_NO_MODEL },
    { S_INIT("ModelDeprecated"), ERR_UPSTREAM_NO_MODEL },        /* Azure */
    { S_INIT("model_not_available"), ERR_UPSTREAM_NO_MODEL },    /* Together */
    { S_INIT("model_not_supported"), ERR_UPSTREAM_NO_MODEL },    /* Hugging Face */
    { S_INIT("invalid_model"), ERR_UPSTREAM_NO_MODEL },          /* Mistral, Perplexity */
    { S_INIT("unknown_model"), ERR_UPSTREAM_NO_MODEL },          /* GitHub */
    { S_INIT("NOT_FOUND"), ERR_UPSTREAM_NO_MODEL },              /* Google, like the others below */
    { S_INIT("invalid_api_key"), ERR_UPSTREAM_AUTH },
    { S_INIT("authentication_error"), ERR_UPSTREAM_AUTH },
    { S_INIT("invalid_authentication_error"), ERR_UPSTREAM_AUTH },    /* Moonshot */
    { S_INIT("UNAUTHENTICATED"), ERR_UPSTREAM_AUTH },
    { S_INIT("permission_denied"), ERR_UPSTREAM_FORBIDDEN },    /* Google's as well */
    { S_INIT("unsupported_country_region_territory"), ERR_UPSTREAM_FORBIDDEN },
    { S_INIT("rate_limit_exceeded"), ERR_UPSTREAM_RATE_LIMIT },
    { S_INIT("rate_limit_error"), ERR_UPSTREAM_RATE_LIMIT },
    { S_INIT("RateLimitReached"), ERR_UPSTREAM_RATE_LIMIT },
    { S_INIT("rate_limit_reached_error"), ERR_UPSTREAM_RATE_LIMIT },    /* Moonshot */
    { S_INIT("limit_requests"), ERR_UPSTREAM_RATE_LIMIT },              /* Alibaba */
    { S_INIT("RESOURCE_EXHAUSTED"), ERR_UPSTREAM_RATE_LIMIT },
    { S_INIT("overloaded_error"), ERR_UPSTREAM_OVERLOADED },
    { S_INIT("engine_overloaded_error"), ERR_UPSTREAM_OVERLOADED },           /* Moonshot */
    { S_INIT("service_tier_capacity_exceeded"), ERR_UPSTREAM_OVERLOADED },    /* Mistral */
    { S_INIT("capacity_exceeded"), ERR_UPSTREAM_OVERLOADED },                 /* Groq: 498 */
    { S_INIT("slow_down"), ERR_UPSTREAM_OVERLOADED },
    { S_INIT("UNAVAILABLE"), ERR_UPSTREAM_OVERLOADED },
    { S_INIT("DEADLINE_EXCEEDED"), ERR_UPSTREAM_TIMEOUT },
    { S_INIT("INTERNAL"), ERR_UPSTREAM_ERROR },
    { S_INIT("server_error"), ERR_UPSTREAM_ERROR },
    { S_INIT("internal_server_error"), ERR_UPSTREAM_ERROR },
    { S_INIT("api_error"), ERR_UPSTREAM_ERROR },
    { S_INIT("invalid_request_error"), ERR_BAD_REQUEST },
    { S_INIT("INVALID_ARGUMENT"), ERR_BAD_REQUEST },
    { S_INIT("FAILED_PRECONDITION"), ERR_BAD_REQUEST },
};

static const struct fail_words fail_words = { .rows = fail_rows, .count = ARRAY_LEN(fail_rows) };

/* MiniMax's numbers, as the statuses that others have for the same; the rest are failures of its
 * own. */
static int
status_of_number(int64_t number)
{
    static const struct {
        int number, status;
    } rows[] = {
        { 1001, 504 },
        { 1002, 429 },
        { 1004, 401 },
        { 1008, 402 },
        { 1026, 400 },    /* the input was refused */
        { 1027, 400 },    /* the output was */
        { 1039, 429 },    /* tokens a minute */
        { 1041, 429 },    /* connections */
        { 1042, 400 },
        { 2013, 400 },
        { 2049, 401 },
        { 2056, 429 },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].number == number)
            return rows[i].status;
    return 500;
}

bool
openai_read_base_resp(struct arena *a, const struct json *base_resp, struct llm_error *ret)
{
    int64_t number = json_i64(json_get(base_resp, S("status_code")), 0);

    if (number == 0)
        return false;
    fail_read(a, &fail_words, status_of_number(number),
        json_str(a, json_get(base_resp, S("status_msg"))), ret);
    if (number == 1026 || number == 1027)
        ret->kind = ERR_CONTENT_FILTER;
    ret->code = arena_printf(a, "%lld", (long long)number);
    ret->status = 200;
    return true;
}

void
openai_read_error(struct arena *a, int status, struct str body, struct llm_error *ret)
{
    fail_read(a, &fail_words, status, body, ret);
}

/* --- the wire --- */

static const char *const forwarded[] = { "openai-beta", NULL };

const char *const openai_beyond_text[] = { "tools", "functions", "response_format",
    "reasoning_effort", "reasoning", "logprobs", "modalities", "audio", "web_search_options",
    NULL };

static const struct wire_caller caller = {
    .members = openai_members,
    .params = PARAMS_OPENAI_CHAT,
    .words = &openai_words,
    .translates = OP_BIT(OP_CHAT),
    .asks = { [OP_EMBED] = &openai_embed, [OP_RERANK] = &openai_rerank },
    .beyond_text = openai_beyond_text,
    .needs = &openai_needs,
    .read_head = openai_read_head,
    .media = WIRE_MEDIA(IMAGE) | WIRE_MEDIA(AUDIO),
    .media_streamed = WIRE_MEDIA(IMAGE) | WIRE_MEDIA(AUDIO),
    .write_event = openai_write_event,
    .write_answer = openai_write_answer,
    .write_error = openai_write_error,
    .write_router_error = openai_write_router_error,
    .annotate = openai_annotate,
    .write_relay_error = openai_write_relay_error,
    .status = openai_status,
    .error_names = openai_error_names,
    .models_begin = S_INIT("{\"object\":\"list\",\"data\":["),
    .write_model = openai_write_model,
    .write_models_end = openai_write_models_end,
    .terminator = S_INIT("data: [DONE]\n\n"),
};

static const char *const limits[] = { "max_completion_tokens", "max_tokens", NULL };

const struct wire_provider openai_provider = {
    .ops = OP_BIT(OP_CHAT) | OP_BIT(OP_COMPLETE) | OP_BIT(OP_EMBED) | OP_BIT(OP_RERANK) |
           OP_BIT(OP_RELAY),
    .write_path = write_path,
    .base = S_INIT("/v1"),
    .models_path = S_INIT("/models"),
    .translates = OP_BIT(OP_CHAT),
    .choices = true,
    .free_form = true,
    .places = { .params = PARAMS_OPENAI_CHAT, .limits = limits },
    .write_request = openai_write_request,
    .writes = { [OP_EMBED] = openai_write_embed, [OP_RERANK] = openai_write_rerank },
    .reads = { [OP_EMBED] = openai_read_embed, [OP_RERANK] = openai_read_rerank },
    .edit_request = edit_request,
    .read_event = openai_read_event,
    .read_end = openai_read_end,
    .read_answer = openai_read_answer,
    .read_message = openai_read_message,
    .read_error = openai_read_error,
    .key = S_INIT("Authorization: Bearer "),
    .forward = forwarded,
};

const struct wire wire_openai_chat = {
    .name = S_INIT("openai-chat"),
    .framing = &framing_sse,
    .caller = &caller,
    .provider = &openai_provider,
    .dialect = &wire_mistral,
};
