/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* LFM2-VL: pictures of any size within limits, large ones in tiles, by the rules of Lfm2VlImageProcessor (Hugging Face
 * transformers), which the family was trained with; one size for files that fix it. Projector: factor x factor features
 * side by side, layer norm, two linears with GELU (erf) between. */
#include "vision/internal.h"

#include <math.h>

#include "tern/error.h"

/* What the processor has where the file says nothing. */
#define DEFAULT_MIN_TOKENS 64
#define DEFAULT_MAX_TOKENS 256

#define TILE 512                /* pixels of a tile's side, in every model of the family */
#define MIN_TILES 2
#define MAX_TILES 10
#define TOLERANCE 2.0           /* times the most pixels of one image before it is tiled */

#define INPUT_NORM_EPS 1e-5f    /* torch.nn.LayerNorm's; the file does not say it */

/* ---- Keys and tensors -------------------------------------------------------------------------------------------- */

/* A least and most number of pixels that are equal and a square of whole patches: the file takes one size. */
static guint
find_fixed_side (const TernVision *vision)
{
  guint side = (guint) lrint (sqrt ((double) vision->max_pixels));

  if (vision->min_pixels != vision->max_pixels || (guint64) side * side != vision->max_pixels
      || side % vision->info.patch)
    return 0;
  return side;
}

static gboolean
read_keys (TernVision *vision, GError **error)
{
  TernVisionInfo *info = &vision->info;
  guint step = info->patch * info->factor, area = step * step, least, most;

  if (!tern_gguf_u32_or (vision->file, "clip.vision.image_min_pixels", 1, 1u << 31, DEFAULT_MIN_TOKENS * area, &least, error)
      || !tern_gguf_u32_or (vision->file, "clip.vision.image_max_pixels", 1, 1u << 31, DEFAULT_MAX_TOKENS * area, &most,
          error))
    return FALSE;
  vision->min_pixels = least;
  vision->max_pixels = most;
  vision->fixed_side = find_fixed_side (vision);
  info->max_pieces = vision->fixed_side ? 1 : MAX_TILES + 1;
  if (vision->fixed_side) {
    guint side = (vision->fixed_side + step - 1) / step;

    info->min_tokens = info->max_tokens = side * side;
  } else {
    info->min_tokens = MAX (1, least / area);
    info->max_tokens = most / area;
  }
  if (least > most || info->max_tokens < 1 || info->max_tokens > TERN_VISION_MAX_TOKENS) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: clip.vision.image_min_pixels and image_max_pixels: expected "
        "limits of 1 to %u visual tokens of %u pixels, found %u and %u", tern_gguf_path (vision->file),
        TERN_VISION_MAX_TOKENS, area, least, most);
    return FALSE;
  }
  return TRUE;
}

/* The width between the projector's linears stands in no key: mm.1's bias tells. */
static gboolean
bind (TernVision *vision, GError **error)
{
  guint cols = vision->info.factor * vision->info.factor * vision->hidden;
  const TernTensor *bias = tern_gguf_find (vision->file, "mm.1.bias");

  if (!tern_vision_load_optional_norm (vision, &vision->input_norm, "mm.input_norm", cols, error))
    return FALSE;
  if (!bias || bias->n_dims < 1 || bias->dims[0] < 1 || bias->dims[0] > 1 << 20) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: tensor mm.1.bias: expected a vector of at most 1048576 values, "
        "found %s", tern_gguf_path (vision->file), bias ? "another shape" : "none");
    return FALSE;
  }
  return tern_vision_load_linear (vision, &vision->mm[0], &vision->mm_bias[0], "mm.1", cols, (guint) bias->dims[0], error)
      && tern_vision_load_linear (vision, &vision->mm[1], &vision->mm_bias[1], "mm.2", (guint) bias->dims[0],
      vision->info.embedding_dim, error)
      && tern_vision_bind_motion (vision, error);
}

/* ---- Sizes ------------------------------------------------------------------------------------------------------- */

typedef struct {
  double min_pixels, max_pixels;
  guint fixed_side;
  guint patch, step;            /* step: patch * factor, what sides are multiples of */
  gboolean tile;
} Rules;

