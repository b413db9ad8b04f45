/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rows do not see each other: every product gives a row of x the same bits alone and in any company, in both orders of
 * summation, and in pieces of the matrix as in the whole. */
#include <string.h>

#include "tests/kernels/shapes.h"

#define MOST 40                 /* rows of x */

/* A product over its operands. @rows: of the result; @cols: what is summed over. */
typedef struct {
  TernBlocks type;              /* gemm_blocks alone */
  gsize rows, cols;
  guint8 *w;
  float *scale;                 /* of int8 rows; of x for the ternary product */
  float *x;                     /* [MOST, cols] */
  gint8 *i8;
  gint32 *sum;
  TernQ8Block *q8;
} Product;

/* Rows [first, first + n) of x with rows [from, from + count) of the matrix, in the order of @many. */
typedef void (*Run) (const TernKernels *k, const Product *p, float *y, gsize ldy, gsize first, gsize n, gsize from,
    gsize count, gboolean many);

static void
run_f32 (const TernKernels *k, const Product *p, float *y, gsize ldy, gsize first, gsize n, gsize from, gsize count,
    gboolean many)
{
  k->gemm_f32 (y, ldy, (const float *) p->w + from * p->cols, p->cols, count, p->cols, p->x + first * p->cols, p->cols,
      n, many);
}

static void
run_f16 (const TernKernels *k, const Product *p, float *y, gsize ldy, gsize first, gsize n, gsize from, gsize count,
    gboolean many)
{
  k->gemm_f16 (y, ldy, (const guint16 *) p->w + from * p->cols, p->cols, count, p->cols, p->x + first * p->cols,
      p->cols, n, many);
}

static void
run_bf16 (const TernKernels *k, const Product *p, float *y, gsize ldy, gsize first, gsize n, gsize from, gsize count,
    gboolean many)
{
  k->gemm_bf16 (y, ldy, (const guint16 *) p->w + from * p->cols, p->cols, count, p->cols, p->x + first * p->cols,
      p->cols, n, many);
}

static void
run_i8row (const TernKernels *k, const Product *p, float *y, gsize ldy, gsize first, gsize n, gsize from, gsize count,
    gboolean many)
{
  k->gemm_i8row (y, ldy, (const gint8 *) p->w + from * p->cols, p->cols, p->scale + from, 1, count, p->cols,
      p->x + first * p->cols, p->cols, n, many);
}

static void
run_i4row (const TernKernels *k, const Product *p, float *y, gsize ldy, gsize first, gsize n, gsize from, gsize count,
    gboolean many)
{
  gsize bytes = tern_i4_bytes (p->cols);

  k->gemm_i4row (y, ldy, p->w + from * bytes, bytes, p->scale + from, 1, count, p->cols, p->x + first * p->cols, p->cols, n,
      many);
}

static void
run_blocks (const TernKernels *k, const Product *p, float *y, gsize ldy, gsize first, gsize n, gsize from, gsize count,
    gboolean many)
{
  gsize bytes = p->cols / tern_blocks_values (p->type) * tern_blocks_bytes (p->type), blocks = p->cols / 32;

  k->gemm_blocks[p->type] (y, ldy, p->w + from * bytes, bytes, count, blocks, p->q8 + first * blocks, blocks, n, many);
}

static void
run_t2 (const TernKernels *k, const Product *p, float *y, gsize ldy, gsize first, gsize n, gsize from, gsize count,
    gboolean many)
{
  k->gemm_t2 (y, ldy, p->w + tern_ternary_bytes (k->ternary, from, p->cols), count, p->cols / TERN_T2_COLS, 0.5f,
      p->i8 + first * p->cols, p->cols, p->scale + first, p->sum + first, n);
}

/* b has rows of p->rows values: the columns of the result are cut. */
static void
run_nn (const TernKernels *k, const Product *p, float *y, gsize ldy, gsize first, gsize n, gsize from, gsize count,
    gboolean many)
{
  k->gemm_nn (y, ldy, p->x + first * p->cols, p->cols, (const float *) p->w + from, p->rows, n, p->cols, count, FALSE);
}

static void
run_nn_f16 (const TernKernels *k, const Product *p, float *y, gsize ldy, gsize first, gsize n, gsize from,
    gsize count, gboolean many)
{
  k->gemm_nn_f16 (y, ldy, p->x + first * p->cols, p->cols, (const guint16 *) p->w + from, p->rows, n, p->cols, count,
      many, FALSE);
}

