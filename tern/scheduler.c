/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tern/scheduler-priv.h"

#include "engine/base/mem.h"

#define FIRST_CONTEXT 4096      /* tokens that a pass is made for at least, if the model has as many */
#define FIRST_ROWS 32           /* of a pass for several, before anything is known */

typedef struct {
  TernSchedulerFunc func;
  void *data;
  gboolean done;
  GList link;
} Call;

static void
dispose (TernScheduler *self)
{
  tern_pass_free (self->pass);
  tern_picking_free (self->picking);
  tern_mem_free (self->logits);
  tern_lanes_free (self->lanes);
  tern_pool_free (self->pool);
  g_ptr_array_unref (self->hand);
  g_array_unref (self->tasks);
  g_mutex_clear (&self->lock);
  g_cond_clear (&self->work);
  g_cond_clear (&self->settled);
  g_free (self);
}

/* ---- The hand ---------------------------------------------------------------------------------------------------- */

/* Under the lock: takes the clients that are ready in hand. */
static void
take_hand (TernScheduler *self)
{
  g_ptr_array_set_size (self->hand, 0);
  for (GList *l = self->clients.head; l; l = l->next) {
    TernClient *client = l->data;

    if (!client->ready)
      continue;
    client->ready = FALSE;
    client->in_hand = TRUE;
    client->rounds++;
    g_ptr_array_add (self->hand, client);
  }
}

/* Under the lock: puts them back. Whoever still has work is ready again. */
static void
put_back (TernScheduler *self)
{
  for (guint i = 0; i < self->hand->len; i++) {
    TernClient *client = self->hand->pdata[i];

    client->in_hand = FALSE;
    if (!client->again)
      client->waits = 0;
    if (client->removed) {
      g_mutex_unlock (&self->lock);
      client->klass->destroy (client);
      g_mutex_lock (&self->lock);
    } else {
      client->ready |= client->again;
    }
  }
  g_ptr_array_set_size (self->hand, 0);
  g_cond_broadcast (&self->settled);
}

/* ---- The thread -------------------------------------------------------------------------------------------------- */

static void
run_calls (TernScheduler *self)
{
  GList *link;

  while ((link = g_queue_pop_head_link (&self->calls))) {
    Call *call = link->data;

    g_mutex_unlock (&self->lock);
    call->func (call->data);
    g_mutex_lock (&self->lock);
    call->done = TRUE;
    g_cond_broadcast (&self->settled);
  }
}

/* Clients whose deadline has come are ready. Under the lock. */
static void
wake_late (TernScheduler *self)
{
  gint64 now = 0;

  for (GList *l = self->clients.head; l; l = l->next) {
    TernClient *client = l->data;

    if (client->deadline == 0)
      continue;
    now = now ? now : g_get_monotonic_time ();
    client->ready |= client->deadline <= now;
  }
}

/* Until something comes, or the first deadline has. Under the lock. */
static void
wait_for_work (TernScheduler *self)
{
  gint64 first = 0;

  for (GList *l = self->clients.head; l; l = l->next) {
    const TernClient *client = l->data;

    if (client->deadline && (first == 0 || client->deadline < first))
      first = client->deadline;
  }
  if (first)
    g_cond_wait_until (&self->work, &self->lock, first);
  else
    g_cond_wait (&self->work, &self->lock);
}

static gpointer
scheduler_main (gpointer data)
{
  TernScheduler *self = data;
  gboolean orphan;

  if (self->yielding)
    tern_thread_step_back ();
  g_mutex_lock (&self->lock);
  for (;;) {
    run_calls (self);
    if (self->quit)
      break;
    wake_late (self);
    take_hand (self);
    if (self->hand->len == 0) {
      wait_for_work (self);
      continue;
    }
    g_mutex_unlock (&self->lock);
    tern_scheduler_round (self);
    g_mutex_lock (&self->lock);
    put_back (self);
  }
  orphan = self->orphan;
  g_mutex_unlock (&self->lock);
  if (orphan)
    dispose (self);
  return NULL;
}

TernScheduler *
tern_scheduler_new (guint threads, gboolean yielding, GError **error)
{
  TernPool *pool = yielding ? tern_pool_new_yielding (threads, error) : tern_pool_new (threads, error);
  TernScheduler *self;

  if (!pool)
    return NULL;
  self = g_new0 (TernScheduler, 1);
  self->pool = pool;
  self->yielding = yielding;
  self->rows = FIRST_ROWS;
  self->hand = g_ptr_array_new ();
  self->tasks = g_array_new (FALSE, TRUE, sizeof (TernLookTask));
  g_mutex_init (&self->lock);
  g_cond_init (&self->work);
  g_cond_init (&self->settled);
  g_queue_init (&self->clients);
  g_queue_init (&self->calls);
  self->thread = g_thread_try_new ("tern-engine", scheduler_main, self, error);
  if (!self->thread) {
    dispose (self);
    return NULL;
  }
  return self;
}

