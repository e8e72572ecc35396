/* feedback.c - reads what is said of an answer, and takes it to the worker that knows the request.
 *
 * A score counts once for each request: what is said later takes the place of what was said before.
 * It is kept with the request (recent.h), added to the results of its experiment, and written to the
 * access log as a line of its own kind, for whoever learns from the log.
 */
#include "gateway/feedback.h"

#include "base/clock.h"
#include "base/json_out.h"
#include "gateway/document.h"
#include "gateway/past.h"
#include "gateway/recent.h"
#include "gateway/reply.h"

#define BODY_BYTES (64u * 1024)
#define COMMENT_BYTES 4096
#define TAGS_MOST 16
#define TAG_BYTES 128
#define ID_BYTES 512

/* --- what is said --- */

/* 1 to 5 stars, or up and down, as a score. */
static bool
read_score(struct exchange *x, const struct json *doc, double *ret)
{
    const struct json *score = json_get(doc, S("score")), *rating = json_get(doc, S("rating"));
    const struct json *thumb = json_get(doc, S("thumb"));
    unsigned said = json_present(score) + json_present(rating) + json_present(thumb);

    if (json_is(score, JSON_NUMBER))
        *ret = json_f64(score, 2);
    else if (json_is(rating, JSON_NUMBER))
        *ret = (json_f64(rating, 7) - 3) / 2;
    else if (json_str_is(thumb, S("up")) || json_str_is(thumb, S("down")))
        *ret = json_str_is(thumb, S("up")) ? 1 : -1;
    else
        said = 0;
    if (said == 1 && *ret >= -1 && *ret <= 1)
        return true;
    (void)exchange_fail(x, ERR_BAD_REQUEST,
        "send one of: score (-1 to 1), rating (1 to 5), thumb (\"up\" or \"down\")");
    return false;
}

/* The texts of "tags", a list. */
static bool
add_tags(struct exchange *x, struct json_out *o, const struct json *tags)
{
    struct json_iter it = json_iter(tags);
    bool right = json_is(tags, JSON_ARRAY) && json_count(tags) <= TAGS_MOST;

    if (!json_present(tags))
        return true;
    if (right)
        out_key_array(o, "tags");
    while (right && json_next(&it)) {
        struct str tag = json_str(x->arena, it.value);

        right = tag.p != NULL && tag.n <= TAG_BYTES;
        out_text_value(o, exchange_shown(x, tag));
    }
    out_end_array(o);
    if (!right)
        (void)exchange_fail(x, ERR_BAD_REQUEST,
            "tags must be a list of at most %d texts of at most %d bytes", TAGS_MOST, TAG_BYTES);
    return right;
}

/* "HASH\nID\nSCORE\n{...}": what the workers are asked. False: it was answered with what is wrong. */
static bool
read_question(struct exchange *x, const struct json *doc, struct buf *out)
{
    struct str id = json_str(x->arena, json_get(doc, S("request_id")));
    struct str comment = json_str(x->arena, json_get(doc, S("comment")));
    double score = 0;

    if (id.n == 0)
        id = json_str(x->arena, json_get(doc, S("id")));
    if (id.n == 0 || id.n > ID_BYTES || str_chr(id, '\n') != id.n || str_chr(id, '\0') != id.n) {
        (void)exchange_fail(x, ERR_BAD_REQUEST,
            "request_id must be the x-request-id of an answer, or the id in it");
        return false;
    }
    if (comment.n > COMMENT_BYTES) {
        (void)exchange_fail(x, ERR_BAD_REQUEST, "comment may have %d bytes at most", COMMENT_BYTES);
        return false;
    }
    if (!read_score(x, doc, &score))
        return false;
    struct json_out o = json_out(out);
    struct str key = past_key(x);

    buf_printf(out, STR_FMT "\n" STR_FMT "\n", STR_ARG(key), STR_ARG(id));
    json_add_f64(out, score);
    buf_add_c(out, '\n');
    out_object(&o);
    out_key(&o, "score");
    out_comma(&o);
    json_add_f64(out, score);
    out_text_if(&o, "comment", exchange_shown(x, comment));
    if (!add_tags(x, &o, json_get(doc, S("tags"))))
        return false;
    out_end(&o);
    return true;
}

