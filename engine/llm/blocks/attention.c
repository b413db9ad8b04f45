/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Causal grouped-query attention (arXiv:2305.13245) with rotary positions; LFM2 normalises every q and k head first.
 *
 * Prefill works on tiles of one head x TILE query rows: scores and the weighted sum of values are matrix products.
 * Decode works on one kv head at a time: the query heads that share it are the rows of one product. */
#include "engine/llm/blocks/blocks.h"
#include "engine/llm/kvcache.h"

#include <math.h>
#include <string.h>

#define TILE 32                 /* query rows of a prefill tile, at most */
#define TILE_SCORES 131072      /* floats of score rows that a tile aims at: stays in the second-level cache */
#define GATHER 256              /* keys fetched at once when a policy picked some */

typedef struct {
  TernBlock parent;
  TernAttentionParams params;
  TernLinear q;                 /* [n_heads * head_dim, width] */
  TernLinear k, v;              /* [n_kv * head_dim, width] */
  TernLinear out;               /* [width, n_heads * head_dim] */
  float *q_norm, *k_norm;       /* [head_dim] or NULL */
} Attention;

/* One eval: what its pieces share. */
typedef struct {
  const Attention *self;
  const TernPass *pass;
  const TernKvCache *cache;
  float *q, *o;                 /* [n, n_heads * head_dim] */
  float *k, *v;                 /* [n, n_kv * head_dim] */
  guint tile;
  const gint32 *keys;           /* [n_keys] positions to attend to, or NULL */
  guint n_keys;
} Attending;

static void
attention_free (TernBlock *block)
{
  Attention *self = (Attention *) block;

  tern_linear_clear (&self->q);
  tern_linear_clear (&self->k);
  tern_linear_clear (&self->v);
  tern_linear_clear (&self->out);
  tern_mem_free (self->q_norm);
  tern_mem_free (self->k_norm);
  g_free (self);
}

static gsize
attention_owned (const TernBlock *block)
{
  const Attention *self = (const Attention *) block;
  gsize norms = self->params.qk_norm ? 2 * self->params.head_dim * sizeof (float) : 0;

  return norms + tern_linear_owned (&self->q) + tern_linear_owned (&self->k) + tern_linear_owned (&self->v)
      + tern_linear_owned (&self->out);
}

static void *
attention_state (const TernBlock *block, TernArena *arena, guint context)
{
  const Attention *self = (const Attention *) block;

  return tern_kvcache_plan (arena, context, self->params.n_kv, self->params.head_dim);
}

static void
attention_copy (const TernBlock *block, void *dst, const void *src, guint from, guint to)
{
  tern_kvcache_copy (dst, src, from, to);
}

static void
take_work (Attending *a, const Attention *self, TernArena *arena, guint n)
{
  gsize q_dim = (gsize) self->params.n_heads * self->params.head_dim;
  gsize kv_dim = (gsize) self->params.n_kv * self->params.head_dim;

  a->q = tern_plan_take (arena, n, q_dim, sizeof (float));
  a->k = tern_plan_take (arena, n, kv_dim, sizeof (float));
  a->v = tern_plan_take (arena, n, kv_dim, sizeof (float));
  a->o = tern_plan_take (arena, n, q_dim, sizeof (float));
}

static void
attention_work (const TernBlock *block, TernArena *arena, guint n, guint context)
{
  Attending a;

  take_work (&a, (const Attention *) block, arena, n);
}

static guint
tile_rows (guint n, guint context)
{
  return MIN (n, CLAMP (TILE_SCORES / context, 4, TILE));
}

static guint
group_size (const Attention *self)
{
  return self->params.n_heads / self->params.n_kv;
}

static gsize
attention_worker (const TernBlock *block, guint n, guint context)
{
  const Attention *self = (const Attention *) block;
  gsize tile = sizeof (float) * tile_rows (n, context) * (gsize) context;
  gsize gather = sizeof (float) * (gsize) self->params.head_dim * (GATHER + group_size (self));
  gsize bytes = MAX (tile, gather);

  bytes = MAX (bytes, tern_linear_scratch (&self->q));
  bytes = MAX (bytes, tern_linear_scratch (&self->k));
  bytes = MAX (bytes, tern_linear_scratch (&self->v));
  return MAX (bytes, tern_linear_scratch (&self->out));
}

static guint
attention_widest (const TernBlock *block)
{
  const Attention *self = (const Attention *) block;

  return MAX (self->params.width, self->params.n_heads * self->params.head_dim);
}

static guint64
attention_largest (const TernBlock *block)
{
  const Attention *self = (const Attention *) block;

  return (guint64) self->params.width * self->params.n_heads * self->params.head_dim;
}

