/* exchange_golden.h - what callers ask and providers answer, before the fuzzer changes it. */
#pragma once

#include "base/digest.h"
#include "tests/fuzz/exchange_input.h"

/* --- secrets: no caller and no log may see one --- */

#define KEY_ALPHA "sk-fuzz-provider-alpha-Q7/x+Zr2vT9="
#define KEY_BETA "sk-fuzz-provider-beta-W5/n+Kd8cL3="
#define KEY_GAMMA "sk-fuzz-provider-gamma-E3/q+Tf5wY8="
#define KEY_CLAUDE "sk-fuzz-provider-claude-H1/p+Mb6sJ4="
#define KEY_ANN "fuzz-caller-ann-4f0c9d"
#define KEY_BOB "fuzz-caller-bob-8a2e7b"
#define KEY_LOOSE "loose-key"    /* for requests whose head is changed: it may end up anywhere */

static const struct str secrets[] = { S_INIT(KEY_ALPHA), S_INIT(KEY_BETA), S_INIT(KEY_CLAUDE),
    S_INIT(KEY_ANN), S_INIT(KEY_BOB), S_INIT(KEY_GAMMA) };

/* The ways in which a provider may write a key that it shows. */
enum spelling { SPELT_PLAINLY, SPELT_UPPER, SPELT_PERCENT, SPELT_ESCAPED, SPELT_BASE64, SPELLINGS };

static inline void
spell(struct buf *b, enum spelling how, struct str s)
{
    char base64[256];

    if (how == SPELT_BASE64) {
        CHECK(4 * ((s.n + 2) / 3) <= sizeof(base64));
        buf_add(b, str_make(base64, digest_base64(s, base64)));
        return;
    }
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];

        if (how == SPELT_UPPER && c >= 'a' && c <= 'z')
            buf_add_c(b, (char)(c - 0x20));
        else if (how == SPELT_PERCENT && (c == '/' || c == '+' || c == '='))
            buf_printf(b, "%%%02X", c);
        else if (how == SPELT_ESCAPED)
            buf_printf(b, "\\u%04x", c);
        else
            buf_add_c(b, c);
    }
}

/* The provider that speaks HTTP/2. */
#define H2_NAME "gamma"

/* Every request carries a mark of its own, which comes back in its answer and nowhere else. */
#define MARK "NONCE"
enum { MARK_DIGITS = 12, MARK_BYTES = sizeof(MARK) - 1 + MARK_DIGITS };

/* --- requests --- */

enum ask_body { ASK_NONE, ASK_CHAT, ASK_MESSAGES, ASK_PROMPT, ASK_INPUT, ASK_FORM, ASK_RAW };

struct golden_ask {
    const char *line;
    enum ask_body body;
};

static const struct golden_ask asks[] = {
    { "POST /v1/chat/completions", ASK_CHAT },
    { "POST /v1/messages", ASK_MESSAGES },
    { "POST /v1/chat/completions", ASK_CHAT },
    { "POST /v1/messages", ASK_MESSAGES },
    { "POST /v1/completions", ASK_PROMPT },
    { "POST /v1/embeddings", ASK_INPUT },
    { "POST /v1/messages/count_tokens", ASK_MESSAGES },
    { "POST /v1/responses", ASK_INPUT },
    { "POST /v1/files", ASK_FORM },
    { "POST /v1/messages/batches", ASK_RAW },
    { "GET /v1/files", ASK_NONE },
    { "GET /v1/models", ASK_NONE },
    { "GET /v1/models/fall", ASK_NONE },
    { "GET /metrics", ASK_NONE },
    { "DELETE /v1/files/1?a=b", ASK_NONE },
    { "GET /nowhere", ASK_NONE },
};

static const char *const ask_models[] = { "fall", "alpha/m", "fall", "claude/c", "fall", "beta/b",
    "m", "gamma/g", "claude/c", "fall", "gamma/g", "gamma/g", "dead/d", "m", "unknown/x", "" };

