/* test_linear.c - nothing that an outsider repeats costs more than in proportion.
 *
 * Whatever can be repeated in a request, an answer, a stream, an error, a head or a form is given
 * n and 4n times to every wire, for every operation and every other side. Four times the input may
 * take at most five times the steps, and keep at most 20 bytes per byte read. Steps are basic blocks
 * and bytes handled by the C library (tests/unit/steps.h), so that the outcome does not depend on
 * the machine.
 *
 * With LINEAR in the environment it prints what each row costs: bytes kept per byte, ratio of steps.
 *
 * To add one: a row in a table below. A new wire is covered by its row in wires.def; give it rows
 * for what only it can repeat.
 */
#include <stdlib.h>
#include "http/h1.h"
#include "http/multipart.h"
#include "llm/fail.h"
#include "llm/sample.h"
#include "llm/write.h"
#include "tokens/tokens.h"
#include "tests/test.h"
#include "tests/unit/steps.h"

uint64_t steps_count;

void __sanitizer_cov_trace_pc(void);

void
__sanitizer_cov_trace_pc(void)
{
    steps_count++;
}

enum {
    N = 1000,    /* unless a row says otherwise */
    GROWTH = 4,
    STEPS_RATIO_MAX = 5,
#ifdef __SANITIZE_ADDRESS__
    KEPT_PER_BYTE_MAX = 24,    /* with the arenas' red zones */
    EACH = 4,    /* of the pairs of different wires one in so many: the ordinary build does all */
#else
    KEPT_PER_BYTE_MAX = 20,
    EACH = 1,
#endif
    /* What does not grow with the input: first chunks of arenas, tables of 128 choices. */
    KEPT_ALWAYS = 96 * 1024,
    ARENA_LIMIT = 1 << 30,
};

/* --- inputs --- */

/* Something repeated. In `text`, <...> stands for n copies with commas between them, @<...> for n
 * copies in a row; within a copy # is its number and ^ the same counted down. */
struct row {
    const char *what;
    const char *text;
    unsigned n;    /* 0: N */
};

static const char *
add_copies(struct buf *b, const char *text, unsigned n, const char *between)
{
    const char *end = strchr(text, '>');

    for (unsigned i = 0; i < n; i++) {
        if (i != 0)
            buf_add(b, str_c(between));
        for (const char *p = text; p != end; p++) {
            if (*p == '#')
                buf_add_u64(b, i);
            else if (*p == '^')
                buf_add_u64(b, n - 1 - i);
            else
                buf_add_c(b, *p);
        }
    }
    return end + 1;
}

static void
add_text(struct buf *b, const char *text, unsigned n)
{
    while (*text != '\0') {
        if (*text == '<')
            text = add_copies(b, text + 1, n, ",");
        else if (text[0] == '@' && text[1] == '<')
            text = add_copies(b, text + 2, n, "");
        else
            buf_add_c(b, *text++);
    }
}

/* --- measuring --- */

struct cost {
    uint64_t steps;
    size_t kept;     /* the most that was held at once */
    size_t input;    /* bytes read */
    bool ok;         /* it was understood, to its end */
};

static unsigned faults;

static void
hold(struct cost *c, size_t bytes)
{
    c->kept = MAX(c->kept, bytes);
}

/* Runs `run` on a row n and 4n times over and judges the costs. True when the input was
 * understood. */
static bool
judge(const struct row *row, const char *where,
    void (*run)(struct str input, const void *arg, struct cost *c), const void *arg)
{
    unsigned n = row->n != 0 ? row->n : N;
    struct cost costs[2] = { { 0 }, { 0 } };

    for (unsigned i = 0; i < 2; i++) {
        struct buf b;
        uint64_t before;

        buf_init(&b, ARENA_LIMIT);
        add_text(&b, row->text, i == 0 ? n : GROWTH * n);
        before = steps_count;
        costs[i].input = buf_len(&b);
        run(buf_str(&b), arg, &costs[i]);
        costs[i].steps = steps_count - before;
        buf_fini(&b);
    }

    if (getenv("LINEAR") != NULL)
        printf("%7.1f %5.2f %s, %s\n", (double)costs[1].kept / (double)costs[1].input,
            (double)costs[1].steps / (double)costs[0].steps, row->what, where);
    const struct cost *small = &costs[0];
    const struct cost *large = &costs[1];

    if (large->steps > STEPS_RATIO_MAX * small->steps) {
        print_error("%s, %s: %llu steps for %zu bytes, %llu for %zu\n", row->what, where,
            (unsigned long long)small->steps, small->input, (unsigned long long)large->steps,
            large->input);
        faults++;
    }
    if (large->kept > KEPT_PER_BYTE_MAX * large->input + KEPT_ALWAYS) {
        print_error("%s, %s: %zu bytes kept of %zu, %.1f for each\n", row->what, where, large->kept,
            large->input, (double)large->kept / (double)large->input);
        faults++;
    }
    return large->ok;
}

static const char *const op_names[OP_COUNT] = { "chat", "complete", "embed", "rerank",
    "count_tokens", "relay" };

/* --- requests --- */

#define CHAT "{\"model\":\"m\",\"max_tokens\":9,\"messages\":["
#define USER "{\"role\":\"user\",\"content\":\"a\"}"
#define ASKED CHAT USER "]"

