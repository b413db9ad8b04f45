/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One connection to a camera: a pipeline from its source to results. It is made, plays, fails or ends, and is thrown away;
 * watch/camera.h makes the next one.
 *
 *   source ! decodebin ! videoconvert ! (zones) ! tee ! queue ! ternencoder ! terncompressor ! terngenerator ! fakesink
 *                                                 tee ! queue ! scaled, JPEG ! fakesink                  (thumbnails)
 *
 * Functions are called, and call back, on the thread of the default main context. */
#pragma once

#include <gst/gst.h>

#include "tern/tern.h"
#include "watch/config.h"

G_BEGIN_DECLS

/* A result as the memory and rules take it. */
typedef struct {
  gint64 start, end;            /* us since 1970 UTC, by this machine's clock */
  gint64 utc;                   /* the start by the camera's clock, which may be anything; 0: it does not tell */
  gint64 began;                 /* monotonic us: the start */
  char *kind, *text, *model;
  char **labels;                /* NULL: none; the likeliest is the text */
  double *scores;
  double confidence;
  gboolean abstained, unchanged;
  GBytes *thumbnail;            /* JPEG of the middle of the window; NULL: none */
} TernObserved;

void tern_observed_free (TernObserved *observed);

/* What failed: where it comes from; what comes, which will be the same for a file; or what looks at it, as it was set. */
typedef enum { TERN_FAULT_SOURCE, TERN_FAULT_STREAM, TERN_FAULT_SETTINGS } TernFault;

typedef struct {
  void (*observed) (gpointer data, const TernObserved *observed);
  void (*failed) (gpointer data, const char *why, TernFault fault);     /* the last that is heard of this one */
  void (*ended) (gpointer data);                        /* likewise */
  void (*warned) (gpointer data, const char *what);
} TernRunFuncs;

typedef struct _TernRun TernRun;

/* What its elements counted so far. */
typedef struct {
  guint64 frames, looked_at, unchanged;         /* frames: that came, that were due, of these with nothing new */
  guint64 left_out;                             /* of those that were due: too late, for there was more than the machine can */
  guint64 windows, repeated, dropped;           /* that were answered, of these told again; left out */
  guint64 latency;                              /* ns from the last window's end to its answer, of a live source; 0: none */
} TernRunStats;

/* How long a window of @config is with @model, us. */
gint64 tern_run_window (const TernCameraConfig *config, TernModel *model);

/* NULL: the pipeline cannot be made; *@error says why. @config is read
 * during the call, @funcs must live as long. */
TernRun *tern_run_new (const TernCameraConfig *config, TernModel *model, const TernRunFuncs *funcs, gpointer data,
    GError **error);
/* Nothing is heard of it any more. Closing takes its time, elsewhere. */
void tern_run_free (TernRun *run);

/* Monotonic us of the last frame that came, 0: none yet. */
gint64 tern_run_last_frame (TernRun *run);
/* Of the times that frames have, as monotonic us: those of the first and last one, 0: none yet; and, appended to @silences
 * (pairs of gint64), from when until when none came for half a window and more, since the last call. */
void tern_run_frames (TernRun *run, gint64 *first, gint64 *last, GArray *silences);
void tern_run_stats (TernRun *run, TernRunStats *stats);
/* Waits until every pipeline that was thrown away is closed. */
void tern_run_wait_closed (void);

G_END_DECLS
