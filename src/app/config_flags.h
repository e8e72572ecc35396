/* config_flags.h - which configuration a command is about: -c FILE, OPENCLAW_CONFIG and --set.
 *
 * `serve` and `check` read their configuration in the same way, so that each refuses what the
 * other would.
 */
#pragma once

#include "base/buf.h"
#include "base/why.h"
#include "conf/conf.h"

#define CONFIG_SETS_MAX 64

struct config_flags {
    const char *path;    /* NULL: zero files */
    const char *sets[CONFIG_SETS_MAX];
    size_t set_count;
    bool loaded;    /* at least once */
    /* contents of a pipe, which can be read only once */
    bool once;
    struct buf text;
};

/* For rows of FLAG_CALL whose `value` is the struct config_flags: "key=value", and an address. */
bool config_flags_set(void *value, struct str text, struct why why);
bool config_flags_listen(void *value, struct str text, struct why why);

/* Without -c: what OPENCLAW_CONFIG names, if it is not empty. "-" is standard input. */
void config_flags_from_environment(struct config_flags *f);

/* Loads the file with the settings put over it; see conf_load(). The caller destroys it. A pipe
   is read once, and its contents are used again afterwards. */
struct conf *config_flags_load(struct config_flags *f, struct conf_problems *problems) NEVER_NULL;

/* The same from a text that was its file's before; it is called `name`. */
struct conf *config_flags_load_text(struct config_flags *f, struct str text, struct str name,
    struct conf_problems *problems) NEVER_NULL;

void config_flags_fini(struct config_flags *f);
