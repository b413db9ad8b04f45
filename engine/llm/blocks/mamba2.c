/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Mamba-2 (arXiv:2405.21060, sections 6 and 7). Of a normed row u:
 *
 *   [z | x | B | C | d] = W_in u                     inner, inner, groups * states twice, heads values
 *   [x | B | C] = silu (conv (x | B | C))            causal, depthwise, of the three together
 *   D_h = softplus (d_h + b_h)                       a step for each head
 *   y = the recurrence of blocks/ssd.h for each head, whose group's B and C it reads
 *   out = W_out (rms (y * silu (z)) * ssm_norm)      the norm of each group of channels by itself; none without ssm_norm
 *
 * Prompts go in chunks, as matrix products; a row of decode in one run over the state that is read and written once.
 * Threads share the heads. Chunks begin at whole multiples of TERN_SSD_CHUNK positions of the timeline: two prompts that are
 * cut at such places give the same bits, and whoever puts rows into a pass cuts them there (tern_pass_cut()). Steps, A and
 * states are floats in every mode. */
#include <math.h>
#include <string.h>

#include "engine/llm/blocks/ssd.h"
#include "engine/llm/blocks/ssm.h"

enum { CONV, STATE };           /* parts of what is remembered */

typedef struct {
  TernBlock parent;
  TernMamba2Params params;
  TernSsdShape shape;
  guint inner;                  /* heads * channels */
  guint mixed;                  /* inner + 2 groups * states: what the convolution sees */
  TernLinear in;                /* [inner + mixed + heads, width] */
  TernLinear out;               /* [width, inner] */
  TernSsmConv conv;
  float *dt_bias, *a, *skip;    /* [heads] */
  float *norm;                  /* [inner] or NULL */
} Mamba2;

typedef struct {
  const Mamba2 *self;
  TernPass *pass;
  float *projected;             /* [n, inner + mixed + heads] */
  float *mixed;                 /* [n, mixed] behind the convolution */
  float *y;                     /* [n, inner] */
  float *products, *turned, *rows;      /* of all chunks, see ssd.h */
  guint32 *chunk_segment;       /* [chunks] */
  guint32 *chunk_first;         /* [chunks + 1] row of the pass */
  guint n_chunks;
} Work;

static void
mamba2_free (TernBlock *block)
{
  Mamba2 *self = (Mamba2 *) block;
  float *vectors[] = { self->dt_bias, self->a, self->skip, self->norm };

  for (guint i = 0; i < G_N_ELEMENTS (vectors); i++)
    tern_mem_free (vectors[i]);
  tern_ssm_conv_clear (&self->conv);
  g_free (self);
}

static void
mamba2_linears (TernBlock *block, TernLinearFunc func, void *data)
{
  Mamba2 *self = (Mamba2 *) block;

  func (&self->in, data);
  func (&self->out, data);
}

static gsize
mamba2_owned (const TernBlock *block)
{
  const Mamba2 *self = (const Mamba2 *) block;

  return (3 * (gsize) self->shape.heads + (self->norm ? self->inner : 0)) * sizeof (float)
      + tern_ssm_conv_owned (&self->conv);
}

static guint
mamba2_state (const TernBlock *block, TernStatePart *parts)
{
  const Mamba2 *self = (const Mamba2 *) block;

  parts[CONV] = (TernStatePart) { "conv", self->params.taps - 1, self->mixed };
  parts[STATE] = (TernStatePart) { "ssm", self->shape.states, self->inner };    /* [heads, states, channels] */
  return 2;
}

static void
take_work (const Mamba2 *self, TernArena *arena, guint n, Work *work)
{
  work->projected = tern_plan_take (arena, n, self->in.rows, sizeof (float));
  work->mixed = tern_plan_take (arena, n, self->mixed, sizeof (float));
  work->y = tern_plan_take (arena, n, self->inner, sizeof (float));
  work->products = tern_plan_take (arena, tern_ssd_products (&self->shape, n), sizeof (float), 1);
  work->turned = tern_plan_take (arena, tern_ssd_vectors (&self->shape, n), sizeof (float), 1);
  work->rows = tern_plan_take (arena, tern_ssd_vectors (&self->shape, n), sizeof (float), 1);
  work->chunk_segment = tern_plan_take (arena, n, sizeof (guint32), 1);
  work->chunk_first = tern_plan_take (arena, (gsize) n + 1, sizeof (guint32), 1);
}

