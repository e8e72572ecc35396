/* test_models.c - what counts as a list of models. */
#include "gateway/models.c"

#include "base/slots.h"

#include "tests/test.h"

/* The names that are read from an answer, or "-". */
static struct str
names_in(struct arena *a, const char *body)
{
    struct snapshot s = { .secrets = secrets_create() };
    struct models_ask q = { .snapshot = &s };
    struct str all = S("");

    secrets_add(s.secrets, S("sk-secret-of-the-gateway-0123456789"));
    buf_init(&q.body, ANSWER_BYTES);
    buf_add(&q.body, str_c(body));
    struct offer_list *list = read_answer(&q);
    if (list != NULL && list->count > 100)
        all = arena_printf(a, "%zu names", list->count);
    for (size_t i = 0; list != NULL && list->count <= 100 && i < list->count; i++)
        all = arena_printf(
            a, STR_FMT "%s" STR_FMT, STR_ARG(all), i != 0 ? " " : "", STR_ARG(list->names[i]));
    if (list == NULL)
        all = S("-");
    offer_list_drop(list);
    secrets_destroy(s.secrets);
    buf_fini(&q.body);
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

/* --- those who wait --- */

struct waiting {
    struct loop *loop;
    struct slots slots;
    unsigned found, missed;
};

static void
look_up(void *to, uint64_t id)
{
    struct waiting *w = to;
    unsigned *counter = slots_find(&w->slots, id);

    if (counter != NULL)
        (*counter)++;
    else
        w->missed++;
    if (w->found + w->missed == 2)
        loop_stop(w->loop);
}

static void
end_a_query(void *arg UNUSED)
{
    wake_all();
}

TEST(those_who_wait_are_told_on_their_own_loop_or_nothing_happens_if_they_are_gone)
{
    struct waiting w = { .loop = loop_create() };
    struct models_waiter waiting[2];

    for (size_t i = 0; i < ARRAY_LEN(waiting); i++) {
        waiting[i] = (struct models_waiter){
            .loop = w.loop, .wake = look_up, .to = &w, .id = slots_add(&w.slots, &w.found)
        };
        models_wait(&waiting[i], 60000);
    }
    thread_join(thread_start("query", end_a_query, NULL));
    EXPECT_INT(w.found, 0);    /* it is told later */
    models_unwait(&waiting[1]);
    slots_drop(&w.slots, waiting[1].id);
    loop_run(w.loop);
    EXPECT(w.found == 1 && w.missed == 1);
    models_unwait(&waiting[0]);
    slots_drop(&w.slots, waiting[0].id);
    slots_fini(&w.slots);
    loop_destroy(w.loop);
}

TEST(who_has_waited_long_enough_is_told_so)
{
    struct waiting w = { .loop = loop_create(), .missed = 1 };
    struct models_waiter waiting = {
        .loop = w.loop, .wake = look_up, .to = &w, .id = slots_add(&w.slots, &w.found)
    };

    models_wait(&waiting, 5);
    loop_run(w.loop);
    EXPECT_INT(w.found, 1);
    EXPECT(!timer_is_set(&waiting.patience));
    models_unwait(&waiting);
    slots_drop(&w.slots, waiting.id);
    slots_fini(&w.slots);
    loop_destroy(w.loop);
}