/* Norm and rotation of the heads of rows [begin, end). */
static void
turn_rows (void *data, guint begin, guint end, guint worker)
{
  const Attending *a = data;
  const TernAttentionParams *p = &a->self->params;
  const TernKernels *kernels = a->pass->kernels;
  guint n_heads = p->n_heads + p->n_kv;

  for (guint t = begin; t < end; t++) {
    const float *angles = a->pass->angles + (gsize) t * a->pass->rope->dim;

    for (guint h = 0; h < n_heads; h++) {
      gboolean is_q = h < p->n_heads;
      float *x = is_q ? a->q + ((gsize) t * p->n_heads + h) * p->head_dim
          : a->k + ((gsize) t * p->n_kv + h - p->n_heads) * p->head_dim;

      if (p->qk_norm)
        kernels->rms_norm (x, x, is_q ? a->self->q_norm : a->self->k_norm, p->head_dim, p->eps);
      kernels->rope (x, angles, a->pass->rope->dim);
    }
  }
}

/* Tiles [begin, end), counted head by head. */
static void
attend_tiles (void *data, guint begin, guint end, guint worker)
{
  const Attending *a = data;
  const TernAttentionParams *p = &a->self->params;
  const TernKernels *kernels = a->pass->kernels;
  guint n = a->pass->n, per_head = (n + a->tile - 1) / a->tile;
  gsize ldq = (gsize) p->n_heads * p->head_dim;
  float *scores = tern_pool_scratch (a->pass->pool, worker);    /* [tile, keys] */
  float scale = 1 / sqrtf (p->head_dim);

  for (guint i = begin; i < end; i++) {
    guint head = i / per_head, t0 = i % per_head * a->tile, t1 = MIN (t0 + a->tile, n);
    TernKvView k = tern_kvcache_keys (a->cache, head / group_size (a->self));
    TernKvView v = tern_kvcache_values (a->cache, head / group_size (a->self));
    gsize keys = (gsize) a->pass->pos + t1, at = t0 * ldq + (gsize) head * p->head_dim;

    if (!tern_pass_goes_on (a->pass))
      return;
    kernels->gemm_f32 (scores, keys, k.rows, k.ld, keys, p->head_dim, a->q + at, ldq, t1 - t0);
    for (guint t = t0; t < t1; t++) {
      float *row = scores + (t - t0) * keys;
      gsize seen = (gsize) a->pass->pos + t + 1;

      kernels->softmax (row, seen, scale);
      memset (row + seen, 0, (keys - seen) * sizeof (float));
    }
    kernels->gemm_nn (a->o + at, ldq, scores, keys, v.rows, v.ld, t1 - t0, keys, p->head_dim);
  }
}

/* Kv heads [begin, end) for one new token. */
static void
attend_heads (void *data, guint begin, guint end, guint worker)
{
  const Attending *a = data;
  const TernAttentionParams *p = &a->self->params;
  const TernKernels *kernels = a->pass->kernels;
  guint group = group_size (a->self), n_keys = a->keys ? a->n_keys : a->pass->pos + 1;
  float scale = 1 / sqrtf (p->head_dim);

  for (guint g = begin; g < end; g++) {
    TernKvView k = tern_kvcache_keys (a->cache, g), v = tern_kvcache_values (a->cache, g);
    gsize first = (gsize) g * group, at = first * p->head_dim;
    float *scores = a->pass->scores + first * a->pass->context;         /* [group, n_keys] */
    float *rows = tern_pool_scratch (a->pass->pool, worker);    /* [GATHER, head_dim] */
    float *part = rows + (gsize) GATHER * p->head_dim;  /* [group, head_dim] */

    if (!a->keys) {
      kernels->gemm_f32 (scores, n_keys, k.rows, k.ld, n_keys, p->head_dim, a->q + at, p->head_dim, group);
    } else {
      for (guint i = 0; i < n_keys; i += GATHER) {
        guint take = MIN (GATHER, n_keys - i);

        tern_kv_gather (rows, k, a->keys + i, take, p->head_dim);
        kernels->gemm_f32 (scores + i, n_keys, rows, p->head_dim, take, p->head_dim, a->q + at, p->head_dim, group);
      }
    }
    for (guint h = 0; h < group; h++)
      kernels->softmax (scores + (gsize) h * n_keys, n_keys, scale);
    if (!a->keys) {
      kernels->gemm_nn (a->o + at, p->head_dim, scores, n_keys, v.rows, v.ld, group, n_keys, p->head_dim);
      continue;
    }
    memset (a->o + at, 0, (gsize) group * p->head_dim * sizeof (float));
    for (guint i = 0; i < n_keys; i += GATHER) {
      guint take = MIN (GATHER, n_keys - i);

      tern_kv_gather (rows, v, a->keys + i, take, p->head_dim);
      kernels->gemm_nn (part, p->head_dim, scores + i, n_keys, rows, p->head_dim, group, take, p->head_dim);
      kernels->add (a->o + at, part, (gsize) group * p->head_dim);
    }
  }
}

