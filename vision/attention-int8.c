/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Full attention over the patches of one sub-image in int8: softmax(Q K^T / sqrt(d)) V (arXiv:1706.03762 eq. 1).
 *
 * Queries and keys have a scale each (after SageAttention, arXiv:2410.02367, section 4.2: keys without what all of them have in
 * common, which adds the same to every score of a query; here their bias), columns of values one a head. Weights are int8
 * relative to the largest of a group of keys (softmax_i8), and the groups come together as those of any input of
 * gemm_i8p do, each with its scale: exp (largest of the group - largest of all) / (127 * sum of weights). So what is
 * multiplied is normalised already, and nothing is brought down to a maximum that was found later.
 *
 * Where most keys of a group are much fainter than one of them, int8 loses them, though they may weigh something together.
 * The sum of the weights before and after rounding tells; rows that lost more than TERN_ATTENTION_LOST of it go once more
 * over what rounding left out, in int8 too, which makes fifteen bits. A row's result depends on that row alone. */
#include "vision/packed.h"

#include <math.h>

static guint
round_up (guint n, guint step)
{
  return (n + step - 1) / step * step;
}

/* Columns of a head's queries and keys, and of weights and packed values. */
static guint
head_cols (const TernVision *vision)
{
  return round_up (vision->head_dim, TERN_I8P_COLS);
}

static guint
key_cols (guint n)
{
  return round_up (n, TERN_I8P_COLS);
}

/* ---- Where they stand ----------------------------------------------------------------------------------------------
 * queries [n, heads, head_cols], keys [heads] packed [n, head_cols], values [heads] packed [head_dim, key_cols]. */

/* Of a row of queries. Quantising a head clears what lies behind it to whole TERN_T2_COLS: the next head of the row, which
 * comes later, or this. */
static gsize
query_stride (const TernVision *vision)
{
  return (gsize) vision->heads * head_cols (vision) + TERN_T2_COLS;
}

void
tern_int8_attention_carve (TernVisionState *state, TernArena *arena)
{
  const TernVision *vision = state->vision;
  gsize n = state->max_patches, heads = vision->heads, panels = tern_panels (n) * TERN_PANEL_ROWS;
  TernInt8Attention *to = &state->int8;

  to->queries = tern_arena_take (arena, n * query_stride (vision));
  to->query_scales = tern_arena_take (arena, n * heads * sizeof (float));
  to->query_sums = tern_arena_take (arena, n * heads * sizeof (gint32));
  to->keys = tern_arena_take (arena, panels * heads * head_cols (vision));
  to->key_scales = tern_arena_take (arena, panels * heads * sizeof (float));
  to->values = tern_arena_take (arena, heads * tern_i8p_bytes (vision->head_dim, n));
  to->value_scales = tern_arena_take (arena, heads * tern_panels (vision->head_dim) * TERN_PANEL_ROWS * sizeof (float));
}

static gsize
first_key (const TernVisionState *state, guint head, guint key)
{
  return head * tern_panels (state->n) * TERN_PANEL_ROWS + key;
}

void
tern_int8_attention_put_q (TernVisionState *state, guint row, guint n, const float *x)
{
  const TernVision *vision = state->vision;
  TernInt8Attention *to = &state->int8;
  guint t, head;

  for (t = row; t < row + n; t++)
    for (head = 0; head < vision->heads; head++, x += vision->head_dim) {
      gsize at = (gsize) t * vision->heads + head;

      vision->kernels->quant_i8 (to->queries + t * query_stride (vision) + (gsize) head * head_cols (vision),
          &to->query_scales[at], &to->query_sums[at], x, vision->head_dim);
    }
}

void
tern_int8_attention_put_k (TernVisionState *state, guint row, guint n, const float *x)
{
  const TernVision *vision = state->vision;
  guint head, i;

  for (head = 0; head < vision->heads; head++)
    for (i = 0; i < n; i += TERN_PANEL_ROWS) {
      gsize key = first_key (state, head, row + i);

      vision->kernels->pack_i8p (state->int8.keys + key * head_cols (vision), state->int8.key_scales + key,
          x + (gsize) i * vision->hidden + (gsize) head * vision->head_dim, vision->hidden, 1, MIN (TERN_PANEL_ROWS, n - i),
          vision->head_dim);
    }
}

