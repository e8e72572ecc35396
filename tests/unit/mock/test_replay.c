/* test_replay.c - recordings are given again byte by byte, whole or cut. */
#include "mock/replay.c"
#include "tests/unit/mock/mock_kit.h"

#include <sys/stat.h>

static char folder[64];

static void
write_file(const char *name, const char *text)
{
    char path[256];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    EXPECT(f != NULL);
    EXPECT(fwrite(text, 1, strlen(text), f) == strlen(text));
    fclose(f);
}

static void
make_folder(const char *name)
{
    char path[256];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    EXPECT(mkdir(path, 0700) == 0);
}

#define STREAM "data: {\"a\":1}\r\n\r\n: ping\n\ndata: {\"b\":2}\n\ndata: [DONE]\n\n"

static void
make_cases(void)
{
    snprintf(folder, sizeof(folder), "/tmp/openclaw-replay-XXXXXX");
    EXPECT(mkdtemp(folder) != NULL);
    make_folder("talk");
    write_file("talk/response.sse", STREAM);
    write_file("talk/response.headers.json",
        "{\"status\":200,\"headers\":{\"content-type\":\"text/event-stream\",\"x-kept\":\"yes\","
        "\"transfer-encoding\":\"chunked\",\"date\":\"never\"}}");
    make_folder("group");
    make_folder("group/refusal");
    write_file("group/refusal/response.json", "{\"error\":{\"message\":\"no\"}}");
    write_file("group/refusal/response.headers.json", "{\"status\":418,\"headers\":{}}");
}

static void
remove_cases(void)
{
    static const char *const files[] = { "talk/response.sse", "talk/response.headers.json", "talk",
        "group/refusal/response.json", "group/refusal/response.headers.json", "group/refusal",
        "group", "" };
    char path[256];

    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, files[i]);
        EXPECT(remove(path) == 0);
    }
}

TEST(cases_are_found_with_and_without_their_group)
{
    char why[256];

    make_cases();
    struct mock_cases *cases = mock_cases_load(folder, WHY(why));
    EXPECT(cases != NULL);
    EXPECT(mock_cases_find(cases, S("talk")) != NULL);
    EXPECT(mock_cases_find(cases, S("refusal")) == mock_cases_find(cases, S("group/refusal")));
    EXPECT(mock_cases_find(cases, S("../talk")) == NULL);
    EXPECT_INT(mock_cases_find(cases, S("refusal"))->status, 418);
    const struct mock_case *c = mock_cases_find(cases, S("talk"));
    EXPECT(c->stream);
    EXPECT_INT(c->count, 4);
    EXPECT_STR(c->fields, "x-kept: yes\r\n");
    EXPECT_STR(c->type, "text/event-stream");
    mock_cases_destroy(cases);
    remove_cases();
}

TEST(a_folder_without_cases_is_an_error)
{
    char why[256];

    EXPECT(mock_cases_load("/nonexistent", WHY(why)) == NULL);
    EXPECT(strstr(why, "/nonexistent") != NULL);
}

TEST(recordings_are_replayed_whole_byte_by_byte_and_cut)
{
    struct mock_kit k = { .options = MOCK_OPTIONS_DEFAULT };
    const char *route = "/v1/any/route";

    make_cases();
    k.options.replay_path = folder;
    mock_kit_start(&k);
    EXPECT(mock_kit_post(&k, route, "{\"model\":\"replay:talk\"}") == PEER_CLOSED);
    EXPECT_STR(mock_kit_body(&k), STREAM);
    mock_kit_post(&k, route, "{\"model\":\"replay:talk;chunk=1\"}");
    EXPECT_STR(mock_kit_body(&k), STREAM);
    EXPECT(mock_kit_post(&k, route, "{\"model\":\"replay:talk;cut=2;how=end\"}") == PEER_CLOSED);
    EXPECT_STR(mock_kit_body(&k), "data: {\"a\":1}\r\n\r\n: ping\n\n");
    EXPECT(mock_kit_post(&k, route, "{\"model\":\"replay:talk;cut=1\"}") == PEER_RESET);
    EXPECT_STR(mock_kit_body(&k), "data: {\"a\":1}\r\n\r\n");
    mock_kit_post(&k, route, "{\"model\":\"replay:refusal\"}");
    EXPECT_INT(mock_kit_status(&k), 418);
    EXPECT_STR(mock_kit_body(&k), "{\"error\":{\"message\":\"no\"}}");
    mock_kit_post(&k, route, "{\"model\":\"replay:refusal;cut=5;how=end\"}");
    EXPECT_STR(mock_kit_body(&k), "{\"err");
    EXPECT(mock_kit_post(&k, route, "{\"model\":\"replay:refusal;cut=5\"}") == PEER_RESET);
    mock_kit_ask(
        &k, "POST", route, "x-mock-case: talk\r\nx-mock-cut: 1\r\nx-mock-cut-how: end\r\n", "{}");
    EXPECT_STR(mock_kit_body(&k), "data: {\"a\":1}\r\n\r\n");
    mock_kit_post(&k, route, "{\"model\":\"replay:nothing\"}");
    EXPECT_INT(mock_kit_status(&k), 404);
    mock_kit_stop(&k);
    remove_cases();
}

TEST(frames_of_other_framings_are_split)
{
    static const char message[] = "\0\0\0\x14\0\0\0\0----payloadCRC.";
    struct str two = { message, 20 };

    EXPECT_INT(aws_message_end(two, 0), 20);
    EXPECT_INT(aws_message_end(str_make(message, 19), 0), 19);
    EXPECT_INT(line_end(S("a\nb"), 0), 2);
    EXPECT_INT(line_end(S("a\nb"), 2), 3);
    EXPECT_INT(sse_event_end(S("data: x\r\rdata: y\r\r"), 0), 9);
    EXPECT_INT(sse_event_end(S("\n\ndata: x\n\n"), 0), 11);
}