static void
run_nn_i8row (const TernKernels *k, const Product *p, float *y, gsize ldy, gsize first, gsize n, gsize from,
    gsize count, gboolean many)
{
  k->gemm_nn_i8row (y, ldy, p->x + first * p->cols, p->cols, (const gint8 *) p->w + from, p->rows, p->scale, 1, n,
      p->cols, count, many, FALSE);
}

/* Columns of int4 rows cannot be cut but at groups: what comes before a cut is computed, and all of it. */
static void
run_nn_i4row (const TernKernels *k, const Product *p, float *y, gsize ldy, gsize first, gsize n, gsize from,
    gsize count, gboolean many)
{
  gsize before = from % TERN_I4_GROUP, cols = before + count, t;
  g_autofree float *whole = g_new (float, n * cols + 1);

  k->gemm_nn_i4row (whole, cols, p->x + first * p->cols, p->cols, p->w + tern_i4_bytes (from - before),
      tern_i4_bytes (p->rows), p->scale, 1, n, p->cols, cols, many, FALSE);
  for (t = 0; t < n; t++)
    memcpy (y + t * ldy, whole + t * cols + before, count * sizeof (float));
}

/* Operands whose sums depend on their order: no value of a small range, no scale of a power of two. */
static Product
product_new (TernBlocks type, gsize rows, gsize cols, const TernKernels *ref)
{
  Product p = { type, rows, cols };
  gsize total = rows * cols, most = MAX (rows, MAX (cols, MOST)), i, t;

  p.w = g_malloc (total * sizeof (float) + 64 * TERN_T2_BYTES);
  p.x = g_new (float, MOST * cols);
  p.scale = g_new (float, most);
  p.sum = g_new (gint32, MOST);
  p.i8 = g_malloc (MOST * (cols + TERN_T2_COLS));
  p.q8 = g_new (TernQ8Block, MOST * (cols / 32 + 1));
  for (i = 0; i < MOST * cols; i++)
    p.x[i] = check_uniform ();
  for (i = 0; i < most; i++)
    p.scale[i] = check_uniform ();
  for (t = 0; t < MOST; t++) {
    float scale;

    ref->quant_i8 (p.i8 + t * cols, &scale, &p.sum[t], p.x + t * cols, cols / TERN_T2_COLS * TERN_T2_COLS);
    ref->quant_q8 (p.q8 + t * (cols / 32), p.x + t * cols, cols / 32 * 32);
  }
  return p;
}

static void
product_clear (Product *p)
{
  g_free (p->w);
  g_free (p->x);
  g_free (p->scale);
  g_free (p->sum);
  g_free (p->i8);
  g_free (p->q8);
}

typedef enum { FLOATS, HALVES, BFLOATS, BYTES, DIGITS, BLOCKS } Fill;

static void
fill (const Product *p, Fill how)
{
  gsize total = p->rows * p->cols, step = tern_blocks_bytes (p->type), bytes, i, k;
  static const guint8 at[TERN_N_BLOCKS][2] = {  /* of f16 scales, which shall be finite */
    [TERN_BLOCKS_Q4_1] = { 0, 2 }, [TERN_BLOCKS_Q5_1] = { 0, 2 }, [TERN_BLOCKS_Q2_K] = { 80, 82 },
    [TERN_BLOCKS_Q3_K] = { 108, 108 }, [TERN_BLOCKS_Q4_K] = { 0, 2 }, [TERN_BLOCKS_Q5_K] = { 0, 2 },
    [TERN_BLOCKS_Q6_K] = { 208, 208 },
  };

  for (i = 0; i < total && how <= BFLOATS; i++) {
    float v = check_uniform ();
    guint32 bits;

    memcpy (&bits, &v, sizeof bits);
    if (how == FLOATS)
      ((float *) p->w)[i] = v;
    else
      ((guint16 *) p->w)[i] = how == HALVES ? tern_f32_to_f16 (v) : bits >> 16;
  }
  if (how <= BFLOATS)
    return;
  bytes = how == BYTES ? p->rows * tern_i4_bytes (p->cols) + p->cols * tern_i4_bytes (p->rows) + total : how == DIGITS ? tern_t2_bytes (p->rows + TERN_TERNARY_ROWS_MAX, p->cols)
      : total / tern_blocks_values (p->type) * step;
  for (i = 0; i < bytes; i++)
    p->w[i] = how == DIGITS ? check_below (3) * 0x55 : check_random ();
  for (i = 0; how == BLOCKS && i < bytes; i += step) {
    for (k = 0; k < 2; k++) {
      guint16 half = GUINT16_TO_LE (tern_f32_to_f16 (check_uniform ()));

      memcpy (p->w + i + at[p->type][k], &half, sizeof half);
    }
  }
}

