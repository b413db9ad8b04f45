/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstterntextqueue.h"

#include "gstterntask.h"

/* Of text: more than anybody reads late. */
#define MAX_BYTES (1 << 20)

struct _GstTernTextQueue
{
  GstElement parent;
  GstPad *sinkpad, *srcpad;
  GstTernTask task;
};

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE ("sink",
    GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);
static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE ("src",
    GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);

#define gst_tern_text_queue_parent_class parent_class
G_DEFINE_TYPE (GstTernTextQueue, gst_tern_text_queue, GST_TYPE_ELEMENT);

/* ---- What comes ---- */

static GstFlowReturn
chain (GstPad * pad, GstObject * parent, GstBuffer * buffer)
{
  GstTernTask *task = &GST_TERN_TEXT_QUEUE (parent)->task;
  GstFlowReturn flow;

  g_mutex_lock (&task->lock);
  while (task->flow == GST_FLOW_OK && task->bytes >= MAX_BYTES)
    g_cond_wait (&task->cond, &task->lock);
  flow = task->flow;
  if (flow == GST_FLOW_OK)
    gst_tern_task_push (task, gst_tern_task_new_item (task, buffer));
  g_mutex_unlock (&task->lock);
  if (flow != GST_FLOW_OK)
    gst_buffer_unref (buffer);
  return flow;
}

static GstFlowReturn
sink_event (GstPad * pad, GstObject * parent, GstEvent * event)
{
  GstTernTextQueue *self = GST_TERN_TEXT_QUEUE (parent);
  GstEventType type = GST_EVENT_TYPE (event);

  if (GST_EVENT_IS_SERIALIZED (event) && type != GST_EVENT_FLUSH_STOP) {
    /* Who had enough of one stream may want the next. */
    if (type == GST_EVENT_STREAM_START
        && gst_tern_task_get_flow (&self->task) == GST_FLOW_EOS)
      gst_tern_task_flush (&self->task, FALSE);
    return gst_tern_task_push_event (&self->task, event);
  }
  gst_pad_push_event (self->srcpad, event);
  if (type == GST_EVENT_FLUSH_START || type == GST_EVENT_FLUSH_STOP)
    gst_tern_task_flush (&self->task, type == GST_EVENT_FLUSH_START);
  return GST_FLOW_OK;
}

/* What is asked of those behind is true once they have all that came before. */
static gboolean
sink_query (GstPad * pad, GstObject * parent, GstQuery * query)
{
  GstTernTextQueue *self = GST_TERN_TEXT_QUEUE (parent);

  if (GST_QUERY_IS_SERIALIZED (query) && !gst_tern_task_drain (&self->task))
    return FALSE;
  return gst_pad_query_default (pad, parent, query);
}

static gboolean
sink_activate_mode (GstPad * pad, GstObject * parent, GstPadMode mode,
    gboolean active)
{
  if (mode != GST_PAD_MODE_PUSH)
    return FALSE;
  if (!active)
    gst_tern_task_flush_start (&GST_TERN_TEXT_QUEUE (parent)->task);
  return TRUE;
}

/* ---- The task ---- */

static GstTernItem *
take (gpointer element)
{
  GstTernTask *task = &GST_TERN_TEXT_QUEUE (element)->task;

  while (task->flow == GST_FLOW_OK && !task->queue.head)
    g_cond_wait (&task->cond, &task->lock);
  if (task->flow != GST_FLOW_OK)
    return NULL;
  return gst_tern_task_take (task, task->queue.head);
}

static GstFlowReturn
handle (gpointer element, GstTernItem * item)
{
  GstTernTextQueue *self = element;
  GstFlowReturn flow;

  if (!GST_IS_BUFFER (item->object))
    return gst_tern_task_send_event (&self->task,
        gst_event_ref (GST_EVENT_CAST (item->object)));
  flow = gst_pad_push (self->srcpad,
      GST_BUFFER_CAST (g_steal_pointer (&item->object)));
  /* Text that nobody takes now may be taken later. */
  return flow == GST_FLOW_NOT_LINKED ? GST_FLOW_OK : flow;
}

static const GstTernTaskFuncs task_funcs = {
  .item_size = sizeof (GstTernItem),
  .take = take,
  .handle = handle,
};

static gboolean
src_activate_mode (GstPad * pad, GstObject * parent, GstPadMode mode,
    gboolean active)
{
  return gst_tern_task_activate (&GST_TERN_TEXT_QUEUE (parent)->task, mode,
      active);
}

/* ---- The element ---- */

static void
gst_tern_text_queue_finalize (GObject * object)
{
  gst_tern_task_finalize (&GST_TERN_TEXT_QUEUE (object)->task);
  G_OBJECT_CLASS (parent_class)->finalize (object);
}

static void
gst_tern_text_queue_class_init (GstTernTextQueueClass * klass)
{
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);

  G_OBJECT_CLASS (klass)->finalize = gst_tern_text_queue_finalize;
  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_element_class_set_static_metadata (element_class, "Tern text queue",
      "Generic", "Keeps slow readers of text from holding up video",
      "The Tern developers");
}

static void
gst_tern_text_queue_init (GstTernTextQueue * self)
{
  self->sinkpad = gst_pad_new_from_static_template (&sink_template, "sink");
  gst_pad_set_chain_function (self->sinkpad, chain);
  gst_pad_set_event_full_function (self->sinkpad, sink_event);
  gst_pad_set_query_function (self->sinkpad, sink_query);
  gst_pad_set_activatemode_function (self->sinkpad, sink_activate_mode);
  GST_PAD_SET_PROXY_CAPS (self->sinkpad);
  gst_element_add_pad (GST_ELEMENT_CAST (self), self->sinkpad);

  self->srcpad = gst_pad_new_from_static_template (&src_template, "src");
  gst_pad_set_activatemode_function (self->srcpad, src_activate_mode);
  GST_PAD_SET_PROXY_CAPS (self->srcpad);
  gst_element_add_pad (GST_ELEMENT_CAST (self), self->srcpad);
  gst_tern_task_init (&self->task, self, self->srcpad, &task_funcs);
}
