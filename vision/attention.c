/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Full attention over the patches of one sub-image: softmax(Q K^T / sqrt(d)) V (arXiv:1706.03762 eq. 1), a block of query
 * rows of one head at a time, so that its scores stay in the cache. */
#include "vision/internal.h"

#include <math.h>

gsize
tern_attention_scratch (guint n)
{
  return (gsize) TERN_ATTENTION_ROWS * n * sizeof (float);
}

static guint
blocks_of_rows (const TernVisionState *state)
{
  return (tern_vision_rows (state) + TERN_ATTENTION_ROWS - 1) / TERN_ATTENTION_ROWS;
}

TernAttentionBlock
tern_attention_block (const TernVisionState *state, guint item)
{
  guint blocks = blocks_of_rows (state), row = item % blocks * TERN_ATTENTION_ROWS;

  return (TernAttentionBlock) { item / blocks, row, MIN (TERN_ATTENTION_ROWS, tern_vision_rows (state) - row) };
}

void
tern_attention_set_loop (const TernVisionState *state, TernVisionLoop *loop, TernPoolFunc func, float *out)
{
  const TernVision *vision = state->vision;

  *loop = (TernVisionLoop) { .func = func, .items = blocks_of_rows (state) * vision->heads, .grain = 1,
    .work = (guint64) TERN_ATTENTION_ROWS * state->n * (2 * vision->head_dim + TERN_VISION_VALUE_WORK), .y = out };
}

static void
attend (const TernVisionState *state, TernAttentionBlock block, float *scores)
{
  const TernVisionLoop *loop = &state->loop;
  const TernVision *vision = state->vision;
  const TernKernels *kernels = vision->kernels;
  guint n = state->n, d = vision->head_dim, rows = block.rows, i;
  gsize ld = 3 * (gsize) vision->hidden, ldk = state->reuse ? vision->hidden : ld, column = (gsize) block.head * d;
  const float *q = loop->x + block.row * ld + column;
  const float *k = (state->reuse ? tern_reuse_keys (state) : loop->x + vision->hidden) + column;
  const float *v = state->reuse ? tern_reuse_values (state) + column : k + vision->hidden;

  kernels->gemm_f32 (scores, n, k, ldk, n, d, q, ld, rows, rows > TERN_LINEAR_FEW);
  for (i = 0; i < rows; i++)
    kernels->softmax (scores + (gsize) i * n, n, 1.0f / sqrtf ((float) d));
  kernels->gemm_nn (loop->y + (gsize) block.row * vision->hidden + column, vision->hidden, scores, n, v, ldk, rows, n, d,
      FALSE);
}

static void
attend_blocks (void *data, guint begin, guint end, guint worker)
{
  const TernVisionState *state = data;
  float *scores = tern_pool_scratch (state->pool, worker);
  guint item;

  for (item = begin; item < end && !tern_cancel_is_raised (state->cancel); item++)
    attend (state, tern_attention_block (state, item), scores);
}

gboolean
tern_vision_loop_attention (TernVisionState *state, TernVisionLoop *loop, float *out, const float *qkv)
{
  tern_attention_set_loop (state, loop, attend_blocks, out);
  loop->x = qkv;
  return TRUE;
}
