/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where an answer is: the spots of a program that it may be at. */
#pragma once

#include "engine/grammar/constraint-priv.h"

G_BEGIN_DECLS

/* What comes after a piece. Frames that say the same are one; 0 is the bottom. */
typedef struct {
  guint32 state;                /* that a call goes on in; TERN_FRAME_COUNT and a count */
  guint32 count;                /* that were whole before this one */
  guint32 below;
  guint32 rest;                 /* tokens that suffice from the piece's end to the sentence's */
  guint32 chain;                /* of the same hash */
} TernFrame;

#define TERN_FRAME_COUNT (1u << 31)
#define TERN_FRAMES_MAX (1u << 16)
#define TERN_FRAME_SLOTS 1024

/* A set, or a place in a run: TERN_SPOT_RUN, the run, the state of its item. */
typedef struct {
  guint32 state;
  guint32 count;                /* of whole items of the run */
  guint32 stack;                /* frame */
  guint32 cost;                 /* tokens that suffice to the end of the sentence */
} TernSpot;

#define TERN_SPOT_RUN (1u << 31)
#define TERN_SPOTS_MAX 512      /* ways to read what was said: beyond it, those that take longest to end are forgotten */

static inline guint32
tern_spot_of_run (guint32 run, guint8 state)
{
  return TERN_SPOT_RUN | run << 8 | state;
}

static inline guint32
tern_spot_run (guint32 state)
{
  return (state & ~TERN_SPOT_RUN) >> 8;
}

/* Bytes that lead somewhere from it. */
static inline const guint64 *
tern_spot_live (const TernConstraint *c, const TernSpot *spot)
{
  const TernRun *run;

  if (!(spot->state & TERN_SPOT_RUN))
    return tern_set (&c->sets, spot->state)->live;
  run = &g_array_index (c->grammar->runs, TernRun, tern_spot_run (spot->state));
  return g_array_index (c->grammar->items, TernItem, run->item).live[spot->state & 0xff];
}

/* Spots that one is at, at once. They lie side by side in the matcher's array. */
typedef struct {
  guint first, n;
  guint32 cost;                 /* of the cheapest */
  gboolean ends;                /* the sentence may end */
  guint64 live[4];              /* bytes that may lead somewhere */
} TernSpots;

struct _TernMatcher {
  TernConstraint *constraint;
  GArray *spots;                /* TernSpot: those of now, and behind them what a walk needs */
  TernSpots now;
  GArray *frames;               /* TernFrame */
  guint32 slots[TERN_FRAME_SLOTS];
  guint32 *mask, *part;         /* [words] */
  guint words;
  gboolean failed;
  gboolean forgot;              /* readings, for there were too many: fewer tokens may be said than could be */
};

static inline const TernFrame *
tern_frame (const TernMatcher *m, guint32 frame)
{
  return &g_array_index (m->frames, TernFrame, frame);
}

/* The spots behind @from's after @byte, which take the place of what was there. With the constraint's lock. */
void tern_matcher_step (TernMatcher *matcher, const TernSpots *from, guint8 byte, TernSpots *to);
/* To where the sentence begins. With the lock. */
void tern_matcher_start (TernMatcher *matcher);
/* The frame that says that; 0: there is no room. */
guint32 tern_matcher_push (TernMatcher *matcher, guint32 state, guint32 count, guint32 below);
/* The spots at the begin of @state between the frames of @stack, behind @after's. */
void tern_matcher_enter (TernMatcher *matcher, const TernSpots *after, guint32 state, guint32 stack, TernSpots *to);
/* Tokens that suffice from a place in a run to the sentence's end. */
guint32 tern_matcher_run_cost (const TernMatcher *matcher, guint32 spot, guint32 count, guint32 stack);
/* Sets the bits of what may be said from now on, if after it no more than @most tokens are needed. With the lock. */
void tern_matcher_fill_mask (TernMatcher *matcher, guint32 most);
/* Forgets frames that were made since there were @n. */
void tern_matcher_drop_frames (TernMatcher *matcher, guint n);

G_END_DECLS
