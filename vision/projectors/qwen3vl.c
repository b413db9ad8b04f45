/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Qwen3.5's tower and Qwen3-VL's (projector "qwen3vl_merger"): a picture is two frames of a video, or one that stands for both;
 * learned positions resized with their corners, rotary ones by row and column; 2 x 2 features side by side, two linears with
 * GELU (erf) between. Qwen3-VL's has features of early layers beside the tokens (deepstack.c). Sizes are those of
 * Qwen2VLImageProcessor in transformers. A frame's limits are a picture's: the processor divides those of a video by its number
 * of frames, which a stream does not have. */
#include "vision/internal.h"

#include <math.h>

#include "tern/error.h"

/* Where the file says nothing. The processor goes to 16384 tokens, which no CPU has the time for. */
#define MIN_TOKENS 64
#define MAX_TOKENS 1024

static gboolean
read_keys (TernVision *vision, GError **error)
{
  TernVisionInfo *info = &vision->info;
  guint step = info->patch * info->factor, area = step * step, least, most;

  if (!tern_vision_read_deepstack (vision, error)
      || !tern_gguf_u32_or (vision->file, "clip.vision.image_min_pixels", 1, 1u << 31, MIN_TOKENS * area, &least, error)
      || !tern_gguf_u32_or (vision->file, "clip.vision.image_max_pixels", 1, 1u << 31, MAX (MAX_TOKENS * area, least), &most,
          error))
    return FALSE;
  vision->min_pixels = least;
  vision->max_pixels = most;
  info->max_pieces = 1;
  info->min_tokens = MAX (1, least / area);
  info->max_tokens = most / area;
  if (vision->head_dim % 4)
    return tern_gguf_bad_key (vision->file, "clip.vision.attention.head_count", error, "expected heads of a multiple of 4 values, "
        "found %u", vision->head_dim);
  if (least <= most && info->max_tokens >= 1 && info->max_tokens <= TERN_VISION_MAX_TOKENS)
    return TRUE;
  return tern_gguf_bad_key (vision->file, "clip.vision.image_max_pixels", error, "expected limits (image_min_pixels, "
      "image_max_pixels) of 1 to %u visual tokens of %u pixels, found %u and %u", TERN_VISION_MAX_TOKENS, area, least, most);
}

static gboolean
bind (TernVision *vision, GError **error)
{
  guint inner = vision->info.factor * vision->info.factor * vision->hidden;

  return tern_vision_load_linear (vision, &vision->mm[0], &vision->mm_bias[0], "mm.0", inner, inner, error)
      && tern_vision_load_linear (vision, &vision->mm[1], &vision->mm_bias[1], "mm.2", inner, vision->info.embedding_dim, error)
      && tern_vision_bind_deepstack (vision, error);
}

static gboolean
plan (const TernVision *vision, guint width, guint height, const TernVisionOptions *options, TernVisionPlan *out,
    GError **error)
{
  guint w, h;

  if (!tern_vision_smart_size (vision, width, height, options, &w, &h, error))
    return FALSE;
  tern_vision_plan_append (out, vision, w, h);
  return TRUE;
}

static gboolean
pixels (TernVisionState *state, const TernImage *image, const TernVisionOptions *options, const TernVisionPlan *planned,
    guint i, GError **error)
{
  TernVisionOptions how = *options;

  if (options->tile)            /* a still, as the processor does it */
    how.scaling = TERN_SCALING_STRETCH;
  tern_transfer_prepare (image->transfer);
  how.tile = FALSE;
  return tern_vision_fit_frame (state, image, &how, planned, error);
}

static const TernVisionStage stages[] = { tern_vision_unshuffle, tern_vision_widen_tokens, tern_vision_bend_tokens,
  tern_vision_narrow_tokens, NULL };

const TernProjector tern_projector_qwen3vl = {
  .name = "qwen3vl_merger",
  .scaling = TERN_SCALING_STRETCH,
  .factor_key = "clip.vision.spatial_merge_size",
  .rotary = TRUE,
  .corners = TRUE,
  .frames = 2,
  .read_keys = read_keys,
  .bind = bind,
  .plan = plan,
  .sub_tokens = tern_vision_smart_tokens,
  .pixels = pixels,
  .stages = stages,
};
