/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ternencoder between its files. */
#pragma once

#include <gst/video/video.h>
#include "gstternencoder.h"
#include "gstternloader.h"
#include "gstternmeta.h"

G_BEGIN_DECLS

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

  /* Under @lock: what the streaming thread leaves for the worker. */
  GMutex lock;
  GCond cond;
  GQueue queue;                 /* GstBuffer and serialized GstEvent */
  guint queued_frames;
  gboolean busy;                /* the worker has taken an item */
  GstFlowReturn flow;           /* of the worker */
  gboolean eos;
  gboolean live;
  TernEncoder *encoder;         /* set by the worker; for cancelling */
  guint64 taken, dropped;

  gint interrupted;             /* atomic: nobody waits for the model */
  GstTernLoader *loader;

  /* The streaming thread's. */
  GstSegment segment;
  TernFrameSampler sampler;
  guint looked;                 /* frames of this segment that were sampled */
  gboolean ended;               /* max-frames was reached, and EOS sent */
  gboolean have_caps;

  /* The worker's. */
  GstVideoInfo info;
  GstTernTokenInfo token_info;
  TernModel *model;
  GstBufferPool *pool;
  guint64 number;
  GstClockTime last_pts;
  gboolean announced;           /* where tokens begin */
};

/* gstternencoder-worker.c */
/* The src pad's task. */
void gst_tern_encoder_loop (gpointer data);
/* With @lock. */
void gst_tern_encoder_clear_queue (GstTernEncoder * self);

G_END_DECLS
