/* fail.c - kinds of errors by status, word and message; scrubbing. */
#include "llm/fail.h"

#include "llm/retry_after.h"

/* --- what a status and a message say --- */

enum err
fail_kind(int status)
{
    switch (status) {
    case 401:    /* the caller's key was accepted, so the gateway's own credentials are at fault */
    case 407:
        return ERR_UPSTREAM_AUTH;
    case 403:    /* they are valid, but not for this model or from this region */
        return ERR_UPSTREAM_FORBIDDEN;
    case 402:
        return ERR_UPSTREAM_QUOTA;
    case 404:
    case 410:    /* a model that was retired */
        return ERR_UPSTREAM_NO_MODEL;
    case 413:
        return ERR_TOO_LARGE;
    case 408:
    case 504:
    case 522:    /* Cloudflare: could not connect to the origin, or the origin did not answer */
    case 524:
        return ERR_UPSTREAM_TIMEOUT;
    case 409:    /* about the provider's state, not about the request */
    case 421:
    case 424:
    case 425:
    case 499:
        return ERR_UPSTREAM_ERROR;
    case 429:
        return ERR_UPSTREAM_RATE_LIMIT;
    case 503:
    case 529:
        return ERR_UPSTREAM_OVERLOADED;
    default:
        return status >= 400 && status < 500 ? ERR_BAD_REQUEST : ERR_UPSTREAM_ERROR;
    }
}

/* Offset of `needle` (lower case) in `s`, ignoring ASCII case, or s.n. */
static size_t
find_folded(struct str s, struct str needle)
{
    for (size_t i = 0; needle.n <= s.n && i <= s.n - needle.n; i++)
        if (str_ieq(str_make(s.p + i, needle.n), needle))
            return i;
    return s.n;
}

static bool
holds(struct str s, struct str needle)
{
    return find_folded(s, needle) < s.n;
}

/* Words of which both halves must occur in a message; an empty second half always does. */
struct wording {
    struct str first;
    struct str second;
};

static bool
holds_one(struct str message, const struct wording *list, size_t count)
{
    if (message.n > 4096)
        message.n = 4096;
    for (size_t i = 0; i < count; i++)
        if (holds(message, list[i].first) &&
            (list[i].second.n == 0 || holds(message, list[i].second)))
            return true;
    return false;
}

/* Recognises a context overflow by its message, in the wording of all known providers. */
static bool
is_context_overflow(struct str message)
{
    static const struct wording wordings[] = {
        { S_INIT("maximum context length"), S_INIT("") },    /* OpenAI, DeepSeek, vLLM */
        { S_INIT("context_length_exceeded"), S_INIT("") },
        { S_INIT("context length exceeded"), S_INIT("") },
        { S_INIT("exceeds the context length"), S_INIT("") },    /* Ollama */
        { S_INIT("reduce the length of the"), S_INIT("") },
        { S_INIT("exceeds the context window"), S_INIT("") },
        { S_INIT("context window exceeds limit"), S_INIT("") },    /* MiniMax */
        { S_INIT("exceed context limit"), S_INIT("") },            /* Anthropic, with max_tokens */
        { S_INIT("prompt is too long"), S_INIT("") },              /* Anthropic */
        { S_INIT("prompt too long"), S_INIT("") },                 /* Ollama */
        { S_INIT("prompt exceeds max length"), S_INIT("") },       /* Z.ai */
        { S_INIT("input is too long"), S_INIT("") },               /* Bedrock */
        { S_INIT("too many input tokens"), S_INIT("") },
        { S_INIT("input tokens exceeded"), S_INIT("") },      /* Nova */
        { S_INIT("input token count"), S_INIT("exceed") },    /* Gemini, Together */
        { S_INIT("input token length too long"), S_INIT("") },
        { S_INIT("exceeded model token limit"), S_INIT("") },          /* Moonshot */
        { S_INIT("range of input length should be"), S_INIT("") },     /* Alibaba */
        { S_INIT("`max_new_tokens` must be <="), S_INIT("") },         /* TGI */
        { S_INIT("request body too large for"), S_INIT("tokens") },    /* GitHub */
        { S_INIT("too_many_tokens"), S_INIT("") },                     /* Cohere */
        { S_INIT("too many tokens"), S_INIT("size limit") },
        { S_INIT("too_many_prompt_tokens"), S_INIT("") },          /* Perplexity */
        { S_INIT("available context size"), S_INIT("exceed") },    /* llama.cpp */
        { S_INIT("max context length"), S_INIT("exceed") },
        { S_INIT("maximum prompt length"), S_INIT("") },    /* xAI */
    };

    return holds_one(message, wordings, ARRAY_LEN(wordings));
}

