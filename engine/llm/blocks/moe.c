/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Mixture of experts (arXiv:1701.06538): y = sum of w_e * down_e (act (gate_e x) * up_e x) over the experts e that the router
 * chooses for x, or of w_e * down_e (act (up_e x)) in families whose experts have no gate.
 *
 * Which ones: the n_used largest p_e + bias_e, where p is sigmoid (router x) or softmax (router x); the bias, where there is
 * one, balances load and has no part in the weights (arXiv:2408.15664). These are p_e, divided by their sum or not, or a
 * softmax of the chosen ones alone, which is the same as the former of a softmax. In a latent width, experts see latent_down x,
 * and their sum goes through latent_up; the router sees x.
 *
 * Rows are grouped by expert, and a few experts at a time (as many as share out the work area) make three runs of the
 * pool between them, however small each of them is. One token's experts are one such batch. The experts of a row add up
 * in ascending order in every case, so neither the cutting of a prompt nor the number of threads changes a sum. */
#include "engine/llm/blocks/blocks.h"

#include <math.h>
#include <string.h>

typedef struct {
  TernBlock parent;
  TernMoeParams params;
  TernLinear router;            /* [n_experts, width] */
  float *bias;                  /* [n_experts] or NULL */
  guint seen;                   /* width of what experts see: latent or width */
  TernLinear latent_down;       /* [latent, width]; no rows: none */
  TernLinear latent_up;         /* [width, latent] */
  TernLinear *gate, *up;        /* [n_experts] linears [inner, seen]; gate NULL: none */
  TernLinear *down;             /* [n_experts] linears [seen, inner] */
} Moe;

/* One chunk. A *share* is one row's use of one expert; shares are sorted by expert, then by row. */
typedef struct {
  const Moe *self;
  TernPass *pass;
  const float *x;               /* [n, seen] */
  float *y;                     /* [n, seen] */
  float *latent, *sum;          /* [n, latent] what they are in a latent width */
  float *scores;                /* [n, n_experts] of the router */
  guint32 *choice;              /* [n, n_used] experts */
  float *weight;                /* [n, n_used] */
  guint32 *first;               /* [n_experts + 1] first share of each expert */
  guint32 *share;               /* [n * n_used] row * n_used + which choice */
  guint32 *group;               /* [n_experts] the experts of the batch */
  /* The batch: shares [begin, begin + room) at most. */
  guint begin, n_groups;
  float *rows;                  /* [room, seen] gathered inputs, then outputs */
  float *inner_gate, *inner_up; /* [room, inner]; the same without a gate */
  void *quantised;
  TernLinearInput input;
} Work;

static void
moe_free (TernBlock *block)
{
  Moe *self = (Moe *) block;

  tern_mem_free (self->bias);
  g_free (self->gate);
  g_free (self->up);
  g_free (self->down);
  g_free (self);
}

static void
moe_linears (TernBlock *block, TernLinearFunc func, void *data)
{
  Moe *self = (Moe *) block;

  func (&self->router, data);
  if (self->latent_down.rows)
    func (&self->latent_down, data);
  if (self->latent_up.rows)
    func (&self->latent_up, data);
  for (guint e = 0; e < self->params.n_experts; e++) {
    if (self->gate)
      func (&self->gate[e], data);
    if (self->up)
      func (&self->up[e], data);
    if (self->down)
      func (&self->down[e], data);
  }
}

static gsize
moe_owned (const TernBlock *block)
{
  const Moe *self = (const Moe *) block;

  return self->bias ? self->params.n_experts * sizeof (float) : 0;
}

/* Shares of one batch: all rows for one expert, or all experts of one row, always fit. */
static guint
room (const Moe *self, guint n)
{
  return MAX (n, self->params.n_used);
}

static void
take_work (const Moe *self, TernArena *arena, guint n, Work *work)
{
  const TernMoeParams *p = &self->params;

  work->scores = tern_plan_take (arena, n, p->n_experts, sizeof (float));
  work->choice = tern_plan_take (arena, n, p->n_used, sizeof (guint32));
  work->weight = tern_plan_take (arena, n, p->n_used, sizeof (float));
  work->first = tern_plan_take (arena, (gsize) p->n_experts + 1, sizeof (guint32), 1);
  work->share = tern_plan_take (arena, n, p->n_used, sizeof (guint32));
  work->group = tern_plan_take (arena, p->n_experts, sizeof (guint32), 1);
  work->rows = tern_plan_take (arena, room (self, n), self->seen, sizeof (float));
  work->inner_up = tern_plan_take (arena, room (self, n), p->inner, sizeof (float));
  work->inner_gate = self->gate ? tern_plan_take (arena, room (self, n), p->inner, sizeof (float)) : work->inner_up;
  work->quantised = tern_plan_take (arena, tern_linear_input_bytes (room (self, n), MAX (self->seen, p->inner)), 1, 1);
  work->latent = work->sum = NULL;
  if (p->latent) {
    work->latent = tern_plan_take (arena, n, p->latent, sizeof (float));
    work->sum = tern_plan_take (arena, n, p->latent, sizeof (float));
  }
}

