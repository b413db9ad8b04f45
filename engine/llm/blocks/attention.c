/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Grouped-query attention (arXiv:2305.13245) with rotary positions: projections, norms and heads. What is attended to
 * is attend.c's. */
#include <math.h>
#include <string.h>

#include "tern/error.h"
#include "engine/llm/blocks/attend.h"

typedef struct {
  TernBlock parent;
  TernAttentionParams params;
  TernLinear q;                 /* [n_heads * head_dim, width]; gated: [n_heads, 2 head_dim, width] */
  TernLinear k, v;              /* [n_kv * head_dim, width] */
  TernLinear out;               /* [width, n_heads * head_dim] */
  float *q_bias, *k_bias, *v_bias, *out_bias;   /* as the linears' rows, or NULL */
  float *q_norm, *k_norm;       /* [head_dim] or NULL */
  float *sub_norm;              /* [n_heads * head_dim] or NULL */
} Attention;

static void
attention_free (TernBlock *block)
{
  Attention *self = (Attention *) block;
  float *vectors[] = { self->q_bias, self->k_bias, self->v_bias, self->out_bias, self->q_norm, self->k_norm,
    self->sub_norm };

  for (guint i = 0; i < G_N_ELEMENTS (vectors); i++)
    tern_mem_free (vectors[i]);
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
  gsize q_dim = (gsize) self->params.n_heads * self->params.head_dim, kv_dim = self->k.rows, floats = 0;

  floats += (self->q_bias ? self->q.rows : 0) + (self->k_bias ? kv_dim : 0) + (self->v_bias ? kv_dim : 0);
  floats += (self->out_bias ? self->params.width : 0) + (self->sub_norm ? q_dim : 0);
  floats += (self->q_norm ? self->params.head_dim : 0) + (self->k_norm ? self->params.head_dim : 0);
  return floats * sizeof (float);
}

static gsize
attention_page (const TernBlock *block, TernKvType kv)
{
  const Attention *self = (const Attention *) block;

  return tern_kvcache_page_bytes (kv, self->params.n_kv, self->params.head_dim);
}

static TernAttending
attending (const Attention *self)
{
  const TernAttentionParams *p = &self->params;

  return (TernAttending) { .n_heads = p->n_heads, .n_kv = p->n_kv, .head_dim = p->head_dim, .scale = p->scale };
}

/* All that a pass needs; returns queries with their gates [n, n_heads, 2, head_dim], NULL without gates. */
static float *
take_work (const Attention *self, TernAttending *a, TernArena *arena, guint n, guint context)
{
  tern_attend_take (a, arena, n, context);
  return self->params.gated ? tern_plan_take (arena, n, self->q.rows, sizeof (float)) : NULL;
}

static void
attention_work (const TernBlock *block, TernArena *arena, guint n, guint context)
{
  TernAttending a = attending ((const Attention *) block);

  take_work ((const Attention *) block, &a, arena, n, context);
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
  float *gated;                 /* as take_work() has it */
} Turning;

/* Queries of row @t from between the gates. */
static void
take_queries (const Turning *turning, gsize t)
{
  const TernAttentionParams *p = &turning->self->params;
  gsize head = p->head_dim;

  for (gsize h = t * p->n_heads; turning->gated && h < (t + 1) * p->n_heads; h++)
    memcpy (turning->a->q + h * head, turning->gated + 2 * h * head, head * sizeof (float));
}

/* Norm and rotation of @n heads side by side, queries or keys of row @t. What attention will put out is scratch until then. */
static void
turn_heads (const Turning *turning, guint t, float *x, guint n, const float *norm)
{
  const TernAttending *a = turning->a;
  const TernAttentionParams *p = &turning->self->params;
  const TernRope *rope = a->pass->rope;
  const float *angles = a->pass->angles + (gsize) t * rope->dim;
  float *spare = a->o + (gsize) t * p->n_heads * p->head_dim;

  for (guint h = 0; h < n; h++, x += p->head_dim) {
    if (norm)
      a->pass->kernels->rms_norm (x, x, norm, p->head_dim, p->eps);
    if (rope->pairs)
      tern_rope_unpair (x, rope->dim, spare);
    a->pass->kernels->rope (x, angles, rope->dim);
  }
}

/* Keys and values of rows [begin, end) into the cache. */
static void
keep_rows (void *data, guint begin, guint end, guint worker)
{
  const Turning *turning = data;
  const TernAttending *a = turning->a;
  const TernAttentionParams *p = &turning->self->params;
  gsize kv_dim = (gsize) p->n_kv * p->head_dim;

  for (guint t = begin; t < end; t++) {
    TernKvCache cache = tern_attend_cache (a, tern_pass_segment_of (a->pass, t)->segment.timeline);

    turn_heads (turning, t, a->k + t * kv_dim, p->n_kv, turning->self->k_norm);
    tern_kvcache_put (&cache, a->pass->kernels, tern_pass_pos (a->pass, t), a->k + t * kv_dim, a->v + t * kv_dim);
  }
}

