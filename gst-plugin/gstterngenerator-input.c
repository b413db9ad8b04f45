/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What comes in: caps, segments, flushes, and tokens on their way into the
 * session. */
#include "gstterngenerator-priv.h"

#include <string.h>
#include "gstternelement.h"
#include "gstternerror.h"

#define QUEUE_RESULTS 16        /* wait for downstream, when not leaky */

/* Downstream is slower than the model: upstream waits, too. */
static GstFlowReturn
wait_for_downstream (GstTernGenerator * self)
{
  GstFlowReturn flow;

  g_mutex_lock (&self->task.lock);
  while (self->task.flow == GST_FLOW_OK
      && gst_tern_generator_count_results (self) >= QUEUE_RESULTS)
    g_cond_wait (&self->task.cond, &self->task.lock);
  flow = self->task.flow;
  g_mutex_unlock (&self->task.lock);
  return flow;
}

static GstFlowReturn
push_tokens (GstTernGenerator * self, TernTokens * tokens)
{
  GstFlowReturn flow = GST_FLOW_OK;
  GError *error = NULL;

  if (!self->session_leaky)
    flow = wait_for_downstream (self);
  while (flow == GST_FLOW_OK
      && !tern_session_push_tokens (self->session, tokens, &error)) {
    if (g_error_matches (error, TERN_ERROR, TERN_ERROR_INVALID)) {
      /* No setting has to do with it. */
      GST_ELEMENT_ERROR (self, STREAM, WRONG_TYPE,
          ("The visual tokens are damaged."), ("%s", error->message));
      flow = GST_FLOW_ERROR;
    } else if (!g_error_matches (error, TERN_ERROR, TERN_ERROR_BUSY)) {
      gst_tern_post_error (self, error);
      flow = GST_FLOW_ERROR;
    } else {
      /* A flush makes room, too. */
      tern_session_wait (self->session, -1);
      flow = gst_tern_task_get_flow (&self->task);
    }
    g_clear_error (&error);
  }
  return flow;
}

/* Tokens' times are timestamps, the session's stream times. */
static void
convert_times (GstTernGenerator * self, TernTokens * tokens)
{
  tokens->pts = gst_tern_generator_stream_time (&self->segment, tokens->pts);
  tokens->late = gst_tern_generator_stream_duration (&self->segment,
      tokens->late);
  tokens->duration = gst_tern_generator_stream_duration (&self->segment,
      tokens->duration);
  tokens->after = gst_tern_generator_stream_duration (&self->segment,
      tokens->after);
}

/* The first frame lets sinks preroll and muxers start: at @late before @pts,
 * where its window begins and text may. When text is stamped with the time of
 * its arrival, none comes before what was seen. */
static void
note_frame (GstTernGenerator * self, GstClockTime pts, GstClockTime duration,
    guint64 late)
{
  GstClockTime end = gst_tern_generator_stream_time (&self->segment, pts);

  if (GST_CLOCK_TIME_IS_VALID (duration))
    end += gst_tern_generator_stream_duration (&self->segment, duration);
  if (!GST_CLOCK_TIME_IS_VALID (self->last_end))
    gst_tern_generator_enqueue_start (self,
        gst_tern_generator_stream_time (&self->segment,
            pts - MIN (late, pts)));
  if (gst_tern_generator_stamps_arrival (self))
    gst_tern_generator_enqueue_gap (self, end);
  self->last_end = end;
}

