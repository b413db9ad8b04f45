/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Packed int8 and bf16 matrices: packing, and products with them. */
#include <math.h>
#include <string.h>

#include "tests/kernels/shapes.h"

#define I8P_PADDED(cols) (((cols) + TERN_I8P_COLS - 1) / TERN_I8P_COLS * TERN_I8P_COLS)
#define BF16P_PADDED(cols) (((cols) + TERN_BF16P_COLS - 1) / TERN_BF16P_COLS * TERN_BF16P_COLS)

/* Floats of one panel in one of both orders, to pack; poisoned now and then, or with a row of (nearly) nothing. */
typedef struct {
  guint n_rows, cols, row, col;
  float *src;
} Panel;

static const guint pack_cols[] = { 0, 1, 2, 3, 4, 5, 15, 16, 31, 33, 63, 64, 65, 100, 128, 513, 768 };

static Panel
random_panel (const char *name, guint n_rows, guint cols, gboolean turned)
{
  guint apart = (turned ? n_rows : cols) + check_below (9);
  Panel p = { n_rows, cols, turned ? 1 : apart, turned ? apart : 1 };
  gsize size = cols == 0 ? 0 : (turned ? check_extent (cols, n_rows, apart) : check_extent (n_rows, cols, apart));
  guint kind = check_below (8), r, c;

  check_case ("%s n_rows=%u cols=%u row=%u col=%u kind=%u", name, n_rows, cols, p.row, p.col, kind);
  p.src = check_buffer (SLOT_X, size * sizeof (float));
  check_floats (p.src, size, kind == 7 ? 1e30f : 1e4f);
  r = check_below (n_rows);
  for (c = 0; c < cols && kind < 2; c++)
    p.src[r * p.row + c * p.col] = kind ? 0 : 1e-31f * check_uniform ();
  for (c = 0; c < cols && kind == 2; c++)       /* ties */
    p.src[r * p.row + c * p.col] = c == cols / 2 ? 127 : (float) ((gint) check_below (507) - 253) * 0.5f;
  if (kind >= 3 && kind < 6 && cols)
    p.src[r * p.row + check_below (cols) * p.col] = kind == 3 ? NAN : kind == 4 ? INFINITY : -INFINITY;
  return p;
}

typedef void (*PanelFunc) (const Panel *p, const TernKernels *ref, const TernKernels *k);

static void
all_panels (const char *name, PanelFunc func, const TernKernels *ref, const TernKernels *k)
{
  guint n_rows, i, turned;

  for (i = 0; i < G_N_ELEMENTS (pack_cols); i++)
    for (n_rows = 1; n_rows <= TERN_PANEL_ROWS; n_rows++)
      for (turned = 0; turned < 2; turned++) {
        Panel p;

        if (check_leaves_out ())
          continue;
        p = random_panel (name, n_rows, pack_cols[i], turned);
        func (&p, ref, k);
      }
}

static void
same_i8p (const Panel *p, const TernKernels *ref, const TernKernels *k)
{
  gsize bytes = tern_i8p_bytes (p->n_rows, p->cols), i;
  guint8 *got = check_buffer (SLOT_Y, bytes), *want = check_buffer (SLOT_Y2, bytes);
  float *scale = check_buffer (SLOT_A, TERN_PANEL_ROWS * sizeof (float)), want_scale[TERN_PANEL_ROWS];

  ref->pack_i8p (want, want_scale, p->src, p->row, p->col, p->n_rows, p->cols);
  k->pack_i8p (got, scale, p->src, p->row, p->col, p->n_rows, p->cols);
  for (i = 0; i < bytes; i++)
    if (got[i] != want[i])
      check_fail ("byte %zu: expected %u, found %u", i, want[i], got[i]);
  check_equal (scale, want_scale, TERN_PANEL_ROWS);
  check_guards (NULL, 0, 0, 0);
}

