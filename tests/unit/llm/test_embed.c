/* test_embed.c - embeddings and rankings between every two wires that have them. */
#include "llm/embed.c"
#include "llm/ranking.h"
#include "tests/test.h"

#define HAS(...) ((struct traits)TRAITS(__VA_ARGS__))
#define PLAIN ((struct traits)NO_TRAITS)

/* --- one crossing: a caller's request to a provider's, and the answer back --- */

struct crossing {
    struct arena *a;
    struct llm_request r;
    struct wire_target t;
    struct wire_drops drops;
    struct wire_fault fault;
    struct buf sent;
    struct buf got;
    struct llm_answer ans;
    enum err e;
};

/* Reads the request. */
static void
begin(struct crossing *c, const struct wire *from, enum llm_op op, const char *route,
    const char *body)
{
    *c = (struct crossing){ .a = arena_create(64 << 20), .t = { .model = S("m") } };
    buf_init(&c->sent, 64 << 20);
    buf_init(&c->got, 64 << 20);
    c->drops.arena = c->a;
    c->r = (struct llm_request){ .arena = c->a,
        .op = op,
        .wire = from,
        .route = str_c(route),
        .model = from->caller->in_path ? S("x") : S("") };
    c->r.body = str_c(body);
    c->r.doc = json_parse(c->a, c->r.body, NULL, NULL);
    EXPECT(c->r.doc != NULL);
    c->e = llm_request_read(&c->r, &c->fault);
    if (c->e == OK)
        c->e = llm_request_expand(&c->r, &c->fault);
}

static void
send_to(struct crossing *c, const struct wire *to)
{
    if (c->e == OK)
        c->e = write_request(to, &c->sent, &c->r, &c->t, &c->drops, &c->fault);
}

/* Reads the provider's answer, and writes the caller's. False: it is not one for each input. */
static bool
answer(struct crossing *c, const struct wire *from, const char *text)
{
    struct wire_reader r = {
        .wire = from, .op = c->r.op, .keep = c->a, .scratch = c->a, .sink = &c->ans.sink
    };
    struct wire_writer w = { .wire = c->r.wire,
        .op = c->r.op,
        .keep = c->a,
        .out = &c->got,
        .id = S("id"),
        .model = S("m"),
        .created_s = 1 };

    if (c->r.embed != NULL) {
        w.vector_types = c->r.embed->types;
        w.inputs = c->r.embed->count;
        w.form = c->r.embed->form;
    }
    answer_init(&c->ans, c->a);
    c->e = wire_read_answer(&r, str_c(text));
    if (c->e != OK || !r.complete)
        return false;
    c->r.wire->caller->asks[c->r.op]->write_answer(&w, &c->ans);
    return !w.broken;
}

static void
end(struct crossing *c)
{
    buf_fini(&c->sent);
    buf_fini(&c->got);
    arena_destroy(c->a);
}

#define OPENAI(input, more) "{\"model\":\"x\",\"input\":" input more "}"
#define VECTORS "[[0.10,-2e-3],[3,4]]"

/* --- requests --- */

static void
expect_sent(const struct wire *from, const char *route, const char *body, const struct wire *to,
    struct traits traits, const char *model, const char *sent, const char *dropped)
{
    struct crossing c;

    begin(&c, from, OP_EMBED, route, body);
    c.t = (struct wire_target){ .model = str_c(model), .traits = traits };
    send_to(&c, to);
    EXPECT_INT(c.e, OK);
    EXPECT_STR(buf_str(&c.sent), sent);
    EXPECT_STR(c.drops.names != NULL ? c.drops.names->text : S(""), dropped);
    end(&c);
}

