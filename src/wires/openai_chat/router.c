/* router.c - what OpenRouter's API adds to this protocol: its form of errors, who answered, and what it
 * cost.
 */
#include "base/json_out.h"
#include "wires/openai_chat/openai_chat.h"

/* {"error":{"code":502,"message":"..","metadata":{..}}}: the code is the HTTP status. */
void
openai_add_router_error(struct json_out *o, const struct llm_error *e, struct str request_id)
{
    out_key_object(o, "error");
    out_i64(o, "code", openai_status(e));
    out_text(o, "message", openai_sentence(e));
    out_key_object(o, "metadata");
    out_text(o, "error_type", str_c(err_row(e->kind)->code));
    out_text_if(o, "param", e->param);
    out_text_if(o, "request_id", request_id);
    out_end(o);
    out_end(o);
}

void
openai_write_router_error(struct buf *out, const struct llm_error *e, struct str request_id)
{
    struct json_out o = json_out(out);

    out_object(&o);
    openai_add_router_error(&o, e, request_id);
    out_end(&o);
}

enum { ANNOTATE_ARENA_BYTES = 64 * 1024 * 1024 };

bool
openai_annotate(
    const struct wire_writer *w, struct str text, const struct llm_usage *usage, struct buf *out)
{
    size_t begin = str_chr(text, '{'), end = text.n;

    while (end > begin && text.p[end - 1] != '}')
        end--;
    if (end == begin)
        return false;

    struct arena *a = arena_create(ANNOTATE_ARENA_BYTES);
    const struct json *doc = json_parse(a, str_make(text.p + begin, end - begin), NULL, NULL);
    const struct json *said = json_get(doc, S("usage"));
    bool names =
        json_is(doc, JSON_OBJECT) && !json_is_empty(doc) && json_get(doc, S("provider")) == NULL;
    int64_t nanousd =
        json_is(said, JSON_OBJECT) && json_get(said, S("cost")) == NULL && w->cost != NULL
            ? w->cost(w->cost_arg, usage)
            : -1;
    const char *from = text.p;

    if (names) {
        buf_add(out, str_make(from, (size_t)(doc->p + 1 - from)));
        buf_add(out, S("\"provider\":"));
        json_add_str(out, w->provider);
        buf_add_c(out, ',');
        from = doc->p + 1;
    }
    if (nanousd >= 0) {
        const char *last = said->p + said->n - 1;

        buf_add(out, str_make(from, (size_t)(last - from)));
        buf_add(out, json_is_empty(said) ? S("\"cost\":") : S(",\"cost\":"));
        buf_add_decimal(out, (uint64_t)nanousd, 9);
        from = last;
    }
    if (names || nanousd >= 0)
        buf_add(out, str_make(from, (size_t)(text.p + text.n - from)));
    arena_destroy(a);
    return names || nanousd >= 0;
}