/* Does it say that this model or provider lacks what the request asks for? Another may have it. */
static bool
is_unsupported(const struct llm_error *e)
{
    static const struct str codes[] = { S_INIT("unsupported_parameter"),
        S_INIT("unsupported_value"), S_INIT("unknown_parameter"), S_INIT("extra_forbidden") };
    static const struct str beginnings[] = { S_INIT("unsupported parameter"),
        S_INIT("unsupported value"), S_INIT("unknown parameter"),
        S_INIT("unrecognized request argument") };
    static const struct wording wordings[] = {
        { S_INIT("extra inputs are not permitted"), S_INIT("") },    /* Anthropic, FastAPI */
        { S_INIT("unknown name"), S_INIT("cannot find field") },     /* Google */
        { S_INIT("extraneous key"), S_INIT("not permitted") },       /* Bedrock */
        { S_INIT("property"), S_INIT("is unsupported") },            /* Groq */
        { S_INIT("not supported with this model"), S_INIT("") },
        { S_INIT("not supported by this model"), S_INIT("") },
        { S_INIT("not supported for this model"), S_INIT("") },
        { S_INIT("does not support parameter"), S_INIT("") },
    };

    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        if (str_ieq(e->code, codes[i]) || str_ieq(e->type, codes[i]))
            return true;
    for (size_t i = 0; i < ARRAY_LEN(beginnings); i++)
        if (str_istarts(e->message, beginnings[i]))
            return true;
    return holds_one(e->message, wordings, ARRAY_LEN(wordings));
}

/* Does it say that the content was refused? */
static bool
is_refusal(struct str message)
{
    static const struct wording wordings[] = {
        { S_INIT("content management policy"), S_INIT("") },      /* Azure */
        { S_INIT("content filtering policy"), S_INIT("") },       /* Anthropic */
        { S_INIT("violates usage guidelines"), S_INIT("") },      /* xAI */
        { S_INIT("violating our usage policy"), S_INIT("") },     /* OpenAI */
        { S_INIT("input was flagged"), S_INIT("") },              /* OpenRouter */
        { S_INIT("content exists risk"), S_INIT("") },            /* DeepSeek */
        { S_INIT("inappropriate content"), S_INIT("") },          /* Alibaba */
        { S_INIT("unsafe or sensitive content"), S_INIT("") },    /* Z.ai */
    };

    return holds_one(message, wordings, ARRAY_LEN(wordings));
}

/* The kind that the beginning of a message stands for; OK: none is known. What is held against a
 * key, an account or a model is held against it for everybody, so it must not depend on words that
 * a caller can choose; and what follows the beginning may quote the caller. */
