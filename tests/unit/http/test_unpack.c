/* test_unpack.c - compressed bodies: whole, cut, followed by something, far too large. */
#include "http/unpack.c"

#include "tests/test.h"

#define TEXT "{\"model\":\"good\",\"n\":1}"
enum { TEXT_COPIES = 20, PLAIN_BYTES = (sizeof(TEXT) - 1) * TEXT_COPIES };

/* TEXT twenty times, as brotli's own tool packs it. */
static const char br_text[] =
    "\x1b\xb7\x01\xf8\x9d\xc9\xe3\xee\x3b\x8a\x89\x45\x9c\x5b\x8b\xc4\xec\xf5\xad\x33\xb7\x62\xd1"
    "\xc9\x37\x32\x91\x9a\x84\xc1\x2a\x61\x08\x73\x5c\xc2\xd8\x0e";

/* 64 MB of the letter a. */
static const char br_bomb[] =
    "\xcf\xff\xff\x7f\x00\x24\xc2\xe2\xb1\x40\x72\xef\xff\xf9\xff\xff\x0f\x80\x04\x40\x1c\x16\x80"
    "\xee\xfd\x3f\xff\xff\xff\x01\x90\x00\x88\xc3\x02\xd0\xbd\xff\xe7\xff\xff\x3f\x00\x12\x00\x71"
    "\x58\x00\xba\xf7\xff\x03";

static struct str
plain_text(void)
{
    static char room[PLAIN_BYTES + 1];

    for (size_t i = 0; i < TEXT_COPIES; i++)
        memcpy(room + i * (sizeof(TEXT) - 1), TEXT, sizeof(TEXT) - 1);
    return str_make(room, PLAIN_BYTES);
}

/* `window` as deflateInit2() wants it: 31 gzip, 15 zlib's wrapper, -15 bare. */
static struct str
pack_zlib(struct str plain, int window, char *room, size_t size)
{
    z_stream z = { .next_in = (Bytef *)(uintptr_t)plain.p, .avail_in = (uInt)plain.n };

    z.next_out = (Bytef *)room;
    z.avail_out = (uInt)size;
    EXPECT(deflateInit2(&z, 9, Z_DEFLATED, window, 9, Z_DEFAULT_STRATEGY) == Z_OK);
    EXPECT(deflate(&z, Z_FINISH) == Z_STREAM_END);
    EXPECT(deflateEnd(&z) == Z_OK);
    return str_make(room, size - z.avail_out);
}

static struct str
pack(enum unpack_coding coding, struct str plain, char *room, size_t size)
{
    switch (coding) {
    case UNPACK_GZIP:
        return pack_zlib(plain, 31, room, size);
    case UNPACK_DEFLATE:
        return pack_zlib(plain, 15, room, size);
    case UNPACK_BR:
        return str_make(br_text, sizeof(br_text) - 1);
    default:
        break;
    }
    size_t n = ZSTD_compress(room, size, plain.p, plain.n, 9);
    EXPECT(!ZSTD_isError(n));
    return str_make(room, n);
}

struct result {
    enum unpack_state state;
    size_t bytes;
    unsigned steps;
    size_t held_most;    /* of the decoder, without the output */
    bool same;           /* the output is plain_text() */
};

static struct result
run(enum unpack_coding coding, struct str packed, size_t limit)
{
    struct unpack *u = unpack_create(coding, packed, limit);
    struct result r = { .state = UNPACK_MORE };

    EXPECT(u != NULL);
    while (r.state == UNPACK_MORE) {
        r.state = unpack_step(u);
        r.steps++;
        r.held_most = MAX(r.held_most, unpack_held_bytes(u) - unpack_output(u)->cap);
    }
    r.bytes = buf_len(unpack_output(u));
    r.same = str_eq(buf_str(unpack_output(u)), plain_text());
    unpack_destroy(u);
    return r;
}

static const enum unpack_coding all[] = { UNPACK_GZIP, UNPACK_DEFLATE, UNPACK_BR, UNPACK_ZSTD };

TEST(each_coding_round_trips)
{
    char room[4096];

    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        struct result r = run(all[i], pack(all[i], plain_text(), room, sizeof(room)), 1 << 20);

        EXPECT_INT(r.state, UNPACK_DONE);
        EXPECT(r.same);
    }
    EXPECT(run(UNPACK_DEFLATE, pack_zlib(plain_text(), -15, room, sizeof(room)), 1 << 20).same);
}

TEST(an_output_of_exactly_the_limit_is_accepted_and_one_byte_more_is_not)
{
    char room[4096];

    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        struct str packed = pack(all[i], plain_text(), room, sizeof(room));

        EXPECT_INT(run(all[i], packed, PLAIN_BYTES).state, UNPACK_DONE);
        EXPECT_INT(run(all[i], packed, PLAIN_BYTES - 1).state, UNPACK_LARGE);
    }
}

TEST(a_truncated_body_is_corrupt)
{
    char room[4096];

    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        struct str packed = pack(all[i], plain_text(), room, sizeof(room));

        for (size_t n = 0; n < packed.n; n++)
            EXPECT_INT(run(all[i], str_make(packed.p, n), 1 << 20).state, UNPACK_BAD);
    }
}

