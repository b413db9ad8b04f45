/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rows of a matrix of any type, packed at load for products with many rows of input: int8 with a scale for each row, or
 * bf16 (kernels.h, gemm_i8p and gemm_bf16p); and rows of input in the form that each takes. */
#pragma once

#include "engine/base/mem.h"
#include "engine/weights/linear.h"

G_BEGIN_DECLS

typedef enum {
  TERN_PACKED_NONE,
  TERN_PACKED_I8,
  TERN_PACKED_BF16,
} TernPackedType;

/* Columns of input that may share a scale are a multiple of this: what quant_i8 pads to. */
#define TERN_PACKED_GROUP 128

typedef struct {
  const TernKernels *kernels;
  TernPackedType type;
  guint rows, cols;
  guint stride;                 /* cols rounded up to what the kernels take */
  guint group;                  /* I8: columns of input that share a scale, a multiple of TERN_PACKED_GROUP */
  guint8 *data;                 /* panels */
  float *scale;                 /* I8: [rows rounded up to panels] */
  gboolean borrowed;            /* both are somebody else's */
} TernPacked;

/* Packs rows [first, first + rows) of @linear; @group 0: whole rows of input share a scale. Reads them once, in parallel
 * over @pool, and leaves their pages in the map to who releases them. Errors: NO_SPACE. */
gboolean tern_packed_init (TernPacked *packed, const TernLinear *linear, guint first, guint rows, TernPackedType type,
    guint group, TernPool *pool, GError **error);
void tern_packed_clear (TernPacked *packed);    /* NULL-safe on zeroed memory */
gsize tern_packed_bytes (const TernPacked *packed);     /* a multiple of TERN_ALIGN */
/* Moves it to @to, of so many bytes, TERN_ALIGN aligned, which the caller owns and keeps as long. */
void tern_packed_move (TernPacked *packed, guint8 *to);
/* Whether kernels can sum so many columns in int8. */
gboolean tern_packed_fits_i8 (guint cols);
/* "int8", "int8/128" or "bf16". */
const char *tern_packed_name (const TernPacked *packed);

/* Rows of input for matrices of the same columns, type and group. */
typedef struct {
  const TernKernels *kernels;
  TernPackedType type;
  guint cols, group, groups;
  gsize ldx;                    /* values between rows */
  void *x;                      /* int8 or bf16 */
  float *scale;                 /* I8: [n, groups] */
  gint32 *sum;
} TernPackedInput;

/* Carves room for @n rows of input of @packed from @arena. */
void tern_packed_input_init (TernPackedInput *input, const TernPacked *packed, guint n, TernArena *arena);
/* Quantises columns [begin, begin + n) of row @t, which are at @x; begin is a multiple of the group (of TERN_PACKED_GROUP in
 * bf16), and n too unless it is the end of the row. With one scale for a row all of it comes at once. */
void tern_packed_input_set (TernPackedInput *input, guint t, const float *x, guint begin, guint n);

/* y[t * ldy + r - begin] for rows [begin, end) of the matrix, begin a multiple of TERN_PANEL_ROWS, and the first @n of
 * @input; @bias [rows] or NULL. */
void tern_packed_product (const TernPacked *packed, const TernPackedInput *input, guint n, guint begin, guint end,
    const float *bias, float *y, gsize ldy);

G_END_DECLS
