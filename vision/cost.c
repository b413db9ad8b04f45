/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vision/cost.h"

#include "vision/packed.h"

/* A matrix that is packed counts as what it is packed to; bf16 at twice the speed of floats where there are instructions for
 * it. */
static void
add (TernCost *cost, const TernVisionMatrix *matrix, double n)
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
    cost->f32 += work * (matrix->packed->kernels->bf16_units ? 0.5 : 1);
}

static void
add_sub_image (TernVision *vision, TernVisionPacked *packed, const TernSubImage *sub, TernCost *cost)
{
  double n = (double) (sub->width / vision->info.patch) * (sub->height / vision->info.patch);
  gboolean halves = vision->packed && vision->kernels->bf16_units;
  TernVisionMatrix matrix;

  for (guint i = 0; tern_vision_matrix (vision, packed, i, &matrix); i++)
    add (cost, &matrix, i > vision->n_blocks * TERN_VISION_BLOCK_MATRICES ? sub->n_tokens : n);
  cost->f32 += 2 * n * n * vision->hidden * vision->n_blocks * (halves ? 0.5 : 1);
}

void
tern_vision_cost (TernVision *vision, const TernVisionPlan *plan, TernCost *cost)
{
  g_autofree TernVitPacked *blocks = g_new0 (TernVitPacked, vision->n_blocks);
  TernVisionPacked none = { .blocks = blocks };

  for (guint i = 0; i < plan->n; i++)
    add_sub_image (vision, vision->packed ? vision->packed : &none, &plan->sub[i], cost);
}