TEST(a_request_is_written_as_every_provider_has_it)
{
    static const char ask[] =
        OPENAI("[\"a\",\"\\u00e9\\n\"]", ",\"dimensions\":8,\"input_type\":\"query\"");

    expect_sent(&wire_openai_chat, "/v1/embeddings", ask, &wire_openai_chat, PLAIN, "m",
        "{\"model\":\"m\",\"input\":[\"a\",\"\\u00e9\\n\"],\"dimensions\":8}", "input_type");
    expect_sent(&wire_openai_chat, "/v1/embeddings", ask, &wire_openai_chat, HAS(.mistral = YES),
        "m", "{\"model\":\"m\",\"input\":[\"a\",\"\\u00e9\\n\"],\"output_dimension\":8}",
        "input_type");
    expect_sent(&wire_openai_chat, "/v1/embeddings", ask, &wire_cohere, PLAIN, "m",
        "{\"model\":\"m\",\"input_type\":\"search_query\",\"texts\":[\"a\",\"\303\251\\n\"],"
        "\"embedding_types\":[\"float\"],\"output_dimension\":8}",
        "");
    expect_sent(&wire_openai_chat, "/v1/embeddings", ask, &wire_gemini, PLAIN, "models/m",
        "{\"requests\":[{\"model\":\"models/m\",\"content\":{\"parts\":[{\"text\":\"a\"}]},"
        "\"taskType\":\"RETRIEVAL_QUERY\",\"outputDimensionality\":8},"
        "{\"model\":\"models/m\",\"content\":{\"parts\":[{\"text\":\"\303\251\\n\"}]},"
        "\"taskType\":\"RETRIEVAL_QUERY\",\"outputDimensionality\":8}]}",
        "");
    expect_sent(&wire_openai_chat, "/v1/embeddings", ask, &wire_gemini, HAS(.predicts = YES), "m",
        "{\"instances\":[{\"content\":\"a\",\"task_type\":\"RETRIEVAL_QUERY\"},"
        "{\"content\":\"\303\251\\n\",\"task_type\":\"RETRIEVAL_QUERY\"}],"
        "\"parameters\":{\"outputDimensionality\":8}}",
        "");
    expect_sent(&wire_openai_chat, "/v1/embeddings", ask, &wire_ollama, PLAIN, "m",
        "{\"model\":\"m\",\"input\":[\"a\",\"\303\251\\n\"],\"dimensions\":8}", "input_type");
    expect_sent(&wire_openai_chat, "/v1/embeddings", ask, &wire_bedrock, PLAIN,
        "us.cohere.embed-v4:0",
        "{\"input_type\":\"search_query\",\"texts\":[\"a\",\"\303\251\\n\"],"
        "\"embedding_types\":[\"float\"],\"output_dimension\":8}",
        "");
    expect_sent(&wire_openai_chat, "/v1/embeddings", OPENAI("\"a\"", ",\"dimensions\":8"),
        &wire_bedrock, PLAIN, "amazon.titan-embed-text-v1", "{\"inputText\":\"a\"}", "dimensions");
}

TEST(types_and_titles_go_where_they_can_be_said)
{
    static const char typed[] = "{\"model\":\"x\",\"texts\":[\"a\"],\"input_type\":\"clustering\","
                                "\"embedding_types\":[\"binary\",\"base64\"]}";
    static const char titled[] =
        "{\"requests\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]},\"title\":\"t\"}]}";

    expect_sent(&wire_cohere, "/v2/embed", typed, &wire_bedrock, PLAIN,
        "amazon.titan-embed-text-v2:0",
        "{\"inputText\":\"a\",\"embeddingTypes\":[\"float\",\"binary\"]}", "input_type");
    expect_sent(&wire_cohere, "/v2/embed", typed, &wire_openai_chat, PLAIN, "m",
        "{\"model\":\"m\",\"input\":\"a\"}", "embedding_types");
    expect_sent(&wire_gemini, "/v1beta/models/*:batchEmbedContents", titled, &wire_gemini,
        HAS(.predicts = YES), "m", "{\"instances\":[{\"content\":\"a\",\"title\":\"t\"}]}", "");
    expect_sent(&wire_gemini, "/v1beta/models/*:batchEmbedContents", titled, &wire_ollama, PLAIN,
        "m", "{\"model\":\"m\",\"input\":[\"a\"]}", "title");
}

TEST(images_go_to_models_that_see_and_to_no_others)
{
    static const char ask[] = "{\"model\":\"x\",\"input_type\":\"image\",\"inputs\":[{\"content\":["
                              "{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"image_url\","
                              "\"image_url\":{\"url\":\"data:image/gif;base64,R0lGODlh\"}}]}]}";
    struct crossing c;

    expect_sent(&wire_cohere, "/v2/embed", ask, &wire_cohere, PLAIN, "m",
        "{\"model\":\"m\",\"input_type\":\"image\",\"inputs\":[{\"content\":[{\"type\":\"text\","
        "\"text\":\"a\"},{\"type\":\"image_url\",\"image_url\":{\"url\":"
        "\"data:image/gif;base64,R0lGODlh\"}}]}],\"embedding_types\":[\"float\"]}",
        "");
    expect_sent(&wire_cohere, "/v2/embed", ask, &wire_gemini, PLAIN, "m",
        "{\"requests\":[{\"model\":\"models/m\",\"content\":{\"parts\":[{\"text\":\"a\"},"
        "{\"inlineData\":{\"mimeType\":\"image/gif\",\"data\":\"R0lGODlh\"}}]}}]}",
        "input_type");
    begin(&c, &wire_cohere, OP_EMBED, "/v2/embed", ask);
    send_to(&c, &wire_ollama);
    EXPECT_INT(c.e, ERR_UNSUPPORTED);
    EXPECT_STR(c.fault.message, "texts: this provider embeds text only");
    end(&c);
}

