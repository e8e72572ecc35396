/* vault.c - secrets that are kept elsewhere: HashiCorp Vault (and OpenBao), AWS Secrets Manager, Google's Secret
 * Manager and Azure Key Vault.
 *
 * The clouds' managers want a credential of their own first: that is got by the source in
 * `settings->lender`, in the same run.
 */
#include "cloud/source.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/json.h"
#include "sign/sigv4.h"

#define BODY_BYTES (64u * 1024)
#define VALUE_BYTES_MOST (16u * 1024)
#define REFRESH_MS_LEAST 1000u

/* It is asked for again after that time, and used until then and beyond. */
static enum source_next
got(struct source_run *r, struct str value)
{
    struct str refresh = r->settings->v[SOURCE_REFRESH];
    uint64_t ms;

    if (!source_is_plain(value) || value.n > VALUE_BYTES_MOST)
        return source_fail(r, "the secret is empty, or not one line of printable characters");
    r->token = value;
    r->renew_ms = r->wall_ms + (str_u64(refresh, &ms) ? MAX(ms, REFRESH_MS_LEAST) : 300000);
    return SOURCE_GOT;
}

/* A member of the text, if the settings name one: then the text is a JSON object. */
static enum source_next
got_member(struct source_run *r, struct str text)
{
    struct str member = r->settings->v[SOURCE_MEMBER];

    if (member.n == 0)
        return got(r, str_trim(text));
    const struct json *doc = json_parse(r->a, text, NULL, NULL);
    const struct json *value = json_get(doc, member);
    if (!json_is(value, JSON_STRING))
        return source_fail(r, "the secret has no member '" STR_FMT "'", STR_ARG(member));
    return got(r, json_str(r->a, value));
}

/* --- Vault --- */

/* The token of the settings, or of a file; else a login gives one. */
static struct str
vault_token(struct source_run *r)
{
    const struct str *v = r->settings->v;

    if (v[SOURCE_SECRET].n != 0 || v[SOURCE_FILE].n == 0 || v[SOURCE_ROLE].n != 0)
        return v[SOURCE_ID].n == 0 ? v[SOURCE_SECRET] : S("");
    return source_file(r->a, v[SOURCE_FILE]);
}

static struct str
vault_fields(struct source_run *r, struct str token)
{
    struct str space = r->settings->v[SOURCE_TENANT];

    return arena_printf(r->a, "X-Vault-Request: true\r\n%s" STR_FMT "%s%s" STR_FMT "%s",
        token.n != 0 ? "X-Vault-Token: " : "", STR_ARG(token), token.n != 0 ? "\r\n" : "",
        space.n != 0 ? "X-Vault-Namespace: " : "", STR_ARG(space), space.n != 0 ? "\r\n" : "");
}

/* AppRole: an id and its secret. Kubernetes: a role, and the token of the pod's service account. */
static enum source_next
vault_login(struct source_run *r)
{
    const struct str *v = r->settings->v;
    bool kubernetes = v[SOURCE_ROLE].n != 0;
    struct str mount =
        source_setting(r, SOURCE_PROFILE, kubernetes ? S("kubernetes") : S("approle"));
    struct str proof = kubernetes ? source_file(r->a, v[SOURCE_FILE]) : v[SOURCE_SECRET];
    struct buf body;

    if (proof.n == 0)
        return source_fail(
            r, "the file " STR_FMT " cannot be read, or is empty", STR_ARG(v[SOURCE_FILE]));
    buf_init(&body, BODY_BYTES);
    buf_add(&body, kubernetes ? S("{\"role\":") : S("{\"role_id\":"));
    json_add_str(&body, kubernetes ? v[SOURCE_ROLE] : v[SOURCE_ID]);
    buf_add(&body, kubernetes ? S(",\"jwt\":") : S(",\"secret_id\":"));
    json_add_str(&body, proof);
    buf_add_c(&body, '}');
    r->method = S("POST");
    r->url = arena_printf(
        r->a, STR_FMT "/v1/auth/" STR_FMT "/login", STR_ARG(v[SOURCE_URL]), STR_ARG(mount));
    r->fields = vault_fields(r, S(""));
    r->content = arena_str(r->a, buf_str(&body));
    buf_fini(&body);
    return SOURCE_ASK;
}

