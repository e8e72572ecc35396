/* conversations.h - conversations at random: all that a request may hold, by a seed. */
#pragma once

#include "llm/wire.h"
#include "tests/unit/wires/facts.h"

static inline const struct json *
node(struct gen *g, const char *text)
{
    return json_parse(g->a, str_c(text), NULL, NULL);
}

#define PNG "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAA"
#define PDF_DATA "JVBERi0xLjQKJdPr6eEKMSAwIG9iago8PC9UaXRsZS"
#define WAV "UklGRiQAAABXQVZFZm10IBAAAAABAAEA"

static inline void
make_media(struct gen *g, struct llm_part ***tail, bool image_only)
{
    unsigned which = image_only ? 0 : gen_below(g, 6);
    static const enum llm_part_kind kinds[] = { PART_IMAGE, PART_IMAGE, PART_IMAGE, PART_IMAGE,
        PART_FILE, PART_AUDIO };
    struct llm_part *part = llm_part_add(g->a, tail, kinds[which]);

    if (which == 4) {
        part->data = arena_printf(g->a, PDF_DATA "%04u", ++g->words);
        part->mime = S("application/pdf");
        part->name = arena_printf(g->a, "report%u.pdf", g->words);
    } else if (which == 5) {
        part->data = arena_printf(g->a, WAV "%04u", ++g->words);
        part->mime = S("audio/wav");
    } else if (which == 3) {
        part->url = arena_printf(g->a, "https://example.com/%u.png", ++g->words);
    } else {
        part->data = arena_printf(g->a, PNG "%04u", ++g->words);
        part->mime = S("image/png");
    }
}

static inline struct str
make_args(struct gen *g)
{
    static const char *const forms[][2] = {
        { "{\"city\":\"", "\",\"n\":1.50,\"big\":12345678901234567890}" },
        { "{\"deep\":{\"a\":[1,2,{\"b\":null}]},\"u\":\"\\u00e9\\ud83d\\ude00", "\",\"e\":1E5}" },
        { "{ \"spaced\" : \"", "\" , \"t\" : true }" },
        { "{\"file\":\"a\\nb\\t\\\"q\\\" \\\\ ", "\",\"\":\"\"}" },
    };
    unsigned which = gen_below(g, ARRAY_LEN(forms) + 2);

    if (which >= ARRAY_LEN(forms))
        return which == ARRAY_LEN(forms) ? S("") : S("{}");
    return arena_printf(g->a, "%s<w%u>%s", forms[which][0], ++g->words, forms[which][1]);
}

static inline void
make_reasoning(struct gen *g, struct llm_part ***tail)
{
    static const enum llm_origin origins[] = { ORIGIN_ANTHROPIC, ORIGIN_OPENAI, ORIGIN_GEMINI };
    struct llm_part *part = llm_part_add(g->a, tail, PART_REASONING);

    part->origin = origins[gen_below(g, ARRAY_LEN(origins))];
    part->text = part->origin == ORIGIN_GEMINI && gen_one_in(g, 2) ? S("") : gen_words(g);
    part->signature = arena_printf(g->a, "c2lnbmF0dXJl%04uAAAA", ++g->words);
}

/* As providers of all kinds make them, among them some that others refuse. */
static inline struct str
call_id(struct gen *g, unsigned number)
{
    static const char *const forms[] = { "call_", "toolu_01", "functions.search:", "a|b c/", "",
        "call_0123456789012345678901234567890123456789012345678901234567890123456789_" };

    return arena_printf(g->a, "%s%u", forms[(g->ids + number) % ARRAY_LEN(forms)], number);
}

/* The assistant's turn; returns the number of calls, the first of which has that number. */
static inline unsigned
make_assistant(struct gen *g, struct llm_message ***tail, unsigned first)
{
    struct llm_message *m = llm_message_add(g->a, tail, ROLE_ASSISTANT);
    struct llm_part **parts = &m->parts;
    unsigned calls = gen_one_in(g, 2) ? gen_below(g, 4) : 0;

    if (gen_one_in(g, 4))
        make_reasoning(g, &parts);
    if (calls == 0 || gen_one_in(g, 2))
        llm_part_add(g->a, &parts, PART_TEXT)->text = gen_words(g);
    for (unsigned i = 0; i < calls; i++) {
        struct llm_part *call = llm_part_add(g->a, &parts, PART_TOOL_CALL);

        call->id = call_id(g, first + i);
        call->name = gen_one_in(g, 2) ? S("get_weather") : S("search");
        call->args = make_args(g);
        if (i == 0 && gen_one_in(g, 4))
            call->signature = arena_printf(g->a, "Z2VtaW5p%04uAAAA", ++g->words);
    }
    return calls;
}

static inline void
make_results(struct gen *g, struct llm_message ***tail, unsigned first, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct llm_message *m = llm_message_add(g->a, tail, ROLE_TOOL);
        struct llm_part **parts = &m->parts;
        struct llm_part *result = llm_part_add(g->a, &parts, PART_TOOL_RESULT);
        struct llm_part **content = &result->result;

        result->id = call_id(g, first + i);
        result->is_error = gen_one_in(g, 6);
        llm_part_add(g->a, &content, PART_TEXT)->text =
            gen_one_in(g, 3)
                ? arena_printf(g->a, "{\"degrees\":21.50,\"said\":\"<w%u>\"}", ++g->words)
                : gen_words(g);
        if (gen_one_in(g, 6))
            make_media(g, &content, true);
    }
}