/* --- on the worker that had the request --- */

/* Counts it, unless the same was said already. */
static void
count(struct worker *w, const struct json *line, double score, const double *before)
{
    const struct json *e = json_at(line, "route.experiment");
    struct arena *a = w->scratch;
    const struct experiment_arm *arm = experiments_arm(w->current->snapshot->experiments,
        json_str(a, json_get(e, S("name"))), json_str(a, json_get(e, S("arm"))));

    if (before == NULL)
        metric_add(&w->metrics->feedback, 1);
    if (arm != NULL)
        experiment_say(arm, score, before);
}

/* {"ts":...,"kind":"feedback","request_id":...,...}: with what of the request's own line says which
 * choice is judged. */
static void
write_line(struct worker *w, const struct json *line, struct str said)
{
    static const char *const kept[] = { "request_id", "key", "key_hash", "model_requested",
        "provider", "model" };
    char room[CLOCK_STAMP_ROOM];
    struct json_out o = json_out(&w->text);
    const struct json *experiment = json_at(line, "route.experiment");

    CHECK(buf_len(&w->text) == 0);
    out_object(&o);
    out_text(&o, "ts", clock_stamp(clock_wall_ms(), room));
    out_text(&o, "kind", S("feedback"));
    for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
        const struct json *value = json_get(line, str_c(kept[i]));

        if (value == NULL)
            continue;
        out_key_str(&o, str_c(kept[i]));
        out_raw_value(&o, json_raw(value));
    }
    if (experiment != NULL)
        out_raw(&o, "experiment", json_raw(experiment));
    out_raw(&o, "feedback", said);
    out_end(&o);
    access_log_add(&w->access, buf_str(&w->text));
    buf_reset(&w->text, SIZE_MAX);
}

static void
take(void *owner, struct str question, struct collected *ret)
{
    struct worker *w = owner;
    struct str key, id, number, said;
    struct recent_entry e;

    (void)str_cut(question, '\n', &key, &question);
    (void)str_cut(question, '\n', &id, &question);
    (void)str_cut(question, '\n', &number, &said);
    if (!recent_find(w->recent, id, &key, &e))
        return;
    struct arena_mark mark = arena_mark(w->scratch);
    bool same = str_eq(e.feedback, said);
    double score = json_f64(json_parse(w->scratch, number, NULL, NULL), 0), before = e.score;
    bool first = e.feedback.n == 0;
    struct str text = arena_str(w->scratch, e.line);
    const struct json *line = json_parse(w->scratch, text, NULL, NULL);

    if (line != NULL && !same && recent_say(w->recent, id, &key, score, said)) {
        count(w, line, score, first ? NULL : &before);
        write_line(w, line, said);
    }
    struct json_out o = json_out(&ret->rows);
    out_object(&o);
    out_raw(&o, "request_id", json_raw(json_get(line, S("request_id"))));
    out_raw(&o, "feedback", said);
    out_text(&o, "result", first ? S("taken") : same ? S("known") : S("replaced"));
    out_end(&o);
    arena_rewind(w->scratch, mark);
}

void
feedback_answer(struct exchange *x)
{
    const struct json *doc;
    struct buf question;
    struct str found;
    bool right = true;

    if (!document_read(x, BODY_BYTES, &doc))
        return;
    buf_init(&question, BODY_BYTES + ID_BYTES);
    if (x->admin == NULL)    /* else the workers have it already */
        right = read_question(x, doc, &question);
    if (right && past_ask(x, take, buf_str(&question), &found)) {
        if (found.n != 0)
            exchange_answer(x, 200, S("application/json"), found);
        else
            (void)exchange_fail(x, ERR_NO_ROUTE,
                "no request with this id is kept that this API key has sent; the newest requests "
                "are, as many as observe.recent has room for");
    }
    buf_fini(&question);
}
