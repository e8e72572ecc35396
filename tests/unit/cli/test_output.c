/* test_output.c - ages, sizes and cells of tables. */
#include "cli/output.c"

#include "tests/test.h"

TEST(an_age_has_two_units_at_most)
{
    static const struct {
        uint64_t s;
        const char *text;
    } cases[] = { { 0, "0s" }, { 59, "59s" }, { 60, "1m" }, { 3599, "59m" }, { 3600, "1h 0m" },
        { 86399, "23h 59m" }, { 86400, "1d 0h" }, { 30 * 86400, "30d 0h" } };
    char room[OUTPUT_AGE_ROOM];

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        EXPECT_STR(str_c(output_age(cases[i].s * 1000 + 999, room)), cases[i].text);
    EXPECT(strlen(output_age(UINT64_MAX, room)) < OUTPUT_AGE_ROOM);
}

TEST(a_size_has_a_unit)
{
    char room[OUTPUT_SIZE_ROOM];

    EXPECT_STR(str_c(output_size(0, room)), "0 B");
    EXPECT_STR(str_c(output_size(1023, room)), "1023 B");
    EXPECT_STR(str_c(output_size(1536, room)), "1.5 KB");
    EXPECT_STR(str_c(output_size(32u << 20, room)), "32.0 MB");
    EXPECT(strlen(output_size(UINT64_MAX, room)) < OUTPUT_SIZE_ROOM);
}

/* What a cell of 4 columns makes of a text. */
static struct str
cell(const char *text)
{
    static struct buf out;

    buf_fini(&out);
    buf_init(&out, 1024);
    output_cell(&out, str_c(text), 4);
    return buf_str(&out);
}

TEST(a_cell_is_cut_and_padded_by_characters_and_cannot_move_the_cursor)
{
    EXPECT_STR(cell("ab"), "ab    ");
    EXPECT_STR(cell("abcdef"), "abcd  ");
    EXPECT_STR(cell("äöüßx"), "äöüß  ");
    EXPECT(str_chr(cell("\x1b[2J"), '\x1b') == cell("\x1b[2J").n);
    EXPECT(str_chr(cell("a\nb"), '\n') == cell("a\nb").n);
}
