/* words.c - what this protocol calls the gateway's errors, and how it lists models. */
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
    [ERR_SWITCHED_OFF] = { "server_error", "switched_off" },
    [ERR_INTERNAL] = { "server_error", "internal" },
};

void
openai_write_model(struct buf *out, struct str id, struct str owner)
{
    buf_add(out, S("{\"id\":"));
    json_add_str(out, id);
    buf_add(out, S(",\"object\":\"model\",\"created\":1767225600,\"owned_by\":"));
    json_add_str(out, owner);
    buf_add_c(out, '}');
}

void
openai_write_models_end(struct buf *out, const struct wire_page *page UNUSED)
{
    buf_add(out, S("]}"));
}
