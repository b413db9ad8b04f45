/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tern/lanes.h"

#include <stdatomic.h>

#define PER_THREAD 4            /* pictures that may be given for each thread, in one call */
/* Pixels of a small picture, as it comes: one of 3840 x 2160 is brought to its size in a slice's time. */
#define SMALL_PIXELS ((guint64) 1 << 23)

typedef struct {
  TernVisionState *state;
  guint64 number;               /* of the picture that is under way; 0: none is */
  TernLookTask *task;           /* of this call: that picture */
} Lane;

struct _TernLanes {
  TernVision *vision;
  TernActivations activations;
  TernPool *pool;
  guint small_tokens;           /* 0: no picture is small */
  Lane whole;
  Lane *lanes;                  /* [n]; NULL until they are needed for the first time */
  guint n;                      /* threads; 0: never */
  TernLanesClock clock;

  /* a call of run_side() */
  TernLookTask *tasks;
  guint n_tasks;
  atomic_uint next;             /* of the tasks, that a lane with nothing under way looks at */
};

TernLanes *
tern_lanes_new (TernVision *vision, TernActivations activations, TernPool *pool, GError **error)
{
  TernVisionState *whole = tern_vision_state_new (vision, tern_vision_info (vision)->max_tokens, activations, pool, error);
  guint threads = tern_pool_threads (pool);
  TernLanes *self;

  if (!whole)
    return NULL;
  self = g_new0 (TernLanes, 1);
  self->vision = tern_vision_ref (vision);
  self->activations = activations;
  self->pool = pool;
  self->clock = g_get_monotonic_time;
  self->whole.state = whole;
  self->small_tokens = tern_vision_small_tokens (vision);
  self->n = threads > 1 && self->small_tokens > 0 ? threads : 0;
  return self;
}

static void
free_lanes (TernLanes *self)
{
  for (guint i = 0; self->lanes && i < self->n; i++)
    tern_vision_state_free (self->lanes[i].state);
  g_clear_pointer (&self->lanes, g_free);
}

void
tern_lanes_free (TernLanes *self)
{
  if (!self)
    return;
  free_lanes (self);
  tern_vision_state_free (self->whole.state);
  tern_vision_unref (self->vision);
  g_free (self);
}

/* Once, when several small pictures wait for the first time: one stream alone never needs them. */
static gboolean
make_lanes (TernLanes *self)
{
  if (self->lanes || self->n == 0)
    return self->n > 0;
  self->lanes = g_new0 (Lane, self->n);
  for (guint i = 0; i < self->n; i++) {
    self->lanes[i].state = tern_vision_state_new (self->vision, self->small_tokens, self->activations, NULL, NULL);
    if (!self->lanes[i].state) {
      free_lanes (self);
      self->n = 0;
      return FALSE;
    }
  }
  return TRUE;
}

TernLanePlace
tern_lanes_find (const TernLanes *self, guint64 number)
{
  if (self->whole.number == number)
    return TERN_LANE_WHOLE;
  for (guint i = 0; self->lanes && i < self->n; i++)
    if (self->lanes[i].number == number)
      return TERN_LANE_SIDE;
  return TERN_LANE_NONE;
}

gboolean
tern_lanes_is_small (const TernLanes *self, const TernLook *look)
{
  return look->plan->n == 1 && look->plan->n_tokens <= self->small_tokens
      && (guint64) look->image->width * look->image->height <= SMALL_PIXELS;
}

guint
tern_lanes_most (const TernLanes *self)
{
  return self->n * PER_THREAD;
}

/* Half of the threads with a picture each are no slower than all of them at one after the other: loops of small pictures
 * are too short for more. */
guint
tern_lanes_least (const TernLanes *self)
{
  return MAX (2, (self->n + 1) / 2);
}

/* ---- Work -------------------------------------------------------------------------------------------------------- */

gboolean
tern_look_begin (const TernLook *look, TernVisionState *state, GError **error)
{
  if (look->reuse)
    return tern_vision_begin_reusing (state, look->reuse, look->image, &look->options, look->plan, look->tokens, error);
  return tern_vision_begin_frames (state, look->before, look->image, look->second, &look->options, look->plan, look->tokens,
      error);
}

static gboolean
begin (Lane *lane, TernLookTask *task)
{
  lane->number = 0;
  if (!tern_look_begin (&task->look, lane->state, &task->error))
    return FALSE;
  lane->number = task->look.number;
  return TRUE;
}

/* Steps of the task's picture until the clock says @end; one in any case. */
static void
advance (const TernLanes *self, Lane *lane, TernLookTask *task, gint64 since, gint64 end)
{
  gint64 now = since;

  task->touched = TRUE;
  task->step = TERN_VISION_FAILED;
  if (lane->number == task->look.number || begin (lane, task)) {
    do {
      task->step = tern_vision_step (lane->state, task->look.cancel, &task->error);
      now = self->clock ();
    } while (task->step == TERN_VISION_MORE && now < end);
  }
  if (task->step != TERN_VISION_MORE)
    lane->number = 0;
  task->us = now - since;
}

void
tern_lanes_run_whole (TernLanes *self, TernLookTask *task)
{
  gint64 now = self->clock ();

  advance (self, &self->whole, task, now, now);
}

/* The next task that is on no lane; NULL: there are no more. */
static TernLookTask *
next_task (TernLanes *self)
{
  guint i;

  while ((i = atomic_fetch_add (&self->next, 1)) < self->n_tasks)
    if (!self->tasks[i].under_way)
      return &self->tasks[i];
  return NULL;
}

static void
run_lane (TernLanes *self, Lane *lane)
{
  gint64 begin = self->clock (), now = begin;
  TernLookTask *task = lane->task ? lane->task : next_task (self);

  while (task) {
    advance (self, lane, task, now, begin + TERN_SLICE_US);
    if (task->step == TERN_VISION_MORE)
      return;
    now = self->clock ();
    task = now - begin < TERN_SLICE_US ? next_task (self) : NULL;
  }
}

static void
run_lanes (void *data, guint begin, guint end, guint worker)
{
  TernLanes *self = data;

  for (guint i = begin; i < end; i++)
    run_lane (self, &self->lanes[i]);
}

/* Gives each lane its task; other pictures that are under way there are given up. */
static void
assign (TernLanes *self)
{
  for (guint i = 0; i < self->n; i++) {
    Lane *lane = &self->lanes[i];

    lane->task = NULL;
    for (guint k = 0; k < self->n_tasks && !lane->task; k++)
      if (lane->number == self->tasks[k].look.number)
        lane->task = &self->tasks[k];
    if (lane->task)
      lane->task->under_way = TRUE;
    else
      lane->number = 0;
  }
}

gboolean
tern_lanes_run_side (TernLanes *self, TernLookTask *tasks, guint n)
{
  if (!make_lanes (self))
    return FALSE;
  self->tasks = tasks;
  self->n_tasks = n;
  atomic_store (&self->next, 0);
  for (guint i = 0; i < n; i++)
    tasks[i].under_way = tasks[i].touched = FALSE;
  assign (self);
  tern_pool_run (self->pool, run_lanes, self, self->n, 1);
  return TRUE;
}

void
tern_lanes_set_clock (TernLanes *self, TernLanesClock clock)
{
  self->clock = clock;
}

TernVisionState *
tern_lanes_take_whole (TernLanes *self)
{
  self->whole.number = 0;
  return self->whole.state;
}
