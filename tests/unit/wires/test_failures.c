/* test_failures.c - what providers' failures mean, in their own words: for every protocol, as an
 * answer with a failed status, as a document in a 200, and as the first event of a stream. */
#include "llm/wire.h"
#include "tests/test.h"

enum { O = 1, A = 2, L = 4, G = 8, C = 16, ALL = O | A | L | G | C };

/* OpenAI, Anthropic, Ollama, Gemini, Cohere */
static const struct wire *const wires[] = { &wire_openai_chat, &wire_anthropic, &wire_ollama,
    &wire_gemini, &wire_cohere };

static struct llm_error last;
static unsigned events;

static void
on_event(struct event_sink *s UNUSED, const struct llm_event *ev)
{
    events++;
    if (ev->kind == EVENT_ERROR)
        last = *ev->error;
}

/* The kind of an error in an answer with a 200. */
static enum err
kind_in_success(const struct wire *wire, bool stream, struct str body)
{
    struct arena *a = arena_create(1 << 20);
    struct event_sink sink = { .emit = on_event };
    struct wire_reader r = {
        .wire = wire, .stream = stream, .keep = a, .scratch = a, .sink = &sink
    };

    last.kind = OK;
    events = 0;
    enum err e = stream ? wire->provider->read_event(&r, S(""), body)
                        : wire->provider->read_answer(&r, body);
    arena_destroy(a);
    EXPECT(e != OK || (r.failed && !r.complete && events == 1));
    return e != OK ? e : last.kind;
}

static enum err
kind_of_refusal(const struct wire *wire, int status, struct str body)
{
    struct arena *a = arena_create(1 << 20);
    struct llm_error e;

    wire->provider->read_error(a, status, body, &e);
    EXPECT(e.message.n != 0);
    EXPECT_INT(e.status, status);
    arena_destroy(a);
    return e.kind;
}

struct row {
    unsigned wires;
    int status;
    const char *body;    /* with ' for " */
    enum err kind;
};

static void
check(const struct row *rows, size_t count)
{
    char body[2048];

    for (size_t i = 0; i < count; i++) {
        snprintf(body, sizeof(body), "%s", rows[i].body);
        for (char *p = body; *p != '\0'; p++)
            if (*p == '\'')
                *p = '"';
            else if (*p == '^')
                *p = '\'';
        for (size_t k = 0; k < ARRAY_LEN(wires); k++) {
            enum err kinds[2];

            if ((rows[i].wires & 1u << k) == 0)
                continue;
            for (int stream = 0; stream < 2; stream++)
                kinds[stream] = rows[i].status == 200
                                    ? kind_in_success(wires[k], stream != 0, str_c(body))
                                    : kind_of_refusal(wires[k], rows[i].status, str_c(body));
            if (kinds[0] != rows[i].kind || kinds[1] != rows[i].kind)
                print_error(STR_FMT " %d %s: %s, %s\n", STR_ARG(wires[k]->name), rows[i].status,
                    body, err_row(kinds[0])->name, err_row(kinds[1])->name);
            EXPECT(kinds[0] == rows[i].kind && kinds[1] == rows[i].kind);
        }
    }
}

#define MESSAGE(text) "{'error':{'message':'" text "'}}"
#define TYPED(type, text) "{'type':'error','error':{'type':'" type "','message':'" text "'}}"
#define CODED(code, text) "{'error':{'code':'" code "','message':'" text "'}}"
#define NUMBERED(code, text) "{'error':{'code':" code ",'message':'" text "'}}"

