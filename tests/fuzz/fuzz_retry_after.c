/* fuzz_retry_after.c - hints of when to come back: lines are fields, what follows an empty line is
 * an error's object or its message. Whatever they say, it is between a millisecond and a day. */
#include <stdint.h>

#include "llm/headroom.h"
#include "llm/retry_after.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(int64_t ms)
{
    CHECK(ms >= 0 && ms <= RETRY_AFTER_MOST_MS);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = str_make((const char *)data, size), line;
    struct http_field list[64];
    struct http_fields fields = { list, 0 };
    struct arena *a = arena_create(1024 * 1024);

    while (str_cut(rest, '\n', &line, &rest) && line.n != 0 && fields.count < 64) {
        struct http_field *f = &list[fields.count++];

        (void)str_cut(line, ':', &f->name, &f->value);
        f->value = str_trim(f->value);
    }
    check(retry_after_asked_ms(&fields));
    check(retry_after_reset_ms(&fields));
    struct headroom h;
    if (headroom_read(&fields, &h)) {
        check(h.requests_reset_ms);
        check(h.tokens_reset_ms);
        CHECK(h.requests >= HEADROOM_UNSAID && h.tokens >= HEADROOM_UNSAID);
    }
    check(retry_after_in_error_ms(a, json_parse(a, rest, NULL, NULL)));
    check(retry_after_in_words_ms(rest));
    arena_destroy(a);
    return 0;
}
