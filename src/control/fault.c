/* fault.c - collects what is wrong with a document, in its order. */
#include "control/fault.h"

#include <stdarg.h>
#include <stdio.h>

#define DETAIL_BYTES 1024

void
faults_init(struct faults *f, struct arena *a)
{
    *f = (struct faults){ .arena = a };
    f->tail = &f->first;
}

void
faults_add(struct faults *f, struct str at, const char *format, ...)
{
    char text[DETAIL_BYTES];
    va_list args;

    if (f->count++ >= FAULTS_MOST)
        return;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    struct fault *new = arena_new(f->arena, struct fault);

    new->pointer = arena_str(f->arena, at);
    new->detail = arena_str(f->arena, str_c(text));
    *f->tail = new;
    f->tail = &new->next;
}

struct str
fault_pointer(struct arena *a, struct str parent, struct str member)
{
    char *out = arena_try(a, parent.n + 2 * member.n + 1);
    size_t n = parent.n;

    if (out == NULL)
        return parent;
    if (n != 0)
        memcpy(out, parent.p, n);
    out[n++] = '/';
    for (size_t i = 0; i < member.n; i++) {
        char c = member.p[i];

        if (c == '~' || c == '/')
            out[n++] = '~';
        out[n++] = (char)(c == '~' ? '0' : c == '/' ? '1' : c);
    }
    return str_make(out, n);
}

void
faults_write(const struct faults *f, struct json_out *o)
{
    out_array(o);
    for (const struct fault *i = f->first; i != NULL; i = i->next) {
        out_object(o);
        out_text(o, "pointer", i->pointer);
        out_text(o, "detail", i->detail);
        out_end(o);
    }
    if (f->count > FAULTS_MOST) {
        out_object(o);
        out_const(o, "\"pointer\":\"\"");
        out_key(o, "detail");
        out_string(o);
        buf_printf(o->b, "and %zu more", f->count - FAULTS_MOST);
        out_end_string(o);
        out_end(o);
    }
    out_end_array(o);
}