TEST(limits_are_told_from_empty_accounts)
{
    static const struct row rows[] = {
        { ALL, 429, "", ERR_UPSTREAM_RATE_LIMIT },
        { ALL, 429, "<html>slow down</html>", ERR_UPSTREAM_RATE_LIMIT },
        { ALL, 429, MESSAGE("Rate limit reached for gpt-4o on requests per day (RPD): Limit 200"),
            ERR_UPSTREAM_RATE_LIMIT },
        { ALL, 429, MESSAGE("You exceeded your current quota. Please retry in 31.9s."),
            ERR_UPSTREAM_RATE_LIMIT },    /* Gemini, per minute */
        { ALL, 429,
            "[{'error':{'code':429,'status':'RESOURCE_EXHAUSTED','message':'You exceeded your "
            "current quota','details':[{'violations':[{'quotaId':'GenerateRequestsPerMinutePer"
            "Project'}]}]}}]",
            ERR_UPSTREAM_RATE_LIMIT },
        { ALL, 429,
            "[{'error':{'code':429,'status':'RESOURCE_EXHAUSTED','message':'You exceeded your "
            "current quota','details':[{'retryDelay':'9s'},{'violations':[{'quotaId':'"
            "GenerateRequestsPerDayPerProject-FreeTier'}]}]}}]",
            ERR_UPSTREAM_QUOTA },
        { ALL, 429,    /* other models of the key are not concerned */
            "[{'error':{'code':429,'status':'RESOURCE_EXHAUSTED','message':'You exceeded your "
            "current quota','details':[{'violations':[{'quotaId':'"
            "GenerateRequestsPerDayPerProjectPerModel-FreeTier'}]}]}}]",
            ERR_UPSTREAM_RATE_LIMIT },
        { ALL, 429, MESSAGE("Quota exceeded for quota metric ^requests^ and limit ^per day^"),
            ERR_UPSTREAM_QUOTA },
        { O, 200, "{'error':{'status':'RESOURCE_EXHAUSTED','message':'quota ... per day'}}",
            ERR_UPSTREAM_QUOTA },
        { O, 200, "{'error':{'status':'RESOURCE_EXHAUSTED','message':'x'}}",
            ERR_UPSTREAM_RATE_LIMIT },
        { O, 429, CODED("insufficient_quota", "You exceeded your current quota"),
            ERR_UPSTREAM_QUOTA },
        { O, 200, CODED("insufficient_quota", "You exceeded your current quota"),
            ERR_UPSTREAM_QUOTA },
        { O, 429, CODED("billing_hard_limit_reached", "x"), ERR_UPSTREAM_QUOTA },
        { O, 400, CODED("billing_hard_limit_reached", "x"), ERR_UPSTREAM_QUOTA },
        { O, 429, TYPED("exceeded_current_quota_error", "x"), ERR_UPSTREAM_QUOTA },
        { ALL, 402, MESSAGE("Insufficient Balance"), ERR_UPSTREAM_QUOTA },
        { ALL, 429, MESSAGE("Insufficient balance or no resource package. Please recharge."),
            ERR_UPSTREAM_QUOTA },
        { ALL, 400,
            TYPED("invalid_request_error", "Your credit balance is too low to access the API"),
            ERR_UPSTREAM_QUOTA },
        { ALL, 200,
            TYPED("invalid_request_error", "Your credit balance is too low to access the API"),
            ERR_UPSTREAM_QUOTA },
        { ALL, 400,
            TYPED("invalid_request_error", "You have reached your specified API usage limits."),
            ERR_UPSTREAM_QUOTA },
        { ALL, 403, "{'code':'x','error':'Your newly created team doesn^t have any credits yet'}",
            ERR_UPSTREAM_QUOTA },
        { ALL, 412, MESSAGE("Account acme is suspended, possibly due to its spending limit"),
            ERR_UPSTREAM_QUOTA },
        { A, 402, TYPED("billing_error", "x"), ERR_UPSTREAM_QUOTA },
        /* a 400, or a 200, that is a limit */
        { O, 400, CODED("rate_limit_exceeded", "x"), ERR_UPSTREAM_RATE_LIMIT },
        { A, 400, TYPED("rate_limit_error", "x"), ERR_UPSTREAM_RATE_LIMIT },
        { ALL, 400, MESSAGE("Rate limit exceeded"), ERR_UPSTREAM_RATE_LIMIT },
        { ALL, 400, MESSAGE("Too many requests, slow down"), ERR_UPSTREAM_RATE_LIMIT },
        { O | A, 200, TYPED("rate_limit_error", "Number of requests has exceeded your limit"),
            ERR_UPSTREAM_RATE_LIMIT },
        { ALL, 200, NUMBERED("429", "Provider returned error"), ERR_UPSTREAM_RATE_LIMIT },
        { ALL, 200, CODED("429", "Provider returned error"), ERR_UPSTREAM_RATE_LIMIT },
        { ALL, 200, "{'error':'upstream: rate limit exceeded'}", ERR_UPSTREAM_RATE_LIMIT },
        { O, 413, CODED("rate_limit_exceeded", "Request too large for model: TPM"),
            ERR_UNSUPPORTED },    /* Groq */
        { O, 429, CODED("rate_limit_exceeded", "Request too large for gpt-4o on tokens per min"),
            ERR_UNSUPPORTED },
        { ALL, 402, MESSAGE("This request requires more credits. You can only afford 30104"),
            ERR_UNSUPPORTED },
        { O, 401, MESSAGE("You have insufficient permissions for this operation. Missing scopes"),
            ERR_UPSTREAM_FORBIDDEN },
    };

    check(rows, ARRAY_LEN(rows));
}