static void
mamba2_work (const TernBlock *block, TernArena *arena, guint n, guint context)
{
  Work work;

  take_work ((const Mamba2 *) block, arena, n, &work);
}

static guint
mamba2_chunk (const TernBlock *block)
{
  return TERN_SSD_CHUNK;
}

static gsize
mamba2_worker (const TernBlock *block, guint n, guint context)
{
  return tern_ssd_scratch (&((const Mamba2 *) block)->shape);
}

/* ---- Chunks ------------------------------------------------------------------------------------------------------ */

/* Rows of segments that are no decode segments, cut at whole multiples of the pass's chunk. */
static void
cut_chunks (Work *work)
{
  const TernPass *pass = work->pass;
  guint size = MIN (pass->chunk, TERN_SSD_CHUNK);

  work->n_chunks = 0;
  for (guint s = 0; s < pass->n_segments; s++) {
    const TernPassSegment *segment = &pass->segments[s];

    for (guint t = 0; !segment->segment.decode && t < segment->segment.n;) {
      work->chunk_segment[work->n_chunks] = s;
      work->chunk_first[work->n_chunks++] = segment->first + t;
      t += MIN (size - (segment->pos + t) % size, segment->segment.n - t);
      work->chunk_first[work->n_chunks] = segment->first + t;
    }
  }
}

/* The rows [first, first + n) of the pass. */
static TernSsdChunk
rows_of (const Work *work, gsize first, guint n)
{
  const Mamba2 *self = work->self;
  gsize of_groups = (gsize) self->shape.groups * self->shape.states;
  const float *x = work->mixed + first * self->mixed;

  return (TernSsdChunk) { .n = n, .x = x, .b = x + self->inner, .c = x + self->inner + of_groups, .ld = self->mixed,
    .dt = work->projected + first * self->in.rows + self->inner + self->mixed, .lddt = self->in.rows,
    .y = work->y + first * self->inner, .ldy = self->inner,
    /* a chunk has at most as many tokens as these rows are long */
    .products = work->products + first * self->shape.groups * MIN (work->pass->n, TERN_SSD_CHUNK),
    .turned = work->turned + tern_ssd_vectors (&self->shape, first),
    .rows = work->rows + tern_ssd_vectors (&self->shape, first) };
}

static TernSsdChunk
chunk_at (const Work *work, guint i)
{
  return rows_of (work, work->chunk_first[i], work->chunk_first[i + 1] - work->chunk_first[i]);
}

/* Groups [begin, end) of all chunks, one behind the other. */
static void
run_groups (void *data, guint begin, guint end, guint worker)
{
  const Work *work = data;
  const TernSsdShape *shape = &work->self->shape;

  for (guint i = begin; i < end; i++) {
    TernSsdChunk chunk = chunk_at (work, i / shape->groups);

    tern_ssd_group (work->pass->kernels, shape, &chunk, i % shape->groups);
  }
}

/* ---- Heads ------------------------------------------------------------------------------------------------------- */

/* The part of a head in a state. */
static gsize
head_at (const Mamba2 *self, guint head)
{
  return (gsize) head * self->shape.states * self->shape.channels;
}

static void
step_head (const Work *work, const TernPassSegment *segment, guint row, guint head)
{
  const Mamba2 *self = work->self;
  const TernSsdShape *shape = &self->shape;
  TernStateStep step = tern_pass_step (work->pass, segment, row, STATE);
  TernSsdChunk rows = rows_of (work, segment->first + row, 1);
  gsize at = head_at (self, head), x = (gsize) head * shape->channels;
  gsize group = (gsize) (head / (shape->heads / shape->groups)) * shape->states;
  float dt = rows.dt[head];

  work->pass->kernels->ssd_step (rows.y + x, step.to + at, step.from + at, rows.x + x, rows.b + group, rows.c + group,
      expf (dt * self->a[head]), dt, self->skip[head], shape->channels, shape->states);
}

/* Heads [begin, end) of all segments, one behind the other: chunks of one timeline come one after the other. */
static void
run_heads (void *data, guint begin, guint end, guint worker)
{
  const Work *work = data;
  const Mamba2 *self = work->self;
  TernPass *pass = work->pass;

  for (guint i = begin; i < end; i++) {
    guint s = i / self->shape.heads, head = i % self->shape.heads;
    const TernPassSegment *segment = &pass->segments[s];

    if (segment->segment.decode) {
      for (guint row = 0; row < segment->segment.n; row++)
        step_head (work, segment, row, head);
      continue;
    }
    for (guint c = 0; c < work->n_chunks; c++) {
      TernSsdChunk chunk;

      if (work->chunk_segment[c] != s)
        continue;
      chunk = chunk_at (work, c);
      tern_ssd_head (pass->kernels, &self->shape, &chunk, head, self->a[head], self->skip[head],
          tern_pass_step (pass, segment, 0, STATE).to + head_at (self, head), tern_pool_scratch (pass->pool, worker));
    }
  }
}