static enum err
kind_by_beginning(struct str message)
{
    /* One that begins with a blank follows a first word, which is the model's name. */
    static const struct {
        struct str begins;
        struct str holds;    /* among the next 100 characters */
        enum err kind;
    } rows[] = {
        { S_INIT("your credit balance is too low"), S_INIT(""), ERR_UPSTREAM_QUOTA },
        { S_INIT("you have reached your specified api usage limits"), S_INIT(""),
            ERR_UPSTREAM_QUOTA },
        { S_INIT("insufficient balance"), S_INIT(""), ERR_UPSTREAM_QUOTA },
        { S_INIT("insufficient credits"), S_INIT(""), ERR_UPSTREAM_QUOTA },
        { S_INIT("insufficient quota"), S_INIT(""), ERR_UPSTREAM_QUOTA },
        { S_INIT("your account is not active"), S_INIT(""), ERR_UPSTREAM_QUOTA },
        { S_INIT("access denied, please make sure your account is in good standing"), S_INIT(""),
            ERR_UPSTREAM_QUOTA },
        { S_INIT("your newly created team"), S_INIT("credits"), ERR_UPSTREAM_QUOTA },
        { S_INIT("your team"), S_INIT("available credits"), ERR_UPSTREAM_QUOTA },
        { S_INIT("your prepayment credits are depleted"), S_INIT(""), ERR_UPSTREAM_QUOTA },
        { S_INIT("account "), S_INIT("suspended"), ERR_UPSTREAM_QUOTA },
        { S_INIT("payment required"), S_INIT(""), ERR_UPSTREAM_QUOTA },
        { S_INIT("incorrect api key"), S_INIT(""), ERR_UPSTREAM_AUTH },
        { S_INIT("invalid api key"), S_INIT(""), ERR_UPSTREAM_AUTH },
        { S_INIT("api key not valid"), S_INIT(""), ERR_UPSTREAM_AUTH },
        { S_INIT("api key expired"), S_INIT(""), ERR_UPSTREAM_AUTH },
        { S_INIT("this organization has been disabled"), S_INIT(""), ERR_UPSTREAM_AUTH },
        { S_INIT("the security token included in the request is"), S_INIT(""), ERR_UPSTREAM_AUTH },
        { S_INIT("you have insufficient permissions"), S_INIT(""), ERR_UPSTREAM_FORBIDDEN },
        { S_INIT("user location is not supported"), S_INIT(""), ERR_UPSTREAM_FORBIDDEN },
        { S_INIT("model not found"), S_INIT(""), ERR_UPSTREAM_NO_MODEL },
        { S_INIT("model not exist"), S_INIT(""), ERR_UPSTREAM_NO_MODEL },
        { S_INIT("model '"), S_INIT("not found"), ERR_UPSTREAM_NO_MODEL },
        { S_INIT("unknown model"), S_INIT(""), ERR_UPSTREAM_NO_MODEL },
        { S_INIT("invalid model:"), S_INIT(""), ERR_UPSTREAM_NO_MODEL },
        { S_INIT("invalid model '"), S_INIT(""), ERR_UPSTREAM_NO_MODEL },
        { S_INIT("unable to access non-serverless model"), S_INIT(""), ERR_UPSTREAM_NO_MODEL },
        { S_INIT("unable to access model"), S_INIT(""), ERR_UPSTREAM_NO_MODEL },
        { S_INIT("the model "), S_INIT("does not exist"), ERR_UPSTREAM_NO_MODEL },
        { S_INIT("the model "), S_INIT("not found"), ERR_UPSTREAM_NO_MODEL },
        { S_INIT("the model "), S_INIT("deprecated"), ERR_UPSTREAM_NO_MODEL },
        { S_INIT("the model "), S_INIT("decommissioned"), ERR_UPSTREAM_NO_MODEL },
        { S_INIT("the requested model "), S_INIT("does not exist"), ERR_UPSTREAM_NO_MODEL },
        { S_INIT("the requested model "), S_INIT("is not supported"), ERR_UPSTREAM_NO_MODEL },
        { S_INIT("the provided model identifier is invalid"), S_INIT(""), ERR_UPSTREAM_NO_MODEL },
        { S_INIT("this model version has reached the end"), S_INIT(""), ERR_UPSTREAM_NO_MODEL },
        { S_INIT(" is not a valid model id"), S_INIT(""), ERR_UPSTREAM_NO_MODEL },
        { S_INIT("rate limit exceeded"), S_INIT(""), ERR_UPSTREAM_RATE_LIMIT },
        { S_INIT("rate limit reached"), S_INIT(""), ERR_UPSTREAM_RATE_LIMIT },
        { S_INIT("too many requests"), S_INIT(""), ERR_UPSTREAM_RATE_LIMIT },
        { S_INIT("request was throttled"), S_INIT(""), ERR_UPSTREAM_RATE_LIMIT },
        { S_INIT("overloaded"), S_INIT(""), ERR_UPSTREAM_OVERLOADED },
        { S_INIT("server overloaded"), S_INIT(""), ERR_UPSTREAM_OVERLOADED },
        { S_INIT("server busy"), S_INIT(""), ERR_UPSTREAM_OVERLOADED },
        { S_INIT("server is busy"), S_INIT(""), ERR_UPSTREAM_OVERLOADED },
        { S_INIT("the server is busy"), S_INIT(""), ERR_UPSTREAM_OVERLOADED },
        { S_INIT("the server is "), S_INIT("overloaded"), ERR_UPSTREAM_OVERLOADED },
        { S_INIT("the engine is "), S_INIT("overloaded"), ERR_UPSTREAM_OVERLOADED },
        { S_INIT("the model is "), S_INIT("overloaded"), ERR_UPSTREAM_OVERLOADED },
        { S_INIT("that model is "), S_INIT("overloaded"), ERR_UPSTREAM_OVERLOADED },
        { S_INIT("model busy"), S_INIT(""), ERR_UPSTREAM_OVERLOADED },
        { S_INIT("service is too busy"), S_INIT(""), ERR_UPSTREAM_OVERLOADED },
        { S_INIT("service temporarily unavailable"), S_INIT(""), ERR_UPSTREAM_OVERLOADED },
        { S_INIT("the service is temporarily unavailable"), S_INIT(""), ERR_UPSTREAM_OVERLOADED },
    };
    struct str after_word = str_skip(message, str_chr(message, ' '));

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str rest = rows[i].begins.p[0] == ' ' ? after_word : message;

        if (!str_istarts(rest, rows[i].begins))
            continue;
        rest = str_skip(rest, rows[i].begins.n);
        if (rows[i].holds.n == 0 || holds(str_make(rest.p, MIN(rest.n, 100)), rows[i].holds))
            return rows[i].kind;
    }
    return OK;
}

