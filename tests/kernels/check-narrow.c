/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Products of f16, bfloat16, int8 and int4 rows with floats, in both directions, and what makes such rows. */
#include <math.h>
#include <string.h>

#include "tests/kernels/shapes.h"

typedef enum { F16, BF16, I8ROW, I4ROW } Kind;

/* @rows rows of @cols values, @ld apart (int4: padded, and some bytes beside), in the form of @kind; @wide gets their exact
 * values. */
typedef struct {
  void *data;
  float *scale;
  gsize ld, lds;                /* of data (int4: bytes), of scale */
  float *wide;
} Rows;

/* The scale of a row: odd ones and NaN now and then. */
static float
draw_scale (float *scale, gsize cols)
{
  check_floats (scale, 1, 1e4f);
  if (cols && check_below (16) == 0)
    *scale = NAN;
  return *scale;
}

/* Digits, and anything where a row is padded. */
static void
make_digits (Rows *rows, gsize n_rows, gsize cols, gsize ld)
{
  gsize bytes, r, c;
  guint8 *row;

  rows->ld = tern_i4_bytes (cols) + ld - cols;
  bytes = n_rows ? check_extent (n_rows, tern_i4_bytes (cols), rows->ld) : 0;
  rows->data = check_buffer (SLOT_W, bytes);
  for (c = 0; c < bytes; c++)
    ((guint8 *) rows->data)[c] = check_random ();
  for (r = 0; r < n_rows; r++) {
    float scale = draw_scale (&rows->scale[r * rows->lds], cols);

    row = (guint8 *) rows->data + r * rows->ld;
    for (c = 0; c < cols; c++) {
      guint8 both = row[c / 32 * 16 + c % 16];

      rows->wide[r * ld + c] = (float) (scale * ((c % 32 < 16 ? both % 16 : both / 16) - 7.5));
    }
  }
}

static void
make_rows (Rows *rows, Kind kind, gsize n_rows, gsize cols, gsize ld)
{
  gsize total = n_rows ? check_extent (n_rows, cols, ld) : 0, r, c, i;

  rows->lds = 1 + check_below (3);
  rows->ld = ld;
  if (kind != I4ROW)
    rows->data = check_buffer (SLOT_W, total * (kind == I8ROW ? 1 : 2));
  rows->scale = check_buffer (SLOT_B, (n_rows ? check_extent (n_rows, 1, rows->lds) : 0) * sizeof (float));
  rows->wide = check_buffer (SLOT_W2, total * sizeof (float));
  check_floats (rows->wide, total, 1e4f);
  check_poison (rows->wide, total);
  if (kind == I8ROW) {
    for (r = 0; r < n_rows; r++) {
      float scale = draw_scale (&rows->scale[r * rows->lds], cols);

      for (c = 0; c < cols; c++) {
        gint8 v = check_below (8) ? (gint) check_below (256) - 128 : -128;

        ((gint8 *) rows->data)[r * ld + c] = v;
        rows->wide[r * ld + c] = scale * v;
      }
    }
    return;
  }
  if (kind == I4ROW) {
    make_digits (rows, n_rows, cols, ld);
    return;
  }
  for (i = 0; i < total; i++) {
    guint16 *half = (guint16 *) rows->data + i;
    guint32 bits;

    if (kind == F16) {
      *half = tern_f32_to_f16 (rows->wide[i]);
      rows->wide[i] = tern_f16_to_f32 (*half);
    } else {
      memcpy (&bits, &rows->wide[i], sizeof bits);
      *half = bits >> 16;
      bits &= 0xffff0000;
      memcpy (&rows->wide[i], &bits, sizeof bits);
    }
  }
}

/* x, and room for the result and what it shall be. */
typedef struct {
  float *x, *got, *want, *magnitude;
} Sides;

static void
make_sides (Sides *sides, const Shape *s)
{
  gsize nx = check_extent (s->n, s->cols, s->ldx);

  sides->x = check_buffer (SLOT_X, nx * sizeof (float));
  sides->got = check_new_y (s, SLOT_Y);
  sides->want = check_new_y (s, SLOT_Y2);
  sides->magnitude = check_new_y (s, SLOT_Y3);
  check_floats (sides->x, nx, 1e4f);
  check_poison (sides->x, nx);
}

