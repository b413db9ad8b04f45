/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/llm/kvcache.h"

#include <string.h>

static const struct {
  const char *name;
  gsize bytes;                  /* of a value */
} types[] = {
  [TERN_KV_AUTO] = { "auto", 0 },
  [TERN_KV_F32] = { "f32", sizeof (float) },
  [TERN_KV_F16] = { "f16", sizeof (guint16) },
  [TERN_KV_INT8] = { "int8", sizeof (gint8) },
};

const char *
tern_kv_name (TernKvType type)
{
  return types[type].name;
}

gboolean
tern_kv_parse (const char *name, TernKvType *type)
{
  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    if (!strcmp (name, types[i].name)) {
      *type = i;
      return TRUE;
    }
  return FALSE;
}

TernKvCache *
tern_kvcache_plan (TernArena *arena, TernKvType type, guint context, guint n_kv, guint head_dim)
{
  gsize rows = (gsize) context * n_kv;
  TernKvCache *cache = tern_plan_take (arena, 1, 1, sizeof *cache);
  TernKvCache plan = { .type = type, .context = context, .n_kv = n_kv, .head_dim = head_dim };

  plan.k = tern_plan_take (arena, rows, head_dim, types[type].bytes);
  plan.v = tern_plan_take (arena, rows, head_dim, types[type].bytes);
  if (type == TERN_KV_INT8) {
    plan.k_scale = tern_plan_take (arena, rows, 1, sizeof (float));
    plan.v_scale = tern_plan_take (arena, rows, 1, sizeof (float));
  }
  if (cache)
    *cache = plan;
  return cache;
}

/* Row @row of @rows and its scale from @x. */
static void
put_row (const TernKvCache *cache, const TernKernels *kernels, void *rows, float *scale, gsize row, const float *x)
{
  gsize at = row * cache->head_dim;

  if (cache->type == TERN_KV_F32)
    memcpy ((float *) rows + at, x, cache->head_dim * sizeof (float));
  else if (cache->type == TERN_KV_F16)
    kernels->pack_f16 ((guint16 *) rows + at, x, cache->head_dim);
  else
    kernels->pack_i8row ((gint8 *) rows + at, scale + row, x, cache->head_dim);
}

void
tern_kvcache_put (TernKvCache *cache, const TernKernels *kernels, guint pos, const float *k, const float *v)
{
  for (guint head = 0; head < cache->n_kv; head++) {
    gsize row = (gsize) head * cache->context + pos, at = (gsize) head * cache->head_dim;

    put_row (cache, kernels, cache->k, cache->k_scale, row, k + at);
    put_row (cache, kernels, cache->v, cache->v_scale, row, v + at);
  }
}

static void
copy_rows (void *dst, const void *src, gsize row, gsize n, gsize bytes)
{
  memcpy ((guint8 *) dst + row * bytes, (const guint8 *) src + row * bytes, n * bytes);
}

void
tern_kvcache_copy (TernKvCache *dst, const TernKvCache *src, guint from, guint to)
{
  gsize bytes = src->head_dim * types[src->type].bytes;

  for (guint head = 0; head < src->n_kv && from < to; head++) {
    gsize row = (gsize) head * src->context + from, n = to - from;

    copy_rows (dst->k, src->k, row, n, bytes);
    copy_rows (dst->v, src->v, row, n, bytes);
    if (src->type == TERN_KV_INT8) {
      copy_rows (dst->k_scale, src->k_scale, row, n, sizeof (float));
      copy_rows (dst->v_scale, src->v_scale, row, n, sizeof (float));
    }
  }
}

static TernKvView
view (const TernKvCache *cache, const void *rows, const float *scale, guint head, guint first)
{
  gsize row = (gsize) head * cache->context + first;

  return (TernKvView) { cache->type, (const guint8 *) rows + row * cache->head_dim * types[cache->type].bytes,
    scale ? scale + row : NULL };
}

TernKvView
tern_kvcache_keys (const TernKvCache *cache, guint head, guint first)
{
  return view (cache, cache->k, cache->k_scale, head, first);
}

TernKvView
tern_kvcache_values (const TernKvCache *cache, guint head, guint first)
{
  return view (cache, cache->v, cache->v_scale, head, first);
}

gsize
tern_kv_gather_bytes (guint n, guint head_dim)
{
  return tern_align_up (n * sizeof (float)) + (gsize) n * head_dim * sizeof (float);
}

TernKvView
tern_kv_gather (void *scratch, TernKvView from, const gint32 *index, guint n, guint head_dim)
{
  gsize bytes = head_dim * types[from.type].bytes;
  float *scale = scratch;
  guint8 *rows = (guint8 *) scratch + tern_align_up (n * sizeof (float));

  for (guint i = 0; i < n; i++) {
    memcpy (rows + i * bytes, (const guint8 *) from.rows + (gsize) index[i] * bytes, bytes);
    if (from.scale)
      scale[i] = from.scale[index[i]];
  }
  return (TernKvView) { from.type, rows, from.scale ? scale : NULL };
}

void
tern_kv_dot (const TernKernels *kernels, float *y, gsize ldy, TernKvView keys, guint n_keys, guint head_dim,
    const float *x, guint n, gboolean many)
{
  if (keys.type == TERN_KV_F32)
    kernels->gemm_f32 (y, ldy, keys.rows, head_dim, n_keys, head_dim, x, head_dim, n, many);
  else if (keys.type == TERN_KV_F16)
    kernels->gemm_f16 (y, ldy, keys.rows, head_dim, n_keys, head_dim, x, head_dim, n, many);
  else
    kernels->gemm_i8row (y, ldy, keys.rows, head_dim, keys.scale, 1, n_keys, head_dim, x, head_dim, n,
        many);
}

void
tern_kv_sum (const TernKernels *kernels, float *y, const float *a, gsize lda, TernKvView values, guint n,
    guint n_keys, guint head_dim, gboolean many, gboolean go_on)
{
  if (values.type == TERN_KV_F32)
    kernels->gemm_nn (y, head_dim, a, lda, values.rows, head_dim, n, n_keys, head_dim, go_on);
  else if (values.type == TERN_KV_F16)
    kernels->gemm_nn_f16 (y, head_dim, a, lda, values.rows, head_dim, n, n_keys, head_dim, many, go_on);
  else
    kernels->gemm_nn_i8row (y, head_dim, a, lda, values.rows, head_dim, values.scale, 1, n, n_keys, head_dim,
        many, go_on);
}
