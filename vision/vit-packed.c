/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Layers of the transformer on packed matrices. Every loop goes over blocks of rows, and what happens to a row happens while
 * it is in the cache: norm and quantisation before a product, bias, activation, quantisation and the residual after it. Rows
 * do not see each other but in attention, so that no bit depends on how they are cut into blocks. */
#include "vision/packed.h"

#include <string.h>

/* Outputs of the MLP's first product that are made, activated and quantised at a time. */
#define PIECE (2 * TERN_PACKED_GROUP)

static guint
item_rows (const TernVisionState *state, guint n)
{
  guint shares = 2 * tern_pool_threads (state->pool), rows = (n + shares - 1) / shares;

  rows = (rows + TERN_PACKED_ROWS - 1) / TERN_PACKED_ROWS * TERN_PACKED_ROWS;
  return CLAMP (rows, TERN_PACKED_ROWS, TERN_PACKED_ROWS_MOST);
}

/* Items, grain and work of a loop whose items are @n rows in blocks of @rows, @work multiply-adds a row. */
static void
set_blocks (TernVisionLoop *loop, TernPoolFunc func, guint n, guint rows, guint64 work)
{
  *loop = (TernVisionLoop) { .func = func, .items = (n + rows - 1) / rows, .grain = 1, .heavy = TRUE, .work = work * rows,
    .rows = rows, .n = n };
}

/* The rows of an item. */
static guint
rows_of (const TernVisionLoop *loop, guint item, guint *first)
{
  *first = item * loop->rows;
  return (guint) MIN (loop->rows, loop->n - *first);
}

static guint64
macs (const TernPacked *packed)
{
  return (guint64) packed->rows * packed->cols;
}

/* @y [n, ldy] in pieces of outputs, lest a cancel wait for all. */
static void
multiply (const TernVisionState *state, const TernPacked *packed, const TernPackedInput *input, guint n, const float *bias,
    float *y, gsize ldy)
{
  guint begin, end;

  for (begin = 0; begin < packed->rows && !tern_cancel_is_raised (state->cancel); begin = end) {
    end = MIN (begin + PIECE, packed->rows);
    tern_packed_product (packed, input, n, begin, end, bias, y + begin, ldy);
  }
}

static void
norm_rows (const TernVisionState *state, const TernNorm *norm, const float *x, guint n, float *line,
    TernPackedInput *input)
{
  guint hidden = state->vision->hidden, t;

  for (t = 0; t < n; t++) {
    state->vision->kernels->layer_norm (line, x + (gsize) t * hidden, norm->weight, norm->bias, hidden, state->vision->eps);
    tern_packed_input_set (input, t, line, 0, hidden);
  }
}

static void
quantise_rows (const float *x, guint n, guint cols, TernPackedInput *input)
{
  guint t;

  for (t = 0; t < n; t++)
    tern_packed_input_set (input, t, x + (gsize) t * cols, 0, cols);
}

/* ---- Queries, keys and values ------------------------------------------------------------------------------------ */

typedef struct {
  float *line;                  /* [hidden] */
  float *tile;                  /* [rows, hidden] */
  TernPackedInput input;
} QkvRoom;

static void
take_qkv (const TernVisionState *state, const TernVitPacked *block, TernArena *arena, QkvRoom *room)
{
  gsize hidden = state->vision->hidden;

  room->line = tern_arena_take (arena, hidden * sizeof (float));
  room->tile = tern_arena_take (arena, TERN_PACKED_ROWS_MOST * hidden * sizeof (float));
  tern_packed_input_init (&room->input, &block->q, TERN_PACKED_ROWS_MOST, arena);
}

static void
make_qkv (void *data, guint begin, guint end, guint worker)
{
  TernVisionState *state = data;
  const TernVision *vision = state->vision;
  const TernVitBlock *block = &vision->blocks[state->layer];
  const TernVitPacked *packed = &state->packed->blocks[state->layer];
  const float *k_bias = block->fused ? block->q_bias + vision->hidden : block->k_bias;
  const float *v_bias = block->fused ? block->q_bias + 2 * (gsize) vision->hidden : block->v_bias;
  TernArena arena = { .base = tern_pool_scratch (state->pool, worker) };
  gboolean int8 = state->packed->int8_attention;
  guint item, row, n, hidden = vision->hidden;
  QkvRoom room;

  take_qkv (state, packed, &arena, &room);
  for (item = begin; item < end && !tern_cancel_is_raised (state->cancel); item++) {
    n = rows_of (&state->loop, item, &row);
    norm_rows (state, &block->ln1, state->x + (gsize) row * hidden, n, room.line, &room.input);
    multiply (state, &packed->q, &room.input, n, block->q_bias, room.tile, hidden);
    tern_vision_turn (state, room.tile, hidden, row, n);
    (int8 ? tern_int8_attention_put_q : tern_flash_put_q) (state, row, n, room.tile);
    multiply (state, &packed->k, &room.input, n, int8 && !vision->projector->rotary ? NULL : k_bias, room.tile, hidden);
    tern_vision_turn (state, room.tile, hidden, row, n);
    if (state->reuse) {
      tern_reuse_keep_rows (state, row, n, room.tile, hidden, tern_reuse_keys (state));
      multiply (state, &packed->v, &room.input, n, v_bias, room.tile, hidden);
      tern_reuse_keep_rows (state, row, n, room.tile, hidden, tern_reuse_values (state));
      continue;
    }
    (int8 ? tern_int8_attention_put_k : tern_flash_put_k) (state, row, n, room.tile);
    if (int8) {
      multiply (state, &packed->v, &room.input, n, v_bias, state->wide + (gsize) row * hidden, hidden);
    } else {
      multiply (state, &packed->v, &room.input, n, v_bias, room.tile, hidden);
      tern_flash_put_v (state, row, n, room.tile);
    }
  }
}

