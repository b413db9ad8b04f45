/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A stand-in for tern/session-run.c: sessions whose engine computes nothing, and goes no further than the test lets it.
 * The linker takes these functions instead of those of the library. */
#pragma once

#include "session-fixture.h"
#include "tern/session-priv.h"

static struct {
  GMutex lock;
  GCond changed;
  guint64 allowed, done;        /* steps that may begin; those that are over */
  gboolean waiting;             /* a step waits with its work in hand */
  void (*planning) (TernSession *session);      /* called while somebody changes what is asked */
} gate = { .allowed = G_MAXUINT64 };

/* One piece of work a round. */
static TernDemand
fake_demand (TernClient *client)
{
  TernSession *self = (TernSession *) ((guint8 *) client - G_STRUCT_OFFSET (TernSession, client));
  TernResult values = { .kind = "caption" };
  TernWork work;
  gboolean more;

  g_mutex_lock (&self->lock);
  if (!tern_work_queue_take (&self->queue, &work)) {
    g_mutex_unlock (&self->lock);
    return (TernDemand) { 0 };
  }
  self->in_hand = 1;
  self->discard = FALSE;
  g_mutex_unlock (&self->lock);

  g_mutex_lock (&gate.lock);
  gate.waiting = TRUE;
  g_cond_broadcast (&gate.changed);
  while (gate.done >= gate.allowed)
    g_cond_wait (&gate.changed, &gate.lock);
  gate.waiting = FALSE;
  g_mutex_unlock (&gate.lock);

  g_mutex_lock (&self->lock);
  if (work.kind == TERN_WORK_WINDOW && !self->discard) {
    TernResult *result;

    values.timestamp = work.window.start_time;
    values.duration = tern_session_end_of (self, &work.window) - work.window.start_time;
    values.frames = (guint) (work.window.end - work.window.first);
    result = tern_result_new (&values);
    result->id = self->next_id++;
    self->stats.windows_done++;
    g_queue_push_tail (&self->results, result);
  }
  tern_work_queue_release (&self->queue, &work);
  self->in_hand = 0;
  more = self->queue.n > 0;
  g_cond_broadcast (&self->changed);
  g_mutex_unlock (&self->lock);

  g_mutex_lock (&gate.lock);
  gate.done++;
  g_cond_broadcast (&gate.changed);
  g_mutex_unlock (&gate.lock);
  return (TernDemand) { .slice = more };
}

/* Slices are asked for to be asked again: there are no pictures. */
static gboolean
fake_look (TernClient *client, TernLook *look, gboolean *metered)
{
  return FALSE;
}

const TernClientClass tern_session_client_class = {
  .demand = fake_demand,
  .look = fake_look,
  .destroy = tern_session_destroy,
};

gboolean
tern_session_plan (TernSession *self, GError **error)
{
  return TRUE;
}

gboolean
tern_session_prepare (TernSession *self, GError **error)
{
  return TRUE;
}

/* No session here has an action model. */
gboolean
tern_session_open_action (TernSession *self, GError **error)
{
  return TRUE;
}

void
tern_session_close_action (TernSession *self)
{
}

void
tern_session_clear_engine_side (TernSession *self)
{
  tern_frame_store_clear (&self->store);
  g_array_unref (self->planned);
  g_array_unref (self->spans);
  g_array_unref (self->runs);
  g_array_unref (self->pictures);
}

/* What others wait for must not be locked while a prompt is made of it. */
void
tern_session_plan_visual (const TernSession *self, guint n_frames, GArray *runs, TernPromptVisual *visual)
{
  g_assert_true (g_mutex_trylock ((GMutex *) &self->lock));
  g_mutex_unlock ((GMutex *) &self->lock);
  if (gate.planning)
    gate.planning ((TernSession *) self);
  *visual = (TernPromptVisual) { .video = TRUE };
}

gboolean
tern_session_compile (const TernSession *self, const TernSessionConfig *config, guint question,
    const TernPromptVisual *visual, GArray *ids, char **filled, GError **error)
{
  TernPromptParts parts = { .chat = self->text->chat, .tokenizer = self->text->tokenizer,
    .family = tern_prompt_family (self->model->projector, self->text->tokenizer, "test", NULL),
    .text = config->questions[question].prompt };

  return tern_prompt_compile (ids, &parts, visual, error);
}

guint
tern_session_context_limit (const TernModel *model)
{
  return G_MAXUINT;
}

/* The engine does @n steps, then takes one more piece of work and waits with it. */
static inline void
gate_hold_after (guint64 n)
{
  g_mutex_lock (&gate.lock);
  gate.done = 0;
  gate.allowed = n;
  g_cond_broadcast (&gate.changed);
  g_mutex_unlock (&gate.lock);
}

/* Until there is nothing that the engine may do. */
static inline void
gate_settle (TernSession *session)
{
  gboolean held, idle;

  do {
    g_mutex_lock (&gate.lock);
    held = gate.waiting && gate.done >= gate.allowed;
    g_mutex_unlock (&gate.lock);
    g_mutex_lock (&session->lock);
    idle = session->queue.n == 0 && session->in_hand == 0;
    g_mutex_unlock (&session->lock);
    g_usleep (50);
  } while (!held && !idle);
}

static inline void
gate_open (void)
{
  g_mutex_lock (&gate.lock);
  gate.allowed = G_MAXUINT64;
  g_cond_broadcast (&gate.changed);
  g_mutex_unlock (&gate.lock);
}
