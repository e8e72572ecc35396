/* cmd_catalog.c - `openclaw catalog`: what is known about models, and bringing a catalog file up to date. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/app.h"
#include "app/config_flags.h"
#include "app/fetch.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/json_out.h"
#include "catalog/catalog.h"
#include "catalog/entry.h"
#include "catalog/words.h"
#include "catalog/import.h"
#include "cli/flags.h"
#include "cli/output.h"

enum { OUTPUT_MAX = 64 * 1024 * 1024, NAME_BYTES = 64 * 1024 };

struct options {
    struct config_flags config;
    bool json;
    const char *file;    /* that import writes */
};

/* The configuration and its catalog. */
struct opened {
    struct conf *conf;
    struct catalog *catalog;
    struct arena *arena;
};

/* 0, or the status to exit with after saying why. */
static int
open_catalog(struct options *o, struct opened *ret)
{
    struct conf_problems problems;

    ret->arena = arena_create(OUTPUT_MAX);
    conf_problems_init(&problems, ret->arena);
    config_flags_from_environment(&o->config);
    ret->conf = config_flags_load(&o->config, &problems);
    ret->catalog = catalog_create(ret->conf, &problems);
    if (problems.count == 0)
        return 0;
    conf_problems_print(
        &problems, str_c(o->config.path != NULL ? o->config.path : "(built in)"), STDERR_FILENO);
    return 2;
}

static void
close_catalog(struct opened *k)
{
    catalog_destroy(k->catalog);
    conf_destroy(k->conf);
    arena_destroy(k->arena);
}

/* --- list and search --- */

static void
add_tokens(struct buf *out, int64_t tokens)
{
    char room[24] = "-";

    if (tokens >= 1000)
        (void)snprintf(room, sizeof(room), "%lldk", (long long)(tokens / 1000));
    else if (tokens > 0)
        (void)snprintf(room, sizeof(room), "%lld", (long long)tokens);
    buf_printf(out, "%7s", room);
}

/* Dollars per million tokens. */
static void
add_price(struct buf *out, const struct price_sheet *sheet, enum price_unit unit)
{
    int64_t price = sheet != NULL ? price_of(&sheet->list, unit) : PRICE_UNKNOWN;
    char room[32] = "-";

    if (sheet != NULL && sheet->plan)
        (void)snprintf(room, sizeof(room), "plan");
    else if (price >= 0)
        (void)snprintf(room, sizeof(room), "%g%s", (double)price / 1e6,
            sheet->tier_count + sheet->window_count != 0 ? "+" : "");
    buf_printf(out, " %9s", room);
}

static void
add_line(struct buf *out, const struct model_row *row, const struct price_sheet *price)
{
    int quality = model_quality_permille(row);

    output_cell(out, row->id, 52);
    add_tokens(out, row->context_tokens);
    add_tokens(out, row->output_tokens);
    add_price(out, price, PRICE_input);
    add_price(out, price, PRICE_output);
    if (quality != 0)
        buf_printf(out, " %7d.%d", quality / 10, quality % 10);
    else
        buf_add(out, S("         -"));
    if (row->status != STATUS_ACTIVE || row->mode != MODE_CHAT)
        buf_printf(out, "  " STR_FMT,
            STR_ARG(row->mode != MODE_CHAT ? model_mode_word(row->mode)
                                           : model_status_word(row->status)));
    buf_add_c(out, '\n');
}

/* Is the word part of the model's name, that of its base, or what it is; with '+' or 'no-' in front, something that it
 * can or cannot do? */
static bool
matches(const struct model_row *row, struct str word)
{
    bool can = str_starts(word, S("+")), cannot = str_starts(word, S("no-"));

    if (can || cannot) {
        for (unsigned i = 0; i < ABILITIES; i++)
            if (str_eq(model_ability_word(i), str_skip(word, can ? 1 : 3)))
                return model_can(row, i) == (can ? YES : NO);
        return false;
    }
    return str_find(row->id, word) < row->id.n || str_eq(word, model_mode_word(row->mode)) ||
           str_eq(word, model_status_word(row->status)) ||
           (row->base != NULL && str_find(row->base->id, word) < row->base->id.n);
}

