/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstterntask.h"

#include "gstternelement.h"

/* Gives back what it holds. */
static void
clear_item (GstTernTask * self, GstTernItem * item)
{
  if (item->object)
    gst_mini_object_unref (item->object);
  if (self->funcs->clear_item)
    self->funcs->clear_item (item);
}

static void
free_item (GstTernTask * self, GstTernItem * item)
{
  clear_item (self, item);
  g_free (item);
}

void
gst_tern_task_init (GstTernTask * self, gpointer element, GstPad * pad,
    const GstTernTaskFuncs * funcs)
{
  self->element = element;
  self->pad = pad;
  self->funcs = funcs;
  self->clock = gst_system_clock_obtain ();
  g_mutex_init (&self->lock);
  g_cond_init (&self->cond);
  g_queue_init (&self->queue);
  self->flow = GST_FLOW_FLUSHING;
}

void
gst_tern_task_finalize (GstTernTask * self)
{
  gst_tern_task_empty (self, FALSE);
  gst_clear_object (&self->clock);
  g_mutex_clear (&self->lock);
  g_cond_clear (&self->cond);
}

/* ---- The queue ---- */

gpointer
gst_tern_task_new_item (GstTernTask * self, gpointer object)
{
  GstTernItem *item = g_malloc0 (self->funcs->item_size);

  item->object = object;
  return item;
}

void
gst_tern_task_push (GstTernTask * self, gpointer data)
{
  GstTernItem *item = data;

  g_queue_push_tail (&self->queue, item);
  if (item->object && GST_IS_BUFFER (item->object)) {
    self->buffers++;
    self->bytes += gst_buffer_get_size (GST_BUFFER_CAST (item->object));
  } else if (item->object) {
    GstEventType type = GST_EVENT_TYPE (item->object);

    self->eos |= type == GST_EVENT_EOS;
    self->eos &= type != GST_EVENT_STREAM_START && type != GST_EVENT_SEGMENT;
  }
  g_cond_broadcast (&self->cond);
}

gpointer
gst_tern_task_take (GstTernTask * self, GList * link)
{
  GstTernItem *item = link->data;

  g_queue_delete_link (&self->queue, link);
  if (item->object && GST_IS_BUFFER (item->object)) {
    self->buffers--;
    self->bytes -= gst_buffer_get_size (GST_BUFFER_CAST (item->object));
  }
  return item;
}

void
gst_tern_task_empty (GstTernTask * self, gboolean flush)
{
  guint n = g_queue_get_length (&self->queue);

  while (n-- > 0) {
    GstTernItem *item = gst_tern_task_take (self, self->queue.head);

    if (flush && item->object && gst_tern_outlives_flush (item->object))
      g_queue_push_tail (&self->queue, item);
    else
      free_item (self, item);
  }
}

gboolean
gst_tern_task_is_busy (const GstTernTask * self)
{
  return self->current || self->queue.head;
}

/* ---- Time ---- */

void
gst_tern_task_change_state (GstTernTask * self, GstStateChange transition)
{
  g_mutex_lock (&self->lock);
  self->playing =
      GST_STATE_TRANSITION_NEXT (transition) == GST_STATE_PLAYING;
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);
}

GstClockTime
gst_tern_task_now (const GstTernTask * self)
{
  return gst_clock_get_time (self->clock);
}

void
gst_tern_task_wait_until (GstTernTask * self, GstClockTime time)
{
  GstClockTime now = gst_tern_task_now (self);

  if (now < time)
    g_cond_wait_until (&self->cond, &self->lock, g_get_monotonic_time () + 1 +
        (gint64) GST_TIME_AS_USECONDS (time - now));
}

/* ---- Whoever leaves something ---- */

static gboolean
push_eos (GstTernTask * self, GstEvent * eos)
{
  if (self->funcs->push_eos)
    return self->funcs->push_eos (self->element, eos);
  return gst_pad_push_event (self->pad, eos);
}

GstFlowReturn
gst_tern_task_push_event (GstTernTask * self, GstEvent * event)
{
  GstFlowReturn flow;

  g_mutex_lock (&self->lock);
  flow = self->flow;
  if (flow == GST_FLOW_OK)
    gst_tern_task_push (self, gst_tern_task_new_item (self, event));
  g_mutex_unlock (&self->lock);
  if (flow == GST_FLOW_OK)
    return GST_FLOW_OK;
  /* Downstream took no more; the end it still has to hear of. */
  if (flow == GST_FLOW_EOS && GST_EVENT_TYPE (event) == GST_EVENT_EOS)
    return push_eos (self, event) ? GST_FLOW_OK : flow;
  gst_event_unref (event);
  return flow;
}

