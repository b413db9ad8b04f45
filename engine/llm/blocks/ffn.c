/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Feed-forward, gated (SwiGLU, arXiv:2002.05202, and the same with other activations) or, in families without ffn_gate, with the
 * activation of up alone (squared ReLU: arXiv:2109.08668). */
#include <math.h>

#include "engine/llm/blocks/blocks.h"

typedef struct {
  TernBlock parent;
  TernFfnParams params;
  TernLinear gate, up;          /* [inner, width]; gate has no rows where there is none */
  TernLinear down;              /* [width, inner] */
  float *gate_bias, *up_bias, *down_bias;       /* as the linears' rows, or NULL */
  float *norm;                  /* [inner] before down, or NULL */
  float *share;                 /* [width] or NULL: rows count sigmoid (share . x) times */
} Ffn;

typedef struct {
  const Ffn *self;
  const TernPass *pass;
  float *gate, *up;             /* [n, inner]; the same without a gate */
} Gating;

static void
ffn_free (TernBlock *block)
{
  Ffn *self = (Ffn *) block;

  tern_mem_free (self->gate_bias);
  tern_mem_free (self->up_bias);
  tern_mem_free (self->down_bias);
  tern_mem_free (self->norm);
  tern_mem_free (self->share);
  g_free (self);
}

static void
ffn_linears (TernBlock *block, TernLinearFunc func, void *data)
{
  Ffn *self = (Ffn *) block;

  if (self->gate.rows)
    func (&self->gate, data);
  func (&self->up, data);
  func (&self->down, data);
}

static gsize
ffn_owned (const TernBlock *block)
{
  const Ffn *self = (const Ffn *) block;
  gsize inner = self->params.inner;

  return ((self->gate_bias ? inner : 0) + (self->up_bias ? inner : 0) + (self->norm ? inner : 0)
      + (self->down_bias ? self->params.width : 0) + (self->share ? self->params.width : 0)) * sizeof (float);
}

static void
take_work (const Ffn *self, TernArena *arena, guint n, float **gate, float **up)
{
  *up = tern_plan_take (arena, n, self->params.inner, sizeof (float));
  *gate = self->gate.rows ? tern_plan_take (arena, n, self->params.inner, sizeof (float)) : *up;
}

static void
ffn_work (const TernBlock *block, TernArena *arena, guint n, guint context)
{
  float *gate, *up;

  take_work ((const Ffn *) block, arena, n, &gate, &up);
}

/* Features [begin, end) of all rows, by whoever computed them. */
static void
gate_features (void *data, guint begin, guint end, guint worker)
{
  const Gating *gating = data;
  const TernFfnParams *p = &gating->self->params;
  const TernKernels *kernels = gating->pass->kernels;

  for (gsize t = 0; t < gating->pass->n; t++) {
    float *gate = gating->gate + t * p->inner + begin;
    const float *up = gating->up + t * p->inner + begin;

    if (gate == up)
      kernels->relu2 (gate, end - begin);
    else if (p->gate == TERN_GATE_RELU2)
      kernels->relu2_mul (gate, up, end - begin);
    else
      kernels->silu_mul (gate, up, end - begin);
  }
}

static void
norm_rows (void *data, guint begin, guint end, guint worker)
{
  const Gating *gating = data;
  const TernFfnParams *p = &gating->self->params;

  for (gsize t = begin; t < end; t++) {
    float *gate = gating->gate + t * p->inner;

    if (gating->self->norm)
      gating->pass->kernels->rms_norm (gate, gate, gating->self->norm, p->inner, p->eps);
    tern_block_round (gating->pass, gate, p->inner);
  }
}

/* What share of a row counts. */
typedef struct {
  const Ffn *self;
  const TernPass *pass;
  const float *x;               /* [n, width] */
  float *y;                     /* [n, width] */
} Sharing;

