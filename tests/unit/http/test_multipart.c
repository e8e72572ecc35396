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
    const char *why = NULL;

    *ret = S("");
    enum multipart_found found = multipart_find(str_c(type), str_c(body), S("model"), ret, &why);
    EXPECT((found == MULTIPART_UNCLEAR) == (why != NULL));
    return found;
}

TEST(the_field_is_found_wherever_it_stands)
{
    static const char *const bodies[] = {
        PART("model", "whisper-1") FILE_PART("RIFF") END,
        FILE_PART("RIFF") PART("model", "whisper-1") END,
        "\r\n" FILE_PART("RIFF") PART("model", "whisper-1") "--XyZ--\r\n\r\n",
        "--XyZ\r\ncontent-disposition:form-data;name=model\r\n\r\nwhisper-1\r\n--XyZ--",
        ("--XyZ\r\nX: y\r\nContent-Disposition: FORM-DATA; Name=\"model\";\r\nContent-Type: "
         "text/plain; charset=utf-8\r\nContent-Length: 9\r\nContent-Transfer-Encoding: "
         "8bit\r\n\r\nwhisper-1\r\n--XyZ--"),
        ("--XyZ\r\nContent-Disposition: form-data; name=file; filename=\"C:\\a;b.wav\"; "
         "filename*=utf-8''a.wav\r\n\r\nRIFF\r\n" PART("model", "whisper-1") END),
        "--XyZ\r\nContent-Disposition: form-data ; name=\"model\" ; a=b\r\n\r\nwhisper-1\r\n--XyZ--",
        PART("timestamp_granularities[]", "word") PART("timestamp_granularities[]", "segment")
            PART("models", "x") PART("a-model", "x") PART("model", "whisper-1") END,
    };

    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        struct str value;

        EXPECT_INT(find_in(TYPE, bodies[i], &value), MULTIPART_ONE);
        EXPECT_STR(value, "whisper-1");
    }
}

TEST(a_boundary_may_be_quoted_and_follow_other_parameters)
{
    struct str value;

    EXPECT_INT(find_in("multipart/form-data; charset=utf-8; boundary=\"XyZ\"",
                   PART("model", "m") END, &value),
        MULTIPART_ONE);
    EXPECT_STR(value, "m");
    EXPECT_INT(
        find_in("multipart/form-data;BOUNDARY=XyZ", PART("model", "m") END, &value), MULTIPART_ONE);
}

TEST(a_boundary_may_be_longer_than_the_standard_allows)
{
    static char type[300] = "multipart/form-data; boundary=", body[1000] = "--";
    char *boundary = type + strlen(type);
    struct str value;

    memset(boundary, 'x', BOUNDARY_BYTES);
    strcat(body, boundary);
    strcat(body, "\r\nContent-Disposition: form-data; name=model\r\n\r\nm\r\n--");
    strcat(body, boundary);
    strcat(body, "--");
    EXPECT_INT(find_in(type, body, &value), MULTIPART_ONE);
    EXPECT_STR(value, "m");
}