/* Mean over heads of the softmax rows, for the policy. Heads are summed in order: the same bits for any pool. */
static void
observe (const Attending *a)
{
  const TernPass *pass = a->pass;
  const TernAttentionParams *p = &a->self->params;
  guint n_keys = pass->pos + 1, group = group_size (a->self);
  TernKeyView view = { .layer = pass->layer, .n_keys = n_keys, .scores = pass->mean, .query = a->q };

  memset (pass->mean, 0, n_keys * sizeof (float));
  for (guint h = 0; h < p->n_heads; h++)
    pass->kernels->add (pass->mean, pass->scores + (gsize) (h - h % group) * pass->context
        + (gsize) (h % group) * n_keys, n_keys);
  for (guint i = 0; i < n_keys; i++)
    pass->mean[i] /= p->n_heads;
  pass->policy->observe (pass->policy->self, &view);
}

static void
attend_newest (Attending *a)
{
  const TernPass *pass = a->pass;
  const TernKeyPolicy *policy = pass->policy;
  guint n_keys = pass->pos + 1;
  gboolean scored = policy && policy->score_layer == (gint) pass->layer;

  if (policy && policy->keys && !scored) {
    a->keys = policy->keys (policy->self, pass->layer, n_keys, &a->n_keys);
    if (a->keys && a->n_keys == n_keys)
      a->keys = NULL;           /* all of them: nothing to fetch, and exactly the bits of the full computation */
  }
  tern_pool_run (tern_block_pool (pass, 4 * (gsize) n_keys * a->self->params.n_heads * a->self->params.head_dim),
      attend_heads, a, a->self->params.n_kv, 1);
  if (scored && policy->observe)
    observe (a);
}

static gboolean
attention_eval (const TernBlock *block, TernPass *pass, void *state, const float *x, float *y)
{
  const Attention *self = (const Attention *) block;
  const TernAttentionParams *p = &self->params;
  gsize q_dim = (gsize) p->n_heads * p->head_dim;
  Attending a = { .self = self, .pass = pass, .cache = state, .tile = tile_rows (pass->n, pass->context) };
  TernLinearInput input;

  take_work (&a, self, &pass->work, pass->n);
  tern_block_input (pass, &input, x, p->width);
  if (!tern_block_run (pass, &self->q, &input, a.q) || !tern_block_run (pass, &self->k, &input, a.k)
      || !tern_block_run (pass, &self->v, &input, a.v))
    return FALSE;
  tern_pool_run (tern_block_pool (pass, 16 * pass->n * q_dim), turn_rows, &a, pass->n, 1);
  tern_kvcache_put (state, pass->pos, pass->n, a.k, a.v);
  if (pass->decode)
    attend_newest (&a);
  else
    tern_pool_run (pass->pool, attend_tiles, &a, p->n_heads * ((pass->n + a.tile - 1) / a.tile), 1);
  tern_block_input (pass, &input, a.o, q_dim);
  return tern_block_run (pass, &self->out, &input, y);
}

static const TernBlockClass attention_class = {
  .name = "attention",
  .free = attention_free,
  .owned = attention_owned,
  .state = attention_state,
  .copy = attention_copy,
  .work = attention_work,
  .worker = attention_worker,
  .widest = attention_widest,
  .largest = attention_largest,
  .eval = attention_eval,
};

static gboolean
load_tensors (Attention *self, const TernBlockSource *source, GError **error)
{
  const TernAttentionParams *p = &self->params;
  guint q_dim = p->n_heads * p->head_dim, kv_dim = p->n_kv * p->head_dim;

  if (!tern_block_linear (source, &self->q, "attn_q.weight", p->width, q_dim, error)
      || !tern_block_linear (source, &self->k, "attn_k.weight", p->width, kv_dim, error)
      || !tern_block_linear (source, &self->v, "attn_v.weight", p->width, kv_dim, error)
      || !tern_block_linear (source, &self->out, "attn_output.weight", q_dim, p->width, error))
    return FALSE;
  if (!p->qk_norm)
    return TRUE;
  return (self->q_norm = tern_block_vector (source, "attn_q_norm.weight", p->head_dim, error))
      && (self->k_norm = tern_block_vector (source, "attn_k_norm.weight", p->head_dim, error));
}

TernBlock *
tern_attention_new (const TernBlockSource *source, const TernAttentionParams *params, GError **error)
{
  Attention *self = g_new0 (Attention, 1);

  self->parent.klass = &attention_class;
  self->params = *params;
  if (!load_tensors (self, source, error)) {
    attention_free (&self->parent);
    return NULL;
  }
  return &self->parent;
}

const float *
tern_attention_keys (const TernBlock *block, const void *state)
{
  return block->klass == &attention_class ? ((const TernKvCache *) state)->k : NULL;
}

const float *
tern_attention_values (const TernBlock *block, const void *state)
{
  return block->klass == &attention_class ? ((const TernKvCache *) state)->v : NULL;
}