static void
share_rows (void *data, guint begin, guint end, guint worker)
{
  const Sharing *sharing = data;
  gsize width = sharing->self->params.width;

  for (gsize t = begin; t < end; t++) {
    float *y = sharing->y + t * width, share;

    sharing->pass->kernels->gemm_f32 (&share, 1, sharing->self->share, width, 1, width, sharing->x + t * width, width, 1,
        FALSE);
    share = 1.0f / (1.0f + expf (-share));
    for (gsize i = 0; i < width; i++)
      y[i] *= share;
  }
}

/* Rows are by themselves. */
static guint
ffn_before (const TernBlock *block)
{
  return 0;
}

static gboolean
ffn_eval (const TernBlock *block, TernPass *pass, const float *x, float *y)
{
  const Ffn *self = (const Ffn *) block;
  Gating gating = { .self = self, .pass = pass };
  TernLinearProduct products[2];
  TernLinearInput input;
  guint n = 0;

  take_work (self, &pass->work, pass->n, &gating.gate, &gating.up);
  tern_block_input (pass, &input, x, self->params.width);
  if (self->gate.rows)
    products[n++] = (TernLinearProduct) { &self->gate, self->gate_bias, gating.gate, self->params.inner };
  products[n++] = (TernLinearProduct) { &self->up, self->up_bias, gating.up, self->params.inner };
  if (!tern_block_run_beside (pass, products, n, &input, gate_features, &gating))
    return FALSE;
  if (self->norm || pass->round)
    tern_pool_run (tern_block_pool (pass, 4 * (gsize) pass->n * self->params.inner), norm_rows, &gating, pass->n, 1);
  tern_block_input (pass, &input, gating.gate, self->params.inner);
  if (!tern_block_run (pass, &self->down, self->down_bias, &input, y))
    return FALSE;
  if (self->share) {
    Sharing sharing = { self, pass, x, y };

    tern_pool_run (tern_block_pool (pass, 2 * (gsize) pass->n * self->params.width), share_rows, &sharing, pass->n, 1);
  }
  return TRUE;
}

static const TernBlockClass ffn_class = {
  .name = "ffn",
  .free = ffn_free,
  .linears = ffn_linears,
  .in_turn = TRUE,
  .rounds = TRUE,
  .owned = ffn_owned,
  .work = ffn_work,
  .eval = ffn_eval,
  .before = ffn_before,
};

static gboolean
load_tensors (Ffn *self, const TernBlockSource *source, GError **error)
{
  if (self->params.shared)
    return tern_block_linear (source, &self->gate, "ffn_gate_shexp.weight", error)
        && tern_block_linear (source, &self->up, "ffn_up_shexp.weight", error)
        && tern_block_linear (source, &self->down, "ffn_down_shexp.weight", error)
        && tern_block_vector (source, &self->share, "ffn_gate_inp_shexp.weight", error);
  return tern_block_linear (source, &self->gate, "ffn_gate.weight", error)
      && tern_block_vector (source, &self->gate_bias, "ffn_gate.bias", error)
      && tern_block_linear (source, &self->up, "ffn_up.weight", error)
      && tern_block_vector (source, &self->up_bias, "ffn_up.bias", error)
      && tern_block_vector (source, &self->norm, "ffn_sub_norm.weight", error)
      && tern_block_linear (source, &self->down, "ffn_down.weight", error)
      && tern_block_vector (source, &self->down_bias, "ffn_down.bias", error);
}

TernBlock *
tern_ffn_new (const TernBlockSource *source, const TernFfnParams *params, GError **error)
{
  Ffn *self = g_new0 (Ffn, 1);

  self->parent.klass = &ffn_class;
  self->params = *params;
  if (!load_tensors (self, source, error)) {
    tern_block_free (&self->parent);
    return NULL;
  }
  if (self->gate.rows) {
    self->gate.beside = &self->up;
    self->gate.in_step = TRUE;
  }
  return &self->parent;
}