static enum source_next
vault_next(struct source_run *r)
{
    struct str token = vault_token(r), member = r->settings->v[SOURCE_MEMBER];
    unsigned logins = token.n == 0;

    if (r->step != 0 && r->status != 200)
        return source_refused(r);
    if (r->step < logins)
        return vault_login(r);
    const struct json *doc = r->step != 0 ? json_parse(r->a, r->body, NULL, NULL) : NULL;
    if (r->step == logins) {
        if (logins != 0)
            token = json_str(r->a, json_at(doc, "auth.client_token"));
        if (!source_is_plain(token))
            return source_fail(r, "there is no token: the login did not give one");
        return source_get(r,
            arena_printf(r->a, STR_FMT "/v1/" STR_FMT, STR_ARG(r->settings->v[SOURCE_URL]),
                STR_ARG(r->settings->v[SOURCE_NAME])),
            vault_fields(r, token));
    }
    /* The second version of the KV engine wraps the data, beside its metadata. */
    const struct json *data = json_get(doc, S("data")), *inner = json_get(data, S("data"));
    if (json_is(inner, JSON_OBJECT) && json_get(data, S("metadata")) != NULL)
        data = inner;
    const struct json *value = json_get(data, member);
    if (!json_is(value, JSON_STRING))
        return source_fail(r, "the secret has no member '" STR_FMT "'", STR_ARG(member));
    return got(r, json_str(r->a, value));
}

const struct cloud_source source_vault = { S_INIT("Vault"), vault_next };

/* --- the clouds' managers --- */

/* Gets the credential first. True: `next` is to be returned; false: it is there, and *ret_step is the number of
 * answers since. */
static bool
borrow(struct source_run *r, enum source_next *next, unsigned *ret_step)
{
    if (!r->lent) {
        *next = r->settings->lender->next(r);
        if (*next != SOURCE_GOT)
            return true;
        r->lent = true;
        r->lent_at = r->step;
        r->expires_ms = 0;
    }
    *ret_step = r->step - r->lent_at;
    return false;
}

static enum source_next
aws_secret_next(struct source_run *r)
{
    struct str region = r->settings->v[SOURCE_REGION], server, target;
    enum source_next next;
    struct buf body, fields;
    unsigned step;

    if (borrow(r, &next, &step))
        return next;
    if (step != 0) {
        const struct json *doc = json_parse(r->a, r->body, NULL, NULL);

        r->key_id = r->key_secret = r->key_session = S("");
        return r->status == 200 ? got_member(r, json_str(r->a, json_get(doc, S("SecretString"))))
                                : source_refused(r);
    }
    const struct sigv4_key key = { r->key_id, r->key_secret, r->key_session };
    struct str at = source_setting(r, SOURCE_SERVER,
        arena_printf(r->a, "https://secretsmanager." STR_FMT ".amazonaws.com", STR_ARG(region)));
    server = str_skip(at, str_find(at, S("://")) + 3);
    target = str_skip(server, str_chr(server, '/'));
    buf_init(&body, BODY_BYTES);
    buf_init(&fields, BODY_BYTES);
    buf_add(&body, S("{\"SecretId\":"));
    json_add_str(&body, r->settings->v[SOURCE_NAME]);
    buf_add_c(&body, '}');
    r->content = arena_str(r->a, buf_str(&body));
    buf_add(&fields, S("Content-Type: application/x-amz-json-1.1\r\n"
                       "X-Amz-Target: secretsmanager.GetSecretValue\r\n"));
    struct str to_sign = arena_str(r->a, buf_str(&fields));
    const struct sigv4_request q = { .method = S("POST"),
        .host = str_make(server.p, server.n - target.n),
        .target = target.n != 0 ? target : S("/"),
        .fields = to_sign,
        .body = &r->content,
        .body_count = 1 };
    bool ok = sigv4_sign(&fields, &q, &key, region, S("secretsmanager"), r->wall_ms, r->a);
    r->method = S("POST");
    r->url = at;
    r->fields = arena_str(r->a, buf_str(&fields));
    buf_fini(&fields);
    buf_fini(&body);
    return ok ? SOURCE_ASK : source_fail(r, "there is not enough memory to sign the request");
}

