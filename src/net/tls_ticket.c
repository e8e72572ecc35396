/* tls_ticket.c - a key that seals and the one before it, which still opens. */
#include "net/tls_ticket.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <pthread.h>

#include "base/clock.h"

/* A key seals for so long, and opens for as long again. That is more than a ticket's life, two
 * hours, so no caller meets a key that is gone. */
#define KEY_LIFE_MS UINT64_C(43200000)

enum { NAME_BYTES = 16, SECRET_BYTES = 32 };

struct ticket_key {
    unsigned char name[NAME_BYTES];    /* in the ticket, in clear */
    unsigned char cipher[SECRET_BYTES];
    unsigned char mac[SECRET_BYTES];
    uint64_t since_ms;    /* 0: there is none */
};

static pthread_mutex_t keys_lock = PTHREAD_MUTEX_INITIALIZER;
static struct ticket_key newest, former;

/* Gives the newest key's place to a fresh one when it is time. */
static void
rotate(uint64_t now_ms)
{
    if (former.since_ms != 0 && now_ms - former.since_ms >= 2 * KEY_LIFE_MS)
        OPENSSL_cleanse(&former, sizeof(former));
    if (newest.since_ms != 0 && now_ms - newest.since_ms < KEY_LIFE_MS)
        return;
    if (newest.since_ms != 0 && now_ms - newest.since_ms < 2 * KEY_LIFE_MS)
        former = newest;
    clock_random_bytes(&newest, sizeof(newest));
    newest.since_ms = now_ms;
}

/* The key for sealing, or the one of this name. False: there is none. */
static bool
key_find(const unsigned char *name, struct ticket_key *ret, bool *ret_newest)
{
    bool found = true;

    (void)pthread_mutex_lock(&keys_lock);
    rotate(clock_now_ms() + 1);    /* never 0 */
    *ret_newest = name == NULL || memcmp(name, newest.name, NAME_BYTES) == 0;
    if (*ret_newest)
        *ret = newest;
    else if (former.since_ms != 0 && memcmp(name, former.name, NAME_BYTES) == 0)
        *ret = former;
    else
        found = false;
    (void)pthread_mutex_unlock(&keys_lock);
    return found;
}

static bool
init_mac(EVP_MAC_CTX *mac, struct ticket_key *key)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac, sizeof(key->mac)),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };

    return EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* The library seals a ticket, or was given one. -1: an error; 0: not ours, a full handshake
 * follows; 1: go on; 2: go on, and give the caller a new one. */
static int
on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
    EVP_MAC_CTX *mac, int seals)
{
    struct ticket_key key;
    bool is_newest;
    int verdict = -1;

    if (!key_find(seals ? NULL : name, &key, &is_newest))
        return 0;
    if (seals) {
        memcpy(name, key.name, NAME_BYTES);
        if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) == 1 &&
            EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key.cipher, iv) == 1 &&
            init_mac(mac, &key))
            verdict = 1;
    } else if (init_mac(mac, &key) &&
               EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key.cipher, iv) == 1) {
        /* of TLS 1.3 a ticket is used once: each connection gives the next one */
        verdict = is_newest && SSL_version(ssl) < TLS1_3_VERSION ? 1 : 2;
    }
    OPENSSL_cleanse(&key, sizeof(key));
    return verdict;
}

void
tls_ticket_use(SSL_CTX *ctx)
{
    CHECK(SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket) == 1);
}
