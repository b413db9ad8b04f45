/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keys and values of one attention layer. How they are stored is known here alone. */
#pragma once

#include "engine/llm/model.h"

G_BEGIN_DECLS

/* A head's rows lie together: what one head reads is one run of memory, however many heads there are. */
typedef struct {
  TernKvType type;
  guint context, n_kv, head_dim;
  void *k, *v;                  /* [n_kv, context, head_dim] of f32, f16 or int8 */
  float *k_scale, *v_scale;     /* [n_kv, context] of int8 rows, else NULL */
} TernKvCache;

/* A borrowed run of rows of one head. */
typedef struct {
  TernKvType type;
  const void *rows;             /* [n, head_dim] */
  const float *scale;           /* [n] of int8 rows */
} TernKvView;

/* Takes a cache from @arena; NULL when it only counts. */
TernKvCache *tern_kvcache_plan (TernArena *arena, TernKvType type, guint context, guint n_kv, guint head_dim);
/* Position @pos from rows of [n_kv, head_dim]. Threads may put different positions at the same time. */
void tern_kvcache_put (TernKvCache *cache, const TernKernels *kernels, guint pos, const float *k, const float *v);
/* Positions [from, to) of a cache of the same shape and type. */
void tern_kvcache_copy (TernKvCache *dst, const TernKvCache *src, guint from, guint to);

/* Head @head from position @first on. */
TernKvView tern_kvcache_keys (const TernKvCache *cache, guint head, guint first);
TernKvView tern_kvcache_values (const TernKvCache *cache, guint head, guint first);

/* The rows at @index [n], fetched to @scratch of tern_kv_gather_bytes (n, head_dim). */
gsize tern_kv_gather_bytes (guint n, guint head_dim);
TernKvView tern_kv_gather (void *scratch, TernKvView view, const gint32 *index, guint n, guint head_dim);

/* y[t * ldy + i] = x[t] . row i, for @n_keys rows and @n rows x [n, head_dim]; @many as in kernels.h. */
void tern_kv_dot (const TernKernels *kernels, float *y, gsize ldy, TernKvView view, guint n_keys, guint head_dim,
    const float *x, guint n, gboolean many);
/* y [n, head_dim] = a [n, n_keys], @lda apart, times the rows; @many and @go_on as in kernels.h. */
void tern_kv_sum (const TernKernels *kernels, float *y, const float *a, gsize lda, TernKvView view, guint n,
    guint n_keys, guint head_dim, gboolean many, gboolean go_on);

G_END_DECLS