GstFlowReturn
gst_tern_generator_chain (GstPad * pad, GstObject * parent, GstBuffer * buffer)
{
  GstTernGenerator *self = GST_TERN_GENERATOR (parent);
  GstClockTime pts = GST_BUFFER_PTS (buffer);
  GError *error = NULL;
  GstFlowReturn flow;

  if (!self->session) {
    gst_buffer_unref (buffer);
    flow = gst_tern_task_get_flow (&self->task);
    return flow == GST_FLOW_OK ? GST_FLOW_NOT_NEGOTIATED : flow;
  }
  if (!GST_CLOCK_TIME_IS_VALID (pts)) {
    gst_buffer_unref (buffer);
    GST_ELEMENT_ERROR (self, STREAM, FAILED,
        ("Visual tokens without timestamps cannot be captioned."),
        ("expected a PTS on every buffer, found none"));
    return GST_FLOW_ERROR;
  }

  gst_tern_generator_update_params (self);
  gst_tern_generator_take_trigger (self);
  if (!gst_tern_token_map (&self->map, buffer, &self->info, self->count,
          &error)) {
    gst_tern_post_error_as (self, error, "The visual tokens are damaged.");
    g_clear_error (&error);
    gst_buffer_unref (buffer);
    return GST_FLOW_ERROR;
  }

  note_frame (self, pts, GST_BUFFER_DURATION (buffer), self->map.tokens.late);
  /* A decision is about the newest frame of the picture. */
  flow = gst_tern_action_await_state (self->action,
      pts + self->map.tokens.after);
  self->count = self->map.tokens.number + 1;
  convert_times (self, &self->map.tokens);
  gst_tern_generator_note_capture (self, &self->map.tokens);
  if (flow == GST_FLOW_OK)
    flow = push_tokens (self, &self->map.tokens);
  gst_tern_token_unmap (&self->map, buffer);
  gst_buffer_unref (buffer);
  if (flow == GST_FLOW_OK)
    flow = gst_tern_action_decide (self->action);
  if (flow == GST_FLOW_OK) {
    gst_tern_generator_set_seen (self, TRUE);
    gst_tern_generator_post_dropped (self, &self->segment, pts);
  }
  return flow;
}

/* Whether the session can go on with these tokens. It was made for frames at
 * some rate; when they come slower it just gets fewer of them. */
static gboolean
session_takes (GstTernGenerator * self, const GstTernTokenInfo * info)
{
  gint n, d;

  if (!self->session || info->dim != self->info.dim
      || strcmp (info->encoder_id, self->info.encoder_id) != 0)
    return FALSE;
  GST_OBJECT_LOCK (self);
  n = self->params.rate_n;
  d = self->params.rate_d;
  GST_OBJECT_UNLOCK (self);
  if (n == 0 || info->rate_n == 0)
    return n == info->rate_n;
  return gst_util_fraction_compare (info->rate_n, info->rate_d, n, d) <= 0;
}

/* The tokens must come from the encoder that belongs to the model. */
static gboolean
check_encoder (GstTernGenerator * self, TernModel * model,
    const GstTernTokenInfo * info)
{
  const gchar *id = tern_model_encoder_id (model);

  if (!id) {
    GST_ELEMENT_ERROR (self, CORE, NEGOTIATION,
        ("The encoder of the model is not known."),
        ("no mmproj file was found beside %s: set mmproj-path",
            tern_model_path (model)));
    return FALSE;
  }
  if (strcmp (id, info->encoder_id) != 0
      || tern_model_embedding_dim (model) != info->dim) {
    GST_ELEMENT_ERROR (self, CORE, NEGOTIATION,
        ("The visual tokens come from an encoder that does not belong to the "
            "language model."),
        ("expected encoder-id %s, embedding-dim %u, found %s, %u", id,
            tern_model_embedding_dim (model), info->encoder_id, info->dim));
    return FALSE;
  }
  return TRUE;
}

/* Caps that were refused come again with everything that follows them; what is
 * wrong with them is said once. */
