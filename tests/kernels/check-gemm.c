/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Matrix products. */
#include <math.h>
#include <string.h>

#include "tests/kernels/shapes.h"

static void
f32_shape (const char *name, const Shape *s, const TernKernels *ref, const TernKernels *k)
{
  gsize nw = check_extent (s->rows, s->cols, s->ldw), nx = check_extent (s->n, s->cols, s->ldx);
  float *w, *x, *got, *want, *magnitude;
  guint many;

  check_shape_case (name, s);
  w = check_buffer (SLOT_W, nw * sizeof (float));
  x = check_buffer (SLOT_X, nx * sizeof (float));
  got = check_new_y (s, SLOT_Y);
  want = check_new_y (s, SLOT_Y2);
  magnitude = check_new_y (s, SLOT_Y3);
  check_floats (w, nw, 1e4f);
  check_poison (w, nw);
  check_floats (x, nx, 1e4f);
  check_poison (x, nx);
  check_exact_product (s, want, magnitude, w, x);
  for (many = 0; many < 2; many++) {
    k->gemm_f32 (got, s->ldy, w, s->ldw, s->rows, s->cols, x, s->ldx, s->n, many);
    check_product (s, got, want, magnitude);
  }
}

/* rows: columns of the result; cols: what is summed over. */
static void
nn_shape (const char *name, const Shape *s, const TernKernels *ref, const TernKernels *k)
{
  gsize ldb = s->rows + s->ldw - s->cols, nb = s->cols ? check_extent (s->cols, s->rows, ldb) : 0, r, c;
  gsize na = check_extent (s->n, s->cols, s->ldx);
  Shape turned = *s;
  float *a, *b, *w, *got, *want, *magnitude;

  check_shape_case (name, s);
  b = check_buffer (SLOT_B, nb * sizeof (float));
  a = check_buffer (SLOT_A, na * sizeof (float));
  w = check_buffer (SLOT_W, s->rows * s->cols * sizeof (float));
  got = check_new_y (s, SLOT_Y);
  want = check_new_y (s, SLOT_Y2);
  magnitude = check_new_y (s, SLOT_Y3);
  check_floats (a, na, 1e4f);
  check_poison (a, na);
  check_floats (b, nb, 1e4f);
  check_poison (b, nb);
  turned.ldw = s->cols;
  for (r = 0; r < s->rows; r++) {
    for (c = 0; c < s->cols; c++)
      w[r * s->cols + c] = b[c * ldb + r];
  }
  check_exact_product (&turned, want, magnitude, w, a);
  k->gemm_nn (got, s->ldy, a, s->ldx, b, ldb, s->n, s->cols, s->rows, FALSE);
  check_product (s, got, want, magnitude);
}

/* A matrix of T2 in the layout of @k, in memory of its own. */
static guint8 *
in_layout (const TernKernels *k, const guint8 *t2, gsize rows, gsize cols)
{
  gsize groups = (cols + TERN_T2_COLS - 1) / TERN_T2_COLS, panel = k->ternary->rows, r;
  gsize t2_bytes = tern_t2_bytes (panel, cols), bytes = tern_ternary_bytes (k->ternary, panel, cols);
  g_autofree guint8 *whole = NULL;
  guint8 *w = check_buffer (SLOT_W2, tern_ternary_bytes (k->ternary, rows, cols));

  if (!k->pack_ternary)
    return memcpy (w, t2, tern_t2_bytes (rows, cols));
  whole = g_malloc (t2_bytes + 1);
  for (r = 0; r < rows; r += panel) {
    memset (whole, 0x55, t2_bytes);
    memcpy (whole, t2 + tern_t2_bytes (r, cols), tern_t2_bytes (MIN (panel, rows - r), cols));
    k->pack_ternary (w + r / panel * bytes, whole, groups);
  }
  return w;
}

