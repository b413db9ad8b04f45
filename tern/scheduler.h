/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One thread per model that does all the work of its sessions and encoders, in turn. */
#pragma once

#include <glib.h>
#include "engine/base/threads.h"

typedef struct _TernScheduler TernScheduler;
typedef struct _TernClient TernClient;

/* Somebody with work: a session, an encoder. Embedded in its owner. */
struct _TernClient {
  /* On the engine thread, without locks: one piece of work. TRUE: there may be more. */
  gboolean (*step) (TernClient *self);
  /* Frees the owner, after a step during which it was removed. */
  void (*destroy) (TernClient *self);
  gboolean urgent;              /* short steps, that pauses of other clients' steps serve too */

  /* the engine's, under its lock */
  GList link;
  gboolean linked, ready, in_step, removed;
};

/* @threads of the pool, the engine thread counted; 0 = the cores there are. @yielding: all of them step back for other
 * threads (tern_thread_step_back). */
TernScheduler *tern_scheduler_new (guint threads, gboolean yielding, GError **error);
/* Ends the thread. From that thread itself: when what it does is done. */
void tern_scheduler_free (TernScheduler *scheduler);
TernPool *tern_scheduler_pool (TernScheduler *scheduler);
/* Whether the caller is on the engine thread. */
gboolean tern_scheduler_is_self (TernScheduler *scheduler);

void tern_scheduler_add (TernScheduler *scheduler, TernClient *client);
/* @client has work. Any thread. */
void tern_scheduler_kick (TernScheduler *scheduler, TernClient *client);
/* Waits until @client's step, if it is in one, is over. On the engine thread it waits for nothing. */
void tern_scheduler_settle (TernScheduler *scheduler, TernClient *client);
/* After this no step of @client begins, and none runs, unless the caller is within it: then FALSE, and destroy() is
 * called when the step is over. */
gboolean tern_scheduler_remove (TernScheduler *scheduler, TernClient *client);

/* For tests: whether a call or an urgent client waits for the next pause. */
gboolean tern_scheduler_is_wanted (TernScheduler *scheduler);

/* Runs @func on the engine thread between two pieces of work, pauses included, and waits for it: for what needs the
 * pool at rest. */
typedef void (*TernSchedulerFunc) (void *data);
void tern_scheduler_call (TernScheduler *scheduler, TernSchedulerFunc func, void *data);
/* On the engine thread, in the midst of a step while the pool is at rest: runs what tern_scheduler_call() waits for, and
 * urgent clients. */
void tern_scheduler_pause (TernScheduler *scheduler);
