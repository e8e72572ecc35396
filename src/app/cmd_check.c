/* cmd_check.c - `openclaw check`: reports everything that `serve` would refuse at once, without
   serving. */
#include <stdio.h>
#include <unistd.h>

#include "app/app.h"
#include "app/config_flags.h"
#include "cli/flags.h"
#include "cli/output.h"
#include "app/preflight.h"
#include "base/json_out.h"
#include "gateway/snapshot.h"

enum { OUTPUT_MAX = 4 * 1024 * 1024 };

struct check {
    struct config_flags config;
    bool json;
};

/* Checks that need to know wires, providers and models. */
static void
check_all(struct check *k, struct conf_problems *problems)
{
    struct conf *c = config_flags_load(&k->config, problems);
    bool readable = problems->count == 0;
    /* The address stands for the built-in provider, which only `serve` starts, and only when the
     * file names none. */
    struct str simulated_url = c->provider_count == 0 ? S("http://127.0.0.1:1/v1") : S("");

    tls_context_unref(preflight_tls(c, problems));
    struct snapshot *snapshot = snapshot_build(c, simulated_url, problems);
    if (problems->count == 0)
        preflight_doubts(snapshot, problems);
    if (readable)
        preflight_machine(snapshot->conf, problems);
    snapshot_unref(snapshot);
}

static void
add_list(struct json_out *o, const struct conf_problem *list)
{
    out_array(o);
    for (; list != NULL; list = list->next) {
        out_object(o);
        out_i64(o, "line", list->mark.line);
        out_i64(o, "column", list->mark.column);
        out_text(o, "text", list->text);
        out_end(o);
    }
    out_end_array(o);
}

static void
print_json(const struct check *k, const struct conf_problems *problems)
{
    struct buf out;
    struct json_out o = json_out(&out);

    buf_init(&out, OUTPUT_MAX);
    out_object(&o);
    out_bool(&o, "ok", problems->count == 0);
    if (k->config.path != NULL)
        out_text(&o, "file", str_c(k->config.path));
    else
        out_null(&o, "file");
    out_key(&o, "problems");
    add_list(&o, problems->first);
    out_key(&o, "warnings");
    add_list(&o, problems->first_warning);
    out_end(&o);
    buf_add_c(&out, '\n');
    output_print(&out);
}

static int
report(const struct check *k, const struct conf_problems *problems)
{
    const char *name = k->config.path != NULL ? k->config.path : "(built in)";

    if (k->json)
        print_json(k, problems);
    else
        conf_problems_print(problems, str_c(name), STDERR_FILENO);
    if (!k->json && problems->count == 0)
        (void)printf("%s: the configuration is good\n", name);
    return problems->count == 0 ? 0 : 2;
}

int
cmd_check(int argc, char **argv)
{
    struct check k = { .json = false };
    const struct flag list[] = {
        { "config", 'c', FLAG_TEXT, "FILE",
            "the configuration, - for standard input (from OPENCLAW_CONFIG)", &k.config.path,
            NULL },
        { "set", 's', FLAG_CALL, "KEY=VALUE", "a setting put over the file; may be given again",
            &k.config, config_flags_set },
        { "json", 0, FLAG_BOOL, NULL, "print the result as JSON", &k.json, NULL },
    };
    const struct flags flags = {
        .usage = "openclaw check [-c] FILE [options]",
        .about = "Reports everything that is wrong with a configuration, as file:line:col: what is "
                 "wrong; what to write instead. What is doubtful is a warning. Also tests whether "
                 "`serve` could start here: addresses, logs, certificates. Exit status 0: it is "
                 "good; 2: it is not.",
        .list = list,
        .count = ARRAY_LEN(list),
        .words = SIZE_MAX,
    };
    int rest;
    enum flags_verdict verdict = flags_parse(&flags, argc, argv, &rest);

    if (verdict != FLAGS_OK)
        return verdict;
    if (rest > 1 || (rest == 1 && k.config.path != NULL)) {
        (void)fprintf(stderr, "openclaw check: one file at a time; write openclaw check -c FILE\n");
        return 2;
    }
    if (rest == 1)
        k.config.path = argv[1];
    config_flags_from_environment(&k.config);
    if (k.config.path == NULL && k.config.set_count == 0) {
        (void)fprintf(stderr, "openclaw check: which file? write openclaw check -c FILE\n");
        return 2;
    }

    struct arena *a = arena_create(OUTPUT_MAX);
    struct conf_problems problems;

    conf_problems_init(&problems, a);
    check_all(&k, &problems);
    int status = report(&k, &problems);
    arena_destroy(a);
    config_flags_fini(&k.config);
    return status;
}
