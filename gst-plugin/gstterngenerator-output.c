/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What leaves: results as text, JSON, signals and messages, and events in their
 * order, pushed by the task of the src pad. */
#include "gstterngenerator-priv.h"

#include <string.h>
#include "gstternelement.h"

/* What the src task has to do, in order: one of the two. */
typedef struct
{
  TernResult *result;
  GstEvent *event;
} OutItem;

/* Text about the past is of no use to what shows a live picture. */
gboolean
gst_tern_generator_stamps_arrival (GstTernGenerator * self)
{
  gboolean arrival;

  GST_OBJECT_LOCK (self);
  arrival = self->timestamps == GST_TERN_TIMESTAMPS_ARRIVAL
      || (self->timestamps == GST_TERN_TIMESTAMPS_AUTO && self->live);
  GST_OBJECT_UNLOCK (self);
  return arrival;
}

/* ---- What waits for the src task ---- */

static void
out_item_free (OutItem * item)
{
  g_clear_pointer (&item->result, tern_result_unref);
  gst_clear_event (&item->event);
  g_free (item);
}

void
gst_tern_generator_clear_out (GstTernGenerator * self)
{
  OutItem *item;

  while ((item = g_queue_pop_head (&self->out)))
    out_item_free (item);
  self->n_results = 0;
}

gboolean
gst_tern_generator_enqueue_event (GstTernGenerator * self, GstEvent * event)
{
  OutItem *item;
  gboolean ok, ended;

  g_mutex_lock (&self->lock);
  ok = self->flow == GST_FLOW_OK;
  ended = self->flow == GST_FLOW_EOS;
  if (ok) {
    item = g_new0 (OutItem, 1);
    item->event = event;
    if (GST_EVENT_TYPE (event) == GST_EVENT_EOS)
      self->eos = TRUE;
    g_queue_push_tail (&self->out, item);
    g_cond_broadcast (&self->cond);
  }
  g_mutex_unlock (&self->lock);
  if (ok)
    return TRUE;
  /* Downstream took no more text; the end it still has to hear of. */
  if (ended && GST_EVENT_TYPE (event) == GST_EVENT_EOS)
    return gst_pad_event_default (self->sinkpad, GST_OBJECT_CAST (self), event);
  gst_event_unref (event);
  return FALSE;
}

/* One gap waits at most: a later one extends it. */
void
gst_tern_generator_enqueue_gap (GstTernGenerator * self, GstClockTime pts,
    GstClockTime duration)
{
  OutItem *last;

  g_mutex_lock (&self->lock);
  last = g_queue_peek_tail (&self->out);
  if (last && last->event && GST_EVENT_TYPE (last->event) == GST_EVENT_GAP) {
    GstClockTime start;

    gst_event_parse_gap (last->event, &start, NULL);
    if (start <= pts) {
      gst_event_replace (&last->event, NULL);
      last->event = gst_event_new_gap (start, pts + duration - start);
      g_mutex_unlock (&self->lock);
      return;
    }
  }
  g_mutex_unlock (&self->lock);
  gst_tern_generator_enqueue_event (self, gst_event_new_gap (pts, duration));
}

/* On the engine thread. */
void
gst_tern_generator_on_result (void *data, TernResult * result)
{
  GstTernGenerator *self = data;

  g_mutex_lock (&self->lock);
  if (self->flow == GST_FLOW_OK) {
    OutItem *item = g_new0 (OutItem, 1);

    item->result = tern_result_ref (result);
    g_queue_push_tail (&self->out, item);
    self->n_results++;
  }
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);
}

GstFlowReturn
gst_tern_generator_get_flow (GstTernGenerator * self)
{
  GstFlowReturn flow;

  g_mutex_lock (&self->lock);
  flow = self->flow;
  g_mutex_unlock (&self->lock);
  return flow;
}

/* ---- The src task ---- */

static void
start_pad (GstTernGenerator * self, GstPad * pad, const gchar * name,
    const gchar * media_type)
{
  gchar *id =
      gst_pad_create_stream_id (pad, GST_ELEMENT_CAST (self), name);
  GstEvent *event = gst_event_new_stream_start (id);
  GstCaps *caps;

  gst_event_set_stream_flags (event, GST_STREAM_FLAG_SPARSE);
  if (self->have_group_id)
    gst_event_set_group_id (event, self->group_id);
  gst_pad_push_event (pad, event);
  g_free (id);

  if (strcmp (name, "text") == 0)
    caps = gst_caps_new_simple (media_type, "format", G_TYPE_STRING, "utf8",
        NULL);
  else
    caps = gst_caps_new_empty_simple (media_type);
  gst_pad_push_event (pad, gst_event_new_caps (caps));
  gst_caps_unref (caps);
  if (self->segment_event)
    gst_pad_push_event (pad, gst_event_ref (self->segment_event));
}

