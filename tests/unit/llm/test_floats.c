/* test_floats.c - vectors of float32 lose nothing between numbers and base64. */
#include "llm/floats.c"
#include "tests/test.h"

/* The floats that the base64 text holds. */
static size_t
decode(struct str base64, float *to, size_t most)
{
    uint8_t *bytes = check_alloc(malloc(base64.n + 4));
    size_t n = 0;

    EXPECT(digest_base64_decode(base64, bytes, &n) && n % 4 == 0 && n / 4 <= most);
    for (size_t i = 0; i < n / 4; i++)
        to[i] = get_float(bytes + 4 * i);
    free(bytes);
    return n / 4;
}

static void
expect_base64(const char *numbers, const char *base64)
{
    struct buf out;

    buf_init(&out, 1 << 20);
    EXPECT(floats_add_base64(&out, str_c(numbers)));
    EXPECT_STR(buf_str(&out), base64);
    buf_fini(&out);
}

TEST(base64_is_little_endian)
{
    expect_base64("[]", "");
    expect_base64("[1]", "AACAPw==");
    expect_base64("[1, -2 ,0.5]", "AACAPwAAAMAAAAA/");
    expect_base64("[\n  -1.5e-3,\n  0\n]", "ppvEugAAAAA=");
}

TEST(a_list_that_holds_something_else_is_refused)
{
    static const char *const rows[] = { "", "[", "1", "[1,\"2\"]", "[1,[2]]", "[null]", "{}" };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf out;

        buf_init(&out, 1 << 20);
        EXPECT(!floats_add_base64(&out, str_c(rows[i])));
        buf_fini(&out);
    }
}

TEST(base64_that_is_malformed_is_refused)
{
    static const char *const rows[] = { "A",
        "AAA=", "AACAPw==AACAPw==", "AACAPw=", "AACAf w==", "AACAfw==" /* infinite */,
        "AADAfw==" /* not a number */ };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf out;

        buf_init(&out, 1 << 20);
        EXPECT(!floats_add_numbers(&out, str_c(rows[i])));
        buf_fini(&out);
    }
}

/* A double may lie halfway between two floats although the number does not. */
TEST(a_number_is_rounded_once)
{
    static const struct {
        const char *number;
        float value;
    } rows[] = {
        { "1.000000059604644775390625", 1.0f },    /* a tie, to even */
        { "1.00000005960464477539062500001", 1.0000001192092896f },
        { "1.00000005960464477539062499999", 1.0f },
        { "1.000000178813934326171875", 1.0000002384185791f },
        { "1.00000017881393432617187499999", 1.0000001192092896f },
        { "1e-46", 0.0f },
        { "1.401298464324817e-45", 1.401298464324817e-45f },
        { "3.4028234663852886e38", 3.4028234663852886e38f },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        float f = float_of(str_c(rows[i].number));

        EXPECT(memcmp(&f, &rows[i].value, sizeof(f)) == 0);
    }
}

/* Every float comes back the same, and is written with no digit too many where nine are enough. */
TEST(every_kind_of_float_comes_back)
{
    uint64_t random = 1;
    float v[997], back[997];
    struct buf base64, numbers, again;

    buf_init(&base64, 1 << 20);
    buf_init(&numbers, 1 << 20);
    buf_init(&again, 1 << 20);
    for (unsigned round = 0; round < 300; round++) {
        uint8_t bytes[4 * ARRAY_LEN(v)];

        for (size_t i = 0; i < ARRAY_LEN(v); i++) {
            uint32_t bits;

            random = random * 6364136223846793005u + 1442695040888963407u;
            bits = (uint32_t)(random >> 32);
            if (round % 2 == 0)    /* of the size that vectors have */
                bits = (bits & 0x807fffffu) | (110 + bits % 20) << 23;
            memcpy(&v[i], &bits, sizeof(bits));
            if (!isfinite(v[i]) || v[i] == 0)
                v[i] = 0.25f;
            put_float(bytes + 4 * i, v[i]);
        }
        buf_reset(&base64, SIZE_MAX);
        buf_reset(&numbers, SIZE_MAX);
        buf_reset(&again, SIZE_MAX);
        flush(&base64, bytes, sizeof(bytes));
        EXPECT(floats_add_numbers(&numbers, buf_str(&base64)));
        EXPECT(buf_len(&numbers) <= 17 * ARRAY_LEN(v) + 2);
        EXPECT(floats_add_base64(&again, buf_str(&numbers)));
        EXPECT_INT(decode(buf_str(&again), back, ARRAY_LEN(back)), ARRAY_LEN(v));
        EXPECT(memcmp(v, back, sizeof(v)) == 0);
    }
    buf_fini(&base64);
    buf_fini(&numbers);
    buf_fini(&again);
}

TEST(numbers_are_as_short_as_people_write_them)
{
    static const struct {
        float value;
        const char *text;
    } rows[] = { { 0.0f, "0" }, { 1.0f, "1" }, { -0.5f, "-0.5" }, { 0.1f, "0.1" },
        { 0.018164676f, "0.018164676" }, { -0.00012345679f, "-0.00012345679" },
        { 123456.0f, "123456" }, { 1e-7f, "0.0000001" }, { 3e12f, "3.00000005e+12" } };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char room[NUMBER_ROOM];

        EXPECT_STR(str_make(room, write_float(room, rows[i].value)), rows[i].text);
    }
}
