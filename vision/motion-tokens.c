/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Towers that see one frame of a picture, whose projector is told what motion.c measures from that to the second one. The
 * file says so (tern.vision.motion, a version) and has two more linear layers with a GELU between them,
 *
 *   token += mm.motion.2 (gelu (mm.motion.1 (measured)))
 *
 * Inputs of the first layer are, by version,
 *
 *   1   first -> second (TERN_MOTION_FEATURES)
 *   2   the frame before -> first, then first -> second; zeros stand for the one that there is no frame for
 *
 * A picture of which nothing is measured has its tokens as the file without these tensors has them. */
#include "vision/internal.h"

#include <string.h>

#include "tern/error.h"
#include "vision/motion.h"

#define KEY "tern.vision.motion"
#define NEWEST 2

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
  if (version < 1 || version > NEWEST) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "%s: %s: expected 1 to %u, found %u: measured in a way that this "
        "version does not know", tern_gguf_path (vision->file), KEY, NEWEST, version);
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
  vision->info.looks_back = version >= 2;
  return tern_vision_load_linear (vision, &vision->motion[0], &vision->motion_bias[0], "mm.motion.1",
      TERN_MOTION_FEATURES * version, (guint) bias->dims[0], error)
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
  state->measured = tern_arena_take (arena, n * vision->motion[0].cols * sizeof (float));
  state->moving = tern_arena_take (arena, n * vision->motion[0].rows * sizeof (float));
  state->moved = tern_arena_take (arena, n * vision->info.embedding_dim * sizeof (float));
  /* No picture of as many tokens has a longer border than one that is a single row of them. */
  state->motion_scratch = tern_arena_take (arena, tern_motion_scratch (state->max_tokens * side, side, side));
}

static gboolean
is_moving (const TernVisionState *state)
{
  return (state->paired || state->follows) && has_motion (state->vision);
}

/* Inputs from @at on, of all tokens; zeros without @measured. */
static void
fill_inputs (TernVisionState *state, gsize at, gboolean measured, guint8 *const from[3], guint8 *const to[3])
{
  const guint8 *first[] = { from[0], from[1], from[2] }, *second[] = { to[0], to[1], to[2] };
  gsize stride = state->vision->motion[0].cols;
  guint n = tern_vision_tokens (state), t;

  if (measured)
    tern_motion_measure (first, second, state->width, state->height, cell_side (state->vision), state->motion_scratch,
        state->measured + at, stride);
  else
    for (t = 0; t < n; t++)
      memset (state->measured + at + t * stride, 0, TERN_MOTION_FEATURES * sizeof (float));
}

void
tern_vision_measure_before (TernVisionState *state)
{
  if (is_moving (state) && state->vision->info.looks_back)
    fill_inputs (state, 0, state->follows, state->second, state->rgb);
}

void
tern_vision_measure_pair (TernVisionState *state)
{
  if (is_moving (state))
    fill_inputs (state, state->vision->motion[0].cols - TERN_MOTION_FEATURES, state->paired, state->rgb, state->second);
}

/* ---- Stages ---- */

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
