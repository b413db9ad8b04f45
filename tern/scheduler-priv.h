/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inside of the scheduler: its thread and who comes to it (scheduler.c), and a round (scheduler-round.c). */
#pragma once

#include "tern/scheduler.h"

struct _TernScheduler {
  GMutex lock;
  GCond work;                   /* the thread waits here */
  GCond settled;                /* a round or a call is over */
  GThread *thread;
  TernPool *pool;
  GQueue clients;               /* of TernClient */
  GQueue calls;                 /* of functions to be called (scheduler.c) */
  gboolean yielding;
  gboolean quit, orphan;        /* orphan: the thread frees the scheduler */

  /* the thread's */
  GPtrArray *hand;              /* of TernClient: those of this round */
  TernPass *pass;               /* NULL: no language model yet */
  TernPicking *picking;
  float *logits;                /* [TERN_SCHEDULER_OUTPUTS, n_vocab] */
  TernLanes *lanes;             /* NULL: no encoder yet */
  GArray *tasks;                /* of TernLookTask: pictures of this round */
  guint64 pictures;             /* that had a number */
  guint rows;                   /* of a pass for several clients: what was learned */
  TernServed clock;             /* about what those have been given who are served now */
  guint passed_over;            /* rounds since somebody who is not live had what it asked for */
  gint64 owed;                  /* us that passes have had more than pictures */
};

/* One with the clients in hand, on the thread, without the lock. */
void tern_scheduler_round (TernScheduler *scheduler);