static void
check_company (const char *name, Run run, const Product *p, const TernKernels *k)
{
  g_autofree float *alone = g_new (float, MOST * p->rows), *got = g_new (float, MOST * (p->rows + 3));
  gsize ldy = p->rows + 3, n, t, many;
  gsize most = check_is_slow () ? 20 : MOST;

  for (many = 0; many < 2; many++) {
    for (t = 0; t < most; t++)
      run (k, p, alone + t * p->rows, p->rows, t, 1, 0, p->rows, many);
    for (n = 1; n <= most; n += check_is_slow () ? 1 + check_below (8) : 1) {
      gsize panel = k->ternary->rows, first = check_below (most - n + 1), cut = check_below (p->rows / panel + 1) * panel;

      check_case ("%s type=%u rows=%zu cols=%zu n=%zu first=%zu cut=%zu many=%zu", name, p->type, p->rows, p->cols, n,
          first, cut, many);
      run (k, p, got, ldy, first, n, 0, cut, many);
      run (k, p, got + cut, ldy, first, n, cut, p->rows - cut, many);
      for (t = 0; t < n; t++)
        check_equal (got + t * ldy, alone + (first + t) * p->rows, p->rows);
    }
  }
}

static void
check_product_rows (const char *name, Run run, Fill how, TernBlocks type, const TernKernels *k)
{
  static const gsize rows[] = { 1, 5, 37, 70 }, cols[] = { 48, 300, 520 };
  static const gsize small[] = { 32, 352, 2112 }, large[] = { 256, 768, 2304 };
  TernKernels ref;
  guint r, c;

  tern_kernels_init (&ref, TERN_CPU_SCALAR);
  for (r = 0; r < G_N_ELEMENTS (rows); r++) {
    for (c = 0; c < (check_is_slow () ? 2 : G_N_ELEMENTS (cols)); c++) {
      gsize width = how == DIGITS || how == BLOCKS ? large[c] : cols[c];
      Product p;

      if (check_leaves_out ())
        continue;
      if (how == BLOCKS && tern_blocks_values (type) == 32)
        width = small[c];
      p = product_new (type, rows[r], width, &ref);
      fill (&p, how);
      check_company (name, run, &p, k);
      product_clear (&p);
    }
  }
}

/* ---- Pieces of the depth ----------------------------------------------------------------------------------------- */

typedef void (*Piece) (const TernKernels *k, const Product *p, float *y, gsize n, gsize from, gsize count,
    gboolean many, gboolean go_on);

static void
piece_nn (const TernKernels *k, const Product *p, float *y, gsize n, gsize from, gsize count, gboolean many,
    gboolean go_on)
{
  k->gemm_nn (y, p->rows, p->x + from, p->cols, (const float *) p->w + from * p->rows, p->rows, n, count, p->rows,
      go_on);
}

static void
piece_nn_f16 (const TernKernels *k, const Product *p, float *y, gsize n, gsize from, gsize count, gboolean many,
    gboolean go_on)
{
  k->gemm_nn_f16 (y, p->rows, p->x + from, p->cols, (const guint16 *) p->w + from * p->rows, p->rows, n, count, p->rows,
      many, go_on);
}

static void
piece_nn_i8row (const TernKernels *k, const Product *p, float *y, gsize n, gsize from, gsize count, gboolean many,
    gboolean go_on)
{
  k->gemm_nn_i8row (y, p->rows, p->x + from, p->cols, (const gint8 *) p->w + from * p->rows, p->rows, p->scale + from,
      1, n, count, p->rows, many, go_on);
}

static void
piece_nn_i4row (const TernKernels *k, const Product *p, float *y, gsize n, gsize from, gsize count, gboolean many,
    gboolean go_on)
{
  gsize bytes = tern_i4_bytes (p->rows);

  k->gemm_nn_i4row (y, p->rows, p->x + from, p->cols, p->w + from * bytes, bytes, p->scale + from, 1, n, count, p->rows, many,
      go_on);
}

/* The whole depth in one call, and in calls that go on, each of @step rows, or of any number when 0. */
static void
check_pieces (const char *name, Piece piece, const Product *p, const TernKernels *k, gsize n, gsize step, gboolean many)
{
  g_autofree float *whole = g_new (float, n * p->rows), *got = g_new (float, n * p->rows);
  gsize at, count;

  check_case ("%s depth=%zu cols=%zu n=%zu step=%zu many=%d", name, p->cols, p->rows, n, step, many);
  piece (k, p, whole, n, 0, p->cols, many, FALSE);
  for (at = 0; at < p->cols; at += count) {
    count = step ? step : check_below (100) + (at == 0);
    count = MIN (count, p->cols - at);
    piece (k, p, got, n, at, count, many, at > 0);
  }
  check_equal (got, whole, n * p->rows);
}

