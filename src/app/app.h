/* app.h - the commands of the binary, one line each; main.c has the table that calls them.
 *
 * argv[0] is the command's own name. Each returns the exit status: 0 done, 1 failed, 2 wrong usage
 * or configuration.
 */
#pragma once

int cmd_serve(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_init(int argc, char **argv);
int cmd_config(int argc, char **argv);
int cmd_providers(int argc, char **argv);
int cmd_models(int argc, char **argv);
int cmd_catalog(int argc, char **argv);
int cmd_explain(int argc, char **argv);
int cmd_experiments(int argc, char **argv);
int cmd_health(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_top(int argc, char **argv);
int cmd_off(int argc, char **argv);
int cmd_on(int argc, char **argv);
int cmd_resources(int argc, char **argv);    /* argv[0] names the kind */
int cmd_import(int argc, char **argv);
int cmd_audit(int argc, char **argv);
int cmd_usage(int argc, char **argv);
int cmd_replay(int argc, char **argv);
int cmd_rollback(int argc, char **argv);
int cmd_store(int argc, char **argv);
int cmd_tokens(int argc, char **argv);
int cmd_chat(int argc, char **argv);
int cmd_conform(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_mock(int argc, char **argv);
