/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Attention in pieces of a fixed size, so that neither memory nor the uninterruptible piece grows with the context, and
 * the bits do not depend on the number of threads.
 *
 * Prefill: a tile is one kv head x some query rows of all heads that share it. It walks over the keys block by block
 * with a running maximum (Milakov and Gimelshein, arXiv:1805.02867, algorithm 3; tiled as in arXiv:2205.14135,
 * algorithm 1):
 *   m' = max (m, max s), p = exp (s - m'), l' = l exp (m - m') + sum p, o' = o exp (m - m') + p V; at the end o / l.
 * Decode: a piece is one kv head x SPLIT keys; the pieces' m, l and o are merged in the order of the keys. Where there are
 * pieces enough, a thread does those of all heads together, page by page: a page has its keys side by side, head by head, and so
 * memory is read in runs of tens of KiB. Where a policy leaves keys out, a piece is KEPT keys of those that are left: the rows of a
 * page are brought together head by head, in the order in which they lie.
 *
 * Where a cache has its rows rotated (kvcache.h), queries are when they are taken, and results are turned back when they are
 * whole. */
#include "engine/llm/blocks/attend.h"

#include <math.h>
#include <string.h>

#define TILE_ROWS 96            /* rows of a prefill tile's products, about: query rows x heads that share keys */
#define TILE 32                 /* query rows of a prefill tile, at most */
#define BLOCK 256               /* keys of a block: with the rows above, products that stay in the second-level cache */
#define SPLIT 512               /* keys of a piece of decode */
#define KEPT 128                /* ... where some are left out; part of a run of sums */
G_STATIC_ASSERT (KEPT <= SPLIT && KEPT <= TERN_KV_RUN);

static guint
group_size (const TernAttending *a)
{
  return a->n_heads / a->n_kv;
}

static guint
tile_size (const TernAttending *a, guint n)
{
  return MIN (n, CLAMP (TILE_ROWS / group_size (a), 4, TILE));
}

static guint
split_count (guint n_keys, guint split)
{
  return (n_keys + split - 1) / split;
}

void
tern_attend_take (TernAttending *a, TernArena *arena, guint n, guint context)
{
  gsize q_dim = (gsize) a->n_heads * a->head_dim, kv_dim = (gsize) a->n_kv * a->head_dim;
  gsize pieces = ((gsize) split_count (context, KEPT) + n) * a->n_kv;

  a->q = tern_plan_take (arena, n, q_dim, sizeof (float));
  a->k = tern_plan_take (arena, n, kv_dim, sizeof (float));
  a->v = tern_plan_take (arena, n, kv_dim, sizeof (float));
  a->o = tern_plan_take (arena, n, q_dim, sizeof (float));
  a->tile_end = tern_plan_take (arena, n, sizeof *a->tile_end, 1);
  a->rows = tern_plan_take (arena, n, sizeof *a->rows, 1);
  a->max_pieces = (guint) MIN (pieces, G_MAXUINT32 / 2);
  a->parts = tern_plan_take (arena, pieces, group_size (a) * sizeof (float), a->head_dim);
  a->largest = tern_plan_take (arena, pieces, group_size (a), sizeof (float));
  a->total = tern_plan_take (arena, pieces, group_size (a), sizeof (float));
}

TernKvCache
tern_attend_cache (const TernAttending *a, const TernTimeline *timeline)
{
  return (TernKvCache) { .type = timeline->store->kv, .n_kv = a->n_kv, .head_dim = a->head_dim,
    .table = &timeline->table, .at = tern_pass_page_at (a->pass, timeline) };
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
  sum = a->pass->kernels->softmax_step (scores, seen, a->scale, &tile->largest[row]);
  shrink = before == tile->largest[row] ? 1 : expf (before - tile->largest[row]);
  tile->total[row] = tile->total[row] * shrink + sum;
  for (guint c = 0; shrink != 1 && c < a->head_dim; c++)
    o[c] *= shrink;
}

