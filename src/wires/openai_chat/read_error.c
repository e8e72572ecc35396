/* read_error.c - errors of OpenAI-compatible providers, in all forms seen so far.
 *
 * {"error":{...}}, {"error":"text","code":...}, [{"error":{...}}], {"detail":...}, {"message":...},
 * plain text, a CDN's HTML page: nothing can be assumed. The kind is derived from the status, then
 * refined by the provider's type, code and message.
 */
#include "wires/openai_chat/openai_chat.h"

enum {
    WORD_MAX = 128,
    PROSE_MAX = 300,
};

/* --- words --- */

/* A string, or anything else as JSON text; truncated and scrubbed. */
static struct str
words_of(struct arena *a, const struct json *j, size_t most)
{
    struct str s = json_is(j, JSON_STRING) ? json_str(a, j) : json_raw(j);

    if (!json_present(j))
        return S("");
    return wire_scrub(a, str_make(s.p, MIN(s.n, most)));
}

/* The first entry of FastAPI's {"detail":[{"loc":["body","model"],"msg":"..."}]}. */
static struct str
detail_words(struct arena *a, const struct json *detail)
{
    const struct json *first = json_is(detail, JSON_ARRAY) ? json_iter(detail).next : NULL;
    const struct json *msg = json_get(first, S("msg"));
    const struct json *loc = json_get(first, S("loc"));

    if (detail->type == JSON_ARRAY && json_is_empty(detail))
        return S("");
    if (msg == NULL)
        return words_of(a, detail, 4096);
    return arena_printf(
        a, STR_FMT " " STR_FMT, STR_ARG(words_of(a, msg, 1024)), STR_ARG(words_of(a, loc, 256)));
}

/* The object that holds message, type and code, however deeply it is wrapped. */
static const struct json *
unwrap(const struct json *doc)
{
    static const char *const wraps[] = { "error", "errors" };
    bool deeper = true;

    while (deeper) {
        deeper = false;
        if (json_is(doc, JSON_ARRAY) && !json_is_empty(doc)) {
            doc = json_iter(doc).next;
            deeper = true;
        }
        for (size_t i = 0; i < ARRAY_LEN(wraps) && !deeper; i++) {
            const struct json *inner = json_get(doc, str_c(wraps[i]));

            if (json_is(inner, JSON_OBJECT) ||
                (json_is(inner, JSON_ARRAY) && !json_is_empty(inner))) {
                doc = inner;
                deeper = true;
            }
        }
    }
    return doc;
}

static void
read_words(struct arena *a, const struct json *doc, struct llm_error *ret)
{
    const struct json *inner = unwrap(doc);
    const struct json *detail = json_get(inner, S("detail"));

    ret->message = words_of(a, json_get(inner, S("message")), 8192);
    if (ret->message.n == 0 && json_present(detail))
        ret->message = detail_words(a, detail);
    if (ret->message.n == 0)    /* {"error":"text"} */
        ret->message = words_of(a, json_get(inner, S("error")), 8192);
    if (ret->message.n == 0 && json_is(inner, JSON_STRING))
        ret->message = words_of(a, inner, 8192);
    ret->type = words_of(a, json_get(inner, S("type")), WORD_MAX);
    ret->code = words_of(a, json_get(inner, S("code")), WORD_MAX);
    ret->param = words_of(a, json_get(inner, S("param")), WORD_MAX);
}

/* --- kinds --- */

/* The status inside the error document, for when the HTTP status is a success. */
static int
inner_status(const struct json *doc)
{
    static const char *const keys[] = { "status_code", "code", "raw_status_code", "status" };
    const struct json *inner = unwrap(doc);

    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        int64_t status = json_i64(json_get(inner, str_c(keys[i])), 0);

        if (status >= 400 && status < 600)
            return (int)status;
    }
    return 0;
}

static bool
is_word(const struct llm_error *e, struct str word)
{
    return str_ieq(e->code, word) || str_ieq(e->type, word);
}

