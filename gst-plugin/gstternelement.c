/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstternelement.h"

#define MOST_CORRECTED GST_SECOND       /* by which a stream began earlier */

gboolean
gst_tern_refuse_property (GstElement * element, GParamSpec * pspec,
    const GValue * value)
{
  GValue now = G_VALUE_INIT;
  gboolean runs, same;

  GST_OBJECT_LOCK (element);
  runs = GST_STATE (element) > GST_STATE_READY
      || GST_STATE_NEXT (element) > GST_STATE_READY;
  GST_OBJECT_UNLOCK (element);
  if (!runs || !(pspec->flags & GST_PARAM_MUTABLE_READY))
    return FALSE;

  g_value_init (&now, pspec->value_type);
  g_object_get_property (G_OBJECT (element), pspec->name, &now);
  same = g_param_values_cmp (pspec, &now, value) == 0;
  if (!same) {
    gchar *wanted = gst_value_serialize (value);

    GST_ELEMENT_WARNING (element, RESOURCE, SETTINGS,
        ("A setting that is fixed while the element runs was not changed."),
        ("%s: expected to be set in NULL or READY, found %s in %s",
            pspec->name, wanted ? wanted : "a value",
            gst_element_state_get_name (GST_STATE (element))));
    g_free (wanted);
  }
  g_value_unset (&now);
  return TRUE;
}

void
gst_tern_install_model_path (GObjectClass * klass, guint id)
{
  g_object_class_install_property (klass, id,
      g_param_spec_string ("model-path", "Model path",
          "GGUF file of the language model, or a folder with one (default: "
          "TERN_MODEL_PATH, then the bundled model)", NULL,
          GST_TERN_PARAM_READY));
}

void
gst_tern_install_threads (GObjectClass * klass, guint id)
{
  g_object_class_install_property (klass, id,
      g_param_spec_uint ("threads", "Threads",
          "Threads that work on the model (0 = one for each core)", 0,
          TERN_THREADS_MAX, 0, GST_TERN_PARAM_READY));
}

void
gst_tern_install_float_activations (GObjectClass * klass, guint id)
{
  g_object_class_install_property (klass, id,
      g_param_spec_boolean ("float-activations", "Float activations",
          "Compute on floats instead of int8 and bf16 (slower; for comparison)",
          FALSE, GST_TERN_PARAM_READY));
}

guint
gst_tern_new_result_signal (GType type)
{
  return g_signal_new ("result", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
      G_TYPE_NONE, 1, GST_TYPE_STRUCTURE | G_SIGNAL_TYPE_STATIC_SCOPE);
}

guint
gst_tern_new_cancel_signal (GType type, GCallback cancel)
{
  return g_signal_new_class_handler ("cancel", type,
      G_SIGNAL_RUN_LAST | G_SIGNAL_ACTION, cancel, NULL, NULL, NULL,
      G_TYPE_NONE, 0);
}

guint
gst_tern_new_ask_signal (GType type, GCallback ask)
{
  return g_signal_new_class_handler ("ask", type,
      G_SIGNAL_RUN_LAST | G_SIGNAL_ACTION, ask, NULL, NULL, NULL,
      G_TYPE_UINT64, 1, GST_TYPE_STRUCTURE | G_SIGNAL_TYPE_STATIC_SCOPE);
}

guint
gst_tern_new_trigger_signal (GType type, GCallback trigger)
{
  return g_signal_new_class_handler ("trigger", type,
      G_SIGNAL_RUN_LAST | G_SIGNAL_ACTION, trigger, NULL, NULL, NULL,
      G_TYPE_NONE, 0);
}

guint
gst_tern_pool_limit (GstBufferPool * pool)
{
  GstStructure *config;
  guint max = 0;

  if (!pool)
    return 0;
  config = gst_buffer_pool_get_config (pool);
  gst_buffer_pool_config_get_params (config, NULL, NULL, NULL, &max);
  gst_structure_free (config);
  return max;
}

GstEvent *
gst_tern_event_new_drain (void)
{
  return gst_event_new_custom (GST_EVENT_CUSTOM_DOWNSTREAM,
      gst_structure_new_empty (GST_TERN_EVENT_DRAIN));
}

GstEvent *
gst_tern_event_new_trigger (void)
{
  return gst_event_new_custom (GST_EVENT_CUSTOM_DOWNSTREAM,
      gst_structure_new_empty (GST_TERN_EVENT_TRIGGER));
}