static const struct row requests[] = {
    { "texts to embed", "{\"model\":\"m\",\"input\":[<\"a text to embed, no. #\">]}", 0 },
    { "tokens to embed", "{\"model\":\"m\",\"input\":[<[1,2,3,4,5,6,7]>]}", 0 },
    { "parts to embed",
        "{\"model\":\"m\",\"input\":[{\"content\":[<{\"type\":\"text\",\"text\":\"a\"}>]}]}", 0 },
    { "texts for Cohere", "{\"model\":\"m\",\"texts\":[<\"a text to embed, no. #\">]}", 0 },
    { "images for Cohere",
        "{\"model\":\"m\",\"images\":[<\"data:image/gif;base64,R0lGODlhAQABAAAAADs=\">]}", 0 },
    { "contents to embed",
        "{\"model\":\"m\",\"requests\":[<{\"content\":{\"parts\":[{\"text\":\"a\"}]}}>]}", 0 },
    { "documents to rank",
        "{\"model\":\"m\",\"query\":\"q\",\"documents\":[<\"a document, no. #\">]}", 0 },
    { "messages", CHAT "<" USER ",{\"role\":\"assistant\",\"content\":\"b\"}>]}", 0 },
    { "messages of one side", CHAT "<" USER ">]}", 0 },
    { "empty messages", CHAT "<{\"role\":\"user\",\"content\":\"\"}>]}", 0 },
    { "messages with names", CHAT "<{\"role\":\"user\",\"name\":\"n#\",\"content\":\"a\"}>]}", 0 },
    { "system messages first", CHAT "<{\"role\":\"system\",\"content\":\"a\"}>," USER "]}", 0 },
    { "system messages between", CHAT USER ",<{\"role\":\"system\",\"content\":\"a\"}>]}", 0 },
    { "developer messages", CHAT USER ",<{\"role\":\"developer\",\"content\":\"a\"}>]}", 0 },
    { "system blocks", ASKED ",\"system\":[<{\"type\":\"text\",\"text\":\"a\"}>]}", 0 },
    { "text parts", CHAT "{\"role\":\"user\",\"content\":[<{\"type\":\"text\",\"text\":\"a\"}>]}]}",
        0 },
    { "escaped text parts",
        CHAT "{\"role\":\"user\",\"content\":[<{\"type\":\"text\",\"text\":\"\\n\"}>]}]}", 0 },
    { "an escaped text", CHAT "{\"role\":\"user\",\"content\":\"@<\\n>\"}]}", 0 },
    { "pictures beside a text",
        CHAT "{\"role\":\"user\",\"content\":\"a\",\"images\":[<\"iVBORw0KGgoAAAANSUhEUg#\">]}]}",
        0 },
    { "text parts of an assistant",
        CHAT USER ",{\"role\":\"assistant\",\"content\":[<{\"type\":\"text\",\"text\":\"a\"}>]}]}",
        0 },
    { "refusals",
        CHAT USER
        ",{\"role\":\"assistant\",\"content\":[<{\"type\":\"refusal\",\"refusal\":\"a\"}>]}]}",
        0 },
    { "marked text parts",
        CHAT "{\"role\":\"user\",\"content\":[<{\"type\":\"text\",\"text\":\"a\","
             "\"cache_control\":{\"type\":\"ephemeral\",\"ttl\":\"1h\"}}>]}]}",
        0 },
    { "image URLs",
        CHAT "{\"role\":\"user\",\"content\":[<{\"type\":\"image_url\",\"image_url\":\"http:\"}>]}"
             "]}",
        0 },
    { "images",
        CHAT "{\"role\":\"user\",\"content\":[<{\"type\":\"image_url\",\"image_url\":{\"url\":"
             "\"data:image/png;base64,iVBORw0KGgo#\"}}>]}]}",
        0 },
    { "images by Anthropic",
        CHAT "{\"role\":\"user\",\"content\":[<{\"type\":\"image\",\"source\":{\"type\":\"base64\","
             "\"media_type\":\"image/png\",\"data\":\"iVBORw0KGgo#\"}}>]}]}",
        0 },
    { "image URLs by Anthropic",
        CHAT "{\"role\":\"user\",\"content\":[<{\"type\":\"image\",\"source\":{\"type\":\"url\","
             "\"url\":\"http:\"}}>]}]}",
        0 },
    { "audio",
        CHAT "{\"role\":\"user\",\"content\":[<{\"type\":\"input_audio\",\"input_audio\":{"
             "\"data\":\"a\",\"format\":\"b\"}}>]}]}",
        0 },
    { "videos",
        CHAT "{\"role\":\"user\",\"content\":[<{\"type\":\"video_url\",\"video_url\":\"a\"}>]}]}",
        0 },
    { "files",
        CHAT "{\"role\":\"user\",\"content\":[<{\"type\":\"file\",\"file\":{\"filename\":\"a.pdf\","
             "\"file_data\":\"data:application/pdf;base64,JVBERi0#\"}}>]}]}",
        0 },
    { "text files",
        CHAT "{\"role\":\"user\",\"content\":[<{\"type\":\"file\",\"file\":{\"file_data\":"
             "\"data:text/plain;base64,YWFh\"}}>]}]}",
        0 },
    { "text documents",
        CHAT "{\"role\":\"user\",\"content\":[<{\"type\":\"document\",\"title\":\"t\",\"source\":{"
             "\"type\":\"text\",\"data\":\"a\"}}>]}]}",
        0 },
    { "documents with blocks",
        CHAT "{\"role\":\"user\",\"content\":[{\"type\":\"document\",\"source\":{\"type\":"
             "\"content\",\"content\":[<{\"type\":\"text\",\"text\":\"a\"}>]}}]}]}",
        0 },
    { "search results",
        CHAT "{\"role\":\"user\",\"content\":[<{\"type\":\"search_result\",\"title\":\"t\","
             "\"source\":\"s\",\"content\":[{\"type\":\"text\",\"text\":\"a\"}]}>]}]}",
        0 },
    { "unknown blocks", CHAT "{\"role\":\"user\",\"content\":[<{\"type\":\"t#\"}>]}," USER "]}",
        0 },
    { "thinking",
        CHAT USER ",{\"role\":\"assistant\",\"content\":[<{\"type\":\"thinking\",\"thinking\":\"a\""
                  ",\"signature\":\"s\"}>,{\"type\":\"text\",\"text\":\"a\"}]}," USER "]}",
        0 },
    { "unsigned thinking",
        CHAT USER ",{\"role\":\"assistant\",\"content\":[<{\"type\":\"thinking\",\"thinking\":\"a\""
                  "},{\"type\":\"text\",\"text\":\"a\"}>]}," USER "]}",
        0 },
    { "messages of unsigned thinking",
        CHAT "<" USER ",{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":"
             "\"a\"}]}>," USER "]}",
        0 },
    { "hidden thinking",
        CHAT USER ",{\"role\":\"assistant\",\"content\":[<{\"type\":\"redacted_thinking\",\"data\":"
                  "\"a\"}>,{\"type\":\"text\",\"text\":\"a\"}]}," USER "]}",
        0 },
    { "blocks of Bedrock with marks",
        CHAT
        "{\"role\":\"user\",\"content\":[<{\"text\":\"a\"},{\"cachePoint\":{\"type\":\"default\"}}>"
        "]}]}",
        0 },
    { "documents of Bedrock",
        CHAT "{\"role\":\"user\",\"content\":[<{\"document\":{\"format\":\"pdf\",\"name\":\"n\","
             "\"source\":{\"bytes\":\"JVBERi0#\"}}}>]}]}",
        0 },
    { "calls and results of Bedrock",
        CHAT USER
        ",<{\"role\":\"assistant\",\"content\":[{\"toolUse\":{\"toolUseId\":\"t#\",\"name\":"
        "\"f\",\"input\":{}}}]},{\"role\":\"user\",\"content\":[{\"toolResult\":{\"toolUseId\":"
        "\"t#\",\"content\":[{\"text\":\"r\"}]}}]}>]}",
        0 },
    { "tools of Bedrock",
        ASKED
        ",\"toolConfig\":{\"tools\":[<{\"toolSpec\":{\"name\":\"f#\",\"inputSchema\":{\"json\":{}}}},"
        "{\"cachePoint\":{}}>]}}",
        0 },
    { "fields of Bedrock", ASKED ",\"additionalModelRequestFields\":{<\"f#\":1>}}", 0 },
    { "reasoning_details",
        CHAT "{\"role\":\"assistant\",\"content\":\"a\",\"reasoning_details\":[<{\"text\":\"a\"}>]}"
             "," USER "]}",
        0 },
    { "escaped reasoning_details",
        CHAT "{\"role\":\"assistant\",\"content\":\"a\",\"reasoning_details\":[<{\"text\":\"\\n\"}>"
             "]}," USER "]}",
        0 },
    { "signed reasoning_details",
        CHAT "{\"role\":\"assistant\",\"content\":\"a\",\"reasoning_details\":[<{\"text\":\"a\","
             "\"signature\":\"s\"}>]}," USER "]}",
        0 },
    { "encrypted reasoning_details",
        CHAT "{\"role\":\"assistant\",\"content\":\"a\",\"reasoning_details\":[<{\"type\":"
             "\"reasoning.encrypted\",\"data\":\"a\"}>]}," USER "]}",
        0 },
    { "reasoning_details of ours",
        CHAT "{\"role\":\"assistant\",\"content\":\"a\",\"reasoning_details\":[<{\"id\":"
             "\"openclaw_#\"}>],\"reasoning_content\":\"r\"}," USER "]}",
        0 },
    { "calls and results",
        CHAT USER ",{\"role\":\"assistant\",\"tool_calls\":[<{\"id\":\"c#\",\"function\":{\"name\":"
                  "\"f\"}}>]},<{\"role\":\"tool\",\"tool_call_id\":\"c#\",\"content\":\"a\"}>]}",
        0 },
    { "calls and results backwards",
        CHAT USER ",{\"role\":\"assistant\",\"tool_calls\":[<{\"id\":\"c#\",\"function\":{\"name\":"
                  "\"f\"}}>]},<{\"role\":\"tool\",\"tool_call_id\":\"c^\",\"content\":\"a\"}>]}",
        0 },
    { "calls of one id",
        CHAT USER ",{\"role\":\"assistant\",\"tool_calls\":[<{\"id\":\"c\",\"function\":{\"name\":"
                  "\"f\"}}>]},<{\"role\":\"tool\",\"tool_call_id\":\"c\",\"content\":\"a\"}>]}",
        0 },
    { "calls without results",
        CHAT USER ",{\"role\":\"assistant\",\"tool_calls\":[<{\"id\":\"c#\",\"function\":{\"name\":"
                  "\"f#\",\"arguments\":\"{}\"}}>]}," USER "]}",
        0 },
    { "calls of one id without results",
        CHAT USER ",{\"role\":\"assistant\",\"tool_calls\":[<{\"id\":\"c\",\"function\":{\"name\":"
                  "\"f\"}}>]}]}",
        0 },
    { "free-form calls",
        CHAT USER ",{\"role\":\"assistant\",\"tool_calls\":[<{\"id\":\"c#\",\"type\":\"custom\","
                  "\"custom\":{\"name\":\"f\",\"input\":\"x\"}}>]}," USER "]}",
        0 },
    { "results without calls",
        CHAT USER ",<{\"role\":\"tool\",\"tool_call_id\":\"c#\",\"content\":\"a\"}>]}", 0 },
    { "rounds of calls",
        CHAT USER ",<{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"c\",\"function\":{\"name\":"
                  "\"f\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"c\",\"content\":\"a\"}>]}",
        0 },
    { "rounds of old calls",
        CHAT USER ",<{\"role\":\"assistant\",\"function_call\":{\"name\":\"f\",\"arguments\":\"{}\""
                  "}},{\"role\":\"function\",\"name\":\"f\",\"content\":\"a\"}>]}",
        0 },
    { "results with pictures",
        CHAT USER ",{\"role\":\"assistant\",\"tool_calls\":[<{\"id\":\"c#\",\"function\":{\"name\":"
                  "\"f\"}}>]},<{\"role\":\"tool\",\"tool_call_id\":\"c#\",\"content\":[{\"type\":"
                  "\"image_url\",\"image_url\":\"http:\"}]}>]}",
        0 },
    { "tool_use and tool_result",
        CHAT USER ",{\"role\":\"assistant\",\"content\":[<{\"type\":\"tool_use\",\"id\":\"c#\","
                  "\"name\":\"f\",\"input\":{}}>]},{\"role\":\"user\",\"content\":[<{\"type\":"
                  "\"tool_result\",\"tool_use_id\":\"c^\"}>]}]}",
        0 },
    { "tool_use without results",
        CHAT USER ",{\"role\":\"assistant\",\"content\":[<{\"type\":\"tool_use\",\"id\":\"c#\","
                  "\"name\":\"f#\"}>]}," USER "]}",
        0 },
    { "tool_result without calls",
        CHAT USER ",{\"role\":\"user\",\"content\":[<{\"type\":\"tool_result\",\"tool_use_id\":"
                  "\"c#\",\"content\":\"a\"}>]}]}",
        0 },
    { "failed results",
        CHAT "{\"role\":\"user\",\"content\":[<{\"type\":\"tool_result\",\"tool_use_id\":\"c#\","
             "\"is_error\":true,\"content\":[{\"type\":\"t#\"}]}>]}," USER "]}",
        0 },
    { "blocks of a result",
        CHAT "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"c\","
             "\"content\":[<{\"type\":\"text\",\"text\":\"a\"}>]}]}," USER "]}",
        0 },
    { "tools", ASKED ",\"tools\":[<{\"type\":\"function\",\"function\":{\"name\":\"f#\"}}>]}", 0 },
    { "tools of one name",
        ASKED ",\"tools\":[<{\"type\":\"function\",\"function\":{\"name\":\"f\"}}>]}", 0 },
    { "free-form tools", ASKED ",\"tools\":[<{\"type\":\"custom\",\"custom\":{\"name\":\"f#\"}}>]}",
        0 },
    { "functions", ASKED ",\"functions\":[<{\"name\":\"f\"}>]}", 0 },
    { "tools by Anthropic", ASKED ",\"tools\":[<{\"name\":\"f#\",\"input_schema\":{}}>]}", 0 },
    { "tools of providers",
        ASKED ",\"tools\":[<{\"type\":\"t#\",\"name\":\"t\"}>,{\"type\":"
              "\"function\",\"name\":\"f\",\"function\":{\"name\":\"f\"}}]}",
        0 },
    { "the last of many tools named",
        ASKED ",\"tools\":[<{\"type\":\"function\",\"function\":{\"name\":\"f^\"}}>],"
              "\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f0\"}}}",
        0 },
    { "allowed tools",
        ASKED ",\"tools\":[<{\"type\":\"function\",\"function\":{\"name\":\"f#\"}}>],"
              "\"tool_choice\":{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":\"auto\","
              "\"tools\":[<{\"type\":\"function\",\"function\":{\"name\":\"f^\"}}>]}}}",
        0 },
    { "allowed tools that are not there",
        ASKED ",\"tools\":[<{\"type\":\"function\",\"function\":{\"name\":\"f#\"}}>],"
              "\"tool_choice\":{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":\"auto\","
              "\"tools\":[<{\"name\":\"g\"}>]}}}",
        0 },
    { "schema members",
        ASKED ",\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"input_schema\":{\"properties\":{"
              "<\"p#\":{\"type\":\"object\"}>}},\"function\":{\"name\":\"f\",\"parameters\":{"
              "\"properties\":{<\"p#\":{\"type\":\"object\"}>}}}}]}",
        0 },
    { "values in schemas",
        ASKED ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{"
              "\"enum\":[<1>]}}}]}",
        0 },
    { "schemas of a format",
        ASKED ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\","
              "\"schema\":{\"properties\":{<\"p#\":{\"properties\":{}}>}}}}}",
        0 },
    { "variants of a format",
        ASKED ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\","
              "\"schema\":{\"anyOf\":[<{\"type\":[\"object\"]}>]}}}}",
        0 },
    { "types of a schema",
        ASKED ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\","
              "\"schema\":{\"type\":[<\"null\">]}}}}",
        0 },
    { "schemas of an output_config",
        ASKED ",\"output_config\":{\"format\":{\"type\":\"json_schema\",\"schema\":{\"properties\":"
              "{<\"p#\":{\"type\":\"object\"}>}}}}}",
        0 },
    { "stop words", ASKED ",\"stop\":[<\"a\">]}", 0 },
    { "escaped stop words", ASKED ",\"stop\":[<\"\\n\">]}", 0 },
    { "stop sequences", ASKED ",\"stop_sequences\":[<\"a\">]}", 0 },
    { "blank stop sequences", ASKED ",\"stop_sequences\":[<\" \">]}", 0 },
    { "metadata", ASKED ",\"metadata\":{<\"#\":\"\">}}", 0 },
    { "logit_bias", ASKED ",\"logit_bias\":{<\"#\":1>}}", 0 },
    { "unknown members", "{<\"#\":1>,\"model\":\"m\",\"max_tokens\":9,\"messages\":[" USER "]}",
        0 },
    { "unknown members in capitals",
        "{<\"MODELS#\":1>,\"model\":\"m\",\"max_tokens\":9,\"messages\":[" USER "]}", 0 },
    { "escaped unknown members",
        "{<\"\\u0061#\":1>,\"model\":\"m\",\"max_tokens\":9,\"messages\":[" USER "]}", 0 },
    { "unknown values", ASKED ",\"x\":[<1>]}", 0 },
    { "empty lists", ASKED ",\"x\":[<[]>]}", 0 },
    { "empty objects", ASKED ",\"x\":[<{}>]}", 0 },
    { "empty strings", ASKED ",\"x\":[<\"\">]}", 0 },
    { "long text", CHAT "{\"role\":\"user\",\"content\":\"@<abcdefgh>\"}]}", 0 },
    { "long text with escapes", CHAT "{\"role\":\"user\",\"content\":\"@<\\n\\u00e4>\"}]}", 0 },
    { "long numbers", ASKED ",\"temperature\":1@<0123456789>,\"seed\":1@<0123456789>}", 0 },
    { "long names", CHAT "{\"role\":\"user\",\"content\":\"a\"}],\"@<abcdefgh>\":1}", 0 },
    { "blanks", ASKED ",\"x\":[<\n \t1>]}", 0 },
    { "prompts", "{\"model\":\"m\",\"prompt\":[<\"a\">]}", 0 },
    /* of one letter, Gemini's form alone has 56 bytes for 4 */
    { "inputs", "{\"model\":\"m\",\"input\":[<\"ab\">]}", 0 },
    { "inputs of numbers", "{\"model\":\"m\",\"input\":[<[1,2]>]}", 0 },
    { "stream options", ASKED ",\"stream\":true,\"stream_options\":{<\"#\":1>}}", 0 },
    { "items of two sides",
        "{\"model\":\"m\",\"input\":[<{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\","
        "\"content\":\"b\"}>]}",
        0 },
    { "items of the assistant",
        "{\"model\":\"m\",\"input\":[{\"role\":\"user\",\"content\":\"a\"},<{\"role\":\"assistant\","
        "\"content\":\"b\"}>]}",
        0 },
    { "rounds of call items",
        "{\"model\":\"m\",\"input\":[<{\"type\":\"function_call\",\"call_id\":\"c#\",\"name\":\"f\","
        "\"arguments\":\"{}\"},{\"type\":\"function_call_output\",\"call_id\":\"c#\",\"output\":"
        "\"a\"}>]}",
        0 },
    { "reasoning items",
        "{\"model\":\"m\",\"input\":[<{\"type\":\"reasoning\",\"summary\":[{\"text\":\"a\"}],"
        "\"encrypted_content\":\"e\"},{\"role\":\"assistant\",\"content\":\"b\"}>]}",
        0 },
    { "sealed signatures of calls",
        "{\"model\":\"m\",\"input\":[<{\"type\":\"reasoning\",\"encrypted_content\":"
        "\"openclaw.1.anthropic.eyJzaWduYXR1cmUiOiJFcSIsImNhbGwiOiJjIn0=\"}>]}",
        0 },
    { "summaries of an item",
        "{\"model\":\"m\",\"input\":[{\"type\":\"reasoning\",\"summary\":[<{\"text\":\"a\"}>]}]}",
        0 },
    { "items of unknown kinds", "{\"model\":\"m\",\"input\":[<{\"type\":\"t#\"}>]}", 0 },
    { "flat tools",
        "{\"model\":\"m\",\"input\":\"a\",\"tools\":[<{\"type\":\"function\",\"name\":\"f#\"}>]}",
        0 },
    { "flat free-form tools",
        "{\"model\":\"m\",\"input\":\"a\",\"tools\":[<{\"type\":\"custom\",\"name\":\"f#\"}>]}",
        0 },
};

/* What a caller's wire could not read: it is the same for every provider, and costs the same. */
struct unread {
    bool head;
    bool rest;
};

/* A caller's wire and operation, and a provider's wire. */
struct pair {
    const struct wire *from;
    const struct wire *to;
    enum llm_op op;
    const struct wire_target *target;
    struct unread *unread;
};

static void
write_for(struct llm_request *r, const struct pair *pair, struct cost *c)
{
    struct wire_drops drops = { .arena = r->arena };
    struct wire_fault fault = { { NULL, 0 }, { NULL, 0 } };
    struct buf out;

    buf_init(&out, ARENA_LIMIT);
    c->ok = write_request(pair->to, &out, r, pair->target, &drops, &fault) == OK;
    hold(c, arena_held_bytes(r->arena) + buf_len(&out));
    buf_fini(&out);
}

static void
edit_for(const struct llm_request *r, const struct pair *pair, struct cost *c)
{
    struct wire_edits edits = { .count = 0 };
    struct str pieces[2 * WIRE_EDITS + 1];

    if (pair->to->provider->edit_request == NULL)
        return;
    pair->to->provider->edit_request(r, pair->target, &edits);
    c->ok = wire_edits_apply(&edits, r->body, pieces) > 0;
    hold(c, arena_held_bytes(r->arena));
}

/* As the gateway does it: parse, find out what is needed, sample the text, read the head, then edit for a provider of the same wire, else
 * read all of it and write it anew. */
static void
run_request(struct str body, const void *arg, struct cost *c)
{
    static const struct json_limits limits = { .depth = 64, .values = JSON_VALUES_MAX };
    const struct pair *pair = arg;
    struct wire_fault fault = { { NULL, 0 }, { NULL, 0 } };
    struct arena *a = arena_create(ARENA_LIMIT);
    struct llm_request r = { .arena = a, .op = pair->op, .wire = pair->from, .body = body };
    struct needs needs;
    struct llm_sample sample;

    r.doc = json_parse(a, body, &limits, NULL);
    EXPECT(r.doc != NULL);
    needs_find(&r, &needs);
    sample_take(&r, &sample);
    if (llm_request_read(&r, &fault) != OK) {
        pair->unread->head = true;
    } else if (pair->from == pair->to) {
        edit_for(&r, pair, c);
    } else if (llm_request_expand(&r, &fault) != OK) {
        pair->unread->rest = true;
    } else {
        EXPECT(llm_request_estimate_tokens(&r) >= 0);
        write_for(&r, pair, c);
    }
    hold(c, arena_held_bytes(a));
    arena_destroy(a);
}

TEST(requests_cost_in_proportion_to_what_is_repeated_in_them)
{
    static const struct wire_target targets[] = {
        { .model = S_INIT("m") },
        { .model = S_INIT("m"),
            .traits = TRAITS(.no_stream_options = YES, .max_tokens = YES, .no_developer = YES,
                .strict_keys = YES, .max_output = 100, .reasoning = YES) },
    };

    faults = 0;
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        bool understood = false;

        for (size_t from = 0; wire_at(from) != NULL; from++)
            for (int op = 0; op < OP_COUNT; op++) {
                struct unread unread = { false, false };

                for (size_t to = 0; wire_at(to) != NULL && !unread.head; to++)
                    for (size_t t = 0; t < ARRAY_LEN(targets); t++) {
                        struct pair pair = { wire_at(from), wire_at(to), (enum llm_op)op,
                            &targets[t], &unread };
                        char where[128];

                        if (pair.from->caller == NULL || pair.to->provider == NULL)
                            continue;
                        if (unread.head || (unread.rest && from != to))
                            continue;
                        if (from != to && (from + 2 * to + i) % EACH != 0)
                            continue;
                        (void)snprintf(where, sizeof(where), "%s of " STR_FMT " for " STR_FMT,
                            op_names[op], STR_ARG(pair.from->name), STR_ARG(pair.to->name));
                        understood |= judge(&requests[i], where, run_request, &pair);
                    }
            }
        if (!understood) {
            print_error("%s: no wire takes it\n", requests[i].what);
            faults++;
        }
    }
    EXPECT_INT(faults, 0);
}

