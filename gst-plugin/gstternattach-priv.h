/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ternattach between its files. */
#pragma once

#include "gstternattach.h"
#include "gstternenums.h"
#include "gstterntask.h"

G_BEGIN_DECLS

GST_DEBUG_CATEGORY_EXTERN (gst_tern_attach_debug);
#define GST_CAT_DEFAULT gst_tern_attach_debug

/* Why a frame leaves before the result of its window. */
typedef enum
{
  GST_TERN_IN_TIME,             /* it does not */
  GST_TERN_EARLY_FULL,          /* there is no room for more */
  GST_TERN_EARLY_DRY,           /* upstream waits for those that are held */
  GST_TERN_EARLY_NEWEST,        /* ... and they are not held any more */
  GST_TERN_EARLY_DUE            /* live: it would be late at its sink */
} GstTernEarly;

/* A frame, or an event between frames, that waits. */
typedef struct
{
  GstTernItem base;
  GstClockTime stream_time;     /* of a frame */
  GstClockTime running_time, running_end, duration;
  guint segment;                /* which one, counted */
  gboolean unanswered;          /* nobody looks at it: no result comes */
  GstBufferPool *lender;        /* whose pool misses it, not owned; or NULL */
  gboolean foreign;             /* of memory that may be scarce elsewhere */
  GstTernEarly say;             /* that it leaves early, while there are ... */
  guint64 held_bytes;
  gdouble held_seconds;         /* of video */
} HeldItem;

typedef struct
{
  GstStructure *structure;
  GstClockTime start, end;      /* stream time */
  guint segment;
} Result;

struct _GstTernAttach
{
  GstElement parent;
  GstPad *sinkpad, *textpad, *srcpad;

  /* Under the object lock. */
  GstTernAttachMode attach;
  guint64 max_held_bytes;

  GstTernTask task;             /* lets frames go: HeldItem */
  /* Under its lock. */
  GQueue results;               /* Result, the newest last */
  guint text_segment;
  GstClockTime decided;         /* stream time before which no result comes */
  gboolean text_eos;            /* and no other stream has begun */
  gboolean text_follows;        /* text has a stream for each of video */
  guint text_ends;              /* of streams, that came */
  guint video_ends;             /* ... that left */
  gboolean keep_eos;            /* until there is that of text */
  gboolean hold;                /* frames wait for their window */
  gboolean hold_known;
  gboolean live;
  gboolean over;                /* frames leave early, and that was said */
  gboolean warned;
  guint64 attached, early, most_held;
  GstClockTime wait;            /* live: from a frame's running time until it
                                 * leaves, as LATENCY says; or NONE */
  gboolean waiting;             /* the streaming thread, for room */
  GstClockTime last_came;       /* when the last frame did, by the task's clock */
  GstClockTime last_text;       /* ... the last sign of text */
  guint64 dry_bytes;            /* held when upstream stopped for them; 0 */
  gboolean newest;              /* ... before a window was whole: from then on
                                 * they are not held, until another stream
                                 * begins, or a flush */

  /* The video's streaming thread's. */
  GstSegment segment;
  guint video_segment;
  GstClockTime frame_duration;  /* by the caps; 0 when they do not say */
  gboolean looking;             /* somebody looks at the frames that come */
};

/* gstternattach-results.c; all but the pad functions with the lock. */
void gst_tern_attach_result_free (gpointer data);
/* The first result whose window has @item in it. */
Result *gst_tern_attach_find_window (GstTernAttach * self,
    const HeldItem * item);
/* The last one that began before @item: what was true last. */
Result *gst_tern_attach_find_before (GstTernAttach * self,
    const HeldItem * item);
/* Results that no waiting frame and no later one than @item can need go. */
void gst_tern_attach_forget_results (GstTernAttach * self,
    const HeldItem * item);
void gst_tern_attach_put_result (GstTernAttach * self, GstBuffer ** buffer,
    const Result * result);
GstFlowReturn gst_tern_attach_text_chain (GstPad * pad, GstObject * parent,
    GstBuffer * buffer);
GstFlowReturn gst_tern_attach_text_event (GstPad * pad, GstObject * parent,
    GstEvent * event);

/* gstternattach.c; with the lock. */
/* Whether no text comes any more about the stream that leaves. Text may be in
 * the next one already, or not have begun that yet: of two ends it is the count
 * that says which belong together. */
gboolean gst_tern_attach_text_is_over (const GstTernAttach * self);
gboolean gst_tern_attach_keeps_eos (GstTernAttach * self);

/* gstternattach-task.c */
extern const GstTernTaskFuncs gst_tern_attach_task;
/* The times of a frame. */
void gst_tern_attach_describe (GstTernAttach * self, HeldItem * item);
/* The stream began so much earlier than its segment said when they came. */
void gst_tern_attach_move (GstTernAttach * self, GstClockTime by);
/* Holds a frame (transfer full), as long as it takes. */
GstFlowReturn gst_tern_attach_hold_frame (GstTernAttach * self,
    GstBuffer * buffer);
/* With the lock, which is not held meanwhile: whether results will come although
 * no more frames do, to this element. */
gboolean gst_tern_attach_text_is_at_work (GstTernAttach * self);
/* With the lock: upstream wants what it lent. */
void gst_tern_attach_return_loans (GstTernAttach * self);
/* Text hears that a frame leaves. */
void gst_tern_attach_tell_text (GstTernAttach * self, const HeldItem * item);

G_END_DECLS
