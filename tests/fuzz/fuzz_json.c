/* fuzz_json.c - any bytes: either an error, or nodes that are true to the text. */
#include "base/json.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Written and parsed again, the text of a string is the same. */
static void
check_text(struct arena *a, const struct json *j)
{
    struct arena_mark mark = arena_mark(a);
    struct str text = json_str(a, j);
    struct buf b;

    CHECK(text.p != NULL);
    CHECK(json_str_is(j, text));
    CHECK(text.n <= j->n - 2);

    buf_init(&b, SIZE_MAX);
    json_add_str(&b, text);
    const struct json *again = json_parse(a, buf_str(&b), NULL, NULL);
    CHECK(json_is(again, JSON_STRING));
    CHECK(again->n == buf_len(&b));
    CHECK(str_eq(json_str(a, again), text));
    buf_fini(&b);
    arena_rewind(a, mark);
}

/* A double that was written reads back as the same. */
static void
check_number(struct arena *a, const struct json *j)
{
    struct arena_mark mark = arena_mark(a);
    double d = json_f64(j, 0);
    int64_t i = json_i64(j, 0);
    struct buf b;

    /* Below 2^53 a double holds the whole part exactly; rounding may only reach the next one. */
    if (d > -9e15 && d < 9e15)
        CHECK(i == (int64_t)d || i + 1 == (int64_t)d || i - 1 == (int64_t)d);
    else
        CHECK((i < 0) == (d < 0));

    buf_init(&b, 100);
    json_add_f64(&b, d);
    const struct json *again = json_parse(a, buf_str(&b), NULL, NULL);
    CHECK(again != NULL && !b.overflow);
    CHECK(json_is(again, JSON_NULL) || json_f64(again, 0) == d);
    buf_fini(&b);
    arena_rewind(a, mark);
}

static void check_value(struct arena *a, const struct json *j, struct str within);

/* The elements lie one behind the other inside `j`, and their spans fill it. */
static void
check_elements(struct arena *a, const struct json *j)
{
    struct str rest = str_make(j->p + 1, j->n - 2);
    struct json_iter it = json_iter(j);
    uint32_t span = 1;

    CHECK(j->p[0] == (it.object ? '{' : '[') && j->p[j->n - 1] == (it.object ? '}' : ']'));
    while (json_next(&it)) {
        if (it.object) {
            CHECK(json_is(it.key, JSON_STRING) && it.key->span == 1);
            check_value(a, it.key, rest);
            rest = str_skip(rest, (size_t)(it.key->p + it.key->n - rest.p));
            span++;
        }
        check_value(a, it.value, rest);
        rest = str_skip(rest, (size_t)(it.value->p + it.value->n - rest.p));
        span += it.value->span;
    }
    CHECK(span == j->span);
}

static void
check_value(struct arena *a, const struct json *j, struct str within)
{
    CHECK(j->n >= 1);
    CHECK(j->p >= within.p && j->p + j->n <= within.p + within.n);

    switch ((enum json_type)j->type) {
    case JSON_NULL:
        CHECK(str_eq(json_raw(j), S("null")));
        break;
    case JSON_FALSE:
        CHECK(str_eq(json_raw(j), S("false")) && !json_bool(j, true));
        break;
    case JSON_TRUE:
        CHECK(str_eq(json_raw(j), S("true")) && json_bool(j, false));
        break;
    case JSON_NUMBER:
        check_number(a, j);
        break;
    case JSON_STRING:
        CHECK(j->n >= 2 && j->p[0] == '"' && j->p[j->n - 1] == '"');
        CHECK((memchr(j->p, '\\', j->n) != NULL) == (j->escaped != 0));
        check_text(a, j);
        break;
    case JSON_ARRAY:
    case JSON_OBJECT:
        check_elements(a, j);
        break;
    }
    if (j->type != JSON_ARRAY && j->type != JSON_OBJECT)
        CHECK(j->span == 1);
}

/* Every member is found by its own key: no two keys are equal. */
static void
check_members(struct arena *a, const struct json *j)
{
    struct json_iter it = json_iter(j);

    if (!it.object || json_count(j) > 100)
        return;
    while (json_next(&it)) {
        struct arena_mark mark = arena_mark(a);

        CHECK(json_get(j, json_str(a, it.key)) == it.value);
        arena_rewind(a, mark);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_create(SIZE_MAX);
    struct str text = str_make((const char *)data, size);
    struct json_error e = { 0 };
    struct buf b;

    const struct json *j = json_parse(a, text, NULL, &e);
    if (j == NULL) {
        CHECK(e.what != NULL && e.offset <= size);
    } else {
        check_value(a, j, text);
        for (uint32_t i = 0; i < j->span; i++)
            check_members(a, j + i);
    }

    /* Any bytes can be written as a string. */
    buf_init(&b, SIZE_MAX);
    json_add_str(&b, text);
    CHECK(json_is(json_parse(a, buf_str(&b), NULL, NULL), JSON_STRING));
    buf_fini(&b);
    arena_destroy(a);
    return 0;
}
