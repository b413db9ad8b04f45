/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SmolVLM and SmolVLM2 (arXiv:2504.05299), Idefics 3 (arXiv:2408.12637): squares of one size through a SigLIP tower;
 * factor x factor features side by side and one linear without bias. Sizes, tiles and resampling are those of
 * SmolVLMImageProcessor (Hugging Face transformers), which the family was trained with; what its arithmetic in double
 * precision gives, to the pixel. */
#include "vision/internal.h"

#include <string.h>

#include "tern/error.h"

#define MAX_SIDE 4096           /* pixels; the processor makes no picture larger */
#define TILES_A_SIDE 4          /* where the file does not say how large stills are resized */

/* ---- Keys and tensors -------------------------------------------------------------------------------------------- */

/* Every token stands for factor x factor patches: the grid must divide. */
static gboolean
check_grid (const TernVision *vision, GError **error)
{
  const TernVisionInfo *info = &vision->info;
  guint grid = vision->fixed_side / info->patch;

  if (grid >= 1 && grid % info->factor == 0 && (guint64) grid * grid / info->factor / info->factor <= TERN_VISION_MAX_TOKENS)
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: clip.vision.image_size: expected a multiple of %u patches of %u "
      "pixels (clip.vision.projector.scale_factor, patch_size), at most %u visual tokens; found %u pixels, %u patches",
      tern_gguf_path (vision->file), info->factor, info->patch, TERN_VISION_MAX_TOKENS, vision->fixed_side, grid);
  return FALSE;
}

/* A side may be rounded up to an even number, and with it pass the longest one by a pixel. */
static guint
tiles_a_side (const TernVision *vision)
{
  guint most = MIN (vision->longest_edge + vision->longest_edge % 2, MAX_SIDE);

  return (most + vision->fixed_side - 1) / vision->fixed_side;
}

static gboolean
read_keys (TernVision *vision, GError **error)
{
  TernVisionInfo *info = &vision->info;
  const TernGguf *file = vision->file;
  guint grid, edge, tiles;

  if (!tern_gguf_u32 (file, "clip.vision.image_size", 1, MAX_SIDE, &vision->fixed_side, error)
      || !tern_gguf_u32_or (file, "clip.vision.preproc_image_size", 0, 1 << 16, 0, &edge, error)
      || !check_grid (vision, error))
    return FALSE;
  grid = vision->fixed_side / info->patch / info->factor;
  info->min_tokens = info->max_tokens = grid * grid;
  vision->longest_edge = edge ? edge : MIN (TILES_A_SIDE * vision->fixed_side, MAX_SIDE);
  tiles = tiles_a_side (vision);
  info->max_pieces = tiles > 1 ? tiles * tiles + 1 : 1;
  if (tiles <= TERN_MAX_TILES)
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: clip.vision.preproc_image_size: expected at most %u times "
      "clip.vision.image_size %u, found %u", tern_gguf_path (file), TERN_MAX_TILES, vision->fixed_side, edge);
  return FALSE;
}

static gboolean
bind (TernVision *vision, GError **error)
{
  guint grid = vision->fixed_side / vision->info.patch, factor = vision->info.factor;

  if (vision->position_side != grid) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: v.position_embd.weight: expected %u x %u positions, one for "
        "each patch of clip.vision.image_size %u, found %u x %u", tern_gguf_path (vision->file), grid, grid,
        vision->fixed_side, vision->position_side, vision->position_side);
    return FALSE;
  }
  return tern_vision_load_linear (vision, &vision->mm[0], NULL, "mm.model.fc", factor * factor * vision->hidden,
      vision->info.embedding_dim, error);
}

/* ---- Sizes ------------------------------------------------------------------------------------------------------- */

/* The longer side to @longest, the other one in proportion, rounded down and then up to an even number; no side above
 * MAX_SIDE. */
static void
to_longest_edge (guint width, guint height, guint longest, guint *out_w, guint *out_h)
{
  gboolean wide = width >= height;
  double aspect = (double) width / height;
  guint other = (guint) (wide ? longest / aspect : longest * aspect), w, h;

  other += other % 2;
  other = MAX (other, 1);
  w = wide ? longest : other;
  h = wide ? other : longest;
  aspect = (double) w / h;
  if (w >= h && w > MAX_SIDE) {
    w = MAX_SIDE;
    h = (guint) (w / aspect);
  } else if (h > w && h > MAX_SIDE) {
    h = MAX_SIDE;
    w = (guint) (h * aspect);
  }
  *out_w = MAX (w, 1);
  *out_h = MAX (h, 1);
}

static guint
round_up (guint value, guint step)
{
  return MAX ((value + step - 1) / step, 1) * step;
}

