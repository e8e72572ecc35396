/* banner.c - prints a curl command that works as it is, with a model that exists. */
#include "app/banner.h"

#include <stdio.h>

#include "catalog/catalog.h"

/* A Unix socket has no host for the URL. */
static void
print_curl(const struct banner *b, struct str model)
{
    const char *scheme = b->tls ? "https" : "http";
    struct str socket = str_skip(b->address, S("unix:").n);

    if (str_starts(b->address, S("unix:")))
        (void)fprintf(
            stderr, "  curl --unix-socket " STR_FMT " %s://localhost", STR_ARG(socket), scheme);
    else
        (void)fprintf(stderr, "  curl %s://" STR_FMT, scheme, STR_ARG(b->address));
    (void)fprintf(stderr,
        "/v1/chat/completions -H 'Content-Type: application/json'%s \\\n"
        "    -d '{\"model\":\"" STR_FMT
        "\",\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]}'\n",
        b->keys ? " -H 'Authorization: Bearer YOUR_KEY'" : "", STR_ARG(model));
}

/* A provider's first model that generates text: configured, or from the catalog. */
static bool
first_model(const struct snapshot *s, const struct provider *p, struct arena *a, struct str *ret)
{
    const struct model_row *row;
    size_t pos = 0;

    if (p->models.count != 0) {
        *ret = arena_printf(a, STR_FMT "/" STR_FMT, STR_ARG(p->id), STR_ARG(p->models.list[0].v));
        return true;
    }
    while ((row = catalog_next(providers_catalog(s->providers), &pos)) != NULL) {
        struct str provider, name;
        (void)str_cut(row->id, '/', &provider, &name);
        if (str_eq(provider, p->id) && row->mode == MODE_CHAT) {
            *ret = row->id;
            return true;
        }
    }
    return false;
}

/* A model that can be used now; "MODEL" if none is known. */
static struct str
model_to_try(const struct snapshot *s, struct arena *a)
{
    const struct alias *alias = table_alias_at(s->routes, 0);
    const struct provider *p;
    struct str model;

    if (providers_simulated(s->providers))
        return S("gpt-4o-mini");
    if (alias != NULL)
        return alias->name;
    for (size_t i = 0; (p = providers_at(s->providers, i)) != NULL; i++)
        if (first_model(s, p, a, &model))
            return model;
    return S("MODEL");
}

void
banner_print(const struct banner *b, const struct snapshot *s)
{
    struct arena *a = arena_create(64 * 1024);
    const struct provider *p;

    (void)fprintf(stderr, "openclaw " OPENCLAW_VERSION " listens on %s" STR_FMT " (%u %s)\n",
        str_starts(b->address, S("unix:")) ? ""
        : b->tls                           ? "https://"
                                           : "http://",
        STR_ARG(b->address), b->workers, b->workers == 1 ? "worker" : "workers");
    if (providers_simulated(s->providers)) {
        (void)fputs("No provider is configured: the built-in simulated provider answers, with "
                    "made-up text.\n"
                    "Set OPENAI_API_KEY, ANTHROPIC_API_KEY or another provider's key, or write a "
                    "file: openclaw init\n",
            stderr);
    } else {
        (void)fputs("Providers:", stderr);
        for (size_t i = 0; (p = providers_at(s->providers, i)) != NULL; i++)
            (void)fprintf(stderr, " " STR_FMT, STR_ARG(p->id));
        (void)fputc('\n', stderr);
    }
    if (s->conf->chaos.fault_count != 0)
        (void)fprintf(stderr,
            "CHAOS IS ON: %zu kinds of faults are injected (chaos.faults in the configuration)\n",
            s->conf->chaos.fault_count);
    (void)fputs("Try it:\n", stderr);
    print_curl(b, model_to_try(s, a));
    arena_destroy(a);
}
