/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What other weights would make of what a tower's matrices put out. The same small picture goes through the float path that
 * decides what runs in int8 (choose.c): where a few columns of an input are hundreds of times the others, weights beside them that
 * are rounded by the largest of their block are wrong by more than what the matrix says. */
#include "vision/packed.h"

#include <math.h>

#include "engine/weights/quantize.h"

#define LANES 8

/* One matrix: the errors of its rows. */
typedef struct {
  const TernVisionLoop *loop;
  const TernTypeInfo *type;     /* that its rows are rounded to */
  guint8 *scratch;              /* [worker] of scratch_bytes */
  gsize scratch_bytes;
  double *wrong, *power;        /* [rows] */
} Rounding;

typedef struct {
  TernPool *pool;
  guint threads;
  TernVisionTypeFunc type_of;
  TernVisionErrorFunc func;
  void *data;
} Rounds;

/* Of @n floats; several sums side by side, which the compiler makes vectors of. */
static float
dot (const float *a, const float *b, guint n)
{
  float sums[LANES] = { 0 }, sum = 0;
  guint i = 0;

  for (; i + LANES <= n; i += LANES)
    for (guint j = 0; j < LANES; j++)
      sums[j] += a[i + j] * b[i + j];
  for (; i < n; i++)
    sum += a[i] * b[i];
  for (guint j = 0; j < LANES; j++)
    sum += sums[j];
  return sum;
}

/* Others are refused when they are to be written. */
static gboolean
is_quantizable (const float *x, guint n)
{
  for (guint i = 0; i < n; i++)
    if (!(fabsf (x[i]) <= TERN_QUANTIZE_MAX))
      return FALSE;
  return TRUE;
}

static void
round_rows (void *data, guint begin, guint end, guint worker)
{
  const Rounding *rounding = data;
  const TernVisionLoop *loop = rounding->loop;
  const TernLinear *linear = loop->product.linear;
  const TernLinearInput *x = &loop->input;
  float *row = (float *) (rounding->scratch + worker * rounding->scratch_bytes), *off = row + linear->cols;
  guint8 *blocks = (guint8 *) (off + linear->cols);

  for (guint r = begin; r < end; r++) {
    float bias = loop->product.bias ? loop->product.bias[r] : 0;

    tern_type_rows_to_f32 (linear->type, row, linear->data + (gsize) r * tern_linear_row_bytes (linear), 1, linear->cols, NULL);
    rounding->wrong[r] = rounding->power[r] = 0;
    if (!is_quantizable (row, linear->cols))
      continue;
    tern_quantizer (rounding->type->type) (blocks, row, linear->cols);
    tern_type_rows_to_f32 (rounding->type, off, blocks, 1, linear->cols, NULL);
    for (guint i = 0; i < linear->cols; i++)
      off[i] = (off[i] - row[i]) * linear->factor;
    for (guint t = 0; t < x->n; t++) {
      double wrong = dot (off, x->x + t * x->ldx, linear->cols), value = loop->product.y[t * loop->ldy + r] - bias;

      rounding->wrong[r] += wrong * wrong;
      rounding->power[r] += value * value;
    }
  }
}

static void
round_product (void *data, const TernVisionLoop *loop)
{
  const Rounds *rounds = data;
  const TernLinear *linear = loop->product.linear;
  const TernTypeInfo *type = rounds->type_of (rounds->data, linear->name);
  double wrong = 0, power = 0;
  Rounding rounding = { .loop = loop, .type = type };

  if (!type || linear->rotation || linear->cols % type->block)
    return;
  rounding.scratch_bytes = 2 * linear->cols * sizeof (float) + tern_type_row_bytes (type, linear->cols);
  rounding.scratch_bytes = (rounding.scratch_bytes + 63) / 64 * 64;
  rounding.scratch = g_malloc (rounds->threads * rounding.scratch_bytes);
  rounding.wrong = g_new (double, linear->rows);
  rounding.power = g_new (double, linear->rows);
  tern_pool_run (rounds->pool, round_rows, &rounding, linear->rows, 8);
  for (guint r = 0; r < linear->rows; r++) {
    wrong += rounding.wrong[r];
    power += rounding.power[r];
  }
  g_free (rounding.scratch);
  g_free (rounding.wrong);
  g_free (rounding.power);
  rounds->func (rounds->data, linear->name, wrong, power);
}

gboolean
tern_vision_round (TernVision *vision, TernPool *pool, TernVisionTypeFunc type_of, TernVisionErrorFunc func, void *data,
    GError **error)
{
  Rounds rounds = { pool, tern_pool_threads (pool), type_of, func, data };
  g_autofree float *tokens = g_new (float, tern_vision_tried_values (vision));

  return tern_vision_try (vision, NULL, pool, round_product, &rounds, tokens, error);
}