/* Both sides to multiples of @side: the aspect changes. */
static void
to_multiples (guint width, guint height, guint side, guint *out_w, guint *out_h)
{
  double aspect = (double) width / height;

  if (width >= height) {
    *out_w = round_up (width, side);
    *out_h = round_up ((guint) (*out_w / aspect), side);
  } else {
    *out_h = round_up (height, side);
    *out_w = round_up ((guint) (*out_h * aspect), side);
  }
}

static gboolean
plan (const TernVision *vision, guint width, guint height, const TernVisionOptions *options, TernVisionPlan *out,
    GError **error)
{
  guint side = vision->fixed_side, tokens, w, h, row, column;

  if (!vision->projector->sub_tokens (vision, options, &tokens, error))
    return FALSE;
  to_longest_edge (width, height, vision->longest_edge, &w, &h);
  to_multiples (w, h, side, &w, &h);
  if (!options->tile || options->whole || (w <= side && h <= side)) {
    tern_vision_plan_append (out, vision, side, side);
    return TRUE;
  }
  for (row = 1; row <= h / side; row++)
    for (column = 1; column <= w / side; column++) {
      TernSubImage *sub = tern_vision_plan_append (out, vision, side, side);

      sub->row = row;
      sub->column = column;
    }
  tern_vision_plan_append (out, vision, side, side)->thumbnail = TRUE;
  return TRUE;
}

static gboolean
sub_tokens (const TernVision *vision, const TernVisionOptions *options, guint *tokens, GError **error)
{
  *tokens = vision->info.max_tokens;
  if (!tern_vision_check_limits (options, error))
    return FALSE;
  if (*tokens >= options->min_tokens && (!options->max_tokens || *tokens <= options->max_tokens))
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "image tokens %u:%u: expected limits that %u is within, the number "
      "that projector \"%s\" of %s makes of every image", options->min_tokens, options->max_tokens, *tokens,
      vision->projector->name, tern_gguf_path (vision->file));
  return FALSE;
}

/* ---- Pixels ------------------------------------------------------------------------------------------------------ */

/* The picture as it lies in memory, in canvas 0. */
static gboolean
load (TernVisionState *state, const TernImage *image, TernPlanes *planes, GError **error)
{
  TernImage lying = *image;
  TernPlacement place = { .w = image->width, .h = image->height, .full_w = image->width, .full_h = image->height,
    .width = image->width, .height = image->height };

  lying.orientation = lying.pixel_aspect_n = lying.pixel_aspect_d = 0;
  lying.transfer = TERN_TRANSFER_SDR;
  return tern_convolver_canvas (&state->convolver, 0, image->width, image->height, planes, error)
      && tern_resizer_run (&state->resizer, &lying, &place, image->width, image->height, (guint8[3]) { 0 }, planes->plane,
      state->pool, error);
}

static gboolean
resize_all (TernVisionState *state, const TernPlanes *from, const TernPlanes *to, TernFilter filter, GError **error)
{
  return tern_convolver_resize (&state->convolver, from, 0, 0, from->width, from->height, to, filter, state->pool,
      state->cancel, error);
}

static TernPlanes
sub_image (TernVisionState *state)
{
  return (TernPlanes) { { state->rgb[0], state->rgb[1], state->rgb[2] }, state->width, state->height };
}

/* What is shown with its longer side at @longest, in canvas *@canvas: resized as it lies, then turned. */
static gboolean
resize_to_edge (TernVisionState *state, const TernImage *image, guint longest, TernFilter filter, TernPlanes *edge,
    guint *canvas, GError **error)
{
  TernTurn turn = tern_image_turn (image);
  TernTurnSteps steps;
  TernPlanes source, lying;
  guint width, height, w, h, c;

  tern_vision_shown_size (image, &width, &height);
  to_longest_edge (width, height, longest, &w, &h);
  if (!load (state, image, &source, error)
      || !tern_convolver_canvas (&state->convolver, 1, turn.transposed ? h : w, turn.transposed ? w : h, &lying, error)
      || !resize_all (state, &source, &lying, filter, error))
    return FALSE;
  *edge = lying;
  *canvas = 1;
  if (!turn.transposed && !turn.mirror_x && !turn.mirror_y)
    return TRUE;
  if (!tern_convolver_canvas (&state->convolver, 0, w, h, edge, error))
    return FALSE;
  *canvas = 0;
  tern_turn_steps (&turn, w, h, w, &steps);
  for (c = 0; c < 3; c++)
    tern_turn_plane (&steps, lying.plane[c], lying.width, lying.height, edge->plane[c]);
  return TRUE;
}

/* To @longest and then to @width x @height, in state->whole; one canvas and the other in turn. */
static gboolean
resize_twice (TernVisionState *state, const TernImage *image, guint longest, guint width, guint height, TernFilter filter,
    GError **error)
{
  TernPlanes edge;
  guint canvas;

  return resize_to_edge (state, image, longest, filter, &edge, &canvas, error)
      && tern_convolver_canvas (&state->convolver, 1 - canvas, width, height, &state->whole, error)
      && resize_all (state, &edge, &state->whole, filter, error);
}

