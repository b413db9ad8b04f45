/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Grouped-query attention (arXiv:2305.13245) with rotary positions: projections and heads; LFM2 normalises every q and k
 * head before it turns. What is attended to is attend.c's. */
#include "engine/llm/blocks/attend.h"

typedef struct {
  TernBlock parent;
  TernAttentionParams params;
  TernLinear q;                 /* [n_heads * head_dim, width] */
  TernLinear k, v;              /* [n_kv * head_dim, width] */
  TernLinear out;               /* [width, n_heads * head_dim] */
  float *q_norm, *k_norm;       /* [head_dim] or NULL */
} Attention;

static void
attention_free (TernBlock *block)
{
  Attention *self = (Attention *) block;

  tern_mem_free (self->q_norm);
  tern_mem_free (self->k_norm);
  g_free (self);
}

static void
attention_linears (TernBlock *block, TernLinearFunc func, void *data)
{
  Attention *self = (Attention *) block;

  func (&self->q, data);
  func (&self->k, data);
  func (&self->v, data);
  func (&self->out, data);
}

static gsize
attention_owned (const TernBlock *block)
{
  const Attention *self = (const Attention *) block;

  return self->params.qk_norm ? 2 * self->params.head_dim * sizeof (float) : 0;
}

static void *
attention_state (const TernBlock *block, TernArena *arena, guint context, TernKvType kv)
{
  const Attention *self = (const Attention *) block;

  return tern_kvcache_plan (arena, kv, context, self->params.n_kv, self->params.head_dim);
}

static void
attention_copy (const TernBlock *block, void *dst, const void *src, guint from, guint to)
{
  tern_kvcache_copy (dst, src, from, to);
}

static TernAttending
attending (const Attention *self)
{
  const TernAttentionParams *p = &self->params;

  return (TernAttending) { .n_heads = p->n_heads, .n_kv = p->n_kv, .head_dim = p->head_dim };
}

static void
attention_work (const TernBlock *block, TernArena *arena, guint n, guint context)
{
  TernAttending a = attending ((const Attention *) block);
  TernArena one = *arena;

  tern_attend_take (&a, &one, 1, context);
  tern_attend_take (&a, arena, n, context);
  arena->used = MAX (arena->used, one.used);
}

static gsize
attention_worker (const TernBlock *block, guint n, guint context)
{
  TernAttending a = attending ((const Attention *) block);

  return tern_attend_scratch (&a, n);
}

/* What turn_rows shares. */
typedef struct {
  const Attention *self;
  const TernAttending *a;
  TernKvCache *cache;
} Turning;

/* Norm and rotation of the heads of rows [begin, end); then their keys and values are ready for the cache. */
static void
turn_rows (void *data, guint begin, guint end, guint worker)
{
  const Turning *turning = data;
  const TernAttending *a = turning->a;
  const TernAttentionParams *p = &turning->self->params;
  const TernKernels *kernels = a->pass->kernels;
  guint n_heads = p->n_heads + p->n_kv;

  for (guint t = begin; t < end; t++) {
    const float *angles = a->pass->angles + (gsize) t * a->pass->rope->dim;

    for (guint h = 0; h < n_heads; h++) {
      gboolean is_q = h < p->n_heads;
      float *x = is_q ? a->q + ((gsize) t * p->n_heads + h) * p->head_dim
          : a->k + ((gsize) t * p->n_kv + h - p->n_heads) * p->head_dim;

      if (p->qk_norm)
        kernels->rms_norm (x, x, is_q ? turning->self->q_norm : turning->self->k_norm, p->head_dim, p->eps);
      kernels->rope (x, angles, a->pass->rope->dim);
    }
    tern_kvcache_put (turning->cache, kernels, a->pass->pos + t, a->k + (gsize) t * p->n_kv * p->head_dim,
        a->v + (gsize) t * p->n_kv * p->head_dim);
  }
}

static gboolean
attention_eval (const TernBlock *block, TernPass *pass, void *state, const float *x, float *y)
{
  const Attention *self = (const Attention *) block;
  gsize q_dim = (gsize) self->params.n_heads * self->params.head_dim;
  TernAttending a = attending (self);
  Turning turning = { self, &a, state };
  TernLinearInput input;

  a.pass = pass;
  a.cache = state;
  tern_attend_take (&a, &pass->work, pass->n, pass->context);
  tern_block_input (pass, &input, x, self->params.width);
  if (!tern_block_run (pass, &self->q, &input, a.q) || !tern_block_run (pass, &self->k, &input, a.k)
      || !tern_block_run (pass, &self->v, &input, a.v))
    return FALSE;
  tern_pool_run (tern_block_pool (pass, 16 * pass->n * q_dim), turn_rows, &turning, pass->n, 1);
  tern_attend (&a);
  tern_block_input (pass, &input, a.o, q_dim);
  return tern_block_run (pass, &self->out, &input, y);
}

static const TernBlockClass attention_class = {
  .name = "attention",
  .free = attention_free,
  .linears = attention_linears,
  .owned = attention_owned,
  .state = attention_state,
  .copy = attention_copy,
  .work = attention_work,
  .worker = attention_worker,
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
    tern_block_free (&self->parent);
    return NULL;
  }
  return &self->parent;
}

/* Float caches alone can be looked at as they are. */
static const TernKvCache *
float_cache (const TernBlock *block, const void *state)
{
  const TernKvCache *cache = block->klass == &attention_class ? state : NULL;

  return cache && cache->type == TERN_KV_F32 ? cache : NULL;
}

const float *
tern_attention_keys (const TernBlock *block, const void *state)
{
  const TernKvCache *cache = float_cache (block, state);

  return cache ? cache->k : NULL;
}

const float *
tern_attention_values (const TernBlock *block, const void *state)
{
  const TernKvCache *cache = float_cache (block, state);

  return cache ? cache->v : NULL;
}