/* --- answers --- */

#define CHUNK "{\"id\":\"i\",\"model\":\"m\",\"choices\":["
#define STOP                                                                                       \
    CHUNK "{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n"                              \
          "[DONE]\n"
#define DELTA "{\"choices\":[{\"index\":0,\"delta\":{"
#define BEGIN                                                                                      \
    "{\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"m\",\"usage\":{"        \
    "\"input_tokens\":1}}}\n"
#define END                                                                                        \
    "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{"             \
    "\"output_tokens\":1}}\n{\"type\":\"message_stop\"}\n"

/* One frame a line. */
#define CONVERSE_END                                                                               \
    "messageStop {\"stopReason\":\"end_turn\"}\n"                                                  \
    "metadata {\"usage\":{\"inputTokens\":1,\"outputTokens\":1}}"
#define R_END                                                                                      \
    "{\"type\":\"response.completed\",\"response\":{\"status\":\"completed\",\"output\":[]}}\n"

static const struct row streams[] = {
    { "deltas of Bedrock",
        "@<contentBlockDelta {\"contentBlockIndex\":0,\"delta\":{\"text\":\"a\"}}\n>" CONVERSE_END,
        0 },
    { "thoughts of Bedrock",
        "@<contentBlockDelta {\"contentBlockIndex\":#,\"delta\":{\"reasoningContent\":{\"text\":\"a\"}}}\n"
        "contentBlockDelta {\"contentBlockIndex\":#,\"delta\":{\"reasoningContent\":{\"signature\":\"a\"}}}\n"
        "contentBlockStop {\"contentBlockIndex\":#}\n>" CONVERSE_END,
        0 },
    { "calls of Bedrock",
        "@<contentBlockStart {\"contentBlockIndex\":#,\"start\":{\"toolUse\":{\"toolUseId\":\"t#\",\"name\":"
        "\"f\"}}}\ncontentBlockDelta {\"contentBlockIndex\":#,\"delta\":{\"toolUse\":{\"input\":\"{}\"}}}\n"
        "contentBlockStop {\"contentBlockIndex\":#}\n>" CONVERSE_END,
        250 },

    { "deltas", "@<" DELTA "\"content\":\"a\"}}]}\n>" STOP, 0 },
    { "deltas of two kinds in turn",
        "@<" DELTA "\"content\":\"a\"}}]}\n" DELTA "\"reasoning_content\":\"b\"}}]}\n>" STOP, 0 },
    { "parts of a delta", DELTA "\"content\":[<{\"text\":\"a\"},{\"thinking\":\"b\"}>]}}]}\n" STOP,
        0 },
    { "thoughts of a delta", DELTA "\"content\":[{\"thinking\":[<{\"text\":\"a\"}>]}]}}]}\n" STOP,
        0 },
    { "deltas of choices in turn",
        "@<{\"choices\":[{\"index\":#,\"delta\":{\"content\":\"a\"}}]}\n"
        "{\"choices\":[{\"index\":^,\"delta\":{\"content\":\"b\"}}]}\n>"
        "@<{\"choices\":[{\"index\":#,\"delta\":{},\"finish_reason\":\"stop\"}]}\n>[DONE]\n",
        32 },
    { "choices", "{\"choices\":[<{}>]}\n{\"choices\":[<{\"finish_reason\":\"stop\"}>]}\n[DONE]\n",
        32 },
    { "calls",
        "@<" DELTA "\"tool_calls\":[{\"index\":#,\"id\":\"c#\",\"function\":{\"name\":\"f\","
        "\"arguments\":\"{}\"}}]}}]}\n>" STOP,
        250 },
    { "calls without arguments",
        "@<" DELTA "\"tool_calls\":[{\"index\":#,\"id\":\"c#\",\"function\":{\"name\":\"f\"}}]}}]}"
        "\n>" STOP,
        250 },
    { "calls of one frame",
        DELTA
        "\"tool_calls\":[<{\"index\":#,\"id\":\"c\",\"function\":{\"name\":\"f\"}}>]}}]}\n" STOP,
        250 },
    { "calls that are told apart by id",
        "@<" DELTA "\"tool_calls\":[{\"id\":\"c#\",\"function\":{\"name\":\"f\"}}]}}]}\n>"
        "@<" DELTA
        "\"tool_calls\":[{\"id\":\"c#\",\"function\":{\"arguments\":\"{}\"}}]}}]}\n>" STOP,
        250 },
    { "calls whose arguments come in turn",
        "@<" DELTA "\"tool_calls\":[{\"index\":#,\"id\":\"c#\",\"function\":{\"name\":\"f\"}}]}}]}"
        "\n>@<" DELTA "\"tool_calls\":[{\"index\":#,\"function\":{\"arguments\":\"{\"}}]}}]}\n>"
        "@<" DELTA "\"tool_calls\":[{\"index\":^,\"function\":{\"arguments\":\"}\"}}]}}]}\n>" STOP,
        60 },
    { "arguments of two calls in turn",
        DELTA "\"tool_calls\":[{\"index\":0,\"id\":\"c0\",\"function\":{\"name\":\"f\"}},"
              "{\"index\":1,\"id\":\"c1\",\"function\":{\"name\":\"f\"}}]}}]}\n"
              "@<" DELTA "\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\"}},"
              "{\"index\":1,\"function\":{\"arguments\":\"{\"}}]}}]}\n>" STOP,
        0 },
    { "arguments of two calls in turn in one frame",
        DELTA "\"tool_calls\":[{\"index\":0,\"id\":\"c0\",\"function\":{\"name\":\"f\"}},"
              "{\"index\":1,\"id\":\"c1\",\"function\":{\"name\":\"f\"}},"
              "<{\"index\":0,\"function\":{\"arguments\":\"{\"}},"
              "{\"index\":1,\"function\":{\"arguments\":\"{\"}}>]}}]}\n" STOP,
        0 },
    { "fragments that open no call", DELTA "\"tool_calls\":[<{\"index\":#}>]}}]}\n" STOP, 0 },
    { "annotations",
        "@<" DELTA "\"content\":\"a\",\"annotations\":[{\"type\":\"url_citation\"}]}}"
        "]}\n>" STOP,
        0 },
    { "annotations of one frame",
        DELTA "\"content\":\"a\",\"annotations\":[<{\"type\":\"url_citation\"}>]}}]}\n" STOP, 0 },
    { "annotations of any kind", DELTA "\"content\":\"a\",\"annotations\":[<1>]}}]}\n" STOP, 0 },
    { "lines of an annotation",
        DELTA
        "\"content\":\"a\",\"annotations\":[{\"type\":\"url_citation\",\"x\":[<1>]}]}}]}\n" STOP,
        0 },
    { "logprobs",
        "@<{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"logprobs\":{\"content\":[1]}}"
        "]}\n>" STOP,
        0 },
    { "logprobs of one frame",
        "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"logprobs\":{\"content\":[<1>]}"
        "}]}\n" STOP,
        0 },
    { "images of one frame", DELTA "\"content\":\"a\",\"images\":[<1>]}}]}\n" STOP, 0 },
    { "reasoning_details",
        "@<" DELTA "\"reasoning_details\":[{\"text\":\"a\",\"format\":\"anthropic-claude-v1\","
        "\"signature\":\"s\"}]}}]}\n>" STOP,
        0 },
    { "reasoning_details of one frame",
        DELTA "\"reasoning_details\":[<{\"text\":\"a\",\"format\":\"anthropic-claude-v1\","
              "\"signature\":\"s\"}>]}}]}\n" STOP,
        0 },
    { "encrypted reasoning_details",
        DELTA
        "\"reasoning_details\":[<{\"format\":\"anthropic-claude-v1\",\"data\":\"a\"}>]}}]}\n" STOP,
        0 },
    { "a long id, and deltas",
        "{\"id\":\"@<abcdefgh>\",\"choices\":[{\"index\":0,\"delta\":{\"content\":[<{\"text\":\"a\""
        "},{\"thinking\":\"b\"}>]}}]}\n" STOP,
        0 },
    { "a long model, and deltas",
        "{\"id\":\"i\",\"model\":\"@<abcdefgh>\",\"choices\":[{\"index\":0,\"delta\":{\"content\":["
        "<{\"text\":\"a\"},{\"thinking\":\"b\"}>]}}]}\n" STOP,
        0 },
    { "usage",
        "@<{\"id\":\"i\",\"choices\":[],\"usage\":{\"prompt_tokens\":#}}\n>" DELTA
        "\"content\":\"a\"}}]}\n" STOP,
        0 },
    { "members of a chunk",
        "{<\"x#\":1>,\"id\":\"i\",\"choices\":[]}\n" DELTA "\"content\":\"a\"}}]}\n" STOP, 0 },
    { "characters cut in two",
        "@<" DELTA "\"content\":\"\\ud83d\"}}]}\n" DELTA "\"content\":\"\\ude00\"}}]}\n>" STOP, 0 },
    { "text_delta",
        BEGIN "@<{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\","
              "\"text\":\"a\"}}\n>" END,
        0 },
    { "blocks of two kinds",
        BEGIN "@<{\"type\":\"content_block_start\",\"index\":#,\"content_block\":{\"type\":\"text\""
              ",\"text\":\"a\"}}\n{\"type\":\"content_block_start\",\"index\":#,\"content_block\":"
              "{\"type\":\"thinking\",\"thinking\":\"a\"}}\n>" END,
        0 },
    { "tool_use",
        BEGIN
        "@<{\"type\":\"content_block_start\",\"index\":#,\"content_block\":{\"type\":"
        "\"tool_use\",\"id\":\"c#\",\"name\":\"f\"}}\n{\"type\":\"content_block_delta\","
        "\"index\":#,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{}\"}}\n>" END,
        250 },
    { "tool_use with input",
        BEGIN "@<{\"type\":\"content_block_start\",\"index\":#,\"content_block\":{\"type\":"
              "\"tool_use\",\"id\":\"c#\",\"name\":\"f\",\"input\":{\"a\":1}}}\n>" END,
        250 },
    { "citations",
        BEGIN "@<{\"type\":\"content_block_delta\",\"delta\":{\"type\":\"citations_delta\","
              "\"citation\":{\"type\":\"t\"}}}\n>" END,
        0 },
    { "citations of one frame",
        BEGIN "{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\","
              "\"text\":\"a\",\"citations\":[<{\"type\":\"t\"}>]}}\n" END,
        0 },
    { "citations of any kind",
        BEGIN "{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\","
              "\"text\":\"a\",\"citations\":[<1>]}}\n" END,
        0 },
    { "values of a citation",
        BEGIN "{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\","
              "\"text\":\"a\",\"citations\":[{\"type\":\"url_citation\",\"x\":[<1>]}]}}\n" END,
        0 },
    { "signed and hidden thinking",
        BEGIN "@<{\"type\":\"content_block_start\",\"index\":#,\"content_block\":{\"type\":"
              "\"thinking\",\"thinking\":\"a\",\"signature\":\"s\"}}\n{\"type\":"
              "\"content_block_start\",\"index\":#,\"content_block\":{\"type\":"
              "\"redacted_thinking\",\"data\":\"a\"}}\n>" END,
        0 },
    { "blocks of providers' tools",
        BEGIN "@<{\"type\":\"content_block_start\",\"index\":#,\"content_block\":{\"type\":\"t#\","
              "\"x\":[1,1,1,1]}}\n>" END,
        0 },
    { "iterations",
        BEGIN
        "{\"type\":\"message_delta\",\"delta\":{},\"usage\":{\"iterations\":[<{\"x\":1}>]}}\n" END,
        0 },
    { "cache_creation",
        BEGIN "{\"type\":\"message_delta\",\"delta\":{},\"usage\":{\"cache_creation\":{<\"#\":1>}}}"
              "\n" END,
        0 },
    { "deltas of an item",
        "@<{\"type\":\"response.output_text.delta\",\"output_index\":0,\"delta\":\"a\"}\n>" R_END,
        0 },
    { "deltas of two items in turn",
        "@<{\"type\":\"response.output_text.delta\",\"output_index\":0,\"delta\":\"a\"}\n"
        "{\"type\":\"response.reasoning_text.delta\",\"output_index\":1,\"delta\":\"b\"}\n>" R_END,
        0 },
    { "items",
        "@<{\"type\":\"response.output_item.done\",\"output_index\":#,\"item\":{\"type\":\"message\","
        "\"content\":[{\"type\":\"output_text\",\"text\":\"a\"}]}}\n>" R_END,
        0 },
    { "call items",
        "@<{\"type\":\"response.output_item.added\",\"output_index\":#,\"item\":{\"type\":"
        "\"function_call\",\"call_id\":\"c#\",\"name\":\"f\"}}\n"
        "{\"type\":\"response.output_item.done\",\"output_index\":#,\"item\":{\"type\":"
        "\"function_call\",\"call_id\":\"c#\",\"name\":\"f\",\"arguments\":\"{}\"}}\n>" R_END,
        250 },
    { "annotations of an item",
        "{\"type\":\"response.output_text.delta\",\"output_index\":0,\"delta\":\"a\"}\n"
        "@<{\"type\":\"response.output_text.annotation.added\",\"output_index\":0,\"annotation\":{"
        "\"type\":\"url_citation\",\"url\":\"u\"}}\n>" R_END,
        0 },
};

