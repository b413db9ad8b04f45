/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tern/view-priv.h"

#include <string.h>

#include "engine/base/mem.h"
#include "tern/planes.h"

static void
frame_clear (void *data)
{
  TernViewFrame *frame = data;

  for (guint i = 0; i < G_N_ELEMENTS (frame->pixels); i++)
    tern_mem_free (frame->pixels[i].data);
  tern_mem_free (frame->tokens);
  g_free (frame->plan);
}

static TernView *
view_new (TernModel *model, gboolean clip, GError **error)
{
  TernView *view;

  if (!tern_model_vision (model)) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID,
        "%s: expected a model opened with TERN_MODEL_VISION for a picture, found one without", tern_model_path (model));
    return NULL;
  }
  view = g_new0 (TernView, 1);
  view->refs = 1;
  view->model = tern_model_ref (model);
  view->clip = clip;
  view->frames = g_array_new (FALSE, TRUE, sizeof (TernViewFrame));
  g_array_set_clear_func (view->frames, frame_clear);
  g_mutex_init (&view->lock);
  return view;
}

TernView *
tern_view_ref (TernView *view)
{
  g_return_val_if_fail (view != NULL, NULL);
  g_atomic_int_inc (&view->refs);
  return view;
}

void
tern_view_unref (TernView *view)
{
  if (!view || !g_atomic_int_dec_and_test (&view->refs))
    return;
  if (view->stored)
    tern_frame_store_clear (&view->store);
  g_array_unref (view->frames);
  g_mutex_clear (&view->lock);
  tern_model_unref (view->model);
  g_free (view);
}

/* ---- Frames ------------------------------------------------------------------------------------------------------ */

static gboolean
copy_pixels (const TernImage *image, TernViewPixels *pixels, GError **error)
{
  TernPlanes planes;

  if (!tern_planes_of (image, &planes, error))
    return FALSE;
  pixels->bytes = tern_planes_bytes (&planes);
  if (!(pixels->data = tern_mem_alloc (pixels->bytes, "a picture", error)))
    return FALSE;
  tern_planes_copy (&planes, image, pixels->data, &pixels->image);
  return TRUE;
}

static gboolean
plan_frame (TernView *view, TernViewFrame *frame, GError **error)
{
  frame->options = (TernVisionOptions) { .tile = !view->clip, .scaling = tern_fit_scaling (TERN_FIT_TRAINED) };
  frame->plan = g_new0 (TernVisionPlan, 1);
  return tern_vision_plan_image (tern_model_vision (view->model), &frame->pixels[0].image, &frame->options, frame->plan, error);
}

/* The last picture, where @frame makes it whole: as in a session, but that no time between them is too long. */
static TernViewFrame *
half_picture (const TernView *view, const TernViewFrame *frame)
{
  TernViewFrame *last;

  if (!view->clip || view->frames->len == 0 || tern_model_picture_frames (view->model) < 2)
    return NULL;
  last = &g_array_index (view->frames, TernViewFrame, view->frames->len - 1);
  return last->n_frames == 1 && frame->pts >= last->pts
      && tern_vision_shown_alike (&frame->pixels[0].image, &last->pixels[0].image) ? last : NULL;
}

static gboolean
add (TernView *view, const TernImage *image, guint64 pts, GError **error)
{
  TernViewFrame frame = { .n_frames = 1, .pts = pts }, *half;

  if (!copy_pixels (image, &frame.pixels[0], error))
    return FALSE;
  half = half_picture (view, &frame);
  if (!half && !plan_frame (view, &frame, error)) {
    frame_clear (&frame);
    return FALSE;
  }
  g_mutex_lock (&view->lock);
  if (half) {
    half->pixels[1] = frame.pixels[0];
    half->n_frames = 2;
    half->pts += (pts - half->pts) / 2;
  } else {
    g_array_append_val (view->frames, frame);
  }
  g_mutex_unlock (&view->lock);
  return TRUE;
}

TernView *
tern_view_new_still (TernModel *model, const TernImage *image, GError **error)
{
  g_autoptr (TernView) view = NULL;

  g_return_val_if_fail (model != NULL && image != NULL, NULL);
  view = view_new (model, FALSE, error);
  return view && add (view, image, 0, error) ? g_steal_pointer (&view) : NULL;
}

