/* words.c - what this protocol calls the gateway's errors, how it lists models, and where a request
 * says what it needs. */
#include "base/url.h"
#include "wires/anthropic/anthropic.h"

const struct wire_error_name anthropic_error_names[ERR_COUNT] = {
    [ERR_BAD_REQUEST] = { "invalid_request_error", NULL },
    [ERR_BAD_JSON] = { "invalid_request_error", NULL },
    [ERR_UNSUPPORTED] = { "invalid_request_error", NULL },
    [ERR_CONTEXT_LENGTH] = { "invalid_request_error", NULL },
    [ERR_CONTENT_FILTER] = { "invalid_request_error", NULL },
    [ERR_AUTH] = { "authentication_error", NULL },
    [ERR_FORBIDDEN] = { "permission_error", NULL },
    [ERR_NO_ROUTE] = { "not_found_error", NULL },
    [ERR_NO_MODEL] = { "not_found_error", NULL },
    [ERR_METHOD] = { "invalid_request_error", NULL },
    [ERR_CLIENT_SLOW] = { "invalid_request_error", NULL },
    [ERR_TOO_LARGE] = { "request_too_large", NULL },
    [ERR_MEDIA_TYPE] = { "invalid_request_error", NULL },
    [ERR_HEADERS_TOO_LARGE] = { "invalid_request_error", NULL },
    [ERR_RATE_LIMIT] = { "rate_limit_error", NULL },
    [ERR_BUDGET] = { "rate_limit_error", NULL },
    [ERR_CLIENT_GONE] = { "invalid_request_error", NULL },
    [ERR_UPSTREAM_DNS] = { "api_error", NULL },
    [ERR_UPSTREAM_CONNECT] = { "api_error", NULL },
    [ERR_UPSTREAM_TLS] = { "api_error", NULL },
    [ERR_UPSTREAM_RESET] = { "api_error", NULL },
    [ERR_UPSTREAM_STALE] = { "api_error", NULL },
    [ERR_UPSTREAM_TRUNCATED] = { "api_error", NULL },
    [ERR_UPSTREAM_PROTOCOL] = { "api_error", NULL },
    [ERR_UPSTREAM_EMPTY] = { "api_error", NULL },
    [ERR_UPSTREAM_TOO_LARGE] = { "api_error", NULL },
    [ERR_UPSTREAM_AUTH] = { "api_error", NULL },
    [ERR_UPSTREAM_FORBIDDEN] = { "api_error", NULL },
    [ERR_UPSTREAM_RATE_LIMIT] = { "rate_limit_error", NULL },
    [ERR_UPSTREAM_QUOTA] = { "rate_limit_error", NULL },
    [ERR_UPSTREAM_NO_MODEL] = { "not_found_error", NULL },
    [ERR_UPSTREAM_OVERLOADED] = { "overloaded_error", NULL },
    [ERR_UPSTREAM_ERROR] = { "api_error", NULL },
    [ERR_UPSTREAM_CONNECT_TIMEOUT] = { "timeout_error", NULL },
    [ERR_UPSTREAM_TIMEOUT] = { "timeout_error", NULL },
    [ERR_UPSTREAM_STALLED] = { "timeout_error", NULL },
    [ERR_OVERLOADED] = { "overloaded_error", NULL },
    [ERR_DEADLINE] = { "timeout_error", NULL },
    [ERR_NO_MEMORY] = { "overloaded_error", NULL },
    [ERR_CONFIG] = { "api_error", NULL },
    [ERR_OUTRUN] = { "api_error", NULL },
    [ERR_ANSWER_REJECTED] = { "api_error", NULL },
    [ERR_NO_CREDENTIALS] = { "api_error", NULL },
    [ERR_SWITCHED_OFF] = { "api_error", NULL },
    [ERR_INTERNAL] = { "api_error", NULL },
};

void
anthropic_write_model(
    struct buf *out, struct str id, struct str owner UNUSED, struct str details UNUSED)
{
    buf_add(out, S("{\"type\":\"model\",\"id\":"));
    json_add_str(out, id);
    buf_add(out, S(",\"display_name\":"));
    json_add_str(out, id);
    buf_add(out, S(",\"created_at\":\"2026-01-01T00:00:00Z\"}"));
}

void
anthropic_read_page(struct arena *a, struct str query, struct wire_page *ret)
{
    *ret = (struct wire_page){ .before = url_query_get(a, query, S("before_id")),
        .after = url_query_get(a, query, S("after_id")) };
    if (!str_u64(url_query_get(a, query, S("limit")), &ret->limit))
        ret->limit = 20;
}

static void
add_id(struct buf *out, struct str id)
{
    if (id.n != 0)
        json_add_str(out, id);
    else
        buf_add(out, S("null"));
}

void
anthropic_write_models_end(struct buf *out, const struct wire_page *page)
{
    buf_add(out, page->more ? S("],\"has_more\":true,\"first_id\":")
                            : S("],\"has_more\":false,\"first_id\":"));
    add_id(out, page->first);
    buf_add(out, S(",\"last_id\":"));
    add_id(out, page->last);
    buf_add_c(out, '}');
}

/* --- where needs stand --- */

static const struct need_word members[] = {
    { S_INIT("messages"), NEED_IS_TURNS, 0 },
    { S_INIT("prompt"), NEED_IS_TURNS, 0 },
    { S_INIT("system"), NEED_IS_SYSTEM, 0 },
    { S_INIT("tools"), NEED_IS_TOOLS, NEED_BIT(TOOLS) },
    { S_INIT("mcp_servers"), NEED_IS_ASKED, NEED_BIT(TOOLS) },
    { S_INIT("thinking"), NEED_IS_ASKED, NEED_BIT(REASONING) },
    { S_INIT("output_config"), NEED_IS_OBJECT, 0 },
    { S_INIT("format"), NEED_IS_FORMAT, NEED_BIT(SCHEMA) },
    { S_INIT("output_format"), NEED_IS_FORMAT, NEED_BIT(SCHEMA) },
    { S_INIT("max_tokens"), NEED_IS_LIMIT, 0 },
    { S_INIT("max_tokens_to_sample"), NEED_IS_LIMIT, 0 },
    { S_INIT(""), NEED_IS_OTHER, 0 },
};

static const struct need_word message[] = {
    { S_INIT("role"), NEED_IS_ROLE, 0 },
    { S_INIT("content"), NEED_IS_CONTENT, 0 },
    { S_INIT(""), NEED_IS_OTHER, 0 },
};

static const struct need_word parts[] = {
    { S_INIT("text"), NEED_IS_TEXT, 0 },
    { S_INIT("image"), NEED_IS_MEDIUM, NEED_BIT(IMAGES) },
    { S_INIT("document"), NEED_IS_MEDIUM, NEED_BIT(FILES) },
    { S_INIT("container_upload"), NEED_IS_MEDIUM, NEED_BIT(FILES) },
    { S_INIT("tool_use"), NEED_IS_OTHER, NEED_BIT(TOOLS) },
    { S_INIT("tool_result"), NEED_IS_RESULT, NEED_BIT(TOOLS) },
    { S_INIT(""), NEED_IS_OTHER, 0 },
};

const struct needs_words anthropic_needs = {
    .members = members, .messages = message, .parts = parts
};