static gboolean
set_caps (GstTernGenerator * self, GstCaps * caps)
{
  GstTernTokenInfo info;
  GError *error = NULL;
  TernModel *model;
  gboolean ok, interrupted;

  if (self->refused && gst_caps_is_equal (caps, self->refused))
    return FALSE;
  gst_clear_caps (&self->refused);
  if (!gst_tern_take_token_caps (GST_ELEMENT_CAST (self), caps, &info)) {
    self->refused = gst_caps_ref (caps);
    return FALSE;
  }
  if (session_takes (self, &info)) {
    GST_OBJECT_LOCK (self);
    self->params_changed |= info.group_tokens != self->info.group_tokens;
    GST_OBJECT_UNLOCK (self);
    self->info = info;
    return TRUE;
  }

  model = gst_tern_loader_wait (self->loader, &interrupted);
  if (!model)
    return FALSE;
  ok = check_encoder (self, model, &info);
  if (ok) {
    gst_tern_generator_drain (self);
    gst_tern_generator_drop_session (self);
    self->info = info;
    ok = gst_tern_generator_make_session (self, model, &error);
    if (!ok) {
      gst_tern_post_error (self, error);
      g_clear_error (&error);
    }
  }
  if (!ok)
    self->refused = gst_caps_ref (caps);
  tern_model_unref (model);
  return ok;
}

/* When it ends once more: a frame may have been pushed meanwhile. */
void
gst_tern_generator_interrupt (gpointer generator, gboolean interrupt)
{
  GstTernGenerator *self = generator;
  gboolean has_session;

  gst_tern_loader_interrupt (self->loader, interrupt);
  gst_tern_action_interrupt (self->action, interrupt);
  g_mutex_lock (&self->session_lock);
  has_session = self->session != NULL;
  if (self->session)
    tern_session_flush (self->session);
  g_mutex_unlock (&self->session_lock);
  g_mutex_lock (&self->task.lock);
  self->progress = GST_CLOCK_TIME_NONE;
  g_mutex_unlock (&self->task.lock);
  if (interrupt)
    gst_tern_generator_end_asks (self, has_session,
        "the stream was flushed, or has ended");
}

/* A frame that waits for its group: requests may be about it. What is wrong
 * with it, it will be again when it comes as a frame. */
static void
handle_preview (GstTernGenerator * self, GstEvent * event)
{
  GError *error = NULL;
  GstBuffer *buffer;
  gboolean ok = FALSE;
  guint64 number;

  if (!self->session)
    return;
  if (!gst_tern_event_parse_preview (event, &buffer, &number)
      || !GST_BUFFER_PTS_IS_VALID (buffer)) {
    GST_WARNING_OBJECT (self, "expected a buffer with a PTS and a number in %"
        GST_PTR_FORMAT, event);
    return;
  }
  if (gst_tern_token_map (&self->map, buffer, &self->info, number, &error)) {
    self->map.tokens.number = number;
    convert_times (self, &self->map.tokens);
    ok = tern_session_preview_tokens (self->session, &self->map.tokens, &error);
    gst_tern_token_unmap (&self->map, buffer);
  }
  if (ok)
    gst_tern_generator_set_seen (self, TRUE);
  else
    GST_WARNING_OBJECT (self, "preview of frame %" G_GUINT64_FORMAT ": %s",
        number, error->message);
  g_clear_error (&error);
}

/* Through both pads, from outside of the task. */
static gboolean
forward_flush (GstTernGenerator * self, GstEvent * event)
{
  GstPad *json = gst_tern_generator_ref_json_pad (self);

  if (json) {
    gst_pad_push_event (json, gst_event_ref (event));
    gst_object_unref (json);
  }
  gst_tern_action_push_event (self->action, event);
  return gst_pad_push_event (self->srcpad, event);
}

/* Video went on, or stood still, without tokens. What that means for windows,
 * the session knows. */
