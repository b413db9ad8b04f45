/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ternencoder between its files. */
#pragma once

#include <gst/video/video.h>
#include "gstternbudget.h"
#include "gstternelement.h"
#include "gstternencoder.h"
#include "gstternframe.h"
#include "gstternloader.h"
#include "gstternmeta.h"
#include "gstterntask.h"
#include "gstterntimeless.h"

G_BEGIN_DECLS

/* Sampled frames that wait, when not live. */
#define GST_TERN_ENCODER_QUEUE 2

/* Frames that are looked at for a picture: its own two, the one before it. */
#define GST_TERN_ENCODER_FRAMES 3

GST_DEBUG_CATEGORY_EXTERN (gst_tern_encoder_debug);
#define GST_CAT_DEFAULT gst_tern_encoder_debug

/* A sampled frame, or an event between frames. */
typedef struct
{
  GstTernItem base;
  guint64 late;                 /* of a frame: after its sampling tick */
  GstClockTime come;            /* ... how far frames that are not looked at had
                                 * come before it; NONE: there was none */
} EncoderItem;

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
  TernGateParams gate_params;
  TernReuseParams reuse_params;
  TernBudgetParams budget_params;
  TernBudget *budget;           /* NULL: none; from READY to READY */
  GstTernHeard heard;

  GstTernTask task;             /* the worker: EncoderItem, and events */
  /* Under its lock. */
  gboolean live;
  TernEncoder *encoder;         /* set by the worker; for cancelling */
  guint64 frames, taken, dropped;
  guint64 encoded, spared;      /* of those taken: they had tokens of their own,
                                 * or those of the picture before */
  TernGateStats gate_stats;
  TernReuseStats reuse_stats;
  GstTernSeen seen;             /* the last frame that came */
  gboolean unseen;              /* ... tokens do not say where it ends */
  GstClockTime seen_at;         /* ... when, by the task's clock */
  GstClockTime tick;            /* between frames that are looked at; 0: all */
  gboolean idle;                /* nothing came since it began or paused */
  gboolean paused;              /* ... which was said */

  GstTernLoader *loader;
  gint triggered;               /* atomic: a stretch begins with the next frame */

  /* The streaming thread's. */
  GstSegment segment;
  TernFrameSampler sampler;
  guint looked;                 /* frames of this segment that were sampled */
  gboolean ended;               /* max-frames was reached, and EOS sent */
  gboolean have_caps;
  GstTernShape shape;           /* of the frames that come ... */
  GstTernShape looked_shape;    /* of the last one looked at; 0 x 0 without it */
  GstTernTimeless times;
  GstClockTime gap_end;         /* of the last GAP of this segment */
  GstClockTime duration;        /* as was said when this segment began; or NONE */
  GstClockTime come;            /* EncoderItem.come of the next one */

  /* The worker's. */
  GstVideoInfo info;
  GstSegment out_segment;       /* of the frames that are encoded */
  GstTernRoom rooms[GST_TERN_ENCODER_FRAMES];
  gint worker_rate_n, worker_rate_d;    /* of frames that are looked at */
  GstTernTokenInfo token_info;
  GstCaps *token_caps;          /* that were sent */
  gboolean readable;            /* a frame of this stream could be read */
  guint unreadable;             /* frames that could not since */
  guint tag_orientation[2];     /* of the stream, of all streams; 0 unknown */
  TernModel *model;
  GstBufferPool *pool;
  TernGate *gate;
  GstBuffer *last;              /* tokens of the picture encoded last, for frames
                                 * with nothing new */
  guint64 picture;              /* which one that is, counted from 1 */
  guint64 number;
  gboolean pairs;               /* two frames make a picture */
  GstBuffer *half;              /* the first of two; a copy */
  guint64 half_late;
  GstEvent *half_gap;           /* to be said behind it */
  gboolean looks_back;          /* tokens say what changed since the frame before */
  GstBuffer *before;            /* ... which is this one, a copy, while a stretch
                                 * lasts; NULL without */
  GstClockTime last_tick;       /* of the frame that came last */
  gboolean announced;           /* where tokens begin */
};

/* gstternencoder.c */
/* A QOS message: @buffer, a frame or its tokens, was not encoded for @reason. */
void gst_tern_encoder_post_dropped (GstTernEncoder * self,
    const GstSegment * segment, GstBuffer * buffer, const gchar * reason);

/* gstternencoder-input.c */
GstFlowReturn gst_tern_encoder_chain (GstPad * pad, GstObject * parent,
    GstBuffer * buffer);
GstFlowReturn gst_tern_encoder_sink_event (GstPad * pad, GstObject * parent,
    GstEvent * event);
gboolean gst_tern_encoder_sink_query (GstPad * pad, GstObject * parent,
    GstQuery * query);
gboolean gst_tern_encoder_src_event (GstPad * pad, GstObject * parent,
    GstEvent * event);
/* The next frame begins another stretch. From any thread. */
void gst_tern_encoder_trigger (GstTernEncoder * self);
gboolean gst_tern_encoder_src_query (GstPad * pad, GstObject * parent,
    GstQuery * query);
gboolean gst_tern_encoder_sink_activate_mode (GstPad * pad, GstObject * parent,
    GstPadMode mode, gboolean active);
gboolean gst_tern_encoder_src_activate_mode (GstPad * pad, GstObject * parent,
    GstPadMode mode, gboolean active);
/* With the lock: leaves a GAP for the last frame, when tokens do not say where
 * it ends, and it was not said yet. */
void gst_tern_encoder_push_seen (GstTernEncoder * self);

/* gstternencoder-picture.c, for the worker */
/* Whether the memory of a frame holds what its caps say. */
gboolean gst_tern_encoder_can_read (GstTernEncoder * self, GstBuffer * buffer,
    GError ** error);
/* How long a frame stands: what it says, else what the caps say of a source that
 * is slower than the sampling; NONE else. */
GstClockTime gst_tern_encoder_duration (GstTernEncoder * self,
    GstBuffer * buffer);
/* Encodes one frame, or with @second two of them as one picture that follows
 * self->before, and pushes the tokens; @late is that of @first. */
GstFlowReturn gst_tern_encoder_encode (GstTernEncoder * self,
    GstBuffer * first, GstBuffer * second, guint64 late);
/* Another scene begins, or what was encoded is not there. */
void gst_tern_encoder_forget_picture (GstTernEncoder * self);

/* gstternencoder-worker.c */
extern const GstTernTaskFuncs gst_tern_encoder_task;
/* Drops what waits for its second frame, and the frame before; the worker does
 * not run. */
void gst_tern_encoder_drop_half (GstTernEncoder * self);

G_END_DECLS
