/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Full attention over the patches of one sub-image: softmax(Q K^T / sqrt(d)) V (arXiv:1706.03762 eq. 1), a block of query
 * rows of one head at a time, so that its scores stay in the cache. */
#include "vision/internal.h"

#include <math.h>

typedef struct {
  TernVisionState *state;
  const float *qkv;             /* [n, 3 * hidden] */
  float *out;                   /* [n, hidden] */
  guint blocks;                 /* of query rows in a head */
} Job;

gsize
tern_attention_scratch (guint n)
{
  return (gsize) TERN_ATTENTION_ROWS * n * sizeof (float);
}

static void
attend (const Job *job, guint head, guint begin, guint rows, float *scores)
{
  const TernVisionState *state = job->state;
  const TernVision *vision = state->vision;
  const TernKernels *kernels = vision->kernels;
  guint n = state->n, d = vision->head_dim, i;
  gsize ld = 3 * (gsize) vision->hidden;
  const float *q = job->qkv + begin * ld + (gsize) head * d;
  const float *k = job->qkv + vision->hidden + (gsize) head * d;
  const float *v = k + vision->hidden;

  kernels->gemm_f32 (scores, n, k, ld, n, d, q, ld, rows, rows > TERN_LINEAR_FEW);
  for (i = 0; i < rows; i++)
    kernels->softmax (scores + (gsize) i * n, n, 1.0f / sqrtf ((float) d));
  kernels->gemm_nn (job->out + (gsize) begin * vision->hidden + (gsize) head * d, vision->hidden, scores, n, v, ld, rows, n,
      d, FALSE);
}

static void
attend_blocks (void *data, guint begin, guint end, guint worker)
{
  const Job *job = data;
  float *scores = tern_pool_scratch (job->state->pool, worker);
  guint item;

  for (item = begin; item < end && !tern_cancel_is_raised (job->state->cancel); item++) {
    guint row = item % job->blocks * TERN_ATTENTION_ROWS;

    attend (job, item / job->blocks, row, MIN (TERN_ATTENTION_ROWS, job->state->n - row), scores);
  }
}

void
tern_vision_attention (TernVisionState *state, const float *qkv, float *out)
{
  Job job = { state, qkv, out, (state->n + TERN_ATTENTION_ROWS - 1) / TERN_ATTENTION_ROWS };

  tern_pool_run (state->pool, attend_blocks, &job, job.blocks * state->vision->heads, 1);
}