/* The same of an error in an answer that began as a success, where the request was accepted: the
 * words may stand anywhere before what could be a quotation. */
static enum err
kind_by_clause(struct str message)
{
    static const struct {
        struct str word;
        enum err kind;
    } rows[] = {
        { S_INIT("rate limit"), ERR_UPSTREAM_RATE_LIMIT },
        { S_INIT("too many requests"), ERR_UPSTREAM_RATE_LIMIT },
        { S_INIT("overloaded"), ERR_UPSTREAM_OVERLOADED },
        { S_INIT("server busy"), ERR_UPSTREAM_OVERLOADED },
        { S_INIT("server is busy"), ERR_UPSTREAM_OVERLOADED },
        { S_INIT("too busy"), ERR_UPSTREAM_OVERLOADED },
        { S_INIT("at capacity"), ERR_UPSTREAM_OVERLOADED },
        { S_INIT("temporarily unavailable"), ERR_UPSTREAM_OVERLOADED },
    };
    size_t n = 0;

    while (n < message.n && n < 120 && str_chr(S("'\"`([{"), message.p[n]) == 6)
        n++;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (holds(str_make(message.p, n), rows[i].word))
            return rows[i].kind;
    return OK;
}

/* --- scrubbing --- */

enum { SCRUB_MAX = 2048 };

static bool
is_word(char c)
{
    return str_is_alnum(c) || c == '_' || c == '-';
}

