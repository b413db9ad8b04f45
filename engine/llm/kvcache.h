/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keys and values of one attention layer of one timeline, in the pages of its store. How they are stored is known here
 * alone.
 *
 * Rotated types hold H k and H v instead of k and v, H being the orthonormal Walsh-Hadamard matrix over the head's values, in
 * blocks of the largest power of two that divides their number; keys after RoPE. What stands out in a few channels is spread
 * over all of them, and rounding to few steps of the largest value costs less (QuaRot, arXiv:2404.00456 section 4). H is its own
 * inverse and keeps products: (H q) . (H k) = q . k, so that scores are the same with queries that are rotated, and
 * H sum p H v = sum p v, so that what attention puts out is rotated back once for each head. */
#pragma once

#include "engine/llm/model.h"

G_BEGIN_DECLS

/* Keys whose products are summed one after the other; the sums of such runs are added in the order of the keys. A page is
 * a part of one, so that the bits do not depend on pages. */
#define TERN_KV_RUN TERN_NN_RUN
G_STATIC_ASSERT (TERN_KV_RUN % TERN_PAGE_ROWS == 0);

/* A layer's part of a page: keys [n_kv, TERN_PAGE_ROWS, head_dim], values likewise, the scales of int8 and
 * int4 rows. A head's rows
 * lie together: what one head reads of a page is one run of memory. */
typedef struct {
  TernKvType type;
  guint n_kv, head_dim;
  const TernPageTable *table;
  gsize at;                     /* where the layer's part begins in a page */
} TernKvCache;

typedef enum { TERN_KV_KEYS, TERN_KV_VALUES } TernKvPart;

/* UNSUPPORTED: heads of so many values cannot be stored as @type. */
gboolean tern_kv_check (TernKvType type, guint head_dim, GError **error);
/* Rows x [n, head_dim] of queries or of what attention puts out, there and back again; nothing where @type is not rotated. */
void tern_kv_rotate (TernKvType type, const TernKernels *kernels, float *x, guint n, guint head_dim);
/* Bytes of a row with its scale. */
double tern_kv_row_bytes (TernKvType type, guint head_dim);

/* Bytes of a layer's part of a page; saturates. */
gsize tern_kvcache_page_bytes (TernKvType type, guint n_kv, guint head_dim);
/* Position @pos, which the table holds, from rows k and v of [n_kv, head_dim], which are left as they are stored: rotated, where
 * the type is. Threads may put different positions at the same time. */
void tern_kvcache_put (const TernKvCache *cache, const TernKernels *kernels, guint pos, float *k, float *v);
/* A row [head_dim] as it is stored; *@scale (of int8 and int4 rows) may be NULL. */
const void *tern_kvcache_row (const TernKvCache *cache, TernKvPart part, guint head, guint pos, float *scale);

/* The same as floats, rotated back. */
void tern_kvcache_get (const TernKvCache *cache, const TernKernels *kernels, TernKvPart part, guint head, guint pos, float *row);

/* Row @from_row of a page becomes row @to_row of another one, or of the same: all heads of it, keys turned by @angles
 * (tern_rope_angles(), NULL: as they are). */
typedef struct {
  guint8 *to;
  const guint8 *from;
  guint to_row, from_row;
  const float *angles;          /* [dim] */
  guint dim;
} TernKvMove;

/* @spare [head_dim]. Of @cache the table is not looked at. */
void tern_kvcache_move (const TernKvCache *cache, const TernKernels *kernels, const TernKvMove *move, float *spare);

/* Rows [n, head_dim] of one head side by side. */
typedef struct {
  TernKvType type;
  const void *rows;
  const float *scale;           /* [n] of int8 and int4 rows */
} TernKvView;

/* Some rows of a head that lie in one page: those at positions @index [n]. */
typedef struct {
  const guint8 *rows;           /* the page's */
  const float *scale;
  const gint32 *index;
  guint n;
} TernKvKept;

/* How many of the positions @index [n], ascending, lie in the first one's page; and their rows. */
guint tern_kv_in_page (const gint32 *index, guint n);
TernKvKept tern_kv_kept (const TernKvCache *cache, TernKvPart part, guint head, const gint32 *index, guint n);
/* Those side by side, in @scratch of tern_kv_gather_bytes (head_dim); @then is fetched meanwhile: the hardware does not know where
 * its rows are. */
gsize tern_kv_gather_bytes (guint head_dim);
TernKvView tern_kv_gather (void *scratch, const TernKvCache *cache, TernKvKept now, TernKvKept then);

/* Rows of a head that will be read next: @n from position @pos on, none when 0. */
typedef struct {
  const TernKvCache *cache;
  TernKvPart part;
  guint head, pos, n;
} TernKvNext;

/* y[t * ldy + i] = x[t] . key i, for @n_keys keys and @n rows x [n, head_dim]. @many: see kernels.h. */
void tern_kv_dot (const TernKernels *kernels, float *y, gsize ldy, TernKvView keys, guint n_keys, guint head_dim,
    const float *x, guint n, gboolean many);
/* The same for the keys of @head from position @first on. Each page is fetched while the one before it is read: a head's
 * rows of a page are a run too short for the hardware to find its pace. @next is fetched while the last one is. */
void tern_kvcache_dot (const TernKvCache *cache, const TernKernels *kernels, float *y, gsize ldy, guint head,
    guint first, guint n_keys, const float *x, guint n, gboolean many, TernKvNext next);

/* y [n, head_dim] = a [n, n_keys], @lda apart, times the values of a run (TERN_KV_RUN) or a part of one; @go_on: added to what y has of
 * the parts before. */
void tern_kv_sum (const TernKernels *kernels, float *y, const float *a, gsize lda, TernKvView values, guint n, guint n_keys,
    guint head_dim, gboolean go_on, gboolean many);
/* The same of any number of values of @head from position @first, a multiple of TERN_KV_RUN, on. @spare [n, head_dim] is needed for
 * more than a run. */
void tern_kvcache_sum (const TernKvCache *cache, const TernKernels *kernels, float *y, float *spare, const float *a,
    gsize lda, guint head, guint first, guint n, guint n_keys, gboolean many, TernKvNext next);
/* A part of that: the values from position @first + @i on that are in its page, a multiple of TERN_PAGE_ROWS; all parts in
 * their order make the whole. Returns their number. */
guint tern_kvcache_sum_page (const TernKvCache *cache, const TernKernels *kernels, float *y, float *spare, const float *a,
    gsize lda, guint head, guint first, guint i, guint n, guint n_keys, gboolean many, TernKvNext next);

G_END_DECLS