void
tern_scheduler_free (TernScheduler *self)
{
  gboolean inside = self && g_thread_self () == self->thread;
  GThread *thread;

  if (!self)
    return;
  thread = self->thread;
  g_mutex_lock (&self->lock);
  self->quit = TRUE;
  self->orphan = inside;
  g_cond_signal (&self->work);
  g_mutex_unlock (&self->lock);
  if (inside) {
    g_thread_unref (thread);
    return;
  }
  g_thread_join (thread);
  dispose (self);
}

/* ---- What it works with ------------------------------------------------------------------------------------------ */

gboolean
tern_scheduler_prepare_text (TernScheduler *self, TernLlm *llm, guint context, TernActivations activations,
    GError **error)
{
  const TernLlmInfo *info = tern_llm_info (llm);
  TernPassParams params = { .context = MIN (MAX (context, FIRST_CONTEXT), info->context), .activations = activations };
  TernPass *pass;

  if (self->pass && tern_pass_context (self->pass) >= context)
    return TRUE;
  if (!self->logits && !(self->logits = tern_mem_alloc ((gsize) TERN_SCHEDULER_OUTPUTS * info->n_vocab * sizeof (float),
              "logits", error)))
    return FALSE;
  if ((!self->picking && !(self->picking = tern_picking_new (info->n_vocab, error)))
      || !(pass = tern_pass_new (llm, &params, self->pool, error)))
    return FALSE;
  tern_pass_free (self->pass);
  self->pass = pass;
  return TRUE;
}

gboolean
tern_scheduler_prepare_vision (TernScheduler *self, TernVision *vision, TernActivations activations, GError **error)
{
  if (!self->lanes)
    self->lanes = tern_lanes_new (vision, activations, self->pool, error);
  return self->lanes != NULL;
}

guint64
tern_scheduler_number_picture (TernScheduler *self)
{
  return ++self->pictures;
}

TernVisionState *
tern_scheduler_take_vision (TernScheduler *self)
{
  return tern_lanes_take_whole (self->lanes);
}

TernPool *
tern_scheduler_pool (TernScheduler *self)
{
  return self->pool;
}

guint64
tern_scheduler_cpu_time (TernScheduler *self)
{
  return tern_pool_cpu_time (self->pool);
}

void
tern_scheduler_set_clock (TernScheduler *self, TernLanesClock clock)
{
  tern_lanes_set_clock (self->lanes, clock);
}

gboolean
tern_scheduler_is_self (TernScheduler *self)
{
  return g_thread_self () == self->thread;
}

/* ---- Clients ----------------------------------------------------------------------------------------------------- */

gboolean
tern_scheduler_is_wanted (TernScheduler *self)
{
  gboolean wanted;

  g_mutex_lock (&self->lock);
  wanted = !g_queue_is_empty (&self->calls);
  for (GList *l = self->clients.head; l && !wanted; l = l->next)
    wanted = ((TernClient *) l->data)->ready;
  g_mutex_unlock (&self->lock);
  return wanted;
}

void
tern_scheduler_add (TernScheduler *self, TernClient *client)
{
  g_mutex_lock (&self->lock);
  client->link = (GList) { .data = client };
  client->linked = TRUE;
  g_queue_push_tail_link (&self->clients, &client->link);
  g_mutex_unlock (&self->lock);
}

void
tern_scheduler_kick (TernScheduler *self, TernClient *client)
{
  g_mutex_lock (&self->lock);
  client->ready = TRUE;
  g_cond_signal (&self->work);
  g_mutex_unlock (&self->lock);
}

void
tern_scheduler_settle (TernScheduler *self, TernClient *client)
{
  guint round;

  if (g_thread_self () == self->thread)
    return;
  g_mutex_lock (&self->lock);
  /* The next round may have it in hand before this thread is back. */
  round = client->rounds;
  while (client->in_hand && client->rounds == round)
    g_cond_wait (&self->settled, &self->lock);
  g_mutex_unlock (&self->lock);
}

gboolean
tern_scheduler_remove (TernScheduler *self, TernClient *client)
{
  gboolean inside = g_thread_self () == self->thread;
  gboolean gone = TRUE;

  g_mutex_lock (&self->lock);
  if (client->linked) {
    g_queue_unlink (&self->clients, &client->link);
    client->linked = FALSE;
  }
  client->ready = FALSE;
  if (inside && client->in_hand) {
    client->removed = TRUE;
    gone = FALSE;
  }
  while (!inside && client->in_hand)
    g_cond_wait (&self->settled, &self->lock);
  g_mutex_unlock (&self->lock);
  return gone;
}

void
tern_scheduler_call (TernScheduler *self, TernSchedulerFunc func, void *data)
{
  Call call = { .func = func, .data = data };

  if (g_thread_self () == self->thread) {
    func (data);
    return;
  }
  call.link = (GList) { .data = &call };
  g_mutex_lock (&self->lock);
  g_queue_push_tail_link (&self->calls, &call.link);
  g_cond_signal (&self->work);
  while (!call.done)
    g_cond_wait (&self->settled, &self->lock);
  g_mutex_unlock (&self->lock);
}