TEST(what_cannot_be_read_or_sent_is_refused)
{
    static const struct {
        const struct wire *from, *to;
        const char *route, *body, *message;
        enum err e;
    } rows[] = {
        { &wire_openai_chat, NULL, "/v1/embeddings", OPENAI("[]", ""),
            "input: must be a string, or a list of tokens", ERR_BAD_REQUEST },
        { &wire_openai_chat, NULL, "/v1/embeddings", OPENAI("[\"a\",[]]", ""),
            "input[1]: must be a string, or a list of tokens", ERR_BAD_REQUEST },
        { &wire_openai_chat, NULL, "/v1/embeddings",
            OPENAI("\"a\"", ",\"encoding_format\":\"hex\""),
            "encoding_format: must be float, base64, int8, uint8, binary or ubinary",
            ERR_BAD_REQUEST },
        { &wire_openai_chat, NULL, "/v1/embeddings", OPENAI("\"a\"", ",\"dimensions\":0"),
            "dimensions: must be an integer from 1 to 65535", ERR_BAD_REQUEST },
        { &wire_cohere, NULL, "/v2/embed", "{\"model\":\"x\",\"input_type\":\"clustering\"}",
            "texts: must hold something to embed", ERR_BAD_REQUEST },
        { &wire_cohere, NULL, "/v2/embed",
            "{\"model\":\"x\",\"texts\":[\"a\"],\"input_type\":\"?\"}",
            "input_type: is not a purpose of embeddings that is known", ERR_BAD_REQUEST },
        { &wire_gemini, NULL, "/v1beta/models/*:batchEmbedContents",
            "{\"requests\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]},\"taskType\":\"CLUSTERING\"},"
            "{\"content\":{\"parts\":[{\"text\":\"b\"}]}}]}",
            "requests[1].taskType: must be the same for all contents of this request",
            ERR_UNSUPPORTED },
        { &wire_openai_chat, &wire_gemini, "/v1/embeddings", OPENAI("[[1,2]]", ""),
            "input: numbers of tokens mean something to the model's own provider only; send the text",
            ERR_UNSUPPORTED },
        { &wire_openai_chat, &wire_bedrock, "/v1/embeddings", OPENAI("[\"a\",\"b\"]", ""),
            "input: the model takes 1 input in a request, and this one has 2; split it",
            ERR_UNSUPPORTED },
        { &wire_cohere, &wire_ollama, "/v2/embed",
            "{\"model\":\"x\",\"texts\":[\"a\"],\"embedding_types\":[\"int8\"]}",
            "embedding_types: this model is asked for vectors of floats only", ERR_UNSUPPORTED },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct crossing c;

        begin(&c, rows[i].from, OP_EMBED, rows[i].route, rows[i].body);
        if (rows[i].to != NULL)
            send_to(&c, rows[i].to);
        EXPECT_INT(c.e, rows[i].e);
        EXPECT(
            str_find(c.fault.message, str_c(strchr(rows[i].message, ':') + 2)) < c.fault.message.n);
        EXPECT_INT(buf_len(&c.sent), 0);
        end(&c);
    }
}

/* --- answers --- */

static const struct {
    const struct wire *wire;
    const char *text;
} answers[] = {
    { &wire_openai_chat, "{\"object\":\"list\",\"data\":[{\"index\":1,\"embedding\":[3,4]},"
                         "{\"embedding\":[0.10,-2e-3],\"index\":0}],\"model\":\"real\","
                         "\"usage\":{\"prompt_tokens\":5,\"total_tokens\":5}}" },
    { &wire_gemini, "{\"embeddings\":[{\"values\":[0.10,-2e-3]},{\"values\":[3,4]}],"
                    "\"usageMetadata\":{\"promptTokenCount\":5}}" },
    { &wire_gemini, "{\"predictions\":[{\"embeddings\":{\"values\":[0.10,-2e-3],\"statistics\":"
                    "{\"token_count\":2}}},{\"embeddings\":{\"values\":[3,4],\"statistics\":"
                    "{\"token_count\":3.0}}}]}" },
    { &wire_cohere, "{\"id\":\"i\",\"embeddings\":{\"float\":" VECTORS "},\"meta\":"
                    "{\"billed_units\":{\"input_tokens\":5}}}" },
    { &wire_ollama, "{\"model\":\"real\",\"embeddings\":" VECTORS ",\"prompt_eval_count\":5}" },
    { &wire_bedrock, "{\"embeddings\":" VECTORS ",\"id\":\"i\",\"inputTextTokenCount\":5}" },
};

