/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vision/cost.h"

#include "vision/packed.h"

static void
add_bf16 (TernCost *cost, const TernVision *vision, double work)
{
  if (vision->kernels->bf16_units)
    cost->bf16 += work;
  else
    cost->f32 += work;
}

/* A matrix that is packed counts as what it is packed to. */
static void
add (TernCost *cost, const TernVision *vision, const TernVisionMatrix *matrix, double n)
{
  double work = (double) matrix->rows * matrix->linear->cols * n;

  if (matrix->packed->type == TERN_PACKED_NONE) {
    tern_cost_add_linear (cost, matrix->linear, (double) matrix->rows / matrix->linear->rows, n);
    return;
  }
  cost->bytes += tern_packed_bytes (matrix->packed);
  if (matrix->packed->type == TERN_PACKED_I8)
    cost->i8 += work;
  else
    add_bf16 (cost, vision, work);
}

static void
add_sub_image (TernVision *vision, TernVisionPacked *packed, const TernSubImage *sub, TernCost *cost)
{
  double keys, n = (double) (sub->width / vision->info.patch) * (sub->height / vision->info.patch);
  TernVisionMatrix matrix;

  for (guint i = 0; tern_vision_matrix (vision, packed, i, &matrix); i++)
    add (cost, vision, &matrix, i > vision->n_blocks * TERN_VISION_BLOCK_MATRICES ? sub->n_tokens : n);
  keys = 2 * n * n * vision->hidden * vision->n_blocks;
  if (!vision->packed)
    cost->f32 += keys;
  else if (vision->packed->int8_attention)
    cost->i8 += keys;
  else
    add_bf16 (cost, vision, keys);
}

void
tern_vision_cost (TernVision *vision, const TernVisionPlan *plan, TernCost *cost)
{
  g_autofree TernVitPacked *blocks = g_new0 (TernVitPacked, vision->n_blocks);
  TernVisionPacked none = { .blocks = blocks };

  for (guint i = 0; i < plan->n; i++)
    add_sub_image (vision, vision->packed ? vision->packed : &none, &plan->sub[i], cost);
}

/* Multiply-adds of a sub-image of @tokens. */
static guint64
work_of (TernVision *vision, TernVisionPacked *shapes, guint tokens)
{
  guint64 n = (guint64) tokens * vision->info.factor * vision->info.factor, work = 2 * n * n * vision->hidden * vision->n_blocks;
  TernVisionMatrix matrix;

  for (guint i = 0; tern_vision_matrix (vision, shapes, i, &matrix); i++)
    work += (guint64) matrix.rows * matrix.linear->cols * (i > vision->n_blocks * TERN_VISION_BLOCK_MATRICES ? tokens : n);
  return work;
}

guint
tern_vision_small_tokens (TernVision *vision)
{
  g_autofree TernVitPacked *blocks = g_new0 (TernVitPacked, vision->n_blocks);
  TernVisionPacked none = { .blocks = blocks };
  guint tokens = 0;

  while (tokens < vision->info.max_tokens && work_of (vision, &none, tokens + 1) <= TERN_VISION_SLICE)
    tokens++;
  return tokens < vision->info.min_tokens ? 0 : tokens;
}