GstPad *
gst_tern_generator_ref_json_pad (GstTernGenerator * self)
{
  GstPad *pad = NULL;

  GST_OBJECT_LOCK (self);
  if (self->jsonpad)
    pad = gst_object_ref (self->jsonpad);
  GST_OBJECT_UNLOCK (self);
  return pad;
}

/* Both pads have what must come before anything else. Returns the JSON pad. */
static GstPad *
start_pads (GstTernGenerator * self)
{
  GstPad *json;

  if (!self->src_started) {
    self->src_started = TRUE;
    start_pad (self, self->srcpad, "text", "text/x-raw");
  }
  json = gst_tern_generator_ref_json_pad (self);
  if (json && !self->json_started) {
    self->json_started = TRUE;
    start_pad (self, json, "json", "application/x-json");
  }
  return json;
}

static void
push_event_everywhere (GstTernGenerator * self, GstEvent * event)
{
  GstPad *json = start_pads (self);

  if (json) {
    gst_pad_push_event (json, gst_event_ref (event));
    gst_object_unref (json);
  }
  gst_pad_push_event (self->srcpad, event);
}

/* When text has the time of its arrival, JSON still has that of its window, and
 * only the gap at the start is true of both. */
static void
emit_gap (GstTernGenerator * self, GstEvent * event)
{
  GstClockTime pts, duration;
  gboolean arrival, first;
  GstPad *json;

  gst_event_parse_gap (event, &pts, &duration);
  if (!GST_CLOCK_TIME_IS_VALID (duration))
    duration = 0;
  if (GST_CLOCK_TIME_IS_VALID (self->position)
      && pts + duration < self->position) {
    gst_event_unref (event);
    return;
  }
  first = !GST_CLOCK_TIME_IS_VALID (self->position);
  self->position = pts + duration;

  arrival = gst_tern_generator_stamps_arrival (self);
  json = start_pads (self);
  if (json) {
    if (!arrival)
      gst_pad_push_event (json, gst_event_ref (event));
    else if (first)
      gst_pad_push_event (json, gst_event_new_gap (pts, 0));
    gst_object_unref (json);
  }
  gst_pad_push_event (self->srcpad, event);
}

static void
emit_event (GstTernGenerator * self, GstEvent * event)
{
  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_STREAM_START:
      self->have_group_id = gst_event_parse_group_id (event, &self->group_id);
      self->src_started = self->json_started = FALSE;
      gst_clear_event (&self->segment_event);
      gst_event_unref (event);
      return;
    case GST_EVENT_SEGMENT:{
      GstPad *json;

      /* Before the segment, so that it is sent once. */
      json = start_pads (self);
      gst_clear_object (&json);
      gst_event_copy_segment (event, &self->out_segment);
      self->position = GST_CLOCK_TIME_NONE;
      gst_event_replace (&self->segment_event, event);
      break;
    }
    case GST_EVENT_GAP:
      emit_gap (self, event);
      return;
    default:
      break;
  }
  push_event_everywhere (self, event);
}

static GstClockTime
position_of (const GstSegment * segment, guint64 stream_time)
{
  guint64 position;

  if (stream_time == TERN_TIME_NONE)
    return GST_CLOCK_TIME_NONE;
  position = gst_segment_position_from_stream_time (segment, GST_FORMAT_TIME,
      stream_time);
  return position == (guint64) - 1 ? stream_time : position;
}

/* How long windows take, for the latency: grows only. */
static void
note_compute (GstTernGenerator * self, const TernResult * result)
{
  GstClockTime now, end;
  gboolean changed = FALSE;

  now = gst_element_get_current_running_time (GST_ELEMENT_CAST (self));
  end = gst_segment_to_running_time (&self->out_segment, GST_FORMAT_TIME,
      position_of (&self->out_segment, (guint64) (result->end * TERN_SECOND)));
  if (!GST_CLOCK_TIME_IS_VALID (now) || !GST_CLOCK_TIME_IS_VALID (end)
      || now <= end)
    return;

  GST_OBJECT_LOCK (self);
  if (self->live && now - end > self->compute) {
    self->compute = (now - end) / 4 * 5;
    changed = TRUE;
  }
  GST_OBJECT_UNLOCK (self);
  if (changed) {
    GST_INFO_OBJECT (self, "a window took %" GST_TIME_FORMAT,
        GST_TIME_ARGS (now - end));
    gst_element_post_message (GST_ELEMENT_CAST (self),
        gst_message_new_latency (GST_OBJECT_CAST (self)));
  }
}

