/* clouds.c - from settings, variables and files to a source of credentials. */
#include "catalog/clouds.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/json.h"

#define TEXT_BYTES 4096u
#define FILES_BYTES (1024u * 1024)

static struct str
env(const char *name)
{
    return str_c(getenv(name));
}

/* The first that is not empty. */
static struct str
first(struct str a, struct str b)
{
    return a.n != 0 ? a : b;
}

/* A file in the home directory, unless a variable names another. */
static struct str
home_file(struct arena *a, const char *variable, const char *below)
{
    struct str named = env(variable), home = env("HOME");

    if (named.n != 0 || home.n == 0)
        return named;
    return arena_printf(a, STR_FMT "/%s", STR_ARG(home), below);
}

/* --- where --- */

/* The region of the profile in ~/.aws/config. */
static struct str
profile_region(const struct conf_provider *cp, struct arena *a)
{
    struct arena *files = arena_create(FILES_BYTES);
    struct str profile =
        first(cp != NULL ? cp->aws.profile.v : S(""), first(env("AWS_PROFILE"), S("default")));
    struct str text = source_file(files, home_file(files, "AWS_CONFIG_FILE", ".aws/config"));
    struct str region = arena_str(a, source_profile_value(text, profile, S("region")));

    arena_destroy(files);
    return region;
}

static struct str
google_key_file(const struct conf_google *google, struct arena *a)
{
    if (google != NULL && google->credentials.v.n != 0)
        return google->credentials.v;
    struct str usual = home_file(
        a, "GOOGLE_APPLICATION_CREDENTIALS", ".config/gcloud/application_default_credentials.json");
    bool named = env("GOOGLE_APPLICATION_CREDENTIALS").n != 0;

    return named || (usual.n != 0 && access(usual.p, R_OK) == 0) ? usual : S("");
}

static struct str
key_file_project(const struct conf_provider *cp, struct arena *a)
{
    struct arena *files = arena_create(FILES_BYTES);
    struct str text = source_file(files, google_key_file(cp != NULL ? &cp->google : NULL, files));
    const struct json *doc = text.n != 0 ? json_parse(files, text, NULL, NULL) : NULL;
    struct str project = json_str(files, json_get(doc, S("project_id")));

    if (project.n == 0)
        project = json_str(files, json_get(doc, S("quota_project_id")));
    project = arena_str(a, project);
    arena_destroy(files);
    return project;
}

struct cloud_place
clouds_place(const struct conf_provider *cp, enum host_cloud cloud, struct arena *a)
{
    struct cloud_place place = { S(""), S("") };

    if (cloud == HOST_AWS) {
        place.region = first(cp != NULL ? cp->aws.region.v : S(""),
            first(env("AWS_REGION"), env("AWS_DEFAULT_REGION")));
        if (place.region.n == 0)
            place.region = profile_region(cp, a);
    } else if (cloud == HOST_GOOGLE) {
        place.region = first(cp != NULL ? cp->google.location.v : S(""),
            first(env("GOOGLE_CLOUD_LOCATION"), S("global")));
        place.project = first(cp != NULL ? cp->google.project.v : S(""),
            first(env("GOOGLE_CLOUD_PROJECT"), env("GCLOUD_PROJECT")));
        if (place.project.n == 0)
            place.project = key_file_project(cp, a);
    }
    return place;
}

/* Regions have a server each; the multi-regions and the global endpoint have names of their own. */
static struct str
vertex_server(struct arena *a, struct str region)
{
    if (str_eq(region, S("global")))
        return S("aiplatform.googleapis.com");
    if (str_eq(region, S("us")) || str_eq(region, S("eu")))
        return arena_printf(a, "aiplatform." STR_FMT ".rep.googleapis.com", STR_ARG(region));
    return arena_printf(a, STR_FMT "-aiplatform.googleapis.com", STR_ARG(region));
}

struct str
clouds_fill(
    struct arena *a, struct str text, const struct cloud_place *place, const char **ret_missing)
{
    struct buf out;

    *ret_missing = NULL;
    buf_init(&out, TEXT_BYTES);
    while (text.n != 0) {
        size_t at = str_chr(text, '{');
        struct str name = str_skip(text, at), value;

        buf_add(&out, str_make(text.p, at));
        name = str_make(name.p, MIN(str_chr(name, '}') + 1, name.n));
        text = str_skip(text, at + name.n);
        bool project = str_eq(name, S("{project}"));
        value = project ? place->project : place->region;
        if (name.n != 0 && value.n == 0)
            *ret_missing = project
                               ? "its project is not known; write google: {project: ...}, or set "
                                 "GOOGLE_CLOUD_PROJECT"
                               : CLOUDS_NO_REGION;
        if (str_eq(name, S("{vertex}")))
            value = vertex_server(a, value);
        if (name.n != 0)
            buf_add(&out, value);
    }
    struct str filled =
        *ret_missing == NULL ? arena_str(a, buf_str(&out)) : (struct str){ NULL, 0 };
    buf_fini(&out);
    return filled;
}