static void
handle_gap (GstTernGenerator * self, GstEvent * event)
{
  GstClockTime pts, duration, end;

  gst_event_parse_gap (event, &pts, &duration);
  /* Before the first tokens it says where they will be. */
  if (!GST_CLOCK_TIME_IS_VALID (self->last_end))
    gst_tern_generator_enqueue_start (self,
        gst_tern_generator_stream_time (&self->segment, pts));
  if (self->session)
    tern_session_see (self->session,
        gst_tern_generator_stream_time (&self->segment, pts),
        GST_CLOCK_TIME_IS_VALID (duration) ?
        gst_tern_generator_stream_duration (&self->segment, duration) : 0);
  /* Nothing comes within it: that may end windows, too. */
  if (self->session && GST_CLOCK_TIME_IS_VALID (duration) && duration > 0) {
    end = gst_tern_generator_stream_time (&self->segment, pts + duration);
    tern_session_see (self->session, end, 0);
  }
  gst_event_unref (event);
}

static gboolean
handle_segment (GstTernGenerator * self, GstEvent * event)
{
  GstSegment segment;
  GstEvent *text;
  gboolean corrects;

  if (!gst_tern_take_time_segment (GST_ELEMENT_CAST (self), event,
          "Only visual tokens with times can be captioned.", &segment)) {
    gst_event_unref (event);
    return FALSE;
  }
  corrects = gst_tern_corrects_segment (event, &self->segment);
  self->segment = segment;
  gst_tern_action_set_segment (self->action, &segment);
  if (corrects) {               /* nothing changes for text, whose PTS are stream times */
    gst_event_unref (event);
    return TRUE;
  }
  self->count = 0;
  text = gst_tern_generator_text_segment_event (event);
  gst_event_unref (event);
  gst_event_copy_segment (text, &segment);
  gst_tern_generator_reset_captures (self, &segment);
  return gst_tern_task_push_event (&self->task, text) == GST_FLOW_OK;
}

static gboolean
handle_flush_stop (GstTernGenerator * self, GstEvent * event)
{
  gboolean ok = forward_flush (self, event);

  gst_segment_init (&self->segment, GST_FORMAT_TIME);
  self->count = 0;
  self->last_end = GST_CLOCK_TIME_NONE;
  self->position = GST_CLOCK_TIME_NONE;
  self->cue_until = self->sample_until = GST_CLOCK_TIME_NONE;
  gst_clear_event (&self->segment_event);
  self->text_ended = self->begun = self->ended = FALSE;
  gst_tern_generator_reset_captures (self, NULL);
  gst_tern_generator_set_seen (self, FALSE);
  gst_tern_task_flush (&self->task, FALSE);
  return ok;
}

/* ---- Triggers ---- */

/* With the stream lock. */
void
gst_tern_generator_take_trigger (GstTernGenerator * self)
{
  if (g_atomic_int_compare_and_exchange (&self->triggered, TRUE, FALSE)
      && self->session)
    tern_session_finish (self->session);
}

/* Who chooses frames says it in its place among them. Where nobody does, tokens
 * that come from elsewhere, a window begins with the next ones that come. */
void
gst_tern_generator_trigger (GstTernGenerator * self, guint32 seqnum)
{
  GstEvent *event = gst_event_new_custom (GST_EVENT_CUSTOM_UPSTREAM,
      gst_structure_new_empty (GST_TERN_EVENT_TRIGGER));

  if (seqnum != GST_SEQNUM_INVALID)
    gst_event_set_seqnum (event, seqnum);
  if (gst_pad_push_event (self->sinkpad, event))
    return;
  g_atomic_int_set (&self->triggered, TRUE);
  if (GST_PAD_STREAM_TRYLOCK (self->sinkpad)) {
    gst_tern_generator_take_trigger (self);
    GST_PAD_STREAM_UNLOCK (self->sinkpad);
  }
}

/* ---- Events ---- */

/* Tags of the video stream are not true of text. */
static gboolean
handle_tags (GstTernGenerator * self, GstEvent * event)
{
  GstTagList *tags;

  gst_event_parse_tag (event, &tags);
  if (gst_tag_list_get_scope (tags) == GST_TAG_SCOPE_GLOBAL)
    return gst_tern_task_push_event (&self->task, event) == GST_FLOW_OK;
  gst_event_unref (event);
  return TRUE;
}