/* With the object lock. */
static guint
find_heard (const GstTernHeard * self, guint32 seqnum)
{
  guint i = 0;

  while (i < G_N_ELEMENTS (self->events) && self->events[i].seqnum != seqnum)
    i++;
  return i;
}

gboolean
gst_tern_heard_before (GstTernHeard * self, GstElement * element,
    GstEvent * event, gboolean * taken)
{
  guint32 seqnum = gst_event_get_seqnum (event);
  gboolean before;
  guint i;

  GST_OBJECT_LOCK (element);
  i = find_heard (self, seqnum);
  before = i < G_N_ELEMENTS (self->events);
  if (!before) {
    i = self->next++ % G_N_ELEMENTS (self->events);
    self->events[i].seqnum = seqnum;
    self->events[i].taken = TRUE;
  }
  *taken = self->events[i].taken;
  GST_OBJECT_UNLOCK (element);
  return before;
}

void
gst_tern_heard_refused (GstTernHeard * self, GstElement * element,
    GstEvent * event)
{
  guint i;

  GST_OBJECT_LOCK (element);
  i = find_heard (self, gst_event_get_seqnum (event));
  if (i < G_N_ELEMENTS (self->events))
    self->events[i].taken = FALSE;
  GST_OBJECT_UNLOCK (element);
}

GstEvent *
gst_tern_event_new_preview (GstBuffer * buffer, guint64 number)
{
  return gst_event_new_custom (GST_EVENT_CUSTOM_DOWNSTREAM,
      gst_structure_new (GST_TERN_EVENT_PREVIEW,
          "buffer", GST_TYPE_BUFFER, buffer,
          "number", G_TYPE_UINT64, number, NULL));
}

gboolean
gst_tern_event_parse_preview (GstEvent * event, GstBuffer ** buffer,
    guint64 * number)
{
  const GstStructure *s = gst_event_get_structure (event);
  const GValue *value = gst_structure_get_value (s, "buffer");

  if (!value || !GST_VALUE_HOLDS_BUFFER (value))
    return FALSE;
  *buffer = gst_value_get_buffer (value);
  return *buffer && gst_structure_get_uint64 (s, "number", number);
}

static gboolean
is_query (GstQuery * query, const gchar * name)
{
  const GstStructure *structure;

  if (GST_QUERY_TYPE (query) != GST_QUERY_CUSTOM)
    return FALSE;
  structure = gst_query_get_structure (query);
  return structure && gst_structure_has_name (structure, name);
}

gboolean
gst_tern_query_trigger (GstPad * sinkpad)
{
  GstQuery *query = gst_query_new_custom (GST_QUERY_CUSTOM,
      gst_structure_new_empty (GST_TERN_QUERY_TRIGGER));
  gboolean taken;

  gst_pad_peer_query (sinkpad, query);
  taken = gst_structure_has_field (gst_query_get_structure (query), "taken");
  gst_query_unref (query);
  return taken;
}

gboolean
gst_tern_take_trigger_query (GstQuery * query)
{
  if (!is_query (query, GST_TERN_QUERY_TRIGGER))
    return FALSE;
  gst_structure_set (gst_query_writable_structure (query), "taken",
      G_TYPE_BOOLEAN, TRUE, NULL);
  return TRUE;
}

gboolean
gst_tern_query_held (GstPad * sinkpad, guint64 * latency)
{
  GstQuery *query = gst_query_new_custom (GST_QUERY_CUSTOM,
      gst_structure_new_empty (GST_TERN_QUERY_HELD));
  gboolean ok;

  gst_pad_peer_query (sinkpad, query);
  ok = gst_structure_get_uint64 (gst_query_get_structure (query), "latency",
      latency);
  gst_query_unref (query);
  return ok;
}

gboolean
gst_tern_is_held_query (GstQuery * query)
{
  return is_query (query, GST_TERN_QUERY_HELD);
}

gboolean
gst_tern_query_windows (GstPad * srcpad, guint64 * window, guint64 * hop)
{
  GstQuery *query = gst_query_new_custom (GST_QUERY_CUSTOM,
      gst_structure_new_empty (GST_TERN_QUERY_WINDOWS));
  const GstStructure *s;
  gboolean ok;

  gst_pad_peer_query (srcpad, query);
  s = gst_query_get_structure (query);
  ok = gst_structure_get_uint64 (s, "window", window)
      && gst_structure_get_uint64 (s, "hop", hop);
  gst_query_unref (query);
  return ok;
}