/* Few float rows may be taken in 16 bits beside int8 and int4 ones: what that adds to @magnitude, in parts of which 1e-5 are
 * allowed. */
static void
allow_16_bits (const Shape *s, float *magnitude, const float *w, const float *x)
{
  gsize t, r, c;

  for (t = 0; t < s->n; t++) {
    double top = 0;

    for (c = 0; c < s->cols; c++)       /* no fmax(): of gcc 12 for aarch64 that is an internal error */
      top = MAX (top, fabs (x[t * s->ldx + c]));
    for (r = 0; r < s->rows && isfinite (top); r++)
      for (c = 0; c < s->cols; c++)
        magnitude[t * s->ldy + r] += (float) (fabs (w[r * s->ldw + c]) * top / (2 * 32512) / 1e-5);
  }
}

static void
rows_shape (const char *name, const Shape *s, const TernKernels *k, Kind kind)
{
  guint many;
  Sides v;
  gsize t;
  Rows w;

  check_shape_case (name, s);
  make_rows (&w, kind, s->rows, s->cols, s->ldw);
  make_sides (&v, s);
  check_exact_product (s, v.want, v.magnitude, w.wide, v.x);
  for (many = 0; many < 2; many++) {
    if (kind == F16)
      k->gemm_f16 (v.got, s->ldy, w.data, s->ldw, s->rows, s->cols, v.x, s->ldx, s->n, many);
    else if (kind == BF16)
      k->gemm_bf16 (v.got, s->ldy, w.data, s->ldw, s->rows, s->cols, v.x, s->ldx, s->n, many);
    else if (kind == I8ROW)
      k->gemm_i8row (v.got, s->ldy, w.data, s->ldw, w.scale, w.lds, s->rows, s->cols, v.x, s->ldx, s->n, many);
    else
      k->gemm_i4row (v.got, s->ldy, w.data, w.ld, w.scale, w.lds, s->rows, s->cols, v.x, s->ldx, s->n, many);
    if (kind >= I8ROW && !many) {
      float *wider = check_new_y (s, SLOT_STATE2);

      for (t = 0; t < s->n; t++)
        memcpy (wider + t * s->ldy, v.magnitude + t * s->ldy, s->rows * sizeof (float));
      allow_16_bits (s, wider, w.wide, v.x);
      check_product (s, v.got, v.want, wider);
    } else {
      check_product (s, v.got, v.want, v.magnitude);
    }
  }
}

/* rows: columns of the result; cols: what is summed over. */
static void
nn_shape (const char *name, const Shape *s, const TernKernels *k, Kind kind)
{
  gsize ldb = s->rows + s->ldw - s->cols, r, c;
  Shape turned = *s;
  guint many;
  float *w;
  Sides v;
  Rows b;

  check_shape_case (name, s);
  make_rows (&b, kind, s->cols, s->rows, ldb);
  make_sides (&v, s);
  w = check_buffer (SLOT_A, s->rows * s->cols * sizeof (float));
  turned.ldw = s->cols;
  for (r = 0; r < s->rows; r++) {
    for (c = 0; c < s->cols; c++)
      w[r * s->cols + c] = b.wide[c * ldb + r];
  }
  check_exact_product (&turned, v.want, v.magnitude, w, v.x);
  for (many = 0; many < 2; many++) {
    if (kind == F16)
      k->gemm_nn_f16 (v.got, s->ldy, v.x, s->ldx, b.data, ldb, s->n, s->cols, s->rows, many, FALSE);
    else if (kind == I8ROW)
      k->gemm_nn_i8row (v.got, s->ldy, v.x, s->ldx, b.data, ldb, b.scale, b.lds, s->n, s->cols, s->rows, many, FALSE);
    else
      k->gemm_nn_i4row (v.got, s->ldy, v.x, s->ldx, b.data, b.ld, b.scale, b.lds, s->n, s->cols, s->rows, many, FALSE);
    check_product (s, v.got, v.want, v.magnitude);
  }
}