/* Characters that occur in credentials, and in masks that other gateways put over them. */
static bool
is_secret_char(char c)
{
    return is_word(c) || c == '.' || c == '*' || c == '+' || c == '/' || c == '=' || c == '~';
}

static size_t
secret_length(struct str s)
{
    size_t n = 0;

    while (n < s.n && is_secret_char(s.p[n]))
        n++;
    while (n > 0 && s.p[n - 1] == '.')    /* ends the sentence, not the key */
        n--;
    return n;
}

/* Whether it looks random rather than like a word: "Invalid key: temperature" is useful to the
 * caller. */
static bool
looks_secret(struct str s)
{
    bool digit = false;

    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '*')
            return true;
        digit = digit || str_is_digit(s.p[i]);
    }
    return s.n >= 24 || (digit && s.n >= 8);
}

/* Words that may be followed by a secret; *ret_skip is their length. */
static bool
names_secret(struct str s, size_t *ret_skip)
{
    static const struct str names[] = {
        S_INIT("bearer "),
        S_INIT("basic "),
        S_INIT("key provided: "),
        S_INIT("key="),
        S_INIT("key: "),
        S_INIT("token="),
        S_INIT("token: "),
        S_INIT("secret="),
        S_INIT("secret: "),
        S_INIT("password="),
        S_INIT("authorization: "),
        S_INIT("signature="),
    };

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (!str_istarts(s, names[i]))
            continue;
        *ret_skip = names[i].n;
        return true;
    }
    return false;
}

/* Prefixes of keys of well-known services. */
static bool
begins_like_key(struct str s)
{
    static const struct str beginnings[] = {
        S_INIT("sk-"),
        S_INIT("sk_"),
        S_INIT("pk-"),
        S_INIT("rk-"),
        S_INIT("sess-"),
        S_INIT("xai-"),
        S_INIT("gsk_"),
        S_INIT("csk-"),
        S_INIT("hf_"),
        S_INIT("r8_"),
        S_INIT("nvapi-"),
        S_INIT("pplx-"),
        S_INIT("AIza"),
        S_INIT("ya29."),
        S_INIT("eyJ"),
        S_INIT("AKIA"),
        S_INIT("ASIA"),
        S_INIT("ghp_"),
        S_INIT("github_pat_"),
    };

    for (size_t i = 0; i < ARRAY_LEN(beginnings); i++)
        if (str_starts(s, beginnings[i]) && secret_length(s) >= beginnings[i].n + 5)
            return true;
    return false;
}

struct scrubbed {
    char *p;
    size_t n;
};

static void
put(struct scrubbed *out, struct str s)
{
    size_t n = MIN(s.n, SCRUB_MAX - out->n);

    if (n > 0)
        memcpy(out->p + out->n, s.p, n);
    out->n += n;
}

/* Copies one character of `s`, or replaces a secret by stars; returns the number of bytes consumed.
 */
static size_t
scrub_step(struct scrubbed *out, struct str s, bool at_word)
{
    size_t skip = 0;
    unsigned char c = (unsigned char)s.p[0];

    if (at_word && begins_like_key(s)) {
        put(out, S("***"));
        return secret_length(s);
    }
    if (names_secret(s, &skip)) {
        size_t secret = secret_length(str_skip(s, skip));

        if (looks_secret(str_make(s.p + skip, secret))) {
            put(out, str_make(s.p, skip));
            put(out, S("***"));
            return skip + secret;
        }
    }
    if (c < 0x20 || c == 0x7f)
        put(out, S(" "));
    else
        put(out, str_make(s.p, 1));
    return 1;
}

/* `n`, or less so that a UTF-8 character is not cut. */
static size_t
whole_characters(const char *p, size_t n)
{
    size_t at = n;

    while (at > 0 && n - at < 3 && ((unsigned char)p[at - 1] & 0xc0) == 0x80)
        at--;
    if (at == 0 || (unsigned char)p[at - 1] < 0xc0)
        return n;

    unsigned char lead = (unsigned char)p[at - 1];
    size_t needs = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;

    return n - at + 1 < needs ? at - 1 : n;
}

