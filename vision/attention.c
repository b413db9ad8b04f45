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

static void
attend (const TernVisionState *state, guint head, guint begin, guint rows, float *scores)
{
  const TernVisionLoop *loop = &state->loop;
  const TernVision *vision = state->vision;
  const TernKernels *kernels = vision->kernels;
  guint n = state->n, d = vision->head_dim, i;
  gsize ld = 3 * (gsize) vision->hidden;
  const float *q = loop->x + begin * ld + (gsize) head * d;
  const float *k = loop->x + vision->hidden + (gsize) head * d;
  const float *v = k + vision->hidden;

  kernels->gemm_f32 (scores, n, k, ld, n, d, q, ld, rows, rows > TERN_LINEAR_FEW);
  for (i = 0; i < rows; i++)
    kernels->softmax (scores + (gsize) i * n, n, 1.0f / sqrtf ((float) d));
  kernels->gemm_nn (loop->y + (gsize) begin * vision->hidden + (gsize) head * d, vision->hidden, scores, n, v, ld, rows, n,
      d, FALSE);
}

static guint
blocks_of_rows (const TernVisionState *state)
{
  return (state->n + TERN_ATTENTION_ROWS - 1) / TERN_ATTENTION_ROWS;
}

static void
attend_blocks (void *data, guint begin, guint end, guint worker)
{
  const TernVisionState *state = data;
  float *scores = tern_pool_scratch (state->pool, worker);
  guint blocks = blocks_of_rows (state), item;

  for (item = begin; item < end && !tern_cancel_is_raised (state->cancel); item++) {
    guint row = item % blocks * TERN_ATTENTION_ROWS;

    attend (state, item / blocks, row, MIN (TERN_ATTENTION_ROWS, state->n - row), scores);
  }
}

/* One item is a block of query rows of one head. */
gboolean
tern_vision_loop_attention (TernVisionState *state, TernVisionLoop *loop, float *out, const float *qkv)
{
  const TernVision *vision = state->vision;

  *loop = (TernVisionLoop) { .func = attend_blocks, .items = blocks_of_rows (state) * vision->heads, .grain = 1,
    .work = (guint64) TERN_ATTENTION_ROWS * state->n * (2 * vision->head_dim + TERN_VISION_VALUE_WORK),
    .y = out, .x = qkv };
  return TRUE;
}
