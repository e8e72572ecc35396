/* bedrock.c - the Converse API of AWS Bedrock: its table, and what both sides share. */
#include "wires/bedrock/bedrock.h"

/* --- stop reasons --- */

static const struct {
    struct str word;
    enum llm_finish finish;
} stop_reasons[] = {
    { S_INIT("end_turn"), FINISH_STOP },
    { S_INIT("stop_sequence"), FINISH_STOP },
    { S_INIT("tool_use"), FINISH_TOOLS },
    { S_INIT("max_tokens"), FINISH_LENGTH },
    { S_INIT("model_context_window_exceeded"), FINISH_LENGTH },
    { S_INIT("guardrail_intervened"), FINISH_FILTER },
    { S_INIT("content_filtered"), FINISH_FILTER },
};

enum llm_finish
bedrock_finish(struct str stop_reason)
{
    for (size_t i = 0; i < ARRAY_LEN(stop_reasons); i++)
        if (str_eq(stop_reason, stop_reasons[i].word))
            return stop_reasons[i].finish;
    return FINISH_UNKNOWN;
}

struct str
bedrock_stop_reason(
    enum llm_finish finish, struct str native, struct str stop_sequence, bool called)
{
    if (finish != FINISH_UNKNOWN && bedrock_finish(native) == finish)
        return native;
    switch (finish) {
    case FINISH_LENGTH:
        return S("max_tokens");
    case FINISH_FILTER:
        return S("content_filtered");
    case FINISH_TOOLS:
        return S("tool_use");
    case FINISH_STOP:
    case FINISH_UNKNOWN:
        break;
    }
    if (called)
        return S("tool_use");
    return stop_sequence.n > 0 ? S("stop_sequence") : S("end_turn");
}

/* --- usage --- */

struct llm_usage
bedrock_read_usage(const struct json *usage)
{
    static const struct {
        enum llm_count count;
        struct str name;
    } rows[] = {
        { COUNT_INPUT, S_INIT("inputTokens") },
        { COUNT_OUTPUT, S_INIT("outputTokens") },
        { COUNT_CACHED, S_INIT("cacheReadInputTokens") },
        { COUNT_CACHE_WRITE, S_INIT("cacheWriteInputTokens") },
    };
    struct json_iter it = json_iter(json_get(usage, S("cacheDetails")));
    struct llm_usage u = { .known = 0 };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct json *count = json_get(usage, rows[i].name);

        if (json_is(count, JSON_NUMBER))
            usage_set(&u, rows[i].count, json_i64(count, 0));
    }
    while (json_next(&it))
        if (json_str_is(json_get(it.value, S("ttl")), S("1h")))
            usage_set(&u, COUNT_CACHE_WRITE_1H, json_i64(json_get(it.value, S("inputTokens")), 0));
    if (usage_has(&u, COUNT_INPUT))
        usage_set(&u, COUNT_INPUT, u.input + u.cached + u.cache_write);
    return u;
}

void
bedrock_add_usage(struct json_out *o, const struct llm_usage *u)
{
    /* Some providers report more cached tokens than input tokens. */
    out_key_object(o, "usage");
    out_i64(o, "inputTokens", MAX(u->input - u->cached - u->cache_write, 0));
    out_i64(o, "outputTokens", u->output);
    out_i64(o, "totalTokens", MAX(u->input, u->cached + u->cache_write) + u->output);
    out_i64(o, "cacheReadInputTokens", u->cached);
    out_i64(o, "cacheWriteInputTokens", u->cache_write);
    if (usage_has(u, COUNT_CACHE_WRITE_1H) && u->cache_write_1h > 0) {
        out_key_array(o, "cacheDetails");
        out_object(o);
        out_const(o, "\"ttl\":\"1h\"");
        out_i64(o, "inputTokens", u->cache_write_1h);
        out_end(o);
        out_end_array(o);
    }
    out_end(o);
}

/* --- media --- */

