/* values.c - answers of one document: embeddings, moderations. */
#include "mock/values.h"

#include <math.h>

#include "base/digest.h"

enum { DIMENSIONS = 256, DIMENSIONS_MAX = 4096, INPUTS_MAX = 2048 };

/* --- embeddings --- */

/* A unit vector that depends on the text alone: equal texts have equal vectors. */
static void
embed(struct str text, float *v, size_t n)
{
    uint64_t state = 0x9e3779b97f4a7c15u;
    double sum = 0;

    for (size_t i = 0; i < text.n; i++)
        state = (state ^ (unsigned char)text.p[i]) * 0x100000001b3u;
    for (size_t i = 0; i < n; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        v[i] = (float)((double)(state >> 40) / (1 << 23) - 1.0);
        sum += (double)v[i] * (double)v[i];
    }
    for (size_t i = 0; i < n && sum > 0; i++)
        v[i] = (float)((double)v[i] / sqrt(sum));
}

static void
add_vector(struct buf *out, const float *v, size_t n, bool base64)
{
    if (!base64) {
        buf_add_c(out, '[');
        for (size_t i = 0; i < n; i++)
            buf_printf(out, "%s%.8g", i > 0 ? "," : "", (double)v[i]);
        buf_add_c(out, ']');
        return;
    }

    size_t room = 4 * ((n * sizeof(*v) + 2) / 3);
    buf_add_c(out, '"');
    char *p = buf_reserve(out, room);
    if (p != NULL)    /* little-endian floats, like those of the hosts that we support */
        buf_commit(out, digest_base64(str_make((const char *)v, n * sizeof(*v)), p));
    buf_add_c(out, '"');
}

struct embedding_job {
    struct buf *out;
    size_t dimensions;
    bool base64;
    bool bare;    /* vectors alone, as Ollama has them */
    unsigned index;
};

static void
add_embedding(struct embedding_job *job, struct str text)
{
    float v[DIMENSIONS_MAX];

    embed(text, v, job->dimensions);
    if (job->index > 0)
        buf_add_c(job->out, ',');
    if (!job->bare)
        buf_printf(job->out, "{\"object\":\"embedding\",\"index\":%u,\"embedding\":", job->index);
    job->index++;
    add_vector(job->out, v, job->dimensions, job->base64);
    if (!job->bare)
        buf_add_c(job->out, '}');
}

bool
mock_embeddings(const struct llm_request *r, struct buf *out, struct llm_error *why)
{
    bool bare = mock_provider_of(r->wire)->bare_vectors;
    const struct json *prompt = json_get(r->doc, S("prompt"));
    bool old = bare && json_is(prompt, JSON_STRING);    /* one text, one vector */
    const struct json *input = old ? prompt : json_get(r->doc, S("input"));
    const struct json *wanted = json_get(r->doc, S("dimensions"));
    int64_t dimensions = json_present(wanted) ? json_i64(wanted, 0) : DIMENSIONS;
    struct json_iter it = json_iter(input);

    if (!json_is(input, JSON_STRING) && !(json_is(input, JSON_ARRAY) && !json_is_empty(input)))
        return mock_refuse(r->arena, why, S("input"), "'$.input' is invalid.");
    if (input->type == JSON_ARRAY && json_count(input) > INPUTS_MAX)
        return mock_refuse(
            r->arena, why, S("input"), "'input' must have %d items or fewer.", INPUTS_MAX);
    if (dimensions < 1 || dimensions > DIMENSIONS_MAX)
        return mock_refuse(
            r->arena, why, S("dimensions"), "'dimensions' must be from 1 to %d.", DIMENSIONS_MAX);

    struct embedding_job job = {
        .out = out,
        .dimensions = (size_t)dimensions,
        .base64 = json_str_is(json_get(r->doc, S("encoding_format")), S("base64")),
        .bare = bare,
    };
    long long tokens = (long long)mock_input_tokens(r);

    buf_add(out, old    ? S("{\"embedding\":")
                 : bare ? S("{\"embeddings\":[")
                        : S("{\"object\":\"list\",\"data\":["));
    bool one = input->type == JSON_STRING || json_is(input + 1, JSON_NUMBER);
    if (one)
        add_embedding(&job, json_raw(input));
    while (!one && json_next(&it))
        add_embedding(&job, json_raw(it.value));
    if (old) {
        buf_add_c(out, '}');
        return true;
    }
    buf_add(out, S("],\"model\":"));
    json_add_str(out, r->model);
    if (bare)
        buf_printf(out, ",\"prompt_eval_count\":%lld}", tokens);
    else
        buf_printf(
            out, ",\"usage\":{\"prompt_tokens\":%lld,\"total_tokens\":%lld}}", tokens, tokens);
    return true;
}

/* --- moderations --- */

static void
add_categories(struct buf *out, const char *value, const char *flagged_value, bool flagged)
{
    static const char *const names[] = { "harassment", "harassment/threatening", "sexual", "hate",
        "hate/threatening", "illicit", "illicit/violent", "self-harm/intent",
        "self-harm/instructions", "self-harm", "sexual/minors", "violence", "violence/graphic" };

    buf_add_c(out, '{');
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        buf_printf(out, "%s\"%s\":%s", i > 0 ? "," : "", names[i],
            flagged && strcmp(names[i], "violence") == 0 ? flagged_value : value);
    buf_add_c(out, '}');
}

/* The simulated moderation flags a single word. */
bool
mock_moderations(const struct llm_request *r, struct buf *out, struct llm_error *why)
{
    const struct json *input = json_get(r->doc, S("input"));
    struct json_iter it = json_iter(input);
    uint32_t results = json_is(input, JSON_ARRAY) ? json_count(input) : 1;

    if (!json_present(input))
        return mock_refuse(r->arena, why, S("input"), "Missing required parameter: 'input'.");
    buf_add(out, S("{\"id\":\""));
    buf_add(out, mock_random_id(r->arena, S("modr-")));
    buf_add(out, S("\",\"model\":"));
    json_add_str(out, r->model.n != 0 ? r->model : S("omni-moderation-latest"));
    buf_add(out, S(",\"results\":["));
    for (uint32_t i = 0; i < results; i++) {
        struct str text = json_raw(json_is(input, JSON_ARRAY) && json_next(&it) ? it.value : input);
        bool flagged = str_find(text, S("kill")) < text.n;
        buf_printf(
            out, "%s{\"flagged\":%s,\"categories\":", i > 0 ? "," : "", flagged ? "true" : "false");
        add_categories(out, "false", "true", flagged);
        buf_add(out, S(",\"category_scores\":"));
        add_categories(out, "0.00001", "0.98", flagged);
        buf_add(out, S(",\"category_applied_input_types\":"));
        add_categories(out, "[\"text\"]", "[\"text\"]", flagged);
        buf_add_c(out, '}');
    }
    buf_add(out, S("]}"));
    return true;
}
