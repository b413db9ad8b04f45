/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ternencoder between its files. */
#pragma once

#include <gst/video/video.h>
#include "gstternencoder.h"
#include "gstternframe.h"
#include "gstternloader.h"
#include "gstternmeta.h"

G_BEGIN_DECLS

/* Sampled frames that wait, when not live. */
#define GST_TERN_ENCODER_QUEUE 2

GST_DEBUG_CATEGORY_EXTERN (gst_tern_encoder_debug);
#define GST_CAT_DEFAULT gst_tern_encoder_debug

struct _GstTernEncoder
{
  GstElement parent;
  GstPad *sinkpad, *srcpad;

  /* Under the object lock. */
  GstTernModelSettings settings;
  gint rate_n, rate_d;
  guint max_frames;
  TernFit fit;
  GstClockTime idle_timeout;

  /* Under @lock: what the streaming thread leaves for the worker. */
  GMutex lock;
  GCond cond;
  GQueue queue;                 /* GstBuffer and serialized GstEvent */
  guint queued_frames;
  guint64 late[GST_TERN_ENCODER_QUEUE]; /* of queued frames, in order */
  gboolean busy;                /* the worker has taken an item */
  GstFlowReturn flow;           /* of the worker */
  gboolean eos;
  gboolean live;
  TernEncoder *encoder;         /* set by the worker; for cancelling */
  guint64 frames, taken, dropped;
  GstClockTime seen_pts, seen_duration; /* of the last frame that came */
  gboolean unseen;              /* ... which was not looked at */
  gint64 seen_at;               /* ... when, monotonic us */
  gboolean idle;                /* nothing came since it began or paused */

  gint interrupted;             /* atomic: nobody waits for the model */
  GstTernLoader *loader;

  /* The streaming thread's. */
  GstSegment segment;
  TernFrameSampler sampler;
  guint looked;                 /* frames of this segment that were sampled */
  gboolean ended;               /* max-frames was reached, and EOS sent */
  gboolean have_caps;
  gboolean timed;               /* a frame of this stream had a time */
  guint timeless;               /* frames without one since */
  GstClockTime gap_end;         /* of the last GAP of this segment */

  /* The worker's. */
  GstVideoInfo info;
  GstTernRoom room;
  GstTernTokenInfo token_info;
  GstCaps *token_caps;          /* that were sent */
  guint tag_orientation[2];     /* of the stream, of all streams; 0 unknown */
  TernModel *model;
  GstBufferPool *pool;
  guint64 number;
  GstClockTime last_tick;       /* of the frame numbered last */
  gboolean announced;           /* where tokens begin */
};

/* gstternencoder-input.c */
GstFlowReturn gst_tern_encoder_chain (GstPad * pad, GstObject * parent,
    GstBuffer * buffer);
GstFlowReturn gst_tern_encoder_sink_event (GstPad * pad, GstObject * parent,
    GstEvent * event);
gboolean gst_tern_encoder_sink_query (GstPad * pad, GstObject * parent,
    GstQuery * query);
gboolean gst_tern_encoder_src_event (GstPad * pad, GstObject * parent,
    GstEvent * event);
gboolean gst_tern_encoder_src_query (GstPad * pad, GstObject * parent,
    GstQuery * query);
gboolean gst_tern_encoder_sink_activate_mode (GstPad * pad, GstObject * parent,
    GstPadMode mode, gboolean active);
gboolean gst_tern_encoder_src_activate_mode (GstPad * pad, GstObject * parent,
    GstPadMode mode, gboolean active);
/* With @lock: a GAP for the last frame, when tokens do not say where it ends;
 * NULL when they do, or when it was said. */
GstEvent *gst_tern_encoder_take_seen (GstTernEncoder * self);

/* gstternencoder-worker.c */
/* The src pad's task. */
void gst_tern_encoder_loop (gpointer data);
/* With @lock. @flush: what is true of the stream after it as well stays. */
void gst_tern_encoder_clear_queue (GstTernEncoder * self, gboolean flush);

G_END_DECLS
