/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Causal attention of query rows over a KV cache: o = softmax (q k^T / sqrt (head_dim)) v. */
#pragma once

#include "engine/llm/blocks/blocks.h"
#include "engine/llm/kvcache.h"

G_BEGIN_DECLS

/* The rows of a pass; their keys and values are in the cache already. Query head i reads kv head i / (n_heads / n_kv). */
typedef struct {
  guint n_heads, n_kv, head_dim;
  const TernPass *pass;
  const TernKvCache *cache;
  float *q, *o;                 /* [n, n_heads, head_dim] */
  float *k, *v;                 /* [n, n_kv, head_dim] */
  guint tile;                   /* query rows of a tile; attend.c's */
  const gint32 *keys;           /* [n_keys] positions to attend to, or NULL for all; attend.c's */
  guint n_keys;
} TernAttending;

/* Bytes of every worker's scratch for @n rows; of @a the shape alone is looked at. */
gsize tern_attend_scratch (const TernAttending *a, guint n, guint context);
/* Fills a->o; when cancelled, with anything. */
void tern_attend (TernAttending *a);

G_END_DECLS
