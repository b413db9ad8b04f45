/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Full attention over the patches of one sub-image, on packed bf16: softmax(Q K^T / sqrt(d)) V (arXiv:1706.03762 eq. 1), a
 * block of queries of one head and a piece of its keys at a time, with a running maximum (arXiv:1805.02867), so that scores
 * never leave the cache. Keys and values are packed once a head, by the product that makes them. */
#include "vision/packed.h"

#include <math.h>
#include <string.h>

/* Columns of a head's queries and keys, rows of its values, padded. */
static guint
head_cols (const TernVision *vision)
{
  return tern_round_up (vision->head_dim, TERN_BF16P_COLS);
}

static guint
head_rows (const TernVision *vision)
{
  return tern_round_up (vision->head_dim, TERN_PANEL_ROWS);
}

/* ---- Where they stand: q [n, heads, cols]; k [heads] packed [n, cols]; v [heads] pieces of keys, each packed [d, keys] ---- */

void
tern_flash_carve (TernVisionState *state, TernArena *arena)
{
  const TernVision *vision = state->vision;
  gsize n = state->max_patches, padded = tern_round_up (state->max_patches, TERN_BF16P_COLS);

  state->queries = tern_arena_take (arena, n * vision->heads * head_cols (vision) * sizeof (guint16));
  state->keys = tern_arena_take (arena, padded * vision->heads * head_cols (vision) * sizeof (guint16));
  state->values = tern_arena_take (arena, padded * vision->heads * head_rows (vision) * sizeof (guint16));
}

static guint16 *
keys_of (const TernVisionState *state, guint head)
{
  return state->keys + (gsize) head * tern_round_up (state->n, TERN_PANEL_ROWS) * head_cols (state->vision);
}

static guint16 *
values_of (const TernVisionState *state, guint head, guint piece)
{
  gsize rows = head_rows (state->vision);

  return state->values + head * rows * tern_round_up (state->n, TERN_BF16P_COLS) + piece * rows * TERN_ATTENTION_KEYS;
}

/* Columns of the packed values of a piece. */
static guint
piece_cols (const TernVisionState *state, guint piece)
{
  return MIN (TERN_ATTENTION_KEYS, tern_round_up (state->n, TERN_BF16P_COLS) - piece * TERN_ATTENTION_KEYS);
}

void
tern_flash_put_q (TernVisionState *state, guint row, guint n, const float *x)
{
  const TernVision *vision = state->vision;
  guint cols = head_cols (vision), d = vision->head_dim, t, head;
  guint16 *to = state->queries + (gsize) row * vision->heads * cols;

  for (t = 0; t < n; t++, x += vision->hidden, to += (gsize) vision->heads * cols) {
    if (cols == d)
      vision->kernels->pack_bf16 (to, x, vision->hidden);
    for (head = 0; cols != d && head < vision->heads; head++)
      vision->kernels->pack_bf16 (to + head * cols, x + head * d, d);
  }
}

void
tern_flash_put_k (TernVisionState *state, guint row, guint n, const float *x)
{
  const TernVision *vision = state->vision;
  guint cols = head_cols (vision), d = vision->head_dim, head, i;

  for (head = 0; head < vision->heads; head++)
    for (i = 0; i < n; i += TERN_PANEL_ROWS)
      vision->kernels->pack_bf16p (keys_of (state, head) + (gsize) (row + i) * cols, x + (gsize) i * vision->hidden + head * d,
          vision->hidden, 1, MIN (TERN_PANEL_ROWS, n - i), d);
}

/* A piece begins at a multiple of the rows that come here, or of which these are a part. */
void
tern_flash_put_v (TernVisionState *state, guint row, guint n, const float *x)
{
  const TernVision *vision = state->vision;
  guint d = vision->head_dim, head, r, i, step;

  for (i = 0; i < n; i += step) {
    guint piece = (row + i) / TERN_ATTENTION_KEYS, first = (row + i) % TERN_ATTENTION_KEYS;
    gsize panel = (gsize) TERN_PANEL_ROWS * piece_cols (state, piece);

    step = MIN (n - i, TERN_ATTENTION_KEYS - first);
    for (head = 0; head < vision->heads; head++)
      for (r = 0; r < d; r += TERN_PANEL_ROWS)
        vision->kernels->pack_bf16p (values_of (state, head, piece) + r / TERN_PANEL_ROWS * panel
            + (gsize) first * TERN_PANEL_ROWS, x + (gsize) i * vision->hidden + head * d + r, 1, vision->hidden,
            MIN (TERN_PANEL_ROWS, d - r), step);
  }
}

