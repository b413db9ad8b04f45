/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Mamba-1, a selective state space (arXiv:2312.00752, section 3 and algorithm 2). Of a normed row u:
 *
 *   [x | z] = W_in u;  x = silu (conv (x))           causal, depthwise, with bias
 *   [d | B | C] = W_x x;  D = softplus (W_dt d + b)  rank, states, states values; a step for each channel
 *   h[c, s] = exp (D_c A[c, s]) h[c, s] + D_c x_c B_s,  y_c = sum_s h[c, s] C_s + skip_c x_c
 *   out = W_out (y * silu (z))
 *
 * with RMS norms of d, B and C by themselves in Jamba (arXiv:2403.19887) and, without weights, in FalconMamba. A differs by
 * channel and state, so there is no form of matrix products; a thread takes a strip of channels through all rows, their states
 * staying in the first-level cache. Steps, A and states are floats in every mode, W_x and W_dt see floats. */
#include <string.h>

#include "engine/llm/blocks/ssm.h"

#define STRIP 64                /* channels that a thread takes at a time */

enum { CONV, STATE };           /* parts of what is remembered */

typedef struct {
  TernBlock parent;
  TernMamba1Params params;
  TernLinear in;                /* [2 inner, width] */
  TernLinear x;                 /* [rank + 2 states, inner] */
  TernLinear dt;                /* [inner, rank] */
  TernLinear out;               /* [width, inner] */
  TernSsmConv conv;
  float *dt_bias;               /* [inner] */
  float *a;                     /* [states, inner] */
  float *skip;                  /* [inner] */
  float *dt_norm, *b_norm, *c_norm;     /* [rank], [states], [states], or NULL */
} Mamba1;

typedef struct {
  const Mamba1 *self;
  TernPass *pass;
  float *xz;                    /* [n, 2, inner] */
  float *x;                     /* [n, inner] behind the convolution */
  float *dbc;                   /* [n, rank + 2 states] */
  float *dt;                    /* [n, inner] */
  float *y;                     /* [n, inner] */
} Work;

static void
mamba1_free (TernBlock *block)
{
  Mamba1 *self = (Mamba1 *) block;
  float *vectors[] = { self->dt_bias, self->a, self->skip, self->dt_norm, self->b_norm, self->c_norm };

  for (guint i = 0; i < G_N_ELEMENTS (vectors); i++)
    tern_mem_free (vectors[i]);
  tern_ssm_conv_clear (&self->conv);
  g_free (self);
}

static void
mamba1_linears (TernBlock *block, TernLinearFunc func, void *data)
{
  Mamba1 *self = (Mamba1 *) block;

  func (&self->in, data);
  func (&self->x, data);
  func (&self->dt, data);
  func (&self->out, data);
}

static gsize
mamba1_owned (const TernBlock *block)
{
  const Mamba1 *self = (const Mamba1 *) block;
  const TernMamba1Params *p = &self->params;
  gsize floats = (gsize) p->inner * (p->states + 2);

  floats += (self->dt_norm ? p->rank : 0) + (self->b_norm ? p->states : 0) + (self->c_norm ? p->states : 0);
  return floats * sizeof (float) + tern_ssm_conv_owned (&self->conv);
}

static guint
mamba1_state (const TernBlock *block, TernStatePart *parts)
{
  const TernMamba1Params *p = &((const Mamba1 *) block)->params;

  parts[CONV] = (TernStatePart) { "conv", p->taps - 1, p->inner };
  parts[STATE] = (TernStatePart) { "ssm", p->states, p->inner };
  return 2;
}

static void
take_work (const Mamba1 *self, TernArena *arena, guint n, Work *work)
{
  const TernMamba1Params *p = &self->params;

  work->xz = tern_plan_take (arena, n, 2 * (gsize) p->inner, sizeof (float));
  work->x = tern_plan_take (arena, n, p->inner, sizeof (float));
  work->dbc = tern_plan_take (arena, n, p->rank + 2 * (gsize) p->states, sizeof (float));
  work->dt = tern_plan_take (arena, n, p->inner, sizeof (float));
  work->y = tern_plan_take (arena, n, p->inner, sizeof (float));
}

