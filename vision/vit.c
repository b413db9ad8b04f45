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
  TernCancel *cancel;
} RowsJob;

static void
norm_rows (void *data, guint begin, guint end, guint worker)
{
  const RowsJob *job = data;
  guint i;

  for (i = begin; i < end && !tern_cancel_is_raised (job->cancel); i++)
    job->kernels->layer_norm (job->y + (gsize) i * job->cols, job->x + (gsize) i * job->cols, job->norm->weight,
        job->norm->bias, job->cols, job->eps);
}

void
tern_vision_norm (TernVisionState *state, float *y, const float *x, const TernNorm *norm, guint n, guint cols, float eps)
{
  RowsJob job = { .kernels = state->vision->kernels, .y = y, .x = x, .norm = norm, .cols = cols, .eps = eps,
    .cancel = state->cancel };

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
  guint i;

  for (i = begin; i < end && !tern_cancel_is_raised (job->cancel); i++)
    job->activation (job->kernels, job->y + (gsize) i * ACTIVATION_BLOCK, ACTIVATION_BLOCK);
}

void
tern_vision_activate (TernVisionState *state, TernActivation activation, float *x, gsize n)
{
  RowsJob job = { .kernels = state->vision->kernels, .y = x, .activation = activation,
    .cancel = state->cancel };
  guint blocks = (guint) (n / ACTIVATION_BLOCK);

  tern_pool_run (state->pool, activate_blocks, &job, blocks, 1);
  activation (state->vision->kernels, x + (gsize) blocks * ACTIVATION_BLOCK, n % ACTIVATION_BLOCK);
}

typedef struct {
  const TernLinear *linear;
  const float *bias;
  float *y;
} Product;

/* Products of the same input, a block of rows at a time, each in slices. Once cancelled, what is left is not computed. */
static void
multiply (TernVisionState *state, const Product *products, guint n_products, const float *x, guint n, gsize ldy)
{
  guint cols = products->linear->cols, step, t, k;
  guint64 macs = 0;

  for (k = 0; k < n_products; k++)
    macs += (guint64) products[k].linear->rows * cols;
  step = (guint) MAX (32, MIN (state->macs_at_once / macs, G_MAXUINT) / 32 * 32);
  for (t = 0; t < n && !tern_cancel_is_raised (state->cancel); t += MIN (step, n - t)) {
    TernLinearInput input;

    tern_linear_input_init (&input, state->input, state->vision->kernels, state->activations, x + (gsize) t * cols, cols,
        MIN (step, n - t), cols);
    for (k = 0; k < n_products; k++)
      tern_linear_run_until (products[k].linear, &input, products[k].bias, products[k].y + t * ldy, ldy, state->pool,
          state->cancel);
  }
}

void
tern_vision_linear (TernVisionState *state, const TernLinear *linear, const float *bias, const float *x, guint n, float *y)
{
  Product product = { linear, bias, y };

  multiply (state, &product, 1, x, n, linear->rows);
}

static void
attention (TernVisionState *state, const TernVitBlock *block)
{
  const TernVision *vision = state->vision;
  guint hidden = vision->hidden;
  float *qkv = state->wide;
  const Product products[] = { { &block->q, block->q_bias, qkv }, { &block->k, block->k_bias, qkv + hidden },
    { &block->v, block->v_bias, qkv + 2 * hidden } };

  tern_vision_norm (state, state->norm, state->x, &block->ln1, state->n, hidden, vision->eps);
  multiply (state, products, block->fused ? 1 : 3, state->norm, state->n, 3 * (gsize) hidden);
  tern_vision_attention (state, qkv, state->mid);
  tern_vision_linear (state, &block->out, block->out_bias, state->mid, state->n, state->norm);
  vision->kernels->add (state->x, state->norm, (gsize) state->n * hidden);
}

static void
feed_forward (TernVisionState *state, const TernVitBlock *block)
{
  const TernVision *vision = state->vision;

  tern_vision_norm (state, state->norm, state->x, &block->ln2, state->n, vision->hidden, vision->eps);
  tern_vision_linear (state, &block->up, block->up_bias, state->norm, state->n, state->wide);
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
tern_vision_transform (TernVisionState *state)
{
  const TernVision *vision = state->vision;
  guint i;

  embed (state);
  for (i = 0; i < vision->n_blocks && !tern_cancel_is_raised (state->cancel); i++) {
    attention (state, &vision->blocks[i]);
    feed_forward (state, &vision->blocks[i]);
  }
  tern_vision_norm (state, state->x, state->x, &vision->post_ln, state->n, vision->hidden, vision->eps);
  return !tern_cancel_is_raised (state->cancel);
}
