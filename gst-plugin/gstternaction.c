/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The action model and its settings, and decisions: when they are asked for,
 * and which answers count. */
#include "gstternaction-priv.h"

#include "gstternelement.h"

#define DEFAULT_MAX_AGE (500 * GST_MSECOND)
#define MAX_OVERLAP 1024        /* steps */

/* ---- Life ---- */

GstTernAction *
gst_tern_action_new (GstTernGenerator * generator)
{
  GstTernAction *self = g_new0 (GstTernAction, 1);

  self->generator = generator;
  g_mutex_init (&self->lock);
  g_cond_init (&self->cond);
  g_queue_init (&self->states);
  g_queue_init (&self->requests);
  self->max_age = DEFAULT_MAX_AGE;
  gst_segment_init (&self->state_segment, GST_FORMAT_UNDEFINED);
  gst_segment_init (&self->frame_segment, GST_FORMAT_UNDEFINED);
  gst_tern_action_clear_states (self);
  self->frame_time = GST_CLOCK_TIME_NONE;
  return self;
}

void
gst_tern_action_free (GstTernAction * self)
{
  gst_tern_action_close (self);
  gst_tern_action_clear_states (self);
  g_queue_clear_full (&self->requests, g_free);
  gst_clear_object (&self->statepad);
  gst_clear_object (&self->srcpad);
  g_mutex_clear (&self->lock);
  g_cond_clear (&self->cond);
  g_free (self);
}

const TernActionSpace *
gst_tern_action_space (const GstTernAction * self)
{
  return self->model ? tern_action_model_space (self->model) : NULL;
}

/* A chunk that is due later than it ends would always be late. */
static gboolean
check_deadline (const TernActionSpace * space, GstClockTime deadline,
    GError ** error)
{
  GstClockTime chunk = gst_util_uint64_scale (space->steps,
      GST_SECOND * space->rate_d, space->rate_n);

  if (deadline < chunk)
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID,
      "deadline: expected less than the %" G_GUINT64_FORMAT " ns of a chunk, "
      "found %" G_GUINT64_FORMAT, chunk, deadline);
  return FALSE;
}

gboolean
gst_tern_action_open (GstTernAction * self, const gchar * path, GError ** error)
{
  const TernActionSpace *space;
  TernActionModel *model;
  GstClockTime deadline;
  gboolean same;

  g_mutex_lock (&self->lock);
  same = g_strcmp0 (self->path, path) == 0;
  deadline = self->deadline;
  g_mutex_unlock (&self->lock);
  if (same)
    return TRUE;
  gst_tern_action_close (self);
  if (!path)
    return TRUE;
  model = tern_action_model_open (path, error);
  if (!model)
    return FALSE;
  space = tern_action_model_space (model);
  if (!check_deadline (space, deadline, error)) {
    tern_action_model_unref (model);
    return FALSE;
  }
  g_mutex_lock (&self->lock);
  self->model = model;
  self->path = g_strdup (path);
  gst_tern_chunks_init (&self->chunks, space->steps, space->dims,
      space->rate_n, space->rate_d);
  self->out = g_new (gfloat, (gsize) space->steps * space->dims);
  g_mutex_unlock (&self->lock);
  return TRUE;
}

void
gst_tern_action_close (GstTernAction * self)
{
  g_mutex_lock (&self->lock);
  g_clear_pointer (&self->model, tern_action_model_unref);
  g_clear_pointer (&self->path, g_free);
  gst_tern_chunks_clear (&self->chunks);
  g_clear_pointer (&self->out, g_free);
  g_mutex_unlock (&self->lock);
}

void
gst_tern_action_reset_session (GstTernAction * self)
{
  g_mutex_lock (&self->lock);
  g_queue_clear_full (&self->requests, g_free);
  self->again = FALSE;
  self->used = GST_CLOCK_TIME_NONE;
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);
}