/* The kind that a code or type stands for; OK if it is unknown. */
static enum err
kind_by_word(const struct llm_error *e)
{
    static const struct {
        struct str word;
        enum err kind;
    } rows[] = {
        { S_INIT("insufficient_quota"), ERR_UPSTREAM_QUOTA },
        { S_INIT("billing_hard_limit_reached"), ERR_UPSTREAM_QUOTA },
        { S_INIT("billing_not_active"), ERR_UPSTREAM_QUOTA },
        { S_INIT("insufficient_balance"), ERR_UPSTREAM_QUOTA },
        { S_INIT("payment_required"), ERR_UPSTREAM_QUOTA },
        { S_INIT("context_length_exceeded"), ERR_CONTEXT_LENGTH },
        { S_INIT("too_many_prompt_tokens"), ERR_CONTEXT_LENGTH },
        { S_INIT("content_filter"), ERR_CONTENT_FILTER },
        { S_INIT("content_policy_violation"), ERR_CONTENT_FILTER },
        { S_INIT("moderation_blocked"), ERR_CONTENT_FILTER },
        { S_INIT("ResponsibleAIPolicyViolation"), ERR_CONTENT_FILTER },
        { S_INIT("model_not_found"), ERR_UPSTREAM_NO_MODEL },
        { S_INIT("model_decommissioned"), ERR_UPSTREAM_NO_MODEL },
        { S_INIT("DeploymentNotFound"), ERR_UPSTREAM_NO_MODEL },
        { S_INIT("invalid_api_key"), ERR_UPSTREAM_AUTH },
        { S_INIT("authentication_error"), ERR_UPSTREAM_AUTH },
        { S_INIT("permission_denied"), ERR_UPSTREAM_AUTH },
        { S_INIT("rate_limit_exceeded"), ERR_RATE_LIMIT },
        { S_INIT("rate_limit_error"), ERR_RATE_LIMIT },
        { S_INIT("RateLimitReached"), ERR_RATE_LIMIT },
        { S_INIT("overloaded_error"), ERR_UPSTREAM_OVERLOADED },
        { S_INIT("server_error"), ERR_UPSTREAM_ERROR },
        { S_INIT("internal_server_error"), ERR_UPSTREAM_ERROR },
        { S_INIT("api_error"), ERR_UPSTREAM_ERROR },
        { S_INIT("invalid_request_error"), ERR_BAD_REQUEST },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (is_word(e, rows[i].word))
            return rows[i].kind;
    return OK;
}

/* xAI answers 400 for a wrong key, which only its message shows. */
static bool
blames_our_key(struct str message)
{
    struct str start = str_make(message.p, MIN(message.n, 64));

    return str_istarts(start, S("Incorrect API key")) || str_istarts(start, S("Invalid API key")) ||
           str_istarts(start, S("API key not valid"));
}

static bool
blames_caller(int status)
{
    return status >= 400 && status < 500 && wire_error_kind(status) == ERR_BAD_REQUEST;
}

/* `status` may be 0, unknown. Codes and messages refine a status that blames the caller; for other
 * statuses they only distinguish an exhausted quota from a rate limit. */
static enum err
kind_of(int status, const struct llm_error *e)
{
    enum err by_status = status == 0 ? ERR_UPSTREAM_ERROR : wire_error_kind(status);
    enum err by_word = kind_by_word(e);
    bool vague = status == 0 || blames_caller(status);

    if (by_word == ERR_UPSTREAM_QUOTA)
        return by_word;
    if ((vague || status == 413 || status >= 500) && wire_is_context_overflow(e->message))
        return ERR_CONTEXT_LENGTH;
    if (vague && blames_our_key(e->message))
        return ERR_UPSTREAM_AUTH;
    if (by_word == ERR_CONTENT_FILTER && status == 403)
        return by_word;
    if (by_word == ERR_RATE_LIMIT && status == 413)    /* Groq: exceeds the tokens per minute */
        return by_word;
    if (by_word == OK || !vague || (status != 0 && by_word == ERR_UPSTREAM_ERROR))
        return by_status;
    return by_word;
}

/* --- the whole --- */

static bool
looks_like_markup(struct str body)
{
    return str_starts(str_trim(body), S("<"));
}

static void
finish_error(struct arena *a, int status, struct llm_error *ret)
{
    ret->kind = kind_of(status, ret);
    if (ret->message.n == 0)
        ret->message = str_c(err_row(ret->kind)->sentence);
    /* Otherwise the provider's message would read as if the caller's own key were wrong. */
    else if (ret->kind == ERR_UPSTREAM_AUTH)
        ret->message = arena_printf(
            a, "the provider refused the gateway's credentials: " STR_FMT, STR_ARG(ret->message));
}

void
openai_read_error(struct arena *a, int status, struct str body, struct llm_error *ret)
{
    static const struct json_limits limits = { .depth = 32, .values = 10000 };
    const struct json *doc = json_parse(a, body, &limits, NULL);

    *ret = (struct llm_error){ .status = status, .retry_after_ms = -1 };
    if (doc != NULL) {
        read_words(a, doc, ret);
        if (status < 400)
            status = inner_status(doc);
    } else {
        if (!looks_like_markup(body))
            ret->message = wire_scrub(a, str_make(body.p, MIN(body.n, PROSE_MAX)));
        if (status < 400)
            status = 0;
    }
    finish_error(a, status, ret);
}
