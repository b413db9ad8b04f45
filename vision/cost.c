/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vision/cost.h"

#include "vision/internal.h"

static void
add (TernCost *cost, const TernLinear *linear, double n)
{
  if (linear->rows)
    tern_cost_add_linear (cost, linear, 1, n);
}

static void
add_sub_image (const TernVision *vision, const TernSubImage *sub, TernCost *cost)
{
  double n = (double) (sub->width / vision->info.patch) * (sub->height / vision->info.patch);

  add (cost, &vision->patch, n);
  for (guint i = 0; i < vision->n_blocks; i++) {
    const TernVitBlock *block = &vision->blocks[i];

    add (cost, &block->q, n);
    add (cost, &block->k, n);
    add (cost, &block->v, n);
    add (cost, &block->out, n);
    add (cost, &block->up, n);
    add (cost, &block->down, n);
    cost->f32 += 2 * n * n * vision->hidden;
  }
  for (guint i = 0; i < TERN_PROJECTOR_LINEARS; i++)
    add (cost, &vision->mm[i], sub->n_tokens);
}

void
tern_vision_cost (const TernVision *vision, const TernVisionPlan *plan, TernCost *cost)
{
  for (guint i = 0; i < plan->n; i++)
    add_sub_image (vision, &plan->sub[i], cost);
}
