/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Attention in pieces of a fixed size, so that neither memory nor the uninterruptible piece grows with the context, and
 * the bits do not depend on the number of threads.
 *
 * Prefill: a tile is one kv head x some query rows of all heads that share it. It walks over the keys block by block
 * with a running maximum (Milakov and Gimelshein, arXiv:1805.02867, algorithm 3; tiled as in arXiv:2205.14135,
 * algorithm 1):
 *   m' = max (m, max s), p = exp (s - m'), l' = l exp (m - m') + sum p, o' = o exp (m - m') + p V; at the end o / l.
 * Decode: a piece is one kv head x SPLIT keys; the pieces' m, l and o are merged in the order of the keys. */
#include "engine/llm/blocks/attend.h"

#include <math.h>
#include <string.h>

#define TILE_ROWS 96            /* rows of a prefill tile's products, about: query rows x heads that share keys */
#define TILE 32                 /* query rows of a prefill tile, at most */
#define BLOCK 256               /* keys of a block: with the rows above, products that stay in the second-level cache */
#define SPLIT 512               /* keys of a piece of decode */
#define FEW_HEADS 4             /* heads that share keys, up to which decode sums in the order for few rows */
#define FEW_LONG_HEADS 24       /* the same for dot products of long heads */
#define LONG_HEAD 256

static guint
group_size (const TernAttending *a)
{
  return a->n_heads / a->n_kv;
}

/* The order of summation of decode's scores: the same for every row and every depth of a model. */
static gboolean
many_heads (const TernAttending *a)
{
  return group_size (a) > (a->head_dim >= LONG_HEAD ? FEW_LONG_HEADS : FEW_HEADS);
}

static guint
tile_size (const TernAttending *a, guint n)
{
  return MIN (n, CLAMP (TILE_ROWS / group_size (a), 4, TILE));
}

static guint
split_count (guint n_keys)
{
  return (n_keys + SPLIT - 1) / SPLIT;
}

void
tern_attend_take (TernAttending *a, TernArena *arena, guint n, guint context)
{
  gsize q_dim = (gsize) a->n_heads * a->head_dim, kv_dim = (gsize) a->n_kv * a->head_dim;

  a->q = tern_plan_take (arena, n, q_dim, sizeof (float));
  a->k = tern_plan_take (arena, n, kv_dim, sizeof (float));
  a->v = tern_plan_take (arena, n, kv_dim, sizeof (float));
  a->o = tern_plan_take (arena, n, q_dim, sizeof (float));
  if (n > 1)
    return;
  a->parts = tern_plan_take (arena, split_count (context), q_dim, sizeof (float));
  a->largest = tern_plan_take (arena, split_count (context), a->n_heads, sizeof (float));
  a->total = tern_plan_take (arena, split_count (context), a->n_heads, sizeof (float));
}

/* ---- Prefill ----------------------------------------------------------------------------------------------------- */

/* A worker's memory for one tile of @rows. */
typedef struct {
  float *q, *o, *part;          /* [rows, head_dim] */
  float *scores;                /* [rows, BLOCK] */
  float *largest, *total;       /* [rows] */
} Tile;

static Tile
tile_take (TernArena *arena, gsize rows, gsize head_dim)
{
  Tile tile;

  tile.q = tern_plan_take (arena, rows, head_dim, sizeof (float));
  tile.o = tern_plan_take (arena, rows, head_dim, sizeof (float));
  tile.part = tern_plan_take (arena, rows, head_dim, sizeof (float));
  tile.scores = tern_plan_take (arena, rows, BLOCK, sizeof (float));
  tile.largest = tern_plan_take (arena, rows, 1, sizeof (float));
  tile.total = tern_plan_take (arena, rows, 1, sizeof (float));
  return tile;
}

/* Takes a row's scores of one block in: weights instead of scores, and what was summed so far scaled to the new
 * maximum. The first @seen of @n_keys keys are not in the row's future. */
static void
take_block (const TernAttending *a, const Tile *tile, guint row, gsize seen, gsize n_keys)
{
  float *scores = tile->scores + (gsize) row * BLOCK, *o = tile->o + (gsize) row * a->head_dim;
  float before = tile->largest[row], sum, shrink;

  memset (scores + seen, 0, (n_keys - seen) * sizeof (float));
  if (!seen)
    return;
  sum = a->pass->kernels->softmax_step (scores, seen, 1 / sqrtf (a->head_dim), &tile->largest[row]);
  shrink = before == tile->largest[row] ? 1 : expf (before - tile->largest[row]);
  tile->total[row] = tile->total[row] * shrink + sum;
  for (guint c = 0; shrink != 1 && c < a->head_dim; c++)
    o[c] *= shrink;
}

