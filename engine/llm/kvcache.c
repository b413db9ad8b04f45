/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/llm/kvcache.h"

#include <string.h>

TernKvCache *
tern_kvcache_plan (TernArena *arena, guint context, guint n_kv, guint head_dim)
{
  gsize row = (gsize) n_kv * head_dim;
  TernKvCache *cache = tern_plan_take (arena, 1, 1, sizeof *cache);
  float *k = tern_plan_take (arena, context, row, sizeof (float));
  float *v = tern_plan_take (arena, context, row, sizeof (float));

  if (cache)
    *cache = (TernKvCache) { .n_kv = n_kv, .head_dim = head_dim, .k = k, .v = v };
  return cache;
}

void
tern_kvcache_put (TernKvCache *cache, guint pos, guint n, const float *k, const float *v)
{
  gsize row = (gsize) cache->n_kv * cache->head_dim;

  memcpy (cache->k + pos * row, k, n * row * sizeof (float));
  memcpy (cache->v + pos * row, v, n * row * sizeof (float));
}

void
tern_kvcache_copy (TernKvCache *dst, const TernKvCache *src, guint from, guint to)
{
  gsize row = (gsize) src->n_kv * src->head_dim;

  if (to > from)
    tern_kvcache_put (dst, from, to - from, src->k + from * row, src->v + from * row);
}

TernKvView
tern_kvcache_keys (const TernKvCache *cache, guint head)
{
  return (TernKvView) { cache->k + (gsize) head * cache->head_dim, (gsize) cache->n_kv * cache->head_dim };
}

TernKvView
tern_kvcache_values (const TernKvCache *cache, guint head)
{
  return (TernKvView) { cache->v + (gsize) head * cache->head_dim, (gsize) cache->n_kv * cache->head_dim };
}

void
tern_kv_gather (float *dst, TernKvView view, const gint32 *index, guint n, guint head_dim)
{
  for (guint i = 0; i < n; i++)
    memcpy (dst + (gsize) i * head_dim, view.rows + (gsize) index[i] * view.ld, head_dim * sizeof (float));
}