void
gst_tern_generator_post_dropped (GstTernGenerator * self,
    const GstSegment * segment, GstClockTime pts)
{
  TernSessionStats stats = { 0, };
  gboolean news = FALSE;

  g_mutex_lock (&self->session_lock);
  if (self->session)
    tern_session_stats (self->session, &stats);
  g_mutex_unlock (&self->session_lock);
  g_mutex_lock (&self->lock);
  if (stats.windows_dropped > self->dropped_seen) {
    self->dropped_seen = stats.windows_dropped;
    news = TRUE;
  }
  g_mutex_unlock (&self->lock);
  if (!news)
    return;

  GST_INFO_OBJECT (self, "%" G_GUINT64_FORMAT " windows dropped so far",
      stats.windows_dropped);
  gst_tern_post_dropped (GST_ELEMENT_CAST (self), segment, pts,
      GST_CLOCK_TIME_NONE, stats.windows_done, stats.windows_dropped);
}

static GstBuffer *
result_buffer (const gchar * text, gsize size, GstClockTime pts,
    GstClockTime duration, const GstStructure * structure)
{
  GstBuffer *buffer = size > 0 ? gst_buffer_new_memdup (text, size) :
      gst_buffer_new ();

  GST_BUFFER_PTS (buffer) = pts;
  GST_BUFFER_DURATION (buffer) = duration;
  gst_tern_buffer_set_result (buffer, structure);
  return buffer;
}

/* Every result is a buffer, with or without text: an error is none to show, and
 * its meta says what it is. */
static GstFlowReturn
push_text (GstTernGenerator * self, const TernResult * result,
    const GstStructure * structure, GstClockTime pts, GstClockTime duration)
{
  gsize size = strlen (result->result);

  if (strcmp (result->kind, "error") == 0)
    size = 0;
  if (GST_CLOCK_TIME_IS_VALID (self->position) && pts > self->position)
    gst_pad_push_event (self->srcpad, gst_event_new_gap (self->position,
            pts - self->position));
  return gst_pad_push (self->srcpad, result_buffer (result->result, size, pts,
          duration, structure));
}

static GstFlowReturn
push_json (GstPad * pad, const TernResult * result,
    const GstStructure * structure, GstClockTime pts, GstClockTime duration)
{
  gchar *json = tern_result_to_json (result);
  gchar *line = g_strconcat (json, "\n", NULL);
  GstFlowReturn flow;

  flow = gst_pad_push (pad, result_buffer (line, strlen (line), pts, duration,
          structure));
  g_free (line);
  g_free (json);
  return flow;
}

/* Nothing needs to be linked: results go to the bus as well. */
static GstFlowReturn
combine_flows (GstFlowReturn a, GstFlowReturn b)
{
  if (a == GST_FLOW_NOT_LINKED)
    a = GST_FLOW_OK;
  if (b == GST_FLOW_NOT_LINKED)
    b = GST_FLOW_OK;
  /* One that has seen enough does not end the other. */
  if (a == GST_FLOW_EOS && b != GST_FLOW_EOS)
    return b;
  if (b == GST_FLOW_EOS && a != GST_FLOW_EOS)
    return a;
  return MIN (a, b);
}

