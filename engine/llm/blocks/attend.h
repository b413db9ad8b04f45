/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Causal attention of query rows over a KV cache: o = softmax (scale q k^T) v (arXiv:1706.03762, eq. 1). */
#pragma once

#include "engine/llm/blocks/blocks.h"
#include "engine/llm/kvcache.h"

G_BEGIN_DECLS

/* One decode row: pieces [piece, piece + n_kv * splits), done one by one or those of all heads together. */
typedef struct {
  guint row;                    /* of the pass */
  TernKvCache cache;
  const TernKeyPolicy *policy;
  gboolean scored;              /* its weights are wanted */
  const gint32 *keys;           /* [n_keys] positions to attend to, or NULL for all */
  guint n_keys, splits;
  guint piece;
  gboolean together;
  guint unit, units;            /* what threads take */
} TernAttendRow;

/* The rows of a pass; their keys and values are in the caches already. Query head i reads kv head
 * i / (n_heads / n_kv). */
typedef struct {
  guint n_heads, n_kv, head_dim;
  float scale;                  /* of scores */
  const TernPass *pass;
  float *q, *o;                 /* [n, n_heads, head_dim] */
  float *k, *v;                 /* [n, n_kv, head_dim] */
  /* attend.c's: */
  guint32 *tile_end;            /* [segments] tiles of each segment and those before it */
  TernAttendRow *rows;          /* [n] decode rows that are computed together */
  guint n_rows, n_pieces, n_units, max_pieces;
  float *parts;                 /* [pieces, group, head_dim] sums over one split of the keys */
  float *largest, *total;       /* [pieces, group] their largest score and sum of weights */
} TernAttending;

/* The cache of @timeline that the running layer reads and writes. */
TernKvCache tern_attend_cache (const TernAttending *a, const TernTimeline *timeline);
/* What an attention block keeps of @timeline, in the part of its pages that begins at @at; without a timeline the shape alone.
 * FALSE: @block is another one, or NULL. */
gboolean tern_attention_cache (const TernBlock *block, const TernTimeline *timeline, gsize at, TernKvCache *cache);
/* Takes all that a pass of up to @n rows needs, the members above, from @arena. */
void tern_attend_take (TernAttending *a, TernArena *arena, guint n, guint context);
/* Bytes of every worker's scratch for passes of up to @n rows; of @a the shape alone is looked at. */
gsize tern_attend_scratch (const TernAttending *a, guint n);
/* Fills a->o; when cancelled, with anything. */
void tern_attend (TernAttending *a);

G_END_DECLS
