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
#include <string.h>

/* Columns of a head's queries and keys, and of weights and packed values. */
static guint
head_cols (const TernVision *vision)
{
  return tern_round_up (vision->head_dim, TERN_I8P_COLS);
}

static guint
key_cols (guint n)
{
  return tern_round_up (n, TERN_I8P_COLS);
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

/* ---- The work ---------------------------------------------------------------------------------------------------- */

/* A worker's, of one block. */
typedef struct {
  const TernVisionState *state;
  TernAttentionBlock block;
  guint groups;
  float *scores;                /* [rows, TERN_ATTENTION_KEYS], of a piece of the keys */
  gint8 *weights;               /* [rows, key_cols] */
  float *largest, *scale;       /* [rows, groups]; the first becomes exp (largest - that of all groups) */
  gint32 *sum;                  /* [rows, groups] */
  float *exact;                 /* [rows, groups]: sums of weights before rounding */
  float *more;                  /* [rows, head_dim]: of what rounding left out */
  gboolean lost[TERN_ATTENTION_ROWS];
} Room;

static void
take (const TernVisionState *state, TernArena *arena, Room *room)
{
  gsize rows = TERN_ATTENTION_ROWS, groups = (state->max_patches + TERN_ATTENTION_GROUP - 1) / TERN_ATTENTION_GROUP;

  room->state = state;
  room->scores = tern_arena_take (arena, rows * TERN_ATTENTION_KEYS * sizeof (float));
  room->weights = tern_arena_take (arena, rows * key_cols (state->max_patches));
  room->largest = tern_arena_take (arena, rows * groups * sizeof (float));
  room->scale = tern_arena_take (arena, rows * groups * sizeof (float));
  room->exact = tern_arena_take (arena, rows * groups * sizeof (float));
  room->sum = tern_arena_take (arena, rows * groups * sizeof (gint32));
  room->more = tern_arena_take (arena, rows * state->vision->head_dim * sizeof (float));
  room->groups = (state->n + TERN_ATTENTION_GROUP - 1) / TERN_ATTENTION_GROUP;
}

gsize
tern_int8_attention_scratch (const TernVisionState *state)
{
  TernArena arena = { 0 };
  Room room;

  take (state, &arena, &room);
  return arena.used;
}

/* Scores of keys [first, first + keys). */
static void
score (const Room *room, guint first, guint keys)
{
  const TernVision *vision = room->state->vision;
  const TernInt8Attention *from = &room->state->int8;
  const TernAttentionBlock *b = &room->block;
  gsize key = first_key (room->state, b->head, first), query = (gsize) b->row * vision->heads + b->head;
  guint cols = head_cols (vision);

  vision->kernels->gemm_i8p (room->scores, TERN_ATTENTION_KEYS, from->keys + key * cols, keys, cols, from->key_scales + key, NULL,
      from->queries + b->row * query_stride (vision) + (gsize) b->head * cols, query_stride (vision), cols,
      from->query_scales + query, from->query_sums + query, vision->heads, b->rows);
}

/* Weights of keys [first, first + n), a group, of row @t, or what rounding left out of them if it lost something: else
 * nothing. */
static void
weigh_group (const Room *room, guint t, guint first, guint n, gboolean rest)
{
  const TernVision *vision = room->state->vision;
  const float *scores = room->scores + (gsize) t * TERN_ATTENTION_KEYS + first % TERN_ATTENTION_KEYS;
  gint8 *to = room->weights + (gsize) t * key_cols (room->state->n) + first;
  gsize group = (gsize) t * room->groups + first / TERN_ATTENTION_GROUP;
  float largest, exact;

  if (rest && !room->lost[t]) {
    memset (to, 0, key_cols (n));
    room->sum[group] = 0;
    return;
  }
  exact = vision->kernels->softmax_i8 (to, scores, n, 1 / sqrtf ((float) vision->head_dim), rest, &largest, &room->sum[group]);
  if (!rest) {
    room->largest[group] = largest;
    room->exact[group] = exact;
  }
}

/* Of all keys. */
static void
weigh (const Room *room, gboolean rest)
{
  guint first, keys, t, i;

  for (first = 0; first < room->state->n; first += keys) {
    keys = MIN (TERN_ATTENTION_KEYS, room->state->n - first);
    score (room, first, keys);
    for (t = 0; t < room->block.rows; t++)
      for (i = 0; i < keys; i += TERN_ATTENTION_GROUP)
        weigh_group (room, t, first + i, MIN (TERN_ATTENTION_GROUP, keys - i), rest);
  }
}

/* What each group of a row is multiplied with. TRUE: rounding lost too much, or there is a NaN, which goes on
 * to the result. */
static gboolean
normalise (const Room *room, guint t)
{
  float *scale = room->scale + (gsize) t * room->groups, *by = room->largest + (gsize) t * room->groups;
  const float *exact = room->exact + (gsize) t * room->groups;
  const gint32 *sum = room->sum + (gsize) t * room->groups;
  float most = by[0], before = 0, after = 0;
  gboolean lost;
  guint g;

  for (g = 1; g < room->groups; g++)
    most = by[g] > most ? by[g] : most;
  for (g = 0; g < room->groups; g++) {
    by[g] = expf (by[g] - most);
    before += by[g] * exact[g];
    after += by[g] * (float) sum[g] / 127;
  }
  lost = !(fabsf (before - after) <= TERN_ATTENTION_LOST * before);
  if (lost)
    after = before;
  for (g = 0; g < room->groups; g++)
    scale[g] = by[g] / (127 * after);
  return lost;
}

static void
multiply (const Room *room, float *y, gsize ldy)
{
  const TernVision *vision = room->state->vision;
  guint panels = (guint) tern_panels (vision->head_dim), cols = key_cols (room->state->n);
  gsize first = (gsize) room->block.head * panels * TERN_PANEL_ROWS;

  vision->kernels->gemm_i8p (y, ldy, room->state->int8.values + first * cols, vision->head_dim, cols,
      room->state->int8.value_scales + first, NULL, room->weights, cols, TERN_ATTENTION_GROUP, room->scale, room->sum,
      room->groups, room->block.rows);
}

/* What rounding left out, a 254th each, on top. */
static void
add_rest (const Room *room, float *y)
{
  const TernVision *vision = room->state->vision;
  gsize i;
  guint t;

  weigh (room, TRUE);
  for (i = 0; i < (gsize) room->block.rows * room->groups; i++)
    room->scale[i] /= 254;
  multiply (room, room->more, vision->head_dim);
  for (t = 0; t < room->block.rows; t++)
    if (room->lost[t])
      vision->kernels->add (y + (gsize) t * vision->hidden, room->more + (gsize) t * vision->head_dim, vision->head_dim);
}

static void
attend (Room *room)
{
  const TernVision *vision = room->state->vision;
  float *y = room->state->loop.y + (gsize) room->block.row * vision->hidden + (gsize) room->block.head * vision->head_dim;
  gboolean any = FALSE;
  guint t;

  weigh (room, FALSE);
  for (t = 0; t < room->block.rows; t++)
    any |= room->lost[t] = normalise (room, t);
  multiply (room, y, vision->hidden);
  if (any)
    add_rest (room, y);
}

static void
attend_blocks (void *data, guint begin, guint end, guint worker)
{
  const TernVisionState *state = data;
  TernArena arena = { .base = tern_pool_scratch (state->pool, worker) };
  guint item;
  Room room;

  take (state, &arena, &room);
  for (item = begin; item < end && !tern_cancel_is_raised (state->cancel); item++) {
    room.block = tern_attention_block (state, item);
    attend (&room);
  }
}

gboolean
tern_int8_attention_loop (TernVisionState *state, TernVisionLoop *loop, float *out)
{
  tern_attention_set_loop (state, loop, attend_blocks, out);
  loop->heavy = TRUE;
  return TRUE;
}
