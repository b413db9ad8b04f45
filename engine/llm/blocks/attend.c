/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Prefill works on tiles of one head x TILE query rows: scores and the weighted sum of values are matrix products.
 * Decode works on one kv head at a time: the query heads that share it are the rows of one product. */
#include "engine/llm/blocks/attend.h"

#include <math.h>
#include <string.h>

#define TILE 32                 /* query rows of a prefill tile, at most */
#define TILE_SCORES 131072      /* floats of score rows that a tile aims at: stays in the second-level cache */
#define GATHER 256              /* keys fetched at once when a policy picked some */

static guint
tile_rows (guint n, guint context)
{
  return MIN (n, CLAMP (TILE_SCORES / context, 4, TILE));
}

static guint
group_size (const TernAttending *a)
{
  return a->n_heads / a->n_kv;
}

gsize
tern_attend_scratch (const TernAttending *a, guint n, guint context)
{
  gsize tile = sizeof (float) * tile_rows (n, context) * (gsize) context;
  gsize gather = sizeof (float) * (gsize) a->head_dim * (GATHER + group_size (a));

  return MAX (tile, gather);
}

/* Tiles [begin, end), counted head by head. */
static void
attend_tiles (void *data, guint begin, guint end, guint worker)
{
  const TernAttending *a = data;
  const TernKernels *kernels = a->pass->kernels;
  guint n = a->pass->n, per_head = (n + a->tile - 1) / a->tile;
  gsize ldq = (gsize) a->n_heads * a->head_dim;
  float *scores = tern_pool_scratch (a->pass->pool, worker);    /* [tile, keys] */
  float scale = 1 / sqrtf (a->head_dim);

  for (guint i = begin; i < end; i++) {
    guint head = i / per_head, t0 = i % per_head * a->tile, t1 = MIN (t0 + a->tile, n);
    TernKvView k = tern_kvcache_keys (a->cache, head / group_size (a));
    TernKvView v = tern_kvcache_values (a->cache, head / group_size (a));
    gsize keys = (gsize) a->pass->pos + t1, at = t0 * ldq + (gsize) head * a->head_dim;

    if (!tern_pass_goes_on (a->pass))
      return;
    kernels->gemm_f32 (scores, keys, k.rows, k.ld, keys, a->head_dim, a->q + at, ldq, t1 - t0);
    for (guint t = t0; t < t1; t++) {
      float *row = scores + (t - t0) * keys;
      gsize seen = (gsize) a->pass->pos + t + 1;

      kernels->softmax (row, seen, scale);
      memset (row + seen, 0, (keys - seen) * sizeof (float));
    }
    kernels->gemm_nn (a->o + at, ldq, scores, keys, v.rows, v.ld, t1 - t0, keys, a->head_dim);
  }
}

/* Kv heads [begin, end) for one new token. */
static void
attend_heads (void *data, guint begin, guint end, guint worker)
{
  const TernAttending *a = data;
  const TernKernels *kernels = a->pass->kernels;
  guint group = group_size (a), n_keys = a->keys ? a->n_keys : a->pass->pos + 1;
  float scale = 1 / sqrtf (a->head_dim);

  for (guint g = begin; g < end; g++) {
    TernKvView k = tern_kvcache_keys (a->cache, g), v = tern_kvcache_values (a->cache, g);
    gsize first = (gsize) g * group, at = first * a->head_dim;
    float *scores = a->pass->scores + first * a->pass->context;         /* [group, n_keys] */
    float *rows = tern_pool_scratch (a->pass->pool, worker);    /* [GATHER, head_dim] */
    float *part = rows + (gsize) GATHER * a->head_dim;  /* [group, head_dim] */

    if (!a->keys) {
      kernels->gemm_f32 (scores, n_keys, k.rows, k.ld, n_keys, a->head_dim, a->q + at, a->head_dim, group);
    } else {
      for (guint i = 0; i < n_keys; i += GATHER) {
        guint take = MIN (GATHER, n_keys - i);

        tern_kv_gather (rows, k, a->keys + i, take, a->head_dim);
        kernels->gemm_f32 (scores + i, n_keys, rows, a->head_dim, take, a->head_dim, a->q + at, a->head_dim, group);
      }
    }
    for (guint h = 0; h < group; h++)
      kernels->softmax (scores + (gsize) h * n_keys, n_keys, scale);
    if (!a->keys) {
      kernels->gemm_nn (a->o + at, a->head_dim, scores, n_keys, v.rows, v.ld, group, n_keys, a->head_dim);
      continue;
    }
    memset (a->o + at, 0, (gsize) group * a->head_dim * sizeof (float));
    for (guint i = 0; i < n_keys; i += GATHER) {
      guint take = MIN (GATHER, n_keys - i);

      tern_kv_gather (rows, v, a->keys + i, take, a->head_dim);
      kernels->gemm_nn (part, a->head_dim, scores + i, n_keys, rows, a->head_dim, group, take, a->head_dim);
      kernels->add (a->o + at, part, (gsize) group * a->head_dim);
    }
  }
}

/* Mean over heads of the softmax rows, for the policy. Heads are summed in order: the same bits for any pool. */
static void
observe (const TernAttending *a)
{
  const TernPass *pass = a->pass;
  guint n_keys = pass->pos + 1, group = group_size (a);
  TernKeyView view = { .layer = pass->layer, .n_keys = n_keys, .scores = pass->mean, .query = a->q };

  memset (pass->mean, 0, n_keys * sizeof (float));
  for (guint h = 0; h < a->n_heads; h++)
    pass->kernels->add (pass->mean, pass->scores + (gsize) (h - h % group) * pass->context
        + (gsize) (h % group) * n_keys, n_keys);
  for (guint i = 0; i < n_keys; i++)
    pass->mean[i] /= a->n_heads;
  pass->policy->observe (pass->policy->self, &view);
}

static void
attend_newest (TernAttending *a)
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
  tern_pool_run (tern_block_pool (pass, 4 * (gsize) n_keys * a->n_heads * a->head_dim),
      attend_heads, a, a->n_kv, 1);
  if (scored && policy->observe)
    observe (a);
}

void
tern_attend (TernAttending *a)
{
  const TernPass *pass = a->pass;

  if (pass->decode) {
    attend_newest (a);
    return;
  }
  a->tile = tile_rows (pass->n, pass->context);
  tern_pool_run (pass->pool, attend_tiles, a, a->n_heads * ((pass->n + a->tile - 1) / a->tile), 1);
}