gboolean
gst_tern_task_drain (GstTernTask * self)
{
  gboolean ok;

  g_mutex_lock (&self->lock);
  while (self->flow == GST_FLOW_OK && gst_tern_task_is_busy (self))
    g_cond_wait (&self->cond, &self->lock);
  ok = self->flow == GST_FLOW_OK;
  g_mutex_unlock (&self->lock);
  return ok;
}

GstFlowReturn
gst_tern_task_get_flow (GstTernTask * self)
{
  GstFlowReturn flow;

  g_mutex_lock (&self->lock);
  flow = self->flow;
  g_mutex_unlock (&self->lock);
  return flow;
}

/* ---- The task ---- */

GstFlowReturn
gst_tern_task_send_event (GstTernTask * self, GstEvent * event)
{
  if (gst_pad_push_event (self->pad, event)
      || (!GST_PAD_IS_FLUSHING (self->pad)
          && gst_tern_task_get_flow (self) != GST_FLOW_FLUSHING))
    return GST_FLOW_OK;
  return GST_FLOW_FLUSHING;
}

static void
interrupt (GstTernTask * self, gboolean on)
{
  if (self->funcs->interrupt)
    self->funcs->interrupt (self->element, on);
}

static void
end (GstTernTask * self, GstFlowReturn flow)
{
  gboolean eos;

  g_mutex_lock (&self->lock);
  if (self->flow == GST_FLOW_OK)
    self->flow = flow;
  flow = self->flow;
  eos = self->eos;
  gst_tern_task_empty (self, flow == GST_FLOW_FLUSHING);
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);

  interrupt (self, TRUE);
  if (flow == GST_FLOW_EOS && eos)
    push_eos (self, gst_event_new_eos ());
  gst_pad_pause_task (self->pad);
  /* Before the end upstream is told by the flow, and posts it; after it nobody
   * asks. Who returns ERROR has posted it. */
  if (eos && flow != GST_FLOW_ERROR && (flow < GST_FLOW_EOS
          || (flow == GST_FLOW_NOT_LINKED && !self->funcs->may_be_unlinked)))
    GST_ELEMENT_FLOW_ERROR (self->element, flow);
}

static void
loop (gpointer data)
{
  GstTernTask *self = data;
  gboolean outlives;
  GstTernItem *item;
  GstFlowReturn flow;

  g_mutex_lock (&self->lock);
  self->current = item = self->funcs->take (self->element);
  flow = self->flow;
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);
  if (item)
    flow = self->funcs->handle (self->element, item);

  outlives = item && flow == GST_FLOW_FLUSHING && item->object
      && gst_tern_outlives_flush (item->object);

  /* Who waits for the end of the work has its buffers back then. */
  if (item && !outlives)
    clear_item (self, item);
  g_mutex_lock (&self->lock);
  self->current = NULL;
  if (outlives)
    g_queue_push_head (&self->queue, g_steal_pointer (&item));
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);
  g_free (item);
  if (flow != GST_FLOW_OK)
    end (self, flow);
}

gboolean
gst_tern_task_start (GstTernTask * self)
{
  return gst_pad_start_task (self->pad, loop, self, NULL);
}

void
gst_tern_task_flush_start (GstTernTask * self)
{
  g_mutex_lock (&self->lock);
  self->flow = GST_FLOW_FLUSHING;
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);
  interrupt (self, TRUE);
}

void
gst_tern_task_flush_stop (GstTernTask * self)
{
  interrupt (self, FALSE);
  g_mutex_lock (&self->lock);
  gst_tern_task_empty (self, TRUE);
  self->flow = GST_FLOW_OK;
  self->eos = FALSE;
  g_mutex_unlock (&self->lock);
}

void
gst_tern_task_flush (GstTernTask * self, gboolean start)
{
  if (start) {
    gst_tern_task_flush_start (self);
    gst_pad_pause_task (self->pad);
  } else {
    gst_tern_task_flush_stop (self);
    gst_tern_task_start (self);
  }
}

gboolean
gst_tern_task_activate (GstTernTask * self, GstPadMode mode, gboolean active)
{
  if (mode != GST_PAD_MODE_PUSH)
    return FALSE;
  if (active) {
    gst_tern_task_flush_stop (self);
    return gst_tern_task_start (self);
  }
  gst_tern_task_flush_start (self);
  return gst_pad_stop_task (self->pad);
}
