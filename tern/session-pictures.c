/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which visual tokens an answer is about: those of a window's frames, of a still's tiles, or of the newest frames that were
 * looked at. */
#include "tern/session-priv.h"

void
tern_session_clear_pictures (TernSession *self)
{
  g_array_set_size (self->pictures, 0);
  g_array_set_size (self->runs, 0);
}

static void
add_picture (TernSession *self, const TernPicture *picture, const TernPromptRun *run)
{
  g_array_append_vals (self->pictures, picture, 1);
  g_array_append_vals (self->runs, run, 1);
}

/* Frames of @group from number @first on: of one that is open all tokens, for what it keeps is not chosen yet. */
static guint
add_frames (TernSession *self, const TernFrameGroup *group, guint64 first, guint64 start)
{
  const float *tokens = tern_frame_store_kept (group);
  const gint32 *keep = group->keep, *at = group->at;
  guint kept = 0;

  for (guint f = 0; f < group->n_frames; f++) {
    guint n = group->closed ? group->n_keep[f] : group->n_tokens[f];

    if (n > 0 && group->first + f >= first) {
      add_picture (self, &(TernPicture) { group->first + f, tokens, group->closed ? keep : NULL, n, group->grid_w[f],
              group->grid_h[f], at },
          &(TernPromptRun) { .time = group->pts[f] > start ? group->pts[f] - start : 0 });
      kept += n;
    }
    tokens += (gsize) group->n_tokens[f] * self->store.dim;
    keep += group->n_tokens[f];
    at += group->n_tokens[f];
  }
  return kept;
}

void
tern_session_add_frame (TernSession *self, const TernFrameGroup *group, guint f)
{
  const float *tokens = tern_frame_store_kept (group);
  const gint32 *keep = group->keep, *at = group->at;

  for (guint i = 0; i < f; i++) {
    tokens += (gsize) group->n_tokens[i] * self->store.dim;
    keep += group->n_tokens[i];
    at += group->n_tokens[i];
  }
  add_picture (self, &(TernPicture) { group->first + f, tokens, keep, group->n_keep[f], group->grid_w[f], group->grid_h[f], at },
      &(TernPromptRun) { 0 });
}

guint
tern_session_add_group (TernSession *self, const TernFrameGroup *group, guint64 start)
{
  return add_frames (self, group, group->first, start);
}

/* ---- When they were ---- */

const TernFrameGroup *
tern_session_group_of (const TernSession *self, guint64 frame)
{
  guint at = self->store.n;

  while (at > 1 && self->store.groups[at - 1].first > frame)
    at--;
  return at > 0 ? &self->store.groups[at - 1] : NULL;
}

TernFrameTimes
tern_session_times_of (const TernSession *self, guint64 frame)
{
  const TernFrameGroup *group = tern_session_group_of (self, frame);
  guint64 f;

  if (self->shown.n > 0 && frame >= self->shown_first) {
    const TernPreview *preview = self->shown.frames[MIN (frame - self->shown_first, self->shown.n - 1)];

    return (TernFrameTimes) { preview->at, preview->pts + preview->after };
  }
  if (!group || group->n_frames == 0)
    return (TernFrameTimes) { 0, 0 };
  f = MIN (frame - MIN (frame, group->first), group->n_frames - 1);
  return (TernFrameTimes) { group->begins[f], group->pts[f] + group->after[f] };
}

/* ---- Windows and moments ---- */

static guint
frames_from (const TernFrameGroup *group, guint64 first)
{
  guint64 before = first > group->first ? first - group->first : 0;

  return before < group->n_frames ? group->n_frames - (guint) before : 0;
}

/* Frames of @window that come again with their group. */
static void
gather_previews (TernSession *self, const TernWindow *window, TernResult *values)
{
  for (guint i = 0; i < self->shown.n; i++) {
    const TernPreview *frame = self->shown.frames[i];
    guint64 number = self->shown_first + i, pts = frame->pts;

    if (number < window->first)
      continue;
    if (frame->n_tokens > 0)
      add_picture (self, &(TernPicture) { number, frame->rows, NULL, frame->n_tokens, frame->grid_w, frame->grid_h,
              frame->places },
          &(TernPromptRun) { .time = pts > window->start_time ? pts - window->start_time : 0 });
    values->frames++;
    values->visual_in += frame->full;
    values->visual_kept += frame->n_tokens;
  }
}

/* A window's frames are those of whole groups; a request may be about the newest of them, in the middle of one. */
static gboolean
gather_frames (TernSession *self, TernInquiry *in, GError **error)
{
  const TernWindow *window = &in->hand.work.window;
  TernResult *values = &in->told.values;
  const char *failure = NULL;

  for (guint g = 0; g < self->store.n; g++) {
    const TernFrameGroup *group = &self->store.groups[g];
    guint n = group->first < window->end ? frames_from (group, window->first) : 0;

    if (n == 0 && !(group->first >= window->first && group->first < window->end))
      continue;
    failure = failure ? failure : group->error;
    values->visual_kept += add_frames (self, group, window->first, window->start_time);
    values->frames += n;
    values->visual_in += n == group->n_frames ? group->full : n * (group->full / MAX (group->n_frames, 1));
    values->metrics.encode_ms += group->encode_ms;
    values->metrics.compress_ms += group->compress_ms;
  }
  if (in == &self->request)
    gather_previews (self, window, values);
  if (failure)
    g_set_error_literal (error, TERN_ERROR, TERN_ERROR_FAILED, failure);
  else if (values->frames == 0)
    g_set_error_literal (error, TERN_ERROR, TERN_ERROR_FAILED, "no frame of the window could be encoded");
  return !failure && values->frames > 0;
}

/* ---- Stills ---- */

static void
gather_still (TernSession *self, TernInquiry *in)
{
  const TernVisionPlan *plan = &in->hand.plan;
  gsize width = tern_llm_info (self->text->llm)->visual_dim;
  const float *tokens = self->still_tokens;
  TernResult *values = &in->told.values;

  for (guint i = 0; i < plan->n; i++) {
    const TernSubImage *sub = &plan->sub[i];

    /* Of no frame: nothing that was read before is this picture. */
    add_picture (self, &(TernPicture) { G_MAXUINT64, tokens, NULL, sub->n_tokens, sub->grid_w, sub->grid_h, NULL },
        &(TernPromptRun) { .row = sub->row, .column = sub->column, .thumbnail = sub->thumbnail });
    tokens += sub->n_tokens * width;
  }
  values->frames = 1;
  values->visual_in = values->visual_kept = plan->n_tokens;
  values->metrics.encode_ms = (double) in->hand.spent / 1000;
}

gboolean
tern_session_gather (TernSession *self, TernInquiry *in, GError **error)
{
  tern_session_clear_pictures (self);
  if (in->hand.work.kind != TERN_WORK_STILL)
    return gather_frames (self, in, error);
  gather_still (self, in);
  return TRUE;
}

/* ---- What is not needed any more ---- */

void
tern_session_let_go (TernSession *self, guint64 next)
{
  self->release_to = MAX (self->release_to, next);
}

void
tern_session_release_frames (TernSession *self)
{
  guint64 next = self->release_to;

  /* What a request reads stays until it has. */
  if (self->request.hand.has)
    next = MIN (next, self->request.hand.work.window.first);
  if (self->stream)
    next = MIN (next, tern_session_stream_needs (self));
  tern_frame_store_release (&self->store, next);
}