/* The rows t0 .. t1 - 1 of a segment, of kv head @g. FALSE: cancelled. */
static gboolean
attend_tile (const TernAttending *a, const Tile *tile, const TernPassSegment *segment, guint g, guint t0, guint t1)
{
  const TernPass *pass = a->pass;
  TernKvCache cache = tern_attend_cache (a, segment->segment.timeline);
  guint group = group_size (a), rows = (t1 - t0) * group;
  gsize n_keys = (gsize) segment->pos + t1;

  for (gsize first = 0; first < n_keys; first += BLOCK) {
    gsize keys = MIN (BLOCK, n_keys - first);

    if (!tern_pass_goes_on (pass))
      return FALSE;
    tern_kvcache_dot (&cache, pass->kernels, tile->scores, BLOCK, g, first, keys, tile->q, rows, TRUE,
        (TernKvNext) { &cache, TERN_KV_VALUES, g, first, keys });
    for (guint r = 0; r < rows; r++) {
      gsize end = (gsize) segment->pos + t0 + r / group + 1;    /* of what the row sees */

      take_block (a, tile, r, end > first ? MIN (keys, end - first) : 0, keys);
    }
    tern_kvcache_sum (&cache, pass->kernels, tile->part, NULL, tile->scores, BLOCK, g, first, rows, keys, TRUE,
        (TernKvNext) { &cache, TERN_KV_KEYS, g, first + keys, MIN (BLOCK, n_keys - first - keys) });
    pass->kernels->add (tile->o, tile->part, (gsize) rows * a->head_dim);
  }
  return TRUE;
}

static guint
tiles_per_head (const TernAttending *a, guint n)
{
  guint tile = tile_size (a, n);

  return (n + tile - 1) / tile;
}

static void
run_tile (const TernAttending *a, const Tile *tile, const TernPassSegment *segment, guint i)
{
  guint n = segment->segment.n, size = tile_size (a, n), per_head = tiles_per_head (a, n), group = group_size (a);
  gsize width = (gsize) group * a->head_dim, ld = (gsize) a->n_heads * a->head_dim;
  guint g = i / per_head, t0 = i % per_head * size, t1 = MIN (t0 + size, n), rows = (t1 - t0) * group;
  const float *q = a->q + segment->first * ld;
  float *out = a->o + segment->first * ld;
  const TernKernels *kernels = a->pass->kernels;
  TernKvType kv = segment->segment.timeline->store->kv;

  for (guint t = t0; t < t1; t++)
    memcpy (tile->q + (t - t0) * width, q + t * ld + g * width, width * sizeof (float));
  tern_kv_rotate (kv, kernels, tile->q, rows, a->head_dim);
  memset (tile->o, 0, rows * a->head_dim * sizeof (float));
  for (guint r = 0; r < rows; r++) {
    tile->largest[r] = -INFINITY;
    tile->total[r] = 0;
  }
  if (!attend_tile (a, tile, segment, g, t0, t1))
    return;
  for (guint r = 0; r < rows; r++) {
    float *o = out + (t0 + r / group) * ld + g * width + r % group * a->head_dim;

    for (guint c = 0; c < a->head_dim; c++)
      o[c] = tile->o[(gsize) r * a->head_dim + c] / tile->total[r];
    tern_kv_rotate (kv, kernels, o, 1, a->head_dim);
  }
}

/* Tiles [begin, end), counted segment by segment, kv head by kv head. */
static void
attend_tiles (void *data, guint begin, guint end, guint worker)
{
  const TernAttending *a = data;
  const TernPass *pass = a->pass;
  TernArena arena = { .base = tern_pool_scratch (pass->pool, worker) };
  Tile tile = tile_take (&arena, (gsize) tile_size (a, pass->n) * group_size (a), a->head_dim);
  guint s = 0;

  for (guint i = begin; i < end && tern_pass_goes_on (pass); i++) {
    while (i >= a->tile_end[s])
      s++;
    run_tile (a, &tile, &pass->segments[s], i - (s ? a->tile_end[s - 1] : 0));
  }
}

/* All rows but those of decode. */
static void
attend_many (TernAttending *a)
{
  const TernPass *pass = a->pass;
  guint tiles = 0;

  for (guint s = 0; s < pass->n_segments; s++) {
    if (!pass->segments[s].segment.decode)
      tiles += a->n_kv * tiles_per_head (a, pass->segments[s].segment.n);
    a->tile_end[s] = tiles;
  }
  tern_pool_run (pass->pool, attend_tiles, a, tiles, 1);
}

/* ---- Decode ------------------------------------------------------------------------------------------------------ */

