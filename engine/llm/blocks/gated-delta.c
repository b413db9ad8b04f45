/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Gated DeltaNet (arXiv:2412.06464, as Qwen3-Next and Qwen3.5 have it): linear attention whose state is a matrix a value head.
 * Of a normalised row x,
 *
 *   m = attn_qkv x;  z = attn_gate x;  a = ssm_alpha x;  b = ssm_beta x
 *   q, k, v = silu (conv (m))                        causal, a few taps for each channel
 *   q = q / |q| / sqrt (w);  k = k / |k|             each of key_heads heads of w values; |q| = sqrt (sum q^2 + 1e-6)
 *   decay = exp (ssm_a softplus (a + ssm_dt));  beta = sigmoid (b)         of each value head; ssm_a < 0
 *   S = decay S;  u = beta (v - S^T k);  S = S + k u^T;  o = S^T q         eq. 10; S [w, w] keys by values
 *   y = ssm_out (rms (o) ssm_norm silu (z))          the norm over each head
 *
 * Value head f reads key head f mod key_heads: files list them tiled. Remembered is m of the last tokens, before the
 * convolution, and S; both are updated in place.
 *
 * All behind the projections is done by one thread for a key head and the value heads that read it: heads do not see each
 * other. The paper's chunked form has as many multiplications as the rule by itself once columns of S stay in a cache over
 * all tokens of a segment (kernels.h, delta_rule), and its sums depend on where chunks end; the rule's do not, so that a
 * prompt gives the same bits however it is cut. */
#include "engine/llm/blocks/blocks.h"

#include <math.h>
#include <string.h>

#include "tern/error.h"

#define NORM_EPS 1e-6           /* of q and k: the model's code has it as a constant */

enum { PART_CONV, PART_DELTA };

typedef struct {
  TernBlock parent;
  TernGatedDeltaParams params;
  guint keys, values, channels; /* of all heads: key_heads w, value_heads w, 2 keys + values */
  TernLinear qkv;               /* [channels, width]: q, k, v */
  TernLinear gate;              /* [values, width] */
  TernLinear alpha, beta;       /* [value_heads, width] */
  TernLinear out;               /* [width, values] */
  float *taps;                  /* [taps, channels], the last row for the current token */
  float *dt, *a;                /* [value_heads] */
  float *norm;                  /* [w] */
  float *q_scale, *k_scale;     /* [w] all the same: what makes an RMS norm the norms above */
} GatedDelta;

/* A pass. */
typedef struct {
  const GatedDelta *self;
  const TernPass *pass;
  float *m, *c;                 /* [n, channels] before and after the convolution */
  float *z, *o;                 /* [n, values] */
  float *alpha, *beta;          /* [n, value_heads]; then decays and betas */
} Work;

static void
gated_delta_free (TernBlock *block)
{
  GatedDelta *self = (GatedDelta *) block;
  float *vectors[] = { self->taps, self->dt, self->a, self->norm, self->q_scale, self->k_scale };

  for (guint i = 0; i < G_N_ELEMENTS (vectors); i++)
    tern_mem_free (vectors[i]);
  g_free (self);
}

static void
gated_delta_linears (TernBlock *block, TernLinearFunc func, void *data)
{
  GatedDelta *self = (GatedDelta *) block;

  func (&self->qkv, data);
  func (&self->gate, data);
  func (&self->alpha, data);
  func (&self->beta, data);
  func (&self->out, data);
}

static gsize
gated_delta_owned (const TernBlock *block)
{
  const GatedDelta *self = (const GatedDelta *) block;
  const TernGatedDeltaParams *p = &self->params;

  return ((gsize) p->taps * self->channels + 2 * (gsize) p->value_heads + 3 * (gsize) p->head_dim) * sizeof (float);
}

static guint
gated_delta_state (const TernBlock *block, TernStatePart *parts)
{
  const GatedDelta *self = (const GatedDelta *) block;

  parts[PART_CONV] = (TernStatePart) { "conv", self->params.taps - 1, self->channels };
  parts[PART_DELTA] = (TernStatePart) { "delta", self->values, self->params.head_dim };
  return 2;
}

static void
take_work (const GatedDelta *self, TernArena *arena, guint n, Work *work)
{
  work->m = tern_plan_take (arena, n, self->channels, sizeof (float));
  work->c = tern_plan_take (arena, n, self->channels, sizeof (float));
  work->z = tern_plan_take (arena, n, self->values, sizeof (float));
  work->o = tern_plan_take (arena, n, self->values, sizeof (float));
  work->alpha = tern_plan_take (arena, n, self->params.value_heads, sizeof (float));
  work->beta = tern_plan_take (arena, n, self->params.value_heads, sizeof (float));
}

static void
gated_delta_work (const TernBlock *block, TernArena *arena, guint n, guint context)
{
  Work work;

  take_work ((const GatedDelta *) block, arena, n, &work);
}