static void
pack_values (void *data, guint begin, guint end, guint worker)
{
  TernVisionState *state = data;
  const TernVision *vision = state->vision;
  guint panels = (guint) tern_panels (vision->head_dim), i;

  for (i = begin; i < end; i++) {
    guint column = i % panels * TERN_PANEL_ROWS;

    vision->kernels->pack_i8p (state->int8.values + (gsize) i * TERN_PANEL_ROWS * key_cols (state->n),
        state->int8.value_scales + (gsize) i * TERN_PANEL_ROWS,
        state->loop.x + (gsize) (i / panels) * vision->head_dim + column, 1, vision->hidden,
        MIN (TERN_PANEL_ROWS, vision->head_dim - column), state->n);
  }
}

gboolean
tern_int8_attention_loop_values (TernVisionState *state, TernVisionLoop *loop, const float *x)
{
  *loop = (TernVisionLoop) { .func = pack_values, .items = state->vision->heads * (guint) tern_panels (state->vision->head_dim),
    .grain = 1, .work = (guint64) TERN_PANEL_ROWS * state->n, .x = x };
  return TRUE;
}

/* ---- The work ------------------------------------------------------------------------------------------------------
 * An item is one head and TERN_ATTENTION_ROWS of its queries. */

typedef struct {
  const TernVisionState *state;
  guint head, row, rows, groups;
  float *scores;                /* [rows, TERN_ATTENTION_KEYS], of a piece of the keys */
  gint8 *weights;               /* [rows, key_cols] */
  float *largest, *scale;       /* [rows, groups]; the first becomes exp (largest - that of all groups) */
  gint32 *sum;                  /* [rows, groups] */
  float *exact;                 /* [rows, groups]: sums of weights before rounding */
  float *more;                  /* [rows, head_dim]: of what rounding left out */
  gboolean lost[TERN_ATTENTION_ROWS];
} Block;

static void
take (const TernVisionState *state, TernArena *arena, Block *block)
{
  gsize rows = TERN_ATTENTION_ROWS;

  block->state = state;
  block->groups = (state->max_patches + TERN_ATTENTION_GROUP - 1) / TERN_ATTENTION_GROUP;
  block->scores = tern_arena_take (arena, rows * TERN_ATTENTION_KEYS * sizeof (float));
  block->weights = tern_arena_take (arena, rows * key_cols (state->max_patches));
  block->largest = tern_arena_take (arena, rows * block->groups * sizeof (float));
  block->scale = tern_arena_take (arena, rows * block->groups * sizeof (float));
  block->exact = tern_arena_take (arena, rows * block->groups * sizeof (float));
  block->sum = tern_arena_take (arena, rows * block->groups * sizeof (gint32));
  block->more = tern_arena_take (arena, rows * state->vision->head_dim * sizeof (float));
  block->groups = (state->n + TERN_ATTENTION_GROUP - 1) / TERN_ATTENTION_GROUP;
}

gsize
tern_int8_attention_scratch (const TernVisionState *state)
{
  TernArena arena = { 0 };
  Block block;

  take (state, &arena, &block);
  return arena.used;
}

/* Scores of keys [first, first + keys). */
static void
score (const Block *b, guint first, guint keys)
{
  const TernVision *vision = b->state->vision;
  const TernInt8Attention *from = &b->state->int8;
  gsize key = first_key (b->state, b->head, first), query = (gsize) b->row * vision->heads + b->head;
  guint cols = head_cols (vision);

  vision->kernels->gemm_i8p (b->scores, TERN_ATTENTION_KEYS, from->keys + key * cols, keys, cols, from->key_scales + key, NULL,
      from->queries + b->row * query_stride (vision) + (gsize) b->head * cols, query_stride (vision), cols,
      from->query_scales + query, from->query_sums + query, vision->heads, b->rows);
}

/* Weights of all keys, or what rounding left out of those of the rows that lost something; nothing of the others. */
static void
weigh (const Block *b, gboolean rest)
{
  const TernVision *vision = b->state->vision;
  float scale = 1 / sqrtf ((float) vision->head_dim);
  guint stride = key_cols (b->state->n), first, keys, t, i;

  for (first = 0; first < b->state->n; first += keys) {
    keys = MIN (TERN_ATTENTION_KEYS, b->state->n - first);
    score (b, first, keys);
    for (t = 0; t < b->rows; t++)
      for (i = 0; i < keys; i += TERN_ATTENTION_GROUP) {
        gsize group = (gsize) t * b->groups + (first + i) / TERN_ATTENTION_GROUP;
        gint8 *to = b->weights + (gsize) t * stride + first + i;
        guint n = MIN (TERN_ATTENTION_GROUP, keys - i);
        float largest, exact;

        if (rest && !b->lost[t]) {
          memset (to, 0, key_cols (n));
          b->sum[group] = 0;
          continue;
        }
        exact = vision->kernels->softmax_i8 (to, b->scores + (gsize) t * TERN_ATTENTION_KEYS + i, n, scale, rest, &largest,
            &b->sum[group]);
        if (!rest) {
          b->largest[group] = largest;
          b->exact[group] = exact;
        }
      }
  }
}