TernView *
tern_view_new_clip (TernModel *model, GError **error)
{
  g_return_val_if_fail (model != NULL, NULL);
  return view_new (model, TRUE, error);
}

gboolean
tern_view_add_frame (TernView *view, const TernImage *image, guint64 pts, GError **error)
{
  gboolean shown = g_atomic_int_get (&view->shown);

  g_return_val_if_fail (view != NULL && image != NULL, FALSE);
  if (view->clip && !shown && view->n_frames < TERN_WINDOW_FRAMES_MAX) {
    if (!add (view, image, pts, error))
      return FALSE;
    view->n_frames++;
    return TRUE;
  }
  g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "frame: expected a clip of less than %u frames that was not shown yet,"
      " found %s", TERN_WINDOW_FRAMES_MAX, !view->clip ? "a still" : shown ? "one that was" : "one of as many");
  return FALSE;
}

gboolean
tern_view_show (TernView *view, GError **error)
{
  g_atomic_int_set (&view->shown, TRUE);
  if (view->frames->len > 0)
    return TRUE;
  g_set_error_literal (error, TERN_ERROR, TERN_ERROR_INVALID, "view: expected at least one frame, found none");
  return FALSE;
}

gboolean
tern_view_is_clip (const TernView *view)
{
  g_return_val_if_fail (view != NULL, FALSE);
  return view->clip;
}

gsize
tern_view_bytes (TernView *view)
{
  gsize bytes = sizeof *view, row;

  g_return_val_if_fail (view != NULL, 0);
  row = tern_model_embedding_dim (view->model) * sizeof (float);
  g_mutex_lock (&view->lock);
  for (guint i = 0; i < view->frames->len; i++) {
    const TernViewFrame *frame = &g_array_index (view->frames, TernViewFrame, i);

    /* Tokens come with the first look; a clip has them a second time. */
    bytes += frame->plan->n_tokens * row * (view->clip ? 2 : 1) + sizeof *frame->plan;
    for (guint k = 0; k < frame->n_frames; k++)
      bytes += frame->pixels[k].data ? frame->pixels[k].bytes : 0;
  }
  g_mutex_unlock (&view->lock);
  return bytes;
}

/* ---- In a prompt ------------------------------------------------------------------------------------------------- */

guint
tern_view_bound (const TernView *view)
{
  const TernCompressorParams params = TERN_COMPRESSOR_PARAMS_INIT;
  guint n = 0, most = 0, least = G_MAXUINT;

  for (guint i = 0; i < view->frames->len; i++) {
    guint tokens = g_array_index (view->frames, TernViewFrame, i).plan->n_tokens;

    n += tokens;
    most = MAX (most, tokens);
    least = MIN (least, tokens);
  }
  if (view->clip && most == least) {    /* frames of different sizes are not compressed */
    guint groups = view->frames->len / TERN_GROUP_FRAMES, rest = view->frames->len % TERN_GROUP_FRAMES;
    guint64 bound = (guint64) groups * tern_compressor_bound (&params, TERN_GROUP_FRAMES, most)
        + (rest ? tern_compressor_bound (&params, rest, most) : 0);

    n = (guint) MIN (bound, n);
  }
  return n;
}

void
tern_view_runs (const TernView *view, GArray *runs)
{
  for (guint i = 0; i < view->frames->len; i++) {
    const TernViewFrame *frame = &g_array_index (view->frames, TernViewFrame, i);

    for (guint s = 0; s < (view->clip ? 1 : frame->plan->n); s++) {
      const TernSubImage *sub = &frame->plan->sub[s];
      TernPromptRun run = { .row = sub->row, .column = sub->column, .thumbnail = sub->thumbnail, .time = frame->pts };

      g_array_append_val (runs, run);
    }
  }
}

/* ---- On the scheduler's thread ----------------------------------------------------------------------------------- */

TernViewFrame *
tern_view_next (TernView *view)
{
  for (guint i = 0; i < view->frames->len; i++) {
    TernViewFrame *frame = &g_array_index (view->frames, TernViewFrame, i);

    if (!frame->encoded)
      return frame;
  }
  return NULL;
}

const TernImage *
tern_view_before (const TernView *view, const TernViewFrame *frame)
{
  const TernViewFrame *first = &g_array_index (view->frames, TernViewFrame, 0);

  return frame > first && tern_model_looks_back (view->model) ? &frame[-1].pixels[frame[-1].n_frames - 1].image : NULL;
}