#define MESSAGE "{\"id\":\"i\",\"choices\":[{\"message\":{"
#define FINISH "},\"finish_reason\":\"stop\"}]}"
#define ANSWER "{\"type\":\"message\",\"id\":\"msg_1\",\"content\":["

static const struct row answers[] = {
    { "vectors of objects",
        "{\"data\":[<{\"index\":#,\"embedding\":[0.12345,-0.5]}>],\"usage\":{\"prompt_tokens\":1}}",
        0 },
    { "numbers of a vector", "{\"data\":[{\"index\":0,\"embedding\":[<0.12345>]}]}", 0 },
    { "vectors that name the same input",
        "{\"data\":[<{\"index\":0,\"embedding\":[0.12345,-0.5]}>]}", 0 },
    { "vectors of a list", "{\"embeddings\":[<[0.12345,-0.5]>]}", 0 },
    { "vectors of several types",
        "{\"embeddings\":{\"float\":[<[0.12345,-0.5]>],\"int8\":[<[12,-100,127]>]}}", 0 },
    { "vectors of Gemini's", "{\"embeddings\":[<{\"values\":[0.12345,-0.5]}>]}", 0 },
    { "predictions",
        "{\"predictions\":[<{\"embeddings\":{\"values\":[0.5],\"statistics\":{\"token_count\":1}}}>]}",
        0 },
    { "results of a ranking", "{\"results\":[<{\"index\":#,\"relevance_score\":0.5}>]}", 0 },
    { "blocks of Bedrock",
        "{\"output\":{\"message\":{\"content\":[<{\"text\":\"a\"},{\"reasoningContent\":{\"reasoningText\":{"
        "\"text\":\"a\",\"signature\":\"s\"}}}>]}},\"stopReason\":\"end_turn\"}",
        0 },
    { "whole calls of Bedrock",
        "{\"output\":{\"message\":{\"content\":[<{\"toolUse\":{\"toolUseId\":\"t#\",\"name\":\"f\",\"input\":{"
        "}}}>]}},\"stopReason\":\"tool_use\"}",
        250 },
    { "citations of Bedrock",
        "{\"output\":{\"message\":{\"content\":[{\"text\":\"a\"},{\"citationsContent\":{\"citations\":[<{"
        "\"title\":\"t\",\"location\":{\"web\":{\"url\":\"u://#\"}}}>]}}]}},\"stopReason\":\"end_turn\"}",
        0 },

    { "text", MESSAGE "\"content\":\"@<abcdefgh>\"" FINISH, 0 },
    { "parts", MESSAGE "\"content\":[<{\"text\":\"a\"},{\"thinking\":\"b\"}>]" FINISH, 0 },
    { "parts of one kind", MESSAGE "\"content\":[<{\"text\":\"a\"}>]" FINISH, 0 },
    { "calls", MESSAGE "\"tool_calls\":[<{\"function\":{\"name\":\"f\"}}>]" FINISH, 250 },
    { "calls with arguments",
        MESSAGE "\"tool_calls\":[<{\"id\":\"c#\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}"
                "}>]" FINISH,
        250 },
    { "free-form calls",
        MESSAGE "\"tool_calls\":[<{\"custom\":{\"name\":\"f\",\"input\":\"x\"}}>]" FINISH, 250 },
    { "annotations",
        MESSAGE "\"content\":\"a\",\"annotations\":[<{\"type\":\"url_citation\"}>]" FINISH, 0 },
    { "lines of an annotation",
        MESSAGE
        "\"content\":\"a\",\"annotations\":[{\"type\":\"url_citation\",\"x\":[<\n1>]}]" FINISH,
        0 },
    { "annotations of any kind", MESSAGE "\"content\":\"a\",\"annotations\":[<{}>]" FINISH, 0 },
    { "images", MESSAGE "\"content\":\"a\",\"images\":[<1>]" FINISH, 0 },
    { "logprobs",
        "{\"id\":\"i\",\"choices\":[{\"message\":{\"content\":\"a\"},\"logprobs\":{\"content\":[<1>"
        "]},\"finish_reason\":\"stop\"}]}",
        0 },
    { "lines of logprobs",
        "{\"id\":\"i\",\"choices\":[{\"message\":{\"content\":\"a\"},\"logprobs\":{\"content\":[<\n"
        "1>]},\"finish_reason\":\"stop\"}]}",
        0 },
    { "reasoning_details",
        MESSAGE "\"reasoning_details\":[<{\"text\":\"a\",\"format\":\"anthropic-claude-v1\","
                "\"signature\":\"s\"}>]" FINISH,
        0 },
    { "hidden reasoning_details",
        MESSAGE
        "\"reasoning_details\":[<{\"format\":\"anthropic-claude-v1\",\"data\":\"a\"}>]" FINISH,
        0 },
    { "choices", "{\"id\":\"i\",\"choices\":[<{}>]}", 32 },
    { "choices with text", "{\"id\":\"i\",\"choices\":[<{\"text\":\"a\"}>]}", 32 },
    { "members", "{<\"x#\":1>,\"id\":\"i\",\"choices\":[{\"message\":{\"content\":\"a\"}}]}", 0 },
    { "vectors", "{\"id\":\"i\",\"data\":[<{\"embedding\":[1,1,1]}>]}", 0 },
    { "blocks of two kinds",
        ANSWER "<{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"thinking\",\"thinking\":\"b\"}>]}",
        0 },
    { "blocks of one kind", ANSWER "<{\"type\":\"text\",\"text\":\"a\"}>]}", 0 },
    { "hidden blocks", ANSWER "<{\"type\":\"redacted_thinking\",\"data\":\"a\"}>]}", 0 },
    { "signed blocks", ANSWER "<{\"type\":\"thinking\",\"thinking\":\"a\",\"signature\":\"s\"}>]}",
        0 },
    { "tool_use", ANSWER "<{\"type\":\"tool_use\",\"id\":\"c\",\"name\":\"f\"}>]}", 0 },
    { "tool_use with input",
        ANSWER "<{\"type\":\"tool_use\",\"id\":\"c\",\"name\":\"f\",\"input\":{\"a\":1}}>]}", 0 },
    { "tool_use with values",
        ANSWER "{\"type\":\"tool_use\",\"id\":\"c\",\"name\":\"f\",\"input\":[<1>]}]}", 0 },
    { "citations", ANSWER "{\"type\":\"text\",\"text\":\"a\",\"citations\":[<{\"type\":\"t\"}>]}]}",
        0 },
    { "values of a citation",
        ANSWER "{\"type\":\"text\",\"text\":\"a\",\"citations\":[{\"type\":\"url_citation\",\"x\":["
               "<1>]}]}]}",
        0 },
    { "blocks of providers' tools", ANSWER "<{}>]}", 0 },
    { "blocks with values", ANSWER "{\"type\":\"t\",\"x\":[<1>]}]}", 0 },
    { "items of an answer",
        "{\"id\":\"r\",\"status\":\"completed\",\"output\":[<{\"type\":\"message\",\"content\":[{"
        "\"type\":\"output_text\",\"text\":\"a\"}]}>]}",
        0 },
    { "call items of an answer",
        "{\"id\":\"r\",\"status\":\"completed\",\"output\":[<{\"type\":\"function_call\",\"call_id\":"
        "\"c#\",\"name\":\"f\",\"arguments\":\"{}\"}>]}",
        250 },
};

