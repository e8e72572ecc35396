/* test_models.c - what counts as a list of models. */
#include "gateway/models.c"

#include "tests/test.h"

/* The names that are read from an answer, or "-". */
static struct str
names_in(struct arena *a, const char *body)
{
    struct snapshot s = { .secrets = secrets_create() };
    struct models_ask q = { .snapshot = &s };
    struct str all = S("");

    secrets_add(s.secrets, S("sk-secret-of-the-gateway-0123456789"));
    struct offer_list *list = read_answer(&q, str_c(body));
    if (list != NULL && list->count > 100)
        all = arena_printf(a, "%zu names", list->count);
    for (size_t i = 0; list != NULL && list->count <= 100 && i < list->count; i++)
        all = arena_printf(
            a, STR_FMT "%s" STR_FMT, STR_ARG(all), i != 0 ? " " : "", STR_ARG(list->names[i]));
    if (list == NULL)
        all = S("-");
    offer_list_drop(list);
    secrets_destroy(s.secrets);
    return all;
}

TEST(every_known_format_of_a_model_list_is_parsed)
{
    struct arena *a = arena_create(16 * 1024 * 1024);

    EXPECT_STR(names_in(a, "{\"object\":\"list\",\"data\":[{\"id\":\"a\"},{\"id\":\"org/b\"}]}"),
        "a org/b");
    EXPECT_STR(names_in(a, "[{\"id\":\"a\",\"type\":\"chat\"}]"), "a");
    EXPECT_STR(names_in(a, "{\"models\":[{\"name\":\"llama3:8b\"}]}"), "llama3:8b");
    EXPECT_STR(names_in(a, "{\"data\":[]}"), "");
    EXPECT_STR(names_in(a, "{\"data\":{}}"), "-");
    EXPECT_STR(names_in(a, "<html>"), "-");
    EXPECT_STR(names_in(a, ""), "-");
    EXPECT_STR(names_in(a, "\"a\""), "-");
    arena_destroy(a);
}

TEST(unprintable_names_are_dropped)
{
    struct arena *a = arena_create(16 * 1024 * 1024);
    struct buf big;

    EXPECT_STR(names_in(a,
                   "{\"data\":[{\"id\":\"a b\"},{\"id\":\"\\u0000\"},{\"id\":7},{},7,{\"id\":\"\"},"
                   "{\"id\":\"sk-secret-of-the-gateway-0123456789\"},{\"id\":\"m\\u00e9\"},"
                   "{\"id\":\"good\"}]}"),
        "good");
    buf_init(&big, ANSWER_BYTES);
    buf_add(&big, S("[{\"id\":\"x\"}"));
    for (int i = 0; i < NAMES_MOST + 100; i++)
        buf_add(&big, S(",{\"id\":\"x\"}"));
    buf_add(&big, str_make("]", 2));
    EXPECT_STR(names_in(a, buf_str(&big).p), "5000 names");
    buf_fini(&big);
    arena_destroy(a);
}