TEST(a_provider_that_is_overloaded_says_so_in_many_ways)
{
    static const struct row rows[] = {
        { ALL, 503, "", ERR_UPSTREAM_OVERLOADED },
        { ALL, 529, "<html>Overloaded</html>", ERR_UPSTREAM_OVERLOADED },
        { O | A, 200, TYPED("overloaded_error", "Overloaded"), ERR_UPSTREAM_OVERLOADED },
        { ALL, 200, MESSAGE("Overloaded"), ERR_UPSTREAM_OVERLOADED },
        { ALL, 200, "{'error':'server busy, please try again.'}", ERR_UPSTREAM_OVERLOADED },
        { ALL, 200, "{'error':'The server is busy'}", ERR_UPSTREAM_OVERLOADED },
        { ALL, 200, MESSAGE("litellm: the model is overloaded"), ERR_UPSTREAM_OVERLOADED },
        { ALL, 200, NUMBERED("503", "no"), ERR_UPSTREAM_OVERLOADED },
        { ALL, 200, NUMBERED("529", "no"), ERR_UPSTREAM_OVERLOADED },
        { O, 200, "{'error':{'status':'UNAVAILABLE','message':'x'}}", ERR_UPSTREAM_OVERLOADED },
        { A, 500, TYPED("overloaded_error", "Overloaded"), ERR_UPSTREAM_OVERLOADED },
        { O, 429, TYPED("engine_overloaded_error", "x"), ERR_UPSTREAM_OVERLOADED },
        { ALL, 429, MESSAGE("The engine is currently overloaded, please try again later"),
            ERR_UPSTREAM_OVERLOADED },
        { O, 498, CODED("capacity_exceeded", "x"), ERR_UPSTREAM_OVERLOADED },
        { ALL, 200, MESSAGE("Cannot read ^server is busy^"), ERR_UPSTREAM_ERROR },
    };

    check(rows, ARRAY_LEN(rows));
}

TEST(a_key_is_not_valid_or_not_permitted)
{
    static const struct row rows[] = {
        { ALL, 401, "", ERR_UPSTREAM_AUTH },
        { ALL, 407, "", ERR_UPSTREAM_AUTH },
        { ALL, 403, "", ERR_UPSTREAM_FORBIDDEN },
        { ALL, 403, "<html>Attention Required!</html>", ERR_UPSTREAM_FORBIDDEN },
        { A, 403, TYPED("permission_error", "no"), ERR_UPSTREAM_FORBIDDEN },
        { O, 403, CODED("model_not_found", "Project `p` does not have access to model `m`"),
            ERR_UPSTREAM_FORBIDDEN },
        { O, 403, CODED("unsupported_country_region_territory", "x"), ERR_UPSTREAM_FORBIDDEN },
        { ALL, 400,
            "[{'error':{'code':400,'status':'FAILED_PRECONDITION','message':'User location is not "
            "supported for the API use.'}}]",
            ERR_UPSTREAM_FORBIDDEN },
        { O, 200, "{'error':{'status':'PERMISSION_DENIED','message':'x'}}",
            ERR_UPSTREAM_FORBIDDEN },
        { ALL, 200, NUMBERED("403", "no"), ERR_UPSTREAM_FORBIDDEN },
        { ALL, 200, NUMBERED("401", "no"), ERR_UPSTREAM_AUTH },
        { ALL, 400, "{'code':'invalid-argument','error':'Incorrect API key provided: xa***'}",
            ERR_UPSTREAM_AUTH },
        { ALL, 400, "[{'error':{'code':400,'message':'API key not valid. Please pass a valid'}}]",
            ERR_UPSTREAM_AUTH },
        { ALL, 400, MESSAGE("API key expired. Please renew the API key."), ERR_UPSTREAM_AUTH },
        { ALL, 400, TYPED("invalid_request_error", "This organization has been disabled."),
            ERR_UPSTREAM_AUTH },
        { ALL, 403, "{'message':'The security token included in the request is invalid.'}",
            ERR_UPSTREAM_AUTH },
        { O, 200, CODED("invalid_api_key", "x"), ERR_UPSTREAM_AUTH },
        { A, 200, TYPED("authentication_error", "x"), ERR_UPSTREAM_AUTH },
    };

    check(rows, ARRAY_LEN(rows));
}