/* The first row with a type or a format counts. */
static const struct {
    enum llm_part_kind kind;
    struct str format;
    struct str mime;
} formats[] = {
    { PART_IMAGE, S_INIT("png"), S_INIT("image/png") },
    { PART_IMAGE, S_INIT("jpeg"), S_INIT("image/jpeg") },
    { PART_IMAGE, S_INIT("gif"), S_INIT("image/gif") },
    { PART_IMAGE, S_INIT("webp"), S_INIT("image/webp") },
    { PART_FILE, S_INIT("pdf"), S_INIT("application/pdf") },
    { PART_FILE, S_INIT("csv"), S_INIT("text/csv") },
    { PART_FILE, S_INIT("csv"), S_INIT("application/csv") },
    { PART_FILE, S_INIT("html"), S_INIT("text/html") },
    { PART_FILE, S_INIT("txt"), S_INIT("text/plain") },
    { PART_FILE, S_INIT("md"), S_INIT("text/markdown") },
    { PART_FILE, S_INIT("doc"), S_INIT("application/msword") },
    { PART_FILE, S_INIT("docx"),
        S_INIT("application/vnd.openxmlformats-officedocument.wordprocessingml.document") },
    { PART_FILE, S_INIT("xls"), S_INIT("application/vnd.ms-excel") },
    { PART_FILE, S_INIT("xlsx"),
        S_INIT("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet") },
    { PART_AUDIO, S_INIT("mp3"), S_INIT("audio/mpeg") },
    { PART_AUDIO, S_INIT("mp3"), S_INIT("audio/mp3") },
    { PART_AUDIO, S_INIT("wav"), S_INIT("audio/wav") },
    { PART_AUDIO, S_INIT("wav"), S_INIT("audio/x-wav") },
    { PART_AUDIO, S_INIT("opus"), S_INIT("audio/opus") },
    { PART_AUDIO, S_INIT("aac"), S_INIT("audio/aac") },
    { PART_AUDIO, S_INIT("flac"), S_INIT("audio/flac") },
    { PART_AUDIO, S_INIT("ogg"), S_INIT("audio/ogg") },
    { PART_AUDIO, S_INIT("m4a"), S_INIT("audio/m4a") },
    { PART_AUDIO, S_INIT("mp4"), S_INIT("audio/mp4") },
    { PART_AUDIO, S_INIT("webm"), S_INIT("audio/webm") },
    { PART_VIDEO, S_INIT("mp4"), S_INIT("video/mp4") },
    { PART_VIDEO, S_INIT("mov"), S_INIT("video/quicktime") },
    { PART_VIDEO, S_INIT("mkv"), S_INIT("video/x-matroska") },
    { PART_VIDEO, S_INIT("webm"), S_INIT("video/webm") },
    { PART_VIDEO, S_INIT("flv"), S_INIT("video/x-flv") },
    { PART_VIDEO, S_INIT("mpeg"), S_INIT("video/mpeg") },
    { PART_VIDEO, S_INIT("wmv"), S_INIT("video/x-ms-wmv") },
    { PART_VIDEO, S_INIT("three_gp"), S_INIT("video/3gpp") },
};

struct str
bedrock_format(enum llm_part_kind kind, struct str mime)
{
    for (size_t i = 0; i < ARRAY_LEN(formats); i++)
        if (formats[i].kind == kind && str_ieq(formats[i].mime, mime))
            return formats[i].format;
    return S("");
}

struct str
bedrock_mime(struct arena *a, enum llm_part_kind kind, struct str format)
{
    static const char *const classes[] = { [PART_IMAGE] = "image",
        [PART_AUDIO] = "audio",
        [PART_VIDEO] = "video",
        [PART_FILE] = "application" };

    for (size_t i = 0; i < ARRAY_LEN(formats); i++)
        if (formats[i].kind == kind && str_eq(formats[i].format, format))
            return formats[i].mime;
    return arena_printf(a, "%s/%.*s", classes[kind], (int)MIN(format.n, 32), format.p);
}

bool
bedrock_is_base64(struct str text)
{
    size_t n = text.n;

    while (n > 0 && text.n - n < 2 && text.p[n - 1] == '=')
        n--;
    for (size_t i = 0; i < n; i++)
        if (!str_is_alnum(text.p[i]) && text.p[i] != '+' && text.p[i] != '/')
            return false;
    return text.n > 0 && text.n % 4 == 0;
}

/* --- failures --- */

static const struct fail_word fail_rows[] = {
    { S_INIT("ValidationException"), ERR_BAD_REQUEST },
    { S_INIT("AccessDeniedException"), ERR_UPSTREAM_FORBIDDEN },
    { S_INIT("UnrecognizedClientException"), ERR_UPSTREAM_AUTH },
    { S_INIT("ExpiredTokenException"), ERR_UPSTREAM_AUTH },
    { S_INIT("ResourceNotFoundException"), ERR_UPSTREAM_NO_MODEL },
    { S_INIT("UnknownOperationException"), ERR_UPSTREAM_NO_MODEL },
    { S_INIT("ModelTimeoutException"), ERR_UPSTREAM_TIMEOUT },
    { S_INIT("ModelErrorException"), ERR_UPSTREAM_ERROR },
    { S_INIT("ModelStreamErrorException"), ERR_UPSTREAM_ERROR },
    { S_INIT("ThrottlingException"), ERR_UPSTREAM_RATE_LIMIT },
    { S_INIT("ServiceQuotaExceededException"), ERR_UPSTREAM_RATE_LIMIT },
    { S_INIT("ModelNotReadyException"), ERR_UPSTREAM_OVERLOADED },
    { S_INIT("InternalServerException"), ERR_UPSTREAM_ERROR },
    { S_INIT("ServiceUnavailableException"), ERR_UPSTREAM_OVERLOADED },
};

const struct fail_words bedrock_fail_words = {
    .rows = fail_rows,
    .count = ARRAY_LEN(fail_rows),
    .trusted = true,
};

int
bedrock_exception_status(struct str name)
{
    static const struct {
        struct str name;
        int status;
    } rows[] = {
        { S_INIT("ValidationException"), 400 },
        { S_INIT("AccessDeniedException"), 403 },
        { S_INIT("ResourceNotFoundException"), 404 },
        { S_INIT("ModelTimeoutException"), 408 },
        { S_INIT("ModelStreamErrorException"), 424 },
        { S_INIT("ModelErrorException"), 424 },
        { S_INIT("ThrottlingException"), 429 },
        { S_INIT("InternalServerException"), 500 },
        { S_INIT("ServiceUnavailableException"), 503 },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (str_ieq(name, rows[i].name))
            return rows[i].status;
    return 0;
}

const struct wire wire_bedrock = {
    .name = S_INIT("bedrock-converse"),
    .framing = &framing_aws_events,
    .caller = &bedrock_caller,
    .provider = &bedrock_provider,
};