void
gst_tern_action_stop (GstTernAction * self)
{
  gst_tern_action_reset_session (self);
  g_mutex_lock (&self->lock);
  gst_tern_action_clear_states (self);
  gst_tern_chunks_restart (&self->chunks);
  gst_segment_init (&self->frame_segment, GST_FORMAT_UNDEFINED);
  self->frame_time = GST_CLOCK_TIME_NONE;
  self->started = FALSE;
  self->failed = FALSE;
  self->sent = self->late = self->missed = self->undecided = 0;
  g_mutex_unlock (&self->lock);
}

/* ---- Properties ---- */

void
gst_tern_action_install_properties (GObjectClass * klass, guint first_id)
{
  /**
   * GstTernGenerator:action-overlap:
   *
   * Steps of a chunk, after those that have passed when it is ready, that go
   * over from what the chunk before said of them to its own values, in equal
   * parts.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first_id + GST_TERN_ACTION_OVERLAP,
      g_param_spec_uint ("action-overlap", "Action overlap",
          "Steps that go over from one chunk to the next", 0, MAX_OVERLAP, 0,
          GST_TERN_PARAM_PLAYING));
  /**
   * GstTernGenerator:deadline:
   *
   * Time from a frame to the chunk that is decided about it. As many steps keep
   * what the chunk before said, however early a chunk is ready; live, one that
   * is not ready by then is dropped, with a QOS message. It must be shorter than
   * a chunk. 0: none; then the steps that have passed are kept, and a chunk of
   * which nothing is still to come is dropped.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first_id + GST_TERN_ACTION_DEADLINE,
      g_param_spec_uint64 ("deadline", "Deadline",
          "Time from a frame to its chunk in ns (0 = none)", 0, G_MAXINT64, 0,
          GST_TERN_PARAM_PLAYING));
  /**
   * GstTernGenerator:state-max-age:
   *
   * How much older than the frame the robot's state may be that a decision
   * takes. Without one a decision is a result of kind error.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass,
      first_id + GST_TERN_ACTION_STATE_MAX_AGE,
      g_param_spec_uint64 ("state-max-age", "State max age",
          "How old the robot's state may be in ns (0 = any)", 0, G_MAXINT64,
          DEFAULT_MAX_AGE, GST_TERN_PARAM_PLAYING));
}

gboolean
gst_tern_action_set_property (GstTernAction * self, guint which,
    const GValue * value)
{
  const TernActionSpace *space;
  GError *error = NULL;

  g_mutex_lock (&self->lock);
  space = gst_tern_action_space (self);
  switch (which) {
    case GST_TERN_ACTION_OVERLAP:
      self->overlap = g_value_get_uint (value);
      break;
    case GST_TERN_ACTION_DEADLINE:
      if (!space || check_deadline (space, g_value_get_uint64 (value), &error))
        self->deadline = g_value_get_uint64 (value);
      break;
    case GST_TERN_ACTION_STATE_MAX_AGE:
      self->max_age = g_value_get_uint64 (value);
      break;
  }
  g_mutex_unlock (&self->lock);
  if (!error)
    return TRUE;
  GST_ELEMENT_WARNING (self->generator, RESOURCE, SETTINGS,
      ("The deadline was not changed."), ("%s", error->message));
  g_error_free (error);
  return FALSE;
}

void
gst_tern_action_get_property (GstTernAction * self, guint which, GValue * value)
{
  g_mutex_lock (&self->lock);
  switch (which) {
    case GST_TERN_ACTION_OVERLAP:
      g_value_set_uint (value, self->overlap);
      break;
    case GST_TERN_ACTION_DEADLINE:
      g_value_set_uint64 (value, self->deadline);
      break;
    case GST_TERN_ACTION_STATE_MAX_AGE:
      g_value_set_uint64 (value, self->max_age);
      break;
  }
  g_mutex_unlock (&self->lock);
}

void
gst_tern_action_fill_params (GstTernAction * self, TernSessionParams * params)
{
  g_mutex_lock (&self->lock);
  params->action = self->model;
  params->on_demand = self->model != NULL;
  params->state_max_age = self->max_age;
  g_mutex_unlock (&self->lock);
}

void
gst_tern_action_add_stats (GstTernAction * self, GstStructure * stats)
{
  g_mutex_lock (&self->lock);
  if (self->model)
    gst_structure_set (stats, "chunks", G_TYPE_UINT64, self->sent,
        "late-chunks", G_TYPE_UINT64, self->late,
        "missed-steps", G_TYPE_UINT64, self->missed,
        "undecided", G_TYPE_UINT64, self->undecided, NULL);
  g_mutex_unlock (&self->lock);
}

/* ---- Pads ---- */

static GstStaticPadTemplate state_template =
GST_STATIC_PAD_TEMPLATE ("state_sink", GST_PAD_SINK, GST_PAD_REQUEST,
    GST_STATIC_CAPS ("tensor/strided, tensor-id = (string) state, "
        "type = (string) float32"));
static GstStaticPadTemplate action_template =
GST_STATIC_PAD_TEMPLATE ("action_src", GST_PAD_SRC, GST_PAD_REQUEST,
    GST_STATIC_CAPS ("tensor/strided, tensor-id = (string) actions, "
        "type = (string) float32, rate = (fraction) [ 0, max ]"));

void
gst_tern_action_add_templates (GstElementClass * klass)
{
  gst_element_class_add_static_pad_template (klass, &state_template);
  gst_element_class_add_static_pad_template (klass, &action_template);
}

gboolean
gst_tern_action_is_template (const GstPadTemplate * template)
{
  const gchar *name = GST_PAD_TEMPLATE_NAME_TEMPLATE (template);

  return g_str_equal (name, state_template.name_template)
      || g_str_equal (name, action_template.name_template);
}

GstPad *
gst_tern_action_request_pad (GstTernAction * self, GstPadTemplate * template)
{
  gboolean state = GST_PAD_TEMPLATE_DIRECTION (template) == GST_PAD_SINK;
  GstPad **where = state ? &self->statepad : &self->srcpad;
  gboolean taken;
  GstPad *pad;

  pad = state ? gst_tern_action_new_state_pad (self, template) :
      gst_tern_action_new_src_pad (self, template);
  gst_object_ref_sink (pad);
  g_mutex_lock (&self->lock);
  taken = *where != NULL;
  if (!taken) {
    *where = pad;
    if (!state)
      self->started = FALSE;
  }
  g_mutex_unlock (&self->lock);
  if (taken) {
    GST_WARNING_OBJECT (self->generator, "there is one %s only",
        GST_PAD_TEMPLATE_NAME_TEMPLATE (template));
    gst_object_unref (pad);
    return NULL;
  }
  gst_pad_set_active (pad, TRUE);
  gst_element_add_pad (GST_ELEMENT_CAST (self->generator), pad);
  return pad;
}

gboolean
gst_tern_action_release_pad (GstTernAction * self, GstPad * pad)
{
  gboolean ours = TRUE;

  g_mutex_lock (&self->lock);
  if (self->statepad == pad) {
    self->statepad = NULL;
    gst_tern_action_clear_states (self);
    g_cond_broadcast (&self->cond);
  } else if (self->srcpad == pad) {
    self->srcpad = NULL;
  } else {
    ours = FALSE;
  }
  g_mutex_unlock (&self->lock);
  if (!ours)
    return FALSE;
  gst_pad_set_active (pad, FALSE);
  gst_element_remove_pad (GST_ELEMENT_CAST (self->generator), pad);
  gst_object_unref (pad);
  return TRUE;
}

/* ---- Decisions ---- */

/* With the lock. */
static gboolean
is_under_way (const GstTernAction * self)
{
  const GstTernDecision *last = g_queue_peek_tail ((GQueue *) & self->requests);

  return last && !last->made;
}

/* With the ask lock and ours, so that no answer comes before its number is
 * known. */
static gboolean
ask (GstTernAction * self, GError ** error)
{
  GstTernGenerator *generator = self->generator;
  GstTernStanding *standing = gst_tern_generator_ref_standing (generator);
  GstTernDecision *decision = g_new0 (GstTernDecision, 1);
  TernRequest request = { 0, };
  gboolean ok;

  request.question = standing->questions[0];
  request.question.action = TRUE;
  request.frames = gst_tern_action_space (self)->frames;
  self->again = FALSE;
  ok = tern_session_ask (generator->session, &request, &decision->id, error);
  if (ok) {
    generator->session_asks++;
    g_queue_push_tail (&self->requests, decision);
  } else {
    self->undecided++;
    g_free (decision);
  }
  gst_tern_standing_unref (standing);
  return ok;
}

typedef enum
{
  ASK_NOW,
  ASK_NEWEST,                   /* not while a decision is under way: then about
                                 * the frame that is the newest when it is made */
  ASK_AGAIN                     /* if that is due */
} AskWhen;

static void
ask_once (GstTernAction * self, AskWhen when)
{
  GstTernGenerator *generator = self->generator;
  GError *error = NULL;
  gboolean due;

  g_mutex_lock (&generator->ask_lock);
  g_mutex_lock (&self->lock);
  due = self->model && generator->session && !self->interrupted
      && (when != ASK_AGAIN || self->again);
  if (due && when != ASK_NOW && is_under_way (self))
    self->again = TRUE;
  else if (due)
    ask (self, &error);
  g_mutex_unlock (&self->lock);
  g_mutex_unlock (&generator->ask_lock);
  if (!error)
    return;
  GST_ELEMENT_WARNING (generator, LIBRARY, FAILED,
      ("A decision could not be asked for."), ("%s", error->message));
  g_error_free (error);
}

GstFlowReturn
gst_tern_action_decide (GstTernAction * self)
{
  GstTernGenerator *generator = self->generator;
  gboolean decides;

  g_mutex_lock (&self->lock);
  decides = self->model != NULL;
  g_mutex_unlock (&self->lock);
  if (decides)
    ask_once (self, generator->session_leaky ? ASK_NEWEST : ASK_NOW);
  if (decides && !generator->session_leaky) {
    g_mutex_lock (&self->lock);
    while (is_under_way (self) && !self->interrupted)
      g_cond_wait (&self->cond, &self->lock);
    g_mutex_unlock (&self->lock);
  }
  return gst_tern_task_get_flow (&generator->task);
}

void
gst_tern_action_decide_again (GstTernAction * self)
{
  gboolean again;

  g_mutex_lock (&self->lock);
  again = self->again;
  g_mutex_unlock (&self->lock);
  if (again)
    ask_once (self, ASK_AGAIN);
}

void
gst_tern_action_interrupt (GstTernAction * self, gboolean interrupt)
{
  GList *link;

  g_mutex_lock (&self->lock);
  self->interrupted = interrupt;
  /* What was asked before a flush is not about what comes after it, whether or
   * not it is still answered. */
  for (link = self->requests.head; link; link = link->next) {
    GstTernDecision *decision = link->data;

    decision->made = decision->stale = TRUE;
  }
  self->again = FALSE;
  self->frame_time = GST_CLOCK_TIME_NONE;
  self->used = GST_CLOCK_TIME_NONE;
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);
}

void
gst_tern_action_note_result (GstTernAction * self, const TernResult * result)
{
  GList *link;

  g_mutex_lock (&self->lock);
  for (link = self->requests.head; link; link = link->next) {
    GstTernDecision *decision = link->data;

    if (decision->id == result->ask_id)
      decision->made = TRUE;
  }
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);
}

gboolean
gst_tern_action_take_result (GstTernAction * self, const TernResult * result,
    gboolean * stale)
{
  GstTernDecision *decision;
  gboolean found = FALSE;

  if (result->ask_id == 0)
    return FALSE;
  g_mutex_lock (&self->lock);
  /* Those before it were thrown away with what was to leave. */
  while (!found && (decision = g_queue_peek_head (&self->requests))
      && decision->id <= result->ask_id) {
    found = decision->id == result->ask_id;
    *stale = decision->stale;
    g_free (g_queue_pop_head (&self->requests));
  }
  g_mutex_unlock (&self->lock);
  return found;
}
