/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A picture to visual tokens: each sub-image of its plan in turn. */
#include "vision/internal.h"

#include <math.h>

#include "tern/error.h"

/* A plan decides how much is written, so it is not taken on trust. */
static gboolean
check_plan (const TernVisionState *state, const TernImage *image, const TernVisionOptions *options,
    const TernVisionPlan *plan, GError **error)
{
  TernVisionPlan own;
  guint i;

  if (!tern_vision_plan_image (state->vision, image, options, &own, error))
    return FALSE;
  for (i = 0; i < own.n && plan->n == own.n; i++)
    if (plan->sub[i].width != own.sub[i].width || plan->sub[i].height != own.sub[i].height
        || plan->sub[i].row != own.sub[i].row || plan->sub[i].column != own.sub[i].column)
      break;
  if (plan->n != own.n || i < own.n || plan->fixed != own.fixed || plan->n_tokens != own.n_tokens) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "picture of %u x %u: expected the plan that was made for it and "
        "these options, found another", image->width, image->height);
    return FALSE;
  }
  for (i = 0; i < plan->n; i++)
    if (own.sub[i].n_tokens > state->max_tokens) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE, "picture of %u x %u: expected at most %u visual tokens in a "
          "sub-image, for which this encoder was made; found %u", image->width, image->height, state->max_tokens,
          own.sub[i].n_tokens);
      return FALSE;
    }
  return TRUE;
}

void
tern_vision_padding (const TernVision *vision, guint8 padding[3])
{
  guint c;

  for (c = 0; c < 3; c++)
    padding[c] = (guint8) CLAMP (lrintf (255 * vision->mean[c]), 0, 255);
}

gboolean
tern_vision_pixels (TernVisionState *state, const TernImage *image, const TernVisionOptions *options,
    const TernVisionPlan *plan, guint i, GError **error)
{
  const TernVision *vision = state->vision;
  TernVisionOptions resolved = *options;

  if (resolved.scaling == TERN_SCALING_TRAINED)
    resolved.scaling = vision->projector->scaling;
  state->width = plan->sub[i].width;
  state->height = plan->sub[i].height;
  state->grid_w = state->width / vision->info.patch;
  state->grid_h = state->height / vision->info.patch;
  state->n = state->grid_w * state->grid_h;
  return vision->projector->pixels (state, image, &resolved, plan, i, error);
}

gboolean
tern_vision_encode (TernVisionState *state, const TernImage *image, const TernVisionOptions *options,
    const TernVisionPlan *plan, float *tokens, TernCancel *cancel, GError **error)
{
  guint i;

  if (!tern_image_check (image, error) || !check_plan (state, image, options, plan, error))
    return FALSE;
  state->cancel = cancel;
  for (i = 0; i < plan->n; i++) {
    if (!tern_vision_pixels (state, image, options, plan, i, error))
      return FALSE;
    if (!tern_vision_transform (state) || !state->vision->projector->project (state, tokens)) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_CANCELLED, "encoding of a picture was cancelled");
      return FALSE;
    }
    tokens += (gsize) plan->sub[i].n_tokens * state->vision->info.embedding_dim;
  }
  return TRUE;
}