TEST(a_model_that_is_gone_is_known_whatever_the_status)
{
    static const struct row rows[] = {
        { ALL, 404, "", ERR_UPSTREAM_NO_MODEL },
        { ALL, 404, "<html>not found</html>", ERR_UPSTREAM_NO_MODEL },
        { ALL, 410, "{'title':'Gone','detail':'The model has reached its end of life'}",
            ERR_UPSTREAM_NO_MODEL },
        { A, 404, TYPED("not_found_error", "model: claude-1"), ERR_UPSTREAM_NO_MODEL },
        { A, 200, TYPED("not_found_error", "model: claude-1"), ERR_UPSTREAM_NO_MODEL },
        { O, 400, CODED("model_decommissioned", "x"), ERR_UPSTREAM_NO_MODEL },
        { O, 400, CODED("model_not_found", "x"), ERR_UPSTREAM_NO_MODEL },
        { O, 400, TYPED("invalid_model", "Invalid model: x"), ERR_UPSTREAM_NO_MODEL },
        { ALL, 400, MESSAGE("Invalid model ^x^. Permitted models can be found"),
            ERR_UPSTREAM_NO_MODEL },
        { ALL, 400, MESSAGE("Model Not Exist"), ERR_UPSTREAM_NO_MODEL },
        { ALL, 400, MESSAGE("The model `gpt-3.5-turbo-0613` has been deprecated"),
            ERR_UPSTREAM_NO_MODEL },
        { ALL, 422, MESSAGE("The requested model ^x^ does not exist"), ERR_UPSTREAM_NO_MODEL },
        { ALL, 400, MESSAGE("a/b is not a valid model ID"), ERR_UPSTREAM_NO_MODEL },
        { ALL, 400, MESSAGE("Unable to access non-serverless model a/b."), ERR_UPSTREAM_NO_MODEL },
        { ALL, 404, "{'error':'model ^x^ not found'}", ERR_UPSTREAM_NO_MODEL },
        { ALL, 200, "{'error':'model ^x^ not found, try pulling it first'}",
            ERR_UPSTREAM_NO_MODEL },
    };

    check(rows, ARRAY_LEN(rows));
}

TEST(what_is_wrong_with_the_request_is_the_caller_s)
{
    static const struct row rows[] = {
        { ALL, 400, MESSAGE("Unsupported parameter: ^max_tokens^"), ERR_UNSUPPORTED },
        { ALL, 400, MESSAGE("^top_k^ is not supported with this model"), ERR_UNSUPPORTED },
        { ALL, 400, MESSAGE("max_tokens: must be positive"), ERR_BAD_REQUEST },
        { ALL, 422, "{'detail':[{'loc':['body','n'],'msg':'too large'}]}", ERR_BAD_REQUEST },
        { ALL, 413, "", ERR_TOO_LARGE },
        { ALL, 400, MESSAGE("This model^s maximum context length is 8192 tokens."),
            ERR_CONTEXT_LENGTH },
        { ALL, 400, MESSAGE("prompt is too long: 200001 tokens > 200000 maximum"),
            ERR_CONTEXT_LENGTH },
        { ALL, 200, MESSAGE("prompt is too long: 200001 tokens > 200000 maximum"),
            ERR_CONTEXT_LENGTH },
        { O, 413, CODED("tokens_limit_reached", "Request body too large for gpt-4o model."),
            ERR_CONTEXT_LENGTH },
        { ALL, 400,
            MESSAGE("Input validation error: `inputs` tokens + `max_new_tokens` must be <= 9"),
            ERR_CONTEXT_LENGTH },
        { ALL, 400, MESSAGE("Your request exceeded model token limit: 8192"), ERR_CONTEXT_LENGTH },
        { ALL, 500, MESSAGE("the input length exceeds the context length"), ERR_CONTEXT_LENGTH },
        { O, 400, CODED("content_filter", "x"), ERR_CONTENT_FILTER },
        { ALL, 400,
            MESSAGE("The response was filtered due to the prompt triggering Azure OpenAI^s "
                    "content management policy."),
            ERR_CONTENT_FILTER },
        { ALL, 400, TYPED("invalid_request_error", "Output blocked by content filtering policy"),
            ERR_CONTENT_FILTER },
        { O, 400, CODED("invalid_prompt", "x"), ERR_CONTENT_FILTER },
        { ALL, 400, MESSAGE("Content Exists Risk"), ERR_CONTENT_FILTER },
        /* else what a caller writes would take the key away from the others */
        { ALL, 403, "{'code':'x','error':'Content violates usage guidelines. Team: t'}",
            ERR_CONTENT_FILTER },
        { ALL, 403, NUMBERED("403", "a/b requires moderation. Your input was flagged for x"),
            ERR_CONTENT_FILTER },
    };

    check(rows, ARRAY_LEN(rows));
}