static void
t2_shape (const char *name, const Shape *s, const TernKernels *ref, const TernKernels *k)
{
  gsize groups = (s->cols + TERN_T2_COLS - 1) / TERN_T2_COLS, padded = groups * TERN_T2_COLS;
  gsize ldx = padded + s->ldx - s->cols, bytes = tern_t2_bytes (s->rows, s->cols), r, t, c;
  gsize nx = check_extent (s->n, padded, ldx);
  g_autofree gint8 *digits = g_new (gint8, s->rows * s->cols + 1);
  float *got, *want, *scale, wscale = 0.013f * (1 + check_uniform ());
  guint8 *w;
  gint32 *sums;
  gint8 *x;

  check_shape_case (name, s);
  w = check_buffer (SLOT_W, bytes);
  memset (w, 0x55, bytes);
  x = check_buffer (SLOT_X, nx);
  scale = check_buffer (SLOT_A, s->n * sizeof (float));
  sums = check_buffer (SLOT_B, s->n * sizeof (gint32));
  got = check_new_y (s, SLOT_Y);
  want = check_new_y (s, SLOT_Y2);
  for (r = 0; r < s->rows; r++) {
    for (c = 0; c < s->cols; c++)
      digits[r * s->cols + c] = r % 5 == 4 ? 1 : (gint) check_below (3) - 1;
    tern_t2_pack_row (w, r, s->cols, digits + r * s->cols);
  }
  for (t = 0; t < s->n; t++) {
    gint64 sum = 0;

    memset (x + t * ldx, 0, padded);
    for (c = 0; c < s->cols; c++) {
      gint v = t % 3 == 2 ? (t % 2 ? 127 : -128) : (gint) check_below (256) - 128;

      x[t * ldx + c] = v;
      sum += v;
    }
    sums[t] = sum;
    scale[t] = 0.1f * (1 + check_uniform ());
    for (r = 0; r < s->rows; r++) {
      gint32 acc = 0;

      for (c = 0; c < s->cols; c++)
        acc += digits[r * s->cols + c] * x[t * ldx + c];
      want[t * s->ldy + r] = (float) acc * scale[t];
      want[t * s->ldy + r] *= wscale;
    }
  }
  w = in_layout (k, w, s->rows, s->cols);
  k->gemm_t2 (got, s->ldy, w, s->rows, groups, wscale, x, ldx, scale, sums, s->n);
  for (t = 0; t < s->n; t++)
    check_equal (got + t * s->ldy, want + t * s->ldy, s->rows);
  check_guards (got, s->n, s->rows, s->ldy);
}

/* b1.58 by hand: W = [.5, -.2, .05, -.9] is .4125 * [1, 0, 0, -1]; x = [1, -.5, .25, 2] is [64, -32, 16, 127] * 2 /
 * 127; the sum -63 gives -.409252. */
static void
t2_worked (const TernKernels *k)
{
  static const gint8 digits[] = { 1, 0, 0, -1 };
  static const float x[] = { 1, -0.5f, 0.25f, 2 };
  gint8 q[TERN_T2_COLS];
  guint8 w[TERN_T2_BYTES];
  float scale, y;
  gint32 sum;

  check_case ("worked example");
  memset (w, 0x55, sizeof w);
  tern_t2_pack_row (w, 0, 4, digits);
  k->quant_i8 (q, &scale, &sum, x, 4);
  if (sum != 64 - 32 + 16 + 127)
    check_fail ("sum: expected 175, found %d", sum);
  k->gemm_t2 (&y, 1, in_layout (k, w, 1, 4), 1, 1, 0.4125f, q, TERN_T2_COLS, &scale, &sum, 1);
  if (fabsf (y - -0.409252f) > 5e-7f)
    check_fail ("expected -0.409252, found %.7g", y);
}

/* A largest sum: every digit and value at its end, at the widest matrix of the contract. */
static void
t2_widest (const TernKernels *k)
{
  gsize groups = (1 << 12) - 1, cols = groups * TERN_T2_COLS;
  g_autofree gint8 *values = g_malloc (cols);
  float one = 1, y[2], want;
  gint32 sum = -128 * (gint32) cols;
  guint8 *w;
  gint8 *x;

  check_case ("widest");
  w = check_buffer (SLOT_W, tern_t2_bytes (2, cols));
  memset (w, 0x55, tern_t2_bytes (2, cols));
  x = check_buffer (SLOT_X, cols);
  memset (x, -128, cols);
  memset (values, 1, cols);
  tern_t2_pack_row (w, 0, cols, values);
  memset (values, -1, cols);
  tern_t2_pack_row (w, 1, cols, values);
  k->gemm_t2 (y, 2, in_layout (k, w, 2, cols), 2, groups, 1, x, cols, &one, &sum, 1);
  want = (float) sum;
  if (y[0] != want || y[1] != -want)
    check_fail ("expected +-%.9g, found %.9g %.9g", want, y[0], y[1]);
}

