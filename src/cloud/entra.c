/* entra.c - access tokens of Microsoft Entra ID: of a client, or of a managed identity. */
#include "cloud/source.h"

#include "base/buf.h"

#define FORM_BYTES (128u * 1024)
#define SCOPE "https://cognitiveservices.azure.com/.default"

/* Where a tenant's clients get their tokens. */
static struct str
token_url(struct source_run *r)
{
    struct str at = source_setting(r, SOURCE_URL, S("https://login.microsoftonline.com"));

    while (str_ends(at, S("/")))
        at.n--;
    return arena_printf(r->a, STR_FMT "/" STR_FMT "/oauth2/v2.0/token", STR_ARG(at),
        STR_ARG(source_encoded(r, r->settings->v[SOURCE_TENANT])));
}

/* The form with `proof`, complete parameters of it. */
static enum source_next
ask_as_client(struct source_run *r, const char *proof_name, struct str proof)
{
    struct str scope = source_setting(r, SOURCE_SCOPE, S(SCOPE));
    struct buf form;

    buf_init(&form, FORM_BYTES);
    buf_printf(&form, "grant_type=client_credentials&client_id=" STR_FMT "&scope=" STR_FMT "&%s=",
        STR_ARG(source_encoded(r, r->settings->v[SOURCE_ID])), STR_ARG(source_encoded(r, scope)),
        proof_name);
    buf_add(&form, source_encoded(r, proof));
    enum source_next next = source_post_form(r, token_url(r), arena_str(r->a, buf_str(&form)));
    buf_fini(&form);
    return next;
}

static enum source_next
client_next(struct source_run *r)
{
    return r->step != 0 ? source_read_token(r)
                        : ask_as_client(r, "client_secret", r->settings->v[SOURCE_SECRET]);
}

const struct cloud_source source_entra_client = { S_INIT("Microsoft Entra ID"), client_next };

static enum source_next
workload_next(struct source_run *r)
{
    if (r->step != 0)
        return source_read_token(r);
    struct str token = source_file(r->a, r->settings->v[SOURCE_FILE]);
    if (!source_is_plain(token))
        return source_fail(r, "the file " STR_FMT " cannot be read, or holds no token",
            STR_ARG(r->settings->v[SOURCE_FILE]));
    return ask_as_client(r,
        "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"
        "&client_assertion",
        token);
}

const struct cloud_source source_entra_workload = { S_INIT("Microsoft Entra ID"), workload_next };

/* App Service and Container Apps have an endpoint of their own, which wants a proof; elsewhere it is
 * the instance metadata service. */
static enum source_next
managed_next(struct source_run *r)
{
    if (r->step != 0)
        return source_read_token(r);
    const struct str *v = r->settings->v;
    struct str resource = source_setting(r, SOURCE_SCOPE, S(SCOPE));
    if (str_ends(resource, S("/.default")))
        resource.n -= S("/.default").n;
    bool app = v[SOURCE_SESSION].n != 0;
    struct str at = source_setting(r, SOURCE_URL, S("http://169.254.169.254"));
    struct str url = arena_printf(r->a, STR_FMT "%s?api-version=%s&resource=" STR_FMT "%s" STR_FMT,
        STR_ARG(at), app ? "" : "/metadata/identity/oauth2/token",
        app ? "2019-08-01" : "2018-02-01", STR_ARG(source_encoded(r, resource)),
        v[SOURCE_ID].n != 0 ? "&client_id=" : "", STR_ARG(source_encoded(r, v[SOURCE_ID])));
    return source_get(r, url,
        app ? arena_printf(r->a, "X-IDENTITY-HEADER: " STR_FMT "\r\n", STR_ARG(v[SOURCE_SESSION]))
            : S("Metadata: true\r\n"));
}

const struct cloud_source source_entra_managed = { S_INIT("Azure's managed identity endpoint"),
    managed_next };