/* A provider's wire, and what becomes of its answer: a stream for a caller of `to`, or a folded
 * answer. */
struct way {
    const struct wire *from;
    const struct wire *to;
    enum llm_op op;
    bool stream;
    bool fold;
};

struct receiver {
    struct event_sink sink;
    const struct way *way;
    struct llm_answer answer;
    struct wire_writer writer;
};

static void
receive(struct event_sink *sink, const struct llm_event *ev)
{
    struct receiver *v = CONTAINER_OF(sink, struct receiver, sink);

    if (v->way->fold)
        v->answer.sink.emit(&v->answer.sink, ev);
    else
        v->way->to->caller->write_event(&v->writer, ev);
}

/* Frame by frame; what was written for the caller leaves after each, and is not counted. */
static enum err
read_frames(struct wire_reader *r, struct str lines, struct buf *out, struct cost *c)
{
    enum err e = OK;

    while (lines.n > 0 && e == OK) {
        struct arena_mark mark = arena_mark(r->scratch);
        struct str line;

        struct str event = S("");

        (void)str_cut(lines, '\n', &line, &lines);
        if (r->wire->framing == &framing_aws_events)    /* NAME DOCUMENT */
            (void)str_cut(line, ' ', &event, &line);
        e = r->wire->provider->read_event(r, event, line);
        hold(c, arena_held_bytes(r->keep) + arena_held_bytes(r->scratch));
        arena_rewind(r->scratch, mark);
        buf_reset(out, 0);
    }
    if (e == OK)
        r->wire->provider->read_end(r);
    return e;
}