static GstFlowReturn
emit_result (GstTernGenerator * self, const TernResult * result)
{
  GstStructure *structure, *message;
  GstClockTime pts, window_pts, duration = 0;
  GstFlowReturn flow, json_flow = GST_FLOW_NOT_LINKED;
  GstPad *json;

  pts = window_pts = position_of (&self->out_segment, result->timestamp);
  if (result->end > result->start)
    duration = (result->end - result->start) * TERN_SECOND + 0.5;
  if (gst_tern_generator_stamps_arrival (self)
      && GST_CLOCK_TIME_IS_VALID (self->position))
    pts = self->position;

  message = gst_tern_result_to_structure (result, GST_TERN_RESULT_NAME);
  structure = gst_structure_copy (message);
  GST_DEBUG_OBJECT (self, "%" GST_PTR_FORMAT, structure);
  if (strcmp (result->kind, "error") == 0)
    GST_ELEMENT_WARNING (self, LIBRARY, FAILED,
        ("A window could not be answered."), ("%s", result->result));
  gst_tern_generator_signal_result (self, structure);
  gst_element_post_message (GST_ELEMENT_CAST (self),
      gst_message_new_element (GST_OBJECT_CAST (self), message));

  json = start_pads (self);
  if (json) {
    json_flow = push_json (json, result, structure, window_pts, duration);
    gst_object_unref (json);
  }
  flow = push_text (self, result, structure, pts, duration);
  if (GST_CLOCK_TIME_IS_VALID (pts)
      && (!GST_CLOCK_TIME_IS_VALID (self->position) || self->position < pts))
    self->position = pts;
  gst_structure_free (structure);
  note_compute (self, result);
  gst_tern_generator_post_dropped (self, &self->out_segment, pts);
  return combine_flows (flow, json_flow);
}

static void
task_fail (GstTernGenerator * self, GstFlowReturn flow)
{
  gboolean eos;

  g_mutex_lock (&self->lock);
  if (self->flow == GST_FLOW_OK)
    self->flow = flow;
  flow = self->flow;
  eos = self->eos;
  gst_tern_generator_clear_out (self);
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);

  if (flow == GST_FLOW_EOS && eos)
    push_event_everywhere (self, gst_event_new_eos ());
  gst_pad_pause_task (self->srcpad);
  /* After EOS upstream does not ask for the flow any more. */
  if (eos && flow < GST_FLOW_EOS)
    GST_ELEMENT_FLOW_ERROR (self, flow);
}

void
gst_tern_generator_loop (gpointer data)
{
  GstTernGenerator *self = data;
  OutItem *item = NULL;
  GstFlowReturn flow;

  g_mutex_lock (&self->lock);
  while (self->flow == GST_FLOW_OK && g_queue_is_empty (&self->out))
    g_cond_wait (&self->cond, &self->lock);
  flow = self->flow;
  if (flow == GST_FLOW_OK) {
    item = g_queue_pop_head (&self->out);
    if (item->result)
      self->n_results--;
    g_cond_broadcast (&self->cond);
  }
  g_mutex_unlock (&self->lock);

  if (item && item->result)
    flow = emit_result (self, item->result);
  else if (item)
    emit_event (self, g_steal_pointer (&item->event));
  g_clear_pointer (&item, out_item_free);
  if (flow != GST_FLOW_OK)
    task_fail (self, flow);
}

/* Text comes when its window is over and answered. */
gboolean
gst_tern_generator_src_query (GstPad * pad, GstObject * parent,
    GstQuery * query)
{
  GstTernGenerator *self = GST_TERN_GENERATOR (parent);
  GstClockTime min, max, wait;
  gboolean live;

  if (GST_QUERY_TYPE (query) != GST_QUERY_LATENCY)
    return gst_pad_query_default (pad, parent, query);
  if (!gst_pad_peer_query (self->sinkpad, query))
    return FALSE;

  gst_query_parse_latency (query, &live, &min, &max);
  wait = gst_tern_generator_window_time (self);
  GST_OBJECT_LOCK (self);
  self->live = live;
  wait += self->compute;
  GST_OBJECT_UNLOCK (self);
  if (pad == self->srcpad && gst_tern_generator_stamps_arrival (self))
    wait = 0;
  if (live) {
    min += wait;
    if (GST_CLOCK_TIME_IS_VALID (max))
      max += wait;
  } else {
    min = 0;
    max = GST_CLOCK_TIME_NONE;
  }
  gst_query_set_latency (query, live, min, max);
  return TRUE;
}

gboolean
gst_tern_generator_src_activate_mode (GstPad * pad, GstObject * parent,
    GstPadMode mode, gboolean active)
{
  GstTernGenerator *self = GST_TERN_GENERATOR (parent);

  if (mode != GST_PAD_MODE_PUSH)
    return FALSE;
  /* The JSON pad is fed by the task of the text pad. */
  if (pad != self->srcpad)
    return TRUE;
  if (active) {
    gst_segment_init (&self->out_segment, GST_FORMAT_TIME);
    gst_tern_generator_flush_stop (self);
    return gst_pad_start_task (pad, gst_tern_generator_loop, self, NULL);
  }
  gst_tern_generator_flush_start (self);
  return gst_pad_stop_task (pad);
}