TEST(a_form_without_the_field_has_none)
{
    struct str value;

    EXPECT_INT(find_in(TYPE, FILE_PART("RIFF") END, &value), MULTIPART_NONE);
    EXPECT_INT(find_in(TYPE, PART("models", "m") PART("node", "m") END, &value), MULTIPART_NONE);
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

/* A part with these lines in its head, after the usual one of the field "model" or another one. */
#define HEAD(lines) "--XyZ\r\n" lines "\r\n\r\na\r\n"
#define NAMED(name) HEAD("Content-Disposition: form-data; " name)
#define MODEL_AND(line) HEAD("Content-Disposition: form-data; name=\"model\"\r\n" line)

TEST(ambiguous_forms_are_rejected)
{
    static const char *const bodies[] = {
        /* the structure */
        "",
        "no form at all",
        PART("model", "cut short"),
        PART("model", "a") "--XyZ-\r\n",
        PART("model", "a") "--XyZ--epilogue",
        PART("model", "a") END "epilogue",
        PART("model", "a") END PART("model", "b") END,
        "preamble\r\n" PART("model", "a") END,
        "--XyZ \r\n" PART("model", "a") END,
        PART("f", "x\n--XyZ\nContent-Disposition: form-data; name=\"model\"\n\nb")
            PART("model", "a") END,
        PART("f", "x\r--XyZ\r\n") PART("model", "a") END,
        PART("f", "x--XyZ\r\n") PART("model", "a") END,
        PART("f", "x\r\n--XyZed\r\n") PART("model", "a") END,
        "--XyZ\r\n\r\nno head\r\n" PART("model", "a") END,
        "--XyZ\r\nContent-Disposition: form-data; name=\"model\"\r\nno end of the head\r\n" END,
        /* the field */
        PART("model", "a") PART("model", "b") END,
        PART("model", "a") PART("MODEL", "b") END,
        PART("Model", "a") END,
        PART("model[]", "a") END,
        PART("model", "a") PART("Model[0]", "b") END,
        PART("mod%65l", "a") END,
        PART("mod&#101;l", "a") END,
        PART("\xef\xbd\x8dodel", "a") END,
        PART("mo\\del", "a") END,
        PART("model", "a") NAMED("name='model'") END,
        PART("model", "a") PART("=?utf-8?q?model?=", "b") END,
        PART("model ", "a") END,
        PART("_charset_", "utf-16") PART("model", "a") END,
        /* its disposition */
        NAMED("name=\"model\"; name=\"model\"") END,
        NAMED("name=\"file\"; NAME=\"model\"") END,
        NAMED("name*=utf-8''model") PART("model", "b") END,
        NAMED("name*0=mo; name*1=del") END,
        NAMED("name=\"f\"; name*=utf-8''model") END,
        NAMED("name=\"model") END,
        NAMED("name=\"model\" oops") END,
        NAMED("name=\"model\",a=b") END,
        NAMED("name:\"model\"") END,
        NAMED("name = \"model\"") END,
        NAMED("name=\"f\"; filename=\"\\\"; name=\"model\"") END,
        NAMED("name=\"f\"; filename=\"a\"; filename=\"b\"") PART("model", "a") END,
        NAMED("name=\"f\"; filename=\"a\\\"; x=\"b\"") PART("model", "a") END,
        NAMED("name=\"f\"; filename*=utf-8''a; filename*=utf-8''b") PART("model", "a") END,
        NAMED("name=model; filename=a") END,
        NAMED("name=model; filename*=utf-8''a") END,
        NAMED("name=") END,
        NAMED("filename=a") PART("model", "a") END,
        HEAD("Content-Disposition: attachment; name=model") END,
        HEAD("Content-Disposition: form-data") PART("model", "a") END,
        /* the head */
        HEAD("X: y") PART("model", "a") END,
        HEAD("Content-Disposition: form-data;\r\n name=\"model\"") PART("model", "b") END,
        HEAD("Content-Disposition: form-data; name=\"f\"\r\n ; name=\"model\"") END,
        HEAD("Content-Disposition : form-data; name=\"model\"") END,
        HEAD(" Content-Disposition: form-data; name=\"model\"") END,
        HEAD(
            "Content-Disposition: form-data; name=\"f\"\nContent-Disposition: form-data; name=model")
            END,
        HEAD("X: y\rContent-Disposition: form-data; name=\"model\"") END,
        HEAD("no field\r\nContent-Disposition: form-data; name=\"model\"") END,
        MODEL_AND("Content-Disposition: form-data; name=\"f\"") END,
        MODEL_AND("content-disposition: form-data; name=\"model\"") END,
        MODEL_AND("Content-Transfer-Encoding: base64") END,
        MODEL_AND("Content-Transfer-Encoding: quoted-printable") END,
        MODEL_AND("Content-Type: text/plain; charset=utf-7") END,
        MODEL_AND("Content-Type: text/plain; charset=\"utf-16\"") END,
        MODEL_AND("Content-Type: application/json") END,
        MODEL_AND("Content-Type: text/plain\r\nContent-Type: text/plain; charset=utf-16") END,
        MODEL_AND("Content-Type: text/plain\r\nContent-Type: text/plain") END,
        MODEL_AND("Content-Length: 7") END,
        HEAD(
            "Content-Disposition: form-data; name=\"f\"\r\nContent-Type: multipart/mixed; boundary=q")
            PART("model", "a") END,
    };

    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        struct str value;
        enum multipart_found found = find_in(TYPE, bodies[i], &value);

        if (found != MULTIPART_UNCLEAR)
            print_error("body %zu: %s\n", i, bodies[i]);
        EXPECT_INT(found, MULTIPART_UNCLEAR);
        EXPECT_INT(value.n, 0);
    }
}

TEST(a_control_character_in_the_head_of_a_part_is_unclear)
{
    static const char body[] =
        "--XyZ\r\nX: a\0b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\na\r\n--XyZ--";
    struct str value = S("");
    const char *why = NULL;

    EXPECT_INT(
        multipart_find(str_c(TYPE), str_make(body, sizeof(body) - 1), S("model"), &value, &why),
        MULTIPART_UNCLEAR);
}

TEST(a_content_type_without_a_usable_boundary_is_unclear)
{
    static char longest[300] = "multipart/form-data; boundary=";
    static const char *const types[] = { "multipart/form-data", "multipart/form-data;",
        "multipart/form-data; boundary=", "multipart/form-data; boundary=\"XyZ", "", longest,
        "multipart/form-data; boundary=XyZ; boundary=abc",
        "multipart/form-data; boundary=XyZ; Boundary=XyZ",
        "multipart/form-data; boundary*=utf-8''XyZ",
        "multipart/form-data; boundary*0=X; boundary*1=yZ",
        "multipart/form-data; boundary=\"XyZ \"", "multipart/form-data; boundary=\"\"",
        "multipart/form-data; boundary=XyZ,a=b", "multipart/form-data; boundary:XyZ",
        "multipart/form-data; =a; boundary=XyZ", "multipart/form-data; boundary=XyZ oops",
        "multipart/form-data boundary=XyZ", "multipart/form-data; boundary=\"Xy\\Z\"" };

    memset(longest + strlen(longest), 'x', BOUNDARY_BYTES + 1);
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        struct str value;

        EXPECT_INT(find_in(types[i], PART("model", "m") END, &value), MULTIPART_UNCLEAR);
    }
}