static const char *const ask_fields[] = {
    "",
    "Expect: 100-continue\r\n",
    "Connection: close\r\n",
    "x-openclaw-timeout: 2s\r\n",
    "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n",
    "Content-Encoding: identity\r\n",
    "anthropic-version: 2023-06-01\r\nanthropic-beta: x\r\n",
    "Origin: http://localhost\r\n",
};

/* Members of a chat request; the fuzzer takes any of them together. */
static const char *const ask_members[] = {
    ",\"temperature\":0.5,\"top_p\":1",
    ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{}}}]",
    ",\"tool_choice\":\"auto\"",
    ",\"stop\":[\"a\",\"b\"]",
    ",\"response_format\":{\"type\":\"json_object\"}",
    ",\"stream_options\":{\"include_usage\":true}",
    ",\"max_completion_tokens\":50",
    ",\"n\":1,\"seed\":3,\"user\":\"u\",\"unknown\":{\"a\":[1,2]}",
};

static const char *const ask_message_members[] = {
    ",\"temperature\":0.5,\"top_k\":1",
    ",\"tools\":[{\"name\":\"f\",\"input_schema\":{\"type\":\"object\"}}]",
    ",\"tool_choice\":{\"type\":\"any\"}",
    ",\"stop_sequences\":[\"a\",\"b\"]",
    ",\"system\":[{\"type\":\"text\",\"text\":\"s\",\"cache_control\":{\"type\":\"ephemeral\"}}]",
    ",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1024}",
    ",\"metadata\":{\"user_id\":\"u\"}",
    ",\"unknown\":{\"a\":[1,2]}",
};

static inline void
ask_add_members(struct buf *b, const char *const *members, unsigned bits)
{
    for (unsigned i = 0; i < 8; i++)
        if ((bits >> i & 1) != 0)
            buf_add(b, str_c(members[i]));
}

/* A body that carries `mark` and `padding` letters. */
static inline void
ask_add_body(struct buf *b, enum ask_body kind, const char *model, struct str mark, size_t padding,
    unsigned bits, bool stream)
{
    static char letters[512 * 1024];
    struct str pad = str_make(letters, MIN(padding, sizeof(letters)));
    const char *on = stream ? "true" : "false";

    if (letters[0] == '\0')
        memset(letters, 'a', sizeof(letters));
    switch (kind) {
    case ASK_NONE:
        break;
    case ASK_CHAT:
        buf_printf(b,
            "{\"model\":\"%s\",\"stream\":%s,\"messages\":[{\"role\":\"system\",\"content\":\"s\"}"
            ",{\"role\":\"user\",\"content\":\"" STR_FMT,
            model, on, STR_ARG(mark));
        buf_add(b, pad);
        buf_add(b, S("\"}]"));
        ask_add_members(b, ask_members, bits);
        buf_add_c(b, '}');
        break;
    case ASK_MESSAGES:
        buf_printf(b,
            "{\"model\":\"%s\",\"stream\":%s,\"max_tokens\":2000,\"messages\":[{\"role\":\"user\","
            "\"content\":[{\"type\":\"text\",\"text\":\"" STR_FMT,
            model, on, STR_ARG(mark));
        buf_add(b, pad);
        buf_add(b, S("\"}]}]"));
        ask_add_members(b, ask_message_members, bits);
        buf_add_c(b, '}');
        break;
    case ASK_PROMPT:
    case ASK_INPUT:
        buf_printf(b, "{\"model\":\"%s\",\"stream\":%s,\"%s\":\"" STR_FMT, model, on,
            kind == ASK_PROMPT ? "prompt" : "input", STR_ARG(mark));
        buf_add(b, pad);
        buf_add(b, S("\"}"));
        break;
    case ASK_FORM:
        buf_printf(b,
            "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n%s\r\n--b\r\n"
            "Content-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n" STR_FMT,
            model, STR_ARG(mark));
        buf_add(b, pad);
        buf_add(b, S("\r\n--b--\r\n"));
        break;
    case ASK_RAW:
        buf_add(b, mark);
        buf_add(b, pad);
        break;
    }
}

/* --- answers --- */