/* ... and their queries as attention takes them. */
static void
turn_rows (void *data, guint begin, guint end, guint worker)
{
  const Turning *turning = data;
  const TernAttentionParams *p = &turning->self->params;

  for (guint t = begin; t < end; t++) {
    take_queries (turning, t);
    turn_heads (turning, t, turning->a->q + (gsize) t * p->n_heads * p->head_dim, p->n_heads, turning->self->q_norm);
  }
  keep_rows (data, begin, end, worker);
}

/* Gates and norm of the output rows [begin, end). */
static void
finish_rows (void *data, guint begin, guint end, guint worker)
{
  const Turning *turning = data;
  const TernAttentionParams *p = &turning->self->params;
  gsize head = p->head_dim, q_dim = p->n_heads * head;

  for (gsize t = begin; t < end; t++) {
    float *o = turning->a->o + t * q_dim;

    for (gsize h = 0; turning->gated && h < p->n_heads; h++)
      turning->a->pass->kernels->sigmoid_mul (o + h * head, turning->gated + 2 * (t * p->n_heads + h) * head + head, head);
    if (turning->self->sub_norm)
      turning->a->pass->kernels->rms_norm (o, o, turning->self->sub_norm, q_dim, turning->self->params.eps);
    tern_block_round (turning->a->pass, o, q_dim);
  }
}

static gboolean
run_qkv (const Turning *turning, TernPass *pass, TernLinearInput *input)
{
  const Attention *self = turning->self;
  const TernAttending *a = turning->a;
  const TernLinearProduct products[] = {
    { &self->q, self->q_bias, turning->gated ? turning->gated : a->q, self->q.rows },
    { &self->k, self->k_bias, a->k, self->k.rows },
    { &self->v, self->v_bias, a->v, self->v.rows },
  };

  return tern_block_run_beside (pass, products, G_N_ELEMENTS (products), input, NULL, NULL);
}

static gboolean
attention_remember (const TernBlock *block, TernPass *pass, const float *x)
{
  const Attention *self = (const Attention *) block;
  TernAttending a = attending (self);
  Turning turning = { self, &a, NULL };
  TernLinearProduct products[2];
  TernLinearInput input;

  a.pass = pass;
  take_work (self, &a, &pass->work, pass->n, pass->context);
  products[0] = (TernLinearProduct) { &self->k, self->k_bias, a.k, self->k.rows };
  products[1] = (TernLinearProduct) { &self->v, self->v_bias, a.v, self->v.rows };
  tern_block_input (pass, &input, x, self->params.width);
  if (!tern_block_run_beside (pass, products, G_N_ELEMENTS (products), &input, NULL, NULL))
    return FALSE;
  tern_pool_run (tern_block_pool (pass, 16 * (gsize) pass->n * self->k.rows), keep_rows, &turning, pass->n, 1);
  return TRUE;
}

static gboolean
attention_eval (const TernBlock *block, TernPass *pass, const float *x, float *y)
{
  const Attention *self = (const Attention *) block;
  gsize q_dim = (gsize) self->params.n_heads * self->params.head_dim;
  TernAttending a = attending (self);
  Turning turning = { self, &a, NULL };
  TernLinearInput input;

  a.pass = pass;
  turning.gated = take_work (self, &a, &pass->work, pass->n, pass->context);
  tern_block_input (pass, &input, x, self->params.width);
  if (!run_qkv (&turning, pass, &input))
    return FALSE;
  tern_pool_run (tern_block_pool (pass, 16 * pass->n * q_dim), turn_rows, &turning, pass->n, 1);
  tern_attend (&a);
  if (self->sub_norm || pass->round || turning.gated)
    tern_pool_run (tern_block_pool (pass, 4 * pass->n * q_dim), finish_rows, &turning, pass->n, 1);
  tern_block_input (pass, &input, a.o, q_dim);
  return tern_block_run (pass, &self->out, self->out_bias, &input, y);
}

static const TernBlockClass attention_class = {
  .name = "attention",
  .free = attention_free,
  .linears = attention_linears,
  .in_turn = TRUE,
  .rounds = TRUE,
  .owned = attention_owned,
  .page = attention_page,
  .work = attention_work,
  .worker = attention_worker,
  .eval = attention_eval,
  .remember = attention_remember,
};

