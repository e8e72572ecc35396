/* google.c - access tokens of Google: from a key file, or the metadata server. */
#include "cloud/source.h"

#include "base/buf.h"
#include "base/json.h"
#include "sign/rs256.h"

#define SCOPE "https://www.googleapis.com/auth/cloud-platform"
#define TOKEN_URL "https://oauth2.googleapis.com/token"
#define TOKEN_BYTES (32u * 1024)
#define TOKEN_S 3600

/* A member of the key file that becomes part of a request. */
static struct str
member(struct source_run *r, const struct json *doc, const char *name)
{
    return json_str(r->a, json_get(doc, str_c(name)));
}

/* A service account proves who it is with a token that it signs itself. */
static enum source_next
ask_as_service(struct source_run *r, const struct json *doc)
{
    struct str email = member(r, doc, "client_email"), key = member(r, doc, "private_key");
    struct str id = member(r, doc, "private_key_id"), to = member(r, doc, "token_uri");
    char why[128] = "";
    struct buf header, claims, form;

    if (email.n == 0 || key.n == 0)
        return source_fail(r, "its key file has no client_email, or no private_key");
    to = to.n != 0 ? to : S(TOKEN_URL);
    buf_init(&header, TOKEN_BYTES);
    buf_init(&claims, TOKEN_BYTES);
    buf_init(&form, TOKEN_BYTES);
    buf_add(&header, S("{\"alg\":\"RS256\",\"typ\":\"JWT\""));
    if (id.n != 0) {
        buf_add(&header, S(",\"kid\":"));
        json_add_str(&header, id);
    }
    buf_add_c(&header, '}');
    uint64_t now_s = r->wall_ms / 1000;
    buf_add(&claims, S("{\"iss\":"));
    json_add_str(&claims, email);
    buf_add(&claims, S(",\"scope\":\"" SCOPE "\",\"aud\":"));
    json_add_str(&claims, to);
    buf_printf(&claims, ",\"iat\":%llu,\"exp\":%llu}", (unsigned long long)now_s,
        (unsigned long long)now_s + TOKEN_S);
    buf_add(
        &form, S("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion="));
    bool ok = rs256_token(&form, buf_str(&header), buf_str(&claims), key, WHY(why));
    enum source_next next =
        ok ? source_post_form(r, source_setting(r, SOURCE_URL, to), arena_str(r->a, buf_str(&form)))
           : source_fail(r, "%s", why);
    buf_fini(&header);
    buf_fini(&claims);
    buf_fini(&form);
    return next;
}

/* What `gcloud auth application-default login` leaves: a token that gets others. */
static enum source_next
ask_as_user(struct source_run *r, const struct json *doc)
{
    struct str id = member(r, doc, "client_id"), secret = member(r, doc, "client_secret");
    struct str token = member(r, doc, "refresh_token");
    struct buf form;

    if (id.n == 0 || secret.n == 0 || token.n == 0)
        return source_fail(r, "its key file has no client_id, client_secret or refresh_token");
    buf_init(&form, TOKEN_BYTES);
    buf_printf(&form,
        "grant_type=refresh_token&client_id=" STR_FMT "&client_secret=" STR_FMT
        "&refresh_token=" STR_FMT,
        STR_ARG(source_encoded(r, id)), STR_ARG(source_encoded(r, secret)),
        STR_ARG(source_encoded(r, token)));
    enum source_next next = source_post_form(
        r, source_setting(r, SOURCE_URL, S(TOKEN_URL)), arena_str(r->a, buf_str(&form)));
    buf_fini(&form);
    return next;
}

static enum source_next
key_next(struct source_run *r)
{
    struct str path = r->settings->v[SOURCE_FILE];

    if (r->step != 0)
        return source_read_token(r);
    struct str text = source_file(r->a, path);
    const struct json *doc = text.n != 0 ? json_parse(r->a, text, NULL, NULL) : NULL;
    struct str type = member(r, doc, "type");
    if (text.p == NULL)
        return source_fail(r, "the file " STR_FMT " cannot be read", STR_ARG(path));
    if (str_eq(type, S("service_account")))
        return ask_as_service(r, doc);
    if (str_eq(type, S("authorized_user")))
        return ask_as_user(r, doc);
    return source_fail(r,
        "the file " STR_FMT " is not a key of a service account, nor of a user (its \"type\" must "
        "be service_account or authorized_user)",
        STR_ARG(path));
}

const struct cloud_source source_google_key = { S_INIT("Google's token endpoint"), key_next };

static enum source_next
metadata_next(struct source_run *r)
{
    if (r->step != 0)
        return source_read_token(r);
    struct str at = source_setting(r, SOURCE_URL, S("http://metadata.google.internal"));
    return source_get(r,
        arena_printf(r->a, STR_FMT "/computeMetadata/v1/instance/service-accounts/default/token",
            STR_ARG(at)),
        S("Metadata-Flavor: Google\r\n"));
}

const struct cloud_source source_google_metadata = { S_INIT("Google's metadata server"),
    metadata_next };