static void
moe_work (const TernBlock *block, TernArena *arena, guint n, guint context)
{
  Work work;

  take_work ((const Moe *) block, arena, n, &work);
}

/* ---- Routing ----------------------------------------------------------------------------------------------------- */

/* Whether (score, e) comes after (last, from) in descending order; equal scores in ascending order of experts. */
static inline gboolean
comes_after (float score, guint e, float last, guint from)
{
  return score < last || (score == last && e > from);
}

/* Logits to what experts are chosen and weighed by, in place. */
static void
weigh (const TernMoeParams *params, const TernKernels *kernels, float *p)
{
  if (params->router == TERN_ROUTER_SOFTMAX)
    kernels->softmax (p, params->n_experts, 1);
  for (guint e = 0; params->router == TERN_ROUTER_SIGMOID && e < params->n_experts; e++)
    p[e] = 1.0f / (1.0f + expf (-p[e]));
}

/* What expert @e is chosen by. Not a number counts as the smallest score: there are always enough different experts. */
static inline float
score_of (const Moe *self, const float *p, guint e)
{
  float score = self->bias ? p[e] + self->bias[e] : p[e];

  return isnan (score) ? -INFINITY : score;
}

/* The sum of the two largest scores of group @g. */
static float
group_score (const Moe *self, const float *p, guint g)
{
  guint each = self->params.n_experts / self->params.n_groups;
  float best = -INFINITY, second = -INFINITY;

  for (guint e = g * each; e < (g + 1) * each; e++) {
    float score = score_of (self, p, e);

    second = score > best ? best : MAX (score, second);
    best = MAX (score, best);
  }
  return each > 1 ? best + second : best;
}

/* Takes the experts of all but the best groups out of the choice. The first one wins among equals. */
static void
leave_groups (const Moe *self, const float *p, guint8 *left_out)
{
  const TernMoeParams *params = &self->params;
  guint each = params->n_experts / params->n_groups;

  memset (left_out, 1, params->n_experts);
  for (guint i = 0; i < params->n_groups_used; i++) {
    guint found = params->n_groups;
    float best = -INFINITY;

    for (guint g = 0; g < params->n_groups; g++) {
      float score = group_score (self, p, g);

      if (left_out[g * each] && (found == params->n_groups || score > best)) {
        best = score;
        found = g;
      }
    }
    memset (left_out + found * each, 0, each);
  }
}

/* The n_used experts with the largest scores, largest first, and the weights of each. @p: [n_experts] what weigh() left. */
static void
choose (const Moe *self, const TernKernels *kernels, const float *p, guint32 *choice, float *weight)
{
  const TernMoeParams *params = &self->params;
  float last = INFINITY, sum = params->least;
  guint8 left_out[TERN_MOE_MAX_EXPERTS];
  gboolean grouped = params->n_groups > 1;
  guint from = 0;

  if (grouped)
    leave_groups (self, p, left_out);
  for (guint i = 0; i < params->n_used; i++) {
    float best = -INFINITY;
    guint found = params->n_experts;

    for (guint e = 0; e < params->n_experts; e++) {
      float score = score_of (self, p, e);

      if (grouped && left_out[e])
        continue;
      if ((i == 0 || comes_after (score, e, last, from)) && (found == params->n_experts || score > best)) {
        best = score;
        found = e;
      }
    }
    choice[i] = from = found;
    weight[i] = p[found];
    last = best;
    sum += p[found];
  }
  if (params->router == TERN_ROUTER_SOFTMAX_CHOSEN)
    kernels->softmax (weight, params->n_used, 1);
  for (guint i = 0; i < params->n_used; i++)
    weight[i] = (params->normalise ? weight[i] / sum : weight[i]) * params->scale;
}

