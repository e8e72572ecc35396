/* catalog.c - rows of a configuration and its catalog file, over the built-in table. */
#include "catalog/catalog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json_out.h"
#include "base/map.h"
#include "catalog/entry.h"

#define CATALOG_ARENA_BYTES (512u * 1024 * 1024)

struct catalog {
    struct arena *arena;
    struct map *by_id;    /* NULL: it has no rows of its own */
    enum unknown_price unknown_price;
};

/* --- catalog files --- */

bool
catalog_read_bytes(const char *path, struct buf *out, struct why why)
{
    int fd =
        open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);    /* a pipe is not waited for */
    struct stat st;
    ssize_t n = -1;

    if (fd < 0)
        return why_say(why, "cannot be opened: %s", strerrordesc_np(errno));
    bool regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    while (regular && !out->overflow) {
        char *room = buf_reserve(out, 64 * 1024);

        n = room != NULL ? read(fd, room, 64 * 1024) : -1;
        if (n < 0 && room != NULL && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        buf_commit(out, (size_t)n);
    }
    (void)close(fd);
    if (!regular)
        return why_say(why, "is not a regular file");
    if (out->overflow)
        return why_say(why, "is larger than %u MB", CATALOG_FILE_BYTES_MAX >> 20);
    return n == 0 || why_say(why, "cannot be read");
}

/* Where what is wrong with an entry is told, with its number. */
struct entry_place {
    void (*tell)(void *arg, struct str problem);
    void *arg;
    struct arena *arena;
    size_t number;
};

static void
tell_entry(void *arg, struct str problem)
{
    struct entry_place *at = arg;

    at->tell(at->arg,
        arena_printf(at->arena, "models[%zu].%.*s", at->number, (int)problem.n, problem.p));
}

bool
catalog_read(struct arena *a, struct str text, void (*each)(void *arg, struct model_row *row),
    void (*tell)(void *arg, struct str problem), void *arg, struct why why)
{
    static const struct json_limits limits = { .depth = 16, .values = 20000000 };
    struct json_error error;
    const struct json *doc = json_parse(a, text, &limits, &error);
    const struct json *models = json_get(doc, S("models"));
    struct json_iter it = json_iter(models);
    struct entry_place at = { .tell = tell, .arg = arg, .arena = a };

    if (doc == NULL)
        return why_say(why, "is not JSON: %s at byte %zu", error.what, error.offset);
    if (!json_is(models, JSON_ARRAY))
        return why_say(why, "has no list of models; `openclaw catalog import` writes such files");
    for (; json_next(&it); at.number++) {
        struct str id = json_str(a, json_get(it.value, S("id")));
        struct model_row *row = entry_read(a, it.value, model_row(id), tell_entry, &at);

        if (row != NULL)
            each(arg, row);
    }
    return true;
}

/* --- building --- */

struct building {
    struct catalog *catalog;
    struct conf_problems *problems;
    struct str where;
    struct conf_mark mark;
};

static void
take_row(void *arg, struct model_row *row)
{
    struct building *b = arg;

    if (b->catalog->by_id == NULL)
        b->catalog->by_id = map_create();
    (void)map_put(b->catalog->by_id, row->id, row);
}

static void
take_problem(void *arg, struct str problem)
{
    struct building *b = arg;

    conf_problem(b->problems, b->mark, STR_FMT STR_FMT, STR_ARG(b->where), STR_ARG(problem));
}

static void
read_catalog_file(struct catalog *k, const struct conf *c, struct conf_problems *problems)
{
    const struct conf_str *file = &c->catalog.file;
    struct building b = {
        .catalog = k, .problems = problems, .where = S("catalog.file: "), .mark = file->mark
    };
    struct buf text;
    char reason[256] = "";

    if (file->v.n == 0 || conf_is_faulty(c, file))
        return;
    buf_init(&text, CATALOG_FILE_BYTES_MAX);
    bool read = catalog_read_bytes(file->v.p, &text, WHY(reason));
    /* rows keep slices of it */
    struct str kept = arena_str(k->arena, buf_str(&text));
    buf_fini(&text);
    if (!read || !catalog_read(k->arena, kept, take_row, take_problem, &b, WHY(reason)))
        conf_problem(problems, file->mark, "catalog.file: it %s", reason);
}

