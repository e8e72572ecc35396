/* test_chunked.c - what test_h1's table of whole requests does not reach. */
#include "http/chunked.c"

#include "tests/test.h"

TEST(data_is_returned_in_place)
{
    struct chunked c = { 0 };
    struct str bytes = S("3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\nGET");
    const char *start = bytes.p;
    struct str data;
    const char *why = "";

    EXPECT(chunked_decode(&c, &bytes, &data, &why));
    EXPECT(data.p == start + 3);
    EXPECT_INT(data.n, 3);
    EXPECT(chunked_decode(&c, &bytes, &data, &why));
    EXPECT_STR(data, "de");
    EXPECT(!chunked_done(&c));
    EXPECT(chunked_decode(&c, &bytes, &data, &why));
    EXPECT_INT(data.n, 0);
    EXPECT(chunked_done(&c));
    EXPECT_STR(bytes, "GET");
}

/* Feeds `unit` again and again; how many bytes until it is refused? */
static size_t
bytes_taken(struct str before, struct str unit)
{
    struct chunked c = { 0 };
    struct str data;
    const char *why = "";
    size_t taken = 0;

    while (before.n != 0)
        EXPECT(chunked_decode(&c, &before, &data, &why));
    for (; taken < 1000000; taken += unit.n) {
        struct str bytes = unit;

        while (bytes.n != 0) {
            if (!chunked_decode(&c, &bytes, &data, &why))
                return taken;
        }
    }
    return taken;
}

TEST(extensions_and_trailers_are_bounded)
{
    EXPECT(bytes_taken(S("5;"), S("aaaaaaaaaa")) <= OVERHEAD_MAX);
    EXPECT(bytes_taken(S(""), S("1;aaaaaaaaaaaaaaaaaaaa\r\nx\r\n")) < (size_t)2 * OVERHEAD_MAX);
    EXPECT(bytes_taken(S("0\r\n"), S("aaaaaaaaaa: bbbbbbbbbb\r\n")) < (size_t)2 * OVERHEAD_MAX);
    EXPECT_INT(bytes_taken(S(""), S("1\r\nx\r\n")), 1000002);    /* data is not */
}

TEST(a_chunk_of_many_gigabytes_is_accepted)
{
    struct chunked c = { 0 };
    struct str bytes = S("FFFFFFFFFFFFFFF\r\nabc");
    struct str data;
    const char *why = "";

    EXPECT(chunked_decode(&c, &bytes, &data, &why));
    EXPECT_STR(data, "abc");
    EXPECT(c.left == 0xFFFFFFFFFFFFFFFu - 3);
}

TEST(the_size_line_of_a_chunk_is_written)
{
    char room[CHUNKED_HEADER_ROOM];

    EXPECT_STR(chunked_header(0, room), "0\r\n");
    EXPECT_STR(chunked_header(26, room), "1a\r\n");
    EXPECT_STR(chunked_header(SIZE_MAX, room), "ffffffffffffffff\r\n");
}
