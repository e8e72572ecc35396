/* conf.c - from a file to a checked struct: read, parse, put --set over it, fill, cross-check. */
#include "conf/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/map.h"
#include "conf/cross.h"
#include "conf/read.h"
#include "conf/set.h"
#include "conf/yaml.h"

enum { ARENA_BYTES_MAX = 64 * 1024 * 1024 };

/* Reads at most one byte more than a configuration may have. False: errno is set. */
static bool
read_file(const char *path, struct buf *out, bool *ret_once)
{
    /* without waiting for a pipe's other end, where a file was expected */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | (ret_once == NULL ? O_NONBLOCK : 0));
    struct stat st;
    ssize_t n = -1;
    int error = 0;

    if (fd < 0)
        return false;
    bool is_stream = fstat(fd, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
    if (is_stream && ret_once == NULL) {
        (void)close(fd);
        errno = ESPIPE;
        return false;
    }
    while (buf_len(out) <= YAML_BYTES_MAX) {
        char *room = buf_reserve(out, 16 * 1024);

        n = room != NULL ? read(fd, room, 16 * 1024) : -1;
        error = n < 0 ? errno : 0;
        if (error == EINTR)
            continue;
        if (n <= 0)
            break;
        buf_commit(out, (size_t)n);
    }

    if (ret_once != NULL)
        *ret_once = n >= 0 && is_stream;
    (void)close(fd);
    errno = error;
    return n >= 0;
}

bool
conf_read_file(const char *path, struct buf *out, bool *ret_once, struct conf_problems *problems)
{
    if (read_file(path, out, ret_once))
        return true;
    conf_problem(problems, (struct conf_mark){ 0, 0 },
        "cannot be read (%s); check the path and its permissions",
        errno == ESPIPE ? "it is not a regular file any more" : strerrordesc_np(errno));
    buf_reset(out, 0);
    return false;
}

static struct conf_given
given_by(const struct yaml *root)
{
    return (struct conf_given){
        .anything = root->type != YAML_NULL && (root->type == YAML_SCALAR || root->count != 0),
        .auth = yaml_get(root, S("auth")) != NULL,
        .providers = yaml_get(root, S("providers")) != NULL,
        .models = yaml_get(root, S("models")) != NULL,
    };
}

static void
fill(struct conf *c, struct str text, const char *const *sets, size_t set_count,
    struct conf_problems *problems)
{
    struct arena *scratch = arena_create(ARENA_BYTES_MAX);
    struct yaml *root = yaml_parse(scratch, text, problems);

    if (root == NULL) {
        root = arena_new(scratch, struct yaml);    /* a null node: the defaults */
        set_count = 0;                             /* what they go with is not known */
    }
    c->given = given_by(root);
    for (size_t i = 0; i < set_count; i++)
        root = set_apply(scratch, root, sets[i], problems);
    read_conf(c, root, scratch, problems);
    cross_check(c, problems);
    arena_destroy(scratch);
}

static struct conf *
conf_create(struct str path)
{
    struct arena *a = arena_create(ARENA_BYTES_MAX);
    struct conf *c = arena_new(a, struct conf);

    c->arena = a;
    c->path = arena_printf(a, STR_FMT, STR_ARG(path));
    c->spots = map_create();
    return c;
}

struct conf *
conf_load(
    const char *path, const char *const *sets, size_t set_count, struct conf_problems *problems)
{
    struct buf text;
    bool once;

    buf_init(&text, CONF_FILE_BYTES_MAX);
    if (path != NULL && !conf_read_file(path, &text, &once, problems))
        set_count = 0;    /* what they go with is not known */
    struct conf *c = conf_load_text(
        buf_str(&text), path != NULL ? str_c(path) : S("(built in)"), sets, set_count, problems);
    buf_fini(&text);
    return c;
}

struct conf *
conf_load_text(struct str text, struct str name, const char *const *sets, size_t set_count,
    struct conf_problems *problems)
{
    struct conf *c = conf_create(name);

    fill(c, text, sets, set_count, problems);
    return c;
}

struct conf *
conf_parse(struct str text, struct str name, struct conf_problems *problems)
{
    return conf_load_text(text, name, NULL, 0, problems);
}

void
conf_destroy(struct conf *c)
{
    if (c == NULL)
        return;
    map_destroy(c->spots);
    arena_destroy(c->arena);
}

struct conf_mark
conf_mark_of(const struct conf *c, const void *field)
{
    const struct spot *s = map_get(c->spots, spot_key(&field));

    return s != NULL ? s->mark : (struct conf_mark){ 0, 0 };
}

struct conf_mark
conf_mark_in(const struct conf *c, const struct conf_str *field, size_t offset)
{
    const void *at = field;
    const struct spot *s = map_get(c->spots, spot_key(&at));

    if (s == NULL || s->style == YAML_CHANGED || offset > field->v.n)
        return field->mark;
    struct conf_mark mark = s->begin;
    for (size_t i = 0; i < offset; i++) {
        mark.column++;
        if (field->v.p[i] == '\n')
            mark =
                (struct conf_mark){ mark.line + 1, s->style == YAML_LINES ? s->begin.column : 1 };
    }
    return mark;
}

bool
conf_is_faulty(const struct conf *c, const void *thing)
{
    const struct spot *s = map_get(c->spots, spot_key(&thing));

    return s != NULL && s->faulty;
}

bool
conf_is_given(const struct conf *c, const void *field)
{
    return map_get(c->spots, spot_key(&field)) != NULL;
}

struct conf_timeouts
conf_timeouts_over(struct conf_timeouts base, struct conf_timeouts over)
{
    const uint64_t *from = &over.dns_ms;
    uint64_t *to = &base.dns_ms;

    for (size_t i = 0; i < sizeof(base) / sizeof(uint64_t); i++)
        if (from[i] != 0)
            to[i] = from[i];
    return base;
}
