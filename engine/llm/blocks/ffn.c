/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Gated feed-forward (SwiGLU, arXiv:2002.05202). */
#include "engine/llm/blocks/blocks.h"

typedef struct {
  TernBlock parent;
  TernFfnParams params;
  TernLinear gate, up;          /* [inner, width] */
  TernLinear down;              /* [width, inner] */
} Ffn;

typedef struct {
  const TernKernels *kernels;
  float *gate, *up;             /* [n, inner] */
  gsize inner;
} Gating;

static void
ffn_free (TernBlock *block)
{
  g_free (block);
}

static void
ffn_linears (TernBlock *block, TernLinearFunc func, void *data)
{
  Ffn *self = (Ffn *) block;

  func (&self->gate, data);
  func (&self->up, data);
  func (&self->down, data);
}

static void
take_work (const Ffn *self, TernArena *arena, guint n, float **gate, float **up)
{
  *gate = tern_plan_take (arena, n, self->params.inner, sizeof (float));
  *up = tern_plan_take (arena, n, self->params.inner, sizeof (float));
}

static void
ffn_work (const TernBlock *block, TernArena *arena, guint n, guint context)
{
  float *gate, *up;

  take_work ((const Ffn *) block, arena, n, &gate, &up);
}

static void
gate_rows (void *data, guint begin, guint end, guint worker)
{
  const Gating *gating = data;

  for (gsize t = begin; t < end; t++)
    gating->kernels->silu_mul (gating->gate + t * gating->inner, gating->up + t * gating->inner, gating->inner);
}

static gboolean
ffn_eval (const TernBlock *block, TernPass *pass, void *state, const float *x, float *y)
{
  const Ffn *self = (const Ffn *) block;
  Gating gating = { .kernels = pass->kernels, .inner = self->params.inner };
  TernLinearInput input;

  take_work (self, &pass->work, pass->n, &gating.gate, &gating.up);
  tern_block_input (pass, &input, x, self->params.width);
  if (!tern_block_run (pass, &self->gate, &input, gating.gate)
      || !tern_block_run (pass, &self->up, &input, gating.up))
    return FALSE;
  tern_pool_run (tern_block_pool (pass, 16 * (gsize) pass->n * gating.inner), gate_rows, &gating, pass->n, 1);
  tern_block_input (pass, &input, gating.gate, self->params.inner);
  return tern_block_run (pass, &self->down, &input, y);
}

static const TernBlockClass ffn_class = {
  .name = "ffn",
  .free = ffn_free,
  .linears = ffn_linears,
  .work = ffn_work,
  .eval = ffn_eval,
};

TernBlock *
tern_ffn_new (const TernBlockSource *source, const TernFfnParams *params, GError **error)
{
  Ffn *self = g_new0 (Ffn, 1);

  self->parent.klass = &ffn_class;
  self->params = *params;
  if (!tern_block_linear (source, &self->gate, "ffn_gate.weight", params->width, params->inner, error)
      || !tern_block_linear (source, &self->up, "ffn_up.weight", params->width, params->inner, error)
      || !tern_block_linear (source, &self->down, "ffn_down.weight", params->inner, params->width, error)) {
    tern_block_free (&self->parent);
    return NULL;
  }
  return &self->parent;
}
