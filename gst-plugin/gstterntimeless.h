/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Frames without a time: those of a stream that has none are given some where
 * something says when they were, those of any other are left out. */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

typedef enum
{
  GST_TERN_TIMED,               /* the frame has a time, now at least */
  GST_TERN_LEFT_OUT,            /* it has none that is of use; the stream goes on */
  GST_TERN_TIMELESS             /* the stream has none: an error was posted */
} GstTernTiming;

/* What a streaming thread knows of the times of a stream. */
typedef struct
{
  guint timed;                  /* frames that had one of their own */
  guint timeless;               /* that had none and were given none; all while
                                 * at most one was timed, then those in a row */
  gboolean gives;               /* frames are given times, which was said */
  gint rate_n, rate_d;          /* of the caps; rate_n 0: they do not say */
  GstClockTime from;            /* where the rate is counted from; NONE */
  guint64 given;                /* frames since */
  GstClockTime ahead;           /* of times that were given by the rate, until
                                 * those of the stream come there; NONE */
  guint behind;                 /* frames that were not there */
  GstClockTime last;            /* time of the last frame; NONE: none yet in this
                                 * segment */
  gboolean announced;           /* ... a GAP says that it has begun */
} GstTernTimeless;

/* Another stream, another segment, other caps begin. */
void gst_tern_timeless_begin_stream (GstTernTimeless * self);
void gst_tern_timeless_begin_segment (GstTernTimeless * self);
void gst_tern_timeless_set_rate (GstTernTimeless * self, gint n, gint d);

/* Whether @buffer, which may be replaced, has a time. @element tells the bus
 * what becomes of those that have none, and has the clock of a live stream. */
GstTernTiming gst_tern_timeless_take (GstTernTimeless * self,
    GstElement * element, const GstSegment * segment, gboolean live,
    GstBuffer ** buffer);

/* For a frame that is left out before any other of its segment: sinks of text
 * preroll on this. NULL: nothing is to be said. */
GstEvent *gst_tern_timeless_announce (GstTernTimeless * self,
    const GstSegment * segment);

/* The stream has ended: an error when it had frames, but no times. */
void gst_tern_timeless_end_stream (GstTernTimeless * self,
    GstElement * element);

G_END_DECLS
