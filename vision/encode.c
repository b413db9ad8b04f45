/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A picture to visual tokens in slices: each sub-image of its plan in turn, first its pixels, then the arithmetic on them. */
#include "vision/internal.h"

#include <math.h>
#include <string.h>

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
  return TRUE;
}

/* A picture with larger sub-images than any before. */
static gboolean
make_room (TernVisionState *state, const TernImage *image, const TernVisionPlan *plan, GError **error)
{
  guint most = 0, i;

  for (i = 0; i < plan->n; i++)
    most = MAX (most, plan->sub[i].n_tokens);
  if (most <= TERN_VISION_MAX_TOKENS)
    return tern_vision_state_reserve (state, most, error);
  g_set_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE, "picture of %u x %u: expected at most %u visual tokens in a "
      "sub-image, found %u", image->width, image->height, TERN_VISION_MAX_TOKENS, most);
  return FALSE;
}

void
tern_vision_padding (const TernVision *vision, guint8 padding[3])
{
  guint c;

  for (c = 0; c < 3; c++)
    padding[c] = (guint8) CLAMP (lrintf (255 * vision->mean[c]), 0, 255);
}

/* What is in the first frame's planes, and what in the second's. */
static void
swap_planes (TernVisionState *state)
{
  guint8 *rgb[3];

  memcpy (rgb, state->rgb, sizeof rgb);
  memcpy (state->rgb, state->second, sizeof rgb);
  memcpy (state->second, rgb, sizeof rgb);
}

/* The planes of @frame in those of the second one. */
static gboolean
put_aside (TernVisionState *state, const TernImage *frame, const TernVisionOptions *options, const TernVisionPlan *plan,
    guint i, GError **error)
{
  gboolean ok;

  swap_planes (state);
  ok = state->vision->projector->pixels (state, frame, options, plan, i, error);
  swap_planes (state);
  return ok;
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
  if ((state->follows && !put_aside (state, &state->before, &resolved, plan, i, error))
      || !vision->projector->pixels (state, image, &resolved, plan, i, error))
    return FALSE;
  tern_vision_measure_before (state);
  if (state->paired && !put_aside (state, &state->next, &resolved, plan, i, error))
    return FALSE;
  tern_vision_measure_pair (state);
  return TRUE;
}

static void
enter_sub_image (TernVisionState *state, guint sub)
{
  state->sub = sub;
  state->has_pixels = FALSE;
  tern_vision_rewind (state);
}

static void
forget_picture (TernVisionState *state)
{
  state->busy = FALSE;
  state->image = state->next = state->before = (TernImage) { 0 };
  state->paired = state->follows = FALSE;
  state->tokens = NULL;
  state->reuse = NULL;
  state->cancel = NULL;
}

gboolean
tern_vision_begin_reusing (TernVisionState *state, TernReuse *reuse, const TernImage *image,
    const TernVisionOptions *options, const TernVisionPlan *plan, float *tokens, GError **error)
{
  forget_picture (state);
  if (!tern_image_check (image, error) || !check_plan (state, image, options, plan, error)
      || !make_room (state, image, plan, error))
    return FALSE;
  state->busy = TRUE;
  state->image = *image;
  state->options = *options;
  state->plan = *plan;
  state->tokens = tokens;
  state->reuse = reuse && tern_reuse_enter (reuse, plan) ? reuse : NULL;
  enter_sub_image (state, 0);
  return TRUE;
}

/* The picture that was begun has a second frame. */
static gboolean
take_second (TernVisionState *state, const TernImage *second, GError **error)
{
  if (state->vision->info.frames != 2) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "two frames for one picture: expected an encoder that pairs frames, "
        "found \"%s\", which does not", state->vision->info.projector);
    return FALSE;
  }
  if (!tern_image_check (second, error) || !check_plan (state, second, &state->options, &state->plan, error))
    return FALSE;
  state->next = *second;
  state->paired = TRUE;
  return TRUE;
}

/* There is a frame before the picture that was begun. */
static gboolean
take_before (TernVisionState *state, const TernImage *before, GError **error)
{
  if (!state->vision->info.looks_back)
    return TRUE;
  if (!tern_image_check (before, error))
    return FALSE;
  state->follows = tern_vision_shown_alike (before, &state->image);
  if (state->follows)
    state->before = *before;
  return TRUE;
}