static void
choose_rows (void *data, guint begin, guint end, guint worker)
{
  const Work *work = data;
  const TernMoeParams *p = &work->self->params;

  for (gsize t = begin; t < end; t++) {
    float *scores = work->scores + t * p->n_experts;

    weigh (p, work->pass->kernels, scores);
    choose (work->self, work->pass->kernels, scores, work->choice + t * p->n_used, work->weight + t * p->n_used);
  }
}

/* Sorts the shares by expert, rows in order within each. */
static void
sort_shares (Work *work)
{
  const TernMoeParams *p = &work->self->params;
  guint n = work->pass->n * p->n_used;

  memset (work->first, 0, ((gsize) p->n_experts + 1) * sizeof *work->first);
  for (guint i = 0; i < n; i++)
    work->first[work->choice[i] + 1]++;
  for (guint e = 0; e < p->n_experts; e++)
    work->first[e + 1] += work->first[e];
  for (guint i = 0; i < n; i++)
    work->share[work->first[work->choice[i]]++] = i;
  /* Every start has moved to its end, which is the next one's start. */
  memmove (work->first + 1, work->first, p->n_experts * sizeof *work->first);
  work->first[0] = 0;
}

static void
route (Work *work, const float *x)
{
  const Moe *self = work->self;
  const TernMoeParams *p = &self->params;
  TernPass *pass = work->pass;
  TernLinearInput input;

  /* Close scores decide between experts: no rounding of the input, whatever the others do. */
  tern_linear_input_init (&input, pass->input, pass->kernels, TERN_ACTIVATIONS_F32, x, p->width, pass->n,
      p->width);
  input.few = pass->n_decode;
  tern_linear_run (&self->router, &input, NULL, work->scores, p->n_experts, pass->pool);
  tern_pool_run (tern_block_pool (pass, (gsize) pass->n * p->n_experts * (p->n_used + 8)), choose_rows, work, pass->n,
      1);
  sort_shares (work);
}

/* ---- A batch of experts ------------------------------------------------------------------------------------------ */

static inline guint
group_begin (const Work *work, guint g)
{
  return work->first[work->group[g]] - work->begin;
}

static inline guint
group_size (const Work *work, guint g)
{
  return work->first[work->group[g] + 1] - work->first[work->group[g]];
}

/* How many of its rows, which come first, are those of decode segments. */
static inline guint
group_decode (const Work *work, guint g)
{
  guint first = work->first[work->group[g]], end = work->first[work->group[g] + 1], at = first;

  while (at < end && work->share[at] / work->self->params.n_used < work->pass->n_decode)
    at++;
  return at - first;
}

static inline guint
panels (guint rows)
{
  return (rows + TERN_LINEAR_GRAIN - 1) / TERN_LINEAR_GRAIN;
}

/* Panels [begin, end) of @linear for the rows of group @g, to @y [room, linear->rows]. */
static void
run_panels (const Work *work, const TernLinear *linear, guint g, guint begin, guint end, float *y, guint worker)
{
  /* A single row is every expert's input; it is not gathered. */
  gboolean shared = work->input.n == 1;
  TernLinearInput input = tern_linear_input_part (&work->input, shared ? 0 : group_begin (work, g),
      shared ? 1 : group_size (work, g));

  input.few = group_decode (work, g);
  tern_linear_rows (linear, &input, NULL, y + (gsize) group_begin (work, g) * linear->rows, linear->rows,
      begin * TERN_LINEAR_GRAIN, MIN (end * TERN_LINEAR_GRAIN, linear->rows), work->pass->pool, worker);
}

/* Matrices that an expert has before its activation. */
static inline guint
matrices_in (const Moe *self)
{
  return self->gate ? 2 : 1;
}

/* Panels of gate and up of all groups, one behind the other. */
static void
run_in (void *data, guint begin, guint end, guint worker)
{
  const Work *work = data;
  const Moe *self = work->self;
  guint each = panels (self->params.inner), n_in = matrices_in (self), next;

  for (guint i = begin; i < end; i = next) {
    guint matrix = i / each, g = matrix / n_in;
    gboolean gate = self->gate && matrix % 2 == 0;

    next = MIN (end, (matrix + 1) * each);
    run_panels (work, &(gate ? self->gate : self->up)[work->group[g]], g, i - matrix * each, next - matrix * each,
        gate ? work->inner_gate : work->inner_up, worker);
  }
}