static inline void
make_user(struct gen *g, struct llm_message ***tail, bool media)
{
    struct llm_message *m = llm_message_add(g->a, tail, ROLE_USER);
    struct llm_part **parts = &m->parts;

    llm_part_add(g->a, &parts, PART_TEXT)->text = gen_words(g);
    if (media)
        make_media(g, &parts, false);
    if (gen_one_in(g, 3))
        llm_part_add(g->a, &parts, PART_TEXT)->text = gen_words(g);
    if (gen_one_in(g, 8))
        (*(&m->parts))->cache_mark = gen_one_in(g, 2) ? MARK_SET : MARK_1H;
}

static inline void
make_tools(struct gen *g, struct llm_request *r)
{
    static const char *const names[] = { "get_weather", "search", "no_arguments" };
    static const char *const schemas[] = {
        "{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\",\"description\":\"Where\"},\"n\":{\"type\":"
        "\"integer\"}},\"required\":[\"city\"]}",
        "{\"type\":\"object\",\"properties\":{\"deep\":{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"array\","
        "\"items\":{\"type\":\"string\",\"enum\":[\"x\",\"y\"]}}}}}}",
        "",
    };
    struct llm_tool **tail = &r->tools;

    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        *tail = arena_new(g->a, struct llm_tool);
        (*tail)->name = str_c(names[i]);
        (*tail)->description = gen_words(g);
        (*tail)->schema = str_c(schemas[i]);
        (*tail)->strict = i == 0 && gen_one_in(g, 4) ? YES : UNSAID;
        tail = &(*tail)->next;
    }
    r->choice = gen_below(g, CHOICE_NAMED + 1);
    if (r->choice == CHOICE_NAMED)
        r->choice_name = S("search");
    r->parallel_tools = gen_one_in(g, 4) ? NO : UNSAID;
}

static inline void
make_parameters(struct gen *g, struct llm_request *r)
{
    static const char *const efforts[] = { "low", "medium", "high" };
    struct llm_word **stop = &r->stop;

    r->temperature = gen_one_in(g, 2) ? node(g, "0.5") : NULL;
    r->top_p = gen_one_in(g, 3) ? node(g, "0.9") : NULL;
    r->top_k = gen_one_in(g, 4) ? node(g, "40") : NULL;
    r->presence_penalty = gen_one_in(g, 4) ? node(g, "0.25") : NULL;
    r->frequency_penalty = gen_one_in(g, 4) ? node(g, "0.75") : NULL;
    r->seed = gen_one_in(g, 4) ? node(g, "7") : NULL;
    r->logprobs = gen_one_in(g, 8) ? node(g, "true") : NULL;
    r->top_logprobs = r->logprobs != NULL ? node(g, "3") : NULL;
    r->metadata = gen_one_in(g, 8) ? node(g, "{\"team\":\"a\"}") : NULL;
    r->verbosity = gen_one_in(g, 8) ? node(g, "\"low\"") : NULL;
    r->max_tokens = gen_one_in(g, 2) ? 20000 : 0;
    for (unsigned i = gen_one_in(g, 3) ? 2 : 0; i > 0; i--) {
        *stop = arena_new(g->a, struct llm_word);
        (*stop)->text = arena_printf(g->a, "STOP%u", i);
        stop = &(*stop)->next;
    }
    r->user = gen_one_in(g, 4) ? S("user-17") : S("");
    if (gen_one_in(g, 3))
        r->effort = str_c(efforts[gen_below(g, 3)]);
    else
        r->reasoning = gen_one_in(g, 6) ? NO : UNSAID;
    r->service_tier = gen_one_in(g, 6) ? S("priority") : S("");
    r->format = gen_one_in(g, 3) ? (gen_one_in(g, 3) ? FORMAT_JSON : FORMAT_SCHEMA) : FORMAT_UNSET;
    if (r->format == FORMAT_SCHEMA) {
        r->schema = S(
            "{\"type\":\"object\",\"properties\":{\"answer\":{\"type\":\"string\"}},\"required\":[\"answer\"],"
            "\"additionalProperties\":false}");
        r->schema_name = S("reply");
        r->schema_strict = YES;
    }
    r->stream = gen_one_in(g, 2);
    r->n = gen_one_in(g, 16) ? 2 : 0;
}

static inline void
make_request(struct gen *g, struct llm_request *r)
{
    struct llm_message **tail = &r->messages;
    struct llm_part **system = &r->system;
    unsigned calls = 0;

    *r = (struct llm_request){ .arena = g->a,
        .op = OP_CHAT,
        .wire = &wire_openai_chat,
        .model = S("m"),
        .expanded = true,
        .want_usage = true };
    g->ids = gen_below(g, 6);
    for (unsigned i = gen_below(g, 3); i > 0; i--)
        llm_part_add(g->a, &system, PART_TEXT)->text = gen_words(g);
    make_user(g, &tail, gen_one_in(g, 4));
    for (unsigned turns = gen_below(g, 4); turns > 0; turns--) {
        unsigned n = make_assistant(g, &tail, calls);

        make_results(g, &tail, calls, n);
        if (gen_one_in(g, 8)) {
            struct llm_part **parts = &llm_message_add(g->a, &tail, ROLE_SYSTEM)->parts;

            llm_part_add(g->a, &parts, PART_TEXT)->text = gen_words(g);
        }
        if (n == 0 || gen_one_in(g, 3))
            make_user(g, &tail, gen_one_in(g, 6));
        calls += n;
    }
    if (calls > 0 || gen_one_in(g, 2))
        make_tools(g, r);
    make_parameters(g, r);
}