/* Every byte by the published formula in double; nothing where nothing is. */
static void
true_i8p (const Panel *p, const TernKernels *ref, const TernKernels *k)
{
  gsize padded = I8P_PADDED (p->cols), r, c;
  guint8 *got = check_buffer (SLOT_Y, padded * TERN_PANEL_ROWS);
  float scale[TERN_PANEL_ROWS];

  k->pack_i8p (got, scale, p->src, p->row, p->col, p->n_rows, p->cols);
  for (r = 0; r < TERN_PANEL_ROWS; r++) {
    double max = 0;

    for (c = 0; r < p->n_rows && c < p->cols; c++)
      max = MAX (max, fabs (p->src[r * p->row + c * p->col]));
    if (!isfinite (max) || isnan (scale[r]))
      continue;
    max = max < 1e-30 ? 0 : max;
    if (fabs (scale[r] - max / 127) > 1e-7 * max)
      check_fail ("row %zu: scale %g", r, scale[r]);
    for (c = 0; c < padded; c++) {
      double v = r < p->n_rows && c < p->cols && max > 0 ? p->src[r * p->row + c * p->col] * 127.0 / max : 0;
      gint q = got[c / 4 * 64 + r * 4 + c % 4] - 128;

      if (fabs (q - v) > 0.5 + 1e-4)
        check_fail ("row %zu column %zu: %g became %d", r, c, v, q);
    }
  }
}

static void
same_bf16p (const Panel *p, const TernKernels *ref, const TernKernels *k)
{
  gsize bytes = tern_bf16p_bytes (p->n_rows, p->cols), i;
  guint16 *got = check_buffer (SLOT_Y, bytes), *want = check_buffer (SLOT_Y2, bytes);

  ref->pack_bf16p (want, p->src, p->row, p->col, p->n_rows, p->cols);
  k->pack_bf16p (got, p->src, p->row, p->col, p->n_rows, p->cols);
  for (i = 0; i < bytes / 2; i++)
    if (got[i] != want[i] && !(isnan (tern_bf16_to_f32 (got[i])) && isnan (tern_bf16_to_f32 (want[i]))))
      check_fail ("element %zu: expected %04x, found %04x", i, want[i], got[i]);
  check_guards (NULL, 0, 0, 0);
}

/* Half of the distance of bf16 values at most, which is 2^-7 of the value or of the smallest normal one. */
static gboolean
is_rounded (guint16 h, float f)
{
  if (!isfinite (f))
    return isnan (f) ? isnan (tern_bf16_to_f32 (h)) : tern_bf16_to_f32 (h) == f;
  return fabs ((double) tern_bf16_to_f32 (h) - f) <= ldexp (MAX (fabs (f), 0x1p-126), -8);
}

static void
true_bf16p (const Panel *p, const TernKernels *ref, const TernKernels *k)
{
  gsize padded = BF16P_PADDED (p->cols), r, c;
  guint16 *got = check_buffer (SLOT_Y, padded * TERN_PANEL_ROWS * 2);

  k->pack_bf16p (got, p->src, p->row, p->col, p->n_rows, p->cols);
  for (r = 0; r < TERN_PANEL_ROWS; r++)
    for (c = 0; c < padded; c++) {
      float v = r < p->n_rows && c < p->cols ? p->src[r * p->row + c * p->col] : 0;

      if (!is_rounded (got[c / 2 * 32 + r * 2 + c % 2], v))
        check_fail ("row %zu column %zu: %g became %04x", r, c, v, got[c / 2 * 32 + r * 2 + c % 2]);
    }
}

static void
bf16_check (const TernKernels *ref, const TernKernels *k)
{
  guint i, j;

  for (i = 0; i < G_N_ELEMENTS (pack_cols); i++) {
    gsize n = pack_cols[i], padded = BF16P_PADDED (n);
    float *x;
    guint16 *got, *want;

    check_case ("pack_bf16 n=%zu", n);
    x = check_buffer (SLOT_X, n * sizeof (float));
    got = check_buffer (SLOT_Y, padded * 2);
    want = check_buffer (SLOT_Y2, padded * 2);
    check_floats (x, n, 1e38f);
    check_poison (x, n);
    ref->pack_bf16 (want, x, n);
    k->pack_bf16 (got, x, n);
    for (j = 0; j < padded; j++)
      if (got[j] != want[j] && !(isnan (tern_bf16_to_f32 (got[j])) && isnan (tern_bf16_to_f32 (want[j]))))
        check_fail ("[%u]: expected %04x, found %04x", j, want[j], got[j]);
    check_guards (NULL, 0, 0, 0);
  }
}