static void
run_down (void *data, guint begin, guint end, guint worker)
{
  const Work *work = data;
  guint each = panels (work->self->seen), next;

  for (guint i = begin; i < end; i = next) {
    guint g = i / each;

    next = MIN (end, (g + 1) * each);
    run_panels (work, &work->self->down[work->group[g]], g, i - g * each, next - g * each, work->rows, worker);
  }
}

static void
gather_rows (void *data, guint begin, guint end, guint worker)
{
  const Work *work = data;
  gsize width = work->self->seen;

  for (gsize s = begin; s < end; s++)
    memcpy (work->rows + s * width, work->x + work->share[work->begin + s] / work->self->params.n_used * width,
        width * sizeof (float));
}

static void
gate_rows (void *data, guint begin, guint end, guint worker)
{
  const Work *work = data;
  const Moe *self = work->self;
  const TernKernels *kernels = work->pass->kernels;
  gsize inner = self->params.inner;

  for (gsize s = begin; s < end; s++) {
    float *gate = work->inner_gate + s * inner, *up = work->inner_up + s * inner;

    if (!self->gate)
      kernels->relu2 (up, inner);
    else if (self->params.gate == TERN_GATE_RELU2)
      kernels->relu2_mul (gate, up, inner);
    else
      kernels->silu_mul (gate, up, inner);
  }
}

typedef struct {
  const Work *work;
  guint n;
} Adding;

/* Columns [begin, end) of the outputs: a row's experts in order, whoever does it. */
static void
add_columns (void *data, guint begin, guint end, guint worker)
{
  const Adding *adding = data;
  const Work *work = adding->work;
  gsize width = work->self->seen;

  for (gsize s = 0; s < adding->n; s++) {
    guint32 share = work->share[work->begin + s];
    float *y = work->y + share / work->self->params.n_used * width, weight = work->weight[share];
    const float *row = work->rows + s * width;

    for (guint c = begin; c < end; c++)
      y[c] += weight * row[c];
  }
}

static void
start_input (Work *work, const float *x, guint n, guint cols)
{
  tern_linear_input_init (&work->input, work->quantised, work->pass->kernels, work->pass->mode, x, cols, n, cols);
  /* By the tokens of the pass: how many of them share an expert must not show in their sums. */
  work->input.few = work->pass->n <= TERN_LINEAR_FEW ? n : 0;
}

/* Multiply-adds of a panel, on average: @n rows over all groups. */
static inline guint64
panel_work (const Work *work, guint n, guint cols)
{
  return (guint64) n * cols * TERN_LINEAR_GRAIN / work->n_groups;
}

/* The groups' shares [begin, begin + n) through their experts, added to y. */
static gboolean
run_batch (Work *work, guint n)
{
  const Moe *self = work->self;
  const TernMoeParams *p = &self->params;
  TernPass *pass = work->pass;
  Adding adding = { work, n };

  if (!tern_pass_goes_on (pass))
    return FALSE;
  if (pass->n == 1) {
    start_input (work, work->x, 1, self->seen);
  } else {
    tern_pool_run (tern_block_pool (pass, (gsize) n * self->seen), gather_rows, work, n, 1);
    start_input (work, work->rows, n, self->seen);
  }
  for (guint g = 0; g < work->n_groups; g++) {
    if (self->gate)
      tern_linear_ready (&self->gate[work->group[g]], &work->input, pass->pool);
    tern_linear_ready (&self->up[work->group[g]], &work->input, pass->pool);
  }
  if (!tern_pool_run_until (pass->pool, run_in, work, matrices_in (self) * work->n_groups * panels (p->inner), 1,
          panel_work (work, n, self->seen), pass->cancel))
    return FALSE;
  tern_pool_run (tern_block_pool (pass, 16 * (gsize) n * p->inner), gate_rows, work, n, 1);

  start_input (work, work->inner_gate, n, p->inner);
  for (guint g = 0; g < work->n_groups; g++)
    tern_linear_ready (&self->down[work->group[g]], &work->input, pass->pool);
  if (!tern_pool_run_until (pass->pool, run_down, work, work->n_groups * panels (self->seen), 1,
          panel_work (work, n, p->inner), pass->cancel))
    return FALSE;
  tern_pool_run (tern_block_pool (pass, 2 * (gsize) n * self->seen), add_columns, &adding, self->seen, 64);
  return TRUE;
}

