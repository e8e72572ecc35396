/* provider.c - the table of providers: what each adds to its protocol. */
#include "mock/provider.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "mock/strict.h"

static const struct mock_provider providers[] = {
    {
        .wire = &wire_openai_chat,
        .id = S_INIT("chatcmpl-"),
        .call_id = S_INIT("call_"),
        .request_id = S_INIT("x-request-id"),
        .fields =
            S_INIT("openai-processing-ms: 1\r\nopenai-version: 2020-10-01\r\n"
                   "x-ratelimit-limit-requests: 10000\r\nx-ratelimit-limit-tokens: 30000000\r\n"
                   "x-ratelimit-remaining-requests: 9999\r\n"
                   "x-ratelimit-remaining-tokens: 29999000\r\n"
                   "x-ratelimit-reset-requests: 6ms\r\nx-ratelimit-reset-tokens: 2ms\r\n"),
        .quota = { .kind = ERR_UPSTREAM_QUOTA,
            .status = 429,
            .message = S_INIT("You exceeded your current quota, please check your plan and billing"
                              " details.") },
        .context = { .kind = ERR_CONTEXT_LENGTH,
            .status = 400,
            .param = S_INIT("messages"),
            .message = S_INIT("This model's maximum context length is 128000 tokens. However, your"
                              " messages resulted in 200000 tokens. Please reduce the length of the"
                              " messages.") },
        .published = openai_published,
        .judge = judge_openai,
    },
    {
        .wire = &wire_anthropic,
        .id = S_INIT("msg_01"),
        .call_id = S_INIT("toolu_01"),
        .x_api_key = true,
        .request_id = S_INIT("request-id"),
        .fields = S_INIT("anthropic-ratelimit-requests-limit: 10000\r\n"
                         "anthropic-ratelimit-requests-remaining: 9999\r\n"
                         "anthropic-ratelimit-tokens-limit: 12000000\r\n"
                         "anthropic-ratelimit-tokens-remaining: 11999000\r\n"),
        .signs = true,
        .pings = true,
        .quota = { .kind = ERR_BAD_REQUEST,
            .status = 400,
            .message = S_INIT("Your credit balance is too low to access the Anthropic API. Please"
                              " go to Plans & Billing to upgrade or purchase credits.") },
        .context = { .kind = ERR_BAD_REQUEST,
            .status = 400,
            .message = S_INIT("prompt is too long: 250000 tokens > 200000 maximum") },
        .version = S_INIT("anthropic-version"),
        .published = anthropic_published,
        .judge = judge_anthropic,
    },
    {
        .wire = &wire_ollama,
        .call_id = S_INIT("call_"),
        .request_id = S_INIT("x-request-id"),
        .quota = { .kind = ERR_UPSTREAM_QUOTA,
            .status = 429,
            .message = S_INIT("you have reached your usage limit") },
        .context = { .kind = ERR_CONTEXT_LENGTH,
            .status = 400,
            .message = S_INIT("prompt too long; exceeded max context length by 72000 tokens") },
    },
    {
        .wire = &wire_bedrock,
        .call_id = S_INIT("tooluse_"),
        .request_id = S_INIT("x-amzn-requestid"),
        .signs = true,
        .quota = { .kind = ERR_UPSTREAM_QUOTA,
            .status = 429,
            .message = S_INIT("Too many tokens per day, please wait before trying again.") },
        .context = { .kind = ERR_CONTEXT_LENGTH,
            .status = 400,
            .message = S_INIT("Input is too long for requested model.") },
    },
    {
        .wire = &wire_cohere,
        .call_id = S_INIT("call_"),
        .request_id = S_INIT("x-debug-trace-id"),
        .quota = { .kind = ERR_UPSTREAM_QUOTA,
            .status = 402,
            .message = S_INIT("please add or update your payment method to continue") },
        .context = { .kind = ERR_CONTEXT_LENGTH,
            .status = 400,
            .message = S_INIT("too many tokens: size limit exceeded by 25836 tokens. Try using"
                              " shorter or fewer inputs. The limit for this model is 288000"
                              " tokens.") },
    },
    {
        .call_id = S_INIT("call_"),
        .request_id = S_INIT("x-request-id"),
        .quota = { .kind = ERR_UPSTREAM_QUOTA,
            .status = 429,
            .message = S_INIT("the account is out of credit") },
        .context = { .kind = ERR_CONTEXT_LENGTH,
            .status = 400,
            .message = S_INIT("the prompt is longer than the model's context") },
    },
};