static gboolean
project_qkv (TernVisionState *state, guint round, TernVisionLoop *loop)
{
  const TernVitPacked *block = &state->packed->blocks[state->layer];

  set_blocks (loop, make_qkv, tern_vision_rows (state), item_rows (state, tern_vision_rows (state)),
      3 * macs (&block->q));
  return round == 0;
}

/* Keys of all patches, fresh ones and kept, to where attention reads them; and values, but those in int8. */
static void
pack_kept (void *data, guint begin, guint end, guint worker)
{
  TernVisionState *state = data;
  gsize hidden = state->vision->hidden;
  guint item, row, n;

  for (item = begin; item < end && !tern_cancel_is_raised (state->cancel); item++) {
    n = rows_of (&state->loop, item, &row);
    if (state->packed->int8_attention) {
      tern_int8_attention_put_k (state, row, n, tern_reuse_keys (state) + row * hidden);
    } else {
      tern_flash_put_k (state, row, n, tern_reuse_keys (state) + row * hidden);
      tern_flash_put_v (state, row, n, tern_reuse_values (state) + row * hidden);
    }
  }
}

static gboolean
pack_kept_keys (TernVisionState *state, guint round, TernVisionLoop *loop)
{
  set_blocks (loop, pack_kept, state->n, item_rows (state, state->n),
      2 * (guint64) state->vision->hidden * TERN_VISION_VALUE_WORK);
  return round == 0 && state->reuse;
}

static gboolean
pack_values (TernVisionState *state, guint round, TernVisionLoop *loop)
{
  return round == 0 && state->packed->int8_attention && tern_int8_attention_loop_values (state, loop,
      state->reuse ? tern_reuse_values (state) : state->wide);
}

static gboolean
attend (TernVisionState *state, guint round, TernVisionLoop *loop)
{
  return round == 0
      && (state->packed->int8_attention ? tern_int8_attention_loop : tern_vision_loop_flash) (state, loop, state->norm);
}

/* ---- What attention found, and the MLP, to the residual stream --------------------------------------------------- */

typedef struct {
  float *line;                  /* [hidden] */
  float *tile;                  /* [rows, hidden or PIECE] */
  TernPackedInput out, up, down;
} MlpRoom;

static void
take_mlp (const TernVisionState *state, const TernVitPacked *block, TernArena *arena, MlpRoom *room)
{
  gsize hidden = state->vision->hidden;

  room->line = tern_arena_take (arena, hidden * sizeof (float));
  room->tile = tern_arena_take (arena, TERN_PACKED_ROWS_MOST * MAX (hidden, PIECE) * sizeof (float));
  tern_packed_input_init (&room->out, &block->out, TERN_PACKED_ROWS_MOST, arena);
  tern_packed_input_init (&room->up, &block->up, TERN_PACKED_ROWS_MOST, arena);
  tern_packed_input_init (&room->down, &block->down, TERN_PACKED_ROWS_MOST, arena);
}

/* The inside of the MLP, a piece of its width at a time. */
static void
widen (const TernVisionState *state, const TernVitBlock *block, const TernVitPacked *packed, guint n, MlpRoom *room)
{
  const TernVision *vision = state->vision;
  guint begin, width, t;

  for (begin = 0; begin < vision->ffn && !tern_cancel_is_raised (state->cancel); begin += width) {
    width = MIN (PIECE, vision->ffn - begin);
    tern_packed_product (&packed->up, &room->up, n, begin, begin + width, block->up_bias, room->tile, width);
    for (t = 0; t < n; t++) {
      vision->activation (vision->kernels, room->tile + (gsize) t * width, width);
      tern_packed_input_set (&room->down, t, room->tile + (gsize) t * width, begin, width);
    }
  }
}