/* The rows t0 .. t1 - 1 of kv head @g. FALSE: cancelled. */
static gboolean
attend_tile (const TernAttending *a, const Tile *tile, guint g, guint t0, guint t1)
{
  const TernPass *pass = a->pass;
  guint group = group_size (a), rows = (t1 - t0) * group;
  gsize n_keys = (gsize) pass->pos + t1;

  for (gsize first = 0; first < n_keys; first += BLOCK) {
    gsize keys = MIN (BLOCK, n_keys - first);

    if (!tern_pass_goes_on (pass))
      return FALSE;
    tern_kv_dot (pass->kernels, tile->scores, BLOCK, tern_kvcache_keys (a->cache, g, first), keys, a->head_dim,
        tile->q, rows, TRUE);
    for (guint r = 0; r < rows; r++) {
      gsize end = (gsize) pass->pos + t0 + r / group + 1;       /* of what the row sees */

      take_block (a, tile, r, end > first ? MIN (keys, end - first) : 0, keys);
    }
    tern_kv_sum (pass->kernels, tile->part, tile->scores, BLOCK, tern_kvcache_values (a->cache, g, first), rows, keys,
        a->head_dim, TRUE, FALSE);
    pass->kernels->add (tile->o, tile->part, (gsize) rows * a->head_dim);
  }
  return TRUE;
}

/* Tiles [begin, end), counted kv head by kv head. */
static void
attend_tiles (void *data, guint begin, guint end, guint worker)
{
  const TernAttending *a = data;
  guint n = a->pass->n, per_head = (n + a->tile - 1) / a->tile, group = group_size (a);
  gsize width = (gsize) group * a->head_dim, ld = (gsize) a->n_heads * a->head_dim;
  TernArena arena = { .base = tern_pool_scratch (a->pass->pool, worker) };
  Tile tile = tile_take (&arena, (gsize) a->tile * group, a->head_dim);

  for (guint i = begin; i < end; i++) {
    guint g = i / per_head, t0 = i % per_head * a->tile, t1 = MIN (t0 + a->tile, n), rows = (t1 - t0) * group;

    for (guint t = t0; t < t1; t++)
      memcpy (tile.q + (t - t0) * width, a->q + t * ld + g * width, width * sizeof (float));
    memset (tile.o, 0, rows * a->head_dim * sizeof (float));
    for (guint r = 0; r < rows; r++) {
      tile.largest[r] = -INFINITY;
      tile.total[r] = 0;
    }
    if (!attend_tile (a, &tile, g, t0, t1))
      return;
    for (guint r = 0; r < rows; r++) {
      float *o = a->o + (t0 + r / group) * ld + g * width + r % group * a->head_dim;

      for (guint c = 0; c < a->head_dim; c++)
        o[c] = tile.o[(gsize) r * a->head_dim + c] / tile.total[r];
    }
  }
}

/* ---- Decode ------------------------------------------------------------------------------------------------------ */

/* A worker's memory for one piece. */
typedef struct {
  float *scores;                /* [group, SPLIT] */
  void *rows;                   /* gathered */
} Piece;

static Piece
piece_take (TernArena *arena, gsize group, guint head_dim)
{
  Piece piece;

  piece.scores = tern_plan_take (arena, group, SPLIT, sizeof (float));
  piece.rows = tern_plan_take (arena, 1, 1, tern_kv_gather_bytes (SPLIT, head_dim));
  return piece;
}

gsize
tern_attend_scratch (const TernAttending *a, guint n)
{
  TernArena tile = { 0 }, piece = { 0 };

  tile_take (&tile, (gsize) tile_size (a, n) * group_size (a), a->head_dim);
  piece_take (&piece, group_size (a), a->head_dim);
  return MAX (tile.used, piece.used);
}

/* The keys (or values) @first .. @first + @n - 1 of those that are attended to. */
static TernKvView
piece_rows (const TernAttending *a, const Piece *piece, TernKvView (*rows) (const TernKvCache *, guint, guint),
    guint g, guint first, guint n)
{
  if (!a->keys)
    return rows (a->cache, g, first);
  return tern_kv_gather (piece->rows, rows (a->cache, g, 0), a->keys + first, n, a->head_dim);
}

/* Pieces [begin, end), counted kv head by kv head. */
static void
attend_pieces (void *data, guint begin, guint end, guint worker)
{
  const TernAttending *a = data;
  const TernPass *pass = a->pass;
  guint group = group_size (a);
  float scale = 1 / sqrtf (a->head_dim);
  TernArena arena = { .base = tern_pool_scratch (pass->pool, worker) };
  Piece piece = piece_take (&arena, group, a->head_dim);

  for (guint i = begin; i < end && tern_pass_goes_on (pass); i++) {
    guint g = i / a->splits, first = i % a->splits * SPLIT, n = MIN (SPLIT, a->n_keys - first);
    gsize at = (gsize) i * group;
    TernKvView rows = piece_rows (a, &piece, tern_kvcache_keys, g, first, n);

    tern_kv_dot (pass->kernels, piece.scores, SPLIT, rows, n, a->head_dim, a->q + (gsize) g * group * a->head_dim,
        group, many_heads (a));
    for (guint h = 0; h < group; h++) {
      a->largest[at + h] = -INFINITY;
      a->total[at + h] = pass->kernels->softmax_step (piece.scores + (gsize) h * SPLIT, n, scale, &a->largest[at + h]);
    }
    rows = piece_rows (a, &piece, tern_kvcache_values, g, first, n);
    tern_kv_sum (pass->kernels, a->parts + at * a->head_dim, piece.scores, SPLIT, rows, group, n, a->head_dim,
        group > FEW_HEADS, FALSE);
  }
}

