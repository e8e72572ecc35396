/* test_media.c - media are resolved once: URLs, types, text. */
#include "llm/media.c"
#include "tests/test.h"

TEST(a_data_url_gives_its_type_and_its_bytes)
{
    struct str mime;
    struct str data;

    EXPECT(read_data_url(S("data:image/png;base64,aGk="), &mime, &data));
    EXPECT_STR(mime, "image/png");
    EXPECT_STR(data, "aGk=");
    EXPECT(read_data_url(S("DATA:text/plain;charset=utf-8;BASE64,aGk="), &mime, &data));
    EXPECT_STR(mime, "text/plain");
    EXPECT(!read_data_url(S("data:text/plain,hi"), &mime, &data));
    EXPECT(!read_data_url(S("data:image/png;base64,"), &mime, &data));
    EXPECT(!read_data_url(S("data:image/png;base64"), &mime, &data));
    EXPECT(!read_data_url(S("https://a.example/x;base64,aGk="), &mime, &data));
}

TEST(media_are_known_by_their_first_bytes)
{
    EXPECT_STR(sniff(S("iVBORw0KGgoAAAAN")), "image/png");
    EXPECT_STR(sniff(S("/9j/4AAQ")), "image/jpeg");
    EXPECT_STR(sniff(S("R0lGODlhAQAB")), "image/gif");
    EXPECT_STR(sniff(S("UklGRhI0VnhXRUJQVlA4IA==")), "image/webp");
    EXPECT_STR(sniff(S("UklGRhI0VnhXQVZFZm10IA==")), "audio/wav");
    EXPECT_STR(sniff(S("UklGRhI0VnhBVkkgTElTVA==")), "");
    EXPECT_STR(sniff(S("SUQzBAAAAAAAI1RTU0UAAA==")), "audio/mpeg");
    EXPECT_STR(sniff(S("T2dnUwACAAAAAAAAAAA=")), "audio/ogg");
    EXPECT_STR(sniff(S("ZkxhQwAAACIQABAA")), "audio/flac");
    EXPECT_STR(sniff(S("JVBERi0xLjQ=")), "application/pdf");
    EXPECT_STR(sniff(S("aGVsbG8=")), "");
    EXPECT_STR(sniff(S("")), "");
}

TEST(the_bytes_overrule_the_type_that_the_caller_gave)
{
    struct llm_part part = { .kind = PART_IMAGE };

    media_set_data(&part, S("image/png"), S("/9j/4AAQ"));
    EXPECT_STR(part.mime, "image/jpeg");
    EXPECT_STR(part.data, "/9j/4AAQ");
    media_set_data(&part, S("image/jpg"), S("aGVsbG8="));
    EXPECT_STR(part.mime, "image/jpeg");
    media_set_data(&part, S("audio/wav"), S("aGVsbG8="));
    EXPECT_STR(part.mime, "audio/wav");
}

TEST(a_data_url_becomes_bytes_and_any_other_stays)
{
    struct llm_part part = { .kind = PART_IMAGE };

    EXPECT(media_set_url(&part, S("https://a.example/x.png")));
    EXPECT_STR(part.url, "https://a.example/x.png");
    EXPECT_INT(part.data.n, 0);
    part = (struct llm_part){ .kind = PART_FILE };
    EXPECT(media_set_url(&part, S("data:text/plain;base64,aGVsbG8=")));
    EXPECT_STR(part.mime, "text/plain");
    EXPECT_STR(part.data, "aGVsbG8=");
    EXPECT_INT(part.url.n, 0);
    EXPECT(!media_set_url(&part, S("data:image/png,hi")));
}

TEST(a_text_file_gives_its_text)
{
    struct arena *a = arena_create(4096);
    struct llm_part part = { .kind = PART_FILE };
    struct str text = S("");

    part.data = S("aGVsbG8=");
    EXPECT_INT(media_text(a, &part, &text), OK);
    EXPECT_STR(text, "hello");
    part.data = S("aGVsbG8");
    EXPECT_INT(media_text(a, &part, &text), ERR_UNSUPPORTED);
    part.data.n = 1 << 20;
    EXPECT_INT(media_text(a, &part, &text), ERR_TOO_LARGE);
    EXPECT(media_is_text(S("text/csv")) && media_is_text(S("Application/JSON")));
    EXPECT(!media_is_text(S("application/pdf")) && !media_is_text(S("")));
    arena_destroy(a);
}