static void
mamba1_work (const TernBlock *block, TernArena *arena, guint n, guint context)
{
  Work work;

  take_work ((const Mamba1 *) block, arena, n, &work);
}

/* Norms of d, B and C of rows [begin, end). */
static void
norm_rows (void *data, guint begin, guint end, guint worker)
{
  const Work *work = data;
  const Mamba1 *self = work->self;
  const TernMamba1Params *p = &self->params;
  const TernKernels *kernels = work->pass->kernels;

  for (gsize t = begin; t < end; t++) {
    float *d = work->dbc + t * (p->rank + 2 * (gsize) p->states), *b = d + p->rank, *c = b + p->states;

    if (self->dt_norm)
      kernels->rms_norm (d, d, self->dt_norm, p->rank, p->eps);
    if (self->b_norm)
      kernels->rms_norm (b, b, self->b_norm, p->states, p->eps);
    if (self->c_norm)
      kernels->rms_norm (c, c, self->c_norm, p->states, p->eps);
  }
}

/* Channels [at, at + width) of the rows [row, row + n) of a segment: the steps, the scan, the gate. */
static void
scan (const Work *work, const TernPassSegment *segment, guint row, guint n, gsize at, gsize width)
{
  const Mamba1 *self = work->self;
  const TernKernels *kernels = work->pass->kernels;
  const TernMamba1Params *p = &self->params;
  TernStateStep step = tern_pass_step (work->pass, segment, row, STATE);
  gsize first = segment->first + row, inner = p->inner, ldb = p->rank + 2 * (gsize) p->states;
  const float *b = work->dbc + first * ldb + p->rank;

  for (gsize t = first; t < first + n; t++)
    kernels->softplus (work->dt + t * inner + at, self->dt_bias + at, width);
  kernels->ssm_scan (work->y + first * inner + at, step.to + at, step.from + at, self->a + at, inner, self->skip + at,
      work->x + first * inner + at, work->dt + first * inner + at, inner, b, b + p->states, ldb, width, p->states, n);
  for (gsize t = first; t < first + n; t++) {
    float *z = work->xz + (2 * t + 1) * inner + at;

    kernels->silu_mul (z, work->y + t * inner + at, width);
    memcpy (work->y + t * inner + at, z, width * sizeof *z);
  }
}

static void
scan_strips (void *data, guint begin, guint end, guint worker)
{
  const Work *work = data;
  guint inner = work->self->params.inner, strips = (inner + STRIP - 1) / STRIP;

  for (guint i = begin; i < end; i++) {
    const TernPassSegment *segment = &work->pass->segments[i / strips];
    gsize at = (gsize) (i % strips) * STRIP, width = MIN (STRIP, inner - at);
    guint n = segment->segment.n, step = segment->segment.decode ? 1 : n;

    for (guint row = 0; row < n; row += step)
      scan (work, segment, row, step, at, width);
  }
}

/* BitNet's rule of activations, where the model asks for it, of rows [begin, end). */
static void
round_rows (void *data, guint begin, guint end, guint worker)
{
  const Work *work = data;
  gsize inner = work->self->params.inner;

  for (gsize t = begin; t < end; t++)
    tern_block_round (work->pass, work->y + t * inner, inner);
}

/* In floats in every mode: what comes of it is in exponents. */
static gboolean
run_float (const Work *work, const TernLinear *linear, const float *x, gsize ldx, float *y)
{
  TernPass *pass = work->pass;
  TernLinearInput input;

  tern_linear_input_init (&input, pass->input, pass->kernels, TERN_ACTIVATIONS_F32, x, ldx, pass->n, linear->cols);
  input.few = pass->n_decode;
  return tern_block_run (pass, linear, NULL, &input, y);
}