/* All bf16 values come back; half way to the next one goes to the even one. */
static void
bf16_truth (const TernKernels *ref)
{
  guint h;

  check_case ("bf16");
  for (h = 0; h < 65536; h++) {
    union { guint32 u; float f; } half = { h << 16 | 0x8000 }, more = { h << 16 | 0x8001 };
    float x[3] = { tern_bf16_to_f32 (h), half.f, more.f };
    guint16 y[BF16P_PADDED (3)];

    if (isnan (x[0]) || isinf (x[0]))
      continue;
    ref->pack_bf16 (y, x, 3);
    if (y[0] != h || y[1] != (h & 1 ? h + 1 : h) || y[2] != h + 1)
      check_fail ("%04x: %04x, half way %04x, more %04x", h, y[0], y[1], y[2]);
  }
  bf16_check (ref, ref);
}

/* Two pieces of a row, whose maximum goes on. */
static void
softmax_bf16_check (const TernKernels *ref, const TernKernels *k)
{
  guint i, round, j;

  for (i = 0; i < G_N_ELEMENTS (pack_cols); i++) {
    gsize n = pack_cols[i], padded = BF16P_PADDED (n);
    float *x = check_buffer (SLOT_X, n * sizeof (float)), largest = -INFINITY, expected = -INFINITY;
    guint16 *got = check_buffer (SLOT_Y, padded * 2), *want = check_buffer (SLOT_Y2, padded * 2);

    for (round = 0; n > 0 && round < 2; round++) {
      float sum, exact;

      check_case ("softmax_bf16 n=%zu round=%u", n, round);
      for (j = 0; j < n; j++)
        x[j] = 100 * check_uniform () * (round ? 2 : 1);
      exact = ref->softmax_bf16 (want, x, n, 0.125f, &expected);
      sum = k->softmax_bf16 (got, x, n, 0.125f, &largest);
      if (largest != expected || !(fabsf (sum - exact) <= 2e-4f * exact))
        check_fail ("largest %g, sum %g: expected %g, %g", largest, sum, expected, exact);
      for (j = 0; j < padded; j++) {
        float a = tern_bf16_to_f32 (got[j]), b = tern_bf16_to_f32 (want[j]);

        if (!(fabsf (a - b) <= b / 128) || (j >= n && got[j] != 0))
          check_fail ("[%u]: expected %g, found %g", j, b, a);
      }
      check_guards (NULL, 0, 0, 0);
    }
    if (n > 0) {
      x[n - 1] = NAN;
      if (!isnan (k->softmax_bf16 (got, x, n, 0.125f, &largest)) || !isnan (tern_bf16_to_f32 (got[n - 1])))
        check_fail ("a NaN is lost");
    }
  }
}

static void
softmax_bf16_truth (const TernKernels *ref)
{
  const float x[3] = { 8, 0, -8 };
  guint16 y[BF16P_PADDED (3)];
  float largest = 0, sum = ref->softmax_bf16 (y, x, 3, 0.125f, &largest);

  check_case ("softmax_bf16");
  if (largest != 1 || fabs (sum - 1 - exp (-1) - exp (-2)) > 1e-6 || y[0] != 0x3f80
      || fabs (tern_bf16_to_f32 (y[2]) - exp (-2)) > exp (-2) / 256)
    check_fail ("largest %g, sum %g, %04x", largest, sum, y[0]);
}

/* A row's weights and what rounding left, together, against the exact ones. */
static void
softmax_i8_row (const TernKernels *k, const float *x, gsize n, float scale)
{
  gsize padded = I8P_PADDED (n), j;
  gint8 *q = check_buffer (SLOT_Y, padded), *rest = check_buffer (SLOT_Y2, padded);
  float largest, same, sum, again;
  gint32 total, total_rest;
  double max = -INFINITY, exact = 0;

  for (j = 0; j < n; j++)
    max = MAX (max, x[j] * (double) scale);
  sum = k->softmax_i8 (q, x, n, scale, FALSE, &largest, &total);
  again = k->softmax_i8 (rest, x, n, scale, TRUE, &same, &total_rest);
  if (largest != same || sum != again || fabs (largest - max) > 1e-6 * fabs (max))
    check_fail ("largest %g and %g, sums %g and %g; expected %g", largest, same, sum, again, max);
  for (j = 0; j < padded; j++) {
    double e = j < n ? exp (x[j] * (double) scale - largest) : 0, found = (254 * q[j] + rest[j]) / (254.0 * 127);

    exact += e;
    if (fabs (found - MIN (e, 1)) > 5 / (254.0 * 127) || (j >= n && (q[j] || rest[j])))
      check_fail ("[%zu]: expected %g, found %d and %d", j, e, q[j], rest[j]);
    total -= q[j];
    total_rest -= rest[j];
  }
  if (fabs (sum - exact) > 2e-4 * exact || total || total_rest)
    check_fail ("sum %g: expected %g; sums of bytes off by %d and %d", sum, exact, total, total_rest);
  check_guards (NULL, 0, 0, 0);
}

