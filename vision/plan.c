/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sizes and numbers of sub-images: what is the same for every projector. */
#include "vision/internal.h"

#include "tern/error.h"

TernSubImage *
tern_vision_plan_append (TernVisionPlan *plan, const TernVision *vision, guint width, guint height)
{
  TernSubImage *sub = &plan->sub[plan->n++];
  guint patch = vision->info.patch, factor = vision->info.factor;

  /* Pixels that fill no patch are left out; patches that fill no token are filled up. */
  *sub = (TernSubImage) { .width = width, .height = height };
  sub->grid_w = (width / patch + factor - 1) / factor;
  sub->grid_h = (height / patch + factor - 1) / factor;
  sub->n_tokens = sub->grid_w * sub->grid_h;
  plan->n_tokens += sub->n_tokens;
  return sub;
}

gboolean
tern_vision_check_limits (const TernVisionOptions *options, GError **error)
{
  if (options->min_tokens <= TERN_VISION_MAX_TOKENS && options->max_tokens <= TERN_VISION_MAX_TOKENS
      && (!options->min_tokens || !options->max_tokens || options->min_tokens <= options->max_tokens))
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "image tokens %u:%u: expected a least and a most number of at most "
      "%u, the least not above the most", options->min_tokens, options->max_tokens, TERN_VISION_MAX_TOKENS);
  return FALSE;
}

static gboolean
check_size (guint width, guint height, GError **error)
{
  if (width >= 1 && width <= TERN_VISION_MAX_SIDE && height >= 1 && height <= TERN_VISION_MAX_SIDE)
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "picture of %u x %u pixels: expected sides of 1 to %u", width,
      height, TERN_VISION_MAX_SIDE);
  return FALSE;
}

gboolean
tern_vision_plan (const TernVision *vision, guint width, guint height, const TernVisionOptions *options,
    TernVisionPlan *plan, GError **error)
{
  plan->n = plan->n_tokens = 0;
  plan->fixed = FALSE;
  return check_size (width, height, error) && vision->projector->plan (vision, width, height, options, plan, error);
}

gboolean
tern_vision_plan_image (const TernVision *vision, const TernImage *image, const TernVisionOptions *options,
    TernVisionPlan *plan, GError **error)
{
  guint width, height;

  tern_vision_shown_size (image, &width, &height);
  return tern_vision_plan (vision, width, height, options, plan, error);
}

gboolean
tern_vision_sub_tokens (const TernVision *vision, const TernVisionOptions *options, guint *tokens, GError **error)
{
  return vision->projector->sub_tokens (vision, options, tokens, error);
}