static int
do_list(struct options *o, int words, char **argv)
{
    struct opened k;
    struct buf out;
    struct json_out json = json_out(&out);
    const struct model_row *row;
    size_t pos = 0, n = 0;
    int status = open_catalog(o, &k);
    int64_t now_s = (int64_t)(clock_wall_ms() / 1000);

    buf_init(&out, OUTPUT_MAX);
    while (status == 0 && (row = catalog_next(k.catalog, &pos)) != NULL) {
        bool good = true;

        for (int i = 0; i < words && good; i++)
            good = matches(row, str_c(argv[i]));
        if (!good)
            continue;
        if (o->json) {
            buf_add(&out, n++ == 0 ? S("[") : S(",\n "));
            json.comma = false;
            entry_write(&json, row);
            continue;
        }
        if (n++ == 0)
            buf_printf(&out, "%-52s  %7s%7s %9s %9s %9s\n", "MODEL", "CONTEXT", "OUTPUT", "IN $/M",
                "OUT $/M", "QUALITY");
        add_line(&out, row, price_sheet_at(row->price, now_s));
    }
    if (status == 0 && o->json)
        buf_add(&out, n == 0 ? S("[]\n") : S("]\n"));
    if (status == 0 && n == 0 && !o->json) {
        (void)fprintf(stderr, "openclaw catalog: no model matches\n");
        status = 1;
    }
    output_print(&out);
    close_catalog(&k);
    return status;
}

/* --- show --- */

static void
show_abilities(struct buf *out, const struct model_row *row, enum llm_tri said, const char *title)
{
    bool any = false;

    for (unsigned i = 0; i < ABILITIES; i++) {
        if (model_can(row, i) != said)
            continue;
        buf_printf(out, any ? ", " : "%-14s", title);
        buf_add(out, model_ability_word(i));
        any = true;
    }
    if (any)
        buf_add_c(out, '\n');
}

static void
show_list(struct buf *out, const struct price_list *list, const char *title)
{
    for (unsigned i = 0; i < PRICES; i++) {
        int64_t price = price_of(list, i);

        if (price < 0)
            continue;
        buf_printf(out, "%-14s" STR_FMT " $%.10g\n", title, STR_ARG(price_unit_word(i)),
            (double)price * price_unit_per(i) / 1e12);
        title = "";
    }
}

static void
show_price(struct buf *out, const struct price_sheet *sheet)
{
    char title[64], room[CLOCK_STAMP_ROOM];
    struct buf name;

    for (; sheet != NULL; sheet = sheet->older) {
        if (sheet->since_s != 0)
            buf_printf(out, "since " STR_FMT "\n",
                STR_ARG(clock_stamp((uint64_t)sheet->since_s * 1000, room)));
        if (sheet->plan)
            buf_add(out,
                S("price         a trial or a plan pays; what a request costs is not known\n"));
        show_list(out, &sheet->list, "price");
        for (size_t i = 0; i < sheet->tier_count; i++) {
            (void)snprintf(title, sizeof(title), "> %lld", (long long)sheet->tiers[i].above_tokens);
            show_list(out, &sheet->tiers[i].list, title);
        }
        for (size_t i = 0; i < sheet->window_count; i++) {
            buf_init(&name, NAME_BYTES);
            log_add_visible(&name, sheet->windows[i].name);
            str_copy_c(title, sizeof(title), buf_str(&name));
            buf_fini(&name);
            show_list(out, &sheet->windows[i].list, title);
        }
    }
}

/* Texts of a catalog file are other people's: what would control the terminal is spelled out. */
static void
show_text(struct buf *out, const char *title, struct str text)
{
    buf_printf(out, "%-14s", title);
    log_add_visible(out, text);
}

static void
show_number(struct buf *out, const char *title, int64_t n)
{
    if (n != 0)
        buf_printf(out, "%-14s%lld\n", title, (long long)n);
}