static gboolean
mamba1_eval (const TernBlock *block, TernPass *pass, const float *x, float *y)
{
  const Mamba1 *self = (const Mamba1 *) block;
  const TernMamba1Params *p = &self->params;
  Work work = { .self = self, .pass = pass };
  guint strips = (p->inner + STRIP - 1) / STRIP;
  TernLinearInput input;

  take_work (self, &pass->work, pass->n, &work);
  tern_block_input (pass, &input, x, p->width);
  if (!tern_block_run (pass, &self->in, NULL, &input, work.xz))
    return FALSE;
  tern_ssm_conv_run (&self->conv, pass, CONV, work.x, work.xz, 2 * (gsize) p->inner);
  if (!run_float (&work, &self->x, work.x, p->inner, work.dbc))
    return FALSE;
  tern_pool_run (tern_block_pool (pass, 4 * (gsize) pass->n * self->x.rows), norm_rows, &work, pass->n, 1);
  if (!run_float (&work, &self->dt, work.dbc, self->x.rows, work.dt) || !tern_pass_goes_on (pass))
    return FALSE;
  tern_pool_run (tern_block_pool (pass, 8 * (gsize) pass->n * p->inner * p->states), scan_strips, &work,
      pass->n_segments * strips, 1);
  if (pass->round)
    tern_pool_run (tern_block_pool (pass, 4 * (gsize) pass->n * p->inner), round_rows, &work, pass->n, 1);
  tern_block_input (pass, &input, work.y, p->inner);
  return tern_block_run (pass, &self->out, NULL, &input, y);
}

static const TernBlockClass mamba1_class = {
  .name = "mamba1",
  .free = mamba1_free,
  .linears = mamba1_linears,
  .in_turn = TRUE,
  .owned = mamba1_owned,
  .state = mamba1_state,
  .work = mamba1_work,
  .eval = mamba1_eval,
};

/* A norm without weights is one whose weights are 1. */
static gboolean
fill_norm (float **norm, guint n, GError **error)
{
  if (*norm)
    return TRUE;
  *norm = tern_mem_alloc (n * sizeof (float), "weights of a norm", error);
  for (guint i = 0; *norm && i < n; i++)
    (*norm)[i] = 1;
  return *norm != NULL;
}

static gboolean
load_tensors (Mamba1 *self, const TernBlockSource *source, GError **error)
{
  const TernMamba1Params *p = &self->params;

  if (!tern_block_linear (source, &self->in, "ssm_in.weight", error)
      || !tern_ssm_conv_load (&self->conv, source, p->inner, p->taps, error)
      || !tern_block_linear (source, &self->x, "ssm_x.weight", error)
      || !tern_block_linear (source, &self->dt, "ssm_dt.weight", error)
      || !tern_ssm_vector (source, &self->dt_bias, "ssm_dt.bias", FALSE, error)
      || !tern_ssm_vector (source, &self->a, "ssm_a", TRUE, error)
      || !tern_ssm_turn (&self->a, p->inner, p->states, error)
      || !tern_ssm_vector (source, &self->skip, "ssm_d", FALSE, error)
      || !tern_ssm_vector (source, &self->dt_norm, "ssm_dt_norm.weight", FALSE, error)
      || !tern_ssm_vector (source, &self->b_norm, "ssm_b_norm.weight", FALSE, error)
      || !tern_ssm_vector (source, &self->c_norm, "ssm_c_norm.weight", FALSE, error)
      || !tern_block_linear (source, &self->out, "ssm_out.weight", error))
    return FALSE;
  return !p->norms || (fill_norm (&self->dt_norm, p->rank, error) && fill_norm (&self->b_norm, p->states, error)
      && fill_norm (&self->c_norm, p->states, error));
}

TernBlock *
tern_mamba1_new (const TernBlockSource *source, const TernMamba1Params *params, GError **error)
{
  Mamba1 *self = g_new0 (Mamba1, 1);

  self->parent.klass = &mamba1_class;
  self->params = *params;
  if (!load_tensors (self, source, error)) {
    tern_block_free (&self->parent);
    return NULL;
  }
  return &self->parent;
}
