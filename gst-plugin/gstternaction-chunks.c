/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Chunks of steps, on their way out. */
#include "gstternaction-priv.h"

#include <string.h>
#include "gstternelement.h"

/* ---- The pad ---- */

static GstCaps *
make_caps (const TernActionSpace * space)
{
  GstCaps *caps = gst_caps_new_simple ("tensor/strided",
      "tensor-id", G_TYPE_STRING, "actions",
      "type", G_TYPE_STRING, "float32",
      "dims-order", G_TYPE_STRING, "row-major",
      "rate", GST_TYPE_FRACTION, (gint) space->rate_n, (gint) space->rate_d,
      "action-space", G_TYPE_STRING, space->name, NULL);
  const gint sizes[] = { (gint) space->steps, (gint) space->dims };
  GValue dims = G_VALUE_INIT;
  guint i;

  gst_value_array_init (&dims, 2);
  for (i = 0; i < 2; i++) {
    GValue value = G_VALUE_INIT;

    g_value_init (&value, G_TYPE_INT);
    g_value_set_int (&value, sizes[i]);
    gst_value_array_append_and_take_value (&dims, &value);
  }
  gst_caps_set_value (caps, "dims", &dims);
  g_value_unset (&dims);
  return caps;
}

/* The pad, with what must come before anything else, once; NULL: there is
 * none. */
static GstPad *
ref_started_pad (GstTernAction * self)
{
  GstTernGenerator *generator = self->generator;
  GstCaps *caps = NULL;
  GstPad *pad = NULL;
  GstEvent *event;
  gchar *id;

  g_mutex_lock (&self->lock);
  if (self->srcpad && self->model) {
    pad = gst_object_ref (self->srcpad);
    if (!self->started)
      caps = make_caps (gst_tern_action_space (self));
    self->started = TRUE;
  }
  g_mutex_unlock (&self->lock);
  if (!caps)
    return pad;

  id = gst_tern_generator_make_stream_id (generator, "action");
  event = gst_event_new_stream_start (id);
  gst_event_set_stream_flags (event, GST_STREAM_FLAG_SPARSE);
  if (generator->have_group_id)
    gst_event_set_group_id (event, generator->group_id);
  gst_pad_push_event (pad, event);
  gst_pad_push_event (pad, gst_event_new_caps (caps));
  if (generator->segment_event)
    gst_pad_push_event (pad, gst_event_ref (generator->segment_event));
  gst_caps_unref (caps);
  g_free (id);
  return pad;
}

void
gst_tern_action_restart_pad (GstTernAction * self)
{
  g_mutex_lock (&self->lock);
  self->started = FALSE;
  g_mutex_unlock (&self->lock);
}

void
gst_tern_action_push_event (GstTernAction * self, GstEvent * event)
{
  GstPad *pad = NULL;

  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_FLUSH_START:
    case GST_EVENT_FLUSH_STOP:
      g_mutex_lock (&self->lock);
      if (self->srcpad)
        pad = gst_object_ref (self->srcpad);
      g_mutex_unlock (&self->lock);
      break;
    case GST_EVENT_SEGMENT:
      gst_tern_chunks_restart (&self->chunks);
      /* fall through */
    default:
      pad = ref_started_pad (self);
      break;
  }
  if (!pad)
    return;
  gst_pad_push_event (pad, gst_event_ref (event));
  gst_object_unref (pad);
}

void
gst_tern_action_push_start (GstTernAction * self, GstClockTime time)
{
  GstPad *pad = ref_started_pad (self);

  if (!pad)
    return;
  gst_pad_push_event (pad, gst_event_new_gap (time, 0));
  gst_object_unref (pad);
}

GstPad *
gst_tern_action_new_src_pad (GstTernAction * self, GstPadTemplate * template)
{
  GstPad *pad = gst_pad_new_from_template (template, "action_src");

  gst_pad_use_fixed_caps (pad);
  gst_pad_set_query_function (pad, gst_tern_generator_src_query);
  gst_pad_set_event_function (pad, gst_tern_generator_src_event);
  return pad;
}

/* ---- Chunks ---- */

