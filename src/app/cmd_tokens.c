/* cmd_tokens.c - `openclaw tokens`: how many tokens a text is to a model. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "app/app.h"
#include "base/arena.h"
#include "base/json.h"
#include "base/json_out.h"
#include "catalog/model.h"
#include "cli/flags.h"
#include "cli/output.h"

#define TEXT_BYTES_MAX (1u << 30)
#define LINE_BYTES_MAX (64u << 20)

struct tokens_command {
    const char *model;
    bool json;
    bool lines;
    enum tokens_family family;
    struct buf out;
};

/* 0, or 1 after saying why. */
static int
read_text(const char *path, struct buf *out)
{
    bool standard = strcmp(path, "-") == 0;
    FILE *f = standard ? stdin : fopen(path, "rb");
    char room[64 * 1024];
    size_t n;

    while (f != NULL && !out->overflow && (n = fread(room, 1, sizeof(room), f)) > 0)
        buf_add(out, str_make(room, n));
    bool failed = f == NULL || ferror(f) != 0;
    if (failed)
        (void)fprintf(stderr, "openclaw tokens: %s: %s\n", path, strerror(errno));
    else if (out->overflow)
        (void)fprintf(stderr, "openclaw tokens: %s: it is too large; count parts of it\n", path);
    if (f != NULL && !standard)
        (void)fclose(f);
    return failed || out->overflow;
}

static void
print_count(struct tokens_command *c, const char *path, struct str text)
{
    size_t tokens = tokens_count(c->family, text);
    bool exact = tokens_exact(c->family);

    if (!c->json) {
        buf_printf(
            &c->out, "%s%zu tokens (%s)", exact ? "" : "about ", tokens, tokens_name(c->family));
        if (path != NULL)
            buf_printf(&c->out, " %s", path);
        buf_add_c(&c->out, '\n');
        return;
    }
    struct json_out o = json_out(&c->out);

    out_object(&o);
    if (path != NULL)
        out_text(&o, "file", str_c(path));
    out_i64(&o, "tokens", (int64_t)tokens);
    out_i64(&o, "bytes", (int64_t)text.n);
    out_text(&o, "tokenizer", str_c(tokens_name(c->family)));
    out_bool(&o, "exact", exact);
    out_end(&o);
    buf_add_c(&c->out, '\n');
}

/* A count for each line, which is a text as a JSON string. */
static int
print_lines(struct tokens_command *c, const char *path, struct str text)
{
    struct arena *a = arena_create(LINE_BYTES_MAX);
    int status = 0;

    for (size_t number = 1; text.n != 0 && status == 0; number++) {
        struct str line;

        (void)str_cut(text, '\n', &line, &text);
        const struct json *j = json_parse(a, str_trim(line), NULL, NULL);
        if (json_is(j, JSON_STRING)) {
            buf_printf(&c->out, "%zu\n", tokens_count(c->family, json_str(a, j)));
        } else {
            (void)fprintf(stderr,
                "openclaw tokens: %s:%zu: with --lines each line is a JSON string\n", path, number);
            status = 1;
        }
        arena_destroy(a);
        a = arena_create(LINE_BYTES_MAX);
    }
    arena_destroy(a);
    return status;
}

static int
count_file(struct tokens_command *c, const char *path, bool named)
{
    struct buf text;

    buf_init(&text, TEXT_BYTES_MAX);
    int status = read_text(path, &text);
    if (status == 0 && c->lines)
        status = print_lines(c, path, buf_str(&text));
    else if (status == 0)
        print_count(c, named ? path : NULL, buf_str(&text));
    buf_fini(&text);
    return status;
}

int
cmd_tokens(int argc, char **argv)
{
    struct tokens_command c = { .model = "gpt-4o" };
    const struct flag list[] = {
        { "model", 'm', FLAG_TEXT, "MODEL", "whose tokens (gpt-4o)", &c.model, NULL },
        { "lines", 0, FLAG_BOOL, NULL, "each line is a JSON string to count by itself", &c.lines,
            NULL },
        { "json", 0, FLAG_BOOL, NULL, "print the result as JSON", &c.json, NULL },
    };
    const struct flags flags = {
        .usage = "openclaw tokens [-m MODEL] [FILE]...",
        .about =
            "Counts the tokens of texts: of files, or of standard input. For OpenAI's models the count is "
            "that of their tokenizers; for others it is an estimate, and says so.",
        .list = list,
        .count = ARRAY_LEN(list),
        .words = SIZE_MAX,
    };
    int files = 0, status = 0;
    enum flags_verdict verdict = flags_parse(&flags, argc, argv, &files);

    if (verdict != FLAGS_OK)
        return verdict;
    c.family = model_tokenizer(model_row(str_c(c.model)), str_c(c.model));
    buf_init(&c.out, TEXT_BYTES_MAX);
    if (files == 0)
        status = count_file(&c, "-", false);
    for (int i = 1; i <= files; i++)
        status |= count_file(&c, argv[i], files > 1);
    output_print(&c.out);
    return status;
}
