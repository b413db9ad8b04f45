/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* terncompressor between its files. */
#pragma once

#include "gstterncompressor.h"
#include "gstternmeta.h"

G_BEGIN_DECLS

GST_DEBUG_CATEGORY_EXTERN (gst_tern_compressor_debug);
#define GST_CAT_DEFAULT gst_tern_compressor_debug

struct _GstTernCompressor
{
  GstElement parent;
  GstPad *sinkpad, *srcpad;

  /* Under the object lock. */
  TernCompressorParams params;
  gboolean params_changed;
  gboolean previews;
  TernBudget *budget;           /* NULL: none; from READY to READY */
  TernCompressorStats stats;    /* of compressors before this one */
  TernCompressor *compressor;   /* replaced by the streaming thread only */

  /* The streaming thread's. */
  GstTernTokenInfo info;
  gboolean have_info;
  GstTernTokenMap map;
  guint capacity;               /* tokens of a frame */
  GstBufferPool *pool;
  guint64 count;                /* frames without a number of their own */
  guint pending;                /* frames of the open group */
  GstClockTime last_tick;       /* of the last frame; NONE before it */
  GstSegment segment;
  TernGrouper *grouper;         /* of the windows downstream; or NULL */
  gboolean new_group;           /* the next frame begins one */
  guint64 came, left;           /* the last frame's number, as it came and as it
                                 * was given on */
  gboolean have_number;         /* ... there was one */
  GstEvent *gap;                /* came after the frames of the open group */
  gboolean discont;             /* for the next buffer that leaves */
};

/* gstterncompressor-input.c */
void gst_tern_compressor_drop (GstTernCompressor * self);
void gst_tern_compressor_reset (GstTernCompressor * self);
GstFlowReturn gst_tern_compressor_chain (GstPad * pad, GstObject * parent,
    GstBuffer * buffer);
GstFlowReturn gst_tern_compressor_sink_event (GstPad * pad, GstObject * parent,
    GstEvent * event);
gboolean gst_tern_compressor_src_event (GstPad * pad, GstObject * parent,
    GstEvent * event);
gboolean gst_tern_compressor_src_query (GstPad * pad, GstObject * parent,
    GstQuery * query);

G_END_DECLS
