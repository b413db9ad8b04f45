/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* LFM2's gated short convolution: B, C, x = W_in h; z = B * x; y = W_out (C * conv (z)), conv causal and depthwise. */
#include <string.h>

#include "engine/llm/blocks/blocks.h"

typedef struct {
  TernBlock parent;
  TernShortconvParams params;
  TernLinear in;                /* [3 width, width] */
  TernLinear out;               /* [width, width] */
  float *taps;                  /* [width, taps], the last one for the current token */
} Shortconv;

static void
shortconv_free (TernBlock *block)
{
  tern_mem_free (((Shortconv *) block)->taps);
  g_free (block);
}

static void
shortconv_linears (TernBlock *block, TernLinearFunc func, void *data)
{
  Shortconv *self = (Shortconv *) block;

  func (&self->in, data);
  func (&self->out, data);
}

static gsize
shortconv_owned (const TernBlock *block)
{
  const Shortconv *self = (const Shortconv *) block;

  return (gsize) self->params.width * self->params.taps * sizeof (float);
}

/* The last taps - 1 values of z, oldest first. */
static guint
shortconv_state (const TernBlock *block, TernStatePart *parts)
{
  const Shortconv *self = (const Shortconv *) block;

  parts[0] = (TernStatePart) { "conv", self->params.taps - 1, self->params.width };
  return 1;
}

static void
take_work (const Shortconv *self, TernArena *arena, guint n, float **bcx, float **y)
{
  *bcx = tern_plan_take (arena, n, 3 * (gsize) self->params.width, sizeof (float));
  *y = tern_plan_take (arena, n, self->params.width, sizeof (float));
}

static void
shortconv_work (const TernBlock *block, TernArena *arena, guint n, guint context)
{
  float *bcx, *y;

  take_work ((const Shortconv *) block, arena, n, &bcx, &y);
}

typedef struct {
  const Shortconv *self;
  const TernPass *pass;
  const float *bcx;             /* [n, 3, width] */
  float *mixed;                 /* [n, width] */
} Mixing;

/* The rows of segments [begin, end): those of one timeline come one after the other. */
static void
mix_segments (void *data, guint begin, guint end, guint worker)
{
  const Mixing *mixing = data;
  const TernPass *pass = mixing->pass;
  gsize width = mixing->self->params.width, taps = mixing->self->params.taps;

  for (guint s = begin; s < end; s++) {
    const TernPassSegment *segment = &pass->segments[s];

    for (gsize t = segment->first; t < segment->first + segment->segment.n; t++) {
      TernStateStep step = tern_pass_step (pass, segment, t - segment->first, 0);

      if (step.from != step.to)
        memcpy (step.to, step.from, (taps - 1) * width * sizeof (float));
      pass->kernels->shortconv (mixing->mixed + t * width, mixing->bcx + t * 3 * width, step.to, mixing->self->taps,
          width, taps);
    }
  }
}

/* What it looks back at is what it remembers behind the last row. */
static guint
shortconv_before (const TernBlock *block)
{
  return ((const Shortconv *) block)->params.taps - 1;
}

static gboolean
shortconv_eval (const TernBlock *block, TernPass *pass, const float *x, float *y)
{
  const Shortconv *self = (const Shortconv *) block;
  gsize width = self->params.width;
  TernLinearInput input;
  float *bcx, *mixed;
  Mixing mixing;

  take_work (self, &pass->work, pass->n, &bcx, &mixed);
  tern_block_input (pass, &input, x, width);
  if (!tern_block_run (pass, &self->in, NULL, &input, bcx))
    return FALSE;
  mixing = (Mixing) { self, pass, bcx, mixed };
  tern_pool_run (pass->n_segments > 1 ? tern_block_pool (pass, 8 * pass->n * width) : NULL, mix_segments, &mixing,
      pass->n_segments, 1);
  tern_block_input (pass, &input, mixed, width);
  return tern_block_run (pass, &self->out, NULL, &input, y);
}

static const TernBlockClass shortconv_class = {
  .name = "shortconv",
  .free = shortconv_free,
  .linears = shortconv_linears,
  .in_turn = TRUE,
  .rounds = TRUE,
  .owned = shortconv_owned,
  .state = shortconv_state,
  .work = shortconv_work,
  .eval = shortconv_eval,
  .before = shortconv_before,
};

TernBlock *
tern_shortconv_new (const TernBlockSource *source, const TernShortconvParams *params, GError **error)
{
  Shortconv *self = g_new0 (Shortconv, 1);

  self->parent.klass = &shortconv_class;
  self->params = *params;
  if (!tern_block_linear (source, &self->in, "shortconv.in_proj.weight", error)
      || !tern_block_linear (source, &self->out, "shortconv.out_proj.weight", error)
      || !tern_block_vector (source, &self->taps, "shortconv.conv.weight", error)) {
    tern_block_free (&self->parent);
    return NULL;
  }
  return &self->parent;
}