/* Gate and norm of rows [begin, end). */
static void
gate_rows (void *data, guint begin, guint end, guint worker)
{
  const Work *work = data;
  const Mamba2 *self = work->self;
  const TernKernels *kernels = work->pass->kernels;
  gsize inner = self->inner, each = inner / self->shape.groups;

  for (gsize t = begin; t < end; t++) {
    float *z = work->projected + t * self->in.rows, *y = work->y + t * inner;

    kernels->silu_mul (z, y, inner);
    if (!self->norm)
      memcpy (y, z, inner * sizeof *y);
    for (gsize at = 0; self->norm && at < inner; at += each)
      kernels->rms_norm (y + at, z + at, self->norm + at, each, self->params.eps);
    tern_block_round (work->pass, y, inner);
  }
}

static gboolean
mamba2_eval (const TernBlock *block, TernPass *pass, const float *x, float *y)
{
  const Mamba2 *self = (const Mamba2 *) block;
  gsize n = pass->n, states = (gsize) self->inner * self->shape.states;
  Work work = { .self = self, .pass = pass };
  TernLinearInput input;

  take_work (self, &pass->work, pass->n, &work);
  tern_block_input (pass, &input, x, self->params.width);
  if (!tern_block_run (pass, &self->in, NULL, &input, work.projected))
    return FALSE;
  for (gsize t = 0; t < n; t++)
    pass->kernels->softplus (work.projected + t * self->in.rows + self->inner + self->mixed, self->dt_bias,
        self->shape.heads);
  tern_ssm_conv_run (&self->conv, pass, CONV, work.mixed, work.projected + self->inner, self->in.rows);
  cut_chunks (&work);
  if (!tern_pass_goes_on (pass))
    return FALSE;
  tern_pool_run (tern_block_pool (pass, n * TERN_SSD_CHUNK * self->shape.groups * self->shape.states), run_groups, &work,
      work.n_chunks * self->shape.groups, 1);
  tern_pool_run (tern_block_pool (pass, 4 * n * states), run_heads, &work, pass->n_segments * self->shape.heads, 1);
  if (!tern_pass_goes_on (pass))
    return FALSE;
  tern_pool_run (tern_block_pool (pass, 16 * n * self->inner), gate_rows, &work, pass->n, 1);
  tern_block_input (pass, &input, work.y, self->inner);
  return tern_block_run (pass, &self->out, NULL, &input, y);
}

static const TernBlockClass mamba2_class = {
  .name = "mamba2",
  .free = mamba2_free,
  .linears = mamba2_linears,
  .in_turn = TRUE,
  .chunk = mamba2_chunk,
  .owned = mamba2_owned,
  .state = mamba2_state,
  .work = mamba2_work,
  .worker = mamba2_worker,
  .eval = mamba2_eval,
};

TernBlock *
tern_mamba2_new (const TernBlockSource *source, const TernMamba2Params *params, GError **error)
{
  Mamba2 *self = g_new0 (Mamba2, 1);

  self->parent.klass = &mamba2_class;
  self->params = *params;
  self->shape = (TernSsdShape) { params->heads, params->groups, params->channels, params->states };
  self->inner = params->heads * params->channels;
  self->mixed = self->inner + 2 * params->groups * params->states;
  if (!tern_block_linear (source, &self->in, "ssm_in.weight", error)
      || !tern_ssm_conv_load (&self->conv, source, self->mixed, params->taps, error)
      || !tern_ssm_vector (source, &self->dt_bias, "ssm_dt.bias", FALSE, error)
      || !tern_ssm_vector (source, &self->a, "ssm_a", TRUE, error)
      || !tern_ssm_vector (source, &self->skip, "ssm_d", FALSE, error)
      || !tern_ssm_vector (source, &self->norm, "ssm_norm.weight", FALSE, error)
      || !tern_block_linear (source, &self->out, "ssm_out.weight", error)) {
    tern_block_free (&self->parent);
    return NULL;
  }
  return &self->parent;
}
