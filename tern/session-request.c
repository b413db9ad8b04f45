/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A request is answered beside the windows, by timelines of its own. What was read already of the frames that it is about
 * is not read again: it goes on from there on a fork. */
#include "tern/session-priv.h"

/* ---- The moment that it is about --------------------------------------------------------------------------------- */

/* The newest frame that was looked at, or is shown beforehand; FALSE: none is there. */
static gboolean
find_newest (const TernSession *self, guint64 *frame)
{
  if (self->shown.n > 0) {
    *frame = self->shown_first + self->shown.n - 1;
    return TRUE;
  }
  for (guint g = self->store.n; g-- > 0;) {
    const TernFrameGroup *group = &self->store.groups[g];

    if (group->n_frames == 0 && !group->error)
      continue;
    *frame = group->first + MAX (group->n_frames, 1) - 1;
    return TRUE;
  }
  return FALSE;
}

/* The window that @newest belongs to: the one that has more of it, where several do; G_MAXUINT64: none has it. */
static guint64
first_of_window (TernSession *self, guint64 newest)
{
  guint64 first = G_MAXUINT64;

  g_mutex_lock (&self->lock);
  if (self->standing.hand.has && self->standing.hand.work.kind == TERN_WORK_WINDOW
      && self->standing.hand.work.window.end > newest)
    first = MIN (first, self->standing.hand.work.window.first);
  for (guint i = 0; i < self->queue.n; i++)
    if (self->queue.work[i].kind == TERN_WORK_WINDOW && self->queue.work[i].window.end > newest)
      first = MIN (first, self->queue.work[i].window.first);
  for (guint i = 0; i < self->windower.n_marks; i++)
    if (self->windower.marks[i].first <= newest)
      first = MIN (first, self->windower.marks[i].first);
  g_mutex_unlock (&self->lock);
  return first;
}

/* How far the stream of @moment's frames has come; TERN_TIME_NONE: nobody said. Under the lock. */
static guint64
come_to (const TernSession *self, const TernWindow *moment)
{
  guint64 seen = self->seen.end, shown;

  if (self->shown.n == 0)
    return moment->stretch == self->windower.stretch ? seen : tern_session_end_of (self, moment);
  shown = self->shown.frames[self->shown.n - 1]->end;
  return seen == TERN_TIME_NONE ? shown : MAX (seen, shown);
}

/* As that of a window: from its first frame's tick up to the end of its last one's, but not into what has not come yet. */
static void
find_times (TernSession *self, TernWindow *moment)
{
  TernFrameTimes first = tern_session_times_of (self, moment->first), last = tern_session_times_of (self, moment->end - 1);
  const TernFrameGroup *group = tern_session_group_of (self, moment->end - 1);

  moment->start_time = first.tick;
  moment->end_time = last.tick + self->windower.tick;
  moment->stretch = group ? group->stretch : 0;
  g_mutex_lock (&self->lock);
  moment->end_time = MIN (moment->end_time, come_to (self, moment));
  g_mutex_unlock (&self->lock);
  moment->end_time = MAX (moment->end_time, last.newest);
  moment->start_time = MIN (moment->start_time, moment->end_time);
}

/* Of frames that are there, the newest @frames, or those of the open window; of the last one, when none is open. */
static gboolean
find_moment (TernSession *self, guint frames, TernWindow *moment)
{
  guint64 newest, first, oldest;

  if (!find_newest (self, &newest))
    return FALSE;
  if (frames > 0)
    first = newest + 1 - MIN (newest + 1, frames);
  else
    first = self->shown.n > 0 ? self->shown_window : first_of_window (self, newest);
  if (first == G_MAXUINT64)
    first = self->last_window;
  oldest = self->store.n > 0 ? self->store.groups[0].first : self->shown_first;
  first = MIN (MAX (first, oldest), newest);
  *moment = (TernWindow) { .first = first, .end = newest + 1, .next = first };
  find_times (self, moment);
  return TRUE;
}

static gboolean
find_request (TernSession *self, const TernPending *pending)
{
  gboolean found = find_moment (self, pending->frames, &self->request.hand.work.window);

  return self->stream ? tern_session_stream_moment (self, pending, found, &self->request) : found;
}

/* ---- In hand ----------------------------------------------------------------------------------------------------- */

static void
fail (TernSession *self, const char *message)
{
  g_autoptr (GError) error = g_error_new_literal (TERN_ERROR, TERN_ERROR_FAILED, message);

  tern_session_fail (self, &self->request, error);
}

