/* words.c - what this protocol calls the gateway's errors, how it lists models, and where a request
 * says what it needs. */
#include "wires/openai_chat/openai_chat.h"

const struct wire_error_name openai_error_names[ERR_COUNT] = {
    [ERR_BAD_REQUEST] = { "invalid_request_error", NULL },
    [ERR_BAD_JSON] = { "invalid_request_error", "invalid_json" },
    [ERR_UNSUPPORTED] = { "invalid_request_error", "unsupported_parameter" },
    [ERR_CONTEXT_LENGTH] = { "invalid_request_error", "context_length_exceeded" },
    [ERR_CONTENT_FILTER] = { "invalid_request_error", "content_filter" },
    [ERR_AUTH] = { "invalid_request_error", "invalid_api_key" },
    [ERR_FORBIDDEN] = { "invalid_request_error", "permission_denied" },
    [ERR_NO_ROUTE] = { "invalid_request_error", "unknown_url" },
    [ERR_NO_MODEL] = { "invalid_request_error", "model_not_found" },
    [ERR_METHOD] = { "invalid_request_error", "method_not_allowed" },
    [ERR_CLIENT_SLOW] = { "invalid_request_error", "request_timeout" },
    [ERR_TOO_LARGE] = { "invalid_request_error", "request_too_large" },
    [ERR_MEDIA_TYPE] = { "invalid_request_error", "unsupported_media_type" },
    [ERR_HEADERS_TOO_LARGE] = { "invalid_request_error", "headers_too_large" },
    [ERR_RATE_LIMIT] = { "rate_limit_exceeded", "rate_limit_exceeded" },
    [ERR_BUDGET] = { "insufficient_quota", "insufficient_quota" },
    [ERR_CLIENT_GONE] = { "invalid_request_error", "client_gone" },
    [ERR_UPSTREAM_DNS] = { "server_error", "upstream_dns" },
    [ERR_UPSTREAM_CONNECT] = { "server_error", "upstream_connect" },
    [ERR_UPSTREAM_TLS] = { "server_error", "upstream_tls" },
    [ERR_UPSTREAM_RESET] = { "server_error", "upstream_reset" },
    [ERR_UPSTREAM_STALE] = { "server_error", "upstream_stale" },
    [ERR_UPSTREAM_TRUNCATED] = { "server_error", "upstream_truncated" },
    [ERR_UPSTREAM_PROTOCOL] = { "server_error", "upstream_protocol" },
    [ERR_UPSTREAM_EMPTY] = { "server_error", "upstream_empty" },
    [ERR_UPSTREAM_TOO_LARGE] = { "server_error", "upstream_too_large" },
    [ERR_UPSTREAM_AUTH] = { "server_error", "upstream_auth" },
    [ERR_UPSTREAM_FORBIDDEN] = { "server_error", "upstream_forbidden" },
    [ERR_UPSTREAM_RATE_LIMIT] = { "rate_limit_exceeded", "rate_limit_exceeded" },
    [ERR_UPSTREAM_QUOTA] = { "insufficient_quota", "insufficient_quota" },
    [ERR_UPSTREAM_NO_MODEL] = { "invalid_request_error", "model_not_found" },
    [ERR_UPSTREAM_OVERLOADED] = { "server_error", "overloaded" },
    [ERR_UPSTREAM_ERROR] = { "server_error", "upstream_error" },
    [ERR_UPSTREAM_CONNECT_TIMEOUT] = { "server_error", "timeout" },
    [ERR_UPSTREAM_TIMEOUT] = { "server_error", "timeout" },
    [ERR_UPSTREAM_STALLED] = { "server_error", "timeout" },
    [ERR_OVERLOADED] = { "server_error", "overloaded" },
    [ERR_DEADLINE] = { "server_error", "timeout" },
    [ERR_NO_MEMORY] = { "server_error", "no_memory" },
    [ERR_CONFIG] = { "server_error", "configuration" },
    [ERR_OUTRUN] = { "server_error", "outrun" },
    [ERR_ANSWER_REJECTED] = { "server_error", "answer_rejected" },
    [ERR_NO_CREDENTIALS] = { "server_error", "no_credentials" },
    [ERR_SWITCHED_OFF] = { "server_error", "switched_off" },
    [ERR_INTERNAL] = { "server_error", "internal" },
};