gboolean
tern_vision_begin_frames (TernVisionState *state, const TernImage *before, const TernImage *first, const TernImage *second,
    const TernVisionOptions *options, const TernVisionPlan *plan, float *tokens, GError **error)
{
  if (!tern_vision_begin (state, first, options, plan, tokens, error))
    return FALSE;
  if ((!second || take_second (state, second, error)) && (!before || take_before (state, before, error)))
    return TRUE;
  forget_picture (state);
  return FALSE;
}

gboolean
tern_vision_begin (TernVisionState *state, const TernImage *image, const TernVisionOptions *options,
    const TernVisionPlan *plan, float *tokens, GError **error)
{
  return tern_vision_begin_reusing (state, NULL, image, options, plan, tokens, error);
}

static gboolean
take_pixels (TernVisionState *state, GError **error)
{
  state->work = 0;
  state->has_pixels = tern_vision_pixels (state, &state->image, &state->options, &state->plan, state->sub, error);
  if (state->has_pixels && state->reuse)
    tern_reuse_choose (state);
  return state->has_pixels;
}

/* TRUE: that was the last one. */
static gboolean
leave_sub_image (TernVisionState *state)
{
  state->tokens += (gsize) state->plan.sub[state->sub].n_tokens * state->vision->info.row_dim;
  enter_sub_image (state, state->sub + 1);
  return state->sub == state->plan.n;
}

/* A language model makes NaN of all tokens where one is, and would be blamed. What an encoder's matrices hold is not looked at
 * when it is opened. */
static gboolean
check_tokens (const TernVisionState *state, GError **error)
{
  gsize n = (gsize) state->plan.sub[state->sub].n_tokens * state->vision->info.row_dim;

  for (gsize i = 0; i < n; i++)
    if (!isfinite (state->tokens[i])) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_FAILED, "%s: expected weights of which an encoder makes finite visual tokens, found "
          "%g: the file is damaged", tern_gguf_path (state->vision->file), state->tokens[i]);
      return FALSE;
    }
  return TRUE;
}

/* FALSE: it failed. */
static gboolean
do_slice (TernVisionState *state, gboolean *done, GError **error)
{
  *done = FALSE;
  if (!state->has_pixels)
    return take_pixels (state, error);
  if (!tern_vision_advance (state))
    return TRUE;
  if (state->reuse && !tern_reuse_finish (state)) {
    tern_vision_rewind (state);
    return TRUE;
  }
  if (!tern_cancel_is_raised (state->cancel) && !check_tokens (state, error))
    return FALSE;
  *done = leave_sub_image (state);
  return TRUE;
}

TernVisionStep
tern_vision_step (TernVisionState *state, TernCancel *cancel, GError **error)
{
  gboolean done = FALSE;

  if (!state->busy) {
    g_set_error_literal (error, TERN_ERROR, TERN_ERROR_INVALID, "a slice of a picture: expected one that was begun and is "
        "not finished, found none");
    return TERN_VISION_FAILED;
  }
  state->cancel = cancel;
  if (!tern_cancel_is_raised (cancel) && !do_slice (state, &done, error)) {
    forget_picture (state);
    return TERN_VISION_FAILED;
  }
  state->cancel = NULL;
  /* Once it is raised, loops leave out what they like. */
  if (tern_cancel_is_raised (cancel)) {
    forget_picture (state);
    g_set_error_literal (error, TERN_ERROR, TERN_ERROR_CANCELLED, "encoding of a picture was cancelled");
    return TERN_VISION_CANCELLED;
  }
  if (!done)
    return TERN_VISION_MORE;
  forget_picture (state);
  return TERN_VISION_DONE;
}

gboolean
tern_vision_encode (TernVisionState *state, const TernImage *image, const TernVisionOptions *options,
    const TernVisionPlan *plan, float *tokens, TernCancel *cancel, GError **error)
{
  TernVisionStep step = TERN_VISION_MORE;

  if (!tern_vision_begin (state, image, options, plan, tokens, error))
    return FALSE;
  while (step == TERN_VISION_MORE)
    step = tern_vision_step (state, cancel, error);
  return step == TERN_VISION_DONE;
}
