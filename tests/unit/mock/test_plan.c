/* test_plan.c - wishes for an answer, wherever they are written. */
#include "mock/plan.c"
#include "tests/test.h"

#include "base/clock.h"

static bool
read_model(struct mock_plan *p, const char *model)
{
    char why[256];

    *p = MOCK_PLAN_DEFAULT;
    return mock_plan_read_model(p, str_c(model), WHY(why));
}

TEST(a_plain_name_sets_nothing)
{
    struct mock_plan p;

    EXPECT(read_model(&p, "gpt-4o"));
    EXPECT_INT(p.fault_count, 0);
    EXPECT_INT(p.ttft_us, 0);
    EXPECT_INT(p.tools, 0);
    EXPECT_INT(p.cut, MOCK_UNSET);
}

TEST(options_follow_semicolons)
{
    struct mock_plan p;

    EXPECT(read_model(&p, "mock;ttft=200ms;tps=50;tokens=500;echo;after=7;"));
    EXPECT_INT(p.ttft_us, 200000);
    EXPECT(p.tps == 50.0);
    EXPECT_INT(p.tokens, 500);
    EXPECT(p.echo);
    EXPECT_INT(p.after, 7);
}

TEST(names_can_ask_for_faults_tools_and_recordings)
{
    struct mock_plan p;

    EXPECT(read_model(&p, "fault-503"));
    EXPECT_INT(p.faults[0].fault, MOCK_FAULT_STATUS);
    EXPECT_INT(p.faults[0].status, 503);
    EXPECT(read_model(&p, "fault-reset-mid"));
    EXPECT_INT(p.faults[0].fault, MOCK_FAULT_RESET_MID);
    EXPECT(read_model(&p, "tools-3"));
    EXPECT_INT(p.tools, 3);
    EXPECT(read_model(&p, "replay:group/case;cut=5;how=end;chunk=1"));
    EXPECT_STR(p.case_name, "group/case");
    EXPECT_INT(p.cut, 5);
    EXPECT_STR(p.how, "end");
    EXPECT_INT(p.chunk_bytes, 1);
}

TEST(a_fault_may_have_a_share)
{
    struct mock_plan p;

    EXPECT(read_model(&p, "m;fault=429:0.25;fault=stall:0.5"));
    EXPECT_INT(p.fault_count, 2);
    EXPECT(p.faults[0].share == 0.25);
    EXPECT_INT(p.faults[1].fault, MOCK_FAULT_STALL);
}

TEST(the_name_replaces_the_faults_of_the_command_line)
{
    struct mock_plan p = MOCK_PLAN_DEFAULT;
    char why[256];

    EXPECT(mock_plan_set(&p, S("fault"), S("500"), WHY(why)));
    EXPECT(mock_plan_read_model(&p, S("m;fault=stall"), WHY(why)));
    EXPECT_INT(p.fault_count, 1);
    EXPECT_INT(p.faults[0].fault, MOCK_FAULT_STALL);
    EXPECT(mock_plan_read_model(&p, S("m;fault=none"), WHY(why)));
    EXPECT_INT(p.fault_count, 0);
}

TEST(mistakes_are_explained)
{
    struct mock_plan p = MOCK_PLAN_DEFAULT;
    char why[256];

    EXPECT(!mock_plan_read_model(&p, S("m;nix=1"), WHY(why)));
    EXPECT(strstr(why, "'nix'") != NULL);
    EXPECT(!mock_plan_read_model(&p, S("m;ttft=soon"), WHY(why)));
    EXPECT(strstr(why, "ttft") != NULL);
    EXPECT(!mock_plan_read_model(&p, S("fault-nix"), WHY(why)));
    EXPECT(strstr(why, "nix") != NULL);
    EXPECT(!mock_plan_read_model(&p, S("m;fault=429:2"), WHY(why)));
    EXPECT(!mock_plan_read_model(&p, S("m;fault=399"), WHY(why)));
    EXPECT(!mock_plan_read_model(&p, S("m;fault=500@"), WHY(why)));
    EXPECT(!mock_plan_read_model(&p, S("m;fault=500@10s"), WHY(why)));
    EXPECT(!mock_plan_read_model(&p, S("m;fault=500@10s-10s"), WHY(why)));
    EXPECT(!mock_plan_read_model(&p, S("m;fault=500@soon-10s"), WHY(why)));
    EXPECT(strstr(why, "a period is like 10s-40s") != NULL);
    EXPECT(!mock_plan_set(&p, S("fault"), S("500/"), WHY(why)));
    EXPECT(!mock_plan_read_model(&p, S("m;event-tokens=0"), WHY(why)));
    EXPECT(!mock_plan_read_model(&p, S("m;finish=never"), WHY(why)));
    EXPECT(!mock_plan_read_model(&p, S("m;how=softly"), WHY(why)));
}