const struct cloud_source source_aws_secret = { S_INIT("AWS Secrets Manager"), aws_secret_next };

/* CRC-32C, reflected (RFC 3720, appendix B.4). */
static uint32_t
crc32c(const uint8_t *p, size_t n)
{
    uint32_t crc = ~0u;

    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (unsigned k = 0; k < 8; k++)
            crc = crc >> 1 ^ (0x82f63b78u & (0u - (crc & 1)));
    }
    return ~crc;
}

static enum source_next
google_read(struct source_run *r)
{
    const struct json *doc = json_parse(r->a, r->body, NULL, NULL);
    struct str text = json_str(r->a, json_at(doc, "payload.data"));
    struct str sum = json_str(r->a, json_at(doc, "payload.dataCrc32c"));
    uint8_t *bytes = arena_alloc(r->a, 3 * (text.n / 4) + 3, 1);
    uint64_t wanted;
    size_t n = 0;

    if (text.n == 0 || !digest_base64_decode(text, bytes, &n))
        return source_fail(r, "the answer has no payload");
    if (sum.n != 0 && (!str_u64(sum, &wanted) || wanted != crc32c(bytes, n)))
        return source_fail(r, "the payload does not have the checksum that the answer says");
    return got_member(r, str_make((const char *)bytes, n));
}

static enum source_next
google_secret_next(struct source_run *r)
{
    enum source_next next;
    unsigned step;

    if (borrow(r, &next, &step))
        return next;
    if (step != 0)
        return r->status == 200 ? google_read(r) : source_refused(r);
    struct str name = r->settings->v[SOURCE_NAME];
    bool versioned = str_find(name, S("/versions/")) != name.n;
    struct str at = source_setting(r, SOURCE_SERVER, S("https://secretmanager.googleapis.com"));
    struct str fields =
        arena_printf(r->a, "Authorization: Bearer " STR_FMT "\r\n", STR_ARG(r->token));

    r->token = S("");
    return source_get(r,
        arena_printf(r->a, STR_FMT "/v1/" STR_FMT "%s:access", STR_ARG(at), STR_ARG(name),
            versioned ? "" : "/versions/latest"),
        fields);
}

const struct cloud_source source_google_secret = { S_INIT("Google's Secret Manager"),
    google_secret_next };

/* NAME of the vault, a slash, and NAME of the secret. */
static enum source_next
azure_secret_next(struct source_run *r)
{
    struct str vault, name;
    enum source_next next;
    unsigned step;

    if (borrow(r, &next, &step))
        return next;
    if (step != 0) {
        const struct json *doc = json_parse(r->a, r->body, NULL, NULL);

        return r->status == 200 ? got_member(r, json_str(r->a, json_get(doc, S("value"))))
                                : source_refused(r);
    }
    (void)str_cut(r->settings->v[SOURCE_NAME], '/', &vault, &name);
    struct str at = source_setting(r, SOURCE_SERVER,
        arena_printf(r->a, "https://" STR_FMT ".vault.azure.net", STR_ARG(vault)));
    struct str fields =
        arena_printf(r->a, "Authorization: Bearer " STR_FMT "\r\n", STR_ARG(r->token));

    r->token = S("");
    return source_get(r,
        arena_printf(
            r->a, STR_FMT "/secrets/" STR_FMT "?api-version=7.4", STR_ARG(at), STR_ARG(name)),
        fields);
}

const struct cloud_source source_azure_secret = { S_INIT("Azure Key Vault"), azure_secret_next };