/* Those that nobody needs any more, now that @frame and all before it are encoded. Under the lock. */
static void
drop_pixels (TernView *view, TernViewFrame *frame)
{
  TernViewFrame *first = &g_array_index (view->frames, TernViewFrame, 0), *last = first + view->frames->len - 1;
  gboolean kept = frame < last && tern_model_looks_back (view->model);   /* the last one of @frame is before what comes */

  for (TernViewFrame *f = frame > first ? frame - 1 : first; f <= frame; f++)
    for (guint k = 0; k < f->n_frames; k++)
      if (!kept || f < frame || k + 1 < f->n_frames)
        g_clear_pointer (&f->pixels[k].data, tern_mem_free);
}

/* What is kept of a clip's frames, group by group, as in a window. */
static gboolean
store_clip (TernView *view, GError **error)
{
  TernCompressorParams params = TERN_COMPRESSOR_PARAMS_INIT;
  guint dim = tern_model_embedding_dim (view->model), n = view->frames->len;
  TernFrameGroup *group = NULL;

  params.window_frames = n;
  tern_frame_store_init (&view->store, dim, tern_model_deepstack (view->model), TERN_GROUP_FRAMES,
      (n + TERN_GROUP_FRAMES - 1) / TERN_GROUP_FRAMES);
  view->stored = TRUE;
  for (guint i = 0; i < n; i++) {
    const TernViewFrame *frame = &g_array_index (view->frames, TernViewFrame, i);
    float *rows;

    if (i % TERN_GROUP_FRAMES == 0)
      group = tern_frame_store_begin (&view->store, i);
    if (!(rows = tern_frame_store_rows (&view->store, group, frame->plan->n_tokens, error)))
      return FALSE;
    memcpy (rows, frame->tokens, (gsize) frame->plan->n_tokens * dim * sizeof (float));
    tern_frame_store_add (group, &(TernStoredFrame) { frame->plan->n_tokens, frame->plan->n_tokens, frame->plan->sub[0].grid_w,
          frame->plan->sub[0].grid_h, frame->pts, frame->pts, 0, 0 });
    if (group->n_frames == TERN_GROUP_FRAMES || i + 1 == n)
      tern_frame_store_close (&view->store, group, &params);
  }
  return TRUE;
}

gboolean
tern_view_encoded (TernView *view, TernViewFrame *frame, GError **error)
{
  g_mutex_lock (&view->lock);
  frame->encoded = TRUE;
  drop_pixels (view, frame);
  g_mutex_unlock (&view->lock);
  return !view->clip || tern_view_next (view) || view->stored || store_clip (view, error);
}

/* Of no session's frame: nothing that was read before is this picture. */
static void
add_picture (GArray *pictures, const float *tokens, const gint32 *keep, guint n, guint grid_w, guint grid_h)
{
  TernPicture picture = { G_MAXUINT64, tokens, keep, n, grid_w, grid_h, NULL };

  g_array_append_val (pictures, picture);
}

static void
add_group (const TernView *view, const TernFrameGroup *group, GArray *pictures)
{
  const float *tokens = tern_frame_store_kept (group);
  const gint32 *keep = group->keep;

  for (guint f = 0; f < group->n_frames; f++) {
    add_picture (pictures, tokens, keep, group->n_keep[f], group->grid_w[f], group->grid_h[f]);
    tokens += (gsize) group->n_tokens[f] * view->store.dim;
    keep += group->n_tokens[f];
  }
}

void
tern_view_pictures (TernView *view, GArray *pictures)
{
  const TernViewFrame *frame = &g_array_index (view->frames, TernViewFrame, 0);
  const float *tokens = frame->tokens;

  for (guint g = 0; view->clip && g < view->store.n; g++)
    add_group (view, &view->store.groups[g], pictures);
  for (guint s = 0; !view->clip && s < frame->plan->n; s++) {
    const TernSubImage *sub = &frame->plan->sub[s];

    add_picture (pictures, tokens, NULL, sub->n_tokens, sub->grid_w, sub->grid_h);
    tokens += (gsize) sub->n_tokens * tern_model_embedding_dim (view->model);
  }
}
