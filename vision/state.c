/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The memory that encoding works in, planned once. */
#include "vision/packed.h"

#include <string.h>

#include "tern/error.h"

/* With the counts bounded as they are (2^16 tokens, 2^8 patches each, 2^18 columns) no product passes 2^63. */
static void
carve (TernVisionState *state, TernArena *arena)
{
  const TernVision *vision = state->vision;
  guint patch = vision->info.patch, factor = vision->info.factor, i;
  gsize n = state->max_patches, side = vision->fixed_side, pixels = MAX (n * patch * patch, side * side);
  gsize stream = n * vision->hidden * sizeof (float);
  gsize between = state->packed ? vision->hidden : MAX (3 * (gsize) vision->hidden, vision->ffn);
  gsize wide = MAX (3 * (gsize) patch * patch * tern_vision_frames (vision), between);

  for (i = 0; i < 3; i++)
    state->rgb[i] = tern_arena_take (arena, pixels);
  for (i = 0; i < 3; i++)
    state->second[i] = vision->info.frames > 1 ? tern_arena_take (arena, pixels) : state->rgb[i];
  for (i = 0; i < TERN_POSITION_GRIDS; i++)
    state->positions[i].table = tern_arena_take (arena, stream);
  for (i = 0; i < TERN_POSITION_GRIDS; i++)
    state->positions[i].angles = vision->projector->rotary ? tern_arena_take (arena, n * vision->head_dim * sizeof (float)) : NULL;
  state->x = tern_arena_take (arena, stream);
  state->embd = tern_arena_take (arena, stream);
  state->norm = tern_arena_take (arena, stream);
  state->wide = tern_arena_take (arena, MAX (n * wide, (gsize) state->max_tokens * factor * factor * vision->hidden)
      * sizeof (float));
  state->projected = tern_arena_take (arena, (gsize) state->max_tokens * vision->mm[0].rows * sizeof (float));
  tern_vision_carve_motion (state, arena);
  if (state->packed)
    tern_vision_packed_carve (state, arena);
}

static gsize
float_scratch (const TernVisionState *state)
{
  const TernVision *vision = state->vision;
  gsize bytes = MAX (tern_attention_scratch (state->max_patches), tern_linear_scratch (&vision->patch));
  guint i, k;

  for (i = 0; i < TERN_PROJECTOR_LINEARS; i++)
    if (vision->mm[i].rows)
      bytes = MAX (bytes, tern_linear_scratch (&vision->mm[i]));
  for (i = 0; i < 2 * vision->info.deepstack; i++)
    bytes = MAX (bytes, tern_linear_scratch (&vision->deep[i / 2].fc[i % 2]));
  for (i = 0; i < vision->n_blocks; i++) {
    const TernVitBlock *b = &vision->blocks[i];
    const TernLinear *linears[] = { &b->q, b->fused ? &b->q : &b->k, b->fused ? &b->q : &b->v, &b->out, &b->up, &b->down };

    for (k = 0; k < G_N_ELEMENTS (linears); k++)
      bytes = MAX (bytes, tern_linear_scratch (linears[k]));
  }
  return bytes;
}

static gsize
worker_scratch (const TernVisionState *state)
{
  /* A line of pixels of patches.c. */
  gsize bytes = MAX ((gsize) state->max_patches * state->vision->info.patch, state->vision->fixed_side) * sizeof (float);
  guint i;

  for (i = 0; i < G_N_ELEMENTS (state->vision->motion); i++)
    if (state->vision->motion[i].rows)
      bytes = MAX (bytes, tern_linear_scratch (&state->vision->motion[i]));
  return MAX (bytes, state->packed ? tern_vision_packed_scratch (state) : float_scratch (state));
}

static void
set_limits (TernVisionState *state, TernVision *vision, guint max_tokens)
{
  state->vision = vision;
  state->max_tokens = max_tokens;
  state->max_patches = max_tokens * vision->info.factor * vision->info.factor;
}