/* A worker's memory for one piece. */
typedef struct {
  float *scores;                /* [n_heads, SPLIT] */
  float *spare;                 /* [n_heads, head_dim] */
  void *rows;                   /* gathered, of one page */
} Piece;

static Piece
piece_take (TernArena *arena, const TernAttending *a)
{
  Piece piece;

  piece.scores = tern_plan_take (arena, a->n_heads, SPLIT, sizeof (float));
  piece.spare = tern_plan_take (arena, a->n_heads, a->head_dim, sizeof (float));
  piece.rows = tern_plan_take (arena, 1, 1, tern_kv_gather_bytes (a->head_dim));
  return piece;
}

gsize
tern_attend_scratch (const TernAttending *a, guint n)
{
  TernArena tile = { 0 }, piece = { 0 };

  tile_take (&tile, (gsize) tile_size (a, n) * group_size (a), a->head_dim);
  piece_take (&piece, a);
  return MAX (tile.used, piece.used);
}

/* Few rows: those that share a kv head. What is fast for them depends on the model alone. */
static gboolean
decode_many (const TernAttending *a)
{
  return group_size (a) > 4;
}

static void
score_piece (const TernAttending *a, const Piece *piece, const TernAttendRow *row, guint g, guint first, guint n)
{
  guint group = group_size (a);
  const float *q = a->q + ((gsize) row->row * a->n_heads + (gsize) g * group) * a->head_dim;

  tern_kvcache_dot (&row->cache, a->pass->kernels, piece->scores, SPLIT, g, first, n, q, group, decode_many (a),
      (TernKvNext) { &row->cache, TERN_KV_VALUES, g, first, n });
}

/* What unit @i of @row begins with. */
static TernKvNext
first_keys (const TernAttendRow *row, guint i)
{
  guint first = i % row->splits * SPLIT;

  if (row->keys)
    return (TernKvNext) { 0 };
  return (TernKvNext) { &row->cache, TERN_KV_KEYS, i / row->splits, first, MIN (SPLIT, row->n_keys - first) };
}

/* What is read after @head's @part of the keys from @pos on that are in one page, up to @end: the next head's, then those of
 * the next page, then @next. */
static TernKvNext
after_head (const TernAttending *a, const TernAttendRow *row, TernKvPart part, guint head, guint pos, guint end,
    TernKvNext next)
{
  guint begin = head + 1 < a->n_kv ? pos : pos + TERN_PAGE_ROWS;

  if (begin >= end)
    return next;
  return (TernKvNext) { &row->cache, part, head + 1 < a->n_kv ? head + 1 : 0, begin, MIN (TERN_PAGE_ROWS, end - begin) };
}

/* Weights of heads [0, n) instead of their scores; @at: the first one's place in the arrays, @stride of one kv head after the
 * other. */
static void
weigh_heads (const TernAttending *a, float *scores, guint n_keys, guint n, gsize at, gsize stride)
{
  float scale = a->scale;
  guint group = group_size (a);

  for (guint h = 0; h < n; h++) {
    gsize to = at + h / group * stride + h % group;

    a->largest[to] = -INFINITY;
    a->total[to] = a->pass->kernels->softmax_step (scores + (gsize) h * SPLIT, n_keys, scale, &a->largest[to]);
  }
}

/* Split @s of the keys for all heads of a row. */
static void
run_split (const TernAttending *a, const Piece *piece, const TernAttendRow *row, guint s, TernKvNext next)
{
  const TernKernels *kernels = a->pass->kernels;
  guint group = group_size (a), first = s * SPLIT, n = MIN (SPLIT, row->n_keys - first), end = first + n;
  gsize at = (gsize) (row->piece + s) * group, stride = (gsize) row->splits * group;
  const float *q = a->q + (gsize) row->row * a->n_heads * a->head_dim;
  gsize width = (gsize) group * a->head_dim;

  for (guint pos = first; pos < end; pos += TERN_PAGE_ROWS)
    for (guint g = 0; g < a->n_kv; g++)
      tern_kvcache_dot (&row->cache, kernels, piece->scores + (gsize) g * group * SPLIT + pos - first, SPLIT, g, pos,
          MIN (TERN_PAGE_ROWS, end - pos), q + g * width, group, decode_many (a),
          after_head (a, row, TERN_KV_KEYS, g, pos, end,
              (TernKvNext) { &row->cache, TERN_KV_VALUES, 0, first, MIN (TERN_PAGE_ROWS, n) }));
  weigh_heads (a, piece->scores, n, a->n_heads, at, stride);
  for (guint i = 0; i < n; i += TERN_PAGE_ROWS)
    for (guint g = 0; g < a->n_kv; g++)
      tern_kvcache_sum_page (&row->cache, kernels, a->parts + (at + g * stride) * a->head_dim, piece->spare + g * width,
          piece->scores + (gsize) g * group * SPLIT, SPLIT, g, first, i, group, n, decode_many (a),
          after_head (a, row, TERN_KV_VALUES, g, first + i, end, next));
}

