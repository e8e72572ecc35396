/* watched.h - a set of files that are watched, which changes with the configuration. */
#pragma once

#include "base/base.h"
#include "net/loop.h"

struct watched_files {
    struct loop *loop;
    void (*changed)(void *arg);    /* any of them, on the loop */
    void *arg;
    struct watched *first;
};

/* Names a file that is wanted: a new one is watched from now on. */
void watched_want(struct watched_files *w, struct str path);

/* Forgets the files that were not wanted since the last call. */
void watched_settle(struct watched_files *w);