TEST(what_may_quote_the_caller_takes_nothing_away_from_others)
{
    static const char *const quoted[] = { "Rate limit reached", "Overloaded",
        "Your credit balance is too low", "Invalid API key", "The model `m` does not exist",
        "User location is not supported" };
    char body[200];

    for (size_t i = 0; i < ARRAY_LEN(quoted); i++) {
        snprintf(body, sizeof(body), MESSAGE("Unknown parameter: %s"), quoted[i]);
        check(&(struct row){ ALL, 400, body, ERR_UNSUPPORTED }, 1);
        snprintf(body, sizeof(body), MESSAGE("^%s^ is not a role"), quoted[i]);
        check(&(struct row){ ALL, 400, body, ERR_BAD_REQUEST }, 1);
        check(&(struct row){ ALL, 200, body, ERR_UPSTREAM_ERROR }, 1);
    }
}

TEST(what_is_none_of_it_is_the_provider_s)
{
    static const struct row rows[] = {
        { ALL, 302, "", ERR_UPSTREAM_ERROR },
        { ALL, 500, "oops", ERR_UPSTREAM_ERROR },
        { ALL, 502, "<html>Bad gateway</html>", ERR_UPSTREAM_ERROR },
        { ALL, 520, "<html>cloudflare</html>", ERR_UPSTREAM_ERROR },
        { ALL, 521, "<html>cloudflare</html>", ERR_UPSTREAM_ERROR },
        { ALL, 522, "<html>cloudflare</html>", ERR_UPSTREAM_TIMEOUT },
        { ALL, 523, "<html>cloudflare</html>", ERR_UPSTREAM_ERROR },
        { ALL, 524, "<html>cloudflare</html>", ERR_UPSTREAM_TIMEOUT },
        { ALL, 525, "<html>cloudflare</html>", ERR_UPSTREAM_ERROR },
        { ALL, 527, "<html>cloudflare</html>", ERR_UPSTREAM_ERROR },
        { ALL, 408, "", ERR_UPSTREAM_TIMEOUT },
        { ALL, 499, "", ERR_UPSTREAM_ERROR },
        { ALL, 200, "<html>Welcome to nginx</html>", ERR_UPSTREAM_PROTOCOL },
        { ALL, 200, MESSAGE("boom"), ERR_UPSTREAM_ERROR },
        { ALL, 200, NUMBERED("500", "boom"), ERR_UPSTREAM_ERROR },
        { A, 200, TYPED("api_error", "Internal server error"), ERR_UPSTREAM_ERROR },
        { A, 200, TYPED("timeout_error", "x"), ERR_UPSTREAM_TIMEOUT },
    };

    check(rows, ARRAY_LEN(rows));
}

TEST(a_reason_that_is_a_failure_is_none_for_an_answer_without_content)
{
    static const struct {
        const char *reason;
        enum err kind;
    } rows[] = {
        { "error", ERR_UPSTREAM_ERROR },
        { "abort", ERR_UPSTREAM_ERROR },
        { "network_error", ERR_UPSTREAM_ERROR },
        { "malformed_function_call", ERR_UPSTREAM_ERROR },
        { "insufficient_system_resource", ERR_UPSTREAM_OVERLOADED },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena *a = arena_create(1 << 20);
        struct event_sink sink = { .emit = on_event };
        struct wire_reader r = {
            .wire = &wire_openai_chat, .keep = a, .scratch = a, .sink = &sink
        };
        struct str body = arena_printf(a,
            "{\"choices\":[{\"message\":{\"content\":\"\"},\"finish_reason\":\"%s\"}],\"usage\":"
            "{\"completion_tokens\":9}}",
            rows[i].reason);

        last.kind = OK;
        EXPECT_INT(wire_openai_chat.provider->read_answer(&r, body), OK);
        EXPECT_INT(last.kind, rows[i].kind);
        arena_destroy(a);
    }
}