static void
softmax_i8_check (const TernKernels *ref, const TernKernels *k)
{
  static const float ranges[] = { 0, 1, 100, 1e6 };
  guint i, range, j;

  for (i = 0; i < G_N_ELEMENTS (pack_cols); i++)
    for (range = 0; pack_cols[i] > 0 && range < G_N_ELEMENTS (ranges); range++) {
      gsize n = pack_cols[i];
      float *x = check_buffer (SLOT_X, n * sizeof (float)), largest;
      gint8 *q = check_buffer (SLOT_Y, I8P_PADDED (n));
      gint32 total;

      check_case ("softmax_i8 n=%zu range=%g", n, ranges[range]);
      for (j = 0; j < n; j++)
        x[j] = ranges[range] * check_uniform ();
      softmax_i8_row (k, x, n, 0.125f);
      x[check_below (n)] = NAN;
      if (!isnan (k->softmax_i8 (q, x, n, 0.125f, FALSE, &largest, &total)))
        check_fail ("a NaN is lost");
    }
}

static void
softmax_i8_truth (const TernKernels *ref)
{
  softmax_i8_check (ref, ref);
}

#define PANEL_CHECKS(name, truth, same) \
  static void name##_truth (const TernKernels *ref) { all_panels (#name, truth, ref, ref); } \
  static void name##_check (const TernKernels *ref, const TernKernels *k) { all_panels (#name, same, ref, k); }

PANEL_CHECKS (pack_i8p, true_i8p, same_i8p)
PANEL_CHECKS (pack_bf16p, true_bf16p, same_bf16p)

/* Operands of a product with int8 on both sides. */
typedef struct {
  guint rows, cols, n, group, ldy, ldx, ldg;
  guint8 *w;
  gint8 *x;
  float *wscale, *bias, *xscale;
  gint32 *xsum;
} I8p;

static void
fill_i8p (I8p *p)
{
  gsize groups = (p->cols + p->group - 1) / p->group, bytes = tern_i8p_bytes (p->rows, p->cols), i, t, c;

  p->ldy = p->rows + check_below (9);
  p->ldx = p->cols + check_below (9);
  p->ldg = groups + check_below (3);
  check_case ("gemm_i8p rows=%u cols=%u n=%u group=%u ldy=%u ldx=%u ldg=%u", p->rows, p->cols, p->n, p->group, p->ldy,
      p->ldx, p->ldg);
  p->w = check_buffer (SLOT_W, bytes);
  p->x = check_buffer (SLOT_X, check_extent (p->n, p->cols, p->ldx));
  p->wscale = check_buffer (SLOT_A, p->rows * sizeof (float));
  p->bias = check_below (2) ? check_buffer (SLOT_B, p->rows * sizeof (float)) : NULL;
  p->xscale = check_buffer (SLOT_W2, check_extent (p->n, groups, p->ldg) * sizeof (float));
  p->xsum = check_buffer (SLOT_X2, check_extent (p->n, groups, p->ldg) * sizeof (gint32));
  for (i = 0; i < bytes; i++)
    p->w[i] = check_below (256);
  for (i = 0; i < p->rows; i++) {
    p->wscale[i] = check_below (9) ? 0.013f * (1 + check_uniform ()) : 0;
    if (p->bias)
      p->bias[i] = check_uniform ();
  }
  for (t = 0; t < p->n; t++) {
    for (i = 0; i < groups; i++) {
      p->xscale[t * p->ldg + i] = check_below (40) ? 0.1f * (1 + check_uniform ()) : check_below (2) ? NAN : INFINITY;
      p->xsum[t * p->ldg + i] = 0;
    }
    for (c = 0; c < p->cols; c++) {
      gint v = t % 3 == 2 ? (t % 2 ? 127 : -128) : (gint) check_below (256) - 128;

      p->x[t * p->ldx + c] = v;
      p->xsum[t * p->ldg + c / p->group] += v;
    }
  }
}

