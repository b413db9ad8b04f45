/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tern/engine.h"

typedef struct {
  TernEngineFunc func;
  void *data;
  gboolean done;
  GList link;
} Call;

struct _TernEngine {
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
dispose (TernEngine *engine)
{
  tern_pool_free (engine->pool);
  g_mutex_clear (&engine->lock);
  g_cond_clear (&engine->work);
  g_cond_clear (&engine->settled);
  g_free (engine);
}

static void
run_calls (TernEngine *engine)
{
  GList *link;

  while ((link = g_queue_pop_head_link (&engine->calls))) {
    Call *call = link->data;

    g_atomic_int_add (&engine->n_urgent, -1);
    g_mutex_unlock (&engine->lock);
    call->func (call->data);
    g_mutex_lock (&engine->lock);
    call->done = TRUE;
    g_cond_broadcast (&engine->settled);
  }
}

static TernClient *
next_ready (TernEngine *engine, gboolean urgent)
{
  for (GList *l = engine->clients.head; l; l = l->next) {
    TernClient *client = l->data;

    if (client->ready && !client->in_step && (client->urgent || !urgent))
      return client;
  }
  return NULL;
}

static void
set_ready (TernEngine *engine, TernClient *client, gboolean ready)
{
  if (client->urgent && ready != client->ready)
    g_atomic_int_add (&engine->n_urgent, ready ? 1 : -1);
  client->ready = ready;
}

/* One step of @client, which then stands last in the row. */
static void
serve (TernEngine *engine, TernClient *client)
{
  gboolean more;

  g_queue_unlink (&engine->clients, &client->link);
  g_queue_push_tail_link (&engine->clients, &client->link);
  set_ready (engine, client, FALSE);
  client->in_step = TRUE;
  g_mutex_unlock (&engine->lock);
  more = client->step (client);
  g_mutex_lock (&engine->lock);
  client->in_step = FALSE;
  if (client->removed) {
    g_mutex_unlock (&engine->lock);
    client->destroy (client);
    g_mutex_lock (&engine->lock);
  } else if (more) {
    set_ready (engine, client, TRUE);
  }
  g_cond_broadcast (&engine->settled);
}

static gpointer
engine_main (gpointer data)
{
  TernEngine *engine = data;
  gboolean orphan;

  if (engine->yielding)
    tern_thread_step_back ();
  g_mutex_lock (&engine->lock);
  for (;;) {
    TernClient *client;

    run_calls (engine);
    if (engine->quit)
      break;
    client = next_ready (engine, FALSE);
    if (client)
      serve (engine, client);
    else
      g_cond_wait (&engine->work, &engine->lock);
  }
  orphan = engine->orphan;
  g_mutex_unlock (&engine->lock);
  if (orphan)
    dispose (engine);
  return NULL;
}

TernEngine *
tern_engine_new (guint threads, gboolean yielding, GError **error)
{
  TernPool *pool = yielding ? tern_pool_new_yielding (threads, error) : tern_pool_new (threads, error);
  TernEngine *engine;

  if (!pool)
    return NULL;
  engine = g_new0 (TernEngine, 1);
  engine->pool = pool;
  engine->yielding = yielding;
  g_mutex_init (&engine->lock);
  g_cond_init (&engine->work);
  g_cond_init (&engine->settled);
  g_queue_init (&engine->clients);
  g_queue_init (&engine->calls);
  engine->thread = g_thread_try_new ("tern-engine", engine_main, engine, error);
  if (!engine->thread) {
    dispose (engine);
    return NULL;
  }
  return engine;
}

void
tern_engine_free (TernEngine *engine)
{
  gboolean self = engine && g_thread_self () == engine->thread;
  GThread *thread;

  if (!engine)
    return;
  thread = engine->thread;
  g_mutex_lock (&engine->lock);
  engine->quit = TRUE;
  engine->orphan = self;
  g_cond_signal (&engine->work);
  g_mutex_unlock (&engine->lock);
  if (self) {
    g_thread_unref (thread);
    return;
  }
  g_thread_join (thread);
  dispose (engine);
}

TernPool *
tern_engine_pool (TernEngine *engine)
{
  return engine->pool;
}

gboolean
tern_engine_is_self (TernEngine *engine)
{
  return g_thread_self () == engine->thread;
}

gboolean
tern_engine_is_wanted (TernEngine *engine)
{
  return g_atomic_int_get (&engine->n_urgent) > 0;
}

void
tern_engine_add (TernEngine *engine, TernClient *client)
{
  g_mutex_lock (&engine->lock);
  client->link = (GList) { .data = client };
  client->linked = TRUE;
  g_queue_push_tail_link (&engine->clients, &client->link);
  g_mutex_unlock (&engine->lock);
}

void
tern_engine_kick (TernEngine *engine, TernClient *client)
{
  g_mutex_lock (&engine->lock);
  set_ready (engine, client, TRUE);
  g_cond_signal (&engine->work);
  g_mutex_unlock (&engine->lock);
}

void
tern_engine_settle (TernEngine *engine, TernClient *client)
{
  if (g_thread_self () == engine->thread)
    return;
  g_mutex_lock (&engine->lock);
  while (client->in_step)
    g_cond_wait (&engine->settled, &engine->lock);
  g_mutex_unlock (&engine->lock);
}

gboolean
tern_engine_remove (TernEngine *engine, TernClient *client)
{
  gboolean self = g_thread_self () == engine->thread;
  gboolean gone = TRUE;

  g_mutex_lock (&engine->lock);
  if (client->linked) {
    g_queue_unlink (&engine->clients, &client->link);
    client->linked = FALSE;
  }
  set_ready (engine, client, FALSE);
  if (self && client->in_step) {
    client->removed = TRUE;
    gone = FALSE;
  }
  while (!self && client->in_step)
    g_cond_wait (&engine->settled, &engine->lock);
  g_mutex_unlock (&engine->lock);
  return gone;
}

void
tern_engine_call (TernEngine *engine, TernEngineFunc func, void *data)
{
  Call call = { .func = func, .data = data };

  if (g_thread_self () == engine->thread) {
    func (data);
    return;
  }
  call.link = (GList) { .data = &call };
  g_mutex_lock (&engine->lock);
  g_queue_push_tail_link (&engine->calls, &call.link);
  g_atomic_int_inc (&engine->n_urgent);
  g_cond_signal (&engine->work);
  while (!call.done)
    g_cond_wait (&engine->settled, &engine->lock);
  g_mutex_unlock (&engine->lock);
}

void
tern_engine_pause (TernEngine *engine)
{
  TernClient *client;

  if (g_atomic_int_get (&engine->n_urgent) == 0)
    return;
  g_mutex_lock (&engine->lock);
  run_calls (engine);
  /* One step a pause: an encoder that is asked again and again must not hold up the step that pauses. */
  if ((client = next_ready (engine, TRUE)))
    serve (engine, client);
  g_mutex_unlock (&engine->lock);
}
