/* fuzz_analyze.c - the request analysis: any bytes are a text, and any JSON a request. */
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/json.h"
#include "llm/request.h"
#include "llm/wire.h"
#include "route/analyze.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(const struct llm_sample *s)
{
    struct analysis a, again;

    CHECK(s->used <= sizeof s->room && s->user.n <= SAMPLE_USER_BYTES + 2);
    analyze(s, &a);
    analyze(s, &again);
    CHECK(strcmp(a.language, again.language) == 0 && a.task == again.task);
    CHECK(a.task <= TASK_UNKNOWN && strlen(a.language) <= 2);
    CHECK(a.complexity_permille <= 1000 && a.code_permille <= 1000);
    CHECK(a.sentiment_permille >= -1000 && a.sentiment_permille <= 1000);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct wire *const callers[] = { &wire_openai_chat, &wire_anthropic,
        &wire_ollama };
    struct arena *a = arena_create(16 << 20);
    struct str text = str_make((const char *)data, size);
    struct llm_sample s;

    sample_text(text, &s);
    check(&s);

    const struct json *doc = json_parse(a, text, NULL, NULL);
    for (size_t i = 0; doc != NULL && i < ARRAY_LEN(callers); i++) {
        struct llm_request r = { .arena = a, .wire = callers[i], .body = text, .doc = doc };
        sample_take(&r, &s);
        check(&s);
    }
    arena_destroy(a);
    return 0;
}
