/* rows.h - sums rows of a learnt table (route/weights.h), sixteen columns at a time. */
#pragma once

#include "base/base.h"

/* Compilers make vector instructions of these. */
typedef int8_t rows_bytes __attribute__((vector_size(16)));
typedef int16_t rows_shorts __attribute__((vector_size(32)));

/* More rows than that would not fit into the sums. */
#define ROWS_MOST 2000

static INLINED rows_bytes
rows_load(const int8_t *row)
{
    rows_bytes x;

    memcpy(&x, row, sizeof x);
    return x;
}

/* Sums the rows of `table`, which has 16 * `wide` columns. A weight is at most 15, so that the weights of
 * eight rows fit into a byte. */
static INLINED void
rows_sum(const int8_t *table, const uint16_t *rows, unsigned n, unsigned wide, int16_t *ret_sums)
{
    for (unsigned part = 0; part < wide; part++) {
        const int8_t *columns = table + 16 * part;
        size_t size = 16 * wide;
        rows_shorts sums = { 0 };
        unsigned r = 0;

        for (; r + 8 <= n; r += 8) {
            rows_bytes a =
                rows_load(columns + rows[r] * size) + rows_load(columns + rows[r + 1] * size);
            rows_bytes b =
                rows_load(columns + rows[r + 2] * size) + rows_load(columns + rows[r + 3] * size);
            a += rows_load(columns + rows[r + 4] * size) + rows_load(columns + rows[r + 5] * size);
            b += rows_load(columns + rows[r + 6] * size) + rows_load(columns + rows[r + 7] * size);
            sums += __builtin_convertvector(a + b, rows_shorts);
        }
        for (; r < n; r++)
            sums += __builtin_convertvector(rows_load(columns + rows[r] * size), rows_shorts);
        memcpy(ret_sums + 16 * part, &sums, sizeof sums);
    }
}