struct str
clouds_area(struct str region)
{
    struct str begin = str_make(region.p, str_chr(region, '-'));

    if (str_eq(begin, S("europe")))
        return S("eu");
    return str_eq(begin, S("global")) || begin.n == 2 ? begin : S("");
}

/* --- in whose name --- */

/* Does one of AWS's files have that profile, with a key or a role? */
static bool
has_profile(struct str credentials, struct str config, struct str profile)
{
    struct arena *files = arena_create(FILES_BYTES);
    const struct str texts[] = { source_file(files, credentials), source_file(files, config) };
    bool found = false;

    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        found = found || source_profile_value(texts[i], profile, S("aws_access_key_id")).n != 0 ||
                source_profile_value(texts[i], profile, S("role_arn")).n != 0;
    arena_destroy(files);
    return found;
}

/* The container's endpoint: a path at the usual address, or a whole URL. */
static struct str
container_url(struct arena *a)
{
    struct str relative = env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");

    return relative.n != 0 ? arena_printf(a, "http://169.254.170.2" STR_FMT, STR_ARG(relative))
                           : env("AWS_CONTAINER_CREDENTIALS_FULL_URI");
}

static void
find_aws(struct source_settings *s, const struct conf_aws *aws, const struct cloud_place *place,
    struct arena *a)
{
    struct str profile = first(aws->profile.v, env("AWS_PROFILE"));
    struct str credentials = home_file(a, "AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials");
    struct str config = home_file(a, "AWS_CONFIG_FILE", ".aws/config");
    bool own_role = aws->role_arn.v.n != 0;
    struct str role = own_role ? aws->role_arn.v : env("AWS_ROLE_ARN");
    struct str token = first(aws->web_identity_token_file.v, env("AWS_WEB_IDENTITY_TOKEN_FILE"));
    bool own_key = aws->access_key_id.v.n != 0 || aws->secret_access_key.v.n != 0;
    struct str *v = s->v;

    v[SOURCE_REGION] = place->region;
    v[SOURCE_URL] = aws->token_url.v;
    bool env_key = env("AWS_ACCESS_KEY_ID").n != 0 && env("AWS_SECRET_ACCESS_KEY").n != 0;
    if (own_key || (!own_role && aws->profile.v.n == 0 && env_key)) {
        s->source = &source_aws_key;
        v[SOURCE_ID] = own_key ? aws->access_key_id.v : env("AWS_ACCESS_KEY_ID");
        v[SOURCE_SECRET] = own_key ? aws->secret_access_key.v : env("AWS_SECRET_ACCESS_KEY");
        v[SOURCE_SESSION] = own_key ? aws->session_token.v : env("AWS_SESSION_TOKEN");
    } else if (role.n != 0 && token.n != 0 && aws->profile.v.n == 0) {
        s->source = &source_aws_web_identity;
        v[SOURCE_ROLE] = role;
        v[SOURCE_FILE] = token;
        v[SOURCE_URL] = first(v[SOURCE_URL], env("AWS_ENDPOINT_URL_STS"));
    } else if (profile.n != 0 || has_profile(credentials, config, S("default"))) {
        s->source = &source_aws_profile;
        v[SOURCE_PROFILE] = profile;
        v[SOURCE_FILE] = credentials;
        v[SOURCE_MORE_FILE] = config;
        v[SOURCE_URL] = first(v[SOURCE_URL], env("AWS_ENDPOINT_URL_STS"));
    } else if (container_url(a).n != 0) {
        s->source = &source_aws_container;
        v[SOURCE_URL] = container_url(a);
        v[SOURCE_SESSION] = env("AWS_CONTAINER_AUTHORIZATION_TOKEN");
        v[SOURCE_FILE] = env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    } else {
        s->source = &source_aws_instance;
        v[SOURCE_URL] = first(v[SOURCE_URL], env("AWS_EC2_METADATA_SERVICE_ENDPOINT"));
    }
}

