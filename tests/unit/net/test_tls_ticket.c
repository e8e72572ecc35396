/* test_tls_ticket.c - tickets open in every context of the process, for as long as they should. */
#include "net/tls_ticket.c"

#include <openssl/bio.h>

#include "net/loop.h"
#include "net/tls_priv.h"
#include "tests/unit/net/certs.h"

#define START_US UINT64_C(1000000000)

static struct certs certs;

static struct tls_context *
server(void)
{
    char why[256];
    struct tls_context *c = tls_server_create(certs.good, certs.good_key, WHY(why));

    EXPECT(c != NULL);
    return c;
}

/* One connection in memory. Gives the session that the client may resume next, and whether this one
 * was; `session` is used up. */
static bool
connect_once(struct tls_context *to, int version, SSL_SESSION **session)
{
    SSL_CTX *client_ctx = SSL_CTX_new(TLS_client_method());
    SSL *client = SSL_new(client_ctx);
    SSL *serving = tls_connection(&(struct tls_peer){ .context = to }, S(""));
    BIO *ours, *theirs;
    char room[16];

    EXPECT(SSL_set_min_proto_version(client, version) == 1);
    EXPECT(SSL_set_max_proto_version(client, version) == 1);
    EXPECT(BIO_new_bio_pair(&ours, 65536, &theirs, 65536) == 1);
    SSL_set_bio(client, ours, ours);
    SSL_set_bio(serving, theirs, theirs);
    SSL_set_connect_state(client);
    if (*session != NULL)
        EXPECT(SSL_set_session(client, *session) == 1);
    for (int i = 0; i < 20; i++) {
        (void)SSL_do_handshake(client);
        (void)SSL_do_handshake(serving);
    }
    EXPECT(SSL_is_init_finished(client) && SSL_is_init_finished(serving));
    EXPECT(SSL_write(serving, "x", 1) == 1);
    EXPECT(SSL_read(client, room, sizeof(room)) == 1);    /* behind the tickets of TLS 1.3 */
    bool reused = SSL_session_reused(client) == 1;
    SSL_SESSION_free(*session);
    *session = SSL_get1_session(client);
    (void)SSL_shutdown(client);    /* or the session would count as broken */
    SSL_free(client);
    SSL_free(serving);
    SSL_CTX_free(client_ctx);
    return reused;
}

TEST(a_session_goes_on_in_another_context)
{
    static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

    certs_make(&certs);
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        struct tls_context *one = server(), *two = server();
        SSL_SESSION *session = NULL;

        EXPECT(!connect_once(one, versions[i], &session));
        EXPECT(connect_once(two, versions[i], &session));
        tls_context_unref(one);
        EXPECT(connect_once(two, versions[i], &session));
        EXPECT(connect_once(two, versions[i], &session));
        SSL_SESSION_free(session);
        tls_context_unref(two);
    }
    certs_remove(&certs);
}

TEST(a_key_seals_for_half_a_day_and_opens_for_half_a_day_more)
{
    struct ticket_key first, second, found;
    bool is_newest;

    /* Tests before this one sealed by the real clock, which may be anywhere near START_US. */
    memset(&newest, 0, sizeof(newest));
    memset(&former, 0, sizeof(former));
    clock_set_for_tests(START_US, 0);
    EXPECT(key_find(NULL, &first, &is_newest) && is_newest);
    clock_set_for_tests(START_US + KEY_LIFE_MS * 1000 - 1000, 0);
    EXPECT(key_find(NULL, &found, &is_newest) && memcmp(&found, &first, sizeof(found)) == 0);
    clock_set_for_tests(START_US + KEY_LIFE_MS * 1000, 0);
    EXPECT(key_find(NULL, &second, &is_newest) && is_newest);
    EXPECT(memcmp(second.name, first.name, NAME_BYTES) != 0);
    EXPECT(memcmp(second.cipher, first.cipher, SECRET_BYTES) != 0);
    EXPECT(key_find(first.name, &found, &is_newest) && !is_newest);
    EXPECT(memcmp(&found, &first, sizeof(found)) == 0);

    clock_set_for_tests(START_US + KEY_LIFE_MS * 2000, 0);
    EXPECT(!key_find(first.name, &found, &is_newest));
    EXPECT(key_find(second.name, &found, &is_newest) && !is_newest);
    clock_set_for_tests(0, 0);
}

TEST(after_a_long_idle_time_no_old_key_is_left)
{
    struct ticket_key key, found;
    bool is_newest;

    clock_set_for_tests(START_US + KEY_LIFE_MS * 10000, 0);
    EXPECT(key_find(NULL, &key, &is_newest));
    clock_set_for_tests(START_US + KEY_LIFE_MS * 12000, 0);
    EXPECT(!key_find(key.name, &found, &is_newest));
    EXPECT_INT(former.since_ms, 0);
    clock_set_for_tests(0, 0);
}

TEST(a_ticket_of_another_process_is_not_ours)
{
    unsigned char name[NAME_BYTES] = "another process";
    struct ticket_key found;
    bool is_newest;

    EXPECT(!key_find(name, &found, &is_newest));
}

static void
look_often(void *arg)
{
    struct ticket_key key;
    bool is_newest;

    for (int i = 0; i < 2000; i++)
        EXPECT(key_find(NULL, &key, &is_newest));
    *(bool *)arg = true;
}

TEST(threads_share_the_keys)
{
    bool done[2] = { false, false };
    struct thread *threads[2];

    for (size_t i = 0; i < 2; i++)
        threads[i] = thread_start("seals", look_often, &done[i]);
    for (size_t i = 0; i < 2; i++)
        thread_join(threads[i]);
    EXPECT(done[0] && done[1]);
}
