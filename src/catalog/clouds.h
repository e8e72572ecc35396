/* clouds.h - what the configuration and the environment say of a cloud: where a provider is served
 * there, and in whose name it is asked.
 *
 * The environment's variables and files are those of the clouds' own SDKs, in their order.
 */
#pragma once

#include "catalog/host.h"
#include "cloud/identity.h"
#include "conf/conf.h"

/* Both may be empty. */
struct cloud_place {
    struct str region;     /* "us-east-1", "europe-west4", "global" */
    struct str project;    /* Google's */
};

#define CLOUDS_NO_REGION "its region is not known; write aws: {region: ...}, or set AWS_REGION"

/* Where the provider is, of a host of that cloud. `cp` may be NULL; text in `a`. */
struct cloud_place clouds_place(
    const struct conf_provider *cp, enum host_cloud cloud, struct arena *a);

/* A template with {region}, {project} and {vertex} (the name of Google's server in the region)
 * replaced. NULL if what it needs is not known: then *ret_missing says what, and how to give it. */
struct str clouds_fill(
    struct arena *a, struct str text, const struct cloud_place *place, const char **ret_missing);

/* For rules about regions: "eu" of "europe-west4" and "eu-central-1". Empty: not known. */
struct str clouds_area(struct str region);

/* In whose name the provider is asked, if not with an API key. NULL: nothing says so, or wrongly,
 * which is reported. */
struct identity *clouds_identity(const struct conf *c, const struct conf_provider *cp,
    enum host_cloud cloud, const struct cloud_place *place, struct conf_problems *problems);

/* Is the value of `api_key` the name of a secret that is kept elsewhere ("vault:secret/data/openai#key")? */
bool clouds_is_secret(struct str reference);

/* What fetches that secret, and sends it after `field` ("x-api-key: "). NULL: the settings are not complete, which
 * is reported at `mark`. */
struct identity *clouds_secret(const struct conf *c, struct str reference, struct str field,
    struct conf_mark mark, struct conf_problems *problems);