enum tell {
    TELL_PROPER,
    TELL_TOOLS,
    TELL_LONG,
    TELL_VAST,      /* a document too large for the loop, also where a stream was asked for */
    TELL_BUSY,      /* 429 */
    TELL_BROKEN,    /* 500 */
    TELL_DENIED,    /* 401, with the key */
    TELL_WRONG,     /* 400 */
    TELL_HTML,      /* 502 */
    TELL_EMPTY,
    TELL_MOVED,
    TELL_BREAKS,    /* an error event in the middle of a stream */
    TELL_OTHER,     /* the other protocol's answer */
    TELL_KINDS,
};

enum { VAST_BYTES = 300 * 1000 };

struct told {
    int status;
    const char *type;
    struct buf body;
};

static const char *const tell_texts[] = { "hello ", "\\n\\u00e9 ", "a\\\"b ", "" };

/* The text of an answer: the mark in pieces around others. */
static inline const char *
tell_text(unsigned i)
{
    return tell_texts[i % ARRAY_LEN(tell_texts)];
}

static inline unsigned
tell_pieces(enum tell kind)
{
    return kind == TELL_LONG ? 3000 : kind == TELL_VAST ? VAST_BYTES / 4 : 3;
}

static inline void
tell_openai(struct told *t, enum tell kind, struct str mark, bool stream, struct str path)
{
    unsigned pieces = tell_pieces(kind);
    struct buf *b = &t->body;

    if (str_ends(path, S("/embeddings"))) {
        buf_printf(b,
            "{\"object\":\"list\",\"model\":\"" STR_FMT "\",\"data\":[{\"object\":\"embedding\","
            "\"index\":0,\"embedding\":[0.5,-1]}],\"usage\":{\"prompt_tokens\":2,\"total_tokens\":"
            "2}}",
            STR_ARG(mark));
        return;
    }
    if (!stream && kind == TELL_TOOLS) {
        buf_printf(b,
            "{\"id\":\"c\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"m\",\"choices\""
            ":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":null,\"tool_calls\":["
            "{\"id\":\"t1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{"
            "\\\"a\\\":\\\"" STR_FMT "\\\"}\"}}]},\"finish_reason\":\"tool_calls\"}]}",
            STR_ARG(mark));
        return;
    }
    if (!stream) {
        buf_add(b, S("{\"id\":\"c\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"m\","
                     "\"choices\":[{\"index\":0,\"text\":\"t\",\"message\":{\"role\":\"assistant\","
                     "\"content\":\""));
        for (unsigned i = 0; i < pieces; i++)
            buf_add(b, i == 1 ? mark : str_c(tell_text(i)));
        buf_add(b, S("\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3,"
                     "\"completion_tokens\":2,\"total_tokens\":5}}"));
        return;
    }
    t->type = "text/event-stream";
#define CHUNK                                                                                      \
    "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\","      \
    "\"choices\":"
    buf_add(b, S(CHUNK "[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n"));
    for (unsigned i = 0; i < pieces; i++)
        buf_printf(b,
            CHUNK "[{\"index\":0,\"text\":\"x\",\"delta\":{\"content\":\"%s" STR_FMT "\"}}]}\n\n",
            tell_text(i), STR_ARG(i == 1 ? mark : S("")));
    if (kind == TELL_BREAKS) {
        buf_add(
            b, S("data: {\"error\":{\"message\":\"overloaded\",\"type\":\"server_error\"}}\n\n"));
        return;
    }
    if (kind == TELL_TOOLS)
        buf_add(b, S(CHUNK "[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"t1\","
                           "\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":"
                           "\"{\"}}]}}]}\n\n" CHUNK
                           "[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{"
                           "\"arguments\":\"}\"}}]}}]}\n\n"));
    buf_printf(b, CHUNK "[{\"index\":0,\"delta\":{},\"finish_reason\":\"%s\"}]}\n\n",
        kind == TELL_TOOLS ? "tool_calls" : "stop");
    buf_add(b, S(CHUNK "[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":"
                       "5}}\n\ndata: [DONE]\n\n"));
#undef CHUNK
}

