/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The robot's states: they come on a pad of their own, and are matched with
 * frames by running time. Live they go to the session at once, which takes the
 * newest that is not later than a frame. Otherwise they wait here for the frame
 * that they are before, and it for them. */
#include "gstternaction-priv.h"

#include <math.h>

#define MAX_STATES 1024         /* that wait; then upstream does */

/* With the lock. */
void
gst_tern_action_clear_states (GstTernAction * self)
{
  g_queue_clear_full (&self->states, g_free);
  self->state_position = GST_CLOCK_TIME_NONE;
  self->state_eos = FALSE;
  self->state_bad = FALSE;
  self->used = GST_CLOCK_TIME_NONE;
}

static gboolean
is_live (GstTernAction * self)
{
  gboolean live;

  GST_OBJECT_LOCK (self->generator);
  live = self->generator->live;
  GST_OBJECT_UNLOCK (self->generator);
  return live;
}

/* ---- To the session ---- */

/* What the tokens' segment has for a running time, as stream time. */
static GstClockTime
frame_stream_time (const GstTernAction * self, GstClockTime running)
{
  guint64 position;

  if (gst_segment_position_from_running_time_full (&self->frame_segment,
          GST_FORMAT_TIME, running, &position) <= 0)
    position = self->frame_segment.start;
  return gst_tern_generator_stream_time (&self->frame_segment, position);
}

/* With both locks; takes @state. One out of order is none: clocks are set. */
static void
use_state (GstTernAction * self, GstTernState * state, GError ** error)
{
  GstClockTime time = frame_stream_time (self, state->time);

  if (!GST_CLOCK_TIME_IS_VALID (self->used) || time >= self->used) {
    self->used = time;
    tern_session_push_state (self->generator->session, time, state->values,
        gst_tern_action_space (self)->state_dims, error);
  }
  g_free (state);
}

/* Those that are not after @running; of a file the last of them will do. */
static void
use_states (GstTernAction * self, GstClockTime running, gboolean all,
    GError ** error)
{
  while (!g_queue_is_empty (&self->states)) {
    GstTernState *state = g_queue_peek_head (&self->states), *next;

    if (state->time > running)
      return;
    g_queue_pop_head (&self->states);
    next = g_queue_peek_head (&self->states);
    if (!all && next && next->time <= running)
      g_free (state);
    else
      use_state (self, state, error);
  }
}

static void
say_bad (GstTernAction * self, GError * error)
{
  if (!error)
    return;
  GST_ELEMENT_WARNING (self->generator, STREAM, FAILED,
      ("A state of the robot cannot be used."), ("%s", error->message));
  g_error_free (error);
}

void
gst_tern_action_set_segment (GstTernAction * self, const GstSegment * tokens)
{
  g_mutex_lock (&self->lock);
  self->frame_segment = *tokens;
  self->used = GST_CLOCK_TIME_NONE;
  g_mutex_unlock (&self->lock);
}

/* Whether more states may come that are before @running. */
static gboolean
states_may_come (const GstTernAction * self, GstClockTime running)
{
  return self->statepad && !self->state_eos && !self->interrupted
      && gst_pad_is_linked (self->statepad)
      && (!GST_CLOCK_TIME_IS_VALID (self->state_position)
      || self->state_position < running);
}

GstFlowReturn
gst_tern_action_await_state (GstTernAction * self, GstClockTime pts)
{
  GstTernGenerator *generator = self->generator;
  gboolean live = is_live (self);
  GstClockTime running;
  gboolean interrupted;
  GError *error = NULL;

  g_mutex_lock (&self->lock);
  if (!self->model || gst_tern_action_space (self)->state_dims == 0) {
    g_mutex_unlock (&self->lock);
    return GST_FLOW_OK;
  }
  running = gst_segment_to_running_time (&self->frame_segment, GST_FORMAT_TIME,
      pts);
  if (GST_CLOCK_TIME_IS_VALID (running)) {
    self->frame_time = running;
    g_cond_broadcast (&self->cond);
    while (!live && states_may_come (self, running))
      g_cond_wait (&self->cond, &self->lock);
    use_states (self, running, FALSE, &error);
    g_cond_broadcast (&self->cond);
  }
  /* A flush comes here before it comes to the task. */
  interrupted = self->interrupted;
  g_mutex_unlock (&self->lock);
  say_bad (self, error);
  return interrupted ? GST_FLOW_FLUSHING :
      gst_tern_task_get_flow (&generator->task);
}

