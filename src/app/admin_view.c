/* admin_view.c - states in words for people. */
#include "app/admin_view.h"

#include <stdio.h>

#include "cli/output.h"

bool
admin_is_well(const struct admin_client *c, const struct json *doc)
{
    struct str provider = admin_text(c, doc, "provider_state");

    return str_eq(admin_text(c, doc, "state"), S("closed")) &&
           (provider.n == 0 || str_eq(provider, S("closed")));
}

void
admin_add_state(struct buf *out, const struct admin_client *c, const struct json *doc)
{
    struct str state = admin_text(c, doc, "state"), why = admin_text(c, doc, "why");
    struct str provider = admin_text(c, doc, "provider_state");
    char age[OUTPUT_AGE_ROOM];

    if (admin_is_well(c, doc)) {
        buf_add(out, S("ok"));
        return;
    }
    if (str_eq(state, S("closed"))) {    /* itself it is well */
        buf_add(out, S("provider is "));
        buf_add(out, provider);
        return;
    }
    buf_add(out, str_eq(state, S("off")) ? S("OFF") : state);
    if (why.n != 0) {
        buf_add(out, S(": "));
        buf_add(out, why);
    }
    if (json_present(json_get(doc, S("since_ms"))))
        buf_printf(out, " for %s", output_age(admin_number(doc, "since_ms"), age));
    if (json_present(json_get(doc, S("retry_in_ms"))))
        buf_printf(out, ", next try in %s", output_age(admin_number(doc, "retry_in_ms"), age));
}

struct str
admin_target(const struct admin_client *c, const struct json *target)
{
    return arena_printf(c->arena, STR_FMT "/" STR_FMT, STR_ARG(admin_text(c, target, "provider")),
        STR_ARG(admin_text(c, target, "model")));
}

const char *
admin_ms(uint64_t ms, char *room)
{
    if (ms == 0)
        (void)snprintf(room, ADMIN_MS_ROOM, "-");
    else if (ms < 1000)
        (void)snprintf(room, ADMIN_MS_ROOM, "%llu ms", (unsigned long long)ms);
    else
        (void)snprintf(room, ADMIN_MS_ROOM, "%.1f s", (double)ms / 1000);
    return room;
}
