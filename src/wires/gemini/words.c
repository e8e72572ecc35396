/* words.c - what this protocol calls the gateway's errors, how it lists models, and where a request
 * says what it needs. */
#include "wires/gemini/gemini.h"

const struct wire_error_name gemini_error_names[ERR_COUNT] = {
    [ERR_BAD_REQUEST] = { "INVALID_ARGUMENT", NULL },
    [ERR_BAD_JSON] = { "INVALID_ARGUMENT", NULL },
    [ERR_UNSUPPORTED] = { "INVALID_ARGUMENT", NULL },
    [ERR_CONTEXT_LENGTH] = { "INVALID_ARGUMENT", NULL },
    [ERR_CONTENT_FILTER] = { "INVALID_ARGUMENT", NULL },
    [ERR_AUTH] = { "UNAUTHENTICATED", NULL },
    [ERR_FORBIDDEN] = { "PERMISSION_DENIED", NULL },
    [ERR_NO_ROUTE] = { "NOT_FOUND", NULL },
    [ERR_NO_MODEL] = { "NOT_FOUND", NULL },
    [ERR_METHOD] = { "INVALID_ARGUMENT", NULL },
    [ERR_CLIENT_SLOW] = { "DEADLINE_EXCEEDED", NULL },
    [ERR_TOO_LARGE] = { "INVALID_ARGUMENT", NULL },
    [ERR_MEDIA_TYPE] = { "INVALID_ARGUMENT", NULL },
    [ERR_HEADERS_TOO_LARGE] = { "INVALID_ARGUMENT", NULL },
    [ERR_RATE_LIMIT] = { "RESOURCE_EXHAUSTED", NULL },
    [ERR_BUDGET] = { "RESOURCE_EXHAUSTED", NULL },
    [ERR_CLIENT_GONE] = { "CANCELLED", NULL },
    [ERR_UPSTREAM_DNS] = { "UNAVAILABLE", NULL },
    [ERR_UPSTREAM_CONNECT] = { "UNAVAILABLE", NULL },
    [ERR_UPSTREAM_TLS] = { "UNAVAILABLE", NULL },
    [ERR_UPSTREAM_RESET] = { "INTERNAL", NULL },
    [ERR_UPSTREAM_STALE] = { "INTERNAL", NULL },
    [ERR_UPSTREAM_TRUNCATED] = { "INTERNAL", NULL },
    [ERR_UPSTREAM_PROTOCOL] = { "INTERNAL", NULL },
    [ERR_UPSTREAM_EMPTY] = { "INTERNAL", NULL },
    [ERR_UPSTREAM_TOO_LARGE] = { "INTERNAL", NULL },
    [ERR_UPSTREAM_AUTH] = { "INTERNAL", NULL },
    [ERR_UPSTREAM_FORBIDDEN] = { "INTERNAL", NULL },
    [ERR_UPSTREAM_RATE_LIMIT] = { "RESOURCE_EXHAUSTED", NULL },
    [ERR_UPSTREAM_QUOTA] = { "RESOURCE_EXHAUSTED", NULL },
    [ERR_UPSTREAM_NO_MODEL] = { "NOT_FOUND", NULL },
    [ERR_UPSTREAM_OVERLOADED] = { "UNAVAILABLE", NULL },
    [ERR_UPSTREAM_ERROR] = { "INTERNAL", NULL },
    [ERR_UPSTREAM_CONNECT_TIMEOUT] = { "DEADLINE_EXCEEDED", NULL },
    [ERR_UPSTREAM_TIMEOUT] = { "DEADLINE_EXCEEDED", NULL },
    [ERR_UPSTREAM_STALLED] = { "DEADLINE_EXCEEDED", NULL },
    [ERR_OVERLOADED] = { "UNAVAILABLE", NULL },
    [ERR_DEADLINE] = { "DEADLINE_EXCEEDED", NULL },
    [ERR_NO_MEMORY] = { "UNAVAILABLE", NULL },
    [ERR_CONFIG] = { "INTERNAL", NULL },
    [ERR_OUTRUN] = { "INTERNAL", NULL },
    [ERR_ANSWER_REJECTED] = { "INTERNAL", NULL },
    [ERR_NO_CREDENTIALS] = { "UNAVAILABLE", NULL },
    [ERR_SWITCHED_OFF] = { "UNAVAILABLE", NULL },
    [ERR_INTERNAL] = { "INTERNAL", NULL },
};