gboolean
gst_tern_is_windows_query (GstQuery * query)
{
  return is_query (query, GST_TERN_QUERY_WINDOWS);
}

gboolean
gst_tern_query_work (GstPad * sinkpad)
{
  GstQuery *query = gst_query_new_custom (GST_QUERY_CUSTOM,
      gst_structure_new_empty (GST_TERN_QUERY_WORK));
  gboolean busy = FALSE;

  if (gst_pad_peer_query (sinkpad, query))
    gst_structure_get_boolean (gst_query_get_structure (query), "busy", &busy);
  gst_query_unref (query);
  return busy;
}

gboolean
gst_tern_is_work_query (GstQuery * query)
{
  return is_query (query, GST_TERN_QUERY_WORK);
}

void
gst_tern_answer_work_query (GstQuery * query, gboolean busy)
{
  if (busy)
    gst_structure_set (gst_query_writable_structure (query), "busy",
        G_TYPE_BOOLEAN, TRUE, NULL);
}

GstFlowReturn
gst_tern_event_flow (GstPad * srcpad)
{
  GstPad *peer;
  GstFlowReturn flow = GST_FLOW_ERROR;

  if (GST_PAD_IS_FLUSHING (srcpad))
    return GST_FLOW_FLUSHING;
  if (GST_PAD_IS_EOS (srcpad))
    return GST_FLOW_EOS;
  peer = gst_pad_get_peer (srcpad);
  if (!peer)
    return GST_FLOW_NOT_LINKED;
  if (GST_PAD_IS_FLUSHING (peer))
    flow = GST_FLOW_FLUSHING;
  gst_object_unref (peer);
  return flow;
}

static gboolean
push_own_caps (GstPad * srcpad, GstEvent * event)
{
  GstCaps *caps = gst_pad_get_pad_template_caps (srcpad);
  gboolean ok = gst_pad_push_event (srcpad, gst_event_new_caps (caps));

  gst_caps_unref (caps);
  gst_event_unref (event);
  return ok;
}

/* An event that comes while everything stops is no error. */
GstFlowReturn
gst_tern_format_event (GstPad * pad, GstObject * parent, GstPad * srcpad,
    GstEvent * event)
{
  gboolean caps = GST_EVENT_TYPE (event) == GST_EVENT_CAPS;
  GstFlowReturn flow;

  if (caps ? push_own_caps (srcpad, event) : gst_pad_event_default (pad, parent,
          event))
    return GST_FLOW_OK;
  flow = gst_tern_event_flow (srcpad);
  return caps && flow == GST_FLOW_ERROR ? GST_FLOW_NOT_NEGOTIATED : flow;
}

GstFlowReturn
gst_tern_format_results (GstElement * element, GstPad * srcpad,
    GstBuffer * buffer, GstTernFormatFunc make)
{
  GstFlowReturn flow = GST_FLOW_OK;
  const GstStructure *result;
  gboolean nothing = TRUE;
  gpointer state = NULL;
  GstBuffer *out;

  while (flow == GST_FLOW_OK
      && (result = gst_tern_buffer_next_result (buffer, &state))) {
    out = make (element, result);
    if (!out)
      continue;
    GST_BUFFER_PTS (out) = GST_BUFFER_PTS (buffer);
    GST_BUFFER_DURATION (out) = GST_BUFFER_DURATION (buffer);
    gst_tern_buffer_set_result (out, result);
    flow = gst_pad_push (srcpad, out);
    nothing = FALSE;
  }
  if (nothing && GST_BUFFER_PTS_IS_VALID (buffer))
    gst_pad_push_event (srcpad, gst_event_new_gap (GST_BUFFER_PTS (buffer),
            GST_BUFFER_DURATION (buffer)));
  gst_buffer_unref (buffer);
  return flow;
}

GstIterator *
gst_tern_iterate_one_pad (GstPad * other)
{
  GValue value = G_VALUE_INIT;
  GstIterator *it;

  g_value_init (&value, GST_TYPE_PAD);
  g_value_set_object (&value, other);
  it = gst_iterator_new_single (GST_TYPE_PAD, &value);
  g_value_unset (&value);
  return it;
}

gboolean
gst_tern_take_time_segment (GstElement * element, GstEvent * event,
    const gchar * text, GstSegment * segment)
{
  const GstSegment *found;

  gst_event_parse_segment (event, &found);
  if (found->format != GST_FORMAT_TIME) {
    GST_ELEMENT_ERROR (element, STREAM, FORMAT, ("%s", text),
        ("expected a segment in time, found %s",
            gst_format_get_name (found->format)));
    return FALSE;
  }
  gst_segment_copy_into (found, segment);
  return TRUE;
}