static void
run_i8p (const I8p *p, float *y, const TernKernels *k)
{
  k->gemm_i8p (y, p->ldy, p->w, p->rows, p->cols, p->wscale, p->bias, p->x, p->ldx, p->group, p->xscale, p->xsum,
      p->ldg, p->n);
}

static float *
i8p_result (const I8p *p, guint slot)
{
  return check_buffer (slot, check_extent (p->n, p->rows, p->ldy) * sizeof (float));
}

static void
same_product_i8p (I8p *p, const TernKernels *ref, const TernKernels *k)
{
  float *got, *want;
  guint t;

  fill_i8p (p);
  got = i8p_result (p, SLOT_Y);
  want = i8p_result (p, SLOT_Y2);
  run_i8p (p, want, ref);
  run_i8p (p, got, k);
  for (t = 0; t < p->n; t++)
    check_equal (got + t * p->ldy, want + t * p->ldy, p->rows);
  check_guards (got, p->n, p->rows, p->ldy);
}

/* The layout, scales, groups and bias, once more and in double. */
static void
true_product_i8p (I8p *p, const TernKernels *ref, const TernKernels *k)
{
  float *got;
  guint r, t, c;

  fill_i8p (p);
  got = i8p_result (p, SLOT_Y);
  run_i8p (p, got, k);
  for (t = 0; t < p->n; t++) {
    for (r = 0; r < p->rows; r++) {
      double sum = p->bias ? p->bias[r] : 0, size = fabs (sum);

      for (c = 0; c < p->cols; c++) {
        gsize at = (gsize) r / 16 * 16 * p->cols + c / 4 * 64 + r % 16 * 4 + c % 4;
        double v = (p->w[at] - 128.0) * p->x[t * p->ldx + c] * p->xscale[t * p->ldg + c / p->group] * p->wscale[r];

        sum += v;
        size += fabs (v);
      }
      if (isfinite (sum) ? !(fabs (got[t * p->ldy + r] - sum) <= 1e-6 * size + 1e-37) : isfinite (got[t * p->ldy + r]))
        check_fail ("token %u row %u: expected %g, found %g", t, r, sum, got[t * p->ldy + r]);
    }
  }
  check_guards (got, p->n, p->rows, p->ldy);
}

static void
all_products_i8p (void (*func) (I8p *, const TernKernels *, const TernKernels *), const TernKernels *ref,
    const TernKernels *k)
{
  static const guint rows[] = { 1, 2, 7, 15, 16, 17, 31, 32, 33, 48, 49, 63, 64, 65, 130 };
  static const guint cols[] = { 0, 64, 128, 192, 320, 1088, 2112 };
  static const guint groups[] = { 64, 128, 192, 1024 };
  guint c, n, g;

  for (c = 0; c < G_N_ELEMENTS (cols); c++)
    for (n = 1; n <= 40; n++)
      for (g = 0; g <= G_N_ELEMENTS (groups); g++) {
        I8p p = { rows[check_below (G_N_ELEMENTS (rows))], cols[c], n };

        p.group = g < G_N_ELEMENTS (groups) ? groups[g] : MAX (cols[c], 64);
        if ((gsize) p.rows * p.cols * p.n < SCALAR_WORK / 2 && !check_leaves_out ())
          func (&p, ref, k);
      }
  for (c = 0; c < G_N_ELEMENTS (rows); c++) {   /* more tokens than a block in the cache may hold */
    I8p p = { rows[c], 64 * (1 + check_below (3)), 300 + check_below (100), 128 };

    if (!check_leaves_out ())
      func (&p, ref, k);
  }
}

