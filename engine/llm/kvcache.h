/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keys and values of one attention layer. How they are stored is known here alone. */
#pragma once

#include "engine/llm/model.h"

G_BEGIN_DECLS

typedef struct {
  guint n_kv, head_dim;
  float *k, *v;                 /* [context, n_kv, head_dim] */
} TernKvCache;

/* A borrowed run of rows of one head, @ld floats apart. */
typedef struct {
  const float *rows;
  gsize ld;
} TernKvView;

/* Takes a cache from @arena; NULL when it only counts. */
TernKvCache *tern_kvcache_plan (TernArena *arena, guint context, guint n_kv, guint head_dim);
/* Positions pos .. pos + n - 1 from rows of n_kv * head_dim. */
void tern_kvcache_put (TernKvCache *cache, guint pos, guint n, const float *k, const float *v);
void tern_kvcache_copy (TernKvCache *dst, const TernKvCache *src, guint from, guint to);

/* All positions of head @head, as floats. */
TernKvView tern_kvcache_keys (const TernKvCache *cache, guint head);
TernKvView tern_kvcache_values (const TernKvCache *cache, guint head);
/* Copies the rows at @index [n] of @view to @dst [n, head_dim]. */
void tern_kv_gather (float *dst, TernKvView view, const gint32 *index, guint n, guint head_dim);

G_END_DECLS