static gboolean
handle_other (GstTernGenerator * self, GstPad * pad, GstEvent * event)
{
  if (gst_event_has_name (event, GST_TERN_EVENT_PROGRESS)) {
    gst_tern_generator_note_progress (self, event, FALSE);
  } else if (gst_event_has_name (event, GST_TERN_EVENT_PREVIEW)
      && GST_EVENT_IS_SERIALIZED (event)) {
    handle_preview (self, event);
  } else if (gst_event_has_name (event, GST_TERN_EVENT_DRAIN)
      || (gst_event_has_name (event, GST_TERN_EVENT_TRIGGER)
          && GST_EVENT_IS_SERIALIZED (event))) {
    /* What there is of a window is answered, and nobody waits for that. */
    if (self->session)
      tern_session_finish (self->session);
  } else if (GST_EVENT_IS_SERIALIZED (event)) {
    return gst_tern_task_push_event (&self->task, event) == GST_FLOW_OK;
  } else {
    return gst_pad_event_default (pad, GST_OBJECT_CAST (self), event);
  }
  gst_event_unref (event);
  return TRUE;
}

static gboolean
handle_event (GstTernGenerator * self, GstPad * pad, GstEvent * event)
{
  gboolean ok;

  if (GST_EVENT_TYPE (event) == GST_EVENT_EOS)
    gst_tern_generator_end_live_text (self);
  if (gst_tern_ends_stretch (event, &self->segment))
    gst_tern_generator_drain (self);
  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_FLUSH_START:
      ok = forward_flush (self, event);
      gst_tern_task_flush (&self->task, TRUE);
      return ok;
    case GST_EVENT_FLUSH_STOP:
      return handle_flush_stop (self, event);
    case GST_EVENT_CAPS:{
      GstCaps *caps;

      gst_event_parse_caps (event, &caps);
      ok = set_caps (self, caps);
      gst_event_unref (event);
      return ok;
    }
    case GST_EVENT_STREAM_START:
      gst_segment_init (&self->segment, GST_FORMAT_TIME);
      return handle_other (self, pad, event);
    case GST_EVENT_SEGMENT:
      return handle_segment (self, event);
    case GST_EVENT_GAP:
      handle_gap (self, event);
      return TRUE;
    case GST_EVENT_TAG:
      return handle_tags (self, event);
    case GST_EVENT_STREAM_GROUP_DONE:
      /* Answers still follow it, and an overlay whose video has ended by then
       * refuses it: with that, what is pushed behind it would be an error. */
      gst_event_unref (event);
      return TRUE;
    default:
      return handle_other (self, pad, event);
  }
}

/* An event that came too late, while everything stops, is no error. */
GstFlowReturn
gst_tern_generator_sink_event (GstPad * pad, GstObject * parent,
    GstEvent * event)
{
  GstTernGenerator *self = GST_TERN_GENERATOR (parent);
  gboolean caps = GST_EVENT_TYPE (event) == GST_EVENT_CAPS;
  GstFlowReturn flow;

  if (handle_event (self, pad, event))
    return GST_FLOW_OK;
  flow = gst_tern_task_get_flow (&self->task);
  if (flow == GST_FLOW_OK)
    flow = caps ? GST_FLOW_NOT_NEGOTIATED : GST_FLOW_ERROR;
  return flow;
}

gboolean
gst_tern_generator_sink_activate_mode (GstPad * pad, GstObject * parent,
    GstPadMode mode, gboolean active)
{
  GstTernGenerator *self = GST_TERN_GENERATOR (parent);

  if (mode != GST_PAD_MODE_PUSH)
    return FALSE;
  if (active)
    gst_segment_init (&self->segment, GST_FORMAT_TIME);
  else
    gst_tern_task_flush_start (&self->task);
  return TRUE;
}
