/* test_scan.c - pieces are those of the regular expressions. */
#include "tokens/scan.c"

#include "tests/test.h"

/* The bytes of each piece, as Python's regex cuts them with the expressions of tiktoken. */
static const struct {
    const char *text;
    size_t o200k[8], cl100k[8];
} rows[] = {
    { "Hello, world!", { 5, 1, 6, 1 }, { 5, 1, 6, 1 } },
    { "it's", { 4 }, { 2, 2 } },
    { "IT'S", { 4 }, { 2, 2 } },
    { "we'll go", { 5, 3 }, { 2, 3, 3 } },
    { "'tis", { 4 }, { 2, 2 } },
    { "'sx", { 3 }, { 2, 1 } },
    { "'\305\277x", { 4 }, { 3, 1 } },
    { "don't've", { 5, 3 }, { 3, 2, 3 } },
    { "HTTPServer", { 10 }, { 10 } },
    { "JSONParser2", { 10, 1 }, { 10, 1 } },
    { "camelCase", { 5, 4 }, { 9 } },
    { "\314\201abc", { 5 }, { 5 } },
    { "\314\201ABC", { 2, 3 }, { 5 } },
    { "\314\201 a", { 2, 2 }, { 2, 2 } },
    { "!\314\201a", { 4 }, { 3, 1 } },
    { "\346\274\242\345\255\227ABC", { 6, 3 }, { 9 } },
    { "\346\274\242\345\255\227abc", { 9 }, { 9 } },
    { "ABC\346\274\242\345\255\227", { 9 }, { 9 } },
    { "12345678", { 3, 3, 2 }, { 3, 3, 2 } },
    { "\331\243\331\244\331\245\331\246", { 6, 2 }, { 6, 2 } },
    { "x = y/z;\012\012", { 1, 2, 2, 2, 3 }, { 1, 2, 2, 2, 3 } },
    { "//\012//a", { 5, 1 }, { 3, 2, 1 } },
    { "  a", { 1, 2 }, { 1, 2 } },
    { "   a", { 2, 2 }, { 2, 2 } },
    { "\011\011a", { 1, 2 }, { 1, 2 } },
    { "a  \012  b", { 1, 3, 1, 2 }, { 1, 3, 1, 2 } },
    { "a \012", { 1, 2 }, { 1, 2 } },
    { "a \012  ", { 1, 2, 2 }, { 1, 4 } },
    { "  \015\012\015\012  x", { 6, 1, 2 }, { 6, 1, 2 } },
    { " \012\012", { 3 }, { 3 } },
    { "\343\200\200\343\200\200a", { 3, 4 }, { 3, 4 } },
    { "\302\240x", { 3 }, { 3 } },
    { " !", { 2 }, { 2 } },
    { " \314\201", { 3 }, { 3 } },
    { "_a", { 2 }, { 2 } },
    { "a_b", { 1, 2 }, { 1, 2 } },
    { "\360\237\230\200\360\237\230\200", { 8 }, { 8 } },
    { "1st", { 1, 2 }, { 1, 2 } },
    { "'", { 1 }, { 1 } },
    { "'re're", { 6 }, { 3, 3 } },
    { "\034\035", { 2 }, { 2 } },
    { "\307\205a", { 3 }, { 3 } },
    { "\312\260\312\261", { 4 }, { 4 } },
    { "..a", { 2, 1 }, { 2, 1 } },
    { "\355\225\234\352\265\255\354\226\264", { 9 }, { 9 } },
    { "\340\270\201\340\270\264\340\270\231", { 9 }, { 3, 6 } },
};

static void
expect_pieces(const char *text, size_t (*scan)(struct str text), const size_t *bytes)
{
    struct str rest = str_c(text);

    for (; rest.n != 0; rest = str_skip(rest, *bytes++))
        EXPECT_INT(scan(rest), *bytes);
    EXPECT_INT(*bytes, 0);
}

TEST(pieces_are_those_of_the_expressions)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        expect_pieces(rows[i].text, scan_o200k, rows[i].o200k);
        expect_pieces(rows[i].text, scan_cl100k, rows[i].cl100k);
    }
}

TEST(bytes_that_are_not_utf_8_are_symbols)
{
    static const char *const texts[] = { "\xff\xfe", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
        "\xe5\xad", "\x80\x80", "\xf0\x9f\x98" };

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        EXPECT_INT(scan_o200k(str_c(texts[i])), strlen(texts[i]));
        EXPECT_INT(scan_cl100k(str_c(texts[i])), strlen(texts[i]));
    }
}

TEST(classes_are_those_of_unicode_16)
{
    static const struct {
        const char *text;
        unsigned bit;
    } some[] = {
        { "A", BIT(UPPER) },
        { "a", BIT(LOWER) },
        { "\xc5\x81", BIT(UPPER) },    /* L with stroke */
        { "\xc5\x82", BIT(LOWER) },
        { "\xc7\x85", BIT(UPPER) },         /* title case */
        { "\xca\xb0", BIT(LETTER) },        /* a modifier */
        { "\xe5\xad\x97", BIT(LETTER) },    /* Han */
        { "\xcc\x88", BIT(MARK) },
        { "7", BIT(NUMBER) },
        { "\xe2\x85\xa7", BIT(NUMBER) },    /* Roman eight */
        { "\xc2\xa0", BIT(SPACE) },
        { "\xe2\x80\xa8", BIT(SPACE) },    /* line separator */
        { "\r", BIT(NEWLINE) },
        { "\x1c", BIT(OTHER) },                /* a space to Python */
        { "\xf0\x90\xb5\x90", BIT(UPPER) },    /* Garay, of Unicode 16 */
        { "\xef\xbf\xbf", BIT(OTHER) },
        { "\xf4\x8f\xbf\xbf", BIT(OTHER) },
    };

    for (size_t i = 0; i < ARRAY_LEN(some); i++) {
        struct character c = read_character(some[i].text, some[i].text + strlen(some[i].text));

        EXPECT_INT(c.bit, some[i].bit);
        EXPECT(*c.next == '\0');
    }
}
