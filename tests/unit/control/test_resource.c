/* test_resource.c - the table of resources as data, its rows, and who is told of them. */
#include "control/resource.c"

#include "tests/test.h"

TEST(every_field_is_where_its_number_says)
{
    unsigned seen = 0;

    for (unsigned k = 0; k < RESOURCE_KINDS; k++) {
        enum resource_kind kind = (enum resource_kind)k;
        const struct resource_kind_row *row = resource_kind(kind);

        EXPECT(resource_kind_named(row->path) == kind);
        EXPECT(resource_field_count(kind) > 0);
        for (unsigned i = 0; i < resource_field_count(kind); i++, seen++) {
            const struct resource_field_row *f =
                resource_field((enum resource_field)(row->first + i));

            EXPECT(f->kind == kind);
            EXPECT(resource_field_named(kind, f->name) == f);
            EXPECT(f->help.n != 0);
            EXPECT((f->type == RESOURCE_CHOICE) == (f->choices.n != 0));
        }
    }
    EXPECT_INT(seen, RESOURCE_FIELDS);
    EXPECT(resource_kind_named(S("nothing")) == RESOURCE_KINDS);
    EXPECT(resource_field_named(RESOURCE_keys, S("nothing")) == NULL);
    EXPECT_INT(resource_kind(RESOURCE_keys)->first, FIELD_keys_name);
}

TEST(a_row_is_read_by_its_fields)
{
    struct resource_value values[RESOURCE_FIELDS] = { 0 };
    struct resource_row row = { .kind = RESOURCE_teams, .values = values };

    values[FIELD_teams_name - FIELD_FIRST_teams] =
        (struct resource_value){ .set = true, .text = S("research") };
    values[FIELD_teams_rpm - FIELD_FIRST_teams] =
        (struct resource_value){ .set = true, .number = 60 };
    EXPECT_STR(resource_text(&row, FIELD_teams_name), "research");
    EXPECT_INT(resource_number(&row, FIELD_teams_rpm), 60);
    EXPECT(!resource_value(&row, FIELD_teams_tpm)->set);
}

TEST(texts_are_cut_off_a_list)
{
    struct str list = S("[\"a\",\"\",\"say \\\"x\\\"\"]"), text = S("");

    EXPECT(resource_next_text(&list, &text));
    EXPECT_STR(text, "a");
    EXPECT(resource_next_text(&list, &text));
    EXPECT_STR(text, "");
    EXPECT(resource_next_text(&list, &text));
    EXPECT_STR(text, "say \\\"x\\\"");
    EXPECT(!resource_next_text(&list, &text));
    for (size_t i = 0; i < 5; i++) {
        list = (const struct str[]){ S(""), S("[]"), S("[\"a"), S("[\"a\\"), S("\"") }[i];
        EXPECT(!resource_next_text(&list, &text));
    }
}

/* Counts what it is told. */
struct told {
    unsigned rows, ends;
};

static void
on_row(void *arg, const struct resource_row *row)
{
    struct told *told = arg;

    EXPECT(row->kind == RESOURCE_keys);
    told->rows++;
}

static void
on_end(void *arg)
{
    struct told *told = arg;

    told->ends++;
}

TEST(a_watcher_is_told_of_its_kind_and_when_there_is_no_more)
{
    struct resources *r = resources_create();
    struct told told = { 0 };
    struct resource_row key = { .kind = RESOURCE_keys }, team = { .kind = RESOURCE_teams };

    resources_watch(r, (struct resource_watcher){ RESOURCE_keys, on_row, on_end, &told });
    resources_watch(r, (struct resource_watcher){ RESOURCE_keys, on_row, NULL, &told });
    resources_tell(r, &team);
    resources_settle(r);
    EXPECT_INT(told.ends, 0);
    resources_tell(r, &key);
    resources_tell(r, &key);
    resources_settle(r);
    resources_settle(r);
    EXPECT_INT(told.rows, 4);
    EXPECT_INT(told.ends, 1);
    resources_destroy(r);
}