SHAPE_CHECKS (gemm_f32, f32_shape)
SHAPE_CHECKS (gemm_nn, nn_shape)

static void
gemm_t2_truth (const TernKernels *ref)
{
  t2_worked (ref);
  t2_widest (ref);
  check_shapes ("gemm_t2", t2_shape, ref, ref, SCALAR_WORK);
}

static void
gemm_t2_check (const TernKernels *ref, const TernKernels *k)
{
  t2_worked (k);
  t2_widest (k);
  check_shapes ("gemm_t2", t2_shape, ref, k, VECTOR_WORK);
}

/* Operands of the benchmarks: any bytes that make finite values. */
typedef struct {
  gsize rows, cols, n;
  float *y, *x;
  void *w;
  gint8 *i8;
  float *scale;
  gint32 *sum;
} Bench;

static void
run_f32 (const TernKernels *k, void *data)
{
  Bench *b = data;

  k->gemm_f32 (b->y, b->rows, b->w, b->cols, b->rows, b->cols, b->x, b->cols, b->n, b->n > 4);
}

static void
run_nn (const TernKernels *k, void *data)
{
  Bench *b = data;

  k->gemm_nn (b->y, b->rows, b->x, b->cols, b->w, b->rows, b->n, b->cols, b->rows, FALSE);
}

static void
run_t2 (const TernKernels *k, void *data)
{
  Bench *b = data;

  k->gemm_t2 (b->y, b->rows, b->w, b->rows, (b->cols + TERN_T2_COLS - 1) / TERN_T2_COLS, 1, b->i8, b->cols,
      b->scale, b->sum, b->n);
}

static void
bench_gemm (const char *name, BenchRun run, guint rows, guint cols, guint n)
{
  Bench b = { rows, cols, n };
  g_autofree char *what = g_strdup_printf ("%s n=%u rows=%u cols=%u", name, n, rows, cols);
  gsize i;

  b.y = g_new (float, b.rows * n);
  b.x = g_new (float, b.cols * n);
  b.w = g_malloc0 (b.rows * b.cols * sizeof (float));   /* zeros are as fast as anything else, in every format */
  b.i8 = g_malloc0 (b.cols * n + TERN_T2_COLS);
  b.scale = g_new0 (float, n);
  b.sum = g_new0 (gint32, n);
  for (i = 0; i < b.cols * n; i++)
    b.x[i] = check_uniform ();
  memset (b.w, 0x11, b.rows * b.cols * sizeof (float)); /* but no page shall be the shared zero page */
  check_bench (what, run, &b, 2.0 * rows * cols * n);
  g_free (b.y);
  g_free (b.x);
  g_free (b.w);
  g_free (b.i8);
  g_free (b.scale);
  g_free (b.sum);
}

static void
bench_linear (const char *name, BenchRun run)
{
  bench_gemm (name, run, 1024, 1024, 1);
  bench_gemm (name, run, 1024, 1024, 4);
  bench_gemm (name, run, 1024, 256, 50);
  bench_gemm (name, run, 1024, 1024, 50);
  bench_gemm (name, run, 2048, 2048, 64);
  bench_gemm (name, run, 768, 192, 196);
  bench_gemm (name, run, 768, 768, 196);
  bench_gemm (name, run, 192, 768, 196);
}

static void gemm_f32_bench (void) { bench_linear ("gemm_f32", run_f32); }
static void gemm_t2_bench (void) { bench_linear ("gemm_t2", run_t2); }

static void
gemm_nn_bench (void)
{
  bench_gemm ("gemm_nn", run_nn, 64, 196, 196);
  bench_gemm ("gemm_nn", run_nn, 64, 400, 50);
  bench_gemm ("gemm_nn", run_nn, 64, 400, 4);
  bench_gemm ("gemm_nn", run_nn, 64, 400, 1);
}

const Kernel gemm_kernels[] = {
  { "gemm_f32", gemm_f32_truth, gemm_f32_check, gemm_f32_bench },
  { "gemm_t2", gemm_t2_truth, gemm_t2_check, gemm_t2_bench },
  { "gemm_nn", gemm_nn_truth, gemm_nn_check, gemm_nn_bench },
  { NULL }
};