/* ---- One head ---------------------------------------------------------------------------------------------------- */

/* Rows [row, row + n) of @segment, with one state before and one after them. */
typedef struct {
  const Work *work;
  const TernPassSegment *segment;
  guint row, n;
  TernStateStep conv, delta;
} Stretch;

/* log (1 + e^x) without an overflow on the way. */
static inline float
softplus (float x)
{
  return x > 20 ? x : log1pf (expf (x));
}

/* @channels of them from @first on, to where they are convolved. */
static void
convolve (const Stretch *s, guint first, guint channels)
{
  const GatedDelta *self = s->work->self;
  gsize at = (gsize) (s->segment->first + s->row) * self->channels + first;

  s->work->pass->kernels->conv_silu (s->work->c + at, self->channels, s->conv.to + first, s->conv.from + first,
      self->channels, s->work->m + at, self->channels, self->taps + first, self->channels, NULL, channels, self->params.taps,
      s->n);
}

/* Query and key of key head @h. */
static void
prepare_key_head (const Stretch *s, guint h)
{
  const GatedDelta *self = s->work->self;
  const TernKernels *kernels = s->work->pass->kernels;
  guint w = self->params.head_dim;

  convolve (s, h * w, w);
  convolve (s, self->keys + h * w, w);
  for (guint t = 0; t < s->n; t++) {
    float *q = s->work->c + (gsize) (s->segment->first + s->row + t) * self->channels + (gsize) h * w;
    float *k = q + self->keys;

    kernels->rms_norm (q, q, self->q_scale, w, NORM_EPS / w);
    kernels->rms_norm (k, k, self->k_scale, w, NORM_EPS / w);
  }
}

/* Decays and betas of value head @f, over what they are computed from. */
static void
prepare_gates (const Stretch *s, guint f)
{
  const GatedDelta *self = s->work->self;

  for (guint t = 0; t < s->n; t++) {
    gsize at = (gsize) (s->segment->first + s->row + t) * self->params.value_heads + f;
    float *alpha = s->work->alpha + at, *beta = s->work->beta + at;

    *alpha = expf (self->a[f] * softplus (*alpha + self->dt[f]));
    *beta = 1.0f / (1.0f + expf (-*beta));
  }
}

/* Value head @f, which reads key head @h: its values, its state, its output, normed and gated, to where z was. */
static void
run_value_head (const Stretch *s, guint f, guint h)
{
  const GatedDelta *self = s->work->self;
  const TernKernels *kernels = s->work->pass->kernels;
  guint w = self->params.head_dim;
  gsize first = s->segment->first + s->row, gates = first * self->params.value_heads + f;
  gsize state = (gsize) f * w * w, out = first * self->values + (gsize) f * w;
  float *c = s->work->c + first * self->channels, *q = c + (gsize) h * w;

  convolve (s, 2 * self->keys + f * w, w);
  prepare_gates (s, f);
  kernels->delta_rule (s->work->o + out, self->values, s->delta.to + state, s->delta.from + state, q, q + self->keys,
      self->channels, c + 2 * (gsize) self->keys + (gsize) f * w, self->channels, s->work->alpha + gates,
      s->work->beta + gates, self->params.value_heads, w, w, s->n);
  for (guint t = 0; t < s->n; t++) {
    float *o = s->work->o + out + (gsize) t * self->values;

    kernels->rms_norm (o, o, self->norm, w, self->params.eps);
    kernels->silu_mul (s->work->z + out + (gsize) t * self->values, o, w);
  }
}

static void
run_stretch (const Stretch *s, guint h)
{
  const TernGatedDeltaParams *p = &s->work->self->params;

  prepare_key_head (s, h);
  for (guint f = h; f < p->value_heads; f += p->key_heads)
    run_value_head (s, f, h);
}

/* Key heads of all segments, those of a segment one after the other: [begin, end). A segment is one stretch, unless the
 * states between its rows are wanted. */
static void
run_heads (void *data, guint begin, guint end, guint worker)
{
  const Work *work = data;
  const TernPass *pass = work->pass;
  guint key_heads = work->self->params.key_heads;

  for (guint i = begin; i < end; i++) {
    const TernPassSegment *segment = &pass->segments[i / key_heads];
    guint n = segment->segment.decode ? 1 : segment->segment.n;

    for (guint row = 0; row < segment->segment.n; row += n) {
      Stretch s = { work, segment, row, n, tern_pass_step (pass, segment, row, PART_CONV),
        tern_pass_step (pass, segment, row, PART_DELTA) };

      run_stretch (&s, i % key_heads);
    }
  }
}

/* What gates are made of is small, and what they let through stays in a state: their input is not rounded, whatever the
 * others do. */
