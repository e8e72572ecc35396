/* test_source.c - what each source asks, and what it makes of answers. */
#include "cloud/source.c"

#include <stdlib.h>

#include "tests/test.h"

#define NOW_MS UINT64_C(1790000000000)

/* A fetch, answered step by step. */
struct fetch {
    struct source_settings settings;
    struct source_run run;
};

static void
begin(struct fetch *f, const struct cloud_source *source)
{
    *f = (struct fetch){ .settings.source = source };
    f->run.settings = &f->settings;
    f->run.a = arena_create(4 * 1024 * 1024);
    f->run.wall_ms = NOW_MS;
}

static enum source_next
next(struct fetch *f)
{
    return f->settings.source->next(&f->run);
}

static enum source_next
answer(struct fetch *f, int status, const char *body)
{
    f->run.step++;
    f->run.status = status;
    f->run.body = str_c(body);
    return next(f);
}

static void
end(struct fetch *f)
{
    arena_destroy(f->run.a);
}

TEST(a_token_s_answer_is_read_whatever_form_its_time_has)
{
    static const struct {
        const char *body;
        uint64_t seconds;
    } rows[] = {
        { "{\"access_token\":\"t\",\"expires_in\":3599}", 3599 },
        { "{\"access_token\":\"t\",\"expires_in\":\"3599\"}", 3599 },
        { "{\"access_token\":\"t\",\"expires_on\":\"1790000100\"}", 100 },
        { "{\"access_token\":\"t\"}", 300 },
        { "{\"access_token\":\"t\",\"expires_in\":-5}", 300 },
        { "{\"access_token\":\"t\",\"expires_in\":1e300}", 366 * 24 * 3600 },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct fetch f;

        begin(&f, &source_google_metadata);
        EXPECT(next(&f) == SOURCE_ASK);
        EXPECT(answer(&f, 200, rows[i].body) == SOURCE_GOT);
        EXPECT_STR(f.run.token, "t");
        EXPECT_INT((int64_t)(f.run.expires_ms - NOW_MS), (int64_t)rows[i].seconds * 1000);
        end(&f);
    }
}

TEST(what_is_not_a_token_fails_with_what_the_endpoint_says)
{
    static const struct {
        int status;
        const char *body, *why;
    } rows[] = {
        { 200, "", "the answer has no access_token" },
        { 200, "{\"access_token\":\"a b\"}", "the answer has no access_token" },
        { 200, "{\"access_token\":\"a\\r\\nX: y\"}", "the answer has no access_token" },
        { 400, "{\"error\":\"invalid_grant\",\"error_description\":\"Bad\\nkey\"}",
            "status 400, invalid_grant: Bad" },
        { 403, "{\"error\":{\"status\":\"PERMISSION_DENIED\",\"message\":\"No\"}}",
            "status 403, PERMISSION_DENIED: No" },
        { 403, "<Error><Code>AccessDenied</Code><Message>Not you</Message></Error>",
            "status 403, AccessDenied: Not you" },
        { 500, "<html>", "status 500" },
        { 401, "{\"error\":\"invalid_client\",\"error_description\":\"it is s3cr3t-of-ours\"}",
            "status 401, invalid_client" },
        { 401, "{\"error\":\"a b\"}", "status 401" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct fetch f;

        begin(&f, &source_entra_client);
        f.settings.v[SOURCE_SECRET] = S("s3cr3t-of-ours");
        EXPECT(next(&f) == SOURCE_ASK);
        EXPECT(answer(&f, rows[i].status, rows[i].body) == SOURCE_FAILED);
        EXPECT_STR(f.run.why, rows[i].why);
        end(&f);
    }
}

TEST(the_instance_s_role_is_asked_for_in_three_steps)
{
    struct fetch f;

    begin(&f, &source_aws_instance);
    EXPECT(next(&f) == SOURCE_ASK);
    EXPECT_STR(f.run.method, "PUT");
    EXPECT_STR(f.run.url, "http://169.254.169.254/latest/api/token");
    EXPECT(answer(&f, 200, "token\n") == SOURCE_ASK);
    EXPECT_STR(f.run.fields, "X-aws-ec2-metadata-token: token\r\n");
    EXPECT(answer(&f, 200, "role\nother\n") == SOURCE_ASK);
    EXPECT_STR(f.run.url, "http://169.254.169.254/latest/meta-data/iam/security-credentials/role");
    EXPECT(answer(&f, 200,
               "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"B\",\"Token\":\"C\",\"Expiration\":"
               "\"2030-01-01T00:00:00Z\"}") == SOURCE_GOT);
    EXPECT_STR(f.run.key_session, "C");
    EXPECT(f.run.expires_ms == UINT64_C(1893456000000));
    end(&f);
    begin(&f, &source_aws_instance);
    EXPECT(next(&f) == SOURCE_ASK);
    EXPECT(answer(&f, 200, "two words") == SOURCE_FAILED);
    end(&f);
    begin(&f, &source_aws_instance);
    EXPECT(next(&f) == SOURCE_ASK);
    EXPECT(answer(&f, 200, "token") == SOURCE_ASK);
    EXPECT(answer(&f, 404, "") == SOURCE_FAILED);
    EXPECT_STR(f.run.why, "status 404");
    end(&f);
}

TEST(profiles_are_read_as_aws_writes_them)
{
    struct str text =
        S("[default]\naws_access_key_id=A\n\n; ours\n[profile gateway]\n"
          "region = eu-west-1 \ns3 =\n  region = no\nAWS_Access_Key_Id = B\n[ x ]\nregion=x\n"
          "no value\n= no name\n");

    EXPECT_STR(source_profile_value(text, S("default"), S("aws_access_key_id")), "A");
    EXPECT_STR(source_profile_value(text, S("gateway"), S("aws_access_key_id")), "B");
    EXPECT_STR(source_profile_value(text, S("gateway"), S("region")), "eu-west-1");
    EXPECT_STR(source_profile_value(text, S("x"), S("region")), "x");
    EXPECT_STR(source_profile_value(text, S("default"), S("region")), "");
    EXPECT_STR(source_profile_value(text, S("y"), S("region")), "");
}

TEST(what_a_file_lacks_is_said)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        { "{\"type\":\"service_account\"}", "its key file has no client_email, or no private_key" },
        { "{\"type\":\"service_account\",\"client_email\":\"a\",\"private_key\":\"secret\"}",
            "its private key is not an RSA key in PEM" },
        { "{\"type\":\"authorized_user\",\"client_id\":\"a\"}",
            "its key file has no client_id, client_secret or refresh_token" },
        { "not JSON", "is not a key of a service account" },
        { "", "is not a key of a service account" },
    };
    char path[] = "/tmp/test_source_XXXXXX";
    int fd = mkstemp(path);
    struct fetch f;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str text = str_c(rows[i].text);

        EXPECT(ftruncate(fd, 0) == 0 && pwrite(fd, text.p, text.n, 0) == (ssize_t)text.n);
        begin(&f, &source_google_key);
        f.settings.v[SOURCE_FILE] = str_c(path);
        EXPECT(next(&f) == SOURCE_FAILED);
        EXPECT(str_find(f.run.why, str_c(rows[i].why)) != f.run.why.n);
        end(&f);
    }
    (void)close(fd);
    (void)unlink(path);
    begin(&f, &source_google_key);
    f.settings.v[SOURCE_FILE] = str_c(path);
    EXPECT(next(&f) == SOURCE_FAILED);
    EXPECT(str_find(f.run.why, S("cannot be read")) != f.run.why.n);
    end(&f);
}