static void
write_whole(struct receiver *v)
{
    const struct wire_caller *caller = v->way->to->caller;
    const struct wire_asks *asks = caller->asks[v->way->op];

    for (const struct llm_vector *x = v->answer.vectors; x != NULL; x = x->next)
        v->writer.inputs++;
    v->writer.form = 1;    /* of a list, where there are several */
    if (asks != NULL)
        asks->write_answer(&v->writer, &v->answer);
    else
        caller->write_answer(&v->writer, &v->answer);
}

static void
run_answer(struct str input, const void *arg, struct cost *c)
{
    const struct way *way = arg;
    struct llm_request request = { .op = way->op, .wire = way->to, .want_usage = true };
    struct arena *keep = arena_create(ARENA_LIMIT);
    struct arena *scratch = arena_create(ARENA_LIMIT);
    struct buf out;
    struct receiver v = { .sink = { .emit = receive }, .way = way };
    struct wire_reader r = {
        .wire = way->from,
        .op = way->op,
        .stream = way->stream,
        .keep = keep,
        .scratch = scratch,
        .sink = &v.sink,
    };

    enum err e = OK;

    buf_init(&out, ARENA_LIMIT);
    v.writer = (struct wire_writer){ .wire = way->to,
        .op = request.op,
        .want_usage = request.want_usage,
        .keep = keep,
        .out = &out,
        .id = S("id"),
        .model = S("m") };
    answer_init(&v.answer, keep);
    if (way->stream)
        e = read_frames(&r, input, &out, c);
    else
        e = wire_read_answer(&r, input);
    hold(c, arena_held_bytes(keep) + arena_held_bytes(scratch));
    if (way->fold) {
        write_whole(&v);
        hold(c, arena_held_bytes(keep) + buf_len(&out));
    }
    c->ok = e == OK && r.complete;
    buf_fini(&out);
    arena_destroy(scratch);
    arena_destroy(keep);
}

