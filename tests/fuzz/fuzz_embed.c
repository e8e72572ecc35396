/* Embeddings and rankings against anything: the first byte is the wire's number, the second says what
 * the rest is.
 *
 *     r   a caller's request for embeddings: read, and written for every provider that has them
 *     k   the same of a ranking
 *     a   a provider's embeddings, read, and written for callers of every wire in each of their forms
 *     s   the same of a ranking
 *     f   text that is to be a list of numbers, or base64 of them
 *
 * Whatever comes in: what is written is JSON, unless it is said to be broken, and memory stays in
 * proportion.
 */
#include "llm/answer.h"
#include "llm/embed.h"
#include "llm/floats.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARENA_LIMIT = 16 << 20, OUT_LIMIT = 16 << 20, INPUTS = 3, FORMS = 3 };

static const char *const routes[] = { "/v1/embed", "/v2/embed", "/v1/models/*:predict",
    "/v1beta/models/*:embedContent", "/api/embeddings" };

static void
check_document(struct str text)
{
    static const struct json_limits limits = { .depth = 256, .values = 10000000 };
    struct arena *a = arena_create(256 << 20);

    CHECK(json_is(json_parse(a, text, &limits, NULL), JSON_OBJECT));
    arena_destroy(a);
}

/* --- requests --- */

static void
write_for(const struct wire *to, const struct llm_request *r)
{
    const struct wire_target targets[] = {
        { .model = S("cohere.embed-v4:0") },
        { .model = S("amazon.titan-embed-text-v1"),
            .traits = TRAITS(.predicts = YES, .mistral = YES) },
    };

    for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
        struct wire_drops drops = { .arena = r->arena };
        struct wire_fault fault = { .message = S("") };
        struct buf out;

        buf_init(&out, OUT_LIMIT);
        to->provider->write_path(&out, r, &targets[i]);
        CHECK(str_starts(buf_str(&out), S("/")));
        buf_reset(&out, OUT_LIMIT);
        if (write_request(to, &out, r, &targets[i], &drops, &fault) == OK)
            check_document(buf_str(&out));
        else
            CHECK(fault.message.n > 0);
        buf_fini(&out);
    }
}

static void
request(const struct wire *from, enum llm_op op, struct str body, const char *route)
{
    struct arena *a = arena_create(ARENA_LIMIT);
    struct wire_fault fault = { .message = S("") };
    struct llm_request r = { .arena = a,
        .op = op,
        .wire = from,
        .body = body,
        .route = str_c(route),
        .model = from->caller->in_path ? S("m") : S("") };

    r.doc = json_parse(a, body, NULL, NULL);
    if (r.doc != NULL && llm_request_read(&r, &fault) == OK) {
        if (llm_request_expand(&r, &fault) == OK) {
            CHECK(llm_request_estimate_tokens(&r) >= 0);
            for (size_t i = 0; wire_at(i) != NULL; i++)
                if (wire_at(i)->provider->writes[op] != NULL)
                    write_for(wire_at(i), &r);
        } else {
            CHECK(fault.message.n > 0);
        }
    }
    arena_destroy(a);
}

/* --- answers --- */

static void
write_answer(const struct wire *to, enum llm_op op, const struct llm_answer *ans, struct arena *a)
{
    static const uint32_t types[] = { 0, VECTOR_BIT(BASE64), VECTOR_BIT(FLOAT) | VECTOR_BIT(INT8) };

    for (unsigned form = 0; form < FORMS; form++)
        for (size_t i = 0; i < ARRAY_LEN(types); i++) {
            struct buf out;
            struct wire_writer w = { .wire = to,
                .op = op,
                .keep = a,
                .out = &out,
                .id = S("id"),
                .model = S("m"),
                .vector_types = types[i],
                .inputs = 1 + form % INPUTS,
                .form = (uint8_t)form };

            buf_init(&out, OUT_LIMIT);
            to->caller->asks[op]->write_answer(&w, ans);
            if (!w.broken && !out.overflow)
                check_document(buf_str(&out));
            buf_fini(&out);
        }
}

static void
answer(const struct wire *from, enum llm_op op, struct str text)
{
    struct arena *a = arena_create(ARENA_LIMIT);
    struct llm_answer ans;
    struct wire_reader r = { .wire = from, .op = op, .keep = a, .scratch = a, .sink = &ans.sink };

    answer_init(&ans, a);
    if (wire_read_answer(&r, text) == OK && r.complete)
        for (size_t i = 0; wire_at(i) != NULL; i++)
            if (wire_at(i)->caller != NULL && wire_at(i)->caller->asks[op] != NULL)
                write_answer(wire_at(i), op, &ans, a);
    arena_destroy(a);
}

/* --- floats --- */

/* What is written reads back as the same bytes. */
static void
floats(struct str text)
{
    struct buf numbers, base64;

    buf_init(&numbers, OUT_LIMIT);
    buf_init(&base64, OUT_LIMIT);
    if (floats_add_base64(&base64, text))
        CHECK(base64.overflow || buf_len(&base64) % 4 == 0);
    buf_reset(&base64, OUT_LIMIT);
    if (floats_add_numbers(&numbers, text) && !numbers.overflow) {
        CHECK(floats_add_base64(&base64, buf_str(&numbers)));
        CHECK(base64.overflow || buf_len(&base64) == text.n);
    }
    buf_fini(&numbers);
    buf_fini(&base64);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct wire *wire = size >= 2 ? wire_at(data[0] - '0') : NULL;

    if (wire == NULL || wire->caller == NULL)
        return 0;

    struct str rest = str_make((const char *)data + 2, size - 2);
    enum llm_op op = data[1] == 'k' || data[1] == 's' ? OP_RERANK : OP_EMBED;

    if (data[1] == 'f')
        floats(rest);
    else if (data[1] == 'a' || data[1] == 's')
        answer(wire, op, rest);
    else if ((data[1] == 'r' || data[1] == 'k') && wire->caller->asks[op] != NULL)
        for (size_t i = 0; i < ARRAY_LEN(routes); i++)
            request(wire, op, rest, routes[i]);
    return 0;
}