/* What each group of a row is multiplied with. TRUE: rounding lost too much. A NaN goes on to the result. */
static gboolean
normalise (const Block *b, guint t)
{
  float *scale = b->scale + (gsize) t * b->groups, *by = b->largest + (gsize) t * b->groups;
  const float *exact = b->exact + (gsize) t * b->groups;
  const gint32 *sum = b->sum + (gsize) t * b->groups;
  float most = by[0], before = 0, after = 0;
  gboolean lost;
  guint g;

  for (g = 1; g < b->groups; g++)
    most = by[g] > most ? by[g] : most;
  for (g = 0; g < b->groups; g++) {
    by[g] = expf (by[g] - most);
    before += by[g] * exact[g];
    after += by[g] * (float) sum[g] / 127;
  }
  lost = !(fabsf (before - after) <= TERN_ATTENTION_LOST * before);
  if (lost || isnan (before))
    after = before;
  for (g = 0; g < b->groups; g++)
    scale[g] = by[g] / (127 * after);
  return lost;
}

static void
multiply (const Block *b, float *y, gsize ldy)
{
  const TernVision *vision = b->state->vision;
  guint panels = (guint) tern_panels (vision->head_dim), cols = key_cols (b->state->n);
  gsize first = (gsize) b->head * panels * TERN_PANEL_ROWS;

  vision->kernels->gemm_i8p (y, ldy, b->state->int8.values + first * cols, vision->head_dim, cols,
      b->state->int8.value_scales + first, NULL, b->weights, cols, TERN_ATTENTION_GROUP, b->scale, b->sum, b->groups, b->rows);
}

/* What rounding left out, a 254th each, on top. */
static void
add_rest (const Block *b, float *y)
{
  const TernVision *vision = b->state->vision;
  gsize i;
  guint t;

  weigh (b, TRUE);
  for (i = 0; i < (gsize) b->rows * b->groups; i++)
    b->scale[i] /= 254;
  multiply (b, b->more, vision->head_dim);
  for (t = 0; t < b->rows; t++)
    if (b->lost[t])
      vision->kernels->add (y + (gsize) t * vision->hidden, b->more + (gsize) t * vision->head_dim, vision->head_dim);
}

static void
attend (Block *b)
{
  const TernVisionState *state = b->state;
  float *y = state->loop.y + (gsize) b->row * state->vision->hidden + (gsize) b->head * state->vision->head_dim;
  gboolean any = FALSE;
  guint t;

  weigh (b, FALSE);
  for (t = 0; t < b->rows; t++)
    any |= b->lost[t] = normalise (b, t);
  multiply (b, y, state->vision->hidden);
  if (any)
    add_rest (b, y);
}

static guint
blocks_of_rows (const TernVisionState *state)
{
  return (state->n + TERN_ATTENTION_ROWS - 1) / TERN_ATTENTION_ROWS;
}

static void
attend_blocks (void *data, guint begin, guint end, guint worker)
{
  const TernVisionState *state = data;
  TernArena arena = { .base = tern_pool_scratch (state->pool, worker) };
  guint blocks = blocks_of_rows (state), item;
  Block block;

  take (state, &arena, &block);
  for (item = begin; item < end && !tern_cancel_is_raised (state->cancel); item++) {
    block.head = item / blocks;
    block.row = item % blocks * TERN_ATTENTION_ROWS;
    block.rows = MIN (TERN_ATTENTION_ROWS, state->n - block.row);
    attend (&block);
  }
}

gboolean
tern_int8_attention_loop (TernVisionState *state, TernVisionLoop *loop, float *out)
{
  const TernVision *vision = state->vision;

  *loop = (TernVisionLoop) { .func = attend_blocks, .items = blocks_of_rows (state) * vision->heads, .grain = 1,
    .heavy = TRUE, .work = (guint64) TERN_ATTENTION_ROWS * state->n * (2 * vision->head_dim + TERN_VISION_VALUE_WORK),
    .y = out };
  return TRUE;
}