static void
judge_answers(const struct row *rows, size_t count, bool stream)
{
    faults = 0;
    for (size_t i = 0; i < count; i++) {
        bool understood = false;

        for (size_t from = 0; wire_at(from) != NULL; from++)
            for (int op = 0; op < OP_COUNT; op++) {
                bool unread = false;    /* by the provider's wire: the same for every caller */

                for (size_t to = 0; wire_at(to) != NULL && !unread; to++)
                    for (int fold = 0; fold < 2; fold++) {
                        if ((wire_at(from)->provider->ops & OP_BIT(op)) == 0)
                            continue;
                        struct way way = { wire_at(from), wire_at(to), (enum llm_op)op, stream,
                            fold == 1 };
                        char where[128];

                        if (way.from->provider == NULL || way.to->caller == NULL)
                            continue;
                        if (from != to && (from + 2 * to + i) % EACH != 0)
                            continue;
                        (void)snprintf(where, sizeof(where), "%s of " STR_FMT ", %s for " STR_FMT,
                            op_names[op], STR_ARG(way.from->name), fold == 1 ? "whole" : "streamed",
                            STR_ARG(way.to->name));
                        unread = !judge(&rows[i], where, run_answer, &way);
                        understood |= !unread;
                    }
            }
        if (!understood) {
            print_error("%s: no wire takes it\n", rows[i].what);
            faults++;
        }
    }
    EXPECT_INT(faults, 0);
}

TEST(streams_cost_in_proportion_to_what_is_repeated_in_them)
{
    judge_answers(streams, ARRAY_LEN(streams), true);
}

TEST(answers_cost_in_proportion_to_what_is_repeated_in_them)
{
    judge_answers(answers, ARRAY_LEN(answers), false);
}

/* --- errors --- */

static const struct row errors[] = {
    { "words", "{\"error\":{\"message\":\"@<word >\"}}", 0 },
    { "what looks like a key", "{\"error\":{\"message\":\"@<sk- key: >\"}}", 0 },
    { "a long key", "{\"error\":{\"message\":\"sk-@<12345678>\"}}", 0 },
    { "details", "{\"detail\":[<{\"msg\":\"a\",\"loc\":[1]}>]}", 0 },
    { "Google's details",
        "{\"error\":{\"message\":\"a\",\"details\":[<{\"violations\":[{\"quotaId\":\"a#\"}]}>]}}",
        0 },
    { "limits that were reached",
        "{\"error\":{\"message\":\"a\",\"details\":[{\"violations\":[<{\"quotaId\":\"a#\"}>]}]}}",
        0 },
    { "words that say when", "{\"error\":{\"message\":\"@<wait 1 >\"}}", 0 },
    { "members", "{<\"x#\":1>,\"error\":{\"message\":\"a\"}}", 0 },
    { "prose", "@<key=>", 0 },
    { "blanks", "@<  >", 0 },
};

static void
run_error(struct str body, const void *arg, struct cost *c)
{
    const struct wire *wire = arg;
    struct arena *a = arena_create(ARENA_LIMIT);
    struct llm_error e;
    struct buf out;

    wire->provider->read_error(a, 400, body, &e);
    c->ok = e.message.n > 0;
    wire->provider->read_error(a, 429, body, &e);
    buf_init(&out, ARENA_LIMIT);
    for (size_t i = 0; wire_at(i) != NULL; i++)
        if (wire_at(i)->caller != NULL)
            wire_at(i)->caller->write_error(&out, &e, S("r"));
    hold(c, arena_held_bytes(a) + buf_len(&out));
    buf_fini(&out);
    arena_destroy(a);
}

TEST(errors_cost_in_proportion_to_what_is_repeated_in_them)
{
    faults = 0;
    for (size_t i = 0; i < ARRAY_LEN(errors); i++)
        for (size_t w = 0; wire_at(w) != NULL; w++)
            if (wire_at(w)->provider != NULL)
                EXPECT(judge(&errors[i], "an error", run_error, wire_at(w)));
    EXPECT_INT(faults, 0);
}

/* --- framing --- */

