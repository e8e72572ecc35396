/* test_flags.c - command lines are read, and mistakes are told. */
#include "cli/flags.c"
#include "tests/test.h"

struct got {
    bool quiet;
    const char *name;
    uint64_t count;
    uint64_t wait_us;
    uint64_t size;
    double rate;
};

static enum flags_verdict
parse(struct got *g, int *rest, char **argv)
{
    const struct flag list[] = {
        { "quiet", 'q', FLAG_BOOL, NULL, "say nothing", &g->quiet, NULL },
        { "name", 'n', FLAG_TEXT, "NAME", "a name", &g->name, NULL },
        { "count", 'c', FLAG_COUNT, "N", "a number", &g->count, NULL },
        { "wait", 0, FLAG_TIME, "TIME", "a time", &g->wait_us, NULL },
        { "size", 0, FLAG_BYTES, "SIZE", "a size", &g->size, NULL },
        { "rate", 0, FLAG_RATE, "R", "a rate", &g->rate, NULL },
    };
    const struct flags all = {
        .usage = "x", .about = "y", .list = list, .count = ARRAY_LEN(list), .words = 3
    };
    int argc = 0;

    while (argv[argc] != NULL)
        argc++;
    return flags_parse(&all, argc, argv, rest);
}

#define ARGV(...) ((char *[]){ (char *)"cmd", __VA_ARGS__, NULL })

TEST(values_follow_an_equals_sign_a_space_or_a_letter)
{
    struct got g = { 0 };
    int rest;

    EXPECT(parse(&g, &rest, ARGV((char *)"--name=a", (char *)"--count", (char *)"7")) == FLAGS_OK);
    EXPECT_STR(str_c(g.name), "a");
    EXPECT_INT(g.count, 7);
    EXPECT(parse(&g, &rest, ARGV((char *)"-c16", (char *)"-q", (char *)"-n", (char *)"b")) ==
           FLAGS_OK);
    EXPECT_INT(g.count, 16);
    EXPECT(g.quiet);
    EXPECT_STR(str_c(g.name), "b");
}

TEST(other_arguments_are_returned_in_order)
{
    struct got g = { 0 };
    int rest;
    char **argv =
        ARGV((char *)"one", (char *)"--quiet", (char *)"two", (char *)"--", (char *)"--three");

    EXPECT(parse(&g, &rest, argv) == FLAGS_OK);
    EXPECT_INT(rest, 3);
    EXPECT_STR(str_c(argv[1]), "one");
    EXPECT_STR(str_c(argv[2]), "two");
    EXPECT_STR(str_c(argv[3]), "--three");
}

TEST(an_argument_too_many_is_refused)
{
    struct got g = { 0 };
    int rest = 0;

    EXPECT(
        parse(&g, &rest, ARGV((char *)"1", (char *)"-q", (char *)"2", (char *)"3", (char *)"4")) ==
        FLAGS_WRONG);
    EXPECT(parse(&g, &rest,
               ARGV((char *)"1", (char *)"2", (char *)"3", (char *)"4", (char *)"--help")) ==
           FLAGS_HELP);
}

TEST(unknown_options_and_bad_values_are_wrong)
{
    struct got g = { 0 };
    int rest;

    EXPECT(parse(&g, &rest, ARGV((char *)"--nmae", (char *)"x")) == FLAGS_WRONG);
    EXPECT(parse(&g, &rest, ARGV((char *)"--count", (char *)"many")) == FLAGS_WRONG);
    EXPECT(parse(&g, &rest, ARGV((char *)"--count")) == FLAGS_WRONG);
    EXPECT(parse(&g, &rest, ARGV((char *)"--quiet=yes")) == FLAGS_WRONG);
    EXPECT(parse(&g, &rest, ARGV((char *)"--wait", (char *)"5 parsecs")) == FLAGS_WRONG);
    EXPECT(parse(&g, &rest, ARGV((char *)"--rate", (char *)"-1")) == FLAGS_WRONG);
}

TEST(times_are_in_microseconds_and_know_their_units)
{
    uint64_t us = 0;

    EXPECT(flags_time(S("200ms"), &us));
    EXPECT_INT(us, 200000);
    EXPECT(flags_time(S("1.5s"), &us));
    EXPECT_INT(us, 1500000);
    EXPECT(flags_time(S("2"), &us));
    EXPECT_INT(us, 2000000);
    EXPECT(flags_time(S("3m"), &us));
    EXPECT_INT(us, 180000000);
    EXPECT(!flags_time(S(""), &us));
    EXPECT(!flags_time(S("ms"), &us));
    EXPECT(!flags_time(S("1..2s"), &us));
    EXPECT(!flags_time(S("-1s"), &us));
    EXPECT(!flags_time(S("99999999999999999999h"), &us));
}

TEST(sizes_count_in_kilobytes_of_1024)
{
    uint64_t n = 0;

    EXPECT(flags_bytes(S("64KB"), &n));
    EXPECT_INT(n, 65536);
    EXPECT(flags_bytes(S("1.5mb"), &n));
    EXPECT_INT(n, 1572864);
    EXPECT(flags_bytes(S("7"), &n));
    EXPECT_INT(n, 7);
    EXPECT(!flags_bytes(S("7 apples"), &n));
}