struct str
fail_scrub(struct arena *a, struct str message)
{
    struct scrubbed out = { .p = arena_array(a, char, SCRUB_MAX + 1) };

    while (message.n > 0 && out.n < SCRUB_MAX) {
        bool at_word = out.n == 0 || !is_word(out.p[out.n - 1]);
        size_t used = scrub_step(&out, message, at_word);

        message = str_skip(message, used);
    }
    return str_trim(str_make(out.p, whole_characters(out.p, out.n)));
}

/* --- words --- */

enum {
    WORD_MAX = 128,
    PROSE_MAX = 300,
};

/* A string, or anything else as JSON text; truncated and scrubbed. */
static struct str
words_of(struct arena *a, const struct json *j, size_t most)
{
    struct str s = json_is(j, JSON_STRING) ? json_str(a, j) : json_raw(j);

    if (!json_present(j))
        return S("");
    return fail_scrub(a, str_make(s.p, MIN(s.n, most)));
}

/* The first entry of FastAPI's {"detail":[{"loc":["body","model"],"msg":"..."}]}. */
static struct str
detail_words(struct arena *a, const struct json *detail)
{
    bool list = detail->type == JSON_ARRAY;

    if (list && json_is_empty(detail))
        return S("");

    const struct json *first = list ? json_iter(detail).next : NULL;
    const struct json *msg = json_get(first, S("msg"));
    const struct json *loc = json_get(first, S("loc"));

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
read_words(struct arena *a, const struct json *inner, struct llm_error *ret)
{
    const struct json *detail = json_get(inner, S("detail"));

    ret->message = words_of(a, json_get(inner, S("message")), 8192);
    if (ret->message.n == 0)    /* AWS */
        ret->message = words_of(a, json_get(inner, S("Message")), 8192);
    if (ret->message.n == 0 && json_present(detail))
        ret->message = detail_words(a, detail);
    if (ret->message.n == 0)    /* {"error":"text"} */
        ret->message = words_of(a, json_get(inner, S("error")), 8192);
    if (ret->message.n == 0 && json_is(inner, JSON_STRING))
        ret->message = words_of(a, inner, 8192);
    if (!json_str_is(json_get(inner, S("type")), S("error")))    /* which says nothing */
        ret->type = words_of(a, json_get(inner, S("type")), WORD_MAX);
    if (ret->type.n == 0)    /* Cohere */
        ret->type = words_of(a, json_get(inner, S("error_type")), WORD_MAX);
    ret->code = words_of(a, json_get(inner, S("code")), WORD_MAX);
    if (ret->code.n == 0)    /* Anthropic */
        ret->code = words_of(a, json_at(inner, "details.error_code"), WORD_MAX);
    ret->param = words_of(a, json_get(inner, S("param")), WORD_MAX);
    ret->retry_after_ms = retry_after_in_error_ms(a, inner);
}

/* The status inside the error document, for when the HTTP status is a success. */
static int
inner_status(const struct json *inner)
{
    static const char *const keys[] = { "status_code", "code", "raw_status_code", "status" };

    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        const struct json *j = json_get(inner, str_c(keys[i]));
        struct str raw = json_raw(j);
        uint64_t status;

        if (json_is(j, JSON_STRING))    /* Azure: "429" */
            raw = str_make(raw.p + 1, raw.n - 2);
        if (str_u64(raw, &status) && status >= 400 && status < 600)
            return (int)status;
    }
    return 0;
}

/* The kind that a code or type, or Google's name of a status, stands for; OK if it is unknown. */
static enum err
kind_by_word(const struct fail_words *words, const struct llm_error *e, struct str name)
{
    for (size_t i = 0; i < words->count; i++)
        if (str_ieq(e->code, words->rows[i].word) || str_ieq(e->type, words->rows[i].word) ||
            str_ieq(name, words->rows[i].word))
            return words->rows[i].kind;
    return OK;
}