static void
cut_tile (TernVisionState *state, const TernSubImage *sub)
{
  guint side = state->width, c, y;

  for (c = 0; c < 3; c++)
    for (y = 0; y < side; y++)
      memcpy (state->rgb[c] + (gsize) y * side, state->whole.plane[c]
          + ((gsize) (sub->row - 1) * side + y) * state->whole.width + (gsize) (sub->column - 1) * side, side);
}

/* In one piece because it was asked for: as a frame of a video, but for the filter. */
static gboolean
still_pixels (TernVisionState *state, const TernImage *image, const TernVisionOptions *options,
    const TernVisionPlan *planned, guint i, GError **error)
{
  const TernSubImage *sub = &planned->sub[i], *last_tile;
  guint side = state->width, longest = options->whole ? side : state->vision->longest_edge;
  TernPlanes to = sub_image (state);

  if (planned->n == 1)
    return resize_twice (state, image, longest, side, side, TERN_FILTER_LANCZOS, error)
        && resize_all (state, &state->whole, &to, TERN_FILTER_LANCZOS, error);
  last_tile = &planned->sub[planned->n - 2];
  if (i == 0 && !resize_twice (state, image, longest, last_tile->column * side, last_tile->row * side,
          TERN_FILTER_LANCZOS, error))
    return FALSE;
  if (sub->thumbnail)
    return resize_all (state, &state->whole, &to, TERN_FILTER_LANCZOS, error);
  cut_tile (state, sub);
  return TRUE;
}

/* The aspect kept: what is shown is resized once; padding is put around it. */
gboolean
tern_vision_fit_frame (TernVisionState *state, const TernImage *image, const TernVisionOptions *options,
    const TernVisionPlan *planned, GError **error)
{
  TernTurn turn = tern_image_turn (image);
  TernPlanes source, part;
  TernPlacement place;
  TernTurnSteps steps;
  guint8 padding[3];
  guint width, height, c;

  tern_vision_padding (state->vision, padding);
  tern_vision_shown_size (image, &width, &height);
  tern_vision_place (width, height, options, planned, &planned->sub[0], &place);
  tern_turn_steps (&turn, place.width, place.height, state->width, &steps);
  steps.start += (gsize) place.top * state->width + place.left;
  tern_turn_place (&turn, image, &place);
  if (!load (state, image, &source, error)
      || !tern_convolver_canvas (&state->convolver, 1, place.width, place.height, &part, error)
      || !tern_convolver_resize (&state->convolver, &source, place.x, place.y, place.w, place.h, &part,
          TERN_FILTER_BICUBIC, state->pool, state->cancel, error))
    return FALSE;
  tern_transfer_map (image->transfer, part.plane[0], part.plane[1], part.plane[2], (gsize) part.width * part.height);
  for (c = 0; c < 3; c++) {
    memset (state->rgb[c], padding[c], (gsize) state->width * state->height);
    tern_turn_plane (&steps, part.plane[c], part.width, part.height, state->rgb[c]);
  }
  return TRUE;
}

/* The family's video processor resizes frames to the square's side first, then stretches; in PyTorch, where bicubic stands
 * for Lanczos. */
static gboolean
pixels (TernVisionState *state, const TernImage *image, const TernVisionOptions *options, const TernVisionPlan *planned,
    guint i, GError **error)
{
  guint side = state->width;
  TernPlanes to = sub_image (state);

  tern_transfer_prepare (image->transfer);
  if (!options->tile && options->scaling != TERN_SCALING_STRETCH)
    return tern_vision_fit_frame (state, image, options, planned, error);
  if (options->tile) {
    if (!still_pixels (state, image, options, planned, i, error))
      return FALSE;
  } else if (!resize_twice (state, image, side, side, side, TERN_FILTER_BICUBIC, error)
      || !resize_all (state, &state->whole, &to, TERN_FILTER_BICUBIC, error)) {
    return FALSE;
  }
  tern_transfer_map (image->transfer, to.plane[0], to.plane[1], to.plane[2], (gsize) side * side);
  return TRUE;
}

/* ---- Projection -------------------------------------------------------------------------------------------------- */

static gboolean
linear (TernVisionState *state, guint round, TernVisionLoop *loop)
{
  return tern_vision_loop_product (state, round, loop, &state->vision->mm[0], NULL, state->wide,
      tern_vision_tokens (state), tern_vision_token_rows (state));
}

static const TernVisionStage stages[] = { tern_vision_unshuffle, linear, NULL };

const TernProjector tern_projector_idefics3 = {
  .name = "idefics3",
  .scaling = TERN_SCALING_STRETCH,
  .swapped_ffn = TRUE,
  .read_keys = read_keys,
  .bind = bind,
  .reusable = TRUE,
  .plan = plan,
  .sub_tokens = sub_tokens,
  .pixels = pixels,
  .stages = stages,
};
