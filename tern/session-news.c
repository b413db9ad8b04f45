/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Frames of a session in which nothing is new: they are not encoded, but have the tokens of the picture that was. The gate is
 * asked when a frame's turn has come, not when it is pushed: it has to know what was encoded, and a live session drops
 * frames that wait. */
#include "tern/session-priv.h"

#include <string.h>

#include "engine/base/mem.h"

gboolean
tern_session_open_gate (TernSession *self, const TernGateParams *params, GError **error)
{
  gboolean off = params->mode == TERN_GATE_MODE_OFF || (self->action && params->mode == TERN_GATE_MODE_AUTO);

  if (!self->vision || (off && !self->budget))
    return tern_gate_params_check (params, error);
  self->news.gate = tern_gate_new (params, error);
  if (!self->news.gate)
    return FALSE;
  if (self->budget && !self->tokens_only)
    tern_gate_set_budget (self->news.gate, self->budget);
  tern_gate_set_settle (self->news.gate, tern_vision_info (self->vision)->frames == 2);
  return TRUE;
}

gboolean
tern_session_prepare_gate (TernSession *self, guint n, GError **error)
{
  if (!tern_reuse_open (n > 0 ? self->vision : NULL, &self->config->params.reuse, &self->news.reuse, error))
    return FALSE;
  if (!self->news.gate || n == 0)
    return TRUE;
  self->news.rows = tern_mem_alloc ((gsize) n * self->store.dim * sizeof (float), "visual tokens of the last frame", error);
  self->news.room = self->news.rows ? n : 0;
  return self->news.rows != NULL;
}

void
tern_session_close_gate (TernSession *self)
{
  g_clear_pointer (&self->news.gate, tern_gate_free);
  g_clear_pointer (&self->news.reuse, tern_reuse_free);
  tern_mem_free (self->news.rows);
  self->news.rows = NULL;
}

void
tern_session_forget_news (TernSession *self)
{
  if (self->news.gate)
    tern_gate_force (self->news.gate);
  self->news.n = 0;
  tern_answered_forget (&self->answered);
}

gboolean
tern_session_reuse_frame (TernSession *self, TernFrameGroup *group)
{
  const TernWork *work = &self->frame.work;
  TernNews *news = &self->news;
  float *rows;

  if (!news->gate)
    return FALSE;
  if (work->stretch != news->stretch)
    tern_session_forget_news (self);
  news->stretch = work->stretch;
  if (tern_gate_look (news->gate, work->slot->second ? &work->slot->second->image : &work->slot->image, 0, work->pts))
    return FALSE;
  rows = news->n > 0 ? tern_frame_store_rows (&self->store, group, news->n, NULL) : NULL;
  if (!rows) {                  /* it is encoded, or whoever does says what is wrong */
    tern_gate_force (news->gate);
    return FALSE;
  }
  memcpy (rows, news->rows, (gsize) news->n * self->store.dim * sizeof (float));
  tern_frame_store_add (group, &(TernStoredFrame) { news->n, news->n, news->grid_w, news->grid_h, work->begins, work->pts,
        news->picture, tern_session_novelty (self), work->slot->after });
  g_mutex_lock (&self->lock);
  if (tern_session_novelty (self) > 0)
    self->stats.frames_deferred++;
  else
    self->stats.frames_unchanged++;
  g_mutex_unlock (&self->lock);
  return TRUE;
}

double
tern_session_novelty (const TernSession *self)
{
  return self->news.gate ? tern_gate_novelty (self->news.gate) : 0;
}

void
tern_session_count_reuse (TernSession *self)
{
  TernReuseStats stats;

  if (!self->news.reuse)
    return;
  tern_reuse_get_stats (self->news.reuse, &stats);
  g_mutex_lock (&self->lock);
  self->stats.reuse = stats;
  g_mutex_unlock (&self->lock);
}

guint64
tern_session_keep_frame (TernSession *self, gboolean encoded)
{
  const TernInHand *hand = &self->frame;
  guint n = hand->plan.n_tokens;
  TernNews *news = &self->news;

  if (!news->gate)
    return 0;
  news->n = encoded && n <= news->room ? n : 0;
  news->grid_w = news->n > 0 && hand->plan.n == 1 ? hand->plan.sub[0].grid_w : 0;
  news->grid_h = news->n > 0 && hand->plan.n == 1 ? hand->plan.sub[0].grid_h : 0;
  if (news->n > 0)
    memcpy (news->rows, hand->tokens, (gsize) n * self->store.dim * sizeof (float));
  else
    tern_gate_force (news->gate);
  return ++news->picture;
}

guint64
tern_session_picture (const TernSession *self, guint64 first, guint64 end)
{
  guint64 picture = 0;

  for (guint g = 0; g < self->store.n; g++) {
    const TernFrameGroup *group = &self->store.groups[g];

    for (guint f = 0; f < group->n_frames; f++) {
      if (group->first + f < first || group->first + f >= end)
        continue;
      if (group->picture[f] == 0 || (picture != 0 && group->picture[f] != picture))
        return 0;
      picture = group->picture[f];
    }
    if (group->error && group->first < end && group->first + MAX (group->n_frames, 1) > first)
      return 0;
  }
  return picture;
}