static bool
is_daily_of_all_models(struct str quota)
{
    return holds(quota, S("perday")) && !holds(quota, S("permodel"));
}

/* Could this request never be served, whatever the time, though others can: it is larger than the
 * limit of a minute (OpenAI, Groq), or may cost more than is left (OpenRouter)? */
static bool
is_beyond_limits(int status, enum err by_word, struct str message)
{
    bool limit = status == 429 || by_word == ERR_UPSTREAM_RATE_LIMIT;

    return (limit && str_istarts(message, S("request too large for"))) ||
           (status == 402 && holds(message, S("can only afford")));
}

/* Is the limit that was reached one of a whole day? Google calls it a rate limit as well, and gives
 * its name in the details only. */
static bool
is_daily(struct str message, const struct json *inner)
{
    struct json_iter details = json_iter(json_get(inner, S("details")));

    if (holds(message, S("quota")) && holds(message, S("per day")))
        return true;
    while (json_next(&details)) {
        struct json_iter it = json_iter(json_get(details.value, S("violations")));

        while (json_next(&it))
            if (is_daily_of_all_models(json_raw(json_get(it.value, S("quotaId")))))
                return true;
    }
    return false;
}

/* Does what a message begins with say more than this status? */
static bool
is_refined(int status, enum err kind)
{
    switch (status) {
    case 401:    /* OpenAI has it for a key without the right to use a route */
        return kind == ERR_UPSTREAM_FORBIDDEN;
    case 403:    /* xAI has it for an empty account, AWS for a key that is not valid */
        return kind == ERR_UPSTREAM_QUOTA || kind == ERR_UPSTREAM_AUTH;
    case 429:
        return kind == ERR_UPSTREAM_QUOTA || kind == ERR_UPSTREAM_OVERLOADED;
    default:
        return false;
    }
}

/* `status` may be 0, unknown. A word that blames the caller counts only if the status does not
 * contradict it: intermediaries use such words for whatever they refuse. */
static enum err
kind_of(const struct fail_words *words, int status, const struct llm_error *e, struct str name,
    const struct json *inner)
{
    enum err by_status = status == 0 ? ERR_UPSTREAM_ERROR : fail_kind(status);
    enum err by_word = kind_by_word(words, e, name);
    enum err by_beginning = kind_by_beginning(e->message);
    bool vague = status == 0 || by_status == ERR_BAD_REQUEST;
    bool blames_caller = by_word == ERR_BAD_REQUEST || by_word == ERR_TOO_LARGE;

    if (is_beyond_limits(status, by_word, e->message))
        return ERR_UNSUPPORTED;
    if (by_word == ERR_UPSTREAM_QUOTA)
        return by_word;
    if ((vague || status == 413 || status >= 500) &&
        (by_word == ERR_CONTEXT_LENGTH || is_context_overflow(e->message)))
        return ERR_CONTEXT_LENGTH;
    if ((vague || status == 403) && (by_word == ERR_CONTENT_FILTER || is_refusal(e->message)))
        return ERR_CONTENT_FILTER;
    if (by_status == ERR_BAD_REQUEST && by_beginning == OK && is_unsupported(e))
        return ERR_UNSUPPORTED;
    if (by_beginning != OK && (vague || is_refined(status, by_beginning)))
        return by_beginning;
    if ((by_status == ERR_UPSTREAM_RATE_LIMIT || (vague && by_word == ERR_UPSTREAM_RATE_LIMIT)) &&
        is_daily(e->message, inner))
        return ERR_UPSTREAM_QUOTA;
    if (by_word == ERR_UPSTREAM_RATE_LIMIT &&
        status == 413)    /* Groq: exceeds the tokens per minute */
        return by_word;
    if (by_word == ERR_UPSTREAM_OVERLOADED && status == 429)    /* Moonshot, Mistral */
        return by_word;
    if (status == 0 && (by_word == OK || by_word == ERR_UPSTREAM_ERROR) &&
        kind_by_clause(e->message) != OK)
        return kind_by_clause(e->message);
    if (by_word == OK || (!vague && (blames_caller || !words->trusted)) ||
        (status != 0 && by_word == ERR_UPSTREAM_ERROR))
        return by_status;
    return by_word;
}

