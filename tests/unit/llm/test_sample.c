/* test_sample.c - which texts of a request are sampled, and how much of them. */
#include <stdlib.h>

#include "llm/sample.c"
#include "tests/test.h"

static struct llm_sample sampled;

/* Takes the sample of a body, which must be JSON. */
static const struct llm_sample *
take(const struct wire *wire, const char *body)
{
    struct arena *a = arena_create(64 << 20);
    struct llm_request r = { .arena = a, .wire = wire, .body = str_c(body) };

    r.doc = json_parse(a, r.body, NULL, NULL);
    EXPECT(r.doc != NULL);
    sample_take(&r, &sampled);
    arena_destroy(a);
    return &sampled;
}

/* `n` times `text`, to be freed. */
static char *
repeat(const char *text, size_t n)
{
    size_t length = strlen(text);
    char *all = malloc(n * length + 1);

    for (size_t i = 0; i < n; i++)
        memcpy(all + i * length, text, length);
    all[n * length] = '\0';
    return all;
}

TEST(the_last_thing_the_user_said_the_system_and_what_was_said_before)
{
    const struct llm_sample *s = take(&wire_openai_chat,
        "{\"messages\":[{\"role\":\"system\",\"content\":\"Be kind.\"},{\"role\":\"user\",\"content\":\"One?\"},"
        "{\"role\":\"assistant\",\"content\":\"Two.\"},{\"role\":\"user\",\"content\":\"Three?\"}]}");

    EXPECT_STR(s->user, "Three?");
    EXPECT_STR(s->system, "Be kind.");
    EXPECT_STR(s->earlier, "Two.");
    EXPECT_INT(s->bytes, 6 + 8 + 4 + 4);
}

TEST(a_developer_is_the_system_and_only_its_first_message_counts)
{
    const struct llm_sample *s = take(&wire_openai_chat,
        "{\"messages\":[{\"role\":\"developer\",\"content\":\"First\"},{\"role\":\"system\",\"content\":\"Second\"},"
        "{\"role\":\"user\",\"content\":\"x\"}]}");

    EXPECT_STR(s->system, "First");
}

TEST(each_wire_and_operation_has_its_text)
{
    EXPECT_STR(take(&wire_openai_chat, "{\"prompt\":\"Once\"}")->user, "Once");
    EXPECT_STR(take(&wire_openai_chat, "{\"input\":\"embed me\"}")->user, "embed me");
    EXPECT_STR(take(&wire_openai_chat, "{\"input\":[\"a\",\"bb\"]}")->user, "a\nbb");
    EXPECT_STR(take(&wire_openai_chat, "{\"input\":[1,2,3]}")->user, "");
    const struct llm_sample *s = take(&wire_anthropic,
        "{\"system\":[{\"type\":\"text\",\"text\":\"S\"}],\"messages\":[{\"role\":\"user\",\"content\":"
        "[{\"type\":\"text\",\"text\":\"U\"},{\"type\":\"image\",\"source\":{\"data\":\"AAAA\"}}]}]}");
    EXPECT_STR(s->user, "U");
    EXPECT_STR(s->system, "S");
    s = take(&wire_ollama, "{\"system\":\"S\",\"prompt\":\"P\"}");
    EXPECT_STR(s->user, "P");
    EXPECT_STR(s->system, "S");
    EXPECT_STR(
        take(&wire_ollama, "{\"messages\":[{\"role\":\"user\",\"content\":\"U\"}]}")->user, "U");
}

TEST(without_a_users_message_the_last_one_is_sampled)
{
    EXPECT_STR(
        take(&wire_openai_chat, "{\"messages\":[{\"role\":\"assistant\",\"content\":\"I am\"}]}")
            ->user,
        "I am");
    EXPECT_STR(take(&wire_openai_chat, "{\"messages\":[]}")->user, "");
    EXPECT_STR(take(&wire_openai_chat, "{\"messages\":7,\"prompt\":null}")->user, "");
    EXPECT_STR(take(&wire_openai_chat, "[]")->user, "");
}

TEST(escapes_are_resolved)
{
    const struct llm_sample *s = take(
        &wire_openai_chat, "{\"prompt\":\"a\\nb\\t\\\"\\u00e9\\u4f60\\ud83d\\ude00\\/ \\\\n\"}");

    EXPECT_STR(s->user, "a\nb\t\"\xC3\xA9\xE4\xBD\xA0/ \\n");
}

TEST(a_long_text_is_sampled_at_its_beginning_middle_and_end)
{
    char *filling = repeat("0123456789abcdef", 10000);
    size_t n = strlen(filling) + 100;
    char *body = malloc(n);

    memcpy(filling, "BEGIN", 5);
    memcpy(filling + 80000 - 8, "MIDDLE", 6);
    memcpy(filling + 160000 - 3, "END", 3);
    (void)snprintf(body, n, "{\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}]}", filling);
    const struct llm_sample *s = take(&wire_openai_chat, body);
    EXPECT(str_starts(s->user, S("BEGIN")));
    EXPECT(str_ends(s->user, S("END")));
    EXPECT(str_find(s->user, S("MIDDLE")) < s->user.n);
    EXPECT(s->user.n <= SAMPLE_USER_BYTES + 2);
    EXPECT_INT(s->bytes, 160000);
    EXPECT_INT(s->sampled, SAMPLE_USER_BYTES / 3 * 3);
    free(body);
    free(filling);
}

TEST(however_a_text_is_cut_the_sample_has_room)
{
    static const char *const units[] = { "\\\\", "\\u4f60", "\\ud83d\\ude00", "\\n", "x", "\\\"y",
        "\xE4\xBD\xA0" };

    for (size_t u = 0; u < ARRAY_LEN(units); u++) {
        for (size_t n = 100; n < 1400; n += 7) {
            char *text = repeat(units[u], n);
            size_t room = strlen(text) * 3 + 300;
            char *body = malloc(room);
            (void)snprintf(body, room,
                "{\"messages\":[{\"role\":\"system\",\"content\":\"%s\"},{\"role\":\"assistant\",\"content\":\"%s\"},"
                "{\"role\":\"user\",\"content\":\"%s\"}]}",
                text, text, text);
            const struct llm_sample *s = take(&wire_openai_chat, body);
            EXPECT(s->used <= sizeof s->room);
            EXPECT(s->sampled <= SAMPLE_USER_BYTES + 2 * SAMPLE_OTHER_BYTES);
            /* halves of characters are left out */
            EXPECT(u == 2 || (s->user.n != 0 && s->system.n != 0 && s->earlier.n != 0));
            free(body);
            free(text);
        }
    }
}

TEST(of_many_parts_the_first_the_longest_and_the_last_are_sampled)
{
    char *parts = repeat("{\"type\":\"text\",\"text\":\"filling\"},", 1000);
    size_t room = strlen(parts) + 500;
    char *body = malloc(room);

    (void)snprintf(body, room,
        "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"The document:\"},%s"
        "{\"type\":\"text\",\"text\":\"the longest of all of these parts\"},{\"type\":\"text\",\"text\":\"Summarise it.\"}]}]}",
        parts);
    EXPECT_STR(take(&wire_openai_chat, body)->user,
        "The document:\nthe longest of all of these parts\nSummarise it.");
    free(body);
    free(parts);
}
