/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A session as a client of the scheduler: takes work from its queue, one frame and one window at a time, and says what it
 * would do next. Frames of the next window are looked at while one is answered. */
#include "tern/session-priv.h"

static TernSession *
session_of (TernClient *client)
{
  return (TernSession *) ((guint8 *) client - G_STRUCT_OFFSET (TernSession, client));
}

/* ---- Work -------------------------------------------------------------------------------------------------------- */

static gboolean
may_take (const TernSession *self, TernWorkKind kind)
{
  if (self->frame.has || ((kind == TERN_WORK_FRAME || kind == TERN_WORK_TOKENS) && tern_session_stream_is_full (self)))
    return FALSE;
  return kind == TERN_WORK_FRAME || kind == TERN_WORK_TOKENS || !self->standing.hand.has;
}

/* Under the lock. */
static TernInHand *
take (TernSession *self)
{
  TernWorkKind kind;
  TernInHand *hand;

  if (self->queue.n == 0)
    return NULL;
  kind = self->queue.work[0].kind;
  if (!may_take (self, kind))
    return NULL;
  hand = kind == TERN_WORK_FRAME || kind == TERN_WORK_TOKENS ? &self->frame : &self->standing.hand;
  *hand = (TernInHand) { .has = TRUE };
  tern_work_queue_take (&self->queue, &hand->work);
  self->in_hand++;
  self->in_window = self->standing.hand.has;
  return hand;
}

void
tern_session_put_down (TernSession *self, TernInHand *hand)
{
  g_mutex_lock (&self->lock);
  tern_work_queue_release (&self->queue, &hand->work);
  hand->has = hand->looking = FALSE;
  self->in_hand--;
  self->in_window = self->standing.hand.has;
  g_cond_broadcast (&self->changed);
  g_mutex_unlock (&self->lock);
}

/* Frames of a window that nobody is told about: those that a request may still be about stay. */
static void
pass_by (TernSession *self)
{
  const TernWork *work = &self->standing.hand.work;
  guint64 end = work->window.end;

  tern_session_close_group (self, work->config);
  tern_session_let_go (self, MIN (work->window.next, end > self->max_frames ? end - self->max_frames : 0));
  tern_session_put_down (self, &self->standing.hand);
}

/* A window is answered by what was read of all frames up to its end. */
static void
wait_for_stream (TernSession *self)
{
  tern_session_close_group (self, self->standing.hand.work.config);
  self->stream_waits = TRUE;
}

static void
begin (TernSession *self, TernInHand *hand)
{
  if (hand == &self->frame) {
    tern_session_begin_frame (self);
    return;
  }
  tern_inquiry_take_asks (&self->standing, hand->work.config->n_questions);
  if (hand->work.kind == TERN_WORK_WINDOW)
    self->last_window = hand->work.window.first;
  if (hand->work.kind == TERN_WORK_STILL)
    tern_session_begin_still (self);
  else if (hand->work.config->params.on_demand)
    pass_by (self);
  else if (self->stream)
    wait_for_stream (self);
  else
    tern_session_begin_answer (self, &self->standing);
}

/* The window's frames were read. */
static void
answer_from_stream (TernSession *self)
{
  if (!self->stream_waits || !tern_session_stream_has_read (self, self->standing.hand.work.window.end))
    return;
  self->stream_waits = FALSE;
  tern_session_begin_answer (self, &self->standing);
}

/* A flush or cancel has come: what was begun before it ends. A request is about what will be seen after a flush: it begins
 * again. */
static void
stop (TernSession *self, gboolean discard)
{
  if (self->frame.has)
    tern_session_put_down (self, &self->frame);
  tern_session_forget_readings (self);
  tern_session_forget_news (self);
  self->stream_waits = FALSE;
  if (self->standing.hand.has)
    tern_session_end_answer (self, &self->standing, discard);
  if (discard)
    tern_session_stream_forget (self);
  if (discard)
    tern_session_restart_request (self);
  else
    tern_session_end_requests (self);
  tern_session_forget_action (self);
  self->release_to = 0;
  /* What is being remembered goes on. */
  tern_frame_store_release (&self->store, self->stream && !discard ? tern_session_stream_needs (self) : G_MAXUINT64);
}

/* ---- The client -------------------------------------------------------------------------------------------------- */

/* When there is something to do even if nothing comes. */
static void
set_deadline (TernSession *self)
{
  gint64 deadline;

  g_mutex_lock (&self->lock);
  deadline = tern_session_pending_deadline (self);
  g_mutex_unlock (&self->lock);
  if (self->asked_now)
    deadline = MIN (deadline, self->asked_now->deadline);
  self->client.deadline = deadline == G_MAXINT64 ? 0 : deadline;
}

static TernDemand
session_demand (TernClient *client)
{
  TernSession *self = session_of (client);
  TernDemand demand;

  tern_session_deliver (self, &self->request);  /* what could not go on when its rows were asked for */
  tern_session_deliver (self, &self->standing);
  for (;;) {
    gboolean stopped, discard;
    TernInHand *hand = NULL;

    g_mutex_lock (&self->lock);
    stopped = self->seen_epoch != self->epoch;
    discard = self->discard;
    if (stopped) {
      self->seen_epoch = self->epoch;
      tern_cancel_reset (&self->cancel);
      tern_cancel_reset (&self->stream_cancel);
    } else {
      self->discard = FALSE;
      hand = take (self);
    }
    g_mutex_unlock (&self->lock);
    if (stopped)
      stop (self, discard);
    else if (hand)
      begin (self, hand);
    else
      break;
  }
  answer_from_stream (self);
  tern_session_take_request (self);
  set_deadline (self);
  demand = tern_session_wanted_rows (self);
  demand.slice = self->frame.looking || self->standing.hand.looking;
  return demand;
}

static guint
session_add_decode (TernClient *client, TernRound *round)
{
  return tern_session_add_decode (session_of (client), round);
}

static guint
session_add_prompt (TernClient *client, TernRound *round)
{
  return tern_session_add_prompt (session_of (client), round);
}

static void
session_read (TernClient *client, TernRound *round, const GError *error)
{
  tern_session_take_logits (session_of (client), round, error != NULL);
}

static gboolean
session_look (TernClient *client, TernLook *look, gboolean *metered)
{
  TernSession *self = session_of (client);

  tern_session_look (self, look);
  *metered = self->budget != NULL;
  return TRUE;
}

static void
session_looked (TernClient *client, const TernLooked *looked)
{
  tern_session_looked (session_of (client), looked);
}

const TernClientClass tern_session_client_class = {
  .demand = session_demand,
  .add_decode = session_add_decode,
  .add_prompt = session_add_prompt,
  .read = session_read,
  .look = session_look,
  .looked = session_looked,
  .destroy = tern_session_destroy,
};
