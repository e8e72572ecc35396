#include "llm/read.c"
#include "tests/test.h"

static const struct read_words words = {
    .required = "is required",
    .empty = "must not be empty",
    .text = "must be a string",
    .number = "must be a number",
    .integer = "must be an integer",
    .flag = "must be true or false",
    .object = "must be an object",
    .list = "must be a list",
    .too_many = "too many",
};
static const struct read_words dotted = { .dotted = true, .text = "Input should be a string" };

static struct arena *arena;
static struct llm_request r;
static struct wire_fault fault;
static struct reading rd;

static struct cursor
begin(const char *json, const struct read_words *w)
{
    arena = arena_create(1 << 24);
    fault = (struct wire_fault){ .param = S("") };
    r = (struct llm_request){ .arena = arena };
    r.doc = json_parse(arena, str_c(json), NULL, NULL);
    EXPECT(r.doc != NULL);
    rd = (struct reading){ .r = &r, .a = arena, .fault = &fault, .words = w };
    return read_document(&rd);
}

static void
end(void)
{
    arena_destroy(arena);
}

static void
read_texts_of(struct cursor list)
{
    READ_EACH (element, &list)
        (void)read_text(read_at(&element, "t"));
}

TEST(a_fault_names_its_place)
{
    struct cursor doc = begin("{\"a\":[{\"t\":\"x\"},{\"t\":7}]}", &words);

    read_texts_of(read_at(&doc, "a"));
    EXPECT_INT(rd.err, ERR_BAD_REQUEST);
    EXPECT_STR(fault.param, "a[1].t");
    EXPECT_STR(fault.message, "a[1].t: must be a string");
    end();
    doc = begin("{\"a\":[{\"t\":7}]}", &dotted);
    read_texts_of(read_at(&doc, "a"));
    EXPECT_STR(fault.message, "a.0.t: Input should be a string");
    end();
}

TEST(the_first_fault_stays_and_ends_lists)
{
    struct cursor doc = begin("{\"a\":[1,2,3],\"b\":true}", &words);
    struct cursor list = read_at(&doc, "a");
    unsigned seen = 0;

    READ_EACH (element, &list) {
        seen++;
        (void)read_text(element);
    }
    (void)read_text(read_at(&doc, "b"));
    EXPECT_INT(seen, 1);
    EXPECT_STR(fault.param, "a[0]");
    end();
}

TEST(absent_and_null_are_the_same)
{
    struct cursor doc = begin("{\"null\":null}", &words);
    static const char *const keys[] = { "null", "absent" };

    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        struct cursor c = read_at(&doc, keys[i]);

        EXPECT(!read_present(c));
        EXPECT_STR(read_text(c), "");
        EXPECT(read_node(c, JSON_OBJECT) == NULL);
        EXPECT_INT(read_integer(c, 1, 9, 5, "what"), 5);
        EXPECT_INT(read_flag(c), UNSAID);
        EXPECT(read_texts(c) == NULL);
    }
    EXPECT_INT(rd.err, OK);
    (void)read_required_text(read_at(&doc, "null"));
    EXPECT_STR(fault.message, "null: is required");
    end();
}

TEST(values_have_types_and_ranges)
{
    static const struct {
        const char *json, *fault;
    } rows[] = {
        { "{\"t\":\"\"}", "t: must not be empty" },
        { "{\"t\":\"x\",\"i\":0}", "i: must be 1 to 9" },
        { "{\"t\":\"x\",\"i\":\"1\"}", "i: must be 1 to 9" },
        { "{\"t\":\"x\",\"i\":9,\"f\":0}", "f: must be true or false" },
        { "{\"t\":\"x\",\"o\":[]}", "o: must be an object" },
        { "{\"t\":\"x\",\"n\":\"1\"}", "n: must be a number" },
        { "{\"t\":\"x\",\"w\":[\"a\",1]}", "w[1]: must be a string" },
        { "{\"t\":\"x\",\"w\":{}}", "w: must be a list" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct cursor doc = begin(rows[i].json, &words);

        (void)read_required_text(read_at(&doc, "t"));
        (void)read_integer(read_at(&doc, "i"), 1, 9, 0, "must be 1 to 9");
        (void)read_flag(read_at(&doc, "f"));
        (void)read_node(read_at(&doc, "o"), JSON_OBJECT);
        (void)read_node(read_at(&doc, "n"), JSON_NUMBER);
        (void)read_texts(read_at(&doc, "w"));
        EXPECT_STR(fault.message, rows[i].fault);
        end();
    }
}

TEST(elements_are_counted_over_all_lists)
{
    struct cursor doc = begin("{\"a\":[0,0,0]}", &words);
    struct cursor list = read_at(&doc, "a");
    unsigned seen = 0;

    rd.elements = READ_ELEMENTS_MAX - 2;
    READ_EACH (element, &list)
        seen++;
    EXPECT_INT(seen, 2);
    EXPECT_INT(rd.err, ERR_TOO_LARGE);
    EXPECT_STR(fault.message, "a[2]: too many");
    end();
}

static struct str order;
static char order_room[64];

static void
note_order(struct cursor c)
{
    order.p = order_room;
    order_room[order.n++] = c.key[0];
    if (read_present(c))
        order_room[order.n++] = '!';
}

TEST(members_are_read_in_the_order_of_the_table_and_the_rest_is_kept)
{
    static const struct read_member members[] = { { "one", note_order }, { "head", NULL },
        { "two", note_order }, { "three", note_order }, { NULL, NULL } };
    struct cursor doc = begin("{\"x\":[1],\"three\":1,\"temperature\":0.50,\"y\":false,\"head\":1,"
                              "\"two\":2}",
        &words);

    (void)doc;
    order.n = 0;
    read_members(&rd, members, PARAMS_OPENAI_CHAT);
    EXPECT_INT(rd.err, OK);
    EXPECT_STR(order, "ot!t!");
    EXPECT_STR(json_raw(r.temperature), "0.50");
    EXPECT(json_str_is(r.extra->name, S("x")));
    EXPECT_STR(json_raw(r.extra->value), "[1]");
    EXPECT(json_str_is(r.extra->next->name, S("y")));
    EXPECT(r.extra->next->next == NULL);
    end();
}