/* ---- From the pad ---- */

/* Numbers that are none would steer a machine. */
static GstTernState *
read_state (GstTernAction * self, GstBuffer * buffer, guint dims,
    GError ** error)
{
  gsize size = dims * sizeof (gfloat);
  GstTernState *state;
  guint i;

  if (gst_buffer_get_size (buffer) != size) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_MISMATCH,
        "state: expected %" G_GSIZE_FORMAT " bytes, found %" G_GSIZE_FORMAT,
        size, gst_buffer_get_size (buffer));
    return NULL;
  }
  state = g_malloc (sizeof *state + size);
  gst_buffer_extract (buffer, 0, state->values, size);
  for (i = 0; i < dims; i++) {
    if (isfinite (state->values[i]))
      continue;
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID,
        "state: expected a finite number, number %u is none", i);
    g_free (state);
    return NULL;
  }
  return state;
}

/* With the lock: nobody takes what waits, and there is enough of it. */
static void
wait_for_frames (GstTernAction * self, GstPad * pad)
{
  while (self->states.length >= MAX_STATES && !GST_PAD_IS_FLUSHING (pad)
      && self->statepad == pad) {
    GstTernState *oldest = g_queue_peek_head (&self->states);

    /* Of a stream that is flushed the newest will do, too. */
    if (is_live (self) || self->interrupted) {
      g_free (g_queue_pop_head (&self->states));
      continue;
    }
    /* Only the newest one before a frame is of use. */
    if (GST_CLOCK_TIME_IS_VALID (self->frame_time)
        && oldest->time < self->frame_time) {
      GstTernState *next = g_queue_peek_nth (&self->states, 1);

      if (next->time <= self->frame_time) {
        g_free (g_queue_pop_head (&self->states));
        continue;
      }
    }
    g_cond_wait (&self->cond, &self->lock);
  }
}

/* With the session's lock and ours. */
static void
take_state (GstTernAction * self, GstPad * pad, GstTernState * state,
    GError ** error)
{
  GstTernGenerator *generator = self->generator;

  g_queue_push_tail (&self->states, state);
  self->state_position = state->time;
  g_cond_broadcast (&self->cond);
  if (generator->session && is_live (self)
      && self->frame_segment.format == GST_FORMAT_TIME)
    use_states (self, GST_CLOCK_TIME_NONE, TRUE, error);
}

static GstFlowReturn
gst_tern_action_state_chain (GstPad * pad, GstObject * parent,
    GstBuffer * buffer)
{
  GstTernGenerator *generator = GST_TERN_GENERATOR (parent);
  GstTernAction *self = generator->action;
  GstTernState *state = NULL;
  GstClockTime running = GST_CLOCK_TIME_NONE;
  GError *error = NULL;
  gboolean say;

  /* Whoever stops here has let go of what waits. */
  if (GST_PAD_IS_FLUSHING (pad)) {
    gst_buffer_unref (buffer);
    return GST_FLOW_FLUSHING;
  }
  g_mutex_lock (&self->lock);
  if (!self->model || !self->state_caps) {
    g_mutex_unlock (&self->lock);
    gst_buffer_unref (buffer);
    return GST_FLOW_NOT_NEGOTIATED;
  }
  wait_for_frames (self, pad);
  if (self->state_segment.format == GST_FORMAT_TIME)
    running = gst_segment_to_running_time (&self->state_segment,
        GST_FORMAT_TIME, GST_BUFFER_PTS (buffer));
  if (GST_CLOCK_TIME_IS_VALID (running))
    state = read_state (self, buffer,
        gst_tern_action_space (self)->state_dims, &error);
  else
    g_set_error (&error, TERN_ERROR, TERN_ERROR_INVALID,
        "state: expected a PTS in a segment in time, found none");
  g_mutex_unlock (&self->lock);
  gst_buffer_unref (buffer);

  if (state) {
    state->time = running;
    g_mutex_lock (&generator->session_lock);
    g_mutex_lock (&self->lock);
    take_state (self, pad, state, &error);
    g_mutex_unlock (&self->lock);
    g_mutex_unlock (&generator->session_lock);
  }
  g_mutex_lock (&self->lock);
  say = error && !self->state_bad;
  self->state_bad = error != NULL;
  g_mutex_unlock (&self->lock);
  if (say)
    say_bad (self, g_steal_pointer (&error));
  g_clear_error (&error);
  return GST_PAD_IS_FLUSHING (pad) ? GST_FLOW_FLUSHING : GST_FLOW_OK;
}