void
gemini_write_model(
    struct buf *out, struct str id, struct str owner UNUSED, struct str details UNUSED)
{
    struct json_out o = json_out(out);

    out_object(&o);
    out_key(&o, "name");
    out_string(&o);
    buf_add(out, S("models/"));
    out_piece(&o, id);
    out_end_string(&o);
    out_const(&o, "\"version\":\"\"");
    out_text(&o, "displayName", id);
    out_const(&o, "\"supportedGenerationMethods\":[\"generateContent\",\"streamGenerateContent\","
                  "\"countTokens\",\"embedContent\"]");
    out_end(&o);
}

/* --- where needs stand --- */

static const struct need_word members[] = {
    { S_INIT("contents"), NEED_IS_TURNS, 0 },
    { S_INIT("systemInstruction"), NEED_IS_SYSTEM, 0 },
    { S_INIT("system_instruction"), NEED_IS_SYSTEM, 0 },
    { S_INIT("tools"), NEED_IS_TOOLS, NEED_BIT(TOOLS) },
    { S_INIT("generationConfig"), NEED_IS_OBJECT, 0 },
    { S_INIT("generation_config"), NEED_IS_OBJECT, 0 },
    { S_INIT("responseSchema"), NEED_IS_FORMAT, NEED_BIT(SCHEMA) },
    { S_INIT("response_schema"), NEED_IS_FORMAT, NEED_BIT(SCHEMA) },
    { S_INIT("responseJsonSchema"), NEED_IS_FORMAT, NEED_BIT(SCHEMA) },
    { S_INIT("response_json_schema"), NEED_IS_FORMAT, NEED_BIT(SCHEMA) },
    { S_INIT("thinkingConfig"), NEED_IS_ASKED, NEED_BIT(REASONING) },
    { S_INIT("thinking_config"), NEED_IS_ASKED, NEED_BIT(REASONING) },
    { S_INIT("responseLogprobs"), NEED_IS_ASKED, NEED_BIT(LOGPROBS) },
    { S_INIT("response_logprobs"), NEED_IS_ASKED, NEED_BIT(LOGPROBS) },
    { S_INIT("maxOutputTokens"), NEED_IS_LIMIT, 0 },
    { S_INIT("max_output_tokens"), NEED_IS_LIMIT, 0 },
    { S_INIT(""), NEED_IS_OTHER, 0 },
};

static const struct need_word content[] = {
    { S_INIT("role"), NEED_IS_ROLE, 0 },
    { S_INIT("parts"), NEED_IS_CONTENT, 0 },
    { S_INIT(""), NEED_IS_OTHER, 0 },
};

static const struct need_word parts[] = {
    { S_INIT("inlineData"), NEED_IS_TYPED, 0 },
    { S_INIT("inline_data"), NEED_IS_TYPED, 0 },
    { S_INIT("fileData"), NEED_IS_TYPED, 0 },
    { S_INIT("file_data"), NEED_IS_TYPED, 0 },
    { S_INIT("functionCall"), NEED_IS_OTHER, NEED_BIT(TOOLS) },
    { S_INIT("function_call"), NEED_IS_OTHER, NEED_BIT(TOOLS) },
    { S_INIT("functionResponse"), NEED_IS_OTHER, NEED_BIT(TOOLS) },
    { S_INIT("function_response"), NEED_IS_OTHER, NEED_BIT(TOOLS) },
    { S_INIT(""), NEED_IS_OTHER, 0 },
};

const struct needs_words gemini_needs = {
    .members = members, .messages = content, .parts = parts, .keyed = true
};