static gboolean
rules_init (Rules *rules, const TernVision *vision, const TernVisionOptions *options, GError **error)
{
  guint step = vision->info.patch * vision->info.factor;
  double area = (double) step * step;

  rules->patch = vision->info.patch;
  rules->step = step;
  rules->tile = options->tile && !options->whole;
  rules->fixed_side = vision->fixed_side;
  rules->min_pixels = vision->min_pixels;
  rules->max_pixels = vision->max_pixels;
  if (!tern_vision_check_limits (options, error))
    return FALSE;
  if (options->min_tokens && options->min_tokens != vision->info.min_tokens) {
    rules->min_pixels = options->min_tokens * area;
    rules->fixed_side = 0;
  }
  if (options->max_tokens && options->max_tokens != vision->info.max_tokens) {
    rules->max_pixels = options->max_tokens * area;
    rules->fixed_side = 0;
  }
  /* Only one was given, on the other side of the model's: the caller's counts. */
  if (rules->min_pixels > rules->max_pixels) {
    if (options->max_tokens)
      rules->min_pixels = rules->max_pixels;
    else
      rules->max_pixels = rules->min_pixels;
  }
  return TRUE;
}

/* @value in steps, rounded half to even as Python does, at least @least. */
static double
round_steps (double value, guint step, guint least)
{
  return MAX (rint (value / step) * step, (double) least);
}

static double
floor_steps (double value, guint step)
{
  return MAX (floor (value / step) * step, (double) step);
}

static void
shrink (const Rules *rules, guint width, guint height, double *w, double *h)
{
  double beta = sqrt ((double) width * height / rules->max_pixels);

  *w = floor_steps (width / beta, rules->step);
  *h = floor_steps (height / beta, rules->step);
}

/* smart_resize of the processor. It passes the upper limit where it rounds up beyond a close one, and where a side is
 * below one step. Memory is planned for the limit: then the size is rounded down as for large pictures, and if that is not
 * enough the longer side gives way. */
static void
smart_resize (const Rules *rules, guint width, guint height, guint *out_w, guint *out_h)
{
  double w = round_steps (width, rules->step, rules->step), h = round_steps (height, rules->step, rules->step);

  if (w * h > rules->max_pixels) {
    shrink (rules, width, height, &w, &h);
  } else if (w * h < rules->min_pixels) {
    double beta = sqrt (rules->min_pixels / ((double) width * height));

    w = ceil (width * beta / rules->step) * rules->step;
    h = ceil (height * beta / rules->step) * rules->step;
    if (w * h > rules->max_pixels)
      shrink (rules, width, height, &w, &h);
  }
  if (w * h > rules->max_pixels) {
    double *longer = w >= h ? &w : &h, *shorter = w >= h ? &h : &w;

    *longer = floor_steps (rules->max_pixels / *shorter, rules->step);
    if (w * h > rules->max_pixels)
      *shorter = floor_steps (rules->max_pixels / *longer, rules->step);
  }
  *out_w = (guint) w;
  *out_h = (guint) h;
}

gboolean
tern_vision_smart_size (const TernVision *vision, guint width, guint height, const TernVisionOptions *options, guint *out_w,
    guint *out_h, GError **error)
{
  Rules rules;

  if (!rules_init (&rules, vision, options, error))
    return FALSE;
  smart_resize (&rules, width, height, out_w, out_h);
  return TRUE;
}

gboolean
tern_vision_smart_tokens (const TernVision *vision, const TernVisionOptions *options, guint *tokens, GError **error)
{
  guint64 step = vision->info.patch * vision->info.factor;
  Rules rules;

  if (!rules_init (&rules, vision, options, error))
    return FALSE;
  *tokens = (guint) MAX (1, rules.max_pixels / (step * step));
  return TRUE;
}

static gboolean
is_too_large (const Rules *rules, guint width, guint height)
{
  return round_steps (width, rules->step, rules->patch) * round_steps (height, rules->step, rules->patch)
      > rules->max_pixels * TOLERANCE;
}

/* find_closest_aspect_ratio of the processor: grids in the order of their number of tiles; of two that are equally close
 * the later one when the picture has more than half of its pixels. */
