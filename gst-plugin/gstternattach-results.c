/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Results: taken from text_sink, found for frames, forgotten. */
#include "gstternattach-priv.h"

#include "gstternelement.h"
#include "gstternanalytics.h"
#include "gstternmeta.h"

void
gst_tern_attach_result_free (gpointer data)
{
  Result *result = data;

  gst_structure_free (result->structure);
  g_free (result);
}

/* The first: when windows overlap, a frame must not carry one or the other by
 * how soon it left. */
Result *
gst_tern_attach_find_window (GstTernAttach * self, const HeldItem * item)
{
  GList *link;

  for (link = self->results.head; link; link = link->next) {
    Result *result = link->data;

    if (result->segment == item->segment && item->stream_time >= result->start
        && item->stream_time < result->end)
      return result;
  }
  return NULL;
}

Result *
gst_tern_attach_find_before (GstTernAttach * self, const HeldItem * item)
{
  GList *link;

  for (link = self->results.tail; link; link = link->prev) {
    Result *result = link->data;

    if (result->segment < item->segment
        || (result->segment == item->segment
            && result->start <= item->stream_time))
      return result;
  }
  return NULL;
}

void
gst_tern_attach_forget_results (GstTernAttach * self, const HeldItem * item)
{
  Result *oldest;

  while (self->results.length > 1) {
    Result *next;

    oldest = g_queue_peek_head (&self->results);
    next = g_queue_peek_nth (&self->results, 1);
    if (oldest->segment == item->segment && (oldest->end > item->stream_time
            || next->start > item->stream_time))
      break;
    if (oldest->segment > item->segment)
      break;
    gst_tern_attach_result_free (g_queue_pop_head (&self->results));
  }
}

void
gst_tern_attach_put_result (GstTernAttach * self, GstBuffer ** buffer,
    const Result * result)
{
  if (!result)
    return;
  *buffer = gst_buffer_make_writable (*buffer);
  gst_tern_buffer_set_result (*buffer, result->structure);
  gst_tern_buffer_add_analytics (*buffer, result->structure);
  self->attached++;
}

/* Answers to requests lie beside the windows, and what is told before the end
 * is none. */
static gboolean
is_beside_windows (const GstStructure * structure)
{
  return gst_structure_has_field (structure, "ask_id")
      || g_strcmp0 (gst_structure_get_string (structure, "kind"),
      "partial") == 0;
}

GstFlowReturn
gst_tern_attach_text_chain (GstPad * pad, GstObject * parent,
    GstBuffer * buffer)
{
  GstTernAttach *self = GST_TERN_ATTACH (parent);
  const GstStructure *structure = gst_tern_buffer_get_result (buffer);
  gdouble start, end;

  if (!structure || !gst_structure_get_double (structure, "start", &start)
      || !gst_structure_get_double (structure, "end", &end) || !(start >= 0)
      || !(end >= start) || !(end < 1e10)) {
    GST_WARNING_OBJECT (self, "text without a result: %" GST_PTR_FORMAT,
        buffer);
  } else if (!is_beside_windows (structure)) {
    Result *result = g_new0 (Result, 1);

    result->structure = gst_structure_copy (structure);
    /* In whole nanoseconds where it is given in them. */
    if (!gst_structure_get_uint64 (structure, "timestamp", &result->start))
      result->start = start * GST_SECOND + 0.5;
    result->end = end * GST_SECOND + 0.5;
    g_mutex_lock (&self->task.lock);
    self->last_text = gst_tern_task_now (&self->task);
    result->segment = self->text_segment;
    g_queue_push_tail (&self->results, result);
    if (!GST_CLOCK_TIME_IS_VALID (self->decided)
        || self->decided < result->end)
      self->decided = result->end;
    g_cond_broadcast (&self->task.cond);
    g_mutex_unlock (&self->task.lock);
  }
  gst_buffer_unref (buffer);
  return GST_FLOW_OK;
}

static void
text_gap (GstTernAttach * self, const GstSegment * segment,
    GstEvent * event)
{
  GstClockTime pts, duration, end;

  if (gst_structure_has_field (gst_event_get_structure (event),
          GST_TERN_GAP_UNDECIDED))
    return;
  gst_event_parse_gap (event, &pts, &duration);
  if (GST_CLOCK_TIME_IS_VALID (duration))
    pts += duration;
  end = gst_segment_to_stream_time (segment, GST_FORMAT_TIME, pts);
  if (!GST_CLOCK_TIME_IS_VALID (end))
    return;
  g_mutex_lock (&self->task.lock);
  self->last_text = gst_tern_task_now (&self->task);
  if (!GST_CLOCK_TIME_IS_VALID (self->decided) || self->decided < end)
    self->decided = end;
  g_cond_broadcast (&self->task.cond);
  g_mutex_unlock (&self->task.lock);
}

GstFlowReturn
gst_tern_attach_text_event (GstPad * pad, GstObject * parent, GstEvent * event)
{
  GstTernAttach *self = GST_TERN_ATTACH (parent);

  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_FLUSH_STOP:
      g_mutex_lock (&self->task.lock);
      g_queue_clear_full (&self->results, gst_tern_attach_result_free);
      self->text_segment = 0;
      self->decided = GST_CLOCK_TIME_NONE;
      self->text_eos = FALSE;
      self->text_ends = self->video_ends;
      g_mutex_unlock (&self->task.lock);
      break;
    case GST_EVENT_SEGMENT:
      g_mutex_lock (&self->task.lock);
      self->text_segment++;
      self->decided = GST_CLOCK_TIME_NONE;
      g_cond_broadcast (&self->task.cond);
      g_mutex_unlock (&self->task.lock);
      break;
    case GST_EVENT_GAP:{
      GstEvent *sticky =
          gst_pad_get_sticky_event (pad, GST_EVENT_SEGMENT, 0);
      const GstSegment *segment;

      if (sticky) {
        gst_event_parse_segment (sticky, &segment);
        text_gap (self, segment, event);
        gst_event_unref (sticky);
      }
      break;
    }
    case GST_EVENT_STREAM_START:
    case GST_EVENT_EOS:
      g_mutex_lock (&self->task.lock);
      self->text_eos = GST_EVENT_TYPE (event) == GST_EVENT_EOS;
      self->text_ends += self->text_eos;
      g_cond_broadcast (&self->task.cond);
      g_mutex_unlock (&self->task.lock);
      break;
    default:
      break;
  }
  gst_event_unref (event);
  return GST_FLOW_OK;
}
