/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A thread of an element that works off what streaming threads leave for it:
 * the task of a src pad, its queue, and the flow that goes back upstream.
 *
 * Everything ends in one way. When the work of an item fails, or a flush comes,
 * the flow says so to whoever leaves something from then on, the queue is
 * emptied and the task pauses. After GST_FLOW_EOS from downstream the end goes
 * there all the same; other failures after the end, which upstream does not
 * hear of any more, are an error of the element. */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/* Something to do: the first member of the element's own structure. */
typedef struct
{
  GstMiniObject *object;        /* a buffer or an event; or NULL */
} GstTernItem;

/* What is the element's own. All are given the element. */
typedef struct
{
  gsize item_size;
  /* With the lock: what is to be done next, as soon as there is something; NULL
   * when the flow is not OK any more. */
  GstTernItem *(*take) (gpointer element);
  GstFlowReturn (*handle) (gpointer element, GstTernItem * item);
  /* What an item has beside its object; or NULL. */
  void (*clear_item) (GstTernItem * item);
  /* Work ends, and who waits for it goes on: nothing leaves any more, until it
   * does again. Or NULL. */
  void (*interrupt) (gpointer element, gboolean interrupt);
  /* Takes EOS where it has to go; NULL: to the pad. */
  gboolean (*push_eos) (gpointer element, GstEvent * eos);
  gboolean may_be_unlinked;     /* a pad that leads nowhere is no error */
} GstTernTaskFuncs;

typedef struct
{
  GstElement *element;
  GstPad *pad;
  const GstTernTaskFuncs *funcs;
  GstClock *clock;              /* the system's, which tests replace */

  GMutex lock;                  /* for what follows, and what elements like */
  GCond cond;                   /* something of it changed */
  GQueue queue;                 /* GstTernItem */
  guint buffers;                /* in the queue */
  guint64 bytes;                /* of them */
  const GstTernItem *current;   /* that is worked on; or NULL */
  GstFlowReturn flow;
  gboolean eos;                 /* the stream has ended */
  gboolean playing;             /* the element is in PLAYING, and stays there:
                                 * time that passes says something */
} GstTernTask;

/* @pad is @element's, and does not outlive it. The flow is FLUSHING. */
void gst_tern_task_init (GstTernTask * self, gpointer element, GstPad * pad,
    const GstTernTaskFuncs * funcs);
void gst_tern_task_finalize (GstTernTask * self);

/* An item of the element's size; @object (transfer full) may be NULL. */
gpointer gst_tern_task_new_item (GstTernTask * self, gpointer object);

/* With the lock. Both are transfer full. */
void gst_tern_task_push (GstTernTask * self, gpointer item);
gpointer gst_tern_task_take (GstTernTask * self, GList * link);
/* @flush: what is true of the stream after it as well stays. */
void gst_tern_task_empty (GstTernTask * self, gboolean flush);
gboolean gst_tern_task_is_busy (const GstTernTask * self);

/* At the top of change_state. */
void gst_tern_task_change_state (GstTernTask * self,
    GstStateChange transition);
GstClockTime gst_tern_task_now (const GstTernTask * self);
/* Until something changes, or it is @time. */
void gst_tern_task_wait_until (GstTernTask * self, GstClockTime time);

/* Leaves @event (transfer full) for the task. */
GstFlowReturn gst_tern_task_push_event (GstTernTask * self, GstEvent * event);
/* For the task: pushes @event (transfer full). FLUSHING when a flush came upon
 * it; then the item waits for its end, if it is to be said after it. */
GstFlowReturn gst_tern_task_send_event (GstTernTask * self, GstEvent * event);
/* Until everything is done; FALSE when it will not be. */
gboolean gst_tern_task_drain (GstTernTask * self);
GstFlowReturn gst_tern_task_get_flow (GstTernTask * self);

/* Whoever waits, or leaves something, is turned away until the second. */
void gst_tern_task_flush_start (GstTernTask * self);
void gst_tern_task_flush_stop (GstTernTask * self);
gboolean gst_tern_task_start (GstTernTask * self);
/* When FLUSH_START or FLUSH_STOP has gone downstream. */
void gst_tern_task_flush (GstTernTask * self, gboolean start);
/* For the pad's activatemode function. */
gboolean gst_tern_task_activate (GstTernTask * self, GstPadMode mode,
    gboolean active);

G_END_DECLS