/* ---- Events ---- */

/* `dims` are those of the action model; said when they are not. */
static gboolean
take_caps (GstTernAction * self, const GstCaps * caps)
{
  const GstStructure *s = gst_caps_get_structure (caps, 0);
  const GValue *dims = gst_structure_get_value (s, "dims");
  const TernActionSpace *space;
  gint found = -1, expected = -1;

  if (dims && GST_VALUE_HOLDS_ARRAY (dims)
      && gst_value_array_get_size (dims) == 1
      && G_VALUE_HOLDS_INT (gst_value_array_get_value (dims, 0)))
    found = g_value_get_int (gst_value_array_get_value (dims, 0));
  g_mutex_lock (&self->lock);
  space = gst_tern_action_space (self);
  if (space)
    expected = space->state_dims;
  self->state_caps = expected >= 1 && found == expected;
  g_mutex_unlock (&self->lock);
  if (found == expected && expected >= 1)
    return TRUE;
  if (!space)
    GST_ELEMENT_ERROR (self->generator, RESOURCE, SETTINGS,
        ("States of a robot are of no use without an action model."),
        ("expected action-path to be set, found none"));
  else
    GST_ELEMENT_ERROR (self->generator, CORE, NEGOTIATION,
        ("The states of the robot are not those of the action model."),
        ("expected dims=(int)<%d>, found %" GST_PTR_FORMAT, expected, s));
  return FALSE;
}

static void
take_gap (GstTernAction * self, GstEvent * event)
{
  GstClockTime pts, duration, running;

  gst_event_parse_gap (event, &pts, &duration);
  if (GST_CLOCK_TIME_IS_VALID (duration))
    pts += duration;
  running = gst_segment_to_running_time (&self->state_segment,
      GST_FORMAT_TIME, pts);
  if (GST_CLOCK_TIME_IS_VALID (running))
    self->state_position = running;
}

static gboolean
gst_tern_action_state_event (GstPad * pad, GstObject * parent, GstEvent * event)
{
  GstTernAction *self = GST_TERN_GENERATOR (parent)->action;
  gboolean ok = TRUE;
  GstCaps *caps;

  if (GST_EVENT_TYPE (event) == GST_EVENT_CAPS) {
    gst_event_parse_caps (event, &caps);
    ok = take_caps (self, caps);
    gst_event_unref (event);
    return ok;
  }
  g_mutex_lock (&self->lock);
  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_SEGMENT:
      gst_event_copy_segment (event, &self->state_segment);
      break;
    case GST_EVENT_STREAM_START:
      self->state_eos = FALSE;
      break;
    case GST_EVENT_GAP:
      if (self->state_segment.format == GST_FORMAT_TIME)
        take_gap (self, event);
      break;
    case GST_EVENT_EOS:
      self->state_eos = TRUE;
      break;
    case GST_EVENT_FLUSH_STOP:
      gst_tern_action_clear_states (self);
      gst_segment_init (&self->state_segment, GST_FORMAT_UNDEFINED);
      break;
    default:
      break;
  }
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);
  gst_event_unref (event);
  return ok;
}

static gboolean
gst_tern_action_state_activate (GstPad * pad, GstObject * parent,
    GstPadMode mode, gboolean active)
{
  GstTernAction *self = gst_pad_get_element_private (pad);

  if (mode != GST_PAD_MODE_PUSH)
    return FALSE;
  g_mutex_lock (&self->lock);
  if (active)
    self->state_caps = FALSE;
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);
  return TRUE;
}

static void
gst_tern_action_state_unlinked (GstPad * pad, GstPad * peer, gpointer data)
{
  GstTernAction *self = data;

  g_mutex_lock (&self->lock);
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);
}

GstPad *
gst_tern_action_new_state_pad (GstTernAction * self, GstPadTemplate * template)
{
  GstPad *pad = gst_pad_new_from_template (template, "state_sink");

  /* It is activated before it has a parent. */
  gst_pad_set_element_private (pad, self);
  gst_pad_set_chain_function (pad, gst_tern_action_state_chain);
  gst_pad_set_event_function (pad, gst_tern_action_state_event);
  gst_pad_set_activatemode_function (pad, gst_tern_action_state_activate);
  g_signal_connect (pad, "unlinked",
      G_CALLBACK (gst_tern_action_state_unlinked), self);
  return pad;
}
