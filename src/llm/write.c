/* write.c - writes a request for a provider: what all protocols have in common. */
#include "llm/write.h"

#include <stdarg.h>
#include <stdio.h>

#include "llm/media.h"
#include "llm/schema.h"

#define TOO_LARGE "the request is too large to be translated"

void
write_refuse(struct request_out *w, enum err e, const char *param, const char *what, ...)
{
    char text[512];
    va_list args;

    if (w->err != OK)
        return;
    va_start(args, what);
    (void)vsnprintf(text, sizeof(text), what, args);
    va_end(args);
    w->err = e;
    w->fault->param = str_c(param);
    w->fault->message = arena_printf(w->a, "%s%s%s", param, param[0] != '\0' ? ": " : "", text);
}

void
write_drop(struct request_out *w, enum param p)
{
    param_drop(w->drops, w->r, p);
}

void
write_cut_stop(struct request_out *w, struct str stop)
{
    if (w->r->n > 1 || !wire_cut_stop(w->drops, stop))
        write_drop(w, PARAM_stop);
}

/* Whether the wire can make a request of this kind at all. */
static void
judge(struct request_out *w)
{
    const struct llm_request *r = w->r;
    const struct wire_provider *to = w->to->provider;

    CHECK(r->expanded);
    if (to->writes[r->op] == NULL && (to->translates & OP_BIT(r->op)) == 0)
        write_refuse(w, ERR_UNSUPPORTED, "", "this provider has no such operation");
    else if (r->n > 1 && !to->choices)
        write_refuse(w, ERR_UNSUPPORTED, "n", "this provider returns only one choice");
    else
        w->err = wire_check_tools(r, w->to, w->fault);
}

#define WRAPPED_SCHEMA                                                                             \
    "{\"type\":\"object\",\"properties\":{\"input\":{\"type\":\"string\"}},\"required\":[\"input\"]}"
#define WRAPPED_NOTE "The whole input of this tool is one text, which is the value of \"input\"."

/* The request with its free-form tools as functions of one text, for a protocol that has no others.
 */
static void
wrap_free_form(struct request_out *w)
{
    struct llm_request *r = arena_new(w->a, struct llm_request);
    struct llm_tool **tail = &r->tools;

    *r = *w->r;
    for (const struct llm_tool *tool = w->r->tools; tool != NULL; tool = tool->next) {
        struct llm_tool *copy = *tail = arena_new(w->a, struct llm_tool);

        tail = &copy->next;
        *copy = *tool;
        if (!tool->custom)
            continue;
        copy->custom = false;
        copy->schema = S(WRAPPED_SCHEMA);
        copy->description = S(WRAPPED_NOTE);
        if (tool->description.n > 0) {
            struct str text = S("");

            if (!arena_append(w->a, &text, tool->description) ||
                !arena_append(w->a, &text, S("\n\n" WRAPPED_NOTE)))
                write_refuse(w, ERR_TOO_LARGE, "", TOO_LARGE);
            copy->description = text;
        }
        if (w->drops != NULL && !wire_wrap(w->drops, tool->name))
            write_refuse(w, ERR_TOO_LARGE, "", TOO_LARGE);
    }
    *tail = NULL;
    w->r = r;
}

static bool
has_free_form(const struct llm_request *r)
{
    const struct llm_tool *tool = r->tools;

    while (tool != NULL && !tool->custom)
        tool = tool->next;
    return tool != NULL;
}

enum err
write_request(const struct wire *to, struct buf *out, const struct llm_request *r,
    const struct wire_target *t, struct wire_drops *drops, struct wire_fault *ret_fault)
{
    struct request_out w = {
        .o = json_out(out),
        .to = to,
        .a = r->arena,
        .r = r,
        .t = t,
        .drops = drops,
        .fault = ret_fault,
    };
    size_t before = buf_len(out);

    judge(&w);
    if (w.err != OK)
        return w.err;
    wire_drop_extra(drops, r);
    if (!to->provider->free_form && has_free_form(r))
        wrap_free_form(&w);
    out_object(&w.o);
    if (to->provider->writes[r->op] != NULL)
        to->provider->writes[r->op](&w);
    else
        to->provider->write_request(&w);
    out_end(&w.o);
    if (out->overflow)
        write_refuse(&w, ERR_TOO_LARGE, "", TOO_LARGE);
    if (w.err != OK)
        buf_truncate(out, before);
    return w.err;
}

bool
write_may_declare(struct request_out *w, const struct llm_tool *tool)
{
    /* a model that cannot be made to call the tool that was named is offered no other */
    if (w->t->traits.no_forced_tools == YES && w->r->choice == CHOICE_NAMED &&
        !str_eq(tool->name, w->r->choice_name))
        return false;
    if (tool->raw != NULL && w->r->wire != w->to) {
        bool legible = tool->name.n > 0 && tool->name.n <= 48 && str_has_only(tool->name, "_-.");

        wire_drop(w->drops,
            legible ? arena_printf(w->a, "tools." STR_FMT, STR_ARG(tool->name)) : S("tools"));
        return false;
    }
    return true;
}

enum llm_choice
write_choice(struct request_out *w)
{
    enum llm_choice choice = w->r->choice;

    if (w->t->traits.no_forced_tools != YES ||
        (choice != CHOICE_REQUIRED && choice != CHOICE_NAMED))
        return choice;
    wire_drop(w->drops, S("tool_choice"));
    return CHOICE_AUTO;
}

bool
write_schema(
    struct request_out *w, const char *param, struct str schema, const struct schema_rules *rules)
{
    uint32_t cut = 0;
    bool done = schema_add(w->o.b, w->a, schema, rules, &cut);

    w->o.comma = w->o.comma || done;
    if ((cut & SCHEMA_CLOSED) != 0)
        wire_drop(w->drops, arena_printf(w->a, "%s.additionalProperties", param));
    cut &= ~SCHEMA_CLOSED;
    for (unsigned i = 0; cut != 0; cut >>= 1, i++)
        if ((cut & 1) != 0)
            wire_drop(w->drops,
                arena_printf(w->a, "%s." STR_FMT, param, STR_ARG(rules->refused[i].name)));
    return done;
}

struct str
write_file_text(struct request_out *w, const struct llm_part *part)
{
    struct str text = S("");
    enum err e = media_text(w->a, part, &text);

    if (e == ERR_TOO_LARGE)
        write_refuse(w, e, "messages", TOO_LARGE);
    else if (e != OK)
        write_refuse(w, e, "messages",
            "a file whose data is not valid base64 cannot be sent to this provider");
    return text;
}

bool
write_arguments(struct json_out *o, struct arena *a, struct str args, bool custom, bool *ret_broken)
{
    struct arena_mark mark = arena_mark(a);
    struct json_error error = { .limit = false };
    const struct json *doc = NULL;

    if (!custom) {
        args = str_trim(args);
        if (args.n == 0 || str_eq(args, S("null")) || str_eq(args, S("{}"))) {
            out_raw_value(o, S("{}"));
            return true;
        }
        doc = json_parse(a, args, NULL, &error);
    }
    if (!custom && ret_broken != NULL && !error.limit && !json_is(doc, JSON_OBJECT))
        *ret_broken = true;
    if (doc == NULL) {
        out_object(o);
        out_text(o, "input", args);
        out_end(o);
    } else {
        out_comma(o);
        if (doc->type != JSON_OBJECT)
            buf_add(o->b, S("{\"input\":"));
        json_add_line(o->b, args);
        if (doc->type != JSON_OBJECT)
            buf_add_c(o->b, '}');
    }
    arena_rewind(a, mark);
    return !error.limit;
}