/* ---- The work ---------------------------------------------------------------------------------------------------- */

typedef struct {
  float *scores;                /* [rows, TERN_ATTENTION_KEYS] */
  guint16 *weights;             /* the same in bf16 */
  float *part, *out;            /* [rows, d] of a piece, of all so far */
  float *largest, *sum;         /* [rows] */
} Room;

static void
take (const TernVisionState *state, TernArena *arena, Room *room)
{
  gsize d = head_rows (state->vision);

  room->scores = tern_arena_take (arena, TERN_ATTENTION_ROWS * TERN_ATTENTION_KEYS * sizeof (float));
  room->weights = tern_arena_take (arena, TERN_ATTENTION_ROWS * TERN_ATTENTION_KEYS * sizeof (guint16));
  room->part = tern_arena_take (arena, TERN_ATTENTION_ROWS * d * sizeof (float));
  room->out = tern_arena_take (arena, TERN_ATTENTION_ROWS * d * sizeof (float));
  room->largest = tern_arena_take (arena, TERN_ATTENTION_ROWS * sizeof (float));
  room->sum = tern_arena_take (arena, TERN_ATTENTION_ROWS * sizeof (float));
}

gsize
tern_flash_scratch (const TernVisionState *state)
{
  TernArena arena = { 0 };
  Room room;

  take (state, &arena, &room);
  return arena.used;
}

static void
scale_row (float *x, float by, guint n)
{
  guint i;

  for (i = 0; i < n; i++)
    x[i] *= by;
}

/* Scores of a piece to weights, relative to the largest score so far; what came before is brought down to it. */
static void
weigh (const TernVisionState *state, const Room *room, guint rows, guint keys)
{
  const TernKernels *kernels = state->vision->kernels;
  guint d = state->vision->head_dim, t;

  for (t = 0; t < rows; t++) {
    float *scores = room->scores + (gsize) t * TERN_ATTENTION_KEYS, before = room->largest[t], sum;

    sum = kernels->softmax_bf16 (room->weights + (gsize) t * TERN_ATTENTION_KEYS, scores, keys, 1.0f / sqrtf ((float) d),
        &room->largest[t]);
    if (room->largest[t] != before && room->sum[t] != 0) {
      float by = expf (before - room->largest[t]);

      room->sum[t] *= by;
      scale_row (room->out + (gsize) t * d, by, d);
    }
    room->sum[t] += sum;
  }
}

static void
attend_piece (const TernVisionState *state, const Room *room, guint head, guint row, guint rows, guint piece)
{
  const TernVision *vision = state->vision;
  guint first = piece * TERN_ATTENTION_KEYS, keys = MIN (TERN_ATTENTION_KEYS, state->n - first), d = vision->head_dim;
  gsize cols = head_cols (vision), ldq = cols * vision->heads;

  vision->kernels->gemm_bf16p (room->scores, TERN_ATTENTION_KEYS, keys_of (state, head) + first * cols, keys, cols, NULL,
      state->queries + row * ldq + head * cols, ldq, rows);
  weigh (state, room, rows, keys);
  vision->kernels->gemm_bf16p (piece == 0 ? room->out : room->part, d, values_of (state, head, piece), d,
      piece_cols (state, piece), NULL, room->weights, TERN_ATTENTION_KEYS, rows);
  if (piece > 0)
    vision->kernels->add (room->out, room->part, (gsize) rows * d);
}

static void
attend (const TernVisionState *state, const Room *room, guint head, guint row, guint rows)
{
  guint d = state->vision->head_dim, t, piece;

  for (t = 0; t < rows; t++) {
    room->largest[t] = -INFINITY;
    room->sum[t] = 0;
  }
  for (piece = 0; piece * TERN_ATTENTION_KEYS < state->n; piece++)
    attend_piece (state, room, head, row, rows, piece);
  for (t = 0; t < rows; t++) {
    float *to = state->loop.y + (gsize) (row + t) * state->vision->hidden + (gsize) head * d;

    memcpy (to, room->out + (gsize) t * d, d * sizeof (float));
    scale_row (to, 1 / room->sum[t], d);
  }
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
    TernAttentionBlock block = tern_attention_block (state, item);

    attend (state, &room, block.head, block.row, block.rows);
  }
}

gboolean
tern_vision_loop_flash (TernVisionState *state, TernVisionLoop *loop, float *out)
{
  tern_attention_set_loop (state, loop, attend_blocks, out);
  loop->heavy = TRUE;
  return TRUE;
}
