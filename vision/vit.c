/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The vision transformer (arXiv:2010.11929, pre-norm): no class token, learned positions.
 *   x = patches W + b + positions;  x += Attn(LN1 x);  x += W2 act(W1 LN2 x);  LN */
#include "vision/packed.h"

static const TernVitBlock *
block_of (const TernVisionState *state)
{
  return &state->vision->blocks[state->layer];
}

/* ---- Patches to the residual stream ------------------------------------------------------------------------------ */

static gboolean
embed_patches (TernVisionState *state, guint round, TernVisionLoop *loop)
{
  return tern_vision_loop_product (state, round, loop, &state->vision->patch, state->vision->patch_bias, state->wide,
      tern_vision_rows (state), state->embd);
}

static gboolean
add_positions (TernVisionState *state, guint round, TernVisionLoop *loop)
{
  if (state->vision->projector->rotary)
    state->angles = tern_vision_grid (state)->angles;
  if (round == 0 && state->reuse)
    return tern_reuse_loop_add (state, loop, state->embd, tern_vision_positions (state));
  return round == 0
      && tern_vision_loop_add (loop, state->embd, tern_vision_positions (state), state->n, state->vision->hidden);
}

static gboolean
keep_embeddings (TernVisionState *state, guint round, TernVisionLoop *loop)
{
  return round == 0 && tern_vision_loop_copy (loop, state->x, state->embd, tern_vision_rows (state), state->vision->hidden);
}

/* ---- A layer: state->norm takes what goes in and, in the end, what comes out; state->wide what is between ---------- */

static gboolean
norm_attention (TernVisionState *state, guint round, TernVisionLoop *loop)
{
  return round == 0 && tern_vision_loop_norm (state, loop, state->norm, state->x, &block_of (state)->ln1, tern_vision_rows (state),
      state->vision->hidden, state->vision->eps);
}

/* Side by side in state->wide. */
static gboolean
project_qkv (TernVisionState *state, guint round, TernVisionLoop *loop)
{
  const TernVitBlock *block = block_of (state);
  guint hidden = state->vision->hidden;
  const TernVisionProduct products[] = { { &block->q, block->q_bias, state->wide },
    { &block->k, block->k_bias, state->wide + hidden }, { &block->v, block->v_bias, state->wide + 2 * hidden } };

  return tern_vision_loop_products (state, round, loop, products, block->fused ? 1 : 3, state->norm, tern_vision_rows (state),
      3 * (gsize) hidden);
}

/* One item is a patch. */
static void
turn_rows (void *data, guint begin, guint end, guint worker)
{
  TernVisionState *state = data;
  gsize hidden = state->vision->hidden, ld = 3 * hidden;

  tern_vision_turn (state, state->wide + begin * ld, ld, begin, end - begin);
  tern_vision_turn (state, state->wide + begin * ld + hidden, ld, begin, end - begin);
}

static gboolean
turn (TernVisionState *state, guint round, TernVisionLoop *loop)
{
  *loop = (TernVisionLoop) { .func = turn_rows, .items = state->n, .grain = 16,
    .work = 2 * (guint64) state->vision->hidden * TERN_VISION_VALUE_WORK };
  return round == 0 && state->vision->projector->rotary;
}

static gboolean
attend (TernVisionState *state, guint round, TernVisionLoop *loop)
{
  return round == 0 && tern_vision_loop_attention (state, loop, state->norm, state->wide);
}

static gboolean
project_out (TernVisionState *state, guint round, TernVisionLoop *loop)
{
  return tern_vision_loop_product (state, round, loop, &block_of (state)->out, block_of (state)->out_bias, state->norm,
      tern_vision_rows (state), state->wide);
}

static gboolean
add_attention (TernVisionState *state, guint round, TernVisionLoop *loop)
{
  return round == 0 && tern_vision_loop_add (loop, state->x, state->wide, tern_vision_rows (state), state->vision->hidden);
}

static gboolean
norm_mlp (TernVisionState *state, guint round, TernVisionLoop *loop)
{
  return round == 0 && tern_vision_loop_norm (state, loop, state->norm, state->x, &block_of (state)->ln2, tern_vision_rows (state),
      state->vision->hidden, state->vision->eps);
}

static gboolean
widen (TernVisionState *state, guint round, TernVisionLoop *loop)
{
  return tern_vision_loop_product (state, round, loop, &block_of (state)->up, block_of (state)->up_bias, state->norm,
      tern_vision_rows (state), state->wide);
}

static gboolean
activate (TernVisionState *state, guint round, TernVisionLoop *loop)
{
  return round == 0 && tern_vision_loop_activate (loop, state->vision->activation, state->wide,
      (gsize) tern_vision_rows (state) * state->vision->ffn);
}

static gboolean
narrow (TernVisionState *state, guint round, TernVisionLoop *loop)
{
  return tern_vision_loop_product (state, round, loop, &block_of (state)->down, block_of (state)->down_bias, state->wide,
      tern_vision_rows (state), state->norm);
}

static gboolean
add_mlp (TernVisionState *state, guint round, TernVisionLoop *loop)
{
  return round == 0 && tern_vision_loop_add (loop, state->x, state->norm, tern_vision_rows (state), state->vision->hidden);
}

/* ---- All of it --------------------------------------------------------------------------------------------------- */

static gboolean
norm_output (TernVisionState *state, guint round, TernVisionLoop *loop)
{
  return round == 0 && tern_vision_loop_norm (state, loop, state->x, state->x, &state->vision->post_ln, tern_vision_rows (state),
      state->vision->hidden, state->vision->eps);
}

static const TernVisionStage before[] = { tern_vision_gather_patches, embed_patches, add_positions, keep_embeddings };
static const TernVisionStage layer[] = { norm_attention, project_qkv, turn, tern_reuse_keep_qkv, attend, project_out,
  add_attention, norm_mlp, widen, activate, narrow, add_mlp };
static const TernVisionStage after[] = { norm_output, tern_reuse_keep_features };

TernVisionStage
tern_vision_stage (TernVisionState *state, guint i)
{
  const TernVisionStage *stages = state->packed ? tern_vision_packed_layer : layer;
  guint own = state->packed ? tern_vision_packed_layer_stages : G_N_ELEMENTS (layer);
  guint n = own + (state->vision->info.deepstack ? TERN_VISION_DEEPSTACK_STAGES : 0), in_layers = state->vision->n_blocks * n;

  if (i < G_N_ELEMENTS (before))
    return before[i];
  i -= G_N_ELEMENTS (before);
  if (i < in_layers) {
    state->layer = i / n;
    return i % n < own ? stages[i % n] : tern_vision_deepstack[i % n - own];
  }
  i -= in_layers;
  return i < G_N_ELEMENTS (after) ? after[i] : state->vision->projector->stages[i - G_N_ELEMENTS (after)];
}
