/* passed.c - reads the head of a request that is only passed through. */
#include "gateway/passed.h"

#include "base/url.h"
#include "gateway/query.h"
#include "gateway/reply.h"

/* The path as the provider sees it: the normalised one without the base, and the caller's query. */
static void
set_relay_path(struct exchange *x)
{
    struct str path = endpoint_below(x->endpoint, x->path.text);
    struct str query = query_passed(x);

    x->request->llm.path = query.n == 0 ? path : exchange_join(x, path, S("?"), query);
}

/* Would some reader take a parameter of this name for "model"? Readers drop blanks around a name,
 * read '+' as a blank, ignore case, and take "model[]" and "model[x]" for lists of it. */
static bool
is_model_parameter(struct str name)
{
    static const char blanks[] = " +\t\r\n\v\f";

    while (name.n != 0 && strchr(blanks, name.p[0]) != NULL)
        name = str_skip(name, 1);
    if (!str_istarts(name, S("model")))
        return false;
    name = str_skip(name, sizeof("model") - 1);
    return name.n == 0 || name.p[0] == '[' || strchr(blanks, name.p[0]) != NULL;
}

/* The parameter "model" of the query. Some readers take the first of several, some the last, and
 * some divide at ';' too. */
static enum step
read_query(struct exchange *x)
{
    struct llm_request *r = &x->request->llm;
    struct str query = str_skip(r->path, str_chr(r->path, '?'));
    struct str type = http_field_get(&server_head(x->q)->fields, S("content-type"));
    unsigned count = 0;

    for (query = str_skip(query, MIN(query.n, 1)); query.n != 0;) {
        size_t n = MIN(str_chr(query, '&'), str_chr(query, ';'));
        struct str name, value;

        (void)str_cut(str_make(query.p, n), '=', &name, &value);
        query = str_skip(query, MIN(n + 1, query.n));
        if (!is_model_parameter(url_decode(x->arena, name)))
            continue;
        count++;
        r->path_model = value;
        r->model = url_decode(x->arena, value);
    }
    if (count > 1)
        return exchange_fail(x, ERR_BAD_REQUEST, "the query has more than one 'model' parameter");
    /* In a body of any other kind a provider could find another model. */
    if (count == 1 && r->body.n != 0 && !http_type_is(type, S("application/sdp")))
        return exchange_fail(x, ERR_BAD_REQUEST,
            "this route names its model in the query; its body can only be application/sdp");
    return STEP_NEXT;
}

/* A provider may read JSON whatever the caller calls it; then so must we, or its model would go
 * unseen. */
static enum step
read_json(struct exchange *x, bool must_be_json)
{
    struct llm_request *r = &x->request->llm;
    struct wire_fault fault = { S(""), S("") };

    if (!exchange_parse(x))
        return STEP_WAIT;
    if (r->doc == NULL && must_be_json)
        return exchange_fail(x, x->request->bad_json.limit ? ERR_TOO_LARGE : ERR_BAD_JSON,
            "the body cannot be parsed as JSON: %s at byte %zu", x->request->bad_json.what,
            x->request->bad_json.offset);
    enum err e = llm_request_read(r, &fault);
    if (e != OK)
        return exchange_fail_with(
            x, &(struct llm_error){ .kind = e, .message = fault.message, .param = fault.param });
    return STEP_NEXT;
}

static void
search_form(void *arg)
{
    struct request *r = arg;

    r->form = multipart_find(r->form_type, r->llm.body, S("model"), &r->llm.model, &r->form_why);
}

/* The form field "model", for the audio and image routes. */
static enum step
read_form(struct exchange *x, struct str type)
{
    struct llm_request *r = &x->request->llm;
    struct json *node;

    if (x->request->job.state == JOB_NONE)
        x->request->form_type = x->request->large ? arena_str(r->arena, type) : type;
    if (!request_work(x->request, search_form, x->request))
        return STEP_WAIT;
    switch (x->request->form) {
    case MULTIPART_UNCLEAR:
        return exchange_fail(
            x, ERR_BAD_REQUEST, "the form field 'model' is ambiguous: %s", x->request->form_why);
    case MULTIPART_ONE:
        node = arena_new(r->arena, struct json);
        *node = (struct json){
            .p = r->model.p, .n = (uint32_t)r->model.n, .span = 1, .type = JSON_NUMBER
        };
        r->model_node = node;
        break;
    case MULTIPART_NONE:
        break;
    }
    return STEP_NEXT;
}

/* A form, or JSON. On a route whose model is in its body, anything else is refused: a provider
 * may make more of it than we do. */
static enum step
read_body(struct exchange *x, bool may_be_form)
{
    struct str type = http_field_get(&server_head(x->q)->fields, S("content-type"));
    bool must_be_json =
        x->endpoint->model != MODEL_MAYBE || http_type_is(type, S("application/json"));
    struct str body = x->request->llm.body;

    if (http_type_is(type, S("multipart/form-data")))
        return may_be_form ? read_form(x, type) : STEP_NEXT;
    if (body.n != 0 && (must_be_json || str_starts(str_trim(body), S("{"))))
        return read_json(x, must_be_json);
    return STEP_NEXT;
}

enum step
passed_read(struct exchange *x)
{
    struct llm_request *r = &x->request->llm;
    enum step step = STEP_NEXT;

    set_relay_path(x);
    switch (x->endpoint->model) {
    case MODEL_BODY:
        step = read_body(x, false);
        break;
    case MODEL_FORM:
        step = read_body(x, true);
        break;
    case MODEL_MAYBE:
        if (http_is_sending_method(x->method))
            step = read_body(x, true);
        break;
    case MODEL_QUERY:
        x->session = server_may_switch(x->q, S("websocket"));
        step = read_query(x);
        break;
    case MODEL_PATH:    /* answered by ourselves */
    case MODEL_NOWHERE:
        break;
    }
    if (step != STEP_NEXT)
        return step;
    if (r->model.n > MODEL_BYTES) {
        r->model = S("");
        return exchange_fail(
            x, ERR_BAD_REQUEST, "the model name is longer than %d bytes", MODEL_BYTES);
    }
    return STEP_NEXT;
}
