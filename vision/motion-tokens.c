/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Towers that see one frame of a picture, whose projector is told what motion.c measures from that to the second one. The
 * file says so (tern.vision.motion = 1) and has two more linear layers with a GELU between them,
 *
 *   token += mm.motion.2 (gelu (mm.motion.1 (measured)))
 *
 * A picture of one frame has its tokens as the file without these tensors has them. */
#include "vision/internal.h"

#include "tern/error.h"
#include "vision/motion.h"

#define KEY "tern.vision.motion"

static guint
cell_side (const TernVision *vision)
{
  return vision->info.patch * vision->info.factor;
}

gboolean
tern_vision_bind_motion (TernVision *vision, GError **error)
{
  const TernTensor *bias;
  guint version = 0, side = cell_side (vision);

  if (!tern_gguf_has (vision->file, KEY))
    return TRUE;
  if (!tern_gguf_u32 (vision->file, KEY, 0, G_MAXUINT32, &version, error))
    return FALSE;
  if (version != 1) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "%s: %s: expected 1, found %u: measured in a way that this "
        "version does not know", tern_gguf_path (vision->file), KEY, version);
    return FALSE;
  }
  if (side % 4) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "%s: %s: expected visual tokens of a multiple of 4 pixels a side, "
        "found %u", tern_gguf_path (vision->file), KEY, side);
    return FALSE;
  }
  bias = tern_gguf_find (vision->file, "mm.motion.1.bias");
  if (!bias || bias->n_dims != 1 || bias->dims[0] < 1 || bias->dims[0] > 1 << 16) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: tensor mm.motion.1.bias: expected a vector of at most 65536 values, "
        "found %s", tern_gguf_path (vision->file), bias ? "another shape" : "none");
    return FALSE;
  }
  vision->info.frames = 2;
  return tern_vision_load_linear (vision, &vision->motion[0], &vision->motion_bias[0], "mm.motion.1", TERN_MOTION_FEATURES,
      (guint) bias->dims[0], error)
      && tern_vision_load_linear (vision, &vision->motion[1], &vision->motion_bias[1], "mm.motion.2", (guint) bias->dims[0],
      vision->info.embedding_dim, error);
}

static gboolean
has_motion (const TernVision *vision)
{
  return vision->motion[0].rows > 0;
}

void
tern_vision_carve_motion (TernVisionState *state, TernArena *arena)
{
  const TernVision *vision = state->vision;
  gsize n = state->max_tokens;
  guint side = cell_side (vision);

  if (!has_motion (vision))
    return;
  state->measured = tern_arena_take (arena, n * TERN_MOTION_FEATURES * sizeof (float));
  state->moving = tern_arena_take (arena, n * vision->motion[0].rows * sizeof (float));
  state->moved = tern_arena_take (arena, n * vision->info.embedding_dim * sizeof (float));
  /* No picture of as many tokens has a longer border than one that is a single row of them. */
  state->motion_scratch = tern_arena_take (arena, tern_motion_scratch (state->max_tokens * side, side, side));
}

void
tern_vision_measure_motion (TernVisionState *state)
{
  const guint8 *first[] = { state->rgb[0], state->rgb[1], state->rgb[2] };
  const guint8 *second[] = { state->second[0], state->second[1], state->second[2] };

  if (has_motion (state->vision))
    tern_motion_measure (first, second, state->width, state->height, cell_side (state->vision), state->motion_scratch,
        state->measured);
}

/* ---- Stages ---- */

static gboolean
is_moving (const TernVisionState *state)
{
  return state->paired && has_motion (state->vision);
}

gboolean
tern_vision_widen_motion (TernVisionState *state, guint round, TernVisionLoop *loop)
{
  return is_moving (state) && tern_vision_loop_product (state, round, loop, &state->vision->motion[0],
      state->vision->motion_bias[0], state->measured, tern_vision_tokens (state), state->moving);
}

gboolean
tern_vision_bend_motion (TernVisionState *state, guint round, TernVisionLoop *loop)
{
  return is_moving (state) && round == 0 && tern_vision_loop_activate (loop, tern_activation_gelu_erf, state->moving,
      (gsize) tern_vision_tokens (state) * state->vision->motion[0].rows);
}

gboolean
tern_vision_narrow_motion (TernVisionState *state, guint round, TernVisionLoop *loop)
{
  return is_moving (state) && tern_vision_loop_product (state, round, loop, &state->vision->motion[1],
      state->vision->motion_bias[1], state->moving, tern_vision_tokens (state), state->moved);
}

gboolean
tern_vision_add_motion (TernVisionState *state, guint round, TernVisionLoop *loop)
{
  return is_moving (state) && round == 0 && tern_vision_loop_add (loop, tern_vision_token_rows (state), state->moved,
      tern_vision_tokens (state), state->vision->info.embedding_dim);
}
