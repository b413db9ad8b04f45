/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/visual.h"

#include <stdio.h>

#include "tern/error.h"
#include "engine/base/mem.h"
#include "tools/media.h"
#include "vision/vision.h"

typedef struct {
  TernMedia *media;
  TernImage image;              /* in it */
  TernVisionPlan plan;
  gboolean second;              /* a frame that makes one picture with the one before */
  gboolean follows;             /* it does to a video's, whatever their sizes */
} Still;

static void
still_clear (gpointer data)
{
  tern_media_free (((Still *) data)->media);
}

/* Every picture before any is encoded: a bad path is found at once. */
static gboolean
load_all (GArray *stills, char **paths, GError **error)
{
  for (char **path = paths; path && *path; path++) {
    Still still = { .media = tern_media_open (*path, NULL, NULL, error) };
    guint64 pts, duration;

    if (!still.media)
      return FALSE;
    g_array_append_val (stills, still);
    if (tern_media_next (still.media, &g_array_index (stills, Still, stills->len - 1).image, &pts, &duration, error)
        != TERN_MEDIA_FRAME)
      return FALSE;
  }
  return TRUE;
}

/* @n_sub: sub-images of all. */
static gboolean
plan_all (GArray *stills, const TernVision *vision, char **paths, const TernVisionOptions *options, guint *n_sub,
    GError **error)
{
  *n_sub = 0;
  for (guint i = 0; i < stills->len; i++) {
    Still *still = &g_array_index (stills, Still, i);

    if (!tern_vision_plan_image (vision, &still->image, options, &still->plan, error)) {
      g_prefix_error (error, "%s: ", paths[i]);
      return FALSE;
    }
    *n_sub += still->plan.n;
  }
  return TRUE;
}

/* Every second picture goes with the one before, the last one with itself if need be. */
static gboolean
is_video (const GArray *stills, const TernVision *vision, const TernVisualParams *params)
{
  return tern_vision_info (vision)->frames == 2 && stills->len > 1 && params->runs == (stills->len + 1) / 2;
}

static gboolean
pair_frames (GArray *stills, const TernVisualParams *params, GError **error)
{
  for (guint i = 1; i < stills->len; i++) {
    const TernVisionPlan *first = &g_array_index (stills, Still, i - 1).plan;
    Still *still = &g_array_index (stills, Still, i);

    still->follows = TRUE;
    still->second = i % 2 == 1;
    if (!still->second || (still->plan.sub[0].width == first->sub[0].width && still->plan.sub[0].height == first->sub[0].height))
      continue;
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "%s: expected a frame of the size of %s, found another", params->images[i],
        params->images[i - 1]);
    return FALSE;
  }
  return TRUE;
}

/* Tiles as the model makes them, unless the prompt has one place for each picture: then each in one piece. */
static gboolean
choose_plans (GArray *stills, const TernVision *vision, const TernVisualParams *params, TernVisionOptions *options,
    GError **error)
{
  guint n_sub;

  if (!plan_all (stills, vision, params->images, options, &n_sub, error))
    return FALSE;
  if (is_video (stills, vision, params))
    return pair_frames (stills, params, error);
  if (n_sub == params->runs || stills->len != params->runs)
    return TRUE;
  options->whole = TRUE;
  return plan_all (stills, vision, params->images, options, &n_sub, error);
}

/* Room for all tokens; the most of one sub-image. */
static gboolean
take_rows (TernVisual *visual, const GArray *stills, guint *most, GError **error)
{
  gsize bytes = 0;

  *most = 1;
  for (guint i = 0; i < stills->len; i++) {
    const TernVisionPlan *plan = &g_array_index (stills, Still, i).plan;

    if (g_array_index (stills, Still, i).second)
      continue;
    visual->sub = g_renew (guint, visual->sub, visual->n_sub + plan->n);
    visual->columns = g_renew (guint, visual->columns, visual->n_sub + plan->n);
    for (guint j = 0; j < plan->n; j++) {
      visual->columns[visual->n_sub] = plan->sub[j].grid_w;
      visual->sub[visual->n_sub++] = plan->sub[j].n_tokens;
      *most = MAX (*most, plan->sub[j].n_tokens);
    }
    visual->n += plan->n_tokens;
  }
  if (!tern_mul ((gsize) visual->n * sizeof (float), visual->width, &bytes))
    bytes = G_MAXSIZE;
  visual->rows = tern_mem_alloc (bytes, "visual tokens", error);
  return visual->rows != NULL;
}