/* In stream time as PTS are; NONE: nobody waits. */
static GstClockTime
now (GstTernAction * self)
{
  GstTernGenerator *generator = self->generator;
  GstClockTime running;
  guint64 position;
  gboolean live;

  GST_OBJECT_LOCK (generator);
  live = generator->live;
  GST_OBJECT_UNLOCK (generator);
  if (!live || generator->out_segment.format != GST_FORMAT_TIME)
    return GST_CLOCK_TIME_NONE;
  running = gst_element_get_current_running_time (GST_ELEMENT_CAST (generator));
  if (!GST_CLOCK_TIME_IS_VALID (running)
      || gst_segment_position_from_running_time_full (&generator->out_segment,
          GST_FORMAT_TIME, running, &position) <= 0)
    return GST_CLOCK_TIME_NONE;
  return position;
}

static GstBuffer *
make_buffer (const GstTernAction * self, const GstTernChunkInfo * info,
    const GstStructure * structure)
{
  gsize size = (gsize) self->chunks.steps * self->chunks.dims * sizeof (gfloat);
  GstBuffer *buffer = gst_buffer_new_memdup (self->out, size);

  GST_BUFFER_PTS (buffer) = info->pts;
  GST_BUFFER_DURATION (buffer) = info->duration;
  GST_BUFFER_OFFSET (buffer) = info->first;
  GST_BUFFER_OFFSET_END (buffer) = info->first + info->frozen;
  gst_tern_buffer_set_result (buffer, structure);
  return buffer;
}

/* With the lock: whether the result is a chunk for us. */
static gboolean
is_chunk (GstTernAction * self, const TernResult * result)
{
  const TernActionSpace *space = gst_tern_action_space (self);

  if (!space)
    return FALSE;
  self->failed = strcmp (result->kind, "error") == 0;
  self->undecided += self->failed;
  return strcmp (result->kind, "action") == 0 && result->actions
      && result->n_actions == space->steps * space->dims;
}

gboolean
gst_tern_action_is_news (GstTernAction * self)
{
  gboolean news;

  g_mutex_lock (&self->lock);
  news = !self->model || !self->failed;
  g_mutex_unlock (&self->lock);
  return news;
}

/* A late one is never sent. */
static void
post_late (GstTernAction * self, const TernResult * result)
{
  guint64 sent, late;

  g_mutex_lock (&self->lock);
  sent = self->sent;
  late = self->late;
  g_mutex_unlock (&self->lock);
  GST_INFO_OBJECT (self->generator, "the chunk for %" GST_TIME_FORMAT
      " is late, %" G_GUINT64_FORMAT " so far",
      GST_TIME_ARGS (result->timestamp), late);
  gst_tern_post_dropped (GST_ELEMENT_CAST (self->generator),
      &self->generator->out_segment, &(GstTernDropped) {
          GST_TERN_DROPPED_LATE, TRUE, result->timestamp,
          gst_tern_chunks_duration (&self->chunks, self->chunks.steps), sent,
          late });
}

GstFlowReturn
gst_tern_action_push_result (GstTernAction * self, const TernResult * result,
    const GstStructure * structure)
{
  GstFlowReturn flow = GST_FLOW_OK;
  GstBuffer *buffer = NULL;
  gboolean late = FALSE;
  GstPad *pad = ref_started_pad (self);
  GstTernChunkInfo info;

  gst_tern_action_decide_again (self);
  g_mutex_lock (&self->lock);
  if (is_chunk (self, result)) {
    late = gst_tern_chunks_add (&self->chunks, result->timestamp, now (self),
        self->deadline, self->overlap, result->actions, self->out,
        &info) == GST_TERN_CHUNK_LATE;
    if (late) {
      self->late++;
    } else {
      self->sent++;
      self->missed += info.missed;
      buffer = make_buffer (self, &info, structure);
    }
  }
  g_mutex_unlock (&self->lock);

  if (late)
    post_late (self, result);
  if (buffer && pad)
    flow = gst_pad_push (pad, g_steal_pointer (&buffer));
  gst_clear_buffer (&buffer);
  gst_clear_object (&pad);
  return flow;
}