/* The largest sums: every value at its end, as many columns as the contract has. */
static void
widest_i8p (const TernKernels *k)
{
  guint cols = 65536 - TERN_I8P_COLS, t;
  float one[2] = { 1, 1 }, y[4], xscale[2] = { 1, 1 };
  gint32 sums[2] = { 127 * (gint32) cols, -128 * (gint32) cols };
  guint8 *w;
  gint8 *x;

  check_case ("gemm_i8p of the widest");
  w = check_buffer (SLOT_W, tern_i8p_bytes (2, cols));
  x = check_buffer (SLOT_X, 2 * cols);
  memset (w, 255, tern_i8p_bytes (2, cols));
  for (t = 0; t < cols; t += 4)
    memset (w + t * 16 + 4, 0, 4);      /* row 1 */
  memset (x, 127, cols);
  memset (x + cols, -128, cols);
  k->gemm_i8p (y, 2, w, 2, cols, one, NULL, x, cols, cols, xscale, sums, 1, 2);
  for (t = 0; t < 2; t++)
    if (y[2 * t] != (float) (127 * sums[t]) || y[2 * t + 1] != (float) (-128 * (gint64) sums[t]))
      check_fail ("expected %.9g %.9g, found %.9g %.9g", (float) (127 * sums[t]), (float) (-128 * (gint64) sums[t]),
          y[2 * t], y[2 * t + 1]);
}

/* By hand: rows [.5, -1, .25] and [0, 0, 2] are [64, -127, 32] / 127 and [0, 0, 127] * 2 / 127 (63.5 and 31.75 are
 * rounded); x = [1, -.5, .25] is [127, -64, 32] / 127. Sums 127 * 64 + 64 * 127 + 32 * 32 = 17280 and 4064. */
static void
worked_i8p (const TernKernels *k)
{
  static const float w[2][3] = { { 0.5f, -1, 0.25f }, { 0, 0, 2 } }, x[3] = { 1, -0.5f, 0.25f }, bias[2] = { 10, -1 };
  guint8 panel[TERN_PANEL_ROWS * TERN_I8P_COLS];
  float scale[TERN_PANEL_ROWS], xscale, y[2];
  gint8 q[TERN_T2_COLS];
  gint32 sum;

  check_case ("gemm_i8p by hand");
  k->pack_i8p (panel, scale, w[0], 3, 1, 2, 3);
  if (panel[0] != 192 || panel[1] != 1 || panel[2] != 160 || panel[3] != 128 || panel[6] != 255 || scale[2] != 0)
    check_fail ("panel %u %u %u %u, %u, scale %g", panel[0], panel[1], panel[2], panel[3], panel[6], scale[2]);
  k->quant_i8 (q, &xscale, &sum, x, 3);
  k->gemm_i8p (y, 2, panel, 2, TERN_I8P_COLS, scale, bias, q, TERN_T2_COLS, TERN_I8P_COLS, &xscale, &sum, 1, 1);
  if (fabsf (y[0] - (float) (10 + 17280 / 16129.0)) > 1e-6f || fabsf (y[1] - (float) (-1 + 8128 / 16129.0)) > 1e-7f)
    check_fail ("found %.9g %.9g", y[0], y[1]);
}

static void
gemm_i8p_truth (const TernKernels *ref)
{
  worked_i8p (ref);
  widest_i8p (ref);
  all_products_i8p (true_product_i8p, ref, ref);
}

static void
gemm_i8p_check (const TernKernels *ref, const TernKernels *k)
{
  worked_i8p (k);
  widest_i8p (k);
  all_products_i8p (same_product_i8p, ref, k);
}

static void
bf16_floats (guint16 *h, float *f, gsize n)
{
  gsize i;

  check_floats (f, n, 1e4f);
  check_poison (f, n);
  for (i = 0; i < n; i++) {
    h[i] = tern_f32_to_bf16 (f[i]);
    f[i] = tern_bf16_to_f32 (h[i]);
  }
}

/* Within rounding errors of sums in float, and within what subnormals that count as zero would have come to. */
static void
check_bf16p (const Shape *s, const float *got, const guint16 *w, const float *bias, const float *x)
{
  gsize r, t, c;

  for (t = 0; t < s->n; t++)
    for (r = 0; r < s->rows; r++) {
      double sum = bias ? bias[r] : 0, size = fabs (sum), lost = 0x1p-126;
      float y = got[t * s->ldy + r];

      for (c = 0; c < s->cols; c++) {
        double a = tern_bf16_to_f32 (w[r / 16 * 16 * s->cols + c / 2 * 32 + r % 16 * 2 + c % 2]), b = x[t * s->ldx + c];

        sum += a * b;
        size += fabs (a * b);
        lost += 0x1p-126 * (1 + fabs (a) + fabs (b));
      }
      if (isfinite (sum) ? !(fabs (y - sum) <= 1e-5 * size + lost) : isfinite (y))
        check_fail ("token %zu row %zu: expected %g, found %g", t, r, sum, y);
    }
  check_guards (got, s->n, s->rows, s->ldy);
}

