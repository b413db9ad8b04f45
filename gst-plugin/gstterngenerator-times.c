/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Times. Tokens come with the timestamps of their segment. Text and JSON leave
 * with stream time as their timestamps, in a segment of their own: subtitle
 * encoders write a buffer's PTS as it is, and know nothing of segments. Running
 * time is the same on both sides, and all that the element itself counts in is
 * stream time: PTS, durations, what is decided. */
#include "gstterngenerator-priv.h"

#include "gstternelement.h"

GstClockTime
gst_tern_generator_stream_time (const GstSegment * segment, GstClockTime pts)
{
  guint64 time = pts;
  gint sign;

  sign = gst_segment_to_stream_time_full (segment, GST_FORMAT_TIME, pts, &time);
  if (sign == 0)
    return pts;
  return sign > 0 ? time : 0;
}

GstClockTime
gst_tern_generator_stream_duration (const GstSegment * segment,
    GstClockTime duration)
{
  gdouble rate = ABS (segment->applied_rate);

  if (!GST_CLOCK_TIME_IS_VALID (duration) || rate == 1.0)
    return duration;
  return (GstClockTime) (duration * rate + 0.5);
}

/* A rate that was applied to the timestamps is still to be applied to ours. */
static void
text_segment (const GstSegment * tokens, GstSegment * text)
{
  GstClockTime start = tokens->start, stop = tokens->stop;

  gst_segment_copy_into (tokens, text);
  start = gst_tern_generator_stream_time (tokens, start);
  if (GST_CLOCK_TIME_IS_VALID (stop))
    stop = gst_tern_generator_stream_time (tokens, stop);
  text->position = gst_tern_generator_stream_time (tokens, tokens->position);
  /* Backwards in time from an end that is not known: nothing to count from. */
  if (tokens->applied_rate < 0.0 && !GST_CLOCK_TIME_IS_VALID (tokens->stop))
    return;
  text->rate = tokens->rate * tokens->applied_rate;
  text->applied_rate = 1.0;
  text->offset = gst_tern_generator_stream_duration (tokens, tokens->offset);
  if (tokens->applied_rate < 0.0) {
    text->start = stop;
    text->stop = start;
  } else {
    text->start = start;
    text->stop = stop;
  }
  text->time = text->start;
}

GstEvent *
gst_tern_generator_text_segment_event (GstEvent * event)
{
  const GstSegment *tokens;
  GstSegment text;
  GstEvent *ours;

  gst_event_parse_segment (event, &tokens);
  text_segment (tokens, &text);
  ours = gst_event_new_segment (&text);
  gst_event_set_seqnum (ours, gst_event_get_seqnum (event));
  gst_event_set_running_time_offset (ours,
      gst_event_get_running_time_offset (event));
  return ours;
}

/* ---- Progress of the video ---- */

/* GST_TERN_EVENT_PROGRESS: @left of a frame that leaves, otherwise of one that
 * was seen. On the thread of whoever sends it. */
void
gst_tern_generator_note_progress (GstTernGenerator * self, GstEvent * event,
    gboolean left)
{
  const GstStructure *s = gst_event_get_structure (event);
  GstClockTime end;

  if (!gst_structure_get_uint64 (s, "end", &end)
      && !gst_structure_get_uint64 (s, "running-time", &end))
    return;
  /* Text may still come about what was only seen, unless it has the time at
   * which it comes. What leaves can be waited for by nobody. */
  if (!GST_CLOCK_TIME_IS_VALID (end) || (!left
          && !gst_tern_generator_stamps_arrival (self)))
    return;

  g_mutex_lock (&self->task.lock);
  if (self->task.flow == GST_FLOW_OK && !self->task.eos
      && (!GST_CLOCK_TIME_IS_VALID (self->progress) || self->progress < end)) {
    self->progress = end;
    g_cond_broadcast (&self->task.cond);
  }
  g_mutex_unlock (&self->task.lock);
}

/* ---- Windows ---- */

/* terncompressor asks which there are. */
gboolean
gst_tern_generator_sink_query (GstPad * pad, GstObject * parent,
    GstQuery * query)
{
  GstTernGenerator *self = GST_TERN_GENERATOR (parent);

  if (!gst_tern_is_windows_query (query))
    return gst_pad_query_default (pad, parent, query);
  GST_OBJECT_LOCK (self);
  gst_structure_set (gst_query_writable_structure (query),
      "window", G_TYPE_UINT64, (guint64) self->params.window,
      "hop", G_TYPE_UINT64, (guint64) self->params.hop, NULL);
  GST_OBJECT_UNLOCK (self);
  return TRUE;
}