static void
show_model(struct buf *out, const struct model_row *row)
{
    const struct model_base *b = row->base;
    char room[MODEL_DATE_ROOM];

    show_text(out, "model", row->id);
    buf_printf(out, "\n%-14s" STR_FMT ", " STR_FMT "\n", "kind",
        STR_ARG(model_mode_word(row->mode)), STR_ARG(model_status_word(row->status)));
    if (row->ends != 0) {
        show_text(out, "ends", model_date_text(row->ends, room));
        if (row->replacement != NULL) {
            buf_add(out, S("; its provider names "));
            log_add_visible(out, str_c(row->replacement));
        }
        buf_add_c(out, '\n');
    }
    show_number(out, "context", row->context_tokens);
    show_number(out, "max input", row->input_tokens);
    show_number(out, "output", row->output_tokens);
    show_number(out, "dimensions", row->dimensions);
    show_number(out, "cache from", row->cache_tokens);
    show_abilities(out, row, YES, "can");
    show_abilities(out, row, NO, "cannot");
    show_price(out, row->price);
    if (b == NULL)
        return;
    show_text(out, "same as", b->id);
    buf_add_c(out, '\n');
    if (b->quality_permille != 0)
        buf_printf(out, "%-14s%d.%d%s\n", "quality", b->quality_permille / 10,
            b->quality_permille % 10, b->quality_assumed ? ", assumed from its predecessor's" : "");
    show_number(out, "tokens/s", b->tokens_per_s);
    show_number(out, "first ms", b->first_token_ms);
}

static int
do_show(struct options *o, int words, char **argv)
{
    struct opened k;
    struct buf out;
    struct json_out json = json_out(&out);
    int status = open_catalog(o, &k);
    const struct model_row *row =
        status == 0 && words == 1 ? catalog_model(k.catalog, str_c(argv[0])) : NULL;

    buf_init(&out, OUTPUT_MAX);
    if (row != NULL && o->json) {
        entry_write(&json, row);
        buf_add_c(&out, '\n');
    } else if (row != NULL) {
        show_model(&out, row);
    } else if (status == 0) {
        (void)fprintf(stderr, "openclaw catalog: %s\n",
            words == 1 ? "this model is not known; openclaw catalog search WORD finds names"
                       : "which model? write openclaw catalog show PROVIDER/MODEL");
        status = words == 1 ? 1 : 2;
    }
    output_print(&out);
    close_catalog(&k);
    return status;
}

/* --- import and refresh --- */

/* The old file or the new one, whatever happens. */
static bool
replace_file(const char *path, struct str text)
{
    char fresh[4096];
    int fd;
    bool good;

    if (snprintf(fresh, sizeof(fresh), "%s.new.%d", path, (int)getpid()) >= (int)sizeof(fresh))
        return false;
    fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0)
        return false;
    good = true;
    while (good && text.n != 0) {
        ssize_t n = write(fd, text.p, text.n);

        good = n > 0 || (n < 0 && errno == EINTR);
        text = str_skip(text, n > 0 ? (size_t)n : 0);
    }
    good = good && fsync(fd) == 0;
    good = close(fd) == 0 && good;
    if (good && rename(fresh, path) == 0)
        return true;
    (void)unlink(fresh);
    return false;
}

static bool
read_source(const char *source, struct buf *out)
{
    char why[256] = "";

    if (strstr(source, "://") != NULL)
        return fetch_url("catalog", source, out);
    if (catalog_read_bytes(source, out, WHY(why)))
        return true;
    (void)fprintf(stderr, "openclaw catalog: %s %s\n", source, why);
    return false;
}

static int
import_into(const char *source, const char *file)
{
    struct arena *a = arena_create(1024u * 1024 * 1024);
    struct buf text, before, out;
    struct import done;
    char why[256] = "";
    bool good;

    buf_init(&text, CATALOG_FILE_BYTES_MAX);
    buf_init(&before, CATALOG_FILE_BYTES_MAX);
    buf_init(&out, CATALOG_FILE_BYTES_MAX);
    good = read_source(source, &text);
    if (good && access(file, F_OK) == 0 && !catalog_read_bytes(file, &before, WHY(why))) {
        (void)fprintf(stderr, "openclaw catalog: %s %s\n", file, why);
        good = false;
    }
    if (good && !catalog_import(a, buf_str(&before), buf_str(&text),
                    (int64_t)(clock_wall_ms() / 1000), &out, &done, WHY(why))) {
        (void)fprintf(stderr, "openclaw catalog: %s\n", why);
        good = false;
    }
    if (good && (out.overflow || !replace_file(file, buf_str(&out)))) {
        (void)fprintf(stderr, "openclaw catalog: %s cannot be written: %s\n", file,
            out.overflow ? "it would be too large" : strerrordesc_np(errno));
        good = false;
    }
    if (good)
        (void)printf(
            "%zu models of %s read, %zu with something new, %zu with another price, %zu unusable; %s has "
            "%zu models\n",
            done.read, done.format, done.changed, done.priced, done.refused, file, done.kept);
    buf_fini(&text);
    buf_fini(&before);
    buf_fini(&out);
    arena_destroy(a);
    return good ? 0 : 1;
}