/* Streams of each framing. */
static const struct {
    const struct framing *framing;
    struct row row;
} framed_streams[] = {
    { &framing_sse, { "events", "@<data: a\n\n>", 0 } },
    { &framing_sse, { "data lines", "@<data: a\n>\n", 0 } },
    { &framing_sse, { "comments", "@<: a\n>\n", 0 } },
    { &framing_sse, { "blank lines", "@<\n>", 0 } },
    { &framing_sse, { "lone carriage returns", "@<data: a\r>\r", 0 } },
    { &framing_sse, { "unknown fields", "@<x: a\r\n>\r\n", 0 } },
    { &framing_sse, { "a long line", "data: @<abcdefgh>\n\n", 0 } },
    { &framing_ndjson, { "documents", "@<{\"a\":1}\n>", 0 } },
    { &framing_ndjson, { "lines without a document", "@< \r\n>", 0 } },
    { &framing_ndjson, { "a long document", "{\"a\":\"@<abcdefgh>\"}\n", 0 } },
    { &framing_json_array, { "elements", "[@<{\"a\":[1]},>{}]", 0 } },
    { &framing_json_array, { "a deep element", "[{\"a\":@<[>@<]>}]", 0 } },
    { &framing_json_array, { "a long element", "[{\"a\":\"@<abc\\\"fgh>\"}]", 0 } },
    { &framing_json_array, { "blanks after the array", "[]@< \n>", 0 } },
};

static bool
count_frame(void *arg, const struct frame *frame)
{
    struct cost *c = arg;

    c->ok = true;
    (void)frame;
    return true;
}

struct cut {
    const struct framing *framing;
    size_t step;
};

static void
run_framing(struct str input, const void *arg, struct cost *c)
{
    const struct cut *cut = arg;
    struct framing_reader r;

    framing_init(&r, cut->framing, ARENA_LIMIT);
    while (input.n > 0) {
        struct str piece = str_make(input.p, MIN(cut->step, input.n));

        EXPECT_INT(framing_feed(&r, piece, count_frame, c), OK);
        hold(c, framing_held_bytes(&r));
        input = str_skip(input, piece.n);
    }
    EXPECT_INT(framing_end(&r, count_frame, c), OK);
    framing_fini(&r);
}

TEST(streams_cost_in_proportion_however_they_are_cut)
{
    static const size_t steps[] = { 1, 100, SIZE_MAX };

    faults = 0;
    for (size_t i = 0; i < ARRAY_LEN(framed_streams); i++)
        for (size_t k = 0; k < ARRAY_LEN(steps); k++) {
            struct cut cut = { .framing = framed_streams[i].framing, .step = steps[k] };

            (void)judge(&framed_streams[i].row, "a stream", run_framing, &cut);
        }
    EXPECT_INT(faults, 0);
}

static const struct row undecoded[] = {
    { "errors that are null", "data: @<\"error\":null,>@< >\n\n", 0 },
    { "errors with blanks", "data: @<\"error\"  :  null,>\n\n", 0 },
    { "beginnings of an error", "data: @<event: erro>\n\n", 0 },
};

static void
run_undecoded(struct str input, const void *arg, struct cost *c)
{
    (void)arg;
    EXPECT(!fail_is_told(input));
    c->ok = true;
}

TEST(streams_that_nobody_decodes_cost_in_proportion)
{
    faults = 0;
    for (size_t i = 0; i < ARRAY_LEN(undecoded); i++)
        (void)judge(&undecoded[i], "a stream that is passed through", run_undecoded, NULL);
    EXPECT_INT(faults, 0);
}

#define REQUEST_LINE "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n"

static const struct row heads[] = {
    { "fields", REQUEST_LINE "@<X#: a\r\n>\r\n", 0 },
    { "fields of one name", REQUEST_LINE "@<Connection: close\r\n>\r\n", 0 },
    { "a long field", REQUEST_LINE "X: @<abcdefgh>\r\n\r\n", 0 },
    { "a long list", REQUEST_LINE "Connection: @<a,>\r\n\r\n", 0 },
    { "blanks", REQUEST_LINE "X: @<  >\r\n\r\n", 0 },
};

static void
run_head(struct str input, const void *arg, struct cost *c)
{
    static struct http_field fields[GROWTH * N + 8];
    const struct h1_limits limits = { 1 << 24, 1 << 16, ARRAY_LEN(fields) };
    size_t step = *(const size_t *)arg;
    struct h1_scan scan = { 0 };
    const char *why = NULL;
    struct h1_head head;
    size_t end = 0;

    for (size_t n = 0; n < input.n && end == 0;) {
        n = step < input.n - n ? n + step : input.n;
        EXPECT_INT(h1_scan(&scan, str_make(input.p, n), &limits, &end, &why), OK);
    }
    EXPECT_INT(end, input.n);
    EXPECT_INT(h1_parse_request(input, fields, ARRAY_LEN(fields), &head, &why), OK);
    EXPECT(http_field_get(&head.head.fields, S("x-none")).p == NULL);
    c->ok = true;
}

TEST(heads_cost_in_proportion_however_they_are_cut)
{
    static const size_t steps[] = { 1, 100, SIZE_MAX };

    faults = 0;
    for (size_t i = 0; i < ARRAY_LEN(heads); i++)
        for (size_t k = 0; k < ARRAY_LEN(steps); k++)
            (void)judge(&heads[i], "a head", run_head, &steps[k]);
    EXPECT_INT(faults, 0);
}

#define PART(field, content)                                                                       \
    "--XyZ\r\nContent-Disposition: form-data; name=\"" field "\"\r\n\r\n" content "\r\n"
#define MODEL PART("model", "m") "--XyZ--\r\n"

static const struct row forms[] = {
    { "parts", "@<" PART("f#", "a") ">" MODEL, 0 },
    { "fields of a part",
        "--XyZ\r\n@<X#: a\r\n>Content-Disposition: form-data; name=a\r\n\r\na\r\n" MODEL, 0 },
    { "parameters of a part",
        "--XyZ\r\nContent-Disposition: form-data; name=a@<; p#=a>\r\n\r\na\r\n" MODEL, 0 },
    { "beginnings of a boundary", PART("f", "@<\r\n--Xy>") MODEL, 0 },
    { "ends of heads", PART("f", "@<\r\n\r\n>") MODEL, 0 },
    { "a preamble", "@<\r\n-->\r\n" MODEL, 0 },
    { "a quoted name",
        "--XyZ\r\nContent-Disposition: form-data; name=\"@<\\\">\"\r\n\r\n\r\n" MODEL, 0 },
};

static void
run_form(struct str input, const void *arg, struct cost *c)
{
    struct str value = { NULL, 0 };
    const char *why = NULL;

    (void)arg;
    (void)multipart_find(S("multipart/form-data; boundary=XyZ"), input, S("model"), &value, &why);
    c->ok = true;
}

TEST(forms_cost_in_proportion_to_what_is_repeated_in_them)
{
    faults = 0;
    for (size_t i = 0; i < ARRAY_LEN(forms); i++)
        (void)judge(&forms[i], "a form", run_form, NULL);
    EXPECT_INT(faults, 0);
}

static const struct row texts[] = {
    { "letters", "@<a>", 0 },
    { "letters of a random word", "@<wvzkqoxh>", 0 },
    { "upper case after one that is both", "\xe5\xad\x97@<A>", 0 },
    { "upper case and those that are both", "@<A\xe5\xad\x97>", 0 },
    { "accents", "@<\xcc\x88>", 0 },
    { "spaces", "@< >", 0 },
    { "spaces and line ends", "@< \n>", 0 },
    { "line ends before spaces", "\n\n@< > a", 0 },
    { "contractions", "@<'s>", 0 },
    { "digits", "@<7>", 0 },
    { "symbols", "@<=>", 0 },
    { "symbols before line ends", "@<!\n/>", 0 },
    { "bytes that are not UTF-8", "@<\xf0\x9f>", 0 },
};

static void
run_text(struct str input, const void *arg, struct cost *c)
{
    (void)tokens_count(*(const enum tokens_family *)arg, input);
    c->ok = true;
}

TEST(tokens_are_counted_in_proportion_to_the_text)
{
    faults = 0;
    for (enum tokens_family f = 0; f < TOKENS_FAMILIES; f++)
        for (size_t i = 0; i < ARRAY_LEN(texts); i++)
            (void)judge(&texts[i], tokens_name(f), run_text, &f);
    EXPECT_INT(faults, 0);
}

/* --- the judge itself --- */

static void
run_square(struct str input, const void *arg, struct cost *c)
{
    (void)arg;
    for (size_t i = 0; i < input.n; i++)
        steps_count += input.n;
    hold(c, input.n * input.n);
}

TEST(what_grows_with_the_square_is_noticed)
{
    static const struct row row = { "the square of it", "@<abcdefgh>", 0 };

    faults = 0;
    (void)judge(&row, "(this is to be noticed)", run_square, NULL);
    EXPECT_INT(faults, 2);
}