static void
bf16p_shape (Shape *s, const TernKernels *k)
{
  gsize nx = check_extent (s->n, s->cols, s->ldx), nw = tern_bf16p_bytes (s->rows, s->cols) / 2;
  g_autofree float *floats = g_new (float, nw + 1);
  guint16 *w, *x;
  float *values, *y, *alone, *bias = NULL;
  guint t;

  check_shape_case ("gemm_bf16p", s);
  w = check_buffer (SLOT_W, nw * 2);
  x = check_buffer (SLOT_X, nx * 2);
  values = check_buffer (SLOT_X2, nx * sizeof (float));
  y = check_new_y (s, SLOT_Y);
  bf16_floats (w, floats, nw);
  bf16_floats (x, values, nx);
  if (check_below (2)) {
    bias = check_buffer (SLOT_B, s->rows * sizeof (float));
    check_floats (bias, s->rows, 10);
  }
  k->gemm_bf16p (y, s->ldy, w, s->rows, s->cols, bias, x, s->ldx, s->n);
  check_bf16p (s, y, w, bias, values);
  t = check_below (s->n);
  alone = check_buffer (SLOT_Y2, s->rows * sizeof (float));
  k->gemm_bf16p (alone, s->ldy, w, s->rows, s->cols, bias, x + t * s->ldx, s->ldx, 1);
  check_equal (alone, y + t * s->ldy, s->rows);
}

static void
gemm_bf16p_check (const TernKernels *ref, const TernKernels *k)
{
  static const guint cols[] = { 0, 32, 64, 96, 512, 1056 }, rows[] = { 1, 9, 16, 17, 32, 47, 64, 65 };
  guint c, r, n;

  for (c = 0; c < G_N_ELEMENTS (cols); c++)
    for (n = 1; n <= 40; n++)
      for (r = check_below (4); r < G_N_ELEMENTS (rows); r += 1 + check_below (6)) {
        Shape s = { rows[r], cols[c], n };

        if (check_leaves_out ())
          continue;
        s.ldy = s.rows + check_below (9);
        s.ldx = s.cols + check_below (9);
        bf16p_shape (&s, k);
      }
}

/* Exact in bf16: rows [1.5, -2, .25], [0, 4, 0] and x = [2, .5, -8]: 3 - 1 - 2 = 0, and 2. */
static void
gemm_bf16p_truth (const TernKernels *ref)
{
  static const float w[2][3] = { { 1.5f, -2, 0.25f }, { 0, 4, 0 } }, x[3] = { 2, 0.5f, -8 }, bias[2] = { 1, -1 };
  guint16 panel[TERN_PANEL_ROWS * TERN_BF16P_COLS], h[TERN_BF16P_COLS];
  float y[2];

  check_case ("gemm_bf16p by hand");
  ref->pack_bf16p (panel, w[0], 3, 1, 2, 3);
  ref->pack_bf16 (h, x, 3);
  ref->gemm_bf16p (y, 2, panel, 2, TERN_BF16P_COLS, bias, h, TERN_BF16P_COLS, 1);
  if (y[0] != 1 || y[1] != 1)
    check_fail ("expected 1 1, found %g %g", y[0], y[1]);
  gemm_bf16p_check (ref, ref);
}

typedef struct {
  I8p i8p;
  float *y, *src;
} Bench;

static void
time_i8p (const TernKernels *k, void *data)
{
  Bench *b = data;

  run_i8p (&b->i8p, b->y, k);
}

static void
time_bf16p (const TernKernels *k, void *data)
{
  Bench *b = data;
  const I8p *p = &b->i8p;

  k->gemm_bf16p (b->y, p->rows, (const guint16 *) p->w, p->rows, p->cols, NULL, (const guint16 *) p->x, p->cols, p->n);
}