static inline void
tell_anthropic(struct told *t, enum tell kind, struct str mark, bool stream, struct str path)
{
    unsigned pieces = tell_pieces(kind);
    struct buf *b = &t->body;

    if (str_ends(path, S("/count_tokens"))) {
        buf_add(b, S("{\"input_tokens\":7}"));
        return;
    }
    if (!stream) {
        buf_add(b, S("{\"id\":\"m\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"c\","
                     "\"content\":[{\"type\":\"text\",\"text\":\""));
        for (unsigned i = 0; i < pieces; i++)
            buf_add(b, i == 1 ? mark : str_c(tell_text(i)));
        buf_add(b, S("\"}"));
        if (kind == TELL_TOOLS)
            buf_add(b, S(",{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":\"f\",\"input\":{\"a\":"
                         "\"b\"}}"));
        buf_printf(b,
            "],\"stop_reason\":\"%s\",\"stop_sequence\":null,\"usage\":{\"input_tokens\":3,"
            "\"output_tokens\":2}}",
            kind == TELL_TOOLS ? "tool_use" : "end_turn");
        return;
    }
    t->type = "text/event-stream";
    buf_add(b, S("event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\""
                 ",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"c\",\"content\":[],"
                 "\"stop_reason\":null,\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\n"
                 "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,"
                 "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n"));
    for (unsigned i = 0; i < pieces; i++)
        buf_printf(b,
            "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,"
            "\"delta\":{\"type\":\"text_delta\",\"text\":\"%s" STR_FMT "\"}}\n\n",
            tell_text(i), STR_ARG(i == 1 ? mark : S("")));
    if (kind == TELL_BREAKS) {
        buf_add(b, S("event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":"
                     "\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n"));
        return;
    }
    buf_add(b, S("event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}"
                 "\n\n"));
    if (kind == TELL_TOOLS)
        buf_add(b, S("event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\""
                     ":1,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":\"f\","
                     "\"input\":{}}}\n\nevent: content_block_delta\ndata: {\"type\":"
                     "\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\","
                     "\"partial_json\":\"{}\"}}\n\nevent: content_block_stop\ndata: {\"type\":"
                     "\"content_block_stop\",\"index\":1}\n\n"));
    buf_printf(b,
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"%s\","
        "\"stop_sequence\":null},\"usage\":{\"output_tokens\":2}}\n\nevent: message_stop\ndata: "
        "{\"type\":\"message_stop\"}\n\n",
        kind == TELL_TOOLS ? "tool_use" : "end_turn");
}

/* The answer to a request for `path`. `key` is the provider's own, in any spelling: some show it. */
static inline void
tell(struct told *t, enum tell kind, bool anthropic, struct str mark, bool stream, struct str path,
    struct str key)
{
    static const struct {
        int status;
        const char *type;
        const char *body;
    } rows[TELL_KINDS] = {
        [TELL_BUSY] = { 429, "application/json",
            "{\"error\":{\"message\":\"slow down\",\"type\":\"rate_limit_error\"}}" },
        [TELL_BROKEN] = { 500, "application/json",
            "{\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"oops\"}}" },
        [TELL_WRONG] = { 400, "application/json",
            "{\"error\":{\"message\":\"bad value\",\"type\":\"invalid_request_error\"}}" },
        [TELL_HTML] = { 502, "text/html", "<html>bad gateway</html>" },
        [TELL_EMPTY] = { 200, "application/json", "" },
        [TELL_MOVED] = { 307, "text/plain", "moved" },
    };

    *t = (struct told){ .status = 200, .type = "application/json" };
    buf_init(&t->body, 8u * 1024 * 1024);
    stream = stream && kind != TELL_VAST;
    if (kind == TELL_DENIED) {
        t->status = 401;
        buf_printf(&t->body,
            "{\"error\":{\"message\":\"Incorrect API key provided: " STR_FMT
            "\",\"type\":\"authentication_error\",\"code\":\"invalid_api_key\"}}",
            STR_ARG(key));
    } else if (rows[kind].status != 0) {
        t->status = rows[kind].status;
        t->type = rows[kind].type;
        buf_add(&t->body, str_c(rows[kind].body));
    } else if (anthropic != (kind == TELL_OTHER)) {
        tell_anthropic(t, kind, mark, stream, path);
    } else {
        tell_openai(t, kind, mark, stream, path);
    }
}
