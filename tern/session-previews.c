/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Previews: tokens of frames that are held elsewhere until their group is whole. Requests are about them until they come
 * with it; windows never see them, and neither does the queue, so that they change nothing for those. */
#include "tern/session-priv.h"

#include <string.h>

#include "engine/base/mem.h"

/* ---- One of them ---- */

/* Under the lock, or of one that nobody else has. */
static void
unref (TernPreview *preview)
{
  if (--preview->refs > 0)
    return;
  tern_mem_free (preview->rows);
  g_free (preview->places);
  g_free (preview);
}

/* A copy of @tokens. NO_SPACE. */
static TernPreview *
copy_tokens (const TernTokens *tokens, GError **error)
{
  gsize bytes = (gsize) tokens->n_tokens * tokens->dim * sizeof (float);
  guint64 full = MAX ((guint64) tokens->grid_w * tokens->grid_h, tokens->n_tokens);
  TernPreview *preview;
  float *rows = NULL;

  if (bytes > 0) {
    if (!(rows = tern_mem_alloc (bytes, "visual tokens of a frame", error)))
      return NULL;
    memcpy (rows, tokens->tokens, bytes);
  }
  preview = g_new (TernPreview, 1);
  *preview = (TernPreview) { .refs = 1, .number = tokens->number, .pts = tokens->pts, .n_tokens = tokens->n_tokens,
    .at = tokens->pts - MIN (tokens->late, tokens->pts), .after = tokens->after,
    .end = tokens->duration == TERN_TIME_NONE ? TERN_TIME_NONE : tokens->pts + tokens->duration,
    .full = (guint) MIN (full, TERN_FRAME_TOKENS_MAX), .rows = rows,
    .grid_w = tokens->grid_w, .grid_h = tokens->grid_h,
    .places = tokens->keep ? g_memdup2 (tokens->keep, tokens->n_tokens * sizeof (gint32)) : NULL };
  return preview;
}

/* ---- The list ---- */

static void
remove_at (TernPreviews *previews, guint i)
{
  unref (previews->frames[i]);
  previews->n--;
  memmove (previews->frames + i, previews->frames + i + 1, (previews->n - i) * sizeof previews->frames[0]);
}

void
tern_session_drop_previews (TernSession *self, guint64 number)
{
  TernPreviews *previews = &self->previews;

  while (previews->n > 0 && previews->frames[0]->number <= number)
    remove_at (previews, 0);
}

/* Whether the frame is one to look at: not every one is, when there are more than a window may have. */
static gboolean
sample (const TernSession *self, TernPreview *preview)
{
  const TernPreviews *previews = &self->previews;

  preview->sampler = previews->n > 0 ? previews->frames[previews->n - 1]->sampler : self->sampler;
  if (!self->thin)
    return TRUE;
  if (!tern_frame_sampler_take (&preview->sampler, preview->at))
    return FALSE;
  preview->at -= tern_frame_sampler_late (&preview->sampler, preview->at);
  return TRUE;
}

/* Takes @preview over; it stands in the place of those that have its number or a later one. Under the lock. */
static void
add (TernSession *self, TernPreview *preview)
{
  TernPreviews *previews = &self->previews;

  while (previews->n > 0 && previews->frames[previews->n - 1]->number >= preview->number)
    remove_at (previews, previews->n - 1);
  if (!sample (self, preview)) {
    unref (preview);
    return;
  }
  if (previews->n == TERN_GROUP_FRAMES)
    remove_at (previews, 0);
  previews->frames[previews->n++] = preview;
}

gboolean
tern_session_preview_tokens (TernSession *self, const TernTokens *tokens, GError **error)
{
  TernPreview *preview;

  g_return_val_if_fail (self != NULL && tokens != NULL, FALSE);
  if (!tern_session_check_tokens (self, tokens, error) || !(preview = copy_tokens (tokens, error)))
    return FALSE;
  g_mutex_lock (&self->lock);
  add (self, preview);
  g_mutex_unlock (&self->lock);
  tern_scheduler_kick (self->model->scheduler, &self->client);
  return TRUE;
}

/* ---- What a request is about ---- */

gboolean
tern_session_has_previews (const TernSession *self, const TernSessionConfig *config, guint64 looking)
{
  /* What a machine does is decided once, about frames that have come. */
  return self->previews.n > 0 && !config->questions[0].action && looking == G_MAXUINT64
      && !tern_session_frames_wait (self, G_MAXUINT64);
}

void
tern_session_show_previews (TernSession *self)
{
  const TernPreviews *previews = &self->previews;
  guint first = previews->n - 1;

  self->shown = *previews;
  self->shown_first = self->windower.count;
  for (guint i = 0; i < previews->n; i++)
    previews->frames[i]->refs++;
  self->shown_window = tern_windower_find (&self->windower, previews->frames[first]->at);
  if (self->shown_window != G_MAXUINT64)
    return;
  /* A window that none of those that came is in. */
  while (first > 0 && tern_windower_find (&self->windower, previews->frames[first - 1]->at) == G_MAXUINT64)
    first--;
  self->shown_window = self->shown_first + first;
}

void
tern_session_hide_previews (TernSession *self)
{
  g_mutex_lock (&self->lock);
  while (self->shown.n > 0)
    unref (self->shown.frames[--self->shown.n]);
  g_mutex_unlock (&self->lock);
}