void
openai_write_model(struct buf *out, struct str id, struct str owner, struct str details)
{
    buf_add(out, S("{\"id\":"));
    json_add_str(out, id);
    buf_add(out, S(",\"object\":\"model\",\"created\":1767225600,\"owned_by\":"));
    json_add_str(out, owner);
    buf_add(out, details);
    buf_add_c(out, '}');
}

void
openai_write_models_end(struct buf *out, const struct wire_page *page UNUSED)
{
    buf_add(out, S("]}"));
}

/* --- where needs stand: in chats, in text completions, in embeddings and in /responses --- */

static const struct need_word members[] = {
    { S_INIT("messages"), NEED_IS_TURNS, 0 },
    { S_INIT("prompt"), NEED_IS_TURNS, 0 },
    { S_INIT("input"), NEED_IS_TURNS, 0 },
    { S_INIT("instructions"), NEED_IS_SYSTEM, 0 },
    { S_INIT("tools"), NEED_IS_TOOLS, NEED_BIT(TOOLS) },
    { S_INIT("functions"), NEED_IS_TOOLS, NEED_BIT(TOOLS) },
    { S_INIT("response_format"), NEED_IS_FORMAT, NEED_BIT(SCHEMA) },
    { S_INIT("text"), NEED_IS_OBJECT, 0 },
    { S_INIT("format"), NEED_IS_FORMAT, NEED_BIT(SCHEMA) },
    { S_INIT("reasoning_effort"), NEED_IS_ASKED, NEED_BIT(REASONING) },
    { S_INIT("reasoning"), NEED_IS_ASKED, NEED_BIT(REASONING) },
    { S_INIT("include_reasoning"), NEED_IS_ASKED, NEED_BIT(REASONING) },
    { S_INIT("thinking"), NEED_IS_ASKED, NEED_BIT(REASONING) },
    { S_INIT("logprobs"), NEED_IS_ASKED, NEED_BIT(LOGPROBS) },
    { S_INIT("top_logprobs"), NEED_IS_ASKED, NEED_BIT(LOGPROBS) },
    { S_INIT("modalities"), NEED_IS_LISTED, NEED_BIT(AUDIO) },
    { S_INIT("max_tokens"), NEED_IS_LIMIT, 0 },
    { S_INIT("max_completion_tokens"), NEED_IS_LIMIT, 0 },
    { S_INIT("max_output_tokens"), NEED_IS_LIMIT, 0 },
    { S_INIT(""), NEED_IS_OTHER, 0 },
};

static const struct need_word message[] = {
    { S_INIT("role"), NEED_IS_ROLE, 0 },
    { S_INIT("content"), NEED_IS_CONTENT, 0 },
    { S_INIT("output"), NEED_IS_CONTENT, 0 },
    { S_INIT("tool_calls"), NEED_IS_OTHER, NEED_BIT(TOOLS) },
    { S_INIT("function_call"), NEED_IS_OTHER, NEED_BIT(TOOLS) },
    { S_INIT(""), NEED_IS_OTHER, 0 },
};

static const struct need_word parts[] = {
    { S_INIT("text"), NEED_IS_TEXT, 0 },
    { S_INIT("image_url"), NEED_IS_MEDIUM, NEED_BIT(IMAGES) },
    { S_INIT("input_image"), NEED_IS_MEDIUM, NEED_BIT(IMAGES) },
    { S_INIT("computer_screenshot"), NEED_IS_MEDIUM, NEED_BIT(IMAGES) },
    { S_INIT("input_audio"), NEED_IS_MEDIUM, NEED_BIT(AUDIO) },
    { S_INIT("file"), NEED_IS_MEDIUM, NEED_BIT(FILES) },
    { S_INIT("file_url"), NEED_IS_MEDIUM, NEED_BIT(FILES) },
    { S_INIT("input_file"), NEED_IS_MEDIUM, NEED_BIT(FILES) },
    { S_INIT("video_url"), NEED_IS_MEDIUM, NEED_BIT(VIDEO) },
    { S_INIT("input_video"), NEED_IS_MEDIUM, NEED_BIT(VIDEO) },
    { S_INIT("function_call"), NEED_IS_OTHER, NEED_BIT(TOOLS) },
    { S_INIT("custom_tool_call"), NEED_IS_OTHER, NEED_BIT(TOOLS) },
    { S_INIT(""), NEED_IS_OTHER, 0 },
};

const struct needs_words openai_needs = { .members = members, .messages = message, .parts = parts };