static void
find_google(struct source_settings *s, const struct conf_google *google, struct arena *a)
{
    struct str server = env("GCE_METADATA_HOST");

    s->v[SOURCE_FILE] = google_key_file(google, a);
    s->v[SOURCE_URL] = google != NULL ? google->token_url.v : S("");
    s->source = s->v[SOURCE_FILE].n != 0 ? &source_google_key : &source_google_metadata;
    if (s->v[SOURCE_FILE].n == 0 && s->v[SOURCE_URL].n == 0 && server.n != 0)
        s->v[SOURCE_URL] = arena_printf(a, "http://" STR_FMT, STR_ARG(server));
}

static void
find_entra(struct source_settings *s, const struct conf_entra *entra)
{
    struct str *v = s->v;
    struct str secret = first(entra->client_secret.v, env("AZURE_CLIENT_SECRET"));
    struct str token = env("AZURE_FEDERATED_TOKEN_FILE");

    v[SOURCE_TENANT] = first(entra->tenant.v, env("AZURE_TENANT_ID"));
    v[SOURCE_ID] = first(entra->client_id.v, env("AZURE_CLIENT_ID"));
    v[SOURCE_SCOPE] = entra->scope.v;
    v[SOURCE_URL] = entra->token_url.v;
    bool client = !entra->managed && v[SOURCE_ID].n != 0 && v[SOURCE_TENANT].n != 0;
    if (client && secret.n != 0) {
        s->source = &source_entra_client;
        v[SOURCE_SECRET] = secret;
        v[SOURCE_URL] = first(v[SOURCE_URL], env("AZURE_AUTHORITY_HOST"));
    } else if (client && token.n != 0) {
        s->source = &source_entra_workload;
        v[SOURCE_FILE] = token;
        v[SOURCE_URL] = first(v[SOURCE_URL], env("AZURE_AUTHORITY_HOST"));
    } else {
        s->source = &source_entra_managed;
        v[SOURCE_SESSION] = env("IDENTITY_HEADER");
        if (v[SOURCE_SESSION].n != 0)
            v[SOURCE_URL] = first(v[SOURCE_URL], env("IDENTITY_ENDPOINT"));
    }
}

/* A key or a client is given in all its parts, or not at all. */
static bool
check_parts(const struct conf_provider *cp, struct conf_problems *problems)
{
    const struct conf_aws *aws = &cp->aws;
    const struct conf_entra *entra = &cp->entra;

    if ((aws->access_key_id.v.n != 0) != (aws->secret_access_key.v.n != 0))
        conf_problem(problems, cp->mark,
            "providers." STR_FMT
            ".aws: a key has two parts; write access_key_id and secret_access_key, or neither",
            STR_ARG(cp->id.v));
    else if (entra->client_secret.v.n != 0 && !entra->managed &&
             (first(entra->tenant.v, env("AZURE_TENANT_ID")).n == 0 ||
                 first(entra->client_id.v, env("AZURE_CLIENT_ID")).n == 0))
        conf_problem(problems, cp->mark,
            "providers." STR_FMT ".entra: a client_secret needs tenant and client_id",
            STR_ARG(cp->id.v));
    else
        return true;
    return false;
}

struct identity *
clouds_identity(const struct conf *c, const struct conf_provider *cp, enum host_cloud cloud,
    const struct cloud_place *place, struct conf_problems *problems)
{
    static const struct conf_aws no_aws;
    struct source_settings s = { .source = NULL, .lender = NULL };
    struct identity *id = NULL;

    if (cp != NULL && !check_parts(cp, problems))
        return NULL;
    struct arena *a = arena_create(FILES_BYTES);
    if (cloud == HOST_AWS)
        find_aws(&s, cp != NULL ? &cp->aws : &no_aws, place, a);
    else if (cloud == HOST_GOOGLE)
        find_google(&s, cp != NULL ? &cp->google : NULL, a);
    else if (cloud == HOST_AZURE && cp != NULL && conf_is_given(c, &cp->entra))
        find_entra(&s, &cp->entra);
    if (s.source != NULL)
        id = identity_hold(&s);
    arena_destroy(a);
    return id;
}

/* --- secrets that are kept elsewhere --- */

/* What api_key may begin with, and where the secret that follows is kept. */
static const struct keeper_row {
    struct str prefix;
    const struct cloud_source *source;
    enum host_cloud cloud;    /* that lends a credential first */
    struct str example;
} keepers[] = {
    { S_INIT("vault:"), &source_vault, HOST_NOWHERE, S_INIT("vault:secret/data/openai#key") },
    { S_INIT("aws-secret:"), &source_aws_secret, HOST_AWS, S_INIT("aws-secret:prod/openai#key") },
    { S_INIT("google-secret:"), &source_google_secret, HOST_GOOGLE,
        S_INIT("google-secret:projects/PROJECT/secrets/openai") },
    { S_INIT("azure-secret:"), &source_azure_secret, HOST_AZURE,
        S_INIT("azure-secret:VAULT/openai") },
};

