/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The vision transformer (arXiv:2010.11929, pre-norm): no class token, learned positions.
 *   x = patches W + b + positions;  x += Attn(LN1 x);  x += W2 act(W1 LN2 x);  LN */
#include "vision/internal.h"

#include <string.h>

typedef struct {
  const TernKernels *kernels;
  float *y;
  const float *x;
  const TernNorm *norm;
  guint cols;
  float eps;
  TernActivation activation;
} RowsJob;

static void
norm_rows (void *data, guint begin, guint end, guint worker)
{
  const RowsJob *job = data;
  guint i;

  for (i = begin; i < end; i++)
    job->kernels->layer_norm (job->y + (gsize) i * job->cols, job->x + (gsize) i * job->cols, job->norm->weight,
        job->norm->bias, job->cols, job->eps);
}

void
tern_vision_norm (TernVisionState *state, float *y, const float *x, const TernNorm *norm, guint n, guint cols, float eps)
{
  RowsJob job = { .kernels = state->vision->kernels, .y = y, .x = x, .norm = norm, .cols = cols, .eps = eps };

  if (norm->weight)
    tern_pool_run (state->pool, norm_rows, &job, n, 16);
  else if (y != x)
    memcpy (y, x, (gsize) n * cols * sizeof (float));
}

/* One item is 1,024 values. */
#define ACTIVATION_BLOCK 1024

static void
activate_blocks (void *data, guint begin, guint end, guint worker)
{
  const RowsJob *job = data;

  job->activation (job->kernels, job->y + (gsize) begin * ACTIVATION_BLOCK, (gsize) (end - begin) * ACTIVATION_BLOCK);
}

void
tern_vision_activate (TernVisionState *state, TernActivation activation, float *x, gsize n)
{
  RowsJob job = { .kernels = state->vision->kernels, .y = x, .activation = activation };
  guint blocks = (guint) (n / ACTIVATION_BLOCK);

  tern_pool_run (state->pool, activate_blocks, &job, blocks, 1);
  activation (state->vision->kernels, x + (gsize) blocks * ACTIVATION_BLOCK, n % ACTIVATION_BLOCK);
}

void
tern_vision_linear (TernVisionState *state, const TernLinear *linear, const float *bias, const float *x, guint n, float *y)
{
  TernLinearInput input;

  tern_linear_input_init (&input, state->input, state->vision->kernels, state->activations, x, linear->cols, n,
      linear->cols);
  tern_linear_run (linear, &input, bias, y, linear->rows, state->pool);
}

static void
attention (TernVisionState *state, const TernVitBlock *block)
{
  const TernVision *vision = state->vision;
  guint hidden = vision->hidden;
  gsize ld = 3 * (gsize) hidden;
  float *qkv = state->wide;
  TernLinearInput input;

  tern_vision_norm (state, state->norm, state->x, &block->ln1, state->n, hidden, vision->eps);
  tern_linear_input_init (&input, state->input, vision->kernels, state->activations, state->norm, hidden, state->n, hidden);
  tern_linear_run (&block->q, &input, block->q_bias, qkv, ld, state->pool);
  if (!block->fused) {
    tern_linear_run (&block->k, &input, block->k_bias, qkv + hidden, ld, state->pool);
    tern_linear_run (&block->v, &input, block->v_bias, qkv + 2 * hidden, ld, state->pool);
  }
  tern_vision_attention (state, qkv, state->mid);
  tern_vision_linear (state, &block->out, block->out_bias, state->mid, state->n, state->norm);
  vision->kernels->add (state->x, state->norm, (gsize) state->n * hidden);
}

static void
feed_forward_up (TernVisionState *state, const TernVitBlock *block)
{
  const TernVision *vision = state->vision;

  tern_vision_norm (state, state->norm, state->x, &block->ln2, state->n, vision->hidden, vision->eps);
  tern_vision_linear (state, &block->up, block->up_bias, state->norm, state->n, state->wide);
}

static void
feed_forward_down (TernVisionState *state, const TernVitBlock *block)
{
  const TernVision *vision = state->vision;

  tern_vision_activate (state, vision->activation, state->wide, (gsize) state->n * vision->ffn);
  tern_vision_linear (state, &block->down, block->down_bias, state->wide, state->n, state->mid);
  vision->kernels->add (state->x, state->mid, (gsize) state->n * vision->hidden);
}

static void
embed (TernVisionState *state)
{
  const TernVision *vision = state->vision;
  gsize values = (gsize) state->n * vision->hidden;

  tern_vision_gather_patches (state);
  tern_vision_linear (state, &vision->patch, vision->patch_bias, state->wide, state->n, state->embd);
  vision->kernels->add (state->embd, tern_vision_positions (state), values);
  memcpy (state->x, state->embd, values * sizeof (float));
}

gboolean
tern_vision_transform (TernVisionState *state, TernCancel *cancel)
{
  const TernVision *vision = state->vision;
  guint i;

  embed (state);
  for (i = 0; i < vision->n_blocks; i++) {
    const TernVitBlock *block = &vision->blocks[i];

    /* A large model's layer takes a good part of a second on one core: look thrice in each. */
    if (tern_cancel_is_raised (cancel))
      return FALSE;
    attention (state, block);
    if (tern_cancel_is_raised (cancel))
      return FALSE;
    feed_forward_up (state, block);
    if (tern_cancel_is_raised (cancel))
      return FALSE;
    feed_forward_down (state, block);
  }
  tern_vision_norm (state, state->x, state->x, &vision->post_ln, state->n, vision->hidden, vision->eps);
  return !tern_cancel_is_raised (cancel);
}