/* The experts' sum of the rows work->x in work->y. */
static gboolean
run_experts (Work *work)
{
  const TernMoeParams *p = &work->self->params;
  guint limit = room (work->self, work->pass->n), e = 0;

  memset (work->y, 0, (gsize) work->pass->n * work->self->seen * sizeof *work->y);
  while (e < p->n_experts) {
    work->begin = work->first[e];
    for (work->n_groups = 0; e < p->n_experts && work->first[e + 1] - work->begin <= limit; e++)
      if (work->first[e + 1] > work->first[e])
        work->group[work->n_groups++] = e;
    if (work->n_groups && !run_batch (work, work->first[e] - work->begin))
      return FALSE;
  }
  return TRUE;
}

/* Rows are by themselves: who shares their experts shows in no sum. */
static guint
moe_before (const TernBlock *block)
{
  return 0;
}

static gboolean
moe_eval (const TernBlock *block, TernPass *pass, const float *x, float *y)
{
  const Moe *self = (const Moe *) block;
  Work work = { .self = self, .pass = pass, .x = x, .y = y };
  TernLinearInput input;

  take_work (self, &pass->work, pass->n, &work);
  if (!tern_pass_goes_on (pass))
    return FALSE;
  route (&work, x);
  if (!self->params.latent)
    return run_experts (&work);
  tern_block_input (pass, &input, x, self->params.width);
  if (!tern_block_run (pass, &self->latent_down, NULL, &input, work.latent))
    return FALSE;
  work.x = work.latent;
  work.y = work.sum;
  if (!run_experts (&work))
    return FALSE;
  tern_block_input (pass, &input, work.sum, self->params.latent);
  return tern_block_run (pass, &self->latent_up, NULL, &input, y);
}

/* ---- Binding ----------------------------------------------------------------------------------------------------- */

static const TernBlockClass moe_class = {
  .name = "moe",
  .free = moe_free,
  .linears = moe_linears,
  .owned = moe_owned,
  .work = moe_work,
  .eval = moe_eval,
  .before = moe_before,
};

/* Matrices @first, @first + @step, ... of a tensor [cols, rows, n], one for each expert. */
static gboolean
bind_slices (const TernBlockSource *source, const Moe *self, TernLinear **experts, const TernTensor *tensor, guint first,
    guint step, GError **error)
{
  *experts = g_new0 (TernLinear, self->params.n_experts);
  for (guint e = 0; e < self->params.n_experts; e++)
    if (!tern_linear_init_slice (&(*experts)[e], tensor, first + e * step, source->kernels, error)) {
      g_prefix_error (error, "%s: ", tern_gguf_path (source->file));
      return FALSE;
    }
  return TRUE;
}

static gboolean
bind_experts (const TernBlockSource *source, const Moe *self, TernLinear **experts, const char *name, GError **error)
{
  const TernTensor *tensor;

  return tern_block_tensor (source, &tensor, name, error)
      && (!tensor || bind_slices (source, self, experts, tensor, 0, 1, error));
}

/* Gates and ups, which a file may have in one tensor, an expert's gate before its up: as many matrices again of half the rows. */
static gboolean
bind_inner (const TernBlockSource *source, Moe *self, GError **error)
{
  const TernTensor *both;
  TernTensor halves;

  if (!tern_block_tensor (source, &both, "ffn_gate_up_exps.weight", error))
    return FALSE;
  if (!both)
    return bind_experts (source, self, &self->gate, "ffn_gate_exps.weight", error)
        && bind_experts (source, self, &self->up, "ffn_up_exps.weight", error);
  halves = *both;
  halves.dims[1] /= 2;
  halves.dims[2] *= 2;
  return bind_slices (source, self, &self->gate, &halves, 0, 2, error)
      && bind_slices (source, self, &self->up, &halves, 1, 2, error);
}

TernBlock *
tern_moe_new (const TernBlockSource *source, const TernMoeParams *params, GError **error)
{
  Moe *self = g_new0 (Moe, 1);

  self->parent.klass = &moe_class;
  self->params = *params;
  self->seen = params->latent ? params->latent : params->width;
  if (!tern_block_linear (source, &self->router, "ffn_gate_inp.weight", error)
      || !tern_block_vector (source, &self->bias, "exp_probs_b.bias", error)
      || (params->latent && (!tern_block_linear (source, &self->latent_down, "ffn_latent_down.weight", error)
              || !tern_block_linear (source, &self->latent_up, "ffn_latent_up.weight", error)))
      || !bind_inner (source, self, error)
      || !bind_experts (source, self, &self->down, "ffn_down_exps.weight", error)) {
    tern_block_free (&self->parent);
    return NULL;
  }
  return &self->parent;
}
