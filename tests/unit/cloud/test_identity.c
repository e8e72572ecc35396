/* test_identity.c - when a credential is valid, when it is renewed, and by whom. */
#include "cloud/identity.c"

#include "tests/test.h"

#define NOW_MS UINT64_C(1790000000000)
#define HOUR_MS UINT64_C(3600000)

static struct identity *
hold(const char *id)
{
    struct source_settings s = { .source = &source_aws_key };

    s.v[SOURCE_ID] = str_c(id);
    s.v[SOURCE_SECRET] = S("secret-of-the-key");
    return identity_hold(&s);
}

static void
settle(struct identity *id, const char *token, uint64_t now_ms, uint64_t life_ms)
{
    struct source_run got = { .token = str_c(token),
        .expires_ms = life_ms != 0 ? now_ms + life_ms : 0 };

    identity_settle(id, &got, now_ms);
}

static bool
has_valid(struct identity *id, uint64_t now_ms)
{
    struct credential *c = identity_credential(id, now_ms);

    credential_drop(c);
    return c != NULL;
}

TEST(the_same_settings_are_the_same_identity)
{
    struct identity *a = hold("a"), *b = hold("b"), *again = hold("a");

    EXPECT(a == again && a != b);
    EXPECT_STR(identity_settings(a)->v[SOURCE_SECRET], "secret-of-the-key");
    identity_drop(a);
    identity_drop(b);
    identity_drop(again);
    EXPECT_INT((int64_t)registry_count(&identity_kind), 0);
}

TEST(one_fetch_at_a_time_and_the_next_before_it_expires)
{
    struct identity *id = hold("a");

    EXPECT(identity_begin(id, false, NOW_MS));
    EXPECT(!identity_begin(id, true, NOW_MS) && identity_is_fetched(id));
    settle(id, "token-one", NOW_MS, HOUR_MS);
    EXPECT(!identity_is_fetched(id) && has_valid(id, NOW_MS));
    EXPECT(!identity_begin(id, true, NOW_MS + HOUR_MS / 2));
    EXPECT(has_valid(id, NOW_MS + HOUR_MS - AHEAD_MOST_MS));
    EXPECT(identity_begin(id, false, NOW_MS + HOUR_MS - AHEAD_MOST_MS));
    identity_settle_failed(id, S("no answer"), NOW_MS + HOUR_MS - AHEAD_MOST_MS);
    EXPECT(has_valid(id, NOW_MS + HOUR_MS - AHEAD_MOST_MS));    /* the old one goes on */
    EXPECT(!has_valid(id, NOW_MS + HOUR_MS - MARGIN_MOST_MS));
    identity_drop(id);
}

TEST(after_failures_it_is_not_asked_at_once_whoever_waits)
{
    struct identity *id = hold("a");
    struct arena *a = arena_create(64 * 1024);
    uint64_t now_ms = NOW_MS;

    EXPECT_STR(identity_trouble(id, a), "the configuration has not answered yet");
    for (uint64_t wait_ms = RETRY_MS; wait_ms < 200000; wait_ms *= 2) {
        uint64_t wanted_ms = MIN(wait_ms, RETRY_MOST_MS);

        EXPECT(identity_begin(id, true, now_ms));
        identity_settle_failed(id, S("status 400"), now_ms);
        EXPECT(!identity_begin(id, true, now_ms + wanted_ms - 1));
        now_ms += wanted_ms;
    }
    EXPECT_STR(identity_trouble(id, a), "the configuration: status 400");
    EXPECT(identity_begin(id, false, now_ms));
    settle(id, "token-one", now_ms, 0);
    EXPECT(has_valid(id, UINT64_MAX) && !identity_begin(id, true, now_ms + 1000 * HOUR_MS));
    arena_destroy(a);
    identity_drop(id);
}

TEST(one_that_was_refused_is_replaced_unless_it_is_new)
{
    struct identity *id = hold("a");

    EXPECT(identity_begin(id, false, NOW_MS));
    settle(id, "token-one", NOW_MS, HOUR_MS);
    struct credential *first = identity_credential(id, NOW_MS);
    identity_doubt(id, first, NOW_MS + NEW_MS);
    EXPECT(!identity_begin(id, false, NOW_MS + NEW_MS));
    identity_doubt(id, first, NOW_MS + NEW_MS + 1);
    EXPECT(identity_begin(id, false, NOW_MS + NEW_MS + 1));
    settle(id, "token-two", NOW_MS + NEW_MS + 1, HOUR_MS);
    identity_doubt(id, first, NOW_MS + HOUR_MS / 2);    /* it is not in use any more */
    EXPECT(!identity_begin(id, false, NOW_MS + HOUR_MS / 2));
    credential_drop(first);
    identity_drop(id);
}

TEST(one_that_comes_expired_is_not_fetched_all_the_time)
{
    struct identity *id = hold("a");

    EXPECT(identity_begin(id, true, NOW_MS));
    struct source_run got = { .token = S("token-one"), .expires_ms = NOW_MS - HOUR_MS };
    identity_settle(id, &got, NOW_MS);
    EXPECT(!has_valid(id, NOW_MS));
    EXPECT(!identity_begin(id, false, NOW_MS + RETRY_MS - 1));
    EXPECT(identity_begin(id, false, NOW_MS + RETRY_MS));
    settle(id, "token-two", NOW_MS + RETRY_MS, HOUR_MS);
    identity_drop(id);
}

TEST(a_token_or_a_key_authorises_and_neither_is_shown)
{
    struct identity *id = hold("a");
    struct arena *a = arena_create(1024 * 1024);
    struct secrets *configured = secrets_create();
    const struct credential_request q = { .method = S("GET"),
        .host = S("h"),
        .target = S("/"),
        .fields = S("Content-Type: text/plain\r\nUser-Agent: x\r\nX-Amz-Y: z\r\n"),
        .region = S("r"),
        .service = S("s") };
    struct buf out;

    secrets_add(configured, S("configured-secret-01234567"));
    EXPECT(identity_begin(id, true, NOW_MS));
    settle(id, "ya29.token-of-google-0123456789", NOW_MS, HOUR_MS);
    struct credential *c = identity_credential(id, NOW_MS);
    const struct secrets *both = secrets_join(a, configured, credential_secrets(c));
    EXPECT(secrets_in(both, S("it is ya29.token-of-google-0123456789")));
    EXPECT(secrets_in(both, S("it is configured-secret-01234567")));
    EXPECT(!secrets_in(both, S("it is nothing of the kind at all")));
    buf_init(&out, 64 * 1024);
    EXPECT(credential_authorize(c, &out, &q, NOW_MS, a));
    EXPECT_STR(buf_str(&out), "Authorization: Bearer ya29.token-of-google-0123456789\r\n");
    credential_drop(c);
    buf_reset(&out, SIZE_MAX);

    EXPECT(identity_begin(id, true, NOW_MS + HOUR_MS));
    struct source_run key = { .key_id = S("AKID"), .key_secret = S("SECRET") };
    identity_settle(id, &key, NOW_MS + HOUR_MS);
    c = identity_credential(id, NOW_MS + HOUR_MS);
    EXPECT(credential_authorize(c, &out, &q, NOW_MS, a));
    EXPECT(str_find(buf_str(&out), S("SignedHeaders=content-type;host;x-amz-date;x-amz-y,")) !=
           buf_len(&out));
    credential_drop(c);
    buf_fini(&out);
    secrets_destroy(configured);
    arena_destroy(a);
    identity_drop(id);
}
