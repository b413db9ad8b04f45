/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where pictures are encoded: one by all threads together, or several small ones side by side, one a thread.
 *
 * Threads that share a picture meet after each of its some hundred loops. Of a small picture a loop lasts microseconds, and
 * the second thread gains little; a picture a thread is as much work without a single meeting. Each lane has a state of the
 * encoder and works by itself, so the tokens are the same bits as those that all threads together make. */
#pragma once

#include <glib.h>
#include "engine/base/threads.h"
#include "vision/reuse.h"
#include "vision/vision.h"

typedef struct _TernLanes TernLanes;

/* A picture that somebody wants encoded. What the pointers lead to stays as long as it is among those that are to be
 * done. */
typedef struct {
  guint64 number;               /* from 1 on; what is to be begun anew has another */
  const TernImage *image, *second;      /* second: NULL without */
  const TernImage *before;      /* tern_vision_begin_frames()'s; NULL without */
  TernVisionOptions options;
  const TernVisionPlan *plan;   /* tern_vision_plan_image()'s */
  TernReuse *reuse;             /* NULL without, and with a second frame or one before */
  float *tokens;
  TernCancel *cancel;
} TernLook;

/* What is done of it in a call. */
typedef struct {
  void *owner;                  /* the caller's */
  TernLook look;
  gboolean under_way;           /* on a lane; run_side()'s own */
  gboolean touched;             /* its turn came; then: */
  TernVisionStep step;
  gint64 us;                    /* that it took, of each thread that was at it */
  GError *error;                /* of FAILED and CANCELLED; the caller's to free */
} TernLookTask;

/* Begins it in @state. */
gboolean tern_look_begin (const TernLook *look, TernVisionState *state, GError **error);

/* @pool is borrowed. Errors: NO_SPACE. One thread at a time. */
TernLanes *tern_lanes_new (TernVision *vision, TernActivations activations, TernPool *pool, GError **error);
void tern_lanes_free (TernLanes *lanes);

/* Where a picture is under way. */
typedef enum {
  TERN_LANE_NONE,               /* nowhere: it is to be begun */
  TERN_LANE_WHOLE,              /* with all threads */
  TERN_LANE_SIDE,               /* on a lane */
} TernLanePlace;

TernLanePlace tern_lanes_find (const TernLanes *lanes, guint64 number);
/* Whether it may go side by side with others: so little work that one thread soon has done it. */
gboolean tern_lanes_is_small (const TernLanes *lanes, const TernLook *look);
/* How many pictures tern_lanes_run_side() may be given, at most; 0: there is one thread, or no picture of this encoder is
 * small. And from how many on that is sooner done than one after the other. */
guint tern_lanes_most (const TernLanes *lanes);
guint tern_lanes_least (const TernLanes *lanes);

/* A slice of @task's picture, by all threads. What is under way elsewhere stays. */
void tern_lanes_run_whole (TernLanes *lanes, TernLookTask *task);
/* About a slice's time on every thread: each goes on with the picture that it has under way, and begins those that are nowhere,
 * in the order in which they stand in @tasks, no two of which may share their tokens. Pictures under way on a lane that are not
 * among them are given up. FALSE: there is no memory for lanes, nothing is done, and tern_lanes_most() is 0 from now on. */
gboolean tern_lanes_run_side (TernLanes *lanes, TernLookTask *tasks, guint n);

/* The state that all threads share, for the caller's use; a picture that is under way there is given up. */
TernVisionState *tern_lanes_take_whole (TernLanes *lanes);

/* For tests: what tells the time, us, to all threads at once. */
typedef gint64 (*TernLanesClock) (void);
void tern_lanes_set_clock (TernLanes *lanes, TernLanesClock clock);