TEST(a_query_is_read_only_where_it_is_meant)
{
    struct mock_plan p = MOCK_PLAN_DEFAULT;
    char why[256];

    EXPECT(mock_plan_read_query(&p, S("beta=true&x-mock-tokens=9&x"), WHY(why)));
    EXPECT_INT(p.tokens, 9);
    EXPECT(!mock_plan_read_query(&p, S("x-mock-nix=9"), WHY(why)));
}

TEST(faults_are_drawn_as_often_as_their_shares)
{
    struct mock_plan p;
    int hits[3] = { 0 };

    EXPECT(read_model(&p, "m;fault=500:0.2;fault=stall:0.3"));
    clock_seed_for_tests(7);
    for (int i = 0; i < 10000; i++) {
        int status = 0;
        enum mock_fault f = mock_plan_draw(&p, S("m"), 0, &status);
        hits[f == MOCK_FAULT_NONE ? 0 : f == MOCK_FAULT_STATUS ? 1 : 2]++;
        EXPECT(f != MOCK_FAULT_STATUS || status == 500);
    }
    EXPECT(hits[1] > 1800 && hits[1] < 2200);
    EXPECT(hits[2] > 2800 && hits[2] < 3200);
    EXPECT(hits[0] > 4800 && hits[0] < 5200);
}

/* docs/mock.md of the tree that this file is in. */
static FILE *
open_page(void)
{
    char path[1024];

    snprintf(path, sizeof(path), "%s", __FILE__);
    for (int i = 0; i < 4; i++) {    /* tests/unit/mock/test_plan.c */
        char *slash = strrchr(path, '/');
        if (slash == NULL)
            return fopen("docs/mock.md", "rb");
        *slash = '\0';
    }
    strcat(path, "/docs/mock.md");
    return fopen(path, "rb");
}

TEST(the_page_in_docs_has_every_row_of_the_tables)
{
    static char page[64 * 1024];
    FILE *f = open_page();
    struct mock_row row;

    EXPECT(f != NULL);
    page[fread(page, 1, sizeof(page) - 1, f)] = '\0';
    fclose(f);
    for (enum mock_table t = MOCK_NAMES; t <= MOCK_FAULTS; t++) {
        for (size_t i = 0; mock_table_row(t, i, &row); i++) {
            char line[512];
            if (t == MOCK_KNOBS)
                snprintf(line, sizeof(line), "| `%s` | %s | %s |", row.name,
                    row.arg != NULL ? row.arg : "", row.help);
            else
                snprintf(line, sizeof(line), "| `%s` | %s |", row.name, row.help);
            if (strstr(page, line) == NULL)
                print_error("docs/mock.md lacks: %s\n", line);
            EXPECT(strstr(page, line) != NULL);
        }
    }
}

static enum mock_fault
drawn(const struct mock_plan *p, const char *model, uint64_t at_s)
{
    int status = 0;

    return mock_plan_draw(p, str_c(model), at_s * 1000000, &status);
}

TEST(a_fault_may_have_a_period)
{
    struct mock_plan p;

    EXPECT(read_model(&p, "m;fault=503@10s-40s;fault=hang@2m-"));
    EXPECT_INT(drawn(&p, "m", 0), MOCK_FAULT_NONE);
    EXPECT_INT(drawn(&p, "m", 9), MOCK_FAULT_NONE);
    EXPECT_INT(drawn(&p, "m", 10), MOCK_FAULT_STATUS);
    EXPECT_INT(drawn(&p, "m", 39), MOCK_FAULT_STATUS);
    EXPECT_INT(drawn(&p, "m", 40), MOCK_FAULT_NONE);
    EXPECT_INT(drawn(&p, "m", 120), MOCK_FAULT_HANG);
    EXPECT_INT(drawn(&p, "m", 1000000), MOCK_FAULT_HANG);
    EXPECT(read_model(&p, "fault-503@10s-40s"));
    EXPECT_INT(drawn(&p, "m", 9), MOCK_FAULT_NONE);
    EXPECT_INT(drawn(&p, "m", 10), MOCK_FAULT_STATUS);
}

TEST(a_fault_may_be_one_models_own)
{
    struct mock_plan p = MOCK_PLAN_DEFAULT;
    char why[256];

    EXPECT(mock_plan_set(&p, S("fault"), S("503=1@10s-40s/team/large"), WHY(why)));
    EXPECT(mock_plan_set(&p, S("fault"), S("stall/small"), WHY(why)));
    EXPECT_INT(drawn(&p, "team/large", 20), MOCK_FAULT_STATUS);
    EXPECT_INT(drawn(&p, "team/large", 50), MOCK_FAULT_NONE);
    EXPECT_INT(drawn(&p, "small", 20), MOCK_FAULT_STALL);
    EXPECT_INT(drawn(&p, "large", 20), MOCK_FAULT_NONE);
}

TEST(a_share_counts_only_what_may_happen_now)
{
    struct mock_plan p;

    EXPECT(read_model(&p, "m;fault=500:0.9@0s-10s;fault=stall:1"));
    for (int i = 0; i < 100; i++)
        EXPECT_INT(drawn(&p, "m", 20), MOCK_FAULT_STALL);
}