static void
bench_product (const char *name, BenchRun run, guint rows, guint cols, guint n, guint group)
{
  I8p p = { rows, cols, n, group ? group : cols, rows, cols, group ? cols / group : 1 };
  g_autofree char *what = g_strdup_printf ("%s n=%u rows=%u cols=%u%s", name, n, rows, cols, group ? " grouped" : "");
  Bench b;
  gsize i;

  b.y = g_new (float, (gsize) rows * n);
  p.w = g_malloc (tern_bf16p_bytes (rows, cols));
  memset (p.w, 0x11, tern_bf16p_bytes (rows, cols));
  p.x = g_malloc ((gsize) n * cols * 2);
  memset (p.x, 0x11, (gsize) n * cols * 2);
  p.wscale = g_new0 (float, rows);
  p.xscale = g_new (float, n * p.ldg);
  p.xsum = g_new0 (gint32, n * p.ldg);
  for (i = 0; i < n * p.ldg; i++)
    p.xscale[i] = 1;
  b.i8p = p;
  check_bench (what, run, &b, (double) rows * cols * n);
  g_free (b.y);
  g_free (p.w);
  g_free (p.x);
  g_free (p.wscale);
  g_free (p.xscale);
  g_free (p.xsum);
}

/* G/s: multiply-adds, as of "probe". */
static void
bench_products (const char *name, BenchRun run, guint group)
{
  bench_product (name, run, 768, 768, 196, group);
  bench_product (name, run, 3072, 768, 196, group);
  bench_product (name, run, 768, 3072, 196, group);
  bench_product (name, run, 768, 768, 1024, group);
  bench_product (name, run, 3072, 768, 1024, group);
  bench_product (name, run, 768, 3072, 1024, group);
  bench_product (name, run, 64, 256, 256, group);       /* attention: a block of probabilities times values, */
  bench_product (name, run, 256, 64, 256, group);       /* and of queries times keys */
  bench_product (name, run, 1024, 1024, 8, group);
  bench_product (name, run, 1024, 1024, 1, group);
}

static void
gemm_i8p_bench (void)
{
  bench_products ("gemm_i8p", time_i8p, 0);
  bench_product ("gemm_i8p", time_i8p, 768, 768, 196, 128);
  bench_product ("gemm_i8p", time_i8p, 768, 3072, 1024, 128);
}

static void gemm_bf16p_bench (void) { bench_products ("gemm_bf16p", time_bf16p, 0); }

/* Sixteen rows of 768 columns, of either order. */
static void
time_pack_i8p (const TernKernels *k, void *data)
{
  Panel *p = data;
  static guint8 panel[TERN_PANEL_ROWS * 768 * 2];
  float scale[TERN_PANEL_ROWS];

  k->pack_i8p (panel, scale, p->src, p->row, p->col, TERN_PANEL_ROWS, 768);
}

static void
time_pack_bf16p (const TernKernels *k, void *data)
{
  Panel *p = data;
  static guint16 panel[TERN_PANEL_ROWS * 768];

  k->pack_bf16p (panel, p->src, p->row, p->col, TERN_PANEL_ROWS, 768);
}

static void
bench_pack (const char *name, BenchRun run)
{
  g_autofree float *src = g_new (float, 768 * 768);
  g_autofree char *rows = g_strdup_printf ("%s 16 x 768, rows", name);
  g_autofree char *cols = g_strdup_printf ("%s 16 x 768, columns", name);
  Panel p = { TERN_PANEL_ROWS, 768, 768, 1, src };
  guint i;

  for (i = 0; i < 768 * 768; i++)
    src[i] = check_uniform ();
  check_bench (rows, run, &p, TERN_PANEL_ROWS * 768);
  p.row = 1;
  p.col = 768;
  check_bench (cols, run, &p, TERN_PANEL_ROWS * 768);
}

static void pack_i8p_bench (void) { bench_pack ("pack_i8p", time_pack_i8p); }
static void pack_bf16p_bench (void) { bench_pack ("pack_bf16p", time_pack_bf16p); }

const Kernel packed_kernels[] = {
  { "gemm_i8p", gemm_i8p_truth, gemm_i8p_check, gemm_i8p_bench },
  { "gemm_bf16p", gemm_bf16p_truth, gemm_bf16p_check, gemm_bf16p_bench },
  { "pack_i8p", pack_i8p_truth, pack_i8p_check, pack_i8p_bench },
  { "pack_bf16p", pack_bf16p_truth, pack_bf16p_check, pack_bf16p_bench },
  { "pack_bf16", bf16_truth, bf16_check, NULL },
  { "softmax_bf16", softmax_bf16_truth, softmax_bf16_check, NULL },
  { "softmax_i8", softmax_i8_truth, softmax_i8_check, NULL },
  { NULL }
};