static gboolean
project (const Work *work, TernPass *pass, const float *x)
{
  const GatedDelta *self = work->self;
  guint width = self->params.width, heads = self->params.value_heads;
  const TernLinearProduct large[] = { { &self->qkv, NULL, work->m, self->channels }, { &self->gate, NULL, work->z, self->values } };
  const TernLinearProduct small[] = { { &self->alpha, NULL, work->alpha, heads }, { &self->beta, NULL, work->beta, heads } };
  TernLinearInput input;

  tern_block_input (pass, &input, x, width);
  if (!tern_block_run_beside (pass, large, G_N_ELEMENTS (large), &input, NULL, NULL))
    return FALSE;
  tern_linear_input_init (&input, pass->input, pass->kernels, TERN_ACTIVATIONS_F32, x, width, pass->n, width);
  input.few = pass->n_decode;
  return tern_block_run_beside (pass, small, G_N_ELEMENTS (small), &input, NULL, NULL);
}

static gboolean
gated_delta_eval (const TernBlock *block, TernPass *pass, const float *x, float *y)
{
  const GatedDelta *self = (const GatedDelta *) block;
  Work work = { .self = self, .pass = pass };
  TernLinearInput input;

  take_work (self, &pass->work, pass->n, &work);
  if (!project (&work, pass, x))
    return FALSE;
  tern_pool_run (tern_block_pool (pass, 8 * (gsize) pass->n * self->values * self->params.head_dim), run_heads, &work,
      pass->n_segments * self->params.key_heads, 1);
  tern_block_input (pass, &input, work.z, self->values);
  return tern_block_run (pass, &self->out, NULL, &input, y);
}

static const TernBlockClass gated_delta_class = {
  .name = "gated-delta",
  .free = gated_delta_free,
  .linears = gated_delta_linears,
  .in_turn = TRUE,
  .owned = gated_delta_owned,
  .state = gated_delta_state,
  .work = gated_delta_work,
  .eval = gated_delta_eval,
};

/* ---- Binding ----------------------------------------------------------------------------------------------------- */

/* From [channels, taps], as files have them. */
static gboolean
turn_taps (GatedDelta *self, GError **error)
{
  gsize channels = self->channels, taps = self->params.taps;
  float *turned = tern_mem_alloc (channels * taps * sizeof (float), "convolution of a DeltaNet layer", error);

  if (!turned)
    return FALSE;
  for (gsize c = 0; c < channels; c++)
    for (gsize k = 0; k < taps; k++)
      turned[k * channels + c] = self->taps[c * taps + k];
  tern_mem_free (self->taps);
  self->taps = turned;
  return TRUE;
}

/* x / |x| is an RMS norm with a weight of 1 / sqrt (w); q is divided by sqrt (w) once more. */
static gboolean
make_scales (GatedDelta *self, GError **error)
{
  guint w = self->params.head_dim;

  self->q_scale = tern_mem_alloc (w * sizeof (float), "norms of a DeltaNet layer", error);
  self->k_scale = self->q_scale ? tern_mem_alloc (w * sizeof (float), "norms of a DeltaNet layer", error) : NULL;
  for (guint i = 0; self->k_scale && i < w; i++) {
    self->q_scale[i] = (float) (1.0 / w);
    self->k_scale[i] = (float) (1 / sqrt (w));
  }
  return self->k_scale != NULL;
}

static gboolean
load_tensors (GatedDelta *self, const TernBlockSource *source, GError **error)
{
  guint heads = self->params.value_heads;

  return tern_block_linear (source, &self->qkv, "attn_qkv.weight", error)
      && tern_block_linear (source, &self->gate, "attn_gate.weight", error)
      && tern_block_linear (source, &self->alpha, "ssm_alpha.weight", error)
      && tern_block_linear (source, &self->beta, "ssm_beta.weight", error)
      && tern_block_linear (source, &self->out, "ssm_out.weight", error)
      && tern_block_vector (source, &self->taps, "ssm_conv1d.weight", error)
      && tern_block_vector (source, &self->dt, "ssm_dt.bias", error)
      && tern_block_vector (source, &self->a, "ssm_a", error)
      && tern_block_vector (source, &self->norm, "ssm_norm.weight", error)
      && tern_block_check_values (source, "ssm_dt.bias", self->dt, heads, -G_MAXFLOAT, G_MAXFLOAT, error)
      && tern_block_check_values (source, "ssm_a", self->a, heads, -G_MAXFLOAT, 0, error)
      && turn_taps (self, error) && make_scales (self, error);
}

TernBlock *
tern_gated_delta_new (const TernBlockSource *source, const TernGatedDeltaParams *params, GError **error)
{
  GatedDelta *self = g_new0 (GatedDelta, 1);

  self->parent.klass = &gated_delta_class;
  self->params = *params;
  self->keys = params->key_heads * params->head_dim;
  self->values = params->value_heads * params->head_dim;
  self->channels = 2 * self->keys + self->values;
  if (!load_tensors (self, source, error)) {
    tern_block_free (&self->parent);
    return NULL;
  }
  self->qkv.beside = &self->gate;
  self->alpha.beside = &self->beta;
  return &self->parent;
}