static bool
looks_like_markup(struct str body)
{
    return str_starts(str_trim(body), S("<"));
}

/* May it be over after a while? What the provider says of others may quote the caller. */
static bool
may_pass(enum err kind)
{
    return err_row(kind)->fault == FAULT_PROVIDER && err_row(kind)->retry;
}

/* Sets the kind, and a message if there is none. `inner`: the object of the words, or NULL. */
static void
finish(struct arena *a, const struct fail_words *words, int status, const struct json *inner,
    struct llm_error *ret)
{
    struct str name = words_of(a, json_get(inner, S("status")), WORD_MAX);

    ret->kind = kind_of(words, status, ret, name, inner);
    ret->worded = ret->kind == kind_by_word(words, ret, name) ||
                  ret->kind == kind_by_beginning(ret->message) ||
                  (ret->kind == ERR_UPSTREAM_NO_MODEL && str_istarts(ret->message, S("model")));
    ret->permanent = status == 501 || status == 505;
    if (ret->retry_after_ms == 0)
        ret->retry_after_ms = retry_after_in_words_ms(ret->message);
    if (!may_pass(ret->kind))
        ret->retry_after_ms = 0;
    const char *sentence = err_row(ret->kind)->sentence;

    if (ret->message.n == 0)
        ret->message = str_c(sentence);
    /* Otherwise the provider's message would read as if the caller's own key were wrong. */
    else if (fail_is_about_key(ret->kind))
        ret->message = arena_printf(a, "%s: " STR_FMT, sentence, STR_ARG(ret->message));
}

void
fail_read_document(struct arena *a, const struct fail_words *words, int status,
    const struct json *doc, struct llm_error *ret)
{
    const struct json *inner = unwrap(doc);

    *ret = (struct llm_error){ .status = status };
    read_words(a, inner, ret);
    finish(a, words, status < 400 ? inner_status(inner) : status, inner, ret);
}

void
fail_read(struct arena *a, const struct fail_words *words, int status, struct str body,
    struct llm_error *ret)
{
    static const struct json_limits limits = { .depth = 32, .values = 10000 };
    const struct json *doc = json_parse(a, body, &limits, NULL);

    if (doc != NULL) {
        fail_read_document(a, words, status, doc, ret);
        return;
    }
    *ret = (struct llm_error){ .status = status };
    if (!looks_like_markup(body))
        ret->message = fail_scrub(a, str_make(body.p, MIN(body.n, PROSE_MAX)));
    finish(a, words, status < 400 ? 0 : status, NULL, ret);
}

/* --- streams that nobody decodes --- */

/* Without the blanks and line ends at its beginning alone. */
static struct str
skip_blanks(struct str s)
{
    size_t n = 0;

    while (n < s.n && (s.p[n] == ' ' || s.p[n] == '\t' || s.p[n] == '\r' || s.p[n] == '\n'))
        n++;
    return str_skip(s, n);
}

bool
fail_is_told(struct str text)
{
    const struct str member = S("\"error\"");

    if (str_find(text, S("event: error")) != text.n || str_find(text, S("event:error")) != text.n ||
        str_find(text, S(".failed")) != text.n)
        return true;
    for (size_t at = str_find(text, member); at != text.n; at = str_find(text, member)) {
        text = str_skip(text, at + member.n);
        struct str value = skip_blanks(text);

        if (!str_starts(value, S(":")) || !str_starts(skip_blanks(str_skip(value, 1)), S("null")))
            return true;
    }
    return false;
}
