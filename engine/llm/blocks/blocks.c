/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/llm/blocks/blocks.h"

#include <math.h>

/* Below this a second thread does not pay for its waking (about 5 us). */
#define SPLIT_FLOPS 100000

static void
clear_linear (TernLinear *linear, void *data)
{
  tern_linear_clear (linear);
}

void
tern_block_free (TernBlock *block)
{
  if (!block)
    return;
  block->klass->linears (block, clear_linear, NULL);
  block->klass->free (block);
}

void
tern_block_input (TernPass *pass, TernLinearInput *input, const float *x, guint cols)
{
  tern_linear_input_init (input, pass->input, pass->kernels, pass->mode, x, cols, pass->n, cols);
  input->few = pass->n_decode;
}

gboolean
tern_block_run (TernPass *pass, const TernLinear *linear, const float *bias, TernLinearInput *input, float *y)
{
  return tern_linear_run_until (linear, input, bias, y, linear->rows, pass->pool, pass->cancel);
}

gboolean
tern_block_run_beside (TernPass *pass, const TernLinearProduct *products, guint n, TernLinearInput *input,
    TernPoolFunc then, void *then_data)
{
  return tern_linear_run_beside (products, n, input, then, then_data, pass->pool, pass->cancel);
}

void
tern_block_round (const TernPass *pass, float *x, guint cols)
{
  float most = 1e-5f, scale;

  if (!pass->round)
    return;
  for (guint i = 0; i < cols; i++)
    most = MAX (most, fabsf (x[i]));
  scale = 127 / most;
  for (guint i = 0; i < cols; i++)
    x[i] = nearbyintf (x[i] * scale) / scale;
}

TernPool *
tern_block_pool (const TernPass *pass, gsize flops)
{
  return flops < SPLIT_FLOPS ? NULL : pass->pool;
}