static gboolean
finish (TernVisionState *state, GError **error)
{
  TernVisionStep step;

  while ((step = tern_vision_step (state, NULL, error)) == TERN_VISION_MORE)
    ;
  return step == TERN_VISION_DONE;
}

static gboolean
encode_all (TernVisual *visual, const GArray *stills, TernVision *vision, const TernVisualParams *params,
    const TernVisionOptions *options, TernPool *pool, GError **error)
{
  float *rows;
  guint most;
  g_autoptr (TernVisionState) state = NULL;

  if (!take_rows (visual, stills, &most, error)
      || !(state = tern_vision_state_new (vision, most, params->activations, pool, error)))
    return FALSE;
  rows = visual->rows;
  for (guint i = 0; i < stills->len; i++) {
    const Still *still = &g_array_index (stills, Still, i);
    const Still *next = i + 1 < stills->len && still[1].second ? still + 1 : NULL;

    if (still->second)
      continue;
    if (!tern_vision_begin_frames (state, still->follows ? &still[-1].image : NULL, &still->image, next ? &next->image : NULL,
            options, &still->plan, rows, error)
        || !finish (state, error))
      return FALSE;
    rows += (gsize) still->plan.n_tokens * visual->width;
  }
  return TRUE;
}

static gboolean
check_widths (const TernVisionInfo *info, const TernLlmInfo *text, const TernVisualParams *params, const char *model,
    GError **error)
{
  if (info->embedding_dim == text->width && info->deepstack == text->deepstack)
    return TRUE;
  if (info->embedding_dim != text->width)
    g_set_error (error, TERN_ERROR, TERN_ERROR_MISMATCH, "%s: expected visual tokens of %u values, the width of %s, "
        "found %u", params->mmproj, text->width, model, info->embedding_dim);
  else
    g_set_error (error, TERN_ERROR, TERN_ERROR_MISMATCH, "%s: key clip.vision.is_deepstack_layers: expected %u marked layers "
        "(%s.n_deepstack_layers of %s), found %u", params->mmproj, text->deepstack, text->architecture, model, info->deepstack);
  return FALSE;
}

gboolean
tern_visual_encode (TernVisual *visual, const TernVisualParams *params, const char *model, const TernLlmInfo *text,
    const TernKernels *kernels, TernPool *pool, GError **error)
{
  TernVisionOptions options = { .min_tokens = params->min_tokens, .max_tokens = params->max_tokens, .tile = TRUE };
  g_autoptr (TernGguf) file = tern_gguf_open (params->mmproj, error);
  g_autoptr (TernVision) vision = file ? tern_vision_open (file, kernels, error) : NULL;
  g_autoptr (GArray) stills = g_array_new (FALSE, FALSE, sizeof (Still));

  *visual = (TernVisual) { .width = text->visual_dim };
  g_array_set_clear_func (stills, still_clear);
  if (!vision)
    return FALSE;
  if (!check_widths (tern_vision_info (vision), text, params, model, error))
    return FALSE;
  return load_all (stills, params->images, error) && choose_plans (stills, vision, params, &options, error)
      && encode_all (visual, stills, vision, params, &options, pool, error);
}

void
tern_visual_clear (TernVisual *visual)
{
  tern_mem_free (visual->rows);
  g_free (visual->sub);
  g_free (visual->columns);
}

gboolean
tern_visual_parse_limits (const char *text, guint *min, guint *max)
{
  char rest;

  return sscanf (text, "%u:%u%c", min, max, &rest) == 2 && *min >= 1 && *min <= *max && *max <= 1 << 20;
}