gboolean
gst_tern_shapes_part (const GstTernShape * a, const GstTernShape * b)
{
  return a->width > 0 && (a->width != b->width || a->height != b->height
      || a->par_n != b->par_n || a->par_d != b->par_d);
}

void
gst_tern_seen_init (GstTernSeen * seen)
{
  seen->pts = seen->stands = GST_CLOCK_TIME_NONE;
  seen->stated = 0;
  seen->kept = FALSE;
}

/* Where nothing is said it stands for as long as the one before. Pictures of a
 * slide show are said to stand for a moment in some containers: when that was
 * wrong of the one before, it is of this one; but where frames did stand as
 * long as was said, there was a pause. */
void
gst_tern_seen_frame (GstTernSeen * seen, GstBuffer * buffer, GstClockTime tick)
{
  GstClockTime pts = GST_BUFFER_PTS (buffer), since = 0, stated, stands;

  stated = stands = GST_BUFFER_DURATION_IS_VALID (buffer) ?
      GST_BUFFER_DURATION (buffer) : 0;
  if (GST_CLOCK_TIME_IS_VALID (seen->pts) && pts > seen->pts)
    since = pts - seen->pts;
  if (since > 0 && since <= 2 * seen->stated)
    seen->kept = TRUE;
  if (stated == 0 || (!seen->kept && seen->stated > 0
          && since > seen->stated + tick))
    stands = MAX (stands, since);
  seen->pts = pts;
  seen->stated = stated;
  seen->stands = stands > 0 ? stands : GST_CLOCK_TIME_NONE;
}

gboolean
gst_tern_corrects_segment (GstEvent * event, const GstSegment * before)
{
  const GstSegment *now;

  if (GST_EVENT_TYPE (event) != GST_EVENT_SEGMENT)
    return FALSE;
  gst_event_parse_segment (event, &now);
  return now->format == GST_FORMAT_TIME && before->format == now->format
      && now->rate > 0.0 && now->rate == before->rate
      && now->applied_rate == before->applied_rate
      && now->base == before->base && now->offset == before->offset
      && now->time == before->time && now->stop == before->stop
      && now->start < before->start
      && before->start - now->start < MOST_CORRECTED;
}

gboolean
gst_tern_ends_stretch (GstEvent * event, const GstSegment * before)
{
  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_SEGMENT:
      return !gst_tern_corrects_segment (event, before);
    case GST_EVENT_EOS:
    case GST_EVENT_SEGMENT_DONE:
    case GST_EVENT_STREAM_START:
      return TRUE;
    default:
      return FALSE;
  }
}

gboolean
gst_tern_outlives_flush (GstMiniObject * item)
{
  return GST_IS_EVENT (item) && GST_EVENT_IS_STICKY (item)
      && GST_EVENT_TYPE (item) != GST_EVENT_SEGMENT
      && GST_EVENT_TYPE (item) != GST_EVENT_EOS;
}

gboolean
gst_tern_take_token_caps (GstElement * element, const GstCaps * caps,
    GstTernTokenInfo * info)
{
  if (gst_tern_token_info_from_caps (info, caps))
    return TRUE;
  GST_ELEMENT_ERROR (element, CORE, NEGOTIATION,
      ("These are not visual tokens."),
      ("expected embedding-dim and encoder-id in %" GST_PTR_FORMAT, caps));
  return FALSE;
}

void
gst_tern_post_dropped (GstElement * element, const GstSegment * segment,
    const GstTernDropped * dropped)
{
  GstMessage *message = gst_message_new_qos (GST_OBJECT_CAST (element),
      dropped->live,
      gst_segment_to_running_time (segment, GST_FORMAT_TIME, dropped->pts),
      gst_segment_to_stream_time (segment, GST_FORMAT_TIME, dropped->pts),
      dropped->pts, dropped->duration);

  gst_message_set_qos_stats (message, GST_FORMAT_BUFFERS, dropped->done,
      dropped->dropped);
  /* Nobody else has the message yet, so that its fields may be written. */
  gst_structure_set ((GstStructure *) gst_message_get_structure (message),
      "reason", G_TYPE_STRING, dropped->reason, NULL);
  gst_element_post_message (element, message);
}