/* One split of the keys of one kv head of a row; @at: its group of heads in the arrays. */
static void
run_piece (const TernAttending *a, const Piece *piece, const TernAttendRow *row, guint i, TernKvNext next)
{
  const TernKernels *kernels = a->pass->kernels;
  guint group = group_size (a), g = i / row->splits, first = i % row->splits * SPLIT, n = MIN (SPLIT, row->n_keys - first);
  gsize at = (gsize) (row->piece + i) * group;
  float *part = a->parts + at * a->head_dim;

  score_piece (a, piece, row, g, first, n);
  weigh_heads (a, piece->scores, n, group, at, 0);
  tern_kvcache_sum (&row->cache, kernels, part, piece->spare, piece->scores, SPLIT, g, first, group, n, decode_many (a), next);
}

/* Kept keys of a row, in one page: @n from the @i-th on, and @then those after them. */
typedef struct {
  guint i, n, then;
} Keys;

static Keys
first_kept (const TernAttendRow *row, guint i, guint end)
{
  Keys keys = { i, tern_kv_in_page (row->keys + i, end - i), 0 };

  keys.then = tern_kv_in_page (row->keys + i + keys.n, end - i - keys.n);
  return keys;
}

/* @keys of head @g side by side, while what is read next is fetched: the next head's up to @heads, then those after them, for which
 * @head comes first. */
static TernKvView
gather (const Piece *piece, const TernAttendRow *row, TernKvPart part, Keys keys, guint g, guint head, guint heads)
{
  const gint32 *index = row->keys + keys.i;
  TernKvKept now = tern_kv_kept (&row->cache, part, g, index, keys.n);

  return tern_kv_gather (piece->rows, &row->cache, now, g + 1 < heads ? tern_kv_kept (&row->cache, part, g + 1, index, keys.n)
      : tern_kv_kept (&row->cache, part, head, index + keys.n, keys.then));
}

/* Split @s of the keys that are left to a row, for kv heads [head, heads). */
static void
run_kept (const TernAttending *a, const Piece *piece, const TernAttendRow *row, guint s, guint head, guint heads)
{
  const TernKernels *kernels = a->pass->kernels;
  guint group = group_size (a), first = s * KEPT, end = MIN (first + KEPT, row->n_keys);
  gsize at = ((gsize) row->piece + (gsize) head * row->splits + s) * group, stride = (gsize) row->splits * group;
  const float *q = a->q + (gsize) row->row * a->n_heads * a->head_dim;
  gsize width = (gsize) group * a->head_dim;
  Keys keys;

  for (keys = first_kept (row, first, end); keys.n > 0; keys = first_kept (row, keys.i + keys.n, end))
    for (guint g = head; g < heads; g++)
      tern_kv_dot (kernels, piece->scores + (gsize) (g - head) * group * SPLIT + keys.i - first, SPLIT,
          gather (piece, row, TERN_KV_KEYS, keys, g, head, heads), keys.n, a->head_dim, q + g * width, group, decode_many (a));
  weigh_heads (a, piece->scores, end - first, (heads - head) * group, at, stride);
  for (keys = first_kept (row, first, end); keys.n > 0; keys = first_kept (row, keys.i + keys.n, end))
    for (guint g = head; g < heads; g++)
      tern_kv_sum (kernels, a->parts + (at + (g - head) * stride) * a->head_dim,
          piece->scores + (gsize) (g - head) * group * SPLIT + keys.i - first, SPLIT,
          gather (piece, row, TERN_KV_VALUES, keys, g, head, heads), group, keys.n, a->head_dim, keys.i > first, decode_many (a));
}

