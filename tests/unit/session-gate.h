/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Holds the engine within a pass or a picture, where hold_engine() of session-fixture.h holds it between them. */
#pragma once

#include "session-fixture.h"

/* ---- An engine that can be held ---------------------------------------------------------------------------------- */

/* Stands at the slices of the model's pool (engine/base/slice.h), which are as small as they get. */
typedef struct {
  GMutex lock;
  GCond changed;
  guint begun;                  /* slices since gate_set() */
  guint stop_at;                /* the engine stays there, counted from 1; 0: nowhere */
  TernCancel *until;            /* until this is raised; NULL: until gate_open() */
  gboolean held, open;
  guint after;                  /* slices that began with `until` raised */
} Gate;

static inline gint64
pass_gate (void *data, guint64 work)
{
  Gate *gate = data;

  if (work)                     /* the end of a slice, which took so long that the next one is no larger */
    return G_MAXINT32;
  g_mutex_lock (&gate->lock);
  gate->after += tern_cancel_is_raised (gate->until);
  if (++gate->begun == gate->stop_at) {
    gate->held = TRUE;
    g_cond_broadcast (&gate->changed);
    while (!gate->open && !tern_cancel_is_raised (gate->until)) {
      g_mutex_unlock (&gate->lock);
      g_usleep (50);            /* a flag has no condition */
      g_mutex_lock (&gate->lock);
    }
    gate->held = FALSE;
    g_cond_broadcast (&gate->changed);
  }
  g_mutex_unlock (&gate->lock);
  return 0;
}

typedef struct {
  TernSlice *slice;
  Gate *gate;
} Setting;

static inline void
set_clock (void *data)
{
  Setting *setting = data;

  tern_slice_init (setting->slice);
  if (setting->gate) {
    setting->slice->clock = pass_gate;
    setting->slice->data = setting->gate;
    setting->slice->limit = TERN_SLICE_LEAST;
  }
}

/* From the next slice on; @gate NULL takes it away. Not while the engine is held. */
static inline void
gate_set (TernModel *model, Gate *gate, guint stop_at, TernCancel *until)
{
  Setting setting = { tern_pool_slice (tern_scheduler_pool (model->scheduler)), gate };

  if (gate) {
    g_mutex_lock (&gate->lock);
    gate->begun = gate->after = 0;
    gate->held = gate->open = FALSE;
    gate->stop_at = stop_at;
    gate->until = until;
    g_mutex_unlock (&gate->lock);
  }
  tern_scheduler_call (model->scheduler, set_clock, &setting);
}

static inline void
gate_wait (Gate *gate)
{
  g_mutex_lock (&gate->lock);
  while (!gate->held)
    g_cond_wait (&gate->changed, &gate->lock);
  g_mutex_unlock (&gate->lock);
}

static inline void
gate_open (Gate *gate)
{
  g_mutex_lock (&gate->lock);
  gate->open = TRUE;
  g_mutex_unlock (&gate->lock);
}

static inline void
gate_init (Gate *gate)
{
  memset (gate, 0, sizeof *gate);
  g_mutex_init (&gate->lock);
  g_cond_init (&gate->changed);
}

static inline void
gate_clear (Gate *gate)
{
  g_mutex_clear (&gate->lock);
  g_cond_clear (&gate->changed);
}