TEST(trailing_data_must_be_a_gzip_member_or_a_zstd_frame)
{
    char room[8192], packed_room[4096];

    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        struct str packed = pack(all[i], plain_text(), packed_room, sizeof(packed_room));

        memcpy(room, packed.p, packed.n);
        room[packed.n] = 'x';
        EXPECT_INT(run(all[i], str_make(room, packed.n + 1), 1 << 20).state, UNPACK_BAD);
        memcpy(room + packed.n, packed.p, packed.n);
        struct result r = run(all[i], str_make(room, 2 * packed.n), 1 << 20);
        bool repeats = all[i] == UNPACK_GZIP || all[i] == UNPACK_ZSTD;
        EXPECT_INT(r.state, repeats ? UNPACK_DONE : UNPACK_BAD);
        if (repeats)
            EXPECT_INT(r.bytes, 2 * PLAIN_BYTES);
    }
}

TEST(random_bytes_are_corrupt)
{
    char noise[512];

    for (size_t i = 0; i < sizeof(noise); i++)
        noise[i] = (char)(i * 167 + 13);
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        EXPECT_INT(run(all[i], str_make(noise, sizeof(noise)), 1 << 20).state, UNPACK_BAD);
}

/* 64 MB that came as a few bytes: they cost the limit, and the work stops there. */
TEST(a_zip_bomb_costs_no_more_than_the_limit)
{
    enum { BOMB = 64 * 1024 * 1024, LIMIT = 1024 * 1024 };
    char *zeros = check_alloc(calloc(1, BOMB)), *room = check_alloc(malloc(1024 * 1024));

    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        struct str packed = all[i] == UNPACK_BR
                                ? str_make(br_bomb, sizeof(br_bomb) - 1)
                                : pack(all[i], str_make(zeros, BOMB), room, 1024 * 1024);
        struct result r = run(all[i], packed, LIMIT);

        EXPECT_INT(r.state, UNPACK_LARGE);
        EXPECT_INT(r.bytes, LIMIT + 1);
        EXPECT(r.steps <= LIMIT / STEP_OUT_BYTES + 2);
        EXPECT(r.held_most < 20 * 1024 * 1024);
    }
    free(zeros);
    free(room);
}

/* Each member of twenty bytes holds nothing: the work is bounded by what came. */
TEST(empty_members_are_skipped_in_linear_time)
{
    char member[64];
    struct str one = pack_zlib(S(""), 31, member, sizeof(member));
    enum { COUNT = 50000 };
    char *packed = check_alloc(malloc(COUNT * one.n));

    for (size_t i = 0; i < COUNT; i++)
        memcpy(packed + i * one.n, one.p, one.n);
    struct result r = run(UNPACK_GZIP, str_make(packed, COUNT * one.n), 1024);
    EXPECT_INT(r.state, UNPACK_DONE);
    EXPECT_INT(r.bytes, 0);
    EXPECT(r.steps <= COUNT * one.n / STEP_IN_BYTES + 2);
    free(packed);
}

/* A header alone must not make the decoder reserve what a stranger names. */
TEST(a_zstd_window_of_more_than_8_mb_is_refused)
{
    static const char window_128_mb[] = "\x28\xb5\x2f\xfd\x00\x88\x03\x00\x00\x61";
    struct result r = run(UNPACK_ZSTD, str_make(window_128_mb, sizeof(window_128_mb) - 1), 1 << 20);

    EXPECT_INT(r.state, UNPACK_BAD);
    EXPECT(r.held_most < 1024 * 1024);
}

static int
found(const char *first, const char *second)
{
    struct http_field list[] = {
        { S("Content-Type"), S("application/json") },
        { S("Content-Encoding"), str_c(first) },
        { S("content-encoding"), str_c(second) },
    };
    struct http_fields fields = { .list = list, .count = second != NULL ? 3 : 2 };
    enum unpack_coding coding;

    return unpack_find(&fields, &coding) ? (int)coding : -1;
}

TEST(one_coding_is_accepted_in_any_case_and_several_are_refused)
{
    EXPECT_INT(found("gzip", NULL), UNPACK_GZIP);
    EXPECT_INT(found("X-GZip", NULL), UNPACK_GZIP);
    EXPECT_INT(found("deflate", NULL), UNPACK_DEFLATE);
    EXPECT_INT(found("Br", NULL), UNPACK_BR);
    EXPECT_INT(found("zstd", NULL), UNPACK_ZSTD);
    EXPECT_INT(found("identity", NULL), UNPACK_NONE);
    EXPECT_INT(found("", NULL), UNPACK_NONE);
    EXPECT_INT(found(" , identity,gzip ,", NULL), UNPACK_GZIP);
    EXPECT_INT(found("identity", "zstd"), UNPACK_ZSTD);
    EXPECT_INT(found("compress", NULL), -1);
    EXPECT_INT(found("gzip;q=1", NULL), -1);
    EXPECT_INT(found("gzip, br", NULL), -1);
    EXPECT_INT(found("gzip, gzip", NULL), -1);
    EXPECT_INT(found("gzip", "br"), -1);
}