static const struct {
    const struct wire *wire;
    const char *route, *ask, *vectors;    /* `vectors`: where they are in the answer */
} callers[] = {
    { &wire_openai_chat, "/v1/embeddings", OPENAI("[\"a\",\"b\"]", ""),
        "\"embedding\":[0.10,-2e-3]}" },
    { &wire_openai_chat, "/v1/embeddings",
        OPENAI("[\"a\",\"b\"]", ",\"encoding_format\":\"base64\""),
        "\"embedding\":\"zczMPW8SA7s=\"}" },
    { &wire_gemini, "/v1beta/models/*:batchEmbedContents",
        "{\"requests\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}},"
        "{\"content\":{\"parts\":[{\"text\":\"b\"}]}}]}",
        "\"embeddings\":[{\"values\":[0.10,-2e-3]},{\"values\":[3,4]}]" },
    { &wire_gemini, "/v1/models/*:predict",
        "{\"instances\":[{\"content\":\"a\"},{\"content\":\"b\"}]}",
        "\"predictions\":[{\"embeddings\":{\"values\":[0.10,-2e-3]," },
    { &wire_cohere, "/v2/embed", "{\"model\":\"x\",\"texts\":[\"a\",\"b\"]}",
        "\"embeddings\":{\"float\":" VECTORS "}" },
    { &wire_cohere, "/v1/embed", "{\"model\":\"x\",\"texts\":[\"a\",\"b\"]}",
        "\"embeddings\":" VECTORS "," },
    { &wire_ollama, "/api/embed", "{\"model\":\"x\",\"input\":[\"a\",\"b\"]}",
        "\"embeddings\":" VECTORS "," },
    { &wire_bedrock, "/model/*/invoke", "{\"texts\":[\"a\",\"b\"],\"input_type\":\"clustering\"}",
        "\"embeddings\":" VECTORS "," },
};

TEST(vectors_keep_their_digits_and_their_order_between_all_wires)
{
    for (size_t i = 0; i < ARRAY_LEN(callers); i++)
        for (size_t k = 0; k < ARRAY_LEN(answers); k++) {
            struct crossing c;

            begin(&c, callers[i].wire, OP_EMBED, callers[i].route, callers[i].ask);
            EXPECT_INT(c.e, OK);
            EXPECT(answer(&c, answers[k].wire, answers[k].text));
            EXPECT(str_find(buf_str(&c.got), str_c(callers[i].vectors)) < buf_len(&c.got));
            EXPECT_INT(c.ans.usage.input, 5);
            EXPECT_INT(c.ans.usage.output, 0);
            EXPECT(json_parse(c.a, buf_str(&c.got), NULL, NULL) != NULL);
            end(&c);
        }
}

TEST(an_answer_without_a_vector_for_each_input_is_broken)
{
    static const char *const texts[] = {
        "{\"data\":[{\"index\":0,\"embedding\":[1]}]}",
        "{\"data\":[{\"index\":0,\"embedding\":[1]},{\"index\":0,\"embedding\":[2]}]}",
        "{\"data\":[{\"index\":0,\"embedding\":[1]},{\"index\":7,\"embedding\":[2]}]}",
        "{\"data\":[{\"index\":0,\"embedding\":[1]},{\"index\":1,\"embedding\":[\"2\"]}]}",
        "{\"data\":[{\"index\":0,\"embedding\":[1]},{\"index\":1}]}",
        "{\"data\":[{\"index\":0,\"embedding\":[1]},{\"index\":1,\"embedding\":\"AAA=\"}]}",
        "{\"data\":[]}",
    };

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct crossing c;

        begin(
            &c, &wire_ollama, OP_EMBED, "/api/embed", "{\"model\":\"x\",\"input\":[\"a\",\"b\"]}");
        EXPECT(!answer(&c, &wire_openai_chat, texts[i]));
        end(&c);
    }
}

TEST(an_error_in_an_answer_is_one)
{
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        struct crossing c;

        begin(&c, &wire_ollama, OP_EMBED, "/api/embed", "{\"model\":\"x\",\"input\":[\"a\"]}");
        EXPECT(!answer(&c, answers[i].wire, "{\"error\":{\"message\":\"no\"}}"));
        EXPECT(c.ans.error != NULL || c.e != OK);
        end(&c);
    }
}

/* 3,072 numbers of 2,048 inputs are more than a hundred bytes of memory for each vector, not for
 * each number. */
