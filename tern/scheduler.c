/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tern/scheduler.h"

typedef struct {
  TernSchedulerFunc func;
  void *data;
  gboolean done;
  GList link;
} Call;

struct _TernScheduler {
  GMutex lock;
  GCond work;                   /* the engine thread waits here */
  GCond settled;                /* a step or a call is over */
  GThread *thread;
  TernPool *pool;
  GQueue clients;               /* of TernClient; the next one to be served stands first */
  GQueue calls;                 /* of Call */
  gint n_urgent;                /* calls and urgent clients that wait; atomic, for a look without the lock */
  gboolean yielding;
  gboolean quit, orphan;        /* orphan: the thread frees the engine */
};

static void
dispose (TernScheduler *self)
{
  tern_pool_free (self->pool);
  g_mutex_clear (&self->lock);
  g_cond_clear (&self->work);
  g_cond_clear (&self->settled);
  g_free (self);
}

static void
run_calls (TernScheduler *self)
{
  GList *link;

  while ((link = g_queue_pop_head_link (&self->calls))) {
    Call *call = link->data;

    g_atomic_int_add (&self->n_urgent, -1);
    g_mutex_unlock (&self->lock);
    call->func (call->data);
    g_mutex_lock (&self->lock);
    call->done = TRUE;
    g_cond_broadcast (&self->settled);
  }
}

static TernClient *
next_ready (TernScheduler *self, gboolean urgent)
{
  for (GList *l = self->clients.head; l; l = l->next) {
    TernClient *client = l->data;

    if (client->ready && !client->in_step && (client->urgent || !urgent))
      return client;
  }
  return NULL;
}

static void
set_ready (TernScheduler *self, TernClient *client, gboolean ready)
{
  if (client->urgent && ready != client->ready)
    g_atomic_int_add (&self->n_urgent, ready ? 1 : -1);
  client->ready = ready;
}

/* One step of @client, which then stands last in the row. */
static void
serve (TernScheduler *self, TernClient *client)
{
  gboolean more;

  g_queue_unlink (&self->clients, &client->link);
  g_queue_push_tail_link (&self->clients, &client->link);
  set_ready (self, client, FALSE);
  client->in_step = TRUE;
  g_mutex_unlock (&self->lock);
  more = client->step (client);
  g_mutex_lock (&self->lock);
  client->in_step = FALSE;
  if (client->removed) {
    g_mutex_unlock (&self->lock);
    client->destroy (client);
    g_mutex_lock (&self->lock);
  } else if (more) {
    set_ready (self, client, TRUE);
  }
  g_cond_broadcast (&self->settled);
}

static gpointer
engine_main (gpointer data)
{
  TernScheduler *self = data;
  gboolean orphan;

  if (self->yielding)
    tern_thread_step_back ();
  g_mutex_lock (&self->lock);
  for (;;) {
    TernClient *client;

    run_calls (self);
    if (self->quit)
      break;
    client = next_ready (self, FALSE);
    if (client)
      serve (self, client);
    else
      g_cond_wait (&self->work, &self->lock);
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
  g_mutex_init (&self->lock);
  g_cond_init (&self->work);
  g_cond_init (&self->settled);
  g_queue_init (&self->clients);
  g_queue_init (&self->calls);
  self->thread = g_thread_try_new ("tern-engine", engine_main, self, error);
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

TernPool *
tern_scheduler_pool (TernScheduler *self)
{
  return self->pool;
}

gboolean
tern_scheduler_is_self (TernScheduler *self)
{
  return g_thread_self () == self->thread;
}

gboolean
tern_scheduler_is_wanted (TernScheduler *self)
{
  return g_atomic_int_get (&self->n_urgent) > 0;
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
  set_ready (self, client, TRUE);
  g_cond_signal (&self->work);
  g_mutex_unlock (&self->lock);
}

void
tern_scheduler_settle (TernScheduler *self, TernClient *client)
{
  if (g_thread_self () == self->thread)
    return;
  g_mutex_lock (&self->lock);
  while (client->in_step)
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
  set_ready (self, client, FALSE);
  if (inside && client->in_step) {
    client->removed = TRUE;
    gone = FALSE;
  }
  while (!inside && client->in_step)
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
  g_atomic_int_inc (&self->n_urgent);
  g_cond_signal (&self->work);
  while (!call.done)
    g_cond_wait (&self->settled, &self->lock);
  g_mutex_unlock (&self->lock);
}

void
tern_scheduler_pause (TernScheduler *self)
{
  TernClient *client;

  if (g_atomic_int_get (&self->n_urgent) == 0)
    return;
  g_mutex_lock (&self->lock);
  run_calls (self);
  /* One step a pause: an encoder that is asked again and again must not hold up the step that pauses. */
  if ((client = next_ready (self, TRUE)))
    serve (self, client);
  g_mutex_unlock (&self->lock);
}