/* Runs of TERN_NN_RUN rows that are summed from zero, one on top of the other. */
static void
check_runs (const char *name, Piece piece, const Product *p, const TernKernels *k, gsize n, gboolean many)
{
  g_autofree float *whole = g_new (float, n * p->rows), *run = g_new (float, n * p->rows);
  g_autofree float *got = g_new0 (float, n * p->rows);
  gsize at, i;

  check_case ("%s runs depth=%zu cols=%zu n=%zu many=%d", name, p->cols, p->rows, n, many);
  piece (k, p, whole, n, 0, p->cols, many, FALSE);
  for (at = 0; at < p->cols; at += TERN_NN_RUN) {
    piece (k, p, run, n, at, MIN (TERN_NN_RUN, p->cols - at), many, FALSE);
    for (i = 0; i < n * p->rows; i++)
      got[i] = at ? got[i] + run[i] : run[i];
  }
  check_equal (got, whole, n * p->rows);
}

static void
check_depth (const char *name, Piece piece, Fill how, const TernKernels *k)
{
  static const gsize cols[] = { 1, 7, 64, 80, 130 }, rows[] = { 1, 3, 4, 5, 16, 33 };
  TernKernels ref;
  guint c, r, many;

  tern_kernels_init (&ref, TERN_CPU_SCALAR);
  for (c = 0; c < G_N_ELEMENTS (cols); c++) {
    Product run = product_new (TERN_BLOCKS_Q8_0, cols[c], TERN_NN_RUN, &ref);
    Product deep = product_new (TERN_BLOCKS_Q8_0, cols[c], 2 * TERN_NN_RUN + 40, &ref);

    fill (&run, how);
    fill (&deep, how);
    for (r = 0; r < G_N_ELEMENTS (rows); r++) {
      for (many = 0; many < 2; many++) {
        if (check_leaves_out ())
          continue;
        check_pieces (name, piece, &run, k, rows[r], 64, many);
        check_pieces (name, piece, &run, k, rows[r], 0, many);
        if (many || how == FLOATS)
          check_runs (name, piece, &deep, k, rows[r], many);
        else
          check_pieces (name, piece, &deep, k, rows[r], 64, many);
      }
    }
    product_clear (&run);
    product_clear (&deep);
  }
}

#define ROWS(name, how) \
  static void name##_check (const TernKernels *ref, const TernKernels *k) \
  { check_product_rows (#name, run_##name, how, TERN_BLOCKS_Q8_0, k); } \
  static void name##_truth (const TernKernels *ref) { name##_check (ref, ref); }
#define ROWS_NN(name, how) \
  static void name##_check (const TernKernels *ref, const TernKernels *k) \
  { \
    check_product_rows (#name, run_##name, how, TERN_BLOCKS_Q8_0, k); \
    check_depth (#name, piece_##name, how, k); \
  } \
  static void name##_truth (const TernKernels *ref) { name##_check (ref, ref); }
#define KERNEL(name) { "rows_gemm_" #name, name##_truth, name##_check, NULL }

ROWS (f32, FLOATS)
ROWS (f16, HALVES)
ROWS (bf16, BFLOATS)
ROWS (i8row, BYTES)
ROWS (i4row, BYTES)
ROWS (t2, DIGITS)
ROWS_NN (nn, FLOATS)
ROWS_NN (nn_f16, HALVES)
ROWS_NN (nn_i8row, BYTES)
ROWS_NN (nn_i4row, BYTES)

static void
blocks_check (const TernKernels *ref, const TernKernels *k)
{
  guint type;

  for (type = 0; type < TERN_N_BLOCKS; type++)
    check_product_rows ("blocks", run_blocks, BLOCKS, type, k);
}

static void
blocks_truth (const TernKernels *ref)
{
  blocks_check (ref, ref);
}

const Kernel row_kernels[] = {
  KERNEL (f32), KERNEL (f16), KERNEL (bf16), KERNEL (i8row), KERNEL (t2), KERNEL (nn), KERNEL (nn_f16),
  KERNEL (nn_i8row), KERNEL (i4row), KERNEL (nn_i4row), KERNEL (blocks), { NULL }
};