static void
run_kept_unit (const TernAttending *a, const Piece *piece, const TernAttendRow *row, guint i)
{
  if (row->together)
    run_kept (a, piece, row, i, 0, a->n_kv);
  else
    run_kept (a, piece, row, i % row->splits, i / row->splits, i / row->splits + 1);
}

/* Of @row or one after it: that which has unit @i of all. */
static const TernAttendRow *
row_of_unit (const TernAttendRow *row, guint i)
{
  while (i >= row->unit + row->units)
    row++;
  return row;
}

/* Units [begin, end), counted row by row, kv head by kv head. */
static void
attend_units (void *data, guint begin, guint end, guint worker)
{
  const TernAttending *a = data;
  const TernPass *pass = a->pass;
  TernArena arena = { .base = tern_pool_scratch (pass->pool, worker) };
  Piece piece = piece_take (&arena, a);
  const TernAttendRow *row = row_of_unit (a->rows, begin);

  for (guint i = begin; i < end && tern_pass_goes_on (pass); i++) {
    const TernAttendRow *then = i + 1 < a->n_units ? row_of_unit (row, i + 1) : NULL; /* most often this worker's */
    TernKvNext next = then ? first_keys (then, i + 1 - then->unit) : (TernKvNext) { 0 };

    if (row->keys)
      run_kept_unit (a, &piece, row, i - row->unit);
    else if (row->together)
      run_split (a, &piece, row, i - row->unit, next);
    else
      run_piece (a, &piece, row, i - row->unit, next);
    row = then;
  }
}

/* Puts the pieces of heads [begin, end), counted row by row, together; the first piece's maximum and total become the
 * whole's. */
static void
merge_heads (void *data, guint begin, guint end, guint worker)
{
  const TernAttending *a = data;
  guint group = group_size (a);

  for (guint i = begin; i < end; i++) {
    const TernAttendRow *row = &a->rows[i / a->n_heads];
    guint head = i % a->n_heads;
    gsize first = ((gsize) row->piece + (gsize) (head / group) * row->splits) * group + head % group;
    float *o = a->o + ((gsize) row->row * a->n_heads + head) * a->head_dim, largest = -INFINITY, total = 0;

    memset (o, 0, a->head_dim * sizeof (float));
    for (guint s = 0; s < row->splits; s++)
      largest = MAX (largest, a->largest[first + (gsize) s * group]);
    for (guint s = 0; s < row->splits; s++) {
      gsize at = first + (gsize) s * group;
      const float *part = a->parts + at * a->head_dim;
      float weight = expf (a->largest[at] - largest);

      total += weight * a->total[at];
      for (guint c = 0; c < a->head_dim; c++)
        o[c] += weight * part[c];
    }
    for (guint c = 0; c < a->head_dim; c++)
      o[c] /= total;
    tern_kv_rotate (row->cache.type, a->pass->kernels, o, 1, a->head_dim);
    a->largest[first] = largest;
    a->total[first] = total;
  }
}

typedef struct {
  const TernAttending *a;
  const TernAttendRow *row;
} Weighing;

/* Mean over heads of the weights of splits [begin, end) of the keys. The scores are computed once more rather than
 * kept: one layer asks for them, and they are heads x context. Heads are summed in order: the same bits for any pool. */
static void
weigh_splits (void *data, guint begin, guint end, guint worker)
{
  const TernAttending *a = ((const Weighing *) data)->a;
  const TernAttendRow *row = ((const Weighing *) data)->row;
  const TernPass *pass = a->pass;
  guint group = group_size (a);
  TernArena arena = { .base = tern_pool_scratch (pass->pool, worker) };
  Piece piece = piece_take (&arena, a);

  for (guint s = begin; s < end && tern_pass_goes_on (pass); s++) {
    guint first = s * SPLIT, n = MIN (SPLIT, row->n_keys - first);
    float *mean = pass->mean + first;

    memset (mean, 0, n * sizeof (float));
    for (guint head = 0; head < a->n_heads; head++) {
      float *scores = piece.scores + (gsize) (head % group) * SPLIT;
      gsize whole = ((gsize) row->piece + (gsize) (head / group) * row->splits) * group + head % group;
      float largest = a->largest[whole];

      if (head % group == 0)
        score_piece (a, &piece, row, head / group, first, n);
      pass->kernels->softmax_step (scores, n, a->scale, &largest);
      for (guint i = 0; i < n; i++)
        mean[i] += scores[i] / a->total[whole];
    }
    for (guint i = 0; i < n; i++)
      mean[i] /= a->n_heads;
  }
}