static void
choose_grid (double tile, guint width, guint height, guint *columns, guint *rows)
{
  double aspect = (double) width / height, best = G_MAXDOUBLE;
  guint tiles, w;

  for (tiles = MIN_TILES; tiles <= MAX_TILES; tiles++)
    for (w = 1; w <= tiles; w++) {
      double off;

      if (tiles % w)
        continue;
      off = fabs (aspect - (double) w / (tiles / w));
      if (off < best || (off == best && (double) width * height > 0.5 * tile * tile * tiles)) {
        best = off;
        *columns = w;
        *rows = tiles / w;
      }
    }
}

static void
append_tiles (TernVisionPlan *plan, const TernVision *vision, const Rules *rules, guint width, guint height)
{
  guint side = MAX (TILE / rules->step, 1) * rules->step, columns = 1, rows = 2, row, column;

  choose_grid (side, width, height, &columns, &rows);
  for (row = 1; row <= rows; row++)
    for (column = 1; column <= columns; column++) {
      TernSubImage *sub = tern_vision_plan_append (plan, vision, side, side);

      sub->row = row;
      sub->column = column;
    }
}

static gboolean
plan (const TernVision *vision, guint width, guint height, const TernVisionOptions *options, TernVisionPlan *out,
    GError **error)
{
  Rules rules;
  guint w, h;

  if (!rules_init (&rules, vision, options, error))
    return FALSE;
  if (rules.fixed_side) {
    out->fixed = TRUE;
    tern_vision_plan_append (out, vision, rules.fixed_side, rules.fixed_side);
    return TRUE;
  }
  smart_resize (&rules, width, height, &w, &h);
  if (rules.tile && is_too_large (&rules, width, height)) {
    append_tiles (out, vision, &rules, width, height);
    tern_vision_plan_append (out, vision, w, h)->thumbnail = TRUE;
  } else {
    tern_vision_plan_append (out, vision, w, h);
  }
  return TRUE;
}

/* A tile has its size whatever the limits are, so it may be above the most tokens of one image. */
static gboolean
sub_tokens (const TernVision *vision, const TernVisionOptions *options, guint *tokens, GError **error)
{
  guint64 area, step = vision->info.patch * vision->info.factor;
  Rules rules;

  if (!rules_init (&rules, vision, options, error))
    return FALSE;
  if (rules.fixed_side) {
    *tokens = vision->info.max_tokens;
    return TRUE;
  }
  area = step * step;
  *tokens = (guint) MAX (1, rules.max_pixels / area);
  if (rules.tile) {
    guint side = MAX (TILE / rules.step, 1);

    *tokens = MAX (*tokens, side * side);
  }
  return TRUE;
}

/* ---- Pixels and projection --------------------------------------------------------------------------------------- */

static gboolean
pixels (TernVisionState *state, const TernImage *image, const TernVisionOptions *options, const TernVisionPlan *planned,
    guint i, GError **error)
{
  const TernSubImage *sub = &planned->sub[i];
  TernPlacement place;
  guint8 padding[3];
  guint width, height;

  tern_vision_padding (state->vision, padding);
  tern_vision_shown_size (image, &width, &height);
  tern_vision_place (width, height, options, planned, sub, &place);
  return tern_resizer_run (&state->resizer, image, &place, sub->width, sub->height, padding, state->rgb, state->pool,
      error);
}

static gboolean
norm_input (TernVisionState *state, guint round, TernVisionLoop *loop)
{
  const TernVision *vision = state->vision;

  return round == 0 && tern_vision_loop_norm (state, loop, state->wide, state->wide, &vision->input_norm,
      tern_vision_tokens (state), vision->mm[0].cols, INPUT_NORM_EPS);
}

static const TernVisionStage stages[] = { tern_vision_unshuffle, norm_input, tern_vision_widen_tokens, tern_vision_bend_tokens,
  tern_vision_narrow_tokens, tern_vision_widen_motion, tern_vision_bend_motion, tern_vision_narrow_motion, tern_vision_add_motion,
  NULL };

const TernProjector tern_projector_lfm2 = {
  .name = "lfm2",
  .scaling = TERN_SCALING_CROP,
  .read_keys = read_keys,
  .bind = bind,
  .reusable = TRUE,
  .plan = plan,
  .sub_tokens = sub_tokens,
  .pixels = pixels,
  .stages = stages,
};