TEST(many_vectors_take_little_more_memory_than_their_text)
{
    enum { INPUTS = 512, DIMENSIONS = 768 };
    struct buf body;

    buf_init(&body, 64 << 20);
    buf_add(&body, S("{\"embeddings\":["));
    for (unsigned i = 0; i < INPUTS; i++) {
        buf_add(&body, i > 0 ? S(",[0") : S("[0"));
        for (unsigned k = 1; k < DIMENSIONS; k++)
            buf_add(&body, S(",-0.01816467"));
        buf_add_c(&body, ']');
    }
    buf_add(&body, S("]}"));
    buf_add_c(&body, '\0');

    struct buf ask;

    buf_init(&ask, 1 << 20);
    buf_add(&ask, S("{\"model\":\"x\",\"input\":[\"\""));
    for (unsigned i = 1; i < INPUTS; i++)
        buf_add(&ask, S(",\"\""));
    buf_add(&ask, S("]}"));
    buf_add_c(&ask, '\0');

    struct crossing c;

    begin(&c, &wire_openai_chat, OP_EMBED, "/v1/embeddings", buf_str(&ask).p);

    size_t before = arena_held_bytes(c.a);

    EXPECT(answer(&c, &wire_ollama, buf_str(&body).p));
    EXPECT(arena_held_bytes(c.a) - before < INPUTS * 256 + 128 * 1024);
    EXPECT(buf_len(&c.got) < buf_len(&body) + INPUTS * 64);
    end(&c);
    buf_fini(&ask);
    buf_fini(&body);
}

/* --- rankings --- */

TEST(rankings_keep_their_scores_and_what_they_cost)
{
    static const struct {
        const struct wire *from;
        const char *route, *got;
    } rows[] = {
        { &wire_openai_chat, "/v1/rerank",
            "{\"id\":\"r\",\"model\":\"m\",\"results\":[{\"index\":1,\"relevance_score\":0.990},"
            "{\"index\":0,\"relevance_score\":1e-3}],\"usage\":{\"search_units\":2},\"meta\":"
            "{\"api_version\":{\"version\":\"1\"},\"billed_units\":{\"search_units\":2}}}" },
        { &wire_cohere, "/v2/rerank",
            "{\"id\":\"r\",\"results\":[{\"index\":1,\"relevance_score\":0.990},"
            "{\"index\":0,\"relevance_score\":1e-3}],\"meta\":{\"api_version\":{\"version\":\"2\"},"
            "\"billed_units\":{\"search_units\":2}}}" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct crossing c;

        begin(&c, rows[i].from, OP_RERANK, rows[i].route,
            "{\"model\":\"x\",\"query\":\"q\",\"documents\":[\"a\",{\"text\":\"b\"}],\"top_n\":2,"
            "\"max_tokens_per_doc\":9}");
        send_to(&c, &wire_cohere);
        EXPECT_INT(c.e, OK);
        EXPECT_STR(buf_str(&c.sent), "{\"model\":\"m\",\"query\":\"q\",\"documents\":[\"a\",\"b\"],"
                                     "\"top_n\":2,\"max_tokens_per_doc\":9}");
        EXPECT(answer(&c, &wire_cohere,
            "{\"id\":\"r\",\"results\":[{\"index\":1,\"relevance_score\":0.990},"
            "{\"index\":0,\"relevance_score\":1e-3}],\"meta\":{\"billed_units\":"
            "{\"search_units\":2}}}"));
        EXPECT_STR(buf_str(&c.got), rows[i].got);
        EXPECT_INT(c.ans.usage.searches, 2);
        end(&c);
    }
}

TEST(a_ranking_that_counts_tokens_is_read_as_well)
{
    struct crossing c;

    begin(&c, &wire_cohere, OP_RERANK, "/v2/rerank",
        "{\"model\":\"x\",\"query\":\"q\",\"documents\":[\"a\"]}");
    EXPECT(answer(&c, &wire_openai_chat,
        "{\"data\":[{\"index\":0,\"score\":0.5,\"document\":{\"text\":\"a\"}}],"
        "\"usage\":{\"total_tokens\":7}}"));
    EXPECT_INT(c.ans.usage.input, 7);
    EXPECT_STR(c.ans.ranks->document, "{\"text\":\"a\"}");
    end(&c);
    begin(&c, &wire_cohere, OP_RERANK, "/v2/rerank",
        "{\"model\":\"x\",\"query\":\"q\",\"documents\":[]}");
    EXPECT_INT(c.e, ERR_BAD_REQUEST);
    end(&c);
}
