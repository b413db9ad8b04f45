/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Requests: questions that are asked once, beside the windows. They wait here until what they are about was looked at. */
#include "tern/session-priv.h"

void
tern_pending_free (TernPending *pending)
{
  if (!pending)
    return;
  g_clear_pointer (&pending->config, tern_session_config_unref);
  g_free (pending);
}

/* ---- Asking ---- */

static gboolean
check_request (const TernSession *self, const TernRequest *request, GError **error)
{
  if (request->frames > self->max_frames) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "frames: expected at most the %u of a window, found %u",
        self->max_frames, request->frames);
    return FALSE;
  }
  if (request->from == 0 && request->to == 0)
    return TRUE;
  if (self->stream && request->from < request->to && request->frames == 0)
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "from and to: expected %s, found %" G_GUINT64_FORMAT " and %"
      G_GUINT64_FORMAT, !self->stream ? "0 without the memory of a stream" : request->frames > 0 ? "0 where frames are given"
      : "a time before another one", request->from, request->to);
  return FALSE;
}

/* What holds now, with @question alone. Tokenises without the lock. */
static TernSessionConfig *
config_for (TernSession *self, const TernQuestion *question, GError **error)
{
  TernSessionConfig *now, *config;

  g_mutex_lock (&self->lock);
  now = tern_session_config_ref (self->config);
  g_mutex_unlock (&self->lock);
  config = tern_session_config_with (now, question, self->text, error);
  tern_session_config_unref (now);
  if (config && !tern_session_fits (self, config, error))
    g_clear_pointer (&config, tern_session_config_unref);
  return config;
}

gboolean
tern_session_ask (TernSession *self, const TernRequest *request, guint64 *id, GError **error)
{
  gint64 now = g_get_monotonic_time ();
  TernSessionConfig *config;
  TernPending *pending;

  g_return_val_if_fail (self != NULL && request != NULL, FALSE);
  if (!check_request (self, request, error) || !(config = config_for (self, &request->question, error)))
    return FALSE;
  pending = g_new (TernPending, 1);
  *pending = (TernPending) { .config = config, .frames = request->frames, .from = request->from,
    .to = request->to, .asked = now, .deadline = G_MAXINT64 };
  if (request->timeout > 0 && request->timeout / 1000 < (guint64) (G_MAXINT64 - now))
    pending->deadline = now + (gint64) MAX (request->timeout / 1000, 1);

  g_mutex_lock (&self->lock);
  if (g_queue_get_length (&self->pending) >= TERN_REQUESTS_MAX) {
    g_mutex_unlock (&self->lock);
    tern_pending_free (pending);
    g_set_error (error, TERN_ERROR, TERN_ERROR_BUSY, "requests: expected at most %u that wait, found one more",
        TERN_REQUESTS_MAX);
    return FALSE;
  }
  /* Who asks about what there is now may give no further frame before there is an answer. */
  if (config->params.on_demand)
    tern_session_end_picture (self);
  pending->id = ++self->asked;
  pending->after = self->windower.count + self->previews.n;
  pending->epoch = self->epoch;
  if (id)
    *id = pending->id;
  g_queue_push_tail (&self->pending, pending);
  g_mutex_unlock (&self->lock);
  tern_scheduler_kick (self->model->scheduler, &self->client);
  return TRUE;
}

/* ---- Waiting ---- */

gboolean
tern_session_frames_wait (const TernSession *self, guint64 after)
{
  for (guint i = 0; i < self->queue.n; i++)
    if ((self->queue.work[i].kind == TERN_WORK_FRAME || self->queue.work[i].kind == TERN_WORK_TOKENS)
        && self->queue.work[i].frame < after)
      return TRUE;
  return FALSE;
}

/* The oldest one whose time is over, whatever waits before it. */
static TernPending *
take_late (TernSession *self)
{
  gint64 now = g_get_monotonic_time ();

  for (GList *link = self->pending.head; link; link = link->next) {
    TernPending *pending = link->data;

    if (pending->deadline > now)
      continue;
    g_queue_delete_link (&self->pending, link);
    return pending;
  }
  return NULL;
}

/* Tokens that the engine takes before anything else: that costs nothing. */
static gboolean
tokens_come_first (const TernSession *self)
{
  return self->queue.n > 0 && self->queue.work[0].kind == TERN_WORK_TOKENS;
}

TernPending *
tern_session_next_pending (TernSession *self, gboolean seen, guint64 looking)
{
  TernPending *late = take_late (self), *first = g_queue_peek_head (&self->pending);
  gboolean ready;

  if (late || !first || (self->request_waits && self->standing.hand.has))
    return late;
  seen |= tern_session_has_previews (self, first->config, looking);
  if (seen && first->frames == 0 && first->to == 0)
    ready = !tokens_come_first (self);
  else if (seen)
    ready = looking >= first->after && !tern_session_frames_wait (self, first->after);
  else                          /* nothing will come */
    ready = self->ended && looking == G_MAXUINT64 && !tern_session_frames_wait (self, G_MAXUINT64);
  return ready ? g_queue_pop_head (&self->pending) : NULL;
}

gint64
tern_session_pending_deadline (const TernSession *self)
{
  gint64 first = G_MAXINT64;

  for (const GList *link = self->pending.head; link; link = link->next)
    first = MIN (first, ((const TernPending *) link->data)->deadline);
  return first;
}