static void
update (void *data, guint begin, guint end, guint worker)
{
  TernVisionState *state = data;
  const TernVision *vision = state->vision;
  const TernVitBlock *block = &vision->blocks[state->layer];
  const TernVitPacked *packed = &state->packed->blocks[state->layer];
  TernArena arena = { .base = tern_pool_scratch (state->pool, worker) };
  guint item, row, n, hidden = vision->hidden;
  MlpRoom room;

  take_mlp (state, packed, &arena, &room);
  for (item = begin; item < end && !tern_cancel_is_raised (state->cancel); item++) {
    float *x;

    n = rows_of (&state->loop, item, &row);
    x = state->x + (gsize) row * hidden;
    quantise_rows (state->norm + (gsize) row * hidden, n, hidden, &room.out);
    multiply (state, &packed->out, &room.out, n, block->out_bias, room.tile, hidden);
    vision->kernels->add (x, room.tile, (gsize) n * hidden);
    norm_rows (state, &block->ln2, x, n, room.line, &room.up);
    widen (state, block, packed, n, &room);
    multiply (state, &packed->down, &room.down, n, block->down_bias, room.tile, hidden);
    vision->kernels->add (x, room.tile, (gsize) n * hidden);
  }
}

static gboolean
update_rows (TernVisionState *state, guint round, TernVisionLoop *loop)
{
  const TernVitPacked *block = &state->packed->blocks[state->layer];

  set_blocks (loop, update, tern_vision_rows (state), item_rows (state, tern_vision_rows (state)),
      macs (&block->out) + macs (&block->up) + macs (&block->down));
  return round == 0;
}

const TernVisionStage tern_vision_packed_layer[] = { project_qkv, pack_kept_keys, pack_values, attend, update_rows };
const guint tern_vision_packed_layer_stages = G_N_ELEMENTS (tern_vision_packed_layer);

/* ---- A product alone --------------------------------------------------------------------------------------------- */

static void
project (void *data, guint begin, guint end, guint worker)
{
  TernVisionState *state = data;
  const TernVisionLoop *loop = &state->loop;
  const TernPacked *packed = loop->packed;
  TernArena arena = { .base = tern_pool_scratch (state->pool, worker) };
  TernPackedInput input;
  guint item, row, n;

  tern_packed_input_init (&input, packed, TERN_PACKED_ROWS_MOST, &arena);
  for (item = begin; item < end && !tern_cancel_is_raised (state->cancel); item++) {
    n = rows_of (loop, item, &row);
    quantise_rows (loop->x + (gsize) row * packed->cols, n, packed->cols, &input);
    multiply (state, packed, &input, n, loop->bias, loop->y + row * loop->ldy, loop->ldy);
  }
}

gboolean
tern_vision_loop_packed (TernVisionState *state, TernVisionLoop *loop, const TernPacked *packed, const float *bias,
    const float *x, guint n, float *y, gsize ldy)
{
  set_blocks (loop, project, n, item_rows (state, n), macs (packed));
  loop->packed = packed;
  loop->bias = bias;
  loop->x = x;
  loop->y = y;
  loop->ldy = ldy;
  return TRUE;
}

/* ---- Memory ------------------------------------------------------------------------------------------------------ */

static gsize
alone_bytes (const TernPacked *packed)
{
  TernArena arena = { 0 };
  TernPackedInput input;

  if (packed->rows)
    tern_packed_input_init (&input, packed, TERN_PACKED_ROWS_MOST, &arena);
  return arena.used;
}

gsize
tern_vision_packed_scratch (const TernVisionState *state)
{
  const TernVisionPacked *packed = state->packed;
  gsize bytes = packed->int8_attention ? tern_int8_attention_scratch (state) : tern_flash_scratch (state);
  guint i;

  bytes = MAX (bytes, alone_bytes (&packed->patch));
  for (i = 0; i < TERN_PROJECTOR_LINEARS; i++)
    bytes = MAX (bytes, alone_bytes (&packed->mm[i]));
  for (i = 0; i < G_N_ELEMENTS (packed->deep); i++)
    bytes = MAX (bytes, alone_bytes (&packed->deep[i]));
  for (i = 0; i < state->vision->n_blocks; i++) {
    TernArena qkv = { 0 }, mlp = { 0 };
    QkvRoom qkv_room;
    MlpRoom mlp_room;

    take_qkv (state, &packed->blocks[i], &qkv, &qkv_room);
    take_mlp (state, &packed->blocks[i], &mlp, &mlp_room);
    bytes = MAX (bytes, MAX (qkv.used, mlp.used));
  }
  return bytes;
}

void
tern_vision_packed_carve (TernVisionState *state, TernArena *arena)
{
  (state->packed->int8_attention ? tern_int8_attention_carve : tern_flash_carve) (state, arena);
}