/* ---- Latency ---- */

/* Of video that text is about; FALSE when it is not live, and takes none. */
static gboolean
query_upstream (GstTernGenerator * self, GstQuery * query)
{
  gboolean live, changed;

  /* Groups of tokens that are held lie within the window. */
  gst_structure_set (gst_query_writable_structure (query),
      GST_TERN_QUERY_TEXT, G_TYPE_BOOLEAN, TRUE, NULL);
  if (!gst_pad_peer_query (self->sinkpad, query))
    return FALSE;
  gst_structure_remove_field (gst_query_writable_structure (query),
      GST_TERN_QUERY_TEXT);
  gst_query_parse_latency (query, &live, NULL, NULL);
  GST_OBJECT_LOCK (self);
  changed = self->live != live;
  self->live = live;
  GST_OBJECT_UNLOCK (self);
  if (changed)
    GST_DEBUG_OBJECT (self, "upstream is %slive", live ? "" : "not ");
  return TRUE;
}

/* From a frame of a live source to the answer about its window. */
static GstClockTime
answer_time (GstTernGenerator * self)
{
  GstClockTime latency;

  GST_OBJECT_LOCK (self);
  latency = self->latency;
  GST_OBJECT_UNLOCK (self);
  return MIN (latency + gst_tern_generator_window_time (self), G_MAXINT64);
}

/* Frames wait for their result, whatever time text has. */
gboolean
gst_tern_generator_answer_held (GstTernGenerator * self, GstQuery * query)
{
  GstQuery *latency = gst_query_new_latency ();
  GstClockTime min;
  gboolean live;

  if (query_upstream (self, latency)) {
    gst_query_parse_latency (latency, &live, &min, NULL);
    if (live)
      gst_structure_set (gst_query_writable_structure (query), "latency",
          G_TYPE_UINT64, (guint64) (min + answer_time (self)), NULL);
  }
  gst_query_unref (latency);
  return TRUE;
}

/* Behind a live source text with the time of its window comes when the window
 * is over and answered. What has the time of its arrival is never late, and
 * JSON is not waited for: it is about the past. */
gboolean
gst_tern_generator_query_latency (GstTernGenerator * self, GstPad * pad,
    GstQuery * query)
{
  GstClockTime min, max, wait;
  gboolean live;

  if (!query_upstream (self, query))
    return FALSE;
  gst_query_parse_latency (query, &live, &min, &max);
  if (!live) {
    gst_query_set_latency (query, FALSE, 0, GST_CLOCK_TIME_NONE);
    return TRUE;
  }
  if (pad != self->srcpad || gst_tern_generator_stamps_arrival (self))
    return TRUE;
  wait = answer_time (self);
  min += wait;
  if (GST_CLOCK_TIME_IS_VALID (max))
    max += wait;
  gst_query_set_latency (query, TRUE, min, max);
  return TRUE;
}

/* Text that comes later than was promised is late at its sink. */
void
gst_tern_generator_check_latency (GstTernGenerator * self,
    const TernResult * result)
{
  GstClockTime now, end, latency, took;
  gboolean live, say = FALSE;

  now = gst_element_get_current_running_time (GST_ELEMENT_CAST (self));
  end = gst_segment_to_running_time (&self->out_segment, GST_FORMAT_TIME,
      result->timestamp + result->duration);
  GST_OBJECT_LOCK (self);
  live = self->live;
  latency = self->latency;
  GST_OBJECT_UNLOCK (self);
  if (!live || !GST_CLOCK_TIME_IS_VALID (now) || !GST_CLOCK_TIME_IS_VALID (end))
    return;

  took = now > end ? now - end : 0;
  g_mutex_lock (&self->task.lock);
  self->last_latency = took;
  if (took > latency && !self->latency_said) {
    say = !gst_tern_generator_stamps_arrival (self);
    self->latency_said |= say;
  }
  g_mutex_unlock (&self->task.lock);
  if (say)
    GST_ELEMENT_WARNING (self, STREAM, FAILED,
        ("Answers take longer than the property latency says."),
        ("expected an answer within %" GST_TIME_FORMAT " of its window's end, "
            "found one after %" GST_TIME_FORMAT ": text is late at its sink",
            GST_TIME_ARGS (latency), GST_TIME_ARGS (took)));
}