/* Puts the pieces of heads [begin, end) together; the first piece's maximum and total become the whole's. */
static void
merge_heads (void *data, guint begin, guint end, guint worker)
{
  const TernAttending *a = data;
  guint group = group_size (a);

  for (guint head = begin; head < end; head++) {
    gsize first = (gsize) (head / group) * a->splits * group + head % group;
    float *o = a->o + (gsize) head * a->head_dim, largest = -INFINITY, total = 0;

    memset (o, 0, a->head_dim * sizeof (float));
    for (guint s = 0; s < a->splits; s++)
      largest = MAX (largest, a->largest[first + (gsize) s * group]);
    for (guint s = 0; s < a->splits; s++) {
      gsize at = first + (gsize) s * group;
      const float *part = a->parts + at * a->head_dim;
      float weight = expf (a->largest[at] - largest);

      total += weight * a->total[at];
      for (guint c = 0; c < a->head_dim; c++)
        o[c] += weight * part[c];
    }
    for (guint c = 0; c < a->head_dim; c++)
      o[c] /= total;
    a->largest[first] = largest;
    a->total[first] = total;
  }
}

/* Mean over heads of the weights of splits [begin, end) of the keys. The scores are computed once more rather than
 * kept: one layer asks for them, and they are heads x context. Heads are summed in order: the same bits for any pool. */
static void
weigh_splits (void *data, guint begin, guint end, guint worker)
{
  const TernAttending *a = data;
  const TernPass *pass = a->pass;
  guint group = group_size (a);
  TernArena arena = { .base = tern_pool_scratch (pass->pool, worker) };
  Piece piece = piece_take (&arena, group, a->head_dim);

  for (guint s = begin; s < end && tern_pass_goes_on (pass); s++) {
    guint first = s * SPLIT, n = MIN (SPLIT, a->n_keys - first);
    float *mean = pass->mean + first;

    memset (mean, 0, n * sizeof (float));
    for (guint head = 0; head < a->n_heads; head++) {
      float *scores = piece.scores + (gsize) (head % group) * SPLIT;
      gsize whole = (gsize) (head / group) * a->splits * group + head % group;
      float largest = a->largest[whole];

      if (head % group == 0)
        tern_kv_dot (pass->kernels, piece.scores, SPLIT, tern_kvcache_keys (a->cache, head / group, first), n,
            a->head_dim, a->q + (gsize) head * a->head_dim, group, many_heads (a));
      pass->kernels->softmax_step (scores, n, 1 / sqrtf (a->head_dim), &largest);
      for (guint i = 0; i < n; i++)
        mean[i] += scores[i] / a->total[whole];
    }
    for (guint i = 0; i < n; i++)
      mean[i] /= a->n_heads;
  }
}

static void
observe (const TernAttending *a)
{
  const TernPass *pass = a->pass;
  TernKeyView view = { .layer = pass->layer, .n_keys = a->n_keys, .scores = pass->mean, .query = a->q };

  tern_pool_run (pass->pool, weigh_splits, (void *) a, a->splits, 1);
  if (tern_pass_goes_on (pass))
    pass->policy->observe (pass->policy->self, &view);
}

static void
attend_newest (TernAttending *a)
{
  const TernPass *pass = a->pass;
  const TernKeyPolicy *policy = pass->policy;
  gboolean scored = policy && policy->score_layer == (gint) pass->layer;
  gsize dims = (gsize) a->n_heads * a->head_dim;

  a->keys = NULL;
  a->n_keys = pass->pos + 1;
  if (policy && policy->keys && !scored) {
    guint n;

    a->keys = policy->keys (policy->self, pass->layer, a->n_keys, &n);
    if (a->keys && n == a->n_keys)
      a->keys = NULL;           /* all of them: nothing to fetch, and exactly the bits of the full computation */
    if (a->keys)
      a->n_keys = n;
  }
  a->splits = split_count (a->n_keys);
  tern_pool_run (tern_block_pool (pass, 4 * a->n_keys * dims), attend_pieces, a, a->n_kv * a->splits, 1);
  tern_pool_run (tern_block_pool (pass, 2 * a->splits * dims), merge_heads, a, a->n_heads, 1);
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
  a->tile = tile_size (a, pass->n);
  tern_pool_run (pass->pool, attend_tiles, a, a->n_kv * ((pass->n + a->tile - 1) / a->tile), 1);
}
