/* test_multipart.c - forms as SDKs write them, and as those do who want two readers to disagree. */
#include "http/multipart.c"

#include "tests/test.h"

#define TYPE "multipart/form-data; boundary=XyZ"
#define PART(name, content)                                                                        \
    "--XyZ\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n" content "\r\n"
#define FILE_PART(content)                                                                         \
    "--XyZ\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n"               \
    "Content-Type: audio/wav\r\n\r\n" content "\r\n"
#define END "--XyZ--\r\n"

static enum multipart_found
find_in(const char *type, const char *body, struct str *ret)
{
    *ret = S("");
    return multipart_find(str_c(type), str_c(body), S("model"), ret);
}

TEST(the_field_is_found_wherever_it_stands)
{
    static const char *const bodies[] = {
        PART("model", "whisper-1") FILE_PART("RIFF") END,
        FILE_PART("RIFF") PART("model", "whisper-1") END,
        "preamble\r\n" FILE_PART("RIFF") PART("model", "whisper-1") "--XyZ--\r\nepilogue",
        "--XyZ\r\ncontent-disposition:form-data;name=model\r\n\r\nwhisper-1\r\n--XyZ--",
        ("--XyZ \r\nX: y\r\nContent-Disposition: form-data; name=\"model\"\r\nContent-Type: "
         "text/plain\r\n\r\nwhisper-1"
         "\r\n--XyZ--"),
    };

    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        struct str value;

        EXPECT_INT(find_in(TYPE, bodies[i], &value), MULTIPART_ONE);
        EXPECT_STR(value, "whisper-1");
    }
}

TEST(a_boundary_may_be_quoted_and_stand_behind_other_parameters)
{
    struct str value;

    EXPECT_INT(find_in("multipart/form-data; charset=utf-8; boundary=\"XyZ\"",
                   PART("model", "m") END, &value),
        MULTIPART_ONE);
    EXPECT_STR(value, "m");
    EXPECT_INT(
        find_in("multipart/form-data;BOUNDARY=XyZ", PART("model", "m") END, &value), MULTIPART_ONE);
}

TEST(a_form_without_the_field_has_none)
{
    struct str value;

    EXPECT_INT(find_in(TYPE, FILE_PART("RIFF") END, &value), MULTIPART_NONE);
    EXPECT_INT(find_in(TYPE, PART("Model", "m") PART("models", "m") END, &value), MULTIPART_NONE);
    EXPECT_INT(find_in(TYPE, END, &value), MULTIPART_NONE);
}

TEST(a_files_content_is_never_taken_for_the_field)
{
    struct str value;

    EXPECT_INT(
        find_in(TYPE, FILE_PART("name=\"model\"\r\n\r\nallowed\r\n") PART("model", "wanted") END,
            &value),
        MULTIPART_ONE);
    EXPECT_STR(value, "wanted");
    EXPECT_INT(
        find_in(TYPE,
            FILE_PART("Content-Disposition: form-data; name=\"model\"\r\n\r\nallowed") END, &value),
        MULTIPART_NONE);
    EXPECT_INT(find_in(TYPE,
                   "--XyZ\r\nContent-Disposition: form-data; filename=\"; name=model\"; "
                   "name=\"file\"\r\n\r\nx\r\n" END,
                   &value),
        MULTIPART_NONE);
}

TEST(what_could_be_read_in_two_ways_is_unclear)
{
    static const char *const bodies[] = {
        "",
        "no form at all",
        PART("model", "a") PART("model", "b") END,
        PART("model", "cut short"),
        "--XyZ\r\nContent-Disposition: form-data; name=\"model\"\r\nno end of the head\r\n" END,
        "--XyZ\r\nContent-Disposition: form-data; name=\"model\"; name=\"model\"\r\n\r\na\r\n" END,
        PART("model",
            "a") "--XyZ\r\nContent-Disposition: form-data; name*=utf-8''model\r\n\r\nb\r\n" END,
        "--XyZ\r\nContent-Disposition: form-data; name=\"model\r\n\r\na\r\n" END,
        "--XyZ\r\nContent-Disposition: form-data; name=\"model\" oops\r\n\r\na\r\n" END,
    };

    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        struct str value;
        enum multipart_found found = find_in(TYPE, bodies[i], &value);

        if (found != MULTIPART_UNCLEAR)
            print_error("body %zu\n", i);
        EXPECT_INT(found, MULTIPART_UNCLEAR);
        EXPECT_INT(value.n, 0);
    }
}

TEST(a_content_type_without_a_usable_boundary_is_unclear)
{
    static char longest[300] = "multipart/form-data; boundary=";
    static const char *const types[] = { "multipart/form-data", "multipart/form-data;",
        "multipart/form-data; boundary=", "multipart/form-data; boundary=\"XyZ", "", longest };

    memset(longest + strlen(longest), 'x', 250);
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        struct str value;

        EXPECT_INT(find_in(types[i], PART("model", "m") END, &value), MULTIPART_UNCLEAR);
    }
}