const struct mock_provider *
mock_provider_of(const struct wire *wire)
{
    size_t i = 0;

    while (providers[i].wire != NULL && providers[i].wire != wire)
        i++;
    return &providers[i];
}

/* --- errors --- */

bool
mock_refuse(struct arena *a, struct llm_error *ret, struct str param, const char *format, ...)
{
    char message[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    *ret = (struct llm_error){
        .kind = ERR_BAD_REQUEST,
        .status = 400,
        .param = param,
        .message = arena_str(a, str_c(message)),
    };
    return false;
}

struct llm_error
mock_error_of(const struct wire *wire, enum err e, const struct wire_fault *fault)
{
    struct llm_error error = { .kind = e, .message = fault->message, .param = fault->param };

    error.status = wire->caller->status(&error);
    return error;
}

/* The kind of an error that the provider answers with this status: to its own callers, unlike
 * wire_error_kind(). */
static enum err
kind_of(int status)
{
    switch (status) {
    case 401:
        return ERR_AUTH;
    case 402:
        return ERR_UPSTREAM_QUOTA;
    case 403:
        return ERR_FORBIDDEN;
    case 404:
        return ERR_NO_MODEL;
    case 413:
        return ERR_TOO_LARGE;
    case 429:
        return ERR_RATE_LIMIT;
    case 503:
    case 529:
        return ERR_OVERLOADED;
    case 504:
        return ERR_DEADLINE;
    default:
        return status >= 500 ? ERR_INTERNAL : ERR_BAD_REQUEST;
    }
}

struct llm_error
mock_error_by(const struct mock_provider *p, struct arena *a, enum mock_fault fault, int status)
{
    if (fault == MOCK_FAULT_QUOTA)
        return p->quota;
    if (fault == MOCK_FAULT_CONTEXT)
        return p->context;
    return (struct llm_error){
        .kind = kind_of(status),
        .status = status,
        .message = arena_printf(a, "Simulated error %d: %s.", status, http_reason(status)),
    };
}

/* --- fields --- */

bool
mock_check_key(const struct mock_provider *p, const struct http_head *head, struct str key,
    struct llm_error *ret)
{
    struct str given = p->x_api_key ? http_field_get(&head->fields, S("x-api-key")) : S("");
    struct str bearer = http_field_get(&head->fields, S("authorization"));

    if (given.n == 0 && str_istarts(bearer, S("bearer ")))
        given = str_trim(str_skip(bearer, strlen("bearer ")));
    if (key.n == 0 || (given.n != 0 && str_eq_secret(given, key)))
        return true;
    *ret = (struct llm_error){
        .kind = ERR_AUTH,
        .status = 401,
        .message = given.n == 0 ? S("You didn't provide an API key.") : S("Incorrect API key."),
    };
    return false;
}

void
mock_add_fields(const struct mock_provider *p, struct arena *a, struct buf *out, struct str *ret_id)
{
    *ret_id = mock_random_id(a, S("req_"));
    http_add_field(out, p->request_id, *ret_id);
    buf_add(out, p->fields);
}

struct str
mock_random_id(struct arena *a, struct str prefix)
{
    static const char letters[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    enum { LENGTH = 24 };
    char *id = arena_alloc(a, prefix.n + LENGTH, 1);
    uint64_t bits = 0;

    if (prefix.n > 0)
        memcpy(id, prefix.p, prefix.n);
    for (size_t i = 0; i < LENGTH; i++) {
        if (i % 10 == 0)
            bits = clock_random_u64();
        id[prefix.n + i] = letters[bits % (sizeof(letters) - 1)];
        bits /= sizeof(letters) - 1;
    }
    return str_make(id, prefix.n + LENGTH);
}