static gboolean
is_late (const TernPending *pending)
{
  return pending->deadline <= g_get_monotonic_time ();
}

static void
fail_late (TernSession *self)
{
  const TernPending *pending = self->asked_now;
  g_autofree char *message = g_strdup_printf ("timeout: expected an answer within %.3f s, found none by then",
      (double) (pending->deadline - pending->asked) / G_USEC_PER_SEC);

  fail (self, message);
}

/* Takes @pending over. */
static void
take (TernSession *self, TernPending *pending)
{
  TernInquiry *in = &self->request;

  self->asked_now = pending;
  in->hand = (TernInHand) { .has = TRUE, .work = { .kind = TERN_WORK_REQUEST, .pushed = pending->asked,
      .config = tern_session_config_ref (pending->config) } };
  tern_inquiry_take_asks (in, 1);
}

static void
begin (TernSession *self, TernPending *pending)
{
  TernInquiry *in = &self->request;

  take (self, pending);
  self->request_waits = FALSE;
  if (is_late (pending))
    fail_late (self);
  else if (!find_request (self, pending))
    fail (self, "no frame was seen that the request could be about");
  else
    tern_session_begin_answer (self, in);
}

/* What is remembered has to be whole frames, and for who asks about what was pushed, all of it. Under the lock. */
static gboolean
may_begin (TernSession *self)
{
  const TernPending *first = g_queue_peek_head (&self->pending);
  gboolean all = first && (first->frames > 0 || first->to > 0);

  if (!self->stream)
    return TRUE;
  return !tern_session_stream_hold (self, first && !all) && (!all || tern_session_stream_has_read (self, first->after));
}

void
tern_session_take_request (TernSession *self)
{
  guint64 looking = self->frame.has ? self->frame.work.frame : G_MAXUINT64;

  if (self->request.hand.has && is_late (self->asked_now))
    fail_late (self);
  while (!self->request.hand.has) {
    guint64 newest;
    gboolean seen = find_newest (self, &newest) || (self->stream && tern_session_stream_has_seen (self));
    TernPending *pending;

    g_mutex_lock (&self->lock);
    pending = may_begin (self) ? tern_session_next_pending (self, seen, looking) : NULL;
    self->in_hand += pending != NULL;
    if (pending && tern_session_has_previews (self, pending->config, looking))
      tern_session_show_previews (self);
    g_mutex_unlock (&self->lock);
    if (!pending)
      return;
    begin (self, pending);
  }
}

void
tern_session_restart_request (TernSession *self)
{
  TernInquiry *in = &self->request;

  if (!in->hand.has)
    return;
  tern_inquiry_clear (in);
  tern_session_hide_previews (self);
  tern_session_config_unref (in->hand.work.config);
  in->hand.has = FALSE;
  g_mutex_lock (&self->lock);
  g_queue_push_head (&self->pending, g_steal_pointer (&self->asked_now));
  self->in_hand--;
  g_mutex_unlock (&self->lock);
  self->request_waits = TRUE;
}

void
tern_session_put_down_request (TernSession *self)
{
  TernInquiry *in = &self->request;

  tern_session_hide_previews (self);
  tern_session_config_unref (in->hand.work.config);
  in->hand.has = FALSE;
  g_clear_pointer (&self->asked_now, tern_pending_free);
  g_mutex_lock (&self->lock);
  self->in_hand--;
  g_cond_broadcast (&self->changed);
  g_mutex_unlock (&self->lock);
}

/* The oldest one that was asked before the last cancel. Under the lock. */
static TernPending *
take_cancelled (TernSession *self)
{
  const TernPending *first = g_queue_peek_head (&self->pending);

  return first && first->epoch < self->seen_epoch ? g_queue_pop_head (&self->pending) : NULL;
}

void
tern_session_end_requests (TernSession *self)
{
  TernPending *pending;

  if (self->request.hand.has && self->asked_now->epoch >= self->seen_epoch)
    tern_session_restart_request (self);
  else if (self->request.hand.has)
    tern_session_end_answer (self, &self->request, FALSE);
  for (;;) {
    g_mutex_lock (&self->lock);
    pending = take_cancelled (self);
    self->in_hand += pending != NULL;
    g_mutex_unlock (&self->lock);
    if (!pending)
      return;
    take (self, pending);
    tern_session_end_answer (self, &self->request, FALSE);
  }
}
