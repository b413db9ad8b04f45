/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/llm/blocks/ssd.h"

#include <math.h>
#include <string.h>

#define CHUNK TERN_SSD_CHUNK
#define CAUSAL 16               /* rows of a product over the tokens before them */

/* A thread's memory for one head of one chunk. */
typedef struct {
  float *high, *low;            /* [CHUNK] a_i in two parts */
  float *dt;                    /* [CHUNK] */
  float *since_start;           /* [CHUNK] exp (a_i) */
  float *to_end;                /* [CHUNK] exp (a_Q - a_j) */
  float *mask;                  /* [n, n] */
  float *x, *y;                 /* [n, channels] side by side: rows of the pass are pages apart */
} Head;

static Head
take_head (TernArena *arena, const TernSsdShape *shape)
{
  Head head;

  head.high = tern_plan_take (arena, CHUNK, sizeof (float), 1);
  head.low = tern_plan_take (arena, CHUNK, sizeof (float), 1);
  head.dt = tern_plan_take (arena, CHUNK, sizeof (float), 1);
  head.since_start = tern_plan_take (arena, CHUNK, sizeof (float), 1);
  head.to_end = tern_plan_take (arena, CHUNK, sizeof (float), 1);
  head.mask = tern_plan_take (arena, CHUNK, CHUNK, sizeof (float));
  head.x = tern_plan_take (arena, CHUNK, shape->channels, sizeof (float));
  head.y = tern_plan_take (arena, CHUNK, shape->channels, sizeof (float));
  return head;
}

gsize
tern_ssd_scratch (const TernSsdShape *shape)
{
  TernArena arena = { 0 };

  take_head (&arena, shape);
  return arena.used;
}

void
tern_ssd_group (const TernKernels *kernels, const TernSsdShape *shape, const TernSsdChunk *chunk, guint group)
{
  gsize n = chunk->n, states = shape->states;
  const float *b = chunk->b + group * states;
  float *turned = chunk->turned + group * states * n, *rows = chunk->rows + group * states * n;

  for (gsize i = 0; i < n; i++)
    memcpy (rows + i * states, chunk->c + i * chunk->ld + group * states, states * sizeof *rows);
  kernels->gemm_f32 (chunk->products + group * n * n, n, b, chunk->ld, n, states, rows, states, n, TRUE);
  for (gsize j = 0; j < n; j++)
    for (gsize s = 0; s < states; s++)
      turned[s * n + j] = b[j * chunk->ld + s];
}

/* Sums of the exponents, and their exponentials. In doubles, and kept in two floats: a difference of large sums is as exact as
 * one of small ones. */
static void
sum_steps (const Head *self, const TernKernels *kernels, const TernSsdChunk *chunk, guint head, float a)
{
  guint n = chunk->n;
  double sum = 0;

  for (guint i = 0; i < n; i++) {
    float dt = chunk->dt[i * chunk->lddt + head];

    self->dt[i] = dt;
    sum += MAX (dt * a, TERN_SSD_FORGOTTEN);
    self->high[i] = (float) sum;
    self->low[i] = (float) (sum - self->high[i]);
    self->since_start[i] = self->high[i];
  }
  for (guint j = 0; j < n; j++)
    self->to_end[j] = (self->high[n - 1] - self->high[j]) + (self->low[n - 1] - self->low[j]);
  kernels->exp (self->since_start, n);
  kernels->exp (self->to_end, n);
}

static void
scale_rows (float *x, const float *by, gsize n, gsize cols)
{
  for (gsize i = 0; i < n; i++)
    for (gsize c = 0; c < cols; c++)
      x[i * cols + c] *= by[i];
}

void
tern_ssd_head (const TernKernels *kernels, const TernSsdShape *shape, const TernSsdChunk *chunk, guint head, float a, float d,
    float *h, void *scratch)
{
  TernArena arena = { .base = scratch };
  Head self = take_head (&arena, shape);
  gsize n = chunk->n, channels = shape->channels, states = shape->states, group = head / (shape->heads / shape->groups);
  const float *turned = chunk->turned + group * states * n, *rows = chunk->rows + group * states * n;
  float end;

  sum_steps (&self, kernels, chunk, head, a);
  end = self.since_start[n - 1];
  kernels->ssd_mask (self.mask, n, chunk->products + group * n * n, n, self.high, self.low, self.dt, n);
  for (gsize i = 0; i < n; i++)
    self.mask[i * n + i] += d;
  for (gsize i = 0; i < n; i++)
    memcpy (self.x + i * channels, chunk->x + i * chunk->ld + head * channels, channels * sizeof (float));

  kernels->gemm_nn (self.y, channels, rows, states, h, channels, n, states, channels, FALSE);
  scale_rows (self.y, self.since_start, n, channels);
  for (gsize i = 0; i < n; i += CAUSAL) /* what is behind a row's own tokens is 0 */
    kernels->gemm_nn (self.y + i * channels, channels, self.mask + i * n, n, self.x, channels, MIN (CAUSAL, n - i),
        MIN (i + CAUSAL, n), channels, TRUE);
  for (gsize i = 0; i < n; i++)
    memcpy (chunk->y + i * chunk->ldy + head * channels, self.y + i * channels, channels * sizeof (float));

  for (gsize j = 0; j < n; j++)
    self.to_end[j] *= self.dt[j];
  scale_rows (self.x, self.to_end, n, channels);
  for (gsize i = 0; i < states * channels; i++)
    h[i] *= end;
  kernels->gemm_nn (h, channels, turned, n, self.x, channels, states, n, channels, TRUE);
}