#define SHAPE(name, shape, kind) \
  static void name##_shape (const char *what, const Shape *s, const TernKernels *ref, const TernKernels *k) \
  { shape (what, s, k, kind); } \
  SHAPE_CHECKS (name, name##_shape)

SHAPE (gemm_f16, rows_shape, F16)
SHAPE (gemm_bf16, rows_shape, BF16)
SHAPE (gemm_i8row, rows_shape, I8ROW)
SHAPE (gemm_nn_f16, nn_shape, F16)
SHAPE (gemm_nn_i8row, nn_shape, I8ROW)
SHAPE (gemm_i4row, rows_shape, I4ROW)
SHAPE (gemm_nn_i4row, nn_shape, I4ROW)

static const guint sizes[] = { 0, 1, 7, 31, 64, 80, 128, 513 };

static void
pack_f16_check (const TernKernels *ref, const TernKernels *k)
{
  guint i, repeat, j;

  for (i = 0; i < G_N_ELEMENTS (sizes); i++) {
    for (repeat = 0; repeat < 8; repeat++) {
      guint16 *got;
      float *x;

      check_case ("pack_f16 n=%u repeat=%u", sizes[i], repeat);
      x = check_buffer (SLOT_X, sizes[i] * sizeof (float));
      got = check_buffer (SLOT_Y, sizes[i] * sizeof *got);
      check_floats (x, sizes[i], repeat % 2 ? 1 : 1e6f);
      check_poison (x, sizes[i]);
      if (repeat == 4) {        /* half way between two */
        for (j = 0; j < sizes[i]; j++)
          x[j] = (tern_f16_to_f32 (j) + tern_f16_to_f32 (j + 1)) / 2;
      }
      k->pack_f16 (got, x, sizes[i]);
      for (j = 0; j < sizes[i]; j++) {
        float back = tern_f16_to_f32 (got[j]);

        if (isnan (x[j]) ? !isnan (back) : got[j] != tern_f32_to_f16 (x[j]))
          check_fail ("[%u]: expected %04x, found %04x", j, tern_f32_to_f16 (x[j]), got[j]);
      }
      check_guards (NULL, 0, 0, 0);
    }
  }
}

static void
pack_f16_truth (const TernKernels *ref)
{
  pack_f16_check (ref, ref);    /* tern_f32_to_f16() is tested beside quant_q8 */
}

/* A row to be packed: zeros, next to nothing, large, NaN or infinity among it. */
static float *
draw_row (guint n, guint repeat)
{
  float *x = check_buffer (SLOT_X, n * sizeof (float));

  check_floats (x, n, repeat < 6 ? 1 : 1e6f);
  if (repeat < 2)
    memset (x, 0, n * sizeof (float));
  if (repeat == 1 && n)
    x[check_below (n)] = 1e-31f;        /* counts as nothing */
  if (repeat >= 10 && n)
    x[check_below (n)] = repeat == 10 ? NAN : INFINITY;
  return x;
}

static void
pack_i8row_check (const TernKernels *ref, const TernKernels *k)
{
  guint i, repeat;

  for (i = 0; i < G_N_ELEMENTS (sizes); i++) {
    for (repeat = 0; repeat < 12; repeat++) {
      float *x, scale, want_scale;
      gint8 *got, *want;

      check_case ("pack_i8row n=%u repeat=%u", sizes[i], repeat);
      x = draw_row (sizes[i], repeat);
      got = check_buffer (SLOT_Y, sizes[i]);
      want = check_buffer (SLOT_Y2, sizes[i]);
      ref->pack_i8row (want, &want_scale, x, sizes[i]);
      k->pack_i8row (got, &scale, x, sizes[i]);
      check_equal (&scale, &want_scale, 1);
      if (memcmp (got, want, sizes[i]))
        check_fail ("other values");
      check_guards (NULL, 0, 0, 0);
    }
  }
}

static void
pack_i8row_truth (const TernKernels *ref)
{
  float x[80], scale;
  double max = 0;
  gint8 q[80];
  guint i;

  check_case ("pack_i8row formula");
  check_floats (x, 80, 50);
  ref->pack_i8row (q, &scale, x, 80);
  for (i = 0; i < 80; i++)
    max = MAX (max, fabs (x[i]));
  for (i = 0; i < 80; i++) {
    if (fabs (x[i] - scale * (double) q[i]) > max / 127 * 0.501)
      check_fail ("%u: %g became %g", i, x[i], scale * (double) q[i]);
  }
  if (fabs (scale * 127.0 / max - 1) > 1e-6)
    check_fail ("scale %g of %g", scale, max);
  pack_i8row_check (ref, ref);
}

static void
pack_i4row_check (const TernKernels *ref, const TernKernels *k)
{
  guint i, repeat;

  for (i = 0; i < G_N_ELEMENTS (sizes); i++) {
    for (repeat = 0; repeat < 12; repeat++) {
      float *x, scale, want_scale;
      guint8 *got, *want;

      check_case ("pack_i4row n=%u repeat=%u", sizes[i], repeat);
      x = draw_row (sizes[i], repeat);
      got = check_buffer (SLOT_Y, tern_i4_bytes (sizes[i]));
      want = check_buffer (SLOT_Y2, tern_i4_bytes (sizes[i]));
      ref->pack_i4row (want, &want_scale, x, sizes[i]);
      k->pack_i4row (got, &scale, x, sizes[i]);
      check_equal (&scale, &want_scale, 1);
      if (memcmp (got, want, tern_i4_bytes (sizes[i])))
        check_fail ("other digits");
      check_guards (NULL, 0, 0, 0);
    }
  }
}

/* Worked by hand: 7.5 is the largest, so that a step is 1, and .5 stands on the digit 8. Halves between digits go to the even
 * one. */
static void
pack_i4row_worked (const TernKernels *ref)
{
  static const float x[] = { 7.5f, -7.5f, 0.5f, -0.5f, 0, 1, -1, 6.4f };
  static const guint8 digits[] = { 15, 0, 8, 7, 8, 8, 6, 14 };
  guint8 q[16];
  float scale;
  guint i;

  check_case ("pack_i4row worked");
  ref->pack_i4row (q, &scale, x, G_N_ELEMENTS (x));
  if (scale != 1)
    check_fail ("scale %g instead of 1", scale);
  for (i = 0; i < 16; i++) {
    guint8 want = 0x80 | (i < G_N_ELEMENTS (x) ? digits[i] : 8);

    if (q[i] != want)
      check_fail ("byte %u is %02x instead of %02x", i, q[i], want);
  }
}

static void
pack_i4row_truth (const TernKernels *ref)
{
  float x[80], scale;
  double max = 0;
  guint8 q[48];
  guint i;

  pack_i4row_worked (ref);
  check_case ("pack_i4row formula");
  check_floats (x, 80, 50);
  ref->pack_i4row (q, &scale, x, 80);
  for (i = 0; i < 80; i++)
    max = MAX (max, fabs (x[i]));
  for (i = 0; i < 80; i++) {
    guint8 both = q[i / 32 * 16 + i % 16];
    double back = scale * ((i % 32 < 16 ? both % 16 : both / 16) - 7.5);

    if (fabs (x[i] - back) > max / 7.5 * 0.50001)
      check_fail ("%u: %g became %g", i, x[i], back);
  }
  if (fabs (scale * 7.5 / max - 1) > 1e-6)
    check_fail ("scale %g of %g", scale, max);
  pack_i4row_check (ref, ref);
}

/* One kv head of @keys positions under @n query rows, and a matrix that is read once. */
typedef struct {
  gsize rows, cols, n;
  float *y, *x, *scale;
  void *w;
} Bench;

static void
run_gemm_f16 (const TernKernels *k, void *data)
{
  Bench *b = data;

  k->gemm_f16 (b->y, b->rows, b->w, b->cols, b->rows, b->cols, b->x, b->cols, b->n,
      b->n > 4);
}

static void
run_gemm_bf16 (const TernKernels *k, void *data)
{
  Bench *b = data;

  k->gemm_bf16 (b->y, b->rows, b->w, b->cols, b->rows, b->cols, b->x, b->cols, b->n,
      b->n > 4);
}

static void
run_gemm_i8row (const TernKernels *k, void *data)
{
  Bench *b = data;

  k->gemm_i8row (b->y, b->rows, b->w, b->cols, b->scale, 1, b->rows, b->cols, b->x, b->cols, b->n,
      b->n > 4);
}

static void
run_gemm_nn_f16 (const TernKernels *k, void *data)
{
  Bench *b = data;

  k->gemm_nn_f16 (b->y, b->cols, b->x, b->rows, b->w, b->cols, b->n, b->rows, b->cols, b->n > 4,
      FALSE);
}

static void
run_gemm_nn_i8row (const TernKernels *k, void *data)
{
  Bench *b = data;

  k->gemm_nn_i8row (b->y, b->cols, b->x, b->rows, b->w, b->cols, b->scale, 1, b->n, b->rows, b->cols,
      b->n > 4, FALSE);
}

static void
run_gemm_i4row (const TernKernels *k, void *data)
{
  Bench *b = data;

  k->gemm_i4row (b->y, b->rows, b->w, tern_i4_bytes (b->cols), b->scale, 1, b->rows, b->cols, b->x, b->cols, b->n,
      b->n > 4);
}

static void
run_gemm_nn_i4row (const TernKernels *k, void *data)
{
  Bench *b = data;

  k->gemm_nn_i4row (b->y, b->cols, b->x, b->rows, b->w, tern_i4_bytes (b->cols), b->scale, 1, b->n, b->rows, b->cols,
      b->n > 4, FALSE);
}

static void
run_pack_i4row (const TernKernels *k, void *data)
{
  Bench *b = data;

  k->pack_i4row (b->w, b->scale, b->x, b->cols);
}

static void
run_pack_f16 (const TernKernels *k, void *data)
{
  Bench *b = data;

  k->pack_f16 (b->w, b->x, b->cols);
}

static void
run_pack_i8row (const TernKernels *k, void *data)
{
  Bench *b = data;

  k->pack_i8row (b->w, b->scale, b->x, b->cols);
}

static void
bench_one (const char *name, BenchRun run, gsize rows, gsize cols, gsize n)
{
  g_autofree char *what = g_strdup_printf ("%s n=%zu rows=%zu cols=%zu", name, n, rows, cols);
  gsize nx = MAX (rows, cols) * n, i;
  Bench b = { rows, cols, n };

  b.y = g_new (float, nx);
  b.x = g_new (float, nx);
  b.w = g_malloc (rows * cols * 2);
  b.scale = g_new (float, rows);
  memset (b.w, 0x11, rows * cols * 2);
  for (i = 0; i < nx; i++)
    b.x[i] = check_uniform ();
  for (i = 0; i < rows; i++)
    b.scale[i] = 0.01f;
  check_bench (what, run, &b, 2.0 * rows * cols * n);
  g_free (b.y);
  g_free (b.x);
  g_free (b.w);
  g_free (b.scale);
}

static void
bench_weights (const char *name, BenchRun run)
{
  bench_one (name, run, 1024, 1024, 1);
  bench_one (name, run, 1024, 1024, 4);
  bench_one (name, run, 1024, 1024, 50);
  bench_one (name, run, 768, 192, 196);
}

static void
bench_keys (const char *name, BenchRun run)
{
  bench_one (name, run, 400, 64, 1);
  bench_one (name, run, 400, 64, 4);
  bench_one (name, run, 4000, 64, 3);
  bench_one (name, run, 400, 64, 32);
}

static void gemm_f16_bench (void) { bench_weights ("gemm_f16", run_gemm_f16); bench_keys ("gemm_f16", run_gemm_f16); }
static void gemm_bf16_bench (void) { bench_weights ("gemm_bf16", run_gemm_bf16); }
static void gemm_i8row_bench (void) { bench_keys ("gemm_i8row", run_gemm_i8row); }
static void gemm_nn_f16_bench (void) { bench_keys ("gemm_nn_f16", run_gemm_nn_f16); }
static void gemm_nn_i8row_bench (void) { bench_keys ("gemm_nn_i8row", run_gemm_nn_i8row); }
static void gemm_i4row_bench (void) { bench_keys ("gemm_i4row", run_gemm_i4row); }
static void gemm_nn_i4row_bench (void) { bench_keys ("gemm_nn_i4row", run_gemm_nn_i4row); }
static void pack_i4row_bench (void) { bench_one ("pack_i4row", run_pack_i4row, 1, 2048, 1); }
static void pack_f16_bench (void) { bench_one ("pack_f16", run_pack_f16, 1, 2048, 1); }
static void pack_i8row_bench (void) { bench_one ("pack_i8row", run_pack_i8row, 1, 2048, 1); }

#define KERNEL(name) { #name, name##_truth, name##_check, name##_bench }

const Kernel narrow_kernels[] = {
  KERNEL (gemm_f16), KERNEL (gemm_bf16), KERNEL (gemm_i8row), KERNEL (gemm_nn_f16), KERNEL (gemm_nn_i8row),
  KERNEL (gemm_i4row), KERNEL (gemm_nn_i4row), KERNEL (pack_f16), KERNEL (pack_i8row), KERNEL (pack_i4row), { NULL }
};
