/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/weights/linear-binary.h"

#include <math.h>

#include "tern/error.h"
#include "engine/base/mem.h"
#include "engine/weights/linear-steps.h"
#include "engine/weights/linear-ternary.h"

/* A pass over all rows of a matrix, as floats. */
typedef struct {
  const TernLinear *linear;
  float *floats;                /* a row for each worker */
  double *sums, *magnitudes;    /* [rows] */
  gint zeros;                   /* atomic: 1 + a row with a 0 or what is not finite, 0: none was found */
} Scan;

static float *
read_row (const Scan *scan, guint row, guint worker)
{
  const TernLinear *linear = scan->linear;
  float *x = scan->floats + (gsize) worker * linear->cols;

  tern_type_rows_to_f32 (linear->type, x, linear->data + row * tern_linear_row_bytes (linear), 1, linear->cols, linear->tail);
  return x;
}

static void
sum_rows (void *data, guint begin, guint end, guint worker)
{
  const Scan *scan = data;

  for (guint row = begin; row < end; row++) {
    const float *x = read_row (scan, row, worker);

    scan->sums[row] = scan->magnitudes[row] = 0;
    for (guint c = 0; c < scan->linear->cols; c++) {
      scan->sums[row] += x[c];
      scan->magnitudes[row] += fabsf (x[c]);
    }
  }
}

static void
find_zeros (void *data, guint begin, guint end, guint worker)
{
  Scan *scan = data;

  for (guint row = begin; row < end && !g_atomic_int_get (&scan->zeros); row++) {
    const float *x = read_row (scan, row, worker);
    guint c;

    for (c = 0; c < scan->linear->cols && x[c] != 0 && isfinite (x[c]); c++);
    if (c < scan->linear->cols)
      g_atomic_int_set (&scan->zeros, 1 + (gint) row);
  }
}

static gboolean
run_scan (Scan *scan, TernPoolFunc func, TernPool *pool, GError **error)
{
  const TernLinear *linear = scan->linear;
  gsize threads = pool ? tern_pool_threads (pool) : 1;

  scan->floats = tern_mem_alloc (threads * linear->cols * sizeof (float), linear->name, error);
  if (!scan->floats)
    return FALSE;
  tern_pool_run (pool, func, scan, linear->rows, 1);
  tern_mem_free (scan->floats);
  return TRUE;
}

gboolean
tern_linear_measure_binary (const TernLinear *linear, TernPool *pool, TernBinaryScale *scale, GError **error)
{
  Scan scan = { linear };
  double sum = 0, magnitude = 0, n = (double) linear->rows * linear->cols;
  gboolean ok;

  scan.sums = tern_mem_alloc (2 * linear->rows * sizeof (double), linear->name, error);
  if (!scan.sums)
    return FALSE;
  scan.magnitudes = scan.sums + linear->rows;
  ok = run_scan (&scan, sum_rows, pool, error);
  for (guint row = 0; ok && row < linear->rows; row++) {
    sum += scan.sums[row];
    magnitude += scan.magnitudes[row];
  }
  tern_mem_free (scan.sums);
  *scale = (TernBinaryScale) { (float) (sum / n), (float) (magnitude / n) };
  if (!ok || isfinite (scale->magnitude))
    return ok;
  g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "tensor %s: expected finite values to take the signs of, found a mean "
      "magnitude of %g", linear->name, scale->magnitude);
  return FALSE;
}

void
tern_linear_pack_binary (guint8 *row, const float *x, guint n, float mean)
{
  for (guint first = 0; first < n; first += STEP_COLS) {
    guint32 digits = 0;

    for (guint c = 0; c < STEP_COLS; c++) {
      guint32 digit = first + c >= n ? 1 : x[first + c] > mean ? 2 : 0;

      digits |= digit << (8 * (c % 4) + 2 * (c / 4));
    }
    put_step (row, first / STEP_COLS, digits);
  }
}

gboolean
tern_linear_make_binary (TernLinear *linear, GError **error)
{
  if (!tern_linear_ternary_fits (linear)) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "tensor %s: expected fewer input features for activations w1a8, "
        "found %u", linear->name, linear->cols);
    return FALSE;
  }
  linear->form = TERN_FORM_T2;
  linear->packable = linear->binary = TRUE;
  linear->parts = 0;
  return TRUE;
}

gboolean
tern_linear_check_binary (const TernLinear *linear, TernPool *pool, GError **error)
{
  Scan scan = { linear };

  if (!run_scan (&scan, find_zeros, pool, error))
    return FALSE;
  if (!scan.zeros)
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "tensor %s: expected -s and +s alone, found another value in row %d",
      linear->name, scan.zeros - 1);
  return FALSE;
}