static int
do_import(struct options *o, int words, char **argv)
{
    if (words == 1 && o->file != NULL)
        return import_into(argv[0], o->file);
    (void)fprintf(stderr, "openclaw catalog: write openclaw catalog import SOURCE --to FILE\n");
    return 2;
}

/* As import, from and to where the configuration says. */
static int
do_refresh(struct options *o, int words, char **argv)
{
    struct opened k;
    int status = open_catalog(o, &k);

    (void)argv;
    if (status == 0 &&
        (words != 0 || k.conf->catalog.file.v.n == 0 || k.conf->catalog.source.v.n == 0)) {
        (void)fprintf(stderr,
            "openclaw catalog: refresh needs catalog.source and catalog.file in the configuration, and no words\n");
        status = 2;
    }
    if (status == 0)
        status = import_into(k.conf->catalog.source.v.p, k.conf->catalog.file.v.p);
    close_catalog(&k);
    return status;
}

/* --- the command --- */

static const struct action {
    const char *name;
    const char *help;
    int (*run)(struct options *o, int words, char **argv);
} actions[] = {
    { "list", "all models that are known, with limits, prices and quality", do_list },
    { "search",
        "those that match all words: a part of a name, embedding, preview, +tools, no-images",
        do_list },
    { "show", "everything that is known about one model", do_show },
    { "import",
        "reads a catalog of ours, models.dev (api.json) or LiteLLM (model_prices_and_context_window.json), a file or a URL, into "
        "the file that --to names; prices that changed get a date",
        do_import },
    { "refresh", "the same from catalog.source into catalog.file of the configuration",
        do_refresh },
};

static void
print_actions(void)
{
    (void)puts("");
    for (size_t i = 0; i < ARRAY_LEN(actions); i++)
        flags_print_line(actions[i].name, actions[i].help);
}

int
cmd_catalog(int argc, char **argv)
{
    struct options o = { .json = false };
    const struct flag list[] = {
        { "config", 'c', FLAG_TEXT, "FILE", "the configuration file (from OPENCLAW_CONFIG)",
            &o.config.path, NULL },
        { "set", 's', FLAG_CALL, "KEY=VALUE", "a setting put over the file; may be given again",
            &o.config, config_flags_set },
        { "json", 0, FLAG_BOOL, NULL, "print the result as JSON", &o.json, NULL },
        { "to", 0, FLAG_TEXT, "FILE", "the catalog file that import writes", &o.file, NULL },
    };
    const struct flags flags = {
        .usage = "openclaw catalog list|search|show|import|refresh [WORD...] [options]",
        .about =
            "Shows what is known about models (limits, abilities, prices), and brings a catalog file up to date.",
        .list = list,
        .count = ARRAY_LEN(list),
        .words = 9,
        .more = print_actions,
    };
    int rest, status = -1;
    enum flags_verdict verdict = flags_parse(&flags, argc, argv, &rest);

    if (verdict != FLAGS_OK)
        return verdict;
    for (size_t i = 0; rest > 0 && i < ARRAY_LEN(actions); i++)
        if (strcmp(argv[1], actions[i].name) == 0)
            status = actions[i].run(&o, rest - 1, argv + 2);
    if (status < 0) {
        (void)fprintf(stderr,
            "openclaw catalog: what? write list, search WORD, show MODEL, import SOURCE --to FILE, or refresh\n");
        status = 2;
    }
    config_flags_fini(&o.config);
    return status;
}