static void
observe (const TernAttending *a, const TernAttendRow *row)
{
  const TernPass *pass = a->pass;
  Weighing weighing = { a, row };
  float *q = a->q + (gsize) row->row * a->n_heads * a->head_dim;
  TernKeyView view = { .layer = pass->layer, .n_keys = row->n_keys, .scores = pass->mean, .query = q };

  tern_pool_run (pass->pool, weigh_splits, &weighing, row->splits, 1);
  if (!tern_pass_goes_on (pass))
    return;
  tern_kv_rotate (row->cache.type, pass->kernels, q, a->n_heads, a->head_dim);  /* back: nobody else needs it any more */
  row->policy->observe (row->policy->self, &view);
}

/* Asks the policy of row @t, and says how its keys are cut. From here on its queries are as the cache's keys are. */
static TernAttendRow
prepare_row (const TernAttending *a, guint t)
{
  const TernPassSegment *segment = tern_pass_segment_of (a->pass, t);
  const TernKeyPolicy *policy = segment->segment.timeline->policy;
  TernAttendRow row = { .row = t, .cache = tern_attend_cache (a, segment->segment.timeline), .policy = policy,
    .n_keys = tern_pass_pos (a->pass, t) + 1 };

  row.scored = policy && policy->score_layer == (gint) a->pass->layer;
  if (policy && policy->keys && !row.scored) {
    guint n;

    row.keys = policy->keys (policy->self, a->pass->layer, row.n_keys, &n);
    if (row.keys && n == row.n_keys)
      row.keys = NULL;          /* all of them: nothing to fetch, and exactly the bits of the full computation */
    if (row.keys)
      row.n_keys = n;
  }
  row.splits = split_count (row.n_keys, row.keys ? KEPT : SPLIT);
  tern_kv_rotate (row.cache.type, a->pass->kernels, a->q + (gsize) t * a->n_heads * a->head_dim, a->n_heads, a->head_dim);
  return row;
}

/* Splits of a thread, at least, where it does all heads together: else some would wait for others. */
#define SPLITS_EACH 3

static void
run_rows (TernAttending *a)
{
  const TernPass *pass = a->pass;
  gsize dims = (gsize) a->n_heads * a->head_dim, keys = 0, splits = 0;

  for (guint i = 0; i < a->n_rows; i++) {
    keys += a->rows[i].n_keys;
    splits += a->rows[i].splits;
  }
  a->n_units = 0;
  for (guint i = 0; i < a->n_rows; i++) {
    TernAttendRow *row = &a->rows[i];

    row->together = splits >= SPLITS_EACH * tern_pool_threads (pass->pool);
    row->unit = a->n_units;
    row->units = row->together ? row->splits : a->n_kv * row->splits;
    a->n_units += row->units;
  }
  tern_pool_run (tern_block_pool (pass, 4 * keys * dims), attend_units, a, a->n_units, 1);
  tern_pool_run (tern_block_pool (pass, 2 * splits * dims), merge_heads, a, a->n_rows * a->n_heads, 1);
  for (guint i = 0; i < a->n_rows && tern_pass_goes_on (pass); i++)
    if (a->rows[i].scored && a->rows[i].policy->observe)
      observe (a, &a->rows[i]);
  a->n_rows = a->n_pieces = 0;
}

/* Decode rows, as many together as there is room for their pieces: all of them but at great depth. */
static void
attend_newest (TernAttending *a)
{
  a->n_rows = a->n_pieces = 0;
  for (guint t = 0; t < a->pass->n_decode; t++) {
    TernAttendRow row = prepare_row (a, t);
    guint pieces = a->n_kv * row.splits;

    if (a->n_pieces + pieces > a->max_pieces)
      run_rows (a);
    row.piece = a->n_pieces;
    a->rows[a->n_rows++] = row;
    a->n_pieces += pieces;
  }
  if (a->n_rows > 0)
    run_rows (a);
}

void
tern_attend (TernAttending *a)
{
  if (a->pass->n_decode > 0)
    attend_newest (a);
  if (a->pass->n > a->pass->n_decode && tern_pass_goes_on (a->pass))
    attend_many (a);
}