/* Nothing but the sizes in it is lost when it fails. */
gboolean
tern_vision_state_reserve (TernVisionState *state, guint tokens, GError **error)
{
  guint before = state->max_tokens, i;
  TernArena arena = { 0 };
  void *block;
  gboolean ok;

  if (tokens <= before)
    return TRUE;
  set_limits (state, state->vision, tokens);
  carve (state, &arena);
  block = tern_mem_alloc (arena.used, "vision encoder", error);
  ok = block && tern_pool_reserve (state->pool, worker_scratch (state), error);
  if (ok) {
    tern_mem_free (state->block);
    state->block = block;
    for (i = 0; i < TERN_POSITION_GRIDS; i++)
      state->positions[i].w = state->positions[i].h = 0;
  } else {
    tern_mem_free (block);
    set_limits (state, state->vision, before);
  }
  arena = (TernArena) { .base = state->block };
  carve (state, &arena);
  return ok;
}

gsize
tern_vision_state_bytes (TernVision *vision, guint max_tokens)
{
  TernVisionState state = { .packed = vision->packed };
  TernArena arena = { 0 };

  set_limits (&state, vision, MIN (max_tokens, TERN_VISION_MAX_TOKENS));
  carve (&state, &arena);
  return arena.used + sizeof state;
}

gsize
tern_vision_alone_bytes (TernVision *vision, guint max_tokens)
{
  TernVisionState state = { .packed = vision->packed };

  set_limits (&state, vision, MIN (max_tokens, TERN_VISION_MAX_TOKENS));
  return tern_vision_state_bytes (vision, max_tokens) + worker_scratch (&state);
}

TernVisionState *
tern_vision_state_make (TernVision *vision, guint max_tokens, const TernVisionPacked *packed, TernPool *pool,
    GError **error)
{
  g_autoptr (TernVisionState) state = NULL;

  if (max_tokens < 1 || max_tokens > TERN_VISION_MAX_TOKENS) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "visual tokens of a sub-image: expected 1 to %u, found %u",
        TERN_VISION_MAX_TOKENS, max_tokens);
    return NULL;
  }
  state = g_new0 (TernVisionState, 1);
  state->vision = tern_vision_ref (vision);
  state->packed = packed;
  state->macs_at_once = TERN_VISION_MACS_AT_ONCE;
  state->slice = TERN_VISION_SLICE;
  tern_slice_init (&state->pace);
  state->pool = pool;
  if (!pool) {
    state->pool = state->own_pool = tern_pool_new (1, error);
    if (!state->pool)
      return NULL;
  }
  if (!tern_vision_state_reserve (state, max_tokens, error))
    return NULL;
  return g_steal_pointer (&state);
}

TernVisionState *
tern_vision_state_new (TernVision *vision, guint max_tokens, TernActivations activations, TernPool *pool, GError **error)
{
  gboolean packed = activations != TERN_ACTIVATIONS_F32;

  if (packed && !tern_vision_pack (vision, pool, error))
    return NULL;
  return tern_vision_state_make (vision, max_tokens, packed ? vision->packed : NULL, pool, error);
}

void
tern_vision_state_free (TernVisionState *state)
{
  if (!state)
    return;
  tern_resizer_clear (&state->resizer);
  tern_convolver_clear (&state->convolver);
  tern_mem_free (state->block);
  if (state->own_pool)
    tern_pool_free (state->own_pool);
  tern_vision_unref (state->vision);
  g_free (state);
}

void
tern_vision_state_taps (TernVisionState *state, TernVisionTaps *taps)
{
  gsize pixels = (gsize) state->width * state->height, i;
  guint8 *interleaved = (guint8 *) state->wide;         /* 12 bytes a pixel of a patch */
  guint c;

  for (c = 0; c < 3; c++)
    for (i = 0; i < pixels; i++)
      interleaved[i * 3 + c] = state->rgb[c][i];
  *taps = (TernVisionTaps) { .pixels = interleaved, .patch_embd = state->embd, .output = state->x,
    .width = state->width, .height = state->height, .n_patches = state->n };
}
