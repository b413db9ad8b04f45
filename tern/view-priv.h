/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inside of views: pixels until they were encoded, visual tokens from then on. */
#pragma once

#include "tern/frame-store.h"
#include "tern/model-priv.h"
#include "tern/reader.h"

typedef struct {
  guint8 *data;                 /* NULL: no picture needs them any more */
  gsize bytes;
  TernImage image;              /* planes in data */
} TernViewPixels;

/* One picture of a view. */
typedef struct {
  TernViewPixels pixels[2];
  guint n_frames;               /* 1, or 2 of a clip for an encoder that pairs frames */
  guint64 pts;                  /* the mean of theirs */
  TernVisionOptions options;
  TernVisionPlan *plan;
  float *tokens;                /* [plan->n_tokens][dim]; being written until `encoded` */
  gboolean encoded;
} TernViewFrame;

struct _TernView {
  gint refs;                    /* atomic */
  TernModel *model;
  gboolean clip;
  guint n_frames;
  GMutex lock;                  /* of what tern_view_bytes() adds up */
  GArray *frames;               /* TernViewFrame, a picture each; none is added once `shown` */
  gint shown;                   /* atomic: a completion has it */
  /* the scheduler's thread's */
  TernFrameStore store;         /* of a clip whose frames are all encoded */
  gboolean stored;
};

/* No further frames. INVALID: there is none. */
gboolean tern_view_show (TernView *view, GError **error);
/* Visual tokens that it becomes, at most. */
guint tern_view_bound (const TernView *view);
/* A part of the prompt for each picture that is seen, as far as is known before it is encoded: TernPromptRun in @runs. */
void tern_view_runs (const TernView *view, GArray *runs);

/* ---- On the scheduler's thread ---- */

/* The first of its pictures that is not encoded; NULL: all are. */
TernViewFrame *tern_view_next (TernView *view);
/* The frame before it, where the encoder looks back and there is one; NULL otherwise. */
const TernImage *tern_view_before (const TernView *view, const TernViewFrame *frame);
/* It is. Of the last one of a clip: what is kept of them is chosen. NO_SPACE. */
gboolean tern_view_encoded (TernView *view, TernViewFrame *frame, GError **error);
/* A TernPicture for each of tern_view_runs(), borrowed from the view. */
void tern_view_pictures (TernView *view, GArray *pictures);