/* The entry of a model of the configuration, as JSON. */
static void
write_entry(struct buf *out, const struct conf_known *m)
{
    struct json_out o = json_out(out);

    out_object(&o);
    out_text(&o, "id", m->id.v);
    out_text_if(&o, "base", m->base.v);
    out_text_if(&o, "mode", m->mode.v);
    out_text_if(&o, "region", m->region.v);
    out_text_if(&o, "tokenizer", m->tokenizer.v);
    if (m->context != 0)
        out_i64(&o, "context", (int64_t)m->context);
    if (m->max_input != 0)
        out_i64(&o, "max_input", (int64_t)m->max_input);
    if (m->output != 0)
        out_i64(&o, "output", (int64_t)m->output);
    if (m->quality != 0)
        out_i64(&o, "quality", (int64_t)m->quality);
    if (m->tokens_per_s != 0)
        out_i64(&o, "tokens_per_s", (int64_t)m->tokens_per_s);
    if (m->first_token_ms != 0) {
        out_key(&o, "first_token_s");
        out_comma(&o);
        json_add_f64(out, (double)m->first_token_ms / 1000);
    }
    if (m->capabilities.n != 0)
        out_raw(&o, "capabilities", m->capabilities);
    if (m->price.n != 0)
        out_raw(&o, "price", m->price);
    out_end(&o);
}

static void
read_entry(struct catalog *k, const struct conf_known *m, size_t i, struct conf_problems *problems)
{
    struct building b = { .catalog = k,
        .problems = problems,
        .where = arena_printf(problems->arena, "catalog.models[%zu].", i),
        .mark = m->mark };
    struct buf text;

    if (m->id.v.n == 0)
        return;    /* it was refused */
    buf_init(&text, CONF_FILE_BYTES_MAX);
    write_entry(&text, m);
    CHECK(!text.overflow);    /* the file has a maximum length */
    struct str kept = arena_str(k->arena, buf_str(&text));
    buf_fini(&text);
    const struct json *entry = json_parse(k->arena, kept, NULL, NULL);
    struct model_row *row =
        entry_read(k->arena, entry, catalog_model(k, m->id.v), take_problem, &b);

    if (row != NULL)
        take_row(&b, row);
}

struct catalog *
catalog_create(const struct conf *c, struct conf_problems *problems)
{
    struct catalog *k = check_alloc(calloc(1, sizeof(*k)));

    k->arena = arena_create(CATALOG_ARENA_BYTES);
    k->unknown_price = str_eq(c->catalog.unknown_price.v, S("deny"))       ? PRICE_DENY
                       : str_eq(c->catalog.unknown_price.v, S("estimate")) ? PRICE_ESTIMATE
                                                                           : PRICE_ALERT;
    read_catalog_file(k, c, problems);
    for (size_t i = 0; i < c->catalog.model_count; i++)
        read_entry(k, &c->catalog.models[i], i, problems);
    return k;
}

void
catalog_destroy(struct catalog *k)
{
    if (k == NULL)
        return;
    map_destroy(k->by_id);
    arena_destroy(k->arena);
    free(k);
}

/* --- looking up --- */

const struct model_row *
catalog_model(const struct catalog *k, struct str id)
{
    const struct model_row *row = k != NULL && k->by_id != NULL ? map_get(k->by_id, id) : NULL;

    return row != NULL ? row : model_row(id);
}

const struct model_row *
catalog_next(const struct catalog *k, size_t *pos)
{
    size_t own = k != NULL && k->by_id != NULL ? map_count(k->by_id) : 0;
    const struct model_row *row;
    struct str id;
    void *value;

    if (*pos < own && map_next(k->by_id, pos, &id, &value))
        return value;
    while ((row = model_row_at(*pos - own)) != NULL) {
        (*pos)++;
        if (own == 0 || map_get(k->by_id, row->id) == NULL)
            return row;
    }
    return NULL;
}

/* --- prices that are not known --- */

enum unknown_price
catalog_unknown_price(const struct catalog *k)
{
    return k != NULL ? k->unknown_price : PRICE_ALERT;
}

int64_t
catalog_cost_nanousd(const struct catalog *k, const struct model_row *row,
    const struct llm_usage *u, const struct price_when *when, bool *ret_estimated)
{
    int64_t cost = model_cost_nanousd(row, u, when);
    const struct model_row *other;
    size_t pos = 0;

    *ret_estimated = false;
    if (cost != COST_UNKNOWN || catalog_unknown_price(k) != PRICE_ESTIMATE || row == NULL ||
        row->base == NULL)
        return cost;
    while ((other = catalog_next(k, &pos)) != NULL)
        if (other->base != NULL && str_eq(other->base->id, row->base->id))
            cost = MAX(cost, model_cost_nanousd(other, u, when));
    *ret_estimated = cost != COST_UNKNOWN;
    return cost;
}