/* q, k and v as rows of one tensor. */
static gboolean
split_qkv (Attention *self, const TernBlockSource *source, const TernTensor *qkv, GError **error)
{
  TernLinear *linears[] = { &self->q, &self->k, &self->v };
  const guint64 rows[] = { source->dims[TERN_Q], source->dims[TERN_KV], source->dims[TERN_KV] };
  gsize row = tern_type_row_bytes (qkv->type, qkv->dims[0]);
  TernTensor part = *qkv;

  if (qkv->bytes / qkv->dims[1] != row || qkv->bytes % qkv->dims[1]) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "%s: tensor %s: expected a type whose rows stand alone, or "
        "attn_q, attn_k and attn_v, found %s", tern_gguf_path (source->file), qkv->name, qkv->type->name);
    return FALSE;
  }
  for (guint i = 0; i < G_N_ELEMENTS (linears); i++) {
    part.dims[1] = rows[i];
    part.bytes = row * rows[i];
    if (!tern_linear_init (linears[i], &part, source->kernels, error)) {
      g_prefix_error (error, "%s: ", tern_gguf_path (source->file));
      return FALSE;
    }
    part.data += part.bytes;
  }
  return TRUE;
}

/* One by one, or as parts of one. */
static gboolean
load_biases (Attention *self, const TernBlockSource *source, GError **error)
{
  float **parts[] = { &self->q_bias, &self->k_bias, &self->v_bias };
  const guint rows[] = { self->q.rows, self->k.rows, self->v.rows };
  float *bias, *from;
  gboolean ok = TRUE;

  if (!tern_block_vector (source, &bias, "attn_qkv.bias", error))
    return FALSE;
  if (!bias)
    return tern_block_vector (source, &self->q_bias, "attn_q.bias", error)
        && tern_block_vector (source, &self->k_bias, "attn_k.bias", error)
        && tern_block_vector (source, &self->v_bias, "attn_v.bias", error);
  from = bias;
  for (guint i = 0; ok && i < G_N_ELEMENTS (parts); i++) {
    *parts[i] = tern_mem_alloc (rows[i] * sizeof (float), "biases", error);
    ok = *parts[i] != NULL;
    if (ok)
      memcpy (*parts[i], from, rows[i] * sizeof (float));
    from += rows[i];
  }
  tern_mem_free (bias);
  return ok;
}

static gboolean
load_projections (Attention *self, const TernBlockSource *source, GError **error)
{
  const TernTensor *qkv = NULL;

  /* Where queries have gates, files have something else of that name in other layers. */
  if (!self->params.gated && !tern_block_tensor (source, &qkv, "attn_qkv.weight", error))
    return FALSE;
  if (qkv)
    return split_qkv (self, source, qkv, error);
  return tern_block_linear (source, &self->q, "attn_q.weight", error)
      && tern_block_linear (source, &self->k, "attn_k.weight", error)
      && tern_block_linear (source, &self->v, "attn_v.weight", error);
}

static gboolean
load_tensors (Attention *self, const TernBlockSource *source, GError **error)
{
  return load_projections (self, source, error) && load_biases (self, source, error)
      && tern_block_vector (source, &self->q_norm, "attn_q_norm.weight", error)
      && tern_block_vector (source, &self->k_norm, "attn_k_norm.weight", error)
      && tern_block_vector (source, &self->sub_norm, "attn_sub_norm.weight", error)
      && tern_block_linear (source, &self->out, "attn_output.weight", error)
      && tern_block_vector (source, &self->out_bias, "attn_output.bias", error);
}

TernBlock *
tern_attention_new (const TernBlockSource *source, const TernAttentionParams *params, GError **error)
{
  Attention *self = g_new0 (Attention, 1);

  self->parent.klass = &attention_class;
  self->params = *params;
  if (params->scale == 0)
    self->params.scale = 1 / sqrtf (params->head_dim);
  if (!load_tensors (self, source, error)) {
    tern_block_free (&self->parent);
    return NULL;
  }
  self->q.beside = &self->k;
  self->k.beside = &self->v;
  return &self->parent;
}

const float *
tern_attention_row (const TernBlock *block, const TernTimeline *timeline, gsize at, gboolean value, guint head, guint pos)
{
  const TernAttentionParams *p;
  TernKvCache cache = { .type = timeline->store->kv, .table = &timeline->table, .at = at };

  block = tern_pair_first (block);
  p = &((const Attention *) block)->params;
  /* Floats alone can be looked at as they are. */
  if (!block || block->klass != &attention_class || cache.type != TERN_KV_F32 || pos >= timeline->table.n
      || head >= p->n_kv)
    return NULL;
  cache.n_kv = p->n_kv;
  cache.head_dim = p->head_dim;
  return tern_kvcache_row (&cache, value ? TERN_KV_VALUES : TERN_KV_KEYS, head, pos, NULL);
}

gboolean
tern_attention_cache (const TernBlock *block, const TernTimeline *timeline, gsize at, TernKvCache *cache)
{
  const TernAttentionParams *p = &((const Attention *) block)->params;

  if (!block || block->klass != &attention_class)
    return FALSE;
  *cache = (TernKvCache) { .n_kv = p->n_kv, .head_dim = p->head_dim, .at = at };
  if (timeline) {
    cache->type = timeline->store->kv;
    cache->table = &timeline->table;
  }
  return TRUE;
}
