/* test_tokens.c - counts are those of tiktoken; tests/scenario/test_tokens.py compares many more. */
#include "tokens/tokens.c"

#include "tests/test.h"

static const struct {
    const char *text;
    size_t counts[2];    /* by o200k_base and cl100k_base */
} rows[] = {
    { "", { 0, 0 } },
    { "a", { 1, 1 } },
    { "Hello, world!", { 4, 4 } },
    { "The quick brown fox jumps over the lazy dog.", { 10, 10 } },
    { "<|endoftext|>", { 7, 7 } },
    { "def f(x):\n    return x ** 2\n", { 11, 11 } },
    { "{\"name\":\"get_weather\",\"arguments\":{\"city\":\"Paris\"}}", { 12, 12 } },
    { "\320\241\321\212\320\265\321\210\321\214 \320\265\321\211\321\221 \321\215\321\202\320\270\321\205 \320\274\321\217\320\263\320\272\320\270\321\205 \321\204\321\200\320\260\320\275\321\206\321\203\320\267\321\201\320\272\320\270\321\205 \320\261\321\203\320\273\320\276\320\272",
        { 11, 26 } },
    { "\346\227\245\346\234\254\350\252\236\343\201\256\343\203\206\343\202\255\343\202\271\343\203\210\343\201\247\343\201\231\343\200\202",
        { 8, 10 } },
    { "\354\225\210\353\205\225\355\225\230\354\204\270\354\232\224 \354\204\270\352\263\204",
        { 3, 9 } },
    { "\331\205\330\261\330\255\330\250\330\247 \330\250\330\247\331\204\330\271\330\247\331\204\331\205",
        { 4, 10 } },
    { "\340\244\250\340\244\256\340\244\270\340\245\215\340\244\244\340\245\207 \340\244\246\340\245\201\340\244\250\340\244\277\340\244\257\340\244\276",
        { 5, 13 } },
    { "\340\270\252\340\270\247\340\270\261\340\270\252\340\270\224\340\270\265\340\270\212\340\270\262\340\270\247\340\271\202\340\270\245\340\270\201",
        { 7, 13 } },
    { "\316\223\316\265\316\271\316\254 \317\203\316\277\317\205 \316\232\317\214\317\203\316\274\316\265",
        { 8, 13 } },
    { "\327\251\327\234\327\225\327\235 \327\242\327\225\327\234\327\235", { 2, 10 } },
    { "\360\237\221\251\342\200\215\360\237\222\273\360\237\216\211", { 7, 10 } },
};

TEST(counts_are_those_of_tiktoken)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        EXPECT_INT(tokens_count(TOKENS_o200k, str_c(rows[i].text)), rows[i].counts[0]);
        EXPECT_INT(tokens_count(TOKENS_cl100k, str_c(rows[i].text)), rows[i].counts[1]);
    }
}

TEST(names_of_models_say_their_family)
{
    static const struct {
        const char *name;
        enum tokens_family family;
    } names[] = {
        { "gpt-4o-mini", TOKENS_o200k },
        { "openai/gpt-4.1", TOKENS_o200k },
        { "gpt-5.2-codex", TOKENS_o200k },
        { "o3-pro", TOKENS_o200k },
        { "openai/gpt-oss-120b", TOKENS_o200k },
        { "gpt-4-0613", TOKENS_cl100k },
        { "gpt-4", TOKENS_cl100k },
        { "gpt-3.5-turbo", TOKENS_cl100k },
        { "text-embedding-ada-002", TOKENS_cl100k },
        { "us.anthropic.claude-sonnet-4-v1:0", TOKENS_claude },
        { "gemini-2.5-flash", TOKENS_gemini },
        { "meta-llama/Llama-3.3-70B-Instruct-Turbo", TOKENS_llama },
        { "deepseek-r1-distill-llama-70b", TOKENS_llama },
        { "perplexity/sonar", TOKENS_llama },
        { "deepseek/deepseek-v4-pro", TOKENS_deepseek },
        { "Qwen/Qwen3-32B", TOKENS_qwen },
        { "mistralai/Mixtral-8x7B", TOKENS_mistral },
        { "command-a-03-2025", TOKENS_command },
        { "cl100k", TOKENS_cl100k },
        { "", TOKENS_other },
        { "solo1", TOKENS_other },
    };

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        EXPECT_INT(tokens_family(str_c(names[i].name)), names[i].family);
}

TEST(estimates_weigh_the_pieces_by_their_kind)
{
    for (enum tokens_family f = 0; f < TOKENS_FAMILIES; f++) {
        EXPECT_INT(tokens_exact(f), f == TOKENS_o200k || f == TOKENS_cl100k);
        EXPECT(tokens_count(f, S("The quick brown fox, 12 times.")) >= 9);
        EXPECT(tokens_count(f, S("The quick brown fox, 12 times.")) <= 14);
        EXPECT_INT(tokens_count(f, S("")), 0);
    }
    EXPECT_INT(kind_of(S(" word")), KIND_word);
    EXPECT_INT(kind_of(S("123")), KIND_number);
    EXPECT_INT(kind_of(S("  \n")), KIND_spaces);
    EXPECT_INT(kind_of(S(" ==")), KIND_symbols);
    EXPECT_INT(kind_of(S(" caf\xc3\xa9")), KIND_latin);
    EXPECT_INT(kind_of(S("\xd0\xbf")), KIND_cyrillic);
    EXPECT_INT(kind_of(S("\xd9\x85")), KIND_arabic);
    EXPECT_INT(kind_of(S("\xe0\xa4\xa8")), KIND_devanagari);
    EXPECT_INT(kind_of(S("\xe2\x80\x94")), KIND_punctuation);
    EXPECT_INT(kind_of(S("\xe3\x81\xae")), KIND_kana);
    EXPECT_INT(kind_of(S("\xe5\xad\x97")), KIND_han);
    EXPECT_INT(kind_of(S("\xed\x95\x9c")), KIND_hangul);
    EXPECT_INT(kind_of(S("\xf0\x9f\x98\x80")), KIND_emoji);
    EXPECT_INT(kind_of(S("\xf4\x8f\xbf\xbf")), KIND_emoji);
    EXPECT_INT(kind_of(S("\xff")), KIND_wide);
}

TEST(kinds_are_in_the_order_of_their_code_points)
{
    for (unsigned k = KIND_latin; k < KINDS; k++)
        EXPECT(kinds[k].last > kinds[k - 1].last);
    EXPECT_INT(kinds[KINDS - 1].last, 0x10ffff);
    for (unsigned k = 0; k < KINDS; k++)
        for (unsigned f = 0; f < ESTIMATES; f++)
            EXPECT(kinds[k].percent[f] > 0 && kinds[k].percent[f] < 1000);
}