static const struct keeper_row *
find_keeper(struct str reference)
{
    for (size_t i = 0; i < ARRAY_LEN(keepers); i++)
        if (str_starts(reference, keepers[i].prefix))
            return &keepers[i];
    return NULL;
}

bool
clouds_is_secret(struct str reference)
{
    return find_keeper(reference) != NULL;
}

static bool
find_vault(struct source_settings *s, const struct conf_vault *vault, struct arena *a)
{
    struct str *v = s->v;
    struct str url = first(vault->url.v, env("VAULT_ADDR"));

    v[SOURCE_URL] = str_ends(url, S("/")) ? str_make(url.p, url.n - 1) : url;
    v[SOURCE_TENANT] = first(vault->namespace.v, env("VAULT_NAMESPACE"));
    v[SOURCE_CA_FILE] = first(vault->ca_file.v, env("VAULT_CACERT"));
    v[SOURCE_PROFILE] = vault->mount.v;
    if (vault->kubernetes_role.v.n != 0) {
        v[SOURCE_ROLE] = vault->kubernetes_role.v;
        v[SOURCE_FILE] = first(vault->service_account_file.v,
            S("/var/run/secrets/kubernetes.io/serviceaccount/token"));
    } else if (vault->role_id.v.n != 0) {
        v[SOURCE_ID] = vault->role_id.v;
        v[SOURCE_SECRET] = vault->secret_id.v;
    } else {
        v[SOURCE_SECRET] = first(vault->token.v, env("VAULT_TOKEN"));
        v[SOURCE_FILE] =
            v[SOURCE_SECRET].n != 0 ? S("") : home_file(a, "VAULT_TOKEN_FILE", ".vault-token");
    }
    return url.n != 0 && (v[SOURCE_SECRET].n != 0 || v[SOURCE_FILE].n != 0);
}

struct identity *
clouds_secret(const struct conf *c, struct str reference, struct str field, struct conf_mark mark,
    struct conf_problems *problems)
{
    const struct keeper_row *row = find_keeper(reference);
    const struct conf_secrets *conf = &c->secrets;
    struct source_settings s = { .source = NULL, .lender = NULL };
    const char *why = NULL;

    struct arena *a = arena_create(FILES_BYTES);
    struct cloud_place place = {
        first(conf->aws.region.v, first(env("AWS_REGION"), env("AWS_DEFAULT_REGION"))), S("")
    };
    if (row->cloud == HOST_AWS)
        find_aws(&s, &conf->aws, &place, a);
    else if (row->cloud == HOST_GOOGLE)
        find_google(&s, &conf->google, a);
    else if (row->cloud == HOST_AZURE)
        find_entra(&s, &conf->entra);
    else if (!find_vault(&s, &conf->vault, a))
        why =
            "Vault's address or token is not known; write secrets: {vault: {url: ..., token: ...}}, or set VAULT_ADDR "
            "and VAULT_TOKEN";
    s.lender = s.source;
    s.source = row->source;
    (void)str_cut(str_skip(reference, row->prefix.n), '#', &s.v[SOURCE_NAME], &s.v[SOURCE_MEMBER]);
    s.v[SOURCE_REFRESH] = arena_printf(a, "%llu", (unsigned long long)conf->refresh_ms);
    s.v[SOURCE_FIELD] = field;
    s.v[SOURCE_SERVER] = conf->server.v;
    if (row->cloud == HOST_AZURE && s.v[SOURCE_SCOPE].n == 0)
        s.v[SOURCE_SCOPE] = S("https://vault.azure.net/.default");
    if (row->cloud == HOST_AWS && place.region.n == 0)
        why =
            "the region of AWS Secrets Manager is not known; write secrets: {aws: {region: ...}}, or set AWS_REGION";
    bool whole = s.v[SOURCE_NAME].n != 0 &&
                 (row->cloud != HOST_NOWHERE || s.v[SOURCE_MEMBER].n != 0) &&
                 (row->cloud != HOST_AZURE || str_chr(s.v[SOURCE_NAME], '/') != s.v[SOURCE_NAME].n);
    if (why != NULL)
        conf_problem(problems, mark, "'api_key': %s", why);
    else if (!whole)
        conf_problem(problems, mark,
            "'api_key' does not name a whole secret; write it like " STR_FMT,
            STR_ARG(row->example));
    struct identity *id = why == NULL && whole ? identity_hold(&s) : NULL;
    arena_destroy(a);
    return id;
}
