/* config_flags.c - settings are kept as copies, since --listen builds its own text. */
#include "app/config_flags.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool
config_flags_set(void *value, struct str text, struct why why)
{
    struct config_flags *f = value;

    if (f->set_count == CONFIG_SETS_MAX) {
        return why_say(why, "more than %d of them; put settings into a file", CONFIG_SETS_MAX);
    }
    f->sets[f->set_count++] = str_dup_c(text);
    return true;
}

bool
config_flags_listen(void *value, struct str text, struct why why)
{
    static const char name[] = "server.listen=";
    size_t room = sizeof(name) + text.n;
    char *set = check_alloc(malloc(room));

    (void)snprintf(set, room, "%s" STR_FMT, name, STR_ARG(text));
    bool added = config_flags_set(value, str_c(set), why);
    free(set);
    return added;
}

void
config_flags_from_environment(struct config_flags *f)
{
    const char *path = getenv("OPENCLAW_CONFIG");    /* NOLINT(concurrency-mt-unsafe): at start */

    if (f->path == NULL && path != NULL && path[0] != '\0')
        f->path = path;
    if (f->path != NULL && strcmp(f->path, "-") == 0)
        f->path = "/dev/stdin";
}

struct conf *
config_flags_load(struct config_flags *f, struct conf_problems *problems)
{
    size_t set_count = f->set_count;

    if (f->path == NULL)
        return conf_load(NULL, f->sets, f->set_count, problems);
    if (!f->once) {
        buf_fini(&f->text);
        buf_init(&f->text, CONF_FILE_BYTES_MAX);
        if (!conf_read_file(f->path, &f->text, f->loaded ? NULL : &f->once, problems))
            set_count = 0;    /* the configuration that they belong to is not known */
    }
    f->loaded = true;
    return conf_load_text(buf_str(&f->text), str_c(f->path), f->sets, set_count, problems);
}

struct conf *
config_flags_load_text(
    struct config_flags *f, struct str text, struct str name, struct conf_problems *problems)
{
    return conf_load_text(text, name, f->sets, f->set_count, problems);
}

void
config_flags_fini(struct config_flags *f)
{
    for (size_t i = 0; i < f->set_count; i++)
        free((void *)(uintptr_t)f->sets[i]);
    f->set_count = 0;
    buf_fini(&f->text);
}
